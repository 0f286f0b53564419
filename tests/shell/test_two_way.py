"""Two-way: what happens in the app reaches the file, and nothing typed is lost."""

from __future__ import annotations

import shutil
import tomllib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from person import Person, fact, item, read

from omisync import errors, sync
from omisync.store import Store

if TYPE_CHECKING:
    from omisync.sandbox import Fault

TWO_WAY = '[sync]\ndirection = "two-way"\ntimezone = "UTC"\n'


@pytest.fixture
def both(person: Person) -> Person:
    """Someone who lets the app write into the file."""
    person.settings = TWO_WAY
    return person


async def quiet(person: Person) -> None:
    """Check that another cycle finds both sides in agreement: two reads, no write, no change."""
    person.sent()
    before = person.todo.read_bytes(), person.todo.stat().st_mtime_ns
    outcome = await person.cycle(now=True)
    assert outcome.code in {errors.OK, errors.PARKED}, outcome.troubles
    assert not outcome.counts
    assert {method for method, _ in person.sent()} == {"GET"}
    assert (person.todo.read_bytes(), person.todo.stat().st_mtime_ns) == before


async def test_the_first_meeting_brings_both_together(both: Person) -> None:
    """Lines become items, open items become lines, equal ones become one."""
    both.write("# Home\n\n- [ ] mine\n- [ ] ours\n")
    both.sandbox.add("theirs")
    both.sandbox.add("ours")
    both.sandbox.add("finished", completed=True)
    outcome = await both.settle()
    assert outcome.code == errors.OK
    assert read(both) == "# Home\n\n- [ ] mine\n- [ ] ours\n- [ ] theirs\n"
    assert both.omi() == {"mine": False, "ours": False, "theirs": False, "finished": True}
    await quiet(both)


async def test_edits_in_the_app_change_only_their_bytes(both: Person) -> None:
    """A tick, a rewording and a date, each in its place; every other byte stays."""
    both.write(
        "* [ ] one  \r\n\r\n\ttext\r\n\r\n\t* [ ] two due:2026-05-01 <!-- note -->\r\n* [ ] three"
    )
    await both.settle()
    item(both, "one").completed = True
    item(both, "two").description = "second"
    item(both, "second").due_at = datetime(2026, 5, 2, 17, tzinfo=UTC)
    item(both, "three").due_at = datetime(2026, 5, 3, 9, tzinfo=UTC)
    await both.settle()
    assert read(both) == (
        "* [x] one  \r\n\r\n\ttext\r\n\r\n\t* [ ] second due:2026-05-02T17:00 <!-- note -->\r\n"
        "* [ ] three due:2026-05-03"
    )
    await quiet(both)


async def test_both_sides_of_one_task_at_once(both: Person) -> None:
    """Different fields cross; the same field clashes, and what gave way is kept."""
    both.write("- [ ] buy milk\n- [ ] call Bob\n")
    await both.settle()
    item(both, "buy milk").completed = True
    item(both, "call Bob").description = "call Robert"
    both.write("- [ ] buy oat milk\n- [ ] call Bobby\n")
    outcome = await both.settle()
    assert read(both) == "- [x] buy oat milk\n- [ ] call Bobby\n"
    assert both.omi() == {"buy oat milk": True, "call Bobby": False}
    assert outcome.counts["clash.decided"] == 1
    async with both.desk() as desk:
        (clash,) = desk.store.clashes()
        assert clash.clash.lost_value == "call Robert"
        said = sync.restore(desk, clash.number)
    assert "call Robert" in said
    await both.settle()
    assert read(both) == "- [x] buy oat milk\n- [ ] call Robert\n"
    assert both.omi() == {"buy oat milk": True, "call Robert": False}
    await quiet(both)


async def test_the_app_wins_where_it_is_preferred(both: Person) -> None:
    """The line takes the app's wording, and its own is kept."""
    both.settings += 'prefer = "remote"\n'
    both.write("- [ ] call Bob\n")
    await both.settle()
    item(both, "call Bob").description = "call Robert"
    both.write("- [ ] call Bobby\n")
    await both.settle()
    assert read(both) == "- [ ] call Robert\n"
    async with both.desk() as desk:
        assert [one.clash.lost_value for one in desk.store.clashes()] == ["call Bobby"]
    await quiet(both)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("keep", "- [ ] stays\n- [ ] goes\n"),
        ("check", "- [ ] stays\n- [x] goes\n"),
        ("remove", "- [ ] stays\n"),
    ],
)
async def test_an_item_deleted_in_the_app(both: Person, policy: str, expected: str) -> None:
    """Missing twice, then asked for: only the answer that it is gone counts."""
    both.settings += f'on_remote_removal = "{policy}"\n'
    both.write("- [ ] stays\n- [ ] goes\n")
    await both.settle()
    del both.sandbox.items[item(both, "goes").id]
    await both.cycle(now=True)
    assert read(both) == "- [ ] stays\n- [ ] goes\n"
    both.sent()
    for _ in range(3):
        await both.cycle(now=True)
    assert read(both) == expected
    assert [status for method, status in both.sent() if method == "PATCH"] == [404]
    assert both.omi() == {"stays": False}
    await quiet(both)


@pytest.mark.parametrize("policy", ["keep", "check"])
async def test_a_line_that_is_opened_again_gets_an_item_again(both: Person, policy: str) -> None:
    """Ticked for its item was deleted, by either: who takes the tick back wants it done."""
    both.settings += f'on_remote_removal = "{policy}"\n'
    both.write("- [ ] stays\n- [ ] goes\n")
    await both.settle()
    del both.sandbox.items[item(both, "goes").id]
    for _ in range(4):
        await both.cycle(now=True)
    both.write("- [ ] stays\n- [x] goes\n")
    await quiet(both)
    assert both.omi() == {"stays": False}
    both.write("- [ ] stays\n- [ ] goes\n")
    await both.settle()
    assert both.omi() == {"stays": False, "goes": False}
    await quiet(both)


async def test_an_item_that_is_merely_not_listed_stays(both: Person) -> None:
    """Its answer says that it is there; it is asked again a day later at the earliest."""
    both.write("- [ ] a\n- [ ] b\n")
    await both.settle()
    item(both, "a").hidden = True
    for _ in range(4):
        await both.cycle(now=True)
    assert [status for method, status in both.sent() if method == "PATCH"] == [200]
    assert read(both) == "- [ ] a\n- [ ] b\n"
    await quiet(both)


async def test_a_locked_item_is_parked_not_lost(both: Person) -> None:
    """The list hides it too; 402 is no deletion."""
    both.settings += 'on_remote_removal = "remove"\n'
    both.write("- [ ] a\n- [ ] b\n")
    await both.settle()
    item(both, "a").locked = True
    for _ in range(3):
        outcome = await both.cycle(now=True)
    assert outcome.code == errors.PARKED
    assert read(both) == "- [ ] a\n- [ ] b\n"


async def test_what_was_locked_is_sent_when_it_is_listed_again(both: Person) -> None:
    """Not a day later: the list shows no item that is locked."""
    both.write("- [ ] one\n- [ ] two\n")
    await both.settle()
    locked = item(both, "one")
    locked.locked = True
    both.write("- [x] one\n- [ ] two\n")
    assert (await both.settle()).code == errors.PARKED
    await both.settle()
    locked.locked = False
    assert (await both.settle()).code == errors.OK
    assert locked.completed
    await quiet(both)


