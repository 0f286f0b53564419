"""Every command as a person types it, and what it leaves behind."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest
from machine import OTHER_KEY, PATIENCE, Machine, Ran, checked, ended, lines, started, tree
from running import Daemon

from omisync import __version__
from omisync.sandbox import KEY, Fault

if TYPE_CHECKING:
    from machine import Omi


@pytest.fixture
def fresh(tmp_path: Path, omi: Omi) -> Machine:
    """A machine on which omisync was never used."""
    own = Machine(tmp_path / "home", omi, environ={})
    own.home.mkdir()
    return own


def mode(path: Path) -> int:
    """Return who may read and write it."""
    return stat.S_IMODE(path.stat().st_mode)


# init


def test_init_makes_a_config_that_works(fresh: Machine, omi: Omi) -> None:
    """The key comes from stdin into a file of the owner's alone; the next command works."""
    fresh.write(lines(1))
    ran = fresh.run("init", "todo.md", typed=f"{KEY}\n")
    assert ran.code == 0
    key = fresh.config_file.with_name("omi-api-key")
    assert (mode(fresh.config_file), mode(key)) == (0o600, 0o600)
    assert mode(fresh.config_file.parent) == 0o700
    assert key.read_text() == f"{KEY}\n"
    assert KEY not in fresh.config_file.read_text()
    for word in (str(fresh.config_file), str(key), "--dry-run", "--once"):
        assert word in ran.out
    assert "task 1" in fresh.run("--dry-run").out
    assert fresh.once(OMI_API_BASE=omi.sandbox.url).code == 0
    assert omi.items() == {"task 1": False}


@pytest.mark.parametrize(("name", "example"), [("a.md", "- [ ] Buy"), ("a.TOML", "[[todo]]")])
def test_init_teaches_the_format_that_was_asked_for(
    fresh: Machine, name: str, example: str
) -> None:
    """Of a file that is not there yet."""
    assert example in fresh.run("init", name, typed=f"{KEY}\n").out


def test_init_takes_no_config_for_a_list(fresh: Machine) -> None:
    """Nothing is written."""
    ran = fresh.run("-c", "list.toml", "init", "./list.toml", typed=f"{KEY}\n")
    assert ran.code == 2
    assert "is to be the config itself" in " ".join(ran.err.split())
    assert tree(fresh.home) == {}


def test_init_keeps_no_key_that_could_not_be_used(fresh: Machine) -> None:
    """What the next command would stop at is told at once."""
    key = fresh.config_file.with_name("omi-api-key")
    key.parent.mkdir(parents=True)
    key.write_text(f"{KEY}\n")
    key.chmod(0o644)
    ran = fresh.run("init", "todo.md")
    assert (ran.code, "chmod 600" in ran.err) == (78, True)
    assert not fresh.config_file.exists()


@pytest.mark.parametrize("seconds", ["1e10", "1e300"])
def test_any_number_of_seconds_can_be_given(machine: Machine, seconds: str) -> None:
    """Systems cannot wait for all of them."""
    machine.write(lines(1))
    assert machine.once("--timeout", seconds).code == 0


def test_a_path_that_leads_round_in_a_circle(machine: Machine) -> None:
    """It is told as a file that cannot be read, by whatever looks at it."""
    machine.write(lines(1))
    machine.todo.unlink()
    machine.todo.symlink_to(machine.todo.name)
    for arguments in (["--once"], ["status"], ["doctor"], ["service", "install"]):
        assert "Traceback" not in machine.run(*arguments).said


def test_init_for_programs(fresh: Machine) -> None:
    """``--json`` tells the places that were written, and where the key is when none was."""
    data = fresh.run("init", "--json", "todo.toml", OMI_API_KEY=KEY).data
    assert data["config"] == str(fresh.config_file)
    assert data["file"] == str(fresh.home / "todo.toml")
    assert (data["key_file"], data["key_from"]) == (None, "OMI_API_KEY")


def test_init_says_that_it_stored_no_key(fresh: Machine) -> None:
    """A key in the environment is not copied, and a person is told so."""
    ran = fresh.run("init", OMI_API_KEY=KEY)
    assert ran.code == 0
    assert "No key was stored" in ran.out
    assert not fresh.config_file.with_name("omi-api-key").exists()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", ["No API key", "Create Key", "action_items:write"]),
        ("\n", ["No API key"]),
        ("hello\n", ["omi_dev_", "Omi app"]),
        ("omi_mcp_0123456789abcdef0123\n", ["omi_dev_"]),
        ("omi_dev_0123 456789abcdef\n", ["character 13", "one word"]),
        ("omi_dev_0123456789abcdéf\n", ["omi_dev_"]),
        ("omi_dev_0123456789\x07abcdef\n", ["character 19"]),
    ],
)
def test_init_refuses_what_is_no_key(fresh: Machine, typed: str, words: list[str]) -> None:
    """77, what a key looks like, and nothing is written; what was typed is not repeated."""
    ran = fresh.run("init", "todo.md", typed=typed)
    assert ran.code == 77
    for word in words:
        assert word in ran.err
    assert len(typed) < 10 or typed.strip() not in ran.said
    assert "OMI_API_KEY" not in ran.err
    assert tree(fresh.home) == {}


def test_init_reads_no_key_without_end(fresh: Machine) -> None:
    """What comes through a pipe may have none, and would fill the memory."""
    ran = shell(fresh, "omisync -c new.toml init todo.md </dev/zero")
    assert (ran.code, "omi_dev_" in ran.err) == (77, True)


