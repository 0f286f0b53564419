"""A plan that is only shown: it is what the next cycle would do, and does nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from person import history, item

from omisync import config as configs
from omisync import errors, sync
from omisync.core.model import TWIN, Fields, Gate, Task, Tombstone
from omisync.core.plan import Adopt, ChangeLocal
from omisync.sandbox import Sandbox
from omisync.show.steps import steps
from omisync.store import Store

if TYPE_CHECKING:
    from person import Person

    from omisync.core.model import Listing
    from omisync.core.plan import Plan

TWO_WAY = '[sync]\ndirection = "two-way"\n'


def shown(person: Person, listing: Listing | None = None) -> Plan:
    """Return the plan that is shown."""
    config = configs.load(person.configure(), person.environ)
    store = Store.peek(config.store_path)
    try:
        document, decided = sync.preview(config, store, person.clock.now, listing)
    finally:
        if store is not None:
            store.close()
    assert len(document.entries) == decided.tasks
    return decided


def ops(plan: Plan) -> list[tuple[str, str]]:
    """Return what is to be done, with the text of the row."""
    return [(type(op).__name__, op.link.seen.text) for op in plan.ops]


async def test_before_the_first_sync_every_line_is_new(person: Person) -> None:
    """There is no store, and none is made."""
    person.write("- [ ] a\n- [x] b\n")
    assert ops(shown(person)) == [("AddRemote", "a"), ("AddRemote", "b")]
    assert not person.store_path.exists()
    assert person.sent() == []
    person.write("\ufeff \r\n\t")
    assert ops(shown(person)) == []


async def test_a_plan_shows_what_the_store_knows(person: Person) -> None:
    """Edits, lines that come back, creates under way; and what would be refused."""
    person.write("- [ ] a\n- [ ] came back\n")
    await person.cycle()
    person.write("- [ ] a\n")
    assert ops(shown(person)) == [("RemoveRemote", "came back")]
    await person.cycle()
    person.write("- [ ] a\n- [ ] under way\n")
    person.sandbox.fault_next("reset_before", method="POST")
    await person.cycle()
    person.write("- [x] a\n- [ ] under way\n- [ ] came back\n- [ ] xyz\n")
    person.sent()
    assert sorted(ops(shown(person))) == [
        ("AddRemote", "xyz"),
        ("ChangeRemote", "a"),
        ("Revive", "came back"),
    ]
    assert not shown(person).removal.drastic
    for blank in ("", "\ufeff\n", "\0\n", " \r\n\t"):
        person.write(blank)
        assert shown(person).removal.drastic
    person.write("X\n")
    assert not shown(person).removal.drastic
    assert person.sent() == []
    async with Sandbox(clock=person.clock) as other:
        person.sandbox = other
        with pytest.raises(errors.ConfigError, match="belongs to"):
            shown(person)


async def test_a_plan_shows_what_omi_has(person: Person) -> None:
    """With a list: what comes in, what is the same already, what changed there, what is missing."""
    person.settings = TWO_WAY
    person.write("- [ ] a\n- [ ] b\n- [ ] missing\n")
    await person.settle()
    by_text = {item.description: item for item in person.sandbox.items.values()}
    by_text["a"].completed = True
    del person.sandbox.items[by_text["missing"].id]
    person.sandbox.add("theirs")
    person.sandbox.add("ours")
    person.write("- [ ] a\n- [ ] b\n- [ ] missing\n- [ ] ours\n- [ ] mine\n")
    person.sent()
    config = configs.load(person.configure(), person.environ)
    listing = await sync.glance(config, person.environ)
    assert person.sent() == [("GET", 200), ("GET", 200)]
    decided = shown(person, listing)
    assert sorted(ops(decided)) == [
        ("AddLocal", "theirs"),
        ("AddRemote", "mine"),
        ("Adopt", "ours"),
        ("ChangeLocal", "a"),
    ]
    assert [link.seen.text for link in decided.rows if link.missing] == ["missing"]
    assert sorted(ops(shown(person))) == [("AddRemote", "mine"), ("AddRemote", "ours")]
    assert person.sent() == []


async def test_a_plan_shows_what_a_link_brings_with_it(person: Person) -> None:
    """What only one side of a line and its item says crosses right after."""
    person.settings = TWO_WAY
    there = datetime(2026, 12, 24, 9, tzinfo=UTC)
    item = person.sandbox.add("named")
    for text in ("dated there", "dated twice"):
        person.sandbox.add(text, due_at=there)
    person.sandbox.add("same")
    person.write(
        f"- [x] named omi:{item.id}\n- [ ] dated there\n"
        "- [ ] dated twice due:2026-12-01\n- [ ] same\n"
    )
    config = configs.load(person.configure(), person.environ)
    decided = shown(person, await sync.glance(config, person.environ))
    assert [name for name, _ in ops(decided)[:4]] == ["Adopt"] * 4
    assert sorted(ops(decided)[4:]) == [
        ("ChangeLocal", "dated there"),
        ("ChangeRemote", "dated twice"),
        ("ChangeRemote", "named"),
    ]
    assert [clash.text for clash in decided.clashes] == ["dated twice"]
    person.sent()
    await person.settle()
    assert [method for method, _ in person.sent() if method != "GET"] == ["PATCH", "PATCH"]
    assert "- [ ] dated there due:2026-12-24\n" in person.todo.read_text()


async def test_a_plan_says_what_a_link_brings_to_the_line_that_gets_it(person: Person) -> None:
    """Of equal lines the first is linked, and it is the first that is written."""
    person.settings = TWO_WAY
    person.sandbox.add("e", due_at=datetime(2026, 12, 2, 9, tzinfo=UTC))
    person.write("- [x] d\n- [ ] e\n- [ ] e\n")
    config = configs.load(person.configure(), person.environ)
    decided = shown(person, await sync.glance(config, person.environ))
    (tied,) = (op for op in decided.ops if isinstance(op, Adopt))
    (dated,) = (op for op in decided.ops if isinstance(op, ChangeLocal))
    assert (tied.entry.line, dated.entry.line) == (2, 2)
    await person.settle()
    assert person.todo.read_text() == "- [x] d\n- [ ] e 📅 2026-12-02\n- [ ] e\n"


async def test_a_plan_of_a_line_tied_by_id_to_words_that_it_cannot_say(person: Person) -> None:
    """What comes right after the link is shown as it will be."""
    person.settings = f'{TWO_WAY}prefer = "remote"\n'
    item = person.sandbox.add("x ` y")
    person.write(f"- [ ] buy milk omi:{item.id} <!-- ` -->\n")
    config = configs.load(person.configure(), person.environ)
    decided = shown(person, await sync.glance(config, person.environ))
    assert [name for name, _ in ops(decided)] == ["Adopt", "ChangeRemote"]
    await person.settle()
    assert person.omi() == {"buy milk": False}


async def test_a_plan_leaves_out_what_the_file_cannot_say(person: Person) -> None:
    """It is told beside instead; else each plan would promise it, and no sync keep that."""
    person.settings = TWO_WAY + 'on_remote_removal = "remove"\n'
    person.write("Steps:\n1. [ ] unpack\n2. [ ] plug in\n3. [ ] switch on\n")
    await person.settle()
    person.sandbox.remove(next(iter(person.sandbox.items)))
    outcome = await person.settle()
    for _ in range(2):
        outcome = await person.cycle(now=True)
    config = configs.load(person.configure(), person.environ)
    listing = await sync.glance(config, person.environ)
    with Store.open(person.store_path) as store:
        document, decided = sync.preview(config, store, person.clock.now, listing)
    assert ops(decided) == []
    (told,) = document.notices
    assert outcome.remarks == (f"{person.todo}:2: {told.message}.",)
    assert "“unpack” was deleted in Omi, and its line cannot go" in told.message


async def test_a_plan_tells_all_in_the_order_of_the_lines(person: Person) -> None:
    """What is odd about a line, what is no task any more, and what no line can be made to say."""
    person.settings = TWO_WAY
    person.write("- [ ] a\n- [ ] buy milk <!-- ` -->\n- [ ] c\n- [ ] d\n")
    await person.settle()
    milk = item(person, "buy milk")
    milk.description, milk.completed = "x ` y", True
    person.write("- [ ] a due:tomorrow\n- [ ] buy milk <!-- ` -->\n- c\n- [ ] d\n")
    config = configs.load(person.configure(), person.environ)
    listing = await sync.glance(config, person.environ)
    with Store.open(person.store_path) as store:
        document, decided = sync.preview(config, store, person.clock.now, listing)
    assert [one.line for one in document.notices] == [1, 2, 3]
    assert sorted(ops(decided)) == [
        ("ChangeLocal", "buy milk"),
        ("ChangeRemote", "a due:tomorrow"),
        ("RemoveRemote", "c"),
    ]


async def test_a_twin_is_planned_to_go_once(person: Person) -> None:
    """It has nothing to do with what comes right after what is linked."""
    person.settings = TWO_WAY
    person.write("- [ ] a\n")
    await person.settle()
    stone = Tombstone("twin-x", "x", Task("b"), Fields("b"), TWIN, person.clock.now, counted=False)
    with Store.open(person.store_path) as store, store.transaction():
        store.put_tombstones([stone])
    config = configs.load(person.configure(), person.environ)
    assert ops(shown(person, await sync.glance(config, person.environ))) == [("DropTwin", "b")]


@pytest.mark.parametrize("first", [True, False])
async def test_a_plan_brings_nothing_in_beside_a_line_that_is_not_read(
    person: Person, *, first: bool
) -> None:
    """It may be that of the item, also where nothing was ever synced."""
    person.settings = TWO_WAY
    if not first:
        person.write("- [ ] a\n")
        await person.settle()
    person.sandbox.add("e")
    person.write("[ ] e\n\n- [ ] a\n")
    config = configs.load(person.configure(), person.environ)
    decided = shown(person, await sync.glance(config, person.environ))
    assert (decided.arrivals, decided.beside) == (0, 1)
    await person.settle()
    assert person.todo.read_text() == "[ ] e\n\n- [ ] a\n"


async def test_a_line_that_was_removed_while_its_item_was_edited(person: Person) -> None:
    """It is written again, as the plan says and the log too: not as something new."""
    person.settings = TWO_WAY
    person.write("- [ ] gym\n- [ ] b\n")
    await person.settle()
    next(iter(person.sandbox.items.values())).description = "gym at 7"
    person.write("- [ ] b\n")
    config = configs.load(person.configure(), person.environ)
    (step,) = steps(shown(person, await sync.glance(config, person.environ)))
    assert (step.verb, step.why) == ("write", ("removed, but edited in Omi",))
    await person.settle()
    assert person.todo.read_text() == "- [ ] b\n- [ ] gym at 7\n"
    assert [(one.event, one.detail) for one in history(person, 1)] == [("line.added", "back")]


async def test_a_plan_of_a_line_tied_by_id_to_other_words(person: Person) -> None:
    """What the two said in common before is nothing, and is not shown as an empty text."""
    person.settings = TWO_WAY
    item = person.sandbox.add("their words")
    person.write(f"- [ ] quite different omi:{item.id}\n")
    config = configs.load(person.configure(), person.environ)
    decided = shown(person, await sync.glance(config, person.environ))
    _, change = steps(decided)
    assert (change.verb, change.former) == ("change", None)
    assert change.changes == {"description": {"before": None, "after": "quite different"}}


async def test_a_plan_leaves_out_what_is_kept_out(person: Person) -> None:
    """A line that was removed while its item stays in Omi does not come back, however long ago."""
    person.settings = TWO_WAY + 'on_removal = "keep"\n'
    person.write("- [ ] a\n- [ ] b\n")
    await person.settle()
    person.write("- [ ] a\n")
    await person.settle()
    person.clock.pass_by(100 * 86_400)
    config = configs.load(person.configure(), person.environ)
    assert ops(shown(person, await sync.glance(config, person.environ))) == []
    assert (await person.cycle(now=True)).counts == {}
    assert person.todo.read_text() == "- [ ] a\n"


async def test_the_marks_of_a_box_can_be_chosen(person: Person) -> None:
    """Those of finished lines, and those of open ones."""
    person.write("- [d] a\n- [o] b\n- [ ] c\n")
    path = person.configure()
    marks = '[todo]\ndone_marks = "xd"\nopen_marks = " o"\n'
    path.write_text(path.read_text().replace("[todo]\n", marks))
    document, _ = sync.preview(configs.load(path, person.environ), None, 0.0)
    found = [(entry.task.text, entry.task.completed) for entry in document.entries]
    assert found == [("a", True), ("b", False), ("c", False)]


async def test_a_broken_toml_file_is_told_with_its_place(person: Person) -> None:
    """And with what to do, which may be said by what is wrong."""
    person.name = "todo.toml"
    for text, place, advice in (
        ('[[todo]]\ndescription = "a\n', "2:17", "correct that line; until then nothing is sent"),
        (
            "\ntodo = 1\n",
            "2:1",
            'write each task as a table of its own: [[todo]] and below it description = "..."',
        ),
    ):
        person.write(text)
        (trouble,) = (await person.cycle()).troubles
        assert isinstance(trouble, errors.ParseError)
        assert trouble.message.startswith(f"{person.todo}:{place}: ")
        assert f"{trouble.line}:{trouble.column}" == place
        assert trouble.advice == advice


async def test_a_glance_needs_a_key_as_a_sync_does(person: Person) -> None:
    """Without one nothing is asked; it may be in a file, or be omi-cli's for this server."""
    path, key_file = person.configure(), person.home / "key"
    with pytest.raises(errors.KeyProblem):
        await sync.glance(configs.load(path, {}), {})
    assert person.sent() == []
    key_file.write_text(person.key)
    key_file.chmod(0o600)
    path.write_text(path.read_text().replace("[omi]\n", f'[omi]\napi_key_file = "{key_file}"\n'))
    config = configs.load(path, {})
    assert (await sync.glance(config, {})).complete
    with Store.open(person.store_path) as store:
        assert sync.Desk(config, store, {}).find_key().value == person.key
    person.configure()
    profile = person.home / ".omi" / "config.toml"
    profile.parent.mkdir()
    profile.write_text(
        'active_profile = "me"\n[profiles.me]\nauth_method = "api_key"\n'
        f'api_key = "{person.key}"\napi_base = "{person.sandbox.url}"\n'
    )
    profile.chmod(0o600)
    environ = {"HOME": str(person.home)}
    assert (await sync.glance(configs.load(path, environ), environ)).complete
    person.key = ""
    person.write("- [ ] a\n")
    assert (await person.cycle()).code == errors.OK


