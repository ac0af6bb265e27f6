"""Loads the storyteller that the settings name. Knows all backends, and imports only the one that is wanted."""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path

from engine.emotion.calibration import Calibration
from engine.emotion.text import TextEmotion
from engine.errors import UserError
from engine.settings import EngineSettings, StageSettings
from engine.story.chat import Chat
from engine.story.embedded import EmbeddedStoryteller
from engine.story.storyteller import Storyteller

BACKENDS = ("embedded", "transformers", "openai")


def settings_for(backend: str, model: str = "", url: str = "") -> EngineSettings:
    """Return settings with this storyteller, for programs that read no configuration; "" leaves what is the default."""
    default = EngineSettings()
    match backend:
        case "transformers":
            llama = replace(default.llama, model=model or default.llama.model)
            return replace(default, stages=StageSettings(storyteller="transformers"), llama=llama)
        case "openai":
            server = replace(default.server, model=model or default.server.model, url=url or default.server.url)
            return replace(default, stages=StageSettings(storyteller="openai"), server=server)
    return default


def load_storyteller(settings: EngineSettings, text_emotion: TextEmotion, backend: str | None = None) -> Storyteller:
    """Load `backend`, or the one that the settings name. Raises `UserError` with one sentence when it cannot load."""
    backend = backend or settings.stages.backend("storyteller")
    if backend not in BACKENDS:
        close = difflib.get_close_matches(backend, BACKENDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"please choose one of {', '.join(BACKENDS)}."
        raise UserError(f"There is no storyteller {backend!r}; {hint}", code="unknown_backend")
    if backend == "embedded":
        return EmbeddedStoryteller.load()
    from engine.emotion.gibberish import GibberishDetector
    from engine.story.author import Author
    from engine.story.sanitize import Moderation

    return Author(
        _chat(backend, settings),
        lambda texts: text_emotion.score(texts).values,
        GibberishDetector.load(),
        Moderation(settings.moderation),
        Calibration.load(),
        rewrites=settings.writing.rewrites,
    )


def _chat(backend: str, settings: EngineSettings) -> Chat:
    if backend == "openai":
        from engine.story.server import ServerChat

        return ServerChat.load(settings.server, settings.writing)
    from engine.story.llama import LlamaChat

    return LlamaChat.load(settings.llama, settings.writing, Path(settings.models.lock))
