"""Two-way with equal texts: what was said on one side is said on both, whichever twin was meant."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from person import Clock, Person
from replicas import TWO_WAY, Line, dying, lines_of, source_of

from omisync import errors, sync
from omisync.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from omisync.sync import Outcome

TEXTS = ("feed the cat", "feed the cats", "water", "call about the roof")
DAYS = (None, None, "2027-01-01", "2027-02-02")
SETTINGS = 'import_items = "all"\non_removal = "delete"\non_remote_removal = "remove"\n'
LINE_EDITS = ("add", "add", "copy", "reword", "tick", "date", "remove", "move", "swap", "sort")
ITEM_EDITS = (("add", "add", "reword", "tick", "date"), ("delete",))
"""Those of one round: what was deleted and made again is taken for the same."""
FAULTS = (
    "5xx_before", "5xx_after", "reset_before", "reset_after", "slow", "garbage", "html",
    "intercepted", "429", "408",
)  # fmt: skip


def edit_lines(lines: list[Line], what: str, dice: Random) -> None:
    """Make one edit in the editor."""
    at = dice.randrange(len(lines)) if lines else 0
    if what == "add" or not lines:
        lines.insert(at, Line(dice.choice(TEXTS)))
        return
    line = lines[at]
    match what:
        case "copy":
            lines.insert(at, Line(line.text, line.done, None if line.done else line.due))
        case "reword":
            line.text = dice.choice(TEXTS)
        case "tick":
            line.done = not line.done
        case "date" if not line.done:
            line.due = dice.choice(DAYS)
        case "remove":
            del lines[at]
        case "move":
            lines.insert(dice.randrange(len(lines)), lines.pop(at))
        case "swap":
            other = dice.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case "sort":
            lines.sort(key=lambda line: (line.done, line.text))


def edit_items(box: Sandbox, what: str, dice: Random) -> None:
    """Make one edit in the app."""
    if what == "add":
        box.add(dice.choice(TEXTS), completed=dice.random() < 0.2)
        return
    if not box.items:
        return
    one = box.items[dice.choice(sorted(box.items))]
    match what:
        case "reword":
            one.description = dice.choice(TEXTS)
        case "tick":
            one.completed = not one.completed
        case "date" if not one.completed:
            day = dice.choice(DAYS)
            one.due_at = day and datetime.combine(date.fromisoformat(day), time(9), UTC)
        case "delete":
            del box.items[one.id]


class Story:
    """Somebody who edits the file, the app, or both, and syncs after each round.

    ``most`` and ``least`` are how many tasks there may be after a round.
    """

    def __init__(self, home: Path, name: str, dice: Random, box: Sandbox, clock: Clock) -> None:
        prefer = f'prefer = "{dice.choice(("local", "remote"))}"\n'
        self.person = Person(home, box, clock, name=name, settings=TWO_WAY + SETTINGS + prefer)
        self.person.write("")
        self.dice, self.box, self.toml = dice, box, name.endswith(".toml")
        self.most = self.least = 0

    def lines(self) -> list[Line]:
        """Return the file's tasks."""
        return lines_of(self.person.todo.read_text(encoding="utf-8"), toml=self.toml)

    def lines_say(self) -> Counter[tuple[str, bool, str | None]]:
        """Count what the lines say; the date of a finished one may have been kept back."""
        lines = self.lines()
        return Counter((line.text, line.done, None if line.done else line.due) for line in lines)

    def items_say(self) -> Counter[tuple[str, bool, str | None]]:
        """Count what the items say."""
        told: Counter[tuple[str, bool, str | None]] = Counter()
        for one in self.box.items.values():
            day = one.due_at.date().isoformat() if one.due_at and not one.completed else None
            told[one.description, one.completed, day] += 1
        return told

    async def round(self, side: str, *, trouble: bool) -> None:
        """Edit, sync with or without trouble, and check that both sides say the same."""
        self.most = self.least = len(self.lines())
        if side != "app":
            lines = self.lines()
            self._several(LINE_EDITS, lambda what: edit_lines(lines, what, self.dice), lines)
            self.person.write(source_of(lines, toml=self.toml))
        if side != "file":
            kinds = ITEM_EDITS[0] if side == "both" else self.dice.choice(ITEM_EDITS)
            self._several(kinds, lambda what: edit_items(self.box, what, self.dice), self.box.items)
        source, items = self.person.todo.read_bytes(), self.items_say()
        if trouble:
            await self._trouble()
        outcome = await self._settled()
        told = side, source.decode(), items, outcome
        assert outcome.code == errors.OK, told
        assert self.lines_say() == self.items_say(), told
        if side == "file":
            assert self.person.todo.read_bytes() == source, told
        elif side == "app":
            # A date that was kept back is sent when the app opens the task again.
            assert _undated(self.items_say()) == _undated(items), told
        assert self.least <= len(self.lines()) <= self.most, told
        self.person.sent()
        outcome = await self.person.cycle(now=True)
        assert not outcome.counts, told
        assert {method for method, _ in self.person.sent()} <= {"GET"}, told

    def _several(self, kinds: tuple[str, ...], edit: Callable[[str], None], held: Sized) -> None:
        """Make a few edits of what is held."""
        for _ in range(self.dice.randint(1, 4)):
            count, what = len(held), self.dice.choice(kinds)
            edit(what)
            self.most += max(0, len(held) - count)
            self.least -= max(0, count - len(held))
            if what == "reword":  # may be taken for another task beside an edit of the item
                self.most += 1

    async def _trouble(self) -> None:
        """Run three cycles that die, on a server that fails many requests."""
        rates = dict.fromkeys(self.dice.sample(FAULTS, 3), 0.15)
        self.box.fault_rate(rates, self.dice.randrange(10**6))  # type: ignore[arg-type]  # names of faults
        for _ in range(3):
            step, power = self.dice.randint(1, 30), self.dice.random() < 0.5
            with dying(self.person, step, power=power):
                await self.person.cycle(now=True, allow_removals=True, yes=True)
            self.person.clock.pass_by(self.dice.choice((0, 1, 3, 30)))
        self.box.fault_rate({})
        self.person.clock.pass_by(90_000)  # an item like ours is not waited for any longer

    async def _settled(self) -> Outcome:
        """Run cycles until three in a row find nothing to do."""
        calm = 0
        for _ in range(60):
            outcome = await self.person.cycle(now=True, allow_removals=True, yes=True)
            self.person.clock.pass_by(600)
            calm = 0 if outcome.counts or outcome.code else calm + 1
            if calm == 3:
                return outcome
            if outcome.parked or outcome.still_parked:
                async with self.person.desk() as desk:
                    sync.retry(desk.store, "", self.person.clock())
        raise AssertionError(f"never settled: {outcome}")


