"""How sound a text is as language: 1 reads like writing, 0 like gibberish. Knows word order, not sense.

Four detectors look for one fault each: words or letters out of order, repetition, random words or letters, an end that
was cut off. They weigh a dozen figures of the text; most important, how likely its neighbouring words are beside each
other. A text is as sound as its worst fault leaves it. The statistics were learned by `engine/training/gibberish.py`.

Pure numpy after loading. Sentences in a wrong order, wrong facts and dull stories pass: that is no gibberish.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.emotion.sentences import split
from engine.emotion.text_input import count_han, is_chinese
from engine.errors import UserError
from engine.jobs import Language

ASSETS = Path(__file__).parent.parent / "assets" / "gibberish"
ARRAYS = ("next", "after_next", "letters", "mean", "spread", "weights")
FORMAT = 1
"""Version of the files; a file of another version is refused."""

FAULTS = ("shuffled", "repeated", "random", "truncated")
FEATURES = (
    "next",  # mean association of neighbouring tokens
    "after_next",  # the same with one token between
    "rare",  # share of token pairs that are far rarer than chance
    "known",  # share of letters in known words (English), or of known characters (Chinese)
    "spelling",  # mean association of neighbouring letters in words (English)
    "repeated",  # share of runs of four tokens that occurred before
    "again",  # share of sentences that occurred before
    "stutter",  # share of tokens that equal one of the two before
    "variety",  # log types / log tokens (Herdan 1960)
    "longest",  # log of the longest sentence, in tokens
    "ended",  # whether the last mark ends a sentence
    "last",  # association of the last token with an end
)

LOWEST, STEP = -5.0, 1 / 24
"""Associations are stored as int8 steps; below LOWEST they all say the same."""
_RARE = -1.5
_RUN = 4

OTHER = "<>"
"""The class of words of no other class; always the first row."""
END = "."
"""The token of every mark that ends a sentence."""
_ENDS = frozenset(".!?…。！？⋯")
_PAUSES = {**dict.fromkeys(",;:—–", ","), **dict.fromkeys("，；：、", "，")}
_ENGLISH = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|[.!?…。！？⋯,;:—–，；：、]")
_CHINESE = re.compile(r"[A-Za-z]+|\d+|[.!?…。！？⋯,;:—–，；：、]|\w")
_SUFFIXES = ("ing", "ed", "ly", "ness", "tion", "est", "er", "able", "ful", "less", "ous", "al", "ity", "'s", "es", "s")
_LETTERS = " abcdefghijklmnopqrstuvwxyz'"
_CLOSING = "\"'”’」』）)]*_ \n\t"


def tokens(text: str, language: Language) -> list[str]:
    """Return words (English, in lower case) or characters (Chinese), and marks; all that end a sentence are one."""
    pattern = _CHINESE if language == "zh-TW" else _ENGLISH
    found: list[str] = []
    for match in pattern.finditer(text):
        token = match[0].replace("’", "'")
        token = END if token in _ENDS else _PAUSES.get(token, token)
        if token == END and found and found[-1] == END:
            continue  # ?! and …… are one end
        found.append(token.lower())
    return found


def word_class(token: str, language: Language) -> str:
    """Return what stands for a token that is not among the known ones."""
    if token.isdigit():
        return "<number>"
    if language == "zh-TW":
        return "<Chinese>" if count_han(token) else "<foreign>"
    if not token.isascii():
        return "<foreign>"
    return next(
        (f"<{suffix}>" for suffix in _SUFFIXES if len(token) > len(suffix) + 2 and token.endswith(suffix)), OTHER
    )


@dataclass(frozen=True, eq=False)
class Statistics:
    """What is known of a language. `next`, `after_next` int8 [tokens, tokens] and `letters` int8 [27, 27]: log of how
    much more often b follows a than by chance, in STEPs; `weights` [faults, features + 1] for standardised figures."""

    language: Language
    vocabulary: tuple[str, ...]
    next: NDArray[np.int8]
    after_next: NDArray[np.int8]
    letters: NDArray[np.int8]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    weights: NDArray[np.float64]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Return the row of each known token."""
        return {token: number for number, token in enumerate(self.vocabulary)}

    def rows(self, found: Sequence[str]) -> NDArray[np.intp]:
        """Return the table rows of tokens; 0 is any other word."""
        numbers = self.numbers
        return np.array(
            [numbers.get(token) or numbers.get(word_class(token, self.language), 0) for token in found], np.intp
        )


def associations(table: NDArray[np.int8], rows: NDArray[np.intp], distance: int = 1) -> NDArray[np.float64]:
    """Return the association of each token with the one `distance` after it."""
    return np.asarray(table[rows[:-distance], rows[distance:]] * STEP, dtype=np.float64)


