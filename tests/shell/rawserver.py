"""A server for tests that answers with exact bytes, or fails at an exact point."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl

HANG = object()
"""Never answer."""

RESET = object()
"""Read the request, then reset the connection."""

CLOSE = b""
"""Read the request, then end the connection in order, without a reply."""


def http(status: int, body: bytes | object = b"", /, **headers: str) -> bytes:
    """Return a reply; ``body`` other than bytes becomes JSON, ``_`` in names becomes ``-``."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"Content-Length": str(len(content))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Any", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


@dataclass
class RawServer:
    """Answers requests one after the other; the last answer repeats.

    With ``once`` a connection ends after its first answer. ``seen`` holds the
    requests as they came; ``arrived`` is set by each, ``left`` when a client
    hung up while its answer was due.
    """

    answers: tuple[object, ...]
    once: bool = False
    tls: ssl.SSLContext | None = None
    seen: list[bytes] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    connections: int = 0

    @property
    def url(self) -> str:
        """The address of this server over plain http."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._open: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left between requests
        except asyncio.CancelledError:
            pass  # the server closes; nobody awaits this task
        finally:
            writer.close()
            self._open.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self.seen.append(await _request(reader))
        self.arrived.set()
        answer = self.answers[min(len(self.seen), len(self.answers)) - 1]
        if answer is HANG:
            await reader.read()
            self.left.set()
        elif answer is RESET:
            connection = writer.get_extra_info("socket")
            # Without lingering the kernel sends RST instead of FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif isinstance(answer, bytes) and answer:
            writer.write(answer)
            await writer.drain()
            return not self.once
        return False


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return head + await reader.readexactly(int(value))
    return head
