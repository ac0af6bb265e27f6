"""Both directions on real input through the real queue and a real worker, and the contract of their results."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import av
import numpy as np
import pretty_midi
import pytest
from PIL import Image

from engine.jobs import (
    ComposeRequest,
    ComposeResult,
    EmotionRequest,
    EmotionResult,
    FileSource,
    Language,
    StoryRequest,
    StoryResult,
    TextEmotionRequest,
    TextEmotionResult,
)
from tests.e2e.conftest import Engine
from tests.music import write_piece

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXAMPLE = FileSource(str(Path(__file__).parents[2] / "examples" / "three-moods.ogg"), "three-moods.ogg")
TALE = (
    "The little boat left the harbour on a quiet morning. Then the storm came, black and screaming, and the mast "
    "broke. All night they were terrified. At dawn the sea lay calm, and they laughed and hugged each other with joy."
)
TALE_ZH = (
    "清晨的海面十分平靜，小船慢慢離開港口。忽然暴風雨來了，大家又害怕又絕望。天亮時，陽光照在海上，他們開心地笑了。"
)


@pytest.mark.parametrize("language", ["en", "zh-TW"])
async def test_music_becomes_a_story(engine: Engine, music: FileSource, tmp_path: Path, language: Language) -> None:
    answer = await engine.ask(StoryRequest(music, language=language), tmp_path)
    result = answer.result
    assert isinstance(result, StoryResult), answer
    assert result.language == language
    assert len(result.story.paragraphs) == len(result.beats) >= 3
    assert [beat.paragraph for beat in result.beats] == list(range(len(result.beats)))
    assert result.beats[0].start_s == 0.0
    assert result.beats[-1].end_s == pytest.approx(result.music.duration_s, abs=0.51)
    for before, after in zip(result.beats, result.beats[1:], strict=False):
        assert before.end_s == after.start_s
    assert len(result.curve.valence) == len(result.curve.arousal) == pytest.approx(2 * result.music.duration_s, abs=1)
    assert np.abs([result.curve.valence, result.curve.arousal]).max() <= 1
    assert 0 <= result.alignment.better_than_shuffled <= 1
    chinese = sum("\u4e00" <= char <= "\u9fff" for char in "".join(result.story.paragraphs))
    assert (chinese > 100) == (language == "zh-TW")
    files = result.files
    assert files.story and files.card and files.readalong and files.json
    assert Path(files.story).read_text(encoding="utf-8").split("\n\n")[0].strip() == result.story.title
    with Image.open(files.card) as card:
        assert card.size == (1200, 675)
    assert Path(files.readalong).read_text(encoding="utf-8").startswith("WEBVTT")
    assert len(result.card_alt) > 80


async def test_a_story_becomes_music(engine: Engine, tmp_path: Path) -> None:
    answer = await engine.ask(ComposeRequest(TALE, seconds=20), tmp_path)
    result = answer.result
    assert isinstance(result, ComposeResult), answer
    assert [sentence.text for sentence in result.story.sentences] == re.split(r"(?<=\.) ", TALE)
    storm, joy = result.story.sentences[1], result.story.sentences[3]
    assert storm.valence is not None and joy.valence is not None
    assert storm.valence < joy.valence
    assert result.beats[-1].end_s == pytest.approx(20)
    assert result.files.audio and result.files.midi and result.files.card
    with av.open(result.files.audio) as audio:
        assert audio.streams.audio[0].codec_context.name in ("opus", "libopus")
        assert audio.duration is not None
        assert 20 <= audio.duration / av.time_base <= 24
        assert "TuneTale" in str(audio.metadata | audio.streams.audio[0].metadata)
    assert len(pretty_midi.PrettyMIDI(result.files.midi).instruments) >= 2
    assert len(result.description) > 30


async def test_a_chinese_story_becomes_music_and_says_that_it_was_read_by_the_weaker_path(
    engine: Engine, tmp_path: Path
) -> None:
    request = ComposeRequest(TALE_ZH, seconds=10, format="mp3", max_bytes=150_000)
    answer = await engine.ask(request, tmp_path)
    assert isinstance(answer.result, ComposeResult), answer
    assert len(answer.result.story.sentences) == 3
    assert answer.result.notes == ("lexicon", "bit_rate")  # 10 s at the best bit rate would be 240 kB
    assert answer.result.files.audio and answer.result.files.audio.endswith("music.mp3")
    assert 100_000 < Path(answer.result.files.audio).stat().st_size <= 150_000


async def test_the_emotion_of_music(engine: Engine, tmp_path: Path) -> None:
    """The example is tender for its first third, and a dance in its last."""
    result = (await engine.ask(EmotionRequest(EXAMPLE), tmp_path)).result
    assert isinstance(result, EmotionResult)
    third = len(result.curve.arousal) // 3
    assert np.mean(result.curve.arousal[-third:]) > np.mean(result.curve.arousal[:third]) + 0.2
    assert result.beats[-1].arousal > result.beats[0].arousal
    assert result.music.title == "Three moods"
    assert list(tmp_path.iterdir()) == []


async def test_a_livelier_second_half_is_heard(engine: Engine, tmp_path: Path) -> None:
    """Over a minute; in half that time the model's 20 s of context outweigh the change (see its card)."""
    path = write_piece(tmp_path / "two halves.flac", 60)
    result = (await engine.ask(EmotionRequest(FileSource(str(path), path.name)), tmp_path)).result
    assert isinstance(result, EmotionResult)
    half = len(result.curve.arousal) // 2
    assert np.mean(result.curve.arousal[half:]) > np.mean(result.curve.arousal[:half]) + 0.1


