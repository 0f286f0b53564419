"""The pace: how long is waited after a failure, and the loop of ``--once``."""

from __future__ import annotations

import asyncio
import time
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from omisync import daemon, errors
from omisync.daemon.pace import backoff, delay
from omisync.sync import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from person import Person

    from omisync.sandbox import Fault

attempts = st.integers(1, 10**6)
chances = st.floats(0, 1)
times = st.floats(1.7e9, 2e9)
waits = st.floats(0, 1e5)


# How long.


@given(attempts, chances)
def test_a_wait_is_never_longer_than_five_minutes(attempt: int, chance: float) -> None:
    """Whatever the attempt, the wait is between nothing and 300 s."""
    assert 0 <= backoff(attempt, chance) <= 300.0


@given(attempts)
def test_the_bound_doubles_until_five_minutes(attempt: int) -> None:
    """The longest wait is half a second, then twice the one before, then five minutes."""
    assert backoff(1, 1.0) == 0.5
    assert backoff(attempt + 1, 1.0) == min(300.0, 2 * backoff(attempt, 1.0))


@given(attempts, chances, chances)
def test_chance_spreads_the_wait_over_its_whole_range(
    attempt: int, chance: float, other: float
) -> None:
    """Full jitter: many machines that failed together do not come back together."""
    assert backoff(attempt, 0.0) == 0.0
    assume(chance <= other)
    assert backoff(attempt, chance) <= backoff(attempt, other)


def limited(now: float, wait: float, *others: errors.OmisyncError) -> Outcome:
    """Return the outcome of a cycle that met a limit."""
    troubles = (errors.RateLimited("write", wait), *others)
    return Outcome(errors.TEMPORARY, troubles=troubles, retry_at=now + wait)


@given(attempts, times, waits, chances)
def test_a_limit_is_waited_out_and_no_longer(
    attempt: int, now: float, wait: float, chance: float
) -> None:
    """After a 429 the next cycle is due when the gate opens, however often it was hit."""
    until = now + wait
    assert delay(limited(now, wait), attempt, now, chance) == max(0.0, until - now)


@given(attempts, times, waits, waits, chances)
def test_a_limit_that_is_over_is_not_waited_for(
    attempt: int, now: float, wait: float, late: float, chance: float
) -> None:
    """A cycle that ends after its gate opened is followed by the next at once."""
    assume(late >= wait)
    assert delay(limited(now, wait), attempt, now + late + 1, chance) == 0.0


@given(attempts, times, waits, chances)
def test_a_failure_beside_a_limit_is_backed_off_too(
    attempt: int, now: float, wait: float, chance: float
) -> None:
    """The longer of both waits counts."""
    outcome = limited(now, wait, errors.ServerTrouble("503"))
    wanted = max(now + wait - now, backoff(attempt, chance))
    assert delay(outcome, attempt, now, chance) == wanted


@given(attempts, times, chances)
def test_an_unknown_end_is_backed_off(attempt: int, now: float, chance: float) -> None:
    """A failure that does not say when it is over is waited for by the backoff alone."""
    for trouble in (errors.ServerTrouble("503"), errors.Intercepted("421"), errors.NotAsked("503")):
        outcome = Outcome(errors.TEMPORARY, troubles=(trouble, errors.Unreachable("no network")))
        assert delay(outcome, attempt, now, chance) == backoff(attempt, chance)


@given(attempts, times, waits, chances)
def test_a_server_that_fails_is_left_alone_as_long_as_it_asks(
    attempt: int, now: float, wait: float, chance: float
) -> None:
    """No sooner than the backoff has it, and no longer than that can be."""
    for trouble in (errors.ServerTrouble("503"), errors.OutcomeUnknown("503", "5xx")):
        trouble.retry_after = wait
        wanted = max(backoff(attempt, chance), min(wait, 300.0))
        assert delay(Outcome(errors.TEMPORARY, troubles=(trouble,)), attempt, now, chance) == wanted


