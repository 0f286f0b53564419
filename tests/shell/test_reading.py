"""When the list of Omi is read: at what pace, within which budget, and what a look asks for."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

import pytest
from person import Clock, Person, fact
from replicas import Stopped

from omisync import errors, sync
from omisync.api import OmiClient
from omisync.core.model import Fields, Gate, Listing, RemoteItem
from omisync.daemon.pace import delay
from omisync.sandbox import KEY, Sandbox
from omisync.store import Store
from omisync.sync import looks
from omisync.sync.reading import digest

if TYPE_CHECKING:
    from pathlib import Path

    from omisync.sync import Outcome

TWO_WAY = '[sync]\ndirection = "two-way"\n'


@pytest.fixture
async def both(person: Person) -> Person:
    """Someone whose line is in Omi, in both directions."""
    person.settings = TWO_WAY
    person.write("- [ ] a\n")
    await person.settle()
    person.sent()
    return person


def note(person: Person, name: str, value: object) -> None:
    """Note something in the store."""
    with Store.open(person.store_path) as store, store.transaction():
        store.put_fact(name, value)


def shut(person: Person, wait: float, limit: int | None) -> None:
    """Shut the gate for reads for so many seconds."""
    with Store.open(person.store_path) as store, store.transaction():
        store.put_gate(Gate("read", person.clock.now, wait, limit))


async def pauses(person: Person, looks: int) -> list[float]:
    """Look so many times, each time when it is due; return the pauses between."""
    found = []
    for _ in range(looks):
        outcome = await person.cycle()
        assert outcome.look_at is not None
        found.append(round(outcome.look_at - person.clock.now, 3))
        person.clock.pass_by(outcome.look_at - person.clock.now)
    return found


async def test_the_list_is_read_less_often_by_and_by(both: Person) -> None:
    """No more often than the budget bears, at the longest after ``poll``; at once after news."""
    note(both, "settled", None)
    assert await pauses(both, 1) == [300]
    both.sandbox.add("theirs")
    assert await pauses(both, 4) == [75, 150, 300, 300]
    both.settings += "[watch]\nsettle = 0.01\npoll = 100\n"
    both.sandbox.add("more")
    assert await pauses(both, 3) == [75, 100, 100]


async def test_a_generous_server_is_asked_more_often(both: Person) -> None:
    """Its limit counts where it told one; thirty seconds are enough for anybody."""
    shut(both, 0.0, 1200)
    both.sandbox.add("theirs")
    note(both, "settled", None)
    assert await pauses(both, 3) == [30, 60, 120]
    both.settings += "[watch]\nsettle = 0.01\npoll = 20\n"
    both.sandbox.add("more")
    assert await pauses(both, 2) == [20, 20]
    shut(both, 0.0, 1)
    await both.cycle(now=True)
    listed = fact(both, "listed")
    assert isinstance(listed, dict)
    assert listed["pause"] == 7200


async def test_a_listing_is_noted_with_its_cost(both: Person, clock: Clock) -> None:
    """Those of the last hour, none from a future that a wrong clock wrote."""
    now = clock.now
    spent = [[now - 3600, 2], [now - 3599, 4], [now, 2], [now + 1, 2]]
    note(both, "listed", {"at": now - 9, "cost": 4, "pause": 150.0, "spent": spent})
    await both.cycle(now=True)
    assert both.sent() == [("GET", 200), ("GET", 200)]
    listed = fact(both, "listed")
    assert isinstance(listed, dict)
    assert (listed["at"], listed["cost"]) == (now, 2)
    assert listed["spent"] == [[now - 3599, 4], [now, 2], [now, 2]]


@pytest.mark.parametrize(
    ("spent", "limit", "reads"),
    [(46, None, True), (47, None, False), (470, 1200, True), (479, 1200, False)],
)
async def test_half_of_the_budget_is_for_looks_at_once(
    both: Person, clock: Clock, spent: int, limit: int | None, *, reads: bool
) -> None:
    """Then a save has to wait, and is told until when; ``now`` goes beyond it."""
    begun = clock.now
    if limit:
        shut(both, 0.0, limit)
    old = [[begun - 3600, 1000], [begun + 500, 1000]]
    note(both, "listed", {"at": begun, "cost": 2, "pause": 30.0, "spent": [*old, [begun, spent]]})
    both.write("- [ ] a!\n")
    outcome = await both.cycle()
    if reads:
        assert both.omi() == {"a!": False}
        return
    assert both.sent() == []
    wait = 3600 * 2 / ((limit or 120) * 0.8 / 2)
    assert outcome.code == errors.TEMPORARY
    assert outcome.retry_at is not None
    assert outcome.retry_at - begun == pytest.approx(wait)
    assert outcome.look_at is not None
    assert outcome.look_at - begun == pytest.approx(max(30, wait))
    await both.cycle(now=True)
    assert both.omi() == {"a!": False}


# What a reading brought, and is not done.


def spend(person: Person, reads: int) -> None:
    """Note that so many reads were spent just now."""
    now = person.clock.now
    listed = {"at": now, "cost": 2, "pause": 300.0, "spent": [[now, reads]]}
    note(person, "listed", listed)


async def unfinished(person: Person, kind: type[errors.OmisyncError], reads: int) -> Outcome:
    """Return the outcome of a cycle that nobody asked for, and that has this trouble."""
    person.sent()
    outcome = await person.cycle()
    assert [type(one) for one in outcome.troubles] == [kind]
    assert (outcome.code, outcome.temporary) == (errors.TEMPORARY, True)
    last = fact(person, "last")
    assert isinstance(last, dict)
    assert last["code"] == errors.TEMPORARY
    assert fact(person, "settled") is None
    assert len(person.sent()) == reads
    return outcome


@pytest.mark.parametrize("spent", [0, 60])
async def test_a_file_that_is_held_open_is_written_once_it_is_closed(
    both: Person, spent: int
) -> None:
    """Until then it is in sync with nothing, and no read is spent on it; what is typed goes out."""
    spend(both, spent)
    both.sandbox.add("theirs")
    with both.todo.open("a", encoding="utf-8") as held:
        outcome = await both.cycle(now=True)
        assert [type(one) for one in outcome.troubles] == [errors.FileHeld]
        for _ in range(2):
            assert (await unfinished(both, errors.FileHeld, 0)).retry_at is None
        held.write("- [ ] typed\n")
        held.flush()
        assert (await both.cycle()).counts == {"task.created": 1}
        assert both.omi() == {"a": False, "theirs": False, "typed": False}
    outcome = await both.cycle()
    assert (outcome.code, outcome.counts) == (errors.OK, {"line.added": 1})
    assert both.todo.read_text() == "- [ ] a\n- [ ] typed\n- [ ] theirs\n"
    assert (await both.cycle()).idle


async def test_once_tries_a_file_that_is_held_open_to_the_end(both: Person, clock: Clock) -> None:
    """However many looks there were before, it does not end well."""
    spend(both, 60)
    both.sandbox.add("theirs")
    with both.todo.open("a"):
        outcome = await both.once(patience=0.01, waiting=lambda *_: clock.pass_by(0.01))
    assert outcome.code == errors.TEMPORARY
    assert [type(one) for one in outcome.troubles] == [errors.FileHeld]
    assert len(both.sent()) == 2
    assert (await both.once()).counts == {"line.added": 1}


@pytest.mark.parametrize(("spent", "reads"), [(92, True), (93, False)])
async def test_the_whole_budget_is_for_what_is_to_be_written(
    both: Person, clock: Clock, spent: int, *, reads: bool
) -> None:
    """Beyond it, the next reading is waited for, and that is told."""
    spend(both, spent)
    both.sandbox.add("theirs")
    with both.todo.open("a"):
        await both.cycle(now=True)
    if not reads:
        outcome = await unfinished(both, errors.ListUnread, 0)
        assert outcome.retry_at == clock.now + 150
        (trouble,) = outcome.troubles
        assert trouble.message == (
            f"What is new in Omi may not be in {both.todo} yet: its list was read so often within"
            " the last hour that the next reading waits"
        )
        assert trouble.advice == "it is read by itself then; `omisync --once` reads it at once"
        clock.pass_by(150)
    assert (await both.cycle()).counts == {"line.added": 1}


async def test_an_edit_that_waits_for_a_look_says_so(both: Person, clock: Clock) -> None:
    """It is no failure, and sent by itself once the list may be read."""
    spend(both, 60)
    both.write("- [x] a\n")
    outcome = await unfinished(both, errors.ListUnread, 0)
    assert outcome.waiting == 1
    (trouble,) = outcome.troubles
    assert trouble.message == (
        "1 change waits for a look at Omi: its list was read so often within the last hour that"
        " the next reading waits"
    )
    assert trouble.advice == "it is read by itself then; `omisync --once` reads it at once"
    last = fact(both, "last")
    assert isinstance(last, dict)
    assert last["failing_since"] is None
    assert outcome.retry_at is not None
    assert delay(outcome, 20, clock.now, 1.0) == outcome.retry_at - clock.now
    clock.pass_by(outcome.retry_at - clock.now)
    assert (await both.cycle()).counts == {"task.changed": 1}


async def test_a_line_that_comes_back_waits_for_a_look_too(both: Person) -> None:
    """Its item was left in Omi, and may be gone by now: it is counted beside an edit."""
    both.settings += 'on_removal = "keep"\n'
    for text in ("- [ ] a\n- [ ] b\n", "- [ ] a\n"):
        both.write(text)
        await both.settle()
    spend(both, 60)
    both.write("- [x] a\n- [ ] b\n")
    (trouble,) = (await unfinished(both, errors.ListUnread, 0)).troubles
    assert trouble.message.startswith("2 changes wait for a look at Omi: ")
    await both.settle()
    assert both.omi() == {"a": True, "b": False}


async def test_a_new_line_waits_for_no_look(both: Person) -> None:
    """It is created, and there is nothing to tell."""
    spend(both, 60)
    both.write("- [ ] a\n- [ ] new\n")
    outcome = await both.cycle()
    assert (outcome.counts, outcome.troubles) == ({"task.created": 1}, ())


async def test_a_failure_lasts_while_a_look_is_waited_for(both: Person, clock: Clock) -> None:
    """The pause does not make it well."""
    both.write("- [x] a\n")
    both.sandbox.fault_next("5xx_before", method="PATCH")
    await both.cycle(now=True)
    began = clock.now
    clock.pass_by(5)
    spend(both, 60)
    await unfinished(both, errors.ListUnread, 0)
    last = fact(both, "last")
    assert isinstance(last, dict)
    assert last["failing_since"] == began


async def test_once_looks_again_for_what_it_linked(both: Person) -> None:
    """However often the list was read: what the line says else goes out with the same run."""
    spend(both, 60)
    both.sandbox.add("theirs")
    both.write("- [ ] a\n- [ ] theirs due:2027-01-01\n")
    outcome = await both.once()
    assert outcome.code == errors.OK
    assert outcome.counts == {"task.adopted": 1, "task.changed": 1}


async def test_a_file_that_is_always_saved_is_owed_its_write(both: Person) -> None:
    """It is read for again within the budget."""
    spend(both, 60)
    both.sandbox.add("theirs")

    saves = count(1)

    def save(step: str) -> None:
        if step == "file.written":
            both.write("- [ ] a\n" + "\n" * next(saves))

    both.trace = save
    await both.cycle(now=True)
    await unfinished(both, errors.FileChanged, 2)
    both.trace = None
    with both.todo.open("a"):  # what nobody knows before it is to be written
        await unfinished(both, errors.FileHeld, 2)
        await unfinished(both, errors.FileHeld, 0)
    assert (await both.cycle()).counts == {"line.added": 1}


async def test_what_is_to_be_written_is_owed_after_a_list_that_could_not_be_read(
    both: Person,
) -> None:
    """It is still read for within all of the budget."""
    spend(both, 60)
    both.sandbox.add("theirs")
    with both.todo.open("a"):
        await both.cycle(now=True)
    both.sandbox.fault_next("500", method="GET")
    assert (await both.cycle()).code == errors.TEMPORARY
    assert (await both.cycle()).counts == {"line.added": 1}


async def test_in_one_direction_nothing_is_owed(both: Person) -> None:
    """Whatever was, before the person turned it around."""
    both.settings = both.settings.replace("two-way", "push")
    await both.settle()
    note(both, "listed", {"at": 0, "cost": 2, "pause": 9.0, "spent": [], "owed": "write"})
    assert (await both.cycle()).idle


@pytest.mark.parametrize("spent", [0, 60])
async def test_a_list_that_could_not_be_read_is_owed(
    both: Person, clock: Clock, spent: int
) -> None:
    """What was in sync before is not so by itself, also where the file is as it was."""
    await both.cycle()
    spend(both, spent)
    both.sandbox.add("theirs")
    both.sandbox.fault_next("500", method="GET")
    assert (await both.cycle(now=True)).code == errors.TEMPORARY
    if spent:
        note(both, "settled", None)
        await unfinished(both, errors.ListUnread, 0)
        clock.pass_by(3600)
    assert (await both.cycle()).counts == {"line.added": 1}


async def test_a_write_that_was_cut_short_is_owed(both: Person) -> None:
    """The program that comes after knows of it."""
    spend(both, 60)
    both.sandbox.add("theirs")

    def stop(step: str) -> None:
        if step == "file.written":
            raise Stopped

    both.trace = stop
    with suppress(Stopped):
        await both.cycle(now=True)
    both.trace = None
    await unfinished(both, errors.ListUnread, 0)
    assert (await both.cycle(now=True)).counts == {"line.added": 1}


async def test_a_note_of_a_version_that_knew_no_debts_has_none(both: Person) -> None:
    """It is as if all was done."""
    await both.cycle()
    spend(both, 2)
    assert (await both.cycle()).idle


async def test_what_an_item_says_else_than_its_new_line_is_owed(both: Person) -> None:
    """They are tied in one cycle, and made the same in the next that reads."""
    spend(both, 60)
    both.sandbox.add("b", due_at=datetime(2026, 5, 1, 9, tzinfo=UTC))
    both.write("- [ ] a\n- [ ] b\n")
    outcome = await both.cycle(now=True)
    assert (outcome.counts, outcome.again) == ({"task.adopted": 1}, True)
    await unfinished(both, errors.ListUnread, 0)
    await both.settle()
    assert both.todo.read_text() == "- [ ] a\n- [ ] b 📅 2026-05-01\n"


async def test_only_a_first_meeting_is_read_thoroughly(person: Person) -> None:
    """Where nothing is linked later looks cost what any does: there are only so many an hour."""
    person.settings = TWO_WAY + 'import_items = "linked"\n'
    person.sandbox.add("of another list")
    person.write("# Later\n")
    for reads in (4, 2, 2):
        person.sent()
        await person.cycle(now=True)
        assert person.sent() == [("GET", 200)] * reads


async def test_each_listing_has_a_cost_of_its_own(both: Person) -> None:
    """Also where one program reads several times."""
    async with both.desk() as desk:
        for _ in range(2):
            await sync.cycle(desk, now=True)
    listed = fact(both, "listed")
    assert isinstance(listed, dict)
    assert [cost for _, cost in listed["spent"][-2:]] == [2, 2]


async def test_a_first_list_serves_creates_that_fail(person: Person) -> None:
    """What it lacks is looked for in what is new, where the list may not be read again yet."""
    person.settings = TWO_WAY
    reads = []
    async with person.desk() as desk:
        for _ in range(2):
            person.write("- [ ] new\n" + "\n" * len(reads))
            person.sandbox.fault_next("403", method="POST")
            await sync.cycle(desk, now=not reads)
            reads.append([method for method, _ in person.sent()].count("GET"))
            now = person.clock.now
            listed = {"at": now, "cost": 2, "pause": 300.0, "spent": [[now, 60]]}
            with desk.store.transaction():
                desk.store.put_fact("listed", listed)
    assert reads == [2, 1]


async def test_a_list_with_holes_is_never_the_same(both: Person) -> None:
    """What it does not show may have changed."""
    await both.cycle(now=True)
    assert (await both.cycle(now=True)).idle
    both.sandbox.add("a row without an id cannot be read", item_id="")
    for _ in range(3):
        assert not (await both.cycle(now=True)).idle


async def test_a_list_that_was_read_is_not_due_soon(person: Person, clock: Clock) -> None:
    """Even where nothing came of it; without a file it is not read at all."""
    person.settings = TWO_WAY
    outcome = await person.cycle()
    assert (outcome.code, outcome.look_at) == (errors.NO_FILE, None)
    person.write("")
    for n in range(26):
        person.sandbox.add(f"item {n}")
    outcome = await person.cycle()
    assert (outcome.code, outcome.look_at) == (errors.BAD_FILE, clock.now + 300)


@pytest.mark.parametrize("settings", ["", TWO_WAY])
@pytest.mark.parametrize("ahead", [0.0, 1000.0])
async def test_a_look_is_noted_by_the_clock_of_the_server(
    tmp_path: Path, clock: Clock, ahead: float, settings: str
) -> None:
    """However far it is from ours."""
    clock.now = float(int(clock.now))
    async with Sandbox(clock=lambda: clock.now + ahead) as sandbox:
        person = Person(tmp_path, sandbox, clock, settings=settings)
        person.write("- [ ] a\n")
        await person.cycle()
        assert fact(person, "looked") == clock.now + ahead


@pytest.mark.parametrize(("ours", "theirs"), [(5.0, 5.0), (-1000.0, 0.0)])
async def test_a_look_is_noted_by_when_it_began(
    tmp_path: Path, clock: Clock, ours: float, theirs: float
) -> None:
    """However long it took, and whatever was done to our clock meanwhile."""
    begun = clock.now = float(int(clock.now))
    omi = Clock(begun)

    def pass_by(step: str) -> None:
        if step == "request.sent" and clock.now == begun:
            clock.pass_by(ours)
            omi.pass_by(theirs)

    async with Sandbox(clock=omi) as sandbox:
        person = Person(tmp_path, sandbox, clock, trace=pass_by)
        person.write("- [ ] a\n")
        await person.cycle()
        assert fact(person, "looked") == begun


def test_a_list_is_compared_whatever_it_says() -> None:
    """Half a surrogate pair is no text that could be encoded, and makes a difference too."""
    texts = ("a", "\ud800", "\udcff", "\\ud800")
    lists = [Listing((RemoteItem("x", Fields(text)),), complete=True) for text in texts]
    assert len({digest(one) for one in lists}) == len(texts)


def test_a_look_at_a_server_without_a_clock_is_noted_by_ours() -> None:
    """Where no reply had a date."""
    assert looks.began(OmiClient("http://127.0.0.1:1", KEY), 5.0) == 5.0


async def test_a_clock_that_jumped_back_holds_nothing_up(both: Person, clock: Clock) -> None:
    """What was noted for later counts as long ago."""
    listed = {"at": clock.now + 1, "cost": 2, "pause": 150.0, "spent": [[clock.now, 1000]]}
    note(both, "listed", listed)
    both.write("- [ ] a!\n")
    await both.cycle()
    assert both.omi() == {"a!": False}


async def test_a_shut_gate_is_the_trouble_of_the_cycle(both: Person, clock: Clock) -> None:
    """It is not knocked at, and the next look is when it opens."""
    shut(both, 500.0, 120)
    both.write("- [ ] a!\n")
    for _ in range(2):
        outcome = await both.cycle(now=True)
        (trouble,) = outcome.troubles
        assert isinstance(trouble, errors.RateLimited)
        assert (trouble.bucket, trouble.retry_after, trouble.limit) == ("read", 500.0, 120)
        assert outcome.retry_at == clock.now + 500
        assert both.sent() == []
    assert both.omi() == {"a": False}
    clock.pass_by(500)
    await both.cycle(now=True)
    assert both.omi() == {"a!": False}


async def test_a_reading_that_never_began_costs_nothing(both: Person) -> None:
    """Where the server is left alone for a while, it is told what failed before."""
    both.write("- [x] a\n")
    before = fact(both, "listed")
    async with both.desk() as desk:
        desk.rest = "Omi failed often"
        outcome = await sync.cycle(desk, now=True)
    (trouble,) = outcome.troubles
    assert (type(trouble), trouble.message) == (errors.NotAsked, "Omi failed often")
    assert (both.sent(), fact(both, "listed")) == ([], before)


async def test_a_gate_that_shuts_is_the_trouble_of_the_cycle(both: Person, clock: Clock) -> None:
    """Nothing is changed that could overwrite something unseen, and the cost is noted."""
    both.sandbox.retry_after = 700
    both.sandbox.fault_next(None, "429", method="GET")
    both.write("- [ ] a!\n")
    outcome = await both.cycle(now=True)
    assert [type(one) for one in outcome.troubles] == [errors.RateLimited]
    assert outcome.retry_at == clock.now + 700
    assert outcome.look_at is not None
    assert outcome.look_at >= clock.now + 700
    assert both.omi() == {"a": False}
    listed = fact(both, "listed")
    assert isinstance(listed, dict)
    assert listed["cost"] == 2


async def test_a_look_reaches_beyond_what_the_clocks_say(tmp_path: Path, clock: Clock) -> None:
    """From two minutes before the last look by the server's clock, and to no end."""
    ahead = 1000.0
    async with Sandbox(clock=lambda: clock.now + ahead) as sandbox:
        person = Person(tmp_path, sandbox, clock)
        person.write("- [ ] a\n")
        await person.cycle()
        looked = fact(person, "looked")
        assert isinstance(looked, float)
        assert abs(looked - clock.now - ahead) <= 1
        clock.pass_by(5000)
        person.write("- [ ] a\n- [ ] b\n")
        sandbox.requests.clear()
        await person.cycle()
        (look, _) = sandbox.requests
        start = datetime.fromisoformat(look.query["start_date"]).timestamp()
        assert abs(start - (looked - 120)) < 1
        assert "end_date" not in look.query
        again = fact(person, "looked")
        assert isinstance(again, float)
        assert abs(again - clock.now - ahead) <= 1


