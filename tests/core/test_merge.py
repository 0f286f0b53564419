"""What travels: edited on one side, and different on the other."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omisync.core import merge
from omisync.core.merge import Encoding
from omisync.core.model import DESCRIPTION_LIMIT, Base, Fields, Patch, Task

ENCODING = Encoding(UTC, time(9))
CHRISTMAS = datetime(2026, 12, 24, 9, tzinfo=UTC)


@given(st.text(max_size=1200))
def test_a_description_fits_and_is_stripped(text: str) -> None:
    """At most 500 code points, no outer white space, and short texts stay whole."""
    cut = merge.description(text)
    assert len(cut) <= DESCRIPTION_LIMIT
    assert cut == cut.strip()
    if len(text.strip()) <= DESCRIPTION_LIMIT:
        assert cut == text.strip()
    else:
        assert cut.endswith("…")
        assert text.strip().startswith(cut[:-1])


def test_a_cut_is_made_between_words() -> None:
    """The word that does not fit is left out whole, unless it is most of the text."""
    assert merge.description("word " * 200) == "word " * 99 + "word…"
    assert merge.description("words " * 100) == "words " * 82 + "words…"
    for space in " \n\t":
        assert merge.description("a" * 300 + space + "b" * 300) == "a" * 300 + "…"
        assert merge.description("a" * 250 + space + "b" * 300) == "a" * 250 + "…"
        assert merge.description("a" * 249 + space + "b" * 300) == f"{'a' * 249}{space}{'b' * 249}…"
        words = "a" * 260 + space + "b" * 20 + space
        assert merge.description(words + "c" * 400) == words.rstrip() + "…"
        assert merge.description("a" * 300 + space * 3 + "b" * 300) == "a" * 300 + "…"
    assert merge.description("w" * 600) == "w" * 499 + "…"
    assert merge.description("w" * 500) == "w" * 500
    exact = "a" * 499 + " b"
    assert merge.description(exact) == "a" * 499 + "…"


def test_an_item_reads_as_the_line_it_would_be() -> None:
    """Its words made fit for a line, its tick, and its time as short as it can be said."""
    encoding = Encoding(UTC, time(9), str.upper)
    assert merge.decode(Fields("a", True, CHRISTMAS), encoding) == Task("A", True, "2026-12-24")
    assert merge.decode(Fields("a"), ENCODING) == Task("a")


def test_a_completed_task_has_no_date_to_ring_for() -> None:
    """Its date is sent when it is open again."""
    assert merge.encode(Task("a", True, "2026-12-24"), ENCODING).due_at is None
    assert merge.encode(Task("a", False, "2026-12-24"), ENCODING).due_at == CHRISTMAS


def test_a_bare_date_is_due_at_the_configured_time_of_its_zone() -> None:
    """Wherever the machine stands."""
    home = Encoding(ZoneInfo("Pacific/Kiritimati"), time(6))
    due_at = datetime(2026, 12, 23, 16, tzinfo=UTC)
    assert merge.encode(Task("a", False, "2026-12-24"), home) == Fields("a", False, due_at)


AGREED = Base(Task("a", False, "2026-12-24"), Fields("a", False, CHRISTMAS))


@pytest.mark.parametrize(
    ("local", "patch"),
    [
        (AGREED.local, Patch()),
        (Task("b", False, "2026-12-24"), Patch(description="b")),
        (Task(" a ", False, "2026-12-24"), Patch()),
        (Task("a", True, "2026-12-24"), Patch(completed=True)),
        (Task("a", False, None), Patch(clear_due=True)),
        (Task("a", False, "2026-12-24T09:00"), Patch()),
        (Task("a", False, "2026-12-24T10:00+01:00"), Patch()),
        (Task("a", False, "2026-12-25"), Patch(due_at=CHRISTMAS.replace(day=25))),
        (Task("b", True, None), Patch(description="b", completed=True, clear_due=True)),
    ],
)
def test_only_what_was_edited_and_differs_is_sent(local: Task, patch: Patch) -> None:
    """Each field alone, and values that encode to the same one not at all."""
    assert merge.outgoing(local, AGREED, AGREED.remote, ENCODING) == patch


def test_a_change_of_zone_is_not_an_edit() -> None:
    """The token is the same: nothing travels, whatever it means now."""
    elsewhere = Encoding(ZoneInfo("Pacific/Kiritimati"), time(6))
    assert not merge.outgoing(AGREED.local, AGREED, AGREED.remote, elsewhere)


def test_an_edited_date_is_sent_as_it_is_meant_now() -> None:
    """In the zone and at the time that are configured, wherever the machine stands."""
    elsewhere = Encoding(ZoneInfo("Pacific/Kiritimati"), time(6))
    local = Task("a", False, "2026-12-25")
    patch = merge.outgoing(local, AGREED, AGREED.remote, elsewhere)
    assert patch == Patch(due_at=datetime(2026, 12, 24, 16, tzinfo=UTC))


def test_what_the_app_changed_is_not_taken_back() -> None:
    """The line is as agreed: a different remote value stays."""
    remote = Fields("reworded in the app", True, None)
    assert not merge.outgoing(AGREED.local, AGREED, remote, ENCODING)


def test_reopening_sends_the_date_that_was_held_back() -> None:
    """Created checked, hence without its date."""
    base = Base(Task("a", True, "2026-12-24"), Fields("a", True, None))
    patch = merge.outgoing(Task("a", False, "2026-12-24"), base, base.remote, ENCODING)
    assert patch == Patch(completed=False, due_at=CHRISTMAS)


def test_reopening_clears_no_date_that_the_line_never_had() -> None:
    """A finished line met a finished item that has one."""
    base = Base(Task("a", True), Fields("a", True, CHRISTMAS))
    patch = merge.outgoing(Task("a"), base, base.remote, ENCODING)
    assert patch == Patch(completed=False)


def test_reopening_sends_a_date_that_never_was_agreed_on() -> None:
    """A finished line met a finished item of another date; of the same day, the time stays."""
    open_again, closed = Task("a", False, "2026-12-24"), Task("a", True, "2026-12-24")
    base = Base(closed, Fields("a", True, CHRISTMAS - timedelta(days=9)))
    assert not merge.outgoing(closed, base, base.remote, ENCODING)
    patch = merge.outgoing(open_again, base, base.remote, ENCODING)
    assert patch == Patch(completed=False, due_at=CHRISTMAS)
    base = Base(closed, Fields("a", True, CHRISTMAS + timedelta(hours=3)))
    patch = merge.outgoing(open_again, base, base.remote, ENCODING)
    assert patch == Patch(completed=False)


def test_settling_takes_only_what_was_sent() -> None:
    """The reply shows an edit made in the app: it has not crossed, so the base keeps its own."""
    local = Task("a", True, "2026-12-24")
    reply = Fields("reworded in the app", True, None)
    base = merge.settled(local, AGREED, Patch(completed=True), reply)
    assert base == Base(local, Fields("a", True, CHRISTMAS))
    ticked = Fields("b", True, None)
    base = merge.settled(Task("b"), AGREED, Patch(description="b"), ticked)
    assert base == Base(Task("b"), Fields("b", AGREED.remote.completed, CHRISTMAS))


@given(
    st.builds(
        Task,
        st.text(min_size=1).filter(str.strip),
        st.booleans(),
        st.sampled_from([None, "2026-12-24"]),
    ),
    st.builds(
        Task,
        st.text(min_size=1).filter(str.strip),
        st.booleans(),
        st.sampled_from([None, "2026-12-24"]),
    ),
)
def test_a_patch_that_took_effect_is_not_sent_again(old: Task, new: Task) -> None:
    """Applied and settled, the same line plans nothing."""
    base = Base(old, merge.encode(old, ENCODING))
    patch = merge.outgoing(new, base, base.remote, ENCODING)
    remote = base.remote
    reply = Fields(
        remote.description if patch.description is None else patch.description,
        remote.completed if patch.completed is None else patch.completed,
        None if patch.clear_due else patch.due_at or remote.due_at,
    )
    after = merge.settled(new, base, patch, reply)
    assert not merge.outgoing(new, after, after.remote, ENCODING)
    assert after.remote.description == merge.description(new.text)
    assert after.remote.completed == new.completed


@pytest.mark.parametrize(
    ("patch", "agreed"),
    [
        (Patch(due_at=CHRISTMAS.replace(day=26)), CHRISTMAS.replace(day=25)),
        (Patch(clear_due=True), CHRISTMAS.replace(day=25)),
        (Patch(completed=True), CHRISTMAS),
    ],
)
def test_a_date_is_agreed_on_as_the_reply_shows_it(patch: Patch, agreed: datetime) -> None:
    """Whatever was asked for; and not at all where no date was sent."""
    reply = Fields("a", False, CHRISTMAS.replace(day=25))
    assert merge.settled(AGREED.local, AGREED, patch, reply).remote.due_at == agreed
