"""Encoding: sound in, the same sound out of the file; whole, small enough, and the same bytes each time."""

from __future__ import annotations

import errno
import io
import os
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from engine.errors import Transient, UserError
from engine.jobs import AudioFormat
from engine.media.encode import Encoded, Tags, check_fits, encode

from .conftest import Play
from .sounds import tone

FORMATS: tuple[AudioFormat, ...] = ("ogg", "mp3", "wav", "flac")
TAGS = Tags("Night train 夜車", "TuneTale", "from a story")


def played(path: Path) -> tuple[NDArray[np.float32], int]:
    """Samples [n, channels] and rate, by PyAV."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp")
        blocks = [out.to_ndarray() for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        rate_hz = container.streams.audio[0].rate
    return np.concatenate(blocks, axis=1).T.astype(np.float32), rate_hz


def tags_of(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return {key.lower(): value for key, value in {**container.metadata, **container.streams[0].metadata}.items()}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("rate_hz", "channels"), [(44_100, 2), (32_000, 1), (48_000, 2), (22_050, 2)])
def test_sound_survives(tmp_path: Path, format: AudioFormat, rate_hz: int, channels: int) -> None:
    samples = tone(3, rate_hz, channels)
    path = tmp_path / f"a.{format}"
    assert encode(samples, rate_hz, path, format, TAGS) == Encoded(path.stat().st_size, lowered=False)
    out, out_hz = played(path)
    assert out_hz == (48_000 if format == "ogg" else rate_hz)
    assert out.shape[1] == channels
    assert len(out) / out_hz == pytest.approx(3, abs=0.001)  # encoder padding is not heard
    assert np.sqrt(2 * np.mean(out[out_hz : 2 * out_hz] ** 2)) == pytest.approx(
        0.5, rel=0.06
    )  # LAME takes 5 % off at some rates


@pytest.mark.parametrize("format", FORMATS)
def test_one_column_or_one_dimension_is_mono(tmp_path: Path, format: AudioFormat) -> None:
    samples = tone(1, 44_100, 1)
    encode(samples, 44_100, tmp_path / "a", format, TAGS)
    encode(samples[:, 0], 44_100, tmp_path / "b", format, TAGS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("format", FORMATS)
def test_tags(tmp_path: Path, format: AudioFormat) -> None:
    encode(tone(1), 44_100, tmp_path / "a", format, Tags("Night\u202e train 夜車\n", "TuneTale", "from a story"))
    found = tags_of(tmp_path / "a")
    assert (found["title"], found["artist"]) == ("Night train 夜車", "TuneTale")
    assert "from a story" in (found.get("comment"), found.get("description"))


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_bytes_each_time_alone_and_beside_others(tmp_path: Path, format: AudioFormat) -> None:
    samples = tone(2) + np.random.default_rng(3).normal(0, 0.05, (88_200, 2)).astype(np.float32)

    def run(index: int) -> None:
        encode(samples, 44_100, tmp_path / str(index), format, TAGS)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run(4)
    assert len({(tmp_path / str(index)).read_bytes() for index in range(5)}) == 1


def test_the_ogg_serial_number_is_fixed(tmp_path: Path) -> None:
    encode(tone(1), 44_100, tmp_path / "a.ogg", "ogg", TAGS)
    data = (tmp_path / "a.ogg").read_bytes()
    assert data[:4] == b"OggS" and data[14:18] == bytes(4)  # RFC 3533, page header
    assert data[28:36] == b"OpusHead"


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_is_clipped(tmp_path: Path, format: AudioFormat) -> None:
    """Square waves overshoot in every lossy coder; louder than full scale is turned down as a whole."""
    loud = (np.sign(tone(2)) * np.linspace(0.2, 4, 88_200)[:, None]).astype(np.float32)
    encode(loud, 44_100, tmp_path / "a", format, TAGS)
    out, rate_hz = played(tmp_path / "a")
    level = [np.sqrt(np.mean(out[int(t * rate_hz) : int((t + 0.1) * rate_hz)] ** 2)) for t in (0.5, 1.0, 1.5)]
    assert level[1] / level[0] == pytest.approx(2.15 / 1.2, rel=0.1)
    assert level[2] / level[1] == pytest.approx(3.1 / 2.1, rel=0.1)
    if format in ("wav", "flac"):
        assert np.abs(out).max() <= 1.0


@pytest.mark.parametrize("format", ["ogg", "mp3"])
def test_a_full_scale_tone_stays_below_full_scale(tmp_path: Path, format: AudioFormat) -> None:
    encode(tone(2) * 2, 44_100, tmp_path / "a", format, TAGS)
    assert 0.8 < np.abs(played(tmp_path / "a")[0]).max() <= 1.0


def test_quiet_music_keeps_its_level_and_its_faintest_part(tmp_path: Path) -> None:
    """Half a bit of level is lost by rounding, and kept by dither."""
    faint = tone(3, 44_100, 1) / np.float32(32_768)
    encode(faint, 44_100, tmp_path / "a.wav", "wav", TAGS)
    out, rate_hz = soundfile.read(tmp_path / "a.wav")
    spectrum = np.abs(np.fft.rfft(out[:rate_hz] * np.hanning(rate_hz)))
    assert int(spectrum[20:].argmax()) + 20 == 440


@pytest.mark.parametrize(("format", "most"), [("ogg", 100_000), ("ogg", 30_000), ("mp3", 100_000), ("mp3", 50_000)])
def test_bit_rate_falls_before_length(tmp_path: Path, format: AudioFormat, most: int) -> None:
    samples = tone(10) * 0.5 + np.random.default_rng(3).normal(0, 0.1, (441_000, 2)).astype(np.float32)
    file = encode(samples, 44_100, tmp_path / "a", format, TAGS, max_bytes=most)
    assert 0.4 * most < file.bytes <= most and file.lowered
    out, rate_hz = played(tmp_path / "a")
    assert len(out) / rate_hz == pytest.approx(10, abs=0.001)


@pytest.mark.parametrize("format", FORMATS)
def test_what_cannot_be_made_to_fit(tmp_path: Path, format: AudioFormat) -> None:
    with pytest.raises(UserError) as caught:
        encode(tone(20), 44_100, tmp_path / "a", format, TAGS, max_bytes=20_000)
    assert caught.value.code == "too_large" and "ask for" in caught.value.message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", FORMATS)
def test_what_fits_anyway_is_not_lowered(tmp_path: Path, format: AudioFormat) -> None:
    free = encode(tone(2), 44_100, tmp_path / "a", format, TAGS)
    assert encode(tone(2), 44_100, tmp_path / "b", format, TAGS, max_bytes=400_000) == free
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


DISCORD, TELEGRAM = 10 << 20, 50_000_000


@pytest.mark.parametrize(
    ("seconds", "format", "most", "fits"),
    [
        (600, "mp3", DISCORD, True),
        (600, "ogg", DISCORD, True),
        (59, "wav", DISCORD, True),
        (60, "wav", DISCORD, False),
        (283, "wav", TELEGRAM, True),
        (284, "wav", TELEGRAM, False),
        (600, "ogg", 1 << 20, False),
        (600, "wav", None, True),
        (600, "flac", 1, True),  # nothing is known of it beforehand
    ],
)
def test_what_cannot_fit_is_known_before_it_is_made(
    seconds: float, format: AudioFormat, most: int | None, fits: bool
) -> None:
    if fits:
        check_fits(seconds, 44_100, format, most)
        return
    with pytest.raises(UserError) as caught:
        check_fits(seconds, 44_100, format, most)
    assert caught.value.code == "too_large" and f"{most / 2**20:.1f} MB is the most" in caught.value.message  # type: ignore[operator]


def test_disk_full_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.ogg"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("engine.media.encode.os.fsync", full)
    with pytest.raises(Transient, match=r"^There is no room left on the disk; please try again later\.$") as caught:
        encode(tone(1), 44_100, path, "ogg", TAGS)
    assert caught.value.code == "disk_full"
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("where", ["gone/a.ogg", "file/a.ogg", "folder"])
def test_where_nothing_can_be_written(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(Transient, match=r"^The result could not be written: [\w ]+\.$") as caught:
        encode(tone(1), 44_100, tmp_path / where, "wav", TAGS)
    assert caught.value.code == "unwritable" and str(tmp_path) not in caught.value.message
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("samples", [np.zeros((10, 3), "f4"), np.zeros(0, "f4"), np.array([np.nan], "f4")])
def test_what_is_no_sound_is_our_own_fault(tmp_path: Path, samples: Any) -> None:
    with pytest.raises(ValueError, match="samples"):
        encode(samples, 44_100, tmp_path / "a", "wav", TAGS)


def test_what_we_write_we_can_read(tmp_path: Path, play_here: Play) -> None:
    for format in FORMATS:
        encode(tone(4), 44_100, tmp_path / "a", format, TAGS)
        recording = play_here(tmp_path / "a")
        assert recording.title == TAGS.title and recording.duration_s == pytest.approx(4, abs=0.01)


def test_opus_is_what_telegram_plays(tmp_path: Path) -> None:
    encode(tone(1), 44_100, tmp_path / "a.ogg", "ogg", TAGS)
    with av.open(io.BytesIO((tmp_path / "a.ogg").read_bytes())) as container:
        assert container.format.name == "ogg" and container.streams.audio[0].codec_context.name == "opus"
