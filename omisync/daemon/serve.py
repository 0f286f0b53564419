"""The daemon: a cycle when the file was saved, when something is due, when asked.

Rule: the loop never waits for the server. Requests run in a task of their own;
a save, a question, a stop or a reload that comes meanwhile ends the cycle after the
requests under way, and one of those that hangs is cut off. What was cut off is
found out by the next cycle.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from omisync import control, errors, file, show, sync
from omisync.daemon import asked, memory, opening, supervisor
from omisync.daemon import basis as bases
from omisync.daemon.alarm import Alarm
from omisync.daemon.asked import Asked
from omisync.daemon.pace import delay, failure, is_in_between
from omisync.daemon.signals import Signals
from omisync.errors import OmisyncError, RateLimited, StoreBusy, Strained
from omisync.store.notes import LastRun
from omisync.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from structlog.stdlib import BoundLogger

    from omisync.config import Config
    from omisync.daemon.basis import Basis, Look
    from omisync.sync import Desk, Outcome

STOP_SECONDS = 3.0
"""For a request under way to end after SIGTERM; systemd would kill much later."""
HURRY_SECONDS = 10.0
"""For the requests under way to end when something else came; a slow server answers by then."""
KEY_SECONDS = 1.0
"""Between two looks at config and key while they have to be put right."""
SAVES_APART = 30.0
"""After a failure of the server a save hastens the next try by no more than this leaves: each
request may count, and Omi grants 120 writes an hour."""
FATAL = {errors.WRONG_SERVER, errors.BAD_STORE}
"""What only a person can cure, and a restart of omisync belongs to the cure."""
CURABLE = {errors.BAD_KEY, errors.BAD_CONFIG}
"""What a person cures by changing the config or the key: that is noticed.
A key file is also empty, or readable by others, for a moment while it is replaced."""
REFUSED_SECONDS = 900.0
"""Without a change a refused key is tried again: it may have been the server's fault."""
FIRST = asyncio.FIRST_COMPLETED
RELOAD = -1
GONE = "it was deleted or replaced: what there is now is read, or begun anew"


async def serve(
    config_file: Path,
    environ: Mapping[str, str],
    level: str | None = None,
    signals: Signals | None = None,
) -> int:
    """Run until a signal ends it; return the exit code.

    ``level`` wins over the config's log level. ``signals`` stand for those of
    the process, which are listened to otherwise. A full disk at the start is waited
    out, and so is another program that writes to the store.

    Raises:
        ConfigError: the config cannot be used at start.
        StoreBusy: another daemon holds the store.
        StoreUnusable: the store cannot be used.
    """
    from omisync import log

    if signals is None:
        signals = Signals()
        signals.listen()
    basis = bases.read(config_file, environ)
    asking = Asked()
    feeding = asyncio.create_task(supervisor.alive(environ))
    try:
        while True:
            config = basis.config
            logger = log.configure(level or config.log.level, config.log.format, environ)
            asyncio.get_running_loop().set_exception_handler(
                log.loop_trouble(logger, errors.SCARCE)
            )
            waits = opening.Waits(signals, environ, logger)
            async with opening.locked(config.store_path, waits) as held:
                opened = await opening.opened(config.store_path, waits)
                if opened is None:
                    return signals.code
                with opened:
                    desk = sync.Desk(config, opened, environ, basis.setting)
                    daemon = Daemon(desk, basis, signals, logger, held, asking)
                    code = await daemon.run()
            if code != RELOAD or daemon.fresh is None:
                return code
            basis = daemon.fresh
            asking = Asked() if asking.closed else asking
    finally:
        feeding.cancel()
        supervisor.tell(environ, STOPPING=1)


