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

    state = Path(options.state) if options.state else None
    if state is not None and not state.parent.is_dir():
        raise errors.UsageError(
            f"There is no folder {state.parent} to keep {state.name} in",
            "Make it, or name a file in another one.",
        )
    limit = options.limit
    asyncio.run(serve(options.port, state, reads_per_hour=limit, writes_per_hour=limit))
    return errors.OK
