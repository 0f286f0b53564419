"""What identity promises, whatever else a person did in the same save."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from random import Random
from string import ascii_lowercase
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from match_oracle import most_equal, rewordings

from omisync.core import reword
from omisync.core.match import Matching, normalised, pair
from omisync.core.model import Base, Entry, Fields, Link, Task
from omisync.core.reword import Line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SECTIONS = st.sampled_from(["", "Today", "Later > Garden"])
DUES = st.sampled_from([None, "2026-01-05", "2026-01-12T17:00"])
WORD = st.text(ascii_lowercase, min_size=4, max_size=7)
SENTENCE = st.lists(WORD, min_size=4, max_size=7).map(" ".join)

# Whatever is written: templates, numbers, twins, other scripts and odd spaces.
ANY_TEXT = st.one_of(
    SENTENCE,
    st.text(max_size=12),
    st.sampled_from(["Call Bob", "Call  Bob", "Call Tim", "Call", "PR #1", "PR #2", "打电话", "❤️"]),
)
TASKS = st.builds(Task, ANY_TEXT, st.booleans(), DUES)
IDS = st.sampled_from([None, None, "r0", "r1", "r2", "unheard-of"])
ENTRIES = st.lists(st.builds(Entry, TASKS, st.just(1), SECTIONS, IDS), max_size=8)


@st.composite
def some_links(draw: st.DrawFn) -> list[Link]:
    """Links with remote ids of their own, a few without, a few absent."""
    return [
        Link(
            key=f"k{at}",
            remote_id=draw(st.sampled_from([f"r{at}", None])),
            seen=draw(TASKS),
            section=draw(SECTIONS),
            rank=at,
            absent_since=draw(st.sampled_from([None, 1.0])),
        )
        for at in range(draw(st.integers(0, 8)))
    ]


@st.composite
def unlike(draw: st.DrawFn, least: int = 1) -> list[Task]:
    """Tasks of different texts, in any state."""
    texts = draw(st.lists(SENTENCE, min_size=least, max_size=8, unique=True))
    return [Task(text, draw(st.booleans()), draw(DUES)) for text in texts]


def entry(task: Task, section: str = "", explicit_id: str | None = None) -> Entry:
    """Return a line of the file."""
    return Entry(task, line=1, section=section, explicit_id=explicit_id)


def entries(tasks: Iterable[Task | str], section: str = "") -> list[Entry]:
    """Return lines of one section; a text alone is an open task."""
    return [entry(task if isinstance(task, Task) else Task(task), section) for task in tasks]


def links(seen: Iterable[Task | str], section: str = "") -> list[Link]:
    """Return links that saw these lines, ``r0`` the remote id of the first."""
    return [
        Link(f"k{at}", f"r{at}", task if isinstance(task, Task) else Task(task), section, at)
        for at, task in enumerate(seen)
    ]


def remembered(lines: Sequence[Entry]) -> list[Link]:
    """Return the links after these lines were seen."""
    return [
        link.but(section=line.section)
        for link, line in zip(links(line.task for line in lines), lines, strict=True)
    ]


def everything(count: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs of a file in which nothing moved."""
    return tuple((at, at) for at in range(count))


@given(ENTRIES, some_links())
def test_every_line_has_one_answer(news: list[Entry], olds: list[Link]) -> None:
    """Entries are paired or new, links paired or absent, none twice, each list in order."""
    found = pair(news, olds)
    assert sorted([*(e for e, _ in found.pairs), *found.new]) == list(range(len(news)))
    assert sorted([*(at for _, at in found.pairs), *found.absent]) == list(range(len(olds)))
    assert list(found.pairs) == sorted(found.pairs)
    assert list(found.new) == sorted(found.new)
    assert list(found.absent) == sorted(found.absent)


@given(ENTRIES)
def test_a_file_read_twice_has_not_changed(news: list[Entry]) -> None:
    """Twins and templates included, each line is the link that saw it."""
    news = [line._replace(explicit_id=None) for line in news]
    assert pair(news, remembered(news)) == Matching(everything(len(news)), (), ())


@given(ENTRIES, some_links())
def test_what_was_decided_stays_decided(news: list[Entry], olds: list[Link]) -> None:
    """Once the links have seen the file, looking again changes nothing."""
    news = [line._replace(explicit_id=None) for line in news]
    found = pair(news, olds)
    now = remembered(news)
    gone = [olds[at].but(remote_id=None, absent_since=2.0) for at in found.absent]
    assert pair(news, [*now, *gone]).pairs == everything(len(news))


@given(unlike(), st.data())
def test_order_sections_ticks_and_dates_are_no_part_of_identity(
    tasks: list[Task], data: st.DataObject
) -> None:
    """Sorted, moved under other headings, ticked and re-dated in one save: the same lines."""
    order = data.draw(st.permutations(range(len(tasks))))
    news = [
        entry(Task(tasks[at].text, data.draw(st.booleans()), data.draw(DUES)), data.draw(SECTIONS))
        for at in order
    ]
    olds = [link.but(section=data.draw(SECTIONS)) for link in links(tasks)]
    assert pair(news, olds) == Matching(tuple(enumerate(order)), (), ())


