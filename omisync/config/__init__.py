"""The config file as one frozen model: read once, checked whole, every problem named at once.

- ``settings``  what a config file can say
- ``problems``  what is wrong with one, in words
- ``zones``     the time zone of this machine
"""

from __future__ import annotations

import os
import shlex
from datetime import date, datetime, tzinfo
from pathlib import Path  # noqa: TC003 - pydantic reads the annotations of Config
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError

from omisync import places
from omisync.config.problems import example, explained, line_of
from omisync.config.settings import SECTIONS, SUFFIXES, Settings
from omisync.config.zones import local_zone
from omisync.core import toml
from omisync.errors import ConfigError, ParseError, Strained

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SUFFIXES", "Config", "Settings", "load", "written"]


class Config(Settings):
    """The settings of one config file, with the places that follow from where it stands.

    All paths are absolute. ``key_file`` is the text of one, or empty. ``source`` are the
    bytes that were read.
    """

    path: Path
    source: Annotated[bytes, Field(repr=False)]
    todo_path: Path
    store_path: Path
    key_file: str
    tz: Annotated[str | None, Field(repr=False)]

    @property
    def two_way(self) -> bool:
        """Return whether what happens in Omi reaches the file."""
        return self.sync.direction == "two-way"

    @property
    def is_toml(self) -> bool:
        """Return whether the todo file is TOML; else it is Markdown."""
        return self.todo_path.suffix.lower() == ".toml"

    def import_since(self) -> float | None:
        """Return the time of creation from which items come in, in Unix seconds; None: all."""
        if not self.sync.import_since:
            return None
        day = date.fromisoformat(self.sync.import_since)
        return datetime(day.year, day.month, day.day, tzinfo=self.zone()).timestamp()

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
    todo = places.absolute(settings.todo.path, base)
    state = places.optional_path(settings.state.path, base)
    config = Config(
        **{name: getattr(settings, name) for name in SECTIONS},
        path=path.absolute(),
        source=source,
        todo_path=todo,
        store_path=places.state_path(todo, state, environ),
        key_file=places.optional_path(settings.omi.api_key_file, base),
        tz=environ.get("TZ"),
    )
    for place in (config.path, config.todo_path, config.store_path):
        try:
            str(place).encode()
        except UnicodeEncodeError:
            raise ConfigError(f"{str(place)!r} is not UTF-8", "give it another name") from None
    if os.path.realpath(todo) == os.path.realpath(path):
        line = line_of(toml.key_lines(source), ("todo", "path"))
        raise ConfigError(f"{path}:{line}: todo.path is this config itself", "name your todo file")
    if what := _other_use(config):
        line = line_of(toml.key_lines(source), ("state", "path"))
        raise ConfigError(f"{path}:{line}: state.path is {what}", 'set state.path = ""')
    return config


def _other_use(config: Config) -> str:
    """Return what else the place of the state is, if anything: a repair would move it away."""
    place = os.path.realpath(config.store_path)
    if place == os.path.realpath("/"):
        return "the root folder"
    if place == os.path.realpath(config.path):
        return "this config itself"
    if config.key_file and place == os.path.realpath(config.key_file):
        return "the key file itself"
    return "the todo file itself" if place == os.path.realpath(config.todo_path) else ""


def written(todo: Path, key_file: Path | None = None) -> str:
    """Return the text of a new config for this todo file.

    Raises:
        ConfigError: A path is not UTF-8, so no config can name it.
    """
    import tomli_w

    tables: dict[str, dict[str, str]] = {"todo": {"path": str(todo)}}
    if key_file:
        tables["omi"] = {"api_key_file": str(key_file)}
    text = f"# All keys, with their defaults: {example()}\n\n{tomli_w.dumps(tables)}"
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{str(todo)!r} is not UTF-8", "give the file another name") from None
    return text


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"no config at {path}", "run `omisync init FILE`") from None
    except IsADirectoryError:
        raise ConfigError(
            f"{path} is a folder", f"name the file: -c {shlex.quote(f'{path}/config.toml')}"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if strained := Strained.of(f"{path} cannot be read", error):
            raise strained from None
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"{path} cannot be read: {reason}", f"check it: ls -l {shlex.quote(str(path))}"
        ) from None


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
        return Settings.model_validate(data)
    except ValidationError as error:
        return explained(path, source, error.errors(), base_url)
