"""The way to the server: addresses, proxies, certificates, and what the key never meets."""

from __future__ import annotations

import asyncio
import base64
import shutil
import socket
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rawserver import CLOSE, HANG, RawServer, http

from omisync import errors
from omisync.api import OmiClient
from omisync.core.model import Fields, Patch
from omisync.places import normalised_base
from omisync.sandbox import KEY, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

PROXY_NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
NEEDS_OPENSSL = pytest.mark.skipif(not shutil.which("openssl"), reason="makes a certificate")


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment without proxies."""
    for name in PROXY_NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


# Addresses.


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://api.omi.me", "https://api.omi.me"),
        ("https://api.omi.me/", "https://api.omi.me"),
        ("HTTPS://API.Omi.ME:443//", "https://api.omi.me"),
        ("https://api.omi.me:8443", "https://api.omi.me:8443"),
        ("https://example.org/Omi/v2/", "https://example.org/Omi/v2"),
        ("https://example.org/a%2Fb ü".replace(" ", ""), "https://example.org/a%2Fb%C3%BC"),
        ("https://Bücher.example", "https://xn--bcher-kva.example"),
        ("http://localhost:80", "http://localhost"),
        ("http://LOCALHOST:8000/", "http://localhost:8000"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.8.9.10", "http://127.8.9.10"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("https://[2001:DB8::1]:443", "https://[2001:db8::1]"),
    ],
)
def test_one_server_has_one_spelling(url: str, base: str) -> None:
    """Scheme and host in lower case, no default port, no trailing slash; twice is once."""
    assert normalised_base(url) == base
    assert normalised_base(base) == base


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.omi.me",
        "//api.omi.me",
        "ftp://api.omi.me",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://api.omi.me:99999",
        "https://api.omi.me:0",
        "https://api.omi.me:http",
        "https://[::1",
        "https://api.omi.me?key=1",
        "https://api.omi.me?",
        "https://api.omi.me/#part",
        "https://user@api.omi.me",
        "https://user:hunter2@api.omi.me",
        "https://api.omi.me@evil.example",
        "https://api .omi.me",
        "https://api.omi.me\r\nHost: evil.example",
        "https://api\u202e.omi.me",
        "https://a..b",
        "https://ü..b",
        "https://" + "a" * 64 + ".example",
        "https://api.omi.me\\@evil.example",
    ],
)
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    """As a mistake of the config, without repeating a password."""
    with pytest.raises(errors.ConfigError) as caught:
        normalised_base(url)
    assert "hunter2" not in f"{caught.value}{caught.value.advice}"


@pytest.mark.parametrize(
    "host",
    ["api.omi.me", "192.168.0.2", "10.0.0.1", "0.0.0.0", "localhost.example", "127.1", "[::2]"],
)
def test_plain_http_stays_on_this_machine(host: str) -> None:
    """Anywhere else the key would travel readable."""
    with pytest.raises(errors.ConfigError, match="plain http"):
        normalised_base(f"http://{host}")
    with pytest.raises(errors.ConfigError):
        OmiClient(f"http://{host}:8000", KEY)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_mistake(text: str) -> None:
    """Nothing else comes out, and what comes out stays as it is."""
    for url in (text, f"https://{text}", f"https://example.org/{text}"):
        try:
            base = normalised_base(url)
        except errors.ConfigError:
            continue
        assert normalised_base(base) == base


async def test_a_base_with_a_path_keeps_it() -> None:
    """A server may live below a path, behind a gateway."""
    reply = http(200, {"id": "x", "description": "d", "completed": False})
    async with RawServer((reply,)) as server, OmiClient(f"{server.url}/omi/", KEY) as omi:
        await omi.change("x", Patch(completed=True))
    assert server.seen[0].startswith(b"PATCH /omi/v1/dev/user/action-items/x HTTP/1.1\r\n")


# Proxies.


async def test_loopback_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says: a proxy would see the key, or be another machine."""
    async with RawServer((http(502),)) as proxy, Sandbox() as server:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with OmiClient(server.url, KEY) as omi:
            await omi.create(Fields("a"), idempotency_key="i")
        assert len(server.items) == 1
        assert proxy.seen == []


@pytest.mark.parametrize("status", [403, 407, 502])
async def test_a_proxy_is_asked_for_a_tunnel_and_never_gets_the_key(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its refusal means that nothing left, even for a create."""
    async with RawServer((http(status),), once=True) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with OmiClient("https://omi.invalid", KEY) as omi:
            with pytest.raises(errors.Unreachable, match=f"the proxy answered {status}") as caught:
                await omi.create(Fields("a"), idempotency_key="i")
    assert proxy.seen[0].startswith(b"CONNECT omi.invalid:443 HTTP/1.1\r\n")
    assert not any(KEY.encode() in request for request in proxy.seen)
    assert caught.value.__context__ is None


async def test_a_proxy_may_want_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes from the proxy's address and is not repeated in an error."""
    async with RawServer((http(407),), once=True) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        async with OmiClient("https://omi.invalid", KEY) as omi:
            with pytest.raises(errors.Unreachable) as caught:
                await omi.delete("x")
    assert base64.b64encode(b"me:p@ss") in proxy.seen[0]
    assert "ss@" not in f"{caught.value!r}{caught.value.advice}"


async def test_a_proxy_may_be_named_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    """As curl accepts it."""
    async with RawServer((http(502),), once=True) as proxy:
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.port}")
        async with OmiClient("https://omi.invalid", KEY) as omi:
            with pytest.raises(errors.Unreachable):
                await omi.delete("x")
    assert len(proxy.seen) == 1