@given(unlike(), unlike(), st.data())
def test_what_came_and_went_does_not_touch_the_others(
    before: list[Task], added: list[Task], data: st.DataObject
) -> None:
    """A line whose text is still there keeps its identity beside any other edit."""
    stays = [task for task in before if data.draw(st.booleans())]
    after = data.draw(st.permutations([*stays, *added]))
    after = [replace(task, completed=data.draw(st.booleans())) for task in after]
    found = pair(entries(after), links(before))
    names = {task.text: at for at, task in enumerate(before)}
    for new, task in enumerate(after):
        if task.text in names and [each.text for each in after].count(task.text) == 1:
            assert (new, names[task.text]) in found.pairs


@given(unlike(), st.data())
def test_one_word_replaced_where_the_line_stands(tasks: list[Task], data: st.DataObject) -> None:
    """One word of four or more is another, boxes ticked and unticked too: the same line."""
    at = data.draw(st.integers(0, len(tasks) - 1))
    words = tasks[at].text.split()
    words[data.draw(st.integers(0, len(words) - 1))] = data.draw(WORD)
    news = [replace(task, completed=data.draw(st.booleans())) for task in tasks]
    news[at] = replace(news[at], text=" ".join(words))
    if news[at].text not in {task.text for task in tasks}:
        assert pair(entries(news), links(tasks)).pairs == everything(len(tasks))


@given(unlike(least=3), st.data())
def test_a_reworded_line_under_a_renamed_heading(tasks: list[Task], data: st.DataObject) -> None:
    """The neighbours vouch for it across the new heading."""
    at = data.draw(st.integers(0, len(tasks) - 1))
    news = [*tasks]
    news[at] = replace(news[at], text=news[at].text + " and more")
    assert pair(entries(news, "Monday"), links(tasks, "Today")).pairs == everything(len(tasks))


@given(st.text(), st.sampled_from([" ", "  ", "\u00a0", "\t", "\u2003"]))
def test_normalising_is_done_after_once(text: str, space: str) -> None:
    """A normalised text is its own normal form, and spaces around it do not matter."""
    once = normalised(text)
    assert normalised(once) == once
    assert normalised(f"{space}{text}{space}") == once


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Café", "Cafe\u0301"),
        ("a\u00a0b", "a  b"),
        ("✔\ufe0f done", "✔ done"),
        ("❤\ufe0e", "❤\ufe0f"),
        ("a\tb\u2003c", "a b c"),
    ],
)
def test_spellings_of_one_text(one: str, other: str) -> None:
    """What looks the same on the screen is the same text."""
    assert normalised(one) == normalised(other)


def test_case_and_punctuation_are_part_of_the_text() -> None:
    """They are no identity by themselves, but a line that has them equal comes first."""
    found = pair(entries(["call bob!", "Call Bob"]), links(["Call Bob"]))
    assert found.pairs == ((1, 0),)


# Equal lines.

STATES = st.builds(Task, st.just("Water the plants"), st.booleans(), DUES)
FAR_APART = st.builds(Task, st.sampled_from(["alpha", "bravo", "xylem 7", "Ω"]), st.booleans())


@given(
    st.lists(st.tuples(FAR_APART, SECTIONS), max_size=5),
    st.lists(st.tuples(FAR_APART, SECTIONS), max_size=5),
)
def test_as_many_equal_texts_are_paired_as_can_be(
    news: list[tuple[Task, str]], olds: list[tuple[Task, str]]
) -> None:
    """No other assignment pairs more lines of equal text."""
    found = pair(
        [entry(task, section) for task, section in news],
        [Link(str(at), None, task, section) for at, (task, section) in enumerate(olds)],
    )
    equal = [(a, b) for a, b in found.pairs if news[a][0].text == olds[b][0].text]
    (most,) = most_equal(
        [task for task, _ in news], [task for task, _ in olds], lambda a, b: a.text == b.text
    )
    assert len(equal) == most


@given(st.lists(STATES, max_size=5), st.lists(STATES, max_size=5))
def test_equal_lines_agree_on_their_state_as_often_as_can_be(
    news: list[Task], olds: list[Task]
) -> None:
    """If one line came or went, the others keep box and date; within one state, their order."""
    found = pair(entries(news), links(olds)).pairs
    if len(news) == len(olds) and Counter(news) != Counter(olds):
        assert found == everything(len(news))
        return
    most = most_equal(news, olds, lambda a, b: a.text == b.text, lambda a, b: a == b)
    same = [(a, b) for a, b in found if news[a] == olds[b]]
    assert (len(found), len(same)) == most
    for state in {news[a] for a, _ in same}:
        kept = [b for a, b in same if news[a] == state]
        assert kept == sorted(kept)


@given(st.lists(STATES, min_size=2, max_size=5), st.data())
def test_equal_lines_that_changed_places_keep_their_state(
    olds: list[Task], data: st.DataObject
) -> None:
    """While all boxes and dates are there that were, nobody edited one."""
    news = data.draw(st.permutations(olds))
    found = pair(entries(news), links(olds)).pairs
    assert all(news[a] == olds[b] for a, b in found)
    assert len(found) == len(olds)


