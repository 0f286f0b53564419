"""The decision table with a listing: rows by hand, then two replicas at random."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from itertools import count
from random import Random
from string import ascii_lowercase
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from omisync.core import merge, plan
from omisync.core.merge import Encoding
from omisync.core.model import (
    GONE_SECONDS,
    LET_GO,
    Base,
    Clash,
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
    AddLocal,
    AddRemote,
    Adopt,
    ChangeLocal,
    ChangeRemote,
    DropTwin,
    Probe,
    RemoveLocal,
    RemoveRemote,
    Revive,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ENCODING = Encoding(UTC, time(9))
POLICY = plan.Policy(ENCODING, two_way=True)
START = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOW = START.timestamp()


def entry(text: str, *, completed: bool = False, due: str | None = None, line: int = 1) -> Entry:
    """A line of the file."""
    return Entry(Task(text, completed, due), line)


def item(name: str, text: str, *, completed: bool = False, age: float = 0.0) -> RemoteItem:
    """An item of the list, made ``age`` seconds before START."""
    return RemoteItem(name, Fields(text, completed), START - timedelta(seconds=age))


def link(name: str, text: str, **more: object) -> Link:
    """A settled link of an open task."""
    task = Task(text)
    fresh = Link(f"k-{name}", name, task, base=Base(task, merge.encode(task, ENCODING)))
    return fresh.but(**more)


def made(
    entries: Sequence[Entry],
    links: Sequence[Link],
    items: Sequence[RemoteItem],
    policy: plan.Policy = POLICY,
    **more: object,
) -> plan.Plan:
    """Plan from a complete listing."""
    linked = {one.remote_id for one in links}
    seen = plan.Observation(
        entries,
        links,
        NOW,
        unlinked=[one for one in items if one.id not in linked],
        listed={one.id: one for one in items},
        complete=True,
    )
    seen = replace(seen, **more)  # type: ignore[arg-type]  # names of its fields
    return plan.make(seen, policy, keys())


def keys() -> Iterator[str]:
    """Yield keys."""
    return (f"new-{n}" for n in count())


def kinds(decided: plan.Plan) -> list[type]:
    """Return the classes of the ops."""
    return [type(op) for op in decided.ops]


def test_agreement_plans_nothing() -> None:
    """Nothing is done, and nothing is written down."""
    decided = made([entry("a")], [link("a", "a")], [item("a", "a")])
    assert (decided.ops, decided.rows, decided.clashes) == ((), (), ())


def test_a_change_in_the_app_reaches_the_line() -> None:
    """Only the line changes; the row is written with it, not before."""
    decided = made([entry("a")], [link("a", "a")], [item("a", "b", completed=True)])
    (op,) = decided.ops
    assert isinstance(op, ChangeLocal)
    assert op.task == Task("b", completed=True)
    assert op.link.base == Base(op.task, Fields("b", completed=True))
    assert decided.rows == ()


def test_changes_of_different_fields_cross_each_way() -> None:
    """Reworded here, ticked there: both sides get both."""
    milk = item("a", "buy milk", completed=True)
    decided = made([entry("buy oat milk")], [link("a", "buy milk")], [milk])
    local, remote = decided.ops
    assert isinstance(local, ChangeLocal)
    assert isinstance(remote, ChangeRemote)
    assert local.task == Task("buy oat milk", completed=True)
    assert remote.patch.description == "buy oat milk"
    assert remote.patch.completed is None


def test_new_items_become_lines_oldest_first() -> None:
    """Open ones; finished ones stay out unless all are wanted."""
    items = [item("a", "young"), item("o", "old", age=9), item("d", "done", completed=True)]
    assert [op.link.seen.text for op in made([], [], items).ops] == ["old", "young"]
    every = made([], [], items, replace(POLICY, import_items="all"))
    assert sorted(op.link.seen.text for op in every.ops) == ["done", "old", "young"]
    assert not made([], [], items, replace(POLICY, import_items="linked")).ops
    recent = replace(POLICY, import_since=NOW - 5)
    assert [op.link.seen.text for op in made([], [], items, recent).ops] == ["young"]


def test_a_line_and_an_item_of_one_text_are_one_task() -> None:
    """It is adopted, not written again."""
    decided = made([entry("a")], [], [item("x", "a")])
    assert kinds(decided) == [Adopt]


def test_an_incomplete_list_proves_nothing_by_absence() -> None:
    """Nothing is counted as missing."""
    decided = made([entry("a")], [link("a", "a")], [], complete=False)
    assert (decided.ops, decided.rows) == ((), ())


def test_absence_is_asked_about_after_two_complete_lists() -> None:
    """The first is only noted; a probe proves it."""
    first = made([entry("a")], [link("a", "a")], [])
    assert first.ops == ()
    assert [row.missing for row in first.rows] == [1]
    second = made([entry("a")], [link("a", "a", missing=1)], [])
    assert kinds(second) == [Probe]
    asked = link("a", "a", missing=2, probed_at=NOW - 60)
    waits = made([entry("a")], [asked], [])
    assert (waits.ops, waits.later) == ((), True)
    assert kinds(made([entry("a")], [asked.but(probed_at=NOW - 90_000)], [])) == [Probe]


def test_one_that_is_not_asked_about_yet_holds_up_no_other() -> None:
    """The first was missed once, the second twice."""
    links = [link("a", "a"), link("b", "b", missing=1, rank=1)]
    (op,) = made([entry("a"), entry("b", line=2)], links, []).ops
    assert op == Probe(links[1].but(missing=2), entry("b", line=2))


@pytest.mark.parametrize(
    ("ago", "asks"),
    [(0.0, False), (0.5, False), (86_399.0, False), (86_400.0, True), (-1.0, True)],
)
def test_an_item_is_asked_about_once_a_day(ago: float, asks: bool) -> None:
    """Until then it is looked at again later; a clock that jumped back does not hold it up."""
    asked = link("a", "a", missing=2, probed_at=NOW - ago)
    decided = made([entry("a")], [asked], [])
    assert kinds(decided) == [Probe] * asks
    assert decided.later is not asks


def test_a_cycle_asks_for_a_few_items_only() -> None:
    """The others wait for the next cycle: each question is taken from the hour's budget."""
    links = [link(str(n), f"task {n}", missing=2) for n in range(41)]
    lines = [entry(f"task {n}", line=n) for n in range(41)]
    decided = made(lines, links, [])
    assert kinds(decided) == [Probe] * 40
    assert decided.later
    assert not made(lines[:40], links[:40], []).later


def test_what_was_asked_about_lately_takes_no_room() -> None:
    """Items that exist unlisted, however many, do not keep the others from being asked about."""
    links = [link(str(n), f"task {n}", missing=2, probed_at=NOW - 60) for n in range(41)]
    links[-1] = links[-1].but(probed_at=None)
    decided = made([entry(one.seen.text, line=n) for n, one in enumerate(links)], links, [])
    assert [op.link.key for op in decided.ops] == ["k-40"]
    assert decided.later  # the others are asked about again a day later, whatever the list says


def test_a_parked_line_is_not_asked_about() -> None:
    """What was refused waits for its person, and needs neither its id nor a probe."""
    refused = Parked(422, "no", NOW, Task("a"))
    waits = link("a", "a", missing=2, parked=refused)
    decided = made([entry("a")], [waits], [], replace(POLICY, ids=True))
    assert decided.ops == ()
    assert [one.key for one, _ in decided.parked] == ["k-a"]


def test_an_item_that_is_listed_again_was_never_missing() -> None:
    """The count starts anew."""
    decided = made([entry("a")], [link("a", "a", missing=1)], [item("a", "a")])
    assert [row.missing for row in decided.rows] == [0]


def test_an_edited_line_asks_by_its_own_change() -> None:
    """Its PATCH is the probe."""
    known = link("a", "buy milk", missing=2)
    assert kinds(made([entry("buy oat milk")], [known], [])) == [ChangeRemote]


GONE = link("a", "a", remote_id=None)


@pytest.mark.parametrize(
    ("policy", "line", "expected"),
    [
        ("keep", entry("a"), []),
        ("check", entry("a"), [ChangeLocal]),
        ("check", entry("a", completed=True), []),
        ("remove", entry("a"), [RemoveLocal]),
        ("keep", entry("b"), [AddRemote]),
        ("check", entry("b"), [AddRemote]),
        ("remove", entry("b"), [AddRemote]),
        ("remove", entry("a", completed=True), []),
    ],
)
def test_a_gone_item_by_policy(policy: str, line: Entry, expected: list[type]) -> None:
    """An edit of the text beats the deletion, a tick does not; else the policy decides."""
    decided = made([line], [GONE], [], replace(POLICY, on_remote_removal=policy))
    assert kinds(decided) == expected
    if not expected:
        assert [row.missing for row in decided.rows] == [LET_GO]


