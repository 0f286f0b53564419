"""Writing Markdown: changes and additions of single tasks, and every other byte as it was."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st
from strategies import NASTY, documents, due_values, nasty_markdown, tasks, texts

from omisync.core import due, markdown
from omisync.core.markdown import lines
from omisync.core.model import Addition, Change, Document, Rewriting, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DATA = Path(__file__).parents[1] / "data" / "markdown"

TEXT = "new words"


class Written(NamedTuple):
    """A rewriting in characters: the file, the refused tasks."""

    source: str
    refused: tuple[Change | Addition, ...]


def written(  # noqa: PLR0913 - each case names the one or two that it is about
    source: str,
    change: Task | str | None = "",
    *,
    at: int = 0,
    explicit_id: str | None = None,
    add: Sequence[Task] = (),
    heading: str = "",
    marks: markdown.Marks = markdown.MARKS,
) -> Written:
    """Return a file with one entry changed (none where ``change`` is a str) and tasks added."""
    document = markdown.parse(source.encode(), marks)
    changes = []
    if not isinstance(change, str):
        changes = [Change(document.entries[at], change, explicit_id)]
    additions = [Addition(task, explicit_id) for task in add]
    result = markdown.rewrite(document, changes, additions, marks, heading)
    check(document, changes, additions, result, marks)
    return Written(result.document.source.decode(), result.refused)


def check(
    document: Document,
    changes: Sequence[Change],
    additions: Sequence[Addition],
    result: Rewriting,
    marks: markdown.Marks = markdown.MARKS,
) -> None:
    """Assert that the new file reads as asked, and that nothing else reads otherwise."""
    assert result.document == markdown.parse(result.document.source, marks)
    entries = list(result.document.entries)
    assert len(result.changed) == len(changes)
    assert len(result.added) == len(additions)
    wanted = {}
    for one, index in zip((*changes, *additions), (*result.changed, *result.added), strict=True):
        refused = any(one is other for other in result.refused)
        assert (index is None) == (refused or one.task is None)
        if index is not None:
            assert entries[index].task == one.task
            wanted[index] = one
    assert [result.added[i] for i in range(len(additions)) if result.added[i] is not None] == (
        sorted(index for index in result.added if index is not None)
    )
    refused = [one for one in result.refused if isinstance(one, Change)]
    touched = [change.entry for change in changes if change not in refused]
    untouched = [e for e in document.entries if e not in touched]
    others = [entry for index, entry in enumerate(entries) if index not in wanted]
    assert [(e.task, e.section, e.explicit_id) for e in others] == [
        (e.task, e.section, e.explicit_id) for e in untouched
    ]


# Any text as the text of one line

EMBARRASSING = [
    ("due:2026-01-31", "\\due:2026-01-31"),
    ("pay due:2026-01-31 now", "pay \\due:2026-01-31 now"),
    ("Due:2026-01-31", "\\Due:2026-01-31"),
    ("a [due:: 2026-01-31] b", "a [\\due:: 2026-01-31] b"),
    ("a (due:: 2026-01-31)", "a (\\due:: 2026-01-31)"),
    ("a @due(2026-01-31 17:00)", "a \\@due(2026-01-31 17:00)"),
    ("a 📅 2026-01-31", "a 📅 \\2026-01-31"),
    ("a 📅2026-01-31 📅 2026-02-01", "a 📅\\2026-01-31 📅 \\2026-02-01"),
    ("(due:2026-01-31)", "(\\due:2026-01-31)"),
    ("due:tomorrow", "\\due:tomorrow"),
    ("due:2026-02-30", "\\due:2026-02-30"),
    ("send @due(", "send \\@due("),
    ("send [due::", "send [\\due::"),
    ("omi:abc", "\\omi:abc"),
    ("a omi:b omi:c", "a \\omi:b \\omi:c"),
    ("paid ✅ 2026-01-01", "paid ✅ \\2026-01-01"),
    ("a ➕ 2026-01-01 ❌2026-01-02", "a ➕ \\2026-01-01 ❌\\2026-01-02"),
    ("a [completion:: 2026-01-01]", "a [\\completion:: 2026-01-01]"),
    ("a (cancelled:: 2026-01-01) b", "a (\\cancelled:: 2026-01-01) b"),
    ("a [created::2026-01-01]", "a [\\created::2026-01-01]"),
    ("a @done(2026-01-01 14:00)", "a \\@done(2026-01-01 14:00)"),
    ("a <!-- c -->", "a \\<!-- c -->"),
    ("<!-- c -->", "\\<!-- c -->"),
    ("a <!-- b --> <!-- c -->", "a <!-- b --> \\<!-- c -->"),
    ("a <!-- b", "a \\<!-- b"),  # a comment of the person may follow
    ("a <!-- due:2026-01-31 -->", "a \\<!-- \\due:2026-01-31 -->"),
    ("a\n\n- [ ] b\tc  d", "a - [ ] b c d"),
    (" a\0b\x85\u2028c \r\n", "a b c"),
    ("half \ud83d of a pair", "half \ufffd of a pair"),
]


@pytest.mark.parametrize(("description", "expected"), EMBARRASSING)
def test_what_would_be_read_as_a_token_gets_a_backslash(description: str, expected: str) -> None:
    """One backslash takes its meaning from a token, an id, a bookkeeping date, a comment."""
    assert markdown.legible(description) == expected
    reads_back(expected)


@pytest.mark.parametrize(
    "text",
    [
        "Buy milk",
        "- [ ] a # b > c 1. d",
        "`due:2026-01-31` and [due](https://example.com/due:2026-01-31)",
        "https://example.com/?due:2026-01-31",
        "overdue: omi: 17:00, due: soon, dues (due) #omi:b @due",
        "<!-- a --> b <b>c</b> *d* `e",
        "[[due:2026-01-31]]",
        "`due:2026-01-31` <!-- c --> a",
        "✅ done 📅 soon ➕ 2026-02-30",
        "a\u00a0b \\due:2026-01-31 \\<!-- c -->",
    ],
)
def test_a_text_that_is_safe_stays_as_it_is(text: str) -> None:
    """No backslash without need."""
    assert markdown.legible(text) == text
    reads_back(text)


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\0", "\x1c\x85\u2028\u00a0"])
def test_nothing_can_be_written_of_a_blank_text(blank: str) -> None:
    """Without words there is no task."""
    assert markdown.legible(blank) == ""


def arbitrary() -> st.SearchStrategy[str]:
    """Texts as an API may hand them out: any characters, and what confuses a parser."""
    parts = st.sampled_from((*NASTY, *(said for said, _ in EMBARRASSING))) | st.text(max_size=5)
    return st.text(max_size=500) | st.lists(parts, max_size=12).map("".join)


@given(arbitrary())
@example("@due( 📅")
@example("<!-- ` --> due:2026-01-01 `")
@example("[due:2026-01-31](<!-- x -->")
def test_any_text_reads_back_as_it_is_written(description: str) -> None:
    """Alone and with tokens behind it, in any style, a legible text is nothing but itself."""
    text = markdown.legible(description)
    assert markdown.legible(text) == text
    assert not any(unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"} for sign in text)
    assert bool(text) == bool(markdown.legible(description.replace("\\", "x")).strip())
    if text:
        reads_back(text)


@given(arbitrary())
def test_only_backslashes_and_blanks_change_in_a_text(description: str) -> None:
    """What is written differs from what was said in blanks, backslashes and broken characters."""

    def words(text: str) -> str:
        shown = ("\ufffd" if unicodedata.category(c) == "Cs" else c for c in text)
        return "".join(c for c in shown if not c.isspace() and c != "\\" and not is_control(c))

    def is_control(sign: str) -> bool:
        return unicodedata.category(sign) == "Cc"

    assert words(markdown.legible(description)) == words(description)


def reads_back(text: str) -> None:
    """Assert that a line with this text says the text, whatever token or comment follows."""
    values = [(style, "2026-01-31T17:00") for style in STYLES]
    tails = [("", None), (" <!-- a -->", None), *((f" {due.token(v, s)}", v) for s, v in values)]
    for tail, value in tails:
        for prefix in ("- [ ] ", "> 1) [x] "):
            document = markdown.parse(f"{prefix}{text}{tail}\n- [ ] next\n".encode())
            first, second = document.entries
            assert (first.task.text, first.task.due, first.explicit_id) == (text, value, None)
            assert second.task.text == "next"
            assert [n for n in document.notices if "characters" not in n.message] == []


STYLES = (due.ICON, due.WORD, due.FIELD, due.ROUND_FIELD, due.CALL)


# One changed field


@pytest.mark.parametrize(
    ("source", "completed", "expected"),
    [
        ("- [ ] a\n", True, "- [x] a\n"),
        ("- [X] a\n- [ ] b\n- [x] c\n- [X] d\n", True, "- [X] a\n- [X] b\n- [x] c\n- [X] d\n"),
        ("- [-] a\n- [ ] b\n- [-] c\n", True, "- [-] a\n- [x] b\n- [-] c\n"),
        ("- [✔️] a\n- [/] b\n", True, "- [✔️] a\n- [✔️] b\n"),
        ("- [ ] z\n- [x] b ✅ 2026-01-01\n", False, "- [ ] z\n- [ ] b ✅ 2026-01-01\n"),
        ("- [ ] z\n> 1. [-]\n>    b\n", False, "- [ ] z\n> 1. [ ]\n>    b\n"),
        ("- [ ] z\n- [\\*] b\n", True, "- [ ] z\n- [x] b\n"),
        ("- [\\-] a\n- [\\<] b\n- [\\-] c\n", True, "- [\\-] a\n- [x] b\n- [\\-] c\n"),
        ("- [ ] z\n- [\\-\ufe0f] b\n", False, "- [ ] z\n- [ ] b\n"),
    ],
)
def test_a_tick_changes_the_box(source: str, completed: bool, expected: str) -> None:
    """The mark alone changes, into the one that the file's done tasks have."""
    entries = markdown.parse(source.encode()).entries
    at = min(1, len(entries) - 1)
    assert written(source, replace(entries[at].task, completed=completed), at=at) == (expected, ())


