"""Fuzzing what comes over sockets and from the config, through whole cycles on the real client.

A server may say anything: no cycle ends with an error that is not one of ours.
See ``tests/core/test_fuzz.py`` for how the campaigns run.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from person import Clock, Person
from rawserver import RawServer, http

from omisync import config, control, errors
from omisync.api import OmiClient
from omisync.core.model import Patch
from omisync.sandbox import KEY, Sandbox

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path

ODD = (
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00",
    "2026-01-31T17:00:00Z", "2026-02-30T00:00:00Z", None, 1, True, "", "\x1b]0;x\x07", "\ud800",
    float("nan"), float("inf"), 10**30, 10**4000, [], {}, "a/../b", "..", "x" * 2000, "task a",
    "task b", "a\nb", "\u202e", "\0", "👩‍👩‍👧", "- [ ] task a",
)  # fmt: skip
IDS = ("i1", "i2", "i2", "a/b", "..", "x" * 2000, "\n", 7, "\ud800", "i3")
DATES = (
    "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "soon",
    "Sat, 31 Jan 2026 17:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 +1400", None, None, None, None,
)  # fmt: skip
TEN_MEGABYTES = 10 * 2**20
WAITS = ("1", "nan", "-5", "1e9", "9" * 30, "Fri, 31 Dec 9999 23:59:59 GMT", "")


def item(dice: random.Random) -> dict[str, object]:
    """Return what could be meant as an item."""
    texts = ("task a", "task b", "task a", *ODD)
    row = {"id": dice.choice(IDS), "description": dice.choice(texts)}
    row["completed"] = dice.choice((False, False, True, None, 0, "no"))
    row |= {name: dice.choice(ODD) for name in ("due_at", "created_at") if dice.random() < 0.7}
    if dice.random() < 0.1:
        del row[dice.choice(sorted(row))]
    return row


def body(dice: random.Random) -> object:
    """Return the body of any reply of the API, or nearly."""
    rows = [item(dice) for _ in range(dice.randrange(4))]
    index = dice.choice((0, 1, 5, -1, 10**20))
    complaint = [{"loc": ["body", "action_items", index], "msg": "m"}]
    detail = dice.choice(("not found", complaint, {"retryable": False}, None, 5, [[]]))
    batch = {"action_items": rows, "created_count": dice.choice((0, 2, -1, 10**20))}
    done = {"success": dice.choice((True, False, 1))}
    return dice.choice(([], rows, item(dice), batch, {"detail": detail}, done))


def answer(dice: random.Random) -> bytes:
    """Return a reply: odd in its body, its headers, its length, or not odd at all."""
    headers = {"Content_Type": dice.choice(("application/json", "text/html", "x"))}
    if date := dice.choice(DATES):
        headers["Date"] = date
    status = dice.choice((*(200,) * 12, 201, 206, 302, 400, 402, 404, 404, 409, 422, 429, 500, 503))
    if status == 429:
        headers |= {
            "Retry_After": dice.choice(WAITS),
            "X_RateLimit_Limit": dice.choice(("120", "0")),
        }
    reply = http(status, json.dumps(body(dice)).encode(), **headers)
    return reply[: dice.randrange(1, len(reply))] if dice.random() < 0.03 else reply


def worse(dice: random.Random) -> bytes:
    """Return a complete reply that is a little off: cut, of other types, huge, in other letters."""
    rows: object = body(dice)
    said = "application/json"
    encoding = "utf-8"
    kinds = ("cut", "types", "types", "said", "letters", "letters", "plain", *("none",) * 5)
    match "huge" if dice.random() < 0.02 else dice.choice(kinds):
        case "none":
            rows = []
        case "types":
            rows = _retyped(rows, dice)
        case "huge":
            rows = dice.choice(HUGE)(item(dice))
        case "said":
            said = dice.choice(SAID)
        case "letters":
            encoding = dice.choice(("utf-16", "utf-8-sig", "utf-32-le", "utf-8", "utf-8"))
            rows = [{**item(dice), "description": dice.choice(LETTERS)} for _ in range(3)]
        case "cut":
            encoding = "cut"
    text = json.dumps(rows, ensure_ascii=dice.random() < 0.5)
    if encoding == "cut":
        text, encoding = text[: dice.randrange(len(text))], "utf-8"
    content = text.encode(encoding, "surrogatepass")
    if dice.random() < 0.2:
        return http(200, gzip.compress(content, 1), Content_Encoding="gzip", Content_Type=said)
    return http(200, content, Content_Type=said)


HUGE = (
    lambda row: {**row, "description": "x" * TEN_MEGABYTES},
    lambda row: [{**row, "description": "é " * (TEN_MEGABYTES // 4)}],
    lambda row: [{**row, "id": f"i{n}", "description": f"task {n}"} for n in range(60_000)],
    lambda row: [row] * 60_000,
    lambda row: {**row, "more": [[]] * (TEN_MEGABYTES // 4)},
    lambda row: {**row, "id": "i" * TEN_MEGABYTES},
    lambda _: [[]] * (TEN_MEGABYTES // 4),
)
SAID = (
    "text/html", "application/xml", "application/octet-stream", "application/json; charset=utf-16",
    "application/json; charset=nonsense", "multipart/form-data; boundary=x", "image/png", "",
    "text/event-stream", "application/x-www-form-urlencoded", "a" * 5_000,
)  # fmt: skip
LETTERS = (
    "task a", "cafe\u0301", "caf\u00e9", "\ufeff task a", "task\u00a0a", "t\u200bask a",
    "\u202etask a", "TASK A", "\uff54ask a", "task a\u0000", "\r\ntask a\u2028b\u0085c",
    "👩\u200d👩\u200d👧" * 60, "e\u0301" * 250, "\U0010ffff", "\ufffe", "\ud83d", "ﬁ İ ı ß",
    "- [x] task a", "# task a", "> a", "due:2026-01-31", "omi:i1", "<!--", "```",
    "[[todo]]", '"""', "\\u0041",
)  # fmt: skip