def test_a_finished_line_of_a_gone_item_needs_no_tick() -> None:
    """It is let go as it is."""
    done = Task("a", completed=True)
    gone = link("a", "a", remote_id=None, seen=done, base=Base(done, Fields("a", completed=True)))
    other = link("b", "b", rank=1, missing=1)
    decided = made(
        [entry("a", completed=True), entry("b")],
        [gone, other],
        [item("b", "b")],
        replace(POLICY, on_remote_removal="check"),
    )
    assert decided.ops == ()
    assert decided.rows == (other.but(missing=0), gone.but(missing=LET_GO))


def test_a_line_that_was_let_go_is_let_go_once() -> None:
    """It is not ticked at each look."""
    policy = replace(POLICY, on_remote_removal="check")
    assert made([entry("a")], [GONE.but(missing=LET_GO)], [], policy).ops == ()
    other = link("b", "b", remote_id=None, rank=1)
    lines = [entry("a"), entry("b", line=2)]
    assert kinds(made(lines, [GONE.but(missing=LET_GO), other], [], policy)) == [ChangeLocal]


@pytest.mark.parametrize("policy", ["keep", "check", "remove"])
def test_a_finished_line_of_a_gone_item_that_is_opened_again_is_made_anew(policy: str) -> None:
    """Its tick was written down; without one it is to be done, and nobody else has it."""
    chosen = replace(POLICY, on_remote_removal=policy)
    (ticked,) = made([entry("a", completed=True)], [GONE], [], chosen).rows
    done = Task("a", completed=True)
    assert ticked == GONE.but(missing=LET_GO, seen=done, base=Base(done, Fields("a")))
    assert made([entry("a", completed=True)], [ticked], [], chosen).rows == ()
    (op,) = made([entry("a")], [ticked], [], chosen).ops
    anew = ticked.but(missing=0, seen=Task("a"))
    assert op == AddRemote(anew, entry("a"), Fields("a"))


@pytest.mark.parametrize(("missing", "probed_at"), [(LET_GO, None), (2, NOW - 9), (0, None)])
def test_a_line_that_was_let_go_and_is_edited_starts_anew(
    missing: int, probed_at: float | None
) -> None:
    """Its new item can go missing as any other."""
    gone = GONE.but(missing=missing, probed_at=probed_at)
    (op,) = made([entry("a b")], [gone], []).ops
    anew = gone.but(seen=Task("a b"), missing=0, probed_at=None)
    assert op == AddRemote(anew, entry("a b"), Fields("a b"))


def test_an_item_that_came_back_under_another_id_is_the_same_task() -> None:
    """A reprocessed conversation makes new ids: nothing is doubled, nothing removed."""
    asked = made([entry("a")], [link("a", "a")], [item("z", "a")])
    assert kinds(asked) == [Probe]
    decided = made(
        [entry("a")], [GONE], [item("z", "a")], replace(POLICY, on_remote_removal="remove")
    )
    (op,) = decided.ops
    assert isinstance(op, Adopt)
    assert op.link.remote_id == "z"


def test_a_line_with_another_item_starts_as_at_a_first_meeting() -> None:
    """Beside new lines: what became of its former item is over, and a date is news."""
    past = GONE.but(missing=2, probed_at=NOW - 9, made_at=NOW - 99)
    gone = past.but(failures=3, parked=Parked(422, "no", NOW - 9, Task("a")))
    dated = replace(item("z", "a"), fields=Fields("a", due_at=START))
    ops = made([entry("new"), entry("a", line=2)], [gone], [dated]).ops
    base = Base(Task("a"), Fields("a"))
    tied = GONE.but(remote_id="z", base=base)
    assert [op for op in ops if isinstance(op, Adopt)] == [Adopt(tied, entry("a", line=2), dated)]


def test_an_item_that_is_restored_finds_its_line_again() -> None:
    """However long the line was left alone: it is not written a second time."""
    decided = made([entry("a")], [GONE.but(missing=LET_GO)], [item("a", "a")])
    (op,) = decided.ops
    assert isinstance(op, Adopt)
    assert (op.link.remote_id, op.link.missing) == ("a", 0)


def test_a_removed_line_whose_item_was_edited_comes_back() -> None:
    """An edit beats a deletion; a tick alone does not."""
    back = made([], [link("a", "a")], [item("a", "b")])
    (op,) = back.ops
    assert isinstance(op, AddLocal)
    assert (op.link.key, op.link.seen.text) == ("k-a", "b")
    assert back.removal.count == 0
    ticked = made([], [link("a", "a")], [item("a", "a", completed=True)])
    assert ticked.ops == ()
    assert [stone.how for stone in ticked.buried] == ["complete"]


def test_a_removed_line_does_not_come_back_without_words() -> None:
    """An item that no line can say any more goes as its line went."""
    policy = replace(POLICY, encoding=Encoding(UTC, time(9), str.strip))
    decided = made([], [link("a", "a")], [item("a", " ")], policy)
    assert decided.ops == (RemoveRemote(link("a", "a", absent_since=NOW), "complete"),)


def test_a_removed_line_stays_removed() -> None:
    """Its item is not new, as long as it is as the removal left it."""
    stone = Tombstone("k", "a", Task("a"), Fields("a", completed=False), "keep", 0.0)
    assert not made([], [], [item("a", "a")], tombstones=[stone]).ops
    assert kinds(made([], [], [item("a", "edited")], tombstones=[stone])) == [AddLocal]


def test_a_line_that_comes_back_meets_what_the_app_did() -> None:
    """Its item was edited since: the two are tied as they were, and joined by the next plan."""
    stone = Tombstone("k", "a", Task("a"), Fields("a"), "keep", 0.0)
    line = entry("a", due="2026-07-01")
    ticked = item("a", "a", completed=True)
    (op,) = made([line], [], [ticked], tombstones=[stone]).ops
    assert isinstance(op, Adopt)
    assert op == Adopt(op.link, line, ticked)
    assert (op.link.key, op.link.base) == ("k", Base(Task("a"), Fields("a")))
    assert kinds(made([line], [], [item("a", "a")], tombstones=[stone])) == [Revive]
    dated = RemoteItem("a", Fields("a", due_at=START), START)
    assert kinds(made([line], [], [dated], tombstones=[stone])) == [Adopt]  # and no second line


def test_a_line_that_comes_back_may_have_lost_its_item() -> None:
    """A list that is complete and lacks it makes it doubtful: a field is sent as it is."""
    for done, patch in ((False, Patch(completed=False)), (True, Patch(description="a"))):
        stone = Tombstone("k", "a", Task("a", done), Fields("a", done), "keep", 0.0)
        line = entry("a", completed=done)
        for listed, expected in (([], patch), ([item("a", "a", completed=done)], Patch())):
            (op,) = made([line], [], listed, tombstones=[stone]).ops
            assert isinstance(op, Revive)
            assert op.patch == expected


def test_a_create_without_an_answer_is_waited_for() -> None:
    """The item that it may have made is not written as another line."""
    waits = Link("k", None, Task("a"))
    decided = made([entry("a")], [waits], [item("x", "a")], pending={"k": "a"})
    assert decided.ops == ()
    assert decided.later


def test_twins_settle_alike_on_both_machines() -> None:
    """The item created first stays; who made the other takes it back."""
    first, second = item("x", "a", age=30), item("y", "a", age=10)
    loser = made([entry("a")], [link("y", "a", made_at=1.0)], [first, second])
    assert kinds(loser) == [DropTwin]
    assert [row.remote_id for row in loser.rows] == ["x"]
    assert [(stone.how, stone.remote_id) for stone in loser.buried] == [("twin", "y")]
    more = [first, second, item("z", "b")]
    winner = made([entry("a")], [link("x", "a", made_at=1.0)], more)
    assert [op.link.remote_id for op in winner.ops] == ["z"]
    again = made([entry("a")], [link("x", "a")], [first, second], tombstones=[loser.buried[0]])
    assert kinds(again) == [DropTwin]


