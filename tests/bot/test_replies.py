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