def test_the_marks_are_the_persons_choice() -> None:
    """A mark is one of those that are configured."""
    marks = markdown.Marks(done="#v", open="o")
    assert written("- [o] a\n", Task("a", True), marks=marks).source == "- [#] a\n"
    assert written("- [v] a\n", Task("a"), marks=marks).source == "- [o] a\n"
    new = [Task("b"), Task("c", True)]
    assert written("* [v] a\n", add=new, marks=marks).source == "* [v] a\n* [o] b\n* [v] c\n"
    marks = markdown.Marks(done="✓x", open="/ ")
    assert written("", add=new, marks=marks).source == "- [ ] b\n- [x] c\n"


@pytest.mark.parametrize(
    ("source", "value", "expected"),
    [
        # in the style that it has
        ("- [ ] a due:2026-01-31 b", "2026-02-01", "- [ ] a due:2026-02-01 b"),
        ("- [ ] a 📅2026-01-31 b", "2026-02-01", "- [ ] a 📅2026-02-01 b"),
        ("- [ ] a [due:: 2026-01-31] b", "2026-02-01T17:00", "- [ ] a [due:: 2026-02-01T17:00] b"),
        ("- [ ] a (due::2026-01-31) b", "2026-02-01", "- [ ] a (due::2026-02-01) b"),
        ("- [ ] a @due(2026-01-31) b", "2026-02-01T17:00", "- [ ] a @due(2026-02-01 17:00) b"),
        ("- [ ] a **due:2026-01-31** b", "2026-02-01", "- [ ] a **due:2026-02-01** b"),
        ("- [ ] a\n  due:2026-01-31 b", "2026-02-01", "- [ ] a\n  due:2026-02-01 b"),
        ("> - [ ] a 📅\n>   2026-01-31 b", "2026-02-01", "> - [ ] a 📅 2026-02-01 b"),
        # gone with the blank beside it
        ("- [ ] a due:2026-01-31 b", None, "- [ ] a b"),
        ("- [ ] a due:2026-01-31", None, "- [ ] a"),
        ("- [ ] due:2026-01-31  a b", None, "- [ ] a b"),
        ("- [ ] a (due:2026-01-31). b", None, "- [ ] a. b"),
        ("- [ ] a📅 2026-01-31 b", None, "- [ ] a b"),
        ("- [ ] a [due:: 2026-01-31]b", None, "- [ ] a b"),
        ("- [ ] **due:2026-01-31 a** b", None, "- [ ] **a** b"),
        ("- [ ] a\n  due:2026-01-31\n  b", None, "- [ ] a\n  b"),
        ("- [ ]\n  due:2026-01-31\n  a b", None, "- [ ]\n  a b"),
        ("- [ ] a b\n  due:2026-01-31\n", None, "- [ ] a b\n"),
        ("- [ ] a\n  due:2026-01-31 b", None, "- [ ] a\n  b"),
        ("- [ ] a due:2026-01-31\n  b", None, "- [ ] a\n  b"),
        # what stands in other lines stays there
        ("- [ ]\n  due:2026-01-31\n  a\n  b", None, "- [ ]\n  a\n  b"),
        ("- [ ] a\n  b\n  due:2026-01-31\n  c", None, "- [ ] a\n  b\n  c"),
        ("- [ ] a [due:: 2026-01-31]b\n  c", None, "- [ ] a b\n  c"),
        ("- [ ] a due:2026-01-31.\n  b", None, "- [ ] a.\n  b"),
        ("- [ ] **due:2026-01-31 a** b\n  c", None, "- [ ] **a** b\n  c"),
        ("- [ ] a📅 2026-01-31 b\n  c", None, "- [ ] a b\n  c"),
        ("- [ ] due:2026-01-31 a\n  b", None, "- [ ] a\n  b"),
        ("- [ ] a\n  due:2026-01-31 - b", None, "- [ ] a - b"),
        ("- [ ] a (due:2026-01-31 b)\n  c", None, "- [ ] a (b)\n  c"),
        ("- [ ] X📅 2026-01-31 b\n  c", None, "- [ ] X b\n  c"),
        # new: at the end
        ("- [ ] a b", "2026-02-01", "- [ ] a b 📅 2026-02-01"),
        ("- [ ] a\n  b <!-- c -->\n", "2026-02-01", "- [ ] a\n  b 📅 2026-02-01 <!-- c -->\n"),
        ("- [ ] a b omi:x", "2026-02-01", "- [ ] a b omi:x 📅 2026-02-01"),
        ("- [ ] a b\nlazy\n", "2026-02-01", "- [ ] a b 📅 2026-02-01\nlazy\n"),
    ],
)
def test_a_date_changes_its_token(source: str, value: str | None, expected: str) -> None:
    """A date is replaced in its own style, cut out without a trace, or added behind the text."""
    task = markdown.parse(source.encode()).entries[0].task
    assert written(source, replace(task, due=value)) == (expected, ())


