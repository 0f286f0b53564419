"""The time zone of this machine, as Linux keeps it, and zones by their names."""

from __future__ import annotations

import io
import re
import struct
import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

LOCALTIME = Path("/etc/localtime")
TIMEZONE = Path("/etc/timezone")
"""Where Linux keeps the zone of the machine (localtime(5); Debian's name file)."""
DAY = timedelta(days=1)
USUAL_RULES = ",M3.2.0,M11.1.0"
"""When DST begins and ends for the C library where a TZ names one and does not say (tzset(3))."""
_NAME = re.compile(r"[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>")  # POSIX.1-2017, 8.3
_UTC_BLOCK = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + bytes(6) + b"UTC\0"


def local_zone(tz: str | None, localtime: Path = LOCALTIME, name_file: Path = TIMEZONE) -> tzinfo:
    """Return the machine's zone: of ``TZ`` (None: unset), else as the system has it.

    Where neither names a zone with rules, it is the offset of standard time,
    without DST.
    """
    if tz is not None:
        # As the C library: an empty TZ is UTC, a colon may stand before a name or path.
        name = tz.removeprefix(":") or "UTC"
        found = _zone_of_file(Path(name)) if name.startswith("/") else named(name) or _ruled(name)
    else:
        found = _linked_zone(localtime) or _zone_of_name_file(name_file) or _zone_of_file(localtime)
    offset = timedelta(seconds=-time.timezone)  # a day where TZ says one or more: none to Python
    return found or (timezone(offset, time.tzname[0]) if abs(offset) < DAY else UTC)


def _ruled(rules: str) -> ZoneInfo | None:
    """Return the zone of a TZ that says all itself, as ``CET-1CEST,M3.5.0,M10.5.0/3``.

    A file of the zone database ends in such a line (RFC 9636, 3.3), so it is read as one
    that has nothing else.
    """
    if not _NAME.match(rules):
        return None
    for line in (rules, rules + USUAL_RULES):
        try:
            zone = ZoneInfo.from_file(io.BytesIO(2 * _UTC_BLOCK + f"\n{line}\n".encode()))
            for month in (1, 7):  # a day or more from UTC is no offset to Python
                datetime(2026, month, 1, tzinfo=zone).utcoffset()
        except ValueError:  # the second may be what was meant
            continue
        return zone
    return None


def _linked_zone(localtime: Path) -> ZoneInfo | None:
    """Return the zone that a symlink into the zone database names."""
    try:
        _, inside, name = str(localtime.resolve()).rpartition("/zoneinfo/")
    except (OSError, RuntimeError):  # RuntimeError: a symlink loop, before Python 3.13
        return None
    return named(name) if inside else None


def _zone_of_name_file(name_file: Path) -> ZoneInfo | None:
    try:
        name = name_file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return named(name)


def _zone_of_file(file: Path) -> ZoneInfo | None:
    try:
        with file.open("rb") as opened:
            return ZoneInfo.from_file(opened, key=str(file))
    except (OSError, ValueError):
        return None


def named(name: str) -> ZoneInfo | None:
    """Return the zone of this name, None where there is none."""
    try:
        return ZoneInfo(name)
    # Besides the KeyError it documents: a folder, a bad character, "../".
    except (KeyError, OSError, ValueError):
        return None
