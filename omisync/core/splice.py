"""Put bytes in the place of others, all at once.

Rule: what no splice covers stays, byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Splice(NamedTuple):
    """The bytes from ``start`` to before ``end`` become ``new``."""

    start: int
    end: int
    new: bytes = b""


def spliced(source: bytes, splices: Iterable[Splice]) -> bytes:
    """Return a file with splices in it; of those at one place the first stands first.

    Where two of them overlap, the bytes of both are gone.
    """
    pieces: list[bytes] = []
    at = 0
    for splice in sorted(splices, key=lambda one: (one.start, one.end)):
        pieces += (source[at : splice.start], splice.new)
        at = max(at, splice.end)
    return b"".join((*pieces, source[at:]))
