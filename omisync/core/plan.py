"""The decision table: what the file says, what the links say, what to do about it.

Rule: a plan is made from one observation and never resumed. Making it again
after everything in it took effect gives an empty plan.

| local        | base | remote                      | decision                       |
|--------------|------|-----------------------------|--------------------------------|
| x            | -    | -                           | AddRemote                      |
| x            | -    | x (same text, unlinked)     | Adopt                          |
| x            | -    | buried (tombstone)          | Revive                         |
| x edited     | x    | x same                      | ChangeRemote                   |
| x edited     | x    | gone, text or due edited    | AddRemote                      |
| x edited     | x    | gone, only completed edited | nothing: a tick loses nothing  |
| -            | x    | x same                      | RemoveRemote, by policy        |
| -            | x    | gone                        | forget                         |
| same as base |      |                             | nothing                        |

In push direction ``remote`` is taken to equal the remote half of the base.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from omisync.core import adopt, match, merge
from omisync.core.model import Base, Entry, Fields, Link, Patch, RemoteItem, Task, Tombstone

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from omisync.core.merge import Encoding

SMALL_REMOVAL = 5
"""This many removals are a person's afternoon, whatever their share."""
SMALL_LIST = 3
"""From this many tasks on, removing all of them is drastic."""
BATCH = 50
"""Items that one batch may hold (BatchActionItemsRequest, OpenAPI)."""
ROLLING = 3600.0
"""Seconds over which removals add up, so that a list cannot be emptied in slices."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the person configured. ``grace`` in seconds; ``max_removals`` a share 0..1."""

    encoding: Encoding
    on_removal: str = "complete"
    grace: float = 0.0
    max_removals: float = 0.5
    adopt: bool = True
    skip_completed: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that a plan is made from.

    ``links`` are ordered by rank. ``pending`` are the keys whose create is in
    flight or unknown. ``unlinked`` are remote items without a link, None when
    the server was not asked. ``now`` is in Unix seconds. ``blank`` says that the
    file holds nothing at all.
    """

    entries: Sequence[Entry]
    links: Sequence[Link]
    now: float
    tombstones: Sequence[Tombstone] = ()
    pending: Collection[str] = ()
    unlinked: Sequence[RemoteItem] | None = None
    blank: bool = False


@dataclass(frozen=True, slots=True)
class AddRemote:
    """Create an item for this entry. ``link`` is its row, still without remote id."""

    link: Link
    entry: Entry
    fields: Fields


@dataclass(frozen=True, slots=True)
class Adopt:
    """Link this entry with an item that the server already has."""

    link: Link
    entry: Entry
    item: RemoteItem


@dataclass(frozen=True, slots=True)
class ChangeRemote:
    """Send the edited fields of this entry."""

    link: Link
    entry: Entry
    patch: Patch


@dataclass(frozen=True, slots=True)
class Revive:
    """Link a line that came back with its former item; an empty patch needs no request."""

    link: Link
    entry: Entry
    tombstone: Tombstone
    patch: Patch


@dataclass(frozen=True, slots=True)
class RemoveRemote:
    """Complete or delete the item whose line is gone. ``how`` is the policy."""

    link: Link
    how: str


Op = AddRemote | Adopt | ChangeRemote | Revive | RemoveRemote


@dataclass(frozen=True, slots=True)
class Removal:
    """The removals a plan is about, as the removal guard counts them.

    ``count`` of ``total`` open tasks would be removed, ``recent`` of them
    already were within the hour.
    """

    count: int = 0
    recent: int = 0
    total: int = 0
    drastic: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps, in order.

    ``ops`` change a replica or the pairing. ``rows`` are links to write and
    ``dropped`` keys to delete without any request; ``buried`` are the tombstones
    of those that the server need not hear about. ``unsure`` are creates of unknown
    outcome, which the server is asked about first. ``waiting`` links are absent
    within their grace; ``grace_ends`` is the earliest end, in Unix seconds.
    """

    ops: tuple[Op, ...] = ()
    rows: tuple[Link, ...] = ()
    dropped: tuple[str, ...] = ()
    buried: tuple[Tombstone, ...] = ()
    parked: tuple[tuple[Link, Entry | None], ...] = ()
    waiting: tuple[Link, ...] = ()
    unsure: tuple[tuple[Link, Entry | None], ...] = ()
    grace_ends: float | None = None
    removal: Removal = field(default_factory=Removal)
    tasks: int = 0

    @property
    def creates(self) -> bool:
        """Return whether the server has to be read before this plan is run."""
        return any(isinstance(op, AddRemote) for op in self.ops)

    @property
    def notifications(self) -> int:
        """Return how many phone notifications Omi will send for this plan."""
        return sum(
            (isinstance(op, AddRemote) and op.fields.due_at is not None)
            or (isinstance(op, ChangeRemote | Revive) and op.patch.due_at is not None)
            for op in self.ops
        )


