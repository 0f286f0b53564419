"""What all tests share: a person with a todo file, and the sandbox as their Omi."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from person import Clock, Person

from omisync.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

# No test asserts wall time, and an example is slow only where the machine is busy.
# The suite takes a sample of each property; the campaigns take the rest.
settings.register_profile("omisync", deadline=None, max_examples=50)
settings.load_profile("omisync")


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still at the present."""
    return Clock()


@pytest.fixture
async def person(tmp_path: Path, clock: Clock) -> AsyncIterator[Person]:
    """Someone with an empty account at a running sandbox."""
    async with Sandbox(clock=clock) as sandbox:
        yield Person(tmp_path, sandbox, clock)
