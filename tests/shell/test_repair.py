"""Repair: lines and items are linked again, nothing is created, the rest is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from person import Person, fact, item
from replicas import dying

from omisync import errors, sync
from omisync.core.model import Gate
from omisync.sandbox import Sandbox
from omisync.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from person import Clock

    from omisync.sandbox import Request

AHEAD = 1000.0
TWO_WAY = '[sync]\ndirection = "two-way"\n'


@pytest.fixture
async def ahead(tmp_path: Path, clock: Clock) -> AsyncIterator[Person]:
    """Someone whose Omi has a clock that is ahead."""
    async with Sandbox(clock=lambda: clock.now + AHEAD) as sandbox:
        yield Person(tmp_path, sandbox, clock)


async def repaired(person: Person, **how: bool) -> sync.Repaired:
    """Repair, as a process of its own would."""
    async with person.desk() as desk:
        return await sync.repair(desk, **how)


def keys(person: Person) -> dict[str, str]:
    """Return the key of each text that has a row."""
    with Store.open(person.store_path) as store:
        return {link.seen.text: link.key for link in store.links()}


async def test_a_lost_store_is_made_anew(ahead: Person) -> None:
    """Equal texts are tied, whatever their state; what is left over on either side is told."""
    person = ahead
    person.write("# Home\n\n- [ ] kept\n")
    await person.cycle()
    for text, completed in (("ours", False), ("ticked", True), ("theirs", False), ("old", True)):
        person.sandbox.add(text, completed=completed)
    person.write("- [ ] mine\n\n# Home\n\n- [ ] ours\n- [ ] kept\n- [ ] ticked\n")
    person.sent()
    person.clock.pass_by(500)
    found = await repaired(person)
    assert {method for method, _ in person.sent()} == {"GET"}
    assert found.kept == 1
    assert [(entry.line, item.fields.description) for entry, item in found.linked] == [
        (5, "ours"),
        (7, "ticked"),
    ]
    assert [entry.task.text for entry in found.lines] == ["mine"]
    assert [item.fields.description for item in found.items] == ["theirs"]
    assert found.complete
    with Store.open(person.store_path) as store:
        rows = {link.seen.text: link for link in store.links()}
        assert [*rows] == ["ours", "kept", "ticked"]
        assert rows["ours"].section == "Home"
        assert rows["ours"].rank < rows["kept"].rank < rows["ticked"].rank
        told = store.history(2)
        assert [(one.event, one.text, one.detail) for one in told] == [
            ("task.adopted", "ours", "repair"),
            ("task.adopted", "ticked", "repair"),
        ]
        looked = store.fact("looked")
        assert isinstance(looked, float)
        assert abs(looked - person.clock.now - AHEAD) <= 1
        assert store.fact("settled") is None
    await person.settle()
    assert person.omi() == {
        "kept": False, "ours": False, "ticked": True, "theirs": False, "old": True, "mine": False
    }  # fmt: skip


async def test_an_account_is_only_changed_on_purpose(person: Person) -> None:
    """Then all that belongs to the former one is forgotten, and its items stay as they are."""
    person.write("- [ ] a\n- [ ] gone\n")
    await person.cycle()
    person.write("- [ ] a\n- [ ] lost\n")
    person.sandbox.fault_next("reset_before", method="POST")
    await person.cycle()
    former = dict(person.omi())
    async with Sandbox(clock=person.clock) as other:
        first, person.sandbox = person.sandbox, other
        other.keys["omi_dev_another_account_1"] = other.keys.pop(person.key)
        person.key = "omi_dev_another_account_1"
        other.add("a")
        with pytest.raises(errors.ConfigError, match="belongs to"):
            await repaired(person)
        assert person.sent() == []
        found = await repaired(person, accept_account=True)
        assert found.kept == 0
        assert [entry.task.text for entry, _ in found.linked] == ["a"]
        with Store.open(person.store_path) as store:
            assert [link.seen.text for link in store.links()] == ["a"]
            assert (store.intents(), store.tombstones(person.clock.now)) == ([], [])
            assert store.fact("base_url") == other.url
            assert isinstance(store.fact("fingerprint"), str)
            told = [(one.at, one.event, one.detail) for one in store.history(2)]
        assert told == [
            (person.clock.now, "account.accepted", other.url),
            (person.clock.now, "task.adopted", "repair"),
        ]
        person.sent()
        await person.settle()
        assert person.omi() == {"a": False, "lost": False}
        assert person.sent().count(("GET", 200)) == 1, "the new key is known to be the right one"
        person.sandbox = first
    assert person.omi() == former


async def test_a_repair_that_takes_long_hides_nothing(person: Person, clock: Clock) -> None:
    """What was made while it read is found by the next look, and linked."""
    person.write("- [ ] a\n")
    await person.settle()
    clock.pass_by(3600)
    person.store_path.unlink()

    def shown(_: Request) -> None:
        person.sandbox.on_request = None
        clock.pass_by(600)

    began = clock.now
    person.sandbox.on_request = shown
    await repaired(person)
    looked = fact(person, "looked")
    assert isinstance(looked, float)
    assert looked == pytest.approx(began, abs=1)


async def test_a_repair_keeps_to_the_limit(person: Person) -> None:
    """That it met itself, or a sync before it."""
    person.write("- [ ] a\n")
    await person.cycle()
    person.sandbox.limits["read"] = 0
    person.sent()
    for _ in range(2):
        with pytest.raises(errors.RateLimited) as limited:
            await repaired(person)
        assert limited.value.limit == 0
    assert person.sent() == [("GET", 429)]


async def test_of_another_account_nothing_is_known(person: Person) -> None:
    """Not what was kept there long ago, nor that it was met, nor a write that was cut short."""
    person.settings = TWO_WAY + 'on_removal = "keep"\n'
    person.write("- [ ] a\n- [ ] kept\n")
    await person.settle()
    person.write("- [ ] a\n")
    await person.settle()
    person.clock.pass_by(100 * 86400)
    person.sandbox.add("theirs")
    with dying(person, 10) as death:
        await person.cycle(now=True)
    assert death.came
    with Store.open(person.store_path) as store, store.transaction():
        store.put_gate(Gate("read", person.clock.now, 3600.0))
        assert store.writing() is not None
        assert store.tombstones(person.clock.now, kept=True)
    async with Sandbox(clock=person.clock) as other:
        person.sandbox, former = other, person.sandbox
        for number in range(30):
            other.add(f"foreign {number}")
        assert (await repaired(person, accept_account=True)).kept == 0
        with Store.open(person.store_path) as store:
            assert (store.gates(), store.writing()) == ({}, None)
            for name in ("listed", "met", "written", "allowed", "refused"):
                assert store.fact(name) is None, name
        (flood,) = (await person.cycle(now=True)).troubles
        assert isinstance(flood, errors.ImportStopped), "it was never met"
        person.write("- [ ] a\n- [ ] kept\n")
        assert (await person.cycle(now=True, yes=True)).counts["task.created"] == 2
        assert len(other.items) == 32
    person.sandbox = former


async def test_a_shut_gate_is_kept_shut(person: Person) -> None:
    """By a repair too, and where another key has to show that it opens the same account."""
    person.write("- [ ] a\n")
    await person.cycle()
    person.sandbox.keys["omi_dev_another_key_of_it_1"] = person.sandbox.keys[person.key]
    person.key = "omi_dev_another_key_of_it_1"
    person.sandbox.limits["read"] = 0
    person.sent()
    with pytest.raises(errors.RateLimited):
        await repaired(person)
    for number in range(3):
        person.write(f"- [ ] a\n- [ ] new {number}\n")
        assert (await person.cycle()).code == errors.TEMPORARY
    with pytest.raises(errors.RateLimited):
        await repaired(person)
    assert person.sent() == [("GET", 429)] * 2
    with pytest.raises(errors.RateLimited):
        await repaired(person, accept_account=True)
    assert person.sent() == [("GET", 429)]


async def test_another_account_of_the_same_server_is_refused_too(person: Person) -> None:
    """None of the linked items is in it: nothing is linked and nothing is forgotten."""
    person.write("- [ ] a\n")
    await person.cycle()
    person.sandbox.keys["omi_dev_another_account_1"] = person.sandbox.keys[person.key]
    person.key = "omi_dev_another_account_1"
    person.sandbox.items.clear()
    with pytest.raises(errors.KeyProblem, match="another account"):
        await repaired(person)
    with Store.open(person.store_path) as store:
        assert [link.seen.text for link in store.links()] == ["a"]


async def test_a_line_without_an_item_is_linked_too(person: Person) -> None:
    """One that Omi refused, and whose person wrote it there; one whose item came back anew."""
    person.settings = '[sync]\ndirection = "two-way"\n'
    person.sandbox.refuse = {"refused": 422}
    person.write("- [ ] stays\n- [ ] comes back\n- [ ] refused\n")
    await person.settle()
    del person.sandbox.items[item(person, "comes back").id]
    for _ in range(4):
        person.clock.pass_by(600)
        await person.settle()
    person.write("- [ ] stays\n- [x] comes back\n- [ ] refused\n")
    for text in ("comes back", "refused"):
        person.sandbox.add(text)
    former = keys(person)
    found = await repaired(person)
    assert found.kept == 1
    assert {entry.task.text for entry, _ in found.linked} == {"comes back", "refused"}
    assert (found.lines, found.items) == ((), ())
    assert keys(person) == former
    person.sandbox.refuse.clear()
    assert (await person.settle()).code == errors.OK
    assert person.omi() == {"stays": False, "comes back": True, "refused": False}
    with Store.open(person.store_path) as store:
        assert [link.seen.text for link in store.links()] == ["stays", "comes back", "refused"]
        assert all(link.remote_id and not link.parked for link in store.links())


@pytest.mark.parametrize(("direction", "theirs"), [("push", "mine"), ("two-way", "their words")])
async def test_a_line_that_names_an_item_meets_other_words(
    person: Person, direction: str, theirs: str
) -> None:
    """They are as new as those of the line where both sides are to agree."""
    person.settings = f'[sync]\ndirection = "{direction}"\nprefer = "remote"\n'
    named = person.sandbox.add("their words")
    person.write(f"- [ ] mine omi:{named.id}\n")
    assert len((await repaired(person)).linked) == 1
    await person.settle()
    assert named.description == theirs
    assert person.todo.read_text() == f"- [ ] {theirs} omi:{named.id}\n"


async def test_what_may_be_the_item_of_a_line_is_nobody_elses(person: Person) -> None:
    """A create without an answer is the next sync's to settle; its item is not told as a stray."""
    person.write("- [ ] a\n")
    await person.settle()
    person.write("- [ ] a\n- [ ] b\n")
    person.sandbox.fault_next("reset_after", method="POST")
    assert (await person.cycle()).code == errors.TEMPORARY
    found = await repaired(person)
    assert (found.kept, found.linked, found.lines, found.items) == (1, (), (), ())
    person.clock.pass_by(60)
    assert (await person.settle()).code == errors.OK
    assert person.omi() == {"a": False, "b": False}