def test_init_is_given_up_at_the_question(fresh: Machine) -> None:
    """The end of a terminal's input (Ctrl-D) is no key, and no fault of ours."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "omisync", "init", "todo.md"],
        cwd=fresh.home,
        env=fresh.surroundings(OMI_API_KEY=None),
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        os.close(theirs)
        assert process.stderr is not None
        asked = ""
        while not asked.endswith("not shown): "):
            sign = process.stderr.read(1)
            assert sign, asked
            asked += sign
        os.write(ours, b"\x04")
        _, said = process.communicate(timeout=PATIENCE)
    os.close(ours)
    assert (process.returncode, "No API key was given" in said) == (77, True)


def test_init_never_overwrites(fresh: Machine) -> None:
    """A config that exists: 2 and left alone; a key that exists is kept and used."""
    assert fresh.run("init", "todo.md", typed=f"{KEY}\n").code == 0
    before = tree(fresh.home)
    ran = fresh.run("init", "other.md", typed=f"{OTHER_KEY}\n")
    assert ran.code == 2
    assert "already" in ran.err
    assert "-c PATH" in ran.err
    assert (
        "For a first or another key, put it into ~/.config/omisync/omi-api-key and chmod 600"
        in " ".join(ran.err.replace(str(fresh.home), "~").split())
    )
    assert tree(fresh.home) == before
    fresh.config_file.write_text("[todo]\n")
    assert 'write api_key_file = "' in " ".join(fresh.run("init", "other.md").err.split())
    fresh.config_file.unlink()
    assert fresh.run("init", "other.md", typed=f"{OTHER_KEY}\n").code == 0
    assert fresh.config_file.with_name("omi-api-key").read_text() == f"{KEY}\n"
    assert "omi-api-key" in fresh.config_file.read_text()


def test_init_knows_its_formats(fresh: Machine) -> None:
    """A file of another ending: 2, the endings that work, nothing written."""
    ran = fresh.run("init", "todo.txt", typed=f"{KEY}\n")
    assert ran.code == 2
    for word in ("todo.txt", ".md", ".toml"):
        assert word in ran.err
    assert tree(fresh.home) == {}


def test_init_where_nothing_can_be_written(fresh: Machine) -> None:
    """78 and another place to give, where the folder cannot be made."""
    (fresh.home / "file").write_text("")
    ran = fresh.run("init", "-c", "file/config.toml", "todo.md", typed=f"{KEY}\n")
    assert ran.code == 78
    assert "-c" in ran.err


@pytest.mark.parametrize("key", [None, KEY])
def test_init_on_a_full_disk_leaves_nothing_behind(fresh: Machine, key: str | None) -> None:
    """75, and what to do; the same command does all once there is room."""
    command = f"ulimit -f 0; exec {sys.executable} -m omisync init todo.md"
    ran = subprocess.run(
        ["bash", "-c", command],
        cwd=fresh.home,
        env=fresh.surroundings(OMI_API_KEY=key),
        input=f"{KEY}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    name = "omi-api-key" if key is None else "config.toml"
    assert ran.returncode == 75
    assert f"{name} cannot be written: File too large" in ran.stderr
    assert "run this again" in ran.stderr
    assert not [path for path in fresh.home.rglob("*") if path.is_file()]
    assert fresh.run("init", "todo.md", typed=f"{KEY}\n").code == 0


def test_init_in_place_of_a_folder(fresh: Machine) -> None:
    """The file in it is to be named."""
    (fresh.home / "conf").mkdir()
    ran = fresh.run("init", "-c", "conf", "todo.md", typed=f"{KEY}\n")
    assert ran.code == 78
    assert "conf is a folder" in ran.err
    assert "conf/config.toml" in " ".join(ran.err.split())


def test_init_for_a_list_that_cannot_be_looked_for(fresh: Machine) -> None:
    """Its name is too long for any file: it is not there yet, as far as anybody can tell."""
    ran = fresh.run("init", "x" * 300 + ".md", typed=f"{KEY}\n")
    assert ran.code == 0
    assert "There is no " in ran.out
    assert "Traceback" not in ran.err


# plan


@pytest.mark.parametrize("command", ["plan", "--dry-run"])
def test_a_plan_needs_nothing_and_changes_nothing(command: str, machine: Machine, omi: Omi) -> None:
    """Without key and server, before and after a first sync: all files stay as they are."""
    machine.write("- [ ] Buy milk\n- [x] Pay 📅 2030-01-31\n")
    before = tree(machine.home)
    ran = machine.run(command, OMI_API_KEY=None)
    assert ran.code == 0
    assert "+ create or link  Buy milk  (new)  todo.md:1" in ran.out
    assert "2 to create or link in at most 1 request" in ran.out
    assert tree(machine.home) == before
    machine.settings = {"sync": "adopt = false\n"}
    machine.configure()
    assert "2 to create in 1 request" in machine.run(command).out
    machine.settings = {}
    machine.configure()
    assert machine.once().code == 0
    omi.sent()
    omi.stop()
    machine.write("- [x] Buy milk and bread\n- [ ] Run\n- [ ] Sleep\n")
    before = tree(machine.home)
    ran = machine.run(command, OMI_API_KEY=None)
    omi.start()
    assert ran.code == 0
    assert "~ change    Buy milk  (reworded, ticked)  todo.md:1" in ran.out
    assert "→ Buy milk and bread" in ran.out
    assert "+ create    Run  (new)  todo.md:2" in ran.out
    assert "2 to create in 1 request, 1 to change." in ran.out
    assert tree(machine.home) == before
    assert omi.sent() == []


def test_a_plan_is_what_is_done(machine: Machine, omi: Omi) -> None:
    """The numbers of the plan are those of the run that follows; afterwards it is empty."""
    machine.synced(lines(*range(60)))
    machine.write(lines(*range(1, 55)).replace("task 1\n", "task 1 now\n") + "- [ ] fresh\n")
    summary = machine.run("plan", "--json").data["summary"]
    done = machine.once("--json").data["done"]
    assert done == {"changed": 1, "created": 1, "removed": 6}
    assert (summary["change"], summary["create"], summary["complete"]) == (1, 1, 6)
    assert len(omi.writes()) == summary["requests"] == 8
    after = machine.run("plan", "--json").data
    assert after["in_sync"] is True
    assert after["ops"] == []


def test_reading_commands_leave_no_trace(machine: Machine) -> None:
    """status, log, plan and a run with nothing to do change no file and add none."""
    machine.synced(lines(1, 2))
    before = tree(machine.home)
    for command in ("status", "log", "plan", "--once"):
        assert machine.run(command).code == 0
        assert tree(machine.home) == before, command


# status


def test_status_before_the_first_sync(machine: Machine) -> None:
    """Where everything is, that nothing was synced, and what to do; it makes no store."""
    machine.write(lines(1))
    ran = machine.run("status")
    assert ran.code == 0
    for word in ("Nothing was synced yet", "--dry-run", str(machine.todo), "omi_de…e7c1"):
        assert word in ran.out
    assert not machine.state.exists()
    assert machine.run("status", "--json").data["code"] is None


@pytest.mark.parametrize("name", ["todo.md", "todo.toml"])
def test_a_file_without_a_task_is_told_of_wherever_one_looks(name: str, machine: Machine) -> None:
    """Who does not know the format would else read that all is in sync, each time anew."""
    machine.name = name
    machine.configure()
    machine.write('todos = ["milk"]\n')
    ran = machine.once()
    assert (ran.code, ran.out.splitlines()[0]) == (0, "In sync: 0 tasks.")
    said = "of this file is a task: a task "
    assert f"{machine.todo}:1: no " in ran.err
    doctor, status = machine.run("doctor"), machine.run("status")
    assert f"{machine.todo}: 0 tasks, 1 warning (line 1: no " in doctor.out
    for one in (ran, doctor, status):
        assert said in one.out + one.err
        assert one.code == 0
    assert status.out.startswith("In sync: 0 tasks.\n")
    assert "warning   line 1: no " in status.out
    machine.write("")
    assert "warning" not in machine.run("status").out
    assert "(line" not in machine.run("doctor").out


def test_status_tells_what_is_odd_in_the_file(machine: Machine) -> None:
    """A daemon tells of it once, in its log; here it stays until it is put right."""
    machine.synced(lines(1) + "- [] water the plants\n")
    status = machine.run("status")
    assert status.code == 0
    (warning,) = [line for line in status.out.splitlines() if line.startswith("warning")]
    assert warning.startswith("warning   line 2: ")
    (notice,) = machine.run("status", "--json").data["notices"]
    assert notice["line"] == 2
    assert notice["message"] in warning
    machine.write(lines(1, 2))
    assert "warning" not in machine.run("status").out


def test_status_tells_the_last_run(machine: Machine, omi: Omi) -> None:
    """Its code, since when it fails and why; in sync again, none of that is left."""
    machine.synced(lines(1, 2))
    ran = machine.run("status")
    assert ran.code == 0
    assert ran.out.startswith("In sync: 2 tasks.\n")
    omi.stop()
    machine.write(lines(1, 2, 3))
    assert machine.once("--timeout", "0").code == 75
    ran = machine.run("status")
    assert ran.code == 75
    for word in ("failing   since", "cannot be reached", "success   2", "waiting   1 change"):
        assert word in ran.out
    omi.start()
    assert machine.once().code == 0
    ran = machine.run("status")
    assert ran.code == 0
    assert "failing" not in ran.out


def test_status_counts_what_waits_once(machine: Machine, omi: Omi) -> None:
    """Creates without an answer are waiting changes, not twice as many."""
    machine.write(lines(1, 2, 3, 4))
    omi.sandbox.fault_next(None, None, "5xx_before")
    assert machine.once("--timeout", "0").code == 75
    data = machine.run("status", "--json").data
    assert (data["waiting"], data["unsure"]) == (4, 4)


def test_status_without_a_key_says_so(machine: Machine) -> None:
    """It still works, and names what is wrong with the key."""
    machine.synced(lines(1))
    ran = machine.run("status", OMI_API_KEY=None)
    assert "no API key" in ran.out


def test_status_names_who_runs(machine: Machine, omi: Omi) -> None:
    """A run under way is named with its process."""
    machine.synced(lines(1))
    machine.write(lines(1, 2))
    omi.sandbox.slow_seconds = 600
    omi.sandbox.fault_next("slow")
    process = machine.start("--once")
    omi.until(lambda sandbox: bool(sandbox.waiting))
    ran = machine.run("status")
    assert f"omisync --once (process {process.pid})" in ran.out
    omi.release()
    process.communicate()
    assert "running   no" in machine.run("status").out


# log


def test_the_log_takes_any_number(machine: Machine) -> None:
    """One that is larger than all there can be asks for everything."""
    machine.synced(lines(1))
    ran = machine.run("log", "-n", "9" * 30)
    assert (ran.code, ran.out.count("created")) == (0, 1)


def test_the_log_tells_what_was_done_and_why(machine: Machine, omi: Omi) -> None:
    """Each change with its task, oldest first; -n cuts to the last ones."""
    assert machine.run("log").out == "Nothing has happened yet.\n"
    machine.synced(lines(1, 2))
    machine.write("- [x] task 1\n")
    assert machine.once().code == 0
    told = [line.split("  ", 1)[1] for line in machine.run("log").out.splitlines()]
    assert [line.split()[:3] for line in told[:2]] == [
        ["created", "task", "1"],
        ["created", "task", "2"],
    ]
    assert sorted(" ".join(line.split()) for line in told[2:]) == [
        "changed task 1 (ticked)",
        "removed task 2 (line removed: completed in Omi)",
    ]
    assert len(machine.run("log", "-n", "1").out.splitlines()) == 1
    events = machine.run("log", "--json", "-n", "4").data["events"]
    assert {event["event"] for event in events} == {"task.created", "task.changed", "task.removed"}
    assert all(event["remote_id"] in omi.sandbox.items for event in events)


# retry and forget


def test_status_after_a_retry_is_not_that_of_the_last_sync(machine: Machine, omi: Omi) -> None:
    """Also where one of the tasks is a removal, which waits for nothing any more."""
    machine.synced(lines(1, 2, 3))
    omi.sandbox.refuse = {"task 1": 402, "task 2": 402}
    machine.write(lines(2, 3).replace("task 2", "task 2 b"))
    omi.sandbox.refuse |= {"task 2 b": 402}
    assert machine.once().code == 1
    machine.run("retry")
    status = machine.run("status")
    assert "when last synced; the next sync looks anew." in status.out.splitlines()[0]
    assert machine.run("status", "--json").data["in_sync"] is False
    omi.sandbox.refuse = {}
    assert machine.once().code == 0
    assert machine.run("status").out.startswith("In sync: 2 tasks.\n")


def test_retry_tries_a_parked_task_again(machine: Machine, omi: Omi) -> None:
    """The next run sends it, with the whole list or with those that have a text."""
    omi.sandbox.refuse = {"task 1": 422, "task 2": 422}
    machine.write(lines(1, 2, 3))
    assert machine.once().code == 1
    ran = machine.run("retry", "nothing like it")
    assert ran.code == 2
    assert "nothing like it" in ran.err
    omi.sandbox.refuse = {}
    assert machine.run("retry", "task 1").out == "task 1: will be tried again by the next sync.\n"
    assert machine.once().code == 1
    assert "task 1" in omi.items()
    assert machine.run("retry", "--json").data == {"version": 1, "tasks": ["task 2"]}
    assert machine.once().code == 0
    assert len(omi.items()) == 3
    machine.settled()
    ran = machine.run("retry")
    assert (ran.code, "No task is parked" in ran.err) == (2, True)
    assert "retried       task 1" in machine.run("log").out


def test_forget_gives_a_refused_removal_up(machine: Machine, omi: Omi) -> None:
    """A removed line whose item is locked is parked; forgotten, it stays in Omi and is quiet."""
    machine.synced(lines(1, 2, 3))
    for item in omi.sandbox.items.values():
        item.locked = item.description == "task 3"
    machine.write(lines(1, 2))
    ran = machine.once()
    assert ran.code == 1
    assert "omisync forget" in ran.err
    refused = machine.run("forget", "task 1")
    assert (refused.code, "remove the line first" in refused.err) == (2, True)
    assert "stays in Omi" in machine.run("forget", "task 3").out
    machine.settled()
    assert omi.items()["task 3"] is False
    assert "given up      task 3" in machine.run("log").out


@pytest.mark.parametrize("command", [["retry"], ["forget", "x"]])
def test_nothing_to_retry_before_the_first_sync(command: list[str], machine: Machine) -> None:
    """2 and what to run first."""
    ran = machine.run(*command)
    assert ran.code == 2
    assert "omisync --once" in ran.err


# repair


@pytest.mark.parametrize("name", ["todo.md", "todo.toml"])
def test_repair_after_a_lost_store(name: str, machine: Machine, omi: Omi) -> None:
    """Every line is linked again by its text, nothing is created, the next run sends nothing."""
    texts = ["Buy milk", "Call mum", "Run", "Run", "Pay"]
    done = {"Pay"}
    machine.name = name
    machine.configure()
    if name.endswith("md"):
        text = "".join(f"- [{'x' if t in done else ' '}] {t}\n" for t in texts)
    else:
        text = "".join(
            f"[[todo]]\ntext = '{t}'\ndone = {'true' if t in done else 'false'}\n" for t in texts
        )
    machine.synced(text)
    shutil.rmtree(machine.state)
    ran = machine.run("repair")
    assert ran.code == 0
    assert "0 links kept, 5 tasks linked by text" in ran.out
    assert omi.writes() == []
    assert machine.run("status").out.startswith("No sync was finished yet; ")
    machine.settled()
    assert len(omi.sandbox.items) == 5


def test_a_lost_store_doubles_nothing_without_repair(machine: Machine, omi: Omi) -> None:
    """Who just syncs after losing the store gets the same links."""
    machine.synced(lines(1, 2, 3))
    shutil.rmtree(machine.state)
    ran = machine.once()
    assert (ran.code, ran.out) == (0, "In sync: 3 tasks. 3 linked.\n")
    assert omi.writes() == []
    machine.settled()


def test_repair_tells_what_is_left_over(machine: Machine, omi: Omi) -> None:
    """Lines without an item and items without a line are named, with the way to pair them."""
    machine.synced(lines(1, 2, 3))
    shutil.rmtree(machine.state)
    machine.write(lines(1, 2) + "- [ ] a third task\n")
    ran = machine.run("repair")
    assert ran.code == 0
    assert f"a third task  {machine.todo}:3" in ran.out
    assert "  task 3\n" in ran.out
    assert "item's exact text" in ran.out
    shutil.rmtree(machine.state)
    data = machine.run("repair", "--json").data
    assert [row["text"] for row in data["linked"]] == ["task 1", "task 2"]
    assert data["new_lines"] == [{"line": 3, "text": "a third task"}]
    assert [row["text"] for row in data["other_items"]] == ["task 3"]
    assert omi.writes() == []


def test_repair_shows_the_first_of_many(machine: Machine, omi: Omi) -> None:
    """An account with many items beside the list is counted; a program gets all of it."""
    machine.synced(lines(0))
    for n in range(1, 24):
        omi.sandbox.add(f"`omisync` {n}")
    ran = machine.run("repair", "-c", str(machine.config_file))
    assert ran.out.count("  `omisync` ") == 20, "and none of them is a command of ours"
    (more,) = (line for line in ran.out.splitlines() if "… and" in line)
    assert more.startswith("  … and 3 more; `omisync -c ")
    assert len(machine.run("repair", "--json").data["other_items"]) == 23


def test_repair_of_a_sound_store_changes_nothing(machine: Machine, omi: Omi) -> None:
    """Links stay, nothing is kept aside, nothing is sent."""
    machine.synced(lines(1, 2, 3))
    ran = machine.run("repair")
    assert "3 links kept, 0 tasks linked by text" in ran.out
    assert list(machine.state.glob("*damaged*")) == []
    assert omi.writes() == []
    machine.settled()


def test_repair_tells_of_open_lines_whose_item_is_finished(machine: Machine, omi: Omi) -> None:
    """A chore of today, maybe, with the item of yesterday's; what to do then opens it."""
    machine.synced(lines(1, 2).replace("[ ] task 2", "[x] task 2"))
    for path in machine.store.parent.glob("*"):
        path.unlink()
    machine.write(lines(1, 2))
    told = machine.run("repair").out
    assert "1 open line linked with what is finished in Omi" in told
    assert f"  task 2  {machine.todo}:2\n" in told
    for source in (lines(1), lines(1, 2)):
        machine.write(source)
        assert machine.once().code == 0
    assert omi.items() == {"task 1": False, "task 2": False}


