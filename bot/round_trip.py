"""The way back: what is asked for with a result in hand, and how far the feeling has drifted.

Pure; knows results and requests, and no platform.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import hypot
from typing import Any, Literal

from bot.wishes import compose_request, story_request
from engine.emotion.text_input import is_chinese
from engine.errors import UserError
from engine.jobs import Answer, ComposeRequest, ComposeResult, FileSource, StoryRequest, StoryResult, result_to_json
from engine.music.composer import SECONDS
from engine.settings import TextLimits

LONGEST_S = 60.0
"""Music for a story that was told of longer music; as long as `compose` makes it when nobody says."""

Side = Literal["music", "story"]


@dataclass(frozen=True)
class Hop:
    """One step of a round trip, measured on the music's scale.

    `distance` is the mean distance over beats to what the step began with, `drift` to the beginning of the whole trip.
    """

    start: Side
    end: Side
    distance: float
    drift: float


@dataclass(frozen=True)
class _Stretch:
    """A part of a course: shares of its whole length, and the feeling there."""

    start: float
    end: float
    valence: float
    arousal: float


def text_of(result: StoryResult) -> str:
    """Return a told story as a text to compose from: its paragraphs, which is what follows the feeling."""
    return "\n\n".join(result.story.paragraphs)


def compose_back(result: StoryResult, limits: TextLimits) -> ComposeRequest:
    """Ask for the music of a story that was told of music. Raises `UserError`."""
    return compose_request(text_of(result), limits, seconds=min(max(result.music.duration_s, SECONDS[0]), LONGEST_S))


def tell_back(result: ComposeResult) -> StoryRequest:
    """Ask for the story of music that was composed for a story, in its language; `files.audio` is an absolute path.

    Raises `UserError` when there is no music any more.
    """
    if result.files.audio is None:
        raise UserError("There is no music with this one any more.", code="deleted_pair")
    text = " ".join(sentence.text for sentence in result.story.sentences)
    source = FileSource(result.files.audio, result.files.audio.rpartition("/")[2])
    return story_request(source, language="zh-TW" if is_chinese(text) else "en")


def hops(first: StoryResult | ComposeResult, second: StoryResult | ComposeResult) -> tuple[Hop, Hop]:
    """Return both steps of a round trip: `second` was made from what `first` gave."""
    start: Side = "music" if isinstance(first, StoryResult) else "story"
    middle: Side = "story" if start == "music" else "music"
    drift = round(_distance(_given(first), _made(second)), 4)
    return (
        Hop(start, middle, first.alignment.distance, first.alignment.distance),
        Hop(middle, start, second.alignment.distance, drift),
    )


def trip_json(first: StoryResult | ComposeResult, then: Answer) -> str:
    """Return the first result's document with `hops` and, under `then`, what came of the second step."""
    document: dict[str, Any] = json.loads(result_to_json(first))
    second = then.result
    if isinstance(second, StoryResult | ComposeResult):
        document["hops"] = [asdict(hop) for hop in hops(first, second)]
        document["then"] = json.loads(result_to_json(second))
    else:
        document["hops"] = []
        document["then"] = {"kind": "error", "code": then.error_code or "error", "message": then.error_message or ""}
    return json.dumps(document, ensure_ascii=False)


def _given(result: StoryResult | ComposeResult) -> list[_Stretch]:
    """Return the course that a result began with: its beats."""
    whole = result.beats[-1].end_s - result.beats[0].start_s
    at = result.beats[0].start_s
    return [
        _Stretch((beat.start_s - at) / whole, (beat.end_s - at) / whole, beat.valence, beat.arousal)
        for beat in result.beats
    ]


def _made(result: StoryResult | ComposeResult) -> list[_Stretch]:
    """Return the course of what came out: the story as read, the music as heard."""
    if isinstance(result, StoryResult):
        points = [(beat.story_valence, beat.story_arousal) for beat in result.beats]
        return [_Stretch(place.start, place.end, *point) for place, point in zip(_given(result), points, strict=True)]
    curve = result.curve
    borders = [i / len(curve.valence) for i in range(len(curve.valence) + 1)]
    return [
        _Stretch(*place, *point)
        for place, point in zip(pairwise(borders), zip(curve.valence, curve.arousal, strict=True), strict=True)
    ]


def _distance(given: Sequence[_Stretch], made: Sequence[_Stretch]) -> float:
    """Return the mean Euclidean distance over the beats of `given`; `made` is averaged over the same shares of time."""
    return sum(_apart(beat, made) for beat in given) / len(given)


def _apart(beat: _Stretch, made: Sequence[_Stretch]) -> float:
    weights = [max(0.0, min(beat.end, part.end) - max(beat.start, part.start)) for part in made]
    total = sum(weights)
    if total == 0.0:  # a beat of no length: what sounds at its place
        nearest = min(made, key=lambda part: abs((part.start + part.end) / 2 - beat.start))
        weights, total = [float(part is nearest) for part in made], 1.0
    valence = sum(weight * part.valence for weight, part in zip(weights, made, strict=True)) / total
    arousal = sum(weight * part.arousal for weight, part in zip(weights, made, strict=True)) / total
    return hypot(valence - beat.valence, arousal - beat.arousal)
