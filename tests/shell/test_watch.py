"""omisync.watch: every save is noticed once, whatever the editor does to files and folders."""

from __future__ import annotations

import asyncio
import mmap
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from omisync import file, watch
from omisync.watch import listener, trail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    Save = Callable[[Path, str], None]

SETTLE = 0.03
"""Short, to be quick; nothing below depends on it."""

LONG = 20.0
"""Seconds after which a wake counts as lost. The rescan is far beyond it: events alone tell."""

NEVER = 3600.0


# The ways programs save, as the system calls they make.


def in_place(path: Path, text: str) -> None:
    """Truncate and write: VS Code, nano, a shell's redirection."""
    path.write_text(text)


def in_two_chunks(path: Path, text: str) -> None:
    """Truncate, then write in two parts, each flushed."""
    middle = len(text) // 2
    with path.open("w") as stream:
        stream.write(text[:middle])
        stream.flush()
        stream.write(text[middle:])


def vim(path: Path, text: str) -> None:
    """Rename the old file to a backup, write a new one, sync it, remove the backup."""
    backup = path.with_name(path.name + "~")
    path.with_name("4913").touch()
    path.with_name("4913").unlink()
    if path.exists():
        path.rename(backup)
    _write_synced(path, text)
    backup.unlink(missing_ok=True)


def temporary_and_rename(path: Path, text: str) -> None:
    """Write beside it and rename over it: VS Code's and Obsidian's atomic saves, GNOME."""
    temporary = path.with_name(f".{path.name}.tmp-{random.randrange(10**6)}")
    _write_synced(temporary, text)
    temporary.replace(path)


def emacs(path: Path, text: str) -> None:
    """Keep the old file as todo.md~ (renamed the first time), write a new one."""
    backup = path.with_name(path.name + "~")
    lock = path.with_name(f".#{path.name}")
    lock.symlink_to("me@here.1:1")
    if path.exists():
        path.rename(backup)
    _write_synced(path, text)
    lock.unlink()


def emacs_linked(path: Path, text: str) -> None:
    """Keep the old file as a hard link, then rename a new one over the name."""
    backup = path.with_name(path.name + "~")
    backup.unlink(missing_ok=True)
    if path.exists():
        os.link(path, backup)
    temporary_and_rename(path, text)


def syncthing(path: Path, text: str) -> None:
    """Write to a hidden file, set its time to that of the other machine, rename."""
    temporary = path.with_name(f".syncthing.{path.name}.tmp")
    temporary.write_text(text)
    temporary.chmod(0o644)
    os.utime(temporary, ns=(10**18, 10**18))
    temporary.replace(path)


def dropbox(path: Path, text: str) -> None:
    """Remove the file, then create it and fill it."""
    path.unlink(missing_ok=True)
    path.touch()
    path.write_text(text)


def same_time(path: Path, text: str) -> None:
    """Write as many bytes as before and set back the time of change."""
    status = path.stat() if path.exists() else None
    path.write_text(text)
    if status is not None:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def remove(path: Path, _: str = "") -> None:
    """Remove the file."""
    path.unlink()


def _write_synced(path: Path, text: str) -> None:
    with path.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


STYLES = [
    in_place,
    in_two_chunks,
    vim,
    temporary_and_rename,
    emacs,
    emacs_linked,
    syncthing,
    dropbox,
    same_time,
]


# What watches, and what is known of it.


class Log:
    """The paths whose events were delivered and listened to."""

    def __init__(self) -> None:
        self.heard: set[str] = set()
        self.change = threading.Condition()

    def add(self, paths: set[str]) -> None:
        """Note these paths."""
        with self.change:
            self.heard |= paths
            self.change.notify_all()

    async def has(self, path: Path) -> bool:
        """Wait for an event of this path."""

        def wait() -> bool:
            with self.change:
                return self.change.wait_for(lambda: str(path) in self.heard, LONG)

        return await asyncio.to_thread(wait)


class Witness:
    """A notifier that works as the real one and logs what it delivered."""

    def __init__(self, places: list[str], log: Log) -> None:
        self.real = listener.open_notifier(places)
        self.log = log
        self.delivered: set[str] = set()

    def watch(
        self, debounce_ms: int, step_ms: int, timeout_ms: int, stop_event: listener.Stop | None
    ) -> object:
        """Hand out what the real one does."""
        self.log.add(self.delivered)  # asked again, so the last delivery was dealt with
        found = self.real.watch(debounce_ms, step_ms, timeout_ms, stop_event)
        self.delivered = set() if isinstance(found, str) else {path for _, path in found}
        return found

    def close(self) -> None:
        """Close the real one."""
        self.log.add(self.delivered)
        self.real.close()


