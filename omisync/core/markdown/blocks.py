"""Which lines of a Markdown file are tasks, and which only look like tasks.

The block structure is CommonMark with GFM task list items as pyromark reads it;
its ranges are UTF-8 bytes. Boxes with other marks than GFM's are found in the
bytes after the bullet: to pyromark they are text, or even links.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, cast

import pyromark

from omisync.core.markdown.boxes import BOX, BULLET, begins_task, doubt, is_meant
from omisync.core.model import BOM, Span

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    Event = tuple[dict[str, str | dict[str, object]] | str, dict[str, int]]

LINE_END = re.compile(rb"\r\n|\n|\r")  # as CommonMark; `splitlines` splits at U+2028 too

_ITEM = re.compile(rb"[\s>]*(" + BULLET + rb")" + BOX)
"""An item's range may begin in the space before its bullet, after a tab even at a quote mark."""
_LEAD = re.compile(rb"\s*")
_WORDS = re.compile(rb"[^\s>]")

_TASK_LIKE = re.compile(rb"(?:\A|[\r\n])[ \t>]*" + BULLET + BOX)

_ATX = re.compile(rb"#{1,6}(?:[ \t\r\n]|\Z)")

_FRONT_MATTER_OPENS = re.compile(rb"(---|\+\+\+)[ \t]*(?=[\r\n])")
_FRONT_MATTER_CLOSES = {
    b"---": re.compile(rb"[\r\n](?:---|\.\.\.)[ \t]*(?:\r\n|\n|\r|\Z)"),
    b"+++": re.compile(rb"[\r\n]\+\+\+[ \t]*(?:\r\n|\n|\r|\Z)"),
}
_FENCE = re.compile(rb"`{3,}|~{3,}")
_FENCE_CLOSES = re.compile(rb"[ \t>]*(?:`{3,}|~{3,})[ \t]*")

_INLINE_TAGS = frozenset({"Emphasis", "Strong", "Link", "Image"})

_HIDING = {
    "front matter": "the front matter holds {}; move {} below its closing line",
    "HTML": "an HTML block holds {}; move {} out of it, or put a blank line before {}",
    "comment": "a comment is opened here and never closed, it hides {}; close it with -->",
    "indented": "four blanks or a tab make code of {}; indent {} as deep as the list",
    "code": "a code block is opened here and never closed, it hides {}; close it with its fence",
}
NO_TASK = "no line of this file is a task: a task has a box, `- [ ] text`"
"""The warning for a file that says something and has no task."""


class Inline(NamedTuple):
    """The byte range of a code span, a link or inline HTML, which may be a comment."""

    start: int
    end: int
    comment: bool


class Item(NamedTuple):
    """A list item with a box. ``end`` and ``inlines`` are those of its first paragraph.

    ``whole`` is where the item ends with all that is nested in it. ``nearly`` are the
    other lines of the paragraph that were likely meant as tasks.
    """

    bullet: int
    box: Span
    end: int
    inlines: list[Inline]
    whole: int
    nearly: list[int]


class Heading(NamedTuple):
    """A heading outside items, level 1 to 6."""

    level: int
    title: str


class Opaque(NamedTuple):
    """Bytes whose lines are never tasks; ``kind`` is a key of ``_HIDING``."""

    span: Span
    kind: str


class Block(NamedTuple):
    """A block that stands in no other, an item of such a list, or a heading outside items.

    ``kind`` is pyromark's name for it.
    """

    kind: str
    span: Span
    heading: Heading | None = None


class Section(NamedTuple):
    """The headings that a line stands below, and their titles as one path."""

    headings: tuple[Heading, ...] = ()
    path: str = ""

    def below(self, heading: Heading) -> Section:
        """Return the section that ``heading`` begins."""
        above = (one for one in self.headings if one.level < heading.level)
        headings = (*above, heading)
        return Section(headings, " > ".join(one.title for one in headings if one.title))


def begin(source: bytes) -> int:
    """Return where the text begins after a byte order mark."""
    return len(BOM) if source.startswith(BOM) else 0


def line_starts(source: bytes) -> list[int]:
    """Return where each line begins, after a byte order mark, and where the last one ends."""
    first = begin(source)
    lines = source[first:].splitlines(keepends=True)  # of bytes: at CR, LF and CRLF only
    return list(accumulate(map(len, lines), initial=first))


