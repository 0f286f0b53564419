"""The time zone of this machine, as Linux keeps it, and zones by their names."""

from __future__ import annotations

import time
from datetime import timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

LOCALTIME = Path("/etc/localtime")
TIMEZONE = Path("/etc/timezone")
"""Where Linux keeps the zone of the machine (localtime(5); Debian's name file)."""


def local_zone(tz: str | None, localtime: Path = LOCALTIME, name_file: Path = TIMEZONE) -> tzinfo:
    """Return the machine's zone: of ``TZ`` (None: unset), else as the system has it.

    Where neither names a zone with rules, it is the offset of standard time,
    without DST.
    """
    if tz is not None:
        # As the C library: an empty TZ is UTC, a colon may stand before a name or path.
        name = tz.removeprefix(":") or "UTC"
        found = _zone_of_file(Path(name)) if name.startswith("/") else named(name)
    else:
        found = _linked_zone(localtime) or _zone_of_name_file(name_file) or _zone_of_file(localtime)
    return found or timezone(timedelta(seconds=-time.timezone), time.tzname[0])


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
