"""The sandbox behaves as the real server does, and as the published contract says.

Every JSON answer these tests see is checked against the OpenAPI file.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import pytest
from jsonschema import Draft202012Validator, ValidationError
from openapi import check_request, check_response, document
from person import Clock
from yarl import URL

from omisync.errors import UsageError
from omisync.sandbox import KEY, READ_ONLY_KEY, Item, Request, Sandbox, line, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

ROOT = Path(__file__).parents[2]
BASE = "/v1/dev/user/action-items"
BATCH = f"{BASE}/batch"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DUE = "2026-03-08T15:00:00+00:00"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: Mapping[str, str]
    raw: bytes


@dataclass
class Client:
    """A client that checks what it is answered."""

    sandbox: Sandbox
    session: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=lambda: {"Authorization": f"Bearer {KEY}"})

    async def send(
        self, method: str, path: str = BASE, body: object = None, **options: Any
    ) -> Answer:
        """Send one request; the path is to be encoded already."""
        url = URL(self.sandbox.url + path, encoded=True)
        options.setdefault("headers", self.headers)
        if body is not None:
            options["json"] = body
        options.setdefault("allow_redirects", False)
        async with self.session.request(method, url, **options) as got:
            raw = await got.read()
            answer = Answer(got.status, _json(got, raw), got.headers, raw)
        if answer.body is not None:
            check_response(method, url.path, answer.status, answer.body)
        return answer

    async def ids(self, **query: str | int) -> list[str]:
        """Return the ids of one page of the list."""
        return [row["id"] for row in (await self.send("GET", params=query)).body]


def _json(got: aiohttp.ClientResponse, raw: bytes) -> object | None:
    try:
        return json.loads(raw) if got.content_type == "application/json" else None
    except ValueError:
        return None


@asynccontextmanager
async def client(sandbox: Sandbox) -> AsyncIterator[Client]:
    """Serve a sandbox and talk to it."""
    async with sandbox, aiohttp.ClientSession() as session:
        # By itself aiohttp sends a GET or DELETE again when its connection breaks.
        session._retry_connection = False
        yield Client(sandbox, session)


@asynccontextmanager
async def served(**traits: Any) -> AsyncIterator[Client]:
    """Serve a fresh sandbox with a clock that stands still."""
    async with client(Sandbox(**{"clock": Clock(NOON.timestamp())} | traits)) as omi:
        yield omi


@pytest.fixture
async def omi() -> AsyncIterator[Client]:
    """Return a client of a fresh sandbox."""
    async with served() as one:
        yield one


def item_path(item: Item | str) -> str:
    """Return the encoded path of an item."""
    return f"{BASE}/{quote(item if isinstance(item, str) else item.id, safe='')}"


def instant(text: str) -> datetime:
    """Return the moment that a reply names."""
    return datetime.fromisoformat(text)


def places(answer: Answer) -> list[list[str | int]]:
    """Return where a validation error points."""
    return [problem["loc"] for problem in answer.body["detail"]]


# Creating.


async def test_a_create_answers_200_with_the_stored_item(omi: Client) -> None:
    """A create returns the whole item, stripped, its inner newlines kept, its date in UTC."""
    wanted = {"description": "  Buy\nmilk ", "due_at": "2026-03-08T17:00:00+02:00"}
    answer = await omi.send("POST", body=wanted)
    assert answer.status == 200
    assert answer.body == {
        "id": answer.body["id"],
        "description": "Buy\nmilk",
        "completed": False,
        "created_at": "2026-03-01T12:00:00Z",
        "updated_at": "2026-03-01T12:00:00Z",
        "due_at": "2026-03-08T15:00:00Z",
        "completed_at": None,
        "conversation_id": None,
    }
    assert omi.sandbox.items[answer.body["id"]].description == "Buy\nmilk"


async def test_a_completed_create_is_stamped(omi: Client) -> None:
    """Creating a completed item stamps completed_at with now."""
    row = (await omi.send("POST", body={"description": "Done", "completed": True})).body
    assert (row["completed"], row["completed_at"]) == (True, row["created_at"])


async def test_equal_creates_are_not_merged(omi: Client) -> None:
    """There is no deduplication, not even for one idempotency key."""
    headers = omi.headers | {"Idempotency-Key": "same"}
    first = await omi.send("POST", body={"description": "Twin"}, headers=headers)
    second = await omi.send("POST", body={"description": "Twin"}, headers=headers)
    assert first.body["id"] != second.body["id"]
    assert len(omi.sandbox.items) == 2


async def test_unknown_fields_are_ignored(omi: Client) -> None:
    """A field that the contract does not name changes nothing."""
    row = (await omi.send("POST", body={"description": "Text", "id": "mine", "x": 1})).body
    assert row["id"] != "mine"


@pytest.mark.parametrize("length", [1, 500])
async def test_lengths_within_the_limit(omi: Client, length: int) -> None:
    """The limit of 500 counts code points, not bytes."""
    answer = await omi.send("POST", body={"description": "🦉" * length})
    assert (answer.status, answer.body["description"]) == (200, "🦉" * length)


async def test_the_length_is_counted_before_the_strip(omi: Client) -> None:
    """500 characters and a blank are one too many."""
    answer = await omi.send("POST", body={"description": "x" * 500 + " "})
    assert (answer.status, places(answer)) == (422, [["body", "description"]])


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"description": "x" * 501}, ["body", "description"]),
        ({"description": ""}, ["body", "description"]),
        ({"description": None}, ["body", "description"]),
        ({"description": 7}, ["body", "description"]),
        ({"description": "\ud800"}, ["body", "description"]),
        ({}, ["body", "description"]),
        ({"description": "x", "completed": None}, ["body", "completed"]),
        ({"description": "x", "due_at": "tomorrow"}, ["body", "due_at"]),
        ({"description": "x", "due_at": "0001-01-01T00:00:00+14:00"}, ["body", "due_at"]),
        ([], ["body"]),
        ("text", ["body"]),
    ],
)
async def test_a_bad_create_names_the_field(
    omi: Client, body: object, place: list[str | int]
) -> None:
    """Validation fails as in FastAPI: 422, a list, each with its place; nothing is created."""
    answer = await omi.send("POST", body=body)
    assert (answer.status, places(answer)) == (422, [place])
    assert not omi.sandbox.items


@pytest.mark.parametrize("path", [BASE, BATCH])
async def test_a_blank_description_has_a_string_detail(omi: Client, path: str) -> None:
    """Blank text passes the length check and fails in the route, with a string."""
    blank = {"description": " \n\t"}
    good = {"description": "Good"}
    body = blank if path == BASE else {"action_items": [good, blank]}
    answer = await omi.send("POST", path, body)
    assert (answer.status, type(answer.body["detail"])) == (422, str)
    assert not omi.sandbox.items


@pytest.mark.parametrize(
    ("raw", "kind", "place"),
    [
        (b"", "application/json", ["body"]),
        (b'{"description": ', "application/json", ["body", 16]),
        (b"\xff", "application/json", ["body", 0]),
        (b'{"description": "x"}', "text/plain", ["body"]),
    ],
)
async def test_a_body_that_is_not_json(
    omi: Client, raw: bytes, kind: str, place: list[str | int]
) -> None:
    """A missing, broken or mislabelled body is a 422 about the body."""
    headers = omi.headers | {"Content-Type": kind}
    answer = await omi.send("POST", data=raw, headers=headers)
    assert (answer.status, places(answer)) == (422, [place])


@pytest.mark.parametrize("text", ["2026-03-08", "2026-03-08T00:00:00", "2026-03-08T00:00:00Z"])
async def test_a_naive_moment_is_utc(omi: Client, text: str) -> None:
    """A date alone or without an offset is read as UTC."""
    row = (await omi.send("POST", body={"description": "x", "due_at": text})).body
    assert row["due_at"] == "2026-03-08T00:00:00Z"


async def test_created_at_is_strictly_increasing(omi: Client) -> None:
    """Items made in one instant differ by a microsecond, in their order."""
    made = {"action_items": [{"description": str(n)} for n in range(50)]}
    rows = (await omi.send("POST", BATCH, made)).body["action_items"]
    moments = [instant(row["created_at"]) for row in rows]
    assert moments == sorted(set(moments))
    assert moments[-1] - moments[0] == timedelta(microseconds=49)


# Batches.


async def test_a_batch_answers_in_request_order(omi: Client) -> None:
    """Fifty are created at once, and shown in the order they were sent."""
    texts = [f"Task {n}" for n in range(50)]
    answer = await omi.send("POST", BATCH, {"action_items": [{"description": t} for t in texts]})
    assert [row["description"] for row in answer.body["action_items"]] == texts
    assert answer.body["created_count"] == 50
    assert [item.description for item in omi.sandbox.items.values()] == texts


async def test_a_batch_of_51_is_refused(omi: Client) -> None:
    """One element too many creates nothing."""
    answer = await omi.send("POST", BATCH, {"action_items": [{"description": "x"}] * 51})
    assert (answer.status, places(answer)) == (422, [["body", "action_items"]])
    assert not omi.sandbox.items


async def test_one_bad_element_refuses_the_batch(omi: Client) -> None:
    """The detail names the element; nothing is created."""
    made = [{"description": "x"}] * 3 + [{"description": "x" * 501}]
    answer = await omi.send("POST", BATCH, {"action_items": made})
    assert (answer.status, places(answer)) == (422, [["body", "action_items", 3, "description"]])
    assert not omi.sandbox.items


async def test_an_empty_batch_creates_nothing(omi: Client) -> None:
    """No elements is not an error."""
    answer = await omi.send("POST", BATCH, {"action_items": []})
    assert (answer.status, answer.body) == (200, {"action_items": [], "created_count": 0})


async def test_a_batch_may_leave_rows_out(omi: Client) -> None:
    """An element can be created and yet be missing from the reply and its count."""
    omi.sandbox.batch_leaves_out.add("B")
    made = {"action_items": [{"description": text} for text in "ABC"]}
    body = (await omi.send("POST", BATCH, made)).body
    assert [row["description"] for row in body["action_items"]] == ["A", "C"]
    assert body["created_count"] == 2
    assert [item.description for item in omi.sandbox.items.values()] == ["A", "B", "C"]


# Changing and deleting.


async def test_a_patch_changes_what_it_names(omi: Client) -> None:
    """Omitted and null fields stay; the whole item comes back."""
    item = omi.sandbox.add("Old", due_at=NOON)
    answer = await omi.send("PATCH", item_path(item), {"description": " New ", "completed": None})
    assert (answer.body["description"], answer.body["completed"]) == ("New", False)
    assert answer.body["due_at"] == "2026-03-01T12:00:00Z"
    assert instant(answer.body["updated_at"]) > instant(answer.body["created_at"])


@pytest.mark.parametrize("body", [{}, {"description": None, "completed": None}, {"other": 1}])
async def test_an_empty_patch_is_refused(omi: Client, body: object) -> None:
    """A patch that names no field is a 422 with a string."""
    item = omi.sandbox.add("Text")
    answer = await omi.send("PATCH", item_path(item), body)
    assert answer.status == 422
    assert answer.body["detail"] == "At least one field must be provided"


async def test_a_blank_patch_is_stored_empty(omi: Client) -> None:
    """Blanks are accepted and leave an item without text; nothing at all is refused."""
    item = omi.sandbox.add("Text")
    assert (await omi.send("PATCH", item_path(item), {"description": ""})).status == 422
    assert item.description == "Text"
    assert (await omi.send("PATCH", item_path(item), {"description": "  "})).status == 200
    assert item.description == ""


async def test_completing_again_stamps_again() -> None:
    """Each completed: true moves completed_at; false clears it."""
    clock = Clock(NOON.timestamp())
    async with served(clock=clock) as omi:
        item = omi.sandbox.add("Text", completed=True)
        clock.now += 60
        again = await omi.send("PATCH", item_path(item), {"completed": True})
        assert again.body["completed_at"] == "2026-03-01T12:01:00Z"
        opened = await omi.send("PATCH", item_path(item), {"completed": False})
        assert (opened.body["completed"], opened.body["completed_at"]) == (False, None)


async def test_a_patch_may_answer_for_an_unlisted_item(omi: Client) -> None:
    """An item that no list shows any more still takes changes."""
    item = omi.sandbox.add("Retired", hidden=True)
    assert await omi.ids() == []
    answer = await omi.send("PATCH", item_path(item), {"completed": True})
    assert (answer.status, answer.body["id"]) == (200, item.id)


async def test_null_clears_the_due_date(omi: Client) -> None:
    """A null due date removes it, as the contract promises."""
    item = omi.sandbox.add("Text", due_at=NOON)
    answer = await omi.send("PATCH", item_path(item), {"due_at": None})
    assert (answer.status, answer.body["due_at"]) == (200, None)


async def test_an_older_server_ignores_null() -> None:
    """Before September 2026: alone a 422, with another field a 200 and the date stays."""
    async with served(clears_due=False) as omi:
        item = omi.sandbox.add("Text", due_at=NOON)
        alone = await omi.send("PATCH", item_path(item), {"due_at": None})
        assert (alone.status, type(alone.body["detail"])) == (422, str)
        both = await omi.send("PATCH", item_path(item), {"due_at": None, "completed": True})
        assert (both.status, both.body["due_at"]) == (200, "2026-03-01T12:00:00Z")


async def test_a_delete_is_permanent(omi: Client) -> None:
    """The first answers success, the second 404, and so does a patch."""
    item = omi.sandbox.add("Text")
    first = await omi.send("DELETE", item_path(item))
    assert (first.status, first.body) == (200, {"success": True})
    second = await omi.send("DELETE", item_path(item))
    assert (second.status, second.body) == (404, {"detail": "Action item not found"})
    patch = await omi.send("PATCH", item_path(item), {"completed": True})
    assert patch.status == 404


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"completed": True}), ("DELETE", None)])
async def test_a_locked_item_answers_402(omi: Client, method: str, body: object) -> None:
    """An item locked by the plan takes no change."""
    item = omi.sandbox.add("Locked", locked=True)
    answer = await omi.send(method, item_path(item), body)
    assert (answer.status, type(answer.body["detail"])) == (402, str)
    assert omi.sandbox.items == {item.id: item}
    assert not item.completed


# Notifications.


async def test_a_due_date_rings_the_phone(omi: Client) -> None:
    """Creates with a date notify, completed ones too; those without one do not."""
    await omi.send("POST", body={"description": "Silent"})
    await omi.send("POST", body={"description": "Due", "due_at": DUE})
    await omi.send("POST", body={"description": "Done", "due_at": DUE, "completed": True})
    batch = [{"description": "One"}, {"description": "Two", "due_at": DUE}]
    await omi.send("POST", BATCH, {"action_items": batch})
    rung = omi.sandbox.notifications
    assert [text for _, _, text in rung] == ["Due", "Done", "Two"]
    assert [omi.sandbox.items[item].description for _, item, _ in rung] == ["Due", "Done", "Two"]
    assert {at for at, _, _ in rung} == {NOON.timestamp()}


async def test_a_patched_due_date_rings_again(omi: Client) -> None:
    """Sending a date notifies; changing other fields or clearing the date does not."""
    item = omi.sandbox.add("Text", due_at=NOON)
    await omi.send("PATCH", item_path(item), {"description": "Other"})
    await omi.send("PATCH", item_path(item), {"due_at": None})
    assert omi.sandbox.notifications == []
    await omi.send("PATCH", item_path(item), {"due_at": DUE})
    assert [text for _, _, text in omi.sandbox.notifications] == ["Other"]


# The list.


async def test_the_order_of_the_list(omi: Client) -> None:
    """Open first, then due ascending, undated last, then newest created."""
    add = omi.sandbox.add
    later = NOON + timedelta(days=1)
    for text, completed, due in [
        ("6 done, undated, older", True, None),
        ("5 done, undated, newer", True, None),
        ("4 done, due", True, NOON),
        ("3 open, undated", False, None),
        ("2 open, due later", False, later),
        ("1 open, due", False, NOON),
    ]:
        add(text, completed=completed, due_at=due)
    rows = (await omi.send("GET")).body
    assert [row["description"][0] for row in rows] == list("123456")


async def test_the_list_is_a_bare_array(omi: Client) -> None:
    """No total, no cursor, no ETag: an empty account is an empty array."""
    answer = await omi.send("GET")
    assert answer.body == []
    assert "ETag" not in answer.headers


@pytest.mark.parametrize(
    ("limit", "shown"), [(None, 100), (0, 1), (-5, 1), (7, 7), (1000, 1000), (5000, 1000)]
)
async def test_the_limit_is_clamped(omi: Client, limit: int | None, shown: int) -> None:
    """The default is 100, and any limit becomes one between 1 and 1000, in silence."""
    for n in range(1010):
        omi.sandbox.add(f"Task {n}")
    query = {} if limit is None else {"limit": limit}
    assert len(await omi.ids(**query)) == shown


async def test_2000_is_the_ceiling(omi: Client) -> None:
    """Nothing beyond the 2000th document can be reached by paging."""
    for n in range(2100):
        omi.sandbox.add(f"Task {n}")
    assert len(await omi.ids(limit=1000, offset=1000)) == 1000
    assert len(await omi.ids(limit=1000, offset=1900)) == 100
    assert await omi.ids(limit=1000, offset=2000) == []


async def test_pages_overlap_and_items_vanish(omi: Client) -> None:
    """Walking 300 items in pages of 100 shows some twice and some never."""
    for n in range(300):
        omi.sandbox.add(f"Task {n}")
    pages = [await omi.ids(limit=100, offset=offset) for offset in (0, 100, 200)]
    seen = [item for page in pages for item in page]
    assert len(seen) == 300
    assert 150 < len(set(seen)) < 290
    assert len(set(await omi.ids(limit=1000))) == 300


async def test_only_the_first_documents_are_sorted(omi: Client) -> None:
    """Of more items than limit + 32, those with a high id are not even looked at."""
    ids = [f"{n:03}" for n in range(50)]
    for n, item_id in enumerate(ids):
        omi.sandbox.add("Text", item_id=item_id, due_at=NOON - timedelta(days=n))
    assert await omi.ids(limit=10) == list(reversed(ids[32:42]))
    assert await omi.ids(limit=5, offset=5) == list(reversed(ids[32:37]))


async def test_locked_rows_shorten_a_page(omi: Client) -> None:
    """Locked rows are dropped after paging: a short page, even an empty one, is not the last."""
    for n in range(6):
        omi.sandbox.add(f"Task {n}", locked=n >= 3, created_at=NOON + timedelta(minutes=n))
    assert await omi.ids(limit=3, offset=0) == []
    assert len(await omi.ids(limit=3, offset=3)) == 3


async def test_completed_and_conversation_filter(omi: Client) -> None:
    """The two plain filters, alone and together."""
    done = omi.sandbox.add("Done", completed=True)
    told = omi.sandbox.add("Told", conversation_id="c1")
    both = omi.sandbox.add("Both", completed=True, conversation_id="c1")
    assert set(await omi.ids(completed="true")) == {done.id, both.id}
    assert await omi.ids(completed="false") == [told.id]
    assert set(await omi.ids(conversation_id="c1")) == {told.id, both.id}
    assert await omi.ids(conversation_id="c1", completed="true") == [both.id]


async def test_a_window_is_inclusive_and_newest_first(omi: Client) -> None:
    """Dates filter on created_at, both ends included; naive ones are UTC."""
    made = [omi.sandbox.add(str(n), created_at=NOON + timedelta(hours=n)) for n in range(5)]
    omi.sandbox.items[made[4].id].completed = True
    ids = [item.id for item in made]
    window = {"start_date": "2026-03-01T13:00:00Z", "end_date": "2026-03-01T15:00:00"}
    assert await omi.ids(**window) == [ids[3], ids[2], ids[1]]
    assert await omi.ids(start_date="2026-03-01") == list(reversed(ids))
    assert await omi.ids(end_date="2026-03-01T14:00:00+01:00") == [ids[1], ids[0]]
    assert await omi.ids(start_date="2026-03-01", completed="true") == [ids[4]]


async def test_a_window_is_complete_below_the_limit(omi: Client) -> None:
    """However many items exist, a window shows all of its own."""
    for n in range(3000):
        omi.sandbox.add(str(n), created_at=NOON + timedelta(seconds=n))
    start, end = NOON + timedelta(seconds=1500), NOON + timedelta(seconds=2398)
    found = await omi.ids(limit=1000, start_date=start.isoformat(), end_date=end.isoformat())
    assert len(found) == 899
    newest = await omi.ids(limit=10, start_date="2026-03-01")
    assert [omi.sandbox.items[i].description for i in newest] == [
        str(n) for n in range(2999, 2989, -1)
    ]


async def test_a_window_may_come_in_list_order() -> None:
    """A server that sorts its windows shows neither the newest nor a gapless range."""
    async with served(sorts_windows=True) as omi:
        for n in range(60):
            omi.sandbox.add(str(n), due_at=NOON, created_at=NOON + timedelta(seconds=n))
        omi.sandbox.add("undated", created_at=NOON + timedelta(hours=1))
        found = (await omi.send("GET", params={"limit": 10, "start_date": "2026-03-01"})).body
        assert [row["description"] for row in found] == [str(n) for n in range(59, 49, -1)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("limit", "many"),
        ("offset", "1.5"),
        ("completed", "maybe"),
        ("start_date", "yesterday"),
        ("end_date", "2026-13-01"),
    ],
)
async def test_a_bad_query_names_the_parameter(omi: Client, name: str, text: str) -> None:
    """A query that cannot be read is a 422 about that parameter."""
    answer = await omi.send("GET", params={name: text})
    assert (answer.status, places(answer)) == (422, [["query", name]])


# Identity and time.


async def test_ids_may_need_encoding() -> None:
    """Ids are opaque: one with blanks, percent and hash signs works when encoded."""
    async with served(weird_ids=True) as omi:
        items = [omi.sandbox.add(f"Task {n}") for n in range(20)]
        assert any(quote(item.id, safe="") != item.id for item in items)
        for item in items:
            assert (await omi.send("PATCH", item_path(item), {"completed": True})).status == 200
        for item_id in await omi.ids():
            assert (await omi.send("DELETE", item_path(item_id))).status == 200
        assert not omi.sandbox.items


async def test_a_reprocessed_item_has_a_new_id(omi: Client) -> None:
    """The old id is gone, an equal item has another."""
    old = omi.sandbox.add("Text", conversation_id="c1")
    new = omi.sandbox.reprocess(old.id)
    assert (await omi.send("DELETE", item_path(old))).status == 404
    assert await omi.ids() == [new.id]
    assert (new.description, new.created_at) == (old.description, old.created_at)


async def test_updated_at_moves_by_itself(omi: Client) -> None:
    """An invisible change moves updated_at and nothing else."""
    item = omi.sandbox.add("Text")
    before = (await omi.send("GET")).body[0]
    omi.sandbox.touch(item.id)
    after = (await omi.send("GET")).body[0]
    assert instant(after.pop("updated_at")) > instant(before.pop("updated_at"))
    assert after == before


async def test_dates_may_be_null(omi: Client) -> None:
    """Any date of a row may be missing; a window does not show a row without created_at."""
    item = omi.sandbox.add("Old")
    item.created_at = item.updated_at = None
    row = (await omi.send("GET")).body[0]
    assert {row[name] for name in row if name.endswith("_at")} == {None}
    assert await omi.ids(start_date="2000-01-01") == []


async def test_times_come_in_every_spelling() -> None:
    """With Z or +00:00, with 0 to 6 fractional digits; always the same instant."""
    async with served(mixed_times=True) as omi:
        omi.sandbox.add("Text", due_at=NOON)
        for _ in range(2):  # three rows take turns in fourteen spellings
            omi.sandbox.add("Text", due_at=NOON + timedelta(microseconds=120))
        spellings: set[str] = set()
        for _ in range(14):
            spellings.update(row["due_at"] for row in (await omi.send("GET")).body)
    assert {instant(text) for text in spellings} == {
        NOON,
        NOON + timedelta(microseconds=120),
    }
    tails = {re.sub(r"\d", "0", text[19:]) for text in spellings}
    assert {"Z", "+00:00", ".0Z", ".000000Z", ".000000+00:00"} <= tails


# Paths, keys, scopes.


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", f"{BASE}/some-id", 405, "Method Not Allowed"),
        ("POST", f"{BASE}/some-id", 405, "Method Not Allowed"),
        ("GET", BATCH, 405, "Method Not Allowed"),
        ("PUT", BASE, 405, "Method Not Allowed"),
        ("DELETE", BASE, 405, "Method Not Allowed"),
        ("PATCH", BATCH, 404, "Action item not found"),
        ("GET", f"{BASE}/", 404, "Not Found"),
        ("DELETE", f"{BASE}/a/b", 404, "Not Found"),
        ("DELETE", f"{BASE}/a%2Fb", 404, "Not Found"),
        ("GET", "/", 404, "Not Found"),
        ("GET", "/v1/dev/user/memories", 404, "Not Found"),
    ],
)
async def test_only_five_operations_exist(
    omi: Client, method: str, path: str, status: int, detail: str
) -> None:
    """Another method is a 405, another path a 404; there is no GET of one item."""
    answer = await omi.send(method, path, {"completed": True} if method == "PATCH" else None)
    assert (answer.status, answer.body) == (status, {"detail": detail})


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        KEY,
        "Bearer",
        "Bearer ",
        f"bearer {KEY}",
        f"BEARER {KEY}",
        f"Basic {KEY}",
        f"Bearer  {KEY}",
        "Bearer omi_dev_somebody_else",
        "Bearer omi_mcp_0123456789abcdef",
    ],
)
async def test_an_unknown_key_is_401(omi: Client, sent: str | None) -> None:
    """The header is `Bearer`, exactly so, and a known key; anything else is a 401."""
    headers = {} if sent is None else {"Authorization": sent}
    answer = await omi.send("GET", headers=headers)
    assert (answer.status, answer.body) == (401, {"detail": "Invalid API key"})


async def test_a_revoked_key_is_401(omi: Client) -> None:
    """Keys can be taken away while the server runs."""
    del omi.sandbox.keys[KEY]
    assert (await omi.send("GET")).status == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", BASE, {"description": "x"}),
        ("POST", BATCH, {"action_items": []}),
        ("PATCH", f"{BASE}/x", {"completed": True}),
        ("DELETE", f"{BASE}/x", None),
    ],
)
async def test_a_read_only_key_cannot_write(
    omi: Client, method: str, path: str, body: object
) -> None:
    """A key with the read scope alone lists, and is told which scope it lacks."""
    omi.headers["Authorization"] = f"Bearer {READ_ONLY_KEY}"
    assert (await omi.send("GET")).status == 200
    answer = await omi.send(method, path, body)
    assert answer.status == 403
    assert answer.body["detail"] == ("Insufficient permissions. Required scope: action_items:write")


async def test_a_write_only_key_cannot_list(omi: Client) -> None:
    """The read scope is a scope of its own."""
    omi.sandbox.keys[KEY] = frozenset({"action_items:write"})
    answer = await omi.send("GET")
    assert (answer.status, answer.body["detail"][-17:]) == (403, "action_items:read")


# Budgets.


async def test_reads_and_writes_have_their_own_budgets() -> None:
    """Used up, a bucket answers 429 with its headers and nothing is done; the other goes on."""
    clock = Clock(NOON.timestamp())
    async with served(clock=clock, reads_per_hour=1, writes_per_hour=2) as omi:
        batch = {"action_items": [{"description": "x"}] * 50}
        assert (await omi.send("POST", BATCH, batch)).status == 200
        clock.now += 600.5
        assert (await omi.send("POST", body={"description": "y"})).status == 200
        refused = await omi.send("POST", body={"description": "z"})
        assert refused.status == 429
        assert refused.body == {"detail": "Rate limit exceeded. Try again in 3000s."}
        assert refused.headers["Retry-After"] == "3000"
        assert refused.headers["X-RateLimit-Limit"] == "2"
        assert refused.headers["X-RateLimit-Remaining"] == "0"
        assert len(omi.sandbox.items) == 51
        listed = await omi.send("GET")
        assert (listed.status, "X-RateLimit-Limit" in listed.headers) == (200, False)
        assert (await omi.send("GET")).status == 429


async def test_a_window_is_fixed_and_an_hour_long() -> None:
    """The window begins with its first request; refused requests do not prolong it."""
    clock = Clock(NOON.timestamp())
    async with served(clock=clock, writes_per_hour=1) as omi:
        item = omi.sandbox.add("Text")
        assert (await omi.send("PATCH", item_path(item), {"completed": True})).status == 200
        clock.now += 3599.9
        late = await omi.send("DELETE", item_path(item))
        assert (late.status, late.headers["Retry-After"]) == (429, "1")
        clock.now += 0.2
        assert (await omi.send("DELETE", item_path(item))).status == 200
        assert (await omi.send("DELETE", item_path(item))).headers["Retry-After"] == "3600"


async def test_each_key_has_its_budget() -> None:
    """One key's requests do not use up another's."""
    async with served(reads_per_hour=1) as omi:
        assert (await omi.send("GET")).status == 200
        assert (await omi.send("GET")).status == 429
        omi.headers["Authorization"] = f"Bearer {READ_ONLY_KEY}"
        assert (await omi.send("GET")).status == 200


async def test_a_refused_key_costs_no_budget_but_bad_content_does() -> None:
    """The checks come in the order 401, 403, 429, 422."""
    async with served(writes_per_hour=1) as omi:
        bad = {"description": ""}
        for key, status in [("omi_dev_x", 401), (READ_ONLY_KEY, 403), (KEY, 422), (KEY, 429)]:
            omi.headers["Authorization"] = f"Bearer {key}"
            assert (await omi.send("POST", body=bad)).status == status


async def test_path_and_json_are_looked_at_before_the_key(omi: Client) -> None:
    """Without a key a wrong path is still a 404, a wrong method a 405, broken JSON a 422."""
    headers = {"Content-Type": "application/json"}
    for method, path, status in [
        ("GET", "/nowhere", 404),
        ("PUT", BASE, 405),
        ("POST", BASE, 422),
    ]:
        answer = await omi.send(method, path, data=b"{", headers=headers)
        assert answer.status == status


async def test_the_date_header_follows_the_clock() -> None:
    """A client that trusts the server's Date sees the injected time."""
    clock = Clock(NOON.timestamp())
    async with served(clock=clock) as omi:
        clock.now += 86400
        for answer in (await omi.send("GET"), await omi.send("GET", "/nowhere")):
            assert parsedate_to_datetime(answer.headers["Date"]) == NOON + timedelta(days=1)


