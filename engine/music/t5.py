"""Story → description by a T5, the paper's second way. Knows texts; knows no music.

The model reads the story's emotion words and its beginning, and writes what a caption of fitting music would say. A
model that `tunetale train describer` made knows where captions lie on the plane, too: it writes several, and the one
that feels most like the story is taken.
"""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    AutoTokenizer,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    T5ForConditionalGeneration,
)

from engine.emotion.calibration import Calibration, Scale
from engine.emotion.curve import Beat
from engine.emotion.text_input import is_chinese
from engine.errors import UserError
from engine.lockfile import DEFAULT_LOCK, model_folder
from engine.pretrained import load_beside, load_model
from engine.report import Report, silent
from engine.settings import T5Settings

MAX_STORY_CHARS = 1_200
"""So much of the story is read; about 300 tokens, within what T5 was trained on (512)."""
MAX_DESCRIPTION_CHARS = 400
MAX_NEW_TOKENS = 96
"""A caption of two sentences is half as long."""
MAX_SOURCE_TOKENS = 512
"""So much T5 was trained on; a tokenizer may say that it is less."""
SAMPLES = 8
"""Descriptions that are written where the best can be told."""
CAPTIONS_FILE = "captions.json"
"""Beside the weights: mean and SD of captions on the text model's scale."""
_TOP_K, _TEMPERATURE = 20, 0.8
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


Scorer = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts → valence, arousal [n, 2 or more] on the text model's scale."""


@dataclass(frozen=True)
class Chooser:
    """Tells which description feels most like the beats: each side standardised by its own mean and spread."""

    scorer: Scorer
    captions: Scale
    music: Scale

    def best(self, beats: Sequence[Beat], texts: Sequence[str]) -> int:
        """Return the row of the nearest text, the first of equals."""
        lengths = [beat.end_s - beat.start_s for beat in beats]
        mean = np.average([(beat.valence, beat.arousal) for beat in beats], axis=0, weights=lengths)
        wanted = (mean - self.music.mean) / self.music.sd
        places = (self.scorer(texts)[:, :2].astype(np.float64) - self.captions.mean) / self.captions.sd
        return int(np.hypot(*(places - wanted).T).argmin())


def write_captions_scale(folder: Path, scale: Scale) -> None:
    """Write where captions lie beside a model."""
    (folder / CAPTIONS_FILE).write_text(json.dumps(asdict(scale)) + "\n")


def read_captions_scale(folder: Path) -> Scale | None:
    """Read what `write_captions_scale` wrote, None where there is none. Raises `UserError` where it is damaged."""
    path = folder / CAPTIONS_FILE
    if not path.is_file():
        return None
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        (mean_v, mean_a), (sd_v, sd_a) = table["mean"], table["sd"]
        scale = Scale((float(mean_v), float(mean_a)), (float(sd_v), float(sd_a)))
        if not (np.isfinite([*scale.mean, *scale.sd]).all() and min(scale.sd) > 0):
            raise ValueError("no scale")
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"The T5 describer cannot be loaded from '{folder}'; {CAPTIONS_FILE} is damaged, train it again.",
            code="model_incomplete",
        ) from None
    return scale


class T5Describer:
    """Implements `engine.music.composer.Describer`. Thread-safe: one description at a time."""

    def __init__(self, model: Any, tokenizer: Any, name: str, chooser: Chooser | None = None) -> None:
        self.name = f"T5 ({name.rstrip('/').rsplit('/', 1)[-1]})"
        self._model = model
        self._tokenizer = tokenizer
        self._chooser = chooser
        self._lock = threading.Lock()

    @classmethod
    def load(cls, settings: T5Settings, lock: Path = DEFAULT_LOCK, scorer: Scorer | None = None) -> Self:
        """Load a directory or a locked model. Raises `UserError` when it is not there or incomplete.

        With a `scorer` of texts, a directory that says where captions lie writes SAMPLES descriptions and takes the
        nearest.
        """
        folder = model_folder(settings.model, lock)
        model = load_model(
            T5ForConditionalGeneration, folder, "The T5 describer", dtype=settings.dtype, device=settings.device
        )
        tokenizer = load_beside(AutoTokenizer, folder, "The T5 describer")
        captions = None if scorer is None else read_captions_scale(Path(folder))
        chooser = None if scorer is None or captions is None else Chooser(scorer, captions, Calibration.load().music)
        return cls(model, tokenizer, settings.model, chooser)

    def describe(self, beats: tuple[Beat, ...], text: str, seed: int, report: Report = silent) -> str:
        """Return one or two English sentences; the same input gives the same ones.

        Where the model chooses among several, another seed gives others; else it searches with beams, and the seed
        does not matter. Raises `UserError` when the model writes nothing that could be called a description, and what
        `report` raises, which is called after every token.
        """
        source = source_text([beat.word for beat in beats], text)
        written = [text for text in map(tidy, self._write(source, seed, report)) if len(text.split()) >= 3]
        if not written:
            raise UserError(
                f'The describer {self.name} wrote no description; set [stages] describer = "rules" or name another '
                "model.",
                code="no_description",
            )
        return written[0] if self._chooser is None else written[self._chooser.best(beats, written)]

    def _write(self, source: str, seed: int, report: Report) -> list[str]:
        most = min(MAX_SOURCE_TOKENS, int(self._tokenizer.model_max_length))
        inputs = self._tokenizer(source, truncation=True, max_length=most, return_tensors="pt")
        count = 1 if self._chooser is None else SAMPLES
        how: dict[str, Any] = {"num_beams": _BEAMS, "no_repeat_ngram_size": 3}
        if self._chooser is not None:
            how = {"logits_processor": LogitsProcessorList([_Chance(seed)])}
        ids, mask = (inputs[name].repeat(count, 1).to(self._model.device) for name in ("input_ids", "attention_mask"))
        with self._lock, torch.inference_mode():
            output = self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=MAX_NEW_TOKENS,
                do_sample=False,
                stopping_criteria=StoppingCriteriaList([_Watch(report)]),
                **how,
            )
        return list(self._tokenizer.batch_decode(output, skip_special_tokens=True))


class _Chance(LogitsProcessor):
    """Adds Gumbel noise to the likeliest logits, so that the largest is a draw from them (Gumbel 1954): sampling from
    a generator of one's own, whatever else draws in this process."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        values, places = torch.topk(scores.float(), min(_TOP_K, scores.shape[-1]), dim=-1)
        uniform = torch.rand(values.shape, generator=self._generator).clamp_min(1e-20).to(values.device)
        noise = -torch.log(-torch.log(uniform))
        noisy: Any = torch.full_like(scores, -torch.inf)
        result: torch.FloatTensor = noisy.scatter(-1, places, (values / _TEMPERATURE + noise).to(scores.dtype))
        return result


class _Watch(StoppingCriteria):
    """Says after every token how far it is, and lets what that raises (cancel) end the writing."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._done = 0

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        self._done += 1
        self._report("describe", min(1.0, self._done / MAX_NEW_TOKENS))
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
