"""Create exactly once on an API that has no idempotency key.

Rule: an intent is durable before its request leaves, and is deleted only in the
transaction that settles the link, or when it is proven that nothing was
created. Between the two its outcome is unknown and it is never sent again.
"""

from __future__ import annotations

import math
import secrets
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from omisync.core import adopt
from omisync.core.model import Base, Intent, Link, Parked
from omisync.errors import ItemLocked, ItemProblem, OmisyncError, OutcomeUnknown, WrongServer
from omisync.store import Event
from omisync.sync import looks
from omisync.sync.desk import encoding_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from omisync.core.model import Fields, RemoteItem
    from omisync.core.plan import AddRemote
    from omisync.sync.desk import Run

SECOND_LOOK = {"5xx": 2.0, "dropped": 5.0, "timeout": 10.0, "unlisted": 2.0}
"""Seconds after a failure before a fruitless look may count as the last one."""
LOOKS = 2
BLIND_LOOKS = 5
"""Looks at incomplete listings before a person is asked: they prove nothing."""
PATIENCE = 5
"""Failures in a row after which a task is parked, if others get through."""
ALONE = 3
"""More failures that a new task is granted: in the first five it travelled with others."""
CHANCE = 0.1
"""Share of failing tasks, to those settled in the last hour, up to which a server is well."""
REFUSALS = 3
"""Refused creates, before any write succeeded, that speak of the server itself."""
HOUR = 3600.0
DAY = 86400.0


