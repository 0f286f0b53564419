"""A plan as people read it, much like a diff, and as programs do."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from omisync.show import words
from omisync.show.events import clash_data
from omisync.show.paper import Paper, Piece
from omisync.show.steps import Step, steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from omisync.core.model import Document, Link
    from omisync.core.plan import Plan, Removal

SIGNS = {
    "create": Piece("+", "green"),
    "link": Piece("=", "cyan"),
    "change": Piece("~", "yellow"),
    "revive": Piece("↺", "magenta"),
    "complete": Piece("-", "red"),
    "delete": Piece("-", "red"),
    "write": Piece("«", "green"),
    "edit": Piece("«", "yellow"),
    "take out": Piece("«", "red"),
    "ask": Piece("?", "cyan"),
}
"""What each kind of step is marked with, in the order the summary names them."""

SUMMARY = {
    "create": "to create",
    "link": "to link",
    "change": "to change",
    "revive": "to bring back",
    "complete": "to complete",
    "delete": "to delete",
    "write": "to write into the file",
    "edit": "to edit in the file",
    "take out": "to take out of the file",
    "ask": "to ask for",
}
INWARD = frozenset({"write", "edit", "take out", "ask"})
"""What only a two-way plan has; a program hears of it where there is any."""

DIFFED_WORDS = 200
"""Words beyond which a rewording is shown without marking the words that differ."""

ALLOW = "omisync --once --allow-removals"
AGREE = "omisync --once --yes"


def plan(  # noqa: PLR0913 - what is shown, and where to
    document: Document,
    decided: Plan,
    todo_path: Path,
    *,
    links_exist: bool,
    stream: TextIO,
    asks: bool = False,
    noted: bool = False,
    terminal: bool | None = None,
) -> None:
    """Write what the next cycle would do, one line for each op.

    ``links_exist`` tells whether anything was ever synced, or Omi's list was read, or is not
    to be linked with: else a create may turn out to be a link with an equal item. ``asks``
    tells that a person has to agree first, ``noted`` that a sync has refused this before.
    """
    paper = Paper(stream, terminal)
    todo = steps(decided)
    listed = todo or decided.waiting or decided.parked or decided.unsure
    if listed:
        paper.say(Piece(str(todo_path), "bold"))
    for step in todo:
        _write_step(paper, step, todo_path.name, links_exist=links_exist)
    _write_rest(paper, decided, todo_path.name)
    if listed:
        paper.gap()
    may_link = any(_may_link(step, links_exist=links_exist) for step in todo)
    paper.say(Piece(_sentence(decided, todo, may_link=may_link), "bold"))
    _write_remarks(paper, decided, may_link=may_link)
    if decided.removal.drastic:
        _write_guard(paper, decided.removal, todo_path, noted=noted)
    if decided.departure.drastic:
        _write_departure(paper, decided.departure, todo_path, noted=noted)
    if asks:
        number = words.count(decided.arrivals, "task")
        paper.say(
            Piece("A first sync asks before it does this: ", "yellow"),
            Piece(f"{number} of Omi would be written into {todo_path}."),
        )
        paper.say(Piece(f"→ `{AGREE}` brings them in."))
    write_notices(paper, words.alike(document.notices), todo_path)


def write_notices(paper: Paper, alike: Mapping[str, Sequence[int]], todo_path: Path) -> None:
    """Write what a person should look at in the file: each message, with its first place."""
    for message, (first, *others) in alike.items():
        too = f" ({words.lines(others)} too)" if others else ""
        where = f" {todo_path}:{first}: "
        paper.say(Piece("warning:", "yellow"), Piece(where), Piece(f"{message}{too}"))


def _write_step(paper: Paper, step: Step, name: str, *, links_exist: bool) -> None:
    sign = SIGNS[step.verb]
    verb = "create or link" if _may_link(step, links_exist=links_exist) else step.verb
    width = 8 if links_exist else 14  # "complete", "create or link"
    head = [sign, Piece(f" {verb:<{width}}  ", sign.style)]
    where = f"  {name}:{step.entry.line}" if step.entry is not None else ""
    tail = [Piece(f"  ({', '.join(step.why)})", "dim"), Piece(where, "dim")]
    if step.former is None:
        paper.line(head, [Piece(step.text)], tail)
        return
    before, after = _compared(step.former, step.text)
    paper.line(head, before, tail)
    paper.line([Piece(" " * (width + 2)), Piece("→ ", sign.style)], after)


def _may_link(step: Step, *, links_exist: bool) -> bool:
    """Return whether a create may turn out to be a link, once the list is read."""
    named = step.entry is not None and step.entry.explicit_id is not None
    return step.verb == "create" and step.link.base is None and (named or not links_exist)


def _compared(before: str, after: str) -> tuple[list[Piece], list[Piece]]:
    """Return both wordings, the words that differ in red and green."""
    old, new = before.split(), after.split()
    if max(len(old), len(new)) > DIFFED_WORDS:
        return [Piece(before)], [Piece(after)]
    from difflib import SequenceMatcher

    former: list[Piece] = []
    latter: list[Piece] = []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        _append(former, old[i:j], "" if tag == "equal" else "red")
        _append(latter, new[k:m], "" if tag == "equal" else "green")
    return former, latter


def _append(pieces: list[Piece], some: Sequence[str], style: str) -> None:
    if not some:
        return
    if pieces:
        pieces[-1] = pieces[-1]._replace(text=pieces[-1].text + " ")
    pieces.append(Piece(" ".join(some), style))


def _write_rest(paper: Paper, decided: Plan, name: str) -> None:
    """Write what stands still: lines in their grace, tasks that the server refused."""
    until = ""
    if decided.grace_ends is not None:
        until = f" until {words.clock_time(decided.grace_ends)}"
    for link, entry in decided.unsure:
        where = f"  {name}:{entry.line}" if entry is not None else ""
        why = "  (sent, no answer yet; the next sync asks Omi before anything else)"
        head = [Piece("? unsure    ", "yellow")]
        paper.line(head, [Piece(link.seen.text)], [Piece(why + where, "dim")])
    for link in decided.waiting:
        why = f"  (line gone; waits for it to come back{until})"
        paper.line([Piece("· waits     ", "dim")], [Piece(link.seen.text)], [Piece(why, "dim")])
    for link, entry in decided.parked:
        write_parked(paper, link, f"{name}:{entry.line}" if entry is not None else "")


def write_parked(paper: Paper, link: Link, where: str) -> None:
    """Write one parked task: its text and place, then the server's reason and the way out."""
    head = [Piece("! parked    ", "red")]
    paper.line(head, [Piece(link.seen.text)], [Piece(f"  {where}" if where else "", "dim")])
    if link.parked is not None:
        paper.say(Piece(f"            {link.parked.reason}"), Piece(f"; {way_out(link)}"))


