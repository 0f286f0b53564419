"""Where things are found: config, state, todo file, server, key."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from omisync import places
from omisync.errors import ConfigError, KeyProblem, OmisyncError, Strained

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = "https://api.omi.me"
KEY = "omi_dev_0123456789abcdefWXYZ"
NOBODY = 65534


# Config.


@pytest.mark.parametrize(
    ("option", "environ", "expected"),
    [
        ("/a/c.toml", {"OMISYNC_CONFIG": "/b.toml", "HOME": "/h"}, "/a/c.toml"),
        (None, {"OMISYNC_CONFIG": "/b.toml", "XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/b.toml"),
        (None, {"OMISYNC_CONFIG": "  ", "XDG_CONFIG_HOME": "/x"}, "/x/omisync/config.toml"),
        (None, {"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/omisync/config.toml"),
        (None, {"XDG_CONFIG_HOME": "rel", "HOME": "/h"}, "/h/.config/omisync/config.toml"),
        (None, {"XDG_CONFIG_HOME": "", "HOME": "/h"}, "/h/.config/omisync/config.toml"),
        (None, {"HOME": "/h"}, "/h/.config/omisync/config.toml"),
    ],
)
def test_the_config_is_found(option: str | None, environ: dict[str, str], expected: str) -> None:
    """The option wins over OMISYNC_CONFIG, that over XDG, and a relative XDG path is ignored."""
    assert places.config_path(option, environ) == Path(expected)


def test_a_relative_option_is_below_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``-c`` is read as a shell user means it."""
    monkeypatch.chdir(tmp_path)
    assert places.config_path("c.toml", {}) == tmp_path / "c.toml"


