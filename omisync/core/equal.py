"""Lines of equal text: each is matched with the nearest place that still has one.

Rule: where everything else is equal, a line that did not change is itself, a date stays
with its round of a chore, and what lies between the same neighbours was not moved.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, TypeAlias

from omisync.core.board import Rest, lines, normalised

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from omisync.core.board import Board
    from omisync.core.model import Task
    from omisync.core.reword import Line

    Key: TypeAlias = Callable[[Line], Hashable]

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


def by_text(board: Board, news: list[int], olds: list[int]) -> None:
    """Match equal texts, each with the nearest place that still has one.

    Lines that are the only ones of their text are anchors, wherever they went.
    Equal lines follow the anchor above or below them, else stay in their
    section: two blocks of the same steps may change places, or one may go. Those
    that have all the states that they had were only moved, and keep them.
    """
    news, olds = _unchanged(board, news, olds)
    dated = _of_one_date(board, news, olds)
    news = [at for at in news if at not in dated]
    taken = set(dated.values())
    olds = [at for at in olds if at not in taken]
    for within_section in (True, False):
        news, olds = _by_itself(board, news, olds, within_section=within_section)
    if news and olds:
        rest = _shared(lines(board, news, olds))
        moved, rest = _moved(rest)
        for key in _NEAREST_FIRST:
            moved = _join(board, moved, _with_state(key))
            rest = _join(board, rest, key)
    for new, old in dated.items():  # late: no line is known by its place among its equals
        board.take(new, old)


def _unchanged(board: Board, news: list[int], olds: list[int]) -> tuple[list[int], list[int]]:
    """Match the lines at both ends that are the same to the letter; return the others."""
    head = _run(board, news, olds)
    news, olds = news[head:], olds[head:]
    tail = _run(board, news[::-1], olds[::-1])
    return news[: len(news) - tail], olds[: len(olds) - tail]


def _run(board: Board, news: list[int], olds: list[int]) -> int:
    """Match one by one while nothing differs, and return how many."""
    count = 0
    for new, old in zip(news, olds, strict=False):
        entry, link = board.entries[new], board.links[old]
        if entry.task != link.seen or entry.section != link.section:
            break
        board.take(new, old)
        count += 1
    return count


def _of_one_date(board: Board, news: Sequence[int], olds: Sequence[int]) -> dict[int, int]:
    """Return which lines that are not read have the date of a link that no other one has.

    Such a line stands where its link does: the next round of a chore, which is read, is
    another task.
    """
    said: dict[Hashable, int | None] = {}
    held = board.held()
    for at in dict.fromkeys((*news, *held)) if held else ():
        task = board.entries[at].task
        if task.due is not None:
            _note(said, _dated(board.entries[at].section, task), at)
    known: dict[Hashable, int | None] = {}
    for at in olds if said else ():
        link = board.links[at]
        _note(known, _dated(link.section, link.seen), at)
    return {
        new: old
        for key, new in said.items()
        if new is not None and new in board.unread and (old := known.get(key)) is not None
    }


def _dated(section: str, task: Task) -> Hashable:
    return section, normalised(task.text), task.due


def _by_itself(
    board: Board, news: list[int], olds: list[int], *, within_section: bool
) -> tuple[list[int], list[int]]:
    """Match lines that are the only ones of their text on both sides; return the others.

    In a section but those whose text has all its marks and dates elsewhere: there, equal
    lines of several sections changed places.
    """
    moved: set[str] | None = None
    entries: defaultdict[str, dict[Hashable, int | None]] = defaultdict(dict)
    for at in news:
        entry = board.entries[at]
        _note(entries[entry.section if within_section else ""], normalised(entry.task.text), at)
    links: defaultdict[str, dict[Hashable, int | None]] = defaultdict(dict)
    for at in olds:
        link = board.links[at]
        _note(links[link.section if within_section else ""], normalised(link.seen.text), at)
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
    return _left(board, news, olds)


def _left(board: Board, news: list[int], olds: list[int]) -> tuple[list[int], list[int]]:
    """Return those of these entries and links that are not matched yet."""
    return (
        [new for new in news if board.link_of[new] is None],
        [old for old in olds if board.entry_of[old] is None],
    )


def _note(places: dict[Hashable, int | None], said: Hashable, at: int) -> None:
    """Note where something is said; None where it is said more than once."""
    places[said] = None if said in places else at


def _shared(rest: Rest) -> Rest:
    """Return the lines whose text is on both sides."""
    texts = {line.text for line in rest.news} & {line.text for line in rest.olds}
    return Rest(
        [line for line in rest.news if line.text in texts],
        [line for line in rest.olds if line.text in texts],
    )


def _moved(rest: Rest) -> tuple[Rest, Rest]:
    """Part the lines whose text has several states, the same on both sides, from the others."""
    texts = _of_same_states(*([(line.text, _state(line)) for line in side] for side in rest))
    parts = [
        Rest(*([line for line in side if (line.text in texts) is moved] for side in rest))
        for moved in (True, False)
    ]
    return parts[0], parts[1]


def _moved_texts(board: Board, news: Iterable[int], olds: Iterable[int]) -> set[str]:
    """Return the texts of these entries and links that only changed places."""
    tasks = [board.entries[at].task for at in news], [board.links[at].seen for at in olds]
    return _of_same_states(
        *([(normalised(task.text), _state(task)) for task in side] for side in tasks)
    )


def _of_same_states(
    news: Iterable[tuple[str, Hashable]], olds: Iterable[tuple[str, Hashable]]
) -> set[str]:
    """Return the texts that have several states, the same on both sides."""
    states: defaultdict[str, tuple[Counter[Hashable], Counter[Hashable]]]
    states = defaultdict(lambda: (Counter(), Counter()))
    for side, said in enumerate((news, olds)):
        for text, state in said:
            states[text][side][state] += 1
    return {text for text, (new, old) in states.items() if new == old and len(new) > 1}


def _with_state(key: Key) -> Key:
    return lambda line: (key(line), _state(line))


def _join(board: Board, rest: Rest, key: Key) -> Rest:
    """Match the lines of equal ``key``; return the others."""
    groups: defaultdict[Hashable, Rest] = defaultdict(lambda: Rest([], []))
    for new in rest.news:
        groups[key(new)].news.append(new)
    for old in rest.olds:
        groups[key(old)].olds.append(old)
    for group in groups.values():
        for new, old in _aligned(*group):
            board.take(new.at, old.at)
    return Rest(
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
