"""`tunetale models fetch|list`: brings models of the hub to this machine and shows what is locked."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console as Screen
from rich.table import Table

from bot.config import Config
from bot.replies import say
from engine import hub
from engine.errors import UserError
from engine.jobs import Language
from engine.lockfile import LockedModel, read_lock, state_of

SHORT_COMMIT = 12
"""Digits of a commit that are shown: enough to find it."""
META_MUSICGEN = "facebook/musicgen"


def models_command(arguments: argparse.Namespace, config: Config, screen: Screen, language: Language) -> int:
    """Do what `tunetale models` was asked; return the exit code. Raises `UserError` and `Transient`."""
    lock = Path(config.engine.models.lock)
    if arguments.deed == "list":
        return _list(lock, screen, language, hashes=arguments.check)
    stages, model = config.engine.stages, config.engine.musicgen.model
    named = tuple(arguments.names)
    for_audiocraft = named if arguments.audiocraft else ()
    names = () if arguments.audiocraft else named or config.engine.hub_models
    if not named and stages.backend("composer") == "audiocraft" and not Path(model).is_dir():
        for_audiocraft = (model,)
    if not names and not for_audiocraft:
        raise UserError(
            "The settings use no model of the hub; name one, or choose a backend in [engine.stages].", code="usage"
        )
    if arguments.audiocraft and arguments.revision:
        raise UserError("--revision does not go with --audiocraft, which fetches several models.", code="usage")

    def tell(name: str, model: LockedModel) -> None:
        words = {"name": name, "commit": model.commit[:SHORT_COMMIT], "licence": model.licence}
        screen.print(say(language, "models.fetched", size=_size(model), **words), markup=False, soft_wrap=True)
        if name.startswith(META_MUSICGEN):
            screen.print(say(language, "models.musicgen_licence"), markup=False, soft_wrap=True)

    hub.fetch(names, lock, tell, revision=arguments.revision, update=arguments.update)
    for name in for_audiocraft:
        hub.fetch_audiocraft(name, lock, tell, update=arguments.update)
    screen.print(say(language, "models.locked", lock=str(lock)), markup=False, soft_wrap=True)
    return 0


def _list(lock: Path, screen: Screen, language: Language, *, hashes: bool) -> int:
    """Show a table; 1 when a locked model is not as it should be."""
    models = read_lock(lock)
    if not models:
        screen.print(say(language, "models.none", lock=str(lock)), markup=False, soft_wrap=True)
        return 0
    table = Table(*(say(language, f"models.{key}") for key in ("name", "commit", "size", "licence", "state")))
    states = {name: state_of(name, model, hashes=hashes) for name, model in models.items()}
    for name, model in models.items():
        state = say(language, f"models.{states[name]}")
        table.add_row(name, model.commit[:SHORT_COMMIT], _size(model), model.licence, state)
    screen.print(table)
    return 0 if all(state == "whole" for state in states.values()) else 1


def _size(model: LockedModel) -> str:
    return f"{model.bytes / 1e6:,.1f} MB"