async def test_a_reprocessed_conversation_doubles_nothing(both: Person) -> None:
    """The same text under a new id is the same line."""
    both.settings += 'on_remote_removal = "remove"\n'
    both.write("- [ ] a\n- [ ] b\n")
    await both.settle()
    both.sandbox.reprocess(item(both, "a").id)
    await both.settle()
    assert read(both) == "- [ ] a\n- [ ] b\n"
    assert both.omi() == {"a": False, "b": False}
    await quiet(both)


async def test_a_mass_deletion_is_stopped(both: Person) -> None:
    """Nothing is asked or written until the person agrees."""
    both.settings += 'on_remote_removal = "remove"\n'
    both.write("".join(f"- [ ] task {n}\n" for n in range(8)))
    await both.settle()
    both.sandbox.items.clear()
    await both.cycle(now=True)
    both.sent()
    outcome = await both.cycle(now=True)
    assert outcome.code == errors.BAD_FILE
    assert "lacks 8 of 8" in outcome.troubles[0].message
    assert {method for method, _ in both.sent()} == {"GET"}
    await both.cycle(now=True, allow_removals=True)
    await both.settle()
    assert read(both) == ""


async def test_a_flood_is_asked_about(both: Person) -> None:
    """The first meeting with a large account writes nothing unasked, and is remembered."""
    both.write("- [ ] mine\n")
    for n in range(60):
        both.sandbox.add(f"item {n}")
    outcome = await both.cycle()
    assert outcome.code == errors.BAD_FILE
    assert isinstance(outcome.troubles[0], errors.ImportStopped)
    assert outcome.troubles[0].items == 60
    assert outcome.plan is not None
    assert read(both) == "- [ ] mine\n"
    assert "mine" not in both.omi()
    await both.cycle(yes=True)
    assert read(both).count("\n") == 61
    await quiet(both)
    for n in range(60):
        both.sandbox.add(f"more {n}")
    await both.cycle(now=True)
    assert read(both).count("\n") == 121


async def test_what_is_imported_can_be_chosen(both: Person) -> None:
    """By age, by state, or not at all; a heading gives new lines their place."""
    both.settings += 'import_since = "2026-05-01"\ninbox_heading = "Inbox"\n'
    both.write("# Todo\n\n- [ ] mine\n")
    both.sandbox.add("old", created_at=datetime(2026, 4, 1, tzinfo=UTC))
    both.sandbox.add("new", created_at=datetime(2026, 6, 1, tzinfo=UTC))
    await both.settle()
    assert read(both) == "# Todo\n\n- [ ] mine\n\n## Inbox\n\n- [ ] new\n"
    await quiet(both)
    both.sandbox.add("newer", created_at=datetime(2026, 6, 2, tzinfo=UTC))
    await both.settle()
    assert read(both) == "# Todo\n\n- [ ] mine\n\n## Inbox\n\n- [ ] new\n- [ ] newer\n"


async def test_a_refused_wording_that_gives_way_is_kept(both: Person) -> None:
    """It is not in Omi, and the line is about to say what the app says."""
    both.settings = f'{TWO_WAY}prefer = "remote"\n'
    both.write("- [ ] plan the trip\n- [ ] other\n")
    await both.settle()
    both.write("- [ ] plan the trip to Rome\n- [ ] other\n")
    both.sandbox.fault_next("422", method="PATCH")
    assert (await both.cycle(now=True)).code == errors.PARKED
    item(both, "plan the trip").description = "plan the trip to Oslo"
    await both.settle()
    assert read(both) == "- [ ] plan the trip to Oslo\n- [ ] other\n"
    with Store.open(both.store_path) as store:
        assert [one.clash.lost_value for one in store.clashes()] == ["plan the trip to Rome"]


async def test_a_line_is_not_what_the_app_made_of_its_item(both: Person) -> None:
    """What was typed again is a new task, and nothing is written over it."""
    both.write("- [ ] take out the bins\n- [ ] other\n")
    await both.settle()
    both.write("- [ ] other\n")
    await both.settle()
    item(both, "take out the bins").description = "water the plants"
    both.write("- [ ] other\n- [ ] take out the bins\n")
    await both.settle()
    assert read(both) == "- [ ] other\n- [ ] take out the bins\n"
    assert both.omi() == {"water the plants": True, "other": False, "take out the bins": False}
    await quiet(both)


@pytest.mark.parametrize("box", [" ", "x"])
async def test_what_was_taken_out_stays_out_for_years(both: Person, box: str) -> None:
    """Also where finished items come in; typed again that late, it is another task."""
    both.settings = f'{TWO_WAY}import_items = "all"\n'
    both.write(f"- [{box}] sweep\n- [ ] other\n")
    await both.settle()
    both.write("- [ ] other\n")
    await both.settle()
    both.clock.pass_by(91 * 86400)
    await both.settle()
    assert read(both) == "- [ ] other\n"
    both.write("- [ ] other\n- [ ] sweep\n")
    await both.settle()
    assert read(both) == "- [ ] other\n- [ ] sweep\n"
    assert len(both.sandbox.items) == 3


@pytest.mark.parametrize("direction", ["push", "two-way"])
async def test_an_id_ties_a_line_where_texts_do_not(both: Person, direction: str) -> None:
    """With ``adopt = false`` equal texts get an item each; who names one means it."""
    both.settings = f"{TWO_WAY.replace('two-way', direction)}adopt = false\n"
    both.write("- [ ] other\n")
    await both.settle()
    named = both.sandbox.add("from the app").id
    both.write(f"- [ ] other\n- [ ] my words omi:{named}\n")
    outcome = await both.settle()
    assert outcome.remarks == ()
    assert both.omi() == {"other": False, "my words": False}


@pytest.mark.parametrize("direction", ["push", "two-way"])
async def test_a_list_is_not_believed_that_has_what_is_gone(both: Person, direction: str) -> None:
    """Not twice: a line would be tied to the item and lose it in turns, a request each."""
    both.settings = TWO_WAY.replace("two-way", direction)
    both.write("- [ ] one\n- [ ] two\n")
    await both.settle()
    both.sent()
    both.sandbox.fault_next(*["404"] * 9, method="PATCH")
    both.write("- [ ] one due:2026-05-02\n- [ ] two\n")
    await both.settle()
    writes = [method for method, _ in both.sent() if method != "GET"]
    assert writes == ["PATCH", "PATCH", "POST"]


@pytest.mark.parametrize("direction", ["push", "two-way"])
async def test_one_answer_that_a_list_denies_doubles_nothing(both: Person, direction: str) -> None:
    """The item is there: the line is tied to it again, and its edit sent once more."""
    both.settings = TWO_WAY.replace("two-way", direction)
    both.write("- [ ] one\n- [ ] two\n")
    await both.settle()
    both.sandbox.fault_next("404", method="PATCH")
    both.write("- [ ] one due:2026-05-02\n- [ ] two\n")
    for _ in range(3):
        await both.settle()
        both.clock.pass_by(121)
    assert read(both) == "- [ ] one due:2026-05-02\n- [ ] two\n"
    assert both.omi() == {"one": False, "two": False}


