"""What one cycle works with, and what it leaves behind."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import time as time_of_day
from itertools import count
from typing import TYPE_CHECKING

from omisync import errors, places
from omisync.core.merge import Encoding
from omisync.core.model import Gate, Link, Tombstone
from omisync.core.plan import Plan, Policy
from omisync.errors import OmisyncError, OutcomeUnknown, RateLimited, ServerTrouble
from omisync.store import Event, notes
from omisync.sync import formats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from omisync.api import OmiClient
    from omisync.config import Config
    from omisync.core.model import Intent, Notice
    from omisync.core.plan import AddRemote
    from omisync.store import Store
    from omisync.sync.creates import Created
    from omisync.sync.looks import First

HOUR = 3600.0
DAY = 86400.0
"""Seconds."""
CAREFUL_AT_LEAST = 60.0
"""Seconds after a gate opened in which its bucket goes one request at a time."""


@dataclass(slots=True)
class Desk:
    """What cycles work with: config, store, clock, and the one client, opened when needed.

    ``setting`` stands for the config as a whole: a changed one is looked at anew.
    ``hurry`` is set from outside to end a cycle after the requests under way.
    ``timeout`` is for one request, in seconds; beyond ``deadline`` (of the monotonic clock) a
    write that failed is the cycle's last. ``rest`` tells of what failed while the server is
    left alone. ``settled`` counts ops. ``remarks`` are those of a
    cycle that asked for the next at once, which tells them too. ``first`` is what a whole
    list lacked while nothing was linked.

    ``clock`` gives Unix seconds. ``trace`` is called with the name of each step
    that changes something outside (``store.commit``, ``store.write``,
    ``request.sent``, ``reply.read``, and those of ``file.replacing``). ``report`` hears
    of progress: writes done, writes planned.
    """

    config: Config
    store: Store
    environ: Mapping[str, str]
    setting: str = ""
    clock: Callable[[], float] = time.time
    trace: Callable[[str], None] | None = None
    report: Callable[[int, int], None] | None = None
    hurry: bool = False
    timeout: float = 30.0
    deadline: float = math.inf
    rest: str = ""
    settled: int = 0
    key: places.Key | None = None
    remarks: tuple[str, ...] = ()
    first: First | None = None
    _client: OmiClient | None = None

    async def client(self) -> OmiClient:
        """Return the client, opening its session on first use.

        Raises:
            KeyProblem: there is no key.
            ConfigError: the key file is unusable.
        """
        if self._client is None:
            from omisync.api import OmiClient

            self.key = self.find_key()
            client = OmiClient(
                self.config.omi.base_url,
                self.key.value,
                timeout=self.timeout,
                clock=self.clock,
                trace=self.trace,
            )
            self._client = await client.__aenter__()
        self._client.rest = self.rest
        return self._client

    def find_key(self) -> places.Key:
        """Return the API key, looked up anew; raises as ``client`` does."""
        return places.find_key(self.config.key_file, self.environ, self.config.omi.base_url)

    async def close(self) -> None:
        """Close the session; the next request opens a new one (and reads the key again)."""
        client, self._client = self._client, None
        if client is not None:
            await client.__aexit__(None, None, None)

    def progress(self) -> int:
        """Return a count of what was done so far: ops that were settled, and pages read."""
        return self.settled + (0 if self._client is None else self._client.reads)

    def server_date(self) -> float:
        """Return a past time of the server's clock, whatever this machine's clock says.

        It is that of the last reply, else of the last look; only without both is it a guess.
        """
        if self._client is not None and self._client.server_date is not None:
            return self._client.server_date
        looked = notes.moment(self.store.fact("looked"))
        return looked if looked is not None else self.clock()


def policy(config: Config, grace: float) -> Policy:
    """Return what the config says about decisions, with this grace in seconds."""
    said = config.sync
    return Policy(
        encoding=encoding_of(config),
        on_removal=said.on_removal,
        grace=grace,
        max_removals=said.max_removals,
        adopt=said.adopt,
        skip_completed=said.completed == "skip",
        two_way=config.two_way,
        prefer=said.prefer,
        on_remote_removal=said.on_remote_removal,
        import_items=said.import_items,
        import_since=config.import_since(),
        ids=config.two_way and said.ids == "inline",
    )


def encoding_of(config: Config) -> Encoding:
    """Return how the config has lines said as items and, in two-way, items as lines."""
    due_time = time_of_day.fromisoformat(config.sync.due_time)
    if config.two_way:
        return Encoding(config.zone(), due_time, formats.legible(config))
    return Encoding(config.zone(), due_time)


def keys() -> Iterator[str]:
    """Yield new keys for tasks, each behind the one before and never used before.

    As in a UUID of version 7 (RFC 9562): 48 bits that grow with time, then random
    ones, here 48, the same for all of a plan. So the rows of a batch stand side by
    side in the store, which costs less to write than rows at random places.
    """
    tail = secrets.token_hex(6)
    for number in count(time.time_ns() // 1_000_000):
        yield f"{number:012x}{tail}"


def limited(gate: Gate, now: float) -> RateLimited:
    """Return the error of what is not asked while this gate is shut."""
    return RateLimited(gate.bucket, gate.wait(now), gate.limit)


@dataclass(slots=True)
class Run:
    """One cycle under way: what was done, what went wrong, when to look again.

    ``linked`` are all remote ids with a link, as soon as anything is to be created or looked
    for, ``known`` the ids that each description had at the last look, ``written`` the keys
    whose row is up to date, ``ahead`` the intents that are written down and not sent, by key,
    ``created`` what came back and is not settled yet.
    ``blind`` says that nothing may be created, ``listed`` that in two-way the list was
    read; ``listing_digest`` is what it is compared by, where it is complete. ``due_at`` is
    when something but a listing is due. ``stopped`` is a plan that a person has to agree to.
    ``unwritable`` tells that the file cannot be written now.
    ``retry_at`` is the earliest time at which something temporary is over (Unix
    seconds). ``halt`` stops all further requests of the cycle; ``got_through`` tells that
    the server took a write, ``unlucky`` counts those without a usable answer since, ``parted``
    the groups of new tasks that were stopped on their way. ``put_off`` are groups of new tasks
    to try when all else was. ``refused`` are the creates refused before, ``enough`` how many of
    them speak of the server, as soon as some do. ``failed`` are the tasks, by key, whose write
    got no usable answer. ``counted_removals`` says whether the removal guard of later cycles
    counts what is removed; what was allowed by hand it does not.
    ``began`` is when the cycle did, ``went_on`` when the last write succeeded, or the first
    began, by the monotonic clock.
    ``is_well`` tells whether the server, asked (by one at a time: ``asking``), took a write
    about a task that does not fail; None where it was not asked.
    """

    desk: Desk
    now: float
    counts: Counter[str] = field(default_factory=Counter)
    troubles: list[OmisyncError] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    gates: dict[str, Gate] = field(default_factory=dict)
    known: dict[str, tuple[str, ...]] = field(default_factory=dict)
    retry_at: float | None = None
    again: bool = False
    halt: bool = False
    planned: int = 0
    done: int = 0
    got_through: bool = False
    blind: bool = False
    listed: bool = False
    listing_digest: str | None = None
    due_at: float | None = None
    stopped: Plan | None = None
    unwritable: bool = False
    written: set[str] = field(default_factory=set)
    ahead: dict[str, Intent] = field(default_factory=dict)
    created: list[Created] = field(default_factory=list)
    parked: list[Link] = field(default_factory=list)
    failed: dict[str, Link] = field(default_factory=dict)
    put_off: list[list[AddRemote]] = field(default_factory=list)
    refused: list[Link] = field(default_factory=list)
    enough: int = 0
    linked: set[str] = field(default_factory=set)
    unlucky: int = 0
    parted: int = 0
    counted_removals: bool = True
    began: float = field(default_factory=time.monotonic)
    went_on: float = 0.0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_well: bool | None = None

    @property
    def store(self) -> Store:
        """Return the store that everything is settled in."""
        return self.desk.store

    @property
    def only_creates(self) -> bool:
        """Return whether nothing may be changed or removed: in two-way the list was not read."""
        return self.desk.config.two_way and not self.listed

    def recall_gates(self) -> None:
        """Know again which buckets are shut; none since a time to come, or it would stay so.

        They are those of one key: Omi counts the requests of each by itself.
        """
        self.gates = self.store.gates()
        gated = self.store.fact("gated") if self.gates else None
        if gated is not None and self._fingerprint() not in {None, gated}:
            self.gates = {}
            with self.store.transaction():
                self.store.drop_gates()
        early = [gate for gate in self.gates.values() if gate.set_at > self.now]
        if early:
            with self.store.transaction():
                for gate in early:
                    self.gates[gate.bucket] = replace(gate, set_at=self.now)
                    self.store.put_gate(self.gates[gate.bucket])

    def _fingerprint(self) -> str | None:
        """Return what stands for the key, None where there is none."""
        with suppress(OmisyncError):
            return self.desk.find_key().fingerprint
        return None

    def gate_wait(self, bucket: str) -> float:
        """Return the seconds until this bucket may be called, 0 where it may be now."""
        gate = self.gates.get(bucket)
        return gate.wait(self.desk.clock()) if gate else 0.0

    def shut(self, bucket: str) -> bool:
        """Return whether this bucket must not be called now; if so, note until when."""
        wait = self.gate_wait(bucket)
        if wait > 0:
            self.look_again(self.desk.clock() + wait)
        return wait > 0

    def pass_gate(self, bucket: str) -> None:
        """Go on if this bucket may be called now.

        Raises:
            RateLimited: it is shut; nothing was sent.
        """
        if self.shut(bucket):
            raise limited(self.gates[bucket], self.desk.clock())

    def careful(self) -> bool:
        """Return whether writes go one at a time: the limit was hit a window ago or less."""
        gate = self.gates.get("write")
        if gate is None:
            return False
        since_open = self.desk.clock() - gate.set_at - gate.retry_after
        return since_open < max(gate.retry_after, CAREFUL_AT_LEAST)

    def look_again(self, at: float) -> None:
        """Note that something temporary may be over at ``at`` (Unix seconds)."""
        self.retry_at = at if self.retry_at is None else min(self.retry_at, at)

    def trouble(self, error: OmisyncError) -> None:
        """Note an error that the cycle survives; keep the gate that a 429 sets."""
        if isinstance(error, RateLimited):
            self.shut_for(error)
        if all(type(error) is not type(old) or str(error) != str(old) for old in self.troubles):
            self.troubles.append(error)

    def wait_for(self, bucket: str) -> None:
        """Note that the cycle ends at this gate; the gate stays as it is."""
        if not any(isinstance(error, RateLimited) for error in self.troubles):
            self.troubles.append(limited(self.gates[bucket], self.desk.clock()))

    def shut_for(self, error: RateLimited) -> None:
        """Shut the gate that a 429 asks for, beyond a restart."""
        gate = Gate(error.bucket, self.desk.clock(), error.retry_after, error.limit)
        self.gates[error.bucket] = gate
        with self.store.transaction():
            self.store.put_gate(gate)
            key = self.desk.key
            self.store.put_fact("gated", key.fingerprint if key is not None else None)
        self.look_again(gate.set_at + gate.retry_after)

    def succeeded(self, links: int = 1) -> None:
        """Note that the server took a write about so many tasks."""
        self.unlucky = self.parted = 0
        self.went_on = time.monotonic()
        self.got_through = True
        self.finished(links)

    def is_late(self) -> bool:
        """Return whether time is up, and nothing succeeded for as long as a request may take."""
        now = time.monotonic()
        return now >= self.desk.deadline and now - self.went_on >= self.desk.timeout

    def is_over(self) -> bool:
        """Return whether time is up, and went with a server that failed: nothing more is begun."""
        failed = any(isinstance(one, ServerTrouble | OutcomeUnknown) for one in self.troubles)
        now = time.monotonic()
        return failed and now >= self.desk.deadline and now - self.began >= self.desk.timeout

    def finished(self, links: int = 1) -> None:
        """Note that so many tasks of the plan need nothing more."""
        self.done += links
        if self.desk.report is not None and self.planned:
            self.desk.report(self.done, self.planned)

    def settle(
        self,
        event: str,
        *links: Link,
        dropped: Iterable[str] = (),
        buried: Iterable[Tombstone] = (),
        detail: str = "",
    ) -> None:
        """Write the outcome of an op, and its line of history, in one transaction.

        It does not wait for the disk: after a power cut the intent, or the doubt,
        that was durable before the request is still there, and the server is asked.
        The intents and tombstones of these links have served and go. ``dropped`` are
        keys of links to delete. Each link or buried task gets one event.
        """
        buried, dropped = tuple(buried), tuple(dropped)
        keys = [link.key for link in links]
        now = self.desk.clock()
        with self.store.transaction(durable=False):
            self.store.put_links(links)
            self.store.drop_intents(keys)
            self.store.drop_tombstones(keys)
            self.store.drop_links(dropped)
            self.store.put_tombstones(buried)
            self.store.record(
                *(
                    Event(now, event, link.seen.text, link.key, link.remote_id, detail)
                    for link in links
                ),
                *(Event(now, event, s.task.text, s.key, s.remote_id, detail) for s in buried),
            )
        self.counts[event] += len(links) + len(buried)
        self.desk.settled += len(links) + len(buried)
        self.written.update(keys, dropped)
        for key in keys if self.failed else ():
            self.failed.pop(key, None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a cycle.

    ``code`` is the exit code it stands for. ``waiting`` counts the ops that
    still have to reach the server. ``retry_at`` says when something temporary
    may be over (None: unknown, use the backoff), ``look_at`` when something is
    due anyway (a grace, a probe); both in Unix seconds. ``still_parked`` are
    the parked tasks of an idle cycle, which did nothing about them. ``failed`` are those
    whose write got no usable answer. ``again`` asks for the next cycle at once.
    ``progress`` tells whether anything was settled.
    """

    code: int
    # asyncio spells out the result of the task that it ran, in a message that nobody sees.
    plan: Plan | None = field(default=None, repr=False)
    counts: Mapping[str, int] = field(default_factory=dict)
    troubles: tuple[OmisyncError, ...] = ()
    remarks: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    parked: tuple[Link, ...] = ()
    still_parked: tuple[Link, ...] = ()
    failed: tuple[Link, ...] = ()
    waiting: int = 0
    tasks: int | None = None
    retry_at: float | None = None
    look_at: float | None = None
    again: bool = False
    progress: bool = False
    idle: bool = False

    @property
    def temporary(self) -> bool:
        """Return whether waiting can help."""
        return self.again or self.code == errors.TEMPORARY

    def then(self, later: Outcome) -> Outcome:
        """Return the later outcome with what this one did before it added.

        What a write without an answer met stays the reason as long as it is looked for.
        """
        met = tuple(t for t in self.troubles if isinstance(t, OutcomeUnknown))
        lasts = bool(met) and not later.troubles and later.code == errors.TEMPORARY
        return replace(
            later,
            troubles=met if lasts else later.troubles,
            failed=self.failed if lasts else later.failed,
            counts=Counter(self.counts) + Counter(later.counts),
            remarks=(*self.remarks, *(r for r in later.remarks if r not in self.remarks)),
            progress=self.progress or later.progress,
        )
