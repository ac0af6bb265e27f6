"""Writes music files: Opus in Ogg and MP3 by PyAV, WAV and FLAC by soundfile. Knows samples; knows no composer.

The same samples, tags and format give the same bytes: no random serial numbers, no clock, seeded dither.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from engine.errors import NO_ROOM, Transient, UserError, disk_full
from engine.jobs import AudioFormat
from engine.media.titles import clean_title

Samples = NDArray[np.float32]

LOSSLESS = ("wav", "flac")
"""The formats that have no bit rate to lower."""

_OPUS_RATE_HZ = 48_000
"""The only full-band rate that Opus knows (RFC 6716)."""
_MP3_RATES_HZ = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_BIT_RATES = {
    "ogg": (160_000, 128_000, 96_000, 64_000, 48_000, 32_000, 24_000, 16_000),
    "mp3": (192_000, 160_000, 128_000, 96_000, 64_000, 48_000, 32_000),
}
"""Bits per second for two channels, best first; one channel takes 5/8 of it."""
_OPUS_EFFORT = 5
"""Complexity, 0 to 10. 10 is libopus's default and takes twice the time; at 160 kbit/s there is little to win."""
_LOSSY_PEAK = 10 ** (-1 / 20)
"""−1 dBFS: coders overshoot, and players clip what overshoots (AES TD1008 advises −1 dBTP for lossy delivery)."""
_BLOCK = 1 << 16
"""Samples per channel that are handed to an encoder at once."""


@dataclass(frozen=True)
class Encoded:
    """What was written: its size, and whether the bit rate had to fall below the best one to fit."""

    bytes: int
    lowered: bool


@dataclass(frozen=True)
class Tags:
    """What players show about a file."""

    title: str
    artist: str = "TuneTale"
    comment: str = ""

    def items(self) -> Iterator[tuple[str, str]]:
        """Give the tags that are not empty, cleaned."""
        for key, value in (("title", self.title), ("artist", self.artist), ("comment", self.comment)):
            if value:
                yield key, clean_title(value)


