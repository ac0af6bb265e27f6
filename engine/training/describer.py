"""Trains the T5 describer on (story, description) pairs: a given T5, or a small one from scratch.

    tunetale train describer --data DIR --out DIR [--method 1|2] [--model NAME_OR_DIR] [--epochs N] [--seed N]

Writes model, tokenizer, `history.json` and the learning curve (the paper's figure 14) to the output folder, after every
epoch the best so far by its loss on watched tales; the evaluation's tales take no part.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import Unigram
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import UnigramTrainer
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration
from transformers.utils.logging import disable_progress_bar

from engine.dispatch import OneSentenceParser
from engine.emotion.calibration import Scale
from engine.emotion.text import TextEmotion
from engine.evaluation.learning_curve import draw_learning_curve
from engine.lockfile import DEFAULT_LOCK, model_folder
from engine.music.t5 import source_text, write_captions_scale
from engine.pretrained import load_beside, load_model
from engine.training.captions import read_captions
from engine.training.describer_data import (
    Pair,
    Reader,
    Scorer,
    match_by_emotion,
    placing_writer,
    read_sections,
    scorer_of,
    split_by_group,
    stories_from_descriptions,
)
from engine.training.steps import Schedule, Steps, batches
from engine.training.story_bank import read_tales

HELD_OUT = 0.1
"""Share of tales, or of captions with method 1, that the evaluation is made on."""
WATCHED = 0.1
"""Share of the others on which the learning curve is measured and the best epoch chosen."""
_SPECIAL = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
"""As T5's, in the order of their ids."""
_IGNORED = -100
"""Label that torch's cross-entropy leaves out."""


@dataclass(frozen=True)
class Recipe:
    """How to train; the sizes are those of the model from scratch, 1.3 M parameters."""

    seed: int = 1
    epochs: int = 8
    batch: int = 32
    rate: float = 1.5e-3
    """For a T5 from scratch; one that was trained before is tuned at a fifth of it."""
    vocabulary: int = 3_000
    width: int = 128
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1
    source_tokens: int = 64
    """So much of emotion words and story is read, in training and afterwards."""
    target_tokens: int = 64
    each: int = 2
    """Method 1: stories for one caption; method 2: captions for one story."""
    stories: int = 3_400
    """At most so many different stories are used."""

    @property
    def schedule(self) -> Schedule:
        """How the weights move."""
        return Schedule(self.rate, self.rate, weight_decay=0.05, warm_up=0.05, averaging=0.995)


@dataclass(frozen=True, eq=False)
class Trained:
    """A describer, and its mean loss a token on (training, watched) pairs after each epoch."""

    model: Any
    tokenizer: Any
    history: tuple[tuple[float, float], ...]

    @property
    def is_best(self) -> bool:
        """Whether no earlier epoch was better on the watched pairs."""
        return self.history[-1][1] <= min(watched for _, watched in self.history)


def train_tokenizer(texts: Sequence[str], size: int, most: int = Recipe.source_tokens) -> Any:
    """Return a unigram tokenizer (Kudo 2018, as T5's) of at most `size` pieces, trained on the texts.

    `most` tokens of a source are read.
    """
    pieces = Tokenizer(Unigram())
    pieces.normalizer = normalizers.NFKC()
    pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    pieces.decoder = decoders.Metaspace()
    pieces.train_from_iterator(
        texts,
        UnigramTrainer(
            vocab_size=size,
            special_tokens=list(_SPECIAL.values()),
            unk_token=_SPECIAL["unk_token"],
            show_progress=False,
        ),
    )
    pieces.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=pieces, model_max_length=most, **_SPECIAL)


def small_t5(tokenizer: Any, recipe: Recipe) -> Any:
    """Return a T5 with random weights and the tokenizer's vocabulary."""
    torch.manual_seed(recipe.seed)
    config: Any = T5Config(
        vocab_size=len(tokenizer),
        d_model=recipe.width,
        d_kv=recipe.width // recipe.heads,
        d_ff=4 * recipe.width,
        num_layers=recipe.layers,
        num_heads=recipe.heads,
        dropout_rate=recipe.dropout,
    )
    config.decoder_start_token_id = config.pad_token_id
    model = T5ForConditionalGeneration(config)
    model.generation_config.decoder_start_token_id = config.pad_token_id
    return model


