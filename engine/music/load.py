"""Loads the describer and the composer that the settings choose. The only place that knows all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.emotion.music import ASSETS, MusicEmotion
from engine.music.composer import Brief, Composer, Describer
from engine.music.describer import RulesDescriber
from engine.music.embedded import EmbeddedComposer, written
from engine.music.reading import ScoreReader, by_beat
from engine.music.steering import SteeredComposer
from engine.settings import EngineSettings

Scorer = Callable[[Sequence[str]], NDArray[np.float32]]


def load_describer(settings: EngineSettings, scorer: Scorer | None = None) -> Describer:
    """Return the describer, ready to describe. Raises `UserError` with one sentence when it cannot load.

    A `scorer` (texts → valence, arousal [n, 2 or more]) lets a T5 choose among what it writes.
    """
    if settings.stages.backend("describer") == "rules":
        return RulesDescriber()
    from engine.music.t5 import T5Describer  # transformers' model classes take a second to import

    return T5Describer.load(settings.t5, Path(settings.models.lock), scorer)


def load_composer(settings: EngineSettings, steering: Path = ASSETS / "music_steer") -> Composer:
    """Return the composer, ready to compose. Raises `UserError` with one sentence when it cannot load.

    Unless the settings ask for no sketch, the embedded composer is steered by the model in `steering`: not the
    one that reports what is heard, and trained on other labels than the judge of `tunetale evaluate composer`.
    """
    stages = settings.stages
    if stages.backend("composer") == "musicgen":
        from engine.music.musicgen import load_musicgen

        return load_musicgen(settings.musicgen, Path(settings.models.lock))
    if stages.backend("composer") == "audiocraft":
        from engine.music.audiocraft.generator import load_audiocraft  # only in the environment of its own

        return load_audiocraft(settings.musicgen, Path(settings.models.lock))
    composer = EmbeddedComposer(Path(stages.soundfont) if stages.soundfont else None)
    if stages.sketches == 0:
        return composer
    listener = MusicEmotion.load(steering)
    reader = ScoreReader.load(steering, listener.config.weights_sha256)

    def read(brief: Brief) -> NDArray[np.float64]:
        piece = written(brief)
        return by_beat(piece, brief.beats, reader.read(piece))

    return SteeredComposer(composer, read, lambda mono: listener.listen(mono).curve, stages.sketches)
