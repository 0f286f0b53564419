"""Decides which new lines are old ones in which the same words were replaced.

Rule: one replacement made alike in two lines or more is one edit. It is told by
what was taken out, what was put in, and that the rest of each line is equal, to
the digit, and in the same order. A search-and-replace makes no line less like
itself, however little it leaves of each.

What counts, and what does not:

- The rest keeps a word, and differs from line to line: it tells which is which.
  Equal lines are evidence once, and go together if they are as many as before.
- Two of the lines follow each other in the same order on both sides.
- A number that gives way to another is the next round of a series, as likely as
  an edit. A finished line that is now open and different is one of a chore.
- Both lines stand in one place: under one heading, below or above the same line,
  or at one end of the file, for the words vouch for more than the place here. A
  tick stands for it. A line that was absent already was in no edit of this file.
- The replacement is made in more lines than any other that would explain either
  line. Words added or dropped explain it by themselves, as much as two lines do.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from itertools import product, takewhile
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from omisync.core.reword import Line

    Words: TypeAlias = tuple[str, ...]
    Frame: TypeAlias = tuple[int, int]

ENOUGH = 2
"""Lines that make a replacement one edit: once is any two lines of one pattern."""

RUN = 8
"""Words and signs replaced at most: it bounds the work for a line of hundreds."""

MANY = 8
"""Texts of one side, beyond which the rest that they share tells none from another."""

_DIGITS = re.compile(r"\d+")
_PARTS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|[^\w\s]")
"""Words, and each sign: "client," and "client" are replaced alike."""


class _Text(NamedTuple):
    """The lines of one side that have the same words, case and spaces aside."""

    words: Words
    lines: list[Line]


class _Change(NamedTuple):
    """What an old text may have become, by taking words out and putting others in."""

    new: _Text
    old: _Text
    out: Words
    put: Words


class _Cut(NamedTuple):
    """A text and the words of it that may have been replaced."""

    text: _Text
    start: int
    stop: int


def pair(news: Sequence[Line], olds: Sequence[Line]) -> list[tuple[int, int]]:
    """Return the (new, old) indices of lines that one replacement explains, one-to-one.

    Both come in the order of their places. The work grows with their length.
    """
    changes = list(_changes(_texts(news), _texts(old for old in olds if not old.absent)))
    return sorted(
        (new.at, old.at)
        for change in _clear(changes)
        for new, old in zip(change.new.lines, change.old.lines, strict=True)
    )


def _texts(lines: Iterable[Line]) -> list[_Text]:
    """Return the texts of one side, in the order of their first lines."""
    texts: dict[Words, _Text] = {}
    for line in lines:
        words = tuple(_PARTS.findall(line.text.casefold()))
        texts.setdefault(words, _Text(words, [])).lines.append(line)
    return list(texts.values())


def _changes(news: Sequence[_Text], olds: Sequence[_Text]) -> Iterator[_Change]:
    """Yield the changes that a single replacement explains, each once."""
    new_cuts, old_cuts = _cuts(news, olds)
    for frame, mine in new_cuts.items():
        its = old_cuts.get(frame, ())
        if max(len(mine), len(its)) > MANY:
            continue
        for new, old in product(mine, its):
            if _is_whole(new, old) and _may_be(new.text, old.text):
                yield _Change(new.text, old.text, _words(old), _words(new))


def _cuts(
    news: Sequence[_Text], olds: Sequence[_Text]
) -> tuple[dict[Frame, list[_Cut]], dict[Frame, list[_Cut]]]:
    """Return the texts of both sides by each rest they may have in common."""
    starts = _shared([text.words for text in news], [text.words for text in olds])
    ends = _shared([text.words[::-1] for text in news], [text.words[::-1] for text in olds])
    found: tuple[defaultdict[Frame, list[_Cut]], ...] = (defaultdict(list), defaultdict(list))
    for cuts, texts, before, after in zip(found, (news, olds), starts, ends, strict=True):
        for text, heads, tails in zip(texts, before, after, strict=True):
            size = len(text.words)
            for start, head in enumerate(heads):
                fewest = max(0, size - start - RUN)
                for kept, tail in enumerate(tails[fewest : size - start + 1], fewest):
                    cuts[head, tail].append(_Cut(text, start, size - kept))
    return found[0], found[1]


def _shared(
    news: Sequence[Words], olds: Sequence[Words]
) -> tuple[list[list[int]], list[list[int]]]:
    """Return the beginnings of each, from none of it on, numbered, while both sides have them."""
    numbers: dict[tuple[int, str], int] = {}
    of_olds: list[list[int]] = []
    for words in olds:
        heads = [0]
        for word in words:
            heads.append(numbers.setdefault((heads[-1], word), len(numbers) + 1))
        of_olds.append(heads)
    of_news: list[list[int]] = []
    for words in news:
        heads = [0]
        for word in words:
            if (number := numbers.get((heads[-1], word))) is None:
                break
            heads.append(number)
        of_news.append(heads)
    both = {head for heads in of_news for head in heads} | {0}
    return of_news, [list(takewhile(both.__contains__, heads)) for heads in of_olds]


def _words(cut: _Cut) -> Words:
    """Return the words that were replaced, or what they were replaced by."""
    return cut.text.words[cut.start : cut.stop]


def _is_whole(new: _Cut, old: _Cut) -> bool:
    """Return whether the rest is all that the two have in common at both ends, and has a word."""
    mine, its = _words(new), _words(old)
    after = its or old.text.words[old.stop :]  # of words put in twice, the second is new
    before = mine or new.text.words[new.stop :]
    if before and after and before[0] == after[0]:
        return False
    if mine and its and mine[-1] == its[-1]:
        return False
    rest = *old.text.words[: old.start], *old.text.words[old.stop :]
    return any(word[0].isalnum() for word in rest)


def _may_be(new: _Text, old: _Text) -> bool:
    """Return whether the old lines may have become the new ones, in their order."""
    return len(new.lines) == len(old.lines) and all(map(_is_in_place, new.lines, old.lines))


def _is_in_place(new: Line, old: Line) -> bool:
    """Return whether place or tick allow that it is one line; ids and chores may forbid it."""
    if (new.remote_id is not None and old.remote_id is not None) or (
        old.completed and not new.completed
    ):
        return False
    if new.completed and not old.completed:
        return True
    return new.section == old.section or new.above == old.above or new.below == old.below


def _clear(changes: Sequence[_Change]) -> Iterator[_Change]:
    """Yield the changes that are part of one edit, and better explained by no other."""
    evidence = _evidence(changes)
    weights = [_weight(change, evidence[change.out, change.put]) for change in changes]
    of_new: defaultdict[Words, list[int]] = defaultdict(list)
    of_old: defaultdict[Words, list[int]] = defaultdict(list)
    for change, weight in zip(changes, weights, strict=True):
        of_new[change.new.words].append(weight)
        of_old[change.old.words].append(weight)
    for weighed in (of_new, of_old):
        for each in weighed.values():
            each.sort(reverse=True)
    for change in changes:
        weight = evidence[change.out, change.put]
        rivals = *of_new[change.new.words][1:2], *of_old[change.old.words][1:2]
        if weight >= ENOUGH and all(weight > rival for rival in rivals):
            yield change


def _evidence(changes: Sequence[_Change]) -> dict[tuple[Words, Words], int]:
    """Return in how many lines, one below the other on both sides, each replacement is made."""
    alike: defaultdict[tuple[Words, Words], list[_Change]] = defaultdict(list)
    for change in changes:
        alike[change.out, change.put].append(change)
    return {
        replacement: 0 if _is_next(*replacement) else _in_order(group)
        for replacement, group in alike.items()
    }


def _in_order(changes: Iterable[_Change]) -> int:
    """Return the length of the longest run of changes in the same order on both sides."""
    ends: list[int] = []
    for change in sorted(changes, key=lambda change: change.old.lines[0].at):
        at = change.new.lines[0].at
        place = bisect_left(ends, at)
        ends[place : place + 1] = [at]
    return len(ends)


def _is_next(out: Words, put: Words) -> bool:
    """Return whether a number was replaced by another, or is all that came or went."""
    was, now = " ".join(out), " ".join(put)
    numbers = _DIGITS.findall(was), _DIGITS.findall(now)
    return numbers[0] != numbers[1] and (
        all(numbers) or _DIGITS.sub("", was).strip() == _DIGITS.sub("", now).strip()
    )


def _weight(change: _Change, evidence: int) -> int:
    """Return what the change counts against others of its lines."""
    return evidence if change.out and change.put else max(evidence, ENOUGH)
