"""One cycle, in order: what is told, what is sent how, and what an obstacle holds back."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from person import fact, history, item
from replicas import Stopped

from omisync import errors, sync
from omisync.core.model import Gate
from omisync.sandbox import Sandbox
from omisync.store import Event, Store
from omisync.store.notes import LastRun

if TYPE_CHECKING:
    from person import Clock, Person

    from omisync.core.model import Link

TWO_WAY = '[sync]\ndirection = "two-way"\ntimezone = "UTC"\n'
OTHER_KEY = "omi_dev_another_key_00001"


@pytest.fixture
async def settled(person: Person) -> Person:
    """Someone whose seven tasks are in Omi."""
    person.write(lines("[ ]"))
    await person.cycle()
    person.sent()
    return person


def lines(box: str) -> str:
    """Return the seven tasks, open or finished."""
    return "".join(f"- {box} task {n}\n" for n in range(7))


def links(person: Person) -> dict[str, Link]:
    """Return the rows by their text."""
    with Store.open(person.store_path) as store:
        return {one.seen.text: one for one in store.links()}


# How it is sent.


async def test_a_sync_with_nothing_to_do_leaves_no_trace(settled: Person) -> None:
    """Nothing is asked, and nothing is written that is there already."""
    steps: list[str] = []
    settled.trace = steps.append
    assert (await settled.cycle()).idle
    assert steps == []


async def test_the_disk_is_waited_for_where_a_power_cut_costs_something(person: Person) -> None:
    """Before what changes Omi is sent, and when the sync is over; a note for later may be lost."""
    for text in ("- [ ] a\n", "- [x] a\n", "- [x] a\n- [ ] b\n"):
        steps: list[str] = []
        person.trace = steps.append
        person.write(text)
        await person.cycle()
        assert steps.count("store.commit") == 2
        last = len(steps) - 1 - steps[::-1].index("request.sent")
        assert steps[last - 1] == "store.commit"
        assert steps[-2:] == ["store.commit", "store.write"]


async def test_the_first_write_goes_alone(settled: Person) -> None:
    """Then four at a time: what a shut gate costs is known."""
    settled.write(lines("[x]"))
    settled.sandbox.fault_next("429", method="PATCH")
    outcome = await settled.cycle()
    assert settled.sent() == [("PATCH", 429)]
    assert (outcome.waiting, len(outcome.troubles)) == (7, 1)
    settled.clock.pass_by(3600)
    settled.sandbox.fault_next(None, "429", "429", "429", "429", method="PATCH")
    outcome = await settled.cycle()
    assert settled.sent() == [("PATCH", 200)] + [("PATCH", 429)] * 4
    assert (outcome.counts, outcome.waiting, len(outcome.troubles)) == ({"task.changed": 1}, 6, 1)


@pytest.mark.parametrize(
    ("ago", "wait", "sent"), [(60, 1, 2), (61, 1, 5), (199, 100, 2), (200, 100, 5)]
)
async def test_after_a_limit_writes_go_one_at_a_time(
    settled: Person, clock: Clock, ago: float, wait: float, sent: int
) -> None:
    """For as long as the gate was shut, a minute at least."""
    with Store.open(settled.store_path) as store, store.transaction():
        store.put_gate(Gate("write", clock.now - ago, wait, 60))
    settled.write(lines("[x]"))
    settled.sandbox.fault_next(None, "429", "429", "429", "429", method="PATCH")
    await settled.cycle()
    assert len(settled.sent()) == sent


async def test_a_success_ends_a_row_of_failures(settled: Person, clock: Clock) -> None:
    """Two failures, then one, are not three in a row."""
    with Store.open(settled.store_path) as store, store.transaction():
        store.put_gate(Gate("write", clock.now - 10, 1, 60))
    settled.write(lines("[x]"))
    bad = "5xx_before"
    settled.sandbox.fault_next(None, bad, bad, None, bad, bad, None, method="PATCH")
    outcome = await settled.cycle()
    assert len(settled.sent()) == 7
    assert outcome.counts == {"task.changed": 3}


async def test_a_shut_gate_is_told_and_not_knocked_at(settled: Person, clock: Clock) -> None:
    """With the time it is shut for, and the limit; the gate stays as it is."""
    gate = Gate("write", clock.now - 10, 100.0, 60)
    with Store.open(settled.store_path) as store, store.transaction():
        store.put_gate(gate)
    settled.write(lines("[x]"))
    outcome = await settled.cycle()
    assert settled.sent() == []
    (trouble,) = outcome.troubles
    assert isinstance(trouble, errors.RateLimited)
    assert (trouble.bucket, trouble.retry_after, trouble.limit) == ("write", 90.0, 60)
    assert (outcome.waiting, outcome.retry_at) == (7, clock.now + 90)
    with Store.open(settled.store_path) as store:
        assert store.gates() == {"write": gate}
    clock.pass_by(89.5)
    assert (await settled.cycle()).retry_at == clock.now + 0.5
    assert settled.sent() == []


async def test_a_limit_is_remembered(settled: Person, clock: Clock) -> None:
    """As the server told it."""
    settled.sandbox.limits["write"] = 0
    settled.write(lines("[x]"))
    outcome = await settled.cycle()
    (sent,) = settled.sandbox.requests
    assert sent.status == 429
    with Store.open(settled.store_path) as store:
        gate = store.gates()["write"]
    assert (gate.bucket, gate.set_at, gate.limit) == ("write", clock.now, 0)
    assert outcome.retry_at == clock.now + gate.retry_after
    assert gate.retry_after > 0


async def test_a_limit_is_that_of_one_key(settled: Person, clock: Clock) -> None:
    """Another key of the account may write at once; without one the limit stays known."""
    settled.sandbox.limits["write"] = 0
    settled.write(lines("[x]"))
    assert (await settled.cycle()).code == errors.TEMPORARY
    settled.sandbox.limits["write"] = 120
    settled.sent()
    clock.pass_by(10)
    working = settled.key
    settled.key = ""
    assert (await settled.cycle()).code == errors.BAD_KEY
    settled.key = working
    assert (await settled.cycle()).code == errors.TEMPORARY
    assert settled.sent() == []
    settled.key = f"{working[:-1]}0"
    settled.sandbox.keys[settled.key] = settled.sandbox.keys[working]
    assert (await settled.cycle()).code == errors.OK
    with Store.open(settled.store_path) as store:
        assert not store.gates()


async def test_what_failed_before_is_tried_last(settled: Person) -> None:
    """It may be to blame, and the first write goes alone."""
    with Store.open(settled.store_path) as store, store.transaction():
        store.put_links(
            one.but(failures=1 + (one.seen.text == "task 0"))
            for one in store.links()
            if one.seen.text != "task 3"
        )
    settled.write(lines("[x]"))
    settled.sandbox.fault_next("429", method="PATCH")
    await settled.cycle()
    first = links(settled)["task 3"].remote_id
    assert [one.path.rpartition("/")[2] for one in settled.sandbox.requests] == [first]


async def test_the_same_trouble_is_told_once(settled: Person) -> None:
    """However many requests met it."""
    settled.write(lines("[x]"))
    settled.sandbox.fault_next("reset_before", "reset_before", "reset_before", method="PATCH")
    outcome = await settled.cycle()
    assert len(settled.sent()) == 3
    assert len(outcome.troubles) == 1
    settled.sandbox.fault_next("reset_before", "5xx_before", "reset_before", method="PATCH")
    assert len((await settled.cycle()).troubles) == 2


async def test_progress_is_reported(settled: Person) -> None:
    """What is done of what is planned, with each success."""
    told: list[tuple[int, int]] = []
    settled.sandbox.refuse["bad"] = 422
    settled.write(lines("[ ]").replace("[ ] task 1", "[x] task 1") + "- [ ] new\n- [ ] bad\n")
    async with settled.desk() as desk:
        desk.report = lambda done, planned: told.append((done, planned))
        await sync.cycle(desk)
    assert told == [(1, 3), (2, 3), (3, 3)]


async def test_a_look_that_fails_holds_back_creates_only(settled: Person) -> None:
    """What is linked can be changed without looking."""
    settled.write(lines("[ ]").replace("[ ] task 1", "[x] task 1") + "- [ ] new\n")
    settled.sandbox.fault_next("5xx_before", method="GET")
    outcome = await settled.cycle()
    assert (outcome.code, outcome.counts, outcome.waiting) == (
        errors.TEMPORARY,
        {"task.changed": 1},
        1,
    )
    assert [method for method, _ in settled.sent()] == ["GET", "PATCH"]
    assert (await settled.cycle()).counts == {"task.created": 1}


async def test_an_unreachable_server_ends_the_cycle(settled: Person) -> None:
    """Nothing else is tried, and all is as it was."""
    settled.write(lines("[ ]").replace("[ ] task 1", "[x] task 1") + "- [ ] new\n")
    await settled.sandbox.__aexit__()
    outcome = await settled.cycle()
    (trouble,) = outcome.troubles
    assert isinstance(trouble, errors.Unreachable)
    assert (outcome.code, outcome.waiting, outcome.counts) == (errors.TEMPORARY, 2, {})
    await settled.sandbox.__aenter__()
    assert (await settled.cycle()).counts == {"task.changed": 1, "task.created": 1}


async def test_a_request_takes_no_longer_than_there_is_time(settled: Person) -> None:
    """A server that never answers does not hold up who asked for a short sync."""
    settled.write(lines("[ ]") + "- [ ] new\n")
    settled.sandbox.fault_next("hang", method="POST")
    async with settled.desk() as desk, asyncio.timeout(10):
        desk.timeout = 0.2
        outcome = await sync.cycle(desk)
        assert (outcome.code, outcome.waiting) == (errors.TEMPORARY, 1)
        assert [one.failure for one in desk.store.intents()] == ["timeout"]


async def test_a_key_that_is_refused_is_not_tried_again(settled: Person) -> None:
    """It would be refused for every task."""
    settled.write(lines("[x]"))
    settled.sandbox.keys.clear()
    outcome = await settled.cycle()
    assert (outcome.code, outcome.waiting) == (errors.BAD_KEY, 7)
    assert settled.sent() == [("PATCH", 401)]


async def test_what_stops_the_program_between_requests_stops_it(settled: Person) -> None:
    """As it is, though several are under way; what was answered is settled."""
    seen: list[str] = []

    def stop(step: str) -> None:
        seen.append(step)
        if seen.count("request.sent") == 3:
            raise Stopped

    settled.trace = stop
    settled.write(lines("[x]"))
    with pytest.raises(Stopped):
        await settled.cycle()
    settled.trace = None
    assert (await settled.cycle()).code == errors.OK
    assert set(settled.omi().values()) == {True}


async def test_a_lost_answer_does_not_hold_back_what_is_known(settled: Person) -> None:
    """Where the look after it fails, an edit of another task is sent all the same."""
    settled.write(lines("[ ]") + "- [ ] new\n")
    settled.sandbox.fault_next("reset_after", method="POST")
    await settled.cycle()
    settled.sent()
    settled.write(lines("[ ]").replace("[ ] task 1", "[x] task 1") + "- [ ] new\n")
    settled.sandbox.fault_next("5xx_before", method="GET")
    outcome = await settled.cycle()
    assert (outcome.code, outcome.counts) == (errors.TEMPORARY, {"task.changed": 1})
    assert (outcome.waiting, len(outcome.troubles)) == (1, 1)
    settled.key = OTHER_KEY
    outcome = await settled.cycle()
    assert outcome.code == errors.BAD_KEY
    assert outcome.plan is None


# Whose it is.


async def test_a_new_key_is_checked_before_it_changes_anything(settled: Person) -> None:
    """Once, and only where something is to be changed."""
    settled.write(lines("[x]"))
    await settled.cycle()
    settled.write(lines("[x]").removesuffix("- [x] task 6\n"))
    await settled.cycle()
    settled.sandbox.keys[OTHER_KEY] = settled.sandbox.keys[settled.key]
    settled.key = OTHER_KEY
    settled.sent()
    settled.write(lines("[x]"))
    assert (await settled.cycle()).counts == {"task.revived": 1}
    assert settled.sent() == []
    settled.write(lines("[x]").replace("[x] task 1", "[ ] task 1"))
    await settled.cycle()
    assert settled.sent() == [("GET", 200), ("GET", 200), ("PATCH", 200)]
    settled.write(lines("[x]"))
    await settled.cycle()
    assert settled.sent() == [("PATCH", 200)]


async def test_a_new_key_is_no_matter_where_nothing_is_linked(settled: Person) -> None:
    """There is nothing that could be another account's."""
    settled.settings = '[sync]\non_removal = "delete"\n'
    settled.write("")
    for _ in range(2):
        await settled.cycle(allow_removals=True)
    assert settled.omi() == {}
    settled.sandbox.keys[OTHER_KEY] = settled.sandbox.keys[settled.key]
    settled.key = OTHER_KEY
    settled.sent()
    settled.write("- [ ] new\n")
    assert (await settled.cycle()).counts == {"task.created": 1}
    assert settled.sent() == [("GET", 200), ("GET", 200), ("POST", 200)]  # as with any first look


