"""First meetings: which entry is an item that the server already has.

Rule: adopting never clears, re-opens or rewords anything by itself. What a line
does not say is no statement; what it says differently is left as an edit for
the plan to send. That a line is open says something of an item only that it names.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import replace
from typing import TYPE_CHECKING

from omisync.core import match, merge
from omisync.core.model import Base, Entry, Fields, Link, RemoteItem, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omisync.core.merge import Encoding


_AGREEMENTS: tuple[Callable[[Fields], object], ...] = (
    lambda fields: (fields.completed, fields.due_at),
    lambda fields: fields.completed,
    lambda _: None,
)
"""In what a line and an item of the same text agree, the closest first."""


def pairs(
    entries: Sequence[Entry],
    items: Sequence[RemoteItem],
    encoding: Encoding,
    *,
    by_text: bool = True,
    repair: bool = False,
) -> dict[int, RemoteItem]:
    """Return which entry (by index) is which unlinked item already.

    An id that the person wrote decides; then, ``by_text``, equal texts, from the closest
    agreement to the loosest: completed and due, then completed. Only ``repair``
    gives an open entry a completed item, or the other way round. Of equal lines the first
    is the oldest item, whatever the order of a list: so two machines decide alike.
    """
    found: dict[int, RemoteItem] = {}
    by_id = {item.id: item for item in items}
    for number, entry in enumerate(entries):
        if entry.explicit_id in by_id:
            found[number] = by_id.pop(entry.explicit_id)
    if by_text:
        _by_text(entries, by_id, encoding, found, repair=repair)
    return found


def _by_text(
    entries: Sequence[Entry],
    by_id: dict[str, RemoteItem],
    encoding: Encoding,
    found: dict[int, RemoteItem],
    *,
    repair: bool,
) -> None:
    """Give the entries that have no item yet one of their text, out of those that are left."""
    keys = [match.normalised(merge.description(entry.task.text)) for entry in entries]
    wanted = set(keys)
    oldest_first = sorted(by_id.values(), key=lambda item: item.age_order)
    offers = [(item, _readings(item.fields, encoding) & wanted) for item in oldest_first]
    offered = {key for _, texts in offers for key in texts}
    for agreement in _AGREEMENTS if repair else _AGREEMENTS[:-1]:
        left: dict[tuple[str, object], deque[RemoteItem]] = defaultdict(deque)
        for item, texts in offers:
            for key in texts:
                left[key, agreement(item.fields)].append(item)
        for number, entry in enumerate(entries):
            if number in found or keys[number] not in offered:
                continue
            same = left[keys[number], agreement(merge.encode(entry.task, encoding))]
            while same and number not in found:
                item = same.popleft()
                if by_id.pop(item.id, None):  # else it is another line's by now
                    found[number] = item


def tied(
    link: Link,
    item: RemoteItem,
    encoding: Encoding,
    *,
    both_ways: bool = False,
    by_id: bool = False,
) -> Link:
    """Return the link bound to an existing item, with a base that loses nothing.

    A date or a tick that the line has and the item lacks counts as an edit to send. One
    that only the item has does not count as removed from the line, nor does a time of day
    on a day that the line says. With ``both_ways`` the item's tick and date are as new as
    the line's: they cross, or clash. ``by_id`` is of a line that names the item: an open
    one opens it again.
    """
    task = local = link.seen
    reopens = by_id and not task.completed and item.fields.completed
    if both_ways:
        base = _unmet(task, item.fields, encoding)
        if reopens:
            agreed = replace(base.remote, completed=True)
            base = Base(replace(base.local, completed=True), agreed)
        return link.but(remote_id=item.id, base=base)
    if reopens:
        local = replace(local, completed=True)
    if task.completed and not item.fields.completed:
        local = replace(local, completed=False)
    if task.due is not None and not task.completed:
        same = merge.same_moment(task.due, item.fields.due_at, encoding, loosely=True)
        local = replace(local, due=task.due if same else None)
    if match.normalised(merge.description(task.text)) != match.normalised(item.fields.description):
        local = replace(local, text=item.fields.description)
    return link.but(remote_id=item.id, base=Base(local, item.fields))


def _unmet(task: Task, remote: Fields, encoding: Encoding) -> Base:
    """Return a base in which fields that differ are empty: a value on either side is an edit."""
    local, agreed = task, remote
    if task.completed != remote.completed:  # the tick crosses, whichever side has it
        local, agreed = replace(local, completed=False), replace(agreed, completed=False)
    if task.completed and remote.completed and task.due is not None:
        # The line's is kept back, for it would ring; another one of the item is news.
        if not merge.same_moment(task.due, remote.due_at, encoding, loosely=True):
            agreed = replace(agreed, due_at=None)
    elif task.due is not None or remote.due_at is not None:
        same = not task.completed and merge.encode(task, encoding).due_at == remote.due_at
        if not same:
            local, agreed = replace(local, due=None), replace(agreed, due_at=None)
    if match.normalised(merge.description(task.text)) not in _readings(remote, encoding):
        local, agreed = replace(local, text=""), replace(agreed, description="")
    return Base(local, agreed)


def _readings(fields: Fields, encoding: Encoding) -> set[str]:
    """Return the texts that a line of this item may have: its description, raw or legible."""
    said = fields.description
    return {match.normalised(text) for text in (said, encoding.legible(said))}
