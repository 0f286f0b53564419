"""How any text is written in a task line so that it reads back as itself.

Rule: what ``legible`` returns says nothing but itself: written into a line, with
or without tokens after it, the parser finds this very text in it. A backslash
before what would be a token is enough, and Markdown does not show it.
"""

from __future__ import annotations

import re

from omisync.core.markdown import blocks, words
from omisync.core.model import Span

_CONTROL = "\x00-\x1f\x7f-\x9f"  # category Cc
_UNEVEN = re.compile(rf"[\s{_CONTROL}]{{2,}}|[{_CONTROL}\u2028\u2029]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_ICONS = "📅✅❌➕"

_NOTED = r"@done(?=\()|(?:completion|created|cancelled)(?=::)"

# Most texts have none of these, and are not looked at any closer.
_SIGN = re.compile(rf"[dD][uU][eE](?::|\()|omi:|[{_ICONS}]|<!--|{_NOTED}")

# Where the backslash goes: a date is found behind its icon, any other token by its name.
_NAME = re.compile(rf"@?[dD][uU][eE](?=[:(])|omi:|[{_ICONS}][\ufe0e\ufe0f]?\s*|{_NOTED}")

_BULLET = "- [ ] "
_TAILS = (" 📅 2026-01-31 omi:a", " <!-- a -->", "")
"""What may stand behind a text: tokens, a comment of the person, nothing."""


def legible(description: str) -> str:
    """Return how a description reads as the text of one line; empty where it is blank.

    A run of spaces and line ends becomes one space, a control character a
    space, half of a surrogate pair U+FFFD. Whatever would read as a due token, an
    id, a bookkeeping date or a comment at the end gets a backslash.
    """
    text = _SURROGATE.sub("\ufffd", _UNEVEN.sub(" ", description)).strip()
    if not _SIGN.search(text):
        return text
    for tail in _TAILS:
        while places := _misread(text, tail):
            for at in reversed(places):
                text = f"{text[:at]}\\{text[at:]}"
    return text


def _misread(text: str, tail: str) -> list[int]:
    """Return where the text, with a tail, needs a backslash to be read as text."""
    source = f"{_BULLET}{text}{tail}".encode()
    item = next(one for one in blocks.read(source, 0) if isinstance(one, blocks.Item))
    spans = [Span(len(_BULLET), len(source))]
    signs = [at for at in words.signs(source, spans, item.inlines) if at < len(text)]
    if signs:
        return sorted({_before(text, at) for at in signs})
    shown = words.read(source, words.pieces(source, 0, item), item.inlines).text
    comments = [inline.start for inline in item.inlines if inline.comment]
    begun = [len(source[len(_BULLET) : start].decode()) for start in comments]
    ours = [at for at in begun if at < len(text)]
    return ours[-1:] if shown != text else []


def _before(text: str, at: int) -> int:
    """Return where a backslash makes text of the token that begins at ``at``, brackets included."""
    name = _NAME.search(text, at)
    if not name:  # pragma: no cover - every token has a name
        return at
    return name.end() if name[0][0] in _ICONS else name.start()
