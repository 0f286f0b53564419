"""How fast to go on after a failure, and the loop of ``--once``.

Run a cycle, then wait as long as it makes sense. A plan is remade each time, so
whatever was edited while waiting goes out in its latest state.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from omisync import errors, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omisync.sync import Desk, Outcome

FIRST_DELAY = 0.5
LONGEST_DELAY = 300.0
UNREACHED_DELAY = 60.0
"""Seconds at most to the next try where nothing got as far as the server: it costs no request
there, and a person whose network is back waits for it."""
HELD_DELAY = 15.0
"""Seconds at most to the next try where a program has the file open: nothing tells when it
closes it without a save, and to look costs no request."""


def backoff(attempt: int, chance: float, longest: float = LONGEST_DELAY) -> float:
    """Return the seconds to wait before attempt number ``attempt`` (1 is the first repeat).

    Exponential with full jitter: ``chance`` (0..1) picks a point between nothing
    and the bound, which doubles with each attempt up to ``longest``, five minutes.
    """
    bound: float = min(longest, FIRST_DELAY * 2.0 ** min(attempt - 1, 32))
    return chance * bound


def delay(outcome: Outcome, attempt: int, now: float, chance: float) -> float:
    """Return the seconds until the next cycle after one that was not finished.

    A gate is waited out exactly; a failure without a known end is backed off, and for
    as long as the server asks.
    """
    if outcome.again:
        return 0.0
    wait = max(0.0, outcome.retry_at - now) if outcome.retry_at is not None else 0.0
    vague = _vague(outcome)
    if vague or outcome.retry_at is None:
        wait = max(wait, backoff(attempt, chance, _longest(vague)), _asked(vague))
    return wait


def _vague(outcome: Outcome) -> Sequence[errors.OmisyncError]:
    """Return the troubles of a cycle but those the end of which is known."""
    timed = errors.RateLimited | errors.ListUnread
    return [error for error in outcome.troubles if not isinstance(error, timed)]


def _asked(troubles: Sequence[errors.OmisyncError]) -> float:
    """Return the seconds that a server which fails asks for, within the bound of a backoff."""
    return min(LONGEST_DELAY, max((error.retry_after for error in troubles), default=0.0))


def _longest(troubles: Sequence[errors.OmisyncError]) -> float:
    """Return the seconds that a try of these may be put off at most."""
    if any(isinstance(error, errors.FileHeld) for error in troubles):
        return HELD_DELAY
    for error in troubles:
        if not isinstance(error, errors.Unreachable) or isinstance(error, errors.NotAsked):
            return LONGEST_DELAY
    return UNREACHED_DELAY if troubles else LONGEST_DELAY


def failure(outcome: Outcome) -> str:
    """Return how the server failed, where nothing got through."""
    kinds = errors.ServerTrouble | errors.OutcomeUnknown | errors.WrongServer
    failed = (error.message for error in outcome.troubles if isinstance(error, kinds))
    return "" if outcome.progress else next(failed, "")


def is_in_between(outcome: Outcome) -> bool:
    """Return whether nothing stopped a cycle for good but what may stand before Omi's server."""
    met = [error for error in outcome.troubles if error.exit_code != errors.TEMPORARY]
    return bool(met) and all(isinstance(one, errors.WrongServer) and one.may_pass for one in met)


async def once(  # noqa: PLR0913 - what a person can say besides --once
    desk: Desk,
    *,
    grace: float = 0.0,
    allow_removals: bool = False,
    yes: bool = False,
    patience: float = 60.0,
    waiting: Callable[[float, Outcome], None] | None = None,
) -> Outcome:
    """Run cycles until nothing temporary is left, and return the last outcome.

    It gives up ``patience`` seconds after the last op that was settled, as soon as the
    requests under way have ended, and at once when a gate opens later than that, or the
    server asks for more time; what is pending stays pending.
    ``waiting`` hears of each wait, in seconds; the rest is as for ``sync.cycle``.
    """
    attempt = 0
    deadline = time.monotonic() + patience  # whatever the clock is set to meanwhile
    total: Outcome | None = None
    looks = True
    while True:
        desk.deadline = deadline
        outcome = await sync.cycle(
            desk, grace=grace, allow_removals=allow_removals, now=looks, yes=yes
        )
        # What is read could not be written while the file is held open.
        looks = not any(isinstance(error, errors.FileHeld) for error in outcome.troubles)
        total = outcome if total is None else total.then(outcome)
        if not outcome.temporary:
            return total
        if outcome.progress:
            attempt, deadline = 0, time.monotonic() + patience
        attempt += 1
        now = desk.clock()
        wait = delay(outcome, attempt, now, random.random())  # noqa: S311 - jitter, not a secret
        left = deadline - time.monotonic()
        gated = outcome.retry_at is not None and outcome.retry_at - now > left
        if left <= 0 or gated or _asked(_vague(outcome)) > left:
            return total
        wait = min(wait, left)
        if waiting is not None:
            waiting(wait, outcome)
        await asyncio.sleep(wait)
