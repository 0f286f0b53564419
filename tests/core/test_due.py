"""Due tokens: what counts as one, what it means, and how it is written back."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from itertools import pairwise
from time import tzset
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import ZONES, clocks, due_values, moments, styles, zones

from omisync.core import due

if TYPE_CHECKING:
    from collections.abc import Iterator

NINE = time(9)
BERLIN = ZoneInfo("Europe/Berlin")


def value(text: str) -> str | None:
    """Return the canonical value of the due token of a text."""
    token = due.find(text).token
    return token.value if token else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # each style, with a date alone
        ("Pay rent 📅 2026-01-31", "2026-01-31"),
        ("Pay rent 📅2026-01-31", "2026-01-31"),
        ("Pay rent 📅\ufe0f  2026-01-31", "2026-01-31"),
        ("Pay rent📅 2026-01-31", "2026-01-31"),
        ("Pay rent due:2026-01-31", "2026-01-31"),
        ("Due:2026-01-31 pay rent", "2026-01-31"),
        ("Pay rent [due:: 2026-01-31]", "2026-01-31"),
        ("Pay rent [due::2026-01-31]", "2026-01-31"),
        ("Pay rent [ due::  2026-01-31 ]", "2026-01-31"),
        ("Pay rent (due:: 2026-01-31)", "2026-01-31"),
        ("Pay rent @due(2026-01-31)", "2026-01-31"),
        # each style, with a time
        ("Pay rent 📅 2026-01-31T17:00", "2026-01-31T17:00"),
        ("Pay rent 📅 2026-01-31 17:00", "2026-01-31T17:00"),
        ("Pay rent due:2026-01-31T17:00", "2026-01-31T17:00"),
        ("Pay rent due:2026-01-31 17:00", "2026-01-31T17:00"),
        ("Pay rent [due:: 2026-01-31T17:00]", "2026-01-31T17:00"),
        ("Pay rent [due:: 2026-01-31 17:00]", "2026-01-31T17:00"),
        ("Pay rent (due:: 2026-01-31T17:00)", "2026-01-31T17:00"),
        ("Pay rent @due(2026-01-31 17:00)", "2026-01-31T17:00"),
        ("Pay rent @due(2026-01-31T17:00)", "2026-01-31T17:00"),
        ("Pay rent @Due( 2026-01-31 17:00 )", "2026-01-31T17:00"),
        # seconds
        ("due:2026-01-31T17:00:30", "2026-01-31T17:00:30"),
        ("due:2026-01-31T17:00:00", "2026-01-31T17:00"),
        # offsets
        ("due:2026-01-31T17:00Z", "2026-01-31T17:00+00:00"),
        ("due:2026-01-31T17:00+02:00", "2026-01-31T17:00+02:00"),
        ("due:2026-01-31T17:00:30+0200", "2026-01-31T17:00:30+02:00"),
        ("due:2026-01-31T17:00+02", "2026-01-31T17:00+02:00"),
        ("due:2026-01-31T17:00-00:00", "2026-01-31T17:00+00:00"),
        ("due:2026-01-31T17:00-03:30", "2026-01-31T17:00-03:30"),
        ("@due(2026-01-31 17:00-05:00)", "2026-01-31T17:00-05:00"),
        ("📅 2026-01-31 17:00Z", "2026-01-31T17:00+00:00"),
        # where a token ends
        ("Pay due:2026-01-31.", "2026-01-31"),
        ("Pay due:2026-01-31, then sleep", "2026-01-31"),
        ("Pay due:2026-01-31; sleep", "2026-01-31"),
        ("Pay due:2026-01-31!", "2026-01-31"),
        ("(pay due:2026-01-31)", "2026-01-31"),
        ("Pay due:2026-01-31…", "2026-01-31"),
        ("Pay due:2026-01-31🔥", "2026-01-31"),
        ("~~pay due:2026-01-31~~", "2026-01-31"),
        ("**due:2026-01-31**", "2026-01-31"),
        # no date but words after it
        ("📅 2026-01-31 5 apples", "2026-01-31"),
        # the edges of the calendar
        ("due:0001-01-01", "0001-01-01"),
        ("due:9999-12-31", "9999-12-31"),
        ("due:2028-02-29", "2028-02-29"),
    ],
)
def test_a_token_says_its_canonical_value(text: str, expected: str) -> None:
    """Every documented way to write a due date is understood, whatever stands around it."""
    assert due.find(text) == due.Found(due.find(text).token)
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Pay rent",
        "overdue:2026-01-31",
        "over-due:2026-01-31",
        "x.due:2026-01-31",
        "#due:2026-01-31",
        "&due:2026-01-31",
        "/due:2026-01-31",
        "mail@due(2026-01-31)",
        r"\[due:: see below]",
        "the rent is due: pay it",
        "due: 3 apples",
        "what is due:",
        "**due:** soon",
        "📅 calendar",
        "📅 5 days",
        "2026-01-31",
        "[due:: ]",
        "@due()",
    ],
)
def test_prose_is_no_token_and_no_warning(text: str) -> None:
    """Text that only resembles a token is left alone in silence."""
    assert due.find(text) == due.Found()


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Pay due:2026-02-30 soon", "due:2026-02-30"),
        ("Pay due:2026-13-01", "due:2026-13-01"),
        ("Pay due:2027-02-29", "due:2027-02-29"),
        ("Pay due:0000-01-01", "due:0000-01-01"),
        ("Pay due:2026-1-31", "due:2026-1-31"),
        ("Pay due:26-01-31", "due:26-01-31"),
        ("Pay due:31.01.2026", "due:31.01.2026"),
        ("Pay due:tomorrow, please", "due:tomorrow,"),
        ("Pay due: 2026-01-31", "due: 2026-01-31"),
        ("Pay due:: 2026-01-31", "due:: 2026-01-31"),
        ("Pay due::2026-01-31", "due::2026-01-31"),
        ("Pay due:2026-01-31T25:00", "due:2026-01-31T25:00"),
        ("Pay due:2026-01-31T24:00", "due:2026-01-31T24:00"),
        ("Pay due:2026-01-31T17:60", "due:2026-01-31T17:60"),
        ("Pay due:2026-01-31T17:00:60", "due:2026-01-31T17:00:60"),
        ("Pay due:2026-01-31T17:00+24:00", "due:2026-01-31T17:00+24:00"),
        ("Pay due:2026-01-31T17:00+02:60", "due:2026-01-31T17:00+02:60"),
        ("Pay due:2026-01-31T17", "due:2026-01-31T17"),
        ("Pay due:2026-01-31T", "due:2026-01-31T"),
        ("Pay due:2026-01-31Z", "due:2026-01-31Z"),
        ("Pay due:2026-01-31.5", "due:2026-01-31.5"),
        ("Pay due:2026-01-315", "due:2026-01-315"),
        ("Pay due:2026-01-31/3", "due:2026-01-31/3"),
        ("Pay due:٢٠٢٦-٠١-٣١", "due:٢٠٢٦-٠١-٣١"),
        ("Pay 📅 2026-02-30", "📅 2026-02-30"),
        ("Pay 📅 31.01.2026 or so", "📅 31.01.2026"),
        ("Pay [due:: tomorrow] or so", "[due:: tomorrow]"),
        ("Pay (due:: 2026-02-30)", "(due:: 2026-02-30)"),
        ("Pay [due:: 2026-01-31)", "[due:: 2026-01-31)"),
        ("Pay [due:: 2026-01-31 or so]", "[due:: 2026-01-31 or so]"),
        ("Pay [due:: due:2026-01-31]", "[due:: due:2026-01-31]"),
        ("Pay @due(2026-01-31 25:00)", "@due(2026-01-31 25:00)"),
        ("Pay @due(tomorrow)", "@due(tomorrow)"),
        ("Pay @due(2026-01-31", "@due(2026-01-31"),
        # not an instant in UTC
        ("due:0001-01-01T00:00+14:00", "due:0001-01-01T00:00+14:00"),
        ("due:9999-12-31T23:59-00:01", "due:9999-12-31T23:59-00:01"),
        # two readings, so none
        ("Meet 📅 2026-01-31 10:00-11:00", "📅 2026-01-31 10:00-11:00"),
    ],
)
def test_what_is_no_date_stays_text_and_is_reported(text: str, quoted: str) -> None:
    """A token with an impossible or foreign date is no due date; it is quoted to the person."""
    found = due.find(text)
    assert found.token is None
    assert [text[one.start : one.end] for one in found.rejected] == [quoted]


def test_the_first_valid_token_counts() -> None:
    """Of several tokens the first valid one is taken; all others are reported as such."""
    text = "a due:2026-02-30 b due:2026-01-31 c 📅 2026-03-01 d @due(x)"
    found = due.find(text)
    assert found.token
    assert text[found.token.start : found.token.end] == "due:2026-01-31"
    assert [(text[one.start : one.end], one.reason) for one in found.rejected] == [
        ("due:2026-02-30", due.NOT_A_DATE),
        ("📅 2026-03-01", due.SECOND),
        ("@due(x)", due.NOT_A_DATE),
    ]


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("Milk (due:2026-01-31) and eggs", "(due:2026-01-31)"),
        ("Milk [due:2026-01-31]", "[due:2026-01-31]"),
        ("Milk **due:2026-01-31** now", "**due:2026-01-31**"),
        ("Milk ([due:: 2026-01-31])", "([due:: 2026-01-31])"),
        ("Milk (now, due:2026-01-31)", "due:2026-01-31"),
        ("Milk (due:2026-01-31 or so)", "due:2026-01-31"),
        ("due:2026-01-31) Milk (", "due:2026-01-31"),
    ],
)
def test_brackets_around_nothing_else_belong_to_the_token(text: str, token: str) -> None:
    """Taking the token out of the line leaves no empty brackets behind."""
    found = due.find(text).token
    assert found
    assert text[found.start : found.end] == token
    assert due.token(found.value, found.style) == token


@given(due_values(), styles())
def test_every_token_round_trips(canonical: str, style: due.Style) -> None:
    """A token says the value it was written for, and so does its copy in its own style."""
    written = due.token(canonical, style)
    found = due.find(f"Some text {written}, and more")
    assert found.rejected == ()
    assert found.token
    assert found.token.value == canonical
    assert f"Some text {written}, and more"[found.token.start : found.token.end] == written
    assert due.token(canonical, found.token.style) == written


def test_what_may_be_a_range_says_so() -> None:
    """A second time after a space is reported as that, and the program writes none itself."""
    (rejected,) = due.find("Meet 📅 2026-01-31 10:00-11:00").rejected
    assert rejected.reason == due.RANGE_OR_OFFSET
    spaced = due.Style("📅 ", " ", "")
    assert due.token("2026-01-31T17:00-05:00", spaced) == "📅 2026-01-31T17:00-05:00"
    assert due.token("2026-01-31T17:00+05:00", spaced) == "📅 2026-01-31 17:00+05:00"


@pytest.mark.parametrize("late", ["8:30", "5pm", "05pm", "11:15am"])
@pytest.mark.parametrize("token", ["📅 2026-12-01", "due:2026-12-01", "[due:: 2026-12-01]"])
def test_a_time_that_is_not_read_is_warned_of(token: str, late: str) -> None:
    """It stays text, and the task would be due at the usual hour."""
    text = f"call {token} {late} mum"
    found = due.find(text)
    assert found.token is not None
    assert found.token.value == "2026-12-01"
    (rejected,) = found.rejected
    assert text[rejected.start : rejected.end] == late
    assert rejected.reason == due.NOT_A_TIME


@pytest.mark.parametrize("after", ["", ".", " )", ", Bahnhof"])
def test_the_half_of_a_day_is_not_read(after: str) -> None:
    """Half past eight in the evening would be due in the morning."""
    assert due.find(f"call due:2026-12-01 5 PM{after}").rejected
    assert due.find(f"call due:2026-12-01 12:15 am{after}").rejected
    found = due.find(f"call due:2026-12-01 08:30 pm{after}")
    assert found.token is not None
    assert found.token.value == "2026-12-01T08:30"
    assert found.rejected == (due.Rejected(26, 28, due.NOT_A_TIME),)


@pytest.mark.parametrize(
    "after",
    [" 5 people", " 8:300", " 8 30", "", ", 5pm", " am Bahnhof", " 9 am Gleis", " 13pm", " PM's"],
)
def test_other_words_after_a_date_are_words(after: str) -> None:
    """A number alone is no time, nor is a word of another language; no clock has 17 pm."""
    assert not due.find(f"call due:2026-12-01{after}").rejected
    assert not due.find("call due:2026-12-01T17:00 pm").rejected
    assert not due.find(f"call due:2026-12-01T10:00{after}").rejected


@given(due_values(), styles(), styles())
def test_the_style_is_not_part_of_the_value(canonical: str, one: due.Style, two: due.Style) -> None:
    """Writing the same date in another style changes nothing."""
    assert value(due.token(canonical, one)) == value(due.token(canonical, two))


@given(st.text(st.sampled_from("due:@()[]T📅 2026-013+Z\\*.\n\u2028x")) | st.text())
def test_no_text_breaks_the_search(text: str) -> None:
    """Any text is read; what is found lies in it, no two at one place, and can be written back."""
    found = due.find(text)
    places = sorted([*found.rejected, *((found.token,) if found.token else ())])
    assert all(0 <= one.start < one.end <= len(text) for one in places)
    assert all(one.start < two.start for one, two in pairwise(places))
    if found.token:
        assert value(due.token(found.token.value, found.token.style)) == found.token.value


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        (date(2026, 1, 31), "2026-01-31"),
        (datetime(2026, 1, 31, 17, 0), "2026-01-31T17:00"),  # noqa: DTZ001 - a local time
        (datetime(2026, 1, 31, 17, 0, 30, 999_999), "2026-01-31T17:00:30"),  # noqa: DTZ001 - local
        (datetime(2026, 1, 31, 17, 0, tzinfo=UTC), "2026-01-31T17:00+00:00"),
        (datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=-9.5))), "2026-01-31T00:00-09:30"),
        (datetime(2026, 1, 31, tzinfo=timezone(timedelta(minutes=331))), "2026-01-31T00:00+05:31"),
        (datetime(1930, 1, 1, tzinfo=ZoneInfo("Europe/Amsterdam")), "1929-12-31T23:40:28+00:00"),
        (date(1, 1, 1), "0001-01-01"),
    ],
)
def test_dates_of_toml_have_the_same_canonical_value(
    given_value: date | datetime, expected: str
) -> None:
    """A date, local or offset date-time of TOML is written as a token's value is."""
    assert due.canonical(given_value) == expected


