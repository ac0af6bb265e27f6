"""Lets audiocraft 1.3.0 be imported beside today's libraries. Called before anything else is imported."""

from __future__ import annotations

import importlib.machinery
import logging
import os
import sys
import types


def prepare() -> None:
    """Stand in for what audiocraft imports and making music never uses.

    torchaudio's compiled part wants CUDA's libraries, even beside a torch without; spaCy serves conditioners that the
    published models do not have. What is loaded as a pickle is data only, whoever asks for it.
    """
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    for name in ("torchaudio._extension", "spacy"):
        if name not in sys.modules:
            module = types.ModuleType(name)
            module.__spec__ = importlib.machinery.ModuleSpec(name, None)
            sys.modules[name] = module
    logging.getLogger("xformers").setLevel(logging.ERROR)  # its kernels fit no torch of today, and are not used
    vars(sys.modules["torchaudio._extension"]).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False, fail_if_no_align=lambda function: function
    )
