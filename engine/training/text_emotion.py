"""Trains the text emotion model on EmoBank: an encoder with a head, or a head alone.

    tunetale train text-emotion --data DIR [--out DIR] [--seed N] [--encoder NAME_OR_DIR] [--variant V] [--teacher DIR…]

Variants: `tuned` (shipped: the encoder's layers are trained too, several times from other seeds, and the results
averaged; with --teacher it also learns from larger models, which this command has trained before), `frozen` (the form
of the paper: frozen encoder and fully connected layers), `judge` (as `frozen`, but on EmoBank's dev part: it shares no
rating with what the shipped one learned from, and can judge what that one has chosen).
The recipe was tuned on EmoBank's official dev part.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.dispatch import OneSentenceParser
from engine.emotion.encoder import EMBEDDED, Encoder, load_encoder
from engine.emotion.int8 import has_int8, measure_ranges
from engine.emotion.regressor import (
    Regressor,
    RegressorConfig,
    load_regressor,
    read_layers,
    save_regressor,
)
from engine.emotion.text import TextEmotion
from engine.errors import UserError
from engine.evaluation.metrics import mae, pearson_r
from engine.training.steps import Schedule, Steps, batches
from engine.training.text_data import (
    FOLDS,
    RATINGS,
    Rated,
    Split,
    read_emobank,
    split_by_document,
    split_officially,
)
from engine.training.text_inputs import Inputs
from engine.training.text_judge import EPOCHS, judge_data, on_scale_of, scale_texts
from engine.training.text_teachers import Teachers
from engine.training.text_transfer import UNRATED, transfer_texts, with_teacher
from engine.whole import whole

Variant = Literal["tuned", "frozen", "judge"]
VARIANTS: tuple[Variant, ...] = ("tuned", "frozen", "judge")
ASSETS = Path(__file__).parent.parent / "assets"
OUT = {"tuned": ASSETS / "text_emotion", "judge": ASSETS / "text_judge"}
HISTORY_FILE = "history.json"

_SIDE_WEIGHT = 0.5
"""Weight of the readers' and the writers' view in the loss; the ratings of everybody weigh 1."""
_HIDDEN_WEIGHT = 0.1
"""Weight in the loss of each direction of what a teacher's head reads."""
_RANGE_TEXTS = 256
"""So many texts show what the layers of a trained encoder are given."""
_INT8_R = 0.995
"""Eight bits must follow 32 at least so closely."""


@dataclass(frozen=True)
class Recipe:
    """How to train. The defaults were chosen on EmoBank's dev part."""

    variant: Variant = "tuned"
    encoder: str = EMBEDDED
    seed: int = 1
    members: int = 2
    """Trainings, from the seeds `seed`, `seed` + 1, …, whose weights are averaged (Wortsman et al. 2022, ICML)."""
    width: int = 256
    """Of the inner layer of a head on a frozen encoder."""
    dropout: float = 0.1
    batch: int = 32
    epochs: int = 3
    rate: float = 5e-5
    head_rate: float = 5e-4
    weight_decay: float = 0.01
    warm_up: float = 0.1
    """Share of the steps in which the rate rises."""
    averaging: float = 0.98
    """Decay per step of the running mean of the weights that is evaluated and kept."""
    max_tokens: int = 128
    multilingual: bool = False
    words: int = 0
    """Rows of the encoder's table of words that are kept, those that moved most; 0: the words are not trained."""
    top_layers: int | None = None
    """Of a large encoder, train only so many of the highest layers, which takes a fraction of the time; None: all."""
    arousal: float = 1.0
    """Weight of everybody's arousal in the loss, where valence and dominance weigh 1."""
    begin: Path | None = None
    """Weights to go on from, made by an earlier training of the same encoder; None: begin with the public encoder."""


@dataclass(frozen=True)
class Epoch:
    """One point of the learning curves: mean training loss, then Pearson r and mean absolute error of V, A and D on
    the held-out rows."""

    member: int
    epoch: int
    loss: float
    r: tuple[float, ...]
    mae: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Trained:
    """Trained weights (as `Regressor.trained` gives them), and how training went."""

    config: RegressorConfig
    weights: dict[str, Tensor]
    history: tuple[Epoch, ...]