@pytest.mark.parametrize(
    "other",
    [item("x", "a", age=900), item("x", "a", completed=True, age=5), item("x", "b", age=5)],
)
def test_what_is_no_twin_is_left_alone(other: RemoteItem) -> None:
    """Made at another time, ticked, or of another text: it is a task of its own."""
    decided = made([entry("a")], [link("y", "a", made_at=1.0)], [other, item("y", "a")])
    assert kinds(decided) == ([] if other.fields.completed else [AddLocal])


@pytest.mark.parametrize("how", ["complete", "delete", "keep", "gone"])
def test_what_had_a_line_of_ours_is_no_twin(how: str) -> None:
    """One of two equal lines went, and its item was opened again in the app, or undeleted."""
    first, second = item("x", "a", age=30), item("y", "a", age=10)
    stone = Tombstone("k", "x", Task("a"), Fields("a", how == "complete"), how, 0.0)
    decided = made([entry("a")], [link("y", "a", made_at=1.0)], [first, second], tombstones=[stone])
    assert kinds(decided) == ([AddLocal] if how in {"complete", "gone"} else [])


def test_an_old_item_is_no_twin() -> None:
    """What its own machine did not take back within a day is somebody's task."""
    first, second = item("x", "a", age=86_430), item("y", "a", age=86_400)
    decided = made([entry("a")], [link("y", "a", made_at=1.0)], [first, second])
    assert kinds(decided) == [AddLocal]
    later = item("y", "a", age=86_399)
    assert kinds(made([entry("a")], [link("y", "a", made_at=1.0)], [first, later])) == [DropTwin]


def test_who_wants_an_item_for_each_list_has_no_twins() -> None:
    """Without ``adopt`` an equal item is another task."""
    both = [item("x", "a", age=30), item("y", "a", age=10)]
    policy = replace(POLICY, adopt=False)
    assert kinds(made([entry("a")], [link("y", "a", made_at=1.0)], both, policy)) == []


def test_a_twin_is_asked_for_until_an_answer_tells_that_it_is_gone() -> None:
    """The list lacks it, but nothing told so."""
    stone = Tombstone("twin-k", "y", Task("a"), Fields("a"), "twin", NOW, False)
    decided = made([entry("a")], [link("x", "a")], [item("x", "a")], tombstones=[stone])
    assert decided.ops == (DropTwin(Link("twin-k", "y", Task("a")), stone),)


def test_an_open_line_that_names_a_finished_item_opens_it_again() -> None:
    """It would be ticked by what was finished before it was written; the tick is told of."""
    line = Entry(Task("a"), 1, explicit_id="x")
    done = item("x", "a", completed=True)
    decided = made([line], [], [done])
    (op,) = decided.ops
    assert isinstance(op, Adopt)
    assert decided.clashes == (Clash(op.link.key, "a", "completed", "remote", "open", "done"),)
    (then,) = made([line], [op.link], [done]).ops
    assert isinstance(then, ChangeRemote)
    assert then.patch == Patch(completed=False)
    (op,) = made([Entry(Task("a", True), 1, explicit_id="x")], [], [item("x", "a")]).ops
    assert isinstance(op, Adopt)
    (then,) = made([Entry(Task("a", True), 1, explicit_id="x")], [op.link], [item("x", "a")]).ops
    assert then.patch == Patch(completed=True)  # type: ignore[union-attr]  # as without an id


def test_an_id_that_omisync_wrote_is_no_statement() -> None:
    """Unless the item was removed here: a second machine may just not know yet what was done."""
    line = Entry(Task("a"), 1, explicit_id="x")
    done = item("x", "a", completed=True)
    inline = replace(POLICY, ids=True)
    for known in ([], [link("gone", "a", remote_id=None)]):
        (op,) = made([line], known, [done], inline).ops
        assert op.link.base == Base(Task("a"), Fields("a"))
    stone = Tombstone("k", "x", Task("a", True), Fields("a", True), "complete", 0.0, False)
    (op,) = made([line], [], [done], inline, tombstones=[stone]).ops
    assert op.link.base == Base(Task("a", True), Fields("a", True))
    (op,) = made([line], [], [done], replace(POLICY, prefer="remote")).ops
    assert op.link.base == Base(Task("a"), Fields("a"))


def test_two_removals_of_one_item_give_it_one_line() -> None:
    """The later wording is its; the other line is new."""
    first = Tombstone("k1", "x", Task("milk"), Fields("milk", True), "complete", NOW - 2)
    second = Tombstone("k2", "x", Task("oat"), Fields("oat", True), "complete", NOW - 1)
    lines = [entry("milk"), entry("oat", line=2)]
    decided = made(lines, [], [item("x", "oat", completed=True)], tombstones=[first, second])
    assert kinds(decided) == [Revive, AddRemote]
    assert decided.ops[0].link.seen.text == "oat"


def test_a_line_that_names_an_item_is_no_other_one_s() -> None:
    """Whatever was removed with the same text."""
    stone = Tombstone("k", "x", Task("a"), Fields("a"), "keep", 1.0)
    line = Entry(Task("a"), 1, explicit_id="y")
    (op,) = made([line], [], [item("x", "a"), item("y", "b")], tombstones=[stone]).ops
    assert isinstance(op, Adopt)
    assert op.link.remote_id == "y"


def test_a_removed_task_s_item_is_not_another_line_s() -> None:
    """It waits for its own; a line that names it is its own."""
    unlinked = link("gone", "a", remote_id=None, missing=LET_GO, seen=Task("a", True))
    stone = Tombstone("k2", "x", Task("a"), Fields("a", True), "complete", 5.0, False)
    done = item("x", "a", completed=True)
    line = entry("a", completed=True)
    assert made([line], [unlinked], [done], tombstones=[stone]).ops == ()
    named = line._replace(explicit_id="x")
    assert kinds(made([named], [unlinked], [done], tombstones=[stone])) == [Adopt]
    edited = item("x", "a", completed=True, age=1)
    edited = replace(edited, fields=replace(edited.fields, due_at=START))
    assert kinds(made([line], [unlinked], [edited], tombstones=[stone])) == [Adopt]


def test_what_a_push_left_to_the_item_is_news_in_two_way() -> None:
    """A date that the line never had, a tick that a repair found; both reach the line."""
    dated = Fields("a", due_at=START)
    date_only = link("x", "a", base=Base(Task("a"), dated))
    items = [RemoteItem("x", dated, START)]
    (op,) = made([entry("a")], [date_only], items).ops
    assert isinstance(op, ChangeLocal)
    assert op.task.due is not None
    kept = date_only.but(clear_due=True)
    assert made([entry("a")], [kept], items).ops == ()
    done = Fields("a", completed=True)
    ticked = link("x", "a", base=Base(Task("a"), done))
    (op,) = made([entry("a")], [ticked], [RemoteItem("x", done, START)]).ops
    assert isinstance(op, ChangeLocal)
    assert op.task == Task("a", True)
    gone = made([entry("a")], [date_only], [])
    assert (gone.ops, [row.missing for row in gone.rows]) == ((), [1])
    agreed = link("x", "a")
    assert made([entry("a")], [agreed], [item("x", "a")]).ops == ()


def test_a_twin_that_was_edited_meanwhile_stays() -> None:
    """It is a task of its own then, and no twin any more once it has a line."""
    stone = Tombstone("twin-k", "y", Task("a"), Fields("a"), "twin", NOW, False)
    items = [item("x", "a"), item("y", "a and more")]
    assert kinds(made([entry("a")], [link("x", "a")], items, tombstones=[stone])) == [AddLocal]
    lines, links = (
        [entry("a"), entry("a and more", line=2)],
        [link("x", "a"), link("y", "a and more")],
    )
    links[1] = links[1].but(rank=1)
    assert kinds(made(lines, links, items, tombstones=[stone])) == []


def test_a_twin_that_a_line_names_is_that_line_s() -> None:
    """It is not deleted in the same breath."""
    stone = Tombstone("twin-k", "y", Task("a"), Fields("a"), "twin", NOW, False)
    lines = [entry("a"), Entry(Task("a"), 2, explicit_id="y")]
    items = [item("x", "a"), item("y", "a")]
    assert kinds(made(lines, [link("x", "a")], items, tombstones=[stone])) == [Adopt]


def test_a_twin_that_was_refused_is_waited_for() -> None:
    """Its time is noted in the stone."""
    stone = Tombstone("twin-k", "y", Task("a"), Fields("a"), "twin", NOW + 1, False)
    decided = made(
        [entry("a")], [link("x", "a")], [item("x", "a"), item("y", "a")], tombstones=[stone]
    )
    assert (decided.ops, decided.later) == ((), True)


