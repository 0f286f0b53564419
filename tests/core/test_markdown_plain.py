"""Markdown files read as a whole: the same, to the last span, as read line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import NASTY, documents, nasty_markdown

from omisync.core import markdown
from omisync.core.markdown import blocks, entries, plain
from omisync.core.model import Entry
from omisync.core.unchanged import LazySequence, fingerprint

if TYPE_CHECKING:
    from omisync.core.model import Notice

PARTS = (
    "- [ ] milk\n", "- [x] Pay rent 📅 2026-01-05\n", "* [X] Call Bob due:2026-02-28\r\n",
    "# Home\n", "## Work, now: a/b\n", "- [ ] 12 eggs\n", "\n", "- [ ] 1. x\n",
    "- [ ] **bold** a\n", "- [\\*] b\n",
    "  - [ ] sub\n", "  cont\n", "prose\n", "    code\n", "- [ ] café “q”…\n", "+ [ ] (a) 50%\n",
    "- [ ] a 📅 2026-02-30\n", "===\n", "---\n", "- [ ] b  c\n", "- [ ] d \n", "> - [ ] q\n",
    "- plain\n", "- [ ] #12 e\n", "- [ ] due:2026-01-01\n", "- [ ] a omi:x-1\n", "- [ ] 牛乳 🔥\n",
    "- [ ] 🗓 2026-01-01\n", "- [ ] a 📅 Dec 5\n",
    "<div>\n", "```\n", "[r]: /u\n", "- [ ] see [r]\n", "- [ ] " + "a" * 501 + "\n", "# H #\n",
)  # fmt: skip
"""LazySequence that are plain, nearly plain, or change what the next one is."""


def whole(source: bytes) -> tuple[list[Entry], list[Notice]]:
    """The file as it reads line by line."""
    begin, lines = blocks.begin(source), blocks.line_starts(source)
    known = entries._boxes(markdown.MARKS)
    found = blocks.read(source, begin)
    read, notices, _ = entries._entries(source, lines, found, known, blocks.Section())
    return read, notices


def mixtures() -> st.SearchStrategy[str]:
    """Files of plain lines, of nearly plain ones, and of nasty fragments between them."""
    parts = st.sampled_from(PARTS)
    nasty = parts | st.sampled_from(NASTY) | st.text(st.characters(codec="utf-8"), max_size=4)
    return st.lists(parts, max_size=20).map("".join) | st.lists(nasty, max_size=25).map("".join)


@given(mixtures() | nasty_markdown() | documents().map(lambda file: file[0]))
@example("\ufeff- [ ] a\n- [ ] b\n")
@example("- [ ] a\n```\n- [ ] b\n")
@example("- [ ] a\n- [ ] b\n<!--\n- [ ] c\n")
@example("---\na: b\n---\n- [ ] a\n")
@example("- [ ] **a**\n- [ ] b\n")
@example("- [ ] x [due:2026-01-28] y\n# h\n[due:2026-01-28]: /u\n")
@example("+++\n- [ ] a\n+++\n- [ ] b\n")
@example("- [ ] a\r- [ ] b\n- [ ] c\n\r- [ ] d\r\n- [ ] e\r\r\n# f\r- [ ] g\n")
@example("- [ ] a 📅 2026-01-28\n- [ ] b due:2026-01-28\n- [ ] due due due:x\n")
@example("- [ ] a 📅 2026-02-30\n- [ ] b\n- [ ] c 📅 2026-02-30\n")
@example("- [ ] a omi:b\n- [ ] c\n")
def test_a_file_reads_the_same_as_line_by_line(source: str) -> None:
    """Tasks, lines, sections, spans, ids and warnings."""
    data = source.encode()
    document = markdown.parse(data)
    read, notices = whole(data)
    assert list(document.entries) == read
    assert [one for one in document.notices if one.message != blocks.NO_TASK] == notices
    found = document.entries
    assert isinstance(found, LazySequence)
    said = [(e.task.text, e.task.completed, e.task.due, e.section) for e in read]
    assert list(found.fingerprints) == [fingerprint(*one) for one in said]
    assert found.may_reorder is any(e.explicit_id is not None for e in read)


@given(mixtures())
@example("- [ ] a 📅 2026-01-28\n# h\n- [x] b\n")
def test_a_reader_who_will_not_write_may_do_without_the_spans(source: str) -> None:
    """All else is the same: tasks, lines, sections, ids and warnings."""
    placed, without = (markdown.parse(source.encode(), places=p) for p in (True, False))
    for entry, bare in zip(placed.entries, without.entries, strict=True):
        assert bare in {entry, Entry(*entry[:4])}
    assert without.notices == placed.notices
    assert list(without.entries.fingerprints) == list(placed.entries.fingerprints)  # type: ignore[attr-defined]


@given(mixtures(), st.data())
def test_an_entry_is_the_same_whenever_it_is_looked_at(source: str, data: st.DataObject) -> None:
    """In any order, and the same one each time."""
    document = markdown.parse(source.encode())
    read, _ = whole(source.encode())
    for at in data.draw(st.permutations(range(len(read)))):
        assert document.entries[at] == read[at]
        assert document.entries[at] is document.entries[at]


def test_the_last_entry_may_be_looked_at_first() -> None:
    """LazySequence of another section are read with each other only."""
    assert markdown.parse(b"- [ ] a\n# b\n- [ ] c\n").entries[1].task.text == "c"


@pytest.mark.parametrize("done", ["✓", "xX ", "x"])
def test_other_marks_make_no_line_plain(done: str) -> None:
    """What the boxes of plain lines mean can be configured; then all are looked at."""
    marks = markdown.Marks(done=done, open="/")
    found = markdown.parse(b"- [ ] a\n- [x] b\n- [X] c\n", marks).entries
    known = entries._boxes(marks)
    expected = {b"a": b" ", b"b": b"x", b"c": b"X"}
    assert {e.task.text.encode(): e.task.completed for e in found} == {
        text: known[box] for text, box in expected.items() if box in known
    }


def test_front_matter_is_seen_with_other_marks() -> None:
    """A file without plain lines is read from its beginning, and warned of."""
    marks = markdown.Marks(done="x", open=" ")
    document = markdown.parse(b"---\n- [ ] a\n---\n- [ ] b\n- [x] c\n", marks)
    assert [entry.task.text for entry in document.entries] == ["b", "c"]
    assert [notice.line for notice in document.notices] == [1]


def test_what_most_files_consist_of_is_plain() -> None:
    """None of these lines is read by itself."""

    def read(*_: object) -> tuple[list[Entry], list[Notice], blocks.Section]:
        raise AssertionError

    source = (
        "# Home\n\n- [ ] Buy milk\n- [x] Pay rent! 📅 2026-12-01\n- [ ] due now due:2026-12-02\n"
        "## Büro\n* [ ] 3 x 牛乳\n"
    )
    found, _ = plain.entries(source.encode(), read, places=True)
    assert [entry.task.text for entry in found] == ["Buy milk", "Pay rent!", "due now", "3 x 牛乳"]


def test_what_is_not_plain_is_read_with_the_line_above_it() -> None:
    """From the item that it may continue to the next plain line, and no further."""
    asked = []

    def read(
        start: int, stop: int, section: blocks.Section
    ) -> tuple[list[Entry], list[Notice], blocks.Section]:
        asked.append(source[start:stop])
        return [], [], section

    source = b"- [ ] a\n- [ ] b\n  c\n- [ ] d\n- [ ] e\n- [ ] *f*\n"
    found, _ = plain.entries(source, read, places=True)
    assert asked == [b"- [ ] b\n  c\n", b"- [ ] e\n- [ ] *f*\n"]
    assert [entry.task.text for entry in found] == ["a", "d"]
