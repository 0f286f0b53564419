"""What people and programs read: the facts, one a line, and nothing that acts on a terminal."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import termios
import time
from dataclasses import replace
from datetime import UTC
from datetime import time as clock
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from person import Clock
from rich.cells import cell_len

from omisync import show
from omisync.core import plan as core_plan
from omisync.core.merge import Encoding, encode
from omisync.core.model import (
    Base,
    Document,
    Entry,
    Link,
    Notice,
    Parked,
    Patch,
    RemoteItem,
    Task,
    Tombstone,
)
from omisync.errors import (
    ConfigError,
    GuardStopped,
    OmisyncError,
    RateLimited,
    ServerTrouble,
    Unreachable,
)
from omisync.store import Event
from omisync.store.notes import LastRun, Refusal
from omisync.sync import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from omisync.core.plan import Plan

TODO = Path("/home/ann/todo.md")
NOON = 1_769_860_800.0  # 2026-01-31 12:00:00 UTC
ZONE = Encoding(UTC, clock(9))
ANSI = re.compile(r"\x1b")


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def entry(text: str, line: int, *, completed: bool = False, due: str | None = None) -> Entry:
    """Return a line of the file."""
    return Entry(Task(text, completed, due), line)


def link(number: int, text: str, *, completed: bool = False, due: str | None = None) -> Link:
    """Return a link that is in sync."""
    task = Task(text, completed, due)
    return Link(
        f"key{number}", f"id{number}", task, rank=number * 100, base=Base(task, encode(task, ZONE))
    )


def decided(  # noqa: PLR0913 - an observation has many sides
    entries: Sequence[Entry],
    links: Sequence[Link] = (),
    *,
    on_removal: str = "complete",
    grace: float = 0.0,
    tombstones: Sequence[Tombstone] = (),
    unlinked: Sequence[RemoteItem] | None = None,
) -> Plan:
    """Return the plan that is made of these."""
    seen = core_plan.Observation(
        entries, links, NOON, tombstones=tombstones, unlinked=unlinked, blank=not entries
    )
    policy = core_plan.Policy(ZONE, on_removal, grace)
    return core_plan.make(seen, policy, (f"new{n}" for n in count()))


def told(
    plan: Plan,
    notices: tuple[Notice, ...] = (),
    *,
    links_exist: bool = True,
    terminal: bool | None = None,
) -> str:
    """Return what is written of a plan."""
    out = io.StringIO()
    document = Document(b"", (), notices)
    show.plan(document, plan, TODO, links_exist=links_exist, stream=out, terminal=terminal)
    return out.getvalue()


def plan_data(plan: Plan, notices: tuple[Notice, ...] = ()) -> dict[str, object]:
    """Return what programs get of a plan."""
    return show.plan_data(Document(b"", (), notices), plan, TODO, links_exist=True)


# Plans.


def test_a_plan_reads_like_a_diff() -> None:
    """Each op is a line with sign, task, reason and place, in the order of the file."""
    links = [
        link(1, "Call Ann about Rome"),
        link(2, "Pay rent", due="2026-01-31"),
        link(3, "Water the plants"),
        link(4, "Something of the past"),
    ]
    entries = [
        entry("Call Anna about Rome", 3),
        entry("Pay rent", 4, due="2026-02-02T17:00"),
        entry("Water the plants", 5, completed=True),
        entry("Buy milk", 9, due="2026-03-01"),
    ]
    assert told(decided(entries, links)) == (
        "/home/ann/todo.md\n"
        "~ change    Call Ann about Rome  (reworded)  todo.md:3\n"
        "          → Call Anna about Rome\n"
        "~ change    Pay rent  (due 2026-01-31 → 2026-02-02 17:00)  todo.md:4\n"
        "~ change    Water the plants  (ticked)  todo.md:5\n"
        "- complete  Something of the past  (line removed)\n"
        "+ create    Buy milk  (new, due 2026-03-01)  todo.md:9\n"
        "\n"
        "1 to create in 1 request, 3 to change, 1 to complete.\n"
        "Omi will send 2 notifications to your phone, one for each due date it is given.\n"
    )


def test_a_first_plan_creates_or_links() -> None:
    """Before anything was synced, a create may turn out to be an equal item of the server."""
    entries = [entry(f"Task {n}", n) for n in range(1, 61)]
    text = told(decided(entries), links_exist=False)
    assert "+ create or link  Task 1  (new)  todo.md:1\n" in text
    assert "60 to create or link in at most 2 requests.\n" in text
    named = entry("b", 2)._replace(explicit_id="x")
    text = told(decided([entry("a", 1), named], [link(1, "a")]))
    assert "+ create or link  b  (new)" in text
    assert "1 to create or link in at most 1 request.\n" in text


def test_a_first_plan_says_at_most_how_many_notifications_there_will_be() -> None:
    """A line that turns out to be an item with this date sends none."""
    text = told(decided([entry("Pay", 1, due="2026-03-01")], []), links_exist=False)
    assert "Omi will send up to 1 notification to your phone," in text


def test_a_removed_line_is_deleted_if_that_is_the_policy() -> None:
    """The verb says what the server will be told."""
    plan = decided([entry("a", 1)], [link(1, "a"), link(2, "b")], on_removal="delete")
    assert "- delete    b  (line removed)\n" in told(plan)
    assert "1 to delete.\n" in told(plan)


def test_a_line_that_came_back_and_an_equal_item() -> None:
    """Reviving and linking are told apart from creating."""
    gone = link(1, "Old friend")
    stone = core_plan.buried(gone, "complete", NOON - 60, counted=True)
    item = RemoteItem("id9", encode(Task("In Omi"), ZONE))
    entries = [entry("Old friend", 1), entry("In Omi", 2)]
    text = told(decided(entries, tombstones=[stone], unlinked=[item]))
    assert "↺ revive    Old friend  (the line came back, reopened)  todo.md:1\n" in text
    assert "= link      In Omi  (Omi has it already)  todo.md:2\n" in text
    assert "1 to link, 1 to bring back.\n" in text


def test_a_due_date_that_goes() -> None:
    """Taking a date out of a line is a change with a name."""
    plan = decided([entry("Rent", 1)], [link(1, "Rent", due="2026-01-31T17:00")])
    assert "(due 2026-01-31 17:00 removed)" in told(plan)


def test_an_edited_line_of_a_deleted_item_says_why_it_is_new() -> None:
    """A create that is not a new line explains itself, even without any other link."""
    gone = link(1, "Report").but(remote_id=None, failures=2)
    text = told(decided([entry("Report for Eve", 1)], [gone]), links_exist=False)
    assert (
        "+ create          Report for Eve  (edited, but deleted in Omi, failed 2 times so far)"
        in text
    )


def test_nothing_to_do() -> None:
    """An empty plan is one line with the number of tasks."""
    plan = decided([entry("a", 1), entry("b", 2)], [link(1, "a"), link(2, "b")])
    assert told(plan) == "Nothing to do: 2 tasks are in sync.\n"


def test_what_waits_and_what_is_parked_is_told() -> None:
    """Lines in their grace and refused tasks are named, with the end, reason and way out."""
    refused = Parked(422, "Omi does not accept the task (422)", NOON - 90, Task("Bad"))
    links = [link(1, "Bad").but(parked=refused), link(2, "Cut"), link(3, "Fine")]
    plan = decided([entry("Bad", 7), entry("Fine", 8)], links, grace=30.0)
    text = told(plan)
    assert "Cut  (line gone; waits for it to come back until 2026-01-31 12:00:30)\n" in text
    assert "! parked    Bad  todo.md:7\n" in text
    assert "Omi does not accept the task (422); change the line, or try again with" in text
    assert "Nothing to do: 1 task is in sync, 1 parked, 1 waiting.\n" in text


def test_a_parked_removal_ends_with_forget() -> None:
    """A task whose line is gone cannot be changed there: another way out is named."""
    refused = Parked(402, "locked", NOON, None)
    old = link(1, "Locked").but(parked=refused, absent_since=NOON - 60)
    text = told(decided([entry("a", 1)], [old, link(2, "a")]))
    assert "! parked    Locked\n" in text
    assert "`omisync forget Locked` gives up" in text
    old = link(1, "-v it's").but(parked=refused, absent_since=NOON - 60)
    text = told(decided([entry("a", 1)], [old, link(2, "a")]))
    assert """`omisync forget -- '-v it'"'"'s'` gives up""" in text


def test_finished_lines_taken_out_are_remarked_on() -> None:
    """Archiving sends nothing, and says that nothing changes."""
    links = [link(1, "Done", completed=True), link(2, "b")]
    text = told(decided([entry("b", 1)], links))
    assert "Nothing to do: 1 task is in sync.\n" in text
    assert "1 finished or kept task left the file; nothing changes in Omi.\n" in text


def test_the_guard_explains_itself() -> None:
    """A drastic plan names its numbers, says that nothing is sent, and what allows it."""
    links = [link(n, f"Task {n}") for n in range(1, 9)]
    text = told(decided([entry("Task 1", 1)], links))
    assert "/home/ann/todo.md lost 7 of 8 tasks that are open in Omi; nothing would be sent" in text
    assert "`omisync --once --allow-removals`" in text


def test_warnings_have_a_place() -> None:
    """What a person should look at in the file comes with file and line."""
    plan = decided([entry("a", 1)], [link(1, "a")])
    text = told(plan, (Notice(12, "`due:soon` is not a date"),))
    assert "warning: /home/ann/todo.md:12: `due:soon` is not a date\n" in text


def test_what_the_hour_took_counts_in_what_is_told_of_both_guards() -> None:
    """Else the numbers of a few more would not look like many."""
    many = core_plan.Removal(count=8, recent=4, total=20, drastic=True)
    plan = replace(decided([entry("a", 1)], [link(1, "a")]), removal=many, departure=many)
    told_of = " (4 more within the last hour); nothing would be "
    assert f"lost 8 of 16 tasks that are open in Omi{told_of}sent.\n" in told(plan)
    assert f"Omi lacks 8 of 16 open tasks of {TODO}{told_of}changed.\n" in told(plan)


def test_plan_data_is_json_and_complete() -> None:
    """Programs get every op with old and new values, the summary and the rest."""
    refused = Parked(402, "locked", NOON, Task("Locked"), NOON + 60)
    links = [link(1, "Rent", due="2026-01-31"), link(2, "Locked").but(parked=refused)]
    long = "word " * 200
    entries = [
        entry("Rent", 1, completed=True, due="2026-02-02"),
        entry("Locked", 2),
        entry(long, 3),
    ]
    data = json.loads(json.dumps(plan_data(decided(entries, links), (Notice(3, "long"),))))
    change, create = data["ops"]
    assert change == {
        "op": "change",
        "key": "key1",
        "text": "Rent",
        "line": 1,
        "why": ["ticked", "due 2026-01-31 → 2026-02-02"],
        "changes": {
            "completed": {"before": False, "after": True},
            "due_at": {
                "before": "2026-01-31T09:00:00+00:00",
                "after": "2026-02-02T09:00:00+00:00",
            },
        },
        "remote_id": "id1",
    }
    assert (create["op"], create["text"], create["line"]) == ("create", long, 3)
    assert data["summary"] == {
        "tasks": 3,
        "create": 1,
        "link": 0,
        "change": 1,
        "revive": 0,
        "complete": 0,
        "delete": 0,
        "archived": 0,
        "requests": 2,
        "notifications": 1,
    }
    assert data["parked"][0]["retry_at"] == "2026-01-31T12:01:00+00:00"
    assert data["notices"] == [{"line": 3, "message": "long"}]
    assert (data["version"], data["in_sync"], data["guard"]) == (1, False, None)


def test_plan_data_of_nothing_and_of_too_much() -> None:
    """A program can tell a plan without ops from one that the guard stops."""
    calm = plan_data(decided([entry("a", 1)], [link(1, "a")]))
    assert calm["in_sync"] is True
    assert calm["ops"] == []
    drastic = plan_data(decided([], [link(1, "a"), link(2, "b"), link(3, "c")], grace=30.0))
    assert drastic["in_sync"] is False
    assert len(list(drastic["waiting"])) == 3  # type: ignore[call-overload]  # a list, as JSON has it
    assert drastic["guard"] == {
        "count": 3,
        "recent": 0,
        "total": 3,
        "command": "omisync --once --allow-removals",
    }


def test_plan_data_is_stable() -> None:
    """The same plan gives the same text, byte for byte."""
    entries = [entry(f"Task {n}", n, due="2026-02-02") for n in range(1, 9)]
    texts = {json.dumps(plan_data(decided(entries, [link(9, "gone")]))) for _ in range(3)}
    assert len(texts) == 1


# Terminals.


def test_colours_only_on_a_terminal() -> None:
    """A pipe gets no escape sequence, a terminal does."""
    plan = decided([entry("Buy milk", 1)])
    assert not ANSI.search(told(plan))
    assert "\x1b[32m+" in told(plan, terminal=True)


@pytest.mark.parametrize(("columns", "expected"), [(90, 90), (0, 80)])
def test_a_real_terminal_is_noticed(
    monkeypatch: pytest.MonkeyPatch, columns: int, expected: int
) -> None:
    """Without being told, a terminal is recognised and lines end where it ends."""
    monkeypatch.delenv("COLUMNS")
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (24, columns))
    try:
        with open(slave, "w", encoding="utf-8") as out:  # noqa: PTH123 - a descriptor, not a path
            show.history([Event(NOON, "task.adopted", "x" * 200)], out)
            out.flush()
            seen = os.read(master, 10_000).decode()
    finally:
        os.close(master)
    plain = re.sub(r"\x1b\[\d+m", "", seen).rstrip("\r\n")
    assert plain != seen.rstrip("\r\n")
    assert plain.endswith("x…  (Omi had it already)")
    assert len(plain) == expected


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """NO_COLOR and a dumb terminal get no escape sequence, but lines that fit."""
    monkeypatch.setenv(name, value)
    text = told(decided([entry("Buy milk " * 30, 1)]), terminal=True)
    assert not ANSI.search(text)
    assert "…" in text


def test_markup_is_text() -> None:
    """A task that looks like markup is printed as it is."""
    text = told(decided([entry("[red]x[/red] [link=http://e]y[/link] :smile:", 1)]), terminal=True)
    assert "[red]x[/red] [link=http://e]y[/link] :smile:" in text


HOSTILE = [
    ("a\x1b[31mb", "ab"),
    ("a\x1b]0;title\x07b", "ab"),
    ("a\x1b]8;;http://e\x1b\\b\x1b]8;;\x1b\\", "ab"),
    ("a\x1b]0;never ends", "a0;never ends"),
    ("a\x9b2Jb\x1bcd", "abd"),
    ("a\nb\r\nc\td", "a b c d"),
    ("a\u2028b", "a b"),
    ("a\x00\x07\x08b", "ab"),
    ("a\u202eb\u2066c", "abc"),
    ("a\ud800b", "a\ufffdb"),
    ("👩\u200d👧 ✔\ufe0f é", "👩\u200d👧 ✔\ufe0f é"),
]


@pytest.mark.parametrize(("text", "expected"), HOSTILE)
def test_foreign_text_is_one_harmless_line(text: str, expected: str) -> None:
    """Escapes, controls, line ends and reordering marks never reach a reader; emoji do."""
    assert show.safe(text) == expected
    assert f"  {expected}  (new)" in told(decided([entry(text, 1)]), terminal=False)


@given(st.text())
def test_safe_text_is_safe(text: str) -> None:
    """Whatever comes, what is left is one line without controls, and stays as it is."""
    once = show.safe(text)
    assert show.safe(once) == once
    assert len(once.splitlines()) <= 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", once)
    once.encode()


@given(st.text(min_size=1, max_size=120), st.text(min_size=1, max_size=120), st.integers(20, 120))
def test_lines_fit_the_terminal(before: str, after: str, width: int) -> None:
    """No line about a task is wider than the terminal, whatever characters it holds."""
    os.environ["COLUMNS"] = str(width)
    changed = core_plan.ChangeRemote(link(1, before), entry(after, 1), Patch(description=after))
    created = core_plan.AddRemote(link(2, after), entry(after, 2), encode(Task(after), ZONE))
    text = told(core_plan.Plan(ops=(changed, created)), terminal=True)
    ops = text.split("\n\n")[0].splitlines()[1:]
    assert len(ops) == 3
    assert max(cell_len(re.sub(r"\x1b\[\d+m", "", line)) for line in ops) <= width


def test_the_change_of_a_long_wording_stays_in_view() -> None:
    """A cut line still shows the words that differ, and the place."""
    start = "a long sentence that goes on " * 4
    plan = decided([entry(start + "until Tuesday", 4)], [link(1, start + "until Monday")])
    former, latter = told(plan, terminal=True).splitlines()[1:3]
    assert "\x1b[31mMonday" in former
    assert "todo.md:4" in former
    assert "\x1b[32mTuesday" in latter


def test_a_narrow_terminal_still_shows_the_task() -> None:
    """A long reason does not leave the text of its task without room."""
    os.environ["COLUMNS"] = "40"
    plan = decided([entry("Buy twelve eggs", 1, due="2026-02-02T17:00")], [])
    line = told(plan, terminal=True).splitlines()[1]
    assert "Buy twelve eggs" in line
    assert line.removesuffix("\x1b[0m").endswith("…")


def test_messages_are_never_cut() -> None:
    """Advice may hold a command or a path to copy: a narrow terminal wraps it by itself."""
    os.environ["COLUMNS"] = "30"
    links = [link(n, f"Task {n}") for n in range(1, 9)]
    assert "`omisync --once --allow-removals`" in told(decided([], links), terminal=True)


def test_a_stream_without_our_signs_gets_plainer_ones() -> None:
    """An old locale loses arrows and foreign letters, never the line."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    show.error(OmisyncError("Café is full", "Wait…"), out)
    out.flush()
    assert raw.getvalue().decode("ascii") == "Caf? is full\n-> Wait...\n"


