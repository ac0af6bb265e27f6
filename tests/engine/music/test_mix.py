from __future__ import annotations

import math

import numpy as np
import pyloudnorm
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter, resample_poly

from engine.music import mix

RATE_HZ = 44_100
Samples = NDArray[np.float32]


def tone(seconds: float, level: float = 0.1, hz: float = 440.0) -> Samples:
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    wave = level * np.sin(2 * np.pi * hz * t)
    return np.stack([wave, wave], axis=1).astype(np.float32)


def drums(seconds: float) -> Samples:
    """Short loud clicks over a soft tone: a crest that has to be limited."""
    out = tone(seconds, 0.02)
    rng = np.random.default_rng(3)
    for start in range(0, len(out) - 2000, RATE_HZ // 4):
        out[start : start + 2000] += (rng.standard_normal((2000, 2)) * np.exp(-np.arange(2000) / 200)[:, None]).astype(
            np.float32
        )
    return out


def finish(dry: Samples, seconds: float) -> Samples:
    return mix.finish(dry, RATE_HZ, seconds, 3.5, [(0.0, 0.0)], lambda _: None)


def peak_dbtp(samples: Samples) -> float:
    return float(20 * np.log10(np.abs(resample_poly(samples.astype(np.float64), 4, 1, axis=0)).max()))


@pytest.mark.parametrize("make", [tone, drums])
@pytest.mark.parametrize("gain", [0.05, 1.0, 20.0])
def test_loudness_and_true_peak(make: object, gain: float) -> None:
    assert callable(make)
    out = finish(make(12.0) * np.float32(gain), 10.0)
    assert pyloudnorm.Meter(RATE_HZ).integrated_loudness(out.astype(np.float64)) == pytest.approx(-16, abs=1)
    assert peak_dbtp(out) <= -1.0


@pytest.mark.parametrize("dry_s", [8.0, 12.0, 30.0])
def test_length_is_kept(dry_s: float) -> None:
    out = finish(tone(dry_s), 10.0)
    assert 10.0 <= len(out) / RATE_HZ <= 13.5 + 1e-6
    assert out.dtype == np.float32
    assert np.abs(out[-1]).max() < 1e-4
    assert np.abs(out[0]).max() < 1e-4


def test_silence_stays_silence() -> None:
    out = finish(np.zeros((10 * RATE_HZ, 2), np.float32), 10.0)
    assert len(out) == 10 * RATE_HZ
    assert not out.any()


def test_loudness_by_stretches_equals_the_whole() -> None:
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((47 * RATE_HZ, 2)) * np.repeat([0.3, 0.003, 0.1, 0.0, 0.05], 47 * RATE_HZ // 5)[:, None]
    noise = noise.astype(np.float32)
    for samples in (noise, noise[: 46 * RATE_HZ + 100]):  # the rest is less than a block's step
        whole = pyloudnorm.Meter(RATE_HZ).integrated_loudness(samples.astype(np.float64))
        assert mix.integrated_loudness(samples, RATE_HZ) == pytest.approx(whole, abs=0.01)


def test_less_than_a_block_is_measured_as_if_silence_followed() -> None:
    short = tone(0.25)
    silence = np.zeros((round(0.4 * RATE_HZ) - len(short), 2), np.float32)
    assert mix.integrated_loudness(short, RATE_HZ) == pytest.approx(
        pyloudnorm.Meter(RATE_HZ).integrated_loudness(np.concatenate([short, silence])), abs=0.01
    )


def test_true_peak_sees_between_the_samples() -> None:
    t = np.arange(RATE_HZ)
    wave = (0.9 * np.sin(2 * np.pi * t / 4 + np.pi / 4)).astype(np.float32)  # samples at ±0.64 only
    assert mix.true_peak(np.stack([wave, wave], axis=1)) == pytest.approx(0.9, abs=0.02)


def test_limiter_leaves_quiet_music_alone_and_the_balance_of_channels() -> None:
    quiet = tone(2.0, 0.5)
    before = quiet.copy()
    assert mix.limit(quiet, RATE_HZ) == 0.0
    assert np.array_equal(quiet, before)
    loud = tone(2.0, 2.0)
    loud[:, 1] *= 0.5
    assert mix.limit(loud, RATE_HZ) > 6
    assert mix.true_peak(loud) <= 10 ** (-1.0 / 20)
    assert np.allclose(loud[:, 1], 0.5 * loud[:, 0], atol=1e-6)


def test_limiter_makes_no_clicks() -> None:
    music = tone(3.0, 0.3, 100.0)
    music[RATE_HZ : RATE_HZ + 3000] *= 1 + 7 * np.hanning(3000)[:, None].astype(np.float32)
    steepest = np.abs(np.diff(music, axis=0)).max()
    mix.limit(music, RATE_HZ)
    assert np.abs(np.diff(music, axis=0)).max() < steepest
    assert np.abs(np.diff(music, n=2, axis=0)).max() < 0.002


def test_reverb_is_the_convolution_and_spares_the_bass() -> None:
    impulse = np.zeros((5 * RATE_HZ, 2), np.float32)
    impulse[RATE_HZ] = 1.0
    mix.add_reverb(impulse, RATE_HZ)
    response = mix.impulse_response(RATE_HZ) * mix.REVERB_WET
    response[0] += 1.0
    assert np.allclose(impulse[RATE_HZ : RATE_HZ + len(response)], response, atol=1e-5)
    assert np.abs(impulse[:RATE_HZ]).max() < 1e-5
    spectrum = np.abs(np.fft.rfft(mix.impulse_response(RATE_HZ)[:, 0]))
    hz = np.fft.rfftfreq(len(mix.impulse_response(RATE_HZ)), 1 / RATE_HZ)
    assert spectrum[hz < 80].mean() < 0.2 * spectrum[(hz > 400) & (hz < 2000)].mean()
    left, right = mix.impulse_response(RATE_HZ).T
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.2


def test_reverb_over_many_blocks_is_seamless() -> None:
    noise = np.random.default_rng(2).standard_normal((12 * RATE_HZ, 2)).astype(np.float32) * np.float32(0.1)
    wet = noise.copy()
    mix.add_reverb(wet, RATE_HZ)
    response = mix.impulse_response(RATE_HZ)[:, 0] * mix.REVERB_WET
    for at in (RATE_HZ * 2, 4 * RATE_HZ + 11, 9 * RATE_HZ + 5):
        window = noise[at - len(response) + 1 : at + 1, 0]
        begin = max(0, len(response) - 1 - at)
        expected = noise[at, 0] + float(np.dot(window[begin:].astype(np.float64), response[::-1][begin:]))
        assert wet[at, 0] == pytest.approx(expected, abs=1e-4)


def test_tilt_dims_the_treble_where_asked() -> None:
    bright = tone(6.0, 0.1, 8000.0)
    deep = tone(6.0, 0.1, 100.0)
    for samples in (bright, deep):
        mix.tilt(samples, RATE_HZ, [(0.0, -12.0), (3.0, 0.0)])
    level = [np.sqrt((bright[a * RATE_HZ : b * RATE_HZ] ** 2).mean()) for a, b in ((1, 2), (4, 6))]
    assert -12 < 20 * np.log10(level[0] / level[1]) < -6
    assert np.abs(deep[RATE_HZ : 2 * RATE_HZ]).max() == pytest.approx(0.1, rel=0.03)


def test_tilt_glides_wherever_sections_meet() -> None:
    """Sample by sample: low + gain · (whole − low), the gain in decibels going from one section's to the next's."""
    treble = [(0.0, -6.0), (1.2, 3.0), (1.7, -2.0), (4.0, -2.0)]
    noise = np.random.default_rng(4).standard_normal((round(4.6 * RATE_HZ), 2)).astype(np.float32)
    tilted = noise.copy()
    mix.tilt(tilted, RATE_HZ, treble)
    pole = math.exp(-2 * math.pi * mix.TREBLE_HZ / RATE_HZ)
    low = lfilter([1 - pole], [1.0, -pole], noise.astype(np.float64), axis=0)
    decibels = np.interp(np.arange(len(noise)) / RATE_HZ, [0.0, 0.7, 1.7, 1.7, 2.2], [-6.0, -6.0, 3.0, 3.0, -2.0])
    expected = low + (noise - low) * 10 ** (decibels / 20)[:, None]
    assert np.abs(tilted - expected).max() < 1e-4
