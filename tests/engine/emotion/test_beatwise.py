"""Each beat of a composed piece is heard by itself."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.emotion.beatwise import LEAST_S, hear_by_beat, stretch
from engine.emotion.curve import Beat, EmotionCurve
from engine.emotion.features import ROW


class Ear:
    """Hears the mean of what it is given, everywhere; remembers how many rows that were."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, samples: NDArray[np.float32]) -> EmotionCurve:
        self.rows.append(len(samples) // ROW)
        return EmotionCurve(np.full((self.rows[-1], 2), samples.mean(), dtype=np.float32))


def _samples(*levels: tuple[float, float]) -> NDArray[np.float32]:
    """Return (seconds, level) one after the other."""
    return np.concatenate([np.full(round(2 * s) * ROW, level, dtype=np.float32) for s, level in levels])


def test_a_beat_is_heard_without_its_neighbours() -> None:
    ear, beats = Ear(), (Beat(0, 12, 0, 0, "a"), Beat(12, 30, 0, 0, "b"), Beat(30, 45, 0, 0, "c"))
    curve = hear_by_beat(_samples((12, 0.1), (18, 0.5), (15, -0.3)), beats, ear)
    assert ear.rows == [24, 36, 30] and len(curve.values) == 90
    for beat, level in zip(beats, (0.1, 0.5, -0.3), strict=True):
        assert curve.mean_between(beat.start_s, beat.end_s) == pytest.approx((level, level), abs=1e-6)


def test_what_rings_on_after_the_last_beat_is_not_heard() -> None:
    ear = Ear()
    curve = hear_by_beat(_samples((12, 0.2), (4, 0.9)), (Beat(0, 12, 0, 0, "a"),), ear)
    assert ear.rows == [24]
    np.testing.assert_allclose(curve.values, np.full((32, 2), 0.2), atol=1e-6)


def test_a_short_beat_is_heard_with_what_is_around_it() -> None:
    assert stretch(20, 24, 60) == (17, 27) and stretch(0, 4, 60) == (0, LEAST_S)
    assert stretch(56, 60, 60) == (50, 60) and stretch(2, 5, 7) == (0, 7) and stretch(0, 30, 60) == (0, 30)
    ear = Ear()
    hear_by_beat(
        _samples((8, 0.0), (4, 0.0), (8, 0.0)),
        (Beat(0, 8, 0, 0, "a"), Beat(8, 12, 0, 0, "b"), Beat(12, 20, 0, 0, "c")),
        ear,
    )
    assert ear.rows == [20, 20, 20]


def test_a_piece_shorter_than_its_beats_is_heard_to_its_end() -> None:
    curve = hear_by_beat(
        _samples((9, 0.4)), (Beat(0, 6, 0, 0, "a"), Beat(6, 12, 0, 0, "b"), Beat(12, 14, 0, 0, "c")), Ear()
    )
    np.testing.assert_allclose(curve.values, np.full((18, 2), 0.4), atol=1e-6)
