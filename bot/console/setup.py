"""`tunetale setup audiocraft`: builds the environment in which audiocraft runs, with progress."""

from __future__ import annotations

import argparse

from rich.console import Console as Screen
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bot.config import Config
from bot.replies import say
from engine.jobs import Language
from engine.music.audiocraft.environment import build, environment_folder, is_ready

LINE_CHARS = 60
"""So much of what pip says fits beside the bar."""


def setup_command(arguments: argparse.Namespace, config: Config, screen: Screen, language: Language) -> int:
    """Build the environment, or say that it is there; return the exit code. Raises `UserError`."""
    folder = environment_folder(config.engine)
    screen.print(say(language, "models.musicgen_licence"), markup=False, soft_wrap=True)
    if is_ready(folder):
        screen.print(say(language, "setup.there", folder=str(folder)), markup=False, soft_wrap=True)
        return 0
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Screen(stderr=True)) as progress:
        task = progress.add_task(say(language, "setup.begin", folder=str(folder)), total=None)

        def tell(step: int, steps: int, line: str) -> None:
            progress.update(task, total=steps, completed=step - 1, description=f"{step}/{steps} {line[:LINE_CHARS]}")

        build(folder, tell, index=arguments.index, torch_index=arguments.torch_index)
    screen.print(say(language, "setup.done", folder=str(folder)), markup=False, soft_wrap=True)
    return 0
