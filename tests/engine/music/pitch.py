"""A pitch tracker for tests: McLeod's normalised square difference for the octave, spectral peaks for the cents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import argrelmax

RATE_HZ = 44_100


def pitch_of(samples: NDArray[np.float32]) -> float:
    """Return the MIDI pitch (69.0 = 440 Hz, fractions are cents / 100) of one steady note."""
    x = samples.astype(np.float64) - samples.mean()
    n = len(x)
    spectrum = np.fft.rfft(x, 2 * n)
    correlation = np.fft.irfft(spectrum * spectrum.conj())[: n // 2]
    energy = np.concatenate([[0.0], np.cumsum(x**2)])
    lags = np.arange(n // 2)
    similarity = 2 * correlation / np.maximum(energy[n - lags] + energy[n] - energy[lags], 1e-12)
    peaks = argrelmax(similarity)[0]
    peaks = peaks[peaks > int(np.argmax(similarity < 0))]
    lag = int(peaks[similarity[peaks] > 0.9 * similarity[peaks].max()][0])
    before, here, after = similarity[lag - 1 : lag + 2]
    rough_hz = RATE_HZ / (lag + 0.5 * (before - after) / (before - 2 * here + after))
    size = 1 << 18
    magnitude = np.abs(np.fft.rfft(x * np.hanning(n), size))
    cents, weight = 0.0, 0.0
    for harmonic in (1, 2, 3):
        low, high = (int(harmonic * rough_hz * 2 ** (c / 1200) * size / RATE_HZ) for c in (-70, 70))
        at = low + int(magnitude[low : high + 1].argmax())
        power = magnitude[at] ** 2
        cents += power * 1200 * np.log2(at * RATE_HZ / size / harmonic / rough_hz)
        weight += power
    return float(69 + 12 * np.log2(rough_hz * 2 ** (cents / weight / 1200) / 440))


def cents_off(samples: NDArray[np.float32], pitch: int) -> float:
    """Return how far a note is from a MIDI pitch, in cents; infinite when it is another note.

    Cheaper than `pitch_of`: looks at the first harmonics of the wanted pitch, and takes the centre of each, since a
    section of strings is a cloud of pitches (on short low notes it is blurred: give at least 1.2 s). What is tonal
    must lie there, also at the odd harmonics, which a note an octave higher lacks, and not halfway between them,
    where one an octave lower has its odd ones.
    """
    size = 1 << 17
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size)).astype(np.float64) ** 2
    hz = 440 * 2 ** ((pitch - 69) / 12)

    def near(multiple: float) -> slice:
        low, high = (int(multiple * hz * 2 ** (c / 1200) * size / RATE_HZ) for c in (-60, 60))
        return slice(low, high + 2)

    def centre(multiple: float) -> float:
        where = near(multiple)
        bins = np.arange(where.start, where.stop)
        cents = 1200 * np.log2(bins * RATE_HZ / size / multiple / hz)
        return float((power[where] * cents).sum() / power[where].sum())

    harmonics = [float(power[near(k)].max()) for k in (1, 2, 3, 4)]
    between = max(float(power[near(k)].max()) for k in (0.5, 1.5, 2.5))
    strongest = max(harmonics)
    if (
        max(harmonics[0], harmonics[2]) < 1e-3 * strongest
        or between > 0.3 * strongest
        or strongest < 0.05 * power.max()
    ):
        return float("inf")
    first = [(p, centre(k)) for k, p in zip((1, 2, 3), harmonics, strict=False) if p > 0.02 * strongest]
    return sum(p * c for p, c in first) / sum(p for p, _ in first)
