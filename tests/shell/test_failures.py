"""What becomes of one op that fails: parked, tried again, or settled; and what is recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from person import Person, item, link

from omisync import errors
from omisync.core.model import EXISTENCE, Link, Tombstone
from omisync.store import Event, Store
from omisync.sync.desk import Run
from omisync.sync.parked import is_poison

if TYPE_CHECKING:
    from person import Clock

    from omisync.sandbox import Fault

TWO_WAY = '[sync]\ndirection = "two-way"\n'
DAY = 86_400.0


@pytest.fixture
async def settled(person: Person) -> Person:
    """Someone whose two tasks are in Omi."""
    person.write("- [ ] a b c\n- [ ] stay\n")
    await person.settle()
    person.sent()
    return person


def history(person: Person) -> list[tuple[str, str, str]]:
    """Return the events, the latest last: what, to which task, and why."""
    with Store.open(person.store_path) as store:
        return [(event.event, event.text, event.detail) for event in store.history(20)]


def links(person: Person) -> list[Link]:
    """Return the tasks."""
    with Store.open(person.store_path) as store:
        return [*store.links()]


def stones(person: Person) -> list[Tombstone]:
    """Return what is buried."""
    with Store.open(person.store_path) as store:
        return list(store.tombstones(person.clock.now))


@pytest.mark.parametrize("direction", ["push", "two-way"])
async def test_what_a_gateway_refuses_is_no_refusal_of_a_task(
    settled: Person, direction: str
) -> None:
    """Nothing is parked for it, and all goes out as soon as it is over."""
    settled.settings = f'[sync]\ndirection = "{direction}"\n'
    settled.write("- [x] a b c\n- [ ] stay\n- [ ] new\n- [ ] newer\n")
    settled.sandbox.fault_rate({"intercepted": 1.0})
    for _ in range(12):
        settled.clock.pass_by(60)
        outcome = await settled.cycle(now=True)
        assert outcome.code == errors.TEMPORARY
        assert {type(one) for one in outcome.troubles} == {errors.Intercepted}
        assert outcome.parked == ()
    settled.sandbox.fault_rate({})
    await settled.settle()
    assert settled.omi() == {"a b c": True, "stay": False, "new": False, "newer": False}


@pytest.mark.parametrize("direction", ["push", "two-way"])
@pytest.mark.parametrize(("bad", "more"), [(1, 8), (1, 90), (4, 30)])
@pytest.mark.parametrize("first", [True, False])
async def test_new_tasks_that_a_firewall_does_not_like_hold_up_no_other(
    person: Person, bad: int, more: int, first: bool, direction: str
) -> None:
    """They are found among the others, set aside after a few tries, and tried again each hour."""
    person.settings = f'[sync]\ndirection = "{direction}"\n'
    person.write("- [ ] old\n")
    await person.settle()
    blocked = [f"DROP TABLE {n}" for n in range(bad)]
    person.sandbox.blocked = {*blocked}
    texts = [f"other {n}" for n in range(more)]
    texts = [*blocked, *texts] if first else [*texts, *blocked]
    person.write("- [x] old\n" + "".join(f"- [ ] {text}\n" for text in texts))
    for cycles in range(60):
        outcome = await person.cycle(now=True)
        if cycles == 7:
            assert len(person.omi()) == 1 + more
        assert len(outcome.failed) <= bad or cycles < 7
        assert not {link.seen.text for link in outcome.failed} & person.omi().keys()
        if not outcome.temporary:
            break
        person.clock.pass_by(300)
    assert outcome.code == errors.PARKED
    assert {link.seen.text for link in outcome.parked} == {*blocked}
    assert person.omi() == {"old": True, **{f"other {n}": False for n in range(more)}}
    person.sandbox.blocked = set()
    person.clock.pass_by(3_601)
    await person.settle()
    assert len(person.omi()) == 1 + bad + more


async def test_what_a_firewall_does_not_like_comes_after_all_else(person: Person) -> None:
    """Several new tasks that it stops each time keep no tick from going out at once."""
    person.write("".join(f"- [ ] task {n}\n" for n in range(8)))
    await person.settle()
    person.sandbox.blocked = {f"DROP TABLE {n}" for n in range(6)}
    text = person.todo.read_text() + "".join(f"- [ ] {one}\n" for one in person.sandbox.blocked)
    person.write(text)
    for _ in range(3):
        assert (await person.cycle()).code == errors.TEMPORARY
        person.clock.pass_by(300)
    person.write(text.replace("[ ] task 3", "[x] task 3"))
    await person.cycle()
    assert person.omi()["task 3"]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_what_was_stopped_on_its_way_changed_nothing(person: Person, method: str) -> None:
    """An edit of the app meanwhile is met as if none had been sent."""
    person.settings = f'{TWO_WAY}prefer = "remote"\non_removal = "delete"\n'
    person.write("- [ ] one\n- [ ] two\n")
    await person.settle()
    person.sandbox.fault_next("intercepted", method=method)
    person.write("- [ ] one x\n- [ ] two\n" if method == "PATCH" else "- [ ] two\n")
    assert (await person.cycle(now=True)).code == errors.TEMPORARY
    assert [link.doubt for link in links(person)] == [frozenset()] * 2
    item(person, "one").description = "one app"
    person.clock.pass_by(60)
    await person.settle()
    assert person.omi() == {"one app": False, "two": False}
    assert "one app" in person.todo.read_text()


@pytest.mark.parametrize("direction", ["push", "two-way"])
async def test_an_edit_that_a_firewall_does_not_like_holds_up_no_other(
    person: Person, direction: str
) -> None:
    """The others go out at once; it is set aside after a few tries, and tried again each hour."""
    person.settings = f'[sync]\ndirection = "{direction}"\n'
    person.write("".join(f"- [ ] task {n}\n" for n in range(8)))
    await person.settle()
    bad = "task 0 DROP TABLE"
    person.sandbox.blocked = {bad}
    person.write(f"- [ ] {bad}\n" + "".join(f"- [x] task {n}\n" for n in range(1, 8)))
    for _ in range(12):
        outcome = await person.cycle(now=True)
        assert sum(person.omi().values()) == 7
        if not outcome.temporary:
            break
        person.clock.pass_by(300)
    (parked,) = outcome.parked
    assert parked.seen.text == bad
    person.sandbox.blocked = set()
    person.clock.pass_by(3_601)
    await person.settle()
    assert bad in person.omi()


@pytest.mark.parametrize(("how", "method"), [("complete", "PATCH"), ("delete", "DELETE")])
@pytest.mark.parametrize(("status", "wait"), [("422", None), ("402", DAY)])
async def test_a_removal_that_is_refused_is_parked(
    settled: Person, how: str, method: str, status: Fault, wait: float | None
) -> None:
    """The refusal tells that nothing was changed; a lock may be over a day later."""
    settled.settings = f'[sync]\non_removal = "{how}"\n'
    settled.write("- [ ] stay\n")
    settled.sandbox.fault_next(status, method=method)
    outcome = await settled.cycle()
    assert outcome.code == errors.PARKED
    row = link(settled, "a b c")
    assert row.doubt == frozenset()
    assert row.parked is not None
    assert row.parked.status == int(status)
    assert row.parked.task is None
    assert row.parked.retry_at == (None if wait is None else settled.clock.now + wait)
    assert [one.key for one in outcome.parked] == [row.key]
    assert history(settled)[-1] == ("task.parked", "a b c", row.parked.reason)


@pytest.mark.parametrize(
    ("how", "method", "doubt"),
    [("complete", "PATCH", "completed"), ("delete", "DELETE", EXISTENCE)],
)
async def test_a_removal_without_an_answer_is_repeated(
    settled: Person, how: str, method: str, doubt: str
) -> None:
    """What it may have done is remembered until an answer comes."""
    settled.settings = f'[sync]\non_removal = "{how}"\n'
    settled.write("- [ ] stay\n")
    settled.sandbox.fault_next("5xx_before", method=method)
    outcome = await settled.cycle()
    assert outcome.code == errors.TEMPORARY
    row = link(settled, "a b c")
    assert (row.doubt, row.failures) == (frozenset({doubt}), 1)
    assert history(settled)[-1][:2] == ("task.failed", "a b c")
    assert (await settled.settle()).code == errors.OK
    assert history(settled)[-1] == ("task.removed", "a b c", how)
    assert settled.omi() == (
        {"a b c": True, "stay": False} if how == "complete" else {"stay": False}
    )


@pytest.mark.parametrize(("how", "method"), [("complete", "PATCH"), ("delete", "DELETE")])
async def test_a_removal_that_a_limit_holds_back_changed_nothing(
    settled: Person, how: str, method: str
) -> None:
    """429 is a complete answer: there is no doubt about the item."""
    settled.settings = f'[sync]\non_removal = "{how}"\n'
    settled.write("- [ ] stay\n")
    settled.sandbox.fault_next("429", method=method)
    await settled.cycle()
    assert link(settled, "a b c").doubt == frozenset()
    assert settled.omi() == {"a b c": False, "stay": False}


async def test_a_removal_of_a_gone_item_is_forgotten(settled: Person) -> None:
    """Somebody was faster; only whose item it was is remembered."""
    gone = item(settled, "a b c").id
    del settled.sandbox.items[gone]
    settled.write("- [ ] stay\n")
    assert (await settled.cycle()).counts == {"task.forgotten": 1}
    assert history(settled)[-1] == ("task.forgotten", "a b c", "already deleted in Omi")
    assert [(stone.remote_id, stone.how) for stone in stones(settled)] == [(gone, "gone")]
    with Store.open(settled.store_path) as store:
        assert [one.seen.text for one in store.links()] == ["stay"]


async def test_a_gone_item_is_recorded_as_deleted(settled: Person) -> None:
    """The edited line is created again, with nothing of its former troubles."""
    settled.sandbox.fault_next("5xx_before", method="PATCH")
    settled.write("- [ ] a b c d\n- [ ] stay\n")
    await settled.cycle()
    assert link(settled, "a b c d").failures == 1
    del settled.sandbox.items[item(settled, "a b c").id]
    await settled.cycle()
    assert link(settled, "a b c d").failures == 0
    await settled.settle()
    events = history(settled)
    assert ("task.gone", "a b c d", "deleted in Omi") in events
    assert events[-1][:2] == ("task.created", "a b c d")
    row = link(settled, "a b c d")
    assert (row.failures, row.doubt) == (0, frozenset())


async def test_a_line_that_comes_back_is_recorded(settled: Person) -> None:
    """An open one with its request, a finished one without; each as the line says it."""
    settled.write("- [ ] stay\n")
    await settled.cycle()
    settled.write("- [ ] a b c\n- [ ] stay\n")
    await settled.cycle()
    assert history(settled)[-1] == ("task.revived", "a b c", "reopened")
    settled.write("- [x] a b c\n- [ ] stay\n")
    await settled.cycle()
    settled.write("- [ ] stay\n")
    await settled.cycle()
    settled.sent()
    settled.write("- [x] a b c\n- [ ] stay\n")
    assert (await settled.cycle()).counts == {"task.revived": 1}
    assert settled.sent() == []
    row = link(settled, "a b c")
    assert row.base is not None
    assert (row.base.local, row.base.remote.completed) == (row.seen, True)


async def test_a_line_that_comes_back_is_settled_as_it_is_written_now(person: Person) -> None:
    """It says its date in another way: nothing is sent, and that is what both sides agree on."""
    person.settings = '[sync]\non_removal = "keep"\ntimezone = "UTC"\n'
    for text in ("- [ ] a due:2026-12-24T09:00\n", "", "- [ ] a due:2026-12-24T10:00+01:00\n"):
        person.write(f"{text}- [ ] stay\n")
        person.sent()
        outcome = await person.cycle()
    assert outcome.counts == {"task.revived": 1}
    assert {method for method, _ in person.sent()} == {"GET"}
    row = link(person, "a")
    assert row.base is not None
    assert row.base.local == row.seen


async def unlisted(person: Person, line: str) -> str:
    """Let Omi's list no longer show the item of a settled line; return its id."""
    person.settings = TWO_WAY
    person.write(f"{line}\n- [ ] stay\n")
    await person.settle()
    found = item(person, "a")
    found.hidden = True
    person.sent()
    person.sandbox.requests.clear()
    return found.id


