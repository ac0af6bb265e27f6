"""A fake Discord with a music school on it, a desk on a real store, and the adapter between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.config import Config
from bot.contract import Actor, Place, Reply
from bot.desk import Desk
from bot.discord.client import TuneTaleClient
from bot.discord.pace import Pace
from bot.discord.service import serve
from db.store import Store
from engine.ledger import Ledger
from engine.queue import Queue
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import PATIENCE_S, TOKEN, Server, fake_discord
from tests.fakes.discord.world import Channel, Guild

Bot = Callable[[], AbstractAsyncContextManager[TuneTaleClient]]
Case = Callable[..., Awaitable[Reply]]
Script = Callable[[str, Case], None]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with fake_discord() as made:
        yield made


@pytest.fixture
async def desk(server: Server, tmp_path: Path) -> AsyncIterator[Desk]:
    async with await Store.open(tmp_path / "store.sqlite") as store:
        clock = server.world.clock
        yield Desk(Queue(store, tmp_path, clock=clock), Ledger(store), Config(), clock)


@pytest.fixture
def bot(desk: Desk) -> Bot:
    """Start the adapter; it can be started again after it has ended."""

    @asynccontextmanager
    async def running() -> AsyncIterator[TuneTaleClient]:
        client = TuneTaleClient(desk, pace=Pace(per_s=100_000.0), guild_ready_s=0.01)
        stop = asyncio.Event()
        task = asyncio.create_task(serve(SecretStr(TOKEN), desk, stop, client=client))
        ready = asyncio.create_task(client.wait_until_ready())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
            yield client
        finally:
            ready.cancel()
            stop.set()
            await task

    return running


@pytest.fixture
def mei(server: Server) -> Person:
    return Person(server, server.world.user("Mei"))


@pytest.fixture
def school(server: Server, mei: Person) -> Guild:
    return server.world.guild("Music school", [mei.user])


@pytest.fixture
def hall(server: Server, school: Guild) -> Channel:
    return server.world.channel(school, "hall")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Let a use case do what the test says: `script("commands.story", case)`."""

    def replace(name: str, case: Case) -> None:
        monkeypatch.setattr(f"bot.{name}", case)

    return replace


def replying(reply: Reply, seen: list[Any] | None = None) -> Case:
    """Return a use case that gives this reply, and notes what it was called with."""

    async def case(desk: Desk, actor: Actor, place: Place, /, *args: Any, **kwargs: Any) -> Reply:
        if seen is not None:
            seen.append((actor, place, args, kwargs))
        return reply

    return case
