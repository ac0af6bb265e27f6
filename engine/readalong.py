"""Paces a story with its music as WebVTT subtitles. Knows paragraphs and beats; knows no model.

Paragraph i is read in beat i. Where a beat is too short to be read in peace, its paragraph borrows time from its
neighbours. Limits on speed and lines follow common subtitling guides (Netflix Timed Text Style Guide: English 17
characters a second and 42 a line, Traditional Chinese 9 and 16).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from engine.emotion.curve import Beat
from engine.emotion.sentences import split
from engine.jobs import Language
from engine.whole import whole

_FASTEST: dict[Language, float] = {"en": 17.0, "zh-TW": 9.0}
"""Characters a second that people can read."""
_LINE: dict[Language, int] = {"en": 42, "zh-TW": 16}
"""Characters in a line."""
_LINES = 2
"""Lines in a cue."""

_SHORTEST_S = 1.0
"""A sentence that is read in less is shown together with the next."""
_CLAUSE_BONUS = 0.25
"""How far from the middle, as a share of the text, a cut may lie for the sake of a comma."""

_FIRST_WIDE = 0x2E80
"""From here on characters are East Asian: lines may break beside them without a space."""
_CLAUSE_END = "，、；：。！？,;:.!?—…"
_NEVER_FIRST = "，、；：。！？」』）》〉…—,;:.!?)”’"
_NEVER_LAST = "「『（《〈(“‘"
_TOO_SHORT: dict[Language, str] = {
    "en": "The music is too short to read this story in peace: the text goes on for {seconds} s after its end.",
    "zh-TW": "音樂太短，來不及從容讀完這個故事：文字會在音樂結束後再繼續 {seconds} 秒。",
}


@dataclass(frozen=True)
class Cue:
    """Lines that are shown together from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    text: str


def write_readalong(
    path: Path, paragraphs: Sequence[str], beats: Sequence[Beat], duration_s: float, language: Language
) -> float:
    """Write the story as WebVTT; returns how many seconds it goes on after the music's end (0.0 if it fits)."""
    cues = pace(paragraphs, beats, duration_s, language)
    with whole(path) as unfinished:
        unfinished.write_text(_webvtt(cues, duration_s, language), encoding="utf-8", newline="\n")
    return _late(cues, duration_s)


def readalong(paragraphs: Sequence[str], beats: Sequence[Beat], duration_s: float, language: Language) -> str:
    """Return the story as WebVTT; a NOTE says so if it goes on after the music's end."""
    return _webvtt(pace(paragraphs, beats, duration_s, language), duration_s, language)


def pace(paragraphs: Sequence[str], beats: Sequence[Beat], duration_s: float, language: Language) -> tuple[Cue, ...]:
    """Return the cues, without gaps within a paragraph. Raises ValueError unless each beat has its paragraph."""
    if len(paragraphs) != len(beats):
        raise ValueError(f"{len(paragraphs)} paragraphs for {len(beats)} beats")
    parts = [_cue_texts(" ".join(paragraph.split()), language) for paragraph in paragraphs]
    needs = [sum(_length(text) for text in texts) / _FASTEST[language] for texts in parts]
    cues: list[Cue] = []
    for texts, (start_s, end_s) in zip(parts, _windows(beats, needs, duration_s), strict=True):
        whole = sum(_length(text) for text in texts)
        read = 0
        for text in texts:
            begin = start_s + (end_s - start_s) * read / whole
            read += _length(text)
            cues.append(Cue(round(begin, 3), round(start_s + (end_s - start_s) * read / whole, 3), text))
    return tuple(cues)


def _windows(beats: Sequence[Beat], needs: Sequence[float], duration_s: float) -> list[tuple[float, float]]:
    """Return when each paragraph is read: its beat, moved only as far as reading in peace asks for."""
    if sum(needs) >= duration_s:  # too short: read on without a pause, past the end
        ends = [sum(needs[: i + 1]) for i in range(len(needs))]
        return list(zip([0.0, *ends[:-1]], ends, strict=True))
    # Borders between paragraphs, pushed later until all before can be read, then earlier until all after can.
    borders = [max(0.0, min(beat.start_s, duration_s)) for beat in beats] + [min(beats[-1].end_s, duration_s)]
    for i, need in enumerate(needs):
        borders[i + 1] = max(borders[i + 1], borders[i] + need)
    borders[-1] = min(borders[-1], duration_s)
    for i in reversed(range(len(needs))):
        borders[i] = max(0.0, min(borders[i], borders[i + 1] - needs[i]))
    return list(pairwise(borders))


def _cue_texts(paragraph: str, language: Language) -> list[str]:
    """Cut a paragraph into texts of at most two lines: at sentences, and long sentences as evenly as may be."""
    joint = " " if language == "en" else ""
    quick = _SHORTEST_S * _FASTEST[language]
    texts: list[str] = []
    for sentence in split(paragraph) or (paragraph,) * bool(paragraph):
        for piece in _pieces(" ".join(sentence.split()), language):
            both = f"{texts[-1]}{joint}{piece}" if texts else ""
            if texts and min(len(texts[-1]), len(piece)) < quick and _fits(both, language):
                texts[-1] = both
            else:
                texts.append(piece)
    return [_in_lines(text, language) for text in texts]


def _pieces(text: str, language: Language) -> list[str]:
    if _fits(text, language):
        return [text]
    first, second = _halves(text, _CLAUSE_BONUS)
    return _pieces(first, language) + _pieces(second, language)


def _fits(text: str, language: Language) -> bool:
    return all(len(line) <= _LINE[language] for line in _in_lines(text, language).split("\n"))


def _in_lines(text: str, language: Language) -> str:
    if len(text) <= _LINE[language]:
        return text
    halves = _halves(text, _CLAUSE_BONUS)
    if max(len(half) for half in halves) > _LINE[language]:
        halves = _halves(text, 0.0)
    return "\n".join(halves)


def _halves(text: str, clause_bonus: float) -> tuple[str, str]:
    """Cut a text in two near its middle, where a line may break; within a word only if there is no other place."""
    middle = len(text) / 2
    places = [i for i in range(1, len(text)) if _may_break(text, i)] or [len(text) // 2]

    def cost(i: int) -> float:
        return abs(i - middle) - (clause_bonus * len(text) if text[:i].rstrip()[-1:] in _CLAUSE_END else 0.0)

    best = min(places, key=cost)
    return text[:best].rstrip(), text[best:].lstrip()


def _may_break(text: str, i: int) -> bool:
    before, after = text[i - 1], text[i]
    if after in _NEVER_FIRST or before in _NEVER_LAST:
        return False
    return after == " " or ord(before) >= _FIRST_WIDE or ord(after) >= _FIRST_WIDE


def _length(text: str) -> int:
    return max(1, len(text))


def _late(cues: Sequence[Cue], duration_s: float) -> float:
    return round(max(0.0, cues[-1].end_s - duration_s), 3) if cues else 0.0


def _webvtt(cues: Sequence[Cue], duration_s: float, language: Language) -> str:
    late = _late(cues, duration_s)
    blocks = ["WEBVTT"]
    if late:
        blocks.append("NOTE " + _TOO_SHORT[language].format(seconds=math.ceil(late)))
    for i, cue in enumerate(cues, start=1):
        blocks.append(f"{i}\n{_stamp(cue.start_s)} --> {_stamp(cue.end_s)}\n{_escaped(cue.text)}")
    return "\n\n".join(blocks) + "\n"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _stamp(seconds: float) -> str:
    """Return a WebVTT timestamp (W3C WebVTT §3.2): hh:mm:ss.ttt."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{milliseconds:03d}"
