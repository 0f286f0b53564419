"""Decides which new lines are old ones reworded, among those no equal text explains.

Rule: likeness needs support. Two texts are alike when all words of one occur in
the other in the same order, or when they are similar letter by letter. Support
is what a reader looks at besides: the same section, the same neighbour above or
below (across headings), a tick made in the same go. Texts that hardly differ
need none, nor do those that differ in signs alone, as bold or struck out.

Where that leaves room, this is what a careful reader would decide:

- A line of one or two words has little context of its own. That both stand in
  one section does not make "Call Bob" of "Call Tim", though it does make "Call
  Bob about the lease" of "Call Bob". A single word needs its neighbour.
- Only the digits differ: as likely the next of a series ("PR #123", "PR #124")
  as an edit. It needs its neighbour, however similar it is.
- A finished line, now open and different: as likely the next round of a chore as
  a tick taken back. It needs its neighbour. Otherwise the finished one stays so.
- The ends of the file are no neighbours: in a file rewritten from top to bottom
  they would vouch for anything.
- The best choice must be clear of the second best: of one with a line left over
  instead, and of the same lines crosswise. In "Mail Bob" and "Mail Tim", become
  "Mail Eva" and "Mail Ida", all that told them apart is new, and so are they. Nor is
  "Week 1: dust" now "Week 2: mop" where "Week 1: mop" was, though that is a series.
  Not so for added and dropped details: of a task split in two the first part is
  the old one, and of two tasks merged the first lives on.
- The same words replaced by the same others in two lines or more, the rest of
  each equal: a search-and-replace. However alike the lines are, each is the old
  one; ``replace`` has found them before likeness is asked.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from omisync.core.assign import best

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from omisync.core.assign import Pair

ALIKE = 0.6
"""Similarity that is likeness, with support: below it most pairs share only a manner of speech."""

CLOSE = 0.8
"""Similarity that needs no support."""

DETAIL = 0.7
"""What a pair counts at least when one text has all words of the other, however many more."""

CLEAR = 0.05
"""How much better each pair of a choice must be than another choice."""

SOME_WORDS = 2
"""Fewest words of the shorter text for which a tick is support. For the section it takes one
word more, unless words were only added or dropped."""

NEIGHBOUR = 0.1
"""Score of each neighbour in common: place decides between lines made after one pattern."""

HINT = 0.05
"""Score of the section in common, and of a tick."""

ABSENT = -0.02
"""Score of a link that was absent already: a line that left just now comes first."""

APART = -1e-6
"""Score of the distance squared: between equals, the order of the lines decides."""

FAR = 100
"""Lines beyond which distance says no more."""

FLOOR = 0.5
"""Score at which a pair is worth nothing: two poor pairs must not outweigh one good one."""

_FULL = 10_000
"""Pairs up to which each new line is compared with each old one (about 10 ms)."""

_NEAR = 8
"""Old lines looked at around one place, when there are too many to compare all."""

_RARE = 6
"""Words of a new line that are looked up then, the rarest first."""

_DIGITS = re.compile(r"\d+")

_SIGNED = (
    r"\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    r"\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e\u0eb1-\u0ece\u0f18-\u0fbc\u102b-\u109d\u17b4-\u17d3"
)
"""Signs of vowels and tones, to Python no part of a word (Unicode's marks, by their blocks)."""


class Line(NamedTuple):
    """One line of either side, as identity sees it.

    ``text`` is normalised. ``above`` and ``below`` are the nearest matched
    lines in document order, named by link on both sides; None at the ends.
    ``position`` counts in links: where the line stands, or would stand.
    """

    at: int
    text: str
    section: str = ""
    completed: bool = False
    due: str | None = None
    remote_id: str | None = None
    absent: bool = False
    above: int | None = None
    below: int | None = None
    position: int = 0


class Candidate(NamedTuple):
    """A pair that may be one task; ``detail`` if one text has all words of the other.

    One that lacks support for being as likely the next of a series is ``barred``: it
    is not taken, but shows that another pair of its lines is no better.
    """

    score: float
    detail: bool
    new: Line
    old: Line
    barred: bool = False


def pair(news: Sequence[Line], olds: Sequence[Line]) -> list[tuple[int, int]]:
    """Return the (new, old) indices of the lines that are one task, one-to-one.

    ``olds`` come in the order of their positions. The work grows with the
    number of lines: beyond 10,000 pairs, only lines that stand near each other
    or share a rare word are compared.
    """
    found = candidates(news, olds)
    gains = {(each.new.at, each.old.at): each.score - FLOOR for each in found if not each.barred}
    chosen = best(gains)
    return sorted(chosen - _unclear(chosen, found))


def similarity(one: str, other: str) -> float:
    """Return how similar two texts are letter by letter, 0.0 to 1.0, case aside."""
    from rapidfuzz import fuzz  # 17 ms that only a reworded line costs

    return fuzz.ratio(one.casefold(), other.casefold()) / 100


def candidates(news: Sequence[Line], olds: Sequence[Line]) -> list[Candidate]:
    """Return the pairs that likeness and support allow."""
    from rapidfuzz import fuzz  # 17 ms that only a reworded line costs

    every = len(news) * len(olds) <= _FULL
    index = _Index([reading(old) for old in olds], every=every)
    found: list[Candidate] = []
    for new in map(reading, news):
        rivals = []
        for old in index.worth_comparing(new):
            ratio = fuzz.ratio(new.text, old.text, score_cutoff=100 * ALIKE) / 100
            detail = _is_detail(new, old)
            if (ratio or detail) and (rival := _judge(new, old, ratio, detail=detail)):
                rivals.append(rival)
        found += rivals if every else sorted(rivals, reverse=True)[:_NEAR]
    return found


@dataclass(frozen=True, slots=True)
class Reading:
    """A line, taken apart once for all comparisons."""

    line: Line
    text: str
    shape: str
    words: tuple[str, ...]
    vocabulary: frozenset[str]


@cache
def _words() -> re.Pattern[str]:
    """Return what finds words; each sign of Chinese and Japanese, and each emoji, counts as one.

    Vowel and tone signs are parts of words, as is what stands behind the C of C++. Compiled
    late: its ranges take longer than most lists, of which nothing was reworded.
    """
    single = (
        r"\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\u3040-\u30ff\u3400-\u9fff\U0001f000-\U0001faff"
    )
    return re.compile(rf"[{single}]|(?:[^\W_{single}]|[{_SIGNED}])+(?:[+#]{{2,}}|[+#](?!\w))?")


def reading(line: Line) -> Reading:
    """Take the line apart."""
    text = line.text.casefold()
    words = tuple(_words().findall(text))
    return Reading(line, text, _DIGITS.sub("0", text), words, frozenset(words))


class _Index:
    """Finds the old lines that a new one is worth comparing with."""

    def __init__(self, olds: Sequence[Reading], *, every: bool) -> None:
        self.olds = olds
        self.every = every
        self.positions = [old.line.position for old in olds]
        self.having: defaultdict[str, list[int]] = defaultdict(list)
        if not every:
            for at, old in enumerate(olds):
                for word in old.vocabulary:
                    self.having[word].append(at)

    def worth_comparing(self, new: Reading) -> Iterable[Reading]:
        """Return all, or those near its place and those near it with a rare word of it."""
        if self.every:
            return self.olds
        middle = bisect_left(self.positions, new.line.position)
        near = set(_near(range(len(self.olds)), middle))
        known = [word for word in new.vocabulary if word in self.having]
        for word in sorted(known, key=lambda word: (len(self.having[word]), word))[:_RARE]:
            near.update(_near(self.having[word], middle))
        return [self.olds[at] for at in sorted(near)]


def _near(places: Sequence[int], middle: int) -> Sequence[int]:
    """Return the few of the sorted ``places`` around ``middle``."""
    start = max(0, bisect_left(places, middle) - _NEAR // 2)
    return places[start : start + _NEAR]


def may_be_one(new: Line, old: Line) -> bool:
    """Return whether neither ids nor a chore forbid that it is one line."""
    is_named = new.remote_id is not None and old.remote_id is not None
    return not is_named and (new.completed or not old.completed)


def stays(new: Line, old: Line) -> bool:
    """Return whether what stands above or below is the same line, or the file's end."""
    return new.above == old.above or new.below == old.below


def _is_detail(one: Reading, other: Reading) -> bool:
    """Return whether all words of one occur in the other, in the same order."""
    few, many = (one, other) if len(one.words) <= len(other.words) else (other, one)
    return is_within(few, many)


def is_within(few: Reading, many: Reading) -> bool:
    """Return whether all words of one text, which has some, occur in the other, in order."""
    rest = iter(many.words)
    return (
        bool(few.words)
        and few.vocabulary <= many.vocabulary
        and all(word in rest for word in few.words)
    )


def _judge(new: Reading, old: Reading, ratio: float, *, detail: bool) -> Candidate | None:
    """Return the pair of like texts with its score, None without the support it needs."""
    line, was = new.line, old.line
    if line.remote_id is not None and was.remote_id is not None:
        return None  # equal ids are matched long since: these differ
    neighbours = _in_common(line.above, was.above) + _in_common(line.below, was.below)
    close = ratio >= CLOSE or (bool(new.words) and new.words == old.words)
    if not (neighbours or close or _is_vouched_for(new, old, detail=detail)):
        return None
    score = max(ratio, DETAIL) if detail else ratio
    score += NEIGHBOUR * neighbours + HINT * (_is_ticked(line, was) + (line.section == was.section))
    score += ABSENT * was.absent + APART * min(FAR, abs(line.position - was.position)) ** 2
    return Candidate(score, detail, line, was, not neighbours and _is_ambiguous(new, old))


def _is_vouched_for(new: Reading, old: Reading, *, detail: bool) -> bool:
    """Return whether a tick or the section is support enough for texts of this length."""
    words = min(len(new.words), len(old.words))
    if _is_ticked(new.line, old.line) and words >= SOME_WORDS:
        return True
    enough = SOME_WORDS if detail else SOME_WORDS + 1
    return new.line.section == old.line.section and words >= enough


def _is_ticked(new: Line, old: Line) -> bool:
    """Return whether the line was finished in the same go."""
    return new.completed and not old.completed


def _in_common(one: int | None, other: int | None) -> bool:
    """Return whether both lines have this neighbour."""
    return one is not None and one == other


def _is_ambiguous(new: Reading, old: Reading) -> bool:
    """Return whether this is as likely the next of a series, or the next round of a chore."""
    if old.line.completed and not new.line.completed:
        return True
    return new.text != old.text and new.shape == old.shape


def _unclear(chosen: Collection[Pair], found: Sequence[Candidate]) -> set[Pair]:
    """Return the chosen pairs that are a guess: another choice would be almost as good."""
    scored = {(each.new.at, each.old.at): each for each in found}
    of_new = {new: scored[new, old] for new, old in chosen}
    of_old = {old: scored[new, old] for new, old in chosen}
    guesses: list[Candidate] = []
    for rival in found:
        mine, other = of_new.get(rival.new.at), of_old.get(rival.old.at)
        kept = [each for each in (mine, other) if each]
        others = [rival]
        if mine and other and (crosswise := scored.get((other.new.at, mine.old.at))):
            others.append(crosswise)
        if _is_close(kept, others):
            guesses += kept
    return {(each.new.at, each.old.at) for each in guesses if not each.detail}


def _is_close(kept: Sequence[Candidate], others: Sequence[Candidate]) -> bool:
    """Return whether the other choice is almost as good, and would make a difference."""
    rival = others[0]
    if any((rival.new.text, rival.old.text) == (each.new.text, each.old.text) for each in kept):
        return False  # twins: either will do
    gain = sum(each.score - FLOOR for each in kept) - sum(each.score - FLOOR for each in others)
    return gain < CLEAR * len(kept)
