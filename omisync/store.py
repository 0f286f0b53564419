"""Everything that must survive a power cut: the ID map, intents, gates, history.

Rule: what the store says happened, happened. Each settled op is one transaction
with ``synchronous=FULL``; a store that cannot be read in full is refused, never
taken for empty.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, Self
from urllib.parse import quote

from omisync.core.model import Base, Fields, Gate, Intent, Link, Parked, Task, Tombstone
from omisync.errors import StoreBusy, StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

APPLICATION_ID = 0x6F6D6973
"""``omis``: marks the file as ours in the SQLite header."""
VERSION = 1
BUSY_SECONDS = 5.0
HISTORY_SECONDS = 90 * 86400.0
HISTORY_ROWS = 50_000
TOMBSTONE_SECONDS = 90 * 86400.0
PRUNE_EVERY = 1_000
"""History rows between two prunings: keeps the cost of one edit constant."""

CERTAIN: frozenset[str] = frozenset()

Row = tuple[Any, ...]
"""A row as SQLite gives it; the schema below says what is in it."""

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE links (
    key TEXT PRIMARY KEY,
    remote_id TEXT UNIQUE,
    text TEXT NOT NULL, completed INTEGER NOT NULL, due TEXT,
    section TEXT NOT NULL, rank INTEGER NOT NULL,
    base_text TEXT, base_completed INTEGER, base_due TEXT,
    remote_description TEXT, remote_completed INTEGER, remote_due_at TEXT,
    absent_since REAL, clear_due INTEGER NOT NULL, failures INTEGER NOT NULL, parked TEXT,
    doubt TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE intents (
    key TEXT PRIMARY KEY, batch TEXT NOT NULL, place INTEGER NOT NULL,
    description TEXT NOT NULL, remote_completed INTEGER NOT NULL, due_at TEXT,
    text TEXT NOT NULL, completed INTEGER NOT NULL, due TEXT,
    known_ids TEXT NOT NULL, server_date REAL NOT NULL, sent_at REAL NOT NULL,
    failure TEXT, failed_at REAL, looks INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE tombstones (
    key TEXT PRIMARY KEY, remote_id TEXT NOT NULL,
    text TEXT NOT NULL, completed INTEGER NOT NULL, due TEXT,
    remote_description TEXT NOT NULL, remote_completed INTEGER NOT NULL, remote_due_at TEXT,
    how TEXT NOT NULL, removed_at REAL NOT NULL, counted INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE gates (
    bucket TEXT PRIMARY KEY, set_at REAL NOT NULL, retry_after REAL NOT NULL, ceiling INTEGER
) WITHOUT ROWID;
CREATE TABLE history (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, event TEXT NOT NULL, key TEXT,
    remote_id TEXT, text TEXT NOT NULL, detail TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the history: what happened (``noun.verb``), to which task, and why."""

    at: float
    event: str
    text: str = ""
    key: str | None = None
    remote_id: str | None = None
    detail: str = ""


