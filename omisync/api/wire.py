"""Bodies: our values to JSON and JSON to our values.

Rule: nothing unchecked crosses this border in either direction. What cannot be
read raises ``ValueError``, whose text may hold task texts but never a key.
"""

from __future__ import annotations

import contextlib
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from omisync.core.model import BATCH_LIMIT, DESCRIPTION_LIMIT, FIELDS, Fields, Patch, RemoteItem

if TYPE_CHECKING:
    from collections.abc import Sequence

EARLIEST, LATEST = 946_684_800.0, 7_258_118_400.0
"""Unix seconds, the years 2000 and 2200: clocks are wrong by hours or count from 1970 or 1980."""

_HALF = re.compile(r"[\ud800-\udfff]")
"""Half a character (a lone surrogate), which JSON can say and no UTF-8 text can."""


def _instant(value: object) -> object:
    """Return a reply's time in UTC; one without an offset is UTC already."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("a time is a string")  # noqa: TRY004 - pydantic collects ValueError only
    read = datetime.fromisoformat(value)
    try:
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time outside the years 1 to 9999") from None


def _made(value: object) -> object:
    """Return when an item was made, on which nothing depends; an odd time is none."""
    with contextlib.suppress(ValueError):
        made = _instant(value)
        if isinstance(made, datetime) and EARLIEST <= made.timestamp() < LATEST:
            return made
    return None


def _with_text(text: str) -> str:
    if not text.strip():
        raise ValueError("a task needs a text")
    return text


_Text = Annotated[
    str, Field(min_length=1, max_length=DESCRIPTION_LIMIT), AfterValidator(_with_text)
]


class _Create(BaseModel):
    """CreateActionItemRequest."""

    model_config = ConfigDict(strict=True, from_attributes=True)
    description: _Text
    completed: bool
    due_at: AwareDatetime | None


class _Batch(BaseModel):
    """BatchActionItemsRequest."""

    model_config = ConfigDict(strict=True, from_attributes=True)
    action_items: Annotated[list[_Create], Field(min_length=1, max_length=BATCH_LIMIT)]


class _Update(BaseModel):
    """UpdateActionItemRequest: fields that are not set are not sent."""

    model_config = ConfigDict(strict=True)
    description: _Text = ""
    completed: bool = False
    due_at: AwareDatetime | None = None


class _Item(BaseModel):
    """DeveloperActionItem, as far as it is used; what a newer server adds is ignored."""

    model_config = ConfigDict(strict=True)
    id: Annotated[str, Field(min_length=1)]
    description: str
    completed: bool
    due_at: Annotated[datetime | None, BeforeValidator(_instant)] = None
    created_at: Annotated[datetime | None, BeforeValidator(_made)] = None

    def value(self) -> RemoteItem:
        text = self.description
        if not text.isascii():
            text = _HALF.sub("\ufffd", text)
        fields = Fields(text.strip(), self.completed, self.due_at)
        return RemoteItem(self.id, fields, self.created_at)


class _Created(BaseModel):
    """BatchActionItemsResponse, its rows still unread.

    ``created_count`` is not used: a reply without it comes from something else.
    """

    model_config = ConfigDict(strict=True)
    action_items: list[object]
    created_count: int


class _Done(BaseModel):
    """DeveloperSuccessResponse."""

    model_config = ConfigDict(strict=True)
    success: bool


def create_body(fields: Fields) -> bytes:
    """Return the body of a single create. Raises ``ValidationError``."""
    return _Create.model_validate(fields).model_dump_json(exclude_none=True).encode()


def batch_body(items: Sequence[Fields]) -> bytes:
    """Return the body of a batch create. Raises ``ValidationError``."""
    batch = _Batch.model_validate({"action_items": list(items)})
    return batch.model_dump_json(exclude_none=True).encode()


def patch_body(patch: Patch) -> bytes:
    """Return the body of a change: only what changes. Raises ``ValidationError``."""
    changes = {name: value for name in FIELDS if (value := getattr(patch, name)) is not None}
    if patch.clear_due:
        changes["due_at"] = None
    return _Update.model_validate(changes).model_dump_json(exclude_unset=True).encode()


def item(body: bytes) -> RemoteItem:
    """Return the item that a create or a change answered with."""
    return _Item.model_validate(loads(body)).value()


def tells_of(body: bytes, fields: Fields) -> bool:
    """Return whether a reply that is no readable item still shows one of this text."""
    with contextlib.suppress(ValueError):
        match loads(body):
            case {"id": _, "description": str(text)}:
                return text.strip() == fields.description
    return False


def created(body: bytes) -> list[RemoteItem]:
    """Return the readable rows of a batch reply."""
    return _readable(_Created.model_validate(loads(body)).action_items)


def rows(body: bytes) -> tuple[list[RemoteItem], int]:
    """Return the readable rows of a list reply, and how many there were."""
    reply = loads(body)
    if not isinstance(reply, list):
        raise ValueError("a list was expected")  # noqa: TRY004 - one kind of error leaves this module
    return _readable(reply), len(reply)


_ITEMS = TypeAdapter(list[_Item])


def _readable(raw: Sequence[object]) -> list[RemoteItem]:
    try:
        return [item.value() for item in _ITEMS.validate_python(raw)]
    except ValidationError:
        pass  # one broken row must not hide the others
    items = []
    for row in raw:
        with contextlib.suppress(ValidationError):
            items.append(_Item.model_validate(row).value())
    return items


def done(body: bytes) -> None:
    """Raise ``ValueError`` unless the server says that a delete was done."""
    if not _Done.model_validate(loads(body)).success:
        raise ValueError("the server says that it did not succeed")


def loads(body: bytes) -> object:
    """Return the JSON value of a body. Raises ``ValueError`` for anything else."""
    try:
        value: object = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
    return value