def test_repair_names_links_whose_item_is_not_listed(machine: Machine, omi: Omi) -> None:
    """They are kept, for a list proves no deletion; but nobody should think that all is there."""
    machine.synced(lines(1, 2, 3))
    for name, one in [*omi.sandbox.items.items()]:
        if one.description == "task 2":
            del omi.sandbox.items[name]
    ran = machine.run("repair")
    assert "3 links kept, 0 tasks linked by text.\n" in ran.out
    assert "1 link to what Omi does not list (deleted, or locked):\n  task 2\n" in ran.out
    assert machine.run("repair", "--json").data["unlisted"] == ["task 2"]


def test_repair_moves_to_another_account(machine: Machine, omi: Omi) -> None:
    """``--accept-account`` links with what is there and leaves the rest to the next sync."""
    machine.synced(lines(1, 2))
    omi.sandbox.keys[OTHER_KEY] = omi.sandbox.keys.pop(KEY)
    machine.environ["OMI_API_KEY"] = OTHER_KEY
    omi.sandbox.items.clear()
    omi.sandbox.add("task 2")
    ran = machine.run("repair")
    assert ran.code == 77
    assert "--accept-account" in ran.err
    ran = machine.run("repair", "--accept-account")
    assert ran.code == 0
    assert "1 task linked by text" in ran.out
    assert omi.writes() == []
    ran = machine.once()
    assert (ran.code, ran.out) == (0, "In sync: 2 tasks. 1 created.\n")
    assert omi.items() == {"task 1": False, "task 2": False}
    machine.settled()


