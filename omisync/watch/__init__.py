"""Says that the todo file may have changed; never what changed.

Rule: a change is announced after the bytes were quiet, and forgotten only once
it was announced: whatever is lost on the way (an event, a watch, a cancelled
wait) leaves the file different from the last reading, and the next look tells.

watchfiles looks once a ``step`` whether events came, and hands them out one step
later: they are 1 to 2 steps old then. Each step wakes the processor, and that is
all the daemon costs while idle. CPU per minute of an idle process (``getrusage``
over 15 to 30 s; 2 shared cores, Linux 6.18, watchfiles 1.3), in ms; beside other
work two runs of a dozen at 100 ms read three to four times as much:

=======  ====================  ===================  ==========================
step ms  ``awatch`` (asyncio)  one thread, as here  a timer in the event loop
=======  ====================  ===================  ==========================
 10      188                   -                    -
 50      61                    67                   235
 75      51                    48                   141
100      35                    26 to 37             105
150      23                    -                    71
=======  ====================  ===================  ==========================

The quiet is therefore counted from the file's ctime, not from the event: a step
of two thirds of ``settle`` passes while the bytes settle anyway. With a settle
of 150 ms an event comes after 157 ms and ``changed`` returns after 183 ms (medians,
at most 200 and 225), for 10 wake-ups a second.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from omisync import file
from omisync.watch import listener as listeners
from omisync.watch import trail
from omisync.watch.listener import Listener, open_notifier

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from omisync.watch.listener import Notifier
    from omisync.watch.trail import Trail

SHORTEST_STEP = 0.05
"""Seconds. Below it the wake-ups cost more than the latency is worth."""

LONGEST_STEP = 0.1
"""Seconds. The thread ends within one step, and so does leaving the context."""

UNFINISHED = 4
"""A missing or empty file is rarely the end of a save: it settles so many times longer."""

PATIENCE = 20
"""Settle times after which a file that is never quiet is taken between two saves (3 s by
default): an editor that saves ten times a second still gets its tasks synced, and costs at
most 20 cycles a minute. After twice that time the file is taken as it is."""

TRUSTED_AGE = 1.0
"""Seconds. A ctime further back than an event can be is another machine's clock."""

COARSEST_TIME = 2.0
"""Seconds. FAT keeps times that coarse: a younger mtime may stand for two contents."""

INLINE_SIZE = 1024 * 1024
"""Bytes that are glanced at in the event loop (in 1 ms); more goes to a thread."""

CLOCK_JUMP = 3.0
"""Seconds by which the wall clock may drift from the monotonic one between two looks."""

ARM_ATTEMPTS = 5
"""How often the way to the file is walked anew when folders come and go meanwhile."""

Reason = Literal["saved", "rescan", "clock jumped"]


class Reading(NamedTuple):
    """The file as last announced. ``at`` is the wall clock at that time, in seconds."""

    signature: file.Signature | None
    digest: str
    at: float

    @property
    def firm(self) -> bool:
        """Whether an equal signature proves equal bytes."""
        return self.signature is None or self.at - self.signature.mtime_ns / 1e9 >= COARSEST_TIME


