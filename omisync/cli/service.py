"""``omisync service``: keep omisync running with systemd, as a service of this user.

It writes, removes and describes unit files, and says what to run next; it
starts and stops nothing itself.
"""

from __future__ import annotations

import difflib
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from omisync import errors, places, show
from omisync.cli import installation, units
from omisync.cli.arguments import config_of
from omisync.errors import ConfigError, OmisyncError, UsageError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator

    from omisync.config import Config

PATIENCE = 10
"""Seconds for systemd to answer."""

PROPERTIES = (
    "LoadState", "FragmentPath", "NeedDaemonReload", "UnitFileState",
    "ActiveState", "SubState", "Result", "StatusText",
)  # fmt: skip
"""What ``systemctl show`` is asked for (org.freedesktop.systemd1(5))."""

NO_UNIT = "`omisync service install` puts one in place"

STATES = {
    "current": "is in place and up to date",
    "outdated": "is of another installation or config; `omisync service install` renews it",
    "edited": "was edited since omisync wrote it, and is left alone",
    "foreign": "was not written by omisync, and is left alone",
}


def service(options: Namespace) -> int:
    """Install, uninstall or describe the units of this user."""
    if sys.platform != "linux":
        raise UsageError("systemd is a part of Linux only", "Start `omisync` itself.")
    if options.timer and options.action != "install":
        raise UsageError("--timer goes with `service install`", "Leave it out: both are looked at.")
    if options.force and options.action == "status":
        raise UsageError("--force goes with install and uninstall", "Leave it out.")
    action = {"install": _install, "uninstall": _uninstall, "status": _status}[options.action]
    return action(options)


def _install(options: Namespace) -> int:
    config = config_of(options)
    here = installation.found(config, os.environ)
    installation.try_out(here.program)
    kinds = (units.TIMER, units.DAEMON) if options.timer else (units.DAEMON, units.TIMER)
    found, other = (_found(kind, config.path, here) for kind in kinds)
    other = [unit for unit in other if not unit.is_of_another(config.path)]
    if not options.force:
        _refuse_to_overwrite(found)
    _write(found, here.state)
    notes = [*_notes(config, here), *_notes_on_other(other)]
    steps = _steps_to_start(found)
    if options.json:
        written = [str(unit.path) for unit in found if unit.state != "current"]
        _data(errors.OK, written=written, next=steps, notes=notes)
        return errors.OK
    for unit in found:
        done = f"{unit.path} is up to date" if unit.state == "current" else f"Wrote {unit.path}"
        _say(sys.stdout, [done])
    _say(sys.stderr, notes, before="Note: ")
    _say(sys.stdout, ["Next:", *(f"  {step}" for step in steps)])
    return errors.OK


def _refuse_to_overwrite(found: list[_Unit]) -> None:
    """Stop before anything is written if one of the units is somebody else's."""
    for unit in found:
        if unit.state in {"edited", "foreign"}:
            raise UsageError(
                f"{unit.path} {STATES[unit.state]}",
                "Keep it, or let `omisync service install --force` overwrite it; changes of "
                f"your own are safe in a drop-in: systemctl --user edit {shlex.quote(unit.name)}",
            )
        serves = units.config_of(unit.text or "")
        if serves is not None and serves != units.config_of(unit.wanted or ""):
            raise UsageError(
                f"{unit.path} is for another config of the same name, {serves}",
                "Give one of the two another name, or take the unit over with --force.",
            )


def _write(found: list[_Unit], state: Path) -> None:
    try:
        places.make_private(state)
        for unit in found:
            unit.write()
    except OSError as error:
        raise _not_done("written", error) from None


