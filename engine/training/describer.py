"""Trains the T5 describer on (story, description) pairs: a given T5, or a small one from scratch.

    tunetale train describer --data DIR --out DIR [--method 1|2] [--model NAME_OR_DIR] [--epochs N] [--seed N]

Writes model, tokenizer, `history.json` and the learning curve (the paper's figure 14) to the output folder.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
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

from engine.dispatch import OneSentenceParser
from engine.emotion.text import TextEmotion
from engine.evaluation.learning_curve import draw_learning_curve
from engine.lockfile import DEFAULT_LOCK, model_folder
from engine.music.t5 import MAX_NEW_TOKENS, source_text
from engine.pretrained import load_beside, load_model
from engine.training.describer_data import (
    EmotionWords,
    Pair,
    match_by_emotion,
    placing_writer,
    read_captions,
    split_by_group,
    stories_from_descriptions,
)
from engine.training.steps import Schedule, Steps, batches
from engine.training.story_bank import read_tales

HELD_OUT = 0.1
"""Share of tales, or of captions with method 1, that the learning curve and the evaluation are measured on."""
_SPECIAL = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
"""As T5's, in the order of their ids."""
_IGNORED = -100
"""Label that torch's cross-entropy leaves out."""


@dataclass(frozen=True)
class Recipe:
    """How to train; the sizes are those of the model from scratch, about 3 M parameters."""

    seed: int = 1
    epochs: int = 6
    batch: int = 16
    rate: float = 1e-3
    """For a T5 from scratch; one that was trained before is tuned at a fifth of it."""
    vocabulary: int = 4_000
    width: int = 192
    layers: int = 3
    heads: int = 4
    source_tokens: int = 160
    stories_each: int = 2
    """Stories for one caption in method 1."""
    pairs: int = 4_000
    """At most so many pairs are used."""

    @property
    def schedule(self) -> Schedule:
        """How the weights move."""
        return Schedule(self.rate, self.rate, weight_decay=0.01, warm_up=0.05, averaging=0.99)


@dataclass(frozen=True, eq=False)
class Trained:
    """A describer, and its mean loss a token on (training, held-out) pairs after each epoch."""

    model: Any
    tokenizer: Any
    history: tuple[tuple[float, float], ...]


def train_tokenizer(texts: Sequence[str], size: int) -> Any:
    """Return a unigram tokenizer (Kudo 2018, as T5's) of at most `size` pieces, trained on the texts."""
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
    return fast(tokenizer_object=pieces, model_max_length=512, **_SPECIAL)


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
    )
    config.decoder_start_token_id = config.pad_token_id
    model = T5ForConditionalGeneration(config)
    model.generation_config.decoder_start_token_id = config.pad_token_id
    return model


