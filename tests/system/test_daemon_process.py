"""The daemon as a process: signals, kills, systemd's socket, and commands beside it."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from machine import PATIENCE, Machine, ended, lines, started
from running import Daemon

from omisync import control

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from machine import Omi

    from omisync.sandbox import Sandbox

COMMAND = [sys.executable, "-m", "omisync"]

BEGUN = "- [ ] buy milk\n- [ ] walk\n"


@contextmanager
def synced(machine: Machine, *arguments: str, **environ: str | None) -> Iterator[Daemon]:
    """A daemon that has brought the usual list to Omi; it has to end well, and silently."""
    machine.write(BEGUN)
    with Daemon(machine, "-v", *arguments, **environ) as daemon:
        daemon.until(r"cycle\.done .*code=0")
        machine.omi.sent()
        yield daemon
        if daemon.process.poll() is None:
            ran = daemon.end()
            assert (ran.code, ran.out) == (0, "")


# Signals and kills.


def idle(machine: Machine, daemon: Daemon) -> None:
    """Nothing to do."""


def settling(machine: Machine, daemon: Daemon) -> None:
    """A save was made this moment."""
    machine.write("- [x] buy milk\n- [ ] walk\n")


def hanging_change(machine: Machine, daemon: Daemon) -> None:
    """Omi does not answer a PATCH."""
    machine.omi.sandbox.fault_next("hang", method="PATCH")
    machine.write("- [x] buy milk\n- [ ] walk\n")
    machine.omi.until(lambda omi: bool(omi.waiting))


def hanging_create(machine: Machine, daemon: Daemon) -> None:
    """Omi made a task and does not answer."""
    machine.omi.sandbox.fault_next("hang_after", method="POST")
    machine.write(f"{BEGUN}- [ ] call Ann\n")
    machine.omi.until(lambda omi: bool(omi.waiting))


def backing_off(machine: Machine, daemon: Daemon) -> None:
    """Omi is away, and the next try is some time off."""
    machine.omi.stop()
    machine.write("- [x] buy milk\n- [ ] walk\n")
    daemon.until(r"cycle\.trouble")


def limited(machine: Machine, daemon: Daemon) -> None:
    """Omi takes no writes for a second."""
    machine.omi.sandbox.fault_next("429", method="PATCH")
    machine.write("- [x] buy milk\n- [ ] walk\n")
    daemon.until(r"cycle\.done .*code=75")


def pushing(machine: Machine, daemon: Daemon) -> None:
    """Many tasks are on their way, the first of them made but not answered."""
    machine.omi.sandbox.slow_seconds = PATIENCE
    machine.omi.sandbox.fault_next("slow", method="POST")
    machine.write(BEGUN + lines(*range(180)))
    machine.omi.until(lambda omi: bool(omi.waiting))


def started_with(pid: int) -> tuple[list[str], dict[str, str]]:
    """The command and the environment that a process was started with, the last time."""
    command, environ = (
        Path(f"/proc/{pid}/{name}").read_text().split("\0")[:-1] for name in ("cmdline", "environ")
    )
    return command, dict(pair.split("=", 1) for pair in environ)


@pytest.mark.parametrize(("chosen", "used"), [(None, "malloc"), ("pymalloc", "pymalloc")])
def test_memory_is_that_of_the_c_library(machine: Machine, chosen: str | None, used: str) -> None:
    """It returns what it no longer needs; nothing else of a start is changed by that."""
    if "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""):
        pytest.skip("another C library")
    machine.real = True
    machine.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # which every command sets
    given = ["-v", "-c", str(machine.config_file)]
    with synced(machine, *given[1:], PYTHONMALLOC=chosen) as daemon:
        command, environ = started_with(daemon.process.pid)
        assert command == [*COMMAND, *given]
        assert environ == machine.surroundings(PYTHONMALLOC=used)


STATES = [idle, settling, hanging_change, hanging_create, backing_off, limited, pushing]


def wanted(machine: Machine) -> dict[str, bool]:
    """What the file says."""
    found = re.findall(r"- \[(.)\] (.*)", machine.todo.read_text())
    return {text: mark == "x" for mark, text in found}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.campaign)],
)
def test_an_end_at_any_moment_loses_and_doubles_nothing(
    machine: Machine, number: signal.Signals, state: Callable[[Machine, Daemon], None]
) -> None:
    """Stopped or killed, whatever was under way, the next daemon brings all to Omi, once."""
    machine.omi.sandbox.retry_after = 1
    with synced(machine) as daemon:
        state(machine, daemon)
        ran = daemon.end(number)
        assert ran.code == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    if state is backing_off:
        machine.omi.start()
    machine.omi.release()
    with Daemon(machine, "-v") as daemon:
        daemon.until(r"cycle\.done .*code=0")
        machine.omi.until(lambda _: machine.omi.items() == wanted(machine))
        assert daemon.end().code == 0
    assert machine.omi.items() == wanted(machine)
    machine.settled()


@pytest.mark.parametrize(
    "rounds",
    [3, pytest.param(60, marks=pytest.mark.campaign)],
)
def test_ends_at_random_requests_lose_and_double_nothing(
    machine: Machine, omi: Omi, rounds: int
) -> None:
    """Edits, and each time a signal at one of the next requests; the last state is what counts."""
    dice = random.Random(rounds)
    texts = [f"{dice.randbytes(6).hex()} {n}" for n in range(40)]
    marks = dict.fromkeys(texts, " ")
    omi.sandbox.slow_seconds = 0.1
    omi.fail("slow")
    for number in range(rounds):
        for text in dice.sample(texts, 12):
            marks[text] = dice.choice(" x")
        marks[f"{dice.randbytes(6).hex()} new {number}"] = " "
        with Daemon(machine) as daemon:
            machine.write("".join(f"- [{mark}] {text}\n" for text, mark in marks.items()))
            moment = len(omi.sandbox.requests) + len(omi.sandbox.waiting) + dice.randint(1, 20)
            over = threading.Event()

            def strike(daemon: Daemon = daemon, over: threading.Event = over) -> None:
                daemon.process.send_signal(dice.choice([signal.SIGTERM, signal.SIGKILL]))
                over.set()

            def late(sandbox: Sandbox, moment: int = moment) -> bool:
                return len(sandbox.requests) + len(sandbox.waiting) >= moment

            daemon.until(r"daemon\.started")
            ends = [
                omi.when(late, strike),
                omi.when(lambda _: omi.items() == wanted(machine), over.set),
            ]
            assert over.wait(PATIENCE)
            for end in ends:
                end.cancel()
            assert daemon.end(signal.SIGTERM).code in {0, -signal.SIGKILL}
    omi.release()
    ran = machine.once()
    assert ran.code == 0, ran.said
    assert omi.items() == wanted(machine)
    machine.settled()


def test_a_stop_lets_the_request_under_way_end(machine: Machine, omi: Omi) -> None:
    """A slow answer that comes in time is settled: the next daemon asks nothing."""
    with synced(machine) as daemon:
        omi.sandbox.slow_seconds = PATIENCE
        omi.sandbox.fault_next("slow", method="PATCH")
        machine.write("- [x] buy milk\n- [ ] walk\n")
        omi.until(lambda sandbox: bool(sandbox.waiting))
        daemon.process.send_signal(signal.SIGTERM)
        omi.release()
        assert daemon.ended().code == 0
    machine.settled()


def test_an_interrupt_ends_with_130(machine: Machine) -> None:
    """Ctrl-C ends it as well, and says by its code that it was one."""
    with synced(machine) as daemon:
        ran = daemon.end(signal.SIGINT)
        assert ran.code == 130
        assert "Traceback" not in ran.err
    machine.settled()


def test_a_stop_while_it_starts_is_a_stop(machine: Machine) -> None:
    """Before or after it can listen to signals, it goes, and leaves nothing half done."""
    machine.write(BEGUN)
    with Daemon(machine) as daemon:
        assert daemon.end().code in {0, -signal.SIGTERM}
    with Systemd() as systemd, Daemon(machine, NOTIFY_SOCKET=systemd.address) as daemon:
        systemd.until("READY=1")
        assert daemon.end().code == 0
    assert machine.once().code == 0
    assert machine.omi.items() == {"buy milk": False, "walk": False}
    machine.settled()


def test_a_closed_terminal_ends_it(machine: Machine) -> None:
    """The same signal asks for a reload as long as the terminal is there."""
    machine.write(BEGUN)
    ours, theirs = pty.openpty()
    with Systemd() as systemd:
        around = machine.surroundings(NOTIFY_SOCKET=systemd.address)
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        with started((), machine.home, around, **streams) as process:
            os.close(theirs)
            systemd.until("STATUS=In sync")
            process.send_signal(signal.SIGHUP)
            systemd.until("RELOADING=1")
            systemd.until("STATUS=In sync")
            os.close(ours)
            process.send_signal(signal.SIGHUP)
            assert process.wait(PATIENCE) == 0
    machine.settled()


def test_a_signal_asks_for_a_cycle(machine: Machine) -> None:
    """SIGUSR1 looks at once; nothing is sent where nothing changed."""
    with synced(machine) as daemon:
        daemon.process.send_signal(signal.SIGUSR1)
        daemon.until(r"debug .*cycle\.done .*code=0")
        assert machine.omi.sent() == []


EARLY = """
import os, signal, sys

