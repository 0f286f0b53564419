"""Changes and additions of single tasks in a Markdown file, verified by reading it again.

Rule: what was not asked for does not change. The rewritten file is read, and has
exactly the old tasks with the changes and additions in place; what cannot be
written like that is refused, the rest is applied.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from omisync.core import due
from omisync.core.markdown import blocks, insertion, lines
from omisync.core.markdown.entries import MARKS, parse
from omisync.core.markdown.legible import legible
from omisync.core.model import Addition, Change, Document, Rewriting, Task
from omisync.core.splice import Splice, spliced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from omisync.core.markdown.blocks import Item
    from omisync.core.markdown.entries import Marks
    from omisync.core.markdown.insertion import Place
    from omisync.core.markdown.lines import Manner
    from omisync.core.model import Entry


_FEW = 8
"""Asks that are tried one by one; of more, those that read wrong in both ways are given up."""


class _Ask(NamedTuple):
    """One change (``at`` is the index of its entry) or addition (``at`` is None).

    ``number`` is its place among all that was asked for; ``anew`` gives up on
    touching as little of its line as possible.
    """

    number: int
    what: Change | Addition
    at: int | None = None
    anew: bool = False


class _Draft(NamedTuple):
    """What all attempts to write into one file have in common."""

    document: Document
    marks: Marks
    how: Manner
    items: Mapping[int, Item]
    place: Place


class _Row(NamedTuple):
    """An entry of the new file as it should read, and the number of the ask that made it so.

    ``section`` is None where any will do.
    """

    task: Task
    explicit_id: str | None
    section: str | None = None
    number: int | None = None


class _Attempt(NamedTuple):
    """A new file, what is written in it, and the rows that it should have."""

    document: Document
    asks: Sequence[_Ask]
    rows: Sequence[_Row]


def rewrite(
    document: Document,
    changes: Sequence[Change],
    additions: Sequence[Addition] = (),
    marks: Marks = MARKS,
    heading: str = "",
) -> Rewriting:
    """Return the file with changes and additions in it; no other byte of it differs.

    Additions stand at the end of the file, with ``heading`` at the end of that
    section; a missing one is created, at level 2 unless it begins with ``#``.
    Refused is also a change of an entry of another document, the second of two
    changes of one entry, and another text where the present one has swallowed tasks.
    """
    asks = [ask for ask in _asks(document, changes, additions) if _can_be_said(ask)]
    draft = _draft(document, asks, marks, heading)
    asks = [ask for ask in asks if not _would_lose(draft, ask)]
    attempt = _attempt(draft, asks)
    if not _fits(attempt):
        attempt = _without_faults(draft, attempt)
    rows = enumerate(attempt.rows)
    places = {row.number: index for index, row in rows if row.number is not None}
    kept = {ask.number for ask in attempt.asks}
    return Rewriting.of(attempt.document, changes, additions, places, kept)


def _asks(
    document: Document, changes: Sequence[Change], additions: Sequence[Addition]
) -> Iterator[_Ask]:
    known = {entry.span.start: index for index, entry in enumerate(document.entries)}
    for number, change in enumerate(changes):
        at = known.get(change.entry.span.start)
        if at is not None and document.entries[at] == change.entry:
            del known[change.entry.span.start]
            yield _Ask(number, change, at)
    for number, addition in enumerate(additions, len(changes)):
        yield _Ask(number, addition)


def _can_be_said(ask: _Ask) -> bool:
    """Return whether a line of its own could say the task; where it could not, no file can."""
    task = ask.what.task
    old = ask.what.entry.task if isinstance(ask.what, Change) else None
    if task is None:
        return True
    if task.due and (not old or task.due != old.due):
        token = due.find(due.token(task.due, due.ICON)).token
        if not token or token.value != task.due:
            return False
    if (old and task.text == old.text) or (task.text and legible(task.text) == task.text):
        return True
    entries = parse(f"- [ ] {task.text}".encode(errors="replace")).entries
    return [entry.task for entry in entries] == [Task(task.text)]


def _would_lose(draft: _Draft, ask: _Ask) -> bool:
    """Return whether lines that were likely meant as tasks would go with the text of another."""
    if not isinstance(ask.what, Change):
        return False
    old, new = ask.what.entry, ask.what.task
    item = draft.items.get(old.span.start)
    if item is None or (new is not None and new.text == old.task.text):
        return False
    return any(at < old.span.end for at in item.nearly)


def _draft(document: Document, asks: Sequence[_Ask], marks: Marks, heading: str) -> _Draft:
    source = document.source
    how = lines.manner(document, marks)
    place = insertion.Place(len(source))
    items = {}
    if any(isinstance(ask.what, Addition) for ask in asks):
        place = insertion.choose(document, how.bullet, heading)
    if any(isinstance(ask.what, Change) and _is_more_than_a_tick(ask.what) for ask in asks):
        found = blocks.read(source, blocks.begin(source))
        items = {item.bullet: item for item in found if isinstance(item, blocks.Item)}
    return _Draft(document, marks, how, items, place)


def _is_more_than_a_tick(change: Change) -> bool:
    old, new = change.entry.task, change.task
    return bool(change.explicit_id) or not new or (new.text, new.due) != (old.text, old.due)


def _attempt(draft: _Draft, asks: Sequence[_Ask]) -> _Attempt:
    """Return the file with all of this written into it."""
    source = draft.document.source
    asks = sorted(asks, key=lambda ask: ask.number)
    splices: list[Splice] = []
    added: list[bytes] = []
    for ask in asks:
        if isinstance(ask.what, Change):
            item = draft.items.get(ask.what.entry.span.start)
            splices += lines.changed(source, ask.what, item, draft.how, anew=ask.anew)
        else:
            added.append(lines.added(ask.what, draft.how))
    if added:
        new = insertion.put(source, draft.place, added, draft.how.line_end)
        splices.append(Splice(draft.place.offset, draft.place.offset, new))
    data = spliced(source, splices)
    rows = _rows(draft, asks)
    return _Attempt(draft.document if data == source else parse(data, draft.marks), asks, rows)


def _rows(draft: _Draft, asks: Sequence[_Ask]) -> list[_Row]:
    """Return how the entries of the new file should read."""
    entries = draft.document.entries
    by_entry = {ask.at: ask for ask in asks if ask.at is not None}
    rows = [_row(entry, by_entry.get(index)) for index, entry in enumerate(entries)]
    below = bisect_left(entries, draft.place.offset, key=lambda entry: entry.span.start)
    new = [
        _Row(ask.what.task, lines.writable(ask.what.explicit_id), number=ask.number)
        for ask in asks
        if isinstance(ask.what, Addition)
    ]
    return [row for row in (*rows[:below], *new, *rows[below:]) if row]


def _row(entry: Entry, ask: _Ask | None) -> _Row | None:
    """Return how an entry should read, None where it is to be gone."""
    if not ask:
        return _Row(entry.task, entry.explicit_id, entry.section)
    if ask.what.task is None:
        return None
    explicit_id = lines.writable(ask.what.explicit_id) or entry.explicit_id
    return _Row(ask.what.task, explicit_id, entry.section, ask.number)


def _is_as_asked(row: _Row, entry: Entry) -> bool:
    return (
        row.task == entry.task
        and row.explicit_id == entry.explicit_id
        and row.section in {None, entry.section}
    )


def _fits(attempt: _Attempt) -> bool:
    """Return whether a new file has exactly the rows that it should have."""
    rows, entries = attempt.rows, attempt.document.entries
    return len(rows) == len(entries) and all(map(_is_as_asked, rows, entries))


def _wrong(attempt: _Attempt) -> set[int | None]:
    """Return which asks read otherwise than asked; None is among them for what none asked for.

    Nothing is known, and the set is empty, where entries came or went by mistake.
    """
    rows, entries = attempt.rows, attempt.document.entries
    if len(rows) != len(entries):
        return set()
    pairs = zip(rows, entries, strict=True)
    return {row.number for row, entry in pairs if not _is_as_asked(row, entry)}


def _without_faults(draft: _Draft, failed: _Attempt) -> _Attempt:
    """Return the file with all that can be written into it, each tried against the whole.

    What reads otherwise than asked is left out first; where the rest still does not
    read as asked, everything is.
    """
    wrong = _wrong(failed)
    good = _attempt(draft, [ask for ask in failed.asks if ask.number not in wrong])
    if not _fits(good):
        good = _attempt(draft, [])
    numbers = {ask.number for ask in good.asks}
    return _joined(draft, good, [ask for ask in failed.asks if ask.number not in numbers])


def _joined(draft: _Draft, good: _Attempt, group: Sequence[_Ask]) -> _Attempt:
    """Return a good attempt with as many of a group in it as fit, found by halving the group."""
    attempt = _attempt(draft, [*good.asks, *group])
    if _fits(attempt):
        return attempt
    if len(group) == 1:
        attempt = _attempt(draft, [*good.asks, group[0]._replace(anew=True)])
        return attempt if _fits(attempt) else good
    if len(group) > _FEW and _wrong(attempt).issuperset(ask.number for ask in group):
        again = [ask._replace(anew=True) for ask in group]
        wrong = _wrong(_attempt(draft, [*good.asks, *again]))
        left = [ask for ask in again if ask.number not in wrong]
        return _joined(draft, good, left) if left else good
    middle = len(group) // 2
    return _joined(draft, _joined(draft, good, group[:middle]), group[middle:])
