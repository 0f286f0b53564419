"""The log: one line an event, for a terminal, for the journal and for machines."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omisync import log

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NASTY = 'two\nlines "quoted" \x1b[31mred\x1b[0m \u2028 é ✓ a=b \udcff'
"""What a path, a server or a file may put into a message."""


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def logged(
    form: str = "auto",
    *,
    stream: io.StringIO | None = None,
    environ: Mapping[str, str] | None = None,
    level: str = "info",
) -> str:
    """Return what is written of one warning with a nasty field."""
    stream = io.StringIO() if stream is None else stream
    logger = log.configure(level, form, environ or {}, stream)
    logger.warning("cycle.trouble", what=NASTY, code=75, nothing="", path="a\x1bb")
    return stream.getvalue()


@pytest.mark.parametrize("form", ["auto", "console", "json"])
@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_an_event_is_one_line(form: str, kind: type[io.StringIO]) -> None:
    """Whatever is in a field, it can neither end the line nor move the cursor."""
    text = logged(form, stream=kind(), environ={"NO_COLOR": "1"})
    assert text.endswith("\n")
    assert not any(char in text[:-1] for char in "\n\r\x1b")
    assert "cycle.trouble" in text
    assert "75" in text
    assert "✓" in text


def test_a_plain_line_has_time_level_event_and_fields() -> None:
    """Elsewhere than on a terminal, fields are ``key=value`` as a shell would quote them."""
    text = logged()
    when, level, event, *fields = shlex.split(text.replace("\\", "\\\\"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", when)
    assert (level, event) == ("warning", "cycle.trouble")
    assert [field.partition("=")[0] for field in fields] == ["what", "code", "nothing", "path"]
    assert fields[1:3] == ["code=75", "nothing="]


def test_json_is_one_object_a_line() -> None:
    """Machines read event, level, time and the fields as they were."""
    data = json.loads(logged("json"))
    assert data.pop("timestamp").endswith("Z")
    assert data == {
        "event": "cycle.trouble",
        "level": "warning",
        "what": NASTY,
        "code": 75,
        "nothing": "",
        "path": "a\x1bb",
    }


@pytest.mark.parametrize("form", ["auto", "console", "json"])
def test_no_colours_but_on_a_terminal(form: str) -> None:
    """A file or a pipe gets no escape codes; a terminal does unless it is told not to."""
    assert "\x1b" not in logged(form)
    assert ("\x1b" in logged(form, stream=Terminal())) == (form != "json")
    for environ in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in logged(form, stream=Terminal(), environ=environ)


def test_levels_below_the_chosen_one_are_silent() -> None:
    """``warning`` writes warnings, ``error`` does not."""
    assert logged(level="warning")
    assert not logged(level="error")


@pytest.mark.parametrize(
    ("method", "priority"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3)]
)
def test_the_journal_gets_priorities(tmp_path: Path, method: str, priority: int) -> None:
    """Where JOURNAL_STREAM names the stream, a line begins with <n> and has no time."""
    with (tmp_path / "log").open("w+") as stream:
        place = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{place.st_dev}:{place.st_ino}"}
        getattr(log.configure("debug", "auto", environ, stream), method)("a.b", n=1)
        stream.seek(0)
        assert stream.read() == f"<{priority}>a.b n=1\n"


def test_another_journal_stream_is_not_ours(tmp_path: Path) -> None:
    """A redirected stderr keeps its times although the service's other stream is the journal."""
    with (tmp_path / "log").open("w+") as stream:
        log.configure("info", "auto", {"JOURNAL_STREAM": "1:2"}, stream).info("a.b")
        stream.seek(0)
        assert re.match(r"\d{4}-.* info    a\.b\n", stream.read())


@given(st.dictionaries(st.from_regex(r"x[a-z]{0,7}", fullmatch=True), st.text()))
def test_fields_can_be_told_apart(fields: dict[str, str]) -> None:
    """No value can look like another field, so a line can be searched for ``key=``."""
    stream = io.StringIO()
    log.configure("info", "auto", {"JOURNAL_STREAM": "x"}, stream).info("a.b", **fields)
    line = stream.getvalue().removesuffix("\n")
    unquoted = re.sub(r'"[^"]*"', '""', line)
    names = [word.partition("=")[0] for word in unquoted.split(" ")[1:] if "=" in word]
    assert names == list(fields)


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """Full disk, closed pipe, closed stream: the event is lost, the program goes on."""
    full = open("/dev/full", "w", buffering=1)  # noqa: PTH123, SIM115 - closing fails by design
    logger = log.configure("info", "auto", {}, full)
    logger.info("a.b", n=1)
    logger.info("a.b", n=2)
    with pytest.raises(OSError, match="No space"):
        full.close()
    logger.info("a.b", n=3)


def test_a_reader_that_leaves_does_not_end_the_program() -> None:
    """``2>&1 | head -1`` is no reason to stop syncing."""
    program = """
        from omisync import cli, log
        cli._hold_streams()
        logger = log.configure("info", "auto", {})
        for n in range(10_000):
            logger.info("a.b", n=n)
        print("still there")
    """
    read, write = os.pipe()
    done = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=write,
        text=True,
    )
    os.close(write)
    assert os.read(read, 10)
    os.close(read)
    out, _ = done.communicate(timeout=50)
    assert (out, done.returncode) == ("still there\n", 0)


def test_a_real_terminal_is_recognised() -> None:
    """On a pseudo terminal the line is coloured."""
    ours, theirs = pty.openpty()
    with open(theirs, "w") as stream:  # noqa: PTH123 - a descriptor, no path
        log.configure("info", "auto", {}, stream).info("a.b")
        assert b"\x1b[" in os.read(ours, 1000)
    os.close(ours)


def test_the_log_loads_no_library_for_tracebacks() -> None:
    """Structlog would load rich wherever it is installed; others can still load it."""
    program = """
        import sys
        import omisync.log
        assert "rich" not in sys.modules
        import rich
        assert rich.__file__
        print("well")
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.stdout, done.stderr) == ("well\n", "")
