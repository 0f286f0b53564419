"""Todo files that are gone, broken or someone else's: nothing is sent, and the way back is free."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from machine import lines

from omisync.store import Store
from omisync.store.notes import RefusedDeparture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from machine import Machine, Omi

TEN = lines(*range(1, 11))


def gone(todo: Path) -> None:
    """Delete it."""
    todo.unlink()


def dangling(todo: Path) -> None:
    """Make it a symlink to nowhere."""
    todo.unlink()
    todo.symlink_to("nowhere.md")


def dangling_at_bytes(todo: Path) -> None:
    """Make it a symlink to a name that is no UTF-8."""
    todo.unlink()
    todo.symlink_to(os.fsdecode(b"\xff-gone.md"))


def folder(todo: Path) -> None:
    """Put a folder in its place."""
    todo.unlink()
    todo.mkdir()


def pipe(todo: Path) -> None:
    """Put a named pipe in its place."""
    todo.unlink()
    os.mkfifo(todo)


def holding(data: bytes) -> Callable[[Path], None]:
    """Return what fills the file with these bytes."""

    def fill(todo: Path) -> None:
        todo.write_bytes(data)

    return fill


LATIN = (TEN + "- [ ] café\n").encode("latin-1")
SPOILT: dict[str, tuple[Callable[[Path], None], int, list[str]]] = {
    "missing": (gone, 66, ["no todo file", "create it", "[todo]"]),
    "a symlink to nowhere": (dangling, 66, ["symlink to nowhere.md", "does not exist"]),
    "a symlink to bytes": (dangling_at_bytes, 66, ["-gone.md", "does not exist"]),
    "empty": (holding(b""), 65, ["lost 10 of 10 tasks", "bring it back", "--allow-removals"]),
    "blank": (holding(b"\xef\xbb\xbf \r\n\n"), 65, ["lost 10 of 10 tasks", "bring it back"]),
    "without tasks": (holding(b"# Shopping\n\nmilk\n"), 65, ["lost 10 of 10", "bring it back"]),
    "truncated": (holding(TEN.encode()[:30]), 65, ["lost 8 of 10 tasks", "--allow-removals"]),
    "NUL bytes": (holding(bytes(4096)), 65, ["NUL bytes", "restore it from a backup"]),
    "NUL at its end": (holding(TEN.encode()[:20] + bytes(150)), 65, ["NUL bytes", "backup"]),
    "Latin-1": (holding(LATIN), 65, ["todo.md:11: not UTF-8", "save it as UTF-8"]),
    "UTF-16": (holding(TEN.encode("utf-16")), 65, ["UTF-16LE", "iconv -f UTF-16LE"]),
    "both sides of a merge": (
        holding(
            b"- [ ] task 1\r\n<<<<<<< HEAD\r\n- [ ] task 2\r\n=======\r\n- [x] task 2\r\n"
            b">>>>>>> other\r\n"
        ),
        65,
        ["todo.md:2: a merge conflict is not resolved", "keep one of its sides"],
    ),
    "a folder": (folder, 65, ["is a folder", "[todo]"]),
    "a named pipe": (pipe, 65, ["a named pipe", "[todo]"]),
    "too large": (holding(b"- [ ] more\n" * 2_000_000), 65, ["larger than 20 MB", "check that"]),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_file(what: str, machine: Machine, omi: Omi) -> None:
    """Its code, what is wrong with it and what to do; nothing sent; brought back, nothing sent."""
    spoil, code, words = SPOILT[what]
    machine.synced(TEN)
    spoil(machine.todo)
    ran = machine.once()
    assert ran.code == code, ran.said
    for word in (str(machine.todo), *words):
        assert word in ran.said
    status = machine.run("status", "--json")
    assert status.code == code
    assert status.data["failing_since"] is not None
    assert omi.sent() == []
    if machine.todo.is_dir():
        machine.todo.rmdir()
    else:
        machine.todo.unlink(missing_ok=True)
    machine.write(TEN)
    machine.settled()
    assert omi.items() == {f"task {n}": False for n in range(1, 11)}
    status = machine.run("status", "--json")
    assert (status.code, status.data["guard"], status.data["failing_since"]) == (0, None, None)


@pytest.mark.parametrize("side", ["file", "Omi"])
def test_a_plan_says_how_to_allow_what_it_may(side: str, machine: Machine, omi: Omi) -> None:
    """What no sync has refused cannot be allowed yet; then one command is enough, as it says."""
    machine.configure(sync='direction = "two-way"\non_remote_removal = "remove"\n')
    machine.synced(TEN)
    if side == "file":
        machine.write(TEN[: len(TEN) // 5])
    else:
        for name in [*omi.sandbox.items][:8]:
            del omi.sandbox.items[name]
        while machine.once().code == 0:  # each is asked for before it counts as gone
            pass
        with Store.open(machine.store) as store, store.transaction():
            store.drop_note(RefusedDeparture)  # as if it were another than what is lacking now
    told = machine.run("--dry-run")
    assert told.code == 65
    assert "run `omisync --once`, which notes what it refuses, then `omisync --once" in told.out
    assert machine.once().code == 65
    told = machine.run("--dry-run")
    assert "run `omisync --once --allow-removals`.\n" in told.out
    assert "which notes" not in told.out
    assert machine.once("--allow-removals").code == 0


def test_a_file_that_was_spoilt_in_two_ways(machine: Machine) -> None:
    """After a guarded look the status tells of the trouble that there is now."""
    machine.synced(TEN)
    machine.write("")
    assert machine.once().code == 65
    assert "guard" in machine.run("status").out
    machine.todo.write_bytes(bytes(100))
    assert machine.once().code == 65
    status = machine.run("status")
    assert "NUL bytes" in status.out
    assert "guard" not in status.out


BROKEN = {
    "syntax": ('[[todo]]\ndescription = "a"\n[[todo]\n', ["todo.toml:3:", "TOML"]),
    "a wrong type": (
        '[[todo]]\ndescription = "a"\ncompleted = "yes"\n',
        ["todo.toml:3:", "completed", "true or completed = false"],
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_toml(what: str, machine: Machine, omi: Omi) -> None:
    """65 with file, line and what to write; nothing sent; corrected, nothing is left to do."""
    text, words = BROKEN[what]
    machine.name = "todo.toml"
    machine.configure()
    good = '[[todo]]\ndescription = "a"\n'
    machine.synced(good)
    machine.write(text)
    for command in ("--once", "--dry-run"):
        ran = machine.run(command)
        assert ran.code == 65
        for word in (*words, "→ "):
            assert word in ran.err
    assert omi.sent() == []
    machine.write(good)
    machine.settled()


# The removal guard.


def test_a_refused_plan_can_be_allowed_once(machine: Machine, omi: Omi) -> None:
    """65 first; ``--allow-removals`` then completes what was removed, and settles."""
    machine.synced(TEN)
    machine.write(lines(1, 2) + "- [ ] new\n")
    assert machine.once().code == 65
    assert omi.sent() == []
    ran = machine.once("--allow-removals")
    assert ran.code == 0
    assert "8 removed" in ran.out
    assert "1 created" in ran.out
    items = omi.items()
    assert [text for text, done in items.items() if not done] == ["task 1", "task 2", "new"]
    machine.settled()


def test_nothing_is_allowed_before_it_was_refused(machine: Machine, omi: Omi) -> None:
    """``--allow-removals`` by habit does not switch the guard off."""
    machine.synced(TEN)
    machine.write("")
    assert machine.once("--allow-removals").code == 65
    assert omi.sent() == []


def test_another_plan_than_the_refused_one_is_refused_anew(machine: Machine, omi: Omi) -> None:
    """What was allowed was one file: another is refused, even with the same numbers."""
    machine.synced(TEN)
    for kept in ((1, 2), (1,), (2,)):
        machine.write(lines(*kept))
        ran = machine.once("--allow-removals")
        assert ran.code == 65
        assert f"lost {10 - len(kept)} of 10 tasks" in ran.err
    assert omi.sent() == []
    assert machine.once("--allow-removals").code == 0
    assert [text for text, done in omi.items().items() if not done] == ["task 2"]
    machine.settled()


def test_a_list_is_not_emptied_in_slices(machine: Machine, omi: Omi) -> None:
    """Removals within an hour add up: the second slice is refused."""
    machine.synced(TEN)
    machine.write(lines(*range(6, 11)))
    assert machine.once().code == 0
    omi.sent()
    machine.write(lines(9, 10))
    ran = machine.once()
    assert ran.code == 65
    assert "5 more within the last hour" in ran.err
    assert omi.sent() == []
    machine.write(lines(*range(6, 11)))
    machine.settled()


def test_archiving_what_is_done_is_no_removal(machine: Machine, omi: Omi) -> None:
    """All finished lines taken out at once: nothing to send, nothing to guard."""
    machine.synced("".join(f"- [x] done {n}\n" for n in range(20)) + lines(1))
    machine.write(lines(1))
    assert machine.once().code == 0
    assert omi.sent() == []
    machine.settled()


def test_the_guard_in_numbers_for_programs(machine: Machine) -> None:
    """``--json`` names the guard by its kind, in the run, in the plan and in the status."""
    machine.synced(TEN)
    machine.write(lines(1))
    ran = machine.once("--json")
    assert ran.code == ran.data["code"] == 65
    assert [trouble["kind"] for trouble in ran.data["troubles"]] == ["GuardStopped"]
    plan = machine.run("plan", "--json")
    assert plan.code == 65
    assert plan.data["guard"] == {
        "count": 9,
        "recent": 0,
        "total": 10,
        "command": "omisync --once --allow-removals",
    }
    status = machine.run("status", "--json").data
    assert status["guard"]["count"] == 9
    named = ["-c", str(machine.config_file)]
    command = f"omisync -c {machine.config_file} --once --allow-removals"
    assert machine.run(*named, "plan", "--json").data["guard"]["command"] == command
    assert machine.run(*named, "status", "--json").data["guard"]["command"] == command


def test_the_guard_counts_alike_in_the_plan_and_in_the_status(machine: Machine) -> None:
    """Also where some went within the hour before."""
    machine.synced(TEN)
    machine.write(lines(*range(1, 10)))
    machine.once()
    machine.write(lines(1))
    plan = machine.run("plan", "--json").data["guard"]
    machine.once()
    status = machine.run("status", "--json").data["guard"]
    assert (plan["count"], plan["recent"], plan["total"]) == (8, 1, 9)
    assert (status["count"], status["total"]) == (8, 9)


def test_a_refusal_is_noted_once(machine: Machine) -> None:
    """A timer that meets the same refused file again and again does not fill the history."""
    machine.synced(TEN)
    machine.write("")
    for _ in range(3):
        assert machine.once().code == 65
    events = [event["event"] for event in machine.run("log", "--json").data["events"]]
    assert events.count("guard.stopped") == 1
