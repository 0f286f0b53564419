"""Who may write to a store, and where a damaged one goes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from typing import TYPE_CHECKING, NoReturn, Self

from omisync import places
from omisync.errors import NO_ROOM, NoRoom, StoreBusy, StoreUnusable, Strained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOCK_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Never through a symlink to another file, which would be emptied; nor waiting at a FIFO."""

GLANCE = 0.05
"""Seconds that a look at who holds a lock takes at most: it holds the lock meanwhile."""

LEAST_ROOM = 65_536
"""Bytes that have to be free: twice what one edit writes, which the benchmarks measure."""

OR_ELSEWHERE = (
    ", or set [state] path in the config to a place in a folder of your own and run"
    " `omisync repair`: a new state knows nothing yet."
)
"""How advice ends where a state store cannot be used in its place."""

_NO_FILE = frozenset({errno.EISDIR, errno.ELOOP, errno.ENXIO})
"""A folder, a symlink, a socket."""


@contextlib.contextmanager
def lock(path: Path, holder: str) -> Iterator[Callable[[], bool]]:
    """Hold the store at ``path`` as its one writer, for as long as the block runs.

    What is returned tells whether the lock is still where others look for it: who
    deletes it lets another in.

    The lock is on ``<store>.lock``, never on the SQLite file, and goes with the
    process that holds it. ``holder`` is written into it for people to read.

    Raises:
        StoreBusy: another process holds it; the message says which.
        NoRoom: the disk is full.
        StoreUnusable: the folder cannot be written, or its file system has no locks.
    """
    try:
        places.make_private(path.parent)
    except OSError as error:
        unwritable(path, error)
    descriptor = _opened_lock(path, LOCK_FLAGS | os.O_CREAT)
    try:
        if not _taken(path, descriptor):
            raise StoreBusy(
                f"{_who(descriptor)} already works on {path}",
                "One omisync at a time: stop it first, or wait for a run that ends by itself.",
            )
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{holder} (process {os.getpid()})\n".encode())
        except OSError as error:
            unwritable(path, error)
        yield lambda: _is_at(descriptor, _lock_of(path))
    finally:
        os.close(descriptor)


def _taken(path: Path, descriptor: int) -> bool:
    """Return whether the lock is ours now; who only looks (``holder``) is waited for."""
    until = time.monotonic() + GLANCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(GLANCE / 50)
        except OSError as error:  # as ENOLCK of a network file system
            if strained := Strained.of(f"The state store {path} cannot be locked", error):
                raise strained from None
            raise StoreUnusable(
                f"The state store {path} cannot be locked: {error.strerror}",
                "Move it to a local disk, and set [state] path in the config to its new place.",
            ) from error
        else:
            return True


def _who(descriptor: int) -> str:
    """Return who wrote their name into a lock."""
    return os.read(descriptor, 200).decode(errors="replace").strip() or "another process"


