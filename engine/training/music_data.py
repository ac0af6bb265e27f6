"""The labelled music that the music model learns from. Knows the layout of three data sets and how their labels
become one plane; knows nothing of the model.

What the labels are: VGMIDI, valence and arousal per bar; EMOPIA, one quadrant per clip; Emotify, shares of listeners
who chose each of nine GEMS emotions, from which valence and arousal are only *proxies*:

    valence = joy + tenderness + amazement + calmness - tension - sadness
    arousal = power + joy + tension - calmness - tenderness - sadness
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from engine.emotion import chords, features, pulse, tonality
from engine.emotion.curve import RATE_HZ
from engine.emotion.features import Array, extract
from engine.errors import UserError
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music.synth import Synth
from engine.training import render
from engine.whole import whole

SetName = Literal["vgmidi", "emopia", "emotify"]
Programs = Mapping[SetName, tuple[int, ...]]

RENDER_SECONDS = {"vgmidi": 90.0, "emopia": 60.0}

PIANO, HARP, STRINGS, BRASS, CLARINET = 0, 46, 48, 61, 71
"""General MIDI programs, counted from 0: grand piano, harp, string ensemble, brass section, clarinet."""

PROGRAMS: Programs = {"vgmidi": (PIANO, STRINGS), "emopia": (PIANO,)}
"""What each rendered piece is played on: struck and sustained. EMOPIA are performances on a piano."""

FAMILIES = (PIANO, HARP, STRINGS, BRASS, CLARINET)
"""One program of each family: what is played on them teaches a model to hear what is composed for an orchestra."""
WIDELY: Programs = {"vgmidi": FAMILIES, "emopia": FAMILIES}

VALENCE_PROXY = {
    "joyful_activation": 1, "tenderness": 1, "amazement": 1, "calmness": 1, "tension": -1, "sadness": -1,
}  # fmt: skip
AROUSAL_PROXY = {"power": 1, "joyful_activation": 1, "tension": 1, "calmness": -1, "tenderness": -1, "sadness": -1}

GEMS = (
    "amazement", "solemnity", "tenderness", "nostalgia", "calmness", "power", "joyful_activation", "tension", "sadness",
)  # fmt: skip
"""The Geneva Emotional Music Scale (Zentner, Grandjean & Scherer 2008, Emotion 8), as Emotify's columns name it."""

QUADRANTS = {"Q1": (1.0, 1.0), "Q2": (-1.0, 1.0), "Q3": (-1.0, -1.0), "Q4": (1.0, -1.0)}


@dataclass(frozen=True, eq=False)
class Example:
    """One sounding version of one labelled piece.

    `group` (series, song or track) never lies on both sides of a split; `part` is the set's own division. `song` is
    (valence, arousal) of the whole: in the set's own unit for VGMIDI and Emotify, signs for EMOPIA. `curve` [T, 2],
    VGMIDI only, is the label at every row.
    """

    set: SetName
    name: str
    group: str
    part: str
    version: int
    rows: Array
    song: tuple[float, float]
    curve: Array | None = None
    place: NDArray[np.float64] | None = None
    """Position of every row in the piece, 0 to 1; VGMIDI only, for the bar-position control."""
    gems: tuple[float, ...] = ()
    """Emotify only: the share of its listeners who chose each of GEMS."""


Tell = Callable[[str, float], None]
"""Called with what is being read and how far it is, 0 to 1."""


def load(data: Path, cache: Path, sets: Iterable[SetName], tell: Tell, programs: Programs = PROGRAMS) -> list[Example]:
    """Read, render and describe the named sets; features are kept under `cache`.

    Raises `UserError` naming the file or column that is missing.
    """
    synth, store = Synth(), _Cache(cache)
    labelled = {name: list(_READERS[name](data / name)) for name in sets}  # all of it, before the long work starts
    examples: list[Example] = []
    for name, pieces in labelled.items():
        for done, piece in enumerate(pieces):
            examples += _sounding(piece, programs.get(name, ()), synth, store)
            tell(f"{name}: listening", (done + 1) / len(pieces))
    return examples


@dataclass(frozen=True)
class _Piece:
    set: SetName
    name: str
    group: str
    part: str
    path: Path
    song: tuple[float, float]
    bars: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    gems: tuple[float, ...] = ()


def _sounding(piece: _Piece, programs: tuple[int, ...], synth: Synth, store: _Cache) -> Iterator[Example]:
    if piece.set == "emotify":
        yield _example(piece, 0, store.rows(piece.path, "audio", lambda: _read_audio(piece.path)))
        return
    seconds = RENDER_SECONDS[piece.set]
    for program in programs:

        def play(program: int = program) -> Array:
            return render.render(render.read_midi(piece.path), synth, program=program, seconds=seconds)

        yield _example(piece, program, store.rows(piece.path, f"{program}-{seconds}", play))