def test_equal_lines_around_which_all_is_moved_keep_their_state() -> None:
    """Neither was touched: that the line above each is another says nothing."""
    olds = [Task("bread"), Task("rent"), Task("call", True), Task("rent", True), Task("milk", True)]
    news = [olds[2], olds[1], olds[0], olds[3]]
    assert pair(entries(news), links(olds)).pairs == ((0, 2), (1, 1), (2, 0), (3, 3))
    twice = [Task("milk", True), Task("milk"), Task("eggs")]
    assert pair(entries([twice[1], twice[0], twice[2]]), links(twice)).pairs == (
        (0, 1), (1, 0), (2, 2),
    )  # fmt: skip


def test_an_edit_of_one_of_them_is_that_line_s() -> None:
    """Then they pair in order: the first that was ticked is the first that was open."""
    olds = [Task("milk"), Task("milk"), Task("eggs")]
    news = [Task("milk", True), *olds[1:]]
    assert pair(entries(news), links(olds)).pairs == everything(3)


@pytest.mark.parametrize("is_above", [True, False])
def test_a_chore_that_comes_again_is_the_new_line(is_above: bool) -> None:
    """The date tells which is the round that was finished, wherever the next one is written."""
    olds = links([Task("Pay rent", due="2026-12-01"), "Buy milk"])
    finished = Task("Pay rent", completed=True, due="2026-12-01")
    ahead = Task("Pay rent", due="2027-01-01")
    both = [ahead, finished] if is_above else [finished, ahead]
    assert pair(entries([*both, "Buy milk"]), olds).pairs == ((int(is_above), 0), (2, 1))


def test_equal_lines_that_changed_sections_keep_their_marks() -> None:
    """One is done, and neither has a date: both marks are where the other one was."""
    olds = [Link("k0", "r0", DONE, "A", 0), Link("k1", "r1", MILK, "B", 1)]
    news = [Entry(MILK, 1, "A"), Entry(DONE, 2, "B")]
    assert pair(news, olds).pairs == ((0, 1), (1, 0))


def test_equal_lines_stay_in_their_sections() -> None:
    """A chore that stands under two headings is two tasks; the one that went, went."""
    olds = [*links(["Sweep"], "Monday"), *links(["Sweep"], "Tuesday")]
    assert pair(entries(["Sweep"], "Tuesday"), olds).pairs == ((0, 1),)


def test_equal_lines_of_two_sections_may_change_places() -> None:
    """With all their marks and dates: else two machines would call the same file two edits."""
    dated = Task("Sweep", due="2026-12-01")
    olds = [*links([dated], "Monday"), *links(["Sweep"], "Tuesday")]
    news = [*entries(["Sweep"], "Monday"), *entries([dated], "Tuesday")]
    assert pair(news, olds).pairs == ((0, 1), (1, 0))
    redated = [
        *entries(["Sweep"], "Monday"),
        *entries([Task("Sweep", due="2026-12-02")], "Tuesday"),
    ]
    assert pair(redated, olds).pairs == ((0, 0), (1, 1))


def test_the_chores_of_a_day_hold_its_other_lines_in_place() -> None:
    """A line that is the only one in its section is an anchor, though other days have it."""
    olds = [
        *links(["Sweep", Task("Rest", completed=True), "Mop", "Rest"], "Monday"),
        *links(["Sweep", "Mop"], "Tuesday"),
    ]
    done = [Task(text, completed=True) for text in ("Sweep", "Mop")]
    news = [*entries([*done, Task("Rest", completed=True)], "Monday"), *entries(done, "Tuesday")]
    assert pair(news, olds).pairs == ((0, 0), (1, 2), (2, 3), (3, 4), (4, 5))


REST, RESTED = Task("Rest"), Task("Rest", completed=True)
PLACES = {
    "the line above vouches for it": (
        [("", "Mop"), ("", REST), ("", "Dust"), ("", RESTED)],
        [("", "Dust"), ("", REST), ("", "Mop")],
        (1, 3),
    ),
    "the line below vouches for it": (
        [("", "Mop"), ("", REST), ("", "Dust"), ("", RESTED), ("", "Iron")],
        [("", REST), ("", "Iron"), ("", "Mop"), ("", "Dust")],
        (0, 3),
    ),
    "the section vouches for it, not the line above in another": (
        [("A", "Mop"), ("A", REST), ("B", "Dust"), ("B", RESTED), ("B", "Iron"), ("B", RESTED)],
        [("A", "Mop"), ("B", REST), ("C", "Dust"), ("C", "Iron")],
        (1, 3),
    ),
    "nothing vouches for it but the text, and the first is as good as any": (
        [("A", "Wax"), ("A", RESTED), ("A", "Mop"), ("B", "Iron"), ("B", RESTED), ("B", "Dust")],
        [("C", "Mop"), ("C", REST), ("C", "Iron"), ("C", "Wax"), ("C", "Dust")],
        (1, 1),
    ),
    "the line above vouches for it under new headings": (
        [("A", "Mop"), ("A", REST), ("B", "Dust"), ("B", RESTED)],
        [("C", "Dust"), ("C", REST), ("D", "Mop")],
        (1, 3),
    ),
    "the line below vouches for it under new headings": (
        [("A", "Wax"), ("A", REST), ("A", "Mop"), ("B", RESTED), ("B", "Dust"), ("B", "Iron")],
        [("C", "Wax"), ("C", "Iron"), ("C", REST), ("D", "Dust"), ("D", "Mop")],
        (2, 3),
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), PLACES.values(), ids=PLACES.keys())
def test_equal_lines_follow_their_places(
    before: list[tuple[str, Task | str]],
    after: list[tuple[str, Task | str]],
    expected: tuple[int, int],
) -> None:
    """One of two equal lines left; which one stayed is told by its place, not by its box."""
    news = [line for section, task in after for line in entries([task], section)]
    olds = remembered([line for section, task in before for line in entries([task], section)])
    assert expected in pair(news, olds).pairs


