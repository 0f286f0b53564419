"""The history in words: ``omisync log``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.show import words
from omisync.show.paper import Paper, Piece

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from omisync.store import Event

SAID = {
    "task.created": ("created", "green"),
    "task.changed": ("changed", "yellow"),
    "task.removed": ("removed", "red"),
    "task.revived": ("brought back", "magenta"),
    "task.adopted": ("linked", "cyan"),
    "task.archived": ("archived", "dim"),
    "task.parked": ("parked", "red"),
    "task.gone": ("gone", "yellow"),
    "task.forgotten": ("forgotten", "dim"),
    "task.retried": ("retried", ""),
    "task.given_up": ("given up", ""),
    "guard.stopped": ("stopped", "red"),
    "create.voided": ("not created", "yellow"),
    "account.accepted": ("account", ""),
}
"""What each event is called, and its style; another event is shown by its own name."""

WHY = {
    ("task.created", "found"): "the answer was lost; found in Omi",
    ("task.removed", "complete"): "line removed: completed in Omi",
    ("task.removed", "delete"): "line removed: deleted in Omi",
    ("task.archived", "complete"): "line removed: stays completed in Omi",
    ("task.archived", "keep"): "line removed: kept in Omi",
    ("task.adopted", ""): "Omi had it already",
    ("task.revived", ""): "the line came back",
    ("task.retried", ""): "asked for with `omisync retry`",
    ("task.given_up", ""): "with `omisync forget`: stays in Omi as it is",
    ("guard.stopped", ""): "the removal guard",
    ("create.voided", ""): "the answer was lost, Omi does not have it; it is made anew",
}
"""Details that say more in other words."""

COLUMN = max(len(said) for said, _ in SAID.values())


def history(events: Sequence[Event], stream: TextIO, terminal: bool | None = None) -> None:
    """Write one line for each event, oldest first: local time, what, task, why."""
    paper = Paper(stream, terminal)
    if not events:
        paper.say(Piece("Nothing has happened yet."))
    for event in events:
        said, style = SAID.get(event.event, (event.event, ""))
        why = WHY.get((event.event, event.detail), event.detail)
        head = [Piece(words.stamp(event.at), "dim"), Piece(f"  {said:<{COLUMN}}  ", style)]
        paper.line(head, [Piece(event.text)], [Piece(_after(event.text, why), "dim")])


def _after(text: str, why: str) -> str:
    if not why:
        return ""
    return f"  ({why})" if text else why


def history_data(events: Sequence[Event]) -> dict[str, object]:
    """Return the events for programs: JSON-ready, oldest first, times in ISO 8601 UTC."""
    return {
        "version": 1,
        "events": [
            {
                "at": words.instant(event.at),
                "event": event.event,
                "text": event.text,
                "detail": event.detail,
                "key": event.key,
                "remote_id": event.remote_id,
            }
            for event in events
        ],
    }
