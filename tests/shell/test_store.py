"""The store keeps what it was given, and refuses what it cannot vouch for."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import sqlite3
import stat
import threading
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import due_values

from omisync import store
from omisync.core.model import (
    Base,
    Clash,
    Fields,
    Gate,
    Intent,
    Link,
    Parked,
    Task,
    Tombstone,
)
from omisync.errors import StoreBusy, StoreUnusable, Strained
from omisync.store import Clashed, Event, Store, Writing, opening

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
seconds = st.integers(0, 4_000_000_000).map(float)
tasks = st.builds(Task, words, st.booleans(), st.none() | due_values())
moments = st.datetimes(timezones=st.just(UTC))
fields = st.builds(Fields, words, st.booleans(), st.none() | moments)
parkings = st.builds(
    Parked, st.integers(0, 599), words, seconds, st.none() | tasks, st.none() | seconds
)
links = st.builds(
    Link,
    words,
    st.none() | words.filter(bool),
    tasks,
    words,
    st.integers(-(2**60), 2**60),
    st.none() | st.builds(Base, tasks, fields),
    st.none() | seconds,
    st.booleans(),
    st.integers(0, 99),
    st.none() | parkings,
    st.sets(st.sampled_from(["description", "completed", "due_at", "existence"])).map(frozenset),
    st.integers(-1, 2),
    st.none() | seconds,
    st.none() | seconds,
)
intents = st.builds(
    Intent,
    words,
    words,
    fields,
    tasks,
    st.lists(words, max_size=3).map(tuple),
    seconds,
    seconds,
    st.sampled_from([None, "5xx", "dropped", "timeout", "unlisted"]),
    st.none() | seconds,
    st.integers(0, 9),
    words,
    st.integers(-(2**60), 2**60),
)
stones = st.builds(
    Tombstone,
    words,
    words,
    tasks,
    fields,
    st.sampled_from(["complete", "keep"]),
    seconds,
    st.booleans(),
)


@settings(max_examples=25, deadline=None)  # each example is a store of its own on the disk
@given(
    st.lists(
        links,
        max_size=4,
        unique_by=(lambda link: link.key, lambda link: link.remote_id or link.key),
    )
)
def test_links_come_back_as_they_went(
    tmp_path_factory: pytest.TempPathFactory, given_links: list[Link]
) -> None:
    """Every field of every link, through a closed store."""
    path = tmp_path_factory.mktemp("s") / "s.db"
    with Store.open(path) as opened, opened.transaction():
        opened.put_links(given_links)
    with Store.open(path) as opened:
        assert opened.links() == sorted(given_links, key=lambda link: (link.rank, link.key))


@settings(max_examples=25, deadline=None)  # each example is a store of its own on the disk
@given(intents, stones)
def test_intents_and_tombstones_come_back_too(
    tmp_path_factory: pytest.TempPathFactory, intent: Intent, stone: Tombstone
) -> None:
    """Including times without a fraction and texts of any kind."""
    with Store.open(tmp_path_factory.mktemp("s") / "s.db") as opened:
        with opened.transaction():
            opened.put_intents([intent])
            opened.put_tombstones([stone])
        assert opened.intents() == [intent]
        assert opened.tombstones(stone.removed_at) == [stone]
        assert opened.tombstones(stone.removed_at + store.TOMBSTONE_SECONDS) == []


def test_a_kept_items_stone_is_asked_for_at_any_age(tmp_path: Path) -> None:
    """What was taken out of the file and is still in Omi does not come back with the years."""
    *there, gone = (
        Tombstone(how, how, Task("a"), Fields("a"), how, 0.0)
        for how in ("complete", "forgotten", "keep", "delete")
    )
    with Store.open(tmp_path / "s.db") as opened:
        with opened.transaction():
            opened.put_tombstones([*there, gone])
            opened.prune(store.TOMBSTONE_SECONDS * 9)
        assert opened.tombstones(store.TOMBSTONE_SECONDS * 9) == []
        assert opened.tombstones(store.TOMBSTONE_SECONDS * 9, kept=True) == there


def test_a_clash_is_remembered_once(tmp_path: Path) -> None:
    """A cycle that is repeated adds nothing; the same values an hour later are news."""
    clash = Clash("k", "call Bob", "description", "remote", "call Bob", "call Robert")
    with Store.open(tmp_path / "s.db") as opened:
        with opened.transaction():
            assert opened.record_clashes(0.0, [clash]) == [clash]
            assert opened.record_clashes(60.0, [clash]) == []
            opened.mark_restored(1, 90.0)
        assert opened.clashes() == [Clashed(1, 0.0, clash, 90.0)]
        with opened.transaction():
            assert opened.record_clashes(4000.0, [clash]) == [clash]
        assert opened.clashes() == [Clashed(1, 4000.0, clash, None)]


def test_a_write_under_way_comes_back_as_it_was_noted(tmp_path: Path) -> None:
    """Rows and all, in a closed store; settled, it is gone."""
    rows = (Link("a", "r", Task("a"), base=Base(Task("a"), Fields("a"))),)
    writing = Writing("before", "after", rows, ("gone",), "000001-todo.md", ("a",), {})
    with Store.open(tmp_path / "s.db") as opened:
        assert opened.writing() is None
        with opened.transaction():
            opened.put_writing(writing)
    with Store.open(tmp_path / "s.db") as opened:
        noted = opened.writing()
        assert noted is not None
        assert (noted.before, noted.after, noted.links) == ("before", "after", rows)
        assert ([*noted.gone], noted.copy, [*noted.added]) == (["gone"], "000001-todo.md", ["a"])
        with opened.transaction():
            opened.put_fact("writing", None)
        assert opened.writing() is None


@given(st.data())
@settings(max_examples=25)
def test_what_is_kept_in_memory_is_what_a_new_reading_gives(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever is written, moved, deleted or rolled back, here or by somebody else."""
    path = tmp_path_factory.mktemp("store") / "s.db"
    keys = st.sampled_from("abcdef")
    steps = st.sampled_from(
        ("put", "again", "still", "still", "drop", "undone", "other", "intend", "serve", "withdraw")
    )
    with Store.open(path) as kept, Store.open(path) as other:
        for step in data.draw(st.lists(steps, max_size=12)):
            key, link = data.draw(keys), data.draw(links)
            link = link.but(key=key, remote_id=f"r{key}")
            before = kept.links()
            said = [(one.key, one.seen) for one in before]
            if step in {"again", "still"}:  # in its place, as most writes are
                link = link.but(rank=next((old.rank for old in before if old.key == key), 0))
            if step == "still":
                link = standing_still(link)
            with (
                contextlib.suppress(RuntimeError),
                (other if step == "other" else kept).transaction(),
            ):
                writer = other if step == "other" else kept
                if step == "drop":
                    writer.drop_links([key])
                elif step == "intend":
                    writer.put_intents([data.draw(intents)._replace(key=key)])
                elif step == "serve":
                    writer.drop_intents([key])
                elif step == "withdraw":
                    writer.withdraw(one for one in writer.intents() if one.key == key)
                else:
                    writer.put_links([link])
                if step == "undone":
                    raise RuntimeError
            with Store.open(path) as fresh:
                ours, anew = kept.links(), fresh.links()
                assert ours == anew
                assert ours.fingerprints == anew.fingerprints
                assert ours.needs_decision == anew.needs_decision
                assert ours.may_reorder == anew.may_reorder
                assert [at for at, one in enumerate(ours) if one != standing_still(one)] == (
                    sorted(kept._rows._undecided)
                )
                assert kept.remote_ids() == {one.remote_id for one in anew} - {None}
                assert kept.is_linked() is bool(kept.remote_ids())
            assert [(one.key, one.seen) for one in before] == said


