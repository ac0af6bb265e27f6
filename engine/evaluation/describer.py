"""How good are descriptions? Compares describers on held-out stories, with the truth and a shuffled truth beside them.

    tunetale evaluate describer --data DIR [--model DIR] [--method 1|2] [--stories N] [--seed N]

The VA distance is that between story and description, both placed by the text model and each set standardised by the
references' mean and spread: the text model is the one that made the pairs, no independent judge.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engine.dispatch import OneSentenceParser
from engine.emotion.text import TextEmotion
from engine.music.composer import Describer
from engine.music.describer import RulesDescriber
from engine.music.t5 import T5Describer
from engine.settings import T5Settings
from engine.training.describer import HELD_OUT, Recipe, make_pairs
from engine.training.describer_data import EmotionWords, Pair, Scorer, split_by_group, standardised

CHOICES = 10
"""A description betrays its story when it is nearest to it among so many."""
_SHOWN = 3
_WORD = re.compile(r"[a-z]{4,}")


@dataclass(frozen=True)
class Measures:
    """`distance` in SDs of the references; `distinct2` and `betrayed` are shares in [0, 1]."""

    distance: float
    distinct2: float
    betrayed: float


def measure(
    stories: Sequence[str], descriptions: Sequence[str], references: Sequence[str], scorer: Scorer, seed: int
) -> Measures:
    """Measure descriptions of stories, one each, in order; `references` are true captions of the same set."""
    own = scorer(references)[:, :2].astype(np.float64)
    spread = own.std(axis=0)
    places = (scorer(descriptions)[:, :2] - own.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    wanted = standardised(scorer(stories)[:, :2])
    return Measures(
        distance=float(np.hypot(*(places - wanted).T).mean()),
        distinct2=distinct2(descriptions),
        betrayed=betrayed(stories, descriptions, seed),
    )


def distinct2(texts: Sequence[str]) -> float:
    """Return the share of different word pairs among all word pairs (Li et al. 2016)."""
    pairs = [pair for text in texts for words in [text.lower().split()] for pair in pairwise(words)]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def betrayed(stories: Sequence[str], descriptions: Sequence[str], seed: int) -> float:
    """Return how often a description shares most words (TF-IDF cosine) with its own story among CHOICES; a tie is a
    fair draw. 1 / CHOICES is chance."""
    vectors = _tf_idf([*stories, *descriptions])
    told, said = vectors[: len(stories)], vectors[len(stories) :]
    rng = Random(seed)
    hits = 0.0
    for i in range(len(stories)):
        others = rng.sample([j for j in range(len(stories)) if j != i], min(CHOICES, len(stories)) - 1)
        mine, theirs = float(said[i] @ told[i]), [float(said[i] @ told[j]) for j in others]
        if mine >= max(theirs):
            hits += 1 / (1 + sum(abs(x - mine) < 1e-12 for x in theirs))
    return hits / len(stories)


def _tf_idf(texts: Sequence[str]) -> NDArray[np.float64]:
    bags = [Counter(_WORD.findall(text.lower())) for text in texts]
    frequency = Counter(word for bag in bags for word in bag)
    column = {word: i for i, word in enumerate(frequency)}
    matrix = np.zeros((len(texts), len(column)))
    for row, bag in enumerate(bags):
        for word, count in bag.items():
            matrix[row, column[word]] = count * np.log(len(texts) / frequency[word])
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.where(norms > 0, norms, 1.0))


def descriptions_of(describer: Describer, pairs: Sequence[Pair], words: EmotionWords, seed: int) -> list[str]:
    """Describe each pair's story, as `compose` would."""
    return [describer.describe(words.beats(pair.story), pair.story, seed + i) for i, pair in enumerate(pairs)]


def main(arguments: Sequence[str]) -> int:
    """Run the evaluation from a command line."""
    parser = OneSentenceParser(prog="tunetale evaluate describer", description="How good are descriptions?")
    parser.add_argument("--data", type=Path, required=True, help="folder with musiccaps/ and stories/fairytaleqa/")
    parser.add_argument("--model", default="", help="folder that `tunetale train describer` wrote; empty: rules alone")
    parser.add_argument("--method", type=int, choices=(1, 2), default=2, help="which of the paper's data sets")
    parser.add_argument("--stories", type=int, default=100)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    text_model = TextEmotion.load()
    words = EmotionWords(text_model)
    recipe = Recipe(seed=given.seed)
    _, held = split_by_group(make_pairs(given.data, given.method, text_model, recipe), HELD_OUT, given.seed)
    held = held[: given.stories]
    stories, truth = [pair.story for pair in held], [pair.description for pair in held]
    shuffled = Random(given.seed).sample(truth, len(truth))
    columns = {"truth": truth, "truth, shuffled": shuffled}
    columns["rules"] = descriptions_of(RulesDescriber(), held, words, given.seed)
    if given.model:
        columns["T5"] = descriptions_of(T5Describer.load(T5Settings(model=given.model)), held, words, given.seed)

    def scorer(texts: Sequence[str]) -> NDArray[np.float32]:
        return text_model.score(texts).values

    console = Console()
    table = Table("describer", "VA distance (SD)", "distinct-2", f"betrays its story (1 of {CHOICES})")
    for name, descriptions in columns.items():
        found = measure(stories, descriptions, truth, scorer, given.seed)
        table.add_row(name, f"{found.distance:.3f}", f"{found.distinct2:.3f}", f"{found.betrayed:.2f}")
    console.print(f"{len(held)} held-out stories, method {given.method}, seed {given.seed}")
    console.print(table)
    examples = Table("generated", "truth", title="Generated and truth")
    for generated, true in list(zip(columns.get("T5", columns["rules"]), truth, strict=True))[:_SHOWN]:
        examples.add_row(generated, true)
    console.print(examples)
    return 0
