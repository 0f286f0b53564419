"""The bytes that say a changed or an added task, in the manner of the file.

Rule: a change touches its own task's bytes and no others: the box where it is
ticked, the token where it is due at another time, the text where it reads
otherwise. Tokens that a person wrote survive a change of the text, and what Obsidian
links to a line by, a ``^id`` at the end of its text, stays behind every token.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from omisync.core import due
from omisync.core.markdown import words
from omisync.core.markdown.blocks import LINE_END
from omisync.core.model import BOM, WRITABLE_ID, Span
from omisync.core.splice import Splice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from omisync.core.markdown.blocks import Item
    from omisync.core.markdown.entries import Marks
    from omisync.core.model import Addition, Change, Document, Entry, Task

_T = TypeVar("_T")

_WORD = re.compile(rb"\S+")
_BLOCK_ID = re.compile(r"(?:\A|[ \t])(\^[A-Za-z0-9-]+)\Z")

_CANCELLED = (b"-", rb"\-")
_BULLETS = (b"-", b"*", b"+")
_LINE_ENDS = (b"\n", b"\r\n", b"\r")
_BLANK = b" \t"
_SPACE = ord(" ")
_TAB = 4  # columns, CommonMark
_QUOTE_OR_BLANK = re.compile(rb"[ \t>]*")
_CLOSERS = b".,;:!?)]}*_~\"'"
"""What stands right behind a word, so that a token before it needs no space after it."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the file's tasks are written: what most of them have in common."""

    bullet: bytes
    done: bytes
    open: bytes
    style: due.Style
    line_end: bytes


def manner(document: Document, marks: Marks) -> Manner:
    """Return how the tasks of a document are written, and how where there are none."""
    source = document.source
    entries = document.entries
    done = (source[e.box.start : e.box.end] for e in entries if e.task.completed and e.box)
    bullets = (source[e.span.start : e.span.start + 1] for e in entries)
    crlf = source.count(b"\r\n")
    ends = (source.count(b"\n") - crlf, crlf, source.count(b"\r") - crlf)
    return Manner(
        _most((one for one in bullets if one in _BULLETS), b"-"),
        _most((one for one in done if one not in _CANCELLED), _first(marks.done, "x")),
        _first(marks.open, " "),
        _most((_style(source, e.due_span) for e in entries if e.due_span), due.ICON),
        _LINE_ENDS[ends.index(max(ends))],
    )


def _most(found: Iterable[_T], otherwise: _T) -> _T:
    """Return the most frequent value, of equals the first one."""
    ((value, _),) = Counter(found).most_common(1) or [(otherwise, 0)]
    return value


def _first(signs: str, usual: str) -> bytes:
    return (usual if usual in signs else signs[:1]).encode()


def _style(source: bytes, span: Span) -> due.Style:
    """Return the style of a token without what is special to this one."""
    token = source[span.start : span.end]
    if "📅".encode() in token:
        return due.ICON
    if b"::" in token:
        return due.FIELD if b"[" in token[: token.index(b"::")] else due.ROUND_FIELD
    return due.CALL if b"@" in token else due.WORD


def writable(identifier: str | None) -> str | None:
    """Return an explicit id that can stand in a line, None for any other."""
    return identifier if identifier and WRITABLE_ID.fullmatch(identifier) else None


def added(addition: Addition, how: Manner) -> bytes:
    """Return the line of an added task, without its end."""
    task = addition.task
    token = due.token(task.due, how.style) if task.due else ""
    said = _said(task.text, [token, _id_token(addition.explicit_id)])
    return how.bullet + b" [" + _mark(task, how) + b"] " + said


def _mark(task: Task, how: Manner) -> bytes:
    return how.done if task.completed else how.open


def _id_token(identifier: str | None) -> str:
    return f"omi:{identifier}" if writable(identifier) else ""


def _said(text: str, tokens: Sequence[str]) -> bytes:
    """Return a text with its tokens behind it, but before a ``^id``."""
    block_id = _block_id(text)
    words = text[: -len(block_id) - 1] if block_id else text
    return _joined([words, *tokens, block_id])


