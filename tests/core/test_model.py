"""The nouns: what they know about themselves."""

from __future__ import annotations

import pytest

from omisync.core.model import Gate


@pytest.mark.parametrize(
    ("now", "wait"), [(100.0, 30.0), (110.0, 20.0), (130.0, 0.0), (500.0, 0.0), (50.0, 30.0)]
)
def test_a_gate_opens_when_its_time_is_over(now: float, wait: float) -> None:
    """A clock that jumped back never makes the wait longer than the server asked."""
    assert Gate("read", 100.0, 30.0).wait(now) == wait
