from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.emotion.calibration import Calibration
from engine.errors import UserError
from engine.evaluation.near_duplicates import near_duplicates
from engine.evaluation.pieces import hear_folder, prompt_for, random_piece, read_curves
from engine.evaluation.prose import length_error, measure_prose
from engine.evaluation.storyteller import BANK, Judge, Told, measure_fit, tell_all
from engine.report import Report
from engine.settings import EngineSettings
from engine.story.embedded import EmbeddedStoryteller
from engine.story.storyteller import Prompt, Story

CALIBRATION = Calibration.load()
PIECES = [random_piece(seed, CALIBRATION) for seed in range(6)]


class Echo:
    """Writes each beat's target into its paragraph, so that a judge can read it back."""

    name = "echo"

    def tell(self, prompt: Prompt, report: Report) -> tuple[Story, ...]:
        return (Story(f"Piece {prompt.seed}", tuple(f"{v} {a}" for v, a in prompt.targets), "en"),)


def read_back(texts: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[float(number) for number in text.split()] for text in texts])


def read_stretched(texts: Sequence[str]) -> NDArray[np.float64]:
    return read_back(texts) * 3 + 1


def read_reversed(texts: Sequence[str]) -> NDArray[np.float64]:
    return -read_back(texts)


def test_a_perfect_story_gets_perfect_marks_from_any_affine_judge(tmp_path: Path) -> None:
    told = tell_all(Echo(), PIECES, CALIBRATION, "en", 100)
    with np.load(BANK) as data:
        np.savez(tmp_path / "stretched.npz", values=data["values"] * 3 + 1, offsets=data["offsets"])
    own = Judge("own", read_back, independent=False, bank=BANK)
    for judge in (own, Judge("other", read_stretched, independent=True, bank=tmp_path / "stretched.npz")):
        fit = measure_fit(told, judge, read_back, CALIBRATION)
        assert fit.beats == sum(len(piece.beats) for piece in PIECES)
        assert fit.valence_r == pytest.approx(1.0)
        assert fit.arousal_r == pytest.approx(1.0)
        assert fit.distance < 1e-3
        assert fit.better_than_shuffled == 1.0
    wrong = measure_fit(told, Judge("wrong", read_reversed, independent=False, bank=BANK), read_back, CALIBRATION)
    assert wrong.valence_r == pytest.approx(-1.0)
    assert wrong.better_than_shuffled < 0.6


def test_stories_keep_the_length_and_the_seed_is_the_number() -> None:
    told = tell_all(EmbeddedStoryteller.load(), PIECES[:3], CALIBRATION, "en", 200)
    assert all(abs(length_error(one.story, 200)) < 0.12 for one in told)
    assert all(isinstance(one, Told) and one.seconds > 0 for one in told)
    assert prompt_for(PIECES[0], CALIBRATION, "en", 200, 7).seed == 7


def test_prose_counts_what_a_reader_would_notice() -> None:
    one = Story("A", ("The dog came home late. It was wet.", "The dog came home late. Yes!"), "en")
    two = Story("A", ("The dog came home late. A cat looked on.",), "en")
    prose = measure_prose([one, two])
    assert prose.commonest == "The dog came home late."
    assert prose.commonest_share == 1.0
    assert prose.repeats_inside == 1
    assert prose.titles_share == 0.5
    assert 0 < prose.distinct2_overall < prose.distinct2_within <= 1


def test_near_duplicates_are_found_in_both_languages() -> None:
    texts = [
        "He put the old brown bottle on the kitchen table and left.",
        "She put the old brown bottle on the kitchen table and sat down.",
        "Nothing of the sort was seen again.",
        "他把舊舊的褐色瓶子放在廚房的桌上",
        "她把舊舊的褐色瓶子放在廚房的椅子上",
    ]
    assert [pair[:2] for pair in near_duplicates(texts)] == [(0, 1), (3, 4)]


def test_curves_are_read_and_bad_files_named(tmp_path: Path) -> None:
    curve = {"rate_hz": 2.0, "start_s": 0.0, "valence": [0.1] * 40 + [0.5] * 40, "arousal": [-0.3] * 40 + [0.4] * 40}
    file = tmp_path / "curves.jsonl"
    lines = [{"kind": "emotion", "music": {"title": "One"}, "curve": curve}, {"kind": "error"}]
    file.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    (piece,) = read_curves(file, CALIBRATION)
    assert piece.name == "One"
    assert piece.beats[-1].end_s == 40.0
    assert piece.beats[0].valence < piece.beats[-1].valence
    file.write_text('{"kind": "error"}', encoding="utf-8")
    with pytest.raises(UserError, match="holds no curve of music"):
        read_curves(file, CALIBRATION)
    file.write_text("not json", encoding="utf-8")
    with pytest.raises(UserError, match="does not hold one result"):
        read_curves(file, CALIBRATION)
    with pytest.raises(UserError, match="no audio file"):
        list(hear_folder(tmp_path, CALIBRATION, EngineSettings()))
