"""The config file as one frozen model: read once, checked whole, every problem named at once."""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from datetime import timedelta, timezone, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from omisync import places
from omisync.core import toml
from omisync.errors import ConfigError, ParseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

SUFFIXES = (".md", ".markdown", ".toml")
"""Endings of a todo file, in lower case; the format follows from them."""
VARIATION_SELECTOR = "\ufe0f"
"""Makes ``✔`` an emoji: a box that holds it holds the same mark."""

BARE = re.compile(r"[A-Za-z0-9_-]+")
"""A key that TOML writes without quotes."""

LOCALTIME = Path("/etc/localtime")
TIMEZONE = Path("/etc/timezone")
"""Where Linux keeps the zone of the machine (localtime(5); Debian's name file)."""


class _Section(BaseModel):
    """A table of the config. ``description`` of a field is what a message says is allowed."""

    # strict: "yes" is not true and "5" is not 5; TOML has types of its own.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Todo(_Section):
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
            shown = " and ".join(_quoted(mark) for mark in both)
            raise ValueError(f"done_marks and open_marks both have {shown}; keep it in one of them")
        return marks


class Omi(_Section):
    """``[omi]``: the server, and where the key is."""

    base_url: str = Field(default="https://api.omi.me", description="an https URL")
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


class Sync(_Section):
    """``[sync]``: what follows from what the person did."""

    direction: Literal["push", "two-way"] = Field(default="push", description='"push"')
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

    @field_validator("due_time")
    @classmethod
    def _time_of_day(cls, text: str) -> str:
        if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
            raise ValueError
        return text

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name != "local" and _named_zone(name) is None:
            raise ValueError(
                f"there is no time zone {_quoted(name)}{_nearest(name, available_timezones())}"
            )
        return name


class Watch(_Section):
    """``[watch]``: when a cycle runs. All in seconds."""

    settle: float = Field(
        default=0.15, ge=0.01, le=60, description="a number of seconds from 0.01 to 60"
    )
    rescan: float = Field(
        default=60.0, ge=1, le=86400, description="a number of seconds from 1 to 86400"
    )
    poll: float = Field(default=300.0, ge=10, description="a number of seconds, 10 or more")
    notify_command: str = Field(default="", description='a command, or "" for none')
    notify_after: float = Field(default=3600.0, ge=0, description="a number of seconds, 0 or more")

    @field_validator("notify_command")
    @classmethod
    def _words(cls, line: str) -> str:
        try:
            shlex.split(line)
        except ValueError as error:
            raise ValueError(f"the quotes do not fit together ({error})") from None
        return line


class State(_Section):
    """``[state]``: where the store is; empty means the XDG place."""

    path: str = Field(default="", description='a path, or "" for the usual place')

    @field_validator("path")
    @classmethod
    def _a_path(cls, path: str) -> str:
        if "\0" in path:
            raise ValueError
        return path