class Watched:
    """A Watch, its warnings, its notifiers, and what a reader found at the last wake."""

    def __init__(self, path: Path, **how: object) -> None:
        self.path = path
        self.read = _read(path)
        self.woken = asyncio.Event()
        self.warnings: list[str] = []
        self.log = Log()
        how = {"settle": SETTLE, "rescan": NEVER, "notifier": self.open} | how
        self.watch = watch.Watch(path, warn=self.warnings.append, **how)  # type: ignore[arg-type]  # passed through

    def open(self, places: list[str]) -> Witness:
        """Open a notifier that can be asked."""
        return Witness(places, self.log)

    async def changed(self) -> str:
        """Wait for one wake, not for ever, and read the file at it."""
        reason = await asyncio.wait_for(self.watch.changed(), LONG)
        self.read = _read(self.path)
        return reason

    async def waiting(self) -> asyncio.Task[str]:
        """Return a wait that has begun: it is past its first look at the file."""
        task = asyncio.create_task(self.watch.changed())
        await asyncio.sleep(0)
        return task

    async def quiet(self) -> bool:
        """Tell whether a look at the file now finds nothing to announce."""
        reason = await asyncio.wait_for(self.watch._look(), LONG)
        self.read = _read(self.path)
        return reason is None

    async def wakes(self, save: Save, path: Path, text: str) -> str:
        """Save while a wait is under way, so that only an event can end it; read at the wake."""
        waiting = await self.waiting()
        save(path, text)
        reason = await asyncio.wait_for(waiting, LONG)
        self.read = _read(self.path)
        return reason

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Let a reader follow the wakes."""
        reader = asyncio.create_task(self._follow())
        await asyncio.sleep(0)
        yield
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader

    async def _follow(self) -> None:
        while True:
            await self.watch.changed()
            self.read = _read(self.path)
            self.woken.set()

    async def heard(self, save: Save, path: Path, text: str) -> None:
        """Save, and wait for the event and for the reader."""
        self.log.heard.clear()
        save(path, text)
        await self.until(text)
        assert await self.log.has(path)

    async def until(self, text: str) -> None:
        """Wait until the reader found this text."""
        async with asyncio.timeout(LONG):
            while self.read != text:
                self.woken.clear()
                await self.woken.wait()


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


@asynccontextmanager
async def watching(path: Path, **how: object) -> AsyncIterator[Watched]:
    """Watch a path, and check that nothing is left behind."""
    threads = set(threading.enumerate())
    watched = Watched(path, **how)
    async with watched.watch:
        yield watched
    left = {thread.name for thread in set(threading.enumerate()) - threads}
    assert not {name for name in left if name.startswith("omisync")}


def no_notifier(places: list[str]) -> listener.Notifier:
    """Be a system without inotify."""
    raise OSError(38, "Function not implemented")


@pytest.fixture
def todo(tmp_path: Path) -> Path:
    """A todo file in a folder of its own."""
    folder = tmp_path / "notes"
    folder.mkdir()
    path = folder / "todo.md"
    path.write_text("- [ ] one\n")
    return path


# Every way to save.


@pytest.mark.parametrize("save", STYLES, ids=lambda save: save.__name__)
async def test_each_save_style_wakes_and_is_whole(save: Save, todo: Path) -> None:
    """Whatever calls a save is made of, a wake follows and the file is whole at it."""
    async with watching(todo) as watched:
        for word in ("two", "six", "ten"):
            assert await watched.wakes(save, todo, f"- [ ] {word}\n") == "saved"
            assert watched.read == f"- [ ] {word}\n"


@pytest.mark.parametrize("save", STYLES, ids=lambda save: save.__name__)
async def test_each_save_style_through_a_chain_of_symlinks(
    save: Save, todo: Path, tmp_path: Path
) -> None:
    """The file may be a symlink to a symlink elsewhere; editors save the last target."""
    (tmp_path / "dots").mkdir()
    middle, link = tmp_path / "dots" / "list.md", tmp_path / "todo.md"
    middle.symlink_to("../notes/todo.md")
    link.symlink_to(middle)
    async with watching(link) as watched:
        for word in ("two", "six"):
            assert await watched.wakes(save, todo, f"- [ ] {word}\n") == "saved"
            assert watched.read == f"- [ ] {word}\n"


@pytest.mark.parametrize("link", ["last", "middle", "folder"])
async def test_a_symlink_pointed_elsewhere_wakes(link: str, todo: Path, tmp_path: Path) -> None:
    """Any symlink on the way may be replaced, and the new target is watched from then on."""
    other = tmp_path / "other" / "todo.md"
    other.parent.mkdir()
    other.write_text("- [ ] other\n")
    first, second, links = tmp_path / "first", tmp_path / "second", tmp_path / "links"
    links.mkdir()
    folder = links / "folder"
    folder.symlink_to(todo.parent)
    second.symlink_to(folder / "todo.md")
    first.symlink_to("second")
    swapped, target = {
        "last": (first, other),
        "middle": (second, other),
        "folder": (folder, other.parent),
    }[link]
    async with watching(first) as watched, watched.followed():
        (tmp_path / "new").symlink_to(target)
        (tmp_path / "new").replace(swapped)
        await watched.until("- [ ] other\n")
        assert await watched.log.has(swapped)
        await watched.heard(temporary_and_rename, other, "- [ ] more\n")


async def test_another_name_of_a_hard_link_is_heard(todo: Path, tmp_path: Path) -> None:
    """Written in place through its other name, in a folder nobody watches, the file still wakes."""
    other = tmp_path / "other.md"
    os.link(todo, other)
    async with watching(todo) as watched:
        assert await watched.wakes(in_place, other, "- [ ] by the other name\n") == "saved"
        assert watched.read == "- [ ] by the other name\n"
        assert await watched.wakes(temporary_and_rename, todo, "- [ ] torn apart\n") == "saved"
        assert await watched.wakes(in_place, todo, "- [ ] on its own\n") == "saved"


async def test_a_slow_save_is_announced_when_it_is_whole(todo: Path) -> None:
    """A save whose second half comes after its event was heard is announced once, at its end."""
    async with watching(todo, settle=1.0) as watched:
        waiting = asyncio.create_task(watched.changed())
        with todo.open("w") as stream:
            stream.write("- [ ] first half ")
            stream.flush()
            assert await watched.log.has(todo)
            stream.write("and second half\n")
        assert await waiting == "saved"
        assert watched.read == "- [ ] first half and second half\n"
        assert await watched.quiet()


async def test_a_large_file_is_confirmed_without_holding_the_loop(todo: Path) -> None:
    """A file of 10 MB is read in a thread: the loop turns meanwhile."""
    async with watching(todo) as watched:
        in_place(todo, "- [ ] a line of the list\n" * 400_000)
        assert await watched.changed() == "saved"
        turns = 0
        digest = asyncio.create_task(watched.watch._digest())
        while not digest.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 1


# Missing files and folders.


async def test_a_file_missing_at_the_start_wakes_when_it_comes(tmp_path: Path) -> None:
    """The file need not exist to be waited for."""
    path = tmp_path / "todo.md"
    async with watching(path) as watched:
        assert await watched.wakes(in_place, path, "- [ ] here\n") == "saved"
        assert watched.warnings == []


@pytest.mark.parametrize("save", [in_place, vim, temporary_and_rename, dropbox])
async def test_a_removed_file_wakes_and_so_does_its_return(save: Save, todo: Path) -> None:
    """Absence is announced once it lasts, and the return as any save."""
    async with watching(todo) as watched:
        assert await watched.wakes(remove, todo, "") == "saved"
        assert watched.read is None
        assert await watched.quiet()
        assert await watched.wakes(save, todo, "- [ ] back\n") == "saved"
        assert watched.read == "- [ ] back\n"


async def test_missing_folders_are_waited_for(tmp_path: Path) -> None:
    """Of a path whose folders are missing, each is watched as it appears."""
    path = tmp_path / "a" / "b" / "c" / "todo.md"
    async with watching(path) as watched, watched.followed():
        path.parent.mkdir(parents=True)
        path.write_text("- [ ] deep\n")
        await watched.until("- [ ] deep\n")
        await watched.heard(in_place, path, "- [ ] deeper\n")


async def test_a_replaced_folder_is_watched_in_place_of_the_old(todo: Path) -> None:
    """A folder swapped for another wakes; later saves in the new one are heard, in the old not."""
    new, old = todo.parent.with_name("new"), todo.parent.with_name("old")
    new.mkdir()
    (new / "todo.md").write_text("- [ ] new folder\n")
    async with watching(todo) as watched:
        async with watched.followed():
            todo.parent.rename(old)
            new.rename(todo.parent)
            await watched.until("- [ ] new folder\n")
            await watched.heard(in_place, todo, "- [ ] saved in it\n")
        while not await watched.quiet():
            pass
        (old / "todo.md").write_text("- [ ] nobody's\n")
        assert await watched.quiet()


async def test_a_folder_removed_and_made_again_is_watched(todo: Path) -> None:
    """A folder made again is watched, though the system may give it the old inode number."""
    async with watching(todo) as watched, watched.followed():
        for turn in range(5):
            remove(todo)
            todo.parent.rmdir()
            todo.parent.mkdir()
            in_place(todo, f"- [ ] {turn}\n")
            await watched.until(f"- [ ] {turn}\n")
            await watched.heard(temporary_and_rename, todo, f"- [ ] {turn} again\n")


# Who is not woken.


async def test_other_files_wake_nobody(todo: Path) -> None:
    """Saves of other files in the folder are heard by the thread alone."""
    async with watching(todo) as watched:
        waiting = asyncio.create_task(watched.watch.changed())
        for save in STYLES:
            save(todo.with_name("other.md"), "- [ ] other\n")
        for number in range(50):
            todo.with_name(f"draft-{number}").write_text("x")
        assert await watched.log.has(todo.with_name("draft-49"))
        assert watched.watch._heard == 0
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_one_save_is_one_wake(todo: Path) -> None:
    """The events that follow a save that was announced already wake nobody."""
    async with watching(todo) as watched:
        for save in STYLES:
            assert await watched.wakes(save, todo, f"- [ ] {save.__name__}\n") == "saved"
            assert await watched.quiet()


async def test_many_saves_at_once_are_one_wake(todo: Path) -> None:
    """Saves without a pause are announced together."""
    async with watching(todo) as watched:
        for number in range(30):
            STYLES[number % len(STYLES)](todo, f"- [ ] {number:03}\n")
        assert await watched.changed() == "saved"
        assert watched.read == "- [ ] 029\n"
        assert await watched.quiet()


async def test_a_folder_is_not_watched_below(todo: Path) -> None:
    """Only the folder itself is watched: what lies below it costs nothing."""
    below = todo.parent / "below"
    below.mkdir()
    async with watching(todo) as watched:
        (below / "todo.md").write_text("x")
        todo.with_name("fence").write_text("x")
        assert await watched.log.has(todo.with_name("fence"))
        assert str(below / "todo.md") not in watched.log.heard


def test_the_trail_holds_only_folders_that_matter(todo: Path, tmp_path: Path) -> None:
    """Watched are the folders with the file or a symlink to it in them, none above."""
    link = tmp_path / "link.md"
    link.symlink_to("notes/../notes/todo.md")
    assert set(trail.walk(todo).places) == {str(todo.parent)}
    assert set(trail.walk(link).places) == {str(tmp_path), str(todo.parent)}
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    assert set(trail.walk(loop).places) == {str(tmp_path)}
    missing = tmp_path / "a" / "b" / "todo.md"
    assert trail.walk(missing).paths == {str(tmp_path), str(tmp_path / "a")}


# Storms.


async def test_in_a_storm_of_saves_the_last_state_is_always_seen(todo: Path) -> None:
    """Of 100 saves in bursts of any style, also in a new folder, each burst's last is read."""
    chance = random.Random(7)
    async with watching(todo) as watched:
        number, last = 0, ""
        async with watched.followed():
            while number < 100:
                for number in range(number + 1, number + chance.randint(2, 9)):  # noqa: B020 - counts on
                    if chance.random() < 0.03:
                        todo.parent.rename(todo.parent.with_name(f"away-{number}"))
                        todo.parent.mkdir()
                    last = f"- [ ] {number:03}\n"
                    chance.choice(STYLES)(todo, last)
                    await asyncio.sleep(0)
                await watched.until(last)
        while not await watched.quiet():
            pass
        assert watched.read == last
        assert watched.warnings == []


