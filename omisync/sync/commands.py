"""What a person may ask between two cycles: by hand, or of a daemon that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.errors import UsageError
from omisync.sync import parked, taking_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from omisync.sync.desk import Desk

    Command = Callable[[Desk, str], list[str] | str]


DIGITS = 19
"""Of a number, at most: SQLite counts no further, and Python converts some thousand."""


def _restore(desk: Desk, text: str) -> str:
    if not text.isdecimal() or len(text) > DIGITS:
        what = f"{text[:DIGITS]!r} is not the number of a clash"
        raise UsageError(what, "`omisync log --clashes` lists them.")
    return taking_back.restore(desk, int(text))


COMMANDS: dict[str, Command] = {
    "retry": lambda desk, text: parked.retry(desk.store, text, desk.clock()),
    "forget": lambda desk, text: parked.forget(desk.store, text, desk.clock()),
    "undo": lambda desk, _: taking_back.undo(desk),
    "restore": _restore,
}
"""By name: what takes the rest of the command line, and returns the texts or what was done.

Each raises ``OmisyncError`` where it cannot be done; nothing was changed then.
"""
