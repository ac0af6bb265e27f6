"""`tunetale doctor`: looks at an installation as its owner would, and runs one small job each way."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console as Screen
from rich.text import Text

from bot.config import Config
from bot.console.ask import Wish, ask
from bot.console.sources import Place
from bot.wishes import compose_request, story_request
from engine.errors import TuneTaleError
from engine.jobs import VERSION, FileSource
from engine.music.audiocraft.environment import environment_folder, is_ready
from engine.settings import (
    AudiocraftSettings,
    EngineSettings,
    LlamaSettings,
    ModelSettings,
    MusicgenSettings,
    StageSettings,
    T5Settings,
)

PACKAGES = ("torch", "transformers", "openai", "librosa", "av", "tinysoundfont", "pretty_midi", "yt-dlp", "aiosqlite")
MIN_FREE_BYTES = 1_000_000_000
"""Room that a busy server needs for recordings and results."""
SAMPLE_S, SAMPLE_RATE_HZ = 8, 22_050
"""Length and rate of the recording that the test job listens to."""
TINY_WORDS = 80
"""Length of the test story; the tiny language model's own has about as many."""
SAMPLE_TEXT = "The storm broke over the harbour and everyone ran. In the morning the sea was calm again."


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    good: bool
    text: str


def examine(config: Config, screen: Screen, *, run_jobs: bool, deep: bool = False) -> int:
    """Print a line for each finding; return 0 when all are good, else 1."""
    good = True
    for finding in findings(config, run_jobs=run_jobs, deep=deep):
        mark = Text("ok    ", style="green") if finding.good else Text("wrong ", style="bold red")
        screen.print(mark + Text(finding.text))
        good &= finding.good
    return 0 if good else 1


def findings(config: Config, *, run_jobs: bool, deep: bool = False) -> Iterator[Finding]:
    """Look at everything in turn; the jobs come last because they take seconds."""
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding(True, f"TuneTale {VERSION} on Python {python}, {os.cpu_count()} cores")
    yield from map(_package, PACKAGES)
    store = Path(config.store.path).absolute().parent
    yield _space(store)
    yield _licences()
    yield _audiocraft(config.engine)
    with tempfile.TemporaryDirectory(prefix="tunetale-doctor-") as folder:
        recording = Path(folder) / "sample.wav"
        write_sample(recording)
        story, music = _story_wish(recording), _music_wish(config, recording)
        if run_jobs:
            yield from _jobs({"music to story": story, "story to music": music}, config.engine)
        if deep:
            models = Path(folder) / "tiny"
            subprocess.run([sys.executable, "-m", "engine.tiny", str(models)], check=True, capture_output=True)
            wishes = {
                "music to story, by a tiny language model": story,
                "story to music, by a tiny T5 and a tiny MusicGen": music,
            }
            yield from _jobs(wishes, tiny_settings(models))
            if is_ready(environment_folder(config.engine)):
                wish = {"story to music, by a tiny audiocraft": music}
                yield from _jobs(wish, tiny_audiocraft_settings(models, config.engine.audiocraft))


def _package(name: str) -> Finding:
    module = {"yt-dlp": "yt_dlp"}.get(name, name)
    try:
        found = version(name)
    except PackageNotFoundError:
        found = ""
    if not found or find_spec(module) is None:
        return Finding(False, f"{name} is missing; run `make setup` again")
    return Finding(True, f"{name} {found}")


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.0f} GB free where the store is kept ({folder})"
    return Finding(free >= MIN_FREE_BYTES, text if free >= MIN_FREE_BYTES else f"only {text}; please make room")


def _licences() -> Finding:
    text = (
        "the shipped emotion weights are for research and non-commercial use (engine/assets/LICENSE); so are Meta's "
        'weights of MusicGen (CC-BY-NC 4.0), which only the composers "musicgen" and "audiocraft" use'
    )
    return Finding(True, text)


def _audiocraft(settings: EngineSettings) -> Finding:
    """Say whether audiocraft can be used; it is wrong only where it was chosen."""
    folder = environment_folder(settings)
    if is_ready(folder):
        return Finding(True, f"audiocraft has its environment in {folder}")
    wanted = settings.stages.backend("composer") == "audiocraft"
    return Finding(
        not wanted,
        "audiocraft has no environment (`tunetale setup audiocraft` builds it); optional"
        if not wanted
        else f"audiocraft is the composer, but has no environment in {folder}; run `tunetale setup audiocraft`",
    )


def tiny_settings(models: Path) -> EngineSettings:
    """Return settings for the models that `engine.tiny` saved in a folder, all on the processor."""
    return EngineSettings(
        stages=StageSettings(storyteller="transformers", describer="t5", composer="musicgen"),
        llama=LlamaSettings(model=str(models / "llama"), device="cpu", batching="continuous"),
        t5=T5Settings(model=str(models / "t5"), device="cpu"),
        musicgen=MusicgenSettings(model=str(models / "musicgen"), device="cpu"),
    )


def tiny_audiocraft_settings(models: Path, audiocraft: AudiocraftSettings) -> EngineSettings:
    """Return settings for the tiny MusicGen in audiocraft's form, in the environment that is configured."""
    folder = models / "audiocraft"
    return EngineSettings(
        stages=StageSettings(composer="audiocraft"),
        models=ModelSettings(lock=str(folder / "models.lock")),
        musicgen=MusicgenSettings(model=str(folder / "audiocraft"), device="cpu"),
        audiocraft=audiocraft,
    )


def _story_wish(recording: Path) -> Wish:
    source = FileSource(str(recording), recording.name)
    return Wish(story_request(source, words=TINY_WORDS), "story", Place(recording.parent / "story", None))


def _music_wish(config: Config, recording: Path) -> Wish:
    request = compose_request(SAMPLE_TEXT, config.engine.text, seconds=10)
    return Wish(request, "music", Place(recording.parent / "music", None))


def _jobs(wishes: Mapping[str, Wish], settings: EngineSettings) -> Iterator[Finding]:
    """Run the wishes side by side."""
    quiet = Screen(stderr=True, quiet=True)
    try:
        answers = asyncio.run(ask(list(wishes.values()), settings, None, quiet, "en"))
    except TuneTaleError as error:
        yield Finding(False, f"the engine cannot start: {error.message}")
        return
    for name, (answer, *_) in zip(wishes, answers, strict=True):
        if answer.result is None:
            yield Finding(False, f"{name}: {answer.error_message}")
        else:
            seconds = sum(answer.result.elapsed_s.values())
            models = ", ".join(answer.result.models.values())
            yield Finding(True, f"{name} works ({seconds:.1f} s; {models})")


def write_sample(path: Path) -> None:
    """Write a short recording: a rising arpeggio, enough to be listened to."""
    tones = (220.0, 277.2, 329.6, 440.0)
    count = SAMPLE_S * SAMPLE_RATE_HZ
    samples = (
        0.3 * math.sin(2 * math.pi * tones[int(i / SAMPLE_RATE_HZ * 2) % len(tones)] * i / SAMPLE_RATE_HZ)
        for i in range(count)
    )
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(struct.pack(f"<{count}h", *(int(sample * 32_767) for sample in samples)))