def train(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[Pair],
    held: Sequence[Pair],
    words: EmotionWords,
    recipe: Recipe,
    say: Callable[[str], None] = print,
) -> Trained:
    """Train on `pairs` and measure on `held` after each epoch. Same input and seed, same weights on one machine."""
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    known, unseen = _Texts(tokenizer, pairs, words, recipe), _Texts(tokenizer, held, words, recipe)
    rows = np.arange(len(pairs), dtype=np.intp)
    total = recipe.epochs * -(-len(pairs) // recipe.batch)
    steps = Steps(model.named_parameters(), recipe.schedule, total)
    history = []
    for epoch in range(recipe.epochs):
        started = time.monotonic()
        model.train()
        loss = steps.run(lambda chosen: known.loss(model, chosen), batches(rows, known.lengths, recipe.batch, rng))
        model.eval()
        with steps.averaged(), torch.inference_mode():
            parts = np.array_split(np.arange(len(held), dtype=np.intp), -(-len(held) // recipe.batch))
            held_loss = float(np.mean([float(unseen.loss(model, part)) for part in parts]))
        history.append((loss, held_loss))
        say(
            f"epoch {epoch + 1}/{recipe.epochs}: loss {loss:.3f}, held out {held_loss:.3f}, "
            f"{time.monotonic() - started:.0f} s"
        )
    steps.finish()
    return Trained(model.eval(), tokenizer, tuple(history))


class _Texts:
    """Pairs as token ids."""

    def __init__(self, tokenizer: Any, pairs: Sequence[Pair], words: EmotionWords, recipe: Recipe) -> None:
        sources = [source_text(words(pair.story), pair.story) for pair in pairs]
        self._sources = tokenizer(sources, truncation=True, max_length=recipe.source_tokens)["input_ids"]
        targets = [pair.description for pair in pairs]
        self._targets = tokenizer(targets, truncation=True, max_length=MAX_NEW_TOKENS)["input_ids"]
        self._pad = int(tokenizer.pad_token_id)
        self.lengths = np.array([len(ids) for ids in self._sources], dtype=np.intp)

    def loss(self, model: Any, rows: NDArray[np.intp]) -> Tensor:
        """Return the mean cross-entropy a token."""
        source = _padded([self._sources[row] for row in rows], self._pad)
        labels = _padded([self._targets[row] for row in rows], _IGNORED)
        loss: Tensor = model(input_ids=source, attention_mask=(source != self._pad).long(), labels=labels).loss
        return loss


def _padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)


def make_pairs(data: Path, method: int, text_model: TextEmotion, recipe: Recipe) -> list[Pair]:
    """Return the paper's data set of method 1 or 2 from the folder. Raises `UserError` when something is missing."""

    def scorer(texts: Sequence[str]) -> NDArray[np.float32]:
        return text_model.score(texts).values

    captions = read_captions(data)
    rng = np.random.default_rng(recipe.seed)
    if method == 1:
        chosen = sorted(rng.permutation(len(captions))[: recipe.pairs // recipe.stories_each].tolist())
        some = [captions[i] for i in chosen]
        return stories_from_descriptions(some, scorer, placing_writer(), recipe.stories_each, recipe.seed)
    pairs = match_by_emotion(read_tales(data), captions, scorer, recipe.seed)
    return [pairs[i] for i in sorted(rng.permutation(len(pairs))[: recipe.pairs].tolist())]


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
    parser.add_argument("--pairs", type=int, default=Recipe.pairs)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(max(1, given.threads))
    rate = Recipe.rate / 5 if given.model else Recipe.rate
    recipe = Recipe(seed=given.seed, epochs=given.epochs, pairs=given.pairs, rate=rate)
    text_model = TextEmotion.load()
    pairs, held = split_by_group(make_pairs(given.data, given.method, text_model, recipe), HELD_OUT, recipe.seed)
    print(f"method {given.method}: {len(pairs)} pairs, {len(held)} held out by group")
    if given.model:
        folder = model_folder(given.model, DEFAULT_LOCK)
        model = load_model(T5ForConditionalGeneration, folder, "The T5 describer", dtype="float32")
        tokenizer = load_beside(AutoTokenizer, folder, "The T5 describer")
    else:
        texts = [source_text((), pair.story) for pair in pairs] + [pair.description for pair in pairs]
        tokenizer = train_tokenizer(texts, recipe.vocabulary)
        model = small_t5(tokenizer, recipe)
    trained = train(model, tokenizer, pairs, held, EmotionWords(text_model), recipe)
    write(trained, given.out, given.method)


def write(trained: Trained, out: Path, method: int) -> None:
    """Write the model with its history and learning curve."""
    out.mkdir(parents=True, exist_ok=True)
    trained.model.save_pretrained(out)
    trained.tokenizer.save_pretrained(out)
    (out / "history.json").write_text(json.dumps({"method": method, "loss": trained.history}, indent=1))
    draw_learning_curve(
        out / "learning_curve.png",
        f"T5 describer, method {method}",
        "cross-entropy a token",
        {"training": [a for a, _ in trained.history], "held out": [b for _, b in trained.history]},
    )
