"""How sure a figure is when the same people rated the same pairs. Knows arrays; knows nothing of votes' meaning.

Ratings of one person are alike, and so are ratings of one pair; both kinds of likeness must be in the interval, or it
is too narrow (Clark 1973, "The language-as-fixed-effect fallacy"). Two ways that share no assumption stand side by
side: the two-way cluster-robust variance, and a bootstrap that draws whole raters and whole pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, stats

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

LEVEL = 0.95
"""Of every interval."""
DRAWS = 1_000
"""Of a bootstrap: the ends of an interval then move by about a hundredth of its width from seed to seed."""
_CHUNK = 125
"""Draws that are worked on together: 125 × 5,000 pairs are 5 MB."""


@dataclass(frozen=True)
class Interval:
    """Both ends of a 95 % confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A figure, its standard error, and its interval; the last two are None where the data cannot say."""

    value: float
    se: float | None
    interval: Interval | None


def codes(labels: ArrayLike) -> tuple[Codes, int]:
    """Return labels [n] as numbers from 0, and how many different ones there are."""
    names, found = np.unique(np.asarray(labels), return_inverse=True)
    return found.astype(np.intp).ravel(), len(names)


def two_way_mean(scores: ArrayLike, raters: ArrayLike, pairs: ArrayLike) -> Estimate:
    """Return the mean of `scores` [n] with its two-way cluster-robust standard error and t interval.

    V = V_rater + V_pair − V_overlap, each with the factor G / (G − 1) (Cameron, Gelbach & Miller 2011, "Robust
    inference with multiway clustering", J. Bus. Econ. Stat. 29). Where that is not positive the larger of the first
    two is taken (their section 2.3). The quantile is Student's with Satterthwaite's degrees of freedom from the two
    variances, at least those of the smaller side: with few pairs a normal quantile is far too small.
    With one pair the raters alone are the sample, and the other way round.
    """
    y = np.asarray(scores, dtype=np.float64)
    if len(y) == 0:
        raise ValueError("a mean needs a score")
    rater, n_raters = codes(raters)
    pair, n_pairs = codes(pairs)
    mean = float(y.mean())
    if len(y) < 3 or (n_raters < 2 and n_pairs < 2):
        return Estimate(mean, None, None)
    residuals = y - mean
    parts = [
        _cluster_variance(residuals, group, count) for group, count in ((rater, n_raters), (pair, n_pairs)) if count > 1
    ]
    if len(parts) == 1:
        variance, df = parts[0], max(n_raters, n_pairs) - 1.0
    else:
        overlap, cells = codes(rater * n_pairs + pair)
        variance = sum(parts) - _cluster_variance(residuals, overlap, cells)
        if variance <= 0:
            variance = max(parts)
        least = min(n_raters, n_pairs) - 1.0
        spread = parts[0] ** 2 / (n_raters - 1) + parts[1] ** 2 / (n_pairs - 1)
        df = max(least, variance**2 / spread) if spread > 0 else least
    se = math.sqrt(variance)
    if se < 1e-12:  # everybody said the same: that they agree is known, how sure that makes us is not
        return Estimate(mean, 0.0, None)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, df)) * se
    return Estimate(mean, se, Interval(mean - reach, mean + reach))


def _cluster_variance(residuals: Floats, group: Codes, count: int) -> float:
    sums = np.bincount(group, weights=residuals, minlength=count)
    return float((sums**2).sum()) / len(residuals) ** 2 * count / (count - 1)


class TwoWayBootstrap:
    """Draws of whole raters and whole pairs; a vote weighs as often as both were drawn.

    The pigeonhole bootstrap (Owen 2007, "The pigeonhole bootstrap", Ann. Appl. Stat. 1): somewhat conservative, never
    too narrow in expectation. The weights are drawn once and serve every figure, so that differences of figures have
    their interval too.
    """

    def __init__(self, raters: ArrayLike, pairs: ArrayLike, *, draws: int = DRAWS, seed: int = 0) -> None:
        self._rater, self._raters = codes(raters)
        self._pair, self._pairs = codes(pairs)
        rng = np.random.default_rng(seed)
        self._by_rater = _weights(rng, self._raters, draws)
        self._by_pair = _weights(rng, self._pairs, draws)

    def counts(self, scores: ArrayLike, values: int, where: NDArray[np.bool_] | None = None) -> Floats:
        """Return how often each whole score 0 … `values` − 1 was given in each draw, [draws, values].

        `scores` [n] go with the raters and pairs; `where` [n] leaves votes out.
        """
        y = np.asarray(scores, dtype=np.intp)
        found = np.zeros((len(self._by_rater), values))
        for value in range(values):
            chosen = y == value if where is None else (y == value) & where
            if not chosen.any():
                continue
            cells = sparse.csr_array(
                (np.ones(int(chosen.sum())), (self._pair[chosen], self._rater[chosen])),
                shape=(self._pairs, self._raters),
            )
            for start in range(0, len(found), _CHUNK):
                part = slice(start, start + _CHUNK)
                per_pair = cells @ self._by_rater[part].T  # [pairs, chunk]
                found[part, value] = np.einsum("pd,dp->d", per_pair, self._by_pair[part])
        return found


def _weights(rng: np.random.Generator, count: int, draws: int) -> Floats:
    drawn = rng.integers(0, count, (draws, count)) + count * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count).astype(np.float64)


def percentile_interval(drawn: ArrayLike) -> Interval | None:
    """Return the percentile interval of bootstrap draws; draws in which a figure is not defined are left out."""
    values = np.asarray(drawn, dtype=np.float64)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def means(counts: Floats) -> Floats:
    """Return the mean score of each row of counts [draws, values]; NaN where nothing was drawn."""
    total = counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = counts @ np.arange(counts.shape[1], dtype=np.float64) / total
    return found


# --- effect size of two groups of ordinal scores -------------------------------------------------------------------


def deltas(first: Floats, second: Floats) -> Floats:
    """Return Cliff's δ = P(first > second) − P(first < second) for rows of counts [draws, values]."""
    n_first, n_second = first.sum(axis=1), second.sum(axis=1)
    below = np.cumsum(second, axis=1) - second
    above = n_second[:, None] - below - second
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = (first * (below - above)).sum(axis=1) / (n_first * n_second)
    return found


def cliffs_delta(first: ArrayLike, second: ArrayLike) -> Estimate:
    """Return Cliff's δ of two samples [n], [m] of independent scores, in [-1, 1], with its asymmetric interval.

    The unbiased variance estimate of Cliff 1993 ("Dominance statistics", Psychol. Bull. 114) and the interval of Feng &
    Cliff 2004 (J. Mod. Appl. Stat. Methods 3) with Student's quantile, as R's `effsize::cliff.delta`.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not len(a) or not len(b):
        raise ValueError("Cliff's delta needs two samples")
    others = np.sort(b), np.sort(a)
    rows = _dominance(a, others[0])
    columns = -_dominance(b, others[1])
    delta = float(rows.mean())
    if len(a) < 2 or len(b) < 2:
        return Estimate(delta, None, None)
    n, m = len(a), len(b)
    ties = float((np.searchsorted(others[0], a, "right") - np.searchsorted(others[0], a, "left")).sum())
    both = n * m - ties - n * m * delta**2  # sum of squares of all n × m comparisons
    by_row, by_column = float(((rows - delta) ** 2).sum()), float(((columns - delta) ** 2).sum())
    variance = (m**2 * by_row + n**2 * by_column - both) / (n * m * (n - 1) * (m - 1))
    if variance <= 0 or abs(delta) > 1 - 1e-12:
        return Estimate(delta, math.sqrt(max(0.0, variance)), None)
    t = float(stats.t.ppf((1 + LEVEL) / 2, n + m - 2))
    reach = t * math.sqrt(variance) * math.sqrt((1 - delta**2) ** 2 + t**2 * variance)
    scale = 1 - delta**2 + t**2 * variance
    middle = delta - delta**3
    interval = Interval(max(-1.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale))
    return Estimate(delta, math.sqrt(variance), interval)


def _dominance(values: Floats, others: Floats) -> Floats:
    """Return for each value the share of the sorted `others` that it exceeds less the share that exceeds it."""
    below, upto = np.searchsorted(others, values, "left"), np.searchsorted(others, values, "right")
    found: Floats = (below - (len(others) - upto)) / len(others)
    return found


# --- correlation -------------------------------------------------------------------------------------------------


def spearman(first: ArrayLike, second: ArrayLike) -> Estimate | None:
    """Return Spearman's ρ of [n] and [n] with the interval of Bonett & Wright 2000 (Psychometrika 65).

    Fisher's z with standard error √((1 + ρ² / 2) / (n − 3)). None where one side does not vary; no interval below
    five values. The standard error is that of z.
    """
    x, y = (stats.rankdata(np.asarray(values, dtype=np.float64)) for values in (first, second))
    n = len(x)
    if n < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    rho = float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))
    if n < 5:
        return Estimate(rho, None, None)
    se = math.sqrt((1 + rho**2 / 2) / (n - 3))
    reach = float(stats.norm.ppf((1 + LEVEL) / 2)) * se
    z = math.atanh(min(max(rho, -1 + 1e-12), 1 - 1e-12))
    return Estimate(rho, se, Interval(math.tanh(z - reach), math.tanh(z + reach)))
