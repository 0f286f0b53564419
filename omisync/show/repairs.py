"""What a repair found: ``omisync repair``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.show import words

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

    from omisync.sync import Repaired


def repaired(result: Repaired, aside: Path | None, todo: Path, stream: TextIO) -> None:
    """Write what a repair found, and what is left; ``aside`` is where a damaged store is kept."""
    say = stream.write
    if aside is not None:
        say(f"The damaged store is kept as {aside}\n")
    linked = words.count(len(result.linked), "task")
    say(f"{words.count(result.kept, 'link')} kept, {linked} linked by text.\n")
    if not result.complete:
        say("Omi's list could not be read in full: some items may not have been seen.\n")
    _write_doubtful(result, todo, stream)
    if result.lines:
        lines = words.count(len(result.lines), "line")
        say(f"{lines} without an item in Omi; the next sync creates:\n")
        for entry in result.lines:
            say(f"  {words.safe(entry.task.text)}  {todo}:{entry.line}\n")
    if result.items:
        say(f"{words.count(len(result.items), 'open item')} in Omi without a line here:\n")
        for item in result.items:
            say(f"  {words.safe(item.fields.description)}\n")
    if result.lines and result.items:
        hint = (
            "If one of those lines is one of these items, reworded, a sync would create it a second"
            " time: give the line the item's exact text, run `omisync repair` again, and edit it"
            " afterwards.\n"
        )
        say(words.commands(hint))
    say(words.commands("Next: `omisync --dry-run` shows what the next sync will do.\n"))


def _write_doubtful(result: Repaired, todo: Path, stream: TextIO) -> None:
    """Write which links a person should look at."""
    say = stream.write
    behind = [
        entry for entry, item in result.linked if item.fields.completed and not entry.task.completed
    ]
    if behind:
        lines = words.count(len(behind), "open line")
        say(f"{lines} linked with what is finished in Omi (two-way ticks that next). Where a new\n")
        say("round is meant: remove the line, sync, and write it again.\n")
        for entry in behind:
            say(f"  {words.safe(entry.task.text)}  {todo}:{entry.line}\n")
    if result.unlisted:
        links = words.count(len(result.unlisted), "link")
        say(f"{links} to what Omi does not list (deleted, or locked):\n")
        for link in result.unlisted:
            say(f"  {words.safe(link.seen.text)}\n")


def repaired_data(result: Repaired, aside: Path | None) -> dict[str, object]:
    """Return what a repair found, for programs: JSON-ready."""
    return {
        "version": 1,
        "kept": result.kept,
        "unlisted": [link.seen.text for link in result.unlisted],
        "linked": [{"line": e.line, "text": e.task.text, "id": i.id} for e, i in result.linked],
        "new_lines": [{"line": e.line, "text": e.task.text} for e in result.lines],
        "other_items": [{"id": i.id, "text": i.fields.description} for i in result.items],
        "complete": result.complete,
        "kept_aside": None if aside is None else str(aside),
    }