@pytest.mark.parametrize(
    ("line", "asked"),
    [("- [ ] a", {"completed": False}), ("- [x] a", {"description": "a"})],
)
async def test_a_question_changes_nothing(person: Person, line: str, asked: object) -> None:
    """An open item is told that it is open, a finished one what it says: no phone rings."""
    name = await unlisted(person, line)
    for _ in range(3):
        await person.cycle(now=True)
    (question,) = (one for one in person.sandbox.requests if one.method == "PATCH")
    assert question.body == asked
    assert name in person.sandbox.items
    assert ("task.found", "a", "") in history(person)
    assert link(person, "a").probed_at == person.clock.now


async def test_a_question_that_is_refused_is_answered_too(person: Person, clock: Clock) -> None:
    """Who refuses the text that an item has, has the item; who locks it, is asked a day later."""
    await unlisted(person, "- [ ] a")
    person.sandbox.fault_next("422", method="PATCH")
    for _ in range(3):
        outcome = await person.cycle(now=True)
    assert outcome.code == errors.OK
    assert link(person, "a").probed_at == clock.now
    clock.pass_by(DAY + 1)
    person.write("- [ ] a\n- [ ] stay\n- [ ] more\n")
    person.sandbox.fault_next("402", method="PATCH")
    outcome = await person.cycle(now=True)
    assert outcome.code == errors.PARKED
    row = link(person, "a")
    assert row.parked is not None
    assert row.parked.retry_at == clock.now + DAY


