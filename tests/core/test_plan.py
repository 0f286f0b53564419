"""The decision table: each row, and what must hold of any plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omisync.core import plan
from omisync.core.merge import Encoding, settled
from omisync.core.model import (
    Base,
    Entry,
    Fields,
    Link,
    Parked,
    Patch,
    RemoteItem,
    Task,
    Tombstone,
)
from omisync.core.plan import (
    AddRemote,
    Adopt,
    ChangeRemote,
    Observation,
    Plan,
    Policy,
    Removal,
    RemoveRemote,
    Revive,
)

NOW = 1_800_000_000.0
ENCODING = Encoding(UTC, time(9))
PUSH = Policy(ENCODING)


def entry(text: str, completed: bool = False, due: str | None = None, line: int = 1) -> Entry:
    """A line of the file."""
    return Entry(Task(text, completed, due), line)


def linked(task: Task, number: int = 1, **more: object) -> Link:
    """A link whose two replicas agree on this task."""
    from omisync.core.merge import encode

    base = Base(task, encode(task, ENCODING))
    return Link(f"k{number}", f"r{number}", task, "", number << 20, base).but(**more)


def made(
    entries: list[Entry],
    links: list[Link] = [],  # noqa: B006 - never changed
    policy: Policy = PUSH,
    **more: object,
) -> Plan:
    """The plan for this file and these links."""
    seen = Observation(entries, links, NOW, **more)  # type: ignore[arg-type]  # passed through
    return plan.make(seen, policy, (f"new{n}" for n in count()))


# Each row of the table


@pytest.mark.parametrize("parked", [None, Parked(422, "odd", NOW, Task("a"))])
@pytest.mark.parametrize("explicit", [False, True])
def test_a_line_whose_create_was_refused_is_linked_as_a_new_one_is(
    explicit: bool, parked: Parked | None
) -> None:
    """Its item was made by somebody else meanwhile, or its person names one."""
    waits = Link("k", None, Task("a"), "", 1 << 20, missing=2, probed_at=7.0, parked=parked)
    line = Entry(Task("a"), 1, explicit_id="r9" if explicit else None)
    there = RemoteItem("r9", Fields("other words" if explicit else "a"))
    unlinked = [RemoteItem("r8", Fields("c")), there]
    decided = made([line, entry("b", line=2)], [waits], unlinked=unlinked)
    tied, added = decided.ops
    assert isinstance(tied, Adopt)
    assert (tied.link.key, tied.link.remote_id, tied.item) == ("k", "r9", there)
    assert (tied.link.missing, tied.link.probed_at, tied.link.parked) == (0, None, None)
    assert isinstance(added, AddRemote)
    assert added.entry.task.text == "b"


def test_equal_lines_are_linked_in_the_order_of_their_links() -> None:
    """The one that is known comes first; where lines are not to be linked, none is."""
    waits = Link("k", None, Task("a"), "", 1 << 20)
    lines = [entry("a"), entry("a", line=2)]
    unlinked = [RemoteItem("r9", Fields("a"))]
    first, second = made(lines, [waits], unlinked=unlinked).ops
    assert isinstance(first, Adopt)
    assert first.link.key == "k"
    assert isinstance(second, AddRemote)
    alone = replace(PUSH, adopt=False)
    for op in made(lines, [waits], alone, unlinked=unlinked).ops:
        assert isinstance(op, AddRemote)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("complete", "2 of 2 tasks that are open in Omi"),
        ("delete", "3 of 3 tasks that are in Omi"),
    ],
)
def test_the_guard_says_what_it_counted(how: str, said: str) -> None:
    """Where items are deleted, finished ones go as well."""
    links = [linked(Task(f"t{n}", completed=n == 3), n) for n in (1, 2, 3)]
    assert made([], links, replace(PUSH, on_removal=how)).removal.share == said


def test_a_new_line_is_created() -> None:
    """Nowhere else: AddRemote with the encoded fields."""
    (op,) = made([entry("a", due="2026-12-24")]).ops
    assert isinstance(op, AddRemote)
    assert op.fields == Fields("a", False, datetime(2026, 12, 24, 9, tzinfo=UTC))


def test_an_equal_unlinked_item_is_adopted() -> None:
    """Same text, unlinked: Adopt, and the base takes both encodings."""
    item = RemoteItem("r9", Fields("a", False, datetime(2026, 1, 1, tzinfo=UTC)))
    (op,) = made([entry("a")], unlinked=[item]).ops
    assert isinstance(op, Adopt)
    assert op == Adopt(op.link, entry("a"), item)
    assert op.link.base == Base(Task("a"), item.fields)


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        (Task("b c d e"), {"description"}),
        (Task("b c d", True), {"completed"}),
        (Task("b c d", False, "2026-12-24"), {"due_at"}),
        (Task("b c d e", True, "2026-12-24"), {"description", "completed", "due_at"}),
    ],
)
def test_an_edited_line_sends_the_edited_fields(line: Task, sent: set[str]) -> None:
    """Edited here, same there: ChangeRemote with those fields alone."""
    (op,) = made([Entry(line, 1)], [linked(Task("b c d"))]).ops
    assert isinstance(op, ChangeRemote)
    names = {
        name
        for name in ("description", "completed", "due_at")
        if getattr(op.patch, name) is not None
    }
    assert names == sent


@pytest.mark.parametrize(
    ("now", "creates"),
    [
        (Task("a b c d"), True),
        (Task("a b c", due="2026-12-24"), True),
        (Task("a b c", True), False),
        (Task("a b c"), False),
    ],
)
def test_an_edit_beats_a_deletion_but_a_tick_does_not(now: Task, creates: bool) -> None:
    """Edited here, gone there: created anew for text or date, let go otherwise."""
    gone = linked(Task("a b c")).but(remote_id=None)
    decided = made([Entry(now, 1)], [gone])
    assert [type(op) for op in decided.ops] == ([AddRemote] if creates else [])


def test_a_removed_line_follows_the_policy() -> None:
    """Gone here, same there: complete, delete, or nothing but a tombstone."""
    links = [linked(Task("a")), linked(Task("b"), 2)]
    for how in ("complete", "delete"):
        (op,) = made([entry("a")], links, replace(PUSH, on_removal=how)).ops
        assert isinstance(op, RemoveRemote)
        assert (op.how, op.link.key) == (how, "k2")
    kept = made([entry("a")], links, replace(PUSH, on_removal="keep"))
    assert (kept.ops, kept.dropped, len(kept.buried)) == ((), ("k2",), 1)


def test_a_line_whose_mark_means_nothing_was_not_removed() -> None:
    """Its task is left alone, and no new line like it takes its link."""
    links = [linked(Task(text), n) for n, text in enumerate(["a", "write the report", "b"], 1)]
    file = [entry("a"), entry("write the reports", line=3), entry("b", line=4)]
    decided = made(file, links, unread=[entry("write \u00a0the report", line=2)])
    (op,) = decided.ops
    assert isinstance(op, AddRemote)
    assert (op.entry.line, decided.waiting, decided.removal.count) == (3, (), 0)
    assert "k2" not in {op.link.key for op in decided.ops}


def test_a_line_that_is_not_read_and_was_away_is_back() -> None:
    """Its next absence has a grace of its own."""
    old = linked(Task("write the report", completed=True), 3, absent_since=NOW - 5)
    decided = made([entry("a")], [linked(Task("a"), 2), old], unread=[entry("write the report")])
    assert decided.rows == (old.but(absent_since=None),)
    assert not decided.ops


@pytest.mark.parametrize("done", [False, True])
def test_lines_that_are_read_come_before_those_that_are_not(done: bool) -> None:
    """A note that says the same as a task, or nearly, never takes its item."""
    notes = [entry("a", line=1), entry("a b c d e", line=2), entry("b", line=9)]
    links = [linked(Task("a")), linked(Task("a b c d"), 2), linked(Task("b"), 3)]
    lines = [entry("b", completed=done, line=3), entry("a", completed=done, line=4)]
    ops = made(lines, links, unread=notes).ops
    gone, *changed = sorted(ops, key=lambda op: not isinstance(op, RemoveRemote))
    assert isinstance(gone, RemoveRemote)
    assert gone.link.key == "k2"
    assert [op.link.key for op in changed] == ["k3", "k1"] * done


def test_of_equal_lines_each_keeps_its_state_beside_one_that_is_not_read() -> None:
    """The one that is done stays the one that is done."""
    links = [linked(Task("a")), linked(Task("a", completed=True), 2)]
    assert not made([entry("a", completed=True, line=2)], links, unread=[entry("a")]).ops


@pytest.mark.parametrize(
    ("lines", "unread", "removed"),
    [(1, 1, 1), (2, 1, 0), (0, 3, 0), (0, 1, 2), (3, 3, 0), (4, 1, 0)],
)
def test_each_line_that_is_not_read_stands_for_one_task(
    lines: int, unread: int, removed: int
) -> None:
    """Of equal ones those that have neither a line nor such a line are removed."""
    links = [linked(Task("a"), n) for n in (1, 2, 3)]
    decided = made(
        [entry("a", line=n) for n in range(1, lines + 1)],
        links,
        unread=[entry("a", line=9)] * unread,
    )
    assert sum(isinstance(op, RemoveRemote) for op in decided.ops) == removed


def test_a_line_of_a_gone_item_is_forgotten_with_it() -> None:
    """-, x, gone: the row goes, nothing is sent."""
    decided = made([entry("a")], [linked(Task("a")), linked(Task("b"), 2).but(remote_id=None)])
    assert (decided.ops, decided.dropped) == ((), ("k2",))


def test_a_create_under_way_is_left_alone() -> None:
    """Its line may be there or gone: nothing is planned before its outcome is known."""
    pending = Link("k2", None, Task("b"), "", 2 << 20)
    for entries in ([entry("a"), entry("b")], [entry("a")]):
        decided = made(entries, [linked(Task("a")), pending], pending={"k2": "a"})
        assert (decided.ops, decided.dropped) == ((), ())


# Parking


def test_a_parked_task_waits_for_its_line_to_change() -> None:
    """Same encoding: parked. Another one, or its time has come: tried again."""
    parked = Parked(422, "no", NOW - 5, Task("a b c d"))
    link = linked(Task("a b c")).but(seen=Task("a b c d"), parked=parked)
    assert made([entry("a b c d")], [link]).parked
    assert made([entry("a b c e")], [link]).ops
    later = link.but(parked=replace(parked, retry_at=NOW))
    assert made([entry("a b c d")], [later]).ops
    just = link.but(parked=replace(parked, since=NOW, retry_at=NOW + 1))
    assert made([entry("a b c d")], [just]).parked


def test_a_parked_create_waits() -> None:
    """A line that Omi refused is not sent again as it is, and not forgotten either."""
    link = Link("k", None, Task("b"), parked=Parked(422, "no", NOW - 5, Task("b")))
    decided = made([entry("b")], [link])
    assert decided.ops == ()
    assert [waits.key for waits, _ in decided.parked] == ["k"]


def test_a_parked_create_whose_line_is_gone_is_dropped() -> None:
    """Nothing in Omi, nothing in the file: nothing."""
    link = Link("k2", None, Task("b"), "", 2 << 20, parked=Parked(422, "no", NOW, Task("b")))
    assert made([entry("a")], [linked(Task("a")), link]).dropped == ("k2",)


def test_a_parked_removal_waits() -> None:
    """A removal that Omi refuses is not repeated, and ends when the line comes back."""
    link = linked(Task("b"), 2, absent_since=NOW - 5, parked=Parked(402, "locked", NOW, None))
    assert made([entry("a")], [linked(Task("a")), link]).parked == ((link, None),)
    for retry_at, again in ((NOW + 1, False), (NOW, True)):
        later = link.but(parked=Parked(402, "locked", NOW - 9, None, retry_at))
        decided = made([entry("a")], [linked(Task("a")), later])
        assert [type(op) for op in decided.ops] == [RemoveRemote] * again
    assert made([entry("a"), entry("b")], [linked(Task("a")), link]).parked == ()


@pytest.mark.parametrize(
    "before", [{"seen": Task("a", True)}, {"section": "Later"}, {"absent_since": NOW - 5}]
)
def test_whatever_changed_is_written_down(before: dict[str, object]) -> None:
    """The row is as the line stands now: its words, its section, and that it is there."""
    now = linked(Task("a"), section="Now")
    line = Entry(Task("a"), 1, "Now")
    assert made([line], [now]).rows == ()
    assert made([line], [now.but(**before)]).rows == (now,)


def test_a_line_that_moved_is_written_down() -> None:
    """One rank changes, and the rows are in the order of the lines."""
    links = [linked(Task("b"), 2), linked(Task("a"), 1, rank=7 << 20)]
    (row,) = made([entry("a"), entry("b", line=2)], links).rows
    ranks = {one.key: one.rank for one in (*links, row)}
    assert ranks["k1"] < ranks["k2"]


def test_a_change_that_waits_is_written_down_once() -> None:
    """As long as the line stays as it is, the row does."""
    waits = linked(Task("a b c"), seen=Task("a b c", True))
    decided = made([entry("a b c", True)], [waits])
    assert decided.ops == (ChangeRemote(waits, entry("a b c", True), Patch(completed=True)),)
    assert decided.rows == ()


def test_what_is_tried_again_starts_anew() -> None:
    """Former failures count no more; what is in doubt is sent with the edit."""
    parked = Parked(0, "no", NOW - 5, Task("a b c d"))
    link = linked(Task("a b c"), failures=5, parked=parked, doubt=frozenset({"completed"}))
    (op,) = made([entry("a b c e")], [link]).ops
    assert isinstance(op, ChangeRemote)
    assert (op.link.failures, op.link.parked) == (0, None)
    assert op.patch == Patch(description="a b c e", completed=False)


@pytest.mark.parametrize(("before", "after"), [(5, 4), (0, 0)])
def test_what_is_tried_again_by_itself_has_one_try(before: int, after: int) -> None:
    """Its line is the same: the failures that set it aside count, but for the last."""
    parked = Parked(0, "no", NOW - 5, Task("a b c d"), NOW)
    link = linked(Task("a b c"), seen=Task("a b c d"), failures=before, parked=parked)
    (op,) = made([entry("a b c d")], [link]).ops
    assert isinstance(op, ChangeRemote)
    assert (op.link.failures, op.link.parked) == (after, None)


def test_a_create_in_flight_is_asked_about_with_its_line() -> None:
    """What came of it is found out first, whatever the line says by now."""
    waits = Link("k", None, Task("a"))
    assert made([entry("a")], [waits], pending={"k": "a"}).unsure == ((waits, entry("a")),)


def test_a_new_row_knows_its_place() -> None:
    """Section and rank are those of the line; finished lines may be skipped, others go on."""
    lines = [entry("done", True), Entry(Task("a"), 2, "S"), entry("old", line=3)]
    old = linked(Task("old"), rank=-8)
    decided = made(lines, [old], replace(PUSH, skip_completed=True))
    (op,) = decided.ops
    assert isinstance(op, AddRemote)
    assert op.link == Link("new0", None, Task("a"), "S", op.link.rank)
    assert op.link.rank < -8
    found = RemoteItem("r9", Fields("done", True))
    decided = made(lines, [old], replace(PUSH, skip_completed=True), unlinked=[found])
    assert [type(op) for op in decided.ops] == [Adopt, AddRemote]


def test_an_item_that_rises_is_nobody_elses() -> None:
    """A second line of its text is a new task, though the item is without a link."""
    lines = [entry("a"), entry("a", line=2)]
    item = RemoteItem("r0", Fields("a"))
    decided = made(lines, tombstones=[stone("a", False, "keep")], unlinked=[item])
    assert sorted(type(op).__name__ for op in decided.ops) == ["AddRemote", "Revive"]


def test_an_absent_line_is_what_it_was() -> None:
    """In its grace it waits, a create without an answer is asked about, a finished one rests."""
    absent = linked(Task("a"), absent_since=NOW - 5)
    waits = made([], [absent], Policy(ENCODING, grace=30.0))
    assert (waits.waiting, waits.grace_ends, waits.ops) == ((absent,), NOW + 25, ())
    asked = Link("k", None, Task("a"), absent_since=NOW)
    assert made([], [asked], pending={"k": "a"}).unsure == ((asked, None),)
    done = linked(Task("a", True))
    (grave,) = made([], [done]).buried
    assert grave == Tombstone("k1", "r1", done.seen, Fields("a", True), "complete", NOW, False)
    doubted = done.but(doubt=frozenset({"completed"}))
    assert [type(op) for op in made([], [doubted]).ops] == [RemoveRemote]


def test_a_line_whose_link_was_never_settled_is_left_alone() -> None:
    """Without anything that both sides agreed on, nothing can be called an edit."""
    assert made([entry("a")], [Link("k", "r", Task("a"))]).ops == ()


def test_a_date_that_omi_did_not_clear_is_cleared_with_every_change() -> None:
    """Omi may ignore ``null`` where it stands alone; a date in the line ends it."""
    link = linked(Task("a b c"), clear_due=True)
    (op,) = made([entry("a b c", True)], [link]).ops
    assert isinstance(op, ChangeRemote)
    assert op.patch == Patch(completed=True, clear_due=True)
    (op,) = made([entry("a b c", due="2026-12-24")], [link]).ops
    assert isinstance(op, ChangeRemote)
    assert not op.patch.clear_due


# What a plan tells about itself


def test_a_plan_knows_what_the_phone_will_ring_for() -> None:
    """Each date that is new to Omi: of a new task, of an edited line, of one that came back."""
    decided = made(
        [
            entry("new", due="2026-12-24"),
            entry("new without a date"),
            entry("dated", due="2026-12-24"),
            entry("ticked", True),
            entry("back", due="2026-12-24"),
        ],
        [linked(Task("dated"), 1), linked(Task("ticked"), 2)],
        tombstones=[stone("back", False)],
    )
    assert decided.notifications == 3
    assert decided.creates
    assert not made([entry("ticked", True)], [linked(Task("ticked"))]).creates


def test_creates_travel_in_batches() -> None:
    """Fifty at once; what failed with others travels with half as many each time, alone at last."""
    ops = [
        AddRemote(Link(f"k{n}", None, Task("a"), failures=failures), entry("a"), Fields("a"))
        for n, failures in enumerate([0] * 51 + [1] * 26 + [6, 60])
    ]
    batches = plan.grouped(ops)
    assert [len(batch) for batch in batches] == [50, 1, 25, 1, 1, 1]
    assert [op for batch in batches for op in batch] == ops


# Tombstones


def test_a_removal_is_buried_as_it_left_the_item() -> None:
    """What is completed with its line is finished there; what was never settled has no grave."""
    link = linked(Task("a"))
    finished = plan.buried(link, "complete", NOW, counted=True)
    grave = Tombstone("k1", "r1", Task("a"), Fields("a", True), "complete", NOW, True)
    assert finished == grave
    assert not plan.buried(link, "complete", NOW, counted=False).counted
    dated = linked(Task("a", due="2026-05-01"))
    assert plan.buried(dated, "complete", NOW, counted=False).task == dated.seen
    undated = linked(Task("a"), clear_due=True)
    assert plan.buried(undated, "complete", NOW, counted=False).task == Task("a")
    assert plan.buried(link, "delete", NOW, counted=False).remote == Fields("a")
    for unsettled in (link.but(remote_id=None), link.but(base=None)):
        with pytest.raises(ValueError, match="k1"):
            plan.buried(unsettled, "complete", NOW, counted=True)


def stone(text: str, completed: bool, how: str = "complete") -> Tombstone:
    """A task buried a minute ago."""
    remote = Fields(text, completed or how == "complete")
    return Tombstone("old", "r0", Task(text, completed), remote, how, NOW - 60)


def test_what_rises_and_what_does_not() -> None:
    """Open comes back open with one change; finished as finished with none; never after delete."""
    (op,) = made([Entry(Task("a"), 1, "S")], tombstones=[stone("a", False)]).ops
    base = Base(Task("a", True), Fields("a", True))
    link = Link("old", "r0", Task("a"), "S", 1 << 20, base)
    back = Patch(completed=False)
    assert op == Revive(link, Entry(Task("a"), 1, "S"), stone("a", False), back)
    (op,) = made([entry("a", True)], tombstones=[stone("a", True)]).ops
    assert isinstance(op, Revive)
    assert not op.patch
    for buried in (stone("a", True), stone("a", False, "delete")):
        (op,) = made([entry("a")], tombstones=[buried]).ops
        assert isinstance(op, AddRemote)


def test_a_line_may_say_more_than_the_item_it_is_tied_to() -> None:
    """The next plan sends it."""
    there = RemoteItem("r9", Fields("a"))
    decided = made([entry("a", due="2027-01-31")], unlinked=[there])
    (op,) = decided.adoptions
    assert decided.ops == (op,)
    assert op.differs
    (same,) = made([entry("a")], unlinked=[there]).adoptions
    assert not same.differs


def test_an_item_that_was_left_in_omi_may_be_gone() -> None:
    """An open line is not called synced before that is known; nothing is sent if it is there."""
    left = Tombstone("old", "r0", Task("a"), Fields("a"), "keep", NOW - 60)
    (op,) = made([entry("a")], tombstones=[left]).ops
    assert isinstance(op, Revive)
    assert (op.patch, op.unproven) == (Patch(), True)
    there, ticked = RemoteItem("r0", Fields("a")), RemoteItem("r0", Fields("a", completed=True))
    (op,) = made([entry("a")], tombstones=[left], unlinked=[there], read_whole=True).ops
    assert isinstance(op, Revive)
    assert (op.patch, op.unproven) == (Patch(), False)
    (op,) = made([entry("a")], tombstones=[left], unlinked=[ticked], read_whole=True).ops
    assert isinstance(op, Revive)
    assert (op.patch, op.unproven) == (Patch(completed=False), False)
    reworded = RemoteItem("r0", Fields("another task"))
    (op,) = made([entry("a")], tombstones=[left], unlinked=[reworded], read_whole=True).ops
    assert isinstance(op, Revive)  # what the app made of it stays
    assert op.is_silent
    for whole, patch in ((True, Patch(completed=False)), (False, Patch())):
        (op,) = made([entry("a")], tombstones=[left], unlinked=[], read_whole=whole).ops
        assert isinstance(op, Revive)
        assert op.patch == patch
        assert op.unproven is not whole


def test_a_plan_knows_what_it_has_to_send() -> None:
    """A create, changes, and what has to be known first; not what is merely tied."""
    stones = [
        Tombstone("kept", "r0", Task("kept"), Fields("kept"), "keep", NOW - 60),
        Tombstone("done", "r1", Task("done"), Fields("done", completed=True), "complete", NOW - 60),
        Tombstone("old", "r2", Task("old", True), Fields("old", completed=True), "keep", NOW - 60),
    ]
    lines = [entry("new"), entry("kept", line=2), entry("done", line=3), entry("old", True, line=4)]
    decided = made([*lines, entry("there", line=5)], tombstones=stones)
    linked = made([entry("there")], unlinked=[RemoteItem("r3", Fields("there"))])
    texts = {op.link.seen.text for op in decided.requests}
    assert texts == {"new", "kept", "done", "there"}
    assert [op.link.seen.text for op in decided.changes] == ["done"]
    assert [op.link.seen.text for op in decided.unproven] == ["kept"]
    assert (len(linked.ops), linked.requests) == (1, ())


def test_a_finished_line_that_is_to_have_no_item_gets_none() -> None:
    """Where finished lines are skipped, one whose item is gone is not made anew."""
    skips = replace(PUSH, skip_completed=True)
    left = Tombstone("old", "r0", Task("a", True), Fields("a", True), "complete", NOW - 60)
    line = entry("a", True)
    assert made([line], policy=skips, tombstones=[left], unlinked=[], read_whole=True).ops == ()
    assert len(made([line], policy=skips, tombstones=[left]).ops) == 1
    assert len(made([line], tombstones=[left], unlinked=[], read_whole=True).ops) == 1


def test_a_date_that_the_server_keeps_is_to_be_cleared_anew() -> None:
    """No line says it, so the line that is back without one differs from it."""
    kept = Fields("a", False, datetime(2026, 12, 24, 9, tzinfo=UTC))
    link = linked(Task("a")).but(base=Base(Task("a"), kept), clear_due=True)
    grave = plan.buried(link, "keep", NOW - 60, counted=True)
    assert grave.task.due == "2026-12-24T09:00:00+00:00"
    (op,) = made([entry("a")], tombstones=[grave]).ops
    assert isinstance(op, Revive)
    assert op.patch == Patch(clear_due=True)


def test_a_text_that_omi_did_not_hear_of_finds_the_item() -> None:
    """And Omi hears of it then; but an item that says just that is the one."""
    settled = linked(Task("a"))
    grave = plan.buried(settled.but(seen=Task("b")), "keep", NOW - 60, counted=True)
    assert (grave.task.text, grave.words) == ("a", "b")
    assert plan.buried(settled.but(seen=Task(" a ")), "keep", NOW, counted=True).words == ""
    (op,) = made([entry("b")], tombstones=[grave]).ops
    assert isinstance(op, Revive)
    assert (op.link.key, op.patch) == ("k1", Patch("b"))
    first, second = made([entry("b"), entry("a", line=2)], tombstones=[grave]).ops
    assert [isinstance(op, Revive) for op in (first, second)] == [True, False]
    first, second = made([entry("a"), entry("b", line=2)], tombstones=[grave]).ops
    assert [isinstance(op, Revive) for op in (first, second)] == [True, False]
    items = [RemoteItem("r1", Fields("a")), RemoteItem("r2", Fields("b"))]
    (op,) = made([entry("b")], tombstones=[grave], unlinked=items, read_whole=True).ops
    assert op.link.remote_id == "r2"


def test_a_grave_gives_one_task() -> None:
    """Two lines of the buried text: one rises, the other is new."""
    ops = made([entry("a"), entry("a", line=2)], tombstones=[stone("a", False)]).ops
    assert sorted(type(op).__name__ for op in ops) == ["AddRemote", "Revive"]


def test_which_side_is_preferred_has_no_say_in_a_push() -> None:
    """The date of a line that is opened again goes out, though its item had another."""
    link = linked(Task("a", True, "2026-12-24"))
    there = Fields("a", True, datetime(2026, 12, 31, 9, tzinfo=UTC))
    link = link.but(base=Base(link.seen, there))
    (op,) = made([entry("a", False, "2026-12-24")], [link], replace(PUSH, prefer="remote")).ops
    assert isinstance(op, ChangeRemote)
    assert op.patch.names == {"completed", "due_at"}


# The removal guard


@pytest.mark.parametrize(
    ("total", "gone", "drastic"),
    [
        (2, 2, False),
        (3, 3, True),
        (4, 3, False),
        (8, 5, False),
        (10, 5, False),
        (10, 6, True),
        (12, 6, False),
        (13, 7, True),
        (100, 50, False),
        (100, 51, True),
    ],
)
def test_what_is_drastic(total: int, gone: int, drastic: bool) -> None:
    """More than 5 and more than half, or all of 3 or more."""
    links = [linked(Task(f"task {n}"), n) for n in range(total)]
    entries = [entry(f"task {n}") for n in range(gone, total)]
    removal = made(entries, links).removal
    assert (removal.count, removal.total, removal.drastic) == (gone, total, drastic)


def test_an_empty_file_is_drastic_from_the_first_removal() -> None:
    """Even for one task; unless there is nothing to remove."""
    assert made([], [linked(Task("a"))], blank=True).removal.drastic
    assert not made([], [linked(Task("a", True))], blank=True).removal.drastic
    assert not made([], [], blank=True).removal.drastic


@pytest.mark.parametrize(
    ("age", "how", "counted", "recent"),
    [
        (0.0, "complete", True, 1),
        (3599.0, "complete", True, 1),
        (3600.0, "complete", True, 0),
        (-3599.0, "complete", True, 1),
        (-3600.0, "complete", True, 0),
        (60.0, "delete", True, 0),
        (60.0, "complete", False, 0),
    ],
)
def test_a_removal_adds_up_for_an_hour(age: float, how: str, counted: bool, recent: int) -> None:
    """Only what was removed by the same policy, and counted then; the clock may be set back."""
    grave = replace(stone("z", False, how), removed_at=NOW - age, counted=counted)
    links = [linked(Task("a"), 1), linked(Task("b"), 2)]
    decided = made([entry("a")], links, tombstones=[grave])
    assert decided.removal == Removal(1, recent, 2 + recent)
    assert decided.removal.lately == (" (1 more within the last hour)" if recent else "")
    assert decided.removal.remaining == 2
    assert decided.tasks == 1


def test_absent_lines_count_before_their_grace_ends() -> None:
    """A truncated file is seen at the first look."""
    links = [linked(Task(f"task {n}"), n) for n in range(10)]
    decided = made([entry("task 0")], links, replace(PUSH, grace=30.0))
    assert decided.removal.drastic
    assert decided.ops == ()
    assert decided.grace_ends == NOW + 30


def test_removals_of_the_last_hour_add_up() -> None:
    """Two slices of 6 of 20 are 12 of 20; what was allowed is not counted."""
    links = [linked(Task(f"task {n}"), n) for n in range(14)]
    graves = [replace(stone(f"gone {n}", False), key=f"g{n}") for n in range(6)]
    entries = [entry(f"task {n}") for n in range(6, 14)]
    assert made(entries, links, tombstones=graves).removal.drastic
    allowed = [replace(grave, counted=False) for grave in graves]
    assert not made(entries, links, tombstones=allowed).removal.drastic
    old = [replace(grave, removed_at=NOW - 3601) for grave in graves]
    assert not made(entries, links, tombstones=old).removal.drastic


@pytest.mark.parametrize(
    ("texts", "drastic"), [("d", False), ("", True), ("d e", False), ("x", True)]
)
def test_one_task_after_the_other_is_no_list_that_goes_in_slices(texts: str, drastic: bool) -> None:
    """Each in the place of the last, all within the hour; finished ones fill no place."""
    graves = [replace(stone(text, False), key=text) for text in "ab"]
    entries = [entry(text, text == "x", line=n) for n, text in enumerate(texts.split(), 1)]
    for made_at, refused in ((NOW - 10, drastic), (NOW - 90, True), (None, True)):
        removal = made(entries, [linked(Task("c"), made_at=made_at)], tombstones=graves).removal
        assert (removal.count, removal.recent, removal.total) == (1, 2, 3)
        assert removal.drastic == refused  # what stood beside them is no later one


@pytest.mark.parametrize("lines", [3, 4, 9, 20])
def test_what_an_undo_brings_back_is_lost_no_more(lines: int) -> None:
    """A sync came between an edit and its undo: of these lines all are back."""
    kept = [linked(Task(f"kept {n}"), n) for n in range(3)]
    links = [*kept, *(linked(Task(chr(97 + n) * 5), 100 + n) for n in range(lines))]
    graves = [
        replace(stone(chr(945 + n) * 5, False), key=f"g{n}", remote_id=f"g{n}")
        for n in range(lines)
    ]
    texts = [f"kept {n}" for n in range(3)] + [chr(945 + n) * 5 for n in range(lines)]
    removal = made(
        [entry(t, line=n) for n, t in enumerate(texts, 1)], links, tombstones=graves
    ).removal
    assert removal == Removal(lines, 0, lines + 3)
    removal = made([entry(t) for t in texts[:3]], links, tombstones=graves).removal
    assert removal == Removal(lines, lines, 2 * lines + 3, drastic=True)


@pytest.mark.parametrize("how", ["complete", "delete", "keep"])
@pytest.mark.parametrize(("gone", "stands"), [("ab", "cde"), ("mn", "abc"), ("abcde", "vwxyz")])
def test_two_lists_in_turns_lose_nothing_for_good(gone: str, stands: str, how: str) -> None:
    """What was removed within the hour is there again; a deleted item is made anew."""
    graves = [replace(stone(text, False), key=text, remote_id=text, how=how) for text in gone]
    links = [linked(Task(text), n) for n, text in enumerate(stands)]
    entries = [entry(text, line=n) for n, text in enumerate(gone, 1)]
    removal = made(entries, links, replace(PUSH, on_removal=how), tombstones=graves).removal
    assert not removal.drastic
    other = [entry("foreign")]
    removal = made(other, links, replace(PUSH, on_removal=how), tombstones=graves).removal
    assert removal.drastic == (how != "keep")


# What holds of any plan

texts = st.sampled_from(
    ["buy milk", "buy bread", "call mom", "call dad", "water the plants", "write the report today"]
) | st.text("ab ", min_size=1, max_size=6).filter(str.strip)
dues = st.sampled_from([None, None, "2026-01-31", "2026-06-01T17:00", "2026-06-01T17:00+02:00"])
tasks = st.builds(Task, texts, st.booleans(), dues)
files = st.lists(tasks, max_size=8)
policies = st.builds(
    Policy,
    st.just(ENCODING),
    st.sampled_from(["complete", "delete", "keep"]),
    st.sampled_from([0.0, 30.0]),
    st.just(1.0),
    st.booleans(),
    st.booleans(),
)


def lines(tasks: list[Task]) -> list[Entry]:
    """The file with these tasks."""
    return [Entry(task, number) for number, task in enumerate(tasks, 1)]


class World:
    """A store and a server in which every op takes effect at once."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.links: dict[str, Link] = {}
        self.server: dict[str, Fields] = {}
        self.stones: dict[str, Tombstone] = {}
        self.keys = (f"key{n}" for n in count())
        self.now = NOW

    def plan(self, tasks: list[Task]) -> Plan:
        """Plan for this file as it stands."""
        links = sorted(self.links.values(), key=lambda link: link.rank)
        taken = {link.remote_id for link in links}
        free = [RemoteItem(n, fields) for n, fields in self.server.items() if n not in taken]
        stones = tuple(self.stones.values())
        seen = Observation(lines(tasks), links, self.now, stones, (), free)
        return plan.make(seen, self.policy, self.keys)

    def run(self, decided: Plan) -> None:
        """Let everything in the plan take effect."""
        self.links |= {link.key: link for link in decided.rows}
        for key in decided.dropped:
            del self.links[key]
        self.stones |= {grave.key: grave for grave in decided.buried}
        for op in decided.ops:
            self.do(op)

    def do(self, op: plan.Op) -> None:
        """Let one op take effect on the server and in the store."""
        match op:
            case AddRemote():
                remote_id = f"r{len(self.server)}"
                self.server[remote_id] = op.fields
                base = Base(op.entry.task, op.fields)
                self.links[op.link.key] = op.link.but(remote_id=remote_id, base=base)
            case Adopt():
                self.links[op.link.key] = op.link
            case ChangeRemote() | Revive():
                remote_id, base = op.link.remote_id, op.link.base
                assert remote_id is not None
                assert base is not None
                old, patch = self.server[remote_id], op.patch
                new = Fields(
                    old.description if patch.description is None else patch.description,
                    old.completed if patch.completed is None else patch.completed,
                    None if patch.clear_due else patch.due_at or old.due_at,
                )
                self.server[remote_id] = new
                self.links[op.link.key] = op.link.but(base=settled(op.entry.task, base, patch, new))
                self.stones.pop(op.link.key, None)
            case RemoveRemote():
                remote_id = op.link.remote_id
                assert remote_id is not None
                if op.how == "complete":
                    self.server[remote_id] = replace(self.server[remote_id], completed=True)
                else:
                    del self.server[remote_id]
                    self.server[f"deleted {remote_id}"] = Fields("deleted", True)
                del self.links[op.link.key]
                self.stones[op.link.key] = plan.buried(op.link, op.how, self.now, counted=True)

    def settle(self, tasks: list[Task]) -> None:
        """Run plans, time passing, until one is empty."""
        for _ in range(4):
            self.run(self.plan(tasks))
            self.now += 40.0


