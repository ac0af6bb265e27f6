"""Trains the text emotion model: a low-rank adapter and a head on a frozen encoder, or the head alone.

    python -m engine.training text-emotion --data DIR [--out DIR] [--seed N] [--encoder NAME_OR_DIR] [--variant V]

Variants: `adapter` (shipped: EmoBank, with the readers' and the writers' view as further tasks), `goemotions` (the same
after learning to tell the labels of GoEmotions), `frozen` (the form of the paper: frozen encoder and fully connected
layers). Trains on EmoBank's official train part and stops by its dev part.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.emotion.encoder import EMBEDDED, Encoder, load_encoder
from engine.emotion.regressor import OUTPUTS, Regressor, RegressorConfig, fast_dtype, read_layers, save_regressor
from engine.errors import UserError
from engine.evaluation.metrics import Score, pearson_r, score
from engine.training.steps import Schedule, Steps, batches
from engine.training.text_data import EmoBank, LabelledTexts, read_emobank, read_goemotions

Variant = Literal["adapter", "goemotions", "frozen"]
VARIANTS: tuple[Variant, ...] = ("adapter", "goemotions", "frozen")
ASSETS = Path(__file__).parent.parent / "assets" / "text_emotion"

_TASKS = 9
"""Valence, arousal, dominance by everybody, by readers, by writers."""
_SIDE_WEIGHT = 0.5
"""Weight of the readers' and the writers' view in the loss; the ratings of everybody weigh 1."""


@dataclass(frozen=True)
class Recipe:
    """How to train. The defaults were chosen on EmoBank's dev part."""

    variant: Variant = "adapter"
    encoder: str = EMBEDDED
    seed: int = 1
    rank: int = 32
    width: int = 256
    dropout: float = 0.1
    batch: int = 32
    epochs: int = 3
    rate: float = 1.5e-4
    head_rate: float = 5e-4
    auxiliary_epochs: int = 1
    auxiliary_rate: float = 7e-4
    weight_decay: float = 0.01
    warm_up: float = 0.1
    """Share of the steps in which the rate rises."""
    averaging: float = 0.99
    """Decay per step of the running mean of the weights that is evaluated and kept."""
    max_tokens: int = 128
    multilingual: bool = False
    document_split: bool = False
    """Hold out a fifth of the documents instead of the official dev part (for reporting only)."""

    def schedule(self, rate: float, head_rate: float) -> Schedule:
        """Return how the weights move at these highest learning rates."""
        return Schedule(rate, head_rate, self.weight_decay, self.warm_up, self.averaging)


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network, and how it does on the sentences it was tuned on: `scores` for V, A and D, and the curve."""

    model: Regressor
    config: RegressorConfig
    scores: tuple[Score, Score, Score]
    history: tuple[tuple[float, float, float], ...]
    """Pearson r of V, A and D after each epoch."""


def train(
    bank: EmoBank, auxiliary: LabelledTexts | None, recipe: Recipe, say: Callable[[str], None] = print
) -> Trained:
    """Train on `bank`; where `auxiliary` is given, first learn to tell its labels. Same data and recipe, same weights
    (on one machine with one number of threads). Raises `UserError` when the encoder cannot be loaded."""
    torch.manual_seed(recipe.seed)  # dropout and initial weights; training runs alone in its process
    rng = np.random.default_rng(recipe.seed)
    train_rows, dev_rows = _split(bank, recipe)
    encoder = load_encoder(recipe.encoder, recipe.max_tokens)
    config = _config(encoder, recipe, bank.ratings[train_rows, :3])
    model = Regressor(encoder, config, recipe.dropout)
    say(f"{sum(p.numel() for p in model.trained().values()):,} trained parameters, {len(train_rows):,} sentences")
    if auxiliary is not None:
        _learn_labels(model, encoder, auxiliary, recipe, rng, say)
        torch.manual_seed(recipe.seed + 1)  # so that this stage can be studied alone, on kept weights of the first
        rng = np.random.default_rng(recipe.seed + 1)
    ids = tokenize(encoder, bank.texts)
    inputs = _Inputs(model, encoder, ids)
    targets = torch.from_numpy(_standardised(bank.ratings, train_rows))
    weights = torch.tensor([1.0] * 3 + [_SIDE_WEIGHT] * (_TASKS - 3))

    def loss(rows: NDArray[np.intp]) -> Tensor:
        wanted = targets[rows]
        known = wanted.isfinite()
        error = torch.where(known, inputs.predict(rows) - wanted.nan_to_num(), 0.0)
        return (weights * error**2).sum() / (weights * known).sum()

    best, best_state, history = -math.inf, {}, []
    lengths = np.array([len(one) for one in ids])
    steps = Steps(
        model.named_parameters(),
        recipe.schedule(recipe.rate, recipe.head_rate),
        recipe.epochs * math.ceil(len(train_rows) / recipe.batch),
    )
    for epoch in range(recipe.epochs):
        started = time.monotonic()
        model.train()
        mean_loss = steps.run(loss, batches(train_rows, lengths, recipe.batch, rng))
        with steps.averaged():
            guesses = inputs.predict_all(dev_rows)
            state = copy.deepcopy(model.trained())
        r = tuple(pearson_r(bank.ratings[dev_rows, k], guesses[:, k]) for k in range(3))
        history.append((r[0], r[1], r[2]))
        say(
            f"epoch {epoch + 1}/{recipe.epochs}: loss {mean_loss:.4f}, r "
            + " / ".join(f"{x:.3f}" for x in r)
            + f", {time.monotonic() - started:.0f} s"
        )
        if np.mean(r) > best:
            best, best_state = float(np.mean(r)), state
    model.load_state_dict(best_state, strict=False)
    guesses = inputs.predict_all(dev_rows) * np.array(config.spread) + np.array(config.centre)
    groups = [bank.documents[row] for row in dev_rows] if recipe.document_split else None
    results = [
        score(bank.ratings[dev_rows, k], guesses[:, k], constant=config.centre[k], groups=groups, seed=recipe.seed)
        for k in range(3)
    ]
    return Trained(model, config, (results[0], results[1], results[2]), tuple(history))


def tokenize(encoder: Encoder, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each text, cut at the encoder's limit."""
    return [encoding.ids for encoding in encoder.tokenizer.encode_batch_fast(list(texts))]


