"""Sentences on the card and in replies."""

from __future__ import annotations

from typing import get_args

import pytest

from engine.jobs import Alignment, Language
from engine.wording import alignment_sentence, made_sentence

LANGUAGES: tuple[Language, ...] = get_args(Language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_alignment_is_one_sentence_with_its_numbers(language: Language) -> None:
    sentence = alignment_sentence(Alignment(0.214, None, None, 0.934, "reader"), language)
    assert "0.21" in sentence
    assert "93 %" in sentence
    assert "{" not in sentence
    for share in (0.996, 1.0):
        assert "99 %" in alignment_sentence(Alignment(0.1, None, None, share, "reader"), language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_models_and_seed_are_named(language: Language) -> None:
    sentence = made_sentence(["bilstm-1", "planner-1"], 42, language)
    assert all(part in sentence for part in ("bilstm-1", "planner-1", "42"))
