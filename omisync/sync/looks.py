"""Look at the server: before creates, to resolve intents, to know the account."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from omisync import file
from omisync.core.model import LEFT_IN_OMI
from omisync.errors import ConfigError, ListCut, OmisyncError, OtherAccount, OtherList, RateLimited
from omisync.store import notes
from omisync.sync.desk import limited
from omisync.sync.formats import parsed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from omisync.api import OmiClient
    from omisync.config import Config
    from omisync.core.model import Intent, Listing, RemoteItem, Tombstone
    from omisync.store import Store
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


def bind(desk: Desk) -> None:
    """Note to which server and which list, that was read, a store belongs from now on."""
    owner = {"base_url": desk.config.omi.base_url, "todo": str(desk.config.todo_path)}
    if any(desk.store.fact(name) != value for name, value in owner.items()):
        with desk.store.transaction(durable=False):
            for name, value in owner.items():
                desk.store.put_fact(name, value)


def check_bound(store: Store, config: Config) -> None:
    """Refuse a store that has links, intents or tombstones of another server or list.

    Without any, as after a mistyped URL, the store belongs to nobody yet.

    Raises:
        ConfigError: the server is not the one that this store's ids are from.
        OtherList: the file is another list than the one that is linked, which is still in
            its place.
    """
    _check_server(store, config)
    former = store.fact("todo")
    if isinstance(former, str) and _is_other_list(store, config, Path(former)):
        raise OtherList(
            f"The state store {store.path} belongs to {former}, and {config.todo_path} is"
            " another list",
            "Give this list its own [state] path. If it is the same list, changed much, rename"
            f" or remove {former}.",
        )


def _is_other_list(store: Store, config: Config, former: Path) -> bool:
    """Return whether the file is not the one that was synced before, nor a copy of that."""
    path = config.todo_path
    try:
        if former == path or former.samefile(path):
            return False
        said = {entry.task.text for entry in parsed(config, file.read(path)).entries}
    except (OSError, ValueError, OmisyncError):  # one is not there, or cannot be looked at
        return False
    links = store.links()
    return sum(link.seen.text in said for link in links) * 2 < len(links)


def _check_server(store: Store, config: Config) -> None:
    bound, base_url = store.fact("base_url"), config.omi.base_url
    if bound in {None, base_url}:
        return
    if store.remote_ids() or store.intents() or store.tombstones(0.0):
        raise ConfigError(
            f"The state store {store.path} belongs to {bound}, but the server is now {base_url}"
            " (omi.base_url, or OMI_API_BASE where that is set)",
            "Name the former server again, give this one its own [state] path, or run"
            " `omisync repair --accept-account` to link this list with the new server.",
        )


async def check_account(run: Run) -> None:
    """Make sure that a changed key still opens the account that the links are from.

    Costs nothing while the key is the one that last worked.

    Raises:
        OtherAccount: nothing that is known is in the new key's account.
        OmisyncError: the server could not be read.
    """
    client = await run.desk.client()
    fingerprint = run.desk.key.fingerprint if run.desk.key is not None else ""
    former = run.store.fact("fingerprint")
    if former == fingerprint:
        return
    run.desk.first = None
    if former is not None and _is_known(run.store, run.now):
        run.pass_gate("read")
        listing = await client.listing()
        check_familiar(run.store, listing, run.now)
    with run.store.transaction(durable=False):
        run.store.put_fact("fingerprint", fingerprint)


def _is_known(store: Store, now: float) -> bool:
    """Return whether an account has, or may have, anything of this list."""
    return bool(store.remote_ids() or _left(store.tombstones(now, kept=True)) or store.intents())


def _left(stones: Sequence[Tombstone]) -> set[str]:
    """Return the ids of removed tasks whose items were left in Omi."""
    return {stone.remote_id for stone in stones if stone.how in LEFT_IN_OMI}


def _may_be_of(intent: Intent | None, item: RemoteItem) -> bool:
    """Return whether an item can have come of a create; one without a time may."""
    if intent is None or item.id in intent.known_ids:
        return False
    return item.made_at is None or item.made_at >= intent.server_date - MARGIN


def check_familiar(store: Store, listing: Listing, now: float) -> None:
    """Refuse a list in which there is none of the items that are linked, or lately were.

    Where there were none yet, what a create in doubt may have made tells.

    Raises:
        OtherAccount: it is that of another account.
    """
    linked, intents = store.remote_ids(), store.intents()
    stones = store.tombstones(now, kept=True)
    left, former = _left(stones), linked | {stone.remote_id for stone in stones}
    if any(item.id in former for item in listing.items):
        return
    sent = {intent.fields.description: intent for intent in intents}
    made = any(_may_be_of(sent.get(item.fields.description), item) for item in listing.items)
    if linked:
        why = f"none of the {len(linked)} linked tasks is in it"
    elif left:
        why = f"none of the {len(left)} items that removed lines left in Omi is in it"
    elif intents and not made:
        why = "a task was sent with another key, and what became of it is not known yet"
    else:
        return
    raise OtherAccount(
        f"This looks like another account: {why}",
        "Use the former account's key, or run `omisync repair --accept-account` to link"
        " this list with the new account.",
    )
