"""Tell the person of a failure that lasts, once, and once when it is over.

Rule: what was told is in the store, so that neither a restart nor the hundredth
failure tells it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from omisync import errors
from omisync.errors import OmisyncError, StoreBusy
from omisync.store.notes import LastRun

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    from omisync.config import Config
    from omisync.sync import Desk

COMMAND_SECONDS = 60.0
"""For the command to end; one that hangs is killed."""
BUSY_SECONDS = 10.0
"""Until a store that could not be read or written is tried again."""


@dataclass(slots=True)
class Alarm:
    """The person's command. ``ringing`` are the calls of it that run, with what they tell."""

    desk: Desk
    log: BoundLogger
    ringing: dict[asyncio.Task[None], str] = field(default_factory=dict)
    held_until: float = 0.0

    def due_in(self, now: float) -> float | None:
        """Return the seconds until there may be something to tell, None if nothing lasts."""
        try:
            wait = self._due_in(now)
        except StoreBusy:
            return BUSY_SECONDS
        return None if wait is None else max(wait, self._held(now))

    def ring(self) -> None:
        """Tell of a failure that lasts or is over; nobody waits for the command to end."""
        if self._held(self.desk.clock()):
            return
        try:
            about = self._news()
        except StoreBusy:  # what cannot be noted would be told again and again
            self.held_until = self.desk.clock() + BUSY_SECONDS
            return
        if about is not None:
            self.log.warning("alarm.rung", about=about)
            ringing = asyncio.create_task(self._rung(about))
            self.ringing[ringing] = about
            ringing.add_done_callback(lambda over: self.ringing.pop(over, None))

    def cut(self) -> None:
        """Stop what is told at this moment; the next alarm on this store tells it anew."""
        running = [ringing for ringing in self.ringing if not ringing.done()]
        for ringing in running:
            ringing.cancel()
        if running:  # what was told before the first of them stands
            with contextlib.suppress(OmisyncError), self.desk.store.transaction():
                self.desk.store.put_fact("told", self.ringing[running[0]] == "recovered")

    def _held(self, now: float) -> float:
        """Return the seconds until the store is tried again; none if the clock was set back."""
        left = self.held_until - now
        return left if 0 < left <= BUSY_SECONDS else 0.0

    def _due_in(self, now: float) -> float | None:
        since = _last(self.desk).failing_since
        watch = self.desk.config.watch
        if since is None or not watch.notify_command or self.desk.store.fact("told"):
            return None
        return max(0.0, since + watch.notify_after - now)

    def _news(self) -> str | None:
        """Return what there is to tell, ``failing`` or ``recovered``, and note it as told."""
        told = bool(self.desk.store.fact("told"))
        wait = self._due_in(self.desk.clock())
        failing = wait is not None and wait <= 0
        if not failing and not (told and _last(self.desk).failing_since is None):
            return None
        with self.desk.store.transaction():
            self.desk.store.put_fact("told", failing)
        if not self.desk.config.watch.notify_command:  # it was taken out of the config since
            return None
        return "failing" if failing else "recovered"

    async def _rung(self, about: str) -> None:
        """Run the command; only the log can tell that it cannot be run."""
        wrong = await _run(self.desk, about)
        if wrong:
            advice = "correct notify_command under [watch] in the config"
            self.log.warning("alarm.failed", what=wrong, next=advice)
        else:
            self.log.debug("alarm.heard", about=about)


def _last(desk: Desk) -> LastRun:
    return desk.store.note(LastRun) or LastRun()


def notify_line(config: Config) -> list[str]:
    """Return the person's command and its arguments; a ``~`` before the former is their home."""
    command, *arguments = shlex.split(config.watch.notify_command)
    return [os.path.expanduser(command), *arguments]  # noqa: PTH111 - it may be no path


async def _run(desk: Desk, event: str) -> str:
    """Run the person's command without a shell: the event in its environment, the message last.

    Return what went wrong, nothing where it did not: that is no reason to stop syncing.
    """
    environ = {
        **os.environ,
        "OMISYNC_EVENT": event,
        "OMISYNC_MESSAGE": _message(desk) if event == "failing" else "omisync is in sync again",
    }
    environ.pop("OMI_API_KEY", None)
    command, *arguments = notify_line(desk.config)
    try:
        process = await asyncio.create_subprocess_exec(
            command,
            *arguments,
            environ["OMISYNC_MESSAGE"],
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        return f"{command} cannot be started ({error.strerror})"
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            code = await process.wait()
    except TimeoutError:
        return f"{command} did not end within {COMMAND_SECONDS:.0f} seconds and was killed"
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended, be it at this moment
            process.kill()
    return f"{command} ended with {code}" if code else ""


def _message(desk: Desk) -> str:
    last = _last(desk)
    code = last.code if last.code is not None else errors.TEMPORARY
    what = f": {last.troubles[0][0]}" if last.troubles else ""
    return f"omisync cannot sync {desk.config.todo_path.name} (exit code {code}){what}"
