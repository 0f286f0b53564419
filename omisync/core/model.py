"""The nouns of omisync: values that every other module passes around.

Rule: a task is known in two encodings and they are never compared with each
other. ``Task`` is what a line of the file says; ``Fields`` is what the server
stores. *Local edited* compares two ``Task``; *remote edited* two ``Fields``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

DESCRIPTION_LIMIT = 500
"""Code points that a description may have (CreateActionItemRequest, OpenAPI)."""

BATCH_LIMIT = 50
"""Items that one batch may hold (BatchActionItemsRequest, OpenAPI)."""

ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
"""A sign as formatters write one that Markdown could take for markup."""
WRITABLE_ID = re.compile(r"[A-Za-z0-9_-]+")
"""An id that ``omi:ID`` in a line can hold; the ids of Omi are opaque."""

BOM = b"\xef\xbb\xbf"
"""The byte order mark that some editors put at the start of a UTF-8 file."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task in the local encoding: what one line of the file says.

    ``text`` is the whole text, however long. ``due`` is the canonical value of
    the due token as written, not an instant: ``2026-01-31``,
    ``2026-01-31T17:00`` or ``2026-01-31T17:00+02:00``. It changes only when the
    person changes the token, not when the time zone of the machine does.
    """

    text: str
    completed: bool = False
    due: str | None = None

    @property
    def quoted(self) -> str:
        """Return the text as a sentence has it; nothing of it is escaped."""
        return f"“{self.text}”"


@dataclass(frozen=True, slots=True)
class Fields:
    """A task in the remote encoding: what the server stores.

    ``description`` is stripped and has 1..500 code points in what we send; in a
    reply it may have more. ``due_at`` is an aware datetime in UTC.
    """

    description: str
    completed: bool = False
    due_at: datetime | None = None


FIELDS = ("description", "completed", "due_at")
"""The fields that travel (UpdateActionItemRequest, OpenAPI)."""
PARTS = {"due_at": "due", "description": "text", "completed": "completed"}
"""What they are of a task; first what is sooner left out where a line cannot say all."""


@dataclass(frozen=True, slots=True)
class Patch:
    """The fields of an item that are to change; None means unchanged.

    ``clear_due`` sends ``due_at: null`` and excludes ``due_at``.
    """

    description: str | None = None
    completed: bool | None = None
    due_at: datetime | None = None
    clear_due: bool = False

    def __bool__(self) -> bool:
        """Return whether anything is to change (an empty PATCH answers 422)."""
        return self != Patch()

    @property
    def names(self) -> frozenset[str]:
        """Return the names of the fields that are to change."""
        due = self.due_at is not None or self.clear_due
        given = (self.description is not None, self.completed is not None, due)
        return frozenset(name for name, is_given in zip(FIELDS, given, strict=True) if is_given)

    @classmethod
    def unchanging(cls, fields: Fields) -> Patch:
        """Return one field as an item has it, to learn whether the item exists.

        "Open" of an open item changes nothing and rings no phone. "Finished" would stamp
        a finished one anew, so its text is said, if it has one that can be sent.
        """
        if fields.completed and 0 < len(fields.description) <= DESCRIPTION_LIMIT:
            return cls(description=fields.description)
        return cls(completed=fields.completed)

    def beyond(self, fields: Fields) -> Patch:
        """Return the patch without the description and completion that an item has already."""
        return Patch(
            None if self.description == fields.description else self.description,
            None if self.completed == fields.completed else self.completed,
            self.due_at,
            self.clear_due,
        )


@dataclass(frozen=True, slots=True)
class RemoteItem:
    """An action item as a reply showed it."""

    id: str
    fields: Fields
    created_at: datetime | None = None

    @property
    def made_at(self) -> float | None:
        """Return when the server made the item, in Unix seconds."""
        return None if self.created_at is None else self.created_at.timestamp()

    @property
    def age_order(self) -> tuple[float, str]:
        """Return what sorts items the oldest first, and those without a time last."""
        return (math.inf if self.made_at is None else self.made_at, self.id)


@dataclass(frozen=True, slots=True)
class Listing:
    """One reading of the server's items, and whether it is provably complete.

    ``cut`` tells that the server surely has more, which no request can show or too many would,
    ``unreadable`` that some of what it showed makes no sense.
    """

    items: tuple[RemoteItem, ...]
    complete: bool
    cut: bool = False
    unreadable: bool = False


class Span(NamedTuple):
    """A half-open range of byte offsets into the todo file."""

    start: int
    end: int


class Entry(NamedTuple):
    """A task as it stands in the file, with its place.

    ``line`` is 1-based. ``section`` is the path of headings above it, joined
    with ``" > "`` (empty in TOML). ``explicit_id`` is a remote id that the
    person wrote. ``span`` covers the bytes from the bullet or table header to
    the end of the text; ``box`` the mark inside the checkbox; ``text_spans``
    the pieces of the first paragraph, one for each line; ``due_span`` the due
    token. The last three are None or empty where the format has no such place.
    """

    task: Task
    line: int
    section: str = ""
    explicit_id: str | None = None
    span: Span = Span(0, 0)
    box: Span | None = None
    text_spans: tuple[Span, ...] = ()
    due_span: Span | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something in the file that a person should look at; never an error.

    ``passing`` is one of what is about to happen, which a later plan does not know of;
    its message quotes nothing of the file. ``unread`` is what a line would be, as an open
    task, that is none for its box alone.
    """

    line: int
    message: str
    passing: bool = False
    unread: Entry | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """The todo file, read: its bytes, its tasks in order, its warnings."""

    source: bytes
    entries: Sequence[Entry]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become of one entry: another task, or nothing where ``task`` is None.

    ``explicit_id`` takes the place of the entry's, if it has one; None leaves that.
    """

    entry: Entry
    task: Task | None
    explicit_id: str | None = None


@dataclass(frozen=True, slots=True)
class Addition:
    """A task that is to get a place in the file, with the id to write beside it, if any."""

    task: Task
    explicit_id: str | None = None


@dataclass(frozen=True, slots=True)
class Rewriting:
    """The file with changes and additions in it, read again.

    ``changed`` and ``added`` have, for each change and each addition, the index
    of its entry in ``document``; None where it was removed or is refused.
    ``refused`` are those that cannot be written so that the file reads back as
    it should; the bytes are as if they had not been asked for.
    """

    document: Document
    changed: tuple[int | None, ...]
    added: tuple[int | None, ...]
    refused: tuple[Change | Addition, ...] = ()

    @classmethod
    def of(
        cls,
        document: Document,
        changes: Sequence[Change],
        additions: Sequence[Addition],
        places: Mapping[int, int],
        kept: Collection[int],
    ) -> Rewriting:
        """Return what came of changes and additions, which are numbered through in this order.

        ``places`` has the index of the entry for each number that has one, ``kept``
        the numbers of those that were written.
        """
        every: tuple[Change | Addition, ...] = (*changes, *additions)
        found = tuple(places.get(number) for number in range(len(every)))
        refused = tuple(what for number, what in enumerate(every) if number not in kept)
        return cls(document, found[: len(changes)], found[len(changes) :], refused)


@dataclass(frozen=True, slots=True)
class Base:
    """The task as both replicas last agreed on it, in both encodings."""

    local: Task
    remote: Fields


@dataclass(frozen=True, slots=True)
class Parked:
    """Why a task waits for its person: the server refused it.

    ``status`` is the HTTP status, 0 where there was none. ``task`` is the local
    encoding that was refused, None for a removal; any other encoding is tried
    again. ``since`` and ``retry_at`` are in Unix seconds; None never retries.
    """

    status: int
    reason: str
    since: float
    task: Task | None
    retry_at: float | None = None


EXISTENCE = "existence"
"""The doubt whether an item is still there: its deletion may have come through."""


LET_GO = -1
"""``Link.missing``: the item is proven gone and the policy has been applied."""


@dataclass(frozen=True, slots=True)
class Clash:
    """Two new values for one field, one of which had to give way.

    ``field`` is a name of ``FIELDS``, ``lost`` the side whose value gave way
    (``"local"`` or ``"remote"``). Both values are in the local encoding: a text,
    ``"done"`` or ``"open"``, a canonical due value or nothing.
    """

    key: str
    text: str
    field: str
    lost: str
    kept_value: str
    lost_value: str


class Link(NamedTuple):
    """One row of the ID map: our key for a task, and the server's id for it.

    ``seen`` is the line as last read, which identity compares; it runs ahead of
    ``base`` while a change waits. ``rank`` orders the rows as the file had them.

    Without ``remote_id`` the row is a key on its way: never created yet
    (``base`` is None), or created once and proven gone (``base`` is kept, so
    that an edit of the line can beat the deletion).

    ``doubt`` names what a request that was sent, and not answered, may have
    changed on the server: fields of ``Patch``, or ``EXISTENCE``.

    ``missing`` counts the complete listings in a row without the item, up to two; ``LET_GO``
    stands for a gone item whose line needs nothing more. ``probed_at`` is when the
    server last showed that an unlisted item is still there, ``made_at`` when it
    made an item that we created; both in Unix seconds.
    """

    key: str
    remote_id: str | None
    seen: Task
    section: str = ""
    rank: int = 0
    base: Base | None = None
    absent_since: float | None = None
    clear_due: bool = False
    failures: int = 0
    parked: Parked | None = None
    doubt: frozenset[str] = frozenset()
    missing: int = 0
    probed_at: float | None = None
    made_at: float | None = None

    @property
    def is_absent(self) -> bool:
        """Return whether its line was not in the file when that was last read."""
        return self.absent_since is not None

    def but(self, **changes: object) -> Link:
        """Return this link with some fields replaced."""
        return self._replace(**changes)  # type: ignore[arg-type]  # the caller's fields


class Intent(NamedTuple):
    """A create, written down before it is sent.

    ``fields`` are exactly what is sent, ``task`` is the line it came from.
    ``known_ids`` are the remote items that had this description before, which
    therefore cannot be ours. ``server_date`` is the ``Date`` of the last reply
    before sending, ``sent_at`` our own clock; both in Unix seconds. ``failure``
    names what came instead of a usable reply (None while in flight):
    ``"5xx"``, ``"dropped"``, ``"timeout"``, or ``"unlisted"`` for a success
    that left this item out. ``looks`` counts the fruitless looks since then.
    ``section`` and ``rank`` are the place of the line, as in ``Link``.
    """

    key: str
    group: str
    fields: Fields
    task: Task
    known_ids: tuple[str, ...]
    server_date: float
    sent_at: float
    failure: str | None = None
    failed_at: float | None = None
    looks: int = 0
    section: str = ""
    rank: int = 0

    @property
    def link(self) -> Link:
        """Return the link of a task of which nothing else is known: a key on its way."""
        return Link(self.key, None, self.task, self.section, self.rank)


TOMBSTONE_SECONDS = 90 * 86400.0
"""How long the line of a removed task can come back as the same item."""
GONE_SECONDS = 120.0
"""How long a list is not believed that has what was gone twice, from then on."""
GONE, TWIN, FORGOTTEN = "gone", "twin", "forgotten"
"""`Tombstone.how` beside the policies: the item was deleted in the app; it is one that a race
made twice and is to be deleted; its removal was given up, and no line is made of it again."""
LEFT_IN_OMI = ("complete", "keep", FORGOTTEN)
"""`Tombstone.how` of tasks whose item is left in Omi: a line can come back as the same one."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A removed task, kept so that its line can come back as the same item.

    ``remote`` is the item as the removal left it. ``how`` is the policy that
    was applied (complete, delete or keep), or one of those above. ``removed_at`` is, of a
    twin, from when it may be deleted. ``counted`` tells whether the removal counts for the
    removal guard. ``words`` is the line's last text where Omi did not hear of it, else empty.
    """

    key: str
    remote_id: str
    task: Task
    remote: Fields
    how: str
    removed_at: float
    counted: bool = True
    words: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """The time before which one bucket (``read`` or ``write``) must not be called.

    Times in Unix seconds. ``limit`` is the server's ``X-RateLimit-Limit``, if told.
    """

    bucket: str
    set_at: float
    retry_after: float
    limit: int | None = None

    def wait(self, now: float) -> float:
        """Return the seconds still to wait at ``now``, 0 when the gate is open.

        A clock that jumped back never makes the wait longer than the server asked.
        """
        if now < self.set_at:
            return self.retry_after
        return max(0.0, self.set_at + self.retry_after - now)
