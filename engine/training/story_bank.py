"""Builds the bank of story curves: every sentence of the fairy tales, scored by the text emotion model.

    python -m engine.training story-bank --data DIR [--out F] [--weights DIR]

The bank is what a pair's fit is held against (`engine/emotion/alignment.py`). It holds numbers, no text.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.dispatch import OneSentenceParser
from engine.emotion.sentences import split
from engine.emotion.text import ASSETS, TextEmotion
from engine.errors import UserError
from engine.training.arrays import write_arrays

OUT = ASSETS / "story_bank.npz"
_SUFFIX = "-story.csv"

Scorer = Callable[[Sequence[str]], NDArray[np.float32]]
"""Sentences → valence, arousal, dominance [n, 3]."""


def read_tales(folder: Path) -> list[list[str]]:
    """Read `folder`/stories/fairytaleqa (Xu et al. 2022, ACL; Apache-2.0): each tale's sections, tales by file name.

    Raises `UserError` where there is no tale, or a file cannot be read or has no column `text`.
    """
    folder = folder / "stories" / "fairytaleqa"
    tales = []
    for path in sorted(folder.glob(f"*{_SUFFIX}"), key=lambda path: path.name.encode()):
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"The tale {path} cannot be read.", code="bad_data") from error
        if any(row.get("text") is None for row in rows):
            raise UserError(f"{path} has no column 'text', or a row without it.", code="bad_data")
        tales.append([row["text"] for row in rows])
    if not tales:
        raise UserError(f"There are no tales (*{_SUFFIX}) in {folder}.", code="bad_data")
    return tales


def curves(tales: Sequence[Sequence[str]], scorer: Scorer) -> tuple[NDArray[np.float16], NDArray[np.int32]]:
    """Return valence and arousal of every sentence, float16 [N, 2], and the tales' borders, int32 [tales + 1].

    A tale without a sentence is left out.
    """
    counts, sentences = [0], []
    for sections in tales:
        found = [sentence for section in sections for sentence in split(section)]
        if found:
            sentences += found
            counts.append(len(found))
    values = scorer(sentences)[:, :2].astype(np.float16)
    return values, np.cumsum(counts, dtype=np.int32)


def write_bank(path: Path, values: NDArray[np.float16], offsets: NDArray[np.int32]) -> None:
    """Write an .npz of `values` and `offsets`, all or nothing; the same arrays give the same bytes."""
    write_arrays(path, {"values": values, "offsets": offsets})


def read_values(path: Path = OUT) -> NDArray[np.float32]:
    """Read what `write_bank` wrote: valence and arousal of every sentence [N, 2] on the text scale."""
    with np.load(path, allow_pickle=False) as data:
        return np.asarray(data["values"], dtype=np.float32)


def main(arguments: Sequence[str]) -> None:
    """Build the bank from the command line. Raises `UserError` on bad data or weights."""
    parser = OneSentenceParser(prog="python -m engine.training story-bank", description="Build the story bank.")
    parser.add_argument("--data", type=Path, required=True, help="folder with stories/fairytaleqa/")
    parser.add_argument("--out", type=Path, default=OUT, help="the .npz to write")
    parser.add_argument("--weights", type=Path, default=ASSETS / "text_emotion", help="folder of the text model")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(max(1, given.threads))
    tales = read_tales(given.data)
    model = TextEmotion.load(given.weights)
    values, offsets = curves(tales, lambda sentences: model.score(sentences).values)
    write_bank(given.out, values, offsets)
    mean, sd = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    print(f"{len(offsets) - 1} tales, {len(values):,} sentences, {given.out.stat().st_size:,} bytes in {given.out}")
    print(f"valence {mean[0]:+.3f} ± {sd[0]:.3f}, arousal {mean[1]:+.3f} ± {sd[1]:.3f}")
