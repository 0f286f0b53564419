"""Create exactly once on an API that has no idempotency key.

Rule: an intent is durable before its request leaves, and is deleted only in the
transaction that settles the link, or when it is proven that nothing was
created. Between the two its outcome is unknown and it is never sent again.
"""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from omisync.core.model import FIELDS, Base, Intent
from omisync.errors import (
    Intercepted,
    ItemProblem,
    ItemRefused,
    OmisyncError,
    OutcomeUnknown,
    WrongServer,
)
from omisync.store import Event
from omisync.sync.parked import failed, park

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from omisync.core.model import Fields, Link, RemoteItem
    from omisync.core.plan import AddRemote
    from omisync.sync.desk import Run

PARTED = 16
"""Groups that were stopped on their way, one after the other, after which a cycle stops trying."""
REFUSALS = 3
"""Refused creates, before any write succeeded, that speak of the server itself."""


class Created(NamedTuple):
    """The outcome of a request: the ops it was for, their intents, the items of the reply."""

    group: Sequence[AddRemote]
    intents: Sequence[Intent]
    items: Sequence[RemoteItem]


async def send(
    run: Run, group: Sequence[AddRemote], window: Sequence[Sequence[AddRemote]] = ()
) -> list[list[AddRemote]]:
    """Create these items with one request; return groups that are to be sent instead.

    What the server replies is left in ``run.created``, for ``settle``.
    ``window`` are the groups whose turn comes next, this one among them: they are
    written down together, for the disk takes as long for one as for all. ``withdraw``
    those that are not sent after all.

    Raises:
        OmisyncError: nothing was created, and nothing can be for now (429,
            unreachable, key, wrong server).
    """
    client = await run.desk.client()
    if group[0].link.key not in run.ahead:
        later = (g for g in window if g is not group and g[0].link.key not in run.written)
        _write_down(run, [group, *later])
    intents = [run.ahead.pop(op.link.key) for op in group]
    fields = [intent.fields for intent in intents]
    try:
        if len(group) == 1:
            items = [await client.create(fields[0], idempotency_key=intents[0].group)]
        else:
            items = await client.create_batch(fields, idempotency_key=intents[0].group)
    except OutcomeUnknown as error:
        _unknown(run, intents, error.failure, error.message)
        run.unlucky += 1
        run.failed.update((op.link.key, op.link) for op in group)
        run.trouble(error)
        return []
    except ItemProblem as error:
        _take_back(run, intents)
        return _refused(run, group, error)
    except Intercepted as error:  # it may be for what one of them says
        _take_back(run, intents)
        if len(group) == 1:
            await failed(run, group[0].link, error)
            return []
        return _parted(run, group, intents, error)
    except OmisyncError:
        _take_back(run, intents)
        raise
    run.created.append(Created(group, intents, items))
    return []


def settle(run: Run) -> None:
    """Link what the replies show that are here by now, all of them in one transaction.

    What a reply left out exists but must be looked for.
    """
    if not run.created:
        return
    settled: dict[str, Link] = {}
    missing: list[Intent] = []
    for reply in run.created:
        times = Counter(item.id for item in reply.items)
        items = [
            item
            for item in reply.items
            # One id is one item: given to two tasks it tells nothing of either.
            if times[item.id] == 1 and item.id not in run.linked and item.id not in settled
        ]
        pairs = _zipped([intent.fields for intent in reply.intents], items)
        for n, m in pairs.items():
            op, item = reply.group[n], items[m]
            settled[item.id] = op.link.but(
                remote_id=item.id,
                base=Base(op.entry.task, item.fields),
                failures=0,
                made_at=item.made_at,
            )
        missing += (intent for n, intent in enumerate(reply.intents) if n not in pairs)
    run.settle("task.created", *settled.values())
    run.created = []
    run.linked.update(settled)
    run.succeeded(len(settled))
    if missing:
        _unknown(run, missing, "unlisted", "Omi's answer does not show it")


def _write_down(run: Run, groups: Sequence[Sequence[AddRemote]]) -> None:
    """Make the intents of these groups durable, and with them the keys of the tasks.

    Only a link that says more than its intent gets a row of its own before it has an item.
    """
    now, server_date = run.desk.clock(), run.desk.server_date()
    intents = [
        Intent(
            key=op.link.key,
            group=ticket,
            fields=op.fields,
            task=op.entry.task,
            known_ids=run.known.get(op.fields.description, ()),
            server_date=server_date,
            sent_at=now,
            section=op.link.section,
            rank=op.link.rank,
        )
        for group, ticket in ((group, secrets.token_hex(16)) for group in groups)
        for op in group
    ]
    links = {op.link.key: op.link for group in groups for op in group}
    with run.store.transaction():
        run.store.drop_links(links)
        run.store.put_links(links[one.key] for one in intents if links[one.key] != one.link)
        run.store.put_intents(intents)
    run.ahead.update((intent.key, intent) for intent in intents)
    run.written.update(intent.key for intent in intents)


