"""Bodies, queries and answers of the API, in the shapes FastAPI gives them.

Validation is pydantic's, as on the real server, so limits, accepted spellings
and the details of a 422 are the real ones and not a second opinion.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = "application/json"
MAX_BATCH = 50
"""Elements in a batch (BatchActionItemsRequest, OpenAPI)."""

MAX_DESCRIPTION = 500
"""Code points in a description, counted before it is stripped (OpenAPI)."""


def _in_utc(moment: datetime) -> datetime:
    """Read a naive moment as UTC, as the real server does."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


Moment = Annotated[datetime, AfterValidator(_in_utc)]
Description = Annotated[str, Field(min_length=1, max_length=MAX_DESCRIPTION)]


class NewItem(BaseModel):
    """CreateActionItemRequest. Unknown fields are ignored."""

    description: Description
    completed: bool = False
    due_at: Moment | None = None


class Batch(BaseModel):
    """BatchActionItemsRequest."""

    action_items: Annotated[list[NewItem], Field(max_length=MAX_BATCH)]


class Change(BaseModel):
    """UpdateActionItemRequest; ``model_fields_set`` tells null from omitted."""

    description: Description | None = None
    completed: bool | None = None
    due_at: Moment | None = None


class ListQuery(BaseModel):
    """The query of the list; limit and offset are clamped later, in silence."""

    conversation_id: str | None = None
    completed: bool | None = None
    start_date: Moment | None = None
    end_date: Moment | None = None
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over the wire. ``summary`` is for the person who watches."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON
    summary: str = ""


def reply(status: int, value: object, summary: str = "", **headers: str) -> Reply:
    """Return a JSON reply; an underscore in a header's name stands for a hyphen."""
    # A lone surrogate of the request may come back inside a 422.
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return Reply(status, body, {k.replace("_", "-"): v for k, v in headers.items()}, JSON, summary)


class Refusal(Exception):
    """The request is answered with ``detail`` instead of being carried out."""

    def __init__(self, status: int, detail: object, **headers: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = headers

    def reply(self) -> Reply:
        """Return the answer in FastAPI's error shape."""
        said = self.detail if isinstance(self.detail, str) else json.dumps(self.detail)
        return reply(self.status, {"detail": self.detail}, said, **self.headers)


class Blocked(Refusal):
    """What a firewall before the server says of a request whose content it does not like."""

    def __init__(self) -> None:
        super().__init__(406, "Not Acceptable")

    def reply(self) -> Reply:
        """Return a page: nothing of it is of the API."""
        return Reply(self.status, b"<h1>Not Acceptable</h1>", content_type="text/html")


def refused_elements(*indices: int) -> Refusal:
    """Return the 422 about descriptions, of a batch those with these indices."""
    places = [["body", "action_items", index] for index in indices] or [["body"]]
    return Refusal(
        422,
        [
            {"type": "value_error", "loc": [*place, "description"], "msg": "Not acceptable"}
            for place in places
        ],
    )


def parse(raw: bytes, content_type: str) -> object | None:
    """Return the JSON value of a body, None without one.

    A body of another content type stays text, which no model accepts.

    Raises:
        Refusal: 422, the body is not JSON.
    """
    if not raw:
        return None
    if content_type != JSON and not content_type.endswith("+json"):
        return raw.decode(errors="replace")
    try:
        return json.loads(raw)  # type: ignore[no-any-return]  # any JSON value is an object
    except ValueError as error:
        problem = {
            "type": "json_invalid",
            "loc": ["body", getattr(error, "pos", 0)],
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": getattr(error, "msg", str(error))},
        }
        raise Refusal(422, [problem]) from None


Model = TypeVar("Model", bound=BaseModel)


def checked(model: type[Model], value: object, place: str) -> Model:
    """Return ``value`` as ``model``; ``place`` is ``"body"`` or ``"query"``.

    Raises:
        Refusal: 422 with FastAPI's list of problems.
    """
    if value is None:
        problem = {"type": "missing", "loc": [place], "msg": "Field required", "input": None}
        raise Refusal(422, [problem])
    try:
        return model.model_validate(value, from_attributes=True)
    except ValidationError as error:
        problems = json.loads(error.json(include_url=False, include_input=False))
        for problem in problems:
            problem["loc"] = [place, *problem["loc"]]
        raise Refusal(422, problems) from None
