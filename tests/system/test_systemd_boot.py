"""The service under a real systemd, booted in private namespaces (root; opt-in).

``pytest -m systemd -n0 tests/system/test_systemd_boot.py``
"""

from __future__ import annotations

import itertools
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from omisync.cli import units
from omisync.sandbox import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from machine import Omi

pytestmark = [pytest.mark.systemd, pytest.mark.timeout(120)]

NEEDED = ("systemctl", "dbus-daemon", "unshare", "nsenter", "useradd", "runuser")
UNIT = "omisync.service"
NASTY = 'it\'s 50% of $HOME "quoted" back\\slash ✓'
numbers = itertools.count(4200)


@dataclass
class Booted:
    """A systemd of our own; ``leader`` is its process as seen from here."""

    leader: int

    def run(self, *command: str, stdin: str = "", check: bool = True) -> str:
        """Run a command inside, as root, and return what it prints."""
        done = subprocess.run(
            self.inside(*command), input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 or not check, f"{shlex.join(command)}: {done.stderr}"
        return done.stdout

    def inside(self, *command: str) -> list[str]:
        """Return the command line that runs this inside."""
        spaces = ("--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wd")
        clean = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_COLORS=0")
        return ["nsenter", "--target", str(self.leader), *spaces, *clean, *command]


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """A machine that has just booted."""
    if os.geteuid() != 0:
        pytest.skip("only root can boot a systemd of its own")
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    name = f"omisync-test-{os.getpid()}"
    installed = {Path(sys.prefix), Path(sys.base_prefix), Path(units.__file__).parents[2]}
    elsewhere = [path for path in installed if path.stat().st_dev != Path("/").stat().st_dev]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(f"\0{name}")
        ready.settimeout(60)
        scratch = tmp_path_factory.mktemp("boot")
        log = (tmp_path_factory.getbasetemp() / "boot.log").open("w")
        outer = subprocess.Popen(
            [Path(__file__).with_name("boot.sh"), scratch, name, *elsewhere],
            env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": f"@{name}"},
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            while b"READY=1" not in ready.recv(4096).split(b"\n"):
                pass
            machine = Booted(*children(outer))
            for path in sorted({p for i in installed for p in (i, *i.parents)} - set(elsewhere)):
                machine.run("chmod", "o+rx", str(path), check=False)
            yield machine
        finally:
            shut_down(outer)
            log.close()
            remove_cgroups(name)


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes that this one started."""
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(child) for child in text.split()]


def shut_down(outer: subprocess.Popen[bytes]) -> None:
    """End the machine; its first process is the last of its processes to go."""
    descriptors = [os.pidfd_open(child) for child in children(outer)]
    outer.kill()
    outer.wait()
    for descriptor in descriptors:
        select.select([descriptor], [], [])
        os.close(descriptor)


def remove_cgroups(name: str) -> None:
    """Remove the empty groups that the machine left behind."""
    for top in Path("/sys/fs/cgroup").glob(f"**/{name}"):
        for folder, _, _ in os.walk(top, topdown=False):
            Path(folder).rmdir()


@dataclass
class User:
    """A user of the machine with a todo file, a config and a systemd of their own."""

    machine: Booted
    name: str
    uid: int
    omi: Omi
    folder: str = "notes"
    config: str = ""
    unit: str = UNIT
    journal: list[str] = field(default_factory=list)

    @property
    def home(self) -> str:
        """The home folder, inside."""
        return f"/home/{self.name}"

    @property
    def todo(self) -> str:
        """The todo file, inside."""
        return f"{self.home}/{self.folder}/todo.md"

    def line(self, *command: str) -> list[str]:
        """Return the command line that runs this as the user, inside."""
        own = (f"HOME={self.home}", f"XDG_RUNTIME_DIR=/run/user/{self.uid}")
        return self.machine.inside("runuser", "-u", self.name, "--", "env", *own, *command)

    def run(self, *command: str, stdin: str = "", code: int | None = 0) -> str:
        """Run a command as the user and return all that it says; ``code`` None is any."""
        done = subprocess.run(
            self.line(*command), input=stdin, capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        if code is not None and done.returncode != code:
            told = self.line("journalctl", "--user", "-q", "-n", "30", "-o", "cat")
            journal = subprocess.run(told, capture_output=True, text=True, check=False).stdout
            pytest.fail(f"{shlex.join(command)} ended with {done.returncode}: {said}\n{journal}")
        return said

    def omisync(self, *arguments: str, code: int = 0) -> str:
        """Run omisync by hand."""
        config = ("-c", self.config) if self.config else ()
        return self.run(sys.executable, "-m", "omisync", *config, *arguments, code=code)

    def systemctl(self, *arguments: str, code: int | None = 0) -> str:
        """Speak to the user's systemd."""
        return self.run("systemctl", "--user", *arguments, code=code)

    def show(self, name: str) -> str:
        """Return a property of the service."""
        return self.systemctl("show", "--property", name, "--value", self.unit).strip()

    def write(self, path: str, text: str) -> None:
        """Write a file as the user, in place of what was there."""
        save = 'mkdir -p "$(dirname "$0")" && cat >"$0.new" && mv "$0.new" "$0"'
        self.run("sh", "-c", save, path, stdin=text)

    def configure(self, path: str = "", more: str = "") -> None:
        """Write key and config."""
        self.config = path
        key = f"{self.home}/key"
        self.write(key, KEY)
        self.run("chmod", "600", key)
        text = (
            f"[todo]\npath = '''{self.todo}'''\n[omi]\n"
            f'base_url = "{self.omi.sandbox.url}"\napi_key_file = "{key}"\n{more}'
        )
        self.write(path or f"{self.home}/.config/omisync/config.toml", text)

    def drop_in(self, text: str) -> None:
        """Change the service as a person does."""
        self.write(f"{self.home}/.config/systemd/user/{self.unit}.d/own.conf", text)
        self.systemctl("daemon-reload")

    def install(self, *options: str) -> None:
        """Install the service and run what the program says to run next."""
        said = self.omisync("service", "install", *options)
        steps = [line.strip() for line in said.splitlines() if line.startswith("  systemctl")]
        self.unit = shlex.split(steps[-1])[-1]
        for step in steps:
            self.run(*shlex.split(step))

    def wait_for(self, *patterns: str) -> None:
        """Follow the journal until these came, in this order, after what was waited for before."""
        command = self.line("journalctl", "--user", "-q", "-f", "-n", "all", "-o", "cat")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
            assert follower.stdout
            try:
                lines = iter(follower.stdout)
                seen = [next(lines) for _ in self.journal]
                for pattern in patterns:
                    for line in lines:
                        seen.append(line)
                        if re.search(pattern, line):
                            break
                self.journal = seen
            finally:
                follower.send_signal(signal.SIGTERM)


@pytest.fixture
def user(booted: Booted, omi: Omi) -> Iterator[User]:
    """A new user, whose todo file has one task."""
    uid = next(numbers)
    name = f"omi{uid}"
    booted.run("useradd", "--create-home", "--uid", str(uid), name)
    booted.run("systemctl", "start", f"user@{uid}.service")
    person = User(booted, name, uid, omi)
    person.configure()
    person.write(person.todo, "- [ ] Buy milk\n")
    yield person
    booted.run("systemctl", "stop", f"user@{uid}.service")


def test_an_edit_travels_from_the_service_to_omi(user: User) -> None:
    """Installed as told it is ready, creates, PATCHes the tick, reloads, and stops in time."""
    user.install()
    assert user.show("ActiveState") == "active"
    user.omi.until(lambda omi: len(omi.items) == 1)
    user.write(user.todo, "- [x] Buy milk\n")
    user.omi.until(lambda omi: all(item.completed for item in omi.items.values()))
    assert user.omi.items() == {"Buy milk": True}
    assert user.omi.writes() == ["POST", "PATCH"]
    user.wait_for(r"cycle\.done.*changed=1")
    assert re.search(r"Status: .*1 task", user.systemctl("status", UNIT))
    assert "active (running), enabled" in user.omisync("service", "status")
    user.systemctl("reload", UNIT)
    user.wait_for(r"config\.loaded")  # systemd says its "Reloaded" before or after
    user.write(user.todo, "- [ ] Buy milk\n")
    user.omi.until(lambda omi: not any(item.completed for item in omi.items.values()))
    user.systemctl("stop", UNIT)
    assert (user.show("Result"), user.show("ExecMainStatus")) == ("success", "0")
    began, ended = (
        int(user.show(f"{name}TimestampMonotonic")) for name in ("ActiveExit", "InactiveEnter")
    )
    assert ended - began < 5_000_000


def test_the_service_waits_for_a_todo_file(user: User) -> None:
    """It is ready without one, says so, and begins when the file appears, its folder included."""
    user.run("rm", "-r", f"{user.home}/notes")
    user.install()
    assert re.search(r"no (such|todo) file", user.show("StatusText"))
    user.write(user.todo, "- [ ] Buy milk\n")
    user.omi.until(lambda omi: len(omi.items) == 1)
    assert user.show("NRestarts") == "0"


def test_the_service_waits_for_the_server(user: User) -> None:
    """It is ready without a network, says what is wrong, and catches up."""
    user.omi.stop()
    user.install()
    assert user.show("ActiveState") == "active"
    user.wait_for(r"cycle\.trouble")
    user.omi.start()
    user.omi.until(lambda omi: len(omi.items) == 1)
    assert user.show("NRestarts") == "0"


def test_a_wrong_config_is_not_tried_again(user: User) -> None:
    """78 ends the service until a person acted; then it starts."""
    user.install()
    user.systemctl("stop", UNIT)
    user.configure(more="[sync]\ndirection = 1\n")
    user.systemctl("start", UNIT, code=1)
    assert user.show("ExecMainStatus") == "78"
    assert (user.show("SubState"), user.show("NRestarts")) == ("failed", "0")
    user.configure()
    user.systemctl("start", UNIT)
    assert user.show("ActiveState") == "active"


def test_a_hanging_service_is_replaced(user: User) -> None:
    """A stopped process misses the watchdog, is killed and started again, and goes on."""
    user.install()
    user.omi.until(lambda omi: len(omi.items) == 1)
    user.drop_in("[Service]\nWatchdogSec=1\nRestartSec=100ms\n")
    user.systemctl("restart", UNIT)
    user.wait_for("Stopped", "Started")
    user.run("kill", "-STOP", user.show("MainPID"))
    user.wait_for("Watchdog timeout", "Fatal Python error: Aborted", "Started")
    assert user.show("NRestarts") == "1"
    user.write(user.todo, "- [x] Buy milk\n")
    user.omi.until(lambda omi: all(item.completed for item in omi.items.values()))
    assert user.omi.items() == {"Buy milk": True}


def test_a_killed_service_is_started_again(user: User) -> None:
    """After a crash it comes back by itself and doubles nothing."""
    user.install()
    user.omi.until(lambda omi: len(omi.items) == 1)
    user.drop_in("[Service]\nRestartSec=100ms\n")
    user.wait_for("Started")
    user.run("kill", "-KILL", user.show("MainPID"))
    user.wait_for("status=9/KILL", "Started")
    user.write(user.todo, "- [ ] Buy milk\n- [ ] Call Ann\n")
    user.omi.until(lambda omi: len(omi.items) == 2)
    assert user.omi.items() == {"Buy milk": False, "Call Ann": False}


def test_nasty_names_reach_the_service_unchanged(user: User) -> None:
    """Config, state and todo folders with quotes, percents and dollars work as plain ones do."""
    user.folder = NASTY
    user.write(user.todo, "- [ ] Buy milk\n")
    state = f"{user.home}/{NASTY}/state/todo.db"
    user.configure(f"{user.home}/{NASTY}/{NASTY}.toml", f"[state]\npath = '''{state}'''\n")
    user.install()
    assert user.unit.startswith("omisync@")
    user.omi.until(lambda omi: len(omi.items) == 1)
    assert user.show("ActiveState") == "active"
    assert "up to date" in user.omisync("service", "status")
    assert "todo.db" in user.run("ls", os.path.dirname(state))  # noqa: PTH120 - a path inside


def test_a_program_in_a_nasty_folder_is_started(user: User) -> None:
    """The kernel and systemd find the program wherever it is installed."""
    program = f"{user.home}/{NASTY}/bin/omisync"
    user.write(program, f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m omisync "$@"\n')
    user.run("chmod", "755", program)
    config, state = Path(f"{user.home}/.config/omisync/config.toml"), f"{user.home}/{NASTY}"
    variables = (("XDG_STATE_HOME", state),)
    here = units.Installation((program,), config, Path(state, "omisync"), environment=variables)
    folder = f"{user.home}/.config/systemd/user"
    user.write(f"{folder}/{UNIT}", units.written(units.source(UNIT), here))
    user.systemctl("daemon-reload")
    user.systemctl("start", UNIT)
    user.omi.until(lambda omi: len(omi.items) == 1)
    assert ".db" in user.run("ls", f"{state}/omisync")


def test_the_service_can_write_its_state_alone(user: User) -> None:
    """The home and the todo file are read-only for it, the state is not."""
    user.install()
    fails = " && ".join(f"! touch {place}" for place in ("%h/notes/todo.md", "%h/x", "%t/x"))
    works = "touch %h/.local/state/omisync/x"
    user.drop_in(f'[Service]\nExecStartPost=sh -c "{fails} && {works}"\n')
    user.systemctl("restart", UNIT)
    assert user.show("ActiveState") == "active"


def test_a_run_by_hand_and_the_service_are_one(user: User) -> None:
    """``omisync --once`` beside the service asks it for a sync, and both use one store."""
    user.install()
    user.omi.until(lambda omi: len(omi.items) == 1)
    user.omi.writes()
    assert "In sync" in user.omisync("--once")
    assert user.omi.writes() == []
    user.systemctl("stop", UNIT)
    assert "In sync" in user.omisync("--once")
    assert user.omi.writes() == []


def test_the_key_can_be_a_credential(user: User) -> None:
    """With LoadCredential= the config needs no key file."""
    user.install()
    user.systemctl("stop", UNIT)
    config = f"{user.home}/.config/omisync/config.toml"
    user.run("sed", "-i", "/api_key_file/d", config)
    user.drop_in("[Service]\nLoadCredential=omi-api-key:%h/key\n")
    user.write(user.todo, "- [ ] Buy milk\n- [ ] Call Ann\n")
    user.systemctl("start", UNIT)
    user.omi.until(lambda omi: len(omi.items) == 2)


def test_without_user_namespaces_it_runs_as_well(user: User) -> None:
    """The unit for machines that forbid them starts, in the namespace of everybody."""
    user.install()
    user.systemctl("stop", UNIT)
    path = f"{user.home}/.config/systemd/user/{UNIT}"
    paragraphs = user.run("cat", path).split("\n\n")
    user.write(path, "\n\n".join(p for p in paragraphs if units.NEEDS_NAMESPACES not in p))
    user.systemctl("daemon-reload")
    user.systemctl("start", UNIT)
    mine = user.run("readlink", "/proc/self/ns/user")
    assert user.run("readlink", f"/proc/{user.show('MainPID')}/ns/user") == mine
    user.omi.until(lambda omi: len(omi.items) == 1)


def test_the_units_work_as_people_copy_them(user: User) -> None:
    """Copied by hand, one list and an instance for another run side by side."""
    folder = f"{user.home}/.config/systemd/user"
    for name in ("omisync.service", "omisync@.service"):
        user.write(f"{folder}/{name}", units.source(name))
    user.run("mkdir", "-p", f"{user.home}/.local/bin")
    user.write(
        f"{user.home}/.local/bin/omisync", f'#!/bin/sh\nexec {sys.executable} -m omisync "$@"\n'
    )
    user.run("chmod", "755", f"{user.home}/.local/bin/omisync")
    user.folder = "work"
    user.write(user.todo, "- [ ] Call Ann\n")
    user.configure(f"{user.home}/.config/omisync/work-list.toml")
    user.systemctl("daemon-reload")
    user.systemctl("enable", "--now", UNIT, "omisync@work-list.service")
    user.omi.until(lambda omi: len(omi.items) == 2)
    assert user.omi.items() == {"Buy milk": False, "Call Ann": False}
    user.systemctl("stop", UNIT)
    assert "In sync" in user.omisync("--once")
    assert user.run("systemctl", "--user", "is-active", "omisync@work-list").strip() == "active"


def test_the_timer_syncs_and_goes(user: User) -> None:
    """The pair is enabled as told, one run syncs, and uninstall leaves nothing behind."""
    user.install("--timer")
    assert user.unit == "omisync-once.timer"
    assert user.show("ActiveState") == "active"
    user.systemctl("start", "omisync-once.service")
    assert user.omi.items() == {"Buy milk": False}
    said = user.omisync("service", "uninstall")
    for step in [line.strip() for line in said.splitlines() if line.startswith("  systemctl")]:
        user.run(*shlex.split(step))
    assert (
        user.run("find", f"{user.home}/.config/systemd/user", "-type", "l", "-o", "-type", "f")
        == ""
    )
    assert user.show("ActiveState") != "active"


def test_two_way_writes_the_file_under_the_unit(user: User) -> None:
    """A tick in the app is in the file, whose mode, owner and group stay; nothing else is there."""
    user.configure(more='[sync]\ndirection = "two-way"\n')
    user.machine.run("groupadd", "--force", "family")
    folder = f"{user.home}/notes"
    user.machine.run("chgrp", "family", folder, user.todo)
    user.machine.run("chmod", "2770", folder)
    user.machine.run("chmod", "664", user.todo)
    user.install()
    user.omi.until(lambda omi: len(omi.items) == 1)
    user.wait_for(r"cycle\.done.*created=1")
    (item,) = user.omi.sandbox.items.values()
    item.completed = True
    assert "1 edited in the file" in user.omisync("--once")
    assert user.run("cat", user.todo) == "- [x] Buy milk\n"
    assert user.run("stat", "-c", "%U %G %a", user.todo) == f"{user.name} family 664\n"
    assert user.run("ls", "-A", folder) == "todo.md\n"
    assert "is as it was" in user.omisync("undo")
    assert user.omi.items() == {"Buy milk": False}
    user.write(user.todo, "- [ ] Buy milk\n- [ ] Call Ann\n")
    user.omi.until(lambda omi: len(omi.items) == 2)


def test_two_way_needs_the_unit_of_two_way(user: User) -> None:
    """With the unit of a push nothing is lost: it says what to run, and after that it works."""
    user.install()
    user.omi.until(lambda omi: len(omi.items) == 1)
    user.wait_for(r"cycle\.done.*created=1")
    user.configure(more='[sync]\ndirection = "two-way"\n')
    user.wait_for(r"config\.loaded")
    (item,) = user.omi.sandbox.items.values()
    item.completed = True
    assert "config.toml service install` again" in user.omisync("--once", code=65)
    assert user.run("cat", user.todo) == "- [ ] Buy milk\n"
    user.install()
    assert "In sync" in user.omisync("--once")
    assert user.run("cat", user.todo) == "- [x] Buy milk\n"
