"""Beats → the plan of a piece: sections, keys, bars, phrases and tempo. Knows no notes.

One section per beat, at the beat's times: the number of bars is chosen so that a tempo near the wanted one fills the
time exactly. Phrases have four bars where possible; cadences mark their ends (Caplin 1998, *Classical Form*, ch. 1–4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from engine.emotion.curve import Beat
from engine.music.character import Character, character
from engine.music.score import TICKS
from engine.music.theory import Key

MIN_SECTION_S = 2.4
"""A shorter beat is joined with its nearer neighbour on the plane: one bar at 100 beats a minute takes so long."""

SAME_THEME_DISTANCE = 0.3
"""Sections nearer than this on the plane share a theme, so that what feels the same sounds related."""

RITARDANDO = (1.06, 1.12, 1.2, 1.3)
"""Stretch of the last beats before the final bar, which itself is stretched by the last value."""

Cadence = Literal["half", "authentic", "plagal", "deceptive", "link", "final"]
Idea = Literal["statement", "answer", "contrast", "interlude"]
Transform = Literal["original", "inversion", "retrograde", "augmentation", "fragmentation"]


@dataclass(frozen=True)
class Phrase:
    """Some bars with one musical thought; `first_bar` counts within the section, `round` how often it came before."""

    first_bar: int
    bars: int
    idea: Idea
    cadence: Cadence
    round: int


@dataclass(frozen=True)
class Section:
    """What happens during one beat; `first_bar` counts within the piece, `quarter_s` are seconds per quarter."""

    start_s: float
    end_s: float
    word: str
    character: Character
    key: Key
    first_bar: int
    bars: int
    quarter_s: float
    theme: int
    transform: Transform
    phrases: tuple[Phrase, ...]


@dataclass(frozen=True)
class Form:
    """The whole plan; `meter` is quarters to a bar."""

    meter: int
    sections: tuple[Section, ...]

    @property
    def bar_ticks(self) -> int:
        """Ticks in a bar."""
        return self.meter * TICKS


def plan(beats: Sequence[Beat], seconds: float, meter: int, rng: Random) -> Form:
    """Return the form of a piece of exactly `seconds` seconds."""
    merged = merge_short(spans(beats, seconds))
    shade = rng.random()
    characters = [character(beat.valence, beat.arousal, shade) for beat in merged]
    keys = _keys(characters, rng)
    themes = _themes(merged)
    sections: list[Section] = []
    first_bar = 0
    for i, (beat, how) in enumerate(zip(merged, characters, strict=True)):
        length_s = beat.end_s - beat.start_s
        bars = bars_for(length_s, how.tempo_bpm, meter)
        last = i == len(merged) - 1
        returning = themes[i] in themes[:i]
        sections.append(
            Section(
                start_s=beat.start_s,
                end_s=beat.end_s,
                word=beat.word,
                character=how,
                key=keys[i],
                first_bar=first_bar,
                bars=bars,
                quarter_s=length_s / (bars * meter),
                theme=themes[i],
                transform=_transform(how, characters[0], themes[i], returning, rng),
                phrases=phrases(bars, last, rng),
            )
        )
        first_bar += bars
    return Form(meter, tuple(sections))


def spans(beats: Sequence[Beat], seconds: float) -> list[Beat]:
    """Return the beats without gaps or overlaps, from 0 to `seconds`; beats that begin later are dropped."""
    ordered = sorted((beat for beat in beats if beat.start_s < seconds), key=lambda beat: beat.start_s)
    starts = [0.0, *(beat.start_s for beat in ordered[1:])]
    ends = [*starts[1:], seconds]
    return [replace(beat, start_s=s, end_s=e) for beat, s, e in zip(ordered, starts, ends, strict=True) if e > s]


def merge_short(beats: list[Beat]) -> list[Beat]:
    """Join the shortest beat with its nearer neighbour on the plane until none is under MIN_SECTION_S."""
    beats = list(beats)
    while len(beats) > 1:
        i = min(range(len(beats)), key=lambda k: beats[k].end_s - beats[k].start_s)
        if beats[i].end_s - beats[i].start_s >= MIN_SECTION_S:
            break
        here = beats[i]
        j = min((k for k in (i - 1, i + 1) if 0 <= k < len(beats)), key=lambda k: _distance(beats[k], here))
        one, other = beats[min(i, j)], beats[max(i, j)]
        w = (one.end_s - one.start_s) / (other.end_s - one.start_s)
        longer = one if w >= 0.5 else other
        joined = Beat(
            one.start_s,
            other.end_s,
            w * one.valence + (1 - w) * other.valence,
            w * one.arousal + (1 - w) * other.arousal,
            longer.word,
        )
        beats[min(i, j) : max(i, j) + 1] = [joined]
    return beats


def _distance(one: Beat, other: Beat) -> float:
    return math.hypot(one.valence - other.valence, one.arousal - other.arousal)


def bars_for(length_s: float, tempo_bpm: float, meter: int) -> int:
    """Return how many bars fill the time at a tempo near the wanted one, by preference a multiple of four."""
    ideal = length_s * tempo_bpm / 60 / meter
    low, high = max(1, math.floor(ideal * 0.65)), max(1, math.ceil(ideal * 1.5))

    def cost(bars: int) -> float:
        untidy = 0.0 if bars % 4 == 0 else 0.25 if bars % 2 == 0 else 0.5
        return 6 * abs(math.log2(bars / ideal)) + untidy

    return min(range(low, high + 1), key=cost)


def phrases(bars: int, last: bool, rng: Random) -> tuple[Phrase, ...]:
    """Cut a section into phrases: fours, and what remains as a shorter last one (a single bar extends the last)."""
    sizes = [4] * (bars // 4)
    if bars % 4 == 1 and sizes:
        sizes[-1] = 5
    elif bars % 4:
        sizes.append(bars % 4)
    ideas: tuple[Idea, ...] = ("statement", "answer", "contrast", "answer")
    out, first = [], 0
    for i, size in enumerate(sizes):
        final = i == len(sizes) - 1
        idea: Idea = "interlude" if i % 8 == 6 and not final else ideas[i % 4]
        cadence: Cadence = "half" if i % 2 == 0 else rng.choice(("authentic", "authentic", "plagal", "deceptive"))
        if final:
            cadence = "final" if last else "link"
        out.append(Phrase(first, size, idea, cadence, i // 4))
        first += size
    return tuple(out)


def _themes(beats: Sequence[Beat]) -> list[int]:
    """Number the themes in order of appearance; a like feeling brings its theme back, and the end the first."""
    themes: list[int] = []
    for i, beat in enumerate(beats):
        like = [j for j in range(i) if _distance(beats[j], beat) < SAME_THEME_DISTANCE]
        themes.append(themes[like[0]] if like else max(themes, default=-1) + 1)
    if len(beats) > 2:
        themes[-1] = 0
    return themes


def _transform(how: Character, first: Character, theme: int, returning: bool, rng: Random) -> Transform:
    """Choose how the motif appears: darker feelings turn it upside down, calmer ones stretch it, wilder ones cut it."""
    if theme == 0 and not returning:
        return "original"
    calmer, wilder = how.arousal < first.arousal - 0.45, how.arousal > first.arousal + 0.45
    if calmer:
        return "augmentation"
    if wilder:
        return "fragmentation"
    if theme == 0:
        return "original"
    return "inversion" if how.valence < first.valence else rng.choice(("retrograde", "inversion"))


def _keys(characters: Sequence[Character], rng: Random) -> list[Key]:
    """Choose a key for each section near the home key, which the piece begins in and returns to."""
    home = Key(rng.randrange(12), characters[0].mode)
    keys = [home]
    for i, how in enumerate(characters[1:], start=1):
        before, last = characters[i - 1], i == len(characters) - 1
        here = Key(home.tonic, how.mode)
        if here.is_major == home.is_major:
            options = {0: 3.0}
            if not last:
                options |= {7: 1.0} if how.arousal >= before.arousal else {5: 1.0}
                if how.arousal > before.arousal and how.valence > before.valence:
                    options[2] = 0.7
        else:
            options = {9 if home.is_major else 3: 1.0, 0: 6.0}  # the parallel key makes the new mode plain
        candidates = [Key((home.tonic + step) % 12, how.mode) for step in options]
        shared = [len(set(key.scale) & set(keys[-1].scale)) for key in candidates]
        weights = [
            weight * max(0.01, min(tones - 2, 3)) for weight, tones in zip(options.values(), shared, strict=True)
        ]
        keys.append(rng.choices(candidates, weights)[0])
    return keys


def tempo_map(form: Form) -> list[tuple[int, float]]:
    """Return (tick, seconds per quarter) so that every section takes its time to the microsecond.

    Within a section the pace leans towards the next one in the last bar, breathes at the ends of phrases when the
    music is calm, and broadens before the end of the piece.
    """
    tempi: list[tuple[int, float]] = []
    for i, section in enumerate(form.sections):
        count = section.bars * form.meter
        pace = [1.0] * count
        for phrase in section.phrases:
            pace[(phrase.first_bar + phrase.bars) * form.meter - 1] *= 1.03 - 0.03 * section.character.arousal
        if i + 1 < len(form.sections):
            lean = max(-0.15, min(0.15, 0.5 * (form.sections[i + 1].quarter_s / section.quarter_s - 1)))
            for k in range(1, min(form.meter, count - 1) + 1):
                pace[-k] *= 1 + lean * (1 - (k - 1) / form.meter)
        elif section.bars > 1:
            for k in range(form.meter):
                pace[-1 - k] *= RITARDANDO[-1]
            for k, stretch in enumerate(reversed(RITARDANDO)):
                if form.meter + k < count - 1:
                    pace[-1 - form.meter - k] *= stretch
        scale = section.quarter_s * count / sum(pace)
        at = section.first_bar * form.meter
        for k, stretch in enumerate(pace):
            quarter_s = stretch * scale
            if not tempi or abs(tempi[-1][1] - quarter_s) > 1e-9:
                tempi.append(((at + k) * TICKS, quarter_s))
    return tempi