class Store:
    """An open store. Use ``with Store.open(path)``; one writer at a time, see ``lock``."""

    def __init__(
        self, path: Path, db: sqlite3.Connection, trace: Callable[[str], None] | None = None
    ) -> None:
        self.path = path
        self._db = db
        self._trace = trace
        self._unpruned = 0

    @classmethod
    def open(cls, path: Path, *, trace: Callable[[str], None] | None = None) -> Store:
        """Open the store, creating it (mode 0600) where there is none.

        ``trace`` is called with ``"store.commit"`` after each durable commit.

        Raises:
            StoreUnusable: it is damaged, of a newer version, or not writable.
            StoreBusy: the disk is full or another process holds the file.
        """
        if not path.exists():
            _create(path)
        store = cls(path, _connect(path, "rw"), trace)
        try:
            store._check(thorough=True)
            with store._mapped():
                store._db.execute("PRAGMA synchronous=FULL")
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def peek(cls, path: Path, *, thorough: bool = False) -> Store | None:
        """Open the store for reading only, beside whoever writes it; None if there is none.

        ``thorough`` checks all of it, as ``open`` does.

        Raises:
            StoreUnusable: it is damaged or of a newer version.
        """
        if not path.exists():
            return None
        # Not mode=ro: that would leave the files of the write-ahead log behind.
        store = cls(path, _connect(path, "rw"))
        try:
            with store._mapped():
                store._db.execute("PRAGMA query_only=1")
            store._check(thorough=thorough)
        except BaseException:
            store.close()
            raise
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store; the last one to close folds the write-ahead log in."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def _check(self, *, thorough: bool) -> None:
        with self._mapped():
            (application,) = self._db.execute("PRAGMA application_id").fetchone()
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if application != APPLICATION_ID:
                _damaged(self.path, "it is not an omisync store")
            if version > VERSION:
                raise StoreUnusable(
                    f"The state store {self.path} was written by a newer omisync"
                    f" (format {version}; this one knows {VERSION})",
                    "Install that newer omisync again; nothing was changed.",
                )
            if thorough:
                (verdict,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
                if verdict != "ok":
                    _damaged(self.path, str(verdict))

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        """Turn what SQLite raises into what a person can act on."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise  # a bug of ours, not damage: it must be seen as it is
        except sqlite3.OperationalError as error:
            text = str(error)
            if "locked" in text or "busy" in text:
                raise StoreBusy(
                    f"The state store {self.path} is held by another process",
                    "It will be tried again; `omisync status` shows who runs.",
                ) from error
            if "full" in text:
                raise StoreBusy(
                    f"No room on the disk for the state store {self.path}",
                    "Free some space; nothing is lost and omisync goes on by itself.",
                ) from error
            if "readonly" in text or "unable to open" in text:
                raise StoreUnusable(
                    f"The state store {self.path} cannot be written ({text})",
                    f"Make {self.path.parent} writable for you, or set [state] path in the config.",
                ) from error
            _damaged(self.path, text)
        except sqlite3.DatabaseError as error:
            _damaged(self.path, str(error))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Like ``_mapped``, for rows whose content may be damaged too."""
        with self._mapped():
            try:
                yield
            except (ValueError, TypeError) as error:
                _damaged(self.path, f"a row cannot be read ({error})")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside durable at once, or none of it."""
        with self._mapped():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        if self._trace is not None:
            self._trace("store.commit")

    # Links

    def links(self) -> list[Link]:
        """Return all links in the order of the file when last seen."""
        with self._reading():
            rows = self._db.execute("SELECT * FROM links ORDER BY rank, key")
            return [_link(row) for row in rows]

    def put_links(self, links: Iterable[Link]) -> None:
        """Write links, new or changed; call inside ``transaction``."""
        rows = [_link_row(link) for link in links]
        # Not INSERT OR REPLACE: a second link to one remote id must fail, not
        # silently replace the first.
        self.drop_links(str(row[0]) for row in rows)
        self._put("links", 18, rows, "INSERT")

    def drop_links(self, keys: Iterable[str]) -> None:
        """Delete links by key; call inside ``transaction``."""
        self._db.executemany("DELETE FROM links WHERE key = ?", [(key,) for key in keys])

    # Intents

    def intents(self) -> list[Intent]:
        """Return the intents in the order they were sent."""
        with self._reading():
            rows = self._db.execute("SELECT * FROM intents ORDER BY sent_at, batch, place")
            return [_intent(row) for row in rows]

    def put_intents(self, intents: Iterable[Intent]) -> None:
        """Write intents, new or changed; call inside ``transaction``."""
        self._put("intents", 15, (_intent_row(*pair) for pair in enumerate(intents)))

    def drop_intents(self, keys: Iterable[str]) -> None:
        """Delete intents by key; call inside ``transaction``."""
        self._db.executemany("DELETE FROM intents WHERE key = ?", [(key,) for key in keys])

    # Tombstones

    def tombstones(self, now: float) -> list[Tombstone]:
        """Return the tombstones younger than 90 days at ``now`` (Unix seconds)."""
        with self._reading():
            rows = self._db.execute(
                "SELECT * FROM tombstones WHERE removed_at > ?", (now - TOMBSTONE_SECONDS,)
            )
            return [_tombstone(row) for row in rows]

    def put_tombstones(self, tombstones: Iterable[Tombstone]) -> None:
        """Write tombstones; call inside ``transaction``."""
        self._put("tombstones", 11, map(_tombstone_row, tombstones))

    def drop_tombstones(self, keys: Iterable[str]) -> None:
        """Delete tombstones by key; call inside ``transaction``."""
        self._db.executemany("DELETE FROM tombstones WHERE key = ?", [(key,) for key in keys])

    # Gates

    def gates(self) -> dict[str, Gate]:
        """Return the gates by bucket, open ones included."""
        with self._reading():
            rows = self._db.execute("SELECT * FROM gates")
            return {row[0]: Gate(*row) for row in rows}

    def put_gate(self, gate: Gate) -> None:
        """Write one gate; call inside ``transaction``."""
        self._put("gates", 4, [(gate.bucket, gate.set_at, gate.retry_after, gate.limit)])

    # Small facts

    def fact(self, name: str) -> object:
        """Return a small JSON value stored under ``name``, None when there is none."""
        with self._reading():
            row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
            return None if row is None else json.loads(row[0])

    def put_fact(self, name: str, value: object) -> None:
        """Store a small JSON value under ``name``; call inside ``transaction``."""
        self._put("meta", 2, [(name, json.dumps(value, ensure_ascii=False))])

    # History

    def record(self, *events: Event) -> None:
        """Append to the history; call inside ``transaction``.

        What is older than 90 days, or beyond 50,000 rows, goes now and then.
        """
        self._db.executemany(
            "INSERT INTO history (at, event, key, remote_id, text, detail)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [(e.at, e.event, e.key, e.remote_id, e.text, e.detail) for e in events],
        )
        self._unpruned += len(events)
        if events and self._unpruned >= PRUNE_EVERY:
            self.prune(events[-1].at)

    def prune(self, now: float) -> None:
        """Forget history and tombstones that are past their time; call inside ``transaction``."""
        self._unpruned = 0
        self._db.execute("DELETE FROM history WHERE at < ?", (now - HISTORY_SECONDS,))
        self._db.execute(
            "DELETE FROM history WHERE number <= (SELECT max(number) FROM history) - ?",
            (HISTORY_ROWS,),
        )
        self._db.execute("DELETE FROM tombstones WHERE removed_at < ?", (now - TOMBSTONE_SECONDS,))

    def history(self, limit: int) -> list[Event]:
        """Return the last ``limit`` events, oldest first."""
        with self._reading():
            rows = self._db.execute(
                "SELECT at, event, text, key, remote_id, detail FROM history"
                " ORDER BY number DESC LIMIT ?",
                (limit,),
            )
            return [Event(*row) for row in rows][::-1]

    def luck(self, since: float, key: str) -> tuple[int, int]:
        """Return how many tasks were settled since then, and how many others failed.

        ``since`` is in Unix seconds, ``key`` the task that is not counted. Only
        the last 1,000 events are looked at, so that the cost stays the same.
        """
        with self._reading():
            (settled,) = self._db.execute(
                "SELECT count(*) FROM history"
                " WHERE number > (SELECT max(number) FROM history) - 1000 AND at >= ? AND key != ?"
                " AND event IN ('task.created', 'task.changed', 'task.removed', 'task.revived')",
                (since, key),
            ).fetchone()
            (failing,) = self._db.execute(
                "SELECT count(DISTINCT key) FROM history"
                " WHERE number > (SELECT max(number) FROM history) - 1000 AND at >= ? AND key != ?"
                " AND event = 'task.failed'",
                (since, key),
            ).fetchone()
        return settled, failing

    def _put(
        self, table: str, width: int, rows: Iterable[Row], verb: str = "INSERT OR REPLACE"
    ) -> None:
        marks = ", ".join("?" * width)
        self._db.executemany(f"{verb} INTO {table} VALUES ({marks})", rows)


@contextlib.contextmanager
def lock(path: Path, holder: str) -> Iterator[None]:
    """Hold the store at ``path`` as its one writer, for as long as the block runs.

    The lock is on ``<store>.lock``, never on the SQLite file, and goes with the
    process that holds it. ``holder`` is written into it for people to read.

    Raises:
        StoreBusy: another process holds it; the message says which.
        StoreUnusable: the folder cannot be written.
    """
    place = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        _unwritable(path, error)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
            raise StoreBusy(
                f"{who} already works on {path}",
                "One omisync at a time: wait for it, or stop it first.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{holder} (process {os.getpid()})\n".encode())
        yield
    finally:
        os.close(descriptor)


def holder(path: Path) -> str | None:
    """Return who holds the store now, as ``lock`` names it; None when nobody does."""
    place = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(place, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
    finally:
        os.close(descriptor)
    return None


def set_aside(path: Path) -> Path:
    """Move a damaged store, with its write-ahead log, to a new name beside it; return that.

    Raises:
        StoreUnusable: it cannot be moved.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        for tail in ("-wal", "-shm", ""):
            part = path.with_name(path.name + tail)
            if part.exists():
                part.rename(aside.with_name(aside.name + tail))
    except OSError as error:
        _unwritable(path, error)
    return aside


def _create(path: Path) -> None:
    """Make an empty store beside ``path`` and move it there whole.

    A process killed meanwhile leaves no half-made store that would read as damage.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        db = sqlite3.connect(fresh, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute(f"PRAGMA user_version={VERSION}")
        finally:
            db.close()
        # WAL files of a store that was deleted must not be replayed into this one.
        for stale in ("-wal", "-shm"):
            path.with_name(path.name + stale).unlink(missing_ok=True)
        fresh.rename(path)
    except OSError as error:
        _unwritable(path, error)
    except sqlite3.Error as error:
        raise StoreBusy(
            f"The state store {path} cannot be made: {error}", "Free some space on that disk."
        ) from error


def _unwritable(path: Path, error: OSError) -> NoReturn:
    raise StoreUnusable(
        f"The state store {path} cannot be made: {error.strerror}",
        f"Make {path.parent} writable for you, or set [state] path in the config.",
    ) from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file without ever creating it.

    Raises:
        StoreUnusable: it is not a file or cannot be opened.
    """
    try:
        if path.stat().st_size == 0:
            _damaged(path, "it is empty")
        return sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=BUSY_SECONDS,
        )
    except (OSError, sqlite3.Error) as error:
        raise StoreUnusable(
            f"The state store {path} cannot be opened ({error})",
            f"Check the permissions of {path.parent}, or set [state] path in the config.",
        ) from error


