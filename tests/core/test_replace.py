"""What a replacement made in several lines tells of them, and what it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from lists import lines, matched
from match_oracle import replacements

from omisync.core import match, replace
from omisync.core.model import Entry, Link, Task
from omisync.core.reword import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = st.sampled_from(["read", "Study", "tea", "figs", "12", "13"])
TEXTS = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)
WORD = st.text("abcdefghij", min_size=1, max_size=3)


def everything(count: int) -> list[tuple[int, int]]:
    """Return the pairs of lines of which none moved."""
    return [(at, at) for at in range(count)]


CHAPTERS = [f"Read chapter {at} of the book" for at in range(1, 31)]
FILES = {
    "two of twelve": (CHAPTERS[:12], CHAPTERS[4:6], "Read", "Study"),
    "all of two": (CHAPTERS[:2], CHAPTERS, "Read", "Study"),
    "all of three": (CHAPTERS[:3], CHAPTERS, "Read", "Study"),
    "all of six": (CHAPTERS[:6], CHAPTERS, "Read", "Study"),
    "all of twelve": (CHAPTERS[:12], CHAPTERS, "Read", "Study"),
    "all of thirty": (CHAPTERS, CHAPTERS, "Read", "Study"),
    "the last word": (
        invoices := [f"Invoice {at} to client" for at in range(1, 13)],
        invoices,
        "client",
        "customer",
    ),
    "a word beside the number": (
        numbered := [f"limited task number {at}" for at in range(1, 201)],
        numbered,
        "number",
        "no",
    ),
    "two words for one": (
        rooms := ["Clean kitchen", "Clean bathroom", "Clean bedroom"],
        rooms,
        "Clean",
        "Tidy up",
    ),
    "the first of two words": (
        buys := ["Buy milk", "Buy bread", "Buy figs"],
        buys,
        "Buy",
        "Get",
    ),
    "all but the name": (
        reviews := ["Review PR 12", "Review PR 13", "Review PR 14"],
        reviews,
        "Review",
        "Look at",
    ),
    "a word with a comma or without": (
        mails := ["Mail the client", "Mail the client, again", "Ask client: when?"],
        mails,
        "client",
        "customer",
    ),
    "signs of a text without spaces": (
        chinese := ["买牛奶", "买面包", "买鸡蛋"],
        chinese,
        "买",
        "订购",
    ),
    "words put in front": (
        names := ["Milk", "Bread"],
        names,
        "",
        "Buy ",
    ),
    "part of a name": (
        snakes := ["test read_file", "test read_line"],
        snakes,
        "read_",
        "write_",
    ),
}


@pytest.mark.parametrize(("olds", "some", "out", "put"), FILES.values(), ids=FILES.keys())
def test_search_and_replace_keeps_every_line(
    olds: list[str], some: list[str], out: str, put: str
) -> None:
    """However alike the lines are, and however little of each is left."""
    news = [text.replace(out, put, 1) if text in some else text for text in olds]
    assert matched(news, olds) == match.Matching(tuple(everything(len(olds))), (), ())


@st.composite
def replaced(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Return lines, and the same lines with one word replaced in two of them or more."""
    rests = draw(st.lists(st.lists(WORD, min_size=1, max_size=4), min_size=2, unique_by=tuple))
    some = draw(st.sets(st.sampled_from(range(len(rests))), min_size=2))
    olds, news = [], []
    for at, rest in enumerate(rests):
        place = draw(st.integers(0, len(rest)))
        old, new = ("read", "study") if at in some else (draw(WORD), None)
        olds.append(" ".join([*rest[:place], old, *rest[place:]]))
        news.append(" ".join([*rest[:place], new or old, *rest[place:]]))
    return olds, news


@given(replaced())
def test_one_word_replaced_in_any_two_lines_or_more(files: tuple[list[str], list[str]]) -> None:
    """Whatever the lines have in common: where their rests differ, each line keeps its identity."""
    olds, news = files
    assert set(matched(news, olds).pairs) >= {
        (at, at) for at, text in enumerate(news) if news.count(text) == 1
    }


@st.composite
def few_lines(draw: st.DrawFn) -> list[Line]:
    """Return up to four leftover lines, as a rule open ones in one place."""
    odd = draw(st.booleans())
    place = st.builds(
        Line,
        at=st.just(0),
        text=st.just(""),
        section=st.sampled_from(["", "Today"]),
        completed=st.booleans(),
        remote_id=st.sampled_from([None, "r1"]),
        absent=st.booleans(),
        above=st.sampled_from([7, 8]),
        below=st.sampled_from([None, 9]),
    )
    texts = draw(st.lists(TEXTS, min_size=1, max_size=4))
    return [
        (draw(place) if odd else Line(at, ""))._replace(at=at, text=text)
        for at, text in enumerate(texts)
    ]


