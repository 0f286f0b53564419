"""Tells removed tasks whose words still stand in the file, where they are not read as a task.

Rule: that keeps no task, for a person may have meant it. But a heading between a
task and its sub-tasks, a bullet that an editor replaced, or a fence that is open takes
tasks away without a word being deleted, and nobody would look for it.
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
"""Removed tasks that are looked for; who reads of twenty looks at the file."""
NOT_READ = (
    "this is no longer read as a task, so it counts as removed: a task is a bullet and a box, [ ]"
    " or [x], and is indented only below a task or a list"
)
_LEAD = re.compile(r"[^\w]{0,40}\w{0,2}[^\w]{0,40}|\s*text\s*=\s*[\"']+")
"""What stands before the words on their line: nearly a bullet and a box, or a key of TOML."""


def notices(document: Document, decided: Plan) -> tuple[Notice, ...]:
    """Return a notice for each open task that is removed while its words stand in the file.

    Lines of which the document says something already are left out.
    """
    removed = [op.link for op in decided.ops if isinstance(op, RemoveRemote)]
    texts = dict.fromkeys(link.seen.text for link in [*removed, *decided.waiting])
    if not texts:
        return ()
    lines = document.source.splitlines(keepends=True)  # of bytes: at CR, LF and CRLF only
    ends = list(accumulate(map(len, lines)))
    found = set()
    for text in islice(texts, AT_MOST):
        words = text.encode()
        for at, line in enumerate(lines):
            if words in line and _leads(line, words) and not _is_read(document.entries, ends, at):
                found.add(at + 1)
                break
    told = {notice.line for notice in document.notices}
    return tuple(Notice(line, NOT_READ) for line in sorted(found - told))


def _leads(line: bytes, words: bytes) -> bool:
    """Return whether a line says these words and no others before them."""
    before, _, after = line.partition(words)
    return bool(_LEAD.fullmatch(before.decode())) and not re.match(r"\w", after.decode())


def _is_read(entries: Sequence[Entry], ends: Sequence[int], at: int) -> bool:
    """Return whether a line is one of a task; ``ends`` are the byte offsets where lines end."""
    last = bisect_left(entries, ends[at], key=lambda entry: entry.span.start) - 1
    start = ends[at - 1] if at else 0
    return last >= 0 and entries[last].span.end > start
