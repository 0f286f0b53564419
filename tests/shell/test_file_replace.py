"""Replacing the todo file: what is kept, whose save stands, and what a failure leaves behind."""

from __future__ import annotations

import ctypes
import errno
import importlib
import multiprocessing
import os
import re
import resource
import signal
import stat
import struct
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import pytest

from omisync import file
from omisync.errors import FileChanged, FileHeld, FileMissing, FileUnusable, NoRoom, Strained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.sharedctypes import Synchronized
    from multiprocessing.synchronize import Event
    from pathlib import Path

NOBODY = 65534
OLD = b"- [ ] old\n"
NEW = b"- [ ] old\n- [ ] from the phone\n"
SAVED = b"- [ ] old\n- [ ] typed just now\n"
ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="gives files to other users")
STEPS = ("file.written", "file.checked", "file.swapped")

# The children only make system calls; pytest-xdist's thread is not needed in them.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

fork = multiprocessing.get_context("fork")


@pytest.fixture
def todo(tmp_path: Path) -> Path:
    """A todo file alone in its folder."""
    path = tmp_path / "notes" / "todo.md"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


class Old:
    """A C library from before renameat2."""

    def __init__(self, *_: object, **__: object) -> None: ...


@pytest.fixture(params=["swap", "no swap"])
def any_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Systems with and without a call that swaps two names."""
    if request.param == "no swap":
        monkeypatch.setattr(ctypes, "CDLL", Old)
    return str(request.param)


def alone(path: Path) -> bool:
    """Return whether nothing was left beside the file."""
    return names(path.parent) == [path.name]


def names(folder: Path) -> list[str]:
    """Return what is in the folder, sorted."""
    return sorted(entry.name for entry in folder.iterdir())


def save_by_rename(path: Path, data: bytes) -> None:
    """Save as most editors do."""
    part = path.with_name("editor.part")
    part.write_bytes(data)
    part.replace(path)


def at(step: str, act: Callable[[], object]) -> Callable[[str], None]:
    """Return a trace that acts after this step, the first time."""
    left = [act]

    def trace(event: str) -> None:
        if event == step and left:
            left.pop()()

    return trace


@contextmanager
def acl(*entries: tuple[int, int, int]) -> Iterator[bytes]:
    """Give an access list in the form of the kernel: version 2, then tag, rights, id."""
    packed = b"".join(struct.pack("<HHI", tag, rights, who) for tag, rights, who in entries)
    yield struct.pack("<I", 2) + packed


def in_child(act: Callable[[], object]) -> int:
    """Run this in a process of its own and return its exit code, negative for a signal.

    What it may load is loaded before: as another user it could not read it.
    """
    for name in ("omisync.file.exchange", "omisync.file.versions", "shlex"):
        importlib.import_module(name)
    child = os.fork()
    if child == 0:
        code = 99
        try:
            act()
            code = 0
        except AssertionError as error:
            os.write(2, str(error).encode())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def replaced(path: Path, data: bytes, seen: file.Snapshot) -> file.Snapshot:
    """Replace the file without a pause; return it as it is then."""
    with file.replacing(path, data, seen):
        pass
    return file.read(path)


# What is kept.


def test_the_bytes_are_replaced(todo: Path, any_system: str) -> None:
    """The file holds exactly the new bytes, and the snapshot is what a reading would give."""
    snapshot = replaced(todo, NEW, file.read(todo))
    assert todo.read_bytes() == NEW
    assert alone(todo)
    replaced(todo, OLD, snapshot)
    assert todo.read_bytes() == OLD
    assert alone(todo)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o640, 0o755, 0o200, 0o2664])
def test_the_mode_is_kept(todo: Path, mode: int) -> None:
    """The umask has no say."""
    seen = file.read(todo)
    todo.chmod(mode)
    if not mode & 0o400 and not ROOT:
        pytest.skip("cannot be read")
    replaced(todo, NEW, seen)
    assert stat.S_IMODE(todo.stat().st_mode) == mode


@as_root
def test_owner_and_group_are_kept(todo: Path) -> None:
    """Run as root, omisync does not take the file from its user."""
    os.chown(todo, NOBODY, 4242)
    replaced(todo, NEW, file.read(todo))
    assert (todo.stat().st_uid, todo.stat().st_gid) == (NOBODY, 4242)


@as_root
def test_an_owner_that_cannot_be_kept_is_a_reason_to_stop(todo: Path) -> None:
    """Another user's file stays as it is, and it is said whose it is."""
    todo.parent.chmod(0o777)
    todo.chmod(0o666)

    def act() -> None:
        os.setuid(NOBODY)
        with pytest.raises(FileUnusable, match=r"another user \(uid 0\)"):
            replaced(todo, NEW, file.read(todo))

    assert with_open_way(todo, act) == 0
    assert todo.read_bytes() == OLD
    assert alone(todo)