class Early:
    def find_spec(self, name, *_):
        if name == "omisync.daemon":
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGHUP)

sys.meta_path.insert(0, Early())
from omisync.cli import main
sys.exit(main(["-v"]))
"""
"""A daemon to which both signals come while it is still being loaded."""


def test_a_signal_that_comes_too_early_ends_nothing(machine: Machine, omi: Omi) -> None:
    """A start looks at the file and the config anyway."""
    machine.write(BEGUN)
    process = subprocess.Popen(
        [sys.executable, "-c", EARLY],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=machine.home,
        env=machine.surroundings(),
    )
    try:
        omi.until(lambda sandbox: len(sandbox.items) == 2 or process.poll() is not None)
    finally:
        process.terminate()
    ran = ended(process)
    assert ran.code == 0, ran.said


CLOSED = """
import fcntl, os, pty, sys, termios

os.setsid()
ours, theirs = pty.openpty()
fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
for stream in range(3):
    os.dup2(theirs, stream)
os.close(theirs)

class Closing:
    def find_spec(self, name, *_):
        if name == "omisync.daemon":
            os.close(ours)

sys.meta_path.insert(0, Closing())
from omisync.cli import main
sys.exit(main())
"""
"""A daemon whose terminal is closed while it is still being loaded."""


def test_a_terminal_that_is_closed_too_early_ends_it(machine: Machine) -> None:
    """Nobody could, and it would keep the list to itself."""
    machine.write(BEGUN)
    command = [sys.executable, "-c", CLOSED]
    around = machine.surroundings()
    with subprocess.Popen(command, cwd=machine.home, env=around) as process:
        assert process.wait(PATIENCE) == 0
    assert machine.once().code == 0
    machine.settled()


STARTING = """
import os, signal
with open(os.environ["STARTS"], "a") as file:
    file.write("x")
