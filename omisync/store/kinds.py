"""What kind of value each column and note of the store holds.

Rule: SQLite checks neither the types nor the sense of what it gives back. A value
of another kind than was written is damage, and raises ``ValueError``.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from omisync.errors import SEVERITY

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    Kind = Callable[[object], bool]

LATEST = 1e11
"""Unix seconds, in the year 5138: a later moment was never written."""

LONGEST_WAIT = 1e6
"""Seconds: no gate is shut for longer than a day, and one that is would stay shut."""


def _text(value: object) -> bool:
    return isinstance(value, str)


def _id(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _flag(value: object) -> bool:
    return value in (0, 1)


def _number(value: object) -> bool:
    return isinstance(value, int)


def _moment(value: object) -> bool:
    return isinstance(value, float | int) and abs(value) < LATEST


def _wait(value: object) -> bool:
    return isinstance(value, float | int) and 0 <= value <= LONGEST_WAIT


def _date(value: object) -> bool:
    return isinstance(value, str) and bool(datetime.fromisoformat(value))


def _failure(value: object) -> bool:
    return value in ("5xx", "dropped", "timeout", "unlisted")


def _code(value: object) -> bool:
    return value in SEVERITY


def _list(value: object) -> bool:
    return isinstance(value, list)


def _maybe(kind: Kind) -> Kind:
    return lambda value: value is None or kind(value)


_TASK = (_text, _flag, _maybe(_date))
_ITEM = tuple(_maybe(kind) for kind in _TASK)

LINK = (
    *(_text, _maybe(_id), *_TASK, _text, _number, *_ITEM, *_ITEM),
    *(_maybe(_moment), _flag, _number, _maybe(_text), _text),
    *(_number, _maybe(_moment), _maybe(_moment)),  # not in version 1
)
INTENT = (
    *(_text, _text, *_TASK, *_TASK, _list, _moment, _moment),
    *(_maybe(_failure), _maybe(_moment), _number),
    *(_text, _number),  # not before version 3
)
TOMBSTONE = (
    *(_text, _text, *_TASK, *_TASK, _text, _moment, _flag),
    _text,  # not before version 5
)
GATE = (_text, _moment, _wait, _maybe(_number))
EVENT = (_moment, _text, _text, _maybe(_text), _maybe(_text), _text)
CLASH = (_number, _moment, _maybe(_moment), *(_text,) * 6)
PARKED = (_number, _text, _moment, _maybe(_list), _maybe(_moment))

FACTS: Mapping[str, Mapping[str, Kind]] = {
    "settled": {
        "digest": _text,
        "setting": _text,
        "at": _moment,
        "code": _code,
        "look_at": _maybe(_moment),
        "tasks": _maybe(_number),
        "parked": _number,
    },
    "last": {"code": _code},
    "listed": {"at": _moment, "cost": _number, "pause": _wait, "spent": _list},
    "writing": {"before": _text, "after": _text, "links": _list, "gone": _list, "added": _list},
}
"""Notes that are tables, and what each has at least."""


def tables(db: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Return the columns of a store in order: table, column, place in the primary key or 0."""
    rows = db.execute(
        "SELECT made.name, its.name, its.pk FROM sqlite_master AS made,"
        " pragma_table_info(made.name) AS its"
        " WHERE made.type = 'table' AND made.name NOT LIKE 'sqlite_%'"
        " ORDER BY made.name, its.cid"
    )
    return rows.fetchall()


def checked(row: tuple[Any, ...], kinds: tuple[Kind, ...]) -> tuple[Any, ...]:
    """Return a row whose values are of these kinds; a shorter one is of an older version.

    Raises:
        ValueError: one is not.
    """
    for place, (value, kind) in enumerate(zip(row, kinds, strict=False), 1):
        if not kind(value):
            raise ValueError(f"column {place} has no sense")
    return row


def checked_fact(name: str, value: object) -> object:
    """Return a note that has what it needs.

    Raises:
        ValueError: it has not.
    """
    needed = FACTS.get(name, {})
    if isinstance(value, dict) and not all(
        key in value and kind(value[key]) for key, kind in needed.items()
    ):
        raise ValueError(f"the note {name!r} has no sense")
    return value
