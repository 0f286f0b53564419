"""Skip the lines at both ends of the file that did not change.

Rule: a skipped line would have been matched with itself and left alone. Lines are
compared by a fingerprint of what they say; an ``Entry`` or a ``Link`` is made of a
line only when somebody asks for it.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


def fingerprint(text: str, completed: bool, due: str | None, section: str) -> int:
    """Return 64 bits that stand for all that a line says, with its section.

    They hold within one process, which keys them at random: the chance that an
    edited line keeps its fingerprint is 1 in 2**64.
    """
    return hash((text, completed, due, section))


def fingerprints(found: Iterable[int] = ()) -> array[int]:
    """Return an array of fingerprints, 8 bytes each."""
    return array("q", found)


class LazySequence(Sequence[T]):  # noqa: PLW1641 - nobody looks a whole file up in a set
    """Entries or links, each made when it is first asked for, and the same one from then on.

    ``fingerprints`` stand for what the lines say; ``made`` are items that exist
    already, by index. ``needs_decision`` holds the indices of the first and the last
    item that needs a decision even if its line did not change, None where none does.
    ``may_reorder`` tells that an id or an absence may pair lines out of order.
    """

    __slots__ = ("_made", "_make", "fingerprints", "may_reorder", "needs_decision")

    def __init__(
        self,
        fingerprints: array[int],
        make: Callable[[int], T],
        *,
        made: dict[int, T] | None = None,
        needs_decision: tuple[int, int] | None = None,
        may_reorder: bool = False,
    ) -> None:
        self.fingerprints = fingerprints
        self.needs_decision = needs_decision
        self.may_reorder = may_reorder
        self._make = make
        self._made: list[T | None] = [None] * len(fingerprints)
        for at, one in (made or {}).items():
            self._made[at] = one

    def __len__(self) -> int:
        return len(self.fingerprints)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[T, ...]: ...
    def __getitem__(self, at: int | slice) -> T | tuple[T, ...]:
        if isinstance(at, slice):
            return tuple([self[one] for one in range(len(self.fingerprints))[at]])
        made = self._made[at]
        if made is None:
            made = self._made[at] = self._make(at % len(self.fingerprints))
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return repr(tuple(self))


class Ends(NamedTuple):
    """How many lines at the head and at the tail of the file are skipped."""

    head: int = 0
    tail: int = 0


def ends(entries: Sequence[object], links: Sequence[object]) -> Ends:
    """Return how many lines at both ends are the same on both sides and need no decision.

    The last unchanged line before a change is not skipped: changed lines are matched
    and ranked by their neighbours.
    """
    if not isinstance(entries, LazySequence) or not isinstance(links, LazySequence):
        return Ends()
    if entries.may_reorder or links.may_reorder:
        return Ends()
    now, before = entries.fingerprints, links.fingerprints
    head = _common_prefix(now, before)
    longest = min(len(now), len(before)) - head
    tail = _common_prefix(now[: -longest - 1 : -1], before[: -longest - 1 : -1])
    if links.needs_decision is not None:
        first, last = links.needs_decision
        head, tail = min(head, first), min(tail, len(before) - 1 - last)
    return Ends(max(0, head - 1), max(0, tail - 1))


def _common_prefix(ours: array[int], theirs: array[int]) -> int:
    """Return how many values both begin with, by bisection: slices are compared quickly."""
    same, beyond = 0, min(len(ours), len(theirs)) + 1
    while beyond - same > 1:
        middle = (same + beyond) // 2
        if ours[same:middle] == theirs[same:middle]:
            same = middle
        else:
            beyond = middle
    return same
