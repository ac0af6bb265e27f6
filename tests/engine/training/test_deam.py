"""The paper's experiment on a small synthetic data set in DEAM's layout, and the table of the 74 descriptors."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.emotion.music import MusicEmotion
from engine.errors import UserError
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.training import deam, deam_songs
from engine.training.__main__ import main as train_command
from tests.engine.emotion.sounds import chords

SECONDS = 18


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty songs and one of the hard set: what is loud and fast is arousing. Ratings begin at 15 s."""
    made = tmp_path_factory.mktemp("deam")
    (made / "audio").mkdir()
    layout = made / "annotations/annotations averaged per song/dynamic (per second annotations)"
    layout.mkdir(parents=True)
    ids = [*range(2, 22), 2001]
    times = [15_000 + 500 * i for i in range(5)]
    tables = {axis: [["song_id", *(f"sample_{t}ms" for t in times)]] for axis in deam.AXES}
    for song in ids:
        excited = song % 2
        sound = chords(seconds=SECONDS, per_second=5.0 if excited else 1.0, level=0.2 if excited else 0.03)
        soundfile.write(made / f"audio/{song}.wav", sound, ANALYSIS_RATE_HZ)
        for axis, sign in zip(deam.AXES, (-0.3, 0.5), strict=True):
            value = sign * (1 if excited else -1)
            tables[axis].append([str(song), *(f"{value + 0.01 * i}" for i in range(4)), ""])
    for axis, rows in tables.items():
        with (layout / f"{axis}.csv").open("w", newline="") as out:
            csv.writer(out).writerows(rows)
    return made


def _run(folder: Path, out: Path, *more: str) -> int:
    data = ["--audio", str(folder / "audio"), "--annotations", str(folder / "annotations")]
    return train_command(["music-emotion", "--dataset", "deam", *data, "--out", str(out), *more])


def test_the_papers_experiment_from_end_to_end(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(folder, tmp_path, "--epochs", "25") == 0
    printed = capsys.readouterr().out
    for what in ("development", "test", "full songs", "constant", "within songs r", "The paper"):
        assert what in printed, what
    assert (tmp_path / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    model = MusicEmotion.load(tmp_path)
    excited = model.listen(chords(seconds=SECONDS, per_second=5.0, level=0.2)).curve.values.mean(axis=0)
    calm = model.listen(chords(seconds=SECONDS, per_second=1.0, level=0.03)).curve.values.mean(axis=0)
    assert excited[1] > calm[1] + 0.3
    assert excited[0] < calm[0]


def test_ratings_lie_on_the_rows_of_their_time(folder: Path) -> None:
    songs = deam.read(folder / "audio", folder / "annotations", lambda done: None)
    assert [song.id for song in songs] == [*range(2, 22), 2001]
    assert np.flatnonzero(songs[0].rated).tolist() == [30, 31, 32, 33]  # the fifth is empty
    assert songs[0].ratings[33] == pytest.approx([0.33, -0.47])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda d: (d / "audio/5.wav").unlink(), "no recording of song 5"),
        (lambda d: (d / "audio/5.wav").write_bytes(b"RIFF"), "cannot be decoded"),
        (lambda d: next(d.rglob("valence.csv")).unlink(), "has no valence.csv"),
        (lambda d: next(d.rglob("valence.csv")).write_text("id,sample_15000ms\n1,0\n"), "no columns song_id"),
        (lambda d: next(d.rglob("valence.csv")).write_text("song_id,sample_now\n1,0\n"), "names no time"),
        (lambda d: next(d.rglob("valence.csv")).write_text("song_id,sample_15000ms\n2,x\n"), "is not as expected"),
        (lambda d: next(d.rglob("valence.csv")).write_text("song_id,sample_15000ms\n2,0\n"), "needs 10 or more"),
    ],
)
def test_spoiled_folders_are_one_sentence(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], object], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for song in (*range(7, 22), 2001):  # what is not needed to fail
        (copy / f"audio/{song}.wav").unlink()
    spoil(copy)
    assert _run(copy, tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_folders_that_are_not_named_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert train_command(["music-emotion", "--dataset", "deam"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """120 songs whose first two descriptors make valence and arousal, and 10 of the hard set."""
    rng = np.random.default_rng(5)
    names = [f"feature_{i}" for i in range(74)]
    features, ratings = [], ["song_id,valence_mean,arousal_mean"]
    for song in [*range(1, 121), *range(2001, 2011)]:
        values = rng.normal(size=74)
        valence, arousal = 5 + np.tanh(values[:2]) * 3
        features.append([f"{song}.0", *values, valence, 1.0, arousal, 1.0])
        ratings.append(f"{song},{valence},{arousal}")
    with (tmp_path / "song_features_74.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["track_id", *names, "valence_mean", "valence_std", "arousal_mean", "arousal_std"])
        writer.writerows(features)
    (tmp_path / "static.csv").write_text("\n".join(ratings))
    return tmp_path


def test_descriptors_are_read_without_the_labels_beside_them(tables: Path) -> None:
    songs = deam_songs.read(tables)
    assert songs.features.shape == (130, 74)
    assert songs.ratings == pytest.approx(np.tanh(songs.features[:, :2]) * 0.75)


def test_the_split_is_frozen(tables: Path) -> None:
    ids = deam_songs.read(tables).ids
    parts = deam_songs.split(ids)
    assert [len(p) for p in (parts.train, parts.dev, parts.test, parts.hard)] == [84, 18, 18, 10]
    assert sorted(np.concatenate([parts.train, parts.dev, parts.test, parts.hard])) == list(range(130))
    assert (ids[parts.hard] > deam_songs.HARD_SET_ABOVE).all()
    turned = ids[::-1]
    assert set(turned[deam_songs.split(turned).test]) == set(ids[parts.test])


def test_every_part_is_scored_beside_its_constant(tables: Path) -> None:
    table = deam_songs.evaluate(deam_songs.read(tables))
    assert {part for part, _ in table} == {"dev", "test", "full songs"}
    assert table[("test", "valence")].r > 0.4
    assert table[("test", "valence")].mae < table[("test", "valence")].constant_mae


def test_every_song_is_asked_once_by_a_model_that_has_not_seen_it(tables: Path) -> None:
    told: list[float] = []
    (scores,) = deam_songs.cross_validated(deam_songs.read(tables), [1], told.append)
    assert {axis: s.n for axis, s in scores.items()} == {"valence": 120, "arousal": 120}  # not the ten full songs
    assert 0.2 < scores["valence"].r2 < 1
    assert scores["arousal"].mae < scores["arousal"].constant_mae
    assert told == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("static.csv", "arousal_mean", "mood", "has no column 'arousal_mean'"),
        ("song_features_74.csv", "track_id", "song", "has no column 'track_id'"),
        ("song_features_74.csv", "feature_3,", "valence_x,", "has 73 descriptors instead of 74"),
        ("static.csv", "\n7,", "\n7000,", "is not as expected"),
    ],
)
def test_spoiled_tables_are_one_sentence(tables: Path, name: str, old: str, new: str, sentence: str) -> None:
    path = tables / name
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=sentence):
        deam_songs.read(tables)
