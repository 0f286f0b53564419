"""Markdown: which lines are tasks, what they say, and in which bytes they say it."""

from __future__ import annotations

from pathlib import Path

import pyromark
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from spans import check_order
from strategies import (
    Line,
    documents,
    due_values,
    lines,
    nasty_markdown,
    styles,
    texts,
)

from omisync.core import due, markdown
from omisync.core.markdown import blocks, boxes, words
from omisync.core.model import Document, Entry, Span, Task

DATA = Path(__file__).parents[1] / "data" / "markdown"


def parsed(source: str, marks: markdown.Marks = markdown.MARKS) -> tuple[Entry, ...]:
    """Return the entries of a file."""
    return markdown.parse(source.encode(), marks).entries


def said(source: str, marks: markdown.Marks = markdown.MARKS) -> list[str]:
    """Return the texts of a file's tasks."""
    return [entry.task.text for entry in parsed(source, marks)]


def warned(source: str) -> list[tuple[int, str]]:
    """Return the warnings about a file: line and message."""
    return [(notice.line, notice.message) for notice in markdown.parse(source.encode()).notices]


def cut(source: str, span: Span | None) -> str | None:
    """Return the bytes of a span, decoded."""
    return source.encode()[span.start : span.end].decode() if span else None


# Which lines are tasks


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("- [ ] a\n* [ ] b\n+ [ ] c\n", ["a", "b", "c"]),
        ("1. [ ] a\n2. [ ] b\n\n1) [ ] c\n", ["a", "b", "c"]),
        ("- [ ] a", ["a"]),
        ("-\t[ ]\ta\n", ["a"]),
        ("   - [ ] a\n", ["a"]),
        # nested
        ("- [ ] a\n  - [ ] b\n    - [ ] c\n  - [ ] d\n", ["a", "b", "c", "d"]),
        ("- a\n  1. [ ] b\n", ["b"]),
        ("- - [ ] a\n", ["a"]),
        ("- [ ] a\n\n  - [ ] b\n\n- [ ] c\n", ["a", "b", "c"]),
        ("- [ ]\n  - [ ] a\n", ["a"]),
        ("- [ ] - [ ] a\n", ["- [ ] a"]),
        # in quotes
        ("> - [ ] a\n> - [ ] b\n", ["a", "b"]),
        ("> > - [ ] a\n>\n> - [ ] b\n", ["a", "b"]),
        ("- > - [ ] a\n", ["a"]),
        (">\t- [ ] a\n>\t- [ ] b\n", ["a", "b"]),
        # headings and rules around
        ("# h\n- [ ] a\n# h\n- [ ] b\n---\n- [ ] c\n", ["a", "b", "c"]),
        ("- [ ] a\n  ---\n", ["a"]),
        ("- [ ] a\n  ===\n  b\n", ["a"]),
        # HTML that ends
        ("<details>\n<summary>s</summary>\n\n- [ ] a\n\n</details>\n", ["a"]),
        ("<!-- x -->\n- [ ] a\n", ["a"]),
        # lines ending in other ways
        ("- [ ] a\r\n- [ ] b\r\n", ["a", "b"]),
        ("- [ ] a\r- [ ] b\r", ["a", "b"]),
        ("\ufeff- [ ] a\n- [ ] b\n", ["a", "b"]),
        ("- [ ] a\u2028- [ ] b\u0085c\n", ["a\u2028- [ ] b\u0085c"]),
        ("- [\t] a\n", ["a"]),
    ],
)
def test_list_items_with_a_box_are_tasks(source: str, expected: list[str]) -> None:
    """A task is a list item that begins with a box and has text, however deep it stands."""
    assert said(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "",
        "\ufeff",
        "plain\n",
        "- plain bullet\n",
        "[ ] no bullet\n",
        "-[ ] a\n",
        "- []\n",
        "- [] a\n",
        "- [ ]a\n",
        "- [ ]\u00a0a\n",
        "- [x](u) a\n",
        "- [x][r] a\n\n[r]: u\n",
        "- [x]: u\n",
        "- \\[ ] a\n",
        "- \\[/] a\n",
        "- [ \\] a\n",
        "- > [ ] a\n",
        "- # [ ] a\n",
        "- a [ ] b\n",
        "-\n  [ ] a\n",
        "1234567890. [ ] a\n",
        "paragraph\n2. [ ] cannot interrupt it\n",
        "    - [ ] indented code\n",
        "-     [/] indented code in an item\n",
        "```\n- [ ] a\n```\n",
        "~~~\n- [ ] a\n~~~\n",
        "> ```\n> - [ ] a\n> ```\n",
        "- ```\n  - [ ] a\n  ```\n",
        "<!-- - [ ] a -->\n",
        "<!--\n- [ ] a\n-->\n",
        "<div>\n- [ ] a\n</div>\n",
        "<pre>\n\n- [ ] a\n\n</pre>\n",
        # a box without text
        "- [ ]\n",
        "- [ ] \n",
        "- [/]\n",
        "- [ ] \u00a0\n",
        "- [ ] <!-- c -->\n",
        "- [ ]\n  # h\n",
        "- [/]\n  # h\n",
        "- [ ]\n  ```\n  a\n  ```\n",
        "- [ ]\n\n  a\n",
        "- [/]\n\n  a\n",
        "- [ ]\na\n",
    ],
)
def test_everything_else_is_no_task(source: str) -> None:
    """Code, HTML, links, plain bullets and boxes without text are never tasks."""
    assert said(source) == []


@pytest.mark.parametrize("mark", "xX✓✔-")
def test_done_marks_complete_a_task(mark: str) -> None:
    """The marks for done, and for cancelled, make a completed task."""
    assert [entry.task for entry in parsed(f"- [{mark}] a\n")] == [Task("a", completed=True)]


@pytest.mark.parametrize("mark", " \t/><!?*~")
def test_open_marks_keep_a_task_open(mark: str) -> None:
    """The marks for open, as Obsidian users have them, make an open task."""
    assert [entry.task for entry in parsed(f"- [{mark}] a\n")] == [Task("a", completed=False)]


@pytest.mark.parametrize(("mark", "done"), [*((one, False) for one in "/><!?*~"), ("-", True)])
def test_a_backslash_before_a_mark_of_punctuation_is_no_part_of_it(mark: str, done: bool) -> None:
    """Formatters write one so: all open tasks of a formatted file were completed in Omi."""
    for spelled in (f"\\{mark}", f"\\{mark}\ufe0f"):
        source = f"- [ ] a\n- [{spelled}] b *c*\n"
        assert [entry.task for entry in parsed(source)] == [Task("a"), Task("b *c*", done)]
        assert warned(source) == []
    own = markdown.Marks(done=mark, open="#x")
    for spelled, completed in ((f"\\{mark}", True), ("\\#", False)):
        assert [e.task.completed for e in parsed(f"- [{spelled}] a\n", own)] == [completed]
    assert said("- [\\x] a\n- [\\ ] b\n- [\\\\*] c\n", own) == []


@pytest.mark.parametrize("mark", ["1", "a", "xx", "  ", "☃", "\u00a0", "x ", "\\", "👩‍👩‍👧", "✔️✔️"])
def test_any_other_mark_is_text(mark: str) -> None:
    """A box with another character, or several, makes no task."""
    assert said(f"- [{mark}] a\n") == []


def test_a_variation_selector_does_not_change_a_mark() -> None:
    """``✔️``, as phones type it, is ``✔``."""
    assert parsed("- [✔\ufe0f] a\n")[0].task.completed
    assert parsed("- [✔\ufe0e] a\n")[0].task.completed


