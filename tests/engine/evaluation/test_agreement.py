from __future__ import annotations

import numpy as np
import pytest

from engine.evaluation.agreement import (
    MIN_ANSWERS,
    _coincidences,
    _ordinal_alpha,
    alpha,
    chance_odds,
    consistency,
    rater_flags,
    value_counts,
)

NAN = float("nan")
# Krippendorff 2011, "Computing Krippendorff's alpha-reliability", section D: four observers, twelve units, holes.
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)


def test_alpha_is_the_published_one() -> None:
    observer, unit = np.nonzero(np.isfinite(KRIPPENDORFF))
    found = alpha(unit, KRIPPENDORFF[observer, unit])
    assert found is not None
    assert found.value == pytest.approx(0.815, abs=0.0005)
    assert found.interval is not None
    assert found.interval.low < 0.815 < found.interval.high


def test_the_bootstraps_alpha_is_the_librarys() -> None:
    rng = np.random.default_rng(0)
    unit = rng.integers(0, 30, 200)
    scores = np.clip(np.rint(rng.normal(size=30)[unit] + 2.5 + rng.normal(size=200)), 0, 5)
    found = alpha(unit, scores)
    counts = value_counts(unit, scores)
    counts = counts[counts.sum(axis=1) >= 2]
    assert found is not None
    assert _ordinal_alpha(_coincidences(counts).sum(axis=0)) == pytest.approx(found.value)


@pytest.mark.parametrize(
    ("pairs", "scores"),
    [
        ([1, 2, 3], [0, 1, 5]),  # nobody has rated the same
        ([1, 1], [0, 5]),  # one pair
        ([1, 1, 2, 2], [4, 4, 4, 4]),  # one score
    ],
)
def test_alpha_that_is_not_defined(pairs: list[int], scores: list[int]) -> None:
    assert alpha(pairs, scores) is None


def test_consistency() -> None:
    found = consistency([3, 4, 0], [3, 5, 4])
    assert found is not None
    assert (found.repeats, found.same, found.within_one) == (3, 1 / 3, 2 / 3)
    assert found.mean_difference == pytest.approx(5 / 3)
    assert consistency([], []) is None


def campaign(rng: np.random.Generator, careless: set[int]) -> tuple[np.ndarray, ...]:
    """200 raters, 24 pairs, a control in seven answers, a fifth of the people leaving midway."""
    quality, controls = 3.4 + 0.6 * rng.normal(size=24), 1.6 + 0.4 * rng.normal(size=24)
    rows = []
    for rater in range(200):
        strict = 0.5 * rng.normal()
        rated = rng.permutation(24)[: rng.integers(8, 24) if rng.random() < 0.2 else 24]
        for pair in rated:
            for thing, centre in ((pair, quality[pair]), (pair + 24, controls[pair]))[: 1 + (rng.random() < 0.15)]:
                honest = np.clip(np.rint(centre + strict + 0.9 * rng.normal()), 0, 5)
                rows.append((rater, thing, rng.integers(0, 6) if rater in careless else honest, 90.0))
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def test_planted_careless_raters_are_found() -> None:
    hits = flagged = planted = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        careless = set(rng.choice(200, 20, replace=False).tolist())
        found = {flag.rater for flag in rater_flags(*campaign(rng, careless)) if flag.careless}
        hits, flagged, planted = hits + len(found & careless), flagged + len(found), planted + len(careless)
    assert hits / flagged >= 0.8  # precision
    assert hits / planted >= 0.85  # recall


def test_with_few_answers_nobody_is_accused() -> None:
    rng = np.random.default_rng(1)
    rater, thing, score, delay = campaign(rng, set(range(0, 200, 10)))
    first = np.concatenate([np.flatnonzero(rater == i)[: MIN_ANSWERS - 1] for i in range(200)])
    assert rater_flags(rater[first], thing[first], score[first], delay[first]) == []


def test_where_nobody_agrees_nobody_is_careless() -> None:
    rng = np.random.default_rng(2)
    rater, thing = (axis.ravel() for axis in np.indices((40, 20)))
    flags = rater_flags(rater, thing, rng.integers(0, 6, 800), np.full(800, 60.0))
    assert sum(flag.careless for flag in flags) <= 2
    assert chance_odds(0.0, 30, usual=-0.1) == 0.0


def test_the_flat_and_the_hasty() -> None:
    rng = np.random.default_rng(3)
    rater, thing = (axis.ravel() for axis in np.indices((10, 12)))
    scores = np.clip(np.rint(3 + rng.normal(size=12)[thing] + 0.5 * rng.normal(size=120)), 0, 5)
    delays = np.where(rater == 4, 3.0, 60.0)
    scores[rater == 7] = 3
    flags = {flag.rater: flag for flag in rater_flags(rater, thing, scores, delays)}
    assert [i for i, flag in flags.items() if flag.flat] == [7]
    assert [i for i, flag in flags.items() if flag.hasty] == [4]
    assert {i for i, flag in flags.items() if flag.odd} >= {4, 7}
    unknown = rater_flags(rater, thing, scores, np.full(120, NAN))
    assert not any(flag.hasty for flag in unknown)