def train(texts: Rated, split: Split, recipe: Recipe, say: Callable[[str], None] = print) -> Trained:
    """Train on `split.train`, watch `split.held_out`. Same data and recipe, same weights (on one kind of processor with
    one number of threads). Raises `UserError` when the encoder cannot be loaded."""
    history: list[Epoch] = []
    total: dict[str, Tensor] = {}
    members = recipe.members if recipe.variant == "tuned" else 1
    for member in range(members):
        model, config = _train_member(texts, split, recipe, member, history, say)
        for name, value in model.trained().items():
            total[name] = total.get(name, 0) + value.double()
    weights = {name: (value / members).float() for name, value in total.items()}
    return Trained(*_without_hints(config, weights), tuple(history))


def _without_hints(config: RegressorConfig, weights: dict[str, Tensor]) -> tuple[RegressorConfig, dict[str, Tensor]]:
    """Drop the outputs that guess what a teacher's head reads: they have done their work in training."""
    if config.tasks <= RATINGS:
        return config, weights
    is_output = {name: name.startswith("head.") and len(value) == config.tasks for name, value in weights.items()}
    kept = {name: value[:RATINGS] if is_output[name] else value for name, value in weights.items()}
    return replace(config, tasks=RATINGS), kept


def _train_member(
    texts: Rated,
    split: Split,
    recipe: Recipe,
    member: int,
    history: list[Epoch],
    say: Callable[[str], None],
) -> tuple[Regressor, RegressorConfig]:
    torch.manual_seed(recipe.seed + member)  # dropout and initial weights; training runs alone in its process
    rng = np.random.default_rng(recipe.seed + member)
    encoder = load_encoder(recipe.encoder, recipe.max_tokens, download=True)
    # The memory-saving attention is the default, and several times slower backwards on a CPU.
    encoder.model.set_attn_implementation("eager")  # type: ignore[operator]
    config = _config(encoder, recipe, texts.ratings[split.train])
    model = Regressor(encoder, config, recipe.dropout)
    if recipe.begin is not None:
        _go_on_from(recipe.begin, model)
    if member == 0:
        count = sum(value.numel() for value in model.trained().values())
        say(f"{count:,} trained parameters, {len(split.train):,} texts, {len(split.held_out):,} held out")
    inputs = Inputs(model, encoder, texts.texts)
    targets = torch.from_numpy(_standardised(texts.ratings, split.train))
    weights = torch.tensor(
        [1.0, recipe.arousal, 1.0] + [_SIDE_WEIGHT] * (RATINGS - 3) + [_HIDDEN_WEIGHT] * (config.tasks - RATINGS)
    )

    def loss(rows: NDArray[np.intp]) -> Tensor:
        wanted = targets[rows]
        known = wanted.isfinite()
        error = torch.where(known, inputs.predict(rows) - wanted.nan_to_num(), 0.0)
        return (weights * error**2).sum() / (weights * known).sum()

    schedule = Schedule(recipe.rate, recipe.head_rate, recipe.weight_decay, recipe.warm_up, recipe.averaging)
    total = recipe.epochs * math.ceil(len(split.train) / recipe.batch)
    steps = Steps(model.named_parameters(), schedule, total, fused=True)
    for epoch in range(recipe.epochs):
        started = time.monotonic()
        model.train()
        mean_loss = steps.run(loss, batches(split.train, inputs.lengths, recipe.batch, rng))
        with steps.averaged():
            guesses = inputs.predict_all(split.held_out) * np.array(config.spread) + np.array(config.centre)
        truth = split.truth(texts)
        r = tuple(pearson_r(truth[:, k], guesses[:, k]) for k in range(3))
        errors = tuple(mae(truth[:, k], guesses[:, k]) for k in range(3))
        history.append(Epoch(member, epoch + 1, mean_loss, r, errors))
        shown = " / ".join(f"{x:.3f}" for x in r)
        seconds = time.monotonic() - started
        name = f"training {member + 1}, epoch {epoch + 1}/{recipe.epochs}"
        say(f"{name}: loss {mean_loss:.4f}, r {shown}, {seconds:.0f} s")
    steps.finish()
    return model, config


