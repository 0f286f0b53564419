"""Decides which new lines are old ones of a list that was numbered anew.

Rule: the number that a line begins with is its place, not what it says. A line put
in changes the number of every line below it, and where that is all of them none is
left that could vouch for its neighbour. So the rest decides, as equal text does.

What counts, and what does not:

- The number stands first, at most behind one word ("Step 2:"), and a sign ends it,
  unless it has parts itself ("1.2"). It is no amount, no time and no year in a text.
- The rest has a letter, is equal, and stands once on each side.
- Two such lines at least, under one heading, whose numbers rise from line to line
  on both sides: "Week 1" before several lines is a label, and the next week another.
- A finished line that is now open is the next round of a chore, and a line that was
  absent already was in no edit of this file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from omisync.core import reword

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from omisync.core.reword import Line

    Rest: TypeAlias = tuple[str, str, str]

ENOUGH = 2
"""Fewest renumbered lines that count as a list."""


class _Numbered(NamedTuple):
    """A line, and the number in front of it."""

    line: Line
    number: tuple[int, ...]


def pair(news: Sequence[Line], olds: Sequence[Line]) -> list[tuple[int, int]]:
    """Return the (new, old) indices of lines that differ in their number alone, one-to-one.

    Both come in the order of their places. The work grows with their length.
    """
    was = _by_rest(old for old in olds if not old.absent)
    now = _by_rest(news) if was else {}
    lists: defaultdict[tuple[str, str], list[tuple[_Numbered, _Numbered]]] = defaultdict(list)
    for rest, new in now.items():
        old = was.get(rest)
        if new and old and reword.may_be_one(new.line, old.line):
            lists[new.line.section, old.line.section].append((new, old))
    return sorted(
        (new.line.at, old.line.at)
        for pairs in lists.values()
        if len(pairs) >= ENOUGH and all(_rises(side) for side in zip(*pairs, strict=True))
        for new, old in pairs
    )


def _by_rest(lines: Iterable[Line]) -> dict[Rest, _Numbered | None]:
    """Return the numbered lines by what else they say; None where several say that."""
    found: dict[Rest, _Numbered | None] = {}
    for line in lines:
        if match := _number().match(line.text):
            before, signed, sign, parted, space, text = match.groups()
            rest = (before, sign or space, text)
            number = tuple(int(part) for part in (signed or parted).split("."))
            found[rest] = None if rest in found else _Numbered(line, number)
    return found


@cache
def _number() -> re.Pattern[str]:
    """Return what finds a number in front of a text with a letter; compiled when first asked."""
    part = r"[0-9]{1,6}"
    return re.compile(
        r"([^\w\s]{0,3}(?:[^\W\d_]+\s)?)"
        rf"(?:({part}(?:\.{part})*)([.):\]][^\w\s]{{0,3}}\s)|({part}(?:\.{part})+)(\s))"
        r"(.*[^\W\d_].*)"
    )


def _rises(lines: Sequence[_Numbered]) -> bool:
    """Return whether the numbers rise from line to line."""
    in_order = sorted(lines, key=lambda one: one.line.at)
    return all(above.number < below.number for above, below in pairwise(in_order))
