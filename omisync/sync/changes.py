"""Patch and remove items that are linked: one op, one request, one settle.

Rule: these requests may be repeated, so what was not settled is simply planned
again. What one of them may have changed is durable before it leaves: an edit
that is taken back before its answer came must be taken back in Omi too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from omisync.core import merge, plan
from omisync.core.model import (
    EXISTENCE,
    GONE,
    GONE_SECONDS,
    PARTS,
    Base,
    Link,
    Patch,
    Tombstone,
)
from omisync.core.plan import ChangeRemote
from omisync.errors import (
    Intercepted,
    ItemGone,
    ItemLocked,
    ItemProblem,
    ItemRefused,
    OmisyncError,
    ServerTrouble,
)
from omisync.store import Event
from omisync.sync.desk import DAY, HOUR, encoding_of
from omisync.sync.parked import failed, park

if TYPE_CHECKING:
    from omisync.core.merge import Encoding
    from omisync.core.model import Fields, RemoteItem
    from omisync.core.plan import DropTwin, Probe, RemoveRemote, Revive
    from omisync.sync.desk import Run


DATE_STAYS = "the date stays in Omi"


async def change(
    run: Run, op: ChangeRemote, event: str = "task.changed", news: Patch | None = None
) -> None:
    """Send the edited fields of one task; ``event`` is what a success is recorded as.

    ``news`` is what of them is new to Omi, where that is not all.

    Raises:
        OmisyncError: nothing more can be sent for now (429, unreachable, key).
    """
    client = await run.desk.client()
    link = _doubted(run, op.link, op.patch.names)
    try:
        item = await client.change(_remote_id(link), op.patch)
    except ItemGone:
        _gone(run, link)
    except ItemProblem as error:
        if news is not None and not news:  # it refuses what it has: the item is there
            _settle_as_it_was(run, op, event)
        elif op.patch == Patch(clear_due=True) and isinstance(error, ItemRefused):
            _date_stays(run, link)
        else:
            park(run, op.link, error)  # as before a request that changed nothing
    except ServerTrouble as error:
        await failed(run, op.link if isinstance(error, Intercepted) else link, error)
    except OmisyncError:
        _write(run, op.link)
        raise
    else:
        changed = _changed(run, link, op.patch, item)
        patch = op.patch if news is None else news
        said = _described(patch, _base(link).remote, stays=changed.clear_due)
        run.settle(event, changed, detail=said)
        run.succeeded()


def _settle_as_it_was(run: Run, op: ChangeRemote, event: str) -> None:
    """Settle a line whose item was only asked for, and is there."""
    base = Base(op.entry.task, _base(op.link).remote)
    run.settle(event, op.link.but(base=base, doubt=frozenset()))
    run.succeeded()


def _doubted(run: Run, link: Link, names: frozenset[str]) -> Link:
    """Make durable what the request about to be sent may change, whatever answer comes."""
    link = link.but(doubt=link.doubt | names)
    _write(run, link)
    return link


def _write(run: Run, link: Link) -> None:
    with run.store.transaction():
        run.store.put_links([link])
        run.store.drop_tombstones([link.key])  # of a line that came back
    run.written.add(link.key)


def _remote_id(link: Link) -> str:
    if link.remote_id is None:
        raise ValueError(link.key)
    return link.remote_id


def _base(link: Link) -> Base:
    if link.base is None:
        raise ValueError(link.key)
    return link.base


def _gone(run: Run, link: Link) -> None:
    """The item is proven gone: keep the base, so that the next plan can weigh the edit.

    Where it may be gone by a deletion of ours, or was only just asked back, the
    line has to be created in any case.
    """
    base = None if EXISTENCE in link.doubt else link.base
    _bury_id(run, link)
    gone = link.but(remote_id=None, base=base, failures=0, doubt=frozenset())
    run.settle("task.gone", gone, detail="deleted in Omi")
    run.succeeded()
    run.again = True


def _bury_id(run: Run, link: Link) -> None:
    """Remember whose item this was: should it be there again, it is nobody else's twin.

    One that is gone right after a list had it again is so for a while, whatever the list
    says: the two would else take turns, at the cost of a request each.
    """
    if link.base is None:
        return
    now, key = run.desk.clock(), f"was-{_remote_id(link)}"
    former = run.store.tombstone(key)
    again = former is not None and abs(now - former.removed_at) < GONE_SECONDS
    stone = Tombstone(
        key,
        _remote_id(link),
        link.base.local,
        link.base.remote,
        GONE,
        now + GONE_SECONDS if again else now,
        counted=False,
    )
    with run.store.transaction(durable=False):
        run.store.put_tombstones([stone])


def _date_stays(run: Run, link: Link) -> None:
    """Settle a date that this server cannot clear: the line has none, the item keeps its."""
    base = Base(link.seen, _base(link).remote)
    settled = link.but(base=base, clear_due=True, doubt=frozenset())
    run.settle("task.changed", settled, detail=DATE_STAYS)
    run.succeeded()
    _say_date_stays(run, link)


def _say_date_stays(run: Run, link: Link) -> None:
    if not link.clear_due:
        run.remarks.append(
            f"Omi's server does not clear due dates yet: {link.seen.quoted} keeps its date there."
            " Remove it in the Omi app if it matters."
        )


def _changed(run: Run, link: Link, patch: Patch, item: RemoteItem) -> Link:
    base = merge.settled(link.seen, _base(link), patch, item.fields)
    stays = patch.clear_due and item.fields.due_at is not None
    if stays:
        _say_date_stays(run, link)
    seen_at = run.desk.clock() if link.missing else link.probed_at
    return link.but(
        base=base,
        clear_due=stays,
        failures=0,
        doubt=frozenset(),
        probed_at=seen_at,
    )


def _described(patch: Patch, before: Fields, *, stays: bool) -> str:
    """Return what a patch does to an item, in a few words: ``reworded, ticked, due date set``.

    ``stays`` tells that the server did not clear the date.
    """
    words = []
    if patch.description is not None:
        words.append("reworded")
    if patch.completed is not None:
        words.append("ticked" if patch.completed else "reopened")
    if patch.due_at is not None:
        words.append("due date set" if before.due_at is None else "due date changed")
    if patch.clear_due:
        words.append(DATE_STAYS if stays else "due date cleared")
    return ", ".join(words)


async def probe(run: Run, op: Probe) -> None:
    """Ask for an item that the list no longer shows; raises as ``change`` does.

    There is no way to read one item (GET answers 405), and an empty PATCH is refused
    before the item is looked for. So a field is sent as it was agreed on.
    """
    client = await run.desk.client()
    patch = Patch.unchanging(_base(op.link).remote)
    try:
        await client.change(_remote_id(op.link), patch)
    except ItemGone:
        _gone(run, op.link)
    except ItemLocked as error:
        park(run, op.link, error)
    except ServerTrouble as error:
        await failed(run, op.link, error)
    except ItemRefused:  # it refuses the text that it has: the item is there
        _is_there(run, op.link)
    else:
        _is_there(run, op.link)


def _is_there(run: Run, link: Link) -> None:
    """Note that an item exists which Omi's list does not show."""
    run.settle("task.found", link.but(probed_at=run.desk.clock(), failures=0))
    run.succeeded()


