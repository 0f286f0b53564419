"""What is refused whole: what is told, what is remembered, and what the person's word allows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from person import fact

from omisync import errors, file
from omisync.store import Event, Store

if TYPE_CHECKING:
    from person import Clock, Person

TWO_WAY = '[sync]\ndirection = "two-way"\non_remote_removal = "remove"\n'
ADVICE = (
    "If the file is wrong, bring it back and all is well. If you meant it (`omisync --dry-run`"
    " shows which tasks), run `omisync --once --allow-removals`."
)


def lines(first: int, last: int) -> str:
    """Return some tasks."""
    return "".join(f"- [ ] task number {n}\n" for n in range(first, last))


def history(person: Person) -> list[Event]:
    """Return what the guard stopped."""
    with Store.open(person.store_path) as store:
        return [one for one in store.history(100) if one.event == "guard.stopped"]


async def test_a_refusal_tells_the_numbers(person: Person, clock: Clock) -> None:
    """Of the removals, and of those before within the hour; once for the same file."""
    person.write(lines(0, 20))
    await person.cycle()
    person.write(lines(0, 16))
    assert (await person.cycle()).code == errors.OK
    person.write(lines(0, 8))
    for _ in range(2):
        (trouble,) = (await person.cycle()).troubles
        assert isinstance(trouble, errors.GuardStopped)
        assert trouble.message == (
            f"{person.todo} lost 8 of 16 tasks that are open in Omi"
            " (4 more within the last hour); nothing was sent"
        )
        assert trouble.advice == ADVICE
    assert history(person) == [
        Event(clock.now, "guard.stopped", detail="the removal guard: 8 of 16 tasks")
    ]
    clock.pass_by(3601)
    person.write(lines(0, 2))
    (trouble,) = (await person.cycle()).troubles
    assert trouble.message == (
        f"{person.todo} lost 14 of 16 tasks that are open in Omi; nothing was sent"
    )
    assert [one.detail for one in history(person)] == [
        "the removal guard: 8 of 16 tasks",
        "the removal guard: 14 of 16 tasks",
    ]


async def test_who_allowed_ticks_did_not_allow_deletions(person: Person) -> None:
    """The policy was changed since the refusal: what cannot be taken back is refused anew."""
    person.write(lines(0, 10))
    await person.settle()
    person.write(lines(0, 1))
    assert (await person.cycle()).code == errors.BAD_FILE
    person.settings = '[sync]\non_removal = "delete"\n'
    assert (await person.cycle(allow_removals=True)).code == errors.BAD_FILE
    assert len(person.sandbox.items) == 10
    assert (await person.cycle(allow_removals=True)).code == errors.OK
    assert len(person.sandbox.items) == 1


async def test_a_parked_task_counts_where_it_would_go_too(person: Person) -> None:
    """Without it four of four would be three of four, which is not all."""
    person.write("# L\n" + lines(0, 4))
    await person.settle()
    person.write("# L\n" + lines(0, 3) + "- [ ] task number 3, and more\n")
    person.sandbox.fault_next("402", method="PATCH")
    assert (await person.cycle()).code == errors.PARKED
    person.write("# L\n")
    (trouble,) = (await person.cycle()).troubles
    assert isinstance(trouble, errors.GuardStopped)
    assert "lost 4 of 4 tasks" in trouble.message


async def test_what_the_app_ticked_is_not_one_that_stays(person: Person) -> None:
    """All that is open is lost, though not all that was open at the last look."""
    person.settings = TWO_WAY
    person.write("# L\n" + lines(0, 4))
    await person.settle()
    next(iter(person.sandbox.items.values())).completed = True
    person.write("# L\n")
    (trouble,) = (await person.cycle(now=True)).troubles
    assert isinstance(trouble, errors.GuardStopped)
    assert "lost 3 of 3 tasks" in trouble.message


async def test_where_items_are_deleted_finished_ones_count(person: Person) -> None:
    """And the message does not call them open."""
    person.settings = '[sync]\non_removal = "delete"\n'
    person.write("- [x] a\n- [x] b\n- [x] c\n")
    await person.cycle()
    person.write("")
    (trouble,) = (await person.cycle()).troubles
    assert trouble.message == f"{person.todo} lost 3 of 3 tasks that are in Omi; nothing was sent"


async def test_an_allowance_that_allows_nothing_says_why(person: Person) -> None:
    """It is for what was refused last, which was another version of the file."""
    person.write(lines(0, 12))
    await person.cycle()
    person.write(lines(0, 3))
    (trouble,) = (await person.cycle(allow_removals=True)).troubles
    assert trouble.advice == ADVICE.removesuffix(".") + (
        " again: it allows what was refused last, and this had not been refused before."
    )
    assert (await person.cycle(allow_removals=True)).code == errors.OK


async def test_how_much_may_go_can_be_chosen(person: Person) -> None:
    """Here everything."""
    person.settings = "[sync]\nmax_removals = 1\n"
    person.write(lines(0, 20))
    await person.cycle()
    person.write(lines(0, 1))
    assert (await person.cycle()).code == errors.OK
    assert sum(person.omi().values()) == 19


async def test_what_was_allowed_stays_allowed_while_the_file_is_the_same(
    person: Person, clock: Clock
) -> None:
    """A limit cuts the removals into two cycles; they do not count for what is removed later."""
    person.write(lines(0, 40))
    await person.cycle()
    person.write(lines(0, 15))
    await person.cycle()
    person.sandbox.fault_next(None, None, "429", method="PATCH")
    outcome = await person.cycle(allow_removals=True)
    assert outcome.code == errors.TEMPORARY
    assert 0 < outcome.counts["task.removed"] < 25
    assert fact(person, "refused") is None
    clock.pass_by(2)
    assert (await person.settle()).code == errors.OK
    assert sum(person.omi().values()) == 25
    person.write(lines(0, 9))
    assert (await person.cycle()).code == errors.OK
    person.write(lines(0, 1))
    assert (await person.cycle()).code == errors.BAD_FILE


async def test_a_refusal_is_forgotten_when_the_file_is_back(person: Person) -> None:
    """What is refused later has to be seen before it can be allowed."""
    person.write(lines(0, 20))
    await person.cycle()
    for change in ("", "- [ ] new\n"):
        person.write(lines(0, 5))
        assert (await person.cycle()).code == errors.BAD_FILE
        assert fact(person, "refused") is not None
        person.write(lines(0, 20) + change)
        assert (await person.cycle()).code == errors.OK
        assert fact(person, "refused") is None
    person.write(lines(0, 5))
    assert (await person.cycle(allow_removals=True)).code == errors.BAD_FILE


async def test_a_permission_is_for_one_file(person: Person) -> None:
    """Another file that loses as much is refused, also after one was allowed."""
    person.write(lines(0, 30))
    await person.cycle()
    person.write(lines(0, 14))
    await person.cycle()
    assert (await person.cycle(allow_removals=True)).counts == {"task.removed": 16}
    person.write(lines(0, 5))
    assert (await person.cycle()).code == errors.BAD_FILE
    assert fact(person, "allowed") is None
    person.write(lines(0, 14))
    assert (await person.cycle()).code == errors.OK


async def test_a_permission_is_used_up(person: Person) -> None:
    """A list that was emptied on purpose is filled again, and cut short: that is refused."""
    person.settings = '[sync]\non_removal = "delete"\n'
    person.write(lines(0, 4))
    await person.cycle()
    person.write("")
    await person.cycle()
    assert (await person.cycle(allow_removals=True)).counts == {"task.removed": 4}
    person.write(lines(0, 40))
    await person.cycle()
    person.write("")
    assert (await person.cycle()).code == errors.BAD_FILE
    assert len(person.omi()) == 40


async def test_no_more_may_go_than_was_allowed(person: Person) -> None:
    """The file is the same, but more lines of it have an item than when it was refused."""
    person.write(lines(0, 30))
    await person.cycle()
    person.write(lines(0, 14))
    await person.cycle()
    with Store.open(person.store_path) as store, store.transaction():
        _, count, _ = store.fact("refused")  # type: ignore[misc]  # a list of three
        store.put_fact("allowed", [file.read(person.todo).digest, count - 1])
    assert (await person.cycle()).code == errors.BAD_FILE
    assert fact(person, "allowed") == [file.read(person.todo).digest, count - 1]
    assert (await person.cycle(allow_removals=True)).counts == {"task.removed": 16}
    person.write(lines(0, 14) + "\n")
    await person.cycle()
    assert fact(person, "allowed") is None


async def test_items_that_vanish_together_are_not_taken_for_deleted(
    person: Person, clock: Clock
) -> None:
    """Lines go when the person says so, within the hour, and no more of them than that."""
    person.settings = TWO_WAY
    person.write(lines(0, 20))
    await person.settle()
    for name in [*person.sandbox.items][:12]:
        del person.sandbox.items[name]
    for _ in range(3):
        outcome = await person.cycle(now=True)
    (trouble,) = outcome.troubles
    assert isinstance(trouble, errors.GuardStopped)
    assert trouble.message == (
        f"Omi lacks 12 of 20 open tasks of {person.todo}; nothing was changed"
    )
    assert trouble.advice == (
        "If that is wrong, nothing is lost: try again later. If you deleted them, run"
        " `omisync --once --allow-removals`."
    )
    assert fact(person, "refused_departure") == [12, 20]
    assert history(person) == [
        Event(clock.now, "guard.stopped", detail="the removal guard: 12 of 20 lines")
    ]
    with Store.open(person.store_path) as store, store.transaction():
        store.put_fact("allowed_departure", {"count": 11, "until": clock.now + 100})
    assert (await person.cycle(now=True)).code == errors.BAD_FILE
    assert fact(person, "refused_departure") == [12, 20]
    outcome = await person.cycle(now=True, allow_removals=True)
    assert outcome.code != errors.BAD_FILE
    assert fact(person, "allowed_departure") == {"count": 12, "until": clock.now + 3600}
    assert fact(person, "refused_departure") is None
    clock.pass_by(3599)
    for _ in range(3):
        await person.settle()
    assert person.todo.read_text() == lines(12, 20)
    assert len(history(person)) == 1


@pytest.mark.parametrize("ids", ["off", "inline"])
async def test_items_that_come_under_other_ids_are_no_departure(person: Person, ids: str) -> None:
    """A conversation that is processed again makes them anew: the lines stay, and get those."""
    person.settings = f'{TWO_WAY}ids = "{ids}"\n'
    person.write(lines(0, 8))
    await person.settle()
    items = person.sandbox.items
    for name in [*items]:
        items[f"again{name}"] = replace(items.pop(name), id=f"again{name}")
    before = [line.partition(" omi:")[0] for line in person.todo.read_text().splitlines()]
    for _ in range(3):
        outcome = await person.settle()
    assert (outcome.code, history(person)) == (errors.OK, [])
    after = person.todo.read_text()
    assert [line.partition(" omi:")[0] for line in after.splitlines()] == before
    assert after.count("omi:again") == (8 if ids == "inline" else 0)
    with Store.open(person.store_path) as store:
        assert store.remote_ids() == set(items)


async def test_lines_that_went_before_count_for_the_permission_too(
    person: Person, clock: Clock
) -> None:
    """What was allowed is the sum of an hour."""
    person.settings = TWO_WAY
    person.write(lines(0, 20))
    await person.settle()
    for gone in (4, 8):
        for name in [*person.sandbox.items][:gone]:
            del person.sandbox.items[name]
        for _ in range(4):
            await person.cycle(now=True)
    assert person.todo.read_text() == lines(4, 20)
    assert fact(person, "refused_departure") == [8, 20]
    with Store.open(person.store_path) as store, store.transaction():
        store.put_fact("allowed_departure", {"count": 11, "until": clock.now + 100})
    outcome = await person.cycle(now=True)
    assert outcome.code == errors.BAD_FILE
    (trouble,) = outcome.troubles
    assert f"Omi lacks 8 of 16 open tasks of {person.todo} (4 more within the last hour);" in str(
        trouble
    )
    await person.cycle(now=True, allow_removals=True)
    assert fact(person, "allowed_departure") == {"count": 12, "until": clock.now + 3600}
    for _ in range(3):
        await person.settle()
    assert person.todo.read_text() == lines(12, 20)


async def test_more_may_be_allowed_within_the_hour(person: Person) -> None:
    """A second mass deletion is refused as the first was, and allowed as that."""
    person.settings = TWO_WAY
    person.write(lines(0, 30))
    await person.settle()
    for gone, left in ((20, 10), (8, 2)):
        for name in [*person.sandbox.items][:gone]:
            del person.sandbox.items[name]
        for _ in range(3):
            outcome = await person.cycle(now=True)
        assert outcome.code == errors.BAD_FILE
        await person.cycle(now=True, allow_removals=True)
        await person.settle()
        assert person.todo.read_text() == lines(30 - left, 30)


@pytest.mark.parametrize("edited", [False, True])
async def test_a_departure_is_forgotten_when_the_items_are_back(
    person: Person, *, edited: bool
) -> None:
    """What vanishes later has to be seen before it can be allowed."""
    person.settings = TWO_WAY
    person.write(lines(0, 20))
    await person.settle()
    items = person.sandbox.items
    away = {name: items.pop(name) for name in [*items][:12]}
    for _ in range(3):
        outcome = await person.cycle(now=True)
    assert outcome.code == errors.BAD_FILE
    items.update(away)
    if edited:  # else the list is as it was, and the sync idle
        person.sandbox.add("new")
    await person.settle()
    assert fact(person, "refused_departure") is None
    for name in [*items][8:20]:
        del items[name]
    await person.cycle(now=True)
    assert (await person.cycle(now=True, allow_removals=True)).code == errors.BAD_FILE


@pytest.mark.parametrize("how", ["remove", "check"])
async def test_lines_that_go_in_slices_add_up_in_two_way(person: Person, how: str) -> None:
    """Taken out or ticked because their items were deleted, two at a time."""
    person.settings = f'[sync]\ndirection = "two-way"\non_remote_removal = "{how}"\n'
    person.write(lines(0, 12))
    await person.settle()
    for _ in range(3):
        for name in [*person.sandbox.items][:2]:
            del person.sandbox.items[name]
        for _ in range(3):
            assert (await person.cycle(now=True)).code != errors.BAD_FILE
    for name in [*person.sandbox.items][:2]:
        del person.sandbox.items[name]
    for _ in range(3):
        outcome = await person.cycle(now=True)
    assert outcome.code == errors.BAD_FILE
    assert "2 of 6 open tasks" in outcome.troubles[0].message
    assert "(6 more within the last hour)" in outcome.troubles[0].message
    assert person.todo.read_text().count("- [ ]") == 6


async def test_a_permission_ends_after_an_hour(person: Person, clock: Clock) -> None:
    """Then it is asked again."""
    person.settings = TWO_WAY
    person.write(lines(0, 20))
    await person.settle()
    for name in [*person.sandbox.items][:12]:
        del person.sandbox.items[name]
    for _ in range(2):
        await person.cycle(now=True)
    with Store.open(person.store_path) as store, store.transaction():
        store.put_fact("allowed_departure", {"count": 12, "until": clock.now + 3600})
    clock.pass_by(3600)
    assert (await person.cycle(now=True)).code == errors.BAD_FILE
    assert person.todo.read_text() == lines(0, 20)


async def test_a_flood_tells_how_it_is_let_in(person: Person) -> None:
    """Or made less."""
    person.settings = TWO_WAY
    person.write("")
    for n in range(26):
        person.sandbox.add(f"item {n}")
    outcome = await person.cycle()
    assert outcome.plan is not None
    assert outcome.plan.arrivals == 26
    (trouble,) = outcome.troubles
    assert isinstance(trouble, errors.ImportStopped)
    assert trouble.items == 26
    assert trouble.message == (
        f"Omi has 26 tasks that are not in {person.todo}; nothing was written"
    )
    assert trouble.advice == (
        "Run `omisync --once --yes` to bring them in; `omisync --dry-run` shows them. With"
        ' sync.import_since or import_items = "linked" fewer or none come in.'
    )
    assert person.todo.read_text() == ""
    assert (await person.cycle(yes=True)).counts == {"line.added": 26}
