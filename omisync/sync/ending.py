"""The outcome of a cycle, and what the store keeps of it for the next one and for status."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from omisync import errors
from omisync.core import remains
from omisync.errors import GuardStopped, NoRoom, StoreBusy, StoreUnusable
from omisync.store.notes import LastRun, Refusal, RefusedDeparture, Settled
from omisync.store.schema import VERSION
from omisync.sync import reading
from omisync.sync.desk import Outcome

if TYPE_CHECKING:
    from omisync.core.model import Document, Link, Notice
    from omisync.core.plan import Plan
    from omisync.errors import OmisyncError
    from omisync.file import Snapshot
    from omisync.sync.desk import Desk, Run

REMARKS = 20
"""That many of a cycle are kept for status."""
UNKEPT = (NoRoom, StoreBusy, StoreUnusable)
"""Troubles with the disk or the store, after which nothing more is written to it."""


def outcome(run: Run, document: Document | None, decided: Plan | None) -> Outcome:
    """Return the outcome of a cycle; ``decided`` is None where it did not get to a plan."""
    parked: dict[str, Link] = {}
    look_at: list[float] = []
    if decided is not None:
        parked = {link.key: link for link, _ in decided.parked}
        look_at = [decided.grace_ends] if decided.grace_ends is not None else []
    parked |= {link.key: link for link in run.parked}
    look_at += [
        link.parked.retry_at
        for link in parked.values()
        if link.parked is not None and link.parked.retry_at is not None
    ]
    run.due_at = min(look_at, default=None)
    listed_at = reading.next_at(run.desk)
    if listed_at is not None and (decided is not None or run.listed):
        look_at.append(listed_at)
    intents = run.store.intents()
    planned = {op.link.key for op in decided.ops} if decided else set()
    unsure = sum(intent.key not in planned for intent in intents)
    waiting = max(0, run.planned - run.done) + unsure
    code = errors.worst(
        *(error.exit_code for error in run.troubles),
        errors.PARKED if parked else errors.OK,
        errors.TEMPORARY if waiting or run.again else errors.OK,
    )
    return Outcome(
        code=code,
        plan=decided,
        counts=+run.counts,
        troubles=tuple(run.troubles),
        remarks=tuple(run.remarks),
        notices=notices(document, decided),
        parked=tuple(parked.values()),
        failed=tuple(run.failed.values()),
        waiting=waiting,
        tasks=decided.tasks if decided is not None else None,
        retry_at=run.retry_at,
        look_at=min(look_at, default=None),
        again=run.again and (run.desk.hurry or not run.halt),
        progress=bool(+run.counts),
    )


def notices(document: Document | None, decided: Plan | None) -> tuple[Notice, ...]:
    """Return what is to be said of lines of the file, and of the tasks that it lost."""
    said = document.notices if document is not None else ()
    lost = remains.notices(document, decided) if document and decided else ()
    return tuple(sorted((*said, *lost), key=lambda notice: notice.line))


def record_outcome(desk: Desk, outcome: Outcome) -> Outcome:
    """Write what ``omisync status`` tells, and return the outcome.

    It waits for the disk, and so makes durable what the cycle settled.
    """
    store, now = desk.store, desk.clock()
    former = store.note(LastRun) or LastRun()
    well = outcome.code in errors.WELL
    # Holding back is no failure; whoever is told of those that last is not told of it.
    paced = {type(error) for error in outcome.troubles} == {errors.ListUnread}
    since = former.failing_since or (None if paced else now)
    since = since and min(since, now)  # the clock may have been set back
    troubles = tuple((error.message, error.advice) for error in outcome.troubles)
    kinds = tuple(type(error).__name__ for error in outcome.troubles)
    if not troubles and outcome.code == former.code == errors.TEMPORARY and store.intents():
        troubles, kinds = former.troubles, former.kinds  # a create without an answer is looked for
    remarks = tuple(dict.fromkeys((*desk.remarks, *outcome.remarks)))
    desk.remarks = remarks if outcome.again else ()
    with store.transaction():
        if store.fact("anew") is not None:
            store.put_fact("anew", None)
        store.put_note(
            LastRun(
                at=now,
                code=outcome.code,
                tasks=outcome.tasks if outcome.tasks is not None else former.tasks,
                waiting=outcome.waiting,
                retry_at=outcome.retry_at if outcome.code == errors.TEMPORARY else None,
                success_at=now if well else former.success_at,
                failing_since=None if well else since,
                troubles=troubles,
                kinds=kinds,
                guarded=any(isinstance(error, GuardStopped) for error in outcome.troubles),
                remarks=remarks[:REMARKS],
            )
        )
    return outcome


def note_next_try(desk: Desk, outcome: Outcome, at: float) -> None:
    """Note when the daemon tries again (Unix seconds): ``omisync status`` tells.

    Not where the store is what failed: to wait for it would hold the daemon up.
    """
    last = desk.store.note(LastRun)
    kept = not any(isinstance(error, UNKEPT) for error in outcome.troubles)
    # Another server that may be Omi's again is one for the daemon, too.
    if kept and last is not None and last.code in {outcome.code, errors.WRONG_SERVER}:
        with desk.store.transaction(durable=False):
            desk.store.put_note(replace(last, next_at=at))


def failed_after(desk: Desk, outcome: Outcome, error: OmisyncError) -> Outcome:
    """Return the outcome of a cycle after which something wrong was found; it is written down."""
    return record_outcome(desk, replace(outcome, code=error.exit_code, troubles=(error,)))


def idle_outcome(run: Run, settled: Settled) -> Outcome:
    """Return the outcome of an idle cycle; it writes only if the last one went otherwise."""
    idle = Outcome(
        settled.code,
        look_at=settled.look_at,
        tasks=settled.tasks,
        still_parked=run.store.parked() if settled.parked else (),
        idle=True,
    )
    if settled.format != VERSION:  # by another omisync: so that a glance is enough again
        with run.store.transaction(durable=False):
            run.store.put_note(replace(settled, format=VERSION))
    last = run.store.note(LastRun)
    if last is None or last.code != idle.code:
        with run.store.transaction():
            run.store.drop_note(Refusal)
            run.store.drop_note(RefusedDeparture)
        told = tuple(settled.remarks)
        record_outcome(run.desk, replace(idle, remarks=told))  # status tells it again
    return idle


def unchanged_listing(run: Run, snapshot: Snapshot) -> Outcome | None:
    """Return the outcome of a cycle whose list is as it was, and the file too; else None.

    Only the time of the next listing changes.
    """
    desk = run.desk
    settled = desk.store.note(Settled)
    if settled is None or run.listing_digest is None:
        return None
    holds = settled.holds(snapshot.digest, desk.setting, run.now, settled.due_at)
    if not holds or settled.listing != run.listing_digest:
        return None
    reading.pace(desk, news=False)
    reading.paid(desk)
    times = [at for at in (settled.due_at, reading.next_at(desk)) if at is not None]
    settled = replace(settled, at=run.now, look_at=min(times, default=None))
    with desk.store.transaction():
        desk.store.put_note(settled)
    return idle_outcome(run, settled)


def remember_settled(run: Run, snapshot: Snapshot, outcome: Outcome) -> None:
    """Note that these bytes need nothing more, so that the next run can end at once."""
    desk, decided = run.desk, outcome.plan
    last = desk.store.note(LastRun)
    clean = outcome.code in errors.WELL and not outcome.again
    if not clean or decided is None or decided.waiting:
        return  # the former note was withdrawn before anything was done
    settled = Settled(
        digest=snapshot.digest,
        signature=[*snapshot.signature],
        at=run.now,  # before the file was read: a save since then may have the same times
        setting=desk.setting,
        code=outcome.code,
        tasks=outcome.tasks,
        parked=len(outcome.parked),
        look_at=outcome.look_at,
        remarks=last.remarks if last is not None else (),
        format=VERSION,
    )
    if not (decided.ops or decided.rows or decided.later):
        settled = replace(settled, listing=run.listing_digest, due_at=run.due_at)
    with desk.store.transaction(durable=False):
        desk.store.put_note(settled)
