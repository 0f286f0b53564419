"""Where requests go, and how a key is shown. Standard library only.

Rule: a key travels over TLS or stays on this machine; nothing here puts a key
or a password from an address into a message.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, quote, urlsplit

from omisync.errors import ConfigError, ItemRefused, KeyProblem

ITEMS = "/v1/dev/user/action-items"
"""Path of the list and the single create (paths of the OpenAPI document)."""

BATCH = f"{ITEMS}/batch"

_PORTS = {"https": 443, "http": 80}
_EXAMPLE = "write it like https://api.omi.me"
_MASKABLE = 15  # a shorter key would show most of itself
_LABEL_LIMIT = 63  # RFC 1035, 2.3.4
_HOST_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_")
_ID_LIMIT = 1500  # bytes; the limit of a Firestore document id, which these are


def normalised_base(url: str) -> str:
    """Return the one spelling of a base URL: what a store is bound to.

    Scheme and host are in lower case, a default port and trailing slashes are
    gone. Raises ``ConfigError`` for what is no http(s) address, for plain http
    to another machine (the key would travel readable), and for an address with
    a user name, a query or a fragment.
    """
    parts = _split(url)
    host = _host(parts)
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError(
            f"base_url sends the key unencrypted to {host}",
            "use https; plain http is for this machine only",
        )
    name = f"[{host}]" if ":" in host else host
    port = parts.port
    place = name if port in {None, _PORTS[parts.scheme]} else f"{name}:{port}"
    path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
    return f"{parts.scheme}://{place}{path}"


def _split(url: str) -> SplitResult:
    if any(sign.isspace() or not sign.isprintable() for sign in url):
        raise ConfigError("base_url contains a space or a control character", _EXAMPLE)
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no port
    except ValueError:
        raise ConfigError("base_url is not a web address", _EXAMPLE) from None
    if parts.scheme not in _PORTS:
        raise ConfigError("base_url is not an http or https address", _EXAMPLE)
    if "@" in parts.netloc:
        raise ConfigError("base_url contains a user name", "keep secrets out of addresses")
    if parts.port == 0 or "?" in url or "#" in url:
        raise ConfigError("base_url has a query, a fragment or port 0", _EXAMPLE)
    return parts


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if ":" in host:
        return host
    try:
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        host = ""
    labels = host.removesuffix(".").split(".")
    if not set(host) <= _HOST_SIGNS or not all(0 < len(label) <= _LABEL_LIMIT for label in labels):
        raise ConfigError("base_url names no host", _EXAMPLE)
    return host


def is_loopback(host: str) -> bool:
    """Return whether a host name or address stays on this machine."""
    if host.removesuffix(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_for(base: str) -> str | None:
    """Return the proxy that the environment asks for, None for a direct way.

    ``HTTPS_PROXY`` and ``NO_PROXY`` are read as curl and Python do. A loopback
    server is always reached directly: no proxy could, and none should see it.
    Raises ``ConfigError`` for a kind of proxy that cannot be used (SOCKS).
    """
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(base)
    host = parts.hostname or ""
    proxy = getproxies().get(parts.scheme)
    if not proxy or is_loopback(host) or proxy_bypass(host):
        return None
    address = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(address).scheme not in _PORTS:
        raise ConfigError(
            f"the proxy in {parts.scheme.upper()}_PROXY is not an http proxy",
            f"unset it, or put {host} into NO_PROXY",
        )
    return address


def item_path(remote_id: str) -> str:
    """Return the path of one item; every byte of the id is encoded.

    Ids are opaque and may come from a line that a person typed. One that a
    server or a proxy on the way would take for another path raises
    ``ItemRefused``, as does one with control characters.
    """
    try:
        encoded = quote(remote_id, safe="")
    except UnicodeEncodeError:
        encoded = ""
    if remote_id in {"", ".", ".."} or not encoded or not remote_id.isprintable():
        raise ItemRefused("this is no id that Omi could have given", 404)
    if len(remote_id.encode()) > _ID_LIMIT:
        raise ItemRefused("this id is too long to be one of Omi's", 404)
    return f"{ITEMS}/{encoded}"


def masked(key: str) -> str:
    """Return a key as it may be shown: its first 6 and last 4 characters."""
    return f"{key[:6]}…{key[-4:]}" if len(key) >= _MASKABLE else "…"


def usable_key(key: str) -> str:
    """Return ``key``; raise ``KeyProblem`` if no header can carry it."""
    if not key:
        raise KeyProblem("the API key is empty", "set OMI_API_KEY or omi.api_key_file")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise KeyProblem(
            "the API key contains a space or a character that no key has",
            "copy it again from the Omi app: Settings, Developer",
        )
    return key
