"""TOML text to a Document and back: the ``[[todo]]`` tables of the file, in order.

Rule: tomllib alone decides what the file says; the scan only finds where it
says it.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date, time
from typing import TYPE_CHECKING, Any

from omisync.core import due
from omisync.core.model import BOM, DESCRIPTION_LIMIT, Document, Entry, Notice, Span, Task
from omisync.core.reword import similarity
from omisync.core.toml.scan import Place, chunks, first_words, inline_tables, key_lines
from omisync.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TEXT_KEYS = ("description", "text", "title")
COMPLETED_KEYS = ("completed", "done")
DUE_KEYS = ("due", "due_at")
ID_KEYS = ("id",)
"""The keys of a task; the first of each is ours, the others are aliases."""
KEYS = (*TEXT_KEYS, *COMPLETED_KEYS, *DUE_KEYS, *ID_KEYS)
ADDED = tuple(key + mark for key in KEYS for mark in "_-")
"""What keys begin with that say more about one of ours: ``completed_on``."""
NAMES = frozenset({"name", "task", "summary"})
"""Names that people give a description, in lower case."""
DEADLINES = frozenset({"duedate", "deadline", "date"})
"""Names that people give a due date, in lower case without marks."""
STATES = frozenset({"status", "state"})
"""Names that people give what says whether a task is done, in lower case."""
FINISHED = frozenset(
    {"done", "completed", "complete", "finished", "closed", "cancelled", "canceled"}
)
"""What they say there of one that is, in lower case."""
_NO_MARKS = str.maketrans("", "", "_-")

NO_TASK = "no table of this file is a task: a task is a table `[[todo]]` with a `description`"
"""The notice for a file that says something and has no list of tasks."""
UNREAD = "[[{}]] is not read; a task is written below [[todo]]"
"""The notice for a list of tables in a file without any task."""

NEARLY = 0.81
"""Likeness of a name to ours from which it was likely meant; ``uid`` is 0.8 of ``id``."""


def parse(source: bytes) -> Document:
    """Return the tasks of a TOML todo file.

    A file without any ``[[todo]]``, or nearly that, has no tasks. Tasks of an inline array
    (``todo = [{...}]``) have an empty span.

    Raises:
        ParseError: The file is not TOML, a ``[[todo]]`` is not a task, or its name is mistyped.
    """
    try:
        data = load(source)
    except ParseError as error:
        if "Cannot declare ('todo',)" in error.message:
            error.advice = "begin each task with [[todo]], in two brackets"
        raise
    return read(source, data)


def read(source: bytes, data: dict[str, object]) -> Document:
    """Return the tasks of a TOML todo file that says ``data``, as ``parse`` does."""
    todos = data.get("todo", [])
    if not isinstance(todos, list) or not all(isinstance(todo, dict) for todo in todos):
        line = _first_mention(source, "todo")
        raise ParseError(
            f"`todo` (line {line}) is not a list of tables",
            line,
            1,
            'write each task as a table of its own: [[todo]] and below it description = "..."',
        )
    strangers = _strangers(data)
    for name in strangers:
        if _is_mistyped(name, data[name]):  # what stands there would count as removed
            line = _first_mention(source, name)
            advice = "begin each task with [[todo]]; a list of your own needs a name of its own"
            raise ParseError(f"[[{name}]] (line {line}) is not [[todo]]", line, 1, advice)
    tables = list(zip(_places(source), todos, strict=True))
    entries = tuple(_entry(source, place, todo) for place, todo in tables)
    if "todo" in data:
        notices = *_notices(entries), *_mistyped(source, tables)
    else:
        notices = tuple(Notice(_first_mention(source, x), UNREAD.format(x)) for x in strangers)
        if not notices and (line := first_words(source)):
            notices = (Notice(line, NO_TASK),)
    return Document(source, entries, notices)


def _strangers(data: Mapping[str, object]) -> list[str]:
    """Return the names of the lists of tables that are not ours."""
    lists = ((name, value) for name, value in data.items() if isinstance(value, list) and value)
    return [n for n, rows in lists if n != "todo" and all(isinstance(row, dict) for row in rows)]


def _is_mistyped(name: str, rows: Any) -> bool:
    """Return whether a list of tables was likely meant to be ours: by its name, and as tasks."""
    named = _likeness(name.casefold(), "todo") >= NEARLY
    return named and any(not row.keys().isdisjoint(TEXT_KEYS) for row in rows)


def _mistyped(
    source: bytes, tables: Sequence[tuple[Place, Mapping[str, object]]]
) -> Iterator[Notice]:
    """Warn of keys that are nearly ours. Others are the person's, also what adds to ours."""
    foreign = {key for _, table in tables for key in table}.difference(KEYS)
    dates = {key for key in foreign if key.casefold().translate(_NO_MARKS) in DEADLINES}
    states = {key for key in foreign if key.casefold() in STATES}
    typos = {key: _nearest(key, KEYS) for key in foreign - dates if not key.startswith(ADDED)}
    near = {key: meant for key, meant in typos.items() if meant} | dict.fromkeys(dates, DUE_KEYS[0])
    near |= dict.fromkeys(states, f"{COMPLETED_KEYS[0]} = true")
    for place, table in tables if near else ():
        has_date = not table.keys().isdisjoint(DUE_KEYS)
        has_mark = not table.keys().isdisjoint(COMPLETED_KEYS)
        for key in filter(near.__contains__, table):
            is_open = has_mark or str(table[key]).casefold() not in FINISHED
            if not (key in dates and has_date) and not (key in states and is_open):
                message = f"{key} is not read; did you mean {near[key]}?"
                yield Notice(_key_line(source, place, key), message)


