"""``omisync`` as a process that keeps running, and what it says."""

from __future__ import annotations

import re
import signal
import threading
from typing import TYPE_CHECKING, Self

from machine import PATIENCE, Ran, checked

if TYPE_CHECKING:
    from machine import Machine


class Daemon:
    """``omisync`` that keeps running, and what it says on stderr."""

    def __init__(self, machine: Machine, *arguments: str, **environ: str | None) -> None:
        self.lines: list[str] = []
        self.read = 0
        self._news = threading.Condition()
        self._over = False
        self.process = machine.start(*arguments, **environ)
        self._reader = threading.Thread(target=self._listen)
        self._reader.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()

    def until(self, pattern: str) -> str:
        """Wait for a line with this after those waited for before; return it."""

        def found() -> bool:
            while self.read < len(self.lines):
                self.read += 1
                if re.search(pattern, self.lines[self.read - 1]):
                    return True
            return self._over

        with self._news:
            self._news.wait_for(found, PATIENCE)
            line = self.lines[self.read - 1] if self.read else ""
            assert re.search(pattern, line), f"no {pattern}: {self.said}"
            return line

    @property
    def said(self) -> str:
        """All that was said so far."""
        return "".join(self.lines)

    def end(self, number: signal.Signals = signal.SIGTERM) -> Ran:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> Ran:
        """Wait for the end."""
        code = self.process.wait(PATIENCE)
        self._reader.join()
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        return checked(Ran(code, out, self.said))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
