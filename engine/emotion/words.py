"""The emotion words: 151 terms with their place on the plane. Knows the table; knows no curve and no model.

Coordinates are the means of Russell, J. A. & Mehrabian, A. (1977), "Evidence for a three-factor theory of
emotions", Journal of Research in Personality 11, 273–294.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.jobs import Language

_TABLE = Path(__file__).parent.parent / "assets" / "emotion_words.csv"


@dataclass(frozen=True)
class EmotionWord:
    """A term and its coordinates in [-1, 1]; `feels` is the English form that completes "it feels …"."""

    term: str
    valence: float
    arousal: float
    dominance: float
    zh_tw: str
    feels: str
    shown: bool


class Words:
    """The table of emotion words; immutable."""

    def __init__(self, words: Sequence[EmotionWord]) -> None:
        self._by_term = {word.term: word for word in words}
        # Two terms of the paper read as sexual on a card and are never chosen; they stay in the table.
        self._shown = tuple(word for word in words if word.shown)
        self._places = np.array([(word.valence, word.arousal) for word in self._shown], dtype=np.float64)

    @staticmethod
    @cache
    def load(path: Path = _TABLE) -> Words:
        """Return the shipped table, read once in a process."""
        with path.open(encoding="utf-8", newline="") as file:
            return Words(
                [
                    EmotionWord(
                        term=row["term"],
                        valence=float(row["valence"]),
                        arousal=float(row["arousal"]),
                        dominance=float(row["dominance"]),
                        zh_tw=row["zh_tw"],
                        feels=row["feels"],
                        shown=row["shown"] == "1",
                    )
                    for row in csv.DictReader(file)
                ]
            )

    def __len__(self) -> int:
        return len(self._by_term)

    def __getitem__(self, term: str) -> EmotionWord:
        """Return the word; KeyError if the table has no such term."""
        return self._by_term[term]

    def nearest(self, va: Sequence[float], k: int = 1) -> tuple[EmotionWord, ...]:
        """Return the k words nearest to the point (valence, arousal) **of the word plane**, nearest first.

        Words at the same distance come in the order of the paper's table.
        """
        distances = self.distances(va)
        return tuple(self._shown[i] for i in np.argsort(distances, kind="stable")[:k])

    def places(self) -> NDArray[np.float64]:
        """Return where the shown words lie, [n, 2], in the order of the table."""
        return self._places.copy()

    def distances(self, va: Sequence[float]) -> NDArray[np.float64]:
        """Return the Euclidean distance of every shown word to the point, in the order of the table."""
        offsets = self._places - np.asarray(va, dtype=np.float64)
        distances: NDArray[np.float64] = np.hypot(offsets[:, 0], offsets[:, 1])
        return distances

    def translate(self, term: str, language: Language) -> str:
        """Return the term as it stands on a card in `language`; KeyError if the table has no such term."""
        word = self._by_term[term]
        return word.zh_tw if language == "zh-TW" else word.term

    def phrase(self, term: str, language: Language) -> str:
        """Return the term as it stands in a sentence: "it feels …", 「感覺…」."""
        word = self._by_term[term]
        return word.zh_tw if language == "zh-TW" else word.feels
