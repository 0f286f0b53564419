"""The history in words: ``omisync log``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.show import words
from omisync.show.paper import Paper, Piece

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from omisync.core.model import Clash
    from omisync.store import Clashed, Event

SAID = {
    "task.created": ("created", "green"),
    "task.changed": ("changed", "yellow"),
    "task.removed": ("removed", "red"),
    "task.revived": ("brought back", "magenta"),
    "task.adopted": ("linked", "cyan"),
    "task.archived": ("archived", "dim"),
    "task.parked": ("parked", "red"),
    "task.failed": ("failed", "yellow"),
    "task.gone": ("gone", "yellow"),
    "task.forgotten": ("forgotten", "dim"),
    "task.retried": ("retried", ""),
    "task.given_up": ("given up", ""),
    "line.added": ("written", "green"),
    "line.changed": ("edited", "yellow"),
    "line.removed": ("taken out", "red"),
    "task.found": ("still there", ""),
    "twin.removed": ("twin removed", "dim"),
    "clash.decided": ("clash", "magenta"),
    "clash.restored": ("restored", ""),
    "file.restored": ("undone", ""),
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
    ("line.added", ""): "new in Omi",
    ("line.added", "back"): "removed, but edited in Omi",
    ("line.removed", ""): "deleted in Omi",
    ("task.found", ""): "in Omi, though its list does not show it",
    ("twin.removed", ""): "two machines had created it at once",
    ("clash.decided", "description"): "reworded on both sides: `omisync log --clashes`",
    ("clash.decided", "completed"): "ticked and reopened: `omisync log --clashes`",
    ("clash.decided", "due_at"): "two due dates: `omisync log --clashes`",
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


FIELDS = {"description": "wording", "completed": "tick", "due_at": "due date"}
"""What a person calls the fields that clash."""
SIDES = {"local": "of the file", "remote": "of Omi"}


def clashes(found: Sequence[Clashed], stream: TextIO, terminal: bool | None = None) -> None:
    """Write each clash, oldest first: number, when, task; then what holds and what gave way."""
    paper = Paper(stream, terminal)
    if not found:
        paper.say(Piece("No value ever had to give way."))
    for one in found:
        clash = one.clash
        head = [Piece(f"{one.number:>4}  ", "bold"), Piece(f"{words.stamp(one.at)}  ", "dim")]
        paper.line(head, [Piece(clash.text)], [Piece(f"  ({FIELDS[clash.field]})", "dim")])
        paper.line([Piece("      kept  ", "green")], [Piece(clash.kept_value or "none")])
        lost = f"  (the value {SIDES[clash.lost]})"
        paper.line(
            [Piece("      lost  ", "red")],
            [Piece(clash.lost_value or "none")],
            [Piece(lost, "dim")],
        )
        if one.restored_at is not None:
            paper.say(Piece(f"      put back {words.stamp(one.restored_at)}"))
    open_ones = [one.number for one in found if one.restored_at is None]
    if open_ones:
        paper.say(Piece(f"→ `omisync restore {open_ones[-1]}` puts that lost value into its line."))


def clashes_data(found: Sequence[Clashed]) -> dict[str, object]:
    """Return the clashes for programs: JSON-ready, oldest first, times in ISO 8601 UTC."""
    return {
        "version": 1,
        "clashes": [
            {
                "number": one.number,
                "at": words.instant(one.at),
                **clash_data(one.clash),
                "restored_at": words.instant(one.restored_at),
            }
            for one in found
        ],
    }


def clash_data(clash: Clash) -> dict[str, object]:
    """Return one clash for programs, decided or only planned."""
    return {
        "key": clash.key,
        "text": clash.text,
        "field": clash.field,
        "lost": clash.lost,
        "kept_value": clash.kept_value,
        "lost_value": clash.lost_value,
    }
