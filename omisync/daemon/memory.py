"""Memory that a cycle took and nobody needs while the daemon waits."""

from __future__ import annotations

import gc

from omisync import libc


def give_back() -> None:
    """Give the system the pages that are free.

    The C library keeps what was freed below its last block in use, for good, unless it is
    told to give it back (malloc_trim(3), glibc; other C libraries have no such call).
    """
    gc.collect()
    libc.call("malloc_trim", 0)
