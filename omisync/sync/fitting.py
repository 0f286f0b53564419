"""What of a plan the file can be made to say, found out before anything is written.

Rule: what a line cannot say of its item stays in Omi alone, field by field, and is
told. It never keeps back what the person did.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from omisync.core import plan
from omisync.core.model import Addition, Change, Notice, Rewriting
from omisync.core.plan import AddLocal, ChangeLocal, RemoveLocal
from omisync.sync import formats
from omisync.sync.desk import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from omisync.config import Config
    from omisync.core.model import Document
    from omisync.core.plan import LocalOp, Observation, Plan, Policy

WORDS = {"due_at": "date", "description": "text", "completed": "box"}
"""What the fields of a task are called, those first that are first given up."""


class Wishes(NamedTuple):
    """Local ops beside what they ask of the file, in the same order."""

    changing: list[tuple[LocalOp, Change]]
    adding: list[tuple[AddLocal, Addition]]

    @classmethod
    def of(cls, ops: Sequence[LocalOp]) -> Wishes:
        """Return what these ops ask."""
        wishes = cls([], [])
        for op in ops:
            match op:
                case AddLocal(link, _, explicit_id):
                    wishes.adding.append((op, Addition(link.seen, explicit_id)))
                case ChangeLocal(_, entry, task, explicit_id, _):
                    wishes.changing.append((op, Change(entry, task, explicit_id)))
                case RemoveLocal(_, entry):
                    wishes.changing.append((op, Change(entry, None)))
        return wishes


class Fitted(NamedTuple):
    """A plan that the file can follow, and the file that does.

    ``wishes`` are those of the whole plan, as ``rewriting`` has them. ``notices`` tell what
    was left out; line 0 is no line.
    """

    plan: Plan
    wishes: Wishes
    rewriting: Rewriting
    notices: tuple[Notice, ...] = ()


def fit(
    config: Config, document: Document, seen: Observation, decided: Plan, rules: Policy
) -> Fitted:
    """Return a plan that was decided of what was seen, as far as the file can follow it."""
    unsaid: dict[str, frozenset[str]] = {}
    told: dict[str, ChangeLocal] = {}
    while True:
        wishes = Wishes.of(decided.local)
        if not decided.local and not told:
            return Fitted(decided, wishes, Rewriting(document, (), ()))
        changes = [change for _, change in wishes.changing]
        rewriting = formats.rewritten(
            config, document, changes, [addition for _, addition in wishes.adding]
        )
        refused = {id(wish) for wish in rewriting.refused}
        left = [op for op, wish in (*wishes.changing, *wishes.adding) if id(wish) in refused]
        less = {op.link.key: op for op in left if isinstance(op, ChangeLocal) and _more(op, unsaid)}
        for key, op in less.items():
            unsaid[key] = unsaid.get(key, frozenset()) | _more(op, unsaid)
            told.setdefault(key, op)
        if less:
            decided = plan.make(replace(seen, unsaid=unsaid), rules, keys())
            continue
        kept = (_kept(op, unsaid[key]) for key, op in told.items())
        notices = sorted((*kept, *map(_left, left)), key=lambda notice: notice.line)
        without = decided.without({op.link.key for op in left})
        return Fitted(without, wishes, rewriting, tuple(notices))


def _more(op: ChangeLocal, unsaid: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the next field of a refused change to be left in Omi; none where all are."""
    known = unsaid.get(op.link.key, frozenset())
    return frozenset([name for name in _edited(op) if name not in known][:1])


def _edited(op: ChangeLocal) -> Iterator[str]:
    before, after = op.entry.task, op.task
    edited = {
        "due_at": before.due != after.due,
        "description": before.text != after.text,
        "completed": before.completed != after.completed,
    }
    return (name for name in WORDS if edited[name])


def _kept(op: ChangeLocal, names: frozenset[str]) -> Notice:
    what = " and the ".join(word for name, word in WORDS.items() if name in names)
    return Notice(
        op.entry.line,
        f"what Omi says of the {what} of {op.entry.task.text!r} cannot be written into this line;"
        " there each side keeps its own",
    )


def _left(op: LocalOp) -> Notice:
    """Return what is to be said of an op that the file cannot follow at all."""
    match op:
        case AddLocal(link):
            return Notice(0, f"no line can say {link.seen.text!r}; it stays in Omi alone")
        case RemoveLocal(link, entry):
            said = f"{link.seen.text!r} was deleted in Omi, and its line cannot go without harm"
            return Notice(entry.line, f"{said} to others; it stays")
        case ChangeLocal(_, entry, _, _, why):
            said = f"{entry.task.text!r} cannot be written anew here ({why})"
            return Notice(entry.line, f"{said}; the line stays as it is")
