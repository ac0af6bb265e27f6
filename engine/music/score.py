"""A finished piece as notes on a time line, and its Standard MIDI File. Knows MIDI; knows nothing of harmony.

Times are ticks, TICKS to a quarter note; only the tempo map knows seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import mido

from engine.music.orchestra import Role

TICKS = 480
"""Ticks to a quarter note: divisible by every note value that the composer uses."""


@dataclass(frozen=True, slots=True)
class Note:
    """A note: start and length in ticks, MIDI pitch and velocity (1–127)."""

    start: int
    length: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Part:
    """The notes of one MIDI channel; `volume` and `pan` are the controllers 7 and 10 (64 = centre). Percussion has no
    role."""

    role: Role | None
    name: str
    channel: int
    program: int
    volume: int
    pan: int
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Score:
    """A piece: `tempi` are (tick, seconds per quarter), `markers` and `keys` (tick, text), `expression`
    (tick, channel, value of controller 11); `meter` is quarters to a bar."""

    title: str
    meter: int
    parts: tuple[Part, ...]
    tempi: tuple[tuple[int, float], ...]
    markers: tuple[tuple[int, str], ...]
    keys: tuple[tuple[int, str], ...]
    expression: tuple[tuple[int, int, int], ...] = ()

    def seconds_at(self, tick: int) -> float:
        """Return the time of a tick."""
        seconds, (last, pace) = 0.0, self.tempi[0]
        for at, quarter_s in self.tempi[1:]:
            if at >= tick:
                break
            seconds, last, pace = seconds + (at - last) / TICKS * pace, at, quarter_s
        return seconds + (tick - last) / TICKS * pace


def to_midi(score: Score) -> bytes:
    """Return the score as a Standard MIDI File."""
    return to_bytes(to_file(score))


def to_bytes(file: mido.MidiFile) -> bytes:
    """Return what a file of these tracks holds."""
    out = BytesIO()
    file.save(file=out)
    return out.getvalue()


def to_file(score: Score) -> mido.MidiFile:
    """Return the score as MIDI tracks, format 1: a conductor's, then one per part."""
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS)
    conductor = [(0, mido.MetaMessage("track_name", name=_ascii(score.title)))]
    conductor.append((0, mido.MetaMessage("time_signature", numerator=score.meter, denominator=4)))
    conductor += [(at, mido.MetaMessage("key_signature", key=key)) for at, key in score.keys]
    conductor += [(at, mido.MetaMessage("marker", text=_ascii(text))) for at, text in score.markers]
    conductor += [(at, mido.MetaMessage("set_tempo", tempo=round(s * 1e6))) for at, s in score.tempi]
    file.tracks.append(_track(conductor))
    for part in score.parts:
        channel = part.channel
        events: list[tuple[int, mido.Message]] = [(0, mido.MetaMessage("track_name", name=part.name))]
        events.append((0, mido.Message("program_change", channel=channel, program=part.program)))
        events.append((0, mido.Message("control_change", channel=channel, control=7, value=part.volume)))
        events.append((0, mido.Message("control_change", channel=channel, control=10, value=part.pan)))
        events += [
            (at, mido.Message("control_change", channel=channel, control=11, value=value))
            for at, where, value in score.expression
            if where == channel
        ]
        # A note that ends where the same pitch begins again must be released first.
        for note in part.notes:
            end = note.start + note.length
            events.append((end, mido.Message("note_off", channel=channel, note=note.pitch)))
        for note in part.notes:
            events.append(
                (note.start, mido.Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity))
            )
        file.tracks.append(_track(events))
    return file


def _ascii(text: str) -> str:
    """Keep to ASCII: MIDI names no encoding, and mido's choice of one is global, hence not safe among threads."""
    return text.encode("ascii", "replace").decode()


def _track(events: list[tuple[int, mido.Message]]) -> mido.MidiTrack:
    """Return a track of messages, which are given with their absolute ticks; those at one tick keep their order."""
    track, now = mido.MidiTrack(), 0
    for at, message in sorted(events, key=lambda event: event[0]):
        message.time = at - now
        track.append(message)
        now = at
    return track


def without_overlaps(notes: list[Note]) -> tuple[Note, ...]:
    """Return the notes in order of time, each cut where the same pitch begins anew; of two at one tick the louder."""
    kept: list[Note] = []
    last: dict[int, int] = {}
    for note in sorted(notes, key=lambda n: (n.start, n.pitch, -n.velocity)):
        if note.length <= 0:
            continue
        if note.pitch in last:
            before = kept[last[note.pitch]]
            if before.start == note.start:
                continue
            if before.start + before.length > note.start:
                kept[last[note.pitch]] = Note(before.start, note.start - before.start, before.pitch, before.velocity)
        last[note.pitch] = len(kept)
        kept.append(note)
    return tuple(kept)
