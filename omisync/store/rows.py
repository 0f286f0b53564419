"""The rows of all links, read once and kept up to date with what is written.

Rule: they are what a new reading would give. Where a write could change their
order, or another process wrote, they are read anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.core.still import Lines
from omisync.store import coding, kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from omisync.core.model import Link
    from omisync.core.still import Said
    from omisync.store.coding import Row

KEY, RANK = 0, 6
SAID, AGREED, STATE = slice(2, 5), slice(7, 10), slice(13, 19)
LINE = slice(2, 6)
"""Columns: what the line said, what both sides agreed that it says, what is waited for."""

STILL = (None, 0, 0, None, "", 0)
"""Not absent, no date to clear, no failures, not parked, no doubt, not missing."""


class Rows:
    """All rows in the order of the file; each link is made of its row when it is looked at."""

    def __init__(self, found: Iterable[Row], version: int = 0) -> None:
        """Take the rows as the store gives them; ``version`` counts the writes of others.

        Raises:
            ValueError: a row cannot be read; all are checked at once.
        """
        self.version = version
        self._rows = list(found)
        kinds.check(self._rows, kinds.LINK)
        self._said: list[Said] = [row[LINE] for row in self._rows]
        # A link stands still where both sides agree on it and nothing is waited for:
        # neither its line, nor its item, nor an answer, nor its person.
        self._loud = {
            at: coding.link(row)
            for at, row in enumerate(self._rows)
            if row[SAID] != row[AGREED] or row[STATE] != STILL or row[1] is None
        }
        self._at: dict[str, int] | None = None

    def links(self) -> Lines[Link]:
        """Return the links as they are now; what is written later does not reach them."""
        rows, loud = self._rows.copy(), self._loud.copy()
        return Lines(
            self._said.copy(),
            lambda at: coding.link(rows[at]),
            made=loud,
            loud=(min(loud), max(loud)) if loud else None,
            moves=any(link.absent_since is not None for link in loud.values()),
        )

    def updated(self, written: Sequence[Row]) -> Rows | None:
        """Take rows in place of those of their keys; return None where the order may change."""
        if self._at is None:
            self._at = {row[KEY]: at for at, row in enumerate(self._rows)}
        for row in written:
            at = self._at.get(row[KEY])
            if at is None or self._rows[at][RANK] != row[RANK]:
                return None
            self._rows[at], self._said[at] = row, row[LINE]
            self._loud.pop(at, None)
            if row[SAID] != row[AGREED] or row[STATE] != STILL or row[1] is None:
                self._loud[at] = coding.link(row)
        return self
