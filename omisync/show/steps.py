"""Each op of a plan in words: what is done, to which task, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from omisync.show import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from omisync.core.model import Entry, Fields, Link, Patch, Task
    from omisync.core.plan import Op, Plan


@dataclass(frozen=True, slots=True)
class Step:
    """One op in words. ``changes`` has values before and after, JSON-ready.

    Those of Omi have Omi's names; those of a line are ``text``, ``completed`` and ``due``.

    ``former`` is the line's former text if it was reworded, ``said`` what the
    line will say; ``entry`` is None where there is no line, or not yet.
    """

    verb: str
    link: Link
    entry: Entry | None
    why: tuple[str, ...]
    changes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    former: str | None = None
    said: str | None = None

    @property
    def text(self) -> str:
        """The task as the file has it, last had it, or will have it."""
        if self.said is not None:
            return self.said
        return self.link.seen.text if self.entry is None else self.entry.task.text


def steps(plan: Plan) -> list[Step]:
    """Return the plan's ops in words, in the order of the file; removals where they stood.

    Lines that are yet to be written come last: they have no place so far.
    """
    from omisync.core.plan import AddLocal

    ordered = sorted(plan.ops, key=lambda op: (isinstance(op, AddLocal), op.link.rank))
    return [_step(op) for op in ordered]


def _step(op: Op) -> Step:
    from omisync.core import plan as ops

    match op:
        case ops.AddRemote(link, entry, fields):
            changes = _changed(
                description=(None, fields.description),
                completed=(None, fields.completed),
                due_at=(None, _moment(fields.due_at)),
            )
            return Step("create", link, entry, tuple(_why_create(link, entry, fields)), changes)
        case ops.Adopt(link, entry, _):
            return Step("link", link, entry, ("Omi has it already",))
        case ops.ChangeRemote(link, entry, patch):
            why = tuple(_why_change(link, entry, patch))
            return Step("change", link, entry, why, _patched(link, patch), _former(link, patch))
        case ops.Revive(link, entry, stone, patch):
            news = patch.beyond(stone.remote)
            why = ("the line came back", *_why_change(link, entry, news))
            return Step("revive", link, entry, why, _patched(link, news), _former(link, news))
        case ops.RemoveRemote(link, how):
            changes = _changed(completed=(False, True)) if how == "complete" else {}
            return Step(how, link, None, ("line removed",), changes)
        case _:
            return _inward(op)


def _inward(op: Op) -> Step:
    """Return an op of the other direction in words: what the file will say, and why."""
    from omisync.core import plan as ops

    match op:
        case ops.AddLocal(link, item, _, is_back):
            reason = "removed, but edited in Omi" if is_back else "new in Omi"
            why = (reason, *(["ticked"] if item.fields.completed else []))
            if link.seen.due is not None:
                why = (*why, f"due {words.due(link.seen.due)}")
            return Step("write", link, None, why, _said(None, link.seen))
        case ops.ChangeLocal(link, entry, task, _, why):
            words_of = tuple(_why_line(entry.task, task))
            former = entry.task.text if entry.task.text != task.text else None
            changes = _said(entry.task, task)
            return Step("edit", link, entry, (why, *words_of), changes, former, task.text)
        case ops.RemoveLocal(link, entry):
            return Step("take out", link, entry, ("deleted in Omi",))
        case ops.Probe(link, entry):
            return Step("ask", link, entry, ("no longer in Omi's list",))
        case ops.DropTwin(link, _):
            return Step("delete", link, None, ("made twice by two machines",))
    raise TypeError(op)


def _why_line(before: Task, after: Task) -> Iterator[str]:
    """Yield what a line will say differently, but for its words."""
    if before.completed != after.completed:
        yield "ticked" if after.completed else "reopened"
    if before.due != after.due:
        former = words.due(before.due) if before.due is not None else "none"
        yield f"due {former} → {words.due(after.due) if after.due is not None else 'none'}"


def _why_create(link: Link, entry: Entry, fields: Fields) -> Iterator[str]:
    yield "new" if link.base is None else "edited, but deleted in Omi"
    if entry.task.completed:
        yield "ticked"
    if entry.task.due is not None:
        kept = "" if fields.due_at is not None else ", sent when it is opened again"
        yield f"due {words.due(entry.task.due)}{kept}"
    if link.failures:
        yield f"failed {words.count(link.failures, 'time')} so far"


def _why_change(link: Link, entry: Entry, patch: Patch) -> Iterator[str]:
    if patch.description is not None:
        yield "reworded"
    if patch.completed is not None:
        yield "ticked" if patch.completed else "reopened"
    before = link.base.local.due if link.base is not None else None
    after = entry.task.due
    if patch.clear_due:
        yield "due date removed" if before is None else f"due {words.due(before)} removed"
    elif patch.due_at is not None and after is not None:
        former = f"{words.due(before)} → " if before not in {None, after} else ""
        yield f"due {former}{words.due(after)}"


def _former(link: Link, patch: Patch) -> str | None:
    if patch.description is None or link.base is None:
        return None
    return link.base.local.text or None  # none of a link by id to other words


def _patched(link: Link, patch: Patch) -> dict[str, dict[str, object]]:
    remote = link.base.remote if link.base is not None else None
    pairs: dict[str, tuple[object, object]] = {}
    if patch.description is not None:
        before = remote.description if remote else ""
        pairs["description"] = (before or None, patch.description)
    if patch.completed is not None:
        pairs["completed"] = (remote.completed if remote else None, patch.completed)
    if patch.due_at is not None or patch.clear_due:
        pairs["due_at"] = (_moment(remote.due_at if remote else None), _moment(patch.due_at))
    return _changed(**pairs)


def _changed(**pairs: tuple[object, object]) -> dict[str, dict[str, object]]:
    return {
        name: {"before": before, "after": after}
        for name, (before, after) in pairs.items()
        if before != after
    }


def _said(before: Task | None, after: Task) -> dict[str, dict[str, object]]:
    """Return what a line said, and what it will say."""
    return _changed(
        text=(before.text if before else None, after.text),
        completed=(before.completed if before else None, after.completed),
        due=(before.due if before else None, after.due),
    )


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
