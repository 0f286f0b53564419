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
from omisync.core.model import LET_GO, Base, Clash, Entry, Fields, Link, RemoteItem, Task, Tombstone
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
POLICY = plan.Policy(ENCODING)
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
    items = [item("y", "young"), item("o", "old", age=9), item("d", "done", completed=True)]
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
    assert kinds(made([entry("a")], [replace(asked, probed_at=NOW - 90_000)], [])) == [Probe]


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


def test_a_line_that_was_let_go_is_let_go_once() -> None:
    """Unticking it later is not fought over."""
    policy = replace(POLICY, on_remote_removal="check")
    assert made([entry("a")], [replace(GONE, missing=LET_GO)], [], policy).ops == ()


def test_a_line_that_was_let_go_and_is_edited_starts_anew() -> None:
    """Its new item can go missing as any other."""
    (op,) = made([entry("b")], [replace(GONE, missing=LET_GO)], []).ops
    assert isinstance(op, AddRemote)
    assert (op.link.missing, op.link.probed_at) == (0, None)


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


def test_an_item_that_is_restored_finds_its_line_again() -> None:
    """However long the line was left alone: it is not written a second time."""
    decided = made([entry("a")], [replace(GONE, missing=LET_GO)], [item("a", "a")])
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


def test_a_removed_line_stays_removed() -> None:
    """Its item is not new, as long as it is as the removal left it."""
    stone = Tombstone("k", "a", Task("a"), Fields("a", completed=False), "keep", 0.0)
    assert not made([], [], [item("a", "a")], tombstones=[stone]).ops
    assert kinds(made([], [], [item("a", "edited")], tombstones=[stone])) == [AddLocal]


def test_a_line_that_comes_back_meets_what_the_app_did() -> None:
    """Its item was edited since: the two are tied as they were, and joined by the next plan."""
    stone = Tombstone("k", "a", Task("a"), Fields("a"), "keep", 0.0)
    line = entry("a", due="2026-07-01")
    (op,) = made([line], [], [item("a", "a", completed=True)], tombstones=[stone]).ops
    assert isinstance(op, Adopt)
    assert (op.link.key, op.link.base) == ("k", Base(Task("a"), Fields("a")))
    assert kinds(made([line], [], [item("a", "a")], tombstones=[stone])) == [Revive]


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
    winner = made([entry("a")], [link("x", "a", made_at=1.0)], [first, second])
    assert winner.ops == ()
    again = made([entry("a")], [link("x", "a")], [first, second], tombstones=[loser.buried[0]])
    assert kinds(again) == [DropTwin]


@pytest.mark.parametrize(
    "other",
    [item("x", "a", age=900), item("x", "a", completed=True, age=5), item("x", "b", age=5)],
)
def test_what_is_no_twin_is_left_alone(other: RemoteItem) -> None:
    """Made at another time, ticked, or of another text: it is a task of its own."""
    decided = made([entry("a")], [link("y", "a", made_at=1.0)], [other, item("y", "a")])
    assert DropTwin not in kinds(decided)


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
    assert isinstance(op, ChangeLocal)
    assert op.explicit_id == "a"
    has = replace(entry("a"), explicit_id="a")
    assert made([has], [link("a", "a")], [item("a", "a")], policy).ops == ()
    assert made([entry("a")], [link("a b", "a")], [item("a b", "a")], policy).ops == ()


def test_a_line_keeps_no_id_of_another_item() -> None:
    """Its item was made anew under another id: once reworded, the old one would disown it."""
    stale = replace(entry("a"), explicit_id="former")
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
TestReplicas.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.mark.campaign
class TestLongReplicas(Replicas.TestCase):  # type: ignore[misc]  # a class made at run time
    """Many more of them: over 40,000 steps."""

    settings = settings(max_examples=800, stateful_step_count=60, deadline=None)