def _block_id(text: str) -> str:
    """Return the ``^id`` that ends a text, empty where there is none."""
    found = _BLOCK_ID.search(text)
    return found[1] if found else ""


def _joined(parts: Iterable[str]) -> bytes:
    return " ".join([part for part in parts if part]).encode()


def changed(
    source: bytes, change: Change, item: Item | None, how: Manner, *, anew: bool
) -> Iterator[Splice]:
    """Yield the splices that turn an entry into the task that is asked for.

    ``item`` is its block, needed for all but a change of the box. ``anew`` writes the
    whole text and its tokens again, not only the words that differ.
    """
    entry, task = change.entry, change.task
    if task is None:
        if item:  # pragma: no branch - it is needed here
            yield from _removed(source, entry, item, dedent=not anew)
        return
    end = entry.span.end
    if task.completed != entry.task.completed and entry.box:
        yield Splice(*entry.box, _mark(task, how))
    if item and (anew or task.text != entry.task.text):
        new = _retold(source, change, item, how)
        yield Splice(entry.text_spans[0].start, end, new) if anew else _woven(source, entry, new)
        return
    tail = ["" if entry.explicit_id else _id_token(change.explicit_id)]
    yield from _named(source, change)
    if task.due != entry.task.due:
        if not entry.due_span:
            tail.insert(0, due.token(task.due or "", how.style))
        elif task.due:
            style = due.find(_spelled(source, entry, entry.due_span)).token
            yield Splice(*entry.due_span, _joined([due.token(task.due, (style or how).style)]))
        else:
            yield _undated(source, entry, entry.due_span)
    if any(tail):
        start, _ = entry.text_spans[-1]
        block_id = _block_id(source[start:end].decode())
        at = end - len(block_id)
        yield Splice(at, at, _joined(tail) + b" " if block_id else b" " + _joined(tail))


def _named(source: bytes, change: Change) -> Iterator[Splice]:
    """Yield what puts another id in the place of the one that an entry has."""
    entry, identifier = change.entry, writable(change.explicit_id)
    if not entry.explicit_id or not identifier or identifier == entry.explicit_id:
        return
    token = rf"omi:{re.escape(entry.explicit_id)}(?!{WRITABLE_ID.pattern})".encode()
    # The first one counts.
    if found := re.compile(token).search(source, entry.text_spans[0].start, entry.span.end):
        yield Splice(*found.span(), _id_token(identifier).encode())


def _spelled(source: bytes, entry: Entry, token: Span) -> str:
    """Return the due token of an entry, joined where it goes on in the next line."""
    cuts = [(max(token.start, s), min(token.end, e)) for s, e in entry.text_spans]
    return " ".join([source[start:end].decode() for start, end in cuts if start < end])


def _undated(source: bytes, entry: Entry, token: Span) -> Splice:
    """Return the cut of a due token and the blank beside it; a line of its own goes with it."""
    lines = [at for span in entry.text_spans for at in span]
    start, stop = token
    begin = max(span.start for span in entry.text_spans if span.start <= start)
    end = min(span.end for span in entry.text_spans if span.end >= stop)
    if start in lines and stop in lines:
        before = [at for at in lines if at < start]
        after = [at for at in lines if at > stop]
        return Splice(before[-1] if before else start, stop if before or not after else after[0])
    left, right = start, stop
    while left > begin and source[left - 1] in _BLANK:
        left -= 1
    while right < end and source[right] in _BLANK:
        right += 1
    if left < start and (right > stop or right == end or source[right] in _CLOSERS):
        return Splice(left, stop)
    is_open = start in lines or source[start - 1] in b"([{*_~\"'"
    return Splice(start, right if is_open else stop)


