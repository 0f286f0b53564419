"""Decides which entry of the file is which link: identity without ids in the file.

Rule: pairs are one-to-one, and each step removes what it matched. First an id
that the person wrote, then equal text (aligned with the lines around it, then
anywhere), then what the app made of the text, then a list numbered anew, then the
same words replaced in several lines, then likeness. What did not change costs one
comparison; only the rest is looked at more closely.

Neither the checkbox nor the due token is part of identity: people tick a line,
move it and reword it in one go. They decide only between lines of equal text.

An id that no link has is no identity, and neither is one that a better copy of
the line has claimed. Such an entry still takes a link of equal text, after the
lines without an id (a mistyped id does not make another line of it). But it is
never merely *like* a link of another remote id: the person said in writing that
it is not. An unknown id may be like a link without a remote id, as the line of
an item proven gone is; a copy may not, its id is known to be another's.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from omisync.core import renumber, replace, reword
from omisync.core.reword import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from omisync.core.model import Entry, Link, Task

    Key: TypeAlias = Callable[[Line], Hashable]

__all__ = ["Matching", "normalised", "pair"]

_STYLES = dict.fromkeys((0xFE0E, 0xFE0F))
"""The variation selectors of emoji: editors and phones add and drop them at will."""

_NEAREST_FIRST: tuple[Key, ...] = (
    lambda line: (line.above, line.section, line.text),
    lambda line: (line.below, line.section, line.text),
    lambda line: (line.section, line.text),
    lambda line: (line.above, line.text),
    lambda line: (line.below, line.text),
    lambda line: line.text,
)
"""Where a line is looked for that has equals."""


def _state(said: Line | Task) -> Hashable:
    return said.completed, said.due


_STATES: tuple[Key, ...] = (_state, lambda line: line.due)
"""What tells equal lines apart: of a chore that comes again, the date stays with its round."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Which entry is which link, by index.

    ``pairs`` are (entry, link) in entry order, ``new`` the entries that no link
    matched, in file order, ``absent`` the links without an entry, in rank order.
    """

    pairs: tuple[tuple[int, int], ...]
    new: tuple[int, ...]
    absent: tuple[int, ...]


def pair(
    entries: Sequence[Entry], links: Sequence[Link], edited: Mapping[int, str] | None = None
) -> Matching:
    """Return which entry is which link; ``links`` come sorted by rank.

    ``edited`` has the text that the app gave to links, by index: another machine may
    have written it into the file, or a person on both sides.

    Links are compared as last seen. Those absent for now take part in every
    step, so that a line which comes back is the same task; among equal lines
    they come after the links that were in the file a moment ago.
    """
    if not links:
        return Matching((), tuple(range(len(entries))), ())
    board = _Board(entries, links)
    _by_id(board)
    if edited:
        _by_edit(board, edited, fresh=True)
    for absent, written in product((False, True), repeat=2):
        news = [at for at in board.new() if (entries[at].explicit_id is not None) is written]
        olds = [at for at in board.old() if (links[at].absent_since is not None) is absent]
        if news and olds:
            _by_text(board, news, olds)
    if edited:
        _by_edit(board, edited, fresh=False)
    _by_rewording(board)
    return Matching(
        pairs=tuple((at, link) for at, link in enumerate(board.link_of) if link is not None),
        new=tuple(board.new()),
        absent=tuple(board.old()),
    )


def normalised(text: str) -> str:
    """Return ``text`` as identity compares it; case and punctuation still count.

    NFC, no emoji variation selectors, each run of white space (no-break spaces
    too) one space, none at the ends.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.translate(_STYLES))
    return " ".join(text.split())


