"""Two-way: every description of Omi comes through the file unchanged, or stays out of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from person import Clock, Person
from replicas import TWO_WAY
from strategies import NASTY

from omisync import errors
from omisync.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT = 500
ODD = (
    "# heading",
    "[x] ticked", "- [ ] task", "due:2026-01-31", "omi:abc", "a omi:abc due:2026-01-31",
    "📅 2026-01-31", "two\nlines",
    "a\r\n\r\nb", "שלום עולם", "\u202eabc\u202c", "nul\0here", "🔥👩‍👩‍👧",
    "x" * LIMIT, "word " * 99 + "end", '"""', "'''", "\\", "a\\nb", "[[todo]]", "---", "<!--", "`",
)  # fmt: skip


def descriptions() -> st.SearchStrategy[str]:
    """All that a description can be: 1 to 500 code points, not blank."""
    nasty = st.lists(st.sampled_from((*NASTY, *ODD)), min_size=1, max_size=8).map("".join)
    free = st.text(st.characters(codec="utf-8"), max_size=LIMIT)
    short = st.text(st.characters(codec="utf-8"), max_size=12)
    return (
        (st.sampled_from(ODD) | nasty | short | free)
        .map(lambda text: text[:LIMIT].strip())
        .filter(bool)
    )


@asynccontextmanager
async def someone(name: str) -> AsyncIterator[Person]:
    """A person of their own for each example."""
    clock = Clock()
    with TemporaryDirectory() as home:
        async with Sandbox(clock=clock) as sandbox:
            person = Person(Path(home), sandbox, clock, name=name, settings=TWO_WAY)
            person.write("")
            yield person


async def through(name: str, before: list[str], after: list[str]) -> None:
    """Import, reword and tick in the app: nothing is ever sent, and the file comes to rest."""
    async with someone(name) as person:
        items = [person.sandbox.add(text) for text in before]
        for step in (None, after, True):
            for number, one in enumerate(items):
                if isinstance(step, list):
                    one.description = step[number % len(step)]
                elif step:
                    one.completed = True
            held = [one.description for one in items]
            outcome = await person.cycle(now=True, yes=True)
            assert outcome.code == errors.OK, outcome
            written = person.todo.read_bytes()
            for _ in range(3):
                person.clock.pass_by(400)
                outcome = await person.cycle(now=True)
                assert outcome.code == errors.OK, outcome
                assert not outcome.counts
            assert person.todo.read_bytes() == written
            assert [one.description for one in items] == held
        assert {method for method, _ in person.sent()} == {"GET"}


@pytest.mark.parametrize("name", ["todo.md", "todo.toml"])
@settings(max_examples=5)
@given(
    before=st.lists(descriptions(), min_size=1, max_size=12),
    after=st.lists(descriptions(), min_size=1, max_size=12),
)
def test_texts_come_through(name: str, before: list[str], after: list[str]) -> None:
    """Imported, reworded and ticked in the app, over several cycles: no write to Omi, no loop."""
    asyncio.run(through(name, before, after))


@pytest.mark.campaign
@pytest.mark.parametrize("name", ["todo.md", "todo.toml"])
@settings(max_examples=400)
@given(
    before=st.lists(descriptions(), min_size=1, max_size=12),
    after=st.lists(descriptions(), min_size=1, max_size=12),
)
def test_many_texts_come_through(name: str, before: list[str], after: list[str]) -> None:
    """Thousands of them."""
    asyncio.run(through(name, before, after))


@pytest.mark.parametrize("name", ["todo.md", "todo.toml"])
async def test_odd_texts_come_through(name: str) -> None:
    """The ones that first come to mind, each imported, and each in place of another."""
    await through(name, list(ODD), [*ODD[5:], *ODD[:5]])
