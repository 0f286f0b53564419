"""Fuzzing what reads and writes the todo file: whatever it says, an answer in bounded time.

The suite takes a sample of each; the campaign takes the rest:
``pytest -m campaign tests/core/test_fuzz.py tests/*/test_fuzz_*.py``
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from strategies import NASTY, due_values, nasty_markdown

from omisync.core import due, markdown, toml
from omisync.core.model import Addition, Change, Document, Task
from omisync.errors import ParseError

if TYPE_CHECKING:
    from types import ModuleType

SLOW = 2.0
"""Seconds that no small file may take on a busy machine; each takes a few milliseconds."""

TOML_PIECES = (
    "[[todo]]\n", "[todo]\n", "todo = [", "]", "{", "}", 'text = "a"\n', "text = '''x\n", "'''\n",
    "done = true\n", "due = 2026-01-31\n", "due = 2026-02-30\n", "due = 07:00:00\n", "id = 7\n",
    'id = "x"\n', "[a.b]\n", "[[a]]\n", '"', '"""', "\\u0041", "\\ud800", "#", "\n", "\r\n", "\r",
    "\0", "\ufeff", "=", ".", ",", "1e999", "nan", "9" * 30, "0x", "é", "text.a = 1\n",
)  # fmt: skip

TEXTS = st.text(max_size=12) | st.lists(st.sampled_from(NASTY), max_size=5).map("".join)


def tables() -> st.SearchStrategy[str]:
    """TOML and nearly TOML: pieces of todo files in any order."""
    return st.lists(st.sampled_from(TOML_PIECES) | st.text(max_size=4), max_size=20).map("".join)


def parsed(form: ModuleType, source: bytes) -> Document | None:
    """Return the document, None for a parse error with a place; nothing else may come."""
    started = time.monotonic()
    document: Document | ParseError
    try:
        document = form.parse(source)
    except ParseError as error:
        document = error
    if isinstance(document, ParseError):
        assert form is toml, "Markdown never fails"
        assert (document.line, document.column) >= (1, 1)
        return None
    assert form.render(document) == source
    assert time.monotonic() - started < SLOW
    return document


def rewritten(form: ModuleType, source: str, text: str, value: str | None, at: int) -> None:
    """Change one task of a file and add another, or be refused; the rest reads as before."""
    encoded = source.encode(errors="surrogatepass")
    try:
        encoded.decode()
    except UnicodeDecodeError:
        return  # not read from a file
    document = parsed(form, encoded)
    legible = form.legible(text)
    if document is None or not legible:
        return
    task = Task(legible, completed=at % 2 == 0, due=value)
    entry = document.entries[at % len(document.entries)] if document.entries else None
    changes = [Change(entry, task if at % 3 else None)] if entry else []
    result = form.rewrite(document, changes, [Addition(task)])
    again = parsed(form, result.document.source)
    assert again is not None
    assert [one.task for one in again.entries] == [one.task for one in result.document.entries]
    untouched = [one.task for one in document.entries if one is not entry]
    assert len(again.entries) >= len(untouched)
    if Addition(task) not in result.refused:
        assert again.entries[result.added[0]].task == task


ASKED = (TEXTS, st.none() | due_values(), st.integers(0, 99))


@given(nasty_markdown(), *ASKED)
def test_any_markdown(source: str, text: str, value: str | None, at: int) -> None:
    """It is read without an error, and what is written there is there."""
    rewritten(markdown, source, text, value, at)


@given(tables(), *ASKED)
def test_any_toml(source: str, text: str, value: str | None, at: int) -> None:
    """A document or a parse error with its place, and what is written there is there."""
    rewritten(toml, source, text, value, at)


@given(st.lists(st.sampled_from(NASTY) | st.text(max_size=4), max_size=30).map("".join))
def test_any_due_token(text: str) -> None:
    """What is found lies in the text and is a value that has an instant or is refused."""
    _check_due(text)


def _check_due(text: str) -> None:
    token = due.find(text).token
    if token is not None:
        assert 0 <= token.start < token.end <= len(text)
        assert due.find(due.token(token.value, due.WORD)).token is not None


@pytest.mark.parametrize("form", [markdown, toml])
@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "(",
        "<",
        "*",
        "_",
        "`",
        ">",
        "- [ ] ",
        "[[",
        "{a=",
        "![",
        "due:",
        "@due(",
        "&",
        "\\",
        "\t",
    ],
)
def test_a_hundred_thousand_of_one_sign(form: ModuleType, piece: str) -> None:
    """No run of signs blows up: a file of it is read in seconds, not minutes."""
    starts = "- [ ] a " if form is markdown else '[[todo]]\ntext = "a"\nx = '
    started = time.monotonic()
    try:
        form.parse((starts + piece * 100_000).encode())
    except ParseError:
        assert form is toml
    assert time.monotonic() - started < 10 * SLOW


@pytest.mark.campaign
@pytest.mark.timeout(600)
def test_a_list_of_20_megabytes() -> None:
    """The largest file that is read at all is parsed, every line of it."""
    line = "- [ ] task with a text of some length and a date due:2026-01-31 (maybe)\n"
    source = line.encode() * (20 * 2**20 // len(line))
    assert len(markdown.parse(source).entries) == source.count(b"\n")


# Campaigns.


@pytest.mark.campaign
@pytest.mark.timeout(600)
@seed(1)
@settings(max_examples=4_000)
@given(st.lists(nasty_markdown(), max_size=6).map("\n- [ ] ".join), *ASKED)
def test_any_markdown_at_length(source: str, text: str, value: str | None, at: int) -> None:
    """The same, for 4,000 longer files."""
    rewritten(markdown, source, text, value, at)


@pytest.mark.campaign
@pytest.mark.timeout(600)
@seed(2)
@settings(max_examples=4_000)
@given(tables().map(lambda rest: f'[[todo]]\ntext = "a"\n{rest}') | tables(), *ASKED)
def test_any_toml_at_length(source: str, text: str, value: str | None, at: int) -> None:
    """The same, for 4,000 files."""
    rewritten(toml, source, text, value, at)


@pytest.mark.campaign
@pytest.mark.timeout(600)
@pytest.mark.parametrize("form", [markdown, toml])
def test_damaged_files(form: ModuleType) -> None:
    """20,000 files that bits and lines were lost of are read, or refused with a place."""
    dice = random.Random(3)
    whole = (
        "# H\n- [ ] a due:2026-01-31 omi:x\n  b\n> * [x] c <!-- d -->\n```\n- [ ] e\n```\n" * 3
        if form is markdown
        else '# c\n[[todo]]\ntext = "a"\ndue = 2026-01-31T07:00:00Z\n[x]\ny = [1, "[[todo]]"]\n' * 3
    ).encode()
    for _ in range(20_000):
        source = bytearray(whole)
        for _ in range(dice.randrange(1, 5)):
            source[dice.randrange(len(source))] ^= 1 << dice.randrange(8)
        cut = dice.randrange(len(source))
        del source[cut : cut + dice.choice((0, 0, 1, 9))]
        try:
            source.decode()
        except UnicodeDecodeError:
            continue  # refused before it is parsed
        parsed(form, bytes(source))
