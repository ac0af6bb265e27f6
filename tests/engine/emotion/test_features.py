from __future__ import annotations

from typing import Any

import librosa
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.emotion import features, pulse, tonality
from engine.emotion.features import NAMES, extract
from tests.engine.emotion.sounds import MAJOR, MINOR, RATE_HZ, chords, tone

NOISE = np.random.default_rng(3).normal(0, 0.1, 12 * RATE_HZ).astype(np.float32)


def _click_track(bpm: float, seconds: float = 20.0) -> NDArray[np.float32]:
    out = np.zeros(round(seconds * RATE_HZ), np.float32)
    click = tone(84, 0.05)
    for start in (np.arange(0, seconds - 0.1, 60 / bpm) * RATE_HZ).astype(int):
        out[start : start + len(click)] += click
    return out


def test_one_row_for_each_whole_half_second() -> None:
    for seconds, rows in ((0.1, 1), (0.5, 1), (3.0, 6), (3.4, 6), (61.0, 122)):
        found = extract(NOISE[:1].repeat(round(seconds * RATE_HZ)) + 0).rows
        assert found.shape == (rows, len(NAMES))
        assert found.dtype == np.float32


def test_the_values_are_librosas_own() -> None:
    """Each descriptor, computed by a separate librosa call on the whole signal, averaged over the nine frames."""
    samples = chords()[: 10 * RATE_HZ] + 0.01 * NOISE[: 10 * RATE_HZ]
    found = extract(samples)
    normal = samples / np.sqrt(np.mean(samples.astype(np.float64) ** 2))
    before = features.FFT // 2 - features.HOP // 2
    padded = np.pad(normal, (before, features.FFT)).astype(np.float32)
    count = len(found.rows) * features.FRAMES_PER_ROW
    common: dict[str, Any] = {"n_fft": features.FFT, "hop_length": features.HOP, "center": False}

    def rows(frames: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
        frames = frames[:count].reshape(-1, features.FRAMES_PER_ROW)
        weight = weight[:count].reshape(-1, features.FRAMES_PER_ROW)
        return np.asarray((frames * weight).sum(axis=1) / weight.sum(axis=1))

    spectrum = np.abs(librosa.stft(padded, **common))
    loud = librosa.feature.rms(S=spectrum, frame_length=features.FFT)[0]
    mel = librosa.feature.melspectrogram(y=padded, sr=RATE_HZ, n_mels=features.MEL_BANDS, **common)
    scaled = librosa.power_to_db(mel * np.float32((2 / features.FFT) ** 2), amin=features.FLOOR**2, top_db=None)
    mfcc = librosa.feature.mfcc(S=scaled, n_mfcc=features.MFCCS)
    heard = spectrum * (2 / features.FFT) + features.FLOOR
    centroid = librosa.feature.spectral_centroid(S=heard, sr=RATE_HZ)[0]
    flatness = librosa.feature.spectral_flatness(S=heard)[0]
    contrast = librosa.feature.spectral_contrast(S=heard, sr=RATE_HZ)
    expected = {
        "level": 20 * np.log10(loud),
        "centroid": np.log2(centroid),
        "flatness": 10 * np.log10(flatness),
        "mfcc_1": mfcc[1],
        "mfcc_5": mfcc[5],
        "contrast_0": contrast[0],
        "contrast_3": contrast[3],
    }
    for name, frames in expected.items():
        assert found.column(name) == pytest.approx(rows(frames, loud), rel=2e-3, abs=0.02), name


def test_blocks_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.concatenate([chords(MINOR, seconds=5), NOISE[: 7 * RATE_HZ]])
    whole = extract(samples).rows
    monkeypatch.setattr(features, "BLOCK_ROWS", 5)
    assert np.abs(extract(samples).rows - whole).max() < 1e-3


def test_a_row_depends_on_nothing_after_its_neighbourhood() -> None:
    """What is added far behind leaves the spectral shape of the first rows alone, but for the level of the piece."""
    quiet = chords(seconds=10)
    longer = np.concatenate([quiet, quiet])
    columns = [NAMES.index(name) for name in ("centroid", "flatness", "mfcc_1", "contrast_2", "roughness")]
    assert extract(longer).rows[:10, columns] == pytest.approx(extract(quiet).rows[:10, columns], rel=1e-3, abs=1e-2)


@pytest.mark.parametrize("samples", [np.zeros(RATE_HZ * 4), np.zeros(0), np.full(RATE_HZ * 4, 0.5), NOISE * 1e-6])
def test_silence_and_direct_current_give_finite_numbers(samples: NDArray[np.float64]) -> None:
    assert np.isfinite(extract(samples.astype(np.float32)).rows).all()


def test_level_counts_only_in_its_own_column() -> None:
    loud, quiet = extract(chords(level=0.2)), extract(chords(level=0.02))
    level = NAMES.index("song_level")
    assert loud.rows[0, level] - quiet.rows[0, level] == pytest.approx(20, abs=0.01)
    assert np.delete(loud.rows, level, 1) == pytest.approx(np.delete(quiet.rows, level, 1), rel=1e-2, abs=0.05)


@pytest.mark.parametrize("root", range(48, 60))
def test_the_key_is_found_in_every_transposition(root: int) -> None:
    chroma = np.zeros((1, 12), np.float32)
    chroma[0, [(root + step) % 12 for step in (0, 2, 4, 5, 7, 9, 11)]] = [3, 1, 2, 1, 2, 1, 1]
    keys = tonality.key_strengths(chroma)
    assert int(keys.tonic[0]) == root % 12
    assert keys.major.max() > keys.minor.max()


def test_mode_is_heard_in_any_tuning() -> None:
    for detune in (0.0, 0.4):
        major, minor = (
            extract(
                np.asarray(librosa.resample(chords(mode), orig_sr=RATE_HZ, target_sr=RATE_HZ * 2 ** (-detune / 12)))
            )
            for mode in (MAJOR, MINOR)
        )
        for name in ("song_parallel_mode", "song_third_mode", "parallel_mode"):
            assert major.column(name).mean() > minor.column(name).mean() + 0.01, (name, detune)


@pytest.mark.parametrize("bpm", [75, 120, 160])
def test_tempo_of_a_click_track(bpm: float) -> None:
    found = 2 ** float(extract(_click_track(bpm)).column("song_tempo")[0])
    assert found == pytest.approx(bpm, rel=0.06)


def test_events_are_counted() -> None:
    assert extract(_click_track(120)).column("song_events")[0] == pytest.approx(2, abs=0.2)
    assert extract(np.zeros(RATE_HZ * 8, np.float32)).column("song_events")[0] == 0


def test_pulse_is_clearer_in_a_beat_than_in_noise() -> None:
    assert extract(_click_track(120)).column("song_clarity")[0] > 0.5 + extract(NOISE).column("song_clarity")[0]


def test_roughness_follows_the_dissonance_curve() -> None:
    """Sines: a semitone is rough, a fifth is not, and one sine alone has nothing to beat against."""
    t = np.arange(4 * RATE_HZ) / RATE_HZ

    def rough(*frequencies: float) -> float:
        sound = sum(np.sin(2 * np.pi * f * t) for f in frequencies)
        return float(extract(np.asarray(sound, np.float32)).column("roughness")[2:6].mean())

    assert rough(440, 466.2) > 5 * rough(440, 660) > rough(440)


def test_a_noise_burst_is_an_onset_in_the_upper_band() -> None:
    mel_db = np.full((64, 90), -80.0, np.float32)
    mel_db[40:, 45:] = -20.0
    found = pulse.find_pulse(mel_db, rate_hz=RATE_HZ, hop=features.HOP, edges=features.MEL_EDGES)
    assert found.bands[2].argmax() == 45
    assert found.bands[0].max() == 0
    assert found.events.sum() == 1
