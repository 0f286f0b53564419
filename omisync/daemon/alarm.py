"""Tell the person of a failure that lasts, once, and once when it is over.

Rule: what was told is in the store, so that neither a restart nor the hundredth
failure tells it again.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from typing import TYPE_CHECKING

from omisync import errors

if TYPE_CHECKING:
    from omisync.sync import Desk

COMMAND_SECONDS = 60.0
"""For the command to end; one that hangs is killed."""


def due_in(desk: Desk, now: float) -> float | None:
    """Return the seconds until a failure has lasted long enough, None if none lasts."""
    since = _failing_since(desk)
    if since is None or not desk.config.watch.notify_command or desk.store.fact("told"):
        return None
    return max(0.0, since + desk.config.watch.notify_after - now)


def _failing_since(desk: Desk) -> float | None:
    last = desk.store.fact("last")
    since = last.get("failing_since") if isinstance(last, dict) else None
    return since if isinstance(since, float | int) else None


def news(desk: Desk) -> str | None:
    """Return what there is to tell, ``failing`` or ``recovered``, and note it as told."""
    told = bool(desk.store.fact("told"))
    wait = due_in(desk, desk.clock())
    failing = wait is not None and wait <= 0
    if not failing and not (told and _failing_since(desk) is None):
        return None
    with desk.store.transaction():
        desk.store.put_fact("told", failing)
    return "failing" if failing else "recovered"


async def ring(desk: Desk, event: str) -> str:
    """Run the person's command without a shell: the event in its environment, the message last.

    Return what went wrong, nothing where it did not: that is no reason to stop syncing.
    """
    environ = {
        **os.environ,
        "OMISYNC_EVENT": event,
        "OMISYNC_MESSAGE": _message(desk) if event == "failing" else "omisync is in sync again",
    }
    environ.pop("OMI_API_KEY", None)
    line = shlex.split(desk.config.watch.notify_command)
    try:
        process = await asyncio.create_subprocess_exec(
            *line, environ["OMISYNC_MESSAGE"], env=environ, stdin=asyncio.subprocess.DEVNULL
        )
    except OSError as error:
        return f"{line[0]} cannot be started ({error.strerror})"
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            code = await process.wait()
    except TimeoutError:
        process.kill()
        return f"{line[0]} did not end within {COMMAND_SECONDS:.0f} seconds and was killed"
    except asyncio.CancelledError:
        process.kill()
        raise
    return f"{line[0]} ended with {code}" if code else ""


def _message(desk: Desk) -> str:
    last = desk.store.fact("last")
    troubles = last.get("troubles") if isinstance(last, dict) else None
    code = last.get("code") if isinstance(last, dict) else errors.TEMPORARY
    what = f": {troubles[0][0]}" if troubles else ""
    return f"omisync cannot sync {desk.config.todo_path.name} (exit code {code}){what}"