def test_repair_while_another_runs(machine: Machine, omi: Omi) -> None:
    """75 and who it is: two never write to one store."""
    machine.write(lines(1))
    omi.sandbox.slow_seconds = 600
    omi.sandbox.fault_next("slow")
    process = machine.start("--once")
    omi.until(lambda sandbox: bool(sandbox.waiting))
    ran = machine.run("repair")
    assert ran.code == 75
    assert f"(process {process.pid})" in ran.err
    omi.release()
    process.communicate()
    machine.settled()


# demo and sandbox


def test_the_demo_needs_nothing(fresh: Machine, tmp_path: Path) -> None:
    """No config, no key, no network: 0, each step is shown, and nothing is left anywhere."""
    own = tmp_path / "tmp"
    own.mkdir()
    ran = fresh.run("demo", TMPDIR=str(own))
    assert (ran.code, ran.err) == (0, "")
    for word in ("dry-run", "6 created", "POST", "PATCH", "no request", "omisync init", "two-way"):
        assert word in ran.out
    assert "todo.md:4 now says - [x] Call the dentist" in ran.out
    assert tree(fresh.home) == {}
    assert tree(own) == {}


@pytest.mark.parametrize("name", ["mine.md", "mine.toml"])
def test_the_demo_only_reads_a_file(name: str, fresh: Machine, tmp_path: Path) -> None:
    """One's own list is shown at the sandbox; the file, and its folder, stay as they are."""
    own = tmp_path / "tmp"
    own.mkdir()
    toml = '[[todo]]\ntext = "task 1"\n[[todo]]\ntext = "task 2"\ndone = true\n'
    text = lines(1, 2) if name.endswith("md") else toml
    (fresh.home / name).write_text(text)
    before = tree(fresh.home)
    ran = fresh.run("demo", name, TMPDIR=str(own))
    assert ran.code == 0
    for word in ("task 1", "no request", "now says", f"omisync init {name}"):
        assert word in ran.out
    assert tree(fresh.home) == before
    assert tree(own) == {}


def test_the_demo_shows_whole_words_in_a_narrow_window(fresh: Machine) -> None:
    """What fits into twenty columns is never cut."""
    ran = fresh.run("demo", COLUMNS="40")
    assert ran.code == 0
    assert "[ ] Get compost" in ran.out


def test_the_demo_names_the_persons_file(fresh: Machine) -> None:
    """A broken file: its own name and line, not those of the copy; a missing one: 66."""
    (fresh.home / "bad.toml").write_text("[[todo]\n")
    ran = fresh.run("demo", "bad.toml")
    assert ran.code == 65
    assert ran.err.startswith("bad.toml:1:")
    ran = fresh.run("demo", "none.md")
    assert (ran.code, "none.md" in ran.err) == (66, True)
    ran = fresh.run("demo", "x.txt")
    assert (ran.code, ".md" in ran.err) == (2, True)
    assert tempfile.gettempdir() not in ran.said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_sandbox_serves_until_told_to_stop(number: signal.Signals, machine: Machine) -> None:
    """It prints how to use it, shows each request, keeps its items in a file, and ends with 0.

    A limit is that of reads and of writes in an hour.
    """
    machine.write(lines(1))
    process = machine.start("sandbox", "--state", "omi.json", "--limit", "2")
    assert process.stdout is not None
    said = dict(process.stdout.readline().removeprefix("export ").strip().split("=") for _ in "ab")
    assert said["OMI_API_BASE"].startswith("http://127.0.0.1:")
    assert machine.once(**said).code == 0
    machine.write("- [x] task 1\n")
    assert machine.once(**said).code == 0
    machine.write("- [ ] task 1\n")
    assert machine.once(**said).code == 75
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    answers = [(line.split()[1], line.split()[3]) for line in out.splitlines()]
    reads, writes = [("GET", "200")] * 2, [("POST", "200"), ("PATCH", "200"), ("PATCH", "429")]
    assert answers == [*reads, *writes]
    items = json.loads((machine.home / "omi.json").read_text())["items"]
    assert [item["description"] for item in items] == ["task 1"]


