"""One cycle against a real server: what is sent, what is kept, what is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from openapi import check_request
from person import Clock, Person, fact, history, link

from omisync import daemon, errors
from omisync.core.model import Fields, Gate, Task
from omisync.sandbox import READ_ONLY_KEY, Sandbox
from omisync.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from omisync.sandbox import Fault, Item

DUE = datetime(2026, 12, 24, 17, 0, tzinfo=UTC)
DAY = 86_400.0


async def settled(person: Person, code: int = errors.OK) -> None:
    """Check that the next cycle plans nothing and asks nobody."""
    person.sent()
    outcome = await person.cycle()
    assert outcome.code == code
    assert person.sent() == []


async def test_new_lines_are_created_in_batches_of_fifty(person: Person) -> None:
    """120 new tasks: a complete reading, three batches, then nothing."""
    person.write("".join(f"- [ ] task {n}\n" for n in range(120)))
    outcome = await person.cycle()
    assert outcome.counts == {"task.created": 120}
    assert person.sent() == [("GET", 200), ("GET", 200)] + [("POST", 200)] * 3
    assert len(person.omi()) == 120
    await settled(person)


async def test_only_the_edited_fields_travel(person: Person) -> None:
    """Rewording, ticking, dating, moving: one PATCH each with that field alone; a move none."""
    lines = [
        "- [ ] call the bank today",
        "- [ ] buy bread and milk",
        "- [ ] sort the photos",
        "- [ ] stay as it is",
    ]
    person.write("\n".join(lines))
    await person.cycle()
    ids = {item.description: item.id for item in person.sandbox.items.values()}
    person.sent()
    person.write(
        "- [ ] stay as it is\n- [ ] call the bank tomorrow\n- [x] buy bread and milk\n"
        "- [ ] sort the photos due:2026-12-24T17:00Z\n"
    )
    assert (await person.cycle()).remarks == ()
    bodies = [r.body for r in person.sandbox.requests if r.method == "PATCH"]
    assert {"description": "call the bank tomorrow"} in bodies
    assert {"completed": True} in bodies
    assert len(bodies) == len(person.sandbox.requests) == 3
    assert person.sandbox.items[ids["sort the photos"]].due_at == DUE
    assert person.sandbox.items[ids["call the bank today"]].description == "call the bank tomorrow"
    await settled(person)


async def test_every_request_is_within_the_published_contract(person: Person) -> None:
    """What omisync sends passes the OpenAPI file's schemas."""
    person.write("- [ ] one due:2026-12-24\n- [x] two 📅 2026-12-24\n- [ ] three\n- [ ] four\n")
    await person.cycle()
    person.write("- [x] one\n- [ ] two 📅 2026-12-25\n- [ ] three!\n- [ ] five\n")
    await person.cycle()
    assert len(person.sandbox.requests) >= 6
    for request in person.sandbox.requests:
        check_request(request)


async def test_a_completed_task_does_not_ring_until_it_is_open_again(person: Person) -> None:
    """A create of a checked line omits its date; re-opening sends it."""
    person.write("- [x] file the taxes due:2026-12-24T17:00Z\n")
    await person.cycle()
    assert person.sandbox.notifications == []
    person.write("- [ ] file the taxes due:2026-12-24T17:00Z\n")
    await person.cycle()
    (item,) = person.sandbox.items.values()
    assert (item.completed, item.due_at) == (False, DUE)
    await settled(person)


# Removal, grace, tombstones


async def test_a_removed_line_completes_its_item(person: Person) -> None:
    """By hand there is no grace: the item is completed at once."""
    person.write("- [ ] a\n- [ ] b\n")
    await person.cycle()
    person.write("- [ ] a\n")
    await person.cycle()
    assert person.omi() == {"a": False, "b": True}
    await settled(person)


async def test_delete_and_keep_are_policies_too(person: Person) -> None:
    """``delete`` deletes, ``keep`` sends nothing."""
    person.settings = '[sync]\non_removal = "delete"\n'
    person.write("- [ ] a\n- [ ] b\n- [ ] c\n")
    await person.cycle()
    person.write("- [ ] a\n- [ ] b\n")
    await person.cycle()
    assert person.omi() == {"a": False, "b": False}
    person.settings = '[sync]\non_removal = "keep"\n'
    person.write("- [ ] a\n")
    person.sent()
    await person.cycle()
    assert person.sent() == []
    assert person.omi() == {"a": False, "b": False}
    await settled(person)


