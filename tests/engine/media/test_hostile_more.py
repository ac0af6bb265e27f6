"""Files that somebody built: containers that lie, bombs, polyglots, and cuts at every tenth of every kind.

Each ends in one sentence, or in what can honestly be heard; the decoder's child neither hangs nor passes a limit.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.errors import UserError
from engine.media.recording import ANALYSIS_RATE_HZ

from . import test_hostile
from .conftest import Play
from .sounds import by_av, by_soundfile, tone
from .test_hostile import BAD, KINDS, _file, _id3, _wav_header, refused

PCM = (tone(4, 8_000, 1)[:, 0] * 32_767).astype("<i2").tobytes()
HOSTS = b"file:///etc/passwd"


def _mp3(path: Path, seconds: float = 4) -> bytes:
    options = {"id3v2_version": "0", "write_id3v1": "0"}
    return by_av(path, tone(seconds), 44_100, "mp3", "libmp3lame", options=options).read_bytes()


def _patched(kind: str, find: bytes, put: bytes, skip: int = 0) -> Callable[[Path], None]:
    """A recording in which the bytes `skip` behind the last `find` are overwritten."""

    def make(path: Path) -> None:
        data = bytearray(KINDS[kind](path).read_bytes())
        at = data.rindex(find) + len(find) + skip
        data[at : at + len(put)] = put
        path.write_bytes(data)

    return make


def _before_mp3(front: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(front + _mp3(path))

    return make


def _sparse(head: bytes, size: int) -> Callable[[Path], None]:
    """A file that claims to be large and takes no room."""

    def make(path: Path) -> None:
        path.write_bytes(head)
        os.truncate(path, size)

    return make


def _rf64(path: Path) -> None:
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, 1 << 62, 1 << 62, 1 << 60, 0)
    path.write_bytes(b"RF64\xff\xff\xff\xffWAVE" + ds64 + _wav_header(0xFFFFFFFF)[12:] + PCM)


def _flac_picture(path: Path) -> None:
    """A picture block that claims 60,000 × 60,000 pixels and 16 MB, and has neither."""
    data = by_soundfile(path, tone(4), format="FLAC").read_bytes()
    picture = struct.pack(">II", 3, 9) + b"image/png" + struct.pack(">IIIIII", 0, 60_000, 60_000, 24, 0, 0xFFFFF0)
    first = 8 + int.from_bytes(data[5:8], "big")
    block = b"\x06" + len(picture).to_bytes(3, "big") + picture
    path.write_bytes(data[:4] + bytes([data[4] & 0x7F]) + data[5:first] + block + data[first:])


def _many_tracks(path: Path) -> None:
    """An mp4 whose track is announced two hundred times."""
    data = KINDS["m4a"](path).read_bytes()
    moov = data.index(b"moov") - 4
    size = int.from_bytes(data[moov : moov + 4], "big")
    trak = data.index(b"trak", moov) - 4
    track = data[trak : trak + int.from_bytes(data[trak : trak + 4], "big")]
    body = data[moov + 8 : moov + size] + track * 200
    path.write_bytes(data[:moov] + struct.pack(">I", len(body) + 8) + b"moov" + body + data[moov + size :])


def _outside_data(path: Path) -> None:
    """An mp4 that says its samples lie in another file (ISO/IEC 14496-12, 8.7.2)."""
    data = KINDS["m4a"](path).read_bytes()
    at = data.index(b"url \x00\x00\x00\x01")
    path.write_bytes(data[:at] + b"alis\x00\x00\x00\x00" + data[at + 8 :])


def _nested_boxes(path: Path) -> None:
    box = b""
    for _ in range(4_000):
        box = struct.pack(">I", len(box) + 8) + b"moov" + box
    path.write_bytes(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + box)


def _ebml_without_end(path: Path) -> None:
    data = KINDS["webm"](path).read_bytes()
    path.write_bytes(data + data[data.index(b"\x1f\x43\xb6\x75") :] * 3)


def _chained(path: Path) -> None:
    """Ogg streams one behind the other, each with its own head."""
    path.write_bytes(by_av(path, tone(0.2, 48_000), 48_000, "ogg", "libopus").read_bytes() * 100)


def _id3_bomb(path: Path) -> None:
    """A compressed tag frame that grows to 100 MB."""
    packed = zlib.compress(bytes(100_000_000), 9)
    frame = b"APIC" + len(packed).to_bytes(4, "big") + b"\x00\x80" + (100_000_000).to_bytes(4, "big") + packed
    tag = b"ID3\x03\x00\x00" + bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0)) + frame
    path.write_bytes(tag + _mp3(path))


def _changing(path: Path) -> None:
    """Frames of one rate behind frames of another."""
    first = _mp3(path)
    by_av(path, tone(4, 22_050, 1), 22_050, "mp3", "libmp3lame", options={"id3v2_version": "0"})
    path.write_bytes(first + path.read_bytes())


def _infinite(path: Path) -> None:
    samples = tone()
    samples[10_000:20_000] = np.inf
    by_soundfile(path, samples, subtype="FLOAT")


def _all_nan(path: Path) -> None:
    by_soundfile(path, tone() * np.float32(np.nan), subtype="DOUBLE")


def _overs(path: Path) -> None:
    by_soundfile(path, tone() * 1e6, subtype="FLOAT")


def _aiff(path: Path) -> Path:
    return by_soundfile(path, tone(4, 44_100, 1), format="AIFF")


def _aiff_rate(path: Path) -> None:
    """An 80-bit float of a sample rate that overflows."""
    data = bytearray(_aiff(path).read_bytes())
    at = data.index(b"COMM") + 16
    data[at : at + 10] = b"\x7f\xff" + b"\xff" * 8
    path.write_bytes(data)


def _aiff_channels(path: Path) -> None:
    path.write_bytes(_aiff(path).read_bytes().replace(b"\x00\x12\x00\x01", b"\x00\x12\xff\xff", 1))


BUILT: list[tuple[str, Callable[[Path], object], set[str] | float]] = [
    ("rf64 of four exabytes", _rf64, 4.0),
    ("wav whose format chunk has 4 GB", _file(b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff" + PCM), {"damaged"}),
    (
        "wav with a list chunk of 4 GB",
        _file(_wav_header(0)[:36] + b"LIST\xff\xff\xff\xff" + PCM),
        {"damaged", "too_short", "silent"},
    ),
    ("wav of 65,535 bits", _file(_wav_header(len(PCM), bits=65_535) + PCM), {"damaged", "unknown_codec", "too_short"}),
    ("wav of 1 bit", _file(_wav_header(len(PCM), bits=1) + PCM), 8.0),
    (
        "wav that says it is mp3",
        _file(_wav_header(len(PCM), code=0x55) + PCM),
        {"damaged", "too_short", "unknown_codec"},
    ),
    (
        "wav in front of a concat list",
        _file(_wav_header(60) + b"ffconcat version 1.0\nfile '/etc/passwd'\n"),
        {"damaged", "too_short"},
    ),
    ("wav of 190 MB of nothing", _sparse(_wav_header(190_000_000), 190_000_000), {"too_long"}),
    ("flac whose picture lies", _flac_picture, 4.0),
    (
        "flac of one sample's rate",
        _patched("flac", b"fLaC", b"\x00\x00\x1f", 14),
        {"damaged", "sample_rate", "too_long"},
    ),
    ("flac with frames of noise", _patched("flac", b"\xff\xf8", bytes(range(256)) * 40, 10), 10.0),
    ("aiff of an infinite rate", _aiff_rate, {"damaged", "sample_rate"}),
    ("aiff of 65,535 channels", _aiff_channels, {"damaged", "channels"}),
    ("mp4 of 200 tracks", _many_tracks, {"damaged"}),
    ("mp4 whose samples are elsewhere", _outside_data, 10.0),
    ("mp4 of four thousand boxes in each other", _nested_boxes, {"damaged"}),
    (
        "mp4 of four billion samples",
        _patched("m4a", b"stsz", b"\xff\xff\xff\xff", 8),
        {"damaged", "too_short", "too_long"},
    ),
    ("mp4 whose samples have 4 GB each", _patched("m4a", b"stsz", b"\x7f\xff\xff\xff", 4), {"damaged", "too_short"}),
    ("mp4 of nine channels", _patched("m4a", b"mp4a", b"\x00\x09", 16), 10.0),
    ("webm that goes back in time", _ebml_without_end, 40.0),
    (
        "webm with elements without end",
        _file(b"\x1aE\xdf\xa3" + b"\x01\xff\xff\xff\xff\xff\xff\xff" * 200),
        {"damaged"},
    ),
    ("a hundred oggs in a row", _chained, {"too_short"}),
    ("ogg of 255 segments of nothing", _file((b"OggS\x00\x02" + bytes(20) + b"\xff" * 256) * 50), {"damaged"}),
    ("mp3 behind a compressed bomb", _id3_bomb, 4.0),
    ("mp3 behind nine tags", lambda p: p.write_bytes(_id3(20) * 9 + _mp3(p)), 4.0),
    ("mp3 that changes its rate", _changing, 8.0),
    ("mp3 that is also a page", _before_mp3(b"<html><script>alert(1)</script></html>"), 4.0),
    ("mp3 that is also a program", _before_mp3(b"#!/bin/sh\nid > /tmp/owned\n"), 4.0),
    ("mp3 that is also a picture", _before_mp3(b"GIF89a\x01\x00\x01\x00\x00\xff\x00,"), 4.0),
    ("mp3 that is also a concat list", _before_mp3(b"ffconcat version 1.0\nfile '/etc/passwd'\n"), 4.0),
    ("mp3 that is also a playlist", _before_mp3(b"#EXTM3U\n#EXTINF:9,\n" + HOSTS + b"\n#EXT-X-ENDLIST\n"), 4.0),
    ("a playlist behind a wav header", _file(b"RIFF\x40\x00\x00\x00WAVE#EXTM3U\n" + HOSTS), {"damaged"}),
    ("a picture", _file(b"\x89PNG\r\n\x1a\n" + bytes(2_000)), {"not_audio"}),
    ("an archive of 42", _file(b"BZh91AY&SY" + bytes(5_000)), {"not_audio"}),
    ("a shell script", _file(b"#!/bin/sh\nrm -rf /\n" * 50), {"not_audio"}),
    ("infinite numbers", _infinite, {"damaged"}),
    ("nothing but NaN", _all_nan, {"damaged"}),
    ("a million times too loud", _overs, 4.0),
]


def test_the_tables_are_long_enough() -> None:
    assert len({name for name, *_ in [*BAD, *BUILT]}) == len(BAD) + len(BUILT) >= 75


@pytest.mark.parametrize(("make", "wanted"), [case[1:] for case in BUILT], ids=[case[0] for case in BUILT])
def test_built_file(tmp_path: Path, play: Play, make: Callable[[Path], object], wanted: set[str] | float) -> None:
    make(tmp_path / "song.mp3")
    before, started = set(tmp_path.iterdir()), time.monotonic()
    if isinstance(wanted, set):
        assert refused(play, tmp_path / "song.mp3").code in wanted
    else:
        recording = play(tmp_path / "song.mp3")
        assert np.isfinite(recording.samples).all() and np.abs(recording.samples).max() <= 1.0
        assert recording.duration_s == pytest.approx(wanted, rel=0.08)
        assert len(recording.title) < 500
    assert time.monotonic() - started < 30  # it did not wait for its own limit of 60 s
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "scratch"}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_cut_at_every_tenth(tmp_path: Path, play_here: Play, kind: str) -> None:
    data = KINDS[kind](tmp_path / "whole").read_bytes()
    for tenth in range(1, 10):
        (tmp_path / "cut").write_bytes(data[: len(data) * tenth // 10])
        try:
            seconds = play_here(tmp_path / "cut").duration_s
        except UserError as error:
            assert error.code in ("damaged", "too_short", "not_audio")
            assert tenth <= 4 or kind == "m4a"  # its index stands at the end
        else:
            assert seconds == pytest.approx(tenth, abs=1.2)


def test_more_samples_than_the_limit_are_never_kept(tmp_path: Path, play_here: Play) -> None:
    by_soundfile(tmp_path / "a.flac", tone(25, 8_000, 1), 8_000, "FLAC")
    recording = play_here(tmp_path / "a.flac", max_seconds=25)
    assert recording.samples.size <= 26 * ANALYSIS_RATE_HZ
    assert test_hostile.refused(play_here, tmp_path / "a.flac", max_seconds=24).code == "too_long"
