"""Two-way, stopped after every step: the file and the account come to the same end."""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from replicas import TWO_WAY, dying

from omisync import errors, sync

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from person import Person

    from omisync.sandbox import Item

    Items = dict[str, Item]
    End = tuple[bytes, list[tuple[object, ...]]]

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
BEFORE = {
    "todo.md": "# Home\n\n- [ ] buy milk\n- [ ] call Bob 📅 2026-05-01\n\n## Work\n\n* [ ] mow\n",
    "todo.toml": (
        '# mine\n[[todo]]\ndescription = "buy milk"\n\n[[todo]]\ntitle = "call Bob"  # soon\n'
        'due = 2026-05-01\n\n[[todo]]\ndescription = "mow"\nnote = 1\n'
    ),
}
MANY = [f"task number {n}" for n in range(30)]


@dataclass(frozen=True)
class Scenario:
    """What the app and the editor do to what both agree on, and under which settings.

    ``edits`` are replaced, ``typed`` become new lines, ``cut`` removes the last line.
    ``earlier`` is a story of the editor that was settled before all that.
    """

    app: Callable[[Items], None] = lambda _items: None
    edits: tuple[tuple[str, str], ...] = ()
    settings: str = ""
    typed: tuple[str, ...] = ()
    cut: bool = False
    earlier: Scenario | None = None

    def save(self, person: Person) -> None:
        """Do what the editor does."""
        text = person.todo.read_text(encoding="utf-8")
        for old, new in self.edits:
            assert old in text
            text = text.replace(old, new, 1)
        toml = person.name.endswith("toml")
        if self.cut:
            last = text.rindex("[[todo]]" if toml else "* [ ]")
            text = text[:last]
        form = '\n[[todo]]\ndescription = "{}"\n' if toml else "* [ ] {}\n"
        person.write(text + "".join(form.format(line) for line in self.typed))


def named(items: Items, text: str) -> Item:
    """Return the item with this description."""
    return next(one for one in items.values() if one.description == text)


def add(items: Items, texts: Iterable[str]) -> None:
    """New items, made one after the other."""
    for number, text in enumerate(texts, len(items)):
        done = text.endswith("!")
        name = f"fresh{number}"
        milk = named(items, "buy milk")
        at = START.replace(minute=number)
        items[name] = replace(milk, id=name, description=text, completed=done, created_at=at)


def change(text: str, **fields: object) -> Callable[[Items], None]:
    """An edit in the app."""

    def edit(items: Items) -> None:
        one = named(items, text)
        for name, value in fields.items():
            setattr(one, name, value)

    return edit


def delete(*texts: str) -> Callable[[Items], None]:
    """Deletions in the app."""

    def edit(items: Items) -> None:
        for text in texts:
            del items[named(items, text).id]

    return edit


def twin(items: Items) -> None:
    """Another machine made the same item a moment earlier, and we did not see it."""
    ours = named(items, "ours")
    assert ours.created_at is not None
    earlier = ours.created_at - timedelta(seconds=1)
    items["fresh"] = replace(ours, id="fresh", created_at=earlier)


def everything(items: Items) -> None:
    """All that the app can do at once."""
    change("buy milk", completed=True)(items)
    change("call Bob", description="call Robert")(items)
    delete("mow")(items)
    add(items, ["theirs", "and theirs"])


def reprocess(items: Items) -> None:
    """The same items under other ids."""
    for name in [*items]:
        items[f"again{name}"] = replace(items.pop(name), id=f"again{name}")


