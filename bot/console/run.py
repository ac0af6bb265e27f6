"""`tunetale run`: the engine on the owner's store, until everything in it is done."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from bot.config import Config
from bot.console.platform import Console
from bot.deliver import deliver_forever
from engine.errors import UserError
from engine.service import running


def run_until_idle(arguments: argparse.Namespace, config: Config) -> int:
    """Finish every job in the store and hand over every answer of the command line; return the exit code."""
    if not arguments.until_idle:
        raise UserError(
            "No chat platform is configured; use --until-idle to finish the jobs that are in the store.",
            code="no_platform",
        )
    asyncio.run(_until_idle(config, arguments.store or Path(config.store.path)))
    return 0


async def _until_idle(config: Config, store: Path) -> None:
    async with running(config.engine, store) as service, asyncio.TaskGroup() as group:
        delivery = group.create_task(deliver_forever(service.queue, Console()))
        await service.supervisor.until_idle()
        delivery.cancel()