async def test_the_item_of_a_removed_line_proves_an_account(settled: Person) -> None:
    """Those of the other lines were deleted in the app."""
    for more in ("- [ ] removed\n", ""):
        settled.write(lines("[ ]") + more)
        await settled.settle()
    items = settled.sandbox.items.values()
    (kept,) = [one for one in items if one.description == "removed"]
    settled.sandbox.items.clear()
    settled.sandbox.items[kept.id] = kept
    settled.sandbox.keys[OTHER_KEY] = settled.sandbox.keys[settled.key]
    settled.key = OTHER_KEY
    settled.write(lines("[x]"))
    assert (await settled.settle()).code == errors.OK


@pytest.mark.parametrize("days", [0, 100])
async def test_a_list_that_was_cleared_keeps_to_its_account(
    settled: Person, clock: Clock, days: int
) -> None:
    """What was put away knows it: else new lines would go to whoever's key is given."""
    settled.write("")
    for _ in range(2):
        await settled.cycle(allow_removals=True)
    clock.pass_by(days * 86_400)
    items = dict(settled.sandbox.items)
    settled.sandbox.items.clear()
    settled.sandbox.keys[OTHER_KEY] = settled.sandbox.keys[settled.key]
    settled.key, key = OTHER_KEY, settled.key
    settled.write("- [ ] new\n")
    (trouble,) = (await settled.cycle()).troubles
    assert trouble.message == (
        "This looks like another account: none of the 7 items that removed lines left in Omi"
        " is in it"
    )
    assert settled.omi() == {}
    settled.sandbox.items.update(items)
    settled.key = key
    assert (await settled.cycle()).counts == {"task.created": 1}


