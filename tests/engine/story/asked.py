"""Prompts to try storytellers with, and a model that says what a test tells it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from engine.emotion.curve import Beat
from engine.jobs import Language
from engine.story.chat import Ask, Told
from engine.story.storyteller import Prompt

Answer = str | Callable[[Ask], str]


def asked(
    *feelings: tuple[float, float, str],
    language: Language = "en",
    words: int = 90,
    seed: int = 1,
    candidates: int = 1,
    title: str | None = None,
) -> Prompt:
    """A prompt for beats of (valence, arousal, word), 20 s each."""
    feelings = feelings or ((-0.3, 0.4, "tense"), (0.2, -0.4, "relaxed"), (0.6, 0.4, "triumphant"))
    beats = tuple(Beat(20.0 * i, 20.0 * (i + 1), v, a, word) for i, (v, a, word) in enumerate(feelings))
    return Prompt(beats, tuple((v, a) for v, a, _ in feelings), language, words, seed, candidates, title)


def answer(*paragraphs: str, title: str = "The Lamp") -> str:
    return "\n\n".join([f"Title: {title}", *(f"{i}. {text}" for i, text in enumerate(paragraphs, 1))])


class ScriptedChat:
    """Gives its answers in order; an answer may be made from the ask."""

    name = "scripted"

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asks: list[Ask] = []
        self._lock = threading.Lock()

    def write(self, asks: Sequence[Ask], told: Told) -> list[str]:
        told(0.0)
        with self._lock:
            self.asks += asks
            texts = [self.answers.pop(0) for _ in asks]
        told(1.0)
        return [text if isinstance(text, str) else text(ask) for text, ask in zip(texts, asks, strict=True)]
