"""The daemon in this process: a real file, a real store, a real server, and no signals."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
import uuid
from contextlib import asynccontextmanager, closing, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from person import Clock, fact, link
from test_watch import STYLES

from omisync import config as configs
from omisync import control, errors, log, sync
from omisync.daemon import alarm, asked, basis, opening, serve
from omisync.daemon.signals import Signals
from omisync.sandbox import KEY, READ_ONLY_KEY
from omisync.store import HISTORY_SECONDS, Event, Store, lock
from omisync.store.notes import LastRun, Listed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from person import Person
    from test_watch import Save

    from omisync.sandbox import Sandbox
    from omisync.sandbox.faults import Fault

LONG = 20.0
"""Seconds after which something that should have happened is missing."""

GRACE = 0.3
"""Seconds that a removed line is waited for here."""


class Diary:
    """Records in the order they came, and a way to wait for the next that fits."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.read = 0
        self._news = asyncio.Event()

    def add(self, record: dict[str, Any]) -> None:
        """Write down what came."""
        self.records.append(record)
        self._news.set()

    async def until(self, fits: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Return the first record that fits after the one returned before."""
        async with asyncio.timeout(LONG):
            while True:
                while self.read < len(self.records):
                    self.read += 1
                    if fits(self.records[self.read - 1]):
                        return self.records[self.read - 1]
                self._news.clear()
                await self._news.wait()


class Log(io.StringIO):
    """The stream that the daemon logs JSON to."""

    def __init__(self) -> None:
        super().__init__()
        self.diary = Diary()

    def write(self, text: str) -> int:
        """Write down each line as a record."""
        for line in filter(None, text.split("\n")):
            self.diary.add(json.loads(line))
        return super().write(text)

    async def until(self, event: str, **fields: object) -> dict[str, Any]:
        """Wait for the next line with this event and these fields."""
        return await self.diary.until(lambda r: r["event"] == event and fields.items() <= r.items())

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return all lines with this event."""
        return [record for record in self.diary.records if record["event"] == event]

    @property
    def loud(self) -> list[str]:
        """The events above debug."""
        return [r["event"] for r in self.diary.records if r["level"] != "debug"]


class Systemd:
    """The socket that a supervisor listens at, with what it was told."""

    def __init__(self) -> None:
        name = f"omisync-test-{uuid.uuid4()}"
        self.address = f"@{name}"
        self.diary = Diary()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(f"\0{name}")
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def _read(self) -> None:
        with suppress(BlockingIOError):
            while True:
                lines = self._socket.recv(4096).decode().split("\n")
                self.diary.add(dict(line.partition("=")[::2] for line in lines))

    async def until(self, name: str, text: str = "") -> str:
        """Wait for the next state of this name with this in it; return it whole."""
        record = await self.diary.until(lambda r: name in r and text in r[name])
        return str(record[name])

    @property
    def told(self) -> list[str]:
        """The names of all states that were told, but for signs of life."""
        names = [name for record in self.diary.records for name in record]
        return [name for name in names if name != "WATCHDOG"]

    def close(self) -> None:
        """Stop listening."""
        self._read()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


@dataclass
class Living:
    """A daemon that runs, and what can be seen of it."""

    person: Person
    environ: dict[str, str]
    signals: Signals
    log: Log
    systemd: Systemd
    task: asyncio.Task[int] = field(init=False)
    daemon: serve.Daemon = field(init=False)

    @property
    def sandbox(self) -> Sandbox:
        """The server."""
        return self.person.sandbox

    async def until(self, predicate: Callable[[Sandbox], bool]) -> None:
        """Wait until this is so at the server; a daemon that ends meanwhile is an error."""
        waiting = asyncio.create_task(self.sandbox.wait_for(predicate))
        await asyncio.wait({waiting, self.task}, timeout=LONG, return_when="FIRST_COMPLETED")
        assert waiting.done(), f"missing; log:\n{self.log.getvalue()}"

    async def holds(self, **items: bool) -> None:
        """Wait until the server holds exactly these items (``_`` for a space)."""
        wanted = {name.replace("_", " "): completed for name, completed in items.items()}
        await self.until(lambda _: self.person.omi() == wanted)

    async def ask(self, **request: object) -> dict[str, Any]:
        """Ask as another process does."""
        path = configs.load(self.person.config_file, self.environ).store_path
        answer = await asyncio.to_thread(control.ask, path, self.environ, request)
        assert answer is not None
        return answer

    async def still(self) -> None:
        """Check that a look by hand finds all in order, and that nothing is sent for it."""
        before = len(self.sandbox.requests)
        answer = await self.ask(do="cycle")
        assert answer["code"] == errors.OK, answer
        assert self.sandbox.requests[before:] == []

    async def stop(self) -> int:
        """Ask it to stop as SIGTERM does; return its exit code."""
        self.signals.stop.set()
        return await self.task


@pytest.fixture
def clock() -> Callable[[], float]:
    """The real clock: what is tested here is when things happen."""
    return time.time


@pytest.fixture(autouse=True)
def settings(person: Person) -> None:
    """Log everything as JSON, and do not wait long for lines that were removed."""
    person.settings = f'[log]\nlevel = "debug"\nformat = "json"\n[sync]\nremoval_grace = {GRACE}\n'


@asynccontextmanager
async def _surroundings(person: Person, **environ: str) -> AsyncIterator[Living]:
    if not person.config_file.exists():
        person.configure()
    systemd, stream = Systemd(), Log()
    around = {**person.environ, "NOTIFY_SOCKET": systemd.address, **environ}
    living = Living(person, around, Signals(), stream, systemd)
    try:
        yield living
        await living.stop()
    finally:
        living.task.cancel()
        await asyncio.wait({living.task})
        systemd.close()


@asynccontextmanager
async def living(person: Person, ends: int = errors.OK, **traits: Any) -> AsyncIterator[Living]:
    """Run a daemon on one store, with these traits; it has to end with this code."""
    async with _surroundings(person) as around:
        read = basis.read(person.config_file, around.environ)
        logger = log.configure("debug", "json", {}, around.log)
        path = read.config.store_path
        with lock(path, "the daemon of a test") as held, Store.open(path) as store:
            desk = sync.Desk(read.config, store, around.environ, read.setting)
            around.daemon = serve.Daemon(desk, read, around.signals, logger, held, **traits)
            around.task = asyncio.create_task(around.daemon.run())
            await around.systemd.until("READY")
            yield around
            assert await around.stop() == ends


@asynccontextmanager
async def serving(
    person: Person, monkeypatch: pytest.MonkeyPatch, **environ: str
) -> AsyncIterator[Living]:
    """Run all of it, reloads and supervisor included."""
    async with _surroundings(person, **environ) as around:
        monkeypatch.setattr(sys, "stderr", around.log)
        around.task = asyncio.create_task(
            serve.serve(person.config_file, around.environ, None, around.signals)
        )
        yield around


# Saves.


@pytest.mark.parametrize("save", STYLES)
async def test_each_way_of_saving_arrives(person: Person, save: Save) -> None:
    """Rewording, ticking and adding arrive, whatever the editor does, and then nothing is sent."""
    save(person.todo, "- [ ] call the bank today\n- [ ] buy milk\n")
    async with living(person) as daemon:
        await daemon.holds(call_the_bank_today=False, buy_milk=False)
        save(person.todo, "- [ ] call the bank tomorrow\n- [ ] buy milk\n")
        await daemon.holds(call_the_bank_tomorrow=False, buy_milk=False)
        save(person.todo, "- [ ] call the bank tomorrow\n- [x] buy milk\n- [ ] walk\n")
        await daemon.holds(call_the_bank_tomorrow=False, buy_milk=True, walk=False)
        assert [method for method, _ in person.sent() if method != "GET"] == [
            *("POST", "PATCH"),
            *("POST", "PATCH"),
        ]
        await daemon.still()


CHORES = [
    "water the plants in the hall",
    "write to the landlord about heating",
    "bring the bicycle to the workshop",
    "sort the photographs of last summer",
    "order new filters for the kitchen",
    "return the books to the library",
]
ENDINGS = ["", " now", " soon", " today", " again", " later"]


class Editing:
    """Someone who rewords and ticks chores in any order, saving as any editor does."""

    def __init__(self, todo: Path, seed: int) -> None:
        self.todo = todo
        self.chance = random.Random(seed)
        self.lines = [[chore, False] for chore in CHORES]

    def edit(self) -> None:
        """Change one line and save."""
        line, chore = self.chance.choice(list(zip(self.lines, CHORES, strict=True)))
        if self.chance.random() < 0.5:
            line[1] = not line[1]
        else:
            line[0] = chore + self.chance.choice(ENDINGS)
        text = "".join(f"- [{'x' if done else ' '}] {words}\n" for words, done in self.lines)
        self.chance.choice(STYLES)(self.todo, text)

    @property
    def state(self) -> dict[str, bool]:
        """What Omi should hold."""
        return {str(words): bool(done) for words, done in self.lines}


@pytest.mark.parametrize(
    "saves",
    [30, pytest.param(1000, marks=pytest.mark.campaign)],
)
async def test_no_save_is_missed(person: Person, saves: int) -> None:
    """Bursts of saves of all styles: after each burst the last state is on the server, once."""
    someone = Editing(person.todo, seed=saves)
    someone.edit()
    async with living(person) as daemon:
        await daemon.until(lambda _: person.omi() == someone.state)
        for _ in range(saves):
            someone.edit()
            if someone.chance.random() < 0.3:
                await daemon.until(lambda _: person.omi() == someone.state)
            else:
                await asyncio.sleep(0)
        await daemon.until(lambda _: person.omi() == someone.state)
        assert sum(method == "POST" for method, _ in person.sent()) == 1
        await daemon.still()


async def test_an_idle_look_sends_and_says_nothing(person: Person) -> None:
    """Cycles that find nothing new ask nobody, and are logged at debug only."""
    person.write("- [ ] buy milk\n")
    async with living(person) as daemon:
        await daemon.log.until("cycle.done", created=1)
        person.sent()
        before = list(daemon.log.loud)
        for _ in range(5):
            daemon.signals.now.set()
            await daemon.log.until("cycle.done")
        person.todo.touch()
        await daemon.still()
        assert person.sent() == []
        assert daemon.log.loud == before


# Outages.


async def test_a_thousand_edits_during_an_outage_are_one_patch_each(person: Person) -> None:
    """What changed is sent once, in its last state, when the server is back."""
    someone = Editing(person.todo, seed=1)
    someone.edit()
    async with living(person) as daemon:
        await daemon.log.until("cycle.done", created=len(CHORES))
        await person.sandbox.__aexit__()
        before = person.omi()
        person.sent()
        for number in range(1000):
            someone.edit()
            if number % 250 == 0:
                await daemon.log.until("cycle.done", code=errors.TEMPORARY)
        someone.lines[0][1] = not before.get(str(someone.lines[0][0]), False)
        someone.edit()
        await person.sandbox.__aenter__()
        daemon.signals.now.set()
        await daemon.until(lambda _: person.omi() == someone.state)
        patches = [request.path for request in person.sandbox.requests]
        assert len(patches) == len(set(patches)), "an item was patched twice"
        assert 0 < len(patches) <= len(CHORES)
        await daemon.still()


async def typed_in_vain(daemon: Living, *texts: str) -> Clock:
    """Let the server fail from now on while time stands, and save a line with each of these."""
    daemon.daemon.desk.clock = time_stands = Clock()
    daemon.sandbox.fault_rate({"5xx_before": 1.0})
    daemon.person.sent()
    for text in texts:
        daemon.person.write(f"- [ ] {text}\n")
        await daemon.log.until("cycle.done", code=errors.TEMPORARY)
    return time_stands


async def test_saves_hasten_no_request_to_a_server_that_fails(person: Person) -> None:
    """Someone types on while each change is refused: the writes of an hour are not for that."""
    person.write("- [ ] a\n")
    async with living(person) as daemon:
        await daemon.holds(a=False)
        await daemon.log.until("cycle.done", created=1)
        time_stands = await typed_in_vain(daemon, "a b", "a b c", "a b c d")
        assert [method for method, _ in person.sent()] == ["PATCH"]
        assert len(daemon.log.said("cycle.trouble")) == 1
        assert link(person, "a b c d").base is not None
        time_stands.pass_by(serve.SAVES_APART)
        person.write("- [ ] a b c d e\n")
        await daemon.log.until("cycle.done", code=errors.TEMPORARY, waiting=1)
        assert [method for method, _ in person.sent()] == ["PATCH"]
        person.sandbox.fault_rate({})
        daemon.signals.now.set()
        await daemon.holds(a_b_c_d_e=False)
        assert person.sent() == [("PATCH", 200)]


@pytest.mark.parametrize("fault", ["redirect", "intercepted"])
async def test_saves_hasten_no_request_to_what_answers_in_its_place(
    person: Person, fault: Fault
) -> None:
    """As to a server that fails; status tells when it is tried again."""
    person.write("- [ ] a\n")
    async with living(person) as daemon:
        await daemon.holds(a=False)
        await daemon.log.until("cycle.done", created=1)
        daemon.daemon.desk.clock = Clock()
        person.sandbox.fault_rate({fault: 1.0})
        person.sent()
        person.write("- [ ] a b\n")
        await daemon.log.until("cycle.trouble")
        for text in ("a b c", "a b c d"):
            person.write(f"- [ ] {text}\n")
            await daemon.log.until("cycle.done", code=errors.TEMPORARY)
        assert [method for method, _ in person.sent()] == ["PATCH"]
        assert fact(person, "last")["next_at"] is not None
        person.sandbox.fault_rate({})
        daemon.signals.now.set()
        await daemon.holds(a_b_c_d=False)


async def test_someone_who_types_through_an_outage_is_in_sync_after_it(person: Person) -> None:
    """In two-way too: a list that nobody asked for is none of those that an hour has."""
    person.settings = person.settings.replace("[sync]", '[sync]\ndirection = "two-way"')
    person.write("- [ ] plants\n")
    async with living(person) as daemon:
        await daemon.holds(plants=False)
        await daemon.log.until("cycle.done", created=1)
        before = daemon.daemon.desk.store.note(Listed)
        time_stands = await typed_in_vain(daemon, *(f"plants {n}" for n in range(5)))
        after = daemon.daemon.desk.store.note(Listed)
        assert before is not None
        assert after is not None
        assert len(person.sent()) == 1
        assert len(after.spent) <= len(before.spent) + 1
        person.sandbox.fault_rate({})
        time_stands.pass_by(serve.SAVES_APART)
        person.write("- [ ] plants at last\n")
        await daemon.holds(plants_at_last=False)


async def test_saves_in_an_outage_put_the_next_try_off_no_further(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a try that time alone asked for tells that the outage goes on."""
    monkeypatch.setattr(random, "random", lambda: 1.0)  # none of those is due meanwhile
    await person.sandbox.__aexit__()
    async with living(person, attempt=1000) as daemon:
        person.write("- [ ] a\n")
        await daemon.log.until("cycle.trouble")
        before = daemon.daemon.attempt
        for text in "bcd":
            answer = await daemon.ask(do="cycle")
            assert answer["temporary"]
            person.write(f"- [ ] {text}\n")
        assert (await daemon.ask(do="cycle"))["temporary"]
        assert daemon.daemon.attempt == before
    await person.sandbox.__aenter__()


async def test_who_asks_about_a_loop_of_links_is_answered(person: Person) -> None:
    """A link to itself at the file's place is a file that cannot be read, for who asks too."""
    person.write("- [ ] a\n")
    async with living(person) as daemon:
        await daemon.holds(a=False)
        person.todo.unlink()
        person.todo.symlink_to(person.todo)
        answer = await daemon.ask(do="cycle", todo=str(person.todo))
        assert answer["code"] == errors.BAD_FILE
        person.todo.unlink()
        person.write("- [x] a\n")
        await daemon.holds(a=True)


async def test_a_save_that_cuts_a_failing_cycle_hastens_nothing(person: Person) -> None:
    """What comes in while a request fails asks for the next cycle; it waits as any other."""
    async with living(person) as daemon:
        await daemon.log.until("cycle.done")
        alive, now = daemon.daemon, daemon.daemon.desk.clock()
        failed = sync.Outcome(errors.TEMPORARY, troubles=(errors.ServerTrouble("no"),), again=True)
        alive.attempt = 40
        alive._tell(failed)
        assert (alive.attempt, alive.failure) == (41, "no")
        due = alive._due(failed)
        assert due is not None
        assert due > now
        alive._tell(sync.Outcome(errors.TEMPORARY, again=True))  # the next one was cut short
        assert alive.failure == "no"
        for over in (
            sync.Outcome(errors.TEMPORARY, troubles=failed.troubles, progress=True),
            sync.Outcome(errors.TEMPORARY, again=True, progress=True),
        ):
            alive._tell(failed)
            alive._tell(over)
            assert alive.failure == ""


async def test_it_comes_back_by_itself(person: Person) -> None:
    """After an outage nobody has to do anything."""
    person.write("- [ ] buy milk\n")
    await person.sandbox.__aexit__()
    async with living(person) as daemon:
        await daemon.log.until("cycle.trouble")
        await person.sandbox.__aenter__()
        await daemon.holds(buy_milk=False)
        await daemon.log.until("cycle.done", code=errors.OK)
        await daemon.still()


async def test_a_person_is_told_of_a_failure_and_of_its_end(person: Person) -> None:
    """Each once, however often it fails meanwhile."""
    heard, command = person.home / "heard", person.home / "tell"
    command.write_text(f'#!/bin/sh\necho "$OMISYNC_EVENT: $1" >>"{heard}"\n')
    command.chmod(0o755)
    person.settings += f'[watch]\nnotify_command = "{command}"\nnotify_after = 0.0\n'
    person.write("- [ ] buy milk\n")
    await person.sandbox.__aexit__()
    async with living(person) as daemon:
        await daemon.log.until("alarm.heard", about="failing")
        person.write("- [ ] buy oat milk\n")
        await daemon.log.until("cycle.done", code=errors.TEMPORARY)
        await person.sandbox.__aenter__()
        daemon.signals.now.set()
        await daemon.log.until("alarm.heard", about="recovered")
        assert len(daemon.log.said("alarm.rung")) == 2
    failing, recovered = heard.read_text().splitlines()
    assert failing.startswith("failing: omisync cannot sync todo.md (exit code 75): ")
    assert recovered == "recovered: omisync is in sync again"


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("no-such-command x", "no-such-command cannot be started (No such"),
        ("false", "ended with 1"),
    ],
)
async def test_an_alarm_that_cannot_ring_is_logged(person: Person, command: str, what: str) -> None:
    """Its person would trust in it for nothing."""
    person.settings += f'[watch]\nnotify_command = "{command}"\nnotify_after = 0.0\n'
    person.write("- [ ] buy milk\n")
    await person.sandbox.__aexit__()
    async with living(person) as daemon:
        failed = await daemon.log.until("alarm.failed")
        await person.sandbox.__aenter__()
    assert what in failed["what"]
    assert "notify_command" in failed["next"]


