"""Telling kinds by their first bytes; what opens them is tested with the decoder."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.sniff import Kind, sniff

MP3 = b"\xff\xfb\x90\x00" + bytes(413)  # MPEG-1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes
MP3_LOW = b"\xff\xe3\x18\xc4" + bytes(68)  # MPEG-2.5, 8 kbit/s, 8 kHz: 72 bytes
ADTS = b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)  # 16 bytes
ID3 = b"ID3\x04\x00\x00\x00\x00\x00\x05" + bytes(5)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (MP3 * 3, "mp3"),
        (MP3, "mp3"),
        (MP3[:100], "mp3"),
        (MP3_LOW * 5, "mp3"),
        (ID3 + MP3, "mp3"),
        (ID3 + ID3 + MP3 * 3, "mp3"),
        (ID3 + bytes(300) + MP3 * 3, "mp3"),
        (b"cut in the middle" + MP3 * 3, "mp3"),
        (ADTS * 4, "aac"),
        (ID3 + ADTS * 4, "aac"),
        (ID3 + b"fLaC" + bytes(50), "flac"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "wav"),
        (b"FORM\x00\x00\x00\x00AIFC", "aiff"),
        (b"some text, then one header " + MP3[:4] + b" and text again" * 100, None),
        (MP3[:4] + b"text" * 1_000, None),
        (b"\xff\xfb\xf0\x00" + bytes(1_000), None),  # bit rate 15 does not exist
        (b"\xff\xfb\x9c\x00" + bytes(1_000), None),  # sample rate 3 neither
        (b"\xff\xeb\x90\x00" + bytes(1_000), None),  # nor version 1
        (b"RIFF\x00\x00\x00\x00AVI ", None),
        (b"", None),
    ],
)
def test_kinds(data: bytes, kind: Kind | None) -> None:
    assert sniff(io.BytesIO(data)) == kind


@given(st.binary(max_size=2_000))
def test_anything_is_survived(data: bytes) -> None:
    sniff(io.BytesIO(data))
    sniff(io.BytesIO(b"ID3" + data))


@given(st.text(max_size=2_000))
def test_text_is_never_music(text: str) -> None:
    assert sniff(io.BytesIO(("x" + text).encode("utf-8", "replace"))) is None