@pytest.mark.parametrize("how", ["keep", "complete", "delete", "forgotten"])
def test_what_was_decided_last_about_an_item_holds(how: str) -> None:
    """It was proven gone once, came again, and its line was removed since."""
    done = how == "complete"
    gone = Tombstone("was-k", "x", Task("a"), Fields("a"), "gone", 5.0, False)
    kept = Tombstone("k2", "x", Task("a"), Fields("a", done), how, 5.0, False)
    items = [item("x", "a", completed=done)]
    policy = replace(POLICY, import_items="all")
    assert made([], [], items, policy, tombstones=[kept, gone]).ops == ()
    later = replace(gone, removed_at=6.0)
    assert kinds(made([], [], items, policy, tombstones=[later, kept])) == [AddLocal]


def test_what_was_given_up_is_left_alone_whatever_becomes_of_it() -> None:
    """No line is made of it; one that its person writes is that item's."""
    stone = Tombstone("k", "x", Task("a"), Fields("a"), "forgotten", 0.0, False)
    edited = item("x", "a", completed=True)
    assert made([], [], [edited], replace(POLICY, import_items="all"), tombstones=[stone]).ops == ()
    assert kinds(made([entry("a")], [], [edited], tombstones=[stone])) == [Adopt]


def test_a_finished_item_that_was_edited_does_not_go_with_its_line() -> None:
    """Where items are deleted, what the app wrote into it would be lost without a word."""
    gone = link("a", "a", seen=Task("a", True), base=Base(Task("a", True), Fields("a", True)))
    policy = replace(POLICY, on_removal="delete")
    edited = item("a", "a: seat 14", completed=True)
    assert kinds(made([], [gone], [edited], policy)) == [AddLocal]
    assert kinds(made([], [gone], [item("a", "a", completed=True)], policy)) == [RemoveRemote]
    assert kinds(made([], [gone], [edited], POLICY)) == []
    opened = link("a", "a")
    assert kinds(made([], [opened], [edited], policy)) == [AddLocal]
    assert kinds(made([], [opened], [item("a", "a", completed=True)], policy)) == [RemoveRemote]


def test_an_item_without_a_time_is_no_twin() -> None:
    """Which of two came first cannot be told."""
    known = link("y", "a", made_at=1.0)
    timeless = replace(item("x", "a"), created_at=None)
    assert DropTwin not in kinds(made([entry("a")], [known], [timeless, item("y", "a")]))
    timeless = replace(timeless, id="y")
    assert DropTwin not in kinds(made([entry("a")], [known], [item("x", "a", age=9), timeless]))


@pytest.mark.parametrize(
    "lines", [[entry("a", completed=True)], [entry("a", due="2026-07-01")], [entry("a b")], []]
)
def test_a_line_that_was_edited_since_gives_no_twin_away(lines: list[Entry]) -> None:
    """What it says now is on its way to the item that would be deleted."""
    known = link("y", "a", made_at=1.0)
    decided = made(lines, [known], [item("x", "a", age=30), item("y", "a", age=10)])
    assert DropTwin not in kinds(decided)
    assert ChangeRemote in kinds(decided) or RemoveRemote in kinds(decided) or not lines


def test_a_line_gets_no_id_of_a_twin_that_goes() -> None:
    """The next plan writes that of the item that stays."""
    known = link("y", "a", made_at=1.0)
    policy = replace(POLICY, ids=True)
    both = [item("x", "a", age=30), item("y", "a", age=10)]
    assert kinds(made([entry("a")], [known], both, policy)) == [DropTwin]


def test_an_item_that_the_app_changed_is_no_twin() -> None:
    """What was edited there is kept, though it now says what another item says."""
    known = link("y", "a b c", made_at=1.0)
    both = [item("x", "a b d", age=9), item("y", "a b d")]
    assert kinds(made([entry("a b c")], [known], both)) == [ChangeLocal, AddLocal]


def test_a_plan_tells_what_it_does_to_the_file() -> None:
    """Lines that come, and all ops that write."""
    decided = made([entry("a"), entry("new")], [link("a", "a")], [item("a", "b"), item("z", "z")])
    assert decided.arrivals == 1
    assert [type(op) for op in decided.local] == [ChangeLocal, AddLocal]


def test_a_file_is_not_emptied_by_an_empty_list() -> None:
    """The guard counts the lines that would go; kept lines are in no danger."""
    links = [link(str(n), f"task {n}", missing=1) for n in range(6)]
    lines = [entry(f"task {n}", line=n) for n in range(6)]
    decided = made(lines, links, [], replace(POLICY, on_remote_removal="remove"))
    assert decided.departure.drastic
    assert (decided.departure.count, decided.departure.total) == (6, 6)
    assert not made(lines, links, []).departure.drastic


def test_ids_are_written_where_they_can_be_read_back() -> None:
    """Once, and never one with odd characters."""
    policy = replace(POLICY, ids=True)
    (op,) = made([entry("a")], [link("a", "a")], [item("a", "a")], policy).ops
    assert op == ChangeLocal(link("a", "a"), entry("a"), Task("a"), "a", "its id")
    has = entry("a")._replace(explicit_id="a")
    assert made([has], [link("a", "a")], [item("a", "a")], policy).ops == ()
    assert made([entry("a")], [link("a b", "a")], [item("a b", "a")], policy).ops == ()


def test_a_line_keeps_no_id_of_another_item() -> None:
    """Its item was made anew under another id: once reworded, the old one would disown it."""
    stale = entry("a")._replace(explicit_id="former")
    (op,) = made([stale], [link("b", "a")], [item("b", "a")], replace(POLICY, ids=True)).ops
    assert isinstance(op, ChangeLocal)
    assert op.explicit_id == "b"
    assert made([stale], [link("b", "a")], [item("b", "a")]).ops == ()


def test_a_text_that_no_line_can_hold_is_counted() -> None:
    """It stays in Omi and is no line."""
    decided = made(
        [], [], [item("a", " ")], replace(POLICY, encoding=Encoding(UTC, time(9), str.strip))
    )
    assert (decided.ops, decided.mute) == ((), 1)


# What each op says, to the last field.


def test_a_new_item_is_a_line_with_its_own_key() -> None:
    """Its base is what both sides say from now on; its id is written where that is wanted."""
    arrival = item("a-1", "a", age=1)
    link = Link("new-0", "a-1", Task("a"), base=Base(Task("a"), arrival.fields))
    assert made([], [], [arrival]).ops == (AddLocal(link, arrival),)
    with_ids = replace(POLICY, ids=True)
    assert made([], [], [arrival], with_ids).ops == (AddLocal(link, arrival, "a-1"),)
    (op,) = made([], [], [item("a b", "a")], with_ids).ops
    assert isinstance(op, AddLocal)
    assert op.explicit_id is None


def test_items_that_are_no_lines_do_not_hide_those_that_are() -> None:
    """Adopted, awaited, buried, finished or blank: the others come all the same."""
    policy = replace(POLICY, encoding=Encoding(UTC, time(9), str.strip))
    stone = Tombstone("k", "buried", Task("c"), Fields("c"), "keep", 0.0)
    items = [
        item("adopted", "a", age=9),
        item("awaited", "b", age=8),
        item("buried", "c", age=7),
        item("finished", "d", completed=True, age=6),
        item("blank", " ", age=5),
        item("void", "", age=4),
        item("new", "e", age=3),
        replace(item("timeless", "f"), created_at=None),
    ]
    waits = Link("k-b", None, Task("b"))
    decided = made(
        [entry("a"), entry("b")],
        [waits],
        items[::-1],
        policy,
        pending={"k-b": "b"},
        tombstones=[stone],
    )
    assert kinds(decided) == [Adopt, AddLocal, AddLocal]
    assert [op.item.id for op in decided.ops if isinstance(op, AddLocal)] == ["new", "timeless"]
    assert decided.mute == 2
    assert decided.later


def test_a_create_of_which_only_the_key_is_known_holds_nothing_back() -> None:
    """Without its words no item can be told from others."""
    decided = made([entry("a")], [Link("k", None, Task("a"))], [item("x", "b")], pending={"k": "a"})
    assert kinds(decided) == [AddLocal]


