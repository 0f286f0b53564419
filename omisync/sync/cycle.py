"""One cycle, in order: observe, resolve, decide, look, apply, settle."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from omisync import file
from omisync.core import plan
from omisync.core.model import TWIN, WRITABLE_ID, Base
from omisync.errors import (
    FileChanged,
    KeyProblem,
    OmisyncError,
    OtherList,
    StoreBusy,
    StoreUnusable,
    Unreachable,
    WrongServer,
)
from omisync.store import Event
from omisync.store.notes import Settled
from omisync.sync import (
    ending,
    fitting,
    formats,
    guards,
    inward,
    looks,
    observing,
    owner,
    reading,
    remarks,
    sending,
    unknown,
)
from omisync.sync.desk import Outcome, Run, keys, policy

if TYPE_CHECKING:
    from omisync.core.model import Document, Link, Listing
    from omisync.core.plan import Plan
    from omisync.file import Snapshot
    from omisync.store import Store
    from omisync.sync.desk import Desk

NAMED = ("task.created", "task.adopted", "task.revived")
"""Events that give a line an item, whose id it then may say."""
ATTEMPTS = 8
"""How often the file is read again at once when it was saved while it was to be replaced."""


async def cycle(
    desk: Desk,
    *,
    grace: float = 0.0,
    allow_removals: bool = False,
    now: bool = False,
    yes: bool = False,
) -> Outcome:
    """Bring the server to what the file says and, in two-way, the file to what Omi says.

    ``grace`` is in seconds. ``allow_removals`` lets the removals pass that were
    refused last, if they are still the same. ``now`` asks Omi also if nothing is
    due, ``yes`` lets a first look at an account bring in as much as there is.
    Every expected error is in the outcome; what is settled stays settled.

    Raises:
        StoreUnusable: the store itself cannot be read or written any more.
        StoreBusy: the disk is full, or another process holds the store.
    """
    run = Run(desk, desk.clock())
    document: Document | None = None
    try:
        owner.check_bound(desk.store, desk.config)
        snapshot = file.read(desk.config.todo_path)
        settled = _nothing_to_do(desk, snapshot, run.now)
        if settled is not None and not (now and desk.config.two_way):
            return ending.idle_outcome(run, settled)
        run.recall_gates()
        asked = _Asked(policy(desk.config, grace), allow_removals, yes)
        if desk.config.two_way:
            await _resolve(run)
            listing = await reading.listing(run, now=now)
            if (unchanged := ending.unchanged_listing(run, snapshot)) is not None:
                return unchanged
            snapshot, document, decided = await _two_way(run, listing, asked)
        else:
            # A new list has lost no line yet, the places of which would be asked for.
            known = len(run.store.links()) > 0
            document = formats.parsed(desk.config, snapshot, places=known)
            owner.bind(desk)
            inward.recover(desk, snapshot, document)  # it was two-way before
            decided = await _push(run, document, snapshot, asked)
    except (StoreBusy, StoreUnusable):
        raise
    except OtherList as error:  # whose status it is nothing to
        run.trouble(error)
        return ending.outcome(run, None, None)
    except OmisyncError as error:
        run.trouble(error)
        _look_for_key(run)
        _remember_lines(run)
        stopped = replace(ending.outcome(run, document, None), plan=run.stopped)
        return ending.record_outcome(desk, stopped)
    if desk.first is not None and desk.store.is_linked():
        desk.first = None  # of use while nothing is linked, and as large as the list
    outcome = ending.record_outcome(desk, ending.outcome(run, document, decided))
    ending.remember_settled(run, snapshot, outcome)
    return outcome


def _look_for_key(run: Run) -> None:
    """Note what the next cycle would stop at, were this one's trouble over."""
    try:
        run.desk.find_key()
    except OmisyncError as error:
        run.trouble(error)


def _remember_lines(run: Run) -> None:
    """Note how lines read that no plan came to, for the next matching; see ``_remember_places``."""
    desk = run.desk
    with suppress(OmisyncError):
        snapshot = file.read(desk.config.todo_path)
        document = formats.parsed(desk.config, snapshot)
        inward.recover(desk, snapshot, document)
        seen = observing.observed(desk.config, document, run.store, run.now)
        rules = replace(policy(desk.config, inf), on_removal="complete")
        decided = plan.make(seen, rules, keys())
        links = {link.key: link for link in seen.links}
        read = [
            links[row.key].but(seen=row.seen, section=row.section, rank=row.rank, absent_since=None)
            for row in decided.rows
            if not row.is_absent
        ]
        if read and not decided.removal.drastic:  # else this may be another list
            _forget_settled(run.store)
            with run.store.transaction(durable=False):
                run.store.put_links(read)


