"""Functions of the C library that Python has no name for."""

from __future__ import annotations

import errno
import os

import pytest

from omisync import libc


def test_a_function_is_called_by_its_name() -> None:
    """With numbers and names as they are given; it returns what it says."""
    assert libc.call("getpid") == os.getpid()
    assert libc.call("access", b"/", os.R_OK) == 0


def test_a_failure_is_raised_as_the_system_names_it() -> None:
    """By its ``errno``."""
    with pytest.raises(FileNotFoundError) as caught:
        libc.call("access", b"/no such folder", os.R_OK)
    assert caught.value.errno == errno.ENOENT


def test_a_function_that_there_is_not_is_no_failure() -> None:
    """Another C library, or an older one."""
    assert libc.call("no_such_function", 1) is None
