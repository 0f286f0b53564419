"""The tasks of a TOML file: the ``[[todo]]`` tables, read with their places, and written there.

Rule: tomllib alone decides what a file says. What is written touches the lines
of the keys that change, and reads back as asked or is refused.

- ``scan``     where headers, keys, comments and tasks stand
- ``entries``  what they say: the document
- ``lines``    the bytes of changed, removed and added tasks
- ``array``    the same where they are inline tables of one array
- ``edit``     changes and additions, verified by reading the file again
"""

from omisync.core.toml.edit import legible, rewrite
from omisync.core.toml.entries import load, parse
from omisync.core.toml.scan import key_lines

__all__ = [
    "key_lines",
    "legible",
    "load",
    "parse",
    "rewrite",
]