def test_what_says_the_same_as_an_unlisted_item_is_waited_with() -> None:
    """Another machine, which cannot know that item, may have made it of the same line."""
    there = link("a", "a", missing=2, probed_at=NOW - 60)
    decided = made([entry("a")], [there], [item("z", "a")])
    assert (decided.ops, decided.later, decided.beside) == ((), True, 1)
    typed = made([entry("a"), entry("a", line=2)], [there], [item("z", "a")])
    assert kinds(typed) == [Adopt]
    locked = link("a", "a", missing=2, parked=Parked(402, "no", NOW - 60, Task("a"), NOW + 600))
    typed = made([entry("a"), entry("a", line=2)], [locked], [item("z", "a")])
    assert kinds(typed) == [Adopt]
    edited = there.but(seen=Task("b"))
    assert made([entry("b")], [edited], [item("z", "a")]).beside == 1
    done = there.but(seen=Task("a", completed=True))
    assert kinds(made([entry("a", completed=True)], [done], [item("z", "a")]))[-1] is AddLocal
    unasked = [link(text, text, missing=1) for text in "ab"]
    decided = made([entry("a"), entry("b", line=2)], unasked, [item("z", "a")])
    assert (decided.later, decided.beside) == (True, 0)  # it may yet be the item of the first


def test_a_deleted_item_does_not_come_back_edited() -> None:
    """The list may lag behind the deletion."""
    stone = Tombstone("k", "a", Task("a"), Fields("a"), "delete", 0.0)
    assert made([], [], [item("a", "b")], tombstones=[stone]).ops == ()


def test_what_is_as_old_as_the_limit_is_let_in() -> None:
    """``import_since`` is the first moment that counts; without a time nothing is known to be."""
    since = replace(POLICY, import_since=NOW - 5)
    assert kinds(made([], [], [item("x", "a", age=5)], since)) == [AddLocal]
    assert made([], [], [replace(item("x", "a"), created_at=None)], since).ops == ()


def test_who_takes_back_a_twin_keeps_the_other() -> None:
    """The row moves to the item that was first, and a stone remembers what is to be deleted."""
    other, known = link("b", "b", missing=1), link("y", "a", made_at=1.0, rank=1)
    items = [item("b", "b"), item("x", "a", age=30), item("y", "a", age=10)]
    decided = made([entry("b"), entry("a", line=2)], [other, known], items)
    stone = Tombstone("twin-k-y", "y", Task("a"), Fields("a"), "twin", NOW, False)
    assert decided.ops == (DropTwin(Link("twin-k-y", "y", Task("a")), stone),)
    assert decided.buried == (stone,)
    assert decided.rows == (other.but(missing=0), known.but(remote_id="x", made_at=None))
    again = made([entry("b")], [other], [item("b", "b"), item("y", "a")], tombstones=[stone])
    assert again.ops == decided.ops


@pytest.mark.parametrize(
    "known",
    [
        link("y", "a"),  # adopted, not made here
        link("y", "a", made_at=1.0, base=None),
        link("y", "a", made_at=1.0, doubt=frozenset({"description"})),
        link("y", "a", made_at=1.0, seen=Task("b")),  # the line was edited since
    ],
)
def test_only_a_settled_item_of_our_own_gives_way(known: Link) -> None:
    """Whatever is still on its way, or was not made here, is not deleted for a look-alike."""
    items = [item("x", "a", age=30), item("y", "a", age=10)]
    decided = made([Entry(known.seen, 1)], [known], items)
    assert DropTwin not in kinds(decided)
    assert AddLocal in kinds(decided)


def test_an_absent_line_gives_no_twin_away() -> None:
    """It may come back as it was."""
    gone = link("y", "a", made_at=1.0, absent_since=NOW - 1)
    items = [item("x", "a", age=30), item("y", "a", age=10)]
    assert DropTwin not in kinds(made([], [gone], items, replace(POLICY, grace=30.0)))


def test_a_twin_is_looked_for_among_all_lines_of_its_words() -> None:
    """Those made at another time, or at none that is known, do not hide it."""
    ours = [
        replace(item("t", "a"), created_at=None),
        item("f", "a", age=-500),
        item("y", "a", age=-90),
    ]
    links = [
        link("other", "b"),
        link("adopted", "c"),
        link("unlisted", "a", made_at=1.0),
        *(link(one.id, "a", made_at=1.0) for one in ours),
    ]
    links = [one.but(rank=at) for at, one in enumerate(links)]
    lines = [Entry(one.seen, at) for at, one in enumerate(links, 1)]
    items = [item("other", "b"), item("adopted", "c"), *ours, item("x", "a", age=30)]
    decided = made(lines, links, items, complete=False)
    assert [op.stone.remote_id for op in decided.ops if isinstance(op, DropTwin)] == ["y"]
    far = [*items[:-1], item("x", "a", age=31)]
    assert kinds(made(lines, links, far, complete=False)) == [AddLocal]


def test_a_twin_that_nobody_takes_back_becomes_a_line() -> None:
    """A day is long enough for the other machine to wake up."""
    known = link("x", "a", made_at=1.0)
    for age, waits in ((86_399.0, True), (86_400.0, False)):
        items = [item("x", "a", age=86_450), item("y", "a", age=age)]
        decided = made([entry("a")], [known], items)
        assert kinds(decided) == ([] if waits else [AddLocal])
        assert decided.later is waits
        # Whatever waits besides goes on waiting.
        items.append(item("z", "b", age=86_500))
        lines, links = [entry("a"), entry("b")], [known, Link("k", None, Task("b"), rank=1)]
        assert made(lines, links, items, pending={"k": "b"}).later


def test_clashes_are_told_with_their_task() -> None:
    """Of every task; the preferred side wins."""
    links = [link("a", "a b c"), link("d", "d e f", rank=1)]
    lines = [entry("a b x"), entry("d e x", line=2)]
    items = [item("a", "a b y"), item("d", "d e y")]
    for prefer, winner in (("local", "x"), ("remote", "y")):
        decided = made(lines, links, items, replace(POLICY, prefer=prefer))
        assert [(one.key, one.kept_value[-1]) for one in decided.clashes] == [
            ("k-a", winner),
            ("k-d", winner),
        ]
        assert kinds(decided) == [ChangeRemote if prefer == "local" else ChangeLocal] * 2
    refused = Parked(422, "no", NOW, Task("a b x"))
    parked = made(lines[:1], [links[0].but(parked=refused)], items[:1])
    assert parked.clashes == ()


def test_the_same_edit_on_both_sides_is_written_down() -> None:
    """Neither side is changed; both are known to say it."""
    both = Task("a b x")
    (row,) = made([entry("a b x")], [link("a", "a b c")], [item("a", "a b x")]).rows
    assert row == link("a", "a b x", rank=row.rank, base=Base(both, Fields("a b x")))


def test_a_changed_line_gets_its_id_in_one_go() -> None:
    """The file is written once."""
    (op,) = made([entry("a")], [link("a", "a")], [item("a", "b")], replace(POLICY, ids=True)).ops
    after = link("a", "b", base=Base(Task("b"), Fields("b")))
    assert op == ChangeLocal(after, entry("a"), Task("b"), "a")


def test_at_a_first_meeting_the_app_has_its_say() -> None:
    """A date that only the item has is news for the line, not something it gave up."""
    dated = replace(item("x", "a"), fields=Fields("a", due_at=START))
    (op,) = made([entry("a")], [], [dated]).ops
    assert isinstance(op, Adopt)
    assert op.link.base == Base(Task("a"), Fields("a"))


def test_what_is_not_missing_is_not_written_down() -> None:
    """A count that says enough stays; a key without an item counts nothing."""
    asked = link("a", "a", missing=2, probed_at=NOW - 60)
    assert made([entry("a")], [asked], []).rows == ()
    back = made([entry("a")], [asked], [item("a", "a")])
    assert back.rows == (asked.but(missing=0, probed_at=None),)
    new = Link("k", None, Task("a"))
    decided = made([entry("a")], [new], [])
    assert decided.ops == (AddRemote(new, entry("a"), Fields("a")),)
    assert decided.rows == ()


def test_a_gone_item_leaves_its_line_as_the_policy_says() -> None:
    """Kept as it is, ticked with the reason, or taken out."""
    other = link("b", "b", rank=1, missing=1)
    lines, links, items = [entry("a"), entry("b")], [GONE, other], [item("b", "b")]
    kept = made(lines, links, items)
    assert kept.rows == (other.but(missing=0), GONE.but(missing=LET_GO))
    (op,) = made(lines, links, items, replace(POLICY, on_remote_removal="check")).ops
    done = Task("a", completed=True)
    after = GONE.but(missing=LET_GO, seen=done, base=Base(done, Fields("a")))
    assert op == ChangeLocal(after, lines[0], done, why="deleted in Omi")
    removed = made(lines, links, items, replace(POLICY, on_remote_removal="remove"))
    assert removed.ops == (RemoveLocal(GONE, lines[0]),)
    assert removed.rows == (other.but(missing=0),)


