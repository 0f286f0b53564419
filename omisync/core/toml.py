"""TOML text to a Document and back: the ``[[todo]]`` tables of the file, in order.

Rule: tomllib alone decides what the file says; the scan below only finds where
it says it. The scan runs on documents that tomllib accepted, so strings,
comments and brackets are all it has to know.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date, time
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from omisync.core import due
from omisync.core.model import DESCRIPTION_LIMIT, Document, Entry, Notice, Span, Task
from omisync.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT_KEYS = ("description", "text", "title")
COMPLETED_KEYS = ("completed", "done")
DUE_KEYS = ("due", "due_at")
"""The keys of a task; the first of each is ours, the others are aliases."""

BOM = b"\xef\xbb\xbf"

NAMED_CHARACTERS = 60
"""How much of a task's text an error quotes: enough to find it, short enough for a line."""


def parse(source: bytes) -> Document:
    """Return the tasks of a TOML todo file.

    A file without any ``[[todo]]`` has no tasks. Tasks of an inline array
    (``todo = [{...}]``) all have the line of its key and an empty span.

    Raises:
        ParseError: The file is not TOML, or a ``[[todo]]`` is not a task.
    """
    data = load(source)
    todos = data.get("todo", [])
    if not isinstance(todos, list) or not all(isinstance(todo, dict) for todo in todos):
        line = _first_mention(source)
        raise ParseError(
            f"`todo` (line {line}) is not a list of tables",
            line,
            1,
            'write each task as a table of its own: [[todo]] and below it description = "..."',
        )
    entries = tuple(
        _entry(source, place, todo)
        for place, todo in zip(_places(source, len(todos)), todos, strict=True)
    )
    return Document(source, entries, (*_strangers(source, data), *_notices(entries)))


def _strangers(source: bytes, data: dict[str, object]) -> Iterator[Notice]:
    """Warn of lists of tables in a file without any task: the name is easily mistyped."""
    if "todo" in data:
        return
    for name, value in data.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            lines = [line for path, line in key_lines(source).items() if path[0] == name]
            message = f"[[{name}]] is not read; a task is written below [[todo]]"
            yield Notice(min(lines, default=1), message)


def render(document: Document) -> bytes:
    """Return the file's bytes, put together from its chunks and what stands between them."""
    pieces: list[bytes] = []
    at = 0
    for start, end in (entry.span for entry in document.entries if entry.span.end):
        pieces += document.source[at:start], document.source[start:end]
        at = end
    return b"".join([*pieces, document.source[at:]])


