"""What the tests of the real command share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from forks import FORKS
from machine import Machine, Omi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def _forks() -> Iterator[None]:
    """Commands that start in an instant, as long as the session lasts."""
    yield
    FORKS.close()


@pytest.fixture
def omi() -> Iterator[Omi]:
    """An empty Omi account."""
    with Omi() as running:
        yield running


@pytest.fixture
def machine(tmp_path: Path, omi: Omi) -> Machine:
    """A machine set up for a todo file that does not exist yet."""
    own = Machine(tmp_path / "home", omi)
    own.home.mkdir()
    own.configure()
    return own
