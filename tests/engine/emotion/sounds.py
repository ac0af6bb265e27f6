"""Small pieces of music made of sines, for tests of what is heard in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 22_050
MAJOR, MINOR = (0, 4, 7), (0, 3, 7)


def tone(note: float, seconds: float, partials: int = 6, slope: float = 1.0) -> NDArray[np.float32]:
    """One plucked note (MIDI number): partials fall as 1 / n ** slope, and the sound dies away within a second."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    frequency = 440.0 * 2 ** ((note - 69) / 12)
    sound = sum(np.sin(2 * np.pi * frequency * n * t) / n**slope for n in range(1, partials + 1))
    return np.asarray(sound * np.exp(-3 * t) * np.minimum(1, t / 0.005), np.float32)


def chords(
    quality: tuple[int, ...] = MAJOR,
    *,
    seconds: float = 20.0,
    per_second: float = 2.0,
    root: int = 48,
    level: float = 0.1,
    slope: float = 1.0,
    partials: int = 6,
) -> NDArray[np.float32]:
    """A cadence I–IV–V–I round and round in one mode, `per_second` chords a second, at RMS `level`."""
    steps = (0, 5, 7, 0)
    out = np.zeros(round(seconds * RATE_HZ), np.float32)
    for i in range(max(1, int(seconds * per_second))):
        start = round(i / per_second * RATE_HZ)
        for interval in quality:
            note = tone(root + 12 + steps[i % 4] + interval, min(1.0, seconds - i / per_second), partials, slope)
            note = note[: len(out) - start]
            out[start : start + len(note)] += note
    return np.asarray(out * (level / np.sqrt(np.mean(out**2))), np.float32)
