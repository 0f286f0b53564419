"""Ask a running daemon for something, and be asked: one line of JSON each way.

A Unix socket (0600) in the runtime directory, or beside the store where there
is none. Only its owner (and root) can connect; what is asked is run by the daemon between
two cycles, so nobody else ever writes to its store.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omisync.errors import StoreBusy

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

ADDRESS = 100
"""Bytes that surely fit into a Unix socket's address (sun_path: 108 on Linux)."""
LONGEST_NAME = 80
"""Bytes of a socket's name that fit behind ``/proc/self/fd/N/``."""
LONGEST = 1 << 16
"""Bytes of a request; answers may be longer."""
BEAT = 1.0
"""Interval of keep-alive blanks, in seconds: JSON may begin with any number of blanks, and
the daemon sends them while it works on a request."""
GREETING = {"do": "greet"}
"""Asks for nothing but an answer, at once, whatever else is under way."""
ALIVE, FURTHER = b" ", b"\t"
"""The blanks: the second one tells that the daemon got further since the last."""
MISSED = 5
"""So many beats in a row a daemon misses that is busy, and not frozen."""
PATIENCE = 60.0
"""Without one for this long the daemon counts as hung; a slow machine may take some seconds
to plan a long list."""


def place(store: Path, environ: Mapping[str, str]) -> Path:
    """Return where the socket of the daemon on this store is."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    short = hashlib.sha256(os.fsencode(store)).hexdigest()[:16] + ".sock"
    if runtime.startswith("/"):
        return Path(runtime) / "omisync" / short
    beside = store.with_name(store.name + ".sock")
    return beside if len(os.fsencode(beside.name)) <= LONGEST_NAME else store.with_name(short)


def candidates(store: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield where a daemon may listen: its session may have a runtime directory that ours lacks."""
    session = {"XDG_RUNTIME_DIR": f"/run/user/{os.geteuid()}"}
    yield from dict.fromkeys(place(store, known) for known in (environ, session, {}))


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
async def listening(
    path: Path, answer: Answer, *, beat: float = BEAT, done: Callable[[], int] = int
) -> AsyncIterator[None]:
    """Answer requests at this place for as long as the block runs; see ``BEAT``.

    ``done`` counts what was done so far, for those who wait for an answer.

    A request under way at the end of the block is still answered if the loop
    goes on; who has asked nothing yet is hung up on.

    Call it only while holding the store's lock: a socket that is there already
    was left behind by a daemon that died.

    Raises:
        OSError: the socket cannot be made there.
    """
    import asyncio

    silent: set[asyncio.StreamWriter] = set()
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            silent.add(writer)
            try:
                request = await _heard(reader)
            finally:
                silent.discard(writer)
            if request is not None:
                work = asyncio.ensure_future(answer(request))
                before = done()
                while not (await asyncio.wait({work}, timeout=beat))[0]:
                    if not writer.is_closing():
                        writer.write(ALIVE if done() == before else FURTHER)
                    before = done()
                writer.write(json.dumps(work.result()).encode() + b"\n")
                await writer.drain()

    # A coroutine in its place would be a task of asyncio's own, which prints a
    # traceback when the loop ends meanwhile (Python 3.11).
    def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(talk(reader, writer))
        talks.add(task)
        task.add_done_callback(talks.discard)

    door = _bound(path)
    server = await asyncio.start_server(met, sock=door, limit=LONGEST)
    try:
        yield
    finally:
        server.close()
        for writer in silent:
            writer.transport.abort()
        _remove(path)


def _bound(path: Path) -> socket.socket:
    """Return a socket at this place, which only its owner may use."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX)
    former = os.umask(0o177)
    try:
        with _reachable(path) as name:
            door.bind(name)
    except OSError:
        door.close()
        raise
    finally:
        os.umask(former)
    return door


def _remove(path: Path) -> None:
    # Its folder may have gone already, with the login session.
    with contextlib.suppress(OSError):
        path.unlink()


async def _heard(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Return the request, None for anything else."""
    try:
        request = json.loads(await reader.readline())
    except (ValueError, RecursionError):  # too long a line, too, is a ValueError
        return None
    return request if isinstance(request, dict) else None


