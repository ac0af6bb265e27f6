"""Do the intervals hold what they promise? Simulates polls whose true mean is known, and counts how often it is inside.

Run: `tunetale evaluate vote-intervals [--polls 1000]`. A score is a rater's strictness, a pair's quality and noise,
added up, rounded and cut to 0–5: the mean over all conceivable raters and pairs follows from their normal
distributions.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import stats

from engine.dispatch import OneSentenceParser
from engine.evaluation.agreement import VALUES
from engine.evaluation.intervals import two_way_mean

CENTRE = 3.3
"""About what the paper's raters gave."""
RATER_SD, PAIR_SD, NOISE_SD = 0.6, 0.5, 1.0
"""Spread of strictness, of quality, and of everything else."""


@dataclass(frozen=True)
class Design:
    """Who rates what: every cell with probability `share`, or `each` raters drawn for every pair."""

    name: str
    raters: int
    pairs: int
    share: float = 1.0
    each: int | None = None
    least: float = 0.93
    """Coverage that must be reached; at most .97, unless the design is too small for that."""
    most: float = 0.97

    def cells(self, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Draw the cells that are rated: raters [n], pairs [n]."""
        if self.each is not None:
            order = rng.permuted(np.tile(np.arange(self.raters), (self.pairs, 1)), axis=1)
            return order[:, : self.each].ravel(), np.repeat(np.arange(self.pairs), self.each)
        rater, pair = np.nonzero(rng.random((self.raters, self.pairs)) < self.share)
        return rater, pair


DESIGNS = (
    Design("60 raters × 20 pairs, everybody rates all", 60, 20),
    Design("200 raters × 100 pairs, a tenth of the cells", 200, 100, share=0.1),
    Design("100 raters × 100 pairs, 3 votes a pair", 100, 100, each=3),
    Design("27 raters × 4 pairs, everybody rates all (the paper's poll)", 27, 4, most=1.0),
)


def true_mean() -> float:
    """Return the mean score over all raters and pairs."""
    spread = (RATER_SD**2 + PAIR_SD**2 + NOISE_SD**2) ** 0.5
    borders = np.arange(VALUES - 1) + 0.5
    return float(stats.norm.sf(borders, CENTRE, spread).sum())


def coverage(design: Design, polls: int, seed: int = 0) -> tuple[float, float]:
    """Return the share of polls whose interval holds the true mean, and the mean width of the intervals."""
    rng = np.random.default_rng(seed)
    truth, held, width = true_mean(), 0, 0.0
    for _ in range(polls):
        rater, pair = design.cells(rng)
        latent = CENTRE + RATER_SD * rng.normal(size=design.raters)[rater]
        latent += PAIR_SD * rng.normal(size=design.pairs)[pair] + NOISE_SD * rng.normal(size=len(rater))
        interval = two_way_mean(np.clip(np.rint(latent), 0, VALUES - 1), rater, pair).interval
        if interval is not None:
            held += interval.low <= truth <= interval.high
            width += interval.high - interval.low
    return held / polls, width / polls


def main(arguments: Sequence[str]) -> int:
    """Print the coverage of every design; 1 when one misses its goal."""
    parser = OneSentenceParser(prog="tunetale evaluate vote-intervals", description="Coverage of the intervals")
    parser.add_argument("--polls", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    table = Table("design", "coverage", "mean width", "goal", title=f"95 % intervals over {asked.polls} polls each")
    missed = False
    for design in DESIGNS:
        share, width = coverage(design, asked.polls, asked.seed)
        missed |= not design.least <= share <= design.most
        goal = f"{design.least:.0%} to {design.most:.0%}"
        table.add_row(design.name, f"{share:.1%}", f"{width:.2f}", goal)
    Console(highlight=False).print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
