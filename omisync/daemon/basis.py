"""What the daemon runs on, config and key, and whether either was changed since it was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from omisync import config as configs
from omisync import file, places, quick
from omisync.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from omisync.config import Config

    Look = tuple[file.Signature | None, ...]


class Basis(NamedTuple):
    """A config as read. ``setting`` stands for it in the store, ``look`` for the files behind."""

    config: Config
    setting: str
    look: Look


def read(config_file: Path, environ: Mapping[str, str]) -> Basis:
    """Return the config and what stands for it.

    Raises:
        ConfigError: the config cannot be used.
    """
    # Looked at before it is read: what is written meanwhile is then found changed.
    seen = file.signature(config_file)
    config = configs.load(config_file, environ)
    return Basis(config, quick.setting(config.source, environ), (seen, *look(config, environ)[1:]))


def read_again(config: Config, environ: Mapping[str, str]) -> Basis:
    """Return the config as it is by now.

    Raises:
        ConfigError: it cannot be used; or it no longer names the list, as half a save would
            have it: another list would be synced.
    """
    fresh = read(config.path, environ)
    if "path" in config.todo.model_fields_set - fresh.config.todo.model_fields_set:
        raise ConfigError(
            f"{config.path} no longer names the list", f"write todo.path into {config.path} again"
        )
    return fresh


def look(config: Config, environ: Mapping[str, str]) -> Look:
    """Return what the config file, and each file a key may come from, look like from outside."""
    key_files = places.key_files(config.key_file, environ)
    return tuple(file.signature(path) for path in (config.path, *key_files))