async def test_a_line_cut_and_pasted_back_within_the_grace_is_the_same_task(
    person: Person, clock: Clock
) -> None:
    """Absent for less than the grace: nothing is sent, the item is kept."""
    person.write("- [ ] a\n- [ ] b\n")
    await person.cycle(grace=30)
    person.sent()
    person.write("- [ ] a\n")
    outcome = await person.cycle(grace=30)
    assert (outcome.code, outcome.look_at) == (0, clock.now + 30)
    clock.pass_by(29)
    person.write("- [ ] a\n- [ ] b\n")
    await person.cycle(grace=30)
    assert person.sent() == []
    clock.pass_by(60)
    person.write("- [ ] a\n")
    await person.cycle(grace=30)
    clock.pass_by(30)
    await person.cycle(grace=30)
    assert person.sent() == [("PATCH", 200)]
    assert person.omi() == {"a": False, "b": True}


async def test_an_open_line_that_comes_back_reopens_its_item(person: Person) -> None:
    """The tombstone knows the item: one PATCH, no twin."""
    person.write("- [ ] a\n- [ ] b\n")
    await person.cycle()
    person.write("- [ ] a\n")
    await person.cycle()
    person.write("- [ ] b\n- [ ] a\n")
    person.sent()
    await person.cycle()
    assert person.sent() == [("PATCH", 200)]
    assert person.omi() == {"a": False, "b": False}
    await settled(person)


async def test_a_recurring_chore_is_a_new_task(person: Person) -> None:
    """A finished line taken out and written anew, open, is the next round."""
    person.write("- [x] water the plants\n- [ ] b\n")
    await person.cycle()
    person.write("- [ ] b\n")
    await person.cycle()
    person.write("- [ ] b\n- [ ] water the plants\n")
    await person.cycle()
    states = sorted(i.completed for i in person.sandbox.items.values() if "plants" in i.description)
    assert states == [False, True]
    await settled(person)


async def test_a_revived_line_whose_item_is_gone_is_created(person: Person) -> None:
    """The app deleted the completed item meanwhile: the line still reaches Omi."""
    person.write("- [ ] a\n- [ ] b\n")
    await person.cycle()
    person.write("- [ ] a\n")
    await person.cycle()
    gone = next(i.id for i in person.sandbox.items.values() if i.description == "b")
    del person.sandbox.items[gone]
    person.write("- [ ] a\n- [ ] b\n")
    await person.settle()
    assert person.omi() == {"a": False, "b": False}
    await settled(person)


# The removal guard


async def test_an_emptied_file_stops_everything(person: Person) -> None:
    """Nothing is sent, the code is 65, and bringing the file back sends nothing."""
    text = "- [ ] a\n- [ ] b\n"
    person.write(text)
    await person.cycle()
    person.sent()
    for empty in ("", "\n\n", "\ufeff"):
        person.write(empty)
        outcome = await person.cycle()
        assert outcome.code == errors.BAD_FILE
        assert "--allow-removals" in outcome.troubles[0].advice
    person.write(text)
    await settled(person)
    assert person.sent() == []


async def test_a_drastic_plan_is_refused_whole(person: Person) -> None:
    """A truncated file also looks like edits: those are not sent either."""
    person.write("".join(f"- [ ] task number {n}\n" for n in range(20)))
    await person.cycle()
    person.sent()
    person.write("".join(f"- [ ] task number {n}\n" for n in range(5)) + "- [ ] task num\n")
    outcome = await person.cycle()
    assert outcome.code == errors.BAD_FILE
    assert person.sent() == []


async def test_allowing_removals_is_for_what_was_refused(person: Person) -> None:
    """The flag lets the refused plan pass once; another plan is refused anew."""
    person.write("".join(f"- [ ] task number {n}\n" for n in range(20)))
    await person.cycle()
    person.write("- [ ] task number 1\n")
    assert (await person.cycle(allow_removals=True)).code == errors.BAD_FILE
    person.write("- [ ] task number 2\n")
    assert (await person.cycle(allow_removals=True)).code == errors.BAD_FILE
    outcome = await person.cycle(allow_removals=True)
    assert outcome.code == errors.OK
    assert outcome.counts == {"task.removed": 19}
    await settled(person)


async def test_removals_in_slices_add_up(person: Person, clock: Clock) -> None:
    """Six and six and six of twenty within an hour are drastic together; the next hour not."""
    tasks = [f"- [ ] task number {n}\n" for n in range(20)]
    person.write("".join(tasks))
    await person.cycle()
    person.write("".join(tasks[:14]))
    assert (await person.cycle()).code == errors.OK
    person.write("".join(tasks[:9]))
    assert (await person.cycle()).code == errors.BAD_FILE
    clock.pass_by(3700)
    assert (await person.cycle()).code == errors.OK


async def test_archiving_finished_lines_is_never_drastic(person: Person) -> None:
    """Finished lines may all go: the server need not change."""
    person.write("".join(f"- [x] task number {n}\n" for n in range(20)) + "- [ ] open\n")
    await person.cycle()
    person.sent()
    person.write("- [ ] open\n")
    assert (await person.cycle()).code == errors.OK
    assert person.sent() == []


