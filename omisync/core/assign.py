"""Decides which pairs to choose, one-to-one, when each pair has a gain.

Rule: the choice has the greatest total gain. Where rivals are too many for
that, the best pair is taken first, so the work stays bounded.
"""

from __future__ import annotations

from collections import defaultdict
from math import inf
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Pair: TypeAlias = tuple[int, int]

SMALL = 32
"""Members of a cluster, on either side, up to which the choice is optimal: its cost is cubic."""


def best(gains: Mapping[Pair, float]) -> set[Pair]:
    """Return the one-to-one choice of pairs with the greatest total of their gains.

    Gains are positive; a pair without one cannot be chosen. Exact for clusters
    (pairs that compete, directly or through others) of up to 32 members on a
    side; in larger ones the pair of the greatest gain goes first.
    """
    chosen: set[Pair] = set()
    for cluster in _clusters(gains):
        lefts, rights = sorted({a for a, _ in cluster}), sorted({b for _, b in cluster})
        if max(len(lefts), len(rights)) > SMALL:
            chosen.update(_greatest_first(gains, cluster))
        elif len(lefts) <= len(rights):
            chosen.update(_greatest_total({pair: gains[pair] for pair in cluster}, lefts, rights))
        else:
            turned = {(b, a): gains[a, b] for a, b in cluster}
            chosen.update((a, b) for b, a in _greatest_total(turned, rights, lefts))
    return chosen


def _clusters(pairs: Mapping[Pair, float]) -> Iterator[list[Pair]]:
    """Yield the pairs in groups that share no member."""
    rights: defaultdict[int, list[int]] = defaultdict(list)
    lefts: defaultdict[int, list[int]] = defaultdict(list)
    for left, right in pairs:
        rights[left].append(right)
        lefts[right].append(left)
    for first in list(rights):
        cluster: list[Pair] = []
        waiting = [first]
        while waiting:
            left = waiting.pop()
            for right in rights.pop(left, ()):
                cluster.append((left, right))
                waiting += lefts.pop(right, ())
        if cluster:  # else it is in one that was yielded
            yield cluster


def _greatest_first(gains: Mapping[Pair, float], cluster: Sequence[Pair]) -> Iterator[Pair]:
    """Yield the pair of the greatest gain, then that of what it leaves, and so on."""
    lefts: set[int] = set()
    rights: set[int] = set()
    for pair in sorted(cluster, key=lambda pair: (-gains[pair], pair)):
        left, right = pair
        if left not in lefts and right not in rights:
            lefts.add(left)
            rights.add(right)
            yield pair


def _greatest_total(
    gains: Mapping[Pair, float], rows: Sequence[int], columns: Sequence[int]
) -> Iterator[Pair]:
    """Yield the pairs of the greatest total; there are no fewer columns than rows."""
    costs = [[-gains.get((row, column), 0.0) for column in columns] for row in rows]
    for row, column in zip(rows, _cheapest(costs), strict=True):
        pair = row, columns[column]
        if pair in gains:
            yield pair


def _cheapest(costs: Sequence[Sequence[float]]) -> list[int]:
    """Return the column of each row at the least total cost (Kuhn-Munkres, with potentials)."""
    width = len(costs[0])
    row_price = [0.0] * len(costs)
    column_price = [0.0] * (width + 1)
    owner: list[int | None] = [None] * (width + 1)  # the last is virtual: rows start there
    for row in range(len(costs)):
        owner[width] = row
        _seat(costs, row_price, column_price, owner)
    column_of = {row: column for column, row in enumerate(owner) if row is not None}
    return [column_of[row] for row in range(len(costs))]


def _seat(
    costs: Sequence[Sequence[float]],
    row_price: list[float],
    column_price: list[float],
    owner: list[int | None],
) -> None:
    """Assign a column to the row in the virtual one, along the cheapest augmenting path."""
    door = column = len(costs[0])
    slack = [inf] * door
    came_from = [door] * door
    reached: list[tuple[int, int]] = []  # column and row
    open_columns = list(range(door))
    while (row := owner[column]) is not None:
        reached.append((column, row))
        for other in open_columns:
            cost = costs[row][other] - row_price[row] - column_price[other]
            if cost < slack[other]:
                slack[other], came_from[other] = cost, column
        column = min(open_columns, key=slack.__getitem__)
        _shift(slack[column], reached, row_price, column_price)
        open_columns.remove(column)
        step = slack[column]
        for other in open_columns:
            slack[other] -= step
    while column != door:
        owner[column] = owner[came_from[column]]
        column = came_from[column]
    owner[door] = None


def _shift(
    step: float,
    reached: Sequence[Pair],
    row_price: list[float],
    column_price: list[float],
) -> None:
    """Adjust the potentials so that the next column is reached at no cost."""
    for column, row in reached:
        row_price[row] += step
        column_price[column] -= step
