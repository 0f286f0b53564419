"""The command line: arguments in, advice and exit codes out.

A run that finds nothing to do ends before anything heavy is imported, so every
command imports what it needs itself.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
from typing import TYPE_CHECKING

from omisync import errors, quick

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TextIO


def main(argv: Sequence[str] | None = None) -> int:
    """Run omisync with these arguments (default: the process's) and return the exit code."""
    _hold_streams()
    _leave_no_core()
    try:
        code = _run(argv)
    except KeyboardInterrupt:
        code = _interrupted("Interrupted.")
    except SystemExit as told:  # argparse has said what there is to say
        code = told.code if isinstance(told.code, int) else errors.OK
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no outcome of a sync
        # Python 3.11 raises another error for one within __set_name__, while modules load.
        cut = isinstance(error.__cause__, KeyboardInterrupt)
        code = _interrupted("Interrupted.") if cut else _own_fault()
    gc.freeze()  # all that is left goes with the process: nobody need look for circles in it
    return _flushed(code)


def _own_fault() -> int:
    """Tell of an exception that nothing expected, with all that is needed to mend it."""
    import traceback

    sys.stderr.write(
        f"{traceback.format_exc()}"
        "omisync: this is a fault of omisync, or of how it is installed. What was synced is safe,"
        " and the next run goes on from there. Please report the lines above.\n"
    )
    return errors.OWN_FAULT


def _hold_streams() -> None:
    """Open what the caller closed: else a store would get the descriptor that messages go to."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - no path of anyone's, and open to the end
        elif mode == "w" and stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, _outliving(stream))


def _outliving(stream: TextIO) -> TextIO:
    """Return the stream so that the end of its reader (``| head``) ends nothing here.

    The sync goes on, and its exit code is that of its result. Neither does a text that the
    encoding of the stream cannot say.
    """
    for_messages = stream is sys.__stderr__
    kind = _Untold if for_messages else _Unread
    raw = io.BufferedWriter(kind(stream.fileno(), "w", closefd=False))
    lines = for_messages or stream.isatty()
    unsayable = "replace" if stream.errors == "strict" else stream.errors
    return io.TextIOWrapper(raw, stream.encoding, unsayable, line_buffering=lines)


class _Unread(io.FileIO):
    """A file that takes what nobody reads any more."""

    def write(self, data: Any, /) -> int:
        """Write; without a reader, as if into ``/dev/null`` from then on."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return super().write(data)


class _Untold(_Unread):
    """One for messages: where they cannot be written, the exit code has to do."""

    def write(self, data: Any, /) -> int:
        """Write, if it can be: a full disk that takes no message ends nothing either."""
        try:
            return super().write(data)
        except OSError:
            return len(data)


def _leave_no_core() -> None:
    """Keep the key, which is in memory, out of a core file should this process crash."""
    import resource

    with contextlib.suppress(OSError, ValueError):  # a sandbox that forbids it
        soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        if soft:
            resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _run(argv: Sequence[str] | None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    ready = quick.run(arguments, os.environ) if "--once" in arguments else None
    if ready is not None:
        if ready.parked or not {"-q", "--quiet"} & set(arguments):
            print(quick.sentence(ready))  # noqa: T201 - data
        return ready.code
    from omisync.cli.arguments import parsed

    # Tasks are made by the thousand and hold each other in no circles: looking for those
    # after each 700, as Python does, is a tenth of a first sync.
    gc.set_threshold(50_000, 20, 100)
    # Nobody's plugins have a say here, and looking for them is a tenth of the start.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    os.umask(os.umask(0o077) & ~0o700)  # what is made here its owner can use
    options = parsed(argv)
    options.own_process = argv is None
    if options.once:
        gc.disable()  # what few circles there are go with the run
    if options.config:
        from omisync import show

        show.called_with(options.config)
    try:
        code: int = options.run(options)
    except errors.OmisyncError as error:
        return _explained(error, as_json=options.json)
    except KeyboardInterrupt:
        go_on = "; the next run goes on from here" if options.once else ""
        return _interrupted(f"Interrupted{go_on}.")
    except OSError as error:
        cure = errors.SCARCE.get(error.errno or 0)
        if error.errno in errors.NO_ROOM:
            return _explained(_full(error), as_json=False)
        if cure is None:
            raise
        told = errors.Strained(
            f"omisync cannot go on: {error.strerror}", f"{cure}; then run it again"
        )
        return _explained(told, as_json=False)
    return code


def _explained(error: errors.OmisyncError, *, as_json: bool) -> int:
    """Tell the person what happened and what to do; return the exit code."""
    from omisync import show

    show.error(error, sys.stderr)
    if as_json:
        fault = {"message": error.message, "advice": show.commands(error.advice)}
        data = {"version": 1, "code": error.exit_code, "error": fault}
        show.write_json(data, sys.stdout)
    return error.exit_code


def _interrupted(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return errors.INTERRUPTED


def _full(error: OSError) -> errors.OmisyncError:
    where = f"{error.filename}" if error.filename else "the output"
    return errors.NoRoom(f"No room on the disk for {where}", "Free some space and try again.")


def _flushed(code: int) -> int:
    """Send the last of our output on its way; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            # What cannot be written now is not tried again when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if error.errno in errors.NO_ROOM:
                code = _explained(_full(error), as_json=False)
    return code
