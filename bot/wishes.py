"""What a person may wish for: checks a wish and makes the request. Pure; knows no platform and no queue."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from engine.emotion.text_input import check_text
from engine.errors import UserError
from engine.jobs import (
    AudioFormat,
    ComposeRequest,
    EmotionRequest,
    FileSource,
    Language,
    LinkSource,
    Source,
    StoryRequest,
    TextEmotionRequest,
)
from engine.music.composer import SECONDS
from engine.settings import TextLimits
from engine.story.storyteller import CANDIDATES, WORDS

MAX_SEED = 2**32 - 1
"""Seeds are 32 bits, as the default seed is."""
MAX_TITLE_CHARS = 120
"""Longest title that fits on a card."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(//|[^\\/])")


def source_of(text: str) -> Source:
    """Tell a link from a file name. Raises `UserError` for a link that is not http or https."""
    scheme = _SCHEME.match(text)
    if scheme is None or Path(text).exists():
        return FileSource(str(Path(text).absolute()), Path(text).name)
    if scheme[1].lower() in ("http", "https"):
        return LinkSource(text)
    raise _unsupported(scheme[1])


def link_of(text: str) -> LinkSource:
    """Read a link; nothing else, above all no file name. Raises `UserError`."""
    text = text.strip().removeprefix("<").removesuffix(">")
    scheme = _SCHEME.match(text)
    if scheme is None or any(char.isspace() for char in text):
        raise UserError("Please send an audio file, or one http(s) link.", code="no_source")
    if scheme[1].lower() not in ("http", "https"):
        raise _unsupported(scheme[1])
    return LinkSource(text)


def _unsupported(scheme: str) -> UserError:
    return UserError(
        f"Links of the kind {scheme}: are not supported; please give an http(s) link or an audio file.",
        code="unsupported_scheme",
    )


def story_request(
    source: Source,
    *,
    language: str = "en",
    words: int | None = None,
    seed: int | None = None,
    candidates: int | None = None,
    title: str | None = None,
    max_seconds: float | None = None,
) -> StoryRequest:
    """Ask for the story of a piece of music. Raises `UserError` when the wish cannot be met."""
    spoken = parse_language(language)
    if words is not None:
        unit = "words" if spoken == "en" else "characters"
        _within(words, WORDS[spoken], f"The length of the story is {{low}} to {{high}} {unit}", "bad_words")
    if candidates is not None:
        _within(candidates, CANDIDATES, "The number of candidates is {low} to {high}", "bad_candidates")
    if title is not None:
        title = " ".join(title.split())
        if not 1 <= len(title) <= MAX_TITLE_CHARS:
            raise UserError(
                f"A title has 1 to {MAX_TITLE_CHARS} characters; please give another one.", code="bad_title"
            )
    return StoryRequest(source, spoken, words, _seed(seed), candidates, title, max_seconds=max_seconds)


def compose_request(
    text: str,
    limits: TextLimits,
    *,
    seconds: float = 60.0,
    seed: int | None = None,
    format: str = "ogg",
    sketches: int | None = None,
    max_bytes: int | None = None,
) -> ComposeRequest:
    """Ask for the music of a story; nobody wishes for `sketches` and `max_bytes`, they follow from person and place.
    Raises `UserError` when the wish cannot be met."""
    check_text(text, limits)
    _within(seconds, SECONDS, "The length of the music is {low:g} to {high:g} seconds", "bad_seconds")
    for known in get_args(AudioFormat):
        if format == known:
            return ComposeRequest(text, float(seconds), _seed(seed), known, sketches, max_bytes)
    raise UserError(
        f"The audio format {format!r} is not known; please choose one of {', '.join(get_args(AudioFormat))}.",
        code="unknown_format",
    )


def emotion_request(source: Source) -> EmotionRequest:
    """Ask for the curve and the beats of a piece of music."""
    return EmotionRequest(source)


def text_emotion_request(text: str, limits: TextLimits) -> TextEmotionRequest:
    """Ask for the emotion of each sentence of a text. Raises `UserError` when there is nothing to read."""
    check_text(text, limits)
    return TextEmotionRequest((text,), split=True)


def lines_emotion_request(text: str) -> TextEmotionRequest:
    """Ask for the emotion of each line of a text, one row for each, also for empty ones."""
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if not any(line.strip() for line in lines):
        raise UserError("The text is empty; please give at least one line.", code="empty_text")
    return TextEmotionRequest(tuple(line.rstrip("\r") for line in lines), split=False)


def parse_language(language: str) -> Language:
    """Read the name of a language. Raises `UserError`."""
    for known in get_args(Language):
        if language.lower().replace("_", "-") == known.lower():
            found: Language = known
            return found
    raise UserError(
        f"The language {language!r} is not known; please choose one of {', '.join(get_args(Language))}.",
        code="unknown_language",
    )


def _seed(seed: int | None) -> int | None:
    if seed is not None:
        _within(seed, (0, MAX_SEED), "A seed is a whole number from {low} to {high}", "bad_seed")
    return seed


def _within(value: float, bounds: tuple[float, float], rule: str, code: str) -> None:
    low, high = bounds
    if not low <= value <= high:  # also false for NaN
        raise UserError(f"{rule.format(low=low, high=high)}, not {value:g}.", code=code)
