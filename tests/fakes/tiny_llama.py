"""Tiny Llamas on disk, and the story that one of them knows by heart."""

from __future__ import annotations

from pathlib import Path

from engine.tiny.llama import save_random, save_reciting
from engine.tiny.story import PARAGRAPHS, PIECES

__all__ = ["PARAGRAPHS", "PIECES", "random_llama", "reciting_llama"]


def random_llama(folder: Path) -> Path:
    return save_random(folder / "random-llama")


def reciting_llama(folder: Path) -> Path:
    return save_reciting(folder / "reciting-llama", PIECES)
