"""Where the config, the state, the todo file and the API key are found.

Standard library only, and little of it: a run that finds nothing to do imports
this file. No exception and no repr of this module ever holds a key.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from omisync.errors import ConfigError, KeyProblem, Strained

if TYPE_CHECKING:
    from collections.abc import Mapping

APP = "omisync"
OMI = "https://api.omi.me"
"""The server of those who name no other one."""
CREDENTIAL = "omi-api-key"
"""Name of the key in the folder that systemd's LoadCredential= fills."""

KEY_SHAPE = re.compile(r"omi_dev_[A-Za-z0-9_-]{16,}")
"""How keys look (Omi Developer API): enough to tell a pasted key from a path."""

SECRET_LIMIT = 65536
"""Bytes of a key file, or of omi-cli's config; what is longer is something else."""

STEM_LIMIT = 50
"""Characters of the todo file's name in the store's name: file names end at 255 bytes."""

PORTS = {"https": 443, "http": 80}
PATH_SIGNS = "/%:@!$&'()*+,;=~"
"""What a URL's path holds as it is, besides letters and digits (RFC 3986, 3.3)."""

HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
"""A host name in lower case: labels of 1 to 63 characters (RFC 1035, 2.3.4)."""


# Config, todo file, state.


def config_path(option: str | None, environ: Mapping[str, str]) -> Path:
    """Return where the config is: ``-c``, ``OMISYNC_CONFIG``, or the XDG place.

    The path is absolute; nothing needs to exist there.
    """
    given = option or environ.get("OMISYNC_CONFIG", "").strip()
    if given:
        return absolute(given, Path())
    return _folder(environ, "XDG_CONFIG_HOME", ".config") / "config.toml"


def absolute(raw: str, base: Path) -> Path:
    """Return a path of the config as an absolute one: ``~`` is expanded, the rest is below base.

    Symlinks stay as they are, for the store's name hangs on this path and must
    not change when a symlink is pointed elsewhere. Only where ``..`` follows one
    is the folder resolved: dropping both names could mean another file.

    Raises:
        ConfigError: it is below the current folder, and that was deleted.
    """
    path = Path(os.path.expanduser(raw))  # noqa: PTH111 - Path.expanduser raises on an unknown user
    if not path.is_absolute():
        try:
            path = base.absolute() / path
        except FileNotFoundError:
            raise ConfigError(
                f"{raw} cannot be found: the folder that this was started in is gone",
                "change to a folder that exists, or give the whole path",
            ) from None
    return Path(os.path.realpath(path.parent)) / path.name if ".." in path.parts else path


def optional_path(raw: str, base: Path) -> str:
    """Return the text of a path that need not be given as an absolute one; none stays none."""
    return str(absolute(raw, base)) if raw else ""


def state_path(todo: Path, configured: str, environ: Mapping[str, str]) -> Path:
    """Return where the store of this todo file is.

    ``configured`` (``state.path``) wins; then the first folder of systemd's
    ``STATE_DIRECTORY``, then the XDG place. ``todo`` is absolute.
    """
    if configured:
        return absolute(configured, Path())
    digest = hashlib.sha256(os.fsencode(todo)).hexdigest()[:8]
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    folder = Path(given) if given else _folder(environ, "XDG_STATE_HOME", ".local/state")
    return folder / f"{todo.stem[:STEM_LIMIT]}-{digest}.db"


def _folder(environ: Mapping[str, str], variable: str, default: str) -> Path:
    given = environ.get(variable, "")
    # The XDG base directory specification: a relative path is to be ignored.
    if given.startswith("/"):
        return Path(given, APP)
    return _home(environ) / default / APP