def read(source: bytes, begin: int) -> Iterator[Item | Heading | Opaque]:
    """Yield the items with a box, the headings outside items and what may hide tasks."""
    body = _front_matter_end(source, begin)
    if body > begin:
        yield Opaque(Span(begin, body), "front matter")
    yield from read_part(source, body, len(source))


def read_part(source: bytes, body: int, stop: int) -> Iterator[Item | Heading | Opaque]:
    """Yield the same for a part of a file that stands for itself and has no front matter."""
    events = _events(source[body:stop].decode())
    depth = 0
    ahead: Event | None = None
    while one := ahead or next(events, None):
        ahead = None
        event, reach = one
        if isinstance(event, str):
            for near in _nearly(source, event, body + reach["start"]):
                yield Opaque(Span(near, near), "box")
            continue
        start = event.get("Start")
        if start == "Item":
            depth += 1
            if box := _ITEM.match(source, body + reach["start"]):
                end, inlines, nearly, ahead = _first_paragraph(source, body, box.end(), events)
                whole = body + reach["end"]
                yield Item(box.start(1), Span(*box.span(2)), end, inlines, whole, nearly)
            elif is_meant(source, at := _bullet(source, body + reach["start"])):
                yield Opaque(Span(at, at), "box")
        elif start is None:
            depth -= event.get("End") == "Item"
        else:
            span = Span(body + reach["start"], body + reach["end"])
            if block := _outside(source, start, span, depth, events):
                yield block


def _outside(
    source: bytes,
    start: str | dict[str, object],
    span: Span,
    depth: int,
    events: Iterator[Event],
) -> Heading | Opaque | None:
    """Return the heading (none at a ``depth`` of items) or the hiding block that starts here."""
    if start == "HtmlBlock":
        return Opaque(span, "HTML")
    if start == "Paragraph" and is_meant(source, span.start):
        return Opaque(span, "box")
    if isinstance(start, str):
        return None
    if "Heading" in start and not depth:
        return _heading(start, events)
    code = start.get("CodeBlock")
    if code is None:
        return None
    return Opaque(span, "code" if isinstance(code, dict) else "indented")


def fenced(source: bytes) -> list[Span]:
    """Return the byte ranges of fenced code."""
    found = read(source, begin(source))
    return [one.span for one in found if isinstance(one, Opaque) and one.kind == "code"]


def outline(source: bytes, begin: int) -> tuple[int, list[Block]]:
    """Return where the text begins after any front matter, and its outermost blocks in order.

    Each list is followed by its items, each quote by the headings in it.
    """
    body = _front_matter_end(source, begin)
    found: list[Block] = []
    depth = items = 0
    events = _events(source[body:].decode())
    for event, reach in events:
        if isinstance(event, str):
            kind, opens = event, False
        elif start := event.get("Start"):
            kind, opens = start if isinstance(start, str) else next(iter(start)), True
        else:
            depth -= "End" in event
            items -= event.get("End") == "Item"
            continue
        span = Span(body + reach["start"], body + reach["end"])
        if kind == "Heading" and not items:
            start = cast("dict[str, object]", event["Start"])  # type: ignore[index]  # not a str
            found.append(Block(kind, span, _heading(start, events)))
            continue
        if not depth or (depth == 1 and kind == "Item"):
            found.append(Block(kind, span))
        depth += opens
        items += kind == "Item"
    return body, found


def _front_matter_end(source: bytes, begin: int) -> int:
    """Return where the front matter ends, ``begin`` where there is none or it is not closed."""
    opens = _FRONT_MATTER_OPENS.match(source, begin)
    closes = opens and _FRONT_MATTER_CLOSES[opens[1]].search(source, opens.end())
    return closes.end() if closes else begin


def _events(text: str) -> Iterator[Event]:
    options = pyromark.Options.ENABLE_TASKLISTS
    return cast("Iterator[Event]", pyromark.events_with_range(text, options=options))