class _Inputs:
    """Predicts rows of a tokenized text list. With a frozen encoder the features are computed once."""

    def __init__(self, model: Regressor, encoder: Encoder, ids: list[list[int]]) -> None:
        self.model, self.ids, self.pad_id = model, ids, encoder.pad_id
        self.features: Tensor | None = None
        if model.config.variant == "frozen":
            self.features = self._in_order(np.arange(len(ids)), self._encode)

    def predict(self, rows: NDArray[np.intp]) -> Tensor:
        """Return the standardised outputs for `rows`, with gradients."""
        return cast(Tensor, self.model.head(self.hidden(rows)))

    def hidden(self, rows: NDArray[np.intp]) -> Tensor:
        """Return the features of `rows`, with gradients where the encoder is trained."""
        return self._encode(rows) if self.features is None else self.features[rows]

    def predict_all(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the first three standardised outputs for `rows`, [n, 3], without dropout."""
        return self._in_order(rows, self.predict)[:, :3].double().numpy()

    def _encode(self, rows: NDArray[np.intp]) -> Tensor:
        chosen = [self.ids[row] for row in rows]
        longest = max(len(one) for one in chosen)
        ids = torch.tensor([one + [self.pad_id] * (longest - len(one)) for one in chosen])
        mask = torch.arange(longest) < torch.tensor([len(one) for one in chosen]).unsqueeze(1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast_dtype() == torch.bfloat16):
            return self.model.features(ids, mask)

    def _in_order(self, rows: NDArray[np.intp], function: Callable[[NDArray[np.intp]], Tensor]) -> Tensor:
        """Apply `function` to batches of like length, without dropout, and put the results in the order of `rows`."""
        order = np.argsort([len(self.ids[row]) for row in rows], kind="stable")
        was_training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            parts = [function(rows[order[first : first + 64]]) for first in range(0, len(rows), 64)]
        self.model.train(was_training)
        found = torch.cat(parts)
        result = torch.empty_like(found)
        result[torch.from_numpy(order)] = found
        return result.clone()


def _learn_labels(
    model: Regressor,
    encoder: Encoder,
    texts: LabelledTexts,
    recipe: Recipe,
    rng: np.random.Generator,
    say: Callable[[str], None],
) -> None:
    """Teach the adapter and the head's inner layer to tell the labels of `texts`; its own last layer is thrown away."""
    ids = tokenize(encoder, texts.texts)
    inputs = _Inputs(model, encoder, ids)
    last = nn.Linear(recipe.width, texts.labels.shape[1])
    wanted = torch.from_numpy(texts.labels)

    def loss(rows: NDArray[np.intp]) -> Tensor:
        hidden = model.head[:-1](inputs.hidden(rows))
        return nn.functional.binary_cross_entropy_with_logits(last(hidden), wanted[rows])

    rows, lengths = np.arange(len(ids)), np.array([len(one) for one in ids])
    size = 2 * recipe.batch  # comments are short
    steps = Steps(
        model.named_parameters(),
        recipe.schedule(recipe.auxiliary_rate, recipe.auxiliary_rate),
        recipe.auxiliary_epochs * math.ceil(len(rows) / size),
        extra=last.parameters(),
    )
    for epoch in range(recipe.auxiliary_epochs):
        started = time.monotonic()
        model.train()
        value = steps.run(loss, batches(rows, lengths, size, rng))
        spent = time.monotonic() - started
        say(f"labels, epoch {epoch + 1}/{recipe.auxiliary_epochs}: loss {value:.4f}, {spent:.0f} s")


def _split(bank: EmoBank, recipe: Recipe) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    if not recipe.document_split:
        return bank.rows("train"), bank.rows("dev")
    documents = sorted(set(bank.documents))
    held = set(np.random.default_rng(recipe.seed).permutation(documents)[: max(1, len(documents) // 5)].tolist())
    is_held = np.array([document in held for document in bank.documents])
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def _config(encoder: Encoder, recipe: Recipe, ratings: NDArray[np.float32]) -> RegressorConfig:
    centre, spread = ratings.mean(axis=0, dtype=np.float64), ratings.std(axis=0, dtype=np.float64)
    frozen = recipe.variant == "frozen"
    return RegressorConfig(
        encoder=encoder.name,
        encoder_sha256=encoder.sha256,
        variant="frozen" if frozen else "adapter",
        rank=0 if frozen else recipe.rank,
        layers=read_layers(encoder.layers),
        width=recipe.width,
        tasks=_TASKS,
        centre=(float(centre[0]), float(centre[1]), float(centre[2])),
        spread=(float(spread[0]), float(spread[1]), float(spread[2])),
        max_tokens=recipe.max_tokens,
        multilingual=recipe.multilingual,
    )


def _standardised(ratings: NDArray[np.float32], train_rows: NDArray[np.intp]) -> NDArray[np.float32]:
    known = ratings[train_rows]
    return np.asarray((ratings - np.nanmean(known, axis=0)) / np.nanstd(known, axis=0), dtype=np.float32)


def table(scores: Sequence[Score]) -> str:
    """Return the scores of V, A and D as a Markdown table, on the scale [-1, 1]."""
    lines = [
        "| target | n | r | 95 % CI | R² | CCC | MAE | RMSE | constant MAE | constant RMSE |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in zip(OUTPUTS, scores, strict=True):
        low, high = one.r_interval
        numbers = (one.r2, one.ccc, one.mae, one.rmse, one.constant_mae, one.constant_rmse)
        cells = " | ".join(f"{number:.3f}" for number in numbers)
        lines.append(f"| {name} | {one.n} | {one.r:.3f} | {low:.3f} to {high:.3f} | {cells} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Train from the command line, print the scores and save the weights. Raises `UserError` on bad data."""
    default = Recipe()
    parser = argparse.ArgumentParser(prog="python -m engine.training text-emotion", description="Train text emotion.")
    parser.add_argument("--data", type=Path, required=True, help="folder with emobank/ and goemotions/")
    parser.add_argument("--out", type=Path, default=ASSETS, help="folder for the weights")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--encoder", default=default.encoder, help="a folder in Hugging Face layout (BERT family)")
    parser.add_argument("--variant", choices=VARIANTS, default=default.variant)
    parser.add_argument("--epochs", type=int, default=default.epochs)
    parser.add_argument("--rate", type=float, default=default.rate, help="highest learning rate of the adapter")
    parser.add_argument("--head-rate", type=float, default=default.head_rate, help="highest learning rate of the head")
    parser.add_argument("--multilingual", action="store_true", help="the encoder reads Chinese too")
    parser.add_argument("--by-document", action="store_true", help="hold out whole documents, and save nothing")
    parser.add_argument("--threads", type=int, default=1, help="the same weights need the same number")
    given = parser.parse_args(arguments)
    if given.epochs < 1 or given.threads < 1 or not (0 < given.rate < 1 and 0 < given.head_rate < 1):
        raise UserError("--epochs and --threads are at least 1, and rates are between 0 and 1.", code="bad_option")
    recipe = Recipe(
        variant=given.variant,
        encoder=given.encoder,
        seed=given.seed,
        epochs=given.epochs,
        rate=given.rate,
        head_rate=given.head_rate,
        multilingual=given.multilingual,
        document_split=given.by_document,
    )
    torch.set_num_threads(given.threads)
    auxiliary = read_goemotions(given.data) if recipe.variant == "goemotions" else None
    trained = train(read_emobank(given.data), auxiliary, recipe)
    print(table(trained.scores))
    if not recipe.document_split:
        save_regressor(given.out, trained.config, trained.model.trained())
        print(f"saved in {given.out}")
