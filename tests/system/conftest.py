"""What the tests of the real command share."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from forks import FORKS
from machine import Machine, Omi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def _forks() -> Iterator[None]:
    """Commands that start in an instant, as long as the session lasts.

    They can be interrupted also where the tests cannot: a shell lets what it starts in
    the background, and all that comes of it, ignore Ctrl-C.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
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
