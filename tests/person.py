"""A person with a todo file and an Omi account at the sandbox, and a clock for both."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from omisync import config as configs
from omisync import daemon, sync
from omisync.sandbox import KEY, Sandbox
from omisync.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from omisync.core.model import Link
    from omisync.sandbox import Item
    from omisync.store import Event
    from omisync.sync import Outcome


@dataclass
class Clock:
    """A clock that only moves when told to, or by ``step`` seconds each time it is looked at.

    Calling it gives Unix seconds.
    """

    now: float = field(default_factory=time.time)
    step: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        self.now += self.step
        return self.now

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@dataclass
class Person:
    """Someone with a todo file, a config, a state store and an Omi account."""

    home: Path
    sandbox: Sandbox
    clock: Clock
    name: str = "todo.md"
    settings: str = ""
    key: str = KEY
    trace: Callable[[str], None] | None = None

    @property
    def todo(self) -> Path:
        """The todo file."""
        return self.home / self.name

    @property
    def config_file(self) -> Path:
        """The config file."""
        return self.home / "config.toml"

    @property
    def store_path(self) -> Path:
        """The state store."""
        return self.home / "state" / "todo.db"

    def write(self, text: str) -> None:
        """Save the todo file."""
        self.todo.write_text(text, encoding="utf-8", newline="")

    def configure(self) -> Path:
        """Write the config file."""
        tables = [
            f'[todo]\npath = "{self.todo}"',
            f'[omi]\nbase_url = "{self.sandbox.url}"',
            f'[state]\npath = "{self.store_path}"',
        ]
        if "[watch]" not in self.settings:
            tables.append("[watch]\nsettle = 0.01")  # nobody types on while a test runs
        self.config_file.write_text("\n".join(tables) + "\n" + self.settings)
        return self.config_file

    @property
    def environ(self) -> dict[str, str]:
        """The environment omisync sees."""
        return {"OMI_API_KEY": self.key, "HOME": str(self.home)}

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[sync.Desk]:
        """Open what cycles work with."""
        config = configs.load(self.configure(), self.environ)
        with Store.open(config.store_path, trace=self.trace) as store:
            desk = sync.Desk(config, store, self.environ, "", self.clock, self.trace)
            try:
                yield desk
            finally:
                await desk.close()

    async def cycle(self, **how: object) -> Outcome:
        """Run one cycle, as a process of its own would."""
        async with self.desk() as desk:
            return await sync.cycle(desk, **how)  # type: ignore[arg-type]  # passed through

    async def once(self, **how: object) -> Outcome:
        """Run cycles to the end, as ``omisync --once`` does."""
        async with self.desk() as desk:
            return await daemon.once(desk, **how)  # type: ignore[arg-type]  # passed through

    async def settle(self, cycles: int = 200) -> Outcome:
        """Run cycles until nothing temporary is left, letting the time pass between them.

        In two-way each of them asks Omi, as ``omisync --once`` does.
        """
        for _ in range(cycles):
            outcome = await self.cycle(now=True)
            if not outcome.temporary:
                return outcome
            wait = 0.0 if outcome.retry_at is None else outcome.retry_at - self.clock.now
            self.clock.pass_by(max(wait, 0.5))
        raise AssertionError(f"never settled: {outcome}")

    def omi(self) -> dict[str, bool]:
        """What Omi holds: description to completed; two equal descriptions fail."""
        items = [(item.description, item.completed) for item in self.sandbox.items.values()]
        assert len(dict(items)) == len(items), f"doubled: {sorted(items)}"
        return dict(items)

    def sent(self) -> list[tuple[str, int | None]]:
        """The requests since last asked, as (method, status); forgets them."""
        requests = [(request.method, request.status) for request in self.sandbox.requests]
        self.sandbox.requests.clear()
        return requests


# What the file says, what Omi has, and what the store has, between two cycles.


def read(person: Person) -> str:
    """Return the todo file, with its line ends."""
    return person.todo.read_bytes().decode()


def item(person: Person, text: str) -> Item:
    """Return the one item with this description."""
    (found,) = (one for one in person.sandbox.items.values() if one.description == text)
    return found


def link(person: Person, text: str) -> Link:
    """Return the row of the task that was last seen as this."""
    with Store.open(person.store_path) as store:
        return next(one for one in store.links() if one.seen.text == text)


def history(person: Person, limit: int) -> list[Event]:
    """Return the last events."""
    with Store.open(person.store_path) as store:
        return store.history(limit)


def fact(person: Person, name: str) -> object:
    """Return what the store notes under this name."""
    with Store.open(person.store_path) as store:
        return store.fact(name)
