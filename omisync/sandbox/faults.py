"""Which request fails, and how.

Rule: a fault says on which side of the commit it strikes, for that is what a
client cannot see and must survive.
"""

from __future__ import annotations

import random
from itertools import cycle
from math import fsum
from typing import TYPE_CHECKING, Literal

from omisync.sandbox import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

Fault = Literal[
    "5xx_before",  # fails, nothing was done
    "5xx_after",  # fails between the commit and the phone notification
    "reset_before",  # the connection is reset, nothing was done
    "reset_after",  # the connection is reset, the change is made
    "hang",  # no answer ever, nothing was done
    "hang_after",  # no answer ever, the change is made
    "slow",  # done and answered after `slow_seconds`, even if the client has left
    "garbage",  # the change is made, the 200 holds half of its JSON
    "redirect",  # 307 to another path, nothing was done
    "html",  # 404 with a page of HTML, as from a wrong address
    "intercepted",  # 421 with a page of HTML, as from a gateway
    "429",  # nothing was done; `retry_after` says how long to wait
    "503",  # the same, as a gateway says it while a server is renewed
    "401",  # the other numbers: this status with a string detail, nothing was done
    "402",
    "403",
    "404",
    "405",
    "408",
    "413",
    "422",
    "426",
]

BEFORE = frozenset({"5xx_before", "reset_before", "hang", "redirect", "html", "intercepted"})
"""Faults, besides the statuses, that keep the request from being carried out."""

SILENT = frozenset({"reset_before", "reset_after", "hang", "hang_after"})
"""Faults after which the client gets no answer."""

HANGS = frozenset({"hang", "hang_after"})

_PAGE = b"<!doctype html><title>Error</title><h1>Not what you are looking for</h1>"


def prevents(fault: Fault | None) -> bool:
    """Return whether ``fault`` strikes before anything is done."""
    return fault in BEFORE or (fault or "").isdigit()


class Faults:
    """The faults to come: queued ones first, then drawn ones."""

    def __init__(self) -> None:
        self.queue: list[tuple[str | None, Fault | None]] = []
        self.rates: dict[Fault, float] = {}
        self._chance = random.Random(0)  # noqa: S311  # repeatable, not secret
        # The shapes an unwell server answers in: its rate limiter is down, the
        # program crashed, the gateway in front of it gave up.
        self._troubles = cycle(
            (
                wire.reply(503, {"detail": {"message": "Try again", "retryable": True}}),
                wire.Reply(500, b"Internal Server Error", content_type="text/plain"),
                wire.Reply(502, _PAGE, content_type="text/html"),
                wire.reply(500, {"detail": "Failed"}),
                wire.Reply(504, b"", content_type="text/plain"),
            )
        )

    def draw(self, rates: Mapping[Fault, float], seed: int) -> None:
        """Let each request fail with these probabilities; their sum is at most 1."""
        if fsum(rates.values()) > 1:
            raise ValueError(f"fault rates add up to {fsum(rates.values())}, more than 1")
        self.rates = dict(rates)
        self._chance = random.Random(seed)  # noqa: S311  # repeatable, not secret

    def take(self, method: str) -> Fault | None:
        """Return the fault of the next request, None if it is to succeed."""
        for index, (only, fault) in enumerate(self.queue):
            if only in (None, method):
                del self.queue[index]
                return fault
        if not self.rates:
            return None
        drawn = self._chance.random()
        for fault, rate in self.rates.items():
            if drawn < rate:
                return fault
            drawn -= rate
        return None

    def distort(
        self, fault: Fault | None, answer: wire.Reply, *, url: str, retry_after: int | str
    ) -> wire.Reply:
        """Return what the client gets in place of ``answer``."""
        if fault in ("5xx_before", "5xx_after"):
            return next(self._troubles)
        if fault == "garbage":
            half = answer.body[: len(answer.body) // 2]
            return wire.Reply(answer.status, half, answer.headers, answer.content_type)
        return answer if fault is None else _instead(fault, url, retry_after) or answer


def _instead(fault: Fault, url: str, retry_after: int | str) -> wire.Reply | None:
    """Return the answer to a request that was not carried out."""
    if fault == "redirect":
        return wire.Reply(307, b"", {"Location": f"{url}/elsewhere"})
    if fault == "html":
        return wire.Reply(404, _PAGE, content_type="text/html")
    if fault == "intercepted":
        return wire.Reply(421, _PAGE, content_type="text/html")
    if fault == "429":
        return rate_limited(retry_after, 120)
    if fault.isdigit():
        more = {"Retry_After": str(retry_after)} if fault == "503" else {}
        return wire.reply(int(fault), {"detail": f"Answered with {fault} on purpose"}, **more)
    return None


def rate_limited(retry_after: int | str, limit: int) -> wire.Reply:
    """Return the 429 of the rate limiter; ``retry_after`` in seconds or an HTTP date."""
    detail = f"Rate limit exceeded. Try again in {retry_after}s."
    return wire.reply(
        429,
        {"detail": detail},
        detail,
        Retry_After=str(retry_after),
        X_RateLimit_Limit=str(limit),
        X_RateLimit_Remaining="0",
    )
