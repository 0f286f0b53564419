"""How lists are read: everything that is shown, and an honest word on completeness."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rawserver import RawServer, http

from omisync import errors
from omisync.api import OmiClient, reading
from omisync.api.reading import Page, Window
from omisync.core.model import Fields, RemoteItem
from omisync.sandbox import KEY, Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from omisync.core.model import Listing

START = datetime(2026, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def sandbox(**traits: object) -> AsyncIterator[tuple[Sandbox, OmiClient]]:
    """Open a sandbox with these traits and a client for it."""
    async with Sandbox(**traits) as server, OmiClient(server.url, KEY) as omi:
        yield server, omi


def fill(
    server: Sandbox, count: int, *, completed: bool = False, every: float = 60, **traits: bool
) -> None:
    """Add items that were created ``every`` so many seconds, from ``START`` on."""
    for n in range(count):
        moment = START + timedelta(seconds=n * every)
        server.add(f"{completed} {n}", completed=completed, created_at=moment, **traits)


def ids(listing: Listing) -> list[str]:
    """Return the ids of a listing; each item is in it once."""
    found = [item.id for item in listing.items]
    assert len(found) == len(set(found))
    return sorted(found)


# The whole list.


@pytest.mark.parametrize("traits", [{}, {"sorts_windows": True}, {"mixed_times": True}])
@pytest.mark.parametrize(
    ("open_", "done"), [(0, 0), (10, 0), (0, 10), (999, 1), (1000, 1000), (2500, 0)]
)
async def test_every_item_is_read_once(open_: int, done: int, traits: dict[str, bool]) -> None:
    """Below, at and far above the server's limit, in either order of its windows."""
    async with sandbox(**traits) as (server, omi):
        fill(server, open_)
        fill(server, done, completed=True)
        listing = await omi.listing()
        assert listing.complete
        assert ids(listing) == sorted(server.items)
        for item in listing.items:
            kept = server.items[item.id]
            assert item.fields == Fields(kept.description, kept.completed, kept.due_at)
            assert item.created_at == kept.created_at


@pytest.mark.parametrize(
    ("open_", "done", "most"), [(0, 0, 2), (899, 899, 2), (1000, 0, 4), (2500, 0, 12)]
)
async def test_reading_is_frugal(open_: int, done: int, most: int) -> None:
    """Two reads for a usual list: an hour has 120."""
    async with sandbox() as (server, omi):
        fill(server, open_)
        fill(server, done, completed=True)
        await omi.listing()
        assert server.reads <= most
        assert server.writes == 0


async def test_open_items_are_read_before_completed_ones() -> None:
    """So that an item ticked meanwhile is seen twice, not never; it counts as ticked."""
    async with sandbox() as (server, omi):
        item_id = server.add("a").id
        server.on_request = lambda _: setattr(server.items[item_id], "completed", True)
        listing = await omi.listing()
        assert [item.fields.completed for item in listing.items] == [True]
        asked = [request.query["completed"] for request in server.requests]
        assert asked == ["false", "true"]


async def test_overlapping_pages_are_never_asked_for() -> None:
    """Without dates the server's pages overlap and lose items: offset stays 0, limit 1000."""
    async with sandbox() as (server, omi):
        fill(server, 1500)
        await omi.listing()
        assert {(r.query["limit"], r.query["offset"]) for r in server.requests} == {("1000", "0")}


async def test_locked_items_are_not_listed_and_do_not_stop_the_rest() -> None:
    """The server counts them and leaves them out: a page of 901 of 1000 is a full page."""
    async with sandbox() as (server, omi):
        fill(server, 1400)
        for item in list(server.items.values())[::12]:
            item.locked = True
        listing = await omi.listing()
        shown = sorted(item.id for item in server.items.values() if not item.locked)
        assert ids(listing) == shown
        assert listing.complete


@pytest.mark.parametrize("shown_in_ten", [8, 6, 3, 1])
@pytest.mark.parametrize("count", [1040, 2400])
async def test_a_thorough_reading_sees_behind_pages_with_many_locked_rows(
    count: int, shown_in_ten: int
) -> None:
    """Of 1000 rows each shows few: for a usual reading that is a short page."""
    async with sandbox() as (server, omi):
        fill(server, count)
        for n, item in enumerate(list(server.items.values())):
            item.locked = n % 10 >= shown_in_ten
        shown = sorted(item.id for item in server.items.values() if not item.locked)
        assert len(ids(await omi.listing())) < len(shown)
        listing = await omi.listing(thorough=True)
        assert ids(listing) == shown
        assert listing.complete