def loaded_after(code: str) -> set[str]:
    """Return which slow packages a fresh process has loaded after ``code``."""
    end = "import sys; print(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{end}"], capture_output=True, text=True, check=True
    )
    slow = {"rich", "asyncio", "pydantic", "aiohttp", "structlog", "rapidfuzz", "watchfiles"}
    return slow & set(done.stdout.split())


def test_showing_plainly_loads_nothing_slow() -> None:
    """Importing, an error, a short run and the log cost no heavy import, no rich above all."""
    code = (
        "import io; from omisync import show; from omisync.errors import OmisyncError\n"
        "show.error(OmisyncError('m', 'a'), io.StringIO())\n"
        "with show.Progress(io.StringIO()) as p: p.report(1, 1)\n"
        "show.history([], io.StringIO())"
    )
    assert loaded_after(code) == set()


def test_only_a_terminal_needs_rich() -> None:
    """The same line is written plainly without rich, and with its help cut to a terminal."""
    code = (
        "import io; from omisync import show; from omisync.store import Event\n"
        "show.history([Event(0.0, 'task.created', 'x')], io.StringIO(), terminal={})"
    )
    assert "rich" not in loaded_after(code.format(False))
    assert "rich" in loaded_after(code.format(True))


# Outcomes and errors.


def ended(result: Outcome, verbose: int = 0) -> tuple[str, str]:
    """Return what is written of an outcome, to stdout and to stderr."""
    out, err = io.StringIO(), io.StringIO()
    show.outcome(result, TODO, verbose=verbose, stream=out, err=err)
    return out.getvalue(), err.getvalue()


