"""Two-way: what happened in Omi is written into the file, and settled with it.

Rule: before the file is replaced, the links that will hold are written down with
the digests of both versions. Whatever stops the program, the next cycle knows
from the file which of the two holds. A save of the person always wins: the
cycle decides anew from it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from omisync import file
from omisync.core import order
from omisync.core.model import GONE, LET_GO, Tombstone
from omisync.core.plan import ChangeLocal, RemoveLocal, buried
from omisync.errors import FileChanged, FileUnusable, OmisyncError, Strained
from omisync.store import Event, Writing, notes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from omisync.core.model import Document, Link, Notice, Task
    from omisync.core.plan import Plan
    from omisync.file import Snapshot
    from omisync.store import Store
    from omisync.sync.desk import Desk, Run
    from omisync.sync.fitting import Fitted

LATE = 0.05
"""Seconds after a replacement in which a save to the former file may still arrive."""
VERSIONS = 20
"""Versions of the file that are kept: as many writes can be undone."""
QUIET = 2.0
"""Seconds that a file which is saved all the time is waited for before each attempt."""


def copies_folder(store_path: Path) -> Path:
    """Return where the former versions of the file are kept, beside the store."""
    return store_path.with_name(f"{store_path.name}.copies")


def recover(desk: Desk, snapshot: Snapshot, document: Document) -> None:
    """Settle a write of the file that was cut short, if it was made.

    If it was not, the copy that was kept for it goes: it is what the file still says.
    """
    store = desk.store
    noted = store.writing()
    if noted is None:
        return
    if snapshot.digest == noted.before:
        holds = False
    elif snapshot.digest == noted.after:
        holds = True
    else:
        # Somebody saved meanwhile. In doubt the write counts as not made: what is the
        # same on both sides by then settles without a word, what is not, clashes.
        holds = _shows(document, store.links(), noted)
    if not holds:
        withdraw(desk, noted)
        return
    if noted.undoes:
        settle_undo(desk, noted)
        return
    holders = {link.remote_id: link.key for link in store.links()}
    with store.transaction():
        store.put_links(
            # A version before this one could tie the item to a line by `repair` meanwhile.
            link
            for link in noted.links
            if link.remote_id is None or holders.get(link.remote_id, link.key) == link.key
        )
        store.drop_links(noted.gone)
        remember(store, noted)
    drop_copies(desk)


def _shows(document: Document, links: Sequence[Link], noted: Writing) -> bool:
    """Return whether more lines are as the write made them than as they were before it.

    Only lines that are the same to the letter count: a line that is merely like what was
    to be written may be the person's own, and would then read as an edit of it.
    """
    said = {entry.task for entry in document.entries}
    former = {link.key: link.seen for link in links if link.key not in noted.added}
    made = before = 0
    for link in noted.links:  # those that did not change count on both sides
        made += link.seen in said
        before += former.get(link.key) in said
    for key in noted.gone:
        made += former.get(key) not in said
        before += former.get(key) in said
    return made > before


async def quiet(path: Path, settle: float) -> None:
    """Wait until the file was left alone for ``settle`` seconds, a while at most."""
    deadline = time.monotonic() + QUIET
    seen = file.signature(path)
    while seen is not None and time.monotonic() < deadline:
        left = seen.mtime_ns / 1e9 + settle - time.time()
        if not 0 < left <= settle:  # it is older, or dated by another clock
            return
        await asyncio.sleep(min(left, QUIET))
        now = file.signature(path)
        if now == seen:
            return
        seen = now


@dataclass(slots=True)
class _Rewritten:
    """What holds once the file says what it was asked: rows, keys that go, their tombstones.

    ``former`` is what changed lines said.
    """

    rows: list[Link] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    stones: list[Tombstone] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    former: dict[str, tuple[str, bool, str | None]] = field(default_factory=dict)


async def write(
    run: Run, snapshot: Snapshot, document: Document, fitted: Fitted
) -> tuple[Snapshot, Document]:
    """Write what the file can follow of a plan into it; return the file as it is now.

    What cannot be written is told as a remark, or as the trouble of the cycle.

    Raises:
        FileChanged: the file was saved meanwhile; the next cycle finds out what is in it.
        FileMissing: the file is gone.
        StoreBusy: the store takes no note of what is about to be written.
        StoreUnusable: as this, for good.
    """
    decided, rewriting = fitted.plan, fitted.rewriting
    path = run.desk.config.todo_path
    _tell(run, fitted.notices)
    if not decided.local:
        record_clashes(run, decided)
        return snapshot, document
    ranks = _ranks(document, fitted)
    written = _outcome(run, fitted, ranks)
    data = rewriting.document.source
    if data == snapshot.data:
        record_clashes(run, decided)
        _settle(run, written)
        return snapshot, rewriting.document
    noted = Writing(
        before=snapshot.digest,
        after=file.digest(data),
        links=tuple(written.rows),
        gone=tuple(written.gone),
        copy="",
        added=tuple(written.added),
        former=written.former,
    )
    try:
        file.check_replaceable(path)  # else nothing gives way
        noted = announce(run.desk, snapshot, noted)
        record_clashes(run, decided)
    except (FileUnusable, Strained) as error:
        _stopped(run, error)
        return snapshot, document
    try:
        with file.replacing(path, data, snapshot, trace=run.desk.trace):
            await asyncio.sleep(LATE)
    except FileChanged as error:  # `recover` finds out what came of it
        run.remarks += keep_aside(run.desk, error)
        raise
    except (FileUnusable, Strained) as error:
        withdraw(run.desk, noted)
        _stopped(run, error)
        return snapshot, document
    now = file.read(path)
    if now.digest != noted.after:
        raise FileChanged(f"{path} was saved just now")
    _settle(run, written, noted)
    drop_copies(run.desk)
    return now, rewriting.document


def announce(desk: Desk, snapshot: Snapshot, planned: Writing) -> Writing:
    """Keep a copy of the file and note what is about to be written; return the note.

    ``recover``, ``remember`` or ``withdraw`` end what begins here.

    Raises:
        NoRoom: the copy cannot be kept; nothing is noted.
        StoreBusy: the note cannot be made; no copy is left, or each try would leave one.
        StoreUnusable: as these, for good.
    """
    config = desk.config
    folder = copies_folder(config.store_path)
    copy = file.keep_copy(folder, config.todo_path.name, snapshot.data)
    noted = planned._replace(copy=copy.name)
    try:
        with desk.store.transaction():
            desk.store.put_writing(noted)
    except BaseException:
        file.drop_copy(copy)
        raise
    return noted


def keep_aside(desk: Desk, error: FileChanged) -> Sequence[str]:
    """Keep the save that found no place in the file, if there is one; return what is to be said."""
    if not error.aside:
        return ()
    path = desk.config.todo_path
    kept = file.keep_copy(copies_folder(desk.config.store_path), path.name, error.aside)
    return (f"{path} was saved twice at once; the older save is kept as {kept}",)


def withdraw(desk: Desk, noted: Writing) -> None:
    """Take back the note of a write that was not made, and the copy that was kept for it."""
    with desk.store.transaction():
        desk.store.put_fact("writing", None)
    if noted.copy:  # an undo keeps none: it puts one back
        file.drop_copy(copies_folder(desk.config.store_path) / noted.copy)


def _tell(run: Run, notices: Iterable[Notice]) -> None:
    """Note what is to be said of lines, once: the file may be saved, and decided on, again."""
    path = run.desk.config.todo_path
    for notice in notices:
        where = f"{path}:{notice.line}" if notice.line else path
        remark = f"{where}: {notice.message}."
        if remark not in run.remarks:
            run.remarks.append(remark)


def _stopped(run: Run, error: OmisyncError) -> None:
    """Note why nothing can be written here; see ``fitting.unwritten``."""
    run.unwritable = True
    run.trouble(error)


def record_clashes(run: Run, decided: Plan) -> None:
    """Remember each value that is about to give way, before it does."""
    if not decided.clashes:
        return
    with run.store.transaction():
        fresh = run.store.record_clashes(run.now, decided.clashes)
        run.store.record(
            *(Event(run.now, "clash.decided", one.text, one.key, detail=one.field) for one in fresh)
        )
    run.counts["clash.decided"] += len(fresh)


def _ranks(document: Document, fitted: Fitted) -> Sequence[int]:
    """Return the rank of each entry of the rewritten file, by which new lines have their place.

    The ranks of the plan are those that the other lines have, or get in this cycle.
    """
    decided, wishes, rewriting = fitted.plan, fitted.wishes, fitted.rewriting
    refused = {id(wish) for wish in rewriting.refused}
    gone = {
        id(change.entry)  # those of an array on one line stand at the same place
        for op, change in wishes.changing
        if isinstance(op, RemoveLocal) and id(change) not in refused
    }
    known: list[int | None] = [
        rank
        for entry, rank in zip(document.entries, decided.ranks, strict=True)
        if id(entry) not in gone
    ]
    for at in sorted(at for at in rewriting.added if at is not None):
        known.insert(at, None)
    ranks = order.ranks(known)
    if all(old in {None, new} for old, new in zip(known, ranks, strict=True)):
        return ranks
    # There is no room: until the next plan makes some, a new line follows the one above by
    # its key, which is greater.
    above = min(rank for rank in known if rank is not None) - 1
    filled = []
    for rank in known:
        above = above if rank is None else rank
        filled.append(above)
    return filled


def _outcome(run: Run, fitted: Fitted, ranks: Sequence[int]) -> _Rewritten:
    """Return what holds once the file was rewritten so; ``ranks`` are those of its entries."""
    written = _Rewritten()
    wishes, rewriting = fitted.wishes, fitted.rewriting
    entries = rewriting.document.entries
    refused = {id(wish) for wish in rewriting.refused}
    for op, change in wishes.changing:
        if id(change) in refused:
            continue
        if isinstance(op, ChangeLocal):
            row = op.link.but(section=op.entry.section)  # no rewriting changes it
            _note(written, "line.changed", row, _described(op))
            if op.task != op.entry.task:
                written.former[op.link.key] = said(op.entry.task)
            if row.missing == LET_GO:  # ticked, for its item is gone
                _count(
                    run, written, row.but(base=row.base and replace(row.base, local=op.entry.task))
                )
        else:
            written.gone.append(op.link.key)
            _count(run, written, op.link)
            written.events.append(Event(0.0, "line.removed", op.link.seen.text, op.link.key))
    for (op, _), at in zip(wishes.adding, rewriting.added, strict=True):
        if at is not None:
            row = op.link.but(section=entries[at].section, rank=ranks[at])
            _note(written, "line.added", row, "back" if op.is_back else "")
            written.added.append(row.key)
    return written


def _described(op: ChangeLocal) -> str:
    """Return why a line changes and what of it: ``changed in Omi: reworded, ticked``."""
    before, after = op.entry.task, op.task
    words = []
    if before.text != after.text:
        words.append("reworded")
    if before.completed != after.completed:
        words.append("ticked" if after.completed else "reopened")
    if before.due != after.due:
        date = "set" if before.due is None else "changed"
        words.append("due date cleared" if after.due is None else f"due date {date}")
    return f"{op.why}: {', '.join(words)}" if words else op.why


def _note(written: _Rewritten, event: str, row: Link, detail: str) -> None:
    written.rows.append(row)
    written.events.append(Event(0.0, event, row.seen.text, row.key, row.remote_id, detail))


def _count(run: Run, written: _Rewritten, link: Link) -> None:
    """Count for the removal guard that a line went, or was ticked, with its item."""
    if link.base is not None:
        counted = not link.base.local.completed and run.counted_removals
        written.stones.append(
            Tombstone(
                f"gone-{link.key}", "", link.base.local, link.base.remote, GONE, run.now, counted
            )
        )


def _settle(run: Run, written: _Rewritten, made: Writing | None = None) -> None:
    """Write down what the file says now, and that the write is over if one was made."""
    now = run.desk.clock()
    with run.store.transaction():
        run.store.put_links(written.rows)
        run.store.drop_links(written.gone)
        run.store.drop_tombstones(row.key for row in written.rows)
        run.store.put_tombstones(written.stones)
        run.store.record(*(event._replace(at=now) for event in written.events))
        if made is not None:
            remember(run.store, made)
    run.counts.update(event.event for event in written.events)
    run.written.update(row.key for row in written.rows)
    run.written.update(written.gone)


def said(task: Task) -> tuple[str, bool, str | None]:
    """Return what a line says, as it is noted."""
    return task.text, task.completed, task.due


def remember(store: Store, made: Writing, clash: int | None = None) -> None:
    """Note that a write was made, and what it left for ``undo``; call inside ``transaction``.

    Ids alone belong to the write before. ``clash`` is the number of that whose value
    was put back.
    """
    writes = [*_writes(store)]
    if made.gone or made.added or made.former:
        writes.append(
            notes.Write(
                copy=made.copy,
                after=made.after,
                added=made.added,
                former=made.former,
                clash=clash,
            )
        )
    elif writes and writes[-1].after == made.before:
        writes[-1] = replace(writes[-1], after=made.after)
    store.put_note(notes.Written(tuple(writes[-VERSIONS:])))
    store.put_fact("writing", None)


def settle_undo(desk: Desk, made: Writing) -> None:
    """Settle that the file is as it was before the last write: that is no write any more.

    The items of the lines that it had brought in stay in Omi as they are. A line that says
    again what it said is the same task, however it was reworded.
    """
    store, now = desk.store, desk.clock()
    brought = [link for link in store.links() if link.key in made.gone and link.remote_id]
    writes = _writes(store)
    undone = [write for write in writes if write.copy == made.undoes]  # none: its note is damaged
    with store.transaction():
        store.put_links(made.links)
        store.put_tombstones(buried(link, "keep", now, counted=False) for link in brought)
        store.drop_links(made.gone)
        store.put_note(notes.Written(tuple(write for write in writes if write not in undone)))
        store.put_fact("writing", None)
        store.record(*_undone(now, made, brought))
        for write in undone:
            if write.clash is not None:
                store.mark_restored(write.clash, None)
    file.drop_copy(copies_folder(desk.config.store_path) / made.undoes)


def _undone(now: float, made: Writing, brought: Sequence[Link]) -> Iterator[Event]:
    """Yield an event for each line that is as it was, or gone again; one where there is none."""
    for links, detail in ((made.links, "as it was before"), (brought, "the line is gone again")):
        for link in links:
            yield Event(now, "file.restored", link.seen.text, link.key, link.remote_id, detail)
    if not (made.links or brought):
        yield Event(now, "file.restored", detail=made.undoes)


def _writes(store: Store) -> tuple[notes.Write, ...]:
    written = store.note(notes.Written)
    return written.writes if written is not None else ()


def drop_copies(desk: Desk) -> None:
    """Let the oldest versions of the file go, once another was made; none that ``undo`` needs."""
    needed = {write.copy for write in _writes(desk.store)}
    folder, name = copies_folder(desk.config.store_path), desk.config.todo_path.name
    file.drop_copies(folder, name, limit=VERSIONS, needed=needed)