@dataclass(slots=True)
class _Board:
    """Both lists, and what has been matched so far."""

    entries: Sequence[Entry]
    links: Sequence[Link]
    link_of: list[int | None] = field(init=False)
    entry_of: list[int | None] = field(init=False)

    def __post_init__(self) -> None:
        self.link_of = [None] * len(self.entries)
        self.entry_of = [None] * len(self.links)

    def take(self, entry: int, link: int) -> None:
        """Match the two for good."""
        self.link_of[entry] = link
        self.entry_of[link] = entry

    def new(self) -> list[int]:
        """Return the entries without a link so far."""
        return [at for at, link in enumerate(self.link_of) if link is None]

    def old(self) -> list[int]:
        """Return the links without an entry so far."""
        return [at for at, entry in enumerate(self.entry_of) if entry is None]


class _Place(NamedTuple):
    """Where a line stands among the matched ones; see ``Line``."""

    above: int | None
    below: int | None
    position: int


class _Rest(NamedTuple):
    """Lines still to match."""

    news: list[Line]
    olds: list[Line]


def _by_id(board: _Board) -> None:
    """Match the entries in which the person wrote the remote id of a link."""
    claims: defaultdict[str, list[int]] = defaultdict(list)
    for at, entry in enumerate(board.entries):
        if entry.explicit_id is not None:
            claims[entry.explicit_id].append(at)
    for at, link in enumerate(board.links) if claims else ():
        if link.remote_id is not None and link.remote_id in claims:
            board.take(_best_copy(board, claims.pop(link.remote_id), link), at)


def _best_copy(board: _Board, copies: list[int], link: Link) -> int:
    """Return the entry that kept most of the line: text, then section, then state; the first."""
    if len(copies) == 1:
        return copies[0]
    text = normalised(link.seen.text)

    def likeness(at: int) -> tuple[bool, float, bool, bool]:
        entry = board.entries[at]
        now = normalised(entry.task.text)
        likest = now == text, reword.similarity(now, text)
        return *likest, entry.section == link.section, entry.task == link.seen

    return max(copies, key=likeness)


def _by_text(board: _Board, news: list[int], olds: list[int]) -> None:
    """Match equal texts, each with the nearest place that still has one.

    Lines that are the only ones of their text are anchors, wherever they went.
    Equal lines follow the anchor above or below them, else stay in their
    section: two blocks of the same steps may change places, or one may go. Those
    that have all the states that they had were only moved, and keep them.
    """
    news, olds = _unchanged(board, news, olds)
    for within_section in (True, False):
        news, olds = _by_itself(board, news, olds, within_section=within_section)
    if news and olds:
        rest = _shared(_lines(board, news, olds))
        moved, rest = _moved(rest)
        for key in _NEAREST_FIRST:
            moved = _join(board, moved, _with_state(key))
            rest = _join(board, rest, key)


def _unchanged(board: _Board, news: list[int], olds: list[int]) -> tuple[list[int], list[int]]:
    """Match the lines at both ends that are the same to the letter; return the others."""
    head = _run(board, news, olds)
    news, olds = news[head:], olds[head:]
    tail = _run(board, news[::-1], olds[::-1])
    return news[: len(news) - tail], olds[: len(olds) - tail]


def _run(board: _Board, news: list[int], olds: list[int]) -> int:
    """Match one by one while nothing differs, and return how many."""
    count = 0
    for new, old in zip(news, olds, strict=False):
        entry, link = board.entries[new], board.links[old]
        if entry.task != link.seen or entry.section != link.section:
            break
        board.take(new, old)
        count += 1
    return count


