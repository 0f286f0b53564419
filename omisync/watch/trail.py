"""Which folders to watch so that the todo file does not change unseen."""

from __future__ import annotations

import stat
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import os

SYMLINK_LIMIT = 40
"""As many as Linux follows (path_resolution(7))."""


class Trail(NamedTuple):
    """What to watch, found by ``walk``.

    ``places`` are folders (and a file with several names) with their device and
    inode, ``paths`` the entries in them whose events matter.
    """

    places: dict[str, tuple[int, int]]
    paths: frozenset[str]


NOTHING = Trail({}, frozenset())


def walk(path: Path) -> Trail:
    """Walk to the file as the kernel does and return what to watch on the way.

    That is every folder which holds the file or a symlink to it or to a folder on the
    way; where something is missing, the last folder that exists. Folders further up are
    not watched (a home folder is busy): their replacement is found by ``rescan``.
    """
    places: dict[str, tuple[int, int]] = {}
    paths: set[str] = set()
    path = path.absolute()
    here, ahead = Path(path.anchor), deque(path.parts[1:])
    links = 0
    while ahead:
        name = ahead.popleft()
        if name == "..":  # `here` has no symlink in it, so its parent is the kernel's
            here = here.parent
            continue
        entry = here / name
        status = _status(entry)
        target = _target(entry, status)
        if status is None or target is not None or not ahead:
            _add(places, paths, here)
            paths.add(str(entry))
        if status is None or links > SYMLINK_LIMIT:
            break
        if target is None:
            here = entry
        else:
            links += 1
            here = Path(target.anchor) if target.is_absolute() else here
            ahead.extendleft(reversed(target.parts[1 if target.is_absolute() else 0 :]))
    status = _status(here)
    if status is not None and stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        _add(places, paths, here)  # written through another name, its folder hears nothing
    return Trail(places, frozenset(paths))


def _status(entry: Path) -> os.stat_result | None:
    try:
        return entry.lstat()
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None


def _target(entry: Path, status: os.stat_result | None) -> Path | None:
    """Return where a symlink points; None for anything else."""
    if status is None or not stat.S_ISLNK(status.st_mode):
        return None
    try:
        return entry.readlink()
    except OSError:  # it was replaced since
        return None


def _add(places: dict[str, tuple[int, int]], paths: set[str], place: Path) -> None:
    status = _status(place)
    if status is not None:
        places[str(place)] = (status.st_dev, status.st_ino)
        paths.add(str(place))  # its own removal or renaming
