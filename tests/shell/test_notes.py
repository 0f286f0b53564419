"""Notes of the store: written as older versions read them, and read as those wrote them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from omisync.errors import StoreUnusable
from omisync.store import Store
from omisync.store.notes import (
    Allowance,
    AllowedDeparture,
    LastRun,
    Listed,
    Note,
    Refusal,
    RefusedDeparture,
    Settled,
    Write,
    Written,
    moment,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTLED = {
    "digest": "d",
    "signature": [1, 2, 3, 4],
    "at": 5.5,
    "setting": "s",
    "code": 1,
    "tasks": 3,
    "parked": 1,
    "look_at": 9.5,
}
"""As it was written where something had been done."""
LAST = {
    "at": 5.5,
    "code": 75,
    "tasks": 3,
    "waiting": 2,
    "retry_at": 9.5,
    "next_at": 8.5,
    "success_at": None,
    "failing_since": 4.5,
    "troubles": [["no route", "Look at the network."]],
    "guarded": False,
    "remarks": ["1 waits"],
    "kinds": ["Unreachable"],
}
WRITE = {"copy": "c", "after": "a", "added": ["k"], "former": {"q": ["t", True, None]}, "clash": 4}

NOTES: list[tuple[str, object, type[Note]]] = [
    ("settled", SETTLED | {"listing": "l", "due_at": 8.5, "remarks": ["r"], "format": 5}, Settled),
    ("last", LAST, LastRun),
    ("listed", {"at": 5.5, "cost": 2, "pause": 3.5, "spent": [[5.5, 2]], "owed": "look"}, Listed),
    ("refused", ["digest", 12, 14], Refusal),
    ("allowed", ["digest", 12], Allowance),
    ("refused_departure", [12, 20], RefusedDeparture),
    ("allowed_departure", {"count": 12, "until": 9.5}, AllowedDeparture),
    ("written", [WRITE, WRITE | {"clash": None}], Written),
    ("written", [], Written),
]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Store]:
    """Yield a store of its own."""
    with Store.open(tmp_path / "s.db") as store:
        yield store


@pytest.mark.parametrize(("name", "value", "kind"), NOTES)
def test_a_note_is_written_as_it_was_read(
    opened: Store, name: str, value: object, kind: type[Note]
) -> None:
    """Names, shape and order are those of the versions before it had a type."""
    with opened.transaction():
        opened.put_fact(name, value)
    note = opened.note(kind)
    assert note is not None
    with opened.transaction():
        opened.put_fact(name, None)
        opened.put_note(note)
    assert repr(opened.fact(name)) == repr(value)
    assert opened.note(kind) == note
    with opened.transaction():
        opened.drop_note(kind)
    assert opened.fact(name) is None
    assert opened.note(kind) is None


@pytest.mark.parametrize("kind", [kind for _, _, kind in NOTES if kind is not Written])
@pytest.mark.parametrize("shape", [None, "digest", 5, True, ["digest"], [{}, "a", "b"]])
def test_a_note_of_another_shape_counts_as_none(
    opened: Store, kind: type[Note], shape: object
) -> None:
    """As the digest that alone was allowed once."""
    with opened.transaction():
        opened.put_fact(kind.NAME, shape)
    assert opened.note(kind) is None


def test_what_an_older_version_did_not_note_has_a_default(opened: Store) -> None:
    """Nothing is due, owed, said before or put back that nobody wrote down."""
    listed = {"at": 5.5, "cost": 2, "pause": 3.5, "spent": []}
    with opened.transaction():
        opened.put_fact("settled", SETTLED)
        opened.put_fact("last", {"code": 65})
        opened.put_fact("listed", listed)
        opened.put_fact("written", [{"copy": "c", "after": "a", "added": []}])
    settled, of_listed = opened.note(Settled), opened.note(Listed)
    assert settled is not None
    assert of_listed is not None
    assert (settled.listing, settled.due_at, of_listed.owed) == (None, None, "")
    assert opened.note(LastRun) == LastRun(code=65, guarded=None)
    assert opened.note(Written) == Written((Write(copy="c", after="a", added=[]),))


def test_what_the_last_run_did_not_mean_is_left_out(opened: Store) -> None:
    """One field that has no sense costs no other."""
    odd = {"at": "5", "tasks": "3", "waiting": None, "troubles": [["m", "a"], ["m"], 5], "tea": 1}
    with opened.transaction():
        opened.put_fact("last", LAST | odd)
    last = opened.note(LastRun)
    well = LastRun.from_json(LAST)
    assert last is not None
    assert well is not None
    assert last == replace(well, at=None, tasks=None, waiting=0, troubles=(("m", "a"),))


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("settled", {"digest": "d"}, Settled),
        ("last", {"at": 5.5}, LastRun),
        ("listed", {"at": 5.5, "cost": 2, "pause": -1, "spent": []}, Listed),
        ("allowed_departure", {"count": 12}, AllowedDeparture),
        ("written", [{"copy": "c"}], Written),
    ],
)
def test_a_damaged_note_is_told(opened: Store, name: str, value: object, kind: type[Note]) -> None:
    """A table that lacks what it always has is no note of another version."""
    with opened.transaction():
        opened.put_fact(name, value)
    with pytest.raises(StoreUnusable) as told:
        opened.note(kind)
    assert told.value.damaged


def test_writes_in_another_shape_are_none_to_take_back(opened: Store) -> None:
    """Something was written: that is told apart from a file that never was."""
    assert opened.note(Written) is None
    with opened.transaction():
        opened.put_fact("written", "odd")
    assert opened.note(Written) == Written(())


def test_a_time_is_a_number() -> None:
    """And nothing else is."""
    assert [moment(value) for value in (5, 5.5, "5", None)] == [5, 5.5, None, None]
