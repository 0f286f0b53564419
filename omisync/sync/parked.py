"""Tasks that wait for their person: set aside, tried again, or given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.core import match, plan
from omisync.core.model import FORGOTTEN, Parked, Patch
from omisync.errors import (
    Intercepted,
    ItemLocked,
    ItemProblem,
    OmisyncError,
    RateLimited,
    UsageError,
)
from omisync.store import Event
from omisync.sync.desk import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omisync.core.model import Link
    from omisync.errors import ServerTrouble
    from omisync.store import Store
    from omisync.sync.desk import Run

PATIENCE = 5
"""Failures in a row after which a task is parked, if others get through."""
MEANWHILE = 10.0
"""Seconds before its first failure in which others may have got through: in the same cycle."""
CHANCE = 0.1
"""Share of failing tasks, to those settled meanwhile, up to which a server is well."""


def park(run: Run, link: Link, error: ItemProblem, *, retry_in: float | None = None) -> None:
    """Set a task aside until its line changes, or ``retry_in`` seconds have passed.

    One that is locked is tried once a day: the account may get another plan.
    From the beginning of the cycle on: the plan of this one must not find it in the future.
    """
    now = run.now
    if isinstance(error, ItemLocked):
        retry_in = DAY
    parked = Parked(
        status=error.status,
        reason=error.message,
        since=now,
        task=None if link.is_absent else link.seen,
        retry_at=None if retry_in is None else now + retry_in,
    )
    link = link.but(parked=parked)
    run.settle("task.parked", link, detail=parked.reason)
    run.parked.append(link)
    run.finished()


async def failed(run: Run, link: Link, error: ServerTrouble) -> None:
    """Count a temporary failure; an item that keeps failing alone is set aside."""
    run.unlucky += 1
    failures = link.failures + 1
    link = link.but(failures=failures)
    stopped = isinstance(error, Intercepted)
    if await (_is_disliked(run, link) if stopped else is_poison(run, link)):
        reason = f"Omi failed {failures} times in a row on this task ({error.message})"
        park(run, link, ItemProblem(reason, 0), retry_in=HOUR)
        return
    event = Event(run.desk.clock(), "task.failed", link.seen.text, link.key, detail=error.message)
    with run.store.transaction():
        run.store.put_links([link])
        run.store.record(event)
    run.written.add(link.key)
    run.failed[link.key] = link
    run.trouble(error)


async def _is_disliked(run: Run, link: Link) -> bool:
    """Return whether what stands before Omi keeps stopping this task, and lets others through."""
    if link.failures < PATIENCE:
        return False
    is_time = (link.failures - PATIENCE) % PATIENCE == 0
    return run.got_through or (is_time and await _is_well(run))


async def is_poison(run: Run, link: Link, least: int = PATIENCE) -> bool:
    """Return whether this task keeps failing while nearly all others get through.

    Where others fail too, the server is ill, not the task; five failures in a
    row happen by chance there. Where others got through only just before the first of
    them, an outage may have begun in between; where none is remembered and an hour has
    passed, those that fail may be all there are. So the server is asked for another write then,
    after each fifth failure from the ``least`` on that count, and once a cycle.
    """
    if link.failures < least:
        return False
    # Asked each time, an outage would cost two writes for each try.
    is_time = (link.failures - least) % PATIENCE == 0
    since = run.store.failing_since(link.key, link.failures - 1)
    if since is None:
        return is_time and await _is_well(run)
    for start in (since, since - MEANWHILE):
        settled, failing = run.store.luck(start, link.key)
        if settled > 0:
            if failing > settled * CHANCE:
                return False
            return start == since or (is_time and await _is_well(run))
    is_old = run.desk.clock() - since >= HOUR
    return is_old and is_time and await _is_well(run)


async def _is_well(run: Run) -> bool:
    """Return whether the server carries out a write at this moment, as it was found in this cycle.

    Nothing is asked within a limit; one for reads is none for the writes that wait.
    """
    async with run.asking:
        if run.is_well is None:
            run.is_well = False
            try:
                run.is_well = not (run.shut("write") or run.gate_wait("read")) and await _takes(run)
            except RateLimited as error:
                until = run.retry_at
                run.shut_for(error)
                run.retry_at = until if error.bucket == "read" else run.retry_at
            except OmisyncError:
                pass
    return run.is_well


async def _takes(run: Run) -> bool:
    """Have an item said what it says, of a line that does not fail: that changes nothing.

    An id that cannot exist would not do: a server that cannot write may still look it up
    first. False where no such item is among the newest; raises what any request may.
    """
    client = await run.desk.client()
    links = {link.remote_id: link for link in run.store.links()}
    for item in sorted(await client.newest(), key=lambda item: item.fields.completed):
        link = links.get(item.id)
        if link and not (link.failures or link.parked or link.doubt or link.is_absent):
            await client.change(item.id, Patch.unchanging(item.fields))
            return True
    return False


def retry(store: Store, text: str, now: float) -> list[str]:
    """Let the parked tasks with this in their text be tried again; return their texts.

    Raises:
        UsageError: no parked task fits.
    """
    links = [link for link in store.links() if link.parked and _says(link, text)]
    if not links:
        what = f"No parked task has “{text}” in its text" if text else "No task is parked"
        raise UsageError(what, "`omisync status` tells how things stand.")
    with store.transaction():
        store.put_links(link.but(parked=None, failures=0) for link in links)
        return _noted(store, "task.retried", links, now)


def _says(link: Link, text: str) -> bool:
    """Return whether this is in a task's text as it is shown and typed, in whichever case."""
    said, typed = (match.normalised(one).casefold() for one in (link.seen.text, text))
    return typed in said


def forget(store: Store, text: str, now: float) -> list[str]:
    """Give up the removals with this in their text that are parked, or wait; return their texts.

    Their items stay in Omi as they are, and no line is made of them again.

    Raises:
        UsageError: no such removal fits, or all would.
    """
    if not match.normalised(text):  # as of a variable that is not set: it would fit them all
        raise UsageError("An empty text names no removal", "`omisync status` lists them.")
    links = [link for link in store.links() if link.is_absent and _says(link, text)]
    if not links:
        raise UsageError(
            f"No removal that is parked or waits fits “{text}”",
            "`omisync status` lists them, if there are any. A task that still has its line: remove"
            " the line first.",
        )
    kept = [link for link in links if link.remote_id is not None and link.base is not None]
    with store.transaction():
        store.drop_links(link.key for link in links)
        store.put_tombstones(plan.buried(link, FORGOTTEN, now, counted=False) for link in kept)
        return _noted(store, "task.given_up", links, now)


def _noted(store: Store, event: str, links: Sequence[Link], now: float) -> list[str]:
    """Record what was done and let the next run look anew; call inside ``transaction``."""
    store.unsettle()
    store.record(*(Event(now, event, link.seen.text, link.key, link.remote_id) for link in links))
    return [link.seen.text for link in links]
