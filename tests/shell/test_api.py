"""The five operations, against a server that behaves as Omi's."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from rawserver import CLOSE, HANG, RawServer, http

from omisync import __version__, errors
from omisync.api import OmiClient
from omisync.core.model import Fields, Patch
from omisync.sandbox import KEY, Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

DUE = datetime(2026, 1, 31, 17, 0, tzinfo=UTC)
ITEM = {"id": "x", "description": "d", "completed": False}


@asynccontextmanager
async def sandbox(**traits: object) -> AsyncIterator[tuple[Sandbox, OmiClient]]:
    """Open a sandbox with these traits and a client for it."""
    async with Sandbox(**traits) as server, OmiClient(server.url, KEY) as omi:
        yield server, omi


# What is sent, and what comes back.


async def test_a_created_item_comes_back_as_the_server_has_it() -> None:
    """Text, state, due date, id and time of creation are those of the server."""
    async with sandbox() as (server, omi):
        item = await omi.create(Fields("Buy milk", True, DUE), idempotency_key="i1")
        kept = server.items[item.id]
        assert item.fields == Fields("Buy milk", completed=True, due_at=DUE)
        assert (kept.description, kept.completed, kept.due_at) == ("Buy milk", True, DUE)
        assert item.created_at == kept.created_at


async def test_a_create_sends_the_three_fields_and_nothing_else() -> None:
    """An absent due date is absent, a present one has an offset, the intent's id goes along."""
    async with sandbox() as (server, omi):
        await omi.create(Fields("Zoë's 買い物 🛒"), idempotency_key="intent-1")
        paris = timezone(timedelta(hours=1))
        await omi.create(Fields("b", due_at=DUE.astimezone(paris)), idempotency_key="intent-2")
        bare, dated = server.requests
        assert bare.body == {"description": "Zoë's 買い物 🛒", "completed": False}
        assert isinstance(dated.body, dict)
        assert datetime.fromisoformat(dated.body["due_at"]) == DUE
        assert bare.headers["Idempotency-Key"] == "intent-1"
        assert bare.headers["User-Agent"] == f"omisync/{__version__}"


async def test_a_batch_is_one_request_and_keeps_its_order() -> None:
    """Fifty items cost one write and come back in the order they were given."""
    async with sandbox() as (server, omi):
        wanted = [Fields(f"task {n}", n % 2 == 0) for n in range(50)]
        items = await omi.create_batch(wanted, idempotency_key="g")
        assert [item.fields for item in items] == wanted
        assert len(server.items) == 50
        assert server.writes == 1


async def test_a_batch_reply_may_leave_items_out() -> None:
    """The caller sees what the server shows, so that it can tell that something is missing."""
    async with sandbox() as (server, omi):
        server.batch_leaves_out.add("b")
        items = await omi.create_batch([Fields("a"), Fields("b"), Fields("c")], idempotency_key="g")
        assert [item.fields.description for item in items] == ["a", "c"]
        assert len(server.items) == 3


async def test_a_broken_row_of_a_batch_reply_hides_only_itself() -> None:
    """A row that cannot be read is left out; the others keep their ids."""
    reply = {"action_items": [ITEM, {"id": 7}, None], "created_count": 3}
    async with RawServer((http(200, reply),)) as server, OmiClient(server.url, KEY) as omi:
        items = await omi.create_batch([Fields("d")] * 3, idempotency_key="g")
    assert [item.id for item in items] == ["x"]


@pytest.mark.parametrize(
    ("patch", "sent"),
    [
        (Patch(completed=True), {"completed": True}),
        (Patch(completed=False), {"completed": False}),
        (Patch(description="new"), {"description": "new"}),
        (Patch(due_at=DUE), {"due_at": "2026-01-31T17:00:00Z"}),
        (Patch(clear_due=True), {"due_at": None}),
        (Patch("n", True, clear_due=True), {"description": "n", "completed": True, "due_at": None}),
    ],
)
async def test_a_change_sends_only_what_changes(patch: Patch, sent: dict[str, object]) -> None:
    """Fields that stay are not in the body: they would stamp and notify again."""
    async with sandbox() as (server, omi):
        item_id = server.add("old", due_at=DUE - timedelta(days=1)).id
        item = await omi.change(item_id, patch)
        assert server.requests[-1].body == sent
        kept = server.items[item_id]
        assert item.fields == Fields(kept.description, kept.completed, kept.due_at)


