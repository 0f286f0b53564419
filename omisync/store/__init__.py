"""Everything that must survive a power cut: the ID map, intents, gates, history.

Rule: what the store says happened, happened. Each settled op is one transaction;
what a power cut must not take waits for the disk. A store that cannot be read in
full is refused, never taken for empty.

- ``coding``   how the nouns of core stand in rows
- ``kinds``    what each column and note may hold
- ``notes``    the notes that are tables or lists
- ``schema``   the tables, and how an older store becomes one of today
- ``rows``     the links in order, each read when it is looked at
- ``batches``  the intents
- ``opening``  a store as a file, and what SQLite says of it in words
- ``holding``  who may write to a store
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

from omisync.core.model import LEFT_IN_OMI, TOMBSTONE_SECONDS
from omisync.errors import StoreBusy, StoreUnusable
from omisync.store import batches, coding, kinds
from omisync.store.holding import Instead, check_place, holder, is_there, lock
from omisync.store.notes import Writing
from omisync.store.opening import (
    connect,
    create,
    damaged,
    identity,
    is_at_rest,
    is_ours,
    make_private,
    mapped,
    reading,
)
from omisync.store.rows import Rows, among, parts
from omisync.store.schema import APPLICATION_ID, SCHEMA, VERSION, migration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from omisync.core.model import Clash, Gate, Intent, Link, Tombstone
    from omisync.core.unchanged import LazySequence
    from omisync.store.notes import Note

__all__ = ["Clashed", "Event", "Instead", "Store", "Writing", "check_place", "holder", "lock"]

HISTORY_SECONDS = 90 * 86400.0
HISTORY_ROWS = 50_000
OWNER = ("base_url", "fingerprint")
"""Notes that tell the server and the account that all links are of."""
LOG_PAGES = 4_000
"""Of 4 kB, after which the write-ahead log is folded in: each time waits for the disk twice."""
PRUNE_EVERY = 1_000
"""History rows between two prunings: keeps the cost of one edit constant."""

N = TypeVar("N", bound="Note")


class Event(NamedTuple):
    """One line of the history: what happened (``noun.verb``), to which task, and why."""

    at: float
    event: str
    text: str = ""
    key: str | None = None
    remote_id: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Clashed:
    """A clash as it is remembered; ``number`` is what a person names it by."""

    number: int
    at: float
    clash: Clash
    restored_at: float | None = None


class Store:
    """An open store. Use ``with Store.open(path)``; one writer at a time, see ``lock``."""

    def __init__(
        self, path: Path, db: sqlite3.Connection, trace: Callable[[str], None] | None = None
    ) -> None:
        self.path = path
        self._db = db
        self._trace = trace
        self._unpruned = 0
        self._rows: Rows | None = None
        self._version = VERSION
        self._identity = identity(path)

    @classmethod
    def open(cls, path: Path, *, trace: Callable[[str], None] | None = None) -> Store:
        """Open the store, creating it (mode 0600) where there is none.

        ``trace`` is called with ``"store.commit"`` after each durable commit, with
        ``"store.write"`` after one that a power cut may undo.

        Raises:
            StoreUnusable: it is damaged, of a newer version, or not writable.
            StoreBusy: another process holds the file, or the disk is full.
            NoRoom: the disk is too full to make it.
        """
        if not is_there(path):
            create(path)
        if is_ours(path):
            make_private(path)
        store = cls(path, connect(path, "rw"), trace)
        try:
            version = store._check(thorough=True)
            with mapped(path):
                store._db.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
            if version < VERSION:
                store._migrate(version)
            else:
                store._check_content()
        except BaseException:
            store.close()
            raise
        return store

    def _migrate(self, version: int) -> None:
        """Make the store one of today: all of it, or nothing where it turns out to be damaged."""
        with reading(self.path):
            intents = batches.read(self._db, version)
        with self.transaction():
            for statement in migration(version):
                self._db.execute(statement)
            batches.put(self._db, intents)
            self._check_content()

    @classmethod
    def peek(cls, path: Path, *, thorough: bool = False) -> Store | None:
        """Open the store for reading only, beside whoever writes it; None if there is none.

        ``thorough`` checks all of it, as ``open`` does.

        Raises:
            StoreUnusable: it is damaged or of a newer version.
            StoreBusy: another process holds the file.
        """
        if not is_there(path):
            return None
        rests = is_at_rest(path)
        try:
            # Not mode=ro: that would leave the files of the write-ahead log behind.
            return cls._peeked(path, "rw", thorough=thorough)
        except (StoreBusy, StoreUnusable) as error:
            # Reading makes files, too; without them, where it must be, nothing may be written.
            if not rests or (isinstance(error, StoreUnusable) and error.damaged):
                raise
            return cls._peeked(path, "ro&immutable=1", thorough=thorough)

    @classmethod
    def _peeked(cls, path: Path, mode: str, *, thorough: bool) -> Store:
        store = cls(path, connect(path, mode))
        try:
            with mapped(path):
                store._db.execute("PRAGMA query_only=1")
            store._version = store._check(thorough=thorough)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def readable(cls, path: Path) -> tuple[list[Link], dict[str, object]]:
        """Return what a damaged store still tells for certain: links to items, and whose they are.

        That is nothing where its structure is damaged, or its owner unknown.
        """
        with contextlib.suppress(StoreUnusable):
            store = cls.peek(path, thorough=True)
            if store is not None:
                with store:
                    return store.left()
        return [], {}

    def left(self) -> tuple[list[Link], dict[str, object]]:
        """Return what ``readable`` does, of this store; raises ``StoreUnusable``."""
        links: list[Link] = []
        owner = {name: self.fact(name) for name in OWNER}
        with reading(self.path):
            for row in self._db.execute("SELECT * FROM links WHERE remote_id IS NOT NULL"):
                with contextlib.suppress(ValueError, TypeError):
                    links.append(coding.link(row))
        return (links, owner) if all(owner.values()) else ([], {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store; the last one to close folds the write-ahead log in."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def is_in_place(self) -> bool:
        """Return whether what was opened is still the file at ``path``, and not another or none."""
        return identity(self.path) == self._identity

    def shrink(self) -> None:
        """Give back the memory that holds pages of the file (PRAGMA shrink_memory, SQLite)."""
        self._db.execute("PRAGMA shrink_memory")

    def _check(self, *, thorough: bool) -> int:
        """Return the version of the store, after making sure that it is one of ours."""
        with reading(self.path):  # a verdict on damage can quote bytes that are no text
            (application,) = self._db.execute("PRAGMA application_id").fetchone()
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if application != APPLICATION_ID:
                found = {name for name, *_ in kinds.tables(self._db)}
                if found and not found & {"links", "intents"}:
                    raise StoreUnusable(
                        f"The state store {self.path} is the database of another program",
                        "Name another path under [state]; nothing was changed.",
                    )
                damaged(self.path, "it is not an omisync store")
            if version > VERSION:
                raise StoreUnusable(
                    f"The state store {self.path} was written by a newer omisync"
                    f" (format {version}; this one knows {VERSION})",
                    "Install that newer omisync again; nothing was changed.",
                )
            if thorough:
                # Not quick_check: the index of remote ids vouches for those in the rows.
                (verdict,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
                if verdict != "ok":
                    damaged(self.path, str(verdict))
        return int(version)

    def _check_content(self) -> None:
        """Find damage in schema and notes now, not when a create that went out is to be settled."""
        with reading(self.path), contextlib.closing(sqlite3.connect(":memory:")) as fresh:
            fresh.executescript(SCHEMA)
            if kinds.tables(self._db) != kinds.tables(fresh):
                damaged(self.path, "its tables are not as they were made")
        with reading(self.path):
            names = self._db.execute("SELECT name FROM meta").fetchall()
        for (name,) in names:
            self.fact(name)

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[None]:
        """Make everything inside durable at once, or none of it.

        What is not ``durable`` outlives this process, but a power cut only if a
        durable transaction came after it: it does not wait for the disk.
        """
        with mapped(self.path):
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._rows = None
                with contextlib.suppress(sqlite3.Error):  # a full disk rolls back by itself
                    self._db.execute("ROLLBACK")
                raise
        if self._trace is not None:
            self._trace("store.commit" if durable else "store.write")

    def check_usable(self) -> None:
        """Make sure that a store that is looked at could be opened and written to; nothing is.

        Raises:
            StoreBusy: another program holds it for longer than SQLite waits.
            StoreUnusable: it is damaged, or cannot be written.
        """
        if self._version == VERSION:  # else its tables are made anew when it is opened
            self._check_content()
        with mapped(self.path):
            self._db.execute("PRAGMA query_only=0")  # which would forbid to ask
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute("ROLLBACK")
            finally:
                self._db.execute("PRAGMA query_only=1")

    def links(self) -> LazySequence[Link]:
        """Return all links in the order of the file when last seen, each read when looked at.

        They are to be looked at while the store is open.
        """
        with reading(self.path), self._at_one_moment():
            (since,) = self._db.execute("PRAGMA data_version").fetchone()  # of others' writes
            if self._rows is None or self._rows.since != since:
                checked, carried = partial(reading, self.path), (i.link for i in self.intents())
                self._rows = Rows(
                    self._db, checked, version=self._version, since=since, carried=carried
                )
            return self._rows.links()

    @contextlib.contextmanager
    def _at_one_moment(self) -> Iterator[None]:
        """Let all that is read inside be of one moment, whatever another process writes."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            with contextlib.suppress(sqlite3.Error):  # what went wrong inside is what is told
                self._db.execute("ROLLBACK")

    def remote_ids(self) -> set[str]:
        """Return the ids of all items that have a link."""
        with reading(self.path):
            rows = self._db.execute("SELECT remote_id FROM links WHERE remote_id IS NOT NULL")
            return {remote_id for (remote_id,) in rows}

    def is_linked(self) -> bool:
        """Return whether any item has a link, without reading all ids."""
        with reading(self.path):
            query = "SELECT EXISTS (SELECT 1 FROM links WHERE remote_id IS NOT NULL)"
            return bool(self._db.execute(query).fetchone()[0])

    def parked(self) -> tuple[Link, ...]:
        """Return the links of the parked tasks, in the order of the file when last seen."""
        with reading(self.path):
            rows = self._db.execute(
                "SELECT * FROM links WHERE parked IS NOT NULL ORDER BY rank, key"
            )
            return tuple(coding.link(row) for row in rows)

    def put_links(self, links: Iterable[Link]) -> None:
        """Write links, new or changed; call inside ``transaction``."""
        links = [*links]
        rows = [coding.link_row(link) for link in links]
        # Not INSERT OR REPLACE: a second link to one remote id must fail, not
        # silently replace the first.
        self._delete("links", [link.key for link in links])
        self._put("links", rows, "INSERT")
        self._rows = self._rows and self._rows.updated(rows)

    def drop_links(self, keys: Iterable[str]) -> None:
        """Delete links by key; call inside ``transaction``."""
        gone = [*keys]
        self._rows = None if gone else self._rows
        self._delete("links", gone)

    def intents(self) -> list[Intent]:
        """Return the intents in the order they were sent."""
        with reading(self.path):
            return batches.read(self._db, self._version)

    def put_intents(self, intents: Iterable[Intent]) -> None:
        """Write intents, new or changed; call inside ``transaction``.

        One whose key has no link is read as a link, too, until it has one.
        """
        self._rows = None
        batches.put(self._db, intents)

    def drop_intents(self, keys: Iterable[str]) -> None:
        """Delete intents by key, with the links that they carry; call inside ``transaction``."""
        if batches.drop(self._db, keys):
            self._rows = None

    def withdraw(self, intents: Iterable[Intent]) -> None:
        """Delete intents of which nothing came; their links stay; call inside ``transaction``."""
        links = [intent.link for intent in intents]
        self._put("links", map(coding.link_row, links), "INSERT OR IGNORE")
        self.drop_intents(link.key for link in links)

    def tombstones(self, now: float, *, kept: bool = False) -> list[Tombstone]:
        """Return the tombstones younger than 90 days at ``now`` (Unix seconds).

        ``kept`` asks for those of items that are still in Omi at any age: what was taken
        out of the file does not come back because time went by.
        """
        with reading(self.path):
            rows = self._db.execute(
                f"SELECT * FROM tombstones WHERE removed_at > ? OR (? AND how IN {LEFT_IN_OMI})",  # noqa: S608 - our own words
                (now - TOMBSTONE_SECONDS, kept),
            )
            return [coding.tombstone(row) for row in rows]

    def tombstone(self, key: str) -> Tombstone | None:
        """Return the tombstone with this key, None where there is none."""
        with reading(self.path):
            rows = self._db.execute("SELECT * FROM tombstones WHERE key = ?", (key,))
            return next(map(coding.tombstone, rows), None)

    def put_tombstones(self, tombstones: Iterable[Tombstone]) -> None:
        """Write tombstones; call inside ``transaction``."""
        self._put("tombstones", map(coding.tombstone_row, tombstones))

    def drop_tombstones(self, keys: Iterable[str]) -> None:
        """Delete tombstones by key; call inside ``transaction``."""
        self._delete("tombstones", [*keys])

    def gates(self) -> dict[str, Gate]:
        """Return the gates by bucket, open ones included."""
        with reading(self.path):
            rows = self._db.execute("SELECT * FROM gates")
            return {row[0]: coding.gate(row) for row in rows}

    def put_gate(self, gate: Gate) -> None:
        """Write one gate; call inside ``transaction``."""
        self._put("gates", [(gate.bucket, gate.set_at, gate.retry_after, gate.limit)])

    def drop_gates(self) -> None:
        """Forget which buckets are shut; call inside ``transaction``."""
        self._db.execute("DELETE FROM gates")

    def record_clashes(self, at: float, clashes: Iterable[Clash]) -> list[Clash]:
        """Remember values that give way; return those that were not yet; call in ``transaction``.

        ``at`` is in Unix seconds. The same values within an hour are the same clash, unless
        it was put back: a cycle that is repeated adds nothing.
        """
        fresh = []
        for c in clashes:
            done = self._db.execute(
                "INSERT INTO clashes (at, key, text, field, lost, kept_value, lost_value)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (key, field, kept_value, lost_value)"
                " DO UPDATE SET at = excluded.at, restored_at = NULL"
                " WHERE excluded.at > at + 3600 OR restored_at IS NOT NULL",
                (at, c.key, c.text, c.field, c.lost, c.kept_value, c.lost_value),
            )
            if done.rowcount:
                fresh.append(c)
        return fresh

    def clashes(self, limit: int = -1) -> list[Clashed]:
        """Return the last ``limit`` clashes (all by default), oldest first."""
        with reading(self.path):
            if not self._has("clashes"):
                return []
            rows = self._db.execute(
                "SELECT number, at, restored_at, key, text, field, lost, kept_value, lost_value"
                " FROM clashes ORDER BY number DESC LIMIT ?",
                (limit,),
            )
            return [Clashed(*coding.clash(row)) for row in rows][::-1]

    def mark_restored(self, number: int, at: float | None) -> None:
        """Note when the lost value of a clash was put back; call inside ``transaction``.

        ``at`` is in Unix seconds, None where it no longer is.
        """
        self._db.execute("UPDATE clashes SET restored_at = ? WHERE number = ?", (at, number))

    def _has(self, table: str) -> bool:
        """Return whether there is such a table; a store of an older version may lack one."""
        found = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,))
        return found.fetchone() is not None

    def put_writing(self, writing: Writing) -> None:
        """Note a write of the file that is about to be made; call inside ``transaction``."""
        rows = [coding.link_row(link) for link in writing.links]
        self.put_fact("writing", writing._replace(links=rows)._asdict())  # type: ignore[arg-type]  # rows stand for links

    def writing(self) -> Writing | None:
        """Return the write that was noted and not settled, None if there is none."""
        noted = self.fact("writing")
        if not isinstance(noted, dict):
            return None
        with reading(self.path):
            links = tuple(coding.link(row) for row in noted.pop("links"))
            return Writing(links=links, **noted)

    def fact(self, name: str) -> object:
        """Return a small JSON value stored under ``name``, None when there is none."""
        with reading(self.path):
            row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
            return None if row is None else kinds.checked_fact(name, json.loads(row[0]))

    def put_fact(self, name: str, value: object) -> None:
        """Store a small JSON value under ``name``; call inside ``transaction``."""
        self._put("meta", [(name, json.dumps(value))])

    def note(self, kind: type[N]) -> N | None:
        """Return the note of this kind, None where there is none, or one of another shape."""
        with reading(self.path):
            return kind.from_json(self.fact(kind.NAME))

    def put_note(self, note: Note) -> None:
        """Store a note in place of the former of its kind; call inside ``transaction``."""
        self.put_fact(note.NAME, note.to_json())

    def drop_note(self, kind: type[Note]) -> None:
        """Forget the note of this kind; call inside ``transaction``."""
        self.put_fact(kind.NAME, None)

    def unsettle(self) -> None:
        """Let the next sync look anew, and status say so till then; call inside ``transaction``."""
        self.put_fact("settled", None)
        self.put_fact("anew", True)

    def forget_account(self) -> None:
        """Forget all that an account was known by; call inside ``transaction``.

        The history, lost values and copies of the file stay for their time: they are the person's.
        """
        for table in ("links", "intents", "tombstones", "gates"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - named above
        self._db.execute("DELETE FROM meta WHERE name NOT IN ('last', 'told')")
        self._rows = None

    def record(self, *events: Event) -> None:
        """Append to the history; call inside ``transaction``.

        What is older than 90 days, or beyond 50,000 rows, goes now and then; so do lost values
        as old.
        """
        self._db.executemany(
            "INSERT INTO history (at, event, text, key, remote_id, detail)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            events,
        )
        self._unpruned += len(events)
        if events and self._unpruned >= PRUNE_EVERY:
            self.prune(events[-1].at)

    def prune(self, now: float) -> None:
        """Forget history, lost values and tombstones of old; call inside ``transaction``."""
        self._unpruned = 0
        (oldest,) = self._db.execute("SELECT at FROM history ORDER BY number").fetchone() or (now,)
        if oldest < now - HISTORY_SECONDS:  # the others need not be looked at
            self._db.execute("DELETE FROM history WHERE at < ?", (now - HISTORY_SECONDS,))
        self._db.execute(
            "DELETE FROM history WHERE number <= (SELECT max(number) FROM history) - ?",
            (HISTORY_ROWS,),
        )
        self._db.execute("DELETE FROM clashes WHERE at < ?", (now - HISTORY_SECONDS,))
        self._db.execute(
            f"DELETE FROM tombstones WHERE removed_at < ? AND how NOT IN {LEFT_IN_OMI}",  # noqa: S608 - our own words
            (now - TOMBSTONE_SECONDS,),
        )

    def history(self, limit: int = -1) -> list[Event]:
        """Return the last ``limit`` events (all by default), oldest first."""
        with reading(self.path):
            rows = self._db.execute(
                "SELECT at, event, text, key, remote_id, detail FROM history"
                " ORDER BY number DESC LIMIT ?",
                (limit,),
            )
            return [Event(*kinds.checked(row, kinds.EVENT)) for row in rows][::-1]

    def failing_since(self, key: str, times: int) -> float | None:
        """Return when the first of its last so many failures was (Unix seconds), if it has any.

        Only the last 1,000 events are looked at, as in ``luck``.
        """
        with reading(self.path):
            rows = self._db.execute(
                "SELECT at FROM history"
                " WHERE number > (SELECT max(number) FROM history) - 1000 AND key = ?"
                " AND event IN ('task.failed', 'create.voided') ORDER BY number DESC LIMIT ?",
                (key, times),
            ).fetchall()
        return min((at for (at,) in rows), default=None)

    def luck(self, since: float, key: str) -> tuple[int, int]:
        """Return how many tasks were settled since then, and how many others failed.

        ``since`` is in Unix seconds, ``key`` the task that is not counted. Only
        the last 1,000 events are looked at, so that the cost stays the same.
        """
        with reading(self.path):
            settled, failing = self._db.execute(
                "SELECT count(CASE WHEN event IN"
                " ('task.created', 'task.changed', 'task.removed', 'task.revived') THEN 1 END),"
                " count(DISTINCT CASE WHEN event = 'task.failed' THEN key END) FROM history"
                " WHERE number > (SELECT max(number) FROM history) - 1000 AND at >= ? AND key != ?",
                (since, key),
            ).fetchone()
        return settled, failing

    def _delete(self, table: str, keys: Sequence[str]) -> None:
        for some in parts(keys):
            self._db.execute(f"DELETE FROM {table} {among(some)}", some)  # noqa: S608 - marks

    def _put(
        self, table: str, rows: Iterable[Sequence[object]], verb: str = "INSERT OR REPLACE"
    ) -> None:
        if rows := [*rows]:
            marks = ", ".join("?" * len(rows[0]))
            self._db.executemany(f"{verb} INTO {table} VALUES ({marks})", rows)
