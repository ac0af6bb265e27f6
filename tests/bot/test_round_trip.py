"""From a result back to a request, and how far the feeling has drifted."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.round_trip import Hop, compose_back, hops, tell_back, trip_json
from engine.errors import UserError
from engine.jobs import (
    Alignment,
    Answer,
    Asker,
    ComposeResult,
    CurveData,
    FileSource,
    MusicBeat,
    MusicFacts,
    MusicFiles,
    Sentence,
    StoryBeat,
    StoryResult,
    StorySentences,
    StoryText,
)
from engine.settings import TextLimits

STORY = StoryResult(
    language="en",
    seed=1,
    models={},
    music=MusicFacts("song", 100.0, "00"),
    curve=CurveData(2.0, 0.0, (0.0,), (0.0,)),
    beats=(
        StoryBeat(0.0, 20.0, 0.5, 0.0, "happy", 0, 0.5, 0.1),
        StoryBeat(20.0, 100.0, -0.5, 0.0, "sad", 1, -0.5, 0.1),
    ),
    story=StoryText("Title", ("One.", "Two.")),
    alignment=Alignment(0.1, None, None, 0.9, "us"),
    card_alt="",
)
MUSIC = ComposeResult(
    seed=1,
    models={},
    story=StorySentences((Sentence("One.", 0.0, 0.0), Sentence("Two.", 0.0, 0.0))),
    description="",
    beats=(MusicBeat(0.0, 30.0, 0.5, 0.0, "happy", 0.4, 0.0), MusicBeat(30.0, 60.0, -0.5, 0.0, "sad", -0.4, 0.0)),
    # ten rows of 6 s: the first fifth (12 s) as happy as the music that the story was told of, the rest as sad
    curve=CurveData(2.0, 0.0, (0.5, 0.5, *[-0.5] * 8), (0.3,) * 10),
    alignment=Alignment(0.2, None, None, 0.9, "us"),
    card_alt="",
    files=MusicFiles(audio="/out/music.ogg"),
)


def failed(code: str) -> Answer:
    return Answer(1, 1, Asker("console", "me", "here"), "n", 1, error_code=code, error_message="No.", fault="asker")


def test_music_is_wanted_for_the_paragraphs_as_long_as_the_original_up_to_a_minute() -> None:
    request = compose_back(STORY, TextLimits())
    assert request.text == "One.\n\nTwo."
    assert request.seconds == 60.0
    for length, wanted in ((5.0, 10.0), (42.0, 42.0)):
        short = replace(STORY, music=replace(STORY.music, duration_s=length))
        assert compose_back(short, TextLimits()).seconds == wanted
    with pytest.raises(UserError, match="more than the limit"):
        compose_back(STORY, TextLimits(max_chars=5))


def test_a_story_is_wanted_of_the_music_in_the_language_of_the_text() -> None:
    assert tell_back(MUSIC).source == FileSource("/out/music.ogg", "music.ogg")
    assert tell_back(MUSIC).language == "en"
    chinese = replace(MUSIC, story=StorySentences((Sentence("燈熄了。", 0.0, 0.0),)))
    assert tell_back(chinese).language == "zh-TW"
    with pytest.raises(UserError, match="no music"):
        tell_back(replace(MUSIC, files=MusicFiles()))


def test_drift_is_measured_over_shares_of_time() -> None:
    # The music's arousal is off by .3 everywhere, its valence is right in every share of the first music's beats.
    assert hops(STORY, MUSIC) == (Hop("music", "story", 0.1, 0.1), Hop("story", "music", 0.2, 0.3))


def test_the_other_way_the_story_is_what_came_out() -> None:
    # The first half of the text was to be .5: the story is .5 for the first fifth and -.5 for the rest of its time.
    first = (0.4 * 0.5 + 0.6 * -0.5 - 0.5) ** 2 + 0.1**2
    second = 0.1**2
    assert hops(MUSIC, STORY)[1] == Hop("music", "story", 0.1, round((first**0.5 + second**0.5) / 2, 4))


def test_a_beat_without_length_takes_what_is_there() -> None:
    happy, sad = STORY.beats
    flat = replace(
        STORY, beats=(replace(happy, end_s=8), replace(happy, start_s=8, end_s=8), replace(happy, start_s=8), sad)
    )
    assert hops(flat, MUSIC)[1].drift == 0.3


def test_the_document_holds_both_results() -> None:
    document = json.loads(trip_json(STORY, replace(failed(""), result=MUSIC)))
    assert (document["kind"], document["then"]["kind"]) == ("story", "music")
    assert [hop["distance"] for hop in document["hops"]] == [0.1, 0.2]
    assert document["hops"][1] == {"start": "story", "end": "music", "distance": 0.2, "drift": 0.3}


def test_a_failed_second_step_loses_nothing_of_the_first() -> None:
    document = json.loads(trip_json(STORY, failed("too_long_text")))
    assert document["story"]["title"] == "Title"
    assert document["hops"] == []
    assert document["then"] == {"kind": "error", "code": "too_long_text", "message": "No."}