async def test_an_old_server_that_keeps_the_date_shows_it() -> None:
    """After clearing a date the reply tells whether it is gone."""
    async with sandbox(clears_due=False) as (server, omi):
        item_id = server.add("old", due_at=DUE).id
        with pytest.raises(errors.ItemRefused, match="At least one field"):
            await omi.change(item_id, Patch(clear_due=True))
        item = await omi.change(item_id, Patch(completed=True, clear_due=True))
        assert item.fields.due_at == DUE


async def test_a_deleted_item_is_gone_and_says_so_the_second_time() -> None:
    """The first delete succeeds, the second and any change raise ItemGone."""
    async with sandbox() as (server, omi):
        item_id = server.add("old").id
        await omi.delete(item_id)
        assert not server.items
        with pytest.raises(errors.ItemGone, match="not found"):
            await omi.delete(item_id)
        with pytest.raises(errors.ItemGone):
            await omi.change(item_id, Patch(completed=True))


async def test_a_delete_may_succeed_without_a_body() -> None:
    """204 No Content is a success as well."""
    async with RawServer((http(204),)) as server, OmiClient(server.url, KEY) as omi:
        await omi.delete("x")
    assert server.seen[0].startswith(b"DELETE /v1/dev/user/action-items/x ")


# What the contract rules out costs no request.


@pytest.mark.parametrize("text", ["", "  \t\u00a0", "x" * 501, "\ud800"])
async def test_an_impossible_text_is_refused_without_a_request(text: str) -> None:
    """A text that Omi cannot store is refused here, as the server would: 422."""
    async with sandbox() as (server, omi):
        item_id = server.add("old").id
        with pytest.raises(errors.ItemRefused) as single:
            await omi.create(Fields(text), idempotency_key="i")
        with pytest.raises(errors.ItemRefused) as batch:
            await omi.create_batch([Fields("a"), Fields(text)], idempotency_key="i")
        with pytest.raises(errors.ItemRefused):
            await omi.change(item_id, Patch(description=text))
        assert (single.value.status, single.value.named) == (422, {})
        assert single.value.message.startswith("Omi cannot store the task: description: ")
        assert batch.value.status == 422
        assert batch.value.named == {1: batch.value.message} == {1: single.value.message}
        assert server.requests == []


async def test_500_code_points_are_accepted() -> None:
    """The limit counts code points, not bytes and not UTF-16 units."""
    async with sandbox() as (_, omi):
        item = await omi.create(Fields("🛒" * 500), idempotency_key="i")
        assert item.fields.description == "🛒" * 500


async def test_a_due_date_without_an_offset_is_never_sent() -> None:
    """The server would read it as UTC, which nobody meant."""
    async with sandbox() as (server, omi):
        with pytest.raises(errors.ItemRefused, match="due_at"):
            await omi.create(Fields("a", due_at=DUE.replace(tzinfo=None)), idempotency_key="i")
        assert server.requests == []


@pytest.mark.parametrize("count", [0, 51])
async def test_a_batch_has_1_to_50_items(count: int) -> None:
    """An impossible batch is refused as a whole: no element is at fault."""
    async with sandbox() as (server, omi):
        with pytest.raises(errors.ItemRefused) as caught:
            await omi.create_batch([Fields("a")] * count, idempotency_key="i")
        assert caught.value.named == {}
        assert server.requests == []


async def test_an_empty_change_reaches_the_server_as_such() -> None:
    """Nothing to change is refused by the server; callers do not send it."""
    async with sandbox() as (server, omi):
        with pytest.raises(errors.ItemRefused):
            await omi.change(server.add("a").id, Patch())


# Ids.


@pytest.mark.parametrize(
    "item_id",
    ["a/b", "../../user", "a?b=c", "a#b", "100%", "%2F", "é☃", "a b", "a+b&c;d", "~.-_", "..."],
)
async def test_any_id_arrives_as_it_is(item_id: str) -> None:
    """An id is opaque: it is one path segment, whatever stands in it."""
    reply = http(200, {**ITEM, "id": item_id})
    async with RawServer((reply,)) as server, OmiClient(server.url, KEY) as omi:
        item = await omi.change(item_id, Patch(completed=True))
    target = server.seen[0].split(b" ")[1].decode("ascii")
    segment = target.removeprefix("/v1/dev/user/action-items/")
    assert item.id == item_id
    assert not set(segment) & set("/?# ")
    assert unquote(segment) == item_id


async def test_strange_ids_meet_the_item_they_name() -> None:
    """Ids with every kind of sign are found again by the server."""
    async with sandbox(weird_ids=True) as (server, omi):
        for n in range(20):
            item = await omi.create(Fields(f"task {n}"), idempotency_key=str(n))
            await omi.change(item.id, Patch(completed=True))
            assert server.items[item.id].completed
            await omi.delete(item.id)
        assert not server.items


