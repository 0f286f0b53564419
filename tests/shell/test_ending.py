"""The outcome of a cycle: what it returns, what status tells, when the next one may be idle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omisync import errors, file, sync
from omisync.core import remains
from omisync.store import Store, schema

if TYPE_CHECKING:
    from person import Clock, Person

DAY = 86_400.0


@pytest.fixture
async def settled(person: Person) -> Person:
    """Someone whose two tasks are in Omi."""
    person.write("- [ ] a\n- [ ] b\n")
    await person.cycle()
    person.sent()
    return person


def fact(person: Person, name: str) -> dict[str, object]:
    """Return what the store notes under this name."""
    with Store.open(person.store_path) as store:
        found = store.fact(name)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("- [ ] z\n- [ ] a\n", []),
        ("- [ ] z\n- [ ] a\n- b\n", [3]),
        ("- [ ] z\n- [ ] a\n- [ ] b\n", []),
        ("- [ ] z\n- [ ] a\n  b\n", [3]),
        ("- [ ] z\n- [ ] a\n  and b\n", []),
    ],
)
async def test_a_removed_line_is_told_of_where_its_words_are_no_task_s(
    settled: Person, text: str, lines: list[int]
) -> None:
    """What says them as a task, or within one, is what it is meant to be."""
    settled.write("- [ ] z\n- [ ] a\n- [ ] b\n- [ ] b\n")
    await settled.cycle()
    settled.write(text)
    outcome = await settled.cycle()
    assert outcome.counts["task.removed"] > 0
    assert [notice.line for notice in outcome.notices] == lines


async def test_words_that_begin_another_line_are_no_lost_task(person: Person) -> None:
    """Also where nothing else was known: they are the other task's."""
    person.write("- [ ] mow\n")
    await person.cycle()
    person.write("- [ ] call mum\n- [ ] mow the lawn of the neighbours on sunday morning\n")
    outcome = await person.cycle()
    assert (outcome.counts["task.removed"], outcome.notices) == (1, ())


async def test_status_is_told_how_a_sync_went(settled: Person, clock: Clock) -> None:
    """When it was, how it ended, since when it fails, and what there is to do."""
    began = clock.now
    well = {
        "at": began,
        "code": errors.OK,
        "tasks": 2,
        "waiting": 0,
        "retry_at": None,
        "next_at": None,
        "success_at": began,
        "failing_since": None,
        "troubles": [],
        "guarded": False,
        "remarks": [],
        "kinds": [],
    }
    assert fact(settled, "last") == well
    clock.pass_by(100)
    settled.write("- [ ] a\n- [x] b\n- [ ] c\n")
    settled.sandbox.retry_after = 60
    settled.sandbox.fault_next("429", method="POST")
    outcome = await settled.cycle()
    (trouble,) = outcome.troubles
    limited = {
        "at": began + 100,
        "code": errors.TEMPORARY,
        "tasks": 3,
        "waiting": 2,
        "retry_at": began + 160,
        "failing_since": began + 100,
        "troubles": [[trouble.message, trouble.advice]],
        "kinds": ["RateLimited"],
    }
    assert fact(settled, "last") == well | limited
    clock.pass_by(10)
    settled.todo.unlink()
    outcome = await settled.cycle()
    (trouble,) = outcome.troubles
    assert (outcome.code, outcome.tasks, outcome.plan) == (errors.NO_FILE, None, None)
    missing = {
        "at": began + 110,
        "code": errors.NO_FILE,
        "waiting": 0,
        "retry_at": None,
        "next_at": None,
        "troubles": [[trouble.message, trouble.advice]],
        "kinds": ["FileMissing"],
    }
    assert fact(settled, "last") == well | limited | missing
    clock.pass_by(60)
    settled.write("- [ ] a\n- [x] b\n- [ ] c\n")
    outcome = await settled.cycle()
    assert (outcome.tasks, outcome.progress, outcome.idle) == (3, True, False)
    assert fact(settled, "last") == well | {
        "at": began + 170, "tasks": 3, "success_at": began + 170
    }  # fmt: skip
    settled.write("")
    await settled.cycle()
    assert fact(settled, "last")["guarded"] is True


