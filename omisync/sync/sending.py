"""Send what a plan says: the first write alone, then a few at a time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from omisync.core import plan
from omisync.errors import KeyProblem, RateLimited, Unreachable, WrongServer
from omisync.sync import changes, creates, owner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from omisync.core.plan import AddRemote, Op, Plan
    from omisync.sync.desk import Run

    Unit = Callable[[], Awaitable[list["Unit"]]]

HANDS = 4
"""Requests under way at once: enough to hide the latency, few enough for a small server."""
WINDOW = 16
"""Batches that are written down together; a power cut leaves these, and those under way."""
BAD_LUCK = 3
"""Writes without a usable answer, none with one, after which a cycle stops trying."""


async def apply(run: Run, decided: Plan) -> None:
    """Send what the plan says, the first write alone, then a few at a time."""
    queue = deque(_units(run, decided))
    run.planned = len(decided.requests)
    if not queue:
        return
    if run.planned:
        await owner.check_account(run)
    run.went_on = time.monotonic()
    try:
        while queue and not run.halt and (not run.got_through or run.careful()):
            await _work(run, queue)
            creates.settle(run)
        replied = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            clerk = group.create_task(_settling(run, replied))
            await asyncio.wait(
                [group.create_task(_worker(run, queue, replied)) for _ in range(HANDS)]
            )
            clerk.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    finally:
        creates.settle(run)
        creates.withdraw(run)


async def _settling(run: Run, replied: asyncio.Event) -> None:
    """Settle what was created, while the next requests are under way."""
    while await replied.wait():
        replied.clear()
        await asyncio.sleep(0)  # lets them leave first
        creates.settle(run)


def _units(run: Run, decided: Plan) -> list[Unit]:
    """Return the requests to make: creates, then changes; then those that failed before."""
    adds = [] if run.blind else [op for op in decided.ops if isinstance(op, plan.AddRemote)]
    others = [] if run.only_creates else [*decided.changes]
    others.sort(key=lambda op: op.link.failures)
    units: list[Unit] = []
    for again in (False, True):
        groups = plan.grouped([op for op in adds if (op.link.failures > 0) is again])
        windows = ((group, groups[n : n + WINDOW]) for n, group in enumerate(groups))
        units += (partial(_create, run, group, window) for group, window in windows)
        units += (partial(_one, run, op) for op in others if (op.link.failures > 0) is again)
    return units


async def _create(
    run: Run, group: list[AddRemote], window: Sequence[list[AddRemote]]
) -> list[Unit]:
    """Create a group and, where all is well, write down those of its window with it."""
    steady = run.got_through and not run.careful()
    again = await creates.send(run, group, window if steady else ())
    return [partial(_create, run, rest, ()) for rest in again]


async def _one(run: Run, op: Op) -> list[Unit]:
    match op:
        case plan.ChangeRemote():
            await changes.change(run, op)
        case plan.Revive():
            await changes.revive(run, op)
        case plan.RemoveRemote():
            await changes.remove(run, op)
        case plan.Probe():
            await changes.probe(run, op)
        case plan.DropTwin():
            await changes.drop_twin(run, op)
    return []


async def _worker(run: Run, queue: deque[Unit], replied: asyncio.Event) -> None:
    while queue and not run.halt:
        await _work(run, queue)
        if run.created:
            replied.set()


async def _work(run: Run, queue: deque[Unit]) -> None:
    """Do the next unit; an error about the whole account or line ends the cycle's requests."""
    unit = queue.popleft()
    if run.desk.hurry:
        run.halt = run.again = True
        return
    if run.is_over():
        run.halt = True
        return
    if run.shut("write"):
        run.halt = True
        run.wait_for("write")
        return
    refused = len(run.refused)
    instead: list[Unit] = []
    try:
        instead = await unit()
        queue.extendleft(reversed(instead))
        queue.extend(partial(_create, run, group, ()) for group in run.put_off)
        run.put_off.clear()
    except (RateLimited, Unreachable, KeyProblem, WrongServer) as error:
        run.halt = True
        run.trouble(error)
    if len(run.refused) > refused:
        _doubt_server(run, queue, alone=not instead)
    if run.unlucky >= BAD_LUCK or (run.unlucky and run.is_late()):
        run.halt = True


def _doubt_server(run: Run, queue: deque[Unit], *, alone: bool) -> None:
    """Once the first new tasks are refused, try others; where they are too, it is the server.

    ``alone`` tells that the last one travelled alone, and was not named among others.
    """
    if not run.enough and len(run.refused) >= creates.REFUSALS - alone:
        run.enough = max(creates.REFUSALS, len(run.refused) + _set_apart(run, queue))
    if run.enough and len(run.refused) >= run.enough:
        run.halt = True
        run.trouble(creates.all_refused(run))


def _set_apart(run: Run, queue: deque[Unit]) -> int:
    """Let the last and the middle one of the new tasks go next, each alone; return how many.

    Those that a server refuses stand together. Where it takes one of these, it is no fault of it.
    """
    units = [unit for unit in queue if isinstance(unit, partial) and unit.func is _create]
    ops = [op for unit in units for op in unit.args[1]]
    apart = {len(ops) - 1, (len(ops) - 1) // 2} if ops else set()
    groups = [[ops[n]] for n in sorted(apart, reverse=True)]
    groups += plan.grouped([op for n, op in enumerate(ops) if n not in apart])
    others = [unit for unit in queue if unit not in units]
    queue.clear()
    queue.extend((*(partial(_create, run, group, ()) for group in groups), *others))
    return len(apart)
