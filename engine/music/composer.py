"""What describers and composers are: the boundary between the pipeline and every music backend."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.emotion.curve import Beat
from engine.errors import UserError
from engine.report import Report, silent

SECONDS = (10.0, 600.0)
"""Shortest and longest music."""


@dataclass(frozen=True)
class Brief:
    """What a composer is asked for; the beats are on the music's scale and end at `seconds`.

    `sketches` ≥ 0 says how often a composer that can sketch listens before it composes (None: as often as it does by
    default); the others take no notice of it.
    """

    description: str
    beats: tuple[Beat, ...]
    seconds: float
    seed: int
    sketches: int | None = None


def check_brief(brief: Brief) -> None:
    """Raise `UserError` for a brief without beats, of a length outside SECONDS, or with numbers that are not finite."""
    shortest, longest = SECONDS
    if not shortest <= brief.seconds <= longest:
        raise UserError(
            f"Music can be {shortest:.0f} to {longest:.0f} seconds long; ask for a length in between.",
            code="bad_seconds",
        )
    if not any(beat.start_s < brief.seconds and beat.end_s > beat.start_s for beat in brief.beats):
        raise UserError("There is no beat to compose for; give a story with at least one sentence.", code="no_beats")
    if not all(math.isfinite(x) for beat in brief.beats for x in (beat.valence, beat.arousal)):
        raise UserError("A beat has no finite valence and arousal; give numbers from -1 to 1.", code="bad_beats")


@dataclass(frozen=True, eq=False)
class Music:
    """What a composer made: float32 [n, 2] in [-1, 1] at `rate_hz`; `midi` is a Standard MIDI File or None."""

    samples: NDArray[np.float32]
    rate_hz: int
    midi: bytes | None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz


class Describer(Protocol):
    """Turns beats (and the story they came from) into a description in the style of a music caption."""

    @property
    def name(self) -> str:
        """Name of backend and model, as shown to people."""
        ...

    def describe(self, beats: tuple[Beat, ...], text: str, seed: int, report: Report = silent) -> str:
        """Return one or two English sentences. Same input, same sentences. Raises whatever `report` raises (cancel)."""
        ...


class Composer(Protocol):
    """Turns a brief into music."""

    @property
    def name(self) -> str:
        """Name of backend and model, as shown to people."""
        ...

    def compose(self, brief: Brief, report: Report) -> Music:
        """Return `brief.seconds` to `brief.seconds + 4` seconds of music. Same brief, same samples and MIDI."""
        ...
