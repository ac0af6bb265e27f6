"""Writes many drafts, reads them, plays the best to itself, and composes what should feel as asked.

Knows drafts, what a reader says of them and what a listener hears; knows no notes. The listener is a music model of
TuneTale, and the reader its pupil, so what is steered to is what that model hears: another one has to judge whether
people would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.emotion.beatwise import Listen, hear_by_beat
from engine.emotion.curve import Beat
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music.composer import Brief, Music, check_brief
from engine.report import Report

HEARD_REACH = np.array((0.45, 0.65))
EXAGGERATION = np.array((1.0, 1.5))
"""For (valence, arousal): a wish x is steered to EXAGGERATION * HEARD_REACH * tanh(x / HEARD_REACH). The arousal that a
listener hears in rendered music lies nearer to neutral than what was meant, so a wish is taken as a stronger one; of
very strong ones no more is expected, or all of them would end at the same place."""
REACH = 0.95
"""Targets stay within [-REACH, REACH]: no character lies beyond (`character.SPAN`)."""
STEPS = (0.4, 0.2, 0.1)
"""How far around the closest so far drafts are read: the wish itself first, then eight neighbours, three times."""
NEIGHBOURS = np.array([(v, a) for v in (-1, 0, 1) for a in (-1, 0, 1) if v or a])
WEIGHTS = np.array((1.0, 2.4))
"""What a difference in valence and in arousal counts: heard valence has two values, nearly, by the mode, so that its
error is large whatever is chosen, and would decide alone; arousal can be met."""
TRUST = 0.6
"""How much of the difference between what was heard and what was read is believed. The reader knows only notes; but
what the listener hears beyond them is partly its own fancy, which no other listener shares."""
UNHEARD = 0.1
"""How much closer a target has to read than one that was heard, to be preferred to it."""
_HEARING = 20
"""Drafts that can be read in the time of one sketch."""
_SKETCHED = 0.5
"""Share of the time that reading and sketching take, as reported."""

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


Read = Callable[[Brief], VA]
"""A brief → the (valence, arousal) [beats, 2] that will be heard in the piece it asks for, told from its notes."""


class SteeredComposer:
    """Implements `engine.music.composer.Composer`: reads drafts, hears the best, keeps the closest targets."""

    def __init__(self, composer: Sketcher, read: Read, listen: Listen, sketches: int) -> None:
        """`sketches` ≥ 1 says how often it listens before it composes, where a brief does not say."""
        if sketches < 1:
            raise ValueError("steering needs one sketch at least")
        self._composer = composer
        self._read = read
        self._listen = listen
        self._sketches = sketches

    @property
    def name(self) -> str:
        """Name of the backend, as shown to people."""
        return self._composer.name

    def compose(self, brief: Brief, report: Report) -> Music:
        """Return music aimed, beat by beat, at what came closest to the brief in a draft. Same brief, same music.

        A brief that asks for no sketch is composed at once.
        Raises what the composer, the reader and `report` raise.
        """
        check_brief(brief)
        sketches = self._sketches if brief.sketches is None else brief.sketches
        if sketches < 1:
            return self._composer.compose(brief, report)

        def composing(stage: str, fraction: float) -> None:
            report(stage, _SKETCHED + (1 - _SKETCHED) * fraction)

        beats = self._steer(brief, sketches, report)
        return self._composer.compose(replace(brief, beats=beats), composing)

    def _steer(self, brief: Brief, sketches: int, report: Report) -> tuple[Beat, ...]:
        """Return the beats with the targets that each comes closest with: what is aimed at in one beat is hardly heard
        in another, so each is chosen by itself."""
        wanted = np.array([(beat.valence, beat.arousal) for beat in brief.beats])
        drafts = Drafts(wanted)
        rounds = 1 + len(STEPS) * len(NEIGHBOURS) + _HEARING * sketches
        done = 0

        def said(target: VA) -> VA:
            nonlocal done
            report("compose", _SKETCHED * done / rounds)
            done += 1
            return self._read(replace(brief, beats=_aimed(brief.beats, target)))

        drafts.add(wanted, said(wanted))
        for step in STEPS:
            centre = drafts.closest()
            for by in NEIGHBOURS:
                target = np.clip(centre + step * by, -REACH, REACH)
                drafts.add(target, said(target))
        for _ in range(sketches):
            target = drafts.closest()
            if drafts.known(target):
                break
            told = said(target)
            sketch = self._composer.sketch(replace(brief, beats=_aimed(brief.beats, target)), ANALYSIS_RATE_HZ)
            curve = hear_by_beat(sketch, brief.beats, self._listen)
            done += _HEARING - 1
            drafts.add(target, told, np.array([curve.mean_between(b.start_s, b.end_s) for b in brief.beats]))
        return _aimed(brief.beats, drafts.closest())


class Drafts:
    """What was tried: targets [n, B, 2], what was said of them [n, B, 2], and which were heard [n]."""

    def __init__(self, wanted: VA) -> None:
        self._expected = expected(wanted)
        self._off = np.zeros_like(wanted)
        self._targets: list[VA] = []
        self._said: list[VA] = []
        self._heard: list[bool] = []

    def add(self, target: VA, told: VA, heard: VA | None = None) -> None:
        """Remember a draft that was read, and perhaps heard: then it tells how wrong the reader is in this piece."""
        if heard is not None:
            self._off = TRUST * (heard - told)
            told = told + self._off
        self._targets.append(target)
        self._said.append(told)
        self._heard.append(heard is not None)

    def closest(self) -> VA:
        """Return, for each beat, the target [B, 2] with which it comes closest to what can be expected."""
        heard = np.array(self._heard)[:, None]
        said = np.array(self._said) + np.where(heard[..., None], 0.0, self._off)
        distance = np.linalg.norm((said - self._expected) * WEIGHTS, axis=-1) + np.where(heard, 0.0, UNHEARD)
        best: VA = np.array(self._targets)[distance.argmin(axis=0), np.arange(len(self._expected))]
        return best

    def known(self, target: VA) -> bool:
        """Return whether just these targets were heard before."""
        return any(heard and np.array_equal(target, old) for old, heard in zip(self._targets, self._heard, strict=True))


def expected(wanted: VA) -> VA:
    """Return where steering aims a listener's hearing when `wanted` was asked for."""
    heard: VA = EXAGGERATION * HEARD_REACH * np.tanh(wanted / HEARD_REACH)
    return heard


def _aimed(beats: Sequence[Beat], target: VA) -> tuple[Beat, ...]:
    return tuple(
        replace(beat, valence=float(valence), arousal=float(arousal))
        for beat, (valence, arousal) in zip(beats, target, strict=True)
    )
