"""What Omi says is written into the file: cut short, refused, saved over; and what is recorded."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import sqlite3
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from person import fact, history, item, link, read
from replicas import Stopped

from omisync import errors, file, sync
from omisync.core import markdown, toml
from omisync.store import Event, Store, Writing, opening
from omisync.sync import inward

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from person import Clock, Person

    from omisync.sandbox import Item

TWO_WAY = '[sync]\ndirection = "two-way"\ntimezone = "UTC"\non_remote_removal = "remove"\n'


@pytest.fixture
async def both(person: Person) -> Person:
    """Someone whose four lines are in Omi, in both directions."""
    person.settings = TWO_WAY
    person.write("- [ ] call Bob\n- [ ] mow\n- [ ] stay\n- [ ] paint\n")
    await person.settle()
    return person


def writes(person: Person) -> list[dict[str, object]]:
    """Return the writes that can be undone; check that none is under way."""
    with Store.open(person.store_path) as store:
        assert store.writing() is None
        written = store.fact("written")
        return written if isinstance(written, list) else []


def copies(person: Person) -> list[str]:
    """Return the names of the former versions."""
    return sorted(path.name for path in person.store_path.parent.glob("*.copies/*"))


async def stopped(person: Person, at: str) -> None:
    """Run a cycle, but die at this step of the write."""

    def stop(step: str) -> None:
        if step == at:
            raise Stopped

    person.trace = stop
    with suppress(Stopped):
        await person.cycle(now=True)
    person.trace = None


def lost(person: Person) -> list[str]:
    """Return what gave way."""
    with Store.open(person.store_path) as store:
        return [one.clash.lost_value for one in store.clashes()]


def edit_in_the_app(person: Person) -> None:
    """Reword one item, delete another that was asked for already, add a third."""
    item(person, "call Bob").description = "call Robert"
    person.sandbox.add("theirs")


DUE = datetime(2026, 5, 1, 9, tzinfo=UTC)
BEFORE = "- [ ] call Bob\n- [ ] mow\n- [ ] stay\n- [ ] paint\n"
AFTER = "- [ ] call Robert\n- [ ] mow\n- [ ] stay\n- [ ] paint\n- [ ] theirs\n"


@pytest.mark.parametrize(
    ("step", "text"), [("file.written", BEFORE), ("file.checked", BEFORE), ("file.swapped", AFTER)]
)
async def test_a_write_that_was_cut_short_is_found_out(both: Person, step: str, text: str) -> None:
    """The file itself tells which of the two holds; the write is one that can be undone."""
    edit_in_the_app(both)
    await stopped(both, step)
    assert read(both) == text
    both.sent()
    outcome = await both.cycle(now=True)
    assert outcome.code == errors.OK
    assert {method for method, _ in both.sent()} == {"GET"}
    made = {"line.added": 1, "line.changed": 1}
    assert outcome.counts == (made if text == BEFORE else {})
    assert read(both) == AFTER
    (write,) = writes(both)
    with Store.open(both.store_path) as store:
        keys = {link.seen.text: link.key for link in store.links()}
    assert write["added"] == [keys["theirs"]]
    assert write["former"] == {keys["call Robert"]: ["call Bob", False, None]}
    async with both.desk() as desk:
        sync.undo(desk)
    assert read(both) == BEFORE


@pytest.mark.parametrize("how", ["repair", "push"])
@pytest.mark.parametrize("typed", ["", "- [ ] typed\n"])
async def test_a_write_that_was_cut_short_is_found_out_by_others_too(
    both: Person, how: str, typed: str
) -> None:
    """A repair, and a cycle of the other direction, know the new line for what it is."""
    both.sandbox.add("theirs")
    await stopped(both, "file.swapped")
    both.write(read(both) + typed)
    if how == "push":
        both.settings = TWO_WAY.replace("two-way", "push")
        assert (await both.cycle()).code == errors.OK
        both.settings = TWO_WAY
    else:
        async with both.desk() as desk:
            assert (await sync.repair(desk)).linked == ()
    assert fact(both, "writing") is None
    assert (await both.settle()).code == errors.OK
    assert len(both.omi()) == 5 + bool(typed)


async def test_a_link_that_was_made_meanwhile_stays(both: Person) -> None:
    """The write that was cut short is noted with another key for the same item."""
    theirs = both.sandbox.add("theirs")
    await stopped(both, "file.swapped")
    with Store.open(both.store_path) as store, store.transaction():
        (noted,) = store.writing().links  # type: ignore[union-attr]  # it is there
        store.put_links([noted.but(key="another")])
    assert (await both.settle()).code == errors.OK
    assert link(both, "theirs").key == "another"
    assert link(both, "theirs").remote_id == theirs.id


async def test_a_copy_that_is_gone_holds_nothing_up(both: Person) -> None:
    """A write that was not made may have lost its copy meanwhile."""
    edit_in_the_app(both)
    await stopped(both, "file.written")
    (copy,) = both.store_path.parent.glob("*.copies/*")
    copy.unlink()
    assert (await both.cycle(now=True)).code == errors.OK
    assert read(both) == AFTER


@pytest.mark.parametrize("step", ["file.written", "file.swapped"])
async def test_a_save_after_a_write_that_was_cut_short(both: Person, step: str) -> None:
    """Most lines tell whether it was made: what the app says next is then no clash."""
    edit_in_the_app(both)
    await stopped(both, step)
    both.write(read(both) + "- [ ] typed\n")
    item(both, "call Robert").description = "call Bobby"
    await both.settle()
    assert both.omi() == dict.fromkeys(
        ("call Bobby", "mow", "stay", "paint", "theirs", "typed"), False
    )
    assert read(both).startswith("- [ ] call Bobby\n- [ ] mow\n- [ ] stay\n- [ ] paint\n")
    assert lost(both) == []
    assert writes(both)


@pytest.mark.parametrize("step", ["file.written", "file.checked", "file.swapped"])
@pytest.mark.parametrize("typed", ["[x] call Bob", "[ ] call Bob today"])
async def test_a_save_is_not_taken_for_the_line_that_was_to_be_written(
    both: Person, step: str, typed: str
) -> None:
    """Though it has all the words of that: what nobody saw would count as removed."""
    both.sandbox.add("call")

    def save(now: str) -> None:
        if now == step:
            both.write(BEFORE.replace("[ ] call Bob", typed))

    both.trace = save
    await both.cycle(now=True)
    both.trace = None
    await both.settle()
    tasks = {"call": False, typed[4:]: typed[1] == "x", "mow": False, "stay": False, "paint": False}
    assert both.omi() == tasks
    assert read(both) == BEFORE.replace("[ ] call Bob", typed) + "- [ ] call\n"


@pytest.mark.parametrize("step", ["file.written", "file.swapped"])
async def test_a_save_after_a_removal_that_was_cut_short(both: Person, step: str) -> None:
    """A line that is gone is not asked for again, one that is still there goes."""
    del both.sandbox.items[item(both, "mow").id]
    for asked in (False, True):
        assert (await both.cycle(now=True)).again is asked
    await stopped(both, step)
    assert ("mow" in read(both)) == (step == "file.written")
    both.write(read(both) + "- [ ] typed\n")
    both.sent()
    await both.settle()
    assert [method for method, _ in both.sent()].count("PATCH") == 0
    await both.settle()
    assert read(both) == "- [ ] call Bob\n- [ ] stay\n- [ ] paint\n- [ ] typed\n"
    assert both.omi() == dict.fromkeys(("call Bob", "stay", "paint", "typed"), False)


@pytest.mark.parametrize(
    ("back", "held"), [({"mow"}, False), ({"call Bob", "mow"}, False), ({"paint"}, True)]
)
async def test_most_lines_tell_whether_a_write_was_made(
    both: Person, back: set[str], *, held: bool
) -> None:
    """In doubt it was not: then nothing of the app is overwritten by lines that were put back."""
    changes = {"call Bob": "call Robert", "mow": "mow the lawn"}
    if len(back) == 2 or held:
        changes["paint"] = "paint the door"
    for old, new in changes.items():
        item(both, old).description = new
    await stopped(both, "file.swapped")
    text = read(both)
    for old in back:
        text = text.replace(changes[old], old)
    both.write(text)
    await both.settle()
    if not held:
        text = BEFORE
        for old, new in changes.items():
            text = text.replace(old, new)
    assert read(both) == text
    assert both.omi() == dict.fromkeys((line[6:] for line in text.splitlines()), False)
    assert lost(both) == []


@pytest.mark.parametrize(
    ("step", "typed", "left"),
    [
        ("file.swapped", ["call Bob", "stay"], ["call Bob", "stay"]),
        ("file.written", ["call Robert", "mow", "stay", "paint"], ["call Robert", "stay"]),
        ("file.written", ["call Bob", "mow", "stay"], ["call Robert", "stay"]),
    ],
)
async def test_lines_that_are_gone_tell_it_too(
    both: Person, step: str, typed: list[str], left: list[str]
) -> None:
    """As much as those that were changed."""
    for text in ("mow", "paint"):
        del both.sandbox.items[item(both, text).id]
    for _ in range(2):
        await both.cycle(now=True)
    item(both, "call Bob").description = "call Robert"
    await stopped(both, step)
    both.write("".join(f"- [ ] {text}\n" for text in typed))
    for _ in range(2):
        await both.settle()
    assert both.omi() == dict.fromkeys(left, False)
    assert read(both) == "".join(f"- [ ] {text}\n" for text in left)
    assert lost(both) == []


@pytest.mark.parametrize(
    ("before", "fields", "told"),
    [
        ("[ ] a", {"description": "b", "completed": True}, "reworded, ticked"),
        ("[x] a", {"completed": False, "due_at": DUE}, "reopened, due date set"),
        ("[ ] a due:2026-04-30", {"due_at": DUE}, "due date changed"),
        ("[ ] a due:2026-05-01", {"due_at": None}, "due date cleared"),
    ],
)
async def test_the_history_tells_what_the_app_changed(
    person: Person, before: str, fields: dict[str, object], told: str
) -> None:
    """Each field in words, of which task, and when."""
    person.settings = TWO_WAY
    person.write(f"- {before}\n")
    await person.settle()
    (one,) = person.sandbox.items.values()
    for name, value in fields.items():
        setattr(one, name, value)
    person.clock.pass_by(60)
    await person.cycle(now=True)
    with Store.open(person.store_path) as store:
        (row,) = store.links()
    assert history(person, 1) == [
        Event(
            person.clock.now,
            "line.changed",
            one.description,
            row.key,
            one.id,
            f"changed in Omi: {told}",
        )
    ]


async def test_new_lines_have_their_place(both: Person) -> None:
    """Under the heading, in the order of the file, each with its event."""
    both.settings += 'inbox_heading = "Inbox"\n'
    for text in ("one", "two"):
        both.sandbox.add(text)
    outcome = await both.settle()
    assert (outcome.counts, outcome.tasks) == ({"line.added": 2}, 6)
    assert read(both) == f"{BEFORE}\n## Inbox\n\n- [ ] one\n- [ ] two\n"
    with Store.open(both.store_path) as store:
        rows = [*store.links()]
    assert [row.seen.text for row in rows] == ["call Bob", "mow", "stay", "paint", "one", "two"]
    assert len({row.rank for row in rows}) == 6
    assert [row.section for row in rows] == [""] * 4 + ["Inbox"] * 2
    told = [(one.event, one.text, one.key, one.detail) for one in history(both, 2)]
    assert told == [("line.added", row.seen.text, row.key, "") for row in rows[4:]]
    (write,) = writes(both)
    assert write["added"] == [row.key for row in rows[4:]]


async def test_a_heading_is_found_however_its_accents_are_encoded(person: Person) -> None:
    """A file from a Mac, say, and a config from elsewhere: no second heading is made."""
    person.settings = TWO_WAY + 'inbox_heading = "Eing\u00e4nge"\n'
    heading = "# Einga\u0308nge"
    person.write(f"{heading}\n- [ ] a\n\n# Later\n")
    await person.settle()
    person.sandbox.add("theirs")
    await person.settle()
    assert read(person) == f"{heading}\n- [ ] a\n- [ ] theirs\n\n# Later\n"


@pytest.mark.parametrize("name", ["todo.md", "todo.toml"])
@pytest.mark.parametrize("heading", ["", "Inbox"])
async def test_a_new_line_stands_in_order_with_those_that_are_new_here(
    heading: str, name: str, person: Person
) -> None:
    """What came in with a first sync is itself the next time: nothing is sent, or taken for it.

    Its line looks like another; only the order tells which of the two it is.
    """
    person.name = name
    person.settings = TWO_WAY + f'inbox_heading = "{heading}"\n'
    file = {
        "todo.md": "# Inbox\n- [ ] call mum\n- [x] milk\n# Work\n- [ ] z\n",
        "todo.toml": '[[todo]]\ntext = "call mum"\n\n[[todo]]\ntext = "milk"\ndone = true\n',
    }
    person.write(file[name])
    there = person.sandbox.add("milk", due_at=datetime(2026, 12, 2, 9, tzinfo=UTC))
    alone = person.sandbox.add("passport")
    outcome = await person.cycle(now=True, yes=True)
    assert outcome.counts["line.added"] == 2
    assert (await person.cycle(now=True)).code == errors.OK
    with Store.open(person.store_path) as store:
        links = tuple(store.links())
    document = (toml if name == "todo.toml" else markdown).parse(person.todo.read_bytes())
    assert [link.seen.text for link in links] == [e.task.text for e in document.entries]
    assert len({link.rank for link in links}) == len(links)
    person.sent()
    assert (await person.cycle(now=True)).code == errors.OK
    assert {method for method, _ in person.sent()} == {"GET"}
    there.description = "oat milk"
    person.write(read(person).replace("passport", "renew the passport"))
    await person.settle()
    assert (there.completed, there.due_at is None) == (False, False)
    assert (alone.description, alone.completed) == ("renew the passport", False)
    assert read(person).count("oat milk") == 1


async def test_a_new_line_has_its_place_though_others_go_with_the_same_write(both: Person) -> None:
    """It is counted from the lines that stay."""
    both.settings += 'inbox_heading = "Inbox"\n'
    both.write(f"{BEFORE}\n## Inbox\n\n- [ ] first\n")
    await both.settle()
    for name in [
        one.id for one in both.sandbox.items.values() if one.description in {"mow", "stay"}
    ]:
        del both.sandbox.items[name]
    for _ in range(2):
        await both.cycle(now=True)
    both.sandbox.add("new")
    assert (await both.cycle(now=True)).counts == {"line.removed": 2, "line.added": 1}
    document = markdown.parse(both.todo.read_bytes())
    with Store.open(both.store_path) as store:
        assert [row.seen.text for row in store.links()] == [e.task.text for e in document.entries]


async def test_a_line_that_gives_way_to_its_like_costs_no_write(person: Person) -> None:
    """Its item is gone, and one that reads the same comes in where it stood: all is settled."""
    person.settings = f'{TWO_WAY}adopt = false\nimport_items = "all"\n'
    person.write("- [ ] stay\n- [x] a b\n")
    await person.settle()
    del person.sandbox.items[item(person, "a b").id]
    for _ in range(2):
        await person.cycle(now=True)
    again = person.sandbox.add("a\nb", completed=True)
    item(person, "stay").description = "stay there"
    person.write("- [ ] stay here\n- [x] a b\n")
    before = file.signature(person.todo)
    assert (await person.cycle(now=True)).counts == {
        "line.removed": 1, "line.added": 1, "clash.decided": 1, "task.changed": 1
    }  # fmt: skip
    assert link(person, "a b").remote_id == again.id
    assert (file.signature(person.todo), writes(person)) == (before, [])
    assert person.omi() == {"stay here": False, "a\nb": True}


async def test_many_lines_at_one_place_leave_no_room_between_them(person: Person) -> None:
    """Each comes in alone below the heading, above the same line, and stands in its order."""
    person.settings = TWO_WAY + 'inbox_heading = "Inbox"\n'
    person.write("# Inbox\n- [ ] first\n# Work\n- [ ] last\n")
    await person.settle()
    for number in range(30):
        person.sandbox.add(f"item {number}")
        person.clock.pass_by(60)
        await person.settle()
        with Store.open(person.store_path) as store:
            texts = [link.seen.text for link in store.links()]
        assert texts == ["first", *(f"item {n}" for n in range(number + 1)), "last"]


async def test_what_has_no_place_in_the_file_waits_for_one(person: Person) -> None:
    """Each item is told; once the open code block is closed, they are written."""
    person.settings = TWO_WAY + 'inbox_heading = "Inbox"\n'
    person.write("> - [ ] a\n~~~\n")
    await person.settle()
    for text in ("b", "c"):
        person.sandbox.add(text)
    outcome = await person.cycle(now=True)
    assert outcome.remarks == tuple(
        f"{person.todo}: no line could be added for “{text}”; it stays in Omi alone."
        for text in ("b", "c")
    )
    assert (outcome.counts, read(person)) == ({}, "> - [ ] a\n~~~\n")
    person.write("> - [ ] a\n\n~~~\n~~~\n")
    assert (await person.cycle(now=True)).counts == {"line.added": 2}
    assert person.omi() == dict.fromkeys("abc", False)


@pytest.mark.parametrize(
    ("lines", "edit"),
    [
        (
            "- [ ] a\n- [ ] b <!-- ` -->\n",
            lambda items: setattr(items["b"], "description", "x ` y"),
        ),
        ("- [ ] b\n  <!-- x\n- [ ] a\n", None),
    ],
)
async def test_what_the_file_cannot_say_stays_on_both_sides(
    person: Person, lines: str, edit: Callable[[dict[str, Item]], None] | None
) -> None:
    """The remark names the line; all else is written, and neither side is given the other's."""
    person.settings = TWO_WAY
    person.write(lines)
    await person.settle()
    items = {one.description: one for one in person.sandbox.items.values()}
    if edit is None:
        del person.sandbox.items[items["b"].id]
        for _ in range(2):
            await person.cycle(now=True)
    else:
        edit(items)
    items["a"].completed = True
    held = person.omi()
    person.sent()
    outcome = await person.cycle(now=True)
    line = next(n for n, text in enumerate(lines.splitlines(), 1) if "] b" in text)
    (remark,) = outcome.remarks
    assert remark == f"{person.todo}:{line}: " + (
        "what Omi says of the text of “b” cannot be written into this line; there each side keeps"
        " its own."
        if edit
        else "“b” was deleted in Omi, and its line cannot go without harm to others; it stays."
    )
    assert outcome.counts == {"line.changed": 1}
    assert read(person) == lines.replace("[ ] a", "[x] a")
    assert person.omi() == held
    assert {method for method, _ in person.sent()} == {"GET"}
    assert (await person.cycle(now=True)).remarks == outcome.remarks


