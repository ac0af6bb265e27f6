"""How well does the gibberish detector tell sound texts from faulty ones? Measured on documents held out from training.

    tunetale evaluate gibberish --data DIR [--seed N]

Every excerpt of a held-out document is scored as it is and once with each fault. Accuracy weighs sound and faulty texts
alike; a detector that always says the same has .5.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from engine.dispatch import OneSentenceParser
from engine.emotion.gibberish import ASSETS, FAULTS, GibberishDetector
from engine.evaluation.metrics import bootstrap_interval
from engine.jobs import Language
from engine.training.gibberish_data import Documents, corrupt, excerpts, read_chinese, read_english

_ROUNDS = {"en": 1, "zh-TW": 10}
"""How often each document is cut into excerpts: few are held out in Chinese."""


@dataclass(frozen=True)
class Accuracy:
    """Of one language: texts, share of sound ones let pass, share of each fault found, accuracy over all and its
    95 % interval by bootstrap over documents."""

    documents: int
    texts: int
    passed: float
    found: Mapping[str, float]
    accuracy: float
    interval: tuple[float, float]


def measure(detector: GibberishDetector, documents: Documents, language: Language, seed: int = 1) -> Accuracy:
    """Score the held-out documents. Same input, same result."""
    rng = np.random.default_rng(seed)
    vocabulary = detector.vocabulary(language)
    owners: list[int] = []
    sound: list[bool] = []
    caught: dict[str, list[bool]] = {fault: [] for fault in FAULTS}
    for number, passages in enumerate(documents.held_out):
        for _ in range(_ROUNDS[language]):
            for text in excerpts(passages, language, rng):
                owners.append(number)
                sound.append(detector.score(text, language) >= 0.5)
                for fault in FAULTS:
                    faulty = corrupt(text, fault, language, vocabulary, rng)
                    caught[fault].append(detector.score(faulty, language) < 0.5)
    right = (np.array(sound, float) + np.mean([caught[fault] for fault in FAULTS], axis=0)) / 2
    interval = bootstrap_interval(lambda truth, _: float(truth.mean()), right, right, groups=owners, seed=seed)
    return Accuracy(
        documents=len(set(owners)),
        texts=len(owners),
        passed=float(np.mean(sound)),
        found={fault: float(np.mean(caught[fault])) for fault in FAULTS},
        accuracy=float(right.mean()),
        interval=interval,
    )


def print_accuracy(measured: Mapping[Language, Accuracy], console: Console) -> None:
    """Print one row per language."""
    table = Table(
        "language", "documents", "texts", "sound let pass", *FAULTS, "accuracy", "95 % CI", "constant", title="held out"
    )
    for language, one in measured.items():
        low, high = one.interval
        shares = (f"{share:.3f}" for share in (one.passed, *(one.found[fault] for fault in FAULTS), one.accuracy))
        table.add_row(language, str(one.documents), str(one.texts), *shares, f"{low:.3f} to {high:.3f}", ".500")
    console.print(table)


def main(arguments: Sequence[str]) -> int:
    """Measure from the command line. Raises `UserError` on bad data or weights."""
    parser = OneSentenceParser(
        prog="tunetale evaluate gibberish", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with stories/ and emobank/")
    parser.add_argument("--weights", type=Path, default=ASSETS, help="folder of the statistics")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    detector = GibberishDetector.load(given.weights)
    documents: dict[Language, Documents] = {"en": read_english(given.data), "zh-TW": read_chinese()}
    measured = {language: measure(detector, found, language, given.seed) for language, found in documents.items()}
    print_accuracy(measured, Console(width=150))
    return 0