def way_out(link: Link) -> str:
    """Return what a person can do about a parked task."""
    if link.is_absent:
        dashes = "-- " if link.seen.text.startswith("-") else ""
        forget = f"omisync forget {dashes}{shlex.quote(link.seen.text)}"
        return f"its line is gone: `omisync retry` tries again, `{forget}` gives up"
    return "change the line, or try again with `omisync retry`"


def _sentence(decided: Plan, todo: Sequence[Step], *, may_link: bool) -> str:
    tally = Counter(step.verb for step in todo)
    if not tally:
        return _nothing(decided)
    parts = [f"{tally[verb]} {said}" for verb, said in SUMMARY.items() if tally[verb]]
    if tally["create"]:
        number = words.count(_create_requests(decided), "request")
        said = "to create or link in at most" if may_link else "to create in"
        parts[0] = f"{tally['create']} {said} {number}"
    return ", ".join(parts) + "."


def _nothing(decided: Plan) -> str:
    lines = [entry for _, entry in decided.parked if entry is not None]
    if decided.unsure:
        return f"{words.count(len(decided.unsure), 'create')} to settle first, then a new plan."
    tasks = decided.tasks - len(lines)
    said = f"Nothing to do: {words.count(tasks, 'task')} {'is' if tasks == 1 else 'are'} in sync"
    if decided.parked:
        said += f", {len(decided.parked)} parked"
    if decided.waiting:
        said += f", {len(decided.waiting)} waiting"
    return said + "."


def _create_requests(decided: Plan) -> int:
    from omisync.core.plan import AddRemote, grouped

    return len(grouped([op for op in decided.ops if isinstance(op, AddRemote)]))


def _write_remarks(paper: Paper, decided: Plan, *, may_link: bool) -> None:
    if decided.notifications:
        rings = words.count(decided.notifications, "notification")
        said = f"Omi will send {'up to ' * may_link}{rings} to your phone,"
        paper.say(Piece(f"{said} one for each due date it is given."))
    for clash in decided.clashes:
        side = "the file" if clash.lost == "local" else "Omi"
        value = f"“{clash.lost_value}”" if clash.lost_value else "none"
        lost = f"{clash.text}: both sides changed it; {value} of {side}"
        paper.say(Piece("clash: ", "magenta"), Piece(f"{lost} gives way, and is kept in the log."))
    if decided.mute:
        number = words.count(decided.mute, "item")
        paper.say(Piece(f"{number} of Omi cannot be said in a line; nothing is written for it."))
    if left := _archived(decided):
        number = words.count(left, "finished or kept task")
        paper.say(Piece(f"{number} left the file; nothing changes in Omi."))


