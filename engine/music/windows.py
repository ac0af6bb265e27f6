"""Cuts a long piece into windows that a text-to-music model makes one after the other, and joins them. Pure.

MusicGen was trained on 30 s (Copet et al. 2023, "Simple and Controllable Music Generation"); longer pieces continue
the last seconds of what is there (its section 4.2 does so in windows of 30 s with steps of 10 s). A window here never
crosses the border of a section, so that each section has its own prompt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.emotion.curve import Beat

Samples = NDArray[np.float32]

MIN_SECTION_S = 4.0
"""A beat that is shorter is played within its neighbour's section: less is not heard as a section of its own."""


@dataclass(frozen=True)
class Window:
    """`new_s` seconds to be made from `start_s` on, after hearing the `context_s` seconds before; `beat` prompts it."""

    start_s: float
    new_s: float
    context_s: float
    beat: int

    @property
    def end_s(self) -> float:
        """Where the next window starts."""
        return self.start_s + self.new_s


def plan_windows(beats: Sequence[Beat], seconds: float, window_s: float, context_s: float) -> tuple[Window, ...]:
    """Return windows that tile [0, seconds]; each holds at most `window_s` seconds, its context included.

    Sections are the beats, without those shorter than MIN_SECTION_S; each is cut into windows of equal length.
    Raises `ValueError` unless 0 < context_s < window_s and there is a beat.
    """
    if not beats or not 0 < context_s < window_s:
        raise ValueError("windows need a beat, and a context shorter than the window")
    windows: list[Window] = []
    for first_s, last_s, beat in _sections(beats, seconds):
        at = first_s
        while last_s - at > 1e-6:
            context = min(context_s, at)
            room = window_s - context
            new = (last_s - at) / math.ceil((last_s - at) / room - 1e-9)
            windows.append(Window(at, new, context, beat))
            at += new
    return tuple(windows)


def _sections(beats: Sequence[Beat], seconds: float) -> list[tuple[float, float, int]]:
    """Return (start, end, beat) of the sections: short beats are joined to the section before, or to the next."""
    sections: list[tuple[float, float, int]] = []
    for i, beat in enumerate(beats):
        start, end = (0.0 if i == 0 else beat.start_s), (seconds if i == len(beats) - 1 else beat.end_s)
        if sections and (end - start < MIN_SECTION_S or sections[-1][1] - sections[-1][0] < MIN_SECTION_S):
            before, border, other = sections.pop()
            sections.append((before, end, other if border - before >= end - start else i))
        else:
            sections.append((start, end, i))
    return sections


def join(before: Samples, continued: Samples, context: int, fade: int) -> Samples:
    """Append a continuation [n, channels] whose first `context` samples repeat the end of `before`.

    The last `fade` of the repeated samples (fewer where the context is shorter) fade from the one to the other with
    equal gain: both hold the same sound, made anew by the codec.
    """
    fade = min(fade, context)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)[:, None]
    blend = before[len(before) - fade :] * (1 - ramp) + continued[context - fade : context] * ramp
    return np.concatenate([before[: len(before) - fade], blend, continued[context:]])
