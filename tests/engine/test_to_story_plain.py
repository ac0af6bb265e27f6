"""A plain story: the same stretches of time, one feeling."""

from __future__ import annotations

from engine.emotion.calibration import Calibration
from engine.emotion.curve import Beat
from engine.emotion.words import Words
from engine.stages import Stages
from engine.to_story import _flattened


class _Stages:
    calibration = Calibration.load()
    words = Words.load()


def test_a_plain_story_is_told_to_one_feeling() -> None:
    beats = (Beat(0.0, 20.0, 0.7, 0.6, "excited"), Beat(20.0, 45.0, -0.6, -0.4, "sad"))
    stages: Stages = _Stages()  # type: ignore[assignment]
    flat = _flattened(beats, stages)
    assert [(beat.start_s, beat.end_s) for beat in flat] == [(0.0, 20.0), (20.0, 45.0)]
    assert len({(beat.valence, beat.arousal, beat.word) for beat in flat}) == 1
    assert (flat[0].valence, flat[0].arousal) == stages.calibration.music.mean
    assert stages.words[flat[0].word].term == flat[0].word  # KeyError: not a word of ours
