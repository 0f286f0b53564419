"""Two sides, one task: what crosses, what agrees, what clashes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import clocks, due_values, moments, zones

from omisync.core import due, markdown, merge
from omisync.core.merge import Encoding, Joined
from omisync.core.model import EXISTENCE, Base, Clash, Fields, Patch, Task

NOON = datetime(2026, 12, 24, 12, tzinfo=UTC)
ENCODING = Encoding(UTC, time(9))
LEGIBLE = Encoding(UTC, time(9), markdown.legible)
OLD = Task("old", False, "2026-12-24")
AGREED = Base(OLD, merge.encode(OLD, ENCODING))


def joined(
    local: Task, remote: Fields, prefer: str = "local", doubt: frozenset[str] = frozenset()
) -> Joined:
    """Join two versions that had agreed on one task."""
    return merge.join(local, AGREED, remote, ENCODING, prefer=prefer, doubt=doubt)


def after(came: Joined, remote: Fields) -> tuple[Task, Base, Fields]:
    """Carry out what was decided: the line, the new base, and the item of the server."""
    patch = came.patch
    reply = Fields(
        remote.description if patch.description is None else patch.description,
        remote.completed if patch.completed is None else patch.completed,
        None if patch.clear_due else patch.due_at or remote.due_at,
    )
    base = merge.settled(came.task, came.base, patch, reply) if patch else came.base
    return came.task, base, reply


locals_ = st.builds(
    Task,
    st.sampled_from(("old", "new", "newer", "x" * 600)),
    st.booleans(),
    st.none() | st.sampled_from(("2026-12-24", "2026-12-25", "2026-12-24T17:00")),
)
remotes = st.builds(
    Fields,
    st.sampled_from(("old", "new", "other")),
    st.booleans(),
    st.none() | st.sampled_from((AGREED.remote.due_at, NOON, NOON + timedelta(days=1))),
)
prefers = st.sampled_from(("local", "remote"))


@given(locals_, remotes, prefers)
def test_after_one_join_both_sides_agree(local: Task, remote: Fields, prefer: str) -> None:
    """A second look at what came of the first finds nothing to do, and no clash."""
    task, base, item = after(joined(local, remote, prefer), remote)
    again = merge.join(task, base, item, ENCODING, prefer=prefer)
    assert not again.patch
    assert again.task == task
    assert not again.clashes
    assert merge.description(task.text) == item.description
    assert task.completed == item.completed


@given(locals_, remotes, prefers)
def test_no_value_is_lost_in_silence(local: Task, remote: Fields, prefer: str) -> None:
    """A new value is on a side afterwards, or among the clashes."""
    came = joined(local, remote, prefer)
    task, _, item = after(came, remote)
    lost = {clash.lost_value for clash in came.clashes}
    if local.text != OLD.text:
        assert task.text == local.text or local.text in lost
    if remote.description != AGREED.remote.description:
        assert item.description == remote.description or remote.description in lost
    if local.due != OLD.due:
        assert task.due == local.due or (local.due or "") in lost
    if remote.due_at != AGREED.remote.due_at:
        token = due.value_of(remote.due_at, UTC, time(9)) if remote.due_at else ""
        assert item.due_at == remote.due_at or token in lost


@given(remotes)
def test_what_one_side_changed_crosses_verbatim(remote: Fields) -> None:
    """The line says what the app says, nothing is sent, and nothing clashes."""
    came = joined(OLD, remote)
    assert came.task == merge.decode(remote, ENCODING)
    assert (came.patch, came.clashes) == (Patch(), [])
    assert came.base == Base(came.task, remote)


@given(locals_)
def test_without_news_of_the_app_it_is_a_push(local: Task) -> None:
    """The patch is the one of push, the line stays, and nothing clashes."""
    came = joined(local, AGREED.remote)
    assert came.patch == merge.outgoing(local, AGREED, AGREED.remote, ENCODING)
    assert came.task == local
    assert not came.clashes


@pytest.mark.parametrize(
    ("local", "remote", "clash"),
    [
        (replace(OLD, text="mine"), replace(AGREED.remote, description="theirs"),
         Clash("", "mine", "description", "remote", "mine", "theirs")),
        (replace(OLD, due="2026-12-26"), replace(AGREED.remote, due_at=None),
         Clash("", "old", "due_at", "remote", "2026-12-26", "")),
        (replace(OLD, due=None), replace(AGREED.remote, due_at=NOON),
         Clash("", "old", "due_at", "remote", "", "2026-12-24T12:00")),
    ],
)  # fmt: skip
def test_a_clash_tells_what_gave_way(local: Task, remote: Fields, clash: Clash) -> None:
    """The side that is preferred wins, and the other value is told; both ways round."""
    came = joined(local, remote)
    assert came.clashes == [clash]
    assert came.task == local
    other = joined(local, remote, "remote")
    (told,) = other.clashes
    assert (told.lost, told.kept_value, told.lost_value) == (
        "local",
        clash.lost_value,
        clash.kept_value,
    )
    assert not other.patch


def test_the_same_edit_on_both_sides_settles() -> None:
    """It costs nothing and is no clash."""
    local = Task("new", True, "2026-12-24T12:00")
    came = joined(local, Fields("new", True, NOON))
    assert (came.patch, came.task, came.clashes) == (Patch(), local, [])
    assert came.base == Base(local, Fields("new", True, NOON))


def test_the_tail_of_a_long_text_is_not_dropped() -> None:
    """Omi had the text cut: rewording it there is a clash, whoever wins."""
    long = Task("word " * 150 + "end")
    base = Base(long, merge.encode(long, ENCODING))
    came = merge.join(long, base, Fields("shorter"), ENCODING)
    assert came.task == long
    assert came.patch == Patch(description=merge.description(long.text))
    assert [clash.lost_value for clash in came.clashes] == ["shorter"]
    other = merge.join(long, base, Fields("shorter"), ENCODING, prefer="remote")
    assert other.task.text == "shorter"
    assert [clash.lost_value for clash in other.clashes] == [long.text]


def test_ticks_cannot_clash() -> None:
    """Two changes of one tick are the same change."""
    came = joined(replace(OLD, completed=True), replace(AGREED.remote, completed=True))
    assert (came.patch, came.clashes) == (Patch(), [])


def test_what_no_line_can_say_stays_where_it_is() -> None:
    """A blank description does not empty the line, and is not overwritten either."""
    encoding = Encoding(UTC, time(9), str.strip)
    came = merge.join(OLD, AGREED, replace(AGREED.remote, description=" "), encoding)
    assert (came.task, came.patch, came.clashes) == (OLD, Patch(), [])


TEXT = frozenset({"description"})


@pytest.mark.parametrize(
    ("local", "remote", "doubt", "unsaid", "unheard"),
    [
        ("old", " ", frozenset(), frozenset(), True),
        ("new", " ", frozenset(), frozenset(), False),
        ("old", "other", TEXT, frozenset(), False),
        ("old", "other", frozenset(), TEXT, False),
    ],
)
def test_unheard_is_what_no_line_can_hold_and_nothing_overwrites(
    local: str, remote: str, doubt: frozenset[str], unsaid: frozenset[str], *, unheard: bool
) -> None:
    """What gives way is told as a clash, what this one line cannot say by who found that out."""
    line, item = replace(OLD, text=local), replace(AGREED.remote, description=remote)
    came = merge.join(line, AGREED, item, LEGIBLE, doubt=doubt, unsaid=unsaid)
    assert came.unheard is unheard


def test_what_a_line_says_in_its_own_way_is_heard() -> None:
    """Also when it stays and something else changes; where it gives way it is told as a line."""
    base = Base(Task("two lines"), Fields("two\nlines"))
    came = merge.join(base.local, base, Fields("two\nlines", True), LEGIBLE)
    assert (came.task, came.unheard) == (Task("two lines", True), False)
    came = merge.join(Task("one"), base, Fields("three\nlines"), LEGIBLE)
    assert came.clashes == [Clash("", "one", "description", "remote", "one", "three lines")]


@given(locals_, remotes)
def test_a_field_in_doubt_is_the_lines(local: Task, remote: Fields) -> None:
    """What the app seems to have changed may be what was sent: the line is sent again."""
    doubt = frozenset({"description", "completed", "due_at"})
    came = joined(local, remote, "remote", doubt)
    due_at = due.instant(local.due, UTC, time(9)) if local.due else None
    text = merge.description(local.text)
    assert came.task == local
    assert came.patch == Patch(text, local.completed, due_at, clear_due=due_at is None)


@given(locals_)
def test_doubt_alone_is_no_clash(local: Task) -> None:
    """Where the app changed nothing, nothing has to give way."""
    doubt = frozenset({"description", "completed", "due_at"})
    assert joined(local, AGREED.remote, "remote", doubt).clashes == []


def test_a_doubted_date_that_the_line_never_had_is_not_cleared() -> None:
    """What both last agreed on is sent again, and that was no edit of the line."""
    base = Base(Task("old"), Fields("old", False, NOON))
    came = merge.join(base.local, base, base.remote, ENCODING, doubt=frozenset({"due_at"}))
    assert came.patch == Patch(due_at=NOON)


@pytest.mark.parametrize(("prefer", "done"), [("local", True), ("remote", False)])
def test_ticks_that_never_agreed_can_clash(prefer: str, done: bool) -> None:
    """A line adopted open by a finished item: ticked here, reopened there."""
    base = replace(AGREED, remote=replace(AGREED.remote, completed=True))
    remote = replace(AGREED.remote, completed=False)
    came = merge.join(replace(OLD, completed=True), base, remote, ENCODING, prefer=prefer)
    assert came.task.completed == done
    assert [clash.field for clash in came.clashes] == ["completed"]


@pytest.mark.parametrize(
    ("done", "kept", "lost"), [(False, "open", "done"), (True, "done", "open")]
)
def test_a_tick_that_gives_way_to_doubt_is_told(done: bool, kept: str, lost: str) -> None:
    """Whether the app or an unanswered request made it, nobody knows."""
    base = replace(AGREED, remote=replace(AGREED.remote, completed=done))
    remote = replace(AGREED.remote, completed=not done)
    local = replace(OLD, completed=done)
    came = merge.join(local, base, remote, ENCODING, doubt=frozenset({"completed"}))
    assert came.clashes == [Clash("", "old", "completed", "remote", kept, lost)]


def test_a_doubted_existence_asks_without_a_change() -> None:
    """The description is sent, for the sake of the answer; a field that is sent anyway will do."""
    came = joined(OLD, AGREED.remote, doubt=frozenset({EXISTENCE}))
    assert came.patch == Patch(description="old")
    came = joined(OLD, AGREED.remote, doubt=frozenset({EXISTENCE, "completed"}))
    assert came.patch == Patch(completed=False)


@pytest.mark.parametrize("text", ["x", "x" * 500])
def test_words_that_can_just_be_sent_ask(text: str) -> None:
    """Of one letter, and of as many as Omi takes; those that the item has by now."""
    remote = replace(AGREED.remote, description=text)
    came = merge.join(OLD, AGREED, remote, ENCODING, doubt=frozenset({EXISTENCE}))
    assert came.patch == Patch(description=text)


@pytest.mark.parametrize("text", ["x" * 501, ""])
def test_words_that_cannot_be_sent_ask_nothing(text: str) -> None:
    """Those that were agreed on would take back what the app wrote."""
    remote = replace(AGREED.remote, description=text)
    came = merge.join(OLD, AGREED, remote, ENCODING, doubt=frozenset({EXISTENCE}))
    assert came.patch == Patch(completed=remote.completed)


def test_a_doubted_date_that_neither_has_is_cleared() -> None:
    """A date may have been sent, and taken out of the line since."""
    base = Base(Task("old"), Fields("old"))
    came = merge.join(base.local, base, base.remote, ENCODING, doubt=frozenset({"due_at"}))
    assert came.patch == Patch(clear_due=True)


@pytest.mark.parametrize("value", ["2026-12-25", "2026-12-25T10:00"])
def test_a_day_is_one_of_the_configured_zone(value: str) -> None:
    """Ten in the morning there is still the evening before in UTC: both say the same."""
    far = Encoding(ZoneInfo("Pacific/Kiritimati"), time(9))
    remote = Fields("old", False, datetime(2026, 12, 24, 20, tzinfo=UTC))
    came = merge.join(replace(OLD, due=value), AGREED, remote, far)
    assert (came.task.due, came.patch, came.clashes) == (value, Patch(), [])


@given(moments(), zones(), clocks(), st.integers(0, 999_999))
def test_a_time_of_the_app_meets_its_token_without_drifting(
    moment: datetime, zone: tzinfo, due_time: time, fraction: int
) -> None:
    """Thirty cycles in any zone: the app's time stays to the microsecond, the token as written."""
    encoding = Encoding(zone, due_time)
    remote = Fields("old", False, moment.replace(microsecond=fraction))
    task, base = OLD, AGREED
    for _ in range(30):
        came = merge.join(task, base, remote, encoding)
        assert not came.patch
        task, base = came.task, came.base
    assert base.remote == remote
    assert task.due is not None
    assert due.instant(task.due, zone, due_time) == moment