def _example(piece: _Piece, version: int, rows: Array) -> Example:
    common: dict[str, Any] = {"set": piece.set, "name": piece.name, "group": piece.group, "part": piece.part}
    if piece.bars is None:
        return Example(**common, version=version, rows=rows, song=piece.song, gems=piece.gems)
    place = render.bar_positions(piece.path, (np.arange(len(rows)) + 0.5) / RATE_HZ)
    labels = np.array(piece.bars, np.float32).T
    bar = np.minimum((place * len(labels)).astype(int), len(labels) - 1)
    return Example(**common, version=version, rows=rows, song=piece.song, curve=labels[bar], place=place)


def _read_vgmidi(folder: Path) -> Iterator[_Piece]:
    try:
        pieces = json.loads(_file(folder / "pieces.json").read_text(encoding="utf-8"))
        for piece in pieces:
            bars = (tuple(piece["valence"]), tuple(piece["arousal"]))
            if not bars[0] or len(bars[0]) != len(bars[1]) or not np.isfinite(bars).all():
                raise ValueError(f"the bars of {piece['midi']!r}")
            mean = (float(np.mean(bars[0])), float(np.mean(bars[1])))
            path = _file(folder / "midi" / piece["midi"])
            yield _Piece("vgmidi", piece["midi"], piece["series"], "", path, mean, bars)
    except (KeyError, TypeError, ValueError) as error:  # no text and no JSON are among the last
        raise _damaged(folder / "pieces.json", error) from None


def _read_emopia(folder: Path) -> Iterator[_Piece]:
    """The published split; training clips of a song that also occurs in validation are dropped."""
    rows = list(read_table(folder / "clips.csv", "clip", "song", "split", "quadrant"))
    validation = {row["song"] for row in rows if row["split"] == "val"}
    for row in rows:
        if row["split"] == "val" or row["song"] not in validation:
            path = _file(folder / "midi" / f"{row['clip']}.mid")
            part = "val" if row["split"] == "val" else "train"
            if row["quadrant"] not in QUADRANTS:
                raise _damaged(folder / "clips.csv", f"quadrant {row['quadrant']!r}")
            yield _Piece("emopia", row["clip"], row["song"], part, path, QUADRANTS[row["quadrant"]])


def _read_emotify(folder: Path) -> Iterator[_Piece]:
    for row in read_table(folder / "ratings.csv", "track", "genre", *GEMS):
        try:
            gems = tuple(float(row[name]) for name in GEMS)
            if not np.isfinite(gems).all():
                raise ValueError(f"no number in the row of track {row['track']}")
            song = tuple(sum(w * float(row[k]) for k, w in proxy.items()) for proxy in (VALENCE_PROXY, AROUSAL_PROXY))
        except ValueError as error:
            raise _damaged(folder / "ratings.csv", error) from None
        path = _file(folder / "audio" / f"{row['track']}.ogg")
        yield _Piece("emotify", row["track"], row["track"], row["genre"], path, (song[0], song[1]), gems=gems)


_READERS: dict[SetName, Callable[[Path], Iterator[_Piece]]] = {
    "vgmidi": _read_vgmidi,
    "emopia": _read_emopia,
    "emotify": _read_emotify,
}


def _read_audio(path: Path) -> Array:
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise _damaged(path, error.error_string) from None
    if rate != ANALYSIS_RATE_HZ:
        raise _damaged(path, f"{rate} Hz instead of {ANALYSIS_RATE_HZ}")
    return np.ascontiguousarray(samples.mean(axis=1))


def read_table(path: Path, *columns: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file. Raises `UserError` when it is missing or no such table, lacks one of `columns`, or
    a row ends before one of them."""
    with _file(path).open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        try:
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path} has no column {missing[0]!r}; fetch the data set again.", code="data_damaged")
            for row in reader:
                if any(row[name] is None for name in columns):
                    raise _damaged(path, f"line {reader.line_num} is too short")
                yield row
        except (UnicodeDecodeError, csv.Error) as error:
            raise _damaged(path, error) from None


def _file(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path} is missing; give --data the folder that holds the data sets.", code="data_missing")
    return path


def _damaged(path: Path, why: object) -> UserError:
    return UserError(f"{path} is not as expected ({why}); fetch the data set again.", code="data_damaged")


class _Cache:
    """Feature rows on disk, named after what they were made from: the file, how it was played, and our own code."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "music-features"
        self._folder.mkdir(parents=True, exist_ok=True)
        sources = (features, tonality, chords, pulse, render)
        code = b"".join(Path(str(module.__file__)).read_bytes() for module in sources)
        self._code = hashlib.sha256(code).digest()

    def rows(self, source: Path, version: str, sound: Callable[[], Array]) -> Array:
        """Return the feature rows of `sound()`, which belongs to `source` in `version`."""
        key = hashlib.sha256(self._code + version.encode() + source.read_bytes()).hexdigest()[:32]
        path = self._folder / f"{key}.npy"
        if path.is_file():
            kept: Array = np.load(path)
            return kept
        rows = extract(sound()).rows
        with whole(path) as part, part.open("wb") as out:
            np.save(out, rows)
        return rows
