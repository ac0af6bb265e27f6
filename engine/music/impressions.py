"""What stands out in the sections of a score. Knows scores; knows no sound and no emotion."""

from __future__ import annotations

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from engine.emotion.tonality import key_strengths
from engine.music.embedded import Composition
from engine.music.orchestra import INSTRUMENTS, Role
from engine.music.percussion import (
    CLAP,
    HAT,
    HIGH_TOM,
    KICK,
    LOW_TOM,
    MID_TOM,
    RIDE,
    RIM,
    SHAKER,
    SNARE,
    TAMBOURINE,
)
from engine.music.score import TICKS
from engine.music.synth import DRUM_CHANNEL

Rows = NDArray[np.float64]

ROLES: tuple[Role, ...] = get_args(Role)
DRUMS: dict[str, tuple[int, ...]] = {
    "kick": (KICK,),
    "snare": (SNARE, CLAP),
    "toms": (LOW_TOM, MID_TOM, HIGH_TOM),
    "hats": (HAT, RIDE, SHAKER, TAMBOURINE, RIM),
}
"""Kinds of drum that are told apart; what is in none of them (cymbals) counts for all drums together."""
NAMES: tuple[str, ...] = (
    *("tempo", "treble", "swing", "triple", "onsets", "notes", "sounding", "velocity"),
    *(f"{what} {role}" for role in ROLES for what in ("plays", "onsets", "notes", "pitch", "length")),
    *(f"degree {step}" for step in range(12)),
    *("major", "minor", "major - minor"),
    *("drums", *DRUMS),
    *INSTRUMENTS,
)
"""The columns of `impressions`."""

_PROGRAMS = {instrument.program: i for i, instrument in enumerate(INSTRUMENTS.values())}
_EARLY = TICKS // 48
"""Ticks by which a player may be early (`arranger.HUMAN_S`) and still belong to the section."""
_TOGETHER = TICKS // 8
"""Notes that start within a thirty-second count as one onset."""


def impressions(piece: Composition) -> Rows:
    """Return what stands out in each section of a score: float64 [sections, len(NAMES)].

    Tempo, rates (a second) and lengths (s) as log2; pitches in octaves above middle C; `degree k` is the share of
    sounding time k semitones above the tonic; `major` and `minor` are the best correlations with a key's profile
    (`tonality.key_strengths`);
    drums in root mean square strokes a second; instruments 1 where they play.
    """
    form, score = piece.form, piece.score
    count = len(form.sections)
    starts = np.array([section.first_bar * form.bar_ticks for section in form.sections])
    quarter_s = np.array([section.quarter_s for section in form.sections])
    seconds = np.array([section.end_s - section.start_s for section in form.sections])
    tonics = np.array([section.key.tonic for section in form.sections])
    rows = np.zeros((count, len(NAMES)))
    column = {name: i for i, name in enumerate(NAMES)}

    def put(name: str, values: Rows) -> None:
        rows[:, column[name]] = values

    notes = np.array(
        [
            (note.start, note.length, note.pitch, note.velocity, ROLES.index(part.role), _PROGRAMS[part.program])
            for part in score.parts
            if part.role is not None
            for note in part.notes
        ]
    ).reshape(-1, 6)
    start, length, pitch, velocity, role, player = notes.T.astype(np.float64)
    section = np.searchsorted(starts, start + _EARLY, side="right") - 1

    def total(weights: Rows, where: NDArray[np.bool_] | slice = slice(None)) -> Rows:
        sums: Rows = np.bincount(section[where], weights[where], minlength=count).astype(np.float64)
        return sums

    def distinct(keys: NDArray[np.float64], where: NDArray[np.bool_] | slice = slice(None)) -> Rows:
        """Count the different keys of each section."""
        pairs = np.unique(section[where] * 10_000_000.0 + keys[where])
        return np.bincount((pairs // 10_000_000).astype(int), minlength=count).astype(np.float64)

    ones, onset = np.ones(len(notes)), np.round(start / _TOGETHER)
    strength = length * (velocity / 90) ** 2
    every = np.maximum(total(ones), 1)
    put("tempo", np.log2(1 / quarter_s))
    put("treble", np.array([section.character.treble_db for section in form.sections]))
    put("swing", np.full(count, float(piece.cast.style.swing)))
    put("triple", np.full(count, float(form.meter == 3)))
    put("onsets", np.log2(distinct(onset) / seconds + 0.3))
    put("notes", np.log2(total(ones) / seconds + 0.3))
    put("sounding", np.log2(total(strength) / TICKS * quarter_s / seconds + 0.2))
    put("velocity", total(velocity) / every)
    for i, one in enumerate(ROLES):
        mine = role == i
        of = total(ones, mine)
        some = np.maximum(of, 1)
        put(f"plays {one}", (of > 0).astype(np.float64))
        put(f"onsets {one}", distinct(onset, mine) / seconds)
        put(f"notes {one}", of / seconds)
        put(f"pitch {one}", (total(pitch - 60, mine) / some) / 12)
        put(f"length {one}", np.where(of > 0, np.log2(total(length, mine) / some / TICKS * quarter_s + 0.05), 0.0))
    degrees = np.zeros((count, 12))
    lead = np.where(role == ROLES.index("lead"), 1.5, 1.0)  # the tune is in front
    np.add.at(degrees, (section, ((pitch - tonics[section]) % 12).astype(int)), strength * lead)
    degrees /= np.maximum(degrees.sum(axis=1, keepdims=True), 1e-9)
    rows[:, column["degree 0"] : column["degree 0"] + 12] = degrees
    keys = key_strengths(degrees.astype(np.float32))
    major, minor = keys.major.max(axis=1), keys.minor.max(axis=1)
    for name, values in (("major", major), ("minor", minor), ("major - minor", major - minor)):
        put(name, values)
    strokes = np.array(
        [(n.start, n.pitch, n.velocity) for part in score.parts if part.channel == DRUM_CHANNEL for n in part.notes]
    ).reshape(-1, 3)
    struck = np.searchsorted(starts, strokes[:, 0] + _EARLY, side="right") - 1
    for kind, drums in (("drums", None), *DRUMS.items()):
        hit = np.ones(len(strokes), np.bool_) if drums is None else np.isin(strokes[:, 1], drums)
        put(kind, np.sqrt(np.bincount(struck[hit], (strokes[hit, 2] / 90) ** 2, minlength=count) / seconds))
    rows[section, column[next(iter(INSTRUMENTS))] + player.astype(int)] = 1.0
    return rows
