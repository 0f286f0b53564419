"""One thread that waits in watchfiles and tells the event loop what it heard."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_DELAY_MS = 1000
"""Where watchfiles must poll. A poll lists the folder, so not more often than needed."""


class Notifier(Protocol):
    """What is used of ``RustNotify`` (documented as watchfiles' Rust backend)."""

    def watch(
        self, debounce_ms: int, step_ms: int, timeout_ms: int, stop_event: Stop | None
    ) -> set[tuple[int, str]] | Literal["signal", "stop", "timeout"]:
        """Block until something changed, or until the stop event is set."""

    def close(self) -> None:
        """Stop watching."""


class Stop(Protocol):
    """What ends a wait, asked once a step."""

    def is_set(self) -> bool:
        """Tell whether to end."""


def open_notifier(places: list[str]) -> Notifier:
    """Watch these folders and files, not what is below them.

    watchfiles polls by itself where the kernel has no inotify; ``WATCHFILES_FORCE_POLLING``
    and ``WATCHFILES_POLL_DELAY_MS`` mean what they mean to watchfiles.

    Raises:
        OSError: A place is missing or not readable, or no watch is left.
        RuntimeError: inotify is not to be had.
        ValueError: A path is not UTF-8.
    """
    from watchfiles._rust_notify import RustNotify

    wish = os.environ.get("WATCHFILES_FORCE_POLLING", "").lower()
    delay = os.environ.get("WATCHFILES_POLL_DELAY_MS", "")
    polling = wish not in {"", "false", "disable", "disabled"}
    poll_delay_ms = int(delay) if delay.isdecimal() else POLL_DELAY_MS
    return RustNotify(places, False, polling, poll_delay_ms, False, False)


def why(error: Exception) -> str:
    """Return why nothing can be watched, and the setting that cures it."""
    text = str(error)
    if "watch limit" in text:
        return (
            "inotify has no watch left; raise the limit: "
            "sudo sysctl fs.inotify.max_user_watches=524288"
        )
    if "os error 24" in text:  # EMFILE
        return (
            "inotify has no instance left; raise the limit: "
            "sudo sysctl fs.inotify.max_user_instances=512 (or that of open files: ulimit -n)"
        )
    return f"the system says: {text}"


class Listener:
    """One thread that waits in watchfiles, and the notifier it owns."""

    def __init__(
        self,
        notifier: Notifier,
        step: float,
        matters: Callable[[set[str]], bool],
        hear: Callable[[Listener, set[str]], None],
    ) -> None:
        self._notifier = notifier
        self._step_ms = round(step * 1000)
        self._matters = matters
        self._hear = hear
        self._stopped = False
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.create_future()
        # A daemon thread: a program that dies without leaving the context must not hang.
        self._thread = threading.Thread(target=self._run, name="omisync-watch", daemon=True)
        self._thread.start()

    def is_set(self) -> bool:
        """Tell watchfiles whether to stop (it asks once a step)."""
        return self._stopped

    def stop(self) -> None:
        """Let the thread end within a step."""
        self._stopped = True

    def alive(self) -> bool:
        """Tell whether the thread still runs."""
        return self._thread.is_alive()

    async def ended(self) -> None:
        """Wait for the end of the thread after ``stop``."""
        await self._end
        self._thread.join()

    def _run(self) -> None:
        try:
            while (paths := self._next()) is not None:
                if not paths or self._matters(paths):
                    self._call(self._hear, self, paths)
                if not paths:
                    break
        finally:
            self._notifier.close()
            self._call(self._ending)

    def _next(self) -> set[str] | None:
        """Return the paths of the next events; none when the notifier broke; None at the stop."""
        try:
            # No debounce: grouping is done by settling. No timeout: it would drop events.
            found = self._notifier.watch(0, self._step_ms, 0, self)
        except (OSError, RuntimeError):  # also any name in the folder that is not UTF-8
            return set()
        return None if isinstance(found, str) else {path for _, path in found}

    def _call(self, function: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop was closed without leaving the context
            self._stopped = True

    def _ending(self) -> None:
        if not self._end.done():
            self._end.set_result(None)
