"""What the blind test shows: music and story of a deal, without a word about models, makers or titles of music."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from db import deals
from db.deals import MaterialRow
from db.votes import Connection
from engine.jobs import (
    ComposeRequest,
    ComposeResult,
    FileSource,
    StoryRequest,
    StoryResult,
    request_from_json,
    result_from_json,
)

MOST_FEELINGS = 50
"""Pairs whose mean feeling is worked out at a time: each costs reading its result, a millisecond or so."""


@dataclass(frozen=True)
class Exhibit:
    """Music and story as they are given to somebody who rates them."""

    audio: Path
    suffix: str
    """The ending of a file name, such as `.mp3`, by which players know what it is."""
    duration_s: float
    paragraphs: tuple[str, ...]


def exhibit(conn: Connection, pair_id: int, story_id: int, folder: Path) -> Exhibit | None:
    """Return what a deal shows; None when it can no longer be read. `folder` is the folder of results."""
    music, story = deals.material(conn, pair_id), deals.material(conn, story_id)
    if music is None or story is None:
        return None
    try:
        audio, paragraphs = _audio(music, folder), _story(story)
    except ValidationError:
        return None
    return None if audio is None or not paragraphs else Exhibit(*audio, paragraphs)


def learn_feelings(conn: Connection, read: Callable[[str], tuple[float, float] | None] | None = None) -> None:
    """Work out the mean feeling of pairs whose music has none yet, at most MOST_FEELINGS of them."""
    mean = read or mean_feeling
    for pair_id, result in deals.without_feeling(conn, 0, MOST_FEELINGS):
        valence, arousal = mean(result) or (0.0, 0.0)
        deals.feel(conn, pair_id, valence, arousal)


def mean_feeling(result: str) -> tuple[float, float] | None:
    """Return the mean valence and arousal of a result's music over its beats, by their length."""
    try:
        found = result_from_json(result)
    except ValidationError:
        return None
    if isinstance(found, StoryResult):
        parts = [(beat.end_s - beat.start_s, beat.valence, beat.arousal) for beat in found.beats]
    elif isinstance(found, ComposeResult):
        parts = [(beat.end_s - beat.start_s, beat.heard_valence, beat.heard_arousal) for beat in found.beats]
    else:
        return None
    total = sum(length for length, _, _ in parts)
    if total <= 0:
        return None
    return sum(n * v for n, v, _ in parts) / total, sum(n * a for n, _, a in parts) / total


def _audio(row: MaterialRow, folder: Path) -> tuple[Path, str, float] | None:
    result = result_from_json(row.result)
    if isinstance(result, ComposeResult):
        seconds = max((beat.end_s for beat in result.beats), default=0.0)
        name = result.files.audio
        return None if name is None else (folder / row.folder / name, _suffix(name), seconds)
    request = request_from_json(row.args)
    if isinstance(result, StoryResult) and isinstance(request, StoryRequest) and isinstance(request.source, FileSource):
        return Path(request.source.path), _suffix(request.source.name), result.music.duration_s
    return None


def _suffix(name: str) -> str:
    found = re.search(r"\.[A-Za-z0-9]{1,5}$", name)
    return found[0].lower() if found else ".mp3"


def _story(row: MaterialRow) -> tuple[str, ...]:
    result = result_from_json(row.result)
    if isinstance(result, StoryResult):
        return result.story.paragraphs
    request = request_from_json(row.args)
    text = request.text if isinstance(request, ComposeRequest) else ""
    return tuple(part.strip() for part in text.split("\n") if part.strip())
