"""Measures of descriptions, on texts whose answers are known; and the command on a small folder."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from engine.errors import UserError
from engine.evaluation import describer
from engine.evaluation.describer import (
    CHOICES,
    betrayed,
    bootstrapped,
    correlation,
    distinct2,
    held_out,
    measure,
    nearest_to_the_middle,
)
from engine.training.describer_data import Pair, Told

ANIMALS = ["badger", "falcon", "otters", "spider", "turtle", "weasel", "donkey", "parrot", "rabbit", "salmon", "walrus"]
STORIES = [f"The {animal} wandered through forests" for animal in ANIMALS]
TOLD = [Told(text, ("calm",), (0.0, 0.0), f"tale {i // 2}") for i, text in enumerate(STORIES)]
PLACES = np.random.default_rng(1).normal(size=(len(STORIES), 2))


def test_distinct2() -> None:
    assert distinct2(["a b c", "a b d"]) == pytest.approx(3 / 4)
    assert distinct2(["one"]) == 0


def test_a_description_that_names_its_story_betrays_it() -> None:
    assert betrayed(STORIES, [story.replace("wandered", "sounds") for story in STORIES], seed=1) == 1


def test_descriptions_that_are_all_alike_betray_at_chance() -> None:
    assert betrayed(STORIES, ["A calm tune with strings"] * len(STORIES), seed=1) == pytest.approx(1 / CHOICES)


def test_what_is_in_the_same_place_is_nearest() -> None:
    near = measure(TOLD, PLACES, STORIES, PLACES, seed=1)
    far = measure(TOLD, PLACES, STORIES[::-1], PLACES[::-1], seed=1)
    assert near.distance.value == 0 == near.distance.interval[1] < far.distance.interval[0]
    assert near.valence_r.value == pytest.approx(1) and far.valence_r.value < 0.9
    assert near.betrayed == 1 > far.betrayed
    assert (near.different, near.distinct2) == (1, distinct2(STORIES))


def test_intervals_come_from_whole_groups() -> None:
    values = np.array([0.0] * 20 + [1.0] * 20)

    def mean(rows: np.ndarray) -> float:
        return float(values[rows].mean())

    two = bootstrapped(mean, ["a"] * 20 + ["b"] * 20, seed=1)
    many = bootstrapped(mean, [str(i) for i in range(40)], seed=1)
    assert two.value == many.value == 0.5
    assert two.interval == (0, 1)  # a draw may be one tale twice
    assert 0.3 < many.interval[0] < 0.4 and 0.6 < many.interval[1] < 0.7


def test_nothing_correlates_with_a_constant() -> None:
    assert correlation(np.arange(3.0), np.ones(3)) == 0
    assert correlation(np.arange(3.0), -np.arange(3.0)) == pytest.approx(-1)


def test_the_answer_for_all_is_in_the_middle() -> None:
    assert nearest_to_the_middle(["left", "mid", "right"], np.array([[-1.0, 0], [0.1, 0], [1, 0]])) == "mid"


def test_each_story_is_asked_for_once() -> None:
    pairs = [Pair(story, caption) for story in TOLD for caption in ("a", "b")]
    chosen = held_out(pairs, 4, seed=1)
    assert len({pair.story for pair in chosen}) == 4 and chosen == held_out(pairs, 4, seed=1)
    assert len(held_out(pairs, 99, seed=1)) == len(TOLD)


def test_too_few_stories() -> None:
    with pytest.raises(UserError, match="2 or more"):
        describer.main(["--data", ".", "--stories", "1"])


def test_the_command_prints_rules_beside_truth_and_chance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "musiccaps").mkdir()
    (tmp_path / "stories/fairytaleqa").mkdir(parents=True)
    with (tmp_path / "musiccaps/musiccaps-public.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["caption"])
        writer.writerows(
            [
                [f"A piano plays in a minor key with strings. The mood is {mood}."]
                for mood in ("sad", "happy", "tense", "calm", "gloomy", "joyful", "lonely", "bright")
            ]
        )
    for i in range(20):
        with (tmp_path / f"stories/fairytaleqa/tale{i:02}-story.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["section", "text"])
            mood = "wept for her dead child" if i % 2 else "laughed and danced at the wedding"
            writer.writerow(["1", f"Once the {ANIMALS[i % 11]} {mood}. " * 8])
    assert describer.main(["--data", str(tmp_path), "--stories", "5"]) == 0
    printed = capsys.readouterr().out
    assert "2 held-out stories" in printed
    assert all(word in printed for word in ("truth, shuffled", "one for all", "rules", "distinct", "distance"))