@pytest.mark.parametrize(
    ("age", "how", "counted", "recent"),
    [
        (0.0, "gone", True, 1),
        (3599.0, "gone", True, 1),
        (3600.0, "gone", True, 0),
        (-3599.0, "gone", True, 1),
        (-3600.0, "gone", True, 0),
        (60.0, "complete", True, 0),
        (60.0, "gone", False, 0),
    ],
)
def test_a_departure_adds_up_for_an_hour(age: float, how: str, counted: bool, recent: int) -> None:
    """Only lines that went with their items, and were counted then."""
    stone = Tombstone("gone-k", "", Task("z"), Fields("z"), how, NOW - age, counted)
    decided = made(
        [entry("a"), entry("b")],
        [GONE, link("b", "b", rank=1)],
        [item("b", "b")],
        replace(POLICY, on_remote_removal="remove"),
        tombstones=[stone],
    )
    assert decided.departure == plan.Removal(1, recent, 2 + recent)


def test_departures_of_the_last_hour_add_up() -> None:
    """The last of three lines is drastic, though the others went in another cycle."""
    stones = [Tombstone(f"k{n}", "", Task("z"), Fields("z"), "gone", NOW - 9) for n in range(2)]
    policy = replace(POLICY, on_remote_removal="remove")
    decided = made([entry("a")], [GONE], [], policy, tombstones=stones)
    assert decided.departure == plan.Removal(1, 2, 3, drastic=True)


def test_finished_lines_are_in_no_danger() -> None:
    """The guard counts open lines that have, or had, an item, and no others."""
    done, policy = Task("a", completed=True), replace(POLICY, on_remote_removal="remove")
    gone = link("a", "a", remote_id=None, seen=done, base=Base(done, Fields("a", completed=True)))
    links = [gone, link("b", "b", remote_id=None, rank=1), Link("c", None, Task("c"), rank=2)]
    lines = [Entry(one.seen, at) for at, one in enumerate(links, 1)]
    decided = made(lines, links, [], policy)
    assert kinds(decided).count(RemoveLocal) == 2
    assert (decided.departure.count, decided.departure.total) == (1, 1)
    assert made(lines[:1], links[:1], [], policy).departure.count == 0


def test_a_removed_line_takes_its_item_along() -> None:
    """As it is, unless the app edited it; where that is in doubt, it goes."""
    (op,) = made([], [link("a", "a")], [item("a", "a")]).ops
    assert op == RemoveRemote(link("a", "a", absent_since=NOW), "complete")
    doubted = link("a", "a", doubt=frozenset({"description"}))
    assert kinds(made([], [doubted], [item("a", "b")])) == [RemoveRemote]
    unsettled = link("a", "a", base=None)
    assert kinds(made([], [unsettled], [item("a", "a")])) == [RemoveRemote]


def test_a_line_that_comes_back_says_what_the_app_says() -> None:
    """Under its own key, with nothing left of its absence; a finished one where all are wanted."""
    known = link("a", "a", absent_since=NOW - 5, failures=3)
    edited = item("a", "b")
    after = known.but(
        seen=Task("b"), base=Base(Task("b"), edited.fields), absent_since=None, failures=0
    )
    assert made([], [known], [edited]).ops == (AddLocal(after, edited, is_back=True),)
    waits = made([], [link("a", "a")], [edited], replace(POLICY, grace=30.0))
    assert (waits.ops, waits.removal.count) == ((), 0)
    finished = item("a", "b", completed=True)
    assert kinds(made([], [known], [finished], replace(POLICY, import_items="all"))) == [AddLocal]
    assert AddLocal not in kinds(made([], [known], [finished]))


# Two replicas at random.


@dataclass
class World:
    """A file, an account and an ID map; plans are carried out at once and in full."""

    policy: plan.Policy
    lines: list[Task] = field(default_factory=list)
    items: dict[str, RemoteItem] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    stones: list[Tombstone] = field(default_factory=list)
    clashes: list[Clash] = field(default_factory=list)
    names: Iterator[int] = field(default_factory=count)

    def plan(self) -> plan.Plan:
        """Look at both sides and decide."""
        entries = [Entry(task, n + 1) for n, task in enumerate(self.lines)]
        links = sorted(self.links.values(), key=lambda one: (one.rank, one.key))
        linked = {one.remote_id for one in links}
        seen = plan.Observation(
            entries,
            links,
            NOW,
            tombstones=self.stones,
            unlinked=[one for one in self.items.values() if one.id not in linked],
            listed=dict(self.items),
            complete=True,
        )
        return plan.make(seen, self.policy, (f"k{n}" for n in self.names))

    def sync(self) -> plan.Plan:
        """Carry out one plan: rows, then the file, then the account."""
        decided = self.plan()
        self.clashes += decided.clashes
        busy = {op.link.key for op in decided.ops}
        self.links.update((row.key, row) for row in decided.rows if row.key not in busy)
        for key in decided.dropped:
            del self.links[key]
        self.stones += decided.buried
        entries = {id(op.entry): op.entry.line - 1 for op in decided.ops if hasattr(op, "entry")}
        gone = []
        for op in decided.ops:
            match op:
                case ChangeLocal():
                    self.lines[entries[id(op.entry)]] = op.task
                    self.put(op.link)
                case AddLocal():
                    self.lines.append(op.link.seen)
                    rank = max((one.rank for one in self.links.values()), default=0) + 1000
                    self.put(op.link.but(rank=rank))
                case RemoveLocal():
                    gone.append(entries[id(op.entry)])
                    del self.links[op.link.key]
        for op in decided.ops:
            self.send(op)
        for at in sorted(gone, reverse=True):
            del self.lines[at]
        return decided

    def put(self, row: Link) -> None:
        """Write a row."""
        self.links[row.key] = row
        self.stones = [stone for stone in self.stones if stone.key != row.key]

    def send(self, op: plan.Op) -> None:
        """Do the remote part of an op, as the server and the shell would."""
        match op:
            case AddRemote():
                name = f"r{next(self.names)}"
                self.items[name] = RemoteItem(name, op.fields, START)
                self.put(op.link.but(remote_id=name, base=Base(op.entry.task, op.fields)))
            case Adopt():
                self.put(op.link)
            case ChangeRemote() | Revive():
                self.patch(op)
            case RemoveRemote():
                found = self.items.get(op.link.remote_id or "")
                del self.links[op.link.key]
                if found is not None:
                    done = replace(found, fields=replace(found.fields, completed=True))
                    self.items[found.id] = done
                    self.stones.append(plan.buried(op.link, "complete", NOW, counted=True))
            case Probe():
                if op.link.remote_id not in self.items:
                    self.put(op.link.but(remote_id=None))

    def patch(self, op: ChangeRemote | Revive) -> None:
        """Answer a PATCH: 404, or the item with the fields that were named."""
        found = self.items.get(op.link.remote_id or "")
        base = op.link.base
        assert base is not None
        if found is None:
            revived = isinstance(op, Revive)
            self.put(op.link.but(remote_id=None, base=None if revived else base))
            return
        fields = found.fields
        if op.patch.description is not None:
            fields = replace(fields, description=op.patch.description)
        if op.patch.completed is not None:
            fields = replace(fields, completed=op.patch.completed)
        if op.patch.due_at is not None or op.patch.clear_due:
            fields = replace(fields, due_at=op.patch.due_at)
        self.items[found.id] = replace(found, fields=fields)
        settled = merge.settled(op.link.seen, base, op.patch, fields)
        self.put(op.link.but(base=settled))


