"""What a list that was numbered anew tells of its lines, and what it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lists import in_file, lines

from omisync.core import renumber

STEPS = ("write the intro", "draw the figures", "collect data", "read Knuth, 2", "ask Ann")
STYLES = (
    "{}. {}", "{}) {}", "({}) {}", "[{}] {}", "#{}: {}", "**{}.** {}", "1.{} {}", "2.{}. {}",
    "Step {}: {}", "Étape {}) {}", "**Day {}:** {}", "{}.1. {}", "***{}.*** {}", "10000{}. {}",
)  # fmt: skip


def numbered(style: str, *texts: str, first: int = 1) -> list[str]:
    """Return the lines of a list that counts from ``first``."""
    return [style.format(number, text) for number, text in enumerate(texts, first)]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("count", [2, 5])
def test_a_line_put_in_first_leaves_the_others_what_they_are(style: str, count: int) -> None:
    """However the numbers are written, and though each line of the file is another."""
    olds = numbered(style, *STEPS[:count])
    news = numbered(style, "plan it", *STEPS[:count])
    assert in_file(news, olds) == dict(zip(olds, news[1:], strict=True))


@pytest.mark.parametrize("style", STYLES)
def test_a_line_taken_out_first_leaves_the_others_what_they_are(style: str) -> None:
    """What was numbered first is gone, whoever has its number now."""
    olds, news = numbered(style, *STEPS), numbered(style, *STEPS[1:])
    assert in_file(news, olds) == dict(zip(olds[1:], news, strict=True))


def test_the_last_line_becomes_the_first() -> None:
    """Each number is another, and each line where it goes."""
    olds = numbered("{}. {}", *STEPS)
    news = numbered("{}. {}", STEPS[-1], *STEPS[:-1])
    assert in_file(news, olds) == dict(zip(olds, [*news[1:], news[0]], strict=True))


def test_numbers_count_by_their_parts() -> None:
    """1.10 follows 1.9, and 10 follows 9."""
    olds = [f"1.{n} {text}" for n, text in zip((9, 10, 11), STEPS, strict=False)]
    news = [f"1.{n} {text}" for n, text in zip((10, 11, 12), STEPS, strict=False)]
    assert len(renumber.pair(lines(*news), lines(*olds))) == 3


@pytest.mark.parametrize(
    ("news", "olds"),
    [
        (["2. write"], ["1. write"]),  # one line is no list
        (["Week 2: dust", "Week 2: mop"], ["Week 1: dust", "Week 1: mop"]),  # the next round
        (["2. dust", "1. mop"], ["1. dust", "2. mop"]),  # they do not rise
        (["1. dust", "2. mop"], ["2. dust", "1. mop"]),
        (["2. dust", "2. mop"], ["1. dust", "2. mop"]),
        (["2. dust", "3. dust"], ["1. dust", "2. dust"]),  # nothing tells which is which
        (["1. dust", "2. dust", "3. mop"], ["2. dust", "4. mop"]),
        (["2. 2026", "3. -"], ["1. 2026", "2. -"]),  # no words
        (["2. 2026", "3. 2027"], ["1. 2026", "2. 2027"]),
        (["1000002. dust", "1000003. mop"], ["1000001. dust", "1000002. mop"]),  # names, not places
        (["****2. dust", "****3. mop"], ["****1. dust", "****2. mop"]),
        (["2.**** dust", "3.**** mop"], ["1.**** dust", "2.**** mop"]),
        (["A1 2. dust", "A1 3. mop"], ["A1 1. dust", "A1 2. mop"]),
        (["6 eggs", "7 figs"], ["5 eggs", "6 figs"]),  # amounts
        (["10:30 call", "11:30 mail"], ["9:30 call", "10:30 mail"]),  # times
        (["30% of it", "40% of that"], ["20% of it", "30% of that"]),
        (["2027 taxes", "2028 plans"], ["2026 taxes", "2027 plans"]),
        (["PR 2: dust it", "PR 3 mop it"], ["PR 1: dust it", "PR 2 mop it"]),
        (["See also 2: dust", "See also 3: mop"], ["See also 1: dust", "See also 2: mop"]),
        (["a2. dust", "a3. mop"], ["a1. dust", "a2. mop"]),
        (["2) dust", "3) mop"], ["1. dust", "2. mop"]),  # written otherwise
        (["Step 2: dust", "Step 3: mop"], ["Task 1: dust", "Task 2: mop"]),
    ],
)
def test_what_is_no_list_numbered_anew(news: list[str], olds: list[str]) -> None:
    """Numbers that mean something, and lines that nothing else tells apart."""
    assert renumber.pair(lines(*news), lines(*olds)) == []


def test_each_heading_has_a_list_of_its_own() -> None:
    """That may move as a whole; a line by itself under another one is no list."""
    olds = [*lines("1. a", "2. b", section="x"), *lines("1. c", "2. d", section="y")]
    olds = [line._replace(at=at) for at, line in enumerate(olds)]
    news = [*lines("2. a", "3. b", section="z"), *lines("2. c", section="y")]
    news = [*news, *lines("3. d", section="x")]
    news = [line._replace(at=at) for at, line in enumerate(news)]
    assert renumber.pair(news, olds) == [(0, 0), (1, 1)]


def test_a_finished_line_that_is_open_again_is_the_next_round() -> None:
    """A tick is no round."""
    olds, news = lines(*numbered("{}. {}", *STEPS)), lines(*numbered("{}. {}", *STEPS, first=2))
    ticked = [line._replace(completed=line.at == 0) for line in olds]
    assert renumber.pair(news, ticked) == [(at, at) for at in range(1, 5)]
    assert len(renumber.pair([line._replace(completed=True) for line in news], ticked)) == 5


def test_ids_and_absences_say_otherwise() -> None:
    """Who wrote another id into a line means another item; what was away was not edited."""
    olds, news = lines(*numbered("{}. {}", *STEPS)), lines(*numbered("{}. {}", *STEPS, first=2))
    named = [line._replace(remote_id=f"r{line.at}") for line in olds]
    assert len(renumber.pair(news, named)) == 5
    written = [line._replace(remote_id="q" if line.at < 2 else None) for line in news]
    assert renumber.pair(written, named) == [(2, 2), (3, 3), (4, 4)]
    assert len(renumber.pair(written, olds)) == 5
    away = [line._replace(absent=line.at > 2) for line in olds]
    assert renumber.pair(news, away) == [(0, 0), (1, 1), (2, 2)]


@given(
    st.lists(st.text("abcd", min_size=1, max_size=4), min_size=3, max_size=9, unique=True),
    st.data(),
)
def test_a_list_keeps_its_lines_through_any_edit_that_keeps_their_order(
    texts: list[str], data: st.DataObject
) -> None:
    """Lines come and go anywhere; the others are known by what they say."""
    kept = [text for text in texts if data.draw(st.booleans())]
    if len(kept) < renumber.ENOUGH:
        kept = texts
    news = list(kept)
    for new in data.draw(st.lists(st.sampled_from(["X", "Y", "Z"]), unique=True)):
        news.insert(data.draw(st.integers(0, len(news))), new)
    found = renumber.pair(lines(*numbered("{}. {}", *news)), lines(*numbered("{}. {}", *texts)))
    assert found == [(news.index(text), texts.index(text)) for text in kept]
