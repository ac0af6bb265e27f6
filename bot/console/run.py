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
from engine.secret_file import read_secret
from engine.service import running


def run_command(arguments: argparse.Namespace, config: Config) -> int:
    """Serve every configured platform until a signal, or finish what is in the store; return the exit code."""
    store = arguments.store or Path(config.store.path)
    if arguments.until_idle:
        asyncio.run(_until_idle(config, store))
        return 0
    secrets = tokens(config, os.environ)
    known = [secret.get_secret_value() for secret in (*secrets.values(), config.telegram.webhook_secret)]
    logs.set_up([*known, *_keys(config)])
    asyncio.run(run(config, store, secrets))
    return 0


def _keys(config: Config) -> list[str]:
    """Return the key of the language model's server, which a worker reads for itself, so that no log shows it."""
    server = config.engine.server
    if config.engine.stages.backend("storyteller") != "openai":
        return []
    return [
        os.environ.get(server.api_key_variable, "").strip(),
        read_secret(Path(server.api_key_file)) if server.api_key_file else "",
    ]


async def _until_idle(config: Config, store: Path) -> None:
    """Finish every job in the store and hand over every answer of the command line."""
    async with running(config.engine, store) as service, asyncio.TaskGroup() as group:
        delivery = group.create_task(deliver_forever(service.queue, Console()))
        await service.supervisor.until_idle()
        delivery.cancel()