@pytest.mark.parametrize("mark", "/x!")
def test_a_link_definition_named_like_a_mark_changes_nothing(mark: str) -> None:
    """Where ``[/]`` could be a link, it is still a box."""
    assert said(f"- [{mark}] a\n\n  b\n\n[{mark}]: https://example.com\n") == ["a"]


def test_the_marks_are_the_persons_choice() -> None:
    """Configured marks replace the default ones; a mark left out is text."""
    marks = markdown.Marks(done="#✔️", open=" a")
    source = "- [#] done\n- [✔] done, too\n- [a] open\n- [ ] open, too\n- [x] text\n"
    entries = parsed(source, marks)
    assert [(entry.task.text, entry.task.completed) for entry in entries] == [
        ("done", True),
        ("done, too", True),
        ("open", False),
        ("open, too", False),
    ]


# What they say


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # raw source, markup and escapes included
        ("- [ ] **a** `b` [c](d) \\* &amp; <b>e</b>\n", "**a** `b` [c](d) \\* &amp; <b>e</b>"),
        ("- [ ] # no heading\n", "# no heading"),
        ("- [ ]\n  an underline\n  ===\n", "an underline"),
        ("- [ ] x(due:2026-01-31 b)\n", "x( b)"),
        ("- [ ] x (due:2026-01-31 b)\n", "x (b)"),
        ("- [ ] > no quote\n", "> no quote"),
        ("- [ ]   spaces   around  \t\n", "spaces around"),
        ("- [ ] `two  spaces` in code\n", "`two  spaces` in code"),
        ("- [ ] a\0b\n", "a\0b"),
        # wrapped lines
        ("- [ ] a\n  b\n  c\n", "a b c"),
        ("- [ ] a\r\n  b\r  c\n", "a b c"),
        ("- [ ] a\n      b\n", "a b"),
        ("- [ ] a\n b\n", "a b"),
        ("- [ ] a  \n  b\\\n  c\n", "a b\\ c"),
        ("- [ ]\n  a\n", "a"),
        ("12. [ ] a\n    b\n", "a b"),
        ("- [ ] `a\n  b` c\n", "`a b` c"),
        ("- [ ] [a\n  b](c\n  'd') e\n", "[a b](c 'd') e"),
        # quote prefixes
        ("> - [ ] a\n>   b\n", "a b"),
        ("> > - [ ] a\n> >   b\n>>   c\n", "a b c"),
        ("- > - [ ] a\n  >   b\n", "a b"),
        ("> - [ ] `a\n>   b`\n", "`a b`"),
        ("> - [ ] a\n>       > b\n", "a > b"),
        ("> > - [ ] a\n>       > b\n", "a > b"),
        ("> - [ ]\n>   a\n", "a"),
        (">- [ ] a\n>  b\n", "a b"),
        ("> - [ ] a\n   >   b\n", "a b"),
        (">\t- [ ] a\n>    b\n", "a b"),
        # lazy lines
        ("- [ ] a\nb\n", "a"),
        ("- [ ] a\n  b\nc\n  d\n", "a b"),
        ("  - [ ] a\n  b\n", "a"),
        ("- p\n  - [ ] a\n  b\n", "a"),
        ("- p\n\t- [ ] a\n\t\tb\n\tc\n", "a b"),
        ("> - [ ] a\n> b\n", "a"),
        ("> - [ ] a\nb\n", "a"),
        (">- [ ] a\n> b\n", "a"),
        ("> > - [ ] a\n> b\n", "a"),
        (">> - [ ] a\n>  > b\n", "a"),
        (">\t- [ ] a\n>   b\n", "a"),
        ("> - [ ] a\n>bc\n", "a"),
        # only the first paragraph
        ("- [ ] a\n\n  b\n", "a"),
        ("- [ ] a\n  - b\n", "a"),
        ("- [ ] a\n  # b\n", "a"),
        ("- [ ] # b\n  ---\n", "# b"),
        ("- [ ] a\n  > b\n", "a"),
        ("- [ ] a\n  ```\n  b\n  ```\n  c\n", "a"),
        ("- [ ] a\n  ---\n  b\n", "a"),
        ("- [ ] a\n  ***\n  b\n", "a"),
        ("- [ ] a\n  <!-- b -->\n  c\n", "a"),
        # comments
        ("- [ ] a <!-- c -->\n", "a"),
        ("- [ ] a<!-- c -->  <!-- d -->\n", "a"),
        ("- [ ] a <!-- c\n  d -->\n", "a"),
        ("- [ ] a <!-- c -->\nlazy\n", "a"),
        ("- [ ] a <!-- c --> b\n", "a <!-- c --> b"),
        ("- [ ] a <!-- c --> due:2026-01-31\n", "a"),
        ("- [ ] a due:2026-01-31 <!-- c --> ✅ 2026-01-01 <!-- d -->\n", "a"),
        ("- [ ] a `<!-- c -->`\n", "a `<!-- c -->`"),
        # what a token leaves behind
        ("- [ ] a due:2026-01-31 b\n", "a b"),
        ("- [ ] due:2026-01-31 a\n", "a"),
        ("- [ ] a (due:2026-01-31) b\n", "a b"),
        ("- [ ] a, due:2026-01-31, b\n", "a,, b"),
        ("- [ ] a due:2026-01-31.\n", "a."),
        ("- [ ] (a due:2026-01-31)\n", "(a)"),
        ("- [ ] (due:2026-01-31 a)\n", "(a)"),
        ("- [ ] a due:2026-01-31 omi:b ✅ 2026-01-03.\n", "a."),
        ("- [ ] (due:2026-01-31 omi:b a)\n", "(a)"),
        ("- [ ] b (due:2026-01-31  omi:b a)\n", "b (a)"),
        ("- [ ] a due:2026-01-31, omi:b.\n", "a,."),
        ("- [ ] ~~a due:2026-01-31~~\n", "~~a~~"),
        ("- [ ] **due:2026-01-31 a**\n", "**a**"),
        ("- [ ] a📅 2026-01-31 b\n", "a b"),
        ("- [ ] a 📅\n  2026-01-31 b\n", "a b"),
        ("- [ ] a\n  due:2026-01-31\n  b\n", "a b"),
        ("- [ ] due:2026-01-31 a\u00a0\n", "a"),
        ("- [ ] a due:2026-01-31 .\n", "a ."),
        ("- [ ] a📅 2026-01-31, b\n", "a, b"),
        ("- [ ] a  <!-- c --> due:2026-01-31\n", "a"),
        # spaces count as one
        ("- [ ] a  b   c\n", "a b c"),
        # other tokens
        ("- [ ] [due:2026-01-31 `c`](u) d\n", "[due:2026-01-31 `c`](u) d"),
        ("- [ ] www.a.b/(due:2026-01-31) c\n", "www.a.b/(due:2026-01-31) c"),
        ("- [ ] a ➕ 2026-01-01 ❌ 2026-01-02 ✅ 2026-01-03\n", "a"),
        ("- [ ] a ✅️2026-01-03, b\n", "a, b"),
        ("- [ ] a ✅ 2026-02-30\n", "a ✅ 2026-02-30"),
        ("- [ ] a ✅ done\n", "a ✅ done"),
        ("- [ ] a ⏳ 2026-01-01\n", "a ⏳ 2026-01-01"),
        ("- [x] a [completion:: 2026-01-03] [created::2026-01-01]\n", "a"),
        ("- [-] a (cancelled:: 2026-01-02 ), b [ created:: 2026-01-01]\n", "a, b"),
        ("- [x] a @done(2026-01-03) b @done( 2026-01-03 14:00 )\n", "a b"),
        ("- [x] a @done(2026-01-03\n  14:00)\n", "a"),
        ("- [x] a [completion:: 2026-02-30]\n", "a [completion:: 2026-02-30]"),
        ("- [x] a [completion:: 2026-01-03)\n", "a [completion:: 2026-01-03)"),
        ("- [x] a [completion:: soon] @done\n", "a [completion:: soon] @done"),
        ("- [x] a [completion:: 2026-01-03](u)\n", "a [completion:: 2026-01-03](u)"),
        ("- [x] a \\[created:: 2026-01-03]\n", "a \\[created:: 2026-01-03]"),
        (
            "- [x] a @done(2026-01-03 2pm) b@done(2026-01-03)\n",
            "a @done(2026-01-03 2pm) b@done(2026-01-03)",
        ),
        ("- [x] @done(2026-01-03)\n", "@done(2026-01-03)"),
        ("- [ ] a omi:AbC_1-2 b\n", "a b"),
        ("- [ ] a `omi:b` `✅ 2026-01-03`\n", "a `omi:b` `✅ 2026-01-03`"),
        ("- [ ] a #omi:b naomi:c omi: d\n", "a #omi:b naomi:c omi: d"),
        # nothing left without the tokens
        ("- [ ] due:2026-01-31\n", "due:2026-01-31"),
        ("- [ ] omi:ab ✅ 2026-01-03 <!-- c -->\n", "omi:ab ✅ 2026-01-03"),
    ],
)
def test_the_text_is_the_first_paragraph_without_tokens(source: str, expected: str) -> None:
    """Box, quote marks, lazy lines, trailing comments and tokens are not part of the text."""
    assert said(source)[0] == expected


