"""The systemd units, as they can be copied and as ``omisync service`` writes them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine import OF_PYTHON, PATIENCE, Ran, started

from omisync import config as configs
from omisync import errors
from omisync.cli import installation, units

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "systemd"
SERVICES = ("omisync.service", "omisync@.service", "omisync-once.service")
NASTY = [
    "two  words",
    "50% of %h $HOME ${HOME}",
    'o\'neil "quoted" back\\slash',
    "größe ✓ \u2028 日本",
    "new\nline\ttab",
    "semi;colon # hash =+:-@!~",
]

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@dataclass
class Home:
    """A user's home, and the commands that run in it."""

    path: Path
    environ: dict[str, str]

    @property
    def units(self) -> Path:
        """Where the user's units are."""
        return self.path / ".config" / "systemd" / "user"

    @property
    def unit(self) -> Path:
        """The unit of the daemon."""
        return self.units / "omisync.service"

    def config(self, name: str = "config.toml", settings: str = "") -> Path:
        """Write a config and return its path."""
        path = self.path / ".config" / "omisync" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'[todo]\npath = "~/lists/todo.md"\n{settings}')
        return path

    def omisync(self, *arguments: str) -> Ran:
        """Run ``omisync`` as a person would."""
        with started(arguments, self.path, self.environ) as process:
            out, err = process.communicate(timeout=PATIENCE)
        return Ran(process.returncode, out, err)

    def service(self, *arguments: str, code: int = 0) -> str:
        """Run ``omisync service`` and return what it says; the exit code must be this one."""
        done = self.omisync("service", *arguments)
        assert done.code == code, done.said
        return done.said

    def files(self) -> dict[str, bytes]:
        """Return all that is in the folder of the units."""
        return {path.name: path.read_bytes() for path in self.units.iterdir()}


def at_home(path: Path) -> Home:
    """Return a home in this folder, with a config."""
    path.mkdir(parents=True)
    home = Home(path, {"HOME": str(path), "PATH": os.defpath, **OF_PYTHON})
    home.config()
    return home


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that is not below /dev: there no unit needs to grant anything."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a config."""
    return at_home(tmp_path / "home")