async def test_a_question_without_an_answer_is_asked_again(person: Person) -> None:
    """The failure is counted, and nothing is known yet."""
    await unlisted(person, "- [ ] a")
    person.sandbox.fault_next("5xx_before", method="PATCH")
    for _ in range(2):
        outcome = await person.cycle(now=True)
    assert outcome.code == errors.TEMPORARY
    row = link(person, "a")
    assert (row.failures, row.probed_at) == (1, None)
    assert (await person.settle()).code == errors.OK
    row = link(person, "a")
    assert (row.failures, row.probed_at) == (0, person.clock.now)


async def test_an_edit_that_is_taken_answers_the_question_too(person: Person) -> None:
    """An item that takes an edit is there, listed or not: it is not asked for soon after."""
    await unlisted(person, "- [ ] a")
    await person.cycle(now=True)
    person.write("- [x] a\n- [ ] stay\n")
    for _ in range(3):
        await person.cycle(now=True)
    assert [method for method, _ in person.sent()].count("PATCH") == 1
    assert link(person, "a").probed_at == person.clock.now


async def test_an_edit_that_is_refused_waits_for_another_wording(settled: Person) -> None:
    """The refusal tells that nothing was changed; what the line says next is tried again."""
    settled.sandbox.refuse["a b c d"] = 422
    settled.write("- [ ] a b c d\n- [ ] stay\n")
    outcome = await settled.cycle()
    assert outcome.code == errors.PARKED
    row = link(settled, "a b c d")
    assert row.parked is not None
    assert (row.parked.status, row.parked.task, row.parked.retry_at) == (422, row.seen, None)
    assert row.doubt == frozenset()
    assert settled.sent() == [("PATCH", 422)]
    assert (await settled.cycle()).idle
    settled.write("- [ ] a b c e\n- [ ] stay\n")
    assert (await settled.cycle()).counts == {"task.changed": 1}
    assert link(settled, "a b c e").parked is None


async def test_an_edit_that_gets_through_leaves_no_trace_of_its_troubles(settled: Person) -> None:
    """Neither the failures nor the parking of before."""
    settled.write("- [x] a b c\n- [ ] stay\n")
    settled.sandbox.fault_next("5xx_before", "402", method="PATCH")
    for _ in range(2):
        await settled.cycle()
    row = link(settled, "a b c")
    assert (row.failures, row.parked is None) == (1, False)
    settled.clock.pass_by(DAY + 1)
    assert (await settled.cycle()).code == errors.OK
    row = link(settled, "a b c")
    assert (row.failures, row.parked, row.probed_at) == (0, None, None)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("[ ] a b", "[x] a c", "reworded, ticked"),
        ("[x] a", "[ ] a due:2026-12-24", "reopened, due date set"),
        ("[ ] a due:2026-12-24", "[ ] a due:2026-12-25", "due date changed"),
        ("[ ] a due:2026-12-24", "[ ] a", "due date cleared"),
    ],
)
async def test_the_history_tells_what_was_changed(
    person: Person, before: str, after: str, told: str
) -> None:
    """Each field that travelled, in words."""
    for line in (before, after):
        person.write(f"- {line}\n")
        await person.cycle()
    assert history(person)[-1][::2] == ("task.changed", told)


