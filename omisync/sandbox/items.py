"""What the sandbox keeps of an action item, and which items a list shows.

Rule: the list errs exactly as the real one does. It looks at too few documents,
in the order of their ids, sorts those, cuts the page, and only then drops the
rows it may not show; so neither a short page nor an absent row proves anything.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omisync.sandbox.wire import ListQuery

MAX_LIMIT = 1000
"""Rows in one page, whatever ``limit`` asks for (server source)."""

CEILING = 2000
"""Documents that one request can reach: ``offset + limit`` is cut here (server source)."""

SLACK = 32
"""Documents read beyond the page, in place of hidden ones (server source)."""

FRACTIONS = 7
"""Ways to write a second: with at least 0 to 6 fractional digits."""

STYLES = 2 * FRACTIONS
"""Ways to write a moment: each fraction with ``Z`` and with ``+00:00``."""

_LAST = datetime.max.replace(tzinfo=UTC)
_FIRST = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Item:
    """An action item. Times are aware and in UTC; any of them may be missing.

    A ``locked`` item is never listed and answers 402 to every change. A
    ``hidden`` one is not listed either but takes changes, as an item does that
    the app retired.
    """

    id: str
    description: str
    completed: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None
    due_at: datetime | None = None
    completed_at: datetime | None = None
    conversation_id: str | None = None
    locked: bool = False
    hidden: bool = False


_TIMES = ("created_at", "updated_at", "due_at", "completed_at")
_PRIVATE = ("locked", "hidden")
_SHOWN = tuple(field.name for field in fields(Item) if field.name not in _PRIVATE)


def page(items: Iterable[Item], query: ListQuery, *, sorts_windows: bool) -> list[Item]:
    """Return the rows that ``query`` is answered with.

    ``sorts_windows`` puts the rows of a date-filtered query in the order of the
    list; otherwise they stay newest first.
    """
    limit = min(max(query.limit, 1), MAX_LIMIT)
    offset = max(query.offset, 0)
    reach = min(offset + limit, CEILING)
    found = [item for item in items if _asked_for(item, query)]
    windowed = query.start_date is not None or query.end_date is not None
    found.sort(key=_age if windowed else _id)
    found = [item for item in found[: min(reach + SLACK, CEILING)] if not item.hidden]
    if sorts_windows or not windowed:
        found.sort(key=_list_order)
    return [item for item in found[:reach][offset : offset + limit] if not item.locked]


def _asked_for(item: Item, query: ListQuery) -> bool:
    if query.completed not in (None, item.completed):
        return False
    if query.conversation_id not in (None, item.conversation_id):
        return False
    start, end = query.start_date, query.end_date
    if item.created_at is None:
        return start is None and end is None
    return (start is None or start <= item.created_at) and (end is None or item.created_at <= end)


def _id(item: Item) -> str:
    return item.id


def _age(item: Item) -> float:
    return -(item.created_at or _FIRST).timestamp()


def _list_order(item: Item) -> tuple[bool, datetime, float]:
    return item.completed, item.due_at or _LAST, _age(item)


def shown(item: Item, style: int = 0) -> dict[str, object]:
    """Return the row of ``item`` as the API writes it (DeveloperActionItem)."""
    row: dict[str, object] = {name: getattr(item, name) for name in _SHOWN}
    for name in _TIMES:
        row[name] = written(getattr(item, name), style)
    return row


def written(moment: datetime | None, style: int = 0) -> str | None:
    """Return ``moment`` in one of ``STYLES`` spellings; all name the same instant."""
    if moment is None:
        return None
    zone = ("Z", "+00:00")[style % 2]
    seconds = moment.replace(tzinfo=None, microsecond=0).isoformat()
    fraction = f"{moment.microsecond:06d}".rstrip("0").ljust(style // 2 % FRACTIONS, "0")
    return f"{seconds}.{fraction}{zone}" if fraction else f"{seconds}{zone}"


def stored(item: Item) -> dict[str, object]:
    """Return ``item`` as the state file keeps it."""
    return shown(item) | {name: getattr(item, name) for name in _PRIVATE}


def restored(row: dict[str, object]) -> Item:
    """Return the item that ``stored`` wrote.

    Raises:
        TypeError, ValueError: the row is not one of ours.
    """
    known = {field.name: row[field.name] for field in fields(Item) if field.name in row}
    for name in _TIMES:
        if known.get(name) is not None:
            known[name] = datetime.fromisoformat(str(known[name]))
    return Item(**known)  # type: ignore[arg-type]  # written by `stored`, checked by use
