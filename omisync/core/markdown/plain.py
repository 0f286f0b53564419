"""The lines that most files consist of, read as a whole and not one by one.

Rule: a file reads here as it does in ``entries``, to the last span, only sooner.
A plain line is an item or a heading at the left margin whose words hold no sign
that could mean anything. Such a line ends whatever came before it, so what lies
between two of them can be read by itself.

What is not plain goes to ``entries``, together with the plain line before it,
which it may continue. Code, HTML and front matter can swallow plain lines, and a
link can be defined anywhere: from there on, or as a whole, the file goes there.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from omisync.core.markdown import blocks
from omisync.core.model import DESCRIPTION_LIMIT, Entry, Notice, Span, Task
from omisync.core.unchanged import LazySequence, fingerprint, fingerprints

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable

    from omisync.core.markdown.blocks import Section

    Read = Callable[[int, int, Section], tuple[list[Entry], list[Notice], Section]]
    """Reads a part of the source, from one offset to another, below a section."""

RUN = 64
"""Lines at most that are read, and remembered, together."""

# Letters and signs without a meaning, in UTF-8: no markup, no space, no emoji of a date.
_BEYOND = (
    rb"[\xc3-\xdf][\x80-\xbf]|\xe2\x80[\x90-\xa7]|\xe3[\x81-\xbf][\x80-\xbf]"
    rb"|[\xe4-\xed][\x80-\xbf]{2}|\xf0\x9f(?![\x93\x97])[\x80-\xbf]{2}"
)
_SIGN = rb"[!\"#$%'()+,\-./0-9;=?A-Z\^a-z{|}~]"
_WORD = rb"(?:" + _SIGN + rb"++|" + _BEYOND + rb")++"
# What begins a paragraph and nothing else.
_FIRST = rb"(?:[A-Za-z\"'($%]|#[0-9A-Za-z]|[0-9]++(?![.)])|" + _BEYOND + rb")"
_DAY = rb"[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"  # a day that every month has
_END = rb"(?=\r?\n|\Z)"

_BOX = rb"[-*+] \[([ xX])\] (?![^\n]{%d})" % DESCRIPTION_LIMIT  # none that would be cut
_TEXT = rb"(%b(?:%b)?+(?: (?!due:)%b)*+)" % (_FIRST, _WORD, _WORD)
_DUE = rb"(?: ((?:\xf0\x9f\x93\x85 |due:)(%b)))?+" % _DAY  # in UTF-8: the calendar
_ITEM = _BOX + _TEXT + _DUE + _END
_TITLE_SIGN = rb"(?:[!\"$%'()+,\-./0-9:;=?@A-Z\^a-z{|}~]|" + _BEYOND + rb")"
_HEADING = rb"(#{1,6}) ((?:[A-Za-z0-9]|%b)(?: ?%b)*+)" % (_BEYOND, _TITLE_SIGN) + _END

_ITEMS = re.compile(rb"(?:%b(?:\r?\n|\Z)|\r?\n){0,%d}+" % (_ITEM, RUN))
_ONE = re.compile(rb"^" + _ITEM, re.MULTILINE)
_TITLE = re.compile(_HEADING + rb"(?:\r?\n|\Z)")
_SWALLOWS = re.compile(rb"```|~~~|(?:\A|[\r\n])(?:[^A-Za-z\r\n]|\[[xX]\])*<")


@lru_cache(maxsize=1 << 12)
def _fingerprints(lines: bytes, section: str) -> array[int]:
    """Return the fingerprints of these plain lines; most are cached from the last reading."""
    return fingerprints(
        fingerprint(text.decode(), mark != b" ", day.decode() if day else None, section)
        for mark, text, _, day in _ONE.findall(lines)
    )


@cache
def _plain() -> re.Pattern[bytes]:
    """Return what finds a plain line: compiled late, for many files have no other lines."""
    return re.compile(rb"^(?:%b|%b)" % (_ITEM, _HEADING), re.MULTILINE)


class _Run(NamedTuple):
    """Items of one section: where their lines begin and end, and how many came before."""

    start: int
    stop: int
    before: int
    section: str


def entries(source: bytes, read: Read, *, places: bool) -> tuple[LazySequence[Entry], list[Notice]]:
    """Return the entries and the notices of a file; ``read`` reads what is not plain."""
    sheet = _Sheet(source, places)
    begin = blocks.begin(source)
    if not is_readable(source, begin):
        sheet.hard(begin, len(source), read)
    else:
        sheet.fill(begin, read)
    may_reorder = any(entry.explicit_id is not None for entry in sheet.known.values())
    made = sheet.known
    found = LazySequence(sheet.fingerprints, sheet.entry, made=made, may_reorder=may_reorder)
    return found, sheet.notices


def is_readable(source: bytes, begin: int) -> bool:
    """Return whether a file can be read in parts at all."""
    return not (
        begin  # a mark that looks like a letter before the first line
        or b"]:" in source  # a link may be defined below its use
        or source.startswith((b"---", b"+++"))
    )


class _Sheet:
    """The entries so far: those of plain lines by their place, the others as they are."""

    def __init__(self, source: bytes, places: bool) -> None:
        self.source = source
        self.places = places
        self.fingerprints = fingerprints()
        self.known: dict[int, Entry] = {}
        self.notices: list[Notice] = []
        self.section = blocks.Section()
        self.runs: list[_Run] = []
        self._before: list[int] = []  # of each run, to find the one of an entry quickly
        self._latest = -1
        self._made: list[Entry] = []
        self._lines: list[int] | None = None

    def fill(self, at: int, read: Read) -> None:
        """Read from ``at`` to the end."""
        source, end = self.source, len(self.source)
        while at < end:
            match = _ITEMS.match(source, at)
            stop = match.end() if match else at
            heading = _TITLE.match(source, stop)
            if heading or stop == end or _ONE.match(source, stop):
                self.plain(at, stop)
                if heading:
                    level, title = len(heading[1]), heading[2].decode()
                    self.section = self.section.below(blocks.Heading(level, title))
                    stop = heading.end()
                at = stop
                continue
            last = source.rfind(b"[", at, stop)  # the box of the last item: words hold none
            start = stop if last < 0 else last - len(b"- ")
            self.plain(at, start)
            following = _plain().search(source, stop)
            at = following.start() if following else end
            if _SWALLOWS.search(source[start:at]):
                at = end
            self.hard(start, at, read)

    def plain(self, start: int, stop: int) -> None:
        """Add the plain items between two offsets."""
        section = self.section.path
        found = _fingerprints(self.source[start:stop], section)
        if found:
            self.runs.append(_Run(start, stop, len(self.fingerprints), section))
            self._before.append(len(self.fingerprints))
            self.fingerprints += found

    def hard(self, start: int, stop: int, read: Read) -> None:
        """Add what ``read`` finds between two offsets."""
        found, notices, self.section = read(start, stop, self.section)
        for entry in found:
            task = entry.task
            self.known[len(self.fingerprints)] = entry
            self.fingerprints.append(
                fingerprint(task.text, task.completed, task.due, entry.section)
            )
        self.notices += notices

    def entry(self, at: int) -> Entry:
        """Return the entry of a plain line; who asks for one asks for its neighbours next."""
        number = bisect_right(self._before, at) - 1
        if number != self._latest:
            self._latest, self._made = number, self._entries(self.runs[number])
        return self._made[at - self.runs[number].before]

    def _entries(self, run: _Run) -> list[Entry]:
        """Return the entries of a run."""
        if self._lines is None:
            self._lines = blocks.line_starts(self.source)
        made = []
        for one in _ONE.finditer(self.source, run.start, run.stop):
            mark, text, _, day = one.groups()
            task = Task(text.decode(), mark != b" ", day.decode() if day else None)
            line = bisect_right(self._lines, one.start())
            made.append(Entry(task, line, run.section, None, *(_spans(one) if self.places else ())))
        return made


def _spans(item: re.Match[bytes]) -> tuple[Span, Span, tuple[Span, ...], Span | None]:
    """Return where an entry has its item, its box, its text and its due token."""
    start, end = item.span()
    due = Span(*item.span(3)) if item[3] else None
    return Span(start, end), Span(*item.span(1)), (Span(item.start(2), end),), due