async def test_a_write_that_is_refused_at_last_leaves_nothing(person: Person) -> None:
    """The file got a second name once the write was noted: note and copy go till later."""
    person.settings = TWO_WAY
    person.write("- [ ] a\n")
    await person.settle()
    person.sandbox.add("new")
    other, steps = person.home / "other name.md", [""]

    def name_it(step: str) -> None:
        if (steps[-1], step) == ("store.write", "store.commit") and not other.exists():
            other.hardlink_to(person.todo)
        steps.append(step)

    person.trace = name_it
    outcome = await person.cycle(now=True)
    person.trace = None
    assert (outcome.code, [type(one) for one in outcome.troubles]) == (
        errors.BAD_FILE,
        [errors.FileUnusable],
    )
    assert read(person) == "- [ ] a\n"
    assert [*inward.copies_folder(person.store_path).glob("*")] == []
    with Store.open(person.store_path) as store:
        assert store.writing() is None
    other.unlink()
    await person.settle()
    assert read(person) == "- [ ] a\n- [ ] new\n"


async def test_a_new_line_stands_behind_one_that_could_not_go(person: Person) -> None:
    """What stays keeps its rank, though the write that adds the line was to take it out."""
    person.settings = TWO_WAY
    person.write("- [ ] b\n  <!-- x\n- [ ] a\n- [ ] c\n")
    await person.settle()
    for text in ("b", "c"):
        del person.sandbox.items[item(person, text).id]
    for _ in range(2):
        await person.cycle(now=True)
    person.sandbox.add("new")
    outcome = await person.cycle(now=True)
    assert outcome.counts == {"line.added": 1, "line.removed": 1}
    assert read(person) == "- [ ] b\n  <!-- x\n- [ ] a\n- [ ] new\n"
    with Store.open(person.store_path) as store:
        links = tuple(store.links())
    assert [one.seen.text for one in links] == ["b", "a", "new"]
    assert len({one.rank for one in links}) == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("todo.md", "- [ ] two lines\n"),
        ("todo.toml", '[[todo]]\ndescription = "two\\nlines"\n'),
    ],
)
async def test_what_omi_says_is_written_as_the_file_can_say_it(
    person: Person, name: str, text: str
) -> None:
    """In one line of Markdown, as it is in TOML; and it is not taken for an edit."""
    person.settings, person.name = TWO_WAY, name
    person.write("")
    person.sandbox.add("two\nlines")
    await person.settle()
    item(person, "two\nlines").due_at = DUE
    await person.settle()
    item(person, "two\nlines").due_at = None
    await person.settle()
    assert read(person).lstrip() == text
    assert person.omi() == {"two\nlines": False}
    with Store.open(person.store_path) as store:
        assert store.clashes() == []