async def test_an_edit_that_breaks_the_server_is_set_aside(settled: Person) -> None:
    """Five failures in a row while others get through: parked, and tried again in an hour."""
    settled.sandbox.poison.add("a b c poison")
    settled.write("- [ ] a b c poison\n- [ ] stay\n- [ ] new\n")
    assert (await settled.cycle()).code == errors.TEMPORARY
    with Store.open(settled.store_path) as store:
        failed = store.history(20)[-1]
    row = link(settled, "a b c poison")
    assert (failed.event, failed.text, failed.key) == ("task.failed", "a b c poison", row.key)
    assert failed.detail
    outcome = await settled.settle()
    assert outcome.code == errors.PARKED
    row = link(settled, "a b c poison")
    assert row.parked is not None
    assert row.parked.reason.startswith("Omi failed 5 times in a row on this task (")
    assert row.parked.status == 0
    assert row.parked.retry_at == row.parked.since + 3600.0
    assert settled.omi() == {"a b c": False, "stay": False, "new": False}


@pytest.mark.parametrize("line", ["a b c poison", "new poison"])
async def test_what_breaks_the_server_is_tried_once_an_hour(
    settled: Person, clock: Clock, line: str
) -> None:
    """Though nobody else gets through then; an hour later it may be well."""
    settled.sandbox.poison.add(line)
    settled.write(f"- [ ] {line}\n- [ ] stay\n- [ ] other\n")
    assert (await settled.settle()).code == errors.PARKED
    for _ in range(2):
        clock.pass_by(3601)
        settled.sent()
        assert (await settled.settle()).code == errors.PARKED
        tried = [request.path for request in settled.sandbox.requests if request.method != "GET"]
        assert len(tried) == len({*tried}) <= 2  # and a word about another that is well
    clock.pass_by(3601)
    settled.sandbox.poison.clear()
    assert (await settled.settle()).code == errors.OK
    assert link(settled, line).failures == 0


@pytest.mark.parametrize(
    ("others", "code"),
    [
        ((0, 0, 0), errors.TEMPORARY),
        ((1, 0, 0), errors.PARKED),
        ((9, 1, 0), errors.TEMPORARY),
        ((10, 1, 0), errors.PARKED),
        ((10, 2, 0), errors.TEMPORARY),
        ((10, 0, 100), errors.PARKED),
        ((10, 0, 110), errors.PARKED),
        ((10, 0, 111), errors.TEMPORARY),
    ],
)
async def test_only_a_task_that_fails_alone_is_to_blame(
    settled: Person, clock: Clock, others: tuple[int, int, float], code: int
) -> None:
    """Where more than one in ten others fail, or none got through meanwhile, it is the server."""
    through, failing, ago = others
    clock.pass_by(3601)
    key = link(settled, "a b c").key
    with Store.open(settled.store_path) as store, store.transaction():
        store.record(Event(clock.now - 500, "task.failed", key=key))  # before its last success
        store.record(*(Event(clock.now - ago, "task.changed", key=f"t{n}") for n in range(through)))
        store.record(*(Event(clock.now - 100 + n, "task.failed", key=key) for n in range(4)))
        store.record(*(Event(clock.now, "task.failed", key=f"f{n}") for n in range(failing)))
        store.put_links([one.but(failures=4) for one in store.links() if one.seen.text == "a b c"])
    settled.sandbox.fault_next("5xx_before", method="PATCH")
    settled.write("- [x] a b c\n- [ ] stay\n")
    settled.sent()
    assert (await settled.cycle()).code == code
    asked = ago > 100 and code == errors.PARKED  # they got through before the first failure
    assert len(settled.sent()) == 1 + 2 * asked


@pytest.mark.parametrize(
    ("asked", "code", "gates"),
    [(None, errors.PARKED, 0), ("5xx_before", errors.TEMPORARY, 0), ("429", errors.TEMPORARY, 1)],
)
async def test_where_others_got_through_only_before_the_server_is_asked(
    settled: Person, clock: Clock, asked: Fault | None, code: int, gates: int
) -> None:
    """By a write about another that changes nothing; an outage may have begun just after it."""
    clock.pass_by(3601)
    key = link(settled, "a b c").key
    with Store.open(settled.store_path) as store, store.transaction():
        store.record(Event(clock.now - 11, "task.changed", key="other"))
        store.record(*(Event(clock.now - 10 + n, "task.failed", key=key) for n in range(4)))
        store.put_links([one.but(failures=4) for one in store.links() if one.seen.text == "a b c"])
    settled.sandbox.fault_next("5xx_before", asked, method="PATCH")
    settled.write("- [x] a b c\n- [ ] stay\n")
    settled.sent()
    assert (await settled.cycle()).code == code
    edit, look, check = settled.sandbox.requests
    assert [one.method for one in (edit, look, check)] == ["PATCH", "GET", "PATCH"]
    assert check.path.endswith(str(link(settled, "stay").remote_id))
    assert check.body == {"completed": False}
    with Store.open(settled.store_path) as store:
        assert len(store.gates()) == gates
    assert settled.omi() == {"a b c": False, "stay": False}


async def test_within_a_limit_the_server_is_not_asked(settled: Person, clock: Clock) -> None:
    """Another request of the cycle may have met it a moment before."""
    clock.pass_by(3601)
    key = link(settled, "a b c").key
    async with settled.desk() as desk:
        with desk.store.transaction():
            desk.store.record(Event(clock.now - 11, "task.changed", key="other"))
            failed = (Event(clock.now - 10 + n, "task.failed", key=key) for n in range(5))
            desk.store.record(*failed)
        run = Run(desk, clock.now)
        settled.sent()
        sick = link(settled, "a b c").but(failures=5)
        run.shut_for(errors.RateLimited("write", 60.0))
        assert not await is_poison(run, sick)
        assert settled.sent() == []
        clock.pass_by(60)
        assert not await is_poison(run, sick)  # once a cycle
        run = Run(desk, clock.now)
        assert all(await asyncio.gather(*(is_poison(run, sick) for _ in range(3))))
        assert settled.sent() == [("GET", 200), ("PATCH", 200)]
        assert not await is_poison(run, sick, 6)
        assert not await is_poison(run, sick, 4)


