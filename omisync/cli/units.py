"""What the systemd units of one installation say, and whose a unit file is.

The text stands in the folder ``systemd`` and nowhere else; here it gets the
program, the config and the folders that may be written. A unit that the person
edited is theirs: the first line of each unit we write holds the digest of the
rest, and what does not fit its digest is neither overwritten nor removed.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import omisync
from omisync.errors import ConfigError, UsageError

DAEMON = ("omisync.service",)
TIMER = ("omisync-once.service", "omisync-once.timer")
"""The units of each kind of service; the last one is the one to enable."""

PROGRAM = "\nExecStart=%h/.local/bin/omisync"
MAKE_STATE = "=-+mkdir -p -m 700 %h/.local/state/omisync\n"
MAY_WRITE = "\nReadWritePaths=-%h/.local/state/omisync\n"
ENVIRONMENT = "\nEnvironment=PYTHONFAULTHANDLER=1\n"
OWN_TMP = "\nPrivateTmp=yes\n"
"""What the units say for those who copy them by hand, and what we say instead."""

NEEDS_NAMESPACES = "\nPrivateUsers=yes\n"
"""The paragraph of a unit with this line needs user namespaces, all of it."""

SHARED_TMP = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - named to systemd, nothing is made there

MARK = "# Written by `omisync service install`. SHA-256 of the rest: "
CONFIG_LINE = "# For the config "

PLAIN = re.compile(r"[A-Za-z0-9_@=+:,./-]+")
"""Words that systemd takes as they are (systemd.syntax(7), "Quoting")."""

UNIT_NAME_LIMIT = 255
"""Characters of a unit's name (systemd.unit(5))."""

State = Literal["missing", "current", "outdated", "edited", "foreign"]


@dataclass(frozen=True, slots=True)
class Installation:
    """What the units must know of an installation; all paths are absolute.

    ``program`` starts omisync without help from a shell. ``writable`` are
    folders besides ``state``. ``shares_tmp``: something needed lies in /tmp.
    ``bare`` is the kernel setting that forbids user namespaces, empty if none.
    """

    program: tuple[str, ...]
    config: Path
    state: Path
    writable: tuple[Path, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    shares_tmp: bool = False
    bare: str = ""


def source(name: str) -> str:
    """Return a unit as it can be copied by hand; a wheel carries the folder as ``_systemd``."""
    package = Path(omisync.__file__).parent
    folder = package / "_systemd"
    if not folder.is_dir():
        folder = package.parent / "systemd"
    return (folder / name).read_text(encoding="utf-8")


def names(kind: tuple[str, ...], config_file: Path, usual: Path) -> tuple[str, ...]:
    """Return the units' names for this config: ``omisync.service`` for the usual one.

    Another config is an instance named like it, as ``omisync@work.service``.

    Raises:
        UsageError: the config's name is too long for a unit.
    """
    if config_file == usual or same_file(config_file, usual):
        return kind
    instance = _escaped(config_file.stem)
    found = tuple(name.replace(".", f"@{instance}.") for name in kind)
    if any(len(name) > UNIT_NAME_LIMIT for name in found):
        raise UsageError(
            f"the name of {config_file} is too long for a systemd unit",
            "Give the config a shorter name.",
        )
    return found


def same_file(one: Path, other: Path) -> bool:
    """Return whether both paths lead to one file that exists."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _escaped(stem: str) -> str:
    r"""Return what may stand after the ``@``: other characters as ``\xNN`` (systemd.unit(5))."""
    allowed = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.-"
    raw = stem.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in allowed else f"\\x{byte:02x}" for byte in raw)


def written(text: str, here: Installation) -> str:
    """Return the unit of this installation, made from one that ``source`` returned.

    Raises:
        ConfigError: a path is not UTF-8, so no unit can name it.
    """
    # The first paragraph tells how to copy the unit by hand.
    rest = text.split("\n\n")[1:]
    if here.bare:
        rest = [paragraph for paragraph in rest if NEEDS_NAMESPACES not in paragraph]
    body = _service("\n\n".join(rest), here) if PROGRAM in text else "\n\n".join(rest)
    about = f"{CONFIG_LINE}{json.dumps(str(here.config), ensure_ascii=False)}"
    advice = "# Changes of your own are safest in a drop-in: systemctl --user edit UNIT"
    body = f"{about}\n{advice}\n\n{body.rstrip()}\n"
    try:
        return f"{MARK}{_digest(body)}\n{body}"
    except UnicodeEncodeError:
        raise ConfigError(
            f"the paths {here.config!r}, {here.state!r} and {here.program[0]!r} are not all UTF-8",
            "systemd cannot name such a path: rename the folder or file",
        ) from None


def _service(body: str, here: Installation) -> str:
    program = command(*here.program, "-c", str(here.config))
    variables = [f"Environment={quoted(f'{name}={value}')}\n" for name, value in here.environment]
    changes = {
        PROGRAM: f"\nExecStart={program}",
        MAKE_STATE: f"=-+:mkdir -p -m 700 {quoted(str(here.state))}\n",
        ENVIRONMENT: ENVIRONMENT + "".join(variables),
    }
    if not here.bare:
        shared = SHARED_TMP if here.shares_tmp else ()
        folders = [quoted(f"-{path}") for path in (here.state, *here.writable, *shared)]
        changes[MAY_WRITE] = f"\nReadWritePaths={' '.join(folders)}\n"
        changes[OWN_TMP] = "\nPrivateTmp=no\n" if here.shares_tmp else OWN_TMP
    for old, new in changes.items():
        before, found, after = body.partition(old)
        if not found or old in after:
            raise LookupError(f"a unit in the folder systemd does not say {old!r} once")
        body = before + new + after
    return body


def command(program: str, *arguments: str) -> str:
    """Return a command line for ``ExecStart=`` in which ``$`` means itself (systemd.service(5))."""
    words = (program, *arguments)
    # systemd takes no quote, backslash or control character in the program's own path.
    if any(char in "\"'\\\x7f" or char < " " for char in program):
        words = ("/bin/sh", "-c", 'exec "$0" "$@"', *words)
    return ":" + " ".join(quoted(word) for word in words)


def quoted(word: str) -> str:
    """Return a word as systemd reads it back (systemd.syntax(7); ``%`` is systemd.unit(5))."""
    if PLAIN.fullmatch(word):
        return word
    inner = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    control = re.sub(r"[\x00-\x1f\x7f]", lambda char: f"\\x{ord(char[0]):02x}", inner)
    return f'"{control}"'


# Whose it is.


def state(found: str | None, wanted: str | None) -> State:
    """Tell how a unit file (None: there is none) stands to the one that is wanted (None: any).

    ``outdated`` is ours, unedited, but not the wanted one; ``edited`` was ours;
    ``foreign`` never was.
    """
    if found is None:
        return "missing"
    if found == wanted:
        return "current"
    first, _, rest = found.partition("\n")
    if not first.startswith(MARK):
        return "foreign"
    return "outdated" if first == f"{MARK}{_digest(rest)}" else "edited"


def config_of(text: str) -> str | None:
    """Return the config that a unit of ours is for."""
    for line in text.split("\n"):
        if line.startswith(CONFIG_LINE):
            path = json.loads(line.removeprefix(CONFIG_LINE))
            return path if isinstance(path, str) else None
    return None


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