def _retold(source: bytes, change: Change, item: Item, how: Manner) -> bytes:
    """Return the whole text anew: the words, then the tokens as they are spelled."""
    entry, task = change.entry, change.task
    spelled, which = words.tokens(source, entry.text_spans, item.inlines)
    wanted = task.due if task else None
    if wanted != entry.task.due:
        if which is None:
            spelled.append(due.token(wanted or "", how.style))
        else:
            old = due.find(spelled[which]).token
            spelled[which] = due.token(wanted, (old or how).style) if wanted else ""
    tokens = [token.strip() for token in spelled]
    if identifier := _id_token(change.explicit_id):
        former = f"omi:{entry.explicit_id}"
        if former in tokens:
            tokens[tokens.index(former)] = identifier
        else:
            tokens.append(identifier)
    return _said(task.text if task else "", tokens)


def _woven(source: bytes, entry: Entry, new: bytes) -> Splice:
    """Return what makes ``new`` of a text, with the first and last words left where they are.

    So a text that goes on over several lines keeps their ends.
    """
    old = [Span(*one.span()) for span in entry.text_spans for one in _WORD.finditer(source, *span)]
    words = new.split()
    was = [source[start:end] for start, end in old]
    head = _in_common(was, words)
    tail = _in_common(was[head:][::-1], words[head:][::-1])
    before, gone, after = old[:head], old[head : len(old) - tail], old[len(old) - tail :]
    put = b" ".join(words[head : len(words) - tail])
    if put and gone:
        return Splice(gone[0].start, gone[-1].end, put)
    if not gone:
        at = before[-1].end if before else after[0].start
        return Splice(at, at, b" " + put if before else put + b" ")
    if before and not (after and LINE_END.search(source, before[-1].end, gone[0].start)):
        return Splice(before[-1].end, gone[-1].end)
    return Splice(gone[0].start, after[0].start)


def _in_common(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    """Return how many words two texts begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _removed(source: bytes, entry: Entry, item: Item, *, dedent: bool) -> Iterator[Splice]:
    """Yield the cut of an item's own lines; what is nested in it takes its place."""
    start = _line_start(source, item.bullet)
    prefix = source[start : item.bullet]
    end = _text_end(source, entry, item)
    line_end = LINE_END.search(source, end)
    if not _QUOTE_OR_BLANK.fullmatch(prefix):  # it begins in the line of another item
        yield Splice(item.bullet, line_end.start() if line_end else len(source))
        return
    if line_end:
        yield Splice(start, line_end.end())
        if dedent:
            yield from _dedented(source, item, prefix, line_end.end())
        return
    if source.endswith((b"\n", b"\r"), 0, start):  # the file keeps to having none at its end
        start -= 2 if source.endswith(b"\r\n", 0, start) else 1
    yield Splice(start, len(source))


def _line_start(source: bytes, at: int) -> int:
    start = max(source.rfind(sign, 0, at) for sign in (b"\n", b"\r")) + 1
    return start or (len(BOM) if source.startswith(BOM) else 0)


def _text_end(source: bytes, entry: Entry, item: Item) -> int:
    """Return where an item's own lines end: its text, and the comments right behind it."""
    end = entry.span.end
    for inline in item.inlines:
        if inline.comment and inline.start >= end and not source[end : inline.start].strip(_BLANK):
            end = inline.end
    return end


def _dedented(source: bytes, item: Item, prefix: bytes, at: int) -> Iterator[Splice]:
    """Yield the cuts that bring what is nested in an item to the place of its bullet."""
    first = len(prefix.expandtabs(_TAB))
    width = len((prefix + source[item.bullet : item.box.start - 1]).expandtabs(_TAB)) - first
    while at < item.whole:
        found = LINE_END.search(source, at)
        end, following = found.span() if found else (len(source), len(source))
        if source.startswith(prefix, at) and source[at:end].strip(_BLANK):
            start = stop = at + len(prefix)
            column = first
            while stop < end and column < first + width and source[stop] in _BLANK:
                column += 1 if source[stop] == _SPACE else _TAB - column % _TAB
                stop += 1
            if stop > start:
                yield Splice(start, stop)
        at = following