def _retyped(value: object, dice: random.Random) -> object:
    """Return the value with something in it of another type."""
    if isinstance(value, dict) and value and dice.random() < 0.8:
        name = dice.choice(sorted(value))
        return {**value, name: _retyped(value[name], dice)}
    if isinstance(value, list) and value and dice.random() < 0.8:
        at = dice.randrange(len(value))
        return [*value[:at], _retyped(value[at], dice), *value[at + 1 :]]
    return dice.choice((None, True, 0, -1, 1.5, 10**25, "", "x", [], {}, [value], {"x": value}))


async def story(
    home: Path, number: int, make: Callable[[random.Random], bytes] = answer
) -> RawServer:
    """Let a person edit a file, in either format and direction, beside such a server."""
    dice = random.Random(number)
    clock, name = Clock(step=0.001), dice.choice(("todo.md", "todo.toml"))
    answers = tuple(make(dice) for _ in range(30))
    line = "- [ ] {}\n" if name.endswith("md") else '[[todo]]\ntext = "{}"\n'
    zone = dice.choice(("Pacific/Kiritimati", "America/New_York"))
    way = dice.choice(("push", "two-way"))
    rules = f'[sync]\ndirection = "{way}"\ntimezone = "{zone}"\n'
    async with RawServer(answers, once=True) as server:
        person = Person(home, server, clock, name, rules)  # type: ignore[arg-type]  # only its url is used
        for _ in range(5):
            texts = dice.sample(("task a", "task b", "task c"), dice.randrange(1, 4))
            person.write("".join(line.format(text) for text in texts))
            outcome = await person.cycle(now=True, yes=True, allow_removals=True)
            assert outcome.code in errors.SEVERITY
            assert person.todo.stat().st_size < MOST
            clock.pass_by(dice.choice((5, 3_700, 90_000)))
    return server


