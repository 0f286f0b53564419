"""The real command where the machine is unwell: no room, no rights, a held store, frozen time.

Whatever it is, nothing is lost or doubled, it is said what is wrong, and when it is
over the work goes on: the daemon by itself, ``--once`` with its next run.
"""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from machine import PATIENCE, Machine, ended, lines
from running import Daemon

from omisync.sandbox import KEY

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from machine import Omi

    from omisync.sandbox.faults import Fault


TWO_WAY = {"sync": 'direction = "two-way"\ntimezone = "UTC"\n', "watch": "settle = 0.01\n"}
ROOM = 2**20
"""Bytes of a small disk: enough for the state of a few hundred tasks."""


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Have a file system of its own at this folder; skip where none can be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", ",".join(["mode=700", *options]), "none", folder],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here (that takes root)")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def disk(machine: Machine) -> Iterator[Path]:
    """The folder of the state, on a small disk of its own."""
    with mounted(machine.state, f"size={ROOM}", "nr_inodes=60"):
        yield machine.state


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Leave no byte free on the disk of this folder."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as filling, suppress(OSError):
        while filling.write(bytes(4096)):
            pass
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def crowded(folder: Path) -> Iterator[None]:
    """Leave no file free on the disk of this folder, however small."""
    made = []
    with suppress(OSError):
        while True:
            made.append(folder / f"ballast{len(made)}")
            made[-1].touch()
    try:
        yield
    finally:
        for path in made:
            path.unlink(missing_ok=True)


# No room for the state.


def test_a_full_disk_for_the_state_is_temporary(machine: Machine, omi: Omi, disk: Path) -> None:
    """75 and where room is needed, nothing sent; with room the next run does it all."""
    machine.synced(lines(1, 2))
    machine.write(lines(1) + "- [x] task 2\n- [ ] task 3\n")
    with full(disk):
        ran = machine.once("--timeout", "0")
        assert ran.code == 75, ran.said
        assert "No room on the disk" in ran.err
        assert str(machine.store) in ran.err
        assert omi.sent() == []
        for _ in range(2):  # reading makes files, too: it has to do without
            ran = machine.run("status")
            said = f"No room on the disk for the state store {machine.store} (No space left"
            assert (ran.code, said in ran.out) == (75, True), ran.said
            assert machine.run("status", "--json").data["tasks"] == 2
        assert "task 2" in machine.run("log").out
        assert machine.run("--dry-run").code == 0
    assert machine.once().code == 0
    assert omi.items() == {"task 1": False, "task 2": True, "task 3": False}
    machine.settled()


@pytest.mark.parametrize(
    "left",
    [None, 0, *(pytest.param(more, marks=pytest.mark.campaign) for more in (4096, 8 * 4096))],
)
def test_a_first_sync_on_a_full_disk_is_temporary(
    machine: Machine, omi: Omi, disk: Path, left: int | None
) -> None:
    """75 as well where there is no room for a new state, or half of one; a daemon waits for it."""
    machine.write(lines(1, 2))
    room = disk / "room"
    room.write_bytes(bytes(left or 0))
    with full(disk) if left is not None else crowded(disk):
        if left is not None:
            room.unlink()
        ran = machine.once("--timeout", "0")
        assert ran.code == 75, ran.said
        assert "Free some space" in ran.err
        with Daemon(machine) as stopped:
            stopped.until(r"store\.waiting.*Free some space")
            assert stopped.end().code == 0
        daemon = Daemon(machine)
        daemon.until(r"store\.waiting.*Free some space")
        assert omi.sent() == []
    with daemon:
        daemon.until(r"cycle\.done .*code=0")
        assert daemon.end().code == 0
    assert omi.items() == {"task 1": False, "task 2": False}
    machine.settled()


def test_a_daemon_whose_disk_is_full_goes_on_by_itself(
    machine: Machine, omi: Omi, disk: Path
) -> None:
    """It says so and stays; a create that could not be noted down as done is found again."""
    machine.write(lines(1, 2))
    with Daemon(machine, "-v") as daemon:
        daemon.until(r"cycle\.done .*code=0")
        omi.sandbox.slow_seconds = PATIENCE
        omi.sandbox.fault_next("slow", method="POST")
        machine.write(lines(*range(1, 300)))
        omi.until(lambda sandbox: bool(sandbox.waiting))
        with full(disk):
            omi.release()
            daemon.until(r"cycle\.trouble.*No room on the disk")
            made = len(omi.sandbox.items)
        assert 2 < made < 299
        omi.until(lambda sandbox: len(sandbox.items) >= 299)
        daemon.until(r"cycle\.done .*code=0")
        assert daemon.end().code == 0
    assert omi.items() == {f"task {n}": False for n in range(1, 300)}
    machine.settled()


