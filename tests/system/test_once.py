"""``omisync --once`` as people and timers run it: what it sends, says and exits with."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from machine import OTHER_KEY, PATIENCE, ended, lines, started
from running import Daemon

import omisync
from omisync import errors, file
from omisync.sandbox import KEY, READ_ONLY_KEY
from omisync.store import Store, lock
from omisync.store.notes import Settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from machine import Machine, Omi

    from omisync.sandbox.faults import Fault

HEAVY = {
    "aiohttp", "pydantic", "structlog", "rich", "watchfiles", "asyncio", "rapidfuzz", "pyromark",
}  # fmt: skip

LONG_AGO = 1_700_000_000.0


# The way it goes when all is well.


def toml(*tasks: tuple[str, bool]) -> str:
    """Return a TOML list."""
    return "".join(
        f"[[todo]]\ndescription = {json.dumps(text)}\ncompleted = {json.dumps(done)}\n"
        for text, done in tasks
    )


def markdown(*tasks: tuple[str, bool]) -> str:
    """Return a Markdown list."""
    return "".join(f"- [{'x' if done else ' '}] {text}\n" for text, done in tasks)


FORMATS = {"todo.md": markdown, "todo.toml": toml}


@pytest.mark.parametrize("name", FORMATS)
def test_a_list_and_its_edits_arrive(name: str, machine: Machine, omi: Omi) -> None:
    """First sync, tick with rewording, new line, removed line: one write each, then none."""
    listed = FORMATS[name]
    machine.name = name
    machine.configure()
    tasks = [("Buy milk", False), ("Pay the rent", True), ("Call mum", False), ("Run", False)]
    machine.write(listed(*tasks))
    ran = machine.once()
    assert (ran.code, ran.out) == (0, "In sync: 4 tasks. 4 created.\n")
    assert omi.sent() == [("GET", 200), ("GET", 200), ("POST", 200)]
    machine.settled()
    machine.write(listed(("Buy milk and bread", True), *tasks[1:3], ("Read", False)))
    ran = machine.once()
    assert ran.out == "In sync: 4 tasks. 1 created, 1 changed, 1 removed.\n"
    assert sorted(omi.writes()) == ["PATCH", "PATCH", "POST"]
    expected = {"Buy milk and bread": True, "Pay the rent": True, "Call mum": False}
    assert omi.items() == {**expected, "Run": True, "Read": False}
    machine.settled()


def test_ten_thousand_tasks_are_two_hundred_requests(machine: Machine, omi: Omi) -> None:
    """10,000 new lines: 200 batches; nothing more; one line reworded: one PATCH."""
    machine.write(lines(*range(10_000)))
    assert machine.once().code == 0
    assert omi.writes() == ["POST"] * 200
    assert len(omi.items()) == 10_000
    machine.settled()
    machine.write(lines(*range(10_000)).replace("task 5000\n", "task 5000, the middle one\n"))
    assert machine.once().out == "In sync: 10000 tasks. 1 changed.\n"
    assert omi.sent() == [("PATCH", 200)]
    machine.settled()


def test_an_empty_list_is_in_sync(machine: Machine, omi: Omi) -> None:
    """Before anything was synced, a file without tasks is no trouble and needs no server."""
    machine.write("# Nothing yet\n")
    assert machine.once().out == "In sync: 0 tasks.\n"
    assert omi.sent() == []


def test_quiet_says_nothing_when_all_is_well(machine: Machine) -> None:
    """``-q`` leaves a clean run without a word, the first one and the next."""
    machine.write(lines(1))
    assert machine.once("-q").said == ""
    assert machine.once("-q").said == ""


def test_a_person_is_told_what_omi_will_not_do(machine: Machine, omi: Omi) -> None:
    """A due date that this server cannot clear is said once, and never fought over."""
    omi.sandbox.clears_due = False
    machine.synced("- [ ] Pay due:2030-01-01\n")
    machine.write("- [ ] Pay\n")
    ran = machine.once()
    assert ran.code == 0
    assert "does not clear due dates" in ran.err
    assert "Pay" in ran.err
    machine.settled()


# A run with nothing to do.


def at_rest(machine: Machine, text: str | None = None, mtime: float | None = None) -> None:
    """Sync a file, written at ``mtime`` (Unix seconds; None: now)."""
    machine.write(lines(1, 2, 3) if text is None else text)
    if mtime is not None:
        os.utime(machine.todo, (mtime, mtime))
    assert machine.once().code in {0, 1}
    machine.omi.sent()


def test_nothing_to_do_loads_nothing_heavy(machine: Machine, omi: Omi) -> None:
    """The second run imports none of the libraries, says the same, and sends nothing."""
    at_rest(machine)
    ran, loaded = machine.watched("--once")
    assert (ran.code, ran.said) == (0, "In sync: 3 tasks.\n")
    assert HEAVY & loaded == set()
    assert omi.sent() == []


def test_a_touched_file_is_still_nothing_to_do(machine: Machine, omi: Omi) -> None:
    """A new modification time on the same bytes loads and sends nothing."""
    at_rest(machine, mtime=LONG_AGO)
    machine.todo.touch()
    ran, loaded = machine.watched("--once")
    assert ran.code == 0
    assert HEAVY & loaded == set()
    assert omi.sent() == []


def test_nothing_to_do_keeps_the_code_of_parked_tasks(machine: Machine, omi: Omi) -> None:
    """While Omi refuses a task, each run exits with 1, and the later ones load nothing."""
    omi.sandbox.refuse["task 2"] = 422
    at_rest(machine)
    ran, loaded = machine.watched("--once")
    assert ran.code == 1
    assert "3 tasks, 1 parked" in ran.out
    assert "status" in ran.out
    assert HEAVY & loaded == set()
    assert omi.sent() == []


def test_a_program_reads_the_same_of_both_runs(machine: Machine) -> None:
    """``--once --json`` has the same keys whether there was something to do or not."""
    machine.write(lines(1, 2))
    first, second = machine.once("--json").data, machine.once("--json").data
    assert first["done"] == {"created": 2}
    assert {**first, "done": {}} == second


def test_a_program_reads_which_tasks_are_parked(machine: Machine, omi: Omi) -> None:
    """By each run, whether there was something to do or not."""
    omi.sandbox.refuse["task 2"] = 422
    machine.write(lines(1, 2))
    for _ in range(3):
        ran = machine.once("--json")
        assert (ran.code, ran.data["parked"]) == (1, 1)
        assert [one["text"] for one in ran.data["parked_tasks"]] == ["task 2"]


def test_a_program_reads_when_something_is_due(machine: Machine, omi: Omi) -> None:
    """A run that finds nothing to do tells when a parked task is tried again, as the one before."""
    machine.synced(lines(1, 2))
    omi.sandbox.fault_next("402", method="PATCH")
    machine.write(lines(1) + "- [x] task 2\n")
    first, second = machine.once("--json").data, machine.once("--json").data
    assert second["look_at"] == first["look_at"]
    assert second["look_at"] is not None


def reread(machine: Machine, **environ: str | None) -> bool:
    """Return whether the next run looks at everything anew."""
    ran, loaded = machine.watched("--once", **environ)
    assert ran.code in {0, 75, 77, 78}, ran.said
    return "asyncio" in loaded


def test_a_changed_config_is_looked_at(machine: Machine) -> None:
    """Whatever is written into the config, the next run reads it."""
    at_rest(machine)
    with machine.config_file.open("a") as config:
        config.write("# a word\n")
    assert reread(machine)
    assert not reread(machine)


@pytest.mark.parametrize(
    "environ",
    [{"OMI_API_KEY": OTHER_KEY}, {"TZ": "Asia/Tokyo"}, {"OMI_API_BASE": "http://127.0.0.1:9"}],
)
def test_a_changed_environment_is_looked_at(machine: Machine, environ: dict[str, str]) -> None:
    """Another key, another time zone or another server is a reason to look again."""
    at_rest(machine)
    assert reread(machine, **environ)


def test_another_version_looks_again(machine: Machine, tmp_path: Path) -> None:
    """It may read the file in another way."""
    package = tmp_path / "newer" / "omisync"
    shutil.copytree(Path(omisync.__file__).parent, package)
    text = (package / "__init__.py").read_text()
    at_rest(machine)
    assert not reread(machine, PYTHONPATH=str(package.parent))
    newer = text.replace(f'"{omisync.__version__}"', '"99.0"')
    (package / "__init__.py").write_text(newer)
    assert reread(machine, PYTHONPATH=str(package.parent))


def test_two_way_always_asks_omi(machine: Machine, omi: Omi) -> None:
    """Nothing here can tell what is new there."""
    machine.configure(sync='direction = "two-way"\n')
    at_rest(machine)
    assert machine.once().code == 0
    assert omi.sent() != []


def noted(machine: Machine, **values: object) -> None:
    """Have the note of the last clean run say so."""
    with Store.open(machine.store) as store, store.transaction():
        settled = store.note(Settled)
        assert settled is not None
        store.put_note(replace(settled, **values))


def test_a_clock_that_was_set_back_is_no_reason_to_trust(machine: Machine) -> None:
    """What was seen at a time to come tells nothing about the file of today."""
    at_rest(machine, mtime=LONG_AGO)
    assert not reread(machine)
    noted(machine, at=time.time() + 3600)
    assert reread(machine)


def test_what_is_due_is_looked_at(machine: Machine) -> None:
    """As a parked task that is to be tried again: when it is time, and not before."""
    at_rest(machine)
    noted(machine, look_at=time.time() + 3600)
    assert not reread(machine)
    noted(machine, look_at=time.time() - 1)
    assert reread(machine)


def test_a_coarse_clock_hides_no_edit(machine: Machine, omi: Omi) -> None:
    """Written twice within two seconds a file may look the same from outside: its bytes count."""
    at_rest(machine)
    machine.write(lines(1, 2, 4))
    os.utime(machine.todo, (LONG_AGO, LONG_AGO))
    seen = file.signature(machine.todo)
    assert seen is not None
    noted(machine, signature=[*seen], at=LONG_AGO + 1)
    assert machine.once().code == 0
    assert omi.items()["task 4"] is False


def test_a_key_file_that_others_can_read_is_told_at_once(machine: Machine, omi: Omi) -> None:
    """Also a run with nothing to do says that the key is in danger, and exits with 78."""
    place = machine.home / "key"
    place.write_text(KEY)
    place.chmod(0o600)
    machine.environ = {}
    machine.configure(omi='api_key_file = "~/key"\n')
    at_rest(machine)
    assert not reread(machine)
    place.chmod(0o640)
    ran = machine.once()
    assert ran.code == 78
    assert "chmod 600" in ran.err
    assert omi.sent() == []
    place.chmod(0o600)
    machine.settled()


def test_a_missing_key_is_told_at_once(machine: Machine, omi: Omi) -> None:
    """Also a run with nothing to do exits with 77 where there is no key any more."""
    at_rest(machine)
    ran = machine.once(OMI_API_KEY=None)
    assert ran.code == 77
    assert "no API key" in ran.err
    assert omi.sent() == []
    machine.settled()


@pytest.mark.parametrize("mtime", [None, LONG_AGO])
def test_other_bytes_of_the_same_size_and_time_are_seen(
    machine: Machine, omi: Omi, mtime: float | None
) -> None:
    """A file replaced by another of its size, its time put back: the change arrives."""
    at_rest(machine, mtime=mtime)
    before = machine.todo.stat()
    fresh = machine.todo.with_suffix(".new")
    fresh.write_text(lines(1, 2, 4))
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    fresh.replace(machine.todo)
    assert machine.todo.stat().st_mtime_ns == before.st_mtime_ns
    assert machine.todo.stat().st_size == before.st_size
    assert machine.once().code == 0
    assert omi.writes() != []
    assert omi.items()["task 4"] is False


def test_a_removal_that_waits_is_looked_at(machine: Machine, omi: Omi) -> None:
    """With ``--grace`` a removed line waits; each run looks whether its time has come."""
    at_rest(machine)
    machine.write(lines(1, 2))
    ran = machine.once("--grace")
    assert (ran.code, omi.sent()) == (0, [])
    assert re.search(r"1 removed line waits until .*, should it come back: “task 3”\n", ran.err)
    assert machine.once("--grace", "--json").data["absent_tasks"] == ["task 3"]
    assert reread(machine)
    assert omi.items() == {"task 1": False, "task 2": False, "task 3": True}


def test_a_line_that_comes_back_in_time_was_never_away(machine: Machine, omi: Omi) -> None:
    """Cut, synced by the timer, pasted back: nothing is sent at any time."""
    at_rest(machine)
    machine.write(lines(1, 2))
    machine.once("--grace")
    machine.write(lines(2, 3, 1))
    assert machine.once("--grace").code == 0
    machine.settled()
    assert omi.items() == dict.fromkeys(["task 1", "task 2", "task 3"], False)


# 75: it will pass.


def test_no_server_is_temporary(machine: Machine, omi: Omi) -> None:
    """75 while nothing answers, everything kept; 0 when it is back."""
    omi.stop()
    machine.write(lines(1, 2))
    ran = machine.once("--timeout", "0.5")
    assert ran.code == 75
    assert "cannot be reached: Connection refused" in ran.err
    assert "check the network" in ran.err
    assert "run `omisync --once` again" in ran.err
    assert machine.run("status").code == 75
    omi.start()
    assert machine.once().code == 0
    assert omi.items() == {"task 1": False, "task 2": False}
    machine.settled()


def test_a_rate_limit_is_kept_across_runs(machine: Machine, omi: Omi) -> None:
    """429 for an hour: 75 at once with the end of it; the next run does not even ask."""
    omi.sandbox.retry_after = 3600
    omi.sandbox.fault_next(None, None, "429")
    machine.write(lines(1, 2))
    ran = machine.once()
    assert ran.code == 75
    assert "2 changes wait (rate limited until " in ran.out
    assert omi.sent() == [("GET", 200), ("GET", 200), ("POST", 429)]
    assert machine.once().code == 75
    assert "POST" not in omi.writes()
    status = machine.run("status", "--json").data
    assert 3500 < status["gates"]["write"]["wait"] <= 3600
    assert status["waiting"] == 2
    with closing(sqlite3.connect(machine.store)) as store, store:
        store.execute("UPDATE gates SET retry_after = 0")  # an hour later
    assert machine.once().code == 0
    assert omi.items() == {"task 1": False, "task 2": False}
    machine.settled()


def test_a_short_limit_is_waited_out(machine: Machine, omi: Omi) -> None:
    """A limit of a second is no reason to give up: the run waits and ends with 0."""
    omi.sandbox.fault_next(None, None, "429")
    machine.write(lines(1))
    assert machine.once().code == 0
    assert [status for method, status in omi.sent() if method == "POST"] == [429, 200]
    machine.settled()


def test_a_server_that_does_not_answer_is_given_up_in_time(machine: Machine, omi: Omi) -> None:
    """``--timeout`` ends also a request under way, and begins no other after it."""
    machine.synced(lines(1))
    machine.write("- [x] task 1\n- [ ] new\n")
    omi.sandbox.fault_next("hang", method="GET")
    ran = ended(machine.start("--once", "--timeout", "0"), patience=25.0)
    assert ran.code == 75
    assert "no answer in time" in ran.err
    assert "2 changes wait" in ran.out
    omi.release()
    assert omi.sent() == [("GET", None)]
    assert machine.once().code == 0
    assert omi.items() == {"task 1": True, "new": False}


def at_a_terminal(machine: Machine, omi: Omi, *arguments: str, until: str) -> str:
    """Return what a command says on a terminal, before Omi answers until this, and after."""
    ours, theirs = pty.openpty()
    around = machine.surroundings(TERM="xterm", COLUMNS="120")
    with started(arguments, machine.home, around, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        while until.encode() not in said:
            said += os.read(ours, 10_000)
        omi.until(lambda sandbox: len(sandbox.waiting) > 0)
        omi.release()
        assert process.wait(PATIENCE) == 0
    with contextlib.suppress(OSError):  # the end of what a terminal says
        while more := os.read(ours, 10_000):
            said += more
    os.close(ours)
    return said.decode()


@pytest.mark.parametrize("command", ["--once", "--dry-run", "repair"])
def test_at_a_terminal_a_silent_server_is_named(command: str, machine: Machine, omi: Omi) -> None:
    """Who is asked shows before the answer comes, and is wiped out by it; not with -q."""
    machine.configure(sync='direction = "two-way"\n')
    machine.write(lines(0))
    omi.sandbox.slow_seconds = PATIENCE
    omi.fail("slow")
    asked = f"waiting for an answer from {omi.sandbox.url}"
    assert at_a_terminal(machine, omi, command, until=asked).endswith("\x1b[2K")
    omi.fail("slow")
    assert at_a_terminal(machine, omi, command, "-q", until="") == ""


def test_at_a_terminal_a_silent_daemon_is_named(machine: Machine, omi: Omi) -> None:
    """It may be at work, or wait for the server; and it wipes that out, too."""
    machine.write(lines(0))
    with Daemon(machine) as daemon:
        daemon.until(r"cycle\.done .*code=0")
        omi.sandbox.slow_seconds = PATIENCE
        omi.fail("slow")
        machine.write(lines(0, 1))
        said = at_a_terminal(machine, omi, "--once", until="answer from the omisync that runs")
        assert said.endswith("\x1b[2K")
        assert daemon.end().code == 0


@pytest.mark.parametrize("fault", ["5xx_before", "5xx_after", "reset_after", "hang_after"])
def test_a_failing_server_is_temporary(fault: Fault, machine: Machine, omi: Omi) -> None:
    """75 with a small ``--timeout``; when it is well again, each task exists once."""
    machine.write(lines(1, 2, 3))
    omi.sandbox.fault_next(None, None)
    omi.fail(fault)
    if fault == "hang_after":
        process = machine.start("--once", "--timeout", "0")
        omi.until(lambda sandbox: any(r.method == "POST" for r in sandbox.waiting))
        omi.stop()
        ran = ended(process)
        omi.start()
    else:
        ran = machine.once("--timeout", "0")
    assert ran.code == 75
    assert "3 changes wait" in ran.out
    assert "Nothing is lost" in ran.err
    omi.heal()
    assert machine.once().code == 0
    assert omi.items() == dict.fromkeys(["task 1", "task 2", "task 3"], False)
    machine.settled()


@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_what_got_no_answer_is_named(method: str, machine: Machine, omi: Omi) -> None:
    """With its text and its line, below what the server said; of a batch the first ones."""
    machine.synced(lines(1, 2))
    fresh = "".join(f"- [ ] new {n}\n" for n in range(5))
    machine.write(lines(1) + ("- [x] task 2\n" if method == "PATCH" else lines(2) + fresh))
    omi.sandbox.fault_next("5xx_before", method=method)
    ran = machine.once("--timeout", "0")
    assert ran.code == 75
    said, told, *rest = ran.err.splitlines()
    assert said.startswith("the server answered the c")
    if method == "PATCH":
        assert told == f"  task 2  {machine.todo}:2"
    else:
        assert [told, *rest[:3]] == [
            *(f"  new {n}  {machine.todo}:{n + 3}" for n in range(3)),
            "… and 2 more such tasks; `omisync --dry-run` shows all",
        ]
        assert machine.run("--dry-run").out.count("? unsure") == 5
    assert machine.once("--json").data["failed_tasks"] == []
    machine.write("- [ ] zebra\n" + machine.todo.read_text())
    omi.sandbox.fault_next("5xx_before", method="POST")
    (facts,) = machine.once("--timeout", "0", "--json").data["failed_tasks"]
    assert (facts["text"], facts["line"]) == ("zebra", 1)


def test_a_server_that_never_recovers_is_given_up(machine: Machine, omi: Omi) -> None:
    """5xx for ever: the run ends by itself with 75 and names what the server said."""
    machine.write(lines(1))
    omi.fail("5xx_before")
    ran = machine.once("--timeout", "1")
    assert ran.code == 75
    assert "the server answered" in ran.err
    assert omi.items() == {}
    omi.heal()
    assert machine.once().code == 0
    machine.settled()


# One at a time.


def test_what_nothing_expected_is_no_outcome_of_a_sync(machine: Machine, omi: Omi) -> None:
    """A broken installation, say: the traceback is shown, and the code is of its own."""
    machine.write(lines(1))
    broken = machine.home / "broken"
    broken.mkdir()
    (broken / "aiohttp.py").write_text("raise RuntimeError('half installed')\n")
    environ = machine.surroundings() | {"PYTHONPATH": str(broken)}
    ran = subprocess.run(  # anew: the processes of other tests have it loaded
        [sys.executable, "-m", "omisync", "--once"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == errors.OWN_FAULT
    assert "RuntimeError: half installed" in ran.stderr
    assert "Please report the lines above." in ran.stderr.splitlines()[-1]
    assert omi.sent() == []
    assert machine.once().code == errors.OK


def test_a_second_run_waits_for_the_first(machine: Machine, omi: Omi) -> None:
    """With ``--timeout 0`` 75 and who it is; else it waits, then finds everything done."""
    machine.write(lines(1, 2))
    omi.sandbox.slow_seconds = 600
    omi.sandbox.fault_next("slow")
    first = machine.start("--once")
    omi.until(lambda sandbox: bool(sandbox.waiting))
    ran = machine.once("--timeout", "0")
    assert ran.code == 75
    assert f"omisync --once (process {first.pid}) already works on" in ran.err
    assert "wait for a run that ends by itself" in ran.err
    second = machine.start("--once")
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(1.0)
    omi.release()
    assert ended(first).code == 0
    ran = ended(second)
    assert (ran.code, ran.out) == (0, "In sync: 2 tasks.\n")
    assert omi.writes() == ["POST"]
    assert omi.items() == {"task 1": False, "task 2": False}


def test_a_config_that_is_edited_while_a_run_waits_is_looked_at(machine: Machine, omi: Omi) -> None:
    """The run goes by the config that it has read, and the next one by the new one."""
    machine.settings = {"sync": 'completed = "skip"\n'}
    machine.configure()
    machine.synced("- [ ] a\n- [x] b\n")
    machine.write("- [ ] a\n- [x] b\n- [ ] c\n")
    former = machine.config_file.read_text()
    machine.config_file.unlink()
    os.mkfifo(machine.config_file)  # whoever reads it waits until all is written
    with lock(machine.store, "another omisync"):
        waiting = machine.start("--once")
        with machine.config_file.open("w") as config:
            machine.config_file.unlink()
            machine.settings = {"sync": 'completed = "mirror"\n'}
            machine.configure()
            config.write(former)
    assert ended(waiting).out == "In sync: 3 tasks. 1 created.\n"
    assert omi.items() == {"a": False, "c": False}
    assert machine.once().out == "In sync: 3 tasks. 1 created.\n"
    assert omi.items() == {"a": False, "b": True, "c": False}


def test_a_lock_of_another_program_is_named(machine: Machine, omi: Omi) -> None:
    """Whoever holds the store is named; when it lets go, the run works."""
    machine.synced(lines(1))
    machine.write(lines(1, 2))
    with lock(machine.store, "the omisync daemon"):
        ran = machine.once("--timeout", "0")
    assert ran.code == 75
    assert f"the omisync daemon (process {os.getpid()})" in ran.err
    assert omi.sent() == []
    assert machine.once().code == 0
    machine.settled()


# 77: the key and its account.


def test_no_key(machine: Machine, omi: Omi) -> None:
    """77, what can be done, nothing sent; with a key it works."""
    machine.write(lines(1))
    ran = machine.once(OMI_API_KEY=None)
    assert ran.code == 77
    for word in ("no API key", "omisync init", "OMI_API_KEY", "api_key_file"):
        assert word in ran.err
    assert omi.sent() == []
    assert machine.once().code == 0


def test_a_key_that_cannot_be_one(machine: Machine, omi: Omi) -> None:
    """77, where the trouble is in it, nothing sent."""
    machine.write(lines(1))
    ran = machine.once(OMI_API_KEY=f"{KEY} {KEY}")
    assert ran.code == 77
    assert f"character {len(KEY) + 1} of" in ran.err
    assert omi.sent() == []


def test_a_refused_key(machine: Machine, omi: Omi) -> None:
    """401: 77 after one request, the key masked, and where to make a new one."""
    machine.write(lines(1))
    ran = machine.once(OMI_API_KEY="omi_dev_this_one_was_revoked_9999")
    assert ran.code == 77
    assert "omi_de…9999" in ran.err
    assert "revoked" not in ran.said
    assert "Omi app" in ran.err
    assert omi.sent() == [("GET", 401)]
    assert machine.once().code == 0


def test_a_key_that_may_not_write(machine: Machine, omi: Omi) -> None:
    """403: 77 after one write, with the scope that is missing and that a new key is needed."""
    machine.write(lines(*range(120)))
    ran = machine.once(OMI_API_KEY=READ_ONLY_KEY)
    assert ran.code == 77
    assert "action_items:write" in ran.err
    assert "new key" in ran.err
    assert "120 changes wait" in ran.out
    assert omi.writes() == ["POST"]
    assert machine.run("status", OMI_API_KEY=READ_ONLY_KEY).code == 77
    assert machine.once().code == 0
    machine.settled()


def test_the_key_of_another_account(machine: Machine, omi: Omi) -> None:
    """Another account's key: 77, only reads; the former key goes on as if nothing was."""
    machine.synced(lines(1, 2, 3))
    machine.write(lines(1, 2, 3, 4))
    mine = dict(omi.sandbox.items)
    omi.sandbox.items.clear()
    omi.sandbox.keys[OTHER_KEY] = omi.sandbox.keys[KEY]
    ran = machine.once(OMI_API_KEY=OTHER_KEY)
    assert ran.code == 77
    assert "another account" in ran.err
    assert "--accept-account" in ran.err
    assert omi.writes() == []
    omi.sandbox.items.update(mine)
    assert machine.once().code == 0
    assert omi.writes() == ["POST"]
    assert len(omi.items()) == 4
    machine.settled()


