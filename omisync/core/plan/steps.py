"""What a plan is made from, and what it is made of.

Rule: an op carries the link as it will be after the op has changed the file. What
the server answers is written into the link by whoever sent the request.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from omisync.core.model import BATCH_LIMIT, Base

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from omisync.core.merge import Encoding
    from omisync.core.model import (
        Clash,
        Entry,
        Fields,
        Link,
        Patch,
        RemoteItem,
        Task,
        Tombstone,
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """What the person configured. ``grace`` in seconds; ``max_removals`` a share 0..1.

    ``two_way`` tells that what Omi says reaches the file, if not now; those below it
    matter with a listing only. ``import_since`` is in Unix seconds; ``ids`` tells whether
    the ids of items are written into their lines.
    """

    encoding: Encoding
    on_removal: str = "complete"
    grace: float = 0.0
    max_removals: float = 0.5
    adopt: bool = True
    skip_completed: bool = False
    two_way: bool = False
    prefer: str = "local"
    on_remote_removal: str = "keep"
    import_items: str = "open"
    import_since: float | None = None
    ids: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that a plan is made from.

    ``links`` are ordered by rank. ``pending`` are the creates in flight or
    unknown: key to description. ``unlinked`` are remote items without a link,
    None when the server was not asked. ``listed`` are all items by id where the
    whole list was read, ``complete`` tells whether none can be missing from it. In a push
    ``read_whole`` tells that an item which ``unlinked`` lacks has to be asked for by its id.
    ``now`` is in Unix seconds. ``blank`` says that the file holds nothing at all,
    ``unread`` are lines that are no tasks for their box alone, in their order.
    ``unsaid`` are the fields, by key, that a line cannot be made to say as Omi does.
    """

    entries: Sequence[Entry]
    links: Sequence[Link]
    now: float
    tombstones: Sequence[Tombstone] = ()
    pending: Mapping[str, str] = field(default_factory=dict)
    unlinked: Sequence[RemoteItem] | None = None
    blank: bool = False
    listed: Mapping[str, RemoteItem] | None = None
    complete: bool = False
    read_whole: bool = False
    unread: Sequence[Entry] = ()
    unsaid: Mapping[str, frozenset[str]] = field(default_factory=dict)


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

    @property
    def differs(self) -> bool:
        """Return whether line and item still differ in what one of them says."""
        base = self.link.base
        return base is not None and base != Base(self.entry.task, self.item.fields)


@dataclass(frozen=True, slots=True)
class ChangeRemote:
    """Send the edited fields of this entry."""

    link: Link
    entry: Entry
    patch: Patch


@dataclass(frozen=True, slots=True)
class Revive:
    """Link a line that came back with its former item; an empty patch needs no request.

    ``unproven`` is one of an open item that was left in Omi and may be gone by now, or of
    which another may say what the line says: it is not done before that is known.
    """

    link: Link
    entry: Entry
    tombstone: Tombstone
    patch: Patch
    unproven: bool = False

    @property
    def is_silent(self) -> bool:
        """Return whether it needs no request."""
        return not self.patch and not self.unproven


@dataclass(frozen=True, slots=True)
class RemoveRemote:
    """Complete or delete the item whose line is gone. ``how`` is the policy."""

    link: Link
    how: str


@dataclass(frozen=True, slots=True)
class ChangeLocal:
    """Let this line say ``task``, and the item's id where one is to be written."""

    link: Link
    entry: Entry
    task: Task
    explicit_id: str | None = None
    why: str = "changed in Omi"


@dataclass(frozen=True, slots=True)
class AddLocal:
    """Write a line for this item; the task is ``link.seen``.

    ``is_back`` tells that it had one, which was removed while the item was edited.
    """

    link: Link
    item: RemoteItem
    explicit_id: str | None = None
    is_back: bool = False


