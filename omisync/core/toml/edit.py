"""Changes and additions of single tasks in a TOML file, verified by reading it again.

Rule: a change rewrites the lines of the keys that differ (in an array of inline
tables their values) and nothing else. The new file is read, and says all that the
old one said but for what was asked; what cannot be written like that is refused, the
rest is applied.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from omisync.core import due
from omisync.core.model import BOM, Addition, Change, Document, Rewriting, Task
from omisync.core.splice import spliced
from omisync.core.toml import array, lines
from omisync.core.toml.entries import COMPLETED_KEYS, DUE_KEYS, ID_KEYS, TEXT_KEYS, load, read
from omisync.core.toml.lines import Setting
from omisync.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from omisync.core.model import Entry

SURROGATE = re.compile("[\ud800-\udfff]")

OURS = frozenset(name for names in lines.ORDER for name in names)
"""The keys of a table that make the task; the others are the person's."""


class _Ask(NamedTuple):
    """One change (``at`` is the index of its entry) or addition (``at`` is None).

    ``number`` is its place among all that was asked for.
    """

    number: int
    what: Change | Addition
    at: int | None = None


class _Row(NamedTuple):
    """An entry of the new file as it should read, and the number of the ask that made it so.

    ``table`` is what its table should say: all of it where nothing was asked,
    else all but the keys of a task.
    """

    task: Task
    explicit_id: str | None
    table: Mapping[str, object]
    number: int | None = None


class _Draft(NamedTuple):
    """What all attempts to write into one file have in common.

    ``is_array`` tells whether the tasks are in a statement ``todo = [...]``, ``usual``
    has for all names of a key the one that most of them use.
    """

    document: Document
    data: Mapping[str, object]
    is_array: bool
    usual: Mapping[tuple[str, ...], str]


class _Attempt(NamedTuple):
    """A new file that reads as asked, and what is written in it."""

    document: Document
    asks: Sequence[_Ask]


def legible(description: str) -> str:
    """Return how a description reads as the text of a task; empty where it is blank.

    White space at both ends goes, half of a surrogate pair becomes U+FFFD; all
    else stays, for a TOML string has an escape for it.
    """
    return SURROGATE.sub("\ufffd", description.strip())


def rewrite(
    document: Document, changes: Sequence[Change], additions: Sequence[Addition] = ()
) -> Rewriting:
    """Return the file with changes and additions in it; no line beside them differs.

    Additions stand at the end of the file, or of the array where the file has
    its tasks in one. A removed task takes the comments with it that stand
    directly on or below it, in an array the one in its line. Refused is also a
    change of an entry of another document, and the second of two changes of one entry.
    """
    asks = list(_asks(document, changes, additions))
    said = [ask for ask in asks if _is_said(ask)]
    unsaid = [ask for ask in asks if not _is_said(ask)]
    attempt = _settled(document, [ask for ask in unsaid if _can_be_said(ask)])
    kept = {ask.number for ask in (*said, *attempt.asks)}
    places = _indices(document, [*said, *attempt.asks])
    return Rewriting.of(attempt.document, changes, additions, places, kept)


def _asks(
    document: Document, changes: Sequence[Change], additions: Sequence[Addition]
) -> Iterator[_Ask]:
    """Yield what is asked for, each change with its entry, an entry once."""
    waiting: dict[Entry, list[int]] = {}
    for index, entry in enumerate(document.entries):
        waiting.setdefault(entry, []).append(index)
    for number, change in enumerate(changes):
        # In an array, tasks of one wording are equal entries that differ in other keys.
        equal = waiting.get(change.entry, [])
        same = (index for index in equal if document.entries[index] is change.entry)
        at = next(same, equal[0] if equal else None)
        if at is not None:
            equal.remove(at)
            yield _Ask(number, change, at)
    for number, addition in enumerate(additions, len(changes)):
        yield _Ask(number, addition)


def _is_said(ask: _Ask) -> bool:
    """Return whether the file says this already."""
    what, new = ask.what, ask.what.task
    return isinstance(what, Change) and new is not None and not _settings(what, new)


def _settings(what: Change | Addition, new: Task) -> list[Setting]:
    """Return the keys that are to be set; a new task differs from one that says nothing."""
    entry = what.entry if isinstance(what, Change) else None
    old = entry.task if entry else Task("")
    settings = []
    if not entry or new.text != old.text:
        settings.append(Setting(TEXT_KEYS, new.text))
    if new.completed != old.completed:
        settings.append(Setting(COMPLETED_KEYS, new.completed))
    if new.due != old.due:
        settings.append(Setting(DUE_KEYS, _native(new.due) if new.due else None))
    if what.explicit_id and not (entry and entry.explicit_id == what.explicit_id):
        settings.append(Setting(ID_KEYS, what.explicit_id))
    return settings


def _native(value: str) -> date | None:
    """Return the date, or date and time, of a canonical due value; None where it is none."""
    try:
        moment = (date if due.is_date(value) else datetime).fromisoformat(value)
        return moment if due.canonical(moment) == value else None
    except ValueError:
        return None


def _can_be_said(ask: _Ask) -> bool:
    """Return whether any file could say this."""
    task = ask.what.task
    if task is None:
        return True
    settings = _settings(ask.what, task)
    texts = [setting.value for setting in settings if isinstance(setting.value, str)]
    unreadable_due = task.due and Setting(DUE_KEYS, None) in settings
    return not unreadable_due and all(text and legible(text) == text for text in texts)


