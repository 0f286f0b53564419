"""A new file, written whole or not at all, under a hidden name until it is needed.

Rule: a hidden name belongs to the process whose number it holds; whoever finds
one that has lost its process takes it away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time

LEFT_BEHIND_AFTER = 3600.0
"""Seconds. No replacement takes that long: whoever has the process number now is another."""

STEM = 50
"""Characters of the file's name in the hidden one: 200 bytes at most, names end at 255."""

CREATE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
"""Never through what somebody else has put at the name."""


def hidden_name(name: str) -> str:
    """Return a fresh name beside ``name`` that editors, watchers and sync programs pass over."""
    return f".{name[:STEM]}.omisync-{os.getpid()}-{os.urandom(4).hex()}.tmp"


def create(folder: int, name: str, data: bytes) -> int:
    """Return the descriptor of a new file (0600) with this content; on an error it is gone again.

    ``folder`` is the descriptor of an open folder. Nothing is synced yet.

    Raises:
        OSError: It cannot be created or written.
    """
    descriptor = os.open(name, CREATE_FLAGS, 0o600, dir_fd=folder)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except BaseException:
        os.close(descriptor)
        remove(folder, name)
        raise
    return descriptor


def remove(folder: int, name: str) -> None:
    """Remove this name from the folder, if it is there and can be removed."""
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)


def sync_folder(folder: int) -> None:
    """Make the names in the folder durable, where the file system can."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network file systems
            raise


def sweep(folder: int, name: str) -> None:
    """Remove the hidden files beside ``name`` that a killed process left behind.

    Only regular files are, and only those whose process is gone or that are over an hour old.
    """
    pattern = re.compile(
        rf"\.{re.escape(name[:STEM])}\.omisync-([1-9][0-9]{{0,9}})-[0-9a-f]{{8}}\.tmp"
    )
    for entry in os.listdir(folder):
        if match := pattern.fullmatch(entry):
            with contextlib.suppress(OSError):
                status = os.stat(entry, dir_fd=folder, follow_symlinks=False)
                # Not the mtime: a file that was moved to such a name keeps its old one.
                old = time.time() - status.st_ctime > LEFT_BEHIND_AFTER
                if stat.S_ISREG(status.st_mode) and (old or not _is_alive(int(match[1]))):
                    os.unlink(entry, dir_fd=folder)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