@as_root
@pytest.mark.parametrize(("mode", "left"), [(0o664, 0o604), (0o604, 0o600), (0o660, 0o600)])
def test_a_group_that_cannot_be_kept_gets_nothing(todo: Path, mode: int, left: int) -> None:
    """The group's rights do not pass to another group, nor does its ban end."""
    os.chown(todo, NOBODY, 4242)
    os.chown(todo.parent, NOBODY, NOBODY)
    todo.chmod(mode)

    def act() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        replaced(todo, NEW, file.read(todo))

    assert with_open_way(todo, act) == 0
    assert todo.read_bytes() == NEW
    assert stat.S_IMODE(todo.stat().st_mode) == left


def with_open_way(path: Path, act: Callable[[], object]) -> int:
    """Run this in a child, with the folders above open to everybody (pytest's are not)."""
    closed = [p for p in path.parent.parents if p.stat().st_uid == 0 and not p.stat().st_mode & 1]
    modes = [stat.S_IMODE(folder.stat().st_mode) for folder in closed]
    for folder in closed:
        folder.chmod(0o711)
    try:
        return in_child(act)
    finally:
        for folder, mode in zip(closed, modes, strict=True):
            folder.chmod(mode)


def test_extended_attributes_are_kept(todo: Path) -> None:
    """What the person's programs have noted on the file stays on it."""
    try:
        os.setxattr(todo, "user.note", b"\0mine")
    except OSError:
        pytest.skip("no attributes on this file system")
    replaced(todo, NEW, file.read(todo))
    assert os.getxattr(todo, "user.note") == b"\0mine"


def test_an_access_list_is_kept(todo: Path) -> None:
    """With its mask, which the mode shows as the group's rights."""
    with acl((1, 6, 2**32 - 1), (2, 4, 4242), (4, 0, 2**32 - 1), (16, 4, 2**32 - 1),
             (32, 0, 2**32 - 1)) as packed:  # fmt: skip  # user, user 4242, group, mask, other
        try:
            os.setxattr(todo, "system.posix_acl_access", packed)
        except OSError:
            pytest.skip("no access lists on this file system")
    mode = todo.stat().st_mode
    replaced(todo, NEW, file.read(todo))
    assert os.getxattr(todo, "system.posix_acl_access") == packed
    assert todo.stat().st_mode == mode


def test_the_folder_hands_no_access_down(todo: Path) -> None:
    """A default list of the folder, newer than the file, does not open the file to others."""
    with acl((1, 7, 2**32 - 1), (2, 7, 4242), (4, 5, 2**32 - 1), (16, 7, 2**32 - 1),
             (32, 5, 2**32 - 1)) as packed:  # fmt: skip  # user, user 4242, group, mask, other
        try:
            os.setxattr(todo.parent, "system.posix_acl_default", packed)
        except OSError:
            pytest.skip("no access lists on this file system")
    todo.chmod(0o664)
    replaced(todo, NEW, file.read(todo))
    assert "system.posix_acl_access" not in os.listxattr(todo)
    assert stat.S_IMODE(todo.stat().st_mode) == 0o664


def test_a_symlink_stays(todo: Path, tmp_path: Path) -> None:
    """What it leads to is replaced, through a second symlink and a linked folder too."""
    (tmp_path / "way").symlink_to(todo.parent)
    (tmp_path / "second.md").symlink_to("way/todo.md")
    link = tmp_path / "todo.md"
    link.symlink_to("second.md")
    replaced(link, NEW, file.read(link))
    assert link.readlink().name == "second.md"
    assert todo.read_bytes() == NEW
    assert alone(todo)


