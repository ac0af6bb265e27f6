"""Which backend does which stage, loaded. The only place that knows all backends; knows no job and no queue."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from engine.emotion.alignment import StoryBank
from engine.emotion.calibration import Calibration
from engine.emotion.music import MusicEmotion
from engine.emotion.text import TextEmotion
from engine.emotion.words import Words
from engine.music.composer import Composer, Describer
from engine.music.load import load_composer, load_describer
from engine.settings import EngineSettings
from engine.story.load import load_storyteller
from engine.story.storyteller import Storyteller


@dataclass(frozen=True)
class Stages:
    """Every model and table that a job may need; all of them are safe to use from several threads."""

    music_emotion: MusicEmotion
    text_emotion: TextEmotion
    storyteller: Storyteller
    describer: Describer
    composer: Composer
    words: Words
    calibration: Calibration
    bank: StoryBank

    def names(self, *stages: str) -> dict[str, str]:
        """Return {stage: name of its model} for the given stages."""
        return {stage: getattr(self, stage).name for stage in stages}

    @property
    def models(self) -> dict[str, str]:
        """Return the names of all models."""
        return self.names("music_emotion", "text_emotion", "storyteller", "describer", "composer")


def load_stages(settings: EngineSettings) -> Stages:
    """Load what the settings name. Raises `UserError` with one sentence when a chosen backend cannot load."""
    torch.set_num_threads(settings.worker.threads)
    text_emotion = TextEmotion.load()
    return Stages(
        music_emotion=MusicEmotion.load(),
        text_emotion=text_emotion,
        storyteller=load_storyteller(settings, text_emotion),
        describer=load_describer(settings, lambda texts: text_emotion.score(texts).values),
        composer=load_composer(settings),
        words=Words.load(),
        calibration=Calibration.load(),
        bank=StoryBank.load(),
    )
