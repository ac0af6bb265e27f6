"""Teaching a reader of scores: what it learns from, that it learns, and the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.emotion.music import ASSETS, MusicEmotion
from engine.errors import UserError
from engine.music.impressions import NAMES
from engine.music.orchestra import STYLES, choose_style
from engine.music.reading import ScoreReader
from engine.training import score_reader
from engine.training.score_reader import REACH, Sections, briefs, fit


def test_briefs_are_of_every_style_and_all_over_the_plane() -> None:
    made = list(briefs(60, 1))
    assert made == list(briefs(60, 1)) and made != list(briefs(60, 2))
    assert {choose_style([(0, 0)], b.seed, b.description).name for b in made} == set(STYLES)
    assert len({brief.seed for brief in made}) == 60
    points = np.array([[beat.valence, beat.arousal] for brief in made for beat in brief.beats])
    assert np.abs(points).max() < REACH and (points.min(axis=0) < -0.8).all() and (points.max(axis=0) > 0.8).all()
    assert all(brief.beats[-1].end_s == brief.seconds for brief in made)


def test_a_reader_learns_what_depends_on_the_score() -> None:
    rng = np.random.default_rng(1)
    read = rng.normal(size=(600, len(NAMES)))
    heard = np.stack([0.3 * np.tanh(read[:, 3] - read[:, 7]), 0.2 * read[:, 1]], axis=1)
    known = Sections(read[:500], heard[:500], np.arange(500))
    first, second = (ScoreReader(*fit(known, 1, "ear")) for _ in range(2))
    told = first.tell(read[500:])
    np.testing.assert_array_equal(told, second.tell(read[500:]))
    for axis in (0, 1):
        assert np.corrcoef(told[:, axis], heard[500:, axis])[0, 1] > 0.8


def test_a_column_that_never_changes_says_nothing() -> None:
    rng = np.random.default_rng(1)
    read = rng.normal(size=(100, len(NAMES)))
    read[:, 5] = 2.0
    config, _ = fit(Sections(read, rng.normal(size=(100, 2)), np.arange(100)), 1, "ear")
    assert config.scale[5] == 1.0 and config.mean[5] == pytest.approx(2.0)


def test_the_command_writes_a_reader_of_its_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steer = ASSETS / "music_steer"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_reader, "BEATS_S", (6.0, 6.0))
        assert score_reader.main(["--pieces", "10", "--out", str(tmp_path / "new")]) == 0
    printed = capsys.readouterr().out
    assert "valence: r" in printed and "a constant's" in printed and "of pieces held out, seed 1" in printed
    ScoreReader.load(tmp_path / "new", MusicEmotion.load(steer).config.weights_sha256)


def test_too_few_pieces() -> None:
    with pytest.raises(UserError, match="--pieces must be 10 at least"):
        score_reader.main(["--pieces", "3"])
