"""Compare and join the versions of one task, field by field.

Rule: a field travels only if its side edited it *and* the encoded value
differs from what the other side holds. The first half keeps a change of time
zone or a text cut at the limit from reading as an edit; the second keeps an
edit that encodes to the same value from costing a request.

Where both sides edited a field, one value gives way, and is told as a clash: no
clock is compared, for none can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from omisync.core import due
from omisync.core.model import DESCRIPTION_LIMIT, EXISTENCE, Base, Clash, Fields, Patch, Task

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, time, tzinfo

ELLIPSIS = "…"
ABSURD = 20 * DESCRIPTION_LIMIT
"""Code points beyond which a server's description is not written into a file: it promises
500, and a few of some megabytes would make the file unreadable."""
SHORTEST_HEAD = DESCRIPTION_LIMIT // 2
"""A cut goes back to the last space, but never gives up more than half of the text."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """What turns the one encoding of a task into the other.

    The zone and the time of a bare date make an instant of a due token.
    ``legible`` tells how a description reads as the text of a line in this
    format, empty where no line can hold it.
    """

    zone: tzinfo
    due_time: time
    legible: Callable[[str], str] = str


def encode(task: Task, encoding: Encoding) -> Fields:
    """Return the task as the server would store it.

    A completed task has no due date here: Omi would ring the phone for it.
    """
    due_at = None if task.completed else _instant(task.due, encoding)
    return Fields(description(task.text), task.completed, due_at)


def _instant(value: str | None, encoding: Encoding) -> datetime | None:
    return None if value is None else due.instant(value, encoding.zone, encoding.due_time)


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


def decode(fields: Fields, encoding: Encoding) -> Task:
    """Return the task as a line would say it; the text is empty where no line can hold it."""
    return Task(_reading(fields.description, encoding), fields.completed, _token(fields, encoding))


def _reading(description: str, encoding: Encoding) -> str:
    """Return how a description reads in a line; empty where it is no description at all."""
    return encoding.legible(description) if len(description) <= ABSURD else ""


def _token(fields: Fields, encoding: Encoding) -> str | None:
    if fields.due_at is None:
        return None
    return due.value_of(fields.due_at, encoding.zone, encoding.due_time)


def outgoing(local: Task, base: Base, remote: Fields, encoding: Encoding) -> Patch:
    """Return the fields that the file changed since ``base`` and ``remote`` lacks."""
    return join(local, Base(base.local, remote), remote, encoding).patch


@dataclass(slots=True)
class Joined:
    """The three versions of a task, joined into one.

    ``patch`` is for the server, ``task`` what the line is to say. ``base`` is the
    former base with each field that both sides now have, or will have once the
    line says ``task``. ``clashes`` do not know the key of their task. ``unheard`` tells
    that the item has a text now that no line can hold.
    """

    patch: Patch
    task: Task
    base: Base
    clashes: list[Clash] = field(default_factory=list)
    unheard: bool = False


def join(  # noqa: PLR0913 - three versions, and what decides between them
    local: Task,
    base: Base,
    remote: Fields,
    encoding: Encoding,
    *,
    prefer: str = "local",
    doubt: frozenset[str] = frozenset(),
    unsaid: frozenset[str] = frozenset(),
) -> Joined:
    """Return what becomes of a task that either side may have edited, or both.

    ``prefer`` is the side that wins a clash. A field in ``doubt`` may show
    what was sent from here and not answered: there the line wins as it stands.
    One in ``unsaid`` has a value in Omi that the line cannot be made to say.
    """
    joined = Joined(Patch(), local, base)
    context = _Context(base, remote, encoding, prefer, doubt, unsaid)
    _join_completed(joined, context)
    _join_text(joined, context)
    _join_due(joined, context, reopened=base.local.completed and not local.completed)
    joined.patch = _made_sure(joined.patch, doubt, base.remote, remote)
    return joined


class _Context(NamedTuple):
    """What all fields of a task are joined with."""

    base: Base
    remote: Fields
    encoding: Encoding
    prefer: str
    doubt: frozenset[str]
    unsaid: frozenset[str]


class _Edits(NamedTuple):
    """What happened to one field since the base.

    ``here`` and ``there`` tell on which side it was edited, ``same`` that both sides
    have the same value now, ``doubted`` that a request about it was not answered, ``cut``
    that the server never had the whole value, ``mute`` that no line can hold the server's.
    """

    here: bool
    there: bool
    same: bool
    doubted: bool
    cut: bool = False
    mute: bool = False


class _Verdict(NamedTuple):
    """Which way the value of one field goes, and whether the other one is told as a clash.

    ``in`` is to the file, ``out`` to the server, ``agreed`` only into the base; empty is
    nowhere.
    """

    way: Literal["in", "out", "agreed", ""]
    clash: bool = False


_NOWHERE = _Verdict("")


def _judge(edits: _Edits, prefer: str) -> _Verdict:
    """Return where the value of one field goes."""
    if edits.doubted:
        return _Verdict("out" if edits.here else "", edits.there and not edits.same)
    if edits.same:
        return _Verdict("agreed")
    if edits.there and not edits.here and (edits.mute or not edits.cut):
        return _NOWHERE if edits.mute else _Verdict("in")
    if edits.there:
        return _Verdict("in" if prefer == "remote" and not edits.mute else "out", clash=True)
    return _Verdict("out") if edits.here else _NOWHERE


def _join_completed(joined: Joined, context: _Context) -> None:
    local, remote = joined.task.completed, context.remote.completed
    edits = _Edits(
        here=local != context.base.local.completed,
        there=remote != context.base.remote.completed,
        same=local == remote,
        doubted="completed" in context.doubt,
        mute="completed" in context.unsaid,
    )
    verdict = _judge(edits, context.prefer)
    if verdict.clash:
        _tell(joined, "completed", verdict, _state(local), _state(remote))
    if verdict.way == "out":
        joined.patch = replace(joined.patch, completed=local)
    elif verdict.way:
        _take(joined, {"completed": remote}, {"completed": remote})


def _state(completed: bool) -> str:
    return "done" if completed else "open"


def _join_text(joined: Joined, context: _Context) -> None:
    local, base = joined.task.text, context.base
    remote = context.remote.description
    there = remote != base.remote.description
    read = _reading(remote, context.encoding) if there else ""
    edits = _Edits(
        here=local != base.local.text,
        there=there,
        same=description(local) == remote or (there and read == local),
        doubted="description" in context.doubt,
        cut=base.local.text.strip() != description(base.local.text) == base.remote.description,
        mute=not read or "description" in context.unsaid,
    )
    verdict = _judge(edits, context.prefer)
    joined.unheard = there and not read and not verdict.way
    if verdict.clash:
        _tell(joined, "description", verdict, local, read or remote[:ABSURD])
    if verdict.way == "out":
        joined.patch = replace(joined.patch, description=description(local))
    elif verdict.way:
        text = read if verdict.way == "in" else local
        _take(joined, {"text": text}, {"description": remote})


def _join_due(joined: Joined, context: _Context, *, reopened: bool) -> None:
    local, base, remote = joined.task.due, context.base, context.remote
    there = remote.due_at != base.remote.due_at
    # The date of a finished line is not sent. It has to be when the task is reopened: by the
    # line in any case, by the app where that sets no other.
    kept_back = base.local.completed and local is not None
    kept_back = kept_back and not same_moment(
        base.local.due, base.remote.due_at, context.encoding, loosely=True
    )
    unsent = kept_back and (reopened or not (there or joined.task.completed))
    here = local != base.local.due or unsent
    edits = _Edits(
        here=here,
        there=there,
        same=same_moment(
            local, remote.due_at, context.encoding, loosely=(here or kept_back) and there
        ),
        doubted="due_at" in context.doubt,
        mute="due_at" in context.unsaid,
    )
    verdict = _judge(edits, context.prefer)
    if kept_back and verdict.way == "in":  # Omi never had the one that gives way
        verdict = verdict._replace(clash=True)
    token = _token(remote, context.encoding)
    if unsent and not joined.base.local.completed:
        # That it is open is agreed on, and may be written down before the date is sent.
        joined.base = replace(joined.base, local=replace(joined.base.local, due=None))
    if verdict.clash:
        _tell(joined, "due_at", verdict, local or "", token or "")
    if verdict.way == "out":
        at = _instant(local, context.encoding)
        joined.patch = replace(joined.patch, due_at=at, clear_due=local is None)
    elif verdict.way:
        taken = token if verdict.way == "in" else local
        _take(joined, {"due": taken}, {"due_at": remote.due_at})


def same_moment(
    local: str | None, remote: datetime | None, encoding: Encoding, *, loosely: bool
) -> bool:
    """Return whether a due value means what the server has.

    ``loosely`` lets a date alone mean any time of that day: it says nothing of one.
    """
    if local is None or remote is None:
        return local is None and remote is None
    if _instant(local, encoding) == remote.replace(microsecond=0):
        return True
    return loosely and due.is_date(local) and due.day(remote, encoding.zone) == local


def _take(joined: Joined, local: dict[str, Any], remote: dict[str, Any]) -> None:
    """Write a value that crossed, or is the same on both sides, into the line and the base."""
    joined.task = replace(joined.task, **local)
    joined.base = Base(replace(joined.base.local, **local), replace(joined.base.remote, **remote))


def _tell(joined: Joined, name: str, verdict: _Verdict, local: str, remote: str) -> None:
    """Note a clash: which value gave way to which."""
    lost, kept = (local, remote) if verdict.way == "in" else (remote, local)
    side = "local" if verdict.way == "in" else "remote"
    joined.clashes.append(Clash("", joined.task.text, name, side, kept, lost))


def _made_sure(patch: Patch, doubt: frozenset[str], base: Fields, remote: Fields) -> Patch:
    """Return the patch with each field in doubt that it lacks, at its value in the base.

    If an edit was sent, its answer lost and the line then changed back, the line has
    no edit, but the server may have that value. Where only the existence is in doubt,
    what the item says by now is sent to get an answer: its description, if it can be.
    """
    lacking = doubt - patch.names
    if "description" in lacking and base.description:
        patch = replace(patch, description=base.description)
    if "completed" in lacking:
        patch = replace(patch, completed=base.completed)
    if "due_at" in lacking:
        patch = replace(patch, due_at=base.due_at, clear_due=base.due_at is None)
    if EXISTENCE in lacking and not patch:
        if 0 < len(remote.description) <= DESCRIPTION_LIMIT:
            return Patch(description=remote.description)
        return Patch(completed=remote.completed)
    return patch


def settled(local: Task, base: Base, patch: Patch, reply: Fields) -> Base:
    """Return the base after the server answered ``patch`` with ``reply``.

    Only the fields that were sent are taken from the reply: what else it shows
    may be an edit made in the app that has not crossed yet.
    """
    answered = {name: getattr(reply, name) for name in patch.names}
    return Base(local, replace(base.remote, **answered))
