"""What other processes ask the daemon for: a cycle now, or a treatment of its store or file."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from omisync import errors, show, sync
from omisync.errors import OmisyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from omisync.sync import Desk, Outcome

    Request = dict[str, Any]
    Answer = dict[str, Any]
    Asking = tuple[Request, asyncio.Future[Answer]]

TREATMENTS: dict[str, Callable[[Desk, str], object]] = {
    "retry": lambda desk, text: sync.retry(desk.store, text, desk.clock()),
    "forget": lambda desk, text: sync.forget(desk.store, text, desk.clock()),
    "undo": lambda desk, _: sync.undo(desk),
    "restore": lambda desk, text: sync.restore(desk, int(text)),
}
"""What is done at once, between two cycles."""


@dataclass(slots=True)
class Asked:
    """The requests that wait for the daemon. They outlive a reload of its config.

    ``came`` is set while any waits.
    """

    came: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: list[Asking] = field(default_factory=list)

    async def ask(self, request: Request) -> Answer:
        """Let a request wait; return what came of it."""
        verb = request.get("do")
        if verb != "cycle" and (not isinstance(verb, str) or verb not in TREATMENTS):
            return {"error": "unknown request"}
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting.append((request, answer))
        self.came.set()
        return await answer

    def taken(self, desk: Desk) -> list[Asking]:
        """Do what needs no cycle; return the requests for one. Nothing waits any more."""
        self.came.clear()
        waiting, self.waiting = self.waiting, []
        for request, answer in waiting:
            if request["do"] in TREATMENTS and not answer.done():
                answer.set_result(_treated(desk, request))
        return [asking for asking in waiting if asking[0]["do"] == "cycle"]

    def refuse(self) -> None:
        """Answer that the daemon is stopping."""
        self.came.clear()
        waiting, self.waiting = self.waiting, []
        for _, answer in waiting:
            if not answer.done():
                answer.set_result({"error": "the daemon is stopping"})


def _treated(desk: Desk, request: Request) -> Answer:
    treat = TREATMENTS[request["do"]]
    try:
        done = treat(desk, str(request.get("text", "")))
    except OmisyncError as error:
        return {"error": error.message, "advice": error.advice, "code": error.exit_code}
    except ValueError:
        return {"error": "not a number", "advice": "", "code": errors.USAGE}
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
                    "progress": outcome.progress,
                    "retry_at": outcome.retry_at,
                }
            )
