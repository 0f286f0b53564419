"""Intents, a row for each batch: they are written together, and go together.

A first sync of 10,000 tasks so writes, and deletes again, 200 rows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from omisync.store import coding
from omisync.store.schema import BATCHED

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable

    from omisync.core.model import Intent


def read(db: sqlite3.Connection, version: int) -> list[Intent]:
    """Return the intents in the order they were sent; ``version`` is that of the store.

    Raises:
        ValueError, TypeError: one is damaged.
    """
    if version < BATCHED:
        rows = db.execute("SELECT * FROM intents ORDER BY sent_at, batch, place")
        return [coding.intent(row) for row in rows]
    found = [one for row in db.execute("SELECT * FROM intents") for one in coding.batch(row)]
    return sorted(found, key=lambda one: (one.sent_at, one.group))


def put(db: sqlite3.Connection, intents: Iterable[Intent]) -> None:
    """Write intents, new or changed; of one key there is one, in whatever batch it was."""
    fresh = {one.key: one for one in intents}
    batches: dict[str, dict[str, Intent]] = {one.group: {} for one in fresh.values()}
    for one in fresh.values():
        batches[one.group][one.key] = one
    for row in db.execute("SELECT * FROM intents").fetchall():
        group, keys, _ = row
        if group in batches or not fresh.keys().isdisjoint(json.loads(keys)):
            own = batches.get(group, {})
            kept = (one for one in coding.batch(row) if one.key in own or one.key not in fresh)
            batches[group] = {one.key: one for one in kept} | own
    for group, held in batches.items():
        _write(db, group, held.values())


def drop(db: sqlite3.Connection, keys: Iterable[str]) -> bool:
    """Delete intents by key; return whether there was one."""
    gone = set(keys)
    found = False
    for group, text in db.execute("SELECT batch, keys FROM intents").fetchall():
        held = json.loads(text)
        if not gone.isdisjoint(held):
            found = True
            kept: list[Intent] = []
            if not gone.issuperset(held):
                row = db.execute("SELECT * FROM intents WHERE batch = ?", (group,)).fetchone()
                kept = [one for one in coding.batch(row) if one.key not in gone]
            _write(db, group, kept)
    return found


def _write(db: sqlite3.Connection, group: str, intents: Collection[Intent]) -> None:
    """Let a batch be these intents; without any it goes."""
    if intents:
        row = coding.batch_row(group, intents)
        db.execute("INSERT OR REPLACE INTO intents VALUES (?, ?, ?)", row)
    else:
        db.execute("DELETE FROM intents WHERE batch = ?", (group,))