def _nearest(word: str, words: Sequence[str]) -> str:
    """Return the word that was likely meant, an empty text where none was.

    The first letter is seldom mistyped; letters that change places are as likely as any.
    """
    word = word.casefold()
    alike = (one for one in words if one[0] == word[:1])
    likeness, near = max(((_likeness(word, one), one) for one in alike), default=(0.0, ""))
    return near if likeness >= NEARLY else ""


def _likeness(word: str, one: str) -> float:
    return 1.0 if sorted(word) == sorted(one) else similarity(word, one)


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
        advice = _way_out(what, source.splitlines()[line - 1 : line])
        raise ParseError(f"not valid TOML: {what}", line, column, advice) from None
    except RecursionError:
        raise ParseError("keys or brackets are nested too deeply", 1, 1) from None
    except ValueError as error:  # a number with more digits than Python converts
        raise ParseError(f"not valid TOML: {error}", 1, 1) from None


# What a table says.


class _Wrong(Exception):
    """A table is not a task, because of this key. It never leaves this file."""

    def __init__(self, key: str, what: str, advice: str) -> None:
        self.key = key
        self.what = what
        self.advice = advice


def _entry(source: bytes, place: Place, table: dict[str, object]) -> Entry:
    try:
        task = Task(_text(table), _completed(table), _due(table))
        return Entry(task, place.line, explicit_id=_explicit_id(table), span=place.span)
    except _Wrong as wrong:
        line = _key_line(source, place, wrong.key)
        name = f"[[todo]] number {place.number} (line {line})"
        raise ParseError(f"{name}: {wrong.what}", line, 1, wrong.advice) from None


def _text(table: dict[str, object]) -> str:
    key = _used(table, TEXT_KEYS)
    advice = 'write description = "what to do"'
    text = table.get(key)
    if text is None:
        meant = (key for key in table if _nearest(key, TEXT_KEYS) or key.casefold() in NAMES)
        if near := next(meant, ""):
            advice = f"did you mean description? write it in the place of {near}"
            raise _Wrong(near, f"it has no description, but {near}", advice)
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
        advice = f"keep one of them, best {keys[0]}"
        if others := [key for key in used if "title" in used and key != "title"]:
            advice = f"keep title as the task, and give {others[0]} another name, such as notes"
        raise _Wrong(used[1], f"{' and '.join(used)} mean the same", advice)
    return used[0] if used else keys[0]


def _notices(entries: tuple[Entry, ...]) -> Iterator[Notice]:
    for entry in entries:
        if len(entry.task.text) > DESCRIPTION_LIMIT:
            yield Notice(
                entry.line,
                f"the description has more than {DESCRIPTION_LIMIT} characters: "
                "Omi gets it cut at a word, the file keeps it whole",
            )


# Where a table stands.


def _places(source: bytes) -> list[Place]:
    """Return the places of the tasks of this file, in order."""
    return [*_cells(source)] or [*chunks(source)]


def _cells(source: bytes) -> Iterator[Place]:
    """Yield the places of the tasks that are inline tables of one array."""
    line, at = 1, 0
    for number, cell in enumerate(inline_tables(source)[0], 1):
        line += source.count(b"\n", at, cell.start)
        at = cell.start
        yield Place(number, line, Span(0, 0))


def _first_mention(source: bytes, name: str) -> int:
    """Return the line of the first key or header that names what the file has."""
    return min(line for path, line in key_lines(source).items() if path[0] == name)


def _key_line(source: bytes, place: Place, key: str) -> int:
    """Return the line of a key of this task, the header's where the key has none."""
    chunk = source[place.span.start : place.span.end]
    return place.line - 1 + key_lines(chunk).get(("todo", key), 1)


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


_VALUE = re.compile(r"\s*[\w.-]+\s*=\s*([^#]*)")
"""What stands behind a bare key, without a comment."""
_MEANT = (
    (re.compile(r"[^\[{]*,\s*\Z"), "take the comma at the end of that line away"),
    (re.compile(r"[“”„‟‘’«»]"), 'use straight quotes: "..."'),
    (
        re.compile(r"[0-9]{4}-[0-9]{1,2}-|[0-9]{1,2}:[0-9]{2}"),
        "write a date as 2026-01-31, and one with a time as 2026-01-31T17:00:00",
    ),
    (re.compile(r"(?i:true|false|yes|no|on|off)\b"), "write true or false, in small letters"),
    (re.compile(r"[^\W\d_]|[~/.@#]"), 'put text in quotes: "..."'),
)
"""What a value that TOML does not know begins with, and how it is written."""


def _way_out(what: str, lines: Sequence[bytes]) -> str:
    """Return how a line that tomllib stopped at was likely meant, empty where nobody knows."""
    for raw in lines:
        if "Cannot declare" in what or "Cannot overwrite" in what:
            return "write each table, and each key of it, once"
        found = _VALUE.match(raw.decode(errors="replace"))
        value = found[1] if found and what.startswith(("Invalid value", "Expected newline")) else ""
        for begins, advice in _MEANT:
            if begins.match(value):
                return advice
    return ""