@given(attempts, times, chances)
def test_a_network_that_is_gone_is_tried_each_minute(
    attempt: int, now: float, chance: float
) -> None:
    """No try gets as far as the server, and somebody waits for it to be back."""
    outcome = Outcome(errors.TEMPORARY, troubles=(errors.Unreachable("no network"),))
    wanted = min(60.0 * chance, backoff(attempt, chance))
    assert delay(outcome, attempt, now, chance) == wanted


@given(attempts, times, chances)
def test_a_file_that_is_held_open_is_soon_tried_again(
    attempt: int, now: float, chance: float
) -> None:
    """Nothing may tell that it was closed, and no request is made to find out."""
    outcome = Outcome(errors.TEMPORARY, troubles=(errors.FileHeld("open"),))
    assert delay(outcome, attempt, now, chance) == min(15.0 * chance, backoff(attempt, chance))


@given(attempts, times, waits, chances)
def test_what_can_go_on_at_once_is_not_waited_for(
    attempt: int, now: float, wait: float, chance: float
) -> None:
    """A cycle that asks for the next one gets it, whatever else it met."""
    outcome = Outcome(errors.TEMPORARY, again=True, retry_at=now + wait)
    assert delay(outcome, attempt, now, chance) == 0.0


# The loop of --once. Its waits are real, so they are short.


@pytest.fixture
def clock() -> Callable[[], float]:
    """The real clock: the loop waits for real."""
    return time.time


class Waits(list[float]):
    """The waits of a run, as it announced them."""

    def __call__(self, seconds: float, outcome: Outcome) -> None:
        """Note one."""
        assert outcome.temporary
        self.append(seconds)


async def test_a_run_without_trouble_is_one_cycle(person: Person) -> None:
    """It waits for nothing, and the next run has nothing to do."""
    waits = Waits()
    person.write("- [ ] Buy milk\n")
    assert (await person.once(waiting=waits)).counts == {"task.created": 1}
    person.sent()
    assert (await person.once(waiting=waits)).idle
    assert (waits, person.sent()) == ([], [])


async def test_a_run_goes_on_until_all_is_done(person: Person) -> None:
    """Failures on the way are waited out, and the outcome counts what every cycle did."""
    waits = Waits()
    person.write("- [ ] Buy milk\n")
    await person.once()
    person.write("- [x] Buy milk\n- [ ] Call Ann\n")
    person.sandbox.fault_next("5xx_before", "5xx_before", method="PATCH")
    outcome = await person.once(waiting=waits)
    assert outcome.code == errors.OK
    assert outcome.counts == {"task.changed": 1, "task.created": 1}
    assert len(waits) == 2
    assert all(0 <= wait <= 1.0 for wait in waits)
    assert person.omi() == {"Buy milk": True, "Call Ann": False}


async def ticked(person: Person) -> None:
    """Sync a task and tick it."""
    person.write("- [ ] Buy milk\n")
    await person.once()
    person.write("- [x] Buy milk\n")
    person.sent()


async def test_a_short_limit_is_waited_out(person: Person) -> None:
    """A 429 within the patience costs one request, and its time."""
    waits = Waits()
    await ticked(person)
    person.sandbox.fault_next("429")
    outcome = await person.once(waiting=waits)
    assert outcome.code == errors.OK
    assert person.sent() == [("PATCH", 429), ("PATCH", 200)]
    (wait,) = waits
    assert 0 < wait <= 1.0


async def test_a_long_limit_ends_the_run_at_once(person: Person) -> None:
    """A gate that opens after the patience is not waited for; what is pending stays so."""
    waits = Waits()
    await ticked(person)
    person.sandbox.retry_after = 3000
    person.sandbox.fault_next("429")
    outcome = await person.once(waiting=waits)
    assert (outcome.code, outcome.waiting, waits) == (errors.TEMPORARY, 1, [])
    assert person.sent() == [("PATCH", 429)]
    again = await person.once(waiting=waits)
    assert (again.code, waits, person.sent()) == (errors.TEMPORARY, [], [])