async def test_an_editor_that_saves_all_the_time_is_not_starved(todo: Path) -> None:
    """A file that is never quiet for the settle time is announced all the same, again and again."""
    loop = asyncio.get_running_loop()
    settle, saves = 0.06, 0

    def autosave() -> None:
        nonlocal saves, timer
        saves += 1
        in_place(todo, f"- [ ] {saves}\n")
        timer = loop.call_later(settle / 3, autosave)

    timer = loop.call_soon(autosave)
    async with watching(todo, settle=settle) as watched:
        assert await watched.changed() == "saved"
        first = saves
        assert first > 5  # it waited for quiet as long as it had patience
        assert await watched.changed() == "saved"
        assert saves > first
        timer.cancel()
        while watched.read != f"- [ ] {saves}\n":
            await watched.changed()


# Between and around the waits.


async def test_a_save_between_two_waits_is_not_lost(todo: Path) -> None:
    """What happens while nobody waits (a cycle runs) is told by the next wait."""
    async with watching(todo) as watched:
        in_place(todo, "- [ ] before the first wait\n")
        assert await watched.changed() == "saved"
        temporary_and_rename(todo, "- [ ] during a cycle\n")
        assert await watched.log.has(todo)
        assert await watched.changed() == "saved"


async def test_a_cancelled_wait_loses_nothing(todo: Path) -> None:
    """A wait cancelled before or while the file settles leaves its save to the next wait."""
    async with watching(todo, settle=0.3) as watched:
        for attempt in range(4):
            same_time(todo, f"- [ ] {attempt}\n")
            waiting = asyncio.create_task(watched.watch.changed())
            assert await watched.log.has(todo)
            watched.log.heard.clear()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert await watched.changed() == "saved"
        assert watched.read == "- [ ] 3\n"