class Replicas(RuleBasedStateMachine):
    """Someone edits the file, someone the app; sometimes a sync comes in between."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(POLICY)
        self.fresh = count()

    @initialize(
        prefer=st.sampled_from(("local", "remote")),
        gone=st.sampled_from(("keep", "check", "remove")),
        imports=st.sampled_from(("open", "open", "all")),
    )
    def configure(self, prefer: str, gone: str, imports: str) -> None:
        """The policies that differ in what survives."""
        self.world.policy = replace(
            POLICY, prefer=prefer, on_remote_removal=gone, import_items=imports
        )

    def word(self) -> str:
        """Return a text that was never used before, and is like no other."""
        return "".join(Random(next(self.fresh)).choices(ascii_lowercase, k=14))

    @rule()
    def write_line(self) -> None:
        """A new line."""
        self.world.lines.append(Task(self.word()))

    @rule()
    def add_item(self) -> None:
        """A new item."""
        name = f"a{next(self.world.names)}"
        self.world.items[name] = RemoteItem(name, Fields(self.word()), START)

    @precondition(lambda self: self.world.lines)
    @rule(data=st.data(), what=st.sampled_from(("reword", "tick", "date", "remove", "move")))
    def edit_line(self, data: st.DataObject, what: str) -> None:
        """An edit in the editor; the whole line's words stay recognisable."""
        lines = self.world.lines
        at = data.draw(st.integers(0, len(lines) - 1))
        task = lines[at]
        match what:
            case "reword":
                lines[at] = replace(task, text=f"{task.text} {self.word()}")
            case "tick":
                lines[at] = replace(task, completed=not task.completed)
            case "date":
                day = data.draw(st.sampled_from(("2026-07-01", "2026-07-02", None)))
                lines[at] = replace(task, due=day)
            case "remove":
                del lines[at]
            case "move":
                lines.insert(data.draw(st.integers(0, len(lines) - 1)), lines.pop(at))

    @precondition(lambda self: self.world.items)
    @rule(data=st.data(), what=st.sampled_from(("reword", "tick", "date", "delete", "reprocess")))
    def edit_item(self, data: st.DataObject, what: str) -> None:
        """An edit in the app."""
        items = self.world.items
        name = data.draw(st.sampled_from(sorted(items)))
        found = items[name]
        match what:
            case "reword":
                text = f"{found.fields.description} {self.word()}"
                fields = replace(found.fields, description=text)
            case "tick":
                fields = replace(found.fields, completed=not found.fields.completed)
            case "date":
                at = data.draw(st.none() | st.sampled_from((START, START + timedelta(days=40))))
                fields = replace(found.fields, due_at=at)
            case "delete":
                del items[name]
                return
            case _:
                del items[name]
                name, fields = f"a{next(self.world.names)}", found.fields
        items[name] = RemoteItem(name, fields, START)

    @rule()
    def sync(self) -> None:
        """One cycle."""
        self.world.sync()

    @invariant()
    def one_link_for_one_item(self) -> None:
        """No item has two lines."""
        ids = [one.remote_id for one in self.world.links.values() if one.remote_id]
        assert len(ids) == len(set(ids))

    def teardown(self) -> None:
        """After some quiet both sides agree, nothing more is planned, and no word is lost."""
        world = self.world
        said = {word for task in world.lines for word in task.text.split()}
        said |= {
            word
            for one in world.items.values()
            if not one.fields.completed
            for word in one.fields.description.split()
        }
        for _ in range(6):
            world.sync()
        decided = world.plan()
        assert not decided.ops
        self.agree()
        kept = {word for task in world.lines for word in task.text.split()}
        kept |= {w for one in world.items.values() for w in one.fields.description.split()}
        kept |= {w for clash in world.clashes for w in clash.lost_value.split()}
        # A line goes with its item where that is wanted; else every word is somewhere.
        assert said <= kept or world.policy.on_remote_removal == "remove", said - kept

    def agree(self) -> None:
        """Each line with an item says what the item says; each open item has a line."""
        world = self.world
        decided = world.plan()
        assert not decided.clashes
        linked = {one.remote_id: one for one in world.links.values() if one.remote_id}
        for one in linked.values():
            found = world.items.get(one.remote_id or "")
            if found is not None:
                assert one.seen.text == found.fields.description
                assert one.seen.completed == found.fields.completed
        buried = {stone.remote_id for stone in world.stones}
        for found in world.items.values():
            assert found.fields.completed or found.id in linked or found.id in buried


TestReplicas = Replicas.TestCase
TestReplicas.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


@pytest.mark.campaign
class TestLongReplicas(Replicas.TestCase):  # type: ignore[misc]  # a class made at run time
    """Many more of them: over 40,000 steps."""

    settings = settings(max_examples=800, stateful_step_count=60, deadline=None)


# Items that are gone, hidden, or came in the place of others.


GONE_ALPHA = link("a", "alpha").but(remote_id=None, made_at=NOW - 60)


@pytest.mark.parametrize(
    ("there", "heir"),
    [
        (item("y", "alpha"), True),
        (item("y", "alpha", completed=True), False),
        (item("y", "alpha", age=60), True),
        (item("y", "alpha", age=61), False),
        (item("y", "beta"), False),
    ],
)
def test_what_came_in_the_place_of_an_item_says_the_same_and_is_not_older(
    there: RemoteItem, heir: bool
) -> None:
    """The edit of the line is for it; else the line gets an item of its own."""
    policy = replace(POLICY, import_items="linked")
    (op, *_) = made([entry("alpha, at last")], [GONE_ALPHA], [there], policy).ops
    assert isinstance(op, Adopt if heir else AddRemote)
    if isinstance(op, Adopt):
        assert op.link.seen == Task("alpha, at last")
        assert op.link.base == Base(Task("alpha"), Fields("alpha"))


def test_a_line_that_was_let_go_has_no_heir() -> None:
    """Whatever is done there later is another task."""
    gone = GONE_ALPHA.but(missing=LET_GO)
    decided = made([entry("alpha", completed=True)], [gone], [item("y", "alpha")])
    assert kinds(decided) == [AddLocal]


def test_a_line_with_an_item_of_its_own_words_has_no_heir() -> None:
    """It is tied to that one, on which both sides agree."""
    said = "alpha, at last"
    there = [item("y", said), item("z", "alpha")]
    policy = replace(POLICY, import_items="linked")
    (op,) = made([entry(said)], [GONE_ALPHA], there, policy).ops
    assert (op.link.key, op.link.remote_id) == (GONE_ALPHA.key, "y")
    assert op.link.base == Base(Task(said), Fields(said))


def test_a_line_rises_from_no_item_that_is_gone_where_another_says_the_same() -> None:
    """It is linked with that one, as any new line is."""
    stone = Tombstone("k", "x", Task("alpha"), Fields("alpha", True), "complete", NOW - 60)
    (op,) = made([entry("alpha")], [], [item("y", "alpha")], tombstones=[stone]).ops
    assert isinstance(op, Adopt)
    assert op.item.id == "y"


def test_a_line_rises_from_no_item_that_the_app_made_another_task_of() -> None:
    """It would be written over with that."""
    stone = Tombstone("k", "x", Task("alpha"), Fields("alpha", True), "complete", NOW - 60)
    there = item("x", "beta", completed=True)
    assert kinds(made([entry("alpha")], [], [there], tombstones=[stone])) == [AddRemote]


@pytest.mark.parametrize(
    ("until", "believed"), [(0.0, True), (1.0, False), (120.0, False), (121.0, True)]
)
def test_a_list_is_not_believed_for_a_while_that_has_what_was_gone_twice(
    until: float, believed: bool
) -> None:
    """No line is tied to it. Nor does it come in, even after the first answer."""
    stone = Tombstone("was-x", "x", Task("alpha"), Fields("alpha"), "gone", NOW + until)
    (op,) = made([entry("alpha")], [], [item("x", "alpha")], tombstones=[stone]).ops
    assert isinstance(op, Adopt if believed else AddRemote)
    came = made([], [], [item("x", "alpha", age=9), item("y", "beta")], tombstones=[stone])
    assert [op.link.remote_id for op in came.ops] == ["x", "y"][until <= GONE_SECONDS :]
    assert came.later is (until <= GONE_SECONDS)


@pytest.mark.parametrize(("status", "again"), [(402, True), (422, False)])
def test_what_was_locked_is_tried_again_when_it_is_listed(status: int, again: bool) -> None:
    """Another refusal has nothing to do with the list."""
    parked = Parked(status, "no", NOW - 60, Task("b"), NOW + 600)
    waits = link("a", "a").but(missing=1, probed_at=5.0, seen=Task("b"), parked=parked, failures=3)
    decided = made([entry("b")], [waits], [item("a", "a")])
    assert kinds(decided) == [ChangeRemote] * again
    (row,) = decided.rows
    assert (row.missing, row.probed_at, row.parked is None) == (0, None, again)
    assert row.failures == (0 if again else 3)