@pytest.mark.parametrize("line", ["- [ ] alpha, at last", "- [ ] alpha due:2026-05-02"])
async def test_an_old_finished_item_is_not_what_came_in_the_place_of_one(
    both: Person, line: str
) -> None:
    """An edit beats the deletion: the line stays open, and gets an item of its own."""
    old = both.sandbox.add("alpha", completed=True)
    both.write("- [ ] alpha\n- [ ] other\n")
    both.settings = f"{TWO_WAY}adopt = false\n"
    await both.settle()
    both.settings = TWO_WAY
    (mine,) = (
        one for one in both.sandbox.items.values() if one.description == "alpha" and one is not old
    )
    del both.sandbox.items[mine.id]
    both.write(f"{line}\n- [ ] other\n")
    await both.settle()
    assert read(both) == f"{line}\n- [ ] other\n"
    assert old.completed
    assert old.description == "alpha"
    assert sum(not one.completed for one in both.sandbox.items.values()) == 2


async def test_a_line_that_was_let_go_takes_no_item_of_a_later_day(both: Person) -> None:
    """Its own was deleted, and it was ticked by hand: a new item of the text is another task."""
    both.write("- [ ] water plants\n- [ ] other\n")
    await both.settle()
    del both.sandbox.items[item(both, "water plants").id]
    both.write("- [x] water plants\n- [ ] other\n")
    for _ in range(3):
        await both.settle()
    both.clock.pass_by(30 * 86400)
    both.sandbox.add("water plants")
    await both.settle()
    assert both.omi() == {"water plants": False, "other": False}
    assert read(both) == "- [x] water plants\n- [ ] other\n- [ ] water plants\n"


async def test_finished_lines_of_years_ago_come_back_to_their_items(both: Person) -> None:
    """An archive that is put back makes nothing anew."""
    both.write("- [x] one\n- [x] two\n- [ ] other\n")
    await both.settle()
    both.write("- [ ] other\n")
    await both.settle()
    both.clock.pass_by(400 * 86400)
    both.write("- [x] one\n- [x] two\n- [ ] other\n")
    await both.settle()
    assert len(both.sandbox.items) == 3
    await quiet(both)


async def test_a_text_that_is_too_long_to_send_is_not_what_an_item_is_asked_for_by(
    both: Person,
) -> None:
    """It would be refused before it left, which says nothing of the item."""
    both.settings = f'{TWO_WAY}on_remote_removal = "remove"\n'
    both.write("- [ ] one\n- [ ] two\n- [ ] three\n")
    await both.settle()
    long = item(both, "one")
    long.description, long.completed = "very long words " * 39 + "end", True
    await both.settle()
    assert read(both).startswith("- [x] very long words very")
    del both.sandbox.items[long.id]
    for _ in range(3):
        await both.settle()
    assert read(both) == "- [ ] two\n- [ ] three\n"


@pytest.mark.parametrize("how", ["complete", "delete"])
async def test_a_mark_that_is_not_read_leaves_its_task_alone(both: Person, how: str) -> None:
    """It is neither removed nor written anew; once the mark means something all crosses."""
    both.settings = f'{TWO_WAY}on_removal = "{how}"\n'
    both.write("- [ ] one\n- [ ] two\n")
    await both.settle()
    both.write("- [o] one\n- [ ] two\n")
    item(both, "one").due_at = datetime(2026, 5, 2, 17, tzinfo=UTC)
    (notice,) = (await both.settle()).notices
    assert notice.line == 1
    assert both.omi() == {"one": False, "two": False}
    assert read(both) == "- [o] one\n- [ ] two\n"
    await quiet(both)
    both.write("- [x] one\n- [ ] two\n")
    await both.settle()
    assert both.omi() == {"one": True, "two": False}
    assert read(both) == "- [x] one 📅 2026-05-02T17:00\n- [ ] two\n"
    await quiet(both)


async def test_a_removed_line_does_not_come_back(both: Person) -> None:
    """Completed or kept in Omi, it stays out; an edit in the app brings it back."""
    both.settings += 'on_removal = "keep"\n'
    both.write("- [ ] a\n- [ ] b\n")
    await both.settle()
    both.write("- [ ] a\n")
    await both.settle()
    assert read(both) == "- [ ] a\n"
    both.clock.pass_by(100 * 86400.0)
    await both.cycle(now=True)
    assert read(both) == "- [ ] a\n"
    item(both, "b").description = "b again"
    await both.settle()
    assert read(both) == "- [ ] a\n- [ ] b again\n"
    await quiet(both)


async def test_a_line_put_back_overwrites_nothing_of_the_app(both: Person) -> None:
    """Dated here and dated there while the line was away: a clash, told as any other."""
    both.settings += 'on_removal = "keep"\n'
    both.write("- [ ] a\n- [ ] b\n")
    await both.settle()
    both.write("- [ ] a\n")
    await both.settle()
    item(both, "b").due_at = datetime(2026, 6, 2, 9, tzinfo=UTC)
    both.write("- [ ] a\n- [x] b due:2026-05-01\n")
    await both.settle()
    assert read(both) == "- [ ] a\n- [x] b due:2026-05-01\n"
    assert both.omi() == {"a": False, "b": True}
    async with both.desk() as desk:
        assert [one.clash.lost_value for one in desk.store.clashes()] == ["2026-06-02"]
    await quiet(both)


async def test_a_tick_meets_a_line_that_was_away(both: Person) -> None:
    """Ticked in the app while the line was cut, and pasted back in time: it is ticked."""
    both.write("- [ ] a\n- [ ] b\n")
    await both.settle()
    both.write("- [ ] a\n")
    item(both, "b").completed = True
    await both.cycle(now=True, grace=30.0)
    both.write("- [ ] b\n- [ ] a\n")
    await both.cycle(now=True, grace=30.0)
    assert read(both) == "- [x] b\n- [ ] a\n"
    assert both.omi() == {"a": False, "b": True}
    await quiet(both)


async def test_undo_brings_the_file_back(both: Person) -> None:
    """Lines that came in go, and their items stay as they are; edits are taken back."""
    both.write("- [ ] mine\n")
    await both.settle()
    both.sandbox.add("theirs")
    item(both, "mine").completed = True
    await both.settle()
    assert read(both) == "- [x] mine\n- [ ] theirs\n"
    async with both.desk() as desk:
        sync.undo(desk)
    assert read(both) == "- [ ] mine\n"
    await both.settle()
    assert read(both) == "- [ ] mine\n"
    assert both.omi() == {"mine": False, "theirs": False}
    await quiet(both)
    async with both.desk() as desk:
        with pytest.raises(errors.UsageError, match="nothing to undo"):
            sync.undo(desk)


async def test_undo_never_takes_back_what_was_typed(both: Person) -> None:
    """A file that was edited since stays; the message says where the former version is."""
    both.write("- [ ] mine\n")
    await both.settle()
    both.sandbox.add("theirs")
    await both.settle()
    both.write(read(both) + "- [ ] typed\n")
    async with both.desk() as desk:
        with pytest.raises(errors.UsageError, match="edited since") as caught:
            sync.undo(desk)
    assert "000001-todo.md" in caught.value.advice