@given(due_values(), zones(), clocks())
def test_a_token_meets_its_own_time_without_drifting(
    value: str, zone: tzinfo, due_time: time
) -> None:
    """What was pushed and comes back in a list is no edit of the app."""
    encoding = Encoding(zone, due_time)
    local = Task("old", False, value)
    base = Base(local, merge.encode(local, encoding))
    came = merge.join(local, base, base.remote, encoding)
    assert (came.task, came.patch, came.base) == (local, Patch(), base)


def test_a_date_and_a_time_of_the_same_day_agree_where_both_are_new() -> None:
    """A date alone says nothing of a time: the app's stays, and the line stays a date."""
    local = replace(OLD, due="2026-12-25")
    evening = datetime(2026, 12, 25, 17, tzinfo=UTC)
    came = joined(local, replace(AGREED.remote, due_at=evening))
    assert (came.task, came.patch, came.clashes) == (local, Patch(), [])
    assert came.base.remote.due_at == evening


def test_reopening_in_the_app_sends_the_date_that_was_held_back() -> None:
    """A finished task was created without its date, which would have rung the phone."""
    done = Task("old", True, "2026-12-24")
    base = Base(done, merge.encode(done, ENCODING))
    came = merge.join(done, base, Fields("old", False, None), ENCODING)
    assert came.task == replace(done, completed=False)
    assert came.patch == Patch(due_at=datetime(2026, 12, 24, 9, tzinfo=UTC))
    # Written down before it is sent: that it is open, and not that the date is there.
    assert came.base == Base(Task("old"), Fields("old"))


