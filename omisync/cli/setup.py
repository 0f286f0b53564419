"""``omisync init``: a key stored safely, and a short config."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from omisync import errors, places
from omisync.errors import ConfigError, KeyProblem, NoRoom, OmisyncError, UsageError

if TYPE_CHECKING:
    from argparse import Namespace

MARKDOWN = "a task is a line such as `- [ ] Buy milk`"
TOML = 'a task is a table such as `[[todo]]` with `description = "Buy milk"` below it'
KEY_NAME = "omi-api-key"
KEY_START = "omi_dev_"
"""How developer keys begin (Omi Developer API); others open nothing here."""


def init(options: Namespace) -> int:
    """Write key file and config; nothing that exists is overwritten.

    Raises:
        OmisyncError: one of them cannot be written, or the key that is there not be used.
    """
    from omisync import config as configs

    config_file = places.config_path(options.config, os.environ)
    key_file = config_file.with_name(KEY_NAME)
    todo = places.absolute(options.file or "~/todo.md", Path())
    check_format(todo)
    if config_file.is_dir():
        configs.load(config_file, os.environ)  # tells what to name instead
    if os.path.lexists(config_file):
        raise UsageError(
            f"There is a config at {config_file} already",
            f"For a first or another key, {_key_advice(config_file, key_file)}."
            " For another list: omisync -c PATH init FILE.",
        )
    if os.path.realpath(todo) == os.path.realpath(config_file):
        raise UsageError(f"{todo} is to be the config itself", "Name your todo file.")
    kept = os.access(key_file, os.F_OK)
    if kept:
        places.find_key(str(key_file), {}, places.OMI)  # the next command would stop at it
    found = None if kept else _found()
    key = None if kept or found else _asked()
    text = configs.written(todo, key_file if kept or key is not None else None)
    try:
        places.make_private(config_file.parent)
    except OSError as error:
        raise _unwritable(config_file.parent, error) from None
    if key is not None:
        _write(key_file, key + "\n")
    _write(config_file, text)
    written = key_file if key is not None else None
    if options.json:
        from omisync import show

        data = {"version": 1, "config": str(config_file), "key_file": written and str(written)}
        show.write_json({**data, "file": str(todo), "key_from": found}, sys.stdout)
    else:
        _tell(config_file, written, todo, found)
    return errors.OK


def check_format(todo: Path) -> None:
    """Raise ``UsageError`` for a file that is neither Markdown nor TOML by its name."""
    from omisync import config as configs

    if todo.suffix.lower() not in configs.SUFFIXES:
        raise UsageError(
            f"{todo} is no todo file omisync can read",
            f"Name a file that ends in {', '.join(configs.SUFFIXES)}.",
        )


def _key_advice(config_file: Path, key_file: Path) -> str:
    """Return where a key would go: where the config looks for one, if it does."""
    from omisync import config as configs

    with contextlib.suppress(OmisyncError):
        if named := configs.load(config_file, os.environ).key_file:
            return f"put it into {named} and chmod 600 that"
    line = f'api_key_file = "{key_file}"'
    return f"put it into {key_file}, chmod 600 that, and write {line} under [omi]"


def _found() -> str | None:
    """Return where a key is found without a key file, so that none is asked for."""
    try:
        return places.find_key("", os.environ, places.OMI).where
    except OmisyncError:
        return None


def _asked() -> str:
    """Return the key the person types, unseen, or what stdin brings.

    Raises:
        KeyProblem: nothing came, or what came cannot be a key.
    """
    if sys.stdin.isatty():
        import getpass

        typed = ""
        with contextlib.suppress(EOFError):  # Ctrl-D
            typed = getpass.getpass("Omi API key (omi_dev_..., not shown): ")
    else:
        typed = sys.stdin.readline(places.SECRET_LIMIT)  # it may have no end
    if not typed.strip():
        raise KeyProblem(
            "No API key was given",
            "Make one in the Omi app: Settings > Developer > Create Key, with the scopes"
            " action_items:read and action_items:write; then run this again.",
        )
    if not typed.strip().startswith(KEY_START) or not typed.strip().isascii():
        raise KeyProblem(
            f"What was given is no Omi API key: those begin with {KEY_START}",
            "Copy it again from the Omi app: Settings > Developer.",
        )
    try:
        return places.find_key("", {"OMI_API_KEY": typed}, places.OMI).value
    except KeyProblem as error:
        message = error.message.replace("of OMI_API_KEY", "that was given")
        raise KeyProblem(message, error.advice) from None


def _write(path: Path, text: str) -> None:
    """Write a new file that only its owner can read; durable before the next step.

    Raises:
        ConfigError: it cannot be written, and is not there.
        NoRoom: the disk is full, and it is not there.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> OmisyncError:
    """Return what is to be said of a place where a file is to be made."""
    message = f"{path} cannot be written: {error.strerror}"
    if error.errno in errors.NO_ROOM:
        return NoRoom(message, "Free some space, then run this again.")
    return ConfigError(message, "Give another place with -c.")


def _tell(config_file: Path, key_file: Path | None, todo: Path, found: str | None) -> None:
    from omisync import show

    say = sys.stdout.write
    say(f"Wrote {config_file}\n")
    if key_file is not None:
        say(f"Wrote {key_file} (only you can read it)\n")
    elif found is not None:
        say(f"No key was stored: there is one in {found}.\n")
        lent = [name for name in ("OMI_API_KEY", "OMI_API_BASE") if os.environ.get(name)]
        if lent:
            has = "is set in this shell only" if len(lent) == 1 else "are set in this shell only"
            it = "it" if len(lent) == 1 else "them"
            say(f"{' and '.join(lent)} {has}; another one, or a service, lacks {it}.\n")
    else:
        kept = config_file.with_name(KEY_NAME)
        say(f"The key in {kept} is kept; to have another, write it into that file.\n")
    if not os.access(todo, os.F_OK):
        example = TOML if todo.suffix.lower() == ".toml" else MARKDOWN
        say(f"There is no {todo} yet; write one, {example}.\n")
    next_ = "Next: `omisync --dry-run` shows what would be sent, `omisync --once` sends it.\n"
    say(show.commands(next_))
