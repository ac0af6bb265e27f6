"""The describer's data sets and training, on a few captions and tales; and the T5 that comes of it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.emotion.curve import Beat
from engine.emotion.text import TextEmotion
from engine.errors import UserError
from engine.music.t5 import T5Describer, source_text, tidy
from engine.settings import T5Settings
from engine.training import describer
from engine.training.describer import Recipe, small_t5, train, train_tokenizer, write
from engine.training.describer_data import (
    EmotionWords,
    Pair,
    match_by_emotion,
    placing_writer,
    read_captions,
    split_by_group,
    standardised,
    stories_from_descriptions,
)

SAD = "A slow and sad piano melody in a minor key with soft strings."
GLAD = "A happy and lively folk tune in a major key with fast fiddles."
TINY = Recipe(epochs=60, batch=4, rate=1e-2, vocabulary=120, width=32, layers=1, heads=2, source_tokens=48)


def scorer(texts: Sequence[str]) -> NDArray[np.float32]:
    """Count glad and sad words."""
    return np.array(
        [[text.count("happy") - text.count("sad"), text.count("fast") - text.count("slow"), 0] for text in texts],
        dtype=np.float32,
    )


def captions_file(folder: Path, captions: Sequence[str], column: str = "caption") -> Path:
    (folder / "musiccaps").mkdir(parents=True)
    with (folder / "musiccaps/musiccaps-public.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["ytid", column])
        writer.writerows([["x", caption] for caption in captions])
    return folder


def test_captions_of_instrumental_music(tmp_path: Path) -> None:
    data = captions_file(
        tmp_path,
        [
            GLAD,
            SAD,
            SAD,
            "The low quality recording features a drum.",
            "A man sings sadly over a guitar.",
            "Too short.",
            SAD + " It is calm and tender. It ends softly.",
        ],
    )
    assert read_captions(data) == sorted([GLAD, SAD, SAD + " It is calm and tender."])


def test_missing_captions(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"musiccaps-public\.csv cannot be read"):
        read_captions(tmp_path)
    with pytest.raises(UserError, match="no column 'caption'"):
        read_captions(captions_file(tmp_path, [GLAD], column="words"))


def test_method_1_writes_stories_where_the_caption_is() -> None:
    asked: list[tuple[float, float]] = []

    def writer(valence: float, arousal: float, seed: int) -> str:
        asked.append((valence, arousal))
        return f"story {seed}"

    pairs = stories_from_descriptions([SAD, GLAD], scorer, writer, each=2, seed=1)
    assert [pair.description for pair in pairs] == [SAD, SAD, GLAD, GLAD]
    assert [pair.group for pair in pairs] == ["caption 0", "caption 0", "caption 1", "caption 1"]
    assert len({pair.story for pair in pairs}) == 4
    assert max(asked[:2]) < (0, 0) < min(asked[2:])
    assert pairs == stories_from_descriptions([SAD, GLAD], scorer, writer, each=2, seed=1)


def test_method_2_matches_what_feels_alike_and_shares_the_captions_out() -> None:
    sad, glad = ("it was a sad slow day " * 10).strip(), ("what a happy fast dance " * 10).strip()
    tales = [[sad, glad, "too short"], [sad, glad]] * 4
    captions = [f"{SAD} {i}" for i in range(8)] + [f"{GLAD} {i}" for i in range(8)]
    pairs = match_by_emotion(tales, captions, scorer, seed=3)
    assert len(pairs) == 16
    assert all(("sad" in pair.story) == pair.description.startswith(SAD) for pair in pairs)
    assert len({pair.description for pair in pairs}) == 16
    assert {pair.group for pair in pairs} == {f"tale {i}" for i in range(8)}


def test_nothing_to_match() -> None:
    with pytest.raises(UserError, match="no stories or no captions"):
        match_by_emotion([["too short"]], [SAD], scorer, seed=1)


def test_groups_stay_whole() -> None:
    pairs = [Pair(f"s{i}", "d", f"g{i // 3}") for i in range(30)]
    known, held = split_by_group(pairs, 0.2, seed=1)
    assert len(held) == 6 and not {p.group for p in known} & {p.group for p in held}
    assert sorted(p.story for p in [*known, *held]) == sorted(p.story for p in pairs)


def test_standardised_copes_with_a_constant() -> None:
    found = standardised(np.array([[1, 5], [3, 5]], dtype=np.float32))
    np.testing.assert_allclose(found, [[-1, 0], [1, 0]])


def test_what_the_model_reads() -> None:
    assert source_text(["sad", "sad", "calm", "sad"], " Once  upon\na time. ") == (
        "emotions: sad, calm, sad. story: Once upon a time."
    )
    assert source_text(["sad"], "從前有一個人，他很傷心。") == "emotions: sad."
    assert len(source_text(["sad"], "word " * 5_000)) < 1_300


def test_what_a_model_writes_is_tidied() -> None:
    assert tidy(" A  sad\u202e tune.\nIt ends.\x00 More words. ") == "A sad tune. It ends."
    assert len(tidy("long " * 1_000)) <= 400


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny T5 that has learned two captions by heart, saved to disk."""
    torch.set_num_threads(1)
    pairs = [Pair(f"{'A sad' if i % 2 else 'A happy'} day {i}.", SAD if i % 2 else GLAD, f"g{i}") for i in range(16)]
    words = EmotionWords(TextEmotion.load())
    tokenizer = train_tokenizer([pair.story for pair in pairs] * 2 + [SAD, GLAD] * 4, TINY.vocabulary)
    trained = train(small_t5(tokenizer, TINY), tokenizer, pairs, pairs[:4], words, TINY, say=lambda _: None)
    assert trained.history[-1][0] < 0.3 * trained.history[0][0]
    assert trained.history[-1][1] < 0.3 * trained.history[0][1]
    out = tmp_path_factory.mktemp("t5") / "describer"
    write(trained, out, 2)
    return out


