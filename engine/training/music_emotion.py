"""Trains the music emotion model: one Bi-LSTM on VGMIDI, EMOPIA and Emotify together.

    python -m engine.training music-emotion --data DIR [--out DIR] [--seed N] [--cache DIR] [--folds]

`--folds` trains nothing to keep, and prints how good the recipe is on music that it has not heard.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from engine.emotion.bilstm import Array, CurveNet, Shape, context, standardise
from engine.emotion.features import NAMES
from engine.emotion.music import ASSETS, MusicConfig, hear, save_model
from engine.training.music_data import Example, SetName, load

NAME = "bilstm-1 (TuneTale)"

TABLE_WIDTH = 120
"""Columns of the printed tables, wherever they are printed to."""

SPREAD = (0.35, 0.33)
"""Standard deviation of (valence, arousal) over songs in music's ratings, on [-1, 1] (MediaEval 2015, 431 songs)."""


@dataclass(frozen=True)
class Recipe:
    """How to train; four recipes were tried in folds, and what set them apart was mostly within the noise."""

    shape: Shape = dataclasses.field(default_factory=lambda: Shape(len(NAMES)))
    epochs: int = 24
    batch: int = 64
    rate: float = 3e-3
    weight_decay: float = 0.05
    crop_rows: tuple[int, int] = (30, 64)
    """Shortest and longest stretch that is read in training (15 to 32 s); shorter pieces are repeated."""
    own_share: float = 0.5
    """How often a rendered piece is standardised like its own set rather than like real recordings."""
    offset: float = 0.15
    noise: float = 0.2
    """Standard deviations of noise on the standardised features: one draw for a piece, one for each row."""
    steepness: float = 2.5
    """Logits of a quadrant's two signs per standard deviation on the plane."""
    within: float = 3.0
    """Weight of how a curve moves within its piece against where the piece lies."""
    averaging: float = 0.99
    """Decay of the moving average of the weights, which is what is kept."""
    weights: tuple[float, float, float] = (2.0, 1.0, 1.5)
    """Weight in the loss of a piece of VGMIDI, EMOPIA, Emotify: the smaller the set, the more its pieces count."""


SETS: tuple[SetName, ...] = ("vgmidi", "emopia", "emotify")


@dataclass(frozen=True, eq=False)
class Trained:
    """A network with all that is needed to use it."""

    net: CurveNet
    config: MusicConfig
    centre: dict[SetName, tuple[NDArray[np.float64], NDArray[np.float64]]]
    """Mean and standard deviation of the (valence, arousal) labels of each set's training pieces."""

    def hear(self, rows: Array) -> Array:
        """Feature rows [T, F] -> (valence, arousal) [T, 2] in standard deviations of ratings."""
        return hear(self.net, self.config, rows)


Tell = Callable[[str, float], None]


