"""How good is the text emotion model? Scores EmoBank's dev part and prints what belongs beside such a score.

    tunetale evaluate text-emotion --data DIR [--weights DIR] [--plots DIR]

One table: r with its interval, explained variance, concordance and errors, a constant that knows only the training
part's mean, and the paper's figures. A second: Chinese by the lexicon against English by the model over sentences that
say the same. With --by-document a third: models trained anew, each on four fifths of EmoBank's documents and measured
on the rest, because nearly every document is on both sides of the official split. The learning curves of the training
are drawn as PNG, like figures 9 and 10 of the paper.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from engine.dispatch import OneSentenceParser
from engine.emotion.regressor import OUTPUTS
from engine.emotion.text import ASSETS, TextEmotion
from engine.errors import UserError
from engine.evaluation.metrics import Score, bootstrap_interval, pearson_r, score
from engine.training.text_data import FOLDS, EmoBank, read_emobank, split_by_document, split_officially
from engine.training.text_emotion import Recipe, train
from engine.whole import whole

HISTORY_FILE = "history.json"
PARALLEL = ASSETS / "parallel_zh.tsv"
PAPER_MAE = 0.11
"""The paper's error for valence and arousal. Its "accuracy" is read here as 1 - MAE, which fits its 89 %."""
TUNED, HELD_OUT = "tuned", "held out"
"""Marks of the parallel sentences: looked at when the lexicon was made, or not."""

_RECIPES = {"frozen": Recipe(variant="frozen", epochs=4), "tuned": Recipe(members=1)}
"""What can be measured by document: the form of the paper, and the shipped form without its teachers."""


@dataclass(frozen=True)
class Agreement:
    """Chinese scores against English ones over parallel sentences: r of V, A and D with their intervals."""

    part: str
    n: int
    r: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]


def measure(model: TextEmotion, bank: EmoBank) -> tuple[Score, ...]:
    """Score V, A and D over EmoBank's dev part; the interval draws whole documents."""
    split = split_officially(bank)
    guesses = model.score([bank.texts[row] for row in split.held_out]).values
    truth, documents = split.truth(bank), [bank.documents[row] for row in split.held_out]
    constants = bank.ratings[split.train, :3].mean(axis=0, dtype=np.float64)
    return tuple(score(truth[:, k], guesses[:, k], constant=constants[k], groups=documents) for k in range(3))


def measure_by_document(
    bank: EmoBank, recipe: Recipe, say: Callable[[str], None] = print
) -> list[tuple[str, int, tuple[float, ...]]]:
    """Train by `recipe` for the official split and for each fifth of the documents held out whole; return name, number
    of held-out sentences, and r of V, A and D of each. Raises `UserError` where the encoder cannot be loaded."""
    splits = {"official split": split_officially(bank)}
    splits |= {f"documents, fold {fold + 1}": split_by_document(bank, fold) for fold in range(FOLDS)}
    found = []
    for name, split in splits.items():
        say(f"{name}:")
        found.append((name, len(split.held_out), train(bank, split, recipe, say).history[-1].r))
    return found


def read_parallel(path: Path = PARALLEL) -> list[tuple[str, str, str]]:
    """Return (English, Chinese, mark) of our own parallel sentences. Raises `UserError` when the table is damaged."""
    try:
        header, *lines = path.read_text(encoding="utf-8").splitlines()
        rows = [tuple(line.split("\t")) for line in lines]
        if header != "english\tchinese\tpart" or any(len(row) != 3 or row[2] not in (TUNED, HELD_OUT) for row in rows):
            raise ValueError(header)
    except (OSError, ValueError) as error:
        raise UserError(
            f"The parallel sentences are missing or damaged ({path}); reinstall tunetale.", code="damaged_table"
        ) from error
    return [(row[0], row[1], row[2]) for row in rows]


def compare_chinese(model: TextEmotion, rows: Sequence[tuple[str, str, str]]) -> tuple[Agreement, ...]:
    """Return how far Chinese scores follow English ones, for each part of the parallel sentences."""
    english = model.score([row[0] for row in rows]).values
    chinese = model.score([row[1] for row in rows]).values
    found = []
    for part in dict.fromkeys(row[2] for row in rows):
        members = np.array([row[2] == part for row in rows])
        pairs = [(english[members, k], chinese[members, k]) for k in range(3)]
        found.append(
            Agreement(
                part,
                int(members.sum()),
                tuple(pearson_r(e, z) for e, z in pairs),
                tuple(bootstrap_interval(pearson_r, e, z) for e, z in pairs),
            )
        )
    return tuple(found)


