"""`tunetale run`: the bots and the engine on the owner's store; or the engine alone until everything in it is done."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from bot import logs
from bot.config import Config
from bot.console.platform import Console
from bot.deliver import deliver_forever
from bot.running import run, tokens
from engine.service import running


def run_command(arguments: argparse.Namespace, config: Config) -> int:
    """Serve every configured platform until a signal, or finish what is in the store; return the exit code."""
    store = arguments.store or Path(config.store.path)
    if arguments.until_idle:
        asyncio.run(_until_idle(config, store))
        return 0
    secrets = tokens(config, os.environ)
    hook = config.telegram.webhook_secret
    logs.set_up([secret.get_secret_value() for secret in (*secrets.values(), hook)])
    asyncio.run(run(config, store, secrets))
    return 0


async def _until_idle(config: Config, store: Path) -> None:
    """Finish every job in the store and hand over every answer of the command line."""
    async with running(config.engine, store) as service, asyncio.TaskGroup() as group:
        delivery = group.create_task(deliver_forever(service.queue, Console()))
        await service.supervisor.until_idle()
        delivery.cancel()