async def test_what_the_file_cannot_say_keeps_nothing_back(person: Person) -> None:
    """A tick goes to Omi, and what is reworded here gives no way to what nobody can write."""
    person.settings = TWO_WAY
    person.write("- [ ] a\n- [ ] buy milk <!-- ` -->\n")
    await person.settle()
    item(person, "buy milk").description = "x ` y"
    person.write("- [ ] a\n\n# Home\n\n- [x] buy milk <!-- ` -->\n")
    (told,) = (await person.cycle(now=True)).remarks
    assert "of the text of “buy milk” cannot be written" in told
    assert person.omi() == {"a": False, "x ` y": True}
    assert (await person.cycle(now=True)).counts == {}
    reworded = read(person).replace("milk <", "oat milk <")
    person.write(reworded)
    await person.cycle(now=True)
    assert read(person) == reworded
    assert person.omi() == {"a": False, "buy oat milk": True}
    with Store.open(person.store_path) as store:
        (clashed,) = store.clashes()
    assert (clashed.clash.lost, clashed.clash.lost_value) == ("remote", "x ` y")


async def test_what_gives_way_as_no_line_can_say_it_is_not_told_beside(person: Person) -> None:
    """Omi's word counts more, but there the line's is written; other lines are sent too."""
    person.settings = f'{TWO_WAY}prefer = "remote"\n'
    person.write("- [ ] buy milk <!-- ` -->\n- [ ] a\n")
    await person.settle()
    item(person, "buy milk").description = "x ` y"
    person.write("- [ ] buy oat milk <!-- ` -->\n- [x] a\n")
    assert (await person.cycle(now=True)).remarks == ()
    assert person.omi() == {"buy oat milk": False, "a": True}


