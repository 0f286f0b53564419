"""The nights in which clocks change: a task written, edited or dated then means one moment.

Whoever creates or edits in such a night, on either side, nothing drifts by the hour
that the night has more or less, and the next morning has nothing to say.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from person import Clock, Person

from omisync import errors
from omisync.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path


class Night(NamedTuple):
    """A change of the clocks: its zone and moment, and a local time that is skipped or doubled.

    ``means`` is that local time as an instant, ``other`` the second of a doubled one.
    """

    zone: str
    change: datetime
    local: str
    means: datetime
    other: datetime | None = None


def utc(text: str) -> datetime:
    """Return a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NIGHTS = [
    Night("Europe/Berlin", utc("2027-03-28T01:00"), "2027-03-28T02:30", utc("2027-03-28T01:30")),
    Night(
        "Europe/Berlin", utc("2027-10-31T01:00"), "2027-10-31T02:30",
        utc("2027-10-31T00:30"), utc("2027-10-31T01:30"),
    ),
    Night("America/New_York", utc("2027-03-14T07:00"), "2027-03-14T02:30",
          utc("2027-03-14T07:30")),
    Night(
        "America/New_York", utc("2027-11-07T06:00"), "2027-11-07T01:30",
        utc("2027-11-07T05:30"), utc("2027-11-07T06:30"),
    ),
    Night("Australia/Lord_Howe", utc("2027-10-02T15:30"), "2027-10-03T02:15",
          utc("2027-10-02T15:45")),
    Night(
        "Australia/Lord_Howe", utc("2027-04-03T15:00"), "2027-04-04T01:45",
        utc("2027-04-03T14:45"), utc("2027-04-03T15:15"),
    ),
]  # fmt: skip


def tokens(person: Person) -> dict[str, str]:
    """Return the due tokens of the file by the word before them."""
    rows = person.todo.read_text().splitlines()
    return {words[3]: words[4] for row in rows if len(words := row.split(" ")) > 4}


def due(person: Person) -> dict[str, datetime | None]:
    """Return what Omi has for each text."""
    return {item.description: item.due_at for item in person.sandbox.items.values()}


async def calm(person: Person) -> None:
    """Check that nothing is changed on either side by another cycle, now or a day later."""
    before, held = person.todo.read_bytes(), due(person)
    for _ in range(2):
        person.sent()
        outcome = await person.cycle(now=True)
        assert (outcome.code, dict(outcome.counts)) == (errors.OK, {})
        assert {method for method, _ in person.sent()} <= {"GET"}
        assert (person.todo.read_bytes(), due(person)) == (before, held)
        person.clock.pass_by(86_400)


@pytest.mark.parametrize("way", ["push", "two-way"])
@pytest.mark.parametrize(
    "night",
    [*NIGHTS[:2], *(pytest.param(more, marks=pytest.mark.campaign) for more in NIGHTS[2:])],
    ids=lambda night: f"{night.zone} {night.change:%m}",
)
async def test_a_night_in_which_clocks_change(tmp_path: Path, night: Night, way: str) -> None:
    """Created before, edited within, in the app after: every date is the moment it was."""
    clock = Clock((night.change - timedelta(minutes=20)).timestamp())
    zone = ZoneInfo(night.zone)
    rules = f'[sync]\ndirection = "{way}"\ntimezone = "{night.zone}"\n'
    async with Sandbox(clock=clock) as sandbox:
        person = Person(tmp_path, sandbox, clock, settings=rules)
        day = night.local[:10]
        person.write(f"- [ ] early due:{night.local}\n- [ ] whole due:{day}\n- [ ] plain\n")
        await person.settle()
        nine = datetime.fromisoformat(f"{day}T09:00").replace(tzinfo=zone)
        expected = {"early": night.means, "whole": nine, "plain": None}
        assert due(person) == expected
        await calm(person)
        clock.now = (night.change + timedelta(minutes=20)).timestamp()
        rest = person.todo.read_text().replace("plain", f"plain due:{night.local}")
        person.write(f"{rest}- [x] late\n- [ ] later due:{night.local}\n")
        await person.settle()
        expected |= {"plain": night.means, "late": None, "later": night.means}
        assert due(person) == expected
        await calm(person)
        if way == "two-way":
            await in_the_app(person, night, expected)


async def in_the_app(person: Person, night: Night, expected: dict[str, datetime | None]) -> None:
    """Give a task each moment of the night in the app: what the line says means that one."""
    item = next(one for one in person.sandbox.items.values() if one.description == "early")
    for moment in (night.other, night.means - timedelta(hours=2), night.means):
        if moment is None:
            continue
        item.due_at = moment
        await person.settle()
        assert due(person) == expected | {"early": moment}
        said = datetime.fromisoformat(tokens(person)["early"].removeprefix("due:"))
        if said.tzinfo is None:
            said = said.replace(tzinfo=ZoneInfo(night.zone))
        assert said.astimezone(UTC) == moment
        await calm(person)