def test_a_run_that_ended_well_is_one_line() -> None:
    """The line has the number of tasks and what was done; stderr stays empty."""
    done = {"task.created": 3, "task.changed": 1, "task.parked": 0}
    assert ended(Outcome(0, tasks=42, counts=done)) == (
        "In sync: 42 tasks. 3 created, 1 changed.\n",
        "",
    )
    assert ended(Outcome(0, tasks=1, idle=True)) == ("In sync: 1 task.\n", "")
    assert ended(Outcome(0, tasks=42), verbose=-1) == ("", "")


def test_a_rate_limit_has_an_end() -> None:
    """What waits is counted, and the time is named at which it goes on."""
    limited = Outcome(
        75, waiting=37, troubles=(RateLimited("write", 300.0, 120),), retry_at=NOON + 300
    )
    assert show.headline(limited, NOON) == (
        "Not finished: 37 changes wait (rate limited until 12:05)."
    )
    assert ended(limited)[1] == ""


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (
            Outcome(75, waiting=1, troubles=(Unreachable("no route"),)),
            "Not finished: 1 change waits (Omi cannot be reached).",
        ),
        (
            Outcome(75, troubles=(ServerTrouble("500"),), retry_at=NOON + 1),
            "Not finished (to be tried again at 12:00:01).",
        ),
        (Outcome(75, again=True), "Not finished."),
        (Outcome(78, troubles=(ConfigError("bad"),)), "Stopped."),
        (
            Outcome(77, waiting=2, counts={"task.created": 50}),
            "Stopped: 2 changes wait. 50 created.",
        ),
        (Outcome(65, troubles=(GuardStopped("lost 9"),)), "Stopped by the removal guard."),
        (
            Outcome(1, tasks=42, still_parked=(link(1, "Bad"),) * 3, idle=True),
            "42 tasks, 3 parked; `omisync status` tells why.",
        ),
    ],
)
def test_headlines(result: Outcome, expected: str) -> None:
    """Each way to end has its sentence."""
    assert show.headline(result, NOON) == expected


