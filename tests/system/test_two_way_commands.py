"""Two-way at the command line: what is asked, shown, taken back, and who may write the file."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from machine import OTHER_KEY, PATIENCE, Machine, Ran, checked, lines, started, tree
from running import Daemon

from omisync import file
from omisync.core.model import Gate
from omisync.sandbox import KEY
from omisync.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from machine import Omi

    from omisync.sandbox.items import Item

TWO_WAY = {"sync": 'direction = "two-way"\ntimezone = "UTC"\n', "watch": "settle = 0.01\n"}
FLOOD = 30
NOBODY = 54321
"""A user of no machine."""


@pytest.fixture
def both(machine: Machine) -> Machine:
    """A machine that lets Omi write into the file."""
    machine.settings = TWO_WAY
    machine.configure()
    return machine


def item(omi: Omi, text: str) -> Item:
    """Return the one item with this description."""
    (found,) = (one for one in omi.sandbox.items.values() if one.description == text)
    return found


def read(machine: Machine) -> str:
    """Return the todo file."""
    return machine.todo.read_bytes().decode()


def quiet(machine: Machine) -> None:
    """Check that both sides agree: another run reads Omi, writes nothing, and leaves the file."""
    machine.omi.sent()
    before = file.read(machine.todo)
    ran = machine.once("--json")
    assert (ran.code, ran.data["done"]) == (0, {}), ran.said
    assert machine.omi.writes() == []
    assert file.read(machine.todo) == before


def flooded(machine: Machine) -> None:
    """One line here, and more in Omi than is written unasked."""
    machine.write(lines(0))
    for n in range(1, FLOOD + 1):
        machine.omi.sandbox.add(f"task {n}")


@pytest.fixture
def clashed(both: Machine, omi: Omi) -> Machine:
    """A machine where both sides reworded one task, and the file won."""
    both.synced("- [ ] call Bob\n- [ ] walk\n")
    item(omi, "call Bob").description = "call Robert"
    both.synced("- [ ] call Bobby\n- [ ] walk\n")
    return both


# The first sync.


def test_a_first_sync_that_floods_the_file_asks(both: Machine, omi: Omi) -> None:
    """Without a terminal: 65, the number and the ways on; nothing is written on either side."""
    flooded(both)
    ran = both.once()
    assert (ran.code, ran.out) == (65, "Stopped: 30 tasks would be written into the file.\n")
    for word in (str(both.todo), "`omisync --once --yes`", "`omisync --dry-run`", "import_since"):
        assert word in ran.err
    assert read(both) == lines(0)
    assert omi.writes() == []
    assert both.once("--json").data["troubles"][0]["kind"] == "ImportStopped"
    told = both.run("status")
    assert (told.code, "omisync --once --yes" in told.out) == (65, True)
    assert both.once("--yes").code == 0
    assert read(both) == lines(*range(FLOOD + 1))
    assert omi.writes() == ["POST"]
    quiet(both)


def test_after_the_first_sync_nothing_is_asked(both: Machine, omi: Omi) -> None:
    """Once they have met, a long list from the app just comes in."""
    both.synced(lines(0))
    for n in range(1, FLOOD + 1):
        omi.sandbox.add(f"task {n}")
    ran = both.once()
    assert (ran.code, ran.out) == (0, "In sync: 31 tasks. 30 written into the file.\n")
    quiet(both)


def at_a_terminal(machine: Machine, answer: str) -> Ran:
    """Run ``omisync --once`` at a terminal and answer what it asks."""
    ours, theirs = pty.openpty()
    around = machine.surroundings(TERM="dumb", COLUMNS="100")
    process = started(("--once",), machine.home, around, stdin=theirs, stdout=theirs)
    os.close(theirs)
    said = b""
    while not said.endswith(b"[y/N] "):
        said += os.read(ours, 4096)
    os.write(ours, answer.encode())
    try:
        while more := os.read(ours, 4096):
            said += more
    except OSError:  # Linux's word for the other end having closed
        pass
    finally:
        os.close(ours)
    _, err = process.communicate(timeout=PATIENCE)
    return checked(Ran(process.returncode, said.decode().replace("\r\n", "\n"), err))


def test_yes_at_a_terminal(both: Machine, omi: Omi) -> None:
    """The plan is shown, the question names number and file, and y brings them in."""
    flooded(both)
    ran = at_a_terminal(both, "y\n")
    assert ran.code == 0, ran.said
    assert ran.out.count("(new in Omi)") == FLOOD
    assert f"Write 30 tasks of Omi into {both.todo}? [y/N] " in ran.out
    assert "In sync: 31 tasks. 1 created, 30 written into the file." in ran.out
    assert read(both) == lines(*range(FLOOD + 1))
    quiet(both)


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04"])
def test_no_at_a_terminal(both: Machine, omi: Omi, answer: str) -> None:
    """n, Enter or Ctrl-D: nothing is done, 65, and how to bring in fewer; no more than that."""
    flooded(both)
    ran = at_a_terminal(both, answer)
    assert ran.code == 65
    assert "Nothing was written. With sync.import_since" in ran.out.splitlines()[-1]
    assert ran.err == ""
    assert read(both) == lines(0)
    assert omi.writes() == []


# The plan.


def test_a_first_plan_knows_the_list_that_it_read(both: Machine, omi: Omi) -> None:
    """What has an item of the same text is linked, the rest is created: nothing is open."""
    omi.sandbox.add("a")
    both.write("- [ ] a\n- [ ] b\n")
    out = both.run("--dry-run").out
    assert "+ create    b  (new)" in out
    assert "link      a" in out
    assert "1 to create in 1 request" in out


def test_a_plan_minds_the_limit(both: Machine, omi: Omi) -> None:
    """While the server asked to wait it is not asked, and the plan says what it lacks."""
    both.synced("- [ ] a\n")
    with Store.open(both.store) as store, store.transaction():
        store.put_gate(Gate("read", time.time(), 600.0))
    both.write("- [x] a\n")
    ran = both.run("--dry-run")
    assert (ran.code, omi.sent()) == (0, [])
    assert "1 to change." in ran.out
    assert "only what would be sent is shown: Omi's read limit is reached\n" in ran.err
    assert "→ It may be asked again at " in ran.err
    assert both.run("--dry-run", "--json").data["listed"] is False


def test_a_plan_minds_the_account(both: Machine, omi: Omi) -> None:
    """Another account's items are not shown as if a sync would write them; 77, as that."""
    both.synced("- [ ] a\n")
    omi.sandbox.keys[OTHER_KEY] = omi.sandbox.keys[KEY]
    omi.sandbox.items.clear()
    omi.sandbox.add("of somebody else")
    before = tree(both.home)
    ran = both.run("--dry-run", OMI_API_KEY=OTHER_KEY)
    assert tree(both.home) == before
    once = both.once(OMI_API_KEY=OTHER_KEY)
    assert (ran.code, ran.out, ran.err) == (77, "", once.err)
    assert once.code == 77


