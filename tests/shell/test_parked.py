"""Parked tasks go on when their person says so: tried again, or given up."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

import pytest

from omisync import errors, sync
from omisync.store import Event

if TYPE_CHECKING:
    from person import Person


@pytest.fixture
async def parked(person: Person) -> Person:
    """Someone with two parked new tasks, a parked edit and two parked removals."""
    person.write("- [ ] buy cat food\n- [ ] feed the cat\n- [ ] mow\n")
    await person.cycle()
    for item in person.sandbox.items.values():
        item.locked = True
    person.sandbox.refuse = {"rent": 422, "quark": 422}
    person.write("- [x] buy cat food\n- [ ] rent\n- [ ] jog\n- [ ] quark\n")
    assert len((await person.cycle()).parked) == 5
    return person


async def test_a_task_is_tried_again_when_asked_for(parked: Person) -> None:
    """What has the text is not parked any more, is recorded, and the next cycle sends it."""
    parked.sandbox.refuse.clear()
    async with parked.desk() as desk:
        with desk.store.transaction():
            desk.store.put_links([link.but(failures=4) for link in desk.store.links()])
        assert sync.retry(desk.store, "rent", parked.clock.now) == ["rent"]
        rows = {link.seen.text: link for link in desk.store.links()}
        assert (rows["rent"].parked, rows["rent"].failures) == (None, 0)
        assert rows["quark"].parked is not None
        assert desk.store.fact("settled") is None
        key = rows["rent"].key
        assert desk.store.history(1) == [Event(parked.clock.now, "task.retried", "rent", key)]
        with pytest.raises(errors.UsageError) as none:
            sync.retry(desk.store, "jog", 0.0)
        assert none.value.message == "No parked task has “jog” in its text"
        assert none.value.advice == "`omisync status` tells how things stand."
        assert "rent" not in parked.omi()
        assert (await sync.cycle(desk)).counts == {"task.created": 1}
        assert set(sync.retry(desk.store, "", 0.0)) == {
            "buy cat food", "quark", "feed the cat", "mow"
        }  # fmt: skip
        with pytest.raises(errors.UsageError) as none:
            sync.retry(desk.store, "", 0.0)
        assert none.value.message == "No task is parked"


async def test_what_was_given_up_does_not_come_back_as_a_line(person: Person) -> None:
    """Its item is one that was left in Omi; written again, the line is that item's."""
    person.settings = '[sync]\ndirection = "two-way"\n'
    person.write("- [ ] a\n- [ ] b\n")
    await person.settle()
    person.write("- [ ] a\n")
    person.sandbox.fault_next("422", method="PATCH")
    assert (await person.cycle(now=True)).code == errors.PARKED
    async with person.desk() as desk:
        assert sync.forget(desk.store, "b", person.clock()) == ["b"]
    assert (await person.cycle(now=True)).counts == {}
    assert person.todo.read_text() == "- [ ] a\n"
    person.write("- [ ] b\n- [ ] a\n")
    assert (await person.cycle(now=True)).counts == {"task.revived": 1}
    assert person.omi() == {"a": False, "b": False}


async def test_a_removal_that_is_to_be_tried_again_is_given_up(parked: Person) -> None:
    """A retry may come before it: the removal is as pending as before."""
    async with parked.desk() as desk:
        sync.retry(desk.store, "cat", 5.0)
        assert sync.forget(desk.store, "feed the cat", 6.0) == ["feed the cat"]
    assert (await parked.cycle()).code == errors.PARKED
    assert parked.omi()["feed the cat"] is False


@pytest.mark.parametrize("text", ["", " ", "\n"])
async def test_an_empty_text_gives_nothing_up(parked: Person, text: str) -> None:
    """It stands in the text of each removal; a shell gives it for a variable that is not set."""
    async with parked.desk() as desk:
        with pytest.raises(errors.UsageError) as none:
            sync.forget(desk.store, text, 5.0)
        assert none.value.message == "An empty text names no removal"
        assert len([link for link in desk.store.links() if link.is_absent]) == 2


@pytest.mark.parametrize("written", ["call\nBob", "cafe\u0301  au lait", "\u2733\ufe0f star"])
async def test_a_text_is_named_as_it_is_shown_and_typed(person: Person, written: str) -> None:
    """With its line ends as spaces, and whichever way its accents are encoded."""
    person.name = "todo.toml"
    stays = '[[todo]]\ntext = "walk"\n'
    person.write(f"[[todo]]\ntext = {json.dumps(written)}\n{stays}")
    await person.cycle()
    person.write(stays)
    person.sandbox.fault_next("422", method="PATCH")
    assert (await person.cycle()).code == errors.PARKED
    typed = " ".join(unicodedata.normalize("NFC", written).replace("\ufe0f", "").split())
    async with person.desk() as desk:
        assert sync.retry(desk.store, typed.upper(), 5.0) == [written]
        assert sync.forget(desk.store, typed, 5.0) == [written]


async def test_a_removal_is_given_up_when_asked_for(parked: Person) -> None:
    """Its item stays as it is; a task that still has its line is never given up."""
    async with parked.desk() as desk:
        row = next(link for link in desk.store.links() if link.seen.text == "feed the cat")
        assert sync.forget(desk.store, "cat", 5.0) == ["feed the cat"]
        texts = {link.seen.text for link in desk.store.links()}
        assert texts == {"buy cat food", "jog", "rent", "quark", "mow"}
        assert desk.store.fact("settled") is None
        told = Event(5.0, "task.given_up", "feed the cat", row.key, row.remote_id)
        assert desk.store.history(1) == [told]
        stones = {one.remote_id: one.counted for one in desk.store.tombstones(5.0)}
        assert stones == {row.remote_id: False}  # the guard counts it with no later removal
        with pytest.raises(errors.UsageError) as none:
            sync.forget(desk.store, "cat", 5.0)
        assert none.value.message == "No removal that is parked or waits fits “cat”"
        assert none.value.advice == (
            "`omisync status` lists them, if there are any. A task that still has its line: remove"
            " the line first."
        )
    assert (await parked.cycle()).code == errors.PARKED
    assert parked.omi() == {
        "buy cat food": False, "feed the cat": False, "mow": False, "jog": False
    }  # fmt: skip
