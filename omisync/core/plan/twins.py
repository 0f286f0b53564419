"""Twins: two items that two machines made of one line, as neither saw the other's create.

Rule: both decide alike, without a word to each other: the item that was created first
stays, and who made the other one takes it back.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from omisync.core.model import TWIN, Base, Link, Tombstone
from omisync.core.plan.steps import DropTwin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omisync.core.model import Fields, RemoteItem
    from omisync.core.plan.steps import Draft

TWIN_SECONDS = 120.0
"""Between the creations of two items that two machines made of one line: as long as a
read before a create and the create can be apart."""
TWIN_PATIENCE = 86400.0
"""Seconds after its creation for the machine whose item came later to take it back; it may
be asleep. After that an item is what its account makes of it."""


class Twins:
    """The links whose item may have a twin among those without a link."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.given: set[str] = set()
        self.rows: list[Link] = []

    def takes(self, item: RemoteItem) -> bool:
        """Return whether this item is the twin of a linked one, after planning what follows."""
        made = self.made.get(item.fields) if self.draft.policy.adopt else None
        if not made or item.made_at is None or not self._is_near(item, item.made_at):
            return False
        for link in made:
            ours = self.draft.item(link)
            if ours is None or ours.made_at is None:
                continue
            if abs(item.made_at - ours.made_at) > TWIN_SECONDS:
                continue
            if self.draft.seen.now - max(item.made_at, ours.made_at) >= TWIN_PATIENCE:
                continue
            if item.age_order < ours.age_order:
                made.remove(link)
                self._give_way(link, ours, item)
                return True
            self.draft.later = True
            return True
        return False

    def _is_near(self, item: RemoteItem, made_at: float) -> bool:
        """Return whether one that says the same was created at about the same time."""
        times = self.times[item.fields]
        at = bisect_left(times, made_at - TWIN_SECONDS)
        return at < len(times) and times[at] <= made_at + TWIN_SECONDS

    @cached_property
    def made(self) -> dict[Fields, list[Link]]:
        """The links whose item we created and nobody changed, by what the item says.

        Nor was the line changed since: what it says now is on its way to our item.
        """
        made: dict[Fields, list[Link]] = defaultdict(list)
        for link in self.draft.standing:
            item = self.draft.item(link)
            if link.made_at is None or item is None or link.doubt:
                continue
            if link.base == Base(link.seen, item.fields):
                made[item.fields].append(link)
        return made

    @cached_property
    def times(self) -> dict[Fields, list[float]]:
        """When the items of ``made`` were created, in order."""
        items = {said: map(self.draft.item, links) for said, links in self.made.items()}
        return {
            said: sorted(one.made_at for one in ours if one and one.made_at is not None)
            for said, ours in items.items()
        }

    def finish(self) -> None:
        """Plan nothing else for the links that have another item now."""
        draft = self.draft
        if self.given:
            draft.rows = [row for row in draft.rows if row.key not in self.given] + self.rows
            draft.ops = [op for op in draft.ops if op.link.key not in self.given]

    def _give_way(self, link: Link, ours: RemoteItem, item: RemoteItem) -> None:
        draft, now = self.draft, self.draft.seen.now
        stone = Tombstone(f"twin-{link.key}", ours.id, link.seen, ours.fields, TWIN, now, False)
        self.given.add(link.key)
        self.rows.append(link.but(remote_id=item.id, made_at=None))
        draft.buried.append(stone)
        draft.ops.append(DropTwin(_stand_in(stone), stone))


def drop(draft: Draft, stones: Mapping[str, Tombstone], taken: set[str]) -> set[str]:
    """Plan that twins are deleted; return their ids.

    Listed or not: only an answer tells that one is gone. One that was refused is asked
    for again when its ``removed_at`` has come; one that was edited, or that a line
    names, is somebody's by now.
    """
    listed = draft.seen.listed or {}
    alive = {link.remote_id for link in draft.seen.links} | taken
    twins: set[str] = set()
    for name, stone in stones.items():
        item = listed.get(name)
        is_edited = item is not None and item.fields != stone.remote
        if stone.how != TWIN or name in alive or is_edited:
            continue
        twins.add(name)
        if stone.removed_at > draft.seen.now:
            draft.later = True
        else:
            draft.ops.append(DropTwin(_stand_in(stone), stone))
    return twins


def _stand_in(stone: Tombstone) -> Link:
    """Return a link that names a twin which is to be deleted; it is in no ID map."""
    return Link(stone.key, stone.remote_id, stone.task)