def _home(environ: Mapping[str, str]) -> Path:
    if home := environ.get("HOME", ""):
        return Path(home)
    try:
        return Path.home()
    except RuntimeError:
        raise ConfigError("there is no home folder", "set HOME, or give -c CONFIG") from None


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for this user alone.

    Whatever the umask: who may write to a folder can put another in its place.
    """
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


# The server.


def normalised_base(url: str) -> str:
    """Return the base URL in its one form, which a store is bound to.

    Scheme and host are lower-case ASCII; the default port and final slashes are gone.

    Raises:
        ConfigError: It is not an https URL, nor an http one of this machine. The
            message does not show the URL: it may hold a password.
    """
    from urllib.parse import quote, urlsplit

    url = url.strip()
    # urlsplit would drop tabs and newlines in silence; browsers read \\ as /.
    if any(char.isspace() or not char.isprintable() or char == "\\" for char in url):
        raise _base_problem("has a space, a control character or a backslash")
    try:
        parts = urlsplit(url)
        port, host = parts.port, _host(parts.hostname or "")
    except ValueError:
        raise _base_problem("is not a URL with a host and a port that can be") from None
    if parts.scheme not in PORTS or not host or port == 0:
        raise _base_problem("does not begin with https:// and a host")
    if "@" in parts.netloc:
        raise _base_problem("holds a user name or password")
    if "?" in url or "#" in url:
        raise _base_problem("has a query or fragment (? or #)")
    if parts.scheme == "http" and not is_loopback(host):
        raise _base_problem("is plain http, which would show the key to the network")
    host = f"[{host}]" if ":" in host else host
    place = host if port in {None, PORTS[parts.scheme]} else f"{host}:{port}"
    return f"{parts.scheme}://{place}{quote(parts.path.rstrip('/'), safe=PATH_SIGNS)}"


def _host(host: str) -> str:
    """Return a host name in ASCII; raise ValueError for what no name server can know."""
    if ":" in host:  # an IPv6 address, which urlsplit has checked
        return host
    host = host if host.isascii() else host.encode("idna").decode("ascii")
    if host and not HOST.fullmatch(host):
        raise ValueError(host)
    return host


def _base_problem(what: str) -> ConfigError:
    return ConfigError(
        f"the base URL {what}",
        f"use {OMI} (plain http only for 127.0.0.1, ::1 or localhost)",
    )


def is_loopback(host: str) -> bool:
    """Return whether a host name or address stays on this machine."""
    from ipaddress import ip_address

    try:
        return host.removesuffix(".") == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


# The key.


class Key(NamedTuple):
    """An API key and where it was found. Shown masked, whoever prints it."""

    value: str
    where: str

    def __str__(self) -> str:
        return masked(self.value)

    def __repr__(self) -> str:
        return f"Key({self!s}, where={self.where!r})"

    @property
    def fingerprint(self) -> str:
        """What tells this key from another without being it: 16 hex of its SHA-256."""
        return hashlib.sha256(self.value.encode()).hexdigest()[:16]


def masked(key: str) -> str:
    """Return a key as people may see it: first 6, last 4, less of a short one."""
    size = len(key)
    first, last = (6, 4) if size >= 20 else (3, 2) if size >= 12 else (0, 0)  # noqa: PLR2004 - at most half is ever shown
    return f"{key[:first]}…{key[size - last :]}"


NO_KEY = "there is no API key"
KEY_FILE = "the key file "
"""How messages about a key that cannot be had begin."""


def find_key(key_file: str, environ: Mapping[str, str], base_url: str) -> Key:
    """Return the first key of: environment, systemd credential, key file, omi-cli's profile.

    ``key_file`` is ``omi.api_key_file`` (empty: none), ``base_url`` the
    configured server; omi-cli's key is used for that server only.

    Raises:
        KeyProblem: There is no key, or what is there cannot be one.
        ConfigError: The configured key file cannot be used.
        Strained: The machine cannot open a file now.
    """
    if value := environ.get("OMI_API_KEY", "").strip():
        return _checked(value, "OMI_API_KEY")
    if key := _credential(environ):
        return key
    if key_file:
        return _from_key_file(key_file)
    found = _cli_profile(environ, base_url)
    if isinstance(found, Key):
        return found
    raise KeyProblem(
        NO_KEY + (f"; {found}" if found else ""),
        "put the key into a file that only you can read and name that as api_key_file under "
        "[omi], or set OMI_API_KEY (without a config `omisync init` does all of it)",
    )


def key_files(key_file: str, environ: Mapping[str, str]) -> list[Path]:
    """Return the files that ``find_key`` may read, there or not; ``key_file`` is absolute."""
    named = Path(key_file) if key_file else None
    files = (_credential_file(environ), named, _cli_file(environ))
    return [path for path in files if path is not None]


def _credential_file(environ: Mapping[str, str]) -> Path | None:
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    return Path(folder, CREDENTIAL) if folder else None


def _cli_file(environ: Mapping[str, str]) -> Path | None:
    home = environ.get("HOME", "")
    return Path(home, ".omi", "config.toml") if home else None


def looks_like_key(text: str) -> bool:
    """Return whether this holds a key where a path is expected; never show it then."""
    return KEY_SHAPE.search(text) is not None


def _checked(raw: str, where: str) -> Key:
    """Return the key without outer white space, refuse what would break an HTTP header."""
    value = raw.strip()
    for place, char in enumerate(value, 1):
        if not "!" <= char <= "~":
            raise KeyProblem(
                f"the API key of {where} cannot be one: character {place} of {len(value)} "
                "is a space, a control character or not ASCII",
                "copy the key again, it is one word",
            )
    return Key(value, where)


def _credential(environ: Mapping[str, str]) -> Key | None:
    path = _credential_file(environ)
    found = _secret(path) if path is not None else _Secret(problem=MISSING)
    if found.problem == MISSING:
        return None
    if found.problem:
        raise KeyProblem(
            f"the systemd credential {path} {found.problem}",
            f"check LoadCredential={CREDENTIAL}:PATH in the unit",
        )
    return _checked(_decoded(found.data), f"the systemd credential {path}")


def _from_key_file(key_file: str) -> Key:
    if looks_like_key(key_file):
        raise ConfigError(
            "omi.api_key_file holds a key, not the path of a file",
            "put the key into a file, chmod 600 it and name that file",
        )
    path = absolute(key_file, Path())
    found = _secret(path)
    if found.problem == UNREADABLE:
        advice = f"make it this user's, and only this user's: {_chmod(path)}"
        raise ConfigError(f"{KEY_FILE}{path} {found.problem}", advice)
    if found.problem:
        fillable = found.problem in {MISSING, EMPTY}
        fill = f"write the key into it, then {_chmod(path)}; or " if fillable else ""
        advice = f"{fill}correct omi.api_key_file: it names a file with the key and nothing else"
        raise ConfigError(f"{KEY_FILE}{path} {found.problem}", advice)
    if found.mode:
        what = f"{KEY_FILE}{path} is readable by others (mode {found.mode})"
        raise ConfigError(what, _chmod(path))
    return _checked(_decoded(found.data), str(path))


def _cli_profile(environ: Mapping[str, str], base_url: str) -> Key | str:
    """Return the key of omi-cli's active profile, else why it is not used (empty: no omi-cli).

    The file is as omi-cli writes it: ``active_profile`` and ``[profiles.NAME]``
    with ``api_base``, ``auth_method`` and ``api_key``.
    """
    path = _cli_file(environ)
    if path is None:
        return ""
    found = _secret(path)
    if found.problem in {MISSING, EMPTY}:
        return ""
    if found.problem:
        return f"omi-cli's {path} {found.problem}"
    if found.mode:
        return f"omi-cli's {path} is readable by others (mode {found.mode}): {_chmod(path)}"
    profile = _active_profile(_decoded(found.data))
    where = f"the active profile of omi-cli's {path}"
    if unfit := _unfit(profile, base_url):
        return f"{where} {unfit}"
    return _checked(str(profile["api_key"]), where)


def _active_profile(text: str) -> dict[str, object]:
    """Return the profile's table, empty if there is none or the file is broken."""
    import tomllib

    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}
    profiles, name = data.get("profiles"), data.get("active_profile")
    profile = profiles.get(name) if isinstance(profiles, dict) and isinstance(name, str) else None
    return profile if isinstance(profile, dict) else {}