def test_a_long_name(todo: Path) -> None:
    """The hidden name fits where the longest name does."""
    path = todo.rename(todo.with_name("ä" * 126 + ".md"))
    replaced(path, NEW, file.read(path))
    assert path.read_bytes() == NEW


def test_who_only_reads_loads_only_that() -> None:
    """A run that finds nothing to do does not pay for what it does not use."""
    script = "import sys; from omisync import quick; print('omisync.file.exchange' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout == b"False\n"


# Whose save stands.


def test_other_bytes_are_not_replaced(todo: Path) -> None:
    """A save since the reading stands."""
    seen = file.read(todo)
    todo.write_bytes(SAVED)
    with pytest.raises(FileChanged) as caught:
        replaced(todo, NEW, seen)
    assert caught.value.exit_code == 75
    assert str(todo) in caught.value.message
    assert caught.value.advice
    assert todo.read_bytes() == SAVED
    assert alone(todo)


def test_another_file_with_equal_bytes_is_not_replaced(todo: Path) -> None:
    """A save that changed nothing is read again too: its rights may be others."""
    seen = file.read(todo)
    save_by_rename(todo, OLD)
    with pytest.raises(FileChanged):
        replaced(todo, NEW, seen)
    assert todo.read_bytes() == OLD


def test_a_symlink_that_leads_elsewhere_now(todo: Path, tmp_path: Path) -> None:
    """The list the person has put aside is not written to."""
    other, link = tmp_path / "other.md", tmp_path / "link.md"
    other.write_bytes(SAVED)
    link.symlink_to(todo)

    def turn() -> None:
        link.unlink()
        link.symlink_to(other)

    with (
        pytest.raises(FileChanged),
        file.replacing(link, NEW, file.read(link), trace=at("file.written", turn)),
    ):
        pass
    assert (todo.read_bytes(), other.read_bytes()) == (OLD, SAVED)


@pytest.mark.parametrize("step", STEPS)
def test_a_save_by_rename_stands(todo: Path, step: str) -> None:
    """At whatever step an editor puts its file in place, that file is there afterwards."""
    trace = at(step, lambda: save_by_rename(todo, SAVED))
    with (
        pytest.raises(FileChanged) as caught,
        file.replacing(todo, NEW, file.read(todo), trace=trace),
    ):
        pass
    assert todo.read_bytes() == SAVED
    assert caught.value.aside == b""
    assert alone(todo)


@pytest.mark.parametrize("step", ["file.written", "file.swapped"])
def test_a_save_by_rename_stands_without_a_swap(todo: Path, step: str, any_system: str) -> None:
    """Where names cannot be swapped, the moment after the comparison is all that is open."""
    test_a_save_by_rename_stands(todo, step)


@pytest.mark.parametrize("step", STEPS)
def test_a_save_in_place_stands(todo: Path, step: str, any_system: str) -> None:
    """At whatever step an editor writes into the file, what it wrote is there afterwards."""
    trace = at(step, lambda: todo.write_bytes(SAVED))
    with (
        pytest.raises(FileChanged) as caught,
        file.replacing(todo, NEW, file.read(todo), trace=trace),
    ):
        pass
    assert todo.read_bytes() == SAVED
    assert caught.value.aside == b""
    assert alone(todo)


def test_a_save_across_the_swap_stands(todo: Path, any_system: str) -> None:
    """Opened before the swap and written after it: the editor has written the todo file."""
    opened: list[int] = []

    def editor(event: str) -> None:
        if event == "file.checked":
            opened.append(os.open(todo, os.O_WRONLY | os.O_TRUNC))
        elif event == "file.swapped":
            os.write(opened[0], SAVED)
            os.close(opened[0])

    inode = todo.stat().st_ino
    with pytest.raises(FileChanged), file.replacing(todo, NEW, file.read(todo), trace=editor):
        pass
    assert todo.read_bytes() == SAVED
    assert todo.stat().st_ino == inode
    assert alone(todo)


