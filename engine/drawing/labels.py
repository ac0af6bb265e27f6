"""Places labels so that they do not cover each other. Knows numbers only; draws nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_DISTANCE_COST = 3.0
"""Square pixels of avoided things that one pixel of distance between a point and its label is worth."""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def centre(self) -> tuple[float, float]:
        """The middle, (x, y)."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def gap(self, other: Box) -> float:
        """Return the distance between both."""
        across = max(self.left - other.right, other.left - self.right, 0.0)
        return math.hypot(across, max(self.top - other.bottom, other.top - self.bottom, 0.0))

    def overlap(self, other: Box) -> float:
        """Return the shared area."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, wide) * max(0.0, high)


def spread(centres: Sequence[float], widths: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return new centres, in the same order, with at least `gap` between neighbours and all within [low, high].

    The sum of squared shifts is least: isotonic regression by pooling adjacent violators (Barlow et al. 1972). Where
    the labels are wider than the room together they start at `low` and run over `high`.
    """
    before = np.concatenate([[0.0], np.cumsum(widths)[:-1] + gap * np.arange(1, len(widths))])
    starts = np.asarray(centres) - np.asarray(widths) / 2 - before  # in this frame "no overlap" means "not falling"
    pools: list[tuple[float, int]] = []
    for start in starts:
        pools.append((float(start), 1))
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (right, m), (left, n) = pools.pop(), pools.pop()
            pools.append(((left * n + right * m) / (n + m), n + m))
    last = high - widths[-1] - before[-1]
    fitted = np.repeat([max(low, min(mean, last)) for mean, _ in pools], [size for _, size in pools])
    return [float(x) for x in fitted + before + np.asarray(widths) / 2]


def clusters(points: Sequence[tuple[float, float]], reach: float) -> list[list[int]]:
    """Return groups of indices: a point joins the first group whose first point lies within `reach`, or opens one."""
    groups: list[list[int]] = []
    for i, (x, y) in enumerate(points):
        for group in groups:
            first_x, first_y = points[group[0]]
            if math.hypot(x - first_x, y - first_y) <= reach:
                group.append(i)
                break
        else:
            groups.append([i])
    return groups


def place(
    beside: Box,
    size: tuple[float, float],
    away: float,
    taken: Sequence[Box],
    avoided: Sequence[Box],
    frame: Box,
    rings: int = 4,
) -> tuple[Box, float]:
    """Return the best place for a label of that size beside a box, and the area of `taken` that it covers there.

    Tried are sides and corners and some shifts of them, kept within the frame, in `rings` distances from `away` on. Of
    places that cover nothing taken the one wins that covers least of what is to be `avoided` and lies nearest.
    """
    wide, high = size
    x, y = beside.centre
    boxes = []
    for far in (away, away + 10, away + 25, away + 50)[:rings]:
        right, left = beside.right + far, beside.left - far - wide
        below, above = beside.bottom + far, beside.top - far - high
        places = [(right, y - high / 2), (left, y - high / 2)]
        places += [(x - wide * share, top) for top in (below, above) for share in (0.5, 0.0, 1.0, 0.25, 0.75)]
        places += [(start, top) for start in (right, left) for top in (y + 3, y - 3 - high)]
        for start, top in places:
            start = max(frame.left, min(start, frame.right - wide))
            top = max(frame.top, min(top, frame.bottom - high))
            boxes.append(Box(start, top, start + wide, top + high))
    hard = [sum(box.overlap(other) for other in taken) for box in boxes]
    soft = [sum(box.overlap(other) for other in avoided) + _DISTANCE_COST * box.gap(beside) for box in boxes]
    best = min(range(len(boxes)), key=lambda i: (hard[i], soft[i]))
    return boxes[best], hard[best]


def along(points: Sequence[tuple[float, float]], half: float) -> list[Box]:
    """Return small boxes, 2 × `half` wide, that cover the polyline through the points."""
    boxes = []
    for (x, y), (to_x, to_y) in pairwise(points):
        steps = max(1, math.ceil(math.hypot(to_x - x, to_y - y) / (2 * half)))
        for i in range(steps + 1):
            at_x, at_y = x + (to_x - x) * i / steps, y + (to_y - y) * i / steps
            boxes.append(Box(at_x - half, at_y - half, at_x + half, at_y + half))
    return boxes
