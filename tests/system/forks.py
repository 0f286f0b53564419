"""Commands that start in an instant: each is a fork of a process that has loaded everything.

Rule: a forked command is a process like ``python -m omisync``: its own pid, a
child of the test's process, with the streams, folder, environment, umask, signals
and limits that the other would have.  What is loaded already is all the difference.
Whatever would change how Python itself starts is left to a real start.

Run as a program, this file is the process that is forked: ``forks.py DESCRIPTOR``.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

SUBREAPER = 36
"""prctl(2): orphans below this process become its children."""

MESSAGE = 2**20
"""Bytes of the longest command with its environment; both are small."""

OF_PYTHON = ("COVERAGE", "LANG", "LC_", "LD_", "MALLOC_", "PYTHON")
"""How the names begin that have a say before a line of ours runs."""

AFTER = 3
"""Where the arguments of a command begin, after those of Python: ``python -m omisync``."""

ORPHANED = b"."
"""Follows the pid of a command as soon as it is a child of the test's process."""

LATER = (
    "aiohttp", "asyncio", "encodings.ascii", "encodings.utf_8_sig", "pydantic", "pyromark",
    "rapidfuzz", "resource", "rich.progress", "tomli_w", "watchfiles",
)  # fmt: skip
"""What commands import once they know that they need it."""

HUGE = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Few pages to copy for each fork, where Linux and the C library have large ones."""

PACKAGE = Path(__file__).parents[2] / "omisync"


class Job(NamedTuple):
    """A command to become."""

    arguments: list[str]
    folder: str
    environ: dict[str, str]
    umask: int
    streams: list[int]


# In the test's process.


class Forks:
    """The process that is forked; it starts when the first command does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._talk: socket.socket | None = None
        self._about: dict[str, str] = {}

    def suits(self, environ: Mapping[str, str]) -> bool:
        """Return whether a fork starts as Python would in this environment."""
        if sys.platform != "linux" or any(name.startswith("COVERAGE") for name in environ):
            return False  # a measured process writes what it measured of its own start
        with self._lock:
            if self._talk is None:
                self._start(environ)
            return _of_python(environ) == self._about

    def fork(self, job: Job) -> int:
        """Let a command start; return its pid, which is that of a child of this process."""
        with self._lock:
            assert self._talk is not None, "suits() comes first"
            message = json.dumps(job[:-1]).encode()
            socket.send_fds(self._talk, [message], job.streams)
            pid = int(self._talk.recv(MESSAGE))
            assert self._talk.recv(MESSAGE) == ORPHANED
            return pid

    def _start(self, environ: Mapping[str, str]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.prctl(SUBREAPER, 1, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())
        self._about = _of_python(environ)
        self._talk, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                env={**self._about, **HUGE, "PATH": os.defpath},
                pass_fds=[theirs.fileno()],
            )

    def close(self) -> None:
        """End the process; the next command starts another."""
        with self._lock:
            if self._talk is not None and self._process is not None:
                self._talk.close()
                self._talk = None
                self._process.wait()


FORKS = Forks()
"""One for all tests of a process: the session ends it."""


class Forked(subprocess.Popen[str]):
    """``Popen`` of a command that is a fork: to wait for, to signal, to read, like any other."""

    def _execute_child(self, *given: Any) -> None:
        # What Popen hands over to fork and exec, in this order since Python 3.11.
        arguments, folder, environ, ends = given[0], given[5], given[6], given[10:16]
        streams = [ends[0], ends[3], ends[5]]
        try:
            job = Job(arguments[AFTER:], str(folder), environ, umask(), streams)
            self.pid = FORKS.fork(job)
            self._child_created = True
        finally:
            self._close_pipe_fds(*ends)  # type: ignore[attr-defined]  # as Popen's own does


def umask() -> int:
    """Return the umask of this process; to ask the usual way is to change it for a moment."""
    (line,) = re.findall(r"^Umask:\s*(\d+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(line, 8)


def _of_python(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(OF_PYTHON)}


# In the process that is forked.


def load() -> None:
    """Import all that a command may import."""
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # as the command line does
    import_module("omisync.log")  # first, as in a daemon: it keeps rich away from structlog
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        if path.name != "__main__.py":
            import_module(name.removesuffix(".__init__"))
    for name in LATER:
        import_module(name)


def serve(talk: socket.socket) -> Job | None:
    """Fork for each command that is asked for; return its job in the child, None at the end."""
    while True:
        message, streams, _, _ = socket.recv_fds(talk, MESSAGE, 3)
        if not message:
            return None
        middle = os.fork()
        if not middle:
            # The child of one that ends is an orphan, and goes to the test's process.
            child = os.fork()
            if not child:
                return Job(*json.loads(message), streams)
            talk.send(str(child).encode())
            os._exit(0)
        os.waitpid(middle, 0)
        for stream in streams:
            os.close(stream)
        talk.send(ORPHANED)


def become(job: Job) -> None:
    """Run the command as ``python -m omisync`` does, in this process."""
    for number, stream in enumerate(job.streams):
        os.dup2(stream, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.umask(job.umask)
    os.chdir(job.folder)
    os.environ.clear()
    os.environ.update(job.environ)
    time.tzset()
    reopen("stdin", 0, "r")
    reopen("stdout", 1, "w")
    reopen("stderr", 2, "w")
    sys.path[0] = job.folder
    sys.argv[1:] = job.arguments
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    gc.enable()
    try:
        runpy.run_module("omisync", run_name="__main__", alter_sys=True)
    except SystemExit as told:
        end(told)


def end(told: SystemExit) -> None:
    """End as Python does, but for taking what was loaded before the fork to pieces.

    That is most of a short command's time, for each page of it is copied first.
    """
    assert isinstance(told.code, int)
    threading._shutdown()  # type: ignore[attr-defined]  # joins threads
    atexit._run_exitfuncs()
    told.__traceback__ = None
    gc.collect()  # what was left open complains, as at the end of any Python
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(told.code)


def reopen(name: str, number: int, mode: str) -> None:
    """Open a standard stream as Python does at its start: what it learnt of the old one is gone."""
    old = getattr(sys, name)
    new = open(  # noqa: SIM115 - open to the end
        number, mode, encoding=old.encoding, errors=old.errors, newline="\n", closefd=False
    )
    if number == 2:
        new.reconfigure(line_buffering=True)
    setattr(sys, name, new)
    setattr(sys, f"__{name}__", new)


def main() -> None:
    """Be the process that is forked until the other end is closed."""
    # Ctrl-C is for the commands; one that comes while a command starts waits for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    load()
    gc.collect()
    gc.freeze()
    gc.disable()
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a fork has one thread"
    talk = socket.socket(fileno=int(sys.argv[1]))
    job = serve(talk)
    talk.detach()
    if job is not None:
        become(job)


if __name__ == "__main__":
    main()
