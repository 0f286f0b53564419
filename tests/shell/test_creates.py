"""Creates without an answer: when they are looked for, what is concluded, what is recorded."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from person import history, item, link
from rawserver import CLOSE, RawServer, http

from omisync import errors, sync
from omisync.core.model import Entry, Fields, Intent, Link, RemoteItem, Task
from omisync.core.plan import AddRemote
from omisync.sandbox import Sandbox
from omisync.store import Event, Store
from omisync.sync.creates import Created, settle
from omisync.sync.desk import Run
from omisync.sync.sending import HANDS

if TYPE_CHECKING:
    from person import Clock, Person

    from omisync.sandbox import Fault

DAY = 86_400.0


def intents(person: Person) -> list[Intent]:
    """Return the creates of unknown outcome."""
    with Store.open(person.store_path) as store:
        return store.intents()


BROKE = "no complete reply to the create: the connection broke"


@pytest.fixture
async def settled(person: Person) -> Person:
    """Someone whose first task is in Omi."""
    person.write("- [ ] first\n")
    await person.cycle()
    person.sent()
    return person


@pytest.mark.parametrize(
    ("fault", "why", "wait"),
    [
        ("reset_before", BROKE, 5.0),
        ("5xx_before", "the server answered the create with 503: Try again", 2.0),
    ],
)
async def test_a_create_without_an_answer_is_looked_for_twice(
    settled: Person, clock: Clock, fault: Fault, why: str, wait: float
) -> None:
    """At once and after a while; then it is given up and made anew, and found if it is there."""
    settled.write("- [ ] first\n- [ ] a\n")
    settled.sandbox.fault_next(fault, "reset_after", method="POST")
    began = clock.now
    outcome = await settled.cycle()
    assert (outcome.code, outcome.waiting, outcome.retry_at) == (errors.TEMPORARY, 1, began)
    key = link(settled, "a").key
    assert re.fullmatch("[0-9a-f]{32}", settled.sandbox.requests[-1].headers["Idempotency-Key"])
    assert history(settled, 1) == [Event(began, "task.failed", "a", key, detail=why)]
    settled.sent()
    outcome = await settled.cycle()
    assert settled.sent() == [("GET", 200)]
    assert outcome.retry_at == began + wait
    assert [(one.failed_at, one.looks) for one in intents(settled)] == [(began, 1)]
    clock.pass_by(wait - 0.5)
    outcome = await settled.cycle()
    assert (settled.sent(), outcome.retry_at) == ([], began + wait)
    clock.pass_by(0.5)
    await settled.cycle()
    voided, failed = history(settled, 2)
    assert voided == Event(clock.now, "create.voided", "a", key)
    assert (failed.event, failed.detail) == ("task.failed", BROKE)
    assert link(settled, "a").failures == 1
    assert (await settled.cycle()).counts == {"task.created": 1}
    (item,) = (one for one in settled.sandbox.items.values() if one.description == "a")
    assert history(settled, 1) == [Event(clock.now, "task.created", "a", key, item.id, "found")]
    row = link(settled, "a")
    assert item.created_at is not None
    assert (row.failures, row.made_at) == (0, item.created_at.timestamp())
    assert intents(settled) == []


async def test_the_next_look_is_for_the_first_that_is_due(settled: Person, clock: Clock) -> None:
    """Of two creates without an answer, whose failures are waited for for other times."""
    for text, fault in (("a", "5xx_before"), ("b", "reset_before")):
        settled.write(settled.todo.read_text() + f"- [ ] {text}\n")
        settled.sandbox.fault_next(fault, method="POST")
        await settled.cycle()
    assert (await settled.cycle()).retry_at == clock.now + 2


async def test_a_late_look_is_not_the_last(settled: Person, clock: Clock) -> None:
    """However long ago the create was: one fruitless look proves nothing."""
    settled.write("- [ ] first\n- [ ] a\n")
    settled.sandbox.fault_next("reset_before", method="POST")
    await settled.cycle()
    clock.pass_by(60)
    outcome = await settled.cycle()
    assert outcome.retry_at == clock.now
    assert [one.looks for one in intents(settled)] == [1]
    assert (await settled.cycle()).counts == {"task.created": 1}
    assert link(settled, "a").failures == 0


async def test_a_create_under_way_at_the_end_counts_as_dropped(
    settled: Person, clock: Clock
) -> None:
    """The program died between the request and its answer."""
    settled.write("- [ ] first\n- [ ] a\n")
    settled.sandbox.fault_next("5xx_before", method="POST")
    await settled.cycle()
    (sent,) = intents(settled)
    sent = sent._replace(failure=None, failed_at=None)
    with Store.open(settled.store_path) as store, store.transaction():
        store.put_intents([sent])
    settled.sandbox.fault_next("5xx_before", method="GET")
    await settled.cycle()
    dropped = sent._replace(failure="dropped", failed_at=clock.now)
    assert intents(settled) == [dropped]
    outcome = await settled.cycle()
    assert outcome.retry_at == clock.now + 5
    assert intents(settled) == [dropped._replace(looks=1)]
    with Store.open(settled.store_path) as store, store.transaction():
        store.put_intents([sent])
    await settled.cycle()
    assert intents(settled) == [dropped._replace(looks=1)]


async def test_a_batch_without_an_answer_is_one_event(settled: Person, clock: Clock) -> None:
    """It does not tell which task is to blame."""
    settled.write("- [ ] first\n- [ ] a\n- [ ] b\n")
    settled.sandbox.fault_next("reset_after", method="POST")
    outcome = await settled.cycle()
    assert outcome.waiting == 2
    told = Event(clock.now, "task.failed", "2 new tasks", detail=BROKE)
    assert history(settled, 1) == [told]
    assert (await settled.cycle()).counts == {"task.created": 2}


async def test_a_shut_read_gate_is_not_knocked_at(settled: Person, clock: Clock) -> None:
    """What became of a create is found out when reading is possible again."""
    settled.write("- [ ] first\n- [ ] a\n")
    settled.sandbox.fault_next("reset_after", method="POST")
    await settled.cycle()
    settled.sandbox.retry_after = 100
    settled.sandbox.fault_next("429", method="GET")
    await settled.cycle()
    settled.sent()
    clock.pass_by(30)
    outcome = await settled.cycle()
    assert settled.sent() == []
    assert (outcome.code, outcome.retry_at) == (errors.TEMPORARY, clock.now + 70)
    clock.pass_by(70)
    assert (await settled.cycle()).counts == {"task.created": 1}
    assert settled.omi() == {"first": False, "a": False}


async def test_a_task_that_omi_took_and_does_not_show_is_parked(
    settled: Person, clock: Clock
) -> None:
    """It is not made again, for it would be there twice."""
    settled.sandbox.batch_leaves_out.add("b")
    settled.write("- [ ] first\n- [ ] a\n- [ ] b\n")
    outcome = await settled.cycle()
    assert (outcome.counts, outcome.waiting) == ({"task.created": 1}, 1)
    item(settled, "b").hidden = True
    assert (await settled.cycle()).retry_at == clock.now + 2
    clock.pass_by(2)
    outcome = await settled.cycle()
    assert outcome.code == errors.PARKED
    (row,) = outcome.parked
    assert row.parked is not None
    assert row.parked.reason == (
        "Omi took this task but does not show it; look for it in the Omi app"
    )
    assert (row.seen.text, row.parked.status, row.parked.retry_at) == ("b", 0, None)
    assert (await settled.cycle()).idle
    assert settled.omi() == {"first": False, "a": False, "b": False}


async def test_looks_at_a_list_with_holes_prove_nothing(settled: Person, clock: Clock) -> None:
    """After five of them a person is asked; the create is never sent again."""
    settled.write("- [ ] first\n- [ ] a\n")
    settled.sandbox.fault_next("reset_before", method="POST")
    await settled.cycle()
    settled.sandbox.add("a row without an id cannot be read", item_id="")
    settled.sent()
    for look in range(1, 5):
        outcome = await settled.cycle()
        assert (outcome.code, outcome.retry_at) == (errors.TEMPORARY, clock.now + 10)
        assert [one.looks for one in intents(settled)] == [look]
        clock.pass_by(10)
    outcome = await settled.cycle()
    assert outcome.code == errors.PARKED
    (row,) = outcome.parked
    assert row.parked is not None
    assert row.parked.reason.startswith("Omi took this task but does not show it")
    assert {method for method, _ in settled.sent()} == {"GET"}


async def test_a_create_on_its_way_is_written_down_once(settled: Person) -> None:
    """Its intent says all there is to say of its task, and of the place of its line."""
    settled.write("- [ ] first\n\n# B\n\n- [ ] a\n")
    settled.sandbox.fault_next("reset_before", method="POST")
    await settled.cycle()
    (intent,) = intents(settled)
    assert link(settled, "a") == intent.link
    assert (intent.section, intent.rank > link(settled, "first").rank) == ("B", True)
    with closing(sqlite3.connect(settled.store_path)) as db:
        assert db.execute("SELECT text FROM links").fetchall() == [("first",)]


async def test_equal_lines_are_items_of_their_own(settled: Person) -> None:
    """In one batch, and in their order."""
    text = "".join(f"# {n}\n\n- [ ] milk\n\n" for n in range(3)) + "- [ ] first\n"
    settled.write(text)
    await settled.cycle()
    milk = [item for item in settled.sandbox.items.values() if item.description == "milk"]
    settled.write(text.replace("# 1\n\n- [ ]", "# 1\n\n- [x]"))
    await settled.cycle()
    assert [one.completed for one in milk] == [False, True, False]


async def test_a_server_that_creates_nothing_is_left_alone(settled: Person) -> None:
    """Three batches without a usable answer are enough for a cycle; each has its ticket."""
    settled.write("- [ ] first\n" + "".join(f"- [ ] task {n}\n" for n in range(151)))
    settled.sandbox.fault_next("5xx_before", "5xx_before", "5xx_before", method="POST")
    assert (await settled.cycle()).waiting == 151
    keys = {
        one.headers["Idempotency-Key"] for one in settled.sandbox.requests if one.method == "POST"
    }
    assert len(keys) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", key) for key in keys)


async def test_equal_tasks_are_found_in_the_order_of_their_making(settled: Person) -> None:
    """The first line is the older item, whatever the ids are."""
    settled.write("- [ ] first\n- [ ] milk\n\n# B\n\n- [ ] milk\n")
    settled.sandbox.fault_next("reset_after", method="POST")
    await settled.cycle()
    milk = [one for one in settled.sandbox.items.values() if one.description == "milk"]
    later, older = sorted(milk, key=lambda one: one.id)
    assert later.created_at is not None
    older.created_at = later.created_at - timedelta(seconds=5)
    await settled.cycle()
    settled.write("- [ ] first\n- [x] milk\n\n# B\n\n- [ ] milk\n")
    await settled.cycle()
    assert (older.completed, later.completed) == (True, False)


async def test_a_task_is_found_by_all_that_was_sent(settled: Person) -> None:
    """Of two items of one text each line finds the one with its date."""
    settled.write("- [ ] first\n- [ ] milk due:2026-05-01\n- [ ] milk due:2026-05-02\n")
    settled.sandbox.fault_next("reset_after", method="POST")
    await settled.cycle()
    one, two = (item for item in settled.sandbox.items.values() if item.description == "milk")
    one.created_at, two.created_at = two.created_at, one.created_at
    await settled.cycle()
    settled.write("- [ ] first\n- [x] milk due:2026-05-01\n- [ ] milk due:2026-05-02\n")
    await settled.cycle()
    assert (one.completed, two.completed) == (True, False)


async def test_each_task_is_found_though_one_was_ticked_meanwhile(settled: Person) -> None:
    """One by all that was sent, the other by its text: one look is enough for both."""
    settled.write(settled.todo.read_text() + "- [ ] this\n- [ ] that\n")
    settled.sandbox.fault_next("reset_after", method="POST")
    await settled.cycle()
    items = settled.sandbox.items.values()
    next(one for one in items if one.description == "that").completed = True
    await settled.cycle()
    assert intents(settled) == []
    await settled.settle()
    assert {"this", "that"} <= settled.omi().keys()


async def test_an_edit_in_the_app_before_an_item_was_found_stays(settled: Person) -> None:
    """Push leaves alone what the app changed, also of an item that is only found later."""
    settled.write("- [ ] first\n- [ ] b\n- [ ] a due:2026-05-01\n- [ ] c\n")
    settled.sandbox.fault_next("reset_after", method="POST")
    await settled.cycle()
    (item,) = (one for one in settled.sandbox.items.values() if one.description == "a")
    item.due_at = there = datetime(2026, 6, 2, 9, tzinfo=UTC)
    assert (await settled.settle()).code == errors.OK
    assert item.due_at == there
    assert (await settled.cycle()).idle
    assert settled.omi() == dict.fromkeys(("first", "a", "b", "c"), False)


async def test_an_edit_in_the_app_before_an_item_was_found_comes_in(person: Person) -> None:
    """In two-way it is as new as what the line says, also of a date that was not sent."""
    person.settings = '[sync]\ndirection = "two-way"\nprefer = "remote"\n'
    person.write("- [ ] first\n")
    await person.settle()
    person.write("- [ ] first\n- [x] a due:2027-01-01\n- [ ] b\n")
    person.sandbox.fault_next("reset_after", method="POST")
    await person.cycle(now=True)
    item(person, "a").due_at = datetime(2026, 12, 24, 9, tzinfo=UTC)
    item(person, "b").completed = True
    await person.settle()
    assert person.todo.read_text() == "- [ ] first\n- [x] a due:2026-12-24\n- [x] b\n"
    assert person.omi() == {"first": False, "a": True, "b": True}


async def test_a_line_that_is_opened_before_its_item_was_found_opens_that(settled: Person) -> None:
    """It was sent as a finished one, and is there as that."""
    settled.write("- [ ] first\n- [x] a\n")
    settled.sandbox.fault_next("reset_after", method="POST")
    await settled.cycle()
    settled.write("- [ ] first\n- [ ] a\n")
    assert (await settled.settle()).code == errors.OK
    assert settled.omi() == {"first": False, "a": False}


async def test_what_a_found_item_lacks_is_sent(settled: Person) -> None:
    """It may be one of the same words that was made elsewhere meanwhile."""
    settled.write("- [ ] first\n- [ ] a due:2027-05-01\n- [x] b\n")
    settled.sandbox.fault_next("5xx_before", method="POST")
    await settled.cycle()
    dated, _ = settled.sandbox.add("a"), settled.sandbox.add("b")
    assert (await settled.settle()).code == errors.OK
    assert dated.due_at is not None
    assert settled.omi() == {"first": False, "a": False, "b": True}


async def test_a_server_that_dates_nothing_is_no_obstacle(person: Person) -> None:
    """An item is linked, or found, also if nobody says when it was made; then it has no age."""
    empty, rows = http(200, []), [{"id": "1", "description": "a", "completed": False}]
    async with RawServer((empty, empty, CLOSE, http(200, rows))) as server:
        person = replace(person, sandbox=server)  # its address is all that counts
        person.write("- [ ] a\n")
        assert (await person.cycle()).waiting == 1
        assert (await person.cycle()).counts == {"task.created": 1}
        assert (link(person, "a").remote_id, link(person, "a").made_at) == ("1", None)


async def test_an_item_that_was_there_before_is_none_of_ours(settled: Person, clock: Clock) -> None:
    """A finished one of the same text, made within the margin of the clocks."""
    settled.sandbox.add("a", completed=True)
    settled.write("- [ ] first\n- [ ] a\n")
    settled.sandbox.fault_next("reset_before", method="POST")
    await settled.cycle()
    for _ in range(3):
        clock.pass_by(5)
        await settled.cycle()
    states = [one.completed for one in settled.sandbox.items.values() if one.description == "a"]
    assert sorted(states) == [False, True]


@pytest.mark.parametrize("days", [0, 100])
async def test_the_item_of_a_former_round_is_none_of_the_next(
    settled: Person, clock: Clock, days: int
) -> None:
    """Nothing could be read before the create, and its answer was lost, without effect."""
    settled.write("- [ ] first\n- [ ] water the plants\n")
    await settled.cycle()
    clock.pass_by(3 * DAY)
    for text in ("- [ ] first\n- [x] water the plants\n", "- [ ] first\n"):
        settled.write(text)
        await settled.cycle()
    clock.pass_by(days * DAY)
    settled.sandbox.retry_after = 1800
    settled.sandbox.fault_next("429", method="GET")
    settled.write("- [ ] first\n- [ ] other\n")
    await settled.cycle()
    settled.sandbox.fault_next("5xx_before", method="POST")
    settled.write("- [ ] first\n- [ ] other\n- [ ] water the plants due:2030-12-24\n")
    assert (await settled.cycle()).code == errors.TEMPORARY
    clock.pass_by(1800)
    await settled.settle()
    rounds = [one for one in settled.sandbox.items.values() if "water" in one.description]
    assert [(one.completed, bool(one.due_at)) for one in rounds] == [(True, False), (False, True)]


@pytest.mark.parametrize("step", [0.0, 0.001])
async def test_a_new_task_that_breaks_the_server_is_set_aside(
    settled: Person, clock: Clock, step: float
) -> None:
    """Eight failures, five of them among others perhaps; it is tried again in an hour.

    Time passes within a cycle, too.
    """
    clock.step = step
    settled.sandbox.poison.add("poison")
    settled.write("- [ ] first\n- [ ] poison\n")
    outcome = await settled.settle()
    assert outcome.code == errors.PARKED
    (row,) = outcome.parked
    assert row.parked is not None
    assert row.parked.reason == "Omi failed 8 times on this task alone, others got through"
    assert (row.parked.status, row.parked.retry_at) == (0, row.parked.since + 3600)
    assert clock.now - 1 < row.parked.since <= clock.now
    assert [method for method, _ in settled.sent()].count("POST") == 8


@pytest.mark.parametrize(("status", "wait"), [(422, None), (402, DAY)])
async def test_a_refused_create_waits_for_its_person(
    settled: Person, clock: Clock, status: int, wait: float | None
) -> None:
    """A lock may be over a day later; what is not acceptable stays so until it is edited."""
    settled.sandbox.refuse["bad"] = status
    settled.write("- [ ] first\n- [ ] bad\n")
    outcome = await settled.cycle()
    (row,) = outcome.parked
    assert row.parked is not None
    assert (row.parked.status, row.parked.task) == (status, row.seen)
    assert row.parked.retry_at == (None if wait is None else clock.now + wait)
    assert outcome.look_at == row.parked.retry_at
    assert intents(settled) == []


@pytest.mark.parametrize("direction", ["push", "two-way"])
@pytest.mark.parametrize("fault", ["403", "429", "refused"])
async def test_what_was_refused_and_made_elsewhere_meanwhile_is_linked(
    fault: str, direction: str, person: Person, clock: Clock
) -> None:
    """No scope, a limit, a task that is refused: its person writes it in the app."""
    person.settings += f'[sync]\ndirection = "{direction}"\n'
    person.write("- [ ] a\n- [ ] b\n")
    await person.settle()
    person.write("- [ ] a\n- [ ] b\n- [ ] c\n")
    if fault == "refused":
        person.sandbox.refuse["c"] = 422
    else:
        person.sandbox.fault_next(fault, method="POST")
    assert (await person.cycle(now=True)).code != errors.OK
    clock.pass_by(7200)
    person.sandbox.add("c")
    person.sandbox.refuse.clear()
    person.write("- [ ] a\n- [ ] b\n- [ ] c\n- [ ] d\n")
    assert (await person.settle()).code == errors.OK
    assert person.omi() == dict.fromkeys("abcd", False)
    assert person.todo.read_text() == "- [ ] a\n- [ ] b\n- [ ] c\n- [ ] d\n"
    assert link(person, "c").remote_id is not None


@pytest.mark.parametrize("first", ["403", "429", "5xx_before", "422"])
async def test_as_long_as_nothing_is_linked_all_of_omi_is_looked_at(
    first: str, person: Person, clock: Clock
) -> None:
    """A first sync that created nothing knows nothing: each item of the app can be a line."""
    person.sandbox.add("old")
    clock.pass_by(30 * DAY)
    person.write("- [ ] new\n")
    if first == "422":
        person.sandbox.refuse["new"] = 422
    else:
        person.sandbox.fault_next(first, method="POST")
    await person.cycle(now=True)
    assert person.omi() == {"old": False}
    clock.pass_by(DAY)
    person.sandbox.refuse.clear()
    person.write("- [ ] new\n- [ ] old\n")
    person.sandbox.fault_next("429", method="GET")
    await person.cycle(now=True)
    assert "new" not in person.omi(), "nothing is created unlooked"
    await person.settle()
    if first == "422":
        person.write("- [ ] new!\n- [ ] old\n")
        await person.settle()
    assert sorted(person.omi()) == [f"new{'!' * (first == '422')}", "old"]


async def test_a_first_sync_that_fails_reads_a_long_list_once(person: Person, clock: Clock) -> None:
    """Then what is new in it; an item that is made meanwhile is linked all the same."""
    for n in range(2000):
        then = datetime.fromtimestamp(clock.now - DAY - 60 * n, UTC)
        person.sandbox.add(f"old {n}", created_at=then)
    person.write("- [ ] new\n- [ ] newer\n")
    async with person.desk() as desk:
        reads = []
        for _ in range(4):
            person.sandbox.fault_next("403", method="POST")
            outcome = await sync.cycle(desk)
            assert isinstance(outcome.troubles[0], errors.KeyProblem)
            reads.append([method for method, _ in person.sent()].count("GET"))
            clock.pass_by(30)
            person.write(f"{person.todo.read_text()}\n")
        assert reads[0] >= 8
        assert reads[1:] == [1, 1, 1]
        person.sandbox.add("newer")
        person.sandbox.limits["read"] = 0
        assert (await sync.cycle(desk)).code == errors.TEMPORARY
        assert len(person.omi()) == 2001, "nothing is created without a look"
        person.sandbox.limits["read"] = 120
        clock.pass_by(3600)
        assert desk.first is not None
        await sync.cycle(desk)
        assert desk.first is None, "a daemon would hold as much as the list is long"
    assert len(person.omi()) == 2002
    assert link(person, "newer").remote_id is not None


async def test_a_first_reading_serves_as_long_as_it_is_paid_for(
    person: Person, clock: Clock
) -> None:
    """A minute for each read that it cost, however often was looked since, and from the start."""
    person.write("- [ ] new\n")
    async with person.desk() as desk:
        reads = []
        for wait in (0, 50, 50, 30, 120, 0):
            person.sandbox.fault_next("403", method="POST")
            person.write(f"{person.todo.read_text()}\n")
            await sync.cycle(desk)
            reads.append([method for method, _ in person.sent()].count("GET"))
            clock.pass_by(wait)
    assert reads == [2, 1, 1, 1, 2, 2]


async def test_a_line_that_names_an_item_is_looked_for_in_all_of_omi(
    person: Person, clock: Clock
) -> None:
    """What was read before, while nothing was linked, did not know of the id."""
    old = person.sandbox.add("old", created_at=datetime.fromtimestamp(clock.now - DAY, UTC))
    async with person.desk() as desk:
        for line, fault in (("- [ ] new\n", "403"), (f"- [ ] new omi:{old.id}\n", None)):
            person.write(line)
            person.sandbox.fault_next(fault, method="POST")
            await sync.cycle(desk)
    assert link(person, "new").remote_id == old.id
    assert len(person.sandbox.items) == 1


async def test_a_first_sync_finds_what_stands_behind_many_locked_items(
    person: Person, clock: Clock
) -> None:
    """Of each page a quarter is left out: a usual reading would end with the first."""
    for n in range(1500):
        then = datetime.fromtimestamp(clock.now - DAY - 60 * n, UTC)
        person.sandbox.add(f"old {n}", created_at=then).locked = n % 4 == 0
    person.write("- [ ] old 1499\n")
    await person.settle()
    assert len(person.omi()) == 1500


@pytest.mark.parametrize("text", ["one", "other"])
@pytest.mark.parametrize("on_removal", ["complete", "keep"])
async def test_what_was_read_while_nothing_was_linked_proves_no_item(
    person: Person, clock: Clock, on_removal: str, text: str
) -> None:
    """An item that is deleted after the first reading is neither linked nor revived."""
    person.settings += f'[sync]\non_removal = "{on_removal}"\n'
    person.sandbox.add("other")
    person.write("- [ ] one\n")
    async with person.desk() as desk:
        await sync.cycle(desk)
        for _ in range(2):
            person.write("")
            await sync.cycle(desk, allow_removals=True)
        for one in [one for one in person.sandbox.items.values() if one.description == text]:
            person.sandbox.remove(one.id)
        clock.pass_by(5)
        person.write(f"- [ ] {text}\n")
        outcome = await sync.cycle(desk)
        while outcome.again:
            outcome = await sync.cycle(desk)
    assert person.omi()[text] is False


@pytest.mark.parametrize("looks", range(1, 12))
async def test_no_create_leaves_unlooked_where_its_gate_opens_meanwhile(
    settled: Person, clock: Clock, looks: int
) -> None:
    """However often the clock is looked at before that moment."""
    settled.write("- [ ] first\n- [ ] second\n")
    settled.sandbox.retry_after = 10
    settled.sandbox.fault_next("429", method="POST")
    await settled.cycle()
    settled.sandbox.add("third")
    settled.write("- [ ] first\n- [ ] second\n- [ ] third\n")
    with Store.open(settled.store_path) as store:
        gate = store.gates()["write"]
    clock.now, clock.step = gate.set_at + gate.retry_after - looks * 0.01 + 0.005, 0.01
    await settled.cycle()
    clock.step = 0.0
    await settled.settle()
    assert settled.omi() == {"first": False, "second": False, "third": False}


async def test_a_server_that_took_nothing_can_be_left_for_one_that_has_all(
    person: Person, clock: Clock
) -> None:
    """The address was wrong, or the key; there, all of the list is new."""
    person.write("- [ ] a\n- [ ] b\n")
    person.sandbox.fault_next("403", method="POST")
    await person.cycle()
    clock.pass_by(60)
    async with Sandbox(clock=clock) as other:
        for text in ("a", "b"):
            other.add(text, created_at=datetime.fromtimestamp(clock.now - 30 * DAY, UTC))
        first, person.sandbox = person.sandbox, other
        await person.settle()
        assert person.omi() == {"a": False, "b": False}
        person.sandbox = first


@pytest.mark.parametrize("direction", ["push", "two-way"])
async def test_a_first_meeting_creates_nothing_beside_a_list_that_it_cannot_read(
    person: Person, clock: Clock, direction: str
) -> None:
    """More than a thousand items of one moment: no request shows them all. One can agree."""
    person.settings += f'[sync]\ndirection = "{direction}"\nimport_items = "linked"\n'
    then = datetime.fromtimestamp(clock.now - DAY, UTC)
    for n in range(1100):
        person.sandbox.add(f"task {n}", created_at=then)
    lines = [f"- [ ] task {n}" for n in (*range(5), *range(1095, 1100))]
    person.write("\n".join([*lines, "- [ ] mine", ""]))
    outcome = await person.cycle()
    (trouble,) = outcome.troubles
    assert isinstance(trouble, errors.ListCut)
    assert re.match(r"Only 10\d\d items of Omi's list could be read", trouble.message)
    assert trouble.advice == (
        "If there are none, or if that does no harm, agree once: `omisync --once --yes`."
    )
    assert (outcome.code, len(person.sandbox.items)) == (errors.BAD_FILE, 1100)
    assert (await person.cycle(yes=True)).code == errors.OK
    assert "mine" in {one.description for one in person.sandbox.items.values()}
    person.write("\n".join([*lines, "- [ ] mine", "- [ ] more", ""]))
    await person.settle()
    assert "more" in {one.description for one in person.sandbox.items.values()}


@pytest.mark.parametrize("direction", ["push", "two-way"])
async def test_a_row_that_makes_no_sense_may_be_any_line(
    person: Person, clock: Clock, direction: str
) -> None:
    """At a first meeting that is told, and one can agree; later the other rows will do."""
    person.settings += f'[sync]\ndirection = "{direction}"\nimport_items = "linked"\n'
    person.sandbox.add("a row without an id cannot be read", item_id="")
    person.write("- [ ] mine\n")
    outcome = await person.cycle()
    (trouble,) = outcome.troubles
    assert isinstance(trouble, errors.ListCut)
    assert trouble.message.startswith("What Omi's list says of some of its items cannot be read")
    assert (outcome.code, len(person.sandbox.items)) == (errors.BAD_FILE, 1)
    assert (await person.cycle(yes=True)).code == errors.OK
    person.write("- [ ] mine\n- [ ] more\n")
    await person.settle()
    for text in ("", "- [ ] last\n"):  # nobody is asked again, however long the list was clear
        clock.pass_by(100 * DAY)
        person.write(text)
        await person.cycle(now=True, allow_removals=True)
        assert (await person.cycle(now=True, allow_removals=True)).code == errors.OK
    there = {one.description for one in person.sandbox.items.values()}
    assert there >= {"mine", "more", "last"}


async def test_without_a_date_a_create_is_looked_for_further_back(
    person: Person, clock: Clock
) -> None:
    """A server that tells no time may be hours behind: the window would lie in its future."""
    then = datetime.fromtimestamp(clock.now - 36_000, UTC).isoformat()
    made = {"id": "x", "description": "mine", "completed": False, "created_at": then}
    empty, failed, found = http(200, []), http(500, {"detail": "no"}), http(200, [made])
    async with RawServer((empty, empty, failed, empty, found)) as server:
        person = replace(person, sandbox=server)  # its address is all that counts
        person.write("- [ ] mine\n")
        assert (await person.settle()).code == errors.OK
        assert link(person, "mine").remote_id == "x"
        assert len(server.seen) == 5
        start = re.search(rb"start_date=([^& ]+)", server.seen[-1])
    assert start is not None
    assert datetime.fromisoformat(unquote(start[1].decode())).timestamp() < clock.now - DAY


async def test_an_element_that_was_not_sent_is_none(person: Person) -> None:
    """A server that blames a third of two tasks blames none: each is tried alone."""
    third = http(422, {"detail": [{"loc": ["body", "action_items", 2], "msg": "no"}]})
    empty, no = http(200, []), http(422, {"detail": "no"})
    async with RawServer((empty, empty, third, no)) as server:
        person = replace(person, sandbox=server)  # its address is all that counts
        person.write("- [ ] a\n- [ ] b\n")
        outcome = await person.cycle()
        assert [row.seen.text for row in outcome.parked] == ["a", "b"]
        assert len(server.seen) == 5


@pytest.mark.parametrize(
    ("given", "linked"),
    [
        ("ab bc a", "abc--"),  # that of the first reply, settled with the other or before it
        ("aa bc d", "--bcd"),
        ("ab cc c", "ab--c"),
        ("aa ab a", "--ab-"),
    ],
)
async def test_an_id_that_a_server_gives_twice_is_one_item(
    person: Person, given: str, linked: str
) -> None:
    """Given twice in one reply it tells nothing: who is left out is looked for by its text."""
    ops, intents, replies = [], [], []
    for group, names in enumerate(given.split()):
        first = len(ops)
        for n in range(first, first + len(names)):
            task, fields = Task("same"), Fields("same")
            ops.append(AddRemote(Link(f"k{n}", None, task, "", n), Entry(task, n + 1), fields))
            intents.append(Intent(f"k{n}", f"g{group}", fields, task, (), 0.0, 0.0, rank=n))
        items = [RemoteItem(name, Fields("same")) for name in names]
        replies.append(Created(ops[first:], intents[first:], items))
    async with person.desk() as desk:
        with desk.store.transaction():
            desk.store.put_intents(intents)
        run = Run(desk, person.clock())
        for run.created in (replies[:2], replies[2:]):
            settle(run)
        links = desk.store.links()
        assert "".join(link.remote_id or "-" for link in links) == linked
        assert [link.key for link in links] == ["k0", "k1", "k2", "k3", "k4"]
        unlisted = [(one.key, one.failure) for one in desk.store.intents()]
    assert unlisted == [(link.key, "unlisted") for link in links if link.remote_id is None]
    assert run.counts == {"task.created": 5 - linked.count("-")}


async def test_a_reply_without_one_of_two_equal_texts(person: Person) -> None:
    """The other is known by its date; without one that fits, the text has to do."""
    first, second = datetime(2030, 1, 1, 9, tzinfo=UTC), datetime(2031, 1, 1, 9, tzinfo=UTC)
    for shown, tied in ((second, ["", "r"]), (first, ["r", ""]), (None, ["r", ""])):
        sent = [Fields("pay", due_at=first), Fields("pay", due_at=second)]
        ops = [
            AddRemote(Link(f"k{n}", None, Task("pay"), "", n), Entry(Task("pay"), n + 1), one)
            for n, one in enumerate(sent)
        ]
        intents = [
            Intent(f"k{n}", "g", one, Task("pay"), (), 0.0, 0.0, rank=n)
            for n, one in enumerate(sent)
        ]
        async with person.desk() as desk:
            with desk.store.transaction():
                desk.store.put_intents(intents)
            run = Run(desk, person.clock())
            run.created = [Created(ops, intents, [RemoteItem("r", Fields("pay", due_at=shown))])]
            settle(run)
            assert [link.remote_id or "" for link in desk.store.links()] == tied
            with desk.store.transaction():
                desk.store.forget_account()


EARLY, LATE = (Fields("pay", due_at=datetime(year, 1, 1, tzinfo=UTC)) for year in (2030, 2031))


@pytest.mark.parametrize(
    ("sent", "shown", "tied"),
    [
        ([Fields("other"), Fields("pay"), Fields("pay")], [1, 2], [None, "a", "b"]),
        ([Fields("other"), Fields("pay")], [1, 0], ["b", "a"]),
        ([EARLY, LATE], [1, 0], ["b", "a"]),
    ],
)
async def test_tasks_of_an_odd_reply_are_known_by_what_they_say(
    person: Person, sent: list[Fields], shown: list[int], tied: list[str | None]
) -> None:
    """By all of it; of equal ones the first that was sent is the first that came back."""
    ops, intents = [], []
    for n, one in enumerate(sent):
        task = Task(one.description)
        ops.append(AddRemote(Link(f"k{n}", None, task, "", n), Entry(task, n + 1), one))
        intents.append(Intent(f"k{n}", "g", one, task, (), 0.0, 0.0, rank=n))
    async with person.desk() as desk:
        with desk.store.transaction():
            desk.store.put_intents(intents)
        run = Run(desk, person.clock())
        items = [RemoteItem(name, sent[n]) for name, n in zip("ab", shown, strict=True)]
        run.created = [Created(ops, intents, items)]
        settle(run)
        assert [link.remote_id for link in desk.store.links()] == tied


async def test_a_server_that_refuses_everything_is_told_as_such(person: Person) -> None:
    """Nothing counts as parked or done, and the history takes the parking back."""
    tasks = [f"t{n}" for n in range(20)]
    person.sandbox.refuse = dict.fromkeys(tasks, 422)
    person.write("".join(f"- [ ] {t}\n" for t in tasks))
    outcome = await person.cycle()
    (trouble,) = outcome.troubles
    assert trouble.message.startswith("Omi refuses every new task: Omi does not accept the task")
    assert trouble.advice == (
        "Check omi.base_url, and look for a newer omisync; nothing was created."
    )
    assert (outcome.counts, outcome.waiting, outcome.parked) == ({}, 20, ())
    told = history(person, 10)
    keys = {one.key for one in told}
    assert [one.event for one in told] == ["task.parked"] * 4 + ["task.retried"] * 4
    assert [one.text for one in told] == ["t0", "t1", "t19", "t10"] * 2
    assert all(one.at == person.clock.now for one in told)
    assert len(keys) == 4
    assert None not in keys


@pytest.mark.parametrize(("culprit", "every"), [(True, True), (True, False), (False, True)])
async def test_refused_tasks_hold_up_no_others_where_some_are_in_omi(
    person: Person, culprit: bool, every: bool
) -> None:
    """What the server took before shows that it is not the server: each is parked."""
    person.write("- [ ] a\n- [ ] b\n")
    await person.cycle()
    person.sandbox.refuse = dict.fromkeys(("x", "y", "z", "w"), 422)
    person.sandbox.names_culprit, person.sandbox.names_all = culprit, every
    person.write("- [x] a\n- [ ] x\n- [ ] y\n- [ ] z\n- [ ] w\n- [ ] b changed\n- [ ] new\n")
    outcome = await person.cycle()
    assert (outcome.code, outcome.troubles) == (errors.PARKED, ())
    assert outcome.counts == {"task.parked": 4, "task.created": 1, "task.changed": 2}
    assert person.omi() == {"a": True, "b changed": False, "new": False}
    assert {link(person, text).parked is not None for text in "xyzw"} == {True}
    person.sandbox.refuse |= dict.fromkeys(("p", "q", "r"), 422)
    person.write(f"{person.todo.read_text()}- [ ] p\n- [ ] q\n- [ ] r\n")
    outcome = await person.cycle()  # nothing else is sent now
    assert (outcome.troubles, outcome.counts) == ((), {"task.parked": 3})


@pytest.mark.parametrize(("every", "refusals"), [(True, 1), (False, 3)])
async def test_tasks_that_are_named_as_refused_are_no_sign_of_an_odd_server(
    person: Person, every: bool, refusals: int
) -> None:
    """Of a first list the others are tried, however many are named, with what is said of each."""
    person.sandbox.refuse = dict.fromkeys(("x", "y", "z"), 422)
    person.sandbox.names_all = every
    person.write("- [ ] x\n- [ ] y\n- [ ] z\n- [ ] good\n- [ ] better\n")
    outcome = await person.cycle()
    assert (outcome.code, outcome.counts) == (
        errors.PARKED,
        {"task.parked": 3, "task.created": 2},
    )
    assert person.sent().count(("POST", 422)) == refusals
    reasons = {one.parked.reason for one in outcome.parked if one.parked}
    assert reasons == {"Omi does not accept the task (422): description: Not acceptable"}


@pytest.mark.parametrize("refused", [1, 2])
async def test_a_named_task_costs_one_request_more(person: Person, refused: int) -> None:
    """All others of its batch travel on together, though nothing was ever taken."""
    person.sandbox.refuse = dict.fromkeys(("t0", "t3")[:refused], 422)
    person.write("".join(f"- [ ] t{n}\n" for n in range(6)))
    assert (await person.cycle()).counts == {"task.parked": refused, "task.created": 6 - refused}
    assert [status for method, status in person.sent() if method == "POST"] == [422, 200]


@pytest.mark.parametrize("names", [True, False])
async def test_odd_tasks_at_the_top_of_a_first_list_hold_up_none_below(
    person: Person, names: bool
) -> None:
    """Before they are told as the server's fault, the last and the middle one are tried."""
    odd = [f"t{n}" for n in range(6)]
    person.sandbox.refuse = dict.fromkeys(odd, 422)
    person.sandbox.names_all, person.sandbox.names_culprit = False, names
    person.write("".join(f"- [ ] t{n}\n" for n in range(12)))
    outcome = await person.cycle()
    assert outcome.code == errors.PARKED
    assert outcome.counts == {"task.parked": len(odd), "task.created": 12 - len(odd)}


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize(
    ("lines", "odd", "well"),
    [
        (120, {0, 1, 2, 49}, True), (6, {0, 1, 3}, True), (51, {0, 1, 50}, True),
        (53, {0, 1, 50}, True),
        (9, {0, 1, 4, 8}, True), (5, {0, 1, 2, 4}, True), (4, {0, 1, 2}, True),
        (3, {0, 1}, True), (3, {0, 1, 2}, False), (4, {0, 1, 2, 3}, False),
        (120, {*range(120)} - {5}, False), (120, {0, 1, 2, 3, 119}, True),
    ],
)  # fmt: skip
async def test_two_refused_ones_and_the_last_and_middle_of_the_rest_speak_of_the_server(
    person: Person, lines: int, odd: set[int], well: bool, names: bool
) -> None:
    """Where it takes one of these, all that it takes is created."""
    person.sandbox.refuse = dict.fromkeys((f"t{n}" for n in odd), 422)
    person.sandbox.names_culprit, person.sandbox.names_all = names, False
    person.write("".join(f"- [ ] t{n}\n" for n in range(lines)))
    outcome = await person.cycle()
    if well:
        assert outcome.code == errors.PARKED
        assert outcome.counts == {"task.parked": len(odd), "task.created": lines - len(odd)}
    else:
        assert (outcome.code, outcome.waiting, person.omi()) == (errors.WRONG_SERVER, lines, {})


