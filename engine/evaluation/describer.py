"""How good are descriptions? Compares describers on held-out stories, beside the truth and trivial describers.

    tunetale evaluate describer --data DIR [--model DIR] [--method 1|2] [--stories N] [--seed N] [--show N]

Stories and descriptions are placed by a judge: a text model that was trained on other sentences than the one that made
the pairs and that helps the T5 to choose. Stories are standardised among stories, descriptions among true captions.
Intervals are the middle 95 % of bootstraps over whole tales.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
from engine.emotion.text import ASSETS, TextEmotion
from engine.errors import UserError
from engine.music.composer import Describer
from engine.music.describer import RulesDescriber
from engine.music.t5 import T5Describer
from engine.settings import T5Settings
from engine.training.describer import HELD_OUT, Recipe, make_pairs
from engine.training.describer_data import Pair, Reader, Scorer, Told, scorer_of, split_by_group, standardised

CHOICES = 10
"""A description betrays its story when it is nearest to it among so many."""
DRAWS = 2_000
"""Bootstraps over tales."""
REFERENCES = 300
"""True captions that give the scale of descriptions."""
WIDTH = 140
"""Characters that a row of the table needs."""
_WORD = re.compile(r"[a-z]{4,}")

Values = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Measured:
    """A value and its 95 % interval."""

    value: float
    interval: Interval

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2f} [{low:.2f}, {high:.2f}]"


@dataclass(frozen=True)
class Measures:
    """`distance` on the plane in SDs, correlations of story and description, and shares in [0, 1]: different word pairs
    among all, different descriptions among all, and how many betray their story."""

    distance: Measured
    valence_r: Measured
    arousal_r: Measured
    distinct2: float
    different: float
    betrayed: float


def measure(
    stories: Sequence[Told], wanted: Values, descriptions: Sequence[str], places: Values, seed: int
) -> Measures:
    """Measure descriptions of stories, one each, in order; `wanted` and `places` [n, 2] are theirs in SDs."""
    groups = [story.group for story in stories]
    distances = np.hypot(*(places - wanted).T)

    def r_of(axis: int) -> Callable[[NDArray[np.intp]], float]:
        return lambda rows: correlation(wanted[rows, axis], places[rows, axis])

    return Measures(
        distance=bootstrapped(lambda rows: float(distances[rows].mean()), groups, seed),
        valence_r=bootstrapped(r_of(0), groups, seed),
        arousal_r=bootstrapped(r_of(1), groups, seed),
        distinct2=distinct2(descriptions),
        different=len(set(descriptions)) / len(descriptions),
        betrayed=betrayed([story.text for story in stories], descriptions, seed),
    )


def bootstrapped(statistic: Callable[[NDArray[np.intp]], float], groups: Sequence[str], seed: int) -> Measured:
    """Return a statistic of rows, and its interval when whole groups are drawn with replacement."""
    rng = np.random.default_rng(seed)
    rows_of = [np.array([i for i, group in enumerate(groups) if group == name]) for name in dict.fromkeys(groups)]
    drawn = [
        statistic(np.concatenate([rows_of[i] for i in rng.integers(len(rows_of), size=len(rows_of))]))
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return Measured(statistic(np.arange(len(groups), dtype=np.intp)), (low, high))


def correlation(a: Values, b: Values) -> float:
    """Return Pearson's r, 0 where nothing varies."""
    if a.std() < 1e-9 or b.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


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


def _tf_idf(texts: Sequence[str]) -> Values:
    bags = [Counter(_WORD.findall(text.lower())) for text in texts]
    frequency = Counter(word for bag in bags for word in bag)
    column = {word: i for i, word in enumerate(frequency)}
    matrix = np.zeros((len(texts), len(column)))
    for row, bag in enumerate(bags):
        for word, count in bag.items():
            matrix[row, column[word]] = count * np.log(len(texts) / frequency[word])
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.where(norms > 0, norms, 1.0))


@dataclass(frozen=True, eq=False)
class Judge:
    """Places texts, in SDs: stories among stories, descriptions among true captions."""

    scorer: Scorer
    references: Values
    """Valence and arousal of true captions, [n, 2]."""

    def stories(self, stories: Sequence[Told]) -> Values:
        """Return where stories are, by all their sentences."""
        read = Reader(self.scorer).read([(story.text, story.group) for story in stories])
        return standardised([story.place for story in read])

    def descriptions(self, texts: Sequence[str]) -> Values:
        """Return where descriptions are."""
        unique = list(dict.fromkeys(texts))
        values = self.scorer(unique)[[unique.index(text) for text in texts], :2]
        found: Values = (values - self.references.mean(axis=0)) / self.references.std(axis=0)
        return found


