"""What of a plan the file can be made to say, found out before anything is written.

Rule: what a line cannot say of its item stays in Omi alone, field by field, and is
told. It never keeps back what the person did.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from omisync.core import plan
from omisync.core.model import PARTS, Addition, Change, Notice, Rewriting
from omisync.core.plan import AddLocal, ChangeLocal, ChangeRemote, LocalOp, RemoveLocal
from omisync.sync import formats
from omisync.sync.desk import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from omisync.config import Config
    from omisync.core.model import Document, Entry, Task
    from omisync.core.plan import Observation, Plan, Policy

WORDS = {"due_at": "date", "description": "text", "completed": "box"}
"""What a person calls them."""


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
    was left out; line 0 is no line. ``unsaid`` are the fields that were, by key.
    """

    plan: Plan
    wishes: Wishes
    rewriting: Rewriting
    notices: tuple[Notice, ...] = ()
    unsaid: Mapping[str, frozenset[str]] = {}


def fit(
    config: Config, document: Document, seen: Observation, decided: Plan, rules: Policy
) -> Fitted:
    """Return a plan that was decided of what was seen, as far as the file can follow it."""
    unsaid: dict[str, frozenset[str]] = {}
    told: dict[str, Entry] = {}
    while True:
        wishes = Wishes.of(decided.local)
        if not (decided.local or told or decided.unheard):
            return Fitted(decided, wishes, Rewriting(document, (), ()))
        changes = [change for _, change in wishes.changing]
        additions = [addition for _, addition in wishes.adding]
        rewriting = formats.rewritten(config, document, changes, additions)
        refused = {id(wish) for wish in rewriting.refused}
        left = [op for op, wish in (*wishes.changing, *wishes.adding) if id(wish) in refused]
        changed = (op for op in left if isinstance(op, ChangeLocal))
        less = [op for op in changed if not _edited(op) <= unsaid.get(op.link.key, frozenset())]
        # What would do by itself and does not with the others is left out whole.
        fewest = _fewest(config, document, [op for op in less if op.link.key not in unsaid])
        for op in less:
            key = op.link.key
            unsaid[key] = fewest.get(key, unsaid.get(key, frozenset()) | _edited(op))
            told[key] = op.entry
        if less:
            decided = plan.make(replace(seen, unsaid=unsaid), rules, keys())
            continue
        found = (*_kept(decided, unsaid, told), *map(_left, left))
        without = decided.without({op.link.key for op in left})
        notices = tuple(sorted(found, key=lambda one: one.line))
        return Fitted(without, wishes, rewriting, notices, unsaid)


def unwritten(fitted: Fitted, seen: Observation, rules: Policy) -> Plan:
    """Return what is left of a plan whose file cannot be written for now: what the person did.

    A line that was to take the app's value for one of the person's waits as it is.
    """
    unsaid = dict(fitted.unsaid)
    for op in fitted.plan.local:
        if isinstance(op, ChangeLocal):
            unsaid[op.link.key] = unsaid.get(op.link.key, frozenset()) | _edited(op)
    decided = plan.make(replace(seen, unsaid=unsaid), rules, keys())
    waiting = {clash.key for clash in fitted.plan.clashes if clash.lost == "local"}
    return replace(
        decided,
        ops=tuple(
            op for op in decided.ops if not isinstance(op, LocalOp) and op.link.key not in waiting
        ),
        clashes=tuple(clash for clash in decided.clashes if clash.key not in waiting),
    )


def _edited(op: ChangeLocal) -> frozenset[str]:
    """Return the fields in which a line is to change."""
    before, after = op.entry.task, op.task
    return frozenset(
        name for name, part in PARTS.items() if getattr(before, part) != getattr(after, part)
    )


def _fewest(
    config: Config, document: Document, ops: Sequence[ChangeLocal]
) -> dict[str, frozenset[str]]:
    """Return the fewest fields without which each of these lines can be written, by key.

    One of which nothing can be written has none. All lines are tried at once.
    """
    found: dict[str, frozenset[str]] = {}
    for count in range(1, len(PARTS)):
        for names in map(frozenset, combinations(PARTS, count)):
            left = [op for op in ops if op.link.key not in found and names < _edited(op)]
            changes = [Change(op.entry, _less(op, names), op.explicit_id) for op in left]
            refused = formats.rewritten(config, document, changes).refused if changes else ()
            bad = {id(change) for change in refused}
            pairs = zip(left, changes, strict=True)
            found |= {op.link.key: names for op, change in pairs if id(change) not in bad}
    return found


def _less(op: ChangeLocal, names: frozenset[str]) -> Task:
    """Return the task that a line is to say, but for these fields, which stay."""
    before = {PARTS[name]: getattr(op.entry.task, PARTS[name]) for name in names}
    return replace(op.task, **before)


def _kept(
    decided: Plan, unsaid: Mapping[str, frozenset[str]], told: Mapping[str, Entry]
) -> Iterator[Notice]:
    """Yield what is to be said of fields that stay as they are on both sides."""
    settled = {(clash.key, clash.field) for clash in decided.clashes}
    for op in decided.ops:
        if isinstance(op, ChangeRemote):
            settled |= {(op.link.key, name) for name in op.patch.names}
    for key, entry in told.items():
        names = [name for name in PARTS if name in unsaid[key] and (key, name) not in settled]
        if names:
            yield _own(entry, names)
    for entry in decided.unheard:
        yield _own(entry, ["description"])


def _own(entry: Entry, names: Sequence[str]) -> Notice:
    what = " and the ".join(WORDS[name] for name in names)
    return Notice(
        entry.line,
        f"what Omi says of the {what} of {entry.task.quoted} cannot be written into this"
        " line; there each side keeps its own",
    )


def _left(op: LocalOp) -> Notice:
    """Return what is to be said of an op that the file cannot follow at all."""
    match op:
        case AddLocal(link):
            return Notice(
                0, f"no line could be added for {link.seen.quoted}; it stays in Omi alone"
            )
        case RemoveLocal(link, entry):
            said = f"{link.seen.quoted} was deleted in Omi, and its line cannot go without harm"
            return Notice(entry.line, f"{said} to others; it stays")
        case ChangeLocal(_, entry, _, _, why):
            said = f"{entry.task.quoted} cannot be written anew here ({why})"
            return Notice(entry.line, f"{said}; the line stays as it is")