async def test_the_emotion_of_text(engine: Engine, tmp_path: Path) -> None:
    split = (await engine.ask(TextEmotionRequest((TALE,)), tmp_path)).result
    assert isinstance(split, TextEmotionResult)
    assert len(split.sentences) == 4
    lines = (await engine.ask(TextEmotionRequest((TALE, "", '.."'), split=False), tmp_path)).result
    assert isinstance(lines, TextEmotionResult)
    assert [row.valence is None for row in lines.sentences] == [False, True, False]


def strip(document: str) -> object:
    """Return a result without what may differ between two runs: where the files lie and how long it took."""
    values = json.loads(document)
    return {key: value for key, value in values.items() if key not in ("files", "elapsed_s")}


async def test_same_input_same_bytes_alone_and_beside_eight_others(
    engine: Engine, music: FileSource, tmp_path: Path
) -> None:
    story, compose = StoryRequest(music, seed=5), ComposeRequest(TALE, seconds=12, seed=5)
    await engine.ask(story, tmp_path / "a")
    await engine.ask(compose, tmp_path / "b")
    others = [
        engine.ask(StoryRequest(music, seed=i) if i % 2 else ComposeRequest(TALE, 10, i), tmp_path / f"other{i}")
        for i in range(8)
    ]
    busy = [engine.ask(story, tmp_path / "a2"), engine.ask(compose, tmp_path / "b2")]
    await asyncio.gather(*others[:4], *busy, *others[4:])
    for name in ("story.txt", "card.png", "readalong.vtt"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "a2" / name).read_bytes(), name
    for name in ("music.mid", "music.ogg", "card.png"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "b2" / name).read_bytes(), name
    for folder in ("a", "b"):
        alone = (tmp_path / folder / "result.json").read_text()
        beside = (tmp_path / f"{folder}2" / "result.json").read_text()
        assert strip(alone) == strip(beside)


async def test_another_seed_another_story(engine: Engine, music: FileSource, tmp_path: Path) -> None:
    one, two = [(await engine.ask(StoryRequest(music, seed=seed), tmp_path / str(seed))).result for seed in (1, 2)]
    assert isinstance(one, StoryResult) and isinstance(two, StoryResult)
    assert one.beats[0].word == two.beats[0].word
    assert one.story.paragraphs != two.story.paragraphs


STORY_CONTRACT = {
    "": {"kind", "schema", "version", "language", "seed", "models", "elapsed_s"},
    "music": {"title", "duration_s", "sha256"},
    "curve": {"rate_hz", "start_s", "valence", "arousal"},
    "beats": {"start_s", "end_s", "valence", "arousal", "word", "paragraph", "story_valence", "story_arousal"},
    "story": {"title", "paragraphs"},
    "alignment": {"distance", "valence_r", "arousal_r", "better_than_shuffled"},
    "files": {"story", "card", "readalong", "json"},
}
MUSIC_CONTRACT = {
    "": {"kind", "schema", "version", "seed", "models", "description", "elapsed_s"},
    "story": {"sentences"},
    "curve": STORY_CONTRACT["curve"],
    "beats": {"start_s", "end_s", "valence", "arousal", "word", "heard_valence", "heard_arousal"},
    "alignment": STORY_CONTRACT["alignment"],
    "files": {"audio", "midi", "card", "json"},
}
"""The fields that programs rely on (added to, never renamed), by the part of the document."""


async def test_the_result_files_keep_the_contract(engine: Engine, music: FileSource, tmp_path: Path) -> None:
    for request, contract in ((StoryRequest(music), STORY_CONTRACT), (ComposeRequest(TALE, 10.0), MUSIC_CONTRACT)):
        folder = tmp_path / request.kind
        await engine.ask(request, folder)
        document = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        for part, keys in contract.items():
            value = document[part] if part else document
            assert (value[0] if isinstance(value, list) else value).keys() >= keys, part
        assert document["schema"] == 1
        assert all(Path(path).is_absolute() and Path(path).exists() for path in document["files"].values())
