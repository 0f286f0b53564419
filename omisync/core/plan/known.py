"""What becomes of the tasks that are known: each link, with its line or without.

Rule: each task is decided by itself. Only probes depend on more: each is a request, so
their number in one cycle is limited, and an unlinked item may make one needed at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from omisync.core import match, merge
from omisync.core.model import FIELDS, LET_GO, WRITABLE_ID, Base, Tombstone
from omisync.core.plan.guard import is_silent
from omisync.core.plan.steps import (
    AddLocal,
    AddRemote,
    ChangeLocal,
    ChangeRemote,
    Probe,
    RemoveLocal,
    RemoveRemote,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omisync.core.model import Entry, Fields, Link, RemoteItem, Task
    from omisync.core.plan.steps import Draft, Policy

MISSED = 2
"""Complete listings without an item after which it is asked for by itself."""
PROBES = 40
"""Items asked for in one cycle: a third of the writes that the server grants an hour."""
PROBE_AGAIN = 86400.0
"""Seconds before an item is asked for again that exists and is not listed."""
LOCKED = 402
"""Status of an item that the account's plan does not give out (Omi API)."""
TOLD = 60.0
"""Seconds after we created an item in which a foreign id in its line is not reported again."""


def decide(draft: Draft, entry: Entry, old: Link, rank: int) -> None:
    """Decide about an entry that has a link."""
    if _is_stray(draft, entry, old):
        draft.strays.append(entry)
    link = _unparked(_seen(old, entry, rank), entry.task, draft.seen.now)
    link = _noticed(draft, link)
    if link.remote_id is not None:
        link = _joined(draft, link, entry)
    elif link.parked is not None:
        draft.unmade.append((link, entry))
    elif link.key in draft.seen.pending:
        draft.unsure.append((link, entry))
    elif link.base is None:
        draft.unmade.append((link, entry))
    else:
        link, base = _gone(link, link.base, ticked=old.seen.completed or entry.task.completed)
        if _says_more(entry, base):
            draft.unmade.append((link, entry))
        elif draft.seen.listed is not None:
            draft.orphans.append((link, entry))
    if link is not old:
        draft.rows.append(link)
    if draft.seen.listed is not None:
        draft.standing.append(link)


def _is_stray(draft: Draft, entry: Entry, link: Link) -> bool:
    """Return whether a line names another item than its own, and nobody was told of it yet."""
    if entry.explicit_id in {None, link.remote_id} or draft.policy.ids:
        return False
    return link.made_at is None or abs(draft.seen.now - link.made_at) > TOLD


def _seen(old: Link, entry: Entry, rank: int) -> Link:
    """Return the link with the entry's place, untouched (the same object) if nothing moved."""
    if (
        old.seen == entry.task
        and old.section == entry.section
        and old.rank == rank
        and not old.is_absent
    ):
        return old
    return old.but(seen=entry.task, section=entry.section, rank=rank, absent_since=None)


def _unparked(link: Link, task: Task | None, now: float) -> Link:
    """Return the link ready to be tried again, if the line changed or its time has come."""
    parked = link.parked
    if parked is None:
        return link
    # A clock that jumped back would have it wait for what was the future then.
    due_again = parked.retry_at is not None and not parked.since <= now < parked.retry_at
    if parked.task != task:
        return link.but(parked=None, failures=0)
    # Nobody changed anything: one more failure sets it aside as the last one did.
    return link.but(parked=None, failures=max(0, link.failures - 1)) if due_again else link


def _noticed(draft: Draft, link: Link) -> Link:
    """Return the link with what the listing tells of its item's presence."""
    if link.remote_id is None or link.missing == LET_GO:
        return link
    if draft.item(link) is not None:
        return _listed_again(link) if link.missing else link
    if draft.seen.complete and link.missing < MISSED:
        return link.but(missing=link.missing + 1)
    return link


def _listed_again(link: Link) -> Link:
    """Return the link of an item that a list lacked; the list lacks those that are locked."""
    if link.parked is not None and link.parked.status == LOCKED:
        link = link.but(parked=None, failures=0)
    return link.but(missing=0, probed_at=None)


def _says_more(entry: Entry, base: Base) -> bool:
    """Return whether the line of a gone item was edited in a way that must not be lost.

    A tick loses no sentence, but what is opened again is to be done.
    """
    said = base.local
    reopened = said.completed and not entry.task.completed
    return reopened or (entry.task.text, entry.task.due) != (said.text, said.due)


def _gone(link: Link, base: Base, *, ticked: bool) -> tuple[Link, Base]:
    """Return the link of a gone item, and its base, with the tick that its line has or had."""
    if base.local.completed or not ticked:
        return link, base
    base = replace(base, local=replace(base.local, completed=True))
    return link.but(base=base), base


def add(link: Link, entry: Entry, policy: Policy) -> AddRemote:
    """Return the op that creates the item of a line; what befell a former item is over."""
    anew = link.but(missing=0, probed_at=None) if link.missing else link
    return AddRemote(anew, entry, merge.encode(entry.task, policy.encoding))


