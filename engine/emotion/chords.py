"""Chords of music over time. Knows chroma vectors; knows nothing of samples, models or emotion.

Which triads sound says more about valence than the twelve pitch classes themselves: on VGMIDI these columns raise the
correlation of a ridge regression with the valence of pieces from .67 to .71.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from engine.emotion import tonality

Array = NDArray[np.float32]

TRIADS = {"major": (0, 4, 7), "minor": (0, 3, 7)}
CHORDS = {
    **TRIADS,
    "diminished": (0, 3, 6),
    "augmented": (0, 4, 8),
    "suspended": (0, 5, 7),
    "seventh": (0, 4, 7, 10),
    "major_seventh": (0, 4, 7, 11),
    "minor_seventh": (0, 3, 7, 10),
}
"""Semitones above the root."""

NAMES = (
    *(f"chord_{name}" for name in CHORDS),
    "chord_mode",
    "major_share",
    "chord_changes",
    "tonic_strength",
    "relative_major",
    "relative_minor",
)
"""Columns of `describe`."""

CHORD_ROWS, CHANGE_ROWS, KEY_ROWS = 3, 9, 39
"""Rows (half seconds) over which chroma is averaged for a chord, changes of chords are counted, and a key is heard."""

_SURENESS = 12.0
"""Factor on the cosines before the softmax over triads: one triad clearly ahead takes most of the share."""


def describe(chroma: Array, tonic: int) -> Array:
    """Describe chroma [n, 12] (not negative, not normalised) as heard from `tonic` (0 = C): float32 [n, len(NAMES)].

    `chord_*` are cosines with the best chord of that kind; `chord_mode` is that of the best major minus the best minor
    triad, `major_share` how much of all likelihood major triads have, `chord_changes` the share of rows in which the
    likeliest triad changes. Of the key around: how clearly `tonic` is its own, and the major key a third above it
    against its minor key, and its major key against the minor key a third below.
    """
    now = _averaged(chroma, CHORD_ROWS)
    unit = now / np.linalg.norm(now, axis=1, keepdims=True)
    alike = {name: unit @ template for name, template in _TEMPLATES.items()}
    triads = np.concatenate([alike[name] for name in TRIADS], axis=1)
    likely = np.exp(_SURENESS * (triads - triads.max(axis=1, keepdims=True)))
    likely /= likely.sum(axis=1, keepdims=True)
    best = likely.argmax(axis=1)
    changes = np.diff(best, prepend=best[:1]) != 0
    around = tonality.key_strengths(_averaged(chroma, KEY_ROWS))
    above, below = (tonic + 3) % 12, (tonic + 9) % 12
    columns = [
        *(found.max(axis=1) for found in alike.values()),
        alike["major"].max(axis=1) - alike["minor"].max(axis=1),
        likely[:, :12].sum(axis=1),
        uniform_filter1d(changes.astype(np.float32), CHANGE_ROWS, mode="nearest"),
        np.maximum(around.major, around.minor)[:, tonic],
        around.major[:, above] - around.minor[:, tonic],
        around.major[:, tonic] - around.minor[:, below],
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _averaged(chroma: Array, rows: int) -> Array:
    """Shares of the pitch classes over `rows` rows; all alike where nothing sounds."""
    mean = uniform_filter1d(chroma, rows, axis=0, mode="nearest")
    total = mean.sum(axis=1, keepdims=True)
    share: Array = np.divide(mean, total, out=np.full_like(mean, 1 / 12), where=total > 1e-6)
    return share


def _template(steps: tuple[int, ...]) -> Array:
    """The chord on every root, each of length 1: [12, 12], a column a root."""
    chord = np.isin(np.arange(12), steps).astype(np.float32)
    chords: Array = np.stack([np.roll(chord, root) for root in range(12)], axis=1)
    return chords / np.float32(np.sqrt(len(steps)))


_TEMPLATES = {name: _template(steps) for name, steps in CHORDS.items()}
