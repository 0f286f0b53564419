"""What a config file can say: one frozen model a table, with what is allowed."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from omisync import places
from omisync.config.zones import named
from omisync.core import due
from omisync.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable


SUFFIXES = (".md", ".markdown", ".toml")
"""Endings of a todo file, in lower case; the format follows from them."""
VARIATION_SELECTOR = "\ufe0f"
"""Makes ``✔`` an emoji: a box that holds it holds the same mark."""

DATE = re.compile(due.DAY)
"""The one form of a date that is taken: ``fromisoformat`` knows more."""


class Section(BaseModel):
    """A table of the config. ``description`` of a field is what a message says is allowed."""

    # strict: "yes" is not true and "5" is not 5; TOML has types of its own.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Todo(Section):
    """``[todo]``: the file, and the marks that its boxes may hold."""

    path: str = Field(default="~/todo.md", description="the path of a .md, .markdown or .toml file")
    done_marks: str = Field(
        default="xX✓✔-", description="text of at least one character, without [ and ]"
    )
    open_marks: str = Field(
        default=" /><!?*~",
        validate_default=True,
        description="text of at least one character, without [ and ]",
    )

    @field_validator("path")
    @classmethod
    def _known_format(cls, path: str) -> str:
        if "\0" in path or Path(path).suffix.lower() not in SUFFIXES:
            raise ValueError
        return path

    @field_validator("done_marks", "open_marks")
    @classmethod
    def _fit_in_a_box(cls, marks: str) -> str:
        marks = marks.replace(VARIATION_SELECTOR, "")
        if not marks or set(marks) & set("[]\r\n"):
            raise ValueError
        return marks

    @field_validator("open_marks")
    @classmethod
    def _say_one_thing(cls, marks: str, others: ValidationInfo) -> str:
        if both := sorted(set(marks) & set(others.data.get("done_marks", ""))):
            shown = " and ".join(quoted(mark) for mark in both)
            raise ValueError(f"done_marks and open_marks both have {shown}; keep it in one of them")
        return marks


class Omi(Section):
    """``[omi]``: the server, and where the key is."""

    base_url: str = Field(default=places.OMI, description="an https URL")
    api_key_file: str = Field(
        default="",
        description='the path of a file that holds the key, or "" (never the key itself)',
    )

    @field_validator("base_url")
    @classmethod
    def _safe(cls, url: str) -> str:
        try:
            return places.normalised_base(url)
        except ConfigError as error:
            raise ValueError(f"{error.message}; {error.advice}") from None

    @field_validator("api_key_file")
    @classmethod
    def _a_path(cls, path: str) -> str:
        if "\0" in path or places.looks_like_key(path):
            raise ValueError
        return path


class Sync(Section):
    """``[sync]``: what follows from what the person did."""

    direction: Literal["push", "two-way"] = Field(default="push", description='"push" or "two-way"')
    on_removal: Literal["complete", "delete", "keep"] = Field(
        default="complete", description='"complete", "delete" or "keep"'
    )
    removal_grace: float = Field(
        default=30.0, ge=0, le=86400, description="a number of seconds from 0 to 86400"
    )
    max_removals: float = Field(default=0.5, ge=0, le=1, description="a number from 0 to 1")
    adopt: bool = Field(default=True, description="true or false")
    completed: Literal["mirror", "skip"] = Field(default="mirror", description='"mirror" or "skip"')
    due_time: str = Field(default="09:00", description='a time of day in quotes, as "09:00"')
    timezone: str = Field(default="local", description='"local" or a name as "Europe/Berlin"')
    prefer: Literal["local", "remote"] = Field(default="local", description='"local" or "remote"')
    on_remote_removal: Literal["keep", "check", "remove"] = Field(
        default="keep", description='"keep", "check" or "remove"'
    )
    import_items: Literal["open", "all", "linked"] = Field(
        default="open", description='"open", "all" or "linked"'
    )
    import_since: str = Field(
        default="", description='a date in quotes, as "2026-01-31", or "" for no limit'
    )
    inbox_heading: str = Field(
        default="", description='the text of a heading in one line, or "" for the end of the file'
    )
    ids: Literal["off", "inline"] = Field(default="off", description='"off" or "inline"')

    @field_validator("import_since")
    @classmethod
    def _a_date(cls, text: str) -> str:
        if text and not DATE.fullmatch(text):
            raise ValueError
        with suppress(ValueError):  # "month must be in 1..12" does not say what is allowed
            return text and date.fromisoformat(text).isoformat()
        raise ValueError

    @field_validator("inbox_heading")
    @classmethod
    def _one_line(cls, text: str) -> str:
        if text.strip("# \t") != text.lstrip("#").strip() or any(not c.isprintable() for c in text):
            raise ValueError
        if text and not text.strip("# \t"):
            raise ValueError
        return text.strip()

    @field_validator("due_time")
    @classmethod
    def _time_of_day(cls, text: str) -> str:
        if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
            raise ValueError
        return text

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name != "local" and named(name) is None:
            raise ValueError(
                f'there is no time zone {quoted(name)}; allowed are "local" and names such as'
                f' "Europe/Berlin"{_nearest_zone(name)}'
            )
        return name


class Watch(Section):
    """``[watch]``: when a cycle runs. All in seconds."""

    settle: float = Field(
        default=0.15, ge=0.01, le=60, description="a number of seconds from 0.01 to 60"
    )
    rescan: float = Field(
        default=60.0, ge=1, le=86400, description="a number of seconds from 1 to 86400"
    )
    poll: float = Field(
        default=300.0, ge=10, le=604800, description="a number of seconds from 10 to 604800"
    )
    notify_command: str = Field(default="", description='a command, or "" for none')
    notify_after: float = Field(default=3600.0, ge=0, description="a number of seconds, 0 or more")

    @field_validator("notify_command")
    @classmethod
    def _words(cls, line: str) -> str:
        if "\0" in line:
            raise ValueError
        try:
            shlex.split(line)
        except ValueError as error:
            raise ValueError(f"the quotes do not fit together ({error})") from None
        return line.strip()


class State(Section):
    """``[state]``: where the store is; empty means the XDG place."""

    path: str = Field(default="", description='a path, or "" for the usual place')

    @field_validator("path")
    @classmethod
    def _a_path(cls, path: str) -> str:
        if "\0" in path:
            raise ValueError
        return path


class Log(Section):
    """``[log]``: how much is logged, and for whom."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description='"debug", "info", "warning" or "error"'
    )
    format: Literal["auto", "console", "json"] = Field(
        default="auto", description='"auto", "console" or "json"'
    )


