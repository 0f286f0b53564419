"""What other processes ask the daemon for: a cycle now, or a command about its state."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omisync import control, show, sync
from omisync.errors import ConfigError, OmisyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omisync.sync import Desk, Outcome

    Request = dict[str, Any]
    Answer = dict[str, Any]
    Asking = tuple[Request, asyncio.Future[Answer]]

STOPPING: Answer = {"error": "the daemon is stopping", "stopping": True}


@dataclass(slots=True)
class Asked:
    """The requests that wait for the daemon. They outlive a reload that keeps its state.

    ``came`` is set while any waits, ``closed`` once all are refused: none is carried
    out on the state of another list. ``progress`` counts what the daemon did so far.
    """

    came: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: list[Asking] = field(default_factory=list)
    closed: bool = False
    progress: Callable[[], int] = int

    def done(self) -> int:
        """Return what was done so far, by whichever daemon answers now."""
        return self.progress()

    async def ask(self, request: Request) -> Answer:
        """Let a request wait; return what came of it."""
        if request == control.GREETING:
            return {"greeted": True}
        verb = request.get("do")
        if verb != "cycle" and (not isinstance(verb, str) or verb not in sync.COMMANDS):
            return {"error": "unknown request"}
        if self.closed:
            return STOPPING
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting.append((request, answer))
        self.came.set()
        return await answer

    def taken(self, desk: Desk) -> list[Asking]:
        """Do what needs no cycle; return the requests for one. Nothing waits any more."""
        self.came.clear()
        waiting, self.waiting = self.waiting, []
        cycles: list[Asking] = []
        for request, answer in waiting:
            refusal = _refusal(desk, request)
            if refusal is None and request["do"] == "cycle":
                cycles.append((request, answer))
            elif not answer.done():
                answer.set_result(refusal or _done(desk, request))
        return cycles

    def refuse(self) -> None:
        """Answer, from now on, that the daemon is stopping."""
        self.closed = True
        for _, answer in self.waiting:
            if not answer.done():
                answer.set_result(STOPPING)


def _refusal(desk: Desk, request: Request) -> Answer | None:
    """Return the answer to who means another list, or another server, with the same state."""
    config, todo, server = desk.config, request.get("todo"), request.get("server")
    advice = "Give this list its own [state] path, or stop the daemon."
    if isinstance(todo, str) and not _is_same(Path(todo), config.todo_path):
        what = f"A daemon works on {config.todo_path} with this state store, not on {todo}"
        return _failed(ConfigError(what, advice))
    if isinstance(server, str) and server != config.omi.base_url:
        where = f"{server} (omi.base_url, or OMI_API_BASE where that is set)"
        what = f"A daemon syncs this list with {config.omi.base_url}, not with {where}"
        return _failed(ConfigError(what, "Name the daemon's server, or stop the daemon."))
    return None


def _is_same(path: Path, other: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):  # ValueError: no path can be so
        # Not Path.resolve: it raises for a loop of links, or not, as Python likes.
        return os.path.realpath(path) == os.path.realpath(other) or path.samefile(other)
    return False


def _failed(error: OmisyncError) -> Answer:
    return {"error": error.message, "advice": error.advice, "code": error.exit_code}


def _done(desk: Desk, request: Request) -> Answer:
    try:
        done = sync.COMMANDS[request["do"]](desk, str(request.get("text", "")))
    except OmisyncError as error:
        return _failed(error)
    return {"tasks" if isinstance(done, list) else "done": done}


def answer(cycles: Sequence[Asking], outcome: Outcome, todo_path: Path) -> None:
    """Tell everyone who asked for a cycle what came of it: as text, as data, when to ask again."""
    if not cycles:
        return
    out, err = io.StringIO(), io.StringIO()
    show.outcome(outcome, todo_path, verbose=0, stream=out, err=err)
    for _, waiting in cycles:
        if not waiting.done():
            waiting.set_result(
                {
                    "code": outcome.code,
                    "out": out.getvalue(),
                    "err": err.getvalue(),
                    "data": show.outcome_data(outcome),
                    "temporary": outcome.temporary,
                    "retry_at": outcome.retry_at,
                }
            )