def test_what_goes_out_is_not_written_down_before_it_is_there() -> None:
    """A date that is set, or held back until the line was reopened here: the base stays."""
    assert joined(replace(OLD, due="2026-12-26"), AGREED.remote).base == AGREED
    done = Task("old", True, "2026-12-24")
    base = Base(done, merge.encode(done, ENCODING))
    came = merge.join(replace(done, completed=False), base, base.remote, ENCODING)
    assert came.base == base
    assert came.patch == Patch(completed=False, due_at=datetime(2026, 12, 24, 9, tzinfo=UTC))


@pytest.mark.parametrize("text", ["word " * 150, " old "])
def test_a_line_stays_as_it_is_where_both_say_the_same(text: str) -> None:
    """Though the server cut it, or cut the spaces off: what is agreed on is the whole line."""
    local, remote = replace(OLD, text=text), Fields(merge.description(text), False, None)
    came = joined(local, remote)
    assert came.task == replace(local, due=None)
    assert came.base == Base(came.task, remote)


def test_a_description_without_end_is_not_written_into_the_file() -> None:
    """The server promises 500 code points; a hostile one could make the file unreadable."""
    came = joined(OLD, replace(AGREED.remote, description="x" * (merge.ABSURD + 1)))
    assert (came.task, came.patch, came.clashes) == (OLD, Patch(), [])
    assert merge.decode(Fields("x" * merge.ABSURD), ENCODING).text == "x" * merge.ABSURD
    assert merge.decode(Fields("x" * (merge.ABSURD + 1)), ENCODING).text == ""