async def test_what_is_settled_is_of_the_moment_of_the_look(person: Person, clock: Clock) -> None:
    """However long the requests take: a save meanwhile may leave times and size as they are."""
    began = clock.now

    def late(step: str) -> None:
        clock.pass_by(60.0 if step == "request.sent" else 0.0)

    person.trace = late
    person.write("- [ ] a\n")
    assert (await person.cycle()).code == errors.OK
    assert clock.now > began
    assert fact(person, "settled")["at"] == began


async def test_the_reason_is_told_as_long_as_a_create_is_looked_for(
    person: Person, clock: Clock
) -> None:
    """The looks that find nothing have none of their own."""
    person.write("- [ ] a\n")
    await person.cycle()
    person.write("- [ ] a\n- [ ] b\n")
    person.sandbox.fault_next("5xx_before", method="POST")
    outcome = await person.cycle()
    (trouble,) = outcome.troubles
    clock.pass_by(0.5)
    later = await person.cycle()
    assert (later.code, later.troubles) == (errors.TEMPORARY, ())
    assert outcome.then(later).troubles == (trouble,)
    assert fact(person, "last")["troubles"] == [[trouble.message, trouble.advice]]
    clock.pass_by(60)
    await person.settle()
    assert fact(person, "last")["troubles"] == []
    person.write("- [x] a\n- [ ] b\n")
    person.sandbox.fault_next("5xx_before", method="PATCH")
    assert (await person.cycle()).troubles != ()
    async with person.desk() as desk:
        desk.hurry = True
        later = await sync.cycle(desk)
    assert (later.code, later.troubles) == (errors.TEMPORARY, ())
    assert fact(person, "last")["troubles"] == []  # of an edit, which is just sent again


async def test_a_first_sync_that_fails_knows_no_success(person: Person, clock: Clock) -> None:
    """And no number of tasks where there is no file."""
    outcome = await person.cycle()
    assert (outcome.code, outcome.remarks) == (errors.NO_FILE, ())
    last = fact(person, "last")
    assert (last["tasks"], last["success_at"], last["failing_since"]) == (None, None, clock.now)


async def test_a_failure_has_lasted_since_no_time_to_come(settled: Person, clock: Clock) -> None:
    """It was noted while the clock was ahead; an alarm would wait until it is as late again."""
    settled.write("- [ ] a\n- [x] b\n- [ ] c\n")
    settled.sandbox.fault_rate({"5xx_before": 1.0})
    clock.pass_by(86_400)
    await settled.cycle()
    assert fact(settled, "last")["failing_since"] == clock.now
    clock.pass_by(-86_400)
    await settled.cycle()
    assert fact(settled, "last")["failing_since"] == clock.now
    clock.pass_by(60)
    await settled.cycle()
    assert fact(settled, "last")["failing_since"] == clock.now - 60


async def test_what_is_wrong_after_a_good_sync_is_how_it_ended(
    settled: Person, clock: Clock
) -> None:
    """The sync, as status tells it, ended with that; what it did is told all the same."""
    settled.write("- [ ] a\n- [x] b\n- [ ] c\n")
    async with settled.desk() as desk:
        good = await sync.cycle(desk)
        clock.pass_by(10)
        error = errors.KeyProblem("There is no key", "Write one down")
        outcome = sync.failed_after(desk, good, error)
    assert (outcome.code, outcome.troubles) == (errors.BAD_KEY, (error,))
    assert (outcome.counts, outcome.tasks) == (good.counts, 3)
    last = fact(settled, "last")
    assert (last["code"], last["at"]) == (errors.BAD_KEY, clock.now)
    assert last["troubles"] == [["There is no key", "Write one down"]]
    assert (last["success_at"], last["failing_since"]) == (clock.now - 10, clock.now)


async def test_a_file_that_is_back_as_it_was_is_well(settled: Person, clock: Clock) -> None:
    """The sync is idle, and status hears that all is well again, and what there was to say."""
    text = "- [ ] a\n- [ ] b\n- [ ] c omi:nobody\n"
    settled.write(text)
    (remark,) = (await settled.cycle()).remarks
    settled.todo.unlink()
    await settled.cycle()
    clock.pass_by(10)
    settled.write(text)
    outcome = await settled.cycle()
    assert (outcome.idle, outcome.code) == (True, errors.OK)
    assert fact(settled, "last")["success_at"] == clock.now
    assert fact(settled, "last")["remarks"] == [remark]
    at = fact(settled, "last")["at"]
    clock.pass_by(10)
    assert (await settled.cycle()).idle
    assert fact(settled, "last")["at"] == at, "an idle sync after a good one writes nothing"


