"""What people's ratings say about the numbers of a pair. Knows records of answers and alignments; knows no text.

Consent (`/consent`) covers the ratings, the numbers that TuneTale measured and the way a pair was made, never words or
audio: so nobody's story is taken from the store. What can be learned is which numbers go with high ratings, and that
ranks newly written stories.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from db import answers, consent
from db.answers import AnswerRecord
from engine.errors import UserError
from engine.jobs import Alignment
from engine.service import reading
from engine.training.pair_rows import Opinion

FEWEST_PAIRS = 12
"""Rated pairs below which nothing is learned from them."""
TYPICAL_VOTES = 3.0
"""So many imagined votes of the overall mean join those of each pair: one vote alone says little."""
RIDGE = 5.0
MOST = 5.0

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Taste:
    """A ridge regression of ratings on standardised numbers of alignment.

    `weight` is the correlation of ratings with what is expected of each pair by all others (0 where it is negative):
    numbers that do not foretell ratings do not rank.
    """

    mean: Values
    scale: Values
    slopes: Values
    level: float
    pairs: int
    votes: int
    weight: float

    def expects(self, fit: Alignment) -> float:
        """Return the expected rating, 0 to 5."""
        return float(np.clip(self.level + self.slopes @ ((_numbers(fit) - self.mean) / self.scale), 0.0, MOST))

    def opinion(self, fit: Alignment) -> Opinion:
        """Return what a row of pairs says about ratings."""
        return Opinion(round(self.expects(fit), 3), self.pairs, self.votes, round(self.weight, 3))


def learn(records: Iterable[AnswerRecord], by: str) -> Taste:
    """Learn from answers about stories as they were made for their music, aligned by the model `by`.

    Raises `UserError` when they are about fewer than FEWEST_PAIRS pairs.
    """
    scores: dict[int, list[int]] = {}
    fits: dict[int, AnswerRecord] = {}
    for record in records:
        if record.condition == "match" and record.kind == "story" and record.aligned_by == by:
            scores.setdefault(record.pair, []).append(record.score)
            fits[record.pair] = record
    if len(scores) < FEWEST_PAIRS:
        raise UserError(
            f"Only {len(scores)} stories that were measured with {by} have ratings that may be learned from, and "
            f"{FEWEST_PAIRS} are needed; leave out --store.",
            code="too_few_ratings",
        )
    order = sorted(scores)
    counts = np.array([len(scores[pair]) for pair in order], dtype=np.float64)
    sums = np.array([sum(scores[pair]) for pair in order], dtype=np.float64)
    level = float(sums.sum() / counts.sum())
    ratings: Values = (sums + TYPICAL_VOTES * level) / (counts + TYPICAL_VOTES)
    numbers = np.array([_numbers(fits[pair]) for pair in order])
    mean, spread = numbers.mean(axis=0), numbers.std(axis=0)
    scale: Values = np.where(spread > 1e-9, spread, 1.0)
    rows = (numbers - mean) / scale
    return Taste(
        mean=mean,
        scale=scale,
        slopes=_slopes(rows, ratings - level, counts),
        level=level,
        pairs=len(order),
        votes=int(counts.sum()),
        weight=_foretold(rows, ratings - level, counts),
    )


def ranking(fits: Sequence[Alignment], taste: Taste | None) -> list[int]:
    """Return the rows from best to worst: by distance, and with `taste` by what people are expected to say, too."""
    merit = -_standard([fit.distance for fit in fits])
    if taste is not None:
        merit = (1 - taste.weight) * merit + taste.weight * _standard([taste.expects(fit) for fit in fits])
    return sorted(range(len(fits)), key=lambda i: (-float(merit[i]), fits[i].distance, i))


def consented(store: Path) -> list[AnswerRecord]:
    """Return the answers in a store of people who agreed, about pairs of people who agreed to the present words.

    Raises `UserError` when the store cannot be read.
    """

    async def read() -> list[AnswerRecord]:
        async with reading(store) as ledger:
            return await ledger.read(lambda conn: list(answers.records(conn, consented=consent.WORDS_VERSION)))

    return asyncio.run(read())


def _numbers(fit: Alignment | AnswerRecord) -> Values:
    return np.array([fit.distance, fit.valence_r or 0.0, fit.arousal_r or 0.0, fit.better_than_shuffled])


def _slopes(rows: Values, ratings: Values, counts: Values) -> Values:
    weighted: Values = rows * counts[:, None]
    shrunk = weighted.T @ rows + RIDGE * np.eye(rows.shape[1])
    return np.asarray(np.linalg.solve(shrunk, weighted.T @ ratings), dtype=np.float64)


def _foretold(rows: Values, ratings: Values, counts: Values) -> float:
    """Return the correlation of each pair's rating with what the others let expect, at least 0."""
    others = ~np.eye(len(rows), dtype=bool)
    expected = np.array([rows[i] @ _slopes(rows[o], ratings[o], counts[o]) for i, o in enumerate(others)])
    if expected.std() < 1e-9 or ratings.std() < 1e-9:
        return 0.0
    return max(0.0, float(np.corrcoef(expected, ratings)[0, 1]))


def _standard(values: Sequence[float]) -> Values:
    array = np.asarray(values, dtype=np.float64)
    spread = float(array.std())
    found: Values = (array - array.mean()) / (spread if spread > 1e-9 else 1.0)
    return found
