"""A sheet on which everything is placed in pixels. Knows matplotlib's artists; knows nothing of emotions.

Uses the object API alone (no pyplot, no global figure). Callers hold `typography.LOCK` and draw within
`plain_settings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.text import Text
from numpy.typing import NDArray

from engine.drawing import typography
from engine.drawing.labels import Box

Align = Literal["left", "center", "right"]

_DPI = 72
"""At 72 dots an inch one typographic point is one pixel."""

LINE_SPACING = 1.12
"""From one baseline to the next, in font sizes."""
_RISE = 0.36
"""From the middle of a line down to its baseline, in font sizes: half a capital letter, or a Han character."""


def plain_settings() -> AbstractContextManager[None]:
    """Shut out whatever an owner's matplotlibrc changes, while a canvas is made, drawn on and saved."""
    return matplotlib.rc_context({key: value for key, value in matplotlib.rcParamsDefault.items() if key != "backend"})


class Canvas:
    """A sheet of `width` × `height` pixels, y growing downwards; `z` orders what lies over what."""

    def __init__(self, width: int, height: int, paper: str) -> None:
        self._paper = paper
        self._figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
        FigureCanvasAgg(self._figure)
        self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set_xlim(0, width)
        self._axes.set_ylim(height, 0)

    def save(self, path: Path) -> None:
        """Write PNG; the same drawing gives the same bytes."""
        self._figure.savefig(path, format="png", dpi=_DPI, facecolor=self._paper, metadata={"Software": "TuneTale"})

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        color: str,
        *,
        align: Align = "left",
        weight: float = 0.0,
        halo: str | None = None,
        z: float = 9,
    ) -> None:
        """Write text, one line under the other, the middle of its small letters around y.

        `weight` thickens its strokes, `halo` sets it off from what lies below in that colour.
        """
        effects: list[AbstractPathEffect] = [withStroke(linewidth=6, foreground=halo)] if halo else []
        if weight:
            effects.append(withStroke(linewidth=weight, foreground=color))
        lines = text.split("\n")
        for i, line in enumerate(lines):
            baseline = y + _RISE * size + (i - (len(lines) - 1) / 2) * LINE_SPACING * size
            artist = Text(
                x,
                baseline,
                line,
                color=color,
                fontproperties=typography.font(size),
                horizontalalignment=align,
                verticalalignment="baseline",
                parse_math=False,
                zorder=z,
            )
            if effects:
                artist.set_path_effects(effects)
            self._axes.add_artist(artist)

    def line(
        self,
        xs: Sequence[float] | NDArray[np.float64],
        ys: Sequence[float] | NDArray[np.float64],
        color: str,
        width: float,
        *,
        dashes: tuple[float, float] | None = None,
        z: float = 4,
    ) -> None:
        """Draw a polyline; `dashes` are stroke and gap in pixels."""
        artist = Line2D(xs, ys, color=color, linewidth=width, zorder=z)
        artist.set_solid_capstyle("round")
        artist.set_solid_joinstyle("round")
        if dashes:
            artist.set_dashes([length / width for length in dashes])
        self._axes.add_artist(artist)

    def marker(
        self, x: float, y: float, shape: Literal["o", "D", ">"], size: float, *, face: str, edge: str, z: float = 6
    ) -> None:
        """Draw a circle, a diamond or an arrow head of `size` pixels."""
        artist = Line2D([x], [y], linestyle="none", marker=shape, markersize=size, zorder=z)
        artist.set_markerfacecolor(face)
        artist.set_markeredgecolor(edge)
        artist.set_markeredgewidth(3)
        self._axes.add_artist(artist)

    def box(
        self, box: Box, color: str, *, radius: float = 0.0, alpha: float = 1.0, edge: str | None = None, z: float = 2
    ) -> None:
        """Fill a rectangle, its corners rounded by `radius`."""
        corner, wide, high = (box.left, box.top), box.right - box.left, box.bottom - box.top
        patch: Rectangle | FancyBboxPatch
        if radius:
            patch = FancyBboxPatch(corner, wide, high, boxstyle=f"round,pad=0,rounding_size={radius}")
        else:
            patch = Rectangle(corner, wide, high)
        patch.set(facecolor=color, alpha=alpha, edgecolor=edge or "none", linewidth=2 if edge else 0, zorder=z)
        self._axes.add_artist(patch)

    def image(self, box: Box, pixels: NDArray[np.float64], alpha: float, z: float = 2) -> None:
        """Lay an RGB image [h, w, 3] with values in [0, 1] into a box."""
        picture = AxesImage(
            self._axes, extent=(box.left, box.right, box.bottom, box.top), origin="upper", interpolation="bilinear"
        )
        picture.set_data(pixels)
        picture.set(alpha=alpha, zorder=z)
        self._axes.add_image(picture)