# Faults.

BEFORE = [
    "5xx_before",
    "reset_before",
    "redirect",
    "html",
    "intercepted",
    "429",
    "402",
    "408",
    "413",
    "426",
]
AFTER = ["5xx_after", "reset_after", "garbage"]


async def attempt(omi: Client, *request: object) -> Answer | None:
    """Send a request that may get no answer; None then."""
    try:
        return await omi.send(*request)
    except aiohttp.ClientConnectionError:
        return None


@pytest.mark.parametrize("fault", BEFORE + AFTER)
async def test_a_fault_says_on_which_side_of_the_commit_it_strikes(omi: Client, fault: Any) -> None:
    """Before: nothing is done. After: the change is made. Neither answers with a usable 200."""
    omi.sandbox.fault_next(fault)
    answer = await attempt(omi, "POST", BASE, {"description": "Text"})
    assert answer is None or answer.status != 200 or answer.body is None
    assert [item.description for item in omi.sandbox.items.values()] == ["Text"] * (fault in AFTER)
    recorded = omi.sandbox.requests[-1]
    assert recorded.fault == fault
    assert recorded.status == (None if answer is None else answer.status)
    assert (await omi.send("POST", body={"description": "Next"})).status == 200


@pytest.mark.parametrize("fault", AFTER)
@pytest.mark.parametrize(("method", "body"), [("PATCH", {"completed": True}), ("DELETE", None)])
async def test_changes_and_deletes_happen_before_a_late_fault(
    omi: Client, fault: Any, method: str, body: object
) -> None:
    """A lost reply does not undo the change."""
    item = omi.sandbox.add("Text")
    omi.sandbox.fault_next(fault)
    await attempt(omi, method, item_path(item), body)
    assert item.completed if method == "PATCH" else not omi.sandbox.items