async def test_a_create_in_doubt_is_looked_for_with_its_own_key(person: Person) -> None:
    """In another account it would be missed, and made a second time."""
    person.write("- [ ] new\n")
    person.sandbox.fault_next("5xx_after", method="POST")
    await person.cycle()
    person.sandbox.keys[OTHER_KEY] = person.sandbox.keys[person.key]
    person.key, key = OTHER_KEY, person.key
    items = dict(person.sandbox.items)
    person.sandbox.items.clear()
    person.sandbox.add("new", created_at=datetime.fromtimestamp(person.clock.now - 9_999, UTC))
    person.sandbox.add("of somebody else")
    outcome = await person.settle()
    assert outcome.code == errors.BAD_KEY
    person.sandbox.items.clear()
    assert outcome.troubles[0].message == (
        "This looks like another account: a task was sent with another key, and what became of it"
        " is not known yet"
    )
    person.sandbox.items.update(items)
    person.key = key
    assert (await person.settle()).code == errors.OK
    assert person.omi() == {"new": False}


async def test_a_create_in_doubt_whose_item_is_there_knows_its_account(person: Person) -> None:
    """The key was made anew meanwhile."""
    person.write("- [ ] new\n")
    person.sandbox.fault_next("5xx_after", method="POST")
    await person.cycle()
    person.sandbox.keys[OTHER_KEY] = person.sandbox.keys[person.key]
    person.key = OTHER_KEY
    assert (await person.settle()).code == errors.OK
    assert person.omi() == {"new": False}


