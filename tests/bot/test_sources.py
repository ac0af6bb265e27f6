"""What a command line names, and where each answer goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.console.sources import Place, check_file, check_writable, expand, places, stem_of
from engine.errors import UserError
from engine.jobs import FileSource, LinkSource


def test_a_folder_stands_for_its_audio_files_in_order(tmp_path: Path) -> None:
    for name in ("b.mp3", "a.OGG", "notes.txt", "c.wav"):
        (tmp_path / name).touch()
    assert expand([str(tmp_path), "x.mp3"]) == [
        str(tmp_path / "a.OGG"),
        str(tmp_path / "b.mp3"),
        str(tmp_path / "c.wav"),
        "x.mp3",
    ]


def test_a_folder_without_audio_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no audio files") as caught:
        expand([str(tmp_path)])
    assert caught.value.code == "is_directory"


def test_one_answer_goes_into_out_itself(tmp_path: Path) -> None:
    assert places(["a.mp3"], tmp_path) == [Place(tmp_path, None)]
    assert places(["a.mp3"], tmp_path)[0].resolve(7) == tmp_path


def test_several_answers_get_numbered_folders(tmp_path: Path) -> None:
    found = places(["x/a.mp3", "y/b c.ogg"], tmp_path)
    assert [place.folder for place in found] == [tmp_path / "01-a", tmp_path / "02-b-c"]
    assert places([f"{i}.mp3" for i in range(100)], tmp_path)[0].folder == tmp_path / "001-0"


def test_without_out_the_seed_names_the_folder() -> None:
    place = places(["x/a.mp3"], None)[0]
    assert place.resolve(42) == Path.cwd() / "tunetale-out" / "a-42"


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        ("/x/My Song (live).mp3", "My-Song--live"),
        ("https://example.org/watch/abc?v=1", "abc"),
        ("/x/夜曲.flac", "夜曲"),
        ("/x/....", "untitled"),
        ("a/../../etc/passwd", "passwd"),
        ("x" * 300 + ".mp3", "x" * 60),
    ],
)
def test_stems_are_safe_names(source: str, stem: str) -> None:
    assert stem_of(source) == stem


def test_a_missing_file_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no file"):
        check_file(FileSource(str(tmp_path / "none.mp3"), "none.mp3"))
    check_file(LinkSource("https://example.org/a.mp3"))
    check_file(FileSource(str(tmp_path), "folder"))


def test_out_is_made_and_tried(tmp_path: Path) -> None:
    check_writable(tmp_path / "deep" / "er")
    assert (tmp_path / "deep" / "er").is_dir()
    assert list((tmp_path / "deep" / "er").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="please choose another --out"):
        check_writable(tmp_path / "file" / "sub")
