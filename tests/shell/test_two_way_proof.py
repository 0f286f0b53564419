"""Two-way, proven: both sides edited at random, while the process, the server and saves interfere.

After some quiet both sides say the same, and every word and date that nobody took
away is on a side or told as a clash.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from person import Clock, Person
from replicas import TWO_WAY, Replicas, dying

from omisync.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINE_EDITS = ("add", "reword", "tick", "date", "remove", "move", "paste")
ITEM_EDITS = ("add", "reword", "tick", "date", "undate", "delete", "reprocess", "hide", "lock")
BOTH_EDITS = ("reword", "reword", "tick", "date", "date")
MEANWHILE = ("add", "tick", "delete", "reprocess", "hide")
"""What the app may do between the reading of the list and a change: nothing that a change
of the same field would overwrite, for the API knows no condition."""
FAULTS = (
    "5xx_before", "5xx_after", "reset_before", "reset_after", "slow", "garbage", "redirect",
    "html", "intercepted", "429", "401", "402", "403", "405", "408", "413", "422", "426",
)  # fmt: skip
SEEDS = st.integers(0, 2**32)


class Interference:
    """Counts the steps of a cycle, and at one of them stops it or lets somebody edit."""

    def __init__(self, at: int, act: Callable[[], None], only: str = "") -> None:
        self.left, self.act, self.only = at, act, only

    def __call__(self, step: str) -> None:
        """Count one step."""
        if step.startswith(self.only):
            self.left -= 1
            if self.left == 0:
                self.act()


class BothWays(RuleBasedStateMachine):
    """Someone edits the file, someone the app, and omisync has no easy time between them."""

    done: ClassVar[Counter[str]] = Counter()
    """What was done by all machines."""

    def __init__(self) -> None:
        super().__init__()
        self.home = TemporaryDirectory()
        self.runner = asyncio.Runner()
        clock = Clock(step=0.001)
        self.sandbox = Sandbox(clock=clock)
        self.sandbox.slow_seconds = 0.0
        self.runner.run(self.sandbox.__aenter__())
        person = Person(Path(self.home.name), self.sandbox, clock, settings=TWO_WAY)
        self.both = Replicas(person)

    @initialize(
        name=st.sampled_from(("todo.md", "todo.toml")),
        prefer=st.sampled_from(("local", "remote")),
        gone=st.sampled_from(("keep", "check", "remove")),
        imports=st.sampled_from(("open", "open", "all", "linked")),
        removal=st.sampled_from(("complete", "complete", "delete", "keep")),
        ids=st.sampled_from(("off", "inline")),
    )
    def configure(  # noqa: PLR0913, PLR0917 - that many policies
        self, name: str, prefer: str, gone: str, imports: str, removal: str, ids: str
    ) -> None:
        """All policies, both formats."""
        person = self.both.person
        person.name = name
        person.settings += (
            f'prefer = "{prefer}"\non_remote_removal = "{gone}"\nimport_items = "{imports}"\n'
            f'on_removal = "{removal}"\nids = "{ids}"\n'
        )
        self.both.deletes = removal == "delete"
        person.write("")

    @rule(
        here=st.lists(st.sampled_from(LINE_EDITS), max_size=4),
        there=st.lists(st.sampled_from((*ITEM_EDITS, "break")), max_size=4),
        seed=SEEDS,
    )
    def edit(self, here: list[str], there: list[str], seed: int) -> None:
        """Edits in the editor and in the app; a row may come that makes all lists incomplete."""
        dice = Random(seed)
        for what in here:
            self.both.edit_line(what, dice)
        for what in there:
            self.both.edit_item(what, dice)
        self.done["edits"] += len(here) + len(there)

    @rule(seed=SEEDS)
    def edit_one_task(self, seed: int) -> None:
        """The same task is edited on both sides."""
        dice = Random(seed)
        self.both.edit_both(dice.choice(BOTH_EDITS), dice.choice(BOTH_EDITS), dice)
        self.done["edits of one task on both sides"] += 1

    @rule(seed=SEEDS)
    def write_twice(self, seed: int) -> None:
        """The same new task on both sides."""
        self.both.write_twice(Random(seed))

    @rule(grace=st.sampled_from((0.0, 0.0, 30.0)), seconds=st.sampled_from((0, 1, 40, 4000)))
    def sync(self, grace: float, seconds: int) -> None:
        """A cycle without trouble, after a while."""
        self.both.person.clock.pass_by(seconds)
        self.cycle(grace=grace)

    @rule(at=st.integers(1, 25), power=st.booleans())
    def stop(self, at: int, power: bool) -> None:
        """The process dies after some step, or all the machine does."""
        with dying(self.both.person, at, power=power) as death:
            self.cycle()
        self.done["stops"] += death.came

    @rule(
        step=st.sampled_from(("file.written", "file.checked", "file.swapped", "")),
        at=st.sampled_from((1, 1, 2, 5)),
        what=st.sampled_from(LINE_EDITS),
        seed=SEEDS,
    )
    def save_meanwhile(self, step: str, at: int, what: str, seed: int) -> None:
        """The person saves while the file is being written, or anything else is done."""

        def save() -> None:
            self.done["saves within a cycle"] += 1
            self.both.edit_line(what, Random(seed))

        self.cycle(Interference(at, save, step))

    @rule(at=st.integers(1, 12), what=st.sampled_from(MEANWHILE), seed=SEEDS)
    def app_meanwhile(self, at: int, what: str, seed: int) -> None:
        """The app changes something after the list was read."""

        def change() -> None:
            self.done["edits in the app within a cycle"] += 1
            self.both.edit_item(what, Random(seed))

        self.cycle(Interference(at, change))

    @rule(
        kinds=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=3, unique=True),
        cycles=st.integers(1, 3),
        seed=SEEDS,
    )
    def sync_with_faults(self, kinds: list[str], cycles: int, seed: int) -> None:
        """The server fails every other request."""
        self.sandbox.fault_rate(dict.fromkeys(kinds, 0.5 / len(kinds)), seed)  # type: ignore[arg-type]  # names of faults
        for _ in range(cycles):
            self.cycle()
            self.both.person.clock.pass_by(3)
        self.sandbox.fault_rate({})

    @rule(after=st.booleans(), method=st.sampled_from(("GET", "POST", "PATCH", "DELETE")))
    def hang(self, after: bool, method: str) -> None:
        """A request gets no answer, and the process is ended."""
        self.sandbox.fault_next("hang_after" if after else "hang", method=method)
        self.runner.run(self.hung())
        self.sandbox._faults.queue.clear()

    async def hung(self) -> None:
        """Run a cycle, and cancel it when a request hangs."""
        self.sandbox.waiting.clear()
        cycle = asyncio.create_task(self.both.cycle())
        hangs = asyncio.create_task(self.sandbox.wait_for(lambda box: bool(box.waiting)))
        await asyncio.wait({cycle, hangs}, return_when=asyncio.FIRST_COMPLETED)
        self.done["faults"] += hangs.done()
        for task in (cycle, hangs):
            task.cancel()
        await asyncio.wait({cycle, hangs})
        if not cycle.cancelled():
            cycle.result()

    def cycle(self, trace: Interference | None = None, **how: object) -> None:
        """Run one cycle, which may be stopped."""
        self.both.person.trace = trace or self.both.person.trace
        self.sandbox.requests.clear()
        try:
            self.runner.run(self.both.cycle(**how))
        finally:
            self.both.person.trace = None
        self.done["cycles"] += 1
        self.done["faults"] += sum(one.fault is not None for one in self.sandbox.requests)

    def teardown(self) -> None:
        """After some quiet both sides agree, nothing is lost, and nothing more is planned."""
        try:
            if self.both.person.todo.exists():
                self.runner.run(self.both.settle())
                self.runner.run(self.both.quiet())
                self.runner.run(self.both.agree())
        finally:
            self.runner.run(self.sandbox.__aexit__())
            self.runner.close()
            self.home.cleanup()


def _size(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


TestBothWays = BothWays.TestCase
TestBothWays.settings = _size(3, 30)


@pytest.mark.campaign
class TestLongBothWays(BothWays.TestCase):  # type: ignore[misc]  # a class made at run time
    """Many more of them: over 15,000 steps."""

    settings = _size(400, 40)

    @pytest.fixture(autouse=True)
    def _told(self, tally: Counter[str]) -> Iterator[None]:
        """Have what was done told at the end."""
        BothWays.done.clear()
        yield
        tally.update(BothWays.done)
