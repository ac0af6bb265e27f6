"""Does the composer's music feel as it should? A grid of constant targets, stories, and how much pieces differ.

    tunetale evaluate composer --data DIR [--judge DIR] [--steer DIR] [--stories 60] [--side 9] [--seed N]

The composer is the product's, steered by its steering model; the judge has learned from other data and no label of the
steering model's. The report names both.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice, pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table
from scipy.stats import spearmanr

from engine.dispatch import OneSentenceParser
from engine.emotion.alignment import StoryBank, align
from engine.emotion.beatwise import Listen, hear_by_beat
from engine.emotion.calibration import Calibration
from engine.emotion.curve import Beat, EmotionCurve, beats_array
from engine.emotion.music import ASSETS, MusicEmotion
from engine.emotion.text import TextEmotion
from engine.evaluation.composer_stories import Followed, beats_of, follow, hear, plane_texts, tale_texts
from engine.evaluation.metrics import bootstrap_interval, pearson_r
from engine.evaluation.variety import GRAM, Variety, variety
from engine.music.composer import Brief, Composer
from engine.music.describer import RulesDescriber
from engine.music.load import load_composer
from engine.report import silent
from engine.settings import EngineSettings, StageSettings
from engine.steps import durations, heard_in
from engine.training.story_bank import read_tales
from engine.training.text_data import read_emobank

REACH = 0.8
"""The grid spans [-REACH, REACH] on both axes."""
SHIPPED = ASSETS / "music_emotion"
"""The model whose ears people see."""
CAVEAT = "The judge is the model that also steered the composer: no independent judge."
VARIETY_PIECES = 100
MOST_SENTENCES = 4_000
"""Sentences of EmoBank that are read to find those far out on the plane; reading all takes a minute more."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Wanted coordinates of each axis, and what was heard: float64 [valence, arousal, seed, 2]."""

    wanted: NDArray[np.float64]
    heard: NDArray[np.float64]

    @property
    def valence_r(self) -> float:
        """Pearson r of wanted and heard valence over all pieces."""
        wanted = np.broadcast_to(self.wanted[:, None, None], self.heard.shape[:3])
        return pearson_r(wanted.ravel(), self.heard[..., 0].ravel())

    @property
    def arousal_r(self) -> float:
        """Pearson r of wanted and heard arousal over all pieces."""
        wanted = np.broadcast_to(self.wanted[None, :, None], self.heard.shape[:3])
        return pearson_r(wanted.ravel(), self.heard[..., 1].ravel())

    def along(self, axis: int) -> float:
        """Spearman's rho of wanted coordinates and heard means along one axis (0 valence, 1 arousal)."""
        means = self.heard[..., axis].mean(axis=(1 - axis, 2))
        return float(spearmanr(self.wanted, means).statistic)


def compose_grid(composer: Composer, listen: Listen, side: int, seeds: int, seconds: float) -> Grid:
    """Compose and hear `side` × `side` constant targets with `seeds` seeds each."""
    wanted = np.linspace(-REACH, REACH, side)
    heard = np.zeros((side, side, seeds, 2))
    for i, valence in enumerate(wanted):
        for j, arousal in enumerate(wanted):
            for seed in range(seeds):
                heard[i, j, seed] = hear_target(composer, listen, float(valence), float(arousal), seed, seconds)
    return Grid(wanted, heard)


def hear_target(
    composer: Composer, listen: Listen, valence: float, arousal: float, seed: int, seconds: float
) -> tuple[float, float]:
    """Return the mean (valence, arousal) heard in a piece that should stand at one point of the plane."""
    thirds = [seconds * k / 3 for k in range(4)]
    beats = tuple(Beat(a, b, valence, arousal, "target") for a, b in pairwise(thirds))
    return hear(composer.compose(Brief("", beats, seconds, seed), silent), listen).mean_between(0.0, seconds)


def print_grid(grid: Grid, console: Console) -> None:
    """Print the figures, and what was heard on average in every cell, row and column."""
    console.print(f"r(V) {grid.valence_r:.2f}   r(A) {grid.arousal_r:.2f}   over {grid.heard[..., 0].size} pieces")
    console.print(f"Spearman along the axes: valence {grid.along(0):.2f}   arousal {grid.along(1):.2f}")
    for axis, word in enumerate(("valence", "arousal")):
        table = Table("A \\ V", *(f"{value:+.1f}" for value in grid.wanted), "all", title=f"heard {word}", padding=0)
        means = grid.heard[..., axis].mean(axis=2)
        for j in reversed(range(len(grid.wanted))):
            table.add_row(f"{grid.wanted[j]:+.1f}", *map(_signed, (*means[:, j], means[:, j].mean())))
        table.add_row("all", *map(_signed, (*means.mean(axis=1), means.mean())))
        console.print(table)


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}"  # no negative zero


