"""What is printed: for people without markup accidents, as CSV, and as the error document."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console as Screen

from bot.console.show import answer_json, error_json, show, write_csv
from engine.jobs import (
    Alignment,
    Answer,
    Asker,
    ComposeResult,
    CurveData,
    EmotionResult,
    Language,
    MusicBeat,
    MusicFacts,
    PlainBeat,
    Result,
    Sentence,
    StoryBeat,
    StoryFiles,
    StoryResult,
    StorySentences,
    StoryText,
    TextEmotionResult,
)

CURVE = CurveData(2.0, 0.0, (0.1, -0.2), (0.3, 0.4))
ALIGNMENT = Alignment(0.2, None, None, 0.9, "reader")
STORY = StoryResult(
    language="en",
    seed=7,
    models={"storyteller": "fragments"},
    music=MusicFacts("Song [bold]", 61.0, "0" * 64),
    curve=CURVE,
    beats=(StoryBeat(0.0, 61.0, 0.1, 0.3, "happy", 0, 0.2, 0.1),),
    story=StoryText("The [red]Lamp[/red]", ("He said :smile: and [link=x]left[/link].",)),
    alignment=ALIGNMENT,
    card_alt="A card.",
    files=StoryFiles(story="/x/[i]story.txt"),
    notes=("lexicon",),
)
MUSIC = ComposeResult(
    seed=7,
    models={"composer": "symbolic"},
    story=StorySentences((Sentence("A storm.", -0.5, 0.5, 0.0),)),
    description="A calm [b]tune.",
    beats=(MusicBeat(0.0, 60.0, -0.1, -0.3, "calm", 0.05, -0.2),),
    curve=CURVE,
    alignment=ALIGNMENT,
    card_alt="A card.",
)
EMOTION = EmotionResult({}, MusicFacts("Song", 61.0, "0" * 64), CURVE, (PlainBeat(0.0, 61.0, 0.1, 0.3, "happy"),))
TEXT = TextEmotionResult({}, (Sentence("[x] One.", 0.1, 0.2, 0.3), Sentence("", None, None)), notes=("lexicon",))


def shown(result: Result, language: Language = "en") -> str:
    out = io.StringIO()
    show(result, Screen(file=out, width=100, highlight=False), language)
    return out.getvalue()


def test_text_of_people_is_never_taken_for_markup() -> None:
    text = shown(STORY)
    for part in ("The [red]Lamp[/red]", ":smile: and [link=x]left[/link].", "/x/[i]story.txt"):
        assert part in text
    assert "A calm [b]tune." in shown(MUSIC)
    assert "[x] One." in shown(TEXT)


@pytest.mark.parametrize("language", ["en", "zh-TW"])
@pytest.mark.parametrize("result", [STORY, MUSIC, EMOTION, TEXT], ids=lambda result: type(result).__name__)
def test_everything_can_be_shown_in_both_languages(result: Result, language: Language) -> None:
    text = shown(result, language)
    assert text.strip()
    assert "{" not in text


def test_times_feelings_and_answers_stand_in_one_row() -> None:
    row = next(line for line in shown(STORY).splitlines() if "happy" in line)
    assert row.split() == ["0:00", "happy", "+0.10", "+0.30", "+0.20", "+0.10"]


def csv_of(result: Result, *, by_line: bool = False) -> list[str]:
    out = io.StringIO()
    write_csv(result, out, by_line=by_line)
    return out.getvalue().splitlines()


def test_csv_of_a_curve() -> None:
    assert csv_of(EMOTION) == ["time_s,valence,arousal", "0,0.1,0.3", "0.5,-0.2,0.4"]


def test_csv_of_lines_keeps_empty_rows() -> None:
    assert csv_of(TEXT, by_line=True) == ["line,valence,arousal,dominance", "1,0.1,0.2,0.3", "2,,,"]
    assert csv_of(TEXT)[0] == "sentence,valence,arousal,dominance"


def test_json_of_answers() -> None:
    asker = Asker("console", "1", "/x")
    document = json.loads(answer_json(Answer(1, 1, asker, "n", 1, result=STORY), "a.mp3"))
    assert document["kind"] == "story"
    failed = Answer(1, 1, asker, "n", 1, error_code="silent", error_message="靜音。")
    assert json.loads(answer_json(failed, "a.mp3")) == {
        "kind": "error",
        "source": "a.mp3",
        "code": "silent",
        "message": "靜音。",
    }
    assert "靜音" in error_json("a", "silent", "靜音。")