def test_a_text_that_grew_in_the_file_was_never_cut() -> None:
    """What a line needs besides the words, as a backslash, can take it over the limit."""
    remote = Fields("w" * 500)
    base = Base(Task("\\" + remote.description), remote)
    came = merge.join(base.local, base, Fields("shorter"), ENCODING)
    assert (came.task.text, came.patch, came.clashes) == ("shorter", Patch(), [])


PARTS = {"description": "text", "completed": "completed", "due_at": "due"}
unsaids = st.frozensets(st.sampled_from(sorted(PARTS)))


@given(locals_, remotes, prefers, unsaids)
def test_what_a_line_cannot_say_never_comes_into_it(
    local: Task, remote: Fields, prefer: str, unsaid: frozenset[str]
) -> None:
    """Each such field stays as it is on its side, or the line's goes out, told if it clashes."""
    came = merge.join(local, AGREED, remote, ENCODING, prefer=prefer, unsaid=unsaid)
    usual = joined(local, remote, prefer)
    for name, part in PARTS.items():
        if name not in unsaid:  # the others are as if nothing was
            assert getattr(came.task, part) == getattr(usual.task, part)
            assert (name in came.patch.names) == (name in usual.patch.names)
            continue
        assert getattr(came.task, part) == getattr(local, part)
        lost = [clash for clash in came.clashes if clash.field == name]
        assert all(clash.lost == "remote" for clash in lost)
        if name in came.patch.names and getattr(remote, name) != getattr(AGREED.remote, name):
            assert lost, "a value of Omi's gave way"