async def test_an_outage_of_writes_costs_two_more_requests_for_five_tries(
    settled: Person, clock: Clock
) -> None:
    """Others got through right before it: only then is there anything to find out."""
    clock.pass_by(1)
    settled.sandbox.fault_next(*["5xx_before"] * 50, method="PATCH")
    settled.write("- [x] a b c\n- [ ] stay\n")
    settled.sent()
    for _ in range(15):
        assert (await settled.cycle()).code == errors.TEMPORARY
        clock.pass_by(1)
    assert [method for method, _ in settled.sent()] == [*["PATCH"] * 5, "GET", "PATCH"] * 3


@pytest.mark.parametrize(
    ("asked", "code"), [("5xx_before", errors.TEMPORARY), (None, errors.PARKED)]
)
async def test_where_nobody_remembers_the_failures_the_server_is_asked(
    settled: Person, asked: Fault | None, code: int
) -> None:
    """Its history is gone, so nobody knows how others fared meanwhile."""
    with Store.open(settled.store_path) as store, store.transaction():
        store.put_links([link(settled, "a b c").but(failures=4)])
    settled.sandbox.fault_next("5xx_before", asked, method="PATCH")
    settled.write("- [x] a b c\n- [ ] stay\n")
    assert (await settled.cycle()).code == code


@pytest.mark.parametrize("sick", [1, 2, 3])
async def test_tasks_that_fail_for_an_hour_where_nobody_else_writes_are_set_aside(
    settled: Person, clock: Clock, sick: int
) -> None:
    """The server, asked, takes a write about one that is well; without that it may be an outage."""
    texts = ["a b c", "stay", "third thing"]
    settled.write("- [ ] {}\n- [ ] {}\n- [x] {}\n".format(*texts))
    await settled.settle()
    clock.pass_by(60)
    settled.sandbox.poison.update(f"{text} poison" for text in texts)
    texts = [f"{text} poison" if n < sick else text for n, text in enumerate(texts)]
    settled.write("- [ ] {}\n- [ ] {}\n- [x] {}\n".format(*texts))
    codes = []
    for _ in range(15):
        codes.append((await settled.cycle()).code)
        clock.pass_by(300)
    last = errors.TEMPORARY if sick == 3 else errors.PARKED
    assert codes == [errors.TEMPORARY] * 14 + [last]
    parked = [link(settled, text).parked is not None for text in texts]
    assert parked == [n < sick < 3 for n in range(3)]


async def test_a_limit_of_reads_lets_no_write_wait(settled: Person, clock: Clock) -> None:
    """Met where it was asked whether the server is well: the edit is tried as before."""
    clock.pass_by(1)
    settled.sandbox.fault_next(*["5xx_before"] * 12, method="PATCH")
    settled.sandbox.fault_next("429", method="GET")
    settled.sandbox.retry_after = 3600
    settled.write("- [x] a b c\n- [ ] stay\n")
    settled.sent()
    for _ in range(12):
        outcome = await settled.cycle()
        assert (outcome.code, outcome.retry_at) == (errors.TEMPORARY, None)
        clock.pass_by(1)
    assert settled.sandbox.reads == 1
    with Store.open(settled.store_path) as store:
        assert [*store.gates()] == ["read"]


async def test_in_an_outage_of_writes_nothing_is_set_aside(settled: Person, clock: Clock) -> None:
    """However long it lasts, and though the server says that an id which cannot be is not."""
    clock.pass_by(7200)
    settled.sandbox.fault_next(*["5xx_before"] * 100, method="PATCH")
    settled.write("- [x] a b c\n- [ ] stay\n")
    for _ in range(30):
        assert (await settled.cycle()).code == errors.TEMPORARY
        clock.pass_by(300)
    assert link(settled, "a b c").parked is None


@pytest.mark.parametrize("before", [0.001, 5.0, 60.0])
@pytest.mark.parametrize("fault", ["5xx_before", "reset_before", "5xx_after"])
async def test_an_edit_that_only_meets_an_outage_is_not_set_aside(
    settled: Person, clock: Clock, fault: Fault, before: float
) -> None:
    """However soon after others got through it begins, and however long it is."""
    clock.pass_by(before)
    settled.sandbox.fault_rate({fault: 1.0})
    settled.write("- [x] a b c\n- [ ] stay\n")
    for _ in range(12):
        assert (await settled.cycle()).code == errors.TEMPORARY
        clock.pass_by(1)
    settled.sandbox.fault_rate({})
    assert (await settled.cycle()).code == errors.OK
    assert settled.omi() == {"a b c": True, "stay": False}


async def test_a_server_that_answers_nothing_is_left_alone(person: Person) -> None:
    """Three writes without a usable answer, none with one, are enough for a cycle."""
    person.write("".join(f"- [ ] task {n}\n" for n in range(6)))
    await person.settle()
    person.sent()
    person.write("".join(f"- [x] task {n}\n" for n in range(6)))
    person.sandbox.fault_next("5xx_before", "5xx_before", "5xx_before", method="PATCH")
    outcome = await person.cycle()
    assert (outcome.code, outcome.waiting) == (errors.TEMPORARY, 6)
    assert [method for method, _ in person.sent()] == ["PATCH"] * 3
    with Store.open(person.store_path) as store:
        assert sorted(one.failures for one in store.links()) == [0, 0, 0, 1, 1, 1]
    await person.settle()
    with Store.open(person.store_path) as store:
        assert {one.failures for one in store.links()} == {0}


async def test_a_date_that_omi_does_not_clear_is_not_said_to_be_cleared(person: Person) -> None:
    """An older server takes the other fields of the change, and keeps the date."""
    person.write("- [ ] a due:2026-12-24\n")
    await person.settle()
    person.sandbox.clears_due = False
    person.write("- [x] a\n")
    assert len((await person.cycle()).remarks) == 1
    assert history(person)[-1] == ("task.changed", "a", "ticked, the date stays in Omi")


