"""``omisync sandbox``: a local Omi server of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omisync import errors

if TYPE_CHECKING:
    from argparse import Namespace


def sandbox(options: Namespace) -> int:
    """Serve until interrupted."""
    import asyncio

    from omisync.sandbox import serve

    asyncio.run(serve(options.port, Path(options.state) if options.state else None))
    return errors.OK