class Log(_Section):
    """``[log]``: how much is logged, and for whom."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description='"debug", "info", "warning" or "error"'
    )
    format: Literal["auto", "console", "json"] = Field(
        default="auto", description='"auto", "console" or "json"'
    )


class Settings(_Section):
    """What a config file can say; ``Settings()`` are the defaults."""

    todo: Todo = Todo()
    omi: Omi = Omi()
    sync: Sync = Sync()
    watch: Watch = Watch()
    state: State = State()
    log: Log = Log()


SECTIONS: dict[str, type[_Section]] = {
    "todo": Todo,
    "omi": Omi,
    "sync": Sync,
    "watch": Watch,
    "state": State,
    "log": Log,
}


class Config(Settings):
    """The settings of one config file, with the places that follow from where it stands.

    All paths are absolute. ``key_file`` is the text of one, or empty.
    """

    path: Path
    todo_path: Path
    store_path: Path
    key_file: str
    tz: Annotated[str | None, Field(repr=False)]

    def zone(self) -> tzinfo:
        """Return the time zone of dates without an offset, with its DST rules.

        ``"local"`` looks at the machine anew each time: people travel.
        """
        if self.sync.timezone == "local":
            return local_zone(self.tz)
        return ZoneInfo(self.sync.timezone)


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """Return the config of this file; ``OMI_API_BASE`` wins over ``omi.base_url``.

    Raises:
        ConfigError: The file is missing, unreadable, not TOML, or says something
            that is not allowed; the message has the file and all its problems
            with their lines.
    """
    source = _read(path)
    settings = _settings(path, source, environ.get("OMI_API_BASE", "").strip())
    base = path.absolute().parent
    todo = places.todo_path(settings.todo.path, base)
    state, key_file = settings.state.path, settings.omi.api_key_file
    store = places.state_path(todo, str(places.todo_path(state, base)) if state else "", environ)
    if store == todo:
        raise ConfigError(f"{path}: state.path is the todo file itself", 'set state.path = ""')
    return Config(
        **{name: getattr(settings, name) for name in SECTIONS},
        path=path.absolute(),
        todo_path=todo,
        store_path=store,
        key_file=str(places.todo_path(key_file, base)) if key_file else "",
        tz=environ.get("TZ"),
    )


def written(todo: Path, key_file: Path | None = None) -> str:
    """Return the text of a new config for this todo file.

    Raises:
        ConfigError: A path is not UTF-8, so no config can name it.
    """
    import tomli_w

    tables: dict[str, dict[str, str]] = {"todo": {"path": str(todo)}}
    if key_file:
        tables["omi"] = {"api_key_file": str(key_file)}
    text = "# All keys, with their defaults: config.example.toml\n\n" + tomli_w.dumps(tables)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{todo!r} is not UTF-8", "give the file another name") from None
    return text


# Reading and explaining.


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"no config at {path}", "run `omisync init FILE`") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder", f"name the file: -c {path}/config.toml") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path} cannot be read: {reason}", f"check it: ls -l {path}") from None


def _settings(path: Path, source: bytes, base_url: str) -> Settings:
    # Raised after the except blocks: the errors behind quote the file, which may
    # hold a key in the wrong place, and must not hang on ours as its context.
    try:
        data = toml.load(source)
    except ParseError as error:
        place = f"{path}:{error.line}:{error.column}"
        problem = ConfigError(f"{place}: {error.message}", error.advice or f"correct {path}")
    else:
        found = _validated(path, source, data, base_url)
        if isinstance(found, Settings):
            return found
        problem = found
    raise problem


def _validated(
    path: Path, source: bytes, data: dict[str, object], base_url: str
) -> Settings | ConfigError:
    """Return the settings, or the error that tells all that is wrong with them."""
    omi = data.get("omi", {})
    if base_url and isinstance(omi, dict):
        data = {**data, "omi": {**omi, "base_url": base_url}}
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        return _explained(path, source, error.errors(), base_url)
    if settings.sync.direction == "two-way":
        line = _line(toml.key_lines(source), ("sync", "direction"))
        what = f'{path}:{line}: sync.direction = "two-way" is not available in this version yet'
        return ConfigError(what, 'use "push"')
    return settings


def _explained(
    path: Path, source: bytes, details: list[ErrorDetails], base_url: str
) -> ConfigError:
    """Return one error that names all problems, in the order of their lines."""
    lines = toml.key_lines(source)
    problems: list[tuple[int, str]] = []
    for detail in details:
        loc = tuple(str(part) for part in detail["loc"])
        if loc == ("omi", "base_url") and base_url:
            problems.append((0, f"OMI_API_BASE: {_said(detail)}"))
            continue
        line = _line(lines, loc)
        problems.append((line, f"{path}:{line}: {_problem(loc, detail)}"))
    texts = [text for _, text in sorted(problems)]
    advice = f"correct {path}; config.example.toml explains every key"
    if not any(line for line, _ in problems):
        advice = "correct OMI_API_BASE, or unset it"
    return ConfigError("\n".join(texts), advice)


def _line(lines: dict[tuple[str, ...], int], loc: tuple[str, ...]) -> int:
    """Return the line of the key, or of the nearest table around it that has one."""
    for size in range(len(loc), 0, -1):
        if loc[:size] in lines:
            return lines[loc[:size]]
    # A table that is only implied by a dotted header or key.
    return min((line for path, line in lines.items() if path[:1] == loc[:1]), default=1)


def _problem(loc: tuple[str, ...], detail: ErrorDetails) -> str:
    name = _name(loc)
    if detail["type"] == "extra_forbidden":
        return _unknown(loc)
    if detail["type"] == "value_error" and (said := _said(detail)):
        return f"{name}: {said}"
    section = SECTIONS[loc[0]]
    if len(loc) == 1:
        return f"{name} must be a table: write [{name}] and its keys below it ({_listed(section)})"
    allowed = section.model_fields[loc[1]].description
    return f"{name} is {_shown(loc, detail['input'])}; allowed is {allowed}"


def _said(detail: ErrorDetails) -> str:
    """Return what one of our own validators says, else what pydantic says."""
    return str(detail["ctx"]["error"]) if detail["type"] == "value_error" else detail["msg"]


def _shown(loc: tuple[str, ...], value: object) -> str:
    """Return a value as TOML would have it, short; never what may be a key."""
    if loc == ("omi", "api_key_file"):
        return "not a path"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        text = _quoted(value)
    else:  # hex, because Python refuses to write a huge number in decimals
        text = hex(value) if isinstance(value, int) and abs(value) > sys.maxsize else str(value)
    return text if len(text) <= 60 else text[:59] + "…"  # noqa: PLR2004 - short enough for a line


def _quoted(text: str) -> str:
    """Return text in quotes, with escapes: nothing in it breaks a message apart."""
    return json.dumps(text, ensure_ascii=False)


def _name(loc: tuple[str, ...]) -> str:
    """Return a dotted key as TOML would have it."""
    return ".".join(part if BARE.fullmatch(part) else _quoted(part) for part in loc)


def _unknown(loc: tuple[str, ...]) -> str:
    """Name an unknown key, with the key that was probably meant."""
    if len(loc) == 1:
        homes = [name for name, section in SECTIONS.items() if loc[0] in section.model_fields]
        if homes:
            return f"unknown key {_name(loc)} outside of a table; it belongs below [{homes[0]}]"
        hint = _nearest(loc[0], SECTIONS, "[{}]")
        return f"unknown table or key {_name(loc)}{hint or '; the tables are ' + _tables()}"
    section, key = loc[0], loc[-1]
    fields = SECTIONS[section].model_fields
    homes = [name for name, other in SECTIONS.items() if key in other.model_fields]
    if homes:
        return f"unknown key {_name(loc)}; {key} belongs below [{homes[0]}]"
    hint = _nearest(key, fields)
    return f"unknown key {_name(loc)}{hint or f'; the keys are {_listed(SECTIONS[section])}'}"


def _listed(section: type[_Section]) -> str:
    return ", ".join(section.model_fields)


def _tables() -> str:
    return ", ".join(f"[{name}]" for name in SECTIONS)


def _nearest(word: str, words: Iterable[str], form: str = "{}") -> str:
    """Return "; did you mean ...?" for the most similar of these words, if one is similar."""
    from difflib import get_close_matches

    found = get_close_matches(word, list(words), 1)
    return f"; did you mean {form.format(found[0])}?" if found else ""


# Time zones.


def local_zone(tz: str | None, localtime: Path = LOCALTIME, name_file: Path = TIMEZONE) -> tzinfo:
    """Return the machine's zone: of ``TZ`` (None: unset), else as the system has it.

    Where neither names a zone with rules, it is the offset of standard time,
    without DST.
    """
    if tz is not None:
        # As the C library: an empty TZ is UTC, a colon may stand before a name or path.
        name = tz.removeprefix(":") or "UTC"
        found = _zone_of_file(Path(name)) if name.startswith("/") else _named_zone(name)
    else:
        found = _linked_zone(localtime) or _zone_of_name_file(name_file) or _zone_of_file(localtime)
    return found or timezone(timedelta(seconds=-time.timezone), time.tzname[0])


def _linked_zone(localtime: Path) -> ZoneInfo | None:
    """Return the zone that a symlink into the zone database names."""
    try:
        _, inside, name = str(localtime.resolve()).rpartition("/zoneinfo/")
    except (OSError, RuntimeError):  # RuntimeError: a symlink loop, before Python 3.13
        return None
    return _named_zone(name) if inside else None


def _zone_of_name_file(name_file: Path) -> ZoneInfo | None:
    try:
        name = name_file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return _named_zone(name)


def _zone_of_file(file: Path) -> ZoneInfo | None:
    try:
        with file.open("rb") as opened:
            return ZoneInfo.from_file(opened, key=str(file))
    except (OSError, ValueError):
        return None


def _named_zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    # Besides the KeyError it documents: a folder, a bad character, "../".
    except (KeyError, OSError, ValueError):
        return None