def test_troubles_come_with_advice_on_stderr() -> None:
    """Each trouble is a message and, below it, the next step; also when quiet."""
    error = GuardStopped("todo.md lost 9 of 9 tasks", "Bring it back.")
    for verbose in (-1, 0, 1):
        out, err = ended(Outcome(65, troubles=(error,)), verbose)
        assert out == "Stopped by the removal guard.\n"
        assert err == "todo.md lost 9 of 9 tasks\n→ Bring it back.\n"


def test_parked_tasks_remarks_and_warnings_of_a_run() -> None:
    """A parked task comes with line and reason; when quiet, too, for they need a person."""
    parked = link(1, "Bad").but(parked=Parked(422, "too odd", NOON, Task("Bad")))
    result = Outcome(
        1,
        plan=decided([entry("Bad", 7)], [parked]),
        parked=(parked,),
        tasks=1,
        remarks=("A date stays.",),
        notices=(Notice(2, "odd"),),
    )
    out, err = ended(result)
    assert out == "1 task, 1 parked; `omisync status` tells why.\n"
    assert "! parked    Bad  /home/ann/todo.md:7\n            too odd; change the line" in err
    assert "A date stays.\nwarning: /home/ann/todo.md:2: odd\n" in err
    assert ended(result, verbose=-1)[1] == err
    warned = ended(replace(result, code=0, parked=()), verbose=-1)
    assert warned == ("", "A date stays.\nwarning: /home/ann/todo.md:2: odd\n")


