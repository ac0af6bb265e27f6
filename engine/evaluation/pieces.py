"""Pieces of music to tell stories for: heard in a folder of audio, read from saved curves, or drawn at random.

Knows beats and settings; knows no story. A saved curve is a line of `tunetale emotion --json`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.emotion.beats import find_beats
from engine.emotion.calibration import Calibration
from engine.emotion.curve import Beat, EmotionCurve, beats_array
from engine.emotion.setting import Setting
from engine.errors import UserError
from engine.jobs import Language
from engine.report import silent
from engine.settings import EngineSettings
from engine.story.storyteller import Prompt

AUDIO = frozenset((".aac", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"))


@dataclass(frozen=True)
class Piece:
    """A piece of music by its name, its beats on the music's scale, and what else was heard (None: nothing).

    `curve` and `sha256`, of the audio, are there where it was heard.
    """

    name: str
    beats: tuple[Beat, ...]
    setting: Setting | None
    curve: EmotionCurve | None = None
    sha256: str = ""


def prompt_for(piece: Piece, calibration: Calibration, language: Language, words: int, seed: int) -> Prompt:
    """Return what a storyteller is asked for this piece."""
    return Prompt(
        beats=piece.beats,
        targets=tuple((float(v), float(a)) for v, a in calibration.to_text(beats_array(piece.beats))),
        language=language,
        words=words,
        seed=seed,
        setting=piece.setting,
    )


def random_piece(seed: int, calibration: Calibration) -> Piece:
    """Return a piece of 3 to 10 beats whose feeling follows a slow wave, like that of music."""
    rng = np.random.default_rng(seed)
    beats = int(rng.integers(3, 11))
    place = np.linspace(0, 1, beats)
    axes = [
        rng.uniform(-0.7, 0.7)
        + rng.uniform(0.5, 1.3) * np.sin(2 * np.pi * (rng.uniform(0.3, 1.3) * place + rng.random()))
        for _ in range(2)
    ]
    music = np.clip(np.stack(axes, axis=1) * calibration.music.sd + calibration.music.mean, -1, 1)
    borders = np.concatenate([[0.0], np.cumsum(rng.uniform(12, 40, beats))])
    return Piece(
        name=f"random {seed}",
        beats=tuple(
            Beat(float(borders[i]), float(borders[i + 1]), float(music[i, 0]), float(music[i, 1]), "target")
            for i in range(beats)
        ),
        setting=Setting(float(rng.uniform(60, 170)), *(float(value) for value in rng.random(3))),
    )


def read_curves(path: Path, calibration: Calibration) -> list[Piece]:
    """Read one `tunetale emotion --json` document a line and find the beats anew; raises `UserError`."""
    from engine.emotion.words import Words

    words, pieces = Words.load(), []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            table = json.loads(line)
            if table["kind"] != "emotion":
                continue
            curve = table["curve"]
            values = np.array([curve["valence"], curve["arousal"]], dtype=np.float32).T
            heard = EmotionCurve(values, curve["rate_hz"], curve["start_s"])
            pieces.append(Piece(table["music"]["title"], find_beats(heard, words, calibration), None))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} does not hold one result of `tunetale emotion --json` a line ({error!r}).", code="bad_curves"
        ) from error
    if not pieces:
        raise UserError(f"{path} holds no curve of music.", code="bad_curves")
    return pieces


def audio_files(folder: Path) -> list[Path]:
    """Return a folder's audio files by name; raises `UserError` when there is none."""
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in AUDIO)
    if not files:
        raise UserError(f"There is no audio file in {folder}.", code="no_audio")
    return files


def hear_folder(folder: Path, calibration: Calibration, settings: EngineSettings) -> Iterator[Piece]:
    """Listen to every audio file in a folder, by name; raises `UserError`, also when there is none."""
    files = audio_files(folder)
    listener = Listener(calibration, settings)
    yield from map(listener.hear, files)


class Listener:
    """Hears pieces with TuneTale's music model."""

    def __init__(self, calibration: Calibration, settings: EngineSettings) -> None:
        from engine.emotion.music import MusicEmotion
        from engine.emotion.words import Words

        self._model, self._words = MusicEmotion.load(), Words.load()
        self._calibration, self._settings = calibration, settings

    @property
    def name(self) -> str:
        """Name of the music model."""
        return self._model.name

    def hear(self, path: Path) -> Piece:
        """Listen to an audio file; raises `UserError` where it is none."""
        from engine.media.decode import decode

        with tempfile.TemporaryDirectory() as scratch:
            recording = decode(path, path.name, self._settings.media, Path(scratch), silent)
        heard = self._model.listen(recording.samples)
        beats = find_beats(heard.curve, self._words, self._calibration)
        return Piece(path.name, beats, heard.setting, heard.curve, recording.sha256)
