"""Decides the ranks that remember the order of the lines, changing as few as it can.

Rule: ranks rise strictly with the order in the file, and a rank that can stay,
stays. One inserted or moved line changes one rank, so one row is written.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STEP = 1 << 20
"""Distance between ranks given at an end of the file: room for 20 insertions at one place."""

ROOM = 1 << 8
"""By how much the least gap between new ranks grows with each step that renumbering widens by.

The next insertions find a gap again, and a place that is used much gets more.
"""


def ranks(ranks_in_file_order: Sequence[int | None]) -> list[int]:
    """Return new ranks, strictly rising, for lines whose old ranks are given in file order.

    None is a new line. The longest rising run of old ranks is kept; each other
    line gets a rank between its kept neighbours, spread evenly. Where no whole
    number is left between them, the nearest kept ranks are given up too, until
    there is room. Ranks may become negative (a line inserted at the top).
    """
    result = [rank or 0 for rank in ranks_in_file_order]
    kept = longest_rise(ranks_in_file_order)
    edges = (-1, *kept, len(result))
    for at in range(len(edges) - 1):
        if edges[at + 1] - edges[at] > 1:
            _fill(result, edges, at, at + 1)
    return result


def longest_rise(old: Sequence[int | None]) -> list[int]:
    """Return the indices of a longest strictly rising subsequence, in n log n."""
    lowest: list[int] = []  # at n: the smallest rank that ends a rise of n + 1
    ends: list[int] = []  # at n: its index
    before = [-1] * len(old)
    for index, rank in enumerate(old):
        if rank is None:
            continue
        at = bisect_left(lowest, rank)
        before[index] = ends[at - 1] if at else -1
        lowest[at : at + 1] = [rank]
        ends[at : at + 1] = [index]
    return list(_chain(before, ends[-1] if ends else -1))[::-1]


def _chain(before: Sequence[int], index: int) -> Iterator[int]:
    """Yield ``index`` and what comes before it, back to the beginning."""
    while index >= 0:
        yield index
        index = before[index]


def _fill(result: list[int], edges: Sequence[int], left: int, right: int) -> None:
    """Give ranks to the lines between two of the ``edges``: kept lines and both ends."""
    enough = 1
    while not _fits(result, edges, left, right, enough):
        enough = min(STEP, enough + ROOM)
        left, right = left - 1, right + 1  # not beyond an end: there is room at both
    first, count = edges[left] + 1, edges[right] - edges[left] - 1
    low, high = _limits(result, edges, left, right)
    for place in range(count):
        result[first + place] = low + (high - low) * (place + 1) // (count + 1)


def _fits(result: list[int], edges: Sequence[int], left: int, right: int, enough: int) -> bool:
    """Return whether the lines between two edges can stand ``enough`` apart."""
    low, high = _limits(result, edges, left, right)
    return high - low >= enough * (edges[right] - edges[left])


def _limits(result: list[int], edges: Sequence[int], left: int, right: int) -> tuple[int, int]:
    """Return the ranks to stay between; an end of the file leaves as much room as it likes."""
    room = STEP * (edges[right] - edges[left])
    if right < len(edges) - 1:
        high = result[edges[right]]
        return (result[edges[left]] if left else high - room), high
    low = result[edges[left]] if left else 0
    return low, low + room