async def test_a_late_5xx_strikes_before_the_phone_rings(omi: Client) -> None:
    """The item is committed, its notification is lost; after a reset both happened."""
    omi.sandbox.fault_next("5xx_after", "reset_after")
    for text in ("Unrung", "Rung"):
        await attempt(omi, "POST", BASE, {"description": text, "due_at": DUE})
    assert len(omi.sandbox.items) == 2
    assert [text for _, _, text in omi.sandbox.notifications] == ["Rung"]


async def test_5xx_come_in_every_shape(omi: Client) -> None:
    """JSON with a retryable object, a string, plain text, HTML and nothing at all."""
    omi.sandbox.fault_next(*["5xx_before"] * 5)
    answers = [await omi.send("GET") for _ in range(5)]
    assert {answer.status for answer in answers} == {500, 502, 503, 504}
    details = [answer.body["detail"] for answer in answers if answer.body]
    assert [type(detail) for detail in details] == [dict, str]
    assert details[0]["retryable"] is True
    assert {answer.headers["Content-Type"].partition(";")[0] for answer in answers} == {
        "application/json",
        "text/plain",
        "text/html",
    }


async def test_a_reset_is_a_reset(omi: Client) -> None:
    """The connection breaks off instead of ending in order."""
    omi.sandbox.fault_next("reset_before")
    reader, writer = await asyncio.open_connection("127.0.0.1", omi.sandbox.port)
    writer.write(f"GET {BASE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_garbage_is_a_200_cut_short(omi: Client) -> None:
    """Half of the JSON arrives, with a right length and content type."""
    omi.sandbox.fault_next("garbage")
    answer = await omi.send("POST", body={"description": "Text"})
    assert (answer.status, answer.body) == (200, None)
    assert answer.raw.startswith(b'{"id":"')


async def test_a_redirect_leads_elsewhere(omi: Client) -> None:
    """Following it would carry the key to a path that is none of ours."""
    omi.sandbox.fault_next("redirect")
    answer = await omi.send("POST", body={"description": "Text"})
    assert (answer.status, answer.headers["Location"]) == (307, f"{omi.sandbox.url}/elsewhere")


@pytest.mark.parametrize("wait", [1, 3600, "Sun, 01 Mar 2026 12:10:00 GMT"])
async def test_a_429_on_purpose_says_how_long(omi: Client, wait: int | str) -> None:
    """Its Retry-After is ours to choose, in seconds or as a date."""
    omi.sandbox.retry_after = wait
    omi.sandbox.fault_next("429")
    answer = await omi.send("POST", body={"description": "Text"})
    assert (answer.status, answer.headers["Retry-After"]) == (429, str(wait))


@pytest.mark.parametrize(("fault", "made"), [("hang", 0), ("hang_after", 1)])
async def test_a_hang_lasts_until_the_client_leaves(omi: Client, fault: Any, made: int) -> None:
    """No answer comes; the change is made or not as the fault says; others are served."""
    omi.sandbox.fault_next(fault)
    asked = asyncio.create_task(omi.send("POST", body={"description": "Text"}))
    await omi.sandbox.wait_for(lambda s: len(s.waiting) == 1)
    assert (await omi.send("GET")).status == 200
    assert not asked.done()
    assert len(omi.sandbox.items) == made
    assert [(r.fault, r.status) for r in omi.sandbox.requests] == [(fault, None), (None, 200)]
    asked.cancel()
    await asyncio.wait([asked])


async def test_stopping_does_not_wait_for_hanging_requests() -> None:
    """The server stops at once; the hanging and the slow client see a broken connection."""
    sandbox = Sandbox()
    sandbox.slow_seconds = 3600
    async with aiohttp.ClientSession() as session:
        async with sandbox:
            sandbox.fault_next("hang", "slow")
            session._retry_connection = False
            omi = Client(sandbox, session)
            asked = [asyncio.create_task(attempt(omi, "GET")) for _ in range(2)]
            await sandbox.wait_for(lambda s: len(s.waiting) == 2)
        assert await asyncio.gather(*asked) == [None, None]


async def test_a_slow_answer_comes_in_the_end(omi: Client) -> None:
    """Slow is not lost: the right answer, recorded with its fault."""
    omi.sandbox.slow_seconds = 0.01
    omi.sandbox.fault_next("slow")
    answer = await omi.send("POST", body={"description": "Text"})
    assert answer.status == 200
    assert omi.sandbox.requests[-1].fault == "slow"


async def test_a_slow_change_is_made_after_its_client_gave_up(omi: Client) -> None:
    """The worst of timeouts: the item appears only once the client has stopped waiting."""
    omi.sandbox.slow_seconds = 3600
    omi.sandbox.fault_next("slow")
    asked = asyncio.create_task(omi.send("POST", body={"description": "Late"}))
    await omi.sandbox.wait_for(lambda s: bool(s.waiting))
    asked.cancel()
    await asyncio.wait([asked])
    assert not omi.sandbox.items
    omi.sandbox.release()
    await omi.sandbox.wait_for(lambda s: s.writes == 1)
    assert [item.description for item in omi.sandbox.items.values()] == ["Late"]


async def test_faults_queue_by_method(omi: Client) -> None:
    """A fault for one method waits for it; None lets one request through."""
    omi.sandbox.fault_next(None, "404", method="POST")
    omi.sandbox.fault_next("413")
    post = [await omi.send("POST", body={"description": "x"}) for _ in range(2)]
    get = [await omi.send("GET") for _ in range(2)]
    assert [answer.status for answer in post + get] == [200, 404, 413, 200]


async def test_drawn_faults_are_repeatable() -> None:
    """The same seed gives the same faults; an empty mapping ends them."""
    runs = []
    for _ in range(2):
        async with served() as omi:
            omi.sandbox.fault_rate({"5xx_before": 0.3, "429": 0.3}, seed=5)
            statuses = [(await omi.send("GET")).status for _ in range(40)]
            omi.sandbox.fault_rate({})
            assert (await omi.send("GET")).status == 200
            runs.append(statuses)
    assert runs[0] == runs[1]
    assert {200, 429, 503} <= set(runs[0])
    with pytest.raises(ValueError, match="more than 1"):
        Sandbox().fault_rate({"hang": 0.6, "slow": 0.6})


# Items that the server refuses.


async def test_a_poisoned_item_always_fails(omi: Client) -> None:
    """500 before the commit: alone, in a batch with others, changed or deleted."""
    omi.sandbox.poison.add("Bad")
    item = omi.sandbox.add("Bad")
    batch = {"action_items": [{"description": "Good"}, {"description": " Bad "}]}
    for request in [
        ("POST", BASE, {"description": "Bad"}),
        ("POST", BATCH, batch),
        ("PATCH", item_path(item), {"completed": True}),
        ("DELETE", item_path(item)),
    ]:
        assert (await omi.send(*request)).status == 500
    assert omi.sandbox.items == {item.id: item}
    assert not item.completed


async def test_a_refused_description_has_its_status(omi: Client) -> None:
    """422 names the field, others speak in a string; in a batch the index is told."""
    omi.sandbox.refuse.update({"Rude": 422, "Costly": 402})
    item = omi.sandbox.add("Fine")
    rude = await omi.send("POST", body={"description": "Rude"})
    assert (rude.status, places(rude)) == (422, [["body", "description"]])
    assert (await omi.send("POST", body={"description": "Costly"})).status == 402
    assert (await omi.send("PATCH", item_path(item), {"description": "Costly"})).status == 402
    batch = {"action_items": [{"description": "Good"}, {"description": "Costly"}]}
    both = await omi.send("POST", BATCH, batch)
    assert (both.status, places(both)) == (422, [["body", "action_items", 1, "description"]])
    omi.sandbox.names_culprit = False
    vague = await omi.send("POST", BATCH, batch)
    assert (vague.status, type(vague.body["detail"])) == (422, str)
    assert [i.description for i in omi.sandbox.items.values()] == ["Fine"]


# Records and the state file.


def names(folder: Path) -> list[str]:
    """Return what stands in a folder."""
    return sorted(path.name for path in folder.iterdir())


async def test_requests_are_recorded_without_the_key(omi: Client) -> None:
    """A record holds all of a request, and of the key its first 6 and last 4 characters."""
    shown: list[Request] = []
    omi.sandbox.on_request = shown.append
    headers = omi.headers | {"Idempotency-Key": "k1"}
    item = omi.sandbox.add("a b", item_id="a b")
    await omi.send("GET", params={"limit": 5})
    await omi.send("PATCH", item_path(item), {"completed": True}, headers=headers)
    get, patch = omi.sandbox.requests
    assert shown == [get, patch]
    assert (get.method, get.path, get.query, get.body) == ("GET", BASE, {"limit": "5"}, None)
    assert (patch.path, patch.body) == (f"{BASE}/a b", {"completed": True})
    assert (patch.status, patch.fault, patch.at) == (200, None, NOON.timestamp())
    assert patch.headers["idempotency-key"] == "k1"
    assert patch.headers["Authorization"] == f"Bearer omi_de...{KEY[-4:]}"
    assert KEY not in repr(omi.sandbox.requests)
    assert (omi.sandbox.reads, omi.sandbox.writes) == (1, 1)


@pytest.mark.parametrize(
    "sent", [KEY, f"bearer {KEY}", f"Bearer  {KEY}", f"Bearer {KEY} x", "Bearer short"]
)
async def test_even_a_malformed_header_is_masked(omi: Client, sent: str) -> None:
    """Whatever was sent in place of the key, it is not kept."""
    await omi.send("GET", headers={"Authorization": sent})
    kept = omi.sandbox.requests[0].headers["Authorization"]
    assert KEY not in kept
    assert "short" not in kept


async def test_wait_for_sees_each_request(omi: Client) -> None:
    """A state that lasts for one request only is not missed."""
    waits = asyncio.create_task(omi.sandbox.wait_for(lambda s: len(s.requests) == 2))
    await asyncio.sleep(0)
    await asyncio.gather(*(omi.send("GET") for _ in range(5)))
    await waits
    await omi.sandbox.wait_for(lambda s: len(s.requests) == 5)


async def test_the_state_file_survives_a_restart(tmp_path: Path) -> None:
    """Every change is in the file; a new server goes on from there."""
    path = tmp_path / "omi.json"
    async with served(state=path) as omi:
        made = (await omi.send("POST", body={"description": "Ünïcode", "due_at": DUE})).body
        gone = (await omi.send("POST", body={"description": "Gone"})).body
        locked = omi.sandbox.add("Locked", locked=True, conversation_id="c")
        await omi.send("DELETE", item_path(gone["id"]))
        await omi.send("PATCH", item_path(made["id"]), {"completed": True})
        items, rung = dict(omi.sandbox.items), list(omi.sandbox.notifications)
    assert names(tmp_path) == ["omi.json"]
    async with served(state=path) as omi:
        assert omi.sandbox.items == items
        assert omi.sandbox.notifications == rung
        assert omi.sandbox.items[locked.id].locked
        newer = (await omi.send("POST", body={"description": "Newer"})).body
        assert newer["id"] not in items
        stamps = [item.created_at for item in items.values()]
        assert all(instant(newer["created_at"]) > at for at in stamps if at)


def test_a_state_file_is_replaced_not_rewritten(tmp_path: Path) -> None:
    """Who reads the file while it is saved sees all of the state before."""
    path = tmp_path / "omi.json"
    sandbox = Sandbox()
    sandbox.add("Old")
    sandbox.save(path)
    with path.open() as reader:
        sandbox.add("New")
        sandbox.save(path)
        assert [row["description"] for row in json.load(reader)["items"]] == ["Old"]
    assert names(tmp_path) == ["omi.json"]
    other = Sandbox()
    other.load(path)
    assert other.items == sandbox.items


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"items": [{"x": 1}], "notifications": []}'])
async def test_another_file_is_not_taken_for_a_state(tmp_path: Path, text: str) -> None:
    """A foreign file is refused by name and left alone."""
    path = tmp_path / "todo.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"todo\.json"):
        async with Sandbox(state=path):
            pass
    assert path.read_text() == text