@pytest.mark.parametrize(
    ("source", "value", "token"),
    [
        ("- [ ] a 📅 2026-01-31\n", "2026-01-31", "📅 2026-01-31"),
        ("- [ ] ä due:2026-01-31T17:00 ö\n", "2026-01-31T17:00", "due:2026-01-31T17:00"),
        ("- [ ] a [due:: 2026-01-31]\n", "2026-01-31", "[due:: 2026-01-31]"),
        ("- [ ] a (due:: 2026-01-31)\n", "2026-01-31", "(due:: 2026-01-31)"),
        ("- [ ] a @due(2026-01-31 17:00)\n", "2026-01-31T17:00", "@due(2026-01-31 17:00)"),
        ("- [ ] a due:2026-01-31T17:00Z\n", "2026-01-31T17:00+00:00", "due:2026-01-31T17:00Z"),
        ("- [ ] ü\n  ä due:2026-01-31 ö\n", "2026-01-31", "due:2026-01-31"),
        ("> - [ ] ü 📅\n>   2026-01-31\n", "2026-01-31", "📅\n>   2026-01-31"),
        ("- [ ] `x`due:2026-01-31\n", "2026-01-31", "due:2026-01-31"),
        # the first that is valid and stands outside code and links
        ("- [ ] a due:2026-02-30 📅 2026-01-31\n", "2026-01-31", "📅 2026-01-31"),
        ("- [ ] `due:2026-01-01` due:2026-01-31\n", "2026-01-31", "due:2026-01-31"),
        ("- [ ] ``a ` due:2026-01-01`` due:2026-01-31\n", "2026-01-31", "due:2026-01-31"),
        ("- [ ] [due:2026-01-01](u) due:2026-01-31\n", "2026-01-31", "due:2026-01-31"),
        ("- [ ] ![due:2026-01-01](u) due:2026-01-31\n", "2026-01-31", "due:2026-01-31"),
        ("- [ ] [due:2026-01-01] due:2026-01-31\n\n[due:2026-01-01]: u\n", "2026-01-31", None),
        ("- [ ] <http://x/due:2026-01-01> due:2026-01-31\n", "2026-01-31", "due:2026-01-31"),
        ("- [ ] http://x/,due:2026-01-01 due:2026-01-31\n", "2026-01-31", "due:2026-01-31"),
        ("- [ ] [[a due:2026-01-01]] due:2026-01-31\n", "2026-01-31", "due:2026-01-31"),
        ("- [ ] <!-- due:2026-01-01 --> a due:2026-01-31\n", "2026-01-31", "due:2026-01-31"),
        ("- [ ] [a `due:2026-01-01`](u) due:2026-01-31\n", "2026-01-31", "due:2026-01-31"),
        ('- [ ] <a href="due:2026-01-01"> due:2026-01-31\n', "2026-01-31", "due:2026-01-31"),
        # none
        ("- [ ] a `due:2026-01-31`\n", None, None),
        ("- [ ] a <!-- due:2026-01-31 -->\n", None, None),
        ("- [ ] a\n  <!-- due:2026-01-31 -->\n", None, None),
        ("- [ ] a\ndue:2026-01-31\n", None, None),
        ("- [ ] a\n\n  due:2026-01-31\n", None, None),
        ("- [ ] due:2026-01-31\n", None, None),
    ],
)
def test_the_first_due_token_of_the_text_counts(
    source: str, value: str | None, token: str | None
) -> None:
    """Only a valid token in the text itself is a due date; its bytes are known."""
    entry = parsed(source)[0]
    assert entry.task.due == value
    if token or not value:
        assert cut(source, entry.due_span) == token


def test_an_explicit_id_is_read() -> None:
    """The first ``omi:<id>`` of a line names the remote item, wherever it stands."""
    entries = parsed("- [ ] a omi:x1 omi:y2\n- [ ] (omi:Z-_9) b\n- [ ] omi:only\n- [ ] c\n")
    assert [(entry.explicit_id, entry.task.text) for entry in entries] == [
        ("x1", "a omi:y2"),
        ("Z-_9", "b"),
        (None, "omi:only"),
        (None, "c"),
    ]


@given(texts(), st.integers(0, 8), due_values(), styles())
def test_a_token_never_changes_the_text(text: str, at: int, value: str, style: due.Style) -> None:
    """Writing tokens between any two words, and taking them out, leaves the same text."""
    words = text.split(" ")
    at = min(at, len(words))
    noted = ["✅ 2026-01-01", "[created:: 2026-01-01]", "@done(2026-01-01)"]
    tokens = [due.token(value, style), *noted, "omi:a1"]
    for count in range(1, 6):
        line = " ".join([*words[:at], *tokens[:count], *words[at:]])
        assert said(f"- [ ] {line}\n") == [text]
    emptied = "  ".join(filter(None, (" ".join(words[:at]), " ".join(words[at:]))))
    assert said(f"- [ ] {emptied}\n") == [text]


@given(lines(), styles())
def test_the_style_of_a_token_is_no_edit(line: Line, style: due.Style) -> None:
    """The same date in another style makes the same task."""
    task = line.task
    token = due.token(task.due, style) if task.due else ""
    box = "x" if task.completed else " "
    assert parsed(f"- [{box}] {task.text} {token}\n")[0].task == task
    assert parsed(line.source)[0].task == task


@given(documents())
def test_documents_say_what_was_written_into_them(document: tuple[str, list[Task]]) -> None:
    """Tasks come back as written, in document order, with any bullet, mark and style."""
    source, tasks = document
    assert [entry.task for entry in parsed(source)] == tasks


# Where they stand


def test_lines_are_counted_as_editors_count_them() -> None:
    """LF, CRLF and a lone CR each end one line; front matter and BOM count."""
    source = "\ufeff---\nx: y\n---\r\n- [ ] a\r\n\r\n- [ ] b\r- [ ] c\u2028\n\n- [ ] d"
    assert [(entry.line, entry.task.text) for entry in parsed(source)] == [
        (4, "a"),
        (6, "b"),
        (7, "c"),
        (9, "d"),
    ]


