"""Bad, broken and hostile files: one sentence or what is playable, never a trace, never a hang."""

from __future__ import annotations

import os
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from engine.errors import Crashed, Transient, TuneTaleError, UserError
from engine.media.child import run_child
from engine.media.recording import ANALYSIS_RATE_HZ

from .conftest import Play
from .sounds import by_av, by_soundfile, tone


def refused(play: Play, path: Path, **limits: object) -> UserError:
    """Expect a refusal in one clear sentence."""
    with pytest.raises(UserError) as caught:
        play(path, **limits)
    sentence = caught.value.message
    assert sentence.endswith(".") and "\n" not in sentence and "Traceback" not in sentence and len(sentence) < 400
    return caught.value


# --- what people do by accident --------------------------------------------------------------------------------


def _file(content: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(content)

    return make


def _id3(size: int) -> bytes:
    return b"ID3\x04\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)


def _wav_header(data_bytes: int, channels: int = 1, rate_hz: int = 8_000, bits: int = 16, code: int = 1) -> bytes:
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", code, channels, rate_hz, rate_hz * block & 0xFFFFFFFF, block & 0xFFFF, bits)
    riff = b"RIFF" + struct.pack("<I", 36 + data_bytes & 0xFFFFFFFF) + b"WAVE"
    return riff + b"fmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", data_bytes)


def _flac_header(samples: int, rate_hz: int = 44_100) -> bytes:
    """STREAMINFO (RFC 9639, 8.2) that claims so many samples of two channels of 16 bits."""
    packed = rate_hz << 44 | 1 << 41 | 15 << 36 | samples
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"fLaC\x80" + len(info).to_bytes(3, "big") + info


def _empty_film(path: Path) -> None:
    by_av(path, tone(4, 48_000), 48_000, "mp4", "aac", picture=True, sound=False)


def _silent_film(path: Path) -> None:
    by_av(path, tone(4, 48_000) * 0, 48_000, "mp4", "aac", picture=True)


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(10_000_000))


def _nan(path: Path) -> None:
    samples = tone()
    samples[50_000] = np.nan
    by_soundfile(path, samples, subtype="FLOAT")


def _huge_numbers(path: Path) -> None:
    samples = tone()
    samples[50_000] = np.float32(3e38)
    by_soundfile(path, samples, subtype="FLOAT")


