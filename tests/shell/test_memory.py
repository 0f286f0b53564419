"""Memory that the daemon gives back before it waits."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest

from omisync.daemon import memory

KIB = 1024


def held() -> int:
    """Return the anonymous memory of this process, in KiB (proc(5), RssAnon)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.findall(r"^RssAnon:\s+(\d+) kB$", status, re.MULTILINE)[0])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the call is one of glibc's")
def test_what_is_free_below_a_block_in_use_is_given_back() -> None:
    """One block that lives on keeps nothing else."""
    blocks = [bytearray(4 * KIB) for _ in range(16_000)]
    last = blocks[-1]
    blocks.clear()
    before = held()
    memory.give_back()
    assert before - held() > 32 * KIB
    assert len(last) == 4 * KIB