@pytest.mark.parametrize("style", STYLES)
def test_a_new_date_is_written_as_the_file_writes_dates(style: due.Style) -> None:
    """The style of most tokens in the file is the one of a new token."""
    token = due.token("2026-01-31", style)
    source = f"- [ ] a 📅 2026-01-31\n- [ ] b ({token})\n- [ ] c {token}\n- [ ] d\n"
    value = "2026-02-01T17:00"
    new = due.token(value, style)
    result = written(source, Task("d", due=value), at=3, add=[Task("e", due=value)])
    assert result.source == f"{source[:-1]} {new}\n- [ ] e {new}\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("- [ ] a", "- [ ] new words"),
        ("- [x] a <!-- c -->\n", "- [x] new words <!-- c -->\n"),
        ("-\t[ ]\ta  b  \n", "-\t[ ]\tnew words  \n"),
        ("- [ ] a\n  b\r\n  c\r\nlazy\n", "- [ ] new words\r\nlazy\n"),
        ("> - [ ] a\n>   b\n> - c\n", "> - [ ] new words\n> - c\n"),
        ("- [ ] a\n\n  b\n  - [ ] c\n", "- [ ] new words\n\n  b\n  - [ ] c\n"),
        # tokens stay as they are spelled
        ("- [ ] a Due:2026-01-31 b", "- [ ] new words Due:2026-01-31"),
        ("- [ ] (omi:x) a [due::2026-01-31]", "- [ ] new words (omi:x) [due::2026-01-31]"),
        (
            "- [x] a ➕2026-01-01 b 📅\n  2026-01-31 ✅ 2026-01-03 c omi:x",
            "- [x] new words ➕2026-01-01 📅 2026-01-31 ✅ 2026-01-03 omi:x",
        ),
        (
            "- [x] a [completion:: 2026-01-03] b @done(2026-01-03 14:00) omi:x",
            "- [x] new words [completion:: 2026-01-03] @done(2026-01-03 14:00) omi:x",
        ),
        ("- [ ] omi:x", "- [ ] new words"),
        ("- [ ] a due:2026-02-30 `due:2026-01-31`", "- [ ] new words"),
    ],
)
def test_a_new_text_takes_the_place_of_the_old_one(source: str, expected: str) -> None:
    """All lines of a text become one; tokens, comments, lazy lines and what is nested stay."""
    task = markdown.parse(source.encode()).entries[0].task
    assert written(source, replace(task, text=TEXT)) == (expected, ())


LONG = "- [ ] Write the report\n      about it  and\n      send it to Anna omi:x\n- [ ] z\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write the report about it and send it to Bob", LONG.replace("Anna", "Bob")),
        ("Read the report about it and send it to Anna", LONG.replace("Write", "Read")),
        ("Please write the report about it and send it to Anna", LONG.replace("W", "Please w")),
        ("Now: Write the report about it and send it to Anna", LONG.replace("W", "Now: W")),
        ("Write the long report about it and send it to Anna", LONG.replace("rep", "long rep")),
        ("Write the report now about it and send it to Anna", LONG.replace("rt\n", "rt now\n")),
        ("Write the report about it and send it to", LONG.replace(" Anna", "")),
        ("the report about it and send it to Anna", LONG.replace("Write ", "")),
        ("Write report about it and send it to Anna", LONG.replace(" the", "")),
        ("Write the about it and send it to Anna", LONG.replace(" report", "")),
        ("Write the report it and send it to Anna", LONG.replace("about ", "")),
        ("Write the report about it and it to Anna", LONG.replace("send ", "")),
        ("Write the report send it to Anna", LONG.replace("      about it  and\n", "")),
        ("about it and send it to Anna", LONG.replace("Write the report\n      ", "")),
        ("Write all of it and send it to Anna", LONG.replace("the report\n      about", "all of")),
        ("Do that", "- [ ] Do that omi:x\n- [ ] z\n"),
    ],
)
def test_a_text_of_several_lines_keeps_them_where_its_words_stay(text: str, expected: str) -> None:
    """Only the words that are others are written; those around them stay where they are."""
    assert written(LONG, Task(text)) == Written(expected, ())


def test_a_word_that_would_begin_a_list_in_its_line_takes_the_text_into_one() -> None:
    """As it was asked for, whatever it looks like."""
    source = "- [ ] Buy milk\n  and bread\n"
    assert written(source, Task("Buy milk + bread")).source == "- [ ] Buy milk + bread\n"
    deep = source.replace("  and", "      and")
    assert written(deep, Task("Buy milk + bread")).source == deep.replace("and", "+")


@pytest.mark.parametrize("below", ["  -[ ] b", "  [ ] b", "  • [x] b\n    more", "\t- []b"])
def test_a_line_that_lacks_a_box_alone_is_no_part_of_the_task_above(below: str) -> None:
    """It stays, whatever is done with that; where that goes, less deep."""
    source = f"- [ ] a\n{below}\n- [ ] c\n"
    tasks = markdown.parse(source.encode()).entries
    assert [entry.task for entry in tasks] == [Task("a"), Task("c")]
    assert written(source, Task("x")) == Written(f"- [ ] x\n{below}\n- [ ] c\n", ())
    assert written(source, None) == Written(f"{dedent(below)}\n- [ ] c\n", ())


def test_tasks_that_a_text_has_swallowed_do_not_go_with_it() -> None:
    """All else of its task can change."""
    source = "- [ ] a\n      - [ ] b\n- [ ] c\n"
    document = markdown.parse(source.encode())
    said = document.entries[0].task
    for change in (replace(said, text="x"), None):
        assert written(source, change) == Written(source, (Change(document.entries[0], change),))
    assert written(source, replace(said, completed=True)).refused == ()
    assert written(source, replace(said, due="2026-01-31")).refused == ()
    assert written(source, Task("x"), at=1).refused == ()
    assert written("- [ ] a\n[ ] b\n", Task("x")).refused == ()


