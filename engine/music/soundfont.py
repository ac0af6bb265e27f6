"""Finds and checks SoundFont 2 files. Knows the RIFF layout of an .sf2; knows nothing of MIDI or sound.

The synthesiser's C code trusts the indices in the file, so a damaged one could crash the whole worker. Hence every
index is checked here first. Layout: SoundFont Technical Specification 2.04, chapters 4–7.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pretty_midi

from engine.errors import UserError

BUNDLED = Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"
"""Tim Brechbill's General MIDI set, 6 MB, which comes with pretty_midi."""

_RECORD_BYTES = {"phdr": 38, "pbag": 4, "pgen": 4, "inst": 22, "ibag": 4, "igen": 4, "shdr": 46}
"""Size of one record of each index table (spec, chapter 7); the last record of each is a terminator."""

_INSTRUMENT, _SAMPLE = 41, 53
"""Generators whose amount is an index: instrument (preset zones) and sampleID (instrument zones)."""


def load_soundfont(path: Path | None = None) -> bytes:
    """Return the bytes of a whole, consistent SoundFont; `None` means the bundled one.

    Raises `UserError` (code "soundfont_missing" or "soundfont_damaged").
    """
    path = path or BUNDLED
    try:
        data = path.read_bytes()
    except OSError:
        raise UserError(
            f"SoundFont {path} cannot be read; give the path of an existing .sf2 file, or none for the bundled one.",
            code="soundfont_missing",
        ) from None
    try:
        _check(data)
    except (ValueError, KeyError, IndexError, struct.error):
        raise UserError(
            f"The SoundFont {path} is damaged or not a SoundFont 2 file; fetch it again, or name another one.",
            code="soundfont_damaged",
        ) from None
    return data


def _chunks(data: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Yield the (id, content) of the RIFF chunks that lie side by side in `data`."""
    at = 0
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > len(data):
            raise ValueError(f"chunk {name!r} is cut short")
        yield name.decode("latin-1"), data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _check(data: bytes) -> None:
    outer = dict(_chunks(memoryview(data)))["RIFF"]
    if bytes(outer[:4]) != b"sfbk":
        raise ValueError("not a SoundFont")
    lists = {bytes(body[:4]).decode("latin-1"): body[4:] for name, body in _chunks(outer[4:]) if name == "LIST"}
    samples = len(dict(_chunks(lists["sdta"]))["smpl"]) // 2
    tables = dict(_chunks(lists["pdta"]))
    counts = {name: len(tables[name]) // size for name, size in _RECORD_BYTES.items()}
    if any(len(tables[name]) % size or counts[name] < 2 for name, size in _RECORD_BYTES.items()):
        raise ValueError("an index table is empty or cut short")

    def column(name: str, at: int, kind: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        rows = np.frombuffer(tables[name], np.uint8).reshape(-1, _RECORD_BYTES[name])
        width = np.dtype(kind).itemsize
        return np.ascontiguousarray(rows[:, at : at + width]).view(kind)[:, 0].astype(np.int64)

    def ascending(values: np.ndarray[tuple[int], np.dtype[np.int64]], limit: int) -> None:
        if (np.diff(values) < 0).any() or values[-1] > limit:
            raise ValueError("an index points backwards or outside")

    ascending(column("phdr", 24, "<u2"), counts["pbag"] - 1)
    ascending(column("pbag", 0, "<u2"), counts["pgen"] - 1)
    ascending(column("inst", 20, "<u2"), counts["ibag"] - 1)
    ascending(column("ibag", 0, "<u2"), counts["igen"] - 1)
    for table, generator, target in (("pgen", _INSTRUMENT, "inst"), ("igen", _SAMPLE, "shdr")):
        amounts = column(table, 2, "<u2")[column(table, 0, "<u2") == generator]
        if len(amounts) == 0 or amounts.max() >= counts[target] - 1:
            raise ValueError(f"{table} points outside {target}")
    start, end, loop_start, loop_end = (column("shdr", at, "<u4")[:-1] for at in (20, 24, 28, 32))
    if (start > end).any() or max(end.max(), loop_start.max(), loop_end.max()) > samples:
        raise ValueError("a sample lies outside the sample data")
