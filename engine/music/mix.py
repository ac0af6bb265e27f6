"""Dry sound → finished stereo: reverb, loudness, peaks, fades. Knows samples; knows no notes.

Loudness is integrated loudness by ITU-R BS.1770-4 (pyloudnorm's filters); peaks are true peaks, measured
at four times the rate as its annex 2 asks. Works in blocks, so ten minutes need little beside the samples themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyloudnorm
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.signal import butter, firwin, lfilter, resample_poly, sosfilt

Samples = NDArray[np.float32]

LOUDNESS_LUFS = -16.0
"""Usual target for online music and podcasts (AES TD1008)."""

PEAK_DBTP = -1.2
"""Ceiling of the limiter; below −1 dBTP, since lossy encoders overshoot."""

OVERSAMPLING = 4

_INTERPOLATOR = firwin(20 * OVERSAMPLING + 1, 1 / OVERSAMPLING, window=("kaiser", 5.0)).astype(np.float32)
"""What `resample_poly` would design anew for every block."""

REVERB_S = 1.6
"""Time in which the reverb falls by 60 dB: a small hall."""

REVERB_WET = 0.16
"""Gain of the reverb; its impulse response has unit energy."""

REVERB_LOW_HZ = 220.0
"""The room does not answer below this, which keeps the bass clear."""

TREBLE_HZ = 2000.0
"""Corner of the first-order split by which sections are made dull or bright."""

TREBLE_GLIDE_S = 1.0
"""Time over which the timbre changes where sections meet."""

FADE_IN_S = 0.005
FADE_OUT_S = 1.2
"""Fades at both ends: the first only hides an onset at sample 0, the second closes the tail."""

_LOOKAHEAD_S = 0.004
_RELEASE_S = 0.08
"""The limiter's gain falls within the one and recovers within the other."""

_HOP = 32
"""Samples between two values of the limiter's gain; divides the block of `_peaks`."""

_SILENCE = 1e-5
"""Amplitude (−100 dBFS) under which a tail is over."""

_AUDIBLE_LOSS_DB = 0.25
"""When limiting took less of the energy, loudness has changed by well under the tolerance and is not measured again."""

_LIMITING_ROUNDS = 12
"""Gain and limiting in turn bring even bare drum strokes to the wanted loudness."""

_BLOCK_S = 10.0
"""Seconds worked on at a time."""


def finish(
    dry: Samples,
    rate_hz: int,
    seconds: float,
    tail_s: float,
    treble: Sequence[tuple[float, float]],
    report: Callable[[float], None],
) -> Samples:
    """Return the finished piece: `seconds` to `seconds + tail_s` long, LOUDNESS_LUFS ± 1, peaks ≤ −1 dBTP.

    `dry` may be any length and level, and is worked on in place; silence stays silence.
    `treble` holds (from second, decibels above 2 kHz).
    `report` is told the share done.
    """
    end_s = _audible(dry) / rate_hz + 0.5 * REVERB_S
    length = round(min(max(end_s, seconds), seconds + tail_s) * rate_hz)
    out = dry[:length] if len(dry) >= length else np.pad(dry, ((0, length - len(dry)), (0, 0)))
    tilt(out, rate_hz, treble)
    report(0.2)
    add_reverb(out, rate_hz)
    report(0.5)
    master(out, rate_hz)
    report(1.0)
    return out


def master(samples: Samples, rate_hz: int) -> None:
    """Fade both ends and bring to LOUDNESS_LUFS ± 1 with peaks ≤ −1 dBTP, in place; silence stays silence."""
    _fade(samples, rate_hz)
    loudness = integrated_loudness(samples, rate_hz)
    if not np.isfinite(loudness):
        return
    samples *= np.float32(10 ** ((LOUDNESS_LUFS - loudness) / 20))
    energy = np.vdot(samples, samples)
    limit(samples, rate_hz)
    if 10 * np.log10(energy / np.vdot(samples, samples)) > _AUDIBLE_LOSS_DB:
        for _ in range(_LIMITING_ROUNDS):
            missing = LOUDNESS_LUFS - integrated_loudness(samples, rate_hz)
            if abs(missing) < 0.5:
                break
            samples *= np.float32(10 ** (missing / 20))
            limit(samples, rate_hz)