def withdraw(run: Run) -> None:
    """Take back what was written down and never sent."""
    if run.ahead:
        _take_back(run, run.ahead.values())
        run.ahead.clear()


def _unknown(run: Run, intents: Sequence[Intent], failure: str, why: str) -> None:
    now = run.desk.clock()
    with run.store.transaction():
        run.store.put_intents(one._replace(failure=failure, failed_at=now) for one in intents)
        run.store.record(_failed(now, intents, why))
    run.look_again(now)


def _failed(now: float, intents: Sequence[Intent], why: str) -> Event:
    """Return the event of a failed create; a batch does not tell which task is to blame."""
    if len(intents) > 1:
        return Event(now, "task.failed", f"{len(intents)} new tasks", detail=why)
    (intent,) = intents
    return Event(now, "task.failed", intent.fields.description, intent.key, detail=why)


def _take_back(run: Run, intents: Iterable[Intent]) -> None:
    """Delete the intents: the server did not create anything."""
    with run.store.transaction():
        run.store.withdraw(intents)


def _refused(run: Run, group: Sequence[AddRemote], error: ItemProblem) -> list[list[AddRemote]]:
    """Park what the server refused; what it did not name travels on in other groups.

    Where it names all of a group, each is tried by itself: it may be the server that is odd.
    """
    if len(group) == 1:
        _park_new(run, group[0], error)
        return []
    bad = {n: what for n, what in error.named.items() if n < len(group)}
    if 0 < len(bad) < len(group):
        for n, what in sorted(bad.items()):
            _park_new(run, group[n], ItemRefused(what, error.status))
        return [[op for n, op in enumerate(group) if n not in bad]]
    return _halves(group)


def _parted(
    run: Run, group: Sequence[AddRemote], intents: Sequence[Intent], error: Intercepted
) -> list[list[AddRemote]]:
    """Let parts of a group that was stopped on its way be tried; return those that go next.

    Where a write got through in this cycle, it is for one of them: the halves are tried once
    all else was. Else it may be for nothing that they say: the last and the middle one tell.
    """
    with run.store.transaction():
        run.store.record(_failed(run.desk.clock(), intents, error.message))
    run.failed.update((op.link.key, op.link) for op in group)
    run.trouble(error)
    if run.got_through:
        run.parted += 1
        run.halt = run.halt or run.parted >= PARTED
        run.put_off += _halves(group)
        return []
    run.unlucky += 1
    apart = {len(group) - 1, (len(group) - 1) // 2}
    rest = [op for n, op in enumerate(group) if n not in apart]
    run.put_off += filter(None, _halves(rest))
    return [[group[n]] for n in sorted(apart, reverse=True)]


def _halves(group: Sequence[AddRemote]) -> list[list[AddRemote]]:
    middle = len(group) // 2
    return [list(group[:middle]), list(group[middle:])]


def all_refused(run: Run) -> WrongServer:
    """Return that the server refuses whatever it is given; what was parked for that no more is."""
    now, refused = run.desk.clock(), run.refused
    reason = run.parked[-1].parked.reason if run.parked and run.parked[-1].parked else ""
    with run.store.transaction():
        run.store.put_links(link.but(parked=None) for link in refused)
        run.store.record(
            *(Event(now, "task.retried", link.seen.text, link.key) for link in refused)
        )
    run.counts["task.parked"] -= len(refused)
    run.done -= len(refused)
    run.parked = []
    return WrongServer(
        f"Omi refuses every new task: {reason}",
        "Check omi.base_url, and look for a newer omisync; nothing was created.",
    )


def _park_new(run: Run, op: AddRemote, error: ItemProblem) -> None:
    """Park a task that was refused; note it where the server has never taken any."""
    park(run, op.link, error)
    if run.got_through or run.linked:
        run.refused = []
    else:
        run.refused.append(op.link)


def _zipped(sent: Sequence[Fields], items: Sequence[RemoteItem]) -> dict[int, int]:
    """Return which sent element (index) is which replied item (index).

    The reply is in request order, but rows that the server cannot read back
    are left out of it. Of equal texts the one with the same completion and date is meant,
    and of equal tasks the first is the oldest item, as another machine will have it.
    """
    if len(sent) == len(items) == len({one.description for one in sent}) and all(
        one.description == item.fields.description for one, item in zip(sent, items, strict=True)
    ):
        return {n: n for n in range(len(sent))}
    pairs: dict[int, int] = {}
    for same in (attrgetter(*FIELDS), attrgetter("description")):
        left: dict[object, list[int]] = defaultdict(list)
        rest = {*range(len(items))}.difference(pairs.values())
        for m in sorted(rest, key=lambda m: items[m].age_order, reverse=True):
            left[same(items[m].fields)].append(m)
        for n, fields in enumerate(sent):
            if n not in pairs and left[same(fields)]:
                pairs[n] = left[same(fields)].pop()
    return pairs
