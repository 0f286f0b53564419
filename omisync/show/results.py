"""The outcome of a cycle, and what went wrong."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from omisync import errors
from omisync.show import words
from omisync.show.paper import Paper, Piece
from omisync.show.plans import parked_data, write_notices, write_parked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from omisync.core.model import Link
    from omisync.errors import OmisyncError
    from omisync.sync import Outcome

DONE = {
    "task.created": "created",
    "task.adopted": "linked",
    "task.changed": "changed",
    "task.revived": "brought back",
    "task.removed": "removed",
    "task.gone": "gone from Omi",
    "task.forgotten": "forgotten",
    "line.added": "written into the file",
    "line.changed": "edited in the file",
    "line.removed": "taken out of the file",
    "twin.removed": "made twice and deleted once",
    "clash.decided": "changed on both sides (`omisync log --clashes`)",
}
"""What was settled, in the words and the order of the last line; parked tasks are told apart."""

AT_MOST = 20
"""Parked tasks and warnings shown of each; the rest is counted."""
CHECK = 13
"""Cells of the column that names each check of ``omisync doctor``."""
FEW = 3
"""Tasks without an answer that are shown: it is seldom their fault, and a batch has many."""


def outcome(  # noqa: PLR0913 - two streams, and what decides how much goes to each
    result: Outcome,
    todo_path: Path,
    *,
    verbose: int,
    stream: TextIO,
    err: TextIO,
    terminal: bool | None = None,
) -> None:
    """Write how a run ended: one line to ``stream``, what needs a person to ``err``.

    ``verbose`` below 0 says no more than what needs a person about a run that ended well,
    above 0 shows long lists whole.
    """
    quiet = verbose < 0
    if not quiet or result.code != errors.OK or result.counts.get("clash.decided"):
        Paper(stream, terminal).say(Piece(headline(result)))
    paper = Paper(err, terminal)
    for trouble in result.troubles:
        if not isinstance(trouble, errors.RateLimited):  # the headline says all of it
            _write_error(paper, trouble)
    _write_failed(paper, result, todo_path)
    _write_parked(paper, result, todo_path, whole=verbose > 0)
    if not quiet:
        _write_held(paper, result)
    for remark in result.remarks:
        paper.say(Piece(remark), quotes=True)
    if verbose > 0:
        for one in result.notices:
            write_notices(paper, words.alike([one]), todo_path)
        return
    alike = words.alike(result.notices)
    write_notices(paper, dict(islice(alike.items(), AT_MOST)), todo_path)
    _write_more(paper, max(0, len(alike) - AT_MOST), "warning", "`omisync --dry-run`")


def headline(result: Outcome, now: float | None = None) -> str:
    """Return an outcome in one line, such as ``In sync: 42 tasks. 3 created.``.

    ``now`` (Unix seconds) tells what today is, as for ``clock_time``.
    """
    done = _done(result.counts)
    return f"{_standing(result, now)}. {done}." if done else f"{_standing(result, now)}."


def _standing(result: Outcome, now: float | None) -> str:
    if result.code == errors.OK:
        return (
            "In sync" if result.tasks is None else f"In sync: {words.count(result.tasks, 'task')}"
        )
    if result.code == errors.PARKED:
        return _parked(result)
    if result.code == errors.TEMPORARY:
        return _unfinished(result, now)
    return _stopped(result)


def _stopped(result: Outcome) -> str:
    if any(isinstance(trouble, errors.GuardStopped) for trouble in result.troubles):
        return "Stopped by the removal guard"
    floods = [t.items for t in result.troubles if isinstance(t, errors.ImportStopped)]
    if floods:
        return f"Stopped: {words.count(floods[0], 'task')} would be written into the file"
    return f"Stopped: {_wait(result.waiting)}" if result.waiting else "Stopped"


def _parked(result: Outcome) -> str:
    number = len(result.parked or result.still_parked)
    # Among them may be those of lines that are gone: they are not a part of the tasks.
    tasks = "" if result.tasks is None else f"{words.count(result.tasks, 'task')}, "
    return f"{tasks}{number} parked; `omisync status` tells why"


def _wait(waiting: int) -> str:
    return f"{words.count(waiting, 'change')} {'waits' if waiting == 1 else 'wait'}"


def _unfinished(result: Outcome, now: float | None) -> str:
    why = _why(result, now)
    said = f"Not finished: {_wait(result.waiting)}" if result.waiting else "Not finished"
    return f"{said} ({why})" if why else said


def _why(result: Outcome, now: float | None) -> str:
    """Return the reason that ends last, with its end if that is known."""
    until = words.clock_time(result.retry_at, now) if result.retry_at is not None else ""
    others = [t for t in result.troubles if not isinstance(t, errors.RateLimited)]
    if len(others) < len(result.troubles):
        return f"rate limited until {until}" if until else "rate limited"
    if any(type(trouble) is errors.Unreachable for trouble in others):
        return "Omi cannot be reached"
    if any(isinstance(trouble, errors.Intercepted) for trouble in others):
        return "something before Omi refuses it"
    return f"to be tried again at {until}" if until else ""


def _done(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[name]} {said}" for name, said in DONE.items() if counts.get(name))


def _write_parked(paper: Paper, result: Outcome, todo_path: Path, *, whole: bool) -> None:
    lines = _lines(result)
    shown: Sequence[Link] = result.parked if whole else result.parked[:AT_MOST]
    for link in shown:
        line = lines.get(link.key)
        write_parked(paper, link, f"{todo_path}:{line}" if line is not None else "")
    _write_more(paper, len(result.parked) - len(shown), "parked task", "`omisync status`")


def _write_failed(paper: Paper, result: Outcome, todo_path: Path) -> None:
    """Name the tasks that got no usable answer; with the next sync they get another try."""
    lines = _lines(result)
    for link in result.failed[:FEW]:
        line = lines.get(link.key)
        where = f"  {todo_path}:{line}" if line is not None else ""
        paper.line([Piece("  ")], [Piece(link.seen.text)], [Piece(where, "dim")])
    _write_more(paper, len(result.failed) - FEW, "such task", "`omisync --dry-run`")


def _write_held(paper: Paper, result: Outcome) -> None:
    """Name the removed lines that may come back, and until when."""
    held = result.plan.waiting if result.plan is not None else ()
    if not held or result.plan is None or result.plan.grace_ends is None:
        return
    texts = [link.seen.quoted for link in held[:FEW]]
    more = f" and {len(held) - FEW} more" if len(held) > FEW else ""
    wait, it = ("waits", "it") if len(held) == 1 else ("wait", "they")
    until = words.clock_time(result.plan.grace_ends)
    said = f"{words.count(len(held), 'removed line')} {wait} until {until}, should {it} come back: "
    paper.say(Piece(f"{said}{', '.join(texts)}{more}"), quotes=True)


def _write_more(paper: Paper, number: int, noun: str, command: str) -> None:
    if number > 0:
        said = f"… and {words.count(number, f'more {noun}')}; {command} shows all"
        paper.say(Piece(said))


def _lines(result: Outcome) -> dict[str, int]:
    """Return the lines of the tasks that the plan names, by key."""
    if result.plan is None:
        return {}
    named = [(link.key, entry) for link, entry in (*result.plan.parked, *result.plan.unsure)]
    planned = [(op.link.key, getattr(op, "entry", None)) for op in result.plan.ops]
    return {key: entry.line for key, entry in (*named, *planned) if entry is not None}


def outcome_data(result: Outcome) -> dict[str, object]:
    """Return how a run ended, for programs: JSON-ready, times in ISO 8601 UTC.

    ``parked`` is a count.
    """
    lines, parked = _lines(result), result.parked or result.still_parked
    return {
        "version": 1,
        "code": result.code,
        "in_sync": result.code in errors.WELL,
        "tasks": result.tasks,
        "parked": len(parked),
        "waiting": result.waiting,
        "done": {name.removeprefix("task."): n for name, n in sorted(result.counts.items()) if n},
        "retry_at": words.instant(result.retry_at),
        "look_at": words.instant(result.look_at),
        "troubles": [error_data(trouble) for trouble in result.troubles],
        "parked_tasks": [parked_data(link, lines.get(link.key)) for link in parked],
        "absent_tasks": [link.seen.text for link in result.plan.waiting] if result.plan else [],
        "failed_tasks": [
            {"key": link.key, "text": link.seen.text, "line": lines.get(link.key)}
            for link in result.failed
        ],
        "remarks": list(result.remarks),
        "notices": [{"line": n.line, "message": n.message} for n in result.notices],
    }


def error_data(error: OmisyncError) -> dict[str, object]:
    """Return an error for programs; ``kind`` is the name of its class."""
    return {
        "kind": type(error).__name__,
        "code": error.exit_code,
        "message": error.message,
        "advice": words.commands(error.advice),
    }


def error(problem: OmisyncError, stream: TextIO) -> None:
    """Write what happened, then the next step on its own line; plain on any stream."""
    _write_error(Paper(stream, terminal=False), problem)


def _write_error(paper: Paper, problem: OmisyncError) -> None:
    for line in problem.message.split("\n"):  # a config can have several problems
        paper.say(Piece(line))
    if problem.advice:
        paper.say(Piece(f"→ {problem.advice}"))


def check(  # noqa: PLR0913 - what was looked at, and where to
    name: str, what: str, advice: str, stream: TextIO, *, well: bool, terminal: bool | None = None
) -> None:
    """Write a check: its name, whether it is well, what was seen; then the next step."""
    paper = Paper(stream, terminal)
    sign = Piece("✓ ", "green") if well else Piece("✗ ", "red")
    paper.say(sign, Piece(f"{name:<{CHECK}}", "bold"), Piece(what))
    if advice:
        paper.say(Piece(f"  {'':{CHECK}}→ {advice}"))
    stream.flush()
