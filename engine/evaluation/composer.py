"""Does the composer's music feel as it should? Composes a grid of targets and hears it with the music model.

The music model is not an independent judge: it is ours, the same that the product shows and that a composer could be
tuned to. It finds gross errors (a direction that is wrong, a parameter that does nothing), no more.

Run: `python -m engine.evaluation.composer [--side 5] [--seeds 3] [--seconds 20]`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import soxr
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from engine.emotion.curve import Beat
from engine.emotion.music import MusicEmotion
from engine.evaluation.metrics import pearson_r
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music.composer import Brief, Composer
from engine.music.embedded import EmbeddedComposer
from engine.report import silent

REACH = 0.8
"""The grid spans [-REACH, REACH] on both axes."""

CAVEAT = "Heard by TuneTale's own music model, which is no independent judge."


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


def compose_grid(composer: Composer, hearer: MusicEmotion, side: int, seeds: int, seconds: float) -> Grid:
    """Compose and hear `side` × `side` constant targets with `seeds` seeds each."""
    wanted = np.linspace(-REACH, REACH, side)
    heard = np.zeros((side, side, seeds, 2))
    for i, valence in enumerate(wanted):
        for j, arousal in enumerate(wanted):
            for seed in range(seeds):
                heard[i, j, seed] = hear_target(composer, hearer, float(valence), float(arousal), seed, seconds)
    return Grid(wanted, heard)


def hear_target(
    composer: Composer, hearer: MusicEmotion, valence: float, arousal: float, seed: int, seconds: float
) -> tuple[float, float]:
    """Return the mean (valence, arousal) heard in a piece that should stand at one point of the plane."""
    thirds = [seconds * k / 3 for k in range(4)]
    beats = tuple(Beat(a, b, valence, arousal, "target") for a, b in pairwise(thirds))
    music = composer.compose(Brief("", beats, seconds, seed), silent)
    mono = soxr.resample(music.samples.mean(axis=1), music.rate_hz, ANALYSIS_RATE_HZ).astype(np.float32)
    return hearer.listen(mono).curve.mean_between(0.0, seconds)


def print_grid(grid: Grid, console: Console) -> None:
    """Print the figures, and the heard mean of every cell."""
    console.print(CAVEAT)
    console.print(f"r(V) {grid.valence_r:.2f}   r(A) {grid.arousal_r:.2f}   over {grid.heard[..., 0].size} pieces")
    console.print(f"Spearman along the axes: valence {grid.along(0):.2f}   arousal {grid.along(1):.2f}")
    table = Table("A \\ V", *(f"{value:+.2f}" for value in grid.wanted), title="heard (valence, arousal)")
    means = grid.heard.mean(axis=2)
    for j in reversed(range(len(grid.wanted))):
        cells = (f"{means[i, j, 0]:+.2f}, {means[i, j, 1]:+.2f}" for i in range(len(grid.wanted)))
        table.add_row(f"{grid.wanted[j]:+.2f}", *cells)
    console.print(table)


def main(arguments: Sequence[str]) -> int:
    """Run the evaluation from a command line."""
    parser = argparse.ArgumentParser(prog="engine.evaluation.composer", description=__doc__)
    parser.add_argument("--side", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args(arguments)
    grid = compose_grid(EmbeddedComposer(), MusicEmotion.load(), asked.side, asked.seeds, asked.seconds)
    print_grid(grid, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