async def test_a_shut_read_gate_lets_creates_through_only(both: Person) -> None:
    """What could overwrite something unseen waits; a new line cannot."""
    both.write("- [ ] buy milk\n")
    await both.settle()
    both.sandbox.limits["read"] = 0
    both.write("- [ ] buy oat milk\n- [ ] call Bob\n")
    outcome = await both.cycle(now=True)
    assert outcome.code == errors.TEMPORARY
    assert both.omi() == {"buy milk": False, "call Bob": False}
    assert outcome.retry_at is not None
    both.sandbox.limits["read"] = None
    both.clock.pass_by(3601)
    await both.settle()
    assert both.omi() == {"buy oat milk": False, "call Bob": False}


async def test_polls_keep_to_the_budget(both: Person) -> None:
    """Half of the server's reads at most, however often the file is saved."""
    both.sandbox.limits["read"] = 120
    both.write("- [ ] write a letter\n")
    await both.settle()
    for n in range(120):
        both.write(f"- [ ] write a letter{'!' * n}\n")
        await both.cycle()
        both.clock.pass_by(30)
    statuses = [status for method, status in both.sent() if method == "GET"]
    assert 429 not in statuses
    assert len(statuses) <= 100
    await both.settle()
    assert both.omi() == {"write a letter" + "!" * 119: False}


async def test_an_unchanged_list_costs_two_reads_and_no_parsing(both: Person) -> None:
    """The next look is put off; `touch` in the app is no change."""
    both.write("- [ ] a\n")
    await both.settle()
    await quiet(both)
    both.sandbox.touch(item(both, "a").id)
    outcome = await both.cycle(now=True)
    assert outcome.idle
    assert outcome.look_at is not None
    assert both.clock.now < outcome.look_at <= both.clock.now + 300


async def test_times_of_the_app_do_not_drift(both: Person) -> None:
    """17:00 UTC and a date alone, thirty cycles: no write to either side."""
    both.settings = TWO_WAY.replace("UTC", "Pacific/Kiritimati")
    both.write("- [ ] a 📅 2026-05-01\n")
    due = datetime(2026, 5, 1, 1, 30, tzinfo=UTC)  # half past three in the afternoon there
    both.sandbox.add("a", due_at=due)
    await both.settle()
    for _ in range(30):
        await both.cycle(now=True)
    assert read(both) == "- [ ] a 📅 2026-05-01\n"
    assert item(both, "a").due_at == due
    assert {method for method, _ in both.sent()} == {"GET"}


async def test_a_large_account_costs_one_file_write(both: Person) -> None:
    """1,200 items, 180 changed: one listing, one write of the file, none to the server."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for n in range(1200):
        both.sandbox.add(f"task {n}", created_at=start + timedelta(minutes=n))
    both.write("")
    assert (await both.cycle(yes=True)).code == errors.OK
    assert read(both).count("\n") == 1200
    await quiet(both)
    for n, one in enumerate(both.sandbox.items.values()):
        if n % 20 < 3:
            one.description += " (changed)"
    steps: list[str] = []
    both.trace = steps.append
    both.sent()
    await both.cycle(now=True)
    assert steps.count("file.swapped") == 1
    assert {method for method, _ in both.sent()} == {"GET"}
    assert read(both).count("(changed)") == 180
    both.trace = None
    await quiet(both)


async def test_a_save_before_the_swap_wins(both: Person) -> None:
    """What is typed while the list is read is there afterwards, with what came from the app."""
    both.write("- [ ] a\n- [ ] b\n")
    await both.settle()
    item(both, "a").completed = True
    typed = iter((True,))

    def save(step: str) -> None:
        if step == "file.written" and next(typed, False):
            both.write("- [ ] a\n- [ ] b typed\n")

    both.trace = save
    await both.settle()
    assert read(both) == "- [x] a\n- [ ] b typed\n"
    assert both.omi() == {"a": True, "b typed": False}
    both.trace = None
    await quiet(both)


async def test_a_line_like_what_was_to_be_written_is_not_taken_for_it(both: Person) -> None:
    """A save in the last moment keeps our line out: what the app says is not sent back as old."""
    both.settings += 'prefer = "remote"\n'
    both.write("- [ ] a\n")
    await both.settle()
    both.sandbox.add("water the plants on the balcony, and in the kitchen")
    typed = iter((True,))

    def save(step: str) -> None:
        if step == "file.written" and next(typed, False):
            both.write("- [ ] water the plants on the balcony\n- [ ] a\n")

    both.trace = save
    await both.settle()
    both.trace = None
    assert "water the plants on the balcony, and in the kitchen" in both.omi()
    assert "water the plants on the balcony\n" in read(both)
    await quiet(both)


async def test_ids_can_be_written_into_the_lines(both: Person) -> None:
    """Each line gets its own once; a copied line is a task of its own."""
    both.settings += 'ids = "inline"\n'
    both.write("- [ ] a\n")
    await both.settle()
    name = item(both, "a").id
    assert read(both) == f"- [ ] a omi:{name}\n"
    await quiet(both)
    both.write(f"- [ ] another wording altogether omi:{name}\n")
    await both.settle()
    assert both.omi() == {"another wording altogether": False}


async def test_a_line_that_comes_back_has_its_id_written_at_once(both: Person) -> None:
    """In the sync that gives it its item, as a line that is linked by its text."""
    both.settings += 'ids = "inline"\n'
    found = both.sandbox.add("b").id
    both.write("- [ ] b\n")
    await both.once()
    assert read(both) == f"- [ ] b omi:{found}\n"
    both.write(f"{read(both)}- [ ] a\n- [ ] c\n- [ ] d\n- [ ] e\n")
    await both.once()
    former = read(both)
    both.write(former.replace(f"- [ ] b omi:{found}\n", ""))
    await both.once()
    both.write(f"{read(both)}- [ ] b\n")
    await both.once()
    assert f"- [ ] b omi:{found}\n" in read(both)
    assert both.omi() == dict.fromkeys("abcde", False)
    await quiet(both)


@pytest.mark.parametrize("line", ["- [ ] water the plants well", "- [x] water the plants"])
async def test_a_line_edited_without_its_id_has_it_again_at_once(both: Person, line: str) -> None:
    """Another machine may read it next, and would have to guess."""
    both.settings += 'ids = "inline"\n'
    both.write("- [ ] water the plants\n- [ ] b\n")
    await both.settle()
    written = read(both)
    name = item(both, "water the plants").id
    both.write(f"{line}\n{written.splitlines()[1]}\n")
    await both.once()
    assert read(both) == f"{line} omi:{name}\n{written.splitlines()[1]}\n"
    await quiet(both)
    both.write(read(both).replace("water", "drain"))
    both.sent()
    await both.once()
    assert [method for method, _ in both.sent()] == ["GET", "GET", "PATCH"]  # and no look more


async def test_an_id_that_no_line_can_have_costs_no_look_more(both: Person) -> None:
    """It is lost from no line."""
    both.settings += 'ids = "inline"\n'
    both.sandbox.add("a", item_id="x.y")
    both.write("- [ ] a\n")
    await both.settle()
    both.write("- [x] a\n")
    both.sent()
    await both.once()
    assert [method for method, _ in both.sent()] == ["GET", "GET", "PATCH"]


async def test_an_id_that_is_no_more_is_replaced(both: Person) -> None:
    """The item was made anew: its line has the new id, and is the same task when reworded."""
    both.settings += 'ids = "inline"\n'
    both.write("- [ ] a\n- [ ] b\n")
    await both.settle()
    both.sandbox.reprocess(item(both, "a").id)
    for _ in range(3):
        await both.settle()
    name = item(both, "a").id
    assert read(both).startswith(f"- [ ] a omi:{name}\n")
    both.write(read(both).replace("- [ ] a ", "- [ ] something else "))
    await both.settle()
    assert item(both, "something else").id == name
    await quiet(both)


@pytest.mark.parametrize("prefer", ["local", "remote"])
async def test_a_date_that_was_kept_back_is_not_lost(both: Person, prefer: str) -> None:
    """Reopened in the app it is sent, or gives way to the app's, and is kept as a clash."""
    both.settings += f'prefer = "{prefer}"\n'
    line = "- [{}] {} due:2026-{}\n".format
    both.write(line("x", "sent", "05-01") + line("x", "given", "05-02") + line("x", "met", "05-03"))
    await both.settle()
    sent, given, met = (item(both, text) for text in ("sent", "given", "met"))
    assert (sent.due_at, given.due_at, met.due_at) == (None, None, None)
    sent.completed = given.completed = False
    given.due_at = datetime(2026, 6, 2, 9, tzinfo=UTC)
    met.due_at = datetime(2026, 6, 3, 9, tzinfo=UTC)
    both.write(line("x", "sent", "05-01") + line("x", "given", "05-02") + line(" ", "met", "05-03"))
    both.sandbox.fault_next("429", method="PATCH")
    await both.settle()
    kept, lost = ("2026-05-03", "2026-06-03")[:: 1 if prefer == "local" else -1]
    assert [one.due_at and one.due_at.date().isoformat() for one in (sent, given, met)] == [
        "2026-05-01",
        "2026-06-02",
        kept,
    ]
    said = line(" ", "sent", "05-01") + line(" ", "given", "06-02") + line(" ", "met", kept[5:])
    assert read(both) == said
    async with both.desk() as desk:
        assert [one.clash.lost_value for one in desk.store.clashes()] == ["2026-05-02", lost]
    await quiet(both)