def test_two_thousand_equal_lines() -> None:
    """A file of nothing but equal lines pairs in order, and the rest is new."""
    found = pair(entries(["TODO"] * 2000), links(["TODO"] * 1990))
    assert found.pairs == everything(1990)
    assert found.new == tuple(range(1990, 2000))


# Lines that are absent.


@given(unlike(least=2), st.data())
def test_a_cut_line_comes_back_anywhere(tasks: list[Task], data: st.DataObject) -> None:
    """Pasted under any heading and at any place, the absent line is found again."""
    at = data.draw(st.integers(0, len(tasks) - 1))
    olds = links(tasks)
    olds[at] = olds[at].but(absent_since=5.0)
    stays = [place for place in range(len(tasks)) if place != at]
    back = data.draw(st.integers(0, len(stays)))
    order = [*stays[:back], at, *stays[back:]]
    news = [entry(tasks[place], data.draw(SECTIONS)) for place in order]
    assert pair(news, olds).pairs == tuple(enumerate(order))


def test_a_line_in_the_file_comes_before_an_equal_one_that_left() -> None:
    """Ticking a line never turns it into its twin that was removed a moment ago."""
    olds = links([Task("Sweep", completed=True), Task("Sweep")])
    olds[0] = olds[0].but(absent_since=5.0)
    found = pair(entries([Task("Sweep", completed=True)]), olds)
    assert found == Matching(((0, 1),), (), (0,))


# Ids that the person wrote.


@given(unlike(), unlike(), st.data())
def test_a_written_id_outweighs_every_word(
    before: list[Task], after: list[Task], data: st.DataObject
) -> None:
    """Lines with ids of links are those links, whatever they say and wherever they stand."""
    count = min(len(before), len(after))
    order = data.draw(st.permutations(range(count)))
    news = [
        entry(task, data.draw(SECTIONS), f"r{at}") for at, task in zip(order, after, strict=False)
    ]
    assert pair(news, links(before[:count])).pairs == tuple(enumerate(order))


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_copied_id_stays_with_the_line_that_kept_its_text(kept: int) -> None:
    """The copies are new lines, also where one of them is only slightly changed."""
    texts = ["Water the plant", "Water all of the plants", "Plants"]
    texts[kept] = "Water the plants"
    found = pair([entry(Task(text), "", "r0") for text in texts], links(["Water the plants"]))
    assert found.pairs == ((kept, 0),)
    assert len(found.new) == 2


def test_a_copied_id_stays_with_the_text_to_the_letter() -> None:
    """A copy in capitals above the line does not take its place, even when that is ticked."""
    done = Task("Water the plants", completed=True)
    news = [entry(Task("WATER the plants"), "", "r0"), entry(done, "", "r0")]
    assert pair(news, links(["Water the plants"])).pairs == ((1, 0),)


def test_a_copied_id_stays_with_the_most_similar_line() -> None:
    """If every copy was changed, the one that was changed least is the old one."""
    news = [entry(Task(text), "", "r0") for text in ("Buy seeds", "Water a plant", "Water plants")]
    assert pair(news, links(["Water the plants"])).pairs == ((2, 0),)


@pytest.mark.parametrize("kept", [0, 1])
def test_of_equal_copies_of_an_id_the_one_in_its_place_is_the_old_one(kept: int) -> None:
    """The section decides, then the state."""
    seen = Task("Water the plants", completed=True)
    old = links([seen.text])[0].but(seen=seen, section="Today")
    news = [entry(seen, "Later", "r0"), entry(replace(seen, completed=False), "Today", "r0")]
    assert pair(news[:: 1 - 2 * kept], [old]).pairs == ((1 - kept, 0),)
    news[0] = entry(seen, "Today", "r0")
    assert pair(news[:: 1 - 2 * kept], [old]).pairs == ((kept, 0),)


def test_likeness_is_a_share() -> None:
    """From nothing in common to equal but for the case."""
    assert reword.similarity("Water", "wATER") == 1.0
    assert reword.similarity("ab", "cd") == 0.0
    assert reword.similarity("ab", "ac") == 0.5


@pytest.mark.parametrize("remote_id", ["r1", None])
def test_a_changed_copy_is_no_other_line_that_left(remote_id: str | None) -> None:
    """A copied id says the line was made from that one, so it is not merely like another."""
    olds = links(["Water the plants", "Mail Bob the minutes"])
    olds[1] = olds[1].but(remote_id=remote_id)
    news = [
        entry(Task("Water the plants"), "", "r0"),
        entry(Task("Mail Bob all the minutes"), "", "r0"),
    ]
    assert pair(news, olds) == Matching(((0, 0),), (1,), (1,))