@pytest.mark.parametrize(
    "outside",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14))),
    ],
)
def test_a_time_that_is_none_in_utc_is_refused(outside: datetime) -> None:
    """A time with an offset that leaves the calendar in UTC is a ValueError, no overflow."""
    with pytest.raises(ValueError, match="outside the years"):
        due.canonical(outside)


@pytest.mark.parametrize(
    ("canonical", "zone", "expected"),
    [
        ("2026-01-31", BERLIN, "2026-01-31T08:00"),  # due_time in winter
        ("2026-07-31", BERLIN, "2026-07-31T07:00"),  # and in summer
        ("2026-01-31T17:00", BERLIN, "2026-01-31T16:00"),
        ("2026-01-31T17:00+05:30", BERLIN, "2026-01-31T11:30"),  # the offset wins
        ("2026-01-31T17:00:30+00:00", BERLIN, "2026-01-31T17:00:30"),
        ("2026-03-29T02:30", BERLIN, "2026-03-29T01:30"),  # skipped: becomes 03:30
        ("2026-03-29T01:59", BERLIN, "2026-03-29T00:59"),
        ("2026-03-29T03:00", BERLIN, "2026-03-29T01:00"),
        ("2026-10-25T02:30", BERLIN, "2026-10-25T00:30"),  # twice: the first
        ("2026-10-25T02:30+01:00", BERLIN, "2026-10-25T01:30"),  # the second, said explicitly
        ("2026-03-08T02:30", ZoneInfo("America/New_York"), "2026-03-08T07:30"),
        ("2026-10-04T02:15", ZoneInfo("Australia/Lord_Howe"), "2026-10-03T15:45"),  # half an hour
        ("2011-12-30", ZoneInfo("Pacific/Apia"), "2011-12-30T19:00"),  # the skipped day
        ("2026-01-31", timezone(timedelta(hours=14)), "2026-01-30T19:00"),
        ("2026-01-31", timezone(timedelta(hours=-14)), "2026-01-31T23:00"),
        ("0001-01-01", timezone(timedelta(hours=14)), due.FIRST.isoformat()),
        ("9999-12-31", timezone(timedelta(hours=-15)), due.LAST.isoformat()),
    ],
)
def test_a_value_means_one_instant(canonical: str, zone: tzinfo, expected: str) -> None:
    """Dates take due_time, local times the zone; gaps shift forward, folds take the first."""
    assert due.instant(canonical, zone, NINE) == datetime.fromisoformat(expected).replace(
        tzinfo=UTC
    )


