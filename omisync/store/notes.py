"""The notes of the store that are tables or lists, as values with types.

Rule: each is written with the names and in the shape that older versions read. What a
note lacks has a default; one of another shape counts as not noted. Damage of what
``kinds.FACTS`` names is told before anything of it gets here.

The run with nothing to do imports none of this: ``quick`` reads ``settled`` and
``last`` as they stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omisync.core.model import Link


class Note(Protocol):
    """What the store keeps under a name; see ``Store.note``."""

    NAME: ClassVar[str]

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        """Return what was noted, None where that is of another shape, or nothing.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """

    def to_json(self) -> object:
        """Return what is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """What is written as a table of its fields, in their order."""

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        if not isinstance(value, dict):
            return None
        return cls(**{one.name: value[one.name] for one in fields(cls) if one.name in value})

    def to_json(self) -> object:
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(_Table):
    """A file and a config for which nothing is to be done, and how things stand then.

    ``digest`` and ``signature`` are those of the file, ``setting`` is that of
    ``quick.setting``. ``at`` says when they were seen, ``look_at`` when to look again all
    the same; both in Unix seconds. ``code`` is the exit code, ``tasks`` and ``parked``
    are counts. ``listing`` is the digest of Omi's list where nothing was to be done about
    that either, ``due_at`` when something is, in Unix seconds. ``remarks`` is what was told
    beside. ``format`` is that of the store, 0 where it was not noted yet.
    """

    NAME: ClassVar = "settled"

    digest: str
    signature: list[int] | None = None
    at: float
    setting: str
    code: int
    tasks: int | None
    parked: int
    look_at: float | None
    listing: str | None = None
    due_at: float | None = None
    remarks: Sequence[str] = ()
    format: int = 0

    def holds(self, digest: str, setting: str, now: float, until: float | None) -> bool:
        """Return whether it is of this file and config, and of no time from ``until`` on.

        ``until`` is the one of its two times that matters, in Unix seconds as ``now``. What
        was settled in a time to come was so before the clock was set back.
        """
        same = (self.digest, self.setting) == (digest, setting)
        return same and self.at <= now and (until is None or now < until)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun(_Table):
    """How the last cycle ended that was not idle; what is not as expected is left out.

    Times are in Unix seconds. ``code`` is the exit code, None before the first. ``tasks``
    is how many the last look found in the file, ``waiting`` counts what did not reach Omi.
    ``next_at`` is when a daemon that still runs tries again. ``failing_since`` is None while
    all is well. ``troubles`` are messages, each with its advice. ``guarded`` is whether a
    guard stopped it, None where that was not noted yet. ``remarks`` is what was told beside.
    ``kinds`` are the names of the troubles' classes, none where they were not noted yet.
    """

    NAME: ClassVar = "last"

    at: float | None = None
    code: int | None = None
    tasks: int | None = None
    waiting: int = 0
    retry_at: float | None = None
    next_at: float | None = None
    success_at: float | None = None
    failing_since: float | None = None
    troubles: tuple[tuple[str, str], ...] = ()
    guarded: bool | None = None
    remarks: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        """Return how it ended, as far as that is noted."""
        if not isinstance(value, dict):
            return None
        return cls(
            at=moment(value.get("at")),
            code=_number(value.get("code")),
            tasks=_number(value.get("tasks")),
            waiting=_number(value.get("waiting")) or 0,
            retry_at=moment(value.get("retry_at")),
            next_at=moment(value.get("next_at")),
            success_at=moment(value.get("success_at")),
            failing_since=moment(value.get("failing_since")),
            troubles=tuple(_troubles(value.get("troubles"))),
            kinds=_texts(value.get("kinds")),
            guarded=bool(value["guarded"]) if "guarded" in value else None,
            remarks=_texts(value.get("remarks")),
        )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _troubles(value: object) -> Iterator[tuple[str, str]]:
    for one in value if isinstance(value, list) else ():
        match one:
            case [message, advice]:
                yield str(message), str(advice)


def moment(value: object) -> float | None:
    """Return a time, None for what is none."""
    return value if isinstance(value, float | int) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(_Table):
    """What is remembered of the last listing.

    ``at`` in Unix seconds, ``cost`` in requests, ``pause`` in seconds to the next.
    ``spent`` are the times and costs of the last hour. ``owed`` is what is still to
    be done of it, see ``sync.reading``, empty if nothing.
    """

    NAME: ClassVar = "listed"

    at: float
    cost: int
    pause: float
    spent: Sequence[Sequence[float]]
    owed: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """What is written as a list of its fields, in their order; ``KINDS`` are their types."""

    KINDS: ClassVar[tuple[type, ...]]

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        """Return what was noted; never what a version noted that had fewer fields."""
        if not isinstance(value, list) or len(value) != len(cls.KINDS):
            return None
        return cls(*value) if all(map(isinstance, value, cls.KINDS)) else None

    def to_json(self) -> object:
        """Return the list of them."""
        return [getattr(self, one.name) for one in fields(self)]


@dataclass(frozen=True, slots=True)
class Refusal(_Row):
    """The removals that the guard refused last: ``count``, where ``remaining`` tasks were left.

    ``version`` tells which file lost them, and whether the items were to be deleted.
    """

    NAME: ClassVar = "refused"
    KINDS: ClassVar = (str, int, int)

    version: str
    count: int
    remaining: int


@dataclass(frozen=True, slots=True)
class Allowance(_Row):
    """The removals that a person allowed: up to ``count``, of this ``version`` of the file."""

    NAME: ClassVar = "allowed"
    KINDS: ClassVar = (str, int)

    version: str
    count: int


@dataclass(frozen=True, slots=True)
class RefusedDeparture(_Row):
    """The lines that the guard kept in the file last: ``count`` of ``total``."""

    NAME: ClassVar = "refused_departure"
    KINDS: ClassVar = (int, int)

    count: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedDeparture(_Table):
    """The lines that a person let go: up to ``count``, ``until`` a time in Unix seconds."""

    NAME: ClassVar = "allowed_departure"

    count: int
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Write(_Table):
    """A write of the file that can be undone.

    ``copy`` names what is kept of the version before, ``after`` is the digest of that
    which the file has since. ``added`` are the keys of new lines, ``former`` what changed
    lines said: text, whether it was done, and due. ``clash`` is the number of that whose
    value was put back by it.
    """

    copy: str
    after: str
    added: Sequence[str]
    former: dict[str, tuple[str, bool, str | None]] = field(default_factory=dict)
    clash: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The writes of the file that can be undone, the last one last; none once all were."""

    NAME: ClassVar = "written"

    writes: tuple[Write, ...]

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        """Return them, None if nothing was written yet."""
        if value is None:
            return None
        found = map(Write.from_json, value if isinstance(value, list) else [])
        return cls(tuple(write for write in found if write is not None))

    def to_json(self) -> object:
        """Return the list of their tables."""
        return [write.to_json() for write in self.writes]


class Writing(NamedTuple):
    """A write of the file: digests before and after, the links that hold then, keys that go.

    ``copy`` names what is kept of the former version; ``added`` are the keys of new
    lines, ``former`` what changed lines said. ``undoes`` names the copy that is put back,
    where the write takes back the last one.
    """

    before: str
    after: str
    links: tuple[Link, ...]
    gone: tuple[str, ...]
    copy: str
    added: tuple[str, ...]
    former: dict[str, tuple[str, bool, str | None]]
    undoes: str = ""