def test_a_new_key_of_the_same_account(machine: Machine, omi: Omi) -> None:
    """A key that was made anew opens the same tasks: one look, then as ever."""
    machine.synced(lines(1, 2, 3))
    omi.sandbox.keys[OTHER_KEY] = omi.sandbox.keys.pop(KEY)
    machine.environ["OMI_API_KEY"] = OTHER_KEY
    machine.write(lines(1, 2, 3, 4))
    assert machine.once().code == 0
    assert omi.writes() == ["POST"]
    machine.settled()


# 78: the config.

WRONG = {
    "an unknown key": ("[sync]\nadoptt = true\n", ["config.toml:8", "adoptt", "adopt?"]),
    "an unknown table": ("[sinc]\n", ["config.toml:7", "sinc", "[sync]"]),
    "a wrong type": ("[sync]\nadopt = 'yes'\n", ["config.toml:8", "sync.adopt", "true or false"]),
    "a wrong value": ("[sync]\nmax_removals = 7\n", ["config.toml:8", "max_removals", "0 to 1"]),
    "broken TOML": ("[sync\n", ["config.toml:7:6", "TOML"]),
    "a path of another type": ("[state]\npath = 5\n", ["config.toml:8", "state.path", "a path"]),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_config(what: str, machine: Machine, omi: Omi) -> None:
    """78 with file, line, key and what is allowed; nothing sent; corrected, it works."""
    text, words = WRONG[what]
    machine.write(lines(1))
    good = machine.config_file.read_text()
    machine.config_file.write_text(good + text)
    for command in (["--once"], ["--dry-run"], []):
        ran = machine.run(*command)
        assert ran.code == 78
        for word in words:
            assert word in ran.err
        assert "correct " in ran.err
    assert omi.sent() == []
    machine.config_file.write_text(good)
    assert machine.once().code == 0


@pytest.mark.parametrize("text", ["todo = 3", "[[todo]]", "sync = 3", "[[sync]]", "state = 3"])
def test_a_config_whose_tables_are_none(text: str, machine: Machine) -> None:
    """78 with the line, also from the look that decides whether there is anything to do."""
    machine.synced(lines(1))
    machine.config_file.write_text(f"{text}\n")
    ran = machine.once()
    assert ran.code == 78
    assert f"config.toml:1: {text.strip('[] =3')} must be a table" in ran.err


def test_several_mistakes_in_a_config_are_told_one_a_line(machine: Machine) -> None:
    """Each mistake has its line, so that all can be corrected at once."""
    machine.configure(sync='adoptt = true\nremoval_grace = "x"\n')
    said = machine.once().err.splitlines()
    assert [line.rpartition("config.toml:")[2][:2] for line in said[:2]] == ["8:", "9:"]
    assert said[2].startswith("→ correct ")


def test_no_config(machine: Machine) -> None:
    """78 and how to make one."""
    machine.config_file.unlink()
    ran = machine.once()
    assert ran.code == 78
    assert str(machine.config_file) in ran.err
    assert "omisync init" in ran.err


@pytest.mark.parametrize("name", ["c" * 300, "file/config.toml", "loop"])
def test_a_config_that_cannot_be_looked_at(name: str, machine: Machine) -> None:
    """78 and where it is, though not even a glance at it succeeds."""
    (machine.home / "file").write_text("")
    (machine.home / "loop").symlink_to("loop")
    for words in (("--once",), ("--once", "--json"), ("status",)):
        ran = machine.run("-c", str(machine.home / name), *words)
        assert ran.code == 78, ran.said
        assert f"{machine.home / name} cannot be read: " in ran.err


@pytest.mark.parametrize("url", ["http://api.omi.me", "http://192.168.1.5:8000", "ftp://x", "omi"])
def test_a_server_that_would_get_the_key_in_the_clear(url: str, machine: Machine) -> None:
    """78 for anything but https, or http on this machine; from the config or OMI_API_BASE."""
    machine.write(lines(1))
    ran = machine.once(OMI_API_BASE=url)
    assert ran.code == 78
    assert "OMI_API_BASE" in ran.err
    assert "https" in ran.err
    assert "correct OMI_API_BASE" in ran.err
    machine.config_file.write_text(f'[todo]\npath = "{machine.todo}"\n[omi]\nbase_url = "{url}"\n')
    ran = machine.once()
    assert ran.code == 78
    assert "config.toml:4: omi.base_url" in ran.err


def missing(place: Path) -> None:
    """Leave no key file."""
    place.unlink()


def folder(place: Path) -> None:
    """Put a folder where the key file should be."""
    place.unlink()
    place.mkdir()


def empty(place: Path) -> None:
    """Leave a key file with nothing in it."""
    place.write_text("\n")


def shared(place: Path) -> None:
    """Let others read the key file."""
    place.chmod(0o644)


def keep_key(machine: Machine) -> Path:
    """Let the key come from a file; return its place. What was there before is no matter."""
    place = machine.home / "key"
    if place.is_dir():
        place.rmdir()
    place.write_text(KEY)
    place.chmod(0o600)
    machine.environ = {}
    machine.configure(omi=f'api_key_file = "{place}"\n')
    return place


KEY_FILES = {missing: "does not exist", folder: "folder", empty: "is empty", shared: "mode 644"}


@pytest.mark.parametrize("spoil", KEY_FILES)
def test_a_key_file_that_cannot_be_used(
    spoil: Callable[[Path], None], machine: Machine, omi: Omi
) -> None:
    """78, the file and what is wrong with it, what cures it; nothing sent."""
    place = keep_key(machine)
    machine.write(lines(1))
    spoil(place)
    ran = machine.once()
    assert ran.code == 78
    assert str(place) in ran.err
    assert KEY_FILES[spoil] in ran.err
    assert ("correct omi.api_key_file" if place.is_dir() else f"chmod 600 {place}") in ran.err
    assert omi.sent() == []
    keep_key(machine)
    assert machine.once().code == 0
    machine.settled()


@pytest.mark.parametrize("spoil", KEY_FILES)
def test_a_key_file_that_breaks_while_all_is_in_sync(
    spoil: Callable[[Path], None], machine: Machine
) -> None:
    """The run that needs no key says so all the same, in full, and status what it said."""
    place = keep_key(machine)
    machine.synced(lines(1))
    spoil(place)
    ran = machine.once()
    assert (ran.code, ran.out) == (78, "Stopped.\n")
    assert KEY_FILES[spoil] in ran.err
    told = machine.once("--json")
    assert (told.code, told.data["code"]) == (78, 78)
    assert KEY_FILES[spoil] in told.data["troubles"][0]["message"]
    ran = machine.run("status")
    assert ran.code == 78
    assert KEY_FILES[spoil] in ran.out
    keep_key(machine)
    assert machine.once().out == "In sync: 1 task.\n"
    assert machine.run("status").code == 0


def test_a_key_in_place_of_a_path(machine: Machine, omi: Omi) -> None:
    """The key itself in the config: 78, and the message does not repeat it."""
    machine.configure(omi=f'api_key_file = "{KEY}"\n')
    machine.write(lines(1))
    ran = machine.once()
    assert ran.code == 78
    assert "api_key_file" in ran.err
    assert omi.sent() == []


def test_another_server_than_the_store_is_from(machine: Machine, omi: Omi) -> None:
    """A store belongs to one server: 78, both named, nothing sent; back again it works."""
    machine.synced(lines(1))
    machine.write(lines(1, 2))
    ran = machine.once(OMI_API_BASE="https://omi.example")
    assert ran.code == 78
    assert "https://omi.example" in ran.err
    assert omi.sandbox.url in ran.err
    assert omi.sent() == []
    assert machine.once().code == 0
    machine.settled()


def test_another_list_than_the_store_is_of(machine: Machine, omi: Omi) -> None:
    """A config that was copied with its state: 78, both files named, no task reworded."""
    machine.settings["state"] = f'path = "{machine.home / "one.db"}"\n'
    machine.configure()
    machine.synced(lines(1, 2, 3))
    omi.sent()
    first, there = machine.todo, omi.items()
    machine.name = "home.md"
    machine.write("- [ ] water the plants\n- [ ] call mum\n")
    machine.configure()
    for arguments in [("--once",), ("--dry-run",), ("status",)]:
        ran = machine.run(*arguments)
        assert ran.code == 78, ran.said
        assert str(first) in ran.err
        assert str(machine.todo) in ran.err
        assert "[state] path" in ran.err
    assert omi.sent() == []
    assert omi.items() == there
    machine.name = first.name
    machine.configure()
    assert machine.run("status").code == 0  # of the list whose state it is, nothing changed
    machine.name = "home.md"
    machine.configure()
    first.unlink()  # it was this list, under another name
    machine.write(lines(1, 4, 3))
    assert machine.once().code == 0
    assert omi.writes() == ["PATCH"]
    machine.settled()


def test_a_list_that_is_not_there_takes_no_state(machine: Machine, omi: Omi) -> None:
    """66, or 65 as no text, and then it is another list than the one that the state is of."""
    machine.settings["state"] = f'path = "{machine.home / "one.db"}"\n'
    machine.configure()
    machine.synced(lines(1, 2, 3))
    machine.name = "home.md"
    machine.configure()
    assert machine.once().code == 66
    machine.todo.write_bytes(b"- [ ] water the pl\xe4nts\n")
    assert machine.once().code == 65
    machine.write("<<<<<<< a\n- [ ] water the plants\n=======\n>>>>>>> b\n")
    assert machine.once().code == 65
    machine.write("- [ ] water the plants\n")
    assert machine.once().code == 78
    assert omi.items() == {"task 1": False, "task 2": False, "task 3": False}


@pytest.mark.parametrize("former", ["left", "linked", "gone"])
def test_a_list_that_moved_keeps_its_items(machine: Machine, omi: Omi, former: str) -> None:
    """Copied and edited, put into TOML, or renamed: most of its lines are still there."""
    machine.settings["state"] = f'path = "{machine.home / "one.db"}"\n'
    machine.configure()
    machine.synced(lines(1, 2, 3))
    omi.sent()
    first = machine.todo
    if former == "linked":
        machine.name = "moved.md"
        machine.todo.write_bytes(first.read_bytes())
        first.unlink()
        first.symlink_to(machine.todo)
    else:
        machine.name = "todo.toml"
        texts = [line.removeprefix("- [ ] ") for line in first.read_text().splitlines()]
        machine.todo.write_text("".join(f'[[todo]]\ntext = "{text}"\n' for text in texts))
        if former == "gone":
            first.unlink()
    machine.configure()
    ran = machine.once()
    assert ran.code == 0, ran.said
    assert omi.sent() == []
    machine.settled()


# 69: the server refuses this client.


@pytest.mark.parametrize(
    "fault",
    [
        "html",
        "redirect",
        *(pytest.param(more, marks=pytest.mark.campaign) for more in ("405", "426")),
    ],
)
def test_a_server_that_is_not_omi(fault: Fault, machine: Machine, omi: Omi) -> None:
    """69 after one request, and what to check; nothing is created, or lost."""
    machine.write(lines(1))
    omi.fail(fault)
    ran = machine.once()
    assert ran.code == 69
    assert "does not speak Omi's API" in ran.err
    assert "omi.base_url" in ran.err
    assert len(omi.sent()) == 1
    omi.heal()
    assert machine.once().code == 0
    machine.settled()


@pytest.mark.parametrize(
    "fault",
    ["404", *(pytest.param(more, marks=pytest.mark.campaign) for more in ("405", "413", "426"))],
)
def test_a_server_that_takes_no_creates(fault: Fault, machine: Machine, omi: Omi) -> None:
    """Reads work but a create is answered with this: 69, and nothing is parked for it."""
    machine.write(lines(1, 2))
    omi.sandbox.fault_next(None, None, fault)
    ran = machine.once()
    assert ran.code == 69
    assert f"with {fault}" in ran.err
    assert machine.run("status").code == 69
    assert machine.once().code == 0
    assert omi.items() == {"task 1": False, "task 2": False}
    machine.settled()


def test_a_server_that_refuses_whatever_it_is_given(machine: Machine, omi: Omi) -> None:
    """422 to every create says something about the server: 69, no task is parked."""
    machine.write(lines(*range(10)))
    omi.sandbox.refuse = {f"task {n}": 422 for n in range(10)}
    ran = machine.once()
    assert ran.code == 69
    assert "refuses every new task" in ran.err
    omi.sandbox.refuse = {}
    assert machine.once().code == 0
    assert len(omi.items()) == 10
    machine.settled()


# 74: the state store.


def damaged_header(store: bytes) -> bytes:
    """Return it overwritten at its beginning."""
    return os.urandom(512) + store[512:]


def damaged_pages(store: bytes) -> bytes:
    """Return it with its header and garbage."""
    return store[:4096] + os.urandom(len(store) - 4096)


def truncated(store: bytes) -> bytes:
    """Return its first half."""
    return store[: len(store) // 2]


def zeroed(store: bytes) -> bytes:
    """Return as many NUL bytes."""
    return bytes(len(store))


def emptied(store: bytes) -> bytes:
    """Return nothing."""
    return b""


DAMAGES = [damaged_header, damaged_pages, truncated, zeroed, emptied]


@pytest.mark.parametrize(
    "damage",
    [*DAMAGES[:2], *(pytest.param(more, marks=pytest.mark.campaign) for more in DAMAGES[2:])],
)
def test_a_damaged_store(damage: Callable[[bytes], bytes], machine: Machine, omi: Omi) -> None:
    """74 and ``omisync repair``, nothing sent; repair links again and creates nothing."""
    machine.synced(lines(1, 2, 3))
    store = machine.store
    store.write_bytes(damage(store.read_bytes()))
    bad = store.read_bytes()
    machine.write(lines(1, 2, 3) + "- [ ] new\n")
    for command in ("--once", "--dry-run", "status", "log"):
        ran = machine.run(command)
        assert ran.code == 74, command
        assert str(store) in ran.err
        assert "omisync repair" in ran.err
    assert omi.sent() == []
    ran = machine.run("repair")
    assert ran.code == 0
    assert "3 tasks linked by text" in ran.out
    assert "new" in ran.out
    assert omi.writes() == []
    (aside,) = store.parent.glob("*.damaged-1")
    assert str(aside) in ran.out
    assert aside.read_bytes() == bad
    machine.write(lines(1, 2, 3))
    machine.settled()
    assert len(omi.items()) == 3


@pytest.mark.parametrize(
    ("hindrance", "code"), [("key", 77), ("network", 75), ("limit", 75), ("file", 66)]
)
def test_a_repair_that_fails_changes_nothing(
    hindrance: str, code: int, machine: Machine, omi: Omi
) -> None:
    """The damage is told of until a repair succeeds: an empty state would double the tasks."""
    machine.synced(lines(1, 2, 3))
    damaged = machine.store.read_bytes()[:5000]
    machine.store.write_bytes(damaged)
    ticked = lines(1, 2, 3).replace("[ ] task 1", "[x] task 1")
    machine.write(ticked)
    if hindrance == "key":
        machine.environ["OMI_API_KEY"] = OTHER_KEY
    elif hindrance == "network":
        omi.stop()
    elif hindrance == "limit":
        omi.sandbox.retry_after = 3600
        omi.fail("429")
    else:
        machine.todo.unlink()
    ran = machine.run("repair")
    assert ran.code == code
    assert "→" in ran.err
    assert machine.store.read_bytes() == damaged
    assert not [*machine.state.glob("*.new*"), *machine.state.glob("*.damaged*")]
    machine.environ["OMI_API_KEY"] = KEY
    if hindrance == "network":
        omi.start()
    omi.heal()
    machine.write(ticked)
    for command in ("--once", "status", "doctor"):
        assert machine.run(command).code == 74
    assert machine.run("repair").code == 0
    assert machine.once().code == 0
    assert omi.items() == {"task 1": True, "task 2": False, "task 3": False}


def test_a_row_that_cannot_be_read(machine: Machine, omi: Omi) -> None:
    """Damage inside a sound file is damage too, and repair cures it as well."""
    machine.synced(lines(1, 2, 3))
    with closing(sqlite3.connect(machine.store)) as store, store:
        store.execute("UPDATE links SET remote_due_at = 'never' WHERE text = 'task 2'")
    machine.write(lines(1, 2, 3, 4))
    ran = machine.once()
    assert ran.code == 74
    assert "omisync repair" in ran.err
    assert machine.run("repair").code == 0
    machine.write(lines(1, 2, 3))
    machine.settled()
    assert len(omi.items()) == 3


@pytest.mark.parametrize("table", ["history", "clashes"])
def test_a_row_that_only_people_read(table: str, machine: Machine, omi: Omi) -> None:
    """It stops no sync; ``omisync log`` tells of it, and what it names as the cure cures it."""
    machine.synced(lines(1, 2))
    with closing(sqlite3.connect(machine.store)) as store, store:
        if table == "clashes":
            store.execute(
                "INSERT INTO clashes (at, key, text, field, lost, kept_value, lost_value)"
                " VALUES (1.0, 'k', 'task 1', 'description', 'line', 'a', 'b')"
            )
        store.execute(f"UPDATE {table} SET at = 'never'")  # noqa: S608 - a name of ours
    machine.settled()
    ran = machine.run("log", "--clashes")
    assert ran.code == 74
    assert "omisync repair" in ran.err
    assert machine.run("repair").code == 0
    assert machine.run("log", "--clashes").code == 0
    machine.settled()
    assert len(omi.items()) == 2


def test_one_bad_value_costs_no_other_link(machine: Machine, omi: Omi) -> None:
    """A line reworded meanwhile keeps its item, and the line of the bad row finds its own."""
    machine.synced(lines(1, 2, 3, 4, 5))
    with closing(sqlite3.connect(machine.store)) as store, store:
        store.execute("UPDATE links SET completed = 7 WHERE text = 'task 1'")
    machine.write(lines(1, 2, 3, 4) + "- [ ] task 5, reworded at length\n")
    assert machine.once().code == 74
    ran = machine.run("repair")
    assert "4 links kept, 1 task linked by text" in ran.out
    omi.sent()
    assert machine.once().code == 0
    assert omi.writes() == ["PATCH"]
    assert sorted(omi.items()) == [
        *(f"task {n}" for n in range(1, 5)),
        "task 5, reworded at length",
    ]


def test_a_store_of_a_newer_omisync(machine: Machine, omi: Omi) -> None:
    """74, what to install; repair leaves it alone; nothing sent."""
    machine.synced(lines(1))
    with closing(sqlite3.connect(machine.store)) as store:
        (version,) = store.execute("PRAGMA user_version").fetchone()
        store.execute("PRAGMA user_version = 99")
    machine.write(lines(1))
    for command, numbers in (("--once", (1,)), ("--once", (1, 2)), ("repair", (1, 2))):
        machine.write(lines(*numbers))
        ran = machine.run(command)
        assert ran.code == 74
        assert "newer omisync" in ran.err
        assert "Install" in ran.err
    assert omi.sent() == []
    with closing(sqlite3.connect(machine.store)) as store:
        store.execute(f"PRAGMA user_version = {version}")
    assert machine.once().code == 0
    machine.settled()


def test_a_state_folder_that_cannot_be_made(machine: Machine, omi: Omi) -> None:
    """74, the folder and what to do; nothing sent; with the folder it works."""
    machine.state.parent.mkdir(parents=True)
    machine.state.write_text("in the way")
    machine.write(lines(1))
    ran = machine.once()
    assert ran.code == 74
    assert str(machine.state) in ran.err
    assert "[state] path" in ran.err
    assert omi.sent() == []
    machine.state.unlink()
    assert machine.once().code == 0
    machine.settled()


# 1: parked tasks.


def test_a_refused_task_is_set_aside_until_its_line_changes(machine: Machine, omi: Omi) -> None:
    """1, the task with its place, reason and way out; the others arrive; a new wording goes."""
    omi.sandbox.refuse["task 2"] = 422
    machine.write(lines(1, 2, 3))
    ran = machine.once()
    assert ran.code == 1
    assert f"task 2  {machine.todo}:2" in ran.err
    assert "does not accept" in ran.err
    assert "change the line" in ran.err
    assert omi.items() == {"task 1": False, "task 3": False}
    machine.settled(code=1)
    assert "todo.md:2" in machine.run("status").out
    machine.write(lines(1, 2, 3).replace("task 2", "task 2, in other words"))
    assert machine.once().code == 0
    assert omi.items()["task 2, in other words"] is False
    machine.settled()


@pytest.mark.parametrize("what", ["no file", "no TOML", "damaged state"])
def test_a_missing_key_is_the_worst_of_several_faults(
    machine: Machine, omi: Omi, what: str
) -> None:
    """77, as nothing else helps before; the other fault is told too."""
    machine.synced(lines(1))
    if what == "no file":
        machine.todo.unlink()
    elif what == "no TOML":
        machine.name = "todo.toml"
        machine.configure()
        machine.write("[[todo]\n")
    else:
        machine.write(lines(1, 2))
        machine.store.write_bytes(b"x" * 5000)
    ran = machine.once(OMI_API_KEY=None)
    assert ran.code == 77, ran.said
    assert "there is no API key" in ran.err
    told = machine.store if what == "damaged state" else machine.todo
    assert str(told) in ran.err
    assert omi.sent() == []
    assert machine.once().code != 77


def test_a_name_that_is_looked_up_for_ever_holds_up_no_interrupt(machine: Machine) -> None:
    """As where a network swallows the question: nothing can stop that, and nothing waits for it."""
    program = """
        import socket, sys, threading
        def looked_up(*_, **__):
            print("asked", flush=True)
            threading.Event().wait()
        socket.getaddrinfo = looked_up
        from omisync.cli import main
        sys.exit(main(["--once"]))
    """
    machine.write(lines(1))
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=machine.home, env=machine.surroundings(OMI_API_BASE="https://omi.invalid"),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGINT)
        try:
            ran = ended(process, 20)
        finally:
            process.kill()
    assert ran.code == errors.INTERRUPTED, ran.said
