"""Hears a piece whose beats are known, each beat by itself. Knows the music model; knows no composer.

The music model learned from whole clips of 30 to 90 s with one label each, and what it says of a moment leans on a
minute to either side. Where somebody asks for a border, as in a composed piece, a beat is what such a clip was; heard
alone, its feeling shows much more clearly, also to a model that learned from other labels (numbers in `docs/music.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.emotion.curve import RATE_HZ, Beat, EmotionCurve
from engine.emotion.features import ROW

LEAST_S = 10.0
"""A shorter beat is heard together with what lies around it: a key and a pulse need some bars."""

Listen = Callable[[NDArray[np.float32]], EmotionCurve]
"""Mono samples at `ANALYSIS_RATE_HZ` → the curve that is heard in them, from 0 s."""


def stretch(start_s: float, end_s: float, seconds: float) -> tuple[float, float]:
    """Return (start, end) of what is heard for a beat in a piece of `seconds`: the beat, or LEAST_S around it."""
    length = min(max(end_s - start_s, LEAST_S), seconds)
    start = min(max((start_s + end_s - length) / 2, 0.0), seconds - length)
    return start, start + length


def hear_by_beat(samples: NDArray[np.float32], beats: Sequence[Beat], listen: Listen) -> EmotionCurve:
    """Return a curve like that of `listen`, of which every beat was heard by itself.

    `samples` [n] mono at `ANALYSIS_RATE_HZ`; `beats` in order. What rings on after the last beat belongs to it and
    is not heard: it takes the last value. Raises what `listen` raises.
    """
    rows = max(1, len(samples) // ROW)
    ends = [min(rows, max(0, round(beat.end_s * RATE_HZ))) for beat in beats]
    last = max(1, ends[-1])
    values = np.zeros((rows, 2), dtype=np.float32)
    start = 0
    for end in ends:
        if end > start:
            low, high = (round(t * RATE_HZ) for t in stretch(start / RATE_HZ, end / RATE_HZ, last / RATE_HZ))
            heard = listen(samples[low * ROW : high * ROW]).values
            values[start:end] = heard[start - low : end - low]
            start = end
    values[last:] = values[last - 1]
    return EmotionCurve(values)