# The todo file.


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/a/todo.md", "/a/todo.md"),
        ("todo.md", "/base/todo.md"),
        ("./n/todo.md", "/base/n/todo.md"),
        ("../todo.md", "/todo.md"),
        ("~/todo.md", "/home/me/todo.md"),
        ("~no-such-user/todo.md", "/base/~no-such-user/todo.md"),
    ],
)
def test_the_todo_file_is_absolute(
    raw: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``~`` is the home, anything relative is below the given folder."""
    monkeypatch.setenv("HOME", "/home/me")
    assert places.absolute(raw, Path("/base")) == Path(expected)


def test_a_symlink_keeps_its_own_name(tmp_path: Path) -> None:
    """The path as written names the file, also where it is a link to another."""
    (tmp_path / "todo.md").symlink_to(tmp_path / "real.md")
    assert places.absolute("todo.md", tmp_path) == tmp_path / "todo.md"


def test_dots_after_a_symlink_lead_where_the_system_leads(tmp_path: Path) -> None:
    """``link/..`` is the parent of the link's target, so the file that opens is the one named."""
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    (tmp_path / "far" / "todo.md").write_text("far")
    found = places.absolute("link/../todo.md", tmp_path)
    assert found.read_text() == "far"
    assert ".." not in found.parts


# State.


def _hashed(todo: str) -> str:
    return hashlib.sha256(todo.encode()).hexdigest()[:8]


@pytest.mark.parametrize(
    ("configured", "environ", "folder"),
    [
        ("", {"HOME": "/h"}, "/h/.local/state/omisync"),
        ("", {"HOME": "/h", "XDG_STATE_HOME": "/s"}, "/s/omisync"),
        ("", {"HOME": "/h", "XDG_STATE_HOME": "s"}, "/h/.local/state/omisync"),
        ("", {"STATE_DIRECTORY": "/var/lib/omisync", "XDG_STATE_HOME": "/s"}, "/var/lib/omisync"),
        ("", {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "/var/lib/a"),
    ],
)
def test_the_store_is_found(configured: str, environ: dict[str, str], folder: str) -> None:
    """The folder of systemd wins over XDG; the name tells the file and its path's hash."""
    store = places.state_path(Path("/w/todo.md"), configured, environ)
    assert store == Path(folder) / f"todo-{_hashed('/w/todo.md')}.db"


def test_a_configured_store_wins() -> None:
    """``state.path`` is taken as it is."""
    environ = {"STATE_DIRECTORY": "/var/lib/omisync"}
    assert places.state_path(Path("/w/todo.md"), "/s/x.db", environ) == Path("/s/x.db")


def test_files_of_one_name_have_stores_of_their_own() -> None:
    """Two todo.md in two folders never share a store."""
    stores = {places.state_path(Path(p, "todo.md"), "", {"HOME": "/h"}) for p in ("/a", "/b")}
    assert len(stores) == 2


def test_a_long_or_odd_name_still_makes_a_file_name(tmp_path: Path) -> None:
    """The longest name that a file can have, and bytes that are no text, give a usable store."""
    for name in ("ä" * 125 + ".md", os.fsdecode(b"\xff\xfe.md")):
        store = places.state_path(tmp_path / name, "", {"XDG_STATE_HOME": str(tmp_path)})
        store.parent.mkdir(exist_ok=True)
        (store.parent / (store.name + "-journal")).write_bytes(b"")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user that does not exist")
def test_without_any_home_the_way_out_is_said() -> None:
    """A user without HOME and without an entry in the password database gets advice."""
    code = (
        "import os, pwd; from omisync import places, errors\n"
        "os.environ.pop('HOME', None); os.setuid(54321)\n"
        "try: places.config_path(None, {})\n"
        "except errors.ConfigError as error: print(error, error.advice)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"there is no home folder set HOME, or give -c CONFIG\n"


def test_a_folder_is_not_made_where_a_file_is(tmp_path: Path) -> None:
    """Nor below one; the folders that are there stay as they are."""
    (tmp_path / "file").write_text("")
    (tmp_path / "gone").symlink_to("nowhere")
    for name in ("file", "file/a", "gone"):
        with pytest.raises(OSError, match=r"File exists|Not a directory"):
            places.make_private(tmp_path / name)
    places.make_private(tmp_path / "a" / "b")
    (tmp_path / "a").chmod(0o755)
    places.make_private(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


# Server.


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.omi.me", "https://api.omi.me"),
        (" HTTPS://API.Omi.me:443/ ", "https://api.omi.me"),
        ("https://api.omi.me:8443", "https://api.omi.me:8443"),
        ("https://proxy.example/omi//", "https://proxy.example/omi"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("https://[2001:DB8::1]/", "https://[2001:db8::1]"),
        ("http://localhost.", "http://localhost."),
        ("https://münchen.example/ä", "https://xn--mnchen-3ya.example/%C3%A4"),
        ("https://a_b.example/%41", "https://a_b.example/%41"),
    ],
)
def test_a_base_url_has_one_form(url: str, expected: str) -> None:
    """Case, default port and final slashes do not make another server."""
    assert places.normalised_base(url) == expected
    assert places.normalised_base(expected) == expected


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://api.omi.me", "plain http"),
        ("http://0.0.0.0", "plain http"),
        ("http://127.0.0.1.example.com", "plain http"),
        ("http://localhost.example.com", "plain http"),
        ("http://127.0.0.1@evil.example", "user name"),
        ("http://[::2]", "plain http"),
        ("ftp://api.omi.me", "https://"),
        ("api.omi.me", "https://"),
        ("https://", "https://"),
        ("", "https://"),
        ("https://me:secret@api.omi.me", "user name"),
        ("https://api.omi.me?x=1", "query"),
        ("https://api.omi.me/#x", "query"),
        ("https://api.omi.me:99999", "not a URL"),
        ("https://api.omi.me:x", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://a..b", "not a URL"),
        ("https://é..b", "not a URL"),
        ("https://%61.example", "not a URL"),
        (f"https://{'a' * 64}.example", "not a URL"),
        ("https://api.omi.me:0", "https://"),
        ("https:///path", "https://"),
        ("https://api.omi.me/?", "query"),
        ("https://api.\tomi.me", "a control character"),
        ("https://api omi.me", "has a space"),
        ("https:\\\\api.omi.me", "backslash"),
        ("https://api.omi.me\0", "a control character"),
    ],
)
def test_a_base_url_that_is_not_safe(url: str, what: str) -> None:
    """The key leaves this machine over https only, and the message repeats no password."""
    with pytest.raises(ConfigError, match="base URL") as caught:
        places.normalised_base(url)
    assert what in caught.value.message
    assert "secret" not in caught.value.message
    assert BASE in caught.value.advice


# Key: how it is shown.


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (KEY, "omi_de…WXYZ"),
        ("0123456789abcdefghij", "012345…ghij"),
        ("0123456789abcdefghi", "012…hi"),
        ("0123456789ab", "012…ab"),
        ("0123456789a", "…"),
        ("a", "…"),
    ],
)
def test_a_key_is_shown_masked(value: str, shown: str) -> None:
    """Printed in any way, at most half of a key is seen, of a short one nothing."""
    key = places.Key(value, "here")
    assert str(key) == shown
    assert f"{key}" == shown
    assert repr(key) == f"Key({shown}, where='here')"
    assert value not in repr([key])