def test_a_plan_minds_the_server(both: Machine) -> None:
    """One that the links are not from is not asked; 78, as a sync."""
    both.synced("- [ ] a\n")
    ran = both.run("--dry-run", OMI_API_BASE="http://127.0.0.1:9")
    assert (ran.code, ran.out) == (78, "")
    assert "belongs to" in ran.err.splitlines()[0]


def test_a_plan_shows_both_directions(both: Machine, omi: Omi) -> None:
    """What is written, edited, asked for and sent, which value gives way; nothing changes."""
    both.synced("- [ ] a\n- [ ] b\n- [ ] c\n- [ ] d\n")
    item(omi, "a").completed = True
    item(omi, "b").description = "b in Omi"
    del omi.sandbox.items[item(omi, "c").id]
    omi.sandbox.add("fresh", due_at=datetime(2031, 1, 2, 9, tzinfo=UTC))
    item(omi, "d").description = "d in Omi"
    both.write("- [ ] a\n- [ ] b\n- [ ] c\n- [ ] d here\n")
    before = tree(both.home)
    ran = both.run("--dry-run")
    assert ran.code == 0
    for words in (
        "« edit      a  (changed in Omi, ticked)  todo.md:1",
        "« edit      b  (changed in Omi)  todo.md:2\n          → b in Omi",
        "« write     fresh  (new in Omi, due 2031-01-02)",
        "~ change    d  (reworded)  todo.md:4\n          → d here",
        "1 to change, 1 to write into the file, 2 to edit in the file.",
        "clash: d here: both sides changed it; “d in Omi” of Omi gives way",
    ):
        assert words in ran.out
    data = both.run("--dry-run", "--json").data
    assert data["listed"] is True
    assert {op["op"] for op in data["ops"]} == {"edit", "change", "write"}
    edits = {op["text"]: op["changes"] for op in data["ops"] if op["op"] != "change"}
    assert edits == {
        "a": {"completed": {"before": False, "after": True}},
        "b in Omi": {"text": {"before": "b", "after": "b in Omi"}},
        "fresh": {
            "text": {"before": None, "after": "fresh"},
            "completed": {"before": None, "after": False},
            "due": {"before": None, "after": "2031-01-02"},
        },
    }
    assert [clash["lost_value"] for clash in data["clashes"]] == ["d in Omi"]
    assert tree(both.home) == before
    assert omi.writes() == []