def test_a_file_open_for_writing_is_left_alone(todo: Path) -> None:
    """A program that has it open and has not written yet keeps its file; the way out is said."""
    with todo.open("r+b"), pytest.raises(FileHeld, match="open in a program") as caught:
        replaced(todo, NEW, file.read(todo))
    assert "fuser" in caught.value.advice
    assert todo.read_bytes() == OLD
    with todo.open("r+b"), pytest.raises(FileHeld) as again:
        file.check_held(todo)
    assert (again.value.message, again.value.advice) == (caught.value.message, caught.value.advice)
    file.check_held(todo.parent / "missing.md")
    with todo.open("rb"):  # a reader is no reason
        file.check_held(todo)
        replaced(todo, NEW, file.read(todo))
    assert todo.read_bytes() == NEW


def opens_after_the_check(todo: Path) -> tuple[list[int], Callable[[str], None]]:
    """Return a trace by which an editor opens the file between comparison and swap."""
    opened: list[int] = []
    act = at("file.checked", lambda: opened.append(os.open(todo, os.O_WRONLY)))
    return opened, act


def test_a_file_opened_at_the_last_moment_is_given_back(todo: Path) -> None:
    """Opened after the comparison: the editor's later writes go into the todo file."""
    opened, trace = opens_after_the_check(todo)
    with pytest.raises(FileChanged), file.replacing(todo, NEW, file.read(todo), trace=trace):
        pass
    os.write(opened[0], SAVED)
    os.close(opened[0])
    assert todo.read_bytes() == SAVED
    assert alone(todo)


@as_root
def test_a_late_save_is_seen_where_there_is_no_lease(todo: Path) -> None:
    """In the block a save into the old file shows in ``check``, and the old file is back."""
    os.chown(todo, 4242, -1)
    todo.chmod(0o666)
    todo.parent.chmod(0o777)
    opened = os.open(todo, os.O_WRONLY)
    libc = ctypes.CDLL(None)
    capget, capset = libc.capget, libc.capset

    def act() -> None:
        # Without CAP_LEASE (28) nobody gets a lease on another user's file.
        head, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        capget(head, data)
        data[0] &= ~(1 << 28)
        assert capset(head, data) == 0
        with file.replacing(todo, NEW, file.read(todo)) as replacement:
            replacement.check()
            assert todo.read_bytes() == NEW
            os.write(opened, SAVED)
            with pytest.raises(FileChanged):
                replacement.check()
            assert todo.read_bytes() == SAVED
        assert todo.read_bytes() == SAVED

    assert in_child(act) == 0
    os.close(opened)
    assert alone(todo)


def write_old(todo: Path) -> None:
    """Write into the hidden old file, as a program with a lost descriptor would."""
    (hidden,) = [p for p in todo.parent.iterdir() if p.name.startswith(".")]
    hidden.write_bytes(SAVED)


def test_leaving_the_block_looks_again(todo: Path, any_system: str) -> None:
    """A save into the old file within the block is found without asking."""
    with pytest.raises(FileChanged), file.replacing(todo, NEW, file.read(todo)):
        write_old(todo)
    assert todo.read_bytes() == SAVED
    assert alone(todo)


def test_an_error_in_the_block_is_told_and_the_save_stands(todo: Path) -> None:
    """What ends the block comes out as it is, after the save was put back."""

    def fail() -> None:
        with file.replacing(todo, NEW, file.read(todo)):
            write_old(todo)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert todo.read_bytes() == SAVED
    assert alone(todo)


@pytest.mark.parametrize("by_rename", [True, False])
def test_of_two_saves_none_is_lost(todo: Path, by_rename: bool) -> None:
    """One into the old file and a newer one over ours: the newer is the file, the other aside."""
    newer = b"- [ ] newer\n"

    def save_twice() -> None:
        with file.replacing(todo, NEW, file.read(todo)):
            write_old(todo)
            save_by_rename(todo, newer) if by_rename else todo.write_bytes(newer)

    with pytest.raises(FileChanged) as caught:
        save_twice()
    assert todo.read_bytes() == newer
    assert caught.value.aside == SAVED
    assert alone(todo)


def test_a_file_deleted_meanwhile_stays_deleted(todo: Path) -> None:
    """It is not made again by its replacement."""
    trace = at("file.checked", todo.unlink)
    with pytest.raises(FileChanged), file.replacing(todo, NEW, file.read(todo), trace=trace):
        pass
    assert names(todo.parent) == []