# Adoption, second machine, restored store


async def test_equal_items_are_adopted_not_doubled(person: Person) -> None:
    """First meeting: open takes open, completed takes completed, nothing is un-completed."""
    person.sandbox.add("milk")
    person.sandbox.add("bread", completed=True)
    person.sandbox.add("tax", due_at=DUE)
    person.write("- [ ] milk\n- [x] bread\n- [ ] tax\n- [ ] new\n")
    await person.cycle()
    assert person.sent() == [("GET", 200)] * 6 + [("POST", 200)]
    assert person.omi() == {"milk": False, "bread": True, "tax": False, "new": False}
    assert next(i for i in person.sandbox.items.values() if i.description == "tax").due_at == DUE
    await settled(person)


async def test_an_open_line_does_not_take_a_completed_item(person: Person) -> None:
    """Last month's finished chore is not this month's."""
    person.sandbox.add("water the plants", completed=True)
    person.write("- [ ] water the plants\n")
    await person.cycle()
    assert sorted(i.completed for i in person.sandbox.items.values()) == [False, True]


async def test_a_second_machine_doubles_nothing(
    person: Person, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same file beside another store, then a new line from either side."""
    other = Person(tmp_path_factory.mktemp("laptop"), person.sandbox, person.clock)
    text = "- [ ] a\n- [ ] b\n"
    for one in (person, other):
        one.write(text)
        await one.cycle()
    text += "- [ ] c\n"
    for one in (person, other):
        one.write(text)
        await one.cycle()
    assert person.omi() == {"a": False, "b": False, "c": False}


async def test_a_restored_older_store_doubles_nothing(person: Person) -> None:
    """Lines created after the backup are adopted again."""
    person.write("- [ ] a\n")
    await person.cycle()
    backup = person.store_path.read_bytes()
    person.write("- [ ] a\n- [ ] b\n- [ ] c\n")
    await person.cycle()
    person.store_path.write_bytes(backup)
    await person.cycle()
    assert person.omi() == {"a": False, "b": False, "c": False}
    await settled(person)


async def test_an_id_written_by_the_person_links(person: Person) -> None:
    """``omi:<id>`` ties the line to that item whatever its text."""
    item = person.sandbox.add("old words")
    person.write(f"- [ ] quite different omi:{item.id}\n")
    await person.settle()
    assert person.omi() == {"quite different": False}
    await settled(person)


async def test_an_id_that_is_nobodys_is_told(person: Person) -> None:
    """A typing error in it makes a new task, and so does a line that was copied; once each."""
    item = person.sandbox.add("report")
    person.write(f"- [ ] report omi:{item.id}x\n- [ ] one omi:{item.id}\n- [ ] two omi:{item.id}\n")
    outcome = await person.cycle()
    assert outcome.remarks == tuple(
        f"{person.todo}:{line}: the id {named} is that of {whose}; this is a new task"
        for line, named, whose in (
            (1, f"{item.id}x", "no item of Omi's list"),
            (3, item.id, "“one”"),
        )
    )
    assert (await person.settle()).remarks == ()
    assert sorted(person.omi()) == ["one", "report", "two"]


async def test_a_line_that_is_made_anew_is_not_told_as_new(person: Person) -> None:
    """It names the item that it had, which is gone: that is no typing error."""
    item = person.sandbox.add("report")
    person.write(f"- [ ] report omi:{item.id}\n")
    await person.settle()
    person.sandbox.remove(item.id)
    person.write(f"- [ ] report again omi:{item.id}\n")
    outcome = await person.once()
    assert outcome.code == errors.OK
    assert not any("is a new task" in remark for remark in outcome.remarks)
    assert person.omi() == {"report again": False}


async def test_what_a_cycle_told_is_kept_where_the_next_follows_at_once(person: Person) -> None:
    """Linking ``a`` brings its date, so there is one more; status has what the first told."""
    person.sandbox.add("a")
    person.write("- [ ] a due:2030-01-01\n- [ ] b omi:nobody\n")
    async with person.desk() as desk:
        remarks = (await daemon.once(desk)).remarks
        assert len(remarks) == 1
        assert person.omi() == {"a": False, "b": False}
        last = fact(person, "last")
        assert isinstance(last, dict)
        assert last["code"] == errors.OK
        assert last["remarks"] == [*remarks]
        person.write("- [x] a due:2030-01-01\n- [ ] b omi:nobody\n")
        await daemon.once(desk)
        assert fact(person, "last") == last | {"remarks": []}


async def test_a_line_that_has_an_item_cannot_be_tied_to_another(
    person: Person, clock: Clock
) -> None:
    """Its person is told so, and neither the line nor the item that it names changes."""
    person.write("- [ ] one\n- [ ] two\n")
    await person.cycle()
    clock.pass_by(61)
    item = person.sandbox.add("other")
    person.write(f"- [ ] one\n- [ ] two omi:{item.id}\n")
    outcome = await person.cycle()
    (told,) = outcome.remarks
    assert told == (
        f"{person.todo}:2: the id {item.id} is not that of this line, which keeps its own item;"
        " only a new line can be tied by hand"
    )
    assert sorted(person.omi()) == ["one", "other", "two"]
    person.write(f"- [ ] one\n- [x] two omi:{link(person, 'two').remote_id}\n")
    assert (await person.cycle()).remarks == ()
    assert person.omi() == {"one": False, "two": True, "other": False}


async def test_numbers_of_ones_own_are_not_told_of(person: Person, clock: Clock) -> None:
    """Up to three may be mistakes; a person who numbers the lines knows what they are."""
    names = ("one", "two", "six", "ten")
    person.write("".join(f"- [ ] {name}\n" for name in names))
    await person.cycle()
    clock.pass_by(61)
    for numbered, told in ((3, 3), (4, 0)):
        marks = [f" omi:{n}" if n < numbered else "" for n in range(len(names))]
        lines = [f"- [ ] {name}{mark}\n" for name, mark in zip(names, marks, strict=True)]
        person.write("".join(lines))
        assert len((await person.cycle()).remarks) == told


# What a server does


async def test_a_server_that_cannot_clear_dates_is_told_once(tmp_path: Path, clock: Clock) -> None:
    """Alone the null is refused, with another field ignored: neither loops."""
    async with Sandbox(clock=clock, clears_due=False) as sandbox:
        person = Person(tmp_path, sandbox, clock)
        person.write("- [ ] a due:2026-12-24T17:00Z\n- [ ] b bb due:2026-12-24T17:00Z\n")
        await person.cycle()
        person.write("- [ ] a\n- [ ] b bbb\n")
        outcome = await person.cycle()
        assert outcome.code == errors.OK
        assert len(outcome.remarks) == 2
        assert {item.due_at for item in sandbox.items.values()} == {DUE}
        await settled(person)
        person.write("- [x] a\n- [ ] b bbb\n")
        outcome = await person.cycle()
        assert outcome.remarks == ()
        assert sandbox.requests[-1].body == {"completed": True, "due_at": None}
        await settled(person)


async def test_a_clearing_server_clears(person: Person) -> None:
    """Removing the token removes the date."""
    person.write("- [ ] a due:2026-12-24T17:00Z\n")
    await person.cycle()
    person.write("- [ ] a\n")
    await person.cycle()
    assert [item.due_at for item in person.sandbox.items.values()] == [None]
    await settled(person)


async def test_a_locked_item_is_parked_and_tried_once_a_day(person: Person, clock: Clock) -> None:
    """402 parks that item, the others go on; a day later one probe."""
    person.write("- [ ] a aa\n- [ ] b\n")
    await person.cycle()
    item = next(i for i in person.sandbox.items.values() if i.description == "a aa")
    item.locked = True
    person.write("- [ ] a aaa\n- [x] b\n")
    outcome = await person.cycle()
    assert outcome.code == errors.PARKED
    assert person.omi() == {"a aa": False, "b": True}
    await settled(person, errors.PARKED)
    clock.pass_by(86401)
    person.sent()
    await person.cycle()
    assert person.sent() == [("PATCH", 402)]
    item.locked = False
    person.write("- [ ] a aaaa\n- [x] b\n")
    assert (await person.cycle()).code == errors.OK
    assert person.omi() == {"a aaaa": False, "b": True}


async def test_one_unacceptable_task_does_not_hold_back_its_batch(person: Person) -> None:
    """422 names the element: it is parked, the others are created."""
    person.sandbox.refuse["bad"] = 422
    person.write("- [ ] a\n- [ ] bad\n- [ ] c\n")
    outcome = await person.cycle()
    assert outcome.code == errors.PARKED
    assert person.omi() == {"a": False, "c": False}
    await settled(person, errors.PARKED)
    person.write("- [ ] a\n- [ ] good\n- [ ] c\n")
    assert (await person.cycle()).code == errors.OK
    assert person.omi() == {"a": False, "c": False, "good": False}


async def test_a_batch_refused_without_a_name_is_halved(person: Person) -> None:
    """A string detail names nobody: the batch is halved until the culprit is alone."""
    person.sandbox.refuse["bad"] = 422
    person.sandbox.names_culprit = False
    tasks = [f"t{n}" for n in range(20)]
    person.write("".join(f"- [ ] {t}\n" for t in [*tasks, "bad"]))
    outcome = await person.cycle()
    assert outcome.code == errors.PARKED
    assert person.omi() == dict.fromkeys(tasks, False)


async def test_a_server_that_refuses_everything_is_the_wrong_server(person: Person) -> None:
    """Three refusals and no success: 69, and nothing is left parked."""
    tasks = [f"t{n}" for n in range(20)]
    person.sandbox.refuse = dict.fromkeys(tasks, 422)
    person.write("".join(f"- [ ] {t}\n" for t in tasks))
    outcome = await person.cycle()
    assert outcome.code == errors.WRONG_SERVER
    assert outcome.parked == ()
    person.sandbox.refuse = {}
    assert (await person.cycle()).code == errors.OK
    assert person.omi() == dict.fromkeys(tasks, False)


async def test_a_poisonous_task_ends_up_alone_and_parked(person: Person, clock: Clock) -> None:
    """A task that breaks the server every time does not hold back the 59 beside it."""
    tasks = [f"t{n}" for n in range(59)]
    person.sandbox.poison.add("poison")
    person.write("".join(f"- [ ] {t}\n" for t in [*tasks[:30], "poison", *tasks[30:]]))
    outcome = await person.settle()
    assert outcome.code == errors.PARKED
    assert person.omi() == dict.fromkeys(tasks, False)
    clock.pass_by(3601)
    person.sandbox.poison.clear()
    assert (await person.settle()).code == errors.OK
    assert person.omi() == dict.fromkeys([*tasks, "poison"], False)


async def test_a_row_left_out_of_the_batch_reply_is_not_created_again(person: Person) -> None:
    """Created but not shown: it is looked for, and linked when the list has it."""
    person.sandbox.batch_leaves_out.add("b")
    person.write("- [ ] a\n- [ ] b\n- [ ] c\n")
    assert (await person.settle()).code == errors.OK
    assert person.omi() == {"a": False, "b": False, "c": False}
    await settled(person)


async def test_an_edit_beats_a_deletion(person: Person) -> None:
    """Deleted in the app, reworded here: it is created anew. Only ticked: it is let go."""
    person.write("- [ ] write a letter to grandma\n- [ ] b\n")
    await person.cycle()
    person.sandbox.items.clear()
    person.write("- [ ] write a letter to grandpa\n- [x] b\n")
    assert (await person.settle()).code == errors.OK
    assert person.omi() == {"write a letter to grandpa": False}
    await settled(person)
    person.write("- [ ] write a letter to grandpa\n- [ ] b b\n")
    await person.settle()
    assert person.omi() == {"write a letter to grandpa": False, "b b": False}


async def test_a_text_cut_at_the_limit_settles(person: Person) -> None:
    """Whole in the file, 500 code points in Omi; an edit of the tail sends nothing."""
    long = "word " * 120
    person.write(f"- [ ] {long}end\n")
    await person.cycle()
    (item,) = person.sandbox.items.values()
    assert len(item.description) <= 500
    assert item.description.endswith("…")
    await settled(person)
    person.write(f"- [ ] {long}another end\n")
    person.sent()
    await person.cycle()
    assert person.sent() == []


# Gates


async def test_a_gate_is_waited_out_and_survives_a_restart(tmp_path: Path, clock: Clock) -> None:
    """With 5 writes an hour, 8 edits take two windows and at most one 429 each."""
    async with Sandbox(clock=clock) as sandbox:
        person = Person(tmp_path, sandbox, clock)
        person.write("".join(f"- [ ] task number {n} a\n" for n in range(8)))
        await person.cycle()
        clock.pass_by(3600)
        sandbox.limits["write"] = 5
        person.sent()
        person.write("".join(f"- [x] task number {n} a\n" for n in range(8)))
        outcome = await person.cycle()
        assert outcome.code == errors.TEMPORARY
        assert outcome.waiting == 3
        person.sent()
        person.write("".join(f"- [x] task number {n} a\n" for n in range(8)) + "- [ ] new\n")
        assert (await person.cycle()).code == errors.TEMPORARY
        assert person.sent() == [], "nothing is sent, and nothing read in vain, against a gate"
        person.write("".join(f"- [x] task number {n} a\n" for n in range(8)))
        clock.now = outcome.retry_at or 0
        assert (await person.cycle()).code == errors.OK
        assert person.sent() == [("PATCH", 200)] * 3


# Keys and accounts


async def together(person: Person, omi: Clock) -> None:
    """Let ten minutes go by for both clocks, with a cycle each minute."""
    for _ in range(10):
        await person.cycle()
        person.clock.pass_by(60)
        omi.pass_by(60)


@pytest.mark.parametrize("jump", [-DAY, DAY])
async def test_a_create_is_found_whatever_this_clock_says(tmp_path: Path, jump: float) -> None:
    """The clock was set since, as at a start without a battery: it is Omi's time that counts."""
    clock, omi = Clock(), Clock()
    async with Sandbox(clock=omi) as sandbox:
        person = Person(tmp_path, sandbox, clock)
        person.write("- [ ] a\n")
        sandbox.fault_next("reset_after", method="POST")
        await person.cycle()
        clock.pass_by(jump)
        await together(person, omi)
        assert person.omi() == {"a": False}
        sandbox.add("b")
        clock.pass_by(jump)
        person.write("- [ ] a\n- [ ] b\n")
        await together(person, omi)
        assert person.omi() == {"a": False, "b": False}


async def test_a_create_that_nothing_was_read_before_is_found_too(tmp_path: Path) -> None:
    """Reads were limited, and the clock was set forward before a create that got no answer."""
    clock, omi = Clock(), Clock()
    async with Sandbox(clock=omi) as sandbox:
        person = Person(tmp_path, sandbox, clock)
        sandbox.retry_after = 3600
        person.write("- [ ] a\n")
        await person.settle()
        sandbox.fault_next("429", method="GET")
        person.write("- [ ] a\n- [ ] b\n")
        await person.settle()
        clock.pass_by(1800)
        sandbox.fault_next("reset_after", method="POST")
        person.write("- [ ] a\n- [ ] b\n- [ ] c\n")
        await person.settle()
        assert person.omi() == {"a": False, "b": False, "c": False}


@pytest.mark.parametrize("fault", ["429", "5xx_before", "402"])
async def test_a_clock_that_was_put_right_holds_nothing_back(tmp_path: Path, fault: Fault) -> None:
    """What had to wait in a year to come does not wait until then."""
    omi = Clock()
    clock = Clock(omi.now + 365 * DAY)
    async with Sandbox(clock=omi) as sandbox:
        person = Person(tmp_path, sandbox, clock)
        person.write("- [ ] a\n")
        await person.settle()
        sandbox.fault_next(fault, method="POST")
        person.write("- [ ] a\n- [ ] b\n")
        await person.cycle()
        clock.pass_by(-365 * DAY)
        await together(person, omi)
        assert person.omi() == {"a": False, "b": False}


async def test_a_refused_key_stops_after_one_request(person: Person) -> None:
    """401: one request, code 77, nothing lost."""
    person.key = "omi_dev_unknown_key_000000"
    person.write("- [ ] a\n- [ ] b\n")
    outcome = await person.cycle()
    assert outcome.code == errors.BAD_KEY
    assert len(person.sent()) == 1


async def test_a_read_only_key_says_what_it_needs(person: Person) -> None:
    """403 names the scope and that a new key is needed."""
    person.key = READ_ONLY_KEY
    person.write("- [ ] a\n")
    outcome = await person.cycle()
    assert outcome.code == errors.BAD_KEY
    assert "action_items:write" in str(outcome.troubles[0]) + outcome.troubles[0].advice


async def test_another_account_is_never_taken_for_an_empty_one(person: Person) -> None:
    """A new key that shows none of the linked items writes nothing."""
    person.write("- [ ] a\n- [ ] b\n")
    await person.cycle()
    person.sandbox.keys["omi_dev_another_account_1"] = person.sandbox.keys[person.key]
    person.key = "omi_dev_another_account_1"
    kept = dict(person.sandbox.items)
    person.sandbox.items.clear()
    person.write("- [ ] a a\n- [ ] b\n")
    outcome = await person.cycle()
    assert outcome.code == errors.BAD_KEY
    assert "another account" in str(outcome.troubles[0])
    person.sandbox.items.update(kept)
    assert (await person.cycle()).code == errors.OK, "the same account with a new key goes on"


async def test_a_store_of_another_server_is_refused(person: Person) -> None:
    """base_url changed: 78 with the way out."""
    person.write("- [ ] a\n")
    await person.cycle()
    async with Sandbox(clock=person.clock) as other:
        person.sandbox = other
        outcome = await person.cycle()
    assert outcome.code == errors.BAD_CONFIG
    assert "repair --accept-account" in outcome.troubles[0].advice


async def test_what_the_app_changed_is_left_alone(person: Person) -> None:
    """Push never fights: a change in the app stays until the line says something new."""
    person.write("- [ ] a\n- [ ] b bb\n")
    await person.cycle()
    for item in person.sandbox.items.values():
        item.completed = True
    person.write("- [ ] a\n- [ ] b bbb\n")
    await person.cycle()
    assert person.omi() == {"a": True, "b bbb": True}
    await settled(person)


async def test_the_history_tells_what_was_done(person: Person) -> None:
    """Each settled op is one event with the task's text."""
    person.write("- [ ] a\n- [ ] b\n")
    await person.cycle()
    person.write("- [x] a\n")
    await person.cycle()
    with Store.open(person.store_path) as store:
        told = [(event.event, event.text) for event in store.history(10)]
    assert sorted(told) == [
        ("task.changed", "a"),
        ("task.created", "a"),
        ("task.created", "b"),
        ("task.removed", "b"),
    ]


async def test_local_dates_are_instants_in_the_configured_zone(person: Person) -> None:
    """09:00 in Kiritimati is 19:00 UTC the day before."""
    person.settings = '[sync]\ntimezone = "Pacific/Kiritimati"\n'
    person.write("- [ ] a 📅 2026-12-24\n")
    await person.cycle()
    (item,) = person.sandbox.items.values()
    assert item.due_at == datetime(2026, 12, 23, 19, 0, tzinfo=UTC)
    assert Fields("a", due_at=item.due_at).due_at - DUE < timedelta(days=1)
    person.settings = '[sync]\ntimezone = "UTC"\n'
    await settled(person)


async def test_a_first_look_that_was_refused_is_not_gone_without(person: Person) -> None:
    """Also where its limit is over by the time it is noted: everything could be a twin."""
    for n in range(3):
        person.sandbox.add(f"task {n}")
    person.write("".join(f"- [ ] task {n}\n" for n in range(3)))
    person.sandbox.retry_after = 1
    person.sandbox.fault_next("429", method="GET")

    def slow(step: str) -> None:
        if step == "store.commit":
            person.clock.pass_by(1.5)

    person.trace = slow
    await person.settle()
    assert len(person.omi()) == 3


KEEP = '[sync]\non_removal = "keep"\n'


async def test_lines_that_come_back_cost_one_look(person: Person) -> None:
    """Of those whose items were left in Omi: all are there, and none is written to."""
    person.settings = KEEP
    full = "".join(f"- [ ] task {n}\n" for n in range(150))
    person.write(full)
    await person.settle()
    person.write("- [ ] task 0\n")
    await person.settle()
    person.sent()
    person.write(full)
    outcome = await person.cycle()
    assert (outcome.code, outcome.counts) == (errors.OK, {"task.revived": 149})
    assert person.sent() == [("GET", 200)] * 2


async def left_in_omi(person: Person, line: str = "- [ ] milk\n") -> Item:
    """Take a line out of the file whose item is kept in Omi; return that."""
    person.settings = f'{KEEP}timezone = "UTC"\n'
    person.write(f"- [ ] other\n{line}")
    await person.settle()
    (milk,) = [one for one in person.sandbox.items.values() if one.description == "milk"]
    person.write("- [ ] other\n")
    await person.settle()
    return milk


@pytest.mark.parametrize(
    "damaged",
    [
        "- [] alpha_beta\n  gamma <!-- id 7 -->\n-[/] delta \\$5\n~~- [ ] strike out~~\n",
        "- \\[ \\] alpha\\_beta\n  gamma <!-- id 7 -->\n- \\[/] delta \\$5\n- [ ]strike out\n",
    ],
)
async def test_a_list_whose_boxes_were_damaged_is_left_alone(person: Person, damaged: str) -> None:
    """A formatter, or a slip: nothing is sent until they are put right, and nothing then."""
    right = "- [ ] alpha_beta\n  gamma <!-- id 7 -->\n- [/] delta \\$5\n- [ ] strike out\n"
    others = "".join(f"- [ ] task {n}\n" for n in range(4))
    person.write(right + others)
    await person.settle()
    person.sent()
    person.write(damaged + others)
    outcome = await person.settle()
    assert (outcome.code, len(outcome.notices)) == (errors.OK, 3)
    person.write(right + others)
    await person.settle()
    assert person.sent() == []


@pytest.mark.parametrize("mark", ["x", " "])
async def test_a_line_that_is_opened_again_is_made_anew_where_its_item_is_gone(
    person: Person, mark: str
) -> None:
    """A chore that comes again, while the app was tidied up; a tick alone makes nothing."""
    person.write(f"- [ ] other\n- [{mark}] water the plants\n")
    await person.settle()
    (item,) = [one for one in person.sandbox.items.values() if one.description != "other"]
    del person.sandbox.items[item.id]
    person.write("- [ ] other\n- [x] water the plants\n")
    await person.settle()
    assert person.omi() == {"other": False}
    with Store.open(person.store_path) as store, store.transaction():  # as before 0.2.0, or a kill
        store.put_links(
            row.but(base=replace(row.base, local=Task(row.seen.text)))
            for row in store.links()
            if row.remote_id is None and row.base is not None
        )
    person.write("- [ ] other\n- [ ] water the plants\n")
    person.sandbox.fault_next("5xx_before", "5xx_before", method="POST")
    assert (await person.settle()).code == errors.OK
    assert person.omi() == {"other": False, "water the plants": False}
    await settled(person)


@pytest.mark.parametrize("what", ["ticked", "deleted", "locked"])
async def test_a_line_comes_back_to_what_became_of_its_item(person: Person, what: str) -> None:
    """It is opened again as it would be without the app; what that deleted is made anew."""
    milk = await left_in_omi(person, "- [ ] milk due:2026-12-24T09:00\n")
    if what == "ticked":
        milk.completed = True
    elif what == "locked":
        milk.locked = True
    else:
        del person.sandbox.items[milk.id]
    person.write("- [ ] other\n- [ ] milk due:2026-12-24T10:00+01:00\n")
    outcome = await person.settle()
    assert (outcome.code, outcome.parked) == (errors.OK, ())
    assert person.omi() == {"other": False, "milk": False}
    assert (milk.id in person.sandbox.items) is (what != "deleted")
    row = link(person, "milk")
    assert row.base is not None
    assert (row.base.local, row.failures, row.doubt) == (row.seen, 0, frozenset())
    person.sent()
    assert (await person.cycle()).counts == {}
    assert person.sent() == []


@pytest.mark.parametrize("fault", ["429", "5xx_before", "reset_before"])
async def test_a_line_comes_back_though_nobody_can_look(person: Person, fault: Fault) -> None:
    """Its item, which may be gone, is asked for by itself; it is not believed to be there."""
    milk = await left_in_omi(person)
    del person.sandbox.items[milk.id]
    person.write("- [ ] other\n- [ ] milk\n- [ ] new\n")
    person.sandbox.fault_next(fault, fault, fault, method="GET")
    await person.settle()
    assert person.omi() == {"other": False, "milk": False, "new": False}


def shut_reads(person: Person) -> None:
    """Shut the gate for reads for an hour."""
    with Store.open(person.store_path) as store, store.transaction():
        store.put_gate(Gate("read", person.clock(), 3600.0))


@pytest.mark.parametrize("new", [[], ["new"]])
@pytest.mark.parametrize("there", [True, False])
async def test_a_line_comes_back_while_nobody_may_look(
    person: Person, new: list[str], *, there: bool
) -> None:
    """Its item is asked for by itself at once, and what is new is created beside."""
    milk = await left_in_omi(person)
    if not there:
        del person.sandbox.items[milk.id]
    shut_reads(person)
    texts = ["other", "milk", *new]
    person.write("".join(f"- [ ] {text}\n" for text in texts))
    person.sent()
    for _ in range(3):
        outcome = await person.cycle()
        assert outcome.troubles == ()
    assert outcome.code == errors.OK
    assert {method for method, _ in person.sent()} <= {"PATCH", "POST"}
    assert person.omi() == dict.fromkeys(texts, False)
    told = [(one.event, one.detail) for one in history(person, 9) if one.text == "milk"]
    assert told[-1] == (("task.revived", "") if there else ("task.created", ""))


async def test_what_is_new_waits_for_a_look_where_nothing_is_linked(person: Person) -> None:
    """Though a line that came back beside it does not: the app may have all that is new."""
    milk = await left_in_omi(person)
    person.write("# Home\n")
    await person.cycle()
    new = person.sandbox.add("new")
    shut_reads(person)
    person.write("- [ ] milk\n- [ ] new\n")
    outcome = await person.cycle()
    assert (outcome.code, outcome.counts) == (errors.TEMPORARY, {"task.revived": 1})
    person.clock.pass_by(3600)
    assert (await person.settle()).code == errors.OK
    assert [link(person, text).remote_id for text in ("milk", "new")] == [milk.id, new.id]
    assert len(person.sandbox.items) == 3


async def test_a_finished_line_comes_back_unasked_where_no_list_was_read(person: Person) -> None:
    """A create beside it wanted that list; nothing hangs on it for the finished one."""
    for text in ("- [x] done\n", ""):
        person.write(f"- [ ] other\n{text}")
        await person.cycle()
    person.write("- [ ] other\n- [x] done\n- [ ] new\n")
    person.sandbox.fault_next("429", method="GET")
    person.sent()
    outcome = await person.cycle()
    assert outcome.counts == {"task.revived": 1, "task.created": 1}
    assert person.sent() == [("GET", 429), ("POST", 200)]


async def test_lines_come_back_when_writes_are_allowed_again(person: Person) -> None:
    """Until then no list is read for them, and they are counted as waiting."""
    await left_in_omi(person)
    with Store.open(person.store_path) as store, store.transaction():
        store.put_gate(Gate("write", person.clock(), 3600.0))
    person.sent()
    for text in ("", "\n"):
        person.write(f"- [ ] other\n- [ ] milk\n{text}")
        outcome = await person.cycle()
        assert (outcome.code, outcome.waiting) == (errors.TEMPORARY, 1)
    assert person.sent() == []
    person.clock.pass_by(3600)
    assert (await person.cycle()).counts == {"task.revived": 1}