def _joined(draft: Draft, link: Link, entry: Entry) -> Link:
    """Plan what crosses for a line with an item; return the row to be written now."""
    item, base = draft.item(link), link.base
    if base is None:
        return link
    remote = item.fields if item is not None else base.remote
    if item is not None and not (link.clear_due or link.doubt):
        base = _unsaid(base)
    parked = link.parked is not None
    if parked:
        draft.parked.append((link, entry))
    if base.local == entry.task and base.remote == remote and not link.doubt:
        if not parked:
            _agreed(draft, link, entry)
        return link
    policy, unsaid = draft.policy, draft.seen.unsaid.get(link.key, frozenset())
    joined = merge.join(
        entry.task,
        base,
        remote,
        policy.encoding,
        prefer=policy.prefer,
        doubt=link.doubt,
        unsaid=unsaid,
    )
    if joined.unheard:
        draft.unheard.append(entry)
    patch = joined.patch
    undated = joined.task.due is None and entry.task.due is None and "due_at" not in unsaid
    if patch and link.clear_due and undated:
        patch = replace(patch, clear_due=True)
    after = link.but(base=joined.base, seen=joined.task) if joined.base != base else link
    inward = joined.task != entry.task
    if inward:
        draft.ops.append(ChangeLocal(after, entry, joined.task, _id_for(draft, after, entry)))
    if patch and not parked:
        draft.ops.append(ChangeRemote(after, entry, patch))
    # What a parked line would send clashes when it is sent.
    told = [clash for clash in joined.clashes if not parked or clash.lost == "local"]
    draft.clashes += [replace(clash, key=link.key) for clash in told]
    # What the line does not say yet must not be written down as said.
    return link if inward else after


def _unsaid(base: Base) -> Base:
    """Return a base without the date and the tick that a push left to the item alone.

    They are news for the line where what Omi says is to reach the file.
    """
    said, remote = base.local, base.remote
    due_at = remote.due_at if said.due is not None else None
    completed = remote.completed and said.completed
    if (due_at, completed) == (remote.due_at, remote.completed):
        return base
    return Base(said, replace(remote, due_at=due_at, completed=completed))


def _agreed(draft: Draft, link: Link, entry: Entry) -> None:
    """Plan what a task needs on which both sides agree: its id in the line, a probe."""
    identifier = _id_for(draft, link, entry)
    if link.missing > 0:  # another machine may have written the id of what came in its place
        draft.missing.append((link, entry))
    elif identifier is not None:
        draft.ops.append(ChangeLocal(link, entry, entry.task, identifier, "its id"))


def _id_for(draft: Draft, link: Link, entry: Entry) -> str | None:
    """Return the id that is to be written into the line, if any: never leave it another's.

    A line with an id that its item has not, or no more, would be somebody else once reworded.
    Where two machines have an item each for a line, the older one stands in it.
    """
    identifier = link.remote_id or ""
    if draft.seen.listed is None or not draft.policy.ids or entry.explicit_id == identifier:
        return None
    ours, theirs = draft.item(link), draft.seen.listed.get(entry.explicit_id or "")
    if ours and theirs and theirs.id in draft.unlinked and theirs.age_order < ours.age_order:
        same = theirs.fields.description == ours.fields.description
        identifier = "" if same else identifier
    return identifier if WRITABLE_ID.fullmatch(identifier) else None


def hold(draft: Draft, line: Entry, old: Link | None) -> None:
    """Leave a task alone whose line is not read for its box: it is neither gone nor edited yet.

    A line that has no link stands for an item that says the same: none is written beside it.
    """
    if old is None:
        draft.unread.append(line)
        return
    link = old.but(absent_since=None) if old.is_absent else old
    if link.parked is not None:
        draft.parked.append((link, line))
    link = _noticed(draft, link)
    if draft.seen.listed is not None:
        draft.standing.append(link)
    if link != old:
        draft.rows.append(link)


def decide_missing(draft: Draft) -> None:
    """Decide about lines whose item is missing from the list, or proven gone."""
    let_go = {link.key: link for link in _orphaned(draft)}
    draft.rows = [row for row in draft.rows if row.key not in let_go] + [*let_go.values()]
    unlinked = {item.fields.description for item in draft.seen.unlinked or ()}
    room = PROBES
    for link, entry in draft.missing:
        # A reprocessed conversation makes new ids: then an unlinked item says the same.
        is_replaced = link.base is not None and link.base.remote.description in unlinked
        if link.missing < MISSED and not is_replaced:
            continue
        asked = link.probed_at
        if asked is not None and 0 <= draft.seen.now - asked < PROBE_AGAIN:
            draft.later = True
            continue
        if not room:
            draft.later = True
            break
        room -= 1
        draft.ops.append(Probe(link, entry))
        if not is_replaced:  # else the line stays, and gets that item
            draft.departing.append(link)


