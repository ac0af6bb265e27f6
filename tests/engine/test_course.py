from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.card import ALT_LIMIT, Card, card_alt_text
from engine.course import describe_course, time_phrase
from engine.emotion.curve import Beat
from engine.emotion.words import Words
from engine.jobs import Language

LANGUAGES: tuple[Language, ...] = get_args(Language)


def _beats(*parts: tuple[float, float, float, str]) -> list[Beat]:
    """Beats of (seconds, valence, arousal, word)."""
    beats, at = [], 0.0
    for seconds, valence, arousal, word in parts:
        beats.append(Beat(at, at + seconds, valence, arousal, word))
        at += seconds
    return beats


def test_beginning_turn_and_end() -> None:
    beats = _beats((60, -0.3, 0.5, "tense"), (60, 0.2, -0.3, "relaxed"), (60, 0.6, 0.5, "triumphant"))
    assert describe_course(beats, "en") == ("begins tense, calms and feels relaxed after a minute, and ends triumphant")
    assert describe_course(beats, "zh-TW") == ("一開始感覺緊張；約 1 分鐘後平靜下來，感覺放鬆；最後感覺意氣風發")


@pytest.mark.parametrize(
    ("valence", "arousal", "move"),
    [
        (0.4, 0.1, "brightens and feels"),
        (-0.4, 0.1, "darkens and feels"),
        (0.1, 0.5, "grows more stirred and feels"),
        (0.1, -0.5, "calms and feels"),
        (0.05, 0.05, ", feels quiet"),
    ],
)
def test_a_turn_is_named_by_its_direction(valence: float, arousal: float, move: str) -> None:
    beats = _beats((20, 0, 0, "modest"), (20, valence, arousal, "quiet"), (20, 0, 0, "modest"))
    assert move in describe_course(beats, "en")


def test_one_feeling_throughout() -> None:
    beats = _beats((10, 0.1, 0.1, "pain"), (10, 0.1, 0.2, "pain"), (10, 0.1, 0.1, "pain"))
    assert describe_course(beats, "en") == "feels in pain from beginning to end"
    assert describe_course(beats, "zh-TW") == "從頭到尾都感覺痛苦"


def test_two_feelings_have_no_turn() -> None:
    beats = _beats((10, 0.5, 0.5, "happy"), (10, -0.5, -0.2, "sad"), (10, -0.5, -0.2, "sad"))
    assert describe_course(beats, "en") == "begins happy and ends sad"


def test_only_the_largest_turns_are_told_in_order() -> None:
    beats = _beats(
        (30, 0.0, 0.0, "reserved"),
        (30, 0.05, 0.0, "modest"),
        (30, 0.6, 0.5, "happy"),
        (30, 0.6, 0.4, "joyful"),
        (30, -0.5, -0.4, "lonely"),
        (30, 0.0, 0.0, "reserved"),
    )
    text = describe_course(beats, "en")
    assert text == (
        "begins reserved, brightens and feels happy after a minute, "
        "darkens and feels lonely after 2 minutes, and ends reserved"
    )


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (1, "after 5 seconds", "約 5 秒後"),
        (41, "after 40 seconds", "約 40 秒後"),
        (52.4, "after 50 seconds", "約 50 秒後"),
        (58, "after a minute", "約 1 分鐘後"),
        (92, "after 1½ minutes", "約 1 分半後"),
        (600, "after 10 minutes", "約 10 分鐘後"),
    ],
)
def test_times_are_said_as_people_say_them(seconds: float, english: str, chinese: str) -> None:
    assert time_phrase(seconds, "en") == english
    assert time_phrase(seconds, "zh-TW") == chinese


_TERMS = ["tense", "relaxed", "triumphant", "pain", "hate", "quiet", "happy", "sad", "modest", "excited"]
_COURSES = st.lists(
    st.tuples(st.floats(0.5, 200), st.floats(-1, 1), st.floats(-1, 1), st.sampled_from(_TERMS)), min_size=1, max_size=10
)


@given(_COURSES)
def test_any_course_is_one_plain_sentence(parts: list[tuple[float, float, float, str]]) -> None:
    beats, words = _beats(*parts), Words.load()
    for language in LANGUAGES:
        turn = "after " if language == "en" else "約 "
        text = describe_course(beats, language)
        assert words.phrase(beats[0].word, language) in text
        assert text.endswith(("from beginning to end", words.phrase(beats[-1].word, language)))
        assert text.count(turn) <= 2
        assert not any(mark in text for mark in (".", "。", "{", "}", ",,", "，，", "  "))


@given(_COURSES, st.text(max_size=200))
def test_the_alt_text_tells_the_course_and_is_not_too_long(
    parts: list[tuple[float, float, float, str]], title: str
) -> None:
    beats = tuple(_beats(*parts))
    answer = tuple((beat.valence, beat.arousal) for beat in beats)
    for language in LANGUAGES:
        card = Card(title, "", beats, answer, language, "story")
        text = card_alt_text(card)
        assert describe_course(beats, language) in text
        assert len(text) <= ALT_LIMIT
