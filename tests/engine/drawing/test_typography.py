import pytest

from engine.drawing import typography
from engine.drawing.typography import clean, cut, cut_to, fit, width, wrap
from engine.emotion.words import Words


def test_every_emotion_word_can_be_drawn_in_chinese() -> None:
    words = Words.load()
    for word in words.nearest((0, 0), 151):
        text = words.translate(word.term, "zh-TW")
        assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("月光與海", "月光與海"),
        ("龘、犇、堃、喆", "龘、犇、堃、喆"),
        ("Café “Größe” · 3", "Café “Größe” · 3"),
        ("two\nlines\t here ", "two lines here"),
        ("Привет, שלום, مرحبا", "Привет, שלום, مرحبا"),
        ("a\u202eb\u200d\ufe0fc", "abc"),
        ("the train…", "the train..."),
        ("火車……", "火車……"),
        ("rocket 🚀!", "rocket □!"),
        ("👩\u200d👩\u200d👧", "□□□"),
        ("e\u0301", "é"),
        ("\ud800x", "x"),
        ("", ""),
    ],
)
def test_titles_become_something_that_can_be_drawn(text: str, drawn: str) -> None:
    assert clean(text) == drawn


def test_chinese_characters_are_square() -> None:
    assert width("月光與海", 40) == pytest.approx(160, abs=2)
    assert width("", 40) == 0


def test_a_text_that_fits_is_left_alone() -> None:
    assert fit("short", 500, 40, 30) == ("short", 40)


def test_a_longer_text_becomes_smaller_and_then_is_cut() -> None:
    text = "a title of some length"
    room = width(text, 40)
    same, size = fit(text, room * 0.9, 40, 30)
    assert same == text
    assert 30 < size < 40
    shortened, size = fit(text, room * 0.5, 40, 30)
    assert size == 30
    assert shortened.endswith("...")
    assert room * 0.4 < width(shortened, size) <= room * 0.5


def test_the_ellipsis_is_that_of_the_script() -> None:
    assert cut("燈塔風暴與那一夜", 100, 20).endswith("…")
    assert cut("lighthouse and storm", 100, 20).endswith("...")


def test_cut_to_counts_characters() -> None:
    assert cut_to("abcdef", 6) == "abcdef"
    assert cut_to("abc efgh", 5) == "abc…"


def test_two_lines_are_as_equal_as_may_be() -> None:
    assert wrap("burdened with responsibility", 150, 24) == "burdened with\nresponsibility"
    assert wrap("hostile but controlled", 900, 24) == "hostile but controlled"
    assert wrap("無憂無慮", 10, 24) == "無憂無慮"


def test_the_font_is_our_own() -> None:
    assert typography.family() == ("TuneTale Sans TC", "DejaVu Sans")