if os.environ.pop("PYTHONMALLOC", None) and "TELL" in os.environ:
    os.kill(os.getpid(), signal.SIGINT)
"""
"""Run by each start of Python: what chose the memory is taken away; a signal in the second."""


@pytest.mark.parametrize("interrupted", [False, True])
def test_it_starts_anew_once(machine: Machine, tmp_path: Path, interrupted: bool) -> None:
    """Whatever happens to the environment; a Ctrl-C that comes meanwhile is not a crash."""
    machine.real = True
    (tmp_path / "sitecustomize.py").write_text(STARTING)
    around = machine.surroundings()
    environ = {
        "PYTHONMALLOC": None,
        "PYTHONPATH": f"{tmp_path}:{around['PYTHONPATH']}",
        "STARTS": str(tmp_path / "starts"),
        **({"TELL": "1"} if interrupted else {}),
    }
    machine.write(BEGUN)
    with Daemon(machine, **environ) as daemon:
        if interrupted:
            ran = daemon.ended()
            assert (ran.code, ran.said) == (130, "Interrupted.\n")
        else:
            daemon.until(r"cycle\.done .*code=0")
            assert daemon.end().code == 0
    assert (tmp_path / "starts").read_text() == "xx"


# systemd.


class Systemd:
    """The socket that systemd listens at."""

    def __init__(self) -> None:
        name = f"omisync-test-{uuid.uuid4()}"
        self.address = f"@{name}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE)
        self._socket.bind(f"\0{name}")

    def until(self, text: str) -> list[str]:
        """Wait for a datagram with a line that begins so; return its lines."""
        while True:
            told = self._socket.recv(4096).decode().split("\n")
            if any(line.startswith(text) for line in told):
                return told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def test_systemd_is_told(machine: Machine) -> None:
    """READY, STATUS, WATCHDOG, RELOADING and READY, STOPPING: the life of a service."""
    with Systemd() as systemd:
        about = {"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "300000"}
        with synced(machine, **about) as daemon:
            systemd.until("READY=1")
            systemd.until("STATUS=In sync: 2 tasks")
            systemd.until("WATCHDOG=1")
            daemon.process.send_signal(signal.SIGHUP)
            told = systemd.until("RELOADING=1")
            assert re.fullmatch(r"MONOTONIC_USEC=\d+", told[1])
            systemd.until("READY=1")
            systemd.until("STATUS=In sync: 2 tasks")
            assert daemon.end().code == 0
            systemd.until("STOPPING=1")


def test_without_a_supervisor_nobody_is_told(machine: Machine) -> None:
    """A socket that is gone, or none, is no trouble."""
    with synced(machine, NOTIFY_SOCKET=str(machine.home / "gone")) as daemon:
        assert "Traceback" not in daemon.said


def test_a_run_under_way_is_waited_for(machine: Machine, omi: Omi) -> None:
    """The daemon is ready while ``omisync --once`` holds the store, and takes over after it."""
    machine.write(BEGUN)
    omi.sandbox.slow_seconds = PATIENCE
    omi.sandbox.fault_next("slow", method="POST")
    run = machine.start("--once")
    omi.until(lambda sandbox: bool(sandbox.waiting))
    with Systemd() as systemd, Daemon(machine, "-v", NOTIFY_SOCKET=systemd.address) as daemon:
        told = systemd.until("READY=1")
        assert told == ["READY=1", f"STATUS=waiting for omisync --once (process {run.pid})"]
        omi.release()
        assert ended(run).code == 0
        daemon.until(r"cycle\.done .*code=0")
        machine.write("- [x] buy milk\n- [ ] walk\n")
        omi.until(lambda _: omi.items() == {"buy milk": True, "walk": False})
        assert daemon.end().code == 0


# Two of them, and commands beside one.


ODD = (b'{"do": "cycle", "server": []}\n', b'{"do": "cycle", "todo": "a\\u0000b"}\n')
"""Requests that name no list and no server that there could be."""


def test_a_second_daemon_names_the_first(machine: Machine, omi: Omi) -> None:
    """One at a time on a store: the second ends with 75, the first goes on."""
    with synced(machine) as daemon:
        second = machine.run()
        assert second.code == 75
        assert f"the omisync daemon (process {daemon.process.pid})" in second.err
        machine.write("- [x] buy milk\n- [ ] walk\n")
        omi.until(lambda _: omi.items() == {"buy milk": True, "walk": False})


@pytest.mark.parametrize("place", ["runtime", "state"])
@pytest.mark.parametrize("name", [pytest.param("todo.md", marks=pytest.mark.campaign), "long"])
def test_a_run_by_hand_asks_the_daemon(
    machine: Machine, omi: Omi, place: str, name: str, tmp_path: Path
) -> None:
    """``--once`` is answered by the daemon, however long the paths are; a stale socket is none."""
    machine.environ |= {"XDG_RUNTIME_DIR": str(tmp_path)} if place == "runtime" else {}
    if name == "long":
        machine.name = "t" * 200 + ".md"
        state = machine.home / ("s" * 150) / ("d" * 220 + ".db")
        machine.settings["state"] = f'path = "{state}"\n'
    machine.settings["watch"] = "settle = 50\n"  # what is done is done because it was asked for
    machine.configure()
    with synced(machine) as daemon:
        machine.write("- [x] buy milk\n")
        ran = machine.once()
        assert ran == (0, "In sync: 1 task. 1 changed, 1 removed.\n", "")
        assert omi.items() == {"buy milk": True, "walk": True}
        daemon.until(r"cycle\.done .*removed=1")
        asked = machine.once("--json")
        assert asked.data["in_sync"]
        daemon.end(signal.SIGKILL)
    machine.write("- [ ] buy milk\n")
    assert machine.once().code == 0, "a socket that a killed daemon left is no daemon"
    assert omi.items() == {"buy milk": False, "walk": True}
    with Daemon(machine, "-v") as daemon:
        daemon.until(r"cycle\.done .*code=0")
        assert machine.once().out == "In sync: 1 task.\n"
        assert "lock" not in daemon.said
        assert daemon.end().code == 0


def test_a_run_by_hand_tells_what_the_daemon_waits_for(machine: Machine, omi: Omi) -> None:
    """Nobody stares at a silent line for a minute; it ends when the server is well again."""
    with synced(machine) as daemon:
        omi.fail("5xx_before")
        machine.write("- [x] buy milk\n- [x] walk\n")
        with Daemon(machine, "--once", "--timeout", "600") as run:
            run.until("waiting until .*: the server answered")
            omi.heal()
            ran = run.ended()
        assert ran.code == 0
        assert ran.err.count("waiting until") == 1
        assert daemon.end().code == 0


def test_the_socket_is_the_owners_alone(machine: Machine) -> None:
    """0600, and gone after the end."""
    with synced(machine) as daemon:
        path = control.place(machine.store, {})
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert daemon.end().code == 0
        assert not path.exists()


def test_nonsense_at_the_socket_is_no_matter(
    machine: Machine, omi: Omi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Garbage and silence reach the daemon; it goes on, and stops without waiting for them."""
    with synced(machine) as daemon:
        path = control.place(machine.store, {})
        monkeypatch.chdir(path.parent)  # the whole path may not fit into an address
        for garbage in (b"\xff\n", b"[" * 60_000 + b"\n", b'{"do": {}}\n', *ODD, b"x" * 10**6, b""):
            with socket.socket(socket.AF_UNIX) as talk:
                talk.connect(path.name)
                try:
                    talk.sendall(garbage)
                except (BrokenPipeError, ConnectionResetError):
                    continue
        with socket.socket(socket.AF_UNIX) as silent:
            silent.connect(path.name)
            assert machine.once().code == 0
            machine.write("- [x] buy milk\n- [ ] walk\n")
            omi.until(lambda _: omi.items() == {"buy milk": True, "walk": False})
            ran = daemon.end()
            assert ran.code == 0
            assert "Error" not in ran.err
            assert silent.recv(10) == b""


