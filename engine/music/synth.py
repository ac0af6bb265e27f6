"""Plays a MIDI file on a SoundFont. Knows MIDI messages and samples; knows nothing of harmony or emotion."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import mido
import numpy as np
import tinysoundfont
from numpy.typing import NDArray

from engine.errors import UserError
from engine.music.soundfont import load_soundfont

DRUM_CHANNEL = 9
"""General MIDI's percussion channel, counted from 0."""

TAIL_S = 4.0
"""Seconds rendered after the last event, so that the last notes ring out."""

_MAX_VOICES = 192
"""Sounding samples at once; our densest tutti uses about 90."""

_CHUNK_S = 0.05
"""Longest stretch per call: the C code keeps the interpreter lock, and other threads must get their turn."""


class Synth:
    """A SoundFont, checked and kept in memory. Thread-safe: every `render` plays on an instrument of its own."""

    def __init__(self, soundfont: Path | None = None) -> None:
        """Raise `UserError` when the SoundFont (None: the bundled one) is missing or damaged."""
        self._data = load_soundfont(soundfont)
        self._named = soundfont.name if soundfont else "the bundled SoundFont"
        self._player(44_100)

    def render(
        self, midi: bytes, rate_hz: int = 44_100, progress: Callable[[float], None] = lambda _: None
    ) -> NDArray[np.float32]:
        """Return float32 [n, 2]: the Standard MIDI File `midi` from time 0 to TAIL_S after its last event.

        Peaks may exceed 1. Same MIDI, same bytes, whatever other threads do.
        `progress` is told the share done about every second of music; what it raises ends the rendering.
        Raises `UserError` when the SoundFont lacks a program that the MIDI file asks for.
        """
        timed = _timed(mido.MidiFile(file=BytesIO(midi)))
        player = self._player(rate_hz)
        length_s = timed[-1][0]
        out = np.zeros((round((length_s + TAIL_S) * rate_hz), 2), dtype=np.float32)
        done, told_s = 0, 0.0
        for now_s, message in timed:
            if message.is_meta:
                continue
            if now_s > told_s + 1.0:
                told_s = now_s
                progress(now_s / length_s)
            done = _advance(player, out, done, round(now_s * rate_hz), rate_hz)
            self._play(player, message)
        _advance(player, out, done, len(out), rate_hz)
        return out

    def _player(self, rate_hz: int) -> tinysoundfont.Synth:
        player = tinysoundfont.Synth(samplerate=rate_hz)
        try:
            player.sfload(self._data, max_voices=_MAX_VOICES)
        except RuntimeError:
            raise UserError(
                f"{self._named} cannot be played; name another SoundFont (.sf2).", code="soundfont_damaged"
            ) from None
        player.program_change(DRUM_CHANNEL, 0, True)
        return player

    def _play(self, player: tinysoundfont.Synth, message: mido.Message) -> None:
        match message.type:
            case "note_on" if message.velocity > 0:
                player.noteon(message.channel, message.note, message.velocity)
            case "note_on" | "note_off":
                player.noteoff(message.channel, message.note)
            case "control_change":
                player.control_change(message.channel, message.control, message.value)
            case "pitchwheel":
                player.pitchbend(message.channel, message.pitch + 8192)
            case "program_change":
                try:
                    player.program_change(message.channel, message.program, message.channel == DRUM_CHANNEL)
                except RuntimeError:
                    raise UserError(
                        f"{self._named} has no instrument for General MIDI program {message.program + 1}; "
                        "name a General MIDI SoundFont.",
                        code="soundfont_incomplete",
                    ) from None


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
