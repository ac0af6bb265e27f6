"""Drafts are read, the best is heard, and each beat keeps the target that comes closest."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.emotion.curve import Beat, EmotionCurve
from engine.emotion.features import ROW
from engine.errors import Cancelled, UserError
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music.composer import Brief, Music
from engine.music.embedded import EmbeddedComposer
from engine.music.steering import EXAGGERATION, NEIGHBOURS, STEPS, TRUST, UNHEARD, Drafts, SteeredComposer, expected
from engine.report import silent

BEATS = (Beat(0, 10, 0.4, 0.2, "glad"), Beat(10, 20, -0.3, 0.5, "tense"))
BRIEF = Brief("", BEATS, 20.0, 7)


DRAFTS = 1 + len(NEIGHBOURS) * len(STEPS)


class Scripted:
    """Plays a curve as samples: the listener below hears `aimed * slope + bias` of each beat."""

    name = "scripted"

    def __init__(self, bias: float = 0.0, slope: float = 1.0) -> None:
        self.drafts: list[Brief] = []
        self.sketched: list[Brief] = []
        self.composed: list[Brief] = []
        self._bias, self._slope = bias, slope

    def read(self, brief: Brief) -> NDArray[np.float64]:
        """Read what is aimed at, knowing the slope but not the bias: that is only heard."""
        self.drafts.append(brief)
        return np.array([[b.valence, b.arousal] for b in brief.beats]) * self._slope

    def sketch(self, brief: Brief, rate_hz: int) -> NDArray[np.float32]:
        assert rate_hz == ANALYSIS_RATE_HZ
        self.sketched.append(brief)
        samples = np.zeros((20 * len(brief.beats), ROW), dtype=np.float32)
        heard = self.heard(brief)
        samples[:, :2] = np.repeat(heard, 20, axis=0)
        return samples.ravel()

    def heard(self, brief: Brief) -> NDArray[np.float64]:
        return np.array([[b.valence, b.arousal] for b in brief.beats]) * self._slope + self._bias

    def compose(self, brief: Brief, report: object) -> Music:
        self.composed.append(brief)
        assert callable(report)
        for fraction in (0.0, 0.5, 1.0):
            report("compose", fraction)
        return Music(np.zeros((10, 2), dtype=np.float32), 44_100, None)

    def steered(self, sketches: int) -> SteeredComposer:
        return SteeredComposer(self, self.read, listen, sketches)


def listen(mono: NDArray[np.float32]) -> EmotionCurve:
    return EmotionCurve(mono.reshape(-1, ROW)[:, :2])


WANTED = np.array([[b.valence, b.arousal] for b in BEATS])


def error(scripted: Scripted, brief: Brief) -> float:
    """Return how far a piece is from what can be expected, as this composer sounds."""
    return float(np.linalg.norm(scripted.heard(brief) - expected(WANTED), axis=1).mean())


@pytest.mark.parametrize(("bias", "slope"), [(0.0, 0.5), (0.0, 1.4), (-0.2, 1.0), (0.15, 0.7)])
def test_what_is_read_and_heard_is_made_up_for(bias: float, slope: float) -> None:
    plain, steered = Scripted(bias, slope), Scripted(bias, slope)
    steered.steered(2).compose(BRIEF, silent)
    assert steered.drafts[0].beats == BEATS and len(steered.drafts) >= DRAFTS
    assert error(steered, steered.composed[0]) < 0.6 * error(plain, BRIEF) + 0.02


def test_a_reader_that_is_right_needs_no_second_sketch() -> None:
    scripted = Scripted()
    scripted.steered(3).compose(BRIEF, silent)
    assert len(scripted.sketched) == 1 and scripted.composed[0].beats == scripted.sketched[0].beats
    assert error(scripted, scripted.composed[0]) < 0.06


def test_each_beat_keeps_the_target_that_came_closest() -> None:
    drafts = Drafts(WANTED)
    wide, near = np.array([[0.8, 0.8], [0.7, 0.7]]), np.array([[0.4, 0.2], [0.3, 0.3]])
    drafts.add(wide, np.array([expected(WANTED)[0], [0.9, 0.9]]))
    drafts.add(near, np.array([[0.9, 0.9], expected(WANTED)[1]]))
    np.testing.assert_array_equal(drafts.closest(), [wide[0], near[1]])


def test_arousal_counts_more_than_valence() -> None:
    drafts = Drafts(np.zeros((1, 2)))
    dark, stirred = np.array([[-0.3, 0.0]]), np.array([[0.0, 0.3]])
    drafts.add(dark, 1.5 * dark)
    drafts.add(stirred, stirred)
    np.testing.assert_array_equal(drafts.closest(), dark)


def test_what_was_heard_corrects_what_is_read_of_the_others() -> None:
    drafts = Drafts(np.zeros((1, 2)))
    low, middle, high = np.array([[-0.3, 0.0]]), np.array([[0.0, 0.0]]), np.array([[0.3, 0.0]])
    for target in (low, middle, high):
        drafts.add(target, target)
    np.testing.assert_array_equal(drafts.closest(), middle)
    drafts.add(middle, middle, np.array([[0.6, 0.0]]))  # much brighter than read
    np.testing.assert_array_equal(drafts.closest(), low)
    assert drafts.known(middle) and not drafts.known(low)
    drafts.add(low, low, np.array([[-1.2, 0.0]]))  # but that was darker still, and is further off
    np.testing.assert_array_equal(drafts.closest(), high)  # read as bright, but all was heard darker than read


def test_what_was_heard_is_preferred_to_what_is_only_read() -> None:
    drafts = Drafts(np.zeros((1, 2)))
    right, near = np.array([[0.1, 0.0]]), np.array([[0.0, 0.1]])
    drafts.add(right, np.array([[0.0, 0.0]]))
    drafts.add(near, np.array([[0.0, 0.0]]), np.array([[UNHEARD * 0.9 / TRUST, 0.0]]))
    np.testing.assert_array_equal(drafts.closest(), near)


@pytest.mark.parametrize(("asked", "sketched"), [(None, 3), (0, 0), (1, 1), (2, 2)])
def test_a_brief_says_how_often_to_listen(asked: int | None, sketched: int) -> None:
    class Odd(Scripted):
        """Is heard elsewhere each time, so that it is never known enough."""

        def heard(self, brief: Brief) -> NDArray[np.float64]:
            off = 0.5 if len(self.sketched) % 2 else -0.5
            return super().heard(brief) + off

    scripted = Odd()
    told: list[float] = []
    scripted.steered(3).compose(replace(BRIEF, sketches=asked), lambda stage, fraction: told.append(fraction))
    assert len(scripted.sketched) == sketched and len(scripted.composed) == 1
    assert bool(scripted.drafts) == (sketched > 0)
    assert told[0] == 0 and told[-1] == 1


def test_words_borders_and_seed_stay() -> None:
    scripted = Scripted(bias=0.4)
    scripted.steered(3).compose(BRIEF, silent)
    for brief in [*scripted.drafts, *scripted.sketched, *scripted.composed]:
        assert brief.seed == 7 and brief.seconds == 20
        assert [(b.start_s, b.end_s, b.word) for b in brief.beats] == [(b.start_s, b.end_s, b.word) for b in BEATS]


def test_progress_only_grows() -> None:
    told: list[float] = []

    def watch(stage: str, fraction: float) -> None:
        assert stage == "compose"
        told.append(fraction)

    Scripted(bias=0.4).steered(3).compose(BRIEF, watch)
    assert told[0] == 0 and told[-1] == 1 and all(a <= b for a, b in pairwise(told))


def test_cancelled_between_drafts() -> None:
    scripted = Scripted()

    def stop(stage: str, fraction: float) -> None:
        if fraction > 0.1:
            raise Cancelled

    with pytest.raises(Cancelled):
        scripted.steered(3).compose(BRIEF, stop)
    assert 0 < len(scripted.drafts) < DRAFTS and not scripted.sketched and not scripted.composed


def test_bad_briefs_are_refused_before_any_work() -> None:
    scripted = Scripted()
    with pytest.raises(UserError):
        scripted.steered(2).compose(Brief("", (), 20.0, 1), silent)
    assert not scripted.drafts


def test_no_sketch_steers_nothing() -> None:
    with pytest.raises(ValueError, match="one sketch"):
        Scripted().steered(0)


def test_a_wish_is_exaggerated_and_strong_ones_come_to_much_the_same() -> None:
    weak, strong, stronger = expected(np.array([[0.1, -0.1], [0.8, -0.8], [0.9, -0.9]]))
    assert weak.tolist() == pytest.approx([0.1 * EXAGGERATION[0], -0.1 * EXAGGERATION[1]], abs=0.01)
    assert np.all(np.abs(weak) < np.abs(strong))
    assert np.all((np.abs(stronger) - np.abs(strong) > 0) & (np.abs(stronger) - np.abs(strong) < 0.05))


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
