"""What a storyteller is: the one boundary between the pipeline and every storyteller backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.emotion.curve import Beat
from engine.emotion.setting import Setting
from engine.jobs import Language
from engine.report import Report

WORDS: dict[Language, tuple[int, int]] = {"en": (80, 600), "zh-TW": (120, 1_000)}
"""Shortest and longest story: words in English, characters in Chinese."""
CANDIDATES = (1, 16)
"""Fewest and most candidate stories."""


@dataclass(frozen=True)
class Prompt:
    """What a storyteller is asked for. `words` counts words in English and characters in zh-TW.

    `targets` holds, for each beat, the (valence, arousal) that the text should have **on the text model's own
    scale** (the calibration has been applied); `beats` are on the music's scale.
    """

    beats: tuple[Beat, ...]
    targets: tuple[tuple[float, float], ...]
    language: Language
    words: int
    seed: int
    candidates: int = 1
    title: str | None = None
    setting: Setting | None = None


@dataclass(frozen=True)
class Story:
    """A title and paragraphs; paragraph i belongs to beat i.

    `twin` holds the same paragraphs in English where the backend has them, because the embedded text model reads
    English best; None otherwise.
    """

    title: str
    paragraphs: tuple[str, ...]
    language: Language
    twin: tuple[str, ...] | None = None


class Storyteller(Protocol):
    """Turns a prompt into candidate stories, the pipeline keeps the one that fits best."""

    @property
    def name(self) -> str:
        """Name of backend and model, as shown to people."""
        ...

    def tell(self, prompt: Prompt, report: Report) -> tuple[Story, ...]:
        """Return 1 to `prompt.candidates` stories, each with one paragraph for every beat.

        Same prompt, same stories. Raises `UserError` when it cannot write what is asked for, and whatever
        `report` raises (cancel).
        """
        ...