async def test_an_idle_sync_tells_what_the_last_one_left(settled: Person, clock: Clock) -> None:
    """Parked tasks, the tasks there are, and when something is due."""
    settled.sandbox.refuse["bad"] = 402
    settled.write("- [ ] a\n- [ ] bad\n- [x] b\n")
    outcome = await settled.cycle()
    assert (outcome.code, len(outcome.parked)) == (errors.PARKED, 1)
    settled.sent()
    idle = await settled.cycle()
    assert idle == sync.Outcome(
        errors.PARKED, look_at=clock.now + DAY, tasks=3, still_parked=outcome.parked, idle=True
    )
    clock.pass_by(DAY - 1)
    assert (await settled.cycle()).idle
    assert settled.sent() == []
    clock.pass_by(1)
    outcome = await settled.cycle()
    assert not outcome.idle
    assert [method for method, _ in settled.sent()].count("POST") == 1


async def test_a_sync_is_idle_only_where_nothing_else_is_so(settled: Person, clock: Clock) -> None:
    """The same bytes, the same settings, and a clock that went on."""
    assert (await settled.cycle()).idle
    async with settled.desk() as desk:
        desk.setting = "another"
        assert not (await sync.cycle(desk)).idle
        assert (await sync.cycle(desk)).idle
    clock.pass_by(-1)
    async with settled.desk() as desk:
        desk.setting = "another"
        assert not (await sync.cycle(desk)).idle
    noted = fact(settled, "settled")
    assert noted == {
        "digest": file.read(settled.todo).digest,
        "signature": list(file.read(settled.todo).signature),
        "at": clock.now,
        "setting": "another",
        "code": errors.OK,
        "tasks": 2,
        "parked": 0,
        "look_at": None,
        "listing": None,
        "due_at": None,
        "remarks": [],
        "format": schema.VERSION,
    }


async def test_what_another_omisync_noted_is_noted_anew(settled: Person) -> None:
    """Else each run with nothing to do would load all, until the next edit."""
    noted = fact(settled, "settled")
    with Store.open(settled.store_path) as store, store.transaction():
        store.put_fact("settled", noted | {"format": schema.VERSION - 1})
    assert (await settled.cycle()).idle
    assert fact(settled, "settled") == noted


async def test_what_is_due_first_is_looked_at_first(settled: Person, clock: Clock) -> None:
    """The end of a grace or a parked task that is tried again."""
    settled.sandbox.refuse = {"bad": 402, "worse": 422}
    parked = "- [ ] bad\n- [ ] worse\n"
    for lines in (parked[10:], parked):
        settled.write(f"- [ ] a\n- [ ] b\n{lines}")
        await settled.cycle()
    settled.write(f"- [ ] a\n{parked}")
    outcome = await settled.cycle(grace=30)
    assert outcome.look_at == clock.now + 30
    assert [link.seen.text for link in outcome.parked] == ["bad", "worse"]
    assert outcome.waiting == 0
    settled.write(f"- [ ] a\n- [ ] b\n{parked}")
    assert (await settled.cycle(grace=30)).look_at == clock.now + DAY
    settled.write(f"- [ ] a\n- [ ] b\n{parked}- [ ] new\n")
    settled.sandbox.fault_next("reset_before", method="POST")
    outcome = await settled.cycle()
    assert (outcome.code, outcome.waiting) == (errors.TEMPORARY, 1)
    settled.todo.unlink()
    outcome = await settled.cycle()
    assert (outcome.parked, outcome.look_at, outcome.waiting) == ((), None, 1)


async def test_an_unchanged_list_moves_the_next_look_only(settled: Person, clock: Clock) -> None:
    """The note of what is settled stays, but for its times; a due look is not put off by it."""
    settled.settings = '[sync]\ndirection = "two-way"\n'
    settled.sandbox.refuse["bad"] = 402
    settled.write("- [ ] a\n- [ ] b\n- [ ] bad\n")
    for _ in range(3):
        await settled.settle()
    noted = fact(settled, "settled")
    assert noted["due_at"] == clock.now + DAY
    assert noted["listing"]
    clock.pass_by(1000)
    outcome = await settled.cycle()
    assert outcome.idle
    assert [link.seen.text for link in outcome.still_parked] == ["bad"]
    assert outcome.look_at == clock.now + 300
    assert fact(settled, "settled") == noted | {"at": clock.now, "look_at": clock.now + 300}
    clock.pass_by(DAY - 1100)
    outcome = await settled.cycle()
    assert (outcome.idle, outcome.look_at) == (True, clock.now + 100)
    settled.write("- [ ] a!\n- [ ] b\n- [ ] bad\n")
    assert not (await settled.cycle(now=True)).idle
    settled.write("- [ ] a\n- [ ] b\n- [ ] bad\n")
    await settled.settle()
    await settled.settle()
    async with settled.desk() as desk:
        desk.setting = "another"
        assert not (await sync.cycle(desk, now=True)).idle
    await settled.settle()
    clock.pass_by(100)
    settled.sent()
    assert not (await settled.cycle(now=True)).idle
    assert [method for method, _ in settled.sent()].count("POST") == 1