def _orphaned(draft: Draft) -> Iterator[Link]:
    """Apply the policy to lines that are as their items were, before those were deleted in Omi.

    Yield the links of those that stay, and are not looked at again.
    """
    policy = draft.policy
    for link, entry in draft.orphans:
        if link.missing == LET_GO:
            continue
        base, gone = link.base, link.but(missing=LET_GO)
        if base is None:  # pragma: no cover - for the types
            continue
        ticked = entry.task.completed and not base.remote.completed
        if ticked or policy.on_remote_removal == "keep":
            yield gone
        elif policy.on_remote_removal == "remove":
            draft.departing.append(link)
            draft.ops.append(RemoveLocal(link, entry))
        elif entry.task.completed:
            yield gone
        else:
            draft.departing.append(link)
            done = replace(entry.task, completed=True)
            after = gone.but(base=replace(base, local=done), seen=done)
            draft.ops.append(ChangeLocal(after, entry, done, why="deleted in Omi"))


def decide_absent(draft: Draft, old: Link) -> Link | None:
    """Decide about a link whose line is not in the file.

    Return the link as the removal guard counts it, None if its item comes back
    as a line.
    """
    seen, policy = draft.seen, draft.policy
    if old.remote_id is None:
        if old.key in seen.pending:
            draft.unsure.append((old, None))
        else:
            draft.dropped.append(old.key)
        return old
    since = old.absent_since
    if since is None or since > seen.now:  # a clock that jumped back starts the grace anew
        since = seen.now
    link = _unparked(old.but(absent_since=since), None, seen.now)
    item = draft.item(link)
    told = link  # with what the list tells of its item
    if item is not None and not link.doubt and link.parked is None:
        told = _with_remote_tick(link, item)
    back = _back(draft, told, item)
    if link.parked is not None:
        draft.parked.append((link, None))
    elif seen.now - since < policy.grace:
        draft.waiting.append(link)
        draft.grace_ends.append(since + policy.grace)
    elif back is not None:
        draft.ops.append(back)
        return None
    elif is_silent(told, policy):
        draft.dropped.append(link.key)
        draft.buried.append(buried(told, policy.on_removal, seen.now, counted=False))
        return told
    else:
        draft.ops.append(RemoveRemote(link, policy.on_removal))
    if link != old:  # without that tick: should the line come back, it has yet to come in
        draft.rows.append(link)
    return told if back is None else None


def _with_remote_tick(link: Link, item: RemoteItem) -> Link:
    """Return the link with a tick that was made in the app meanwhile: nothing is lost with it."""
    base = link.base
    if base is None or base.remote.completed or not item.fields.completed:
        return link
    return link.but(base=replace(base, remote=replace(base.remote, completed=True)))


def _back(draft: Draft, link: Link, item: RemoteItem | None) -> AddLocal | None:
    """Return the op that writes a removed line anew, if the app edited its item meanwhile.

    A finished one stays out, as others do, unless its item would go with what was edited.
    """
    policy = draft.policy
    if item is None or link.parked or not _is_edited(link, item.fields, policy):
        return None
    task = merge.decode(item.fields, policy.encoding)
    stays = policy.import_items != "all" and policy.on_removal != "delete"
    if not task.text or (task.completed and stays):
        return None
    after = link.but(
        seen=task,
        base=Base(task, item.fields),
        absent_since=None,
        failures=0,
        doubt=frozenset(),
    )
    return AddLocal(after, item, is_back=True)


def _is_edited(link: Link, now: Fields, policy: Policy) -> bool:
    """Return whether the app edited an item, not merely a request that was not answered.

    Where nothing is lost with the line, any of those counts for the whole.
    """
    if link.base is None or (link.doubt and policy.on_removal != "delete"):
        return False
    sent, agreed = merge.encode(link.seen, policy.encoding), link.base.remote
    return any(
        getattr(now, name) not in {getattr(agreed, name), getattr(sent, name)}
        if name in link.doubt
        else getattr(now, name) != getattr(agreed, name)
        for name in FIELDS
    )


def buried(link: Link, how: str, now: float, *, counted: bool) -> Tombstone:
    """Return the tombstone of a link whose removal took effect at ``now``.

    A line that was opened again did not go as a finished one, though Omi did not hear of it.
    One whose date the server keeps clears that anew when it is back.

    Raises:
        ValueError: the link was never settled, so there is nothing to bury.
    """
    if link.remote_id is None or link.base is None:
        raise ValueError(link.key)
    remote: Fields = link.base.remote
    if how == "complete":
        remote = replace(remote, completed=True)
    said = link.base.local
    said = replace(said, completed=said.completed and link.seen.completed)
    if link.clear_due and remote.due_at is not None:
        said = replace(said, due=remote.due_at.isoformat())  # as no line says it
    last = link.seen.text
    words = "" if match.normalised(last) == match.normalised(said.text) else last
    return Tombstone(link.key, link.remote_id, said, remote, how, now, counted, words)