def load(source: bytes) -> dict[str, object]:
    """Return what TOML bytes say, a leading byte order mark aside.

    Raises:
        ParseError: The bytes are not UTF-8 or not TOML, at this line and column.
    """
    try:
        return tomllib.loads(source.removeprefix(BOM).decode())
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        line, column = _end_of(before)
        raise ParseError("the text is not UTF-8", line, column, "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        what, line, column = _located(error, source)
        raise ParseError(f"not valid TOML: {what}", line, column) from None
    except RecursionError:
        raise ParseError("brackets are nested too deeply", 1, 1) from None
    except ValueError as error:  # a number with more digits than Python converts
        raise ParseError(f"not valid TOML: {error}", 1, 1) from None


def key_lines(source: bytes) -> dict[tuple[str, ...], int]:
    """Return the line of each table header and key of valid TOML, by full dotted path.

    Keys inside inline tables are not listed; of a path written twice (arrays of
    tables) the first line counts.
    """
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for statement in _statements(source):
        if statement.kind == b"[":
            table = path = _path(source[statement.at : statement.end])
        elif statement.kind == b"=":
            path = table + _key(source, statement)
        else:
            continue
        lines.setdefault(path, statement.line)
    return lines


# What a table says.


class _Place(NamedTuple):
    """Where one task stands: its number in the file from 1, header line and chunk."""

    number: int
    line: int
    span: Span


class _Wrong(Exception):
    """A table is not a task, because of this key. It never leaves this file."""

    def __init__(self, key: str, what: str, advice: str) -> None:
        super().__init__(what)
        self.key = key
        self.what = what
        self.advice = advice


def _entry(source: bytes, place: _Place, table: dict[str, object]) -> Entry:
    try:
        task = Task(_text(table), _completed(table), _due(table))
        return Entry(task, place.line, explicit_id=_explicit_id(table), span=place.span)
    except _Wrong as wrong:
        line = _key_line(source, place, wrong.key)
        name = f"[[todo]] number {place.number}{_called(table)} (line {line})"
        raise ParseError(f"{name}: {wrong.what}", line, 1, wrong.advice) from None


def _text(table: dict[str, object]) -> str:
    key = _used(table, TEXT_KEYS)
    advice = 'write description = "what to do"'
    text = table.get(key)
    if text is None:
        raise _Wrong("", "it has no description", advice)
    if not isinstance(text, str):
        raise _Wrong(key, f"{key} is not text in quotes", advice)
    if not text.strip():
        raise _Wrong(key, f"{key} is blank", advice + ", or remove this [[todo]]")
    return text.strip()


def _completed(table: dict[str, object]) -> bool:
    key = _used(table, COMPLETED_KEYS)
    value = table.get(key, False)
    if not isinstance(value, bool):
        advice = f"write {key} = true or {key} = false, without quotes"
        raise _Wrong(key, f"{key} is neither true nor false", advice)
    return value


def _due(table: dict[str, object]) -> str | None:
    key = _used(table, DUE_KEYS)
    value = table.get(key)
    if value is None:
        return None
    found = {str: "text", time: "a time without a date"}.get(type(value), "not a date")
    if isinstance(value, date):  # a datetime is a date, too
        try:
            return due.canonical(value)
        except ValueError:
            found = "outside of the years 1 to 9999"
    advice = f"write {key} = 2026-01-31 or {key} = 2026-01-31T17:00:00, without quotes"
    raise _Wrong(key, f"{key} is {found}", advice)


def _explicit_id(table: dict[str, object]) -> str | None:
    value = table.get("id", "")
    if not isinstance(value, str):
        raise _Wrong("id", "id is not text in quotes", 'write id = "...", or remove that line')
    return value.strip() or None


def _used(table: dict[str, object], keys: tuple[str, ...]) -> str:
    """Return the one of these names that the table uses, else the first."""
    used = [key for key in table if key in keys]
    if len(used) > 1:
        raise _Wrong(
            used[1],
            f"{' and '.join(used)} mean the same",
            f"keep one of them, best {keys[0]}",
        )
    return used[0] if used else keys[0]


def _called(table: dict[str, object]) -> str:
    for value in (table.get(key) for key in TEXT_KEYS):
        if isinstance(value, str) and value.strip():
            first = value.strip().splitlines()[0]
            return f' "{first[:NAMED_CHARACTERS]}"'
    return ""


def _notices(entries: tuple[Entry, ...]) -> Iterator[Notice]:
    for entry in entries:
        if len(entry.task.text) > DESCRIPTION_LIMIT:
            yield Notice(
                entry.line,
                f"the description has more than {DESCRIPTION_LIMIT} characters: "
                "Omi gets it cut at a word, the file keeps it whole",
            )


# Where a table stands.


def _places(source: bytes, count: int) -> list[_Place]:
    """Return the places of the ``count`` tasks of this file, in order."""
    places = list(_chunks(source))
    if not places and count:
        line = _first_mention(source)
        return [_Place(number, line, Span(0, 0)) for number in range(1, count + 1)]
    return places


def _chunks(source: bytes) -> Iterator[_Place]:
    """Yield the chunk of each ``[[todo]]`` header, sub-tables included.

    Comment lines that stand directly on a header belong to its table, so the
    chunk before ends above them.
    """
    number = 0
    opened: tuple[int, int] | None = None  # line and first byte
    comments: int | None = None  # first byte of the comment lines just passed
    for statement in _statements(source):
        if statement.kind == b"#":
            comments = statement.start if comments is None else comments
            continue
        if statement.kind == b"[":
            path = _path(source[statement.at : statement.end])
            if opened and (path[0] != "todo" or len(path) == 1):
                end = statement.start if comments is None else comments
                yield _Place(number, opened[0], Span(opened[1], end))
                opened = None
            if path == ("todo",) and source.startswith(b"[[", statement.at):
                number += 1
                opened = (statement.line, statement.start)
        comments = None
    if opened:
        yield _Place(number, opened[0], Span(opened[1], len(source)))


def _first_mention(source: bytes) -> int:
    """Return the line of the first key or header that names ``todo``, else 1."""
    lines = key_lines(source).items()
    return min((line for path, line in lines if path[0] == "todo"), default=1)


def _key_line(source: bytes, place: _Place, key: str) -> int:
    """Return the line of a key of this task, the header's where the key has none."""
    chunk = source[place.span.start : place.span.end]
    return place.line - 1 + key_lines(chunk).get(("todo", key), 1)


# The scan: statements of TOML, one a logical line.


class _Statement(NamedTuple):
    """One statement: ``kind`` is ``[`` (header), ``=`` (key), ``#`` (comment) or empty (blank).

    ``start`` and ``end`` are bytes with the indentation and the line end, ``at``
    is the first byte that is not indentation, ``line`` is 1-based.
    """

    kind: bytes
    start: int
    at: int
    end: int
    line: int


PLAIN = rb"""(?:[^"'#\n\[\]{}\\]++|"[^"\\\n]++"|'[^'\n]++'){0,9}"""
"""Bytes that change neither nesting nor line: plain ones and simple strings.

The bound keeps the memory of a match small; the scan goes on where it ends.
"""

FLAT = re.compile(PLAIN)
LINE = re.compile(
    rb"([ \t\r]*+)(?:\[{1,2}[^\"'#\n\[\]{}]*+\]{1,2}[ \t\r]*+|" + PLAIN + rb")(?:#[^\n]*+)?\n",
)
"""A statement that is one line, as nearly all are, in one match: this is what makes it fast."""

INDENT = re.compile(rb"[ \t\r]*")
KEY = re.compile(rb"""(?:[^"'=]++|"(?:[^"\\]|\\.)*"|'[^']*+')*""")
KINDS = {b"[": b"[", b"#": b"#", b"\n": b"", b"": b""}
NESTING = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


def _statements(source: bytes) -> Iterator[_Statement]:
    start = len(BOM) if source.startswith(BOM) else 0
    line = 1
    while start < len(source):
        simple = LINE.match(source, start)
        at = simple.end(1) if simple else _after(INDENT, source, start)
        end = simple.end() if simple else _statement_end(source, at)
        yield _Statement(KINDS.get(source[at : at + 1], b"="), start, at, end, line)
        line += 1 if simple else source.count(b"\n", start, end)
        start = end


def _statement_end(source: bytes, at: int) -> int:
    """Return the offset after the newline that ends the statement at this offset."""
    depth = 0
    while at < len(source):
        at = _after(FLAT, source, at)
        mark = source[at : at + 1]
        if mark == b"#":
            at = source.find(b"\n", at) % (len(source) + 1)  # -1: the last byte's successor
        elif mark in (b'"', b"'"):
            at = _string_end(source, at, mark)
        elif mark == b"\n" and depth <= 0:
            return at + 1
        else:
            depth += NESTING.get(mark, 0)
            at += 1
    return len(source)


def _string_end(source: bytes, at: int, quote: bytes) -> int:
    """Return the offset after the string that opens here with this quote."""
    delimiter = quote * 3 if source.startswith(quote * 3, at) else quote
    if quote == b'"':
        end = _closing(source, at + len(delimiter), delimiter)
    else:
        end = source.find(delimiter, at + len(delimiter))
    if end < 0:  # not TOML; scan on, for a scan must end
        return len(source)
    end += len(delimiter)
    # A multi-line string may end in one or two quotes of its own.
    spare = 2 if len(delimiter) > 1 else 0
    while spare and source.startswith(quote, end):
        spare -= 1
        end += 1
    return end


def _closing(source: bytes, at: int, delimiter: bytes) -> int:
    """Return the offset of the delimiter that ends a string with escapes, -1 if none."""
    for found in CLOSERS[delimiter].finditer(source, at):
        if found[0] == delimiter:
            return found.start()
    return -1


CLOSERS = {delimiter: re.compile(rb"\\.|" + delimiter, re.DOTALL) for delimiter in (b'"', b'"""')}


def _key(source: bytes, statement: _Statement) -> tuple[str, ...]:
    return _path(source[statement.at : _after(KEY, source, statement.at)] + b"=0")


@lru_cache(maxsize=256)  # a file repeats few headers many times
def _path(statement: bytes) -> tuple[str, ...]:
    """Return the dotted path that a header or a key sets."""
    path: list[str] = []
    node: object = tomllib.loads(statement.decode())
    while isinstance(node, dict | list) and node:
        if isinstance(node, list):
            node = node[0]
        else:
            key, node = next(iter(node.items()))
            path.append(key)
    return tuple(path)


def _after(pattern: re.Pattern[bytes], source: bytes, at: int) -> int:
    """Return where a pattern that also matches nothing ends."""
    found = pattern.match(source, at)
    return found.end() if found else at


# Where tomllib stopped.


LOCATION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def _located(error: ValueError, source: bytes) -> tuple[str, int, int]:
    """Return what is wrong, and the line and column, of either form of the exception.

    Python 3.14 has them as attributes; before, the message alone tells.
    """
    what = LOCATION.sub("", str(error))
    line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
    if isinstance(line, int) and isinstance(column, int):
        return what, line, column
    found = LOCATION.search(str(error))
    if found and found[1]:
        return what, int(found[1]), int(found[2])
    return what, *_end_of(source.removeprefix(BOM).decode())


def _end_of(text: str) -> tuple[int, int]:
    """Return the line and column just after a text."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")