def ask(
    store: Path,
    environ: Mapping[str, str],
    request: dict[str, Any],
    patience: float = PATIENCE,
    longest: float = math.inf,
) -> dict[str, Any] | None:
    """Return the daemon's answer, None when no daemon answers on this store.

    It waits as long as the daemon works on the request, but no longer than ``patience``
    seconds for a sign of that, nor than ``longest`` seconds without it getting further.

    Raises:
        StoreBusy: there is a daemon, and it gives no sign, or gets no further.
    """
    waits = (patience, longest)
    answers = (_asked(path, store, request, waits) for path in candidates(store, environ))
    return next((answer for answer in answers if answer is not None), None)


def _asked(
    path: Path, store: Path, request: dict[str, Any], waits: tuple[float, float]
) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError), _reachable(path) as name:
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(min(waits))
            spent = ""
            try:
                talk.connect(name)
                if not _is_trusted(talk):
                    return None
                spent = _spent(talk)
                talk.sendall(json.dumps(request).encode() + b"\n")
                answer = json.loads(_received(talk, *waits))
            except TimeoutError as error:
                if request == GREETING and spent != _spent(talk):
                    return {}
                raise _late(store, works=isinstance(error, _NoFurther)) from None
        if isinstance(answer, dict):
            return answer
    return None


def check_alive(store: Path, environ: Mapping[str, str], patience: float = MISSED * BEAT) -> None:
    """See that a daemon on this store answers, or works, if there is one; it is asked for nothing.

    One that plans a long list answers nobody till then, and has the processor's time for it.

    Raises:
        StoreBusy: there is one, and it gave no sign for ``patience`` seconds.
    """
    ask(store, environ, GREETING, patience)


class _NoFurther(TimeoutError):
    """The daemon works, and has got no further."""


def _received(talk: socket.socket, patience: float, longest: float) -> bytes:
    """Return a line, or what there is of it where the other end hangs up.

    Raises:
        TimeoutError: there is no sign of life any more, or was none.
        _NoFurther: there is, and it takes too long.
    """
    got, heard = bytearray(), time.monotonic()
    further = heard
    while not got.endswith(b"\n"):
        left = further + longest - time.monotonic()
        if left <= 0:
            raise _NoFurther if time.monotonic() - heard < MISSED * BEAT else TimeoutError
        talk.settimeout(min(patience, left, BEAT))
        try:
            more = talk.recv(LONGEST)
        except TimeoutError:
            if time.monotonic() - heard >= patience:
                raise
            continue
        if not more:
            break
        heard = time.monotonic()
        if FURTHER in more:
            further = time.monotonic()
        got += more
    return bytes(got)


def _late(store: Path, *, works: bool) -> StoreBusy:
    if works:
        return StoreBusy(
            f"The daemon that works on {store} gets no further for now",
            "Omi is slow to answer, most likely. It goes on by itself, and nothing is lost;"
            " `omisync status` tells what it met as soon as a request has failed.",
        )
    return StoreBusy(
        f"The daemon that works on {store} gives no sign of life",
        "It is frozen (`kill -CONT` lets it go on), or waits for its disk or state:"
        " `omisync status` tells its process, its log why it waits.",
    )


def _is_trusted(talk: socket.socket) -> bool:
    """Return whether nobody but this user or root answers here, as far as can be known.

    In a folder that others can write to, one of them could say that all is well.
    """
    peer = _peer(talk)
    return peer is None or os.geteuid() == 0 or peer[1] in {os.geteuid(), 0}


def _peer(talk: socket.socket) -> tuple[int, ...] | None:
    """Return the process, the user and the group at the other end, where the system tells."""
    credentials = getattr(socket, "SO_PEERCRED", None)  # Linux
    if credentials is None:
        return None
    told = talk.getsockopt(socket.SOL_SOCKET, credentials, struct.calcsize("3i"))
    return struct.unpack("3i", told)


def _spent(talk: socket.socket) -> str:
    """Return what tells the processor's time of the other end, empty where nothing does."""
    peer = _peer(talk)
    with contextlib.suppress(OSError, IndexError):
        if peer is not None:
            # utime and stime: proc(5) counts fields from the state, behind the name, on.
            told = Path(f"/proc/{peer[0]}/stat").read_text(errors="replace")
            return " ".join(told.rpartition(")")[2].split()[11:13])
    return ""
