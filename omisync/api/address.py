"""Where requests go. Standard library only.

Rule: a key travels over TLS or stays on this machine; nothing here puts a key
or a password from an address into a message.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from omisync.errors import ConfigError, ItemRefused, KeyProblem
from omisync.places import is_loopback

ITEMS = "/v1/dev/user/action-items"
"""Path of the list and the single create (paths of the OpenAPI document)."""

BATCH = f"{ITEMS}/batch"

_ID_LIMIT = 1500  # bytes; the limit of a Firestore document id, which these are


def proxy_for(base: str) -> str | None:
    """Return the proxy that the environment asks for, None for a direct way.

    ``HTTPS_PROXY`` and ``NO_PROXY`` are read as curl and Python do. A loopback
    server is always reached directly: no proxy could, and none should see it.
    Raises ``ConfigError`` for a kind of proxy that cannot be used (SOCKS), and for what is no
    address.
    """
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(base)
    host = parts.hostname or ""
    proxy = getproxies().get(parts.scheme)
    if not proxy or is_loopback(host) or proxy_bypass(host):
        return None
    address = proxy if "://" in proxy else f"http://{proxy}"
    if not _is_http(address):
        raise ConfigError(
            f"the proxy in {parts.scheme.upper()}_PROXY is not the address of an http proxy",
            f"correct or unset it, or put {host} into NO_PROXY",
        )
    return address


def _is_http(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an address between them, a port that is no number
        return False


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