def test_commands_beside_the_daemon(machine: Machine, omi: Omi) -> None:
    """``status`` tells who runs; ``retry`` and ``forget`` reach the daemon."""
    with synced(machine) as daemon:
        status = machine.run("status")
        assert (status.code, status.err) == (0, "")
        assert f"the omisync daemon (process {daemon.process.pid})" in status.out
        omi.sandbox.fault_next("422", "422", method="PATCH")
        machine.write("- [x] buy milk\n")
        assert machine.once().code == 1
        assert machine.run("status").code == 1
        omi.sent()
        assert "buy milk: will be tried again" in machine.run("retry", "milk").out
        omi.until(lambda _: omi.items() == {"buy milk": True, "walk": False})
        assert "walk: forgotten" in machine.run("forget", "walk").out
        daemon.until(r"cycle\.done .*code=0")
        assert machine.once().code == 0
        assert omi.writes() == ["PATCH"]
        assert machine.run("retry", "bread").code == 2


@pytest.mark.parametrize("other", ["list", "server"])
def test_a_command_that_means_another_list_is_refused(
    machine: Machine, omi: Omi, other: str
) -> None:
    """Else it would carry out on the daemon's list what was said about its own."""
    state = f'path = "{machine.home}/state.db"\n'
    machine.configure(state=state)
    with synced(machine) as daemon:
        theirs, environ = machine.home / "other.toml", {}
        (machine.home / "other.md").write_text("- [ ] fly\n")
        if other == "list":
            theirs.write_text(f'[todo]\npath = "other.md"\n[state]\n{state}')
            environ = {"OMI_API_BASE": omi.sandbox.url}
        else:
            theirs.write_bytes(machine.config_file.read_bytes())
            environ = {"OMI_API_BASE": "http://127.0.0.1:9"}
        machine.write("")
        daemon.until(r"cycle\.trouble")
        for command in (["--once"], ["--once", "--allow-removals"], ["undo"], ["forget", "walk"]):
            ran = machine.run("-c", str(theirs), *command, **environ)
            assert ran.code == 78, ran.said
            assert "stop the daemon" in ran.err
        told = machine.run("-c", str(theirs), "--once", "--json", **environ)
        assert (told.code, told.data["code"]) == (78, 78)
        assert omi.items() == {"buy milk": False, "walk": False}
        assert machine.once("--allow-removals").code == 0
    assert omi.items() == {"buy milk": True, "walk": True}


