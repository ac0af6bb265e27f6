from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest

from engine.batching import Batcher

PATIENCE_S = 10.0
"""No test waits so long unless it fails."""


class Model:
    """Doubles numbers, once it is let; refuses batches with a negative one."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.go = threading.Event()
        if not held:
            self.go.set()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.entered.release()
        assert self.go.wait(PATIENCE_S)
        if any(item < 0 for item in items):
            raise ValueError(f"negative: {items}")
        return [2 * item for item in items]


def behind_the_first(batcher: Batcher[int, int], model: Model, items: Sequence[int]) -> list[Future[int]]:
    """Submit a 0, and the items while the model is busy with it."""
    first = batcher.submit(0)
    assert model.entered.acquire(timeout=PATIENCE_S)
    return [first, *map(batcher.submit, items)]


def test_what_comes_while_the_model_is_busy_makes_the_next_batch_in_order() -> None:
    model = Model(held=True)
    with Batcher(model, max_size=8, max_wait_s=0.0) as batcher:
        futures = behind_the_first(batcher, model, range(1, 6))
        model.go.set()
        assert [future.result(PATIENCE_S) for future in futures] == [0, 2, 4, 6, 8, 10]
    assert model.batches == [[0], [1, 2, 3, 4, 5]]


def test_no_batch_is_larger_than_the_largest() -> None:
    model = Model(held=True)
    with Batcher(model, max_size=2, max_wait_s=0.0) as batcher:
        futures = behind_the_first(batcher, model, range(1, 6))
        model.go.set()
        assert [future.result(PATIENCE_S) for future in futures] == [0, 2, 4, 6, 8, 10]
    assert model.batches == [[0], [1, 2], [3, 4], [5]]


def test_a_full_batch_does_not_wait() -> None:
    model = Model()
    with Batcher(model, max_size=3, max_wait_s=10 * PATIENCE_S) as batcher:
        futures = [batcher.submit(item) for item in (1, 2, 3)]
        assert [future.result(PATIENCE_S) for future in futures] == [2, 4, 6]
    assert model.batches == [[1, 2, 3]]


def test_an_item_waits_for_company_no_longer_than_it_may() -> None:
    model = Model()
    with Batcher(model, max_size=100, max_wait_s=0.01) as batcher:
        assert batcher.submit(4).result(PATIENCE_S) == 8


def test_many_threads_each_get_their_own_output() -> None:
    model = Model()
    with Batcher(model, max_size=16, max_wait_s=0.005) as batcher, ThreadPoolExecutor(16) as threads:
        assert list(threads.map(batcher, range(500))) == [2 * item for item in range(500)]
    assert sorted(item for batch in model.batches for item in batch) == list(range(500))
    assert len(model.batches) < 500


def test_a_bad_item_fails_alone() -> None:
    model = Model(held=True)
    with Batcher(model, max_size=8, max_wait_s=0.0) as batcher:
        _, one, bad, two = behind_the_first(batcher, model, [1, -1, 2])
        model.go.set()
        assert (one.result(PATIENCE_S), two.result(PATIENCE_S)) == (2, 4)
        with pytest.raises(ValueError, match="negative"):
            bad.result(PATIENCE_S)
        assert batcher(5) == 10  # it lives on
    assert model.batches == [[0], [1, -1, 2], [1], [-1], [2], [5]]


def test_a_cancelled_item_never_reaches_the_model() -> None:
    model = Model(held=True)
    with Batcher(model, max_size=8, max_wait_s=0.0) as batcher:
        running, dropped, kept = behind_the_first(batcher, model, [1, 2])
        assert dropped.cancel()
        assert not running.cancel()
        model.go.set()
        assert kept.result(PATIENCE_S) == 4
        with pytest.raises(CancelledError):
            dropped.result()
    assert model.batches == [[0], [2]]


def test_a_batch_of_cancelled_items_is_not_run() -> None:
    model = Model(held=True)
    with Batcher(model, max_size=8, max_wait_s=0.0) as batcher:
        _, dropped = behind_the_first(batcher, model, [1])
        dropped.cancel()
        model.go.set()
    assert model.batches == [[0]]


def test_a_model_that_loses_an_output_is_not_believed() -> None:
    with (
        Batcher[int, int](lambda items: [], max_size=1, max_wait_s=0.0) as batcher,
        pytest.raises(ValueError, match="1 items gave 0 outputs"),
    ):
        batcher(1)


def test_what_ends_a_thread_does_not_end_the_batcher() -> None:
    def run(items: Sequence[int]) -> Sequence[int]:
        if items[0] == 0:
            raise SystemExit
        return items

    with Batcher(run, max_size=1, max_wait_s=0.0) as batcher:
        with pytest.raises(SystemExit):
            batcher(0)
        assert batcher(1) == 1


def test_close_serves_what_was_submitted_and_takes_no_more() -> None:
    model = Model(held=True)
    batcher = Batcher(model, max_size=2, max_wait_s=10 * PATIENCE_S)
    model.go.set()
    futures = [batcher.submit(item) for item in (1, 2, 3)]
    batcher.close()
    assert [future.result(0) for future in futures] == [2, 4, 6]
    with pytest.raises(RuntimeError, match="closed"):
        batcher.submit(4)
    batcher.close()


async def test_an_event_loop_waits_for_it_without_blocking() -> None:
    model = Model()
    with Batcher(model, max_size=4, max_wait_s=10 * PATIENCE_S) as batcher:
        outputs = await asyncio.gather(*(asyncio.wrap_future(batcher.submit(item)) for item in range(4)))
    assert outputs == [0, 2, 4, 6]
    assert model.batches == [[0, 1, 2, 3]]


@pytest.mark.parametrize(("max_size", "max_wait_s"), [(0, 1.0), (1, -0.1)])
def test_impossible_limits_are_refused(max_size: int, max_wait_s: float) -> None:
    with pytest.raises(ValueError, match="at least"):
        Batcher(list, max_size, max_wait_s)
