"""Schedules of faults: whatever a server fails with, up to six requests in ten, all arrives.

A schedule draws a direction's policies, which faults come and how often, and some
cycles with edits between them; then the server is well again. In the end nothing is
lost, nothing doubled, and another cycle has nothing to say.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any, get_args

import pytest
from person import Clock, Person
from replicas import TWO_WAY, Replicas, dying

from omisync.sandbox import Sandbox
from omisync.sandbox.faults import HANGS, Fault

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from omisync.sandbox.server import _Call
    from omisync.sandbox.wire import Reply

PUSH = '[sync]\ntimezone = "UTC"\nimport_items = "linked"\n'
FAULTS = tuple(fault for fault in get_args(Fault) if fault != "404")
"""All of the sandbox, but for a 404 about an item that exists: who is told that an item
is gone has to make it anew."""
WORST = 0.6
"""Share of requests that fail at most."""
LINE_EDITS = ("add", "add", "reword", "reword", "tick", "date", "remove", "move", "paste")
ITEM_EDITS = ("add", "reword", "tick", "date", "undate", "delete", "reprocess", "hide", "lock")
BOTH_EDITS = ("reword", "tick", "date")
WAITS = (0, 0, 1, 3, 12, 40, 4_000, 90_000)
NEVER = 10_000
"""A step that no cycle gets to."""
JUMPS = (-90_000, -4_000, -60, 60, 4_000, 90_000, 40 * 86_400)
"""Seconds by which this machine's clock is set, while Omi's goes on."""


@dataclass
class Watch(Clock):
    """This machine's clock: it goes as Omi's does, and can be set."""

    omi: Clock | None = None

    def pass_by(self, seconds: float) -> None:
        """Let time pass for both."""
        super().pass_by(seconds)
        if self.omi is not None:
            self.omi.pass_by(seconds)

    def set_by(self, seconds: float) -> None:
        """Set this clock alone."""
        self.now += seconds

    def put_right(self) -> None:
        """Set it to Omi's where it is behind: by it a new item would be one for a day longer."""
        if self.omi is not None:
            self.now = max(self.now, self.omi.now)


class Crooked(Sandbox):
    """An account whose good replies are damaged on their way; what is still legible is true.

    In two-way no single row of a list is: nobody knows what the app did to an item that
    is not shown.
    """

    def __init__(self, clock: Clock, dice: Random, done: Counter[str], way: str) -> None:
        super().__init__(clock=clock)
        self.rate = 0.0
        self.kinds = ("cut", "more", "letters", "said", "huge")
        self.of_rows = (*self.kinds, "types", "types", "gone")
        self.of_lists = self.of_rows if way == "push" else self.kinds
        self.dice, self.done = dice, done

    def _answer(self, call: _Call, fault: Fault | None) -> Reply:
        reply = super()._answer(call, fault)
        if reply.status == 200 and self.dice.random() < self.rate:
            self.done["damaged replies"] += 1
            kinds = self.of_lists if call.request.method == "GET" else self.of_rows
            return replace(reply, **damaged(reply.body, self.dice, self.dice.choice(kinds)))
        return reply


def damaged(body: bytes, dice: Random, what: str) -> dict[str, Any]:
    """Return a body, and what it is said to be, after an accident."""
    value, plain = json.loads(body), {}
    match what:
        case "cut":
            body = body[: dice.randrange(len(body))]
        case "types" | "gone":
            body = json.dumps(retyped(value, dice, gone=what == "gone")).encode()
        case "more":
            body = body[:-1] + dice.choice((b", 7]", b'"x": []}'))
        case "letters":
            body = json.dumps(value).encode(dice.choice(("utf-16", "utf-8-sig", "utf-32")))
        case "huge":
            body = b" " * (10 * 2**20 if dice.random() < 0.1 else 2**10) + body
        case _:
            said = dice.choice(("text/html", "image/png", "application/octet-stream"))
            plain = {"content_type": said}
    return {"body": body, **plain}


def retyped(value: object, dice: Random, *, gone: bool = False) -> object:
    """Return JSON of which one thing is of a type that it cannot be, or not there."""
    if isinstance(value, list) and value:
        at = dice.randrange(len(value))
        return [*value[:at], retyped(value[at], dice, gone=gone), *value[at + 1 :]]
    if isinstance(value, dict) and value:
        name = dice.choice([name for name in value if name not in MAY_BE_NOTHING])
        if gone:
            return {one: value[one] for one in value if one != name}
        return {**value, name: retyped(value[name], dice)}
    return dice.choice((7, 1.5, [[]], {"x": 1})) if not isinstance(value, int | float) else "no"


MAY_BE_NOTHING = {"due_at", "created_at"}
"""Fields without which a row is as good, and says something else."""