def _undated(said: Counter[tuple[str, bool, str | None]]) -> Counter[tuple[str, bool]]:
    told: Counter[tuple[str, bool]] = Counter()
    for (text, completed, _), times in said.items():
        told[text, completed] += times
    return told


async def live(home: Path, name: str, rounds: list[tuple[str, bool]], dice: Random) -> None:
    """Live through these rounds."""
    clock = Clock(step=0.001)
    async with Sandbox(clock=clock) as box:
        box.slow_seconds = 0.0
        story = Story(home, name, dice, box, clock)
        for side, trouble in rounds:
            await story.round(side, trouble=trouble)


@given(
    name=st.sampled_from(("todo.md", "todo.toml")),
    rounds=st.lists(
        st.tuples(st.sampled_from(("file", "app", "both")), st.booleans()), min_size=2, max_size=8
    ),
    dice=st.randoms(use_true_random=False),
)
@settings(max_examples=4, deadline=None)
def test_both_sides_say_what_one_said(
    name: str, rounds: list[tuple[str, bool]], dice: Random
) -> None:
    """A file that alone was edited stays as it is, and so do items; no task is lost or doubled."""
    with TemporaryDirectory() as home:
        asyncio.run(live(Path(home), name, rounds, dice))


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(0, 1000, 50))
def test_many_stories_of_equal_texts(seed: int, tally: Counter[str]) -> None:
    """The same at length."""
    for number in range(seed, seed + 50):
        dice = Random(number)
        name = dice.choice(("todo.md", "todo.toml"))
        sides = [dice.choice(("file", "app", "both")) for _ in range(dice.randint(2, 8))]
        rounds = [(side, dice.random() < 0.5) for side in sides]
        with TemporaryDirectory() as home:
            asyncio.run(live(Path(home), name, rounds, dice))
        tally["stories of equal texts"] += 1
        tally["rounds"] += len(rounds)
