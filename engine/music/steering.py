"""Composes, listens, and composes again until the music feels as asked: a feedback loop around the composer.

Knows sketches and what a listener hears in them; knows no notes. The listener is TuneTale's music model, so that what
is steered to is what that model hears: another model has to judge whether people would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.emotion.beatwise import hear_by_beat
from engine.emotion.curve import Beat, EmotionCurve
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music.composer import Brief, Music, check_brief
from engine.report import Report

GAIN = (0.6, 1.5)
"""How far the next sketch's target moves per unit of error in (valence, arousal). Heard arousal moves much less than
its target; valence turns with the mode, at once, and more than its share would swap one error for another."""
HEARD_REACH = 0.45
"""Rendered music is hardly ever heard further from neutral than this, so of a stronger wish no more is expected:
otherwise all strong wishes would be driven to the same end of the plane."""
REACH = 0.9
"""Targets stay within [-REACH, REACH]: no character lies beyond (`character.SPAN`)."""
_SKETCHED = 0.5
"""Share of the time that sketching takes, as reported."""

VA = NDArray[np.float64]


class Sketcher(Protocol):
    """A composer that can play a piece quickly, for listening only."""

    @property
    def name(self) -> str:
        """Name of the backend, as shown to people."""
        ...

    def sketch(self, brief: Brief, rate_hz: int) -> NDArray[np.float32]:
        """Return the piece as mono samples."""
        ...

    def compose(self, brief: Brief, report: Report) -> Music:
        """Return the piece as it will be heard."""
        ...


class Listener(Protocol):
    """Hears valence and arousal in mono samples at `ANALYSIS_RATE_HZ`."""

    def __call__(self, mono: NDArray[np.float32]) -> EmotionCurve:
        """Return the curve."""
        ...


class SteeredComposer:
    """Implements `engine.music.composer.Composer`: sketches a few times, keeps the targets that sounded closest."""

    def __init__(self, composer: Sketcher, listen: Listener, sketches: int) -> None:
        """`sketches` ≥ 2 says how often it listens before it composes, where a brief does not say."""
        if sketches < 2:
            raise ValueError("steering needs two sketches at least")
        self._composer = composer
        self._listen = listen
        self._sketches = sketches

    @property
    def name(self) -> str:
        """Name of the backend, as shown to people."""
        return self._composer.name

    def compose(self, brief: Brief, report: Report) -> Music:
        """Return music aimed, beat by beat, at what was heard closest to the brief in a sketch. Same brief, same music.

        A brief that asks for one sketch is composed at once: with nothing to choose from there is nothing to hear.
        Raises what the composer and `report` raise.
        """
        check_brief(brief)
        sketches = self._sketches if brief.sketches is None else brief.sketches
        if sketches < 2:
            return self._composer.compose(brief, report)

        def composing(stage: str, fraction: float) -> None:
            report(stage, _SKETCHED + (1 - _SKETCHED) * fraction)

        beats = self._steer(brief, sketches, report)
        return self._composer.compose(replace(brief, beats=beats), composing)

    def _steer(self, brief: Brief, sketches: int, report: Report) -> tuple[Beat, ...]:
        """Return the beats with the targets that each came closest with: what is aimed at in one beat is hardly heard
        in another, so each is corrected, and chosen, by itself."""
        wanted = np.array([(beat.valence, beat.arousal) for beat in brief.beats])
        target, best, least = wanted, wanted, np.full(len(wanted), np.inf)
        for i in range(sketches):
            report("compose", _SKETCHED * i / sketches)
            sketch = self._composer.sketch(replace(brief, beats=_aimed(brief.beats, target)), ANALYSIS_RATE_HZ)
            curve = hear_by_beat(sketch, brief.beats, self._listen)
            heard = np.array([curve.mean_between(b.start_s, b.end_s) for b in brief.beats])
            distance = np.round(np.hypot(*missed(wanted, heard).T), 3)
            closer = distance < least
            least, best = np.where(closer, distance, least), np.where(closer[:, None], target, best)
            target = next_target(wanted, target, heard)
        return _aimed(brief.beats, best)


def missed(wanted: VA, heard: VA) -> VA:
    """Return what is missing in `heard`: nothing between the wish and what a listener can be expected to hear of it."""
    expected = HEARD_REACH * np.tanh(wanted / HEARD_REACH)
    missing: VA = np.clip(heard, np.minimum(wanted, expected), np.maximum(wanted, expected)) - heard
    return missing


def next_target(wanted: VA, target: VA, heard: VA) -> VA:
    """Return what to aim at after `heard` [B, 2] came of aiming at `target` while `wanted` was asked for."""
    aimed: VA = np.clip(target + np.array(GAIN) * missed(wanted, heard), -REACH, REACH)
    return aimed


def _aimed(beats: Sequence[Beat], target: VA) -> tuple[Beat, ...]:
    return tuple(
        replace(beat, valence=float(valence), arousal=float(arousal))
        for beat, (valence, arousal) in zip(beats, target, strict=True)
    )
