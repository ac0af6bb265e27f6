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

    def gap(self, point: tuple[float, float]) -> float:
        """Return the distance from the box to a point."""
        x, y = point
        return math.hypot(max(self.left - x, x - self.right, 0.0), max(self.top - y, y - self.bottom, 0.0))

    def overlap(self, other: Box) -> float:
        """Return the shared area."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, wide) * max(0.0, high)

    def outside(self, frame: Box) -> float:
        """Return the area that sticks out of the frame."""
        return (self.right - self.left) * (self.bottom - self.top) - self.overlap(frame)


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
    anchor: tuple[float, float],
    size: tuple[float, float],
    away: float,
    taken: Sequence[Box],
    avoided: Sequence[Box],
    frame: Box,
    rings: int = 3,
) -> tuple[Box, float]:
    """Return the best box of that size around a point, and the area of `taken` or of the outside that it covers.

    Tried are sides and corners and some shifts of them, kept within the frame, in `rings` distances from `away` on. Of
    boxes that cover nothing taken the one wins that covers least of what is to be `avoided` and lies nearest.
    """
    x, y = anchor
    wide, high = size
    boxes = []
    for far in (away, away * 1.5, away * 2.2)[:rings]:
        sides = [(x + far, y - high / 2), (x - far - wide, y - high / 2)]
        for top in (y + far, y - far - high):
            sides += [(x - wide * share, top) for share in (0.5, 0.0, 1.0, 0.25, 0.75)]
        corners = [(left, top) for left in (x + far, x - far - wide) for top in (y + 3, y - 3 - high)]
        for left, top in sides + corners:
            left, top = (
                max(frame.left, min(left, frame.right - wide)),
                max(frame.top, min(top, frame.bottom - high)),
            )
            boxes.append(Box(left, top, left + wide, top + high))
    hard = [sum(box.overlap(other) for other in taken) + 4 * box.outside(frame) for box in boxes]
    soft = [sum(box.overlap(other) for other in avoided) + _DISTANCE_COST * box.gap(anchor) for box in boxes]
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
