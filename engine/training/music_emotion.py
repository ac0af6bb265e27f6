"""Trains the music emotion model: one Bi-LSTM on VGMIDI, EMOPIA and Emotify together.

    tunetale train music-emotion --data DIR [--out DIR] [--seed N] [--cache DIR] [--sources SET …] [--widely]

`--sources` leaves data sets out, for a model that shares no labels with another (a judge); `--widely` plays all pieces
on instruments of every family, for a model that hears what is composed. How good the recipe is on
music that it has not heard is printed by `tunetale evaluate music-emotion`; `--dataset deam` is the paper's experiment
(`engine/training/deam.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import torch
from numpy.typing import NDArray
from rich.progress import Progress

from engine.dispatch import OneSentenceParser
from engine.emotion.bilstm import Array, CurveNet, Shape, standardise
from engine.emotion.features import NAMES
from engine.emotion.music import ASSETS, MusicConfig, hear, hear_gems, save_model
from engine.training import deam, moves, songs
from engine.training.moves import MoveRecipe
from engine.training.music_data import GEMS, PROGRAMS, WIDELY, Example, SetName, load
from engine.training.songs import SongRecipe

NAME = "bilstm-5"

SPREAD = (0.35, 0.33)
"""Standard deviation of (valence, arousal) over songs in music's ratings, on [-1, 1] (MediaEval 2015, 431 songs)."""

SETS: tuple[SetName, ...] = ("vgmidi", "emopia", "emotify")


@dataclass(frozen=True)
class Recipe:
    """How to train: the network's sizes, its song head, and how it follows moments."""

    shape: Shape = dataclasses.field(default_factory=lambda: Shape(len(NAMES)))
    songs: SongRecipe = dataclasses.field(default_factory=SongRecipe)
    moves: MoveRecipe = dataclasses.field(default_factory=MoveRecipe)


@dataclass(frozen=True, eq=False)
class Trained:
    """A network with all that is needed to use it."""

    net: CurveNet
    config: MusicConfig
    centre: dict[SetName, tuple[NDArray[np.float64], NDArray[np.float64]]]
    """What the network's 0 and 1 are worth in each set's own unit: (valence, arousal) each."""
    losses: dict[str, dict[str, list[float]]]
    """Error over each twentieth of the two parts of the training ("songs", "moments"), by what it is the error of."""

    def hear(self, piece: Example) -> Array:
        """Return (valence, arousal) [T, 2] in standard deviations of ratings."""
        return hear(self.net, self.config, piece.rows, place=piece.place)

    def gems(self, piece: Example) -> Array:
        """Return the GEMS emotions of a piece [len(config.gems)], in standard deviations of their shares."""
        return hear_gems(self.net, self.config, piece.rows)


Tell = Callable[[str, float], None]


def name_of(sources: Collection[SetName]) -> str:
    """Return the name of a model that learned from `sources`."""
    parts = [] if set(sources) == set(SETS) else sorted(sources)
    return f"{'-'.join([NAME, *parts])} (TuneTale)"


def train(
    examples: Sequence[Example],
    recipe: Recipe,
    seed: int,
    tell: Tell,
    unlabelled: Sequence[Example],
    held: Sequence[Example] = (),
) -> Trained:
    """Train on `examples`, several sounding versions of a piece being alternatives. `unlabelled` are recordings whose
    sound (never their labels) sets the unit of the features. Of the pieces `held` only the error is followed."""
    torch.manual_seed(seed)
    real = np.concatenate([example.rows for example in unlabelled])
    mean, scale = real.mean(axis=0), np.maximum(real.std(axis=0), 1e-3)
    gems = GEMS if any(example.gems for example in examples) else ()
    shape = dataclasses.replace(recipe.shape, gems=len(gems))
    net = CurveNet(shape)

    def unit(example: Example) -> Array:
        return standardise(example.rows, mean, scale)

    known = songs.teach(examples, unit, unlabelled, seed)
    watch = songs.watched(known, held, unit)
    song_losses = songs.fit(net, known, recipe.songs, seed, lambda done: tell("training, songs", done / 2), watch)
    timed = moves.timed_sequences(watch, shape)
    move_losses = moves.fit(
        net, known, mean, scale, recipe.moves, seed, lambda done: tell("training, moments", 0.5 + done / 2), timed
    )
    config = MusicConfig(
        name_of({example.set for example in examples}),
        shape,
        NAMES,
        tuple(map(float, mean)),
        tuple(map(float, scale)),
        SPREAD,
        gems,
    )
    return Trained(net.eval(), config, known.centre, {"songs": song_losses, "moments": move_losses})


def main(arguments: Sequence[str]) -> None:
    """Run the command of the module's docstring. Raises `UserError` for data that cannot be used."""
    chosen = OneSentenceParser(add_help=False, allow_abbrev=False)
    chosen.add_argument("--dataset", choices=("shipped", "deam"), default="shipped")
    dataset, rest = chosen.parse_known_args(arguments)
    with Progress(transient=True) as bar:
        task = bar.add_task("reading", total=1.0)

        def tell(what: str, done: float) -> None:
            bar.update(task, description=what, completed=done)

        if dataset.dataset == "deam":
            deam.main(rest, tell)
        else:
            _shipped(rest, tell)


def _shipped(arguments: Sequence[str], tell: Tell) -> None:
    parser = OneSentenceParser(prog="tunetale train music-emotion", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with vgmidi/, emopia/ and emotify/")
    parser.add_argument("--out", type=Path, default=ASSETS / "music_emotion", help="where the weights go")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("tunetale")))
    parser.add_argument("--sources", nargs="+", choices=SETS, default=SETS, help="data sets whose labels are learned")
    parser.add_argument("--widely", action="store_true", help="play all pieces on instruments of every family")
    options = parser.parse_args(arguments)
    names = sorted({*options.sources, "emotify"}, key=SETS.index)
    examples = load(options.data, options.cache, names, tell, WIDELY if options.widely else PROGRAMS)
    kept = [example for example in examples if example.set in options.sources]
    emotify = [example for example in examples if example.set == "emotify"]
    trained = train(kept, Recipe(), options.seed, tell, emotify)
    save_model(options.out, trained.config, trained.net)
    print(f"weights written to {options.out}")