def test_a_due_time_that_comes_twice_is_the_first() -> None:
    """Even where the configured time is marked as the second of two."""
    twice = due.instant("2026-10-25", BERLIN, time(2, 30, fold=1))
    assert twice == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(moments(), zones(), clocks())
@example(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), BERLIN, time(2, 30))
@example(datetime(1930, 1, 1, tzinfo=UTC), ZoneInfo("Europe/Amsterdam"), NINE)
@example(due.LAST, timezone(timedelta(hours=14)), NINE)
@example(due.FIRST, timezone(timedelta(hours=-14)), NINE)
def test_every_moment_survives_being_written(
    moment: datetime, zone: tzinfo, due_time: time
) -> None:
    """What is written for a moment means that moment, on any day, in any zone, as any token."""
    written = due.value_of(moment, zone, due_time)
    assert due.instant(written, zone, due_time) == moment
    assert value(due.token(written, due.CALL)) == written


@given(due_values(), zones(), clocks())
def test_every_value_has_an_instant_that_can_be_written(
    canonical: str, zone: tzinfo, due_time: time
) -> None:
    """A value and what is written for its instant mean the same moment."""
    moment = due.instant(canonical, zone, due_time)
    assert moment.tzinfo is UTC
    assert due.instant(due.value_of(moment, zone, due_time), zone, due_time) == moment


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-01-31T08:00", "2026-01-31"),  # due_time exactly: the date says it all
        ("2026-01-31T08:01", "2026-01-31T09:01"),  # the same day, but a time was set
        ("2026-01-31T23:30", "2026-02-01T00:30"),
        ("2026-10-25T00:30", "2026-10-25T02:30"),
        ("2026-10-25T01:30", "2026-10-25T02:30+01:00"),  # the second 02:30
        ("2026-01-31T08:00:59.999999", "2026-01-31T09:00:59"),
    ],
)
def test_a_moment_is_written_as_short_as_it_can_be(moment: str, expected: str) -> None:
    """Date alone only where it means this moment; an offset only where the time has two."""
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert due.value_of(at, BERLIN, NINE) == expected