def test_an_unknown_id_does_not_hide_an_equal_text() -> None:
    """A slip in the id leaves the line what it was."""
    news = [entry(Task("Water the plants"), "", "r7")]
    assert pair(news, links(["Water the plants"])).pairs == ((0, 0),)


def test_a_line_without_id_comes_before_one_with_an_unknown_id() -> None:
    """Of two equal lines, the one that claims to be something else is the new one."""
    news = [entry(Task("Water the plants"), "", "r7"), entry(Task("Water the plants"))]
    assert pair(news, links(["Water the plants"])).pairs == ((1, 0),)


def test_an_unknown_id_is_never_merely_like_another_item() -> None:
    """The person said in writing that it is not that item."""
    news = [entry(Task("Water the plants!"), "", "r7")]
    assert pair(news, links(["Water the plants"])) == Matching((), (0,), (0,))


def test_an_edited_line_keeps_the_key_of_an_item_that_is_gone() -> None:
    """Its link has lost the remote id that still stands in the line: the edit must find it."""
    news = [entry(Task("Water all the plants"), "", "r0")]
    olds = [link.but(remote_id=None) for link in links(["Water the plants"])]
    assert pair(news, olds).pairs == ((0, 0),)


def test_a_line_whose_create_is_on_its_way_may_be_reworded() -> None:
    """Neither side has an id yet; the key stays the same."""
    olds = [link.but(remote_id=None) for link in links(["Water the plants"])]
    assert pair(entries(["Water all the plants"]), olds).pairs == ((0, 0),)


# Likeness.

FEW_WORDS = st.lists(
    st.sampled_from(["call", "anna", "ann", "bob", "the", "bank", "Milk", "silk", "12", "13"]),
    min_size=1,
    max_size=5,
).map(" ".join)
NEIGHBOURS = st.sampled_from([None, 7, 8])


@st.composite
def few_lines(draw: st.DrawFn) -> list[Line]:
    """Return up to four leftover lines with much in common."""
    lines = draw(
        st.lists(
            st.builds(
                Line,
                at=st.just(0),
                text=FEW_WORDS,
                section=st.sampled_from(["", "Today"]),
                completed=st.booleans(),
                remote_id=st.sampled_from([None, None, "r1"]),
                absent=st.booleans(),
                above=NEIGHBOURS,
                below=NEIGHBOURS,
                position=st.integers(0, 6),
            ),
            max_size=4,
        )
    )
    return [line._replace(at=at) for at, line in enumerate(sorted(lines, key=lambda e: e.position))]


@settings(max_examples=120, deadline=None)  # the oracle tries every assignment
@given(few_lines(), few_lines())
def test_rewordings_are_the_best_assignment_there_is(news: list[Line], olds: list[Line]) -> None:
    """No assignment by the same rules is worth more; guesses are left out."""
    assert frozenset(reword.pair(news, olds)) in rewordings(news, olds)


def test_likeness_is_settled_by_the_rule() -> None:
    """Very similar texts need no support, however different they are to a cook."""
    news = entries(["Call Anna", "Order the cake", "Buy silk"])
    olds = links(["Buy milk", "Call Anna", "Order the cake"])
    assert (2, 0) in pair(news, olds).pairs


def sentences(count: int, vocabulary: int, length: int) -> list[str]:
    """Return repeatable sentences that have words in common, but never all of them."""
    random = Random(count)
    words = ["".join(random.sample(ascii_lowercase, 5)) for _ in range(vocabulary)]
    return [" ".join(random.sample(words, length)) for _ in range(count)]


@pytest.mark.parametrize("count", [60, 300])
def test_many_lines_reworded_and_moved_are_all_followed(count: int) -> None:
    """Few or many: lines that were shuffled and changed a word each are the same lines."""
    texts = [f"ask {text}" for text in sentences(count, 3 * count, 6)]
    order = Random(1).sample(range(count), count)
    news = [f"{texts[at].rpartition(' ')[0]} then" for at in order]
    assert pair(entries(news), links(texts)).pairs == tuple(enumerate(order))


def test_many_slips_of_the_keyboard_are_all_corrected() -> None:
    """Among hundreds of single words that share nothing else, place finds the line."""
    texts = sentences(300, 900, 1)
    stays = [f"{text} stays" for text in sentences(300, 800, 2)]
    before = [text for both in zip(texts, stays, strict=True) for text in both]
    after = [text[1] + text[0] + text[2:] if " " not in text else text for text in before]
    assert pair(entries(after), links(before)).pairs == everything(len(before))


def test_the_work_for_a_file_written_anew_is_bounded() -> None:
    """However many lines are like each other, only the best few of each are weighed."""
    count = 600
    olds = [
        Line(at, f"review the new draft of {text}", position=at)
        for at, text in enumerate(sentences(count, 900, 2))
    ]
    order = Random(2).sample(range(count), count)
    news = [Line(at, olds[old].text + " soon", position=at) for at, old in enumerate(order)]
    found = reword.candidates(news, olds)
    assert len(found) <= 8 * count
    assert {(at, old) for at, old in enumerate(order)} <= {(e.new.at, e.old.at) for e in found}


