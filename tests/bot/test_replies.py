"""The catalogues speak both languages completely."""

from __future__ import annotations

import string
from typing import get_args

import pytest

from bot.replies import catalogue, say
from engine.jobs import Language
from engine.report import STAGES

LANGUAGES: tuple[Language, ...] = get_args(Language)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_all_languages_have_the_same_keys_and_slots() -> None:
    english = catalogue("en")
    for language in LANGUAGES:
        other = catalogue(language)
        assert {(s, k): fields(v) for s in other for k, v in other[s].items()} == {
            (s, k): fields(v) for s in english for k, v in english[s].items()
        }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_stage_has_a_phrase(language: Language) -> None:
    for stage in STAGES:
        assert say(language, f"stage.{stage}")


def test_an_unknown_sentence_is_an_error() -> None:
    with pytest.raises(KeyError):
        say("en", "result.nonsense")


def test_chinese_is_chinese() -> None:
    for section in catalogue("zh-TW").values():
        for text in section.values():
            assert any("\u4e00" <= char <= "\u9fff" for char in text), text


@pytest.mark.parametrize(
    ("count", "words"), [(1, "1 answer; people"), (0, "0 answers; people"), (2, "2 answers; people")]
)
def test_what_is_counted_agrees_with_its_number(count: int, words: str) -> None:
    assert say("en", "stats.export", answers=count).startswith(words)
    assert str(count) in say("zh-TW", "stats.export", answers=count)


def test_only_a_count_can_name_what_it_counts() -> None:
    assert say("en", "vote.thanks", score=5, count=1).count("1") == 1
    with pytest.raises(ValueError, match="Invalid format specifier"):
        say("en", "stats.export", answers="many")
