"""Identity found the slow way: by trying every assignment of a few lines.

The rules are written down a second time here, in other words, so that a slip in
the fast version shows. Only the weights are shared: they are choices, not logic.
"""

from __future__ import annotations

from itertools import combinations, groupby, permutations
from typing import TYPE_CHECKING

from omisync.core import replace, reword

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from omisync.core.model import Task
    from omisync.core.reword import Line

Pairs = frozenset[tuple[int, int]]


def assignments(news: int, olds: int) -> Iterator[Pairs]:
    """Yield every one-to-one choice of pairs among so many lines, the partial ones too."""
    places = [*range(olds), *[None] * news]
    for chosen in set(permutations(places, news)):
        yield frozenset((new, old) for new, old in enumerate(chosen) if old is not None)


def most_equal(
    news: Sequence[Task], olds: Sequence[Task], *equal: Callable[[Task, Task], bool]
) -> tuple[int, ...]:
    """Return how often each of ``equal`` can hold; the first counts most, then the next.

    Every pair of an assignment satisfies the first.
    """
    return max(
        tuple(sum(same(news[new], olds[old]) for new, old in pairs) for same in equal)
        for pairs in assignments(len(news), len(olds))
        if all(equal[0](news[new], olds[old]) for new, old in pairs)
    )


def rewordings(news: Sequence[Line], olds: Sequence[Line]) -> list[Pairs]:
    """Return each best choice of rewordings, without the pairs that are a guess.

    What is barred as the next of a series is no choice, but shows what a guess is.
    """
    worth = {
        (new, old): value - reword.FLOOR
        for new, line in enumerate(news)
        for old, other in enumerate(olds)
        if (value := score(line, other)) is not None
    }
    taken = {(new, old) for new, old in worth if not is_barred(news[new], olds[old])}
    totals = {
        pairs: sum(worth[pair] for pair in pairs)
        for pairs in assignments(len(news), len(olds))
        if pairs <= taken
    }
    best = max(totals.values())
    texts = [line.text for line in news], [line.text for line in olds]
    return [
        frozenset(
            (new, old)
            for new, old in pairs
            if adds_words(news[new], olds[old]) or not is_guess(texts, worth, pairs, (new, old))
        )
        for pairs, total in totals.items()
        if best - total < 1e-9
    ]


def is_guess(
    texts: tuple[list[str], list[str]],
    worth: Mapping[tuple[int, int], float],
    pairs: Pairs,
    pair: tuple[int, int],
) -> bool:
    """Return whether exchanging one line of the pair costs next to nothing.

    The line that comes in may leave a partner, which then takes the other if it can.
    """
    news, olds = texts
    new, old = pair
    takes, taken_by = dict(pairs), {b: a for a, b in pairs}
    swaps = [(taken_by.get(other), other) for other in range(len(olds)) if other != old]
    swaps += [(other, takes.get(other)) for other in range(len(news)) if other != new]
    for his, its in swaps:
        after = {(new, its), (his, old)} & worth.keys()
        before = {pair, (his, its)} & worth.keys()
        twins = (its is not None and olds[its] == olds[old]) or (
            his is not None and news[his] == news[new]
        )
        lost = sum(worth[each] for each in before) - sum(worth[each] for each in after)
        if after and not twins and lost < reword.CLEAR * len(before):
            return True
    return False


def is_barred(new: Line, old: Line) -> bool:
    """Return whether the new line is as likely the next of a series, or round of a chore."""
    above = new.above is not None and new.above == old.above
    below = new.below is not None and new.below == old.below
    is_next = (old.completed, new.completed) == (True, False) or only_digits_differ(new, old)
    return is_next and not (above or below)


def score(new: Line, old: Line) -> float | None:
    """Return what the pair is worth; None if it is out of the question."""
    if new.remote_id and old.remote_id:
        return None
    likeness = similarity(new.text.casefold(), old.text.casefold())
    above = new.above is not None and new.above == old.above
    below = new.below is not None and new.below == old.below
    ticked = (old.completed, new.completed) == (False, True)
    near = new.section == old.section
    shortest = min(len(words(new)), len(words(old)))
    if not (adds_words(new, old) or likeness >= reword.ALIKE):
        return None
    if not (above or below):
        by_section = near and shortest >= (2 if adds_words(new, old) else 3)
        by_tick = ticked and shortest >= 2
        if not (likeness >= reword.CLOSE or by_section or by_tick):
            return None
    worth = max(likeness, reword.DETAIL) if adds_words(new, old) else likeness
    worth += reword.NEIGHBOUR * (above + below) + reword.HINT * (near + ticked)
    distance = min(reword.FAR, abs(new.position - old.position))
    return worth + reword.ABSENT * old.absent + reword.APART * distance**2


