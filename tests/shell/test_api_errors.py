"""Each way a request can fail, and the error that says who must act."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import traceback
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rawserver import CLOSE, HANG, RESET, RawServer, http

from omisync import errors
from omisync.api import OmiClient, faults
from omisync.core.model import Fields, Patch
from omisync.places import masked
from omisync.sandbox import KEY, READ_ONLY_KEY, Sandbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OPERATIONS: dict[str, Callable[[OmiClient], Awaitable[object]]] = {
    "create": lambda omi: omi.create(Fields("a"), idempotency_key="i"),
    "batch": lambda omi: omi.create_batch([Fields("a"), Fields("b")], idempotency_key="i"),
    "change": lambda omi: omi.change("x", Patch(completed=True)),
    "delete": lambda omi: omi.delete("x"),
    "list": lambda omi: omi.window(0, 1),
}
CREATES = ("create", "batch")
UNCLEAR = dict.fromkeys(OPERATIONS, errors.ServerTrouble) | dict.fromkeys(
    CREATES, errors.OutcomeUnknown
)
"""What an operation raises when it may or may not have been done."""

DATE = "Sat, 31 Jan 2026 17:00:00 GMT"


async def failure(operation: str, answer: object, *, timeout: float = 30.0) -> errors.OmisyncError:  # noqa: ASYNC109 - the client's own
    """Return what ``operation`` raises when the server answers so."""
    async with (
        RawServer((answer,), once=True) as server,
        OmiClient(server.url, KEY, timeout=timeout) as omi,
    ):
        with pytest.raises(errors.OmisyncError) as caught:
            await OPERATIONS[operation](omi)
        assert len(server.seen) == 1
    return caught.value


# Complete replies: the table of statuses.

K, L, R, W = errors.KeyProblem, errors.RateLimited, errors.ItemRefused, errors.WrongServer
GONE, LOCKED = errors.ItemGone, errors.ItemLocked
UNKNOWN, TROUBLE = errors.OutcomeUnknown, errors.ServerTrouble
TABLE = {
    # status: on a create, on a change or removal, on reading the list
    301: (W, W, W),
    302: (W, W, W),
    304: (W, W, W),
    307: (W, W, W),
    308: (W, W, W),
    400: (R, R, W),
    401: (K, K, K),
    402: (LOCKED, LOCKED, W),
    403: (K, K, K),
    404: (W, GONE, W),
    405: (W, W, W),
    408: (UNKNOWN, TROUBLE, TROUBLE),
    409: (R, R, W),
    410: (R, R, W),
    413: (W, W, W),
    415: (R, R, W),
    418: (R, R, W),
    422: (R, R, W),
    426: (W, W, W),
    429: (L, L, L),
    451: (R, R, W),
    500: (UNKNOWN, TROUBLE, TROUBLE),
    501: (UNKNOWN, TROUBLE, TROUBLE),
    502: (UNKNOWN, TROUBLE, TROUBLE),
    503: (UNKNOWN, TROUBLE, TROUBLE),
    504: (UNKNOWN, TROUBLE, TROUBLE),
    520: (UNKNOWN, TROUBLE, TROUBLE),
    599: (UNKNOWN, TROUBLE, TROUBLE),
}
ROWS = [
    (operation, status, columns[0 if operation in CREATES else 2 if operation == "list" else 1])
    for status, columns in TABLE.items()
    for operation in OPERATIONS
]


@pytest.mark.parametrize(("operation", "status", "error"), ROWS)
async def test_each_status_says_who_must_act(
    operation: str, status: int, error: type[errors.OmisyncError]
) -> None:
    """Exactly this error, with the server's words and the status where it has a place."""
    body = b"" if status == 304 else {"detail": "Because of reasons"}  # 304 has no body
    raised = await failure(operation, http(status, body))
    assert type(raised) is error
    if isinstance(raised, errors.ItemProblem):
        assert raised.status == status
    if not isinstance(raised, errors.RateLimited) and status not in {301, 302, 304, 307, 308, 408}:
        assert "Because of reasons" in raised.message