async def test_a_server_that_names_one_after_the_other_is_told_as_odd(person: Person) -> None:
    """Three named ones, and two tried alone."""
    tasks = [f"t{n}" for n in range(20)]
    person.sandbox.refuse = dict.fromkeys(tasks, 422)
    person.sandbox.names_all = False
    person.write("".join(f"- [ ] {t}\n" for t in tasks))
    outcome = await person.cycle()
    assert person.sent().count(("POST", 422)) == 5
    assert outcome.code == errors.WRONG_SERVER
    assert (outcome.counts, outcome.waiting, outcome.parked) == ({}, 20, ())
    assert [one.text for one in history(person, 10)] == ["t0", "t1", "t2", "t19", "t11"] * 2
    person.sandbox.refuse.clear()
    assert (await person.cycle()).counts == {"task.created": 20}


async def test_refusals_before_a_success_count_for_nothing_after_it(person: Person) -> None:
    """Three were named, all others taken, and then one is refused that travels alone."""
    person.sandbox.refuse = dict.fromkeys(("t0", "t1", "t2", "t50"), 422)
    person.write("".join(f"- [ ] t{n}\n" for n in range(51)))
    outcome = await person.cycle()
    assert (outcome.code, outcome.counts) == (
        errors.PARKED,
        {"task.parked": 4, "task.created": 47},
    )