@given(policies, st.lists(files, min_size=1, max_size=4))
def test_a_settled_state_plans_nothing(policy: Policy, versions: list[list[Task]]) -> None:
    """After any history of saves, everything that took effect is not planned again."""
    world = World(policy)
    for version in versions:
        world.settle(version)
        again = world.plan(version)
        assert (again.ops, again.rows, again.dropped, again.buried) == ((), (), (), ())


@given(policies, st.lists(files, min_size=1, max_size=4))
def test_the_server_says_what_the_file_says(policy: Policy, versions: list[list[Task]]) -> None:
    """Each line has an item of its own with its text and its box."""
    policy = replace(policy, skip_completed=False)
    world = World(policy)
    for version in versions:
        world.settle(version)
    wanted = sorted((task.text.strip(), task.completed) for task in versions[-1])
    held = sorted(
        (world.server[link.remote_id].description, world.server[link.remote_id].completed)
        for link in world.links.values()
        if link.remote_id is not None
    )
    assert [text for text, _ in held] == [text for text, _ in wanted]
    assert held == wanted


@given(policies, files, files)
def test_no_key_and_no_item_is_used_twice(
    policy: Policy, first: list[Task], then: list[Task]
) -> None:
    """Ops of one plan are about different tasks and different items."""
    world = World(policy)
    world.settle(first)
    ops = world.plan(then).ops
    keys = [op.link.key for op in ops]
    ids = [op.link.remote_id for op in ops if op.link.remote_id is not None]
    assert len(set(keys)) == len(keys)
    assert len(set(ids)) == len(ids)