def test_headings_make_the_section() -> None:
    """The section is the path of headings above; those inside items do not count."""
    source = (
        "- [ ] a\n# One\n- [ ] b\n### Deep `x` **y**\n- [ ] c\n## Two\n- [ ] d\n  # inner\n"
        "  - [ ] e\n\nSet\next\n===\n- [ ] f\n#\n- [ ] g\n\n> # Quoted\n> - [ ] h\n"
    )
    assert [entry.section for entry in parsed(source)] == [
        "",
        "One",
        "One > Deep x y",
        "One > Two",
        "One > Two",
        "Set ext",
        "",
        "Quoted",
    ]


def test_an_underline_inside_an_item_is_no_section() -> None:
    """A task with an underline is a heading to CommonMark and still a task, not a section."""
    entries = parsed("# One\n- [ ] a\n  ---\n- [ ] b\n")
    assert [(entry.task.text, entry.section) for entry in entries] == [("a", "One"), ("b", "One")]


def test_the_outline_has_what_stands_in_nothing_else() -> None:
    """Items of such lists and headings in quotes, too; a heading in an item is part of it."""
    source = b"- a\n  - b\n\n  # h\n- [ ] c\n\n> # q\n\n# t\ntext\n"
    assert parsed(source.decode())[0].section == ""
    assert blocks.outline(source, 0) == (
        0,
        [
            blocks.Block("List", Span(0, 26)),
            blocks.Block("Item", Span(0, 17)),
            blocks.Block("Item", Span(17, 26)),
            blocks.Block("BlockQuote", Span(26, 32)),
            blocks.Block("Heading", Span(28, 32), blocks.Heading(1, "q")),
            blocks.Block("Heading", Span(33, 37), blocks.Heading(1, "t")),
            blocks.Block("Paragraph", Span(37, 42)),
        ],
    )


def test_spans_are_the_bytes_of_box_text_and_token() -> None:
    """Every span is a byte range of the file, its BOM included."""
    source = "\ufeffé\n\n> 1. [✔️]  ä `b`\r\n>    due:2026-01-31 c <!-- d -->\n> e\n"
    (entry,) = parsed(source)
    assert cut(source, entry.span) == "1. [✔️]  ä `b`\r\n>    due:2026-01-31 c"
    assert cut(source, entry.box) == "✔️"
    assert [cut(source, span) for span in entry.text_spans] == ["ä `b`", "due:2026-01-31 c"]
    assert cut(source, entry.due_span) == "due:2026-01-31"
    assert entry.task == Task("ä `b` c", completed=True, due="2026-01-31")


@pytest.mark.parametrize(
    "source", ["- [ ] a <!-- b --><!-- c -->\n", "- [ ] a\n      <!-- b -->\n"]
)
def test_comments_at_the_end_stand_in_no_span(source: str) -> None:
    """Neither two that touch nor one in a line of its own leave anything of them."""
    (entry,) = parsed(source)
    assert entry.span == (0, 7)
    assert entry.text_spans == ((6, 7),)


@given(nasty_markdown())
@example("- [ ] a\0b\r\n")
@example("\ufeff---\n...")
@example(">\t- [ ] a\n>\t  b")
@example("- [ ] *✅ 2026-01-01*📅 2026-01-02*")
@example("- [ ] a <!-- c\n  d --> due:2026-01-31\n")
def test_spans_tell_the_truth(source: str) -> None:
    """Any UTF-8 is read without an error, and every span holds what it is said to hold."""
    check_spans(markdown.parse(source.encode()), source.encode())


@pytest.mark.campaign
@given(st.lists(nasty_markdown(), max_size=12).map("\n- [ ] ".join))
def test_spans_of_long_documents_tell_the_truth(source: str) -> None:
    """The same for files of many confusing lines."""
    check_spans(markdown.parse(source.encode()), source.encode())


def check_spans(document: Document, source: bytes) -> None:
    """Assert that spans ascend, nest, and hold what they are said to hold."""
    check_order(document, source)
    at = 0
    for entry in document.entries:
        assert entry.box
        assert at <= entry.span.start < entry.box.start < entry.box.end < entry.span.end
        assert source[entry.span.start : entry.span.start + 1] in b"-+*0123456789"
        assert source[entry.box.start - 1 : entry.box.start] == b"["
        assert source[entry.box.end : entry.box.end + 1] == b"]"
        mark = source[entry.box.start : entry.box.end].decode().rstrip("\ufe0e\ufe0f")
        assert mark.removeprefix("\\") in (
            markdown.MARKS.done if entry.task.completed else markdown.MARKS.open + "\t"
        )
        at = entry.box.end + 1
        for span in entry.text_spans:
            assert at < span.end
            assert at <= span.start < span.end <= entry.span.end
            assert not blocks.LINE_END.search(source, span.start, span.end)
            at = span.end
        assert at == entry.span.end
        assert entry.line == 1 + len(blocks.LINE_END.findall(source, 0, entry.span.start))
        check_words(source, entry)


def check_words(source: bytes, entry: Entry) -> None:
    """Assert that the text's words stand in its spans, in order, and so does the token."""
    joined = " ".join(source[start:end].decode() for start, end in entry.text_spans)
    assert entry.task.text == entry.task.text.strip() != ""
    letters = iter("".join(joined.split()))
    assert all(letter in letters for letter in "".join(entry.task.text.split()))
    if entry.due_span:
        assert entry.text_spans[0].start <= entry.due_span.start < entry.due_span.end
        assert entry.due_span.end <= entry.span.end
        token = source[entry.due_span.start : entry.due_span.end].decode().replace(">", " ")
        found = due.find(token).token
        assert found
        assert found.value == entry.task.due


@given(nasty_markdown())
def test_boxes_agree_with_the_block_parser(source: str) -> None:
    """Every GFM task that pyromark marks is seen, and no other ``[ ]`` or ``[x]`` is taken."""
    data = source.encode()
    begin = blocks.begin(data)
    body = blocks._front_matter_end(data, begin)
    options = pyromark.Options.ENABLE_TASKLISTS
    marked = {
        body + reach["start"] + 1
        for event, reach in pyromark.events_with_range(data[body:].decode(), options=options)
        if isinstance(event, dict) and "TaskListMarker" in event
    }
    known = {item.box.start for item in blocks.read(data, begin) if isinstance(item, blocks.Item)}
    taken = {
        entry.box.start
        for entry in markdown.parse(data).entries
        if entry.box and cut(source, entry.box) in {" ", "\t", "x", "X"}
    }
    assert taken <= marked <= known


# Front matter


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("---\n- [ ] a\n---\n- [ ] b\n", ["b"]),
        ("---\n- [ ] a\n...\n- [ ] b\n", ["b"]),
        ("+++\n- [ ] a\n+++\n- [ ] b\n", ["b"]),
        ("--- \t\r\n- [ ] a\r\n---  \r\n- [ ] b\r\n", ["b"]),
        ("---\r- [ ] a\r---\r- [ ] b\r", ["b"]),
        ("\ufeff---\n- [ ] a\n---\n- [ ] b\n", ["b"]),
        ("---\n---\n- [ ] b\n", ["b"]),
        ("---\n- [ ] a\n---", []),
        # none: not at the start, not closed, closed otherwise
        ("\n---\n- [ ] a\n---\n- [ ] b\n", ["a", "b"]),
        ("- [ ] a\n\n---\n- [ ] b\n---\n- [ ] c\n", ["a", "b", "c"]),
        ("---\n- [ ] a\n\n- [ ] b\n", ["a", "b"]),
        ("---\n- [ ] a\n+++\n- [ ] b\n", ["a", "b"]),
        ("+++\n\n- [ ] a\n\n---\n- [ ] b\n", ["a", "b"]),
        ("----\n- [ ] a\n---\n- [ ] b\n", ["a", "b"]),
        ("---\n- [ ] a\n----\n- [ ] b\n", ["a", "b"]),
        ("--- x\n- [ ] a\n---\n- [ ] b\n", ["a", "b"]),
    ],
)
def test_front_matter_is_skipped(source: str, expected: list[str]) -> None:
    """Only a closed block at the very start, after a BOM, is front matter."""
    assert said(source) == expected
    check_spans(markdown.parse(source.encode()), source.encode())