def encode(
    samples: Samples,
    rate_hz: int,
    path: Path,
    format: AudioFormat,
    tags: Tags,
    *,
    max_bytes: int | None = None,
) -> Encoded:
    """Write float32 samples [n] or [n, 2] in [-1, 1] to `path`, and say what became of them.

    Whole or not at all: the file appears under its name when it is complete. Louder than full scale is turned down as
    a whole, never clipped. Where `max_bytes` is given, ogg and mp3 lower their bit rate until the file fits; the
    length never changes. Raises `UserError` (too_large), `Transient` (disk_full or unwritable), and `ValueError` for
    samples that are not sound.
    """
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] not in (1, 2)) or len(samples) == 0:
        raise ValueError(f"samples must be [n] or [n, 2], not {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError("samples must be finite")
    sound = samples[:, None] if samples.ndim == 1 else samples
    if format in LOSSLESS:
        data, lowered = _lossless(_turned_down(sound, 1.0), rate_hz, format, tags), False
    else:
        data, lowered = _lossy(sound, rate_hz, format, tags, max_bytes)
    if max_bytes is not None and len(data) > max_bytes:
        raise _too_large(len(data), format, max_bytes)
    write_whole(path, data)
    return Encoded(len(data), lowered)


def check_fits(seconds: float, rate_hz: int, format: AudioFormat, max_bytes: int | None) -> None:
    """Raise `UserError` (too_large) when stereo music of this length cannot fit, so that nobody waits for nothing.

    Of flac nothing is known before it is made; the others cannot be smaller than at their lowest bit rate.
    """
    if max_bytes is None or format == "flac":
        return
    least = seconds * (rate_hz * 4 if format == "wav" else _BIT_RATES[format][-1] / 8)
    if least > max_bytes:
        raise _too_large(least, format, max_bytes)


def _too_large(size: float, format: AudioFormat, max_bytes: int) -> UserError:
    """Say that a piece is too large; sizes in the megabytes in which platforms count."""
    less = "mp3 or ogg, or for a shorter piece" if format in LOSSLESS else "a shorter piece"
    return UserError(
        f"This piece takes {size / 2**20:.1f} MB as {format}, and {max_bytes / 2**20:.1f} MB is the most that can be "
        f"sent here; please ask for {less}.",
        code="too_large",
    )


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there completely or not at all. Raises `Transient` with disk_full or unwritable."""
    scratch = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with open(scratch, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        if error.errno in NO_ROOM:
            raise disk_full() from error
        raise Transient(f"The result could not be written: {error.strerror}.", code="unwritable") from error


def _turned_down(sound: Samples, ceiling: float) -> Samples:
    peak = float(np.abs(sound).max())
    return sound * np.float32(ceiling / peak) if peak > ceiling else sound


def _resampled(sound: Samples, rate_hz: int, target_hz: int) -> Samples:
    if rate_hz == target_hz:
        return sound
    return np.asarray(soxr.resample(sound, rate_hz, target_hz, quality="HQ"), dtype=np.float32)


def _lossless(sound: Samples, rate_hz: int, format: str, tags: Tags) -> bytes:
    """PCM of 16 bits with triangular dither, which turns rounding errors into a faint steady noise."""
    noise = np.random.default_rng(0)
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate_hz, sound.shape[1], "PCM_16", format=format.upper()) as file:
        for key, value in tags.items():
            setattr(file, key, value)
        for start in range(0, len(sound), _BLOCK):
            block = sound[start : start + _BLOCK].astype(np.float64) * 32_767
            block += noise.random(block.shape) - noise.random(block.shape)
            file.write(np.clip(np.rint(block), -32_768, 32_767).astype(np.int16))
    return buffer.getvalue()


def _lossy(sound: Samples, rate_hz: int, format: str, tags: Tags, max_bytes: int | None) -> tuple[bytes, bool]:
    """Encode at the best bit rate that fits, and say whether it is less than the best of all; where none fits, the
    smallest is returned."""
    if format == "ogg":
        target_hz, write = _OPUS_RATE_HZ, _opus
    else:
        target_hz, write = (rate_hz if rate_hz in _MP3_RATES_HZ else 44_100), _mp3
    sound = _turned_down(_resampled(sound, rate_hz, target_hz), _LOSSY_PEAK)
    bit_rates = _BIT_RATES[format]
    if max_bytes is not None:
        bit_rates = _at_most(bit_rates, max_bytes * 8 * target_hz / len(sound))
    while True:
        data = write(sound, target_hz, bit_rates[0] * (5 if sound.shape[1] == 1 else 8) // 8, tags)
        if max_bytes is None or len(data) <= max_bytes or len(bit_rates) == 1:
            return data, bit_rates[0] < _BIT_RATES[format][0]
        # Variable bit rate overshot: go on where the size would have fitted.
        bit_rates = _at_most(bit_rates[1:], bit_rates[0] * max_bytes / len(data))


def _at_most(bit_rates: tuple[int, ...], limit: float) -> tuple[int, ...]:
    """Leave out what is above the limit; always keep the lowest."""
    return tuple(rate for rate in bit_rates if rate <= limit) or bit_rates[-1:]


def _opus(sound: Samples, rate_hz: int, bit_rate: int, tags: Tags) -> bytes:
    return _with_av("ogg", "libopus", "flt", sound, rate_hz, bit_rate, tags)


def _mp3(sound: Samples, rate_hz: int, bit_rate: int, tags: Tags) -> bytes:
    return _with_av("mp3", "libmp3lame", "fltp", sound, rate_hz, bit_rate, tags)


def _with_av(
    container: str, codec: str, sample_format: str, sound: Samples, rate_hz: int, bit_rate: int, tags: Tags
) -> bytes:
    layout = "stereo" if sound.shape[1] == 2 else "mono"
    buffer = io.BytesIO()
    # Bit-exact: the serial number of the Ogg stream counts from 0 instead of being drawn, no versions are written.
    with av.open(buffer, "w", format=container, container_options={"fflags": "+bitexact"}) as output:
        stream = output.add_stream(codec, rate=rate_hz, layout=layout)
        assert isinstance(stream, AudioStream)
        stream.bit_rate = bit_rate
        if codec == "libopus":
            stream.options = {"compression_level": str(_OPUS_EFFORT)}
        for key, value in tags.items():
            output.metadata[key] = value
            if container == "ogg":
                stream.metadata[key] = value
        for start in range(0, len(sound), _BLOCK):
            block = sound[start : start + _BLOCK]
            packed = block.reshape(1, -1) if sample_format == "flt" else block.T
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), format=sample_format, layout=layout)
            frame.sample_rate = rate_hz
            frame.pts = start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()
