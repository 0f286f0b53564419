"""What a repair found: ``omisync repair``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.show import words
from omisync.show.paper import Paper, Piece

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import TextIO

    from omisync.core.model import Entry
    from omisync.sync import Repaired

AT_MOST = 20
"""Lines and items shown of each kind; the rest is counted."""


def repaired(
    result: Repaired, aside: Path | None, todo: Path, stream: TextIO, terminal: bool | None = None
) -> None:
    """Write what a repair found, and what is left; ``aside`` is where a damaged store is kept."""
    paper = Paper(stream, terminal)
    if aside is not None:
        _say(paper, f"The damaged store is kept as {aside}")
    linked = words.count(len(result.linked), "task")
    _say(paper, f"{words.count(result.kept, 'link')} kept, {linked} linked by text.")
    if not result.complete:
        _say(paper, "Omi's list could not be read in full: some items may not have been seen.")
    _write_doubtful(paper, result, todo)
    if result.lines:
        lines = words.count(len(result.lines), "line")
        _say(paper, f"{lines} without an item in Omi; the next sync creates:")
        _write_lines(paper, result.lines, todo)
    if result.items:
        _say(paper, f"{words.count(len(result.items), 'open item')} in Omi without a line here:")
        _write_list(paper, [item.fields.description for item in result.items])
    if result.lines and result.items:
        _say(
            paper,
            "If one of those lines is one of these items, reworded, a sync would create it a second"
            " time: give the line the item's exact text, run `omisync repair` again, and edit it"
            " afterwards.",
        )
    _say(paper, "Next: `omisync --dry-run` shows what the next sync will do.")


def _write_doubtful(paper: Paper, result: Repaired, todo: Path) -> None:
    """Write which links a person should look at."""
    behind = [
        entry for entry, item in result.linked if item.fields.completed and not entry.task.completed
    ]
    if behind:
        lines = words.count(len(behind), "open line")
        _say(paper, f"{lines} linked with what is finished in Omi (two-way ticks that next).")
        _say(paper, "Where a new round is meant: remove the line, sync, and write it again.")
        _write_lines(paper, behind, todo)
    if result.unlisted:
        links = words.count(len(result.unlisted), "link")
        _say(paper, f"{links} to what Omi does not list (deleted, or locked):")
        _write_list(paper, [link.seen.text for link in result.unlisted])


def _say(paper: Paper, text: str) -> None:
    paper.say(Piece(text))


def _write_lines(paper: Paper, entries: Sequence[Entry], todo: Path) -> None:
    _write_list(paper, [f"{entry.task.text}  {todo}:{entry.line}" for entry in entries])


def _write_list(paper: Paper, found: Sequence[str]) -> None:
    """Write the first of these, one a line, and how many more there are."""
    for one in found[:AT_MOST]:
        paper.say(Piece(f"  {one}"), quotes=True)
    if len(found) > AT_MOST:
        _say(paper, f"  … and {len(found) - AT_MOST} more; `omisync repair --json` shows all")


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
