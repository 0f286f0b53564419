"""What ``omisync sandbox`` runs: the server alone, and each request as it comes."""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
import time
from typing import TYPE_CHECKING, TextIO
from urllib.parse import quote, urlencode

from omisync.sandbox.server import KEY, Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from omisync.sandbox.faults import Fault
    from omisync.sandbox.server import Request


async def serve(  # noqa: PLR0913 - what a person can say of the server
    port: int = 0,
    state: Path | None = None,
    *,
    reads_per_hour: int | None = None,
    writes_per_hour: int | None = None,
    fault_rates: Mapping[Fault, float] | None = None,
    out: TextIO | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Prints the address and the key first, as shell assignments, then one line
    for each request. ``port`` 0 takes a free one. ``fault_rates`` are shares of the requests
    that fail so, other ones in each run.

    Raises:
        UsageError: the port is taken, or the state file is not one.
    """
    output = sys.stdout if out is None else out
    sandbox = Sandbox(
        seed=secrets.randbits(64),  # ids of its own: one that it forgot names no other item later
        port=port,
        state=state,
        reads_per_hour=reads_per_hour,
        writes_per_hour=writes_per_hour,
    )

    sandbox.fault_rate(fault_rates or {}, secrets.randbits(64))

    def say(text: str) -> None:
        output.write(f"{text}\n")
        output.flush()

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    sandbox.on_request = lambda request: say(line(request))
    async with sandbox:
        say(f"export OMI_API_BASE={sandbox.url}")
        say(f"export OMI_API_KEY={KEY}")
        await stop.wait()


def line(request: Request) -> str:
    """Return a request as one line: local time, method, path, status, what happened."""
    at = time.strftime("%H:%M:%S", time.localtime(request.at))
    path = quote(request.path, safe="/")
    query = f"?{urlencode(request.query)}" if request.query else ""
    status = "---" if request.status is None else str(request.status)
    fault = f"[{request.fault}]" if request.fault else ""
    parts = (at, request.method.ljust(6), path + query, status, request.summary, fault)
    return "  ".join(part for part in parts if part)