# No descriptors.


def test_a_daemon_that_can_open_no_file_for_a_while_goes_on_by_itself(
    machine: Machine, omi: Omi
) -> None:
    """It is no fault of the file, the key or the config: told as what it is, and tried again."""
    key = machine.home / "key"
    key.write_text(KEY)
    key.chmod(0o600)
    machine.environ.pop("OMI_API_KEY")
    machine.configure(omi=f'api_key_file = "{key}"\n')
    machine.write(lines(1))
    with Daemon(machine) as daemon:
        daemon.until(r"cycle\.done .*code=0")
        number = daemon.process.pid
        open_ones = max(int(one.name) for one in Path(f"/proc/{number}/fd").iterdir())
        before = resource.prlimit(number, resource.RLIMIT_NOFILE)
        resource.prlimit(number, resource.RLIMIT_NOFILE, (open_ones + 1, before[1]))
        machine.write(lines(1, 2))
        said = daemon.until(r"cycle\.trouble.*todo\.md cannot be read: Too many open files")
        assert "ulimit -n" in said
        resource.prlimit(number, resource.RLIMIT_NOFILE, before)
        omi.until(lambda _: omi.items() == {"task 1": False, "task 2": False})
        assert daemon.end().code == 0
    assert daemon.said.count("\n") == len(daemon.lines)
    assert "Traceback" not in daemon.said