def test_everything_at_once() -> None:
    """Mark, text, date and id of one task change together."""
    task = Task(TEXT, completed=True, due="2026-02-01")
    result = written("- [ ] a @due(2026-01-31) ✅ 2026-01-01\n- b", task, explicit_id="x-1")
    assert result.source == "- [x] new words @due(2026-02-01) ✅ 2026-01-01 omi:x-1\n- b"
    result = written("- [x] a @due(2026-01-31)", Task(TEXT), explicit_id="x-1")
    assert result.source == "- [ ] new words omi:x-1"


def test_a_date_keeps_its_own_style() -> None:
    """Other dates may be written otherwise."""
    source = "- [ ] a due:2026-01-31\n- [ ] b 📅 2026-01-01\n- [ ] c 📅 2026-01-02\n"
    new = written(source, Task("d", due="2026-02-01"))
    assert new.source == source.replace("a due:2026-01-31", "d due:2026-02-01")
    others = "- [ ] b due:2026-01-01\n- [ ] c due:2026-01-02\n"
    new = written("- [ ] a 📅\n  2026-01-31\n" + others, Task("a", due="2026-02-01"))
    assert new == ("- [ ] a 📅 2026-02-01\n" + others, ())


@pytest.mark.parametrize(
    ("source", "task", "explicit_id", "expected"),
    [
        ("- [ ] a  b\n", Task("a b"), "x", "- [ ] a  b omi:x\n"),
        ("- [ ] a  b", Task("a b", due="2026-01-31"), "x", "- [ ] a  b 📅 2026-01-31 omi:x"),
        ("- [ ] a  b omi:x", Task("a b", True), None, "- [x] a  b omi:x"),
        ("- [ ] a  naomi:xB omi:x", Task("a naomi:xB"), "y", "- [ ] a  naomi:xB omi:y"),
        ("- [ ] a  naomi:xb omi:x", Task("a naomi:xb"), "y", "- [ ] a  naomi:xb omi:y"),
    ],
)
def test_words_that_stay_are_not_put_together_anew(
    source: str, task: Task, explicit_id: str | None, expected: str
) -> None:
    """A date and an id stand behind the words, and a double space between those stays one."""
    assert written(source, task, explicit_id=explicit_id) == (expected, ())


@pytest.mark.parametrize(
    ("source", "task", "explicit_id", "expected"),
    [
        ("- [ ] a ^b-1", Task("a ^b-1", due="2026-01-31"), None, "- [ ] a 📅 2026-01-31 ^b-1"),
        ("- [ ] a ^b <!-- c -->\n", Task("a ^b"), "x", "- [ ] a omi:x ^b <!-- c -->\n"),
        ("- [ ] a\n  ^b\n", Task("a ^b", due="2026-01-31"), None, "- [ ] a\n  📅 2026-01-31 ^b\n"),
        ("- [ ] a\t^b", Task("a ^b", True), "x", "- [x] a\tomi:x ^b"),
        ("- [ ] a\u00a0^b", Task("a\u00a0^b"), "x", "- [ ] a\u00a0^b omi:x"),
        ("- [ ] ^b", Task("^b"), "x", "- [ ] omi:x ^b"),
        ("- [ ] a omi:x ^b", Task("a ^b", due="2026-01-31"), "y", "- [ ] a omi:y 📅 2026-01-31 ^b"),
        # another text
        ("- [ ] a omi:x ^b", Task("c ^b"), None, "- [ ] c omi:x ^b"),
        ("- [ ] a ^b 📅 2026-01-31", Task("c ^b", due="2026-01-31"), None,
         "- [ ] c 📅 2026-01-31 ^b"),
        ("- [ ] a ^b", Task("c ^b", due="2026-01-31"), "x", "- [ ] c 📅 2026-01-31 omi:x ^b"),
        ("- [ ] a 📅 2026-01-31 ^b", Task("c", due="2026-01-31"), None, "- [ ] c 📅 2026-01-31"),
        ("- [ ] a\n  d 📅 2026-01-31 ^b", Task("a c ^b", due="2026-01-31"), None,
         "- [ ] a\n  c 📅 2026-01-31 ^b"),
    ],
)  # fmt: skip  # a table: the file, the task, its id, the file afterwards
def test_what_obsidian_links_to_a_line_by_stays_its_end(
    source: str, task: Task, explicit_id: str | None, expected: str
) -> None:
    """A ``^id`` is the last word of the text, and no token is written behind it."""
    assert written(source, task, explicit_id=explicit_id) == (expected, ())


def test_an_added_text_that_ends_in_such_an_id_keeps_it_there() -> None:
    """As the line had it that the item was made of."""
    task = Task("a ^b", due="2026-01-31")
    assert written("", add=[task], explicit_id="x").source == "- [ ] a 📅 2026-01-31 omi:x ^b\n"


@given(
    texts() | arbitrary().map(markdown.legible).filter(bool),
    due_values(),
    st.sampled_from(("x", None)),
    st.booleans(),
)
def test_such_an_id_is_last_whatever_is_written(
    text: str, value: str, explicit_id: str | None, anew: bool
) -> None:
    """Behind any words, with a new date, a new id, another text or all of them."""
    new = f"{'other words' if anew else text} ^b"
    result = written(f"- [ ] {text} ^b", Task(new, due=value), explicit_id=explicit_id)
    assert result.refused == ()
    assert result.source.endswith(" ^b")


def test_an_id_that_is_not_in_the_line_is_not_replaced() -> None:
    """Nothing stands where it would have to go; the reading that follows refuses such a change."""
    (entry,) = markdown.parse(b"- [ ] a\n").entries
    change = Change(entry._replace(explicit_id="b"), entry.task, "c")
    assert list(lines._named(b"- [ ] a\n", change)) == []


def test_an_id_is_written_once_and_only_where_it_can_be_read() -> None:
    """An id stands behind the text, unless there is one or no line can say it."""
    assert written("- [ ] a\n", Task("a"), explicit_id="B_-1").source == "- [ ] a omi:B_-1\n"
    assert written("- [ ] omi:c a\n", Task("a"), explicit_id="b").source == "- [ ] omi:b a\n"
    assert written("- [ ] a omi:c x\n", Task("b"), explicit_id="d").source == "- [ ] b omi:d\n"
    assert written("- [ ] a omi:c\n", Task("a"), explicit_id="c").source == "- [ ] a omi:c\n"
    twice = written("- [ ] `omi:c` a omi:c\n", Task("`omi:c` a"), explicit_id="d")
    assert twice.source == "- [ ] `omi:c` a omi:d\n"
    assert written("", add=[Task("a")], explicit_id="b").source == "- [ ] a omi:b\n"
    for odd in ("", "a b", "ä", "a.b", "a\n", "\ud800"):
        assert written("- [ ] a\n", Task("a"), explicit_id=odd) == ("- [ ] a\n", ())
        assert written("", add=[Task("a")], explicit_id=odd) == ("- [ ] a\n", ())


# Removed tasks


