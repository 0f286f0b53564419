"""What the first paragraph of an item says: its words, and the tokens among them.

Rule: writing a token into a line or taking it out never changes the text. So
runs of spaces count as one, outside code and links, with or without a token.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from omisync.core import due
from omisync.core.markdown.blocks import LINE_END
from omisync.core.markdown.boxes import begins_task
from omisync.core.model import WRITABLE_ID, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omisync.core.markdown.blocks import Inline, Item

# They stand for the characters of code, links and comments where tokens are
# looked for. Decoded UTF-8 never holds a lone surrogate.
_SHUT = "\udc00"
_COMMENT = "\udc01"

# Addresses without angle brackets and wiki links: links to people, text to CommonMark.
# A link to a day is seen, for it may be meant as a due date.
_ADDRESS = re.compile(rf"(?:://|www\.)[^\s\udc00\udc01]+|\[\[(?!{due.DAY}\]\])[^\[\]]*\]\]")

# Words with one space between them and no sign of a token: what most lines are.
_PLAIN = re.compile(r"[^\s:@📅📆🗓✅❌➕]++(?: [^\s:@📅📆🗓✅❌➕]++)*+")

_ID = re.compile(rf"{due.BEFORE}omi:({WRITABLE_ID.pattern}){due.AFTER}")
_DAY = f"({due.DAY})"
_NOTED = rf"\s*(?:completion|created|cancelled)::\s*{_DAY}\s*"
_BOOKKEEPING = re.compile(
    rf"[✅❌➕][\ufe0e\ufe0f]?\s*{_DAY}{due.AFTER}"
    rf"|(?<!\\)(?:\[{_NOTED}\]|\({_NOTED}\))"
    rf"|{due.BEFORE}@done\(\s*{_DAY}(?:[T\s]\s*[0-9]{{2}}:[0-9]{{2}})?\s*\)"
)
"""Dates that Obsidian, its Dataview and TaskPaper note; the last group that matched is the day."""

_RUN = re.compile(r"\s(?:\s+|(?<=\t))")
_OPENERS = frozenset("([{*_~\"'")
_CLOSERS = frozenset(".,;:!?)]}*_~\"'…")

_SPACE = re.compile(rb"[ \t]*")
_TAB = 4  # columns, CommonMark
MORE_LINES = 20
"""Further lines of a text that is not read as one that are looked at: most have none."""
_QUOTE_SLACK = 3  # columns that a quote mark may stand further in, CommonMark
_QUOTED = 60  # code points of the person's words in a warning


class Reading(NamedTuple):
    """What a paragraph says. ``text`` is empty where it says nothing."""

    text: str
    due: str | None = None
    due_span: Span | None = None
    explicit_id: str | None = None
    warnings: tuple[str, ...] = ()


def pieces(source: bytes, line: int, item: Item) -> list[Span]:
    """Return where the text of an item stands: a span for each line, trimmed.

    ``line`` is where the line of the bullet begins. A line that begins no
    deeper than the bullet only happens to follow it (CommonMark's laziness):
    it ends the text. Trailing comments are left out.
    """
    begin = item.box.end + 1
    if LINE_END.search(source, begin, item.end):
        lines = _lines(source, line, item)
        spans = [span for start, end in lines if (span := trimmed(source, start, end))]
    else:
        only = trimmed(source, begin, item.end)
        spans = [only] if only else []
    return _uncommented(source, spans, item.inlines) if item.inlines else spans


def trimmed(source: bytes, start: int, end: int) -> Span | None:
    """Return a span without the ASCII whitespace at both ends, None when nothing is left."""
    raw = source[start:end].rstrip()
    end = start + len(raw)
    return Span(end - len(raw.lstrip()), end) if raw else None


def continued(source: bytes, lines: Sequence[int], line: int) -> Iterator[bytes]:
    """Yield the lines that may go on with the text of a line, being deeper, by so much.

    ``lines`` are where each begins, and where the last one ends; ``line`` is 1-based.
    """
    row = source[lines[line - 1] : lines[line]]
    lead = row.removesuffix(row.lstrip(b" \t>"))
    inset, quotes = _inset(lead), [at for at, sign in enumerate(lead) if sign == ord(">")]
    for start, stop in pairwise(lines[line : line + MORE_LINES + 1]):
        begin = _after_quotes(source, start, quotes)
        words, deeper = source[begin:stop].strip(), _inset(source[start:begin]) - inset
        if not words or deeper <= 0 or begins_task(source, start):
            return
        yield b" " * deeper + words


def _lines(source: bytes, line: int, item: Item) -> Iterator[tuple[int, int]]:
    """Yield start and end of each line of a text, without the quote marks before it."""
    start = item.box.end + 1
    inset = -1
    quotes: list[int] = []
    for end in LINE_END.finditer(source, start, item.end):
        if inset < 0:
            inset = _inset(source[line : item.bullet])
            quotes = [at for at, sign in enumerate(source[line : item.bullet]) if sign == ord(">")]
        yield start, end.start()
        start = _after_quotes(source, end.end(), quotes)
        if _inset(source[end.end() : start]) <= inset:
            return
    yield start, item.end


def _inset(prefix: bytes) -> int:
    """Return the columns between the innermost quote mark (with its one space) and the end."""
    quote = prefix.rfind(b">") + 1
    own = len(prefix[:quote].expandtabs(_TAB))
    padded = bool(quote) and prefix[quote : quote + 1] in {b" ", b"\t"}
    return len(prefix.expandtabs(_TAB)) - own - padded


def _after_quotes(source: bytes, line: int, quotes: Sequence[int]) -> int:
    """Return where the words of a line begin, behind at most the quote marks of its item.

    ``quotes`` are their places in the line of the bullet; a ``>`` much further
    in is a word.
    """
    at = _space_end(source, line)
    for quote in quotes:
        if source[at : at + 1] != b">" or at - line > quote + _QUOTE_SLACK:
            break
        at = _space_end(source, at + 1)
    return at


def _space_end(source: bytes, at: int) -> int:
    space = _SPACE.match(source, at)
    return space.end() if space else at


def _uncommented(source: bytes, spans: list[Span], inlines: Sequence[Inline]) -> list[Span]:
    """Return the spans without the comments that end them."""
    for inline in reversed(inlines):
        while spans and inline.comment and inline.start < spans[-1].end <= inline.end:
            start, end = spans.pop().start, inline.start
            while start < end and source[end - 1 : end].isspace():
                end -= 1
            spans += [Span(start, end)] * (start < end)
        if spans and inline.start < spans[-1].end:
            break
    return spans


def read(source: bytes, spans: Sequence[Span], inlines: Sequence[Inline]) -> Reading:
    """Return what the paragraph at ``spans`` says, its due token and its explicit id.

    Where nothing is left without the tokens, they are the text.
    """
    text = " ".join([source[start:end].decode() for start, end in spans])
    if _PLAIN.fullmatch(text) or not text:
        return Reading(text)
    shadow = _shut_addresses(_shadow(source, spans, inlines) if inlines else text)
    found = due.find(shadow)
    explicit = _ID.search(shadow) if "omi:" in shadow else None
    warnings = tuple(_warnings(text, found))
    cuts = sorted(_tokens(shadow, found.token, explicit))
    words = _tidy(text, shadow, cuts)
    if not words:
        return Reading(_tidy(text, shadow, ()))
    identifier = explicit[1] if explicit else None
    if not found.token:
        return Reading(words, explicit_id=identifier, warnings=warnings)
    place = _bytes(source, spans, found.token.start, found.token.end)
    return Reading(words, found.token.value, place, identifier, warnings)


def _warnings(text: str, found: due.Found) -> Iterator[str]:
    """Yield what is to be said of a text; of another program's dates the same for each day."""
    for one in found.rejected:
        yield f"“{_short(text[one.start : one.end])}” {one.reason}"
    for one in found.foreign:
        yield f"“{re.sub(_DAY, '…', text[one.start : one.end])}” {one.reason}"


def tokens(
    source: bytes, spans: Sequence[Span], inlines: Sequence[Inline]
) -> tuple[list[str], int | None]:
    """Return all tokens of a text as they are spelled, in order, and which of them is the due one.

    Where nothing is left without the tokens, there are none.
    """
    text = " ".join([source[start:end].decode() for start, end in spans])
    shadow = _shut_addresses(_shadow(source, spans, inlines))
    token = due.find(shadow).token
    cuts = sorted(_tokens(shadow, token, _ID.search(shadow)))
    if not _tidy(text, shadow, cuts):
        return [], None
    spelled: list[str] = []
    at = 0
    for start, end in cuts:
        spelled.append(text[max(at, start) : end])
        at = max(at, end)
    which = next((i for i, cut in enumerate(cuts) if token and cut == token[:2]), None)
    return spelled, which


def signs(source: bytes, spans: Sequence[Span], inlines: Sequence[Inline]) -> list[int]:
    """Return where a text has something that is, or may be taken for, a token (code points)."""
    text = " ".join([source[start:end].decode() for start, end in spans])
    shadow = _shut_addresses(_shadow(source, spans, inlines) if inlines else text)
    found = due.find(shadow)
    cuts = _tokens(shadow, found.token, _ID.search(shadow))
    return sorted([start for start, _ in cuts] + [one.start for one in found.rejected])


def _shadow(source: bytes, spans: Sequence[Span], inlines: Sequence[Inline]) -> str:
    """Return the text with every character of an inline replaced by its stand-in."""
    lines = []
    index = 0
    for start, end in spans:
        line: list[str] = []
        at = start
        while index < len(inlines) and inlines[index].start < end:
            inline = inlines[index]
            opens, closes = max(inline.start, at), min(inline.end, end)
            if opens < closes:
                sign = _COMMENT if inline.comment else _SHUT
                line += (source[at:opens].decode(), sign * len(source[opens:closes].decode()))
                at = closes
            if inline.end > end:  # it goes on in the next line
                break
            index += 1
        lines.append("".join((*line, source[at:end].decode())))
    return " ".join(lines)


def _shut_addresses(shadow: str) -> str:
    if "://" not in shadow and "www." not in shadow and "[[" not in shadow:
        return shadow
    return _ADDRESS.sub(lambda address: _SHUT * len(address[0]), shadow)


def _short(words: str) -> str:
    return words if len(words) <= _QUOTED else words[: _QUOTED - 1] + "…"


def _tokens(
    shadow: str, token: due.Token | None, explicit: re.Match[str] | None
) -> Iterator[tuple[int, int]]:
    """Yield the places of what is not text: due token, id and bookkeeping dates."""
    if token:
        yield token.start, token.end
    if explicit:
        yield due.widen(shadow, *explicit.span())
    for one in _BOOKKEEPING.finditer(shadow):
        with suppress(ValueError):  # 31 February stays text
            date.fromisoformat(one[one.lastindex or 0])
            yield due.widen(shadow, *one.span())


def _tidy(text: str, shadow: str, cuts: Sequence[tuple[int, int]]) -> str:
    """Return the text without the cuts, trailing comments and doubled spaces."""
    if cuts:
        text, shadow = _without(text, shadow, cuts)
    end = len(shadow)
    while end and (shadow[end - 1].isspace() or shadow[end - 1] == _COMMENT):
        end -= 1
    at = end - len(shadow[:end].lstrip())
    words: list[str] = []
    for run in _RUN.finditer(shadow, at, end):
        words += (text[at : run.start()], " ")
        at = run.end()
    return "".join((*words, text[at:end]))


def _without(text: str, shadow: str, cuts: Sequence[tuple[int, int]]) -> tuple[str, str]:
    """Return text and shadow without the cuts and the spaces around them."""
    words: list[str] = []
    shadows: list[str] = []
    at = 0
    for start, end in _joined(shadow, cuts):
        left, right = start, end
        while left > at and shadow[left - 1].isspace():
            left -= 1
        while right < len(shadow) and shadow[right].isspace():
            right += 1
        gap = " " if _apart(shadow, (left, start), (end, right)) else ""
        words += (text[at:left], gap)
        shadows += (shadow[at:left], gap)
        at = right
    return "".join((*words, text[at:])), "".join((*shadows, shadow[at:]))


def _joined(shadow: str, cuts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the cuts, those with nothing but spaces between them as one."""
    whole: list[tuple[int, int]] = []
    for start, end in cuts:
        if whole and not shadow[whole[-1][1] : start].strip():
            first, last = whole.pop()
            whole.append((first, max(last, end)))
        else:
            whole.append((start, end))
    return whole


def _apart(shadow: str, before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Return whether the words around a cut need a space, given the spaces on both sides of it."""
    left, right = before[0], after[1]
    if before[0] < before[1]:
        return after[0] < after[1] or shadow[right : right + 1] not in _CLOSERS
    return after[0] < after[1] and not _opens(shadow, left)


def _opens(shadow: str, at: int) -> bool:
    """Return whether the word before ``at`` has nothing so far but brackets, quotes or emphasis."""
    start = at
    while start and shadow[start - 1] in _OPENERS:
        start -= 1
    return not start or shadow[start - 1].isspace()


def _bytes(source: bytes, spans: Sequence[Span], start: int, end: int) -> Span:
    """Return the bytes of a range of the joined text."""
    return Span(_byte(source, spans, start), _byte(source, spans, end))


def _byte(source: bytes, spans: Sequence[Span], index: int) -> int:
    lines = [source[start:end].decode() for start, end in spans]
    number = 0
    while index > len(lines[number]):
        index -= len(lines[number]) + 1  # 1: the space that joins two lines
        number += 1
    return spans[number].start + len(lines[number][:index].encode())
