"""Removed tasks whose words still stand in the file are told, and no others."""

from __future__ import annotations

from datetime import UTC, time

import pytest

from omisync.core import markdown, plan, remains, toml
from omisync.core.merge import Encoding
from omisync.core.model import Base, Document, Fields, Link, Task

PUSH = plan.Policy(Encoding(UTC, time(9)))


def told(
    document: Document, *texts: str, completed: bool = False, said: str = remains.MARKDOWN
) -> list[int]:
    """Return the lines that are told of when tasks with these texts were in the file before."""
    links = [
        Link(
            f"k{n}", f"r{n}", Task(text, completed), "", n,
            Base(Task(text, completed), Fields(text, completed)),
        )
        for n, text in enumerate(texts)
    ]  # fmt: skip
    decided = plan.make(
        plan.Observation(document.entries, links, 0.0), PUSH, iter(map(str, range(99)))
    )
    notices = remains.notices(document, decided)
    assert {notice.message for notice in notices} <= {said}
    return [notice.line for notice in notices]


@pytest.mark.parametrize(
    "line",
    [
        "- [1] write texts", "– [•] write texts", "☐ write texts",
        "a. [ ] write texts", "- write texts", "write texts", "> write texts, soon",
        "- [xx] write texts", "write texts, then write texts",
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_words_that_are_no_task_any_more(line: str, end: str) -> None:
    """Behind another bullet, in a box that is none, without either."""
    source = end.join(["# Work", "- [ ] a", "", "# Phase 2", "", line, "", "- [ ] b", ""])
    assert told(markdown.parse(source.encode()), "a", "write texts", "b") == [6]


@pytest.mark.parametrize(
    "source",
    [
        "- [ ] a\n",
        "- [ ] a\n\nI shall write texts\n",
        "- [ ] a\n\nwrite textsomething\n",
        "- [ ] write texts\n",
        "- [ ] a\n  write\n  texts\n",
        "- [ ] a and write texts\n",
        "- [ ] a\n- [ ] write texts again\n",
        "- [ ] write texts again\n",
    ],
)
def test_what_went_is_not_told(source: str) -> None:
    """Words within other words, and those of a task: that one is still there, or another."""
    assert told(markdown.parse(source.encode()), "write texts", "write texts") == []


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("- [ ] buy some milk - [ ] write texts\n", 1, remains.JOINED),
        ("- [ ] b\n- [x] buy some milk 2. [ ] write texts due:2026-01-01\n", 2, remains.JOINED),
        ("- [ ] buy some milk\n  write texts\n", 2, remains.JOINED),
        ("- [ ] buy some milk\n  * write texts, too\n", 2, remains.MARKDOWN),
        ("It says - [ ] write texts\n", 1, remains.MARKDOWN),
    ],
)
def test_a_task_that_became_part_of_another(source: str, line: int, said: str) -> None:
    """Lines were joined, or a box and its bullet went."""
    document = markdown.parse(source.encode())
    assert told(document, "b", "buy some milk", "write texts", said=said) == [line]


@pytest.mark.parametrize(
    "line",
    ["- []", "– [ ]", "-\u00a0[ ]", "\\- [ ]", "      - [ ]"],
)
def test_what_is_told_already_is_not_told_twice(line: str) -> None:
    """A box that is nearly one has its own warning."""
    document = markdown.parse(f"- [ ] a\n{line} write texts\n".encode())
    assert [notice.line for notice in document.notices] == [2]
    assert told(document, "a", "write texts") == []


def test_a_finished_task_is_not_looked_for() -> None:
    """It changes nothing in Omi that its line is gone."""
    assert told(markdown.parse(b"- write texts\n"), "write texts", completed=True) == []


@pytest.mark.parametrize("head", ["[[later]]", "[later]\n# [[todo]]"])
@pytest.mark.parametrize("key", ["description", "text", "title", '"text"', "# text", "\ttext"])
def test_a_table_that_is_no_task_is_told(head: str, key: str) -> None:
    """In TOML a table of another name, or one whose head is a comment."""
    source = f'[[todo]]\ntext = "a"\n\n{head}\n{key} = "write texts"\n'
    last = source.count("\n")
    assert told(toml.parse(source.encode()), "a", "write texts", said=remains.TOML) == [last]


def test_each_of_many_is_looked_for_once_and_only_so_many() -> None:
    """Twenty are enough to look at the file."""
    texts = [f"task {n}" for n in range(30)]
    source = "".join(f"- {text}\n" for text in [*texts, "[ ] another"])
    assert told(markdown.parse(source.encode()), *texts) == [*range(1, remains.AT_MOST + 1)]