@pytest.mark.parametrize("days", [0, 100])
async def test_a_line_that_came_back_is_left_to_the_sync(person: Person, days: int) -> None:
    """It opens the item again that the removal had finished, or makes another after months."""
    person.write("- [ ] first\n- [ ] book flight\n")
    await person.settle()
    person.write("- [ ] first\n")
    await person.settle()
    person.clock.pass_by(days * 86400)
    person.write("- [ ] first\n- [ ] book flight\n")
    found = await repaired(person)
    assert (found.kept, found.linked) == (1, ())
    await person.settle()
    flights = [one for one in person.sandbox.items.values() if one.description == "book flight"]
    assert [one.completed for one in flights] == ([True, False] if days else [False])


@pytest.mark.parametrize(
    ("on_removal", "line"),
    [
        ("complete", "- [x] book flight"),
        ("complete", "- [ ] book flight omi:{}"),
        ("keep", "- [ ] book flight"),
    ],
)
async def test_a_line_that_opens_nothing_unasked_is_linked(
    person: Person, on_removal: str, line: str
) -> None:
    """It is finished as its item is, or names that, or the item was left open."""
    person.settings = f'[sync]\non_removal = "{on_removal}"\n'
    person.write("- [ ] first\n- [ ] book flight\n")
    await person.settle()
    flight = item(person, "book flight")
    person.write("- [ ] first\n")
    await person.settle()
    person.write(f"- [ ] first\n{line.format(flight.id)}\n")
    found = await repaired(person)
    assert [one.id for _, one in found.linked] == [flight.id]


