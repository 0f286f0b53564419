"""The daemon's state store: waited for where that helps, held, opened."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omisync import show, store
from omisync.daemon import supervisor
from omisync.errors import StoreBusy, Strained

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from structlog.stdlib import BoundLogger

    from omisync.daemon.signals import Signals

HOLDER = "the omisync daemon"
LOCK_SECONDS = 0.2
ROOM_SECONDS = 1.0
"""Between two tries to open a store on a full disk, or one that another program writes to."""


@dataclass(slots=True)
class Waits:
    """Reports why start-up is delayed: to systemd always, to the log once."""

    signals: Signals
    environ: Mapping[str, str]
    log: BoundLogger
    said: str = ""

    async def out(self, why: str, seconds: float, advice: str = "") -> None:
        """Wait, at most until a stop; only what comes with an advice is worth a line."""
        supervisor.tell(self.environ, READY=1, STATUS=why)
        if advice and why != self.said:
            self.log.warning("store.waiting", what=why, next=show.commands(advice))
            self.said = why
        await self.signals.pause(seconds)


def check_free(path: Path, held: Path) -> None:
    """Make sure that the daemon could go on with the store at this path instead of ``held``.

    What passes by itself (a full disk, a run that ends) is waited for when it is opened.

    Raises:
        StoreBusy: another daemon holds it, or another program writes to it.
        StoreUnusable: it cannot be used.
    """
    with contextlib.suppress(OSError):
        if path.samefile(held):
            return
    with contextlib.suppress(Strained):
        try:
            with store.lock(path, HOLDER):
                pass
        except StoreBusy:
            if (store.holder(path) or "").startswith(HOLDER):
                raise
    if (peeked := store.Store.peek(path, thorough=True)) is not None:
        with peeked:
            pass  # it can be read to the end


@contextlib.asynccontextmanager
async def locked(path: Path, waits: Waits) -> AsyncIterator[Callable[[], bool]]:
    """Hold the store; a run that ends by itself is waited for, another daemon is not."""
    with contextlib.ExitStack() as stack:
        held: Callable[[], bool] = bool
        while not waits.signals.stop.is_set():
            try:
                held = stack.enter_context(store.lock(path, HOLDER))
                break
            except Strained as error:
                await waits.out(error.message, ROOM_SECONDS, error.advice)
            except StoreBusy:
                who = store.holder(path) or "another run"
                if who.startswith(HOLDER):
                    raise
                await waits.out(f"waiting for {who}", LOCK_SECONDS)
        yield held


async def opened(path: Path, waits: Waits) -> store.Store | None:
    """Open the store that is held, as soon as it can be; None when a stop comes first."""
    while not waits.signals.stop.is_set():
        try:
            return store.Store.open(path)
        except (Strained, StoreBusy) as error:
            await waits.out(error.message, ROOM_SECONDS, error.advice)
    return None