@pytest.mark.parametrize(
    ("prefer", "line"),
    [
        ("local", "- [ ] buy milk due:2027-02-02 <!-- ` -->\n"),
        ("remote", "- [ ] buy milk due:2027-01-05 <!-- ` -->\n"),
    ],
)
async def test_only_what_cannot_be_written_is_left_out(
    person: Person, prefer: str, line: str
) -> None:
    """A text that its line cannot hold takes no date with it, in a clash neither."""
    person.settings = f'{TWO_WAY}prefer = "{prefer}"\n'
    person.write("- [ ] buy milk due:2027-01-01 <!-- ` -->\n- [ ] call Bob <!-- ` -->\n")
    await person.settle()
    items = [item(person, text) for text in ("buy milk", "call Bob")]
    for one in items:
        one.description, one.due_at = (
            f"{one.description} ` now",
            datetime(2027, 1, 5, 9, tzinfo=UTC),
        )
    person.write("- [ ] buy milk due:2027-02-02 <!-- ` -->\n- [ ] call Bob <!-- ` -->\n")
    outcome = await person.cycle(now=True)
    assert len(outcome.remarks) == 2
    assert all("what Omi says of the text of " in remark for remark in outcome.remarks)
    assert read(person) == line + "- [ ] call Bob due:2027-01-05 <!-- ` -->\n"
    assert [one.description for one in items] == ["buy milk ` now", "call Bob ` now"]
    assert [str(one.due_at)[:10] for one in items] == [line[19:29], "2027-01-05"]


async def test_of_all_that_changed_only_what_cannot_be_written_is_left_out(person: Person) -> None:
    """A text that its line cannot hold takes neither the date with it nor the tick."""
    person.settings = TWO_WAY
    person.write("- [ ] buy milk <!-- ` -->\n")
    await person.settle()
    one = item(person, "buy milk")
    one.description, one.completed, one.due_at = "x ` y", True, DUE
    (told,) = (await person.cycle(now=True)).remarks
    assert "what Omi says of the text of “buy milk” cannot be written" in told
    assert read(person) == "- [x] buy milk 📅 2026-05-01 <!-- ` -->\n"


async def test_a_tick_is_written_where_neither_text_nor_date_can_be(person: Person) -> None:
    """No backtick fits before that comment, and the date stands twice in its line."""
    person.settings = TWO_WAY
    line = "- [ ] pay 📅 2026-12-10 (reminder due:2026-11-20) <!-- ` -->\n"
    person.write(line)
    await person.settle()
    (paid,) = person.sandbox.items.values()
    said = paid.description
    paid.description, paid.completed, paid.due_at = "x ` y", True, None
    (told,) = (await person.cycle(now=True)).remarks
    assert f"what Omi says of the date and the text of “{said}” cannot be written" in told
    assert read(person) == line.replace("[ ]", "[x]")