async def test_another_account_is_named_as_such(settled: Person) -> None:
    """With what can be done."""
    settled.sandbox.keys[OTHER_KEY] = settled.sandbox.keys[settled.key]
    settled.key = OTHER_KEY
    settled.sandbox.items.clear()
    settled.write(lines("[x]"))
    outcome = await settled.cycle()
    (trouble,) = outcome.troubles
    assert isinstance(trouble, errors.KeyProblem)
    assert trouble.message == (
        "This looks like another account: none of the 7 linked tasks is in it"
    )
    assert trouble.advice == (
        "Use the former account's key, or run `omisync repair --accept-account` to link"
        " this list with the new account."
    )
    async with Sandbox(clock=settled.clock) as other:
        first, settled.sandbox = settled.sandbox, other
        (trouble,) = (await settled.cycle()).troubles
    assert trouble.message == (
        f"The state store {settled.store_path} belongs to {first.url}, but the server is now"
        f" {other.url} (omi.base_url, or OMI_API_BASE where that is set)"
    )
    assert trouble.advice == (
        "Name the former server again, give this one its own [state] path, or run"
        " `omisync repair --accept-account` to link this list with the new server."
    )
    last = fact(settled, "last")
    assert isinstance(last, dict)
    assert last["code"] == errors.BAD_CONFIG
    assert last["failing_since"] == settled.clock.now


async def test_a_list_is_not_bound_to_a_server_that_it_never_reached(person: Person) -> None:
    """Who mistyped the address corrects it, and goes on."""
    person.write("- [ ] a\n")
    await person.sandbox.__aexit__()
    assert (await person.cycle()).code == errors.TEMPORARY
    async with Sandbox(clock=person.clock) as other:
        former, person.sandbox = person.sandbox, other
        assert (await person.cycle()).code == errors.OK
        assert person.omi() == {"a": False}
        person.write("- [ ] a\n- [ ] b\n")
        person.sandbox = former
        async with former:
            (trouble,) = (await person.cycle()).troubles
            assert isinstance(trouble, errors.ConfigError)


@pytest.mark.parametrize("what", ["an intent", "a tombstone"])
async def test_a_list_is_bound_to_the_server_that_may_hold_something_of_it(
    person: Person, what: str
) -> None:
    """A create without an answer, or the item of a line that may come back."""
    person.write("- [ ] a\n")
    if what == "an intent":
        person.sandbox.fault_next("reset_after", method="POST")
    await person.cycle()
    if what == "a tombstone":
        person.write("")
        await person.cycle(allow_removals=True)
        await person.cycle(allow_removals=True)
    async with Sandbox(clock=person.clock) as other:
        person.sandbox = other
        (trouble,) = (await person.cycle()).troubles
    assert isinstance(trouble, errors.ConfigError)


