"""The settings choose describer and composer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.errors import UserError
from engine.music.describer import RulesDescriber
from engine.music.embedded import EmbeddedComposer
from engine.music.load import load_composer, load_describer
from engine.music.steering import SteeredComposer
from engine.music.windowed import WindowedComposer
from engine.settings import EngineSettings, MusicgenSettings, StageSettings, T5Settings
from engine.tiny.musicgen import save_tiny_musicgen


def settings(**stages: Any) -> EngineSettings:
    return EngineSettings(stages=StageSettings(**stages))


def test_the_defaults() -> None:
    assert isinstance(load_describer(settings()), RulesDescriber)
    composer = load_composer(settings())
    assert isinstance(composer, SteeredComposer) and composer.name == EmbeddedComposer().name


def test_no_sketch_means_no_steering() -> None:
    assert isinstance(load_composer(settings(sketches=0)), EmbeddedComposer)


def test_musicgen_by_name_and_by_profile(tmp_path: Path) -> None:
    model = MusicgenSettings(model=str(save_tiny_musicgen(tmp_path / "tiny")), device="cpu")
    for chosen in (settings(composer="musicgen"), settings(profile="full")):
        composer = load_composer(replace(chosen, musicgen=model))
        assert isinstance(composer, WindowedComposer) and composer.name == "MusicGen (tiny)"
        composer.close()


def test_a_chosen_backend_that_is_not_there_is_said(tmp_path: Path) -> None:
    empty = str(tmp_path)
    with pytest.raises(UserError, match="MusicGen cannot be loaded"):
        load_composer(replace(settings(composer="musicgen"), musicgen=MusicgenSettings(model=empty)))
    with pytest.raises(UserError, match="The T5 describer cannot be loaded"):
        load_describer(replace(settings(describer="t5"), t5=T5Settings(model=empty)))
    with pytest.raises(UserError, match="SoundFont"):
        load_composer(settings(soundfont=str(tmp_path / "none.sf2")))


def test_t5_without_a_name() -> None:
    with pytest.raises(UserError, match="No model is named"):
        load_describer(settings(describer="t5"))
