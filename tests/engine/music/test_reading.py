"""A reader of scores: what it says, where it lies, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.emotion.beatwise import hear_by_beat
from engine.emotion.curve import Beat
from engine.emotion.music import ASSETS, MusicEmotion
from engine.errors import UserError
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music.composer import Brief
from engine.music.embedded import EmbeddedComposer, write
from engine.music.impressions import NAMES
from engine.music.reading import CONFIG_FILE, WEIGHTS_FILE, ReaderConfig, ScoreReader, by_beat, reader_net, save_reader
from engine.report import silent

EAR = "of this ear"


def config(**changes: object) -> ReaderConfig:
    whole = ReaderConfig(NAMES, (0.0,) * len(NAMES), (1.0,) * len(NAMES), (0.1, -0.1), (0.3, 0.2), EAR)
    return replace(whole, **changes)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save_reader(tmp_path, config(), reader_net())
    return tmp_path


def test_what_is_saved_reads_the_same(folder: Path) -> None:
    first, second = ScoreReader.load(folder, EAR), ScoreReader.load(folder, EAR)
    piece = write(Brief("", (Beat(0, 12, 0.3, 0.4, "x"), Beat(12, 24, -0.4, 0.1, "y")), 24.0, 1), silent)
    said = first.read(piece)
    assert said.shape == (2, 2) and np.isfinite(said).all() and not np.array_equal(said[0], said[1])
    np.testing.assert_array_equal(said, second.read(piece))
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]


def test_nothing_is_said_beyond_what_was_learned(folder: Path) -> None:
    reader = ScoreReader.load(folder, EAR)
    far, further = np.full((1, len(NAMES)), 50.0), np.full((1, len(NAMES)), 5e6)
    np.testing.assert_array_equal(reader.tell(far), reader.tell(further))


def test_short_beats_share_what_is_said_of_their_section() -> None:
    beats = (Beat(0, 10, 0.3, 0.3, "a"), Beat(10, 11, 0.4, 0.3, "b"), Beat(11, 20, -0.5, -0.5, "c"))
    piece = write(Brief("", beats, 20.0, 1), silent)
    assert len(piece.form.sections) == 2
    said = by_beat(piece, beats, np.array([[1.0, 1.0], [2.0, 2.0]]))
    assert said[:, 0].tolist() == [1, 1, 2]


def test_files_that_cannot_be_used_are_refused_in_one_sentence(folder: Path) -> None:
    with pytest.raises(UserError, match="learned from another music model; run `tunetale train score-reader"):
        ScoreReader.load(folder, "another ear")
    whole = (folder / CONFIG_FILE).read_text()
    for change in ({"format": 99}, {"names": ["tempo"]}):
        (folder / CONFIG_FILE).write_text(json.dumps(json.loads(whole) | change))
        with pytest.raises(UserError, match="another music model"):
            ScoreReader.load(folder, EAR)
    (folder / CONFIG_FILE).write_text("{")
    with pytest.raises(UserError, match="is damaged; run"):
        ScoreReader.load(folder, EAR)
    (folder / CONFIG_FILE).write_text(whole)
    (folder / WEIGHTS_FILE).write_bytes((folder / WEIGHTS_FILE).read_bytes()[:-4])
    with pytest.raises(UserError, match="is damaged; run"):
        ScoreReader.load(folder, EAR)
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(UserError, match="cannot be read; run"):
        ScoreReader.load(folder, EAR)


def test_the_shipped_reader_says_what_its_model_hears() -> None:
    """Beats all over the plane, in pieces that it has not learned from: what is read goes with what is heard."""
    model = MusicEmotion.load(ASSETS / "music_steer")
    reader = ScoreReader.load(ASSETS / "music_steer", model.config.weights_sha256)
    composer = EmbeddedComposer()
    read, heard = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        beats = tuple(
            Beat(10.0 * i, 10.0 * (i + 1), float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-0.8, 0.8)), "x")
            for i in range(4)
        )
        brief = Brief("", beats, 40.0, 9_000 + seed)
        read.append(reader.read(write(brief, silent)))
        curve = hear_by_beat(composer.sketch(brief, ANALYSIS_RATE_HZ), beats, lambda part: model.listen(part).curve)
        heard.append([curve.mean_between(beat.start_s, beat.end_s) for beat in beats])
    for axis in (0, 1):
        assert np.corrcoef(np.concatenate(read)[:, axis], np.concatenate(heard)[:, axis])[0, 1] > 0.7
