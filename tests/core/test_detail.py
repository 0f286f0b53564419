"""What lines of one place that were each added to tell of each other, and what they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lists import in_file, lines

from omisync.core import detail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SHOPPING = ("Milk", "Bread", "Eggs", "Butter")
STYLES: tuple[Callable[[int, str], str], ...] = (
    lambda n, text: f"{text} ({n} l)",
    lambda n, text: f"{n}. {text}",
    lambda _, text: f"{text} from the market",
    lambda n, text: f"buy {text}, aisle {n}",
    lambda _, text: f"**{text}**",
    lambda _, text: f"~~{text}~~",
)


def paired(news: Sequence[str], olds: Sequence[str]) -> dict[str, str]:
    """Return which old text became which new one."""
    return {olds[old]: news[new] for new, old in detail.pair(lines(*news), lines(*olds))}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("count", [2, 4])
def test_a_shopping_list_that_is_written_out_is_the_same_list(
    style: Callable[[int, str], str], count: int
) -> None:
    """A word each, and none of the file's lines stayed; what is put below is new."""
    short = SHOPPING[:count]
    long = [style(n, text) for n, text in enumerate(short, 1)]
    assert in_file([*long, "Tea"], short) == dict(zip(short, long, strict=True))
    assert in_file(short, [*long, "Tea"]) == dict(zip(long, short, strict=True))


@pytest.mark.parametrize(
    ("olds", "news"),
    [
        (["卵", "牛乳"], ["卵 10個", "牛乳 1本"]),
        (["Хлеб", "Сыр"], ["Хлеб белый", "Сыр, 200 г"]),
        (["A", "B", "C"], ["B now", "C now"]),
    ],
)
def test_what_is_left_of_a_list_is_known_by_its_words(olds: list[str], news: list[str]) -> None:
    """In any language, and where some lines went meanwhile."""
    assert paired(news, olds) == dict(zip(olds[-len(news) :], news, strict=True))


@pytest.mark.parametrize(
    ("olds", "news"),
    [
        (["Milk"], ["Milk 2 l"]),  # one alone
        (["Milk", "Bread"], ["Bread rye", "Milk 2 l"]),  # in another order
        (["Milk", "Bread"], ["Milk 2 l", "Milk 3 l", "Bread rye"]),  # which of them?
        (["Milk", "Milk", "Bread"], ["Milk 2 l", "Bread rye"]),
        (["5", "7"], ["5 l", "7 l"]),  # no word
        (["-", "?"], ["- l", "? l"]),
        (["Milk", "Bread"], ["Milky way", "Breadth"]),  # other words
        (["a b", "c d"], ["b a x", "d c x"]),
        (["Milk", "Bread", "Salt", "Rice"], ["Milk 2 l", "Bread rye", "Tea", "Jam"]),  # half of it
    ],
)
def test_what_tells_nothing(olds: list[str], news: list[str]) -> None:
    """Nor does it the other way round."""
    assert paired(news, olds) == {}
    assert paired(olds, news) == {}


def test_two_of_three_are_enough() -> None:
    """The others may have come and gone."""
    olds, news = ["Milk", "Bread", "Salt"], ["Milk 2 l", "Bread rye", "Tea"]
    assert paired(news, olds) == {"Milk": "Milk 2 l", "Bread": "Bread rye"}


def test_each_heading_has_a_list_of_its_own() -> None:
    """A word may stand below several; two lines below two headings are no list."""
    olds = [*lines("Read", "Write", section="A"), *lines("Read", "Write", section="B")]
    olds = [old._replace(at=at) for at, old in enumerate(olds)]
    news = [new._replace(text=f"{new.text} it") for new in olds]
    assert detail.pair(news, olds) == [(at, at) for at in range(4)]
    assert detail.pair([news[0], news[3]], [olds[0], olds[3]]) == []


def test_a_word_of_many_lines_tells_none_from_another() -> None:
    """The rarest is looked up, and not where it is in nearly all of them."""
    olds, news = ["plan it", "test it"], ["plan it soon", "test it soon"]
    few = [f"{word} {n}" for word in ("plan", "it") for n in range(detail.FEW - 1)]
    assert paired([*few, *news], olds) == dict(zip(olds, news, strict=True))
    assert paired([*few, "plan more", *news], olds) == {}


def test_ids_chores_and_absences_say_otherwise() -> None:
    """Two ids differ, a finished line that is open again is another round, an absent one went."""
    olds, news = lines("Milk", "Bread"), lines("Milk 2 l", "Bread rye")
    both = [(0, 0), (1, 1)]
    assert detail.pair(news, olds) == both
    named = [old._replace(remote_id="one") for old in olds]
    assert detail.pair(news, named) == both
    assert detail.pair([new._replace(remote_id="two") for new in news], named) == []
    done = [old._replace(completed=True) for old in olds]
    assert detail.pair(news, done) == []
    assert detail.pair([new._replace(completed=True) for new in news], done) == both
    assert detail.pair([new._replace(completed=True) for new in news], olds) == both
    assert detail.pair(news, [olds[0]._replace(absent=True), olds[1]]) == []


WORDS = st.lists(st.text("abcdefgh", min_size=3, max_size=9), min_size=2, max_size=9, unique=True)


@given(WORDS, st.data())
def test_any_list_of_words_keeps_its_lines_through_added_words(
    olds: list[str], data: st.DataObject
) -> None:
    """Whatever was added to each, that no line had, before it or behind it."""
    added = st.sampled_from(("1 kg", "(soon)", "today!", "2x"))
    news = [
        f"{data.draw(added)} {text}" if data.draw(st.booleans()) else f"{text} {data.draw(added)}"
        for text in olds
    ]
    assert in_file(news, olds) == dict(zip(olds, news, strict=True))
