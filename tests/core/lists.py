"""Lists of lines as identity sees them, and which line of a whole file became which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.core import match
from omisync.core.model import Entry, Link, Task
from omisync.core.reword import Line

if TYPE_CHECKING:
    from collections.abc import Sequence


def lines(*texts: str, section: str = "") -> list[Line]:
    """Return lines of one section with nothing around them."""
    return [Line(at, text, section, position=at) for at, text in enumerate(texts)]


def matched(news: Sequence[str], olds: Sequence[str]) -> match.Matching:
    """Return which line of a file is which."""
    links = [Link(f"k{at}", f"r{at}", Task(text), "", at) for at, text in enumerate(olds)]
    return match.pair([Entry(Task(text), at) for at, text in enumerate(news, 1)], links)


def in_file(news: Sequence[str], olds: Sequence[str]) -> dict[str, str]:
    """Return which text of a file became which."""
    return {olds[old]: news[new] for new, old in matched(news, olds).pairs}
