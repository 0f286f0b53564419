"""Find out what became of creates whose outcome is unknown.

Rule: an item is claimed only by a create that can have made it: of its text, in
the time since, of no other link, now or before, and not known before. A create is void only
where a complete look, late enough, shows no such item.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from omisync.core import adopt
from omisync.core.model import Base
from omisync.errors import ItemProblem
from omisync.store import Event
from omisync.sync import looks
from omisync.sync.desk import DAY, HOUR, encoding_of
from omisync.sync.parked import PATIENCE, is_poison, park

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omisync.core.model import Intent, Link, RemoteItem
    from omisync.sync.desk import Run

SECOND_LOOK = {"5xx": 2.0, "dropped": 5.0, "timeout": 10.0, "unlisted": 2.0}
"""Seconds after a failure before a fruitless look may count as the last one."""
LOOKS = 2
BLIND_LOOKS = 5
"""Looks at incomplete listings before a person is asked: they prove nothing."""
ALONE = 3
"""More failures that a new task is granted: in the first five it travelled with others."""


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
    if client.server_date is None:  # it tells no time, and its clock may be hours behind ours
        listing = await client.window(since - DAY)
    buried = {stone.remote_id for stone in run.store.tombstones(now, kept=True)}
    free = [item for item in listing.items if item.id not in run.linked | buried]
    claims = _claims(ripe, free)
    by_key = {link.key: link for link in links}
    found = [
        by_key[intent.key].but(
            remote_id=item.id,
            base=_base(run, by_key[intent.key], intent, item),
            failures=0,
            made_at=item.made_at,
        )
        for intent, item in claims
    ]
    if found:
        run.settle("task.created", *found, detail="found")
        run.linked.update(item.id for _, item in claims)
    taken = {link.key for link in found}
    await _fruitless(
        run,
        [(intent, by_key[intent.key]) for intent in ripe if intent.key not in taken],
        complete=listing.complete,
    )


def _base(run: Run, link: Link, intent: Intent, item: RemoteItem) -> Base | None:
    """Return what a line and its found item agree on.

    In two-way, what the item says otherwise than it was sent is for the next plan:
    it was edited since, or is not ours but of the same text. In a push an edit stays; what
    was sent and the item lacks is sent again.
    """
    task, sent, there = intent.task, intent.fields, item.fields
    if run.desk.config.two_way and there != sent:
        encoding = encoding_of(run.desk.config)
        return adopt.tied(link.but(seen=task), item, encoding, both_ways=True).base
    if sent.due_at is not None and there.due_at is None:
        task = replace(task, due=None)
    if sent.completed and not there.completed:
        task = replace(task, completed=False)
    return Base(task, there)


def _landed(run: Run, intents: Sequence[Intent]) -> list[Intent]:
    """Return the intents with a failure each: one in flight when omisync died was dropped.

    None failed in the future: a clock that jumped back would wait for it.
    """
    now = run.desk.clock()
    fresh = {
        intent.key: intent._replace(failure=intent.failure or "dropped", failed_at=now)
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
    oldest_first = sorted(items, key=lambda item: item.age_order)
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


async def _fruitless(run: Run, missed: Sequence[tuple[Intent, Link]], *, complete: bool) -> None:
    """Count a look that did not find the items; after the last one of each, decide.

    All are written down together: there may be as many as a first sync has in hand.
    """
    now = run.desk.clock()
    waiting: list[Intent] = []
    void: list[Link] = []
    for former, link in missed:
        intent = former._replace(looks=former.looks + 1)
        last = intent.looks >= LOOKS and _wait(intent, now) == 0
        if not complete:
            last = intent.looks >= BLIND_LOOKS
        if not last:
            waiting.append(intent)
            least = 0.0 if complete else SECOND_LOOK["timeout"]
            run.look_again(now + max(_wait(intent, now), least))
        elif intent.failure == "unlisted" or not complete:
            reason = "Omi took this task but does not show it; look for it in the Omi app"
            park(run, link, ItemProblem(reason, 0))
        elif not await _is_given_up(run, failed := link.but(failures=link.failures + 1)):
            void.append(failed)
    if waiting or void:
        with run.store.transaction():
            run.store.put_intents(waiting)
            _void(run, void)


async def _is_given_up(run: Run, link: Link) -> bool:
    """Return whether this create was the last try, after setting its task aside."""
    if not await is_poison(run, link, PATIENCE + ALONE):
        return False
    reason = f"Omi failed {link.failures} times on this task alone, others got through"
    park(run, link, ItemProblem(reason, 0), retry_in=HOUR)
    return True


def _void(run: Run, links: Sequence[Link]) -> None:
    """Give these creates up: they did not happen. The next plan makes them anew, or parks them."""
    now = run.desk.clock()
    run.store.drop_intents(link.key for link in links)
    run.store.put_links(links)
    run.store.record(*(Event(now, "create.voided", link.seen.text, link.key) for link in links))
