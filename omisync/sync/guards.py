"""Refuse a plan whole, before anything of it is done, where only a person can know better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.errors import GuardStopped, ImportStopped
from omisync.store import Event
from omisync.store.notes import Allowance, AllowedDeparture, Refusal, RefusedDeparture
from omisync.sync.desk import HOUR

if TYPE_CHECKING:
    from omisync.config import Config
    from omisync.core.plan import Plan, Removal
    from omisync.file import Snapshot
    from omisync.store import Store
    from omisync.sync.desk import Run

FLOOD = 25
"""Lines that a first meeting may bring into the file without asking."""


def removals(run: Run, decided: Plan, snapshot: Snapshot, *, allow: bool) -> None:
    """Refuse a plan that removes too much, whole.

    Raises:
        GuardStopped: nothing of it is done.
    """
    removal = decided.removal
    version = _version(run.desk.config, snapshot.digest)
    refusal = Refusal(version, removal.count, removal.remaining)
    former = run.store.note(Refusal)
    if removal.drastic and allow and former == refusal:
        with run.store.transaction():
            run.store.put_note(Allowance(version, removal.count))
    allowed = _still_allowed(run.store, removal, version)
    if allowed or not removal.drastic:
        run.counted_removals = not removal.drastic
        if former is not None:
            with run.store.transaction():
                run.store.drop_note(Refusal)
        return
    if former != refusal:  # once, not with every look at the same file
        detail = f"the removal guard: {removal.count} of {removal.remaining} tasks"
        with run.store.transaction():
            run.store.put_note(refusal)
            run.store.record(Event(run.now, "guard.stopped", detail=detail))
    path = run.desk.config.todo_path
    again = ""
    if allow:  # what it was meant for was another version of the file, or nothing
        again = " again: it allows what was refused last, and this had not been refused before"
    raise GuardStopped(
        f"{path} lost {removal.share}{removal.lately}; nothing was sent",
        "If the file is wrong, bring it back and all is well. If you meant it (`omisync --dry-run`"
        f" shows which tasks), run `omisync --once --allow-removals`{again}.",
    )


def is_refused(store: Store | None, config: Config, digest: str, decided: Plan) -> bool:
    """Return whether what the guards stop of this plan was refused before: it can be allowed."""
    if store is None:
        return False
    removal, departure = decided.removal, decided.departure
    if removal.drastic:
        refusal = Refusal(_version(config, digest), removal.count, removal.remaining)
        return store.note(Refusal) == refusal
    refused = RefusedDeparture(departure.count, departure.total)
    return departure.drastic and store.note(RefusedDeparture) == refused


def _version(config: Config, digest: str) -> str:
    """Return what stands for the file, and for a removal that cannot be taken back."""
    deletes = config.sync.on_removal == "delete"
    return f"{digest} delete" if deletes else digest


def _still_allowed(store: Store, removal: Removal, version: str) -> bool:
    """Return whether these removals were allowed, and forget what was allowed of another file.

    An outage or a limit may cut them into several cycles: as many as were allowed may
    pass while the file is the same.
    """
    allowed = store.note(Allowance)
    if allowed is None:
        return False
    if allowed.version == version:
        return removal.count <= allowed.count
    with store.transaction():
        store.drop_note(Allowance)
    return False


def arrivals(run: Run, decided: Plan, *, allow: bool, yes: bool) -> None:
    """Refuse a plan that empties the file, or floods it at the first meeting.

    Raises:
        GuardStopped: too many items are gone at once.
        ImportStopped: a person has to agree first.
    """
    departure = decided.departure
    if not departure.drastic and run.store.note(RefusedDeparture) is not None:
        with run.store.transaction():
            run.store.drop_note(RefusedDeparture)
    if departure.drastic and not _is_allowed(run, departure, allow=allow):
        raise GuardStopped(
            f"Omi lacks {departure.count} of {departure.remaining} open tasks of"
            f" {run.desk.config.todo_path}{departure.lately}; nothing was changed",
            "If that is wrong, nothing is lost: try again later. If you deleted them, run"
            " `omisync --once --allow-removals`.",
        )
    new = decided.arrivals
    if floods(run.store, decided) and not yes:
        run.stopped = decided
        raise ImportStopped(
            f"Omi has {new} tasks that are not in {run.desk.config.todo_path}; nothing was written",
            "Run `omisync --once --yes` to bring them in; `omisync --dry-run` shows them. With"
            ' sync.import_since or import_items = "linked" fewer or none come in.',
            new,
        )


def floods(store: Store | None, decided: Plan) -> bool:
    """Return whether a plan is a first meeting that brings in more than is written unasked."""
    return decided.arrivals > FLOOD and (store is None or store.fact("met") is None)


def _is_allowed(run: Run, departure: Removal, *, allow: bool) -> bool:
    """Return whether lines may go that the guard stopped, and note what it stops."""
    former, allowed = run.store.note(RefusedDeparture), run.store.note(AllowedDeparture)
    refusal = RefusedDeparture(departure.count, departure.total)
    going = departure.count + departure.recent
    if allow and former == refusal:
        allowed = AllowedDeparture(count=going, until=run.now + HOUR)
        with run.store.transaction():
            run.store.put_note(allowed)
            run.store.drop_note(RefusedDeparture)
    if allowed is not None and run.now < allowed.until and going <= allowed.count:
        return True
    if former != refusal:
        detail = f"the removal guard: {departure.count} of {departure.total} lines"
        with run.store.transaction():
            run.store.put_note(refusal)
            run.store.record(Event(run.now, "guard.stopped", detail=detail))
    return False
