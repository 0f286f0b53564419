"""The account over HTTP: keys, scopes, budgets, faults, and a record of each request.

Order of the checks, as FastAPI's dependencies give it: 404 and 405 of the path,
a body that is no JSON (422), the key (401), its scope (403), its budget (429),
and only then the content (422), the item (404, 402) and the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
import struct
import time
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Self

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from omisync.errors import UsageError
from omisync.sandbox import faults, wire
from omisync.sandbox.account import Account
from omisync.sandbox.wire import Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from omisync.sandbox.faults import Fault

KEY = "omi_dev_sandbox_0f4be1a6c92d47d8b3a5e7c1"
"""A key with both scopes. It opens nothing but a sandbox."""

READ_ONLY_KEY = "omi_dev_sandbox_7c19d2e05b8f4a63a1d4f6b2"
"""A key as the app makes them by default: without the write scope."""

READ = "action_items:read"
WRITE = "action_items:write"
BASE = "/v1/dev/user/action-items"
BATCH = f"{BASE}/batch"
WINDOW = 3600.0
"""Seconds of a budget's window, which begins with its first request (server source)."""

_STOP_WAIT = 0.5
"""Seconds that stopping gives answers on their way; hanging ones are dropped at once."""

_TEXT_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it was received, and what it was answered with.

    ``path`` is decoded. ``body`` is the JSON value, or the text where it is not
    JSON, None without a body. ``headers`` ignore case; the key is masked.
    ``status`` is None when no reply was given. ``at`` is in Unix seconds.
    """

    method: str
    path: str
    query: dict[str, str]
    body: object | None
    headers: Mapping[str, str]
    status: int | None
    fault: Fault | None
    at: float
    summary: str = ""

    @property
    def bucket(self) -> str:
        """Return the budget this request draws on: read or write."""
        return "read" if self.method == "GET" else "write"


@dataclass(frozen=True, slots=True)
class _Call:
    """A request on its way: the record so far, and what the record must not hold."""

    request: Request
    key: str
    raw: bytes = field(repr=False)
    content_type: str = ""


class Sandbox(Account):
    """An Omi server on 127.0.0.1, running inside ``async with``.

    Budgets are requests in an hour for each key, None for unlimited (the real
    server has 120 and 120). ``clears_due=False`` is a server before September
    2026, which ignores ``due_at: null``. ``weird_ids`` makes ids that need
    percent-encoding; ``mixed_times`` spells times in turn in all the ways the
    API may; ``sorts_windows`` answers date-filtered queries in the order of the
    list instead of newest first. ``keys`` (with their scopes), ``limits``,
    ``retry_after`` (of the fault 429: seconds or an HTTP date) and
    ``slow_seconds`` may be changed while it runs. With ``state``, items and notifications
    live in that file. Entering again serves the same account at the same port.

    Entering raises ``UsageError`` when the port is taken or the state file is
    not one.
    """

    def __init__(  # noqa: PLR0913  # each one is a trait of a real server
        self,
        *,
        clock: Callable[[], float] = time.time,
        seed: int = 0,
        port: int = 0,
        state: Path | None = None,
        reads_per_hour: int | None = None,
        writes_per_hour: int | None = None,
        clears_due: bool = True,
        weird_ids: bool = False,
        mixed_times: bool = False,
        sorts_windows: bool = False,
    ) -> None:
        super().__init__(clock, seed, weird_ids=weird_ids)
        self.state = state
        self.clears_due = clears_due
        self.sorts_windows = sorts_windows
        self.mixed_times = mixed_times
        self.port = port
        self.url = ""
        self.keys = {KEY: frozenset({READ, WRITE}), READ_ONLY_KEY: frozenset({READ})}
        self.limits = {"read": reads_per_hour, "write": writes_per_hour}
        self.retry_after: int | str = 1
        self.slow_seconds = 0.2
        self.requests: list[Request] = []
        self.waiting: list[Request] = []
        self.on_request: Callable[[Request], None] | None = None
        self._faults = faults.Faults()
        self._spent: dict[tuple[str, str], tuple[float, int]] = {}
        self._watchers: list[tuple[Callable[[Sandbox], bool], asyncio.Future[None]]] = []
        self._gates: list[asyncio.Event] = []
        self._late: set[asyncio.Task[web.StreamResponse]] = set()

    async def __aenter__(self) -> Self:
        if not self.url and self.state is not None:
            if os.access(self.state, os.F_OK):
                self.load(self.state)
            self.check_kept(self.state)
        self._stopping = asyncio.Event()
        # Cancellation frees a hanging answer as soon as its client has left.
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=_STOP_WAIT)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        except OSError as error:
            await self._runner.cleanup()
            advice = "Choose another port, or 0 for a free one."
            message = f"cannot serve on port {self.port}: {os.strerror(error.errno or 0)}"
            raise UsageError(message, advice) from error
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        self.release()
        await self._runner.cleanup()
        await asyncio.gather(*self._late, return_exceptions=True)

    # What a test, or a person, does with it.

    def fault_next(self, *kinds: Fault | None, method: str | None = None) -> None:
        """Let the next requests, or those of ``method``, fail so, in order; None succeeds."""
        self._faults.queue.extend((method, kind) for kind in kinds)

    def fault_rate(self, rates: Mapping[Fault, float], seed: int = 0) -> None:
        """Let each request fail with these probabilities from now on; ``{}`` ends it."""
        self._faults.draw(rates, seed)

    def release(self) -> None:
        """Let all slow requests go on now, instead of after ``slow_seconds``."""
        while self._gates:
            self._gates.pop().set()

    async def idle(self) -> None:
        """Return once no slow request is under way: all that came are recorded."""
        if self._late:
            await asyncio.wait(self._late)

    @property
    def reads(self) -> int:
        """How many of the recorded requests drew on the read budget."""
        return sum(request.bucket == "read" for request in self.requests)

    @property
    def writes(self) -> int:
        """How many of the recorded requests drew on the write budget."""
        return sum(request.bucket == "write" for request in self.requests)

    async def wait_for(self, predicate: Callable[[Sandbox], bool]) -> None:
        """Return once ``predicate`` holds.

        It is asked now and whenever a request was recorded, or joined
        ``waiting`` (hanging and slow ones, on their arrival). A recorded
        change is already made; its reply is about to leave.
        """
        if predicate(self):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        watcher = (predicate, future)
        self._watchers.append(watcher)
        try:
            await future
        finally:
            self._watchers.remove(watcher)

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        call = await self._read(http)
        fault = self._faults.take(http.method)
        if fault != "slow":
            return await self._reply(http, call, fault)
        # A slow server does not notice that its client has given up.
        late = asyncio.create_task(self._reply_late(http, call))
        self._late.add(late)
        late.add_done_callback(self._late.discard)
        return await asyncio.shield(late)

    async def _read(self, http: web.BaseRequest) -> _Call:
        raw = await http.read()
        sent = http.headers.get("Authorization", "")
        try:
            body = wire.parse(raw, http.content_type)
        except Refusal:
            body = raw.decode(errors="replace")
        request = Request(
            method=http.method,
            path=http.path,
            query=dict(http.query),
            body=body,
            headers=_masked(http.headers),
            status=None,
            fault=None,
            at=self.clock(),
        )
        key = sent.removeprefix("Bearer ") if sent.startswith("Bearer ") else ""
        return _Call(request, key, raw, http.content_type)

    async def _reply_late(self, http: web.BaseRequest, call: _Call) -> web.StreamResponse:
        gate = asyncio.Event()
        self._gates.append(gate)
        self._hold(replace(call.request, fault="slow"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.slow_seconds):
                await gate.wait()
        if self._stopping.is_set():
            return _drop(http)
        return await self._reply(http, call, "slow")

    async def _reply(
        self, http: web.BaseRequest, call: _Call, fault: Fault | None
    ) -> web.StreamResponse:
        answer = Reply(0, b"") if faults.prevents(fault) else self._answer(call, fault)
        silent = fault in faults.SILENT
        given = self._faults.distort(fault, answer, url=self.url, retry_after=self.retry_after)
        status = None if silent else given.status
        summary = answer.summary or given.summary
        done = replace(call.request, status=status, fault=fault, summary=summary)
        self._record(done)
        if fault in faults.HANGS:
            self._hold(done)
            await self._stopping.wait()
        if silent:
            return _drop(http)
        headers = {"Date": formatdate(self.clock(), usegmt=True), **given.headers}
        return web.Response(
            status=given.status,
            body=given.body,
            headers=headers,
            content_type=given.content_type,
        )

    def _answer(self, call: _Call, fault: Fault | None) -> Reply:
        rung = len(self.notifications)
        try:
            answer = self._act(call)
        except Refusal as refusal:
            answer = refusal.reply()
        if fault == "5xx_after":
            del self.notifications[rung:]
        return answer

    def _act(self, call: _Call) -> Reply:
        act, scope = self._route(call.request)
        value = wire.parse(call.raw, call.content_type)
        self._admit_key(call.key, scope)
        limited = self._spend(call.key, call.request.bucket)
        return limited or act(call.request, value)

    def _route(self, request: Request) -> tuple[Callable[[Request, object | None], Reply], str]:
        path, method = request.path, request.method
        if path == BASE:
            acts = {"GET": (self._list, READ), "POST": (self._create, WRITE)}
        elif path == BATCH and method == "POST":
            acts = {"POST": (self._create_batch, WRITE)}
        elif path.startswith(f"{BASE}/") and "/" not in _item_id(path) != "":
            acts = {"PATCH": (self._change, WRITE), "DELETE": (self._remove, WRITE)}
        else:
            raise Refusal(404, "Not Found")
        if method not in acts:
            raise Refusal(405, "Method Not Allowed", Allow=", ".join(acts))
        return acts[method]

    def _admit_key(self, key: str, scope: str) -> None:
        if key not in self.keys:
            raise Refusal(401, "Invalid API key")
        if scope not in self.keys[key]:
            raise Refusal(403, f"Insufficient permissions. Required scope: {scope}")

    def _spend(self, key: str, bucket: str) -> Reply | None:
        """Count a request against its budget; return the 429 if there is none left."""
        limit = self.limits[bucket]
        if limit is None:
            return None
        now = self.clock()
        since, spent = self._spent.get((key, bucket), (now, 0))
        if now - since >= WINDOW:
            since, spent = now, 0
        self._spent[key, bucket] = since, spent + 1
        if spent < limit:
            return None
        return faults.rate_limited(max(1, math.ceil(since + WINDOW - now)), limit)

    def _list(self, request: Request, _: object) -> Reply:
        found = self.list_items(wire.checked(wire.ListQuery, request.query, "query"))
        return wire.reply(200, found, f"{_count(len(found))} shown")

    def _create(self, _: Request, value: object | None) -> Reply:
        new = wire.checked(wire.NewItem, value, "body")
        return wire.reply(200, self.create(new), f"created: {_short(new.description)}")

    def _create_batch(self, _: Request, value: object | None) -> Reply:
        batch = wire.checked(wire.Batch, value, "body")
        made = _count(len(batch.action_items))
        return wire.reply(200, self.create_batch(batch), f"{made} created")

    def _change(self, request: Request, value: object | None) -> Reply:
        change = wire.checked(wire.Change, value, "body")
        row = self.change(_item_id(request.path), change)
        sent = ", ".join(sorted(change.model_fields_set))
        return wire.reply(200, row, f"changed {sent}: {_short(str(row['description']))}")

    def _remove(self, request: Request, _: object) -> Reply:
        gone = self.remove(_item_id(request.path))
        return wire.reply(200, {"success": True}, f"deleted: {_short(gone.description)}")

    def _record(self, request: Request) -> None:
        self.requests.append(request)
        if self.on_request is not None:
            self.on_request(request)
        self._wake()

    def _hold(self, request: Request) -> None:
        self.waiting.append(request)
        self._wake()

    def _wake(self) -> None:
        for predicate, future in self._watchers:
            if not future.done() and predicate(self):
                future.set_result(None)


def _item_id(path: str) -> str:
    return path.removeprefix(f"{BASE}/")


def _masked(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers with the key as its first 6 and last 4 characters."""
    copy = CIMultiDict(headers)
    if "Authorization" in copy:
        copy["Authorization"] = " ".join(map(_masked_word, copy["Authorization"].split()))
    return CIMultiDictProxy(copy)


def _masked_word(word: str) -> str:
    """Mask all but the scheme: a malformed header may hold the key anywhere."""
    if word.lower() in ("bearer", "basic"):
        return word
    return f"{word[:6]}...{word[-4:]}" if len(word) > len("123456...7890") else "..."


def _drop(http: web.BaseRequest) -> web.StreamResponse:
    """Reset the connection; the response returned never leaves."""
    transport = http.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        # Without lingering the kernel sends RST, not an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


def _count(number: int) -> str:
    return f"{number} item" if number == 1 else f"{number} items"


def _short(text: str) -> str:
    """Return ``text`` on one short line, safe for a terminal."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= _TEXT_WIDTH else f"{flat[: _TEXT_WIDTH - 1]}…"
