"""How long a save takes to become a request: for each way of saving, on loopback.

    python tests/benchmarks/save_to_wire.py [SAVES]

From the end of the save to the request as the server has it, in milliseconds.
The target is a median of 1.5 times ``settle`` + 60 ms. The first save of all is
shown by itself: whatever is loaded on first use is part of it.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "shell"))

from test_watch import STYLES

from omisync.sandbox import KEY, Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from test_watch import Save

SETTLE = 0.15
TASKS = 100


class Desk:
    """A todo file, of which one line changes with each save, and the server it goes to."""

    def __init__(self, todo: Path, sandbox: Sandbox) -> None:
        self.todo = todo
        self.sandbox = sandbox
        self.lines = [f"- [ ] task number {n} of the list" for n in range(TASKS)]
        self.saves = 0

    @property
    def text(self) -> str:
        """The whole file."""
        return "\n".join(self.lines) + "\n"

    async def save(self, how: Save) -> float:
        """Change a line, save, and return the milliseconds until the request came."""
        # Not in step with the watcher: people save at any moment.
        await asyncio.sleep(SETTLE * (2 + random.random()))
        self.saves += 1
        number = self.saves % TASKS
        mark = " " if "[x]" in self.lines[number] else "x"
        self.lines[number] = f"- [{mark}] task number {number} of the list"
        self.sandbox.requests.clear()
        await asyncio.to_thread(how, self.todo, self.text)
        saved = time.time()
        await self.sandbox.wait_for(lambda sandbox: bool(sandbox.requests))
        return (self.sandbox.requests[0].at - saved) * 1000


@asynccontextmanager
async def daemon(home: Path) -> AsyncIterator[Desk]:
    """Run a daemon that is in sync and started anew, so that it has sent nothing yet."""
    async with Sandbox() as sandbox:
        desk = Desk(home / "todo.md", sandbox)
        desk.todo.write_text(desk.text)
        config = home / "config.toml"
        config.write_text(
            f'[todo]\npath = "{desk.todo}"\n[omi]\nbase_url = "{sandbox.url}"\n'
            f'[watch]\nsettle = {SETTLE}\n[state]\npath = "{home}/todo.db"\n'
        )
        command = (sys.executable, "-m", "omisync", "-q", "-c", str(config))
        environ = {**os.environ, "HOME": str(home), "OMI_API_KEY": KEY}
        first = await asyncio.create_subprocess_exec(*command, "--once", env=environ)
        await first.wait()
        process = await asyncio.create_subprocess_exec(*command, env=environ)
        try:
            await asyncio.sleep(3)  # it is long idle when a person saves
            yield desk
        finally:
            process.terminate()
            await process.wait()


async def measure(saves: int) -> None:
    """Save so many times in each way and write what it took."""
    with tempfile.TemporaryDirectory() as home:
        async with daemon(Path(home)) as desk:
            say = sys.stdout.write
            say(f"target (median): {1500 * SETTLE + 60:.0f} ms\n")
            say(f"{'first save':<22}{await desk.save(STYLES[0]):8.0f}\n")
            say(f"{'':<22}{'median':>8}{'p90':>8}{'max':>8}\n")
            for how in STYLES:
                took = sorted([await desk.save(how) for _ in range(saves)])
                marks = (statistics.median(took), took[int(len(took) * 0.9)], took[-1])
                say(f"{how.__name__:<22}" + "".join(f"{mark:8.0f}" for mark in marks) + "\n")


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
