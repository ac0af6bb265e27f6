"""Reads the text data sets that text emotion is trained on. Knows their files and columns, nothing of models."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import UserError

Floats = NDArray[np.float32]

PERSPECTIVES = ("reader", "writer")
_COLUMNS = ("V", "A", "D")
RATINGS = len(_COLUMNS) * (1 + len(PERSPECTIVES))
"""Numbers for each sentence of EmoBank."""


@dataclass(frozen=True, eq=False)
class Rated:
    """Texts with ratings: float32 [n, 3 or more], the first three V, A and D on [-1, 1]; NaN where there is none."""

    texts: tuple[str, ...]
    ratings: Floats


@dataclass(frozen=True, eq=False)
class EmoBank(Rated):
    """EmoBank (Buechel & Hahn 2017, EACL; CC BY-SA 4.0): sentences rated for valence, arousal and dominance.

    `ratings` float32 [n, 9]: V, A, D of all raters, of readers, of writers. `splits` holds the official split,
    `documents` the text that a sentence was taken from.
    """

    splits: tuple[str, ...]
    documents: tuple[str, ...]

    def rows(self, split: str) -> NDArray[np.intp]:
        """Return the row numbers of one official split."""
        return np.flatnonzero(np.array(self.splits) == split)


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers to train on and row numbers to measure on."""

    train: NDArray[np.intp]
    held_out: NDArray[np.intp]

    def truth(self, texts: Rated) -> Floats:
        """Return V, A and D of the held-out rows, [n, 3]."""
        return texts.ratings[self.held_out, :3]


FOLDS = 5


def split_officially(bank: EmoBank) -> Split:
    """Return EmoBank's own train and dev parts. Nearly every document has sentences in both."""
    return Split(bank.rows("train"), bank.rows("dev"))


def split_by_document(bank: EmoBank, fold: int) -> Split:
    """Return a split that holds out a fifth of the documents whole; `fold` (0 to 4) says which."""
    documents = np.random.default_rng(0).permutation(sorted(set(bank.documents)))
    held = set(documents[fold::FOLDS].tolist())
    is_held = np.array([document in held for document in bank.documents])
    return Split(np.flatnonzero(~is_held), np.flatnonzero(is_held))


@dataclass(frozen=True, eq=False)
class LabelledTexts:
    """Texts with any number of labels: `labels` float32 [n, number of labels] of 0 and 1."""

    texts: tuple[str, ...]
    labels: Floats


def read_emobank(folder: Path) -> EmoBank:
    """Read `folder`/emobank. Raises `UserError` for a missing file or column, or a value that is no number."""
    folder = folder / "emobank"
    rows = _read(folder / "emobank.csv", ("id", "split", "text", *_COLUMNS))
    documents = {row["id"]: row["document"] for row in _read(folder / "meta.tsv", ("id", "document"))}
    ratings = [_ratings(folder / "emobank.csv", rows)]
    for perspective in PERSPECTIVES:
        path = folder / f"{perspective}.csv"
        their_rows = _read(path, ("id", *_COLUMNS))
        found = dict(zip((row["id"] for row in their_rows), _ratings(path, their_rows), strict=True))
        missing = np.full(len(_COLUMNS), np.nan, dtype=np.float32)
        ratings.append(np.stack([found.get(row["id"], missing) for row in rows]))
    splits = tuple(row["split"] for row in rows)
    for split in ("train", "dev"):
        if split not in splits:
            raise UserError(f"{folder / 'emobank.csv'} has no {split} rows in its column split.", code="bad_data")
    return EmoBank(
        texts=tuple(row["text"] for row in rows),
        ratings=np.concatenate(ratings, axis=1),
        splits=splits,
        documents=tuple(documents.get(row["id"], row["id"]) for row in rows),
    )


def read_goemotions(folder: Path) -> tuple[LabelledTexts, list[str]]:
    """Read the training part of `folder`/goemotions (Demszky et al. 2020, ACL; CC BY 4.0) and its 28 labels' names.

    Raises `UserError` as `read_emobank` does.
    """
    folder = folder / "goemotions"
    rows = _read(folder / "train.tsv", ("text", "label"))
    names = _lines(folder / "emotions.txt")
    labels = np.zeros((len(rows), len(names)), dtype=np.float32)
    for row, label in zip(rows, labels, strict=True):
        try:
            label[[int(number) for number in row["label"].split(",")]] = 1.0
        except (ValueError, IndexError) as error:
            raise UserError(
                f"{folder / 'train.tsv'}: {row['label']!r} is not a list of numbers below {len(names)}.",
                code="bad_data",
            ) from error
    return LabelledTexts(tuple(row["text"] for row in rows), labels), names


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise UserError(f"The data file {path} is missing or cannot be read.", code="bad_data") from error


def _read(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a table (.csv: commas, .tsv: tabs, both with quotes) that must have `columns`."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            header = table.fieldnames or ()
            missing = [column for column in columns if column not in header]
            if missing:
                raise UserError(
                    f"{path} has no column {missing[0]!r}, only {', '.join(header) or 'nothing'}.", code="bad_data"
                )
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"The data file {path} is missing or cannot be read.", code="bad_data") from error
    if not rows:
        raise UserError(f"{path} has no rows.", code="bad_data")
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise UserError(f"Row {number} of {path} has not as many columns as its header.", code="bad_data")
    return rows


def _ratings(path: Path, rows: list[dict[str, str]]) -> Floats:
    """Ratings of 1 to 5 → [-1, 1], float32 [n, 3]."""
    try:
        ratings = np.array([[float(row[column]) for column in _COLUMNS] for row in rows], dtype=np.float32)
    except ValueError as error:
        raise UserError(f"{path} holds a rating that is not a number ({error}).", code="bad_data") from error
    if not ((ratings >= 1) & (ratings <= 5)).all():
        raise UserError(f"{path} holds a rating outside 1 to 5.", code="bad_data")
    return np.asarray((ratings - 3) / 2, dtype=np.float32)