def test_what_training_writes(model: Path) -> None:
    files = {path.name for path in model.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "history.json", "learning_curve.png"} <= files
    history = json.loads((model / "history.json").read_text())
    assert history["method"] == 2 and len(history["loss"]) == TINY.epochs


def test_the_trained_model_describes(model: Path) -> None:
    t5 = T5Describer.load(T5Settings(model=str(model)))
    assert t5.name == "T5 (describer)"
    words = EmotionWords(TextEmotion.load())
    for story in ("A sad day 3.", "A happy day 4."):
        description = t5.describe(words.beats(story), story, 1)
        assert len(description.split()) >= 3 and description == t5.describe(words.beats(story), story, 2)


def test_training_twice_gives_the_same_weights() -> None:
    pairs = [Pair(f"A day {i}.", SAD if i % 2 else GLAD, f"g{i}") for i in range(4)]
    words = EmotionWords(TextEmotion.load())
    recipe = Recipe(epochs=1, batch=2, vocabulary=100, width=16, layers=1, heads=2)
    tokenizer = train_tokenizer([SAD, GLAD] * 4, 100)
    one, two = (
        train(
            small_t5(tokenizer, recipe), tokenizer, pairs, pairs, words, recipe, say=lambda _: None
        ).model.state_dict()
        for _ in range(2)
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_model_that_says_nothing(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "mute")
    t5 = T5Describer.load(T5Settings(model=str(folder)))
    t5._model.lm_head.weight.data.zero_()
    t5._model.shared.weight.data.zero_()
    with pytest.raises(UserError, match="wrote no description"):
        t5.describe((Beat(0, 10, 0, 0, "calm"),), "A story.", 1)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_an_incomplete_model(model: Path, tmp_path: Path, missing: str) -> None:
    folder = shutil.copytree(model, tmp_path / "part")
    (folder / missing).unlink()
    with pytest.raises(UserError, match="The T5 describer cannot be loaded"):
        T5Describer.load(T5Settings(model=str(folder)))


def test_the_embedded_storyteller_writes_for_method_1() -> None:
    write_story = placing_writer()
    dark, bright = write_story(-0.25, 0.1, 1), write_story(0.25, 0.1, 1)
    assert dark != bright and 50 < len(dark.split()) < 200
    values = TextEmotion.load().score([dark, bright]).values
    assert values[0, 0] < values[1, 0]


def test_the_command_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"musiccaps-public\.csv"):
        describer.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
