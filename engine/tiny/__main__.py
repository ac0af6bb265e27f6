"""Saves tiny models: `python -m engine.tiny FOLDER` makes a sub-folder for each of MODELS.

A process of its own, because `tunetale doctor` never imports torch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from engine.tiny.audiocraft import save_tiny_audiocraft
from engine.tiny.llama import save_reciting
from engine.tiny.musicgen import save_tiny_musicgen
from engine.tiny.story import PIECES
from engine.tiny.t5 import save_tiny_t5

MODELS: dict[str, Callable[[Path], object]] = {
    "audiocraft": save_tiny_audiocraft,
    "llama": lambda folder: save_reciting(folder, PIECES),
    "musicgen": save_tiny_musicgen,
    "t5": save_tiny_t5,
}
"""What `tunetale doctor --deep` runs; it names the same folders in its settings."""

if __name__ == "__main__":
    for name, save in MODELS.items():
        save(Path(sys.argv[1]) / name)