async def test_what_is_odd_in_the_file_is_told_each_time(settled: Person) -> None:
    """Also where the sync did not get far; but for that there are no remarks."""
    settled.write("- [ ] a due:2026-02-30\n- [ ] b\n")
    outcome = await settled.cycle()
    assert ([one.line for one in outcome.notices], outcome.remarks) == ([1], ())
    settled.write("- [ ] a due:2026-02-30\n- [x] b\n")
    settled.key = "omi_dev_unknown_key_000000"
    outcome = await settled.cycle()
    assert outcome.code == errors.BAD_KEY
    assert ([one.line for one in outcome.notices], outcome.remarks) == ([1], ())


async def test_a_removed_task_whose_words_are_there_still_is_told(settled: Person) -> None:
    """Among all else that is told of the file, from its first line to its last."""
    settled.write("a\n\n- [ ] b due:2026-02-30\n")
    first, second = (await settled.cycle()).notices
    assert (first.line, first.message) == (1, remains.MARKDOWN)
    assert (second.line, "2026-02-30" in second.message) == (3, True)


async def test_lines_that_may_come_back_are_counted(settled: Person) -> None:
    """Told of while their grace lasts, and no more when they are there again."""
    lines = [f"- [ ] {name}\n" for name in "abcd"]
    for there in (4, 3, 2, 4):
        settled.write("".join(lines[:there]))
        outcome = await settled.cycle(grace=30)
        assert outcome.plan is not None
        assert [link.seen.text for link in outcome.plan.waiting] == [*"abcd"[there:]]
    settled.write("".join(lines[:3]))
    await settled.cycle(grace=30)
    assert (await settled.cycle()).counts == {"task.removed": 1}, "nobody gave it any grace"


async def test_an_edit_that_is_undone_before_its_answer_is_undone_in_omi(settled: Person) -> None:
    """Though the file is then as it was when nothing was left to do."""
    before = settled.todo.read_text()
    settled.write("- [x] a\n- [ ] b\n")
    settled.sandbox.fault_next("reset_after", method="PATCH")
    assert (await settled.cycle()).code == errors.TEMPORARY
    assert settled.omi() == {"a": True, "b": False}
    settled.write(before)
    assert not (await settled.cycle()).idle
    assert settled.omi() == {"a": False, "b": False}
    assert (await settled.cycle()).idle


async def test_what_is_refused_is_not_tried_again_by_itself(settled: Person) -> None:
    """Status names no time then, though a create is still to be looked for."""
    settled.write("- [ ] a\n- [ ] b\n- [ ] c\n")
    settled.sandbox.fault_next("reset_before", method="POST")
    await settled.cycle()
    settled.write("")
    outcome = await settled.cycle()
    assert (outcome.code, outcome.waiting) == (errors.BAD_FILE, 1)
    assert outcome.retry_at is not None
    last = fact(settled, "last")
    assert (last["retry_at"], last["guarded"]) == (None, True)


async def test_a_sync_in_a_hurry_is_to_go_on(settled: Person) -> None:
    """What was planned waits, and another sync is asked for at once."""
    settled.write("- [x] a\n- [x] b\n- [ ] c\n")
    async with settled.desk() as desk:
        desk.hurry = True
        outcome = await sync.cycle(desk)
        assert (outcome.again, outcome.temporary, outcome.waiting) == (True, True, 3)
        assert (outcome.code, outcome.progress) == (errors.TEMPORARY, False)
        assert settled.omi() == {"a": False, "b": False}
        desk.hurry = False
        assert (await sync.cycle(desk)).code == errors.OK
    assert settled.omi() == {"a": True, "b": True, "c": False}