def print_followed(parts: dict[str, Followed], console: Console, seed: int) -> None:
    """Print how closely each kind of story was followed, beat by beat, on [-1, 1]."""
    table = Table("stories", "beats", "axis", "r", "95 % interval", "MAE", "constant's MAE", title="wanted and heard")
    for name, found in parts.items():
        for axis, word in enumerate(("valence", "arousal")):
            low, high = found.interval(axis, seed)
            errors = f"{found.mae(axis):.3f}", f"{found.constant_mae(axis):.3f}"
            table.add_row(
                name, str(len(found.wanted)), word, f"{found.r(axis):.3f}", f"{low:.2f} … {high:.2f}", *errors
            )
    console.print(table)
    for name, found in parts.items():
        shares = np.array(found.better)
        if len(shares):
            low, high = bootstrap_interval(_mean, shares, shares, seed=seed)
            console.print(
                f"{name}: better than {shares.mean():.0%} of random stories ({low:.0%} … {high:.0%}; "
                "TuneTale's own measure; chance 50 %)"
            )


def _mean(values: NDArray[np.float64], _: NDArray[np.float64]) -> float:
    return float(values.mean())


def print_variety(found: Variety, console: Console) -> None:
    """Print how much pieces differ."""
    console.print(
        f"two seeds share {found.melody_overlap:.1%} of their melodies' {GRAM}-interval figures and "
        f"{found.harmony_overlap:.1%} of their {GRAM}-chord progressions; over {VARIETY_PIECES} pieces there are "
        f"{found.progressions} progressions, entropy {found.entropy_bits:.1f} bits, the commonest in "
        f"{found.commonest:.0%} of the pieces"
    )


def main(arguments: Sequence[str]) -> int:
    """Run the evaluation from a command line."""
    parser = OneSentenceParser(prog="tunetale evaluate composer", description="Does the music feel as it should?")
    parser.add_argument(
        "--data", type=Path, help="folder with stories/fairytaleqa/ and emobank/; without: the grid alone"
    )
    parser.add_argument("--judge", type=Path, default=ASSETS / "music_judge", help="weights that judge")
    parser.add_argument("--steer", type=Path, default=ASSETS / "music_steer", help="weights that steer")
    parser.add_argument("--stories", type=int, default=60)
    parser.add_argument("--side", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--grid-seconds", type=float, default=20.0)
    parser.add_argument("--sketches", type=int, default=StageSettings.sketches)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    console = Console()
    steering, judge, shipped = (MusicEmotion.load(folder) for folder in (given.steer, given.judge, SHIPPED))
    composer = load_composer(EngineSettings(stages=StageSettings(sketches=given.sketches)), given.steer)
    console.print(
        f"composed by {composer.name}, {given.sketches} sketches heard by {steering.name}; judge: {judge.name}"
    )
    if given.judge == given.steer:
        console.print(CAVEAT)
    console.print(f"tunetale evaluate composer {shlex.join(arguments)}  (seed {given.seed})")

    def listen(mono: NDArray[np.float32]) -> EmotionCurve:
        return judge.listen(mono).curve

    def measure(beats: tuple[Beat, ...], mono: NDArray[np.float32], number: int) -> float:
        heard = heard_in(hear_by_beat(mono, beats, lambda part: shipped.listen(part).curve), beats)
        wanted, lengths = beats_array(beats), durations(beats)
        return align(wanted, heard, lengths, bank, number, shipped.name, story="wanted").better_than_shuffled

    bank = StoryBank.load()
    stories = _stories(given.data, given.stories, given.seconds, given.seed) if given.data else {}
    print_grid(compose_grid(composer, listen, given.side, given.seeds, given.grid_seconds), console)
    if not stories:
        return 0
    found = {}
    with Progress(console=Console(stderr=True)) as progress:
        for name, beats in stories.items():
            task = progress.add_task(name, total=len(beats))

            def say(done: int, task: TaskID = task) -> None:
                progress.update(task, completed=done)

            found[name] = follow(beats, composer, RulesDescriber(), listen, given.seconds, say, measure)
    everything = Followed(
        np.concatenate([part.wanted for part in found.values()]),
        np.concatenate([part.heard for part in found.values()]),
        tuple(1_000 * i + number for i, part in enumerate(found.values()) for number in part.piece),
        tuple(share for part in found.values() for share in part.better),
    )
    print_followed({**found, "all": everything}, console, given.seed)
    pieces = islice(cycle([*stories["tales"], *stories["plane"]]), VARIETY_PIECES)
    print_variety(variety(list(pieces), given.seconds), console)
    return 0


def _stories(data: Path, count: int, seconds: float, seed: int) -> dict[str, list[tuple[Beat, ...]]]:
    """Return the beats of `count` stories, half of them sections of tales, half of them over the whole plane."""
    model = TextEmotion.load()

    def scorer(texts: Sequence[str]) -> NDArray[np.float32]:
        return model.score(texts).values

    tales = tale_texts(read_tales(data), count // 2, seed)
    sentences = [text for text in read_emobank(data).texts if 5 <= len(text.split()) <= 30]
    kept = np.random.default_rng(seed).permutation(len(sentences))[:MOST_SENTENCES]
    sentences = [sentences[i] for i in kept.tolist()]
    places = Calibration.load().to_music(scorer(sentences)[:, :2])
    plane = plane_texts(sentences, places, count - count // 2, seed)
    return {"tales": beats_of(tales, seconds, scorer), "plane": beats_of(plane, seconds, scorer)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
