"""What the ranks promise: the order of the file, and hardly ever a changed row."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omisync.core.order import STEP, ranks

OLD = st.lists(st.none() | st.integers(-50, 50), max_size=12)
SPACED = st.lists(st.integers(-(1 << 40), 1 << 40), unique=True, max_size=30).map(
    lambda old: [rank * STEP for rank in old]
)


def longest_rise(old: list[int | None]) -> int:
    """Return the length of the longest strictly rising run, by trying them all."""
    known = [rank for rank in old if rank is not None]
    return next(
        size
        for size in range(len(known), -1, -1)
        if any(all(a < b for a, b in pairwise(run)) for run in combinations(known, size))
    )


def changed(old: list[int | None], new: list[int]) -> int:
    """Return how many old ranks did not stay."""
    return sum(a is not None and a != b for a, b in zip(old, new, strict=True))


@given(OLD)
def test_ranks_rise_strictly_with_the_order_of_the_file(old: list[int | None]) -> None:
    """Whatever the old ranks were (equal, dense, shuffled), the new ones rise strictly."""
    new = ranks(old)
    assert len(new) == len(old)
    assert all(a < b for a, b in pairwise(new))


@given(OLD.map(lambda old: [rank if rank is None else rank * STEP for rank in old]))
def test_as_few_ranks_change_as_any_order_allows(old: list[int | None]) -> None:
    """With room between the ranks, exactly those outside a longest rising run change."""
    known = sum(rank is not None for rank in old)
    assert changed(old, ranks(old)) == known - longest_rise(old)


@given(OLD)
def test_ranks_are_settled_after_one_pass(old: list[int | None]) -> None:
    """Ranks in order are never touched again: the second pass changes nothing."""
    once = ranks(old)
    assert ranks(once) == once


@given(SPACED.map(sorted), st.data())
def test_one_inserted_line_changes_no_other_rank(old: list[int], data: st.DataObject) -> None:
    """A new line anywhere, at both ends too, finds a rank of its own."""
    place = data.draw(st.integers(0, len(old)))
    new = ranks([*old[:place], None, *old[place:]])
    assert [*new[:place], *new[place + 1 :]] == old
    assert all(a < b for a, b in pairwise(new))


@given(st.integers(-50, 50), st.integers(1, 12))
def test_a_gap_is_used_up_before_any_rank_changes(low: int, count: int) -> None:
    """New lines take the whole numbers between their neighbours, to the last one."""
    high = low + count + 1
    assert ranks([low, *[None] * count, high]) == list(range(low, high + 1))


@given(SPACED.filter(lambda old: len(old) > 1).map(sorted), st.data())
def test_one_moved_line_changes_one_rank(old: list[int], data: st.DataObject) -> None:
    """A line moved to anywhere else is the only one that gets another rank."""
    source = data.draw(st.integers(0, len(old) - 1))
    target = data.draw(st.integers(0, len(old) - 1).filter(lambda place: place != source))
    moved = [*old]
    moved.insert(target, moved.pop(source))
    assert changed([*moved], ranks(moved)) == 1


def test_a_first_file_gets_wide_gaps() -> None:
    """Lines that never had a rank stand a whole step apart."""
    assert ranks([None, None, None]) == [STEP, 2 * STEP, 3 * STEP]


def test_a_rank_is_a_whole_number() -> None:
    """Where the middle of a gap lies between two numbers, the lower one is taken."""
    assert ranks([0, None, 3]) == [0, 1, 3]


def test_a_file_without_room_is_numbered_like_a_first_one() -> None:
    """When all ranks are given up, they start again a step from nothing."""
    assert ranks([1, None, 2]) == [STEP, 2 * STEP, 3 * STEP]


def test_an_empty_file_has_no_ranks() -> None:
    """Nothing in, nothing out."""
    assert ranks([]) == []


@pytest.mark.parametrize(("moves", "dearest"), [([0], 120), ([1], 120), ([0, 1], 2_000)])
def test_a_spent_gap_is_widened_nearby(moves: list[int], dearest: int) -> None:
    """Three hundred insertions below a line, above it, or always between the last two stay cheap.

    The first twenty or so are free, and on the whole a few rows each change.
    """
    place, lines, costs = 300, [STEP * at for at in range(600)], []
    for move in moves * (300 // len(moves)):
        old = [*lines[:place], None, *lines[place:]]
        lines = ranks(old)
        costs.append(changed(old, lines))
        place += move
    assert lines == sorted(set(lines))
    assert sum(costs[:18]) == 0
    assert sum(costs) < dearest


def test_dense_ranks_make_room() -> None:
    """Two neighbours without a number between them move apart for the new line."""
    new = ranks([1, 2, None, 3, STEP])
    assert new == sorted(set(new))
    assert (new[0], new[-1]) == (1, STEP)
