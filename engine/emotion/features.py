"""What the music model hears: descriptors of a recording at 2 Hz. Knows samples; knows nothing of models or emotion.

Everything comes from one short-time Fourier transform with a coarse hop, in blocks, so that memory does not grow with
the length of the music. Frames lie inside their row: nine to a row, which makes each block independent of the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import librosa
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from engine.emotion import chords, tonality
from engine.emotion.curve import RATE_HZ
from engine.emotion.pulse import Pulse, find_pulse
from engine.media.recording import ANALYSIS_RATE_HZ

Array = NDArray[np.float32]

FFT = 4096
"""Window in samples: 186 ms, bins of 5.4 Hz, enough to part semitones from about 100 Hz up."""

FRAMES_PER_ROW = 9
ROW = round(ANALYSIS_RATE_HZ / RATE_HZ)
HOP = ROW // FRAMES_PER_ROW
"""1,225 samples, 18 frames a second."""

BIN_HZ = ANALYSIS_RATE_HZ / FFT
MEL_BANDS = 64
MEL_EDGES = (8, 34)
"""Mel bands below about 350 Hz, to about 2 kHz, and above."""

MFCCS = 13
CONTRASTS = 7
BLOCK_ROWS = 120
"""Rows analysed at once: one minute, about 40 MB."""

FLOOR = 1e-4
"""Amplitude, relative to the level of the piece (−80 dB), under which there is silence. It also lies as a faint noise
under every spectrum: a synthesiser's empty bands are emptier than any recording's, and would mean something else."""

HARMONY_ROWS = 9
"""Rows (4.5 s) over which chroma is averaged: about two bars, long enough to hear a key."""

_SPREAD = ("level", "centroid", *(f"mfcc_{i}" for i in range(1, MFCCS)))
_SHAPE = (
    "level", "centroid", "flatness",
    *(f"contrast_{i}" for i in range(CONTRASTS)),
    *(f"mfcc_{i}" for i in range(MFCCS)),
)  # fmt: skip
_ROW_NAMES = (
    *_SHAPE,
    *(f"{name}_sd" for name in _SPREAD),
    *(f"onset_{band}_{how}" for how in ("mean", "max") for band in ("low", "mid", "high")),
    "events", "pulse_clarity", "tempo", "fast_pulse",
    *tonality.NAMES,
    "harmonic_change", "roughness", "register",
    *chords.NAMES,
)  # fmt: skip
_SONG_NAMES = (
    "song_level", "song_range", "song_tempo", "song_clarity", "song_events",
    *(f"song_{name}" for name in tonality.NAMES),
)  # fmt: skip

NAMES = _ROW_NAMES + _SONG_NAMES
"""Columns of `Features.rows`. Units: levels in dB, `centroid`, `register` and `tempo` in octaves (log2 of Hz or BPM),
`events` per second; `song_*` describe the whole recording and are the same in every row."""


@dataclass(frozen=True, eq=False)
class Features:
    """`rows` float32 [T, len(NAMES)], finite; row i describes seconds [i, i + 1) / RATE_HZ."""

    rows: Array

    def column(self, name: str) -> Array:
        """Return one descriptor over time [T]."""
        return self.rows[:, NAMES.index(name)]


def extract(samples: Array) -> Features:
    """Describe mono float32 samples [n] at ANALYSIS_RATE_HZ, finite.

    There is one row for each whole half second, and at least one. Loudness is relative to the level of the piece,
    but for `song_level`.
    """
    rows = max(1, len(samples) // ROW)
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    before = FFT // 2 - HOP // 2  # a frame is centred on its hop
    padded = np.zeros(rows * ROW + FFT, np.float32)
    kept = samples[: len(padded) - before] / np.float32(max(level, 1e-5))
    padded[before : before + len(kept)] = kept
    tuning = _tuning(padded)
    blocks = [_analyse(padded, start, min(start + BLOCK_ROWS, rows), tuning) for start in range(0, rows, BLOCK_ROWS)]
    shape, chroma, mel_db, rough, register = (np.concatenate(parts) for parts in zip(*blocks, strict=True))

    weight = _per_row(10 ** (shape[:, 0] / 20))
    weight /= weight.sum(axis=1, keepdims=True)
    framed = _per_row(shape)
    mean = np.einsum("rf,rfc->rc", weight, framed)
    spread = [_SHAPE.index(name) for name in _SPREAD]
    deviation = framed[:, :, spread].std(axis=1)
    pulse = find_pulse(mel_db.T, rate_hz=ANALYSIS_RATE_HZ, hop=HOP, edges=MEL_EDGES)
    harmony = _per_row(chroma).mean(axis=1)
    whole = harmony.mean(axis=0, keepdims=True)
    tonic = int(tonality.key_strengths(whole).tonic[0])
    local = uniform_filter1d(harmony, HARMONY_ROWS, axis=0, mode="nearest")
    events = _per_row(pulse.events).sum(axis=1) * RATE_HZ
    columns = [
        mean,
        deviation,
        _onset_columns(pulse),
        np.stack(
            [
                uniform_filter1d(events, HARMONY_ROWS, mode="nearest"),
                _per_row(pulse.clarity).mean(axis=1),
                np.log2(_per_row(pulse.tempo_bpm)).mean(axis=1),
                _per_row(pulse.fast).mean(axis=1),
            ],
            axis=1,
        ),
        tonality.describe(local, tonic),
        np.stack([tonality.harmonic_change(local, HARMONY_ROWS), rough, register], axis=1),
        chords.describe(harmony, tonic),
    ]
    loud = np.quantile(mean[:, 0], [0.05, 0.95])
    song = np.concatenate(
        [
            [20 * np.log10(max(level, 1e-5)), loud[1] - loud[0], np.log2(pulse.song_bpm), pulse.song_clarity],
            [events.mean()],
            tonality.describe(whole, tonic)[0],
        ]
    )
    columns.append(np.tile(song, (rows, 1)))
    return Features(np.concatenate(columns, axis=1, dtype=np.float32))


def _analyse(padded: Array, start: int, stop: int, tuning: float) -> tuple[Array, Array, Array, Array, Array]:
    """Analyse rows [start, stop): per frame the shape columns, chroma and mel bands; per row roughness and register."""
    frames = (stop - start) * FRAMES_PER_ROW
    block = padded[start * ROW : start * ROW + (frames - 1) * HOP + FFT]
    magnitude = np.abs(librosa.stft(block, n_fft=FFT, hop_length=HOP, center=False)) * np.float32(2 / FFT)
    heard = magnitude + np.float32(FLOOR)
    rms = librosa.feature.rms(S=magnitude * np.float32(FFT / 2), frame_length=FFT)[0]
    mel = librosa.feature.melspectrogram(S=magnitude**2, sr=ANALYSIS_RATE_HZ, n_mels=MEL_BANDS)
    mel_db = librosa.power_to_db(mel, amin=FLOOR**2, top_db=None)
    centroid = librosa.feature.spectral_centroid(S=heard, sr=ANALYSIS_RATE_HZ)[0]
    flatness = librosa.feature.spectral_flatness(S=heard, amin=1e-20)[0]
    shape = np.concatenate(
        [
            [20 * np.log10(np.maximum(rms, FLOOR)), np.log2(centroid), 10 * np.log10(flatness)],
            librosa.feature.spectral_contrast(S=heard, sr=ANALYSIS_RATE_HZ),
            librosa.feature.mfcc(S=mel_db, n_mfcc=MFCCS),
        ],
        dtype=np.float32,
    ).T
    partials = tonality.peaks(magnitude, BIN_HZ)
    chroma = librosa.feature.chroma_stft(S=partials, sr=ANALYSIS_RATE_HZ, n_fft=FFT, tuning=tuning, norm=None).T
    spectra = magnitude.T.reshape(stop - start, FRAMES_PER_ROW, -1).mean(axis=1)
    rough, register = tonality.roughness(spectra, BIN_HZ)
    return shape, chroma.astype(np.float32), mel_db.T.astype(np.float32), rough, register


def _tuning(padded: Array, frames: int = 128) -> float:
    """Estimate the tuning, in fractions of a semitone against A = 440 Hz, on frames spread over the piece."""
    starts = np.linspace(0, len(padded) - FFT, frames).astype(int)
    window = librosa.filters.get_window("hann", FFT).astype(np.float32)
    spectra = np.abs(np.fft.rfft(padded[starts[:, None] + np.arange(FFT)] * window)).astype(np.float32).T
    pitches, strengths = librosa.piptrack(S=spectra, sr=ANALYSIS_RATE_HZ, n_fft=FFT)
    heard = pitches > 0
    if not heard.any():
        return 0.0
    strong = heard & (strengths >= np.median(strengths[heard]))
    return float(librosa.pitch_tuning(pitches[strong]))


def _onset_columns(pulse: Pulse) -> NDArray[np.floating]:
    bands = _per_row(pulse.bands.T)
    return np.concatenate([bands.mean(axis=1), bands.max(axis=1)], axis=1)


def _per_row(frames: NDArray[np.floating]) -> NDArray[np.floating]:
    """[T * FRAMES_PER_ROW, ...] -> [T, FRAMES_PER_ROW, ...]."""
    return frames.reshape(-1, FRAMES_PER_ROW, *frames.shape[1:])
