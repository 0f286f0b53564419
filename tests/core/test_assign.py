"""What the choice of pairs promises: one-to-one, and the greatest total."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from omisync.core.assign import SMALL, best

GAINS = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(10, 14)), st.integers(1, 20), max_size=10
)


def is_one_to_one(pairs: set[tuple[int, int]]) -> bool:
    """Return whether nobody is in two pairs."""
    return len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)


@given(GAINS)
def test_no_other_choice_gains_more(gains: dict[tuple[int, int], int]) -> None:
    """The total equals the greatest over all choices, tried one by one."""
    greatest = max(
        sum(gains[pair] for pair in choice)
        for size in range(len(gains) + 1)
        for choice in combinations(gains, size)
        if is_one_to_one(set(choice))
    )
    chosen = best(gains)
    assert is_one_to_one(chosen)
    assert sum(gains[pair] for pair in chosen) == greatest


@given(st.integers(2, SMALL), st.randoms(use_true_random=False))
def test_the_limit_of_exactness_is_reached_exactly(size: int, random: object) -> None:
    """Up to the largest small cluster, a known best choice among many rivals is found."""
    order = list(range(size))
    random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis types it as Random
    gains = {(a, b): 1.0 + (order[a] == b) for a in range(size) for b in range(size)}
    assert best(gains) == set(enumerate(order))


def test_only_a_larger_cluster_gives_up_the_greatest_total() -> None:
    """Two pairs of two outweigh one of three and none, as long as all choices are weighed."""

    def gain(size: int) -> float:
        gains = {(at, at): 2.0 for at in range(size)}
        gains |= {(at, at + 1): 0.5 if at % 2 else 3.0 for at in range(size - 1)}
        return sum(gains[pair] for pair in best(gains))

    assert gain(SMALL) == 2.0 * SMALL
    assert gain(SMALL + 2) < 2.0 * SMALL


def test_a_large_cluster_takes_the_best_pairs_first() -> None:
    """Beyond that size the choice is one-to-one, complete, and starts with the best."""
    size = 3 * SMALL
    gains = {(a, b): 1 / (1 + abs(a - b)) for a in range(size) for b in range(size)}
    assert best(gains) == {(at, at) for at in range(size)}


def test_a_large_cluster_takes_its_pairs_by_what_they_gain() -> None:
    """Not by their place; and who is taken is taken, though others are left over."""
    size = SMALL + 1
    best_pairs = {(at, (at + 1) % size) for at in range(size)}
    gains = dict.fromkeys(((a, b) for a in range(size) for b in range(size)), 1.0)
    gains |= dict.fromkeys(best_pairs, 2.0)
    gains |= dict.fromkeys(((at, size) for at in range(size)), 0.5)
    gains |= dict.fromkeys(((size, at) for at in range(size)), 0.5)
    assert best(gains) == best_pairs


def test_nothing_to_choose_from() -> None:
    """No pairs in, no pairs out."""
    assert best({}) == set()