def many(batches: int) -> str:
    """A file whose tasks take so many batches."""
    return "".join(f"- [ ] task {n}\n" for n in range(50 * batches))


async def creates_of(person: Person, batches: int) -> list[str]:
    """Push so many batches; return the steps from the commit before the first to the last one."""
    steps: list[str] = []
    person.trace = steps.append
    person.write(many(batches))
    await person.cycle()
    sent = [at for at, step in enumerate(steps) if step == "request.sent"]
    return steps[sent[-batches] - 1 : sent[-1]]


async def test_what_is_written_down_and_not_sent_is_taken_back(person: Person) -> None:
    """A limit in the middle of many batches: nothing of unknown outcome is left."""
    person.write(f"{many(7)}- [ ] task 350\n")
    person.sandbox.fault_next(None, None, "429", method="POST")
    outcome = await person.cycle()
    posts = person.sent().count(("POST", 200))
    assert (outcome.code, outcome.counts["task.created"]) == (errors.TEMPORARY, 50 * posts)
    assert outcome.waiting == 351 - 50 * posts
    assert intents(person) == []
    await person.settle()
    assert person.omi() == {f"task {n}": False for n in range(351)}


async def test_the_disk_is_waited_for_once_for_many_batches(person: Person) -> None:
    """The first batch goes alone; the next sixteen, and then more, are written down at once."""
    creates = await creates_of(person, 33)
    assert creates.count("store.commit") == 3