def tilt(samples: Samples, rate_hz: int, treble: Sequence[tuple[float, float]]) -> None:
    """Raise or lower what lies above TREBLE_HZ in place, by decibels that glide from step to step."""
    if not treble:
        return
    glide = TREBLE_GLIDE_S / 2
    points = [(0.0, treble[0][1])]
    for (_, before), (at, now) in pairwise(treble):
        points += [(max(points[-1][0], at - glide), before), (at + glide, now)]
    times, levels = np.array(points).T
    pole = np.exp(-2 * np.pi * TREBLE_HZ / rate_hz)
    state = np.zeros((1, 2), dtype=np.float32)
    b, a = np.array([1 - pole], np.float32), np.array([1.0, -pole], np.float32)
    for start in range(0, len(samples), rate_hz):
        high = samples[start : start + rate_hz]
        low, state = lfilter(b, a, high, axis=0, zi=state)
        moments = np.arange(start, start + len(high)) / rate_hz
        passed = np.interp(np.clip(times, moments[0], moments[-1]), times, levels)
        if passed.min() == passed.max():  # no glide here
            gain = np.float32(10 ** (passed[0] / 20))
        else:
            gain = (10 ** (np.interp(moments, times, levels) / 20)).astype(np.float32)[:, None]
        high -= low
        high *= gain
        high += low


@lru_cache(maxsize=2)
def impulse_response(rate_hz: int) -> Samples:
    """Return the reverb's impulse response [n, 2]: decaying noise, darker as it decays, different left and right.

    It is kept, so nobody may write into it."""
    n = round(REVERB_S * rate_hz)
    t = np.arange(n) / rate_hz
    noise = np.random.default_rng(1).standard_normal((n, 2))
    dark = sosfilt(butter(1, 1800, "low", fs=rate_hz, output="sos"), noise, axis=0)
    share = np.minimum(1.0, t / (0.6 * REVERB_S))[:, None]
    tail = (noise * (1 - share) + 2.0 * dark * share) * (10 ** (-3 * t / REVERB_S))[:, None]
    tail *= np.minimum(1.0, t / 0.02)[:, None]
    tail = sosfilt(butter(2, (REVERB_LOW_HZ, 7000), "band", fs=rate_hz, output="sos"), tail, axis=0)
    delayed = np.zeros_like(tail)
    delayed[round(0.018 * rate_hz) :] = tail[: n - round(0.018 * rate_hz)]
    response: Samples = (delayed / np.sqrt((delayed**2).sum(axis=0))).astype(np.float32)
    response.flags.writeable = False
    return response


def add_reverb(samples: Samples, rate_hz: int) -> None:
    """Add the room to the samples, in place (overlap-add)."""
    response = impulse_response(rate_hz) * np.float32(REVERB_WET)
    size = fft.next_fast_len(len(response) + round(3.0 * rate_hz), real=True)
    hop = size - len(response) + 1
    for channel in range(2):
        spectrum = fft.rfft(response[:, channel], size)
        line, carried = samples[:, channel], np.zeros(0, dtype=np.float32)
        for start in range(0, len(line), hop):
            block = line[start : start + hop]
            wet = fft.irfft(fft.rfft(block, size) * spectrum, size)
            wet[: len(carried)] += carried
            carried = wet[hop:].copy()
            block += wet[: len(block)]


def integrated_loudness(samples: Samples, rate_hz: int) -> float:
    """Return the loudness in LUFS by BS.1770-4, −inf for silence; pyloudnorm gives the filters."""
    step = rate_hz // 10
    if len(samples) < 4 * step:  # too short for a block: as if silence followed
        samples = np.pad(samples, ((0, 4 * step - len(samples)), (0, 0)))
    weighting, state = _k_weighting(rate_hz), np.zeros((2, 2, 2))
    tenths = []
    for start in range(0, len(samples), 10 * step):
        weighted, state = sosfilt(weighting, samples[start : start + 10 * step], axis=0, zi=state)
        count = len(weighted) // step
        tenths.append(np.square(weighted[: count * step]).reshape(count, 2 * step).sum(axis=1) / step)
    blocks = np.convolve(np.concatenate(tenths), np.full(4, 0.25), mode="valid")  # of 400 ms
    loud = blocks[blocks >= 10 ** ((-70.0 + 0.691) / 10)]
    if len(loud) == 0:
        return float("-inf")
    return float(-0.691 + 10 * np.log10(loud[loud > 0.1 * loud.mean()].mean()))


