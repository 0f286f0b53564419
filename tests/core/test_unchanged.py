"""Lines at both ends that did not change are skipped, and made into values only when asked for."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, time
from itertools import count

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from omisync.core import plan
from omisync.core.merge import Encoding, encode
from omisync.core.model import Base, Entry, Fields, Link, RemoteItem, Task
from omisync.core.unchanged import Ends, LazySequence, ends, fingerprint, fingerprints
from omisync.store import coding
from omisync.store.rows import Rows
from omisync.store.schema import SCHEMA, VERSION

ENCODING = Encoding(UTC, time(9))
NOW = 1_800_000_000.0

SAYINGS = st.builds(
    Task,
    st.sampled_from(("milk", "bread and milk", "bread", "call Bob", "call Bob today", "rent")),
    st.booleans(),
    st.sampled_from((None, "2026-01-31")),
)
UNDECIDED = (
    {"absent_since": NOW - 9},
    {"doubt": frozenset({"completed"})},
    {"remote_id": None},
    {"base": None},
    {"missing": 2},
)
PLACES = st.tuples(SAYINGS, st.sampled_from(("", "Home")))


def said(entry: Entry) -> int:
    """The fingerprint of what a line says."""
    return fingerprint(entry.task.text, entry.task.completed, entry.task.due, entry.section)


def stored(links: list[Link]) -> LazySequence[Link]:
    """These links as a store gives them."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA)
        marks = ", ".join("?" * 21)
        db.executemany(f"INSERT INTO links VALUES ({marks})", map(coding.link_row, links))  # noqa: S608 - marks
        found = Rows(db, contextlib.nullcontext, version=VERSION).links()
        assert list(found) == sorted(links, key=lambda link: (link.rank, link.key))
        return found


def lines(entries: list[Entry]) -> LazySequence[Entry]:
    """These entries as a file gives them."""
    may_reorder = any(entry.explicit_id for entry in entries)
    return LazySequence(
        fingerprints(map(said, entries)), entries.__getitem__, may_reorder=may_reorder
    )


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Entry], list[Link]]:
    """A file that was in sync, some of whose tasks wait for something, and the file edited."""
    before = draw(st.lists(PLACES, max_size=14))
    step = draw(st.sampled_from((1, 2, 1 << 20)))
    links = []
    for number, (task, section) in enumerate(before):
        base = Base(task, encode(task, ENCODING))
        link = Link(f"k{number:02}", f"r{number}", task, section, number * step, base)
        if draw(st.integers(0, 19)) == 0:
            link = link.but(**draw(st.sampled_from(UNDECIDED)))
        links.append(link)
    now = list(before)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(now)))
        new = draw(st.lists(PLACES, max_size=2))
        now[at : at + draw(st.integers(0, 2))] = new
    entries = [Entry(task, n + 1, section) for n, (task, section) in enumerate(now)]
    if entries and draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(entries) - 1))
        entries[at] = entries[at]._replace(explicit_id=draw(st.sampled_from(("r0", "r5", "x"))))
    return entries, links


@given(stories())
def test_a_plan_is_the_same_without_the_unchanged_ends(
    story: tuple[list[Entry], list[Link]],
) -> None:
    """Whatever was edited, and whatever waits: the same ops, rows, ranks, removals."""
    entries, links = story
    known = stored(links)
    policy = plan.Policy(ENCODING)
    made = [
        plan.make(plan.Observation(file, rows, NOW), policy, (f"new{n}" for n in count()))
        for file, rows in ((entries, links), (lines(entries), known))
    ]
    assert made[0] == made[1]
    event(f"left out: {ends(lines(entries), known) != Ends()}")


@pytest.mark.parametrize("new", [["a", "b", "new", "C"], ["A", "new", "b", "c"]])
def test_ranks_without_room_are_those_of_the_whole_file(new: list[str]) -> None:
    """A line that is left out keeps its rank, so its neighbour must not be moved past it."""
    links = [
        Link(f"k{n}", f"r{n}", Task(text), "", 5 + n, Base(Task(text), Fields(text)))
        for n, text in enumerate("abc")
    ]
    known = stored(links)
    entries = [Entry(Task(text), n + 1) for n, text in enumerate(new)]
    assert ends(lines(entries), known) != Ends()
    policy = plan.Policy(ENCODING)
    made = [
        plan.make(plan.Observation(file, rows, NOW), policy, iter(("new", "newer")))
        for file, rows in ((entries, links), (lines(entries), known))
    ]
    assert made[0] == made[1]


def alphabet(
    letters: str, *, needs_decision: tuple[int, int] | None = None, may_reorder: bool = False
) -> LazySequence[str]:
    """Lines that say one letter each."""
    said = fingerprints(fingerprint(each, False, None, "") for each in letters)
    return LazySequence(said, str, needs_decision=needs_decision, may_reorder=may_reorder)


