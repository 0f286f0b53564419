"""Compare and replace the todo file, so that no save of the person's is lost.

Rule: the file holds our bytes only if it held exactly the bytes we had seen when
we took its place. Any save that came in between stands, and is read again.

The new file is written beside the old one, then the two swap names in one step
(renameat2 with RENAME_EXCHANGE, Linux 3.15). A plain rename destroys what it
replaces, a swap shows it: if that is not the file which was compared, the two
swap back. The old file keeps its hidden name until the end, so a program that had
opened it before and writes into it now gets it back as the todo file, and goes on
writing into the live file. A read lease (fcntl(2)) tells whether there is such a program.

What remains: where there are no leases (another owner's file, some network file
systems), a program that has the old file open and first writes to it after the last
``check`` writes into a file without a name. Where there is no swap, a save between
the comparison and the rename, some microseconds, is overwritten.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from omisync import libc
from omisync.errors import (
    NO_ROOM,
    FileChanged,
    FileHeld,
    FileUnusable,
    NoRoom,
    OmisyncError,
    Strained,
)
from omisync.file import rights, writing
from omisync.file.reading import Snapshot, missing, quoted, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

RENAME_EXCHANGE = 2
"""From linux/fs.h; Python has no name for it."""

NO_SWAP = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM})
"""What a kernel, a file system or a sandbox says that cannot swap names."""

OLD_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK

CHUNK = 1 << 20

NOTHING_TO_DO = "nothing to do: it is read again"


def replacing(
    path: Path, data: bytes, seen: Snapshot, *, trace: Callable[[str], None] | None = None
) -> Replacement:
    """Return the replacement of the file's bytes, which entering the ``with`` block makes.

    Inside the block the old file is still there, hidden: let some 50 ms pass, so
    that a program in the middle of a save shows. Leaving the block looks once more
    and removes the old file; ``check`` looks at any time in between::

        with file.replacing(path, data, seen):
            await asyncio.sleep(0.05)

    Symlinks stay, what they lead to is replaced. Mode, owner, group and extended
    attributes are kept as ``rights.copy`` says. A file with a second hard link is
    refused, for the other name would silently keep the old list; so is one whose mode
    lets nobody write: its owner has said not to. ``trace`` is called with
    ``"file.written"``, ``"file.checked"`` and ``"file.swapped"`` after these steps.

    Raises (entering and leaving):
        FileChanged: Somebody saved it since it was seen: their save stands.
        FileHeld: A program has it open for writing, and may be about to.
        FileMissing: There is no file.
        FileUnusable: It, or its folder, does not let itself be replaced.
        NoRoom: The disk is full; the old file stands.
    """
    return Replacement(path, data, seen, trace)


def check_replaceable(path: Path) -> Path:
    """Return the folder in which the file would be replaced; nothing is changed.

    Raises:
        FileMissing: There is no file.
        FileUnusable: It, or its folder, will not let itself be replaced, as far as can be known.
    """
    try:
        target = Path(os.path.realpath(path, strict=True))
        status = target.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise missing(path) from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    _check_status(path, target, status)
    rights.check_owner(status, str(path))
    effective = os.access in os.supports_effective_ids  # as a write would be made
    if not os.access(target.parent, os.W_OK | os.X_OK, effective_ids=effective):
        raise _folder_refused(path, target.parent, "it is not writable")
    return target.parent


def check_held(path: Path) -> None:
    """Look whether the program that had the file open for writing still has.

    Only where ``replacing`` has found one: it knows that this can be told there.

    Raises:
        FileHeld: It has, or another one.
    """
    try:
        target = os.path.realpath(path, strict=True)
        opened = os.open(target, OLD_FLAGS)
    except (OSError, ValueError):  # whoever reads it next tells why
        return
    try:
        if _is_open_for_writing(opened):
            raise _held(path, Path(target))
    finally:
        os.close(opened)


def _held(path: Path, target: Path) -> FileHeld:
    return FileHeld(
        f"{path} is open in a program that may be writing to it",
        f"close it there, then this can go on; fuser -v {quoted(target)} names the program",
    )


def _check_status(path: Path, target: Path, status: os.stat_result) -> None:
    if status.st_nlink > 1:
        raise FileUnusable(
            f"{path} has {status.st_nlink} names (hard links): "
            "replaced, the others would keep the old list",
            "make the other names symlinks to it; "
            f"find them with find / -samefile {quoted(target)}",
        )
    if not status.st_mode & 0o222:
        raise FileUnusable(
            f"{path} is marked read-only",
            f"chmod u+w {quoted(target)}, or set direction to push under [sync]",
        )


def _folder_refused(path: Path, folder: Path, reason: str) -> FileUnusable:
    return FileUnusable(
        f"{path} cannot be replaced in the folder {folder}: {reason}",
        "two-way sync writes there: give this user the right to write to the folder, or set"
        " direction to push under [sync]; under systemd run `omisync service install` again,"
        f" or add ReadWritePaths={folder} to the unit",
    )


class Replacement:
    """The file between old and new; see ``replacing``.

    Not for two at a time on one file: the store's lock sees to that.
    """

    def __init__(
        self, path: Path, data: bytes, seen: Snapshot, trace: Callable[[str], None] | None = None
    ) -> None:
        self._path, self._data, self._seen = path, data, seen
        self._trace = trace or (lambda _: None)
        self._held = contextlib.ExitStack()
        self._over = False
        self._replaced: int | None = None
        self._was_in = False
        self._new_inode = -1  # of no file

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.callback(self._held.close)
            try:
                self._prepare()
                self._compare()
                self._trace("file.checked")
                self._put()
            except (OSError, ValueError) as error:  # ValueError: a NUL in the path
                raise self._refusal(error) from None
            undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Whatever ends the block, a save is put back first; then is told what ended it.
        with self._held, contextlib.suppress(*([OmisyncError] if kind else [])):
            self.check()

    def check(self) -> None:
        """Look whether our file is still in place and nobody wrote to the old one.

        Raises:
            FileChanged: Somebody did. If our file was untouched the old one is in
                its place again; else the newest save stays, and ``aside`` has the other.
        """
        if self._over:
            return
        try:
            written = self._is_open(self._old) or _differs(self._old, self._seen.data)
            ours = self._inode(self._name) == self._new_inode
            ours = ours and not _differs(self._new, self._data)
            if written or not ours:
                self._over = True
                self._give_way(put_back=written and ours)
        except OSError as error:
            raise self._refusal(error) from None

    # The steps of a replacement.

    def _prepare(self) -> None:
        """Write the new file beside the old one, with its rights, durably."""
        try:
            target = Path(os.path.realpath(self._path, strict=True))
        except (FileNotFoundError, NotADirectoryError):
            raise missing(self._path) from None
        except (OSError, ValueError) as error:
            raise unreadable(self._path, error) from None
        self._target, self._name = target, target.name
        self._folder = self._hold(os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY))
        writing.sweep(self._folder, self._name)
        self._old = self._hold(os.open(self._name, OLD_FLAGS, dir_fd=self._folder))
        self._check_old()
        self._hidden = writing.hidden_name(self._name)
        written = writing.create(self._folder, self._hidden, self._data)
        try:
            self._held.callback(self._remove_hidden)
            self._new_inode = os.fstat(written).st_ino
            # Held for reading only: a lease is refused while anybody could write, us too.
            self._new = self._hold(os.open(self._hidden, OLD_FLAGS, dir_fd=self._folder))
            rights.copy(self._old, written, str(self._path))
            os.fsync(written)
        finally:
            os.close(written)
        self._leases = _is_open_for_writing(self._new) is False
        self._trace("file.written")

    def _check_old(self) -> None:
        status = os.fstat(self._old)
        if status.st_ino != self._seen.signature.inode:
            raise self._changed()
        _check_status(self._path, self._target, status)

    def _compare(self) -> None:
        """Make sure that the path still leads to the file that was seen, with those bytes."""
        there = self._inode(self._name) == self._seen.signature.inode
        same_way = os.path.realpath(self._path) == str(self._target)
        if not (there and same_way) or _differs(self._old, self._seen.data):
            raise self._changed()
        if self._is_open(self._old):
            raise _held(self._path, self._target)

    def _put(self) -> None:
        if not self._swap_until(self._seen.signature.inode):
            self._over = True
            raise self._changed()
        self._trace("file.swapped")
        self.check()
        writing.sync_folder(self._folder)

    def _swap_until(self, expected: int) -> bool:
        """Swap the two names until what comes out is what was put in last; True if at once.

        ``expected`` is the inode that should come out. Any other is a save that came
        just before, newer than what was to be put in: it goes back in. What is left
        under the hidden name then is what the person's own newer save has replaced.
        """
        first = True
        while True:
            put = self._inode(self._hidden)
            try:
                _swap(self._folder, self._hidden, self._name)
            finally:
                self._was_in = self._was_in or self._may_be_in()
            if (out := self._inode(self._hidden)) in {expected, None}:
                self._replaced = out
                return first
            expected, first = put or 0, False

    def _give_way(self, *, put_back: bool) -> None:
        """Let the person's save stand and say so."""
        if put_back and self._inode(self._hidden) is not None:
            with contextlib.suppress(FileNotFoundError):  # ours was just deleted: so be it
                if self._swap_until(self._new_inode):
                    if not (self._is_open(self._new) or _differs(self._new, self._data)):
                        writing.sync_folder(self._folder)
                        raise self._changed()
                    self._swap_until(self._seen.signature.inode)  # a still newer save, into ours
        writing.sync_folder(self._folder)
        saved = _bytes(self._old)
        raise self._changed(aside=b"" if saved == self._seen.data else saved)

    # What the steps look at.

    def _hold(self, descriptor: int) -> int:
        self._held.callback(os.close, descriptor)
        return descriptor

    def _inode(self, name: str) -> int | None:
        try:
            return os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_ino
        except FileNotFoundError:
            return None

    def _is_open(self, descriptor: int) -> bool:
        """Return whether a program has this file open for writing, as far as can be known."""
        return self._leases and _is_open_for_writing(descriptor) is True

    def _may_be_in(self) -> bool:
        """Return whether our file has its name: yes where that cannot be seen."""
        try:
            return self._inode(self._name) == self._new_inode
        except OSError:
            return True

    def _remove_hidden(self) -> None:
        """Remove the hidden name, unless it has a save that could not be put back."""
        with contextlib.suppress(OSError):  # it may be seen to later, see `writing.sweep`
            if self._inode(self._hidden) in {self._new_inode, self._replaced}:
                writing.remove(self._folder, self._hidden)

    def _changed(self, aside: bytes = b"") -> FileChanged:
        return FileChanged(f"{self._path} was saved meanwhile", NOTHING_TO_DO, aside=aside)

    def _refusal(self, error: OSError | ValueError) -> OmisyncError:
        """Return what an error of the system means for the person."""
        reason = getattr(error, "strerror", None) or str(error)
        if self._was_in:  # whatever is there now tells what holds
            return FileChanged(f"{self._path} was replaced, and then: {reason}", NOTHING_TO_DO)
        code = getattr(error, "errno", None)
        if code in NO_ROOM:
            return NoRoom(
                f"no room on the disk to replace {self._path}",
                "free some space, or raise the quota; the file is as it was",
            )
        if code in {errno.ENOENT, errno.ELOOP}:
            return self._changed()  # it was there when its path was followed
        folder = self._target.parent
        if code in {errno.EACCES, errno.EPERM, errno.EROFS}:
            return _folder_refused(self._path, folder, reason)
        what = f"{self._path} cannot be replaced in the folder {folder}"
        if strained := Strained.of(what, error):
            return strained
        return FileUnusable(f"{what}: {reason}", f"check the disk and its folder {folder}")


