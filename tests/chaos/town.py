"""The program that is killed: real store, queue, supervisor and delivery, and a bot that polls the test's platform.

Run as `python -m tests.chaos.town STORE SOCKET`. Ends by itself when the platform says so and all work is done.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bot.deliver import deliver_forever
from db.store import Store
from engine.jobs import Answer, Asker, TextEmotionRequest
from engine.jobs import Platform as PlatformName
from engine.policy import Policy
from engine.queue import Queue
from engine.service import files_folder
from engine.settings import EngineSettings, WorkerSettings
from engine.supervisor import Supervisor
from tests.chaos.line import ask

LEASE_S = 2.0
"""Short, so that stopped workers are found soon."""
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


async def poll(queue: Queue, address: str) -> None:
    """Submit each update, then ask for those after it, which confirms it: what is not confirmed comes again."""
    after = 0
    while True:
        answer = await ask(address, {"at": "poll", "after": after})
        for update in answer["updates"]:
            name = str(update)
            request = TextEmotionRequest((name,))
            await queue.submit(request, Asker("telegram", f"person {update % 3}", name), dedupe=name)
            after = max(after, update)
        if answer["over"]:
            return


async def main(store_path: Path, address: str) -> None:
    settings = EngineSettings(worker=WorkerSettings(slots=2, lease_s=LEASE_S, start_timeout_s=60.0))
    command = (sys.executable, "-m", "tests.chaos.light_worker", address)
    folder = files_folder(store_path)
    folder.mkdir(exist_ok=True)
    async with await Store.open(store_path) as store:
        queue = Queue(store, folder, policy=POLICY, lease_s=LEASE_S)
        await queue.recover()
        supervisor = Supervisor(queue, settings, command=command, workers=2)
        try:
            await supervisor.start()
            delivery = asyncio.create_task(deliver_forever(queue, Post(address)))
            await poll(queue, address)
            await supervisor.until_idle()
            delivery.cancel()
        finally:
            await supervisor.stop(5.0)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
