"""The control socket: whatever comes in, the daemon stays well and nobody waits for ever."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import stat
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from omisync import control
from omisync.errors import StoreBusy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

SESSION = Path(f"/run/user/{os.geteuid()}")
"""The runtime directory of this user's session (pam_systemd(8))."""

LONG = 20.0
"""Seconds after which something that should have come is missing."""

GARBAGE = [
    b"",
    b"\n",
    b"{}",
    b"null\n",
    b'["do"]\n',
    b'{"do": "cycle"\n',
    b"\xff\xfe\x00\n",
    b"[" * 60_000 + b"\n",
    b"x" * (control.LONGEST * 3),
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
]


async def echo(request: dict[str, Any]) -> dict[str, Any]:
    """Answer with the request."""
    return {"heard": request}


async def ask(store: Path, environ: Mapping[str, str], **request: object) -> dict[str, Any] | None:
    """Ask as another process does, without holding up this loop."""
    async with asyncio.timeout(LONG):
        return await asyncio.to_thread(control.ask, store, environ, request)


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[socket.socket]:
    """Connect as a program of its own does."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as talk:
        talk.setblocking(False)
        await loop.sock_connect(talk, str(path))
        yield talk


@contextmanager
def silent(path: Path) -> Iterator[socket.socket]:
    """Listen as a daemon does that answers nothing: the kernel takes who comes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()
        yield door


async def hung_up(talk: socket.socket) -> bytes:
    """Read to the end of the connection."""
    got = b""
    async with asyncio.timeout(LONG):
        with suppress(ConnectionResetError):  # what we had sent was not read
            while more := await asyncio.get_running_loop().sock_recv(talk, 1 << 16):
                got += more
    return got