async def test_links_whose_item_omi_does_not_show_are_told(person: Person) -> None:
    """Those that are linked and not listed; a list with holes tells of none."""
    person.write("- [ ] a\n- [ ] gone\n")
    await person.settle()
    del person.sandbox.items[item(person, "gone").id]
    found = await repaired(person)
    assert ([one.seen.text for one in found.unlisted], found.complete) == (["gone"], True)
    person.sandbox.add("a row without an id cannot be read", item_id="")
    found = await repaired(person)
    assert (found.unlisted, found.complete) == ((), False)


async def test_a_repair_finds_what_stands_behind_many_locked_items(
    person: Person, clock: Clock
) -> None:
    """Of each page a quarter is left out: a usual reading would end with the first."""
    for n in range(1500):
        then = datetime.fromtimestamp(clock.now - 86400 - 60 * n, UTC)
        person.sandbox.add(f"old {n}", created_at=then).locked = n % 4 == 0
    person.write("- [ ] old 1499\n")
    assert len((await repaired(person)).linked) == 1


async def test_a_date_is_sent_though_its_line_is_opened_before_its_tick_left(
    person: Person,
) -> None:
    """Finished while the state was lost: what it says is as new as what its item does."""
    person.settings = TWO_WAY
    person.sandbox.add("pay rent")
    person.write("- [x] pay rent due:2027-03-01T09:00Z\n")
    assert len((await repaired(person)).linked) == 1
    person.write("- [ ] pay rent due:2027-03-01T09:00Z\n")
    await person.settle()
    assert item(person, "pay rent").due_at == datetime(2027, 3, 1, 9, tzinfo=UTC)
    assert person.omi() == {"pay rent": False}