async def test_leaving_with_a_wait_cancelled_ends_every_thread(todo: Path) -> None:
    """Cancelled and left, the watch leaves no thread and no task behind."""
    async with watching(todo) as watched:
        waiting = asyncio.create_task(watched.watch.changed())
        await asyncio.sleep(0)
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert asyncio.all_tasks() == {asyncio.current_task()}


# Without events.


async def test_without_events_the_rescan_finds_a_save(todo: Path) -> None:
    """Where nothing can be watched the reason is said once, and the rescan tells of saves."""
    async with watching(todo, rescan=0.05, notifier=no_notifier) as watched:
        for save in STYLES:
            save(todo, f"- [ ] {save.__name__}\n")
            assert await watched.changed() in {"saved", "rescan"}
            assert watched.read == f"- [ ] {save.__name__}\n"
        waiting = await watched.waiting()
        same_time(todo, "- [ ] emit_emas\n")
        assert await waiting == "rescan"
        assert len(watched.warnings) == 1
        assert "every 0.05 s" in watched.warnings[0]


async def test_a_rescan_of_an_unchanged_file_wakes_nobody(todo: Path) -> None:
    """Rescans go on without a wake as long as the file is the same."""
    looks = 0
    loop = asyncio.get_running_loop()
    enough = loop.create_future()

    def count(places: list[str]) -> listener.Notifier:
        nonlocal looks
        looks += 1  # each rescan tries to watch again
        if looks == 5:
            enough.set_result(None)
        raise OSError(38, "Function not implemented")

    async with watching(todo, rescan=0.02, notifier=count) as watched:
        waiting = asyncio.create_task(watched.watch.changed())
        await asyncio.wait_for(enough, LONG)
        assert not waiting.done()
        waiting.cancel()