@dataclass(slots=True)
class _Draft:
    """A plan while it is being made, with what it is made from."""

    seen: Observation
    policy: Policy
    keys: Iterator[str]
    ops: list[Op] = field(default_factory=list)
    rows: list[Link] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    buried: list[Tombstone] = field(default_factory=list)
    parked: list[tuple[Link, Entry | None]] = field(default_factory=list)
    waiting: list[Link] = field(default_factory=list)
    unsure: list[tuple[Link, Entry | None]] = field(default_factory=list)
    grace_ends: list[float] = field(default_factory=list)


def make(seen: Observation, policy: Policy, keys: Iterator[str]) -> Plan:
    """Decide what to do about everything observed; new tasks take their key from ``keys``."""
    matching = match.pair(seen.entries, seen.links)
    paired = {entry: seen.links[link] for entry, link in matching.pairs}
    ranks = match.ranks([paired[n].rank if n in paired else None for n in range(len(seen.entries))])
    draft = _Draft(seen, policy, keys)
    fresh: list[tuple[Entry, int]] = []
    for number, entry in enumerate(seen.entries):
        if number in paired:
            _known(draft, entry, paired[number], ranks[number])
        else:
            fresh.append((entry, ranks[number]))
    _unknown(draft, fresh)
    removed = [seen.links[number] for number in matching.absent]
    for link in removed:
        _absent(draft, link)
    return Plan(
        ops=tuple(draft.ops),
        rows=tuple(draft.rows),
        dropped=tuple(draft.dropped),
        buried=tuple(draft.buried),
        parked=tuple(draft.parked),
        waiting=tuple(draft.waiting),
        unsure=tuple(draft.unsure),
        grace_ends=min(draft.grace_ends, default=None),
        removal=_removal(removed, seen, policy),
        tasks=len(seen.entries),
    )


def _known(draft: _Draft, entry: Entry, old: Link, rank: int) -> None:
    """Decide about an entry that has a link."""
    link = _unparked(_seen(old, entry, rank), entry.task, draft.seen.now)
    if link.parked is not None:
        draft.parked.append((link, entry))
    elif link.remote_id is None:
        if link.key in draft.seen.pending:
            draft.unsure.append((link, entry))
        elif link.base is None or _says_more(entry, link.base):
            draft.ops.append(_add(link, entry, draft.policy))
    else:
        patch = _patch(link, entry.task, draft.policy)
        if patch:
            draft.ops.append(ChangeRemote(link, entry, patch))
        elif link.base is not None and link.base.local != entry.task:
            link = link.but(base=replace(link.base, local=entry.task))
    if link is not old:
        draft.rows.append(link)


def _seen(old: Link, entry: Entry, rank: int) -> Link:
    """Return the link with the entry's place, untouched (the same object) if nothing moved."""
    if (
        old.seen == entry.task
        and old.section == entry.section
        and old.rank == rank
        and old.absent_since is None
    ):
        return old
    return old.but(seen=entry.task, section=entry.section, rank=rank, absent_since=None)


def _unparked(link: Link, task: Task | None, now: float) -> Link:
    """Return the link ready to be tried again, if the line changed or its time has come."""
    parked = link.parked
    if parked is None:
        return link
    due_again = parked.retry_at is not None and parked.retry_at <= now
    if parked.task != task or due_again:
        return link.but(parked=None, failures=0)
    return link


def _says_more(entry: Entry, base: Base) -> bool:
    """Return whether the line of a gone item was edited in a way that must not be lost."""
    return entry.task.text != base.local.text or entry.task.due != base.local.due


def _add(link: Link, entry: Entry, policy: Policy) -> AddRemote:
    return AddRemote(link, entry, merge.encode(entry.task, policy.encoding))


def _patch(link: Link, local: Task, policy: Policy) -> Patch:
    """Return what to send for a linked task; nothing for one that stands as agreed."""
    base = link.base
    if base is None or (base.local == local and not link.doubt):
        return Patch()
    patch = merge.outgoing(local, base, base.remote, policy.encoding)
    patch = merge.made_sure(patch, link.doubt, base.remote)
    if patch and link.clear_due and local.due is None:
        patch = replace(patch, clear_due=True)
    return patch


def _unknown(draft: _Draft, fresh: Sequence[tuple[Entry, int]]) -> None:
    """Decide about entries without a link: revive, adopt or create."""
    seen, policy = draft.seen, draft.policy
    graves = _Graves(seen)
    rest: list[tuple[Entry, int]] = []
    taken: set[str] = set()
    for entry, rank in fresh:
        stone = graves.claim(entry.task)
        if stone is None:
            rest.append((entry, rank))
        else:
            taken.add(stone.remote_id)
            draft.ops.append(_revive(stone, entry, rank, policy))
    found: dict[int, RemoteItem] = {}
    if seen.unlinked and policy.adopt:
        offered = [item for item in seen.unlinked if item.id not in taken]
        found = adopt.pairs([entry for entry, _ in rest], offered, policy.encoding)
    for number, (entry, rank) in enumerate(rest):
        item = found.get(number)
        if item is None and entry.task.completed and policy.skip_completed:
            continue
        link = Link(next(draft.keys), None, entry.task, entry.section, rank)
        if item is None:
            draft.ops.append(_add(link, entry, policy))
        else:
            draft.ops.append(Adopt(adopt.tied(link, item, policy.encoding), entry, item))