# What a person is told


def test_malformed_and_second_due_tokens_are_reported() -> None:
    """The warning names the line, quotes the token and says what to write."""
    source = "# h\n- [ ] a due:2026-02-30\n- [ ] b due:2026-01-31 📅 2026-02-01\n"
    assert warned(source) == [
        (2, f"“due:2026-02-30” {due.NOT_A_DATE}"),
        (3, f"“📅 2026-02-01” {due.SECOND}"),
    ]
    assert said(source) == ["a due:2026-02-30", "b 📅 2026-02-01"]


def test_due_dates_of_another_program_have_one_warning_for_all_days() -> None:
    """A board has one on each card; as code or in a link it is text."""
    source = "- [ ] a @{2026-07-10}\n- [ ] b @{2026-07-11} [[c]]\n- [ ] d `@{2026-07-10}`\n"
    assert warned(source) == [(line, f"“@{{…}}” {due.NOT_OURS}") for line in (1, 2)]
    assert said(source)[:2] == ["a @{2026-07-10}", "b @{2026-07-11} [[c]]"]
    assert warned("- [ ] a 📅 [[2026-07-10]]\n") == [(1, f"“📅 [[…]]” {due.NOT_OURS}")]
    assert warned("- [ ] a [deadline:: 2026-07-10](u) [[2026-07-10]] [[due:x]]\n") == []
    assert markdown.legible("a @{2026-07-10}") == "a @{2026-07-10}"


@pytest.mark.parametrize("sign", ["📆 ", "🗓 ", "🗓\ufe0f"])
def test_other_calendars_are_told_of(sign: str) -> None:
    """Obsidian's Tasks reads them as due dates; in an address they are text."""
    source = f"- [ ] a {sign}2026-07-10\n- [ ] b {sign}2026-07-11\n- [ ] c `{sign}2026-07-10`\n"
    assert warned(source) == [(line, f"“{sign}…” {due.NOT_OURS}") for line in (1, 2)]
    assert said(source)[0] == f"a {sign}2026-07-10"
    for text in (f"a {sign}2026-07-10", "b 📅 Dec 5"):
        assert markdown.legible(text) == text
    assert warned("- [ ] b 📅 Dec 5\n") == [(1, f"“📅 Dec 5” {due.NOT_OURS}")]


def test_a_long_malformed_token_is_quoted_short() -> None:
    """A warning stays readable, and quotes code and links as they are."""
    ((line, message),) = warned(f"- [ ] due:{'x' * 999}`y`\n")[:1]
    assert line == 1
    assert message.startswith("“due:xxx")
    assert len(message) < 150
    for count, quoted in ((56, "x" * 56), (57, "x" * 55 + "…")):
        ((_, message),) = warned(f"- [ ] a due:{'x' * count}\n")
        assert message == f"“due:{quoted}” {due.NOT_A_DATE}"


def test_a_text_too_long_for_the_server_is_reported() -> None:
    """500 code points are fine; one more is told, once, and the text stays whole."""
    fine = "é" * 500
    assert warned(f"- [ ] {fine} 📅 2026-01-31\n") == []
    ((line, message),) = warned(f"\n- [ ] {fine}x\n")
    assert line == 2
    assert message == (
        "this text has 501 characters and Omi takes 500:"
        " it is sent cut at a word, with … at its end, and stays whole in the file"
    )
    assert said(f"- [ ] {fine}x\n") == [fine + "x"]


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("---\n- [ ] a\n---\n", 1, "front matter holds a line that looks like a task"),
        ("---\n- [ ] a\n* [x] b\n---\n", 1, "front matter holds 2 lines"),
        ("x\n<div>\n- [ ] a\n</div>\n", 2, "HTML block holds a line"),
        ("<pre>\n\n1. [/] a\n", 1, "HTML block holds a line"),
        ("x\n\n<!-- oops\n\n- [ ] a\n- [ ] b\n", 3, "comment is opened here and never closed"),
        ("<div><!-- a --> <!-- oops\n- [ ] a\n\n-->\n", 1, "HTML block holds a line"),
        ("> <!--\n> - [ ] a\n", 1, "comment is opened here and never closed"),
        ("- [ ] a\n  <div>\n  - [ ] b\n", 2, "HTML block holds a line"),
        ("<div>\n<!-- a -->\n- [ ] x\n<!-- b -->\n</div>\n", 1, "HTML block holds a line"),
        ("x\n\n```\n- [ ] a\n", 3, "code block is opened here and never closed"),
        ("- [ ] x\n  ~~~\n  - [ ] a\n", 2, "code block is opened here and never closed"),
        ("```\n- [ ] a\n```X\n", 1, "code block is opened here and never closed"),
        ("~~~\n- [ ] a\n```", 1, "code block is opened here and never closed"),
        ("````\n- [ ] a\n```\n", 1, "code block is opened here and never closed"),
        ("~~~\n- [ ] a\n```\n \n", 1, "code block is opened here and never closed"),
        ("<div>\n<!-->\n- [ ] a\n</div>\n", 1, "HTML block holds a line"),
        ("# H\n    - [ ] a\n    - [x] b\n- [ ] c\n", 2, "make code of 2 lines that look like"),
        ("\t- [ ] a\r\n", 1, "a tab make code of a line that looks like a task; indent it as"),
        ("- [ ] a\n\n        - [ ] b\n", 3, "four blanks or a tab make code"),
    ],
)
def test_what_hides_tasks_is_reported(source: str, line: int, words: str) -> None:
    """Lines that look like tasks and are swallowed would read as removals: say so."""
    ((where, message),) = warned(source)
    assert where == line
    assert words in message


@pytest.mark.parametrize(
    "line",
    [
        "- [] a", "-[ ] a", "1.[x] a", "- [ ]a", "- [x]a", "2) [X]ä", "- [ x] a", "- [x ] a",
        "- [  ] a", "> - [] a", "  * [] a", "[ ] a", "> [x] a", "• [ ] a", "— [x] a", "\\- [ ] a",
        "** [X] a", "🔲 [ ] a", "•  [ ] a", "-\u00a0[ ] a", "- [ ]\u00a0a",
        "- [x\u00a0] a", r"- \[ \] a", r"* \[x\] a", r"1. \[ ] a",
        "-[/] a", "- [/]a", "1.[!] a", "- [✓]a", "-\u00a0[~] a", "• [?] a", "[/] a", "-[-] a",
        r"- \[/\] a", r"- \[\*\] a", r"+ \[>] a", "- [/]\u00a0a", "~~- [ ] a~~",
        r"\- \[ \] a", r"\* \[x] a", r"1\. \[ \] a", "-\u00a0[\u00a0]\u00a0a", "- [\u00a0]\u00a0a",
        "–[ ] a", "•[/] a", "-[✔\ufe0f] a", "・ [ ] a", "－ [ ] a", "＊ [x] a", "▪\ufe0f [ ] a",
    ],
)  # fmt: skip
def test_a_box_that_is_nearly_one_is_reported(line: str) -> None:
    """Where it stands; the tasks around it are tasks all the same."""
    ((where, message),) = warned(f"- [ ] x\n\n{line}\n\n- [ ] y\n")
    assert where == 3
    assert message == (boxes.NO_BOX)
    assert said(f"- [ ] x\n\n{line}\n\n- [ ] y\n") == ["x", "y"]