@pytest.fixture(params=["runtime", "beside"])
def environ(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """With a runtime directory, whose path is short as they are, and without one."""
    with tempfile.TemporaryDirectory() as run:
        yield {"XDG_RUNTIME_DIR": run} if request.param == "runtime" else {}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store at a usual place."""
    return tmp_path / "state" / "todo.db"


async def test_what_is_asked_is_answered(store: Path, environ: dict[str, str]) -> None:
    """Request and answer arrive whole, with or without a runtime directory."""
    async with control.listening(control.place(store, environ), echo):
        answer = await ask(store, environ, do="cycle", text="naïve\n✓")
    assert answer == {"heard": {"do": "cycle", "text": "naïve\n✓"}}


async def test_only_the_owner_can_ask(store: Path, environ: dict[str, str]) -> None:
    """The socket is 0600 from its first moment, its folder 0700."""
    path = control.place(store, environ)
    async with control.listening(path, echo):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.exists()


async def test_nobody_answers_where_no_daemon_runs(store: Path, environ: dict[str, str]) -> None:
    """Without a socket, and with one that a killed daemon left behind, there is no answer."""
    assert await ask(store, environ, do="cycle") is None
    path = control.place(store, environ)
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert await ask(store, environ, do="cycle") is None


async def test_a_daemon_without_a_runtime_directory_is_found(store: Path, tmp_path: Path) -> None:
    """As cron starts it; who asks from a session of his own has one."""
    session = {"XDG_RUNTIME_DIR": str(tmp_path / "run")}
    async with control.listening(control.place(store, {}), echo):
        assert await ask(store, session, do="cycle") == {"heard": {"do": "cycle"}}


def test_a_daemon_of_the_session_is_looked_for_without_its_environment(store: Path) -> None:
    """As cron asks, or a shell of ``su``; where the environment says, it is looked for first."""
    session = control.place(store, {"XDG_RUNTIME_DIR": str(SESSION)})
    beside = control.place(store, {})
    assert [*control.candidates(store, {})] == [beside, session]
    own = {"XDG_RUNTIME_DIR": "/run/own"}
    assert [*control.candidates(store, own)] == [control.place(store, own), session, beside]


async def test_a_stale_socket_is_replaced(store: Path, environ: dict[str, str]) -> None:
    """The next daemon takes the place of one that was killed."""
    path = control.place(store, environ)
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with control.listening(path, echo):
        assert await ask(store, environ, do="cycle") is not None


@pytest.mark.parametrize("name", ["t" * 200 + ".db", "ü" * 100 + ".db", "todo.db"])
async def test_a_long_path_can_be_asked(tmp_path: Path, environ: dict[str, str], name: str) -> None:
    """A socket's address has 108 bytes; folders and names may be longer."""
    store = tmp_path / ("folder " * 20) / ("d" * 200) / name
    environ = {key: f"{value}/{'r' * 200}" for key, value in environ.items()}
    async with control.listening(control.place(store, environ), echo):
        assert await ask(store, environ, do="cycle") == {"heard": {"do": "cycle"}}


def test_each_store_has_its_own_socket(tmp_path: Path, environ: dict[str, str]) -> None:
    """Daemons on different stores never share a socket, whatever the stores are called."""
    names = ["a.db", "b.db", "t" * 200 + ".db", "t" * 199 + "u.db", "t" * 199 + "u.db2"]
    stores = [tmp_path / folder / name for folder in ("x", "y") for name in names]
    assert len({control.place(store, environ) for store in stores}) == len(stores)


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_does_no_harm(
    store: Path, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It is hung up on, nothing is printed, and the next request is answered."""
    async with control.listening(path := control.place(store, {}), echo):
        async with connected(path) as talk:
            with suppress(BrokenPipeError, ConnectionResetError):  # hung up on meanwhile
                await asyncio.get_running_loop().sock_sendall(talk, garbage)
                talk.shutdown(socket.SHUT_WR)
            expected = b'{"heard": {}}\n' if garbage == b"{}" else b""
            assert await hung_up(talk) == expected
        assert await ask(store, {}, do="cycle") == {"heard": {"do": "cycle"}}
    assert caplog.text == ""


async def test_a_silent_client_blocks_nobody(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Others are answered meanwhile, the end does not wait for it, and it is hung up on."""
    path = control.place(store, {})
    async with AsyncExitStack() as stack:
        async with control.listening(path, echo):
            talks = [await stack.enter_async_context(connected(path)) for _ in range(3)]
            await asyncio.get_running_loop().sock_sendall(talks[2], b'{"do": ')
            assert await ask(store, {}, do="cycle") == {"heard": {"do": "cycle"}}
        assert [await hung_up(talk) for talk in talks] == [b"", b"", b""]
    assert caplog.text == ""


async def test_an_asker_who_leaves_does_no_harm(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The request is carried out, its answer goes nowhere, the next asker gets theirs."""
    came, left = asyncio.Event(), asyncio.Event()

    async def slow(request: dict[str, Any]) -> dict[str, Any]:
        came.set()
        await left.wait()
        return {"heard": request, "much": "x" * 1_000_000}

    async with control.listening(path := control.place(store, {}), slow):
        async with connected(path) as talk:
            await asyncio.get_running_loop().sock_sendall(talk, b'{"do": "cycle"}\n')
            await came.wait()
        left.set()
        answer = await ask(store, {}, do="retry")
        assert answer is not None
        assert answer["heard"] == {"do": "retry"}
    assert caplog.text == ""


async def test_who_works_for_long_says_so(store: Path) -> None:
    """Blanks come while a request is worked on, and the answer after them is read as ever."""
    ready = asyncio.Event()

    async def slow(request: dict[str, Any]) -> dict[str, Any]:
        await ready.wait()
        return await echo(request)

    path = control.place(store, {})
    async with control.listening(path, slow, beat=0.01), connected(path) as talk:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(talk, b'{"do": "cycle"}\n')
        async with asyncio.timeout(LONG):
            heard = [await loop.sock_recv(talk, 1) for _ in range(3)]
        assert heard == [b" "] * 3
        asking = asyncio.create_task(ask(store, {}, do="retry"))
        ready.set()
        assert json.loads(await hung_up(talk)) == {"heard": {"do": "cycle"}}
        assert await asking == {"heard": {"do": "retry"}}


@pytest.mark.parametrize("works", [True, False])
async def test_work_that_gets_no_further_is_not_waited_for(store: Path, works: bool) -> None:
    """It is as long as something is done meanwhile."""
    over = asyncio.Event()

    async def slow(request: dict[str, Any]) -> dict[str, Any]:
        await over.wait()
        return await echo(request)

    path, asked = control.place(store, {}), ({"do": "cycle"}, LONG, 0.3)
    began = asyncio.get_running_loop().time()

    def done() -> int:
        now = asyncio.get_running_loop().time()
        if now - began > 1.0:
            over.set()
        return int(now * 1000) if works else 0

    async with control.listening(path, slow, beat=0.01, done=done):
        asking = asyncio.to_thread(control.ask, store, {}, *asked)
        if works:
            assert await asking == {"heard": {"do": "cycle"}}
            return
        with pytest.raises(StoreBusy, match="no further") as told:
            await asking
        assert "omisync status" in told.value.advice
        over.set()


async def test_a_daemon_that_freezes_while_it_works_is_told_as_frozen(store: Path) -> None:
    """It gave signs before, and then it got no further because it stands still."""
    with silent(control.place(store, {})) as frozen:
        asked = ({"do": "cycle"}, 0.5, 30.0)
        asking = asyncio.create_task(asyncio.to_thread(control.ask, store, {}, *asked))
        talk, _ = await asyncio.to_thread(frozen.accept)
        with talk:
            talk.sendall(control.ALIVE)
            with pytest.raises(StoreBusy, match="no sign of life"):
                await asking


async def test_an_asker_who_left_hears_no_more(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its request is carried out to the end all the same, in silence."""
    came, ready, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(request: dict[str, Any]) -> dict[str, Any]:
        came.set()
        await ready.wait()
        done.set()
        return await echo(request)

    async with control.listening(path := control.place(store, {}), slow, beat=0.001):
        async with connected(path) as talk:
            await asyncio.get_running_loop().sock_sendall(talk, b'{"do": "cycle"}\n')
            await came.wait()
        async with connected(path) as other:  # beats as long as the one that left would
            await asyncio.get_running_loop().sock_sendall(other, b'{"do": "cycle"}\n')
            for _ in range(10):
                assert await asyncio.get_running_loop().sock_recv(other, 1) == b" "
        ready.set()
        await done.wait()
        assert await ask(store, {}, do="retry") == {"heard": {"do": "retry"}}
    assert caplog.text == ""


async def test_a_frozen_daemon_is_not_waited_for(store: Path, environ: dict[str, str]) -> None:
    """It accepts, as the kernel does for it, and gives no sign: that is told, by name."""
    frozen = silent(control.place(store, environ))
    with frozen, pytest.raises(StoreBusy, match="no sign of life") as told:
        await asyncio.to_thread(control.ask, store, environ, {"do": "cycle"}, 0.1)
    assert str(store) in told.value.message
    assert "omisync status" in told.value.advice


async def test_who_works_is_not_frozen(store: Path) -> None:
    """It answers nobody while it plans a long list, which takes the processor's time."""
    with silent(control.place(store, {})):
        asking = asyncio.create_task(asyncio.to_thread(control.check_alive, store, {}, 0.5))
        while not asking.done():
            sum(range(10_000))
            await asyncio.sleep(0)
        await asking


async def test_who_asked_before_the_end_is_answered_after_it(store: Path) -> None:
    """A daemon that reads its config anew owes no answer."""
    came, ready = asyncio.Event(), asyncio.Event()

    async def slow(request: dict[str, Any]) -> dict[str, Any]:
        came.set()
        await ready.wait()
        return await echo(request)

    async with control.listening(control.place(store, {}), slow):
        asking = asyncio.create_task(ask(store, {}, do="cycle"))
        await came.wait()
    ready.set()
    assert await asking == {"heard": {"do": "cycle"}}


async def test_an_answer_may_be_long(store: Path) -> None:
    """Thousands of tasks in one answer arrive whole."""
    texts = [f"task {n} of a long list, ünïcode" for n in range(20_000)]

    async def tasks(request: dict[str, Any]) -> dict[str, Any]:
        return {"tasks": texts}

    async with control.listening(control.place(store, {}), tasks):
        assert await ask(store, {}, do="retry", text="") == {"tasks": texts}


async def test_a_daemon_that_dies_has_not_answered(store: Path) -> None:
    """Half an answer is none: the asker does the work itself."""

    async def dying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"code": 0, "out": "In sy')
        writer.close()

    path = control.place(store, {})
    path.parent.mkdir(parents=True)
    server = await asyncio.start_unix_server(dying, path)
    assert await ask(store, {}, do="cycle") is None
    server.close()


async def test_the_end_survives_a_lost_runtime_directory(tmp_path: Path, store: Path) -> None:
    """At logout the directory goes while a daemon may stay."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path / "run")}
    async with control.listening(control.place(store, environ), echo):
        shutil.rmtree(tmp_path / "run")
        (tmp_path / "run").write_text("in the way")
    assert await ask(store, environ, do="cycle") is None


async def test_a_place_that_cannot_hold_a_socket_is_said(tmp_path: Path, store: Path) -> None:
    """The daemon hears why it cannot be asked; nothing in the way is removed."""
    (tmp_path / "run").write_text("in the way")
    environ = {"XDG_RUNTIME_DIR": str(tmp_path / "run")}
    with pytest.raises(OSError, match="run"):
        async with control.listening(control.place(store, environ), echo):
            raise AssertionError("it listens")
    assert (tmp_path / "run").read_text() == "in the way"