def _by_itself(
    board: _Board, news: list[int], olds: list[int], *, within_section: bool
) -> tuple[list[int], list[int]]:
    """Match lines that are the only ones of their text on both sides; return the others.

    In a section but those whose text has all its marks and dates elsewhere: there, equal
    lines of several sections changed places.
    """
    moved: set[str] | None = None
    entries: defaultdict[str, dict[str, int | None]] = defaultdict(dict)
    for at in news:
        entry = board.entries[at]
        _note(entries[entry.section if within_section else ""], entry.task.text, at)
    links: defaultdict[str, dict[str, int | None]] = defaultdict(dict)
    for at in olds:
        link = board.links[at]
        _note(links[link.section if within_section else ""], link.seen.text, at)
    for section, texts in entries.items():
        for text, new in texts.items():
            old = links[section].get(text)
            if new is None or old is None:
                continue
            if within_section and _state(board.entries[new].task) != _state(board.links[old].seen):
                moved = _moved_texts(board, news, olds) if moved is None else moved
                if text in moved:
                    continue
            board.take(new, old)
    return (
        [new for new in news if board.link_of[new] is None],
        [old for old in olds if board.entry_of[old] is None],
    )


def _note(texts: dict[str, int | None], text: str, at: int) -> None:
    """Note where the text stands; None where it stands more than once."""
    text = normalised(text)
    texts[text] = None if text in texts else at


def _shared(rest: _Rest) -> _Rest:
    """Return the lines whose text is on both sides."""
    texts = {line.text for line in rest.news} & {line.text for line in rest.olds}
    return _Rest(
        [line for line in rest.news if line.text in texts],
        [line for line in rest.olds if line.text in texts],
    )


def _moved(rest: _Rest) -> tuple[_Rest, _Rest]:
    """Part the lines whose text has several states, the same on both sides, from the others."""
    texts = _of_same_states(*([(line.text, _state(line)) for line in lines] for lines in rest))
    parts = [
        _Rest(*([line for line in lines if (line.text in texts) is moved] for lines in rest))
        for moved in (True, False)
    ]
    return parts[0], parts[1]


def _moved_texts(board: _Board, news: Iterable[int], olds: Iterable[int]) -> set[str]:
    """Return the texts of these entries and links that only changed places."""
    tasks = [board.entries[at].task for at in news], [board.links[at].seen for at in olds]
    return _of_same_states(*([(task.text, _state(task)) for task in side] for side in tasks))


def _of_same_states(
    news: Iterable[tuple[str, Hashable]], olds: Iterable[tuple[str, Hashable]]
) -> set[str]:
    """Return the texts that have several states, the same on both sides."""
    states: defaultdict[str, tuple[Counter[Hashable], Counter[Hashable]]]
    states = defaultdict(lambda: (Counter(), Counter()))
    for side, lines in enumerate((news, olds)):
        for text, state in lines:
            states[text][side][state] += 1
    return {text for text, (new, old) in states.items() if new == old and len(new) > 1}


def _with_state(key: Key) -> Key:
    return lambda line: (key(line), _state(line))


def _join(board: _Board, rest: _Rest, key: Key) -> _Rest:
    """Match the lines of equal ``key``; return the others."""
    groups: defaultdict[Hashable, _Rest] = defaultdict(lambda: _Rest([], []))
    for new in rest.news:
        groups[key(new)].news.append(new)
    for old in rest.olds:
        groups[key(old)].olds.append(old)
    for group in groups.values():
        for new, old in _aligned(*group):
            board.take(new.at, old.at)
    return _Rest(
        [new for new in rest.news if board.link_of[new.at] is None],
        [old for old in rest.olds if board.entry_of[old.at] is None],
    )


def _aligned(news: list[Line], olds: list[Line]) -> Iterator[tuple[Line, Line]]:
    """Pair equal lines: in order if they are as many, else those of equal state first."""
    for state in _STATES if len(news) != len(olds) else ():
        same = list(_in_state(news, olds, state))
        yield from same
        news, olds = (
            _without(news, (new for new, _ in same)),
            _without(olds, (old for _, old in same)),
        )
    yield from zip(news, olds, strict=False)


def _in_state(news: list[Line], olds: list[Line], state: Key) -> Iterator[tuple[Line, Line]]:
    """Pair, in order, lines of equal state; None is no state."""
    states: defaultdict[Hashable, deque[Line]] = defaultdict(deque)
    for old in olds:
        states[state(old)].append(old)
    states[None].clear()
    for new in news:
        if same := states[state(new)]:
            yield new, same.popleft()


