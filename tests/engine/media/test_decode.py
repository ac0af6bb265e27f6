"""Decoding honest files: every kind, rate and number of channels; titles; levels."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.errors import Cancelled
from engine.media.decode import decode, spoken_length
from engine.media.recording import ANALYSIS_RATE_HZ, Recording
from engine.settings import MediaLimits

from .conftest import Play
from .sounds import LEVEL, TONE_HZ, by_av, by_soundfile, tone

SOUNDFILE = [
    ("WAV", "PCM_U8", 8_000, 1),
    ("WAV", "PCM_16", 44_100, 2),
    ("WAV", "PCM_24", 48_000, 3),
    ("WAV", "PCM_32", 96_000, 6),
    ("WAV", "FLOAT", 192_000, 8),
    ("WAV", "DOUBLE", 11_025, 5),
    ("WAV", "ULAW", 8_000, 1),
    ("WAVEX", "PCM_16", 32_000, 4),
    ("RF64", "PCM_16", 44_100, 2),
    ("AIFF", "PCM_16", 44_100, 2),
    ("FLAC", "PCM_16", 8_000, 1),
    ("FLAC", "PCM_24", 192_000, 2),
    ("FLAC", "PCM_16", 44_100, 8),
    ("OGG", "VORBIS", 44_100, 2),
    ("OGG", "VORBIS", 8_000, 1),
]
PYAV = [
    ("mp3", "libmp3lame", 8_000, 1),
    ("mp3", "libmp3lame", 22_050, 1),
    ("mp3", "libmp3lame", 44_100, 2),
    ("mp3", "libmp3lame", 48_000, 2),
    ("ogg", "libopus", 48_000, 2),
    ("ogg", "libopus", 16_000, 1),
    ("ogg", "libopus", 48_000, 6),
    ("ogg", "flac", 44_100, 2),
    ("ipod", "aac", 44_100, 2),
    ("ipod", "aac", 8_000, 1),
    ("ipod", "aac", 96_000, 6),
    ("ipod", "alac", 44_100, 2),
    ("adts", "aac", 44_100, 2),
    ("webm", "libopus", 48_000, 2),
    ("matroska", "aac", 48_000, 2),
    ("mov", "pcm_s16le", 44_100, 2),
]


def check_tone(recording: Recording, seconds: float = 4.0) -> None:
    assert recording.samples.dtype == np.float32 and recording.samples.ndim == 1
    assert recording.duration_s == pytest.approx(seconds, abs=0.13)  # an mp3 or aac frame of padding at 8 kHz
    second = recording.samples[ANALYSIS_RATE_HZ : 2 * ANALYSIS_RATE_HZ]
    spectrum = np.abs(np.fft.rfft(second * np.hanning(len(second))))
    assert int(spectrum.argmax()) == pytest.approx(TONE_HZ, abs=1)
    assert np.sqrt(2 * np.mean(second**2)) == pytest.approx(LEVEL, rel=0.06)


@pytest.mark.parametrize(("format", "subtype", "rate_hz", "channels"), SOUNDFILE)
def test_every_pcm_kind(
    tmp_path: Path, play_here: Play, format: str, subtype: str, rate_hz: int, channels: int
) -> None:
    path = by_soundfile(tmp_path / "music", tone(4, rate_hz, channels), rate_hz, format, subtype)
    check_tone(play_here(path))


@pytest.mark.parametrize(("container", "codec", "rate_hz", "channels"), PYAV)
def test_every_coded_kind(
    tmp_path: Path, play_here: Play, container: str, codec: str, rate_hz: int, channels: int
) -> None:
    check_tone(play_here(by_av(tmp_path / "music", tone(4, rate_hz, channels), rate_hz, container, codec)))


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("mp4", "aac", {}),
        ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}),
        ("webm", "libopus", {}),
        ("webm", "libopus", {"live": "1"}),
        ("mp4", "libmp3lame", {"movflags": "faststart"}),
    ],
)
def test_the_sound_track_of_a_film(
    tmp_path: Path, play: Play, container: str, codec: str, options: dict[str, str]
) -> None:
    path = by_av(tmp_path / "film", tone(4, 48_000), 48_000, container, codec, picture=True, options=options)
    check_tone(play(path))


def test_the_name_decides_nothing(tmp_path: Path, play: Play) -> None:
    check_tone(play(by_soundfile(tmp_path / "a.mp3", tone(), format="FLAC")))


def test_a_name_that_looks_like_an_option_or_an_address(tmp_path: Path, play: Play) -> None:
    for name in ("-i", "concat:a|b\n歌.wav"):
        check_tone(play(by_soundfile(tmp_path / name, tone())))


def test_a_link_to_a_file_is_followed(tmp_path: Path, play_here: Play) -> None:
    by_soundfile(tmp_path / "real.wav", tone())
    (tmp_path / "link.wav").symlink_to("real.wav")
    check_tone(play_here(tmp_path / "link.wav"))


def test_hash_is_of_the_file(tmp_path: Path, play_here: Play) -> None:
    path = by_soundfile(tmp_path / "a.wav", tone())
    assert play_here(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("channels", [2, 6, 8])
def test_full_scale_stays_full_scale(tmp_path: Path, play_here: Play, channels: int) -> None:
    path = by_soundfile(tmp_path / "a.wav", tone(4, 48_000, channels) * 1.9, 48_000, subtype="FLOAT")
    assert float(np.abs(play_here(path).samples).max()) == pytest.approx(0.95, abs=0.02)


def test_channels_are_averaged(tmp_path: Path, play_here: Play) -> None:
    one_side = tone(4, 22_050, 2)
    one_side[:, 1] = 0
    path = by_soundfile(tmp_path / "a.wav", one_side, 22_050, subtype="FLOAT")
    np.testing.assert_allclose(play_here(path).samples, one_side[:, 0] / 2, atol=1e-6)


def test_opposite_phase_is_not_silence(tmp_path: Path, play_here: Play) -> None:
    samples = tone(4, 44_100, 2)
    samples[:, 1] *= -1
    check_tone(play_here(by_soundfile(tmp_path / "a.flac", samples, format="FLAC")))


def test_offset_is_taken_off_and_overs_are_turned_down(tmp_path: Path, play_here: Play) -> None:
    check_tone(play_here(by_soundfile(tmp_path / "a.wav", tone() + 0.25, subtype="FLOAT")))
    loud = play_here(by_soundfile(tmp_path / "b.wav", tone() * 3, subtype="FLOAT"))
    assert float(np.abs(loud.samples).max()) == pytest.approx(1.0)


def test_resampling_leaves_no_alias(tmp_path: Path, play_here: Play) -> None:
    """A loud 15 kHz tone cannot be said at 22.05 kHz: what folds back lies 60 dB below."""
    time = np.arange(4 * 44_100) / 44_100
    samples = (0.001 * np.sin(2 * np.pi * 440 * time) + 0.9 * np.sin(2 * np.pi * 15_000 * time)).astype(np.float32)
    recording = play_here(by_soundfile(tmp_path / "a.wav", samples[:, None], subtype="FLOAT"))
    second = recording.samples[ANALYSIS_RATE_HZ : 2 * ANALYSIS_RATE_HZ]
    spectrum = np.abs(np.fft.rfft(second * np.hanning(len(second)))) / (len(second) / 4)
    spectrum[430:450] = 0
    assert spectrum.max() < 0.9e-3


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda p: by_soundfile(p, tone(), title="Träume 夢"), "x.wav"),
        (lambda p: by_soundfile(p, tone(), format="FLAC", title="Träume 夢"), "x.flac"),
        (lambda p: by_soundfile(p, tone(), format="OGG", title="Träume 夢"), "x.ogg"),
        (lambda p: by_av(p, tone(), 44_100, "mp3", "libmp3lame", title="Träume 夢"), "x.mp3"),
        (lambda p: by_av(p, tone(), 44_100, "ipod", "aac", title="Träume 夢"), "x.m4a"),
        (lambda p: by_av(p, tone(), 44_100, "ogg", "flac", title="Träume 夢"), "x.oga"),
    ],
)
def test_title_from_tags(tmp_path: Path, play_here: Play, make: Callable[[Path], Path], name: str) -> None:
    assert play_here(make(tmp_path / name)).title == "Träume 夢"


def test_title_from_the_name(tmp_path: Path, play_here: Play) -> None:
    path = by_soundfile(tmp_path / "a.wav", tone())
    assert play_here(path, "My\u202e song.final.mp3").title == "My song.final"
    assert play_here(path, "\u200b.mp3").title == "Untitled"


def test_a_hostile_title_is_made_harmless(tmp_path: Path, play_here: Play) -> None:
    path = by_av(tmp_path / "a.mp3", tone(), 44_100, "mp3", "libmp3lame", title="a\x1b[31m\u202e\r\nb" + "x" * 5_000)
    title = play_here(path).title
    assert title.startswith("a[31m b") and len(title) == 200 and title.isprintable()


def test_the_same_file_gives_the_same_samples_beside_others(tmp_path: Path) -> None:
    path = by_av(tmp_path / "a.mp3", tone(), 44_100, "mp3", "libmp3lame")
    found: list[bytes] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(
                decode(path, "a", MediaLimits(), tmp_path, lambda stage, fraction: None).samples.tobytes()
            )
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1


def test_progress_rises_to_one(tmp_path: Path) -> None:
    path = by_av(tmp_path / "a.mp3", tone(40), 44_100, "mp3", "libmp3lame")
    seen: list[tuple[str, float]] = []
    decode(path, "a", MediaLimits(), tmp_path, lambda stage, fraction: seen.append((stage, fraction)))
    fractions = [fraction for _, fraction in seen]
    assert {stage for stage, _ in seen} == {"decode"}
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and len(set(fractions)) >= 3


def test_cancel_stops_the_child(tmp_path: Path) -> None:
    path = by_av(tmp_path / "a.mp3", tone(), 44_100, "mp3", "libmp3lame")
    calls = 0

    def report(stage: str, fraction: float) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:  # at the start, while hashing, and then while the child runs
            raise Cancelled

    with pytest.raises(Cancelled):
        decode(path, "a", MediaLimits(), tmp_path, report)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp3"]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (45, "45 s"), (900, "15 min"), (1025.2, "17 min 5 s"), (36_000, "10 h")]
)
def test_lengths_in_words(seconds: float, said: str) -> None:
    assert spoken_length(seconds) == said