@dataclass(slots=True)
class Daemon:
    """The daemon on one store, until it stops or its config changes."""

    desk: Desk
    basis: Basis
    signals: Signals
    log: BoundLogger
    held: Callable[[], bool]
    asked: Asked = field(default_factory=Asked)
    fresh: Basis | None = None
    patience: float = HURRY_SECONDS
    pardon: float = REFUSED_SECONDS
    attempt: int = 0
    timed: bool = True
    until: float | None = None
    failure: str = ""
    failed_at: float = 0.0
    refused: bool = False
    refused_at: float = 0.0
    said: tuple[int, frozenset[str]] = (errors.OK, frozenset())
    doubtful: Counter[str] = field(default_factory=Counter)
    look: Look | None = None
    refusal: str = ""
    alarm: Alarm = field(init=False)

    def __post_init__(self) -> None:
        """Set the alarm."""
        self.alarm = Alarm(self.desk, self.log)

    @property
    def config(self) -> Config:
        """Return the config in force."""
        return self.desk.config

    async def run(self) -> int:
        """Run cycles until the end; return the exit code, or RELOAD."""
        environ, config = self.desk.environ, self.config
        self.look = self.basis.look
        with contextlib.suppress(StoreBusy), self.desk.store.transaction():  # there is time
            self.desk.store.prune(self.desk.clock())
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self.desk.close)
            watch = await stack.enter_async_context(
                Watch(
                    config.todo_path,
                    settle=config.watch.settle,
                    rescan=config.watch.rescan,
                    warn=lambda text: self.log.warning("watch.limited", why=text),
                )
            )
            await self._open_door(stack)
            self._observe()
            supervisor.tell(environ, READY=1)
            self.log.info("daemon.started", file=str(config.todo_path), process=os.getpid())
            await self._warm_up()
            code = await self._serve(watch)
            if self.fresh is None or self.fresh.config.store_path != config.store_path:
                self.asked.refuse()
        if code != RELOAD:
            self.log.info("daemon.stopped", code=code)
        return code

    async def _open_door(self, stack: contextlib.AsyncExitStack) -> None:
        """Let ``omisync --once`` ask for a cycle; without a door it waits for the lock."""
        door = control.place(self.config.store_path, self.desk.environ)
        try:
            self.asked.progress = self.desk.progress
            listening = control.listening(door, self.asked.ask, done=self.asked.done)
            await stack.enter_async_context(listening)
        except OSError as error:
            self.log.warning("control.closed", path=str(door), why=str(error))

    def _observe(self) -> None:
        """Say what there is, before any request: a missing file is an answer too."""
        found = file.signature(self.config.todo_path) is not None
        status = f"reading {self.config.todo_path}" if found else self._no_file()
        supervisor.tell(self.desk.environ, STATUS=status)

    def _no_file(self) -> str:
        return f"waiting for {self.config.todo_path}: there is no such file"

    async def _warm_up(self) -> None:
        """Load what the first request needs, which takes longer than the request."""
        with contextlib.suppress(OmisyncError):  # a key that is missing matters with a request
            await self.desk.client()

    async def _serve(self, watch: Watch) -> int:
        saved = asyncio.create_task(watch.changed())
        try:
            while True:
                if not (self.held() and self.desk.store.is_in_place()):
                    self.log.warning("state.gone", path=str(self.config.store_path), what=GONE)
                    self.fresh = self.basis
                    await self.signals.pause(opening.ROOM_SECONDS)  # it may be gone each time
                    return RELOAD
                asking = self.asked.taken(self.desk)
                now = self.signals.now.is_set()
                self.signals.now.clear()
                outcome = None
                if asking or now or not self.refused or not self._pardoned_in():
                    requests = [request for request, _ in asking]
                    self.desk.rest = "" if asking or now else self._rest()
                    outcome = await self._cycle(saved, requests, now=now)
                    asked.answer(asking, outcome, self.config.todo_path)
                    if self._may_pass(outcome):
                        outcome = replace(outcome, code=errors.TEMPORARY)
                    self._tell(outcome)
                    self.alarm.ring()
                if outcome is not None and outcome.code in FATAL:
                    return outcome.code
                self.until = self._due(outcome)
                del outcome  # and its plan, which may be large
                self.desk.store.shrink()
                memory.give_back()
                code = await self._pause(saved)
                if code is not None:
                    return code
                asked_for = self.signals.now.is_set() or self.asked.came.is_set()
                self.timed = not (saved.done() or asked_for)
                if saved.done():
                    self.log.debug("watch.woke", why=saved.result())
                    saved = asyncio.create_task(watch.changed())
        finally:
            self.alarm.cut()
            saved.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await saved

    async def _cycle(
        self, saved: asyncio.Task[str], requests: list[dict[str, Any]], *, now: bool
    ) -> Outcome:
        """Run one cycle; what comes meanwhile (a save, a stop, a reload, a question) cuts it."""
        started = time.perf_counter()
        by_hand = any(request["do"] == "cycle" and not request.get("grace") for request in requests)
        self.desk.hurry = False
        cycle = asyncio.create_task(
            sync.cycle(
                self.desk,
                grace=0.0 if by_hand else self.config.sync.removal_grace,
                allow_removals=any(request.get("allow_removals") for request in requests),
                now=now or bool(requests),
                yes=any(request.get("yes") for request in requests),
            )
        )
        events = (self.signals.stop, self.signals.reload, self.asked.came)
        stop, *_ = calls = [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait({cycle, saved, *calls}, return_when=FIRST)
            if not cycle.done():
                self.desk.hurry = True
                await asyncio.wait({cycle, stop}, timeout=self.patience, return_when=FIRST)
            if not cycle.done() and stop.done():
                await asyncio.wait({cycle}, timeout=STOP_SECONDS)
        finally:
            for task in (cycle, *calls):
                task.cancel()
            await asyncio.wait({cycle})
        milliseconds = round((time.perf_counter() - started) * 1000)
        if cycle.cancelled():
            self.log.debug("cycle.cut", ms=milliseconds)
            return sync.Outcome(errors.TEMPORARY, again=True)
        outcome = _outcome_of(cycle)
        self._log(outcome, milliseconds)
        return outcome

    def _log(self, outcome: Outcome, milliseconds: int) -> None:
        """Log a cycle that did something or went wrong in a new way; others at debug."""
        said = (outcome.code, frozenset(_gist(error) for error in outcome.troubles))
        if self.said[0] == said[0] == errors.TEMPORARY:
            said = (said[0], self.said[1] | said[1])  # said before, it is not said again
        news = said != self.said
        counts = {
            name.removeprefix("task.").replace(".", "_"): count
            for name, count in outcome.counts.items()
        }
        fields = {**counts, "waiting": outcome.waiting, "code": outcome.code, "ms": milliseconds}
        (self.log.info if outcome.progress or news else self.log.debug)("cycle.done", **fields)
        for error in outcome.troubles if news else ():
            then = {"next": show.commands(error.advice)} if error.advice else {}
            if isinstance(error, RateLimited) and outcome.retry_at is not None:
                then["until"] = show.clock_time(outcome.retry_at)
            self.log.warning("cycle.trouble", what=error.message, **then)
        for what in (*outcome.remarks, *(notice.message for notice in outcome.notices)):
            self.log.debug("cycle.remark", what=what)  # it has the task's text
        messages = Counter(notice.message for notice in outcome.notices)
        fresh = messages - self.doubtful
        told = [notice for notice in outcome.notices if notice.message in fresh]
        for what in dict.fromkeys(notice.message for notice in told if notice.passing):
            lines = [notice.line for notice in told if notice.message == what]
            self.log.warning("file.doubtful", lines=lines, what=what)
        if lines := sorted({notice.line for notice in told if not notice.passing}):
            advice = show.commands("`omisync --dry-run` says what is odd about them.")
            self.log.warning("file.doubtful", lines=lines, next=advice)
        self.doubtful = self.doubtful if outcome.idle else messages
        self.said = said

    def _tell(self, outcome: Outcome) -> None:
        """Give systemd the line that ``systemctl status`` shows; note a refused key."""
        status = show.headline(outcome)
        if outcome.code == errors.NO_FILE:
            status = self._no_file()
        elif outcome.code not in errors.WELL:
            troubles = (t.message for t in outcome.troubles if not isinstance(t, RateLimited))
            status = " ".join([status, next(troubles, "")]).strip()
        supervisor.tell(self.desk.environ, STATUS=status)
        self.refused, self.refused_at = outcome.code in CURABLE, time.monotonic()
        was_cut = outcome.again and not (outcome.troubles or outcome.progress)
        if not self.desk.rest and not was_cut:
            self.failure, self.failed_at = failure(outcome), self.desk.clock()
        if outcome.progress or not outcome.temporary:
            self.attempt = 0
        elif self.timed and not self.desk.rest and (self.failure or not outcome.again):
            self.attempt += 1  # a save or a person says nothing of how long an outage lasts

    def _may_pass(self, outcome: Outcome) -> bool:
        """Return whether a server that was Omi's may be so again."""
        if is_in_between(outcome):
            with contextlib.suppress(OmisyncError):  # the store cannot be read now
                last = self.desk.store.note(LastRun)
                return last is not None and last.success_at is not None
        return False

    def _rest(self) -> str:
        """Return what failed just before, empty once the server may be asked again.

        A save is taken note of all the same: what a line said meanwhile tells which it is.
        """
        rests = self.failed_at <= self.desk.clock() < self._next_try()
        return self.failure if rests else ""

    def _next_try(self) -> float:
        """Return when a server that failed is tried again, were the file saved meanwhile."""
        soonest = self.failed_at + SAVES_APART
        return soonest if self.until is None else min(self.until, soonest)

    async def _pause(self, saved: asyncio.Task[str]) -> int | None:
        """Wait for a reason to run again; return an exit code when it is to end."""
        while True:
            events = (self.signals.stop, self.signals.reload, self.signals.now, self.asked.came)
            waits = {asyncio.create_task(event.wait()) for event in events}
            try:
                await asyncio.wait({saved, *waits}, timeout=self._wait(), return_when=FIRST)
            finally:
                for wait in waits:
                    wait.cancel()
            if self.signals.stop.is_set():
                return self.signals.code
            if self._reloaded():
                return RELOAD
            self.alarm.ring()
            due = self.until is not None and self.desk.clock() >= self.until
            due = due or (self.refused and not self._pardoned_in())
            if saved.done() or self.signals.now.is_set() or self.asked.came.is_set() or due:
                return None

    def _pardoned_in(self) -> float:
        """Return the seconds until a refused key is to be tried again, whatever the clock says."""
        return max(0.0, self.refused_at + self.pardon - time.monotonic())

    def _due(self, outcome: Outcome | None) -> float | None:
        """Return when the next cycle is due without any event (Unix seconds), None for never."""
        if outcome is None or self.refused:  # `_pardoned_in` tells
            return None
        if not outcome.temporary:
            return outcome.look_at
        if self.failure:  # whatever else there is to be done at once
            outcome = replace(outcome, again=False)
        now = self.desk.clock()
        chance = random.random()  # noqa: S311 - jitter, not a secret
        until = now + delay(outcome, max(1, self.attempt), now, chance)
        if self.desk.rest:
            until = self._next_try()
        if not outcome.again:
            with contextlib.suppress(OmisyncError):  # it is only told
                sync.note_next_try(self.desk, outcome, until)
        return until

    def _wait(self) -> float:
        """Return the seconds to the next thing that no event tells, config and key included."""
        now = self.desk.clock()
        waits = [self.config.watch.rescan]
        if self.refused:
            waits += [KEY_SECONDS, self._pardoned_in()]
        if self.until is not None:
            waits.append(max(0.0, self.until - now))
        alarmed = self.alarm.due_in(now)
        if alarmed is not None:
            waits.append(alarmed)
        return min(waits)

    def _reloaded(self) -> bool:
        """Return whether the config was read anew: asked by SIGHUP, or config or key changed."""
        environ = self.desk.environ
        look = bases.look(self.config, environ)
        if not self.signals.reload.is_set() and look == self.look:
            return False
        if self.signals.reload.is_set():
            self.refusal = ""  # who asks is told again
        self.signals.reload.clear()
        self.look = look
        supervisor.reloading(environ)
        try:
            fresh = bases.read_again(self.config, environ)
            if fresh.config.store_path != self.config.store_path:
                opening.check_free(fresh.config.store_path, self.config.store_path)
        except OmisyncError as error:
            if isinstance(error, StoreBusy | Strained):
                self.look = None  # it passes: the next look reads the config again
            if error.message != self.refusal:
                advice = f"{show.commands(error.advice)} (the old config stays in force)"
                self.log.warning("config.refused", what=error.message, next=advice)
            self.refusal = error.message
            supervisor.tell(environ, READY=1, STATUS=f"old config kept: {error.message}")
            return False
        self.fresh = fresh
        self.log.info("config.loaded", path=str(self.config.path))
        return True


def _gist(error: OmisyncError) -> str:
    """Return what is the same as long as the trouble is; the rest of a limit runs out."""
    return error.bucket if isinstance(error, RateLimited) else error.message


def _outcome_of(cycle: asyncio.Task[Outcome]) -> Outcome:
    """Return the outcome of a cycle that ended; the store's errors included."""
    error = cycle.exception()
    if isinstance(error, OmisyncError):
        return sync.Outcome(error.exit_code, troubles=(error,))
    return cycle.result()