async def drop_twin(run: Run, op: DropTwin) -> None:
    """Delete an item that a race made twice; raises as ``change`` does."""
    client = await run.desk.client()
    try:
        await client.delete(op.stone.remote_id)
    except ItemGone:
        pass  # the other machine, or a request without an answer
    except ItemProblem as error:
        run.remarks.append(f"{op.stone.task.quoted} is twice in Omi: {error.message}")
        _put_off(run, op.stone, DAY)
        run.finished()
        return
    except ServerTrouble as error:  # the next plan has it too, but for one that never gets through
        run.unlucky += 1
        run.trouble(error)
        if run.desk.clock() - op.stone.removed_at > HOUR:
            _put_off(run, op.stone, HOUR)
        return
    with run.store.transaction():
        run.store.drop_tombstones([op.stone.key])
        run.store.record(Event(run.desk.clock(), "twin.removed", op.stone.task.text))
    run.counts["twin.removed"] += 1
    run.succeeded()


def _put_off(run: Run, stone: Tombstone, seconds: float) -> None:
    """Let a twin be asked for again after a while only."""
    with run.store.transaction():
        run.store.put_tombstones([replace(stone, removed_at=run.desk.clock() + seconds)])


async def revive(run: Run, op: Revive) -> None:
    """Give a line that came back its former item again; raises as ``change`` does."""
    asked_back = op.link.but(doubt=op.link.doubt | {EXISTENCE})
    request = ChangeRemote(asked_back, op.entry, op.patch)
    await change(run, request, "task.revived", op.patch.beyond(op.tombstone.remote))


async def remove(run: Run, op: RemoveRemote) -> None:
    """Complete or delete the item of a line that is gone; raises as ``change`` does."""
    client = await run.desk.client()
    deletes, last = op.how == "delete", op.link
    link = _doubted(run, last, frozenset({EXISTENCE if deletes else "completed"}))
    try:
        if deletes:
            await client.delete(_remote_id(link))
        else:
            item = await client.change(_remote_id(link), Patch(completed=True))
            last = _answered(last, item, encoding_of(run.desk.config))
    except ItemGone:
        detail = "already deleted in Omi"
        _bury_id(run, link)
        run.settle("task.forgotten", link, dropped=[link.key], detail=detail)
        run.succeeded()
    except ItemProblem as error:
        park(run, op.link, error)  # as before a request that changed nothing
    except ServerTrouble as error:
        await failed(run, op.link if isinstance(error, Intercepted) else link, error)
    except OmisyncError:
        _write(run, op.link)
        raise
    else:
        stone = plan.buried(last, op.how, run.desk.clock(), counted=run.counted_removals)
        run.settle("task.removed", dropped=[op.link.key], buried=[stone], detail=op.how)
        run.succeeded()


def _answered(link: Link, item: RemoteItem, encoding: Encoding) -> Link:
    """Return the link with what a reply tells of fields that were sent before, without an answer.

    Where the item says what the line said last, both do.
    """
    base, seen = _base(link), merge.encode(link.seen, encoding)
    local, remote = base.local, base.remote
    for name, part in PARTS.items():
        if name in link.doubt:
            has = getattr(item.fields, name)
            remote = replace(remote, **{name: has})
            if has == getattr(seen, name):
                local = replace(local, **{part: getattr(link.seen, part)})
    return link.but(base=Base(local, remote))
