"""The statements of a TOML text: where its headers, keys, comments and tasks stand.

Rule: the scan runs on documents that tomllib accepted, so strings, comments and
brackets are all it has to know; what they say is tomllib's to tell. On anything
else it still ends.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from omisync.core.model import BOM, Span

if TYPE_CHECKING:
    from collections.abc import Iterator


class Statement(NamedTuple):
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
INSIDE = re.compile(rb"""[^"'#,\[\]{}]*+""")
"""Bytes within brackets that end no part of them."""
BLANK = re.compile(rb"(?:\s++|#[^\n]*+)*+")
"""What may stand before a value: white space and comments."""
LIST = re.compile(BLANK.pattern.join((rb"=", rb"\[", rb"\{")))
"""What sets a key to a list of tables, from behind that key on."""
KINDS = {b"[": b"[", b"#": b"#", b"\n": b"", b"": b""}
NESTING = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


def statements(source: bytes) -> Iterator[Statement]:
    """Yield the statements of a text, a leading byte order mark aside; they leave no gap."""
    start = len(BOM) if source.startswith(BOM) else 0
    line = 1
    while start < len(source):
        simple = LINE.match(source, start)
        at = simple.end(1) if simple else _after(INDENT, source, start)
        end = simple.end() if simple else _statement_end(source, at)
        yield Statement(KINDS.get(source[at : at + 1], b"="), start, at, end, line)
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
    # A multi-line string may end in quotes of its own, and behind no string stands one.
    while source.startswith(quote, end):
        end += 1
    return end


def _closing(source: bytes, at: int, delimiter: bytes) -> int:
    """Return the offset of the delimiter that ends a string with escapes, -1 if none."""
    for found in CLOSERS[delimiter].finditer(source, at):
        if found[0] == delimiter:
            return found.start()
    return -1


CLOSERS = {delimiter: re.compile(rb"\\.|" + delimiter, re.DOTALL) for delimiter in (b'"', b'"""')}


def key_of(source: bytes, statement: Statement) -> tuple[str, ...]:
    """Return the dotted path that a statement of kind ``=`` sets, within its table."""
    return path_of(source[statement.at : _after(KEY, source, statement.at)] + b"=0")


@lru_cache(maxsize=256)  # a file repeats few headers many times
def path_of(statement: bytes) -> tuple[str, ...]:
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


class Cell(NamedTuple):
    """An inline table in an array, or a value in an inline table, whose key begins at ``key``.

    ``comma`` is the offset of the comma behind it, -1 where none is.
    """

    start: int
    end: int
    comma: int
    key: int = -1
    path: tuple[str, ...] = ()


def inline_tables(source: bytes) -> tuple[list[Cell], int]:
    """Return the inline tables of ``todo = [...]`` and where that closes, nothing and 0 without."""
    cells: list[Cell] = []
    close = 0
    opens = _array(source)
    for part, comma in () if opens is None else _parts(source, opens):
        start = _after(BLANK, source, part.start)
        close = part.end
        if start < close:  # a last comma has nothing behind it
            *_, (last, _) = _parts(source, start)
            cells.append(Cell(start, last.end + 1, comma))
    return cells, close


def _array(source: bytes) -> int | None:
    """Return where the array of tasks opens, None in a file that has no such."""
    for statement in statements(source):
        if statement.kind == b"[":
            break
        if statement.kind == b"=" and key_of(source, statement) == ("todo",):
            return source.index(b"[", _after(KEY, source, statement.at))
    return None


def inline_values(source: bytes, table: Cell) -> list[Cell]:
    """Return the values of an inline table."""
    cells = []
    for part, comma in _parts(source, table.start):
        key, end = _trimmed(source, part)
        equals = _after(KEY, source, key)
        start, _ = _trimmed(source, Span(equals + 1, end))
        cells.append(Cell(start, end, comma, key, path_of(source[key:equals] + b"=0")))
    return cells


def _trimmed(source: bytes, span: Span) -> Span:
    text = source[span.start : span.end].rstrip()
    return Span(span.start + len(text) - len(text.lstrip()), span.start + len(text))


def _parts(source: bytes, at: int) -> Iterator[tuple[Span, int]]:
    """Yield what stands between the commas of the brackets that open here, each with its comma."""
    depth, start = 1, at + 1
    at = _after(INSIDE, source, start)
    while at < len(source):  # pragma: no branch - brackets of TOML close
        mark = source[at : at + 1]
        if mark == b"#":
            at = source.find(b"\n", at) % (len(source) + 1)  # -1: the last byte's successor
        elif mark in (b'"', b"'"):
            at = _string_end(source, at, mark)
        else:
            depth += NESTING.get(mark, 0)
            if not depth:
                yield Span(start, at), -1
                return
            if mark == b"," and depth == 1:
                yield Span(start, at), at
                start = at + 1
            at += 1
        at = _after(INSIDE, source, at)


def key_lines(source: bytes) -> dict[tuple[str, ...], int]:
    """Return the line of each table header and key of valid TOML, by full dotted path.

    Keys inside inline tables are not listed; of a path written twice (arrays of
    tables) the first line counts.
    """
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for statement in statements(source):
        if statement.kind == b"[":
            table = path = path_of(source[statement.at : statement.end])
        elif statement.kind == b"=":
            path = table + key_of(source, statement)
        else:
            continue
        lines.setdefault(path, statement.line)
    return lines


def first_words(source: bytes) -> int:
    """Return the line of the first list of tables, in whatever table, else of the first statement.

    0 where there are only comments.
    """
    first = 0
    for statement in statements(source):
        if source.startswith(b"[[", statement.at):
            return statement.line
        if statement.kind == b"=" and LIST.match(source, _after(KEY, source, statement.at)):
            return statement.line
        if not first and statement.kind in {b"=", b"["}:
            first = statement.line
    return first


class Place(NamedTuple):
    """Where one task stands: its number in the file from 1, header line and chunk.

    ``above`` is the first byte of the comment lines that stand directly on the
    header, the chunk's own where there are none.
    """

    number: int
    line: int
    span: Span
    above: int = 0


def chunks(source: bytes) -> Iterator[Place]:
    """Yield the chunk of each ``[[todo]]`` header, sub-tables included.

    Comment lines that stand directly on a header belong to its table, so the
    chunk before ends above them.
    """
    number = 0
    opened: tuple[int, int, int] | None = None  # line, first byte, first byte with comments
    comments: int | None = None  # first byte of the comment lines just passed
    for statement in statements(source):
        if statement.kind == b"#":
            comments = statement.start if comments is None else comments
            continue
        if statement.kind == b"[":
            path = path_of(source[statement.at : statement.end])
            if opened and (path[0] != "todo" or len(path) == 1):
                end = statement.start if comments is None else comments
                yield Place(number, opened[0], Span(opened[1], end), opened[2])
                opened = None
            if path == ("todo",) and source.startswith(b"[[", statement.at):
                number += 1
                above = statement.start if comments is None else comments
                opened = (statement.line, statement.start, above)
        comments = None
    if opened:
        yield Place(number, opened[0], Span(opened[1], len(source)), opened[2])
