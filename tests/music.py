"""Small recordings for tests: made on the spot, so that no test needs a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 22_050
CALM = (220.0, 261.6, 329.6)
"""A minor triad, low."""
BRIGHT = (523.3, 659.3, 784.0, 1046.5)
"""A major arpeggio, high."""


def arpeggio(seconds: float, tones: tuple[float, ...], notes_per_s: float, loudness: float) -> NDArray[np.float32]:
    """Return plucked tones in turn, float32 [n] in [-1, 1]."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    step = (t * notes_per_s).astype(int)
    since = t - step / notes_per_s
    pitch = np.array(tones)[step % len(tones)]
    tone = sum(np.sin(2 * np.pi * pitch * k * since) / k**2 for k in range(1, 6))
    return np.asarray(loudness * np.exp(-3 * since) * tone / 1.5, dtype=np.float32)


def piece(seconds: float = 24.0, loudness: float = 0.8) -> NDArray[np.float32]:
    """Return a piece whose second half is livelier than its first."""
    half = seconds / 2
    return np.concatenate(
        [arpeggio(half, CALM, 1.5, 0.25 * loudness), arpeggio(half, BRIGHT, 6.0, loudness)], dtype=np.float32
    )


def write_piece(path: Path, seconds: float = 24.0) -> Path:
    """Write `piece` as a file in the format that the suffix names, and return the path."""
    soundfile.write(path, piece(seconds), RATE_HZ)
    return path