def test_a_plan_asks_for_what_is_missing_and_takes_it_out(both: Machine, omi: Omi) -> None:
    """An item that is gone is first asked for; the plan after the answer takes the line out."""
    both.settings = {**TWO_WAY, "sync": TWO_WAY["sync"] + 'on_remote_removal = "remove"\n'}
    both.configure()
    both.synced(lines(1, 2))
    del omi.sandbox.items[item(omi, "task 1").id]
    seen = []
    for _ in range(4):
        seen += [op["op"] for op in both.run("plan", "--json").data["ops"]]
        assert both.once().code == 0
    assert "ask" in seen
    assert read(both) == lines(2)
    assert "taken out" in both.run("log").out
    quiet(both)


def test_a_plan_says_that_a_first_sync_asks(both: Machine) -> None:
    """65, how many would come, and the command that agrees."""
    flooded(both)
    ran = both.run("plan")
    assert ran.code == 65
    assert "30 tasks of Omi would be written" in ran.out
    assert "`omisync --once --yes`" in ran.out
    data = both.run("plan", "--json").data
    assert data["asks"] == {"count": 30, "command": "omisync --once --yes"}


@pytest.mark.parametrize("lacking", ["server", "key"])
def test_a_plan_without_omi_shows_what_would_be_sent(lacking: str, both: Machine, omi: Omi) -> None:
    """The plan is on stdout as ever; stderr says what is missing in it, why, and what to do."""
    both.synced(lines(1))
    both.write(lines(1, 2))
    if lacking == "server":
        omi.stop()
    key = {"OMI_API_KEY": None} if lacking == "key" else {}
    ran = both.run("plan", **key)
    data = both.run("plan", "--json", **key)
    if lacking == "server":
        omi.start()
    assert ran.code == data.code == 0
    assert "+ create    task 2  (new)  todo.md:2" in ran.out
    assert ran.err.startswith("Omi could not be asked, so only what would be sent is shown: ")
    assert ("no API key" if lacking == "key" else "cannot be reached") in ran.err
    assert "omisync init" in ran.err or lacking == "server"
    assert data.data["listed"] is False
    assert [op["op"] for op in data.data["ops"]] == ["create"]


# What happened, and taking it back.


def test_the_log_tells_what_came_from_omi(both: Machine, omi: Omi) -> None:
    """Each line that was written or edited, and why; the same as JSON."""
    both.synced(lines(1))
    item(omi, "task 1").completed = True
    omi.sandbox.add("task 2")
    assert both.once().out == ("In sync: 2 tasks. 1 written into the file, 1 edited in the file.\n")
    out = both.run("log").out
    assert "edited        task 1  (changed in Omi: ticked)" in out
    assert "written       task 2  (new in Omi)" in out
    events = both.run("log", "--json").data["events"]
    assert [event["event"] for event in events[-2:]] == ["line.changed", "line.added"]
    assert both.run("log", "--clashes").out == "No value ever had to give way.\n"
    assert both.run("log", "--clashes", "--json").data == {"version": 1, "clashes": []}


def test_a_clash_is_listed_and_restored(clashed: Machine, omi: Omi) -> None:
    """Both values, which side lost, and the command that puts it back, which then syncs."""
    assert "clash" in clashed.run("log").out
    ran = clashed.run("log", "--clashes")
    for words in ("call Bobby", "call Robert  (the value of Omi)", "`omisync restore 1`"):
        assert words in ran.out
    (clash,) = clashed.run("log", "--clashes", "--json").data["clashes"]
    assert (clash["number"], clash["lost"], clash["restored_at"]) == (1, "remote", None)
    ran = clashed.run("restore", "2")
    assert (ran.code, "`omisync log --clashes`" in ran.err) == (2, True)
    ran = clashed.run("restore", "1")
    assert ran.code == 0
    assert ran.out.startswith(f"{clashed.todo}:1 has again what gave way: call Robert.\n")
    assert read(clashed) == "- [ ] call Robert\n- [ ] walk\n"
    assert omi.items() == {"call Robert": False, "walk": False}
    assert "put back" in clashed.run("log", "--clashes").out
    quiet(clashed)


