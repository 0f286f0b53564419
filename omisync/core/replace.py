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
  or at one end of the file (the place need not vouch for everything here, and a
  file replaced from top to bottom has no other). A tick stands for it. A line that
  was absent already was in no edit of this file.
- The replacement is made in more lines than any other that would explain either
  line, and this is so in two of them. Words added or dropped explain a line by
  themselves, as much as two lines do.
- It reaches most of the lines left over that had the words taken out, and makes
  most of those that now have the words put in: where lines came and went, some
  will always have their words in common.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import cache
from itertools import product, takewhile
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from omisync.core import order, reword

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from omisync.core.reword import Line

    Words: TypeAlias = tuple[str, ...]
    Frame: TypeAlias = tuple[int, int]

ENOUGH = 2
"""Fewest lines that make a replacement one edit: one line may be another task of its pattern."""

MOST = 0.65
"""Share of the lines left over with such words, two of three: words in common come by chance."""

RUN = 8
"""Words and signs replaced at most: it bounds the work for a line of hundreds."""

MANY = 4
"""Texts of one side, beyond which the rest that they share tells none from another."""

_DIGITS = re.compile(r"\d+")
_NO_LETTERS = re.compile(r"[\W\d_]+")


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
    now, was = _texts(news), _texts(old for old in olds if not old.absent)
    return sorted(
        (new.at, old.at)
        for change in _throughout(list(_clear(_changes(now, was))), now, was)
        for new, old in zip(change.new.lines, change.old.lines, strict=True)
    )


def _throughout(
    edits: Collection[Sequence[_Change]], news: Sequence[_Text], olds: Sequence[_Text]
) -> Iterator[_Change]:
    """Yield the changes of each edit that covers ``MOST`` of the lines with its words."""
    having_out = _having(olds, {edit[0].out for edit in edits})
    having_put = _having(news, {edit[0].put for edit in edits})
    for edit in edits:
        if len(edit) >= MOST * max(having_out[edit[0].out], having_put[edit[0].put]):
            yield from edit


def _having(texts: Iterable[_Text], runs: Collection[Words]) -> Counter[Words]:
    """Return in how many texts each of the runs of words stands."""
    sizes = sorted({len(run) for run in runs} - {0})
    found: Counter[Words] = Counter()
    for text in texts:
        ends = len(text.words) + 1
        windows = {text.words[at : at + size] for size in sizes for at in range(ends - size)}
        found.update(windows.intersection(runs))
    return found


@cache
def _parts() -> re.Pattern[str]:
    """Return what finds words and signs: in "client" and "client," the same word is replaced.

    Compiled late, as in ``reword``.
    """
    return re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+|[^\w\s]|_")


def _texts(lines: Iterable[Line]) -> list[_Text]:
    """Return the texts of one side, in the order of their first lines."""
    texts: dict[Words, _Text] = {}
    for line in lines:
        words = tuple(_parts().findall(line.text.casefold()))
        texts.setdefault(words, _Text(words, [])).lines.append(line)
    return list(texts.values())


def _changes(news: Sequence[_Text], olds: Sequence[_Text]) -> Iterator[_Change]:
    """Yield the changes that a single replacement explains, each once."""
    starts = _shared([text.words for text in news], [text.words for text in olds])
    ends = _shared([text.words[::-1] for text in news], [text.words[::-1] for text in olds])
    having: defaultdict[Frame, tuple[list[_Cut], list[_Cut]]] = defaultdict(lambda: ([], []))
    for text, heads, tails in zip(news, starts.of_news, ends.of_news, strict=True):
        for frame, cut in _cuts(text, heads, tails, starts.forks):
            having[frame][0].append(cut)
    for text, heads, tails in zip(olds, starts.of_olds, ends.of_olds, strict=True):
        for frame, cut in _cuts(text, heads, tails, starts.forks):
            if frame in having:
                having[frame][1].append(cut)
    for mine, its in having.values():
        if max(len(mine), len(its)) <= MANY:
            for new, old in product(mine, its):
                if _is_whole(new, old) and _may_be(new.text, old.text):
                    yield _Change(new.text, old.text, _words(old), _words(new))


def _cuts(
    text: _Text, heads: Sequence[int], tails: Sequence[int], forks: Collection[int]
) -> Iterator[tuple[Frame, _Cut]]:
    """Yield each frame, prefix and suffix, that the other side may have, and the words between."""
    size = len(text.words)
    for start, head in enumerate(heads):
        if head in forks:  # else all that begin like this go on alike: more than this is kept
            fewest = max(0, size - start - RUN)
            for kept, tail in enumerate(tails[fewest : size - start + 1], fewest):
                yield (head, tail), _Cut(text, start, size - kept)


class _Shared(NamedTuple):
    """The prefixes of each text that occur on both sides, as nodes of a trie; its root is 0.

    ``forks`` are the nodes after which the texts differ.
    """

    of_news: list[list[int]]
    of_olds: list[list[int]]
    forks: set[int]


