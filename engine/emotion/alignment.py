"""Measures how well a story and a piece of music fit. Knows coordinates of beats and a bank of story curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.emotion.calibration import Calibration
from engine.emotion.curve import VA
from engine.jobs import Alignment

DRAWS = 1_000
"""Random stories against which a pair is held; the share has a standard error of at most 1.6 %."""
MIN_BEATS_FOR_R = 5
"""Below five points a correlation says next to nothing (r = .8 may be chance)."""

_FLAT_SD = 1e-4
"""Beats that vary less than this (coordinates are kept to four digits) count as not varying."""
_SENTENCES_PER_BEAT = 4
"""Length of a drawn excerpt: the mean of more sentences is calmer, so excerpts are as long as our own paragraphs."""
_BANK = Path(__file__).parent.parent / "assets" / "story_bank.npz"


@dataclass(frozen=True, eq=False)
class StoryBank:
    """Curves of many tales, one row per sentence, **on the music's scale**.

    `cumulated` float64 [N + 1, 2] is the running sum of all sentences; tale s is rows `offsets[s]` to `offsets[s + 1]`.
    """

    cumulated: NDArray[np.float64]
    offsets: NDArray[np.int64]

    @staticmethod
    def of(values: VA, offsets: Sequence[int] | NDArray[np.integer]) -> StoryBank:
        """Build a bank from sentences [N, 2] on the music's scale and tale borders [S + 1]."""
        borders = np.asarray(offsets, dtype=np.int64)
        if borders[0] != 0 or borders[-1] != len(values) or (np.diff(borders) < 1).any():
            raise ValueError("offsets must rise from 0 to the number of sentences")
        cumulated = np.zeros((len(values) + 1, 2))
        np.cumsum(values, axis=0, dtype=np.float64, out=cumulated[1:])
        return StoryBank(cumulated, borders)

    @staticmethod
    @cache
    def load(path: Path = _BANK, calibration: Calibration | None = None) -> StoryBank:
        """Read the shipped bank (`values` float16 [N, 2] on the text's scale, `offsets` int32 [S + 1])."""
        with np.load(path, allow_pickle=False) as data:
            values = (calibration or Calibration.load()).to_music(data["values"])
            return StoryBank.of(values, data["offsets"])

    def draw(self, shares: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
        """Draw DRAWS random excerpts and return their means over beats, [DRAWS, B, 2].

        `shares` [B] are the beats' lengths as parts of the whole. An excerpt takes four sentences a beat, or the
        whole tale where it is shorter; a beat that ends within a sentence takes its part of it.
        """
        rng = np.random.default_rng(seed)
        tales = rng.integers(len(self.offsets) - 1, size=DRAWS)
        sizes = np.diff(self.offsets)[tales]
        excerpt = np.minimum(sizes, _SENTENCES_PER_BEAT * len(shares))
        starts = self.offsets[tales] + rng.integers(sizes - excerpt + 1)
        borders = starts[:, None] + excerpt[:, None] * np.concatenate([[0.0], np.cumsum(shares)])
        sums = self._cumulated_at(borders)
        means: NDArray[np.float64] = np.diff(sums, axis=1) / np.diff(borders, axis=1)[..., None]
        return means

    def _cumulated_at(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        below = np.minimum(rows.astype(np.int64), len(self.cumulated) - 2)
        base = self.cumulated[below]
        value: NDArray[np.float64] = base + (rows - below)[..., None] * (self.cumulated[below + 1] - base)
        return value


def align(
    wanted: VA,
    got: VA,
    durations: Sequence[float],
    bank: StoryBank,
    seed: int,
    by: str,
    *,
    story: Literal["wanted", "got"] = "got",
) -> Alignment:
    """Measure a pair: `wanted` and `got` [B, 2], both on the music's scale, and the beats' `durations` in seconds.

    `story` says which of the two is the story: random stories take its place, so that `better_than_shuffled` always
    is the share of other stories that fit this music worse. `by` names the models that read and heard.
    """
    ours, theirs = np.asarray(wanted, dtype=np.float64), np.asarray(got, dtype=np.float64)
    if ours.shape != theirs.shape or ours.shape != (len(durations), 2) or len(durations) == 0:
        raise ValueError(f"shapes differ: {ours.shape}, {theirs.shape}, {len(durations)} durations")
    lengths = np.asarray(durations, dtype=np.float64)
    music = ours if story == "got" else theirs
    distance = _distance(ours, theirs)
    others = _distance(bank.draw(lengths / lengths.sum(), seed), music)
    return Alignment(
        distance=round(float(distance), 4),
        valence_r=_correlation(ours[:, 0], theirs[:, 0]),
        arousal_r=_correlation(ours[:, 1], theirs[:, 1]),
        better_than_shuffled=float((others > distance).mean()),
        by=by,
    )


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean Euclidean distance over beats: [..., B, 2] → [...]."""
    mean: NDArray[np.float64] = np.linalg.norm(a - b, axis=-1).mean(axis=-1)
    return mean


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    if len(a) < MIN_BEATS_FOR_R or min(a.std(), b.std()) < _FLAT_SD:
        return None
    return round(float(np.corrcoef(a, b)[0, 1]), 4)