def same_ends(now: str, before: str, needs_decision: tuple[int, int] | None) -> Ends:
    """What ``ends`` returns, letter by letter."""
    head = next((at for at, (a, b) in enumerate(zip(now, before, strict=False)) if a != b), None)
    head = min(len(now), len(before)) if head is None else head
    tail = 0
    while tail < min(len(now), len(before)) - head and now[-1 - tail] == before[-1 - tail]:
        tail += 1
    first, last = needs_decision or (len(before), -1)
    return Ends(max(0, min(head, first) - 1), max(0, min(tail, len(before) - 1 - last) - 1))


LETTERS = st.text("ab", max_size=5)


@given(LETTERS, LETTERS, LETTERS, LETTERS, st.none() | st.tuples(st.just(2), st.integers(2, 5)))
@example("aaaa", "", "", "", None)  # nothing changed
@example("", "b", "a", "bbbb", None)  # the first line
@example("aaaa", "b", "a", "", None)  # the last line
@example("aa", "a", "", "aa", None)  # which of five equal lines is new?
@example("abab", "", "a", "baba", None)
@example("aaaa", "b", "a", "bbbb", (2, 6))
@example("bbbb", "b", "a", "aaaa", (2, 5))
def test_ends_are_what_a_look_at_each_line_finds(
    head: str, new: str, old: str, tail: str, needs_decision: tuple[int, int] | None
) -> None:
    """No line is left out too many, and none too few: all but the one beside what differs."""
    now, before = head + new + tail, head + old + tail
    needs_decision = needs_decision if needs_decision and needs_decision[1] < len(before) else None
    assert ends(alphabet(now), alphabet(before, needs_decision=needs_decision)) == same_ends(
        now, before, needs_decision
    )


def test_no_end_is_left_out_where_lines_may_cross() -> None:
    """An id or an absence on either side may pair any two lines: all are looked at."""
    still, crossing = alphabet("abcdef"), alphabet("abcdef", may_reorder=True)
    assert ends(still, still) == Ends(5, 0)
    assert [
        ends(crossing, still),
        ends(still, crossing),
        ends(crossing, crossing),
    ] == [Ends()] * 3


def test_what_is_no_file_is_looked_at_whole() -> None:
    """Plain tuples of entries or links, as a first meeting has them, have no ends."""
    still = alphabet("abcdef")
    assert [ends(still, tuple(still)), ends(tuple(still), still)] == [Ends()] * 2


def test_one_edit_is_looked_at_with_its_neighbours_only() -> None:
    """Of ten thousand lines, three are made into entries and links."""
    tasks = [Task(f"task {n}") for n in range(10_000)]
    links = [
        Link(f"k{n}", f"r{n}", t, "", n << 20, Base(t, encode(t, ENCODING)))
        for n, t in enumerate(tasks)
    ]
    asked: list[int] = []

    def link(at: int) -> Link:
        asked.append(at)
        return links[at]

    before = LazySequence(
        fingerprints(fingerprint(t.text, t.completed, t.due, "") for t in tasks), link
    )
    tasks[5000] = Task("task 5000", completed=True)
    looked: list[int] = []

    def entry(at: int) -> Entry:
        looked.append(at)
        return Entry(tasks[at], at + 1)

    file = LazySequence(
        fingerprints(fingerprint(t.text, t.completed, t.due, "") for t in tasks), entry
    )
    seen = plan.Observation(file, before, NOW)
    (op,) = plan.make(seen, plan.Policy(ENCODING), iter(())).ops
    assert isinstance(op, plan.ChangeRemote)
    assert looked == asked == [4999, 5000, 5001]


def test_a_listing_is_looked_at_whole() -> None:
    """What stands still in the file may have changed in the app: at its ends too."""
    tasks = [Task(f"task {n}") for n in range(5)]
    entries = [Entry(task, n + 1) for n, task in enumerate(tasks)]
    links = [
        Link(f"k{n}", f"r{n}", task, "", n << 20, Base(task, encode(task, ENCODING)))
        for n, task in enumerate(tasks)
    ]
    listed = {f"r{n}": RemoteItem(f"r{n}", Fields(f"Task {n}")) for n in range(5)}
    seen = plan.Observation(lines(entries), stored(links), NOW, unlinked=(), listed=listed)
    ops = plan.make(seen, plan.Policy(ENCODING), iter(())).ops
    assert [op.entry for op in ops if isinstance(op, plan.ChangeLocal)] == entries


def test_lines_are_a_sequence() -> None:
    """Index, slice, length, order and equality are those of a tuple."""
    made = tuple(Entry(Task(f"t{n}"), n) for n in range(5))
    file = lines([*made])
    assert (file[1], file[-1], file[1:4], len(file)) == (made[1], made[-1], made[1:4], 5)
    assert file == made
    assert made == file
    assert file != made[1:]
    assert file != made[::-1]
    assert tuple(file) == made
    assert file[2] is file[2]
    assert repr(file) == repr(made)
    assert file != 5
