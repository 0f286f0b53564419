"""How far a long run has come: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from omisync.show import words
from omisync.show.paper import Paper, Piece, wants_colour

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

SHORT = 0.5
"""Seconds that a run takes before a bar is worth its flicker."""
EVERY = 10.0
"""Seconds between two plain lines; a run or a wait shorter than this says nothing."""


class Progress:
    """Tells how far a run has come, while its block is open. Silent about short runs.

    ``clock`` gives seconds that nobody sets back. ``terminal`` overrides what the stream says
    it is.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        terminal: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._terminal = stream.isatty() if terminal is None else terminal
        self._clock = clock
        self._live: Live | None = None
        self._done = self._total = 0
        self._from = (clock(), 0)
        self._said_at = self._began = clock()
        self._gate: tuple[float, str] | None = None
        self._asked = ""

    @property
    def patience(self) -> float:
        """Return the seconds without any report after which it is worth a word who is asked."""
        return SHORT if self._terminal else EVERY

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def report(self, done: int, total: int) -> None:
        """Tell that ``done`` of ``total`` changes have reached the server."""
        now = self._clock()
        if done < self._done or self._gate is not None:  # another plan, or after a wait
            self._from = (now, done)
        self._gate, self._asked = None, ""
        self._done, self._total = done, total
        if self._terminal:
            if total > 1 and now - self._began >= SHORT:
                self._draw()
        elif now - self._said_at >= EVERY:
            self._say(self._words(now), now)

    def asking(self, server: str) -> None:
        """Tell that this server has not answered yet, unless more than that was told."""
        if self._done or self._gate is not None:
            return
        self._asked = server
        if self._terminal:
            self._draw()
        else:
            now = self._clock()
            self._say(self._words(now), now)

    def wait(self, seconds: float, why: str) -> None:
        """Tell that nothing is sent for so many seconds, and why."""
        now = self._clock()
        self._gate = (now + seconds, why)
        if self._terminal:
            if seconds >= SHORT:
                self._draw()
        elif seconds >= EVERY:
            until = words.clock_time(time.time() + seconds)
            self._say(f"waiting until {until} ({words.duration(seconds)}): {why}", now)

    def _say(self, text: str, now: float) -> None:
        self._said_at = now
        Paper(self._stream, terminal=False).say(Piece(text))
        self._stream.flush()

    def _words(self, now: float) -> str:
        """Return count, rate and the time left, or the countdown of a wait."""
        so_far = f"{self._done} of {words.count(self._total, 'change')} sent"
        if self._gate is not None:
            until, why = self._gate
            standstill = f"waiting {words.countdown(until - now)}: {why}"
            return f"{so_far}, {standstill}" if self._total else standstill
        if self._asked:
            return f"waiting for an answer from {self._asked}"
        since, before = self._from
        passed, sent = now - since, self._done - before
        if passed <= 0 or sent <= 0:
            return so_far
        rate = sent / passed
        left = (self._total - self._done) / rate
        return f"{so_far}, {_rate(rate)}, about {words.duration(left)} left"

    def _draw(self) -> None:
        if self._live is None:
            from rich.live import Live

            self._live = Live(
                console=_console(self._stream),
                get_renderable=self._picture,
                transient=True,
                refresh_per_second=4,
            )
            self._live.start()
        self._live.refresh()

    def _picture(self) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        text = Text(words.safe(self._words(self._clock())), no_wrap=True, overflow="ellipsis")
        grid = Table.grid(padding=(0, 1))
        if self._total:
            grid.add_row(ProgressBar(total=self._total, completed=self._done, width=12), text)
        else:
            grid.add_row(text)
        return grid


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(
        file=stream,
        force_terminal=True,
        color_system="auto" if wants_colour() else None,
    )


def _rate(rate: float) -> str:
    return f"{rate:.0f} a second" if rate >= 1 else f"{rate * words.MINUTE:.0f} a minute"