@given(st.data())
@settings(max_examples=25)
def test_an_intent_is_a_link_until_its_key_has_one(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Served it goes with its link, withdrawn it leaves it behind; a row of its own counts more."""
    steps = st.sampled_from(("put", "drop", "intend", "intend", "serve", "withdraw"))
    groups, some = st.sampled_from("gh"), st.lists(st.sampled_from("abcd"), unique=True)
    rows: dict[str, Link] = {}
    open_: dict[str, Intent] = {}
    with Store.open(tmp_path_factory.mktemp("store") / "s.db") as opened:
        for step in data.draw(st.lists(steps, max_size=12)):
            key = data.draw(st.sampled_from("abcd"))
            with opened.transaction():
                match step:
                    case "put":
                        rows[key] = data.draw(links).but(key=key, remote_id=f"r{key}")
                        opened.put_links([rows[key]])
                    case "drop":
                        rows.pop(key, None)
                        opened.drop_links([key])
                    case "intend":
                        given = [
                            data.draw(intents)._replace(key=one, group=data.draw(groups))
                            for one in data.draw(some)
                        ]
                        opened.put_intents(given)
                        for one in given:
                            if one.key in open_ and open_[one.key].group != one.group:
                                del open_[one.key]
                            open_[one.key] = one
                    case "serve":
                        served = data.draw(some)
                        opened.drop_intents(served)
                        open_ = {key: one for key, one in open_.items() if key not in served}
                    case "withdraw":
                        withdrawn = [open_.pop(key)] if key in open_ else []
                        opened.withdraw(withdrawn)
                        rows = {one.key: one.link for one in withdrawn} | rows
            wanted = {one.key: one.link for one in open_.values()} | rows
            assert opened.links() == sorted(wanted.values(), key=lambda one: (one.rank, one.key))
            in_order = sorted(open_.values(), key=lambda one: (one.sent_at, one.group))
            assert opened.intents() == in_order
            (batches,) = opened._db.execute("SELECT count(*) FROM intents").fetchone()
            assert batches == len({one.group for one in in_order})


def test_a_task_that_is_linked_while_others_look_is_seen_once(tmp_path: Path) -> None:
    """After every few steps of SQLite: as it was before or after, never twice, never not at all."""
    intents = [Intent(key, "g", Fields(key), Task(key), (), 1.0, 2.0) for key in "ab"]
    links = [intent.link.but(remote_id=f"r{intent.key}") for intent in intents]
    for moment in count(step=4):
        path = tmp_path / f"{moment}.db"
        steps = count()
        with Store.open(path) as writer:
            with writer.transaction():
                writer.put_intents(intents)

            def meanwhile(
                writer: Store = writer, steps: count[int] = steps, at: int = moment
            ) -> int:
                if next(steps) == at:
                    with writer.transaction():
                        writer.put_links(links)
                        writer.drop_intents("ab")
                return 0

            looked = Store.peek(path)
            assert looked is not None
            with looked:
                looked._db.set_progress_handler(meanwhile, 1)
                found = looked.links()
                looked._db.set_progress_handler(None, 1)
                assert found in ([intent.link for intent in intents], links)
        if next(steps) <= moment:
            break
    assert moment > 100


def standing_still(link: Link) -> Link:
    """The same link where both sides agree on it and nothing is waited for."""
    remote = link.base.remote if link.base else Fields(link.seen.text or "a")
    calm = {"absent_since": None, "clear_due": False, "failures": 0, "parked": None, "missing": 0}
    base = Base(link.seen, remote)
    return link.but(base=base, remote_id=link.remote_id or "r", doubt=frozenset(), **calm)


def test_a_link_that_is_written_is_not_read_for_what_it_was(tmp_path: Path) -> None:
    """What was looked at stays as it was seen; what was not is never passed off as it."""
    rows = [standing_still(Link(f"k{n}", f"r{n}", Task(f"t{n}"), rank=n)) for n in range(200)]
    with Store.open(tmp_path / "s.db") as opened:
        with opened.transaction():
            opened.put_links(rows)
        before = opened.links()
        assert before[3] == rows[3]
        with opened.transaction():
            opened.put_links([rows[3].but(seen=Task("new")), rows[150].but(seen=Task("new"))])
            opened.drop_links(["k199"])
        assert [before[3], before[149]] == [rows[3], rows[149]]
        for gone in (150, 199):
            with pytest.raises(StoreBusy):
                before[gone]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("remote_id", b"r"), ("remote_id", ""), ("text", b"x"), ("completed", 2),
        ("completed", "x"), ("due", b"x"), ("section", b"s"), ("rank", "x"),
        ("base_text", b"x"), ("base_completed", "y"),
        ("base_completed", None), ("base_due", b"x"), ("remote_description", None),
        ("remote_description", b"x"), ("remote_completed", 7), ("remote_completed", None),
        ("remote_due_at", b"x"), ("absent_since", "soon"), ("clear_due", 5), ("failures", "x"),
        ("parked", 1), ("parked", "[]"), ("doubt", b"x"), ("missing", "x"), ("probed_at", "x"),
        ("made_at", "x"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_told_at_once(
    tmp_path: Path, column: str, value: object
) -> None:
    """In one link of many, and before anything is looked at."""
    path = tmp_path / "s.db"
    rows = [standing_still(Link(f"k{n}", f"r{n}", Task(f"t{n}"), rank=n)) for n in range(9)]
    with Store.open(path) as opened, opened.transaction():
        opened.put_links(rows)
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE links SET {column} = ? WHERE key = 'k4'", (value,))  # noqa: S608 - ours
    with pytest.raises(StoreUnusable, match="damaged"), Store.open(path) as opened:
        opened.links()


@pytest.mark.parametrize(
    ("value", "other"),
    [
        ('"t"', "5"), ('"u"', "null"), ("false", '"no"'), ('"2026-01-31"', '"soon"'),
        ('"head"', "[]"), ("77", '"first"'), ("[]", "{}"), ("3.5", '"then"'), ("null", '"late"'),
        ('"k"', '"l"'), ("[[", "["), ("77", "77, 1"), ("]]", "], []]"), ("]]", "], 3]"),
    ],
)  # fmt: skip
def test_a_damaged_intent_is_told_at_once_too(tmp_path: Path, value: str, other: str) -> None:
    """Its create may have come through, and it carries its link: it is never left out."""
    path = tmp_path / "s.db"
    intent = Intent(
        "k", "g", Fields("u"), Task("t", due="2026-01-31"), (), 3.5, 1.0, section="head", rank=77
    )
    with Store.open(path) as opened, opened.transaction():
        opened.put_intents([intent])
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        (content,) = db.execute("SELECT content FROM intents").fetchone()
        assert value in content
        db.execute("UPDATE intents SET content = ?", (content.replace(value, other, 1),))
    for look in (Store.links, Store.intents):
        with pytest.raises(StoreUnusable, match="damaged"), Store.open(path) as opened:
            look(opened)


def older(path: Path, version: int, intents: list[Intent]) -> None:
    """Make a store one of an older version, with these intents.

    Before version 4 each had a row of its own.
    """
    if version > 3:
        with Store.open(path) as store, store.transaction():
            store.put_intents(intents)
    db = sqlite3.connect(path)
    db.executescript(f"""
        ALTER TABLE tombstones DROP COLUMN words;
        PRAGMA user_version={version};
    """)
    if version > 3:
        db.close()
        return
    place = ", section TEXT NOT NULL DEFAULT '', rank INTEGER NOT NULL DEFAULT 0"
    db.executescript(f"""
        DROP TABLE intents;
        CREATE TABLE intents (
            key TEXT PRIMARY KEY, batch TEXT NOT NULL, place INTEGER NOT NULL,
            description TEXT NOT NULL, remote_completed INTEGER NOT NULL, due_at TEXT,
            text TEXT NOT NULL, completed INTEGER NOT NULL, due TEXT,
            known_ids TEXT NOT NULL, server_date REAL NOT NULL, sent_at REAL NOT NULL,
            failure TEXT, failed_at REAL, looks INTEGER NOT NULL {place * (version > 2)}
        ) WITHOUT ROWID;
    """)
    for at, one in enumerate(intents):
        due = one.fields.due_at and one.fields.due_at.isoformat()
        row = [
            one.key, one.group, at, one.fields.description, one.fields.completed, due,
            one.task.text, one.task.completed, one.task.due, json.dumps(one.known_ids),
            one.server_date, one.sent_at, one.failure, one.failed_at, one.looks,
            *[one.section, one.rank] * (version > 2),
        ]  # fmt: skip
        db.execute(f"INSERT INTO intents VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - marks
    if version == 1:
        for column in ("missing", "probed_at", "made_at"):
            db.execute(f"ALTER TABLE links DROP COLUMN {column}")
        db.execute("DROP TABLE clashes")
    db.commit()
    db.close()


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_store_of_an_older_version_is_taken_over(tmp_path: Path, version: int) -> None:
    """It can be looked at as it is; opened for writing it becomes one of today."""
    path = tmp_path / "s.db"
    sent, link = Link("b", None, Task("b"), "head", 3), Link("a", "r", Task("a"), rank=7)
    due = datetime(2026, 1, 31, 12, tzinfo=UTC)
    first = Intent("b", "g", Fields("b", True, due), Task("b"), ("x", "y"), 1.0, 2.0, "5xx", 4.0, 1)
    second = Intent("c", "h", Fields("c"), Task("c", due="2026-01-31"), (), 1.0, 1.5)
    carried = Link("c", None, second.task)
    if version > 2:
        second = second._replace(section="head", rank=5)
        carried = second.link
    held = sorted([sent, link, carried], key=lambda one: one.rank)
    stone = Tombstone("k", "x", Task("a"), Fields("a"), "keep", 9.0)
    with Store.open(path) as opened, opened.transaction():
        opened.put_links([sent, link, *[carried] * (version < 3)])
        opened.put_tombstones([stone])
    older(path, version, [first, second])
    looked = Store.peek(path)
    assert looked is not None
    with looked:
        assert (looked.links(), looked.intents()) == (held, [second, first])
        assert (looked.clashes(), looked.tombstones(0.0)) == ([], [stone])
    for _ in range(2):
        with Store.open(path) as opened:
            assert (opened.links(), opened.intents()) == (held, [second, first])
            assert (opened.clashes(), opened.tombstones(0.0)) == ([], [stone])
    with Store.open(path) as opened:
        with opened.transaction():
            opened.put_links([link.but(missing=2)])
            opened.put_intents([first._replace(looks=2)])
            opened.put_tombstones([replace(stone, words="b")])
            opened.prune(0.0)
        assert opened.links() == [link.but(missing=2) if one is link else one for one in held]
        assert opened.intents() == [second, first._replace(looks=2)]
        assert opened.tombstones(0.0) == [replace(stone, words="b")]


@pytest.mark.parametrize(
    "damage", ["UPDATE intents SET known_ids = 'x'", "ALTER TABLE links DROP COLUMN parked"]
)
def test_a_store_that_cannot_be_taken_over_stays_as_it_is(tmp_path: Path, damage: str) -> None:
    """Damage in a store of an older version is told, and nothing was changed."""
    path = tmp_path / "s.db"
    Store.open(path).close()
    older(path, 3, [Intent("b", "g", Fields("b"), Task("b"), (), 1.0, 2.0)])
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(damage)
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="damaged"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_folder_in_the_place_of_a_store(tmp_path: Path) -> None:
    """It is named as one, and nothing is done with it."""
    with pytest.raises(StoreUnusable, match="is a folder") as caught:
        Store.open(tmp_path)
    assert "[state] path" in caught.value.advice


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFSOCK])
def test_no_other_thing_is_taken_for_a_store(tmp_path: Path, kind: int) -> None:
    """Nor waited for, nor called damaged: then a repair would move it away."""
    path = tmp_path / "s.db"
    os.mknod(path, kind | 0o600)
    for opened in (Store.open, Store.peek):
        with pytest.raises(StoreUnusable, match="a device or a pipe") as caught:
            opened(path)
        assert not caught.value.damaged


def test_a_second_link_to_one_item_is_refused(tmp_path: Path) -> None:
    """Two tasks for one item would be two owners: it fails, and the first stays."""
    link = Link("a", "r", Task("a"))
    with Store.open(tmp_path / "s.db") as opened:
        with opened.transaction():
            opened.put_links([link])
        with pytest.raises(sqlite3.IntegrityError), opened.transaction():
            opened.put_links([link.but(key="b")])
        assert opened.links() == [link]


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    """What fails half-way leaves nothing behind."""
    with Store.open(tmp_path / "s.db") as opened:

        def fail_half_way() -> None:
            with opened.transaction():
                opened.put_fact("a", 1)
                raise LookupError

        with pytest.raises(LookupError):
            fail_half_way()
        assert opened.fact("a") is None


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    """0600, with its write-ahead log, in a folder of its own."""
    path = tmp_path / "new" / "s.db"
    with Store.open(path) as opened:
        with opened.transaction():
            opened.put_fact("a", 1)
        for part in path.parent.iterdir():
            assert stat.S_IMODE(part.stat().st_mode) == 0o600, part
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_was_made_beside_a_store_that_could_only_be_read_is_writable_again(
    tmp_path: Path,
) -> None:
    """SQLite copies the mode of the store, and would trip over it for ever."""
    path = tmp_path / "s.db"
    with Store.open(path) as opened, opened.transaction():
        opened.put_fact("a", 1)
        beside = [path.with_name(f"s.db{tail}") for tail in ("-wal", "-shm")]
        for part in beside:
            part.chmod(0o444)
        with Store.open(path) as again:
            assert [stat.S_IMODE(part.stat().st_mode) for part in beside] == [0o600, 0o600]
            assert again.fact("a") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"\0" * len(data),
        lambda data: data[: len(data) // 2],
        lambda data: b"not a database at all" * 100,
        lambda data: data[:4096] + b"\xff" * (len(data) - 4096),
        lambda data: data[:100] + b"\xaa" * 3000 + data[3100:],
    ],
)
def test_damage_is_refused_never_read_as_empty(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """The message names the file and the repair; the file stays as it is."""
    path = tmp_path / "s.db"
    with Store.open(path) as opened, opened.transaction():
        opened.put_links(Link(f"k{n}", f"r{n}", Task("text " * 20)) for n in range(200))
    path.write_bytes(damage(path.read_bytes()))
    left = path.read_bytes()
    with pytest.raises(StoreUnusable) as caught, Store.open(path) as opened:
        opened.links()
    assert str(path) in caught.value.message
    assert "omisync repair" in caught.value.advice
    assert path.read_bytes() == left


@pytest.mark.parametrize(("table", "told"), [("notes", "another program"), ("links", "damaged")])
def test_another_programs_database_is_refused(tmp_path: Path, table: str, told: str) -> None:
    """A valid SQLite file is not yet a store, and no repair takes it; with our table it was one."""
    path = tmp_path / "s.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"CREATE TABLE {table} (a)")
    path.chmod(0o644)
    with pytest.raises(StoreUnusable, match=told) as caught:
        Store.open(path)
    assert caught.value.damaged == (told == "damaged")
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_store_without_tables_is_damaged(tmp_path: Path) -> None:
    """It is nobody's, and a repair may put another in its place."""
    path = tmp_path / "s.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("VACUUM")
    with pytest.raises(StoreUnusable, match="not an omisync store") as caught:
        Store.open(path)
    assert caught.value.damaged


def test_a_newer_store_is_refused_and_kept(tmp_path: Path) -> None:
    """An older omisync must not touch it; repair must not either."""
    path = tmp_path / "s.db"
    Store.open(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreUnusable, match="newer omisync") as caught:
        Store.open(path)
    assert not caught.value.damaged


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """The folder is a file: 74 with the way out."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match="cannot be written") as caught:
        Store.open(tmp_path / "file" / "s.db")
    assert "[state] path" in caught.value.advice


def test_a_store_that_another_writes_is_busy_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A foreign lock on the database file passes by itself."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.01)
    path = tmp_path / "s.db"
    with Store.open(path) as opened:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy), opened.transaction():
            opened.put_fact("a", 1)
        other.execute("ROLLBACK")
        other.close()
        with opened.transaction():
            opened.put_fact("a", 1)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    """The second is told who the first is; the lock ends with its block."""
    path = tmp_path / "s.db"
    assert store.holder(path) is None
    with store.lock(path, "the first"):
        assert "the first" in (store.holder(path) or "")
        with pytest.raises(StoreBusy, match="the first"), store.lock(path, "the second"):
            pass
    with store.lock(path, "the second"):
        pass
    assert store.holder(path) is None


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some of a network: 74 with the reason and a way out, and nobody holds what is there.

    One that is out of order for a moment is not for good.
    """
    path = tmp_path / "s.db"
    with store.lock(path, "the first"):
        pass

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with (
        pytest.raises(StoreUnusable, match="cannot be locked: No locks available") as caught,
        store.lock(path, "the second"),
    ):
        pass
    assert "[state] path" in caught.value.advice
    assert store.holder(path) is None

    def stale(*_: object) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(fcntl, "flock", stale)
    with pytest.raises(Strained, match="cannot be locked: Stale"), store.lock(path, "the second"):
        pass


def test_who_looks_for_the_holder_is_in_nobodys_way(tmp_path: Path) -> None:
    """However often somebody looks, a command that comes meanwhile gets the lock."""
    path, over = tmp_path / "s.db", threading.Event()
    with store.lock(path, "the first"):
        pass

    def look() -> None:
        while not over.is_set():
            store.holder(path)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(200):
            with store.lock(path, "the second"):
                pass
    finally:
        over.set()
        looking.join()


def test_peeking_creates_nothing(tmp_path: Path) -> None:
    """Reading where there is nothing leaves nothing; where there is, it reads beside a writer."""
    path = tmp_path / "s.db"
    assert Store.peek(path) is None
    assert list(tmp_path.iterdir()) == []
    with Store.open(path) as opened, opened.transaction():
        opened.put_fact("a", 1)
        peeked = Store.peek(path)
        assert peeked is not None
        with peeked:
            assert peeked.fact("a") is None


def test_what_is_in_the_log_alone_is_never_left_out(tmp_path: Path) -> None:
    """Where reading beside a writer fails, the store without its log is not taken for all."""
    path = tmp_path / "s.db"
    Store.open(path).close()
    assert opening.is_at_rest(path)
    with Store.open(path) as opened:
        assert not opening.is_at_rest(path)
        with opened.transaction():
            opened.put_fact("a", 1)
        for tail in ("", "-wal"):
            shutil.copy(f"{path}{tail}", f"{tmp_path}/copy.db{tail}")
    assert opening.is_at_rest(path)
    assert not opening.is_at_rest(tmp_path / "copy.db")


def test_history_is_bounded(tmp_path: Path) -> None:
    """90 days, 50,000 events: what is beyond goes with the next pruning."""
    with Store.open(tmp_path / "s.db") as opened:
        with opened.transaction():
            opened.record(Event(0.0, "old"))
            opened.record(*(Event(1e9, "new", str(n)) for n in range(store.HISTORY_ROWS + 10)))
        events = opened.history(store.HISTORY_ROWS + 20)
        assert len(events) == store.HISTORY_ROWS
        assert (events[0].text, events[-1].text) == ("10", str(store.HISTORY_ROWS + 9))


def test_old_history_goes_however_little_there_is(tmp_path: Path) -> None:
    """Of few events the old ones go too, and nothing but them."""
    with Store.open(tmp_path / "s.db") as opened:
        with opened.transaction():
            opened.record(Event(0.0, "old"), Event(1.0, "old"), Event(1e9, "new"))
            opened.prune(0.5 + store.HISTORY_SECONDS)
        assert [event.event for event in opened.history(9)] == ["old", "new"]
        with opened.transaction():
            opened.prune(1e9)
        assert [event.event for event in opened.history(9)] == ["new"]


def test_links_are_read_as_they_are_about_to_be(tmp_path: Path) -> None:
    """Within a transaction, with what it wrote so far."""
    link = Link("a", "r", Task("a"))
    with Store.open(tmp_path / "s.db") as opened:
        with opened.transaction():
            opened.put_links([link])
            assert opened.links() == [link]
        assert opened.links() == [link]


def test_gates_keep_their_wait_over_a_clock_that_jumps(tmp_path: Path) -> None:
    """Never longer than the server asked, whatever the clock says."""
    gate = Gate("write", 1000.0, 60.0, 120)
    with Store.open(tmp_path / "s.db") as opened:
        with opened.transaction():
            opened.put_gate(gate)
        assert opened.gates() == {"write": gate}
    assert [gate.wait(now) for now in (1000.0, 1030.0, 1060.0, 2000.0, 500.0)] == [60, 30, 0, 0, 60]


def test_facts_are_json(tmp_path: Path) -> None:
    """Small values of any shape."""
    with Store.open(tmp_path / "s.db") as opened:
        for value in (None, 1.5, "ä", [1, "b"], {"a": {"b": None}}):
            with opened.transaction():
                opened.put_fact("x", value)
            assert opened.fact("x") == value
        assert opened.fact("y") is None