@pytest.mark.parametrize(
    ("source", "at", "expected"),
    [
        ("- [ ] a\n- [ ] b\n- [ ] c\n", 1, "- [ ] a\n- [ ] c\n"),
        ("- [ ] a", 0, ""),
        ("\ufeff- [ ] a\r\n", 0, "\ufeff"),
        ("x\r\n\r\n- [ ] a", 0, "x\r\n"),
        ("- [ ] a\n- [ ] b", 1, "- [ ] a"),
        ("- [ ] a\n  b\n  c <!-- d\n  e -->\n- f\n", 0, "- f\n"),
        ("> - [ ] a\n>   b\n> - [ ] c\n", 0, "> - [ ] c\n"),
        ("- [ ] a\nnote\n", 0, "note\n"),
        ("- p\n- - [ ] a\n", 0, "- p\n- \n"),
        ("- p\n- - [ ] a", 0, "- p\n- "),
        ("- [ ] a\r- [ ] b\r- [ ] c", 1, "- [ ] a\r- [ ] c"),
        ("- [ ] a\r- [ ] b", 1, "- [ ] a"),
        ("- [ ] a <!-- c --> b\n  c\n- f\n", 0, "- f\n"),
        ("- [ ] [a](u)\n  b\n- f\n", 0, "- f\n"),
        ("- [ ] a<!-- b\n  c -->\n- f\n", 0, "- f\n"),
        # what is nested comes up
        ("- [ ] z\n- [ ] a\n  - [ ] b\n    c\n- [ ] d\n", 1, "- [ ] z\n- [ ] b\n  c\n- [ ] d\n"),
        ("- [ ] a\n\t- [ ] b\n\t\t- [ ] c\n", 0, "- [ ] b\n\t- [ ] c\n"),
        ("> - [ ] a\n>   - [ ] b\n", 0, "> - [ ] b\n"),
        ("- p\n\n  10. [ ] a\n  \t  - [ ] b\n", 0, "- p\n\n  - [ ] b\n"),
        ("> - [ ] a\n>   - [ ] b\n    c\n", 0, "> - [ ] b\n    c\n"),
        ("- [ ] a\n  - [ ] b\n    \n    c\n", 0, "- [ ] b\n    \n  c\n"),
        ("- [ ] a\n\n  b\n\n  \f\n", 0, "\nb\n\n\f\n"),
        ("- [ ] a\n  - [ ] b", 0, "- [ ] b"),
        ("> - [ ] a\n> ", 0, "> "),
        ("> - [ ] a\n>   ", 0, "> "),
        ("\r\n- [ ] a", 0, ""),
        ("\n- [ ] a", 0, ""),
        ("\n- [ ] a\n", 0, "\n"),
        ("- [ ] a\n      <!-- c -->\n- [ ] b\n", 0, "    <!-- c -->\n- [ ] b\n"),
        ("- z\n  - [ ] a\n      - [ ] b\n", 0, "- z\n    - [ ] b\n"),
        ("1. [ ] a\n\n   b\n\n   ```\n   - [ ] c\n   ```\n", 0, "\nb\n\n```\n- [ ] c\n```\n"),
    ],
)
def test_a_removed_task_takes_its_own_lines_along(source: str, at: int, expected: str) -> None:
    """The lines of its text go; what is nested in it stays, in its place."""
    assert written(source, None, at=at) == (expected, ())


def test_a_whole_family_can_go() -> None:
    """Parents and children removed together leave only the others."""
    document = markdown.parse(b"- [ ] a\n  - [ ] b\n    - [ ] c\n      - [ ] d\n- [ ] e")
    changes = [Change(document.entries[at], None) for at in (0, 1, 2, 4)]
    result = markdown.rewrite(document, changes)
    check(document, changes, [], result)
    assert result == Rewriting(markdown.parse(b"- [ ] d"), (None,) * 4, ())


# Added tasks


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", "{}\n"),
        ("\ufeff", "\ufeff{}\n"),
        ("\n\n", "\n\n{}\n"),
        ("\ufeff\n", "\ufeff\n{}\n"),
        ("- [ ] a\n", "- [ ] a\n{}\n"),
        ("- [ ] a", "- [ ] a\n{}"),
        ("- [ ] a\r\n- [ ] b\r\n", "- [ ] a\r\n- [ ] b\r\n{}\r\n"),
        ("- [ ] a\r- [ ] b", "- [ ] a\r- [ ] b\r{}"),
        ("- [ ] a\n\n  text\n\n\n", "- [ ] a\n\n  text\n{}\n\n\n"),
        ("- [ ] a\n  - [ ] b\nlazy\n", "- [ ] a\n  - [ ] b\nlazy\n{}\n"),
        ("- [ ] a\n  ```\n  code\n", "- [ ] a\n  ```\n  code\n{}\n"),
        ("- plain\n", "- plain\n{}\n"),
        ("  - [ ] a\n", "  - [ ] a\n{}\n"),
        # something else before: a blank line
        ("text\n", "text\n\n{}\n"),
        ("text", "text\n\n{}"),
        ("text\n \n", "text\n \n{}\n"),
        ("# h\r\n", "# h\r\n\r\n{}\r\n"),
        ("1. [ ] a\n", "1. [ ] a\n\n{}\n"),
        ("- [ ] a\n\n* b\n", "- [ ] a\n\n* b\n\n{}\n"),
        ("> - [ ] a\n", "> - [ ] a\n\n{}\n"),
        ("---\nx: y\n---", "---\nx: y\n---\n\n{}"),
        ("---\nx: y\n---\n", "---\nx: y\n---\n\n{}\n"),
        ("```\na\n```\n", "```\na\n```\n\n{}\n"),
        ("<div>\n", "<div>\n\n{}\n"),
        ("- [ ] a\n\ufeff", "- [ ] a\n\ufeff\n{}"),
        # the end would swallow it
        ("```\na\n", "{}\n\n```\na\n"),
        ("<!-- a", "{}\n\n<!-- a"),
        ("\ufeff<pre>\n\n", "\ufeff{}\n\n<pre>\n\n"),
        ("---\nx: y\n---\n~~~\n", "---\nx: y\n---\n{}\n\n~~~\n"),
        ("  - [ ] a\n\n```\nb\n", "  - [ ] a\n{}\n\n```\nb\n"),
        ("- [ ] a\n  b\n\n- c\n\n```\nd", "- [ ] a\n  b\n{}\n\n- c\n\n```\nd"),
        ("# h\n1. [ ] a\n# i\n<!--\n- [ ] b\n", "# h\n1. [ ] a\n\n{}\n\n# i\n<!--\n- [ ] b\n"),
    ],
)
def test_an_added_task_is_the_last_one(source: str, expected: str) -> None:
    """It goes to the end of the file, or as far down as it can be seen."""
    result = written(source, add=[Task(TEXT)])
    assert result == (expected.format("- [ ] new words"), ())


BOARD = "\n\n%% kanban:settings\n```\n{{}}\n```\n%%"