def _steps_to_start(found: list[_Unit]) -> list[str]:
    """Return the commands that bring the new units to life."""
    name = shlex.quote(found[-1].name)
    steps = ["systemctl --user daemon-reload"]
    if all(unit.state in {"missing", "current"} for unit in found):
        steps.append(f"systemctl --user enable --now {name}")
    else:
        steps += [f"systemctl --user enable {name}", f"systemctl --user restart {name}"]
    user = _user()
    # Made by `loginctl enable-linger` (systemd-logind.service(8)).
    if not Path("/var/lib/systemd/linger", user).exists():
        steps.append(f"loginctl enable-linger {shlex.quote(user)}  # sync also while logged out")
    return steps


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _notes(config: Config, here: units.Installation) -> Iterator[str]:
    """Yield what is different for the service from a run in this shell."""
    home = {"HOME": os.environ.get("HOME", "")}
    try:
        places.find_key(config.key_file, home, config.omi.base_url)
    except OmisyncError as error:
        yield (
            f"the service will not find an API key ({error.message}). Put it into a file that "
            "only you can read, and name that as api_key_file under [omi]."
        )
    if os.environ.get("OMI_API_BASE", "").strip():
        yield "OMI_API_BASE is set in this shell only; the service takes base_url under [omi]."
    if here.bare:
        yield (
            f"this machine forbids user namespaces ({here.bare}), so the service runs without "
            "the protections that need them; those that do not are on."
        )
    if shutil.which("systemctl") is None:
        yield "there is no systemctl on this machine; the units wait for one."


def _notes_on_other(other: list[_Unit]) -> Iterator[str]:
    if any(unit.state != "missing" for unit in other):
        name = shlex.quote(other[-1].name)
        yield (
            f"{name} is installed as well, and one of the two is enough: "
            f"systemctl --user disable --now {name}"
        )


def _uninstall(options: Namespace) -> int:
    config_file = places.config_path(options.config, os.environ)
    present = _present(config_file, None)
    kept = [u for u in present if u.state in {"edited", "foreign"} and not options.force]
    removed = [unit for unit in present if unit not in kept]
    try:
        for unit in removed:
            unit.path.unlink()
    except OSError as error:
        raise _not_done("removed", error) from None
    code = errors.USAGE if kept else errors.OK
    steps = _steps_to_stop(removed)
    if options.json:
        gone, left = [str(u.path) for u in removed], [str(u.path) for u in kept]
        _data(code, removed=gone, kept=left, next=steps)
        return code
    _say(sys.stdout, [f"Removed {unit.path}" for unit in removed])
    _say(sys.stdout, [] if present else [f"There is no unit for {config_file}."])
    _say(sys.stderr, [f"{u.path} {STATES[u.state]}; --force removes it." for u in kept])
    _say(sys.stdout, ["Next:", *(f"  {step}" for step in steps)] if steps else [])
    return code


def _steps_to_stop(removed: list[_Unit]) -> list[str]:
    """Return the commands that end what ran; systemd can still name a unit whose file is gone."""
    started = [shlex.quote(unit.name) for unit in removed if unit.shipped == unit.kind[-1]]
    steps = [f"systemctl --user disable --now {name}" for name in started]
    return [*steps, "systemctl --user daemon-reload"] if removed else []


def _status(options: Namespace) -> int:
    config = config_of(options)
    here = installation.found(config, os.environ)
    present = _present(config.path, here)
    code = errors.OK if present and _is_current(present) else errors.BAD_CONFIG
    known = {unit.name: _asked(unit.name) for unit in present}
    notes = list(_notes(config, here))
    if options.json:
        facts = [
            {"name": u.name, "path": str(u.path), "state": u.state, "systemd": known[u.name]}
            for u in present
        ]
        _data(code, units=facts, notes=notes)
        return code
    for unit in present:
        _say(sys.stdout, [f"{unit.path} {STATES[unit.state]}"])
        details = [*unit.differences(), *_systemd_says(unit, known[unit.name])]
        _say(sys.stdout, details, before="  ")
    if not present:
        _say(sys.stdout, [f"There is no unit for {config.path}; {NO_UNIT}"])
    _say(sys.stderr, notes, before="Note: ")
    return code


def standing(options: Namespace) -> tuple[bool, str]:
    """Return whether no unit of this config is outdated, and in one line how they stand.

    Raises:
        ConfigError: the config or a unit cannot be read.
        UsageError: the name of the config makes no name of a unit.
    """
    config = config_of(options)
    present = _present(config.path, installation.found(config, os.environ))
    if not present:
        return True, f"not installed; {NO_UNIT}"
    words = []
    for unit in present:
        active = (_asked(unit.name) or {}).get("ActiveState", "systemd does not answer")
        words.append(f"{unit.name} {STATES[unit.state]}, {active}")
    return _is_current(present), "; ".join(words)


