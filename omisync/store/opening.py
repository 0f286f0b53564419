"""A store as a file: made, opened, closed to others; and what SQLite says of it in words.

Rule: a store is never made where one was expected, and never half.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

from omisync import places
from omisync.errors import StoreBusy, StoreUnusable, Strained
from omisync.store.holding import OR_ELSEWHERE, check_owner, files, unwritable
from omisync.store.schema import APPLICATION_ID, SCHEMA, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_SECONDS = 2.0
HEADER, APPLICATION_AT = 100, 68
"""Bytes of a database's header, and where in it its program is named (SQLite, file format)."""
SHARED_BYTES = 32768
"""What SQLite's index of the log has as soon as one process uses it (sqlite.org/walformat.html)."""


def create(path: Path) -> None:
    """Make an empty store beside ``path`` and move it there whole.

    A process killed meanwhile leaves no half-made store that would read as damage.
    """
    try:
        places.make_private(path.parent)
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
        for stale in files(path)[1:]:
            stale.unlink(missing_ok=True)
        fresh.rename(path)
    except OSError as error:
        unwritable(path, error)
    except sqlite3.Error as error:
        is_full = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
        raise StoreBusy(
            f"The state store {path} cannot be made: {error}",
            "Free some space on that disk."
            if is_full
            else "See whether files can be made in its folder, and enough be open (`ulimit -n`).",
        ) from error


def is_ours(path: Path) -> bool:
    """Return whether the header of a database names omisync as its program.

    It is told without SQLite, which would make other files beside it.
    """
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises where it may not look
        return False  # a pipe would be waited for
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(HEADER)[APPLICATION_AT:][:4] == APPLICATION_ID.to_bytes(4)
    return False


def make_private(path: Path) -> None:
    """Close a store to others that became open to them: a copy, a backup that was put back.

    SQLite gives its other files the mode of the store when they were made: of one
    that could only be read for a while they would be left unwritable.
    """
    for part in files(path):
        with contextlib.suppress(OSError):  # none, or none of ours: told when it is opened
            status = part.stat()
            mode = status.st_mode & 0o700 | (0 if part == path else 0o600)
            if stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) != mode:
                part.chmod(mode)


def is_at_rest(path: Path) -> bool:
    """Return whether nobody has the store open, and all of it is in the one file."""
    return _size(path, "-wal") == 0 and _size(path, "-shm") < SHARED_BYTES


def _size(path: Path, tail: str) -> int:
    """Return the size in bytes of a file beside the store, 0 where there is none."""
    with contextlib.suppress(OSError):
        return path.with_name(path.name + tail).stat().st_size
    return 0


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one at the same path, None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file without ever creating it.

    Raises:
        StoreUnusable: it is not a file or cannot be opened.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # nothing that a repair may move away
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "no file but a device or a pipe"
            raise StoreUnusable(
                f"The state store {path} is {what}",
                "Move it away, or name a file under [state] path.",
            )
        if status.st_size == 0:
            damaged(path, "it is empty")
        check_owner(path, status)
        return sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=BUSY_SECONDS,
        )
    except (OSError, sqlite3.Error) as error:
        check_strained(path)
        raise StoreUnusable(
            f"The state store {path} cannot be opened ({error})",
            f"Make it and {path.parent} readable and writable for you{OR_ELSEWHERE}",
        ) from error


def check_strained(path: Path) -> None:
    """See whether the machine can open anything now, where SQLite does not say what kept it.

    Not the store itself: to close it would drop the locks that this process has on it.

    Raises:
        StoreBusy: it cannot.
    """
    try:
        os.close(os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        if strained := Strained.of(f"The state store {path} cannot be opened", error):
            raise StoreBusy(strained.message, strained.advice) from None


@contextlib.contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Turn what SQLite raises into what a person can act on."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise  # a bug of ours, not damage: it must be seen as it is
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise StoreBusy(
                f"The state store {path} is held by another process",
                "Nothing is lost. Close the program that holds it; the next sync goes on.",
            ) from error
        if "full" in text or "disk I/O" in text:  # a full disk can be either
            raise StoreBusy(
                f"No room on the disk for the state store {path}, or it fails ({text})",
                "Free some space, or look at the disk; nothing is lost, and the next sync goes on.",
            ) from error
        if "unable to open" in text:
            check_strained(path)
        if "readonly" in text or "unable to open" in text:
            closed = path.parent if not path.exists() or os.access(path, os.W_OK) else path
            raise StoreUnusable(
                f"The state store {path} cannot be written ({text})",
                f"Make {closed} writable for you{OR_ELSEWHERE}",
            ) from error
        damaged(path, text)
    except sqlite3.DatabaseError as error:
        damaged(path, str(error))


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Like ``mapped``, for what may be damaged inside of its rows too."""
    with mapped(path):
        try:
            yield
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            damaged(path, f"a row cannot be read ({error})")


def damaged(path: Path, reason: str) -> NoReturn:
    """Tell that a store is damaged, and what can be done about it; raises ``StoreUnusable``."""
    raise StoreUnusable(
        f"The state store {path} is damaged: {reason}",
        "Run `omisync repair`: it keeps the damaged file aside, keeps the links that can still"
        " be read, finds the other tasks in Omi by their text, and creates nothing.",
        damaged=True,
    ) from None
