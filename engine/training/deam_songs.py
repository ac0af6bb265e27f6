"""What the 74 song-level openSMILE descriptors of DEAM say about valence and arousal (Aljanaki, Yang & Soleymani 2017).

A table only: the descriptors are those of a closed program, so that nothing trained on them can hear a recording. It
answers how much a strong, simple regressor takes out of DEAM on a frozen split, beside published figures. Knows the
files; knows nothing of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor  # type: ignore[import-untyped]
from sklearn.gaussian_process import GaussianProcessRegressor  # type: ignore[import-untyped]
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel  # type: ignore[import-untyped]
from sklearn.preprocessing import QuantileTransformer  # type: ignore[import-untyped]
from sklearn.svm import SVR  # type: ignore[import-untyped]

from engine.errors import UserError
from engine.evaluation.metrics import Score, score
from engine.training.music_data import read_table

Values = NDArray[np.float64]

HARD_SET_ABOVE = 2000
"""Song ids above are the 58 full songs of MediaEval 2015, rated elsewhere: never trained on, and reported apart."""

SPLIT_SEED = 2024
SHARES = (0.7, 0.15, 0.15)
"""Train, development and test part of the other songs. By song; artists are not known, so one may be on two sides."""

FOLDS = 5
AXES = ("valence", "arousal")
_FEATURES, _LABELS = 74, ("valence_mean", "arousal_mean")


@dataclass(frozen=True, eq=False)
class Songs:
    """Ids [n], descriptors [n, 74], and (valence, arousal) [n, 2] on [-1, 1] (rated 1 to 9)."""

    ids: NDArray[np.int64]
    features: Values
    ratings: Values


def read(folder: Path) -> Songs:
    """Read `song_features_74.csv` and `static.csv`. Raises `UserError` naming the file or column that is wrong."""
    labels = {row["song_id"]: row for row in read_table(folder / "static.csv", "song_id", *_LABELS)}
    path = folder / "song_features_74.csv"
    rows = list(read_table(path, "track_id"))
    if not rows:
        raise UserError(f"{path} has no rows; fetch the data set again.", code="data_damaged")
    # the columns valence_* and arousal_* of this file are ratings, not descriptors
    names = [name for name in rows[0] if name != "track_id" and not name.startswith(("valence", "arousal"))]
    if len(names) != _FEATURES:
        raise UserError(f"{path} has {len(names)} descriptors instead of {_FEATURES}.", code="data_damaged")
    try:
        ids = [str(int(float(row["track_id"]))) for row in rows]
        features = np.array([[float(row[name]) for name in names] for row in rows])
        ratings = np.array([[(float(labels[song][name]) - 5) / 4 for name in _LABELS] for song in ids])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is not as expected ({error}); fetch the data set again.", code="data_damaged"
        ) from None
    return Songs(np.array(ids, dtype=np.int64), features, ratings)


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the songs in each part."""

    train: NDArray[np.intp]
    dev: NDArray[np.intp]
    test: NDArray[np.intp]
    hard: NDArray[np.intp]


def split(ids: NDArray[np.int64]) -> Split:
    """Return the frozen split: the same ids always fall into the same parts, in whatever order they come."""
    order = np.argsort(ids)
    usual = order[ids[order] <= HARD_SET_ABOVE]
    shuffled = usual[np.random.default_rng(SPLIT_SEED).permutation(len(usual))]
    ends = np.round(np.cumsum(SHARES[:2]) * len(usual)).astype(int)
    train, dev, test = np.split(shuffled, ends)
    return Split(train, dev, test, order[ids[order] > HARD_SET_ABOVE])


def predict(features: Values, ratings: Values, asked: Values) -> Values:
    """Learn from features [n, D] and ratings [n, 2]; predict the ratings [m, 2] of `asked` [m, D].

    The mean of a Gaussian process, support vectors and extremely randomised trees, on descriptors brought to a normal
    distribution by their ranks (openSMILE's are skewed).
    """
    normal = QuantileTransformer(output_distribution="normal", n_quantiles=min(300, len(features)), random_state=0)
    seen, new = (np.clip(part, -3, 3) for part in (normal.fit_transform(features), normal.transform(asked)))
    kernel = ConstantKernel(0.5) * RBF(12.0) + WhiteKernel(0.4) + ConstantKernel(0.01) * DotProduct()
    found = np.empty((len(asked), 2))
    for axis in range(2):
        mean, scale = ratings[:, axis].mean(), ratings[:, axis].std()
        models = (
            GaussianProcessRegressor(kernel, optimizer=None),  # searching for widths takes minutes, and may find a trap
            SVR(C=1.0, gamma=0.5 / features.shape[1], epsilon=0.2),
            ExtraTreesRegressor(300, min_samples_leaf=2, max_features=0.4, random_state=0),
        )
        each = [model.fit(seen, (ratings[:, axis] - mean) / scale).predict(new) for model in models]
        found[:, axis] = np.mean(each, axis=0) * scale + mean
    return found


def cross_validated(songs: Songs, seeds: Sequence[int], tell: Callable[[float], None]) -> list[dict[str, Score]]:
    """Score `predict` on five random folds of the ids up to HARD_SET_ABOVE, by song, once for each seed: every song is
    asked once, by a model that has not seen it. One table (by axis) a seed."""
    usual = np.flatnonzero(songs.ids <= HARD_SET_ABOVE)
    tables = []
    for turn, seed in enumerate(seeds):
        guess, constant = np.empty((2, len(usual), 2))
        folds = np.array_split(np.random.default_rng(seed).permutation(len(usual)), FOLDS)
        for k, out in enumerate(folds):
            known = usual[np.setdiff1d(np.arange(len(usual)), out)]
            guess[out] = predict(songs.features[known], songs.ratings[known], songs.features[usual[out]])
            constant[out] = songs.ratings[known].mean(axis=0)
            tell((turn * FOLDS + k + 1) / (len(seeds) * FOLDS))
        truth = songs.ratings[usual]
        tables.append({label: score(truth[:, i], guess[:, i], constant=constant[:, i]) for i, label in enumerate(AXES)})
    return tables


def evaluate(songs: Songs) -> dict[tuple[str, str], Score]:
    """Score the development part (learned on train), the test part and the hard set (learned on train and dev)."""
    parts = split(songs.ids)
    both = np.concatenate([parts.train, parts.dev])
    table = {}
    for known, asked in ((parts.train, {"dev": parts.dev}), (both, {"test": parts.test, "full songs": parts.hard})):
        rows = np.concatenate(list(asked.values()))
        guess = dict(zip(rows, predict(songs.features[known], songs.ratings[known], songs.features[rows]), strict=True))
        for part, these in asked.items():
            for axis, label in enumerate(AXES):
                found = [guess[row][axis] for row in these]
                constant = songs.ratings[known, axis].mean()
                table[(part, label)] = score(songs.ratings[these, axis], found, constant=constant)
    return table
