"""Story → description by a T5, the paper's second way. Knows texts; knows no music.

The model reads the story's emotion words and its beginning, and writes what a caption of fitting music would say.
`tunetale train describer` makes such a model.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from transformers import AutoTokenizer, T5ForConditionalGeneration

from engine.emotion.curve import Beat
from engine.emotion.text_input import is_chinese
from engine.errors import UserError
from engine.lockfile import DEFAULT_LOCK, model_folder
from engine.pretrained import load_beside, load_model
from engine.settings import T5Settings

MAX_STORY_CHARS = 1_200
"""So much of the story is read; about 300 tokens, within what T5 was trained on (512)."""
MAX_DESCRIPTION_CHARS = 400
MAX_NEW_TOKENS = 96
"""A caption of two sentences is half as long."""
_BEAMS = 4
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def source_text(words: Sequence[str], story: str) -> str:
    """Return what the model reads: emotion words in order, then the story's beginning unless it is Chinese.

    A T5 of English has no pieces for Chinese; the emotion words are English in every language.
    """
    unique = [word for i, word in enumerate(words) if i == 0 or words[i - 1] != word]
    source = f"emotions: {', '.join(unique)}."
    return source if is_chinese(story) else f"{source} story: {' '.join(story.split())[:MAX_STORY_CHARS]}"


def tidy(text: str) -> str:
    """Return at most two sentences of plain text: a model's words are data, not markup or control characters."""
    plain = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    sentences = _SENTENCE_END.split(" ".join(plain.split()))
    return " ".join(sentences[:2])[:MAX_DESCRIPTION_CHARS].strip()


class T5Describer:
    """Implements `engine.music.composer.Describer`. Thread-safe: one description at a time."""

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        self.name = f"T5 ({name.rstrip('/').rsplit('/', 1)[-1]})"
        self._model = model
        self._tokenizer = tokenizer
        self._lock = threading.Lock()

    @classmethod
    def load(cls, settings: T5Settings, lock: Path = DEFAULT_LOCK) -> Self:
        """Load a directory or a locked model. Raises `UserError` when it is not there or incomplete."""
        folder = model_folder(settings.model, lock)
        model = load_model(
            T5ForConditionalGeneration, folder, "The T5 describer", dtype=settings.dtype, device=settings.device
        )
        return cls(model, load_beside(AutoTokenizer, folder, "The T5 describer"), settings.model)

    def describe(self, beats: tuple[Beat, ...], text: str, seed: int) -> str:
        """Return one or two English sentences; the same input gives the same ones, whatever the seed (beam search).

        Raises `UserError` when the model writes nothing that could be called a description.
        """
        inputs = self._tokenizer(
            source_text([beat.word for beat in beats], text), truncation=True, max_length=512, return_tensors="pt"
        ).to(self._model.device)
        with self._lock, torch.inference_mode():
            (output,) = self._model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=MAX_NEW_TOKENS,
                num_beams=_BEAMS,
                do_sample=False,
                no_repeat_ngram_size=3,
            )
        description = tidy(self._tokenizer.decode(output, skip_special_tokens=True))
        if len(description.split()) < 3:
            raise UserError(
                f'The describer {self.name} wrote no description; set [stages] describer = "rules" or name another '
                "model.",
                code="no_description",
            )
        return description
