"""One cycle, in order: observe, resolve, decide, look, apply, settle."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from omisync import errors, file
from omisync.core import markdown, plan, toml
from omisync.errors import (
    GuardStopped,
    KeyProblem,
    OmisyncError,
    ParseError,
    RateLimited,
    StoreBusy,
    StoreUnusable,
    Unreachable,
    WrongServer,
)
from omisync.store import Event
from omisync.sync import changes, creates, looks
from omisync.sync.desk import Outcome, Run, keys, policy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from omisync.config import Config
    from omisync.core.model import Document, Link, RemoteItem
    from omisync.core.plan import Op, Plan
    from omisync.file import Snapshot
    from omisync.store import Store
    from omisync.sync.desk import Desk

    Unit = Callable[[], Awaitable[list["Unit"]]]

HANDS = 4
"""Requests under way at once: enough to hide the latency, few enough for a small server."""
BAD_LUCK = 3
"""Writes without a usable answer, none with one, after which a cycle stops trying."""


async def cycle(desk: Desk, *, grace: float = 0.0, allow_removals: bool = False) -> Outcome:
    """Bring the server to what the file says, as far as it goes now.

    ``grace`` is in seconds. ``allow_removals`` lets the removals pass that were
    refused last, if they are still the same. Every expected error is in the
    outcome; what is settled stays settled.

    Raises:
        StoreUnusable: the store itself cannot be read or written any more.
        StoreBusy: the disk is full, or another process holds the store.
    """
    run = Run(desk, desk.clock())
    document: Document | None = None
    try:
        looks.check_binding(desk)
        snapshot = file.read(desk.config.todo_path)
        former = _nothing_to_do(desk, snapshot, run.now)
        if former is not None:
            return _still(run, former)
        run.gates = desk.store.gates()
        document = parsed(desk.config, snapshot)
        decided = await _cycle(run, document, snapshot, grace=grace, allow=allow_removals)
    except (StoreBusy, StoreUnusable):
        raise
    except OmisyncError as error:
        run.trouble(error)
        return _left(run, _outcome(run, document, None))
    outcome = _left(run, _outcome(run, document, decided))
    _remember_settled(desk, snapshot, outcome)
    return outcome


def _nothing_to_do(desk: Desk, snapshot: Snapshot, now: float) -> Outcome | None:
    """Return the former outcome if the bytes are the same and nothing is due."""
    settled = desk.store.fact("settled")
    if not isinstance(settled, dict):
        return None
    same = settled["digest"] == snapshot.digest and settled["setting"] == desk.setting
    look_at = settled["look_at"]
    if not same or (look_at is not None and now >= look_at) or now < settled["at"]:
        return None
    return Outcome(
        settled["code"],
        look_at=look_at,
        tasks=settled["tasks"],
        parked_before=settled["parked"],
        idle=True,
    )


def _still(run: Run, former: Outcome) -> Outcome:
    """Return the outcome of an idle cycle; it writes only if the last one went otherwise."""
    last = run.store.fact("last")
    if isinstance(last, dict) and last["code"] == former.code:
        return former
    with run.store.transaction():
        run.store.put_fact("refused", None)
    return _left(run, former)


def _remember_settled(desk: Desk, snapshot: Snapshot, outcome: Outcome) -> None:
    """Note that these bytes need nothing more, so that the next run can end at once."""
    settled = None
    clean = outcome.code in {errors.OK, errors.PARKED} and not outcome.again
    if clean and outcome.plan is not None and not outcome.plan.waiting:
        settled = {
            "digest": snapshot.digest,
            "signature": list(snapshot.signature),
            "at": desk.clock(),
            "setting": desk.setting,
            "code": outcome.code,
            "tasks": outcome.tasks,
            "parked": len(outcome.parked),
            "look_at": outcome.look_at,
        }
    if settled is not None or desk.store.fact("settled") is not None:
        with desk.store.transaction():
            desk.store.put_fact("settled", settled)


def parsed(config: Config, snapshot: Snapshot) -> Document:
    """Return the file's tasks.

    Raises:
        ParseError: it is TOML and broken.
    """
    if config.todo_path.suffix.lower() == ".toml":
        try:
            return toml.parse(snapshot.data)
        except ParseError as error:
            place = f"{config.todo_path}:{error.line}:{error.column}"
            advice = error.advice or "correct that line; until then nothing is sent"
            raise ParseError(
                f"{place}: {error.message}", error.line, error.column, advice
            ) from None
    marks = markdown.Marks(config.todo.done_marks, config.todo.open_marks)
    return markdown.parse(snapshot.data, marks)


def preview(config: Config, store: Store | None, now: float) -> tuple[Document, Plan]:
    """Return what the next cycle would do, asking nobody and changing nothing.

    Raises:
        OmisyncError: the file or the store cannot be used.
    """
    if store is not None:
        looks.check_bound(store, config)
    document = parsed(config, file.read(config.todo_path))
    if store is None:
        seen = plan.Observation(document.entries, (), now, blank=_is_blank(document))
    else:
        seen = _observed(document, store, now)
    return document, plan.make(seen, policy(config, 0.0), keys())


def _observed(
    document: Document, store: Store, now: float, unlinked: list[RemoteItem] | None = None
) -> plan.Observation:
    return plan.Observation(
        entries=document.entries,
        links=store.links(),
        now=now,
        tombstones=store.tombstones(now),
        pending={intent.key for intent in store.intents()},
        unlinked=unlinked,
        blank=_is_blank(document),
    )


def _is_blank(document: Document) -> bool:
    return not document.source.removeprefix(b"\xef\xbb\xbf").strip(b"\x00 \t\r\n")


async def _cycle(
    run: Run, document: Document, snapshot: Snapshot, *, grace: float, allow: bool
) -> Plan:
    rules = policy(run.desk.config, grace)
    await _resolve(run)
    seen = _observed(document, run.store, run.now)
    run.linked = {link.remote_id for link in seen.links}
    decided = plan.make(seen, rules, keys())
    _guard(run, decided, snapshot, allow=allow)
    run.planned = _writes(decided)
    if decided.creates and not run.shut("write"):  # else nothing is created, so nothing is read
        unlinked = await _before_creates(run, decided, seen)
        if unlinked:
            decided = plan.make(replace(seen, unlinked=unlinked), rules, keys())
    _forget_settled(run.store)
    _keep_house(run, decided)
    await _apply(run, decided)
    _remember_places(run, decided)
    return decided


async def _resolve(run: Run) -> None:
    """Settle the creates of unknown outcome, as far as it is time to."""
    intents = run.store.intents()
    if not intents:
        return
    links = run.store.links()
    run.linked = {link.remote_id for link in links}
    try:
        await looks.check_account(run, links)
        await creates.resolve(run, intents, links)
    except (KeyProblem, WrongServer, StoreBusy, StoreUnusable):
        raise
    except OmisyncError as error:
        run.trouble(error)


def _guard(run: Run, decided: Plan, snapshot: Snapshot, *, allow: bool) -> None:
    """Refuse a plan that removes too much, whole.

    Raises:
        GuardStopped: nothing of it is done.
    """
    removal = decided.removal
    numbers = [snapshot.digest, removal.count, removal.total]
    refused = run.store.fact("refused")
    if removal.drastic and allow and refused == numbers:
        with run.store.transaction():
            run.store.put_fact("allowed", snapshot.digest)
    if not removal.drastic or run.store.fact("allowed") == snapshot.digest:
        # What was allowed stays allowed while the file is the same: an outage or
        # a limit may cut the removals into several cycles.
        run.counted_removals = not removal.drastic
        if refused is not None:
            with run.store.transaction():
                run.store.put_fact("refused", None)
        return
    if refused != numbers:  # once, not with every look at the same file
        detail = f"{removal.count} of {removal.total} removals"
        with run.store.transaction():
            run.store.put_fact("refused", numbers)
            run.store.put_fact("allowed", None)
            run.store.record(Event(run.now, "guard.stopped", detail=detail))
    path = run.desk.config.todo_path
    raise GuardStopped(
        f"{path} lost {removal.count} of {removal.total} tasks that are open in Omi"
        + (f" ({removal.recent} more within the last hour)" if removal.recent else "")
        + "; nothing was sent",
        "If the file is wrong, bring it back and all is well. If you meant it, run"
        " `omisync --once --allow-removals`.",
    )


async def _before_creates(
    run: Run, decided: Plan, seen: plan.Observation
) -> list[RemoteItem] | None:
    """Read the server before anything is created; without that, create nothing now."""
    named = any(isinstance(op, plan.AddRemote) and op.entry.explicit_id for op in decided.ops)
    try:
        await looks.check_account(run, seen.links)
        return await looks.before_creates(run, seen.links, whole=named)
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
    if store.fact("settled") is not None:
        with store.transaction():
            store.put_fact("settled", None)


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
                )
            )
    adopted = [op for op in decided.ops if isinstance(op, plan.Adopt)]
    if adopted:
        run.settle("task.adopted", *(op.link for op in adopted))
        # What the line says differently is a change, and that is the next plan's.
        run.again = any(op.link.base and op.link.base.local != op.entry.task for op in adopted)


async def _apply(run: Run, decided: Plan) -> None:
    """Send what the plan says, the first write alone, then a few at a time."""
    queue = deque(_units(run, decided))
    run.planned = _writes(decided)
    if not queue:
        return
    if any(not isinstance(op, plan.Adopt) and not _is_silent(op) for op in decided.ops):
        await looks.check_account(run, run.store.links())
    while queue and not run.halt and (not run.wrote or run.careful()):
        await _work(run, queue)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(HANDS):
                group.create_task(_worker(run, queue))
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None


def _writes(decided: Plan) -> int:
    return sum(not isinstance(op, plan.Adopt) for op in decided.ops)


def _is_silent(op: Op) -> bool:
    return isinstance(op, plan.Revive) and not op.patch


def _units(run: Run, decided: Plan) -> list[Unit]:
    """Return the requests to make, those that failed before last."""
    adds = [] if run.blind else [op for op in decided.ops if isinstance(op, plan.AddRemote)]
    others = [op for op in decided.ops if not isinstance(op, plan.AddRemote | plan.Adopt)]
    others.sort(key=lambda op: op.link.failures)
    return [
        *(partial(_create, run, group) for group in plan.grouped(adds)),
        *(partial(_one, run, op) for op in others),
    ]


async def _create(run: Run, group: list[plan.AddRemote]) -> list[Unit]:
    return [partial(_create, run, rest) for rest in await creates.send(run, group)]


async def _one(run: Run, op: Op) -> list[Unit]:
    match op:
        case plan.ChangeRemote():
            await changes.change(run, op)
        case plan.Revive():
            await changes.revive(run, op)
        case plan.RemoveRemote():
            await changes.remove(run, op)
    return []


async def _worker(run: Run, queue: deque[Unit]) -> None:
    while queue and not run.halt:
        await _work(run, queue)


async def _work(run: Run, queue: deque[Unit]) -> None:
    """Do the next unit; an error about the whole account or line ends the cycle's requests."""
    unit = queue.popleft()
    if run.desk.hurry:
        run.halt = run.again = True
        return
    if run.shut("write"):
        run.halt = True
        run.wait_for("write")
        return
    try:
        queue.extendleft(reversed(await unit()))
    except (RateLimited, Unreachable, KeyProblem, WrongServer) as error:
        run.halt = True
        run.trouble(error)
    if run.unlucky >= BAD_LUCK:
        run.halt = True


