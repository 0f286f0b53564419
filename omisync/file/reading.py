"""The todo file's bytes: read them, and tell cheaply whether they may have changed.

Rule: a signature is kept only beside the bytes it was seen around, so equal
signatures never stand for different bytes within the clock's resolution.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from omisync.errors import FileMissing, FileUnusable, OmisyncError, Strained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE_LIMIT = 20 * 1024 * 1024
"""Bytes. A todo list of this size is something else under its name."""

CHUNK = 1 << 16
"""Bytes read at once: no more than that is held of a file that is only glanced at."""

READ_ATTEMPTS = 4
"""How often a file that changes while it is read is read again at once."""

OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK
"""O_NONBLOCK: a FIFO or a device at the path must not hold the program for ever."""

BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32LE"),
    (b"\x00\x00\xfe\xff", "UTF-32BE"),
    (b"\xff\xfe", "UTF-16LE"),
    (b"\xfe\xff", "UTF-16BE"),
)
"""Longest first: the mark of UTF-32LE begins with that of UTF-16LE."""

NOT_A_FILE = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class Signature(NamedTuple):
    """Stat fields that are cheap to compare: times in nanoseconds, size in bytes."""

    mtime_ns: int
    ctime_ns: int
    size: int
    inode: int


class Snapshot(NamedTuple):
    """The file as it was at one moment: bytes, their digest (hex BLAKE2b), its signature."""

    data: bytes
    digest: str
    signature: Signature


def read(path: Path) -> Snapshot:
    """Return the file's bytes with the signature that belongs to them. Symlinks are followed.

    A file that is written to during every attempt comes with the signature from
    before the last one, so that the next look finds it changed.

    Raises:
        FileMissing: There is no file.
        FileUnusable: It is no file, not readable, larger than 20 MB, not UTF-8,
            or mostly NUL bytes.
        Strained: The machine cannot read it now.
    """
    with _opened(path) as descriptor:
        data, signature = _read_steadily(path, descriptor)
    _check_text(path, data)
    return Snapshot(data, digest(data), signature)


def signature(path: Path) -> Signature | None:
    """Return the file's signature without opening it; None where there is nothing to see."""
    try:
        return _signature_of(path.stat())
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None


def _signature_of(status: os.stat_result) -> Signature:
    """Return the signature in what stat told."""
    return Signature(status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


def glance(path: Path) -> str:
    """Return what tells one state of the file from another: the digest of its bytes, as ``read``.

    They are not looked at otherwise, and no more than a part of them is held at a
    time. Of a file that cannot be read it is the reason.
    """
    found = _hash()
    try:
        with _opened(path) as descriptor:
            _check_kind(path, os.fstat(descriptor))
            for chunk in _chunks(path, descriptor):
                found.update(chunk)
    except OmisyncError as error:
        return error.message
    return found.hexdigest()


def digest(data: bytes) -> str:
    """Return the digest by which two readings are compared."""
    return _hash(data).hexdigest()


def _hash(data: bytes = b"") -> hashlib.blake2b:
    return hashlib.blake2b(data, digest_size=32)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Give the file's descriptor; what goes wrong with it is told as that of the file."""
    try:
        descriptor = os.open(path, OPEN_FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        raise missing(path) from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    try:
        yield descriptor
    except OSError as error:
        raise unreadable(path, error) from None
    finally:
        os.close(descriptor)


def missing(path: Path) -> FileMissing:
    """Return that there is no file, and what of the path there is."""
    advice = (
        "create it; if it has another name now, correct path under [todo] in the config, and to"
        " keep its state set path under [state] to the one that `omisync status` names first"
    )
    if path.is_symlink():
        target = path.readlink()
        return FileMissing(f"{path} is a symlink to {target}, which does not exist", advice)
    for parent in reversed(path.parents):
        if not parent.is_dir():
            what = "is not a folder" if parent.exists() else "does not exist"
            return FileMissing(f"there is no todo file {path}: {parent} {what}", advice)
    return FileMissing(f"there is no todo file {path}", advice)


def unreadable(path: Path, error: OSError | ValueError) -> FileUnusable | Strained:
    """Return why the file cannot be opened or read, in words for a person."""
    if isinstance(error, PermissionError):
        advice = f"give this user the right to read it and its folders: ls -ld {quoted(path)}"
        return FileUnusable(f"no permission to read {path}", advice)
    if strained := Strained.of(f"{path} cannot be read", error):
        return strained
    reason = getattr(error, "strerror", None) or str(error)
    return FileUnusable(f"{path} cannot be read: {reason}", "check path under [todo] in the config")


def _read_steadily(path: Path, descriptor: int) -> tuple[bytes, Signature]:
    """Read until nothing changed meanwhile, a few times at most."""
    for _ in range(READ_ATTEMPTS):
        before = os.fstat(descriptor)
        _check_kind(path, before)
        data = _read_whole(path, descriptor)
        if _signature_of(os.fstat(descriptor)) == _signature_of(before):
            break
    return data, _signature_of(before)


def _check_kind(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for test, name in NOT_A_FILE if test(status.st_mode)), "no regular file")
        advice = "name a Markdown or TOML file as path under [todo] in the config"
        raise FileUnusable(f"{path} is {kind}, not a todo file", advice)
    if status.st_size > SIZE_LIMIT:
        raise _too_large(path)


def _read_whole(path: Path, descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return b"".join(_chunks(path, descriptor))


def _chunks(path: Path, descriptor: int) -> Iterator[bytes]:
    size = 0
    while chunk := os.read(descriptor, CHUNK):
        yield chunk
        size += len(chunk)
        if size > SIZE_LIMIT:  # it grew since its size was seen
            raise _too_large(path)


def _too_large(path: Path) -> FileUnusable:
    return FileUnusable(
        f"{path} is larger than {SIZE_LIMIT // 2**20} MB, nothing was read",
        "check that this is your todo list; move what is finished to another file",
    )


def _check_text(path: Path, data: bytes) -> None:
    """Refuse what is not text in UTF-8, saying what it looks like instead."""
    if encoding := _wide_encoding(data):
        command = f"iconv -f {encoding} -t UTF-8 {quoted(path)} > new.md"
        advice = f"save it as UTF-8 in your editor, or run: {command}"
        raise FileUnusable(f"{path} is not UTF-8, it looks like {encoding}", advice)
    if data.count(0) * 2 > len(data):
        raise FileUnusable(
            f"{path} is mostly NUL bytes: it looks like a file a crash left behind",
            "restore it from a backup",
        )
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileUnusable(
            f"{path}:{line}: not UTF-8 at byte offset {error.start} "
            f"(0x{data[error.start]:02x}, line {line})",
            "save it as UTF-8 in your editor",
        ) from None


def _wide_encoding(data: bytes) -> str:
    """Return the UTF-16 or UTF-32 that this looks like, else empty."""
    for mark, name in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return name
    # Without a mark: Latin text in UTF-16 has a NUL in every second byte only.
    first, second = data[::2].count(0), data[1::2].count(0)
    if first + second < 2:  # noqa: PLR2004 - one NUL proves nothing
        return ""
    most = len(data) // 2 * 9 // 10
    if not first and second > most:
        return "UTF-16LE"
    if not second and first > most:
        return "UTF-16BE"
    return ""


def quoted(path: Path) -> str:
    """Return the path as it can be pasted into a shell."""
    import shlex

    return shlex.quote(str(path))
