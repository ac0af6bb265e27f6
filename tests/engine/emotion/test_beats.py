import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.emotion.beats import SECOND_WORD_WITHIN, beat_count, beats_of_sentences, find_beats
from engine.emotion.calibration import Calibration, Scale
from engine.emotion.curve import VA, Beat, EmotionCurve
from engine.emotion.words import EmotionWord, Words

WORDS, CALIBRATION = Words.load(), Calibration.load()
SAME = Calibration(*[Scale((0.0, 0.0), (1.0, 1.0))] * 3)


def _curve(*parts: tuple[int, float, float]) -> EmotionCurve:
    """A curve of stretches: (rows, valence, arousal)."""
    values = np.concatenate([np.tile(np.array([v, a], dtype=np.float32), (rows, 1)) for rows, v, a in parts])
    return EmotionCurve(values)


def _words(*places: tuple[str, float, float]) -> Words:
    return Words([EmotionWord(term, v, a, 0.0, term, term, True) for term, v, a in places])


def _check_cover(beats: tuple[Beat, ...], start_s: float, end_s: float) -> None:
    assert 3 <= len(beats) <= 10
    assert (beats[0].start_s, beats[-1].end_s) == pytest.approx((start_s, end_s), abs=1e-3)
    assert all(a.end_s == b.start_s for a, b in pairwise(beats))
    assert all(beat.start_s < beat.end_s for beat in beats)
    assert all(-1 <= x <= 1 for beat in beats for x in (beat.valence, beat.arousal))


@pytest.mark.parametrize(("seconds", "count"), [(3, 3), (30, 3), (60, 4), (180, 7), (300, 9), (360, 10), (900, 10)])
def test_longer_pieces_have_more_beats(seconds: float, count: int) -> None:
    assert beat_count(seconds) == count


def test_borders_are_where_the_feeling_changes() -> None:
    beats = find_beats(_curve((30, 0.4, 0.3), (56, -0.4, 0.5), (34, -0.2, -0.4)), WORDS, CALIBRATION)
    # One minute has four beats: three changes of feeling need three, the fourth may fall anywhere.
    borders = {beat.start_s for beat in beats}
    assert {0.0, 15.0, 43.0} <= borders
    assert beats[0].valence == pytest.approx(0.4, abs=1e-4)
    assert beats[-1].arousal == pytest.approx(-0.4, abs=1e-4)


def test_where_nothing_happens_beats_are_even() -> None:
    beats = find_beats(_curve((360, 0.1, 0.1)), WORDS, CALIBRATION)
    assert len(beats) == 7
    assert all(abs((beat.end_s - beat.start_s) - 180 / 7) <= 0.5 for beat in beats)


@given(st.integers(1, 400), st.integers(0, 1000), st.sampled_from([0.0, 0.02, 0.5]), st.sampled_from([0.0, 15.0]))
def test_beats_cover_any_curve_and_hold_its_means(rows: int, seed: int, noise: float, start_s: float) -> None:
    rng = np.random.default_rng(seed)
    values = np.clip(rng.normal(0, noise, (rows, 2)).cumsum(axis=0), -1, 1).astype(np.float32)
    curve = EmotionCurve(values, start_s=start_s)
    beats = find_beats(curve, WORDS, CALIBRATION)
    _check_cover(beats, start_s, start_s + curve.duration_s)
    assert beats == find_beats(curve, WORDS, CALIBRATION)
    if rows >= 3:
        for beat in beats:
            mean = curve.mean_between(beat.start_s, beat.end_s)
            assert (beat.valence, beat.arousal) == pytest.approx(mean, abs=1e-4)


def test_the_word_is_the_nearest_after_calibration() -> None:
    calibration = Calibration(SAME.text, music=Scale((0.1, 0.1), (0.2, 0.2)), words=Scale((0.0, 0.0), (0.4, 0.4)))
    words = _words(("raw", 0.3, 0.3), ("calibrated", 0.4, 0.4), ("calm", -0.4, -0.4))
    beats = find_beats(_curve((20, 0.3, 0.3), (20, -0.1, -0.1), (20, 0.3, 0.3)), words, calibration)
    assert [beat.word for beat in beats] == ["calibrated", "calm", "calibrated"]


@pytest.mark.parametrize("away", [0.09, 0.11])
def test_a_repeat_takes_the_second_word_only_if_that_is_near(away: float) -> None:
    words = _words(("first", 0.5, 0.0), ("second", 0.5 + away, 0.0), ("far", -1, -1))
    beats = find_beats(_curve((60, 0.5, 0.0)), words, SAME)
    other = "second" if away <= SECOND_WORD_WITHIN else "first"
    assert [beat.word for beat in beats] == ["first", other, "first"]


def _sentences(*points: tuple[float, float]) -> VA:
    return np.array(points, dtype=np.float32)


def test_one_sentence_is_carried_through_three_beats() -> None:
    beats = beats_of_sentences(_sentences((0.3, -0.2)), [40], 60, WORDS, CALIBRATION)
    assert [(beat.start_s, beat.end_s) for beat in beats] == [(0, 20), (20, 40), (40, 60)]
    assert {(beat.valence, beat.arousal) for beat in beats} == {(0.3, -0.2)}


def test_times_are_proportional_to_the_text_and_end_with_sentences() -> None:
    points = [(0.5, 0.5)] * 3 + [(-0.5, 0.5)] * 3 + [(-0.5, -0.5)] * 3
    lengths = [10, 10, 10, 20, 20, 20, 30, 30, 30]
    beats = beats_of_sentences(_sentences(*points), lengths, 90, WORDS, CALIBRATION)
    ends = np.cumsum(lengths) / sum(lengths) * 90
    assert all(np.abs(ends - beat.end_s).min() < 0.001 for beat in beats)
    assert {15.0, 45.0} <= {beat.end_s for beat in beats}


def test_neighbours_soften_a_sentence() -> None:
    beats = beats_of_sentences(_sentences((0, 0), (0.8, 0), (0, 0)), [10, 10, 10], 30, WORDS, CALIBRATION)
    assert [beat.valence for beat in beats] == pytest.approx([0.2667, 0.4, 0.2667], abs=1e-4)


@given(st.integers(1, 60), st.integers(0, 1000), st.floats(3, 900))
def test_beats_cover_any_text(count: int, seed: int, seconds: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1, 1, (count, 2)).astype(np.float32)
    lengths = rng.integers(0, 300, count).tolist()
    beats = beats_of_sentences(values, lengths, seconds, WORDS, CALIBRATION)
    _check_cover(beats, 0.0, seconds)
    assert len(beats) == min(beat_count(seconds), max(3, count))


def test_no_sentence_is_an_error() -> None:
    with pytest.raises(ValueError, match="n >= 1"):
        beats_of_sentences(np.zeros((0, 2), dtype=np.float32), [], 60, WORDS, CALIBRATION)


def test_the_longest_piece_is_cut_exactly() -> None:
    turn = np.linspace(0, 2 * math.pi, 1800)
    values = np.stack([np.sign(np.sin(turn * 2)), np.sign(np.cos(turn))], axis=1).astype(np.float32) * 0.5
    beats = find_beats(EmotionCurve(values), WORDS, CALIBRATION)
    jumps = {225.0, 450.0, 675.0}
    assert jumps <= {beat.start_s for beat in beats}