@pytest.mark.parametrize("repairs", [False, True])
async def test_a_list_that_is_linked_again_rings_for_nothing(both: Person, repairs: bool) -> None:
    """After a lost state, or on a second machine, a finished line's date is still kept back."""
    both.write("- [x] done due:2026-05-01\n- [ ] open due:2026-05-02\n")
    await both.settle()
    both.store_path.unlink()
    both.sent()
    if repairs:
        async with both.desk() as desk:
            await sync.repair(desk)
    await both.settle()
    assert {method for method, _ in both.sent()} == {"GET"}
    both.write("- [ ] done due:2026-05-01\n- [ ] open due:2026-05-02\n")
    await both.settle()
    assert item(both, "done").due_at == datetime(2026, 5, 1, 9, tzinfo=UTC)
    await quiet(both)


@pytest.mark.parametrize("there", [None, datetime(2026, 6, 2, 9, tzinfo=UTC)])
async def test_an_item_edited_before_it_was_found(both: Person, there: datetime | None) -> None:
    """Its create got no answer; what the app did to its date meanwhile does not part the two."""
    both.write("- [ ] a due:2026-05-01\n")
    both.sandbox.fault_next("reset_after", method="POST")
    await both.cycle(now=True)
    item(both, "a").due_at = there
    both.clock.pass_by(10)
    await both.settle()
    assert read(both) == "- [ ] a due:2026-05-01\n"
    assert item(both, "a").due_at == datetime(2026, 5, 1, 9, tzinfo=UTC)
    async with both.desk() as desk:
        lost = [one.clash.lost_value for one in desk.store.clashes()]
    assert lost == ([] if there is None else ["2026-06-02"])
    await quiet(both)


async def test_an_item_ticked_before_it_was_found(both: Person) -> None:
    """Its create got no answer; the tick made in the app meanwhile comes into the line."""
    both.write("- [ ] a\n")
    both.sandbox.fault_next("reset_after", method="POST")
    await both.cycle(now=True)
    item(both, "a").completed = True
    both.clock.pass_by(10)
    await both.settle()
    assert read(both) == "- [x] a\n"
    assert both.omi() == {"a": True}
    await quiet(both)


async def test_repair_lets_both_sides_agree(both: Person) -> None:
    """What the app did while the state was lost comes in as after any first meeting."""
    both.write("- [ ] a\n- [ ] b\n- [x] c\n")
    await both.settle()
    for path in both.home.glob("state/*"):
        path.unlink()
    item(both, "a").completed = True
    item(both, "b").due_at = datetime(2026, 6, 2, 9, tzinfo=UTC)
    item(both, "c").completed = False
    async with both.desk() as desk:
        await sync.repair(desk)
    await both.settle()
    assert read(both) == "- [x] a\n- [ ] b 📅 2026-06-02\n- [x] c\n"
    assert both.omi() == {"a": True, "b": False, "c": True}
    await quiet(both)


async def test_an_unlisted_item_is_asked_for_again(both: Person) -> None:
    """It was there when last asked for; deleted since, that is found out without any other news."""
    both.settings += 'on_remote_removal = "remove"\n'
    both.write("- [ ] a\n- [ ] b\n")
    await both.settle()
    item(both, "a").hidden = True
    for _ in range(5):
        await both.cycle(now=True)
    del both.sandbox.items[item(both, "a").id]
    both.clock.pass_by(90_000)
    for _ in range(3):
        await both.settle()
    assert read(both) == "- [ ] b\n"