def _remember_places(run: Run, decided: Plan) -> None:
    """Write what was seen of lines whose op was not reached, for the next matching.

    A line reworded twice during an outage is recognised by its second wording.
    """
    busy = {op.link.key for op in decided.ops}
    stale = [link for link in decided.rows if link.key in busy and link.key not in run.written]
    if stale:
        with run.store.transaction():
            run.store.put_links(stale)


def _outcome(run: Run, document: Document | None, decided: Plan | None) -> Outcome:
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
        notices=document.notices if document is not None else (),
        parked=tuple(parked.values()),
        waiting=waiting,
        tasks=decided.tasks if decided is not None else None,
        retry_at=run.retry_at,
        look_at=min(look_at, default=None),
        again=run.again and (run.desk.hurry or not run.halt),
        progress=bool(+run.counts),
    )


def _left(run: Run, outcome: Outcome) -> Outcome:
    """Write what ``omisync status`` tells, and return the outcome."""
    store, now = run.store, run.desk.clock()
    last = store.fact("last")
    former = last if isinstance(last, dict) else {}
    well = outcome.code in {errors.OK, errors.PARKED}
    with store.transaction():
        store.put_fact(
            "last",
            {
                "at": now,
                "code": outcome.code,
                "tasks": outcome.tasks if outcome.tasks is not None else former.get("tasks"),
                "waiting": outcome.waiting,
                "retry_at": outcome.retry_at if outcome.code == errors.TEMPORARY else None,
                "success_at": now if well else former.get("success_at"),
                "failing_since": None if well else former.get("failing_since") or now,
                "troubles": [[error.message, error.advice] for error in outcome.troubles],
                "guarded": any(isinstance(error, GuardStopped) for error in outcome.troubles),
            },
        )
    return outcome