SCENARIOS = {
    "one line": Scenario(lambda items: add(items, ["theirs"])),
    "many lines": Scenario(lambda items: add(items, MANY)),
    "finished lines": Scenario(
        lambda items: add(items, ["a!", "b"]), settings='import_items="all"'
    ),
    "text": Scenario(change("buy milk", description="buy oat milk")),
    "tick": Scenario(change("buy milk", completed=True)),
    "date": Scenario(change("buy milk", due_at=START)),
    "no date": Scenario(change("call Bob", due_at=None)),
    "remove": Scenario(delete("mow"), settings='on_remote_removal="remove"'),
    "check": Scenario(delete("mow"), settings='on_remote_removal="check"'),
    "keep": Scenario(delete("mow")),
    "edit beats deletion": Scenario(
        delete("mow"), (("mow", "mow lawn"),), settings='on_remote_removal="remove"'
    ),
    "line wins": Scenario(change("call Bob", description="call Rob"), (("Bob", "Bobby"),)),
    "item wins": Scenario(
        change("call Bob", description="call Rob"), (("Bob", "Bobby"),), 'prefer="remote"'
    ),
    "both dates": Scenario(
        change("call Bob", due_at=START), (("2026-05-01", "2026-05-09"),), 'prefer="remote"'
    ),
    "ids": Scenario(lambda items: add(items, ["theirs"]), settings='ids="inline"'),
    "other ids": Scenario(reprocess, settings='on_remote_removal="remove"\nids="inline"'),
    "typed line": Scenario(typed=("mine",)),
    "typed lines": Scenario(typed=tuple(MANY)),
    "typed on both sides": Scenario(lambda items: add(items, ["ours", "b"]), typed=("ours", "c")),
    "edited lines": Scenario(
        edits=(("milk", "oat milk"), ("2026-05-01", "2026-05-09"), ("mow", "mow lawn"))
    ),
    "line removed": Scenario(cut=True),
    "line removed, item deleted": Scenario(cut=True, settings='on_removal="delete"'),
    "line removed, item kept": Scenario(cut=True, settings='on_removal="keep"'),
    "line removed, item edited": Scenario(change("mow", description="mow lawn"), cut=True),
    "line put back": Scenario(typed=("mow",), earlier=Scenario(cut=True)),
    "line put back, item edited": Scenario(
        change("mow", completed=False, description="mow lawn"),
        typed=("mow",),
        earlier=Scenario(cut=True),
    ),
    "not listed": Scenario(change("mow", hidden=True), edits=(("milk", "oat milk"),)),
    "twin": Scenario(twin, earlier=Scenario(typed=("ours",))),
    "everything": Scenario(
        everything,
        (("call Bob", "phone Bob"), ("milk", "milk and bread")),
        settings='on_remote_removal="check"\nids="inline"',
    ),
}


async def prepare(person: Person, name: str, scenario: Scenario) -> None:
    """Let both sides agree, then edit them."""
    person.name = name
    person.settings = f"{TWO_WAY}{scenario.settings}\n"
    person.trace = None
    for path in person.home.glob("state*"):
        shutil.rmtree(path)
    person.sandbox.items.clear()
    for number, text in enumerate(("buy milk", "call Bob", "mow")):
        at = START.replace(day=1, hour=number)
        due_at = datetime(2026, 5, 1, 9, tzinfo=UTC) if text == "call Bob" else None
        person.sandbox.add(text, item_id=f"item{number}", created_at=at, due_at=due_at)
    person.write(BEFORE[name])
    await person.settle()
    if scenario.earlier is not None:
        scenario.earlier.save(person)
        await settle(person)
    scenario.app(person.sandbox.items)
    scenario.save(person)


@dataclass(frozen=True)
class Saved:
    """Both sides and the store, as they were."""

    text: bytes
    items: Items
    store: Path
    now: float

    @classmethod
    def of(cls, person: Person) -> Saved:
        """Keep all of it."""
        kept = person.home / "kept"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(person.store_path.parent, kept)
        items = {name: replace(one) for name, one in person.sandbox.items.items()}
        return cls(person.todo.read_bytes(), items, kept, person.clock.now)

    def restore(self, person: Person) -> None:
        """Bring all of it back; the clock goes on."""
        shutil.rmtree(person.store_path.parent)
        shutil.copytree(self.store, person.store_path.parent)
        person.sandbox.items.clear()
        person.sandbox.items.update((name, replace(one)) for name, one in self.items.items())
        person.todo.write_bytes(self.text)
        person.clock.now = self.now


async def stopped(person: Person, step: int, *, power: bool = True) -> None:
    """Settle, but die at this step."""
    with dying(person, step, power=power):
        await settle(person)


async def settle(person: Person) -> None:
    """Settle, and let what is missing be missing often enough."""
    for _ in range(4):
        outcome = await person.settle()
    assert outcome.code == errors.OK, outcome


