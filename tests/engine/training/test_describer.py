"""The describer's data sets and training, on a few captions and tales; and the T5 that comes of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from engine.emotion.calibration import Calibration, Scale
from engine.emotion.curve import Beat
from engine.emotion.text import TextEmotion
from engine.errors import Cancelled, UserError
from engine.music.t5 import MAX_NEW_TOKENS, T5Describer, source_text, tidy, write_captions_scale
from engine.settings import T5Settings
from engine.training import describer
from engine.training.describer import Recipe, Trained, small_t5, train, train_tokenizer, write
from engine.training.describer_data import (
    Pair,
    Reader,
    Told,
    match_by_emotion,
    placing_writer,
    read_sections,
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


def told(text: str, group: str, *words: str) -> Told:
    valence, arousal, _ = scorer([text])[0].tolist()
    return Told(text, words or ("calm",), (valence, arousal), group)


def test_method_1_writes_stories_where_the_caption_is() -> None:
    asked: list[tuple[tuple[tuple[float, float], ...], int]] = []

    def writer(targets: Sequence[tuple[float, float]], seed: int) -> str:
        asked.append((tuple(targets), seed))
        return f"It was a day. Story {len(asked)}."

    pairs = stories_from_descriptions([SAD, GLAD], Reader(scorer), writer, each=2, seed=1)
    assert [pair.description for pair in pairs] == [SAD, SAD, GLAD, GLAD]
    assert [pair.story.group for pair in pairs] == ["caption 0", "caption 0", "caption 1", "caption 1"]
    assert len({pair.story.text for pair in pairs}) == 4
    openings = [targets[0] for targets, _ in asked]
    assert openings[0] == openings[1] < openings[2] == openings[3]
    assert asked[0][1] == asked[1][1] != asked[2][1] == asked[3][1]  # so hero and setting are the same
    assert asked[0][0][1] == openings[0] != asked[1][0][1]  # and then they part
    again = stories_from_descriptions([SAD, GLAD], Reader(scorer), writer, each=2, seed=1)
    assert asked[:4] == asked[4:] and len(again) == 4


def test_method_1_keeps_equal_stories_once() -> None:
    pairs = stories_from_descriptions([SAD, GLAD], Reader(scorer), lambda *_: "It was the same day.", each=3, seed=1)
    assert [pair.description for pair in pairs] == [SAD]


def test_method_2_matches_what_feels_alike_and_shares_the_captions_out() -> None:
    sad, glad = "it was a sad slow day", "what a happy fast dance"
    stories = [told(f"{text} {i}", f"tale {i}") for i in range(8) for text in (sad, glad)]
    captions = [f"{SAD} {i}" for i in range(8)] + [f"{GLAD} {i}" for i in range(8)]
    pairs = match_by_emotion(stories, captions, scorer, each=1, seed=3)
    assert [pair.story for pair in pairs] == stories
    assert all(("sad" in pair.story.text) == pair.description.startswith(SAD) for pair in pairs)
    assert len({pair.description for pair in pairs}) == 16
    twice = match_by_emotion(stories, captions, scorer, each=2, seed=3)
    assert len(set(twice)) == 32 and {pair.story for pair in twice} == set(stories)


def test_nothing_to_match() -> None:
    with pytest.raises(UserError, match="no stories or no captions"):
        match_by_emotion([], [SAD], scorer, each=1, seed=1)


def test_sections_of_tales() -> None:
    long = "The old king sat alone in the hall and wept for his sad son. " * 5
    (one, two) = read_sections([["Too short.", long], [long]], Reader(scorer))
    assert (one.text, one.group, two.group) == (long, "tale 0", "tale 1")
    assert one.place == (-1.0, 0.0) and len(one.words) >= 3
    with pytest.raises(UserError, match="No section of the tales has 40 words"):
        read_sections([["Too short."]], Reader(scorer))


def test_the_shipped_bank_is_used_only_for_its_own_tales(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "The old king sat alone in the hall and wept for his sad son. " * 5
    ours = scorer([long] * 5)[:, :2] / 5
    monkeypatch.setattr("engine.training.describer_data.read_values", lambda: ours + 0.01)
    (found,) = read_sections([[long]], Reader(scorer))
    assert found.place == pytest.approx((-0.99, 0.01))
    monkeypatch.setattr("engine.training.describer_data.read_values", lambda: ours + 0.5)
    (found,) = read_sections([[long]], Reader(scorer))
    assert found.place == (-1.0, 0.0)


def test_groups_stay_whole() -> None:
    pairs = [Pair(told(f"s{i}", f"g{i // 3}"), "d") for i in range(30)]
    known, held = split_by_group(pairs, 0.2, seed=1)
    assert len(held) == 6 and not {p.story.group for p in known} & {p.story.group for p in held}
    assert sorted(p.story.text for p in [*known, *held]) == sorted(p.story.text for p in pairs)


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


def days(count: int) -> list[Pair]:
    moods = [("happy", GLAD), ("sad", SAD)]
    return [
        Pair(told(f"A {mood} day {i}.", f"g{i}", mood), caption)
        for i in range(count)
        for mood, caption in [moods[i % 2]]
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny T5 that has learned two captions by heart, saved to disk."""
    torch.set_num_threads(1)
    pairs = days(16)
    tokenizer = train_tokenizer([pair.story.text for pair in pairs] * 2 + [SAD, GLAD] * 4, TINY.vocabulary, 48)
    out = tmp_path_factory.mktemp("t5") / "describer"
    seen: list[Trained] = []

    def keep(trained: Trained) -> None:
        seen.append(trained)
        if len(seen) in (1, TINY.epochs):
            write(trained, out, 2)

    train(small_t5(tokenizer, TINY), tokenizer, pairs, pairs[:4], TINY, keep, say=lambda _: None)
    history = seen[-1].history
    assert len(seen) == len(history) == TINY.epochs
    assert history[-1][0] < 0.3 * history[0][0] and history[-1][1] < 0.3 * history[0][1]
    return out


