"""The last versions of the todo file, kept in a folder beside the state.

Rule: a version is there whole or not at all, for its user only; nothing that
somebody else has put into the folder is followed or overwritten.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from omisync.errors import NO_ROOM, NoRoom, Strained, VersionUnkept
from omisync.file import writing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

NAME_BYTES = 200
"""How much of the file's name a version has: with number and hidden name below 255."""


def keep_copy(folder: Path, name: str, data: bytes) -> Path:
    """Keep these bytes as the newest version of ``name`` and return where they are.

    Versions are called ``000042-todo.md``: they sort by age. No older one goes, see
    ``drop_copies``. The folder is made for this user only if it is not there.

    Raises:
        NoRoom: The disk is full.
        VersionUnkept: The folder is a symlink, another user's, or cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _opened(folder) as opened:
            _make_private(folder, opened)
            kept = _add(opened, _short(name), data)
    except OSError as error:
        raise _refusal(folder, name, error) from None
    return folder / kept


def drop_copies(folder: Path, name: str, *, limit: int, needed: Collection[str] = ()) -> None:
    """Remove the versions of ``name`` but the last ``limit`` (at least one) and the ``needed``.

    Raises:
        VersionUnkept: The folder cannot be read or written.
    """
    try:
        with _opened(folder) as opened:
            _drop_old(opened, _short(name), limit, needed)
    except FileNotFoundError:  # the person has removed it
        return
    except OSError as error:
        raise _refusal(folder, name, error) from None


def drop_copy(copy: Path) -> None:
    """Remove a version that nobody needs; one that cannot be removed goes with the old ones."""
    with contextlib.suppress(OSError):
        copy.unlink()


def copies(folder: Path, name: str) -> list[Path]:
    """Return the versions of ``name`` in this folder, the newest last; none if there is none."""
    try:
        entries = os.listdir(folder)  # noqa: PTH208 - _numbered takes a descriptor's list too
    except OSError:
        return []
    paths = [folder / entry for _, entry in _numbered(entries, _short(name))]
    return [path for path in paths if not path.is_symlink() and path.is_file()]


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield opened
    finally:
        os.close(opened)


def _make_private(folder: Path, opened: int) -> None:
    status = os.fstat(opened)
    if status.st_uid != os.geteuid():
        raise VersionUnkept(
            f"the folder {folder} for old versions belongs to another user (uid {status.st_uid})",
            "remove it, or run omisync as that user",
        )
    if status.st_mode & 0o077:
        os.fchmod(opened, 0o700)


def _add(folder: int, name: str, data: bytes) -> str:
    writing.sweep(folder, name)
    hidden = writing.hidden_name(name)
    descriptor = writing.create(folder, hidden, data)
    try:
        os.fsync(descriptor)
        # Whatever has a number counts, a planted symlink too: its number is not used again.
        number = max((number for number, _ in _numbered(os.listdir(folder), name)), default=0)
        kept = f"{number + 1:06}-{name}"
        os.rename(hidden, kept, src_dir_fd=folder, dst_dir_fd=folder)
        hidden = kept
        writing.sync_folder(folder)
    except BaseException:
        writing.remove(folder, hidden)
        raise
    finally:
        os.close(descriptor)
    return kept


def _drop_old(folder: int, name: str, limit: int, needed: Collection[str]) -> None:
    for _, entry in _numbered(os.listdir(folder), name)[: -max(limit, 1)]:
        if entry in needed:
            continue
        status = os.stat(entry, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(entry, dir_fd=folder)


def _numbered(entries: list[str], name: str) -> list[tuple[int, str]]:
    """Return the entries that are versions of ``name``, by number."""
    pattern = re.compile(rf"([0-9]{{6,12}})-{re.escape(name)}")
    return sorted(
        (int(match[1]), entry) for entry in entries if (match := pattern.fullmatch(entry))
    )


def _short(name: str) -> str:
    """Return the file's own name, with its suffix, in a length that leaves room for a number."""
    path = Path(name)
    spare = NAME_BYTES - len(os.fsencode(path.suffix))
    stem = os.fsencode(path.stem)
    if len(stem) <= spare or spare < 1:
        return path.name
    return stem[:spare].decode(errors="ignore") + path.suffix


def _refusal(folder: Path, name: str, error: OSError) -> Strained | VersionUnkept:
    if error.errno in NO_ROOM:
        return NoRoom(
            f"no room on the disk to keep the old version of {name} in {folder}",
            "free some space, or raise the quota",
        )
    what = f"the old version of {name} cannot be kept in {folder}"
    return Strained.of(what, error) or VersionUnkept(
        f"{what}: {error.strerror}",
        "make it a folder of this user's, and only this user's",
    )
