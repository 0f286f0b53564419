"""Due dates as a person writes them in a line, and the instants they mean.

Rule: the canonical value tells what was written, not how and not when it is.
``📅 2026-01-31`` and ``due:2026-01-31`` have one value, ``2026-01-31``, and it
stays the same when the machine moves to another time zone. Only ``instant``
turns it into a moment, and only when a request needs one.

Canonical values are ``2026-01-31``, ``2026-01-31T17:00``, ``2026-01-31T17:00:30``
and each of the two with a time followed by an offset, ``+02:00`` (never ``Z``).
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The instants that a date can be; the days at both ends reach beyond in some zones."""

BEFORE = r"(?<![\w/:.@#=&?+%\\$-])"
"""What may not stand before a word token: ``overdue:``, ``over-due:``, ``?due:`` in an address."""

AFTER = r"(?![^\W_]|[-+:/.,]\w)"
"""A token may end a sentence or a clause, not lie inside a longer word or number."""

DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
"""A day as it is written; whether the calendar has it, the pattern does not tell."""

_SIGNS = re.compile(r"[📅📆🗓:@]")
"""One of these is in every token, and in all that is told of."""

_ICON = r"[📅📆🗓][\ufe0e\ufe0f]?\s*"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_MONTH_DAY = r"[0-9]{1,2}(?:st|nd|rd|th)?\b"
_LATER = (
    r"(?:today|tonight|tomorrow|next (?:week|month)"
    r"|(?:next )?(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?)\b"
    r"(?=\s*(?:$|[^\w\s]))"
)
"""Days in words, which are no part of a sentence: nothing follows them."""

_FOREIGN = re.compile(
    r"(?=[📅📆🗓\[(@])"
    rf"(?:(?:{BEFORE}@|📅[\ufe0e\ufe0f]?\s*)\[\[(?P<link>{DAY})\]\]"
    rf"|{BEFORE}@\{{(?P<card>{DAY})\}}"
    rf"|{BEFORE}@(?i:due)(?::\s*|\s+)(?P<tag>{DAY}){AFTER}"
    rf"|(?<!\\)[\[(]\s*(?:(?i:deadline)::\s*(?P<field>{DAY})"
    rf"|(?i:due)::\s*\[\[(?P<linked>{DAY})\]\])\s*[\])])"
    rf"|[📆🗓][\ufe0e\ufe0f]?\s*(?P<calendar>{DAY}){AFTER}"
    rf"|{_ICON}(?P<words>(?i:{_MONTH}\s+{_MONTH_DAY}|{_MONTH_DAY}\s+{_MONTH}|{_LATER}))"
)
"""How other programs write a due date, or understand one: boards, links to a day, tags, fields
of another name, other calendars, words."""

_OPENING = re.compile(
    r"(?=[📅\[(@dD])"  # most characters begin no token: they are passed over quickly
    r"(?:(?P<icon>📅[\ufe0e\ufe0f]?\s*)"
    r"|(?<!\\)(?P<field>[\[(]\s*[dD][uU][eE]::\s*)"  # a phone capitalises a first word
    rf"|{BEFORE}(?P<call>@[dD][uU][eE]\(\s*)"
    rf"|{BEFORE}(?:(?P<bare>[dD][uU][eE]::)|(?P<word>[dD][uU][eE]:)))"
)

_VALUE = re.compile(
    rf"(?P<day>{DAY})"
    r"(?:(?P<between>T|\s+)(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?"
    r"(?P<offset>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?" + AFTER
)

_CLOSING = {"[": re.compile(r"\s*\]"), "(": re.compile(r"\s*\)"), "": re.compile(r"")}

# What a person typed in the place of a date, to quote it in a warning. `📅` and
# `due: ` are also ordinary prose: there, only a date of another form is meant as one.
_INSTEAD = {
    "icon": re.compile(r"[0-9]+[-./][0-9]\S*"),
    "word": re.compile(r"\w\S*|\s+[0-9]+[-./][0-9]\S*"),
    "bare": re.compile(r"\s*[0-9]+[-./][0-9]\S*"),
    "field": re.compile(r"[^\s\[\]()][^\[\]()]*[\])]?"),
    "call": re.compile(r"[^\s()][^()]*\)?"),
}

_LATE_TIME = re.compile(
    r"\s+(?P<time>[0-9]:[0-9]{2}\b"
    r"|(?:1[0-2]|0?[1-9])(?::[0-9]{2})?(?:[aApP][mM]\b|\s[aApP][mM](?=\s*(?:$|[.,;:!?)\]]))))"
)
_HALF_DAY = re.compile(r"\s+(?P<time>[aApP][mM])(?=\s*(?:$|[.,;:!?)\]]))")
"""What a person may take for the time of a date before it, and for its half of the day."""

_PAIRS = frozenset({"()", "[]", "{}", "**", "~~", '""', "''", "``"})


