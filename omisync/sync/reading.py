"""Two-way: when the whole list of Omi is read, and what is remembered of it.

Rule: whatever is changed on either side in two-way was decided on a list read in
the same cycle. What that costs is kept within a share of the server's read budget,
so that a look after a lost answer is always possible: the first saves of an hour
are answered at once, later ones at a pace that the budget bears.

What a reading brought is owed until it was done: until then nothing counts as in
sync, however many cycles have to do without another reading.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from omisync import file, places
from omisync.errors import FileHeld, ListUnread, NotAsked, RateLimited
from omisync.store import notes
from omisync.store.notes import Listed
from omisync.sync import looks, owner
from omisync.sync.desk import HOUR, limited

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from omisync.config import Config
    from omisync.core.model import Listing
    from omisync.core.plan import Plan
    from omisync.errors import FileChanged
    from omisync.store import Store
    from omisync.sync.desk import Desk, Run

BUDGET = 120
"""Reads an hour that the server grants where it does not tell (server source)."""
SHARE = 0.8
"""Share of the reads that listings may take, the first half of it at once."""
SOON = 30.0
"""Seconds to the next listing after one that brought something: more often follows."""

OFTEN = "its list was read so often within the last hour that the next reading waits"
THEN = "it is read by itself then; `omisync --once` reads it at once"

LOOK, WRITE, HELD = "look", "write", "held"
"""What is owed: all that a reading brings; a write of the file, which a save came before;
one that waits for a program to close the file."""


def next_at(desk: Desk) -> float | None:
    """Return when the list is to be read without any other reason, in Unix seconds."""
    if not desk.config.two_way:
        return None
    last, now = desk.store.note(Listed), desk.clock()
    gate = desk.store.gates().get("read")
    opens = now + gate.wait(now) if gate is not None else now
    due = now if last is None else last.at + last.pause
    return max(due, opens, allowed_at(desk))


def allowed_at(desk: Desk) -> float:
    """Return from when the budget has room for another listing, in Unix seconds.

    For what is to be written into the file all of it may go at once, not only half.
    """
    last, now = desk.store.note(Listed), desk.clock()
    if last is None or last.at > now:  # the clock jumped back
        return now
    spent = sum(cost for at, cost in last.spent if 0 <= now - at < HOUR)
    budget = _budget(desk)
    at_once = budget if last.owed in {WRITE, HELD} else budget / 2
    if spent + last.cost <= at_once:
        return now
    return last.at + HOUR * last.cost / (budget / 2)


def _budget(desk: Desk) -> float:
    gate = desk.store.gates().get("read")
    limit = gate.limit if gate is not None and gate.limit else BUDGET
    return max(1.0, limit * SHARE)


async def listing(run: Run, *, now: bool) -> Listing | None:
    """Return all items of the account, None where they cannot be read yet.

    ``now`` reads them even if half of the budget is spent. In the end it is the
    server's limit that counts: its gate is noted as the trouble of the cycle. So is
    whatever else keeps from reading while something is owed.

    Raises:
        OmisyncError: the server could not be read, or this is another account.
    """
    if run.shut("read"):
        run.wait_for("read")
        return None
    if not now and _has_to_wait(run):
        return None
    if run.desk.rest:
        raise NotAsked(run.desk.rest)  # a reading that never began costs nothing
    client = await run.desk.client()
    started, before = run.desk.clock(), client.reads
    try:
        await owner.check_account(run)
        before = client.reads
        is_first = not run.store.is_linked() and run.store.fact("met") is None
        found = await client.listing(thorough=is_first)
    except RateLimited as error:
        run.trouble(error)
        return None
    finally:
        _note(run.desk, started, client.reads - before)
    run.listed = True
    run.listing_digest = digest(found) if found.complete else None
    looks.remember(run, found)
    with run.store.transaction():
        run.store.put_fact("looked", looks.began(client, started))
    return found


def keep_first(desk: Desk, wanted: AbstractSet[str], listing: Listing) -> None:
    """Let creates that fail not read all of a list again with which nothing is linked yet."""
    at, listed = notes.moment(desk.store.fact("looked")), desk.store.note(Listed)
    if at is not None and listed is not None:
        looks.keep_first(desk, wanted, listing, at, listed.cost)


def _has_to_wait(run: Run) -> bool:
    """Return whether nothing is to be read now; note why where something is owed."""
    desk, path = run.desk, run.desk.config.todo_path
    last = desk.store.note(Listed)
    owed = last.owed if last is not None else ""
    if owed == HELD:  # without a request: what would be read could not be written
        try:
            file.check_held(path)
        except FileHeld as error:
            run.trouble(error)
            return True
    allowed = allowed_at(desk)
    if allowed <= desk.clock():  # not run.now, which is always a little earlier
        return False
    run.look_again(allowed)
    if owed:
        run.trouble(ListUnread(f"What is new in Omi may not be in {path} yet: {OFTEN}", THEN))
    return True


def note_held_back(run: Run, decided: Plan) -> None:
    """Say why changed lines are not sent, where nothing else was said: the list was not read."""
    held = len(decided.changes) + len(decided.unproven)
    if held and not run.troubles:
        what = "1 change waits" if held == 1 else f"{held} changes wait"
        run.trouble(ListUnread(f"{what} for a look at Omi: {OFTEN}", THEN))


def is_owed(desk: Desk) -> bool:
    """Return whether something that a reading brought is still to be done."""
    last = desk.store.note(Listed) if desk.config.two_way else None
    return last is not None and last.owed != ""


def owe(desk: Desk, error: FileChanged) -> None:
    """Note that the file could not be written for this."""
    _owe(desk, HELD if isinstance(error, FileHeld) else WRITE)


def paid(desk: Desk) -> None:
    """Note that all that a reading brought was done."""
    _owe(desk, "")


def _owe(desk: Desk, owed: str) -> None:
    last = desk.store.note(Listed)
    if last is not None and last.owed != owed:
        # Lost in a power cut, it is owed once more.
        with desk.store.transaction(durable=False):
            desk.store.put_note(replace(last, owed=owed))


async def glance(
    config: Config, environ: Mapping[str, str], store: Store | None = None, now: float = 0.0
) -> Listing:
    """Return all items for a plan that is only shown; nothing is remembered.

    Of the ``store``, where there is one, the gate at this time (Unix seconds) and the
    account are minded.

    Raises:
        OtherAccount: none of the linked items is there.
        RateLimited: the server asked to wait until later than now; nothing was sent.
        OmisyncError: the server could not be read, or there is no usable key.
    """
    from omisync.api import OmiClient

    key = places.find_key(config.key_file, environ, config.omi.base_url)
    gate = store.gates().get("read") if store is not None else None
    if gate is not None and gate.wait(now) > 0:
        raise limited(gate, now)
    async with OmiClient(config.omi.base_url, key.value) as client:
        found = await client.listing()
    if store is not None and store.fact("fingerprint") not in {None, key.fingerprint}:
        owner.check_familiar(store, found, now)
    return found


def _note(desk: Desk, at: float, cost: int) -> None:
    """Write down that a listing was read, what it cost, and that what it brought is owed."""
    first = Listed(at=at, cost=cost, pause=desk.config.watch.poll, spent=())
    last = desk.store.note(Listed) or first
    spent = [*(one for one in last.spent if 0 <= at - one[0] < HOUR), (at, cost)]
    _put(desk, replace(last, at=at, cost=cost, spent=spent, owed=last.owed or LOOK))


def _put(desk: Desk, listed: Listed) -> None:
    with desk.store.transaction():
        desk.store.put_note(listed)


def pace(desk: Desk, *, news: bool) -> None:
    """Set when the list is read next: sooner after ``news``, and less often by and by."""
    last = desk.store.note(Listed)
    if last is None:
        return
    poll = desk.config.watch.poll
    least = HOUR * last.cost / _budget(desk)
    wanted = min(SOON, poll) if news else min(poll, last.pause * 2)
    pause = max(wanted, least)
    if pause != last.pause:
        _put(desk, replace(last, pause=pause))


def digest(listing: Listing) -> str:
    """Return what two listings are compared by: every item and each of its fields."""
    items = sorted(repr((item.id, item.fields)) for item in listing.items)
    found = hashlib.blake2b(digest_size=16)
    for item in items:
        found.update(item.encode())  # half a surrogate pair is escaped there
        found.update(b"\0")
    return found.hexdigest()
