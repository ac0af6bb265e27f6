"""Musical facts beside valence and arousal. They colour a story's setting and are never named in it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """Tempo in beats per minute; brightness, loudness and density each in [0, 1]."""

    tempo_bpm: float
    brightness: float
    loudness: float
    density: float