@pytest.mark.parametrize(("wait", "asks"), [(100.0, False), (0.5, False), (0.0, True)])
async def test_a_glance_minds_the_gate(person: Person, wait: float, *, asks: bool) -> None:
    """Where a sync would wait for it nothing is asked, and for how long is told."""
    config = configs.load(person.configure(), person.environ)
    with Store.open(config.store_path) as store:
        with store.transaction():
            store.put_gate(Gate("read", person.clock.now, 1000.0, 120))
            store.put_gate(Gate("write", person.clock.now, 9000.0))
        person.clock.pass_by(1000.0 - wait)
        if asks:
            await sync.glance(config, person.environ, store, person.clock.now)
            return
        with pytest.raises(errors.RateLimited) as limited:
            await sync.glance(config, person.environ, store, person.clock.now)
    told = limited.value
    assert (told.bucket, told.retry_after, told.limit) == ("read", pytest.approx(wait), 120)
    assert person.sent() == []


async def test_a_glance_minds_the_account(person: Person) -> None:
    """The key that last worked is not asked about; another one has to show what is known."""
    person.write("- [ ] a\n")
    await person.settle()
    config = configs.load(person.configure(), person.environ)
    other = "omi_dev_another_key_00001"
    person.sandbox.keys[other] = person.sandbox.keys[person.key]
    environ = person.environ | {"OMI_API_KEY": other}
    with Store.open(person.store_path) as store:
        assert (await sync.glance(config, environ, store, person.clock.now)).complete
        person.sandbox.items.clear()
        assert (await sync.glance(config, person.environ, store, person.clock.now)).complete
        with pytest.raises(errors.OtherAccount, match="none of the 1 linked tasks is in it"):
            await sync.glance(config, environ, store, person.clock.now)
        store.put_fact("fingerprint", None)
        assert (await sync.glance(config, environ, store, person.clock.now)).complete
    with Store.open(person.home / "new.db") as store:
        assert (await sync.glance(config, environ, store, person.clock.now)).complete


async def test_a_flood_is_more_than_25_lines_at_a_first_meeting(person: Person) -> None:
    """Later as many come in as there are."""
    person.settings = TWO_WAY
    person.write("")
    for n in range(25):
        person.sandbox.add(f"item {n}")
    config = configs.load(person.configure(), person.environ)
    decided = shown(person, await sync.glance(config, person.environ))
    assert not sync.floods(None, decided)
    await person.cycle()
    for n in range(26):
        person.sandbox.add(f"more {n}")
    decided = shown(person, await sync.glance(config, person.environ))
    assert decided.arrivals == 26
    assert sync.floods(None, decided)
    with Store.open(person.store_path) as store:
        assert not sync.floods(store, decided)
        with store.transaction():
            store.put_fact("met", None)
        assert sync.floods(store, decided)


async def test_a_former_file_that_cannot_be_looked_at_is_gone(person: Person) -> None:
    """In a folder that is none any more, or on a disk that is away."""
    person.write("- [ ] a\n")
    await person.settle()
    with Store.open(person.store_path) as store, store.transaction():
        store.put_fact("todo", f"{person.todo}/todo.md")
    person.write("- [ ] b\n")
    assert (await person.cycle()).code == errors.OK
