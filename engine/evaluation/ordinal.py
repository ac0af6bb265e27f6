"""What moves a score: a proportional-odds regression on ordered scores. Knows columns; knows nothing of people."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.miscmodels.ordinal_model import OrderedModel

from engine.evaluation.intervals import LEVEL, Interval, codes

MIN_VOTES = 50
"""Below, a regression on several terms says nothing."""
MOST_VOTES = 10_000
"""More are sampled: the fit would take seconds and the intervals would hardly narrow."""


@dataclass(frozen=True)
class Term:
    """How a term moves the log odds of a higher score; above 0: higher scores."""

    log_odds: float
    interval: Interval


@dataclass(frozen=True)
class OrdinalFit:
    """A fitted regression on `votes` votes."""

    votes: int
    terms: dict[str, Term]


def ordinal_regression(
    scores: ArrayLike, columns: Mapping[str, ArrayLike], raters: ArrayLike, *, seed: int = 0
) -> OrdinalFit | None:
    """Regress `scores` [n] on the named columns [n], logit link, standard errors clustered by rater.

    Proportional odds (McCullagh 1980, J. R. Stat. Soc. B 42) by statsmodels' `OrderedModel`. A column that does not
    vary, or repeats another, is left out. None below MIN_VOTES votes, three raters or two different scores, and where
    the fit does not converge.
    """
    y = np.asarray(scores, dtype=np.intp)
    table = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
    whole = np.ones(len(y), dtype=np.bool_)
    for column in table.values():
        whole &= np.isfinite(column)
    rows = np.flatnonzero(whole)
    if len(rows) > MOST_VOTES:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_VOTES, replace=False))
    rater, n_raters = codes(np.asarray(raters)[rows])
    if len(rows) < MIN_VOTES or n_raters < 3 or len(np.unique(y[rows])) < 2:
        return None
    names, design = _independent({name: column[rows] for name, column in table.items()})
    if not names:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of what is asked of the result below
        fit = OrderedModel(codes(y[rows])[0], design, distr="logit").fit(
            method="bfgs", disp=False, cov_type="cluster", cov_kwds={"groups": rater}
        )
    values, errors = np.asarray(fit.params)[: len(names)], np.asarray(fit.bse)[: len(names)]
    if not fit.mle_retvals["converged"] or not np.isfinite(errors).all():
        return None
    reach = float(stats.t.ppf((1 + LEVEL) / 2, n_raters - 1)) * errors
    return OrdinalFit(
        len(rows),
        {
            name: Term(float(value), Interval(float(value - far), float(value + far)))
            for name, value, far in zip(names, values, reach, strict=True)
        },
    )


def _independent(columns: Mapping[str, NDArray[np.float64]]) -> tuple[list[str], NDArray[np.float64]]:
    """Return the names and the values [n, k] of columns that neither are constant nor follow from those before."""
    names: list[str] = []
    kept: list[NDArray[np.float64]] = []
    for name, column in columns.items():
        with_it = np.column_stack([np.ones(len(column)), *kept, column])
        if np.linalg.matrix_rank(with_it) == len(kept) + 2:
            names.append(name)
            kept.append(column)
    return names, np.column_stack(kept) if kept else np.empty((0, 0))