@pytest.mark.parametrize(("former", "is_it"), [("abcd", True), ("abcde", False)])
async def test_a_list_with_half_of_the_lines_of_another_is_that_one(
    person: Person, former: str, *, is_it: bool
) -> None:
    """And whatever its lines are, it is one that is reached by another name."""
    first = person.todo
    person.write("".join(f"- [ ] {text}\n" for text in former))
    await person.cycle()
    person.name = "other.md"
    person.write("- [ ] a\n- [ ] b\n- [ ] something else\n")
    outcome = await person.cycle()
    assert [type(one) for one in outcome.troubles] == [errors.OtherList] * (not is_it)
    first.unlink()
    first.symlink_to(person.todo)
    assert (await person.cycle()).code == errors.OK


# What is told and remembered.


async def test_a_removal_is_recorded_with_its_item(settled: Person) -> None:
    """Which it was, and what became of it."""
    row = links(settled)["task 6"]
    settled.write(lines("[ ]").removesuffix("- [ ] task 6\n"))
    await settled.cycle()
    told = Event(settled.clock.now, "task.removed", "task 6", row.key, row.remote_id, "complete")
    assert history(settled, 1) == [told]
    assert "task 6" not in links(settled)


@pytest.mark.parametrize(
    ("setting", "left"),
    [
        ('completed = "skip"', {"open": False}),
        ("adopt = false", {"open": False, "done": True}),
        ("", {"open": False, "done": True}),
    ],
)
async def test_what_is_created_can_be_chosen(
    person: Person, setting: str, left: dict[str, bool]
) -> None:
    """Finished lines may stay out; items of the same text may be left to themselves."""
    person.settings = f"[sync]\n{setting}\n"
    if "adopt" in setting:
        person.sandbox.add("open").id = "theirs"
    person.write("- [ ] open\n- [x] done\n")
    await person.settle()
    made = {one.description: one.completed for one in person.sandbox.items.values()}
    assert made == left
    assert len(person.sandbox.items) == len(left) + ("adopt" in setting)


async def test_a_finished_line_that_goes_is_archived(settled: Person) -> None:
    """Nothing is sent; the history tells, and the line may come back as the same task."""
    settled.write(lines("[x]"))
    await settled.cycle()
    row = links(settled)["task 6"]
    settled.sent()
    settled.write(lines("[x]").removesuffix("- [x] task 6\n"))
    outcome = await settled.cycle()
    assert (settled.sent(), outcome.counts) == ([], {})
    assert "task 6" not in links(settled)
    told = Event(settled.clock.now, "task.archived", "task 6", row.key, row.remote_id, "complete")
    assert history(settled, 1) == [told]


async def test_a_line_that_never_came_to_omi_goes_without_a_trace(settled: Person) -> None:
    """There is no item to complete and nothing to remember."""
    settled.write(f"{lines('[ ]')}- [ ] new\n")
    settled.sandbox.fault_next("429", method="POST")
    await settled.cycle()
    assert "new" in links(settled)
    settled.clock.pass_by(2)
    settled.sent()
    settled.write(lines("[ ]"))
    assert (await settled.cycle()).code == errors.OK
    assert "new" not in links(settled)
    assert settled.sent() == []


async def test_a_line_like_an_item_is_adopted(person: Person) -> None:
    """What the line says more is sent by the next cycle at once; what says the same is quiet."""
    same, less = person.sandbox.add("same"), person.sandbox.add("less")
    person.write("- [ ] same\n")
    outcome = await person.cycle()
    assert (outcome.counts, outcome.again) == ({"task.adopted": 1}, False)
    assert links(person)["same"].remote_id == same.id
    with Store.open(person.store_path) as store, store.transaction():
        store.put_fact("looked", None)
    person.write("- [ ] same\n- [ ] less due:2026-05-01\n")
    outcome = await person.cycle()
    assert (outcome.counts, outcome.again, outcome.code) == (
        {"task.adopted": 1},
        True,
        errors.TEMPORARY,
    )
    row = links(person)["less"]
    told = Event(person.clock.now, "task.adopted", "less", row.key, less.id)
    assert history(person, 1) == [told]
    assert less.due_at is None
    assert (await person.cycle()).counts == {"task.changed": 1}
    assert less.due_at is not None


async def test_a_line_reworded_again_and_again_in_an_outage_stays_the_same(
    settled: Person,
) -> None:
    """Each wording is seen, though none is sent."""
    wordings = ["buy some milk today", "buy oat milk today please", "get oat milk please, Bob"]
    settled.write(lines("[ ]") + "- [ ] buy milk today\n")
    await settled.cycle()
    name = links(settled)["buy milk today"].remote_id
    for wording in wordings:
        settled.write(f"{lines('[ ]')}- [ ] {wording}\n".replace("[ ] task 0", "[x] task 0"))
        settled.sandbox.fault_next("429", method="PATCH")
        await settled.cycle()
        settled.clock.pass_by(2)
        assert links(settled)[wording].remote_id == name
    await settled.settle()
    assert settled.omi()[wordings[-1]] is False
    assert len(settled.omi()) == 8


