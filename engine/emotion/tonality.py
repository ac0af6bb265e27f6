"""Key, mode and consonance of music. Knows chroma vectors and spectra; knows nothing of samples, models or emotion.

Valence in music lives mostly in tonality: the strength of major against minor keys, and how much the third and the
sixth step above the tonic lean to major.
"""

from __future__ import annotations

from dataclasses import dataclass

import librosa
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

MAJOR_PROFILE = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88], np.float32)
MINOR_PROFILE = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17], np.float32)
"""Probe-tone ratings from the tonic upwards: Krumhansl, Cognitive Foundations of Musical Pitch (1990), p. 30."""

NAMES = (
    *(f"step_{step}" for step in range(12)),
    "major_strength",
    "minor_strength",
    "major_minus_minor",
    "parallel_mode",
    "third_mode",
    "sixth_mode",
    "fifths",
    "minor_thirds",
    "major_thirds",
    "pitch_class_entropy",
)
"""Columns of `describe`; `step_s` is the share of the pitch class s semitones above the tonic."""


@dataclass(frozen=True, eq=False)
class Keys:
    """Correlation of chroma with the profile of every key, float32 [..., 12] by tonic (0 = C), in [-1, 1]."""

    major: Array
    minor: Array

    @property
    def tonic(self) -> NDArray[np.intp]:
        """Tonic of the best key, major or minor [...]."""
        best: NDArray[np.intp] = np.maximum(self.major, self.minor).argmax(axis=-1)
        return best


def key_strengths(chroma: Array) -> Keys:
    """Correlate chroma [..., 12] with the 24 rotated profiles (Krumhansl & Schmuckler); 0 where chroma is flat."""
    centred = chroma - chroma.mean(axis=-1, keepdims=True)
    norm = np.linalg.norm(centred, axis=-1, keepdims=True)
    unit = np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 1e-6)
    return Keys(unit @ _ROTATED_MAJOR, unit @ _ROTATED_MINOR)


def describe(chroma: Array, tonic: int) -> Array:
    """Describe chroma [n, 12] (not negative) as heard from `tonic` (0 = C): float32 [n, len(NAMES)]."""
    total = chroma.sum(axis=1, keepdims=True)
    share = np.divide(chroma, total, out=np.full_like(chroma, 1 / 12), where=total > 1e-6)
    steps = np.roll(share, -tonic, axis=1)
    keys = key_strengths(share)
    best_major, best_minor = keys.major.max(axis=1), keys.minor.max(axis=1)
    tonnetz = librosa.feature.tonnetz(chroma=np.ascontiguousarray(share.T), sr=22_050)  # [6, n]; the rate is not used
    circles = np.hypot(tonnetz[0::2], tonnetz[1::2])  # fifths, minor thirds, major thirds: no tonic needed
    entropy = -(share * np.log2(np.maximum(share, 1e-6))).sum(axis=1)
    columns = [
        *steps.T,
        best_major,
        best_minor,
        best_major - best_minor,
        keys.major[:, tonic] - keys.minor[:, tonic],
        steps[:, 4] - steps[:, 3],
        steps[:, 9] - steps[:, 8],
        *circles,
        entropy,
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def harmonic_change(chroma: Array, lag: int) -> Array:
    """How far the harmony has moved in `lag` rows: cosine distance of chroma [n, 12], in [0, 1] -> [n]."""
    norm = np.linalg.norm(chroma, axis=1, keepdims=True)
    unit = np.divide(chroma, norm, out=np.zeros_like(chroma), where=norm > 1e-6)
    change = np.zeros(len(chroma), np.float32)
    if len(chroma) > lag:
        change[lag:] = 1.0 - (unit[lag:] * unit[:-lag]).sum(axis=1)
    return np.clip(change, 0.0, 1.0)


def peaks(magnitude: Array, bin_hz: float) -> Array:
    """Keep only the local maxima over frequency of a spectrogram [bins, n] between 80 and 2,500 Hz, where the partials
    are that a key is heard from: without the noise between them, chroma tells keys apart better (on VGMIDI the
    correlation of tonal columns alone with valence rises from .62 to .66)."""
    low, high = int(80 / bin_hz), int(2_500 / bin_hz)
    kept = np.zeros_like(magnitude)
    inner = magnitude[low:high]
    is_peak = (inner > magnitude[low - 1 : high - 1]) & (inner >= magnitude[low + 1 : high + 1])
    np.multiply(inner, is_peak, out=kept[low:high])
    return kept


def roughness(spectra: Array, bin_hz: float, partials: int = 20) -> tuple[Array, Array]:
    """Return sensory roughness and register of magnitude spectra [n, bins]: two arrays [n].

    Roughness: Plomp & Levelt's dissonance curve as fitted by Sethares (1993, JASA 94), summed over the pairs of the
    strongest `partials` between 60 and 5,000 Hz and divided by their energy. Register: their mean height in octaves
    above 1 Hz, weighted by magnitude. Both are 0 for silence.
    """
    low, high = int(60 / bin_hz), int(5_000 / bin_hz)
    band = spectra[:, low : high + 1]
    peak = np.zeros_like(band)
    inner = band[:, 1:-1]
    is_peak = (inner > band[:, :-2]) & (inner >= band[:, 2:])
    peak[:, 1:-1] = np.where(is_peak, inner, 0.0)
    strongest = np.sort(np.argpartition(-peak, partials, axis=1)[:, :partials], axis=1)
    a = np.take_along_axis(peak, strongest, axis=1)
    f = ((strongest + low) * bin_hz).astype(np.float32)
    i, j = np.triu_indices(partials, k=1)
    gap = (f[:, j] - f[:, i]) * (0.24 / (0.021 * f[:, i] + 19.0))
    pull = a[:, i] * a[:, j] * (np.exp(-3.5 * gap) - np.exp(-5.75 * gap))
    energy, weight = (a**2).sum(axis=1), a.sum(axis=1)
    heard = energy > 1e-12
    rough = np.divide(pull.sum(axis=1), energy, out=np.zeros_like(energy), where=heard)
    height = np.divide((a * np.log2(f)).sum(axis=1), weight, out=np.zeros_like(weight), where=heard)
    return rough, height


def _rotations(profile: Array) -> Array:
    centred = profile - profile.mean()
    unit = centred / np.linalg.norm(centred)
    return np.stack([np.roll(unit, tonic) for tonic in range(12)], axis=1)


_ROTATED_MAJOR = _rotations(MAJOR_PROFILE)
_ROTATED_MINOR = _rotations(MINOR_PROFILE)
