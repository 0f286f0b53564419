"""Link a list with the server's items again, after the store was lost or damaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from omisync import file
from omisync.core import adopt, match, order, plan
from omisync.core.model import Link
from omisync.errors import RateLimited
from omisync.store import Event
from omisync.sync import inward, looks, owner
from omisync.sync.desk import Run, encoding_of, keys
from omisync.sync.formats import parsed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omisync.core.model import Entry, Listing, RemoteItem, Tombstone
    from omisync.sync.desk import Desk


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair found: links kept and made, lines and open items left over.

    ``unlisted`` are kept links whose item Omi's complete list does not show: it was deleted
    there, or is locked.
    """

    kept: int
    unlisted: tuple[Link, ...]
    linked: tuple[tuple[Entry, RemoteItem], ...]
    lines: tuple[Entry, ...]
    items: tuple[RemoteItem, ...]
    complete: bool


async def repair(desk: Desk, *, accept_account: bool = False) -> Repaired:
    """Link every line that has no item with one of the same text; create nothing.

    ``accept_account`` first forgets all links: they are another account's.

    Raises:
        OmisyncError: the file or the server cannot be read; no link was changed.
    """
    run = Run(desk, desk.clock())
    snapshot = file.read(desk.config.todo_path)
    document = parsed(desk.config, snapshot)
    if not accept_account:
        owner.check_bound(desk.store, desk.config)
        owner.bind(desk)
        run.recall_gates()
        await owner.check_account(run)
        run.pass_gate("read")
    inward.recover(desk, snapshot, document)
    client = await desk.client()
    started = desk.clock()
    try:
        listing = await client.listing(thorough=True)
    except RateLimited as error:
        run.shut_for(error)
        raise
    if accept_account:
        _start_over(run)
    repaired, rows = _decided(run, document.entries, listing)
    run.settle("task.adopted", *rows, detail="repair")
    with desk.store.transaction():
        desk.store.put_fact("looked", looks.began(client, started))
        desk.store.unsettle()
    return repaired


def _start_over(run: Run) -> None:
    """Forget everything that belongs to the former account."""
    store = run.store
    with store.transaction():
        store.forget_account()
        if run.desk.key is not None:
            store.put_fact("fingerprint", run.desk.key.fingerprint)
        store.record(Event(run.now, "account.accepted", detail=run.desk.config.omi.base_url))
    owner.bind(run.desk)


def _decided(run: Run, entries: Sequence[Entry], listing: Listing) -> tuple[Repaired, list[Link]]:
    """Return what is found, and the rows of the links that are to be made."""
    desk = run.desk
    links = desk.store.links()
    matching = match.pair(entries, links)
    link_of = {number: links[at] for number, at in matching.pairs}
    places = range(len(entries))
    ranks = order.ranks([link_of[at].rank if at in link_of else None for at in places])
    pending = {intent.key: intent.fields.description for intent in desk.store.intents()}
    held = {
        number: link
        for number, link in link_of.items()
        if link.remote_id is None and link.key not in pending
    }
    numbers = sorted([*matching.new, *held])
    alone = [entries[number] for number in numbers]
    taken = {link.remote_id for link in links}
    free = [item for item in listing.items if item.id not in taken]
    encoding, two_way = encoding_of(desk.config), desk.config.two_way
    stones = plan.latest(desk.store.tombstones(run.now, kept=True))
    found = {
        number: item
        for number, item in adopt.pairs(alone, free, encoding, repair=True).items()
        if not _comes_back(alone[number], item, stones)
    }
    rows = []
    for (number, item), key in zip(found.items(), keys(), strict=False):
        entry, rank = alone[number], ranks[numbers[number]]
        former = held.get(numbers[number])
        fresh = Link(former.key if former else key, None, entry.task, entry.section, rank)
        rows.append(adopt.tied(fresh, item, encoding, both_ways=two_way))
    used = {item.id for item in found.values()}
    asked_for = set(pending.values())  # one of them may be its item: the next sync asks
    listed = {item.id for item in listing.items}
    kept = [link for link in links if link.remote_id is not None]
    repaired = Repaired(
        kept=len(kept),
        unlisted=tuple(one for one in kept if listing.complete and one.remote_id not in listed),
        linked=tuple((alone[number], item) for number, item in found.items()),
        lines=tuple(entry for number, entry in enumerate(alone) if number not in found),
        items=tuple(
            one
            for one in free
            if one.id not in used
            and not one.fields.completed
            and one.fields.description not in asked_for
        ),
        complete=listing.complete,
    )
    return repaired, rows


def _comes_back(entry: Entry, item: RemoteItem, stones: Mapping[str, Tombstone]) -> bool:
    """Return whether this open line is that of a removed task, which a sync opens again."""
    stone = stones.get(item.id)
    if stone is None or entry.task.completed or entry.explicit_id == item.id:
        return False
    same = match.normalised(entry.task.text) == match.normalised(stone.task.text)
    return same and item.fields.completed and item.fields == stone.remote
