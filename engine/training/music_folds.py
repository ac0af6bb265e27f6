"""How good a recipe is on music that it has not heard. Knows the splits of the data sets; knows nothing of the network.

Five folds: of VGMIDI by series, of Emotify by track; EMOPIA's official validation part is held out of every fold. Each
row has the constant baseline (mean of the training labels) beside it; within a piece the control is the position of the
bar, because game music grows the same way almost everywhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engine.emotion.features import Array
from engine.emotion.music import to_plane
from engine.evaluation.metrics import Score, mean_within_r, pearson_r, score
from engine.training.music_data import GEMS, Example, SetName
from engine.training.music_emotion import SETS, SPREAD, Recipe, Tell, Trained, train

FOLDS = 5
AXES = ("valence", "arousal")
SCALES: dict[SetName, str] = {"vgmidi": "[-1, 1]", "emotify": "sum of shares"}


@dataclass(frozen=True, eq=False)
class Guess:
    """One held-out piece and what was heard in it: `standard` float32 [T, 2] as the network says it; times `unit` plus
    `centre` (of the fold's training labels) it is in the unit of its set. `control` [T, 2]: what bar position says."""

    piece: Example
    standard: Array
    centre: NDArray[np.float64]
    unit: NDArray[np.float64]
    control: NDArray[np.float64] | None = None
    fold: int = 0
    gems: Array | None = None
    """What was heard of the GEMS emotions, where the network tells them."""

    @property
    def curve(self) -> NDArray[np.float64]:
        """What was heard [T, 2], in the unit of the set."""
        return self.standard * self.unit + self.centre


@dataclass(frozen=True)
class Report:
    """What the folds say. `songs`: per set and axis over all pieces; `by_fold`: the mean of the folds' correlations;
    `within`: mean correlation within pieces of VGMIDI per axis, mean of the folds, and the same of bar position;
    `emopia`: accuracy of V, A and quadrant, and of the most frequent class."""

    songs: dict[tuple[SetName, str], Score]
    by_fold: dict[tuple[SetName, str], float]
    within: dict[str, tuple[float, float]]
    emopia: tuple[float, ...]
    emopia_constant: tuple[float, ...]
    spread: tuple[float, ...]
    """Standard deviation over the Emotify clips of their mean (valence, arousal) on the plane."""
    quadrants: tuple[float, ...]
    """Shares of the Emotify clips in the quadrants ++, -+, --, +-."""
    gems: dict[str, float] = dataclasses.field(default_factory=dict)
    """Correlation with the share of Emotify's listeners who chose each GEMS emotion, mean of the folds."""


def fold_of(examples: Sequence[Example], seed: int) -> dict[tuple[SetName, str], int]:
    """Give every group of VGMIDI (largest series first, each to the emptiest fold) and of Emotify (shuffled) a fold."""
    groups: dict[tuple[SetName, str], set[str]] = {}
    for example in examples:
        if example.set != "emopia":
            groups.setdefault((example.set, example.group), set()).add(example.name)
    rng = np.random.default_rng(seed)
    order = sorted(groups)
    shuffled = sorted((order[i] for i in rng.permutation(len(order))), key=lambda key: -len(groups[key]))
    filled = {name: [0] * FOLDS for name, _ in order}
    fold = {}
    for key in shuffled:
        fold[key] = int(np.argmin(filled[key[0]]))
        filled[key[0]][fold[key]] += len(groups[key])
    return fold


def run_folds(
    examples: Sequence[Example], recipe: Recipe, seed: int, tell: Tell, sources: Collection[SetName] = SETS
) -> Report:
    """Train FOLDS times on the labels of `sources` and hear what was held out of all sets, each piece on its first
    sounding version (the piano)."""
    unlabelled = [example for example in examples if example.set == "emotify"]
    guesses: list[Guess] = []
    for k in range(FOLDS):
        rest, held = split(examples, seed, k)
        kept = [example for example in rest if example.set in sources]

        def say(what: str, done: float, k: int = k) -> None:
            tell(f"fold {k + 1} of {FOLDS}: {what}", (k + done) / FOLDS)

        trained = train(kept, recipe, seed + 1000 * k, say, unlabelled)
        control = _bar_position(kept)
        guesses += [_guess(trained, piece, control, k) for piece in held]
    return summarise(guesses)


def split(examples: Sequence[Example], seed: int, k: int) -> tuple[list[Example], list[Example]]:
    """Return what fold `k` learns from, and what it is asked: the latter on its first sounding version."""
    fold = fold_of(examples, seed)
    first = min(example.version for example in examples if example.set != "emotify")
    is_out = [e.part == "val" if e.set == "emopia" else fold[(e.set, e.group)] == k for e in examples]
    kept = [example for example, out in zip(examples, is_out, strict=True) if not out]
    asked = [e for e, out in zip(examples, is_out, strict=True) if out and (e.set == "emotify" or e.version == first)]
    return kept, asked


def hear_all(trained: Trained, pieces: Sequence[Example]) -> Report:
    """Score what one network hears in pieces that it has not learned from."""
    nothing = np.zeros((1, 2))
    return summarise([_guess(trained, piece, nothing, 0) for piece in pieces])


def songs_only(recipe: Recipe) -> Recipe:
    """The same recipe without training how moments differ: enough for what is said of whole pieces."""
    return dataclasses.replace(recipe, moves=dataclasses.replace(recipe.moves, steps=0))


def _guess(trained: Trained, piece: Example, by_place: NDArray[np.float64], fold: int) -> Guess:
    centre, unit = trained.centre.get(piece.set, (np.zeros(2), np.ones(2)))
    control = None if piece.place is None else by_place[_bins(piece.place, len(by_place))]
    gems = trained.gems(piece) if piece.gems and trained.config.gems else None
    return Guess(piece, trained.hear(piece), centre, unit, control, fold, gems)


def _bins(place: NDArray[np.float64], bins: int) -> NDArray[np.intp]:
    return np.minimum((place * bins).astype(np.intp), bins - 1)


def _bar_position(kept: Sequence[Example], bins: int = 20) -> NDArray[np.float64]:
    """Mean deviation of the label from its piece's mean in each twentieth of the training pieces: [bins, 2]."""
    total, count = np.zeros((bins, 2)), np.zeros((bins, 1))
    for piece in kept:
        if piece.curve is not None and piece.place is not None:
            at = _bins(piece.place, bins)
            np.add.at(total, at, piece.curve - piece.curve.mean(axis=0))
            np.add.at(count, at, 1.0)
    return total / np.maximum(count, 1.0)


def summarise(guesses: Sequence[Guess]) -> Report:
    """Score the guesses of all folds together."""
    songs, by_fold = {}, {}
    for name in SCALES:
        of = [guess for guess in guesses if guess.piece.set == name]
        if not of:
            continue
        for axis, label in enumerate(AXES):
            songs[(name, label)] = score(
                [guess.piece.song[axis] for guess in of],
                [float(guess.curve[:, axis].mean()) for guess in of],
                constant=[guess.centre[axis] for guess in of],
                groups=[guess.piece.group for guess in of],
            )
            by_fold[(name, label)] = _mean_of_folds(of, axis)
    within = {label: _within(guesses, axis) for axis, label in enumerate(AXES)}
    return Report(songs, by_fold, within, *_emopia(guesses), *_plane(guesses), _gems(guesses))


def _mean_of_folds(guesses: Sequence[Guess], axis: int) -> float:
    def value(guess: Guess) -> tuple[float, float]:
        return guess.piece.song[axis], float(guess.curve[:, axis].mean())

    return _fold_r(guesses, value)


def _gems(guesses: Sequence[Guess]) -> dict[str, float]:
    told = [guess for guess in guesses if guess.gems is not None]

    def of(guess: Guess, i: int) -> tuple[float, float]:
        assert guess.gems is not None
        return guess.piece.gems[i], float(guess.gems[i])

    return {name: _fold_r(told, partial(of, i=i)) for i, name in enumerate(GEMS)} if told else {}


def _fold_r(guesses: Sequence[Guess], value: Callable[[Guess], tuple[float, float]]) -> float:
    """Mean over the folds of the correlation between truth and what was heard."""
    each = []
    for fold in sorted({guess.fold for guess in guesses}):
        truth, found = zip(*(value(guess) for guess in guesses if guess.fold == fold), strict=True)
        each.append(pearson_r(truth, found))
    return float(np.mean(each))


def _within(guesses: Sequence[Guess], axis: int) -> tuple[float, float]:
    each = []
    for fold in sorted({guess.fold for guess in guesses}):
        timed = [g for g in guesses if g.piece.curve is not None and g.control is not None and g.fold == fold]
        if timed:
            truth = [g.piece.curve[:, axis] for g in timed if g.piece.curve is not None]
            control = [g.control[:, axis] for g in timed if g.control is not None]
            heard = [g.curve[:, axis] for g in timed]
            each.append((mean_within_r(truth, heard), mean_within_r(truth, control)))
    if not each:
        return float("nan"), float("nan")
    heard_r, control_r = np.mean(each, axis=0)
    return float(heard_r), float(control_r)


def _emopia(guesses: Sequence[Guess]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    of = [guess for guess in guesses if guess.piece.set == "emopia"]
    truth = np.array([guess.piece.song for guess in of]) > 0
    right = (np.array([guess.curve.mean(axis=0) for guess in of]) > 0) == truth
    sizes = np.unique(truth @ (2, 1), return_counts=True)[1]
    often = np.maximum(truth.mean(axis=0), 1 - truth.mean(axis=0))
    accuracy = (*_floats(right.mean(axis=0)), float(right.all(axis=1).mean()))
    return accuracy, (*_floats(often), float(sizes.max() / len(of)))


def _plane(guesses: Sequence[Guess]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    curves = [to_plane(guess.standard, SPREAD) for guess in guesses if guess.piece.set == "emotify"]
    if not curves:
        return (), ()
    means = np.array([curve.mean(axis=0) for curve in curves])
    v, a = (means > 0).T
    return _floats(means.std(axis=0)), _floats([(v & a).mean(), (~v & a).mean(), (~v & ~a).mean(), (v & ~a).mean()])


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
