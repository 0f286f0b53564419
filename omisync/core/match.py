"""Decides which entry of the file is which link: identity without ids in the file.

Rule: pairs are one-to-one, and each step removes what it matched. First an id
that the person wrote, then equal text (aligned with the lines around it, then
anywhere), then what the app made of the text, then equal text but for a date that is
not read (it is put right as a warning says, or mistyped), then a list numbered anew,
then the same words replaced in several lines, then words added to each of several, then
likeness. What did not change costs one comparison; only the rest is looked at more closely.

Neither the checkbox nor the due token is part of identity: people tick a line,
move it and reword it in one go. They decide only between lines of equal text.

A line that is not read for its box takes a link by its id or by its exact text
alone, after all lines that are read; but one that has the very date of a link has
more of it than an equal line without.

An id that no link has is no identity, and neither is one that a better copy of
the line has claimed. Such an entry still takes a link of equal text, after the
lines without an id (a mistyped id does not make another line of it). But it is
never merely *like* a link of another remote id: the person said in writing that
it is not. An unknown id may be like a link without a remote id, as the line of
an item proven gone is; a copy may not, its id is known to be another's. And an id as
long as none that Omi gave is not one of Omi's: it says nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from omisync.core import detail, due, renumber, replace, reword
from omisync.core.board import Board, Rest, lines, normalised
from omisync.core.equal import by_text
from omisync.core.model import ESCAPED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from omisync.core.model import Entry, Link, Task

__all__ = ["Matching", "normalised", "pair"]

_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Matching:
    """Which entry is which link, by index.

    ``pairs`` are (entry, link) in entry order, ``new`` the entries that no link
    matched, in file order, ``absent`` the links without an entry, in rank order.
    """

    pairs: tuple[tuple[int, int], ...]
    new: tuple[int, ...]
    absent: tuple[int, ...]


def pair(
    entries: Sequence[Entry],
    links: Sequence[Link],
    edited: Mapping[int, str] | None = None,
    unread: AbstractSet[int] = frozenset(),
) -> Matching:
    """Return which entry is which link; ``links`` come sorted by rank.

    ``edited`` has the text that the app gave to links, by index: another machine may
    have written it into the file, or a person on both sides. ``unread`` are the indices
    of entries whose box means nothing.

    Links are compared as last seen. Those absent for now take part in every
    step, so that a line which comes back is the same task; among equal lines
    they come after the links that were in the file a moment ago.
    """
    if not links:
        return Matching((), tuple(range(len(entries))), ())
    edited = edited or {}
    board = Board(entries, links, unread)
    _by_id(board)
    _by_edit(board, _fresh(board, edited))
    for absent, written in product((False, True), repeat=2):
        news = [at for at in board.new() if (entries[at].explicit_id is not None) is written]
        olds = board.old(absent=absent)
        if news and olds:
            by_text(board, news, olds)
    _by_edit(board, edited)
    if unread:
        _by_unread(board, edited)
    _but_for_a_date(board)
    _by_rewording(board)
    _by_agreement(board)
    return Matching(
        pairs=tuple((at, link) for at, link in enumerate(board.link_of) if link is not None),
        new=tuple(at for at, link in enumerate(board.link_of) if link is None),
        absent=tuple(board.old()),
    )


def _by_id(board: Board) -> None:
    """Match the entries in which the person wrote the remote id of a link."""
    claims: defaultdict[str, list[int]] = defaultdict(list)
    for at, entry in enumerate(board.entries):
        if entry.explicit_id is not None:
            claims[entry.explicit_id].append(at)
    for at, link in enumerate(board.links) if claims else ():
        if link.remote_id is not None and link.remote_id in claims:
            board.take(_best_copy(board, claims.pop(link.remote_id), link), at)


def _best_copy(board: Board, copies: list[int], link: Link) -> int:
    """Return the entry that kept most of the line: text, then section, then state; the first.

    One that is read comes before those that are not.
    """
    if len(copies) == 1:
        return copies[0]
    text = normalised(link.seen.text)

    def likeness(at: int) -> tuple[bool, bool, float, bool, bool]:
        entry = board.entries[at]
        now = normalised(entry.task.text)
        likest = at not in board.unread, now == text, reword.similarity(now, text)
        return *likest, entry.section == link.section, entry.task == link.seen

    return max(copies, key=likeness)


def _fresh(board: Board, edited: Mapping[int, str]) -> dict[int, str]:
    """Return the texts of the app that no line had before, of tasks whose line did not stay.

    A line that says one is not merely another of that text, even if there is a new one
    elsewhere that says what the task said.
    """
    if not edited:
        return {}
    known = {normalised(link.seen.text) for link in board.links}
    there = set(_in_place((entry.section, entry.task.text) for entry in board.entries))
    stayed = _in_place((link.section, link.seen.text) for link in board.links)
    stays = [said in there for said in stayed]
    return {
        at: text for at, text in edited.items() if normalised(text) not in known and not stays[at]
    }


def _in_place(lines: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yield section and text of each line, with the text of the line above."""
    above = ""
    for section, said in lines:
        text = normalised(said)
        yield section, text, above
        above = text


def _by_edit(board: Board, edited: Mapping[int, str]) -> None:
    """Match the lines that say what the app made of their task, but none with a copied id."""
    if edited:
        _by_saying(board, _unclaimed(board), edited)