@pytest.mark.parametrize("fault", ["503", "429"])
async def test_a_server_that_asks_for_more_time_than_there_is_ends_the_run(
    person: Person, fault: Fault
) -> None:
    """One request, whether it is a limit or a gateway while the server is renewed."""
    waits = Waits()
    await ticked(person)
    person.sandbox.retry_after = 90
    person.sandbox.fault_next(fault)
    outcome = await person.once(waiting=waits)
    assert (outcome.code, outcome.waiting, waits) == (errors.TEMPORARY, 1, [])
    assert person.sent() == [("PATCH", int(fault))]


async def test_a_run_gives_up_when_its_patience_ends(person: Person) -> None:
    """It waits no longer than it was told to, in all."""
    waits = Waits()
    person.write("- [ ] Buy milk\n")
    await person.sandbox.__aexit__()
    outcome = await person.once(patience=0.6, waiting=waits)
    assert (outcome.code, outcome.waiting) == (errors.TEMPORARY, 1)
    assert isinstance(outcome.troubles[0], errors.Unreachable)
    assert 0 < sum(waits) <= 0.6
    await person.sandbox.__aenter__()
    assert (await person.once()).code == errors.OK


async def test_patience_counts_from_the_last_progress(person: Person) -> None:
    """A run that gets something done goes on for longer than its patience in all."""
    person.write("- [ ] one\n- [ ] two\n")
    await person.once()
    person.write("- [x] one\n- [x] two\n")
    for _ in range(2):
        person.sandbox.fault_next("429", None, method="PATCH")
    waits = Waits()
    outcome = await person.once(patience=1.5, waiting=waits)
    assert outcome.code == errors.OK
    assert outcome.counts == {"task.changed": 2}
    assert sum(waits) > 1.5


async def test_a_clock_that_is_set_back_gives_no_patience(person: Person) -> None:
    """However far back it is at each look: the run ends when it would have."""
    back = count(step=-3600)
    person.clock = lambda: time.time() + next(back)  # type: ignore[assignment]  # a clock all the same
    person.write("- [ ] Buy milk\n")
    await person.sandbox.__aexit__()
    async with asyncio.timeout(20):
        outcome = await person.once(patience=0.5)
    assert outcome.code == errors.TEMPORARY
    await person.sandbox.__aenter__()


async def test_without_patience_there_is_one_cycle(person: Person) -> None:
    """``--timeout 0`` tries once and tells how things stand."""
    waits = Waits()
    person.write("- [ ] Buy milk\n")
    person.sandbox.fault_next("5xx_before")
    outcome = await person.once(patience=0.0, waiting=waits)
    assert (outcome.code, waits) == (errors.TEMPORARY, [])
    assert person.sent() == [("GET", 503)]


async def test_a_failure_costs_the_others_nothing_where_time_is_not_lost(person: Person) -> None:
    """Though there is no patience: what fails at once lets the next one be tried."""
    person.write("".join(f"- [ ] task {n}\n" for n in range(6)))
    await person.once()
    person.write("".join(f"- [x] task {n}\n" for n in range(6)))
    person.sandbox.fault_next("5xx_before", method="PATCH")
    assert (await person.once(patience=0.0)).code == errors.TEMPORARY
    assert sum(person.omi().values()) == 5


async def test_a_silent_server_costs_no_more_writes_than_there_is_time(person: Person) -> None:
    """The first write without an answer beyond the patience is the last one."""
    person.write("".join(f"- [ ] task {n}\n" for n in range(4)))
    await person.once()
    person.write("".join(f"- [x] task {n}\n" for n in range(4)))
    person.sent()
    person.sandbox.fault_rate({"hang": 1.0})
    async with person.desk() as desk:
        desk.timeout = 0.2
        outcome = await daemon.once(desk, patience=0.1)
    assert (outcome.code, outcome.waiting) == (errors.TEMPORARY, 4)
    assert [method for method, _ in person.sent()] == ["PATCH"]
    person.sandbox.release()
