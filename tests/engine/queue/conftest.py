"""A queue on a real store, with a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from db.store import Store
from engine.queue import Queue
from tests.engine.queue.cases import ROOMY
from tests.fakes.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(tmp_path / "store.sqlite") as store:
        yield store


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def queue(store: Store, files: Path, clock: FakeClock) -> Queue:
    return Queue(store, files, clock=clock, policy=ROOMY)
