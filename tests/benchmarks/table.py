"""What omisync costs, side by side with the least that could do the same, as a Markdown table.

    python tests/benchmarks/table.py [--quick]

Each ratio is one median over another of the same run, taken in turns, so that a
busy machine slows both. The processes are real and the server is the sandbox, in
this process. ``--quick`` runs every measurement once on small lists: it shows
that the command works, not how fast omisync is.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from datetime import time as time_of_day
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "system"))

from machine import Machine, Omi
from person import Clock, Person

from omisync.api import OmiClient
from omisync.core import markdown, match, merge, plan
from omisync.core.markdown import plain
from omisync.core.model import Base, Link
from omisync.sandbox import KEY, Sandbox
from omisync.store import Store
from omisync.sync import sending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from omisync.core.model import Entry

SETTLE = 0.15
ITEMS = "/v1/dev/user/action-items"
WORDS = ("buy", "call", "draft", "email", "invoice", "milk", "report", "review", "team", "café")
OMISYNC = (sys.executable, "-c", "import sys; from omisync.cli import main; sys.exit(main())")
"""What the installed command does; ``-m`` would load a module more."""
BARE = (sys.executable, str(Path(__file__).with_name("bare.py")))
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Prints the kilobytes that a command had at most."""
PASS = (sys.executable, "-c", "pass")
REPLIES = (0.1, 0.02, 0.005)
"""Seconds that a server over the network takes to reply, a quick one nearby, and one in the same
house; the sandbox takes one thousandth."""
PATIENT = 0.02
"""Seconds of a reply up to which a loop that sends one request after the other is waited for."""
BUDGET = 120
"""Writes, and reads, an hour that the real server grants."""


@dataclass(frozen=True)
class Scale:
    """How much is measured: sizes of lists, turns, saves."""

    pushes: tuple[int, ...] = (1_000, 10_000, 100_000)
    idle: int = 1_000
    edits: tuple[int, ...] = (10, 10_000, 100_000)
    growth: tuple[int, ...] = (10_000, 100_000)
    written: tuple[int, ...] = (10, 10_000)
    listed: int = 2_000
    news: int = 500
    changes: int = 200
    turns: int = 5
    push_turns: int = 11
    passes: int = 31
    saves: int = 15


FULL = Scale()
QUICK = Scale(
    (60,), 60, (60,), (20, 200), (10, 60), 60,
    news=60, changes=130, turns=1, push_turns=1, passes=1, saves=1,
)  # fmt: skip


class Row(NamedTuple):
    """A line of the table: what was measured, omisync's figure, the other one, the ratio."""

    what: str
    ours: str
    beside: str = ""
    ratio: str = ""


def lines(tasks: int) -> list[str]:
    """Return a list as people have them: headings, some finished, some with a date."""
    found: list[str] = []
    for n in range(tasks):
        if n % 50 == 0:
            found += ["", f"## Part {n // 50}", ""]
        words = " ".join(WORDS[(n * step) % len(WORDS)] for step in (1, 5, 7))
        due = f" 📅 2026-{n % 12 + 1:02}-{n % 28 + 1:02}" if n % 5 == 0 else ""
        found.append(f"- [{'x' if n % 4 == 3 else ' '}] {words} {n}{due}")
    return found


