"""The nouns: what they know about themselves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from omisync.core.model import Fields, Gate, Intent, Link, Patch, RemoteItem, Task


@pytest.mark.parametrize(
    ("now", "wait"), [(100.0, 30.0), (110.0, 20.0), (130.0, 0.0), (500.0, 0.0), (50.0, 30.0)]
)
def test_a_gate_opens_when_its_time_is_over(now: float, wait: float) -> None:
    """A clock that jumped back never makes the wait longer than the server asked."""
    assert Gate("read", 100.0, 30.0).wait(now) == wait


def test_an_intent_tells_of_its_link_what_is_known() -> None:
    """The key and the line, with its place; nothing of an item."""
    intent = Intent("k", "g", Fields("t"), Task("t"), (), 1.0, 2.0, section="s", rank=3)
    assert intent.link == Link("k", None, Task("t"), "s", 3)


def test_a_sentence_has_the_text_of_a_task_as_it_is() -> None:
    """Joined emoji and no-break spaces are not spelled out."""
    assert Task("👩\u200d💻 it's\xa05").quoted == "“👩\u200d💻 it's\xa05”"


def test_the_oldest_item_comes_first() -> None:
    """Those without a time come last, in the order of their ids."""
    made = datetime(2026, 1, 31, tzinfo=UTC)
    items = [RemoteItem(name, Fields(name)) for name in "ba"]
    items += [RemoteItem("d", Fields("d"), made), RemoteItem("c", Fields("c"), made)]
    assert [item.id for item in sorted(items, key=lambda item: item.age_order)] == [*"cdab"]


def test_a_patch_that_asks_whether_an_item_exists_changes_nothing() -> None:
    """Open again for an open item; the text of a finished one, which has no other stamp."""
    assert Patch.unchanging(Fields("a")) == Patch(completed=False)
    assert Patch.unchanging(Fields("a", completed=True)) == Patch(description="a")
    assert Patch.unchanging(Fields("", completed=True)) == Patch(completed=True)
    longest = "a" * 500
    assert Patch.unchanging(Fields(longest, completed=True)) == Patch(description=longest)
    assert Patch.unchanging(Fields(f"{longest}b", completed=True)) == Patch(completed=True)


def test_what_a_patch_says_beyond_what_is_said() -> None:
    """A date is always news: an item may keep one that it was told to clear."""
    day = datetime(2026, 5, 1, 9, tzinfo=UTC)
    patch = Patch("a", completed=True, due_at=day)
    assert patch.beyond(Fields("a", completed=True, due_at=day)) == Patch(due_at=day)
    assert patch.beyond(Fields("b")) == patch
    assert Patch(clear_due=True).beyond(Fields("a")) == Patch(clear_due=True)