def _damaged(path: Path, reason: str) -> NoReturn:
    raise StoreUnusable(
        f"The state store {path} is damaged: {reason}",
        "Run `omisync repair`: it keeps the damaged file aside, links your tasks with Omi's"
        " again by their text and creates nothing.",
        damaged=True,
    ) from None


def _time_text(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _link_row(link: Link) -> tuple[object, ...]:
    base, seen, parked = link.base, link.seen, link.parked
    agreed: tuple[object, ...] = (None,) * 6
    if base is not None:
        local, remote = base.local, base.remote
        agreed = (
            local.text,
            local.completed,
            local.due,
            remote.description,
            remote.completed,
            _time_text(remote.due_at),
        )
    return (
        link.key,
        link.remote_id,
        seen.text,
        seen.completed,
        seen.due,
        link.section,
        link.rank,
        *agreed,
        link.absent_since,
        link.clear_due,
        link.failures,
        None if parked is None else _parked_text(parked),
        " ".join(sorted(link.doubt)),
    )


def _link(row: Row) -> Link:
    (key, remote_id, text, completed, due, section, rank, *agreed) = row
    (b_text, b_completed, b_due, description, r_completed, due_at, *rest) = agreed
    (absent_since, clear_due, failures, parked, doubt) = rest
    seen = Task(text, bool(completed), due)
    base = None
    if b_text is not None:
        remote = Fields(description, bool(r_completed), _time(due_at))
        base = Base(Task(b_text, bool(b_completed), b_due), remote)
    return Link(
        key,
        remote_id,
        seen,
        section,
        rank,
        base,
        absent_since,
        bool(clear_due),
        failures,
        None if parked is None else _parked(parked),
        frozenset(doubt.split()) if doubt else CERTAIN,
    )


def _parked_text(parked: Parked) -> str:
    task = parked.task
    return json.dumps(
        [
            parked.status,
            parked.reason,
            parked.since,
            None if task is None else [task.text, task.completed, task.due],
            parked.retry_at,
        ],
        ensure_ascii=False,
    )


def _parked(text: str) -> Parked:
    status, reason, since, task, retry_at = json.loads(text)
    return Parked(status, reason, since, None if task is None else Task(*task), retry_at)


def _intent_row(place: int, intent: Intent) -> tuple[object, ...]:
    return (
        intent.key,
        intent.group,
        place,
        intent.fields.description,
        intent.fields.completed,
        _time_text(intent.fields.due_at),
        intent.task.text,
        intent.task.completed,
        intent.task.due,
        json.dumps(intent.known_ids),
        intent.server_date,
        intent.sent_at,
        intent.failure,
        intent.failed_at,
        intent.looks,
    )


def _intent(row: Row) -> Intent:
    (key, group, _, description, r_completed, due_at, text, completed, due, known, *rest) = row
    return Intent(
        key,
        group,
        Fields(description, bool(r_completed), _time(due_at)),
        Task(text, bool(completed), due),
        tuple(json.loads(known)),
        *rest,
    )


def _tombstone_row(stone: Tombstone) -> tuple[object, ...]:
    return (
        stone.key,
        stone.remote_id,
        stone.task.text,
        stone.task.completed,
        stone.task.due,
        stone.remote.description,
        stone.remote.completed,
        _time_text(stone.remote.due_at),
        stone.how,
        stone.removed_at,
        stone.counted,
    )


def _tombstone(row: Row) -> Tombstone:
    (key, remote_id, text, completed, due, description, r_completed, due_at, *rest) = row
    how, removed_at, counted = rest
    return Tombstone(
        key,
        remote_id,
        Task(text, bool(completed), due),
        Fields(description, bool(r_completed), _time(due_at)),
        how,
        removed_at,
        bool(counted),
    )