async def test_a_clash_about_what_no_line_can_say_is_told_as_that_alone(person: Person) -> None:
    """Omi's word counts more but cannot be written: the line's goes there, as with any clash."""
    person.settings = f'{TWO_WAY}prefer = "remote"\n'
    person.write("- [ ] buy milk <!-- ` -->\n")
    await person.settle()
    item(person, "buy milk").description = "x ` y"
    person.write("- [ ] buy oat milk <!-- ` -->\n")
    outcome = await person.cycle(now=True)
    assert outcome.plan is not None
    (clash,) = outcome.plan.clashes
    assert (clash.field, clash.lost, clash.lost_value) == ("description", "remote", "x ` y")
    assert outcome.remarks == ()
    assert person.omi() == {"buy oat milk": False}
    assert read(person) == "- [ ] buy oat milk <!-- ` -->\n"


async def test_an_id_that_cannot_be_written_is_told(person: Person) -> None:
    """A token that stands alone is the text of its line; beside an id it would be a date."""
    lines = "- [ ] due:2026-01-01\n- [ ] 📅 2026-01-02\n"
    person.settings = TWO_WAY
    person.write(lines)
    await person.settle()
    person.settings += 'ids = "inline"\n'
    outcome = await person.cycle(now=True)
    assert outcome.remarks == tuple(
        f"{person.todo}:{line}: “{text}” cannot be written anew here (its id); the line stays as"
        " it is."
        for line, text in ((1, "due:2026-01-01"), (2, "📅 2026-01-02"))
    )
    assert (outcome.code, outcome.counts) == (errors.OK, {})
    assert read(person) == lines


async def test_the_end_of_a_long_text_does_not_overwrite_what_no_line_can_say(
    person: Person,
) -> None:
    """Where Omi's word counts more, and nobody edited the line."""
    person.settings = f'{TWO_WAY}prefer = "remote"\n'
    person.write(f"- [ ] {'word ' * 120}end <!-- ` -->\n")
    await person.settle()
    (long,) = person.sandbox.items.values()
    long.description = "x ` y"
    person.sent()
    (told,) = (await person.cycle(now=True)).remarks
    assert "there each side keeps its own" in told
    assert long.description == "x ` y"
    assert {method for method, _ in person.sent()} == {"GET"}


@pytest.mark.parametrize("prefer", ["local", "remote"])
async def test_each_field_is_written_for_itself_where_one_cannot(
    person: Person, prefer: str
) -> None:
    """A date stays that stands twice in its line; ticks and words cross, both ways."""
    person.settings = f'{TWO_WAY}prefer = "{prefer}"\n'
    line = "- [ ] pay 📅 2026-12-10 (reminder due:2026-11-20)\n"
    person.write(line)
    await person.settle()
    (paid,) = person.sandbox.items.values()
    said = paid.description
    paid.due_at, paid.completed = None, True
    outcome = await person.cycle(now=True)
    (told,) = outcome.remarks
    assert told == (
        f"{person.todo}:1: what Omi says of the date of “{said}” cannot be written into this"
        " line; there each side keeps its own."
    )
    assert outcome.counts == {"line.changed": 1}
    assert read(person) == line.replace("[ ]", "[x]")
    person.write(line.replace("pay", "pay the rent"))
    await person.settle()
    assert person.omi() == {said.replace("pay", "pay the rent"): False}
    assert paid.due_at is None
    assert read(person) == line.replace("pay", "pay the rent")
    with Store.open(person.store_path) as store:
        assert store.clashes() == []
    person.write("- [ ] pay the rent\n")
    await person.settle()
    assert (await person.cycle(now=True)).remarks == ()
    assert person.omi() == {"pay the rent": False}


async def test_a_write_that_is_refused_leaves_nothing(both: Person) -> None:
    """No copy, nothing under way, nothing to undo; the reason is the trouble of the cycle."""
    (both.home / "other name.md").hardlink_to(both.todo)
    both.sandbox.add("theirs")
    outcome = await both.cycle(now=True)
    assert outcome.code == errors.BAD_FILE
    assert [type(one) for one in outcome.troubles] == [errors.FileUnusable]
    assert (writes(both), copies(both)) == ([], [])
    assert read(both) == BEFORE


