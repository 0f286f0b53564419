"""Which of our errors a refusal is, and which one a missing reply.

Rule: what a reply means for the next request depends on the method. A create
that may have arrived is never called repeatable; a change, a removal and a
reading are. The statuses are those of the Omi server and of proxies before it.
"""

from __future__ import annotations

import math
import os
import re
import socket
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from omisync import errors
from omisync.api import wire
from omisync.places import masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from omisync.errors import OmisyncError

SHOWN = 200
"""Code points of a server's words that a message shows."""

RETRY_UNKNOWN = 60.0
"""Seconds to wait after a 429 that does not say for how long."""

RETRY_LONGEST = 86_400.0
"""Seconds; a longer wait is a mistake, and costs one request a day to find out."""

_READ_AT_MOST = 4_000  # code points looked at for SHOWN of them
_NOT_THIS_API = frozenset({404, 405, 413, 426})
_OTHER_METHODS = _NOT_THIS_API - {404}
"""What Omi says of a request that it does not know: it speaks of both ends, and for good."""
_NO_ROUTE = "Not Found"
"""FastAPI's word for an address that is none of the server's, too."""
_SCOPE = re.compile(r"action_items:\w+")
_OPERATION = {
    "GET": "reading the list",
    "POST": "the create",
    "PATCH": "the change",
    "DELETE": "the removal",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request, without what is secret in it. ``target`` is path and query."""

    method: str
    target: str
    body: bytes | None = None
    idempotency_key: str | None = None

    @property
    def bucket(self) -> str:
        """The rate limit that this request counts for: ``read`` or ``write``."""
        return "read" if self.method == "GET" else "write"

    def __str__(self) -> str:
        return _OPERATION[self.method]


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that was read. ``body`` is None when it was larger than accepted.

    A server can echo the key: what it said stays out of the repr.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)

    @property
    def is_page(self) -> bool:
        """Whether it is for people: of a login, say, that stands before a network."""
        kind = self.headers.get("Content-Type", "").partition(";")[0]
        return kind.strip().lower() in {"text/html", "application/xhtml+xml"}

    @property
    def date(self) -> float | None:
        """The ``Date`` header in Unix seconds, None where no clock could show it.

        Creates without an answer are looked for around it.
        """
        date = http_date(self.headers.get("Date", ""))
        return date if date is not None and wire.EARLIEST <= date < wire.LATEST else None


THERE = "and put it in the place of this one, which `omisync status` names"


def http_date(text: str) -> float | None:
    """Return an HTTP date (RFC 9110, 5.6.7) in Unix seconds, None for anything else."""
    try:
        date = parsedate_to_datetime(text)
        # The form of asctime names no zone, and means UTC.
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


# A reply that is not a success.


class _Said(NamedTuple):
    """What a refusal says: as JSON if it is, as one safe sentence, and ``: `` before it.

    ``named`` has the sentence about each element of a batch that FastAPI complains about.
    """

    detail: object
    sentence: str
    named: Mapping[int, str] = MappingProxyType({})

    @property
    def tail(self) -> str:
        return f": {self.sentence}" if self.sentence else ""


def refusal(request: Request, reply: Reply, key: str, now: float) -> OmisyncError:
    """Return the error that a reply other than 2xx is.

    ``now`` in Unix seconds stands in for a missing ``Date`` where ``Retry-After``
    is a date. ``key`` is blotted out of whatever the server said.
    """
    said = _said(reply.body or b"", key)
    match reply.status:
        case 401:
            return errors.KeyProblem(
                f"Omi refuses the key {masked(key)}{said.tail}",
                "create a new key in the Omi app (Settings, Developer) with the scopes"
                f" action_items:read and action_items:write, {THERE}",
            )
        case 403:
            return _forbidden(request, said, key)
        case 429:
            return _limited(request, reply, now)
        case status if 300 <= status < 400:  # noqa: PLR2004 - RFC 9110, 15.4
            where = _place(reply, key)
            return _wrong(f"it answers {request} with a redirect to {where}", may_pass=True)
        case status:
            error = _BY_METHOD[request.method](request, status, said)
            if status >= 500 and "Retry-After" in reply.headers:  # noqa: PLR2004 - RFC 9110, 10.2.3
                error.retry_after = _retry_after(reply, now)
            return error


def _said(body: bytes, key: str) -> _Said:
    try:
        answer = wire.loads(body)
    except ValueError:
        text = body[:_READ_AT_MOST].decode("utf-8", "replace")
        return _Said(None, "" if text.lstrip().startswith("<") else plain(text, key))
    detail = answer.get("detail") if isinstance(answer, dict) else None
    named = {index: plain(text, key) for index, text in _named(detail)}
    return _Said(detail, plain(sentence(detail), key), named)


def sentence(detail: object) -> str:
    """Return FastAPI's three kinds of ``detail`` as one sentence of raw text."""
    if isinstance(detail, str):
        return detail
    if isinstance(detail, dict):
        words = (detail.get(name) for name in ("message", "detail", "msg", "error", "code"))
        return next((word for word in words if isinstance(word, str)), "")
    if isinstance(detail, (list, tuple)):
        return "; ".join(_complaint(error) for error in detail[:3] if isinstance(error, dict))
    return ""


def _complaint(error: Mapping[str, object]) -> str:
    loc = error.get("loc")
    where = str(loc[-1]) if isinstance(loc, (list, tuple)) and loc else ""
    what = str(error.get("msg", "not acceptable"))
    return f"{where}: {what}" if where else what


def plain(text: str, key: str) -> str:
    """Return ``text`` as one short line, without control characters and without ``key``."""
    safe = text.replace(key, masked(key))[:_READ_AT_MOST]
    line = " ".join("".join(" " if _unprintable(sign) else sign for sign in safe).split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


def _unprintable(sign: str) -> bool:
    """Control, format (they can turn a line around), surrogate, private, unassigned."""
    return unicodedata.category(sign).startswith("C")


def _forbidden(request: Request, said: _Said, key: str) -> errors.KeyProblem:
    named = _SCOPE.search(said.sentence)
    usual = "action_items:read" if request.method == "GET" else "action_items:write"
    scope = named.group() if named else usual
    if said.detail is None:
        return errors.KeyProblem(
            f"the server answers {request} with 403, and not as Omi does{said.tail}",
            f"see whether the key {masked(key)} has the scope {scope} (Omi app, Settings,"
            " Developer); if it has, a proxy or a firewall before Omi refuses this machine",
        )
    return errors.KeyProblem(
        f"the key {masked(key)} may not do this, it lacks the scope {scope}{said.tail}",
        f"create a new key with {scope} too, for those of a key cannot be edited, {THERE}",
    )


def _limited(request: Request, reply: Reply, now: float) -> errors.RateLimited:
    limit = reply.headers.get("X-RateLimit-Limit", "")
    seconds = _retry_after(reply, now)
    return errors.RateLimited(request.bucket, seconds, int(limit) if _is_count(limit) else None)


def _retry_after(reply: Reply, now: float) -> float:
    """Return seconds: at least 1 (no busy loop), at most a day, 60 if not told."""
    told = reply.headers.get("Retry-After", "").strip()
    wait: float | None
    if _is_count(told):
        wait = float(told)
    else:
        until = http_date(told)
        since = now if reply.date is None else reply.date
        wait = None if until is None else until - since
    if wait is None or not math.isfinite(wait):
        return RETRY_UNKNOWN
    return min(max(wait, 1.0), RETRY_LONGEST)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10  # noqa: PLR2004 - 30 years


def _place(reply: Reply, key: str) -> str:
    """Return where a redirect leads: scheme and host, never the query."""
    try:
        to = urlsplit(reply.headers.get("Location", ""))
    except ValueError:
        return "nowhere"
    return plain(f"{to.scheme}://{to.hostname}" if to.hostname else "another path", key)


def _wrong(what: str, *, may_pass: bool) -> errors.WrongServer:
    return errors.WrongServer(
        f"this server does not speak Omi's API for action items: {what}",
        "check omi.base_url (or OMI_API_BASE, which wins), and whether a newer omisync exists",
        may_pass=may_pass,
    )


def _other_api(request: Request, status: int, said: _Said) -> errors.WrongServer:
    what = f"it answers {request} with {status}{said.tail}"
    foreign = said.detail is None and status != 426  # noqa: PLR2004 - Upgrade Required
    return _wrong(what, may_pass=foreign or status not in _OTHER_METHODS)


def _intercepted(request: Request, status: int, said: _Said) -> errors.Intercepted:
    """Return that it was not Omi who answered: each refusal of its own has a detail."""
    return errors.Intercepted(
        f"something before Omi answers {request} with {status}{said.tail}",
        "a proxy, a firewall or a gateway refused it; if that lasts, look at the network",
    )


def _create_refused(request: Request, status: int, said: _Said) -> OmisyncError:
    if status in _NOT_THIS_API:
        return _other_api(request, status, said)
    if status == 408:  # noqa: PLR2004 - Request Timeout: it may still have been read
        return errors.OutcomeUnknown("the server timed out on the create", "timeout")
    if status == 402:  # noqa: PLR2004 - Payment Required
        return _locked(status, said)
    if 400 <= status < 500:  # noqa: PLR2004 - client errors, RFC 9110, 15.5
        return _refused(request, status, said)
    return errors.OutcomeUnknown(_trouble(request, status, said), "5xx")


def _item_refused(request: Request, status: int, said: _Said) -> OmisyncError:
    if status == 404 and said.detail is not None:  # noqa: PLR2004 - Not Found
        vague = said.detail == _NO_ROUTE
        return errors.ItemGone(f"the item does not exist any more{said.tail}", status, vague=vague)
    if status == 404:  # noqa: PLR2004 - not as Omi says it: cut off, or of something before it
        return errors.ServerTrouble(_trouble(request, status, said))
    if status in _NOT_THIS_API:
        return _other_api(request, status, said)
    if status == 402:  # noqa: PLR2004 - Payment Required
        return _locked(status, said)
    if 400 <= status < 500 and status != 408:  # noqa: PLR2004 - 408 may be repeated
        return _refused(request, status, said)
    return errors.ServerTrouble(_trouble(request, status, said))


def _list_refused(request: Request, status: int, said: _Said) -> OmisyncError:
    """A list has no content to be refused for: the server is another one, or did not get it."""
    if 400 <= status < 500 and status != 408:  # noqa: PLR2004 - 408 may be repeated
        if said.detail is None and status not in _NOT_THIS_API:
            return _intercepted(request, status, said)
        return _other_api(request, status, said)
    return errors.ServerTrouble(_trouble(request, status, said))


_BY_METHOD = {
    "POST": _create_refused,
    "PATCH": _item_refused,
    "DELETE": _item_refused,
    "GET": _list_refused,
}


def _locked(status: int, said: _Said) -> errors.ItemLocked:
    return errors.ItemLocked(f"Omi has locked the item by the account's plan{said.tail}", status)


def _refused(request: Request, status: int, said: _Said) -> OmisyncError:
    if said.detail is None and status != 422:  # noqa: PLR2004 - Unprocessable Content
        return _intercepted(request, status, said)
    refusal = f"Omi does not accept the task ({status})"
    named = {index: f"{refusal}: {what}" for index, what in said.named.items()}
    return errors.ItemRefused(f"{refusal}{said.tail}", status, named)


def _named(detail: object) -> Iterator[tuple[int, str]]:
    """Yield the elements of a batch that FastAPI complains about, the first complaint last."""
    for complaint in reversed(detail if isinstance(detail, list) else []):
        match complaint:
            case {"loc": ["body", "action_items", int(index), *_]} if (
                not isinstance(index, bool) and index >= 0
            ):
                yield index, _complaint(complaint)


def _trouble(request: Request, status: int, said: _Said) -> str:
    hopeless = isinstance(said.detail, dict) and said.detail.get("retryable") is False
    note = " (it says that retrying does not help)" if hopeless else ""
    return f"the server answered {request} with {status}{said.tail}{note}"


# A success that cannot be used, and no reply at all.


def unusable(request: Request, reply: Reply, *, made: bool = False) -> OmisyncError:
    """Return the error that a success with an unreadable body is.

    ``made`` tells that as much can be read of it as that an item was created.
    """
    message = f"the server's success for {request} cannot be read"
    if reply.is_page:
        message = (
            f"the answer to {request} is a web page, not Omi's: the login page of a network, or"
            " of a proxy, or a wrong omi.base_url (or OMI_API_BASE)"
        )
    if request.method == "POST":
        return errors.OutcomeUnknown(message, "unlisted" if made else "dropped")
    advice = "open a page in a browser here: a network may ask for a login; else check omi.base_url"
    return errors.ServerTrouble(message, advice if reply.is_page else "")


def no_reply(
    request: Request, error: Exception, *, left: bool, proxied: bool = False
) -> OmisyncError:
    """Return the error that a failed exchange is.

    ``left`` tells whether bytes of the request may have left this machine:
    that alone, not the kind of failure, decides whether a create may exist. ``proxied``
    tells whether a proxy stands in between.
    """
    reason = _reason(error)
    if not left:
        way = " through the proxy" if proxied else ""
        cure = _cure(error, proxied=proxied)
        return errors.Unreachable(f"the server cannot be reached{way}: {reason}", cure)
    message = f"no complete reply to {request}: {reason}"
    if request.method != "POST":
        return errors.ServerTrouble(message)
    failure = "timeout" if isinstance(error, TimeoutError) else "dropped"
    return errors.OutcomeUnknown(message, failure)


_REASONS = (
    (aiohttp.ClientConnectorCertificateError, "its certificate is not trusted"),
    (aiohttp.ClientConnectorSSLError, "no encrypted connection came about"),
    (aiohttp.ClientProxyConnectionError, "the proxy does not answer"),
    (TimeoutError, "no answer in time"),
)


def _reason(error: Exception) -> str:
    """Return what happened in words of ours: errors of aiohttp can show headers."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status}"
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, aiohttp.ClientConnectorError):
        return _in_words(error.os_error)
    return "the connection broke"


def _in_words(error: OSError) -> str:
    """Return ``Connection refused``, where asyncio's own text shows the address as Python does."""
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or "no connection"
    return os.strerror(error.errno)


def _cure(error: Exception, *, proxied: bool) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "name your certificate authority in SSL_CERT_FILE, or check the clock"
    if proxied:
        return "check HTTPS_PROXY and NO_PROXY"
    return "check the network and omi.base_url (or OMI_API_BASE, which wins)"