class _Graves:
    """The tombstones by text, each given out once, the latest first."""

    def __init__(self, seen: Observation) -> None:
        self.by_text: dict[str, list[Tombstone]] = defaultdict(list)
        if not seen.tombstones:
            return
        alive = {link.remote_id for link in seen.links}
        for stone in sorted(seen.tombstones, key=lambda stone: stone.removed_at):
            if stone.how != "delete" and stone.remote_id not in alive:
                self.by_text[match.normalised(stone.task.text)].append(stone)

    def claim(self, task: Task) -> Tombstone | None:
        """Return the grave that this line rises from.

        A finished line does not come back open: an open line of the same text is
        the next round of a recurring chore.
        """
        if not self.by_text:
            return None
        stones = self.by_text.get(match.normalised(task.text), [])
        for stone in reversed(stones):
            if task.completed or not stone.task.completed:
                stones.remove(stone)
                return stone
        return None


def _revive(stone: Tombstone, entry: Entry, rank: int, policy: Policy) -> Revive:
    left = replace(stone.task, completed=stone.remote.completed)
    base = Base(left, stone.remote)
    patch = merge.outgoing(entry.task, base, stone.remote, policy.encoding)
    link = Link(stone.key, stone.remote_id, entry.task, entry.section, rank, base)
    return Revive(link, entry, stone, patch)


def _absent(draft: _Draft, old: Link) -> None:
    """Decide about a link whose line is not in the file."""
    seen, policy = draft.seen, draft.policy
    if old.remote_id is None:
        if old.key in seen.pending:
            draft.unsure.append((old, None))
        else:
            draft.dropped.append(old.key)
        return
    since = old.absent_since
    if since is None or since > seen.now:  # a clock that jumped back starts the grace anew
        since = seen.now
    link = _unparked(old.but(absent_since=since), None, seen.now)
    if link.parked is not None:
        draft.parked.append((link, None))
    elif seen.now - since < policy.grace:
        draft.waiting.append(link)
        draft.grace_ends.append(since + policy.grace)
    elif _is_silent(link, policy):
        draft.dropped.append(link.key)
        draft.buried.append(buried(link, policy.on_removal, seen.now, counted=False))
        return
    else:
        draft.ops.append(RemoveRemote(link, policy.on_removal))
    if link != old:
        draft.rows.append(link)


def _is_silent(link: Link, policy: Policy) -> bool:
    """Return whether the server need not hear that this line is gone."""
    return policy.on_removal == "keep" or (
        policy.on_removal == "complete"
        and link.base is not None
        and link.base.remote.completed
        and "completed" not in link.doubt
    )


def buried(link: Link, how: str, now: float, *, counted: bool) -> Tombstone:
    """Return the tombstone of a link whose removal took effect at ``now``.

    Raises:
        ValueError: the link was never settled, so there is nothing to bury.
    """
    if link.remote_id is None or link.base is None:
        raise ValueError(link.key)
    remote = link.base.remote
    if how == "complete":
        remote = replace(remote, completed=True)
    return Tombstone(link.key, link.remote_id, link.base.local, remote, how, now, counted)


def _removal(removed: Sequence[Link], seen: Observation, policy: Policy) -> Removal:
    """Count what the removals would change on the server, and judge it.

    Absent lines count from the first look, before their grace ends: a truncated
    file also looks like edits, and those must not be sent meanwhile.
    """
    count = sum(_counts(link, policy) for link in removed)
    if not count:
        return Removal()
    recent = sum(
        stone.counted
        and stone.how == policy.on_removal
        and 0 <= seen.now - stone.removed_at < ROLLING
        for stone in seen.tombstones
    )
    total = recent + sum(_counts(link, policy) for link in seen.links)
    gone = count + recent
    drastic = (
        (gone > SMALL_REMOVAL and gone > policy.max_removals * total)
        or (gone == total and total >= SMALL_LIST)
        or seen.blank
    )
    return Removal(count, recent, total, drastic)


def _counts(link: Link, policy: Policy) -> bool:
    """Return whether removing this link would change the server."""
    return link.remote_id is not None and link.parked is None and not _is_silent(link, policy)


def grouped(ops: Sequence[AddRemote]) -> list[list[AddRemote]]:
    """Return the creates as the batches they are sent in.

    Each failure halves the batch a task may travel in, so that one poisonous
    task ends up alone instead of holding back 49 others.
    """
    by_size: dict[int, list[AddRemote]] = defaultdict(list)
    for op in ops:
        by_size[max(1, BATCH >> op.link.failures)].append(op)
    return [
        same[start : start + size]
        for size, same in sorted(by_size.items(), reverse=True)
        for start in range(0, len(same), size)
    ]
