"""How good predictions of a continuous rating are. Knows arrays; knows nothing of models, data sets or files.

A mean absolute error alone says nothing: ratings crowd around neutral, so a constant scores well. `score` therefore
always gives correlation, explained variance and concordance beside it, the same errors of a constant predictor, and a
bootstrap interval that draws whole groups (songs, documents, series), never single frames of one song.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Metric = Callable[[NDArray[np.float64], NDArray[np.float64]], float]
"""(truth [n], guess [n]) -> number; NaN where it is not defined."""


def pearson_r(truth: ArrayLike, guess: ArrayLike) -> float:
    """Pearson's correlation in [-1, 1]; NaN below two values or where either side does not vary."""
    y, p = _pair(truth, guess)
    if len(y) < 2:
        return float("nan")
    y, p = y - y.mean(), p - p.mean()
    scale = float(np.sqrt((y @ y) * (p @ p)))
    return float(np.clip((y @ p) / scale, -1.0, 1.0)) if scale > 1e-12 else float("nan")


def r_squared(truth: ArrayLike, guess: ArrayLike) -> float:
    """Coefficient of determination, 1 - SSE / SST: at most 1, negative when worse than the truth's own mean; NaN
    where the truth does not vary."""
    y, p = _pair(truth, guess)
    total = float(((y - y.mean()) ** 2).sum()) if len(y) else 0.0
    return 1.0 - float(((y - p) ** 2).sum()) / total if total > 1e-12 else float("nan")


def concordance(truth: ArrayLike, guess: ArrayLike) -> float:
    """Lin's concordance correlation coefficient (Lin 1989, Biometrics 45), population moments; in [-1, 1]."""
    y, p = _pair(truth, guess)
    if len(y) < 2:
        return float("nan")
    spread = float(y.var() + p.var() + (y.mean() - p.mean()) ** 2)
    covariance = float(((y - y.mean()) * (p - p.mean())).mean())
    return 2.0 * covariance / spread if spread > 1e-12 else float("nan")


def mae(truth: ArrayLike, guess: ArrayLike) -> float:
    """Mean absolute error, in the unit of the ratings."""
    y, p = _pair(truth, guess)
    return float(np.abs(y - p).mean())


def rmse(truth: ArrayLike, guess: ArrayLike) -> float:
    """Root of the mean squared error, in the unit of the ratings."""
    y, p = _pair(truth, guess)
    return float(np.sqrt(((y - p) ** 2).mean()))


def mean_within_r(truths: Iterable[ArrayLike], guesses: Iterable[ArrayLike]) -> float:
    """Mean over pieces of the correlation within each piece; pieces where it is not defined are left out."""
    each = [pearson_r(truth, guess) for truth, guess in zip(truths, guesses, strict=True)]
    defined = [r for r in each if np.isfinite(r)]
    return float(np.mean(defined)) if defined else float("nan")


def bootstrap_interval(
    metric: Metric,
    truth: ArrayLike,
    guess: ArrayLike,
    *,
    groups: Sequence[object] | None = None,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `metric` (Efron & Tibshirani 1993, ch. 13).

    With `groups` (one label per value) whole groups are drawn, so that values of one song or document do not count
    as independent. Draws in which the metric is not defined are left out; (NaN, NaN) when none is left.
    """
    y, p = _pair(truth, guess)
    members = _members(groups, len(y))
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        rows = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        value = metric(y[rows], p[rows])
        if np.isfinite(value):
            found.append(value)
    if not found:
        return float("nan"), float("nan")
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(found, [tail, 1.0 - tail])
    return float(low), float(high)


@dataclass(frozen=True)
class Score:
    """What is reported about one predictor on one target; errors are in the unit of the ratings."""

    n: int
    r: float
    r_interval: tuple[float, float]
    r2: float
    ccc: float
    mae: float
    rmse: float
    constant_mae: float
    """Error of the best constant, learned on the training part of the same split."""
    constant_rmse: float


def score(
    truth: ArrayLike,
    guess: ArrayLike,
    *,
    constant: float | ArrayLike,
    groups: Sequence[object] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Score:
    """Score a predictor. `constant` is the mean of the training ratings: one number, or one per value when the
    values come from several folds. `groups` as in `bootstrap_interval`."""
    y, p = _pair(truth, guess)
    baseline = np.broadcast_to(np.asarray(constant, dtype=np.float64), y.shape)
    return Score(
        n=len(y),
        r=pearson_r(y, p),
        r_interval=bootstrap_interval(pearson_r, y, p, groups=groups, draws=draws, seed=seed),
        r2=r_squared(y, p),
        ccc=concordance(y, p),
        mae=mae(y, p),
        rmse=rmse(y, p),
        constant_mae=mae(y, baseline),
        constant_rmse=rmse(y, baseline),
    )


def _pair(truth: ArrayLike, guess: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, p = np.asarray(truth, dtype=np.float64), np.asarray(guess, dtype=np.float64)
    if y.ndim != 1 or y.shape != p.shape:
        raise ValueError(f"truth and guess are two arrays [n] of one length, not {y.shape} and {p.shape}")
    return y, p


def _members(groups: Sequence[object] | None, n: int) -> list[NDArray[np.intp]]:
    if groups is None:
        return [np.array([i], dtype=np.intp) for i in range(n)]
    if len(groups) != n:
        raise ValueError(f"{len(groups)} group labels for {n} values")
    rows: dict[object, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    return [np.array(found, dtype=np.intp) for found in rows.values()]
