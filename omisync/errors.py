"""What can go wrong, grouped by who must act. A leaf: it imports nothing of ours.

Each class carries the exit code of its group (sysexits, so that systemd names
it); every message says what happened and the next step. No message and no repr
ever holds a key.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

OK = 0
PARKED = 1
USAGE = 2
BAD_FILE = 65
NO_FILE = 66
WRONG_SERVER = 69
OWN_FAULT = 70
BAD_STORE = 74
TEMPORARY = 75
BAD_KEY = 77
BAD_CONFIG = 78
INTERRUPTED = 130

SEVERITY = (
    USAGE,
    BAD_CONFIG,
    BAD_KEY,
    WRONG_SERVER,
    BAD_STORE,
    BAD_FILE,
    NO_FILE,
    TEMPORARY,
    PARKED,
    OK,
)
"""Which code wins when several apply, worst first; who interrupts has the last word."""

WELL = frozenset({OK, PARKED})
"""The codes of a run that got everything through that Omi takes."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""A full disk, or one that can hold no more files; a full quota; a limit on the size of files."""

SCARCE = {
    errno.EMFILE: "raise the limit of open files (`ulimit -n`), or close what has them",
    errno.ENFILE: "close what has so many files open",
    errno.ENOMEM: "close what has so much memory",
    errno.EIO: "look at the disk, or at the network that it is on",
    errno.ESTALE: "look at the disk, or at the network that it is on",
}
"""What an error of the system says of the machine, not of the file that met it; what to do."""


def worst(*codes: int) -> int:
    """Return the code that a run with all of these results exits with."""
    return min(codes, key=SEVERITY.index, default=OK)


class OmisyncError(Exception):
    """Base of all errors that omisync expects. ``advice`` is the next step.

    ``retry_after`` are the seconds that a server asks to be left alone, 0 if it does not.
    """

    exit_code = TEMPORARY
    retry_after = 0.0

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


# The person who wrote the command, the config or the file.


class UsageError(OmisyncError):
    """The command line asks for something that cannot be done."""

    exit_code = USAGE


class ConfigError(OmisyncError):
    """The config is wrong; the message names file, key, line and allowed values."""

    exit_code = BAD_CONFIG


class KeyProblem(OmisyncError):
    """The API key is missing, refused, too weak or of another account."""

    exit_code = BAD_KEY


class OtherList(ConfigError):
    """The state store belongs to another todo file."""


class OtherAccount(KeyProblem):
    """The key opens another account than the one that the linked tasks are in."""


class FileMissing(OmisyncError):
    """There is no todo file at the configured path."""

    exit_code = NO_FILE


class FileUnusable(OmisyncError):
    """The todo file cannot be read as a todo list, or not be written; nothing is lost."""

    exit_code = BAD_FILE


class VersionUnkept(FileUnusable):
    """A former version of the todo file cannot be kept, and so the file is not written."""


class ParseError(FileUnusable):
    """The todo file breaks its format. ``line`` and ``column`` are 1-based."""

    def __init__(self, message: str, line: int, column: int, advice: str = "") -> None:
        super().__init__(message, advice)
        self.line = line
        self.column = column


class FileChanged(OmisyncError):
    """Somebody saved the todo file while it was being replaced: their save stands.

    Passes by itself: the file is read again. ``aside`` holds bytes that were saved
    too but could not stay in the file, because a still newer save is there; whoever
    catches this keeps them. Empty where nothing is aside, which is nearly always.
    """

    def __init__(self, message: str, advice: str = "", *, aside: bytes = b"") -> None:
        super().__init__(message, advice)
        self.aside = aside


class FileHeld(FileChanged):
    """A program has the todo file open for writing: it is not replaced under its hands."""


class GuardStopped(OmisyncError):
    """The plan would remove too much; it was refused whole."""

    exit_code = BAD_FILE


class ListCut(OmisyncError):
    """At a first meeting a part of Omi's list was not read; a person is asked first."""

    exit_code = BAD_FILE


