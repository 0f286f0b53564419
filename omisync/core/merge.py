"""Compare and join the versions of one task, field by field.

Rule: a field travels only if its side edited it *and* the encoded value
differs from what the other side holds. The first half keeps a change of time
zone or a text cut at the limit from reading as an edit; the second keeps an
edit that encodes to the same value from costing a request.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from omisync.core import due
from omisync.core.model import DESCRIPTION_LIMIT, EXISTENCE, Base, Fields, Patch, Task

if TYPE_CHECKING:
    from datetime import time, tzinfo

ELLIPSIS = "…"
SHORTEST_HEAD = DESCRIPTION_LIMIT // 2
"""A cut goes back to the last space, but never gives up more than half of the text."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """What turns a due token into an instant: the zone and the time of a bare date."""

    zone: tzinfo
    due_time: time


def encode(task: Task, encoding: Encoding) -> Fields:
    """Return the task as the server would store it.

    A completed task has no due date here: Omi would ring the phone for it.
    """
    due_at = None
    if task.due is not None and not task.completed:
        due_at = due.instant(task.due, encoding.zone, encoding.due_time)
    return Fields(description(task.text), task.completed, due_at)


def description(text: str) -> str:
    """Return the text stripped and, beyond 500 code points, cut at a word with ``…``."""
    text = text.strip()
    if len(text) <= DESCRIPTION_LIMIT:
        return text
    head = text[: DESCRIPTION_LIMIT - len(ELLIPSIS)]
    if not text[len(head)].isspace():
        space = max(head.rfind(" "), head.rfind("\n"), head.rfind("\t"))
        if space >= SHORTEST_HEAD:
            head = head[:space]
    return head.rstrip() + ELLIPSIS


def outgoing(local: Task, base: Base, remote: Fields, encoding: Encoding) -> Patch:
    """Return the fields that the file changed since ``base`` and ``remote`` lacks."""
    reopened = base.local.completed and not local.completed
    patch = Patch()
    if local.text != base.local.text and description(local.text) != remote.description:
        patch = replace(patch, description=description(local.text))
    if local.completed not in {base.local.completed, remote.completed}:
        patch = replace(patch, completed=local.completed)
    if local.due is None:
        if base.local.due is not None and remote.due_at is not None:
            patch = replace(patch, clear_due=True)
    elif local.due != base.local.due or (reopened and remote.due_at is None):
        at = due.instant(local.due, encoding.zone, encoding.due_time)
        if at != remote.due_at:
            patch = replace(patch, due_at=at)
    return patch


def made_sure(patch: Patch, doubt: frozenset[str], remote: Fields) -> Patch:
    """Return the patch with every doubted field in it, as both sides last agreed on it.

    An edit whose answer was lost and that was taken back since looks like no
    edit at all, while the server may have it. Where only the existence is in
    doubt, the description is sent for the sake of the answer.
    """
    lacking = doubt - patch.names
    if EXISTENCE in lacking and not patch:
        lacking |= {"description"}
    if "description" in lacking and remote.description:
        patch = replace(patch, description=remote.description)
    if "completed" in lacking:
        patch = replace(patch, completed=remote.completed)
    if "due_at" in lacking:
        patch = replace(patch, due_at=remote.due_at, clear_due=remote.due_at is None)
    return patch


def settled(local: Task, base: Base, patch: Patch, reply: Fields) -> Base:
    """Return the base after the server answered ``patch`` with ``reply``.

    Only the fields that were sent are taken from the reply: what else it shows
    may be an edit made in the app that has not crossed yet.
    """
    remote = base.remote
    if patch.description is not None:
        remote = replace(remote, description=reply.description)
    if patch.completed is not None:
        remote = replace(remote, completed=reply.completed)
    if patch.due_at is not None or patch.clear_due:
        remote = replace(remote, due_at=reply.due_at)
    return Base(local, remote)