@pytest.mark.parametrize("operation", CREATES)
async def test_an_unknown_outcome_names_its_failure(operation: str) -> None:
    """The kind of failure decides how long to wait before looking."""
    kinds = {408: "timeout", 500: "5xx", 503: "5xx"}
    for status, failed in kinds.items():
        raised = await failure(operation, http(status))
        assert isinstance(raised, errors.OutcomeUnknown)
        assert raised.failure == failed


@pytest.mark.parametrize("operation", ["change", "delete"])
@pytest.mark.parametrize(
    "body", [b"", b"<html>Not Found</html>", b"Not Found", b"{}", b"[]", b'{"error": "x"}', b"null"]
)
async def test_a_404_without_the_api_s_detail_is_trouble(operation: str, body: bytes) -> None:
    """A page of a proxy must not read as a deleted item, nor end a daemon for good."""
    raised = await failure(operation, http(404, body))
    assert type(raised) is errors.ServerTrouble
    assert "with 404" in raised.message


@pytest.mark.parametrize("operation", ["change", "delete"])
@pytest.mark.parametrize(
    ("listed", "kind"),
    [
        (http(200, []), errors.ItemGone),
        (http(404, {"detail": "Not Found"}), errors.WrongServer),
        (http(429, b""), errors.RateLimited),
        (http(502, b""), errors.ServerTrouble),
    ],
)
async def test_a_vague_404_takes_a_list_to_prove_that_an_item_is_gone(
    operation: str, listed: bytes, kind: type[errors.OmisyncError]
) -> None:
    """FastAPI says the same of an address that it does not know."""
    answers = (http(404, {"detail": "Not Found"}), listed)
    async with RawServer(answers) as server, OmiClient(server.url, KEY) as omi:
        with pytest.raises(errors.OmisyncError) as caught:
            await OPERATIONS[operation](omi)
    assert type(caught.value) is kind
    assert [one.startswith(b"GET ") for one in server.seen] == [False, True]


async def test_a_read_only_key_is_told_to_be_replaced() -> None:
    """403 names the key, masked, and exactly the scope that a new key needs."""
    async with Sandbox() as server, OmiClient(server.url, READ_ONLY_KEY) as omi:
        with pytest.raises(errors.KeyProblem) as caught:
            await omi.create(Fields("a"), idempotency_key="i")
    assert "lacks the scope action_items:write" in caught.value.message
    assert masked(READ_ONLY_KEY) in caught.value.message
    assert caught.value.advice == (
        "create a new key with action_items:write too, for those of a key cannot be edited, and"
        " put it in the place of this one, which `omisync status` names"
    )


@pytest.mark.parametrize(
    ("operation", "detail", "scope"),
    [
        ("list", "Insufficient permissions. Required scope: action_items:read", "read"),
        ("list", "Forbidden", "read"),
        ("change", "Forbidden", "write"),
        ("delete", {"message": "Required scope: action_items:write"}, "write"),
        ("create", "", "write"),
        ("create", "Required scopes: action_items:read, action_items:write", "read"),
    ],
)
async def test_a_403_means_the_scope_that_it_names_or_the_usual_one(
    operation: str, detail: object, scope: str
) -> None:
    """The first one; else reading needs the read scope, everything else the write scope."""
    raised = await failure(operation, http(403, {"detail": detail}))
    assert raised.advice.startswith(f"create a new key with action_items:{scope} too,")


@pytest.mark.parametrize("body", [b"", b"<html>Forbidden</html>", b"{}"])
async def test_a_403_that_is_not_omi_s_does_not_blame_the_key_alone(body: bytes) -> None:
    """A firewall says so too, and no new key would help."""
    raised = await failure("create", http(403, body))
    assert type(raised) is errors.KeyProblem
    assert "lacks" not in raised.message
    assert "action_items:write" in raised.advice
    assert "firewall" in raised.advice


