"""What all tests share: a person with a todo file, and the sandbox as their Omi."""

from __future__ import annotations

import gc
import os
import shutil
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings
from person import Clock, Person

from omisync.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

# No test asserts wall time, and an example is slow only where the machine is busy.
# The suite takes a sample of each property; the campaigns take the rest.
settings.register_profile("omisync", deadline=None, max_examples=25)
# Against a mutant a few examples must do, the same ones each time, and none is made smaller.
settings.register_profile(
    "mutants",
    deadline=None,
    max_examples=15,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile("omisync")

MEMORY = Path("/dev/shm")
"""A file system without a disk, where Linux has one."""

ROOM = 2**30
"""Bytes that must be free there: a run takes a tenth of it."""

TALLY = "tally"
"""The property of a test's report that has its counts: it travels between processes."""


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still at the present."""
    return Clock()


@pytest.fixture
async def person(tmp_path: Path, clock: Clock) -> AsyncIterator[Person]:
    """Someone with an empty account at a running sandbox."""
    async with Sandbox(clock=clock) as sandbox:
        yield Person(tmp_path, sandbox, clock)


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Iterator[Counter[str]]:
    """Counts of what a test did; those of all its cases are added up and told at the end."""
    done: Counter[str] = Counter()
    yield done
    record_property(TALLY, dict(done))


def pytest_configure() -> None:
    """Keep what tests write in memory: each commit waits for a disk, and others use it too."""
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each campaign two hours."""
    for item in items:
        if item.get_closest_marker("campaign"):
            item.add_marker(pytest.mark.timeout(7200))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what the campaigns did, each on a line."""
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "teardown":
                counts = dict(report.user_properties).get(TALLY, {})
                sums[report.nodeid.partition("[")[0]].update(counts)
    for name, done in sums.items():
        if done:
            told = ", ".join(f"{count:,} {what}" for what, count in done.items())
            terminalreporter.write_line(f"{name}: {told}")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Spare each search for garbage what stays to the end: all modules, thousands of tests."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()