def _opened_lock(path: Path, flags: int) -> int:
    """Return the lock of a store, opened; raises ``StoreUnusable`` for what is no lock."""
    place = _lock_of(path)
    try:
        descriptor = os.open(place, flags, 0o600)
    except OSError as error:
        if strained := Strained.of(f"The state store {path} cannot be locked", error):
            raise strained from None
        if error.errno in _NO_FILE:
            _not_ours(place, "is no file of its own")
        if os.path.lexists(place) and error.errno not in NO_ROOM | {errno.EROFS}:
            _not_ours(place, f"cannot be opened ({error.strerror})")
        unwritable(path, error)
    try:
        status = os.fstat(descriptor)
        check_owner(place, status)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            _not_ours(place, "is no file of its own")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_at(descriptor: int, place: Path) -> bool:
    """Return whether an open file is the one at this path."""
    try:
        return os.path.samestat(os.fstat(descriptor), place.stat())
    except OSError:
        return False


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def holder(path: Path) -> str | None:
    """Return who holds the store now, as ``lock`` names it; None when nobody does."""
    place = _lock_of(path)
    try:
        descriptor = os.open(place, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _who(descriptor)
    except OSError:  # it cannot be locked: then nobody does
        return None
    finally:
        os.close(descriptor)
    return None


class Instead:
    """A new store that takes the place of a damaged one, if the block ends well.

    Until then the damaged one stays where it is and is told of: an empty store in
    its place would read as that of a list that was never synced. ``path`` is the new
    store, ``aside`` where the damaged one is kept after the block.
    """

    def __init__(self, damaged: Path) -> None:
        self._damaged = damaged
        self.path = damaged.with_name(f"{damaged.name}.new")
        number = 1
        while (aside := damaged.with_name(f"{damaged.name}.damaged-{number}")).exists():
            number += 1
        self.aside = aside

    def __enter__(self) -> Self:
        _remove(self.path)  # of a repair that was killed
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Put the new store in place, or remove it.

        Raises:
            StoreUnusable: the damaged store cannot be moved.
        """
        if kind is not None:
            _remove(self.path)
            return
        try:
            for part, kept in zip(files(self._damaged)[1:], files(self.aside)[1:], strict=True):
                if part.exists():
                    part.rename(kept)
            try:
                os.link(self._damaged, self.aside)
            except OSError:  # a file system without: for a moment there is no store
                self._damaged.rename(self.aside)
            self.path.replace(self._damaged)
        except OSError as error:
            unwritable(self._damaged, error)


def is_there(path: Path) -> bool:
    """Return whether there is a store, or may be one: what hides it is told when it is opened.

    As ``Path.exists``, which takes a closed folder for an empty one since Python 3.14.
    """
    try:
        path.stat()
    except OSError as error:
        return not isinstance(error, FileNotFoundError | NotADirectoryError)
    return True


def files(path: Path) -> list[Path]:
    """Return the files of a store: itself, its write-ahead log and the index of that."""
    return [path.with_name(path.name + tail) for tail in ("", "-wal", "-shm")]


def _remove(path: Path) -> None:
    for part in files(path):
        part.unlink(missing_ok=True)


def check_owner(path: Path, status: os.stat_result) -> None:
    """Refuse what another user has put at the place of a store or its lock.

    Root may have put it there, and root may work for anybody.

    Raises:
        StoreUnusable: it is another user's.
    """
    if status.st_uid not in {os.geteuid(), 0} and os.geteuid() != 0:
        _not_ours(path, f"belongs to another user (uid {status.st_uid})")


def _not_ours(path: Path, what: str) -> NoReturn:
    raise StoreUnusable(
        f"{path} {what}, so it is not used for the state",
        f"Remove it{OR_ELSEWHERE}",
    )


def check_place(path: Path) -> None:
    """Refuse a place for a store where nothing could be written now; nothing is.

    Raises:
        NoRoom: the disk is full.
        StoreUnusable: the folder, the store or its lock cannot be written.
    """
    folder = _folder_of(path)
    _check_writable(path, folder, os.W_OK | os.X_OK)
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < LEAST_ROOM:
        unwritable(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    if path.exists():
        _check_writable(path, path, os.W_OK)
    if os.path.lexists(_lock_of(path)):
        os.close(_opened_lock(path, LOCK_FLAGS))


def _folder_of(path: Path) -> Path:
    """Return the nearest folder above ``path`` that is there: in it the others would be made."""
    return next(
        place
        for place in path.absolute().parents
        if os.path.exists(place)  # noqa: PTH110 - Path's own raises in a folder that is closed
    )


def _check_writable(path: Path, part: Path, mode: int) -> None:
    effective = os.access in os.supports_effective_ids
    if not os.access(part, mode, effective_ids=effective):
        read_only = os.statvfs(part).f_flag & os.ST_RDONLY
        number = errno.EROFS if read_only else errno.EACCES
        unwritable(path, OSError(number, os.strerror(number)), part)


def unwritable(path: Path, error: OSError, part: Path | None = None) -> NoReturn:
    """Tell that a store, or ``part`` of what belongs to it (else its folder), cannot be written.

    Raises:
        NoRoom: the disk is full; that passes.
        Strained: the machine lacks something else; that passes too.
        StoreUnusable: otherwise.
    """
    if error.errno in NO_ROOM:
        raise NoRoom(
            f"No room on the disk for the state store {path} ({error.strerror})",
            "Free some space; nothing is lost, and the next sync goes on.",
        ) from error
    if strained := Strained.of(f"The state store {path} cannot be written", error):
        raise strained from None
    raise StoreUnusable(
        f"The state store {path} cannot be written: {error.strerror}",
        f"Make {part or _folder_of(path)} writable for you{OR_ELSEWHERE}",
    ) from error
