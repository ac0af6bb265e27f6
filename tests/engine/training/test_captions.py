"""Which captions are kept, and what of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.errors import UserError
from engine.training.captions import read_captions, shortened

SAD = "This is a slow piano piece in a minor key. The mood is sad and lonely."


def captions_file(folder: Path, captions: Sequence[str], column: str = "caption") -> Path:
    (folder / "musiccaps").mkdir(parents=True)
    with (folder / "musiccaps/musiccaps-public.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["ytid", column])
        writer.writerows([["x", caption] for caption in captions])
    return folder


@pytest.mark.parametrize(
    ("caption", "kept"),
    [
        (SAD, SAD),
        ("this is a slow  piano piece in a minor key. The mood is sad and lonely.", SAD),
        (
            "The low quality recording features a ballad. A harp plays a slow melody. A man sings over it. "
            "It is in a major key. The atmosphere is dreamy. It could be played in a movie.",
            "A harp plays a slow melody. The atmosphere is dreamy.",
        ),
        (
            "It is played by drums. A loud and furious metal piece. The song feels angry and tense.",
            "A loud and furious metal piece. The song feels angry and tense.",
        ),
        ("They are loud drums that play fast. It feels angry and tense.", None),  # nothing to begin with
        ("The music is a slow, sad and solemn march.", "The music is a slow, sad and solemn march."),
        ("A harp plays a slow melody. There is also a bass.", None),  # says nothing of how it feels
        ("A woman sings a sad song. The mood is sad.", None),
        ("Sad mood.", None),
        (SAD.replace(".", "!"), None),
        ("", None),
    ],
)
def test_what_is_played_and_how_it_feels(caption: str, kept: str | None) -> None:
    assert shortened(caption) == kept


def test_an_endless_caption_is_left_out() -> None:
    assert shortened("A harp plays a slow melody " + "and again " * 40 + "here. The mood is sad.") is None


def test_captions_are_sorted_and_each_is_there_once(tmp_path: Path) -> None:
    harp = "A harp plays a slow melody. The atmosphere is dreamy."
    assert read_captions(captions_file(tmp_path, [SAD, harp, SAD, "A man sings."])) == [harp, SAD]


def test_missing_captions(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"musiccaps-public\.csv cannot be read"):
        read_captions(tmp_path)
    with pytest.raises(UserError, match="no column 'caption'"):
        read_captions(captions_file(tmp_path / "a", [SAD], column="words"))
    with pytest.raises(UserError, match="no caption that says how instrumental music feels"):
        read_captions(captions_file(tmp_path / "b", ["A man sings."]))
