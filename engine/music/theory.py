"""Keys, modes and chords as pitch classes. Knows tonal theory; knows nothing of time, instruments or emotion.

Pitches are MIDI numbers (60 = middle C), pitch classes 0–11 with C = 0. Chords are named by Roman numerals relative
to the major scale on the tonic (Kostka & Payne, *Tonal Harmony*): `bVI` is the major triad a minor sixth above it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MODES: dict[str, tuple[int, ...]] = {
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "major": (0, 2, 4, 5, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}
"""Semitones above the tonic, from the brightest mode to the darkest (each has one more flat than the one before)."""

_MAJOR, _MINOR, _DIMINISHED, _DOMINANT, _HALF, _FULL = (
    (0, 4, 7),
    (0, 3, 7),
    (0, 3, 6),
    (0, 4, 7, 10),
    (0, 3, 6, 10),
    (0, 3, 6, 9),
)

NUMERALS: dict[str, tuple[int, tuple[int, ...]]] = {
    "I": (0, _MAJOR),
    "i": (0, _MINOR),
    "bII": (1, _MAJOR),
    "ii": (2, _MINOR),
    "iio": (2, _HALF),
    "II": (2, _MAJOR),
    "bIII": (3, _MAJOR),
    "iii": (4, _MINOR),
    "IV": (5, _MAJOR),
    "iv": (5, _MINOR),
    "V": (7, _MAJOR),
    "v": (7, _MINOR),
    "V7": (7, _DOMINANT),
    "bVI": (8, _MAJOR),
    "vi": (9, _MINOR),
    "bVII": (10, _MAJOR),
    "bvii": (10, _MINOR),
    "viio": (11, _DIMINISHED),
    "viio7": (11, _FULL),
    "V7/ii": (9, _DOMINANT),
    "V7/iv": (0, _DOMINANT),
    "V7/V": (2, _DOMINANT),
    "V7/vi": (4, _DOMINANT),
}
"""Numeral → (semitones of the root above the tonic, intervals above the root)."""

NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@dataclass(frozen=True)
class Key:
    """A tonic (pitch class) and a mode of MODES."""

    tonic: int
    mode: str

    @property
    def is_major(self) -> bool:
        """Whether the third above the tonic is major."""
        return 4 in MODES[self.mode]

    @property
    def scale(self) -> tuple[int, ...]:
        """The seven pitch classes, beginning with the tonic."""
        return tuple((self.tonic + step) % 12 for step in MODES[self.mode])

    @property
    def name(self) -> str:
        """Such as "F# minor"."""
        return f"{NAMES[self.tonic]} {self.mode}"

    @property
    def signature(self) -> str:
        """The nearest key signature that a MIDI file can hold: "C", "Am" …"""
        if self.is_major:
            return NAMES[self.tonic]
        return {"Db": "C#", "Ab": "G#"}.get(NAMES[self.tonic], NAMES[self.tonic]) + "m"


@dataclass(frozen=True)
class Chord:
    """A chord: numeral, root and tones as pitch classes, the root first, then third, fifth and what colours it."""

    numeral: str
    root: int
    tones: tuple[int, ...]

    @property
    def is_dominant(self) -> bool:
        """Whether it leads to a tonic: a V, a vii° or a secondary dominant."""
        return self.numeral.startswith(("V", "viio"))

    def with_tone(self, semitones: int) -> Chord:
        """Return the chord with one more tone, that many semitones above the root."""
        tone = (self.root + semitones) % 12
        return self if tone in self.tones else Chord(self.numeral, self.root, (*self.tones, tone))


def chord(numeral: str, key: Key) -> Chord:
    """Return the chord that `numeral` names on the tonic of `key`."""
    root, intervals = NUMERALS[numeral]
    root = (key.tonic + root) % 12
    return Chord(numeral, root, tuple((root + step) % 12 for step in intervals))


def scale_over(key: Key, harmony: Chord) -> tuple[int, ...]:
    """Return the pitch classes a melody may use over a chord, ascending.

    The key's scale, where each chromatic chord tone replaces the scale tone that it alters. In the triad of a
    dominant it is the raised one (the leading tone of minor), anywhere else the lowered one.
    """
    scale = set(key.scale)
    for i, tone in enumerate(harmony.tones):
        if tone not in key.scale:
            altered = (tone - 1) % 12 if harmony.is_dominant and i < 3 else (tone + 1) % 12
            scale -= {altered} - set(harmony.tones)
            scale.add(tone)
    return tuple(sorted(scale))


def pitches(classes: tuple[int, ...] | frozenset[int], low: int, high: int) -> list[int]:
    """Return every pitch of these classes in [low, high], ascending."""
    return [pitch for pitch in range(low, high + 1) if pitch % 12 in classes]


def nearest(pitch_class: int, to: float, low: int, high: int) -> int:
    """Return the pitch of a class nearest to `to` within [low, high], the lower one of two."""
    return min(pitches((pitch_class,), low, high), key=lambda pitch: (abs(pitch - to), pitch))


def voicing(
    harmony: Chord, previous: tuple[int, ...], centre: float, voices: int, low: int, high: int
) -> tuple[int, ...]:
    """Return `voices` pitches of the chord, ascending, that move least from the previous voicing.

    Close and open (drop 2) positions are tried on every chord tone; movement is the sum of semitones of the
    sorted voices, plus half the distance of the mean from `centre`, so that the hands do not wander.
    The root goes first when there are more tones than voices, since the bass has it.
    """
    tones = harmony.tones if len(harmony.tones) <= voices else harmony.tones[1:][-voices:]
    shapes, means = _shapes(tones, voices, low, high)
    if len(shapes) == 0:
        return tuple(sorted(nearest(tone, centre, low, high) for tone in tones[:voices]))
    cost = 0.5 * np.abs(means - centre)
    if len(previous) == voices:
        cost += np.abs(shapes - np.array(previous)).sum(axis=1)
    best: list[int] = shapes[cost.argmin()].tolist()
    return tuple(best)


@lru_cache(maxsize=4096)  # a composer that tries many drafts asks for the same chords again and again
def _shapes(tones: tuple[int, ...], voices: int, low: int, high: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the close and open positions of some tones within [low, high]: [n, voices], and the mean of each."""
    found = []
    for lowest in pitches(tones, low, high - 5):
        stack = [lowest]
        while len(stack) < voices:
            stack.append(next(p for p in range(stack[-1] + 1, stack[-1] + 13) if p % 12 in tones))
        for shape in (stack, sorted([*stack[:-2], stack[-2] - 12, stack[-1]]) if voices >= 4 else stack):
            if shape[0] >= low and shape[-1] <= high:
                found.append(shape)
    shapes = np.array(found, dtype=np.int64).reshape(-1, voices)
    return shapes, shapes.mean(axis=1)