@given(files.filter(bool), st.integers(0, 7))
def test_writes_are_what_was_edited(version: list[Task], at: int) -> None:
    """One ticked line in a settled file: one ChangeRemote of that field."""
    world = World(PUSH)
    world.settle(version)
    number = at % len(version)
    edited = [*version]
    edited[number] = replace(edited[number], completed=not edited[number].completed)
    ops = [op for op in world.plan(edited).ops if not isinstance(op, Adopt)]
    assert len(ops) <= 1 + (version.count(version[number]) > 1)
    assert all(isinstance(op, ChangeRemote) and op.patch.description is None for op in ops)


@pytest.mark.parametrize(
    ("named", "made_at", "ids", "told"),
    [
        ("other", None, False, True),
        ("other", NOW - 61, False, True),
        ("other", NOW + 61, False, True),  # by a clock that is ahead
        ("other", NOW - 60, False, False),  # told when it was made
        ("other", NOW + 60, False, False),
        ("other", None, True, False),  # the right one is written in its place
        ("r1", None, False, False),
        (None, None, False, False),
    ],
)
def test_a_line_that_names_another_item_is_a_stray(
    named: str | None, made_at: float | None, ids: bool, told: bool
) -> None:
    """It keeps its own item; its person is to hear of it once it is not new any more."""
    line = entry("a")._replace(explicit_id=named)
    known = linked(line.task, made_at=made_at)
    decided = made([line], [known], replace(PUSH, ids=ids))
    assert (decided.strays, decided.ops) == ((line,) if told else (), ())


def test_a_plan_without_some_tasks_leaves_the_others_as_they_are() -> None:
    """Neither done nor written down; what is known of the rest stays."""
    links = [linked(Task("a"), 1), linked(Task("b"), 2)]
    entries = [entry("a", completed=True), entry("b", completed=True, line=2)]
    whole = made(entries, links)
    assert len(whole.ops) == 2
    less = whole.without({links[0].key})
    assert [op.link.key for op in less.ops] == [links[1].key]
    assert replace(less, ops=whole.ops, rows=whole.rows) == whole
    assert whole.without(set()) == whole