class Style(NamedTuple):
    """How a token is written: what stands before the date, before the time, and at the end."""

    before: str
    between: str
    after: str


ICON = Style("📅 ", "T", "")
WORD = Style("due:", "T", "")
FIELD = Style("[due:: ", "T", "]")
ROUND_FIELD = Style("(due:: ", "T", ")")
CALL = Style("@due(", " ", ")")


class Token(NamedTuple):
    """A valid due token: its place in the text (code points), its value, its style."""

    start: int
    end: int
    value: str
    style: Style


class Rejected(NamedTuple):
    """Something that looks like a due token and stays text.

    ``start`` and ``end`` are code points; ``reason`` continues a sentence that
    begins with the quoted text.
    """

    start: int
    end: int
    reason: str


class Found(NamedTuple):
    """The due token of a text, and what a person may have taken for one.

    ``foreign`` is what another program takes for one, where there is no token.
    """

    token: Token | None = None
    rejected: tuple[Rejected, ...] = ()
    foreign: tuple[Rejected, ...] = ()


NOT_A_DATE = "is not a date; write it like due:2026-01-31 or due:2026-01-31T17:00"
SPACED = "is not read for the blank behind its colon; write it like due:2026-01-31"
SECOND = "is a second due date; only the first of a task counts"
NOT_A_TIME = "is not read as part of the date before it; write them together like 2026-01-31T08:30"
NOT_OURS = "is not read as a due date; write it like due:2026-01-31"
RANGE_OR_OFFSET = "may be a range or an offset; write one time, or T before a time with an offset"


def find(text: str) -> Found:
    """Return the first valid due token of ``text``, and all others as rejected.

    The caller has blanked out what cannot hold a token (code, links), keeping
    the length of the text.
    """
    if not _SIGNS.search(text):
        return Found()
    token: Token | None = None
    rejected: list[Rejected] = []
    at = 0
    while opening := _OPENING.search(text, at):
        one = _read(text, opening)
        at = one.end if one else opening.end()
        if isinstance(one, Rejected):
            rejected.append(one)
        elif one and token:
            rejected.append(Rejected(one.start, one.end, SECOND))
        elif one:
            token = one
            if late := _late(text, one):
                rejected.append(Rejected(*late.span("time"), NOT_A_TIME))
    return Found(token, tuple(rejected), () if token else tuple(_foreign(text)))


def parted(text: str) -> tuple[str, str]:
    """Return a text without its due token and what may be meant as one, and those by themselves."""
    found = find(text)
    spans = [(one.start, one.end) for one in (*found.rejected, *found.foreign)]
    if found.token is not None:
        spans.append((found.token.start, found.token.end))
    kept, cut, at = [], [], 0
    for start, end in sorted(spans):  # one can lie in another
        kept.append(text[at:start])
        cut.append(text[max(at, start) : end])
        at = max(at, end)
    return "".join((*kept, text[at:])), " ".join(cut)


def _foreign(text: str) -> Iterator[Rejected]:
    for found in _FOREIGN.finditer(text):
        with suppress(ValueError):  # 31 February is meant by nobody
            if found["words"] is None:
                date.fromisoformat(found[str(found.lastgroup)])
            yield Rejected(*found.span(), NOT_OURS)


def _late(text: str, token: Token) -> re.Match[str] | None:
    """Return what after a token is meant as its time, or as the half of its day.

    `am` and `PM` are words, too: of a language, or of a head of government.
    """
    if is_date(token.value):
        return _LATE_TIME.match(text, token.end)
    hour = int(token.value[11:13])
    return _HALF_DAY.match(text, token.end) if 1 <= hour <= 12 else None  # noqa: PLR2004 - a clock


def _read(text: str, opening: re.Match[str]) -> Token | Rejected | None:
    """Return what the opening of a token turns out to be; None is ordinary prose."""
    kind = str(opening.lastgroup)  # every opening has a name
    bracket = opening[0][0] if kind == "field" else "(" * (kind == "call")
    value = _VALUE.match(text, opening.end())
    closing = value and _CLOSING[bracket].match(text, value.end())
    if not value or not closing or kind == "bare":
        return _reject(text, opening, kind)
    if not bracket and _may_be_range(value):
        return Rejected(opening.start(), value.end(), RANGE_OR_OFFSET)
    canon = _canon(value)
    if canon is None:
        return Rejected(opening.start(), closing.end(), NOT_A_DATE)
    start, end = widen(text, opening.start(), closing.end())
    between = value["between"] or (" " if kind == "call" else "T")
    style = Style(text[start : value.start()], between, text[value.end() : end])
    return Token(start, end, canon, style)


def _reject(text: str, opening: re.Match[str], kind: str) -> Rejected | None:
    instead = _INSTEAD[kind].match(text, opening.end())
    if instead is None:
        return None
    value = _VALUE.match(text, instead.end() - len(instead[0].lstrip()))
    is_spaced = kind == "word" and value is not None and _canon(value) is not None
    return Rejected(opening.start(), instead.end(), SPACED if is_spaced else NOT_A_DATE)


