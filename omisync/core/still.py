"""Tells what stands as it stood, so that only the rest is looked at line by line.

Rule: what is left out here would have been matched with itself and left alone.
The lines at both ends of a file that say what they said are compared by a sign
of what they say; an ``Entry`` or a ``Link`` is made of a line only when somebody asks.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


def sign(text: str, completed: bool, due: str | None, section: str) -> int:
    """Return what stands for all that a line says, with its section: 64 bits.

    Signs are those of one process, which keys them at random: the chance that an
    edit leaves a line its sign is 1 in 2**64.
    """
    return hash((text, completed, due, section))


def signs(found: Iterable[int] = ()) -> array[int]:
    """Return signs as they are kept, at 8 bytes each."""
    return array("q", found)


class Lines(Sequence[T]):  # noqa: PLW1641 - nobody looks a whole file up in a set
    """Entries or links, each made when it is first asked for, and the same one from then on.

    ``signs`` tell of each what its line says; ``made`` are some that exist
    already, by their index. ``loud`` are the first and the last
    that wants a decision whatever its line says; None where none does.
    ``moves`` tells that an id or an absence may pair lines out of order.
    """

    __slots__ = ("_made", "_make", "loud", "moves", "signs")

    def __init__(
        self,
        signs: array[int],
        make: Callable[[int], T],
        *,
        made: dict[int, T] | None = None,
        loud: tuple[int, int] | None = None,
        moves: bool = False,
    ) -> None:
        self.signs = signs
        self.loud = loud
        self.moves = moves
        self._make = make
        self._made: list[T | None] = [None] * len(signs)
        for at, one in (made or {}).items():
            self._made[at] = one

    def __len__(self) -> int:
        return len(self.signs)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[T, ...]: ...
    def __getitem__(self, at: int | slice) -> T | tuple[T, ...]:
        if isinstance(at, slice):
            return tuple([self[one] for one in range(len(self.signs))[at]])
        made = self._made[at]
        if made is None:
            made = self._made[at] = self._make(at % len(self.signs))
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
    if entries.moves or links.moves:
        return Ends()
    now, before = entries.signs, links.signs
    head = _run(now, before)
    longest = min(len(now), len(before)) - head
    tail = _run(now[: -longest - 1 : -1], before[: -longest - 1 : -1])
    if links.loud is not None:
        first, last = links.loud
        head, tail = min(head, first), min(tail, len(before) - 1 - last)
    return Ends(max(0, head - 1), max(0, tail - 1))


def _run(ours: array[int], theirs: array[int]) -> int:
    """Return how many are the same from the beginning; slices are compared quickly."""
    same, beyond = 0, min(len(ours), len(theirs)) + 1
    while beyond - same > 1:
        middle = (same + beyond) // 2
        if ours[same:middle] == theirs[same:middle]:
            same = middle
        else:
            beyond = middle
    return same
