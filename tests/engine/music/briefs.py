"""Briefs for the tests of the composer."""

from __future__ import annotations

from engine.emotion.curve import Beat
from engine.music.composer import Brief

ARC = ((0.5, -0.3), (-0.4, -0.5), (-0.6, 0.6), (0.6, 0.5))
"""Hopeful, sad, threatening, joyful."""


def brief(
    points: tuple[tuple[float, float], ...] = ARC, seconds: float = 40.0, seed: int = 1, description: str = ""
) -> Brief:
    """Beats of equal length at the given points of the plane."""
    step = seconds / len(points)
    beats = tuple(
        Beat(i * step, seconds if i + 1 == len(points) else (i + 1) * step, v, a, f"word{i}")
        for i, (v, a) in enumerate(points)
    )
    return Brief(description, beats, seconds, seed)
