"""The run that finds nothing to do, decided before anything heavy is imported.

Rule: a quick answer is given only when the config, the key and the file are
provably what they were after the last clean run, and nothing was left waiting.
Any doubt, and any error, is left to the full run, which explains it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from omisync import __version__, file, places
from omisync.errors import OmisyncError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SURE_AFTER = 2.0
"""Seconds between a write and a look that saw it, from which times and size can
stand for the bytes: coarse clocks give two quick writes the same time."""


class Ready(NamedTuple):
    """The outcome of the last clean run; ``look_at`` is when something is due, in Unix seconds."""

    code: int
    tasks: int
    parked: int
    look_at: float | None


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> Ready | None:
    """Return what ``look`` tells for a plain ``--once``, None for any other command line.

    Plain is ``--once`` with ``-c PATH`` and ``-q`` at most: what is said of
    anything else needs the parser, which takes as long as all of this.
    """
    config: str | None = None
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word in {"-c", "--config"} and rest:
            config = rest.pop(0)
        elif word not in {"--once", "-q", "--quiet"}:
            return None
    if "--once" not in arguments or (config is not None and config.startswith("-")):
        return None
    with contextlib.suppress(OmisyncError):
        ready = look(places.config_path(config, environ), environ)
        if ready is not None and (config is None or not ready.parked):
            return ready  # else a command is named that has to name the config
    return None


def sentence(ready: Ready) -> str:
    """Return how things stand, in the words of a full run."""
    tasks = f"{ready.tasks} task{'' if ready.tasks == 1 else 's'}"
    if ready.parked:
        return f"{tasks}, {ready.parked} parked; `omisync status` tells why."
    return f"In sync: {tasks}."


def setting(config: bytes, environ: Mapping[str, str]) -> str:
    """Return what stands for everything a run is configured by, and this version.

    ``config`` are the bytes of the config file as the run has read them.
    """
    around = "\0".join((__version__, environ.get("OMI_API_BASE", ""), environ.get("TZ", "")))
    return f"{_digest(config)}-{_digest(around.encode(errors='surrogateescape'))}"


def is_of(setting: str, config: bytes) -> bool:
    """Return whether a setting is one of this config, whatever else a run is configured by.

    That of an older version does not tell; then it counts as one.
    """
    return "-" not in setting or setting.startswith(_digest(config))


def _digest(said: bytes) -> str:
    return hashlib.sha256(said).hexdigest()[:16]


def look(config_file: Path, environ: Mapping[str, str]) -> Ready | None:
    """Return how things stand if that is certain at a glance, else None."""
    # A config or a note that has no sense is for a full run to explain.
    wrong = (OSError, sqlite3.Error, ValueError, KeyError, TypeError, AttributeError)
    with contextlib.suppress(OmisyncError, RecursionError, *wrong):
        import tomllib

        if not config_file.is_file():  # a pipe can be read only once
            return None
        said = config_file.read_bytes()
        config = tomllib.loads(said.decode("utf-8-sig"))
        if config.get("sync", {}).get("direction") == "two-way":
            return None  # only Omi knows whether there is nothing to do
        base = config_file.absolute().parent
        todo = places.absolute(config.get("todo", {}).get("path", "~/todo.md"), base)
        state = places.optional_path(config.get("state", {}).get("path", ""), base)
        facts = _facts(places.state_path(todo, state, environ))
        omi = config.get("omi", {})
        key_file = places.optional_path(omi.get("api_key_file", ""), base)
        url = environ.get("OMI_API_BASE", "").strip() or omi.get("base_url", places.OMI)
        key = places.find_key(key_file, environ, url)
        settled = facts["settled"]
        now = time.time()
        if (
            settled["setting"] == setting(said, environ)
            and settled["format"] == facts["format"]  # else it is of another omisync
            and facts["last"]["code"] == settled["code"]
            and facts.get("fingerprint") in {None, key.fingerprint}
            and settled["at"] <= now
            and (settled["look_at"] is None or now < settled["look_at"])
            and same_bytes(todo, settled["digest"], settled.get("signature"), settled["at"])
        ):
            return Ready(*(settled[name] for name in Ready._fields))
    return None


def _facts(store: Path) -> dict[str, Any]:
    """Return the small facts of the store that matter here."""
    from urllib.parse import quote

    # Not mode=ro: that would leave the files of the write-ahead log behind.
    db = sqlite3.connect(f"file:{quote(os.fspath(store))}?mode=rw", uri=True, timeout=0)
    try:
        db.execute("PRAGMA query_only=1")
        (format_,) = db.execute("PRAGMA user_version").fetchone()
        rows = db.execute(
            "SELECT name, value FROM meta WHERE name IN ('settled', 'fingerprint', 'last')"
        )
        return {name: json.loads(value) for name, value in rows} | {"format": format_}
    finally:
        db.close()


def same_bytes(todo: Path, digest: str, known: list[int] | None, at: float) -> bool:
    """Return whether the file is as it was, by its times and size or else by its bytes.

    ``known`` is the signature that it had ``at`` a time in Unix seconds.
    """
    signature = file.signature(todo)
    if signature is None:
        return False
    sure = signature.mtime_ns / 1e9 + SURE_AFTER <= at
    if sure and list(signature) == known:
        return True
    return file.read(todo).digest == digest