async def test_a_folder_is_no_state(tmp_path: Path) -> None:
    """It is refused like another file."""
    with pytest.raises(UsageError, match="is not a state file"):
        async with Sandbox(state=tmp_path):
            pass


async def test_entering_again_serves_the_same_account(omi: Client) -> None:
    """A server that went away comes back at the same address, with its items."""
    sandbox = Sandbox()
    async with sandbox:
        url = sandbox.url
    item = sandbox.add("Text")
    async with client(sandbox) as again:
        assert sandbox.url == url
        assert await again.ids() == [item.id]


async def test_a_taken_port_is_said(omi: Client) -> None:
    """Two sandboxes cannot share a port."""
    with pytest.raises(UsageError, match=f"port {omi.sandbox.port}: Address already in use"):
        async with Sandbox(port=omi.sandbox.port):
            pass


# The command.


async def test_the_command_prints_address_key_and_requests(tmp_path: Path) -> None:
    """Address and key come first, then a line for each request; a signal ends it with 0.

    Its ids are its own: one that a former server gave is nobody's.
    """
    program = (
        "import asyncio, pathlib, sys; from omisync import sandbox; "
        "asyncio.run(sandbox.serve(0, pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "state.json")]
    # From the project's root the package is found even when it is not installed.
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    key = (await process.stdout.readline()).decode().strip()
    assert re.fullmatch(r"export OMI_API_BASE=http://127\.0\.0\.1:\d+", url)
    assert key == f"export OMI_API_KEY={KEY}"
    batch = {"action_items": [{"description": "x"}] * 50}
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        await (await session.post(url.partition("=")[2] + BATCH, json=batch)).read()
        said = (await process.stdout.readline()).decode()
    assert re.fullmatch(rf"\d\d:\d\d:\d\d  POST    {BATCH}  200  50 items created\n", said)
    process.terminate()
    assert (await process.communicate())[0] == b""
    assert process.returncode == 0
    saved = {row["id"] for row in json.loads((tmp_path / "state.json").read_text())["items"]}
    assert len(saved) == 50
    assert Sandbox().add("x").id not in saved


async def test_serving_can_be_watched_in_process() -> None:
    """The same command writes to any stream."""
    out = io.StringIO()
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
    await serve(out=out)
    assert len(out.getvalue().splitlines()) == 2


async def test_a_line_is_safe_to_print(omi: Client) -> None:
    """Control characters, newlines and long texts do not reach the terminal as they are."""
    wanted = {"description": "Red \x1b[31m\nsecond " + "long " * 30}
    omi.sandbox.fault_next("reset_before")
    await attempt(omi, "DELETE", item_path("a\nb c"))
    await omi.send("POST", body=wanted)
    await omi.send("GET", params={"limit": 3, "completed": "false"})
    dropped, created, listed = map(line, omi.sandbox.requests)
    assert created.isprintable()
    assert created.endswith("…")
    assert "created: Red [31m second long" in created
    assert dropped[8:] == f"  DELETE  {BASE}/a%0Ab%20c  ---  [reset_before]"
    assert listed[8:] == f"  GET     {BASE}?limit=3&completed=false  200  1 item shown"


# The checks themselves.


def test_the_published_schemas_are_schemas() -> None:
    """The file that everything is checked against is itself well-formed."""
    schemas = document()["components"]["schemas"]
    assert len(schemas) == 9
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


async def recorded(omi: Client, *request: Any, **options: Any) -> Request:
    """Send a request and return its record."""
    await omi.send(*request, **options)
    return omi.sandbox.requests[-1]


async def test_good_requests_pass_the_check(omi: Client) -> None:
    """Every operation, as the contract writes it."""
    item = omi.sandbox.add("Text", item_id="a#b")
    new = {"description": "x", "completed": False, "due_at": DUE}
    query = {"limit": 1000, "offset": 0, "completed": "true", "start_date": DUE}
    check_request(await recorded(omi, "POST", BASE, new))
    check_request(await recorded(omi, "POST", BATCH, {"action_items": [new]}))
    check_request(await recorded(omi, "PATCH", item_path(item), {"due_at": None}))
    check_request(await recorded(omi, "DELETE", item_path(item)))
    check_request(await recorded(omi, "GET", BASE, params=query))


@pytest.mark.parametrize(
    ("method", "path", "body", "options"),
    [
        ("POST", BASE, {"description": ""}, {}),
        ("POST", BASE, {"description": "x" * 501}, {}),
        ("POST", BASE, {"completed": True}, {}),
        ("POST", BASE, {"description": "x", "due_at": None}, {}),
        ("POST", BASE, {"description": "x", "due_at": "2026-03-08"}, {}),
        ("POST", BASE, {"description": "x", "due_at": "2026-03-08T10:00:00"}, {}),
        ("POST", BASE, {"description": "x", "done": True}, {}),
        ("POST", BASE, None, {"data": b'{"description": "x"}'}),
        ("POST", BATCH, {"action_items": [{"description": "x"}] * 51}, {}),
        ("POST", BATCH, {"action_items": [{"description": "x", "due_at": "soon"}]}, {}),
        ("PATCH", f"{BASE}/x", {"completed": "yes"}, {}),
        ("DELETE", f"{BASE}/x", {"completed": True}, {}),
        ("GET", f"{BASE}/x", None, {}),
        ("GET", BASE, None, {"params": {"completed": "True"}}),
        ("GET", BASE, None, {"params": {"limit": "ten"}}),
        ("GET", BASE, None, {"params": {"since": "2026-03-08T10:00:00Z"}}),
        ("GET", BASE, None, {"params": {"start_date": "2026-03-08"}}),
        ("GET", BASE, None, {"headers": {"Authorization": f"bearer {KEY}"}}),
    ],
)
async def test_bad_requests_fail_the_check(
    omi: Client, method: str, path: str, body: object, options: dict[str, Any]
) -> None:
    """What the contract does not allow is found, whether or not the server minds."""
    request = await recorded(omi, method, path, body, **options)
    with pytest.raises((AssertionError, ValidationError)):
        check_request(request)


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("POST", BASE, 200, {"id": "1", "description": "x"}),
        ("POST", BASE, 200, {"id": "1", "description": "x", "completed": False, "due_at": "soon"}),
        ("POST", BASE, 201, {"id": "1", "description": "x", "completed": False}),
        ("POST", BATCH, 200, {"action_items": []}),
        ("GET", BASE, 200, {"action_items": []}),
        ("DELETE", f"{BASE}/x", 200, {}),
        ("DELETE", f"{BASE}/x", 404, {"error": "gone"}),
        ("POST", BASE, 422, {"detail": [{"loc": ["body"]}]}),
        ("GET", "/nowhere", 200, []),
    ],
)
def test_bad_answers_fail_the_check(method: str, path: str, status: int, body: object) -> None:
    """A sandbox that drifted from the contract would be found out."""
    with pytest.raises((AssertionError, ValidationError)):
        check_response(method, path, status, body)
