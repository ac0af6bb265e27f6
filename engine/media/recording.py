"""A decoded piece of music, as every later stage sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ANALYSIS_RATE_HZ = 22_050
"""Sample rate at which music is listened to."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Mono float32 samples [n] in [-1, 1] at ANALYSIS_RATE_HZ, finite, with where they came from."""

    samples: NDArray[np.float32]
    title: str
    sha256: str

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / ANALYSIS_RATE_HZ
