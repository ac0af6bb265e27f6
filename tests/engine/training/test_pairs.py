"""Pairs of music and story, made by the embedded engine from short sounds and curves, and the file that they go to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.emotion.calibration import Calibration
from engine.errors import UserError
from engine.training import pairs
from engine.training.pair_rows import PairFile, PairRow, Run, read_rows
from engine.training.pairs import read_curve_table
from tests.engine.emotion.sounds import MINOR, RATE_HZ, chords


def curve_table(path: Path, *pieces: str, seconds: int = 20) -> Path:
    rows = ["piece,time_s,valence,arousal"]
    for k, piece in enumerate(pieces):
        for i in range(2 * seconds):
            rows.append(f"{piece},{i / 2},{0.3 * np.sin(i / 9 + k):.4f},{0.2 * np.cos(i / 7):.4f}")
    path.write_text("\n".join(rows) + "\n")
    return path


def make(*arguments: object, words: int = 90) -> int:
    return pairs.main([str(argument) for argument in (*arguments, "--words", words)])


def test_the_best_of_several_stories_for_each_piece(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, out = curve_table(tmp_path / "c.csv", "rise", "fall"), tmp_path / "made" / "pairs.jsonl"
    assert make("--curves", table, "--out", out, "--stories", 4, "--keep", 2) == 0
    rows = read_rows(out)
    assert [(row.piece.name, row.rank, row.kept, row.stories) for row in rows] == [
        ("rise", 0, 2, 4),
        ("rise", 1, 2, 4),
        ("fall", 0, 2, 4),
        ("fall", 1, 2, 4),
    ]
    for best, second in (rows[:2], rows[2:]):
        assert best.alignment.distance <= second.alignment.distance
        assert best.alignment.distance < best.mean_distance == second.mean_distance
        assert best.story != second.story and best.rating is None
        assert len(best.story.paragraphs) == len(best.beats) and best.curve.rate_hz == 2.0
        assert best.models["storyteller"] == "embedded/fragments" and best.models["music_emotion"] == "c.csv"
    assert json.loads(out.read_text().splitlines()[0])["schema"] == 1
    said = capsys.readouterr()
    assert "1/2 rise: best of 4 at distance" in said.err and "4 pairs of 2 pieces: mean distance" in said.out


def test_distance_is_that_of_the_shown_numbers_in_chinese_too(tmp_path: Path) -> None:
    out, table = tmp_path / "pairs.jsonl", curve_table(tmp_path / "c.csv", "rise")
    make("--curves", table, "--out", out, "--stories", 2, "--language", "zh-TW", words=200)
    (row,) = read_rows(out)
    apart = [np.hypot(b.valence - b.story_valence, b.arousal - b.story_arousal) for b in row.beats]
    assert row.alignment.distance == pytest.approx(np.mean(apart), abs=1e-3)
    assert row.language == "zh-TW" and any("\u4e00" <= char <= "\u9fff" for char in row.story.title)


def test_it_goes_on_where_it_was_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, out = curve_table(tmp_path / "c.csv", "a", "b"), tmp_path / "pairs.jsonl"
    asked = ("--curves", table, "--out", out, "--stories", 3, "--keep", 2)
    make(*asked)
    whole, rows = out.read_bytes(), read_rows(out)
    lines = whole.splitlines(keepends=True)
    a, b = rows[0].piece.sha256, rows[2].piece.sha256
    for cut, done in (
        (b"", set()),
        (lines[0][:40], set()),
        (lines[0], set()),
        (b"".join(lines[:2]), {a}),
        (b"".join(lines[:3]) + lines[3][:50], {a}),
        (whole, {a, b}),
    ):
        out.write_bytes(cut)
        assert PairFile(out, rows[0].run).done == done
        assert out.read_bytes() == b"".join(lines[: 2 * len(done)])
    out.write_bytes(b"".join(lines[:3]))
    capsys.readouterr()
    assert make(*asked) == 0
    assert out.read_bytes() == whole and capsys.readouterr().err.count("is in the file") == 1
    with pytest.raises(UserError, match=r"asked for otherwise \(stories 3, seed None\)"):
        make("--curves", table, "--out", out, "--stories", 4, "--keep", 2, "--seed", 1)
    assert out.read_bytes() == whole


def test_audio_is_heard_and_what_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "music"
    folder.mkdir()
    soundfile.write(folder / "a sad one.wav", chords(MINOR, seconds=8.0), RATE_HZ)
    (folder / "b.mp3").write_text("no music")
    out = tmp_path / "pairs.jsonl"
    assert make("--audio", folder, "--out", out, "--stories", 2) == 2
    (row,) = read_rows(out)
    assert row.piece.name == "a sad one.wav" and row.piece.duration_s == pytest.approx(8, abs=0.6)
    assert len(row.piece.sha256) == 64 and row.seed == int(row.piece.sha256[:8], 16)
    told = capsys.readouterr().err
    assert "b.mp3: " in told and "a sad one.wav: best of 2" in told
    assert make("--audio", folder, "--out", out, "--stories", 2) == 2
    assert "a sad one.wav: is in the file" in capsys.readouterr().err and len(read_rows(out)) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("time_s,valence\n0,1\n", "no column 'arousal'"),
        ("time_s,valence,arousal\n0,x,0\n", "Line 2 of .* is not three numbers"),
        ("time_s,valence,arousal\n0,0\n", "Line 2 of .* is not three numbers"),
        ("time_s,valence,arousal\n0,nan,0\n", r"Line 2 of .* is outside \[-1, 1\]"),
        ("time_s,valence,arousal\n0,1.5,0\n", r"Line 2 of .* is outside \[-1, 1\]"),
        ("time_s,valence,arousal\n0,0,0\n1,0,0\n", r"times of 'c' in .* are not 0\.5 s apart"),
        ("time_s,valence,arousal\n", "holds no curve"),
        ("\xff", "no column 'time_s'"),
    ],
)
def test_a_table_that_is_none(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "c.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        read_curve_table(tmp_path / "c.csv")


def test_a_table_of_one_piece_is_what_tunetale_emotion_prints(tmp_path: Path) -> None:
    (tmp_path / "song.csv").write_text("time_s,valence,arousal\n15.0,0.1,0.2\n15.5,0.1,0.3\n")
    (piece,) = read_curve_table(tmp_path / "song.csv")
    assert piece.name == "song" and piece.curve is not None and piece.curve.start_s == 15
    with pytest.raises(UserError, match="cannot be read"):
        read_curve_table(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("--stories", 0), "--stories can be 1 to 16, not 0"),
        (("--stories", 4, "--keep", 5), "--keep can be 1 to the 4"),
        (("--words", 5), "--words can be 80 to 600"),
        (("--stories", "many"), "invalid int value"),
        (("--audio", "folder"), "not allowed with"),
    ],
)
def test_one_sentence_for_what_cannot_be(tmp_path: Path, wrong: tuple[object, ...], message: str) -> None:
    asked = ["--curves", curve_table(tmp_path / "c.csv", "a"), "--out", tmp_path / "o.jsonl", *wrong]
    with pytest.raises(UserError, match=message):
        pairs.main([str(argument) for argument in asked])
    assert not (tmp_path / "o.jsonl").exists()


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no audio file"):
        make("--audio", tmp_path, "--out", tmp_path / "o.jsonl")


RUN = Run("teller", 2, 1, "en", None, None, False)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("dear diary\n")
    with pytest.raises(UserError, match=r"Line 1 of .*notes\.txt is no pair"):
        PairFile(tmp_path / "notes.txt", RUN)
    assert (tmp_path / "notes.txt").read_text() == "dear diary\n"
    with pytest.raises(UserError, match="cannot be read"):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match=r"cannot be (read|written)"):
        PairFile(tmp_path, RUN)


def test_a_full_disk_leaves_whole_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "pairs.jsonl"
    make("--curves", curve_table(tmp_path / "c.csv", "a"), "--out", out, "--stories", 1)
    (row,) = read_rows(out)
    file = PairFile(out, row.run)
    before = out.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        file.add([row])
    assert out.read_bytes() == before


def test_the_calibrated_targets_are_the_pieces_own(tmp_path: Path) -> None:
    """A glad curve gets gladder stories than a sad one."""
    calibration = Calibration.load()
    rows = ["piece,time_s,valence,arousal"]
    for name, sign in (("glad", 1), ("sad", -1)):
        valence = calibration.music.mean[0] + sign * 1.5 * calibration.music.sd[0]
        rows += [f"{name},{i / 2},{valence},0" for i in range(40)]
    (tmp_path / "c.csv").write_text("\n".join(rows))
    make("--curves", tmp_path / "c.csv", "--out", tmp_path / "o.jsonl", "--stories", 2)

    def mean(row: PairRow) -> float:
        return float(np.mean([beat.story_valence for beat in row.beats]))

    glad, sad = read_rows(tmp_path / "o.jsonl")
    assert mean(glad) > mean(sad) + 0.1