def test_a_quiet_run_that_ended_well_tells_of_a_clash_alone() -> None:
    """A value gave way, which its person has to look at."""
    plain = Outcome(0, tasks=1, counts={"task.changed": 1})
    assert ended(plain, verbose=-1) == ("", "")
    told = replace(plain, counts={"clash.decided": 1})
    said = "In sync: 1 task. 1 changed on both sides (`omisync log --clashes`).\n"
    assert ended(told, verbose=-1) == (said, "")


def test_long_lists_are_counted_unless_asked_for() -> None:
    """Hundreds of warnings do not bury the result."""
    result = Outcome(0, tasks=1, notices=tuple(Notice(n, f"odd {n}") for n in range(1, 101)))
    short, whole = ended(result)[1], ended(result, verbose=1)[1]
    assert short.count("warning:") == 20
    assert "… and 80 more warnings; `omisync --dry-run` shows all\n" in short
    assert whole.count("warning:") == 100


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([3], ""),
        ([3, 5], " (line 5 too)"),
        ([3, 5, 9], " (lines 5 and 9 too)"),
        ([*range(1, 10)], " (lines 2, 3, 4, 5, 6, 7, 8 and 9 too)"),
        ([*range(1, 11)], " (lines 2, 3, 4, 5, 6, 7, 8, 9 and 1 more too)"),
        ([*range(1, 101)], " (lines 2, 3, 4, 5, 6, 7, 8, 9 and 91 more too)"),
    ],
)
def test_equal_warnings_are_one(lines: list[int], said: str) -> None:
    """Who writes his boxes another way does so in every line; asked for, all are told."""
    notices = (*(Notice(n, "odd") for n in lines), Notice(200, "even"))
    expected = [f"warning: /home/ann/todo.md:{lines[0]}: odd{said}"]
    expected += ["warning: /home/ann/todo.md:200: even"]
    result = Outcome(0, tasks=1, notices=notices)
    assert ended(result)[1].splitlines() == expected
    assert told(decided([], []), notices).splitlines()[-2:] == expected
    every = ended(result, verbose=1)[1]
    assert every.count("odd") == len(lines)
    assert "too" not in every


def test_outcome_data() -> None:
    """Programs get code, counts, troubles with kind and advice, and parked tasks with lines."""
    parked = link(1, "Bad").but(parked=Parked(422, "too odd", NOON, Task("Bad")))
    result = Outcome(
        75,
        plan=decided([entry("Bad", 7)], [parked]),
        counts={"task.created": 2, "task.parked": 0},
        troubles=(RateLimited("write", 300.0),),
        parked=(parked,),
        waiting=3,
        tasks=1,
        retry_at=NOON,
    )
    data = json.loads(json.dumps(show.outcome_data(result)))
    assert data["code"] == 75
    assert data["in_sync"] is False
    assert data["done"] == {"created": 2}
    assert data["parked"] == 1
    assert data["parked_tasks"][0]["line"] == 7
    assert data["retry_at"] == "2026-01-31T12:00:00+00:00"
    assert data["troubles"] == [
        {
            "kind": "RateLimited",
            "code": 75,
            "message": "Omi's write limit is reached",
            "advice": "",
        }
    ]


def test_an_error_is_a_message_and_a_next_step() -> None:
    """Two lines, plain; one where there is nothing to advise."""
    out = io.StringIO()
    show.error(ConfigError("no \x1b[31mfile", "Run init."), out)
    show.error(Unreachable("no route"), out)
    assert out.getvalue() == "no file\n→ Run init.\nno route\n"


# Status.


def facts(**changes: object) -> show.StatusFacts:
    """Return the facts of a list in sync, with some replaced."""
    calm = show.StatusFacts(
        todo_path=TODO,
        store_path=Path("/state/todo-1.db"),
        base_url="https://api.omi.me",
        now=NOON,
        tasks=42,
        linked=42,
        last=LastRun(at=NOON - 180, code=0, success_at=NOON - 180),
        key="omi_de…cdef from OMI_API_KEY",
    )
    return replace(calm, **changes)  # type: ignore[arg-type]  # field names are checked at run time


def stand(facts: show.StatusFacts) -> str:
    """Return what is written of a status."""
    out = io.StringIO()
    show.status(facts, out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["a"], ["deleted in Omi, and the line was kept", "reword it: that creates it anew"]),
        (
            ["a", "b"],
            ["deleted in Omi, and the lines were kept", "reword one: that creates one anew"],
        ),
    ],
)
def test_lines_without_their_items_are_told_with_one_hint(
    texts: list[str], said: list[str]
) -> None:
    """However many there are."""
    gone = tuple(link(n, text) for n, text in enumerate(texts, 1))
    text = stand(facts(gone=gone, lines={one.key: 7 for one in gone}))
    assert text.count("unlinked") == len(texts) == text.count("todo.md:7")
    for words in said:
        assert text.count(words) == 1