async def test_a_disk_that_fails_once_the_file_is_replaced(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written is found again: no line of the app becomes an item of its own."""
    person.settings = TWO_WAY + "adopt = false\n"
    person.write("- [ ] ours\n")
    await person.settle()
    person.sandbox.add("theirs")
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == person.home.stat().st_ino:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    outcome = await person.cycle(now=True)
    monkeypatch.undo()
    assert outcome.code == errors.OK
    assert sorted(read(person).split("\n")) == ["", "- [ ] ours", "- [ ] theirs"]
    await person.settle()
    assert person.omi() == {"ours": False, "theirs": False}


async def test_without_room_for_a_copy_nothing_is_written(person: Person) -> None:
    """What was typed goes to Omi all the same; the rest follows when there is room."""
    person.settings = TWO_WAY
    rest = "x" * 500_000 + "\n\n"
    person.write(rest + "- [ ] a\n- [ ] b\n")
    await person.settle()
    person.sandbox.add("theirs")
    item(person, "a").completed = True
    person.write(rest + "- [ ] a\n- [x] b\n")
    room = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (450_000, room[1]))
    try:
        outcome = await person.cycle(now=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, room)
    (trouble,) = outcome.troubles
    assert isinstance(trouble, errors.NoRoom)
    assert "to keep the old version" in trouble.message
    assert (outcome.counts, outcome.tasks) == ({"task.changed": 1}, 2)
    assert person.omi() == {"a": True, "b": True, "theirs": False}
    assert (writes(person), copies(person)) == ([], [])
    assert read(person).removeprefix(rest) == "- [ ] a\n- [x] b\n"
    await person.settle()
    assert read(person).removeprefix(rest) == "- [x] a\n- [x] b\n- [ ] theirs\n"


async def test_a_file_that_goes_while_omi_is_asked_is_not_waited_for(both: Person) -> None:
    """It is told, and nothing follows from it."""

    def go(step: str) -> None:
        if step == "reply.read":
            both.todo.unlink(missing_ok=True)

    both.trace = go
    outcome = await both.cycle(now=True)
    both.trace = None
    assert (outcome.code, outcome.counts) == (errors.NO_FILE, {})
    both.write(BEFORE)
    assert (await both.settle()).code == errors.OK
    assert both.omi() == dict.fromkeys(("call Bob", "mow", "stay", "paint"), False)


async def test_a_file_is_left_alone_while_it_is_being_saved(both: Person) -> None:
    """It is replaced no sooner than ``settle`` after the last save."""
    both.settings += "[watch]\nsettle = 0.1\n"
    both.sandbox.add("theirs")
    saved: list[float] = []

    def save() -> None:
        both.write(f"{BEFORE}- [ ] typed {len(saved)}\n")
        saved.append(both.todo.stat().st_mtime)

    save()
    asyncio.get_running_loop().call_later(0.05, save)
    await both.cycle(now=True)
    assert read(both) == f"{BEFORE}- [ ] typed 1\n- [ ] theirs\n"
    # A file is dated by a clock that ticks a few hundred times a second.
    assert both.todo.stat().st_mtime - saved[1] >= 0.09


async def test_each_write_leaves_a_copy(both: Person) -> None:
    """Under a name that sorts by age, with what was there before."""
    for text in ("one", "two"):
        both.sandbox.add(text)
        await both.settle()
    assert copies(both) == ["000001-todo.md", "000002-todo.md"]
    assert [one["copy"] for one in writes(both)] == copies(both)
    folder = both.store_path.parent / "todo.db.copies"
    assert (folder / "000002-todo.md").read_text() == f"{BEFORE}- [ ] one\n"


async def test_where_no_copy_can_be_kept_only_the_file_waits(both: Person) -> None:
    """65 until there is a folder; what the person did goes to Omi, and nothing is lost."""
    both.write(f"{BEFORE}- [ ] mine\n")
    await both.settle()
    folder = both.store_path.parent / "todo.db.copies"
    folder.touch()
    both.sandbox.add("theirs")
    both.write(f"{BEFORE}- [x] mine\n")
    outcome = await both.cycle(now=True)
    (trouble,) = outcome.troubles
    assert isinstance(trouble, errors.FileUnusable)
    assert str(folder) in trouble.message
    assert outcome.code == errors.BAD_FILE
    last = fact(both, "last")
    assert isinstance(last, dict)
    assert last["code"] == errors.BAD_FILE
    assert item(both, "mine").completed
    assert read(both) == f"{BEFORE}- [x] mine\n"
    folder.unlink()
    await both.settle()
    assert read(both) == f"{BEFORE}- [x] mine\n- [ ] theirs\n"


async def test_a_write_that_is_held_up_leaves_no_copy(both: Person) -> None:
    """However often it is tried; once it was made there is one more former version."""
    both.sandbox.add("one")
    await both.settle()
    both.sandbox.add("two")
    with both.todo.open("a"):
        for _ in range(2):
            outcome = await both.cycle(now=True)
            assert [type(one) for one in outcome.troubles] == [errors.FileHeld]
            assert copies(both) == ["000001-todo.md"]
    await both.settle()
    assert copies(both) == ["000001-todo.md", "000002-todo.md"]
    assert [one["copy"] for one in writes(both)] == copies(both)


async def test_a_write_that_cannot_be_noted_leaves_no_copy(
    both: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again and again: a disk that is full for the store stays so for a while."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.01)
    snapshot = file.read(both.todo)
    planned = Writing(snapshot.digest, "", (), (), "", (), {})
    async with both.desk() as desk:
        with closing(sqlite3.connect(both.store_path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(errors.StoreBusy):
                inward.announce(desk, snapshot, planned)
    assert copies(both) == []


async def test_writes_of_ids_push_out_nothing_that_can_be_undone(both: Person) -> None:
    """They leave versions too, of which the last twenty stay."""
    both.settings += 'ids = "inline"\n'
    await both.settle()
    both.sandbox.add("theirs")
    await both.settle()
    ((_, undoable),) = enumerate(one["copy"] for one in writes(both))
    folder = both.store_path.parent / "todo.db.copies"
    for _ in range(21):
        file.keep_copy(folder, "todo.md", b"of ids alone")
    both.write(read(both) + "- [ ] typed\n")
    await both.settle()
    assert "omi:" in read(both).splitlines()[-1]
    assert len(copies(both)) == 21
    assert undoable in copies(both)


async def test_twenty_writes_can_be_undone(both: Person) -> None:
    """Older ones are forgotten; a write of ids alone belongs to the write before."""
    item(both, "stay").description = "stay here"
    await both.settle()
    (first,) = writes(both)
    with Store.open(both.store_path) as store, store.transaction():
        older = [{**first, "copy": f"{n}", "after": f"{n}"} for n in range(19)]
        store.put_fact("written", [*older, {**first, "copy": "19"}])
    both.settings += 'ids = "inline"\n'
    await both.settle()
    made = writes(both)
    assert [one["copy"] for one in made] == [f"{n}" for n in range(20)]
    assert [one["after"] for one in made[:-1]] == [f"{n}" for n in range(19)]
    assert made[-1]["after"] == file.read(both.todo).digest
    item(both, "stay here").description = "stay there"
    await both.settle()
    made = writes(both)
    assert [one["copy"] for one in made] == [*(f"{n}" for n in range(1, 20)), copies(both)[-1]]
    assert made[-1]["after"] == file.read(both.todo).digest


async def test_a_removal_alone_can_be_undone(both: Person) -> None:
    """It is a write like any other: its line stands again where it stood."""
    del both.sandbox.items[item(both, "mow").id]
    for _ in range(2):
        await both.settle()
    assert read(both) == BEFORE.replace("- [ ] mow\n", "")
    (write,) = writes(both)
    assert (write["added"], write["former"]) == ([], {})
    async with both.desk() as desk:
        sync.undo(desk)
    assert read(both) == BEFORE


async def test_a_save_right_after_the_swap_wins(both: Person) -> None:
    """The write is made again into what was typed, and nothing is lost or doubled."""
    edit_in_the_app(both)
    typed = iter((True,))

    def save(step: str) -> None:
        if step == "file.swapped" and next(typed, False):
            both.write("- [ ] call Bob\n- [ ] mow\n- [ ] stay\n- [ ] paint green\n")

    both.trace = save
    await both.settle()
    both.trace = None
    assert read(both) == AFTER.replace("paint", "paint green")
    assert both.omi() == dict.fromkeys(
        ("call Robert", "mow", "stay", "paint green", "theirs"), False
    )
    assert lost(both) == []


async def test_a_clash_counts_once_however_often_the_file_is_saved(both: Person) -> None:
    """The second attempt decides it as the first did."""
    edit_in_the_app(both)
    both.write(BEFORE.replace("Bob", "Bobby"))
    typed = iter((True,))

    def save(step: str) -> None:
        if step == "file.written" and next(typed, False):
            both.write(BEFORE.replace("Bob", "Bobby").replace("paint", "paint green"))

    both.trace = save
    outcome = await both.cycle(now=True)
    both.trace = None
    assert outcome.counts == {"clash.decided": 1, "line.added": 1, "task.changed": 2}
    assert lost(both) == ["call Robert"]


async def test_what_cannot_be_written_is_told_once_however_often_the_file_is_saved(
    person: Person,
) -> None:
    """Each attempt finds it out anew."""
    person.settings = TWO_WAY
    source = "- [ ] a\n- [ ] b <!-- ` -->\n"
    person.write(source)
    await person.settle()
    item(person, "b").description = "x ` y"
    item(person, "a").completed = True
    typed = iter((True,))

    def save(step: str) -> None:
        if step == "file.written" and next(typed, False):
            person.write(f"{source}- [ ] c\n")

    person.trace = save
    outcome = await person.cycle(now=True)
    person.trace = None
    assert outcome.counts["line.changed"] == 1
    assert len(outcome.remarks) == 1


async def test_a_file_that_is_saved_twice_at_once_loses_neither_save(both: Person) -> None:
    """By its name and by a hand that still holds the former file: the older one is kept aside."""
    both.sandbox.add("theirs")
    held: list[TextIO] = []

    def save(step: str) -> None:
        if step == "file.checked" and not held:
            held.append(both.todo.open("r+", encoding="utf-8"))
        elif step == "file.swapped" and not held[0].closed:
            held[0].write("- [ ] call Tom\n")
            held[0].close()
            both.write(f"{BEFORE}- [ ] typed\n")

    both.trace = save
    outcome = await both.cycle(now=True)
    both.trace = None
    kept = both.store_path.parent / "todo.db.copies" / copies(both)[0]
    assert kept.read_text() == f"- [ ] call Tom\n{BEFORE[15:]}"
    assert outcome.remarks == (
        f"{both.todo} was saved twice at once; the older save is kept as {kept}",
    )
    await both.settle()
    assert read(both) == f"{BEFORE}- [ ] typed\n- [ ] theirs\n"


FORMER, LATER, LAST = (
    "Call Bob about the lease",
    "Call Robert about the lease renewal papers",
    "Phone Robert regarding renewal papers",
)


@pytest.mark.parametrize("trouble", ["reset_before", "401", "held", "hard link"])
async def test_a_line_is_known_by_what_it_said_last(person: Person, trouble: str) -> None:
    """Reworded twice while Omi, or the file, is out of reach: it is one task with one change."""
    person.settings = TWO_WAY
    person.write(f"- [ ] {FORMER}\n- [ ] mow\n- [ ] stay\n")
    await person.settle()
    item(person, "mow").completed = True
    with ExitStack() as stack:
        if trouble == "hard link":
            person.home.joinpath("other").hardlink_to(person.todo)
        for text in (LATER, LAST):
            person.write(f"- [ ] {text}\n- [ ] mow\n- [ ] stay\n")
            if trouble == "held":
                stack.enter_context(person.todo.open("r+b"))
            elif trouble != "hard link":
                person.sandbox.fault_rate({trouble: 1.0})
            assert (await person.cycle(now=True)).code not in errors.WELL
            person.clock.pass_by(400)
    person.sandbox.fault_rate({})
    person.home.joinpath("other").unlink(missing_ok=True)
    await person.settle()
    assert read(person) == f"- [ ] {LAST}\n- [x] mow\n- [ ] stay\n"
    assert person.omi() == {LAST: False, "mow": True, "stay": False}


@pytest.mark.parametrize("direction", ["push", "two-way"])
@pytest.mark.parametrize("later", ["", " tomorrow"])
async def test_a_line_is_known_by_what_it_said_before(
    person: Person, direction: str, later: str
) -> None:
    """Reworded twice while Omi was out of reach, then taken back: it is the same task."""
    person.settings = f'[sync]\ndirection = "{direction}"\n'
    person.write(f"- [ ] {FORMER}\n- [ ] mow\n- [ ] stay\n")
    await person.settle()
    person.sandbox.fault_rate({"reset_before": 1.0})
    for text in (LATER, LAST):
        person.write(f"- [ ] {text}\n- [ ] mow\n- [ ] stay\n")
        assert (await person.cycle(now=True)).code == errors.TEMPORARY
        person.clock.pass_by(400)
    person.sandbox.fault_rate({})
    for end in ("", later):
        person.write(f"- [ ] {FORMER}{end}\n- [ ] mow\n- [ ] stay\n")
        await person.settle()
    assert person.omi() == {f"{FORMER}{later}": False, "mow": False, "stay": False}
    assert len(person.sandbox.items) == 3


@pytest.mark.parametrize("on_removal", ["complete", "keep"])
async def test_of_another_list_nothing_is_remembered(person: Person, on_removal: str) -> None:
    """It came during an outage in place of the right one, which is known again afterwards."""
    person.settings = f'{TWO_WAY}on_removal = "{on_removal}"\n'
    verbs = ("paint", "sweep", "lock", "sell", "light", "heat", "move", "open")
    lines = "".join(f"- [ ] {verb} the shed\n" for verb in verbs)
    person.write(lines)
    await person.settle()
    person.sandbox.fault_rate({"reset_before": 1.0})
    person.write("- [ ] paint the house door\n")
    await person.cycle(now=True)
    assert link(person, "paint the shed").seen.text == "paint the shed"
    person.sandbox.fault_rate({})
    person.write(lines)
    person.sent()
    await person.settle()
    assert {method for method, _ in person.sent()} == {"GET"}


async def in_an_outage(person: Person, text: str, **how: object) -> None:
    """Save the file while Omi is out of reach, and look at it."""
    person.write(text)
    person.sandbox.fault_rate({"reset_before": 1.0})
    assert (await person.cycle(now=True, **how)).code == errors.TEMPORARY
    person.sandbox.fault_rate({})


async def test_a_list_whose_finished_lines_were_cleared_away_is_the_same_list(
    person: Person,
) -> None:
    """Nothing is removed in Omi with those: what an open line says is remembered."""
    person.settings = TWO_WAY
    done = "".join(f"- [x] task {n}\n" for n in range(6))
    person.write(f"- [ ] {FORMER}\n{done}")
    await person.settle()
    await in_an_outage(person, f"- [ ] {LATER}\n")
    assert link(person, LATER).remote_id == item(person, FORMER).id


async def test_a_line_is_known_by_where_it_stood_last(person: Person) -> None:
    """Moved while Omi is out of reach: its section and its place are remembered."""
    person.settings = TWO_WAY
    person.write("- [ ] a\n- [ ] b\n\n# Later\n\n- [ ] c\n")
    await person.settle()
    await in_an_outage(person, "- [ ] b\n\n# Later\n\n- [ ] c\n- [ ] a\n")
    moved = link(person, "a")
    assert (moved.section, moved.rank > link(person, "c").rank) == ("Later", True)


async def test_a_line_that_was_back_in_an_outage_has_all_its_grace_anew(
    person: Person, clock: Clock
) -> None:
    """What it was absent before that counts for nothing."""
    person.settings = TWO_WAY
    person.write("- [ ] a\n- [ ] b\n")
    await person.settle()
    for text in ("- [ ] b\n", "- [ ] a\n- [ ] b\n", "- [ ] b\n"):
        clock.pass_by(1000)
        if "a" in text:
            await in_an_outage(person, text, grace=1500.0)
        else:
            person.write(text)
            await person.cycle(now=True, grace=1500.0)
    assert link(person, "a").absent_since == clock.now
    assert person.omi() == {"a": False, "b": False}


@pytest.mark.parametrize("blocked", [False, True])
async def test_dates_that_only_omi_has_come_in_when_they_can(person: Person, blocked: bool) -> None:
    """Those that a push left to the item, be it that the first look could write nothing."""
    person.settings = '[sync]\ntimezone = "UTC"\n'
    person.sandbox.add("call Bob", due_at=datetime(2027, 5, 6, 9, tzinfo=UTC))
    person.write("- [ ] call Bob\n- [ ] mow\n- [ ] stay\n")
    await person.settle()
    person.settings = TWO_WAY
    other = person.home / "other"
    if blocked:
        other.hardlink_to(person.todo)
        assert (await person.cycle(now=True)).code == errors.BAD_FILE
        other.unlink()
    await person.settle()
    assert read(person) == "- [ ] call Bob 📅 2027-05-06\n- [ ] mow\n- [ ] stay\n"


@pytest.mark.parametrize("prefer", ["local", "remote"])
async def test_what_the_person_did_goes_out_though_no_line_can_be_written(
    person: Person, prefer: str
) -> None:
    """A clash that the app would win waits for the file; nothing gave way till then."""
    person.settings = f'{TWO_WAY}prefer = "{prefer}"\n'
    person.write("- [ ] call Bob\n- [ ] mow\n- [ ] stay\n")
    await person.settle()
    bob, mow = item(person, "call Bob"), item(person, "mow")
    other = person.home / "other"
    other.hardlink_to(person.todo)
    bob.description, bob.completed, mow.completed = "call Bob later", True, True
    person.write("- [ ] call Bob now\n- [ ] mow well\n- [ ] stay\n")
    outcome = await person.cycle(now=True)
    wins = prefer == "local"
    assert outcome.code == errors.BAD_FILE
    assert outcome.counts == ({"clash.decided": 1} if wins else {}) | {"task.changed": 1 + wins}
    assert person.omi() == {
        "call Bob now" if wins else "call Bob later": True,
        "mow well": True,
        "stay": False,
    }
    assert (await person.cycle(now=True)).counts == {}
    other.unlink()
    person.write("- [ ] call Bob\n- [ ] mow well\n- [ ] stay\n")  # taken back
    await person.settle()
    bob_says = "call Bob" if wins else "call Bob later"
    assert read(person) == f"- [x] {bob_says}\n- [x] mow well\n- [ ] stay\n"
    with Store.open(person.store_path) as store:
        assert [one.clash.lost for one in store.clashes()] == ["remote"] * wins


async def test_what_no_line_can_say_gives_way_though_no_line_can_be_written(person: Person) -> None:
    """The tick waits for the file; for the text there is nothing to wait for."""
    person.settings = f'{TWO_WAY}prefer = "remote"\n'
    person.write("- [ ] buy milk <!-- ` -->\n")
    await person.settle()
    (person.home / "other").hardlink_to(person.todo)
    milk = item(person, "buy milk")
    milk.description, milk.completed = "x ` y", True
    person.write("- [ ] buy oat milk <!-- ` -->\n")
    assert (await person.cycle(now=True)).code == errors.BAD_FILE
    assert person.omi() == {"buy oat milk": True}
    with Store.open(person.store_path) as store:
        assert [one.clash.lost for one in store.clashes()] == ["remote"]


@pytest.mark.parametrize("text", ["", "m" * 10_001])
async def test_a_text_of_omi_that_no_line_can_say_is_told(both: Person, text: str) -> None:
    """Each side keeps its own, and in a clash what gives way is kept whole."""
    item(both, "call Bob").description = text
    (told,) = (await both.cycle(now=True)).remarks
    assert told == (
        f"{both.todo}:1: what Omi says of the text of “call Bob” cannot be written into this"
        " line; there each side keeps its own."
    )
    both.sandbox.fault_next("reset_before")
    assert (await both.cycle(now=True)).code == errors.TEMPORARY
    assert (await both.cycle(now=True)).idle
    assert fact(both, "last")["remarks"] == [told]
    both.write(read(both).replace("call Bob", "call Bob now"))
    await both.settle()
    assert item(both, "call Bob now").id
    with Store.open(both.store_path) as store:
        (one,) = store.clashes()
    assert (one.clash.lost, one.clash.lost_value) == ("remote", text[:10_000])


async def test_the_same_clash_after_it_was_put_back_is_another(both: Person) -> None:
    """It can be put back again."""
    for _ in range(2):
        bob = next(one for one in both.sandbox.items.values() if "Bob" in one.description)
        both.write(read(both).replace("call Bob later", "call Bob"))
        await both.settle()
        bob.description = "call Bob later"
        both.write(read(both).replace("call Bob", "call Bob now"))
        await both.settle()
        async with both.desk() as desk:
            sync.restore(desk, 1)
        await both.settle()
        assert read(both).startswith("- [ ] call Bob later\n")
        both.write(read(both).replace("call Bob later", "call Bob"))
        await both.settle()
