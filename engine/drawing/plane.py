"""The right part of a card: the path of the beats on the plane. Knows a scene and where its own pixels are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from engine.drawing import typography
from engine.drawing.canvas import LINE_SPACING, Align
from engine.drawing.labels import Box, along, clusters, place
from engine.drawing.scene import GRID, INK, MUTED, PANEL, PAPER, Scene, blend

_FRAME = Box(838, 166, 1156, 484)
_NEAR = 26.0
"""Pixels within which beats share one pill with their numbers."""
_MAY_CROSS = 250.0
"""Square pixels of the path that a word may cover; a word that would cover more is left to its number."""


class Plane:
    """Beats as numbered points along a path with start and end, and a thread from each to what became of it."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.canvas = scene, scene.canvas

    def draw(self) -> None:
        """Draw everything."""
        frame = _FRAME
        middle_x, middle_y = (frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2
        self.canvas.box(frame, PANEL)
        steps = np.linspace(-1, 1, 33)
        self.canvas.image(frame, np.array([[blend(np.array((v, a))) for v in steps] for a in -steps]), 0.36)
        self.canvas.line([frame.left, frame.right], [middle_y] * 2, GRID, 2, z=3)
        self.canvas.line([middle_x] * 2, [frame.top, frame.bottom], GRID, 2, z=3)
        sides: tuple[tuple[str, float, float, Align], ...] = (
            ("excited", middle_x, frame.top - 16, "center"),
            ("calm", middle_x, frame.bottom + 18, "center"),
            ("unpleasant", frame.left, frame.bottom + 18, "left"),
            ("pleasant", frame.right, frame.bottom + 18, "right"),
        )
        for key, x, y, align in sides:
            self.canvas.text(x, y, self.scene.says[key], 21, MUTED, align=align)
        places = [self._at(point) for point in self.scene.points]
        answers = [self._at(point) for point in self.scene.answer]
        for (x, y), (to_x, to_y) in zip(places, answers, strict=True):
            self.canvas.line([x, to_x], [y, to_y], MUTED, 2, dashes=(4, 4), z=4)
            self.canvas.marker(to_x, to_y, "o", 9, face=PAPER, edge=MUTED, z=4.5)
        for colour, wide in ((PAPER, 8.0), (INK, 3.5)):
            self.canvas.line([x for x, _ in places], [y for _, y in places], colour, wide, z=5)
        pills = self._pills(places)
        dots = [Box(x - 7, y - 7, x + 7, y + 7) for x, y in answers]
        self._labels(pills, [*along(places, 5), *dots])

    def _pills(self, places: list[tuple[float, float]]) -> dict[int, Box]:
        """Draw the beats' numbers, those of neighbouring points together; return each beat's pill."""
        groups = clusters(places, _NEAR)
        while True:  # a pill of several numbers is wide: whatever it would cover joins it
            pills = [self._pill(places[group[0]], group) for group in groups]
            touching = next((pair for pair in combinations(range(len(pills)), 2) if _touch(pills, pair)), None)
            if touching is None:
                break
            joined = sorted(groups[touching[0]] + groups[touching[1]])
            groups = sorted([group for i, group in enumerate(groups) if i not in touching] + [joined])
        for group, pill in zip(groups, pills, strict=True):
            self.canvas.box(pill, self.scene.colours[group[0]], radius=14.9, edge=PAPER, z=7)
            self.canvas.text(*pill.centre, beat_numbers(group), 20, PAPER, align="center", weight=0.7)
        return {i: pill for group, pill in zip(groups, pills, strict=True) for i in group}

    def _pill(self, at: tuple[float, float], group: list[int]) -> Box:
        half = max(15.0, typography.width(beat_numbers(group), 20) / 2 + 9)
        x = max(_FRAME.left + half, min(at[0], _FRAME.right - half))
        return Box(x - half, at[1] - 15, x + half, at[1] + 15)

    def _labels(self, pills: dict[int, Box], avoided: list[Box]) -> None:
        """Write start, end, and as many of the other words as find a free place."""
        last, size = len(pills) - 1, 22
        taken, named = list(dict.fromkeys(pills.values())), set[Box]()
        for i in dict.fromkeys([0, last, *range(last)]):
            tag = self.scene.says["start"] if i == 0 else self.scene.says["end"] if i == last else ""
            if not tag and pills[i] in named:
                continue
            text = typography.wrap(tag + self.scene.words[i], 175, size)
            lines = text.split("\n")
            room = (max(typography.width(line, size) for line in lines) + 6, size * LINE_SPACING * len(lines))
            box, covered = place(pills[i], room, 4, taken, avoided, _FRAME, rings=4 if tag else 1)
            crossed = sum(box.overlap(other) for other in avoided)
            if tag or (covered == 0 and crossed < _MAY_CROSS):
                self.canvas.text(*box.centre, text, size, INK, align="center", halo=PAPER, weight=0.5)
                taken.append(box)
                named.add(pills[i])

    def _at(self, point: NDArray[np.float64]) -> tuple[float, float]:
        x, y = np.clip(point / self.scene.reach, -1, 1)
        half = (_FRAME.right - _FRAME.left) / 2
        return float(_FRAME.left + half * (1 + x)), float(_FRAME.top + half * (1 - y))


def _touch(pills: list[Box], pair: tuple[int, int]) -> bool:
    return pills[pair[0]].overlap(pills[pair[1]]) > 0


def beat_numbers(indices: list[int]) -> str:
    """Return beats as people number them: [0, 1, 2, 5] → "1–3, 6"."""
    runs: list[list[int]] = []
    for i in indices:
        if runs and i == runs[-1][1] + 1:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    return ", ".join(f"{a + 1}" if a == b else f"{a + 1}–{b + 1}" for a, b in runs)