def test_status_of_a_list_in_sync() -> None:
    """The headline comes first, then places, key and the last success."""
    assert stand(facts(running="omisync (process 7)")) == (
        "In sync: 42 tasks.\n"
        "file      /home/ann/todo.md\n"
        "server    https://api.omi.me\n"
        "key       omi_de…cdef from OMI_API_KEY\n"
        "state     /state/todo-1.db\n"
        "running   omisync (process 7)\n"
        "success   2026-01-31 11:57:00, 3 minutes ago; nothing has changed here since\n"
        "linked    42 tasks\n"
    )


def test_status_has_one_code_for_shells_and_programs() -> None:
    """Creates that got no answer are not done, whatever the last sync said."""
    assert show.status_data(facts())["code"] == facts().code == 0
    unsure = facts(intents=2)
    assert show.status_data(unsure)["code"] == unsure.code == 75


def test_status_tells_what_the_last_sync_said_beside() -> None:
    """It may have the text of a task, of which no command is made."""
    last = LastRun(at=NOON, code=0, remarks=("'`omisync`' waits",))
    assert stand(facts(last=last)).endswith("\nnote      '`omisync`' waits\n")
    assert show.status_data(facts(last=last))["remarks"] == ["'`omisync`' waits"]


def test_status_tells_some_warnings_and_counts_the_rest() -> None:
    """Lines with the same one together."""
    alike = (Notice(3, "odd"), Notice(9, "odd"))
    assert stand(facts(notices=alike)).endswith("\nwarning   lines 3 and 9: odd\n")
    many = tuple(Notice(n, f"odd {n}") for n in range(1, 8))
    *_, last, more = stand(facts(notices=many)).splitlines()
    assert last == "warning   line 5: odd 5"
    assert more == "          … and 2 more warnings; `omisync --dry-run` shows all"


def test_status_of_a_long_failure() -> None:
    """Since when, why, what waits and until when: everything that a person asks."""
    last = LastRun(
        at=NOON,
        code=75,
        waiting=37,
        retry_at=NOON + 300,
        failing_since=NOON - 7200,
        troubles=(("Omi cannot be reached", "Check the network."),),
    )
    text = stand(facts(last=last, gates={"write": 300.0}, intents=2, absent=[link(1, "Buy milk")]))
    assert text.startswith("Not in sync yet; the next sync goes on.\n")
    running = stand(facts(last=last, running="the omisync daemon (process 7)"))
    assert running.startswith("Not in sync yet; it will be tried again at 12:05.\n")
    assert "waiting   37 changes\n" in running
    late = stand(facts(last=replace(last, retry_at=NOON), running="the omisync daemon"))
    assert late.startswith("Not in sync yet; it will be tried again.\n")
    own = replace(last, retry_at=None, next_at=NOON + 300)
    tried = stand(facts(last=own, running="the omisync daemon"))
    assert tried.startswith("Not in sync yet; it will be tried again at 12:05.\n")
    assert "waiting   37 changes\n" in stand(facts(last=own)), "nobody tries again"
    assert "success   never\n" in text
    assert "failing   since 2026-01-31 10:00:00, 2 hours ago\n" in text
    assert "why       Omi cannot be reached\n          → Check the network.\n" in text
    assert "waiting   37 changes, not before 12:05\n" in text
    assert "limit     writes are rate limited until 12:05\n" in text
    assert "unsure    2 creates without an answer yet" in text
    assert "absent    1 line gone" in text
    assert "unless it comes back\n          Buy milk\n" in text


def test_removed_lines_that_wait_are_named() -> None:
    """The first of them, and until when they may come back."""
    gone = [link(n, f"gone {n}") for n in range(2, 7)]
    for number, said in ((1, "1 removed line waits until "), (5, "5 removed lines wait until ")):
        plan = decided([entry("a", 1)], [link(1, "a"), *gone[:number]], grace=30.0)
        err = io.StringIO()
        result = Outcome(0, plan=plan, tasks=1)
        show.outcome(result, TODO, verbose=0, stream=io.StringIO(), err=err, terminal=False)
        assert err.getvalue().startswith(said)
        named = "it come back: “gone 2”\n" if number == 1 else "“gone 4” and 2 more\n"
        assert err.getvalue().endswith(named)
        data = show.outcome_data(result)
        assert data["absent_tasks"] == [one.seen.text for one in gone[:number]]


def test_status_tells_how_it_stands_with_what_was_begun() -> None:
    """Under way or cut short, it is not in sync, whatever the last sync says: 75."""
    begun = facts(last=LastRun(code=0), is_begun=True)
    assert begun.code == 75
    assert show.status_data(begun)["in_sync"] is False
    told = stand(begun).splitlines()[0]
    assert told == "Not in sync yet: the last sync was cut short; the next one goes on from there."
    running = replace(begun, running="omisync --once (process 7)")
    assert stand(running).startswith("Not in sync yet: a sync is under way.\n")
    unsure = replace(begun, intents=1)
    assert stand(unsure).startswith("Not in sync yet: the next sync asks Omi about what got no")
    assert facts(last=LastRun(code=66), is_begun=True).code == 66


def test_status_names_the_first_of_many_lines_that_are_gone() -> None:
    """`omisync forget` needs their words; a program reads all of them."""
    found = facts(absent=[link(n, f"task {n}") for n in range(7)])
    text = stand(found)
    assert "absent    7 lines gone from the file: removed soon, unless they come back\n" in text
    assert "          task 4\n          … and 2 more; `omisync --dry-run` shows all\n" in text
    data = show.status_data(found)
    assert data["absent"] == 7
    assert data["absent_tasks"] == [f"task {n}" for n in range(7)]


