"""Tells what stands as it stood, so that only the rest is looked at line by line.

Rule: what is left out here would have been matched with itself and left alone.
The lines at both ends of a file that say what they said are compared as plain
values; an ``Entry`` or a ``Link`` is made of a line only when somebody asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

Said = tuple[str, bool, str | None, str]
"""What a line says: its text, whether it is completed, its due value, its section."""


class Lines(Sequence[T]):  # noqa: PLW1641 - nobody looks a whole file up in a set
    """Entries or links, each made when it is first asked for, and the same one from then on.

    ``said`` tells of each what its line says; ``made`` are some that exist
    already, by their index. ``loud`` are the first and the last
    that wants a decision whatever its line says; None where none does.
    ``moves`` tells that an id or an absence may pair lines out of order.
    """

    __slots__ = ("_made", "_make", "loud", "moves", "said")

    def __init__(
        self,
        said: list[Said],
        make: Callable[[int], T],
        *,
        made: dict[int, T] | None = None,
        loud: tuple[int, int] | None = None,
        moves: bool = False,
    ) -> None:
        self.said = said
        self.loud = loud
        self.moves = moves
        self._make = make
        self._made: list[T | None] = [None] * len(said)
        for at, one in (made or {}).items():
            self._made[at] = one

    def __len__(self) -> int:
        return len(self.said)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[T, ...]: ...
    def __getitem__(self, at: int | slice) -> T | tuple[T, ...]:
        if isinstance(at, slice):
            return tuple([self[one] for one in range(len(self.said))[at]])
        made = self._made[at]
        if made is None:
            made = self._made[at] = self._make(at % len(self.said))
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return repr(tuple(self))


class Ends(NamedTuple):
    """How many lines at the head and at the tail need no look."""

    head: int = 0
    tail: int = 0


def ends(entries: Sequence[object], links: Sequence[object]) -> Ends:
    """Return the ends of both that are the same and need no decision.

    The line next to each end is not counted to it: what stands between is
    matched, and ranked, by its neighbours.
    """
    if not isinstance(entries, Lines) or not isinstance(links, Lines):
        return Ends()
    if entries.moves or links.moves or not entries or not links:
        return Ends()
    said, before = entries.said, links.said
    head = _run(said, before)
    longest = min(len(said), len(before)) - head
    tail = _run(said[: -longest - 1 : -1], before[: -longest - 1 : -1]) if longest else 0
    if links.loud is not None:
        first, last = links.loud
        head, tail = min(head, first), min(tail, len(before) - 1 - last)
    return Ends(max(0, head - 1), max(0, tail - 1))


def _run(ours: list[Said], theirs: list[Said]) -> int:
    """Return how many are the same from the beginning; slices are compared quickly."""
    same, beyond = 0, min(len(ours), len(theirs)) + 1
    while beyond - same > 1:
        middle = (same + beyond) // 2
        if ours[same:middle] == theirs[same:middle]:
            same = middle
        else:
            beyond = middle
    return same