@pytest.mark.parametrize(
    "line",
    [
        "-[ ] a",
        "*[x] a",
        "1.[ ] a",
        "-[] a",
        "- []a",
        "  -[ ] a",
        "[ ] a",
        "  [x] a",
        "- [ ]a",
        "• [ ] a",
        "  – [x] a",
        "-\u00a0[ ] a",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "  \n", "\\\n"])
def test_a_box_that_is_nearly_one_is_reported_below_a_task_too(line: str, end: str) -> None:
    """There it is the rest of a paragraph: as a task that was known it would be missed."""
    source = f"- [ ] x{end}{line}{end}{line}{end}- [ ] y\n"
    assert [where for where, _ in warned(source)] == [2, 3]
    ((_, below),) = warned(f"- [ ] x{end}{line}{end}- [ ] y\n")
    ((_, alone),) = warned(f"-[ ] a{end}")
    assert below == alone


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("- [ ] t\n-\n\t- [x]y\n", 3),
        ("- [ ] t\n\n>\t-\n>\t\t- [] y\n", 4),
        ("- [ ] t\n\f-[ ] y\n", 2),
    ],
)
def test_a_box_that_is_nearly_one_is_reported_where_it_stands(source: str, line: int) -> None:
    """In the line of its bullet, whatever is before that."""
    assert [where for where, _ in warned(source)] == [line]


@pytest.mark.parametrize("blank", ["\u3000", "\u00a0", " \u2009"])
def test_a_box_with_a_blank_of_another_kind_is_reported(blank: str) -> None:
    """As some keyboards type it; nobody sees the difference."""
    assert warned(f"- [ ] x\n- [{blank}] a\n") == [(2, boxes.NO_BLANK)]


def test_a_box_that_is_nearly_one_is_reported_in_prose_too() -> None:
    """A bullet without a space is text to Markdown, on each line of it."""
    assert [where for where, _ in warned("Groceries:\n-[ ] a\n-[x] b\n[ ] c\n\n> -[ ] d\n")] == [
        2, 3, 4, 6,
    ]  # fmt: skip
    assert [where for where, _ in warned("* * *\n-[ ] a\n")] == [2]
    assert [where for where, _ in warned("> To buy:\n> [ ] a\n> -[x] b\n")] == [2, 3]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("- [ ] a\n\t\t- [ ] b\n- [ ] c\n", [2]),
        ("- [ ] a\n      - [ ] b\n      1. [x] c\n", [2, 3]),
        ("- a\n      * [ ] b\n", [2]),
        ("To buy:\n    - [ ] a\n    + [/] b\n", [2, 3]),
        ("> - [ ] a\n>       - [ ] b\n", [2]),
        ("1. [ ] a\n   - [ ] b\r         - [ ] c\r\n", [3]),
    ],
)
def test_a_task_that_the_text_above_it_swallows_is_reported(source: str, lines: list[int]) -> None:
    """Too deep for a list of its own: Markdown takes it for more of that text."""
    assert warned(source) == [(line, boxes.TOO_DEEP) for line in lines]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("- [ ] a\n      - b\n\t\t* [c](d)\n- [ ] e\n", [2, 3]),
        ("> 1. [x] a\n>        + b\n", [2]),
        ("- [ ] a due:2026-01-31\n  b\r\n          -  c\r\n", [3]),
    ],
)
def test_a_note_that_the_text_above_it_swallows_is_reported(source: str, lines: list[int]) -> None:
    """It would else be sent as words of the task; a note that is less deep is none of them."""
    assert warned(source) == [(line, boxes.NOTE_TOO_DEEP) for line in lines]


@pytest.mark.parametrize(
    "below",
    [
        "  - b",
        "     - b",
        "      -b",
        "      b - c",
        "      1. b",
        "      ---",
        "\n      - b",
        "- b",
    ],
)
def test_no_other_line_below_a_task_is_taken_for_a_note_in_its_text(below: str) -> None:
    """Notes of their own, wrapped words and rules are as they should be."""
    assert warned(f"- [ ] a\n{below}\n") == []


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("To buy:\n2. [ ] a\n", 2),
        ("To buy:\n   2. [ ] a\n", 2),
        ("- a\n  10) [x] b\n", 2),
        ("> To buy:\n> 3. [ ] a\n", 2),
    ],
)
def test_a_number_other_than_one_does_not_begin_a_list_within_a_text(
    source: str, line: int
) -> None:
    """It would be one behind a blank line."""
    assert warned(source) == [(line, boxes.NO_BREAK)]
    first, _, rest = source.partition("\n")
    assert warned(f"{first}\n{'>' * source.startswith('>')}\n{rest}") == []


@pytest.mark.parametrize(
    "source",
    [
        "- [ ] t\n- [x](http://a) b\n- [ ](http://a)\n- [x][y] z\n- [](a) b\n- [x]: y\n",
        "- [ ] t\n- [ ]\n- []\n- [1] a\n- [ab] b\n- [a]\n- [ ] ",
        "- [ ] t\n- [*](http://a) b\n- [!][y] z\n- [?]: y\n-[o] a\n- [o]a\n",
        "- [ ] t\n\n[*] starts\n[!] fails\n[-] ends\n[?] b\n[~] c\n[>] d\n",
        "- [ ] t\n\n===== [x] a\n\n[ ] \nb\n",
        "- [ ] t\n\na -[ ] b\n\n[a] b\n\n[x]: /u\n\n[]\n\n-[a] b\n\n-[ ]\n\n| [ ] | b |\n",
        "- [ ] t\n  a - [ ] b\n      - [a] c\n      -[1] f\n",
        "```\n- [] a\n```\n<!-- - [ ]a -->\n",
        "---\ntitle: x\n---\n- [ ] a\n",
        "<div>\ntext\n- plain\n- [1] text\n</div>\n",
        "<!-- - [ ] put away on purpose -->\n",
        "<!--\n- [ ] put away\n-->\n",
        "<!-- never closed, hides nothing\n",
        "<div>\n<!--\n- [ ] a\n-->\n<p>\n<!--\n- [ ] b\n-->\n</div>\n",
        "```\n- [ ] an example\n```\n",
        "~~~~ md\n- [ ] an example\n~~~~~\n",
        "> ```\n> - [ ] an example\n> ```\n",
        "  ```\r\n- [ ] an example\r\n  ```  \r\n\r\n",
        "- [ ] x\n  ```\n  - [ ] an example\n  ```\n- [ ] y\n",
        "```\nno task\n",
        "- [ ] a `due:x`\n",
    ],
)
def test_what_is_meant_is_not_reported(source: str) -> None:
    """Closed comments, closed code and blocks without tasks are nobody's mistake."""
    assert [one for one in warned(source) if one[1] != blocks.NO_TASK] == []


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("- milk\n- bread\n", 1),
        ("\ufeff# Shopping\n\nsoon:\n\n1. milk\n2) bread\n", 5),
        ("> * quoted\r\n", 1),
        ("---\ntags:\n  - home\n---\n\n- [ ]\n", 6),
        ("- [1] no box\n", 1),
    ],
)
def test_a_list_without_a_task_is_told_of(source: str, line: int) -> None:
    """Someone who does not know the box yet would else read that all is in sync."""
    ((where, message),) = warned(source)
    assert (where, message) == (line, blocks.NO_TASK)
    assert warned(f"{source}\n\n- [ ] task\n") == []


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("- [ ]x call Bob", "call Bob"),
        ("- []x call Bob", "call Bob"),
        ("- [ ]] call Bob", "call Bob"),
        ("- [ ]- call Bob", "call Bob"),
        ("- [ ]call Bob", "call Bob"),
        ("- [ ]I call Bob", "I call Bob"),
        ("- [ ]2 calls", "2 calls"),
    ],
)
def test_a_slip_behind_a_box_is_no_word(line: str, text: str) -> None:
    """The task that the line was is known by its words."""
    (notice,) = markdown.parse(f"{line}\n- [ ] a\n".encode()).notices
    assert notice.unread == Entry(Task(text), 1)