MOST = 5 * 2**20
"""Bytes that no reply makes of the file: a text is written in as far as it can be one."""


@pytest.mark.parametrize("number", [3, 14, *range(100, 120)])
async def test_any_server(tmp_path: Path, number: int) -> None:
    """Whatever it answers, each cycle ends with a documented code."""
    await story(tmp_path, number)


@pytest.mark.campaign
@pytest.mark.parametrize("block", range(10))
@pytest.mark.parametrize("make", [answer, worse])
async def test_any_server_at_length(
    tmp_path: Path, block: int, make: Callable[[random.Random], bytes], tally: Counter[str]
) -> None:
    """The same, 50 stories of five cycles a block; replies that are odd, or nearly right."""
    for number in range(1_000 + block * 50, 1_050 + block * 50):
        home = tmp_path / str(number)
        home.mkdir()
        server = await story(home, number, make)
        tally[f"stories of {make.__name__} replies"] += 1
        tally["cycles"] += 5
        tally["replies"] += len(server.seen)


# What was found so.


@pytest.mark.parametrize("date", [DATES[0], "Sun, 06 Jan 1980 00:00:00 GMT", "soon"])
async def test_a_date_no_clock_can_show_is_none(date: str) -> None:
    """Creates without an answer are looked for around it, and no year is beyond the calendar."""
    async with RawServer((http(200, [], Date=date),)) as server, OmiClient(server.url, KEY) as omi:
        await omi.window(0, 1)
        assert (omi.server_date, omi.clock_skew) == (None, None)


async def test_a_change_answered_with_another_item_is_no_success() -> None:
    """Whatever such a reply tells, it tells of another item; nothing of it is settled."""
    reply = http(200, {"id": "other", "description": "a", "completed": True})
    async with RawServer((reply,)) as server, OmiClient(server.url, KEY) as omi:
        with pytest.raises(errors.ServerTrouble):
            await omi.change("mine", Patch(completed=True))


async def test_a_complaint_about_an_element_before_the_first_names_none(tmp_path: Path) -> None:
    """A negative index does not count from the end, so no other task is parked for it."""
    detail = [{"loc": ["body", "action_items", -1, "description"], "msg": "m"}]
    reply = http(422, {"detail": detail})
    async with RawServer((reply,)) as server, OmiClient(server.url, KEY) as omi:
        with pytest.raises(errors.ItemRefused) as caught:
            await omi.change("x", Patch(completed=True))
    assert caught.value.named == {}


async def test_one_id_for_two_creates_settles_neither(tmp_path: Path) -> None:
    """Whose it is nobody knows: both stay open and are looked for by their text."""
    row = {"id": "same", "description": "task a", "completed": False}
    twice = http(200, {"action_items": [row, {**row, "description": "task b"}], "created_count": 2})
    async with RawServer((http(200, []), http(200, []), twice, http(200, []))) as server:
        person = Person(tmp_path, server, Clock())  # type: ignore[arg-type]  # only its url is used
        person.write("- [ ] task a\n- [ ] task b\n")
        outcome = await person.cycle()
        assert outcome.code == errors.TEMPORARY
        async with person.desk() as desk:
            ids = [link.remote_id for link in desk.store.links()]
    assert ids == [None, None]


# The config.


def _check_config(folder: Path, source: bytes) -> None:
    path = folder / "config.toml"
    path.write_bytes(source)
    said = str(path)
    try:
        assert config.load(path, {"HOME": "/h"}).store_path.is_absolute()
    except errors.ConfigError as error:
        said = error.message
    assert str(path) in said


CONFIG = (
    b'[todo]\npath = "~/t.md"\n[omi]\nbase_url = "https://api.omi.me"\n[sync]\nmax_removals = 0.5\n'
)
DAMAGE = st.tuples(st.integers(0, len(CONFIG) - 1), st.binary(max_size=6), st.integers(0, 9))


