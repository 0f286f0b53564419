"""Decides which new lines are old ones to each of which words were added, or lost some.

Rule: a word alone may be in another task by chance, but not when so are those of the
lines around it. Where the lines left over in one place each have, one by one and in
their order, all words of a former line, they are those lines with an amount, a place
or a number put to them: a shopping list before the shop.

What counts, and what does not:

- All words of the shorter text, one with letters among them, occur in the longer one
  in the same order, and in no other of its side. Of the shorter side's, the longer one
  has no other text either.
- Two such lines at least, in the same order on both sides, under one heading, and most
  of what is left over there on the side that has less. More than half of them stand
  where they did, or they were moved as a block: short lines that went, and others at
  the end with a word of theirs, are no list.
- A finished line that is now open is the next round of a chore, and a line that was
  absent already was in no edit of this file.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from omisync.core import order, reword

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from omisync.core.reword import Line, Reading

ENOUGH = 2
"""Fewest lines that vouch for each other."""

MOST = 0.65
"""Share of the lines left over in one place, two of three."""

BLOCK = 3
"""Fewest lines that were moved together, and each added to."""

FEW = 8
"""Texts with the rarest word of another that are looked at: with more it is no sign of one."""


class _Pair(NamedTuple):
    """A new line and the old one that it has the words of, or is a part of."""

    new: Line
    old: Line


def pair(news: Sequence[Line], olds: Sequence[Line]) -> list[tuple[int, int]]:
    """Return the (new, old) indices of lines that vouch for each other, one-to-one.

    Both come in the order of their places. The work grows with their length.
    """
    places: defaultdict[str, tuple[list[Reading], list[Reading]]]
    places = defaultdict(lambda: ([], []))
    for side, lines in enumerate((news, [old for old in olds if not old.absent])):
        for line in lines:
            places[line.section][side].append(reword.reading(line))
    return sorted((each.new.at, each.old.at) for both in places.values() for each in _of_one(*both))


def _of_one(news: Sequence[Reading], olds: Sequence[Reading]) -> Sequence[_Pair]:
    """Return the pairs of one place, none where they are too few."""
    for pairs in (
        [_Pair(longer, old) for old, longer in _within(olds, news)],
        [_Pair(new, longer) for new, longer in _within(news, olds)],
    ):
        found = _in_order([each for each in pairs if reword.may_be_one(*each)])
        stay = _is_block(found) or 2 * sum(reword.stays(*each) for each in found) > len(found)
        if stay and len(found) >= max(ENOUGH, MOST * min(len(news), len(olds))):
            return found
    return ()


def _is_block(pairs: Sequence[_Pair]) -> bool:
    """Return whether these are lines with nothing between them, which may have moved together."""
    return len(pairs) >= BLOCK and all(
        side[-1].at - side[0].at == len(side) - 1 for side in zip(*pairs, strict=True)
    )


def _within(shorts: Sequence[Reading], longs: Sequence[Reading]) -> Iterator[tuple[Line, Line]]:
    """Yield the lines of one side with the only line of the other that has all their words."""
    having: defaultdict[str, list[Reading]] = defaultdict(list)
    for long in longs:
        for word in long.vocabulary:
            having[word].append(long)
    found: defaultdict[int, list[tuple[Line, Line]]] = defaultdict(list)
    for short in shorts:
        around = _around(short, having)
        if len(around) == 1:
            found[around[0].line.at].append((short.line, around[0].line))
    for pairs in found.values():
        if len(pairs) == 1:
            yield pairs[0]


def _around(short: Reading, having: Mapping[str, Sequence[Reading]]) -> Sequence[Reading]:
    """Return the texts that have all words of this one."""
    rarest = min((having.get(word, ()) for word in short.vocabulary), key=len, default=())
    if len(rarest) > FEW or not any(map(str.isalpha, short.text)):
        return ()
    return [long for long in rarest if reword.is_within(short, long)]


def _in_order(pairs: Sequence[_Pair]) -> list[_Pair]:
    """Return the pairs of a longest run that is in the same order on both sides."""
    pairs = sorted(pairs, key=lambda each: each.old.at)
    return [pairs[at] for at in order.longest_rise([each.new.at for each in pairs])]