@dataclass
class Schedule:
    """What is drawn for one story, and what it came to."""

    both: Replicas
    clock: Watch
    dice: Random
    done: Counter[str]
    way: str

    @property
    def sandbox(self) -> Crooked:
        """The server."""
        sandbox = self.both.person.sandbox
        assert isinstance(sandbox, Crooked)
        return sandbox

    def configure(self) -> None:
        """Draw the policies and the format."""
        person, draw = self.both.person, self.dice.choice
        person.name = draw(("todo.md", "todo.toml"))
        removal = draw(("complete", "complete", "delete", "keep"))
        self.both.deletes = removal == "delete"
        person.settings = PUSH if self.way == "push" else TWO_WAY
        person.settings += f'on_removal = "{removal}"\n'
        if self.way != "push":
            person.settings += (
                f'prefer = "{draw(("local", "remote"))}"\nids = "{draw(("off", "inline"))}"\n'
                f'on_remote_removal = "{draw(("keep", "check", "remove"))}"\n'
                f'import_items = "{draw(("open", "open", "all", "linked"))}"\n'
            )
        person.write("")

    def spoil(self) -> None:
        """Draw which faults come from now on, and how often."""
        kinds = self.dice.sample(FAULTS, self.dice.choice((1, 1, 2, 3, 5, len(FAULTS))))
        rate = self.dice.uniform(0, WORST)
        self.sandbox.rate = self.dice.choice((0, 0, self.dice.uniform(0, WORST)))
        self.sandbox.retry_after = self.dice.choice((1, 7, 600))
        self.sandbox.fault_rate(dict.fromkeys(kinds, rate / len(kinds)), self.dice.getrandbits(32))

    def edit(self) -> None:
        """A few edits in the editor, and in the app what this direction has to take note of."""
        dice = self.dice
        for _ in range(dice.randrange(4)):
            self.both.edit_line(dice.choice(LINE_EDITS), dice)
            self.done["edits of lines"] += 1
        if dice.random() < 0.1:
            self.both.write_twice(dice)
            self.done["tasks written on both sides"] += 1
        if self.way == "push":
            return
        for _ in range(dice.randrange(4)):
            self.both.edit_item(dice.choice(ITEM_EDITS), dice)
            self.done["edits of items"] += 1
        if dice.random() < 0.3:
            self.both.edit_both(dice.choice(BOTH_EDITS), dice.choice(BOTH_EDITS), dice)
            self.done["edits of one task on both sides"] += 1

    async def cycle(self) -> None:
        """Run one cycle; it may be stopped after any step, and is cut short where Omi hangs."""
        person, sandbox = self.both.person, self.sandbox
        sandbox.waiting.clear()
        sandbox.requests.clear()
        last = self.dice.choice((self.dice.randint(1, 25), *(NEVER,) * 4))
        with dying(person, last, power=self.dice.random() < 0.5) as death:
            cycle = asyncio.create_task(self.both.cycle(grace=self.dice.choice((0.0, 0.0, 30.0))))
            hangs = asyncio.create_task(sandbox.wait_for(_hangs))
            await asyncio.wait({cycle, hangs}, return_when=asyncio.FIRST_COMPLETED)
            for task in (cycle, hangs):
                task.cancel()
            await asyncio.wait({cycle, hangs})
            if not cycle.cancelled():
                cycle.result()
        if death.came:
            self.done["kills" if death.power else "power cuts"] += 1
        self._tell()

    def _tell(self) -> None:
        self.done["cycles"] += 1
        met = [one for one in self.sandbox.waiting if one.fault in HANGS]
        for one in (*self.sandbox.requests, *met):
            self.done["requests"] += 1
            if one.fault is not None:
                self.done["faults"] += 1
                self.done[f"fault {one.fault}"] += 1

    async def run(self) -> None:
        """Live through it, then let all be well, and compare."""
        self.configure()
        for _ in range(self.dice.randint(3, 9)):
            if self.dice.random() < 0.8:
                self.spoil()
            self.edit()
            await self.cycle()
            self.clock.pass_by(self.dice.choice(WAITS))
            if self.dice.random() < 0.1:
                self.clock.set_by(self.dice.choice(JUMPS))
                self.done["clock jumps"] += 1
        self.sandbox.rate = 0.0
        self.clock.put_right()
        await self.both.settle()
        await self.both.quiet()
        await self.both.agree()
        if self.way == "push":
            self.both.person.sent()
            await self.both.cycle()
            assert self.both.person.sent() == []
        self.done["schedules"] += 1


def _hangs(sandbox: Sandbox) -> bool:
    return any(one.fault in HANGS for one in sandbox.waiting)


async def lived(home: Path, way: str, seed: int, done: Counter[str]) -> None:
    """Live through the schedule of this seed."""
    home.mkdir()  # noqa: ASYNC240 - nothing else runs yet
    omi = Clock(step=0.001)
    clock = Watch(omi.now, omi.step, omi)
    async with Crooked(omi, Random(seed), done, way) as sandbox:
        sandbox.slow_seconds = 0.0
        both = Replicas(Person(home, sandbox, clock))
        try:
            await Schedule(both, clock, Random(f"{way} {seed}"), done, way).run()
        except BaseException as error:
            error.add_note(f"schedule {seed} of {way}")
            raise
    shutil.rmtree(home)


@pytest.mark.parametrize("way", ["push", "two-way"])
async def test_a_few_schedules(tmp_path: Path, way: str, tally: Counter[str]) -> None:
    """Under a handful of mixtures nothing is lost or doubled."""
    for seed in range(2):
        await lived(tmp_path / str(seed), way, seed, tally)


@pytest.mark.campaign
@pytest.mark.parametrize("block", range(1, 21))
@pytest.mark.parametrize("way", ["push", "two-way"])
async def test_thousands_of_schedules(
    tmp_path: Path, way: str, block: int, tally: Counter[str]
) -> None:
    """The same, 100 schedules a block."""
    failed = []
    for seed in range(block * 100, block * 100 + 100):
        try:
            await lived(tmp_path / str(seed), way, seed, tally)
        except AssertionError as error:
            failed.append(error)
    if failed:
        raise ExceptionGroup(f"{len(failed)} of 100", failed)
