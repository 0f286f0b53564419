"""The real process, killed without warning: nothing is lost, nothing doubled."""

from __future__ import annotations

import random
import signal
import subprocess
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from machine import PATIENCE, ended

if TYPE_CHECKING:
    from machine import Machine, Omi

    from omisync.sandbox.faults import Fault

MANY = 300


def killed(machine: Machine, dice: random.Random) -> bool:
    """Start a sync and kill it at a random moment; return whether it was still running.

    Half of the moments lie anywhere, half just as a request has come in or was
    answered: there the dangerous ones are close together.
    """
    if dice.random() < 0.5:
        # A real start, for some of these moments lie in it.
        process = replace(machine, real=True).start("--once")
        with suppress(subprocess.TimeoutExpired):
            process.wait(dice.uniform(0.3, 1.5))
        running = process.poll() is None
        process.kill()
        process.communicate()
        return running
    process = machine.start("--once")
    sandbox = machine.omi.sandbox
    moment = len(sandbox.requests) + len(sandbox.waiting) + dice.randint(1, 12)
    kill = machine.omi.when(
        lambda omi: len(omi.requests) + len(omi.waiting) >= moment, process.kill
    )
    process.communicate(timeout=PATIENCE)
    kill.cancel()
    return process.returncode == -signal.SIGKILL


def finished(machine: Machine, expected: dict[str, bool]) -> None:
    """Check that a run left alone brings Omi to this, and that one more sends nothing."""
    machine.omi.release()
    ran = machine.once()
    assert ran.code == 0, ran.said
    assert machine.omi.items() == expected
    machine.settled()


def slowed(machine: Machine) -> None:
    """Make Omi slow enough that a kill meets requests under way."""
    machine.omi.sandbox.slow_seconds = 0.3
    machine.omi.fail("slow")


def push(machine: Machine, kills: int, dice: random.Random) -> None:
    """Kill a first push of many tasks again and again, then let it end."""
    texts = [f"task {n}" for n in range(MANY)]
    machine.write("".join(f"- [ ] {text}\n" for text in texts))
    slowed(machine)
    met = sum(killed(machine, dice) for _ in range(kills))
    assert met, "not one kill came while it ran"
    finished(machine, dict.fromkeys(texts, False))


def thoughts(number: int, dice: random.Random) -> list[tuple[str, bool]]:
    """Return new open tasks, no two alike."""
    return [(f"{dice.randbytes(6).hex()} {dice.randbytes(6).hex()}", False) for _ in range(number)]


def edited(texts: list[tuple[str, bool]], dice: random.Random) -> list[tuple[str, bool]]:
    """Return a list after a person was at it: lines ticked, reworded, moved, new, removed, as ever.

    Some of it takes back what was done a moment before.
    """
    after = list(texts)
    for number in dice.sample(range(len(after)), 12):
        text, completed = after[number]
        other = text.removesuffix(" again") if text.endswith(" again") else f"{text} again"
        # A finished line that is open and different is a new task, so no line is given both.
        ticked = text[0] in "01234567"
        after[number] = (text, not completed) if ticked else (other, completed)
    for number in dice.sample(range(len(after)), 4):
        after.insert(dice.randrange(len(after)), after.pop(number))
    del after[dice.randrange(len(after))]
    return after + thoughts(6, dice)


def shown(texts: list[tuple[str, bool]]) -> str:
    """Return the list as Markdown."""
    return "".join(f"- [{'x' if completed else ' '}] {text}\n" for text, completed in texts)


def edits(machine: Machine, rounds: int, dice: random.Random) -> None:
    """Kill a run after each of many edits, then let the last one end."""
    texts = thoughts(60, dice)
    machine.synced(shown(texts))
    slowed(machine)
    met = 0
    for _ in range(rounds):
        texts = edited(texts, dice)
        machine.write(shown(texts))
        met += killed(machine, dice)
    assert met, "not one kill came while it ran"
    machine.omi.release()
    assert machine.once().code == 0
    items = machine.omi.items()
    listed = dict(texts)
    assert {text: items.get(text) for text in listed} == listed
    assert all(items[text] for text in items.keys() - listed), "a removed line's item is still open"
    machine.settled()


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.campaign)])
def test_a_first_push_survives_kills(seed: int, machine: Machine) -> None:
    """SIGKILL at random moments of a push of 300 tasks: all arrive, each once."""
    push(machine, 3, random.Random(seed))


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.campaign)])
def test_edits_survive_kills(seed: int, machine: Machine) -> None:
    """SIGKILL during ticks, rewordings, moves and new lines: Omi ends with the last file."""
    edits(machine, 3, random.Random(seed))


def undone(machine: Machine, fault: Fault) -> None:
    """Tick three tasks, kill the run after the first one arrived, untick them again."""
    before = [(f"task {n}", False) for n in range(3)]
    machine.synced(shown(before))
    machine.write(shown([(text, True) for text, _ in before]))
    machine.omi.sandbox.slow_seconds = 600
    machine.omi.sandbox.fault_next(None, fault, fault)
    process = machine.start("--once")
    machine.omi.until(lambda sandbox: len(sandbox.waiting) == 2)
    process.kill()
    process.communicate()
    machine.omi.release()
    machine.write(shown(before))
    finished(machine, dict(before))


def test_an_edit_undone_after_a_kill_is_undone_in_omi(machine: Machine) -> None:
    """A run killed after its first change, the file put back: Omi has what the file says."""
    undone(machine, "hang")


def test_a_change_in_flight_at_the_kill_is_undone_in_omi(machine: Machine) -> None:
    """The same when the changes under way reach Omi after all."""
    undone(machine, "slow")


def test_an_interrupt_keeps_what_was_sent(machine: Machine, omi: Omi) -> None:
    """Ctrl-C during a create: exit 130, and the next run finds the tasks instead of doubling."""
    machine.write("- [ ] one\n- [ ] two\n")
    omi.sandbox.slow_seconds = 600
    omi.sandbox.fault_next(None, None, "slow")
    process = machine.start("--once")
    omi.until(lambda sandbox: bool(sandbox.waiting))
    process.send_signal(signal.SIGINT)
    ran = ended(process)
    assert ran.code == 130
    assert "next run" in ran.err
    told = machine.run("status")
    assert told.code == 75
    assert told.out.startswith("Not in sync yet")
    omi.release()
    omi.until(lambda sandbox: len(sandbox.items) == 2)
    finished(machine, {"one": False, "two": False})


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(10, 30))
def test_killed_at_length(seed: int, machine: Machine) -> None:
    """The same with many more kills, and other dice."""
    dice = random.Random(seed)
    edits(machine, 40, dice) if seed % 2 else push(machine, 15, dice)