def test_a_sandbox_fails_as_it_is_told_to(machine: Machine) -> None:
    """Each request with this fault, after it was done; and omisync survives it."""
    process = machine.start("sandbox", "--fault", "garbage=1", "--fault", "429=0")
    assert process.stdout is not None
    address = process.stdout.readline().strip().partition("=")[2]
    machine.write("- [ ] a\n")
    assert machine.once("--timeout", "0", OMI_API_BASE=address).code == 75
    process.terminate()
    out, err = process.communicate(timeout=20)  # not `ended`: the key is a part of what it says
    assert "[garbage]" in out
    assert (process.returncode, err) == (0, "")


def test_the_help_names_all_faults(machine: Machine) -> None:
    """Statuses aside, of which it names one."""
    said = machine.run("sandbox", "--help").out.replace(",", " ").replace(";", " ").split()
    named = {kind for kind in get_args(Fault) if not kind.isdigit()}
    assert named <= set(said)


@pytest.mark.parametrize(
    "shares", ["teapot=1", "429=0 429=1", "429=many", "429=-1", "429=nan", "429", "429=0.6 hang=1"]
)
def test_a_fault_that_is_none_is_told(shares: str, machine: Machine) -> None:
    """2, with the kinds there are or how a share is written."""
    ran = machine.run("sandbox", *(f"--fault={one}" for one in shares.split()))
    assert ran.code == 2
    told = {"teapot=1": "5xx_after, reset_before", "429=0 429=1": "given twice"}
    assert told.get(shares, "from 0 to 1") in ran.err


def test_a_sandbox_that_cannot_start(machine: Machine, omi: Omi) -> None:
    """2 and what to choose instead: a port in use, a state file in no folder or of another kind."""
    taken = machine.run("sandbox", "--port", str(omi.sandbox.port))
    assert (taken.code, "Choose another port" in taken.err) == (2, True)
    nowhere = machine.run("sandbox", "--state", "no/omi.json")
    assert (nowhere.code, "no folder no" in nowhere.err) == (2, True)
    unwritable = machine.run("sandbox", "--state", "/proc/omi.json")
    assert (unwritable.code, "/proc/omi.json cannot be written" in unwritable.err) == (2, True)
    machine.write(lines(1))
    other = machine.run("sandbox", "--state", str(machine.todo))
    assert (other.code, "not a state file" in other.err) == (2, True)


def test_a_config_can_come_from_a_pipe(machine: Machine, omi: Omi) -> None:
    """It is read once, and that of the next run may be another."""
    copy = machine.home / "c.toml"
    copy.write_text(machine.config_file.read_text())
    machine.write(lines(1) + "- [%] task 2\n")
    assert shell(machine, "omisync -c <(cat c.toml) --once").code == 0
    assert omi.items() == {"task 1": False}
    machine.configure(todo='open_marks = " %"\n')
    typed = machine.config_file.read_text()
    assert machine.run("-c", "/dev/stdin", "--once", typed=typed).code == 0
    assert omi.items() == {"task 1": False, "task 2": False}


def test_a_folder_that_is_gone_does_no_harm_where_it_is_not_asked_for(
    machine: Machine, omi: Omi
) -> None:
    """With whole paths all works; else 78 and what to do."""
    copy = machine.home / "c.toml"
    copy.write_text(machine.config_file.read_text())
    machine.write(lines(1))
    gone = "mkdir gone; cd gone; rmdir ../gone;"
    assert shell(machine, f"{gone} omisync -c {copy} --once").code == 0
    assert omi.items() == {"task 1": False}
    ran = shell(machine, f"{gone} omisync -c c.toml --once")
    assert (ran.code, "that this was started in is gone" in ran.err) == (78, True), ran.said


@pytest.mark.parametrize("command", ["--once", "--dry-run", "status"])
def test_a_config_that_is_nested_too_deep_is_explained(command: str, machine: Machine) -> None:
    """78 as for any other that is no TOML."""
    machine.config_file.write_text(f"x = {'[' * 5000}\n")
    ran = machine.run(command)
    assert (ran.code, str(machine.config_file) in ran.err) == (78, True), ran.said


# The command line itself.

