"""The program that is killed: real store, queue, supervisor and delivery, and a bot that polls the test's platform.

Run as `python -m tests.chaos.town STORE SOCKET KIND`; KIND is `light`, or `real` for stories and compositions by the
embedded engine. Ends by itself when the platform says so and all work is done.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from bot.deliver import deliver_forever
from db.store import Store
from engine.jobs import (
    Answer,
    Asker,
    ComposeRequest,
    FileSource,
    Progress,
    Request,
    StoryRequest,
    TextEmotionRequest,
)
from engine.jobs import Platform as PlatformName
from engine.policy import Policy
from engine.queue import Queue
from engine.service import files_folder
from engine.settings import EngineSettings, WorkerSettings
from engine.supervisor import Supervisor
from tests.chaos.line import ask

LEASE_S = 2.0
"""Short, so that stopped workers are found soon."""
REAL_LEASE_S = 15.0
PATIENCE_S = 300.0
"""For the start of a worker on a busy machine."""
SONG = Path(__file__).parents[2] / "examples" / "three-moods.ogg"
TALE = "The boats came home in the rain. Nobody had slept. Then the bells rang, and the whole town ran down laughing."
POLICY = Policy(crash_delay_s=0.0, transient_delay_s=0.0, per_person=1_000, per_chat=1_000)


class Post:
    """Sends answers to the platform, with their nonce."""

    platform: PlatformName = "telegram"

    def __init__(self, address: str) -> None:
        self._address = address

    async def send(self, answer: Answer) -> str | None:
        kind = "result" if answer.result is not None else str(answer.error_code)
        sent = await ask(self._address, {"at": "send", "nonce": answer.nonce, "job": answer.asker.chat, "kind": kind})
        return str(sent["message"])


async def poll(queue: Queue, address: str, real: bool) -> None:
    """Submit each update, then ask for those after it, which confirms it: what is not confirmed comes again."""
    after = 0
    while True:
        answer = await ask(address, {"at": "poll", "after": after})
        for update in answer["updates"]:
            name = str(update)
            request = request_of(update, real)
            await queue.submit(request, Asker("telegram", f"person {update % 3}", name), dedupe=name)
            after = max(after, update)
        if answer["over"]:
            return


def request_of(update: int, real: bool) -> Request:
    if not real:
        return TextEmotionRequest((str(update),))
    if update % 2:
        return ComposeRequest(TALE, seconds=10.0, seed=update, sketches=0)
    return StoryRequest(FileSource(str(SONG), SONG.name), seed=update)


class Told(Queue):
    """A queue that tells the platform how its jobs get on: real workers know no platform."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.address = ""
        self._telling: set[asyncio.Task[dict[str, Any]]] = set()

    def note(self, token: str, progress: Progress) -> None:
        super().note(token, progress)
        with suppress(psutil.Error):  # a child that has just ended
            workers = [child.pid for child in psutil.Process().children() if "engine.worker" in child.cmdline()]
            if self.address and workers:
                message = {"at": "half", "job": token, "pid": workers[0]}
                self._telling.add(asyncio.create_task(ask(self.address, message)))


async def main(store_path: Path, address: str, kind: str) -> None:
    real = kind == "real"
    lease_s = REAL_LEASE_S if real else LEASE_S
    settings = EngineSettings(worker=WorkerSettings(slots=2, lease_s=lease_s, start_timeout_s=PATIENCE_S))
    command = None if real else (sys.executable, "-m", "tests.chaos.light_worker", address)
    folder = files_folder(store_path)
    folder.mkdir(exist_ok=True)
    async with await Store.open(store_path) as store:
        queue = Told(store, folder, policy=POLICY, lease_s=lease_s)
        queue.address = address if real else ""
        await queue.recover()
        supervisor = Supervisor(queue, settings, command=command, workers=1 if real else 2)
        try:
            await supervisor.start()
            delivery = asyncio.create_task(deliver_forever(queue, Post(address)))
            await poll(queue, address, real)
            await supervisor.until_idle()
            delivery.cancel()
        finally:
            await supervisor.stop(5.0)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
