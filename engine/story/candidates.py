"""Chooses among candidate stories: by fit to the music, after what is no language has been put aside. Pure.

Knows coordinates and shares; knows no model and no text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

SOUND_FROM = 0.5
"""Below this the detector takes a paragraph for gibberish rather than language."""


def distances(wanted: ArrayLike, got: ArrayLike) -> NDArray[np.float64]:
    """Return the Euclidean distance of each beat, [B], between two arrays [B, 2] on the music's scale.

    Their mean is what the alignment of a result reports, so this is what choosing improves.
    """
    difference = np.asarray(wanted, dtype=np.float64) - np.asarray(got, dtype=np.float64)
    result: NDArray[np.float64] = np.linalg.norm(difference, axis=-1)
    return result


def best_of(misfits: Sequence[Sequence[float]], soundness: Sequence[Sequence[float]]) -> int | None:
    """Return which candidate has the smallest mean misfit among those without gibberish, the first of equals.

    `misfits` and `soundness` (in [0, 1]) hold a number for each paragraph of each candidate. None: all are gibberish.
    """
    readable = [i for i, scores in enumerate(soundness) if min(scores) >= SOUND_FROM]
    return min(readable, key=lambda i: (float(np.mean(misfits[i])), i), default=None)


def worst_of(misfits: Sequence[float], tried: frozenset[int] = frozenset()) -> int | None:
    """Return the paragraph that fits least, the first of equals; None when all have been tried."""
    rest = [i for i in range(len(misfits)) if i not in tried]
    return max(rest, key=lambda i: (misfits[i], -i), default=None)


def replacement(current: float, misfits: Sequence[float], soundness: Sequence[float]) -> int | None:
    """Return which new paragraph fits better than the `current` misfit and is language; None when none does."""
    better = [i for i, misfit in enumerate(misfits) if misfit < current and soundness[i] >= SOUND_FROM]
    return min(better, key=lambda i: (misfits[i], i), default=None)
