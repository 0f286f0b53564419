"""How the nouns of core stand in rows of the store, and back.

What cannot be read raises ``ValueError`` or ``TypeError``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from omisync.core.model import Base, Clash, Fields, Gate, Intent, Link, Parked, Task, Tombstone
from omisync.store import kinds

if TYPE_CHECKING:
    from collections.abc import Collection

CERTAIN: frozenset[str] = frozenset()
_JSON = json.JSONEncoder(ensure_ascii=False, check_circular=False)
"""Made once: ``json.dumps`` makes one for each text."""

Row = tuple[Any, ...]
"""A row as SQLite gives it; the schema says what is in it."""


def _time_text(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()


def _time(text: str | None) -> datetime | None:
    """Return the time that a column holds, None where it is empty."""
    return None if text is None else datetime.fromisoformat(text)


def link_row(link: Link) -> tuple[object, ...]:
    """Return the row of a link."""
    base, seen, parked = link.base, link.seen, link.parked
    agreed: tuple[object, ...] = (None,) * 6
    if base is not None:
        local, remote = base.local, base.remote
        agreed = (
            local.text,
            local.completed,
            local.due,
            remote.description,
            remote.completed,
            _time_text(remote.due_at),
        )
    return (
        link.key,
        link.remote_id,
        seen.text,
        seen.completed,
        seen.due,
        link.section,
        link.rank,
        *agreed,
        link.absent_since,
        link.clear_due,
        link.failures,
        None if parked is None else _parked_text(parked),
        " ".join(sorted(link.doubt)),
        link.missing,
        link.probed_at,
        link.made_at,
    )


def link(row: Row) -> Link:
    """Return the link of a row, of any version; raises as all that reads rows here does."""
    row = kinds.checked(row, kinds.LINK)
    (key, remote_id, text, completed, due, section, rank, *agreed) = row
    (b_text, b_completed, b_due, description, r_completed, due_at, *rest) = agreed
    (absent_since, clear_due, failures, parked, doubt, *presence) = rest
    seen = Task(text, bool(completed), due)
    base = None
    if b_text is not None:
        if None in {b_completed, description, r_completed}:
            raise ValueError("half of a base")
        remote = Fields(description, bool(r_completed), _time(due_at))
        base = Base(Task(b_text, bool(b_completed), b_due), remote)
    return Link(
        key,
        remote_id,
        seen,
        section,
        rank,
        base,
        absent_since,
        bool(clear_due),
        failures,
        None if parked is None else _parked(parked),
        frozenset(doubt.split()) if doubt else CERTAIN,
        *presence,  # missing in version 1, which has no such columns
    )


def _parked_text(parked: Parked) -> str:
    task = parked.task
    return json.dumps(
        [
            parked.status,
            parked.reason,
            parked.since,
            None if task is None else [task.text, task.completed, task.due],
            parked.retry_at,
        ],
        ensure_ascii=False,
    )


def _parked(text: str) -> Parked:
    status, reason, since, task, retry_at = kinds.checked(tuple(json.loads(text)), kinds.PARKED)
    return Parked(status, reason, since, None if task is None else Task(*task), retry_at)


def batch_row(group: str, intents: Collection[Intent]) -> tuple[str, str, str]:
    """Return the row of a batch: its name, the keys of its intents, the intents."""
    content = [
        (
            one.key,
            one.fields.description,
            one.fields.completed,
            _time_text(one.fields.due_at),
            one.task.text,
            one.task.completed,
            one.task.due,
            one.known_ids,
            one.server_date,
            one.sent_at,
            one.failure,
            one.failed_at,
            one.looks,
            one.section,
            one.rank,
        )
        for one in intents
    ]
    keys = [one.key for one in intents]
    return group, _JSON.encode(keys), _JSON.encode(content)


def batch(row: Row) -> list[Intent]:
    """Return the intents of a row."""
    group, keys, content = row
    intents = [_intent((group, *values)) for values in json.loads(content)]
    if [one.key for one in intents] != json.loads(keys):
        raise ValueError("the keys of a batch are not those of its intents")
    return intents


def intent(row: Row) -> Intent:
    """Return the intent of a row, of the versions that have a row for each."""
    key, group, _, *fields_and_task, known = row[:10]
    return _intent((group, key, *fields_and_task, json.loads(known), *row[10:]))


def _intent(row: Row) -> Intent:
    row = kinds.checked(row, kinds.INTENT)
    (group, key, description, r_completed, due_at, text, completed, due, known, *rest) = row
    return Intent(
        key,
        group,
        Fields(description, bool(r_completed), _time(due_at)),
        Task(text, bool(completed), due),
        tuple(known),
        *rest,
    )


def tombstone_row(stone: Tombstone) -> tuple[object, ...]:
    """Return the row of a tombstone."""
    return (
        stone.key,
        stone.remote_id,
        stone.task.text,
        stone.task.completed,
        stone.task.due,
        stone.remote.description,
        stone.remote.completed,
        _time_text(stone.remote.due_at),
        stone.how,
        stone.removed_at,
        stone.counted,
        stone.words,
    )


def tombstone(row: Row) -> Tombstone:
    """Return the tombstone of a row."""
    row = kinds.checked(row, kinds.TOMBSTONE)
    (key, remote_id, text, completed, due, description, r_completed, due_at, *rest) = row
    how, removed_at, counted, *words = rest
    return Tombstone(
        key,
        remote_id,
        Task(text, bool(completed), due),
        Fields(description, bool(r_completed), _time(due_at)),
        how,
        removed_at,
        bool(counted),
        *words,
    )


def gate(row: Row) -> Gate:
    """Return the gate of a row."""
    return Gate(*kinds.checked(row, kinds.GATE))


def clash(row: Row) -> tuple[int, float, Clash, float | None]:
    """Return number, time, clash and time of restoring of a row."""
    number, at, restored_at, *values = kinds.checked(row, kinds.CLASH)
    return number, at, Clash(*values), restored_at
