"""The paper's poll once more: 27 people, 4 stories, 0 to 5, from the published counts (葉安之, 蔡昕翰, 2024).

Prints its table, shows that the column which the paper calls "stderr" is the sample standard deviation of single
votes, gives the true standard errors and intervals, and draws its figures 16 and 17.
Run: `tunetale evaluate paper-poll [--plots DIR] [--language en|zh-TW]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

from engine.dispatch import OneSentenceParser
from engine.errors import UserError
from engine.evaluation.figures import Sheet, draw_all
from engine.evaluation.intervals import LEVEL, Estimate, two_way_mean
from engine.evaluation.votes import Answers, Report, report

COUNTS = ((2, 2, 1, 7, 7, 8), (0, 2, 3, 5, 9, 8), (0, 1, 2, 4, 8, 12), (0, 3, 4, 2, 3, 15))
"""How many of the 27 gave each score 0 … 5 to stories 1 to 4, as published."""
PUBLISHED_MEANS = (3.444, 3.667, 4.037, 3.852)
PUBLISHED_TOTAL = 3.750
PUBLISHED_STDERR = (1.5275, 1.2403, 1.1260, 1.5116)
"""What the paper prints under "stderr"."""


def answers() -> Answers:
    """Return the poll as answers. Who gave which score was not published, so every rater here is a row of its own in
    the order of the scores: figures that need the persons are not to be read from it."""
    return Answers.of(
        {"rater": f"{rater}", "pair": f"{story}", "story": f"{story}", "condition": "match", "score": score}
        for story, counts in enumerate(COUNTS, 1)
        for rater, score in enumerate(np.repeat(np.arange(6), counts))
    )


def bounds() -> tuple[Estimate, Estimate]:
    """Return the total mean with its standard error for the two extremes that the counts allow.

    Narrow: the raters' scores have nothing to do with each other from story to story (shuffled). Wide: whoever gave
    one story little gave all little (sorted). The truth, which needs the persons, lies between.
    """
    found = answers()
    rng = np.random.default_rng(27)
    shuffled = np.concatenate([rng.permutation(27) for _ in COUNTS])
    wide = two_way_mean(found["score"], found["rater"], found["pair"])
    return two_way_mean(found["score"], shuffled, found["pair"]), wide


def print_poll(found: Report, console: Console) -> None:
    """Print the table, and what is to be said about it."""
    table = Table(title="The paper's poll: 27 raters, 4 stories, 0 (not similar) to 5 (very similar)", box=None)
    for name in ("story", *"012345", "mean", "“stderr”", "SD", "SE", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for pair, printed in zip(found.per_pair, PUBLISHED_STDERR, strict=True):
        assert pair.se is not None and pair.sd is not None
        reach = float(stats.t.ppf((1 + LEVEL) / 2, pair.votes - 1)) * pair.se
        table.add_row(
            pair.pair,
            *map(str, pair.counts),
            f"{pair.mean:.3f}",
            f"{printed:.4f}",
            f"{pair.sd:.4f}",
            f"{pair.se:.3f}",
            f"{pair.mean - reach:.2f} to {pair.mean + reach:.2f}",
        )
    total = found.all
    table.add_row("total", *map(str, total.counts), f"{total.mean:.3f}", "", f"{total.sd:.4f}", "", "")
    console.print(table)
    console.print(
        "The column that the paper calls “stderr” is the sample standard deviation of single votes (SD, n − 1); "
        "the standard error of a mean of 27 votes is SD / √27."
    )
    narrow, wide = bounds()
    if narrow.interval is not None and wide.interval is not None:
        console.print(
            f"The total is {total.mean:.3f}. Its interval depends on how alike one person's four scores are, which was "
            f"not published: {narrow.interval.low:.2f} to {narrow.interval.high:.2f} if not at all, "
            f"{wide.interval.low:.2f} to {wide.interval.high:.2f} if as much as the counts allow "
            "(over raters and stories; with four stories no interval of the total is narrow)."
        )


def main(arguments: Sequence[str]) -> int:
    """Print the poll; with --plots also draw it."""
    parser = OneSentenceParser(prog="tunetale evaluate paper-poll", description="The paper's poll, with errors")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write figure-16.png and figure-17.png there")
    parser.add_argument("--language", choices=("en", "zh-TW"), default="en")
    asked = parser.parse_args(arguments)
    found = report(answers())
    console = Console(highlight=False)
    print_poll(found, console)
    if asked.plots is not None:
        try:
            asked.plots.mkdir(parents=True, exist_ok=True)
            drawn = draw_all(asked.plots, Sheet(found, {}, asked.language, each="story"))
            for name, number in (("scores", 16), ("means", 17)):
                target = drawn[name].path.replace(asked.plots / f"figure-{number}.png")
                console.print(f"{target}: {drawn[name].alt}", soft_wrap=True)
            drawn["overview"].path.unlink()
        except OSError as error:
            raise UserError(f"{asked.plots} cannot be written: {error.strerror}.", code="unwritable_out") from None
    return 0