async def test_a_first_look_waits_for_its_gate(person: Person, clock: Clock) -> None:
    """Everything could be there already: nothing is created unseen."""
    person.write("- [ ] a\n")
    person.sandbox.retry_after = 50
    person.sandbox.fault_next("429", method="GET")
    for number in range(2):
        outcome = await person.cycle()
        (trouble,) = outcome.troubles
        assert isinstance(trouble, errors.RateLimited)
        assert (trouble.bucket, trouble.retry_after) == ("read", 50.0)
        assert (outcome.code, outcome.waiting) == (errors.TEMPORARY, 1)
        assert outcome.retry_at == clock.now + 50
        assert person.sent() == [("GET", 429)] * (1 - number)
    clock.pass_by(50)
    assert (await person.cycle()).code == errors.OK
    assert person.omi() == {"a": False}


async def test_a_later_look_may_be_left_out(person: Person, clock: Clock) -> None:
    """What is new since the last look is in the file, as far as is known."""
    person.write("- [ ] a\n")
    await person.cycle()
    person.sent()
    clock.pass_by(60)
    person.sandbox.retry_after = 50
    person.sandbox.fault_next("429", method="GET")
    person.write("- [ ] a\n- [ ] b\n")
    assert (await person.cycle()).counts == {"task.created": 1}
    person.write("- [ ] a\n- [ ] b\n- [ ] c\n")
    assert (await person.cycle()).counts == {"task.created": 1}
    assert person.sent() == [("GET", 429), ("POST", 200), ("POST", 200)]


async def test_a_written_id_is_looked_for_everywhere(person: Person, clock: Clock) -> None:
    """However old its item is."""
    person.write("- [ ] a\n")
    await person.cycle()
    clock.pass_by(100_000)
    old = person.sandbox.add(
        "old", created_at=datetime.fromtimestamp(clock.now - 200_000).astimezone()
    )
    person.write(f"- [ ] a\n- [ ] b omi:{old.id}\n")
    await person.settle()
    assert person.omi() == {"a": False, "b": False}


async def test_a_list_without_a_task_in_omi_is_met_anew(person: Person, clock: Clock) -> None:
    """Whatever was looked at before: an item of any age may be what a line says."""
    person.write("- [ ] a\n")
    await person.cycle()
    person.write("")
    for _ in range(2):
        await person.cycle(allow_removals=True)
    assert person.omi() == {"a": True}
    then = datetime.fromtimestamp(clock.now - 50_000).astimezone()
    person.sandbox.add("old", created_at=then)
    person.write("- [ ] old\n")
    assert (await person.cycle()).counts == {"task.adopted": 1}