async def test_events_are_listened_to_as_soon_as_they_can_be(todo: Path) -> None:
    """A watch that could not be had at the start is tried again at each rescan."""
    tries = 0
    log = Log()

    def at_third(places: list[str]) -> listener.Notifier:
        nonlocal tries
        tries += 1
        if tries < 3:
            return no_notifier(places)
        return Witness(places, log)  # type: ignore[return-value]  # wider than the protocol

    async with watching(todo, rescan=0.2, notifier=at_third) as watched:
        while not log.heard:
            in_place(todo, f"- [ ] after {tries} tries\n")
            await watched.changed()
        assert len(watched.warnings) == 1


async def test_soon_after_a_save_there_is_one_more_look(todo: Path) -> None:
    """What no event tells within seconds of a save is found without waiting for the rescan."""
    with todo.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as mapping:
        async with watching(todo) as watched:
            mapping[:9] = b"- [ ] two"
            assert await watched.changed() == "saved"
            waiting = await watched.waiting()
            mapping[:9] = b"- [ ] six"
            assert await asyncio.wait_for(waiting, LONG) == "rescan"


async def test_bytes_that_change_behind_an_equal_signature_are_found(todo: Path) -> None:
    """A program that writes through a mapping leaves neither event nor time: the bytes tell."""
    with todo.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as mapping:
        async with watching(todo) as watched:
            mapping[:9] = b"- [ ] two"
            assert await watched.changed() == "saved"
            seen = file.signature(todo)
            mapping[:9] = b"- [ ] six"
            assert file.signature(todo) == seen
            assert await watched.changed() == "saved"
            assert watched.read == "- [ ] six\n"