@st.composite
def changed(draw: st.DrawFn, olds: Sequence[Line]) -> list[Line]:
    """Return the lines with words of them replaced, in this order or another, or others."""
    put = draw(st.dictionaries(WORDS.map(str.casefold), TEXTS | st.just(""), max_size=2))
    news = [
        line._replace(
            text=" ".join(
                " ".join(put.get(word.casefold(), word) for word in line.text.split()).split()
            ),
            completed=line.completed or draw(st.integers(0, 5)) == 0,
            remote_id=None,
            absent=False,
        )
        for line in olds
    ]
    news = draw(st.one_of(st.just(news), st.permutations(news), few_lines()))
    return [line._replace(at=at) for at, line in enumerate(news)]


@settings(max_examples=150, deadline=None)  # the oracle tries all orders
@given(few_lines(), st.data())
def test_what_is_told_is_what_comparing_all_with_all_tells(
    olds: list[Line], data: st.DataObject
) -> None:
    """The search by common beginnings and ends overlooks nothing and adds nothing."""
    news = data.draw(changed(olds))
    found = replace.pair(news, olds)
    event(f"{len(found)} pairs")
    assert frozenset(found) == replacements(news, olds)


APART = {
    "each line has another word": (["mail bob", "mail tim"], ["mail eva", "mail ida"]),
    "only one line has it": (["buy milk", "call anna"], ["get milk", "ask anna"]),
    "the rest of each line is the same": (["mail bob", "mail bob"], ["mail tim", "mail tim"]),
    "nothing is left": (["mail", "call"], ["ask", "ask"]),
    "a sign is left": (["mail!", "mail?"], ["call!", "call?"]),
    "the number that is left is another": (
        ["read ch 1", "read ch 2"],
        ["study ch 3", "study ch 4"],
    ),
    "a number is the next": (["week 1: mop", "week 1: dust"], ["week 2: mop", "week 2: dust"]),
    "a number with letters is the next": (["1st: mop", "1st: dust"], ["2nd: mop", "2nd: dust"]),
    "a number comes": (["mop", "dust"], ["mop (2)", "dust (2)"]),
    "a number goes": (["mop 2", "dust 2"], ["mop", "dust"]),
    "the lines change places": (["buy milk", "buy figs"], ["get figs", "get milk"]),
    "two replacements explain a line": (
        ["mail bob", "mail tim", "call bob", "call tim"],
        ["mail eva", "mail ida", "call eva", "call ida"],
    ),
    "nobody knows which of two words it was": (
        ["get milk", "get figs", "buy milk", "buy figs"],
        ["ask milk", "ask figs"],
    ),
    "a detail explains a line as well": (
        ["buy milk", "buy figs"],
        ["buy milk again", "get milk", "get figs"],
    ),
    "a sign that is put in explains the lines": (
        ["buy milk", "buy figs"],
        ["buy milk!", "buy figs!", "get milk", "get figs"],
    ),
    "a capital explains the lines": (
        ["buy milk", "buy figs"],
        ["Buy milk", "Buy figs", "get milk", "get figs"],
    ),
}


@pytest.mark.parametrize(("olds", "news"), APART.values(), ids=APART.keys())
def test_what_is_no_replacement_throughout(olds: list[str], news: list[str]) -> None:
    """It tells nothing: other signs may."""
    assert replace.pair(lines(*news), lines(*olds)) == []


def placed(line: Line) -> list[Line]:
    """Return two lines of this place and state, and with different words."""
    return [
        line._replace(at=at, text=f"{line.text} {word}") for at, word in enumerate(("ab", "cd"))
    ]


HERE = Line(0, "buy", "Today", above=7, below=8)
PLACES = {
    "the same section": (HERE, HERE._replace(above=1, below=2), True),
    "the same line above": (HERE, HERE._replace(section="", below=2), True),
    "the same line below": (HERE, HERE._replace(section="", above=1), True),
    "one end of the file": (
        HERE._replace(below=None),
        HERE._replace(section="", above=1, below=None),
        True,
    ),
    "elsewhere": (HERE, HERE._replace(section="", above=1, below=2), False),
    "ticked and moved": (HERE, Line(0, "buy", completed=True), True),
    "finished before and moved": (
        HERE._replace(completed=True),
        Line(0, "buy", completed=True),
        False,
    ),
    "finished before": (HERE._replace(completed=True), HERE._replace(completed=True), True),
    "finished before and now open": (HERE._replace(completed=True), HERE, False),
    "absent before": (HERE._replace(absent=True), HERE, False),
    "two ids": (HERE._replace(remote_id="r1"), HERE._replace(remote_id="r2"), False),
    "an id that came": (HERE, HERE._replace(remote_id="r2"), True),
    "an id that is gone from the line": (HERE._replace(remote_id="r1"), HERE, True),
}


@pytest.mark.parametrize(("old", "new", "told"), PLACES.values(), ids=PLACES.keys())
def test_the_lines_stand_in_one_place(old: Line, new: Line, told: bool) -> None:
    """A replacement moves no line: place or tick vouch for it, chores and ids forbid it."""
    found = replace.pair(placed(new._replace(text="get")), placed(old))
    assert found == (everything(2) if told else [])