def describe_all(describer: Describer, stories: Sequence[Told], reader: Reader, seed: int) -> list[str]:
    """Describe each story, as `compose` would."""
    return [describer.describe(reader.beats(story.text), story.text, seed + i) for i, story in enumerate(stories)]


def nearest_to_the_middle(captions: Sequence[str], places: Values) -> str:
    """Return the caption that feels most like the average one: the best that one and the same answer can do."""
    return captions[int(np.hypot(*(places - places.mean(axis=0)).T).argmin())]


def main(arguments: Sequence[str]) -> int:
    """Run the evaluation from a command line."""
    parser = OneSentenceParser(prog="tunetale evaluate describer", description="How good are descriptions?")
    parser.add_argument("--data", type=Path, required=True, help="folder with musiccaps/ and stories/fairytaleqa/")
    parser.add_argument("--model", default="", help="folder that `tunetale train describer` wrote; empty: rules alone")
    parser.add_argument("--method", type=int, choices=(1, 2), default=2, help="which of the paper's data sets")
    parser.add_argument("--stories", type=int, default=100)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--show", type=int, default=3, help="print so many descriptions beside the truth")
    given = parser.parse_args(arguments)
    if given.stories < 2:
        raise UserError(f"--stories can be 2 or more, not {given.stories}.", code="usage")
    torch.set_num_threads(1)
    own, judge_model = TextEmotion.load(), TextEmotion.load(ASSETS / "text_judge")
    recipe, scorer = Recipe(seed=given.seed), scorer_of(own)
    console = Console(highlight=False, width=max(WIDTH, Console().width))
    pairs, held = split_by_group(make_pairs(given.data, given.method, scorer, recipe), HELD_OUT, given.seed)
    held = held_out(held, given.stories, given.seed)
    stories, truth = [pair.story for pair in held], [pair.description for pair in held]
    captions = sorted({pair.description for pair in pairs})
    some = Random(given.seed).sample(captions, min(REFERENCES, len(captions)))
    references = scorer_of(judge_model)(some)[:, :2].astype(np.float64)
    judge, reader = Judge(scorer_of(judge_model), references), Reader(scorer)

    columns = {
        "truth": truth,
        "truth, shuffled": Random(given.seed).sample(truth, len(truth)),
        "one for all": [nearest_to_the_middle(some, references)] * len(truth),
        "rules": describe_all(RulesDescriber(), stories, reader, given.seed),
    }
    if given.model:
        settings = T5Settings(model=given.model)
        columns["T5, beams"] = describe_all(T5Describer.load(settings), stories, reader, given.seed)
        columns["T5, chosen"] = describe_all(T5Describer.load(settings, scorer=scorer), stories, reader, given.seed)
    wanted = judge.stories(stories)
    found = {
        name: measure(stories, wanted, texts, judge.descriptions(texts), given.seed) for name, texts in columns.items()
    }
    console.print(
        f"{len(held)} held-out stories of {len({story.group for story in stories})} groups, method {given.method}, "
        f"seed {given.seed}; judge {judge_model.name} (text_judge)"
    )
    print_measures(found, console)
    if given.model:
        for name in ("T5, beams", "T5, chosen"):
            copied = np.mean([text in set(captions) for text in columns[name]])
            console.print(f"{name}: {copied:.0%} are word for word captions that were learned from")
    print_examples(stories, columns["T5, chosen" if given.model else "rules"], truth, given.show, console)
    return 0


def held_out(pairs: Sequence[Pair], count: int, seed: int) -> list[Pair]:
    """Return one pair of each of `count` stories, drawn by the seed."""
    one_each = list({pair.story.text: pair for pair in pairs}.values())
    chosen = sorted(np.random.default_rng(seed).permutation(len(one_each))[:count].tolist())
    return [one_each[i] for i in chosen]


def print_measures(found: Mapping[str, Measures], console: Console) -> None:
    """Print one row for each describer."""
    heads = ("VA distance", "r, valence", "r, arousal", "distinct-2", "different", f"betrays 1 of {CHOICES}")
    table = Table("describer", *heads)
    for name, one in found.items():
        intervals = map(str, (one.distance, one.valence_r, one.arousal_r))
        table.add_row(name, *intervals, f"{one.distinct2:.3f}", f"{one.different:.0%}", f"{one.betrayed:.2f}")
    console.print(table)


def print_examples(
    stories: Sequence[Told], generated: Sequence[str], truth: Sequence[str], count: int, console: Console
) -> None:
    """Print generated and true descriptions side by side, as the paper's table 1 does."""
    table = Table("story's words", "generated", "truth", title="Generated and truth")
    for story, ours, true in list(zip(stories, generated, truth, strict=True))[:count]:
        table.add_row(", ".join(story.words), ours, true)
    console.print(table)
