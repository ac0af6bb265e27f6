"""Which storyteller is loaded, what is said when it cannot be, and what the owner forbids."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.emotion.text import TextEmotion
from engine.errors import UserError
from engine.jobs import FileSource, StoryRequest, StoryResult
from engine.pipeline import load_pipeline
from engine.report import silent
from engine.settings import EngineSettings, LlamaSettings, ModerationSettings, ServerSettings, StageSettings
from engine.story.load import BACKENDS, load_storyteller, settings_for
from tests.fakes.tiny_llama import reciting_llama
from tests.music import write_piece


@pytest.fixture(scope="module")
def text_emotion() -> TextEmotion:
    return TextEmotion.load()


def test_every_backend_loads_by_name(text_emotion: TextEmotion, tmp_path: Path) -> None:
    settings = EngineSettings(llama=LlamaSettings(model=str(reciting_llama(tmp_path)), batching="windowed"))
    names = [load_storyteller(settings, text_emotion, backend).name for backend in BACKENDS]
    assert names == ["embedded/fragments", "transformers/reciting-llama", "openai/llama3.2"]
    assert load_storyteller(settings, text_emotion).name == names[0]
    full = EngineSettings(stages=StageSettings(profile="full"), llama=settings.llama)
    assert load_storyteller(full, text_emotion).name == names[1]


@pytest.mark.parametrize(
    ("settings", "backend", "said"),
    [
        (EngineSettings(), "transfomers", r"no storyteller 'transfomers'; did you mean transformers\?"),
        (EngineSettings(), "magic", "please choose one of embedded, transformers, openai"),
        (EngineSettings(llama=LlamaSettings(model="/nowhere")), "transformers", "There is no directory /nowhere"),
        (EngineSettings(server=ServerSettings(url="nowhere")), "openai", "is no address of a server"),
    ],
)
def test_what_cannot_load_is_one_sentence(
    settings: EngineSettings, backend: str, said: str, text_emotion: TextEmotion
) -> None:
    with pytest.raises(UserError, match=said):
        load_storyteller(settings, text_emotion, backend)


def test_settings_for_a_program_without_a_configuration() -> None:
    assert settings_for("embedded") == EngineSettings()
    assert settings_for("transformers") == EngineSettings(stages=StageSettings(storyteller="transformers"))
    assert settings_for("transformers", "/models/x").llama.model == "/models/x"
    server = settings_for("openai", "m", "http://127.0.0.1:1/v1")
    assert (server.server.model, server.server.url, server.candidates) == ("m", "http://127.0.0.1:1/v1", 4)
    assert settings_for("openai").server == ServerSettings()


def test_candidates_by_default() -> None:
    assert EngineSettings().candidates == 1
    assert EngineSettings(stages=StageSettings(storyteller="openai")).candidates == 4


def test_forbidden_words_hold_for_authored_stories_too(tmp_path: Path) -> None:
    write_piece(tmp_path / "song.flac")
    pipeline = load_pipeline(EngineSettings(moderation=ModerationSettings(en=("th*", "gore"))))
    source = FileSource(str(tmp_path / "song.flac"), "song.flac")
    with pytest.raises(UserError, match="The story came out with a word that is not allowed") as caught:
        pipeline(StoryRequest(source), tmp_path, silent)
    assert caught.value.code == "moderated"
    with pytest.raises(UserError, match="The title contains a word"):
        pipeline(StoryRequest(source, title="Gore"), tmp_path, silent)
    result = pipeline(StoryRequest(source, language="zh-TW"), tmp_path, silent)
    assert isinstance(result, StoryResult)  # the list is about what is shown, not about its twin
