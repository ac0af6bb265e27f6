"""The feedback loop around the composer: it makes up for what is heard, and each beat keeps its closest target."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.emotion.curve import Beat, EmotionCurve
from engine.emotion.features import ROW
from engine.errors import Cancelled, UserError
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music.composer import Brief, Music
from engine.music.embedded import EmbeddedComposer
from engine.music.steering import GAIN, HEARD_REACH, REACH, SteeredComposer, missed, next_target
from engine.report import silent

BEATS = (Beat(0, 10, 0.4, 0.2, "glad"), Beat(10, 20, -0.3, 0.5, "tense"))
BRIEF = Brief("", BEATS, 20.0, 7)


class Scripted:
    """Plays a curve as samples: the listener below hears `aimed * slope + bias` of each beat, drawn by `wobble`."""

    name = "scripted"

    def __init__(self, bias: float = 0.0, slope: float = 1.0, wobble: tuple[float, ...] = (0.0,)) -> None:
        self.sketched: list[Brief] = []
        self.composed: list[Brief] = []
        self._bias, self._slope, self._wobble = bias, slope, wobble

    def sketch(self, brief: Brief, rate_hz: int) -> NDArray[np.float32]:
        assert rate_hz == ANALYSIS_RATE_HZ
        off = self._bias + self._wobble[len(self.sketched) % len(self._wobble)]
        self.sketched.append(brief)
        samples = np.zeros((20 * len(brief.beats), ROW), dtype=np.float32)
        points = [
            [b.valence * self._slope + off, b.arousal * self._slope + off] for b in brief.beats for _ in range(20)
        ]
        samples[:, :2] = points
        return samples.ravel()

    def compose(self, brief: Brief, report: object) -> Music:
        self.composed.append(brief)
        assert callable(report)
        for fraction in (0.0, 0.5, 1.0):
            report("compose", fraction)
        return Music(np.zeros((10, 2), dtype=np.float32), 44_100, None)


def listen(mono: NDArray[np.float32]) -> EmotionCurve:
    return EmotionCurve(mono.reshape(-1, ROW)[:, :2])


def errors(scripted: Scripted, brief: Brief) -> float:
    """Return how far the composed piece is from the wish, as this composer sounds."""
    rows = [
        np.hypot(
            b.valence * scripted._slope + scripted._bias - w.valence,
            b.arousal * scripted._slope + scripted._bias - w.arousal,
        )
        for b, w in zip(brief.beats, BEATS, strict=True)
    ]
    return float(np.mean(rows))


@pytest.mark.parametrize(("bias", "slope"), [(-0.3, 1.0), (0.2, 0.6), (-0.2, 1.4)])
def test_a_composer_with_a_bias_is_corrected(bias: float, slope: float) -> None:
    plain, steered = Scripted(bias, slope), Scripted(bias, slope)
    SteeredComposer(steered, listen, 4).compose(BRIEF, silent)
    assert len(steered.sketched) == 4 and steered.sketched[0].beats == BEATS
    assert errors(steered, steered.composed[0]) < 0.5 * errors(plain, BRIEF)


def test_a_composer_that_is_right_is_left_alone() -> None:
    scripted = Scripted()
    SteeredComposer(scripted, listen, 3).compose(BRIEF, silent)
    assert scripted.composed == [BRIEF]


def test_each_beat_keeps_the_target_that_came_closest() -> None:
    class Fickle(Scripted):
        """Plays one beat right in the second sketch and the other in the third."""

        def sketch(self, brief: Brief, rate_hz: int) -> NDArray[np.float32]:
            samples = super().sketch(brief, rate_hz).reshape(len(BEATS), -1, ROW)
            for beat, right in ((0, 2), (1, 3)):
                wish = (BEATS[beat].valence, BEATS[beat].arousal)
                samples[beat, :, :2] = wish if len(self.sketched) == right else -0.9
            return samples.ravel()

    fickle = Fickle()
    SteeredComposer(fickle, listen, 4).compose(BRIEF, silent)
    kept, sketched = fickle.composed[0].beats, [brief.beats for brief in fickle.sketched]
    assert kept == (sketched[1][0], sketched[2][1]) != sketched[1] != sketched[2]


def test_the_closest_sketch_is_kept_not_the_last() -> None:
    scripted = Scripted(wobble=(0.5, 0.5, -0.9))  # the first correction takes some of it away
    SteeredComposer(scripted, listen, 3).compose(BRIEF, silent)
    assert scripted.composed[0].beats == scripted.sketched[1].beats


@pytest.mark.parametrize(("asked", "sketched"), [(None, 3), (1, 0), (2, 2), (5, 5)])
def test_a_brief_says_how_often_to_listen(asked: int | None, sketched: int) -> None:
    scripted = Scripted(bias=0.4)
    told: list[float] = []
    composer = SteeredComposer(scripted, listen, 3)
    composer.compose(replace(BRIEF, sketches=asked), lambda stage, fraction: told.append(fraction))
    assert len(scripted.sketched) == sketched and len(scripted.composed) == 1
    assert told[0] == 0 and told[-1] == 1


def test_words_borders_and_seed_stay() -> None:
    scripted = Scripted(bias=0.4)
    SteeredComposer(scripted, listen, 3).compose(BRIEF, silent)
    for brief in [*scripted.sketched, *scripted.composed]:
        assert brief.seed == 7 and brief.seconds == 20
        assert [(b.start_s, b.end_s, b.word) for b in brief.beats] == [(b.start_s, b.end_s, b.word) for b in BEATS]


def test_progress_only_grows() -> None:
    told: list[float] = []

    def watch(stage: str, fraction: float) -> None:
        assert stage == "compose"
        told.append(fraction)

    SteeredComposer(Scripted(), listen, 3).compose(BRIEF, watch)
    assert told[0] == 0 and told[-1] == 1 and all(a <= b for a, b in pairwise(told))


def test_cancelled_between_sketches() -> None:
    scripted = Scripted()

    def stop(stage: str, fraction: float) -> None:
        if fraction > 0.1:
            raise Cancelled

    with pytest.raises(Cancelled):
        SteeredComposer(scripted, listen, 3).compose(BRIEF, stop)
    assert len(scripted.sketched) == 1 and not scripted.composed


def test_bad_briefs_are_refused_before_any_work() -> None:
    scripted = Scripted()
    with pytest.raises(UserError):
        SteeredComposer(scripted, listen, 2).compose(Brief("", (), 20.0, 1), silent)
    assert not scripted.sketched


def test_one_sketch_steers_nothing() -> None:
    with pytest.raises(ValueError, match="two sketches"):
        SteeredComposer(Scripted(), listen, 1)


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
def test_the_next_target_moves_against_the_error(wanted: float, target: float, heard: float) -> None:
    rows = [np.array([[x, x]]) for x in (wanted, target, heard)]
    moved = next_target(*rows)[0]
    error = float(missed(rows[0], rows[2])[0, 0])
    for gain, found in zip(GAIN, moved.tolist(), strict=True):
        assert -REACH <= found <= REACH + 1e-6
        assert found == pytest.approx(np.clip(target + gain * error, -REACH, REACH), abs=1e-6)
    assert error == 0 or np.sign(error) == np.sign(wanted - heard)
    assert abs(error) <= abs(wanted - heard) + 1e-6


def test_of_a_strong_wish_no_more_is_expected_than_can_be_heard() -> None:
    wanted = np.array([[0.8, -0.8], [0.8, 0.8], [0.1, 0.1]])
    heard = np.array([[HEARD_REACH, -0.6], [0.2, 0.9], [0.1, 0.0]])
    error = missed(wanted, heard)
    assert error[0].tolist() == [0, 0]
    assert 0.2 < error[1, 0] < HEARD_REACH - 0.2 and error[1, 1] == pytest.approx(-0.1)
    assert error[2] == pytest.approx([0.0, 0.1], abs=0.01)


def test_a_sketch_is_the_piece_without_room_and_polish() -> None:
    """The real composer: same notes, so the envelopes of sketch and finished piece go together."""
    composer = EmbeddedComposer()
    brief = Brief("", (Beat(0, 6, 0.5, -0.5, "calm"), Beat(6, 12, 0.2, 0.7, "excited")), 12.0, 4)
    sketch = composer.sketch(brief, ANALYSIS_RATE_HZ)
    music = composer.compose(brief, silent)
    assert sketch.ndim == 1 and 12 <= len(sketch) / ANALYSIS_RATE_HZ <= 16
    np.testing.assert_array_equal(sketch, composer.sketch(brief, ANALYSIS_RATE_HZ))

    def envelope(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float64]:
        step = rate_hz // 10
        return np.array([np.sqrt(np.mean(samples[i * step : (i + 1) * step] ** 2)) for i in range(115)])

    full = envelope(music.samples.mean(axis=1), music.rate_hz)
    assert np.corrcoef(envelope(sketch, ANALYSIS_RATE_HZ), full)[0, 1] > 0.8
