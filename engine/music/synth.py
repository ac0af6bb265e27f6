"""Plays MIDI on a SoundFont. Knows MIDI messages and samples; knows nothing of harmony or emotion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from io import BytesIO
from pathlib import Path

import mido
import numpy as np
import tinysoundfont
from numpy.typing import NDArray

from engine.errors import UserError
from engine.music.soundfont import load_soundfont

Samples = NDArray[np.float32]

DRUM_CHANNEL = 9
"""General MIDI's percussion channel, counted from 0."""

TAIL_S = 4.0
"""Seconds rendered after the last event, so that the last notes ring out."""

VOICES = 192
"""Sounding samples at once, tails included; beyond it the tails that have rung longest are cut off."""

_CHUNK_S = 0.05
"""Longest stretch per call: the C code keeps the interpreter lock, and other threads must get their turn."""


class Kind(IntEnum):
    """The messages that are played: the upper half of their first byte; the lower half is the channel (MIDI 1.0)."""

    NOTE_OFF = 0x80
    NOTE_ON = 0x90
    CONTROL_CHANGE = 0xB0
    PROGRAM_CHANGE = 0xC0
    PITCHWHEEL = 0xE0


_PLAYED = frozenset(kind.name.lower() for kind in Kind)


@dataclass(frozen=True, eq=False)
class Events:
    """What an instrument is to do: int32 [n, 4] of frame, first byte and two data bytes of a message, in order.

    `frames` is the length of what will be heard, TAIL_S after the last message of the file included.
    """

    rows: NDArray[np.int32]
    frames: int


class Synth:
    """A SoundFont, checked and kept in memory. Thread-safe: every `render` plays on an instrument of its own."""

    def __init__(self, soundfont: Path | None = None) -> None:
        """Raise `UserError` when the SoundFont (None: the bundled one) is missing or damaged."""
        self._data = load_soundfont(soundfont)
        self._named = soundfont.name if soundfont else "the bundled SoundFont"
        self._player(44_100, VOICES)

    def render(self, midi: bytes, rate_hz: int = 44_100) -> Samples:
        """Return float32 [n, 2]: the Standard MIDI File `midi` from time 0 to TAIL_S after its last event.

        Peaks may exceed 1. Same MIDI, same bytes, whatever other threads do.
        Raises `UserError` when the SoundFont lacks a program that the MIDI file asks for.
        """
        return self.play(to_events(mido.MidiFile(file=BytesIO(midi)), rate_hz), rate_hz)

    def play(
        self,
        events: Events,
        rate_hz: int,
        voices: int = VOICES,
        progress: Callable[[float], None] = lambda _: None,
    ) -> Samples:
        """Do what `render` does for messages that are already timed.

        `voices` is the most that sound at once: with fewer, dense music is ready sooner and loses its tails.
        `progress` is told the share done about every second of music; what it raises ends the playing.
        """
        player = self._player(rate_hz, voices)
        out = np.zeros((events.frames, 2), dtype=np.float32)
        done, told = 0, 0
        for frame, status, first, second in events.rows.tolist():
            if frame > told + rate_hz:
                told = frame
                progress(frame / events.frames)
            done = _advance(player, out, done, frame, rate_hz)
            self._play(player, status, first, second)
        _advance(player, out, done, len(out), rate_hz)
        return out

    def _player(self, rate_hz: int, voices: int) -> tinysoundfont.Synth:
        player = tinysoundfont.Synth(samplerate=rate_hz)
        try:
            player.sfload(self._data, max_voices=voices)
        except RuntimeError:
            raise UserError(
                f"{self._named} cannot be played; name another SoundFont (.sf2).", code="soundfont_damaged"
            ) from None
        player.program_change(DRUM_CHANNEL, 0, True)
        return player

    def _play(self, player: tinysoundfont.Synth, status: int, first: int, second: int) -> None:
        channel = status & 0x0F
        match status & 0xF0:
            case Kind.NOTE_ON if second > 0:
                player.noteon(channel, first, second)
            case Kind.NOTE_ON | Kind.NOTE_OFF:
                player.noteoff(channel, first)
            case Kind.CONTROL_CHANGE:
                player.control_change(channel, first, second)
            case Kind.PITCHWHEEL:
                player.pitchbend(channel, first + 128 * second)
            case Kind.PROGRAM_CHANGE:
                try:
                    player.program_change(channel, first, channel == DRUM_CHANNEL)
                except RuntimeError:
                    raise UserError(
                        f"{self._named} has no instrument for General MIDI program {first + 1}; "
                        "name a General MIDI SoundFont.",
                        code="soundfont_incomplete",
                    ) from None


def to_events(file: mido.MidiFile, rate_hz: int) -> Events:
    """Return what there is to play in a file, in frames of `rate_hz`."""
    timed = _timed(file)
    rows = []
    for now_s, message in timed:
        if not message.is_meta and message.type in _PLAYED:
            status, first, *second = message.bytes()
            rows.append((round(now_s * rate_hz), status, first, second[0] if second else 0))
    frames = round((timed[-1][0] + TAIL_S) * rate_hz)
    return Events(np.array(rows, dtype=np.int32).reshape(-1, 4), frames)


def _timed(file: mido.MidiFile) -> list[tuple[float, mido.Message]]:
    """Return the messages of all tracks in order with their times in seconds, the end of the longest track last.

    It is what iterating over a `MidiFile` gives, which copies every message three times.
    """
    placed: list[tuple[int, mido.Message]] = []
    end = 0
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type != "end_of_track":
                placed.append((tick, message))
        end = max(end, tick)
    placed.sort(key=lambda pair: pair[0])
    placed.append((end, mido.MetaMessage("end_of_track")))
    timed: list[tuple[float, mido.Message]] = []
    now_s, last, tempo = 0.0, 0, 500_000
    for tick, message in placed:
        now_s += mido.tick2second(tick - last, file.ticks_per_beat, tempo)
        last = tick
        timed.append((now_s, message))
        if message.type == "set_tempo":
            tempo = message.tempo
    return timed


def _advance(player: tinysoundfont.Synth, out: NDArray[np.float32], done: int, until: int, rate_hz: int) -> int:
    """Render frames [done, until) into `out` and return `until`."""
    step = max(1, round(_CHUNK_S * rate_hz))
    for start in range(done, until, step):
        stop = min(start + step, until)
        player.generate_simple(stop - start, buffer=out[start:stop].data.cast("B"))
    return max(done, until)