def _damaged(damage: list[tuple[int, bytes, int]]) -> bytes:
    source = bytearray(CONFIG)
    for at, new, old in damage:
        source[at : at + old] = new
    return bytes(source)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(DAMAGE, min_size=1, max_size=4).map(_damaged) | st.binary(max_size=80))
def test_any_config(tmp_path: Path, source: bytes) -> None:
    """It is a config, or an error that names the file."""
    _check_config(tmp_path, source)


@pytest.mark.campaign
@seed(4)
@settings(max_examples=4_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(DAMAGE, min_size=1, max_size=4).map(_damaged) | st.binary(max_size=80))
def test_any_config_at_length(tmp_path: Path, source: bytes) -> None:
    """The same, for 4,000 files."""
    _check_config(tmp_path, source)


# The control socket.


async def _talked(folder: Path, said: list[bytes]) -> None:
    async def echo(request: dict[str, object]) -> dict[str, object]:
        return {"heard": len(request)}

    path = control.place(folder / "todo.db", {})
    async with control.listening(path, echo):
        for line in said:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(line)
            writer.write_eof()
            heard = await reader.read()
            assert heard == b"" or json.loads(heard).keys() == {"heard"}
            writer.close()
        assert await asyncio.to_thread(control.ask, folder / "todo.db", {}, {"do": 1}) == {
            "heard": 1
        }


REQUESTS = st.lists(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode() + b"\n"),
    max_size=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(REQUESTS)
def test_any_request(tmp_path: Path, said: list[bytes]) -> None:
    """It is answered or hung up on, and the next one is answered."""
    asyncio.run(_talked(tmp_path, said))


@pytest.mark.campaign
@seed(5)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=1_000)
@given(REQUESTS)
def test_any_request_at_length(tmp_path: Path, said: list[bytes]) -> None:
    """The same, a thousand times."""
    asyncio.run(_talked(tmp_path, said))


# The store.


async def _with_damage(folder: Path, stories: int, number: int) -> None:
    """Flip bits of a store, edit the file, sync: a documented code, and 74 sends nothing."""
    dice = random.Random(number)
    clock = Clock()
    async with Sandbox() as omi:
        person = Person(folder, omi, clock)
        lines = [f"- [ ] {word} the {thing}\n" for word, thing in zip(_WORDS, _THINGS, strict=True)]
        person.write("".join(lines))
        await person.once()
        whole, items = person.store_path.read_bytes(), dict(omi.items)
        used = [place for place, byte in enumerate(whole) if byte]
        person.write("".join(lines).replace("- [ ] water", "- [x] water") + "- [ ] something new\n")
        for _ in range(stories):
            damaged = bytearray(whole)
            for _ in range(dice.choice((1, 1, 2, 8))):
                damaged[dice.choice(used)] ^= 1 << dice.randrange(8)
            for tail in ("-wal", "-shm"):
                person.store_path.with_name(person.store_path.name + tail).unlink(missing_ok=True)
            person.store_path.write_bytes(damaged)
            omi.items.clear()
            omi.items.update(items)
            try:
                code = (await person.once(patience=0.0)).code
            except errors.OmisyncError as error:
                code = error.exit_code
                assert len(omi.items) == len(items)
            assert code in errors.SEVERITY
            assert len(omi.items) <= len(items) + 2, "a store that reads as empty"


_WORDS = ("water", "call", "buy", "mend", "paint", "sell", "lend", "read", "write", "clean")
_THINGS = ("roses", "plumber", "milk", "fence", "door", "car", "ladder", "contract", "will", "oven")


async def test_a_damaged_store(tmp_path: Path) -> None:
    """Bits that were flipped end in a documented code and never in a list created anew."""
    await _with_damage(tmp_path, 40, 6)


@pytest.mark.campaign
@pytest.mark.parametrize("number", range(4))
async def test_a_damaged_store_at_length(tmp_path: Path, number: int) -> None:
    """The same, 400 times for each of four seeds."""
    await _with_damage(tmp_path, 400, number)
