from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.evaluation import metrics

RNG = np.random.default_rng(5)
TRUTH = RNG.normal(0.1, 0.3, 200)
GUESS = 0.6 * TRUTH + RNG.normal(0, 0.2, 200)


def test_they_equal_the_reference_implementations() -> None:
    assert metrics.pearson_r(TRUTH, GUESS) == pytest.approx(stats.pearsonr(TRUTH, GUESS).statistic)
    line = stats.linregress(GUESS, TRUTH)  # the least-squares line explains exactly r^2
    assert metrics.r_squared(TRUTH, line.intercept + line.slope * GUESS) == pytest.approx(line.rvalue**2)
    assert metrics.mae([0.0, 1.0], [0.5, 0.0]) == 0.75
    assert metrics.rmse([0.0, 0.0], [3.0, 4.0]) == pytest.approx(math.sqrt(12.5))


def test_concordance_by_hand() -> None:
    # cov 2/3, variances 2/3 and 2/3, means differ by 1: 2 * (2/3) / (4/3 + 1)
    assert metrics.concordance([0, 1, 2], [1, 2, 3]) == pytest.approx(4 / 7)
    assert metrics.concordance(TRUTH, TRUTH) == pytest.approx(1)


@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_only_r_ignores_scale_and_offset(scale: float, offset: float) -> None:
    moved = scale * GUESS + offset
    assert metrics.pearson_r(TRUTH, moved) == pytest.approx(metrics.pearson_r(TRUTH, GUESS))
    assert metrics.concordance(TRUTH, moved) <= abs(metrics.pearson_r(TRUTH, moved)) + 1e-9


def test_a_constant_has_no_correlation_and_no_explained_variance() -> None:
    flat = np.full(len(TRUTH), TRUTH.mean())
    assert math.isnan(metrics.pearson_r(TRUTH, flat))
    assert metrics.r_squared(TRUTH, flat) == pytest.approx(0)
    assert metrics.concordance(TRUTH, flat) == pytest.approx(0)
    assert math.isnan(metrics.r_squared(flat, TRUTH))


def test_within_r_leaves_flat_pieces_out() -> None:
    assert metrics.mean_within_r([[1, 2, 3], [1, 1, 1]], [[2, 4, 6], [1, 2, 3]]) == pytest.approx(1)
    assert math.isnan(metrics.mean_within_r([[1, 1]], [[1, 2]]))


def test_the_interval_covers_and_is_seeded() -> None:
    low, high = metrics.bootstrap_interval(metrics.pearson_r, TRUTH, GUESS, seed=1)
    assert low < metrics.pearson_r(TRUTH, GUESS) < high
    assert (low, high) == metrics.bootstrap_interval(metrics.pearson_r, TRUTH, GUESS, seed=1)


def test_frames_of_one_song_do_not_narrow_the_interval() -> None:
    """Every value copied twenty times is no new evidence when the copies are one group."""
    truth, guess = TRUTH[:30], GUESS[:30]
    song = np.repeat(np.arange(30), 20)

    def width(**kwargs: object) -> float:
        low, high = metrics.bootstrap_interval(
            metrics.pearson_r,
            np.repeat(truth, 20),
            np.repeat(guess, 20),
            **kwargs,  # type: ignore[arg-type]
        )
        return high - low

    low, high = metrics.bootstrap_interval(metrics.pearson_r, truth, guess)
    assert width(groups=song.tolist()) == pytest.approx(high - low, rel=0.25)
    assert width() < 0.5 * width(groups=song.tolist())


def test_a_score_carries_the_constant_baseline_of_its_fold() -> None:
    found = metrics.score([0.0, 1.0], [0.1, 0.8], constant=[0.0, 0.5], draws=50)
    assert (found.n, found.constant_mae) == (2, 0.25)
    assert found.mae == pytest.approx(0.15)


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        metrics.mae([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="group labels"):
        metrics.bootstrap_interval(metrics.mae, [1.0, 2.0], [1.0, 2.0], groups=["a"])
