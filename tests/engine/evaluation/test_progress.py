"""The picture of a listening test: what is drawn, what it says, what it does not take."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from engine.errors import UserError
from engine.evaluation.figures import HEIGHT, WIDTH
from engine.evaluation.progress import Campaign, alt, draw, draw_people, draw_votes, main
from engine.jobs import Language

SPRING = Campaign("spring", 30, 7, 4, 12, {str(pair): 2 + pair % 3 for pair in range(1, 25)})


@pytest.mark.parametrize("language", ["en", "zh-TW"])
@pytest.mark.parametrize("pairs", [0, 1, 24, 500])
def test_every_size_is_drawn_in_words_too(tmp_path: Path, language: Language, pairs: int) -> None:
    found = Campaign("春 & <b>", 30, 7, 4, 12, dict.fromkeys(map(str, range(pairs)), 3))
    drawn = draw(tmp_path / "new" / "campaign.png", found, language)
    assert Image.open(BytesIO(drawn.path.read_bytes())).size == (WIDTH, HEIGHT)
    assert "春 & <b>" in drawn.alt and 20 < len(drawn.alt) < 1024
    assert [path.name for path in drawn.path.parent.iterdir()] == ["campaign.png"]


def test_bars_are_the_numbers() -> None:
    people, votes = Figure().subplots(1, 2)
    draw_people(people, SPRING, "en")
    draw_votes(votes, SPRING, "en")
    assert [bar.get_width() for bar in people.patches] == [30, 7, 4]
    assert [bar.get_height() for bar in votes.patches] == list(SPRING.votes.values())
    assert votes.get_lines()[0].get_ydata() == [15.0, 15.0]  # 30 people x 12 ratings over 24 pairs
    assert "4 of 30 people are done, 7 have begun. 24 pairs have 2 to 4 votes each; the goal is 15." in alt(
        SPRING, "en"
    )


def test_the_program_prints_path_and_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = tmp_path / "counts.json"
    counts.write_text(json.dumps({**vars(SPRING)}))
    assert main([str(counts), str(tmp_path / "spring.png"), "--language", "zh-TW"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"path": str(tmp_path / "spring.png"), "alt": alt(SPRING, "zh-TW")}


def test_what_cannot_be_read_or_written(tmp_path: Path) -> None:
    counts = tmp_path / "counts.json"
    counts.write_text('{"name": "spring"}')
    for path in (counts, tmp_path / "none.json"):
        with pytest.raises(UserError, match="does not say"):
            main([str(path), str(tmp_path / "a.png")])
    with pytest.raises(UserError, match="cannot be written"):
        draw(counts / "a.png", SPRING, "en")