@pytest.mark.parametrize(
    ("count", "locked"),
    [
        (1500, range(500)), (1500, range(1000, 1500)), (1500, range(200, 1300)),
        (1925, range(1404, 1925)), (2100, range(200, 2100)), (3000, range(1100, 1900)),
    ],
)  # fmt: skip
async def test_a_thorough_reading_sees_beside_locked_rows(count: int, locked: range) -> None:
    """They stand together in time, as those beyond a plan's number do, up to two pages of them."""
    async with sandbox() as (server, omi):
        fill(server, count)
        items = list(server.items.values())
        for n in locked:
            items[n].locked = True
        listing = await omi.listing(thorough=True)
        assert ids(listing) == sorted(item.id for item in items if not item.locked)
        assert (listing.complete, listing.cut) == (True, False)
        assert server.reads <= 20


@pytest.mark.parametrize("seen", [60, 600])
async def test_what_an_earlier_page_showed_tells_that_a_later_one_is_cut(seen: int) -> None:
    """Behind more than two pages of locked rows no request of its window reaches."""
    async with sandbox() as (server, omi):
        fill(server, seen + 2200)
        items = list(server.items.values())
        for item in items[seen:]:
            item.locked = True
        listing = await omi.listing(thorough=True)
        assert {*ids(listing)} <= {item.id for item in items[:seen]}
        assert (listing.complete, listing.cut) == (False, True)
        assert server.reads <= 20


@pytest.mark.parametrize("count", [0, 1, 699])
async def test_a_thorough_reading_asks_again_by_time_and_behind(count: int) -> None:
    """Two reads more for each page that shows anything."""
    async with sandbox() as (server, omi):
        fill(server, count)
        assert len(ids(await omi.listing(thorough=True))) == count
        asked = [(r.query["offset"], "start_date" in r.query) for r in server.requests]
        again = [("0", True), ("950", True)] if count else []
        assert asked == [("0", False), *again, ("0", False)]


async def test_a_server_that_knows_no_offset_is_believed() -> None:
    """It shows the same page again, and no more is to be had from it."""
    rows = [RemoteItem(str(n), Fields("d"), START + timedelta(minutes=n)) for n in range(9)]
    listing, windows = await asked(rows, thorough=True)
    assert (len(listing.items), listing.complete, listing.cut) == (9, True, False)
    assert [window.offset for window in windows] == [0, 0, reading.LIMIT - reading.OVERLAP]


@pytest.mark.parametrize("tick", [True, False])
@pytest.mark.parametrize("count", [20, 1700])
async def test_what_went_between_two_pages_cuts_nothing_off(count: int, tick: bool) -> None:
    """Finished or deleted in the app while the list is read: no other is missed for it."""
    rows = {n: RemoteItem(f"{n}", Fields("d"), START + timedelta(minutes=n)) for n in range(count)}
    hidden = {n for n in rows if n % 5 < 2 and count > 1000}
    gone = count - 3 if count < 1000 else 1289
    asked = 0

    async def ask(window: Window) -> Page:
        nonlocal asked
        asked += 1
        if asked == (2 if count < 1000 else 3):
            item = rows.pop(gone)
            if tick:
                rows[gone] = replace(item, fields=Fields("d", completed=True))
        fit = [n for n in sorted(rows, reverse=True) if window.shows(rows[n])]
        page = [n for n in fit if rows[n].fields.completed == window.completed][window.offset :]
        shown = tuple(rows[n] for n in page[:1000] if n not in hidden)
        return Page(shown, len(shown))

    windows = [Window(completed=False), Window(completed=True)]
    listing = await reading.read(windows, ask, thorough=True)
    assert (listing.complete, listing.cut) == (True, False)
    assert {*ids(listing)} - {f"{gone}"} == {f"{n}" for n in rows if n not in hidden | {gone}}


async def test_an_item_opened_again_while_the_list_is_read_is_in_it() -> None:
    """Its second page has it no more; as an open one it came too late for the open ones."""
    rows = {
        n: RemoteItem(f"{n}", Fields("d", True), START + timedelta(minutes=n)) for n in range(9)
    }
    asked = 0

    async def ask(window: Window) -> Page:
        nonlocal asked
        asked += 1
        if asked == 3:
            rows[4] = replace(rows[4], fields=Fields("d"))
        fit = [one for one in reversed(rows.values()) if window.shows(one)]
        page = [one for one in fit if window.completed in {None, one.fields.completed}]
        return Page(tuple(page[window.offset :]), len(page[window.offset :]))

    windows = [Window(completed=False), Window(completed=True)]
    listing = await reading.read(windows, ask, thorough=True)
    assert (listing.complete, listing.cut) == (True, False)
    assert {one.id: one.fields.completed for one in listing.items} == {f"{n}": n != 4 for n in rows}


