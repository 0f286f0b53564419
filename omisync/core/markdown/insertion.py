"""Where in a file added tasks stand: at its end, or at the end of a section.

Rule: an added line is the last of its list and no part of anything else. Where
the end of the file would swallow it (code, a comment that is never closed), it
stands behind the last task instead. A comment of Obsidian's that ends the file stays its end.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import normalize

from omisync.core.markdown import blocks
from omisync.core.markdown.blocks import LINE_END
from omisync.core.model import BOM

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omisync.core.markdown.blocks import Block
    from omisync.core.model import Document

_SPACES = re.compile(rb"[ \t]*")
_COMMENT = b"%%"  # opens and closes one of Obsidian's
_SWALLOWING = frozenset({"HtmlBlock", "CodeBlock"})
_NEAR = 4096  # bytes that are looked at for the line above: a longer blank line is nobody's
_DEEPEST = len("######")
_LEVEL = "##"
"""The level of a heading that is created without one: the file's title may stand above it."""


class Place(NamedTuple):
    """Where lines are put in: at a byte offset, with a blank line before and after or none.

    ``heading`` is the line that is created above them, empty where there is one.
    """

    offset: int
    before: bool = False
    after: bool = False
    heading: bytes = b""


def put(source: bytes, place: Place, lines: Sequence[bytes], line_end: bytes) -> bytes:
    """Return the bytes to put in at a place. A file without a last line end stays without."""
    created = [place.heading, b""] if place.heading else []
    rows = [*[b""] * place.before, *created, *lines, *[b""] * place.after]
    text = line_end.join(rows)
    above = source[: place.offset].removeprefix(BOM)
    if not above or above.endswith((b"\n", b"\r")):
        return text + line_end
    return line_end + text


def choose(document: Document, bullet: bytes, heading: str) -> Place:
    """Return the place for added tasks; ``heading`` names their section, empty for none.

    Its leading ``#`` only matter where it is created.
    """
    source = document.source
    tasks = [entry.span.start for entry in document.entries]
    end = end_of_text(source, tasks)
    body, outline = blocks.outline(source[:end], blocks.begin(source))
    written, title = _heading(heading)
    outer = [*_outer(outline)]
    for block in outer:
        if title and block.heading and _same(block.heading.title, title):
            return _in_section(source, outline, block, tasks, bullet)
    last = outer[-1] if outer else None
    if last and not written and _goes_on(source, last, bullet):
        return Place(_end(source, last))
    place = Place(end, _is_text_above(source, end), after=end < len(source), heading=written)
    if not last or last.kind not in _SWALLOWING or not _swallows(source[:end], place):
        return place
    starts = frozenset(tasks)
    for block in reversed(outline):
        if block.kind == "Item" and _bullet(source, block) in starts:
            return _behind(source, block, block, bullet, written)
    return Place(body, after=_is_text_below(source, body), heading=written)


def _same(one: str, other: str) -> bool:
    """Return whether two titles are one to a person, however their accents are encoded."""
    return normalize("NFC", one) == normalize("NFC", other)


def end_of_text(source: bytes, tasks: Sequence[int]) -> int:
    """Return where a comment of Obsidian's begins that ends the file, else where the file ends.

    A board has its settings there. One that stands right below a text, or around tasks,
    belongs to them.
    """
    end = len(source.rstrip())
    start = source.rfind(_COMMENT, 0, max(0, end - len(_COMMENT)))
    if start < 0 or not source.endswith(_COMMENT, 0, end):
        return len(source)
    is_indented = source[start - 1 : start] in {b" ", b"\t"}
    is_part = is_indented or _is_text_above(source, start) or bool(tasks and tasks[-1] > start)
    return len(source) if is_part else start


def _heading(asked: str) -> tuple[bytes, str]:
    """Return the line of a heading, and its title as it reads; both empty where it has none."""
    words = asked.encode(errors="replace").decode().split()
    level = words.pop(0) if words and not words[0].strip("#") else ""
    if words and not level:
        bare = words[0].lstrip("#")
        level, words[0] = words[0][: len(words[0]) - len(bare)], bare
    line = f"{level if 0 < len(level) <= _DEEPEST else _LEVEL} {' '.join(words)}".encode()
    _, outline = blocks.outline(line, 0)
    title = outline[0].heading.title if outline and outline[0].heading else ""
    return (line, title) if title else (b"", "")


def _outer(outline: Sequence[Block]) -> Iterator[Block]:
    """Yield the blocks that stand in no other: no items, whose lists are blocks."""
    end = 0
    for block in outline:
        if block.span.start >= end:
            end = block.span.end
            yield block


def _in_section(
    source: bytes, outline: Sequence[Block], heading: Block, tasks: Sequence[int], bullet: bytes
) -> Place:
    """Return the place behind the last task below a heading, else right below the heading."""
    below = outline[outline.index(heading) + 1 :]
    end = next((block.span.start for block in below if block.heading), len(source))
    below = [block for block in below if block.span.start < end]
    index = bisect_left(tasks, end)
    if index and tasks[index - 1] > heading.span.start:
        around = [block for block in below if block.span.start <= tasks[index - 1]]
        *_, outer = _outer(around)
        return _behind(source, outer, around[-1], bullet)
    if below and _goes_on(source, outer := [*_outer(below)][-1], bullet):
        return Place(_end(source, outer))
    offset = _end(source, heading)
    return Place(offset, before=True, after=_is_text_below(source, offset))


def _behind(source: bytes, outer: Block, item: Block, bullet: bytes, heading: bytes = b"") -> Place:
    """Return the place behind an item where its list goes on, else behind all of ``outer``."""
    if not heading and _goes_on(source, outer, bullet):
        return Place(_end(source, item))
    offset = _end(source, outer)
    return Place(offset, before=True, after=_is_text_below(source, offset), heading=heading)


def _goes_on(source: bytes, block: Block, bullet: bytes) -> bool:
    """Return whether a line with this bullet is one more item of a list."""
    if block.kind not in {"List", "Item"}:
        return False
    at = _bullet(source, block)
    return source[at : at + 1] == bullet


def _bullet(source: bytes, block: Block) -> int:
    """Return where the bullet of a list or an item is: its range may begin in the space before."""
    spaces = _SPACES.match(source, block.span.start)
    return spaces.end() if spaces else block.span.start


def _end(source: bytes, block: Block) -> int:
    """Return the end of the last line of a block that is not blank."""
    start, end = block.span
    last = start + len(source[start:end].rstrip())
    line_end = LINE_END.search(source, last)
    return line_end.end() if line_end else len(source)


def _is_text_above(source: bytes, at: int) -> bool:
    lines = LINE_END.split(source[max(0, at - _NEAR) : at].removeprefix(BOM))
    last = lines[-1] or (lines[-2] if len(lines) > 1 else b"")
    return bool(last.strip())


def _is_text_below(source: bytes, at: int) -> bool:
    line_end = LINE_END.search(source, at)
    return bool(source[at : line_end.start() if line_end else len(source)].strip())


def _swallows(source: bytes, place: Place) -> bool:
    """Return whether an item at the end of the file is part of what stands before it."""
    longer = source + put(source, place, [b"- [ ] a"], b"\n")
    _, outline = blocks.outline(longer, blocks.begin(longer))
    return outline[-1].kind != "Item"
