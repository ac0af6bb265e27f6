"""The composer that comes with TuneTale: plans, writes and plays a piece without any download."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from engine.music import mix
from engine.music.arranger import Draft, arrange
from engine.music.composer import Brief, Music, check_brief
from engine.music.duet import Duet
from engine.music.form import Form, plan, tempo_map
from engine.music.melody import make_motif
from engine.music.orchestra import Cast, Role, cast, choose_style
from engine.music.score import Note, Part, Score, to_bytes, to_file, without_overlaps
from engine.music.synth import DRUM_CHANNEL
from engine.report import Report, silent

RATE_HZ = 44_100
TAIL_S = 3.5
"""Longest ring-out after the last beat; the contract allows 4 s."""

LEVELS: dict[Role, float] = {"lead": -29.0, "counter": -33.0, "figure": -33.0, "pad": -35.0, "bass": -30.0}
"""Loudness that controller 7 gives each role, in LUFS at velocity 90."""

DRUM_VOLUME = 90
"""Controller 7 of the percussion."""

PANS: dict[Role, int] = {"lead": 60, "counter": 90, "figure": 38, "pad": 68, "bass": 64}
"""Controller 10: 0 left, 64 centre, 127 right."""

SKETCH_VOICES = 48
"""Sounding samples at once in a sketch: what tells a listener the feeling are the onsets, which all sound."""

_WRITTEN, _PLAYED = 0.25, 0.7
"""Share of the time after writing and after rendering, as reported."""


@dataclass(frozen=True)
class Composition:
    """A piece on paper: its form, who plays, and the score."""

    form: Form
    cast: Cast
    score: Score


class EmbeddedComposer:
    """Implements `engine.music.composer.Composer`. Thread-safe; holds the SoundFont."""

    def __init__(self, soundfont: Path | None = None) -> None:
        """Raise `UserError` when the SoundFont cannot be used."""
        self._players = Duet(soundfont)

    @property
    def name(self) -> str:
        """Name of the backend, as shown to people."""
        return "TuneTale symbolic composer"

    def compose(self, brief: Brief, report: Report) -> Music:
        """Return the music: `brief.seconds` to `brief.seconds + 4` s, stereo, with its MIDI file.

        Raises `UserError` for a brief without beats or of a length outside 10–600 s.
        """
        piece = write(brief, report)
        file = to_file(piece.score)
        report("compose", _WRITTEN)
        dry = self._players.render(
            file, RATE_HZ, progress=lambda f: report("compose", _WRITTEN + (_PLAYED - _WRITTEN) * f)
        )
        samples = mix.finish(
            dry,
            RATE_HZ,
            brief.seconds,
            TAIL_S,
            _treble(piece),
            lambda f: report("compose", _PLAYED + (1 - _PLAYED) * f),
        )
        return Music(samples, RATE_HZ, to_bytes(file))

    def sketch(self, brief: Brief, rate_hz: int) -> NDArray[np.float32]:
        """Return the same piece as mono [n] at `rate_hz`, as loud as it will be: without room and limiter, for quick
        listening."""
        piece = written(brief)
        dry = self._players.render(to_file(piece.score), rate_hz, SKETCH_VOICES)
        dry = dry[: round((brief.seconds + TAIL_S) * rate_hz)]
        mix.tilt(dry, rate_hz, _treble(piece))
        loudness = mix.integrated_loudness(dry, rate_hz)
        mono: NDArray[np.float32] = dry.mean(axis=1)
        if np.isfinite(loudness):
            mono *= np.float32(10 ** ((mix.LOUDNESS_LUFS - loudness) / 20))
        return mono


def _treble(piece: Composition) -> list[tuple[float, float]]:
    return [(section.start_s, section.character.treble_db) for section in piece.form.sections]


def write(brief: Brief, report: Report) -> Composition:
    """Compose without playing: the same brief gives the same score. Raises `UserError` like `compose`."""
    check_brief(brief)
    report("compose", 0.0)
    points = [(beat.valence, beat.arousal) for beat in brief.beats]
    players = cast(choose_style(points, brief.seed, brief.description), brief.seed)
    rng = Random(f"{brief.seed} form")
    calm = sum(arousal for _, arousal in points) / len(points) < 0.15
    meter = 3 if calm and not players.style.swing and rng.random() < 0.35 else 4
    form = plan(brief.beats, brief.seconds, meter, rng)
    motif = make_motif(meter, form.sections[0].character.breadth, Random(f"{brief.seed} motif"))
    drafts = []
    for i in range(len(form.sections)):
        drafts.append(arrange(form, i, players, motif, brief.seed))
        report("compose", _WRITTEN * (i + 1) / (len(form.sections) + 1))
    return Composition(form, players, _score(brief, form, players, drafts))


@lru_cache(maxsize=4)
def written(brief: Brief) -> Composition:
    """Do what `write` does, and remember the last few: what was read last is what is sketched next."""
    return write(brief, silent)


def _score(brief: Brief, form: Form, players: Cast, drafts: list[Draft]) -> Score:
    """Join the sections, one channel for every role and instrument."""
    free = [channel for channel in range(16) if channel != DRUM_CHANNEL]
    notes: dict[tuple[Role, str], list[Note]] = {}
    parts: dict[tuple[Role, str], Part] = {}
    for draft in drafts:
        for (role, player), new in draft.notes.items():
            where = (role, player.name)
            if where not in parts:
                name = f"{role}: {player.name}"
                volume, pan = player.volume(LEVELS[role]), PANS[role]
                parts[where] = Part(role, name, free[len(parts)], player.program, volume, pan, ())
            notes.setdefault(where, []).extend(new)
    played = [
        Part(p.role, p.name, p.channel, p.program, p.volume, p.pan, without_overlaps(notes[where]))
        for where, p in parts.items()
    ]
    drums = [note for draft in drafts for note in draft.drums]
    if drums:
        played.append(
            Part(None, "percussion", DRUM_CHANNEL, players.style.kit, DRUM_VOLUME, 64, without_overlaps(drums))
        )
    expression = [
        (tick, parts[role, player.name].channel, value)
        for draft in drafts
        for tick, (role, player), value in draft.swells
        if (role, player.name) in parts
    ]
    starts = [section.first_bar * form.bar_ticks for section in form.sections]
    return Score(
        title=f"TuneTale: {', '.join(dict.fromkeys(section.word for section in form.sections))}",
        meter=form.meter,
        parts=tuple(played),
        tempi=tuple(tempo_map(form)),
        markers=tuple(
            (at, f"{i + 1}: {section.word} ({section.key.name})")
            for i, (at, section) in enumerate(zip(starts, form.sections, strict=True))
        ),
        keys=tuple((at, section.key.signature) for at, section in zip(starts, form.sections, strict=True)),
        expression=tuple(expression),
    )
