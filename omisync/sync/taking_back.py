"""Two-way: take back what was written into the file, or what a clash cost.

Rule: the file is changed as its person would change it, and the next cycle sends
that as any edit. A file that was edited since is never put back over.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from omisync import file
from omisync.core import match
from omisync.core.model import Change, Task
from omisync.errors import FileChanged, FileUnusable, Strained, UsageError
from omisync.store import Event, Writing
from omisync.store.notes import Written
from omisync.sync import formats, inward

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omisync.core.model import Clash, Document, Entry, Link
    from omisync.file import Snapshot
    from omisync.store import Clashed
    from omisync.sync.desk import Desk


def undo(desk: Desk) -> str:
    """Put the file back to what it was before the last write; return what was done.

    Lines that the write brought in go, and their items stay in Omi as they are.

    Raises:
        UsageError: there is nothing to take back, or the file was edited since.
        OmisyncError: the file cannot be read or written.
    """
    store, path = desk.store, desk.config.todo_path
    snapshot = file.read(path)
    if store.writing() is not None:  # a write that was cut short may be the last one
        inward.recover(desk, snapshot, formats.parsed(desk.config, snapshot))
    written = store.note(Written)
    if written is None or not written.writes:
        why = "omisync has not written to the file"
        if written is not None:
            why = "no write to the file is left that could be taken back"
        raise UsageError(f"There is nothing to undo: {why}", "`omisync log` tells what was done.")
    last = written.writes[-1]
    copy = inward.copies_folder(desk.config.store_path) / last.copy
    if snapshot.digest != last.after:
        raise UsageError(f"{path} was edited since omisync wrote to it", _kept(desk, copy))
    try:
        former = copy.read_bytes()
    except OSError as error:
        raise UsageError(
            f"The former version {copy} cannot be read ({error.strerror}); {path} is left as it is",
            _kept(desk, copy),
        ) from None
    known = tuple(store.links())
    noted = Writing(
        before=snapshot.digest,
        after=file.digest(former),
        links=tuple(
            link.but(seen=Task(*last.former[link.key])) for link in known if link.key in last.former
        ),
        gone=tuple(link.key for link in known if link.key in last.added and link.remote_id),
        copy="",
        added=(),
        former={},
        undoes=copy.name,
    )
    with store.transaction():
        store.put_writing(noted)
        store.unsettle()
    try:
        _put(desk, former, snapshot)
    except (FileUnusable, Strained):  # it can be undone later
        inward.withdraw(desk, noted)
        raise
    inward.settle_undo(desk, noted)
    said = f"{path} is as it was before omisync last wrote to it"
    if brought := len(noted.gone):
        stay = (
            "1 item that came in with it stays"
            if brought == 1
            else f"{brought} items that came in with it stay"
        )
        said += f"; {stay} in Omi alone, until a line says the same again"
    return said


def _kept(desk: Desk, copy: Path) -> str:
    """Return where a former version is to be had: this one, or else the newest that is left."""
    if _readable(copy):
        return f"What it was before is kept as {copy}: take from there what you need."
    left = [one for one in file.copies(copy.parent, desk.config.todo_path.name) if _readable(one)]
    if not left:
        return "No former version is kept any more; what is written from now on can be undone."
    return (
        f"The newest former version that is kept is {left[-1]}: take from there what you need."
        " What is written from now on can be undone."
    )


def _readable(copy: Path) -> bool:
    return os.access(copy, os.R_OK)


def restore(desk: Desk, number: int) -> str:
    """Write the value that a clash cost back into its line; return what was done.

    ``number`` is what ``omisync log --clashes`` calls the clash.

    Raises:
        UsageError: there is no such clash, or its line is gone.
        OmisyncError: the file cannot be read or written.
    """
    store, path = desk.store, desk.config.todo_path
    found = {one.number: one for one in store.clashes()}.get(number)
    if found is None:
        raise UsageError(f"There is no clash {number}", "`omisync log --clashes` lists them.")
    if found.restored_at is not None:
        raise UsageError(
            f"The value of clash {number} was put back already",
            f"To have it again, write it into its line: {found.clash.lost_value or 'none'}",
        )
    snapshot = file.read(path)
    document = formats.parsed(desk.config, snapshot)
    inward.recover(desk, snapshot, document)
    entry = _entry_of(found, document.entries, store.links())
    if entry is None:
        raise UsageError(
            f"The line of clash {number} is not in {path} any more",
            f"Its lost value was: {found.clash.lost_value or 'none'}",
        )
    task = _with(entry.task, found.clash)
    made = None
    if task != entry.task:
        made = _rewritten(desk, snapshot, document, entry, found.clash)
    now = desk.clock()
    with store.transaction():
        if made is not None:
            store.put_links(made.links)
            inward.remember(store, made, number)
        store.mark_restored(number, now)
        store.unsettle()
        store.record(Event(now, "clash.restored", task.text, found.clash.key))
    if made is not None:
        inward.drop_copies(desk)
    return f"{path}:{entry.line} has again what gave way: {found.clash.lost_value or 'none'}"


def _rewritten(
    desk: Desk, snapshot: Snapshot, document: Document, entry: Entry, clash: Clash
) -> Writing:
    """Write the value that gave way into its line; return what was done, still to be settled.

    However little the line is like what it said, it stays that of its item.

    Raises:
        UsageError: the line cannot say that.
        OmisyncError: the file cannot be written.
    """
    path, task = desk.config.todo_path, _with(entry.task, clash)
    rewriting = formats.rewritten(desk.config, document, [Change(entry, task)])
    if rewriting.refused:
        raise UsageError(
            f"{path}:{entry.line} cannot be changed to that",
            f"Write it there by hand: {clash.lost_value or 'none'}",
        )
    data = rewriting.document.source
    planned = Writing(
        before=snapshot.digest,
        after=file.digest(data),
        links=tuple(
            link.but(seen=task, section=entry.section)
            for link in desk.store.links()
            if link.key == clash.key
        ),
        gone=(),
        copy="",
        added=(),
        former={clash.key: inward.said(entry.task)},
    )
    noted = inward.announce(desk, snapshot, planned)
    try:
        _put(desk, data, snapshot)
    except (FileUnusable, Strained):
        inward.withdraw(desk, noted)
        raise
    return noted


def _put(desk: Desk, data: bytes, seen: Snapshot) -> None:
    """Replace the file; raises ``FileChanged``, with what has to be known, where it was saved."""
    try:
        with file.replacing(desk.config.todo_path, data, seen, trace=desk.trace):
            pass
    except FileChanged as error:
        error.message = ". ".join([error.message, *inward.keep_aside(desk, error)])
        raise


def _entry_of(found: Clashed, entries: Sequence[Entry], links: Sequence[Link]) -> Entry | None:
    """Return the line of a clash as the file stands now."""
    for entry, link in match.pair(entries, links).pairs:
        if links[link].key == found.clash.key:
            return entries[entry]
    return None


def _with(task: Task, clash: Clash) -> Task:
    """Return the task with the value that gave way."""
    if clash.field == "completed":
        return replace(task, completed=clash.lost_value == "done")
    if clash.field == "due_at":
        return replace(task, due=clash.lost_value or None)
    return replace(task, text=clash.lost_value)
