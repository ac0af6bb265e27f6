"""Loads models and their tokenizers by directory or hub name, whole or not at all. Knows transformers; knows no stage.

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


_VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "vocab.json",
)
"""A tokenizer's directory holds one of these; without any, an empty tokenizer would come of it."""


def load_model(kind: Any, name: str, what: str, *, dtype: str = "auto", device: str = "auto") -> Any:
    """Return `kind.from_pretrained(name)` in evaluation mode, its `device` an accelerate device map.

    `what` names the model in the sentence of the `UserError` (code `model_incomplete`) that is raised when the name
    is unknown, the directory lacks a file, or weights are missing, damaged or of another shape. Running out of memory
    is raised as it is.
    """
    folder = _folder(name)
    if folder is not None and not (folder / "config.json").is_file():
        raise _incomplete(name, what, "config.json is missing")
    if device == "auto" and not torch.cuda.is_available():
        device = "cpu"
    try:
        model, loaded = kind.from_pretrained(
            name,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            device_map=device,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=folder is not None,
            output_loading_info=True,
        )
    except torch.OutOfMemoryError:
        raise
    except _TROUBLE as error:
        raise _incomplete(name, what, str(error)) from error
    if lacking := [*loaded["missing_keys"], *loaded["mismatched_keys"]]:
        raise _incomplete(name, what, f"weights are missing or of another shape: {lacking[:5]}")
    return model.eval()


def load_beside(kind: Any, name: str, what: str) -> Any:
    """Return the tokenizer (or the processor, which holds one) of a model. Raises like `load_model`."""
    folder = _folder(name)
    if folder is not None and not any((folder / file).is_file() for file in _VOCABULARIES):
        raise _incomplete(name, what, "there is no tokenizer")
    try:
        return kind.from_pretrained(name, trust_remote_code=False, local_files_only=folder is not None)
    except _TROUBLE as error:
        raise _incomplete(name, what, str(error)) from error


def _folder(name: str) -> Path | None:
    return Path(name) if Path(name).is_dir() else None


def _incomplete(name: str, what: str, why: str) -> UserError:
    log.info("%s from %s: %s", what, name, why)
    if _folder(name) is not None:
        advice = "the directory must hold the whole model: configuration, safetensors weights and tokenizer"
    else:
        advice = "give a directory, or a name that the hub has and that this machine can fetch"
    return UserError(f"{what} cannot be loaded from {name!r}; {advice}.", code="model_incomplete")
