"""Teachers of the music model's song head: blends of simple regressors on statistics of whole pieces.

On a few hundred labelled pieces a blend of ridge regression, support vectors and extremely randomised trees reads a
song's place on the plane better than a network trained on the labels. The network therefore learns from teachers, which
can judge any number of pieces between the labelled ones (distillation: Hinton, Vinyals & Dean 2015, arXiv 1503.02531;
mixing: Zhang et al. 2018, arXiv 1710.09412). Knows statistics and labels; knows nothing of files or of the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor  # type: ignore[import-untyped]
from sklearn.linear_model import Ridge  # type: ignore[import-untyped]
from sklearn.svm import SVR  # type: ignore[import-untyped]

Values = NDArray[np.float64]
View = NDArray[np.intp]
"""Columns of the statistics."""

CLIP = 5.0
TREES = 200
_BETWEEN = 0.5
"""Parameter of the beta distribution from which a mixture's share is drawn: mostly close to one of the two pieces."""
_NOISE = 0.3
"""Standard deviations of noise on the statistics of a mixture."""


@dataclass(frozen=True, eq=False)
class Unit:
    """Mean and standard deviation [D] of statistics over the pieces of one population."""

    mean: Values
    scale: Values

    @classmethod
    def of(cls, pieces: Values) -> Unit:
        """Measure the statistics [n, D] of n pieces; a column that does not vary gets scale 1."""
        scale = pieces.std(axis=0)
        return cls(pieces.mean(axis=0), np.where(scale > 1e-4, scale, 1.0))

    def apply(self, pieces: Values) -> Values:
        """Standardise statistics [n, D]."""
        return np.clip((pieces - self.mean) / self.scale, -CLIP, CLIP)

    def aligned(self, same: Values, other: Values) -> Unit:
        """Return the unit in which the pieces `other` [n, D] lie like `same` lies in this one: the same n pieces,
        played differently."""
        a, b = Unit.of(same), Unit.of(other)
        scale = self.scale * b.scale / a.scale
        return Unit(b.mean - (a.mean - self.mean) * b.scale / a.scale, scale)


@dataclass(frozen=True)
class Setting:
    """How closely a teacher follows its labels: penalty of the ridge regression, cost of an error to the vectors, and
    narrowness of their kernel (gamma times the number of columns) for valence, and for arousal and all that follows."""

    ridge: float
    cost: float
    narrowness: tuple[float, float] = (0.3, 0.3)


RECORDED = Setting(ridge=100.0, cost=1.0)
RENDERED = Setting(ridge=300.0, cost=0.3, narrowness=(0.3, 0.1))
"""Stiffer: pieces of two sets are read, and of VGMIDI's always another series than was learned from."""


class Teacher:
    """Reads labels (valence and arousal first) from standardised statistics."""

    def __init__(
        self,
        pieces: Values,
        labels: Values,
        weights: Values,
        seed: int,
        views: Sequence[View],
        setting: Setting = RECORDED,
    ) -> None:
        """Learn from statistics [n, D], labels [n, k] and weights [n]; `views` [k] says from which of the statistics
        each label is read."""
        self.outputs = labels.shape[1]
        self.views = list(views)
        self._models = [
            [model.fit(pieces[:, view], label, sample_weight=weights) for model in _models(i, len(view), seed, setting)]
            for i, (view, label) in enumerate(zip(self.views, labels.T, strict=True))
        ]

    def __call__(self, pieces: Values) -> Values:
        """Statistics [n, D] -> labels [n, k]."""
        each = zip(self.views, self._models, strict=True)
        return np.stack(
            [np.mean([m.predict(pieces[:, view]) for m in models], axis=0) for view, models in each], axis=1
        )


def _models(label: int, columns: int, seed: int, setting: Setting) -> list[Any]:
    """The trees were not tuned."""
    return [
        Ridge(alpha=setting.ridge),
        SVR(C=setting.cost, epsilon=0.1, gamma=setting.narrowness[min(label, 1)] / columns),
        ExtraTreesRegressor(TREES, min_samples_leaf=2, max_features=0.3, random_state=seed),
    ]


def mixtures(pieces: Values, count: int, rng: np.random.Generator) -> Values:
    """Draw statistics [count, D] of pieces that might be: mixtures of two pieces, with noise."""
    first, second = rng.integers(len(pieces), size=(2, count))
    share = rng.beta(_BETWEEN, _BETWEEN, count)[:, None]
    noise = rng.normal(0.0, _NOISE, (count, pieces.shape[1])) * pieces.std(axis=0)
    drawn: Values = share * pieces[first] + (1 - share) * pieces[second] + noise
    return drawn


def drawn_apart(pieces: Values, views: Sequence[View], rng: np.random.Generator) -> Values:
    """Shuffle the statistics [n, D] so that columns from which different labels are read come from different pieces.

    Only so a student can learn that a label does not depend on what its teacher leaves out: in music keys and speed go
    together. Where every label is read from the same columns nothing is parted."""
    read = np.zeros((len(views), pieces.shape[1]), bool)
    for label, view in zip(read, views, strict=True):
        label[view] = True
    block = np.unique(read, axis=1, return_inverse=True)[1]
    parted = pieces.copy()
    for columns in (np.flatnonzero(block == i) for i in range(1, block.max() + 1)):
        parted[:, columns] = pieces[rng.permutation(len(pieces))][:, columns]
    return parted


def label_offset(pieces: Values, labels: Values, is_first: NDArray[np.bool_]) -> Values:
    """How much higher the labels [n, 2] of one set are than another's for pieces that sound the same: [2].

    Each set's labels are centred on its own mean, but one set's average piece need not feel like the other's.
    """
    weight = 30.0  # so large that the ridge leaves this coefficient alone
    design = np.concatenate([pieces, weight * is_first[:, None]], axis=1)
    offset: Values = Ridge(alpha=100.0).fit(design, labels).coef_[:, -1] * weight
    return offset