def test_up_to_ten_thousand_pairs_all_are_weighed() -> None:
    """One more, and a new line keeps its best eight: those near it, and those with a rare word."""
    common = "ask bob can dan eat figs"
    olds = [Line(0, f"{common} zebra", position=0)]
    olds += [Line(at, f"{common} {at:x}", position=at) for at in range(1, 10_001)]
    new = Line(0, f"{common} zebra soon", position=5_000)
    assert {each.old.at for each in reword.candidates([new], olds[1:])} == set(range(1, 10_001))
    found = reword.candidates([new], olds)
    assert found[0].old.at == 0
    assert len(found) == 8


@pytest.mark.parametrize(("text", "alike"), [("abcxy", True), ("abxyz", False)])
def test_three_letters_of_five_are_likeness(text: str, alike: bool) -> None:
    """To the letter, where a neighbour vouches for it; fewer are none."""
    olds, news = [Line(0, "abcde", above=7)], [Line(0, text, above=7)]
    assert bool(reword.candidates(news, olds)) == alike


def test_the_ends_of_a_file_are_no_neighbours() -> None:
    """In a file written anew they would vouch for any line; in one of a single line they do."""
    assert pair(entries(["PR #12", "Build 8"]), links(["PR #11", "Build 7"])).pairs == ()
    assert pair(entries(["PR #12"]), links(["PR #11"])).pairs == ((0, 0),)


def test_each_guess_is_left_out() -> None:
    """Not only one of several in a file: all that told these lines apart is new."""
    olds = links(["Mail Bob the file", "Mail Tim the file"], "A")
    olds += links(["Call Ben at noon", "Call Max at noon"], "B")
    news = entries(["Mail Eva the file", "Mail Ida the file"], "A")
    news += entries(["Call Zoe at noon", "Call Lea at noon"], "B")
    olds = [link.but(remote_id=None) for link in olds]
    assert pair(news, olds).pairs == ()


def test_the_same_words_with_other_signs_are_a_detail() -> None:
    """Punctuation is no word: what the section vouches for may be as short as a detail."""
    (found,) = reword.candidates([Line(0, "(call -- Bob!!)")], [Line(0, "call Bob")])
    assert found.detail


@pytest.mark.parametrize(
    ("old", "new", "alike"),
    [
        (Line(0, "abcde"), Line(0, "abcxy", "elsewhere", completed=True), False),
        (Line(0, "call bob"), Line(0, "call tim", "elsewhere", completed=True), True),
        (Line(0, "call bob"), Line(0, "call tim", "elsewhere"), False),
        (Line(0, "call bob"), Line(0, "call tim"), False),
        (Line(0, "call bob now"), Line(0, "call tim now"), True),
        (Line(0, "call bob now"), Line(0, "call tim now", "elsewhere"), False),
        (Line(0, "bob"), Line(0, "ask his brother bob"), False),
        (Line(0, "call bob"), Line(0, "call his brother bob"), True),
    ],
)
def test_support_needs_words(old: Line, new: Line, alike: bool) -> None:
    """Two for a tick, or for a section where a detail came in; else three for a section."""
    assert bool(reword.candidates([new], [old])) == alike


@pytest.mark.parametrize(
    ("new", "worth"),
    [
        (Line(0, "abcdx", "elsewhere", position=9), 0.8 - 16e-6),
        (Line(0, "abcdx", "elsewhere", position=500), 0.8 - 1e-2),
        (Line(0, "abcdx", position=2), 0.85 - 9e-6),
        (Line(0, "abcdx", completed=True, position=5), 0.9),
        (Line(0, "abcdx", "elsewhere", above=7, below=8, position=5), 1.0),
        (Line(0, "abxyz abcde", "elsewhere", above=7, position=5), 0.8),
    ],
)
def test_likeness_is_worth_what_it_shares_with_the_line(new: Line, worth: float) -> None:
    """Letters, neighbours, tick and section; less the square of the distance, up to a hundred."""
    olds = [Line(0, "abcde", above=7, below=8, position=5)]
    (found,) = reword.candidates([new], olds)
    assert found.score == pytest.approx(worth, abs=1e-9)