class _Asked(NamedTuple):
    """By which rules a cycle is to decide, and what it is allowed; see ``cycle``."""

    rules: plan.Policy
    allow: bool
    yes: bool


def _nothing_to_do(desk: Desk, snapshot: Snapshot, now: float) -> Settled | None:
    """Return what was settled last if the bytes are the same and nothing is due."""
    settled = desk.store.note(Settled)
    if settled is None or reading.is_owed(desk):
        return None
    holds = settled.holds(snapshot.digest, desk.setting, now, settled.look_at)
    return settled if holds else None


async def _push(run: Run, document: Document, snapshot: Snapshot, asked: _Asked) -> Plan:
    """Bring the server to what the file says."""
    await _resolve(run)
    seen = observing.observed(run.desk.config, document, run.store, run.now)
    decided = plan.make(seen, asked.rules, keys())
    guards.removals(run, decided, snapshot, allow=asked.allow)
    decided = await _looked(run, seen, decided, asked)
    await _carried_out(run, decided)
    return decided


async def _looked(run: Run, seen: plan.Observation, decided: Plan, asked: _Asked) -> Plan:
    """Return the plan after a look at the server, if anything hangs on what is there."""
    rules = asked.rules
    run.planned = len(decided.requests)
    if decided.creates:
        run.linked = run.store.remote_ids()
    unproven = bool(decided.unproven) and not run.only_creates
    if not (decided.creates or unproven):
        return decided
    if run.shut("write"):
        run.blind = True  # the gate may open before the creates leave, which nobody looked for
        run.wait_for("write")
        return decided
    unread = replace(seen, unlinked=(), read_whole=True)  # each item is asked for by itself
    if unproven and run.shut("read"):
        seen, unproven = unread, False
        decided = plan.make(seen, rules, keys())
        if not decided.creates:
            return decided
    found = await _before_creates(run, decided, whole=unproven, yes=asked.yes)
    if found is None:
        return plan.make(unread, rules, keys()) if unproven else decided
    if found.items or unproven:
        whole = found.whole or seen.read_whole
        return plan.make(replace(seen, unlinked=found.items, read_whole=whole), rules, keys())
    return decided


async def _carried_out(run: Run, decided: Plan) -> None:
    """Do what a plan says, but for the file."""
    _forget_settled(run.store)
    _keep_house(run, decided)
    await sending.apply(run, decided)
    _remember_places(run, decided)
    run.remarks += remarks.strays(run, decided)


async def _two_way(
    run: Run, listing: Listing | None, asked: _Asked
) -> tuple[Snapshot, Document, Plan]:
    """Bring the file to what Omi says, and Omi to what the file says, from one look at both.

    The list was read first: the file may change at any moment, and is read,
    decided on and replaced without anything slow in between. Without a list
    nothing is done but to create.

    Raises:
        OmisyncError: one of the two cannot be read, or the plan is refused.
    """
    snapshot, document, decided = await _written(run, listing, asked)
    decided = replace(decided, tasks=len(document.entries))
    await _carried_out(run, decided)
    if listing is not None:
        news = bool(decided.local) or any(isinstance(op, plan.Probe) for op in decided.ops)
        reading.pace(run.desk, news=news)
        if not run.troubles and not any(op.differs for op in decided.adoptions):
            reading.paid(run.desk)
        if not run.unwritable:
            _acquainted(run)
        named = (*NAMED, "task.changed") if _lost_ids(decided) else NAMED
        run.again |= asked.rules.ids and any(run.counts[event] for event in named)
    run.remarks += remarks.left(run, decided)
    return snapshot, document, decided


def _lost_ids(decided: Plan) -> bool:
    """Return whether a line was edited without the id that it had: it gets that again."""
    changes = [op for op in decided.ops if isinstance(op, plan.ChangeRemote)]
    return any(
        op.entry.explicit_id != op.link.remote_id and WRITABLE_ID.fullmatch(op.link.remote_id or "")
        for op in changes
    )


async def _written(
    run: Run, listing: Listing | None, asked: _Asked
) -> tuple[Snapshot, Document, Plan]:
    """Write what a plan says into the file, deciding anew each time it is saved meanwhile.

    Return the file as it then is, and the plan; raises as ``_two_way`` does.
    """
    attempts = 0
    while True:
        try:
            return await _attempt(run, listing, asked)
        except FileChanged as error:
            attempts += 1
            if attempts == ATTEMPTS:
                reading.owe(run.desk, error)
                raise


