"""Brings the scales together: text, music and the word plane. Knows affine maps; knows no model and no data.

The same feeling has different numbers on different scales: ratings of sentences crowd around neutral, ratings of
music spread wider, and the emotion words wider still. Two scales are joined by an affine map per axis that gives both
the same mean and standard deviation (linear equating: Kolen & Brennan 2014, "Test Equating", ch. 2).
`engine/training/calibration.py` fits the numbers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from engine.emotion.curve import VA

PATH = Path(__file__).parent.parent / "assets" / "calibration.json"


@dataclass(frozen=True)
class Scale:
    """Where ratings of one kind lie: mean and standard deviation of (valence, arousal)."""

    mean: tuple[float, float]
    sd: tuple[float, float]

    @staticmethod
    def of(values: ArrayLike) -> Scale:
        """Measure ratings [n, 2]; raises ValueError where an axis does not vary."""
        array = np.asarray(values, dtype=np.float64)
        (mean_v, mean_a), (sd_v, sd_a) = array.mean(axis=0).tolist(), array.std(axis=0).tolist()
        if not (sd_v > 0 and sd_a > 0):
            raise ValueError("a scale needs ratings that vary on both axes")
        return Scale((mean_v, mean_a), (sd_v, sd_a))


@dataclass(frozen=True)
class Calibration:
    """The three scales; every conversion takes and returns arrays [..., 2], clipped to [-1, 1]."""

    text: Scale
    music: Scale
    words: Scale

    @staticmethod
    @cache
    def load(path: Path = PATH) -> Calibration:
        """Return the shipped calibration, read once in a process."""
        data = json.loads(path.read_text(encoding="utf-8"))["scales"]
        return Calibration(**{name: _scale(data[name]) for name in ("text", "music", "words")})

    def to_music(self, va: ArrayLike) -> VA:
        """Text scale → music scale."""
        return _convert(va, self.text, self.music)

    def to_text(self, va: ArrayLike) -> VA:
        """Music scale → text scale."""
        return _convert(va, self.music, self.text)

    def to_words(self, va: ArrayLike) -> VA:
        """Music scale → the plane on which the emotion words lie."""
        return _convert(va, self.music, self.words)


def _scale(data: dict[str, Sequence[float]]) -> Scale:
    (mean_v, mean_a), (sd_v, sd_a) = data["mean"], data["sd"]
    return Scale((mean_v, mean_a), (sd_v, sd_a))


def _convert(va: ArrayLike, source: Scale, target: Scale) -> VA:
    standard = (np.asarray(va, dtype=np.float64) - source.mean) / source.sd
    return np.clip(standard * target.sd + target.mean, -1.0, 1.0).astype(np.float32)
