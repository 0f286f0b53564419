"""Two-way under an editor that saves on and on, and push, which never touches the file."""

from __future__ import annotations

import asyncio
import time
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import pytest
from replicas import Replicas
from test_daemon import living

from omisync import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from person import Person

SETTLE = 0.01
DAEMON = (
    f'[watch]\nsettle = {SETTLE}\n[log]\nlevel = "debug"\nformat = "json"\n'
    '[sync]\ndirection = "two-way"\ntimezone = "UTC"\n'
)
CAMPAIGN = pytest.mark.campaign
MINE = "typed:"


class Editor:
    """Someone who types into a line of their own, and saves after each key."""

    def __init__(self, person: Person, *, renames: bool) -> None:
        self.person, self.renames = person, renames
        self.keys = 0
        self.typed = asyncio.Event()

    def press(self) -> None:
        """Read the file, add a key to the own line, save: without a break, as careful editors."""
        todo = self.person.todo
        rows = todo.read_text(encoding="utf-8").split("\n")
        at = next(n for n, row in enumerate(rows) if MINE in row)
        rows[at] += chr(ord("a") + self.keys % 26)
        self.keys += 1
        text = "\n".join(rows)
        if self.renames:
            draft = todo.with_name("draft~")
            draft.write_text(text, encoding="utf-8")
            draft.replace(todo)
        else:
            todo.write_text(text, encoding="utf-8")
        self.typed.set()

    async def type(self, pause: Callable[[], float]) -> None:
        """Press keys until cancelled; the person's own pace is the only time that passes here."""
        while True:
            self.press()
            await asyncio.sleep(pause())

    @property
    def line(self) -> str:
        """What the own line has to say."""
        return f"{MINE}" + "".join(chr(ord("a") + n % 26) for n in range(self.keys))


@pytest.fixture
def clock() -> Callable[[], float]:
    """The real clock: the daemon runs."""
    return time.time


@pytest.mark.parametrize("renames", [True, False], ids=["renames", "in place"])
@pytest.mark.parametrize("changes", [12, pytest.param(200, marks=CAMPAIGN)])
async def test_no_key_is_lost(person: Person, changes: int, renames: bool) -> None:
    """While somebody types, the app ticks, rewords and adds: all of it arrives on both sides."""
    dice = Random(changes)
    person.settings = DAEMON
    person.write(f"- [ ] {MINE}\n")
    editor = Editor(person, renames=renames)
    numbers = count()
    async with living(person) as daemon:
        await daemon.until(lambda box: len(box.items) == 1)
        own = next(iter(person.sandbox.items))
        typing = asyncio.create_task(editor.type(lambda: dice.choice((0.005, 0.03, 0.08))))
        for _ in range(changes):
            others = [one for one in person.sandbox.items.values() if one.id != own]
            what = dice.choice(("add", "tick", "reword")) if others else "add"
            number = next(numbers)
            if what == "add":
                person.sandbox.add(f"item {number} {dice.randbytes(6).hex()}")
            elif what == "tick":
                one = dice.choice(others)
                one.completed = not one.completed
            else:
                dice.choice(others).description += f" {dice.randbytes(4).hex()}"
            editor.typed.clear()
            await editor.typed.wait()
            await daemon.ask(do="cycle")
        typing.cancel()
        for _ in range(20):
            answer = await daemon.ask(do="cycle")
            unfinished = answer["temporary"] or answer["data"]["done"]
            if answer["code"] == errors.OK and not unfinished:
                break
        assert answer["code"] == errors.OK, answer
    assert editor.keys > changes
    items = person.sandbox.items
    assert items[own].description == editor.line[:500] or len(editor.line) > 500
    said = sorted(person.todo.read_text(encoding="utf-8").split("\n"))
    held = [
        f"- [{'x' if one.completed else ' '}] {editor.line if one.id == own else one.description}"
        for one in items.values()
        if not one.completed or f"- [x] {one.description}" in said
    ]
    assert said == sorted(["", *held])
    assert len(items) == len({one.description for one in items.values()})


@pytest.mark.parametrize("steps", [60, pytest.param(3000, marks=CAMPAIGN)])
@pytest.mark.parametrize("name", ["todo.md", "todo.toml"])
async def test_push_never_opens_the_file_for_writing(
    person: Person, name: str, steps: int, clock: object
) -> None:
    """Whatever happens on either side, the file is as its person left it: bytes, time, inode."""
    person.name = name
    person.settings = '[sync]\ntimezone = "UTC"\nremoval_grace = 0\n'
    person.write("")
    both, dice = Replicas(person), Random(steps)
    here = ("add", "add", "reword", "tick", "date", "remove", "move", "paste")
    there = ("add", "reword", "tick", "date", "undate", "delete", "reprocess", "hide", "lock")
    for step in range(steps):
        if dice.random() < 0.6:
            both.edit_line(dice.choice(here), dice)
        else:
            both.edit_item(dice.choice(there), dice)
        if step % 3 == 0:
            person.todo.chmod(0o400)
            before = person.todo.read_bytes(), person.todo.stat()
            for _ in range(2):
                await person.cycle(allow_removals=True)
            after = person.todo.read_bytes(), person.todo.stat()
            fields = ("st_mtime_ns", "st_ctime_ns", "st_ino", "st_size", "st_mode")
            assert before[0] == after[0]
            assert [getattr(before[1], f) for f in fields] == [getattr(after[1], f) for f in fields]
            assert [p.name for p in person.home.glob("state/*copies*")] == []
            person.todo.chmod(0o600)