async def test_twins_of_two_machines_become_one(
    both: Person, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Neither saw the other's create: the later item goes, on both machines alike."""
    both.write("- [ ] start\n")
    await both.settle()
    other = Person(tmp_path_factory.mktemp("other"), both.sandbox, both.clock, settings=TWO_WAY)
    other.write("- [ ] start\n")
    await other.settle()
    for machine in (both, other):
        machine.write("- [ ] start\n- [ ] new\n")
    both.sandbox.limits["read"] = other.sandbox.limits["read"] = 0
    for machine in (both, other):
        await machine.cycle(now=True)
    assert sum(one.description == "new" for one in both.sandbox.items.values()) == 2
    both.sandbox.limits["read"] = None
    both.clock.pass_by(3700)
    for _ in range(3):
        for machine in (both, other):
            await machine.settle()
    assert both.omi() == {"start": False, "new": False}
    assert read(both) == read(other) == "- [ ] start\n- [ ] new\n"
    await quiet(both)
    await quiet(other)


@pytest.mark.parametrize("between", [",\n", ", "])
async def test_a_task_goes_and_one_comes_in_an_array(both: Person, between: str) -> None:
    """Where all stand on one line, each keeps its place."""
    both.name = "todo.toml"
    both.settings += 'on_remote_removal = "remove"\n'
    texts = ["Buy milk", "Call Bob", "Water the plants", "Pay rent"]
    rows = between.join(f'{{description = "{text}"}}' for text in texts)
    both.write(f"todo = [{rows}]\n")
    await both.settle()
    both.sandbox.remove(item(both, "Call Bob").id)
    for _ in range(2):  # it is missing, and asked for
        await both.cycle(now=True)
    both.sandbox.add("New in the app")
    for _ in range(3):
        await both.settle()
    texts.remove("Call Bob")
    assert [one["description"] for one in tomllib.loads(read(both))["todo"]] == [
        *texts,
        "New in the app",
    ]
    assert both.omi() == dict.fromkeys([*texts, "New in the app"], False)
    await quiet(both)


async def test_toml_is_written_as_carefully(both: Person) -> None:
    """Keys, comments and layout stay; a new task is a table at the end."""
    both.name = "todo.toml"
    both.write('# my list\n[[todo]]\ntitle = "a"   # first\ndone = false\nmine = 1\n')
    await both.settle()
    item(both, "a").completed = True
    both.sandbox.add('two\nlines "quoted"', due_at=datetime(2026, 5, 1, 17, tzinfo=UTC))
    await both.settle()
    text = read(both)
    assert text.startswith('# my list\n[[todo]]\ntitle = "a"   # first\ndone = true\nmine = 1\n')
    assert "due = 2026-05-01T17:00:00" in text
    await quiet(both)


async def test_push_never_writes_the_file(person: Person) -> None:
    """The same app, the same edits: the file stays as it is, and no list is read."""
    person.write("- [ ] a\n")
    await person.settle()
    item(person, "a").completed = True
    person.sandbox.add("theirs")
    person.sent()
    person.write("- [ ] a!\n")
    await person.settle()
    assert read(person) == "- [ ] a!\n"
    assert person.sent() == [("PATCH", 200)]


async def test_an_incomplete_list_removes_nothing(both: Person) -> None:
    """Rows without a time of creation behind a full page: absence proves nothing."""
    both.settings += 'on_remote_removal = "remove"\n'
    for n in range(1200):
        both.sandbox.add(f"task {n}").created_at = None
    both.write("")
    await both.cycle(yes=True)
    lines = read(both)
    assert 900 < lines.count("\n") < 1200
    for _ in range(3):
        await both.cycle(now=True)
    assert read(both).startswith(lines)
    assert {method for method, _ in both.sent()} == {"GET"}


async def test_a_file_that_cannot_be_written_is_still_read(both: Person) -> None:
    """What was typed goes to Omi; what came from there waits, and the reason is told."""
    both.write("- [ ] a\n")
    await both.settle()
    (both.home / "other name.md").hardlink_to(both.todo)
    both.write("- [ ] a\n- [ ] typed\n")
    both.sandbox.add("theirs")
    outcome = await both.cycle(now=True)
    assert outcome.code == errors.BAD_FILE
    assert read(both) == "- [ ] a\n- [ ] typed\n"
    assert both.omi() == {"a": False, "typed": False, "theirs": False}
    (both.home / "other name.md").unlink()
    await both.settle()
    assert read(both) == "- [ ] a\n- [ ] typed\n- [ ] theirs\n"
    await quiet(both)


async def test_undo_of_a_rewording_changes_the_same_item_back(both: Person) -> None:
    """However little the two wordings have in common: nothing is created or completed."""
    both.write("- [ ] Alpha one two\n")
    await both.settle()
    name = item(both, "Alpha one two").id
    both.sandbox.items[name].description = "Call the plumber"
    await both.settle()
    async with both.desk() as desk:
        sync.undo(desk)
    await both.settle()
    assert read(both) == "- [ ] Alpha one two\n"
    assert both.omi() == {"Alpha one two": False}
    assert item(both, "Alpha one two").id == name
    await quiet(both)


async def test_a_restore_can_be_undone(both: Person) -> None:
    """What the line said last is not lost for the value that gave way before, nor is that."""
    both.write("- [ ] call Bob\n")
    await both.settle()
    item(both, "call Bob").description = "Lima"
    both.write("- [ ] call Bobby\n")
    await both.settle()
    both.write("- [ ] call Bobby with mum\n")
    async with both.desk() as desk:
        sync.restore(desk, 1)
        assert read(both) == "- [ ] Lima\n"
        sync.undo(desk)
        assert read(both) == "- [ ] call Bobby with mum\n"
        sync.restore(desk, 1)
        with pytest.raises(errors.UsageError, match="put back already"):
            sync.restore(desk, 1)
        sync.undo(desk)
    await both.settle()
    assert both.omi() == {"call Bobby with mum": False}
    await quiet(both)


async def test_undo_takes_the_ids_with_the_lines(both: Person) -> None:
    """They were written later, and belong to what is undone."""
    both.settings += 'ids = "inline"\n'
    both.write("- [ ] mine\n")
    both.sandbox.add("theirs")
    await both.settle()
    assert read(both).count("omi:") == 2
    async with both.desk() as desk:
        sync.undo(desk)
    assert read(both) == "- [ ] mine\n"
    await both.settle()
    assert read(both).count("\n") == 1
    assert both.omi() == {"mine": False, "theirs": False}


async def test_what_a_push_linked_is_compared_when_both_ways_begin(person: Person) -> None:
    """A date that the line never had was no news for a push; then it is."""
    person.sandbox.add("rent", due_at=datetime(2027, 1, 5, 9, tzinfo=UTC))
    person.write("- [ ] rent\n")
    assert (await person.settle()).counts == {"task.adopted": 1}
    assert (await person.cycle()).counts == {}
    person.settings = TWO_WAY
    await person.settle()
    assert read(person) == "- [ ] rent 📅 2027-01-05\n"
    await quiet(person)


@pytest.mark.parametrize("direction", ["push", "two-way"])
async def test_an_open_line_with_the_id_of_a_finished_item_opens_it(
    person: Person, direction: str
) -> None:
    """A chore whose line was taken out, and is pasted back with its id."""
    person.settings = TWO_WAY.replace("two-way", direction)
    person.write("- [ ] rent\n- [ ] other\n")
    await person.settle()
    name = item(person, "rent").id
    person.write("- [x] rent\n- [ ] other\n")
    await person.settle()
    person.write("- [ ] other\n")
    await person.settle()
    person.write(f"- [ ] other\n- [ ] rent omi:{name}\n")
    await person.settle()
    assert read(person) == f"- [ ] other\n- [ ] rent omi:{name}\n"
    assert person.omi() == {"other": False, "rent": False}
    assert set(person.sandbox.items) == {name, item(person, "other").id}
    person.sent()
    assert (await person.cycle()).counts == {}
    assert {method for method, _ in person.sent()} <= {"GET"}


# One file on two machines, or a state that was restored.


@pytest.fixture
def laptop(both: Person, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Another machine with the same file."""
    home = tmp_path_factory.mktemp("laptop")
    return Person(home, both.sandbox, both.clock, name=str(both.todo), settings=TWO_WAY)


@pytest.mark.parametrize("name", ["todo.md", "todo.toml"])
async def test_equal_lines_are_the_same_items_on_both_machines(
    both: Person, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    """A list comes newest first: what one machine does to the first line is done once."""
    both.name = name
    plants = ["water plants", "other", "water plants", "water plants"]
    if name.endswith("md"):
        both.write("".join(f"- [ ] {text}\n" for text in plants))
    else:
        both.write("".join(f'[[todo]]\ntext = "{text}"\ndone = false\n' for text in plants))
    home = tmp_path_factory.mktemp("laptop")
    laptop = Person(home, both.sandbox, both.clock, name=str(both.todo), settings=TWO_WAY)
    await both.settle()
    await laptop.settle()
    before = read(both)
    for old, new in (("- [ ]", "- [x]"), ("done = false", "done = true")):
        both.write(read(both).replace(old, new, 1))
    after = read(both)
    assert before != after
    for person in (both, laptop, both):
        await person.settle()
    assert read(both) == after
    done = [one.description for one in both.sandbox.items.values() if one.completed]
    assert (len(both.sandbox.items), done) == (4, ["water plants"])


@pytest.mark.parametrize("restored", [False, True])
async def test_what_the_other_machine_wrote_of_the_app_is_known(
    both: Person, laptop: Person, restored: bool
) -> None:
    """However little the new words are like the old ones: no other machine makes it twice."""
    both.write("- [ ] hold the time\n- [ ] other\n")
    await both.settle()
    if restored:
        shutil.copytree(both.store_path.parent, laptop.store_path.parent)
    else:
        await laptop.settle()
    item(both, "hold the time").description = "blank speed tests"
    await both.settle()
    assert read(both) == "- [ ] blank speed tests\n- [ ] other\n"
    await laptop.settle()
    assert both.omi() == {"blank speed tests": False, "other": False}
    await quiet(laptop)
    await quiet(both)


@pytest.mark.parametrize("edited", ["- [ ] alpha beta due:2026-05-02", "- [ ] alpha beta delta"])
async def test_what_the_other_machine_made_anew_is_known(
    both: Person, laptop: Person, edited: str
) -> None:
    """The item was deleted and the line edited: it is made once, and no line is added."""
    both.write("- [ ] alpha beta gamma\n- [ ] other\n".replace(" gamma", "", "due" in edited))
    await both.settle()
    await laptop.settle()
    gone = next(one for one in both.sandbox.items.values() if one.description != "other")
    del both.sandbox.items[gone.id]
    both.write(f"{edited}\n- [ ] other\n")
    await both.settle()
    assert len(both.sandbox.items) == 2
    for person in (laptop, both, laptop):
        await person.settle()
    assert read(both) == f"{edited}\n- [ ] other\n"
    assert len(both.sandbox.items) == 2


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("- [ ] alpha due:2026-05-02", ("alpha", False)),
        ("- [ ] alpha, at last", ("alpha, at last", False)),
        ("- [x] alpha", ("alpha", True)),
    ],
)
async def test_an_edit_reaches_the_item_that_came_in_the_place_of_another(
    both: Person, line: str, there: tuple[str, bool]
) -> None:
    """A reprocessed conversation gives an item another id: it is neither lost nor doubled."""
    both.write("- [ ] alpha\n- [ ] other\n")
    await both.settle()
    del both.sandbox.items[item(both, "alpha").id]
    both.sandbox.add("alpha")
    both.write(f"{line}\n- [ ] other\n")
    await both.settle()
    assert both.omi() == dict([there, ("other", False)])
    assert read(both) == f"{line}\n- [ ] other\n"
    await quiet(both)


async def test_machines_that_link_no_equal_texts_bring_in_no_copies(
    both: Person, laptop: Person
) -> None:
    """With ``adopt = false`` each makes an item for each line, and leaves the other's alone."""
    both.settings = laptop.settings = f"{TWO_WAY}adopt = false\n"
    both.write("- [ ] one\n- [ ] two\n")
    for person in (both, laptop, both, laptop):
        await person.settle()
    assert read(both) == "- [ ] one\n- [ ] two\n"
    assert len(both.sandbox.items) == 4


async def test_a_line_that_is_linked_before_its_list_is_read_meets_the_item_then(
    both: Person,
) -> None:
    """Both dates are new: one gives way, and is told of."""
    both.write("- [ ] other\n")
    await both.settle()
    looks = 0
    while not any(isinstance(one, errors.ListUnread) for one in (await both.cycle()).troubles):
        looks += 1
        assert looks < 60
        both.write(f"- [ ] other {'x' * looks}\n")
    both.write("- [ ] other\n")
    both.sandbox.add("alpha", due_at=datetime(2026, 5, 3, 9, tzinfo=UTC))
    both.sandbox.add("beta", due_at=datetime(2026, 5, 3, 9, tzinfo=UTC))
    both.write("- [ ] other\n- [ ] alpha\n- [ ] beta due:2026-05-02\n")
    assert (await both.cycle()).counts["task.adopted"] == 2
    await both.settle()
    assert read(both) == "- [ ] other\n- [ ] alpha due:2026-05-03\n- [ ] beta due:2026-05-02\n"
    with Store.open(both.store_path) as store:
        assert [one.clash.lost_value for one in store.clashes()] == ["2026-05-03"]


async def test_a_new_name_and_a_new_task_of_the_old_one_are_told_apart(
    both: Person, laptop: Person
) -> None:
    """The app did both while one machine slept, and the other wrote both into the file."""
    both.write("- [ ] buy milk due:2026-05-02\n- [ ] other\n")
    await both.settle()
    await laptop.settle()
    item(both, "buy milk").description = "wash the car"
    both.sandbox.add("buy milk")
    await both.settle()
    after = read(both)
    for person in (laptop, both):
        await person.settle()
    assert read(both) == after
    assert len(both.sandbox.items) == 3
    due_at = item(both, "wash the car").due_at
    assert due_at == datetime(2026, 5, 2, 9, tzinfo=UTC)


async def test_no_machine_writes_the_id_of_what_is_gone(both: Person, laptop: Person) -> None:
    """The other one has written that of the item which came in its place."""
    both.settings = laptop.settings = f'{TWO_WAY}ids = "inline"\n'
    both.write("- [ ] call mum\n- [ ] other\n")
    for person in (both, laptop):
        await person.settle()
    del both.sandbox.items[item(both, "call mum").id]
    new = both.sandbox.add("call mum").id
    for person in (both, both, both, laptop, laptop, laptop, both):
        await person.settle()
    assert f"call mum omi:{new}\n" in read(both)
    assert len(both.sandbox.items) == 2
    await quiet(laptop)
    await quiet(both)


async def test_a_line_is_rather_what_is_there_than_what_is_gone(both: Person) -> None:
    """Its former item was deleted in Omi, and another one of its text is in the list."""
    both.write("- [ ] feed cat\n- [ ] other\n")
    await both.settle()
    both.write("- [ ] other\n")
    await both.settle()
    del both.sandbox.items[item(both, "feed cat").id]
    both.sandbox.add("feed cat")
    both.write("- [ ] other\n- [ ] feed cat\n")
    await both.settle()
    assert read(both) == "- [ ] other\n- [ ] feed cat\n"
    assert both.omi() == {"feed cat": False, "other": False}


# Two machines never make items of each other's lines without end.


@pytest.mark.parametrize("ids", ["off", "inline"])
@pytest.mark.parametrize("trouble", ["odd box", "refused", "hidden", "locked"])
async def test_what_one_machine_cannot_know_makes_no_items_without_end(
    both: Person, laptop: Person, trouble: str, ids: str
) -> None:
    """The other one first looks at a task when something is wrong with its line or its item."""
    both.settings = laptop.settings = f'{TWO_WAY}ids = "{ids}"\n'
    both.write("- [ ] tea\n")
    await both.settle()
    await laptop.settle()
    both.write(read(both) + "- [ ] buy milk\n")
    await both.settle()
    milk = item(both, "buy milk")
    if trouble == "odd box":
        both.write(read(both).replace("- [ ] buy", "- [o] buy"))
        milk.description = "buy oat milk"
    elif trouble == "refused":
        both.sandbox.refuse["buy oat milk"] = 422
        both.write(read(both).replace("buy milk", "buy oat milk"))
    else:
        setattr(milk, trouble, True)
        both.write(read(both).replace("- [ ] buy", "- [x] buy"))
    for _ in range(4):
        for person in (laptop, both):
            await person.cycle(now=True)
            person.clock.pass_by(300)
    milk.hidden = milk.locked = False
    for _ in range(4):
        for person in (laptop, both):
            await person.cycle(now=True)
            person.clock.pass_by(300)
    assert len(both.sandbox.items) <= 4
    assert read(both).count("milk") <= 3
    there = both.todo.read_bytes(), len(both.sandbox.items)
    for person in (laptop, both, laptop):
        assert (await person.cycle(now=True)).counts == {}
    assert (both.todo.read_bytes(), len(both.sandbox.items)) == there


async def test_what_waits_for_another_machine_is_told(both: Person) -> None:
    """An item beside a hidden one, and a line of what a refused rewording was before."""
    both.write("- [ ] buy milk\n- [ ] tea\n")
    await both.settle()
    item(both, "tea").hidden = True
    for _ in range(3):
        await both.settle()
    both.sandbox.add("tea")
    both.sandbox.refuse["buy oat milk"] = 422
    both.write("- [ ] buy oat milk\n- [ ] tea\n")
    await both.settle()
    both.write("- [ ] buy oat milk\n- [ ] tea\n- [ ] buy milk\n")
    both.clock.pass_by(600)
    said, line = (await both.cycle(now=True)).remarks
    assert said == (
        "1 item of Omi says the same as a line that is not read for its box, whose item Omi does"
        " not list, or whose rewording does not get through; no line is written beside it."
    )
    assert line == (
        f"{both.todo}:3: this waits, for Omi still says the same of another line, the rewording"
        " of which does not get through"
    )
    last = fact(both, "last")
    assert isinstance(last, dict)
    assert last["remarks"] == [said, line]
    assert len(both.sandbox.items) == 3


async def test_what_waits_for_another_machine_holds_up_no_line_below(both: Person) -> None:
    """Each is a task of its own, and is created at once."""
    both.write("- [ ] buy milk\n")
    await both.settle()
    both.sandbox.refuse["buy oat milk"] = 422
    both.write("- [ ] buy oat milk\n")
    await both.settle()
    both.write("- [ ] buy oat milk\n- [ ] buy milk\n- [ ] call Bob\n")
    assert (await both.cycle(now=True)).counts["task.created"] == 1
    assert both.omi() == {"buy milk": False, "call Bob": False}


async def test_as_many_items_stand_for_hidden_ones_as_there_are(both: Person) -> None:
    """Another machine made one of each line; a third is somebody's new task."""
    both.write("- [ ] tea\n- [ ] tea\n- [ ] other\n")
    await both.settle()
    for one in both.sandbox.items.values():
        one.hidden = one.description == "tea"
    for _ in range(3):
        await both.settle()
    for _ in range(3):
        both.sandbox.add("tea")
    both.clock.pass_by(600)
    outcome = await both.cycle(now=True)
    assert any(remark.startswith("2 items of Omi say the same") for remark in outcome.remarks)
    assert read(both).count("tea") == 3


async def test_a_finished_item_that_is_not_listed_is_opened_with_its_line(both: Person) -> None:
    """Its line was taken out, and is put back: that it is there is asked with the same request."""
    both.settings += "removal_grace = 0\n"
    both.write("- [ ] one\n- [ ] other\n")
    await both.settle()
    one = item(both, "one")
    both.write("- [ ] other\n")
    await both.settle()
    assert one.completed
    one.hidden = True
    both.write("- [ ] one\n- [ ] other\n")
    await both.settle()
    assert (one.completed, len(both.sandbox.items)) == (False, 2)


async def test_nothing_takes_a_place_where_no_equal_texts_are_linked(both: Person) -> None:
    """What came instead of an item is a line of its own, as is the one that was edited."""
    both.settings += "adopt = false\n"
    both.write("- [ ] buy milk\n- [ ] other\n")
    await both.settle()
    both.sandbox.reprocess(item(both, "buy milk").id)
    both.write("- [ ] buy oat milk\n- [ ] other\n")
    for _ in range(2):
        await both.settle()
    assert both.omi() == dict.fromkeys(("buy oat milk", "other", "buy milk"), False)
    assert read(both) == "- [ ] buy oat milk\n- [ ] other\n- [ ] buy milk\n"


@pytest.mark.parametrize("fault", ["reset_before", "5xx_before"])
async def test_an_edit_in_the_app_outlives_a_deletion_without_an_answer(
    both: Person, fault: Fault
) -> None:
    """The line came back, and the item is asked whether it is there: by its own words."""
    both.settings += 'on_removal = "delete"\n'
    both.write("- [ ] a\n- [ ] b\n- [ ] c\n")
    await both.settle()
    both.write("- [ ] a\n- [ ] c\n")
    both.sandbox.fault_next(fault, method="DELETE")
    assert (await both.cycle(now=True)).code == errors.TEMPORARY
    item(both, "b").description = "reworded in the app"
    both.write("- [ ] a\n- [ ] b\n- [ ] c\n")
    await both.settle()
    assert both.todo.read_text() == "- [ ] a\n- [ ] reworded in the app\n- [ ] c\n"
    assert both.omi() == dict.fromkeys(("a", "reworded in the app", "c"), False)


@pytest.mark.parametrize("edit", ["reword", "date"])
@pytest.mark.parametrize("fault", ["reset_before", "reset_after"])
async def test_an_edit_in_the_app_outlives_a_line_whose_edit_had_no_answer(
    both: Person, fault: Fault, edit: str
) -> None:
    """What the app says is neither what was agreed on nor what was sent: the line is back."""
    both.settings += 'on_removal = "delete"\n'
    both.write("- [ ] a\n- [ ] b\n- [ ] c\n")
    await both.settle()
    one = item(both, "b")
    both.write("- [ ] a\n- [ ] b more\n- [ ] c\n")
    both.sandbox.fault_next(fault, method="PATCH")
    assert (await both.cycle(now=True)).code == errors.TEMPORARY
    if edit == "reword":
        one.description = "b in the app"
    else:
        one.due_at = datetime(2027, 5, 6, 9, tzinfo=UTC)
    both.write("- [ ] a\n- [ ] c\n")
    await both.settle()
    assert one.id in both.sandbox.items
    said = one.description + (" 📅 2027-05-06" if edit == "date" else "")
    assert f"- [ ] {said}\n" in both.todo.read_text()


async def test_an_edit_without_an_answer_brings_no_line_back(both: Person) -> None:
    """What the item says is what the line said last."""
    both.settings += 'on_removal = "delete"\n'
    both.write("- [ ] a\n- [ ] b\n- [ ] c\n")
    await both.settle()
    both.write("- [ ] a\n- [ ] b more\n- [ ] c\n")
    both.sandbox.fault_next("reset_after", method="PATCH")
    assert (await both.cycle(now=True)).code == errors.TEMPORARY
    both.write("- [ ] a\n- [ ] c\n")
    await both.settle()
    assert both.omi() == {"a": False, "c": False}