async def test_a_blind_notifier_is_replaced(todo: Path) -> None:
    """A rescan that finds what no event told says so, and watches anew."""

    class Blind(Witness):
        def watch(self, *how: object) -> object:
            while (found := self.real.watch(*how)) != "stop":  # type: ignore[arg-type]  # passed through
                pass
            return found

    log, blind = Log(), True

    def first_blind(places: list[str]) -> Witness:
        nonlocal blind
        kind, blind = (Blind if blind else Witness), False
        return kind(places, log)

    async with watching(todo, rescan=1.0, notifier=first_blind) as watched:
        waiting = await watched.waiting()
        in_place(todo, "- [ ] unheard\n")
        assert await waiting == "rescan"
        in_place(todo, "- [ ] heard\n")
        assert await watched.changed() == "saved"
        assert await log.has(todo)


async def test_a_file_name_that_is_not_utf8_does_not_blind(todo: Path) -> None:
    """At such a name in the folder watchfiles gives up; the watch goes on."""
    async with watching(todo) as watched:
        for number in range(3):
            name = os.fsencode(todo.parent) + b"/\xff%d" % number
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
            assert await watched.wakes(in_place, todo, f"- [ ] {number}\n") == "saved"
            assert await watched.quiet()


async def test_polling_in_place_of_inotify(todo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The switches of watchfiles work: with polling forced, a save still wakes."""
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", "1")
    monkeypatch.setenv("WATCHFILES_POLL_DELAY_MS", "20")
    os.utime(todo, ns=(10**18, 10**18))  # a poll tells times apart by the second
    assert "Poll" in repr(listener.open_notifier([str(todo.parent)]))
    async with watching(todo) as watched:
        text = "- [ ] polled, and longer than before\n"
        assert await watched.wakes(temporary_and_rename, todo, text) == "saved"


@pytest.mark.parametrize(
    ("privilege", "inside", "named"),
    [
        ("--map-root-user", "echo 0 > {limits}/max_inotify_watches", "fs.inotify.max_user_watches"),
        (
            "--map-root-user",
            "echo 0 > {limits}/max_inotify_instances",
            "fs.inotify.max_user_instances",
        ),
        ("--user", "chmod 300 {folder}", "Permission denied"),
    ],
    ids=["watches", "instances", "unreadable"],
)
def test_what_the_kernel_refuses_is_named_and_survived(
    privilege: str, inside: str, named: str, todo: Path
) -> None:
    """Without a watch the person reads why and which setting to raise; rescans go on."""
    program = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from omisync.watch import Watch

        async def main(path):
            async with Watch(path, settle=0.03, rescan=0.1, warn=print) as watch:
                path.write_text("changed")
                print(await watch.changed())

        asyncio.run(main(Path(sys.argv[1])))
    """)
    inside = inside.format(limits="/proc/sys/user", folder=todo.parent)
    # A user namespace has limits of its own, and in it even root has no right to every folder.
    namespace = ["unshare", "--user", privilege, "sh", "-c", f'{inside} && exec "$@"', "sh"]
    if sys.platform != "linux" or subprocess.run([*namespace, "true"], check=False).returncode:
        pytest.skip("needs a user namespace")
    command = [*namespace, sys.executable, "-W", "error", "-c", program, str(todo)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    todo.parent.chmod(0o700)
    assert result.stderr == ""
    warning, woken = result.stdout.splitlines()
    assert named in warning
    assert woken in {"saved", "rescan"}


# Clocks.


async def test_a_clock_that_jumped_wakes_once(todo: Path) -> None:
    """After a sleep of the machine, or when its clock was set, there is one wake."""
    ahead = 0.0

    def wall() -> float:
        return time.time() + ahead

    async with watching(todo, rescan=0.05, wall=wall) as watched:
        for jump in (600.0, -7200.0):
            ahead += jump
            assert await watched.changed() == "clock jumped"
            assert await watched.quiet()


@pytest.mark.parametrize("skew", [-30.0, 30.0])
async def test_a_clock_that_differs_from_the_files_is_no_matter(skew: float, todo: Path) -> None:
    """On a disk of a machine whose clock is off, a save settles and wakes as anywhere."""
    async with watching(todo, wall=lambda: time.time() + skew) as watched:
        for save in STYLES:
            save(todo, f"- [ ] {save.__name__}\n")
            assert await watched.changed() == "saved"
            assert watched.read == f"- [ ] {save.__name__}\n"
