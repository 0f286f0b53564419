"""Taking back: each lost value returns to its line, each write can be undone, all is recorded."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from person import item, link
from replicas import Stopped, dying

from omisync import file, sync
from omisync.core.model import Clash
from omisync.errors import FileChanged, FileUnusable, UsageError

if TYPE_CHECKING:
    from typing import TextIO

    from person import Person

    from omisync.sync import Desk

TWO_WAY = '[sync]\ndirection = "two-way"\n'


@pytest.fixture
async def both(person: Person) -> Person:
    """Someone whose two lines are in Omi, in both directions."""
    person.settings = TWO_WAY
    person.write("- [ ] a due:2026-12-24\n- [x] b\n")
    await person.settle()
    return person


def lost(desk: Desk, text: str, field: str, value: str) -> int:
    """Note that a value of this line gave way; return the number of the clash."""
    key = next((link.key for link in desk.store.links() if link.seen.text == text), "unknown")
    with desk.store.transaction():
        desk.store.record_clashes(1.0, [Clash(key, text, field, "local", "kept", value)])
    return desk.store.clashes()[-1].number


@pytest.mark.parametrize(
    ("text", "field", "value", "expected"),
    [
        ("a", "description", "z", "- [ ] z due:2026-12-24\n- [x] b\n"),
        ("a", "completed", "done", "- [x] a due:2026-12-24\n- [x] b\n"),
        ("a", "completed", "open", "- [ ] a due:2026-12-24\n- [x] b\n"),
        ("b", "completed", "open", "- [ ] a due:2026-12-24\n- [ ] b\n"),
        ("a", "due_at", "2026-12-25", "- [ ] a due:2026-12-25\n- [x] b\n"),
        ("a", "due_at", "", "- [ ] a\n- [x] b\n"),
    ],
)
async def test_a_lost_value_returns_to_its_line(
    both: Person, text: str, field: str, value: str, expected: str
) -> None:
    """Whatever field it was; the clash is known as restored, and the next cycle looks anew."""
    async with both.desk() as desk:
        number = lost(desk, text, field, value)
        said = sync.restore(desk, number)
        line = 1 + (text == "b")
        assert said == f"{both.todo}:{line} has again what gave way: {value or 'none'}"
        assert both.todo.read_text() == expected
        assert desk.store.clashes()[-1].restored_at == both.clock.now
        event = desk.store.history(1)[-1]
        assert event.event == "clash.restored"
        assert event.text == (value if field == "description" else text)
        assert event.key == desk.store.clashes()[-1].clash.key
        assert desk.store.fact("settled") is None


async def test_what_cannot_be_restored_is_told(both: Person) -> None:
    """The value is named, so that it can be written by hand."""
    async with both.desk() as desk:
        with pytest.raises(UsageError, match="There is no clash 7") as none:
            sync.restore(desk, 7)
        assert none.value.advice == "`omisync log --clashes` lists them."
        for value, named in (("z", "z"), ("", "none")):
            number = lost(desk, "gone", "due_at", value)
            with pytest.raises(UsageError, match=f"clash {number} is not in .* any more") as gone:
                sync.restore(desk, number)
            assert gone.value.advice == f"Its lost value was: {named}"
        number = lost(desk, "a", "description", "")
        with pytest.raises(UsageError, match=r"todo.md:1 cannot be changed to that") as odd:
            sync.restore(desk, number)
        assert odd.value.advice == "Write it there by hand: none"
        number = lost(desk, "a", "description", "two\nlines")
        with pytest.raises(UsageError) as odd:
            sync.restore(desk, number)
        assert odd.value.advice == "Write it there by hand: two\nlines"


@pytest.mark.parametrize("power", [True, False])
@pytest.mark.parametrize("step", range(1, 7))
async def test_a_restored_wording_is_that_of_the_same_item(
    person: Person, step: int, *, power: bool
) -> None:
    """However unlike the one that won it is, and wherever the write is cut short."""
    person.settings = TWO_WAY
    person.write("- [ ] plan the trip\n")
    await person.settle()
    (item,) = person.sandbox.items.values()
    item.description = "book flights"
    person.write("- [ ] plan the trip to Rome\n")
    await person.settle()
    assert person.omi() == {"plan the trip to Rome": False}
    with dying(person, step, power=power) as death:
        async with person.desk() as desk:
            sync.restore(desk, 1)
    assert death.came == (step < 6)
    await person.settle()
    async with person.desk() as desk:
        with suppress(UsageError):  # where it was done
            sync.restore(desk, 1)
    assert "task.created" not in (await person.settle()).counts
    assert person.todo.read_text() == "- [ ] book flights\n"
    assert [(one.id, one.description) for one in person.sandbox.items.values()] == [
        (item.id, "book flights")
    ]


async def test_a_restored_value_is_noted_with_its_place(both: Person) -> None:
    """The line may have been moved since; of the versions of the file the last twenty stay."""
    folder = both.home / "state" / "todo.db.copies"
    for _ in range(20):
        file.keep_copy(folder, "todo.md", b"of ids alone")
    both.write("- [x] b\n# Later\n- [ ] a due:2026-12-24\n")
    async with both.desk() as desk:
        sync.restore(desk, lost(desk, "a", "description", "z"))
    assert link(both, "z").section == "Later"
    assert len([*folder.iterdir()]) == 20


async def test_a_value_that_cannot_be_written_leaves_nothing(both: Person) -> None:
    """No copy, no write under way; it can be restored later."""
    (both.home / "other name.md").hardlink_to(both.todo)
    async with both.desk() as desk:
        number = lost(desk, "a", "description", "z")
        with pytest.raises(FileUnusable):
            sync.restore(desk, number)
        assert desk.store.writing() is None
        assert desk.store.clashes()[-1].restored_at is None
    assert [*both.home.glob("state/*.copies/*")] == []


@pytest.mark.parametrize(("value", "named"), [("2026-12-25", "2026-12-25"), ("", "none")])
async def test_what_was_restored_is_not_restored_again(
    both: Person, value: str, named: str
) -> None:
    """The person may have changed it since; the value is named."""
    async with both.desk() as desk:
        number = lost(desk, "a", "due_at", value)
        sync.restore(desk, number)
        with pytest.raises(UsageError, match=f"clash {number} was put back already") as again:
            sync.restore(desk, number)
        assert again.value.advice == f"To have it again, write it into its line: {named}"


async def test_what_was_restored_and_undone_can_be_restored(both: Person) -> None:
    """The clash is as it was before; another write that is undone leaves it alone."""
    async with both.desk() as desk:
        number = lost(desk, "a", "description", "z")
        sync.restore(desk, number)
        sync.undo(desk)
        assert desk.store.clashes()[-1].restored_at is None
        sync.restore(desk, number)
    both.sandbox.add("new")
    await both.settle()
    async with both.desk() as desk:
        sync.undo(desk)
        assert desk.store.clashes()[-1].restored_at is not None
    assert both.todo.read_text() == "- [ ] z due:2026-12-24\n- [x] b\n"


async def test_each_write_is_undone_by_itself(both: Person) -> None:
    """The last one first; what it brought in stays in Omi and does not come back."""
    for text in ("one", "two"):
        both.sandbox.add(text)
        await both.settle()
    async with both.desk() as desk:
        assert "is as it was before" in sync.undo(desk)
        event = desk.store.history(1)[-1]
        assert (event.event, event.text) == ("file.restored", "two")
        assert event.detail == "the line is gone again"
        assert desk.store.fact("settled") is None
        (stone,) = desk.store.tombstones(both.clock.now)
        assert (stone.task.text, stone.how, stone.counted) == ("two", "keep", False)
    assert both.todo.read_text() == "- [ ] a due:2026-12-24\n- [x] b\n- [ ] one\n"
    async with both.desk() as desk:
        sync.undo(desk)
        with pytest.raises(UsageError, match="There is nothing to undo") as nothing:
            sync.undo(desk)
        assert nothing.value.message == (
            "There is nothing to undo: no write to the file is left that could be taken back"
        )
        assert nothing.value.advice == "`omisync log` tells what was done."
    await both.settle()
    assert both.todo.read_text() == "- [ ] a due:2026-12-24\n- [x] b\n"
    assert both.omi() == {"a": False, "b": True, "one": False, "two": False}


async def test_where_nothing_was_written_nothing_is_undone(both: Person) -> None:
    """Another reason than that all was undone, and told as such; the file stays as it is."""
    async with both.desk() as desk:
        with pytest.raises(UsageError) as nothing:
            sync.undo(desk)
    assert nothing.value.message == (
        "There is nothing to undo: omisync has not written to the file"
    )
    assert both.todo.read_text() == "- [ ] a due:2026-12-24\n- [x] b\n"


async def test_a_write_of_which_less_is_known_is_undone_too(both: Person) -> None:
    """Where it was not noted what changed lines said, all else is taken back."""
    both.sandbox.add("one")
    await both.settle()
    async with both.desk() as desk:
        (write,) = desk.store.fact("written")  # type: ignore[misc]  # a list, of one
        del write["former"]
        with desk.store.transaction():
            desk.store.put_fact("written", [write])
        sync.undo(desk)
    assert both.todo.read_text() == "- [ ] a due:2026-12-24\n- [x] b\n"


async def test_a_copy_that_cannot_be_read_is_told(both: Person) -> None:
    """Nothing is changed then, and what else is kept is named: never what is gone."""
    for text in ("one", "two"):
        both.sandbox.add(text)
        await both.settle()
    older, gone = sorted((both.home / "state").glob("*.copies/*"))
    before = both.todo.read_text()
    gone.unlink()
    async with both.desk() as desk:
        for text, message in (
            (before, rf"{gone} cannot be read \(No such file or directory\); .* left as it is"),
            ("- [ ] b\n", "was edited since"),
        ):
            both.write(text)
            with pytest.raises(UsageError, match=message) as some:
                sync.undo(desk)
            assert some.value.advice == (
                f"The newest former version that is kept is {older}: take from there what you need."
                " What is written from now on can be undone."
            )
        older.unlink()
        with pytest.raises(UsageError) as none:
            sync.undo(desk)
        assert none.value.advice.startswith("No former version is kept any more")
        both.write(before)
    both.sandbox.add("three")
    await both.settle()
    async with both.desk() as desk:
        sync.undo(desk)
    assert both.todo.read_text() == before


async def test_what_is_open_elsewhere_is_undone_later(both: Person) -> None:
    """Until then everything is as it was."""
    before = both.todo.read_text()
    both.sandbox.add("one")
    await both.settle()
    async with both.desk() as desk:
        rows = [*desk.store.links()]
        with both.todo.open("a"), pytest.raises(FileChanged):
            sync.undo(desk)
        assert [*desk.store.links()] == rows
        assert desk.store.tombstones(both.clock.now) == []
        assert desk.store.history(1)[-1].event != "file.restored"
        sync.undo(desk)
    assert both.todo.read_text() == before
    await both.settle()
    assert both.todo.read_text() == before


@pytest.mark.parametrize(
    ("new", "stay"),
    [
        ([], ""),
        (
            ["c"],
            "; 1 item that came in with it stays in Omi alone, until a line says the same again",
        ),
        (
            ["c", "d"],
            "; 2 items that came in with it stay in Omi alone, until a line says the same again",
        ),
    ],
)
async def test_what_stays_in_omi_is_told(both: Person, new: list[str], stay: str) -> None:
    """How many items have no line any more, and for how long."""
    item(both, "a").completed = True
    for text in new:
        both.sandbox.add(text)
    await both.settle()
    async with both.desk() as desk:
        said = sync.undo(desk)
    assert said == f"{both.todo} is as it was before omisync last wrote to it{stay}"


async def test_an_undo_that_is_refused_leaves_nothing(both: Person) -> None:
    """No write under way; it can be made later."""
    before = both.todo.read_text()
    both.sandbox.add("one")
    await both.settle()
    other = both.home / "other name.md"
    other.hardlink_to(both.todo)
    async with both.desk() as desk:
        with pytest.raises(FileUnusable):
            sync.undo(desk)
        assert desk.store.writing() is None
        other.unlink()
        sync.undo(desk)
    assert both.todo.read_text() == before


async def test_a_save_that_finds_no_place_beside_an_undo_is_kept(both: Person) -> None:
    """Saved by its name and by a hand that held it: where the older save is kept is told."""
    both.sandbox.add("one")
    await both.settle()
    after = both.todo.read_text()
    held: list[TextIO] = []

    def save(step: str) -> None:
        if step == "file.checked" and not held:
            held.append(both.todo.open("r+", encoding="utf-8"))
        elif step == "file.swapped":
            held[0].write("- [ ] A")
            held[0].close()
            both.write("- [ ] typed\n")

    both.trace = save
    async with both.desk() as desk:
        with pytest.raises(FileChanged) as changed:
            sync.undo(desk)
    both.trace = None
    assert both.todo.read_text() == "- [ ] typed\n"
    *_, kept = file.copies(both.home / "state" / "todo.db.copies", "todo.md")
    assert kept.read_text() == after.replace("- [ ] a", "- [ ] A")
    assert changed.value.message.endswith(
        f" saved meanwhile. {both.todo} was saved twice at once; the older save is kept as {kept}"
    )


async def cut_short(person: Person) -> None:
    """Write a new item into the file, and die before it is known that it was."""
    person.sandbox.add("one")

    def stop(step: str) -> None:
        if step == "file.swapped":
            raise Stopped

    person.trace = stop
    with suppress(Stopped):
        await person.cycle(now=True)
    person.trace = None


async def test_a_write_that_was_cut_short_is_the_last_one(both: Person) -> None:
    """It is undone although no cycle has found out that it was made."""
    before = both.todo.read_text()
    await cut_short(both)
    assert both.todo.read_text() != before
    async with both.desk() as desk:
        sync.undo(desk)
    assert both.todo.read_text() == before


async def test_a_save_after_a_write_that_was_cut_short_stays(both: Person) -> None:
    """What was before the write is named."""
    await cut_short(both)
    both.write(both.todo.read_text() + "- [ ] typed\n")
    (copy,) = (both.home / "state").glob("*.copies/*")
    async with both.desk() as desk:
        with pytest.raises(UsageError, match="was edited since") as edited:
            sync.undo(desk)
    assert edited.value.advice.startswith(f"What it was before is kept as {copy}:")


@pytest.mark.parametrize("typed", ["", "- [ ] typed\n"])
async def test_a_value_is_restored_after_a_write_that_was_cut_short(
    both: Person, typed: str
) -> None:
    """The one is found out before the other is written: both can be undone."""
    async with both.desk() as desk:
        number = lost(desk, "a", "description", "z")
    await cut_short(both)
    both.write(both.todo.read_text() + typed)
    async with both.desk() as desk:
        sync.restore(desk, number)
        written = desk.store.fact("written")
    assert isinstance(written, list)
    assert [(len(one["added"]), len(one["former"])) for one in written] == [(1, 0), (0, 1)]
    assert both.todo.read_text() == f"- [ ] z due:2026-12-24\n- [x] b\n- [ ] one\n{typed}"


@pytest.mark.parametrize("step", ["store.commit", "file.written", "file.checked", "file.swapped"])
async def test_an_undo_that_was_cut_short_is_made_or_not(both: Person, step: str) -> None:
    """No line loses its item, however little the two wordings are alike."""
    both.write("- [ ] buy milk\n- [ ] stay\n")
    await both.settle()
    before = both.todo.read_text()
    milk = item(both, "buy milk")
    milk.description = "telephone grandmother"
    both.sandbox.add("brought in")
    await both.settle()
    after = both.todo.read_text()

    def stop(at: str) -> None:
        if at == step:
            raise Stopped

    both.trace = stop
    async with both.desk() as desk:
        with suppress(Stopped):
            sync.undo(desk)
    both.trace = None
    await both.settle()
    made = both.todo.read_text() == before
    assert made is (step == "file.swapped") or both.todo.read_text() == after
    if not made:
        async with both.desk() as desk:
            sync.undo(desk)
        await both.settle()
    assert both.todo.read_text() == before
    there = {text for text, done in both.omi().items() if not done}
    assert there == {"buy milk", "stay", "brought in"}
    assert milk.description == "buy milk"


async def test_an_undo_cut_short_is_settled_without_the_note_of_writes(both: Person) -> None:
    """A state that lost what was written goes on: the file says how far the undo came."""
    both.write("- [ ] buy milk\n")
    await both.settle()
    both.sandbox.add("brought in")
    await both.settle()

    def stop(at: str) -> None:
        if at == "file.swapped":
            raise Stopped

    both.trace = stop
    async with both.desk() as desk:
        with suppress(Stopped):
            sync.undo(desk)
        desk.store.put_fact("written", None)
    both.trace = None
    await both.settle()
    assert both.todo.read_text() == "- [ ] buy milk\n"
    assert both.omi() | {"buy milk": False, "brought in": False} == both.omi()
    async with both.desk() as desk:
        assert desk.store.writing() is None
