"""Onsets, pulse and tempo of music. Knows mel spectrograms; knows nothing of samples, models or emotion."""

from __future__ import annotations

from dataclasses import dataclass

import librosa
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

Array = NDArray[np.float32]

TEMPO_PRIOR_BPM = 120.0
"""Centre of the log-normal prior on tempo, one octave wide (Ellis 2007, J. New Music Research 36)."""

SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0

WINDOW_S = 8.0
"""Stretch over which a pulse is looked for: several bars of any usual tempo."""

_PEAK_FLOOR = 0.3
"""An onset is a local maximum of the envelope this many standard deviations above its mean."""


@dataclass(frozen=True, eq=False)
class Pulse:
    """What the onsets say. `bands` float32 [3, n]: strength per frame below ~250 Hz, to ~1.8 kHz, and above.

    The others are float32 [n]: `events` 1 where a note starts, `clarity` height of the tempo peak in [0, 1],
    `tempo_bpm`, and `fast` the share of periodicity above 150 BPM; `song_bpm` is the tempo of the whole.
    """

    bands: Array
    events: Array
    clarity: Array
    tempo_bpm: Array
    fast: Array
    song_bpm: float
    song_clarity: float


def find_pulse(mel_db: Array, *, rate_hz: int, hop: int, edges: tuple[int, int]) -> Pulse:
    """Follow the pulse of a log-mel spectrogram [bands, n] in decibels; `edges` cuts its bands into three."""
    channels = [0, *edges, len(mel_db)]
    bands = librosa.onset.onset_strength_multi(S=mel_db, sr=rate_hz, hop_length=hop, center=False, channels=channels)
    envelope = bands.mean(axis=0)
    frame_rate = rate_hz / hop
    window = round(WINDOW_S * frame_rate)
    beats = envelope - uniform_filter1d(envelope, window, mode="nearest")  # else noise would look periodic
    tempogram = librosa.feature.tempogram(
        onset_envelope=beats, sr=rate_hz, hop_length=hop, win_length=window, norm=None
    ).astype(np.float32)
    lags, bpm = _lags(window, frame_rate)
    prior = np.exp(-0.5 * np.log2(bpm / TEMPO_PRIOR_BPM) ** 2)[:, None]
    periodic = _above_zero_lag(tempogram)[lags]
    weighted = periodic * prior
    best = weighted.argmax(axis=0)
    song = periodic.mean(axis=1)
    song_best = int((song * prior[:, 0]).argmax())
    total = periodic.sum(axis=0)
    fast = np.divide(periodic[bpm > 150].sum(axis=0), total, out=np.zeros_like(total), where=total > 1e-6)
    return Pulse(
        bands=bands.astype(np.float32),
        events=_events(envelope),
        clarity=np.take_along_axis(periodic, best[None], axis=0)[0],
        tempo_bpm=bpm[best].astype(np.float32),
        fast=fast,
        song_bpm=float(bpm[song_best]),
        song_clarity=float(song[song_best]),
    )


def _lags(window: int, frame_rate: float) -> tuple[NDArray[np.intp], Array]:
    every = np.arange(1, window)
    bpm = 60.0 * frame_rate / every
    lags = every[(bpm >= SLOWEST_BPM) & (bpm <= FASTEST_BPM)]
    return lags, (60.0 * frame_rate / lags).astype(np.float32)


def _above_zero_lag(tempogram: Array) -> Array:
    """Divide the autocorrelation by that at lag 0: [0, 1], and 0 where nothing happens."""
    zero = tempogram[:1]
    return np.clip(np.divide(tempogram, zero, out=np.zeros_like(tempogram), where=zero > 1e-6), 0.0, 1.0)


def _events(envelope: Array) -> Array:
    found = np.zeros(len(envelope), np.float32)
    if len(envelope) > 2:
        inner = envelope[1:-1]
        floor = max(float(envelope.mean() + _PEAK_FLOOR * envelope.std()), 1.0)  # under 1 dB nothing has started
        found[1:-1] = (inner > envelope[:-2]) & (inner >= envelope[2:]) & (inner > floor)
    return found