@dataclass(frozen=True, slots=True)
class RemoveLocal:
    """Take out the line of an item that is proven gone."""

    link: Link
    entry: Entry


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask for an item that the list no longer shows: only a 404 proves that it is gone."""

    link: Link
    entry: Entry


@dataclass(frozen=True, slots=True)
class DropTwin:
    """Delete the later of two items that two machines made of one line.

    ``link`` is not one of the ID map: its key is the tombstone's.
    """

    link: Link
    stone: Tombstone


RemoteOp = AddRemote | Adopt | ChangeRemote | Revive | RemoveRemote | Probe | DropTwin
LocalOp = ChangeLocal | AddLocal | RemoveLocal
Op = RemoteOp | LocalOp


@dataclass(frozen=True, slots=True)
class Removal:
    """The removals a plan is about, as the removal guard counts them.

    ``count`` of the open tasks would be removed, ``recent`` more already were
    within the hour; ``total`` are all of them, those too. ``finished`` tells that
    finished tasks count as open ones do, since their items would be deleted.
    """

    count: int = 0
    recent: int = 0
    total: int = 0
    drastic: bool = False
    finished: bool = False

    @property
    def share(self) -> str:
        """Return how many of how many, such as ``8 of 16 tasks that are open in Omi``."""
        are = "" if self.finished else "open "
        return f"{self.count} of {self.remaining} tasks that are {are}in Omi"

    @property
    def lately(self) -> str:
        """Return what follows the share where removals of the hour count too, else nothing."""
        return f" ({self.recent} more within the last hour)" if self.recent else ""

    @property
    def remaining(self) -> int:
        """Return how many of the tasks that count are not removed yet."""
        return self.total - self.recent


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps, in order.

    ``ops`` change a replica or the pairing. ``rows`` are links to write and
    ``dropped`` keys to delete without any request; ``buried`` are the tombstones
    of those that the server need not hear about. ``unsure`` are creates of unknown
    outcome, which the server is asked about first. ``waiting`` links are absent
    within their grace; ``grace_ends`` is the earliest end, in Unix seconds.
    ``departure`` counts the lines that would be taken out or ticked because their
    items are gone, ``clashes`` are the values that give way, ``strays`` the lines that
    name another item's id, ``mute`` counts the items without a line whose text none can
    hold, ``unheard`` are the lines of such items.
    ``beside`` counts those that may be the item of a line which lacks one, ``deferred`` are
    new lines that may be those of another line's item. ``later`` tells that time alone may
    change the decision. ``ranks`` are those of all entries, in their order, where the whole
    list was read.
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
    departure: Removal = field(default_factory=Removal)
    clashes: tuple[Clash, ...] = ()
    strays: tuple[Entry, ...] = ()
    unheard: tuple[Entry, ...] = ()
    mute: int = 0
    beside: int = 0
    deferred: tuple[Entry, ...] = ()
    later: bool = False
    tasks: int = 0
    ranks: Sequence[int] = ()

    def without(self, keys: AbstractSet[str]) -> Plan:
        """Return the plan as if nothing was to be done about the tasks of these keys."""
        return replace(
            self,
            ops=tuple(op for op in self.ops if op.link.key not in keys),
            rows=tuple(link for link in self.rows if link.key not in keys),
        )

    @property
    def creates(self) -> bool:
        """Return whether anything is to be created."""
        return any(isinstance(op, AddRemote) for op in self.ops)

    @property
    def adoptions(self) -> tuple[Adopt, ...]:
        """Return the lines that are linked with what the server already has."""
        return tuple(op for op in self.ops if isinstance(op, Adopt))

    @property
    def requests(self) -> tuple[Op, ...]:
        """Return the ops that need a request, or that something is known first."""
        return tuple(
            op
            for op in self.ops
            if not isinstance(op, Adopt | LocalOp) and not (isinstance(op, Revive) and op.is_silent)
        )

    @property
    def unproven(self) -> tuple[Revive, ...]:
        """Return the lines of which nobody knows yet whether their item is there."""
        return tuple(op for op in self.ops if isinstance(op, Revive) and op.unproven)

    @property
    def changes(self) -> tuple[Op, ...]:
        """Return the ops that are sent as they are, each by itself."""
        return tuple(
            op
            for op in self.requests
            if not isinstance(op, AddRemote) and not (isinstance(op, Revive) and op.unproven)
        )

    @property
    def local(self) -> tuple[LocalOp, ...]:
        """Return the ops that change the file."""
        return tuple(op for op in self.ops if isinstance(op, LocalOp))

    @property
    def arrivals(self) -> int:
        """Return how many lines the file would get."""
        return sum(isinstance(op, AddLocal) for op in self.ops)

    @property
    def notifications(self) -> int:
        """Return how many phone notifications Omi will send for this plan."""
        return sum(
            (isinstance(op, AddRemote) and op.fields.due_at is not None)
            or (isinstance(op, ChangeRemote | Revive) and op.patch.due_at is not None)
            for op in self.ops
        )


@dataclass
class Draft:
    """A plan while it is being made, with what it is made from.

    ``standing`` are the links that have a line, if the list of items was read.
    ``departing`` are the links whose line would be removed or ticked because its item
    is gone. The others are lines: ``unmade`` wait for their item to be created, parked
    ones too; the item of ``orphans`` is gone and may have come back under another id;
    that of ``missing`` is no longer in the list; ``strays`` name another item's id, ``unheard``
    cannot say the text of theirs.
    ``unread`` have no link, and a box that means nothing; ``deferred`` are new, and say
    what an item of another line says.
    """

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
    clashes: list[Clash] = field(default_factory=list)
    standing: list[Link] = field(default_factory=list)
    departing: list[Link] = field(default_factory=list)
    unmade: list[tuple[Link, Entry]] = field(default_factory=list)
    orphans: list[tuple[Link, Entry]] = field(default_factory=list)
    missing: list[tuple[Link, Entry]] = field(default_factory=list)
    strays: list[Entry] = field(default_factory=list)
    unheard: list[Entry] = field(default_factory=list)
    unread: list[Entry] = field(default_factory=list)
    deferred: list[Entry] = field(default_factory=list)
    mute: int = 0
    beside: int = 0
    later: bool = False

    @cached_property
    def unlinked(self) -> frozenset[str]:
        """The ids of the items without a link."""
        return frozenset(item.id for item in self.seen.unlinked or ())

    def item(self, link: Link) -> RemoteItem | None:
        """Return the item of a link as the list shows it, if it was read and does."""
        listed = self.seen.listed
        return None if listed is None or link.remote_id is None else listed.get(link.remote_id)


def grouped(ops: Sequence[AddRemote]) -> list[list[AddRemote]]:
    """Return the creates as the batches they are sent in.

    Each failure halves the batch a task may travel in, so that one poisonous
    task ends up alone instead of holding back 49 others.
    """
    by_size: dict[int, list[AddRemote]] = defaultdict(list)
    for op in ops:
        by_size[max(1, BATCH_LIMIT >> op.link.failures)].append(op)
    return [
        same[start : start + size]
        for size, same in sorted(by_size.items(), reverse=True)
        for start in range(0, len(same), size)
    ]
