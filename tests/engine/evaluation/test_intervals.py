"""Intervals against published values, R's output and simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.api import OLS
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

from engine.evaluation.coverage import DESIGNS, coverage, true_mean
from engine.evaluation.intervals import (
    TwoWayBootstrap,
    cliffs_delta,
    deltas,
    means,
    percentile_interval,
    spearman,
    two_way_mean,
)

# Shrout & Fleiss 1979, "Intraclass correlations", Psychological Bulletin 86, table 2: six targets, four judges.
RATINGS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
# The same paper, table 3: mean squares between targets, between judges, residual.
BETWEEN_TARGETS, BETWEEN_JUDGES, RESIDUAL = 11.24, 32.49, 1.02


def test_the_two_way_variance_follows_from_published_mean_squares() -> None:
    target, judge = np.indices(RATINGS.shape)
    found = two_way_mean(RATINGS.ravel(), judge.ravel(), target.ravel())
    n = RATINGS.size
    # Of a full table, the variance of the judges' means over their number is MS / n, of the targets' likewise;
    # the overlap is the variance of all single values over n.
    total = (5 * BETWEEN_TARGETS + 3 * BETWEEN_JUDGES + 15 * RESIDUAL) / (n - 1)
    expected = (BETWEEN_JUDGES + BETWEEN_TARGETS - total) / n
    assert found.value == pytest.approx(RATINGS.mean())
    assert found.se == pytest.approx(math.sqrt(expected), abs=0.001)


def test_the_standard_error_is_statsmodels_two_way_one() -> None:
    rng = np.random.default_rng(3)
    cells = rng.choice(30 * 20, 150, replace=False)
    rater, pair = cells // 20, cells % 20
    scores = rng.integers(0, 6, 150) + rng.normal(size=30)[rater] + rng.normal(size=20)[pair]
    fit = OLS(scores, np.ones(150)).fit()
    both, by_rater, by_pair = cov_cluster_2groups(fit, rater, pair, use_correction=False)
    ours = two_way_mean(scores, rater, pair).se
    g, h, n = len(np.unique(rater)), len(np.unique(pair)), 150
    overlap = by_rater + by_pair - both
    corrected = by_rater * g / (g - 1) + by_pair * h / (h - 1) - overlap * n / (n - 1)
    assert ours == pytest.approx(math.sqrt(corrected.item()), rel=1e-9)


def test_one_pair_has_the_ordinary_standard_error() -> None:
    scores = [2, 3, 5, 4, 4, 1, 0, 5]
    found = two_way_mean(scores, range(8), [1] * 8)
    assert found.se == pytest.approx(np.std(scores, ddof=1) / math.sqrt(8))
    assert found.interval is not None
    low, high = stats.t.interval(0.95, 7, found.value, found.se)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("scores", "raters", "pairs"),
    [([3], [1], [1]), ([3, 4], [1, 2], [1, 1]), ([3, 4, 5], [1, 1, 1], [1, 1, 1]), ([4, 4, 4], [1, 2, 3], [1, 2, 1])],
)
def test_too_little_has_no_interval(scores: list[int], raters: list[int], pairs: list[int]) -> None:
    assert two_way_mean(scores, raters, pairs).interval is None


def test_an_empty_poll_has_no_mean() -> None:
    with pytest.raises(ValueError, match="needs a score"):
        two_way_mean([], [], [])


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name[:9])
def test_the_interval_covers_the_true_mean(design: object) -> None:
    share, _ = coverage(design, 300, seed=7)  # type: ignore[arg-type]
    # 300 polls are within ± 2.5 % of the truth 19 times in 20; the seed is fixed and the goal of 1,000 is 93 to 97 %.
    assert 0.92 <= share <= 0.98


def test_the_true_mean_of_the_simulation_is_true() -> None:
    rng = np.random.default_rng(1)
    latent = 3.3 + rng.normal(size=400_000) * math.sqrt(0.6**2 + 0.5**2 + 1.0)
    assert np.clip(np.rint(latent), 0, 5).mean() == pytest.approx(true_mean(), abs=0.01)


# --- Cliff's delta ---------------------------------------------------------------------------------------------------


def test_cliffs_delta_is_rs() -> None:
    """The example of R's effsize 0.8.1, ?cliff.delta: -0.25, interval -0.7265846 to 0.3890062."""
    found = cliffs_delta([10, 10, 20, 20, 20, 30, 30, 30, 40, 50], [10, 20, 30, 40, 40, 50])
    assert found.value == -0.25
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((-0.7265846, 0.3890062), abs=5e-8)