def test_a_clash_without_its_line(clashed: Machine) -> None:
    """2, that the line is gone, and the value to copy."""
    clashed.write("- [ ] walk\n")
    ran = clashed.run("restore", "1")
    assert (ran.code, "call Robert" in ran.err) == (2, True)


def test_undo_takes_the_last_write_back(both: Machine, omi: Omi) -> None:
    """The file is what it was before, byte for byte; Omi keeps its items and they stay away."""
    ran = both.run("undo")
    assert (ran.code, "omisync --once" in ran.err) == (2, True)
    both.synced(lines(1))
    ran = both.run("undo")
    assert (ran.code, "has not written to the file" in ran.err) == (2, True)
    omi.sandbox.add("task 2")
    assert both.once().code == 0
    assert read(both) == lines(1, 2)
    ran = both.run("undo")
    assert ran.code == 0
    assert ran.out.startswith(
        f"{both.todo} is as it was before omisync last wrote to it; 1 item that came in with it"
        " stays in Omi alone, until a line says the same again.\n"
    )
    assert read(both) == lines(1)
    assert omi.items() == {"task 1": False, "task 2": False}
    assert "undone" in both.run("log").out
    quiet(both)


def test_undo_leaves_an_edited_file_alone(both: Machine, omi: Omi) -> None:
    """2, and where the former version is kept; that version is what it was."""
    both.synced(lines(1))
    omi.sandbox.add("task 2")
    assert both.once().code == 0
    both.write(lines(1, 2, 3))
    ran = both.run("undo", "--json")
    assert ran.code == 2
    assert read(both) == lines(1, 2, 3)
    (copy,) = (both.state / f"{both.store.name}.copies").iterdir()
    assert str(copy) in ran.data["error"]["advice"]
    assert copy.read_text() == lines(1)


def test_status_names_lines_whose_item_is_gone(both: Machine, omi: Omi) -> None:
    """Text, line and what can be done; an edit of that line creates it anew."""
    both.synced(lines(1, 2))
    del omi.sandbox.items[item(omi, "task 2").id]
    for _ in range(3):
        assert both.once().code == 0
    out = both.run("status").out
    assert "unlinked  task 2  todo.md:2\n" in out
    assert "deleted in Omi" in out
    assert both.run("status", "--json").data["gone"] == ["task 2"]
    both.write(lines(1, 2).replace("[ ] task 2", "[x] task 2"))
    assert both.once().code == 0
    assert both.run("status", "--json").data["gone"] == [], "nothing is to be done"
    both.write(lines(1, 2).replace("2", "2 after all"))
    assert both.once().code == 0
    assert omi.items() == {"task 1": False, "task 2 after all": False}
    assert both.run("status", "--json").data["gone"] == []
    quiet(both)


def test_the_guard_stops_what_would_empty_the_file(both: Machine, omi: Omi) -> None:
    """Everything deleted in Omi: the lines stay, 65, until a person agrees."""
    both.settings = {**TWO_WAY, "sync": TWO_WAY["sync"] + 'on_remote_removal = "remove"\n'}
    both.configure()
    both.synced(lines(*range(8)))
    omi.sandbox.items.clear()
    codes = [both.once().code for _ in range(4)]
    assert codes[-1] == 65
    assert read(both) == lines(*range(8))
    ran = both.run("plan")
    assert (ran.code, "The removal guard stops this" in ran.out) == (65, True)
    ran = both.once()
    assert "`omisync --once --allow-removals`" in ran.err
    assert both.once("--allow-removals").code == 0
    assert read(both) == ""
    quiet(both)


# Beside a daemon.


@pytest.fixture
def daemon(both: Machine) -> Iterator[Daemon]:
    """A daemon that has synced two tasks."""
    both.write(lines(1, 2))
    with Daemon(both, "-v") as running:
        running.until(r"cycle\.done .*code=0")
        both.omi.sent()
        yield running
        ran = running.end()
        assert (ran.code, ran.out) == (0, "")


