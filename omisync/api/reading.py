"""How a list is read so that its completeness is known.

Rule: ``complete`` is claimed only when every page stayed clear of the server's
limit. The server counts rows it then leaves out (locked, invalid), sorts only
part of an undated list, and has no total: a page near the limit proves nothing,
and is read again in windows of ``created_at``, whose ends are included.

Two things ``complete`` leaves out of account: that more than a tenth of a full page is locked
(a thorough reading asks once more by time, and what comes behind a page, and sees it), and
items without a time of creation behind the limit, which no request can show; the server stamps
each item it creates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from omisync.core.model import Listing, RemoteItem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

LIMIT = 1000
"""Rows that a page may have; the server clamps to it in silence."""

NEAR = 900
"""Rows from which a page counts as full.

The server leaves rows out after paging, so a full page can look shorter. A
tenth is a toss-up between trust and requests.
"""

MOST_PAGES = 40
"""Pages of one reading: a third of the reads that the server grants an hour."""

THOROUGH_NEAR, THOROUGH_PAGES = 700, 110
"""The same for a first meeting: whatever it does not see is created twice."""

OVERLAP = 50
"""Rows of a page that are read again with what is behind it: some may be gone meanwhile."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Before any item: what is asked for from then on comes in the order of time."""

_SLACK = timedelta(seconds=1)  # a server may cut the times of a query to seconds


class Window(NamedTuple):
    """What one page asks for; None does not limit. Both ends are included.

    ``offset`` is how many rows come before the page, those that are left out among them.
    """

    completed: bool | None = None
    start: datetime | None = None
    end: datetime | None = None
    offset: int = 0

    @property
    def is_dated(self) -> bool:
        """Return whether it asks by time of creation."""
        return self.start is not None or self.end is not None

    def shows(self, item: RemoteItem) -> bool:
        """Return whether a page for this window rightly has this row.

        An item without a time of creation is in the undated list alone.
        """
        time = item.created_at
        if time is None:
            return not self.is_dated
        after = self.start is None or self.start - time <= _SLACK
        return after and (self.end is None or time - self.end <= _SLACK)

    def has_inside(self, time: datetime) -> bool:
        """Return whether a cut at ``time`` leaves two smaller windows."""
        return (self.start is None or self.start < time) and (self.end is None or time < self.end)


class Page(NamedTuple):
    """A reply: its readable items, and how many rows it had."""

    items: tuple[RemoteItem, ...]
    rows: int


async def read(
    windows: Iterable[Window], ask: Callable[[Window], Awaitable[Page]], *, thorough: bool = False
) -> Listing:
    """Read windows in order, the crowded ones in parts.

    An item that several pages show counts once, as the last of them shows it.
    """
    most = THOROUGH_PAGES if thorough else MOST_PAGES
    reading = _Thorough(ask, THOROUGH_NEAR) if thorough else _Reading(ask)
    pending = [*windows][::-1]
    while pending and reading.asked < most:
        pending += reversed(await reading.parts_of(pending.pop()))
    cut = reading.cut or bool(pending)
    complete = reading.complete and not cut and not reading.unreadable
    return Listing(tuple(reading.found.values()), complete, cut, reading.unreadable)


@dataclass(slots=True)
class _Reading:
    """What a reading found so far, and what it is known to lack."""

    ask: Callable[[Window], Awaitable[Page]]
    near: int = NEAR
    found: dict[str, RemoteItem] = field(default_factory=dict)
    complete: bool = True
    cut: bool = False
    unreadable: bool = False
    asked: int = 0

    async def page(self, window: Window) -> Page:
        """Return a page, whose items are found now."""
        page = await self.ask(window)
        self.asked += 1
        self.unreadable |= page.rows > len(page.items)
        self.found.update((item.id, item) for item in page.items)
        return page

    async def parts_of(self, window: Window) -> tuple[Window, ...]:
        """Read a window; return those that it has to be read in instead, or besides."""
        page = await self.page(window)
        return () if page.rows < self.near else self.split(window, page.items, page.rows)

    def split(self, window: Window, items: Sequence[RemoteItem], rows: int) -> tuple[Window, ...]:
        """Return the parts of a window with so many rows, and note what no part would show."""
        parts = split(window, items, self.near)
        self.cut |= rows >= NEAR and not parts
        # One item without a time means that others may hide: no window shows them.
        self.complete &= bool(parts) and all(item.created_at is not None for item in items)
        return parts