class ImportStopped(OmisyncError):
    """A first look at an account would flood the file; a person is asked first.

    ``items`` is how many lines the file would get.
    """

    exit_code = BAD_FILE

    def __init__(self, message: str, advice: str, items: int) -> None:
        super().__init__(message, advice)
        self.items = items


# The state on this machine.


class StoreUnusable(OmisyncError):
    """The state store is damaged, newer than this program, or not writable.

    ``damaged`` tells whether ``omisync repair`` may set it aside.
    """

    exit_code = BAD_STORE

    def __init__(self, message: str, advice: str = "", *, damaged: bool = False) -> None:
        super().__init__(message, advice)
        self.damaged = damaged


class StoreBusy(OmisyncError):
    """Another process holds the store, or SQLite found the disk full. Passes by itself."""


class Strained(OmisyncError):
    """The machine lacks what it takes to open or read a file (``SCARCE``). Passes by itself."""

    @classmethod
    def of(cls, what: str, error: Exception) -> Self | None:
        """Return that ``what`` met this; None for an error that speaks of the file itself."""
        if isinstance(error, OSError) and (cure := SCARCE.get(error.errno or 0)):
            return cls(f"{what}: {error.strerror}", f"{cure}; it is tried again by itself")
        return None


class NoRoom(Strained):
    """The disk, a quota or a size limit has no room for a file; what was there still is."""


# The network and the server, for the whole account.


class WrongServer(OmisyncError):
    """The server refuses this client for good (404, 405, 413, 426, a redirect).

    So does any 4xx for a read that has no class of its own. A 404 about one item is ``ItemGone``.
    ``may_pass`` tells that something before a server that is Omi's may have answered in its place.
    """

    exit_code = WRONG_SERVER

    def __init__(self, message: str, advice: str = "", *, may_pass: bool = False) -> None:
        super().__init__(message, advice)
        self.may_pass = may_pass


class Unreachable(OmisyncError):
    """Nothing left this machine (DNS, refused, connect timeout, TLS): safe to repeat."""


class NotAsked(Unreachable):
    """The server failed just before, and is left alone for now. The message is that failure's."""


class RateLimited(OmisyncError):
    """429: nothing was done. ``bucket`` is read or write."""

    def __init__(self, bucket: str, retry_after: float, limit: int | None = None) -> None:
        super().__init__(f"Omi's {bucket} limit is reached")
        self.bucket = bucket
        self.retry_after = retry_after
        self.limit = limit


class ListUnread(OmisyncError):
    """What an earlier reading of the list brought is not done, and the next has to wait."""


class ServerTrouble(OmisyncError):
    """No usable answer to a request that may be repeated (5xx, reset, timeout)."""


class Intercepted(ServerTrouble):
    """A proxy or gateway refused a request in Omi's place: nothing was done, a create not made."""


class OutcomeUnknown(OmisyncError):
    """A create left and no usable answer came: it may exist. Never resend blindly.

    ``failure`` is ``"5xx"``, ``"dropped"``, ``"timeout"``, or ``"unlisted"`` where a success
    shows that the item was made, and not which one it is.
    """

    def __init__(self, message: str, failure: str) -> None:
        super().__init__(message)
        self.failure = failure


# The server, about one item. Never the result of a whole run.


class ItemProblem(OmisyncError):
    """The server answered about this item alone; the others go on.

    ``status`` is the HTTP status. ``named`` are the elements of a batch it is about, by
    their index, with what was said of each; none where it does not say which.
    """

    exit_code = PARKED

    def __init__(self, message: str, status: int, named: Mapping[int, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.named = named or {}


class ItemGone(ItemProblem):
    """404 on a PATCH or DELETE: the item does not exist any more.

    ``vague`` tells that the server may as well mean that it knows no such address.
    """

    def __init__(self, message: str, status: int, *, vague: bool = False) -> None:
        super().__init__(message, status)
        self.vague = vague


class ItemLocked(ItemProblem):
    """402: the item is locked by the account's plan."""


class ItemRefused(ItemProblem):
    """422 or another 4xx about the content of this item."""
