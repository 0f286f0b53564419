"""The bytes of a TOML file with some keys set, some tables gone and some added.

Rule: what is not set, gone or added keeps its bytes; of a line whose value is
set also its indentation, its spacing and its comment. Nothing here is verified.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from omisync.core.model import BOM
from omisync.core.splice import Splice
from omisync.core.toml.entries import COMPLETED_KEYS, DUE_KEYS, ID_KEYS, TEXT_KEYS
from omisync.core.toml.scan import chunks, key_of, statements

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import date

    from tomlkit import TOMLDocument
    from tomlkit.items import Item

    from omisync.core.model import Span
    from omisync.core.toml.scan import Statement

# tomlkit takes 40 ms to import, and most runs write no file: only functions import it.

ORDER: tuple[tuple[str, ...], ...] = (TEXT_KEYS, COMPLETED_KEYS, DUE_KEYS, ID_KEYS)
"""The keys of a task in the order in which new ones are written."""

NOT_LITERAL = re.compile("[\x00-\x08\x0a-\x1f\x7f']")
"""What a string in single quotes cannot hold (TOML 1.0, String)."""

BLANK_LINES = re.compile(rb"(?:[ \t\r]*\n)*(?:[ \t\r]*\Z)?")


class Setting(NamedTuple):
    """A key to set, by all of its names; None takes it away. A new one gets ``name``."""

    names: tuple[str, ...]
    value: str | bool | date | None
    name: str = ""


def line_end(source: bytes) -> bytes:
    """Return how the first line of a file ends."""
    return b"\r\n" if source.partition(b"\n")[0].endswith(b"\r") else b"\n"


def changed(
    source: bytes, span: Span, settings: Iterable[Setting], ending: bytes
) -> Iterator[Splice]:
    """Yield what makes the table in this span say the settings.

    A key that it has is set in its line, a new one gets a line below the others.
    """
    lines = _own_lines(source[span.start : span.end])
    wanted = {setting.names: setting for setting in settings}
    last = slice(span.start, span.start)  # a task has a text, so it never stays that
    for names in ORDER:
        line = next((lines[name] for name in names if name in lines), None)
        setting = wanted.get(names)
        if line:
            here = slice(span.start + line.start, span.start + line.end)
            if setting:
                yield Splice(here.start, here.stop, _reset(source[here], setting.value, ending))
            if not setting or setting.value is not None:
                last = max(last, here, key=lambda place: place.stop)
        elif setting:
            yield Splice(last.stop, last.stop, _new_line(source[last], setting, ending))


def _own_lines(chunk: bytes) -> dict[str, Statement]:
    """Return the statements of a table's own keys, not of its sub-tables', by key."""
    lines: dict[str, Statement] = {}
    headers = 0
    for statement in statements(chunk):
        headers += statement.kind == b"["
        if statement.kind == b"=" and headers == 1:
            path = key_of(chunk, statement)
            if len(path) == 1:
                lines[path[0]] = statement
    return lines


def _reset(statement: bytes, value: str | bool | date | None, ending: bytes) -> bytes:
    """Return the line of one key with another value; of one that goes the comment stays."""
    import tomlkit

    line, key, old = _one_key(statement)
    if value is None:
        comment = old.trivia.comment + old.trivia.trail
        return (old.trivia.indent + comment).encode() if old.trivia.comment else b""
    if isinstance(value, str):
        line[key] = tomlkit.value(quoted(value, old.as_string(), ending.decode()))
    else:
        line[key] = value
    return line.as_string().encode()


def _one_key(statement: bytes) -> tuple[TOMLDocument, str, Item]:
    """Return a statement of one key as tomlkit has it, the key, and the value."""
    import tomlkit
    from tomlkit.items import Item

    line = tomlkit.parse(statement.decode())
    (key,) = line
    value = line.item(key)
    if not isinstance(value, Item):  # pragma: no cover - tables of one name in several places
        raise TypeError(key)
    return line, key, value


def quoted(text: str, old: str, ending: str) -> str:
    """Return a string of TOML, in the manner of the old one where that can hold the text."""
    import tomlkit

    # Within a multi-line string a CR would be taken for a part of a line end.
    if "\n" in text and "\r" not in text and old.startswith(('"""', "'''")):
        # The line end behind the opening quotes is not part of the string.
        string = tomlkit.string(text, multiline=True).as_string()
        return f"{string[:3]}\n{string[3:]}".replace("\n", ending)
    literal = old.startswith("'") and not NOT_LITERAL.search(text)
    return tomlkit.string(text, literal=literal).as_string()


def _new_line(above: bytes, setting: Setting, ending: bytes) -> bytes:
    """Return a line to stand below a statement, indented like it."""
    new = above[: len(above) - len(above.lstrip(b" \t"))] + said(setting)
    return new + ending if above.endswith(b"\n") else ending + new


def said(setting: Setting) -> bytes:
    """Return a key and its value, as they stand in a line or an inline table."""
    import tomlkit

    name = setting.name or setting.names[0]
    return f"{name} = {tomlkit.item(setting.value).as_string()}".encode()


# Tables that go and tables that come.


def removals(source: bytes, indices: Collection[int]) -> Iterator[Splice]:
    """Yield what takes these tables out, with the comments that stand directly on or below them.

    Of the blank lines above and below only the more stay, at the ends of the
    file the outer ones.
    """
    for start, end in _runs(source, indices):
        first = _first_blank(source, start)
        found = BLANK_LINES.match(source, end)
        last = found.end() if found else end
        above, below = source.count(b"\n", first, start), source.count(b"\n", end, last)
        is_first = not source[:first].removeprefix(BOM).strip()
        is_last = last == len(source)
        if is_first or (above >= below and not is_last):
            yield Splice(start, last)
        else:
            yield Splice(first, end)


def _runs(source: bytes, indices: Collection[int]) -> Iterator[tuple[int, int]]:
    """Yield the ranges of these tables; neighbours with only blank lines between are one."""
    start = end = -1
    for place in chunks(source):
        if place.number - 1 not in indices:
            continue
        if end < 0 or source[end : place.above].strip():
            if end >= 0:
                yield start, end
            start = place.above
        end = place.span.start + _body_end(source[place.span.start : place.span.end])
    if end >= 0:
        yield start, end


def _body_end(chunk: bytes) -> int:
    """Return where a chunk ends, less the blank lines and the comments that stand apart."""
    end = 0
    for statement in statements(chunk):
        if statement.kind in {b"=", b"["} or (statement.kind == b"#" and statement.start == end):
            end = statement.end
    return end


def _first_blank(source: bytes, at: int) -> int:
    """Return where the blank lines begin that end at the line that starts here."""
    while at:
        start = source.rfind(b"\n", 0, at - 1) + 1
        if source[start:at].strip():
            break
        at = start
    return at


def appended(text: bytes, tables: Sequence[Sequence[Setting]], ending: bytes) -> bytes:
    """Return a file with tables at its end, a blank line above each."""
    pieces = [text]
    if tables and text.removeprefix(BOM) and not text.endswith(b"\n"):
        pieces.append(ending)
    is_apart = not text.removeprefix(BOM).strip() or not _last_line(text).strip()
    for settings in tables:
        pieces += () if is_apart else (ending,)
        is_apart = False
        for line in (b"[[todo]]", *map(said, settings)):
            pieces += (line, ending)
    return b"".join(pieces)


def _last_line(text: bytes) -> bytes:
    return text[text.rfind(b"\n", 0, -1) + 1 :]
