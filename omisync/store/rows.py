"""The links in the order of the file, each read when it is looked at.

Rule: of a settled link only a fingerprint of its line is kept, and kept up to date
with what is written. The links are those that a new reading would give: where a write
could change their order, or another process wrote, they are read anew.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from heapq import merge
from itertools import accumulate
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

from omisync.core.unchanged import LazySequence, fingerprint, fingerprints
from omisync.errors import StoreBusy
from omisync.store import coding
from omisync.store.schema import TWO_WAY

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from omisync.core.model import Link
    from omisync.store.coding import Row

KEY, RANK = 0, 6
"""Columns."""
RUN = 64
"""Links that are read together: who looks at one looks at its neighbours."""

# A link is settled where both sides agree on it and nothing is waited for: neither its
# line, nor its item, nor an answer, nor its person. One with a value of another kind
# than was written is not, so it is read at once, and told as damage.
_SETTLED = """
    typeof(remote_id) = 'text' AND remote_id != ''
    AND typeof(text) = 'text' AND text IS base_text
    AND completed IN (0, 1) AND completed IS base_completed
    AND (due IS NULL OR typeof(due) = 'text') AND due IS base_due
    AND typeof(section) = 'text' AND typeof(rank) = 'integer'
    AND typeof(remote_description) = 'text' AND remote_completed IN (0, 1)
    AND (remote_due_at IS NULL OR typeof(remote_due_at) = 'text')
    AND absent_since IS NULL AND clear_due = 0 AND failures = 0 AND parked IS NULL AND doubt = ''
"""
_SETTLED_TWO_WAY = """
    AND missing = 0 AND (probed_at IS NULL OR typeof(probed_at) = 'real')
    AND (made_at IS NULL OR typeof(made_at) = 'real')
"""
"""Of columns that version 1 does not have."""
_HEAD = "key, rank, text, completed, due, section"


class Rows:
    """Keep a fingerprint per link; load the row on demand.

    The order is that of the file. Links that are not settled are loaded at once.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        checked: Callable[[], AbstractContextManager[None]],
        *,
        version: int,
        since: int = 0,
        carried: Iterable[Link] = (),
    ) -> None:
        """Read what is kept of each link; ``checked`` turns what is wrong into an error.

        ``version`` is that of the store, ``since`` counts the writes of others.
        ``carried`` are links that hold for a key that has no row.
        """
        self.since = since
        self._db = db
        self._checked = checked
        settled = _SETTLED + _SETTLED_TWO_WAY * (version >= TWO_WAY)
        self._heads = f"SELECT {_HEAD}, {settled} FROM links"  # noqa: S608 - our own words
        self._carried = {link.key: link for link in carried}
        keys: list[str] = []
        self._ranks = array("q")
        self._fingerprints = fingerprints()
        self._undecided: dict[int, Link] = {}
        undecided = []
        with checked():
            for row in self._rows([*self._carried]):
                del self._carried[row[KEY]]
            for key, rank, *said, is_settled in self._in_order():
                if not is_settled:
                    undecided.append(len(keys))
                keys.append(key)
                self._ranks.append(rank)
                self._fingerprints.append(fingerprint(*said))
            self._keys = _Keys(keys)
        self._keep_undecided(undecided)

    def _in_order(self) -> Iterable[Row]:
        """Return the start of each link, rows and carried ones in one order."""
        rows = self._db.execute(f"{self._heads} ORDER BY rank, key")
        if not self._carried:
            return rows
        by_rank = attrgetter("rank", "key")
        carried = (
            (one.key, one.rank, one.seen.text, one.seen.completed, one.seen.due, one.section, False)
            for one in sorted(self._carried.values(), key=by_rank)
        )
        return merge(rows, carried, key=itemgetter(1, 0))

    def links(self) -> LazySequence[Link]:
        """Return the links as they are now; who writes one has looked at it before."""
        undecided, kept = self._undecided.copy(), self._fingerprints[:]
        return LazySequence(
            kept,
            _Reader(self._read, self._keys, kept),
            made=undecided,
            needs_decision=(min(undecided), max(undecided)) if undecided else None,
            may_reorder=any(link.is_absent for link in undecided.values()),
        )

    def updated(self, written: Sequence[Row]) -> Rows | None:
        """Take note of rows that were written; return None where the order may have changed."""
        places = {row[KEY]: self._place(row[KEY], row[RANK]) for row in written}
        undecided = []
        for some in parts([*places]):
            for key, _, *said, is_settled in self._db.execute(f"{self._heads} {among(some)}", some):
                at = places[key]
                if at is None:
                    return None
                self._fingerprints[at] = fingerprint(*said)
                self._undecided.pop(at, None)
                if not is_settled:
                    undecided.append(at)
        self._keep_undecided(undecided)
        return self

    def _place(self, key: str, rank: int) -> int | None:
        """Return where a link stands, None if not where its rank is."""
        at = bisect_left(self._ranks, rank)
        while at < len(self._ranks) and self._ranks[at] == rank:
            if self._keys[at] == key:
                return at
            at += 1
        return None

    def _keep_undecided(self, undecided: Sequence[int]) -> None:
        """Load these links, by their places, and keep them: each cycle has to decide about them."""
        found = self._read([self._keys[at] for at in undecided])
        self._undecided.update((at, found[self._keys[at]]) for at in undecided)

    def _read(self, keys: Sequence[str]) -> dict[str, Link]:
        """Return the links of these keys that there are, by key."""
        with self._checked():
            found = {row[KEY]: coding.link(row) for row in self._rows(keys)}
        lost = (key for key in keys if key not in found and key in self._carried)
        return found | {key: self._carried[key] for key in lost}

    def _rows(self, keys: Sequence[str]) -> list[Row]:
        return [
            row
            for some in parts(keys)
            for row in self._db.execute(f"SELECT * FROM links {among(some)}", some)  # noqa: S608 - marks
        ]


class _Keys:
    """Keys in one text: as strings of their own they take three times as much."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._text = "".join(keys)
        self._ends = array("L", accumulate(map(len, keys), initial=0))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, at: int) -> str:
        return self._text[self._ends[at] : self._ends[at + 1]]


class _Reader:
    """Makes a link of its place; reads its neighbours with it."""

    def __init__(
        self,
        read: Callable[[Sequence[str]], dict[str, Link]],
        keys: _Keys,
        fingerprints: array[int],
    ) -> None:
        self._read = read
        self._keys = keys
        self._fingerprints = fingerprints
        self._start = -1
        self._near: dict[str, Link] = {}

    def __call__(self, at: int) -> Link:
        """Return the link at a place.

        Raises:
            StoreBusy: it is no longer what it was.
            StoreUnusable: it is damaged.
        """
        start = at - at % RUN
        if start != self._start:
            stop = min(start + RUN, len(self._keys))
            self._near = self._read([self._keys[near] for near in range(start, stop)])
            self._start = start
        link = self._near.get(self._keys[at])
        found = link and fingerprint(
            link.seen.text, link.seen.completed, link.seen.due, link.section
        )
        if link is None or found != self._fingerprints[at]:
            raise StoreBusy("The state changed while it was read", "Try it again.")
        return link


def parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield keys in parts that one question of SQLite may hold."""
    return (keys[start : start + RUN] for start in range(0, len(keys), RUN))


def among(keys: Sequence[str]) -> str:
    """Return the condition that a row has one of these keys, a mark for each."""
    return f"WHERE key IN ({', '.join('?' * len(keys))})"
