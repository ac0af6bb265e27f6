"""The emotion card: one picture of a pair that reads on a phone, and the same in words. Knows no model.

Left: the music's valence and arousal over time as lines, the story's as marks in each beat, the beats as bands with
their words. Right: the path of the beats on the plane, and what became of each. Valence and arousal differ by stroke
and shape, so nothing rests on colour alone; orange and sky blue are a pair that colour-blind readers tell apart
(Okabe & Ito 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.course import describe_course
from engine.drawing import typography
from engine.drawing.canvas import Canvas, plain_settings
from engine.drawing.plane import Plane
from engine.drawing.scene import INK, MUTED, PAPER, Scene
from engine.drawing.timeline import Timeline
from engine.emotion.curve import Beat, EmotionCurve, beats_array
from engine.emotion.words import Words
from engine.jobs import Language
from engine.whole import whole

WIDTH, HEIGHT = 1200, 675
"""Pixels: 16 : 9, which chat programs show whole."""
ALT_LIMIT = 1024
"""Characters of alt text that Discord takes, the least of our platforms."""

_MARGIN = 44
_LEAST_REACH = 0.5
"""Half the height of the axes at least: small movements are to look small."""
_SMOOTH_S = 3.0
_SMOOTH_SHARE = 0.012
"""The lines are means over so many seconds, or that share of the piece; finer movement would only make them thick."""


@dataclass(frozen=True, eq=False)
class Card:
    """What a card shows; all coordinates are on the music's scale.

    `beats` are what was given: the music's when `direction` is "story", the story's when it is "music". `answer` holds
    (valence, arousal) of what was made for each beat. `curve` is the music's course (None: steps of its beats).
    `footer` is one or two short lines.
    """

    title: str
    subtitle: str
    beats: tuple[Beat, ...]
    answer: tuple[tuple[float, float], ...]
    language: Language
    direction: Literal["story", "music"]
    curve: EmotionCurve | None = None
    footer: tuple[str, ...] = ()


def draw_card(path: Path, card: Card) -> None:
    """Write the card as PNG, WIDTH × HEIGHT; the same card gives the same bytes. Safe to call from any thread.

    Raises ValueError unless there are beats and an answer to each.
    """
    if not card.beats or len(card.beats) != len(card.answer):
        raise ValueError(f"{len(card.beats)} beats and {len(card.answer)} answers")
    with typography.LOCK, plain_settings(), whole(path) as unfinished:
        canvas = Canvas(WIDTH, HEIGHT, PAPER)
        scene = _scene(canvas, card)
        _write_head(canvas, card)
        Timeline(scene).draw()
        Plane(scene).draw()
        _write_foot(canvas, card)
        canvas.save(unfinished)


def card_alt_text(card: Card) -> str:
    """Return the card in words, in its language, at most ALT_LIMIT characters."""
    words = Words.load()
    english = card.language == "en"
    title = typography.cut_to(" ".join(card.title.split()), 120)
    course = describe_course(card.beats, card.language, words)
    names = {"story": ("the music", "The story", "音樂", "故事"), "music": ("the story", "The music", "故事", "音樂")}
    given_en, made_en, given_zh, made_zh = names[card.direction]
    beats = [
        f"{_clock(beat.start_s)} {words.translate(beat.word, card.language)}"
        for i, beat in enumerate(card.beats)
        if i == 0 or beat.word != card.beats[i - 1].word
    ]
    away = float(np.linalg.norm(beats_array(card.beats) - np.array(card.answer), axis=1).mean())
    if english:
        parts = [
            f"Emotion card of “{title}”.",
            f"{given_en.capitalize()} {course}.",
            f"Feelings by time: {', '.join(beats)}.",
            f"{made_en} {_NEARNESS['en'][_nearness(away)]} this course.",
        ]
        text = " ".join([*parts, *card.footer[:1]])
    else:
        parts = [
            f"《{title}》的情緒卡。",
            f"{given_zh}{course}。",
            f"各段的感受：{'、'.join(beats)}。",
            f"{made_zh}{_NEARNESS['zh-TW'][_nearness(away)]}這段起伏。",
        ]
        text = "".join([*parts, *card.footer[:1]])
    return typography.cut_to(text, ALT_LIMIT)


_NEARNESS: dict[Language, tuple[str, str, str]] = {
    "en": ("closely follows", "broadly follows", "only loosely follows"),
    "zh-TW": ("緊緊跟著", "大致跟著", "只鬆散地跟著"),
}


def _nearness(distance: float) -> int:
    """Return 0 within half a standard deviation of ratings of music (about .25), 1 within one and a half, else 2."""
    return 0 if distance <= 0.125 else 1 if distance <= 0.375 else 2


def _scene(canvas: Canvas, card: Card) -> Scene:
    points = beats_array(card.beats).astype(np.float64)
    answer = np.array(card.answer, dtype=np.float64).reshape(-1, 2)
    music, story = (points, answer) if card.direction == "story" else (answer, points)
    times, lines = _lines(card, music)
    highest = float(np.abs(np.concatenate([points, answer, lines])).max())
    return Scene(
        canvas=canvas,
        language=card.language,
        beats=card.beats,
        words=tuple(Words.load().translate(beat.word, card.language) for beat in card.beats),
        points=points,
        answer=answer,
        story=story,
        times=times,
        lines=lines,
        reach=min(1.0, max(_LEAST_REACH, 1.12 * highest)),
    )


def _write_head(canvas: Canvas, card: Card) -> None:
    room = WIDTH - 2 * _MARGIN
    title, size = typography.fit(typography.clean(card.title), room, 44, 32)
    canvas.text(_MARGIN, 54, title, size, INK, weight=1.3)
    subtitle, size = typography.fit(typography.clean(card.subtitle), room, 25, 22)
    canvas.text(_MARGIN, 101, subtitle, size, MUTED)


def _write_foot(canvas: Canvas, card: Card) -> None:
    lines = ((604, 25, WIDTH - 2 * _MARGIN, INK), (641, 20, WIDTH - 2 * _MARGIN - 140, MUTED))
    for line, (y, largest, room, colour) in zip(card.footer, lines, strict=False):
        text, size = typography.fit(typography.clean(line), room, largest, largest - 6)
        canvas.text(_MARGIN, y, text, size, colour)
    canvas.text(WIDTH - _MARGIN, 641, "TuneTale", 22, MUTED, align="right", weight=0.8)


def _lines(card: Card, music: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times [n] and values [n, 2] of the lines: the smoothed curve, or steps where there is none."""
    end_s = card.beats[-1].end_s
    if card.curve is None:
        times = np.array([t for beat in card.beats for t in (beat.start_s, beat.end_s)])
        return times, np.repeat(music, 2, axis=0)
    curve = card.curve
    rows = max(1, round(max(_SMOOTH_S, _SMOOTH_SHARE * curve.duration_s) * curve.rate_hz))
    weights = np.hanning(min(2 * rows, len(curve.values)) + 2)[1:-1]
    mass = np.convolve(np.ones(len(curve.values)), weights, mode="same")
    values = np.stack([np.convolve(curve.values[:, axis], weights, mode="same") / mass for axis in (0, 1)], axis=1)
    rows_s: NDArray[np.float64] = curve.start_s + (np.arange(len(values), dtype=np.float64) + 0.5) / curve.rate_hz
    rows_s[0], rows_s[-1] = curve.start_s, curve.start_s + curve.duration_s
    inside = rows_s <= end_s  # music may end a little after the last beat
    return rows_s[inside], values[inside]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
