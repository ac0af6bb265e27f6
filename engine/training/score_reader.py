"""Teaches a score reader what a music model hears in scores of the embedded composer.

    tunetale train score-reader [--steer DIR] [--pieces 600] [--seed N] [--out DIR]

Needs no data: it composes pieces whose beats are aimed at random places of the plane, in every style in turn, plays
them as sketches, and lets the music model in `--steer` hear each beat by itself, as steering does. A fifth of the
pieces is held out to say how well the reader does; the one that is written has learned from all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from engine.dispatch import OneSentenceParser
from engine.emotion.beatwise import hear_by_beat
from engine.emotion.curve import Beat
from engine.emotion.music import ASSETS, MusicEmotion
from engine.evaluation.metrics import pearson_r
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music.composer import Brief
from engine.music.embedded import EmbeddedComposer, written
from engine.music.impressions import NAMES, impressions
from engine.music.orchestra import STYLES
from engine.music.reading import FURTHEST, ReaderConfig, ScoreReader, reader_net, save_reader

REACH = 0.95
"""Targets are drawn from [-REACH, REACH] on both axes: wherever steering may aim."""
BEATS_S = (12.0, 18.0, 15.0, 15.0)
"""Lengths of a piece's beats, in any order."""
EPOCHS = 60
BATCH = 64
RATE = 5e-3
DECAY = 0.3
HELD_OUT = 5
"""One piece in so many is held out for the figures."""

Rows = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sections:
    """Impressions [n, len(NAMES)] of sections, what was heard in them [n, 2], and the number of their piece [n]."""

    read: Rows
    heard: Rows
    piece: NDArray[np.int64]


def briefs(count: int, seed: int) -> Iterator[Brief]:
    """Yield `count` briefs of random targets, a style after the other."""
    styles = list(STYLES)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        borders = np.cumsum([0.0, *rng.permutation(BEATS_S)]).tolist()
        beats = tuple(
            Beat(start, end, float(rng.uniform(-REACH, REACH)), float(rng.uniform(-REACH, REACH)), "target")
            for start, end in pairwise(borders)
        )
        yield Brief(STYLES[styles[number % len(styles)]].words[0], beats, borders[-1], seed * 100_000 + number)


def gather(model: MusicEmotion, pieces: Sequence[Brief]) -> Sections:
    """Write, play and hear pieces."""
    composer = EmbeddedComposer()
    read, heard, number = [], [], []
    for i, brief in enumerate(track(pieces, "composing", console=Console(stderr=True))):
        read.append(impressions(written(brief)))
        sketch = composer.sketch(brief, ANALYSIS_RATE_HZ)
        curve = hear_by_beat(sketch, brief.beats, lambda part: model.listen(part).curve)
        heard.append([curve.mean_between(beat.start_s, beat.end_s) for beat in brief.beats])
        number += [i] * len(brief.beats)
    return Sections(np.concatenate(read), np.concatenate(heard).astype(np.float64), np.array(number))


def fit(sections: Sections, seed: int, heard_by: str) -> tuple[ReaderConfig, torch.nn.Sequential]:
    """Return a reader of the sections: a small network, with dropout since there are few pieces (AdamW, one cycle)."""
    mean, scale = sections.read.mean(axis=0), sections.read.std(axis=0)
    scale = np.where(scale < 1e-6, 1.0, scale)
    heard_mean, heard_scale = sections.heard.mean(axis=0), sections.heard.std(axis=0)
    unit = np.clip((sections.read - mean) / scale, -FURTHEST, FURTHEST)
    inputs = torch.from_numpy(unit).float()
    targets = torch.from_numpy((sections.heard - heard_mean) / heard_scale).float()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = reader_net()
        optimizer = torch.optim.AdamW(net.parameters(), weight_decay=DECAY)
        steps = EPOCHS * -(-len(inputs) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for _ in range(EPOCHS):
            for rows in torch.split(torch.randperm(len(inputs)), BATCH):
                optimizer.zero_grad()
                loss = torch.nn.functional.mse_loss(net(inputs[rows]), targets[rows])
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
    v_mean, a_mean = heard_mean.tolist()
    v_scale, a_scale = heard_scale.tolist()
    config = ReaderConfig(
        NAMES, tuple(mean.tolist()), tuple(scale.tolist()), (v_mean, a_mean), (v_scale, a_scale), heard_by
    )
    return config, net.eval()


def main(arguments: Sequence[str]) -> int:
    """Run the training from a command line."""
    parser = OneSentenceParser(prog="tunetale train score-reader", description="Teach a reader of scores.")
    parser.add_argument("--steer", type=Path, default=ASSETS / "music_steer", help="weights of the model that hears")
    parser.add_argument("--pieces", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder to write to; without: beside the weights of --steer")
    given = parser.parse_args(arguments)
    if given.pieces < 2 * HELD_OUT:
        parser.error(f"--pieces must be {2 * HELD_OUT} at least")
    torch.set_num_threads(1)
    model = MusicEmotion.load(given.steer)
    sections = gather(model, list(briefs(given.pieces, given.seed)))
    heard_by = model.config.weights_sha256
    print_figures(sections, given.seed, heard_by)
    save_reader(given.out or given.steer, *fit(sections, given.seed, heard_by))
    return 0


def print_figures(sections: Sections, seed: int, heard_by: str) -> None:
    """Print how well a reader that has not seen a fifth of the pieces reads them, on [-1, 1]."""
    held = sections.piece % HELD_OUT == 0
    known = Sections(sections.read[~held], sections.heard[~held], sections.piece[~held])
    told, heard = ScoreReader(*fit(known, seed, heard_by)).tell(sections.read[held]), sections.heard[held]
    constant = np.abs(heard - known.heard.mean(axis=0)).mean(axis=0)
    error = np.abs(told - heard).mean(axis=0)
    for axis, word in enumerate(("valence", "arousal")):
        print(
            f"{word}: r {pearson_r(told[:, axis], heard[:, axis]):.3f}, mean error {error[axis]:.3f} "
            f"(a constant's {constant[axis]:.3f}) over {len(heard)} sections of pieces held out, seed {seed}"
        )
