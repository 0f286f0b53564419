"""``omisync sandbox``: a local Omi server of one's own."""

from __future__ import annotations

from math import fsum
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from omisync import errors

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from omisync.sandbox.faults import Fault


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
    asyncio.run(
        serve(
            options.port,
            state,
            reads_per_hour=limit,
            writes_per_hour=limit,
            fault_rates=_fault_rates(options.fault),
        )
    )
    return errors.OK


def _fault_rates(given: Sequence[str]) -> dict[Fault, float]:
    """Return the share of the requests that fail in each of these ways.

    Raises:
        UsageError: one is no way to fail, or no share; or together they are more than all.
    """
    from omisync.sandbox.faults import Fault

    kinds: dict[str, Fault] = {kind: kind for kind in get_args(Fault)}
    rates: dict[Fault, float] = {}
    for word in given:
        kind, _, share = word.partition("=")
        if kind not in kinds:
            known = ", ".join(kinds)
            raise errors.UsageError(f"The sandbox knows no fault {kind!r}", f"It knows {known}.")
        if kind in rates:
            raise errors.UsageError(f"The fault {kind} is given twice", "Give it one share.")
        try:
            rates[kinds[kind]] = float(share)
        except ValueError:
            rates[kinds[kind]] = -1.0
    if not (all(0 <= rate <= 1 for rate in rates.values()) and fsum(rates.values()) <= 1):
        raise errors.UsageError(
            f"{' '.join(given)}: these are no shares of all requests",
            "Each is a number from 0 to 1, and all of them are 1 at most: --fault 5xx_after=0.3",
        )
    return rates
