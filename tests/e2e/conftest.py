"""One running engine for all end-to-end tests: the real queue, the real worker process, the embedded models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from bot.console.ask import OWN_MACHINE
from bot.console.platform import Console, asker_for
from bot.console.sources import Place
from bot.deliver import deliver_forever
from engine.jobs import Answer, FileSource, Request
from engine.service import Service, running
from engine.settings import EngineSettings
from tests.music import write_piece

ANSWER_TIMEOUT_S = 120.0
"""A hung engine fails the test instead of the whole run."""


@dataclass(frozen=True)
class Engine:
    """A running engine and a terminal to ask it from."""

    service: Service
    console: Console

    async def ask(self, request: Request, out: Path) -> Answer:
        job = await self.service.queue.submit(request, asker_for(Place(out, None)))
        return await asyncio.wait_for(self.console.answer(job.id), ANSWER_TIMEOUT_S)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    store = tmp_path_factory.mktemp("store") / "store.sqlite"
    async with running(EngineSettings(), store, policy=OWN_MACHINE) as service:
        console = Console()
        delivery = asyncio.create_task(deliver_forever(service.queue, console))
        yield Engine(service, console)
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> FileSource:
    path = write_piece(tmp_path_factory.mktemp("music") / "two moods.flac")
    return FileSource(str(path), path.name)