async def test_a_reply_is_settled_when_the_next_request_has_left(person: Person) -> None:
    """Nobody waits for the disk in between, and replies that come together go there together."""
    told = [step for step in await creates_of(person, 33) if step != "store.commit"]
    assert told[:3] == ["request.sent", "reply.read", "store.write"]  # goes alone
    settled, unsettled = 0, 0
    for before, step in pairwise(told[3:]):
        if step == "store.write":
            assert before == "request.sent"
            settled, unsettled = settled + 1, 0
        elif step == "reply.read":
            unsettled += 1
            assert unsettled <= HANDS
    assert settled >= 28 / HANDS


@pytest.mark.parametrize("replies", [2, 3, 5, 6, 9])
async def test_what_was_replied_is_settled_however_a_cycle_ends(
    person: Person, replies: int
) -> None:
    """Ctrl-C between a reply and its transaction: only what is under way then is unknown."""
    person.write(many(18))  # the first alone, sixteen written down together, and one more
    steps: list[str] = []

    def trace(step: str) -> None:
        steps.append(step)
        if step == "reply.read" and steps.count(step) == replies:
            cycle.cancel()

    person.trace = trace
    cycle = asyncio.ensure_future(person.cycle())
    with pytest.raises(asyncio.CancelledError):
        await cycle
    person.trace = None
    looks = sum(one.method == "GET" for one in person.sandbox.requests)
    read = steps.count("reply.read") - looks
    with Store.open(person.store_path) as store:
        assert sum(one.remote_id is not None for one in store.links()) == 50 * read
        assert len(store.intents()) <= 50 * HANDS
    await person.settle()
    assert person.omi() == {f"task {n}": False for n in range(50 * 18)}


