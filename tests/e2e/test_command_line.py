"""`tunetale` as people and programs use it: what is printed where, and the exit codes."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.__main__ import main
from tests.e2e.test_directions import TALE
from tests.music import write_piece


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


class Terminal:
    """Runs `tunetale` in an empty folder."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capture = capture

    def run(self, *arguments: str) -> Outcome:
        self._capture.readouterr()
        code = main(arguments)
        captured = self._capture.readouterr()
        return Outcome(code, captured.out, captured.err)

    def refuses(self, *arguments: str) -> str:
        """Return the one sentence with which the command refuses."""
        outcome = self.run(*arguments)
        assert outcome.code == 2, outcome
        assert outcome.out == ""
        (sentence,) = outcome.err.strip().splitlines()
        assert sentence.endswith((".", "`")), sentence
        return sentence


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    return Terminal(tmp_path, capsys)


def test_several_sources_one_document_each_in_order(terminal: Terminal) -> None:
    folder = terminal.folder / "songs"
    folder.mkdir()
    write_piece(folder / "b.wav", 12)
    write_piece(folder / "a.wav", 12)
    (terminal.folder / "letter.mp3").write_text("Dear friend")
    outcome = terminal.run("story", "letter.mp3", "songs", "none.mp3", "--json", "--out", "answers", "--words", "80")
    assert outcome.code == 2
    documents = [json.loads(line) for line in outcome.out.splitlines()]
    assert [document["kind"] for document in documents] == ["error", "story", "story", "error"]
    assert [document.get("code") for document in documents] == ["not_audio", None, None, "missing_file"]
    assert [document["music"]["title"] for document in documents[1:3]] == ["a", "b"]
    assert sorted(path.name for path in (terminal.folder / "answers").iterdir()) == ["02-a", "03-b"]
    assert len(outcome.err.strip().splitlines()) == 2


def test_a_story_for_people(terminal: Terminal) -> None:
    write_piece(terminal.folder / "song.flac", 12)
    outcome = terminal.run("story", "song.flac", "--seed", "3", "--title", "The Lamp")
    assert outcome.code == 0, outcome
    assert "The Lamp" in outcome.out
    assert "Seed 3" in outcome.out
    assert (terminal.folder / "tunetale-out" / "song-3" / "story.txt").read_text().startswith("The Lamp\n")
    assert outcome.err == ""


def test_emotion_of_music_as_csv(terminal: Terminal) -> None:
    write_piece(terminal.folder / "song.ogg", 10)
    outcome = terminal.run("emotion", "song.ogg", "--csv")
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert list(rows[0]) == ["time_s", "valence", "arousal"]
    assert [row["time_s"] for row in rows[:3]] == ["0", "0.5", "1"]
    assert len(rows) == pytest.approx(20, abs=1)


def test_emotion_of_lines_keeps_a_row_for_every_line(terminal: Terminal) -> None:
    (terminal.folder / "lines.txt").write_text(f'{TALE}\n\n..."\nI hate this.\n')
    outcome = terminal.run("emotion", "--text-file", "lines.txt", "--lines", "--csv")
    assert outcome.code == 0, outcome
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert list(rows[0]) == ["line", "valence", "arousal", "dominance"]
    assert [row["line"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["valence"] == "" for row in rows] == [False, True, False, False]
    assert float(rows[3]["valence"]) < float(rows[0]["valence"])


def test_emotion_of_text_as_json(terminal: Terminal) -> None:
    outcome = terminal.run("emotion", "--text", TALE, "--json")
    document = json.loads(outcome.out)
    assert document["kind"] == "emotion"
    assert len(document["sentences"]) == 4
    assert document["sentences"][0].keys() >= {"text", "valence", "arousal", "dominance"}


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["story", "none.mp3"], "There is no file"),
        (["story", "empty"], "no audio files"),
        (["story", "ftp://x/a.mp3"], "not supported"),
        (["story", "song.mp3", "--language", "fr"], "'fr' is not known"),
        (["story", "song.mp3", "--words", "few"], "invalid int value"),
        (["story", "song.mp3", "--out", "song.mp3/x"], "cannot be written to"),
        (["story"], "required: SOURCE"),
        (["compose", ""], "empty"),
        (["compose", "🎵🎵🎵"], "word"),
        (["compose", "a " * 10_001], "20,000"),
        (["compose", "A storm.", "--seconds", "0"], "10 to 600"),
        (["compose", "A storm.", "--seconds", "10000"], "10 to 600"),
        (["compose", "A storm.", "--format", "midi"], "ogg, mp3, wav, flac"),
        (["compose", "--file", "none.txt"], "There is no file"),
        (["compose", "--file", "song.mp3"], "not a UTF-8 text file"),
        (["compose", "A storm.", "--out", "/proc/x"], "cannot be written to"),
        (["compose"], "Please give the story"),
        (["emotion"], "Please give either"),
        (["emotion", "--text", "x", "song.mp3"], "Please give either"),
        (["run"], "No chat platform"),
        (["nonsense"], "invalid choice"),
        (["doctor", "--config", "none.toml"], "no configuration file"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence(terminal: Terminal, arguments: list[str], part: str) -> None:
    (terminal.folder / "song.mp3").write_bytes(b"\xff\xfb\x90\x00 not utf-8 \xff")
    (terminal.folder / "empty").mkdir()
    assert part in terminal.refuses(*arguments)


def test_a_bad_configuration_lists_every_mistake(terminal: Terminal) -> None:
    (terminal.folder / "config.toml").write_text("[engine.media]\nmax_secnds = 3\nlinks = 7\n")
    outcome = terminal.run("compose", "A storm.")
    assert outcome.code == 2
    assert "config.toml has 2 mistakes" in outcome.err
    assert "did you mean engine.media.max_seconds?" in outcome.err


def test_a_foreign_file_is_no_store_and_stays_as_it_is(terminal: Terminal) -> None:
    (terminal.folder / "notes.sqlite").write_text("my notes, not a database, long enough to be read as a header. " * 20)
    before = (terminal.folder / "notes.sqlite").read_bytes()
    assert "notes.sqlite" in terminal.refuses("compose", "A storm.", "--store", "notes.sqlite")
    assert (terminal.folder / "notes.sqlite").read_bytes() == before


def test_the_doctor_finds_this_installation_well(terminal: Terminal) -> None:
    outcome = terminal.run("doctor")
    assert outcome.code == 0, outcome
    assert "music to story works" in outcome.out
    assert "story to music works" in outcome.out
    assert "wrong" not in outcome.out


def test_a_round_trip_gives_both_results_and_the_drift(terminal: Terminal) -> None:
    source = write_piece(terminal.folder / "song.wav", 12)
    outcome = terminal.run("story", str(source), "--then-compose", "--out", "trip", "--json")
    assert outcome.code == 0, outcome
    document = json.loads(outcome.out)
    assert (document["kind"], document["then"]["kind"]) == ("story", "music")
    assert [hop["distance"] for hop in document["hops"]] == [
        document["alignment"]["distance"],
        document["then"]["alignment"]["distance"],
    ]
    assert Path(document["then"]["files"]["audio"]).is_relative_to(terminal.folder / "trip" / "then-music")
    outcome = terminal.run("compose", TALE, "--seconds", "12", "--then-story", "--out", "back")
    assert outcome.code == 0, outcome
    assert "From story to music: " in outcome.out
    assert "From music to story: " in outcome.out
    assert (terminal.folder / "back" / "then-story" / "story.txt").read_text()