def test_the_date_of_a_finished_line_is_not_sent_with_its_new_words() -> None:
    """It was held back, and would ring the phone."""
    done = Task("old", True, "2026-12-24")
    base = Base(done, merge.encode(done, ENCODING))
    came = merge.join(replace(done, text="new"), base, base.remote, ENCODING)
    assert came.patch == Patch(description="new")
    assert came.task == replace(done, text="new")


def test_a_date_that_was_held_back_meets_one_of_the_app() -> None:
    """The app's comes into a line that nobody edited, but not into one that was reopened here."""
    done = Task("old", True, "2026-12-24")
    base = Base(done, merge.encode(done, ENCODING))
    for completed in (True, False):
        remote = Fields("old", completed, datetime(2026, 12, 31, 9, tzinfo=UTC))
        came = merge.join(done, base, remote, ENCODING)
        assert came.task == Task("old", completed, "2026-12-31")
        assert came.patch == Patch()
        (clash,) = came.clashes
        assert (clash.lost, clash.lost_value) == ("local", "2026-12-24")
        came = merge.join(replace(done, completed=False), base, remote, ENCODING)
        assert came.patch.due_at == datetime(2026, 12, 24, 9, tzinfo=UTC)
        (clash,) = came.clashes
        assert (clash.field, clash.kept_value, clash.lost_value) == (
            "due_at",
            "2026-12-24",
            "2026-12-31",
        )


@pytest.mark.parametrize("completed", [True, False])
def test_a_time_of_the_app_on_the_day_that_was_held_back_stays_there(completed: bool) -> None:
    """The line says nothing of a time, and is open or finished as the app has it."""
    done = Task("old", True, "2026-12-24")
    base = Base(done, merge.encode(done, ENCODING))
    remote = Fields("old", completed, datetime(2026, 12, 24, 16, tzinfo=UTC))
    came = merge.join(done, base, remote, ENCODING)
    assert came.task == replace(done, completed=completed)
    assert (came.patch, came.clashes) == (Patch(), [])


def test_a_time_that_is_taken_out_of_a_line_is_taken_out_of_its_item() -> None:
    """The app changed nothing: that the day is the same says nothing."""
    timed = replace(OLD, due="2026-12-24T17:00")
    base = Base(timed, merge.encode(timed, ENCODING))
    came = merge.join(OLD, base, base.remote, ENCODING)
    assert came.patch == Patch(due_at=datetime(2026, 12, 24, 9, tzinfo=UTC))


def test_a_fraction_of_a_second_is_no_other_time() -> None:
    """Both set the same one; a line cannot say what is beyond its seconds."""
    local = replace(OLD, due="2026-12-24T12:00")
    remote = replace(AGREED.remote, due_at=NOON.replace(microsecond=1))
    came = joined(local, remote)
    assert (came.task, came.patch, came.clashes) == (local, Patch(), [])
    assert came.base.remote == remote


def test_words_that_read_the_same_agree() -> None:
    """The line says in one line what the app says in two: neither is written anew."""
    local, remote = replace(OLD, text="two lines"), replace(AGREED.remote, description="two\nlines")
    came = merge.join(local, AGREED, remote, LEGIBLE)
    assert (came.task, came.patch, came.clashes) == (local, Patch(), [])
    assert came.base == Base(local, remote)


def test_what_was_sent_and_arrived_is_no_clash() -> None:
    """Only the answer was lost; it is sent once more, to be sure."""
    local, remote = replace(OLD, text="new"), replace(AGREED.remote, description="new")
    came = joined(local, remote, doubt=frozenset({"description"}))
    assert (came.patch, came.clashes) == (Patch(description="new"), [])


def test_spaces_around_a_text_do_not_make_it_a_longer_one() -> None:
    """The app reworded what the server has whole: its words come in."""
    spaced = Task(" old ")
    base = Base(spaced, merge.encode(spaced, ENCODING))
    came = merge.join(spaced, base, Fields("new"), ENCODING)
    assert (came.task.text, came.patch, came.clashes) == ("new", Patch(), [])


def test_an_edit_asks_whether_its_item_exists() -> None:
    """Then the description need not be sent for the sake of an answer."""
    came = joined(replace(OLD, completed=True), AGREED.remote, doubt=frozenset({EXISTENCE}))
    assert came.patch == Patch(completed=True)


def test_a_doubted_text_that_is_empty_is_not_sent() -> None:
    """No server takes it; one may have given it."""
    base = Base(OLD, replace(AGREED.remote, description=""))
    came = merge.join(OLD, base, base.remote, ENCODING, doubt=frozenset({"description"}))
    assert came.patch == Patch()
