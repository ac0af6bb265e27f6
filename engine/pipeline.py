"""From request to result: loads the stages once and sends each request its way. Knows no process and no queue."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine import vault
from engine.emotion.beats import find_beats
from engine.emotion.sentences import split
from engine.emotion.text_input import check_text
from engine.jobs import (
    ComposeRequest,
    EmotionRequest,
    EmotionResult,
    Request,
    Result,
    Sentence,
    StoryRequest,
    TextEmotionRequest,
    TextEmotionResult,
)
from engine.report import Report
from engine.settings import EngineSettings
from engine.stages import Stages, load_stages
from engine.steps import Stopwatch, curve_data, get_recording, music_facts, plain_beat
from engine.to_music import scored, to_music
from engine.to_story import to_story

CHUNK = 256
"""Texts scored between two reports, so that a long list shows progress and can be cancelled."""


class Pipeline:
    """Runs requests on loaded stages; safe to call from several threads."""

    def __init__(self, stages: Stages, settings: EngineSettings) -> None:
        self._stages = stages
        self._settings = settings

    @property
    def models(self) -> dict[str, str]:
        """Names of the models by stage."""
        return self._stages.models

    def __call__(self, request: Request, folder: Path, report: Report) -> Result:
        """Do what is asked; files go into `folder`, sealed. Raises `UserError`, and what `report` raises."""
        result = self._do(request, folder, report)
        for path in folder.iterdir():
            if path.is_file():
                vault.current().seal(path)
        return result

    def _do(self, request: Request, folder: Path, report: Report) -> Result:
        match request:
            case StoryRequest():
                return to_story(request, self._stages, self._settings, folder, report)
            case ComposeRequest():
                return to_music(request, self._stages, self._settings, folder, report)
            case EmotionRequest():
                return self._emotion(request, folder, report)
            case TextEmotionRequest():
                return self._text_emotion(request, report)

    def _emotion(self, request: EmotionRequest, folder: Path, report: Report) -> EmotionResult:
        watch = Stopwatch()
        recording = get_recording(request.source, self._settings, folder, report, watch)
        report("listen", 0.0)
        with watch("listen"):
            curve = self._stages.music_emotion.listen(recording.samples).curve
            beats = find_beats(curve, self._stages.words, self._stages.calibration)
        return EmotionResult(
            models=self._stages.names("music_emotion"),
            music=music_facts(recording),
            curve=curve_data(curve),
            beats=tuple(plain_beat(beat) for beat in beats),
            elapsed_s=watch.elapsed_s,
        )

    def _text_emotion(self, request: TextEmotionRequest, report: Report) -> TextEmotionResult:
        watch = Stopwatch()
        if request.split:
            for text in request.texts:
                check_text(text, self._settings.text)
            texts = tuple(sentence for text in request.texts for sentence in split(text))
        else:
            texts = request.texts
        worded = [text for text in texts if text.strip()]
        rows: list[Sentence] = []
        by_lexicon = False
        with watch("read"):
            for start in range(0, len(worded), CHUNK):
                report("read", start / len(worded))
                chunk = worded[start : start + CHUNK]
                scores = self._stages.text_emotion.score(chunk)
                by_lexicon |= bool(np.any(scores.by_lexicon))
                rows += scored(chunk, scores)
        rest = iter(rows)
        return TextEmotionResult(
            models=self._stages.names("text_emotion"),
            sentences=tuple(next(rest) if text.strip() else Sentence(text, None, None) for text in texts),
            elapsed_s=watch.elapsed_s,
            notes=("lexicon",) if by_lexicon else (),
        )


def load_pipeline(settings: EngineSettings) -> Pipeline:
    """Load the key and every stage that the settings name. Raises `UserError` with one sentence when one cannot."""
    vault.use(vault.load(settings.vault.key_file))
    return Pipeline(load_stages(settings), settings)
