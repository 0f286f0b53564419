"""Look at the server before creates, and know again what a look showed."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from omisync.errors import ListCut, RateLimited
from omisync.store import notes
from omisync.sync.desk import limited

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from omisync.api import OmiClient
    from omisync.core.model import Listing, RemoteItem
    from omisync.sync.desk import Desk, Run

READ_SECONDS = 60.0
"""That many pay for one read of a first list that is read again: half of what an hour grants."""
MARGIN = 120.0
"""Seconds that a look reaches beyond what the clocks say: two clocks never agree."""


class First(NamedTuple):
    """A reading of all of an account with which nothing is linked yet.

    ``missed`` are the descriptions that were looked for and not found. ``began`` is by the
    server's clock, ``read_at`` by ours, in Unix seconds; ``reads`` is what it cost.
    """

    missed: AbstractSet[str]
    began: float
    read_at: float
    reads: int


class Unlinked(NamedTuple):
    """Remote items without a link; ``whole`` tells that the whole list was read for them."""

    items: list[RemoteItem]
    whole: bool


async def before_creates(
    run: Run, wanted: AbstractSet[str], *, whole: bool, yes: bool
) -> Unlinked | None:
    """Return the remote items without a link that a new line could be; None if unread.

    ``wanted`` are the descriptions of those lines. As long as nothing is linked everything
    is read; later only what was created since the last look. ``whole`` asks for everything
    again, ``yes`` lets lines be created though a part of the list was not read.

    Raises:
        OmisyncError: the server could not be read, so nothing may be created.
    """
    taken = run.store.remote_ids()
    first = None if taken or whole else _fresh(run.desk, wanted)
    looked = notes.moment(run.store.fact("looked")) if taken and not whole else None
    since = looked if first is None else first.began
    if run.shut("read"):
        _check_optional(run, looked)
        return None
    client = await run.desk.client()
    started, before = run.desk.clock(), client.reads
    try:
        if since is None:
            listing = await client.listing(thorough=not taken)
        else:
            listing = await client.window(since - MARGIN)
    except RateLimited as error:
        run.shut_for(error)
        _check_optional(run, looked)
        return None
    if not (taken or yes):
        check_whole(run, listing)
    remember(run, listing)
    at = began(client, started)
    with run.store.transaction(durable=False):
        run.store.put_fact("looked", at)
    if not taken and since is None:
        keep_first(run.desk, wanted, listing, at, client.reads - before)
    items = [item for item in listing.items if item.id not in taken]
    return Unlinked(items, since is None)


def keep_first(
    desk: Desk, wanted: AbstractSet[str], listing: Listing, at: float, reads: int
) -> None:
    """Note what a whole list lacks that was read from ``at`` on, by the server's clock.

    A first sync that the server fails would else read all of a long list with each try.
    """
    unsure = {intent.fields.description for intent in desk.store.intents()}  # wanted again soon
    missed = (wanted | unsure) - {item.fields.description for item in listing.items}
    desk.first = First(missed, at, desk.clock(), reads)


def _fresh(desk: Desk, wanted: AbstractSet[str]) -> First | None:
    """Return the first reading if it looked for all of these, until another one is paid for."""
    first = desk.first
    if first is None or not wanted <= first.missed:
        return None
    is_fresh = 0 <= desk.clock() - first.read_at < first.reads * READ_SECONDS
    return first if is_fresh else None


def check_whole(run: Run, listing: Listing) -> None:
    """Refuse a list that shows a part of what there is, where all of the file may be in the rest.

    Where this list had items before, a row that makes no sense is no reason any more.

    Raises:
        ListCut: a person has to agree first.
    """
    if listing.cut:
        what = f"Only {len(listing.items)} items of Omi's list could be read, and no more of it"
    elif listing.unreadable and not run.store.tombstones(run.now, kept=True):
        what = "What Omi's list says of some of its items cannot be read"
    else:
        return
    raise ListCut(
        f"{what}; lines that are in the rest would be created twice",
        "If there are none, or if that does no harm, agree once: `omisync --once --yes`.",
    )


def began(client: OmiClient, started: float) -> float:
    """Return the server's time at which a reading began that ``started`` by our clock.

    It is never later than the last reply: our clock may have been set meanwhile.
    """
    at = started + (client.clock_skew or 0.0)
    return at if client.server_date is None else min(at, client.server_date)


def _check_optional(run: Run, since: float | None) -> None:
    """Go on without the read, unless it is the first: then everything could be a twin.

    Raises:
        RateLimited: the first reading has to wait for its gate.
    """
    if since is None:  # also where the gate has opened by now: nothing was read
        raise limited(run.gates["read"], run.desk.clock())


def remember(run: Run, listing: Listing) -> None:
    """Note which ids each description already had: a later create is none of them."""
    known: dict[str, list[str]] = defaultdict(list)
    for item in listing.items:
        known[item.fields.description].append(item.id)
    run.known = {text: tuple(ids) for text, ids in known.items()}