@pytest.mark.parametrize(
    "mark", ["o", "v", ".", "☑", "⏳", "✅", "☑\ufe0f", "\\#", "х", "\\"]
)  # the last: Cyrillic
def test_a_mark_that_nobody_configured_is_told_of(mark: str) -> None:
    """With what was said in the line, which may have been a task before."""
    sign = (mark.removeprefix("\\") or mark)[0]
    for before in ("", "- [ ] a\n> 1. "):
        source = f"{before or '* '}[{mark}] call Bob 📅 2026-05-01 <!-- soon -->\n"
        (notice,) = markdown.parse(source.encode()).notices
        assert notice.line == source.count("\n")
        assert notice.message == boxes.NO_MARK
        assert notice.unread == Entry(Task("call Bob", due="2026-05-01"), notice.line)
        marks = markdown.Marks(open=f" {sign}")
        assert markdown.parse(source.encode(), marks).notices == ()


@pytest.mark.parametrize(
    "line",
    [
        "- [] {}",
        r"- \[ \] {}",
        "-[ ] {}",
        "- [ ]{}",
        "- [  ] {}",
        "- [\u00a0] {}",
        "- [\u3000] {}",
        "• [ ] {}",
        "[ ] {}",
    ],
)
def test_what_was_meant_is_known_of_a_line_that_is_not_read(line: str) -> None:
    """With its words and its date, below its heading: it may have been a task before."""
    source = f"# Home\n\n{line.format('über uns due:2026-05-01')}\r\n\n- [ ] b\n"
    (notice,) = markdown.parse(source.encode()).notices
    assert notice.unread == Entry(Task("über uns", due="2026-05-01"), 3, "Home")
    swallowed = f"- [ ] a\n      {line.format('b')}\n" if line[0] == "-" else ""
    for notice in markdown.parse(swallowed.encode()).notices:
        assert notice.unread in {None, Entry(Task("b"), 2)}


@pytest.mark.parametrize("line", ["-[/] a", "- [/]a", "• [/] a", "[/] a", r"- \[/\] a"])
def test_a_box_with_a_mark_that_nobody_configured_is_nearly_none(line: str) -> None:
    """With blanks around it, it would be none either."""
    marks = markdown.Marks(open=" ")
    assert markdown.parse(f"- [ ] x\n\n{line}\n".encode(), marks).notices == ()


@pytest.mark.parametrize(
    "line", ["- [] {}", "-[ ] {}", "- [/]{}", r"- \[ \] {}", "[ ] {}", "-[x] {}"]
)
@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("call Bob\n  about the lease", "call Bob about the lease"),
        ("call Bob  \n\tabout\\\r\n   the lease\nor not", "call Bob about\\ the lease"),
        ("call Bob\n\n  a note", "call Bob"),
        ("call Bob\n  - [ ] first\n  - [ ] then", "call Bob"),
        ("call Bob\n  > and Ann", "call Bob"),
        ("call Bob <!-- id 7 -->", "call Bob"),
        ("call Bob <!-- id\n  7 --> <!-- x -->", "call Bob"),
        ("call Bob `due:2026-05-01`", "call Bob `due:2026-05-01`"),
        ("call Bob\n  due:2026-05-01", "call Bob"),
        ("call Bob\n      > he said\n      # 1\n", "call Bob > he said # 1"),
    ],
)
def test_what_was_meant_is_known_with_the_lines_that_go_on(
    line: str, words: str, text: str
) -> None:
    """As it would read with its box put right, notes and comments left out."""
    for before in ("", "- [ ] x\n", "\ufeff# H\n\n"):
        found = markdown.parse(f"{before}{line.format(words)}\n- [ ] y\n".encode()).notices
        right = markdown.parse(f"- [ ] {words}\n- [ ] y\n".encode()).entries[0].task
        unread = [notice.unread.task for notice in found if notice.unread is not None]
        assert unread[0] == right
        assert right.text == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("- [ ] x\n\n  -[ ] call Bob\n  today\n", "call Bob"),  # a line beside it, not below
        ("- [ ] x\n\n  -[ ] call Bob\n   today\n", "call Bob today"),
        ("-[ ] a" + "\n  b" * words.MORE_LINES, "a" + " b" * words.MORE_LINES),
        ("-[ ] a" + "\n  b" * (words.MORE_LINES + 1), "a" + " b" * words.MORE_LINES),
    ],
)
def test_what_goes_on_with_it_is_deeper_and_no_book(source: str, text: str) -> None:
    """As with a task; many further lines are none of it."""
    (notice,) = markdown.parse(source.encode()).notices
    assert notice.unread is not None
    assert notice.unread.task.text == text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("1.[ ] a\n      - note", "a"),  # beside the words of a wider bullet, not in them
        ("10. [ ]a\n      - note", "a"),
        ("-   \\[ ] a\n      > q", "a"),
        ("1\\. [ ] a\n      b", "a b"),
        ("1.\u00a0[ ] a", "a"),
        ("- [ ]a\n      - note", "a - note"),
        ("-      [ ]a", "a"),  # so many blanks would make code of it
        ("10.\t\t[ ]a\n  b", "a b"),
        ("\\-     [ ] a", "a"),
    ],
)
def test_what_was_meant_is_read_behind_its_own_bullet(line: str, text: str) -> None:
    """Its width decides what goes on with it."""
    notices = markdown.parse(f"{line}\n\n- [ ] z\n".encode()).notices
    assert [one.unread.task.text for one in notices if one.unread is not None] == [text]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "- [ ] call <!--\n  [ ] b\n  --> today\n  and more\n",
            "call <!-- [ ] b --> today and more",
        ),
        ("- [ ] run `grep\n  -[ ] foo` now\n", "run `grep -[ ] foo` now"),
        ("- [ ] нажать\n  на [x] в углу\n", "нажать на [x] в углу"),
        ("- [ ] press\n  ⵙⵙ [x] b\n", "press ⵙⵙ [x] b"),
        ("- [ ] take 々\n  № [x] µ [x] b\n", "take 々 № [x] µ [x] b"),
        ("- [ ] swap a\n  -> [x] in the form\n", "swap a -> [x] in the form"),
        ("- [ ] a\n  [[ [x] b\n", "a [[ [x] b"),
    ],
)
def test_a_text_goes_on_where_no_other_task_was_meant(source: str, text: str) -> None:
    """Code, comments and words are none, and nobody is told of them."""
    assert said(source) == [text]
    assert warned(source) == []


def test_a_mark_that_is_none_here_ends_no_text() -> None:
    """What nobody is told of is part of the text."""
    marks = markdown.Marks(done="x", open=" ")
    assert said("- [ ] see\n  -[?] b\n", marks) == ["see -[?] b"]


def test_a_child_whose_box_is_damaged_is_no_part_of_its_parent() -> None:
    """What was sent of that would be its words and those of another task."""
    for child in ("-[ ] b", "• [ ] b", r"\- [ ] b", "[ ] b", "-[] b"):
        source = f"- [ ] a\n  and more\n  {child}\n  c\n- [ ] d\n"
        assert said(source) == ["a and more", "d"]