def test_what_training_writes(model: Path) -> None:
    files = {path.name for path in model.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "history.json", "learning_curve.png"} <= files
    history = json.loads((model / "history.json").read_text())
    assert history["method"] == 2 and len(history["loss"]) == TINY.epochs


def test_weights_are_halved_and_written_once(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert "lm_head.weight" not in weights  # it is the embedding
    assert T5Describer.load(T5Settings(model=str(model)))._model.dtype == torch.float32


def test_a_worse_epoch_does_not_replace_the_weights(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "kept")
    before = (folder / "model.safetensors").read_bytes()
    loaded = T5Describer.load(T5Settings(model=str(folder)))
    write(Trained(loaded._model, loaded._tokenizer, ((1.0, 0.5), (0.9, 0.6))), folder, 2)
    assert json.loads((folder / "history.json").read_text())["loss"][-1] == [0.9, 0.6]
    assert (folder / "model.safetensors").read_bytes() == before


SAD_BEATS = (Beat(0, 20, -0.3, -0.3, "sad"), Beat(20, 60, -0.3, -0.3, "sad"))
GLAD_BEATS = (Beat(0, 60, 0.3, 0.3, "happy"),)


def test_the_trained_model_describes(model: Path) -> None:
    t5 = T5Describer.load(T5Settings(model=str(model)))
    assert t5.name == "T5 (describer)"
    for beats, story in ((SAD_BEATS, "A sad day 3."), (GLAD_BEATS, "A happy day 4.")):
        description = t5.describe(beats, story, 1)
        assert len(description.split()) >= 3 and description == t5.describe(beats, story, 2)


def test_of_several_the_nearest_is_taken(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "scaled")
    write_captions_scale(folder, Scale((0.0, 0.0), (0.5, 0.5)))
    asked: list[list[str]] = []

    def counted(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.append(list(texts))
        return scorer(texts)

    t5, music = T5Describer.load(T5Settings(model=str(folder)), scorer=counted), Calibration.load().music
    for beats, sign in ((SAD_BEATS, -1), (GLAD_BEATS, 1)):
        description = t5.describe(beats, "A day.", 1)
        wanted = (np.array([sign * 0.3] * 2) - music.mean) / music.sd
        apart = np.hypot(*(scorer(asked[-1])[:, :2] / 0.5 - wanted).T)
        assert description == asked[-1][int(apart.argmin())]
        assert description == t5.describe(beats, "A day.", 1)
    assert len({text for texts in asked for text in texts}) > 2  # it writes different ones
    t5.describe(SAD_BEATS, "A day.", 7)
    assert asked[-1] != asked[0]  # and others by another seed


def test_without_a_scale_or_a_scorer_there_is_nothing_to_choose_by(model: Path) -> None:
    assert T5Describer.load(T5Settings(model=str(model)), scorer=scorer)._chooser is None


@pytest.mark.parametrize("content", ["{}", "no json", '{"mean": [0, 0], "sd": [0, 1]}', '{"mean": [0], "sd": [1, 1]}'])
def test_a_damaged_scale(model: Path, tmp_path: Path, content: str) -> None:
    folder = shutil.copytree(model, tmp_path / "damaged")
    (folder / "captions.json").write_text(content)
    with pytest.raises(UserError, match=r"The T5 describer cannot be loaded.*captions\.json is damaged"):
        T5Describer.load(T5Settings(model=str(folder)), scorer=scorer)


@pytest.mark.parametrize("chooses", [False, True])
def test_it_tells_how_far_it_is_and_can_be_cancelled(model: Path, tmp_path: Path, chooses: bool) -> None:
    folder = shutil.copytree(model, tmp_path / "watched")
    if chooses:
        write_captions_scale(folder, Scale((0.0, 0.0), (0.5, 0.5)))
    t5 = T5Describer.load(T5Settings(model=str(folder)), scorer=scorer)
    heard: list[tuple[str, float]] = []

    def stop_at_three(stage: str, fraction: float) -> None:
        heard.append((stage, fraction))
        if len(heard) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        t5.describe(SAD_BEATS, "A sad day.", 1, stop_at_three)
    assert heard == [("describe", i / MAX_NEW_TOKENS) for i in (1, 2, 3)]
    assert t5.describe(SAD_BEATS, "A sad day.", 1)  # the lock is free again


def test_what_is_read_is_as_long_as_in_training(model: Path) -> None:
    t5 = T5Describer.load(T5Settings(model=str(model)))
    assert t5._tokenizer.model_max_length == 48
    long = "A sad day 3. " * 200
    assert t5.describe(SAD_BEATS, long, 1) == t5.describe(SAD_BEATS, long[:600], 1)


def test_training_twice_gives_the_same_weights() -> None:
    recipe = Recipe(epochs=1, batch=2, vocabulary=100, width=16, layers=1, heads=2)
    tokenizer = train_tokenizer([SAD, GLAD] * 4, 100)
    found = []
    for _ in range(2):
        t5 = small_t5(tokenizer, recipe)
        train(t5, tokenizer, days(4), days(4), recipe, lambda _: None, say=lambda _: None)
        found.append({name: value.clone() for name, value in t5.state_dict().items()})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


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


def test_damaged_weights(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "damaged")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="The T5 describer cannot be loaded"):
        T5Describer.load(T5Settings(model=str(folder)))


def test_the_embedded_storyteller_writes_for_method_1() -> None:
    write_story = placing_writer()
    dark, bright = write_story([(-0.25, 0.1)] * 3, 1), write_story([(0.25, 0.1)] * 3, 1)
    assert dark != bright and 50 < len(dark.split()) < 200
    values = TextEmotion.load().score([dark, bright]).values
    assert values[0, 0] < values[1, 0]


def test_the_command_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"musiccaps-public\.csv"):
        describer.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