@lru_cache(maxsize=4)
def _k_weighting(rate_hz: int) -> NDArray[np.float64]:
    """Return what models the head and the ear in BS.1770-4, as second-order sections."""
    stages = (
        pyloudnorm.IIRfilter(4.0, 2**-0.5, 1500.0, rate_hz, "high_shelf"),
        pyloudnorm.IIRfilter(0.0, 0.5, 38.0, rate_hz, "high_pass"),
    )
    return np.array([[*stage.b, *stage.a] for stage in stages])


def true_peak(samples: Samples) -> float:
    """Return the largest magnitude at four times the rate."""
    return max((float(np.abs(peaks).max(initial=0.0)) for _, peaks in _peaks(samples, 0.0)), default=0.0)


def limit(samples: Samples, rate_hz: int) -> float:
    """Bring true peaks under the ceiling in place, by a gain that falls ahead of a peak and recovers after it.

    Returns the largest reduction in decibels. Both channels share the gain, so the stereo picture stands still.
    """
    ceiling = 10 ** (PEAK_DBTP / 20)
    need = np.ones(-(-len(samples) // _HOP), dtype=np.float32)
    for start, peaks in _peaks(samples, 0.7 * ceiling):
        worst = np.maximum.reduceat(peaks, np.arange(0, len(peaks), _HOP))
        need[start // _HOP : start // _HOP + len(worst)] = np.minimum(1.0, ceiling / np.maximum(worst, 1e-9))
    if need.min(initial=1.0) >= 1.0:
        return 0.0
    attack, release = (2 * round(s * rate_hz / _HOP / 2) + 1 for s in (2 * _LOOKAHEAD_S, 2 * _RELEASE_S))
    # Each hop and its neighbours, between which the gain is interpolated, stay below what the hop needs.
    held = minimum_filter1d(need, attack + 2)
    gain = np.minimum(uniform_filter1d(minimum_filter1d(held, release), release), held)
    gain = uniform_filter1d(gain, attack)
    centres = np.arange(len(gain)) * _HOP + (_HOP - 1) / 2
    block = round(_BLOCK_S * rate_hz)
    for start in range(0, len(samples), block):
        piece = samples[start : start + block]
        piece *= np.interp(np.arange(start, start + len(piece)), centres, gain).astype(np.float32)[:, None]
    return float(-20 * np.log10(gain.min()))


def _audible(samples: Samples) -> int:
    """Return how many samples there are up to the last one that can be heard."""
    loud = np.abs(samples[::_HOP]).max(axis=1) > _SILENCE
    return (int(np.flatnonzero(loud)[-1]) + 1) * _HOP if loud.any() else 0


def _peaks(samples: Samples, worth: float) -> list[tuple[int, Samples]]:
    """Return (start, [n] largest oversampled magnitude near each sample) for each block that exceeds `worth`."""
    out: list[tuple[int, Samples]] = []
    block, margin = 1024, 32
    for start in range(0, len(samples), block):
        low, high = max(0, start - margin), min(len(samples), start + block + margin)
        piece = np.ascontiguousarray(samples[low:high].T)
        if max(piece.max(), -piece.min()) <= worth:
            continue
        fine = np.abs(resample_poly(piece, OVERSAMPLING, 1, axis=1, window=_INTERPOLATOR)).max(axis=0)
        peaks = fine.reshape(-1, OVERSAMPLING).max(axis=1)
        out.append((start, peaks[start - low : start - low + block][: len(samples) - start]))
    return out


def _fade(samples: Samples, rate_hz: int) -> None:
    n_in, n_out = (min(len(samples), round(s * rate_hz)) for s in (FADE_IN_S, FADE_OUT_S))
    samples[:n_in] *= np.linspace(0, 1, n_in, dtype=np.float32)[:, None]
    samples[len(samples) - n_out :] *= (np.cos(np.linspace(0, np.pi, n_out, dtype=np.float32))[:, None] + 1) / 2