def _unfit(profile: dict[str, object], base_url: str) -> str:
    """Return why this profile's key is not for us, empty if it is."""
    if not profile:
        return "cannot be read"
    if profile.get("auth_method") != "api_key":
        return "does not use an API key"
    key = profile.get("api_key")
    if not isinstance(key, str) or not key.strip():
        return "has no api_key"
    base = profile.get("api_base")
    if base is None or base == "":
        return ""
    try:
        same = isinstance(base, str) and normalised_base(base) == normalised_base(base_url)
    except ConfigError:
        same = False
    return "" if same else "is for another server"


# Reading small secret files.

MISSING = "does not exist"
EMPTY = "is empty"
UNREADABLE = "cannot be read by this user"


class _Secret(NamedTuple):
    """What was found at a path; ``problem`` is the end of a sentence, empty if there is none.

    ``mode`` is the file's, in octal, if group or others may read it.
    """

    data: bytes = b""
    problem: str = ""
    mode: str = ""


def _secret(path: Path) -> _Secret:
    """Return the contents of a small file that should be its owner's alone."""
    try:
        # Without O_NONBLOCK a FIFO at this path would hold the program for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return _Secret(problem=MISSING)
    except PermissionError:
        return _Secret(problem=UNREADABLE)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if strained := Strained.of(f"{path} cannot be read", error):
            raise strained from None
        reason = getattr(error, "strerror", None) or "no file can have this name"
        return _Secret(problem=f"cannot be opened: {reason}")
    try:
        return _read_regular(descriptor)
    except OSError as error:
        if strained := Strained.of(f"{path} cannot be read", error):
            raise strained from None
        return _Secret(problem=f"cannot be read: {error.strerror}")
    finally:
        os.close(descriptor)


def _read_regular(descriptor: int) -> _Secret:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        return _Secret(problem="is a folder")
    if not stat.S_ISREG(mode):
        return _Secret(problem="is not a regular file")
    data = os.read(descriptor, SECRET_LIMIT + 1)
    if not _decoded(data).strip():
        return _Secret(problem=EMPTY)
    if len(data) > SECRET_LIMIT:
        return _Secret(problem="is too long")
    others = mode & (stat.S_IRGRP | stat.S_IROTH)
    return _Secret(data, mode=f"{stat.S_IMODE(mode):03o}" if others else "")


def _decoded(data: bytes) -> str:
    """Return the text; what is not UTF-8 becomes a character that the key check refuses."""
    return data.decode("utf-8-sig", errors="replace")


def _chmod(path: Path) -> str:
    import shlex

    return f"chmod 600 {shlex.quote(str(path))}"