def _go_on_from(folder: Path, model: Regressor) -> None:
    """Take the weights in `folder` over into `model`, with outputs in its units; outputs that are new begin at 0.

    Raises `UserError` as `load_regressor` does, and where they belong to a model of another form.
    """
    earlier, _ = load_regressor(folder)
    old, new = earlier.config, model.config
    if (old.encoder_sha256, old.variant, old.layers) != (new.encoder_sha256, new.variant, new.layers):
        raise UserError(f"The weights in {folder} are of another encoder or variant; begin without them.", code="usage")
    known = earlier.state_dict()
    layer = cast(nn.Linear, earlier.head[-1])
    factor, shift = torch.ones(old.tasks), torch.zeros(old.tasks)
    factor[:3] = torch.tensor(old.spread) / torch.tensor(new.spread)
    shift[:3] = (torch.tensor(old.centre) - torch.tensor(new.centre)) / torch.tensor(new.spread)
    for name, value in model.state_dict().items():
        if not name.startswith("head."):
            value.copy_(known[name])
    kept = min(old.tasks, new.tasks)
    outputs = cast(nn.Linear, model.head[-1])
    with torch.no_grad():
        outputs.weight[:kept] = (layer.weight * factor[:, None])[:kept]
        outputs.bias[:kept] = (layer.bias * factor + shift)[:kept]


def _config(encoder: Encoder, recipe: Recipe, ratings: NDArray[np.float32]) -> RegressorConfig:
    centre = np.asarray(np.nanmean(ratings[:, :3], axis=0, dtype=np.float64))
    spread = np.asarray(np.nanstd(ratings[:, :3], axis=0, dtype=np.float64))
    tuned = recipe.variant == "tuned"
    return RegressorConfig(
        encoder=encoder.name,
        encoder_sha256=encoder.sha256,
        variant="tuned" if tuned else "frozen",
        layers=(encoder.layers,) if tuned else read_layers(encoder.layers),
        width=0 if tuned else recipe.width,
        tasks=ratings.shape[1],
        centre=(float(centre[0]), float(centre[1]), float(centre[2])),
        spread=(float(spread[0]), float(spread[1]), float(spread[2])),
        max_tokens=recipe.max_tokens,
        multilingual=recipe.multilingual,
        words=recipe.words if tuned and not recipe.top_layers else 0,
        untouched=max(0, encoder.layers - recipe.top_layers) if tuned and recipe.top_layers else 0,
    )


