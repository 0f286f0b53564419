"""Patch and remove items that are linked: one op, one request, one settle.

Rule: these requests may be repeated, so nothing is written before them; what
was not settled is simply planned again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.core import merge, plan
from omisync.core.model import Base, Link, Patch
from omisync.errors import ItemGone, ItemLocked, ItemProblem, ItemRefused, ServerTrouble
from omisync.store import Event
from omisync.sync.creates import DAY, HOUR, is_poison, park

if TYPE_CHECKING:
    from omisync.core.model import RemoteItem
    from omisync.core.plan import ChangeRemote, RemoveRemote, Revive
    from omisync.sync.desk import Run


async def change(run: Run, op: ChangeRemote) -> None:
    """Send the edited fields of one task.

    Raises:
        OmisyncError: nothing more can be sent for now (429, unreachable, key).
    """
    client = await run.desk.client()
    try:
        item = await client.change(_remote_id(op.link), op.patch)
    except ItemGone:
        _gone(run, op)
    except ItemRefused as error:
        if op.patch == Patch(clear_due=True):
            _date_stays(run, op.link)
        else:
            park(run, op.link, error)
    except ItemLocked as error:
        park(run, op.link, error, retry_in=DAY)
    except ServerTrouble as error:
        _unlucky(run, op.link, error)
    else:
        link = _changed(run, op.link, op.patch, item)
        run.settle("task.changed", link, detail=described(op.patch))
        run.succeeded()


def _remote_id(link: Link) -> str:
    if link.remote_id is None:
        raise ValueError(link.key)
    return link.remote_id


def _gone(run: Run, op: ChangeRemote) -> None:
    """The item is proven gone: keep the base, so that the next plan can weigh the edit."""
    run.settle("task.gone", op.link.but(remote_id=None, failures=0), detail="deleted in Omi")
    run.succeeded()
    run.again = True


def _date_stays(run: Run, link: Link) -> None:
    """Settle a date that this server cannot clear: the line has none, the item keeps its."""
    if link.base is None:
        raise ValueError(link.key)
    base = Base(link.seen, link.base.remote)
    run.settle("task.changed", link.but(base=base, clear_due=True), detail="the date stays in Omi")
    run.succeeded()
    _say_date_stays(run, link)


def _say_date_stays(run: Run, link: Link) -> None:
    if not link.clear_due:
        run.remarks.append(
            f"Omi's server does not clear due dates yet: {link.seen.text!r} keeps its date there."
            " Remove it in the Omi app if it matters."
        )


def _changed(run: Run, link: Link, patch: Patch, item: RemoteItem) -> Link:
    if link.base is None:
        raise ValueError(link.key)
    base = merge.settled(link.seen, link.base, patch, item.fields)
    stays = patch.clear_due and item.fields.due_at is not None
    if stays:
        _say_date_stays(run, link)
    return link.but(base=base, clear_due=stays, failures=0, parked=None)


def described(patch: Patch) -> str:
    """Return what a patch does, in a few words: ``reworded, ticked, due 2026-01-31``."""
    words = []
    if patch.description is not None:
        words.append("reworded")
    if patch.completed is not None:
        words.append("ticked" if patch.completed else "reopened")
    if patch.due_at is not None:
        words.append("due date set")
    if patch.clear_due:
        words.append("due date cleared")
    return ", ".join(words)


def _unlucky(run: Run, link: Link, error: ServerTrouble) -> None:
    """Count a temporary failure; an item that keeps failing alone is set aside."""
    run.unlucky += 1
    failures = link.failures + 1
    link = link.but(failures=failures)
    if is_poison(run, link):
        reason = f"Omi failed {failures} times in a row on this task ({error.message})"
        park(run, link, ItemProblem(reason, 0), retry_in=HOUR)
        return
    event = Event(run.desk.clock(), "task.failed", link.seen.text, link.key, detail=error.message)
    with run.store.transaction():
        run.store.put_links([link])
        run.store.record(event)
    run.written.add(link.key)
    run.trouble(error)


async def revive(run: Run, op: Revive) -> None:
    """Give a line that came back its former item again; raises as ``change`` does."""
    stone = op.tombstone
    link = op.link
    if op.patch:
        client = await run.desk.client()
        try:
            item = await client.change(stone.remote_id, op.patch)
        except ItemGone:
            _grave_is_empty(run, op)
            return
        except ItemProblem as error:
            park(run, link, error, retry_in=DAY)
            return
        except ServerTrouble as error:
            run.unlucky += 1
            run.trouble(error)
            return
        link = _changed(run, link, op.patch, item)
        run.succeeded()
    elif link.base is not None:
        link = link.but(base=Base(op.entry.task, link.base.remote))
    run.settle("task.revived", link, detail=described(op.patch))


def _grave_is_empty(run: Run, op: Revive) -> None:
    """The former item was deleted in Omi: the line is a new task then."""
    with run.store.transaction():
        run.store.drop_tombstones([op.tombstone.key])
    run.succeeded()
    run.again = True


async def remove(run: Run, op: RemoveRemote) -> None:
    """Complete or delete the item of a line that is gone; raises as ``change`` does."""
    client = await run.desk.client()
    remote_id = _remote_id(op.link)
    try:
        if op.how == "delete":
            await client.delete(remote_id)
        else:
            await client.change(remote_id, Patch(completed=True))
    except ItemGone:
        detail = "already deleted in Omi"
        run.settle("task.forgotten", op.link, dropped=[op.link.key], detail=detail)
        run.succeeded()
    except ItemProblem as error:
        retry_in = DAY if isinstance(error, ItemLocked) else None
        park(run, op.link, error, retry_in=retry_in)
    except ServerTrouble as error:
        _unlucky(run, op.link, error)
    else:
        stone = plan.buried(op.link, op.how, run.desk.clock(), counted=run.counted_removals)
        run.settle("task.removed", dropped=[op.link.key], buried=[stone], detail=op.how)
        run.succeeded()
