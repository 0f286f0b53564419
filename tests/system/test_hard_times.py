"""The real command where the machine is unwell: no room, no rights, a held store, frozen time.

Whatever it is, nothing is lost or doubled, it is said what is wrong, and when it is
over the work goes on: the daemon by itself, ``--once`` with its next run.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from machine import PATIENCE, Machine, lines
from running import Daemon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from machine import Omi


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
    with mounted(machine.state, f"size={ROOM}", "nr_inodes=20"):
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
        assert machine.run("status").code == 75, "it cannot be looked into either"
    assert machine.once().code == 0
    assert omi.items() == {"task 1": False, "task 2": True, "task 3": False}
    machine.settled()


@pytest.mark.parametrize("left", [None, 0, 4096, 8 * 4096])
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
        assert machine.once().code == 0
        assert omi.items() == {"task 1": False, "task 2": False}
        machine.settled()


# A store that another process holds.


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