def train(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[Pair],
    watched: Sequence[Pair],
    recipe: Recipe,
    after: Callable[[Trained], None],
    say: Callable[[str], None] = print,
) -> None:
    """Train on `pairs`; after each epoch `after` gets the model with its mean weights, measured on `watched`.

    Same input and seed, same weights on one machine.
    """
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    known, unseen = _Texts(tokenizer, pairs, recipe), _Texts(tokenizer, watched, recipe)
    rows = np.arange(len(pairs), dtype=np.intp)
    total = recipe.epochs * -(-len(pairs) // recipe.batch)
    steps = Steps(model.named_parameters(), recipe.schedule, total)
    history: list[tuple[float, float]] = []
    for epoch in range(recipe.epochs):
        started = time.monotonic()
        model.train()
        loss = steps.run(lambda chosen: known.loss(model, chosen), batches(rows, known.lengths, recipe.batch, rng))
        model.eval()
        with steps.averaged():
            with torch.inference_mode():
                parts = np.array_split(np.arange(len(watched), dtype=np.intp), -(-len(watched) // recipe.batch))
                watched_loss = float(np.mean([float(unseen.loss(model, part)) for part in parts]))
            history.append((loss, watched_loss))
            after(Trained(model, tokenizer, tuple(history)))
        say(
            f"epoch {epoch + 1}/{recipe.epochs}: loss {loss:.3f}, watched {watched_loss:.3f}, "
            f"{time.monotonic() - started:.0f} s"
        )


class _Texts:
    """Pairs as token ids."""

    def __init__(self, tokenizer: Any, pairs: Sequence[Pair], recipe: Recipe) -> None:
        sources = [source_text(pair.story.words, pair.story.text) for pair in pairs]
        self._sources = tokenizer(sources, truncation=True, max_length=recipe.source_tokens)["input_ids"]
        targets = [pair.description for pair in pairs]
        self._targets = tokenizer(targets, truncation=True, max_length=recipe.target_tokens)["input_ids"]
        self._pad = int(tokenizer.pad_token_id)
        self.lengths = np.array([len(ids) for ids in self._sources], dtype=np.intp)

    def loss(self, model: Any, rows: NDArray[np.intp]) -> Tensor:
        """Return the mean cross-entropy a token."""
        source = _padded([self._sources[row] for row in rows], self._pad)
        labels = _padded([self._targets[row] for row in rows], _IGNORED)
        with torch.autocast(source.device.type, torch.bfloat16):
            loss: Tensor = model(input_ids=source, attention_mask=(source != self._pad).long(), labels=labels).loss
        return loss


def _padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)


def make_pairs(data: Path, method: int, scorer: Scorer, recipe: Recipe) -> list[Pair]:
    """Return the paper's data set of method 1 or 2 from the folder. Raises `UserError` when something is missing."""
    captions, reader = read_captions(data), Reader(scorer)
    rng = np.random.default_rng(recipe.seed)
    if method == 1:
        chosen = sorted(rng.permutation(len(captions))[: recipe.stories // recipe.each].tolist())
        some = [captions[i] for i in chosen]
        return stories_from_descriptions(some, reader, placing_writer(), recipe.each, recipe.seed)
    sections = read_sections(read_tales(data), reader)
    chosen = sorted(rng.permutation(len(sections))[: recipe.stories].tolist())
    return match_by_emotion([sections[i] for i in chosen], captions, scorer, recipe.each, recipe.seed)


def main(arguments: Sequence[str]) -> None:
    """Train from the command line. Raises `UserError` on bad data or a model that cannot be loaded."""
    parser = OneSentenceParser(prog="tunetale train describer", description="Train the T5 describer.")
    parser.add_argument("--data", type=Path, required=True, help="folder with musiccaps/ and stories/fairytaleqa/")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--method", type=int, choices=(1, 2), default=2)
    parser.add_argument(
        "--model", default="", help="T5 to tune: directory or hub name; empty: a small one from scratch"
    )
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--stories", type=int, default=Recipe.stories, help="at most so many")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    quiet: Any = disable_progress_bar
    quiet()
    torch.set_num_threads(max(1, given.threads))
    rate = Recipe.rate / 5 if given.model else Recipe.rate
    recipe = Recipe(seed=given.seed, epochs=given.epochs, stories=given.stories, rate=rate)
    scorer = scorer_of(TextEmotion.load())
    pairs, _ = split_by_group(make_pairs(given.data, given.method, scorer, recipe), HELD_OUT, recipe.seed)
    pairs, watched = split_by_group(pairs, WATCHED, recipe.seed)
    print(f"method {given.method}: {len(pairs)} pairs to learn from, {len(watched)} watched", flush=True)
    if given.model:
        folder = model_folder(given.model, DEFAULT_LOCK)
        model = load_model(T5ForConditionalGeneration, folder, "The T5 describer", dtype="float32")
        tokenizer = load_beside(AutoTokenizer, folder, "The T5 describer")
    else:
        texts = [source_text(pair.story.words, pair.story.text) for pair in pairs[:: recipe.each]]
        tokenizer = train_tokenizer([*texts, *(pair.description for pair in pairs)], recipe.vocabulary)
        model = small_t5(tokenizer, recipe)

    def say(line: str) -> None:
        print(line, flush=True)

    scale = Scale.of(scorer(sorted({pair.description for pair in pairs}))[:, :2])

    def keep(trained: Trained) -> None:
        write(trained, given.out, given.method)
        write_captions_scale(given.out, scale)

    train(model, tokenizer, pairs, watched, recipe, keep, say)


def write(trained: Trained, out: Path, method: int) -> None:
    """Write history and learning curve, and the model, in half precision, if it is the best so far."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "history.json").write_text(json.dumps({"method": method, "loss": trained.history}, indent=1))
    draw_learning_curve(
        out / "learning_curve.png",
        f"T5 describer, method {method}",
        "cross-entropy a token",
        {"training": [a for a, _ in trained.history], "watched": [b for _, b in trained.history]},
    )
    if trained.is_best:
        trained.model.save_pretrained(out, state_dict=_halved(trained.model.state_dict()))
        trained.tokenizer.save_pretrained(out)


def _halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights in half precision; those that share memory still do, so that they are written once."""
    halves = {value.data_ptr(): value.detach().half() for value in weights.values()}
    return {name: halves[value.data_ptr()] for name, value in weights.items()}