COMMANDS = {
    "init": ["set omisync up", "nothing that exists is overwritten", "Create Key"],
    "plan": ["next sync would do", "--dry-run"],
    "status": ["how things stand", "last sync's code"],
    "log": ["what was done, to which task, and why"],
    "repair": ["link tasks with Omi's again", "creates and changes nothing"],
    "retry": ["parked tasks be tried again"],
    "forget": ["give up removals", "stays in Omi"],
    "undo": ["take back what omisync last wrote", "stay in Omi", "last 20 versions"],
    "restore": ["put back what a clash cost", "omisync log --clashes"],
    "demo": ["local Omi server, no key needed", "only read"],
    "sandbox": ["serve a local Omi", "OMI_API_BASE"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_what_a_command_does(command: str, fresh: Machine) -> None:
    """--help says what it does, in the words of the overview, and exits with 0."""
    ran = fresh.run(command, "--help")
    assert ran.code == 0
    said = " ".join(ran.out.split()).lower()
    for words in COMMANDS[command]:
        assert words.lower() in said
    overview = " ".join(fresh.run("--help").out.split()).replace("dry- run", "dry-run")
    assert COMMANDS[command][0].lower() in overview.lower()


@pytest.mark.parametrize("command", ["demo", "sandbox", "status"])
def test_help_promises_json_where_there_is_any(command: str, fresh: Machine) -> None:
    """What speaks to a person only does not offer it, and refuses it."""
    offered = "--json" in fresh.run(command, "--help").out
    refused = fresh.run(command, "--json")
    assert offered is ("--json does not go with" not in refused.err)
    assert offered is (command == "status")


def test_help_lists_the_exit_codes(fresh: Machine) -> None:
    """The overview names each exit code and the first command to try."""
    out = fresh.run("--help").out
    for code in (0, 1, 2, 65, 66, 69, 74, 75, 77, 78, 130):
        assert f" {code} " in out
    assert "omisync demo" in out


def test_the_version(fresh: Machine) -> None:
    """--version says which omisync it is."""
    ran = fresh.run("--version")
    assert (ran.code, ran.out) == (0, f"omisync {__version__}\n")


NONSENSE = {
    "--allow-removals": "--once",
    "--grace": "--once",
    "--yes": "--once",
    "restore one": "not a whole number",
    "--dry-run log --clashes": "do not go with the command log",
    "--timeout 5": "--once",
    "--dry-run --allow-removals": "--once",
    "--once --timeout soon": "number of seconds",
    "--once --timeout -1": "number of seconds",
    "--once --timeout nan": "number of seconds",
    "--once status": "do not go with the command status",
    "--dry-run repair": "do not go with the command repair",
    "--grace status": "--once",
    "status --once": "--once",
    "--json": "--once",
    "--json demo": "--json",
    "sandbox --json": "--json",
    "sandbox --port 99999": "no port",
    "sandbox --port http": "no port",
    "log -n none": "not a whole number",
    "log -n 0": "not a whole number",
    "forget": "TEXT",
    "--onc": "--onc",
    "--config": "expected one argument",
    "once": "once",
    "--once todo.md": "todo.md",
}


@pytest.mark.parametrize("line", NONSENSE)
def test_a_line_that_makes_no_sense(line: str, machine: Machine, omi: Omi) -> None:
    """2, what is wrong with it, and nothing is done."""
    machine.write(lines(1))
    before = tree(machine.home)
    ran = machine.run(*line.split())
    assert ran.code == 2
    assert NONSENSE[line] in ran.err
    assert "_" not in ran.err.replace("OMI_", ""), "a name of ours that means nothing to a person"
    assert tree(machine.home) == before
    assert omi.sent() == []


def shell(machine: Machine, line: str) -> Ran:
    """Run a line of shell with ``omisync`` in it; the code is that of omisync."""
    python = f"{sys.executable} -m omisync"
    done = subprocess.run(
        ["bash", "-c", line.replace("omisync", python) + "; exit ${PIPESTATUS[0]}"],
        capture_output=True,
        text=True,
        cwd=machine.home,
        env=machine.surroundings(),
        timeout=50,
        check=False,
    )
    return checked(Ran(done.returncode, done.stdout, done.stderr))


def unheard(machine: Machine, *arguments: str, heard: int = 0) -> Ran:
    """Run a command whose output is read by somebody who leaves after so many lines."""
    ours, theirs = os.pipe()
    with os.fdopen(ours) as reader, os.fdopen(theirs, "w") as writer:
        if not heard:
            reader.close()
        process = started(arguments, machine.home, machine.surroundings(), stdout=writer)
        writer.close()
        for _ in range(heard):
            reader.readline()
    return ended(process)


@pytest.mark.parametrize(
    "command",
    [
        "--once",
        "plan",
        *(
            pytest.param(more, marks=pytest.mark.campaign)
            for more in ("--once --json", "status", "log", "--help")
        ),
    ],
)
def test_nobody_reads_the_output(command: str, machine: Machine) -> None:
    """A pipe that was closed changes neither the work nor the code, and tells of nothing."""
    machine.synced(lines(*range(300)))
    machine.write(lines(*range(200)) + "- [ ] new\n")
    ran = unheard(machine, *command.split())
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
@pytest.mark.parametrize("command", ["repair", "retry", "forget old", "demo {}"])
def test_an_output_that_cannot_say_a_text(
    encoding: str, command: str, machine: Machine, omi: Omi
) -> None:
    """What it lacks is a question mark; the work is done, and told."""
    machine.synced("- [ ] buy 🥛\n- [ ] old 🥛\n- [ ] c\n")
    for item in omi.sandbox.items.values():
        item.locked = "🥛" in item.description
    omi.sandbox.add("the app's 🥛")
    machine.write("- [x] buy 🥛\n- [ ] c\n")
    assert machine.once().code == 1
    arguments = command.format(machine.name).split()
    ran = machine.run(*arguments, PYTHONIOENCODING=encoding)
    assert (ran.code, ran.err) == (0, "")
    assert "?" in ran.out


def test_nobody_reads_what_went_wrong(machine: Machine) -> None:
    """The exit code is told also where the message cannot be."""
    machine.config_file.write_text("x")
    assert shell(machine, "omisync --once 2>&1 | head -0").code == 78
    assert shell(machine, "omisync --once --json 2>&1 | head -0").code == 78


def test_the_code_is_that_of_the_result_whoever_reads(machine: Machine) -> None:
    """Also of what is told on standard output, and to somebody who reads the first line only."""
    machine.synced(lines(*range(300)))
    machine.todo.unlink()
    assert unheard(machine, "--once").code == 66
    assert unheard(machine, "status").code == 66
    assert unheard(machine, "doctor", heard=1).code == 66


def test_a_hint_can_be_copied_with_the_config_that_was_named(machine: Machine) -> None:
    """Without it, it would speak of another list, and another account."""
    config = machine.config_file.rename(machine.home / "my list.toml")
    odd = "".join(f"- [ ] odd due:2026-{month}-01\n" for month in range(13, 35))
    machine.write(lines(*range(30)) + odd)
    said = machine.run("-c", str(config), "status").out
    assert f"`omisync -c '{config}' --dry-run` shows" in said
    assert "`omisync --" not in said
    said = machine.run("-c", str(config), "--once").said
    assert f"2 more warnings; `omisync -c '{config}' --dry-run` shows all" in said
    machine.write("- [ ] task 0\n")
    ran = machine.run("-c", str(config), "--once")
    assert f"`omisync -c '{config}' --once --allow-removals`" in ran.said
    for words in (("--once", "--json"), ("status", "--json"), ("doctor", "--json")):
        said = machine.run("-c", str(config), *words).out
        assert f"`omisync -c '{config}' --once --allow-removals`" in said, words
    machine.write(lines(*range(30)))
    machine.omi.sandbox.fault_next("422", method="POST")
    machine.write(lines(*range(31)))
    for _ in range(2):  # the second finds nothing to do
        ran = machine.run("-c", str(config), "--once")
        assert ran.code == 1
        assert f"`omisync -c '{config}' status` tells why" in ran.out
    machine.write("- [ ] task 0\n")
    machine.run("-c", str(config), "--once")
    config.rename(machine.home / "-x.toml")
    said = machine.run("--config=-x.toml", "status").said
    assert "`omisync --config=-x.toml --once --allow-removals`" in said


def test_a_command_in_a_task_is_shown_as_it_is_written(machine: Machine, omi: Omi) -> None:
    """Only what omisync itself says names the config."""
    config = machine.config_file.rename(machine.home / "list.toml")
    task = "try `omisync --once` today"
    omi.sandbox.refuse[task] = 422
    machine.write(f"- [ ] {task}\n")
    said = [machine.run("-c", str(config), word).said for word in ("--dry-run", "--once", "log")]
    assert all(task in one for one in said)
    assert f"`omisync -c {config} retry`" in said[1]


def test_status_sees_that_the_file_was_changed(machine: Machine) -> None:
    """The last sync went well, and what was written since is not in Omi."""
    machine.synced("- [ ] a\n")
    machine.write("- [ ] a\n- [ ] b\n")
    ran = machine.run("status")
    told = "In sync: 1 task when last synced; the file has changed since.\n"
    assert (ran.code, ran.out.startswith(told)) == (0, True)
    assert machine.run("status", "--json").data["in_sync"] is False
    machine.write("- [ ] a\n")
    assert machine.run("status").out.startswith("In sync: 1 task.\n")
    assert machine.run("status", "--json").data["in_sync"] is True


def test_status_sees_that_the_config_was_changed(machine: Machine) -> None:
    """The next sync has something to do; another time zone around ``status`` is no reason."""
    machine.settings = {"sync": 'completed = "skip"\n'}
    machine.configure()
    machine.synced("- [ ] a\n- [x] b\n")
    assert machine.run("status", TZ="Asia/Tokyo").out.startswith("In sync: 2 tasks.\n")
    machine.settings = {}
    machine.configure()
    told = "In sync: 2 tasks when last synced; the config has changed since.\n"
    assert machine.run("status").out.startswith(told)
    assert machine.run("status", "--json").data["in_sync"] is False
    assert machine.once().out == "In sync: 2 tasks. 1 created.\n"
    assert machine.run("status").out.startswith("In sync: 2 tasks.\n")


@pytest.mark.parametrize(
    ("method", "asked", "told"),
    [("PATCH", ["GET"], "writes are limited until"), ("GET", [], "reads are limited until")],
)
def test_doctor_waits_as_long_as_the_server_asks(
    machine: Machine, omi: Omi, method: str, asked: list[str], told: str
) -> None:
    """It knows the limit, so it need not run into it."""
    if method == "PATCH":
        machine.synced("- [ ] a\n")
    omi.sandbox.retry_after = 3600
    omi.sandbox.fault_next("429", method=method)
    machine.write("- [x] a\n")
    assert machine.once("--timeout", "0").code == 75
    omi.sent()
    ran = machine.run("doctor")
    assert ran.code == 75
    assert [one for one, _ in omi.sent()] == asked
    assert f"not asked: {told}" in ran.out


def test_doctor_tells_each_check_as_soon_as_it_is_made(machine: Machine, omi: Omi) -> None:
    """A server that takes its time keeps nothing back of what was seen on this machine."""
    machine.write("- [ ] a\n")
    omi.sandbox.slow_seconds = PATIENCE
    omi.fail("slow")
    process = machine.start("doctor")
    assert process.stdout is not None
    seen = []
    while not seen or "key" not in seen[-1]:
        seen.append(process.stdout.readline())
        assert seen[-1]
    omi.until(lambda sandbox: len(sandbox.waiting) > 0)
    omi.release()
    ran = ended(process)
    assert ran.code == 0
    assert [line.split()[1] for line in ran.out.splitlines()] == [
        "server", "write", "clock", "last",
    ]  # fmt: skip


def test_doctor_says_once_what_stopped_the_last_sync(machine: Machine) -> None:
    """And that it is mended, where it is."""
    machine.synced("- [ ] a\n")
    machine.write("- [ ] a\n<<<<<<< mine\n")
    assert machine.once().code == 65
    ran = machine.run("doctor")
    assert ran.code == 65
    assert ran.out.count("a merge conflict is not resolved") == 1
    assert "last sync    stopped by what is told above (" in ran.out
    machine.write("- [ ] a\n")
    ran = machine.run("doctor")
    assert "→ The file can be used now, and the next sync tries again." in ran.out


def test_doctor_shows_what_it_saw_where_no_request_can_be_made(machine: Machine) -> None:
    """A proxy that is none is one check of many."""
    around = {"HTTPS_PROXY": "socks5://127.0.0.1:9", "OMI_API_BASE": "https://omi.invalid"}
    machine.write("- [ ] a\n")
    ran = machine.run("doctor", **around)
    assert ran.code == 78
    assert "ok config" in ran.out.replace("✓", "ok")
    assert "✗ server" in ran.out
    told = machine.run("doctor", "--json", **around).data
    assert [one["name"] for one in told["checks"] if one["code"]] == ["server"]


def test_repair_says_when_the_list_may_be_read(machine: Machine, omi: Omi) -> None:
    """A limit is told with its end, by the run that met it and by the next."""
    machine.synced("- [ ] a\n")
    omi.sandbox.retry_after = 3600
    omi.sandbox.fault_next("429", method="GET")
    for asked in (["GET"], []):
        ran = machine.run("repair")
        assert ran.code == 75
        told = r"Omi's read limit is reached\n→ Run `omisync repair` again at [-0-9 ]*\d\d:\d\d; "
        assert re.match(told, ran.err)
        assert [one for one, _ in omi.sent()] == asked


def test_status_tells_what_is_not_done_yet(machine: Machine, omi: Omi) -> None:
    """What was asked for since the last sync, and a file that is gone, is not in sync."""
    machine.synced(lines(1, 2))
    omi.sandbox.refuse["task 3"] = 422
    machine.write(lines(1, 2, 3))
    assert machine.once().code == 1
    assert machine.run("retry").code == 0
    ran = machine.run("status")
    assert "In sync: 3 tasks when last synced; the next sync looks anew" in ran.out
    assert machine.run("status", "--json").data["in_sync"] is False
    omi.sandbox.refuse.clear()
    assert machine.once().code == 0
    assert "In sync: 3 tasks.\n" in machine.run("status").out
    machine.todo.unlink()
    ran = machine.run("status")
    assert "In sync: 3 tasks when last synced; the file is not there now.\n" in ran.out
    assert machine.run("status", "--json").data["in_sync"] is False


def test_status_tells_of_a_sync_that_was_cut_short(machine: Machine, omi: Omi) -> None:
    """While it runs, and after Ctrl-C: what was edited is not in Omi yet; then it is."""
    machine.synced(lines(1, 2))
    machine.write("- [x] task 1\n- [x] task 2\n")
    omi.sandbox.slow_seconds = PATIENCE
    omi.sandbox.fault_next(None, "slow", method="PATCH")
    process = machine.start("--once")
    omi.until(lambda sandbox: len(sandbox.waiting) > 0)
    ran = machine.run("status")
    assert (ran.code, ran.out.splitlines()[0]) == (75, "Not in sync yet: a sync is under way.")
    process.send_signal(signal.SIGINT)
    assert ended(process).code == 130
    ran = machine.run("status")
    assert (ran.code, "the last sync was cut short" in ran.out) == (75, True)
    assert machine.run("status", "--json").data["code"] == 75
    omi.release()
    assert machine.once().code == 0
    assert machine.run("status").out.startswith("In sync: 2 tasks.\n")


def test_status_tells_of_a_removal_that_was_cut_short(machine: Machine, omi: Omi) -> None:
    """It waits for no line to come back: it was begun."""
    machine.synced(lines(1, 2, 3))
    machine.write(lines(1, 2))
    omi.sandbox.slow_seconds = PATIENCE
    omi.sandbox.fault_next("slow", method="PATCH")
    process = machine.start("--once")
    omi.until(lambda sandbox: len(sandbox.waiting) > 0)
    process.send_signal(signal.SIGINT)
    assert ended(process).code == 130
    omi.release()
    ran = machine.run("status")
    assert (ran.code, "the last sync was cut short" in ran.out) == (75, True)


def test_a_key_of_this_shell_is_none_of_a_running_daemon(machine: Machine) -> None:
    """Its environment is its own: who set the variable here is not told to wait."""
    machine.write(lines(1))
    with Daemon(machine, OMI_API_KEY=None) as daemon:
        daemon.until(r"cycle\.trouble.*there is no API key")
        ran = machine.run("status")
        assert (ran.code, ran.out.splitlines()[0]) == (77, "Stopped: this needs you.")
        assert daemon.end().code == 0
    assert machine.run("status").out.splitlines()[0] == MENDED.format("there is a key now")


MENDED = "Stopped when last synced; {}, and the next sync tries again."


def test_status_sees_that_what_stopped_a_sync_is_mended(machine: Machine) -> None:
    """A file, a key or what the guard stopped: as soon as it is put right, not only by a sync."""
    good = lines(*range(12))
    machine.synced(good)

    def headline() -> str:
        assert machine.once().code in {65, 66, 77, 78}
        stopped = machine.run("status").out.splitlines()[0]
        machine.write(good)
        machine.environ["OMI_API_KEY"] = KEY
        mended = machine.run("status")
        assert mended.code != 0, "it is that of the last sync"
        assert mended.out.splitlines()[0] != stopped
        assert machine.once().code == 0
        return mended.out.splitlines()[0]

    machine.write(good + "<<<<<<< mine\n")
    assert headline() == MENDED.format("the file can be used now")
    machine.todo.unlink()
    assert headline() == MENDED.format("the file can be used now")
    machine.write("- [ ] task 0\n")
    assert headline() == MENDED.format("the file has changed since")
    machine.write(lines(*range(13)))
    machine.environ["OMI_API_KEY"] = None
    assert headline() == MENDED.format("there is a key now")


def test_status_does_not_take_what_may_last_for_mended(machine: Machine) -> None:
    """A key that Omi refuses, a folder that cannot be written to, a broken line among two."""
    machine.synced(lines(1))
    machine.write(lines(1, 2))
    machine.environ["OMI_API_KEY"] = OTHER_KEY
    assert machine.once().code == 77
    assert machine.run("status").out.startswith("Stopped: this needs you.\n")
    machine.environ["OMI_API_KEY"] = None
    machine.write(lines(1, 2) + "<<<<<<< mine\n")
    assert machine.once().code == 77
    machine.write(lines(1, 2))
    assert machine.run("status").out.startswith("Stopped: this needs you.\n")


@pytest.mark.parametrize("damage", ["server", "note", "intents"])
def test_doctor_looks_at_what_a_sync_stops_at(damage: str, machine: Machine, omi: Omi) -> None:
    """Another server's state, a note that cannot be read, creates without an answer."""
    machine.synced(lines(1))
    code = {"server": 78, "note": 74, "intents": 75}[damage]
    if damage == "server":
        machine.environ["OMI_API_BASE"] = "http://127.0.0.1:9"
    elif damage == "note":
        with closing(sqlite3.connect(machine.store)) as store, store:
            store.execute("UPDATE meta SET value = '{{' WHERE name = 'last'")
    else:
        omi.sandbox.fault_next("reset_after", method="POST")
        machine.write(lines(1, 2))
        assert machine.once("--timeout", "0").code == 75
    ran = machine.run("doctor", "--json")
    assert ran.code == code
    checks = {check["name"]: check["code"] for check in ran.data["checks"]}
    assert checks["state"] == code
    assert checks["file"] == checks["key"] == 0


def test_doctor_knows_another_account(machine: Machine, omi: Omi) -> None:
    """Before the next edit meets it; a new key of the same account is well."""
    machine.synced(lines(1))
    omi.sandbox.keys[OTHER_KEY] = omi.sandbox.keys[KEY]
    machine.environ["OMI_API_KEY"] = OTHER_KEY
    ran = machine.run("doctor")
    assert (ran.code, "with another key than before" in ran.out) == (0, True), ran.said
    kept = dict(omi.sandbox.items)
    omi.sandbox.items.clear()
    ran = machine.run("doctor")
    assert ran.code == 77
    assert "another account" in ran.out
    assert "--accept-account" in ran.out
    omi.sandbox.items.update(kept)


def test_doctor_and_a_name_that_makes_no_unit(machine: Machine) -> None:
    """A config whose name is too long for a unit is told of, and the rest is looked at."""
    machine.synced(lines(1))
    config = machine.config_file.with_name(f"{'x' * 245}.toml")
    machine.config_file.rename(config)
    ran = machine.run("-c", str(config), "doctor")
    assert ran.code == 2
    assert "✓ write scope" in ran.out
    assert "✗ unit" in ran.out


def test_help_shows_what_a_command_takes(machine: Machine) -> None:
    """How much a sync says is no matter of ``status``, nor is a config one of the demo."""
    assert {"-q", "-v", "--json", "-c"} <= set(options_of(machine.run("--help").out))
    assert {*options_of(machine.run("status", "--help").out)} == {"-h", "-c", "--json"}
    assert {*options_of(machine.run("demo", "--help").out)} == {"-h"}


def options_of(text: str) -> list[str]:
    """Return the options that a help tells of, each by its first name."""
    return re.findall(r"^  (--?[\w-]+)", text, re.MULTILINE)


def test_doctor_looks_for_the_command_that_tells_of_failures(machine: Machine) -> None:
    """One that is not there would be missed on the day that it is needed."""
    machine.synced(lines(1))
    machine.configure(watch='notify_command = "no-such-command x"\n')
    ran = machine.run("doctor")
    assert ran.code == 78
    assert "there is no command no-such-command" in ran.out
    assert "notify_command" in ran.out
    machine.configure(watch='notify_command = "true x"\n')
    assert machine.run("doctor").code == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_streams_that_are_closed(closed: str, machine: Machine, omi: Omi) -> None:
    """Started without one of the standard streams, it works all the same."""
    machine.write(lines(1))
    assert shell(machine, f"omisync --once {closed}").code == 0
    assert omi.items() == {"task 1": False}
    machine.settled()


def test_what_went_wrong_is_a_code_also_without_streams(machine: Machine) -> None:
    """There is nothing else that could tell."""
    assert shell(machine, "omisync --once >&- 2>&- <&-").code == 66


@pytest.mark.parametrize(
    "command",
    ["--once", *(pytest.param(more, marks=pytest.mark.campaign) for more in ("plan", "status"))],
)
def test_output_to_a_full_disk(command: str, machine: Machine) -> None:
    """75 and what to do; what was synced stays synced."""
    machine.synced(lines(*range(300)))
    machine.write(lines(*range(301)))
    around = machine.surroundings()
    ran = shell(machine, f"omisync {command} >/dev/full")
    assert ran.code == 75
    assert "No room" in ran.err
    with Path("/dev/full").open("w") as full:
        streams = {"stdout": full, "stderr": full}
        assert ended(started(tuple(command.split()), machine.home, around, **streams)).code == 75
        assert machine.once().code == 0
        machine.settled()
        machine.todo.unlink()
        assert ended(started(("--once",), machine.home, around, stderr=full)).code == 66


def test_every_json_output_parses(machine: Machine, omi: Omi) -> None:
    """Data goes to stdout alone, whole, also when something is wrong."""
    machine.write(lines(1))
    for command in (["--once"], ["--once"], ["plan"], ["--dry-run"], ["status"], ["log"]):
        ran = machine.run(*command, "--json")
        assert (ran.code, ran.err) == (0, "")
        assert isinstance(ran.data, dict)
    assert machine.run("--json", "repair").data["kept"] == 1
    machine.todo.unlink()
    assert machine.run("--once", "--json").data["code"] == 66
    assert machine.run("plan", "--json").data["error"]["message"].startswith("there is no todo")
    machine.config_file.unlink()
    for command in (["--once"], ["plan"], ["status"], ["log"], ["repair"], ["retry"]):
        data = machine.run(*command, "--json").data
        assert data["code"] == 78
        assert "omisync init" in data["error"]["advice"]


def test_a_config_elsewhere(machine: Machine, omi: Omi) -> None:
    """-c before or after the command, or OMISYNC_CONFIG, names the config."""
    elsewhere = machine.config_file.rename(machine.home / "work.toml")
    machine.write(lines(1))
    assert machine.once().code == 78
    assert machine.run("-c", "work.toml", "--once").code == 0
    assert machine.run("status", "-c", "work.toml").code == 0
    assert machine.once(OMISYNC_CONFIG=str(elsewhere)).code == 0
    assert omi.writes() == ["POST"]


@pytest.mark.parametrize(
    ("tz", "said"), [("UTC-25", "UTC (now UTC+0000)"), ("JST-9", "JST (now UTC+0900)")]
)
def test_doctor_tells_which_zone_dates_are_of(machine: Machine, tz: str, said: str) -> None:
    """One that is a day from UTC is none, and stops nothing."""
    machine.real = True  # the process has its zone from its start
    machine.environ["TZ"] = tz
    machine.write("- [ ] a 📅 2027-01-01\n")
    assert f"a date alone is due at 09:00 {said}" in machine.run("doctor").out
