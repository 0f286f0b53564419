"""Stopped after any step, omisync goes on to the same end: nothing lost, nothing doubled."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from replicas import Line, dying, source_of

from omisync import errors

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from person import Person


MANY = [f"task number {n}" for n in range(1, 61)]
BATCHES = [f"task number {n}" for n in range(1, 106)]
"""One batch goes alone, and the two after it are written down together."""
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
    "batches written down together": (
        "",
        "".join(f"- [ ] {text}\n" for text in BATCHES),
        dict.fromkeys(BATCHES, False),
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
        with dying(person, step) as death:
            await person.settle()
        await person.settle()
        assert person.omi() == expected, step
        person.sent()
        assert (await person.cycle()).code == 0
        assert person.sent() == [], "a settled state plans nothing"
        if not death.came:
            assert step > 3, "the scenario has steps"
            return
    pytest.fail("the scenario has no end")


FAULTS = ["5xx_before", "5xx_after", "reset_before", "reset_after", "429", "garbage"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_at_thirty_percent(fault: str, person: Person) -> None:
    """Whatever the server does to every third request, the end is the same."""
    person.sandbox.retry_after = 1
    person.sandbox.fault_rate({fault: 0.3}, 1)
    person.write(BEFORE + "".join(f"- [ ] {text}\n" for text in MANY))
    await person.settle()
    person.write(AFTER + "".join(f"- [x] {text}\n" for text in MANY))
    await person.settle()
    person.sandbox.fault_rate({})
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
        with dying(person, dice.randint(1, 12), power=dice.random() < 0.5):
            await person.settle()
        person.clock.pass_by(dice.uniform(0, 20))
    await person.settle()
    assert person.omi() == dict.fromkeys(MANY, False)


UNDONE = {
    "reworded": "- [ ] kept as it is\n- [ ] walk the brown dog\n",
    "ticked": "- [ ] kept as it is\n- [x] walk the dog\n",
    "dated": "- [ ] kept as it is\n- [ ] walk the dog due:2026-12-24\n",
    "removed": "- [ ] kept as it is\n",
}


@pytest.mark.parametrize(
    ("name", "policy"), [*((name, "complete") for name in UNDONE), ("removed", "delete")]
)
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
        with dying(person, step) as death:
            await person.cycle()
        person.write(original)
        await person.settle()
        held = {i.description: (i.completed, i.due_at) for i in person.sandbox.items.values()}
        assert held == {"kept as it is": (False, None), "walk the dog": (False, None)}, step
        assert len(person.sandbox.items) == 2
        person.sent()
        await person.cycle()
        assert person.sent() == []
        if not death.came:
            return
    pytest.fail("the scenario has no end")


# Every op, alone and with others, and a second stop that nobody chose.

FOUR = ("water the roses", "call the plumber", "mend a fence", "read that contract")
LATER = "2026-12-24"


@dataclass(frozen=True)
class Story:
    """What a push does: the lists saved one after the other, what Omi had, and the settings.

    All but the last list are settled. ``old`` are items that were there before.
    """

    lists: tuple[tuple[Line, ...], ...]
    old: tuple[Line, ...] = ()
    settings: str = ""


def listed(*lines: Line) -> tuple[Line, ...]:
    """Return a list with these lines at its end, the usual ones before them."""
    return (*(Line(text) for text in FOUR), *lines)


def every(number: int, **fields: object) -> tuple[Line, ...]:
    """Return the usual list with these fields changed in its first so many lines."""
    lines = [Line(text) for text in FOUR]
    lines[:number] = [replace(line, **fields) for line in lines[:number]]  # type: ignore[arg-type]  # of a line
    return tuple(lines)


def reworded(number: int) -> tuple[Line, ...]:
    """Return the usual list with its first so many lines reworded."""
    return tuple(Line(text + " today" * (n < number)) for n, text in enumerate(FOUR))


DONE, DATED, DELETE, KEEP = (
    {"done": True}, {"due": LATER}, 'on_removal = "delete"\n', 'on_removal = "keep"\n',
)  # fmt: skip
USUAL = listed()
STORIES = {
    "create": Story((USUAL, listed(Line("new")))),
    "creates": Story((USUAL, listed(*(Line(text) for text in BATCHES)))),
    "create finished": Story((USUAL, listed(Line("new", done=True, due=LATER)))),
    "reword": Story((USUAL, reworded(1))),
    "rewords": Story((USUAL, reworded(4))),
    "tick": Story((USUAL, every(1, **DONE))),
    "ticks": Story((USUAL, every(4, **DONE))),
    "untick": Story((every(1, done=True, due=LATER), every(1, **DATED))),
    "date": Story((USUAL, every(1, **DATED))),
    "dates": Story((USUAL, every(4, **DATED))),
    "no date": Story((every(1, **DATED), USUAL)),
    "no dates": Story((every(4, **DATED), USUAL)),
    "all of one": Story((USUAL, (Line(f"{FOUR[0]} today", done=True, due=LATER), *USUAL[1:]))),
    "move": Story((USUAL, USUAL[::-1])),
    "remove": Story((USUAL, USUAL[1:])),
    "removes": Story((USUAL, USUAL[2:])),
    "delete": Story((USUAL, USUAL[1:]), settings=DELETE),
    "deletes": Story((USUAL, USUAL[2:]), settings=DELETE),
    "keep": Story((USUAL, USUAL[2:]), settings=KEEP),
    "revive": Story((USUAL, USUAL[1:], USUAL)),
    "revives": Story((USUAL, USUAL[2:], USUAL)),
    "revive another": Story((USUAL, USUAL[1:], every(1, done=True, due=LATER))),
    "adopt": Story((USUAL, listed(Line("there"))), (Line("there"),)),
    "adopts": Story((USUAL,), USUAL),
    "adopt, then change": Story((every(2, **DATED), listed(Line("new"))), every(2)),
    "everything": Story(
        (
            every(2, **DATED),
            (Line(FOUR[3], done=True), Line(f"{FOUR[0]} today"), Line(FOUR[1], due="2026-12-31"),
             Line("new"), Line("there"), Line("also new", done=True)),
        ),
        (Line("there"),),
    ),
}  # fmt: skip


async def begin(person: Person, story: Story, name: str) -> None:
    """Bring a story to the point where its last list was saved."""
    person.name, person.trace = name, None
    person.settings = f'[sync]\ntimezone = "UTC"\n{story.settings}'
    shutil.rmtree(person.store_path.parent, ignore_errors=True)
    person.sandbox.items.clear()
    for line in story.old:
        person.sandbox.add(line.text, completed=line.done)
    *before, last = story.lists
    for lines in before:
        person.write(source_of(lines, toml=name.endswith("toml")))
        await person.settle()
    person.write(source_of(last, toml=name.endswith("toml")))


async def stopped(person: Person, step: int, *, power: bool) -> bool:
    """Settle, but die at this step; return whether it came to that."""
    with dying(person, step, power=power) as death:
        await person.settle()
    return death.came


async def ended(person: Person) -> list[tuple[str, bool, str]]:
    """Let all go well, check that nothing more is planned, and return what Omi holds."""
    assert (await person.settle()).code == errors.OK
    person.omi()
    person.sent()
    assert (await person.cycle()).code == errors.OK
    assert person.sent() == [], "a settled state plans nothing"
    items = person.sandbox.items.values()
    return sorted((item.description, item.completed, str(item.due_at)) for item in items)


@pytest.mark.campaign
@pytest.mark.parametrize("name", ["todo.md", "todo.toml"])
@pytest.mark.parametrize("what", STORIES)
async def test_every_step_may_be_the_last_but_one(
    what: str, name: str, person: Person, tally: Counter[str]
) -> None:
    """Killed or without power after step k, resumed, stopped again or not: the same end."""
    dice, story = random.Random(what + name), STORIES[what]
    await begin(person, story, name)
    expected = await ended(person)
    assert {text for text, *_ in expected} >= {line.text for line in story.lists[-1]}
    for step in range(1, 1000):
        for power, second in (
            (True, 0),
            (False, 0),
            *((dice.random() < 0.5, dice.randint(1, 20)) for _ in range(3)),
        ):
            await begin(person, story, name)
            met = await stopped(person, step, power=power)
            met_again = second > 0 and await stopped(person, second, power=not power)
            tally["stops"] += met + met_again
            person.clock.pass_by(dice.choice((0, 0, 6, 100)))
            assert await ended(person) == expected, (step, power, second)
        if not met:
            break
    else:
        pytest.fail("the story has no end")
    assert step > 3, "the story has steps"
    tally["stories"] += 1
