"""Tell systemd how the daemon is: the datagrams of sd_notify(3).

Without a supervisor, every call does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MICRO = 1_000_000
TURNS = 3
"""Signs of life in each watchdog period: two may be late before systemd acts."""


def tell(environ: Mapping[str, str], **states: str | int) -> None:
    """Send states such as ``READY=1`` or ``STATUS=...``; newlines become spaces."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    lines = (f"{name}={str(value).replace(chr(10), ' ')}" for name, value in states.items())
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto("\n".join(lines).encode(errors="replace"), address)


def reloading(environ: Mapping[str, str]) -> None:
    """Say that the config is being read anew; READY=1 ends it."""
    tell(environ, RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)


async def alive(environ: Mapping[str, str]) -> None:
    """Feed the watchdog for ever, from the loop itself: a loop that hangs stops feeding."""
    period = environ.get("WATCHDOG_USEC", "")
    for_us = environ.get("WATCHDOG_PID") in {None, "", str(os.getpid())}
    if not (period.isdigit() and int(period) and for_us):
        return
    while True:
        tell(environ, WATCHDOG=1)
        await asyncio.sleep(int(period) / MICRO / TURNS)