async def test_new_tasks_have_keys_of_their_own(settled: Person) -> None:
    """Random ones, so that no other list has them."""
    keys = {one.key for one in links(settled).values()}
    assert len(keys) == 7
    assert all(re.fullmatch("[0-9a-f]{24}", key) for key in keys)


async def test_the_clock_of_the_server_is_that_of_its_last_reply(person: Person) -> None:
    """Without a reply that of the last look; only without both is it a guess."""
    async with Sandbox(clock=lambda: person.clock.now + 500) as sandbox:
        person.sandbox = sandbox
        async with person.desk() as desk:
            assert desk.server_date() == person.clock.now
        person.write("- [ ] a\n")
        await person.cycle()
        person.clock.pass_by(100)
        async with person.desk() as desk:
            assert abs(desk.server_date() - person.clock.now - 400) <= 1
            client = await desk.client()
            assert abs(desk.server_date() - person.clock.now - 400) <= 1
            await client.listing()
            assert abs(desk.server_date() - person.clock.now - 500) <= 1


# Two-way.


@pytest.fixture
async def both(person: Person) -> Person:
    """Someone whose three lines are in Omi, in both directions."""
    person.settings = TWO_WAY
    person.write("- [ ] a\n- [ ] b\n- [ ] c\n")
    await person.settle()
    person.sent()
    return person


async def test_a_missing_task_that_is_made_anew_is_not_missed(both: Person) -> None:
    """Its line was reworded since: nothing is left to be asked for."""
    del both.sandbox.items[item(both, "b").id]
    both.write("- [ ] a\n- [ ] b again\n- [ ] c\n")
    assert (await both.cycle(now=True)).remarks == ()
    assert (await both.settle()).code == errors.OK
    assert set(both.omi()) == {"a", "b again", "c"}


async def test_what_was_missed_and_found_out_in_one_run_is_not_told(both: Person) -> None:
    """The cycle that goes on from there asked for it."""
    for text in "ab":
        del both.sandbox.items[item(both, text).id]
    both.write("- [ ] a\n- [ ] b now\n- [ ] c\n")
    outcome = await both.once()
    assert outcome.counts == {"task.gone": 2, "task.created": 1}
    assert not [one for one in outcome.remarks if "missing" in one]


async def test_ids_in_lines_are_by_hand_in_a_push(person: Person) -> None:
    """The option is one of two-way: an open line that names an item opens it again."""
    person.settings = '[sync]\nids = "inline"\n'
    done = person.sandbox.add("fix the roof", completed=True)
    person.write(f"- [ ] fix the roof omi:{done.id}\n")
    await person.settle()
    assert person.omi() == {"fix the roof": False}


async def test_what_cannot_be_shown_is_told(both: Person) -> None:
    """Items without a text, and tasks that the list lacks: in words, once each."""
    both.sandbox.add(" ")
    gone = item(both, "a")
    gone.hidden = True
    assert (await both.cycle(now=True)).remarks == (
        "1 item of Omi has no text that a line could hold; nothing was written for it.",
        "“a” is missing from Omi's list; the next sync that misses it too asks for it.",
    )
    both.sandbox.add("\t")
    gone.hidden = False
    for text in "bc":
        item(both, text).hidden = True
    then = "the next sync that misses them too asks for them"
    assert (await both.cycle(now=True)).remarks == (
        "2 items of Omi have no text that a line could hold; nothing was written for it.",
        f"“b” and “c” are missing from Omi's list; {then}.",
    )


async def test_of_many_that_are_missing_the_first_are_named(person: Person) -> None:
    """The rest is counted."""
    person.settings = TWO_WAY
    person.write("".join(f"- [ ] {text}\n" for text in "abcdefghijklmn"))
    await person.settle()
    for text in "cdefg":
        item(person, text).hidden = True
    (told,) = (await person.cycle(now=True)).remarks
    assert told.startswith("“c”, “d”, “e” and 2 more are missing from Omi's list; ")


async def test_what_is_new_in_omi_may_stay_there(both: Person) -> None:
    """Then only the tasks of the file go both ways."""
    both.settings += 'import_items = "linked"\n'
    both.sandbox.add("theirs")
    item(both, "a").completed = True
    await both.settle()
    assert both.todo.read_text() == "- [x] a\n- [ ] b\n- [ ] c\n"


async def test_a_clash_is_recorded_before_it_is_decided(both: Person) -> None:
    """Once, with the field; the value that gave way can be had."""
    item(both, "a").description = "a there"
    both.write("- [ ] a here\n- [ ] b\n- [ ] c\n")
    both.sandbox.fault_next("429", method="PATCH")
    outcome = await both.cycle(now=True)
    assert outcome.counts == {"clash.decided": 1}
    row = links(both)["a here"]
    told = Event(both.clock.now, "clash.decided", "a here", row.key, detail="description")
    assert history(both, 1) == [told]
    both.clock.pass_by(2)
    outcome = await both.settle()
    assert outcome.counts == {"task.changed": 1}
    with Store.open(both.store_path) as store:
        (clash,) = store.clashes()
    assert (clash.at, clash.clash.lost_value) == (both.clock.now - 2, "a there")


