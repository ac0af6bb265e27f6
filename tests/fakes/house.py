"""A queue on a real store, a supervisor with scripted workers, and the director of what their jobs do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from db.store import Store
from engine.clock import Clock
from engine.jobs import Answer, Asker, Job, Request
from engine.policy import Policy
from engine.queue import Queue
from engine.service import Service
from engine.settings import EngineSettings, WorkerSettings
from engine.supervisor import Supervisor
from tests.fakes.director import PATIENCE_S, Director, command, directing

ASKER = Asker("console", "somebody", "here")
POLICY = Policy(crash_delay_s=0.0, transient_delay_s=0.0)


@dataclass(frozen=True)
class House:
    queue: Queue
    supervisor: Supervisor
    director: Director

    async def ask(self, *names: str) -> list[int]:
        return [(await self.submit(self.director.request(name))) for name in names]

    async def submit(self, request: Request) -> int:
        return (await self.queue.submit(request, ASKER)).id

    async def over(self, job_id: int) -> Job:
        """Wait until a job is over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self.queue.answers("console").clear()
                job = await self.queue.job(job_id)
                assert job is not None
                if job.state not in ("queued", "running"):
                    return job
                await self.queue.answers("console").wait()

    async def answers(self) -> list[Answer]:
        found = []
        while (answer := await self.queue.next_answer("console")) is not None:
            await self.queue.answered(answer.id, None)
            found.append(answer)
        return found

    async def done_once(self, *job_ids: int) -> None:
        """Wait for jobs to be done; each has one answer."""
        assert [(await self.over(job_id)).state for job_id in job_ids] == ["done"] * len(job_ids)
        assert sorted(answer.job_id for answer in await self.answers()) == sorted(job_ids)


@asynccontextmanager
async def house(
    folder: Path, *mode: str, slots: int = 2, workers: int = 1, lease_s: float = 15.0, deadline_s: float = 300.0
) -> AsyncIterator[House]:
    settings = EngineSettings(
        worker=WorkerSettings(slots=slots, lease_s=lease_s, deadline_s=deadline_s, start_timeout_s=PATIENCE_S)
    )
    async with await Store.open(folder / "store.sqlite") as store, directing() as director:
        queue = Queue(store, folder, policy=POLICY, lease_s=lease_s, deadline_s=deadline_s)
        supervisor = Supervisor(queue, settings, command=command(*mode), workers=workers)
        try:
            await supervisor.start()
            yield House(queue, supervisor, director)
        finally:
            await supervisor.stop(0.0)


def scripted_engine(mode: Sequence[str] = ()) -> Callable[..., AbstractAsyncContextManager[Service]]:
    """Return what takes the place of `engine.service.running`: the same, but for its workers, which are scripted."""

    @asynccontextmanager
    async def running(settings: EngineSettings, path: Path, *, policy: Policy, clock: Clock) -> AsyncIterator[Service]:
        async with await Store.open(path) as store:
            queue = Queue(store, path.parent / "files", clock=clock, policy=policy)
            await queue.recover()
            supervisor = Supervisor(queue, settings, command=command(*mode))
            try:
                await supervisor.start()
                yield Service(queue, supervisor)
            finally:
                await supervisor.stop(settings.worker.grace_s)

    return running