def test_once_beside_a_daemon_brings_changes_in(both: Machine, omi: Omi, daemon: Daemon) -> None:
    """The daemon is asked, looks at Omi now, and the answer tells what came."""
    item(omi, "task 1").completed = True
    ran = both.once()
    assert (ran.code, ran.out) == (0, "In sync: 2 tasks. 1 edited in the file.\n")
    assert read(both) == "- [x] task 1\n- [ ] task 2\n"
    quiet(both)


def test_a_signal_makes_the_daemon_look(both: Machine, omi: Omi, daemon: Daemon) -> None:
    """SIGUSR1: what changed in the app is in the file at once."""
    item(omi, "task 2").description = "task two"
    daemon.process.send_signal(signal.SIGUSR1)
    daemon.until(r"cycle\.done .*line_changed=1")
    assert read(both) == "- [ ] task 1\n- [ ] task two\n"
    quiet(both)


def test_a_save_makes_the_daemon_look_too(both: Machine, omi: Omi, daemon: Daemon) -> None:
    """Whoever edits sees what the app has changed meanwhile, and both edits live."""
    item(omi, "task 2").completed = True
    both.write(lines(1).replace("task", "Task") + lines(2))
    daemon.until(r"cycle\.done .*line_changed=1")
    omi.until(lambda sandbox: any(one.description == "Task 1" for one in sandbox.items.values()))
    assert read(both) == "- [ ] Task 1\n- [x] task 2\n"
    assert omi.items() == {"Task 1": False, "task 2": True}
    quiet(both)


def test_undo_beside_a_daemon(both: Machine, omi: Omi, daemon: Daemon) -> None:
    """The daemon does it, answers and syncs; what it refuses has its own message and code."""
    ran = both.run("undo")
    assert (ran.code, "has not written to the file" in ran.err) == (2, True)
    omi.sandbox.add("task 3")
    assert both.once().code == 0
    assert read(both) == lines(1, 2, 3)
    ran = both.run("undo")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith("In sync: 2 tasks.\n")
    assert read(both) == lines(1, 2)
    both.todo.unlink()
    omi.sandbox.add("task 4")
    both.write(lines(1, 2))
    assert both.once().code == 0
    assert read(both) == lines(1, 2, 4)
    both.todo.unlink()
    ran = both.run("undo")
    assert (ran.code, "there is no todo file" in ran.err) == (66, True)
    both.write(lines(1, 2, 4))
    quiet(both)


def test_yes_beside_a_daemon(both: Machine, omi: Omi) -> None:
    """A daemon that would flood the file says so and waits; ``--once --yes`` agrees for it."""
    flooded(both)
    with Daemon(both, "-v") as running:
        running.until(r"cycle\.done .*code=65")
        assert both.run("status").code == 65
        assert read(both) == lines(0)
        assert both.once("--yes").code == 0
        assert read(both) == lines(*range(FLOOD + 1))
        quiet(both)
        assert running.end().code == 0


# Who may write the file.


@pytest.fixture
def locked(both: Machine) -> Machine:
    """A synced machine whose todo file is in a folder of its own."""
    both.name = "lists/todo.md"
    both.todo.parent.mkdir()
    both.configure()
    both.synced(lines(1, 2))
    return both


