"""The left part of a card: what happens over time. Knows a scene and where its own pixels are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.drawing import typography
from engine.drawing.canvas import Align
from engine.drawing.labels import Box, spread
from engine.drawing.scene import AROUSAL, DASHES, GRID, INK, MUTED, PANEL, PAPER, SHAPES, VALENCE, Scene, Shape

_LEFT, _RIGHT, _TOP = 44, 780, 236
_BOTTOM_ALONE, _BOTTOM_OVER_WORDS = 526, 478
"""Lower edge of the plot without and with a row of words below."""
_ASIDE = 11
"""Pixels by which two marks at nearly the same height move apart."""
_SAMPLE = 3 * DASHES[0] + 2 * DASHES[1]
"""Length of a line in the legend: whole dashes."""


@dataclass(frozen=True)
class _Label:
    word: str
    start_s: float
    end_s: float
    colour: str


class Timeline:
    """Legend, words, bands, the music's lines and the story's marks."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.canvas = scene, scene.canvas
        self.start_s, self.end_s = scene.beats[0].start_s, scene.beats[-1].end_s
        self.above, self.below = self._labels()
        self.plot = Box(_LEFT, _TOP, _RIGHT, _BOTTOM_OVER_WORDS if self.below else _BOTTOM_ALONE)

    def draw(self) -> None:
        """Draw everything."""
        self._legend()
        self._bands()
        self._write_labels(self.above, self.plot.top - 35, self.plot.top)
        self._write_labels(self.below, self.plot.bottom + 59, self.plot.bottom)
        self._curves()
        self._marks()

    def _legend(self) -> None:
        y, size = 149.0, 24
        x = self._said("music", _LEFT, y, size, MUTED) + 16
        for key, colour, dashes in (("valence", VALENCE, None), ("arousal", AROUSAL, DASHES)):
            self.canvas.line([x, x + _SAMPLE], [y, y], colour, 6, dashes=dashes)
            x = self._said(key, x + _SAMPLE + 12, y, size, INK) + 24
        x = self._said("story", x + 20, y, size, MUTED) + 28
        for shape, colour in SHAPES:
            self._mark(x, y, shape, colour)
            x += 34

    def _said(self, key: str, x: float, y: float, size: float, colour: str) -> float:
        """Write a word of the catalogue and return where it ends."""
        self.canvas.text(x, y, self.scene.says[key], size, colour)
        return x + typography.width(self.scene.says[key], size)

    def _labels(self) -> tuple[list[_Label], list[_Label]]:
        """Return the words above and below: all above if there is room, else by turns; one that goes on stands once."""
        labels: list[_Label] = []
        for beat, word, colour in zip(self.scene.beats, self.scene.words, self.scene.colours, strict=True):
            if labels and labels[-1].word == word:
                labels[-1] = replace(labels[-1], end_s=beat.end_s)
            else:
                labels.append(_Label(word, beat.start_s, beat.end_s, colour))
        needed = sum(typography.width(label.word, 26) + 44 for label in labels)
        return (labels, []) if needed <= _RIGHT - _LEFT else (labels[::2], labels[1::2])

    def _write_labels(self, labels: list[_Label], y: float, edge: float) -> None:
        """Write words side by side at height y, each tied to the middle of its bands at `edge`."""
        if not labels:
            return
        room = self.plot.right - self.plot.left
        for size in range(26, 16, -1):
            texts = [typography.wrap(label.word, 150, size) for label in labels]
            widths = [max(typography.width(line, size) for line in text.split("\n")) for text in texts]
            if sum(widths) + 18 * (len(labels) - 1) <= room:
                break
        middles = [self._x((label.start_s + label.end_s) / 2) for label in labels]
        centres = spread(middles, widths, 18, self.plot.left, self.plot.right)
        outwards = -1 if edge <= self.plot.top else 1
        for label, text, centre, middle in zip(labels, texts, centres, middles, strict=True):
            far = y - outwards * size * 0.62 * (1 + text.count("\n"))
            self.canvas.line([centre, middle], [far, edge], label.colour, 2.5)
            self.canvas.text(centre, y, text, size, INK, align="center", weight=0.5)

    def _bands(self) -> None:
        self.canvas.box(self.plot, PANEL)
        for beat, colour in zip(self.scene.beats, self.scene.colours, strict=True):
            left, right = self._x(beat.start_s), self._x(beat.end_s)
            self.canvas.box(Box(left, self.plot.top, right, self.plot.bottom), colour, alpha=0.2)
            self.canvas.box(Box(left + 1, self.plot.top, right - 1, self.plot.top + 6), colour, z=3)
            self.canvas.box(Box(left + 1, self.plot.bottom - 6, right - 1, self.plot.bottom), colour, z=3)
            if beat.start_s > self.start_s:
                self.canvas.line([left, left], [self.plot.top, self.plot.bottom], PAPER, 2, z=3)
        middle = self._y(0.0)
        for sign, y in (("+", self.plot.top + 16), ("0", middle), ("−", self.plot.bottom - 16)):
            self.canvas.text(self.plot.left - 12, y, sign, 19, MUTED, align="right")
        self.canvas.line([self.plot.left, self.plot.right], [middle, middle], GRID, 2, z=3)
        for seconds in ticks(self.start_s, self.end_s):
            x = self._x(seconds)
            align: Align = "left" if x < self.plot.left + 30 else "center"
            self.canvas.text(x, self.plot.bottom + 16, _clock(seconds), 19, MUTED, align=align)

    def _curves(self) -> None:
        xs = [self._x(t) for t in self.scene.times]
        valence, arousal = ([self._y(value) for value in self.scene.lines[:, axis]] for axis in (0, 1))
        for ys in (valence, arousal):
            self.canvas.line(xs, ys, PAPER, 10)
        # Dashes over the solid line: where both run together, both are seen.
        self.canvas.line(xs, valence, VALENCE, 5.5)
        self.canvas.line(xs, arousal, AROUSAL, 5.5, dashes=DASHES)

    def _marks(self) -> None:
        for beat, pair in zip(self.scene.beats, self.scene.story.tolist(), strict=True):
            x = self._x((beat.start_s + beat.end_s) / 2)
            valence, arousal = (self._y(value) for value in pair)
            aside = _ASIDE if abs(valence - arousal) < 2 * _ASIDE else 0  # neither may hide the other
            for (shape, colour), place, y in zip(SHAPES, (x - aside, x + aside), (valence, arousal), strict=True):
                self._mark(place, y, shape, colour)

    def _mark(self, x: float, y: float, shape: Shape, colour: str) -> None:
        size = 17 if shape == "o" else 13
        self.canvas.marker(x, y, shape, size + 7, face=PAPER, edge=PAPER)
        self.canvas.marker(x, y, shape, size, face=PAPER, edge=colour)

    def _x(self, seconds: float) -> float:
        share = (seconds - self.start_s) / (self.end_s - self.start_s)
        return float(self.plot.left + share * (self.plot.right - self.plot.left))

    def _y(self, value: float) -> float:
        return float(
            (self.plot.top + self.plot.bottom) / 2 - value / self.scene.reach * (self.plot.bottom - self.plot.top) / 2
        )


def ticks(start_s: float, end_s: float) -> list[float]:
    """Return at most six round times."""
    for step in (5, 10, 15, 30, 60, 120, 180, 300, 600):
        if (end_s - start_s) / step < 6:
            break
    first = -(-start_s // step) * step
    return [float(t) for t in np.arange(first, end_s - 0.04 * (end_s - start_s), step)]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