async def test_a_file_that_is_saved_all_the_time_is_left_alone(both: Person) -> None:
    """Eight attempts; the next cycle tries again, and nothing typed is lost."""
    both.sandbox.add("theirs")
    saved: list[str] = []

    def save(step: str) -> None:
        if step == "file.written":
            saved.append(step)
            both.write(f"- [ ] a\n- [ ] b\n- [ ] c{'!' * len(saved)}\n")

    both.trace = save
    outcome = await both.cycle(now=True)
    both.trace = None
    assert len(saved) == 8
    (trouble,) = outcome.troubles
    assert isinstance(trouble, errors.FileChanged)
    assert both.todo.read_text() == "- [ ] a\n- [ ] b\n- [ ] c!!!!!!!!\n"
    await both.settle()
    assert both.todo.read_text() == "- [ ] a\n- [ ] b\n- [ ] c!!!!!!!!\n- [ ] theirs\n"
    assert both.omi() == dict.fromkeys(("a", "b", "c!!!!!!!!", "theirs"), False)


async def test_what_cannot_be_read_is_created_only(both: Person, clock: Clock) -> None:
    """Without a list a new line goes to Omi; the rest waits for the earlier of two gates."""
    with Store.open(both.store_path) as store, store.transaction():
        store.put_gate(Gate("read", clock.now, 100.0, 120))
    both.write("- [x] a\n- [ ] b\n- [ ] c\n- [ ] d\n")
    assert (await both.cycle(now=True)).counts == {"task.created": 1}
    with Store.open(both.store_path) as store, store.transaction():
        store.put_gate(Gate("write", clock.now, 500.0, 60))
    both.write("- [x] a\n- [ ] b\n- [ ] c\n- [ ] d\n- [ ] e\n")
    assert (await both.cycle(now=True)).retry_at == clock.now + 100
    assert both.omi() == dict.fromkeys("abcd", False)


async def test_a_shut_gate_is_no_reason_to_go_on_at_once(both: Person, clock: Clock) -> None:
    """Though a line that was tied to its item has something to say: it would be shut again."""
    with Store.open(both.store_path) as store, store.transaction():
        store.put_gate(Gate("write", clock.now, 100.0, 60))
    both.sandbox.add("d")
    both.write("- [x] a\n- [ ] b\n- [ ] c\n- [ ] d due:2026-05-01\n")
    outcome = await both.cycle(now=True)
    assert outcome.counts["task.adopted"] == 1
    assert (outcome.again, outcome.retry_at) == (False, clock.now + 100)


async def test_a_line_like_an_item_is_adopted_without_a_list_too(
    both: Person, clock: Clock
) -> None:
    """Where the budget has room for no list, what is new in Omi is looked at all the same."""
    spent = [[clock.now, 1000]]
    listed = {"at": clock.now, "cost": 2, "pause": 30.0, "spent": spent}
    with Store.open(both.store_path) as store, store.transaction():
        store.put_fact("listed", listed)
    both.sandbox.add("d")
    both.write("- [ ] a\n- [ ] b\n- [ ] c\n- [ ] d\n")
    assert (await both.cycle()).counts == {"task.adopted": 1}
    assert both.omi() == dict.fromkeys("abcd", False)


@pytest.mark.parametrize("listed", [True, False])
async def test_a_permission_counts_without_a_list_too(
    person: Person, clock: Clock, listed: bool
) -> None:
    """The guard says nothing more; the removals wait until the list can be read."""
    person.settings = TWO_WAY
    person.write(lines("[ ]") + lines("[ ]").replace("task", "job"))
    await person.settle()
    person.write("- [ ] task 0\n")
    assert (await person.cycle(now=True)).code == errors.BAD_FILE
    with Store.open(person.store_path) as store, store.transaction():
        store.put_gate(Gate("read", clock.now, 0.0 if listed else 100.0, 120))
    outcome = await person.cycle(now=True, allow_removals=True)
    assert [type(one) for one in outcome.troubles] == ([] if listed else [errors.RateLimited])
    clock.pass_by(100)
    await person.settle()
    assert sum(person.omi().values()) == 13


async def test_that_file_and_account_have_met_is_noted_once(both: Person) -> None:
    """By the first cycle that saw both; the later ones leave the note alone."""
    assert fact(both, "met") is True
    with Store.open(both.store_path) as store, store.transaction():
        store.put_fact("met", "before")
    both.write("- [x] a\n- [ ] b\n- [ ] c\n")
    assert (await both.cycle(now=True)).counts == {"task.changed": 1}
    assert fact(both, "met") == "before"