@pytest.mark.parametrize("failing", ["fsync", "stat", "rename"])
def test_a_failure_after_the_swap_does_not_say_that_nothing_was_done(
    todo: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Our file is in place: it is to be read again, not told as a file that cannot be replaced."""
    real = getattr(os, failing)
    done = []

    def worn_out(*arguments: object, **more: object) -> object:
        if failing == "rename" and not done:  # of three steps the second goes well
            done.append(True)
            return real(*arguments, **more)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def wear_out() -> None:
        monkeypatch.setattr(os, failing, worn_out)

    if failing == "rename":
        monkeypatch.setattr(ctypes, "CDLL", Old)
    trace = at("file.checked" if failing == "rename" else "file.swapped", wear_out)
    with (
        pytest.raises(FileChanged, match="was replaced, and then: Input/output error"),
        file.replacing(todo, NEW, file.read(todo), trace=trace),
    ):
        pass
    monkeypatch.undo()
    assert todo.read_bytes() == NEW


# Saves without end.


class Shared(NamedTuple):
    """What the saving process and we tell each other; ``saved`` is its last whole save."""

    stop: Event
    turn: Event
    saved: Synchronized[int]


def save_without_end(path: Path, style: str, shared: Shared) -> None:
    """Save a counter until told to stop: three times at once, then again after our turns."""
    number = 0
    while not shared.stop.is_set():
        number += 1
        data = b"- [ ] save %d\n" % number
        if style == "in place":
            path.write_bytes(data)
        else:
            save_by_rename(path, data)
        shared.saved.value = number
        if number % 3 == 0:
            shared.turn.clear()
            if not shared.stop.is_set():  # asked after clearing: the last turn is not missed
                shared.turn.wait()


@pytest.mark.parametrize("style", ["in place", "by rename"])
def test_saves_without_end_are_never_lost(todo: Path, style: str) -> None:
    """A process saves on and on while we replace it, 100 times: no older save ever comes back.

    Ours begins with the save it was made from. Were a save lost to it, the file
    would have a smaller number than the one that was whole before we looked. As in
    a sync, some time passes before the last look: on a busy machine a program can
    stop between finding the file and opening it.
    """
    shared = Shared(fork.Event(), fork.Event(), fork.Value("i", 0))
    writer = fork.Process(target=save_without_end, args=(todo, style, shared))
    writer.start()
    tried = done = 0
    try:
        while tried < 100:
            before = shared.saved.value
            seen = file.read(todo)
            found = number_in(seen.data)
            assert found is None or found >= before
            if found is not None:
                tried += 1
                ours = b"- [ ] save %d\n- [ ] ours\n" % found
                with suppress(FileChanged):
                    with file.replacing(todo, ours, seen):
                        time.sleep(0.02)
                    done += 1
            if tried % 3 == 0:  # of three attempts some meet the saves, some the calm after
                shared.turn.set()
    finally:
        shared.stop.set()
        shared.turn.set()
        writer.join()
    assert number_in(todo.read_bytes()) == shared.saved.value
    assert done
    assert alone(todo)


def number_in(data: bytes) -> int | None:
    """Return which save this is or was made from; None in the middle of one, and before all."""
    found = re.match(rb"- \[ \] save (\d+)\n", data)
    return int(found[1]) if found else None


# What is refused, and what a failure leaves behind.


def test_a_missing_file(todo: Path) -> None:
    """There is nothing to compare with."""
    seen = file.read(todo)
    todo.unlink()
    with pytest.raises(FileMissing):
        replaced(todo, NEW, seen)
    assert names(todo.parent) == []


def test_a_second_name_is_not_cut_off(todo: Path, tmp_path: Path) -> None:
    """A hard link would keep the old list in silence, so the file is refused."""
    os.link(todo, tmp_path / "other.md")
    with pytest.raises(FileUnusable, match=r"2 names \(hard links\)") as caught:
        replaced(todo, NEW, file.read(todo))
    assert "symlink" in caught.value.advice
    assert todo.read_bytes() == (tmp_path / "other.md").read_bytes() == OLD
    assert alone(todo)


def test_a_file_marked_read_only_is_left_alone(todo: Path) -> None:
    """Its mode is the person's word; that the folder would allow more is no reason."""
    todo.chmod(0o444)
    with pytest.raises(FileUnusable, match="read-only") as caught:
        replaced(todo, NEW, file.read(todo))
    assert "chmod u+w" in caught.value.advice
    assert todo.read_bytes() == OLD


def test_a_folder_that_cannot_be_written(todo: Path) -> None:
    """It is named, with the way out also for a service."""
    os.chown(todo, NOBODY if ROOT else -1, -1)
    todo.parent.chmod(0o555)

    def act() -> None:
        if ROOT:
            os.setuid(NOBODY)
        with pytest.raises(FileUnusable) as caught:
            replaced(todo, NEW, file.read(todo))
        assert str(todo.parent) in caught.value.message
        assert f"ReadWritePaths={todo.parent}" in caught.value.advice

    assert with_open_way(todo, act) == 0
    todo.parent.chmod(0o755)
    assert todo.read_bytes() == OLD
    assert alone(todo)


def test_no_room_leaves_everything_as_it_was(todo: Path) -> None:
    """A limit in the middle of the write: the old file stands, nothing is left beside it."""

    def act() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        with pytest.raises(NoRoom) as caught:
            replaced(todo, NEW * 1000, file.read(todo))
        assert caught.value.exit_code == 75
        assert caught.value.advice
        with pytest.raises(NoRoom):
            file.keep_copy(todo.parent / "kept", "todo.md", NEW * 1000)
        assert names(todo.parent / "kept") == []
        (todo.parent / "kept").rmdir()

    assert in_child(act) == 0
    assert todo.read_bytes() == OLD
    assert alone(todo)


@as_root
def test_a_full_disk(todo: Path) -> None:
    """On a real file system without room, too."""
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=16k", "none", todo.parent],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    try:
        todo.write_bytes(OLD)
        with pytest.raises(NoRoom):
            replaced(todo, NEW * 4000, file.read(todo))
        assert todo.read_bytes() == OLD
        assert alone(todo)
        replaced(todo, NEW, file.read(todo))
        assert todo.read_bytes() == NEW
    finally:
        subprocess.run(["umount", todo.parent], check=True)


def killed_at(todo: Path, step: str) -> None:
    """Let a process die by SIGKILL after this step."""

    def act() -> None:
        trace = at(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
        with file.replacing(todo, NEW, file.read(todo), trace=trace):
            pass

    assert in_child(act) == -signal.SIGKILL


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_run_leaves_a_whole_file(todo: Path, step: str, any_system: str) -> None:
    """It is the old or the new one; the next replacement takes away what was left beside it."""
    killed_at(todo, step)
    assert todo.read_bytes() == (NEW if step == "file.swapped" else OLD)
    (left,) = [name for name in names(todo.parent) if name != "todo.md"]
    assert left.startswith(".todo.md.omisync-")
    assert left.endswith(".tmp")
    replaced(todo, SAVED, file.read(todo))
    assert todo.read_bytes() == SAVED
    assert alone(todo)


def test_only_what_was_left_behind_is_removed(todo: Path) -> None:
    """Another program's files, folders, symlinks, and a living process's new file stay."""
    mine = f".todo.md.omisync-{os.getppid()}-0123abcd.tmp"
    dead = ".todo.md.omisync-999999999-0123abcd.tmp"
    others = [".todo.md.swp", ".todo.md.omisync-1-x.tmp", f".a{dead}", f"{dead}.bak", mine]
    for name in others:
        (todo.parent / name).write_bytes(b"")
    (todo.parent / dead.replace("0123", "4567")).mkdir()
    (todo.parent / dead.replace("0123", "89ab")).symlink_to(todo)
    before = set(names(todo.parent))
    (todo.parent / dead).write_bytes(b"")
    replaced(todo, NEW, file.read(todo))
    assert set(names(todo.parent)) == before


# Old versions.


def test_versions_are_kept_in_order(tmp_path: Path) -> None:
    """The last ones stay, the newest last, private, under the file's own suffix."""
    folder = tmp_path / "state" / "kept"
    assert file.copies(folder, "todo.md") == []
    file.drop_copies(folder, "todo.md", limit=20)
    for number in range(1, 26):
        kept = file.keep_copy(folder, "todo.md", b"%d" % number)
        file.drop_copies(folder, "todo.md", limit=20)
        assert kept == folder / f"{number:06}-todo.md"
        assert kept.read_bytes() == b"%d" % number
    paths = file.copies(folder, "todo.md")
    assert [int(path.read_bytes()) for path in paths] == list(range(6, 26))
    assert names(folder) == [path.name for path in paths]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}


def test_the_limit_counts_for_each_name(tmp_path: Path) -> None:
    """Another file's versions, and what is no version, are not touched."""
    (tmp_path / "note.txt").write_bytes(b"")
    first = file.keep_copy(tmp_path, "other.toml", b"a")
    for _ in range(4):
        file.keep_copy(tmp_path, "todo.md", b"b")
    file.drop_copies(tmp_path, "todo.md", limit=2)
    assert [path.name for path in file.copies(tmp_path, "todo.md")] == [
        "000003-todo.md",
        "000004-todo.md",
    ]
    assert file.copies(tmp_path, "other.toml") == [first]
    assert (tmp_path / "note.txt").exists()


def test_what_is_needed_stays_beyond_the_limit(tmp_path: Path) -> None:
    """However many newer ones there are; the newest stays in any case."""
    kept = [file.keep_copy(tmp_path, "todo.md", b"a") for _ in range(4)]
    file.drop_copies(tmp_path, "todo.md", limit=0, needed={kept[1].name})
    assert file.copies(tmp_path, "todo.md") == [kept[1], kept[3]]


def test_order_by_number_not_by_letters(tmp_path: Path) -> None:
    """The millionth version is newer than the one before."""
    (tmp_path / "999999-todo.md").write_bytes(b"a")
    newest = file.keep_copy(tmp_path, "todo.md", b"b")
    assert newest.name == "1000000-todo.md"
    assert file.copies(tmp_path, "todo.md")[-1] == newest


@pytest.mark.parametrize("name", ["ä" * 126 + ".md", "x" + "ä" * 125 + ".md", "你" * 70 + ".md"])
def test_a_long_name_keeps_its_suffix(tmp_path: Path, name: str) -> None:
    """A name as long as names get is cut in its stem, between two characters."""
    kept = file.keep_copy(tmp_path, name, b"a")
    assert kept.suffix == ".md"
    assert re.fullmatch(rf"[0-9]+-x?[{name[1]}]+\.md", kept.name)
    assert file.copies(tmp_path, name) == [kept]


def test_a_planted_symlink_is_not_followed(tmp_path: Path) -> None:
    """Neither read as a version nor written through."""
    folder, victim = tmp_path / "kept", tmp_path / "victim"
    victim.write_bytes(b"untouched")
    folder.mkdir(mode=0o700)
    (folder / "000001-todo.md").symlink_to(victim)
    kept = file.keep_copy(folder, "todo.md", b"a")
    file.drop_copies(folder, "todo.md", limit=1)
    assert kept.name == "000002-todo.md"
    assert file.copies(folder, "todo.md") == [kept]
    assert victim.read_bytes() == b"untouched"


def test_a_folder_that_is_a_symlink_is_refused(tmp_path: Path) -> None:
    """Versions do not land where somebody else points."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "kept").symlink_to("elsewhere")
    with pytest.raises(FileUnusable) as caught:
        file.keep_copy(tmp_path / "kept", "todo.md", b"a")
    assert caught.value.advice
    with pytest.raises(FileUnusable):
        file.drop_copies(tmp_path / "kept", "todo.md", limit=20)
    assert names(tmp_path / "elsewhere") == []


def test_a_copy_that_may_not_last_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try would leave another one."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(Strained, match="Input/output error"):
        file.keep_copy(tmp_path, "todo.md", b"a")
    monkeypatch.undo()
    assert names(tmp_path) == []


@as_root
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """The person's list is not put into another user's hands."""
    os.chown(tmp_path, NOBODY, -1)
    with pytest.raises(FileUnusable, match="another user"):
        file.keep_copy(tmp_path, "todo.md", b"a")
    assert names(tmp_path) == []


def test_a_folder_open_to_others_is_closed(tmp_path: Path) -> None:
    """An older, wider mode does not stay."""
    tmp_path.chmod(0o755)
    file.keep_copy(tmp_path, "todo.md", b"a")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