@pytest.mark.parametrize("item_id", ["", ".", "..", "a\nb", "\x00", "\ud800", "x" * 1501])
async def test_a_dangerous_id_is_refused_without_a_request(item_id: str) -> None:
    """An id that a proxy could take for another path is never sent."""
    async with sandbox() as (server, omi):
        with pytest.raises(errors.ItemRefused):
            await omi.change(item_id, Patch(completed=True))
        with pytest.raises(errors.ItemRefused):
            await omi.delete(item_id)
        assert server.requests == []


# Replies.


@pytest.mark.parametrize("digits", range(10))
@pytest.mark.parametrize("zone", ["Z", "+00:00", "", "+05:30"])
async def test_times_come_in_many_spellings(digits: int, zone: str) -> None:
    """0 to 9 fractional digits; without an offset it is UTC; ours are always UTC."""
    fraction = f".{'123456789'[:digits]}" if digits else ""
    hour = "22:30" if zone == "+05:30" else "17:00"
    row = {**ITEM, "due_at": f"2026-01-31T{hour}:00{fraction}{zone}"}
    async with RawServer((http(200, row),)) as server, OmiClient(server.url, KEY) as omi:
        item = await omi.create(Fields("d"), idempotency_key="i")
    shown = int("123456"[:digits].ljust(6, "0")) if digits else 0
    assert item.fields.due_at == DUE.replace(microsecond=shown)
    assert item.fields.due_at is not None
    assert item.fields.due_at.tzinfo is UTC


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"due_at": None, "created_at": None, "updated_at": None, "completed_at": None},
        {"new_field": {"deep": [1]}, "is_locked": False},
        {"updated_at": "nonsense", "created_at": "yesterday", "conversation_id": 7},
        {"created_at": "9000-01-01T00:00:00Z"},
        {"created_at": "1999-12-31T23:59:59.999Z"},
        {"created_at": "2200-01-01T00:00:00Z"},
        {"created_at": "0001-01-01T00:00:00+23:59"},
    ],
)
async def test_a_reply_may_hold_less_and_more(extra: dict[str, object]) -> None:
    """Missing dates, unknown fields and fields that nothing depends on do no harm."""
    reply = http(200, ITEM | extra)
    async with RawServer((reply,)) as server, OmiClient(server.url, KEY) as omi:
        item = await omi.create(Fields("d"), idempotency_key="i")
    assert (item.id, item.fields, item.created_at) == ("x", Fields("d"), None)


@pytest.mark.parametrize("made", ["2000-01-01T00:00:00", "2199-12-31T23:59:59"])
async def test_an_item_was_made_in_these_centuries(made: str) -> None:
    """Any other time is that of a clock which is not set."""
    reply = http(200, ITEM | {"created_at": f"{made}Z"})
    async with RawServer((reply,)) as server, OmiClient(server.url, KEY) as omi:
        item = await omi.create(Fields("d"), idempotency_key="i")
    assert item.created_at == datetime.fromisoformat(f"{made}+00:00")


async def test_a_description_comes_back_stripped() -> None:
    """Old items can have spaces around their text; ours never have."""
    reply = http(200, {**ITEM, "description": " \u00a0a\n b\n"})
    async with RawServer((reply,)) as server, OmiClient(server.url, KEY) as omi:
        item = await omi.create(Fields("a"), idempotency_key="i")
    assert item.fields.description == "a\n b"


async def test_half_a_character_is_no_character() -> None:
    """JSON can say it, no file and no store can; a whole pair is one character."""
    halves = b"\\ud800 \\ud83d \\udfff"
    body = b'{"id": "x", "description": "a %b b \\ud83d\\ude00", "completed": false}' % halves
    async with RawServer((http(200, body),)) as server, OmiClient(server.url, KEY) as omi:
        item = await omi.create(Fields("a"), idempotency_key="i")
    assert item.fields.description == "a \ufffd \ufffd \ufffd b \U0001f600"


async def test_the_date_of_the_last_reply_is_known() -> None:
    """Also of a refusal; the skew is measured against our clock."""
    date = "Sat, 31 Jan 2026 17:00:00 GMT"
    answers = http(500, b"", Date=date), http(200, ITEM), http(200, ITEM, Date="nonsense")
    async with RawServer(answers) as server, OmiClient(server.url, KEY) as omi:
        assert omi.server_date is omi.clock_skew is None
        before = time.time()
        with pytest.raises(errors.ServerTrouble):
            await omi.change("x", Patch(completed=True))
        after = time.time()
        for _ in answers[1:]:  # without a usable date the last one stands
            await omi.change("x", Patch(completed=True))
        assert omi.server_date == DUE.timestamp()
        assert omi.clock_skew is not None
        assert DUE.timestamp() - after <= omi.clock_skew <= DUE.timestamp() - before