@pytest.mark.parametrize(
    ("olds", "news", "pairs"),
    [
        (("buy ab", "buy cd", "buy ef"), ("get ef", "get ab", "get cd"), [(0, 2), (1, 0), (2, 1)]),
        (("buy ab", "buy cd", "buy ab"), ("get ab", "get cd", "get ab"), everything(3)),
        (
            ("buy ab", "buy cd", "buy ab", "buy ef"),
            ("get ab", "get cd", "get ef"),
            [(1, 1), (2, 3)],
        ),
        (("buy ab", "sell ab", "buy cd"), ("get ab", "get cd"), [(0, 0), (1, 2)]),
        (("ab", "cd ef"), ("or ab", "or cd ef"), everything(2)),
        (("AB", "cd"), ("ab", "CD"), everything(2)),
        (("ab!", "cd!"), ("ab", "cd"), everything(2)),
        (
            ("ab", "cd", "read ef", "read gh"),
            ("buy ab", "buy cd", "study ef", "study gh"),
            everything(4),
        ),
        (("a b c d e f g h buy", "b c buy"), ("a b c d e f g h get", "b c get"), everything(2)),
        (("a b c", "a b d", "a e"), ("a b x b c", "a b x b d"), everything(2)),
        (
            ("buy ab", "buy cd", "buy ef", "sip ab", "sip cd"),
            ("get ab", "get cd", "get ef"),
            everything(3),
        ),
    ],
)
def test_which_line_is_which(
    olds: tuple[str, ...], news: tuple[str, ...], pairs: list[tuple[int, int]]
) -> None:
    """The rest of the line tells; twins follow each other, if they are as many."""
    assert replace.pair(lines(*news), lines(*olds)) == pairs


@pytest.mark.parametrize(("size", "told"), [(replace.RUN, True), (replace.RUN + 1, False)])
def test_a_replacement_of_many_words(size: int, told: bool) -> None:
    """Eight words on either side, and no more."""
    many = " ".join("abcdefghijk"[:size])
    few, long = lines("1st milk", "1st figs"), lines(f"{many} milk", f"{many} figs")
    assert bool(replace.pair(long, few)) == told
    assert bool(replace.pair(few, long)) == told


@pytest.mark.parametrize(("more", "told"), [(replace.MANY - 1, True), (replace.MANY, False)])
def test_a_rest_that_many_lines_share(more: int, told: bool) -> None:
    """With four lines on a side it may still tell which is which, with five it does not."""
    others = [f"{verb} milk" for verb in ("mix", "sip", "sell", "skim")[:more]]
    pairs = everything(2) if told else []
    assert (
        replace.pair(lines("get milk", "get figs", *others), lines("buy milk", "buy figs")) == pairs
    )
    assert (
        replace.pair(lines("get milk", "get figs"), lines("buy milk", "buy figs", *others)) == pairs
    )


@pytest.mark.parametrize(("more", "told"), [(("a",), True), (("a", "b"), False)])
def test_words_in_common_by_chance(more: tuple[str, ...], told: bool) -> None:
    """Two of three lines left over with the words are one edit; two of four are not."""
    olds, news = ["buy milk", "buy figs"], ["get milk", "get figs"]
    pairs = everything(2) if told else []
    gone, come = [f"buy {text} now" for text in more], [f"get {text} now" for text in more]
    assert replace.pair(lines(*news), lines(*olds, *gone)) == pairs
    assert replace.pair(lines(*news, *come), lines(*olds)) == pairs


@pytest.mark.parametrize(("more", "told"), [(7, True), (8, False)])
def test_the_share_that_is_enough(more: int, told: bool) -> None:
    """Thirteen of twenty are, of twenty-one they are not."""
    some = "abcdefghijklm"
    olds, news = [f"buy {text}" for text in some], [f"get {text}" for text in some]
    gone = [f"buy {text}" for text in "nopqrstu"[:more]]
    found = replace.pair(lines(*news), lines(*olds, *gone))
    assert found == (everything(len(some)) if told else [])


def test_ten_thousand_lines_of_one_pattern() -> None:
    """Any number of lines is compared by what they have in common, not each with each."""
    olds = [f"limited task number {at}" for at in range(10_000)]
    news = [f"limited task no {at}" for at in range(10_000)]
    assert replace.pair(lines(*news), lines(*olds)) == everything(10_000)


def test_the_lines_that_were_replaced_hold_the_others_in_place() -> None:
    """A line between them may change as one may between lines that did not."""
    olds = ["Order the lamp", "Call Bob", "Order the desk"]
    assert matched(["Buy the lamp", "Call Tim", "Buy the desk"], olds).pairs == tuple(everything(3))


def test_a_copied_id_is_no_replacement() -> None:
    """A line that was made from another by hand is new, whatever words it shares."""
    olds = [
        Link(f"k{at}", f"r{at}", Task(text), "", at) for at, text in enumerate(["a", "b c", "b d"])
    ]
    news = [Entry(Task(text), 1, "", "r0") for text in ("a", "e c", "e d")]
    assert match.pair(news, olds).pairs == ((0, 0),)
