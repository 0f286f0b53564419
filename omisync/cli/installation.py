"""This installation as systemd must know it: program, config, folders, kernel settings."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from omisync import places
from omisync.cli import units
from omisync.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from omisync.config import Config

PATIENCE = 30
"""Seconds for the program to start once."""

FORBIDS_NAMESPACES = {
    "kernel.apparmor_restrict_unprivileged_userns": "1",  # Ubuntu since 24.04
    "kernel.unprivileged_userns_clone": "0",  # Debian and Arch kernels
    "user.max_user_namespaces": "0",
}
"""Kernel settings by which a machine forbids user namespaces to its users."""


def found(config: Config, environ: Mapping[str, str]) -> units.Installation:
    """Return what a unit for this config must say on this machine."""
    program = _program()
    folders = (config.todo_path.parent, Path(os.path.realpath(config.todo_path)).parent)
    needed = (Path(program[0]), config.path, config.store_path, *folders)
    return units.Installation(
        program=program,
        config=config.path,
        state=config.store_path.parent,
        # A push only reads the todo file; and the folder of ~/todo.md is all of the home.
        writable=tuple(dict.fromkeys(folders)) if config.two_way else (),
        environment=tuple(_environment(config, environ)),
        shares_tmp=any(_in_shared_tmp(path) for path in needed),
        bare=_namespaces_forbidden(),
    )


def _program() -> tuple[str, ...]:
    """Return how this omisync is started: its script, else this Python.

    The script beside the Python of a virtual environment belongs to it; another
    one is believed when it is what the person ran.
    """
    beside = Path(sys.executable).with_name(places.APP)
    if sys.prefix != sys.base_prefix and os.access(beside, os.X_OK):
        return (str(beside),)
    ran = Path(sys.argv[0]).absolute()
    if ran.name == places.APP and ran.is_file() and os.access(ran, os.X_OK):
        return (str(ran),)
    # -P: no file in the folder where the service starts, the home, is taken for a module.
    return (sys.executable, "-P", "-m", places.APP)


def _environment(config: Config, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what this shell says and the user's systemd may not know.

    Without it the service and a run by hand would have two stores, or two time zones.
    """
    folder = environ.get("XDG_STATE_HOME", "")
    if folder.startswith("/") and not config.state.path:
        yield "XDG_STATE_HOME", folder
    if config.tz is not None and config.sync.timezone == "local":
        yield "TZ", config.tz


def _in_shared_tmp(path: Path) -> bool:
    return any(Path(os.path.realpath(path)).is_relative_to(folder) for folder in units.SHARED_TMP)


def _namespaces_forbidden() -> str:
    """Return the kernel setting that forbids user namespaces, empty if none does."""
    for name, value in FORBIDS_NAMESPACES.items():
        try:
            text = Path("/proc/sys", *name.split(".")).read_text(encoding="ascii")
        except OSError:
            continue
        if text.strip() == value:
            return f"{name} = {value}"
    return ""


def try_out(program: tuple[str, ...]) -> None:
    """Start the program as systemd will, without this shell's folder and environment.

    Raises:
        UsageError: it does not start like that.
    """
    bare = {"HOME": os.environ.get("HOME", "/"), "PATH": os.defpath}
    try:
        tried = subprocess.run(  # noqa: S603 - our own program
            [*program, "--version"],
            env=bare,
            cwd="/",
            timeout=PATIENCE,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        trouble = str(error)
    else:
        if tried.returncode == 0:
            return
        trouble = (tried.stderr.strip() or f"exit code {tried.returncode}").splitlines()[-1]
    raise UsageError(
        f"{shlex.join(program)} does not start outside of this shell: {trouble}",
        "Install omisync in a virtual environment of its own, and run that one.",
    )
