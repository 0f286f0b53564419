"""How things stand between two cycles: ``omisync status``."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from omisync import errors
from omisync.show import words
from omisync.show.paper import Paper, Piece
from omisync.show.plans import ALLOW, parked_data, way_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from omisync.core.model import Link, Notice
    from omisync.store.notes import LastRun, Refusal

LABEL = 10
"""Cells of the column that says what each line is about."""
AT_MOST = 5
"""Warnings, and tasks whose line is gone, that are shown; the rest is counted."""


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """Everything that ``omisync status`` tells.

    ``tasks`` is how many the last look found in the file. ``gates`` has the
    seconds that each shut bucket (``read``, ``write``) still waits.
    ``last`` and ``refused`` are the store's notes of those names, ``since`` tells in
    words what is different since, if anything is. ``is_begun`` tells that a sync has begun that
    did not come to its end yet, or never will.
    ``gone`` are the lines whose item was deleted in Omi. ``lines`` has
    the line of each parked or gone task by key, where known. ``notices`` are those of
    the file as it stands.
    ``now`` is in Unix seconds. ``running`` names the process that holds the
    store; ``is_frozen`` tells that it gives no sign of life. ``key`` is the key as it
    may be shown and where it is from, ``key_problem`` why there is none.
    """

    todo_path: Path
    store_path: Path
    base_url: str
    now: float
    last: LastRun
    tasks: int | None = None
    linked: int = 0
    absent: Sequence[Link] = ()
    parked: Sequence[Link] = ()
    gone: Sequence[Link] = ()
    intents: int = 0
    is_begun: bool = False
    gates: Mapping[str, float] = field(default_factory=dict)
    since: str = ""
    refused: Refusal | None = None
    running: str | None = None
    is_frozen: bool = False
    key: str | None = None
    key_problem: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    notices: Sequence[Notice] = ()

    @property
    def is_cut_short(self) -> bool:
        """Return whether something was begun that the last sync does not speak of."""
        return (self.intents > 0 or self.is_begun) and self.last.code in errors.WELL | {None}

    @property
    def code(self) -> int | None:
        """Return the exit code that this stands for, None before the first sync."""
        return errors.TEMPORARY if self.is_cut_short else self.last.code

    @property
    def is_well(self) -> bool:
        """Return whether all was in sync when last looked at."""
        return self.code in errors.WELL


def status(facts: StatusFacts, stream: TextIO, terminal: bool | None = None) -> None:
    """Write how things stand: a headline, then one line for each fact."""
    paper = Paper(stream, terminal)
    paper.say(Piece(_headline(facts), "green" if facts.is_well else "bold"))
    _write_places(paper, facts)
    _write_times(paper, facts)
    _write_pending(paper, facts)
    _write_guard(paper, facts)
    for link in facts.parked:
        _write_parked(paper, link, facts)
    for link in facts.gone:
        _write_named(paper, "unlinked", link, facts)
    if facts.gone:
        lines, it = ("lines were", "one") if len(facts.gone) > 1 else ("line was", "it")
        _write(paper, "", f"deleted in Omi, and the {lines} kept")
        _write(paper, "", f"→ remove {it}, or reword {it}: that creates {it} anew")
    for remark in facts.last.remarks:
        paper.say(Piece(f"{'note':<{LABEL}}", "dim"), Piece(remark), quotes=True)
    _write_notices(paper, facts.notices)


def _headline(facts: StatusFacts) -> str:
    last = facts.last
    if facts.is_cut_short:
        return f"Not in sync yet: {_begun(facts)}."
    if last.code is None:
        # What is linked was linked by a repair, or by a first sync that was cut short.
        yet = "No sync was finished yet" if facts.linked else "Nothing was synced yet"
        return f"{yet}; `omisync --dry-run` shows what would be."
    tasks = "" if facts.tasks is None else f": {words.count(facts.tasks, 'task')}"
    since = f" when last synced; {facts.since}" if facts.since else ""
    if last.code in errors.WELL:
        parked = f", {len(facts.parked)} parked" if facts.parked else ""
        return f"In sync{tasks}{parked}{since}."
    if facts.is_frozen:
        return "Not synced for now: the omisync that runs gives no sign of life."
    # A daemon that another server has not ended tries that again, too.
    if last.code == errors.TEMPORARY or (facts.running and last.code == errors.WRONG_SERVER):
        again = "it will be tried again" if facts.running else "the next sync goes on"
        return f"Not in sync yet; {again}{_when(facts, ' at') if facts.running else ''}."
    return _stopped(facts)


def _stopped(facts: StatusFacts) -> str:
    if facts.since:
        return f"Stopped when last synced; {facts.since}, and the next sync tries again."
    guarded = _guarded(facts) is not None or facts.last.guarded
    return "Stopped by the removal guard." if guarded else "Stopped: this needs you."


def _begun(facts: StatusFacts) -> str:
    """Return how it stands with what was begun."""
    if facts.running:
        return "a sync is under way"
    if facts.intents:
        return "the next sync asks Omi about what got no answer"
    return "the last sync was cut short; the next one goes on from there"


def _next_try(facts: StatusFacts) -> float | None:
    """Return when it is tried again: by the daemon that runs, or at the soonest."""
    return facts.last.next_at or facts.last.retry_at if facts.running else facts.last.retry_at


def _when(facts: StatusFacts, before: str) -> str:
    """Return the time of the next try after this word; nothing where it is due already."""
    at = _next_try(facts)
    if at is None or at <= facts.now:
        return ""
    return f"{before} {words.clock_time(at, facts.now)}"


def _write(paper: Paper, label: str, text: str, style: str = "") -> None:
    paper.say(Piece(f"{label:<{LABEL}}", "dim"), Piece(text, style))


def _write_places(paper: Paper, facts: StatusFacts) -> None:
    _write(paper, "file", words.path(facts.todo_path))
    _write(paper, "server", facts.base_url)
    if facts.key is not None:
        _write(paper, "key", facts.key)
    if facts.key_problem is not None:
        _write(paper, "key", facts.key_problem, "red")
    _write(paper, "state", words.path(facts.store_path))
    _write(paper, "running", facts.running or "no; `omisync` keeps running, `omisync --once` syncs")


def _write_times(paper: Paper, facts: StatusFacts) -> None:
    last = facts.last
    if last.success_at is not None:
        # A run that finds all as it was leaves no trace, and somebody may look for one.
        same = facts.is_well and not (facts.since or facts.absent)
        still = "; nothing has changed here since" if same else ""
        _write(paper, "success", f"{_at(last.success_at, facts.now)}{still}")
    elif last.code is not None:
        _write(paper, "success", "never")
    if last.failing_since is not None:
        _write(paper, "failing", f"since {_at(last.failing_since, facts.now)}", "red")
    for message, advice in last.troubles:
        _write(paper, "why", message)
        if advice:
            _write(paper, "", f"→ {advice}")


def _at(unix: float, now: float) -> str:
    return f"{words.stamp(unix)}, {words.ago(now - unix)}"


def _write_pending(paper: Paper, facts: StatusFacts) -> None:
    last = facts.last
    _write(paper, "linked", words.count(facts.linked, "task"))
    if last.waiting:
        again = "" if facts.running else _when(facts, ", not before")
        _write(paper, "waiting", f"{words.count(last.waiting, 'change')}{again}")
    for bucket, wait in sorted(facts.gates.items()):
        until = words.clock_time(facts.now + wait, facts.now)
        _write(paper, "limit", f"{bucket}s are rate limited until {until}", "yellow")
    if facts.intents:
        said = words.count(facts.intents, "create")
        _write(
            paper, "unsure", f"{said} without an answer yet; Omi is asked before any is repeated"
        )
    if facts.absent:
        number = len(facts.absent)
        it = "it comes" if number == 1 else "they come"
        said = f"{words.count(number, 'line')} gone from the file: removed soon, unless {it} back"
        _write(paper, "absent", said)
        for link in facts.absent[:AT_MOST]:
            _write_named(paper, "", link, facts)
        if number > AT_MOST:
            _write(paper, "", f"… and {number - AT_MOST} more; `omisync --dry-run` shows all")


def _guarded(facts: StatusFacts) -> Refusal | None:
    """Return the refusal that stopped the last run, None if none did."""
    stopped = facts.last.guarded is not False  # None is of a version that noted only refusals
    return facts.refused if facts.last.code == errors.BAD_FILE and stopped else None


def _write_guard(paper: Paper, facts: StatusFacts) -> None:
    refused = _guarded(facts)
    if refused is None or facts.last.troubles:  # which tell the same
        return
    what = f"refused to remove {refused.count} of {refused.remaining} tasks; nothing was sent"
    _write(paper, "guard", what, "red")
    _write(paper, "", f"→ Bring the file back, or allow it once: `{ALLOW}`")


def _write_parked(paper: Paper, link: Link, facts: StatusFacts) -> None:
    _write_named(paper, "parked", link, facts)
    parked = link.parked
    if parked is None:
        return
    again = ""
    if parked.retry_at is not None and parked.retry_at > facts.now:
        again = f"; tried again at {words.clock_time(parked.retry_at, facts.now)}"
    _write(paper, "", f"{parked.reason} ({words.ago(facts.now - parked.since)}{again})")
    _write(paper, "", f"→ {way_out(link)}")


def _write_notices(paper: Paper, notices: Sequence[Notice]) -> None:
    alike = words.alike(notices)
    for message, numbers in islice(alike.items(), AT_MOST):
        _write(paper, "warning", f"{words.lines(numbers)}: {message}", "yellow")
    if len(alike) > AT_MOST:
        more = words.count(len(alike) - AT_MOST, "more warning")
        _write(paper, "", f"… and {more}; `omisync --dry-run` shows all")


def _write_named(paper: Paper, label: str, link: Link, facts: StatusFacts) -> None:
    line = facts.lines.get(link.key)
    where = "" if line is None else f"  {facts.todo_path.name}:{line}"
    head = [Piece(f"{label:<{LABEL}}", "dim")]
    paper.line(head, [Piece(link.seen.text)], [Piece(where, "dim")])


def status_data(facts: StatusFacts) -> dict[str, object]:
    """Return how things stand for programs: JSON-ready, times in ISO 8601 UTC."""
    last = facts.last
    refused = _guarded(facts)
    return {
        "version": 1,
        "code": facts.code,
        "in_sync": facts.is_well and not facts.since,
        "file": words.path(facts.todo_path),
        "state": words.path(facts.store_path),
        "base_url": facts.base_url,
        "key": facts.key,
        "key_problem": facts.key_problem,
        "running": facts.running,
        "tasks": facts.tasks,
        "linked": facts.linked,
        "absent": len(facts.absent),
        "absent_tasks": [link.seen.text for link in facts.absent],
        "gone": [link.seen.text for link in facts.gone],
        "waiting": last.waiting,
        "unsure": facts.intents,
        "last_at": words.instant(last.at),
        "success_at": words.instant(last.success_at),
        "failing_since": words.instant(last.failing_since),
        "retry_at": words.instant(_next_try(facts)),
        "troubles": [
            {"message": message, "advice": words.commands(advice)}
            for message, advice in last.troubles
        ],
        "remarks": list(last.remarks),
        "gates": {
            bucket: {"wait": round(wait, 1), "until": words.instant(facts.now + wait)}
            for bucket, wait in sorted(facts.gates.items())
        },
        "parked": [parked_data(link, facts.lines.get(link.key)) for link in facts.parked],
        "notices": [{"line": n.line, "message": n.message} for n in facts.notices],
        "guard": None
        if refused is None
        else {
            "count": refused.count,
            "total": refused.remaining,
            "command": words.command(ALLOW),
        },
    }
