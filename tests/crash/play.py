"""One life of the program: from what a person sends to the answer they see, with the real store, queue, supervisor,
pipe, worker code, desk, postman and follower. Only the worker's process is a thread (it ends with its parent all the
same), what it makes is small, and the platform is a file.

The person's update comes again until it is confirmed, as updates do.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from unittest import mock

from bot import commands
from bot.contract import Posted
from bot.deliver import attend
from bot.desk import Desk
from db.store import Store
from engine import pipe, supervisor, worker
from engine.clock import SystemClock
from engine.errors import UserError
from engine.jobs import Progress, Request, Result
from engine.pipe import Ready
from engine.policy import Policy
from engine.queue import Queue
from engine.report import Report
from engine.settings import EngineSettings
from tests.crash.points import Points
from tests.crash.world import Messenger, World
from tests.fakes.chat import ANNA, CONFIG, GROUP, make_in

POLICY = Policy(crash_delay_s=0.0, transient_delay_s=0.0)
TALES = {
    "done": "The boats came home in the rain.",
    "dead": "Nothing good can come of this.",
    "cancelled": "Nobody wants to hear this any more.",
}
"""By what becomes of them."""

PATIENCE_S = 20.0
"""No life is so long unless something is stuck."""


MODELS = {"composer": "small"}


class SmallPipeline:
    models = MODELS

    def __call__(self, request: Request, folder: Path, report: Report) -> Result:
        report("compose", 0.0)
        result = make_in(folder, request)
        report("compose", 0.5)
        text = getattr(request, "text", "")
        if text == TALES["dead"]:
            raise UserError("This cannot be composed; send another story.", code="cannot")
        while text == TALES["cancelled"]:  # the report ends it
            report("compose", 0.5)
            time.sleep(0.001)
        return result


class ThreadWorker:
    """What the supervisor takes for a worker's process: the worker's own code on a pipe, in a thread."""

    def __init__(self) -> None:
        self.pid, self.models, self._to_worker = os.getpid(), MODELS, -1
        self._over = asyncio.get_running_loop().create_future()
        self._reader = asyncio.StreamReader()

    @classmethod
    async def start(cls, command: Sequence[str], settings: EngineSettings) -> Self:
        new, loop = cls(), asyncio.get_running_loop()
        inbox, new._to_worker = os.pipe()
        heard, outbox = os.pipe()

        def serve() -> None:
            with os.fdopen(inbox, "rb") as hears, os.fdopen(outbox, "wb") as says, suppress(RuntimeError):
                worker.serve(lambda _: SmallPipeline(), hears, says)
                loop.call_soon_threadsafe(new._over.set_result, None)

        threading.Thread(target=serve, daemon=True).start()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(new._reader), os.fdopen(heard, "rb"))
        new.send(pipe.Start(settings))
        assert isinstance(await pipe.read_from_worker(new._reader), Ready)
        return new

    def send(self, message: pipe.ToWorker) -> None:
        os.write(self._to_worker, pipe.frame_to_worker(message))

    async def messages(self) -> AsyncIterator[pipe.FromWorker]:
        while (message := await pipe.read_from_worker(self._reader)) is not None:
            yield message

    async def exited(self) -> None:
        await asyncio.shield(self._over)

    def kill(self) -> None:
        if self._to_worker >= 0:
            os.close(self._to_worker)
            self._to_worker = -1

    async def end(self) -> int:
        self.kill()
        await self.exited()
        return 0

    def last_lines(self) -> str:
        return ""


class Listening(Queue):
    """A queue that says when work has begun and when an answer has arrived."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.begun, self.arrived = asyncio.Event(), asyncio.Event()

    def note(self, token: str, progress: Progress) -> None:
        super().note(token, progress)
        self.begun.set()

    async def answered(self, answer_id: int, message_id: str | None) -> None:
        await super().answered(answer_id, message_id)
        self.arrived.set()


async def live(home: Path, world: World, tale: str, points: Points) -> None:
    """Live until nothing is left to do."""
    async with await Store.open(home / "store.sqlite") as store:
        await points.watch(store)
        queue = Listening(store, home / "files", policy=POLICY)
        (home / "files").mkdir(exist_ok=True)
        await queue.recover()
        desk = Desk(queue, queue.ledger, CONFIG, SystemClock())
        await desk.restore()
        keeper = supervisor.Supervisor(queue, CONFIG.engine)
        await keeper.start()
        attending = asyncio.create_task(attend(desk, Messenger(world)))
        if not world.those("confirmed"):
            await ask(desk, world, TALES[tale])
        if tale == "cancelled" and not world.those("pressed"):
            await press_cancel(desk, world, queue.begun)
        elif not await queue.idle():
            await queue.arrived.wait()
        await keeper.until_idle()
        attending.cancel()
        await asyncio.gather(attending, return_exceptions=True)
        await keeper.stop(5.0)


async def ask(desk: Desk, world: World, text: str) -> None:
    """Do what a platform's adapter does with an update."""
    reply = await commands.compose(desk, ANNA, GROUP, text, dedupe="update 1")
    assert reply.job is not None, reply
    number = world.note(at="told", job=reply.job)
    await desk.posted(reply.job, Posted(GROUP.chat, str(number)), "en")
    world.note(at="confirmed")


async def press_cancel(desk: Desk, world: World, begun: asyncio.Event) -> None:
    """Press the button once the work has begun; the press comes again as well."""
    job = world.those("told")[-1]["job"]
    status = await desk.status(job)
    assert status is not None
    if status.state != "cancelled":
        await begun.wait()
    await commands.cancel(desk, ANNA, GROUP, job)
    world.note(at="pressed")


def run(home: Path, tale: str, die_at: int | None) -> int:
    """Live once and return how many points were passed."""
    points, world = Points(die_at), World(home / "world")
    with (
        asyncio.Runner() as runner,
        mock.patch.object(supervisor, "WorkerProcess", ThreadWorker),
        mock.patch.object(supervisor, "LONGEST_TICK_S", 0.05),  # a cancel is noticed at the next tick
    ):
        runner.get_loop().set_task_factory(points.make_task)
        runner.run(asyncio.wait_for(live(home, world, tale, points), PATIENCE_S))
    world.close()
    return points.passed


async def sweep(home: Path) -> None:
    """Remove what a running program removes every few seconds."""
    async with await Store.open(home / "store.sqlite") as store:
        await Queue(store, home / "files").sweep()