def test_status_names_what_the_guard_refused() -> None:
    """The numbers and the command; an old refusal that no longer stops anything is not told."""
    refused = Refusal("digest", 12, 14)
    stopped = stand(facts(refused=refused, last=LastRun(code=65)))
    assert stopped.startswith("Stopped by the removal guard.\n")
    assert "guard     refused to remove 12 of 14 tasks; nothing was sent\n" in stopped
    assert "`omisync --once --allow-removals`" in stopped
    assert "guard" not in stand(facts(refused=refused))
    told = LastRun(code=65, troubles=(("f lost 12 of 14 tasks", "Bring it back"),), guarded=True)
    once = stand(facts(refused=refused, last=told))
    assert "why       f lost 12 of 14 tasks\n          → Bring it back\n" in once
    assert "guard     " not in once
    assert stand(facts(last=told)).startswith("Stopped by the removal guard.\n")
    other = stand(facts(refused=refused, last=LastRun(code=65, guarded=False)))
    assert other.startswith("Stopped: this needs you.\n")
    assert "guard" not in other


def test_status_names_parked_tasks() -> None:
    """Task, line where known, the server's reason, since when, and the way out."""
    parked = link(1, "Bad").but(parked=Parked(422, "too odd", NOON - 7200, Task("Bad")))
    last = LastRun(code=1, success_at=NOON)
    text = stand(facts(parked=(parked,), lines={"key1": 7}, last=last))
    assert text.startswith("In sync: 42 tasks, 1 parked.\n")
    assert "parked    Bad  todo.md:7\n          too odd (2 hours ago)\n          → change" in text
    again = Parked(0, "odd", NOON - 7200, Task("Bad"), retry_at=NOON + 60)
    text = stand(facts(parked=(parked.but(parked=again),), last=last))
    assert f"odd (2 hours ago; tried again at {show.words.clock_time(NOON + 60, NOON)})" in text


def test_status_before_the_first_sync_and_without_a_key() -> None:
    """A new set-up says so, and what the key lacks."""
    text = stand(
        facts(last=LastRun(), tasks=None, linked=0, key=None, key_problem="There is no key")
    )
    assert text.startswith("Nothing was synced yet")
    assert "key       There is no key\n" in text


def test_status_survives_a_fact_of_another_shape() -> None:
    """What an older or newer omisync wrote differently is left out, not stumbled over."""
    shapes = {"code": "0", "at": None, "waiting": None, "troubles": None, "success_at": 1e300}
    odd = LastRun.from_json(shapes)
    assert "an unknown time" in stand(facts(last=odd))
    assert show.status_data(facts(last=odd))["success_at"] is None


def test_status_data() -> None:
    """The same facts for programs, as JSON."""
    parked = link(1, "Bad").but(parked=Parked(422, "too odd", NOON, Task("Bad")))
    data = json.loads(
        json.dumps(
            show.status_data(
                facts(
                    parked=(parked,),
                    gates={"write": 300.04},
                    refused=Refusal("digest", 12, 14),
                    last=LastRun(code=65, waiting=2, failing_since=NOON, troubles=(("m", "a"),)),
                )
            )
        )
    )
    assert (data["version"], data["code"], data["in_sync"], data["waiting"]) == (1, 65, False, 2)
    assert data["guard"]["count"] == 12
    assert data["guard"]["total"] == 14
    assert data["gates"] == {"write": {"wait": 300.0, "until": "2026-01-31T12:05:00+00:00"}}
    assert data["troubles"] == [{"message": "m", "advice": "a"}]
    assert data["parked"][0]["reason"] == "too odd"
    assert data["failing_since"] == "2026-01-31T12:00:00+00:00"


# History.


def test_the_log_says_when_what_which_and_why() -> None:
    """One line for each event, in the order given; unknown events by their own name."""
    out = io.StringIO()
    show.history(
        [
            Event(NOON, "task.created", "Buy milk"),
            Event(NOON + 1, "task.changed", "Buy oat milk", detail="reworded"),
            Event(NOON + 2, "task.removed", "Old", detail="complete"),
            Event(NOON + 3, "guard.stopped", detail="the removal guard: 9 of 9 tasks"),
            Event(NOON + 4, "task.danced", "Odd"),
        ],
        out,
    )
    assert out.getvalue() == (
        "2026-01-31 12:00:00  created       Buy milk\n"
        "2026-01-31 12:00:01  changed       Buy oat milk  (reworded)\n"
        "2026-01-31 12:00:02  removed       Old  (line removed: completed in Omi)\n"
        "2026-01-31 12:00:03  stopped       the removal guard: 9 of 9 tasks\n"
        "2026-01-31 12:00:04  task.danced   Odd\n"
    )


def test_an_empty_log_says_so() -> None:
    """No event is a fact too."""
    out = io.StringIO()
    show.history([], out)
    assert out.getvalue() == "Nothing has happened yet.\n"
    assert show.history_data([]) == {"version": 1, "events": []}


def test_log_data_keeps_the_events_as_they_are() -> None:
    """Programs get names and details untranslated, and the whole text."""
    event = Event(NOON, "task.removed", "x" * 400, "k", "r", "complete")
    data = json.loads(json.dumps(show.history_data([event])))
    assert data["events"] == [
        {
            "at": "2026-01-31T12:00:00+00:00",
            "event": "task.removed",
            "text": "x" * 400,
            "detail": "complete",
            "key": "k",
            "remote_id": "r",
        }
    ]


# Progress.


