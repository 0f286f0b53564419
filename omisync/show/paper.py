"""Where people read: a terminal, or a stream that gets the same words plain.

Rule: every piece of text passes ``words.safe`` here, and none is ever read as
markup, so that no task and no server can speak to the terminal. A stream that
is no terminal gets whole lines without colours; rich is not loaded for it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from omisync.show import words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

# Written out: a plan may have thousands of lines, and rich's print takes about
# twenty times as long for each.
STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "magenta": "35",
    "cyan": "36",
}
"""The styles of a piece as the numbers of ECMA-48's SGR, the colours that every terminal has."""

IN_VIEW = 12
"""Characters of an unchanged beginning that stay before a change when a line is too long."""

LEAST = 20
"""Columns that a task's text keeps on a narrow terminal; what follows it is cut then."""

PLAINER = {
    ord("✓"): "ok",
    ord("✗"): "NO",
    ord("…"): "...",
    ord("→"): "->",
    ord("↺"): "<",
    ord("·"): ".",
    ord("“"): '"',
    ord("”"): '"',
}
"""For streams in an encoding without these."""


class Piece(NamedTuple):
    """Some text and its style, a name in ``STYLES``."""

    text: str
    style: str = ""


class Paper:
    """A stream to write lines to. ``terminal`` overrides what the stream says it is.

    ``NO_COLOR`` and ``TERM=dumb`` leave the cut to the width and take the colours.
    """

    def __init__(self, stream: TextIO, terminal: bool | None = None) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        shown = stream.isatty() if terminal is None else terminal
        self._width = _width(stream) if shown else None
        self._coloured = shown and wants_colour()

    def line(
        self, head: Sequence[Piece], body: Sequence[Piece] = (), tail: Sequence[Piece] = ()
    ) -> None:
        """Write one fact on one line; on a terminal ``body`` is cut so that the line fits.

        ``body`` is somebody else's text: a command in it stays as it is.
        """
        head, tail = self._sayable(_called(head)), self._sayable(_called(tail))
        body = self._sayable(body)
        if self._width is not None:
            room = max(LEAST, self._width - _cells([*head, *tail]))
            body = _cut(_in_view(body, room), room)
        self._write(_cut([*head, *body, *tail], self._width))

    def say(self, *pieces: Piece, quotes: bool = False) -> None:
        """Write a message whole, on one line however long: it may hold a command to copy.

        One that ``quotes`` the text of a task holds none of ours.
        """
        self._write(self._sayable(pieces if quotes else _called(pieces)))

    def gap(self) -> None:
        """Write an empty line."""
        self._stream.write("\n")

    def _sayable(self, pieces: Sequence[Piece]) -> list[Piece]:
        return [Piece(self._encodable(words.safe(text)), style) for text, style in pieces]

    def _encodable(self, text: str) -> str:
        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            text = text.translate(PLAINER).encode(self._encoding, "replace").decode(self._encoding)
        return text

    def _write(self, pieces: Sequence[Piece]) -> None:
        texts = (
            f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self._coloured and style and text else text
            for text, style in pieces
        )
        self._stream.write("".join(texts) + "\n")


def _called(pieces: Sequence[Piece]) -> list[Piece]:
    """Return our own words with commands that can be copied as they stand."""
    return [Piece(words.commands(text), style) for text, style in pieces]


def wants_colour() -> bool:
    """Return whether a terminal may be sent colours."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _width(stream: TextIO) -> int:
    """Return the terminal's columns: ``COLUMNS``, else what the terminal says, else 80."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # not a real terminal, or none any more
        columns = 0
    return columns or 80


def _cells(pieces: Sequence[Piece]) -> int:
    """Return the columns that the pieces take: an emoji takes two."""
    from rich.cells import cell_len

    return sum(cell_len(piece.text) for piece in pieces)


def _in_view(body: Sequence[Piece], room: int) -> Sequence[Piece]:
    """Return the body; one too long gives up its unchanged beginning first."""
    excess = _cells(body) - room
    if excess <= 0 or len(body) == 1 or body[0].style:
        return body
    start = body[0].text
    spare = min(excess + 1, len(start) - IN_VIEW)
    return [Piece("…" + start[spare:]), *body[1:]] if spare > 1 else body


def _cut(pieces: Sequence[Piece], room: int | None) -> Sequence[Piece]:
    """Return the pieces in so many columns, with ``…`` where something is left out."""
    if room is None or _cells(pieces) <= room:
        return pieces
    from rich.cells import cell_len, set_cell_size

    kept: list[Piece] = []
    for piece in pieces:
        size = cell_len(piece.text)
        if size >= room:
            return [*kept, Piece(set_cell_size(piece.text, room - 1) + "…", piece.style)]
        kept.append(piece)
        room -= size
    return kept
