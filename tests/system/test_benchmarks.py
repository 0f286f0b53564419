"""The benchmarks run; what they measure is for people to read, on a machine that is not busy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TABLE = Path(__file__).parents[1] / "benchmarks" / "table.py"


def test_the_table_is_measured_by_one_command() -> None:
    """On small lists: a Markdown table, each row of it filled in."""
    done = subprocess.run(
        [sys.executable, str(TABLE), "--quick"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=58,
    )
    assert done.returncode == 0, done.stderr
    header, _, *rows = done.stdout.splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert len(cells) >= 15
    assert all(len(row) == header.count("|") - 1 and row[0] and row[1] for row in cells)
