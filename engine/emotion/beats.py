"""Cuts a course of emotion into beats. Knows curves, sentences and emotion words; knows no model.

Borders are the exact least-squares change points of (valence, arousal) for a given number of segments (`ruptures`
`KernelCPD`; Truong, Oudre & Vayatis 2020, Signal Processing 167).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import ruptures
from numpy.typing import NDArray

from engine.emotion.calibration import Calibration
from engine.emotion.curve import VA, Beat, EmotionCurve
from engine.emotion.words import Words

MIN_BEATS, MAX_BEATS = 3, 10
SECOND_WORD_WITHIN = 0.1
"""A second nearest word farther from the point than this would be wrong rather than merely varied."""

_BEATS_PER_ROOT_SECOND = 0.52
"""Beats grow with the square root of the length: 4 in one minute, 7 in three, 9 in five, 10 from six minutes on."""
_EVENNESS = 0.15
"""Height of a ramp laid under each curve. Where nothing happens it makes beats of equal length win; a real change
of this size or more outweighs it."""
_SHORTEST_SHARE = 0.35
"""No beat is shorter than this share of the mean beat."""
_TEXT_CELLS = 600
"""Steps into which a text is laid out to find its beats: a cell is at most 33 of the longest text's characters."""
_NEIGHBOUR_WEIGHT = 0.5
"""A sentence is read in the light of its neighbours, each with this weight (smoothing kernel ½, 1, ½)."""


def beat_count(seconds: float) -> int:
    """Return how many beats a piece of that length gets: 3–10."""
    return max(MIN_BEATS, min(MAX_BEATS, round(_BEATS_PER_ROOT_SECOND * math.sqrt(seconds))))


def find_beats(curve: EmotionCurve, words: Words, calibration: Calibration) -> tuple[Beat, ...]:
    """Cut a curve on the music's scale into 3–10 beats that cover it without a gap, each with its emotion word."""
    values = curve.values.astype(np.float64)
    if len(values) < MIN_BEATS:
        values = np.repeat(values, MIN_BEATS, axis=0)
    step_s = curve.duration_s / len(values)
    borders = _borders(values, np.linspace(0.0, 1.0, len(values)), beat_count(curve.duration_s))
    points = [values[start:end].mean(axis=0) for start, end in pairwise(borders)]
    return _beats([curve.start_s + border * step_s for border in borders], points, words, calibration)


def beats_of_sentences(
    values: VA, lengths: Sequence[int], seconds: float, words: Words, calibration: Calibration
) -> tuple[Beat, ...]:
    """Lay a text over `seconds` and merge its sentences into 3–10 beats, their times proportional to its length.

    `values` [n, 2] are the sentences' coordinates on the **music's** scale, `lengths` their characters. Beats end
    where sentences end, but a sentence much longer than the others, or one of fewer than there are beats, is carried
    through several. Raises ValueError without a sentence.
    """
    weights = np.maximum(np.asarray(lengths, dtype=np.float64), 1.0)
    if values.shape != (len(weights), 2) or len(weights) == 0:
        raise ValueError(f"need values [n, 2] and n lengths with n >= 1, not {values.shape} and {len(weights)}")
    smooth = _smooth(values.astype(np.float64), weights)
    ends = np.cumsum(weights) / weights.sum()
    count = min(beat_count(seconds), max(MIN_BEATS, len(weights)))
    times = (np.arange(_TEXT_CELLS) + 0.5) / _TEXT_CELLS
    sentence_of_cell = np.searchsorted(ends, times)
    if len(weights) >= count:  # then no cut within a sentence can be the best one
        times = (ends - weights / weights.sum() / 2)[sentence_of_cell]
    cells = smooth[sentence_of_cell]
    shares = [_at_sentence_end(border / _TEXT_CELLS, ends, count) for border in _borders(cells, times, count)]
    borders = [round(share * _TEXT_CELLS) for share in shares]
    points = [cells[start:end].mean(axis=0) for start, end in pairwise(borders)]
    return _beats([share * seconds for share in shares], points, words, calibration)


def _borders(values: NDArray[np.float64], times: NDArray[np.float64], count: int) -> list[int]:
    """Return the `count + 1` borders, from 0 to len(values), of the best cut; `times` are the rows' places, 0 to 1."""
    shortest = max(1, int(_SHORTEST_SHARE * len(values) / count))
    search = ruptures.KernelCPD(kernel="linear", min_size=shortest).fit(np.column_stack([values, _EVENNESS * times]))
    return [0, *(int(border) for border in search.predict(n_bkps=count - 1))]


def _smooth(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each sentence as the mean of itself and its neighbours, longer sentences counting more."""
    padded = np.pad(values * weights[:, None], ((1, 1), (0, 0)))
    mass = np.pad(weights, 1)
    total = padded[1:-1] + _NEIGHBOUR_WEIGHT * (padded[:-2] + padded[2:])
    result: NDArray[np.float64] = total / (mass[1:-1] + _NEIGHBOUR_WEIGHT * (mass[:-2] + mass[2:]))[:, None]
    return result


def _at_sentence_end(share: float, ends: NDArray[np.float64], count: int) -> float:
    """Return the sentence's end next to a border; the border itself if half a shortest beat holds no end."""
    choices = np.concatenate([[0.0], ends])
    nearest = float(choices[np.abs(choices - share).argmin()])
    reach = (_SHORTEST_SHARE / count - 1 / _TEXT_CELLS) / 2  # a cell less, so that two borders never meet
    return nearest if abs(nearest - share) < reach else share


def _beats(
    borders_s: Sequence[float], points: Sequence[NDArray[np.float64]], words: Words, calibration: Calibration
) -> tuple[Beat, ...]:
    beats: list[Beat] = []
    for start_s, end_s, point in zip(borders_s, borders_s[1:], points, strict=False):
        before = beats[-1].word if beats else None
        valence, arousal = (float(x) for x in np.round(np.clip(point, -1.0, 1.0), 4))
        word = _word(calibration.to_words((valence, arousal)).tolist(), before, words)
        beats.append(Beat(round(start_s, 3), round(end_s, 3), valence, arousal, word))
    return tuple(beats)


def _word(place: Sequence[float], before: str | None, words: Words) -> str:
    nearest, second = words.nearest(place, 2)
    if nearest.term != before:
        return nearest.term
    near_enough = math.dist(place, (second.valence, second.arousal)) <= SECOND_WORD_WITHIN
    return second.term if near_enough else nearest.term