@pytest.mark.parametrize(("status", "waits"), [(402, True), (422, False)])
def test_what_may_be_the_item_of_a_locked_line_is_waited_with(status: int, waits: bool) -> None:
    """Another machine may have made it; that of a line that was refused is no other's."""
    parked = Parked(status, "no", NOW - 60, Task("b"), NOW + 600)
    hidden = link("a", "a").but(missing=1, seen=Task("b"), parked=parked)
    decided = made([entry("b")], [hidden], [item("y", "b")])
    assert kinds(decided) == [AddLocal] * (not waits)
    assert decided.later is waits


def test_a_line_that_is_not_read_is_awaited_as_any_other() -> None:
    """What came in the place of its item is not written as a line beside it."""
    decided = made([], [link("a", "a")], [item("y", "a")], unread=[entry("a")])
    assert (decided.ops, decided.later) == ((), True)
    (row,) = decided.rows
    assert row.missing == 1


def test_an_item_of_the_other_machine_is_left_to_it_without_adoption() -> None:
    """An open one that says what an open line says; others come in."""
    policy = replace(POLICY, adopt=False, import_items="all")
    ours = [link("a", "a"), link("b", "b").but(base=Base(Task("b", True), Fields("b", True)))]
    ours.append(link("c", "c", seen=Task("d"), failures=3))  # Omi has not heard of it yet
    lines = [entry("a"), entry("b", completed=True, line=2), entry("d", line=3)]
    listed = [item("a", "a"), item("b", "b", completed=True), item("c", "c")]
    more = [item("x", "a"), item("y", "b"), item("z", "a", completed=True), item("w", "c")]
    ops = made(lines, ours, [*listed, *more], policy).ops
    came = {op.link.remote_id for op in ops if isinstance(op, AddLocal)}
    assert came == {"w", "y", "z"}


def test_the_youngest_is_the_heir() -> None:
    """Of two that say the same; the other one was there, and nobody's, all the time."""
    there = [item("old", "alpha", age=50), item("young", "alpha"), item("middle", "alpha", age=9)]
    policy = replace(POLICY, import_items="linked")
    (op,) = made([entry("alpha, at last")], [GONE_ALPHA], there, policy).ops
    assert op.link.remote_id == "young"


@pytest.mark.parametrize(("how", "heir"), [("gone", True), ("keep", False), (None, False)])
def test_of_an_item_of_unknown_age_only_what_was_away_is_known_again(
    how: str | None, heir: bool
) -> None:
    """Another one may be the next round of a chore; what came in from Omi has no age."""
    policy = replace(POLICY, import_items="linked")
    gone = GONE_ALPHA.but(made_at=None)
    stone = Tombstone("was", "y", Task("alpha"), Fields("omega"), how or "", NOW - 600)
    decided = made(
        [entry("alpha, at last")],
        [gone],
        [item("y", "alpha")],
        policy,
        tombstones=[stone] * bool(how),
    )
    assert kinds(decided) == [Adopt if heir else AddRemote]


def test_a_new_line_waits_until_the_item_of_its_words_is_given_out() -> None:
    """It came in the place of that of an older line, which is to be asked for first."""
    lines = [entry("water", due="2026-01-02"), entry("water", due="2026-01-09", line=2)]
    known = link("a", "water").but(seen=lines[0].task, base=Base(lines[0].task, Fields("water")))
    decided = made(lines, [known], [item("y", "water")])
    assert kinds(decided) == [Probe]
    assert decided.later
    lone = made(lines, [known], [item("y", "wine")])
    assert AddRemote in kinds(lone)
    apart = made(lines, [known], [item("y", "water")], replace(POLICY, adopt=False))
    assert AddRemote in kinds(apart)
    named = [lines[0], Entry(lines[1].task, 2, "", "y")]
    assert Adopt in kinds(made(named, [known], [item("y", "water")]))


def test_a_new_line_competes_with_one_whose_item_is_gone() -> None:
    """By their dates: no line loses the item of its own to the other."""
    lines = [entry("water", due="2026-01-02"), entry("water", due="2026-01-09", line=2)]
    gone = link("a", "water").but(
        remote_id=None, missing=2, seen=lines[0].task, base=Base(lines[0].task, Fields("water"))
    )
    at = datetime(2026, 1, 9, 9, tzinfo=UTC)
    there = RemoteItem("y", Fields("water", due_at=at), START)
    (op,) = (op for op in made(lines, [gone], [there]).ops if isinstance(op, Adopt))
    assert op.entry.line == 2


@pytest.mark.parametrize(
    "told",
    [{}, {"failures": 3}, {"doubt": frozenset({"description"})}],
    ids=["well", "fails", "unanswered"],
)
def test_what_an_item_still_says_is_another_machines_line(told: dict[str, object]) -> None:
    """Where a rewording does not get through, no item is made of a line of the former words."""
    known, fails = link("a", "milk", seen=Task("oat milk"), **told), bool(told)
    lines = [entry("oat milk"), entry("milk", line=2)]
    decided = made(lines, [known], [item("a", "milk")])
    assert (AddRemote in kinds(decided)) is not fails
    assert decided.later is fails
    assert [line.line for line in decided.deferred] == [2] * fails


@pytest.mark.parametrize("lines", [1, 2])
def test_a_line_that_is_not_read_stands_for_an_item_that_is_not_linked(lines: int) -> None:
    """One item each: others of the same words come in as always."""
    there = [item("x", "milk", age=20), item("z", "milk", age=9), item("y", "milk")]
    decided = made([], [], there, unread=[entry("milk", line=n) for n in range(lines)])
    assert kinds(decided) == [AddLocal] * (3 - lines)
    assert decided.ops[-1].link.remote_id == "y"
    assert decided.beside == lines


def test_a_refused_task_is_told_of_while_its_line_is_not_read() -> None:
    """Nothing was done about it."""
    refused = link("a", "a").but(parked=Parked(422, "no", NOW - 60, Task("a"), None))
    line = entry("a")
    assert made([], [refused], [item("a", "a")], unread=[line]).parked == ((refused, line),)


@pytest.mark.parametrize(
    ("theirs", "written"),
    [
        (item("y", "alpha", age=60), None),  # older: that is what both machines write
        (item("y", "alpha", age=-60), "x"),
        (item("y", "omega", age=60), "x"),  # another task
    ],
)
def test_of_two_items_for_one_line_the_older_one_stands_in_it(
    theirs: RemoteItem, written: str | None
) -> None:
    """Or two machines would write over each other's for ever."""
    policy = replace(POLICY, ids=True, import_items="linked")
    line = Entry(Task("alpha"), 1, "", "y")
    ops = made([line], [link("x", "alpha")], [item("x", "alpha"), theirs], policy).ops
    assert [op.explicit_id for op in ops if isinstance(op, ChangeLocal)] == [written] * bool(
        written
    )


def test_each_heir_is_of_one_line() -> None:
    """Two items of one text were replaced while both lines were reworded."""
    gone = [GONE_ALPHA.but(key=f"k-{n}", rank=n, seen=Task(text)) for n, text in enumerate("bc")]
    there = [item("x", "alpha"), item("y", "alpha", age=9)]
    ops = made([entry("b"), entry("c", line=2)], gone, there).ops
    assert {op.link.key: op.link.remote_id for op in ops} == {"k-0": "x", "k-1": "y"}


def test_a_line_has_its_heir_beside_one_with_an_item_of_its_own_words() -> None:
    """The one needs none, and the other is not forgotten for it."""
    gone = [GONE_ALPHA.but(key=f"k-{n}", rank=n, seen=Task(text)) for n, text in enumerate("bc")]
    there = [item("x", "b"), item("y", "alpha")]
    ops = made([entry("b"), entry("c", line=2)], gone, there).ops
    assert {op.link.key: op.link.remote_id for op in ops} == {"k-0": "x", "k-1": "y"}


def test_a_copy_of_a_line_gets_an_id_of_its_own() -> None:
    """However old the item is that the copied id is of: that one has a line."""
    policy = replace(POLICY, ids=True)
    lines = [Entry(Task("alpha"), n, "", "y") for n in (1, 2)]
    items = [item("y", "alpha", age=60), item("x", "alpha")]
    known = [link("y", "alpha"), link("x", "alpha", rank=1)]
    (op,) = made(lines, known, items, policy).ops
    assert isinstance(op, ChangeLocal)
    assert (op.entry.line, op.explicit_id) == (2, "x")


def test_a_text_that_no_line_can_hold_is_told_of() -> None:
    """It is absurdly long: the line stays as it is."""
    ours, theirs = Entry(Task("a"), 1), item("x", "b" * (merge.ABSURD + 1))
    decided = made([ours], [link("x", "a")], [theirs])
    assert (decided.unheard, decided.local) == ((ours,), ())