def train(examples: Sequence[Example], recipe: Recipe, seed: int, tell: Tell, unlabelled: Sequence[Example]) -> Trained:
    """Train on `examples`, several sounding versions of a piece being alternatives. `unlabelled` are recordings whose
    sound (never their labels) sets the unit of the features."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    real = _statistics(unlabelled)
    rendered: dict[tuple[SetName, int], list[Example]] = {}
    for example in examples:
        if example.set != "emotify":
            rendered.setdefault((example.set, example.version), []).append(example)
    own = {key: _statistics(alike, floor=0.1 * real[1]) for key, alike in rendered.items()}
    pieces: dict[tuple[SetName, str], list[Example]] = {}
    for example in examples:
        pieces.setdefault((example.set, example.name), []).append(example)
    order = sorted(pieces)
    centre = {name: _centre(name, [pieces[key][0] for key in order if key[0] == name]) for name in SETS}

    net = CurveNet(recipe.shape)
    averaged = copy.deepcopy(net).requires_grad_(False)
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    per_epoch = max(1, len(order) // recipe.batch)
    steps = recipe.epochs * per_epoch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=steps, pct_start=0.15)
    step = 0
    for _ in range(recipe.epochs):
        for chosen in np.array_split(rng.permutation(len(order)), per_epoch):
            rows = int(rng.integers(recipe.crop_rows[0], recipe.crop_rows[1] + 1))
            batch = []
            for i in chosen:
                versions = pieces[order[i]]
                example = versions[rng.integers(len(versions))]
                like_own = example.set != "emotify" and rng.random() < recipe.own_share
                unit = own[(example.set, example.version)] if like_own else real
                batch.append(_crop(example, unit, centre[example.set], rows, recipe, rng))
            loss = _loss(net, batch, [pieces[order[i]][0].set for i in chosen], recipe)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            _average(averaged, net, min(recipe.averaging, (1 + step) / (10 + step)))
            tell(f"training, loss {float(loss.detach()):.3f}", step / steps)
    mean, scale = (tuple(float(value) for value in part) for part in real)
    config = MusicConfig(NAME, recipe.shape, NAMES, mean, scale, SPREAD)
    return Trained(averaged.eval(), config, centre)


def _statistics(examples: Sequence[Example], floor: Array | float = 1e-3) -> tuple[Array, Array]:
    rows = np.concatenate([example.rows for example in examples])
    return rows.mean(axis=0), np.maximum(rows.std(axis=0), floor)


def _centre(name: SetName, pieces: Sequence[Example]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if name == "emopia" or len(pieces) < 2:  # signs are already centred
        return np.zeros(2), np.ones(2)
    songs = np.array([piece.song for piece in pieces])
    return songs.mean(axis=0), songs.std(axis=0)


def _crop(
    example: Example,
    unit: tuple[Array, Array],
    centre: tuple[NDArray[np.float64], NDArray[np.float64]],
    length: int,
    recipe: Recipe,
    rng: np.random.Generator,
) -> tuple[Array, Array, Array]:
    """Return rows [length, F], context [length, 2 F] and labels [length, 2] of a random stretch of a piece."""
    shift = np.asarray(rng.normal(0, recipe.offset, example.rows.shape[1]), np.float32)
    rows = standardise(example.rows, *unit) + shift
    around = context(rows, recipe.shape.context_rows)
    start = int(rng.integers(0, max(1, len(rows) - length + 1)))
    at = (start + np.arange(length)) % len(rows)
    labels = np.array(example.song)[None].repeat(length, 0) if example.curve is None else example.curve[at]
    seen = rows[at] + rng.normal(0, recipe.noise, (length, rows.shape[1])).astype(np.float32)
    return seen, around[at], ((labels - centre[0]) / centre[1]).astype(np.float32)


def _loss(
    net: CurveNet, batch: Sequence[tuple[Array, Array, Array]], sets: Sequence[SetName], recipe: Recipe
) -> Tensor:
    rows, around, labels = (torch.from_numpy(np.stack(part)) for part in zip(*batch, strict=True))
    curve = net(rows, around, torch.full((len(rows),), rows.shape[1]))
    song, truth = curve.mean(dim=1), labels.mean(dim=1)
    squared = (song - truth).square().mean(dim=1)
    quadrant = nn.functional.binary_cross_entropy_with_logits(
        recipe.steepness * song, (truth > 0).float(), reduction="none"
    ).mean(dim=1)
    moving = ((curve - song[:, None]) - (labels - truth[:, None])).square().mean(dim=(1, 2))
    is_of = {name: torch.tensor([one == name for one in sets]).float() for name in SETS}
    vgmidi, emopia, emotify = recipe.weights
    each = (
        vgmidi * is_of["vgmidi"] * (squared + recipe.within * moving)
        + emopia * is_of["emopia"] * quadrant
        + emotify * is_of["emotify"] * squared
    )
    mean: Tensor = each.mean()
    return mean


@torch.no_grad()
def _average(averaged: nn.Module, net: nn.Module, decay: float) -> None:
    for kept, new in zip(averaged.parameters(), net.parameters(), strict=True):
        kept.lerp_(new, 1.0 - decay)


def main(arguments: Sequence[str]) -> None:
    """Run the command of the module's docstring. Raises `UserError` for data that cannot be used."""
    parser = argparse.ArgumentParser(prog="tunetale train music-emotion", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with vgmidi/, emopia/ and emotify/")
    parser.add_argument("--out", type=Path, default=ASSETS / "music_emotion", help="where the weights go")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("tunetale")))
    parser.add_argument("--folds", action="store_true", help="print the quality of the recipe instead")
    options = parser.parse_args(arguments)
    with Progress(transient=True) as bar:
        task = bar.add_task("reading", total=1.0)

        def tell(what: str, done: float) -> None:
            bar.update(task, description=what, completed=done)

        examples = load(options.data, options.cache, SETS, tell)
        if options.folds:
            from engine.training.music_folds import run_folds, show

            show(run_folds(examples, Recipe(), options.seed, tell), Console(width=TABLE_WIDTH))
            return
        emotify = [example for example in examples if example.set == "emotify"]
        trained = train(examples, Recipe(), options.seed, tell, emotify)
    save_model(options.out, trained.config, trained.net)
    print(f"weights written to {options.out}")
