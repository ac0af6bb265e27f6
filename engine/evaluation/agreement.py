"""Do people agree: with each other, with themselves, and at all? Knows arrays of raters, things rated and scores.

Which raters to leave out is decided here, when statistics are read, never when votes are stored: rules may change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import krippendorff
import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.evaluation.intervals import Estimate, Floats, codes, percentile_interval

VALUES = 6
"""Scores 0 to 5."""
MIN_ANSWERS = 8
"""Below, nothing is said about a rater: even a careful one may disagree with others by chance."""
ODDS = 3.0
"""A rater is careless whose answers are so many times more probable by chance than with the usual agreement."""
HASTY_S = 10.0
"""Half of the answers sooner than this after music and story were sent: nobody has heard and read them by then."""
_ALPHA_DRAWS = 1_000


def value_counts(pairs: ArrayLike, scores: ArrayLike) -> Floats:
    """Return how often each score was given to each pair, [pairs, VALUES]."""
    pair, count = codes(pairs)
    cells = pair * VALUES + np.asarray(scores, dtype=np.intp)
    return np.bincount(cells, minlength=count * VALUES).reshape(count, VALUES).astype(np.float64)


def alpha(pairs: ArrayLike, scores: ArrayLike, *, seed: int = 0) -> Estimate | None:
    """Return Krippendorff's α for ordinal scores, with a bootstrap interval over pairs; None where it is not defined.

    1 is perfect agreement, 0 what chance gives, negative systematic disagreement. Holes are welcome: pairs with one
    vote say nothing and are left out. (Krippendorff 2019, "Content analysis", ch. 12; bootstrap over units as in Zapf
    et al. 2016, BMC Med. Res. Methodol. 16:93.)
    """
    counts = value_counts(pairs, scores)
    counts = counts[counts.sum(axis=1) >= 2]
    if len(counts) < 2 or (counts.sum(axis=0) > 0).sum() < 2:
        return None
    value = float(krippendorff.alpha(value_counts=counts, level_of_measurement="ordinal"))
    rng = np.random.default_rng(seed)
    coincidences = _coincidences(counts)
    drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), _ALPHA_DRAWS)
    tables = (drawn @ coincidences.reshape(len(counts), -1)).reshape(-1, VALUES, VALUES)
    found = np.array([_ordinal_alpha(table) for table in tables])
    return Estimate(value, None, percentile_interval(found))


def _coincidences(counts: Floats) -> Floats:
    """Return the coincidence matrix of each pair, [pairs, VALUES, VALUES] (Krippendorff 2011, equation 1)."""
    together = counts[:, :, None] * counts[:, None, :]
    together[:, np.arange(VALUES), np.arange(VALUES)] -= counts
    found: Floats = together / (counts.sum(axis=1) - 1)[:, None, None]
    return found


def _ordinal_alpha(coincidences: Floats) -> float:
    """Return α from one coincidence matrix; NaN where only one score was given."""
    margin = coincidences.sum(axis=1)
    upto = np.cumsum(margin)
    middle = upto - margin / 2
    distance = (middle[:, None] - middle[None, :]) ** 2
    expected = float((np.outer(margin, margin) * distance).sum())
    if expected == 0:
        return math.nan
    observed = float((coincidences * distance).sum())
    return 1 - float(margin.sum() - 1) * observed / expected


@dataclass(frozen=True)
class Consistency:
    """How people answer when they are given the same pair again."""

    repeats: int
    same: float
    """Share of repeats with the same score."""
    within_one: float
    mean_difference: float
    """Mean of |second − first|."""


def consistency(first: ArrayLike, second: ArrayLike) -> Consistency | None:
    """Return how first and second answers [n] agree; None without any."""
    apart = np.abs(np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64))
    if not len(apart):
        return None
    return Consistency(len(apart), float((apart == 0).mean()), float((apart <= 1).mean()), float(apart.mean()))


# --- which raters to trust -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RaterFlags:
    """What is odd about a rater; `r` is the agreement with everybody else, None where it cannot be told."""

    rater: int
    answers: int
    r: float | None
    careless: bool
    """Agrees with the others as chance does, not as people do."""
    flat: bool
    """Always the same score."""
    hasty: bool

    @property
    def odd(self) -> bool:
        """Whether any flag is up."""
        return self.careless or self.flat or self.hasty


def rater_flags(raters: ArrayLike, things: ArrayLike, scores: ArrayLike, delays_s: ArrayLike) -> list[RaterFlags]:
    """Look at every rater with at least MIN_ANSWERS answers, in the order of the raters' codes.

    `things` are what was rated: music and story together, so that hidden controls, whose low scores everybody careful
    gives, tell most. Each answer is compared with the mean of all other people's answers about the same thing
    (item-rest correlation, made normal by Fisher's z with variance 1 / (n − 3)); careless is whose z is ODDS times more
    probable around 0 than around the median of all raters. With few answers, or where nobody agrees, nobody is.
    `delays_s` may hold NaN.
    """
    rater, n_raters = codes(raters)
    thing, n_things = codes(things)
    y = np.asarray(scores, dtype=np.float64)
    delays = np.asarray(delays_s, dtype=np.float64)
    total = np.bincount(thing, weights=y, minlength=n_things)
    count = np.bincount(thing, minlength=n_things)
    own = np.bincount(rater, minlength=n_raters)
    order = np.argsort(rater, kind="stable")
    starts = np.concatenate([[0], np.cumsum(own)])
    shared = count[thing] > 1
    rest = (total[thing] - y) / np.maximum(1, count[thing] - 1)
    rows_of = {i: order[starts[i] : starts[i + 1]] for i in range(n_raters) if own[i] >= MIN_ANSWERS}
    compared = {i: rows[shared[rows]] for i, rows in rows_of.items()}
    r = {i: _correlation(y[rows], rest[rows]) for i, rows in compared.items() if len(rows) >= MIN_ANSWERS}
    usual = _fisher(float(np.median([value for value in r.values() if value is not None] or [0.0])))
    return [
        RaterFlags(
            rater=i,
            answers=len(rows),
            r=r.get(i),
            careless=chance_odds(r.get(i), len(compared[i]), usual) > ODDS,
            flat=bool(np.ptp(y[rows]) == 0),
            hasty=_hasty(delays[rows]),
        )
        for i, rows in rows_of.items()
    ]


def chance_odds(r: float | None, n: int, usual: float) -> float:
    """Return how many times more probable r over n answers is by chance than around the `usual` Fisher's z."""
    if r is None or usual <= 0:
        return 0.0
    return math.exp(min(700.0, (n - 3) / 2 * (usual**2 - 2 * usual * _fisher(r))))


def _fisher(r: float) -> float:
    return math.atanh(min(max(r, -0.999), 0.999))


def _hasty(delays_s: NDArray[np.float64]) -> bool:
    timed = delays_s[np.isfinite(delays_s)]
    return len(timed) >= MIN_ANSWERS and float(np.median(timed)) < HASTY_S


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / scale if scale > 1e-12 else None