def _without(lines: list[Line], taken: Iterable[Line]) -> list[Line]:
    """Return the lines that were not taken."""
    indices = {line.at for line in taken}
    return [line for line in lines if line.at not in indices]


def _lines(board: _Board, news: list[int], olds: list[int]) -> _Rest:
    """Return what identity sees of these entries and links."""
    # In a file of one line, the two ends are all the neighbours there are.
    edge = -1 if len(board.entries) == len(board.links) == 1 else None
    of_entries = _places(board.link_of, edge)
    kept = [None if entry is None else at for at, entry in enumerate(board.entry_of)]
    of_links = _places(kept, edge)
    return _Rest(
        [_entry_line(at, board.entries[at], of_entries[at]) for at in news],
        [_link_line(at, board.links[at], of_links[at]) for at in olds],
    )


def _entry_line(at: int, entry: Entry, place: _Place) -> Line:
    """Return the entry as a line."""
    task, text = entry.task, normalised(entry.task.text)
    return Line(at, text, entry.section, task.completed, task.due, entry.explicit_id, False, *place)


def _link_line(at: int, link: Link, place: _Place) -> Line:
    """Return the link as a line, as last seen."""
    task, text, absent = link.seen, normalised(link.seen.text), link.absent_since is not None
    return Line(at, text, link.section, task.completed, task.due, link.remote_id, absent, *place)


def _places(marks: Sequence[int | None], edge: int | None) -> dict[int, _Place]:
    """Return the places of the unmatched lines of one side; ``marks`` name the others by link."""
    below, belows = edge, {}
    for at in range(len(marks) - 1, -1, -1):
        if (mark := marks[at]) is None:
            belows[at] = below
        else:
            below = mark
    above, offset, places = edge, 0, {}
    for at, mark in enumerate(marks):
        if mark is None:
            places[at] = _Place(above, belows[at], at + offset)
        else:
            above, offset = mark, mark - at
    return places


def _by_edit(board: _Board, edited: Mapping[int, str], *, fresh: bool) -> None:
    """Match the lines that say what the app made of their task, but none with a copied id.

    ``fresh`` are texts that no line had before: such a line is not merely another of that
    text, even if there is a new one that says what the task said.
    """
    known = {normalised(link.seen.text) for link in board.links} if fresh else set()
    texts: defaultdict[str, deque[int]] = defaultdict(deque)
    for at in board.old():
        if at in edited and (text := normalised(edited[at])) not in known:
            texts[text].append(at)
    for at in _unclaimed(board):
        if same := texts[normalised(board.entries[at].task.text)]:
            board.take(at, same.popleft())


def _by_rewording(board: _Board) -> None:
    """Match the rest with the lines they were reworded from, but no line with a copied id.

    Edits made to many lines at once, such as a search-and-replace, come first: the lines
    they match are the neighbours that the others are recognised by.
    """
    rest = _reworded(board)
    for throughout in (renumber, replace):
        if min(map(len, rest)) >= throughout.ENOUGH and (pairs := throughout.pair(*rest)):
            for new, old in pairs:
                board.take(new, old)
            rest = _reworded(board)
    if rest.news and rest.olds:
        for new, old in reword.pair(*rest):
            board.take(new, old)


def _reworded(board: _Board) -> _Rest:
    """Return the lines of both sides that may be one reworded; none if one side has none."""
    olds = board.old()
    if not (olds and board.new()):
        return _Rest([], [])
    return _lines(board, _unclaimed(board), olds)


def _unclaimed(board: _Board) -> list[int]:
    """Return the entries without a link so far that have no id of a link either."""
    known = {link.remote_id for link in board.links} - {None}
    return [at for at in board.new() if board.entries[at].explicit_id not in known]