def _first_paragraph(
    source: bytes, body: int, begin: int, events: Iterator[Event]
) -> tuple[int, list[Inline], list[int], Event | None]:
    """Read on to the end of an item's first paragraph, whose box ends at ``begin``.

    Return the end of its last inline in bytes (0 without any), its inlines, its lines
    that are nearly tasks, and the event that ended it. In a tight item no event says where
    a paragraph begins or ends: it lasts until the first block or the end of the item.
    """
    end = 0
    inlines: list[Inline] = []
    nearly: list[int] = []
    for one in events:  # pragma: no branch - an item always ends
        event, reach = one
        if isinstance(event, str):
            if event == "Rule":
                return end, inlines, nearly, one
            nearly += _nearly(source, event, body + reach["start"])
            continue
        if "Text" in event:  # most events; the others need a closer look
            end = body + reach["end"]
            continue
        [(kind, what)] = event.items()
        if kind == "TaskListMarker":
            continue
        start, stop = body + reach["start"], body + reach["end"]
        if kind in {"Code", "InlineHtml"}:
            end = stop
            inlines.append(Inline(start, stop, source.startswith(b"<!--", start)))
        elif (name := what if isinstance(what, str) else next(iter(what))) in _INLINE_TAGS:
            end = max(end, stop)
            if kind == "Start" and name in {"Link", "Image"}:
                inlines.append(Inline(start, stop, comment=False))
        elif kind == "End" or not _goes_on(source, begin, start, name):
            return end, inlines, nearly, one
    return end, inlines, nearly, None  # pragma: no cover - for the types


def _nearly(source: bytes, event: str, at: int) -> list[int]:
    """Return where the line after a break begins, if it was likely meant as a task."""
    ends = LINE_END.search(source, at) if event in {"SoftBreak", "HardBreak"} else None
    if ends is None:
        return []
    begin = ends.end()
    return [begin] if begins_task(source, begin) else []


def _bullet(source: bytes, at: int) -> int:
    """Return where an item without a box begins, whose range may begin in the line above."""
    lead = _LEAD.match(source, at)
    return lead.end() if lead else at


def _goes_on(source: bytes, begin: int, start: int, name: str) -> bool:
    """Return whether a block that starts in an item is the paragraph with the box.

    An underline makes a heading of it; a heading with ``#`` on a line of its own
    leaves the box without text.
    """
    if name == "Heading":
        return not (_ATX.match(source, start) and LINE_END.search(source, begin, start))
    return name == "Paragraph"


def _heading(start: dict[str, object], events: Iterator[Event]) -> Heading:
    """Read on to the end of a heading; its title is its text without markup."""
    level = cast("dict[str, str]", start["Heading"])["level"]
    title = []
    for event, _ in events:  # pragma: no branch - a heading always ends
        if isinstance(event, str):
            title.append(" ")
        elif "Heading" in event.get("End", ""):
            break
        else:
            title += [cast("str", event[kind]) for kind in ("Text", "Code") if kind in event]
    return Heading(int(level[1:]), " ".join("".join(title).split()))


def first_words(source: bytes) -> int | None:
    """Return where the first list begins, else the first line that says something.

    Headings say nothing, nor do rules and front matter.
    """
    at, found = outline(source, begin(source))
    for block in found:
        if block.kind == "Item":
            return block.span.start
    for block in found:
        if block.kind in {"Heading", "Rule"}:
            if words := _WORDS.search(source, at, block.span.start):
                return words.start()
            at = block.span.end
    words = _WORDS.search(source, at)
    return words.start() if words else None


def hides(source: bytes, block: Opaque, known: Collection[bytes]) -> str:
    """Return the warning that a block deserves, empty when it hides no task by mistake.

    ``known`` are the contents of a box that make a task.
    """
    kind = block.kind
    if kind == "box":
        return doubt(source, block.span.start, known)
    content = source[block.span.start : block.span.end]
    if kind == "code" and _is_closed(content):
        return ""
    if kind == "HTML":
        content, open_comment = _outside_comments(content)
        kind = "comment" if open_comment and content.startswith(b"<!--") else kind
    count = sum(box[1] in known for box in _TASK_LIKE.finditer(content))
    one = count == 1
    found = "a line that looks like a task" if one else f"{count} lines that look like tasks"
    them = "it" if one else "them"
    return _HIDING[kind].format(found, them, them) if count else ""


def _is_closed(fenced: bytes) -> bool:
    """Return whether the last line is a fence like the first; one alone hides nothing."""
    *_, last = LINE_END.split(fenced)
    opens = _FENCE.search(fenced)
    return opens is not None and opens[0] in last and _FENCE_CLOSES.fullmatch(last) is not None


def _outside_comments(block: bytes) -> tuple[bytes, bool]:
    """Return a block without its closed comments, and whether it leaves one open.

    Whoever closes a comment around a task means it.
    """
    kept = []
    at = 0
    while (start := block.find(b"<!--", at)) >= 0:
        stop = block.find(b"-->", start + len("<!"))  # `<!-->` closes itself
        if stop < 0:
            break
        kept.append(block[at:start])
        at = stop + len("-->")
    return b"".join(kept) + block[at:], start >= 0
