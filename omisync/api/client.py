"""The one class that talks to Omi: five operations, each sent once.

Rule: a request is sent at most once for a call, and whoever calls learns
whether it may have arrived. Nothing here retries, waits or logs.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import ValidationError
from yarl import URL

from omisync import __version__, errors, places
from omisync.api import address, faults, reading, wire
from omisync.api.faults import Reply, Request
from omisync.api.reading import Page, Window
from omisync.core.model import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import SimpleNamespace, TracebackType

    from omisync.core.model import Fields, Listing, RemoteItem

RECENT = 60.0
"""Seconds of the list that are asked for where it only matters whether it can be read."""

T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
"""Seconds until a connection, with name, proxy and TLS, must stand."""

BODY_LIMIT = 16 * 1024 * 1024
"""Unpacked bytes of a reply; 1000 items of the longest text have a tenth of it."""

# The server (uvicorn) closes idle connections after 5 s.  A create that meets
# the closing would be an unknown outcome, so this side closes first.
_KEEP_ALIVE = 4.0

_HEADERS = {
    "User-Agent": f"omisync/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
}


class OmiClient:
    """A session with Omi's API for action items, opened with ``async with``.

    ``timeout`` is for one request, in seconds; ``clock`` gives Unix seconds. While ``rest``
    tells a failure nothing is sent, and ``NotAsked`` raised.
    ``trace`` is called with ``"request.sent"`` just before the bytes of a
    request leave, and with ``"reply.read"`` when a reply has been read
    completely, whatever it says.

    ``server_date`` is the ``Date`` of the last reply that had one, in Unix
    seconds; ``clock_skew`` is that date minus our clock when it came, good to
    about a second. Both are None before. ``reads`` counts the pages asked for.

    Every operation raises ``Unreachable`` if nothing left this machine,
    ``KeyProblem`` for 401 and 403, ``RateLimited`` for 429, ``WrongServer`` if
    this is not the API, and otherwise: the creates ``OutcomeUnknown``, the
    others ``ServerTrouble``, when it is unclear whether anything was done.

    Raises ``ConfigError`` for an unusable address and ``KeyProblem`` for a key
    that no header can carry.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        timeout: float = 30.0,
        clock: Callable[[], float] = time.time,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.base_url = places.normalised_base(base_url)
        self.server_date: float | None = None
        self.clock_skew: float | None = None
        self.reads = 0
        self.rest = ""
        self._key = address.usable_key(key)
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(timeout, CONNECT_TIMEOUT))
        self._clock = clock
        self._trace = trace or (lambda _event: None)
        self._proxy: str | None = None
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"<OmiClient {self.base_url} {places.masked(self._key)}>"

    async def __aenter__(self) -> Self:
        # The proxy is chosen here and not by aiohttp's trust_env, which would
        # also read ~/.netrc and then refuse to send our Authorization header.
        self._proxy = address.proxy_for(self.base_url)
        hooks = aiohttp.TraceConfig()
        hooks.on_request_headers_sent.append(self._leaving)
        # The key is no header of the session: those reach the proxy as well.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=_KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            timeout=self._timeout,
            trace_configs=[hooks],
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def create(self, fields: Fields, *, idempotency_key: str) -> RemoteItem:
        """Create one item and return it as the server has it.

        Raises ``ItemRefused`` (422 too for what the contract rules out, without
        a request), ``ItemLocked``, ``OutcomeUnknown``.
        """
        body = _checked(wire.create_body, fields)
        request = Request("POST", address.ITEMS, body, idempotency_key)
        reply = await self._send(request)
        try:
            return wire.item(reply.body or b"")
        except ValueError:
            lost = faults.unusable(request, reply, made=wire.tells_of(reply.body or b"", fields))
        raise lost

    async def create_batch(
        self, items: Sequence[Fields], *, idempotency_key: str
    ) -> list[RemoteItem]:
        """Create 1 to 50 items at the price of one write; all are created, or none.

        Returns the items of the reply in its order. The server may leave out what it
        created: compare before pairing. Raises ``ItemRefused`` with the items at fault
        ``named`` where they are known.
        """
        body = _checked(wire.batch_body, items)
        request = Request("POST", address.BATCH, body, idempotency_key)
        return self._read(request, wire.created, await self._send(request))

    async def change(self, remote_id: str, patch: Patch) -> RemoteItem:
        """Change the fields that ``patch`` names and return the whole item.

        Look at ``due_at`` of the result after ``clear_due``: servers before
        September 2026 keep it. Raises ``ItemGone``, ``ItemLocked``, ``ItemRefused``.
        """
        path = address.item_path(remote_id)
        request = Request("PATCH", path, _checked(wire.patch_body, patch))
        reply = await self._send_to_item(request)
        item = self._read(request, wire.item, reply)
        if item.id != remote_id:  # whatever it tells, it tells of another item
            raise faults.unusable(request, reply)
        return item

    async def delete(self, remote_id: str) -> None:
        """Remove an item for ever. Raises ``ItemGone``, ``ItemLocked``, ``ItemRefused``."""
        request = Request("DELETE", address.item_path(remote_id))
        reply = await self._send_to_item(request)
        if reply.status != 204:  # noqa: PLR2004 - No Content: a success that says no more
            self._read(request, wire.done, reply)

    async def check_reads(self) -> None:
        """Have the server list its newest items: it shows that it is the API, and the key may read.

        It costs one read of the budget, as a rule, and raises what any request may.
        """
        now = self._clock()
        await self.window(now - RECENT, now)

    async def newest(self) -> tuple[RemoteItem, ...]:
        """Read the newest items, open and finished ones, as many as one page has: one read."""
        return (await self._page(Window(start=reading.EPOCH))).items  # else it is not by time

    async def check_writes(self) -> None:
        """Have the server take a write that changes nothing: of an item that cannot exist.

        It costs one write of the budget. Raises what ``change`` does but for
        ``ItemGone``, which is what is expected, and ``WrongServer`` where there is none.
        """
        with contextlib.suppress(errors.ItemGone):
            await self.change(f"omisync-check-{secrets.token_hex(8)}", Patch(completed=False))
            raise errors.WrongServer(
                "the server changed an item that does not exist",
                "Check omi.base_url (or OMI_API_BASE, which wins): this does not behave like Omi.",
            )

    async def listing(self, *, thorough: bool = False) -> Listing:
        """Read all items, open ones first: at least two reads of the budget.

        An item completed while reading shows completed. ``complete`` is False
        when a row could not be read or a page may have been cut off. ``thorough`` spends
        more reads on a long list, to the whole budget of an hour.
        """
        windows = (Window(completed=False), Window(completed=True))
        return await reading.read(windows, self._page, thorough=thorough)

    async def window(self, start: float, end: float | None = None) -> Listing:
        """Read the items created from ``start`` to ``end``, in Unix seconds of the server.

        Usually one read, whatever state the items are in. Without an end it is up to now,
        which no other clock than the server's can tell.
        """
        from_ = datetime.fromtimestamp(start, UTC)
        to = None if end is None else datetime.fromtimestamp(end, UTC)
        return await reading.read([Window(start=from_, end=to)], self._page)

    async def _page(self, window: Window) -> Page:
        asked = {
            "completed": None if window.completed is None else str(window.completed).lower(),
            "start_date": _stamp(window.start),
            "end_date": _stamp(window.end),
            "limit": str(reading.LIMIT),
            "offset": str(window.offset),
        }
        self.reads += 1
        query = urlencode({name: value for name, value in asked.items() if value}, quote_via=quote)
        request = Request("GET", f"{address.ITEMS}?{query}")
        items, rows = self._read(request, wire.rows, await self._send(request))
        return Page(tuple(items), rows)

    async def _send_to_item(self, request: Request) -> Reply:
        """Do as ``_send``; make sure that an item is missing, and not the whole API."""
        try:
            return await self._send(request)
        except errors.ItemGone as gone:
            if gone.vague:
                await self.check_reads()
            raise

    def _read(self, request: Request, parse: Callable[[bytes], T], reply: Reply) -> T:
        try:
            return parse(reply.body or b"")
        except ValueError:
            lost = faults.unusable(request, reply)
        raise lost

    async def _send(self, request: Request) -> Reply:
        """Return a successful reply; raise what any other reply, or none, is.

        Errors of aiohttp can hold the headers with the key. They end in the
        ``except`` below, and ours are raised after it, where no context is set.
        """
        if self.rest:
            raise errors.NotAsked(self.rest)
        lost: errors.OmisyncError
        passage = _Passage()
        try:
            reply = await self._exchange(request, passage)
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            lost = faults.no_reply(
                request, error, left=passage.left, proxied=self._proxy is not None
            )
        else:
            self._trace("reply.read")
            if 200 <= reply.status < 300:  # noqa: PLR2004 - RFC 9110, 15.3
                return reply
            lost = faults.refusal(request, reply, self._key, self._clock())
        raise lost

    async def _exchange(self, request: Request, passage: _Passage) -> Reply:
        if self._session is None:
            raise RuntimeError("OmiClient is used inside `async with`")
        async with self._session.request(
            request.method,
            URL(f"{self.base_url}{request.target}", encoded=True),
            data=request.body,
            headers=self._headers(request),
            allow_redirects=False,  # a redirect would carry the key to another place
            proxy=self._proxy,
            trace_request_ctx=passage,
        ) as answer:
            reply = Reply(answer.status, answer.headers, await _body(answer))
        date = reply.date
        if date is not None:
            self.server_date = date
            self.clock_skew = date - self._clock()
        return reply

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._key}"}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if request.idempotency_key is not None:
            headers["Idempotency-Key"] = request.idempotency_key
        return headers

    async def _leaving(
        self,
        _session: aiohttp.ClientSession,
        context: SimpleNamespace,
        _params: aiohttp.TraceRequestHeadersSentParams,
    ) -> None:
        """Note that the bytes of a request are about to leave, and let them leave once.

        aiohttp repeats GET and DELETE by itself when a connection breaks. Each
        costs one request of the budget, so that is for the caller to decide.
        """
        passage: _Passage = context.trace_request_ctx
        if passage.left:
            raise aiohttp.ServerDisconnectedError
        passage.left = True
        self._trace("request.sent")


class _Passage:
    """Whether the bytes of one request may have left this machine."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = False


async def _body(answer: aiohttp.ClientResponse) -> bytes | None:
    """Return the unpacked body, None if it is too large; a small reply can unpack to gigabytes."""
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > BODY_LIMIT:
            return None
    return bytes(body)


def _checked(encode: Callable[[T], bytes], value: T) -> bytes:
    """Return the body, or refuse as the server would, without spending a request."""
    try:
        return encode(value)
    except ValidationError as error:
        complaints = error.errors(include_url=False, include_context=False, include_input=False)
    named = {
        part: f"Omi cannot store the task: {faults.sentence([complaint])}"
        for complaint in reversed(complaints)
        for part in complaint["loc"]
        if isinstance(part, int)
    }
    message = f"Omi cannot store the task: {faults.sentence(complaints)}"
    raise errors.ItemRefused(message, 422, named)


def _stamp(moment: datetime | None) -> str | None:
    """Return a UTC time with its offset: without one the server guesses UTC or fails."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
