"""Owner, group, mode and extended attributes of a file, given to the one that replaces it.

Rule: nobody gains access. What cannot be kept is narrowed, and an owner who
cannot be kept is a reason not to replace the file at all.
"""

from __future__ import annotations

import contextlib
import os
import stat

from omisync.errors import NO_ROOM, FileUnusable

ACL = "system.posix_acl_access"

OF_THE_BYTES = frozenset({"security.ima", "security.evm"})
"""Attributes that are checksums of the content, so wrong for any other."""


def copy(source: int, to: int, path: str) -> None:
    """Give one open file the rights and attributes of another. ``path`` is for messages.

    A group that cannot be kept loses its permissions, with the access list, and what
    it was denied is denied to others. Attributes that may not be set are left out.

    Raises:
        FileUnusable: The owner cannot be kept.
        OSError: There is no room, or the mode cannot be set.
    """
    was, now = os.fstat(source), os.fstat(to)
    if was.st_uid != now.st_uid:
        _give_to(was.st_uid, to, path)
    mode, kept = stat.S_IMODE(was.st_mode), True
    if was.st_gid != now.st_gid:
        try:
            os.chown(to, -1, was.st_gid)
        except OSError:
            mode, kept = _without_group(mode), False
    # A folder can hand its own access list down, and chmod would put it in force.
    if ACL in _names(to):
        with contextlib.suppress(OSError):
            os.removexattr(to, ACL)
    os.fchmod(to, mode)
    for name in _names(source):
        if name in OF_THE_BYTES or (name == ACL and not kept):
            continue
        try:
            os.setxattr(to, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
            if name == ACL:  # the group bits are the list's mask, not what the group may
                os.fchmod(to, _without_group(mode))


def check_owner(status: os.stat_result, path: str) -> None:
    """Make sure that a file of this owner can be given back to them.

    Raises:
        FileUnusable: Only root can give files away, and this user is another.
    """
    if status.st_uid != os.geteuid() and os.geteuid() != 0:
        raise _another_owner(status.st_uid, path)


def _give_to(owner: int, to: int, path: str) -> None:
    try:
        os.chown(to, owner, -1)
    except OSError:
        raise _another_owner(owner, path) from None


def _another_owner(owner: int, path: str) -> FileUnusable:
    return FileUnusable(
        f"{path} belongs to another user (uid {owner}); replaced, it would be this user's",
        "run omisync as that user, or make the file this user's: chown",
    )


def _without_group(mode: int) -> int:
    """Return the mode without group rights; who was in the group is now one of the others."""
    return (mode & 0o700) | (mode & (mode >> 3) & 0o007)


def _names(descriptor: int) -> list[str]:
    try:
        return os.listxattr(descriptor)
    except (AttributeError, OSError):  # a Python or a file system without
        return []
