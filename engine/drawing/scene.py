"""What the parts of a card share: its colours, its words and the numbers to draw. Knows no layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.drawing.canvas import Canvas
from engine.emotion.curve import Beat
from engine.jobs import Language

INK, MUTED, PAPER, PANEL, GRID = "#F5F7FC", "#B3BDD2", "#0D121F", "#151C2D", "#3A4766"
VALENCE, AROUSAL = "#FFB938", "#5CC4FF"
DASHES = (14.0, 9.0)
"""Arousal is the dashed line: strokes and gaps in pixels."""

Shape = Literal["o", "D"]
SHAPES: tuple[tuple[Shape, str], ...] = (("o", VALENCE), ("D", AROUSAL))
"""The story's marks: circles for valence, diamonds for arousal."""

_CORNERS = np.array([[(255, 84, 104), (255, 190, 84)], [(98, 112, 255), (46, 214, 150)]], dtype=np.float64) / 255
"""Colours of the plane's corners: tense and elated above, sad and serene below."""

SAYS: dict[Language, dict[str, str]] = {
    "en": {
        "valence": "valence",
        "arousal": "arousal",
        "music": "Music",
        "story": "Story",
        "pleasant": "pleasant",
        "unpleasant": "unpleasant",
        "excited": "excited",
        "calm": "calm",
        "start": "start: ",
        "end": "end: ",
    },
    "zh-TW": {
        "valence": "愉悅度",
        "arousal": "激動度",
        "music": "音樂",
        "story": "故事",
        "pleasant": "愉快",
        "unpleasant": "不快",
        "excited": "激動",
        "calm": "平靜",
        "start": "起：",
        "end": "終：",
    },
}


@dataclass(frozen=True, eq=False)
class Scene:
    """One card on its way to paper.

    `points`, `answer` and `story` [B, 2] are the beats, what was made for them, and whichever of both is the story's;
    `times` [n] and `lines` [n, 2] are the music's course; the axes go from -`reach` to `reach`.
    """

    canvas: Canvas
    language: Language
    beats: tuple[Beat, ...]
    words: tuple[str, ...]
    points: NDArray[np.float64]
    answer: NDArray[np.float64]
    story: NDArray[np.float64]
    times: NDArray[np.float64]
    lines: NDArray[np.float64]
    reach: float

    @property
    def says(self) -> dict[str, str]:
        """The card's own words."""
        return SAYS[self.language]

    @property
    def colours(self) -> list[str]:
        """Each beat's colour: that of its place on the plane."""
        return [colour_text(blend(point / self.reach)) for point in self.points]


def blend(point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the plane's colour (RGB, 0 to 1) at a point whose coordinates are in [-1, 1]."""
    right, up = (np.clip(point, -1, 1) + 1) / 2
    (top_left, top_right), (low_left, low_right) = _CORNERS
    mixed: NDArray[np.float64] = up * ((1 - right) * top_left + right * top_right) + (1 - up) * (
        (1 - right) * low_left + right * low_right
    )
    return mixed


def colour_text(colour: NDArray[np.float64]) -> str:
    """Return an RGB colour, 0 to 1, as "#rrggbb"."""
    return "#" + "".join(f"{round(255 * x):02x}" for x in colour.tolist())
