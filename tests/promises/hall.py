"""`tunetale run` as a process to be signalled: the real program with scripted workers and one scripted platform.

`python -m tests.promises.hall STORE [REQUEST …]` submits the requests, says `up`, and at a signal `stopping`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

from pydantic import SecretStr

from bot import running
from bot.config import Config
from bot.deliver import attend
from bot.desk import Desk
from engine.jobs import Asker, ComposeRequest
from engine.settings import EngineSettings, WorkerSettings
from tests.fakes.chat import FakeMessenger
from tests.fakes.director import PATIENCE_S
from tests.fakes.house import scripted_engine

CONFIG = replace(Config(), engine=EngineSettings(worker=WorkerSettings(grace_s=PATIENCE_S, start_timeout_s=PATIENCE_S)))


async def serve(token: SecretStr, desk: Desk, closing: asyncio.Event) -> None:
    messenger = FakeMessenger()
    attending = asyncio.create_task(attend(desk, messenger))
    for text in sys.argv[2:]:
        await desk.queue.submit(ComposeRequest(text), Asker("telegram", "1", "1"), dedupe=text)
    say("up")
    await closing.wait()
    attending.cancel()
    await asyncio.gather(attending, return_exceptions=True)
    say(f"letters {len(messenger.letters)}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Stopping(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("stopping"):
            say("stopping")


def main() -> None:
    log = logging.getLogger("bot.running")
    log.setLevel(logging.INFO)
    log.addHandler(Stopping())
    with mock.patch.object(running, "running", scripted_engine()):
        asyncio.run(running.run(CONFIG, Path(sys.argv[1]), {"telegram": SecretStr("1:x")}, serves={"telegram": serve}))


if __name__ == "__main__":
    main()
