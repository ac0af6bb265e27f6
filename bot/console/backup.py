"""`tunetale backup` and `tunetale restore`."""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from rich.console import Console as Screen

from bot.config import Config
from bot.replies import say
from engine.backup import Copied, back_up, dated, expire, forget_again, restore
from engine.jobs import Language


def backup_command(arguments: argparse.Namespace, config: Config, screen: Screen, language: Language) -> int:
    """Write a backup, also beside a running bot; in a folder, where old ones go then. Raises `UserError`."""
    target, days, now = Path(arguments.file).absolute(), config.retention.backups_days, time.time()
    folder = target if target.is_dir() else None
    if folder is not None:
        target = dated(folder, now)
    copied = asyncio.run(back_up(_store(arguments, config), target))
    if folder is not None and days:  # who was forgotten leaves the backups with them
        expire(folder, now - days * 86_400)
    screen.print(say(language, "backup.written", file=str(target), **_numbers(copied)), markup=False, soft_wrap=True)
    return 0


def restore_command(arguments: argparse.Namespace, config: Config, screen: Screen, language: Language) -> int:
    """Put a backup in the place of the store; the bot must not run. Raises `UserError`."""
    store = _store(arguments, config)
    stamp = f"before-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    copied = restore(Path(arguments.file).absolute(), store, stamp)
    asyncio.run(forget_again(store))
    screen.print(
        say(language, "backup.restored", store=str(store), stamp=stamp, **_numbers(copied)),
        markup=False,
        soft_wrap=True,
    )
    return 0


def _store(arguments: argparse.Namespace, config: Config) -> Path:
    chosen: Path = arguments.store or Path(config.store.path)
    return chosen.absolute()


def _numbers(copied: Copied) -> dict[str, int | str]:
    return {"files": copied.files, "size": f"{copied.bytes / 1e6:.1f}"}
