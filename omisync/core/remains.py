"""Warn when a removed task's text is still in the file but no longer parses as a task.

Rule: the warning does not stop the removal, for the person may have meant it. But a
heading between a task and its sub-tasks, a bullet that an editor replaced, or a fence
left open removes tasks without a word being deleted, and nobody would look for that.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import accumulate, islice
from typing import TYPE_CHECKING

from omisync.core.model import Notice
from omisync.core.plan import RemoveRemote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omisync.core.model import Document, Entry
    from omisync.core.plan import Plan

AT_MOST = 20
"""Removed tasks that are searched for; who reads of twenty looks at the file."""
_NOT_READ = "this is no longer read as a task, so it counts as removed: a task is "
MARKDOWN = f"{_NOT_READ}a bullet and a box, [ ] or [x], and is indented only below a task or a list"
JOINED = (
    "this is part of the task before it, so a task with these words counts as removed: begin it on"
    " a line of its own, as `- [ ] text`"
)
TOML = f"{_NOT_READ}a table of the list [[todo]]"
_BOX = re.compile(r"[^\w]{0,40}\w{0,2}[^\w]{0,40}")
"""What stands before the words on their line where it is nearly a bullet and a box."""
_INSIDE = re.compile(r".*\S\s+(?:[-+*]|\d{1,9}[.)])\s+\[[^\]]{1,2}\]\s+")
"""The same where lines were joined: a bullet and a box behind other words."""
_KEY = re.compile(r"[\s#]*[\"']?(?:description|text|title)[\"']?\s*=\s*[\"']+")
"""The same for a key of TOML, in a comment even."""


def notices(document: Document, decided: Plan) -> tuple[Notice, ...]:
    """Return a notice for each open task that is removed while its words stand in the file.

    Lines of which the document says something already are left out. Where it has no task,
    what it says is that.
    """
    removed = [op.link for op in decided.ops if isinstance(op, RemoveRemote)]
    texts = dict.fromkeys(link.seen.text for link in [*removed, *decided.waiting])
    if not texts:
        return ()
    lines = document.source.splitlines(keepends=True)  # of bytes: at CR, LF and CRLF only
    ends = list(accumulate(map(len, lines)))
    found: dict[int, str] = {}
    for text in islice(texts, AT_MOST):
        words = text.encode()
        for at, line in enumerate(lines):
            what = _read_as(line, words) if words in line else ""
            if what and (what := _judged(what, _holder(document.entries, ends, at), ends, at)):
                found[at + 1] = what
                break
    told = {notice.line for notice in document.notices if document.entries}
    return tuple(Notice(line, found[line], passing=True) for line in sorted(found.keys() - told))


def _read_as(line: bytes, words: bytes) -> str:
    """Return what to say of a line that says these words and no others before them, or ""."""
    before, _, after = (part.decode() for part in line.partition(words))
    if re.match(r"\w", after):
        return ""
    if _KEY.fullmatch(before):
        return TOML
    if _INSIDE.fullmatch(before):
        return JOINED
    return MARKDOWN if _BOX.fullmatch(before) else ""


def _judged(what: str, holder: Entry | None, ends: Sequence[int], at: int) -> str:
    """Return what to say of a line, given the task that it is part of."""
    if holder is None:
        return MARKDOWN if what == JOINED else what
    goes_on = bool(at) and holder.span.start < ends[at - 1]
    return JOINED if what == JOINED or (what == MARKDOWN and goes_on) else ""


def _holder(entries: Sequence[Entry], ends: Sequence[int], at: int) -> Entry | None:
    """Return the task that a line is part of; ``ends`` are the byte offsets where lines end."""
    last = bisect_left(entries, ends[at], key=lambda entry: entry.span.start) - 1
    start = ends[at - 1] if at else 0
    return entries[last] if last >= 0 and entries[last].span.end > start else None
