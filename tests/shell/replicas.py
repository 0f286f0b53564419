"""Two replicas to prove two-way with: a real file and an account, edited at random by one hand.

Every word and every date is used once. An edit lets go of what it replaces on its own
side; whatever nobody let go of has to be somewhere in the end.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from random import Random
from string import ascii_lowercase
from typing import TYPE_CHECKING

from omisync import errors, file, sync
from omisync.core import due, match
from omisync.core.model import GONE, LET_GO
from omisync.store import Store
from omisync.store.notes import Settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from person import Person

    from omisync.core.model import Document, Link, Task
    from omisync.sandbox import Item
    from omisync.sync import Outcome

TWO_WAY = '[sync]\ndirection = "two-way"\ntimezone = "UTC"\n'

NOTE = " <!-- ` -->"
"""What makes a Markdown line say no text with a backtick: it would end this one."""
TICK = "`"
MARKDOWN = re.compile(rf"- \[([ x])\] ([a-z `]+?)((?: (?:📅 |due:|omi:)\S+|{NOTE})*)")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
LONG = 33
"""Words that a description has room for."""
BROKEN = ""
"""The id of a row that no client can read: with it no list is complete."""


class Stopped(BaseException):
    """The process died here."""


class Death:
    """Comes at step ``left``; steps are commits, requests sent, replies read, and of the file.

    Nothing that is done on the way out counts, as if there had been none: SIGKILL. With
    ``power`` off, what was not durable is lost besides.
    """

    def __init__(self, person: Person, left: int, *, power: bool = True) -> None:
        self.left, self.power, self._state = left, power, person.store_path.parent
        self._kept = person.home / "kept at death"
        self._keep()

    @property
    def came(self) -> bool:
        """Whether it came to that."""
        return self.left <= 0

    def __call__(self, step: str) -> None:
        """Count one step."""
        self.left -= 1
        if self.left == 0 if self.power else step == "store.commit" and self.left >= 0:
            self._keep()
        if self.came:
            raise Stopped

    def _keep(self) -> None:
        shutil.rmtree(self._kept, ignore_errors=True)
        if self._state.exists():
            shutil.copytree(self._state, self._kept, ignore=shutil.ignore_patterns("*-shm"))

    def undo(self) -> None:
        """Put the state back to what was left of it."""
        shutil.rmtree(self._state, ignore_errors=True)
        if self._kept.exists():
            self._kept.rename(self._state)


@contextmanager
def dying(person: Person, step: int, *, power: bool = True) -> Iterator[Death]:
    """Let omisync die at this step, if it comes to that; see ``Death``."""
    person.trace = death = Death(person, step, power=power)
    try:
        with suppress(Stopped):
            yield death
    finally:
        person.trace = None
    if death.came:
        death.undo()


@dataclass
class Line:
    """A task of the file as its person sees it."""

    text: str
    done: bool = False
    due: str | None = None
    name: str | None = None
    note: str = ""


def lines_of(source: str, *, toml: bool) -> list[Line]:
    """Read a file that holds nothing but tasks; whatever else is in it, fails."""
    if toml:
        head, *tables = source.split("[[todo]]\n")
        assert not head.strip(), source
        return [_table(table) for table in tables]
    found = []
    for row in filter(None, source.split("\n")):
        parts = MARKDOWN.fullmatch(row)
        assert parts, row
        tokens = dict(re.findall(r" (📅 |due:|omi:)(\S+)", parts[3]))
        name = tokens.pop("omi:", None)
        note = NOTE if NOTE in parts[3] else ""
        found.append(Line(parts[2], parts[1] == "x", *(tokens.values() or (None,)), name, note))
    return found


def _table(table: str) -> Line:
    line = Line("")
    for row in filter(None, table.split("\n")):
        name, value = row.split(" = ")
        match name:
            case "description":
                line.text = value.strip('"')
            case "completed":
                line.done = value == "true"
            case "due":
                line.due = value.removesuffix(":00") if "T" in value else value
            case "id":
                line.name = value.strip('"')
            case _:
                raise AssertionError(row)
    return line


def source_of(lines: Iterable[Line], *, toml: bool) -> str:
    """Return the file of these lines."""
    return "".join((_toml if toml else _markdown)(line) for line in lines)


def _markdown(line: Line) -> str:
    day = f" due:{line.due}" if line.due else ""
    name = f" omi:{line.name}" if line.name else ""
    return f"- [{'x' if line.done else ' '}] {line.text}{day}{name}{line.note}\n"


def _toml(line: Line) -> str:
    rows = ["[[todo]]", f'description = "{line.text}"']
    rows += ["completed = true"] if line.done else []
    rows += [f"due = {line.due}{':00' if 'T' in line.due else ''}"] if line.due else []
    rows += [f'id = "{line.name}"'] if line.name else []
    return "\n".join(rows) + "\n\n"


@dataclass
class Replicas:
    """Someone's file and account.

    ``owed`` is what somebody wrote and nobody let go of, ``doubled`` what may be twice,
    ``gone`` the ids that the app let go of, ``removed`` the lines that can be pasted
    back. ``known`` are all items there ever were before a cycle; with ``deletes`` some may go with
    their lines. ``bold`` counts how often a line was reworded since a cycle that went well.
    """

    person: Person
    owed: set[str] = field(default_factory=set)
    doubled: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    removed: list[Line] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)
    deletes: bool = False
    bold: Counter[str] = field(default_factory=Counter)
    fresh: Iterator[int] = field(default_factory=count)

    # The file.

    @property
    def toml(self) -> bool:
        """Whether the file is TOML."""
        return self.person.name.endswith(".toml")

    def lines(self) -> list[Line]:
        """Return the file's tasks."""
        return lines_of(self.person.todo.read_bytes().decode(), toml=self.toml)

    def save(self, lines: Iterable[Line], dice: Random) -> None:
        """Save the file as one editor or another does."""
        lines = list(lines)
        self._chores(lines)
        source = source_of(lines, toml=self.toml)
        if dice.random() < 0.5:
            self.person.write(source)
            return
        draft = self.person.todo.with_name("draft~")
        draft.write_text(source, encoding="utf-8")
        draft.replace(self.person.todo)

    def _chores(self, lines: Iterable[Line]) -> None:
        """Let finished lines that are open and reworded be twice: the next round of a chore."""
        store = Store.peek(self.person.store_path)
        if store is None:
            return
        with store:
            seen = [link.seen for link in store.links() if link.seen.completed]
        finished = {task.text[:14]: task.text for task in seen}
        for line in lines:
            if not line.done and finished.get(line.text[:14], line.text) != line.text:
                self.doubled.update(line.text.split())

    def word(self) -> str:
        """Return a word that was never used before, and is like no other."""
        word = "".join(Random(next(self.fresh)).choices(ascii_lowercase, k=14))
        self.owed.add(word)
        return word

    def text(self) -> str:
        """Return the text of a new task, long enough to be known again with two more words."""
        return " ".join(self.word() for _ in range(5))

    def day(self) -> str:
        """Return a day that was never used before."""
        day = (date(2027, 1, 1) + timedelta(days=next(self.fresh))).isoformat()
        self.owed.add(day)
        return day

    def let_go(self, *texts: str | None) -> None:
        """Somebody saw these words and days and took them away."""
        for text in filter(None, texts):
            self.owed.difference_update(text.split(), DAY.findall(text))

    def edit_line(self, what: str, dice: Random, at: int | None = None) -> None:
        """One edit in the editor; the words of a line stay recognisable."""
        lines = self.lines()
        if what == "add" or not lines:
            lines.append(Line(self.text(), note=dice.choice(("", NOTE))))
            return self.save(lines, dice)
        if what == "paste" and self.removed:
            line = self.removed.pop()
            self.doubled.update(line.text.split())
            lines.insert(dice.randint(0, len(lines)), line)
            return self.save(lines, dice)
        at = dice.randrange(len(lines)) if at is None else at
        line = lines[at]
        if what in {"reword", "tick"} and self.is_in_writing(line):  # it is somebody else then
            self.doubled.update(line.text.split())
        match what:
            case "reword" if line.text.count(" ") < LONG and self.bold[line.text[:14]] < 2:
                self.bold[line.text[:14]] += 1
                line.text += f" {self.word()}"
            case "tick":
                line.done = not line.done
            case "date":
                self.let_go(line.due)
                line.due = self.day() if dice.random() < 0.8 else None
            case "remove":
                self.let_go(line.text, line.due)
                self.removed.append(lines.pop(at))
            case "move":
                lines.insert(dice.randrange(len(lines)), lines.pop(at))
        return self.save(lines, dice)

    # The account.

    @property
    def items(self) -> dict[str, Item]:
        """The items of the account, but for a broken one."""
        return {name: one for name, one in self.person.sandbox.items.items() if name != BROKEN}

    def edit_item(self, what: str, dice: Random, name: str | None = None) -> None:
        """One edit in the app."""
        if what == "break":
            if self.person.sandbox.items.pop(BROKEN, None) is None:
                self.person.sandbox.add("unreadable", item_id=BROKEN)
            return
        items = self.items
        if what == "add" or not items:
            self.person.sandbox.add(self.text())
            return
        one = items[dice.choice(sorted(items)) if name is None else name]
        if not self.knows(one.id):  # a create without an answer cannot be found by other words
            self.doubled.update(one.description.split())
        if what in {"reword", "date", "undate", "tick"}:
            self._reword(one, what, dice)
        else:
            self._put_away(one, what)

    def _reword(self, one: Item, what: str, dice: Random) -> None:
        """Change what an item says; what is said where no list shows it, nobody can know."""
        day = one.due_at and one.due_at.date().isoformat()
        if what == "tick":
            one.completed = not one.completed
            if one.completed and self.deletes:  # it may go with its line, whatever it says
                self.let_go(one.description, day)
        elif what == "undate":
            self.let_go(day)
            one.due_at = None
        elif one.hidden or one.locked or (one.completed and self.deletes):
            return
        elif what == "date":
            self.let_go(day)
            new = date.fromisoformat(self.day())
            hour = dice.choice((9, 17))
            one.due_at = datetime(new.year, new.month, new.day, hour, tzinfo=UTC)
        elif one.description.count(" ") < LONG:
            tick = f" {TICK}" if TICK not in one.description and dice.random() < 0.7 else ""
            one.description += f"{tick} {self.word()}"

    def _put_away(self, one: Item, what: str) -> None:
        """Take an item from the list, for good or for a while."""
        if what == "reprocess":
            if not (one.hidden or one.locked):
                self.doubled.update(one.description.split())
                self.gone.add(one.id)
                self.person.sandbox.reprocess(one.id)
            return
        self.let_go(one.description, one.due_at and one.due_at.date().isoformat())
        if what == "hide":
            one.hidden = not one.hidden
        elif what == "lock":
            one.locked = not one.locked
        else:
            for line in self.lines():  # the date of a finished line may go with it, by policy
                if line.text == one.description and line.done:
                    self.let_go(line.due)
            self.gone.add(one.id)
            del self.person.sandbox.items[one.id]

    def is_in_writing(self, line: Line) -> bool:
        """Whether omisync has written this line, and not yet that it did."""
        if line.name and not self.knows(line.name):
            return True
        store = Store.peek(self.person.store_path)
        if store is None:
            return False
        with store:
            noted = store.writing()
        return noted is not None and any(
            link.key in noted.added and link.seen.text == line.text for link in noted.links
        )

    def knows(self, name: str) -> bool:
        """Whether omisync has tied this item to a line, or buried it."""
        store = Store.peek(self.person.store_path)
        if store is None:
            return False
        with store:
            links, stones = tuple(store.links()), store.tombstones(0.0, kept=True)
        known = (*links, *(stone for stone in stones if stone.how != GONE))
        return name in {one.remote_id for one in known}

    def edit_both(self, here: str, there: str, dice: Random) -> None:
        """Edit one task on both sides, if there is one on both."""
        names = {one.description: name for name, one in self.items.items()}
        shared = [at for at, line in enumerate(self.lines()) if line.text in names]
        if shared:
            at = dice.choice(shared)
            name = names[self.lines()[at].text]
            self.edit_line(here, dice, at)
            self.edit_item(there, dice, name)

    def write_twice(self, dice: Random) -> None:
        """The same new task on both sides."""
        text = self.text()
        self.doubled.update(text.split())
        self.person.sandbox.add(text)
        self.save([*self.lines(), Line(text)], dice)

    # The end.

    async def settle(self, *, well: bool = True) -> None:
        """Let all go well, and the time go by, until three cycles in a row find nothing to do."""
        person, sandbox = self.person, self.person.sandbox
        if well:
            sandbox.fault_rate({})
            sandbox._faults.queue.clear()
            sandbox.items.pop(BROKEN, None)
            for one in sandbox.items.values():
                one.hidden = one.locked = False
            person.clock.pass_by(90_000)
        calm = 0
        for _ in range(100):
            outcome = await self.cycle()
            calm = 0 if outcome.temporary or outcome.counts else calm + 1
            if calm == 3:
                break
            if outcome.parked or outcome.still_parked:
                async with person.desk() as desk:
                    sync.retry(desk.store, "", person.clock())
            wait = 0.0 if outcome.retry_at is None else outcome.retry_at - person.clock.now
            person.clock.pass_by(max(wait, 1.0))
        else:
            raise AssertionError(f"never settled: {outcome}")
        assert outcome.code == errors.OK, outcome

    async def cycle(self, **how: object) -> Outcome:
        """Run a cycle that may do whatever it wants."""
        self.known.update((name, one.description) for name, one in self.items.items())
        outcome = await self.person.cycle(now=True, allow_removals=True, yes=True, **how)
        if outcome.code == errors.OK:
            self.bold.clear()
            await self._in_order()
        return outcome

    async def _in_order(self) -> None:
        """Check that the ranks of the links rise as their lines stand in the file."""
        async with self.person.desk() as desk:
            links = [link for link in desk.store.links() if link.absent_since is None]
            settled = desk.store.note(Settled)
        if settled is None or settled.digest != file.read(self.person.todo).digest:
            return  # it was saved once more after it was read
        tally = Counter(link.seen.text for link in links)
        rank_of = {link.seen.text: link.rank for link in links if tally[link.seen.text] == 1}
        ranks = [rank_of[line.text] for line in self.lines() if line.text in rank_of]
        assert ranks == sorted(set(ranks)), ranks

    async def quiet(self) -> None:
        """Check that another cycle finds both sides in agreement: reads, no write, no change."""
        person = self.person
        person.sent()
        status = person.todo.stat()
        before = person.todo.read_bytes(), status.st_mtime_ns, status.st_ino
        outcome = await self.cycle()
        assert not outcome.counts, outcome
        assert {method for method, _ in person.sent()} <= {"GET"}
        status = person.todo.stat()
        assert (person.todo.read_bytes(), status.st_mtime_ns, status.st_ino) == before

    async def agree(self) -> None:
        """Check that each line says what its item says, and that nothing was lost or doubled."""
        async with self.person.desk() as desk:
            document, _ = sync.preview(desk.config, desk.store, self.person.clock())
            links = tuple(desk.store.links())
            stones = desk.store.tombstones(0.0, kept=True)
            buried = {one.remote_id for one in stones if one.how != GONE}
            lost = [one.clash.lost_value for one in desk.store.clashes()]
            assert desk.store.intents() == []
            imports = desk.config.sync.import_items
        items = self.items
        pairs = match.pair(document.entries, links)
        assert not pairs.absent
        assert not pairs.new
        for entry, link in pairs.pairs:
            self._same(document.entries[entry].task, links[link], items)
        linked = {link.remote_id for link in links}
        for name, one in items.items():
            awaited = not one.completed or imports == "all"
            assert name in linked or name in buried or not awaited or imports == "linked", one
        self._once(document, items)
        twins = {name for name in self.known if self.doubled & set(self.known[name].split())}
        vanished = set(self.known) - self.gone - twins - set(items)
        assert self.deletes or not vanished, vanished
        said = [entry.task.text for entry in document.entries]
        said += [entry.task.due or "" for entry in document.entries]
        said += [one.description for one in items.values()]
        said += [one.due_at.date().isoformat() for one in items.values() if one.due_at]
        kept = " ".join((*said, *lost))
        missing = {one for one in self.owed if one not in kept}
        assert not missing, missing

    def _same(self, task: Task, link: Link, items: dict[str, Item]) -> None:
        """Check one line against its item; without one it must have been proven gone."""
        if link.remote_id is None:
            assert link.missing == LET_GO, link
            return
        one = items[link.remote_id]
        if not (TICK in one.description and task.text in self._bound()):
            assert task.text == one.description, link
        assert task.completed == one.completed, link
        if task.completed and one.due_at is None:  # it would ring the phone
            return
        if task.due is None or one.due_at is None:
            assert task.due is None, link
            assert one.due_at is None, link
        elif due.is_date(task.due):
            assert one.due_at.date().isoformat() == task.due, link
        else:
            assert one.due_at.isoformat()[:16] == task.due, link

    def _bound(self) -> set[str]:
        """Return what the lines say that cannot say everything."""
        return {line.text for line in self.lines() if line.note}

    def _once(self, document: Document, items: dict[str, Item]) -> None:
        """Check that no task is twice on one side, but for what its person wrote twice."""
        for texts in (
            [entry.task.text for entry in document.entries],
            [one.description for one in items.values()],
        ):
            spared = self.doubled | {TICK}
            words = [word for text in texts for word in text.split() if word not in spared]
            assert len(words) == len(set(words)), texts
