"""Set logging up: for a person at a terminal, for the journal, for machines.

Events are ``noun.verb`` with fields. Task texts appear only at debug, keys
never. The library is loaded when the first command that logs asks for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
    from typing import TextIO

    from structlog.typing import Processor


@contextlib.contextmanager
def _without(library: str) -> Iterator[None]:
    """Let a library look as if it were not installed, unless it is loaded already."""
    modules: dict[str, object] = sys.modules  # type: ignore[assignment]  # None: "not found"
    hidden = library not in modules
    if hidden:
        modules[library] = None
    try:
        yield
    finally:
        if hidden:
            del modules[library]


# It would load rich only to draw tracebacks, which are not logged: 4 MB, 60 ms.
with _without("rich"):
    import structlog

PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""syslog priorities, which the journal reads from a ``<n>`` before the line (sd-daemon(3))."""


def configure(
    level: str, form: str, environ: Mapping[str, str], stream: TextIO | None = None
) -> structlog.stdlib.BoundLogger:
    """Return the logger of this process, writing to ``stream`` (default: stderr).

    ``form`` is ``auto``, ``console`` or ``json``. ``console`` is for eyes,
    coloured on a terminal; ``auto`` is that on a terminal, and elsewhere one
    ``key=value`` line an event, with the priority that the journal understands
    where it listens. Every event is one line. A line that cannot be written
    (full disk, closed pipe) is lost: syncing goes on without it.
    """
    out = stream if stream is not None else sys.stderr
    terminal = out.isatty()
    processors: list[Processor] = [structlog.processors.add_log_level]
    if form == "json":
        processors += [_stamped(), structlog.processors.JSONRenderer(ensure_ascii=False)]
    elif terminal or form == "console":
        colours = terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        processors += [
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            # 18: cells of the event. repr: what is quoted of servers and files must not move
            # the cursor.
            structlog.dev.ConsoleRenderer(
                18, colors=colours, repr_native_str=True, sort_keys=False
            ),
        ]
    elif _to_journal(out, environ):
        processors += [_journal_line]
    else:
        processors += [_stamped(), _plain_line]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(out))),
        cache_logger_on_first_use=False,
    )
    logger: structlog.stdlib.BoundLogger = structlog.get_logger()
    return logger


def loop_trouble(
    logger: structlog.stdlib.BoundLogger, scarce: Collection[int]
) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Return what tells once, in one line, of what an event loop lacked.

    Those are the errors of the system with a number in ``scarce``: of too few descriptors
    for a connection, say, it would tell with a traceback each second.
    """
    told: set[tuple[str, str]] = set()

    def tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in scarce:
            loop.default_exception_handler(context)
        elif (what := (context["message"], str(error))) not in told:
            told.add(what)
            logger.warning("loop.trouble", what=context["message"], why=str(error))

    return tell


class _Unfailing:
    """What is used of a stream to print to, without its errors."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # ValueError: it was closed
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def _stamped() -> Processor:
    return structlog.processors.TimeStamper(fmt="iso", utc=True)


def _to_journal(out: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether the stream is the journal: ``JOURNAL_STREAM`` names it (systemd.exec(5))."""
    try:
        place = os.fstat(out.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{place.st_dev}:{place.st_ino}"


def _journal_line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """Render without time (the journal has its own) and with the priority in front."""
    level = str(event.get("level", "info"))
    return f"<{PRIORITY.get(level, 6)}>{_pairs(event)}"


def _plain_line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    stamp, level = event.pop("timestamp", ""), event.get("level", "info")
    return f"{stamp} {level:7} {_pairs(event)}"


def _pairs(event: MutableMapping[str, Any]) -> str:
    """Return the event's name and its fields as ``key=value``, on one line."""
    name = event.pop("event", "")
    event.pop("level", None)
    return " ".join([str(name), *(f"{key}={_value(value)}" for key, value in event.items())])


def _value(value: object) -> str:
    text = str(value)
    plain = text and all(char.isprintable() and char not in ' "=' for char in text)
    return text if plain else f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return shown.replace('"', "'")