def test_a_fingerprint_tells_keys_apart() -> None:
    """It is the beginning of the SHA-256, and where a key was found does not matter."""
    assert places.Key("a", "x").fingerprint == "ca978112ca1bbdca"
    assert places.Key("a", "y").fingerprint == places.Key("a", "x").fingerprint
    assert places.Key("b", "x").fingerprint != places.Key("a", "x").fingerprint


# Key: where it is found.


def keep(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    """Write a secret file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def cli_config(home: Path, profile: str, mode: int = 0o600) -> Path:
    """Write omi-cli's config with one active profile."""
    text = f'active_profile = "me"\n[profiles.me]\n{profile}\n'
    return keep(home / ".omi" / "config.toml", text, mode)


def test_the_first_hit_wins(tmp_path: Path) -> None:
    """Environment, credential, key file, omi-cli: each is used where those before have none."""
    cli_config(tmp_path, 'auth_method = "api_key"\napi_key = "cli"')
    file = keep(tmp_path / "key", "file\n")
    credential = keep(tmp_path / "creds" / "omi-api-key", "credential\n", 0o444)
    environ = {
        "HOME": str(tmp_path),
        "CREDENTIALS_DIRECTORY": str(credential.parent),
        "OMI_API_KEY": " environment ",
    }
    found = [places.find_key(str(file), environ, BASE)]
    environ["OMI_API_KEY"] = " \n"
    found.append(places.find_key(str(file), environ, BASE))
    credential.unlink()
    found.append(places.find_key(str(file), environ, BASE))
    found.append(places.find_key("", environ, BASE))
    assert [key.value for key in found] == ["environment", "credential", "file", "cli"]
    assert [key.where for key in found] == [
        "OMI_API_KEY",
        f"the systemd credential {credential}",
        str(file),
        f"the active profile of omi-cli's {tmp_path / '.omi' / 'config.toml'}",
    ]


@pytest.mark.parametrize("environ", [{}, {"HOME": "/nowhere"}, {"CREDENTIALS_DIRECTORY": "/no"}])
def test_no_key_names_the_ways_to_give_one(environ: dict[str, str]) -> None:
    """Without a key the three ways to give one are said, and the exit code is 77."""
    with pytest.raises(KeyProblem) as caught:
        places.find_key("", environ, BASE)
    assert caught.value.exit_code == 77
    assert caught.value.message == "there is no API key"
    for way in ("omisync init", "OMI_API_KEY", "api_key_file"):
        assert way in caught.value.advice


@pytest.mark.parametrize("call", ["open", "read"])
def test_a_key_file_that_cannot_be_read_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Its disk is what is wrong, for a moment: neither the key nor the config."""
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o600)

    def stale(*_: object, **__: object) -> int:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(os, call, stale)
    with pytest.raises(Strained, match="key cannot be read: Stale file handle"):
        places.find_key(str(path), {}, places.OMI)


@pytest.mark.parametrize("content", [b"", b" \n\t\n", b"\xef\xbb\xbf\n"])
def test_an_empty_key_file(tmp_path: Path, content: bytes) -> None:
    """A configured key file without a key does not fall through to another key."""
    file = keep(tmp_path / "key", content)
    with pytest.raises(ConfigError, match="is empty") as caught:
        places.find_key(str(file), {"HOME": str(tmp_path)}, BASE)
    assert caught.value.exit_code == 78


def test_a_key_file_that_is_no_file(tmp_path: Path) -> None:
    """Missing, a folder, a pipe, a device, too long: each is said, with the path."""
    os.mkfifo(tmp_path / "pipe")
    long = keep(tmp_path / "long", b"a" * (places.SECRET_LIMIT + 1))
    cases = {
        tmp_path / "none": "does not exist",
        long / "below": "does not exist",
        tmp_path: "is a folder",
        tmp_path / "pipe": "is not a regular file",
        Path("/dev/zero"): "is not a regular file",
        long: "is too long",
        tmp_path / "a\0b": "cannot be opened",
    }
    for path, what in cases.items():
        with pytest.raises(ConfigError) as caught:
            places.find_key(str(path), {}, BASE)
        assert f"{path} {what}" in caught.value.message
        assert "correct omi.api_key_file" in caught.value.advice
        fills = f"chmod 600 {path};" in caught.value.advice.replace("'", "")
        assert fills == (what == "does not exist")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o440])
def test_a_key_file_that_others_can_read(tmp_path: Path, mode: int) -> None:
    """It is refused with its mode and the command that cures it, and the command does."""
    file = keep(tmp_path / "my key", KEY, mode)
    with pytest.raises(ConfigError) as caught:
        places.find_key(str(file), {}, BASE)
    assert f"{file} is readable by others (mode {mode:03o})" in caught.value.message
    subprocess.run(["sh", "-c", caught.value.advice], check=True)
    assert places.find_key(str(file), {}, BASE).value == KEY


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_key_file_of_ones_own(tmp_path: Path, mode: int) -> None:
    """A file that only its owner can read is used; a BOM and line ends are no part of the key."""
    file = keep(tmp_path / "key", b"\xef\xbb\xbf" + KEY.encode() + b"\r\n", mode)
    assert places.find_key(str(file), {}, BASE) == places.Key(KEY, str(file))


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[None]:
    """Be somebody for whom permissions count, even where the suite runs as root."""
    keep(tmp_path / "omi-api-key", KEY, 0)
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


def test_a_secret_of_somebody_else(tmp_path: Path, unprivileged: None) -> None:
    """A key file or credential that this user cannot read is said to be that."""
    path = tmp_path / "omi-api-key"
    with pytest.raises(ConfigError, match="cannot be read by this user"):
        places.find_key(str(path), {}, BASE)
    with pytest.raises(KeyProblem, match="cannot be read by this user"):
        places.find_key("", {"CREDENTIALS_DIRECTORY": str(tmp_path)}, BASE)


def test_an_empty_credential(tmp_path: Path) -> None:
    """A credential without a key is a mistake in the unit, and that is said."""
    keep(tmp_path / "omi-api-key", b"\n")
    with pytest.raises(KeyProblem, match="is empty") as caught:
        places.find_key("", {"CREDENTIALS_DIRECTORY": str(tmp_path)}, BASE)
    assert "LoadCredential=" in caught.value.advice


@pytest.mark.parametrize(
    "profile",
    [
        'auth_method = "api_key"\napi_key = "k"',
        'auth_method = "api_key"\napi_key = "k"\napi_base = ""',
        'auth_method = "api_key"\napi_key = "k"\napi_base = "https://API.omi.me:443/"',
    ],
)
def test_a_profile_of_omi_cli(tmp_path: Path, profile: str) -> None:
    """The active profile's key is used for the server it is for."""
    cli_config(tmp_path, profile)
    assert places.find_key("", {"HOME": str(tmp_path)}, BASE).value == "k"


@pytest.mark.parametrize(
    ("profile", "why"),
    [
        (f'auth_method = "oauth"\napi_key = "{KEY}"', "does not use an API key"),
        (f'api_key = "{KEY}"', "does not use an API key"),
        ('auth_method = "api_key"', "has no api_key"),
        ('auth_method = "api_key"\napi_key = " "', "has no api_key"),
        ('auth_method = "api_key"\napi_key = 5', "has no api_key"),
        (f'auth_method = "api_key"\napi_key = "{KEY}"\napi_base = "https://x.y"', "another server"),
        (f'auth_method = "api_key"\napi_key = "{KEY}"\napi_base = "::"', "another server"),
        (f'auth_method = "api_key"\napi_key = "{KEY}"\napi_base = 5', "another server"),
        (f'auth_method = "api_key"\napi_key = "{KEY}', "cannot be read"),
        ("[profiles.you]", "cannot be read"),
        ("[profiles]\n", "cannot be read"),
    ],
)
def test_a_profile_that_is_not_for_us(tmp_path: Path, profile: str, why: str) -> None:
    """Another kind of login, another server or a broken file is not used, and why is said."""
    cli_config(tmp_path, profile)
    with pytest.raises(KeyProblem) as caught:
        places.find_key("", {"HOME": str(tmp_path)}, BASE)
    assert why in caught.value.message
    assert str(tmp_path / ".omi" / "config.toml") in caught.value.message


def test_a_profile_that_others_can_read(tmp_path: Path) -> None:
    """It is not used, and the command that cures it is said."""
    path = cli_config(tmp_path, 'auth_method = "api_key"\napi_key = "k"', 0o644)
    with pytest.raises(KeyProblem) as caught:
        places.find_key("", {"HOME": str(tmp_path)}, BASE)
    assert f"readable by others (mode 644): chmod 600 {path}" in caught.value.message


BAD_KEYS = [KEY + " x", KEY + "\nX-Evil: 1", KEY + "\x00", KEY + "ä", "\u200b" + KEY, KEY + "\x7f"]


@pytest.mark.parametrize("bad", [*BAD_KEYS, KEY.encode() + b"\xff", KEY.encode("utf-16")])
def test_a_key_that_would_break_the_header(tmp_path: Path, bad: str | bytes) -> None:
    """White space, control and non-ASCII characters are refused wherever the key stands."""
    file = keep(tmp_path / "key", bad)
    creds = keep(tmp_path / "creds" / "omi-api-key", bad).parent
    cases: list[tuple[str, dict[str, str]]] = [
        (str(file), {}),
        ("", {"CREDENTIALS_DIRECTORY": str(creds)}),
    ]
    if isinstance(bad, str):
        cases.append(("", {"OMI_API_KEY": bad}))
    for key_file, environ in cases:
        with pytest.raises(KeyProblem, match="cannot be one: character") as caught:
            places.find_key(key_file, environ, BASE)
        _assert_silent(caught.value)


def test_a_key_in_place_of_a_path(tmp_path: Path) -> None:
    """A key pasted as api_key_file is recognised, and not repeated."""
    with pytest.raises(ConfigError, match="holds a key") as caught:
        places.find_key(KEY, {"HOME": str(tmp_path)}, BASE)
    _assert_silent(caught.value)
    assert not places.looks_like_key("~/.config/omi_dev_key.txt")


def test_a_broken_profile_is_silent(tmp_path: Path) -> None:
    """Not even the error behind the error holds the key of a broken omi-cli config."""
    keep(tmp_path / ".omi" / "config.toml", f'api_key = "{KEY}')
    with pytest.raises(KeyProblem) as caught:
        places.find_key("", {"HOME": str(tmp_path)}, BASE)
    _assert_silent(caught.value)


def _assert_silent(error: OmisyncError) -> None:
    """Assert that neither the error nor what led to it holds the key."""
    behind: BaseException | None = error
    while behind is not None:
        assert KEY not in repr(behind)
        assert KEY not in repr(vars(behind))
        behind = behind.__cause__ or behind.__context__
    assert KEY not in "".join(traceback.format_exception(error))
    assert KEY not in error.advice


def test_looking_for_places_imports_nothing_heavy() -> None:
    """A run with nothing to do pays for the standard library only."""
    code = (
        "import sys; from pathlib import Path; from omisync import places, file\n"
        "places.state_path(Path('/a.md'), '', {'HOME': '/h'}); places.config_path(None, {})\n"
        "heavy = {'pydantic', 'tomllib', 'asyncio', 'structlog'}\n"
        "sys.exit(str(heavy & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.stderr == b"\n"