def analyzed(tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze for the user whose home is ``tmp_path/home``."""
    environ = {"HOME": f"{tmp_path}/home", "XDG_RUNTIME_DIR": str(tmp_path), "PATH": os.defpath}
    return subprocess.run(
        ["systemd-analyze", "--user", "--man=no", *arguments],
        env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip


def program(path: Path) -> Path:
    """Make a program that does nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


# The units as they can be copied by hand.


@needs_systemd
@pytest.mark.parametrize("name", [*SERVICES, "omisync-once.timer"])
def test_systemd_understands_each_line_of_the_units(tmp_path: Path, name: str) -> None:
    """The manager has nothing to say about the units; it also exits with 0 where it warns."""
    program(tmp_path / "home" / ".local" / "bin" / "omisync")
    shutil.copytree(FOLDER, tmp_path / "units")
    unit = tmp_path / "units" / name.replace("@.", "@work.")
    done = analyzed(tmp_path, "verify", unit)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_a_mistake_in_a_unit_would_be_seen(tmp_path: Path) -> None:
    """The check above is one that can fail: an unknown key and a missing program are told."""
    text = (FOLDER / "omisync.service").read_text().replace("RestartSec=", "RestartSecs=")
    (tmp_path / "omisync.service").write_text(text)
    done = analyzed(tmp_path, "verify", tmp_path / "omisync.service")
    assert "RestartSecs" in done.stderr
    assert "omisync is not executable" in done.stderr


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_the_services_are_hardened(tmp_path: Path, name: str) -> None:
    """By systemd's own rating the exposure of each service is 1.6 of 10 or better."""
    unit = tmp_path / name.replace("@.", "@work.")
    unit.write_text((FOLDER / name).read_text())
    done = analyzed(tmp_path, "security", "--offline=true", "--threshold=16", unit)
    assert done.returncode == 0, done.stdout


def test_the_units_differ_only_where_they_must() -> None:
    """What is hardened in one service is hardened in all; an instance differs by its config."""
    one, instance, once = ((FOLDER / name).read_text().split("\n\n") for name in SERVICES)
    assert [part for part in once[3:] if part.rstrip() not in "\n\n".join(one)] == []
    assert len(once[3:]) == 4
    lines = ("\n".join(text[1:]).split("\n") for text in (one, instance))
    different = [pair for pair in zip(*lines, strict=True) if pair[0] != pair[1]]
    assert [line for pair in different for line in pair] == [
        "Description=omisync: make Omi say what the todo file says",
        "Description=omisync: make Omi say what the todo file says (%i)",
        "ExecStart=%h/.local/bin/omisync",
        "ExecStart=%h/.local/bin/omisync -c %E/omisync/%i.toml",
    ]


def test_restarts_end_where_only_a_person_can_help() -> None:
    """The daemon's unit names exactly the exit codes that a restart cannot cure."""
    lasting = {
        errors.USAGE, errors.WRONG_SERVER, errors.BAD_STORE, errors.BAD_KEY, errors.BAD_CONFIG,
    }  # fmt: skip
    for name in SERVICES[:2]:
        line = re.search(r"(?m)^RestartPreventExitStatus=(.*)$", (FOLDER / name).read_text())
        assert line
        assert {int(code) for code in line[1].split()} == lasting


# Install.


def test_install_writes_the_unit_and_tells_what_to_run(home: Home) -> None:
    """The unit starts this program with this config; the person hears the three next commands."""
    said = home.service("install")
    assert f"Wrote {home.unit}\n" in said
    assert "systemctl --user daemon-reload\n" in said
    assert "systemctl --user enable --now omisync.service\n" in said
    assert list(home.files()) == ["omisync.service"]
    text = home.unit.read_text()
    config = home.path / ".config/omisync/config.toml"
    assert re.search(rf"(?m)^ExecStart=:/\S+.* -c {re.escape(str(config))}$", text)
    state = home.path / ".local/state/omisync"
    assert f"\nReadWritePaths=-{state} " in text
    assert state.is_dir()
    assert state.stat().st_mode & 0o777 == 0o700


def test_install_starts_nothing(home: Home, tmp_path: Path) -> None:
    """Only status speaks to systemd, and only to ask; the rest is the person's to run."""
    fake_systemctl(home, tmp_path)
    home.service("install")
    home.service("install", "--timer")
    home.service("uninstall")
    assert not (tmp_path / "asked").exists()
    home.service("install")
    home.service("status")
    assert (tmp_path / "asked").read_text().startswith("--user show --property=")


def fake_systemctl(home: Home, tmp_path: Path, answer: str = "") -> None:
    """Put a systemctl first into PATH that notes its arguments and gives this answer."""
    fake = program(tmp_path / "bin" / "systemctl")
    (tmp_path / "answer").write_text(answer)
    fake.write_text(f'#!/bin/sh\necho "$@" >>"{tmp_path}/asked"\ncat "{tmp_path}/answer"\n')
    home.environ["PATH"] = f"{fake.parent}:{os.defpath}"


@needs_systemd
@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize(
    "option",
    [
        pytest.param((), id="daemon"),
        pytest.param(("--timer",), id="timer", marks=pytest.mark.campaign),
    ],
)
def test_units_in_nasty_folders_are_understood(
    tmp_path: Path, name: str, option: tuple[str, ...]
) -> None:
    """Spaces, quotes, percent and dollar signs in a path leave a unit without complaint."""
    home = at_home(tmp_path / name)
    home.service("install", *option)
    shutil.copytree(home.units, tmp_path / "units")
    for unit in (tmp_path / "units").iterdir():
        done = analyzed(tmp_path, "verify", unit)
        assert (done.returncode, done.stderr) == (0, "")
    assert home.service("status").count("is in place and up to date") == len(option) + 1


@needs_systemd
@pytest.mark.parametrize("name", NASTY)
def test_a_program_in_a_nasty_folder_is_found(tmp_path: Path, name: str) -> None:
    """The program is seen by systemd wherever it is installed."""
    there = program(tmp_path / name / "omisync")
    here = units.Installation((str(there),), tmp_path / "config.toml", tmp_path / "state")
    unit = tmp_path / "omisync.service"
    unit.write_text(units.written(units.source(unit.name), here))
    done = analyzed(tmp_path, "verify", unit)
    assert (done.returncode, done.stderr) == (0, "")


def unescaped(escape: re.Match[str]) -> str:
    """Return the character that a C escape stands for."""
    said = escape[0][1:]
    return chr(int(said[1:], 16)) if said[0] == "x" else said


def read_back(line: str) -> list[str]:
    """Read words as systemd does: quotes, C escapes (systemd.syntax(7)), then ``%%``."""
    escape = r'\\(?:x[0-9a-f]{2}|["\\])'
    words = re.findall(rf'"(?:[^"\\]|{escape})*"|[^\s"\\]+', line)
    assert " ".join(words) == line
    found = []
    for word in words:
        inner = word[1:-1] if word.startswith('"') else word
        said = re.sub(escape, unescaped, inner)
        assert "%" not in said.replace("%%", "")
        found.append(said.replace("%%", "%"))
    return found


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_what_is_quoted_reads_the_same(words: list[str]) -> None:
    """A word of any characters stays one word, on one line, and means what it meant."""
    line = " ".join(units.quoted(word) for word in words)
    assert not re.search(r"[\x00-\x1f\x7f]", line)
    assert read_back(line) == words


def test_a_path_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """A unit is UTF-8 only; the person hears it instead of getting a broken unit."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    here = units.Installation(("/bin/omisync",), folder / "config.toml", folder)
    with pytest.raises(errors.ConfigError, match="UTF-8"):
        units.written(units.source("omisync.service"), here)


def test_a_second_install_changes_nothing(home: Home) -> None:
    """A unit that is up to date is not even written again."""
    home.service("install")
    before = home.unit.stat()
    assert "is up to date" in home.service("install")
    assert home.unit.stat().st_ino == before.st_ino


def test_install_renews_a_unit_of_ours(home: Home) -> None:
    """After the config moved the state, install corrects the unit and restarts the service."""
    home.service("install")
    home.config(settings=f'[state]\npath = "{home.path}/elsewhere/todo.db"\n')
    said = home.service("install")
    assert "systemctl --user restart omisync.service\n" in said
    assert f"ReadWritePaths=-{home.path}/elsewhere " in home.unit.read_text()
    assert list(home.files()) == ["omisync.service"]


@pytest.mark.parametrize("change", ["\n# mine\n", "", "# \xff\n"])
def test_an_edited_unit_is_never_overwritten(home: Home, change: str) -> None:
    """What the person wrote stays, byte for byte, until they say --force."""
    home.service("install")
    raw = change.encode("latin-1")
    home.unit.write_bytes(home.unit.read_bytes() + raw if raw else b"[Service]\nExecStart=/bin/a\n")
    before = home.unit.read_bytes()
    said = home.service("install", code=errors.USAGE)
    assert str(home.unit) in said
    assert "--force" in said
    assert home.unit.read_bytes() == before
    home.service("install", "--force")
    assert "is in place and up to date" in home.service("status")


def test_a_masked_unit_stays_masked(home: Home) -> None:
    """A symlink to /dev/null is the person's word that this unit shall not start."""
    home.units.mkdir(parents=True)
    home.unit.symlink_to("/dev/null")
    home.service("install", code=errors.USAGE)
    home.service("uninstall", code=errors.USAGE)
    assert home.unit.readlink() == Path("/dev/null")


def test_a_pair_is_installed_whole_or_not_at_all(home: Home) -> None:
    """If the timer is the person's own, its service is not written either."""
    home.units.mkdir(parents=True)
    (home.units / "omisync-once.timer").write_text("[Timer]\nOnCalendar=hourly\n")
    home.service("install", "--timer", code=errors.USAGE)
    assert list(home.files()) == ["omisync-once.timer"]


def test_each_list_has_a_service_of_its_own(home: Home) -> None:
    """Another config becomes an instance named like it, beside the usual one."""
    work = home.config("work list.toml")
    home.service("install")
    said = home.omisync("-c", str(work), "service", "install").out
    assert "enable --now 'omisync@work\\x20list.service'\n" in said
    assert sorted(home.files()) == ["omisync.service", "omisync@work\\x20list.service"]
    assert f'-c "{work}"' in (home.units / "omisync@work\\x20list.service").read_text()


def test_two_configs_of_one_name_do_not_share_a_unit(home: Home, tmp_path: Path) -> None:
    """The second is told about the first, instead of taking its service away."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "work.toml").write_text('[todo]\npath = "todo.md"\n')
    first = home.omisync("-c", f"{tmp_path}/a/work.toml", "service", "install")
    before = home.files()
    second = home.omisync("-c", f"{tmp_path}/b/work.toml", "service", "install")
    assert (first.code, second.code) == (errors.OK, errors.USAGE)
    assert f"{tmp_path}/a/work.toml" in second.err
    assert home.files() == before
    for command in ("status", "uninstall"):
        told = home.omisync("-c", f"{tmp_path}/b/work.toml", "service", command)
        assert f"There is no unit for {tmp_path}/b/work.toml" in told.said
    assert home.files() == before


def test_the_service_has_the_store_of_a_run_by_hand(home: Home, tmp_path: Path) -> None:
    """Where this shell moves the state, the unit moves it too; systemd may not know of it."""
    home.environ |= {"XDG_STATE_HOME": f"{tmp_path}/my state", "TZ": "Asia/Tokyo"}
    home.service("install")
    text = home.unit.read_text()
    assert f'\nEnvironment="XDG_STATE_HOME={tmp_path}/my state"\n' in text
    assert "\nEnvironment=TZ=Asia/Tokyo\n" in text
    assert f'\nReadWritePaths="-{tmp_path}/my state/omisync" ' in text


def test_install_tells_what_the_service_will_miss(home: Home) -> None:
    """A key and a server that only this shell knows are not the service's."""
    home.environ |= {"OMI_API_KEY": "omi_dev_secret1234", "OMI_API_BASE": "http://127.0.0.1:9"}
    said = home.service("install")
    assert "will not find an API key" in said
    assert "OMI_API_BASE is set in this shell only" in said
    assert "secret" not in said + home.unit.read_text()
    key = home.path / "key"
    key.write_text("omi_dev_secret1234")
    key.chmod(0o600)
    home.config(settings='[omi]\napi_key_file = "~/key"\n')
    assert "API key" not in home.service("install")


def test_install_as_json(home: Home) -> None:
    """A program learns what was written and what to run next."""
    told = home.omisync("service", "install", "--timer", "--json").data
    pair = [str(home.units / name) for name in ("omisync-once.service", "omisync-once.timer")]
    assert told["written"] == pair
    assert "systemctl --user enable --now omisync-once.timer" in told["next"]
    assert home.omisync("service", "install", "--timer", "--json").data["written"] == []


def test_install_needs_a_config(home: Home) -> None:
    """Without a config there is nothing to run; the person hears how to make one."""
    (home.path / ".config/omisync/config.toml").unlink()
    assert "omisync init" in home.service("install", code=errors.BAD_CONFIG)
    assert not home.units.exists()


@pytest.mark.parametrize("line", [["status", "--force"], ["uninstall", "--timer"], [], ["start"]])
def test_senseless_lines_are_refused(home: Home, line: list[str]) -> None:
    """An option or action without meaning is exit code 2."""
    home.service(*line, code=errors.USAGE)


def test_a_program_that_needs_this_shell_is_not_installed() -> None:
    """What does not start outside of this shell would only fail later, unseen."""
    with pytest.raises(errors.UsageError, match="does not start outside of this shell"):
        installation.try_out((sys.executable, "-c", "import sys; sys.exit('no omisync here')"))
    with pytest.raises(errors.UsageError, match="No such file"):
        installation.try_out(("/nowhere/omisync",))


# What the units allow.


def test_a_push_may_not_write_the_todo_file(home: Home) -> None:
    """The kernel keeps a push from the file; two-way sync gets the file's folder."""
    config = configs.load(home.config(), {"HOME": str(home.path)})
    assert installation.found(config, {}).writable == ()
    folder = config.todo_path.parent
    two_way = config.model_copy(
        update={"sync": config.sync.model_copy(update={"direction": "two-way"})}
    )
    assert installation.found(two_way, {}).writable == (folder,)
    text = units.written(units.source("omisync.service"), installation.found(two_way, {}))
    assert f" -{folder} " in text


def test_two_way_may_write_where_a_symlink_leads(home: Home) -> None:
    """``service install`` names the folder of the link and that of the real file."""
    folder, real = home.path / "lists", home.path / "Sync" / "my notes"
    folder.mkdir()
    real.mkdir(parents=True)
    (real / "all.md").write_text("")
    (folder / "todo.md").symlink_to(real / "all.md")
    home.config()
    home.service("install")
    assert str(folder) not in home.unit.read_text()
    home.config(settings='[sync]\ndirection = "two-way"\n')
    assert "`omisync service install` renews it" in home.service("status", code=78)
    home.service("install")
    state = home.path / ".local/state/omisync"
    places = re.search(r"(?m)^ReadWritePaths=(.*)$", home.unit.read_text())
    assert places
    assert places[1].startswith(f'-{state} -{folder} "-{real}"')


def test_files_in_tmp_are_not_hidden(tmp_path: Path) -> None:
    """A private /tmp would hide a todo file that lies there; other homes get one."""
    source = units.source("omisync.service")
    here = units.Installation(("/bin/omisync",), Path("/c.toml"), Path("/state"), shares_tmp=True)
    elsewhere = units.Installation(("/bin/omisync",), Path("/c.toml"), Path("/state"))
    assert "\nPrivateTmp=no\n" in units.written(source, here)
    assert "\nReadWritePaths=-/state -/tmp -/var/tmp\n" in units.written(source, here)
    assert "\nPrivateTmp=yes\n" in units.written(source, elsewhere)
    assert "\nReadWritePaths=-/state\n" in units.written(source, elsewhere)


@needs_systemd
@pytest.mark.parametrize("name", ["omisync.service", "omisync-once.service"])
def test_without_user_namespaces_the_rest_is_kept(tmp_path: Path, name: str) -> None:
    """Where a machine forbids them (Ubuntu does), nothing in the unit needs them."""
    here = units.Installation(
        (str(program(tmp_path / "omisync")),), tmp_path / "c.toml", tmp_path, bare="x = 1"
    )
    unit = tmp_path / name
    unit.write_text(units.written(units.source(name), here))
    done = analyzed(tmp_path, "verify", unit)
    assert (done.returncode, done.stderr) == (0, "")
    keys = {line.split("=")[0] for line in unit.read_text().split("\n") if "=" in line}
    # systemd.exec(5) says of these that a user's service needs PrivateUsers= for them.
    needy = re.compile(r"Private|Protect|Proc|ReadWrite|Capabilit|Bind|Temporary")
    assert [key for key in keys if needy.match(key)] == []
    assert {"NoNewPrivileges", "SystemCallFilter", "RestrictAddressFamilies"} <= keys


# Uninstall.


def test_uninstall_removes_only_what_install_wrote(home: Home) -> None:
    """Drop-ins, enablement and the units of others stay; config and state as well."""
    home.service("install")
    home.service("install", "--timer")
    (home.units / "other.service").write_text("[Service]\nExecStart=/bin/true\n")
    (home.units / "omisync.service.d").mkdir()
    config, state = home.config(), home.path / ".local/state/omisync"
    said = home.service("uninstall")
    assert sorted(path.name for path in home.units.iterdir()) == [
        "omisync.service.d",
        "other.service",
    ]
    assert config.exists()
    assert state.exists()
    for unit in ("omisync.service", "omisync-once.timer"):
        assert f"systemctl --user disable --now {unit}\n" in said
    assert "There is no unit" in home.service("uninstall")


def test_uninstall_leaves_an_edited_unit(home: Home) -> None:
    """It says so, removes the others, and ends with 2; --force removes it too."""
    home.service("install")
    home.service("install", "--timer")
    home.unit.write_text(home.unit.read_text().replace("RestartSec=10", "RestartSec=99"))
    assert "was edited" in home.service("uninstall", code=errors.USAGE)
    assert list(home.files()) == ["omisync.service"]
    home.service("uninstall", "--force")
    assert home.files() == {}


def test_uninstall_needs_no_config(home: Home) -> None:
    """Who removed the config first can still get rid of the unit."""
    home.service("install")
    (home.path / ".config/omisync/config.toml").unlink()
    home.service("uninstall")
    assert home.files() == {}


# Status.


def test_status_tells_each_state(home: Home) -> None:
    """Not there, up to date, out of date and edited, with the exit code of each."""
    assert "omisync service install" in home.service("status", code=errors.BAD_CONFIG)
    home.service("install")
    assert "up to date" in home.service("status")
    home.config(settings=f'[state]\npath = "{home.path}/db/todo.db"\n')
    said = home.service("status", code=errors.BAD_CONFIG)
    assert "another installation or config" in said
    assert f"+ReadWritePaths=-{home.path}/db " in said
    ran = home.omisync("doctor")
    assert (ran.code, "✗ unit" in ran.out) == (errors.BAD_CONFIG, True)
    home.unit.write_text(home.unit.read_text() + "# mine\n")
    assert "was edited" in home.service("status")


def test_status_says_what_systemd_knows(home: Home, tmp_path: Path) -> None:
    """Active, enabled, the status line of the daemon, and what is due."""
    home.service("install")
    answer = (
        "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n"
        f"Result=success\nStatusText=in sync, 42 tasks = fine\nFragmentPath={home.unit}\n"
    )
    fake_systemctl(home, tmp_path, answer + "NeedDaemonReload=no\n")
    said = home.service("status")
    assert "active (running), enabled\n" in said
    assert "in sync, 42 tasks = fine" in said
    assert "daemon-reload" not in said
    fake_systemctl(home, tmp_path, answer + "NeedDaemonReload=yes\n")
    assert "systemctl --user daemon-reload" in home.service("status")
    fake_systemctl(home, tmp_path, answer.replace(str(home.unit), "/etc/systemd/user/o.service"))
    assert "another file, /etc/systemd/user/o.service" in home.service("status")
    told = home.omisync("service", "status", "--json").data
    assert [unit["state"] for unit in told["units"]] == ["current"]
    assert told["units"][0]["systemd"]["ActiveState"] == "active"


# The wheel.


def test_the_wheel_carries_the_units(tmp_path: Path) -> None:
    """An installed omisync fills in the very units that stand in the repository."""
    pytest.importorskip("hatchling", reason="building a wheel needs hatchling")
    root = FOLDER.parent
    build = f"import hatchling.build as b; print(b.build_wheel({str(tmp_path)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=root, capture_output=True, text=True, check=True
    )
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        wheel.extractall(tmp_path / "site")
    carried = {
        path.name: path.read_bytes() for path in (tmp_path / "site/omisync/_systemd").iterdir()
    }
    assert carried == {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    show = "from omisync.cli import units; print(units.source('omisync.service'), end='')"
    shown = subprocess.run(
        [sys.executable, "-c", show],
        cwd="/", env={"PYTHONPATH": f"{tmp_path}/site"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shown.stdout == (FOLDER / "omisync.service").read_text()