async def _attempt(
    run: Run, listing: Listing | None, asked: _Asked
) -> tuple[Snapshot, Document, Plan]:
    """Read the file, decide and write; raises ``FileChanged`` where a save came in between."""
    desk, path, rules = run.desk, run.desk.config.todo_path, asked.rules
    await inward.quiet(path, desk.config.watch.settle)
    snapshot = file.read(path)
    document = formats.parsed(desk.config, snapshot)
    owner.bind(desk)
    inward.recover(desk, snapshot, document)
    seen = observing.observed(desk.config, document, run.store, run.now)
    if listing is not None:
        seen = observing.met(seen, listing)
    decided = plan.make(seen, rules, keys())
    guards.removals(run, decided, snapshot, allow=asked.allow)
    if listing is None:
        decided = await _looked(run, seen, decided, asked)
        reading.note_held_back(run, decided)
        _forget_settled(run.store)
        inward.record_clashes(run, decided)
        return snapshot, document, decided
    guards.arrivals(run, decided, allow=asked.allow, yes=asked.yes)
    run.linked = run.store.remote_ids()
    if decided.creates and not run.linked:
        if not asked.yes:
            looks.check_whole(run, listing)
        reading.keep_first(desk, _wanted(decided), listing)
    fitted = fitting.fit(desk.config, document, seen, decided, rules)
    _forget_settled(run.store)
    snapshot, document = await inward.write(run, snapshot, document, fitted)
    if not run.unwritable:
        return snapshot, document, fitted.plan
    decided = fitting.unwritten(fitted, seen, rules)
    inward.record_clashes(run, decided)
    return snapshot, document, decided


def _acquainted(run: Run) -> None:
    """Note that the file and the account have met: from now on, what is new comes in unasked."""
    if run.store.fact("met") is None:
        with run.store.transaction():
            run.store.put_fact("met", True)


async def _resolve(run: Run) -> None:
    """Settle the creates of unknown outcome, as far as it is time to."""
    intents = run.store.intents()
    if not intents:
        return
    links = run.store.links()
    run.linked = run.store.remote_ids()
    try:
        await owner.check_account(run)
        await unknown.resolve(run, intents, links)
    except (KeyProblem, WrongServer, StoreBusy, StoreUnusable):
        raise
    except OmisyncError as error:
        run.trouble(error)


def _wanted(decided: Plan) -> set[str]:
    """Return what Omi would be asked to create."""
    return {op.fields.description for op in decided.ops if isinstance(op, plan.AddRemote)}


async def _before_creates(
    run: Run, decided: Plan, *, whole: bool, yes: bool
) -> looks.Unlinked | None:
    """Read the server before anything is created; without that, create nothing now."""
    named = any(isinstance(op, plan.AddRemote) and op.entry.explicit_id for op in decided.ops)
    try:
        await owner.check_account(run)
        return await looks.before_creates(run, _wanted(decided), whole=whole or named, yes=yes)
    except (KeyProblem, WrongServer, Unreachable, StoreBusy, StoreUnusable):
        raise
    except OmisyncError as error:
        run.trouble(error)
        run.blind = True
        return None


def _forget_settled(store: Store) -> None:
    """Withdraw the note that some bytes need nothing more, before anything is done.

    A run that is cut short half-way and an edit that is undone would otherwise
    meet in a file that looks settled while the server has the edit.
    """
    if store.note(Settled) is not None:
        with store.transaction(durable=False):  # no request leaves before one that is
            store.drop_note(Settled)


def _keep_house(run: Run, decided: Plan) -> None:
    """Write what needs no request: moved lines, silent removals, adoptions."""
    busy = {op.link.key for op in decided.ops}
    rows = [link for link in decided.rows if link.key not in busy]
    if rows or decided.dropped or decided.buried:
        with run.store.transaction():
            run.store.put_links(rows)
            run.store.drop_links(decided.dropped)
            run.store.put_tombstones(decided.buried)
            run.store.record(
                *(
                    Event(run.now, "task.archived", s.task.text, s.key, s.remote_id, s.how)
                    for s in decided.buried
                    if s.how != TWIN  # told when it is gone from Omi
                )
            )
    back = [op for op in decided.ops if isinstance(op, plan.Revive) and op.is_silent]
    if back:
        run.settle("task.revived", *(_tied_again(op) for op in back))
    if adopted := decided.adoptions:
        run.settle("task.adopted", *(op.link for op in adopted))
        # What the line says differently is a change, and that is the next plan's.
        run.again |= any(op.differs for op in adopted)


def _tied_again(op: plan.Revive) -> Link:
    """Return the link of a line that came back to an item which is as it was left."""
    base = op.link.base
    return op.link if base is None else op.link.but(base=Base(op.entry.task, base.remote))


def _remember_places(run: Run, decided: Plan) -> None:
    """Write what was seen of lines whose op was not reached, for the next matching.

    A line reworded twice during an outage is recognised by its second wording.
    """
    busy = {op.link.key for op in decided.ops}
    stale = [link for link in decided.rows if link.key in busy and link.key not in run.written]
    if stale:
        with run.store.transaction():
            run.store.put_links(stale)
