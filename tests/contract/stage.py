"""The house on a stage: a real store, queue and desk, a scripted engine, and the adapter of one platform."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bot.config import Config
from bot.desk import Desk
from db.store import Store
from engine.errors import Transient
from engine.policy import Policy
from engine.queue import Queue
from tests.contract.engine import ScriptedEngine
from tests.contract.scenario import PATIENCE_S, Driver, Person, Room, Seen
from tests.fakes.clock import FakeClock

_GLANCE_S = 0.2
"""Between two looks while minutes go by on the clock of the stage."""
_AGAIN_S = 0.05
"""The pause before an adapter is started anew; the program itself waits longer."""


@dataclass
class Running:
    """What one process has."""

    store: Store
    desk: Desk
    engine: ScriptedEngine
    stop: asyncio.Event
    serving: asyncio.Task[None]


class Stage:
    """Where a scenario happens. Restarts keep the store, as a new process would."""

    def __init__(self, driver: Driver, folder: Path, clock: FakeClock, config: Config, policy: Policy) -> None:
        self.driver = driver
        self.clock = clock
        self.policy = policy
        self.config = driver.configure(config)
        self._folder = folder
        self._running: Running | None = None

    @property
    def engine(self) -> ScriptedEngine:
        """The engine of the process that runs."""
        return self._now.engine

    @property
    def desk(self) -> Desk:
        """The desk of the process that runs."""
        return self._now.desk

    # --- people ---------------------------------------------------------------------------------------------------

    def person(self, name: str, language: str = "en") -> Person:
        """Add somebody."""
        return Person(self.driver, self.driver.add_person(name, language), name)

    def room(self, name: str, *people: Person, admin: Person | None = None) -> Room:
        """Add a place where people meet."""
        everybody = tuple(dict.fromkeys((*(p.id for p in people), *([] if admin is None else [admin.id]))))
        return Room(
            self.driver,
            self.driver.add_room(name, everybody, None if admin is None else admin.id),
            name,
            everybody[0],
        )

    def thread(self, room: Room, name: str) -> Room:
        """Add a thread or topic to a room."""
        return replace(room, id=self.driver.add_thread(room.id, name), name=name)

    # --- the program ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the program and wait until the platform hears it."""
        store = await Store.open(self._folder / "store.sqlite")
        files = self._folder / "files"
        files.mkdir(exist_ok=True)
        queue = Queue(store, files, clock=self.clock, policy=self.policy)
        await queue.recover()
        desk = Desk(queue, queue.ledger, self.config, self.clock)
        await desk.restore()
        stop = asyncio.Event()
        serving = asyncio.create_task(self._serve(desk, stop))
        self._running = Running(store, desk, ScriptedEngine(queue), stop, serving)
        connecting = asyncio.create_task(self.driver.connected())
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait([serving, connecting], return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            connecting.cancel()
            await serving
        await connecting

    async def stop(self) -> None:
        """End the program cleanly."""
        running, self._running = self._now, None
        running.stop.set()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await running.serving
        finally:
            await running.store.close()

    async def crash(self) -> None:
        """End the program at once: nothing that it would still say or confirm arrives."""
        running, self._running = self._now, None
        self.driver.set_down(True)
        running.serving.cancel()
        await asyncio.gather(running.serving, return_exceptions=True)
        await running.store.close()
        self.driver.set_down(False)

    async def restart(self) -> None:
        """Crash and start again."""
        await self.crash()
        await self.start()

    async def pass_time(self, seconds: float) -> None:
        """Let time go by."""
        self.clock.advance(seconds)
        self.desk.queue.answers(self.driver.platform).set()
        self.desk.queue.work.set()

    async def as_time_passes(self, wait: Coroutine[Any, Any, Seen], step_s: float = 67.0) -> Seen:
        """Wait for something while minutes go by."""
        waiting = asyncio.create_task(wait)
        while not (await asyncio.wait([waiting], timeout=_GLANCE_S))[0]:
            await self.pass_time(step_s)
        return await waiting

    async def close(self) -> None:
        """End what still runs."""
        if self._running is not None:
            await self.stop()

    @property
    def _now(self) -> Running:
        assert self._running is not None, "the program does not run"
        return self._running

    async def _serve(self, desk: Desk, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.driver.serve(desk, stop)
            except Transient:  # the platform is not there: `tunetale run` tries again as well
                await asyncio.sleep(_AGAIN_S)


@asynccontextmanager
async def stage(
    driver: Driver, folder: Path, clock: FakeClock, *, config: Config | None = None, policy: Policy | None = None
) -> AsyncIterator[Stage]:
    """Set the stage with the program running."""
    here = Stage(driver, folder, clock, config or Config(), policy or Policy(crash_delay_s=0.0, transient_delay_s=0.0))
    await here.start()
    try:
        yield here
    finally:
        await here.close()