async def test_a_date_that_omi_refuses_to_clear_stays_there(person: Person) -> None:
    """It is told once, and the line is known to have none."""
    person.write("- [ ] a due:2026-12-24\n")
    await person.settle()
    person.write("- [ ] a\n")
    person.sandbox.fault_next("422", method="PATCH")
    outcome = await person.cycle()
    (remark,) = outcome.remarks
    assert remark == (
        "Omi's server does not clear due dates yet: “a” keeps its date there."
        " Remove it in the Omi app if it matters."
    )
    assert history(person)[-1] == ("task.changed", "a", "the date stays in Omi")
    row = link(person, "a")
    assert row.base is not None
    assert (row.base.local, row.clear_due, row.doubt) == (row.seen, True, frozenset())
    assert row.base.remote.due_at is not None
    assert (await person.cycle()).idle
    person.write("- [ ] a due:2026-12-25\n")
    assert (await person.cycle()).remarks == ()
    assert not link(person, "a").clear_due


async def test_a_line_that_goes_with_its_item_is_remembered(person: Person) -> None:
    """The removal guard counts open lines; what they said is buried, and the history tells."""
    person.settings = f'{TWO_WAY}on_remote_removal = "remove"\n'
    person.write("- [ ] a\n- [x] b\n- [ ] stay\n- [ ] more\n")
    await person.settle()
    rows = {text: link(person, text) for text in "ab"}
    for one in [*person.sandbox.items.values()]:
        if one.description in rows:
            del person.sandbox.items[one.id]
    await person.settle()
    for _ in range(3):
        await person.settle()
    assert person.todo.read_text() == "- [ ] stay\n- [ ] more\n"
    buried = {one.task.text: one for one in stones(person) if one.key.startswith("gone-")}
    for text, row in rows.items():
        assert row.base is not None
        at = buried[text].removed_at
        assert buried[text] == Tombstone(
            f"gone-{row.key}", "", row.base.local, row.base.remote, "gone", at, text == "a"
        )
    with Store.open(person.store_path) as store:
        told = [one for one in store.history(20) if one.event == "line.removed"]
        left = sorted(one.seen.text for one in store.links())
    assert [(one.text, one.key) for one in told] == [(t, rows[t].key) for t in "ab"]
    assert all(one.at == person.clock.now for one in told)
    assert left == ["more", "stay"]


async def twins(both: Person, other: Person, new: str = "- [ ] new\n") -> None:
    """Let two machines make an item each of one new line."""
    for machine in (both, other):
        machine.settings = TWO_WAY
        machine.write("- [ ] start\n")
        await machine.settle()
    both.sandbox.limits["read"] = 0
    for machine in (both, other):
        machine.write(f"- [ ] start\n{new}")
        await machine.cycle(now=True)
    both.sandbox.limits["read"] = None
    both.clock.pass_by(3700)


@pytest.mark.parametrize("fault", ["422", "5xx_before", None])
async def test_a_twin_is_taken_back_in_the_end(
    person: Person, tmp_path_factory: pytest.TempPathFactory, fault: Fault | None
) -> None:
    """A refusal is told; whatever came between, one item is left, and the history tells."""
    other = Person(tmp_path_factory.mktemp("other"), person.sandbox, person.clock)
    await twins(person, other)
    await person.settle()
    if fault:
        person.sandbox.fault_next(fault, method="DELETE")
        outcome = await other.cycle(now=True)
        assert len(person.sandbox.items) == 3
        assert outcome.counts.get("twin.removed", 0) == 0
        if fault == "422":
            (remark,) = outcome.remarks
            assert remark.startswith("“new” is twice in Omi: ")
            outcome = await other.cycle(now=True)
            assert (outcome.remarks, outcome.counts) == ((), {})
            person.clock.pass_by(86_400)  # then it is asked for again
        else:
            assert outcome.code == errors.TEMPORARY
            assert outcome.troubles
    assert (await other.cycle(now=True)).counts["twin.removed"] == 1
    assert history(other)[-1] == ("twin.removed", "new", "")
    assert "task.archived" not in {event for event, _, _ in history(other)}
    assert stones(other) == []
    assert person.omi() == {"start": False, "new": False}


