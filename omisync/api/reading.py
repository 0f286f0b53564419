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

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from omisync.core.model import Listing, RemoteItem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

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
    near, most = (THOROUGH_NEAR, THOROUGH_PAGES) if thorough else (NEAR, MOST_PAGES)
    found: dict[str, RemoteItem] = {}
    complete, cut, unreadable, hides, asked = True, False, False, False, 0
    pending = [*windows][::-1]
    while pending and asked < most:
        window = pending.pop()
        pages = [await ask(window)]
        rows = pages[0].rows
        behind: Sequence[RemoteItem] = ()
        if thorough and rows < near:  # it may leave out most of what it counts
            if rows and not window.is_dated:
                pending.append(window._replace(start=EPOCH))
            elif hides or window.start == EPOCH or _lacking(window, pages[0].items, found):
                pages.append(await ask(window._replace(offset=LIMIT)))
                if _is_more(*pages):
                    rows, behind = LIMIT, pages[1].items
        asked += len(pages)
        items = [item for page in pages for item in page.items]
        if thorough and rows < near and (behind := _lacking(window, items, found)):
            rows, cut = LIMIT, True  # no request shows what else is behind two pages
        is_short = rows < LIMIT and not window.is_dated
        hides |= rows >= near and (is_short or window.start == EPOCH)
        found.update((item.id, item) for item in items)
        unreadable |= any(page.rows > len(page.items) for page in pages)
        if rows >= near:
            parts = _older(window, items, behind) or split(window, items, near)
            # One item without a time means that others may hide: no window shows them.
            timed = all(item.created_at is not None for item in items)
            cut |= rows >= NEAR and not parts
            complete &= bool(parts) and timed
            pending += reversed(parts)
    cut |= bool(pending)
    complete = complete and not cut and not unreadable
    return Listing(tuple(found.values()), complete, cut, unreadable)


def _is_more(page: Page, behind: Page) -> bool:
    """Return whether there are rows behind a page; a server may know no offset, and repeat it."""
    shown = {item.id for item in page.items}
    return behind.rows > 0 and {item.id for item in behind.items} != shown


def _lacking(
    window: Window, items: Iterable[RemoteItem], found: Mapping[str, RemoteItem]
) -> list[RemoteItem]:
    """Return what an earlier page showed and those of a dated window lack: they were cut off."""
    shown = {item.id for item in items}
    return [
        item
        for item in found.values()
        if item.id not in shown
        and item.created_at is not None
        and window.is_dated
        and window.has_inside(item.created_at)
        and item.fields.completed == window.completed
    ]


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
