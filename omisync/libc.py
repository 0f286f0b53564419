"""What is asked of the C library itself: functions without a name in Python, and its heap."""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAP = "PYTHONMALLOC"
"""Where Python takes its memory from (its manual, "Environment variables"): read as it starts."""


def call(name: str, *arguments: int | bytes) -> int | None:
    """Call a function by its name; return its result, None where this system has no such.

    Nothing can be called where a unit forbids what ctypes needs (MemoryDenyWriteExecute=).

    Raises:
        OSError: the function failed, and said why in ``errno``.
    """
    try:
        import ctypes

        function = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (ImportError, OSError, AttributeError, MemoryError):
        return None
    result: int = function(*arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def take_its_heap(environ: Mapping[str, str]) -> None:
    """Start this process anew, with the same pid, so that its memory is that of glibc.

    Python's own allocator returns memory by arenas of 256 KiB to 1 MiB, and an object that
    stays keeps a whole one; malloc_trim(3) returns each free page.  To be called before
    anything is open that an exec would lose.  Does nothing where another C library would
    serve it worse, where who started the process has chosen, or where what was started
    cannot be started again: read from stdin, under a debugger, by a program of its own.
    """
    given = sys.argv[1:]
    if HEAP in environ or sys.flags.ignore_environment or not sys.executable:
        return
    if sys.argv[0] in {"", "-"} or sys.gettrace() is not None:
        return
    if sys.orig_argv[len(sys.orig_argv) - len(given) :] != given:
        return
    if sysconfig.get_config_var("Py_GIL_DISABLED") or not _is_glibc():
        return
    with contextlib.suppress(OSError):  # then it stays as it is: larger, and just as well
        command = [sys.executable, *sys.orig_argv[1:]]
        os.execve(command[0], command, {**environ, HEAP: "malloc"})  # noqa: S606 - its own command


def _is_glibc() -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (ValueError, OSError):
        return False