def _standardised(ratings: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    known = ratings[rows]
    return np.asarray((ratings - np.nanmean(known, axis=0)) / np.nanstd(known, axis=0), dtype=np.float32)


def save(folder: Path, trained: Trained, texts: Sequence[str]) -> None:
    """Write weights, configuration and learning curves into `folder`.

    With a tuned encoder, what its layers are given is measured on `texts`, and kept where eight bits then read them as
    32 do. That takes a processor with VNNI instructions; on others the weights will be used in 16 or 32 bits.
    """
    save_regressor(folder, trained.config, trained.weights)
    lines = ",\n ".join(json.dumps(asdict(epoch)) for epoch in trained.history)
    with whole(folder / HISTORY_FILE) as unfinished:
        unfinished.write_text(f"[{lines}]\n", encoding="utf-8")
    if trained.config.variant == "tuned" and has_int8():
        exact = TextEmotion.load(folder, dtype=torch.float32)
        ranges = measure_ranges(exact.network, lambda: exact.score(texts))
        save_regressor(folder, trained.config, trained.weights, ranges)
        values, rounded = exact.score(texts).values, TextEmotion.load(folder, dtype=torch.int8).score(texts).values
        if not min(pearson_r(values[:, k], rounded[:, k]) for k in range(3)) >= _INT8_R:
            save_regressor(folder, trained.config, trained.weights)


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("it is at least 1")
    return number


def _count(text: str) -> int:
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError("it is at least 0")
    return number


def _rate(text: str) -> float:
    if not 0 < (number := float(text)) < 1:
        raise argparse.ArgumentTypeError("a rate lies between 0 and 1")
    return number


def _weight(text: str) -> float:
    if not 0 < (number := float(text)) < 100:
        raise argparse.ArgumentTypeError("a weight lies between 0 and 100")
    return number


def main(arguments: Sequence[str]) -> None:
    """Train from the command line and save the weights. Raises `UserError` on bad data."""
    default = Recipe()
    parser = OneSentenceParser(prog="tunetale train text-emotion", description="Train the text emotion model.")
    parser.add_argument("--data", type=Path, required=True, help="folder with emobank/ (judge: and stories/)")
    parser.add_argument("--out", type=Path, help="folder for the weights (default: this project's own)")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--encoder", default=default.encoder, help="a BERT-family folder or hub name")
    parser.add_argument("--variant", choices=VARIANTS, default=default.variant)
    parser.add_argument("--members", type=_positive, default=default.members, help="trainings that are averaged")
    parser.add_argument("--epochs", type=_positive, help=f"default {default.epochs}, of the judge {EPOCHS}")
    parser.add_argument("--batch", type=_positive, default=default.batch, help="texts per step")
    parser.add_argument("--rate", type=_rate, default=default.rate, help="highest learning rate of the encoder")
    parser.add_argument("--head-rate", type=_rate, default=default.head_rate, help="highest learning rate of the head")
    parser.add_argument("--words", type=_count, default=default.words, help="rows of the table of words that are kept")
    parser.add_argument(
        "--teacher",
        type=Path,
        nargs="+",
        help="folders of weights that it learns from, too: large ones, then a small one",
    )
    parser.add_argument("--unrated", type=_positive, default=UNRATED, help="texts without ratings that teachers read")
    parser.add_argument("--top-layers", type=_positive, help="of a large encoder, train so many of the highest layers")
    parser.add_argument("--arousal", type=_weight, default=default.arousal, help="weight of arousal in the loss")
    parser.add_argument("--begin", type=Path, help="folder of weights of the same encoder to go on from")
    parser.add_argument("--multilingual", action="store_true", help="the encoder reads Chinese too")
    parser.add_argument("--by-document", type=int, choices=range(FOLDS), help="hold out this fifth of the documents")
    parser.add_argument("--threads", type=_positive, default=1, help="the same weights need the same number")
    given = parser.parse_args(arguments)
    out = given.out or OUT.get(given.variant)
    if out is None:
        raise UserError("The variant frozen is not shipped; name a folder for it with --out.", code="usage")
    recipe = Recipe(
        variant=given.variant,
        encoder=given.encoder,
        seed=given.seed,
        members=given.members,
        batch=given.batch,
        epochs=given.epochs or (EPOCHS if given.variant == "judge" else default.epochs),
        rate=given.rate,
        head_rate=given.head_rate,
        multilingual=given.multilingual,
        words=given.words,
        top_layers=given.top_layers,
        arousal=given.arousal,
        begin=given.begin,
    )
    torch.set_num_threads(given.threads)
    texts: Rated
    if given.variant == "judge":
        texts, split = judge_data(given.data, given.seed)
    else:
        texts = bank = read_emobank(given.data)
        split = split_officially(bank) if given.by_document is None else split_by_document(bank, given.by_document)
        if given.teacher is not None:
            teachers = Teachers(given.teacher)
            unrated = transfer_texts(given.data, bank, split, given.unrated, given.seed)
            print(f"{teachers.names}: reading {len(split.train):,} rated and {len(unrated):,} unrated texts")
            texts, split = with_teacher(bank, split, unrated, teachers)
    trained = train(texts, split, recipe)
    some = [texts.texts[row] for row in split.train[:: max(1, len(split.train) // _RANGE_TEXTS)]]
    save(out, trained, some)
    if given.variant == "judge":
        texts_of_tales = scale_texts(given.data, given.seed)
        config = on_scale_of(TextEmotion.load(), TextEmotion.load(out), trained.config, texts_of_tales)
        save(out, replace(trained, config=config), some)
    print(f"saved in {out}; measure it with: tunetale evaluate text-emotion --data {given.data} --weights {out}")
