from __future__ import annotations

import pytest

from engine.emotion.text_input import check_text, is_chinese
from engine.errors import UserError
from engine.settings import TextLimits

LIMITS = TextLimits(max_chars=100)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty_text"),
        (" \n\t\u3000", "empty_text"),
        ("🎵🎶😀", "no_words"),
        ("?! … 「」", "no_words"),
        ("12345 67", "no_words"),
        ("\u200b", "no_words"),
        ("Жили-были старик со старухой", "unknown_language"),
        ("むかしむかし、おじいさんがいました", "unknown_language"),
        ("옛날 옛적에", "unknown_language"),
        ("كان يا ما كان", "unknown_language"),
        ("He said: Жили-были старик со старухой", "unknown_language"),
    ],
)
def test_refused(text: str, code: str) -> None:
    with pytest.raises(UserError) as caught:
        check_text(text, LIMITS)
    assert caught.value.code == code
    assert caught.value.message.count(". ") == 0 and caught.value.message.endswith(".")


def test_a_long_text_is_refused_with_both_numbers() -> None:
    with pytest.raises(UserError) as caught:
        check_text("a" * 20_001, TextLimits())
    assert caught.value.code == "too_long_text"
    assert "20,001" in caught.value.message and "20,000" in caught.value.message
    check_text("a" * 20_000, TextLimits())


@pytest.mark.parametrize(
    "text",
    ["Once upon a time 🎵.", "從前從前，有一隻狐狸。", "Café Noël", "我の店很漂亮呢", "He said Привет to me", "x"],
)
def test_accepted(text: str) -> None:
    check_text(text, LIMITS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("她哭了。", True),
        ("她說 OK，然後走了。", True),
        ("He lives in 台北 with his dog.", False),
        ("Hello", False),
        ("", False),
        ("!?", False),
    ],
)
def test_is_chinese(text: str, expected: bool) -> None:
    assert is_chinese(text) is expected
