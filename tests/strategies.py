"""Hypothesis strategies shared by the tests: texts, tasks, lines, documents, moments, zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from omisync.core import due
from omisync.core.model import Task

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = (
    "milk", "Buy", "call", "Bob", "the", "PR", "#123", "café", "Übung", "牛乳", "👩‍👩‍👧", "🔥",
    "e\u0301", "50%", "a/b", "(maybe)", "x;", "then,", "done.", "“quoted”", "it's", "1.", "-",
    "v1.2", "2026",
)  # fmt: skip

NASTY = (
    "- [ ] ", "- [x] ", "* [/] ", "+ [✔️] ", "1. [ ] ", "2) [X] ", "- [-] ", "- [\\*] ", "- [1] ",
    "- ", "> ", ">",
    "\n", "\n\n", "\r\n", "\r", "  ", "    ", "\t", ">\t", "-\t", "1.\t", "a", "b c", "`", "``",
    "```\n", "~~~\n", "<!--", "-->", "<!-- c -->", "<div>\n", "</div>", "<b>", "**", "*", "_",
    "[l](u)", "[r]", "[r]: /u\n", "[/]: u\n", "[x]: u\n", "[", "]", "(", ")", "\\", "# H\n", "## I",
    "---\n", "===\n", "+++\n", "...\n", "📅 2026-01-31", "due:2026-01-31T17:00",
    " [due:: 2026-02-30]",
    "@due(2026-01-31 17:00)", "due:", "due:tomorrow", "✅ 2026-01-01", "omi:ab-1", "\0", "\u2028",
    "[completion:: 2026-01-01]", "@done(2026-01-01 14:00)",
    "\u0085", "\ufeff", "\u00a0", "\v", "\f", "&amp;", "ü", "👩‍👩‍👧", "$", "|", "~~", "www.",
    "[[w]]",
    "http://x.y/due:2026-01-01", "1234567890. ",
)  # fmt: skip
"""What confuses a reader of Markdown, ready to be put together at random."""

ZONES: tuple[tzinfo, ...] = (
    UTC,
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("America/New_York"),
    ZoneInfo("America/St_Johns"),  # offset with minutes
    ZoneInfo("Australia/Lord_Howe"),  # summer time of half an hour
    ZoneInfo("Asia/Kathmandu"),  # +05:45
    ZoneInfo("Pacific/Apia"),  # had no 30 December 2011
    ZoneInfo("Pacific/Kiritimati"),  # +14:00
    ZoneInfo("Europe/Amsterdam"),  # once +00:19:32
)


def zones() -> st.SearchStrategy[tzinfo]:
    """Time zones: places with odd rules, and fixed offsets from -14 to +14 hours."""
    minutes = st.integers(-14 * 60, 14 * 60)
    fixed = minutes.map(lambda width: timezone(timedelta(minutes=width)))
    return st.sampled_from(ZONES) | fixed


def clocks() -> st.SearchStrategy[time]:
    """Times of day, whole minutes: what ``due_time`` can be."""
    return st.builds(time, st.integers(0, 23), st.sampled_from((0, 30)) | st.integers(0, 59))


def moments() -> st.SearchStrategy[datetime]:
    """Moments in UTC, whole seconds, many of them near a change of the clocks."""
    anywhere = st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0))
    changes = st.sampled_from(
        (
            datetime(2026, 3, 29, 1, tzinfo=UTC),  # Berlin
            datetime(2026, 10, 25, 1, tzinfo=UTC),
            datetime(2026, 3, 8, 7, tzinfo=UTC),  # New York
            datetime(2026, 11, 1, 6, tzinfo=UTC),
            datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe
            datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
            datetime(2011, 12, 30, 10, tzinfo=UTC),  # Apia
        )
    )
    nearby = st.integers(-180, 180).map(lambda minutes: timedelta(minutes=minutes))
    return anywhere | st.builds(lambda at, by: at + by, changes, nearby)


def due_values() -> st.SearchStrategy[str]:
    """Canonical values of a due token: a date, a local time, a time with an offset."""
    days = st.dates(date(1900, 1, 1), date(2200, 12, 31))
    local = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001 - local time
    offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))
    aware = st.builds(lambda at, zone: at.replace(tzinfo=zone), local, offsets)
    return (days | local | aware).map(due.canonical)


def styles() -> st.SearchStrategy[due.Style]:
    """The ways to write a due token."""
    return st.sampled_from((due.ICON, due.WORD, due.FIELD, due.ROUND_FIELD, due.CALL))


def texts() -> st.SearchStrategy[str]:
    """Texts of a task that a line holds verbatim: words with one space, no token, no markup."""
    return st.lists(st.sampled_from(WORDS), min_size=1, max_size=7).map(" ".join)


def tasks() -> st.SearchStrategy[Task]:
    """Tasks that a line can say."""
    return st.builds(Task, texts(), st.booleans(), st.none() | due_values())


class Line(NamedTuple):
    """A line of a todo file (without its end), and the task it says."""

    source: str
    task: Task


@st.composite
def lines(draw: Callable[[st.SearchStrategy[object]], object]) -> Line:
    """Task lines with all bullets, marks and styles of a due token."""
    task = draw(tasks())
    assert isinstance(task, Task)
    bullet = draw(st.sampled_from(("-", "*", "+", "1.", "1)")))
    mark = draw(st.sampled_from("xX✓✔-" if task.completed else " /><!?*~"))
    style = draw(styles())
    assert isinstance(style, due.Style)
    token = f" {due.token(task.due, style)}" if task.due else ""
    return Line(f"{bullet} [{mark}] {task.text}{token}", task)


@st.composite
def documents(draw: Callable[[st.SearchStrategy[object]], object]) -> tuple[str, list[Task]]:
    """Markdown files as people keep them, and their tasks: lists below headings, prose between."""
    filler = st.sampled_from(("", "", "# Work", "## Home", "Some prose.", "- a plain bullet"))
    blocks = draw(st.lists(lines() | filler, max_size=12))
    assert isinstance(blocks, list)
    found = [block.task for block in blocks if isinstance(block, Line)]
    sources = [block.source if isinstance(block, Line) else f"\n{block}\n" for block in blocks]
    return "".join(f"{source}\n" for source in sources), found


def nasty_markdown() -> st.SearchStrategy[str]:
    """Text of confusing fragments and arbitrary characters, in any order."""
    arbitrary = st.text(st.characters(codec="utf-8"), max_size=6)
    return st.lists(st.sampled_from(NASTY) | arbitrary, max_size=25).map("".join)
