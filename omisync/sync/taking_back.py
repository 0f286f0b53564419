"""Two-way: take back what was written into the file, or what a clash cost.

Rule: the file is changed as its person would change it, and the next cycle sends
that as any edit. A file that was edited since is never put back over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from omisync import file
from omisync.core import match
from omisync.core.model import Change, Task
from omisync.core.plan import buried
from omisync.errors import UsageError
from omisync.store import Event, Writing
from omisync.sync import formats, inward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omisync.core.model import Clash, Entry, Link
    from omisync.store import Clashed
    from omisync.sync.desk import Desk


def undo(desk: Desk) -> str:
    """Put the file back to what it was before the last write; return what was done.

    Lines that the write brought in go, and their items stay in Omi as they are.

    Raises:
        UsageError: there is nothing to take back, or the file was edited since.
        OmisyncError: the file cannot be read or written.
    """
    store, path, now = desk.store, desk.config.todo_path, desk.clock()
    written = store.fact("written")
    if not isinstance(written, list) or not written:
        raise UsageError(
            "There is nothing to undo: omisync has not written to the file",
            "`omisync log` tells what was done.",
        )
    last = written[-1]
    copy = inward.copies_folder(desk.config.store_path) / last["copy"]
    snapshot = file.read(path)
    if snapshot.digest != last["after"]:
        raise UsageError(
            f"{path} was edited since omisync wrote to it",
            f"What it was before is kept as {copy}: take from there what you need.",
        )
    try:
        former = copy.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"The former version {copy} cannot be read: {reason}") from None
    # Before the file: a stop in between leaves lines that find their items again.
    links = [link for link in store.links() if link.key in last["added"] and link.remote_id]
    said = last.get("former", {})
    with store.transaction():
        store.put_tombstones(buried(link, "keep", now, counted=False) for link in links)
        store.drop_links(link.key for link in links)
        # A line that says again what it said is the same task, however it was reworded.
        store.put_links(
            link.but(seen=Task(*said[link.key])) for link in store.links() if link.key in said
        )
        store.put_fact("written", written[:-1])
        store.put_fact("settled", None)
        store.record(Event(now, "file.restored", detail=copy.name))
    file.replace(path, former, snapshot)
    copy.unlink(missing_ok=True)
    return f"{path} is as it was before omisync last wrote to it"


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
    entry = _entry_of(found, document.entries, store.links())
    if entry is None:
        raise UsageError(
            f"The line of clash {number} is not in {path} any more",
            f"Its lost value was: {found.clash.lost_value or 'none'}",
        )
    task = _with(entry.task, found.clash)
    if task != entry.task:
        rewriting = formats.rewritten(desk.config, document, [Change(entry, task)])
        if rewriting.refused:
            raise UsageError(
                f"{path}:{entry.line} cannot be changed to that",
                f"Write it there by hand: {found.clash.lost_value or 'none'}",
            )
        folder, data = inward.copies_folder(desk.config.store_path), rewriting.document.source
        copy = file.keep_copy(folder, path.name, snapshot.data, inward.VERSIONS)
        file.replace(path, data, snapshot)
        former = {found.clash.key: inward.said(entry.task)}
        made = Writing(snapshot.digest, file.digest(data), (), (), copy.name, (), former)
        inward.remember(store, made)
    now = desk.clock()
    with store.transaction():
        store.mark_restored(number, now)
        store.put_fact("settled", None)
        store.record(Event(now, "clash.restored", task.text, found.clash.key))
    return f"{path}:{entry.line} has again what gave way: {found.clash.lost_value or 'none'}"


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
