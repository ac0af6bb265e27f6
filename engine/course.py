"""Says the emotional course of a piece in one plain sentence. Knows beats and words; knows no picture.

For people who cannot see the card or hear the music, and for everybody who would rather read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from engine.emotion.curve import Beat
from engine.emotion.words import Words
from engine.jobs import Language

_MOST_TURNS = 2
"""Turns told between beginning and end; a sentence with more is no longer plain."""
_CLEAR_CHANGE = 0.08
"""A change on the music's scale below this (a third of its standard deviation) is not called a direction."""

_MOVES: dict[Language, dict[str, str]] = {
    "en": {
        "calms": "calms and feels {word}",
        "stirs": "grows more stirred and feels {word}",
        "brightens": "brightens and feels {word}",
        "darkens": "darkens and feels {word}",
        "turns": "feels {word}",
    },
    "zh-TW": {
        "calms": "平靜下來，感覺{word}",
        "stirs": "激動起來，感覺{word}",
        "brightens": "明亮起來，感覺{word}",
        "darkens": "黯淡下來，感覺{word}",
        "turns": "感覺{word}",
    },
}


def describe_course(beats: Sequence[Beat], language: Language, words: Words | None = None) -> str:
    """Return how the feeling goes, without subject or full stop: "begins tense, calms and feels …, ends triumphant"."""
    words = words or Words.load()
    stretches = _stretches(beats)
    first, last = stretches[0], stretches[-1]
    if len(stretches) == 1:
        word = words.phrase(first.word, language)
        return f"feels {word} from beginning to end" if language == "en" else f"從頭到尾都感覺{word}"
    turns = []
    for before, stretch in _main_turns(stretches):
        move = _MOVES[language][_move(before, stretch)].format(word=words.phrase(stretch.word, language))
        when = time_phrase(stretch.start_s - first.start_s, language)
        turns.append(f"{move} {when}" if language == "en" else f"{when}{move}")
    beginning, end = words.phrase(first.word, language), words.phrase(last.word, language)
    if language == "en":
        return ", ".join([f"begins {beginning}", *turns]) + ("," if turns else "") + f" and ends {end}"
    return "；".join([f"一開始感覺{beginning}", *turns, f"最後感覺{end}"])


def time_phrase(seconds: float, language: Language) -> str:
    """Return when something happens, as people say it: "after 40 seconds", "after 2½ minutes"."""
    halves = round(seconds / 30)
    if seconds < 52.5:
        nearest = max(5, 5 * round(seconds / 5))
        return f"after {nearest} seconds" if language == "en" else f"約 {nearest} 秒後"
    whole, half = divmod(halves, 2)
    if language == "en":
        if halves == 2:
            return "after a minute"
        return f"after {whole}{'½' if half else ''} minutes"
    return f"約 {whole} 分{'半' if half else '鐘'}後"


def _stretches(beats: Sequence[Beat]) -> list[Beat]:
    """Join neighbours with the same word; coordinates are means by time."""
    joined: list[Beat] = []
    for beat in beats:
        if not joined or joined[-1].word != beat.word:
            joined.append(beat)
            continue
        before = joined[-1]
        share = (beat.end_s - beat.start_s) / (beat.end_s - before.start_s)
        joined[-1] = replace(
            before,
            end_s=beat.end_s,
            valence=before.valence + share * (beat.valence - before.valence),
            arousal=before.arousal + share * (beat.arousal - before.arousal),
        )
    return joined


def _main_turns(stretches: Sequence[Beat]) -> list[tuple[Beat, Beat]]:
    """Return the largest changes between beginning and end with what was before each, in the order of time."""
    pairs = list(pairwise(stretches[:-1]))
    largest = sorted(range(len(pairs)), key=lambda i: -_size(*pairs[i]))[:_MOST_TURNS]
    return [pairs[i] for i in sorted(largest)]


def _size(before: Beat, beat: Beat) -> float:
    return (beat.valence - before.valence) ** 2 + (beat.arousal - before.arousal) ** 2


def _move(before: Beat, beat: Beat) -> str:
    valence, arousal = beat.valence - before.valence, beat.arousal - before.arousal
    if max(abs(valence), abs(arousal)) < _CLEAR_CHANGE:
        return "turns"
    if abs(arousal) >= abs(valence):
        return "stirs" if arousal > 0 else "calms"
    return "brightens" if valence > 0 else "darkens"