async def test_no_proxy_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host in NO_PROXY is reached directly."""
    async with RawServer((http(502),)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "example.org,.invalid")
        async with OmiClient("https://omi.invalid", KEY) as omi:
            with pytest.raises(errors.Unreachable):
                await omi.delete("x")
    assert proxy.seen == []


async def test_a_dead_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The advice points at the proxy's variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free.getsockname()[1]}")
        async with OmiClient("https://omi.invalid", KEY) as omi:
            with pytest.raises(errors.Unreachable, match="the proxy does not answer") as caught:
                await omi.create(Fields("a"), idempotency_key="i")
    assert "HTTPS_PROXY" in caught.value.advice


@pytest.mark.parametrize("answer", [HANG, CLOSE, b"HTTP/1.1 200 OK\r\n\r\nno TLS at all\r\n\r\n"])
async def test_a_proxy_that_fails_half_way_sent_nothing(
    answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tunnel never stood, so the request never left."""
    async with RawServer((answer,), once=True) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with OmiClient("https://omi.invalid", KEY, timeout=0.3) as omi:
            with pytest.raises(errors.Unreachable):
                await omi.create(Fields("a"), idempotency_key="i")
    assert not any(KEY.encode() in request for request in proxy.seen)


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://me:hunter2@127.0.0.1:1080",
        "http://[::bad",
        "http://127.0.0.1:notaport",
        "http://me:hunter2@",
        "http://127.0.0.1:0",
    ],
)
async def test_a_proxy_of_another_kind_is_a_mistake(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SOCKS cannot be used; saying so beats a direct connection nobody wanted."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(errors.ConfigError, match="HTTPS_PROXY") as caught:
        await OmiClient("https://omi.invalid", KEY).__aenter__()
    assert "hunter2" not in f"{caught.value}{caught.value.advice}"


async def test_a_proxy_that_is_not_found_is_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose name it was that nobody knows would else be looked for in the wrong place."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    async with OmiClient("https://omi.invalid", KEY) as omi:
        with pytest.raises(errors.Unreachable, match="through the proxy") as caught:
            await omi.create(Fields("a"), idempotency_key="i")
    assert "HTTPS_PROXY" in caught.value.advice


async def test_a_netrc_does_not_get_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry for every host neither replaces the key nor stops the request."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with Sandbox() as server, OmiClient(server.url, KEY) as omi:
        await omi.create(Fields("a"), idempotency_key="i")
        assert len(server.items) == 1


# Certificates.


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for omi.test and 127.0.0.1 that nobody trusts yet."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    make += ["-nodes", "-days", "2", "-subj", "/CN=omi.test"]
    make += ["-addext", "subjectAltName=DNS:omi.test,IP:127.0.0.1"]
    subprocess.run([*make, "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return cert, context


@NEEDS_OPENSSL
async def test_an_untrusted_certificate_sends_nothing(
    certificate: tuple[Path, ssl.SSLContext],
) -> None:
    """The advice names the way to trust one's own authority."""
    async with RawServer((http(200),), tls=certificate[1]) as server:
        async with OmiClient(f"https://127.0.0.1:{server.port}", KEY) as omi:
            with pytest.raises(errors.Unreachable, match="not trusted") as caught:
                await omi.create(Fields("a"), idempotency_key="i")
        assert "SSL_CERT_FILE" in caught.value.advice
        assert server.seen == []


PROGRAM = """
import asyncio, sys
from omisync.api import OmiClient
from omisync.core.model import Fields

async def main():
    async with OmiClient(sys.argv[1], sys.argv[2]) as omi:
        for _ in range(2):
            print((await omi.create(Fields("a"), idempotency_key="i")).id)

asyncio.run(main())
"""


@NEEDS_OPENSSL
async def test_a_certificate_of_one_s_own_and_a_proxy_work_together(
    certificate: tuple[Path, ssl.SSLContext],
) -> None:
    """SSL_CERT_FILE and HTTPS_PROXY, as a company network sets them, in a fresh process."""
    reply = http(200, {"id": "x", "description": "a", "completed": False})
    async with RawServer((reply,), tls=certificate[1]) as server:
        asked: list[bytes] = []
        async with await _tunnel(server.port, asked) as proxy:
            port = proxy.sockets[0].getsockname()[1]
            run = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", PROGRAM, "https://omi.test", KEY),
                env={
                    "SSL_CERT_FILE": str(certificate[0]),
                    "HTTPS_PROXY": f"http://127.0.0.1:{port}",
                },
                stdout=subprocess.PIPE,
            )
            out, _ = await run.communicate()
        assert out.split() == [b"x", b"x"]
        assert [line.split()[:2] for line in asked] == [[b"CONNECT", b"omi.test:443"]]
        assert not any(KEY.encode() in line for line in asked)
        assert len(server.seen) == 2


async def _tunnel(port: int, asked: list[bytes]) -> asyncio.Server:
    """Return a proxy whose every tunnel leads to ``port``; it notes what it is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()
