"""The tasks of a TOML file: the ``[[todo]]`` tables, read with their places.

Rule: tomllib alone decides what a file says.

- ``scan``     where headers, keys, comments and tasks stand
- ``entries``  what they say: the document
"""

from omisync.core.toml.entries import (
    COMPLETED_KEYS,
    DUE_KEYS,
    TEXT_KEYS,
    load,
    parse,
    render,
)
from omisync.core.toml.scan import BOM, key_lines

__all__ = [
    "BOM",
    "COMPLETED_KEYS",
    "DUE_KEYS",
    "TEXT_KEYS",
    "key_lines",
    "load",
    "parse",
    "render",
]