@pytest.mark.parametrize(
    ("moment", "zone", "expected"),
    [
        ("2026-01-31T23:30", BERLIN, "2026-02-01"),
        ("0001-01-01T00:00", timezone(timedelta(hours=-14)), "0001-01-01"),
        ("9999-12-31T23:59", timezone(timedelta(hours=14)), "9999-12-31"),
    ],
)
def test_a_moment_has_a_day_in_every_zone(moment: str, zone: tzinfo, expected: str) -> None:
    """The day of the zone; where its calendar has no such day, the day of UTC."""
    assert due.day(datetime.fromisoformat(moment).replace(tzinfo=UTC), zone) == expected


@pytest.fixture
def abroad(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that stands in a zone half a day from UTC."""
    monkeypatch.setenv("TZ", "XXX12")
    tzset()
    yield
    monkeypatch.undo()
    tzset()


@pytest.mark.usefixtures("abroad")
def test_the_zone_of_the_machine_plays_no_part() -> None:
    """A time is one of the zone that was asked for, or where that has none, of UTC."""
    evening = datetime(9999, 12, 31, 6, tzinfo=UTC)
    east = timezone(timedelta(hours=23))
    assert due.day(evening, east) == "9999-12-31"
    assert due.value_of(evening, east, NINE) == "9999-12-31T06:00+00:00"
    mean = datetime(1930, 1, 1, tzinfo=ZoneInfo("Europe/Amsterdam"))
    assert due.canonical(mean) == "1929-12-31T23:40:28+00:00"


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_every_half_hour_around_a_change_of_the_clocks_round_trips(zone: tzinfo) -> None:
    """No half hour of the months in which clocks change is altered by being written."""
    for month in (3, 4, 9, 10, 11):
        start = datetime(2026, month, 1, tzinfo=UTC)
        for half in range(31 * 48):
            moment = start + timedelta(minutes=30 * half)
            assert due.instant(due.value_of(moment, zone, NINE), zone, NINE) == moment


def test_the_advice_is_itself_valid() -> None:
    """The examples in a warning are tokens that the program understands."""
    examples = re.findall(r"due:\S+", due.NOT_A_DATE)
    assert [value(example) for example in examples] == ["2026-01-31", "2026-01-31T17:00"]


@pytest.mark.parametrize(
    "foreign",
    [
        "@{2026-07-10}",
        "@[[2026-07-10]]",
        "📅 [[2026-07-10]]",
        "📅\ufe0f[[2026-07-10]]",
        "@due 2026-07-10",
        "@Due: 2026-07-10",
        "[deadline:: 2026-07-10]",
        "(Deadline::2026-07-10 )",
        "[due:: [[2026-07-10]]]",
        "📆 2026-07-10",
        "🗓2026-07-10",
        "🗓\ufe0f  2026-07-10",
    ],
)
def test_a_date_of_another_program_is_told_of(foreign: str) -> None:
    """Where it stands, but not beside a token of ours, and not without a real date in it."""
    found = due.find(f"a {foreign}, b {foreign}")
    places = [(one.start, one.end) for one in found.foreign]
    assert places == [(2, 2 + len(foreign)), (6 + len(foreign), 6 + 2 * len(foreign))]
    assert {one.reason for one in found.foreign} == {due.NOT_OURS}
    assert (found.token, found.rejected) == (None, ())
    assert due.find(f"a {foreign} due:2026-01-31").foreign == ()
    assert due.find(f"a x{foreign[1:]}").foreign == ()
    for other in ("2026-02-30", "2026-7-10", "someday"):
        assert due.find(f"a {foreign.replace('2026-07-10', other)}").foreign == ()


@pytest.mark.parametrize(
    "words",
    [
        "Dec 5", "dec. 5", "December 5th", "5 December", "5th Sept", "May 5 2026", "1 Jan",
        "today", "TOMORROW", "Friday", "next fri", "next week", "Sun",
    ],
)  # fmt: skip
@pytest.mark.parametrize("sign", ["📅 ", "📅\ufe0f", "📆 ", "🗓\ufe0f "])
def test_a_calendar_with_a_date_in_words_is_told_of(sign: str, words: str) -> None:
    """Alone, at an end or before a sign; it stays text and needs no backslash to be some."""
    for before, after in (("", ""), ("Call ", ""), ("Call ", " ⏫"), ("(", ") Bob"), ("", ", Bob")):
        text = f"{before}{sign}{words}{after}"
        found = due.find(text)
        assert (found.token, found.rejected) == (None, ())
        (one,) = found.foreign
        assert one.reason == due.NOT_OURS
        assert text[one.start : one.end] == f"{sign}{words.removesuffix(' 2026')}"
        assert due.find(f"{text} due:2026-01-31").foreign == ()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Buy milk", "Buy milk"),
        ("Dentist 📅 Dec 3", "Dentist "),
        ("Pay due:monday the rent due:2026-99-01", "Pay  the rent "),
        ("Pay 📅 2026-12-01 or 📅 2026-12-05", "Pay  or "),
        ("Pay 📅 2026-12-01 8:30", "Pay  "),
        ("Call at 8:30, see https://a.b/?due:x", "Call at 8:30, see https://a.b/?due:x"),
        ("📅 tomorrow", ""),
        ("@due(📅 tomorrow) tell Anna", " tell Anna"),
    ],
)
def test_a_bare_text_has_nothing_that_may_be_a_date(text: str, left: str) -> None:
    """Neither the token nor what stands for one; all else stays."""
    assert due.parted(text)[0] == left


@given(st.text(st.sampled_from("due:@()[]T📅 2026-013+Z\\*.\n\u2028x")) | st.text())
def test_a_bare_text_is_what_is_left_of_the_text(text: str) -> None:
    """In its order, whatever stands in it."""
    for part in due.parted(text):
        rest = iter(text)
        assert all(sign in rest for sign in part.replace(" ", ""))


def test_a_blank_behind_the_colon_is_named() -> None:
    """That is the fault of such a date, which is one."""
    for text in ("due: 2026-12-05", "a Due:  2026-12-05T17:00 b", "due:\t2026-12-05, b"):
        assert [one.reason for one in due.find(text).rejected] == [due.SPACED]
    for text in ("due: 2026-02-30", "due: 5.12.2026", "due:: 2026-12-05", "due:2026-12-5"):
        assert [one.reason for one in due.find(text).rejected] == [due.NOT_A_DATE]


@pytest.mark.parametrize(
    "text",
    ["a@{2026-07-10}", "\\@{2026-07-10}", "[[2026-07-10]]", "@2026-07-10", "@due 2026-07-10-3",
     "deadline:: 2026-07-10", "[start:: 2026-07-10]", "@@{2026-07-10}",
     "[deadline:: 2026-07-10 x]", "📆 2026-07-10-3", "🗓 12 eggs", "📅 of May 5",
     "📅 Market 5", "📅 Plan the week", "📅 today or never", "📅 Monday meeting", "📅",
     "📅 5 decks", "📅 Dec 512", "📅 fridays", "Dec 5", "next week", "📅 2026"],
)  # fmt: skip
def test_no_other_date_is_told_of(text: str) -> None:
    """Prose, addresses, links and the dates that are not the due one."""
    assert due.find(text).foreign == ()