def _archived(decided: Plan) -> int:
    """Return how many tasks left the file without a word to Omi; a twin never was in it."""
    from omisync.core.model import TWIN

    return sum(stone.how != TWIN for stone in decided.buried)


def _write_guard(paper: Paper, removal: Removal, todo_path: Path, *, noted: bool) -> None:
    paper.say(
        Piece("The removal guard stops this: ", "red"),
        Piece(f"{todo_path} lost {removal.share}"),
        Piece(f"{removal.lately}; nothing would be sent."),
    )
    paper.say(
        Piece("→ If the file is wrong, bring it back and all is well. If you meant it, run "),
        Piece(_allowing(noted=noted)),
    )


def _write_departure(paper: Paper, gone: Removal, todo_path: Path, *, noted: bool) -> None:
    """Write why a two-way plan would be refused."""
    paper.say(
        Piece("The removal guard stops this: ", "red"),
        Piece(f"Omi lacks {gone.count} of {gone.remaining} open tasks of {todo_path}"),
        Piece(f"{gone.lately}; nothing would be changed."),
    )
    paper.say(Piece(f"→ If you deleted them, run {_allowing(noted=noted)}"))


def _allowing(*, noted: bool) -> str:
    """Return how to allow what the guard stops: only what a sync has refused can be."""
    return (
        f"`{ALLOW}`."
        if noted
        else f"`omisync --once`, which notes what it refuses, then `{ALLOW}`."
    )


def plan_data(
    document: Document, decided: Plan, todo_path: Path, *, links_exist: bool, asks: bool = False
) -> dict[str, object]:
    """Return the plan for programs: JSON-ready, texts whole, times in ISO 8601 UTC.

    ``key`` of a task that was never synced is drawn anew for each plan. What only
    a two-way plan can have is there where it does: ``clashes``, ``departure``, ``asks``.
    """
    todo = steps(decided)
    removal = decided.removal
    more = {
        "clashes": [clash_data(clash) for clash in decided.clashes],
        "departure": _guard_data(decided.departure) if decided.departure.drastic else None,
        "asks": {"count": decided.arrivals, "command": words.command(AGREE)} if asks else None,
    }
    return {
        "version": 1,
        "file": words.path(todo_path),
        "in_sync": not (
            decided.ops or decided.waiting or decided.parked or decided.unsure or removal.drastic
        ),
        "unsure": [link.seen.text for link, _ in decided.unsure],
        "links_exist": links_exist,
        "ops": [_step_data(step) for step in todo],
        "summary": _summary(decided, todo),
        "parked": [
            parked_data(link, entry.line if entry is not None else None)
            for link, entry in decided.parked
        ],
        "waiting": [
            {
                "key": link.key,
                "text": link.seen.text,
                "remote_id": link.remote_id,
                "absent_since": words.instant(link.absent_since),
            }
            for link in decided.waiting
        ],
        "grace_ends": words.instant(decided.grace_ends),
        "guard": _guard_data(removal) if removal.drastic else None,
        "notices": [{"line": n.line, "message": n.message} for n in document.notices],
        **{name: value for name, value in more.items() if value},
    }


def _step_data(step: Step) -> dict[str, object]:
    return {
        "op": step.verb,
        "key": step.link.key,
        "text": step.text,
        "line": step.entry.line if step.entry is not None else None,
        "why": list(step.why),
        "changes": step.changes,
        "remote_id": step.link.remote_id,
    }


def _summary(decided: Plan, todo: Sequence[Step]) -> dict[str, int]:
    tally = Counter(step.verb for step in todo)
    return {
        "tasks": decided.tasks,
        **{verb: tally[verb] for verb in SUMMARY if tally[verb] or verb not in INWARD},
        "archived": _archived(decided),
        "requests": _requests(decided),
        "notifications": decided.notifications,
    }


def _requests(decided: Plan) -> int:
    """Return how many writes the plan costs of the hourly limit."""
    return len(decided.changes) + (_create_requests(decided) if decided.creates else 0)


def parked_data(link: Link, line: int | None) -> dict[str, object]:
    """Return one parked task for programs."""
    parked = link.parked
    return {
        "key": link.key,
        "text": link.seen.text,
        "line": line,
        "remote_id": link.remote_id,
        "status": parked.status if parked is not None else 0,
        "reason": parked.reason if parked is not None else "",
        "since": words.instant(parked.since) if parked is not None else None,
        "retry_at": words.instant(parked.retry_at) if parked is not None else None,
    }


def _guard_data(removal: Removal) -> dict[str, object]:
    return {
        "count": removal.count,
        "recent": removal.recent,
        "total": removal.remaining,
        "command": words.command(ALLOW),
    }
