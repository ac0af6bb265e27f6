"""Gathers requests to one model from many threads into batches. Knows neither the model nor what is asked of it.

The same class serves a worker's threads and a Ray actor (there: `await asyncio.wrap_future(batcher.submit(item))`).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Generic, Self, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


class Batcher(Generic[In, Out]):
    """Calls `run` from one thread of its own with 1 to `max_size` items, in the order in which they came.

    The first item of a batch waits at most `max_wait_s` seconds for company; with 0 a batch is whatever has come
    while the one before ran. `run` returns one output for each item. When it raises, its items are tried again one
    by one, so that a bad item fails alone.
    """

    def __init__(self, run: Callable[[Sequence[In]], Sequence[Out]], max_size: int, max_wait_s: float) -> None:
        if max_size < 1 or max_wait_s < 0:
            raise ValueError(f"a batch has at least one item and waits at least 0 s, not {max_size} and {max_wait_s}")
        self._run = run
        self._max_size = max_size
        self._max_wait_s = max_wait_s
        self._waiting: queue.SimpleQueue[tuple[In, Future[Out]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # nothing is put behind the None that ends the thread
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, item: In) -> Future[Out]:
        """Return the output to come; cancelled before its batch starts, it never reaches the model.

        Raises `RuntimeError` after `close`.
        """
        future: Future[Out] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._waiting.put((item, future))
        return future

    def __call__(self, item: In) -> Out:
        """Wait for the item's output; raises what `run` raised for it."""
        return self.submit(item).result()

    def close(self) -> None:
        """Serve what has been submitted, then end the thread. May be called twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _serve(self) -> None:
        last = False
        while not last:
            gathered, last = self._gather()
            batch = [(item, future) for item, future in gathered if future.set_running_or_notify_cancel()]
            if batch:
                self._answer(batch)

    def _gather(self) -> tuple[list[tuple[In, Future[Out]]], bool]:
        """Wait for the next batch; also says whether it is the last."""
        entry = self._waiting.get()
        gathered: list[tuple[In, Future[Out]]] = []
        until = time.monotonic() + self._max_wait_s
        while entry is not None:
            gathered.append(entry)
            if len(gathered) == self._max_size:
                return gathered, False
            try:
                entry = self._waiting.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return gathered, False
        return gathered, True

    def _answer(self, batch: list[tuple[In, Future[Out]]]) -> None:
        try:
            outputs = self._run([item for item, _ in batch])
            if len(outputs) != len(batch):
                raise ValueError(f"{len(batch)} items gave {len(outputs)} outputs")
        except BaseException as error:  # the caller's to handle; this thread must live on
            if len(batch) == 1:
                batch[0][1].set_exception(error)
            else:
                for pair in batch:
                    self._answer([pair])
        else:
            for (_, future), output in zip(batch, outputs, strict=True):
                future.set_result(output)
