"""First meetings: what is linked, and what is never done by linking."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from omisync.core import adopt, merge
from omisync.core.merge import Encoding
from omisync.core.model import Base, Entry, Fields, Link, Patch, RemoteItem, Task

ENCODING = Encoding(UTC, time(9))
DUE = datetime(2026, 12, 24, 9, tzinfo=UTC)


def item(
    name: str, text: str, completed: bool = False, due_at: datetime | None = None
) -> RemoteItem:
    """An item that the server has."""
    return RemoteItem(name, Fields(text, completed, due_at))


def found(tasks: list[Task], items: list[RemoteItem], *, repair: bool = False) -> dict[int, str]:
    """Which entry is which item, by id."""
    entries = [Entry(task, number) for number, task in enumerate(tasks, 1)]
    pairs = adopt.pairs(entries, items, ENCODING, repair=repair)
    return {number: one.id for number, one in pairs.items()}


def test_the_closest_agreement_goes_first() -> None:
    """Equal date before any date, equal box before anything."""
    items = [item("dated", "a", False, DUE), item("plain", "a"), item("done", "a", True)]
    assert found([Task("a")], items) == {0: "plain"}
    assert found([Task("a", False, "2026-12-24")], items) == {0: "dated"}
    assert found([Task("a", True)], items) == {0: "done"}
    assert found([Task("a"), Task("a"), Task("a")], items) == {0: "plain", 1: "dated"}


def test_of_equal_lines_the_first_is_the_oldest_item() -> None:
    """A list comes newest first, and another machine has another list."""
    made = [datetime(2026, 6, day, tzinfo=UTC) for day in (3, 1, 2)]
    items = [replace(item(f"r{one.day}", "a"), created_at=one) for one in made]
    assert found([Task("a")] * 3, items) == {0: "r1", 1: "r2", 2: "r3"}


@pytest.mark.parametrize(("local", "remote"), [(False, True), (True, False)])
def test_an_open_and_a_finished_task_are_not_one(local: bool, remote: bool) -> None:
    """Only a repair, which knows that they were, links them."""
    assert found([Task("a", local)], [item("r", "a", remote)]) == {}
    assert found([Task("a", local)], [item("r", "a", remote)], repair=True) == {0: "r"}
    entry = Entry(Task("a", local), 1)
    assert adopt.pairs([entry], [item("r", "a", remote)], ENCODING) == {}


def test_spaces_and_composition_do_not_matter() -> None:
    """Texts are compared as identity compares them."""
    assert found([Task("cafe\u0301  now")], [item("r", "caf\u00e9 now")]) == {0: "r"}


def test_a_text_that_was_cut_is_known_by_its_head() -> None:
    """The server holds 500 code points of it."""
    from omisync.core.merge import description

    long = "word " * 200
    assert found([Task(long)], [item("r", description(long))]) == {0: "r"}


def test_an_id_decides_before_any_text() -> None:
    """The id that the person wrote; its text may be any."""
    entries = [Entry(Task("a"), 1), Entry(Task("b"), 2, explicit_id="r1")]
    pairs = adopt.pairs(entries, [item("r1", "a"), item("r2", "a")], ENCODING)
    assert {number: one.id for number, one in pairs.items()} == {0: "r2", 1: "r1"}


@pytest.mark.parametrize(
    ("task", "remote", "local"),
    [
        (Task("a"), Fields("a", False, DUE), Task("a")),
        (Task("a", False, "2026-12-24"), Fields("a", False, DUE), Task("a", False, "2026-12-24")),
        (Task("a", False, "2026-12-25"), Fields("a", False, DUE), Task("a")),
        (Task("a", False, "2026-12-25"), Fields("a"), Task("a")),
        (
            Task("a", False, "2026-12-24"),
            Fields("a", False, DUE.replace(hour=16)),
            Task("a", False, "2026-12-24"),
        ),
        (Task("a", False, "2026-12-24T10:00"), Fields("a", False, DUE.replace(hour=16)), Task("a")),
        (Task("a"), Fields("b"), Task("b")),
        (Task("a", True), Fields("a", False), Task("a", False)),
        (Task("a", False), Fields("a", True), Task("a", False)),
        (Task("a", True), Fields("a", True), Task("a", True)),
        (Task("a", True, "2026-12-24"), Fields("a", True, DUE), Task("a", True, "2026-12-24")),
        # its date would ring for what is done
        (Task("a", True, "2026-12-24"), Fields("a", False), Task("a", False, "2026-12-24")),
    ],
)
def test_what_the_line_says_differently_is_left_as_an_edit(
    task: Task, remote: Fields, local: Task
) -> None:
    """The base holds what both agree on; the rest is the next plan's to send."""
    link = adopt.tied(Link("k", None, task), RemoteItem("r", remote), ENCODING)
    assert link.base == Base(local, remote)
    assert link.remote_id == "r"