async def test_a_server_that_cuts_times_to_seconds_cuts_no_list_off() -> None:
    """Then a window lacks what was made within the second of its end."""
    rows = [RemoteItem(f"{n}", Fields("d"), START + timedelta(seconds=n / 7)) for n in range(2000)]

    async def ask(window: Window) -> Page:
        start, end = ((one and one.replace(microsecond=0)) for one in window[1:3])
        fit = [one for one in reversed(rows) if window._replace(start=start, end=end).shows(one)]
        exact = [one for one in fit if one.created_at and (end is None or one.created_at <= end)]
        page = exact[window.offset :][:1000] if window.completed is False else []
        return Page(tuple(page), len(page))

    windows = [Window(completed=False), Window(completed=True)]
    listing = await reading.read(windows, ask, thorough=True)
    assert (len(listing.items), listing.complete, listing.cut) == (2000, True, False)


async def test_rows_behind_a_page_of_one_instant_are_a_part_of_more() -> None:
    """No window parts them, so that some may be hidden yet."""
    rows = [RemoteItem(str(n), Fields("d"), START) for n in range(9)]

    async def ask(window: Window) -> Page:
        shown = rows[:5] if window.offset == 0 else rows[5:] if window.is_dated else []
        return Page(tuple(shown), len(shown))

    listing = await reading.read([Window()], ask, thorough=True)
    assert (len(listing.items), listing.complete, listing.cut) == (9, False, True)


async def test_a_row_that_cannot_be_read_makes_the_listing_incomplete() -> None:
    """Broken rows go one by one; the others are kept."""
    good = {"id": "x", "description": "d", "completed": False}
    broken = [{}, None, 7, [], {**good, "id": 1}, {**good, "due_at": "soon"}]
    answers = http(200, [good, *broken]), http(200, [])
    async with RawServer(answers) as server, OmiClient(server.url, KEY) as omi:
        listing = await omi.listing()
    assert ids(listing) == ["x"]
    assert not listing.complete
    assert not listing.cut


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("before", [0, 900, 1500])
async def test_many_items_of_one_instant_cost_few_reads(before: int, thorough: bool) -> None:
    """A bulk import anywhere in a list: no cut may part one item from the rest at a time."""
    async with sandbox() as (server, omi):
        for n in range(2400):
            minute = n if n < before else max(before, n - 250)
            server.add(f"{n}", created_at=START + timedelta(minutes=minute))
        listing = await omi.listing(thorough=thorough)
        assert listing.complete
        assert len(listing.items) == 2400
        assert server.reads <= 14


async def test_too_many_items_of_one_instant_cannot_be_proven_complete() -> None:
    """No window tells them apart; it takes few reads to find out."""
    async with sandbox() as (server, omi):
        fill(server, 1100, every=0)
        listing = await omi.listing()
        assert not listing.complete
        assert listing.cut
        assert len(listing.items) >= 1000
        assert server.reads <= 4


async def test_items_without_a_time_are_read_while_they_fit() -> None:
    """No window shows them: where one turns up in a crowded list, more may hide."""
    async with sandbox() as (server, omi):
        for n in range(20):
            server.add(f"old {n}", due_at=START).created_at = None
        assert (await omi.listing()).complete
        fill(server, 1100)
        listing = await omi.listing()
        assert not listing.complete
        timed = {item.id for item in server.items.values() if item.created_at is not None}
        assert timed <= set(ids(listing))


async def test_a_server_that_ignores_windows_is_not_asked_for_ever() -> None:
    """Rows outside the window show it; the reading ends at once, incomplete."""
    rows = [
        {"id": str(n), "description": "d", "completed": False, "created_at": _hour(n)}
        for n in range(1000)
    ]
    async with RawServer((http(200, rows),)) as server, OmiClient(server.url, KEY) as omi:
        listing = await omi.listing()
    assert not listing.complete
    assert len(listing.items) == 1000
    assert len(server.seen) <= 6


def _hour(n: int) -> str:
    return (START + timedelta(hours=n)).isoformat()


async def test_a_huge_list_leaves_reads_for_others() -> None:
    """At most 40 reads for one listing, complete or not."""
    async with sandbox() as (server, omi):
        fill(server, 17_000)
        listing = await omi.listing()
        assert not listing.complete
        assert listing.cut
        assert server.reads == reading.MOST_PAGES
        assert len(listing.items) > 10_000
        listing = await omi.listing(thorough=True)
        assert listing.complete
        assert len(listing.items) == 17_000


async def test_a_limit_in_the_middle_ends_the_reading() -> None:
    """Half a list is no list: the error passes, with the bucket."""
    async with sandbox() as (server, omi):
        fill(server, 1000)
        server.fault_next(None, None, "429")
        with pytest.raises(errors.RateLimited) as caught:
            await omi.listing()
        assert caught.value.bucket == "read"


