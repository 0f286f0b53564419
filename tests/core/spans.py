"""What every span of a document promises, whatever its format."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omisync.core.model import Document


def check_order(document: Document, source: bytes) -> None:
    """Assert that the spans ascend in this file and none overlap, so no byte has two owners.

    An entry that cannot be taken out alone has an empty span at 0.
    """
    assert document.source == source
    spans = [entry.span for entry in document.entries if entry.span.end]
    assert all(0 <= start < end <= len(source) for start, end in spans)
    assert all(one.end <= other.start for one, other in pairwise(spans))