def test_another_date_of_a_finished_item_is_not_agreed_on() -> None:
    """The line's would ring; it is sent with the line opened again, Omi's told if it gives way."""
    task, remote = Task("a", True, "2026-12-25"), Fields("a", True, DUE)
    link = adopt.tied(Link("k", None, task), RemoteItem("r", remote), ENCODING, both_ways=True)
    assert link.base == Base(task, Fields("a", True))
    came = merge.join(task, link.base, remote, ENCODING)
    assert (came.task, came.patch) == (Task("a", True, "2026-12-24"), Patch())
    (clash,) = came.clashes
    assert (clash.lost, clash.lost_value) == ("local", "2026-12-25")
    opened = replace(task, completed=False)
    came = merge.join(opened, link.base, remote, ENCODING)
    assert came.patch.names == {"completed", "due_at"}
    (clash,) = came.clashes
    assert (clash.lost, clash.lost_value) == ("remote", "2026-12-24")


CHRISTMAS = "2026-12-24"


@pytest.mark.parametrize(
    ("task", "remote", "base"),
    [
        (Task("a", False, CHRISTMAS), Fields("a", False, DUE), None),
        (Task("a"), Fields("a"), None),
        (Task("a", True), Fields("a", False), Base(Task("a"), Fields("a"))),
        (Task("a"), Fields("a", True), Base(Task("a"), Fields("a"))),
        (Task("a"), Fields("a", False, DUE), Base(Task("a"), Fields("a"))),
        (Task("a", False, CHRISTMAS), Fields("a"), Base(Task("a"), Fields("a"))),
        (Task("a", False, "2026-12-25"), Fields("a", False, DUE), Base(Task("a"), Fields("a"))),
        (Task("a", True, CHRISTMAS), Fields("a", True, DUE), None),
        (Task("a", True, "2026-12-25"), Fields("a", True, DUE),
         Base(Task("a", True, "2026-12-25"), Fields("a", True))),  # it would ring
        (Task("a", True), Fields("a", True, DUE), Base(Task("a", True), Fields("a", True))),
        (Task("a"), Fields("b"), Base(Task(""), Fields(""))),
        (Task("a", True, CHRISTMAS), Fields("a", True), None),  # kept back
        # not here: opened again before its tick has left, it would never be sent
        (Task("a", True, CHRISTMAS), Fields("a"), Base(Task("a"), Fields("a"))),
    ],
)  # fmt: skip
def test_in_both_directions_only_what_both_say_is_agreed(
    task: Task, remote: Fields, base: Base | None
) -> None:
    """A tick, date or text of one side alone is as new as the other's; None is all of both."""
    link = Link("k", None, task)
    tied = adopt.tied(link, RemoteItem("r", remote), ENCODING, both_ways=True)
    assert tied == link.but(remote_id="r", base=base or Base(task, remote))


def test_two_texts_that_meet_by_an_id_clash() -> None:
    """Neither is older than the other: one wins, and the other is told."""
    task, remote = Task("mine"), Fields("theirs")
    link = adopt.tied(Link("k", None, task), RemoteItem("r", remote), ENCODING, both_ways=True)
    assert link.base is not None
    (clash,) = merge.join(task, link.base, remote, ENCODING).clashes
    assert (clash.kept_value, clash.lost_value) == ("mine", "theirs")


def test_a_line_written_from_an_item_is_that_item() -> None:
    """Its words as they were made fit for a line are its words, in both directions."""
    encoding = Encoding(UTC, time(9), lambda text: text.replace("due:", "\\due:"))
    remote, task = Fields("due:x"), Task("\\due:x")
    entry = Entry(task, 1)
    assert adopt.pairs([entry], [RemoteItem("r", remote)], encoding)[0].id == "r"
    link = adopt.tied(Link("k", None, task), RemoteItem("r", remote), encoding, both_ways=True)
    assert link.base == Base(task, remote)


@pytest.mark.parametrize("by_id", [True, False])
def test_an_open_line_opens_a_finished_item_that_it_names(by_id: bool) -> None:
    """Else that is no statement: it may be a former round of a chore."""
    remote = RemoteItem("r", Fields("a", completed=True))
    tied = adopt.tied(Link("k", None, Task("a")), remote, ENCODING, by_id=by_id)
    assert tied.base == Base(Task("a", by_id), remote.fields)
    finished = Link("k", None, Task("a", True))
    tied = adopt.tied(finished, remote, ENCODING, by_id=by_id)
    assert tied.base == Base(Task("a", True), remote.fields)
