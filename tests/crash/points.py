"""Counts the points at which a program can be killed, and kills it at one of them.

A point lies before and after each step of every task of the event loop (so on both sides of each await that waits) and
before each SQL statement (so between any two changes of the store, and on both sides of each COMMIT). Nothing of the
program knows of it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import Coroutine, Generator
from typing import Any

from db.store import Store


class Points:
    """A counter that ends the process with SIGKILL at the `die_at`-th point; None: never."""

    def __init__(self, die_at: int | None) -> None:
        self.passed = 0
        self._numbers = itertools.count(1)  # `next` of it is one step for all threads
        self._die_at = die_at

    def point(self) -> None:
        """Pass one point."""
        self.passed = next(self._numbers)
        if self.passed == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def make_task(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **kwargs: Any
    ) -> asyncio.Task[Any]:
        """Make a task whose steps are counted; for `loop.set_task_factory`."""
        assert isinstance(coro, Coroutine)
        return asyncio.Task(_Counted(coro, self), loop=loop, **kwargs)

    async def watch(self, store: Store) -> None:
        """Count the statements of a store."""
        await store.read(lambda conn: conn.set_trace_callback(lambda _: self.point()))


class _Counted(Coroutine[Any, Any, Any]):
    """A coroutine that passes a point before and after each of its steps."""

    def __init__(self, coro: Coroutine[Any, Any, Any], points: Points) -> None:
        self._coro, self._points = coro, points

    def send(self, value: Any) -> Any:
        self._points.point()
        yielded = self._coro.send(value)
        self._points.point()
        return yielded

    def throw(self, *error: Any) -> Any:
        self._points.point()
        yielded = self._coro.throw(*error)
        self._points.point()
        return yielded

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coro.__await__()
