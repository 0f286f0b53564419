"""Ask a running daemon for something, and be asked: one line of JSON each way.

A Unix socket (0600) in the runtime directory, or beside the store where there
is none. Only its owner can connect; what is asked is run by the daemon between
two cycles, so nobody else ever writes to its store.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

ADDRESS = 100
"""Bytes that surely fit into a Unix socket's address (sun_path: 108 on Linux)."""
LONGEST = 1 << 16
"""Bytes of a request; answers may be longer."""


def place(store: Path, environ: Mapping[str, str]) -> Path:
    """Return where the socket of the daemon on this store is."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        digest = hashlib.sha256(os.fsencode(store)).hexdigest()[:16]
        return Path(runtime) / "omisync" / f"{digest}.sock"
    return store.with_name(store.name + ".sock")


@contextlib.contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """Yield a name of this path that fits into a socket address."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fits = len(os.fsencode(path)) < ADDRESS
        yield str(path) if fits else f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)


@contextlib.asynccontextmanager
async def listening(path: Path, answer: Answer) -> AsyncIterator[None]:
    """Answer requests at this place for as long as the block runs.

    Call it only while holding the store's lock: a socket that is there already
    was left behind by a daemon that died.

    Raises:
        OSError: the socket cannot be made there.
    """
    import asyncio

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, asyncio.LimitOverrunError):
            request = json.loads(await reader.readline())
            if isinstance(request, dict):
                writer.write(json.dumps(await answer(request)).encode() + b"\n")
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    _cleared(path)
    former = os.umask(0o177)
    try:
        with _reachable(path) as name:
            server = await asyncio.start_unix_server(serve, name, limit=LONGEST)
    finally:
        os.umask(former)
    try:
        yield
    finally:
        server.close()
        _cleared(path)


def _cleared(path: Path) -> None:
    """Make room for a socket: its folder exists, itself does not."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)


def ask(store: Path, environ: Mapping[str, str], request: dict[str, Any]) -> dict[str, Any] | None:
    """Return the daemon's answer, None when no daemon answers on this store.

    It waits as long as the daemon works on the request.
    """
    path = place(store, environ)
    with contextlib.suppress(OSError, ValueError), _reachable(path) as name:
        with socket.socket(socket.AF_UNIX) as talk:
            talk.connect(name)
            talk.sendall(json.dumps(request).encode() + b"\n")
            with talk.makefile("rb") as lines:
                answer = json.loads(lines.readline())
        if isinstance(answer, dict):
            return answer
    return None