def _shared(news: Sequence[Words], olds: Sequence[Words]) -> _Shared:
    """Return the prefixes, in words, that the texts of both sides have in common."""
    numbers: dict[tuple[int, str], int] = {}
    of_olds = [[*_heads(words, numbers, grow=True)] for words in olds]
    of_news = [[*_heads(words, numbers, grow=False)] for words in news]
    both = {head for heads in of_news for head in heads}
    of_olds = [[*takewhile(both.__contains__, heads)] for heads in of_olds]
    forks: set[int] = set()
    goes_on: dict[int, str] = {}
    for texts, beginnings in ((news, of_news), (olds, of_olds)):
        for words, heads in zip(texts, beginnings, strict=True):
            for head, word in zip(heads, (*words, ""), strict=False):
                if not word or goes_on.setdefault(head, word) != word:
                    forks.add(head)
    return _Shared(of_news, of_olds, forks)


def _heads(words: Words, numbers: dict[tuple[int, str], int], *, grow: bool) -> Iterator[int]:
    """Yield the trie node of each prefix; missing ones are added if ``grow``, else end it."""
    head = 0
    yield head
    for word in words:
        found = numbers.get((head, word))
        if found is None:
            if not grow:
                return
            found = numbers[head, word] = len(numbers) + 1
        head = found
        yield head


def _words(cut: _Cut) -> Words:
    """Return the words that were replaced, or what they were replaced by."""
    return cut.text.words[cut.start : cut.stop]


def _is_whole(new: _Cut, old: _Cut) -> bool:
    """Return whether the rest is all that the two have in common at both ends, and has a word."""
    put, out = _words(new), _words(old)
    at = old.start
    if new.text.words[at : at + 1] == old.text.words[at : at + 1] != ():
        return False
    if put and out and put[-1] == out[-1]:
        return False
    rest = *old.text.words[:at], *old.text.words[old.stop :]
    return any(word[0].isalnum() for word in rest)


def _may_be(new: _Text, old: _Text) -> bool:
    """Return whether the old lines may have become the new ones, in their order."""
    return len(new.lines) == len(old.lines) and all(map(_is_in_place, new.lines, old.lines))


def _is_in_place(new: Line, old: Line) -> bool:
    """Return whether place or tick allow that it is one line; ids and chores may forbid it."""
    if not reword.may_be_one(new, old):
        return False
    if new.completed and not old.completed:
        return True
    return new.section == old.section or reword.stays(new, old)


def _clear(changes: Iterable[_Change]) -> Iterator[list[_Change]]:
    """Yield the edits: changes alike and in order, each better explained by no other."""
    weighed = list(_weighed(changes))
    of_new: defaultdict[Words, list[int]] = defaultdict(list)
    of_old: defaultdict[Words, list[int]] = defaultdict(list)
    for change, _, weight in weighed:
        of_new[change.new.words].append(weight)
        of_old[change.old.words].append(weight)
    for weights in (*of_new.values(), *of_old.values()):
        weights.sort(reverse=True)
    clear = _alike(
        change
        for change, evidence, _ in weighed
        if evidence > max((0, *of_new[change.new.words][1:2], *of_old[change.old.words][1:2]))
    )
    for group in clear.values():
        if _in_order(group) >= ENOUGH:
            yield group


def _alike(changes: Iterable[_Change]) -> dict[tuple[Words, Words], list[_Change]]:
    """Return the changes by what was replaced by what."""
    groups: defaultdict[tuple[Words, Words], list[_Change]] = defaultdict(list)
    for change in changes:
        groups[change.out, change.put].append(change)
    return groups


def _weighed(changes: Iterable[_Change]) -> Iterator[tuple[_Change, int, int]]:
    """Yield each change that counts, with its evidence and its weight against others.

    Evidence are the lines, one below the other on both sides, with this replacement.
    """
    for (out, put), group in _alike(changes).items():
        evidence = 0 if _is_next(out, put) else _in_order(group)
        weight = evidence if out and put else max(evidence, ENOUGH)
        if weight >= ENOUGH:
            for change in group:
                yield change, evidence, weight


def _in_order(changes: Iterable[_Change]) -> int:
    """Return the length of the longest run of changes in the same order on both sides."""
    ranked = sorted(changes, key=lambda change: change.old.lines[0].at)
    return len(order.longest_rise([change.new.lines[0].at for change in ranked]))


def _is_next(out: Words, put: Words) -> bool:
    """Return whether a number was replaced by another, or is all that came or went."""
    was, now = (_DIGITS.findall(" ".join(words)) for words in (out, put))
    if was == now:
        return False
    return bool(was and now) or _letters(out) == _letters(put)


def _letters(words: Words) -> str:
    """Return the words without numbers and signs."""
    return _NO_LETTERS.sub("", "".join(words))