def _swap(folder: int, one: str, two: str) -> None:
    """Swap two names in the folder: in one step, else in three, else ``one`` only takes ``two``.

    In three steps a save that replaces ``two`` between the first and the second is
    overwritten; where there are no hard links either, what ``two`` was loses its name.

    Raises:
        OSError: It cannot be renamed; FileNotFoundError where a name is gone.
    """
    if _swap_at_once(folder, one, two):
        return
    spare = writing.hidden_name(two)
    try:
        os.link(two, spare, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except OSError:
        os.rename(one, two, src_dir_fd=folder, dst_dir_fd=folder)
        return
    try:
        os.rename(one, two, src_dir_fd=folder, dst_dir_fd=folder)
        os.rename(spare, one, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        writing.remove(folder, spare)
        raise


def _swap_at_once(folder: int, one: str, two: str) -> bool:
    """Return whether two names were swapped; False if this system cannot."""
    names = os.fsencode(one), os.fsencode(two)
    try:  # glibc 2.28, musl 1.2.6
        done = libc.call("renameat2", folder, names[0], folder, names[1], RENAME_EXCHANGE)
    except OSError as error:
        if error.errno in NO_SWAP:
            return False
        raise
    return done is not None


def _is_open_for_writing(descriptor: int) -> bool | None:
    """Return whether any process has this file open for writing; None if nobody can tell.

    A read lease is granted only where nobody has; it is given back at once. Some
    network file systems refuse all of them: try it on a file of your own first.
    """
    try:
        import fcntl
        import signal

        # Whoever opens it in this instant has us told by a signal: one that is ignored,
        # for SIGIO would end the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    except AttributeError:  # not Linux
        return None
    return False


def _differs(descriptor: int, known: bytes) -> bool:
    return os.fstat(descriptor).st_size != len(known) or _bytes(descriptor) != known


def _bytes(descriptor: int) -> bytes:
    """Return the whole file, which may be growing."""
    chunks: list[bytes] = []
    while chunk := os.pread(descriptor, CHUNK, sum(map(len, chunks))):
        chunks.append(chunk)
    return b"".join(chunks)