def letter_rows(word: str) -> NDArray[np.intp]:
    """Return the rows of a word's letters with a border before and after."""
    return np.array([max(0, _LETTERS.find(letter)) for letter in f" {word} "], np.intp)


def features(text: str, known: Statistics) -> NDArray[np.float64]:
    """Return the figures of FEATURES for a text of at least one token. Float64 [features]."""
    found = tokens(text, known.language)
    rows = known.rows(found)
    pairs = associations(known.next, rows)
    words = [token for token in found if token not in (END, ",", "，")]
    sentences = [tuple(tokens(sentence, known.language)) for sentence in split(text)]
    runs = Counter(zip(*(found[k:] for k in range(_RUN)), strict=False))
    number_of_runs = max(1, len(found) - _RUN + 1)
    stutters = sum(token in found[max(0, i - 2) : i] for i, token in enumerate(found) if token.isalnum())
    return np.array(
        [
            _mean(pairs),
            _mean(associations(known.after_next, rows, 2)),
            _mean(pairs < _RARE),
            sum(len(word) for word in words if word in known.numbers) / max(1, sum(map(len, words))),
            _spelling(words, known),
            (sum(runs.values()) - len(runs)) / number_of_runs,
            1 - len(set(sentences)) / max(1, len(sentences)),
            stutters / len(found),
            math.log(len(set(found)) + 1) / math.log(len(found) + 2),
            math.log(1 + max(map(len, sentences), default=0)),
            float(text.rstrip(_CLOSING)[-1:] in _ENDS),
            float(known.next[rows[-2 if found[-1] == END and len(found) > 1 else -1], known.numbers[END]]) * STEP,
        ]
    )


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _spelling(words: Sequence[str], known: Statistics) -> float:
    if known.language == "zh-TW":
        return 0.0
    return _mean(np.concatenate([associations(known.letters, letter_rows(word)) for word in words] or [np.zeros(0)]))


class GibberishDetector:
    """Scores texts. Safe to use from several threads: it changes nothing after it is loaded."""

    def __init__(self, languages: Sequence[Statistics]) -> None:
        self._known = {one.language: one for one in languages}
        self.name = "TuneTale gibberish detector"

    @classmethod
    def load(cls, folder: Path = ASSETS) -> GibberishDetector:
        """Load both languages. Raises `UserError` where a file is missing, damaged or of another version."""
        return cls([read_statistics(folder / f"{language}.npz", language) for language in ("en", "zh-TW")])

    def vocabulary(self, language: Language) -> tuple[str, ...]:
        """Return the known tokens of a language."""
        return self._known[language].vocabulary

    def score(self, text: str, language: Language) -> float:
        """Return how sound the text is, in [0, 1]; below .5 it is more likely gibberish. No words: 0."""
        return min(self.faults(text, language).values())

    def faults(self, text: str, language: Language) -> dict[str, float]:
        """Return for each of FAULTS the probability, in [0, 1], that the text does not have it.

        A text in another script than that of `language` has all of them.
        """
        known = self._known[language]
        if is_chinese(text) != (language == "zh-TW") or not any(char.isalpha() for char in text):
            return dict.fromkeys(FAULTS, 0.0)
        figures = standardised(features(text, known), known.mean, known.spread)
        logits = known.weights @ np.append(figures, 1.0)
        return {fault: 1 / (1 + math.exp(-logit)) for fault, logit in zip(FAULTS, logits.tolist(), strict=True)}


def standardised(
    figures: NDArray[np.float64], mean: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return figures on the scale of real texts, cut at ±6: one absurd figure must not outvote the rest."""
    return np.clip((figures - mean) / spread, -6.0, 6.0)


def read_statistics(path: Path, language: Language) -> Statistics:
    """Read what `write_statistics` wrote. Raises `UserError` where it is missing, damaged or of another version."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            version = int(data["format"])
            if version != FORMAT:
                raise UserError(
                    f"The gibberish statistics {path} are of version {version}, this program reads version {FORMAT}; "
                    "train gibberish again or reinstall tunetale.",
                    code="wrong_version",
                )
            vocabulary = tuple(bytes(data["vocabulary"]).decode("utf-8").split("\n"))
            arrays = {name: data[name] for name in ARRAYS}
            read = Statistics(language, vocabulary, **arrays)
        square, shape = (len(vocabulary),) * 2, (len(FAULTS), len(FEATURES) + 1)
        right = read.next.shape == read.after_next.shape == square and read.weights.shape == shape
        if not (right and vocabulary[0] == OTHER and END in vocabulary and np.isfinite(read.weights).all()):
            raise ValueError(path)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(
            f"The gibberish statistics are missing or damaged ({path}); reinstall tunetale or train gibberish again.",
            code="damaged_weights",
        ) from error
    return read
