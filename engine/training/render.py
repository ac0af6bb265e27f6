"""Turns the MIDI files of training sets into sound. Knows MIDI and the synthesiser; knows nothing of labels."""

from __future__ import annotations

import itertools
import warnings
from io import BytesIO
from pathlib import Path

import mido
import numpy as np
import pretty_midi
from numpy.typing import NDArray

from engine.errors import UserError
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music.synth import DRUM_CHANNEL, Synth

_TICKS_PER_S = 4_000
"""Resolution at which the file is played, at MIDI's default tempo of two beats a second."""


def read_midi(path: Path) -> mido.MidiFile:
    """Read a Standard MIDI File; raises `UserError` when it is missing or damaged."""
    try:
        return mido.MidiFile(path, clip=True)
    except (OSError, EOFError, ValueError, KeyError, IndexError) as error:
        raise UserError(
            f"{path} cannot be read as a MIDI file ({error}); fetch the data set again.", code="data_damaged"
        ) from None


def render(midi: mido.MidiFile, synth: Synth, *, program: int, seconds: float) -> NDArray[np.float32]:
    """Play the first `seconds` of a piece with every pitched part on `program`: mono float32 [n] at ANALYSIS_RATE_HZ,
    scaled to a peak of at most 1. Silence before the first note is left in, so that time is the file's time."""
    track = mido.MidiTrack()
    for channel in range(16):
        if channel != DRUM_CHANNEL:
            track.append(mido.Message("program_change", channel=channel, program=program))
    now_s, now_ticks = 0.0, 0
    for message in midi:
        now_s += message.time
        if now_s > seconds:
            break
        if message.is_meta or (message.type == "program_change" and message.channel != DRUM_CHANNEL):
            continue
        ticks = round(now_s * _TICKS_PER_S)
        track.append(message.copy(time=ticks - now_ticks))
        now_ticks = ticks
    played = BytesIO()
    mido.MidiFile(type=0, ticks_per_beat=_TICKS_PER_S // 2, tracks=[track]).save(file=played)
    stereo = synth.render(played.getvalue(), ANALYSIS_RATE_HZ)
    mono: NDArray[np.float32] = stereo[: round(seconds * ANALYSIS_RATE_HZ)].mean(axis=1, dtype=np.float32)
    mono /= np.float32(max(1.0, float(np.abs(mono).max(initial=0.0))))
    return mono


def bar_positions(path: Path, times_s: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how many bars of the piece have gone by at each of `times_s`, as a share of all its bars, in [0, 1].

    Sets count bars differently from the file (a repeat more, a pick-up less), so only the share can be compared.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tempo changes outside track 0: read as they stand
        midi = pretty_midi.PrettyMIDI(str(path))
    end_s = midi.get_end_time()
    bars = [time for time in midi.get_downbeats() if time < end_s] or [0.0]
    edges = list(dict.fromkeys(itertools.chain(bars, [end_s])))
    gone: NDArray[np.float64] = np.interp(times_s, edges, np.arange(len(edges))) / max(1, len(edges) - 1)
    return np.clip(gone, 0.0, 1.0)