# A window.


async def test_a_window_shows_what_was_created_in_it() -> None:
    """Both ends included, whatever state the items are in, with one read."""
    async with sandbox() as (server, omi):
        fill(server, 100)
        fill(server, 100, completed=True)
        start, end = START + timedelta(minutes=10), START + timedelta(minutes=20)
        listing = await omi.window(start.timestamp(), end.timestamp())
        inside = [i.id for i in server.items.values() if start <= (i.created_at or START) <= end]
        assert len(inside) == 22
        assert ids(listing) == sorted(inside)
        assert listing.complete
        assert server.reads == 1


async def test_a_window_has_offsets_and_fractions() -> None:
    """A time without an offset would be read in another zone, or not at all."""
    async with sandbox() as (server, omi):
        await omi.window(1_700_000_000.25, 1_700_000_001)
        asked = server.requests[0].query
        assert asked["start_date"] == "2023-11-14T22:13:20.250000Z"
        assert asked["end_date"] == "2023-11-14T22:13:21Z"
        assert "completed" not in asked


async def test_a_crowded_window_is_read_in_parts() -> None:
    """As the whole list is."""
    async with sandbox() as (server, omi):
        fill(server, 2000)
        fill(server, 10, completed=True)
        start, end = START, START + timedelta(minutes=1499)
        listing = await omi.window(start.timestamp(), end.timestamp())
        assert len(listing.items) == 1510
        assert listing.complete


async def asked(rows: list[RemoteItem], *, thorough: bool = False) -> tuple[Listing, list[Window]]:
    """Read these rows, all of which each window shows that rightly does."""
    windows = []

    async def ask(window: Window) -> Page:
        windows.append(window)
        shown = tuple(one for one in rows if window.shows(one))
        return Page(shown, len(shown))

    return await reading.read([Window()], ask, thorough=thorough), windows


@pytest.mark.parametrize(("count", "pages"), [(899, 1), (900, 3)])
async def test_nine_tenths_of_a_page_are_a_full_one(count: int, pages: int) -> None:
    """From there on rows may be left out, so that it is read in parts."""
    times = [START + timedelta(minutes=n) for n in range(count)]
    rows = [RemoteItem(str(n), Fields("d"), time) for n, time in enumerate(times)]
    listing, windows = await asked(rows)
    assert (len(listing.items), listing.complete, listing.cut) == (count, True, False)
    assert len(windows) == pages


@pytest.mark.parametrize(("count", "cut"), [(899, False), (900, True)])
async def test_a_page_of_one_instant_proves_nothing_to_a_thorough_reading(
    count: int, cut: bool
) -> None:
    """It cannot be read in parts; only a page that is full to a usual one is a part of more."""
    rows = [RemoteItem(str(n), Fields("d"), START) for n in range(count)]
    window = Window(start=START, end=START)
    page = Page(tuple(rows), count)

    async def ask(_: Window) -> Page:
        return page

    listing = await reading.read([window], ask, thorough=True)
    assert (len(listing.items), listing.complete, listing.cut) == (count, False, cut)


def test_what_has_no_time_is_in_no_window_of_times() -> None:
    """One bound is enough to leave it out."""
    item = RemoteItem("i", Fields("d"))
    windows = (Window(), Window(start=START), Window(end=START), Window(start=START, end=START))
    assert [window.shows(item) for window in windows] == [True, False, False, False]


# The cut.

moments = st.datetimes(timezones=st.just(UTC))
items = st.builds(RemoteItem, st.uuids().map(str), st.just(Fields("d")), st.none() | moments)


@given(st.lists(items), st.none() | moments, st.none() | moments)
def test_two_parts_cover_a_window_and_are_smaller(
    rows: list[RemoteItem], start: datetime | None, end: datetime | None
) -> None:
    """Nothing falls between the parts, and cutting comes to an end."""
    window = Window(completed=True, start=start, end=end)
    parts = reading.split(window, rows)
    if not parts:
        return
    lower, upper = parts
    cut = lower.end
    assert (lower.start, upper.end, upper.start) == (start, end, cut)
    assert lower.completed is upper.completed is True
    assert cut is not None
    assert start is None or start < cut
    assert end is None or cut < end
    assert cut in {item.created_at for item in rows}


@given(st.lists(moments, min_size=1, unique=True))
def test_an_open_window_with_times_is_always_cut(times: list[datetime]) -> None:
    """It only fails when all rows stand at its ends."""
    rows = [RemoteItem(str(n), Fields("d"), time) for n, time in enumerate(times)]
    assert reading.split(Window(), rows)
    assert not reading.split(Window(start=times[0], end=times[0]), rows[:1])
