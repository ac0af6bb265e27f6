"""Trains the gibberish detector: associations of neighbouring words, then one logistic detector per fault.

    tunetale train gibberish --data DIR [--out DIR] [--seed N]

English learns from tales and books (`gibberish_data`), Chinese from this project's own story fragments. The detectors
learn on documents that the associations were not counted on, because only there do unseen texts look as they will.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from engine.dispatch import OneSentenceParser
from engine.emotion.gibberish import (
    ARRAYS,
    ASSETS,
    FAULTS,
    FEATURES,
    FORMAT,
    LOWEST,
    OTHER,
    STEP,
    Statistics,
    features,
    letter_rows,
    standardised,
    tokens,
    word_class,
)
from engine.errors import UserError
from engine.jobs import Language
from engine.training.arrays import write_arrays
from engine.training.gibberish_data import Corpus, corrupt, excerpts, read_chinese, read_english

_VOCABULARY = {"en": 1200, "zh-TW": 1500}
"""Known tokens: more would not be smaller than a megabyte (English), or are not seen twice (Chinese)."""
_PRIOR = {"en": 4.0, "zh-TW": 2.0}
"""Weight of chance against counts (MacKay & Peto 1995), in occurrences."""
_RIDGE = 1e-3
_COUNTED = 0.6
"""Share of the documents that associations are counted on; the detectors learn on the rest."""


def count(texts: Sequence[str], language: Language) -> Statistics:
    """Count associations in `texts`; the weights are still zero."""
    found = [tokens(text, language) for text in texts]
    often = Counter(token for one in found for token in one)
    classes = {word_class(token, language) for token in often} - {OTHER}
    ranked = sorted(often, key=lambda token: (-often[token], token))
    vocabulary = (OTHER, *sorted(classes), *ranked[: _VOCABULARY[language] - len(classes) - 1])
    size, width = len(vocabulary), len(FEATURES)
    empty = Statistics(
        language=language,
        vocabulary=vocabulary,
        next=np.zeros((size, size), np.int8),
        after_next=np.zeros((size, size), np.int8),
        letters=np.zeros((0, 0), np.int8),
        mean=np.zeros(width),
        spread=np.ones(width),
        weights=np.zeros((len(FAULTS), width + 1)),
    )
    rows = [empty.rows(one) for one in found]
    words = [letter_rows(token) for token in ranked if token.isalpha() for _ in range(min(often[token], 50))]
    prior = _PRIOR[language]
    return replace(
        empty,
        next=_associations(rows, 1, size, prior),
        after_next=_associations(rows, 2, size, prior),
        letters=_associations(words, 1, 28, prior) if language == "en" else np.zeros((28, 28), np.int8),
    )


def _associations(rows: Sequence[NDArray[np.intp]], distance: int, size: int, prior: float) -> NDArray[np.int8]:
    """Return log p(b | a) / p(b) in STEPs, p(b | a) smoothed towards p(b) by `prior` occurrences."""
    pairs = np.zeros((size, size))
    for one in rows:
        np.add.at(pairs, (one[:-distance], one[distance:]), 1.0)
    before, after = pairs.sum(axis=1, keepdims=True), pairs.sum(axis=0, keepdims=True) + 1e-9
    chance = after / after.sum()
    values = np.log((pairs + prior * chance) / ((before + prior) * chance))
    return np.asarray(np.rint(np.clip(values, LOWEST, -LOWEST) / STEP), dtype=np.int8)


def fit(known: Statistics, sound: Sequence[str], faulty: dict[str, Sequence[str]]) -> Statistics:
    """Return `known` with detectors that tell `sound` texts from those of each fault, both sides weighing the same."""
    good = np.stack([features(text, known) for text in sound])
    mean, spread = good.mean(axis=0), good.std(axis=0) + 1e-3
    weights = []
    for fault in FAULTS:
        bad = np.stack([features(text, known) for text in faulty[fault]])
        weights.append(_logistic(standardised(good, mean, spread), standardised(bad, mean, spread)))
    return replace(known, mean=mean, spread=spread, weights=np.stack(weights))


def _logistic(good: NDArray[np.float64], bad: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights and bias of a ridge logistic regression that gives `good` rows 1 and `bad` rows 0."""
    x = np.column_stack([np.concatenate([good, bad]), np.ones(len(good) + len(bad))])
    side = np.repeat([1.0, -1.0], [len(good), len(bad)])
    share = np.repeat([0.5 / len(good), 0.5 / len(bad)], [len(good), len(bad)])
    slopes = np.append(np.ones(x.shape[1] - 1), 0.0)  # the bias is free

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = side * (x @ w)
        value = float(share @ np.logaddexp(0, -margin) + _RIDGE * (slopes * w) @ w)
        gradient = x.T @ (-share * side / (1 + np.exp(np.clip(margin, -50, 50)))) + 2 * _RIDGE * slopes * w
        return value, gradient

    found = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(found.x, dtype=np.float64)


def train(corpus: Corpus, language: Language, seed: int) -> Statistics:
    """Count on some documents of `corpus`, fit the detectors on excerpts of the others. Same input, same result."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(corpus))
    cut = max(1, round(_COUNTED * len(corpus)))
    known = count([text for i in order[:cut] for text in corpus[i]], language)
    sound = [text for i in order[cut:] for text in excerpts(corpus[i], language, rng)]
    if not sound:
        raise UserError(f"There is too little text of language {language} to learn from.", code="bad_data")
    faulty: dict[str, Sequence[str]] = {
        fault: [corrupt(text, fault, language, known.vocabulary, rng) for text in sound] for fault in FAULTS
    }
    return fit(known, sound, faulty)


def write_statistics(path: Path, known: Statistics) -> None:
    """Write an .npz, all or nothing; the same statistics give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        "format": np.array(FORMAT),
        "vocabulary": np.frombuffer("\n".join(known.vocabulary).encode(), np.uint8),
    }
    write_arrays(path, arrays | {name: getattr(known, name) for name in ARRAYS})


def main(arguments: Sequence[str]) -> None:
    """Train both languages from the command line. Raises `UserError` on bad data."""
    parser = OneSentenceParser(prog="tunetale train gibberish", description="Train the gibberish detector.")
    parser.add_argument("--data", type=Path, required=True, help="folder with stories/ and emobank/")
    parser.add_argument("--out", type=Path, default=ASSETS, help="folder for the statistics")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    corpora: dict[Language, Corpus] = {"en": read_english(given.data).train, "zh-TW": read_chinese().train}
    for language, corpus in corpora.items():
        path = given.out / f"{language}.npz"
        write_statistics(path, train(corpus, language, given.seed))
        print(f"{language}: {len(corpus)} documents; {path.stat().st_size:,} bytes in {path}")
