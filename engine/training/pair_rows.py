"""The file of (music, story) pairs: one JSON document a line, appended piece by piece, so that a run can go on where it
was stopped. Knows rows and files; knows no model.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from engine.errors import UserError
from engine.jobs import SCHEMA, VERSION, Alignment, CurveData, Language, StoryBeat, StoryText
from engine.whole import whole


@dataclass(frozen=True)
class Run:
    """What was asked for; all rows of a file share it. `words` None: by the length of the music; `seed` None: the
    piece's own."""

    storyteller: str
    stories: int
    keep: int
    language: Language
    words: int | None
    seed: int | None
    ratings: bool


@dataclass(frozen=True)
class PieceFacts:
    """The music: its file's or table's name, the SHA-256 of the audio, or of the curve where there was no audio."""

    name: str
    sha256: str
    duration_s: float


@dataclass(frozen=True)
class Opinion:
    """What people's ratings made of a row: the rating expected from its numbers (0 to 5), from how many pairs and votes
    that was learned, and how much it weighed in the ranking (0 to 1)."""

    expected: float
    pairs: int
    votes: int
    weight: float


@dataclass(frozen=True)
class PairRow:
    """One kept pair: rank `rank` of `stories` written; `mean_distance` is that of them all."""

    piece: PieceFacts
    curve: CurveData
    beats: tuple[StoryBeat, ...]
    language: Language
    story: StoryText
    alignment: Alignment
    rating: Opinion | None
    rank: int
    kept: int
    stories: int
    mean_distance: float
    seed: int
    models: dict[str, str]
    run: Run
    kind: Literal["pair"] = "pair"
    schema: int = SCHEMA
    version: str = VERSION


_ROW: TypeAdapter[PairRow] = TypeAdapter(PairRow)


def read_rows(path: Path) -> list[PairRow]:
    """Read a file of pairs. Raises `UserError` for a file that is none, also when it was cut off in a line."""
    return _parse(_content(path), path)


class PairFile:
    """A file that pairs are appended to."""

    def __init__(self, path: Path, run: Run) -> None:
        """Open `path`, which may hold rows of the same run: what an interrupted run left unfinished is cut off.

        Raises `UserError` for a file of another run or kind, or one that cannot be written.
        """
        self._path = path
        content = _content(path) if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        rows = _parse(whole, path)
        if rows and rows[0].run != run:
            raise UserError(
                f"{path} holds pairs that were asked for otherwise ({_differences(rows[0].run, run)}); name another "
                "--out, or ask for the same.",
                code="other_run",
            )
        have = Counter(row.piece.sha256 for row in rows)
        self.done = {row.piece.sha256 for row in rows if have[row.piece.sha256] >= row.kept}
        """SHA-256 of the pieces that are in the file."""
        lines = zip(whole.splitlines(keepends=True), rows, strict=True)
        finished = b"".join(line for line, row in lines if row.piece.sha256 in self.done)
        self._end = len(finished)
        if finished != content or not path.exists():
            _replace(path, finished)

    def add(self, rows: Sequence[PairRow]) -> None:
        """Append the rows of one piece, all or none. Raises `UserError` when the file cannot be written."""
        data = b"".join(_ROW.dump_json(row) + b"\n" for row in rows)
        try:
            with self._path.open("r+b") as file:
                try:
                    file.seek(self._end)
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(self._end)
                    raise
        except OSError as error:
            raise _unwritable(self._path, error) from None
        self._end += len(data)
        self.done |= {row.piece.sha256 for row in rows}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.", code="bad_pairs") from None


def _parse(data: bytes, path: Path) -> list[PairRow]:
    rows = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            rows.append(_ROW.validate_json(line))
        except ValidationError:
            raise UserError(
                f"Line {number} of {path} is no pair of `tunetale train pairs`; name another file.", code="bad_pairs"
            ) from None
    return rows


def _differences(had: Run, wants: Run) -> str:
    return ", ".join(f"{name} {value}" for name, value in vars(had).items() if value != getattr(wants, name))


def _replace(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as unfinished:
            unfinished.write_bytes(data)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path} cannot be written: {error.strerror}.", code="unwritable_out")