def test_too_few_descriptors_are_told_as_such(machine: Machine, omi: Omi) -> None:
    """75 and the limit to raise, however early they run out; the state is not blamed."""
    machine.synced(lines(1))
    machine.write(lines(1, 2))
    for few in (6, 8, 10):
        command = f"ulimit -n {few}; exec {sys.executable} -m omisync --once --timeout 0"
        ran = subprocess.run(
            ["/bin/sh", "-c", command],
            env=machine.surroundings(),
            cwd=machine.home,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ran.returncode == 75, ran.stderr
        assert "ulimit -n" in ran.stderr
    assert machine.once().code == 0
    assert omi.items() == {"task 1": False, "task 2": False}


# No room for the todo file.


def test_a_full_disk_for_the_todo_file_is_temporary(machine: Machine, omi: Omi) -> None:
    """Two-way: 75 and the file stands; what was typed is sent, what came is written with room."""
    machine.name, machine.settings = "lists/todo.md", TWO_WAY
    machine.configure()
    folder = machine.todo.parent
    with mounted(folder, f"size={ROOM}"):
        machine.synced(lines(1, 2))
        (first,) = (one for one in omi.sandbox.items.values() if one.description == "task 1")
        first.completed = True
        typed = lines(1, 2) + "- [ ] typed\n"
        machine.write(typed)
        with full(folder):
            ran = machine.once("--timeout", "0")
            assert ran.code == 75, ran.said
            assert "no room on the disk" in ran.err
            assert machine.todo.read_text() == typed
            assert omi.items() == {"task 1": True, "task 2": False, "typed": False}
            assert "✗ writing      no room on the disk" in machine.run("doctor").out
        assert "✓ writing" in machine.run("doctor").out
        with Daemon(machine, "-v") as daemon:
            daemon.until(r"cycle\.done .*code=0")
            first.completed = False
            with full(folder):
                daemon.process.send_signal(signal.SIGUSR1)
                daemon.until(r"cycle\.trouble.*no room")
                assert machine.todo.read_text() == typed.replace("[ ] task 1", "[x] task 1")
            daemon.until(r"cycle\.done .*line_changed=1.*code=0")
            assert daemon.end().code == 0
        assert machine.todo.read_text() == typed
        assert sorted(path.name for path in folder.iterdir()) == ["todo.md"]
        machine.omi.sent()
        assert (machine.once().code, machine.omi.writes()) == (0, [])


# No rights for the state.


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nothing be written into this folder: for root, only a read-only disk does that."""
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", folder], check=True)


@pytest.mark.parametrize("begun", [True, False])
def test_a_state_that_cannot_be_written(machine: Machine, omi: Omi, begun: bool) -> None:
    """74, the folder and what to do, nothing sent, by ``--once`` and daemon; then it works."""
    machine.state.mkdir(parents=True, mode=0o700)
    with ExitStack() as stack:
        if os.geteuid() == 0:
            stack.enter_context(mounted(machine.state))
        if begun:
            machine.synced(lines(1))
        machine.write(lines(1, 2))
        with read_only(machine.state):
            for words in (("--once",), ()):
                ran = machine.run(*words)
                assert ran.code == 74, ran.said
                assert str(machine.state) in ran.err
                assert "[state] path" in ran.err
            assert omi.sent() == []
            ran = machine.run("doctor")
            assert ran.code == 74
            assert f"{machine.state}" in ran.out
            assert "cannot be written: " in ran.out
            ran = machine.run("status")
            assert (ran.code, ran.out.splitlines()[0]) == (74, "Stopped: this needs you.")
        assert machine.once().code == 0
        assert machine.run("status").code == 0
        assert omi.items() == {"task 1": False, "task 2": False}
        machine.settled()


def test_a_state_whose_name_is_too_long(machine: Machine, omi: Omi) -> None:
    """74 and what to do, from whatever looks for it, also where only the lock's name is."""
    machine.write(lines(1))
    machine.configure(state=f'path = "{"s" * 252}"')  # and ".lock"; 255 is the most
    ran = machine.once()
    assert (ran.code, "cannot be written: File name too long" in ran.err) == (74, True), ran.said
    machine.configure(state=f'path = "{"s" * 300}"')
    for word in ("--once", "status", "doctor", "plan", "log", "retry"):
        ran = machine.run(word)
        assert ran.code == 74, ran.said
        assert "[state] path" in ran.err + ran.out
    assert "POST" not in omi.writes()


@pytest.mark.parametrize("what", ["folder", "symlink", "link", "table", "no table"])
def test_doctor_finds_what_a_sync_would_stop_at(machine: Machine, omi: Omi, what: str) -> None:
    """74 from both, about the same file, and nothing is sent."""
    machine.synced(lines(1))
    lock = machine.store.with_name(f"{machine.store.name}.lock")
    named = machine.store
    if "table" in what:
        with closing(sqlite3.connect(machine.store)) as tool:
            tool.execute("DROP TABLE gates" if what == "no table" else "CREATE TABLE x (y)")
    else:
        lock.unlink()
        named = lock
        if what == "folder":
            lock.mkdir()
        elif what == "symlink":
            lock.symlink_to(machine.todo)
        else:
            os.link(machine.todo, lock)
    machine.write(lines(1, 2))
    for words in (("--once",), ("doctor",)):
        ran = machine.run(*words)
        assert ran.code == 74, ran.said
        assert str(named) in ran.out + ran.err
    assert omi.writes() == ["PATCH"]  # doctor's, of an item that cannot exist
    assert machine.todo.read_text() == lines(1, 2)


# A store that another process holds.


@pytest.mark.campaign  # SQLite waits some seconds before it gives up
def test_a_daemon_starts_though_another_process_writes_to_its_database(
    machine: Machine, omi: Omi
) -> None:
    """What keeps its house at the start can wait, and it goes on by itself."""
    machine.synced(lines(1, 2))
    machine.write(lines(1, 2, 3))
    with closing(sqlite3.connect(machine.store, isolation_level=None)) as tool:
        tool.execute("BEGIN IMMEDIATE")
        ran = machine.run("doctor")
        assert (ran.code, "is held by another process" in ran.out) == (75, True)
        with Daemon(machine, "-v") as daemon:
            daemon.until(r"cycle\.trouble.*held by another process")
            tool.execute("ROLLBACK")
            daemon.until(r"cycle\.done .*code=0")
            assert daemon.end().code == 0
    assert len(omi.items()) == 3
    machine.settled()


@pytest.mark.campaign  # SQLite waits some seconds before it gives up
def test_a_database_that_another_process_writes_is_waited_for(machine: Machine, omi: Omi) -> None:
    """Somebody looks into the state with a tool, and holds it: the daemon says so and goes on."""
    machine.write(lines(1, 2))
    with Daemon(machine, "-v") as daemon:
        daemon.until(r"cycle\.done .*code=0")
        with closing(sqlite3.connect(machine.store, isolation_level=None)) as tool:
            tool.execute("BEGIN IMMEDIATE")
            machine.write(lines(1, 2, 3))
            daemon.until(r"cycle\.trouble.*held by another process")
            assert "task 3" not in omi.items()
            tool.execute("ROLLBACK")
        omi.until(lambda sandbox: len(sandbox.items) == 3)
        daemon.until(r"cycle\.done .*code=0")
        assert daemon.end().code == 0
    machine.settled()


# Frozen and killed.


def test_a_frozen_daemon_goes_on_where_it_was(machine: Machine, omi: Omi) -> None:
    """SIGSTOP within a create: what was answered and saved meanwhile is taken up after SIGCONT."""
    machine.write(lines(1, 2))
    with Daemon(machine, "-v") as daemon:
        daemon.until(r"cycle\.done .*code=0")
        omi.sandbox.slow_seconds = PATIENCE
        omi.sandbox.fault_next("slow", method="POST")
        machine.write(lines(1, 2, 3))
        omi.until(lambda sandbox: bool(sandbox.waiting))
        daemon.process.send_signal(signal.SIGSTOP)
        omi.release()
        omi.until(lambda sandbox: len(sandbox.items) == 3)
        machine.write("- [x] task 1\n- [ ] task 2\n- [x] task 3\n- [ ] task 4\n")
        daemon.process.send_signal(signal.SIGCONT)
        expected = {"task 1": True, "task 2": False, "task 3": True, "task 4": False}
        omi.until(lambda _: omi.items() == expected)
        daemon.until(r"cycle\.done .*code=0")
        assert daemon.end().code == 0
    assert omi.items() == expected
    machine.settled()


def test_nobody_waits_for_ever_for_a_frozen_daemon(machine: Machine, omi: Omi) -> None:
    """It is told that the daemon gives no sign, and by which process; later all is done."""
    machine.write(lines(1, 2))
    with Daemon(machine, "-v") as daemon:
        daemon.until(r"cycle\.done .*code=0")
        daemon.process.send_signal(signal.SIGSTOP)
        machine.write(lines(1, 2, 3))
        ran = machine.once("--timeout", "0")
        assert (ran.code, ran.out) == (75, "")
        assert "gives no sign of life" in ran.err
        asked = [machine.start(*words) for words in (["status"], ["doctor"], ["forget", "task"])]
        status, doctor, forget = (ended(process) for process in asked)
        assert (status.code, doctor.code, forget.code) == (75, 75, 75)
        assert f"process {daemon.process.pid}" in status.out
        assert "gives no sign of life" in status.out.splitlines()[0]
        assert re.search("daemon .*gives no sign of life", doctor.out)
        assert "gives no sign of life" in forget.err
        machine.write("")
        assert machine.once("--allow-removals", "--timeout", "0").code == 75
        daemon.process.send_signal(signal.SIGCONT)
        daemon.until(r"cycle\.done .*code=65")  # it was not asked to allow that
        machine.write(lines(1, 2, 3))
        assert machine.once().code == 0
        assert daemon.end().code == 0
    assert omi.items() == {"task 1": False, "task 2": False, "task 3": False}
    machine.settled()


# Bad days.


@dataclass
class Day:
    """A daemon, a person at the file and, in two-way, another at the app, and what goes wrong.

    ``here`` are the tasks of the file's person, ``there`` those of the app's: what each
    says last is what both sides have to say in the end.
    """

    machine: Machine
    dice: random.Random
    done: Counter[str]
    two_way: bool
    here: dict[str, bool] = field(default_factory=dict)
    there: dict[str, bool] = field(default_factory=dict)

    @property
    def omi(self) -> Omi:
        """The account."""
        return self.machine.omi

    def word(self) -> str:
        """Return the text of a new task, like no other."""
        return f"{self.dice.randbytes(6).hex()} {self.dice.randbytes(6).hex()}"

    def edited(self, tasks: dict[str, bool]) -> dict[str, str]:
        """Tick, untick and reword a few of these tasks, and add one; return old text to new."""
        moved = {}
        for text in self.dice.sample(sorted(tasks), min(4, len(tasks))):
            # A finished line that is open and different is a new task, so no task is given both.
            if text[0] in "01234567":
                tasks[text] = not tasks[text]
            else:
                moved[text] = f"{text.removesuffix(' on')}{'' if text.endswith(' on') else ' on'}"
                tasks[moved[text]] = tasks.pop(text)
        tasks[self.word()] = False
        self.done["edits"] += 5
        return moved

    def edit_file(self) -> None:
        """Edit the lines that are one's own, on the version that is there now."""
        former = self.machine.todo.read_text() if self.machine.todo.exists() else ""
        moved, mine = self.edited(self.here), set(self.here)
        kept = []
        for mark, text in re.findall(r"- \[(.)\] (.*)", former):
            said = moved.get(text, text)
            if said in self.here:
                mine.discard(said)
                kept.append(f"- [{'x' if self.here[said] else ' '}] {said}\n")
            else:
                kept.append(f"- [{mark}] {text}\n")
        kept += [f"- [{'x' if self.here[text] else ' '}] {text}\n" for text in sorted(mine)]
        if self.dice.random() < 0.5:
            self.machine.write("".join(kept))
            return
        draft = self.machine.todo.with_name("draft~")
        draft.write_text("".join(kept))
        draft.replace(self.machine.todo)

    def edit_app(self) -> None:
        """Edit the items that are the app's."""

        def edit() -> None:
            sandbox = self.omi.sandbox
            moved = self.edited(self.there)
            by_text = {item.description: item for item in sandbox.items.values()}
            for old, new in moved.items():
                by_text[old].description = new
                by_text[new] = by_text[old]
            for text, done in self.there.items():
                if text in by_text:
                    by_text[text].completed = done
                else:
                    sandbox.add(text, completed=done)

        self.omi.when(lambda _: True, edit).result(PATIENCE)

    def later(self, seconds: float) -> None:
        """Let the daemon go on for a while."""
        threading.Event().wait(seconds)

    def busy(self) -> None:
        """Wait for one of the next requests, or for nothing to be asked any more."""
        sandbox, over = self.omi.sandbox, threading.Event()
        moment = len(sandbox.requests) + len(sandbox.waiting) + self.dice.randint(1, 12)
        coming = self.omi.when(lambda omi: len(omi.requests) + len(omi.waiting) >= moment, over.set)
        over.wait(self.dice.uniform(0.1, 2))
        coming.cancel()

    def go_wrong(self, daemon: Daemon, disk: Path) -> None:
        """Let something happen to the machine, or to the daemon alone."""
        what = self.dice.choice(("kill", "kill", "stop", "freeze", "freeze", "full", "held", "ill"))
        self.done[what] += 1
        match what:
            case "kill":
                self.busy()
                daemon.end(signal.SIGKILL)
            case "stop":
                self.busy()
                daemon.end()
            case "freeze":
                self.busy()
                daemon.process.send_signal(signal.SIGSTOP)
                if self.dice.random() < 0.5:
                    self.edit_file()
                self.later(self.dice.uniform(0, 2))
                daemon.process.send_signal(signal.SIGCONT)
                self.busy()
            case "full":
                with full(disk):
                    self.busy()
                self.busy()
            case "held":
                with closing(sqlite3.connect(self.machine.store, isolation_level=None)) as tool:
                    with suppress(sqlite3.OperationalError):
                        tool.execute("BEGIN IMMEDIATE")
                    self.busy()
            case "ill":
                faults: list[Fault] = ["5xx_before", "5xx_after", "reset_after", "garbage", "429"]
                rates = dict.fromkeys(faults, 0.1)
                self.omi.sandbox.fault_rate(rates, self.dice.getrandbits(32))
                self.busy()
                self.slow()

    def slow(self) -> None:
        """Make Omi slow enough that what goes wrong meets requests under way."""
        self.omi.sandbox.slow_seconds, self.omi.sandbox.retry_after = 0.1, 1
        self.omi.fail("slow")

    def run(self, rounds: int, disk: Path) -> None:
        """Live through it, then compare."""
        self.slow()
        for _ in range(rounds):
            # Nobody edits a version of the file that is not there any more: editors notice.
            self.edit_file()
            with Daemon(self.machine) as daemon:
                daemon.until(r"daemon\.started")
                if self.two_way:
                    self.edit_app()
                    daemon.process.send_signal(signal.SIGUSR1)
                self.go_wrong(daemon, disk)
                if daemon.process.poll() is None:
                    assert daemon.end().code == 0
            self.done["rounds"] += 1
        self.omi.release()
        for _ in range(3):
            ran = self.machine.once("--yes")
            assert ran.code == 0, ran.said
        everything = self.here | self.there
        assert self.omi.items() == everything
        found = re.findall(r"- \[(.)\] (.*)", self.machine.todo.read_text())
        assert sorted(text for _, text in found) == sorted(set(everything))
        assert {text: mark == "x" for mark, text in found} == everything
        self.done["requests"] += len(self.omi.sent())
        assert (self.machine.once().code, self.omi.writes()) == (0, [])


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("way", ["push", "two-way"])
def test_bad_days(machine: Machine, disk: Path, way: str, seed: int, tally: Counter[str]) -> None:
    """Killed, stopped, frozen, without room, held and failed at random: each task once, as said."""
    if way == "two-way":
        machine.settings = TWO_WAY | {"sync": f'{TWO_WAY["sync"]}import_items = "all"\n'}
        machine.configure()
    Day(machine, random.Random(f"{way} {seed}"), tally, way == "two-way").run(25, disk)