def test_what_is_only_moved_needs_no_letter_by_letter_comparison() -> None:
    """The library for it is not even loaded while no line on both sides is left over."""
    program = """
import sys
from omisync.core.match import pair
from omisync.core.model import Base, Entry, Fields, Link, Task
lines = [Entry(Task(text), 1) for text in ("one", "two", "three")]
links = [Link(text, None, Task(text)) for text in ("three", "one", "four", "two")]
assert len(pair(lines, links).pairs) == 3
assert "rapidfuzz" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# What the app made of a text.


def test_a_line_that_says_what_the_app_made_of_a_task_is_that_task() -> None:
    """However little the words are like the former ones, and though a new line says those."""
    olds = links(["feed cat", "stay"])
    assert pair(entries(["stay", "buy a sofa"]), olds, {0: "buy a sofa"}).pairs == ((0, 1), (1, 0))
    news = entries(["buy a sofa", "stay", "feed cat"])
    assert pair(news, olds, {0: "buy a sofa"}).pairs == ((0, 0), (1, 1))


def test_what_the_app_made_of_a_text_may_be_anothers_text() -> None:
    """As long as the lines are as they were each keeps its own; a chain of renamings is known."""
    olds = links(["walk", "swim"])
    assert pair(entries(["walk", "swim"]), olds, {0: "swim"}).pairs == ((0, 0), (1, 1))
    renamed = {0: "swim", 1: "a wholly other thing"}
    assert pair(entries(["swim", "a wholly other thing"]), olds, renamed).pairs == ((0, 0), (1, 1))


def test_a_copied_id_is_not_what_the_app_made_of_another_task() -> None:
    """The person said in writing that it is not."""
    olds = links(["walk", "swim"])
    texts = ("swim", "a wholly other thing")
    news = [Entry(Task(text), n, explicit_id=olds[1].remote_id) for n, text in enumerate(texts, 1)]
    assert pair(news, olds, {0: "a wholly other thing"}).pairs == ((0, 1),)


# Lines whose box means nothing.


def read_and_unread(
    lines: Sequence[tuple[str, Task, str]], olds: Sequence[tuple[str, Task]], **ids: str
) -> dict[int, int]:
    """Match lines, ``o`` for one that is not read, and links, each with its section."""
    news = [
        Entry(task, n, section, ids.get(f"n{n - 1}"))
        for n, (_, task, section) in enumerate(lines, 1)
    ]
    were = [Link(f"k{n}", f"r{n}", task, section, n) for n, (section, task) in enumerate(olds)]
    unread = {at for at, (sign, _, _) in enumerate(lines) if sign == "o"}
    return dict(pair(news, were, unread=unread).pairs)


MILK, DONE = Task("milk"), Task("milk", True)
FIRST, SECOND = Task("milk", due="2026-01-01"), Task("milk", due="2026-02-02")


@pytest.mark.parametrize(
    ("lines", "olds", "found"),
    [
        # Each in its own section, whatever its state.
        ([("o", MILK, "A"), ("x", DONE, "B")], [("A", MILK), ("B", MILK)], {0: 0, 1: 1}),
        # The other one was removed.
        ([("o", SECOND, "B")], [("A", FIRST), ("B", SECOND)], {0: 1}),
        # The next round is written beside the one that is not read.
        ([("o", FIRST, ""), ("x", SECOND, "")], [("", FIRST)], {0: 0}),
        # Nothing tells of another round: a note says the same as the task.
        ([("o", MILK, ""), ("x", DONE, "")], [("", MILK)], {1: 0}),
        # A line that only says nearly the same is no other one's.
        ([("o", MILK, ""), ("x", Task("oat milk"), "")], [("", MILK)], {0: 0}),
        # No likeness makes one of it.
        ([("o", Task("oat milk"), "")], [("", MILK)], {}),
    ],
)
def test_a_line_that_is_not_read_keeps_what_is_its_own(
    lines: list[tuple[str, Task, str]], olds: list[tuple[str, Task]], found: dict[int, int]
) -> None:
    """Its words, its section and its date; its box says nothing."""
    assert read_and_unread(lines, olds) == found


def test_a_line_that_is_not_read_is_known_by_its_id() -> None:
    """However it was reworded; of two that name an item the one that is read has it."""
    lines = [("o", Task("bread"), ""), ("x", MILK, "")]
    assert read_and_unread(lines, [("", MILK), ("", MILK)], n0="r0", n1="r1") == {0: 0, 1: 1}
    assert read_and_unread(lines, [("", MILK)], n0="r0", n1="r0") == {1: 0}
    assert read_and_unread(lines, [("", Task("bread"))], n0="r0", n1="r0") == {1: 0}


def test_a_line_that_is_not_read_may_say_what_its_item_says() -> None:
    """What the app made of it, or what a rewording that did not get through made of it."""
    was, fields = Task("buy milk"), Fields("buy milk")
    old = Link("k", "r", Task("telephone"), base=Base(was, fields))
    line = [Entry(was, 1)]
    assert pair(line, [old], unread={0}).pairs == ((0, 0),)
    assert pair(line, [old.but(base=None)], unread={0}).pairs == ()
    assert pair(line, [old.but(base=None)], {0: "buy milk"}, {0}).pairs == ((0, 0),)


def test_a_line_whose_words_were_escaped_with_its_box_is_known() -> None:
    """As a formatter does; the task that is there comes before one that had gone."""
    went, there = links(["my_var", "my_var"])
    escaped = entries([r"my\_var"])
    assert pair(escaped, [went.but(absent_since=5.0), there], unread={0}).pairs == ((0, 1),)
    assert pair(escaped, [went.but(absent_since=5.0)], unread={0}).pairs == ((0, 0),)
    assert pair(entries(["my_var"]), links([r"my\_var"]), unread={0}).pairs == ((0, 0),)
    assert pair(entries(["my_vas"]), [there], unread={0}).pairs == ()


def test_of_equal_links_a_line_that_is_not_read_has_its_own() -> None:
    """In their order, before those that are absent, and what is there before what was."""
    milk = Entry(MILK, 1)
    olds = [Link("k0", "r0", MILK, absent_since=1.0), Link("k1", "r1", MILK, rank=1)]
    assert pair([milk], olds, unread={0}).pairs == ((0, 1),)
    olds = [Link(f"k{n}", f"r{n}", MILK, section, n) for n, section in enumerate("AB")]
    assert pair([milk, Entry(MILK, 2)], olds, unread={0, 1}).pairs == ((0, 0), (1, 1))
    was = Base(MILK, Fields("milk"))
    olds = [Link(f"k{n}", f"r{n}", Task(text), rank=n) for n, text in enumerate(["tea", "rent"])]
    assert pair([milk], [olds[0].but(base=was), olds[1]], {1: "milk"}, {0}).pairs == ((0, 1),)


def test_what_the_app_made_of_a_text_is_read_first() -> None:
    """Another machine wrote it beside the line that is not read for its box."""
    news = [Entry(Task("buy milk"), 1), Entry(Task("wash the car"), 2)]
    old = Link("k", "r", Task("buy milk"))
    assert pair(news, [old], {0: "wash the car"}, {0}).pairs == ((1, 0),)


# Dates, and ids that are not Omi's.


def test_lines_that_are_put_off_are_the_same_lines() -> None:
    """Though one has now the date that the next one had."""
    weeks = [Task("milk", due=f"2026-01-{day:02}") for day in (1, 8, 15, 22)]
    assert pair(entries(weeks[1:]), links(weeks[:3])).pairs == everything(3)
    olds = [Link(f"k{n}", f"r{n}", task, "AB"[n], n) for n, task in enumerate(weeks[:2])]
    news = [Entry(task, n, "AB"[n]) for n, task in enumerate(weeks[1:3])]
    assert pair(news, olds).pairs == everything(2)


def test_a_template_has_no_task_for_its_date() -> None:
    """One that is not read, in a section of its own, while the task is put off."""
    news = [Entry(SECOND, 1, "Today"), Entry(FIRST, 2, "Template")]
    old = Link("k", "r", FIRST, "Today")
    assert pair(news, [old], unread={1}).pairs == ((0, 0),)


def test_a_line_that_is_not_read_keeps_its_date() -> None:
    """In its section, beside one that was moved there, and two that were put off."""
    olds = [Link("k0", "r0", FIRST, "A", 0), Link("k1", "r1", SECOND, "B", 1)]
    news = [Entry(FIRST, 1, "B"), Entry(SECOND, 2, "B")]
    assert pair(news, olds, unread={1}).pairs == ((0, 0), (1, 1))
    third = Task("milk", due="2026-03-03")
    news = [Entry(SECOND, 1, "A"), Entry(third, 2, "B"), Entry(FIRST, 3, "C")]
    assert pair(news, olds, unread={2}).pairs == ((0, 0), (1, 1))


def test_equal_lines_are_equal_however_they_are_spelled() -> None:
    """With a no-break space, or another form of a letter."""
    olds = [Link("k0", "r0", Task("caf\u00e9 au lait", True), "A", 0)]
    olds.append(Link("k1", "r1", Task("caf\u00e9 au lait"), "B", 1))
    news = [Entry(Task("cafe\u0301 au\u00a0lait"), 1, "A")]
    news.append(Entry(Task("cafe\u0301 au lait", True), 2, "B"))
    assert pair(news, olds).pairs == ((0, 1), (1, 0))


def test_a_file_of_one_task_has_no_neighbour_in_a_line_that_is_not_read() -> None:
    """Its ends are all the neighbours that there are."""
    news = [Entry(Task("Call Tim"), 1), Entry(Task("something else"), 2)]
    assert pair(news, [Link("k", "r", Task("Call Bob"))], unread={1}).pairs == ((0, 0),)


def test_a_line_whose_box_is_broken_keeps_its_task_before_a_date_is_put_right() -> None:
    """Its exact words tell more than a line that lacks the date."""
    old = Link("k", "r", Task("Call the bank 📆 2026-12-05"))
    news = [Entry(old.seen, 1), Entry(Task("Call the bank", due="2027-01-05"), 2)]
    assert pair(news, [old], unread={0}).pairs == ((0, 0),)


@pytest.mark.parametrize(("named", "found"), [("zoom", True), ("abcd-1234", False)])
def test_an_id_as_long_as_none_of_omis_is_the_persons_own(named: str, found: bool) -> None:
    """A key of a TOML task, say: its rewording makes no other task of it."""
    olds = [Link("k", "wxyz-6789", Task("call the bank today"))]
    news = [Entry(Task("call the bank tomorrow"), 1, "", named)]
    assert bool(pair(news, olds).pairs) is found


def test_a_task_that_stays_is_not_one_that_says_what_the_app_made_of_it() -> None:
    """Somebody wrote that too; elsewhere its words would be another task's."""
    olds = links(["tea", "milk", "rent"])
    for milk in (MILK, DONE, FIRST):
        news = entries(["tea", milk, "rent", "bread"])
        assert pair(news, olds, {1: "bread"}).pairs == ((0, 0), (1, 1), (2, 2))
    news = entries(["tea", "bread", "rent", "milk"])
    assert pair(news, olds, {1: "bread"}).pairs == ((0, 0), (1, 1), (2, 2))
