"""What a file is, told by its first bytes alone; its name and its sender's word count for nothing. Decodes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Literal

Kind = Literal["mp3", "aac", "wav", "flac", "ogg", "mp4", "webm", "aiff"]

_SEARCH_BYTES = 65_536
"""How far behind the tags the first MPEG frame may lie: cut recordings start in the middle of one."""
_FRAMES = 3
"""Frames that must follow one another: four bytes alone look like a header once in 2,000 random places."""
_MAX_TAGS = 8

# ISO/IEC 11172-3 and 13818-3, layer III: bit rates in kbit/s by index, sample rates in Hz.
_MP3_KBITS_MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MP3_KBITS_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MP3_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def sniff(file: BinaryIO) -> Kind | None:
    """Return what the seekable `file` holds, or None for anything that is not music. Moves the file's position."""
    file.seek(0)
    head = file.read(16)
    if (kind := _by_magic(head)) is not None:
        return kind
    start = _after_id3(file)
    file.seek(start)
    body = file.read(_SEARCH_BYTES)
    if start and (kind := _by_magic(body[:16])) is not None:
        return kind
    return _by_frames(body, tagged=start > 0)


def _by_magic(head: bytes) -> Kind | None:
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == b"OggS":
        return "ogg"
    if head[:4] == b"\x1aE\xdf\xa3":  # EBML: Matroska and WebM
        return "webm"
    if head[4:8] in (b"ftyp", b"moov", b"wide"):
        return "mp4"
    return None


def _after_id3(file: BinaryIO) -> int:
    """Return where the ID3v2 tags at the start end; 0 without one."""
    position = 0
    for _ in range(_MAX_TAGS):
        file.seek(position)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 0x7F:
            break
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]  # 4 × 7 bits ("syncsafe")
        position += 10 + size + (10 if head[5] & 0x10 else 0)  # bit 4: the tag has a footer
    return position


def _by_frames(body: bytes, tagged: bool) -> Kind | None:
    """Return mp3 or aac where a chain of MPEG audio frames starts in `body`."""
    position = body.find(b"\xff")
    while 0 <= position < len(body) - 7:
        at_start = tagged or position == 0
        if _chain(body, position, _mp3_frame, at_start):
            return "mp3"
        if _chain(body, position, _adts_frame, at_start):
            return "aac"
        position = body.find(b"\xff", position + 1)
    return None


def _chain(body: bytes, position: int, length_of: Callable[[bytes], int | None], short_is_enough: bool) -> bool:
    """Whether _FRAMES frames follow one another, or as many as the file has when it ends before."""
    for found in range(_FRAMES):
        length = length_of(body[position : position + 7])
        if length is None:
            return False
        position += length
        if position > len(body) - 7:
            return short_is_enough or found + 1 == _FRAMES
    return True


def _mp3_frame(head: bytes) -> int | None:
    """Return the length in bytes of the layer III frame with this header, or None."""
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or head[1] & 0x06 != 0x02:
        return None
    version, kbit_index, rate_index = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or kbit_index in (0, 15) or rate_index == 3:
        return None
    kbits = (_MP3_KBITS_MPEG1 if version == 3 else _MP3_KBITS_MPEG2)[kbit_index]
    return (144 if version == 3 else 72) * kbits * 1000 // _MP3_RATES_HZ[version][rate_index] + (head[2] >> 1 & 1)


def _adts_frame(head: bytes) -> int | None:
    """Return the length in bytes of the AAC frame with this ADTS header (ISO/IEC 14496-3, 1.A.2.2), or None."""
    if head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return None
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length > 7 else None
