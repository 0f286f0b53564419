"""The lines of the file beside the links of the store, and which of them are matched.

Rule: a match is for good, and one-to-one.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from omisync.core.reword import Line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from omisync.core.model import Entry, Link

_STYLES = dict.fromkeys((0xFE0E, 0xFE0F))
"""The variation selectors of emoji: editors and phones add and drop them at will."""


def normalised(text: str) -> str:
    """Return ``text`` as identity compares it; case and punctuation still count.

    NFC, no emoji variation selectors, each run of white space (no-break spaces
    too) one space, none at the ends.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.translate(_STYLES))
    return " ".join(text.split())


@dataclass(slots=True)
class Board:
    """Both lists, and what has been matched so far."""

    entries: Sequence[Entry]
    links: Sequence[Link]
    unread: AbstractSet[int] = frozenset()
    link_of: list[int | None] = field(init=False)
    entry_of: list[int | None] = field(init=False)

    def __post_init__(self) -> None:
        self.link_of = [None] * len(self.entries)
        self.entry_of = [None] * len(self.links)

    def take(self, entry: int, link: int) -> None:
        """Match the two for good."""
        self.link_of[entry] = link
        self.entry_of[link] = entry

    def new(self) -> list[int]:
        """Return the entries that are read and have no link so far."""
        return [
            at for at, link in enumerate(self.link_of) if link is None and at not in self.unread
        ]

    def held(self) -> list[int]:
        """Return the entries that are not read and have no link so far."""
        return [at for at in sorted(self.unread) if self.link_of[at] is None]

    def old(self, *, absent: bool | None = None) -> list[int]:
        """Return the links without an entry so far; with ``absent`` those that are so, or not."""
        free = [at for at, entry in enumerate(self.entry_of) if entry is None]
        return [at for at in free if absent in {None, self.links[at].is_absent}]


class Place(NamedTuple):
    """Where a line stands among the matched ones; see ``Line``."""

    above: int | None
    below: int | None
    position: int


class Rest(NamedTuple):
    """Lines still to match."""

    news: list[Line]
    olds: list[Line]


def lines(board: Board, news: list[int], olds: list[int]) -> Rest:
    """Return what identity sees of these entries and links."""
    # In a file of one line, the two ends are all the neighbours there are.
    edge = -1 if len(board.entries) - len(board.unread) == len(board.links) == 1 else None
    of_entries = _places(board.link_of, edge)
    kept = [None if entry is None else at for at, entry in enumerate(board.entry_of)]
    of_links = _places(kept, edge)
    lengths = {len(link.remote_id) for link in board.links if link.remote_id is not None}
    return Rest(
        [_entry_line(at, board.entries[at], of_entries[at], lengths) for at in news],
        [_link_line(at, board.links[at], of_links[at]) for at in olds],
    )


def _entry_line(at: int, entry: Entry, place: Place, lengths: AbstractSet[int]) -> Line:
    """Return the entry as a line; ids of Omi's are of these lengths, others are the person's."""
    task, text, named = entry.task, normalised(entry.task.text), entry.explicit_id
    remote_id = named if named is not None and len(named) in lengths else None
    return Line(at, text, entry.section, task.completed, task.due, remote_id, False, *place)


def _link_line(at: int, link: Link, place: Place) -> Line:
    """Return the link as a line, as last seen."""
    task, text, absent = link.seen, normalised(link.seen.text), link.is_absent
    return Line(at, text, link.section, task.completed, task.due, link.remote_id, absent, *place)


def _places(marks: Sequence[int | None], edge: int | None) -> dict[int, Place]:
    """Return the places of the unmatched lines of one side; ``marks`` name the others by link."""
    below, belows = edge, {}
    for at in range(len(marks) - 1, -1, -1):
        if (mark := marks[at]) is None:
            belows[at] = below
        else:
            below = mark
    above, offset, places = edge, 0, {}
    for at, mark in enumerate(marks):
        if mark is None:
            places[at] = Place(above, belows[at], at + offset)
        else:
            above, offset = mark, mark - at
    return places