@pytest.mark.parametrize("end", ["", "\n", "\n \n"])
@pytest.mark.parametrize(
    ("source", "heading", "expected"),
    [
        ("# h\n- [ ] a", "", "# h\n- [ ] a\n{}"),
        ("# h\n- [ ] a", "h", "# h\n- [ ] a\n{}"),
        ("- [ ] a\n\n  b\n# h", "", "- [ ] a\n\n  b\n# h\n\n{}"),
        ("- [ ] a", "Inbox", "- [ ] a\n\n## Inbox\n\n{}"),
        ("# h\n- [ ] a\n# Inbox", "Inbox", "# h\n- [ ] a\n# Inbox\n\n{}"),
        ("- [ ] a\n\n~~~\nb", "", "- [ ] a\n{}\n\n~~~\nb"),
        ("```\nb\n```", "", "```\nb\n```\n\n{}"),
        ("%% a %%", "", "%% a %%\n\n{}"),
    ],
)
def test_a_comment_that_ends_the_file_stays_its_end(
    source: str, heading: str, expected: str, end: str
) -> None:
    """Obsidian keeps the settings of a board there, and looks for them nowhere else."""
    board = BOARD.format() + end
    result = written(f"{source}{board}", add=[Task(TEXT)], heading=heading)
    assert result == (expected.format("- [ ] new words") + board, ())


@pytest.mark.parametrize("comment", ["%% a %%\n", "\ufeff%%\na\n%%"])
def test_a_file_may_be_nothing_but_such_a_comment(comment: str) -> None:
    """The task stands before it."""
    expected = f"- [ ] a\n\n{comment}" if comment[0] == "%" else f"\ufeff- [ ] a\n\n{comment[1:]}"
    assert written(comment, add=[Task("a")]) == (expected, ())


@pytest.mark.parametrize(
    "source",
    [
        "- [ ] a\n%% of a %%\n",
        "- [ ] a\n  %% of a %%\n",
        "- [ ] a\n\n  %% of a %%\n",
        "- [ ] a %%\n",
        "- [ ] a\n\n%%\n- [ ] b\n%%\n",
        "- [ ] a\n\n%%%\n",
    ],
)
def test_no_other_comment_of_obsidian_moves_a_task_up(source: str) -> None:
    """What stands right below a task or in it, and what has tasks in it, is no end of the file."""
    new = written(source, add=[Task(TEXT)]).source
    assert new.startswith(source.rstrip())
    assert new.endswith("- [ ] new words\n")


def test_a_bullet_is_the_one_that_most_tasks_have() -> None:
    """The bullets of tasks count, numbers and plain lists do not."""
    source = "* [ ] a\n* [ ] b\n\n+ [ ] c\n\n1. [ ] d\n2. [ ] e\n3. [ ] f\n"
    assert written(source, add=[Task("g")]).source == f"{source}\n* [ ] g\n"


@pytest.mark.parametrize(
    ("source", "heading", "expected"),
    [
        ("", "Inbox", "## Inbox\n\n{}\n"),
        ("\ufeffa", "# Inbox", "\ufeffa\n\n# Inbox\n\n{}"),
        ("- [ ] a\n", "Inbox", "- [ ] a\n\n## Inbox\n\n{}\n"),
        ("- [ ] a\r\n\r\n", "###Inbox", "- [ ] a\r\n\r\n### Inbox\r\n\r\n{}\r\n"),
        ("# Inbox\n", "## Inbox", "# Inbox\n\n{}\n"),
        ("Inbox\n===\n# x\n", "Inbox", "Inbox\n===\n\n{}\n\n# x\n"),
        ("## In *box* ##\n\n# x\n", "In  *box*", "## In *box* ##\n\n{}\n\n# x\n"),
        ("# Inbox\n- [ ] a\n  b\n\n  c\n\n# x\n- [ ] d\n", "Inbox",
         "# Inbox\n- [ ] a\n  b\n\n  c\n{}\n\n# x\n- [ ] d\n"),
        ("# Inbox\n- [ ] a\n## x\n- [ ] b\n", "Inbox", "# Inbox\n- [ ] a\n{}\n## x\n- [ ] b\n"),
        ("# Inbox\n- [ ] a\n\ntext\n", "Inbox", "# Inbox\n- [ ] a\n{}\n\ntext\n"),
        ("# Inbox\n1. [ ] a\n2. b\n", "Inbox", "# Inbox\n1. [ ] a\n2. b\n\n{}\n"),
        ("# Inbox\n> - [ ] a\n\ntext\n", "Inbox", "# Inbox\n> - [ ] a\n\n{}\n\ntext\n"),
        ("# Inbox\ntext\n", "Inbox", "# Inbox\n\n{}\n\ntext\n"),
        ("# Inbox\n\n- plain\n", "Inbox", "# Inbox\n\n- plain\n{}\n"),
        ("# Inbox\n\n- plain\n# x\n", "Inbox", "# Inbox\n\n- plain\n{}\n# x\n"),
        ("- [ ] z\n# Inbox\n- [ ] a\n\nb\n", "Inbox", "- [ ] z\n# Inbox\n- [ ] a\n{}\n\nb\n"),
        ("> # Inbox\n", "Inbox", "> # Inbox\n\n## Inbox\n\n{}\n"),
        ("- # Inbox\n", "Inbox", "- # Inbox\n\n## Inbox\n\n{}\n"),
        ("```\n# Inbox\n", "Inbox", "## Inbox\n\n{}\n\n```\n# Inbox\n"),
        ("- [ ] a\n\n```\nb\n", "Inbox", "- [ ] a\n\n## Inbox\n\n{}\n\n```\nb\n"),
        ("- [ ] a\n", " ## \n", "- [ ] a\n{}\n"),
        ("- [ ] a\n", "[r]: u", "- [ ] a\n\n## [r]: u\n\n{}\n"),
    ],
)  # fmt: skip  # a table: the file, the heading, the file afterwards
def test_an_added_task_goes_to_the_end_of_its_section(
    source: str, heading: str, expected: str
) -> None:
    """A heading is found by its title, and created once at the end where it is missing."""
    once = written(source, add=[Task(TEXT)], heading=heading)
    assert once == (expected.format("- [ ] new words"), ())
    twice = written(once.source, add=[Task("more")], heading=heading)
    assert twice.source.count("Inbox") == once.source.count("Inbox")
    assert "- [ ] new words" in twice.source
    assert twice.source.replace("\r\n", "\n").index("words\n- [ ] more")


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ("X files", "## X files"),
        ("##Xmas", "## Xmas"),
        ("#", ""),
        ("###### Inbox", "###### Inbox"),
        ("####### Inbox", "## Inbox"),
        ("#######Inbox", "## Inbox"),
        ("In\ud800box  now", "## In?box now"),
    ],
)
def test_a_heading_is_created_as_it_is_asked_for(asked: str, line: str) -> None:
    """In the level that it is given, if there is such a level, else in the second."""
    expected = f"{line}\n\n- [ ] new words\n" if line else "- [ ] new words\n"
    assert written("", add=[Task(TEXT)], heading=asked) == (expected, ())


# What cannot be written