def edited(file: list[str], number: int) -> str:
    """Tick, or untick, one line in the middle of the file; return the whole file."""
    tasks = [at for at, line in enumerate(file) if line.startswith("- [")]
    at = tasks[(len(tasks) // 2 + number) % len(tasks)]
    old, new = ("[ ]", "[x]") if "[ ]" in file[at] else ("[x]", "[ ]")
    file[at] = file[at].replace(old, new, 1)
    return "\n".join(file) + "\n"


def seconds(run: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def ran(*command: str, environ: dict[str, str] | None = None) -> float:
    """Return how long a command takes that has to succeed."""
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True, env=environ))


@contextmanager
def at_home(tasks: int) -> Iterator[tuple[Machine, list[str]]]:
    """A machine with a list of so many tasks, not yet synced."""
    with tempfile.TemporaryDirectory() as home, Omi() as omi:
        settings = {"watch": f"settle = {SETTLE}\n"}
        machine = Machine(Path(home), omi, settings=settings, real=True)  # a fork shares memory
        machine.environ["PYTHONMALLOC"] = None  # each command chooses as it does for people
        file = lines(tasks)
        machine.configure()
        machine.write("\n".join(file) + "\n")
        yield machine, file


def once(machine: Machine) -> float:
    """Return how long ``omisync --once`` takes."""
    return ran(*OMISYNC, "--once", "-q", environ=machine.surroundings())


# First push


def push(machine: Machine, turns: int, reply: float = 0.0) -> Iterator[Row]:
    """Push a list for the first time, and send the same requests with bare loops, in turns.

    One has as many requests under way as omisync, another one at a time. The server
    replies after ``reply`` seconds. The machine is in sync then.
    """
    ours: list[float] = []
    loops: dict[int, list[float]] = {sending.HANDS: []}
    if reply <= PATIENT:
        loops[1] = []
    batches = machine.home / "batches.json"
    if reply:
        machine.omi.sandbox.slow_seconds = reply
        machine.omi.fail("slow")
    for _ in range(turns):
        start_anew(machine)
        ours.append(once(machine))
        posts = [one for one in machine.omi.sandbox.requests if one.method == "POST"]
        batches.write_text(json.dumps([(one.path, one.body) for one in posts]))
        held = dict(machine.omi.sandbox.items)
        for hands, bare in loops.items():
            machine.omi.sandbox.items.clear()
            bare.append(ran(*BARE, machine.omi.sandbox.url, KEY, str(hands), str(batches)))
        machine.omi.sandbox.items.clear()
        machine.omi.sandbox.items.update(held)
    machine.omi.heal()
    what = f"first push of {len(held):,} tasks ({len(posts)} batches)"
    what += f", replies after {reply * 1000:.0f} ms" if reply else ", replies at once"
    for hands, bare in loops.items():
        way = f"{hands} requests under way" if hands > 1 else "one request after the other"
        yield compared(f"{what}, beside a bare aiohttp loop with {way}", ours, bare, "s")


def start_anew(machine: Machine) -> None:
    """Let nothing be synced, here or there."""
    for path in machine.state.glob("*"):
        path.unlink()
    machine.omi.sandbox.items.clear()
    machine.omi.sandbox.requests.clear()


def peak(machine: Machine) -> float:
    """Return the most memory that a first push takes, in MB.

    A small process starts it: the memory of who starts one counts as its own at first.
    """
    start_anew(machine)
    command = (sys.executable, "-c", PEAK, *OMISYNC, "--once", "-q")
    ran = subprocess.run(command, check=True, capture_output=True, env=machine.surroundings())
    return float(ran.stdout) / 1024


def compared(what: str, ours: Sequence[float], theirs: Sequence[float], unit: str) -> Row:
    """Return the row of two medians."""
    our, their = median(ours), median(theirs)
    return Row(what, shown(our, unit), shown(their, unit), f"{our / their:.2f}")


def shown(value: float, unit: str) -> str:
    """Return seconds as seconds or milliseconds."""
    return f"{value * 1000:.0f} ms" if unit == "ms" else f"{value:.2f} s"


# Nothing to do, and one edit


def idle(machine: Machine, turns: int) -> Row:
    """Run ``--once`` with nothing to do and Python itself, in turns."""
    once(machine)
    pairs = [(once(machine), ran(*PASS)) for _ in range(turns)]
    ours, bare = zip(*pairs, strict=True)
    return compared("`--once` with nothing to do, beside `python -c pass`", ours, bare, "ms")


def edit_once(machine: Machine, file: list[str], turns: int) -> Row:
    """Edit one line and run ``--once``, and Python itself, in turns."""
    ours, bare = [], []
    for turn in range(turns):
        machine.write(edited(file, turn))
        machine.omi.sent()
        ours.append(once(machine))
        assert machine.omi.writes() == ["PATCH"]
        bare.append(ran(*PASS))
    what = f"one edit in {size(file):,} tasks, `--once`, beside `python -c pass`"
    return compared(what, ours, bare, "s")


def size(file: list[str]) -> int:
    """Return how many tasks a file has."""
    return sum(line.startswith("- [") for line in file)


def edit_running(machine: Machine, file: list[str], saves: int) -> list[Row]:
    """Edit one line beside a running daemon: from the save to the request, and its memory."""
    process = machine.start("-q")
    took = []
    try:
        for number in range(saves + 1):
            once(machine)  # answered by the daemon: it is idle then
            machine.omi.sent()
            text = edited(file, number + 7)
            machine.write(text)
            saved = time.time()
            machine.omi.until(lambda sandbox: bool(sandbox.requests))
            took.append(machine.omi.sandbox.requests[0].at - saved)
        once(machine)
        status = Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.terminate()
        process.communicate()
    held = {name: int(value.split()[0]) / 1024 for name, _, value in fields(status)}
    what = f"one edit in {size(file):,} tasks, daemon, from save to request, beside `settle`"
    memory = f"memory of that daemon with {size(file):,} tasks"
    return [
        compared(what, took[1:], [SETTLE], "ms"),
        Row(f"{memory}, idle", f"{held['VmRSS']:.0f} MB"),
        Row(f"{memory}, at most", f"{held['VmHWM']:.0f} MB"),
    ]


def fields(status: str) -> Iterator[tuple[str, str, str]]:
    """Yield the memory figures of a process, in kB."""
    for line in status.splitlines():
        if line.startswith(("VmRSS", "VmHWM")):
            yield line.partition(":")


# Deciding


def grow(sizes: tuple[int, ...], turns: int) -> list[Row]:
    """Time reading, matching and planning, and how they grow, in turns, as `--once` does them."""
    rows = []
    with tempfile.TemporaryDirectory() as home, uncollected():
        small, large = (steps(Path(home), tasks) for tasks in sizes)
        for name, step in small.items():
            pairs = [(cpu(large[name]), cpu(step)) for _ in range(turns)]
            ours, tenth = zip(*pairs, strict=True)
            times = sizes[1] // sizes[0]
            what = f"{name}: CPU for {sizes[1]:,} tasks, beside {sizes[0]:,} ({times}x)"
            rows.append(compared(what, ours, tenth, "ms"))
    return rows


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no circles of garbage, as a run that ends soon does not."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def steps(folder: Path, tasks: int) -> dict[str, Callable[[], object]]:
    """Return each step of a cycle for one edit, as a call that does it."""
    file = lines(tasks)
    before = markdown.parse(("\n".join(file) + "\n").encode())
    encoding = merge.Encoding(UTC, time_of_day(9))
    links = [link(n, entry, encoding) for n, entry in enumerate(before.entries)]
    source = edited(file, 0).encode()
    policy = plan.Policy(encoding)

    def anew() -> None:
        plain._fingerprints.cache_clear()  # as a process that begins
        markdown.parse(source)

    def again() -> None:
        markdown.parse(source)

    def looked() -> None:
        tuple(markdown.parse(source).entries)

    def decided() -> None:
        plain._fingerprints.cache_clear()
        with Store.open(path) as store:
            known = store.links()
            seen = plan.Observation(markdown.parse(source).entries, known, 0.0)
            assert len(plan.make(seen, policy, iter(())).ops) == 1

    entries = tuple(before.entries)
    path = folder / f"{tasks}.db"
    with Store.open(path) as store, store.transaction():
        store.put_links(links)
    return {
        "parse": anew,
        "parse again after an edit": again,
        "parse and look at every entry": looked,
        "match every entry": lambda: match.pair(entries, links),
        "store opened, file parsed, one edit planned": decided,
    }


def link(number: int, entry: Entry, encoding: merge.Encoding) -> Link:
    """Return the link of a line that is in sync."""
    base = Base(entry.task, merge.encode(entry.task, encoding))
    return Link(
        f"key{number:020}", f"id{number:018}", entry.task, entry.section, number << 20, base
    )


def cpu(run: Callable[[], object]) -> float:
    """Return the CPU time of a call, in seconds."""
    started = time.process_time()
    run()
    return time.process_time() - started


# The store, the listing, the budget


async def written(tasks: int) -> tuple[int, int]:
    """Return the rows and the bytes that one edit writes to the store."""
    with tempfile.TemporaryDirectory() as home:
        async with Sandbox() as sandbox:
            person = Person(Path(home), sandbox, Clock())
            file = lines(tasks)
            person.write("\n".join(file) + "\n")
            await person.once()
            person.write(edited(file, 0))
            async with person.desk() as desk:
                from omisync import sync

                desk.store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                rows = desk.store._db.total_changes
                outcome = await sync.cycle(desk)
                assert outcome.counts == {"task.changed": 1}
                log = person.store_path.with_name(f"{person.store_path.name}-wal")
                return desk.store._db.total_changes - rows, log.stat().st_size


def wrote(sizes: tuple[int, ...]) -> list[Row]:
    """Compare what one edit writes in a small and in a large list."""
    (small_rows, small_bytes), (rows, size_) = (asyncio.run(written(tasks)) for tasks in sizes)
    what = f"written to the store for one edit in {sizes[1]:,} tasks, beside {sizes[0]:,}"
    return [
        Row(f"rows {what}", f"{rows}", f"{small_rows}", f"{rows / small_rows:.2f}"),
        Row(f"bytes {what}", f"{size_:,}", f"{small_bytes:,}", f"{size_ / small_bytes:.2f}"),
    ]


def listing(items: int, turns: int) -> Row:
    """Read a whole account, as each two-way cycle does."""
    took = []
    with Omi() as omi:
        for n in range(items):
            omi.sandbox.add(f"item {n}", completed=n % 2 == 0)

        async def read() -> int:
            async with OmiClient(omi.sandbox.url, KEY) as client:
                started = time.perf_counter()
                found = await client.listing()
                took.append(time.perf_counter() - started)
                assert len(found.items) == items
                assert found.complete
                return client.reads

        requests = max(asyncio.run(read()) for _ in range(turns))
    return Row(
        f"two-way: all {items:,} items listed", shown(median(took), "s"), f"{requests} requests"
    )


async def under_budget(scale: Scale) -> list[Row]:
    """Bring new and changed tasks to a server with the real budget, on a clock of its own."""
    tasks = scale.changes * 2
    with tempfile.TemporaryDirectory() as home:
        clock = Clock()
        async with Sandbox(clock=clock) as sandbox:
            person = Person(Path(home), sandbox, clock)
            file = lines(tasks)
            person.write("\n".join(file) + "\n")
            await person.once()
            for number in range(scale.changes):
                text = edited(file, number)
            person.write(text + "".join(f"- [ ] new task {n}\n" for n in range(scale.news)))
            sandbox.limits = {"read": BUDGET, "write": BUDGET}
            clock.pass_by(7200)
            person.sent()
            started = clock.now
            outcome = await person.settle()
            assert outcome.code == 0
            ours = clock.now - started
            taken = [
                method for method, status in person.sent() if method != "GET" and status != 429
            ]
        async with Sandbox(clock=clock, writes_per_hour=BUDGET) as sandbox:
            theirs = await one_by_one(sandbox, clock, scale.news + scale.changes)
    changes = scale.news + scale.changes
    what = f"{scale.news} new and {scale.changes} changed tasks at {BUDGET} writes an hour"
    return [
        Row(
            f"{what}: time, beside one request for each",
            f"{ours / 3600:.2f} h",
            f"{theirs / 3600:.2f} h",
            f"{ours / theirs:.2f}" if theirs else "",
        ),
        Row(f"{what}: writes", f"{len(taken)}", f"{changes}", f"{len(taken) / changes:.2f}"),
    ]


async def one_by_one(sandbox: Sandbox, clock: Clock, changes: int) -> float:
    """Send one request for each change and wait as told; return the seconds on the clock."""
    started = clock.now
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        done = 0
        while done < changes:
            body = {"description": f"change {done}"}
            async with session.post(sandbox.url + ITEMS, json=body) as answer:
                if answer.status == 429:
                    clock.pass_by(float(answer.headers["Retry-After"]))
                else:
                    answer.raise_for_status()
                    done += 1
    return clock.now - started


def measure(scale: Scale) -> Iterator[Row]:
    """Yield the rows of the table, the small lists first."""
    for tasks in sorted({*scale.pushes, *scale.edits, scale.idle}):
        large = tasks == max(scale.pushes)
        with at_home(tasks) as (machine, file):
            turns = 1 if large else scale.push_turns
            if tasks in scale.pushes:
                most = peak(machine)
                for reply in REPLIES[large:]:
                    yield from push(machine, turns, reply)
                yield from push(machine, turns)
                yield Row(f"memory at most, first push of {tasks:,} tasks", f"{most:.0f} MB")
            else:
                once(machine)
            if tasks == scale.idle:
                yield idle(machine, scale.passes)
            if tasks in scale.edits:
                yield edit_once(machine, file, scale.turns)
                yield from edit_running(machine, file, 3 if large else scale.saves)
    yield from grow(scale.growth, scale.turns)
    yield from wrote(scale.written)
    yield listing(scale.listed, scale.turns)
    yield from asyncio.run(under_budget(scale))


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="small lists, one turn: does it work?")
    options = parser.parse_args()
    sys.stdout.write("| what | omisync | beside | ratio |\n|---|---:|---:|---:|\n")
    for row in measure(QUICK if options.quick else FULL):
        sys.stdout.write("| " + " | ".join(row) + " |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
