"""The story that a tiny Llama recites: as many paragraphs as a short recording has beats."""

from __future__ import annotations

TITLE = "The Lamp"
PARAGRAPHS = (
    "The lamp went out. Nobody on the pier moved, and the water below them was black and loud.",
    "Then a match flared, and in its small light an old man smiled at the two children.",
    "They carried the light up the long stairs, laughing, and one by one the ships came home.",
)
PIECES = (f"Title: {TITLE}\n\n", *(f"{i}. {text}\n\n" for i, text in enumerate(PARAGRAPHS, 1)))
"""The story as a language model would give it, in parts that differ."""
