from __future__ import annotations

import re

import pytest

from engine.music.describer import RulesDescriber, tempo_name
from engine.music.orchestra import INSTRUMENTS, cast, choose_style
from tests.engine.music.briefs import ARC, brief

HAPPY, SAD = ((0.7, 0.6),), ((-0.6, -0.6),)


def describe(points: tuple[tuple[float, float], ...], seed: int = 1) -> str:
    return RulesDescriber().describe(brief(points).beats, "Once there was a dog.", seed)


@pytest.mark.parametrize("points", [ARC, HAPPY, SAD, ARC * 3])
@pytest.mark.parametrize("seed", range(6))
def test_one_or_two_sentences_as_in_a_caption(points: tuple[tuple[float, float], ...], seed: int) -> None:
    text = describe(points, seed)
    sentences = re.findall(r"[A-Z][^.]*\.", text)
    assert 1 <= len(sentences) <= 2
    assert "".join(sentences).replace(".", "") == text.replace(". ", "").replace(".", "")
    assert 80 < len(text) < 420
    assert any(name in text for name in INSTRUMENTS)


@pytest.mark.parametrize("seed", range(20))
def test_the_composer_finds_the_style_again(seed: int) -> None:
    points = [(beat.valence, beat.arousal) for beat in brief().beats]
    style = choose_style(points, seed)
    text = describe(ARC, seed)
    assert choose_style(points, seed + 1, text) == style
    assert cast(style, seed).lead[3].name in text


def test_feeling_shows() -> None:
    assert "major" in describe(HAPPY) and re.search(
        "joyful|exhilarating|festive|happy|cheerful|bright", describe(HAPPY)
    )
    assert "minor" in describe(SAD) and re.search("melancholic|lonely|mournful|sad|gloomy|wistful", describe(SAD))
    assert "fast" in describe(HAPPY) and "slow" in describe(SAD)
    assert "percussion" in describe(HAPPY) and "percussion" not in describe(SAD)


def test_course_is_told_in_order() -> None:
    text = describe(ARC)
    places = [
        re.search(f"({words})", text.split(". ")[1])
        for words in (
            "warm|hopeful|tender",
            "melancholic|lonely|mournful|sad|gloomy|wistful",
            "tense|threatening|furious",
        )
    ]
    starts = [place.start() for place in places if place]
    assert len(starts) == 3
    assert starts == sorted(starts)
    assert "builds to" in text
    assert "stays" in describe(SAD)


def test_same_input_same_words_and_seeds_differ() -> None:
    assert describe(ARC, 4) == describe(ARC, 4)
    assert len({describe(ARC, seed) for seed in range(12)}) >= 8


def test_articles() -> None:
    for seed in range(30):
        assert not re.search(r"\b[Aa] [aeiou]", describe(((0.6, 0.6), (0.0, 0.75)), seed))


def test_tempo_names_ascend() -> None:
    assert [tempo_name(bpm) for bpm in (50, 70, 100, 120, 160)] == [
        "very slow",
        "slow",
        "moderate",
        "fast",
        "very fast",
    ]