# Config and log.


def test_a_hangup_reads_the_config_anew(machine: Machine, omi: Omi) -> None:
    """Invalid: refused and said, with its line. Valid: taken."""
    with synced(machine) as daemon:
        valid = machine.config_file.read_text()
        machine.config_file.write_text(f"{valid}[sync]\non_removal = 1\n")
        daemon.process.send_signal(signal.SIGHUP)
        line = daemon.until(r"config\.refused")
        assert re.search(r"config\.toml:\d+: sync\.on_removal is 1", line)
        machine.config_file.write_text(f'{valid}[sync]\non_removal = "delete"\n')
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(r"config\.loaded")
        machine.write("- [ ] buy milk\n")
        assert machine.once().code == 0
        assert omi.items() == {"buy milk": False}


def test_an_invalid_config_at_the_start_is_said(machine: Machine) -> None:
    """78 at once, with the line: there is nothing to go on with."""
    machine.configure(watch="settle = -1\n")
    ran = machine.run()
    assert ran.code == 78
    assert "watch.settle" in ran.err


@pytest.mark.parametrize("form", ["auto", "console", "json"])
def test_the_log_is_one_line_an_event(machine: Machine, omi: Omi, form: str) -> None:
    """Not coloured in a pipe, without keys, and without task texts unless asked for."""
    machine.configure(log=f'format = "{form}"\n')
    machine.write(BEGUN)
    with Daemon(machine) as daemon:
        daemon.until(r"cycle\.done")
        omi.sandbox.fault_next("401", method="PATCH")
        machine.write("- [x] buy milk\n- [ ] walk\n")
        daemon.until(r"cycle\.trouble")
        ran = daemon.end()
    assert ran.code == 0
    events = ["daemon.started", "cycle.done", "cycle.done", "cycle.trouble", "daemon.stopped"]
    said = ran.err.splitlines()
    assert [re.findall(r"\w+\.(?:started|done|trouble|stopped)", line)[0] for line in said] == (
        events
    )
    assert "\x1b" not in ran.err
    assert "milk" not in ran.err
    if form == "json":
        parsed = [json.loads(line) for line in said]
        assert [record["event"] for record in parsed] == events
        assert parsed[1]["created"] == 2


