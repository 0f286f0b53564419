"""The tasks of a Markdown file as entries, each with the bytes it stands in.

Rule: every span tells the truth about the bytes: in the order of the entries spans
ascend, and none overlap. No valid UTF-8 is an error.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omisync.core.markdown import blocks, boxes, insertion, plain, words
from omisync.core.model import DESCRIPTION_LIMIT, ESCAPED, Document, Entry, Notice, Span, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Marks:
    """Which characters in a box mean done and which open; any other makes it text."""

    done: str = "xX✓✔-"
    open: str = " /><!?*~"


MARKS = Marks()

_SELECTORS = "\ufe0e\ufe0f"
"""Of variation: how a mark looks, text or emoji, not what it means."""
_STRUCK = b"~~"
"""What stands on both sides of words that are struck out (GFM)."""

USUAL = {b" ": False, b"x": True, b"X": True}
"""What the boxes of plain lines have to mean; with other marks no line is plain."""


def parse(source: bytes, marks: Marks = MARKS, *, places: bool = True) -> Document:
    """Return the tasks of ``source``, which is valid UTF-8, in document order.

    A file without any that says something is told of: its person may not know how a task
    is written.

    All spans are byte offsets into ``source``, a byte order mark included. A
    line ends with LF, CRLF or a lone CR. Without ``places`` entries may lack
    their spans, two thirds of what a plain one holds: for who neither writes nor
    asks which lines are those of a task.
    """
    begin, known = blocks.begin(source), _boxes(marks)
    lines: list[int] = []  # most files need them only when an entry is looked at

    def read(
        start: int, stop: int, section: blocks.Section
    ) -> tuple[list[Entry], list[Notice], blocks.Section]:
        if not lines:
            lines.extend(blocks.line_starts(source))
        whole = start == begin and stop == len(source)
        found = blocks.read(source, begin) if whole else blocks.read_part(source, start, stop)
        return _entries(source, lines, found, known, section)

    entries: Sequence[Entry]
    if any(known.get(box) is not done for box, done in USUAL.items()):
        entries, notices, _ = read(begin, len(source), blocks.Section())
        entries = tuple(entries)
    else:
        entries, notices = plain.entries(source, read, places=places)
    if not entries and not notices:
        notices = [*_unboxed(source)]
    return Document(source, entries, tuple(notices))


def _unboxed(source: bytes) -> Iterator[Notice]:
    """Yield what is to be said of a file without a task; the settings of a board say nothing."""
    at = blocks.first_words(source[: insertion.end_of_text(source, ())])
    if at is not None:
        yield Notice(bisect_right(blocks.line_starts(source), at), blocks.NO_TASK)


def _entries(
    source: bytes,
    lines: Sequence[int],
    found: Iterable[blocks.Item | blocks.Heading | blocks.Opaque],
    known: Mapping[bytes, bool],
    section: blocks.Section,
) -> tuple[list[Entry], list[Notice], blocks.Section]:
    """Return the entries of these blocks, what is to be said of them, and the last section."""
    entries: list[Entry] = []
    notices: list[Notice] = []
    for block in found:
        if isinstance(block, blocks.Item):
            nearly = [(at, boxes.doubt(source, at, known)) for at in block.nearly]
            # Such a line says a task of its own but for its box, and no more of this one.
            stop = next((at for at, said in nearly if said == boxes.NO_BOX), block.end)
            item = block._replace(end=min(stop, block.end))
            completed = known.get(source[item.box.start : item.box.end])
            if completed is None:
                notices += _unread(source, lines, item, known, section.path)
            else:
                entry, warnings = _entry(source, lines, item, completed, section.path)
                entries += entry
                notices += warnings
            notices += (
                _meant(source, lines, at, said, section.path) for at, said in nearly if said
            )
        elif isinstance(block, blocks.Heading):
            section = section.below(block)
        elif hides := blocks.hides(source, block, known):
            at = block.span.start
            is_box = block.kind == "box"
            notices.append(
                _meant(source, lines, at, hides, section.path)
                if is_box
                else Notice(bisect_right(lines, at), hides)
            )
    return entries, notices, section


def _unread(
    source: bytes,
    lines: Sequence[int],
    item: blocks.Item,
    known: Mapping[bytes, bool],
    section: str,
) -> Iterator[Notice]:
    """Yield what is to be said of an item whose box means nothing."""
    line = bisect_right(lines, item.bullet)
    mark = source[item.box.start : item.box.end].decode()
    bare = mark.strip()  # of no-break spaces, too
    if not bare or bare.encode() in known:
        said = boxes.NO_BOX if bare or mark.isascii() else boxes.NO_BLANK
    elif len(sign := ESCAPED.sub(r"\1", bare).rstrip(_SELECTORS)) == 1 and not sign.isdigit():
        said = boxes.NO_MARK
    else:
        return
    pieces = words.pieces(source, lines[line - 1], item)
    reading = words.read(source, pieces, item.inlines)
    if reading.text or said != boxes.NO_MARK:
        yield Notice(line, said, unread=_as_open(reading, line, section))


def _meant(source: bytes, lines: Sequence[int], at: int, message: str, section: str) -> Notice:
    """Return what is to be said of a line that was likely meant as a task."""
    line = bisect_right(lines, at)
    reading = _put_right(source, lines, line, boxes.meant(source, at))
    return Notice(line, message, unread=_as_open(reading, line, section))


def _put_right(source: bytes, lines: Sequence[int], line: int, begin: int) -> words.Reading:
    """Return what a line, the words of which begin there, would say behind a box."""
    before = source[lines[line - 1] : begin]
    said = [source[begin : lines[line]].strip(), *words.continued(source, lines, line)]
    if _STRUCK in before:  # bullet and box, too
        said[-1] = said[-1].removesuffix(_STRUCK)
    sheet = boxes.bullet(before) + b"[ ] " + b"\n".join(said)
    found = blocks.read_part(sheet, 0, len(sheet))
    item = next(block for block in found if isinstance(block, blocks.Item))
    return words.read(sheet, words.pieces(sheet, 0, item), item.inlines)


def _as_open(reading: words.Reading, line: int, section: str) -> Entry | None:
    """Return what a line would be as an open task, None where it has no text."""
    task = Task(reading.text, due=reading.due)
    return Entry(task, line, section, reading.explicit_id) if reading.text else None


def _boxes(marks: Marks) -> dict[bytes, bool]:
    """Return what each content of a box means: True for done.

    GFM takes a tab for a space. A backslash before a sign of punctuation is not part of the mark.
    """
    table: dict[bytes, bool] = {}
    for signs, done in ((marks.done, True), (marks.open, False)):
        for sign in signs + "\t" * (" " in signs):
            escaped = f"\\{sign}"
            for spelled in (sign, escaped) if ESCAPED.fullmatch(escaped) else (sign,):
                for selector in ("", *_SELECTORS):
                    table.setdefault((spelled + selector).encode(), done)
    return table


def _entry(
    source: bytes, lines: Sequence[int], item: blocks.Item, completed: bool, section: str
) -> tuple[list[Entry], list[Notice]]:
    """Return the entry of an item, none when it has no text, and what is to be said about it."""
    line = bisect_right(lines, item.bullet)
    pieces = words.pieces(source, lines[line - 1], item)
    reading = words.read(source, pieces, item.inlines)
    notices = [Notice(line, message) for message in reading.warnings]
    if not reading.text:
        return [], notices
    if len(reading.text) > DESCRIPTION_LIMIT:
        notices.append(Notice(line, _too_long(reading.text)))
    # Less deep, a bullet in a further line would begin a list of its own.
    notices += [
        Notice(bisect_right(lines, start), boxes.NOTE_TOO_DEEP)
        for start, _ in pieces[1:]
        if boxes.NOTE.match(source, start)
    ]
    entry = Entry(
        Task(reading.text, completed, reading.due),
        line,
        section,
        reading.explicit_id,
        Span(item.bullet, pieces[-1].end),
        item.box,
        tuple(pieces),
        reading.due_span,
    )
    return [entry], notices


def _too_long(text: str) -> str:
    return (
        f"this text has {len(text)} characters and Omi takes {DESCRIPTION_LIMIT}:"
        " it is sent cut at a word, with … at its end, and stays whole in the file"
    )
