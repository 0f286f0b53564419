"""Checks one request or one answer against the published OpenAPI file.

``check_request`` asks for the stricter of the two published contracts, since a
client must satisfy both: the seed page of the create call has a ``due_at`` that
is never null, and every moment carries its offset (a naive one is read as UTC).
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

if TYPE_CHECKING:
    from omisync.sandbox import Request

FILE = Path(__file__).parent / "data" / "omi-action-items.openapi.json"
BASE = "/v1/dev/user/action-items"
ITEM = f"{BASE}/{{action_item_id}}"
UNPUBLISHED = frozenset({402, 404, 405, 408, 413, 422, 426, 429, 500, 502, 503, 504})
"""Statuses that the server also gives; their body is an ErrorResponse."""

_URI = "https://api.omi.me/openapi.json"
_JSON = "application~1json"
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)

formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    """Return whether a string is an RFC 3339 moment, offset included."""
    if not isinstance(value, str):
        return True
    return bool(_RFC3339.fullmatch(value)) and datetime.fromisoformat(value).tzinfo is not None


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI file."""
    return json.loads(FILE.read_text(encoding="utf-8"))


@cache
def validator(pointer: str) -> Draft202012Validator:
    """Return the validator of the schema at a JSON pointer into the file."""
    resource = DRAFT202012.create_resource(document())
    registry = Registry().with_resource(_URI, resource)
    schema = {"$ref": f"{_URI}#{pointer}"}
    return Draft202012Validator(schema, registry=registry, format_checker=formats)


def template(method: str, path: str) -> str | None:
    """Return the path of the file that a decoded path belongs to, None without one."""
    if path in document()["paths"] and method.lower() in document()["paths"][path]:
        return path
    item_id = path.removeprefix(f"{BASE}/")
    if item_id != path and item_id and "/" not in item_id:
        return ITEM
    return None


def operation(method: str, path: str) -> tuple[dict[str, Any], str]:
    """Return a published operation and its JSON pointer.

    Raises:
        AssertionError: nothing is published for this method and path.
    """
    known = template(method, path)
    found = document()["paths"].get(known, {}).get(method.lower())
    assert found is not None, f"{method} {path} is not a published operation"
    return found, f"/paths/{known.replace('/', '~1')}/{method.lower()}"


def check_request(request: Request) -> None:
    """Fail unless a recorded request is one that the contract allows.

    Raises:
        AssertionError, jsonschema.ValidationError: it is not; the message says why.
    """
    found, pointer = operation(request.method, request.path)
    key = request.headers.get("Authorization", "")
    assert key.startswith("Bearer omi_de"), f"no developer key: {key!r}"
    _check_query(request, found, pointer)
    if "requestBody" not in found:
        assert request.body is None, f"{request.method} takes no body"
        return
    kind = request.headers.get("Content-Type", "").partition(";")[0]
    assert kind == "application/json", f"the body is said to be {kind!r}"
    validator(f"{pointer}/requestBody/content/{_JSON}/schema").validate(request.body)
    _check_fields(request)


def _check_query(request: Request, found: dict[str, Any], pointer: str) -> None:
    published = found.get("parameters", [])
    places = {p["name"]: index for index, p in enumerate(published) if p["in"] == "query"}
    for name, text in request.query.items():
        assert name in places, f"{name!r} is no parameter of {request.method} {request.path}"
        schema = validator(f"{pointer}/parameters/{places[name]}/schema")
        schema.validate(_typed(name, text))


def _typed(name: str, text: str) -> object:
    """Return a query value as the type that its schema is about."""
    if name == "completed":
        return {"true": True, "false": False}.get(text, text)
    if name in ("limit", "offset"):
        return int(text) if text.isdecimal() else text
    return text


def _check_fields(request: Request) -> None:
    """Fail for fields that no contract names, and for a create with a null date."""
    body: Any = request.body
    sent = body["action_items"] if request.path.endswith("/batch") else [body]
    for fields in sent:
        unknown = set(fields) - {"description", "completed", "due_at"}
        assert not unknown, f"not in the contract: {unknown}"
        if request.method == "POST":
            assert fields.get("due_at", "") is not None, "a create without a date omits due_at"


def check_response(method: str, path: str, status: int, body: object) -> None:
    """Fail unless an answer has a shape that the contract, or the known server, gives.

    ``body`` is the parsed JSON. A 422 may be a list (the OpenAPI file) or a
    string (the seed page of the create call).

    Raises:
        AssertionError, jsonschema.ValidationError: it has not.
    """
    known = template(method, path)
    if known is None or method.lower() not in document()["paths"][known]:
        assert status in (404, 405), f"{status} for a path that does not exist"
        validator("/components/schemas/ErrorResponse").validate(body)
        return
    found, pointer = operation(method, path)
    answers = found["responses"]
    if str(status) not in answers or (status == 422 and isinstance(_detail(body), str)):
        assert status in UNPUBLISHED, f"{status} is not a status of {method} {path}"
        validator("/components/schemas/ErrorResponse").validate(body)
        return
    place = answers[str(status)].get("$ref", f"#{pointer}/responses/{status}").removeprefix("#")
    validator(f"{place}/content/{_JSON}/schema").validate(body)


def _detail(body: object) -> object:
    return body.get("detail") if isinstance(body, dict) else None