def score_table(name: str, scores: Sequence[Score]) -> Table:
    """Return the table of one model. "Accuracy" is 1 - MAE."""
    columns = ("target", "n", "r", "95 % CI", "R²", "CCC", "MAE", "constant", "paper", "accuracy", "constant", "paper")
    table = Table(*columns, title=name)
    for target, one in zip(OUTPUTS, scores, strict=True):
        paper = (f"{PAPER_MAE:.3f}", f"{1 - PAPER_MAE:.1%}") if target != "dominance" else ("–", "–")
        table.add_row(
            target,
            str(one.n),
            f"{one.r:.3f}",
            "{:.3f} to {:.3f}".format(*one.r_interval),
            f"{one.r2:.3f}",
            f"{one.ccc:.3f}",
            f"{one.mae:.3f}",
            f"{one.constant_mae:.3f}",
            paper[0],
            f"{1 - one.mae:.1%}",
            f"{1 - one.constant_mae:.1%}",
            paper[1],
        )
    return table


def document_table(recipe: Recipe, found: Sequence[tuple[str, int, tuple[float, ...]]]) -> Table:
    """Return the table of `measure_by_document`, with mean and standard deviation over the folds of documents."""
    name = f"EmoBank by document: {recipe.variant}, {recipe.epochs} epochs, seed {recipe.seed}, no teacher"
    table = Table("held out", "n", *(f"r {target}" for target in OUTPUTS), title=name)
    for part, n, r in found:
        table.add_row(part, str(n), *(f"{one:.3f}" for one in r))
    folds = np.array([r for _, _, r in found[1:]])
    cells = zip(folds.mean(axis=0), folds.std(axis=0, ddof=1), strict=True)
    table.add_row("documents, mean ± SD", "", *(f"{mean:.3f} ± {sd:.3f}" for mean, sd in cells))
    return table


def agreement_table(agreements: Sequence[Agreement]) -> Table:
    """Return the table of the Chinese lexicon."""
    table = Table("sentences", "n", *(f"r {target} (95 % CI)" for target in OUTPUTS), title="Chinese against English")
    for one in agreements:
        cells = (f"{r:.2f} ({low:.2f} to {high:.2f})" for r, (low, high) in zip(one.r, one.intervals, strict=True))
        table.add_row(one.part, str(one.n), *cells)
    return table


def draw_history(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw loss and mean absolute error over the epochs of each training into a PNG."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for member in sorted({int(point["member"]) for point in history}):
        points = [point for point in history if point["member"] == member]
        epochs = [point["epoch"] for point in points]
        left.plot(epochs, [point["loss"] for point in points], marker="o", label=f"training {member + 1}")
        for k, (target, style) in enumerate(zip(OUTPUTS, ("-", "--", ":"), strict=True)):
            label = target if member == 0 else None
            right.plot(epochs, [point["mae"][k] for point in points], style, color=f"C{k}", marker=".", label=label)
    left.set(xlabel="epoch", ylabel="training loss (standardised)", title="Loss")
    right.set(xlabel="epoch", ylabel="MAE on [-1, 1], held-out sentences", title="Mean absolute error")
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120)


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Return the learning curves in a folder of weights. Raises `UserError` when they are missing or damaged."""
    try:
        history = json.loads((folder / HISTORY_FILE).read_text(encoding="utf-8"))
        if not history or not all({"member", "epoch", "loss", "mae"} <= point.keys() for point in history):
            raise ValueError(folder)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"The learning curves {folder / HISTORY_FILE} are missing or damaged; train text-emotion again.",
            code="damaged_history",
        ) from error
    return list(history)


def main(arguments: Sequence[str]) -> int:
    """Measure from the command line. Raises `UserError` on bad data or weights."""
    parser = OneSentenceParser(
        prog="tunetale evaluate text-emotion",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with emobank/")
    parser.add_argument("--weights", type=Path, default=ASSETS / "text_emotion", help="folder of the weights")
    parser.add_argument("--plots", type=Path, default=Path("tunetale-plots"), help="folder for the learning curves")
    parser.add_argument("--by-document", choices=_RECIPES, help="train such models anew, without teachers, six times")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    bank, history = read_emobank(given.data), read_history(given.weights)
    model = TextEmotion.load(given.weights)
    console = Console(width=150, highlight=False)
    console.print(score_table(f"{model.name}: EmoBank dev, scale [-1, 1], intervals by document", measure(model, bank)))
    console.print("The dev part also chose the recipe. A constant is the mean of the train part. Accuracy is 1 - MAE.")
    console.print(agreement_table(compare_chinese(model, read_parallel())))
    path = given.plots / "text-emotion.png"
    draw_history(history, path)
    console.print(f"Learning curves: {path}")
    if given.by_document is not None:
        recipe = _RECIPES[given.by_document]
        console.print(document_table(recipe, measure_by_document(bank, recipe)))
    return 0
