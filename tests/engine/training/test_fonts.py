from pathlib import Path

import pytest

from engine.drawing.typography import clean
from engine.errors import UserError
from engine.training.fonts import big5, characters, main


def test_big5_is_whole() -> None:
    points = big5()
    assert len([point for point in points if 0x4E00 <= point <= 0x9FFF]) > 13_000
    assert {ord(character) for character in "一龘濾、。"} <= points


def test_names_are_kept() -> None:
    assert {ord(character) for character in "堃碁"} <= characters() - big5()


def test_the_shipped_font_has_what_the_script_keeps() -> None:
    drawn = [chr(point) for point in sorted(characters()) if chr(point).isalnum()]
    missing = [character for character in drawn if clean(character) == "□"]
    assert len(missing) < 30, missing


def test_a_source_that_is_no_font_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        main(["--source", str(tmp_path / "none.ttc"), "--out", str(tmp_path)])
