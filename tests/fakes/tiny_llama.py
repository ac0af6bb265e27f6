"""Tiny Llamas on disk, and the story that one of them knows by heart."""

from __future__ import annotations

from pathlib import Path

from engine.tiny.llama import save_random, save_reciting

TITLE = "The Lamp"
PARAGRAPHS = (
    "The lamp went out. Nobody on the pier moved, and the water was black and loud.",
    "Then a match flared, and in its light an old man smiled at the two of them.",
    "They carried the light up the stairs, laughing, and the ships came home.",
)
PIECES = (f"Title: {TITLE}\n\n", *(f"{i}. {text}\n\n" for i, text in enumerate(PARAGRAPHS, 1)))


def random_llama(folder: Path) -> Path:
    return save_random(folder / "random-llama")


def reciting_llama(folder: Path) -> Path:
    return save_reciting(folder / "reciting-llama", PIECES)
