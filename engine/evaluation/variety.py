"""Do pieces differ? Melodies and harmonies of two seeds side by side, and how many progressions a hundred pieces use.

Knows what the embedded composer writes; plays nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.emotion.curve import Beat
from engine.music.arranger import section_chords
from engine.music.composer import Brief
from engine.music.embedded import Composition, write
from engine.report import silent

GRAM = 4
"""Chords, and melodic intervals, in a row that are compared."""


@dataclass(frozen=True)
class Variety:
    """Shares in [0, 1]; `entropy_bits` is that of the progressions of GRAM chords, `commonest` the share of pieces
    that contain the commonest one (out of `progressions` different)."""

    melody_overlap: float
    harmony_overlap: float
    entropy_bits: float
    progressions: int
    commonest: float


def variety(stories: Sequence[tuple[Beat, ...]], seconds: float) -> Variety:
    """Write each story with two seeds; overlaps compare the two, progressions count over the first ones."""
    melodies, harmonies, counted = [], [], []
    for number, beats in enumerate(stories):
        seeds = (number, number + 100_000)
        pieces = [write(Brief("", beats, seconds, seed), silent) for seed in seeds]
        melodies.append(_jaccard(*(set(_grams(melody(piece))) for piece in pieces)))
        chords = [_grams(numerals(piece, seed)) for piece, seed in zip(pieces, seeds, strict=True)]
        harmonies.append(_jaccard(*map(set, chords)))
        counted.append(Counter(chords[0]))
    total = sum(counted, Counter[tuple[object, ...]]())
    everything = sum(total.values())
    within = Counter(gram for count in counted for gram in count)
    return Variety(
        melody_overlap=sum(melodies) / len(melodies),
        harmony_overlap=sum(harmonies) / len(harmonies),
        entropy_bits=-sum(n / everything * math.log2(n / everything) for n in total.values()),
        progressions=len(total),
        commonest=max(within.values()) / len(stories),
    )


def melody(piece: Composition) -> list[int]:
    """Return the leading voice's intervals in semitones, in order of time."""
    notes = sorted((note.start, note.pitch) for part in piece.score.parts if part.role == "lead" for note in part.notes)
    return [after - before for (_, before), (_, after) in pairwise(notes)]


def numerals(piece: Composition, seed: int) -> list[str]:
    """Return the chords as roman numerals, without immediate repeats."""
    sections = range(len(piece.form.sections))
    names = [chord.numeral for i in sections for _, _, chord in section_chords(piece.form, i, seed)]
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]


def _grams(row: Sequence[object]) -> list[tuple[object, ...]]:
    return [tuple(row[i : i + GRAM]) for i in range(len(row) - GRAM + 1)]


def _jaccard(one: set[tuple[object, ...]], two: set[tuple[object, ...]]) -> float:
    return len(one & two) / len(one | two) if one | two else 0.0
