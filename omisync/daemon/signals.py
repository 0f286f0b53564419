"""What a person or a system asks of the daemon by signals."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import termios
from dataclasses import dataclass, field

from omisync import errors


@dataclass(slots=True)
class Signals:
    """What was asked for by signals: stop (with its exit code), reload, a cycle now."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    reload: asyncio.Event = field(default_factory=asyncio.Event)
    now: asyncio.Event = field(default_factory=asyncio.Event)
    code: int = errors.OK
    terminals: tuple[int, ...] = ()

    def listen(self) -> None:
        """Take the signals over from Python's defaults, and those that were held back so far."""
        self.terminals = tuple(stream for stream in range(3) if _is_terminal(stream))
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # what it asked for a start does anyway
        if not self.terminals:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop.set)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        loop.add_signal_handler(signal.SIGUSR1, self.now.set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, signal.SIGUSR1})

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until a stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)

    def _hang_up(self) -> None:
        """Reload; but end where this is what tells that the terminal was closed."""
        closed = self.terminals and not any(map(os.isatty, self.terminals))
        (self.stop if closed else self.reload).set()

    def _interrupt(self) -> None:
        self.code = errors.INTERRUPTED
        self.stop.set()


def _is_terminal(stream: int) -> bool:
    """Return whether this is a terminal, or was one that is closed by now."""
    try:
        termios.tcgetattr(stream)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)  # tty(4): it was hung up
    return True