class Settings(Section):
    """What a config file can say; ``Settings()`` are the defaults."""

    todo: Todo = Todo()
    omi: Omi = Omi()
    sync: Sync = Sync()
    watch: Watch = Watch()
    state: State = State()
    log: Log = Log()


SECTIONS: dict[str, type[Section]] = {
    "todo": Todo,
    "omi": Omi,
    "sync": Sync,
    "watch": Watch,
    "state": State,
    "log": Log,
}


def quoted(text: str) -> str:
    """Return text in quotes, with escapes: nothing in it breaks a message apart."""
    return json.dumps(text, ensure_ascii=False)


def _nearest_zone(name: str) -> str:
    """Return "; did you mean ...?" for a zone that is written alike, or named after this city.

    Abbreviations and offsets are like others that are hours away: none is guessed.
    """
    from difflib import get_close_matches

    zones = {zone.lower(): zone for zone in available_timezones() if "/" in zone}
    cities = {zone.rpartition("/")[2]: zone for zone in zones if not zone.startswith("etc/")}
    word = name.strip().lower().replace(" ", "_")
    for names in (zones, cities):
        if found := get_close_matches(word, names, 1, 0.8):
            return f'; did you mean "{zones.get(found[0]) or zones[cities[found[0]]]}"?'
    return ""


def nearest(word: str, words: Iterable[str], form: str = "{}") -> str:
    """Return "; did you mean ...?" for the most similar of these words, if one is similar."""
    from difflib import get_close_matches

    found = get_close_matches(word, list(words), 1)
    return f"; did you mean {form.format(found[0])}?" if found else ""
