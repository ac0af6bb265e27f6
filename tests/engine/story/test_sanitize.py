"""What a storyteller wrote, made plain."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UserError
from engine.settings import ModerationSettings
from engine.story.sanitize import MAX_PARAGRAPH_CHARS, MAX_TITLE_CHARS, Moderation, clean_story, clean_text
from engine.story.storyteller import Story


def story(*paragraphs: str, title: str = "T") -> Story:
    return Story(title, paragraphs or ("Once.",), "en")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a\x00b\x1b[31mc\x07", "ab[31mc"),
        ("left\u202eright\u2066x\u2069\u200f", "leftrightx"),
        ("in\u200bvis\u00adible\ufeff", "invisible"),
        ("two\n lines\t\u3000and\u00a0space", "two lines and space"),
        ("see https://evil.example/x?y=1, then", "see, then"),
        ("HTTP://EVIL.EXAMPLE and javascript://x", "and"),
        ("go to www.evil.example now", "go to now"),
        ("visit evil-site.com/path today", "visit today"),
        ("[click me](https://evil.example) now", "click me now"),
        ("請看https://evil.example/壞，然後", "請看，然後"),
        ("He stopped.Me too, said Net.", "He stopped.Me too, said Net."),
        ("It was 3.5 km, e.g. two hours.", "It was 3.5 km, e.g. two hours."),
        ("cafe\u0301", "café"),
        ("家 👨‍👩‍👧 ❤️", "家 👨‍👩‍👧 ❤️"),
    ],
)
def test_text_is_made_plain(text: str, plain: str) -> None:
    assert clean_text(text) == plain


@given(st.text(max_size=200))
def test_any_text_becomes_one_plain_line(text: str) -> None:
    plain = clean_text(text)
    assert "\n" not in plain
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Cn", "Co") for c in plain)
    assert not any(
        unicodedata.bidirectional(c) in ("RLE", "LRE", "RLO", "LRO", "PDF", "RLI", "LRI", "FSI") for c in plain
    )


def test_a_story_keeps_its_shape() -> None:
    plain = clean_story(story("One\u202e.", "Two http://x.example .", title="A\u200bB" * 200))
    assert plain.paragraphs == ("One.", "Two.")
    assert len(plain.title) == MAX_TITLE_CHARS and plain.title.endswith("…")


def test_a_title_that_was_a_link_is_replaced() -> None:
    assert clean_story(story("Once there was a lamp.", title="http://x.example")).title == "Once there was a lamp"


@pytest.mark.parametrize("text", ["", "\u202e", "http://x.example", "…!", "a" * (MAX_PARAGRAPH_CHARS + 1)])
def test_an_empty_or_endless_paragraph_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="paragraph 2") as caught:
        clean_story(story("One.", text))
    assert caught.value.code == "bad_story"


LIST = Moderation(ModerationSettings(en=("Gore", "cut up", "blood*", "  ", "*"), zh_tw=("血腥", "自殘*")))


@pytest.mark.parametrize(
    "text",
    [
        "gore",
        "GORE!",
        "some góre.",
        "g\u200bore",
        "ｇｏｒｅ",
        "was cut  up",
        "bloodied",
        "很血腥。",
        "血\u200b腥",
        "自殘",
    ],
)
def test_forbidden_words_are_found_in_any_dress(text: str) -> None:
    assert not LIST.allows(["fine", text])


@pytest.mark.parametrize("text", ["gorge", "Tagore", "cut the up", "lifeblood flows"[:4], "鮮血", "", "!"])
def test_other_words_are_free(text: str) -> None:
    assert LIST.allows([text])


def test_the_reply_says_whether_it_was_the_title() -> None:
    with pytest.raises(UserError, match="The title contains") as caught:
        LIST.check_title("Gore")
    assert caught.value.code == "moderated"
    with pytest.raises(UserError, match="The story came out") as caught:
        LIST.allowed([story("So much gore."), story(title="Gore!")])
    assert "gore" not in caught.value.message
    LIST.check_title("Joy")
    LIST.check_title(None)
    assert LIST.allowed([story("So much gore."), story("So much joy.")]) == (story("So much joy."),)
    assert Moderation(ModerationSettings()).allowed([story("So much gore.")])