class Watch:
    """Tell when the todo file may have changed: ``async with``, one ``changed()`` at a time.

    Nothing about the file, its folders or inotify raises: where events are not
    to be had, ``warn`` hears why and the file is looked at every ``rescan`` seconds.

    Args:
        path: The todo file. It need not exist, nor its folder.
        settle: Seconds of quiet before a change is announced.
        rescan: Seconds between two looks that no event asked for.
        warn: Called with one sentence for the person, once per state of affairs.
        wall: The wall clock, in Unix seconds.
        notifier: Opens what delivers events; raises as ``open_notifier`` does.
    """

    def __init__(  # noqa: PLR0913 - two of them are the outside world, injected
        self,
        path: Path,
        *,
        settle: float,
        rescan: float,
        warn: Callable[[str], None],
        wall: Callable[[], float] = time.time,
        notifier: Callable[[list[str]], Notifier] = open_notifier,
    ) -> None:
        self._path = path
        self._settle = settle
        self._gap = settle / 6  # between the two readings that must agree
        self._step = min(max(settle * 2 / 3, SHORTEST_STEP), LONGEST_STEP)
        self._rescan = rescan
        self._warn = warn
        self._wall = wall
        self._notifier = notifier
        self._seen = Reading(None, "", 0.0)
        self._trail = trail.NOTHING
        self._listener: Listener | None = None
        self._ending: list[Listener] = []
        self._alarm: asyncio.Future[None] | None = None
        self._heard = 0  # events so far
        self._answered = 0  # events whose change was announced, or was none
        self._broken = False  # the watch itself is no longer what it was
        self._jumped = False
        self._said = ""
        self._drift = self._clocks_apart()
        self._rescan_at = time.monotonic() + rescan

    async def __aenter__(self) -> Self:
        # Watched first, read second: a save in between is at worst heard twice.
        self._arm()
        at, signature = self._wall(), file.signature(self._path)
        self._seen = Reading(signature, await self._digest(), at)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._drop()
        for listener in self._ending:
            await listener.ended()

    async def changed(self) -> Reason:
        """Wait until the file may differ from what it was at the last return (or at entry).

        Returns after the bytes (or the absence of the file) were quiet for ``settle``
        seconds and two readings agree; a file that is saved all the time is announced
        after 20, at most 40 times ``settle``. All that happened meanwhile is one return.

        - "saved": an event told, or a look right after the last return.
        - "rescan": a look found what no event had told; the watch is set up anew.
        - "clock jumped": the machine slept, or its clock was set.
        """
        reason = await self._look()  # what happened since the last return
        while reason is None:
            await self._wait()
            reason = await self._look()
        return reason

    async def _look(self) -> Reason | None:
        heard, due = self._heard, time.monotonic() >= self._rescan_at
        told = heard != self._answered
        if told or due or self._listener is None:
            self._check_clocks()
            self._arm()
        different = await self._differs(doubted=told)
        if different:
            if due and not told:
                self._broken = True  # blind: watch anew, whatever the reason
                self._arm()
            self._seen = await self._settled()
        # Nothing is waited for from here on, so that a cancelled wait loses no wake.
        self._answered = heard
        if different:
            # Once more soon: a poll misses what follows within the same second, and where
            # times are coarse that look is the first that can trust them.
            self._rescan_at = time.monotonic() + min(self._rescan, COARSEST_TIME)
        elif due:
            self._rescan_at = time.monotonic() + self._rescan
        if self._jumped:
            self._jumped = False
            return "clock jumped"
        if different:
            return "rescan" if due and not told else "saved"
        return None

    async def _wait(self) -> None:
        """Sleep until an event or the time of the next rescan."""
        if self._heard != self._answered:
            return
        loop = asyncio.get_running_loop()
        self._alarm = loop.create_future()
        timer = loop.call_later(max(0.0, self._rescan_at - time.monotonic()), self._ring)
        try:
            await self._alarm
        finally:
            timer.cancel()
            self._alarm = None

    def _ring(self) -> None:
        if self._alarm is not None and not self._alarm.done():
            self._alarm.set_result(None)

    def _check_clocks(self) -> None:
        apart = self._clocks_apart()
        self._jumped |= abs(apart - self._drift) > CLOCK_JUMP
        self._drift = apart

    def _clocks_apart(self) -> float:
        return self._wall() - time.monotonic()  # the monotonic clock stands still in sleep

    async def _differs(self, *, doubted: bool) -> bool:
        """Compare with the last reading, the bytes only where the signature may deceive."""
        if file.signature(self._path) != self._seen.signature:
            return True
        if self._seen.firm and not doubted:
            return False
        at = self._wall()
        digest = await self._digest()
        if digest != self._seen.digest:
            return True
        self._seen = self._seen._replace(at=at)
        return False

    async def _settled(self) -> Reading:
        """Wait until the file is quiet, and return what it is then."""
        begun = time.monotonic()
        last = file.signature(self._path)
        since = self._quiet_since(last)
        while True:
            waited = time.monotonic() - begun
            rest = 0.0
            if waited < PATIENCE * self._settle:
                rest = since + self._needed(last) - time.monotonic()
            if rest > self._gap:
                await asyncio.sleep(rest - self._gap)
            else:
                first = await self._digest()
                await asyncio.sleep(max(rest, self._gap))
                at, second = self._wall(), await self._digest()
                agree = first == second and file.signature(self._path) == last
                if agree or waited > 2 * PATIENCE * self._settle:
                    return Reading(last, second, at)
            found = file.signature(self._path)
            if found != last:
                last, since = found, self._quiet_since(found)

    def _needed(self, signature: file.Signature | None) -> float:
        return self._settle if signature and signature.size else self._settle * UNFINISHED

    def _quiet_since(self, signature: file.Signature | None) -> float:
        """Return the monotonic time of the last change, as far as it can be known."""
        # The event is up to two steps old, the ctime is exact: no program can set it.
        age = self._wall() - signature.ctime_ns / 1e9 if signature else 0.0
        return time.monotonic() - (age if 0 <= age <= TRUSTED_AGE else 0.0)

    async def _digest(self) -> str:
        signature = file.signature(self._path)
        if signature is not None and signature.size > INLINE_SIZE:
            return await asyncio.to_thread(file.glance, self._path)
        return file.glance(self._path)

    def _arm(self) -> None:
        """Watch what must be watched now; where that is what is watched already, do nothing."""
        for _ in range(ARM_ATTEMPTS):
            way = trail.walk(self._path)
            if self._listener and not self._broken and way.places == self._trail.places:
                self._trail = way
                return
            self._listen(way)
            if self._listener is None and not self._broken:
                return
        if self._listener is None:
            self._say_blind(f"the folders on the way to {self._path} come and go")

    def _listen(self, way: Trail) -> None:
        """Replace the listener. One that failed for a vanished folder leaves ``_broken`` set."""
        self._drop()
        self._trail = way
        try:
            notifier = self._notifier(list(way.places))
        except FileNotFoundError:
            self._broken = True
            return
        except (OSError, RuntimeError, ValueError) as error:
            self._broken = False
            self._say_blind(listeners.why(error))
            return
        self._broken = False
        self._said = ""
        self._listener = Listener(notifier, self._step, self._matters, self._hear)

    def _drop(self) -> None:
        if self._listener is not None:
            self._listener.stop()
            self._ending = [one for one in self._ending if one.alive()] + [self._listener]
            self._listener = None

    def _say_blind(self, why: str) -> None:
        if why != self._said:
            self._said = why
            self._warn(
                f"saves of {self._path} are not noticed at once, "
                f"it is looked at every {self._rescan:g} s: {why}"
            )

    def _matters(self, paths: set[str]) -> bool:
        """Tell, in the listener's thread, whether these events can be about the file.

        watchfiles may lose an event that comes while it hands out others, so
        events of other files are a reason to look, though not to wake anybody.
        """
        return bool(paths & self._trail.paths) or (
            file.signature(self._path) != self._seen.signature
        )

    def _hear(self, listener: Listener, paths: set[str]) -> None:
        if listener is self._listener:  # an old one may still have spoken
            # Without paths it broke off; a place itself was moved or removed, and the
            # one that follows it may even have its inode number.
            self._broken |= not paths or not paths.isdisjoint(self._trail.places)
            self._heard += 1
            self._ring()
