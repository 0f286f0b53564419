"""The two formats of a todo file behind one face: read it, change it, write into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.core import markdown, toml
from omisync.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omisync.config import Config
    from omisync.core.model import Addition, Change, Document, Rewriting
    from omisync.file import Snapshot

OURS = b"<<<<<<< "
"""How the first line of a conflict begins (git-merge(1))."""


def parsed(config: Config, snapshot: Snapshot, *, places: bool = True) -> Document:
    """Return the file's tasks, with ``places`` to rewrite them and to look for lost ones.

    Raises:
        ParseError: it is TOML and broken, or holds a merge conflict.
    """
    if line := _unmerged(config, snapshot.data):
        raise ParseError(
            f"{config.todo_path}:{line}: a merge conflict is not resolved",
            line,
            1,
            "keep one of its sides, or of both what is right, and delete its marker lines;"
            " until then nothing is sent",
        )
    if not config.is_toml:
        return markdown.parse(snapshot.data, _marks(config), places=places)
    try:
        return toml.parse(snapshot.data)
    except ParseError as error:
        place = f"{config.todo_path}:{error.line}:{error.column}"
        advice = error.advice or "correct that line; until then nothing is sent"
        raise ParseError(f"{place}: {error.message}", error.line, error.column, advice) from None


def _unmerged(config: Config, source: bytes) -> int | None:
    """Return the line where a conflict begins that git left for a person, None without one.

    It stands for the conflict even where its other lines are gone; quoted as code it does not.
    """
    if OURS not in source:
        return None
    quoted = [] if config.is_toml else markdown.fenced(source)
    at = 0
    for number, line in enumerate(source.splitlines(keepends=True), 1):
        if line.startswith(OURS) and not any(code.start <= at < code.end for code in quoted):
            return number
        at += len(line)
    return None


def _marks(config: Config) -> markdown.Marks:
    return markdown.Marks(config.todo.done_marks, config.todo.open_marks)


def rewritten(
    config: Config,
    document: Document,
    changes: Sequence[Change],
    additions: Sequence[Addition] = (),
) -> Rewriting:
    """Return the file with these changes and additions; what cannot be written is refused."""
    if config.is_toml:
        return toml.rewrite(document, changes, additions)
    heading = config.sync.inbox_heading
    return markdown.rewrite(document, changes, additions, _marks(config), heading)


def legible(config: Config) -> Callable[[str], str]:
    """Return what tells how a description reads in this file."""
    return toml.legible if config.is_toml else markdown.legible