async def end(person: Person) -> End:
    """Check that nothing more is planned; return what both sides hold, but for new ids."""
    person.sent()
    before = person.todo.stat()
    outcome = await person.cycle(now=True)
    assert not outcome.counts
    assert {method for method, _ in person.sent()} == {"GET"}
    after = person.todo.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    items = person.sandbox.items.values()
    texts = [one.description for one in items]
    assert len(texts) == len(set(texts)), f"doubled: {texts}"
    data = person.todo.read_bytes()
    for one in items:  # ids of items that we create are by chance
        if not one.id.startswith(("item", "fresh", "again")):
            data = data.replace(one.id.encode(), b"NEW")
    return data, sorted((one.description, one.completed, str(one.due_at)) for one in items)


@pytest.mark.parametrize("name", BEFORE)
async def test_a_stop_changes_nothing(name: str, person: Person) -> None:
    """Stopped after step k, for some k, and resumed: the same bytes, the same items."""
    await stopped_at("everything", name, person, every=47)


@pytest.mark.campaign
@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("what", SCENARIOS)
async def test_every_step_may_be_the_last(
    what: str, name: str, person: Person, tally: Counter[str]
) -> None:
    """Stopped after step k, for every k, and resumed: the same bytes, the same items."""
    tally["stops"] += await stopped_at(what, name, person)
    tally["stories"] += 1


async def stopped_at(what: str, name: str, person: Person, every: int = 1) -> int:
    """Kill it, and cut its power, at each step, or at ``every`` so many; count the stops."""
    await prepare(person, name, SCENARIOS[what])
    start = Saved.of(person)
    steps: list[str] = []
    person.trace = steps.append
    await settle(person)
    expected = await end(person)
    assert len(steps) > 3, "the scenario has steps"
    for step in range(1, len(steps) + 1, every):
        for power in (True, False):
            start.restore(person)
            await stopped(person, step, power=power)
            await settle(person)
            assert await end(person) == expected, (step, power)
    return 2 * len(range(1, len(steps) + 1, every))


@pytest.mark.campaign
@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("what", SCENARIOS)
async def test_every_step_may_be_the_last_but_one(
    what: str, name: str, person: Person, tally: Counter[str]
) -> None:
    """Killed or without power after step k, resumed, stopped again: the same bytes and items."""
    dice = random.Random(what + name)
    await prepare(person, name, SCENARIOS[what])
    start = Saved.of(person)
    steps: list[str] = []
    person.trace = steps.append
    await settle(person)
    expected = await end(person)
    for step in range(1, len(steps) + 1):
        for _ in range(3):
            start.restore(person)
            power = dice.random() < 0.5
            await stopped(person, step, power=power)
            await stopped(person, dice.randint(1, 20), power=not power)
            person.clock.pass_by(dice.choice((0, 0, 6, 100)))
            await settle(person)
            assert await end(person) == expected, step
            tally["stops"] += 2
    tally["stories"] += 1


@pytest.mark.campaign
async def test_stopped_while_a_clash_is_put_back(person: Person) -> None:
    """`restore` and `undo` are stopped after each step, and what they began is completed."""
    scenario = SCENARIOS["line wins"]
    await prepare(person, "todo.md", scenario)
    await settle(person)
    start = Saved.of(person)
    for treat in (undo, restore):
        start.restore(person)
        await treat(person)
        await settle(person)
        expected = await end(person)
        for step in range(1, 100):
            start.restore(person)
            with dying(person, step) as death:
                await treat(person)
                await settle(person)
            if not death.came:
                break
            await settle(person)
            if (await end(person)) != expected:  # it was stopped before it had begun
                with suppress(errors.UsageError):
                    await treat(person)
                await settle(person)
            assert await end(person) == expected, step
        else:
            pytest.fail("the scenario has no end")


async def undo(person: Person) -> None:
    """Take back the last write of the file."""
    async with person.desk() as desk:
        with suppress(errors.UsageError):
            sync.undo(desk)


async def restore(person: Person) -> None:
    """Put back what the clash cost."""
    async with person.desk() as desk:
        sync.restore(desk, desk.store.clashes()[0].number)
