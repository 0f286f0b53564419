"""The tasks of a Markdown file: read with the bytes they stand in, and written there.

Rule: every byte that is not a box, a text or a due token is the person's. What
is read never fails on valid UTF-8; what is written reads back as asked, or is
refused.

- ``blocks``   which lines are tasks: lists, headings, and what hides tasks
- ``boxes``    how a task begins, and what was likely meant as that
- ``words``    what the text of a task says: words, tokens, trailing comments
- ``entries``  both together: the document
- ``plain``    the lines that most files consist of, read as a whole
- ``legible``  how any text is written so that it reads back as itself
- ``lines``    the bytes of one changed or added task
- ``insertion`` where in the file added tasks stand
- ``edit``     changes and additions, verified by reading the file again
"""

from omisync.core.markdown.blocks import fenced
from omisync.core.markdown.edit import rewrite
from omisync.core.markdown.entries import MARKS, Marks, parse
from omisync.core.markdown.legible import legible

__all__ = ["MARKS", "Marks", "fenced", "legible", "parse", "rewrite"]
