"""The data of the emotion space. Knows arrays; knows nothing of models, audio or text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 2.0
"""Rows per second of every curve in the product (DEAM's annotation rate)."""

VA = NDArray[np.float32]
"""Array [..., 2] ordered (valence, arousal), each in [-1, 1]."""


@dataclass(frozen=True, eq=False)
class EmotionCurve:
    """Valence and arousal over time: `values` float32 [T, 2]; row i covers `start_s + [i, i + 1) / rate_hz`."""

    values: VA
    rate_hz: float = RATE_HZ
    start_s: float = 0.0

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != 2 or len(self.values) == 0:
            raise ValueError(f"a curve is [T, 2] with T >= 1, not {self.values.shape}")

    @property
    def duration_s(self) -> float:
        """Seconds from the first row's start to the last row's end."""
        return len(self.values) / self.rate_hz

    def mean_between(self, start_s: float, end_s: float) -> tuple[float, float]:
        """Mean (valence, arousal) of the rows whose centres lie in [start_s, end_s); at least the nearest row."""
        centres = self.start_s + (np.arange(len(self.values)) + 0.5) / self.rate_hz
        inside = (centres >= start_s) & (centres < end_s)
        if not inside.any():
            inside[np.abs(centres - (start_s + end_s) / 2).argmin()] = True
        valence, arousal = self.values[inside].mean(axis=0, dtype=np.float64)
        return float(valence), float(arousal)


@dataclass(frozen=True)
class Beat:
    """A stretch of a piece with one feeling: seconds, its mean on the plane, and the emotion word."""

    start_s: float
    end_s: float
    valence: float
    arousal: float
    word: str


def beats_array(beats: Sequence[Beat]) -> VA:
    """Return the beats' coordinates as [B, 2]."""
    return np.array([(beat.valence, beat.arousal) for beat in beats], dtype=np.float32).reshape(-1, 2)
