from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.story.library import MaterialError, load_library
from engine.story.scores import load_scores, make_scores, neutral_texts, read_scores, trusted
from tests.engine.story.tiny import FRAME, write_tiny


def by_length(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.array([(len(text) / 100, -len(text) / 200, 0.0) for text in texts], dtype=np.float32)


def test_scores_are_made_from_filled_texts_and_read_back(tmp_path: Path) -> None:
    library = load_library(write_tiny(tmp_path))
    texts = neutral_texts(library)
    assert "Anna went to the Pond with Mark." in texts
    assert not any("{" in text for text in texts)
    make_scores(library, by_length, "length", tmp_path / "scores.json")
    read = read_scores(library.fragments, tmp_path / "scores.json")
    assert np.allclose(read, by_length(texts)[:, :2], atol=1e-4)
    assert [path.name for path in tmp_path.glob("scores*")] == ["scores.json"], "no half-written file is left"


def test_a_changed_text_has_no_score(tmp_path: Path) -> None:
    library = load_library(write_tiny(tmp_path))
    make_scores(library, by_length, "length", tmp_path / "scores.json")
    changed = load_library(write_tiny(tmp_path, frame=FRAME.replace("sadly", "gladly")))
    with pytest.raises(MaterialError, match=r"1 fragment\(s\) have no score, the first is 'frames/pond.toml end 2'"):
        load_scores(changed.fragments, tmp_path / "scores.json")


def test_a_changed_translation_keeps_its_score(tmp_path: Path) -> None:
    library = load_library(write_tiny(tmp_path))
    make_scores(library, by_length, "length", tmp_path / "scores.json")
    changed = load_library(write_tiny(tmp_path, frame=FRAME.replace("難過地", "默默地")))
    assert len(load_scores(changed.fragments, tmp_path / "scores.json")) == len(changed.fragments)


@pytest.mark.parametrize("content", ["", "{}", "[1", '{"scores"'])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    library = load_library(write_tiny(tmp_path))
    path = tmp_path / "scores.json"
    path.write_text(content)
    with pytest.raises(MaterialError, match=r"cannot be read from .*scores\.json"):
        load_scores(library.fragments, path)


def test_trust_is_shared_on_the_models_scale() -> None:
    tags = np.array([[-1.0, -0.5], [0.0, 0.0], [1.0, 0.5]])
    read = np.array([[0.2, 0.1], [0.0, 0.0], [0.1, 0.4]])
    mixed = trusted(read, tags)
    assert np.allclose(mixed.mean(axis=0), read.mean(axis=0)), "the scale is the model's"
    assert mixed[0, 0] < read[0, 0] - 0.05, "a line that was meant to be sad is not taken for a happy one"
    assert np.allclose(trusted(tags, tags), tags)
