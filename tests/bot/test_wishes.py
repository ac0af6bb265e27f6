"""What may be asked for, and the sentence for what may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.wishes import (
    compose_request,
    lines_emotion_request,
    source_of,
    story_request,
    text_emotion_request,
)
from engine.errors import UserError
from engine.jobs import FileSource, LinkSource
from engine.settings import TextLimits

SOURCE = LinkSource("https://example.org/a.mp3")
LIMITS = TextLimits()


def test_links_and_files_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert source_of("HTTPS://example.org/a") == LinkSource("HTTPS://example.org/a")
    assert source_of("a/b.mp3") == FileSource(str(tmp_path / "a/b.mp3"), "b.mp3")
    (tmp_path / "mailto:x.mp3").touch()
    assert isinstance(source_of("mailto:x.mp3"), FileSource)


@pytest.mark.parametrize("link", ["ftp://x/a.mp3", "file:///etc/passwd", "data:audio/mp3;base64,xx", "javascript:x"])
def test_other_links_are_refused(link: str) -> None:
    with pytest.raises(UserError, match="please give an http") as caught:
        source_of(link)
    assert caught.value.code == "unsupported_scheme"


def test_a_story_with_everything() -> None:
    request = story_request(SOURCE, language="zh_tw", words=300, seed=0, candidates=3, title="  A \n title ")
    assert (request.language, request.words, request.seed, request.candidates) == ("zh-TW", 300, 0, 3)
    assert request.title == "A title"


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"language": "fr"}, "unknown_language"),
        ({"words": 79}, "bad_words"),
        ({"words": 601}, "bad_words"),
        ({"words": 1001, "language": "zh-TW"}, "bad_words"),
        ({"seed": -1}, "bad_seed"),
        ({"seed": 2**32}, "bad_seed"),
        ({"candidates": 0}, "bad_candidates"),
        ({"title": "   "}, "bad_title"),
        ({"title": "x" * 121}, "bad_title"),
    ],
)
def test_wishes_that_cannot_be_met(wish: dict[str, Any], code: str) -> None:
    with pytest.raises(UserError) as caught:
        story_request(SOURCE, **wish)
    assert caught.value.code == code
    assert caught.value.message.endswith(".")


@pytest.mark.parametrize("seconds", [0, 9.9, 600.1, 10_000, float("nan"), float("inf"), -5])
def test_music_has_a_sensible_length(seconds: float) -> None:
    with pytest.raises(UserError, match="10 to 600 seconds"):
        compose_request("The sea was calm.", LIMITS, seconds=seconds)


def test_audio_formats() -> None:
    assert compose_request("The sea was calm.", LIMITS, format="flac").format == "flac"
    with pytest.raises(UserError, match="ogg, mp3, wav, flac"):
        compose_request("The sea was calm.", LIMITS, format="midi")


@pytest.mark.parametrize("text", ["", "  \n\t", "🎵🎶😀", "... !!! —", "a" * 20_001])
def test_texts_without_a_story(text: str) -> None:
    for ask in (lambda: compose_request(text, LIMITS), lambda: text_emotion_request(text, LIMITS)):
        with pytest.raises(UserError) as caught:
            ask()
        assert caught.value.message.count(".") >= 1


def test_lines_keep_empty_rows_but_not_a_last_newline() -> None:
    request = lines_emotion_request("one\n\nthree\r\n")
    assert request.texts == ("one", "", "three")
    assert not request.split
    with pytest.raises(UserError, match="empty"):
        lines_emotion_request("\n\n")
