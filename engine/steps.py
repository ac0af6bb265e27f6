"""What both directions share: getting a recording, the clock of the stages, plain numbers, the card."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from engine import vault
from engine.emotion.curve import VA, Beat, EmotionCurve
from engine.jobs import CurveData, FileSource, MusicFacts, PlainBeat, Source
from engine.media.decode import decode
from engine.media.fetch import fetch
from engine.media.recording import Recording
from engine.report import Report
from engine.settings import EngineSettings

DECIMALS = 4
"""Digits kept in results: finer than any model is, and short to read."""


class Stopwatch:
    """Measures how long each stage took."""

    def __init__(self) -> None:
        self._elapsed: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time of the `with` body to `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._elapsed[stage] = self._elapsed.get(stage, 0.0) + time.perf_counter() - start

    @property
    def elapsed_s(self) -> dict[str, float]:
        """Seconds by stage, in the order in which they first ran."""
        return {stage: round(seconds, 3) for stage, seconds in self._elapsed.items()}


def get_recording(
    source: Source, settings: EngineSettings, folder: Path, report: Report, watch: Stopwatch
) -> Recording:
    """Fetch (links) and decode the source. Raises `UserError` when it is no music that we can listen to."""
    if isinstance(source, FileSource):
        path, name = Path(source.path), source.name
    else:
        with watch("fetch"):
            fetched = fetch(source.url, settings.media, folder, report)
        path, name = fetched.path, fetched.title
    try:
        with watch("decode"), vault.current().plain(path) as readable:
            return decode(readable, name, settings.media, folder, report)
    finally:
        if not isinstance(source, FileSource):
            path.unlink(missing_ok=True)


def seed_of(sha256: str) -> int:
    """Return the default seed: the first 32 bits of the input's SHA-256 (hexadecimal)."""
    return int(sha256[:8], 16)


def text_sha256(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def rounded(value: float) -> float:
    """Round as all numbers of a result are rounded; negative zero becomes zero."""
    return round(float(value), DECIMALS) + 0.0


def curve_data(curve: EmotionCurve) -> CurveData:
    """Return the curve as plain numbers."""
    valence, arousal = (tuple(rounded(value) for value in column) for column in curve.values.T)
    return CurveData(curve.rate_hz, curve.start_s, valence, arousal)


def music_facts(recording: Recording) -> MusicFacts:
    """Return the facts of a recording for a result."""
    return MusicFacts(recording.title, round(recording.duration_s, 3), recording.sha256)


def durations(beats: Sequence[Beat]) -> tuple[float, ...]:
    """Return the beats' lengths in seconds."""
    return tuple(beat.end_s - beat.start_s for beat in beats)


def heard_in(curve: EmotionCurve, beats: Sequence[Beat]) -> VA:
    """Return the mean of the curve over each beat, [B, 2]."""
    return np.array([curve.mean_between(beat.start_s, beat.end_s) for beat in beats], dtype=np.float32)


def points(values: VA) -> tuple[tuple[float, float], ...]:
    """Return [B, 2] as pairs (valence, arousal)."""
    return tuple((float(valence), float(arousal)) for valence, arousal in values)


def plain_beat(beat: Beat) -> PlainBeat:
    """Return a beat as a result shows it, with rounded numbers."""
    return PlainBeat(
        round(beat.start_s, 3), round(beat.end_s, 3), rounded(beat.valence), rounded(beat.arousal), beat.word
    )
