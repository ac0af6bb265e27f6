from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.emotion.sentences import split


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rained. The wind blew! Was it cold?", ["It rained.", "The wind blew!", "Was it cold?"]),
        ('"Who are you?" asked Mr. Fox. "I am lost."', ['"Who are you?" asked Mr. Fox.', '"I am lost."']),
        ("“Stop!” she said. “Who goes there?” Nobody.", ["“Stop!” she said.", "“Who goes there?”", "Nobody."]),
        ("The end.” Then he slept.", ["The end.”", "Then he slept."]),
        ("He waited... and waited. Nothing.", ["He waited... and waited.", "Nothing."]),
        ("He waited… Nobody came.", ["He waited…", "Nobody came."]),
        ("Dr. J. R. Smith went to St. Ives. Cold!", ["Dr. J. R. Smith went to St. Ives.", "Cold!"]),
        ("So am I. Then we left.", ["So am I.", "Then we left."]),
        ("He paid $3.50 at 5 p.m. and left.", ["He paid $3.50 at 5 p.m. and left."]),
        ("He said no. Then he left.", ["He said no.", "Then he left."]),
        ("Really?! Yes. (It was true.) Good.", ["Really?!", "Yes.", "(It was true.)", "Good."]),
    ],
)
def test_english(text: str, expected: list[str]) -> None:
    assert list(split(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("他走了。夜很黑；風很冷！為什麼？", ["他走了。", "夜很黑；", "風很冷！", "為什麼？"]),
        ("「你是誰？」他問。「我迷路了。」", ["「你是誰？」他問。", "「我迷路了。」"]),
        ("「快跑！快跑！」兔子大喊。", ["「快跑！快跑！」兔子大喊。"]),
        ("“再見！”她說。門關上了。", ["“再見！”她說。", "門關上了。"]),
        ("『真的嗎？』「真的。」", ["『真的嗎？』", "「真的。」"]),
        ("他等了很久……沒有人來。", ["他等了很久……", "沒有人來。"]),
        ("我……我不知道。", ["我……我不知道。"]),
        ("第一行\n第二行。", ["第一行", "第二行。"]),
        ("Hello 世界。Bye now. 好！", ["Hello 世界。", "Bye now.", "好！"]),
    ],
)
def test_chinese(text: str, expected: list[str]) -> None:
    assert list(split(text)) == expected


def test_a_long_chinese_speech_is_cut_inside_its_quotation_marks() -> None:
    sentence = "我們一起走過了長長的山路也看見了海。"
    speech = "「" + sentence * 5 + "」"
    assert list(split(speech)) == ["「" + sentence, *[sentence] * 3, sentence + "」"]


def test_blank_lines_end_sentences_and_single_breaks_do_not_in_english() -> None:
    assert split("The Fox\n\nOnce upon\na time. There was") == ("The Fox", "Once upon a time.", "There was")


@pytest.mark.parametrize("text", ["", "   \n ", "...", "！？", "🎵🎵", "“ ”"])
def test_without_words_there_is_no_sentence(text: str) -> None:
    assert split(text) == ()


def test_marks_without_words_stay_with_their_neighbour() -> None:
    assert split("— — Go! ... \n\n * * * \n\nStay.") == ("— — Go! ... * * *", "Stay.")


_TEXT = st.text(st.sampled_from("aB 1.!?…\"“”'「」『』。！？；，()\n好死夜 🎵Mr"), max_size=80)


@settings(max_examples=300, deadline=None)
@given(_TEXT)
def test_nothing_is_lost_and_every_sentence_has_a_word(text: str) -> None:
    sentences = split(text)
    assert all(any(char.isalnum() for char in sentence) for sentence in sentences)
    assert all(sentence == sentence.strip() for sentence in sentences)
    if any(char.isalnum() for char in text):
        assert "".join("".join(sentences).split()) == "".join(text.split())
    else:
        assert sentences == ()


def test_time_grows_with_the_length_not_its_square() -> None:
    import time

    def seconds(text: str) -> float:
        started = time.process_time()
        split(text)
        return time.process_time() - started

    for pattern in ("a. ", "「好。", "Word and word ", "。", '."'):
        assert seconds(pattern * (20_000 // len(pattern))) < 5.0