def test_what_cannot_be_written_is_refused_and_the_rest_applied() -> None:
    """One bad apple costs nothing but itself, whether its line or its place is to blame."""
    document = markdown.parse(b"- [ ] a\n- [ ] b <!-- ` -->\n- [ ] c due:2026-01-31\n  17:00 d\n")
    a, b, c = document.entries
    bad = [
        Change(c._replace(line=7), Task("of another file")),
        Change(a, Task("a\n- [ ] b")),
        Change(b, Task("x ` y")),
    ]
    good = [Change(c, replace(c.task, completed=True))]
    texts = ("", " ", "a\rb", "x due:2026-01-31", "\ud800", "a <!-- b -->")
    odd = [Addition(Task(text)) for text in texts]
    fine = [Addition(Task("d")), Addition(Task("e", due="2026-01-31"))]
    additions = [fine[0], *odd, fine[1], Addition(Task("f", due="soon"))]
    result = markdown.rewrite(document, [*bad, *good, Change(c, Task("again"))], additions)
    assert result.changed == (None, None, None, 2, None)
    assert result.added == (3, None, None, None, None, None, None, 4, None)
    assert result.refused == (*bad, Change(c, Task("again")), *odd, additions[-1])
    assert result.document.source == (
        b"- [ ] a\n- [ ] b <!-- ` -->\n- [x] c due:2026-01-31\n  17:00 d\n"
        b"- [ ] d\n- [ ] e due:2026-01-31\n"
    )


def test_a_date_that_would_take_in_the_words_behind_it_moves_to_the_end() -> None:
    """Where a token cannot be written in its place, the line is put together anew."""
    source = "- [ ] due:2026-01-31T10:00 17:00 train\n"
    task = Task("17:00 train", due="2026-02-01")
    assert written(source, task) == ("- [ ] 17:00 train due:2026-02-01\n", ())


def test_many_dates_move_to_the_end_as_one_does() -> None:
    """What takes long to find for each line alone is found for all of them at once."""
    lines = [f"- [ ] due:2026-01-31T10:00 17:00 train {n}\n" for n in range(100)]
    document = markdown.parse("".join(lines).encode())
    changes = [Change(entry, replace(entry.task, due="2026-02-01")) for entry in document.entries]
    result = markdown.rewrite(document, changes)
    check(document, changes, [], result)
    assert result.refused == ()


def test_a_removal_that_would_hide_another_task_is_refused() -> None:
    """An open comment ends with its item; without the item it would take in all that follows."""
    document = markdown.parse(b"- [ ] a\n  <!-- x\n- [ ] b\n")
    a, b = document.entries
    result = markdown.rewrite(document, [Change(a, None), Change(b, Task("c"))])
    assert result.refused == (Change(a, None),)
    assert result.document.source == b"- [ ] a\n  <!-- x\n- [ ] c\n"


def test_a_removal_that_would_change_another_task_is_refused() -> None:
    """A lazy line below a removed child would become part of its parent."""
    source = "- [ ] p\n  - [ ] a\n  b\n"
    document = markdown.parse(source.encode())
    changes = [Change(document.entries[1], None), Change(document.entries[0], Task("p", True))]
    result = markdown.rewrite(document, changes)
    check(document, changes, [], result)
    assert result.refused == (changes[0],)
    assert result.changed == (None, 0)
    assert result.document.source == b"- [x] p\n  - [ ] a\n  b\n"


def test_a_removal_that_would_make_a_heading_is_refused() -> None:
    """What stands above the task and the rule below it would name the section of the others."""
    document = markdown.parse(b"x\n- [ ] a\n---\n" + b"- [ ] b\n" * 9)
    a, *rest = document.entries
    ticks = [Change(entry, Task("b", True)) for entry in rest]
    for others in (ticks, ticks[:2], []):
        result = markdown.rewrite(document, [Change(a, None), *others])
        check(document, [Change(a, None), *others], [], result)
        assert result.refused == (Change(a, None),)


def test_a_text_with_half_a_comment_is_written_as_it_is() -> None:
    """It reads back, so the person may have it, although a description gets a backslash."""
    assert written("- [ ] x\n", Task("a <!-- b")) == ("- [ ] a <!-- b\n", ())


def test_what_is_added_stands_below_what_is_put_behind_the_last_line() -> None:
    """Both go to one place in a file without a last line end."""
    new = written("- [ ] a  b", Task("a b", due="2026-01-31"), add=[Task("c")])
    assert new == ("- [ ] a  b 📅 2026-01-31\n- [ ] c", ())


def test_an_added_line_ends_as_most_lines_do() -> None:
    """One line with another end does not make the manner of the file."""
    new = written("- [ ] a\r\n- [ ] b\n- [ ] c\n", add=[Task("d")])
    assert new == ("- [ ] a\r\n- [ ] b\n- [ ] c\n- [ ] d\n", ())


def test_nothing_asked_is_nothing_done() -> None:
    """Without a difference the document is the very same."""
    document = markdown.parse(b"* [x] a\n")
    (entry,) = document.entries
    assert markdown.rewrite(document, ()) == Rewriting(document, (), ())
    assert markdown.rewrite(document, ()).document is document
    same = markdown.rewrite(document, [Change(entry, entry.task)], heading="Inbox")
    assert same == Rewriting(document, (0,), ())


# Any file, any change


@st.composite
def asked(
    draw: Callable[[st.SearchStrategy[object]], object], document: Document
) -> tuple[list[Change], list[Addition]]:
    """Changes of some entries of a document, a field or all of it, and additions."""
    legible = texts() | arbitrary().map(markdown.legible).filter(bool)
    changes = []
    for entry in document.entries:
        task: Task | None = entry.task
        kinds = ("", "", "text", "tick", "due", "undated", "all", "remove")
        match draw(st.sampled_from(kinds)):
            case "text":
                task = replace(entry.task, text=draw(legible))
            case "tick":
                task = replace(entry.task, completed=not entry.task.completed)
            case "due":
                task = replace(entry.task, due=draw(due_values()))
            case "undated":
                task = replace(entry.task, due=None)
            case "all":
                task = draw(st.builds(Task, legible, st.booleans(), st.none() | due_values()))
            case "remove":
                task = None
            case _:
                continue
        assert task is None or isinstance(task, Task)
        changes.append(Change(entry, task, draw(st.sampled_from((None, None, "a-1", "no id")))))
    new = st.builds(Addition, st.builds(Task, legible, st.booleans(), st.none() | due_values()))
    additions = draw(st.lists(new, max_size=3))
    assert isinstance(additions, list)
    return changes, additions


HEADINGS = st.sampled_from(("", "", "Inbox", "# H", "## I", "Home"))


@given(documents(), st.sampled_from(("\n", "\r\n", "\r")), st.booleans(), HEADINGS, st.data())
def test_files_as_people_keep_them_take_any_change(
    source: tuple[str, list[Task]], line_end: str, final: bool, heading: str, data: st.DataObject
) -> None:
    """Every change and addition is written, nothing else reads otherwise, line ends stay."""
    text = source[0] if final else source[0].removesuffix("\n")
    document = markdown.parse(text.replace("\n", line_end).encode())
    changes, additions = data.draw(asked(document))
    result = markdown.rewrite(document, changes, additions, heading=heading)
    check(document, changes, additions, result)
    assert result.refused == ()
    if line_end.encode() in document.source:
        others = result.document.source.replace(line_end.encode(), b"")
        assert b"\n" not in others
        assert b"\r" not in others
    if not any(change.task is None for change in changes) and text:
        assert result.document.source.endswith(line_end.encode()) == text.endswith("\n")