async def test_an_unknown_key_is_named_but_not_shown() -> None:
    """401 shows the masked key: enough to find it, not enough to use it."""
    raised = await failure("list", http(401, {"detail": "Invalid API key"}))
    assert masked(KEY) in raised.message
    assert "Invalid API key" in raised.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3600"}, 3600),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 7 "}, 7),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "999999999"}, 86_400),
        ({}, 60),
        ({"Retry-After": ""}, 60),
        ({"Retry-After": "soon"}, 60),
        ({"Retry-After": "-5"}, 60),
        ({"Retry-After": "1.5"}, 60),
        ({"Retry-After": "nan"}, 60),
        ({"Retry-After": "1" * 5000}, 60),
        ({"Retry-After": "Sat, 31 Jan 2026 17:02:05 GMT", "Date": DATE}, 125),
        ({"Retry-After": "Sat, 31 Jan 2026 16:00:00 GMT", "Date": DATE}, 1),
        ({"Retry-After": "Sat, 99 Jan 2026 16:00:00 GMT", "Date": DATE}, 60),
        ({"Retry-After": "Sat Jan 31 17:02:05 2026", "Date": DATE}, 125),
        ({"Retry-After": "Sat, 31 Jan 2026 17:02:05 -0000", "Date": DATE}, 125),
    ],
)
async def test_a_rate_limit_says_for_how_long(headers: dict[str, str], seconds: float) -> None:
    """Seconds or a date, relative to the server's own; 60 if it does not say."""
    raised = await failure("change", http(429, {"detail": "Rate limit exceeded."}, **headers))
    assert isinstance(raised, errors.RateLimited)
    assert raised.retry_after == seconds


async def test_a_retry_date_without_a_server_date_is_read_by_our_clock() -> None:
    """Then our own clock is all there is."""
    reply = faults.Reply(429, {"Retry-After": formatdate(1_000_090, usegmt=True)}, b"")
    raised = faults.refusal(faults.Request("GET", "/"), reply, KEY, now=1_000_000)
    assert isinstance(raised, errors.RateLimited)
    assert raised.retry_after == 90


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_rate_limit_is_of_one_bucket(operation: str) -> None:
    """Reading has a budget of its own; all else shares the other."""
    raised = await failure(operation, http(429, b"", X_RateLimit_Limit="120"))
    assert isinstance(raised, errors.RateLimited)
    assert raised.bucket == ("read" if operation == "list" else "write")
    assert raised.limit == 120


SAID = {"detail": "Because"}
PAGE = b"<h1>no</h1>"


@pytest.mark.parametrize(
    ("status", "body", "may_pass"),
    [
        (302, PAGE, True),
        (404, PAGE, True),
        (404, {"detail": "Not Found"}, True),
        (400, SAID, True),
        (405, PAGE, True),
        (413, b"", True),
        (405, {"detail": "Method Not Allowed"}, False),
        (413, SAID, False),
        (426, SAID, False),
        (426, PAGE, False),
    ],
)
async def test_what_may_answer_for_a_server_is_told_apart(
    status: int, body: object, may_pass: bool
) -> None:
    """A proxy, a login page or a gateway; what Omi says of both ends does not pass."""
    raised = await failure("list", http(status, body))
    assert isinstance(raised, errors.WrongServer)
    assert raised.may_pass == may_pass


@pytest.mark.parametrize("body", [b"", PAGE, b"Bad Request", b"{}", b'{"message": "no"}'])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("status", [400, 407, 409, 421, 425, 431, 451, 499])
async def test_a_refusal_without_omi_s_detail_is_of_something_before_it(
    operation: str, status: int, body: bytes
) -> None:
    """It says nothing of the task, nor of the server, and nothing was done: to be repeated."""
    raised = await failure(operation, http(status, body))
    assert type(raised) is errors.Intercepted
    assert f"with {status}" in raised.message
    assert raised.exit_code == errors.TEMPORARY


@pytest.mark.parametrize("limit", ["", "many", "-1", "1e3", "٣"])
async def test_a_garbled_limit_is_no_limit(limit: str) -> None:
    """The number of allowed requests is known or it is not."""
    reply = faults.Reply(429, {"X-RateLimit-Limit": limit}, b"")
    raised = faults.refusal(faults.Request("GET", "/"), reply, KEY, now=0)
    assert isinstance(raised, errors.RateLimited)
    assert raised.limit is None


