"""The todo file's bytes: read, told apart cheaply, replaced safely, kept in old versions.

- ``reading``    the bytes with their signature, and what cannot be a todo file
- ``exchange``   compare and replace, so that no save is lost
- ``rights``     owner, mode and labels of the file that is replaced
- ``writing``    a new file, whole or not at all
- ``versions``   the last versions, in a folder beside the state

A run that finds nothing to do reads at most: the rest is loaded when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.file.reading import Signature, Snapshot, digest, glance, read, signature

if TYPE_CHECKING:
    from omisync.file.exchange import check_held, check_replaceable, replacing
    from omisync.file.versions import copies, drop_copies, drop_copy, keep_copy

__all__ = [
    "Signature",
    "Snapshot",
    "check_held",
    "check_replaceable",
    "copies",
    "digest",
    "drop_copies",
    "drop_copy",
    "glance",
    "keep_copy",
    "read",
    "replacing",
    "signature",
]

if not TYPE_CHECKING:  # for mypy it would make every misspelt name an object

    def __getattr__(name: str) -> object:
        if name in {"check_held", "check_replaceable", "replacing"}:
            from omisync.file import exchange

            return getattr(exchange, name)
        if name in {"copies", "drop_copies", "drop_copy", "keep_copy"}:
            from omisync.file import versions

            return getattr(versions, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