def progressed(run: Callable[[show.Progress, Clock], None], *, terminal: bool) -> str:
    """Return what is written while ``run`` reports."""
    out, ticks = io.StringIO(), Clock(NOON)
    with show.Progress(out, terminal=terminal, clock=ticks) as progress:
        run(progress, ticks)
    return out.getvalue()


def test_a_long_run_says_a_line_now_and_then() -> None:
    """Off a terminal: one plain line each ten seconds, with rate and time left."""

    def run(progress: show.Progress, ticks: Clock) -> None:
        for done in range(0, 10_001, 100):
            progress.report(done, 10_000)
            ticks.now += 1

    lines = progressed(run, terminal=False).splitlines()
    assert lines[0] == "1000 of 10000 changes sent, 100 a second, about 1 minute left"
    assert len(lines) == 10


@pytest.mark.parametrize("terminal", [False, True])
def test_a_short_run_says_nothing(terminal: bool) -> None:
    """Neither a line nor a bar for what is over at once."""

    def run(progress: show.Progress, ticks: Clock) -> None:
        progress.report(1, 2)
        progress.report(2, 2)
        progress.wait(0.2, "again")

    assert progressed(run, terminal=terminal) == ""


def test_a_gate_is_told_with_its_end() -> None:
    """Off a terminal: a long wait is one line, and the rate counts anew after it."""

    def run(progress: show.Progress, ticks: Clock) -> None:
        progress.report(120, 200)
        progress.wait(1800.0, "Omi's write limit is reached")
        ticks.now += 1800
        progress.report(120, 200)
        ticks.now += 20
        progress.report(140, 200)

    before = show.clock_time(time.time() + 1800)
    told, *lines = progressed(run, terminal=False).splitlines()
    assert told in {
        f"waiting until {until} (30 minutes): Omi's write limit is reached"
        for until in (before, show.clock_time(time.time() + 1800))
    }
    assert lines == [
        "120 of 200 changes sent",
        "140 of 200 changes sent, 1 a second, about 1 minute left",
    ]


def test_a_terminal_gets_a_bar_and_a_countdown() -> None:
    """On a terminal: count, rate, time left; at a gate the countdown and the reason, as text."""

    def run(progress: show.Progress, ticks: Clock) -> None:
        progress.report(0, 200)
        ticks.now += 10
        progress.report(50, 200)
        progress.wait(754.0, "[red]limit\x1b[2J")

    os.environ["COLUMNS"] = "120"
    text = progressed(run, terminal=True)
    assert "50 of 200 changes sent, 5 a second, about 30 seconds left" in text
    assert "50 of 200 changes sent, waiting 12:34: [red]limit" in text
    assert "\x1b[2J" not in text


@pytest.mark.parametrize("terminal", [False, True])
def test_a_server_that_takes_its_time_is_named(terminal: bool) -> None:
    """Who is asked is told until there is more to tell."""
    told = "waiting for an answer from https://omi.example"

    def run(progress: show.Progress, ticks: Clock) -> None:
        ticks.now += progress.patience
        progress.asking("https://omi.example")

    assert told in progressed(run, terminal=terminal)

    def counts(progress: show.Progress, ticks: Clock) -> None:
        progress.report(1, 200)
        run(progress, ticks)

    assert told not in progressed(counts, terminal=terminal)

    def waits(progress: show.Progress, ticks: Clock) -> None:
        progress.wait(0.2, "the connection broke")
        run(progress, ticks)

    assert told not in progressed(waits, terminal=terminal)

    def answered(progress: show.Progress, ticks: Clock) -> None:
        run(progress, ticks)
        ticks.now += 10
        progress.report(50, 200)

    last = progressed(answered, terminal=terminal).rpartition("sent")
    assert last[0].endswith("50 of 200 changes ")
    assert told not in last[2]


def test_a_new_plan_starts_the_rate_anew() -> None:
    """A plan that was made again counts from its own beginning."""

    def run(progress: show.Progress, ticks: Clock) -> None:
        ticks.now += 5
        progress.report(100, 100)
        ticks.now += 100
        progress.report(0, 10)
        ticks.now += 10
        progress.report(5, 10)

    last = progressed(run, terminal=False).splitlines()[-1]
    assert last == "5 of 10 changes sent, 30 a minute, about 10 seconds left"


# Words.


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-60, "just now"),
        (4.9, "just now"),
        (5, "5 seconds ago"),
        (59.9, "59 seconds ago"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (3 * 86400, "3 days ago"),
    ],
)
def test_ago(seconds: float, expected: str) -> None:
    """The largest whole unit; the future is now."""
    assert show.ago(seconds) == expected


def test_clock_time_is_local_and_never_early() -> None:
    """What is near to the second, else to the minute, rounded up; a date unless it is today's."""
    assert show.clock_time(NOON + 14.5, NOON) == "12:00:15"
    assert show.clock_time(NOON + 299.5, NOON) == "12:05:00"
    assert show.clock_time(NOON + 300, NOON) == "12:05"
    assert show.clock_time(NOON + 301, NOON) == "12:06"
    assert show.clock_time(NOON + 43_200, NOON) == "2026-02-01 00:00"
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
    assert show.clock_time(NOON, NOON) == "21:00:00"
    assert show.clock_time(1e300, NOON) == "an unknown time"


@pytest.mark.parametrize(
    ("encoding", "written"), [("UTF8", '"é€"'), ("latin-1", '"\\u00e9\\u20ac"')]
)
def test_data_goes_to_any_stream(encoding: str, written: str) -> None:
    """One that cannot say a letter gets its number."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding) as stream:
        show.write_json("é€", stream)
        stream.flush()
        assert raw.getvalue().decode() == written + "\n"
