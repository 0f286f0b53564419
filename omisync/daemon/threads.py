"""Threads that the end of the process does not wait for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")


class Unwaited(ThreadPoolExecutor):  # asyncio takes no other executor as its own
    """An executor whose threads do not delay process exit: each call gets one of its own.

    Looking up a name takes up to half a minute where the network swallows the
    question, and nothing can stop it. The pool of asyncio would let each end wait for that.
    """

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the call and return its future."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = call(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is handed to who asked
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=run, name="omisync-call", daemon=True).start()
        return future


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run this to its end as ``asyncio.run`` does, but wait for no thread that it leaves."""

    async def alone() -> T:
        asyncio.get_running_loop().set_default_executor(Unwaited())
        return await work

    # Where not even a loop can be made, neither is begun.
    with contextlib.closing(work), contextlib.closing(alone()) as main:
        return asyncio.run(main)