async def test_new_items_have_their_ids_written_at_once(both: Person) -> None:
    """With the line that an item becomes; by a cycle of its own for a line that becomes an item."""
    both.write("- [ ] a\n- [ ] b\n- [ ] c\n- [ ] d\n")
    outcome = await both.cycle(now=True)
    assert (outcome.counts, outcome.again) == ({"task.created": 1}, False)
    both.settings += 'ids = "inline"\n'
    await both.settle()
    both.write(both.todo.read_text() + "- [ ] e\n")
    outcome = await both.cycle(now=True)
    assert (outcome.counts, outcome.again) == ({"task.created": 1}, True)
    outcome = await both.cycle(now=True)
    assert (outcome.counts, outcome.again) == ({"line.changed": 1}, False)
    assert history(both, 1)[0].detail == "its id"
    assert both.todo.read_text().endswith(f"- [ ] e omi:{item(both, 'e').id}\n")
    both.sandbox.add("f")
    assert (await both.cycle(now=True)).counts == {"line.added": 1}
    assert both.todo.read_text().endswith(f"- [ ] f omi:{item(both, 'f').id}\n")


def test_an_outcome_goes_on_from_the_one_before() -> None:
    """Counts add up, remarks are told once, all else is as it is now."""
    before = sync.Outcome(
        errors.TEMPORARY,
        counts={"task.created": 2},
        remarks=("one", "two"),
        progress=True,
        again=True,
    )
    after = sync.Outcome(
        errors.OK, counts={"task.created": 1, "task.changed": 3}, remarks=("two", "three"), tasks=4
    )
    assert before.then(after) == sync.Outcome(
        errors.OK,
        counts={"task.created": 3, "task.changed": 3},
        remarks=("one", "two", "three"),
        tasks=4,
        progress=True,
    )
    assert after.then(before).progress
    assert not after.then(after).progress
    assert [one.temporary for one in (before, after)] == [True, False]
    assert sync.Outcome(errors.TEMPORARY).temporary
    assert sync.Outcome(errors.OK, again=True).temporary


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("- [ ] a\n<<<<<<< HEAD\n- [ ] b\n=======\n- [ ] c\n>>>>>>> main\n", 2),
        ("<<<<<<< HEAD\r- [ ] b\r=======\r- [ ] c\r>>>>>>> main\r", 1),
        ("- [ ] a\n<<<<<<< HEAD\n- [ ] b\n=======\n- [ ] c\n", 2),
        ("<<<<<<< HEAD\n- [ ] a\n>>>>>>> main\n", 1),
        ("- [ ] a\n- [ ] b\n<<<<<<< HEAD\n", 3),
        ("```\n<<<<<<< quoted\n```\n<<<<<<< HEAD\n", 4),
        ("- [ ] a\n\n~~~ diff\n<<<<<<< HEAD\n=======\n>>>>>>> main\n~~~\n", None),
        ("````\n```\n<<<<<<< HEAD\n````\n- [ ] a\n", None),
        ("```a``` is code\n\n<<<<<<< HEAD\n- [ ] b\n=======\n- [ ] c\n", 3),
        ("- [ ] a\n\n  ```\n  code\n<<<<<<< HEAD\n- [ ] b\n", 5),
        ("a\n=======\n>>>>>>> main\n- [ ] a\n", None),
        (" <<<<<<< HEAD\n- [ ] b\n =======\n- [ ] c\n >>>>>>> main\n", None),
        ("<<<<<<<HEAD\n- [ ] b\n=======\n- [ ] c\n>>>>>>> main\n", None),
    ],
)
async def test_a_merge_that_is_not_resolved_is_not_read(
    person: Person, source: str, line: int | None
) -> None:
    """The first of git's lines, at its start, is enough: 65, and nothing is sent."""
    person.write(source)
    outcome = await person.cycle()
    if line is None:
        assert (outcome.code, outcome.troubles) == (errors.OK, ())
    else:
        assert (outcome.code, person.sent()) == (errors.BAD_FILE, [])
        (error,) = outcome.troubles
        assert isinstance(error, errors.ParseError)
        assert error.message == f"{person.todo}:{line}: a merge conflict is not resolved"
        assert error.advice == (
            "keep one of its sides, or of both what is right, and delete its marker lines;"
            " until then nothing is sent"
        )
        assert (error.line, error.column) == (line, 1)


async def test_the_next_try_is_noted_where_the_store_is_well(person: Person) -> None:
    """To wait for a store that another program holds would hold the daemon up."""
    person.write("- [ ] a\n")
    person.sandbox.fault_rate({"5xx_before": 1.0})
    async with person.desk() as desk:
        outcome = await sync.cycle(desk)
        for trouble, noted in ((errors.StoreBusy("held"), None), (outcome.troubles[0], 9.0)):
            sync.note_next_try(desk, replace(outcome, troubles=(trouble,)), 9.0)
            last = desk.store.note(LastRun)
            assert last is not None
            assert last.next_at == noted
        sync.note_next_try(desk, replace(outcome, code=errors.OK), 10.0)
        assert desk.store.note(LastRun) == last