def _by_saying(
    board: Board,
    news: Iterable[int],
    texts: Mapping[int, str],
    alike: Callable[[str], str] = normalised,
) -> None:
    """Match these entries with the links that have their text among ``texts``, in order."""
    olds: defaultdict[str, deque[int]] = defaultdict(deque)
    for at in board.old():
        if at in texts:
            olds[alike(texts[at])].append(at)
    for at in news:
        if same := olds[alike(board.entries[at].task.text)]:
            board.take(at, same.popleft())


def _by_unread(board: Board, edited: Mapping[int, str]) -> None:
    """Match the lines that are not read with what is left of the links of their exact text.

    A formatter that escapes a box may have escaped the words, too.
    """
    for absent in (False, True):
        olds = board.old(absent=absent)
        if (news := board.held()) and olds:
            by_text(board, news, olds)
    for texts in (edited, _agreed(board)):
        _by_saying(board, board.held(), texts)
    for absent in (False, True):
        said = {at: board.links[at].seen.text for at in board.old(absent=absent)}
        _by_saying(board, board.held(), said, _unescaped)


def _unescaped(text: str) -> str:
    """Return a text as identity compares it, without what formatters put before its signs."""
    return normalised(ESCAPED.sub(r"\1", text))


def _but_for_a_date(board: Board) -> None:
    """Match the lines that differ from their task by nothing but a date that is not read.

    First those where it is the same date, then those under their heading, then anywhere; and
    where there are as many lines of a text as tasks: else the lines around them tell more.
    """
    news = [at for at in board.new() if board.entries[at].explicit_id is None]
    olds = board.old()
    if not (news and olds):
        return
    lines = {at: _undated(board.entries[at].task, board.entries[at].section) for at in news}
    tasks = {at: _undated(board.links[at].seen, board.links[at].section) for at in olds}
    ways = ((True, True), (False, True), (True, False), (False, False))
    for (within, dated), absent in product(ways, (False, None)):
        its = _alike(tasks, board.old(absent=absent), within=within, dated=dated)
        free = [at for at in news if board.link_of[at] is None]
        for said, ats in _alike(lines, free, within=within, dated=dated).items():
            if len(ats) == len(its.get(said, ())):
                for new, old in zip(ats, its[said], strict=True):
                    if _is_put_right(board.entries[new].task, board.links[old].seen):
                        board.take(new, old)


class _Undated(NamedTuple):
    """A line without its date: the text, the day that it has, read or not, and the section."""

    text: str
    day: str
    section: str


def _undated(task: Task, section: str) -> _Undated:
    text, dates = due.parted(task.text)
    days = [task.due[:10]] if task.due else re.findall(due.DAY, dates)
    return _Undated(normalised(text), days[0] if days else "", section)


def _alike(
    rows: Mapping[int, _Undated], ats: Iterable[int], *, within: bool, dated: bool
) -> dict[_Undated, list[int]]:
    """Return these rows by what they say, and by their section and day if they are to count."""
    found: defaultdict[_Undated, list[int]] = defaultdict(list)
    for at in ats:
        text, day, section = rows[at]
        if text and (day or not dated):
            key = _Undated(text, day if dated else "", section if within else "")
            found[key].append(at)
    return found


def _is_put_right(new: Task, old: Task) -> bool:
    """Return whether one of the two has a date that is not read, or both have one in figures.

    A finished line, now open with another date, is the next round of a chore.
    """
    is_no_round = new.completed or not old.completed
    dates = [cut for task in (new, old) if (cut := due.parted(task.text)[1])]
    if len(dates) > 1:  # `due:landlord` is none, and as good a word as any
        return all(map(_DIGIT.search, dates)) and is_no_round
    return bool(dates) and is_no_round


def _by_agreement(board: Board) -> None:
    """Match the lines for which no task was found with those that said the same when synced.

    A rewording that was not sent may be taken back.
    """
    if agreed := _agreed(board):
        _by_saying(board, _unclaimed(board), agreed)


def _agreed(board: Board) -> dict[int, str]:
    """Return what the lines of the links that are left said when they were last in sync."""
    bases = {at: board.links[at].base for at in board.old()}
    return {at: base.local.text for at, base in bases.items() if base is not None}


def _by_rewording(board: Board) -> None:
    """Match the rest with the lines they were reworded from, but no line with a copied id.

    Edits made to many lines at once, such as a search-and-replace, come first: the lines
    they match are the neighbours that the others are recognised by.
    """
    rest = _reworded(board)
    for throughout in (renumber, replace, detail):
        if min(map(len, rest)) >= throughout.ENOUGH and (pairs := throughout.pair(*rest)):
            for new, old in pairs:
                board.take(new, old)
            rest = _reworded(board)
    if rest.news and rest.olds:
        for new, old in reword.pair(*rest):
            board.take(new, old)


def _reworded(board: Board) -> Rest:
    """Return the lines of both sides that may be one reworded; none if one side has none."""
    olds = board.old()
    if not (olds and board.new()):
        return Rest([], [])
    return lines(board, _unclaimed(board), olds)


def _unclaimed(board: Board) -> list[int]:
    """Return the entries without a link so far that have no id of a link either."""
    known = {link.remote_id for link in board.links} - {None}
    return [at for at in board.new() if board.entries[at].explicit_id not in known]