def _indices(document: Document, asks: Iterable[_Ask]) -> dict[int, int]:
    """Return where in the new file the task of each ask stands, by the ask's number."""
    by_entry = {ask.at: ask for ask in asks if ask.at is not None}
    numbers = [
        by_entry[index].number if index in by_entry else None
        for index in range(len(document.entries))
        if index not in by_entry or by_entry[index].what.task
    ]
    numbers += sorted(ask.number for ask in asks if ask.at is None)
    return {number: index for index, number in enumerate(numbers) if number is not None}


# Which of the asks the file takes.


def _settled(document: Document, asks: Sequence[_Ask]) -> _Attempt:
    """Return the file with all that can be written into it."""
    nothing = _Attempt(document, ())
    if not asks:
        return nothing
    try:
        data = load(document.source)
    except ParseError:  # nested as deeply as Python goes, and read nearer to its limit
        return nothing
    is_array = "todo" in data and not any(entry.span.end for entry in document.entries)
    used = Counter(name for table in _todos(data) for name in table)
    usual = {names: max(names, key=used.__getitem__) for names in lines.ORDER}
    return _joined(_Draft(document, data, is_array, usual), nothing, asks)


def _joined(draft: _Draft, good: _Attempt, group: Sequence[_Ask]) -> _Attempt:
    """Return a good attempt with as many of a group in it as fit, found by halving the group."""
    asks = [*good.asks, *group]
    document = _attempt(draft, asks)
    if document:
        return _Attempt(document, asks)
    if len(group) == 1:
        return good
    middle = len(group) // 2
    return _joined(draft, _joined(draft, good, group[:middle]), group[middle:])


def _attempt(draft: _Draft, asks: Sequence[_Ask]) -> Document | None:
    """Return the file with all of this written into it, None where it reads otherwise."""
    try:
        source = _in_array(draft, asks) if draft.is_array else _in_tables(draft, asks)
        data = load(source)
        document = read(source, data)
        return document if _fits(_rows(draft, asks), draft.data, document, data) else None
    except Exception:  # noqa: BLE001 - a file that a library chokes on is left as it was
        return None


def _rows(draft: _Draft, asks: Sequence[_Ask]) -> list[_Row]:
    """Return how the entries of the new file should read."""
    by_entry = {ask.at: ask for ask in asks if ask.at is not None}
    rows = []
    for index, (entry, table) in enumerate(
        zip(draft.document.entries, _todos(draft.data), strict=True)
    ):
        ask = by_entry.get(index)
        if ask is None:
            rows.append(_Row(entry.task, entry.explicit_id, table))
        elif ask.what.task:
            explicit_id = ask.what.explicit_id or entry.explicit_id
            rows.append(_Row(ask.what.task, explicit_id, _others(table), ask.number))
    return rows + [
        _Row(ask.what.task, ask.what.explicit_id or None, {}, ask.number)
        for ask in asks
        if ask.at is None and ask.what.task
    ]


def _fits(
    rows: Sequence[_Row],
    before: Mapping[str, object],
    document: Document,
    after: Mapping[str, object],
) -> bool:
    entries = document.entries
    return (
        len(rows) == len(entries)
        and _same(_apart(before), _apart(after))
        and all(
            (row.task, row.explicit_id) == (entry.task, entry.explicit_id)
            and _same(row.table, table if row.number is None else _others(table))
            for row, entry, table in zip(rows, entries, _todos(after), strict=True)
        )
    )


def _todos(data: Mapping[str, object]) -> list[Mapping[str, object]]:
    todos = data.get("todo")
    return todos if isinstance(todos, list) else []


def _apart(data: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in data.items() if name != "todo"}


def _others(table: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in table.items() if name not in OURS}


def _same(one: object, other: object) -> bool:
    """Return whether two values of TOML are the same; ``nan`` is, written twice."""
    return one == other or repr(one) == repr(other)


def _in_tables(draft: _Draft, asks: Sequence[_Ask]) -> bytes:
    """Return the bytes of a file of ``[[todo]]`` tables with all of this in it."""
    source = draft.document.source
    ending = lines.line_end(source)
    changes, removed, added = _parted(draft, asks)
    splices = [
        splice
        for index, settings in changes
        for splice in lines.changed(source, draft.document.entries[index].span, settings, ending)
    ]
    if removed:
        splices += lines.removals(source, removed)
    text = lines.appended(spliced(source, splices), added, ending)
    if source.endswith(b"\n") or source in {b"", BOM}:
        return text
    return text.removesuffix(b"\n").removesuffix(b"\r")


def _in_array(draft: _Draft, asks: Sequence[_Ask]) -> bytes:
    """Return the bytes of a file that has its tasks in one array with all of this in it."""
    source = draft.document.source
    ending = lines.line_end(source)
    changes, removed, added = _parted(draft, asks)
    splices = array.changed(source, changes, removed, ending)
    return array.added(spliced(source, splices), added, ending)


def _parted(
    draft: _Draft, asks: Sequence[_Ask]
) -> tuple[list[tuple[int, list[Setting]]], set[int], list[list[Setting]]]:
    """Return what is to be set by index of the entry, which entries go, and what comes."""
    removed = {ask.at for ask in asks if ask.at is not None and not ask.what.task}
    told = [
        (ask.at, [one._replace(name=draft.usual[one.names]) for one in _settings(ask.what, task)])
        for ask in asks
        if (task := ask.what.task)
    ]
    changes = [(at, settings) for at, settings in told if at is not None]
    return changes, removed, [settings for at, settings in told if at is None]