async def test_a_twin_that_cannot_be_deleted_is_asked_for_now_and_then(
    person: Person, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A server that fails at it each time keeps nobody out of sync for ever."""
    other = Person(tmp_path_factory.mktemp("other"), person.sandbox, person.clock)
    await twins(person, other)
    await person.settle()
    for wait, code in ((0, errors.TEMPORARY), (3700, errors.TEMPORARY), (0, errors.OK)):
        person.clock.pass_by(wait)
        person.sandbox.fault_next("5xx_before", method="DELETE")
        assert (await other.cycle(now=True)).code == code
    person.sandbox._faults.queue.clear()
    person.clock.pass_by(3700)
    assert (await other.cycle(now=True)).counts == {"twin.removed": 1}


async def test_a_twin_whose_deletion_was_not_answered_is_told_of(
    person: Person, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It is asked for again: what was deleted is in the history."""
    other = Person(tmp_path_factory.mktemp("other"), person.sandbox, person.clock)
    await twins(person, other)
    await person.settle()
    person.sandbox.fault_next("reset_after", method="DELETE")
    await other.cycle(now=True)
    assert len(person.sandbox.items) == 2
    assert (await other.cycle(now=True)).counts == {"twin.removed": 1}
    assert history(other)[-1] == ("twin.removed", "new", "")


async def test_an_equal_item_that_is_undeleted_becomes_a_line(person: Person) -> None:
    """Its line went with it; that of the other text is not its twin."""
    person.settings = TWO_WAY + 'on_remote_removal = "remove"\n'
    person.write("- [ ] Eggs\n- [ ] Milk\n- [ ] Milk\n")
    await person.settle()
    first = min(
        (one for one in person.sandbox.items.values() if one.description == "Milk"),
        key=lambda one: (one.created_at, one.id),
    )
    del person.sandbox.items[first.id]
    for _ in range(3):
        await person.settle()
    assert person.todo.read_text() == "- [ ] Eggs\n- [ ] Milk\n"
    person.sandbox.items[first.id] = first
    await person.settle()
    assert person.todo.read_text().count("Milk") == 1  # the list may be late
    person.clock.pass_by(121)
    await person.settle()
    assert person.todo.read_text().count("Milk") == 2
    assert len(person.sandbox.items) == 3


async def test_an_equal_item_that_is_opened_again_becomes_a_line(person: Person) -> None:
    """Its line is gone; the item of the other line is not its twin."""
    person.settings = TWO_WAY + 'on_remote_removal = "remove"\n'
    person.write("- [ ] Milk\n- [ ] Eggs\n- [ ] Milk\n")
    await person.settle()
    person.write("- [ ] Eggs\n- [ ] Milk\n")
    await person.settle()
    (finished,) = [one for one in person.sandbox.items.values() if one.completed]
    finished.completed = False
    await person.settle()
    assert sorted(person.todo.read_text().splitlines()) == ["- [ ] Eggs", *["- [ ] Milk"] * 2]
    del person.sandbox.items[finished.id]
    for _ in range(3):
        await person.settle()
    assert person.todo.read_text().count("Milk") == 1
    person.sandbox.items[finished.id] = finished
    await person.settle()
    assert person.todo.read_text().count("Milk") == 2
    assert len(person.sandbox.items) == 3


async def test_twins_that_cannot_be_taken_back_are_left_alone(
    person: Person, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Three deletions without a usable answer are enough for a cycle; the next takes back all."""
    other = Person(tmp_path_factory.mktemp("other"), person.sandbox, person.clock)
    await twins(person, other, "".join(f"- [ ] new {n}\n" for n in range(5)))
    await person.settle()
    person.sandbox.fault_next("5xx_before", "5xx_before", "5xx_before", method="DELETE")
    person.sent()
    await other.cycle(now=True)
    assert [method for method, _ in person.sent()].count("DELETE") == 3
    assert (await other.cycle(now=True)).counts["twin.removed"] == 5
    assert len(person.omi()) == 6


async def test_the_history_tells_what_the_guard_stopped(person: Person) -> None:
    """Once for the same numbers; what was not refused before is not allowed either."""
    person.settings = f'{TWO_WAY}on_remote_removal = "remove"\n'
    person.write("".join(f"- [ ] task {n}\n" for n in range(8)))
    await person.settle()
    person.sandbox.items.clear()
    for _ in range(3):
        outcome = await person.cycle(now=True)
    assert outcome.code == errors.BAD_FILE
    told = [one for one in history(person) if one[0] == "guard.stopped"]
    assert told == [("guard.stopped", "", "the removal guard: 8 of 8 lines")]
    with Store.open(person.store_path) as store, store.transaction():
        store.put_fact("refused_departure", [7, 8])
    outcome = await person.cycle(now=True, allow_removals=True)
    assert outcome.code == errors.BAD_FILE
    await person.cycle(now=True, allow_removals=True)
    with Store.open(person.store_path) as store:
        assert store.fact("refused_departure") is None
    await person.settle()
    assert person.todo.read_text() == ""


CALL, TODAY, DATED, DONE, OTHER = (
    "- [ ] call the plumber\n",
    "- [ ] call the plumber today\n",
    "- [ ] call the plumber due:2027-02-02\n",
    "- [x] call the plumber\n",
    "- [ ] stay\n",
)


@pytest.mark.parametrize("fault", ["reset_before", "reset_after"])
@pytest.mark.parametrize("edited", [TODAY, DATED, DONE])
@pytest.mark.parametrize("back", [CALL, TODAY, DATED, DONE])
async def test_a_line_that_comes_back_says_what_omi_says(
    person: Person, fault: Fault, edited: str, back: str
) -> None:
    """Its last edit was not answered before it went: neither side keeps another word or date."""
    person.settings = '[sync]\ntimezone = "UTC"\n'
    person.write(CALL + OTHER)
    await person.settle()
    person.write(edited + OTHER)
    person.sandbox.fault_next(fault, method="PATCH")
    assert (await person.cycle()).code == errors.TEMPORARY
    person.write(OTHER)
    await person.settle()
    person.write(back + OTHER)
    await person.settle()
    done, text, due = back[3] == "x", back[6:].partition(" due:")[0].strip(), "due:" in back
    ours = link(person, text)
    one = person.sandbox.items[ours.remote_id or ""]
    assert (one.description, one.completed) == (text, done)
    assert (one.due_at is not None) == due
    if edited == back:
        assert len(person.sandbox.items) == 2, "it is the same task"


async def test_a_deletion_without_an_answer_is_asked_about_under_another_policy(
    person: Person,
) -> None:
    """Else a line that comes back would be tied to an item that is gone."""
    person.settings = '[sync]\non_removal = "delete"\n'
    person.write(DONE + OTHER)
    await person.settle()
    person.write(OTHER)
    person.sandbox.fault_next("reset_after", method="DELETE")
    await person.cycle()
    person.settings = ""
    await person.settle()
    person.write(DONE + OTHER)
    await person.settle()
    person.write(CALL + OTHER)
    await person.settle()
    assert person.omi() == {"call the plumber": False, "stay": False}


async def gone_and_back(person: Person, synced: str, *, unsent: str, back: str) -> None:
    """Sync a line, edit it under a limit, remove it once that is over, and write it again."""
    person.write(synced + OTHER)
    await person.settle()
    person.sandbox.fault_rate({"429": 1.0})
    person.write(unsent + OTHER)
    await person.cycle()
    person.sandbox.fault_rate({})
    person.clock.pass_by(DAY)
    for text in (OTHER, back + OTHER):
        person.write(text)
        await person.settle()


async def test_the_date_that_was_taken_away_is_cleared_when_the_line_is_back(
    person: Person,
) -> None:
    """Omi did not hear of it before the line went."""
    await gone_and_back(person, DATED, unsent=CALL, back=CALL)
    one = item(person, "call the plumber")
    assert (one.due_at, one.completed) == (None, False)


@pytest.mark.parametrize("on_removal", ["complete", "keep"])
@pytest.mark.parametrize("direction", ["push", "two-way"])
async def test_a_tick_that_did_not_get_through_makes_no_twin(
    person: Person, on_removal: str, direction: str
) -> None:
    """The line went, and the next round of the chore is written: the item is open still."""
    person.settings = f'[sync]\ndirection = "{direction}"\non_removal = "{on_removal}"\n'
    await gone_and_back(person, CALL, unsent=DONE, back=CALL)
    assert person.omi() == {"call the plumber": False, "stay": False}
    assert len(person.sandbox.items) == 2


async def test_a_date_that_the_server_keeps_stays_out_of_a_line_that_comes_back(
    person: Person,
) -> None:
    """It is cleared anew, and in two-way does not read as news of the app."""
    person.settings = TWO_WAY
    person.sandbox.clears_due = False
    person.write(DATED + OTHER)
    await person.settle()
    for text in (CALL + OTHER, OTHER, CALL + OTHER):
        person.write(text)
        await person.settle()
    assert (await person.cycle(now=True)).counts == {}
    assert person.todo.read_text() == CALL + OTHER


@pytest.mark.parametrize("fault", ["reset_before", "reset_after", "402"])
async def test_a_line_may_go_and_come_back_and_again(person: Person, fault: Fault) -> None:
    """Though the first reopening was refused, or not answered, it is the same item."""
    person.write(CALL + OTHER)
    await person.settle()
    person.write(OTHER)
    await person.settle()
    person.write(CALL + OTHER)
    person.sandbox.fault_next(fault, method="PATCH")
    await person.cycle()
    person.write(OTHER)
    await person.settle()
    person.write(CALL + OTHER)
    await person.settle()
    assert person.omi() == {"call the plumber": False, "stay": False}
    assert len(person.sandbox.items) == 2


@pytest.mark.parametrize("settings", ["", 'on_removal = "keep"\n', TWO_WAY])
async def test_a_rewording_that_was_not_sent_finds_its_item(person: Person, settings: str) -> None:
    """Its line went before Omi heard of it, and comes back: it is the same task, said anew."""
    person.settings = settings if settings == TWO_WAY else f"[sync]\n{settings}"
    await gone_and_back(person, CALL, unsent=TODAY, back=TODAY)
    assert person.omi() == {"call the plumber today": False, "stay": False}
    person.write(OTHER)
    await person.settle()
    person.write(CALL + OTHER)
    await person.settle()
    assert len(person.sandbox.items) == 3, "which is another text by now"


async def unheard(person: Person) -> None:
    """Let a line go whose rewording was not sent."""
    await gone_and_back(person, CALL, unsent=TODAY, back="")


@pytest.mark.parametrize("settings", ["", 'on_removal = "keep"\n', TWO_WAY])
async def test_an_item_that_says_just_that_comes_first(person: Person, settings: str) -> None:
    """Before that of a line which said it last, and of which Omi did not hear."""
    person.settings = settings if settings == TWO_WAY else f"[sync]\n{settings}"
    await unheard(person)
    theirs = person.sandbox.add("call the plumber today")
    person.write(TODAY + OTHER)
    await person.settle()
    assert link(person, "call the plumber today").remote_id == theirs.id
    assert len(person.sandbox.items) == 3


@pytest.mark.parametrize("settings", ["", TWO_WAY])
async def test_a_line_that_says_what_the_item_says_comes_first(
    person: Person, settings: str
) -> None:
    """Before one that says what the line said last, wherever they stand."""
    person.settings = settings
    await unheard(person)
    former = item(person, "call the plumber")
    person.write(TODAY + OTHER + CALL)
    await person.settle()
    assert link(person, "call the plumber").remote_id == former.id
    assert (former.description, former.completed) == ("call the plumber", False)
    assert len(person.sandbox.items) == 3


async def test_words_of_which_omi_did_not_hear_do_without_a_look(person: Person) -> None:
    """Where reads are limited the item is told: made anew, the line would have two."""
    await unheard(person)
    person.sandbox.fault_next("429", method="GET")
    person.write(TODAY + OTHER)
    person.sent()
    await person.settle()
    assert [method for method, _ in person.sent()] == ["GET", "PATCH"]
    assert person.omi() == {"call the plumber today": False, "stay": False}


@pytest.mark.parametrize("text", ["w " * 300 + "end", ""])
async def test_an_item_in_doubt_is_not_asked_for_by_words_that_it_no_longer_has(
    person: Person, text: str
) -> None:
    """A deletion got no answer, the line came back, and the app had reworded the item."""
    person.settings = f'{TWO_WAY}on_removal = "delete"\nremoval_grace = 0\n'
    rest = "".join(f"- [ ] {name}\n" for name in "bcdef")
    person.write(f"- [ ] a\n{rest}")
    await person.settle()
    one = item(person, "a")
    person.write(rest)
    person.sandbox.fault_next("5xx_before", method="DELETE")
    await person.cycle(now=True)
    one.description = text
    person.write(f"- [ ] a\n{rest}")
    await person.settle()
    await person.settle()
    assert one.description == text
    assert link(person, "a" if not text else text.strip()).doubt == frozenset()