def test_what_was_meant_ends_where_another_task_was_meant() -> None:
    """A formatter that breaks a box breaks those below it, too."""
    notices = markdown.parse(b"-[ ] call Bob\n  today\n  -[ ] first\n    this\n").notices
    found = [notice.unread and notice.unread.task.text for notice in notices]
    assert found == ["call Bob today", "first this"]


def test_what_was_meant_is_known_in_a_quote_too() -> None:
    """A line that stands in another quote does not go on with it."""
    source = "> - [] call Bob\n>   about it\n> > or not\n\n- [ ] y\n"
    (notice,) = markdown.parse(source.encode()).notices
    assert notice.unread == Entry(Task("call Bob about it"), 1)


def test_a_task_that_is_struck_out_with_its_box_is_known() -> None:
    """Words that are struck out alone are those of the task."""
    (notice,) = markdown.parse(b"~~- [ ] call Bob~~\n\n- [ ] y\n").notices
    assert notice.unread == Entry(Task("call Bob"), 1)
    (notice,) = markdown.parse(b"-[ ] ~~call Bob~~\n\n- [ ] y\n").notices
    assert notice.unread == Entry(Task("~~call Bob~~"), 1)


def test_what_is_told_of_a_line_says_more_than_of_the_list() -> None:
    """A box that is nearly one is the reason that there is no task."""
    assert warned("- [] milk\n- bread\n") == [(1, boxes.NO_BOX)]


@pytest.mark.parametrize(
    "words",
    [
        "milk and bread", "TODO: milk", "** TODO milk", "(A) milk +shop @town", "a,b\nmilk,1",
        '{"todos": ["milk"]}', "| a | b |\n|---|---|\n| [ ] | milk |", "☐ milk", "☑ milk",
        "⬜ milk", "□ milk", "• milk", "– milk", "-Milk", "a) Milk", "(x) Milk",
        "```\n- [ ] milk\n```", "<!--\n- [ ] milk\n-->", '<input type="checkbox"> milk',
        "> [!todo] milk", "    milk", "[a]: /milk", "> a\n> # B", "%% a %%\nb", "a\n%% b %%",
        "+++\nmilk",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "before",
    [
        "",
        "\ufeff",
        "---\ntags: a\n---\n\n",
        "# A\r\n\r\n> ## B\r\n>\r\n\r\nC\r\n---\r\n* * *\r\n\r\n",
    ],
)
def test_words_without_a_task_are_told_of(before: str, words: str) -> None:
    """At the first line that is neither blank nor a heading, a rule or front matter."""
    assert warned(f"{before}{words}\n") == [(before.count("\n") + 1, blocks.NO_TASK)]


@pytest.mark.parametrize(
    "source",
    [
        "", "\ufeff \n\t\n>\n", "# Shopping\n", "A\n===\n\n> ## *B*\n\n##\n", "* * *\n",
        "---\ntags: a\n---\n# A\n", "## A\n\n## B\n\n%% kanban:settings\n```\n{}\n```\n%%\n",
    ],
)  # fmt: skip
def test_a_file_that_says_nothing_is_no_mistake(source: str) -> None:
    """It may get its first task later, as a board with its settings at the end."""
    assert warned(source) == []


# Size


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("- " * 100_000 + "[ ] a\n  b\n", 1),
        (">" * 100_000 + "- [ ] a\n" + ">" * 100_000 + "   b\n", 1),
        ("".join("  " * depth + "- [ ] a\n" for depth in range(1000)), 1000),
        ("- [ ] a\n" + "  word due:x ✅ 2026-01-01 `c` <!-- d -->\n" * 10_000, 1),
        ("- [ ] a " + "(" * 50_000 + "due:2026-01-31" + ")" * 50_000, 1),
        ("- [ ] a " + "<!-- c -->" * 20_000, 1),
        ("- [ ] a\n" + "  \f\n" * 30_000, 1),
        ("- [ ] a: " + "[[" * 50_000 + "://" * 50_000 + " " * 50_000 + "x", 1),
        ("- [ ] a " + "[due:: @due( 📅 9.9 " * 10_000, 1),
        ("<div>" + "<!-- \n" * 50_000, 0),
        ("# h\n- [ ] a\n" * 10_000, 10_000),
        ("- [ ] a due:2026-01-31\n" * 10_000, 10_000),
    ],
    ids=[
        "bullets", "quotes", "nested", "paragraph", "brackets", "comments", "feeds", "links",
        "openings", "html", "headings", "tasks",
    ],
)  # fmt: skip
def test_hostile_and_huge_files_are_read(source: str, count: int) -> None:
    """No nesting, paragraph or run of signs exhausts stack or time; all tasks are found."""
    document = markdown.parse(source.encode())
    assert len(document.entries) == count
    check_order(document, source.encode())


# Files as people have them


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "everyday.md",
            [
                ("Home", " ", "Buy milk and eggs", "2026-01-31"),
                ("Home", "x", "Call the plumber", None),
                (
                    "Home",
                    " ",
                    "Plan the holiday, which is a longer story and goes on in this line",
                    None,
                ),
                ("Home", " ", "Book the train", "2026-02-14T17:00"),
                ("Home", "X", "Ask Grandma about the dog", None),
                ("Home", " ", 'Read "Middlemarch"', None),
                ("Home > Garden", " ", "Prune the roses", "2026-03-01"),
                ("Home > Garden", "-", "Sow tomatoes", None),
                ("Home > Garden", " ", "Repair the fence", None),
                ("Home > Garden", " ", "Send the form back", "2026-02-01"),
                ("Home > Garden", " ", "and keep a copy", None),
                ("Work", " ", "Review `due:2026-01-01` handling", None),
                (
                    "Work",
                    " ",
                    'See [the plan](https://example.com/due:2026-01-01 "due:2026-01-01")',
                    None,
                ),
            ],
        ),
        (
            "obsidian.md",
            [
                ("Inbox", " ", "Renew passport 🔼", "2026-01-31"),
                ("Inbox", "x", "Pay rent 🔁 every month", "2026-01-01"),
                ("Inbox", "-", "Learn the accordion", None),
                ("Inbox", "/", "Write the [[Report]] ⏳ 2026-01-20", "2026-01-25"),
                ("Inbox", "!", "Back up the laptop #it", None),
                ("Inbox", "?", "Ask about [[2026-01-31]]", None),
                ("Inbox", ">", "Later", None),
            ],
        ),
        (
            "windows.md",
            [
                ("Büro", " ", "Müller anrufen wegen der Rechnung", "2026-01-31"),
                ("Büro", "x", "Nummer suchen", None),
                ("Büro", "✔️", "Post öffnen", None),
            ],
        ),
    ],
)
def test_real_files_are_understood(
    name: str, expected: list[tuple[str, str, str, str | None]]
) -> None:
    """Whole files: section, mark, text and due date of every task, without a warning."""
    source = (DATA / name).read_bytes()
    document = markdown.parse(source)
    assert [
        (entry.section, cut(source.decode(), entry.box), entry.task.text, entry.task.due)
        for entry in document.entries
    ] == expected
    assert document.notices == ()
    check_spans(document, source)


def test_fenced_code_is_found_as_markdown_has_it() -> None:
    """With its fences, up to the end of the file where it is never closed; no other code."""
    source = b"\xef\xbb\xbfa\n```\nb\n```\n\n    c\n\n`` ` ``\n~~~\nd\n"
    assert [source[start:end] for start, end in markdown.fenced(source)] == [
        b"```\nb\n```",
        b"~~~\nd\n",
    ]
