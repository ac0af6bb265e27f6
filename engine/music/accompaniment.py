"""Bass, figures, pads and counter-melody over given chords. Knows patterns and voice leading; knows no instruments.

Patterns are written as a bar of steps, read by `steps_of`; where each fits on the plane follows from its motion:
even and slow for calm, pulsing and syncopated for lively, repeated low notes and gallops for dark and lively.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from random import Random

from engine.music.character import Character
from engine.music.theory import Chord, nearest, pitches, voicing

GAP = 0.4
"""Quarters by which a note is cut short at most: between long ones a hole would open."""

Slot = tuple[float, float, Chord]
"""A chord with its onset and length in quarters from the section's start."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A note in quarters from the section's start; `accent` is added to the velocity."""

    onset: float
    length: float
    pitch: int
    accent: int = 0


@dataclass(frozen=True)
class Pattern:
    """A bar of steps, `grid` quarters each, and the point of the plane that it suits.

    Figures: a digit is a voice of the chord from below, `*` all, `u` all but the lowest. Bass: R root, F fifth,
    O octave, T third, P pedal on the tonic, A a step before the next root. Both: `.` rest, `_` the last one sounds on.
    """

    steps: str
    grid: float
    valence: float
    arousal: float
    ring: bool = False


FIGURES: dict[int, tuple[Pattern, ...]] = {
    4: (
        Pattern("*___", 1, -0.2, -0.9, ring=True),
        Pattern("0_2_", 1, 0.0, -0.9, ring=True),
        Pattern("0123", 1, 0.3, -0.7, ring=True),
        Pattern("01232121", 0.5, 0.3, -0.35, ring=True),
        Pattern("02130213", 0.5, -0.4, -0.35, ring=True),
        Pattern("02121212", 0.5, 0.5, 0.0),
        Pattern("*_u_*_u_", 0.5, 0.0, 0.0),
        Pattern(".u.u", 1, 0.6, 0.2),
        Pattern("*..*..*.", 0.5, 0.3, 0.35),
        Pattern("*.u*.u*u", 0.5, 0.6, 0.5),
        Pattern(".*.*.*.*", 0.5, 0.8, 0.6),
        Pattern("0123210301232103", 0.25, 0.5, 0.75),
        Pattern("********", 0.5, -0.2, 0.6),
        Pattern("0.0020.00.002030", 0.25, -0.6, 0.6),
        Pattern("*.***.***.***.**", 0.25, -0.6, 0.95),
        Pattern("0010001000100020", 0.25, -0.8, 0.75),
        Pattern("*..*..*..*..*.*.", 0.25, 0.6, 0.95),
    ),
    3: (
        Pattern("*__", 1, -0.2, -0.9, ring=True),
        Pattern("012", 1, 0.2, -0.7, ring=True),
        Pattern("012321", 0.5, 0.2, -0.35, ring=True),
        Pattern("031323", 0.5, -0.4, -0.3, ring=True),
        Pattern(".uu", 1, 0.4, 0.0),
        Pattern("0u_u0u", 0.5, 0.5, 0.4),
        Pattern("012321032123", 0.25, 0.5, 0.75),
        Pattern("******", 0.5, -0.4, 0.6),
        Pattern("001000100020", 0.25, -0.7, 0.7),
        Pattern("*.**.**.**.*", 0.25, -0.5, 0.95),
        Pattern("*.u*.u", 0.5, 0.7, 0.8),
    ),
}

BASSES: dict[int, tuple[Pattern, ...]] = {
    4: (
        Pattern("R___", 1, 0.0, -0.9),
        Pattern("P___", 1, -0.7, -0.7),
        Pattern("R_F_", 1, 0.4, -0.3),
        Pattern("R__RF_A_", 0.5, 0.0, 0.1),
        Pattern("R.F.R.FA", 0.5, 0.7, 0.3),
        Pattern("RTFA", 1, 0.5, 0.15),
        Pattern("R..R..F.", 0.5, 0.2, 0.45),
        Pattern("R.RR.RFA", 0.5, 0.5, 0.7),
        Pattern("ROROROFO", 0.5, 0.8, 0.9),
        Pattern("RRRRRRRR", 0.5, -0.4, 0.7),
        Pattern("P.PPP.PP", 0.5, -0.8, 0.6),
        Pattern("R.RRR.RRR.RRR.RR", 0.25, -0.6, 1.0),
    ),
    3: (
        Pattern("R__", 1, 0.0, -0.8),
        Pattern("P__", 1, -0.7, -0.7),
        Pattern("R.F", 1, 0.3, 0.0),
        Pattern("R_A", 1, -0.3, 0.0),
        Pattern("R..R.F", 0.5, 0.5, 0.5),
        Pattern("RRRRRR", 0.5, -0.4, 0.7),
        Pattern("R.RRR.RRR.RR", 0.25, -0.5, 1.0),
        Pattern("R.O.F.", 0.5, 0.7, 0.6),
    ),
}


def choose(patterns: Sequence[Pattern], how: Character, rng: Random) -> Pattern:
    """Draw a pattern, the likelier the nearer it suits the character (arousal counts twice)."""

    def fit(pattern: Pattern) -> float:
        squared = 2 * (pattern.arousal - how.arousal) ** 2 + (pattern.valence - how.valence) ** 2
        return float(2.0 ** (-9 * squared))

    return rng.choices(patterns, [fit(pattern) for pattern in patterns])[0]


def detached(length: float, gate: float) -> float:
    """Return how long a note sounds: its share of the written length, but a long one stops GAP early at most."""
    return max(length * gate, length - GAP)


def steps_of(pattern: Pattern, bars: int, meter: int, first_bar: int = 0) -> Iterator[tuple[float, float, str]]:
    """Yield (onset, length, step) of a pattern repeated over bars; a ringing step lasts to the end of its bar."""
    for bar in range(first_bar, first_bar + bars):
        for i, step in enumerate(pattern.steps):
            if step in "._":
                continue
            onset = bar * meter + i * pattern.grid
            held = 1
            while i + held < len(pattern.steps) and pattern.steps[i + held] == "_":
                held += 1
            yield onset, (bar + 1) * meter - onset if pattern.ring else held * pattern.grid, step


def with_changes(
    steps: Iterable[tuple[float, float, str]], slots: Sequence[Slot], rings: bool = False
) -> Iterator[tuple[float, float, str]]:
    """Yield the steps, those that are held over a change of chord in pieces, so that no hole follows the change.

    A pedal (P) stands still. Ringing steps are cut by their chord; they are struck anew only where the pattern itself
    has nothing more to say before the last one ends.
    """
    changes = sorted(slot[0] for slot in slots)
    all_steps = list(steps)
    for i, (onset, length, step) in enumerate(all_steps):
        until = onset + length
        if rings and i + 1 < len(all_steps):
            until = min(until, all_steps[i + 1][0])
        stands = step == "P"
        inside = [] if stands else changes[bisect_right(changes, onset + 1e-9) : bisect_left(changes, until - 1e-9)]
        if not inside:
            yield onset, length, step
            continue
        borders = [onset, *inside, onset + length]
        for k, (start, end) in enumerate(pairwise(borders)):
            yield start, end - start, step if k == 0 or step != "A" else "R"


def chord_at(slots: Sequence[Slot], onset: float) -> Slot:
    """Return the slot that sounds at an onset."""
    return slots[bisect_right(slots, onset + 1e-9, key=itemgetter(0)) - 1]


def voicings(slots: Sequence[Slot], centre: float, voices: int, low: int, high: int) -> dict[float, tuple[int, ...]]:
    """Return a voicing for the onset of every slot, each moving as little as possible from the one before."""
    out: dict[float, tuple[int, ...]] = {}
    previous: tuple[int, ...] = ()
    for onset, _, chord in slots:
        previous = voicing(chord, previous, centre, voices, low, high)
        out[onset] = previous
    return out


def figure(
    pattern: Pattern,
    slots: Sequence[Slot],
    first_bar: int,
    bars: int,
    meter: int,
    voiced: dict[float, tuple[int, ...]],
    gate: float,
) -> list[Sound]:
    """Play a figure over some bars; a step ends with its chord, and one that is held is struck again with the next."""
    out: list[Sound] = []
    for onset, length, step in with_changes(steps_of(pattern, bars, meter, first_bar), slots, pattern.ring):
        start, span, _ = chord_at(slots, onset)
        until = min(length, start + span - onset)
        sounding = until if pattern.ring else detached(until, gate)
        chord = voiced[start]
        accent = 4 if onset % meter == 0 else 0 if onset % 1 == 0 else -5
        match step:
            case "*":
                out += [Sound(onset, sounding, pitch, accent - 4) for pitch in chord]
            case "u":
                out += [Sound(onset, sounding, pitch, accent - 6) for pitch in chord[1:]]
            case digit:
                out.append(Sound(onset, sounding, chord[int(digit) % len(chord)], accent))
    return out


def bass(
    pattern: Pattern, slots: Sequence[Slot], first_bar: int, bars: int, meter: int, tonic: int, low: int, gate: float
) -> list[Sound]:
    """Play a bass line over some bars: low but within an octave and a fifth above `low`."""
    out: list[Sound] = []
    steps = list(with_changes(steps_of(pattern, bars, meter, first_bar), slots))
    changes = sorted({slot[0] for slot in slots})
    previous = low + 7.0
    for i, (onset, length, step) in enumerate(steps):
        chord = chord_at(slots, onset)[2]
        if onset in changes and step not in "PR":
            step = "R"
        root = nearest(chord.root, 0.5 * previous + 0.5 * (low + 6), low, low + 14)
        match step:
            case "F":
                pitch = nearest(chord.tones[2], root + 2, low, low + 19)
            case "T":
                pitch = nearest(chord.tones[1], root + 3, low, low + 19)
            case "O":
                pitch = root + 12
            case "P":
                pitch = nearest(tonic, low + 5, low, low + 12)
            case "A":
                after = chord_at(slots, steps[i + 1][0] if i + 1 < len(steps) else onset + length)[2]
                goal = nearest(after.root, root, low, low + 14)
                pitch = goal + (1 if (previous >= goal and goal + 1 <= low + 19) or goal == low else -1)
                if pitch % 12 not in chord.tones and goal >= low + 2 and (goal - 2) % 12 in chord.tones:
                    pitch = goal - 2
            case _:
                pitch = root
        previous = float(pitch if step in "RP" else root)
        accent = 4 if onset % meter == 0 else -3 if onset % 1 else 0
        held = step == "P"
        change = bisect_right(changes, onset)
        until = onset + length if held or change == len(changes) else changes[change]
        out.append(Sound(onset, detached(min(length, max(until - onset, pattern.grid)), gate), pitch, accent))
    return out


def pad(slots: Sequence[Slot], voiced: dict[float, tuple[int, ...]]) -> list[Sound]:
    """Hold every chord; a voice that stays on its pitch is tied over instead of struck again."""
    out: list[Sound] = []
    open_until: dict[int, int] = {}
    for onset, length, _ in slots:
        for pitch in voiced[onset]:
            tied = open_until.get(pitch)
            if tied is not None and abs(out[tied].onset + out[tied].length - onset) < 1e-9 and out[tied].length < 8:
                out[tied] = Sound(out[tied].onset, out[tied].length + length, pitch)
            else:
                open_until[pitch] = len(out)
                out.append(Sound(onset, length, pitch))
    return out


def counter(slots: Sequence[Slot], melody: dict[float, int], low: int, high: int) -> list[Sound]:
    """Sing one long note per chord below the melody: its third, seventh or fifth, by the shortest way."""
    out: list[Sound] = []
    previous = (low + high) / 2
    for onset, length, chord in slots:
        above = max((pitch for at, pitch in melody.items() if onset <= at < onset + length), default=high + 3)
        options = pitches(chord.tones[1:], low, min(high, above - 3)) or pitches(chord.tones, low, high)
        pitch = min(options, key=lambda p: (abs(p - previous) + (1.5 if p == previous else 0), p))
        out.append(Sound(onset, length, pitch))
        previous = pitch
    return out