async def test_an_alarm_that_is_cut_off_rings_again(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload ends the command before it has told anybody; the next daemon has it told."""
    began, command = person.home / "began", person.home / "tell"
    os.mkfifo(began)
    command.write_text(f'#!/bin/sh\n[ -p "{began}" ] || exit 0\n: >"{began}"\nexec sleep 60\n')
    command.chmod(0o755)
    person.settings += f'[watch]\nnotify_command = "{command}"\nnotify_after = 0.0\n'
    person.write("- [ ] buy milk\n")
    person.sandbox.fault_rate({"503": 1.0})
    async with serving(person, monkeypatch) as daemon:
        await asyncio.to_thread(began.read_bytes)
        began.unlink()
        daemon.signals.reload.set()
        await daemon.log.until("config.loaded")
        await daemon.log.until("alarm.heard", about="failing")


@asynccontextmanager
async def failing(person: Person) -> AsyncIterator[tuple[alarm.Alarm, Log]]:
    """Have a sync fail, with an alarm that is due at once; give that and what it logs."""
    person.settings += '[watch]\nnotify_command = "true"\nnotify_after = 0.0\n'
    person.write("- [ ] buy milk\n")
    await person.sandbox.__aexit__()
    diary = Log()
    async with person.desk() as desk:
        await sync.cycle(desk)
        yield alarm.Alarm(desk, log.configure("debug", "json", {}, diary)), diary


async def test_an_alarm_that_cannot_be_noted_rings_later(person: Person) -> None:
    """Another program holds the store: that ends nothing, and nobody is told twice."""
    person.clock = clock = Clock()
    async with failing(person) as (ringer, diary):
        with closing(sqlite3.connect(person.store_path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            ringer.ring()
        assert ringer.due_in(clock.now) == alarm.BUSY_SECONDS
        ringer.ring()
        assert diary.said("alarm.rung") == []
        clock.pass_by(alarm.BUSY_SECONDS)
        assert ringer.due_in(clock.now) == 0
        ringer.ring()
        await asyncio.gather(*ringer.ringing)
        assert len(diary.said("alarm.heard")) == 1
        assert ringer.due_in(clock.now) is None
    await person.sandbox.__aenter__()


class Ended:
    """A command that is over before anybody was told so."""

    async def wait(self) -> int:
        """Wait for the word of its end, which is on its way."""
        return await asyncio.get_running_loop().create_future()

    def kill(self) -> None:
        """Say, as asyncio does, that there is nothing to kill any more."""
        raise ProcessLookupError


async def test_an_alarm_may_end_in_the_moment_in_which_it_is_cut_off(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is no error, of which asyncio would print a traceback."""

    async def started(*_command: object, **_how: object) -> Ended:
        return Ended()

    monkeypatch.setattr(asyncio, "create_subprocess_exec", started)
    async with failing(person) as (ringer, _):
        ringer.ring()
        (ringing,) = ringer.ringing
        await asyncio.sleep(0)
        ringer.cut()
        await asyncio.wait({ringing})
        assert ringing.cancelled()
    await person.sandbox.__aenter__()


async def test_an_alarm_that_was_taken_out_of_the_config_stays_silent(person: Person) -> None:
    """What it told once is not taken back by a command that is no more."""
    async with failing(person) as (ringer, diary):
        ringer.ring()
        await asyncio.gather(*ringer.ringing)
    await person.sandbox.__aenter__()
    person.settings = ""
    async with person.desk() as desk:
        assert (await sync.cycle(desk)).code == errors.OK
        ringer = alarm.Alarm(desk, log.configure("debug", "json", {}, diary))
        ringer.ring()
        assert not ringer.ringing
        assert not desk.store.fact("told")


@pytest.mark.parametrize("what", ["folder", "state", "lock"])
async def test_a_state_that_was_deleted_is_begun_anew(
    person: Person, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The daemon holds what others would look for in vain, and two would create the same."""
    person.write("- [ ] buy milk\n")
    async with serving(person, monkeypatch) as daemon:
        await daemon.holds(buy_milk=False)
        await daemon.systemd.until("STATUS", "In sync: 1 task")
        if what == "folder":
            shutil.rmtree(person.store_path.parent)
        else:
            tail = ".lock" if what == "lock" else ""
            person.store_path.with_name(person.store_path.name + tail).unlink()
        person.write("- [ ] buy milk\n- [ ] call home\n")
        await daemon.log.until("state.gone", path=str(person.store_path))
        await daemon.systemd.until("STATUS", "In sync: 2 tasks")
        assert person.omi() == {"buy milk": False, "call home": False}
        with pytest.raises(errors.StoreBusy), lock(person.store_path, "another"):
            pass
        assert await daemon.stop() == errors.OK
        assert len(daemon.log.said("state.gone")) == 1
    with Store.open(person.store_path) as store:
        assert len(store.links()) == 2


async def test_a_save_does_not_wait_for_the_backoff(person: Person) -> None:
    """After many failures the next try is minutes away; an edit is tried at once."""
    person.write("- [ ] buy milk\n")
    await person.sandbox.__aexit__()
    async with living(person, attempt=1000) as daemon:
        await daemon.log.until("cycle.trouble")
        assert daemon.daemon.attempt > 1000
        await person.sandbox.__aenter__()
        person.write("- [x] buy milk\n")
        await daemon.holds(buy_milk=True)
        await daemon.log.until("cycle.done", code=errors.OK)
        assert daemon.daemon.attempt == 0, "progress ends the backoff"


async def test_trouble_is_said_once(person: Person) -> None:
    """A failure that lasts is one warning, its end is one line, a new one is said anew."""
    person.write("- [ ] buy milk\n")
    await person.sandbox.__aexit__()
    async with living(person) as daemon:
        for number in range(3):
            person.write(f"- [ ] buy milk {'x' * number}\n")
            await daemon.log.until("cycle.done", code=errors.TEMPORARY)
            with Store.open(person.store_path) as store:
                last = store.note(LastRun)
            assert last is not None
            assert last.next_at is not None, "status tells when"
            await daemon.log.until("watch.woke")
        assert len(daemon.log.said("cycle.trouble")) == 1
        await person.sandbox.__aenter__()
        daemon.signals.now.set()
        await daemon.log.until("cycle.done", code=errors.OK, level="info")
        await person.sandbox.__aexit__()
        person.write("- [x] buy milk\n")
        await daemon.log.until("cycle.trouble")
        await person.sandbox.__aenter__()
        await daemon.until(lambda _: True in person.omi().values())


async def test_lines_that_are_doubtful_are_said_once(person: Person) -> None:
    """By their numbers: a box that is nearly one, a task that became code; not what they say."""
    person.write("- [ ] buy milk\n- [ ] call home\n- [] pay rent\n")
    async with living(person) as daemon:
        await daemon.log.until("file.doubtful", level="warning", lines=[3])
        await daemon.holds(buy_milk=False, call_home=False)
        person.write("- [ ] buy bread\n\n- [ ] call home\n- [] pay rent\n")
        await daemon.until(lambda _: "buy bread" in person.omi())
        person.write("- [ ] buy bread\n# Later\n    - [ ] call home\n- [] pay rent\n")
        await daemon.log.until("file.doubtful", level="warning", lines=[3])
        assert [said["lines"] for said in daemon.log.said("file.doubtful")] == [[3], [3]]
        assert "home" not in str(daemon.log.said("file.doubtful"))


async def test_a_line_that_is_doubtful_again_is_said_again(person: Person) -> None:
    """Whatever line it is: for another reason at once, for the same once it was well meanwhile."""
    person.write("- [ ] buy milk\n- [ ] call home due:2026-02-30\n")
    async with living(person) as daemon:
        await daemon.log.until("file.doubtful", lines=[2])
        person.write("- [ ] buy milk\n- [ ] call home due:2026-02-31\n")
        await daemon.log.until("file.doubtful", lines=[2])
        person.write("- [ ] buy milk\n- [ ] call home\n")
        await daemon.until(lambda _: "call home" in person.omi())
        person.write("- [ ] buy milk\n- [ ] call home due:2026-02-31\n")
        await daemon.log.until("file.doubtful", lines=[2])


async def test_a_file_that_is_held_open_is_written_once_it_is_closed(person: Person) -> None:
    """By itself, although nothing tells that it was closed: the trouble is said once till then."""
    person.settings += 'direction = "two-way"\n'
    person.write("- [ ] buy milk\n")
    async with living(person) as daemon:
        await daemon.holds(buy_milk=False)
        await daemon.log.until("cycle.done", created=1)
        await daemon.ask(do="cycle")
        spent = [[time.time(), 60]]  # more than is read at once
        listed = {"at": time.time(), "cost": 2, "pause": 300.0, "spent": spent}
        with daemon.daemon.desk.store.transaction():
            daemon.daemon.desk.store.put_fact("listed", listed)
        person.sandbox.add("theirs")
        with person.todo.open("a"):
            daemon.signals.now.set()
            for _ in range(2):
                await daemon.log.until("cycle.done", code=errors.TEMPORARY)
        await daemon.log.until("cycle.done", code=errors.OK, line_added=1)
        assert person.todo.read_text() == "- [ ] buy milk\n- [ ] theirs\n"
        assert len(daemon.log.said("cycle.trouble")) == 1


async def test_a_rate_limit_is_waited_out(person: Person) -> None:
    """While the gate is shut nothing is sent, however often the file is saved; then all goes."""
    person.write("- [ ] buy milk\n- [ ] walk\n")
    async with living(person) as daemon:
        await daemon.log.until("cycle.done", created=2)
        person.sandbox.retry_after = 2
        person.sandbox.fault_next("429", method="PATCH")
        person.write("- [x] buy milk\n- [ ] walk\n")
        await daemon.until(lambda s: s.requests[-1].status == 429)
        shut = person.sandbox.requests[-1].at
        await daemon.log.until("cycle.done", code=errors.TEMPORARY)
        for mark in "x x":
            person.write(f"- [x] buy milk\n- [{mark}] walk\n")
            await daemon.log.until("watch.woke")
            await daemon.log.until("cycle.done", code=errors.TEMPORARY)
        person.write("- [x] buy milk\n- [x] walk\n")
        await daemon.holds(buy_milk=True, walk=True)
        after = [r.at for r in person.sandbox.requests if r.at > shut]
        assert len(after) == 2
        assert min(after) >= shut + 2
        (told,) = daemon.log.said("cycle.trouble")
        assert re.fullmatch(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d", told["until"])


async def test_a_rate_limit_survives_a_restart(person: Person) -> None:
    """The next daemon knows the gate and sends nothing before it opens."""
    person.write("- [ ] buy milk\n")
    async with living(person) as daemon:
        await daemon.log.until("cycle.done", created=1)
        person.sandbox.retry_after = 2
        person.sandbox.fault_next("429", method="PATCH")
        person.write("- [x] buy milk\n")
        await daemon.until(lambda s: s.requests[-1].status == 429)
        shut = person.sandbox.requests[-1].at
    async with living(person) as daemon:
        assert "rate limited until" in await daemon.systemd.until("STATUS", "Not finished")
        await daemon.holds(buy_milk=True)
        assert person.sandbox.requests[-1].at >= shut + 2


# A server that hangs.


async def test_an_edit_during_a_hang_goes_out(person: Person) -> None:
    """A request without an answer is cut off for a save, and both edits arrive."""
    person.write("- [ ] buy milk\n- [ ] walk\n")
    async with living(person, patience=0.1) as daemon:
        await daemon.log.until("cycle.done", created=2)
        person.sandbox.fault_next("hang")
        person.write("- [x] buy milk\n- [ ] walk\n")
        await daemon.until(lambda s: bool(s.waiting))
        person.write("- [x] buy milk\n- [x] walk\n")
        await daemon.holds(buy_milk=True, walk=True)
        await daemon.still()


async def test_a_create_that_was_cut_off_is_found(person: Person) -> None:
    """It reached the server, so it is not made a second time."""
    person.write("- [ ] buy milk\n")
    async with living(person, patience=0.1) as daemon:
        await daemon.log.until("cycle.done", created=1)
        person.sandbox.fault_next("hang_after", method="POST")
        person.write("- [ ] buy milk\n- [ ] walk\n")
        await daemon.until(lambda s: bool(s.waiting))
        person.write("- [x] buy milk\n- [ ] walk\n")
        await daemon.holds(buy_milk=True, walk=False)
        await daemon.log.until("cycle.done", code=errors.OK)
        await daemon.still()


async def test_a_hang_ends_for_a_question(person: Person) -> None:
    """Who asks meanwhile gets an answer after the patience, not after the time limit."""
    person.write("- [ ] buy milk\n")
    async with living(person, patience=0.1) as daemon:
        await daemon.log.until("cycle.done", created=1)
        person.sandbox.fault_next("hang", method="PATCH")
        person.write("- [x] buy milk\n")
        await daemon.until(lambda s: bool(s.waiting))
        answer = await daemon.ask(do="cycle")
        assert answer["code"] == errors.OK
        assert answer["data"]["done"] == {"changed": 1}


async def test_the_watchdog_is_fed_during_a_hang(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that never answers does not look like a daemon that hangs."""
    person.write("- [ ] buy milk\n")
    person.sandbox.fault_next("hang")
    async with serving(person, monkeypatch, WATCHDOG_USEC="60000") as daemon:
        await daemon.until(lambda s: bool(s.waiting))
        for _ in range(5):
            await daemon.systemd.until("WATCHDOG", "1")
        await person.sandbox.__aexit__()  # ends the hang, or the stop would wait for it


# systemd.


async def test_a_refused_key_is_tried_again_when_asked(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGUSR1 means now, whatever Omi said of the key before."""
    person.write("- [ ] buy milk\n")
    async with serving(person, monkeypatch, OMI_API_KEY="omi_dev_unknown_0123456789") as daemon:
        await daemon.systemd.until("STATUS", "key")
        person.sandbox.keys["omi_dev_unknown_0123456789"] = person.sandbox.keys[KEY]
        daemon.signals.now.set()
        await daemon.systemd.until("STATUS", "In sync")
        assert await daemon.stop() == errors.OK


@pytest.mark.parametrize("trouble", ["file missing", "server away", "key refused", "no key"])
async def test_it_is_ready_whatever_is_missing(
    person: Person, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """READY waits for no file, no server and no key, and STATUS tells what is wrong."""
    if trouble != "file missing":
        person.write("- [ ] buy milk\n")
    if trouble == "server away":
        await person.sandbox.__aexit__()
    keys = {"key refused": "omi_dev_unknown_0123456789", "no key": ""}
    key = keys.get(trouble, KEY)
    async with serving(person, monkeypatch, OMI_API_KEY=key) as daemon:
        await daemon.systemd.until("READY", "1")
        said = {
            "file missing": "there is no such file",
            "server away": "reach",
            "key refused": "key",
            "no key": "no API key",
        }
        await daemon.systemd.until("STATUS", said[trouble])
        assert await daemon.stop() == errors.OK
        await daemon.systemd.until("STOPPING", "1")
    if trouble == "server away":
        await person.sandbox.__aenter__()


async def test_status_tells_how_things_stand(person: Person) -> None:
    """``systemctl status`` shows counts, and what is waited for."""
    async with living(person) as daemon:
        await daemon.systemd.until("STATUS", f"waiting for {person.todo}: there is no such file")
        person.write("- [ ] buy milk\n")
        assert await daemon.systemd.until("STATUS", "In sync: 1 task") == (
            "In sync: 1 task. 1 created."
        )
        person.sandbox.retry_after = 3600
        person.sandbox.fault_next("429", method="PATCH")
        person.write("- [x] buy milk\n")
        status = await daemon.systemd.until("STATUS", "1 change waits (rate limited until ")
        assert "\n" not in status


async def test_a_reload_is_announced(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGHUP: RELOADING with the time of day, then READY; STOPPING is the last word."""
    person.write("- [ ] buy milk\n")
    async with serving(person, monkeypatch) as daemon:
        await daemon.systemd.until("STATUS", "In sync")
        daemon.signals.reload.set()
        record = await daemon.systemd.diary.until(lambda r: "RELOADING" in r)
        assert record["RELOADING"] == "1"
        assert 0 < int(record["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        await daemon.systemd.until("READY", "1")
        await daemon.systemd.until("STATUS", "In sync")
        assert await daemon.stop() == errors.OK
        await daemon.systemd.until("STOPPING", "1")
        assert daemon.systemd.told[-1] == "STOPPING"


async def test_the_watchdog_of_another_process_is_not_fed(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WATCHDOG_PID names who is meant."""
    person.write("- [ ] buy milk\n")
    about = {"WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"}
    async with serving(person, monkeypatch, **about) as daemon:
        await daemon.systemd.until("STATUS", "In sync")
        assert await daemon.stop() == errors.OK
        await daemon.systemd.until("STOPPING", "1")
        assert not any("WATCHDOG" in record for record in daemon.systemd.diary.records)


# The key.


@pytest.fixture
def key_file(person: Person) -> Path:
    """A key file that the config names."""
    person.configure()
    path = person.home / "key"
    text = person.config_file.read_text()
    person.config_file.write_text(text.replace("[omi]\n", f'[omi]\napi_key_file = "{path}"\n'))
    return path


def write_key(path: Path, key: str, mode: int = 0o600) -> None:
    """Write a key, by default for nobody else to read."""
    path.touch()
    path.chmod(mode)
    path.write_text(key)


@pytest.mark.parametrize("key", ["omi_dev_unknown_0123456789", READ_ONLY_KEY, "two words", None])
async def test_a_key_that_does_not_do_is_waited_for(
    person: Person, monkeypatch: pytest.MonkeyPatch, key_file: Path, key: str | None
) -> None:
    """One refusal, then no request until the key file changes; then all goes by itself."""
    person.write("- [ ] buy milk\n")
    if key is not None:
        write_key(key_file, key)
    async with serving(person, monkeypatch, OMI_API_KEY="") as daemon:
        await daemon.log.until("cycle.trouble")
        refused = person.sent()
        assert all(status in {200, 401, 403} for _, status in refused)
        for mark in "x x":
            person.write(f"- [{mark}] buy milk\n")
            await daemon.log.until("watch.woke")
        assert person.sent() == []
        write_key(key_file, KEY)
        await daemon.holds(buy_milk=True)
        await daemon.log.until("cycle.done", code=errors.OK)
        await daemon.still()
        assert KEY not in daemon.log.getvalue()


@pytest.mark.parametrize("back", [0, 86_400])
async def test_a_refusal_that_passes_is_noticed(person: Person, back: int) -> None:
    """By a request now and then: the key was good, and nobody touches a file for that.

    Also where the clock was set back a day meanwhile.
    """
    person.write("- [ ] buy milk\n")
    async with living(person, pardon=0.3) as daemon:
        await daemon.holds(buy_milk=False)
        person.sandbox.fault_next("401", "403", "401", method="PATCH")
        person.write("- [x] buy milk\n")
        await daemon.log.until("cycle.trouble")
        daemon.daemon.desk.clock = lambda: time.time() - back
        await daemon.holds(buy_milk=True)
        await daemon.log.until("cycle.done", code=errors.OK, changed=1)
        assert [status for method, status in person.sent() if method == "PATCH"] == [
            401,
            403,
            401,
            200,
        ]
        assert len(daemon.log.said("cycle.trouble")) <= 3


async def test_a_key_file_half_way_replaced_ends_nothing(
    person: Person, monkeypatch: pytest.MonkeyPatch, key_file: Path
) -> None:
    """Empty, then readable by others, then right: each is noticed, the last one is used."""
    person.write("- [ ] buy milk\n")
    write_key(key_file, "omi_dev_unknown_0123456789")
    async with serving(person, monkeypatch, OMI_API_KEY="") as daemon:
        await daemon.log.until("cycle.trouble")
        write_key(key_file, "")
        await daemon.log.until("cycle.trouble", what=f"the key file {key_file} is empty")
        write_key(key_file, KEY, mode=0o644)
        await daemon.log.until("cycle.trouble", next=f"chmod 600 {key_file}")
        write_key(key_file, KEY)
        await daemon.holds(buy_milk=False)


async def test_the_key_of_omi_cli_is_noticed(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who logs in with omi-cli later need not tell the daemon."""
    person.write("- [ ] buy milk\n")
    profile = person.home / ".omi" / "config.toml"
    profile.parent.mkdir()
    async with serving(person, monkeypatch, OMI_API_KEY="") as daemon:
        await daemon.log.until("cycle.trouble")
        write_key(
            profile,
            'active_profile = "me"\n[profiles.me]\nauth_method = "api_key"\n'
            f'api_key = "{KEY}"\napi_base = "{person.sandbox.url}"\n',
        )
        await daemon.holds(buy_milk=False)


async def test_a_reload_tries_a_refused_key_once_more(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key may be allowed meanwhile in the app: SIGHUP asks again."""
    person.write("- [ ] buy milk\n")
    scopes = person.sandbox.keys.pop(KEY)
    async with serving(person, monkeypatch) as daemon:
        await daemon.log.until("cycle.trouble")
        person.sandbox.keys[KEY] = scopes
        daemon.signals.reload.set()
        await daemon.holds(buy_milk=False)


# The config.


async def test_an_invalid_config_is_not_taken(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one stays in force and says so; the next valid one is taken."""
    person.write("- [ ] buy milk\n")
    async with serving(person, monkeypatch) as daemon:
        await daemon.systemd.until("STATUS", "In sync")
        valid = person.config_file.read_text()
        person.config_file.write_text(valid + "nonsense = 1\n")
        daemon.signals.reload.set()
        said = await daemon.log.until("config.refused", level="warning")
        assert f"{person.config_file}:" in said["what"]
        assert "nonsense" in said["what"]
        assert "old config kept" in await daemon.systemd.until("STATUS", "old config")
        person.write("- [x] buy milk\n")
        await daemon.holds(buy_milk=True)
        person.config_file.write_text(valid)
        daemon.signals.reload.set()
        await daemon.log.until("config.loaded")
        await daemon.systemd.until("READY", "1")


@pytest.mark.parametrize("left", ["", '[sync]\ntimezone = "UTC"\n', "[todo]\n"])
async def test_a_config_that_names_no_list_any_more_is_not_taken(
    person: Person, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    """Half a save, or a full disk: the list that a config without one means is another."""
    person.write("- [ ] buy milk\n")
    async with serving(person, monkeypatch) as daemon:
        await daemon.systemd.until("STATUS", "In sync")
        person.config_file.write_text(left)
        daemon.signals.reload.set()
        said = await daemon.log.until("config.refused", level="warning")
        assert said["what"] == f"{person.config_file} no longer names the list"
        person.write("- [x] buy milk\n")
        await daemon.holds(buy_milk=True)


async def test_a_config_that_vanished_is_not_taken(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Syncing goes on with what was read."""
    person.write("- [ ] buy milk\n")
    async with serving(person, monkeypatch) as daemon:
        await daemon.systemd.until("STATUS", "In sync")
        person.config_file.unlink()
        person.write("- [x] buy milk\n")
        await daemon.log.until("config.refused")
        await daemon.holds(buy_milk=True)


@pytest.mark.parametrize("how", ["held", "folder", "damaged", "nowhere"])
async def test_a_config_with_a_state_that_cannot_be_used_is_not_taken(
    person: Person, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """One that another daemon holds, that is none, or that is damaged: as any wrong config."""
    person.write("- [ ] buy milk\n")
    path = person.store_path.with_name("other.db")
    if how == "nowhere":  # a folder that nobody, not even root, can make
        path = Path("/proc/omisync/other.db")
    async with serving(person, monkeypatch) as daemon:
        await daemon.systemd.until("STATUS", "In sync")
        with lock(path, opening.HOLDER) if how == "held" else nullcontext():
            if how == "folder":
                path.mkdir()
            elif how == "damaged":
                path.write_bytes(b"no store" * 1000)
            text = person.config_file.read_text()
            person.config_file.write_text(text.replace(str(person.store_path), str(path)))
            daemon.signals.reload.set()
            said = await daemon.log.until("config.refused", level="warning")
            assert str(path) in said["what"]
            assert "the old config stays in force" in said["next"]
            person.write("- [x] buy milk\n")
            await daemon.holds(buy_milk=True)


async def test_a_config_whose_state_is_let_go_is_taken_then(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to ask again; that it is held is told once."""
    person.settings += "[watch]\nrescan = 1.0\n"
    person.write("- [ ] buy milk\n")
    path = person.store_path.with_name("other.db")
    async with serving(person, monkeypatch) as daemon:
        await daemon.systemd.until("STATUS", "In sync")
        with lock(path, opening.HOLDER):
            text = person.config_file.read_text()
            person.config_file.write_text(text.replace("todo.db", "other.db"))
            daemon.signals.reload.set()
            await daemon.log.until("config.refused", level="warning")
            daemon.signals.reload.set()
            await daemon.systemd.until("RELOADING")
        await daemon.log.until("config.loaded")
        assert len(daemon.log.said("config.refused")) == 1


async def test_the_state_under_another_name_is_the_same(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not refused because this daemon holds it itself."""
    person.write("- [ ] buy milk\n")
    alias = person.home / "alias"
    alias.symlink_to(person.store_path.parent)
    async with serving(person, monkeypatch) as daemon:
        await daemon.systemd.until("STATUS", "In sync")
        text = person.config_file.read_text()
        text = text.replace(str(person.store_path), str(alias / person.store_path.name))
        person.config_file.write_text(text)
        daemon.signals.reload.set()
        await daemon.log.until("config.loaded")
        person.write("- [x] buy milk\n")
        await daemon.holds(buy_milk=True)


async def test_another_todo_file_is_switched_to(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After todo.path and the state changed, the new file is synced and the old one is not."""
    person.write("- [ ] buy milk\n")
    other = person.home / "other.md"
    other.write_text("- [ ] walk\n")
    async with serving(person, monkeypatch) as daemon:
        await daemon.holds(buy_milk=False)
        await daemon.systemd.until("STATUS", "In sync")
        text = person.config_file.read_text()
        text = text.replace(str(person.todo), str(other)).replace("todo.db", "other.db")
        person.config_file.write_text(text)
        daemon.signals.reload.set()
        await daemon.holds(buy_milk=False, walk=False)
        person.write("- [x] buy milk\n")
        other.write_text("- [x] walk\n")
        await daemon.holds(buy_milk=False, walk=True)
        await daemon.still()


async def test_a_question_after_an_edit_of_the_config_is_answered(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon reads the config anew first, and answers by it."""
    person.write("- [ ] buy milk\n- [ ] walk\n")
    async with serving(person, monkeypatch) as daemon:
        await daemon.systemd.until("STATUS", "In sync")
        text = person.config_file.read_text()
        person.config_file.write_text(text.replace("[sync]\n", '[sync]\non_removal = "delete"\n'))
        person.write("- [ ] buy milk\n")
        answer = await daemon.ask(do="cycle")
        assert answer["data"]["done"] == {"removed": 1}
        assert person.omi() == {"buy milk": False}


async def test_a_reload_does_not_wait_for_a_hang(person: Person) -> None:
    """The request under way is cut off; the daemon that follows does what it was for."""
    person.write("- [ ] buy milk\n")
    async with living(person, ends=serve.RELOAD, patience=0.1) as daemon:
        await daemon.log.until("cycle.done", created=1)
        person.sandbox.fault_next("hang", method="PATCH")
        person.write("- [x] buy milk\n")
        await daemon.until(lambda s: bool(s.waiting))
        daemon.signals.reload.set()
        await asyncio.wait({daemon.task}, timeout=LONG)
        assert daemon.task.done()
    async with living(person) as daemon:
        await daemon.holds(buy_milk=True)


async def test_what_is_old_goes_at_the_start(person: Person) -> None:
    """A daemon with little to do would keep it for ever."""
    now = time.time()
    with Store.open(person.store_path) as store, store.transaction():
        store.record(Event(now - HISTORY_SECONDS - 60, "task.created", "old"))
        store.record(Event(now - HISTORY_SECONDS + 60, "task.created", "newer"))
    async with living(person):
        pass
    with Store.open(person.store_path) as store:
        assert [event.text for event in store.history(10) if event.text] == ["newer"]


# The file.


async def test_a_file_that_appears_later_is_synced(person: Person) -> None:
    """The daemon waits for it, its folder included."""
    person.name = "notes/todo.md"
    person.configure()
    async with living(person) as daemon:
        trouble = await daemon.log.until("cycle.trouble")
        assert "does not exist" in trouble["what"]
        person.todo.parent.mkdir()
        person.write("- [ ] buy milk\n")
        await daemon.holds(buy_milk=False)
        assert person.sent()[-1] == ("POST", 200)


async def test_a_file_that_is_gone_for_long_removes_nothing(person: Person) -> None:
    """Gone beyond the grace and looked at often, it comes back to the same tasks."""
    person.write("- [ ] buy milk\n- [ ] walk\n")
    async with living(person) as daemon:
        await daemon.log.until("cycle.done", created=2)
        person.sent()
        person.todo.unlink()
        await daemon.log.until("cycle.trouble")
        for _ in range(3):
            assert (await daemon.ask(do="cycle"))["code"] == errors.NO_FILE
        person.write("- [ ] buy milk\n- [ ] walk\n")
        await daemon.log.until("cycle.done", code=errors.OK)
        assert person.sent() == []


async def test_a_stopped_removal_is_forgotten_when_the_file_is_back(person: Person) -> None:
    """The guard refuses an emptied file whole; with the lines back nothing is sent."""
    text = "".join(f"- [ ] task {n}\n" for n in range(10))
    person.write(text)
    async with living(person) as daemon:
        await daemon.log.until("cycle.done", created=10)
        person.sent()
        person.write("- [ ] task 1\n")
        trouble = await daemon.log.until("cycle.trouble")
        assert "lost 9 of 10 tasks" in trouble["what"]
        await daemon.systemd.until("STATUS", "Stopped by the removal guard")
        person.write(text)
        await daemon.log.until("cycle.done", code=errors.OK)
        await daemon.systemd.until("STATUS", "In sync: 10 tasks")
        await daemon.still()
        assert person.sent() == []


async def test_a_removed_line_is_waited_for(person: Person) -> None:
    """A line that stays away is completed after the grace, without another save."""
    person.write("- [ ] buy milk\n- [ ] walk\n- [ ] sleep\n")
    async with living(person) as daemon:
        await daemon.log.until("cycle.done", created=3)
        person.write("- [ ] buy milk\n- [ ] sleep\n")
        noted = await daemon.log.until("cycle.done", code=errors.OK)
        assert "removed" not in noted
        await daemon.holds(buy_milk=False, walk=True, sleep=False)
        await daemon.still()


async def test_a_line_that_is_put_back_is_the_same_task(person: Person) -> None:
    """Cut and pasted elsewhere within the grace, nothing is sent for it."""
    person.settings = person.settings.replace(str(GRACE), "3600")
    person.write("- [ ] buy milk\n- [ ] walk\n- [ ] sleep\n")
    async with living(person) as daemon:
        await daemon.log.until("cycle.done", created=3)
        person.sent()
        person.write("- [ ] buy milk\n- [ ] sleep\n")
        await daemon.log.until("cycle.done")
        person.write("- [ ] walk\n- [ ] buy milk\n- [ ] sleep\n")
        await daemon.log.until("watch.woke")
        await daemon.log.until("cycle.done")
        await daemon.still()
        assert person.sent() == []


# Questions.


async def test_a_question_is_a_cycle_at_once(person: Person) -> None:
    """The answer has code, texts and data; a removal is not waited for."""
    person.settings = person.settings.replace(str(GRACE), "3600")
    person.write("- [ ] buy milk\n- [ ] walk\n")
    async with living(person) as daemon:
        await daemon.log.until("cycle.done", created=2)
        person.write("- [ ] buy milk\n")
        answer = await daemon.ask(do="cycle")
        assert (answer["code"], answer["temporary"]) == (errors.OK, False)
        assert answer["data"]["done"] == {"removed": 1}
        assert answer["out"] == "In sync: 1 task. 1 removed.\n"
        assert person.omi() == {"buy milk": False, "walk": True}


async def test_removals_are_allowed_by_a_question_alone(person: Person) -> None:
    """What the guard stopped passes once when the person says so."""
    person.write("".join(f"- [ ] task {n}\n" for n in range(10)))
    async with living(person) as daemon:
        await daemon.log.until("cycle.done", created=10)
        person.write("- [ ] task 1\n")
        await daemon.log.until("cycle.trouble")
        assert (await daemon.ask(do="cycle"))["code"] == errors.BAD_FILE
        answer = await daemon.ask(do="cycle", allow_removals=True)
        assert answer["data"]["done"] == {"removed": 9}


async def test_a_parked_task_can_be_tried_again(person: Person) -> None:
    """``retry`` beside the daemon un-parks it, and the next cycle sends it."""
    person.write("- [ ] buy milk\n")
    async with living(person) as daemon:
        await daemon.log.until("cycle.done", created=1)
        person.sandbox.fault_next("422", method="PATCH")
        person.write("- [x] buy milk\n")
        await daemon.log.until("cycle.done", code=errors.PARKED)
        assert "No parked task" in (await daemon.ask(do="retry", text="bread"))["error"]
        assert await daemon.ask(do="retry", text="milk") == {"tasks": ["buy milk"]}
        await daemon.holds(buy_milk=True)


async def test_a_greeting_is_answered_in_the_midst_of_a_cycle(person: Person) -> None:
    """Whoever only wants to know whether the daemon lives waits for no server."""
    person.write("- [ ] buy milk\n")
    person.sandbox.fault_next("slow")
    async with living(person) as daemon:
        await daemon.until(lambda s: bool(s.waiting))
        assert await daemon.ask(**control.GREETING) == {"greeted": True}
        person.sandbox.release()
        await daemon.holds(buy_milk=False)


async def test_a_parked_removal_can_be_forgotten(person: Person) -> None:
    """``forget`` beside the daemon gives it up; the item stays as it is."""
    person.write("- [ ] buy milk\n- [ ] walk\n")
    async with living(person) as daemon:
        await daemon.log.until("cycle.done", created=2)
        person.sandbox.fault_next("422", method="PATCH")
        person.write("- [ ] buy milk\n")
        assert (await daemon.ask(do="cycle"))["code"] == errors.PARKED
        assert await daemon.ask(do="forget", text="walk") == {"tasks": ["walk"]}
        await daemon.still()
        assert person.omi() == {"buy milk": False, "walk": False}


@pytest.mark.parametrize(
    "request_", [{}, {"do": "dance"}, {"do": ["cycle"]}, {"do": {"a": 1}}, {"do": None}]
)
async def test_an_unknown_question_is_answered(person: Person, request_: dict[str, Any]) -> None:
    """It gets an error, and the daemon goes on."""
    person.write("- [ ] buy milk\n")
    async with living(person) as daemon:
        assert await daemon.ask(**request_) == {"error": "unknown request"}
        await daemon.holds(buy_milk=False)


@pytest.mark.parametrize("text", ["9" * 5000, "-1", "", "x"])
async def test_a_clash_of_no_number_is_answered(person: Person, text: str) -> None:
    """Whatever stands where its number should, the daemon goes on."""
    person.write("- [ ] buy milk\n")
    async with living(person) as daemon:
        answer = await daemon.ask(do="restore", text=text)
        assert "is not the number of a clash" in answer["error"]
        assert answer["code"] == errors.USAGE
        await daemon.holds(buy_milk=False)


async def test_questions_at_once_are_all_answered(person: Person) -> None:
    """Ten people asking while an edit goes out get one cycle between them, or the next."""
    person.write("- [ ] buy milk\n")
    async with living(person) as daemon:
        await daemon.log.until("cycle.done", created=1)
        person.write("- [x] buy milk\n")
        answers = await asyncio.gather(*(daemon.ask(do="cycle") for _ in range(10)))
        assert {answer["code"] for answer in answers} == {errors.OK}
        assert person.omi() == {"buy milk": True}


async def test_a_question_about_one_list_does_nothing_to_another(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked while the config of the other list is read, it is refused."""
    person.sandbox.refuse["walk"] = 422
    person.write("- [ ] walk\n")
    assert (await person.once()).code == errors.PARKED
    text = person.config_file.read_text()
    other = person.home / "other.md"
    other.write_text("- [ ] buy milk\n")
    before = text.replace(str(person.todo), str(other)).replace("todo.db", "other.db")
    person.config_file.write_text(before)
    async with serving(person, monkeypatch) as daemon:
        await daemon.holds(buy_milk=False)
        with socket.socket(socket.AF_UNIX) as talk:
            store_path = configs.load(person.config_file, daemon.environ).store_path
            talk.connect(str(control.place(store_path, daemon.environ)))
            await daemon.ask(do="cycle")  # it came later, so the other one was let in
            person.config_file.unlink()
            os.mkfifo(person.config_file)  # whoever reads it waits until all is written

            def ask() -> None:
                with person.config_file.open("w") as config:
                    talk.sendall(b'{"do": "retry"}\n')
                    person.config_file.unlink()
                    person.config_file.write_text(text)
                    config.write(text)

            person.sent()
            asking = asyncio.create_task(asyncio.to_thread(ask))
            daemon.signals.reload.set()
            await asking
            await daemon.systemd.until("STATUS", "1 task, 1 parked")
        assert person.sent() == []


async def test_a_daemon_that_stops_says_so_to_all_who_ask() -> None:
    """To who waits for an answer, and to who asks from then on."""
    door = asked.Asked()
    waiting = asyncio.create_task(door.ask({"do": "cycle"}))
    await door.came.wait()
    door.refuse()
    assert await waiting == await door.ask({"do": "retry"}) == asked.STOPPING


async def test_a_refused_key_answers_questions(person: Person) -> None:
    """Who asks hears why nothing is sent."""
    person.write("- [ ] buy milk\n")
    person.sandbox.keys.pop(KEY)
    async with living(person) as daemon:
        await daemon.log.until("cycle.trouble")
        answer = await daemon.ask(do="cycle")
        assert answer["code"] == errors.BAD_KEY
        assert "omi_dev_sandbox_0f4b" not in json.dumps(answer)


async def test_a_daemon_without_a_door_syncs_all_the_same(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no socket can be made the log says so."""
    person.write("- [ ] buy milk\n")
    (person.home / "run").write_text("in the way")
    async with serving(person, monkeypatch, XDG_RUNTIME_DIR=str(person.home / "run")) as daemon:
        await daemon.log.until("control.closed", level="warning")
        await daemon.holds(buy_milk=False)


# The end.


@pytest.mark.parametrize("fault", ["html", "redirect", "404"])
async def test_what_answers_for_the_server_for_a_moment_ends_nothing(
    person: Person, fault: Fault
) -> None:
    """A proxy, or the gateway while Omi is renewed: told, and tried again."""
    person.write("- [ ] buy milk\n")
    async with living(person) as daemon:
        await daemon.log.until("cycle.done", code=errors.OK)
        person.sandbox.fault_next(fault, fault, method="POST")
        person.write("- [ ] buy milk\n- [ ] walk\n")
        await daemon.log.until("cycle.trouble")
        await daemon.log.until("cycle.done", code=errors.OK)
        await daemon.holds(buy_milk=False, walk=False)
        person.sandbox.fault_next(fault, method="POST")
        person.write("- [ ] buy milk\n- [ ] walk\n- [ ] read\n")
        await daemon.log.until("cycle.trouble")
        assert fact(person, "last")["code"] == errors.WRONG_SERVER  # as status tells
        await daemon.holds(buy_milk=False, walk=False, read=False)


@pytest.mark.parametrize(("fault", "synced"), [("405", True), ("426", True), ("html", False)])
async def test_a_wrong_server_ends_the_daemon(person: Person, fault: Fault, synced: bool) -> None:
    """69: neither time nor a changed file can cure it."""
    person.write("- [ ] buy milk\n")
    if synced:
        await person.cycle()
        person.write("- [ ] buy milk\n- [ ] walk\n")
    person.sandbox.fault_next(fault)
    async with living(person, ends=errors.WRONG_SERVER) as daemon:
        await daemon.log.until("cycle.trouble")
        await asyncio.wait({daemon.task}, timeout=LONG)
        assert daemon.task.done()


def test_a_call_that_hangs_holds_up_no_end() -> None:
    """The process ends while one of its threads still waits for an answer."""
    program = """
        import asyncio, threading
        from omisync.daemon import threads

        async def main():
            assert await asyncio.to_thread(int, "7") == 7
            begun = threading.Event()
            def hang():
                begun.set()
                threading.Event().wait()
            hanging = asyncio.create_task(asyncio.to_thread(hang))
            await asyncio.to_thread(begun.wait)
            try:
                await asyncio.to_thread(int, "x")
            except ValueError:
                print("over")

        threads.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.stdout, done.returncode) == ("over\n", 0), done.stderr
