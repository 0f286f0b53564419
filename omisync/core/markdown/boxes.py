"""How a task begins, with a bullet and a box, and what was likely meant as that.

A box that an editor, a formatter or a slip broke is no task to Markdown. Its person
is told, and the item is left alone, as long as the words are there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

BULLET = rb"(?:[-+*]|[0-9]{1,9}[.)])[ \t]+"
BOX = rb"\[([^\]\r\n]{1,7})\](?=[ \t\r\n\v\f])"  # 7: a character and a variation selector
_NO_BREAK = b"\xc2\xa0"  # U+00A0 in UTF-8, as are the marks ✓ and ✔, their variations, and – — •
_BLANKS = rb"(?:[ \t]|" + _NO_BREAK + rb")+"
_MARK = rb"(?:[- xX/><!?*~]|" + _NO_BREAK + rb"|\xe2\x9c[\x93\x94](?:\xef\xb8[\x8e\x8f])?)"
_NEARLY = re.compile(
    rb"[ \t\v\f>]*(?:"
    rb"(?:[-+*]|\xe2\x80[\x93\x94\xa2]|[0-9]{1,9}[.)])\["
    + _MARK
    + rb"?\][ \t]+"  # no blank before the box
    rb"|" + BULLET + rb"(?:\[\](?![(\[:])[ \t]*"  # nothing in it
    rb"|\[" + _MARK + rb"\](?![(\[:]))"  # no blank behind it
    rb"|\\?(?:[-+*]|[0-9]{1,9}\\?[.)])[ \t]+"  # escaped, as a formatter does
    rb"\\\[(?:\\?" + _MARK + rb")?\\?\][ \t]+"
    rb")[^\s]"
)
"""What was likely meant as a task, where no item with a box is; a link is not."""
_SIGN = (  # in UTF-8: punctuation, arrows and shapes, those of keyboards of Asia, emoji; no letter
    rb"(?:(?:[-+*.)\\~]|\xc2[\xa1-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf]|\xe2[\x80\x81\x86-\xaf][\x80-\xbf]"
    rb"|\xe3(?:\x80[\x80-\x84\x88-\xbf]|\x83\xbb)|\xef(?:\xbc[\x8a\x8b\x8d]|\xbd\xa5)"
    rb"|\xf0\x9f[\x80-\xbf]{2})(?:\xef\xb8[\x8e\x8f])?)"
)
_FOREIGN = rb"(?:" + _SIGN + rb"{1,3}|[0-9]{1,9}\\?[.)])" + _BLANKS
_BOXED = re.compile(
    rb"[ \t>]*(?:" + _FOREIGN + rb"\[" + _MARK + rb"\]" + _BLANKS + rb"|\[[ xX/]\][ \t]+)[^\s]"
)
"""The same: a box without a bullet, or behind a foreign one (as Macs write a no-break space).

Without any, a sign in it is more than a mark: log files are full of them.
"""
_BULLET = re.compile(rb"[ \t>]*\\?([-+*]|[0-9]{1,9}\\?[.)])([ \t]*)")
_HELD = re.compile(rb"\[\\?([^]\\]*)")
"""What such a box holds."""
_JOINED = re.compile(rb"([ \t>]*)" + BULLET + BOX)
"""The same where a paragraph goes on: too deep for an item of its own, or not numbered 1."""
_SLIP = re.compile(rb"(?<=\])[!-/:-@\[-`{-~xX][ \t]+")
"""A sign that stands right behind a box: it was meant to stand in it, or is there by mistake."""
NOTE = re.compile(rb"[-+*][ \t]++(?!\[[^\]]{0,7}\](?![(\[]))\S")
"""A note of a task: a bullet without a box."""

_LEFT = "(if it was one with these words, it is left as it is in Omi)"
NO_BOX = (
    f"this is not read as a task {_LEFT}: one begins with `- [ ] ` or `- [x] `, blanks included"
)
"""The warning for what was likely meant as a task."""
NO_BLANK = (
    f"this is not read as a task {_LEFT}: the blank in its box is not a plain one; write `- [ ] `"
)
"""The warning for a box with a blank that is no-break or of full width."""
NO_MARK = (
    f"this is not read as a task {_LEFT}: the mark in its box is in neither open_marks nor"
    " done_marks; write [ ] or [x], or add the mark to one of them under [todo] in the config"
)
"""The warning for a mark that nobody configured."""
TOO_DEEP = "this is part of the text above it, not a task: indent it as deep as its list"
NOTE_TOO_DEEP = "this is part of the text of the task above it: indent it as deep as that box"
NO_BREAK = "this is part of the text above it, not a task: put a blank line before it"
"""The warnings for a task, and for a note of one, that the paragraph before it swallows."""

_DEEP = 4
"""Columns that make a line a part of the paragraph before it, whatever it says (CommonMark)."""


def begins_task(source: bytes, at: int) -> bool:
    """Return whether a line of a paragraph was likely meant as a task."""
    return _JOINED.match(source, at) is not None or is_meant(source, at)


def is_meant(source: bytes, at: int) -> bool:
    """Return whether a line that is no item was likely meant as a task."""
    return bool(_NEARLY.match(source, at) or _BOXED.match(source, at))


def doubt(source: bytes, at: int, known: Collection[bytes]) -> str:
    """Return the warning that a line deserves which was likely meant as a task, if any."""
    joined = _JOINED.match(source, at)
    if joined is None:
        held = _HELD.search(source, at)
        mark = held[1].replace(_NO_BREAK, b" ").strip() if held else b""
        return NO_BOX if mark in {b"", *known} else ""
    if joined[2] not in known:
        return ""
    columns = len(joined[1].rpartition(b">")[2].expandtabs(_DEEP))
    return TOO_DEEP if columns >= _DEEP else NO_BREAK


def bullet(before: bytes) -> bytes:
    """Return the bullet that a damaged line has before its box, or else the usual one."""
    found = _BULLET.match(before)
    if found is None:
        return b"- "
    blanks = found[2] if 0 < len(found[2].expandtabs(_DEEP)) <= _DEEP else b" "  # else code
    return found[1].replace(b"\\", b"") + blanks


def meant(source: bytes, at: int) -> int:
    """Return where the words begin of a line that was likely meant as a task."""
    if joined := _JOINED.match(source, at):
        return joined.end()
    nearly = _NEARLY.match(source, at) or _BOXED.match(source, at)
    begin = nearly.end() - 1 if nearly else at
    slip = _SLIP.match(source, begin)
    return slip.end() if slip else begin