async def test_a_refused_batch_names_the_element() -> None:
    """The index comes from FastAPI's loc, for the sandbox as for the contract."""
    async with Sandbox() as server, OmiClient(server.url, KEY) as omi:
        server.refuse["c"] = 422
        with pytest.raises(errors.ItemRefused) as caught:
            await omi.create_batch([Fields(text) for text in "abcd"], idempotency_key="i")
        assert (caught.value.status, [*caught.value.named]) == (422, [2])
        server.names_culprit = False
        with pytest.raises(errors.ItemRefused) as caught:
            await omi.create_batch([Fields(text) for text in "abcd"], idempotency_key="i")
        assert (caught.value.status, caught.value.named) == (422, {})
        assert server.items == {}


@pytest.mark.parametrize(
    ("detail", "named"),
    [
        ([{"loc": ["body", "action_items", 3, "text"], "msg": "too long"}], {3: "text: too long"}),
        ([{"loc": ["body", "action_items", 0], "msg": "no"}], {0: "0: no"}),
        ([{"loc": ["query"]}, {"loc": ["body", "action_items", 5]}], {5: "5: not acceptable"}),
        (
            [{"loc": ["body", "action_items", n, w], "msg": "m"} for n, w in ((5, "x"), (1, "y"))]
            + [{"loc": ["body", "action_items", 5, "z"], "msg": "m"}],
            {5: "x: m", 1: "y: m"},
        ),
        ([{"loc": ["body", "action_items", "3"], "msg": "no"}], {}),
        ([{"loc": ["body", "action_items", True], "msg": "no"}], {}),
        ([{"loc": ["body", "action_items", False], "msg": "no"}], {}),
        ([{"loc": ["body", "action_items"], "msg": "too many"}], {}),
        ([{"loc": None}, 7, None, []], {}),
        ({"loc": ["body", "action_items", 3]}, {}),
        ("element 3", {}),
        (None, {}),
    ],
)
async def test_elements_are_named_with_the_first_complaint_about_each(
    detail: object, named: dict[int, str]
) -> None:
    """Whatever else ``detail`` is, it is read without trouble."""
    raised = await failure("batch", http(422, {"detail": detail}))
    assert isinstance(raised, errors.ItemRefused)
    said = {n: f"Omi does not accept the task (422): {what}" for n, what in named.items()}
    assert raised.named == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": "Something is wrong"}, "Something is wrong"),
        (
            {"detail": [{"loc": ["body", "due_at"], "msg": "invalid date"}, {"msg": "and more"}]},
            "due_at: invalid date; and more",
        ),
        ({"detail": {"code": 7, "message": "Backend down", "retryable": True}}, "Backend down"),
        ({"detail": {"code": "backend_down"}}, "backend_down"),
        (b"upstream connect error", "upstream connect error"),
        ({"detail": "a\r\n\tb\x00\x1b[31mc\u202ed\ud800"}, "a b [31mc d"),
        ({"detail": "x" * 300}, "x" * 199 + "…"),
    ],
)
async def test_what_the_server_says_becomes_one_short_sentence(body: object, said: str) -> None:
    """Every kind of detail; no control characters; cut at 200."""
    raised = await failure("change", http(500, body))
    assert raised.message == f"the server answered the change with 500: {said}"


@pytest.mark.parametrize("body", [b"<html>Oops</html>", b"", {"detail": None}, {"detail": {}}, [1]])
async def test_a_page_or_nothing_adds_nothing(body: object) -> None:
    """HTML is not shown to a person."""
    raised = await failure("change", http(502, body))
    assert raised.message == "the server answered the change with 502"


async def test_a_server_may_say_that_retrying_is_useless() -> None:
    """It is still temporary for us, but the person learns of it."""
    raised = await failure("delete", http(503, {"detail": {"message": "m", "retryable": False}}))
    assert type(raised) is errors.ServerTrouble
    assert "retrying does not help" in raised.message


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_redirect_is_refused_and_not_followed(operation: str) -> None:
    """The key goes to no other place, not even on the same server."""
    async with RawServer((http(200, []),)) as other:
        move = http(307, b"", Location=f"{other.url}/v1/dev/user/action-items?secret=1")
        raised = await failure(operation, move)
        assert type(raised) is errors.WrongServer
        assert "127.0.0.1" in raised.message
        assert "secret" not in raised.message
        assert other.seen == []


