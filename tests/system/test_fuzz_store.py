"""Every command on a store that bits were flipped of, in this process, so that many can run.

See ``tests/core/test_fuzz.py`` for how the campaigns run.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from machine import lines

from omisync import cli, errors

if TYPE_CHECKING:
    from machine import Machine

COMMANDS = (
    ("status",), ("status", "--json"), ("log",), ("log", "--json"), ("--dry-run",), ("--once",),
    ("doctor",), ("retry",), ("forget", "task 2"), ("--once", "--json"), ("repair",),
)  # fmt: skip
CODES = {*errors.SEVERITY, errors.USAGE}


def damaged(machine: Machine, monkeypatch: pytest.MonkeyPatch, times: int, number: int) -> None:
    """Flip bits of a store with some history, and run a command on it, so many times."""
    dice = random.Random(number)
    machine.synced(lines(1, 2, 3, 4))
    machine.synced(lines(1, 2, 4) + "- [x] task 3\n- [ ] task 5 due:2026-01-31\n")
    machine.synced(lines(1, 2, 5))
    path = machine.store
    whole = path.read_bytes()
    used = [place for place, byte in enumerate(whole) if byte]
    for name in os.environ:
        monkeypatch.delenv(name)
    for name, value in machine.surroundings().items():
        monkeypatch.setenv(name, value)
    for _ in range(times):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 1, 2, 8))):
            data[dice.choice(used)] ^= 1 << dice.randrange(8)
        for beside in path.parent.glob(f"{path.name}?*"):
            beside.unlink()
        path.write_bytes(data)
        words = dice.choice(COMMANDS)
        assert cli.main(list(words)) in CODES, words


def test_any_command_on_a_damaged_store(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with a documented code and never with an error that is not one of ours."""
    damaged(machine, monkeypatch, 8, 8)


@pytest.mark.campaign
@pytest.mark.parametrize("number", range(3))
def test_any_command_on_a_damaged_store_at_length(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
) -> None:
    """The same, 300 times for each of three seeds."""
    damaged(machine, monkeypatch, 300, number)