async def test_many_creates_without_an_answer_are_written_down_at_once(
    person: Person, clock: Clock
) -> None:
    """Each look that does not find them, and giving them up: a write, however many they are."""
    person.write(many(3))
    person.sandbox.fault_next(*("reset_before",) * 3, method="POST")
    await person.cycle()
    assert len(intents(person)) == 150
    for seconds, left in ((0, 150), (60, 0)):
        clock.pass_by(seconds)
        steps: list[str] = []
        person.trace = steps.append
        await person.cycle()
        looked = steps.index("reply.read")
        until = steps.index("request.sent", looked) if left == 0 else len(steps)
        assert 0 < steps[looked:until].count("store.commit") <= 5
        assert len(intents(person)) == left
    assert person.omi() == {f"task {n}": False for n in range(150)}


async def test_a_batch_that_is_careful_goes_alone(person: Person, clock: Clock) -> None:
    """In the minute after a limit each batch is written down by itself, right before it goes."""
    person.sandbox.retry_after = 5
    person.sandbox.fault_next("429", method="POST")
    person.write(many(3))
    await person.cycle()
    clock.pass_by(6)
    steps: list[str] = []
    person.trace = steps.append
    await person.cycle()
    sent = [at for at, step in enumerate(steps) if step == "request.sent"][-3:]
    assert [steps[at - 1] for at in sent] == ["store.commit"] * 3
