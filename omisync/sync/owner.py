"""Whose a store is: of which server, which list, which account.

Rule: ids of one account are never used in another, nor those of one list for another;
a store without any belongs to nobody yet.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omisync import file
from omisync.core.model import LEFT_IN_OMI
from omisync.errors import ConfigError, OmisyncError, OtherAccount, OtherList
from omisync.sync.formats import parsed
from omisync.sync.looks import MARGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omisync.config import Config
    from omisync.core.model import Intent, Listing, RemoteItem, Tombstone
    from omisync.store import Store
    from omisync.sync.desk import Desk, Run


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
        if former.samefile(path):
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
