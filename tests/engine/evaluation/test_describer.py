"""Measures of descriptions, on texts whose answers are known; and the command on a small folder."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.evaluation import describer
from engine.evaluation.describer import CHOICES, betrayed, distinct2, measure

ANIMALS = ["badger", "falcon", "otters", "spider", "turtle", "weasel", "donkey", "parrot", "rabbit", "salmon", "walrus"]
STORIES = [f"The {animal} wandered through forests" for animal in ANIMALS]


def scorer(texts: Sequence[str]) -> NDArray[np.float32]:
    """Place a text by two of its letters."""
    return np.array([[ord(text[5]), ord(text[4]), 0] for text in texts], dtype=np.float32)


def test_distinct2() -> None:
    assert distinct2(["a b c", "a b d"]) == pytest.approx(3 / 4)
    assert distinct2(["one"]) == 0


def test_a_description_that_names_its_story_betrays_it() -> None:
    assert betrayed(STORIES, [story.replace("wandered", "sounds") for story in STORIES], seed=1) == 1


def test_descriptions_that_are_all_alike_betray_at_chance() -> None:
    assert betrayed(STORIES, ["A calm tune with strings"] * len(STORIES), seed=1) == pytest.approx(1 / CHOICES)


def test_the_truth_is_nearest() -> None:
    near = measure(STORIES, STORIES, STORIES, scorer, seed=1)
    far = measure(STORIES, STORIES[::-1], STORIES, scorer, seed=1)
    assert near.distance < 1e-5 < far.distance
    assert near.betrayed == 1 > far.betrayed


def test_the_command_prints_rules_beside_truth_and_chance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "musiccaps").mkdir()
    (tmp_path / "stories/fairytaleqa").mkdir(parents=True)
    with (tmp_path / "musiccaps/musiccaps-public.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["caption"])
        writer.writerows(
            [
                [f"A {mood} piano tune in a minor key with strings."]
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
    assert all(word in printed for word in ("truth, shuffled", "rules", "distinct-2", "VA distance"))
