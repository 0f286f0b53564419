"""The Omi Developer API for action items: its five operations as typed values.

- ``address``  which server, which proxy, which path.
- ``wire``     bodies: our values to JSON, JSON to our values.
- ``faults``   which of our errors a refusal, or a missing reply, is.
- ``reading``  how a list is read so that its completeness is known.
- ``client``   the one class that sends.

Importing this package is cheap; the first use of ``OmiClient`` loads aiohttp
and pydantic, so that a run without requests never pays for them. Annotations
elsewhere name it under ``TYPE_CHECKING``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omisync.api.client import OmiClient

__all__ = ["OmiClient"]


def __getattr__(name: str) -> object:
    if name == "OmiClient":
        from omisync.api.client import OmiClient

        return OmiClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