def test_delta_of_counts_is_delta_of_values() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 6, 40), rng.integers(0, 5, 25)
    counts = [np.bincount(values, minlength=6)[None].astype(float) for values in (first, second)]
    assert deltas(*counts)[0] == pytest.approx(np.sign(first[:, None] - second[None, :]).mean())
    assert cliffs_delta(first, second).value == pytest.approx(deltas(*counts)[0])


def test_delta_at_the_edge() -> None:
    assert cliffs_delta([5, 5, 5], [0, 0]).value == 1.0
    assert cliffs_delta([5, 5, 5], [0, 0]).interval is None
    assert cliffs_delta([3], [3]).value == 0.0
    with pytest.raises(ValueError, match="two samples"):
        cliffs_delta([], [1])


# --- bootstrap -----------------------------------------------------------------------------------------------------


def test_the_bootstrap_counts_are_products_of_both_draws() -> None:
    rng = np.random.default_rng(2)
    rater, pair = rng.integers(0, 9, 50), rng.integers(0, 7, 50)
    scores, chosen = rng.integers(0, 6, 50), rng.random(50) < 0.7
    boot = TwoWayBootstrap(rater, pair, draws=20, seed=4)
    found = boot.counts(scores, 6, chosen)
    weight = boot._by_rater[:, boot._rater] * boot._by_pair[:, boot._pair]
    for value in range(6):
        assert found[:, value] == pytest.approx(weight[:, (scores == value) & chosen].sum(axis=1))
    assert boot._by_rater.sum(axis=1) == pytest.approx(len(np.unique(rater)))


def test_the_bootstrap_agrees_with_the_formula() -> None:
    rng = np.random.default_rng(5)
    rater, pair = (axis.ravel() for axis in np.indices((60, 40)))
    latent = 3 + 0.6 * rng.normal(size=60)[rater] + 0.6 * rng.normal(size=40)[pair] + 0.5 * rng.normal(size=2400)
    scores = np.clip(np.rint(latent), 0, 5)
    drawn = means(TwoWayBootstrap(rater, pair, seed=1).counts(scores, 6))
    assert float(drawn.std()) == pytest.approx(two_way_mean(scores, rater, pair).se, rel=0.12)


def test_the_same_seed_draws_the_same() -> None:
    once, again = (TwoWayBootstrap([1, 2, 3], [1, 1, 2], seed=9).counts([0, 5, 3], 6) for _ in range(2))
    assert (once == again).all()


def test_draws_without_votes_are_left_out() -> None:
    assert percentile_interval([float("nan"), 1.0, 2.0]) is not None
    assert percentile_interval([float("nan"), 1.0]) is None
    assert np.isnan(means(np.zeros((1, 6)))).all()


# --- correlation ---------------------------------------------------------------------------------------------------


def test_spearman_is_scipys_with_bonett_and_wrights_interval() -> None:
    x, y = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [2, 1, 4, 3, 6, 5, 8, 7, 10, 10]
    found = spearman(x, y)
    assert found is not None and found.interval is not None
    rho = float(stats.spearmanr(x, y).statistic)
    assert found.value == pytest.approx(rho)
    reach = 1.959964 * math.sqrt((1 + rho**2 / 2) / 7)
    assert found.interval.low == pytest.approx(math.tanh(math.atanh(rho) - reach), abs=1e-6)


def test_spearman_without_variation_or_with_little() -> None:
    assert spearman([1, 1, 1], [1, 2, 3]) is None
    few = spearman([1, 2, 3], [1, 2, 3])
    assert few is not None and few.value == 1.0 and few.interval is None