@pytest.mark.parametrize("location", ["/elsewhere", "http://[", "", "?secret=1"])
async def test_a_redirect_to_no_host_is_refused_too(location: str) -> None:
    """Whatever the server wrote there."""
    raised = await failure("create", http(302, b"", Location=location))
    assert type(raised) is errors.WrongServer
    assert "secret" not in raised.message


# Successes that are none.

GOOD_BODIES = {
    "create": b'{"id": "x", "description": "a", "completed": false}',
    "batch": b'{"action_items": [], "created_count": 0}',
    "change": b'{"id": "x", "description": "a", "completed": false}',
    "delete": b'{"success": true}',
    "list": b"[]",
}
BAD_BODIES = {
    "empty": b"",
    "page": b"<html>Log in to the hotel's network</html>",
    "half": b'{"id": "x", "descrip',
    "null": b"null",
    "string": b'"ok"',
    "number": b"7",
    "empty object": b"{}",
    "other object": b'{"success": false, "id": 7, "action_items": {}}',
    "wrong types": b'{"id": 7, "description": null, "completed": "no"}',
    "no id": b'{"id": "", "description": "a", "completed": false}',
    "bad date": b'{"id": "x", "description": "a", "completed": false, "due_at": "soon"}',
    "epoch": b'{"id": "x", "description": "a", "completed": false, "due_at": 1}',
    "year 0": b'{"id":"x","description":"a","completed":false,"due_at":"0001-01-01T00:00+01:00"}',
    "not UTF-8": b'{"id": "\xff\xfe", "description": "a", "completed": false}',
    "surrogate": b'{"id": "\\ud800", "description": "a", "completed": false}',
    "deep": b"[" * 100_000,
    "huge number": b"9" * 5000,
    "no count": b'{"action_items": []}',
    "NUL": b"\x00" * 64,
    "10 MB of text": b'{"id": 7, "description": "' + b"x" * 10 * 2**20 + b'"}',
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_plain_success_is_one(operation: str) -> None:
    """What the broken ones below are measured against."""
    reply = http(200, GOOD_BODIES[operation])
    async with RawServer((reply,)) as server, OmiClient(server.url, KEY) as omi:
        await OPERATIONS[operation](omi)
    assert len(server.seen) == 1


@pytest.mark.parametrize("said", ["text/html", "application/json; charset=utf-16", "", "x" * 5000])
async def test_what_a_body_is_said_to_be_does_not_count(said: str) -> None:
    """A gateway that mislabels what it passes on is no reason to create a task twice."""
    for operation, body in GOOD_BODIES.items():
        reply = http(200, body, Content_Type=said)
        async with RawServer((reply,)) as server, OmiClient(server.url, KEY) as omi:
            await OPERATIONS[operation](omi)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("body", BAD_BODIES)
async def test_a_success_that_cannot_be_read_is_no_success(operation: str, body: str) -> None:
    """A create may have happened, or did where its text is shown; the others are repeated."""
    raised = await failure(operation, http(200, BAD_BODIES[body]))
    assert type(raised) is UNCLEAR[operation]
    if isinstance(raised, errors.OutcomeUnknown):
        shown = operation == "create" and body in {
            "no id",
            "bad date",
            "epoch",
            "year 0",
            "surrogate",
        }
        assert raised.failure == ("unlisted" if shown else "dropped")


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("packed", [True, False])
async def test_a_reply_without_end_is_not_swallowed(operation: str, packed: bool) -> None:
    """More than 16 MB is no reply of this API, sent as such or unpacked from little."""
    body = GOOD_BODIES[operation] + b" " * (17 * 1024 * 1024)
    packed_body = gzip.compress(body, 1)
    reply = http(200, packed_body, Content_Encoding="gzip") if packed else http(200, body)
    assert type(await failure(operation, reply)) is UNCLEAR[operation]


async def test_a_refusal_with_an_endless_body_is_still_a_refusal() -> None:
    """The status alone says enough."""
    raised = await failure("create", http(401, b" " * (17 * 1024 * 1024)))
    assert type(raised) is errors.KeyProblem


@pytest.mark.parametrize("kind", ["text/html", "Text/HTML; charset=utf-8"])
async def test_a_web_page_is_told_as_one(kind: str) -> None:
    """As that of a hotel's network: what answers is not Omi."""
    reply = http(200, b"<title>Welcome</title>", Content_Type=kind)
    async with RawServer((reply,)) as server, OmiClient(server.url, KEY) as omi:
        with pytest.raises(errors.ServerTrouble, match="web page, not Omi's: the login page"):
            await omi.listing()
        with pytest.raises(errors.OutcomeUnknown, match="web page"):
            await omi.create(Fields("a"), idempotency_key="i")


async def test_a_packed_reply_is_unpacked() -> None:
    """Gzip is what we ask for, so that a long list takes few bytes."""
    body = gzip.compress(b'{"id": "x", "description": "a", "completed": false}')
    reply = http(200, body, Content_Encoding="gzip")
    async with RawServer((reply,)) as server, OmiClient(server.url, KEY) as omi:
        assert (await omi.create(Fields("a"), idempotency_key="i")).id == "x"
    assert b"Accept-Encoding: gzip\r\n" in server.seen[0]


# No reply, after the request left.

_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = {
    "reset": RESET,
    "end": CLOSE,
    "half a status line": b"HTTP/1.",
    "half a header": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1",
    "half a chunk": _CHUNKED + b"10\r\n[1",
    "no last chunk": _CHUNKED + b"2\r\n[]\r\n",
    "garbage for a chunk": _CHUNKED + b"zz\r\n[]\r\n",
    "garbage for HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "broken gzip": http(200, b"no gzip", Content_Encoding="gzip"),
    "half a gzip": http(200, gzip.compress(b"[]")[:11], Content_Encoding="gzip"),
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 50_000,
    "a header without end": b"HTTP/1.1 200 OK\r\nA: " + b"b" * 500_000 + b"\r\n\r\n",
    "half a refusal": b"HTTP/1.1 422 No\r\nContent-Length: 100\r\n\r\n{",
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_a_broken_reply_leaves_the_outcome_open(operation: str, answer: object) -> None:
    """The request may have been carried out; nothing else is known."""
    raised = await failure(operation, answer)
    assert type(raised) is UNCLEAR[operation]
    if isinstance(raised, errors.OutcomeUnknown):
        assert raised.failure == "dropped"


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_hung_server_is_given_up(operation: str) -> None:
    """After the timeout the outcome is open, and said to be a timeout."""
    raised = await failure(operation, HANG, timeout=0.2)
    assert type(raised) is UNCLEAR[operation]
    assert "in time" in raised.message
    if isinstance(raised, errors.OutcomeUnknown):
        assert raised.failure == "timeout"


async def test_a_server_that_stops_in_the_middle_is_given_up() -> None:
    """The timeout covers the body of the reply too."""
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n["
    async with RawServer((half,)) as server, OmiClient(server.url, KEY, timeout=0.2) as omi:
        with pytest.raises(errors.OutcomeUnknown) as caught:
            await omi.create(Fields("a"), idempotency_key="i")
    assert caught.value.failure == "timeout"


@pytest.mark.parametrize("fault", ["5xx_after", "reset_after", "garbage"])
async def test_an_unknown_outcome_may_be_a_created_item(fault: str) -> None:
    """The server has the item although the client saw a failure."""
    async with Sandbox() as server, OmiClient(server.url, KEY) as omi:
        server.fault_next(fault)
        with pytest.raises(errors.OutcomeUnknown):
            await omi.create(Fields("a"), idempotency_key="i")
        assert len(server.items) == 1


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 120), st.sampled_from(sorted(OPERATIONS)))
def test_no_bytes_raise_anything_but_our_errors(noise: bytes, at: int, operation: str) -> None:
    """A reply with any damage gives a value or one of our errors."""
    body = b'{"id": "x", "description": "a", "completed": false, "success": true}'
    whole = http(200, body, Date=DATE, Content_Type="application/json")

    async def call() -> None:
        damaged = whole[:at] + noise + whole[at + len(noise) :]
        async with (
            RawServer((damaged or CLOSE,), once=True) as server,
            OmiClient(server.url, KEY) as omi,
        ):
            try:
                await OPERATIONS[operation](omi)
            except errors.OmisyncError:
                return

    asyncio.run(call())


# No reply, before anything left.


async def unreachable(base: str, operation: str = "create", *, timeout: float = 30.0) -> str:  # noqa: ASYNC109 - the client's own
    """Return what ``Unreachable`` says; check that no request was about to leave."""
    events: list[str] = []
    async with OmiClient(base, KEY, timeout=timeout, trace=events.append) as omi:
        with pytest.raises(errors.Unreachable) as caught:
            await OPERATIONS[operation](omi)
    assert events == []
    return caught.value.message


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_refused_connection_sent_nothing(operation: str) -> None:
    """Nobody listens: safe to repeat, whatever the request."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        message = await unreachable(f"http://127.0.0.1:{port}", operation)
    assert "Connect call failed" in message or "refused" in message


async def test_an_unknown_name_sent_nothing() -> None:
    """``.invalid`` never resolves (RFC 6761): the machine may simply be offline."""
    assert "reached" in await unreachable("https://omi.invalid")


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_server_without_tls_sent_nothing(operation: str) -> None:
    """TLS fails before the request: the key did not leave readable."""
    seen: list[bytes] = []

    async def answer_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(65536))
        writer.write(http(400))
        writer.close()

    async with await asyncio.start_server(answer_plainly, "127.0.0.1", 0) as server:
        base = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert "encrypted" in await unreachable(base, operation)
    assert not any(KEY.encode() in hello for hello in seen)


async def test_a_connection_that_never_stands_sent_nothing() -> None:
    """A timeout before the request left is no unknown outcome, even for a create."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        base = f"https://127.0.0.1:{silent.getsockname()[1]}"
        assert "in time" in await unreachable(base, timeout=0.2)


# The key.

ECHO = f"your key {KEY}\x00 Bearer {KEY}"
FAILURES = {
    **{f"status {status}": http(status, {"detail": ECHO}) for status in TABLE},
    "text": http(500, ECHO.encode()),
    "list": http(422, {"detail": [{"loc": ["body", KEY], "msg": ECHO}]}),
    "object": http(503, {"detail": {"message": ECHO}}),
    "cut": http(500, {"detail": "x" * 180 + KEY}),
    "location": http(307, b"", Location=f"https://{KEY}.example/{KEY}"),
    "reason": f"HTTP/1.1 500 {KEY}\r\nContent-Length: 0\r\n\r\n".encode(),
    "retry": http(429, b"", Retry_After=KEY, X_RateLimit_Limit=KEY),
    "body": http(200, {"id": KEY, "description": 7}),
    **BROKEN,
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("answer", FAILURES.values(), ids=FAILURES)
async def test_no_error_shows_the_key(
    operation: str, answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in text, repr, attributes, traceback, chain, our frames or any log."""
    caplog.set_level(logging.DEBUG)
    raised = await failure(operation, answer)
    assert raised.__context__ is None
    assert raised.__cause__ is None
    shown = [str(raised), repr(raised), repr(vars(raised)), caplog.text]
    shown += traceback.format_exception(raised)
    shown += [repr(value) for frame in _our_frames(raised) for value in frame.values()]
    assert not any(KEY in text for text in shown)
    assert not any(KEY[6:-4] in text for text in shown)


def _our_frames(error: BaseException) -> list[dict[str, object]]:
    walk = traceback.walk_tb(error.__traceback__)
    return [
        dict(frame.f_locals) for frame, _ in walk if "/omisync/api/" in frame.f_code.co_filename
    ]


def test_the_client_itself_does_not_show_the_key() -> None:
    """Its repr has the masked one."""
    omi = OmiClient("http://127.0.0.1:1", KEY)
    assert KEY not in f"{omi!r} {omi}"
    assert masked(KEY) in repr(omi)


@pytest.mark.parametrize("key", ["", " ", "a b", "k\nHost: evil", "schlüssel", "\ud800", "a\x7f"])
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    """Before any request, and without showing it."""
    with pytest.raises(errors.KeyProblem) as caught:
        OmiClient("https://api.omi.me", key)
    assert not key.strip() or key not in str(caught.value)
