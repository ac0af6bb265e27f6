"""Loads models and their tokenizers from a directory, whole or not at all. Knows transformers; knows no stage.

Left to itself, `from_pretrained` fills what is missing in a directory with defaults and random weights and says so
only in its log; here that is an error. Weights are safetensors, and no code that lies beside them is run.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from engine.errors import UserError

log = logging.getLogger(__name__)

_TROUBLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError, SafetensorError)
"""What `from_pretrained` raises over a directory or name that is not what it should be."""


_SPREAD = ("auto", "balanced", "balanced_low_0", "sequential")
"""What accelerate takes in the place of a device."""
_VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "vocab.json",
)
"""A tokenizer's directory holds one of these; without any, an empty tokenizer would come of it."""


def load_model(kind: Any, folder: Path, what: str, *, dtype: str = "auto", device: str = "auto") -> Any:
    """Return `kind.from_pretrained(folder)` in evaluation mode, its `device` an accelerate device map.

    `what` names the model in the sentence of the `UserError` (code `model_incomplete`) that is raised when the
    directory lacks a file, or weights are missing, damaged or of another shape. Running out of memory is raised as it
    is. `engine.lockfile.model_folder` gives the directory of a model of the hub.
    """
    if not (folder / "config.json").is_file():
        raise _incomplete(folder, what, "config.json is missing")
    check_device(device)
    if device == "auto" and not torch.cuda.is_available():
        device = "cpu"
    try:
        model, loaded = kind.from_pretrained(
            folder,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            device_map=device,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except torch.OutOfMemoryError:
        raise
    except _TROUBLE as error:
        raise _incomplete(folder, what, str(error)) from error
    if lacking := [*loaded["missing_keys"], *loaded["mismatched_keys"]]:
        raise _incomplete(folder, what, f"weights are missing or of another shape: {lacking[:5]}")
    return model.eval()


def check_device(device: str) -> None:
    """Raise `UserError`, code `no_device`, for what is neither a way to spread a model nor a device of this machine."""
    if device in _SPREAD:
        return
    try:
        wanted = torch.device(device)
        there = wanted.type != "cuda" or (wanted.index or 0) < torch.cuda.device_count()
    except RuntimeError:
        there = False
    if not there:
        raise UserError(
            f"There is no device {device!r} here; please use auto, cpu, or a card, as cuda:0.", code="no_device"
        )


def load_beside(kind: Any, folder: Path, what: str) -> Any:
    """Return the tokenizer (or the processor, which holds one) of a model. Raises like `load_model`."""
    if not any((folder / file).is_file() for file in _VOCABULARIES):
        raise _incomplete(folder, what, "there is no tokenizer")
    try:
        return kind.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except _TROUBLE as error:
        raise _incomplete(folder, what, str(error)) from error


def _incomplete(folder: Path, what: str, why: str) -> UserError:
    log.info("%s from %s: %s", what, folder, why)
    return UserError(
        f"{what} cannot be loaded from {str(folder)!r}; the directory must hold the whole model: configuration, "
        "safetensors weights and tokenizer.",
        code="model_incomplete",
    )
