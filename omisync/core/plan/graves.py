"""The removed tasks of which a line may come back as the same one."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from omisync.core import match
from omisync.core.model import (
    FORGOTTEN,
    GONE,
    GONE_SECONDS,
    LEFT_IN_OMI,
    TOMBSTONE_SECONDS,
    TWIN,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from omisync.core.model import Entry, RemoteItem, Tombstone
    from omisync.core.plan.steps import Observation


class Graves:
    """The tombstones by text, each given out once, the latest first."""

    def __init__(self, seen: Observation, *, two_way: bool) -> None:
        self._two_way = two_way
        self._by_text: dict[str, list[Tombstone]] = defaultdict(list)
        self._by_words: dict[str, list[Tombstone]] = defaultdict(list)
        self.by_id = latest(seen.tombstones)
        self._seen = seen
        self._risen: set[str] = set()
        if not self.by_id:
            return
        self._unlinked = {item.id: item for item in seen.unlinked or ()}
        self._said = {match.normalised(item.fields.description) for item in seen.unlinked or ()}
        self._all_read = seen.listed is not None or seen.read_whole
        alive = {link.remote_id for link in seen.links}
        for stone in sorted(self.by_id.values(), key=lambda stone: stone.removed_at):
            if stone.how in LEFT_IN_OMI and stone.remote_id not in alive:
                self._by_text[match.normalised(stone.task.text)].append(stone)
                if stone.words:
                    self._by_words[match.normalised(stone.words)].append(stone)

    def claim(self, entry: Entry, *, unheard: bool = False) -> Tombstone | None:
        """Return the grave that this line rises from: that of the item which it names, if any.

        A finished line does not come back open: an open line of the same text is
        the next round of a recurring chore. ``unheard`` asks for the one whose line said this
        last, where Omi did not hear of it and no other item says just that.
        """
        graves = self._by_words if unheard else self._by_text
        if not graves:
            return None
        text = match.normalised(entry.task.text)
        stones = [] if unheard and text in self._said else graves.get(text, [])
        for place in reversed(range(len(stones))):
            stone = stones[place]
            if stone.key not in self._risen and self._rises(stone, entry, text):
                self._risen.add(stone.key)
                del stones[place]
                return stone
        return None

    def _rises(self, stone: Tombstone, entry: Entry, text: str) -> bool:
        task, named = entry.task, entry.explicit_id
        if named in self._unlinked and named != stone.remote_id:
            return False
        if self.misses(stone) and text in self._said:
            return False  # it is gone, and there is another that says the same
        if self._is_another(stone) or (self._is_old(stone) and not task.completed):
            return False
        return task.completed or not stone.task.completed

    def item(self, stone: Tombstone) -> RemoteItem | None:
        """Return the item of a removed task, if it was read."""
        return self._unlinked.get(stone.remote_id)

    def _is_another(self, stone: Tombstone) -> bool:
        """Return whether the app made another task of the item; a push leaves that to the app."""
        item = self.item(stone) if self._two_way else None
        return item is not None and item.fields.description != stone.remote.description

    def _is_old(self, stone: Tombstone) -> bool:
        """Return whether it is too late to be opened again; what was kept in Omi is as it was."""
        return stone.how == "complete" and self._seen.now - stone.removed_at >= TOMBSTONE_SECONDS

    def misses(self, stone: Tombstone) -> bool:
        """Return whether a list was read, and the item of this task was not in it."""
        return self._all_read and stone.remote_id not in self._unlinked

    def offered(self, entries: Sequence[Entry], taken: set[str]) -> list[RemoteItem]:
        """Return the items that these lines can be.

        That of a removed task, as the removal left it, is another line's by its id only,
        and one that was just proven gone is none's.
        """
        named = {entry.explicit_id for entry in entries}
        offered = []
        for item in self._seen.unlinked or ():
            stone = self.by_id.get(item.id)
            if stone is not None and _is_just_gone(stone, self._seen.now):
                continue
            at_rest = stone is not None and stone.how != GONE and item.fields == stone.remote
            if item.id not in taken and (item.id in named or not at_rest):
                offered.append(item)
        return offered


def latest(tombstones: Iterable[Tombstone]) -> dict[str, Tombstone]:
    """Return what was last decided about each removed item, by its id.

    Whatever else was decided about a twin holds; of the same moment a removal does.
    """
    ordered = sorted(
        tombstones,
        key=lambda stone: (stone.how != TWIN, stone.removed_at, stone.how != GONE),
    )
    return {stone.remote_id: stone for stone in ordered}


def _is_just_gone(stone: Tombstone, now: float) -> bool:
    """Return whether a list that has this item is not believed: it was gone twice in a row."""
    return stone.how == GONE and 0 < stone.removed_at - now <= GONE_SECONDS


def is_fresh(stone: Tombstone, now: float) -> bool:
    """Return whether an item was proven gone not long ago."""
    return stone.how == GONE and abs(now - stone.removed_at) <= GONE_SECONDS


def rests(stone: Tombstone, item: RemoteItem) -> bool:
    """Return whether a removed line stays removed: its item is as the removal left it.

    One that was deleted in the app, and is there again, comes in as any other.
    """
    if stone.how in {"delete", FORGOTTEN}:
        return True
    return stone.how != GONE and item.fields == stone.remote
