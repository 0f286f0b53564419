"""Stopped after any step, omisync goes on to the same end: nothing lost, nothing doubled."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from person import Person


class Stopped(BaseException):
    """The process died here."""


class StopAt:
    """Dies at step ``step``; steps are commits, requests sent and replies read."""

    def __init__(self, step: int) -> None:
        self.left = step

    def __call__(self, event: str) -> None:
        """Count one step."""
        self.left -= 1
        if self.left == 0:
            raise Stopped(event)


MANY = [f"task number {n}" for n in range(1, 61)]
BEFORE = "".join(
    f"- [ ] {text}\n" for text in ("stays", "ticked", "reworded a bit", "moved", "gone")
)
AFTER = (
    "- [ ] moved\n- [ ] stays\n- [x] ticked\n- [ ] reworded a bit more\n"
    "- [ ] new one\n- [x] new done\n"
)

SCENARIOS: Mapping[str, tuple[str, str, dict[str, bool]]] = {
    "single create": ("", "- [ ] alone\n", {"alone": False}),
    "batch": (
        "",
        "- [ ] a\n- [x] b\n- [ ] c 📅 2026-12-24\n",
        {"a": False, "b": True, "c": False},
    ),
    "two batches": (
        "",
        "".join(f"- [ ] {text}\n" for text in MANY),
        dict.fromkeys(MANY, False),
    ),
    "everything at once": (
        BEFORE,
        AFTER,
        {
            "stays": False,
            "ticked": True,
            "reworded a bit more": False,
            "moved": False,
            "gone": True,
            "new one": False,
            "new done": True,
        },
    ),
    "a line comes back": (
        "- [ ] back\n- [ ] other\n- [ ] third\n- [ ] fourth\n",
        "- [ ] other\n- [ ] third\n- [ ] fourth\n",
        {"back": True, "other": False, "third": False, "fourth": False},
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_every_step_may_be_the_last(name: str, person: Person) -> None:
    """The process stopped after step k, for every k, and resumed: the same end state."""
    before, after, expected = SCENARIOS[name]
    for step in range(1, 500):
        person.sandbox.items.clear()
        for path in person.home.glob("state/*"):
            path.unlink()
        person.write(before)
        await person.settle()
        person.write(after)
        person.trace = stop = StopAt(step)
        with suppress(Stopped):
            await person.settle()
        person.trace = None
        await person.settle()
        assert person.omi() == expected, step
        person.sent()
        assert (await person.cycle()).code == 0
        assert person.sent() == [], "a settled state plans nothing"
        if stop.left > 0:
            assert step > 3, "the scenario has steps"
            return
    pytest.fail("the scenario has no end")


FAULTS = ["5xx_before", "5xx_after", "reset_before", "reset_after", "429", "garbage"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_at_thirty_percent(fault: str, person: Person) -> None:
    """Whatever the server does to every third request, the end is the same."""
    person.sandbox.retry_after = 1
    for seed in range(3):
        person.sandbox.items.clear()
        for path in person.home.glob("state/*"):
            path.unlink()
        person.sandbox.fault_rate({fault: 0.3}, seed)
        person.write(BEFORE + "".join(f"- [ ] {text}\n" for text in MANY))
        await person.settle()
        person.write(AFTER + "".join(f"- [x] {text}\n" for text in MANY))
        await person.settle()
        person.sandbox.fault_rate({}, seed)
        assert (await person.settle()).code == 0
        expected = SCENARIOS["everything at once"][2] | dict.fromkeys(MANY, True)
        assert person.omi() == expected
        person.sent()
        await person.cycle()
        assert person.sent() == []


async def test_stopped_again_and_again(person: Person) -> None:
    """A process that dies at random moments still gets there, each task once."""
    dice = random.Random(7)
    person.write("".join(f"- [ ] {text}\n" for text in MANY))
    for _ in range(40):
        person.trace = StopAt(dice.randint(1, 12))
        with suppress(Stopped):
            await person.settle()
        person.clock.pass_by(dice.uniform(0, 20))
    person.trace = None
    await person.settle()
    assert person.omi() == dict.fromkeys(MANY, False)


UNDONE = {
    "reworded": "- [ ] kept as it is\n- [ ] walk the brown dog\n",
    "ticked": "- [ ] kept as it is\n- [x] walk the dog\n",
    "dated": "- [ ] kept as it is\n- [ ] walk the dog due:2026-12-24\n",
    "removed": "- [ ] kept as it is\n",
}


@pytest.mark.parametrize("policy", ["complete", "delete"])
@pytest.mark.parametrize("name", UNDONE)
async def test_an_edit_undone_after_a_stop_is_undone_in_omi(
    name: str, policy: str, person: Person
) -> None:
    """Stopped after any step of an edit that is then taken back: Omi has the original."""
    person.settings = f'[sync]\non_removal = "{policy}"\n'
    original = "- [ ] kept as it is\n- [ ] walk the dog\n"
    for step in range(1, 30):
        person.sandbox.items.clear()
        for path in person.home.glob("state/*"):
            path.unlink()
        person.write(original)
        await person.settle()
        person.write(UNDONE[name])
        person.trace = stop = StopAt(step)
        with suppress(Stopped):
            await person.cycle()
        person.trace = None
        person.write(original)
        await person.settle()
        held = {i.description: (i.completed, i.due_at) for i in person.sandbox.items.values()}
        assert held == {"kept as it is": (False, None), "walk the dog": (False, None)}, step
        assert len(person.sandbox.items) == 2
        person.sent()
        await person.cycle()
        assert person.sent() == []
        if stop.left > 0:
            return
    pytest.fail("the scenario has no end")