def bound(machine: Machine, *arguments: str) -> Ran:
    """Run a command as a user whom permissions bind: root becomes another."""
    become: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("setpriv is not installed")
        for path in (machine.home, *machine.home.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        # Reading everything, for the program may be in root's home.
        reads = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
        become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *reads]
    done = subprocess.run(
        [*become, sys.executable, "-m", "omisync", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE,
        cwd=machine.home, env=machine.surroundings(),
    )  # fmt: skip
    return checked(Ran(done.returncode, done.stdout, done.stderr))


def test_a_folder_that_cannot_be_written(locked: Machine, omi: Omi) -> None:
    """65, which folder and the ways out; what was typed is sent, what came waits, both are kept."""
    folder = locked.todo.parent
    item(omi, "task 1").completed = True
    locked.write(lines(1) + "- [ ] task two\n")
    folder.chmod(0o555)
    ran = bound(locked, "--once")
    checks = bound(locked, "doctor")
    folder.chmod(0o755)
    assert ran.code == 65, ran.said
    for words in (
        f"{locked.todo} cannot be replaced in the folder {folder}",
        "right to write",
        "omisync service install",
    ):
        assert words in ran.err
    assert read(locked) == lines(1) + "- [ ] task two\n"
    assert omi.items() == {"task 1": True, "task two": False}
    assert checks.code == 65
    assert f"✗ writing      {locked.todo} cannot be replaced in the folder {folder}" in checks.out
    assert bound(locked, "--once").code == 0
    assert read(locked) == "- [x] task 1\n- [ ] task two\n"
    quiet(locked)


def test_a_file_marked_read_only(locked: Machine, omi: Omi) -> None:
    """65 and chmod; the file is left as it is."""
    item(omi, "task 1").completed = True
    locked.todo.chmod(0o444)
    ran = locked.once()
    assert (ran.code, "chmod u+w" in ran.err) == (65, True)
    assert read(locked) == lines(1, 2)
    assert "marked read-only" in locked.run("doctor").out
    locked.todo.chmod(0o644)
    assert locked.once().code == 0
    assert read(locked) == "- [x] task 1\n- [ ] task 2\n"
    quiet(locked)


def test_a_program_that_writes_in_place(both: Machine, omi: Omi) -> None:
    """While one has the file open for writing it is left to it: 75, and what it wrote stays."""
    both.synced(lines(1, 2))
    item(omi, "task 1").completed = True
    with both.todo.open("r+") as writer:
        ran = both.once("--timeout", "0")
        assert ran.code == 75, ran.said
        assert f"{both.todo} is open in a program" in ran.err
        assert read(both) == lines(1, 2)
        writer.seek(0)
        writer.write("- [ ] TASK 1\n")
    assert both.once().code == 0
    assert read(both) == "- [x] TASK 1\n- [ ] task 2\n"
    assert omi.items() == {"TASK 1": True, "task 2": False}
    quiet(both)


# Doctor.


def test_doctor_looks_whether_the_file_can_be_replaced(both: Machine) -> None:
    """One line in two-way, with the folder; none in push, where the file is only read."""
    both.synced(lines(1))
    ran = both.run("doctor")
    assert ran.code == 0, ran.out
    assert f"✓ writing      the file can be replaced in its folder {both.home}\n" in ran.out
    both.settings = {}
    both.configure()
    ran = both.run("doctor")
    assert (ran.code, "writing" in ran.out) == (0, False)


def test_a_plan_tells_that_the_file_cannot_be_written(
    both: Machine, omi: Omi, tmp_path: Path
) -> None:
    """The sync would stop there: the same message and code; without a write it is no matter."""
    both.synced(lines(1))
    (tmp_path / "second.md").hardlink_to(both.todo)
    assert both.run("--dry-run").code == 0
    omi.sandbox.add("task 2")
    ran = both.run("--dry-run")
    assert (ran.code, "2 names (hard links)" in ran.err) == (65, True)
    told = both.run("--dry-run", "--json")
    assert (told.code, "2 names (hard links)" in told.data["refused"]) == (65, True)
    once = both.once()
    assert (once.code, ran.err.strip() in once.err) == (65, True)
    (tmp_path / "second.md").unlink()
    assert both.run("--dry-run", "--json").data["refused"] is None
    assert both.once().code == 0


def test_doctor_follows_a_symlink(both: Machine, tmp_path: Path) -> None:
    """It is the folder of the real file that counts, and a second hard link is told."""
    real = tmp_path / "real" / "list.md"
    real.parent.mkdir()
    real.write_text(lines(1))
    both.todo.symlink_to(real)
    assert str(real.parent) in both.run("doctor").out
    (tmp_path / "second.md").hardlink_to(real)
    ran = both.run("doctor")
    assert (ran.code, "2 names (hard links)" in ran.out) == (65, True)


# Two machines.


def test_a_twin_is_taken_back_by_who_made_it_last(both: Machine, omi: Omi, tmp_path: Path) -> None:
    """Two machines that created one line at once: the plan says so, and one item is left."""
    other = Machine(tmp_path / "other", omi, settings=TWO_WAY)
    other.home.mkdir()
    other.configure()
    for one in (both, other):
        one.synced(lines(1))
    both.synced(lines(1, 2))
    first = item(omi, "task 2")
    del omi.sandbox.items[first.id]  # the other does not see it yet
    other.synced(lines(1, 2))
    omi.sandbox.items[first.id] = first
    ran = other.run("plan")
    assert "- delete    task 2  (made twice by two machines)\n\n1 to delete.\n" in ran.out
    assert other.once().out == "In sync: 2 tasks. 1 made twice and deleted once.\n"
    assert omi.items() == {"task 1": False, "task 2": False}
    for one in (both, other):
        quiet(one)