def words(line: Line) -> list[str]:
    """Return the words of a line that is written with blanks between them."""
    return line.text.casefold().split()


def adds_words(new: Line, old: Line) -> bool:
    """Return whether one can be made of the other by crossing out whole words."""
    short, long = sorted((words(new), words(old)), key=len)
    return bool(short) and common(short, long) == len(short)


def only_digits_differ(new: Line, old: Line) -> bool:
    """Return whether the two differ, and in their numbers alone."""

    def frame(line: Line) -> list[str]:
        runs = groupby(line.text.casefold(), key=str.isdigit)
        return ["#" if digits else "".join(run) for digits, run in runs]

    return new.text.casefold() != old.text.casefold() and frame(new) == frame(old)


def similarity(one: str, other: str) -> float:
    """Return twice the longest common subsequence over both lengths."""
    return 2 * common(one, other) / (len(one) + len(other)) if one or other else 1.0


def common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for a in one:
        diagonal = 0
        for at, b in enumerate(other, 1):
            diagonal, row[at] = row[at], diagonal + 1 if a == b else max(row[at], row[at - 1])
    return row[-1]


def replacements(news: Sequence[Line], olds: Sequence[Line]) -> Pairs:
    """Return the pairs that replacements explain, by comparing each text with each other.

    For words with blanks between them, and no more than four texts that share a rest.
    """
    mine, its = by_words(news), by_words(line for line in olds if not line.absent)
    edits = {
        (new, old): edit
        for new in mine
        for old in its
        if len(mine[new]) == len(its[old])
        and all(map(in_place, mine[new], its[old]))
        and (edit := replacement(old, new))
    }
    places: dict[tuple[Sequence[str], ...], list[tuple[int, int]]] = {}
    for (new, old), edit in edits.items():
        places.setdefault(edit, []).append((its[old][0].at, mine[new][0].at))
    evidence = {edit: 0 if is_series(*edit) else in_order(places[edit]) for edit in edits.values()}
    clear: dict[tuple[Sequence[str], ...], set[tuple[tuple[str, ...], ...]]] = {}
    for (new, old), edit in edits.items():
        others = [each for pair, each in edits.items() if (pair[0] == new) != (pair[1] == old)]
        weights = [evidence[each] if all(each) else max(2, evidence[each]) for each in others]
        if evidence[edit] > max(weights, default=0):
            clear.setdefault(edit, set()).add((new, old))
    return frozenset(
        (a.at, b.at)
        for (out, put), pairs in clear.items()
        if in_order([(its[old][0].at, mine[new][0].at) for new, old in pairs]) >= replace.ENOUGH
        and len(pairs) * 3 >= 2 * max(having(out, its), having(put, mine))
        for new, old in pairs
        for a, b in zip(mine[new], its[old], strict=True)
    )


def having(run: Sequence[str], texts: Iterable[Sequence[str]]) -> int:
    """Return how many of the texts have this run of words, none if it is empty."""
    return sum(f" {' '.join(run)} " in f" {' '.join(text)} " for text in texts) if run else 0


def by_words(lines: Iterable[Line]) -> dict[tuple[str, ...], list[Line]]:
    """Return the lines of each text in their order, and the texts in that of their first lines."""
    found: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        found.setdefault(tuple(words(line)), []).append(line)
    return found


def replacement(old: Sequence[str], new: Sequence[str]) -> tuple[tuple[str, ...], ...] | None:
    """Return the words between what both begin and end with; None if that is nothing."""
    least = min(len(old), len(new))
    head = next((at for at in range(least) if old[at] != new[at]), least)
    least -= head
    tail = next((at for at in range(least) if old[-1 - at] != new[-1 - at]), least)
    between = (tuple(old[head : len(old) - tail]), tuple(new[head : len(new) - tail]))
    return between if head + tail else None


def is_series(*between: Sequence[str]) -> bool:
    """Return whether a number came, went or is another, and no word beside it."""
    numbers = [[word for word in words if word.isdigit()] for words in between]
    others = [[word for word in words if not word.isdigit()] for words in between]
    return numbers[0] != numbers[1] and (all(numbers) or others[0] == others[1])


def in_order(places: Sequence[tuple[int, int]]) -> int:
    """Return how many of the places, at most, follow each other alike on both sides."""
    return max(
        size
        for size in range(1, len(places) + 1)
        for some in combinations(sorted(places), size)
        if [new for _, new in some] == sorted(new for _, new in some)
    )


def in_place(new: Line, old: Line) -> bool:
    """Return whether nothing forbids that the line became this one where it stood."""
    if (new.remote_id and old.remote_id) or (old.completed, new.completed) == (True, False):
        return False
    same = [new.section == old.section, new.above == old.above, new.below == old.below]
    return any(same) or old.completed != new.completed
