"""What a language model is told."""

from dataclasses import replace

import pytest

from engine.emotion.setting import Setting
from engine.story.parse import parse_story
from engine.story.prompt import budgets, feeling, form, repair_ask, rewrite_ask, story_ask
from tests.engine.story.asked import asked


def task(**changes: object) -> str:
    return story_ask(replace(asked(), **changes), 7).messages[-1].content  # type: ignore[arg-type]


def test_beats_have_word_intensity_and_length() -> None:
    text = task(words=150)
    assert "1. tense (dark and very stirred); about 50 words".replace("very ", "") in text
    assert "2. relaxed (rather bright and calm); about 50 words" in text
    assert "3. triumphant (very bright and stirred); about 50 words" in text
    assert "about 150 words" in text
    assert "exactly 3 paragraphs" in text


def test_chinese_is_asked_in_chinese() -> None:
    ask = story_ask(replace(asked(), language="zh-TW", words=300), 7)
    text = ask.messages[-1].content
    assert "1. 緊張（相當陰暗、相當激動）；大約 100 字" in text
    assert "標題：" in text
    assert "繁體中文" in ask.messages[0].content


@pytest.mark.parametrize(
    ("valence", "arousal", "said"),
    [
        (0.0, 0.0, "neither dark nor bright and of middling energy"),
        (0.1, -0.1, "rather bright and rather calm"),
        (-0.3, 0.3, "dark and stirred"),
        (-0.9, 0.9, "very dark and very stirred"),
    ],
)
def test_intensity_grows_with_the_distance_from_the_middle(valence: float, arousal: float, said: str) -> None:
    beat = asked((valence, arousal, "no word of the table")).beats[0]
    assert feeling(beat, "en") == said


def test_longer_beats_get_more_words() -> None:
    prompt = asked(words=300)
    long = replace(prompt.beats[1], end_s=prompt.beats[1].start_s + 80)
    lengths = budgets(replace(prompt, beats=(prompt.beats[0], long, prompt.beats[2])))
    assert lengths[1] > lengths[0] == lengths[2]
    assert abs(sum(lengths) - 300) <= 10


def test_musical_facts_colour_the_scenes_and_are_not_named() -> None:
    slow = task(setting=Setting(60, 0.1, 0.1, 0.1))
    fast = task(setting=Setting(150, 0.9, 0.9, 0.9))
    middling = task(setting=Setting(100, 0.5, 0.5, 0.5))
    assert "slowly" in slow and "dusk" in slow and "still" in slow and "Few people" in slow
    assert "quickly" in fast and "clear light" in fast and "loud" in fast and "Many people" in fast
    assert middling == task(setting=None)
    for text in (slow, fast):
        assert not any(fact in text.lower() for fact in ("tempo", "bpm", "brightness", "density", "song", "piece"))


def test_one_seed_in_four_tells_in_the_first_person() -> None:
    persons = ["first person" in task(seed=seed) for seed in range(8)]
    assert persons == [True, False, False, False] * 2


def test_the_wanted_title_stands_in_the_form() -> None:
    assert form(asked(title="Harbour")).startswith("Title: Harbour\n\n1. …")


def test_the_form_itself_is_no_story() -> None:
    assert parse_story(form(asked(title="Harbour")), 3, 90, "en").problem


def test_one_beat_and_ten_of_one_word() -> None:
    one = story_ask(asked((0.1, 0.1, "modest")), 1).messages[-1].content
    assert "exactly one paragraph" in one
    ten = story_ask(asked(*[(0.1, 0.1, "modest")] * 10), 1).messages[-1].content
    assert "exactly 10 paragraphs" in ten and ten.count("modest") == 10


def test_repair_shows_the_answer_and_what_is_wrong() -> None:
    prompt = asked()
    ask = story_ask(prompt, 1)
    repair = repair_ask(prompt, ask, "x" * 1_000_000, "it has no title", 2)
    assert repair.messages[: len(ask.messages)] == ask.messages
    assert [message.role for message in repair.messages[-2:]] == ["assistant", "user"]
    assert len(repair.messages[-2].content) < 1_000
    assert "it has no title" in repair.messages[-1].content and form(prompt) in repair.messages[-1].content


def test_a_rewrite_shows_the_story_and_names_the_paragraph() -> None:
    prompt = asked()
    ask = rewrite_ask(prompt, "The Lamp", ["One.", "Two.", "Three."], 1, 3)
    text = ask.messages[-1].content
    assert "The Lamp" in text and "2. Two." in text and "paragraph 2 anew" in text
    assert feeling(prompt.beats[1], "en") in text
    assert ask.max_tokens < story_ask(prompt, 3).max_tokens


def test_tokens_are_bounded() -> None:
    assert story_ask(asked(words=10_000), 1).max_tokens == 4_096
    assert story_ask(asked(words=80), 1).max_tokens < 500