@dataclass(slots=True)
class _Thorough(_Reading):
    """A reading that does not believe a short page: it may leave out most of what it counts.

    ``hiding`` has the states (``Window.completed``) of which rows were left out.
    """

    hiding: set[bool | None] = field(default_factory=set)

    async def parts_of(self, window: Window) -> tuple[Window, ...]:
        """Read a window, and what may be behind its page."""
        page = await self.page(window)
        if not window.is_dated and page.rows < self.near:
            return (window._replace(start=EPOCH),) if page.rows else ()
        items, behind = page.items, list[RemoteItem]()
        if self._may_have_more(window, page):
            more = await self.page(window._replace(offset=LIMIT - OVERLAP))
            shown = {item.id for item in items}
            behind = [item for item in more.items if item.id not in shown]
            items = (*items, *behind)
        if page.rows < self.near and not behind:
            behind = await self._cut_off(window, items)
            self.cut |= bool(behind)  # no request shows what else is behind two pages
        if page.rows < self.near and not behind:
            return ()
        if behind or window.start == EPOCH:
            self.hiding.add(window.completed)
        rows = LIMIT if behind else page.rows
        return _older(window, items, behind) or self.split(window, items, rows)

    def _may_have_more(self, window: Window, page: Page) -> bool:
        if not window.is_dated:
            return page.rows < LIMIT
        hides = window.completed in self.hiding or window.start == EPOCH
        return page.rows < self.near and (hides or bool(self._lacking(window, page.items)))

    def _lacking(self, window: Window, items: Iterable[RemoteItem]) -> list[RemoteItem]:
        """Return what an earlier page showed and those of this window lack."""
        shown = {item.id for item in items}
        return [
            item
            for item in self.found.values()
            if item.id not in shown
            and item.fields.completed == window.completed
            and item.created_at is not None
            and (window.start is None or item.created_at - window.start > _SLACK)
            and (window.end is None or window.end - item.created_at > _SLACK)
        ]

    async def _cut_off(self, window: Window, items: Iterable[RemoteItem]) -> list[RemoteItem]:
        """Return what was cut off from the pages of a window, for an earlier page showed it.

        One that was finished, opened or deleted since then is not.
        """
        lacking = self._lacking(window, items)
        while lacking:
            newest = max(lacking, key=_time)
            start, end = _time(newest) - _SLACK, _time(newest) + _SLACK
            page = await self.page(Window(None, start, end))
            now = next((item for item in page.items if item.id == newest.id), None)
            if now is not None and now.fields.completed == window.completed:
                break
            lacking.remove(newest)
            if now is None:
                self.found.pop(newest.id)
        return lacking


def _time(item: RemoteItem) -> datetime:
    return EPOCH if item.created_at is None else item.created_at


def _older(
    window: Window, items: Iterable[RemoteItem], behind: Iterable[RemoteItem]
) -> tuple[Window, ...]:
    """Return the window of what is as old as those behind a page, or older.

    What is younger was on the page, which shows the newest rows, or no request shows it.
    Empty where the window would not be smaller, or where a server ignores windows.
    """
    if not (window.is_dated and all(window.shows(item) for item in items)):
        return ()
    cut = max((item.created_at for item in behind if item.created_at is not None), default=None)
    return (window._replace(end=cut),) if cut and window.has_inside(cut) else ()


def split(window: Window, items: Iterable[RemoteItem], near: int = NEAR) -> tuple[Window, ...]:
    """Return two windows that cover ``window``, empty if no cut makes them smaller.

    They share the instant of the cut: the server may keep times finer than it
    shows them. A page that shows what its window excludes comes from a server
    that ignores windows, and cutting on would never end.
    """
    rows = list(items)
    if window.is_dated and not all(window.shows(item) for item in rows):
        return ()
    times = (item.created_at for item in rows)
    inside = sorted(time for time in times if time is not None and window.has_inside(time))
    if not inside:
        return ()
    # A dated page shows the newest rows: the upper part gets as many of them as fit one
    # page with some room, and a fifth less in any case: many may be of one moment.  An
    # undated page shows rows of any age.
    oldest = max(len(inside) // 5, len(inside) - near * 8 // 9)
    cut = inside[oldest if window.is_dated else len(inside) // 2]
    return window._replace(end=cut), window._replace(start=cut)