@given(
    nasty_markdown()
    | st.builds(
        lambda parts, sign, end: sign.join(parts) + end,
        st.lists(nasty_markdown(), max_size=6),
        st.sampled_from(["\n- [ ] ", "\n> - [ ] "]),
        st.sampled_from(["", "\n> ", "\n>", "\n  "]),
    ),
    st.data(),
)
def test_any_file_takes_any_change_or_refuses_it(source: str, data: st.DataObject) -> None:
    """Whatever UTF-8 the file is, what is not refused is there, and nothing else is different."""
    document = markdown.parse(source.encode())
    changes, additions = data.draw(asked(document))
    heading = data.draw(HEADINGS | nasty_markdown())
    result = markdown.rewrite(document, changes, additions, heading=heading)
    check(document, changes, additions, result)
    event(f"refused: {bool(result.refused)}")


@given(nasty_markdown() | st.lists(nasty_markdown(), max_size=6).map("\n- [ ] ".join), st.data())
def test_no_other_byte_changes(source: str, data: st.DataObject) -> None:
    """Around the box, the text and the token of a changed task the file stays as it is."""
    document = markdown.parse(source.encode())
    if not document.entries:
        return
    entry = data.draw(st.sampled_from(document.entries))
    fields = {"completed": not entry.task.completed, "text": TEXT, "due": "2026-01-31"}
    field = data.draw(st.sampled_from(sorted(fields)))
    task = replace(entry.task, **{field: fields[field]})
    result = markdown.rewrite(document, [Change(entry, task)])
    if field == "completed" and entry.box:
        start, end = entry.box
    else:
        start, end = entry.text_spans[0].start, entry.span.end
    new = result.document.source
    assert new.startswith(document.source[:start])
    assert new[start:].endswith(document.source[end:])


@given(documents(), due_values(), st.data())
def test_changing_back_restores_the_file(
    source: tuple[str, list[Task]], value: str, data: st.DataObject
) -> None:
    """Another date, and the old one again: the same bytes, but for a time after a space."""
    document = markdown.parse(source[0].encode())
    dated = [entry for entry in document.entries if entry.task.due]
    chosen = data.draw(st.lists(st.sampled_from(dated), unique=True)) if dated else []
    there = markdown.rewrite(document, [Change(e, replace(e.task, due=value)) for e in chosen])
    indices = [index for index in there.changed if index is not None]
    assert len(indices) == len(chosen)
    changes = [
        Change(there.document.entries[index], entry.task)
        for index, entry in zip(indices, chosen, strict=True)
    ]
    back = markdown.rewrite(there.document, changes)
    assert back.document.source.replace(b"T", b" ") == document.source.replace(b"T", b" ")


@given(st.lists(tasks(), max_size=4), st.lists(tasks(), max_size=4), HEADINGS)
def test_adding_is_in_order_and_creates_a_heading_once(
    first: list[Task], second: list[Task], heading: str
) -> None:
    """Two rounds of additions read as one list, below one heading."""
    document = markdown.parse(b"")
    for new in (first, second):
        document = markdown.rewrite(
            document, (), [Addition(t) for t in new], heading=heading
        ).document
    assert [entry.task for entry in document.entries] == first + second
    assert len({entry.section for entry in document.entries}) <= 1
    assert document.source.count(b"#" + b" ") <= sum("#" in t.text for t in first + second) + 1
    once = markdown.rewrite(
        markdown.parse(b""), (), [Addition(t) for t in first + second], heading=heading
    )
    assert once.document.source == document.source


@pytest.mark.parametrize("name", ["everyday.md", "obsidian.md", "windows.md"])
@given(data=st.data())
def test_real_files_take_changes(name: str, data: st.DataObject) -> None:
    """In files as people have them nothing is refused that a line can say."""
    document = markdown.parse((DATA / name).read_bytes())
    changes, additions = data.draw(asked(document))
    result = markdown.rewrite(document, changes, additions, heading="Inbox")
    check(document, changes, additions, result)
    assert result.refused == ()


def test_a_real_file_keeps_its_looks() -> None:
    """One change of each kind in a file full of Obsidian's marks."""
    document = markdown.parse((DATA / "obsidian.md").read_bytes())
    passport, rent, _, report, laptop, *_ = document.entries
    changes = [
        Change(passport, replace(passport.task, completed=True)),
        Change(rent, replace(rent.task, due="2026-02-01", completed=False)),
        Change(report, replace(report.task, text="Write the [[Book]]")),
        Change(laptop, None),
    ]
    result = markdown.rewrite(document, changes, [Addition(Task("Call Bob", due="2026-03-01"))])
    assert (
        result.document.source.decode()
        == """\
---
tags: [todo]
---
## Inbox

- [x] Renew passport 🔼 ➕ 2026-01-02 📅 2026-01-31
- [ ] Pay rent 🔁 every month 📅 2026-02-01 ✅ 2025-12-30
- [-] Learn the accordion ❌ 2026-01-05
- [/] Write the [[Book]] 📅 2026-01-25
- [?] Ask about [[2026-01-31]]
- [>] Later
- [1] a chapter, not a task
- [x](https://example.com) is a link
- [ ] Call Bob 📅 2026-03-01
"""
    )


# Size


def test_a_huge_file_takes_many_changes() -> None:
    """Hundreds of changes, a bad one among them, in five thousand tasks; nothing is quadratic."""
    document = markdown.parse(b"# Inbox\n" + b"- [ ] a due:2026-01-31\n  - [ ] b\n" * 2_500)
    changes = [Change(e, Task(TEXT, True, "2026-02-01")) for e in document.entries[::17]]
    changes[7] = Change(changes[7].entry, Task("<!-- a -->"))
    additions = [Addition(Task(f"new {number}")) for number in range(300)]
    result = markdown.rewrite(document, changes, additions, heading="Inbox")
    check(document, changes, additions, result)
    assert result.refused == (changes[7],)
    gone = markdown.rewrite(document, [Change(entry, None) for entry in document.entries[::2]])
    assert [entry.task.text for entry in gone.document.entries] == ["b"] * 2_500
    assert len(gone.document.source) == len(b"# Inbox\n") + len(b"- [ ] b\n") * 2_500


def test_many_faults_cost_little_more_than_one() -> None:
    """Hundreds of lines that cannot take their text are found without trying each."""
    source = b"- [ ] a <!-- ` -->\n- [ ] due:2026-01-31T10:00 17:00 b\n- [ ] c\n" * 300
    document = markdown.parse(source)
    entries = document.entries
    bad = [Change(entry, Task("x ` y")) for entry in entries[::3]]
    anew = [Change(entry, Task("17:00 b", due="2026-02-01")) for entry in entries[1::3]]
    good = [Change(entry, Task("x ` y")) for entry in entries[2::3]]
    result = markdown.rewrite(document, [*bad, *anew, *good])
    check(document, [*bad, *anew, *good], [], result)
    assert result.refused == tuple(bad)