async def send(
    run: Run, group: Sequence[AddRemote], window: Sequence[Sequence[AddRemote]] = ()
) -> list[list[AddRemote]]:
    """Create these items with one request; return groups that are to be sent instead.

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
            items, _ = await client.create_batch(fields, idempotency_key=intents[0].group)
    except OutcomeUnknown as error:
        _unknown(run, intents, error.failure)
        run.unlucky += 1
        run.trouble(error)
        return []
    except ItemProblem as error:
        _take_back(run, intents)
        return _refused(run, group, error)
    except OmisyncError:
        _take_back(run, intents)
        raise
    _settle(run, group, intents, items)
    return []


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


def _unknown(run: Run, intents: Sequence[Intent], failure: str) -> None:
    now = run.desk.clock()
    with run.store.transaction():
        run.store.put_intents(replace(intent, failure=failure, failed_at=now) for intent in intents)
        run.store.record(_failed(now, intents, failure))
    run.look_again(now)


def _failed(now: float, intents: Sequence[Intent], failure: str) -> Event:
    """Return the event of a failed create; a batch does not tell which task is to blame."""
    if len(intents) > 1:
        return Event(now, "task.failed", f"{len(intents)} new tasks", detail=failure)
    (intent,) = intents
    return Event(now, "task.failed", intent.fields.description, intent.key, detail=failure)


def _take_back(run: Run, intents: Iterable[Intent]) -> None:
    """Delete the intents: the server did not create anything."""
    with run.store.transaction():
        run.store.withdraw(intents)


def _refused(run: Run, group: Sequence[AddRemote], error: ItemProblem) -> list[list[AddRemote]]:
    """Park what the server refused; what it did not name travels on in other groups."""
    if len(group) == 1:
        _refused_alone(run, group[0], error)
        return []
    if error.index is not None and error.index < len(group):
        bad = group[error.index]
        _refused_alone(run, bad, error)
        return [[op for op in group if op is not bad]]
    middle = len(group) // 2
    return [list(group[:middle]), list(group[middle:])]


def _refused_alone(run: Run, op: AddRemote, error: ItemProblem) -> None:
    """Park one refused create; three without any success mean the server, not the task.

    Raises:
        WrongServer: the server refuses whatever it is given.
    """
    retry_in = DAY if isinstance(error, ItemLocked) else None
    park(run, op.link, error, retry_in=retry_in)
    if run.wrote:
        return
    run.refused.append(op.link)
    if len(run.refused) == REFUSALS:
        now = run.desk.clock()
        with run.store.transaction():
            run.store.put_links(link.but(parked=None) for link in run.refused)
            run.store.record(
                *(Event(now, "task.retried", link.seen.text, link.key) for link in run.refused)
            )
        run.counts["task.parked"] -= REFUSALS
        run.done -= REFUSALS
        run.parked = []
        raise WrongServer(
            f"Omi refuses every new task: {error.message}",
            "Check omi.base_url, and look for a newer omisync; nothing was created.",
        )


def park(run: Run, link: Link, error: ItemProblem, *, retry_in: float | None = None) -> None:
    """Set a task aside until its line changes, or ``retry_in`` seconds have passed."""
    now = run.desk.clock()
    parked = Parked(
        status=error.status,
        reason=error.message,
        since=now,
        task=link.seen if link.absent_since is None else None,
        retry_at=None if retry_in is None else now + retry_in,
    )
    link = link.but(parked=parked)
    run.settle("task.parked", link, detail=parked.reason)
    run.parked.append(link)
    run.finished()


def _settle(
    run: Run, group: Sequence[AddRemote], intents: Sequence[Intent], items: Sequence[RemoteItem]
) -> None:
    """Link what the reply shows; what it left out exists but must be looked for."""
    fresh = [item for item in items if item.id not in run.linked]
    items = list({item.id: item for item in fresh}.values())  # one id is one item
    pairs = _zipped([intent.fields for intent in intents], items)
    settled = [
        op.link.but(
            remote_id=items[pairs[n]].id,
            base=Base(op.entry.task, items[pairs[n]].fields),
            failures=0,
            made_at=made_at(items[pairs[n]]),
        )
        for n, op in enumerate(group)
        if n in pairs
    ]
    run.settle("task.created", *settled)
    run.linked.update(items[m].id for m in pairs.values())
    run.succeeded(len(pairs))
    missing = [intent for n, intent in enumerate(intents) if n not in pairs]
    if missing:
        _unknown(run, missing, "unlisted")


def made_at(item: RemoteItem) -> float | None:
    """Return when the server made an item, in Unix seconds."""
    return None if item.created_at is None else item.created_at.timestamp()


def _zipped(sent: Sequence[Fields], items: Sequence[RemoteItem]) -> dict[int, int]:
    """Return which sent element (index) is which replied item (index).

    The reply is in request order, but rows that the server cannot read back
    are left out of it.
    """
    pairs: dict[int, int] = {}
    start = 0
    for n, fields in enumerate(sent):
        for m in range(start, len(items)):
            if items[m].fields.description == fields.description:
                pairs[n] = m
                start = m + 1
                break
    return pairs


async def resolve(run: Run, intents: Sequence[Intent], links: Sequence[Link]) -> None:
    """Find out what became of creates whose outcome is unknown, as far as it is time to.

    Raises:
        OmisyncError: the server could not be read; the intents stay.
    """
    intents = _landed(run, intents)
    now = run.desk.clock()
    ripe = []
    for intent in intents:
        wait = _wait(intent, now)
        if wait > 0:
            run.look_again(now + wait)
        else:
            ripe.append(intent)
    if not ripe or run.shut("read"):
        return
    client = await run.desk.client()
    since = min(intent.server_date for intent in ripe) - looks.MARGIN
    listing = await client.window(since)
    free = [item for item in listing.items if item.id not in run.linked]
    claims = _claims(ripe, free)
    by_key = {link.key: link for link in links}
    found = [
        by_key[intent.key].but(
            remote_id=item.id,
            base=_base(run, by_key[intent.key], intent, item),
            failures=0,
            made_at=made_at(item),
        )
        for intent, item in claims
    ]
    if found:
        run.settle("task.created", *found, detail="found")
        run.linked.update(item.id for _, item in claims)
    taken = {link.key for link in found}
    for intent in ripe:
        if intent.key not in taken:
            _fruitless(run, intent, by_key[intent.key], complete=listing.complete)


def _base(run: Run, link: Link, intent: Intent, item: RemoteItem) -> Base | None:
    """Return what a line and its found item agree on.

    In two-way, what the item says otherwise than it was sent is for the next plan:
    it was edited since, or is not ours but of the same text.
    """
    if not run.desk.config.two_way or item.fields == intent.fields:
        return Base(intent.task, item.fields)
    encoding = encoding_of(run.desk.config)
    return adopt.tied(link.but(seen=intent.task), item, encoding, both_ways=True).base


def _landed(run: Run, intents: Sequence[Intent]) -> list[Intent]:
    """Return the intents with a failure each: one in flight when omisync died was dropped.

    None failed in the future: a clock that jumped back would wait for it.
    """
    now = run.desk.clock()
    fresh = {
        intent.key: replace(intent, failure=intent.failure or "dropped", failed_at=now)
        for intent in intents
        if intent.failed_at is None or intent.failed_at > now
    }
    if fresh:
        with run.store.transaction():
            run.store.put_intents(fresh.values())
    return [fresh.get(intent.key, intent) for intent in intents]


def _wait(intent: Intent, now: float) -> float:
    """Return the seconds before the next look at this intent is worth a request."""
    if intent.looks < LOOKS - 1 or intent.failed_at is None or intent.failure is None:
        return 0.0
    wait = SECOND_LOOK[intent.failure]
    return min(wait, max(0.0, intent.failed_at + wait - now))  # the clock may have jumped back


def _claims(
    intents: Sequence[Intent], items: Sequence[RemoteItem]
) -> list[tuple[Intent, RemoteItem]]:
    """Return which unlinked item came from which intent: one to one, in creation order.

    Agreement of text, completed and due goes before agreement of text alone.
    """
    by_text: dict[str, list[RemoteItem]] = defaultdict(list)
    oldest_first = sorted(items, key=_creation_order)
    for item in oldest_first:
        by_text[item.fields.description].append(item)
    claims: dict[str, tuple[Intent, RemoteItem]] = {}
    for exact in (True, False):
        for intent in intents:
            if intent.key in claims:
                continue
            offered = by_text.get(intent.fields.description, [])
            for item in offered:
                fits = item.fields == intent.fields or not exact
                if item.id not in intent.known_ids and fits:
                    offered.remove(item)
                    claims[intent.key] = (intent, item)
                    break
    return list(claims.values())


def is_poison(run: Run, link: Link) -> bool:
    """Return whether this task keeps failing while nearly all others get through.

    Where others fail too, the server is ill, not the task; five failures in a
    row happen by chance there.
    """
    if link.failures < PATIENCE:
        return False
    settled, failing = run.store.luck(run.desk.clock() - HOUR, link.key)
    return settled > 0 and failing <= settled * CHANCE


def _creation_order(item: RemoteItem) -> tuple[float, str]:
    created = item.created_at
    return (math.inf if created is None else created.timestamp(), item.id)


def _fruitless(run: Run, intent: Intent, link: Link, *, complete: bool) -> None:
    """Count a look that did not find the item; after the last one, decide."""
    now = run.desk.clock()
    intent = replace(intent, looks=intent.looks + 1)
    last = intent.looks >= LOOKS and _wait(intent, now) == 0
    if not complete:
        last = intent.looks >= BLIND_LOOKS
    if not last:
        with run.store.transaction():
            run.store.put_intents([intent])
        run.look_again(now + max(_wait(intent, now), 0.0 if complete else SECOND_LOOK["timeout"]))
    elif intent.failure == "unlisted" or not complete:
        reason = "Omi took this task but does not show it; look for it in the Omi app"
        park(run, link, ItemProblem(reason, 0))
    else:
        _void(run, intent, link.but(failures=link.failures + 1))


def _void(run: Run, intent: Intent, link: Link) -> None:
    """Give the create up: it did not happen. The next plan makes it anew, or parks it."""
    now = run.desk.clock()
    if link.failures >= PATIENCE + ALONE and is_poison(run, link):
        reason = f"Omi failed {link.failures} times on this task alone, others got through"
        park(run, link, ItemProblem(reason, 0), retry_in=HOUR)
        return
    with run.store.transaction():
        run.store.drop_intents([intent.key])
        run.store.put_links([link])
        run.store.record(Event(now, "create.voided", intent.fields.description, intent.key))
