"""What a person may ask between two cycles: by hand, or of a daemon that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.errors import UsageError
from omisync.sync import parked, taking_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from omisync.sync.desk import Desk

    Command = Callable[[Desk, str], list[str] | str]


def _restore(desk: Desk, text: str) -> str:
    if not text.isdecimal():
        raise UsageError(f"{text!r} is not a number", "`omisync log --clashes` lists them.")
    return taking_back.restore(desk, int(text))


def _anew(command: Command) -> Command:
    """Let the store say, until the next sync, that it is not as the last one left it."""

    def done(desk: Desk, text: str) -> list[str] | str:
        said = command(desk, text)
        with desk.store.transaction():
            desk.store.put_fact("anew", True)
        return said

    return done


COMMANDS: dict[str, Command] = {
    "retry": _anew(lambda desk, text: parked.retry(desk.store, text, desk.clock())),
    "forget": _anew(lambda desk, text: parked.forget(desk.store, text, desk.clock())),
    "undo": _anew(lambda desk, _: taking_back.undo(desk)),
    "restore": _anew(_restore),
}
"""By name: what takes the rest of the command line, and returns the texts or what was done.

Each raises ``OmisyncError`` where it cannot be done; nothing was changed then.
"""
