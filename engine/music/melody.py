"""Motifs and melodies. Knows rhythm, contour and how a line fits chords; knows no instruments and no seconds.

A piece has one motif of two bars: rhythm and steps of the scale. Each phrase asks for it whole, moved, turned or cut
(`Transform`), at the density of its section; a dynamic programme then chooses the pitches that keep the motif's
intervals, meet the chords on strong beats, stay near the register's arch and close on the tones of the cadence.
Principles: step-wise motion, leaps filled by a step back, one high point per phrase (Huron 2006, *Sweet
Anticipation*, ch. 5; Narmour's gap-fill).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from engine.music.character import Character
from engine.music.form import Phrase, Transform
from engine.music.theory import Chord, Key, pitches, scale_over

RHYTHMS: dict[int, tuple[tuple[float, ...], ...]] = {
    4: (
        (1, 1, 1, 1),
        (2, 1, 1),
        (1.5, 0.5, 1, 1),
        (1, 0.5, 0.5, 2),
        (1.5, 0.5, 2),
        (0.5, 0.5, 1, 2),
        (1, 1, 2),
        (1, 0.5, 0.5, 1, 1),
        (0.5, 1, 0.5, 1, 1),
        (1.5, 1.5, 1),
        (0.5, 0.5, 0.5, 0.5, 1, 1),
        (1, 2, 1),
        (1.5, 0.5, 0.5, 0.5, 1),
        (2, 1.5, 0.5),
    ),
    3: (
        (1, 1, 1),
        (2, 1),
        (1.5, 0.5, 1),
        (1, 0.5, 0.5, 1),
        (0.5, 0.5, 1, 1),
        (1.5, 1.5),
        (1, 2),
        (2, 0.5, 0.5),
        (1.5, 0.5, 0.5, 0.5),
    ),
}
"""Bars of the motif, as lengths in quarters."""

CLOSES: dict[int, tuple[tuple[float, ...], ...]] = {
    4: ((1, 1, 2), (2, 2), (0.5, 0.5, 1, 2), (1.5, 0.5, 2), (1, 3)),
    3: ((1, 2), (0.5, 0.5, 2), (3,), (1, 2)),
}
"""Last bars of phrases: they come to rest."""

STEP = 1.75
"""Mean semitones to a step of the scale."""


@dataclass(frozen=True)
class Event:
    """A melody note to be pitched: onset and length in quarters (from the section's start) and wished interval.

    `step` is the motif's movement in scale steps from the note before; `stress` 0 (weak) to 2 (downbeat);
    `pull` is where the contour wants it, in semitones from the register's centre.
    """

    onset: float
    length: float
    step: int
    stress: int
    pull: float
    goals: frozenset[int] | None = None


@dataclass(frozen=True)
class Motif:
    """Two bars, each a tuple of (length in quarters, step from the note before)."""

    bars: tuple[tuple[tuple[float, int], ...], tuple[tuple[float, int], ...]]


def make_motif(meter: int, breadth: float, rng: Random) -> Motif:
    """Invent a motif: two rhythms, steps mostly by one, and one leap that is then filled."""
    rhythms = (rng.choice(RHYTHMS[meter]), rng.choice(RHYTHMS[meter]))
    count = sum(len(rhythm) for rhythm in rhythms)
    direction = rng.choice((1, -1))
    steps = [0]
    for _ in range(count - 1):
        if rng.random() < 0.3:
            direction = -direction
        steps.append(direction * rng.choices((1, 2, 0), (6, 2, 1.2))[0])
    leap = rng.randrange(1, count - 1)
    size = rng.choice((3, 4, 5) if breadth > 0.45 else (2, 3, 4)) * rng.choice((1, 1, -1))
    steps[leap], steps[leap + 1] = size, -1 if size > 0 else 1
    head = tuple(zip(rhythms[0], steps, strict=False))
    return Motif((head, tuple(zip(rhythms[1], steps[len(head) :], strict=True))))


def transformed(motif: Motif, how: Transform) -> Motif:
    """Return the motif turned upside down, backwards, stretched to double length or reduced to its head."""
    head, tail = motif.bars
    match how:
        case "inversion":
            head, tail = (tuple((length, -step) for length, step in bar) for bar in (head, tail))
        case "retrograde":
            head, tail = (tuple(reversed(bar)) for bar in (tail, head))
        case "augmentation":
            total = sum(length for length, _ in head)
            head, tail = _stretched(head, total, 0), _stretched(head, total, 1)
        case "fragmentation":
            tail = head
    return Motif((head, tail))


def _stretched(bar: tuple[tuple[float, int], ...], total: float, half: int) -> tuple[tuple[float, int], ...]:
    """Return the first or second bar of a bar at half speed."""
    out, at = [], 0.0
    for length, step in bar:
        start, end = max(2 * at, half * total), min(2 * (at + length), (half + 1) * total)
        if end > start:
            out.append((end - start, step if 2 * at >= half * total else 0))
        at += length
    return tuple(out)


def at_density(bar: Sequence[tuple[float, int]], wanted: float, agitated: bool) -> list[tuple[float, int]]:
    """Thin a bar to the wanted notes per quarter by dropping its shortest notes, or divide its longest ones.

    New notes repeat the one before when agitated, else they are neighbours that step away and back.
    """
    notes = list(bar)
    target = max(1, round(wanted * sum(length for length, _ in notes)))
    while len(notes) > target:
        i = min(range(1, len(notes)), key=lambda k: (notes[k][0], -k))
        notes[i - 1] = (notes[i - 1][0] + notes[i][0], notes[i - 1][1])
        if i + 1 < len(notes):
            notes[i + 1] = (notes[i + 1][0], notes[i + 1][1] + notes[i][1])
        del notes[i]
    while len(notes) < target:
        i = max(range(len(notes)), key=lambda k: (notes[k][0], k))
        length, step = notes[i]
        if length <= 0.25:
            break
        first = length / 2 if length != 1.5 else 1.0
        away = 0 if agitated else (1 if i % 2 == 0 else -1)
        notes[i : i + 1] = [(first, step), (length - first, away)]
        if i + 2 < len(notes):
            notes[i + 2] = (notes[i + 2][0], notes[i + 2][1] - away)
    return notes


def phrase_events(
    motif: Motif, phrase: Phrase, meter: int, how: Character, key: Key, closing: Chord, rng: Random
) -> list[Event]:
    """Return the notes of one phrase, not yet pitched: motif, its answer, and a close on tones of the cadence."""
    agitated = how.valence < -0.1 and how.arousal > 0.2
    head, tail = motif.bars
    shift = {"statement": 0, "answer": rng.choice((1, -1, 2)), "contrast": rng.choice((3, 4)), "interlude": 0}
    plan: list[Sequence[tuple[float, int]]] = []
    for bar in range(phrase.bars - 1):
        if phrase.idea == "contrast":
            plan.append((head, head, tail, tail)[bar % 4])
        else:
            plan.append((head, tail, head, head)[bar % 4])
    close = rng.choice(CLOSES[meter])
    events: list[Event] = []
    span = phrase.bars * meter
    peak = rng.uniform(0.5, 0.75)
    lift = 2.0 + 5.0 * how.breadth
    for bar, notes in enumerate([*plan, [(length, -1 if i else 0) for i, length in enumerate(close)]]):
        last_bar = bar == phrase.bars - 1
        rhythm = notes if last_bar and how.density < 2 else at_density(notes, how.density, agitated)
        if last_bar and phrase.cadence == "final":
            rhythm = [(float(meter), 0)]
        onset = float(bar * meter)
        for i, (length, step) in enumerate(rhythm):
            where = onset / span
            arch = lift * (1 - abs(where - peak) / max(peak, 1 - peak)) - lift / 2
            moved = shift[phrase.idea] * STEP if bar >= 2 else 0.0
            stress = 2 if onset % meter == 0 else 1 if onset % 1 == 0 and length >= 1 else 0
            ending = last_bar and i == len(rhythm) - 1
            events.append(
                Event(
                    onset=phrase.first_bar * meter + onset,
                    length=length,
                    step=step,
                    stress=2 if ending else stress,
                    pull=arch + moved * 0.5,
                    goals=_goals(phrase, key, closing) if ending else None,
                )
            )
            onset += length
    return events


def _goals(phrase: Phrase, key: Key, closing: Chord) -> frozenset[int]:
    """Return the pitch classes on which a phrase may end."""
    if phrase.cadence == "final":
        return frozenset({key.tonic})
    if phrase.cadence in ("authentic", "plagal"):
        return frozenset(closing.tones[:2])
    return frozenset(closing.tones[:3])


def pitched(
    events: Sequence[Event], harmony: Sequence[tuple[float, Chord]], key: Key, how: Character, low: int, high: int
) -> list[int]:
    """Return a pitch for every event: the cheapest path through the scale (Viterbi).

    `harmony` holds (onset in quarters, chord), ascending. Costs, in semitones or comparable: the distance from the
    register's arch, the departure from the motif's interval, a stressed note that is no chord tone or rubs against
    one, leaps beyond an octave's comfort, and repeated notes where the motif moves.
    """
    columns: list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]] = []
    scales: dict[Chord, tuple[list[int], NDArray[np.int64]]] = {}
    against: dict[tuple[Chord, int, bool, frozenset[int] | None], NDArray[np.float64]] = {}
    moves: dict[int, NDArray[np.float64]] = {}
    at = 0
    for event in events:
        while at + 1 < len(harmony) and harmony[at + 1][0] <= event.onset + 1e-9:
            at += 1
        here = harmony[at][1]
        if here not in scales:
            scale = pitches(scale_over(key, here), low, high)
            scales[here] = scale, np.array(scale)
        scale, every = scales[here]
        where = (here, event.stress, event.length >= 1, event.goals)
        if where not in against:
            by_name = [_against(name, here, event, how) for name in range(12)]
            against[where] = np.array([by_name[pitch % 12] for pitch in scale])
        target = how.register + event.pull
        near = slice(bisect_left(scale, target - 11), bisect_right(scale, target + 11))
        if near.start == near.stop:
            near = slice(None)
        options = every[near]
        away = np.abs(options - target)
        cost = 0.35 * away + against[where][near]
        if not columns:
            columns.append((options, cost + 0.3 * away, np.zeros(len(options), np.int64)))
            continue
        if event.step not in moves:
            moves[event.step] = _moves(event.step, how)
        before, so_far, _ = columns[-1]
        total = so_far + moves[event.step][options[:, None] - before]  # [options, options of the event before]
        columns.append((options, total.min(axis=1) + cost, total.argmin(axis=1)))
    return _trace(columns)


def _moves(step: int, how: Character) -> NDArray[np.float64]:
    """Return what it costs to move by each interval where the motif moves by `step`: [255], by semitones, those down
    counted from the end."""
    interval = np.concatenate([np.arange(128), np.arange(-127, 0)])
    width = np.abs(interval)
    cost: NDArray[np.float64] = 0.9 * np.abs(interval - step * STEP) + np.maximum(width - (5 + 7 * how.breadth), 0)
    if step != 0:
        cost += np.where(width == 0, 1.2, 0.0)
    cost += np.where((width == 6) | (width == 10) | (width == 11), 1.5 - how.dissonance, 0.0)
    return cost


def _against(name: int, here: Chord, event: Event, how: Character) -> float:
    """Return what it costs to sing a pitch class over this chord."""
    cost = 0.0
    if event.goals is not None and name not in event.goals:
        cost += 12.0
    if name not in here.tones:
        stress = (0.4, 1.8, 4.0)[event.stress] * (1.2 if event.length >= 1 else 0.8)
        cost += stress * (1 - 0.45 * how.dissonance)
        if event.stress and any((name - tone) % 12 == 1 for tone in here.tones):
            cost += 2.5 * (1 - 0.7 * how.dissonance)
    return cost


def _trace(columns: Sequence[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]]) -> list[int]:
    """Return the cheapest path back from the last of the columns (pitches, costs, where each came from)."""
    if not columns:
        return []
    k = int(columns[-1][1].argmin())
    out: list[int] = []
    for options, _, came_from in reversed(columns):
        out.append(int(options[k]))
        k = int(came_from[k])
    return out[::-1]
