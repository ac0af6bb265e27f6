"""Plays a piece in two processes at once, half of the notes each. Knows MIDI messages and samples.

The synthesiser holds the interpreter lock while it plays, so a second thread would not make it quicker. The partner is
a process that knows nothing but a SoundFont: it reads what to play from its standard input, writes samples to its
standard output, and ends when nobody writes to it any more.
"""

from __future__ import annotations

import io
import logging
import os
import select
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import mido
import numpy as np

from engine.errors import UserError
from engine.music.soundfont import BUNDLED
from engine.music.synth import DRUM_CHANNEL, VOICES, Events, Kind, Samples, Synth, to_events

HATS = (42, 44, 46)
"""General MIDI's closed, pedalled and open hi-hat: one silences the other, so that they stay together."""

_HEADER = struct.Struct("<4q")
"""Rate in Hz, voices, frames, number of messages; then follow the messages, and in return the samples."""
_READ_FRAMES = 1 << 17
_POLL_S = 0.5

_PYTHONPATH = str(Path(__file__).resolve().parents[2])

log = logging.getLogger(__name__)


class Duet:
    """Two instruments with the same SoundFont, one in a process of its own. Thread-safe.

    The partner serves one piece at a time; what it cannot play, since it is busy, dead or without a processor of its
    own, is played here, and sounds the same to the last bit.
    """

    def __init__(self, soundfont: Path | None = None) -> None:
        """Raise `UserError` when the SoundFont (None: the bundled one) is missing or damaged."""
        self._synth = Synth(soundfont)
        self._soundfont = soundfont or BUNDLED
        self._asking = threading.Lock()
        self._partner: _Partner | None = None

    def render(
        self,
        file: mido.MidiFile,
        rate_hz: int,
        voices: int = VOICES,
        progress: Callable[[float], None] = lambda _: None,
    ) -> Samples:
        """Return float32 [n, 2]: the file from time 0 to `synth.TAIL_S` after its last event; peaks may exceed 1.

        Same file, same bytes, whoever plays. `voices` and `progress` are those of `Synth.play`, and so are the errors.
        """
        mine, others = halves(to_events(file, rate_hz))
        with self._asked(others, rate_hz, voices // 2) as partner:
            share = 1.0 if partner else 0.5
            samples = self._synth.play(mine, rate_hz, voices // 2, lambda f: progress(share * f))
            heard = partner.add_to(samples, lambda: progress(1.0)) if partner else 0
        if heard < len(samples):
            rest = self._synth.play(others, rate_hz, voices // 2, lambda f: progress(max(share, 0.5 + 0.5 * f)))
            samples[heard:] += rest[heard:]
        return samples

    @contextmanager
    def _asked(self, events: Events, rate_hz: int, voices: int) -> Iterator[_Partner | None]:
        """Let the partner begin to play; None where there is none to ask."""
        if processors() < 2 or not self._asking.acquire(blocking=False):
            yield None
            return
        try:
            if self._partner is None or not self._partner.end.alive:
                self._partner = _Partner(self._soundfont)
        except OSError as error:
            self._asking.release()
            log.warning("no process can be started to play the other half (%s); it is played here", error)
            yield None
            return
        try:
            self._partner.ask(events, rate_hz, voices)
            yield self._partner
        except BaseException:
            self._partner.end()  # what it still plays must not be taken for the next piece
            raise
        finally:
            self._asking.release()


class _Partner:
    """The other process, as seen from here."""

    def __init__(self, soundfont: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", "engine.music.duet", str(soundfont.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": _PYTHONPATH, "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the one who started it
        )
        self.end = weakref.finalize(self, _end, self._process)

    def ask(self, events: Events, rate_hz: int, voices: int) -> None:
        """Let it begin to play."""
        stream = self._process.stdin
        assert stream is not None
        with suppress(BrokenPipeError):  # then there is nothing to read either
            stream.write(_HEADER.pack(rate_hz, voices, events.frames, len(events.rows)))
            stream.write(events.rows.tobytes())
            stream.flush()

    def add_to(self, samples: Samples, waiting: Callable[[], None]) -> int:
        """Wait for what it plays and add that; return the frames added: all, unless it has ended by itself.

        `waiting` is called every _POLL_S until it has played; what that raises ends the waiting.
        """
        stream = self._process.stdout
        assert isinstance(stream, io.BufferedReader)
        while not select.select([stream], [], [], _POLL_S)[0]:
            waiting()
        heard = np.empty((_READ_FRAMES, 2), dtype=np.float32)
        for start in range(0, len(samples), _READ_FRAMES):
            piece = samples[start : start + _READ_FRAMES]
            block = heard[: len(piece)]
            if stream.readinto(block.data.cast("B")) < block.nbytes:
                log.warning("the process that plays the other half has ended; its half is played here")
                self.end()
                return start
            piece += block
        return len(samples)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        with suppress(OSError):
            stream.close()


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def halves(events: Events) -> tuple[Events, Events]:
    """Return two parts between which the notes of every pitch and channel alternate; what is no note is in both.

    Same events, same halves. Notes of one pitch and channel must not overlap (`score.without_overlaps`).
    """
    parts: tuple[list[int], list[int]] = ([], [])
    turn: dict[tuple[int, int], int] = {}
    for row, (_, status, first, second) in enumerate(events.rows.tolist()):
        kind, channel = status & 0xF0, status & 0x0F
        if kind not in (Kind.NOTE_ON, Kind.NOTE_OFF):
            parts[0].append(row)
            parts[1].append(row)
        elif channel == DRUM_CHANNEL and first in HATS:
            parts[0].append(row)
        else:
            begins = kind == Kind.NOTE_ON and second > 0
            turn[channel, first] = part = (turn.get((channel, first), first) + begins) % 2
            parts[part].append(row)
    return Events(events.rows[parts[0]], events.frames), Events(events.rows[parts[1]], events.frames)


def serve(soundfont: Path, inbox: BinaryIO, outbox: BinaryIO) -> None:
    """Play what is asked for until nobody asks any more. Raises what `Synth` raises."""
    synth = Synth(soundfont)
    while header := inbox.read(_HEADER.size):
        rate_hz, voices, frames, count = _HEADER.unpack(header)
        rows = np.frombuffer(inbox.read(count * 16), dtype=np.int32).reshape(count, 4)
        outbox.write(synth.play(Events(rows, frames), rate_hz, voices).data.cast("B"))
        outbox.flush()


if __name__ == "__main__":
    with suppress(UserError):  # it is said where the other half is played
        serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
