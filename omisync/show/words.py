"""Numbers, times and foreign text as people read them. Standard library only."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import TextIO

    from omisync.core.model import Notice

MINUTE = 60.0
NEAR = 5 * MINUTE
"""Seconds up to which a wait is worth its seconds."""
HOUR = 3600.0
DAY = 86400.0
LINES = 8
"""Lines that are named of those with the same warning."""
JUST_NOW = 5.0
"""Seconds within which nobody counts."""

# ECMA-48: strings (OSC, DCS, PM, APC, SOS) with what they carry, control sequences,
# shorter escapes. A string without its end loses only its opening: text is not hidden.
_ESCAPES = (
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]?"
)
_SPACES = r"[\t\n\v\f\r\x85\u2028\u2029]+"
# The rest of C0 and C1, and the marks that make a line read in another order than it is.
_UNSEEN = r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
_SURROGATE = r"[\ud800-\udfff]"


def safe(text: str) -> str:
    """Return foreign text as one line that no terminal acts on and any UTF-8 stream takes.

    Escape sequences and control characters go, line ends and tabs become one
    space, half a surrogate pair becomes U+FFFD.
    """
    if text.isprintable():
        return text
    text = re.sub(_ESCAPES, "", text)
    text = re.sub(_SPACES, " ", text)
    text = re.sub(_UNSEEN, "", text)
    return re.sub(_SURROGATE, "\ufffd", text)


_CALL = {"omisync": "omisync"}
"""How this process was called, as far as a command to copy has to repeat it."""


def called_with(config: str) -> None:
    """Let each command that is said from now on name this config file."""
    option = "--config=" if config.startswith("-") else "-c "
    _CALL["omisync"] = f"omisync {option}{shlex.quote(safe(config))}"


def commands(text: str) -> str:
    """Return a message whose commands (`` `omisync --once` ``) can be copied as they stand."""
    return text.replace("`omisync", f"`{_CALL['omisync']}")


def command(text: str) -> str:
    """Return one command (``omisync --once``) as it can be copied."""
    return commands(f"`{text}`").strip("`")


def write_json(data: object, stream: TextIO) -> None:
    """Write data for programs as one line; a stream that cannot say it gets ASCII."""
    text = json.dumps(data, ensure_ascii=False)
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:  # or half a character, as the name of a file can have
        text = json.dumps(data)
    stream.write(text + "\n")


def count(number: int, noun: str) -> str:
    """Return ``1 task``, ``42 tasks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def lines(numbers: Sequence[int]) -> str:
    """Return ``line 3``, ``lines 3, 5 and 7``; of many the first few, and how many more."""
    shown = [str(number) for number in numbers[:LINES]]
    if len(numbers) > LINES:
        shown.append(f"{len(numbers) - LINES} more")
    *first, last = shown
    return f"lines {', '.join(first)} and {last}" if first else f"line {last}"


def alike(notices: Iterable[Notice]) -> dict[str, list[int]]:
    """Return in which lines each message stands, in the order of the first ones."""
    found: dict[str, list[int]] = {}
    for notice in notices:
        found.setdefault(notice.message, []).append(notice.line)
    return found


def path(place: Path) -> str:
    """Return a path as text that every UTF-8 stream and JSON takes."""
    return os.fsencode(place).decode(errors="replace")


def due(value: str) -> str:
    """Return a due date's canonical value with a space before its time."""
    return value.replace("T", " ")


def duration(seconds: float) -> str:
    """Return a length of time in its largest whole unit, ``3 minutes``; nothing is below zero."""
    seconds = max(0.0, seconds)
    for size, noun in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if seconds >= size:
            return count(int(seconds // size), noun)
    return count(int(seconds), "second")


def ago(seconds: float) -> str:
    """Return how long ago something was, ``3 minutes ago``.

    What lies ahead (a clock was set back) is ``just now``.
    """
    return "just now" if seconds < JUST_NOW else f"{duration(seconds)} ago"


def countdown(seconds: float) -> str:
    """Return ``0:07``, ``12:03`` or ``1:02:03``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def clock_time(unix: float, now: float | None = None) -> str:
    """Return a moment as a local ``14:05``, with its date unless that is today's.

    One that is near has its seconds. What has begun of a minute, or second, counts as
    over, so that ``until 14:05`` is never too early. ``now`` (Unix seconds) tells
    what today is; by default the clock does.
    """
    now = time.time() if now is None else now
    near = unix - now < NEAR
    step = 1.0 if near else MINUTE
    moment = _local(-(-unix // step) * step)
    if moment is None:
        return "an unknown time"
    today = _local(now)
    is_today = today is not None and moment.date() == today.date()
    time_of_day = "%H:%M:%S" if near else "%H:%M"
    return moment.strftime(time_of_day if is_today else f"%Y-%m-%d {time_of_day}")


def stamp(unix: float) -> str:
    """Return a moment as a local ``2026-01-31 14:05:09``."""
    moment = _local(unix)
    return "an unknown time" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")


def _local(unix: float) -> datetime | None:
    """Return a moment in local time, None for one beyond what calendars hold."""
    try:
        return datetime.fromtimestamp(unix).astimezone()
    except (OverflowError, OSError, ValueError):
        return None


def instant(unix: float | None) -> str | None:
    """Return a moment for programs: ISO 8601 in UTC, to the second."""
    if unix is None:
        return None
    try:
        return datetime.fromtimestamp(unix, UTC).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        return None