def test_the_journal_gets_priorities(machine: Machine, tmp_path: Path) -> None:
    """Where stderr is the journal, lines begin with their priority and have no time."""
    machine.write(BEGUN)
    machine.omi.sandbox.fault_next("401")
    with (tmp_path / "journal").open("w+") as journal, Systemd() as systemd:
        place = os.fstat(journal.fileno())
        around = machine.surroundings(
            JOURNAL_STREAM=f"{place.st_dev}:{place.st_ino}", NOTIFY_SOCKET=systemd.address
        )
        with started((), machine.home, around, stderr=journal) as process:
            systemd.until("STATUS=Stopped")
            process.terminate()
            assert process.wait(PATIENCE) == 0
        journal.seek(0)
        said = journal.read().splitlines()
    assert [line.partition(" ")[0] for line in said] == [
        "<6>daemon.started",
        "<6>cycle.done",
        "<4>cycle.trouble",
        "<6>daemon.stopped",
    ]


def test_a_terminal_gets_colours(machine: Machine) -> None:
    """At a terminal a person sees levels in colour."""
    machine.write(BEGUN)
    ours, theirs = pty.openpty()
    with Systemd() as systemd:
        around = machine.surroundings(NOTIFY_SOCKET=systemd.address, TERM="xterm")
        with started((), machine.home, around, stderr=theirs) as process:
            os.close(theirs)
            systemd.until("STATUS=In sync")
            process.terminate()
            assert process.wait(PATIENCE) == 0
    assert b"\x1b[" in os.read(ours, 10_000)
    os.close(ours)


def test_nobody_reads_the_log(machine: Machine, omi: Omi) -> None:
    """With its stderr closed by the reader, the daemon syncs on."""
    machine.write(BEGUN)
    process = machine.start("-v")
    assert process.stderr is not None
    assert "daemon.started" in process.stderr.readline()
    process.stderr.close()
    omi.until(lambda _: omi.items() == {"buy milk": False, "walk": False})
    for mark in "x x":
        machine.write(f"- [{mark}] buy milk\n- [ ] walk\n")
        omi.until(lambda _, mark=mark: omi.items() == {"buy milk": mark == "x", "walk": False})
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert process.stdout is not None
    process.stdout.close()
