"""Fuzzing what reads and writes the todo file: whatever it says, an answer in bounded time.

The suite takes a sample of each; the campaign takes the rest:
``pytest -m campaign tests/core/test_fuzz.py tests/*/test_fuzz_*.py``
"""

from __future__ import annotations

import datetime as dt
import random
import time
from itertools import pairwise, product
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from spans import check_order
from strategies import NASTY, clocks, due_values, nasty_markdown, styles, zones

from omisync.core import due, markdown, toml
from omisync.core.model import Addition, Change, Document, Task
from omisync.errors import ParseError

if TYPE_CHECKING:
    from collections import Counter
    from datetime import tzinfo
    from types import ModuleType

STYLES = (due.ICON, due.WORD, due.FIELD, due.ROUND_FIELD, due.CALL)
BERLIN = ZoneInfo("Europe/Berlin")
SLOW = 2.0
"""Seconds that no small file may take on a busy machine; each takes a few milliseconds."""

TOML_PIECES = (
    "[[todo]]\n", "[todo]\n", "todo = [", "]", "{", "}", 'text = "a"\n', "text = '''x\n", "'''\n",
    "done = true\n", "due = 2026-01-31\n", "due = 2026-02-30\n", "due = 07:00:00\n", "id = 7\n",
    'id = "x"\n', "[a.b]\n", "[[a]]\n", '"', '"""', "\\u0041", "\\ud800", "#", "\n", "\r\n", "\r",
    "\0", "\ufeff", "=", ".", ",", "1e999", "nan", "9" * 30, "0x", "é", "text.a = 1\n",
)  # fmt: skip

DUE_PIECES = (
    "📅", "📅 ", "📅\ufe0f", "due:", "Due:", "DUE::", "[due:: ", "[ due::", "(due:: ", "@due(",
    "@Due( ", "]", ")", " )", "2026-01-31", "2026-02-30", "0000-01-01", "0001-01-01",
    "9999-12-31", "2026-1-31", "12026-01-31", "٢٠٢٦-٠١-٣١", "２０２６-01-31", "2026‐01‐31",
    "20260131", "31.01.2026", "T", "t", " ", "\u00a0", "\u3000", "\u2009", "\u2028", "\u200b",
    "\t", "\n", "\r", "\0", "17:00", "1７:00", "24:00", "00:60", "23:59:60", ":30", ":00", ".5",
    "Z", "z", "+02:00", "+0200", "+02", "-00:00", "-05:00", "+23:59", "-23:59", "+24:00",
    "+14:60", "\u2212", "\u2013", "a", "é", "e\u0301", "_", "-", "/", ".", ",", ":", ";", "!",
    "…", "🔥", "`", "\\", "(", "[", "**", "~~", '"', "omi:x",
)  # fmt: skip

TEXTS = st.text(max_size=12) | st.lists(st.sampled_from(NASTY), max_size=5).map("".join)


def tables() -> st.SearchStrategy[str]:
    """TOML and nearly TOML: pieces of todo files in any order."""
    return st.lists(st.sampled_from(TOML_PIECES) | st.text(max_size=4), max_size=20).map("".join)


def parsed(form: ModuleType, source: bytes) -> Document | None:
    """Return the document, None for a parse error with a place; nothing else may come."""
    started = time.process_time()
    document: Document | ParseError
    try:
        document = form.parse(source)
    except ParseError as error:
        document = error
    if isinstance(document, ParseError):
        assert form is toml, "Markdown never fails"
        assert (document.line, document.column) >= (1, 1)
        return None
    check_order(document, source)
    assert time.process_time() - started < SLOW
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


def nearly_due() -> st.SearchStrategy[str]:
    """Due tokens, pieces of them next to each other, and what they are taken apart by."""
    pieces = st.sampled_from(DUE_PIECES) | st.text(max_size=2) | st.sampled_from(NASTY)
    whole = st.builds(due.token, due_values(), styles())
    return st.lists(pieces | whole, max_size=12).map("".join)


@given(nearly_due(), zones(), clocks())
def test_any_due_token(text: str, zone: tzinfo, due_time: dt.time) -> None:
    """What is found lies in the text, says a moment in any zone, and is written back the same."""
    _check_due(text, zone, due_time)


def _check_due(text: str, zone: tzinfo, due_time: dt.time) -> None:
    found = due.find(text)
    places = sorted((one.start, one.end) for one in (*found.rejected, found.token) if one)
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert all(one < two for (one, _), (two, _) in pairwise(places))
    token = found.token
    if token is None:
        return
    assert token.value.isascii()
    written = due.token(token.value, token.style)
    again = due.find(text[: token.start] + written + text[token.end :]).token
    assert again is not None
    assert (again.start, again.value) == (token.start, token.value)
    assert due.token(again.value, again.style) == written
    for style in STYLES:
        alone = due.find(due.token(token.value, style))
        assert alone.rejected == ()
        assert alone.token is not None
        assert alone.token.value == token.value
    moment = due.instant(token.value, zone, due_time)
    if due.FIRST < moment < due.LAST:
        assert due.instant(due.value_of(moment, zone, due_time), zone, due_time) == moment
    assert due.is_date(due.day(moment, zone))


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
    started = time.process_time()
    try:
        form.parse((starts + piece * 100_000).encode())
    except ParseError:
        assert form is toml
    assert time.process_time() - started < 10 * SLOW


@pytest.mark.campaign
def test_a_list_of_20_megabytes() -> None:
    """The largest file that is read at all is parsed, every line of it."""
    line = "- [ ] task with a text of some length and a date due:2026-01-31 (maybe)\n"
    source = line.encode() * (20 * 2**20 // len(line))
    assert len(markdown.parse(source).entries) == source.count(b"\n")


# Campaigns.


@pytest.mark.campaign
@seed(1)
@settings(max_examples=4_000)
@given(st.lists(nasty_markdown(), max_size=6).map("\n- [ ] ".join), *ASKED)
def test_any_markdown_at_length(source: str, text: str, value: str | None, at: int) -> None:
    """The same, for 4,000 longer files."""
    rewritten(markdown, source, text, value, at)


@pytest.mark.campaign
@seed(2)
@settings(max_examples=4_000)
@given(tables().map(lambda rest: f'[[todo]]\ntext = "a"\n{rest}') | tables(), *ASKED)
def test_any_toml_at_length(source: str, text: str, value: str | None, at: int) -> None:
    """The same, for 4,000 files."""
    rewritten(toml, source, text, value, at)


@pytest.mark.campaign
@seed(3)
@settings(max_examples=20_000)
@given(nearly_due(), zones(), clocks())
def test_any_due_token_at_length(text: str, zone: tzinfo, due_time: dt.time) -> None:
    """The same, for 20,000 texts."""
    _check_due(text, zone, due_time)


@pytest.mark.campaign
def test_every_piece_beside_every_token(tally: Counter[str]) -> None:
    """Each piece before and after each way to write a date, with and without spaces."""
    values = ("2026-01-31", "2026-01-31T17:00", "2026-10-25T02:30:30-05:00")
    tokens = [due.token(value, style) for value, style in product(values, STYLES)]
    for before, after, token in product(DUE_PIECES, DUE_PIECES, tokens):
        for gap, space in product(("", " "), ("", " ")):
            _check_due(before + space + token + gap + after, BERLIN, dt.time(9))
            tally["texts"] += 1


@pytest.mark.campaign
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