def _cover_bomb(path: Path) -> None:
    """A tag with a picture of 60,000 × 60,000 pixels before 4 s of tone: 10.8 GB if somebody painted it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    picture = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(20_000_000))) + chunk(b"IEND", b"")
    frame = b"\x00image/png\x00\x03\x00" + picture
    apic = b"APIC" + len(frame).to_bytes(4, "big") + b"\x00\x00" + frame
    tag = b"ID3\x03\x00\x00" + bytes(len(apic) >> shift & 0x7F for shift in (21, 14, 7, 0)) + apic
    by_av(path, tone(), 44_100, "mp3", "libmp3lame", options={"id3v2_version": "0", "write_id3v1": "0"})
    path.write_bytes(tag + path.read_bytes())


BAD: list[tuple[str, Callable[[Path], object], set[str]]] = [
    ("empty", _file(b""), {"empty_file"}),
    ("a folder", lambda path: path.mkdir(), {"is_directory"}),
    ("nothing there", lambda path: None, {"missing_file"}),
    ("a named pipe", os.mkfifo, {"not_a_file"}),
    ("a link to nothing", lambda path: path.symlink_to("gone"), {"missing_file"}),
    ("a link to itself", lambda path: path.symlink_to(path), {"unreadable"}),
    ("an endless device", lambda path: path.symlink_to("/dev/zero"), {"not_a_file"}),
    ("one byte", _file(b"\xff"), {"not_audio"}),
    ("text", _file(b"Dear diary, today I was a song.\n" * 500), {"not_audio"}),
    ("text in UTF-16", _file("Dear diary, today I was a song.\n".encode("utf-16") * 500), {"not_audio"}),
    ("zeros", _file(bytes(100_000)), {"not_audio"}),
    ("noise", _file(np.random.default_rng(1).bytes(200_000)), {"not_audio"}),
    ("a zip", _zip, {"not_audio"}),
    ("a concat list", _file(b"ffconcat version 1.0\nfile '/etc/passwd'\nfile /etc/hosts\n"), {"not_audio"}),
    ("a playlist", _file(b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"), {"not_audio"}),
    ("a dash manifest", _file(b'<?xml version="1.0"?><MPD><BaseURL>file:///etc/passwd</BaseURL></MPD>'), {"not_audio"}),
    ("an sdp", _file(b"v=0\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n"), {"not_audio"}),
    ("midi", _file(b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60MTrk\x00\x00\x00\x00"), {"not_audio"}),
    ("a tag only", _file(_id3(100)), {"not_audio"}),
    ("a tag that lies about its size", _file(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + bytes(1_000)), {"not_audio"}),
    ("a playlist behind a tag", _file(_id3(10) + b"#EXTM3U\nfile:///etc/passwd\n"), {"not_audio"}),
    ("wav header only", _file(_wav_header(0)), {"damaged"}),
    ("riff only", _file(b"RIFF\x00\x00\x00\x00WAVE"), {"damaged"}),
    ("one sample", _file(_wav_header(2) + b"\x01\x00"), {"damaged", "too_short"}),
    ("wav of 65,535 channels", _file(_wav_header(1 << 20, channels=65_535) + bytes(1 << 20)), {"damaged", "channels"}),
    ("wav of 9 channels", _file(_wav_header(720_000, channels=9) + bytes(720_000)), {"channels"}),
    ("wav of 0 channels", _file(_wav_header(80_000, channels=0) + bytes(80_000)), {"damaged", "channels"}),
    ("wav at 0 Hz", _file(_wav_header(80_000, rate_hz=0) + bytes(80_000)), {"damaged", "sample_rate"}),
    ("wav at 4 kHz", _file(_wav_header(80_000, rate_hz=4_000) + bytes(80_000)), {"sample_rate"}),
    ("wav at 4 GHz", _file(_wav_header(80_000, rate_hz=1 << 31) + bytes(80_000)), {"damaged", "sample_rate"}),
    ("wav of an odd codec", _file(_wav_header(80_000, code=0x270) + bytes(80_000)), {"unknown_codec", "damaged"}),
    ("ogg pages of nothing", _file(b"OggS" + bytes(5_000)), {"damaged"}),
    ("ftyp only", _file(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"), {"damaged"}),
    ("ebml only", _file(b"\x1aE\xdf\xa3" + bytes(500)), {"damaged"}),
    ("flac header only", _file(_flac_header(200_000)), {"damaged"}),
    ("ten hours claimed by flac", _file(_flac_header(36_000 * 44_100) + bytes(1_000)), {"too_long"}),
    ("a film without sound", _empty_film, {"no_sound"}),
    ("a film of silence", _silent_film, {"silent"}),
    ("silence", lambda path: by_soundfile(path, tone() * 0), {"silent"}),
    ("a whisper", lambda path: by_soundfile(path, tone() * 0.001, subtype="PCM_24"), {"silent"}),
    ("only an offset", lambda path: by_soundfile(path, tone() * 0 + 0.5), {"silent"}),
    ("short", lambda path: by_soundfile(path, tone(2.9)), {"too_short"}),
    ("not a number", _nan, {"damaged"}),
    ("numbers beyond sound", _huge_numbers, {"silent", "damaged"}),
]


@pytest.mark.parametrize(("make", "codes"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_file(tmp_path: Path, play: Play, make: Callable[[Path], object], codes: set[str]) -> None:
    make(tmp_path / "song.mp3")
    assert refused(play, tmp_path / "song.mp3").code in codes


def test_unreadable(tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    path = by_soundfile(tmp_path / "a.wav", tone())

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("engine.media.decode.os.open", denied)  # root may read everything
    assert refused(play, path).code == "unreadable"


def test_names_that_no_system_has(tmp_path: Path, play: Play) -> None:
    assert refused(play, tmp_path / "a\0b").code == "unreadable"
    assert refused(play, tmp_path / ("x" * 5_000)).code == "unreadable"


def test_too_large(tmp_path: Path, play: Play) -> None:
    error = refused(play, by_soundfile(tmp_path / "a.wav", tone()), max_bytes=500_000)
    assert error.code == "too_large" and "0.7 MB" in error.message and "0.5 MB" in error.message


def test_a_picture_bomb_in_a_tag_is_not_painted(tmp_path: Path, play: Play) -> None:
    _cover_bomb(tmp_path / "a.mp3")
    assert play(tmp_path / "a.mp3").duration_s == pytest.approx(4, abs=0.1)


# --- length ----------------------------------------------------------------------------------------------------


def test_too_long_says_the_limit_and_the_length(tmp_path: Path, play: Play) -> None:
    error = refused(play, by_soundfile(tmp_path / "a.wav", tone(75, 8_000, 1), 8_000), max_seconds=30)
    assert error.code == "too_long" and "1 min 15 s" in error.message and "30 s" in error.message


def test_ten_hours_of_silence_are_never_decoded(tmp_path: Path, play: Play) -> None:
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 8_000, 1, format="FLAC") as file:
        for _ in range(600):
            file.write(np.zeros(60 * 8_000, np.int16))
    started = time.monotonic()
    error = refused(play, tmp_path / "a.flac", decode_timeout_s=20)
    assert error.code == "too_long" and "10 h" in error.message
    assert time.monotonic() - started < 10  # decoding takes longer than that


def test_a_length_that_nobody_knows_is_bounded_all_the_same(tmp_path: Path, play: Play) -> None:
    path = by_soundfile(tmp_path / "a.flac", tone(60, 8_000, 1), 8_000, "FLAC")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the total number of samples in STREAMINFO: 0 means unknown
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert play(path).duration_s == pytest.approx(60, abs=0.1)
    assert refused(play, path, max_seconds=20).code == "too_long"


def test_a_live_film_is_decoded_up_to_the_limit(tmp_path: Path, play: Play) -> None:
    by_av(tmp_path / "a.webm", tone(30, 48_000, 1), 48_000, "webm", "libopus", options={"live": "1"})
    error = refused(play, tmp_path / "a.webm", max_seconds=10)
    assert error.code == "too_long" and "10 s" in error.message


def test_an_mp3_without_a_length_is_not_refused_by_a_guess(tmp_path: Path, play_here: Play) -> None:
    """Variable bit rate without the Xing header: the quiet beginning makes FFmpeg guess several times the length."""
    samples = tone(20)
    samples[: 44_100 * 4] = 0
    samples[44_100 * 4 :] += np.random.default_rng(1).normal(0, 0.1, (len(samples) - 44_100 * 4, 2)).astype(np.float32)
    by_av(tmp_path / "a.mp3", samples, 44_100, "mp3", "libmp3lame", options={"write_xing": "0", "id3v2_version": "0"})
    assert play_here(tmp_path / "a.mp3", max_seconds=21).duration_s == pytest.approx(20, abs=0.2)
    assert refused(play_here, tmp_path / "a.mp3", max_seconds=15).code == "too_long"


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 0x7FFFFFFF, 100])
def test_a_recorder_that_was_cut_off(tmp_path: Path, play_here: Play, claimed: int) -> None:
    """Streaming writers leave any number in the header; a small one hides the rest."""
    samples = (tone(5, 8_000, 1)[:, 0] * 32_767).astype("<i2").tobytes()
    (tmp_path / "a.wav").write_bytes(_wav_header(claimed) + samples)
    if claimed == 100:
        assert refused(play_here, tmp_path / "a.wav").code == "too_short"
    else:
        assert play_here(tmp_path / "a.wav").duration_s == pytest.approx(5, abs=0.1)


# --- damage ----------------------------------------------------------------------------------------------------

KINDS: dict[str, Callable[[Path], Path]] = {
    "mp3": lambda path: by_av(path, tone(10), 44_100, "mp3", "libmp3lame"),
    "ogg": lambda path: by_av(path, tone(10, 48_000), 48_000, "ogg", "libopus"),
    "m4a": lambda path: by_av(path, tone(10), 44_100, "ipod", "aac"),
    "webm": lambda path: by_av(path, tone(10, 48_000), 48_000, "webm", "libopus"),
    "flac": lambda path: by_soundfile(path, tone(10), format="FLAC"),
    "wav": lambda path: by_soundfile(path, tone(10)),
}


def heard(play: Play, path: Path) -> float | str:
    """Seconds that were decoded, or the code of the refusal."""
    try:
        recording = play(path)
    except UserError as error:
        return error.code
    assert np.isfinite(recording.samples).all() and np.abs(recording.samples).max() <= 1.0
    assert recording.samples.size <= 11 * ANALYSIS_RATE_HZ
    return recording.duration_s


def test_a_cut_mp3_plays_to_its_cut(tmp_path: Path, play_here: Play) -> None:
    data = KINDS["mp3"](tmp_path / "a.mp3").read_bytes()
    for tenth in range(1, 10):
        path = tmp_path / "cut.mp3"
        path.write_bytes(data[: len(data) * tenth // 10])
        result = heard(play_here, path)
        assert result == "too_short" if tenth <= 3 else result == pytest.approx(tenth, abs=0.2)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_cut_anywhere(tmp_path: Path, play_here: Play, kind: str) -> None:
    data = KINDS[kind](tmp_path / "whole").read_bytes()
    path = tmp_path / "cut"
    for permille in (1, 600, 990):
        path.write_bytes(data[: len(data) * permille // 1000])
        result = heard(play_here, path)
        if kind == "m4a":  # its index stands at the end
            assert result in ("damaged", "not_audio", "empty_file")
        elif permille >= 600:
            assert result == pytest.approx(10 * permille / 1000, abs=1.2)
        else:
            assert isinstance(result, str)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_bytes_changed_at_random(tmp_path: Path, play: Play, kind: str) -> None:
    whole = KINDS[kind](tmp_path / "whole").read_bytes()
    random = np.random.default_rng(7)
    for share in (1e-4, 0.02):
        data = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(0, len(data), max(1, int(share * len(data))))
        data[places] = random.integers(0, 256, len(places))
        path = tmp_path / "changed"
        path.write_bytes(data.tobytes())
        assert heard(play, path)  # any outcome but a trace or a hang; `heard` checks the samples


def test_music_in_front_of_something_else(tmp_path: Path, play: Play) -> None:
    """A polyglot: an mp3 that is also a zip archive is an mp3."""
    path = KINDS["mp3"](tmp_path / "a.mp3")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x", "y" * 1_000)
    assert heard(play, path) == pytest.approx(10, abs=0.2)


def test_timeout(tmp_path: Path, play: Play) -> None:
    error = refused(play, by_soundfile(tmp_path / "a.wav", tone()), decode_timeout_s=0.001)
    assert error.code == "timeout"


def test_a_full_disk_may_be_tried_again(tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    path = by_soundfile(tmp_path / "a.wav", tone())
    with open("/dev/full", "r+b") as full:
        files = SimpleNamespace(TemporaryFile=lambda dir: nullcontext(full))
        monkeypatch.setattr("engine.media.decode.tempfile", files)
        with pytest.raises(Transient, match=r"^There is no room left on the disk; please try again later\.$") as caught:
            play(path)
    assert caught.value.code == "disk_full"


@pytest.mark.parametrize(("signal", "error"), [("SIGKILL", Crashed), ("SIGSEGV", UserError)])
def test_who_killed_the_child(
    tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch, signal: str, error: type[TuneTaleError]
) -> None:
    """A file can break the child, but only the system or its owner kills it; then it is tried again."""
    path = by_soundfile(tmp_path / "a.wav", tone())
    dying = partial(run_child, "tests.engine.media.naughty_child", {"what": "die", "signal": signal})
    monkeypatch.setattr("engine.media.decode.run_child", lambda _, __, confinement, **how: dying(confinement, **how))
    with pytest.raises(error):
        play(path)


@pytest.mark.parametrize("answer", [{}, {"refused": ["x"]}, {"refused": "too_long", "seconds": "x"}, {"title": 3}])
def test_a_child_that_was_taken_over_is_not_believed(
    tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch, answer: dict[str, object]
) -> None:
    monkeypatch.setattr("engine.media.decode.run_child", lambda *_, **__: answer)
    refused(play, by_soundfile(tmp_path / "a.wav", tone()))