# Hooks, cancelling, connections.


async def test_the_trace_tells_when_a_request_leaves_and_a_reply_is_read() -> None:
    """request.sent comes before the server sees anything, reply.read after the whole reply."""
    events: list[str] = []
    async with (
        Sandbox() as server,
        OmiClient(server.url, KEY, trace=events.append) as omi,
    ):
        server.on_request = lambda _: events.append("seen")
        await omi.create(Fields("a"), idempotency_key="i")
        server.fault_next("5xx_after")
        with pytest.raises(errors.OutcomeUnknown):
            await omi.create(Fields("b"), idempotency_key="j")
        await omi.listing()
    assert events == ["request.sent", "seen", "reply.read"] * 4


class _Stop(BaseException):
    """Ends the program at one point, as a kill would."""


def _stop_at(event: str) -> Callable[[str], None]:
    def trace(seen: str) -> None:
        if seen == event:
            raise _Stop

    return trace


@pytest.mark.parametrize(("event", "created"), [("request.sent", 0), ("reply.read", 1)])
async def test_stopping_in_the_trace_stops_the_request_there(event: str, created: int) -> None:
    """Before the bytes leave nothing was created; after the reply it was."""
    async with Sandbox() as server, OmiClient(server.url, KEY, trace=_stop_at(event)) as omi:
        with pytest.raises(_Stop):
            await omi.create(Fields("a"), idempotency_key="i")
        assert len(server.items) == created


async def test_cancelling_hangs_up_and_passes() -> None:
    """A cancelled request raises CancelledError, nothing else, and frees its connection."""
    async with RawServer((HANG,)) as server, OmiClient(server.url, KEY) as omi:
        task = asyncio.create_task(omi.create(Fields("a"), idempotency_key="i"))
        await server.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.left.wait()


async def test_one_connection_serves_many_requests() -> None:
    """Requests one after the other share a connection; cookies are not kept."""
    reply = http(200, ITEM, Set_Cookie="a=b; Path=/")
    async with RawServer((reply,)) as server, OmiClient(server.url, KEY) as omi:
        for _ in range(5):
            await omi.change("x", Patch(completed=True))
    assert len(server.seen) == 5
    assert server.connections == 1
    assert not any(b"cookie" in request.lower() for request in server.seen)


@pytest.mark.parametrize("operation", ["create", "change", "delete", "window"])
async def test_nothing_is_sent_twice_when_a_connection_ends(operation: str) -> None:
    """A kept connection that ends at the next request: one request went out, no more."""
    calls = {
        "create": lambda: omi.create(Fields("a"), idempotency_key="i"),
        "change": lambda: omi.change("x", Patch(completed=True)),
        "delete": lambda: omi.delete("x"),
        "window": lambda: omi.window(0, 1),
    }
    async with RawServer((http(200, ITEM), CLOSE)) as server, OmiClient(server.url, KEY) as omi:
        await omi.change("x", Patch(completed=True))
        with pytest.raises((errors.OutcomeUnknown, errors.ServerTrouble)) as caught:
            await calls[operation]()
    assert isinstance(caught.value, errors.OutcomeUnknown) == (operation == "create")
    assert len(server.seen) == 2


async def test_requests_run_side_by_side() -> None:
    """Several calls of one client share it without waiting for each other."""
    async with sandbox() as (server, omi):
        made = await asyncio.gather(
            *(omi.create(Fields(f"t{n}"), idempotency_key=str(n)) for n in range(20))
        )
        assert {item.id for item in made} == set(server.items)


async def test_a_client_is_used_inside_async_with() -> None:
    """Outside there is no session; that is a mistake of the caller."""
    with pytest.raises(RuntimeError, match="async with"):
        await OmiClient("http://127.0.0.1:1", KEY).delete("x")


def test_importing_the_package_loads_nothing_heavy() -> None:
    """A run that sends nothing pays for neither aiohttp nor pydantic."""
    code = (
        "import sys, json, omisync.api, omisync.places;"
        "print(json.dumps(sorted({'aiohttp', 'pydantic', 'asyncio', 'yarl'} & set(sys.modules))))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(run.stdout) == []