def _is_current(present: list[_Unit]) -> bool:
    return all(unit.state != "outdated" for unit in present)


def _asked(name: str) -> dict[str, str] | None:
    """Return what the user's systemd knows of a unit; None if it does not answer."""
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return None
    line = [systemctl, "--user", "show", f"--property={','.join(PROPERTIES)}", "--", name]
    try:
        told = subprocess.run(  # noqa: S603 - systemctl, and a name we made
            line, timeout=PATIENCE, capture_output=True, text=True, errors="replace", check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if told.returncode != 0:
        return None
    return dict(row.split("=", 1) for row in told.stdout.split("\n") if "=" in row)


def _systemd_says(unit: _Unit, known: dict[str, str] | None) -> Iterator[str]:
    if known is None:
        yield "systemctl --user does not answer here, so nothing is known about its run"
        return
    fragment = known.get("FragmentPath", "")
    if known.get("LoadState") == "not-found" or known.get("NeedDaemonReload") == "yes":
        yield "systemd has not read it yet: systemctl --user daemon-reload"
    elif fragment and not units.same_file(Path(fragment), unit.path):
        yield f"systemd uses another file, {fragment}"
    active = f"{known.get('ActiveState')} ({known.get('SubState')})"
    failed = known.get("Result") not in {"success", "", None}
    ended = f", last run: {known.get('Result')}" if failed else ""
    yield f"{active}, {known.get('UnitFileState') or 'not enabled'}{ended}"
    if known.get("StatusText"):
        yield known["StatusText"]


# The units as they are found.


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit file of this user: what is there, and what should be."""

    shipped: str
    kind: tuple[str, ...]
    path: Path
    text: str | None
    wanted: str | None

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def state(self) -> units.State:
        return units.state(self.text, self.wanted)

    def is_of_another(self, config_file: Path) -> bool:
        """Return whether it is there for another config, which has the same name."""
        serves = units.config_of(self.text or "")
        # Not `samefile`: who deleted the config first can still get rid of its unit.
        return serves is not None and os.path.realpath(serves) != os.path.realpath(config_file)

    def write(self) -> None:
        """Put the wanted text in its place, whole or not at all."""
        if self.wanted is None or self.state == "current":
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(f".{self.shipped}.new")
        new.write_text(self.wanted, encoding="utf-8", newline="")
        new.replace(self.path)

    def differences(self) -> list[str]:
        """Return the lines in which a unit of ours is out of date: what it says, what it should."""
        if self.text is None or self.wanted is None or self.state != "outdated":
            return []
        there, wanted = (text.split("\n")[1:] for text in (self.text, self.wanted))
        changes = list(difflib.unified_diff(there, wanted, n=0, lineterm=""))
        return [line for line in changes[2:] if not line.startswith("@@")]


def _present(config_file: Path, here: units.Installation | None) -> list[_Unit]:
    found = [u for kind in (units.DAEMON, units.TIMER) for u in _found(kind, config_file, here)]
    ours = (unit for unit in found if not unit.is_of_another(config_file))
    return [unit for unit in ours if unit.state != "missing"]


def _found(
    kind: tuple[str, ...], config_file: Path, here: units.Installation | None
) -> list[_Unit]:
    """Return the units of a kind for this config; without ``here`` none is up to date."""
    environ = {key: value for key, value in os.environ.items() if key != "OMISYNC_CONFIG"}
    usual = places.config_path(None, environ)
    # The user's own units have their place beside our config folder (systemd.unit(5)).
    folder = usual.parent.parent / "systemd" / "user"
    names = units.names(kind, config_file, usual)
    wanted = [None if here is None else units.written(units.source(name), here) for name in kind]
    return [
        _Unit(shipped, kind, folder / name, _read(folder / name), text)
        for shipped, name, text in zip(kind, names, wanted, strict=True)
    ]


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", f"Look at it: ls -ld {path}"
        ) from None


def _say(stream: TextIO, lines: Iterable[str], *, before: str = "") -> None:
    stream.writelines(f"{before}{show.commands(line)}\n" for line in lines)


def _data(code: int, **facts: object) -> None:
    show.write_json({"version": 1, "code": code} | facts, sys.stdout)


def _not_done(what: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"{error.filename} cannot be {what}: {error.strerror}",
        "It must be in a folder of your own that can be written.",
    )
