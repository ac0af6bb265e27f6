"""What an owner can set about the engine. Plain data with defaults; `bot.config` reads it from TOML.

Travels to the worker as JSON, so it never holds a secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import TypeAdapter


@dataclass(frozen=True)
class MediaLimits:
    """What is accepted as music."""

    min_seconds: float = 3.0
    """Shorter pieces have no curve worth telling."""
    max_seconds: float = 900.0
    """Longest piece that is decoded."""
    max_bytes: int = 200_000_000
    """Largest file that is opened."""
    decode_timeout_s: float = 60.0
    """Wall-clock seconds for the decoding child."""
    links: bool = True
    """Whether links are fetched at all."""
    link_hosts: tuple[str, ...] = ()
    """Hosts for which yt-dlp's generic extractor may be used, beside the known sites."""


@dataclass(frozen=True)
class TextLimits:
    """What is accepted as a story."""

    max_chars: int = 20_000
    """Longest text."""


@dataclass(frozen=True)
class StageSettings:
    """Which backend does which stage; `model` is a directory or hub name where the backend needs one."""

    music_emotion: Literal["embedded"] = "embedded"
    text_emotion: Literal["embedded"] = "embedded"
    storyteller: Literal["embedded"] = "embedded"
    describer: Literal["rules"] = "rules"
    composer: Literal["embedded"] = "embedded"
    soundfont: str = ""
    """Path of a SoundFont (.sf2) for the embedded composer; empty: the one that comes with the installation."""


@dataclass(frozen=True)
class WorkerSettings:
    """How the worker process runs."""

    slots: int = 2
    """Jobs that one worker runs side by side."""
    threads: int = 1
    """Threads for tensor arithmetic in the worker; the jobs are what runs in parallel."""
    lease_s: float = 15.0
    """A worker that has not been heard of for so long has lost its jobs."""
    deadline_s: float = 300.0
    """A job that runs longer is ended."""
    start_timeout_s: float = 90.0
    """Seconds until a worker must have loaded its models."""
    grace_s: float = 20.0
    """Seconds that running jobs get to finish when the program stops."""


@dataclass(frozen=True)
class EngineSettings:
    """Everything the engine needs to know."""

    media: MediaLimits = field(default_factory=MediaLimits)
    text: TextLimits = field(default_factory=TextLimits)
    stages: StageSettings = field(default_factory=StageSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)


_SETTINGS: TypeAdapter[EngineSettings] = TypeAdapter(EngineSettings)


def settings_to_json(settings: EngineSettings) -> str:
    """Return the settings as JSON for a worker process."""
    return _SETTINGS.dump_json(settings).decode()


def settings_from_json(text: str) -> EngineSettings:
    """Read what `settings_to_json` wrote."""
    return _SETTINGS.validate_json(text)
