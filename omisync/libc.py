"""Functions of the C library that Python has no name for."""

from __future__ import annotations

import os


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
