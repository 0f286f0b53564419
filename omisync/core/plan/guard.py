"""The removal guard: a file that is broken or foreign never empties a list.

Rule: what would remove too much is flagged on the plan, with its numbers; who
runs the plan refuses it whole. It holds in both directions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.core.model import EXISTENCE, GONE
from omisync.core.plan.steps import AddRemote, Adopt, Removal, Revive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omisync.core.model import Link
    from omisync.core.plan.steps import Observation, Op, Policy

SMALL_REMOVAL = 5
"""Up to this many removals are never drastic by share."""
SMALL_LIST = 3
"""From this many tasks on, removing all of them is drastic."""
ROLLING = 3600.0
"""Seconds over which removals add up, so that a list cannot be emptied in slices."""


def removal(
    removed: Sequence[Link], ops: Sequence[Op], seen: Observation, policy: Policy
) -> Removal:
    """Count what the removals would change on the server, and judge it.

    Absent lines count from the first look, before their grace ends: a truncated
    file also looks like edits, and those must not be sent meanwhile. What ``ops`` of the
    same plan bring back is lost no more; a deleted item is made anew.
    """
    count = sum(_counts(link, policy) for link in removed)
    if not count:
        return Removal()
    back = {op.link.key for op in ops if isinstance(op, Revive | Adopt)}
    added = {op.entry.task.text for op in ops if isinstance(op, AddRemote)}
    anew = added if policy.on_removal == "delete" else set()
    recent = [
        stone
        for stone in seen.tombstones
        if stone.counted
        and stone.how == policy.on_removal
        and abs(seen.now - stone.removed_at) < ROLLING  # whatever the clock was set to since
    ]
    lost = [one for one in recent if one.key not in back and one.task.text not in anew]
    gone = {link.key for link in removed}  # of which more is known than of the links as they were
    stays = sum(_counts(link, policy) for link in seen.links if link.key not in gone)
    total = len(lost) + count + stays
    stays += len(recent) - len(lost)
    made_at = min(link.made_at or 0.0 for link in removed if _counts(link, policy))
    beside = sum(stone.removed_at > made_at for stone in lost)
    finished = policy.on_removal == "delete"
    fills = any(finished or not entry.task.completed for entry in seen.entries)
    drastic = (
        seen.blank
        or _is_much(count + len(lost), stays, policy)
        # One task after the other, made in the place of the last, is no list that goes in slices.
        or (total >= SMALL_LIST and not stays and (count + beside >= SMALL_LIST or not fills))
    )
    return Removal(count, len(lost), total, drastic, finished)


def _is_much(gone: int, stays: int, policy: Policy) -> bool:
    return gone > SMALL_REMOVAL and gone > policy.max_removals * (gone + stays)


def _counts(link: Link, policy: Policy) -> bool:
    """Return whether removing this link would change the server."""
    return link.remote_id is not None and link.parked is None and not is_silent(link, policy)


def is_silent(link: Link, policy: Policy) -> bool:
    """Return whether the server need not hear that this line is gone."""
    return policy.on_removal == "keep" or (
        policy.on_removal == "complete"
        and link.base is not None
        and link.base.remote.completed
        and link.doubt.isdisjoint({"completed", EXISTENCE})
    )


def departure(departing: Sequence[Link], seen: Observation, policy: Policy) -> Removal:
    """Count the open lines to remove or tick because their items are gone, and judge it."""
    count = sum(_stands(link) for link in departing)
    if policy.on_remote_removal == "keep" or not count:
        return Removal()
    recent = sum(
        stone.counted and stone.how == GONE and abs(seen.now - stone.removed_at) < ROLLING
        for stone in seen.tombstones
    )
    gone, stays = count + recent, sum(_stands(link) for link in seen.links) - count
    drastic = _is_much(gone, stays, policy) or (gone >= SMALL_LIST and not stays)
    return Removal(count, recent, gone + stays, drastic)


def _stands(link: Link) -> bool:
    """Return whether this is an open line that has, or had, an item."""
    return link.base is not None and not link.base.local.completed