def _may_be_range(value: re.Match[str]) -> bool:
    """``17:00-18:00`` after a space is read by people as a range, by ISO 8601 as an offset."""
    return value["between"] not in {None, "T"} and (value["offset"] or "").startswith("-")


def _canon(value: re.Match[str]) -> str | None:
    # Times are built from numbers: `fromisoformat` accepts 24:00 from Python 3.14 on.
    try:
        day = date.fromisoformat(value["day"])
        if value["hour"] is None:
            return value["day"]
        clock = time(int(value["hour"]), int(value["minute"]), int(value["second"] or 0))
        return canonical(datetime.combine(day, clock, _zone(value["offset"])))
    except ValueError:
        return None


def _zone(offset: str | None) -> timezone | None:
    if offset in {None, "Z"}:
        return UTC if offset else None
    digits = offset.replace(":", "")
    hours, minutes = int(digits[1:3]), int(digits[3:] or 0)
    if minutes > 59:  # noqa: PLR2004 - minutes of an hour
        raise ValueError(offset)
    width = timedelta(hours=hours, minutes=minutes)
    return timezone(-width if digits[0] == "-" else width)


def widen(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the range grown by the brackets, quotes or emphasis that hold nothing else.

    So that taking ``(due:2026-01-31)`` out of a line leaves no ``()`` behind.
    """
    while start > 0 and end < len(text) and text[start - 1] + text[end] in _PAIRS:
        start, end = start - 1, end + 1
    return start, end


def canonical(value: date | datetime) -> str:
    """Return the canonical value of a date, or of a date and time, aware or naive.

    Fractions of a second are dropped. Raises ValueError when an aware time lies
    before the year 1 or after 9999 in UTC.
    """
    if not isinstance(value, datetime):
        return value.isoformat()
    offset = value.utcoffset()
    if offset is None:
        return _written(value)
    try:
        utc = value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{value} is outside the years 1 to 9999 in UTC") from None
    if offset % timedelta(minutes=1):  # a local mean time, which ISO 8601 cannot write
        value, offset = utc, timedelta()
    minutes = abs(offset) // timedelta(minutes=1)
    sign = "-" if offset < timedelta() else "+"
    return f"{_written(value)}{sign}{minutes // 60:02}:{minutes % 60:02}"


def _written(value: datetime) -> str:
    plain = value.replace(tzinfo=None)
    return plain.isoformat(timespec="seconds" if plain.second else "minutes")


def instant(value: str, zone: tzinfo, due_time: time) -> datetime:
    """Return the moment that a canonical value means, in UTC.

    A date alone means ``due_time`` of that day, a time without an offset is in
    ``zone``. A time that the clocks skip is moved forward by the width of the
    gap, of a time that comes twice the first is taken. A local time that is
    before the year 1 or after 9999 in UTC gives ``FIRST`` or ``LAST``. Raises
    ValueError when ``value`` is not canonical.
    """
    if is_date(value):
        moment = datetime.combine(date.fromisoformat(value), due_time)
    else:
        moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        # PEP 495: fold=0 takes the offset before the change, which is the
        # first of two equal times, and moves a skipped time forward.
        moment = moment.replace(tzinfo=zone, fold=0)
    try:
        return moment.astimezone(UTC)
    except (OverflowError, ValueError):  # zoneinfo's own arithmetic may raise either
        return FIRST if moment.year == 1 else LAST


def is_date(value: str) -> bool:
    """Return whether a canonical value is a date without a time."""
    return len(value) == len("2026-01-31")


def day(moment: datetime, zone: tzinfo) -> str:
    """Return the canonical value of the day that ``moment`` (aware) is on in ``zone``."""
    try:
        return moment.astimezone(zone).date().isoformat()
    except (OverflowError, ValueError):
        return moment.astimezone(UTC).date().isoformat()


def value_of(moment: datetime, zone: tzinfo, due_time: time) -> str:
    """Return the shortest canonical value that means ``moment`` (aware, whole seconds).

    A date alone where ``due_time`` makes it this very moment, else the local
    time, and with its offset only where the local time means another moment.
    Fractions of a second are dropped.
    """
    moment = moment.replace(microsecond=0)
    try:
        local = moment.astimezone(zone)
    except (OverflowError, ValueError):
        return canonical(moment.astimezone(UTC))
    for value in (local.date().isoformat(), _written(local)):
        if instant(value, zone, due_time) == moment:
            return value
    return canonical(local)


def token(value: str, style: Style) -> str:
    """Return the due token that says ``value`` in ``style``; ``find`` reads it back."""
    day, clock = value[:10], value[11:]
    if not clock:
        return f"{style.before}{day}{style.after}"
    # After a space `17:00-05:00` reads as a range.
    between = "T" if "-" in clock else style.between
    return f"{style.before}{day}{between}{clock}{style.after}"
