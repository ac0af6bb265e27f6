"""Beats → a description in the style of a music caption. Knows words; composes nothing.

The sentences are what a text-to-music model is prompted with, and tell the embedded composer its genre. Form and
vocabulary follow MusicCaps (Agostinelli et al. 2023, "MusicLM"): genre, mood, instruments, tempo, course.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

from engine.emotion.calibration import Calibration
from engine.emotion.curve import Beat
from engine.music.character import Character, character
from engine.music.orchestra import Cast, cast, choose_style
from engine.report import Report, silent

MOODS: tuple[tuple[float, float, tuple[str, ...]], ...] = (
    (0.75, 0.75, ("joyful", "exhilarating", "festive")),
    (0.35, 0.6, ("triumphant", "heroic", "spirited")),
    (0.75, 0.2, ("happy", "cheerful", "bright")),
    (0.35, 0.2, ("playful", "light-hearted", "lively")),
    (0.7, -0.3, ("warm", "hopeful", "tender")),
    (0.3, -0.35, ("gentle", "soothing", "relaxed")),
    (0.5, -0.8, ("peaceful", "serene", "dreamy")),
    (0.0, -0.85, ("sleepy", "hushed", "still")),
    (-0.5, -0.75, ("melancholic", "lonely", "mournful")),
    (-0.3, -0.3, ("nostalgic", "bittersweet", "reflective")),
    (-0.75, -0.3, ("sad", "gloomy", "wistful")),
    (-0.75, 0.2, ("troubled", "uneasy", "dark")),
    (-0.35, 0.2, ("mysterious", "suspenseful", "anxious")),
    (-0.7, 0.7, ("tense", "threatening", "furious")),
    (-0.1, 0.7, ("urgent", "driving", "restless")),
    (0.0, 0.0, ("calm", "pensive", "thoughtful")),
)
"""Mood words of the captions with their places on the plane, in units of two SDs of music (Russell 1980, figure 4)."""
_SDS = 2.0

TEMPI = (("very slow", 66), ("slow", 82), ("moderate", 108), ("fast", 138), ("very fast", 999))
"""Names of tempi, each with the beats a minute below which it is used."""

MANNERS = (
    (-0.45, ("sustained, quiet notes", "soft, legato playing")),
    (0.0, ("a gentle accompaniment", "flowing broken chords")),
    (0.45, ("a steady pulse", "a clear rhythm")),
    (9.0, ("a driving rhythm", "energetic, loud playing")),
)
"""How it is played, each below an arousal (after SPAN)."""


_DRIVING = 0.3
"""Drive from which percussion is worth a word."""


class RulesDescriber:
    """Implements `engine.music.composer.Describer` by rules."""

    @property
    def name(self) -> str:
        """Name of the backend, as shown to people."""
        return "TuneTale caption rules"

    def describe(self, beats: tuple[Beat, ...], text: str, seed: int, report: Report = silent) -> str:
        """Return two sentences: what the piece is, and the course it takes; rules need no `text`, and no time."""
        points = [(beat.valence, beat.arousal) for beat in beats]
        style = choose_style(points, seed)
        players = cast(style, seed)
        rng = Random(f"caption {seed}")
        mean = Beat(beats[0].start_s, beats[-1].end_s, _mean(beats, "valence"), _mean(beats, "arousal"), "")
        whole = character(mean.valence, mean.arousal)
        moods, options = _course(beats, rng), moods_near(mean)
        mood = next((word for word in moods if word in options), options[0])
        first = (
            f"{_article(mood)} {mood} {style.words[0]} in a {'major' if _is_major(whole) else 'minor'} key "
            f"{_tempo(beats, whole)}, featuring {_band(players, beats)}, with {manner(whole, rng)}."
        )
        return first + " " + _course_sentence(moods, beats)


def section_caption(beats: Sequence[Beat], i: int, seed: int, description: str) -> str:
    """Return the caption of beat `i` alone, played by the band of the whole piece in the genre of its description."""
    points = [(beat.valence, beat.arousal) for beat in beats]
    style = choose_style(points, seed, description)
    beat = beats[i]
    how, rng = character(beat.valence, beat.arousal), Random(f"section {seed} {i}")
    mood = rng.choice(moods_near(beat))
    bpm = round(how.tempo_bpm / 5) * 5
    return (
        f"{_article(mood)} {mood} {style.words[0]} in a {'major' if _is_major(how) else 'minor'} key at a "
        f"{tempo_name(how.tempo_bpm)} tempo, around {bpm} bpm, featuring {_band(cast(style, seed), [beat])}, with "
        f"{manner(how, rng)}."
    )


def tempo_name(bpm: float) -> str:
    """Return what captions call a tempo."""
    return next(name for name, below in TEMPI if bpm < below)


def moods_near(beat: Beat) -> tuple[str, ...]:
    """Return the mood words for a beat, by where it lies among all music: few pieces reach the edge of the plane."""
    scale = Calibration.load().music
    (mean_v, mean_a), (sd_v, sd_a) = scale.mean, scale.sd
    valence = max(-1.0, min(1.0, (beat.valence - mean_v) / (_SDS * sd_v)))
    arousal = max(-1.0, min(1.0, (beat.arousal - mean_a) / (_SDS * sd_a)))
    return min(MOODS, key=lambda row: (row[0] - valence) ** 2 + (row[1] - arousal) ** 2)[2]


def manner(how: Character, rng: Random) -> str:
    """Return how the music is played."""
    return rng.choice(next(words for limit, words in MANNERS if how.arousal < limit))


def _course(beats: Sequence[Beat], rng: Random) -> list[str]:
    """Return the moods in order, without one that repeats the mood before."""
    moods: list[str] = []
    for beat in beats:
        options = moods_near(beat)
        if not moods or moods[-1] not in options:
            moods.append(rng.choice(options))
    return moods


def _course_sentence(moods: Sequence[str], beats: Sequence[Beat]) -> str:
    if len(moods) == 1:
        return f"The mood stays {moods[0]} throughout and comes to rest at the end."
    change = beats[-1].arousal - beats[0].arousal
    direction = "builds" if change > 0.25 else "calms" if change < -0.25 else "moves"
    middle = moods[1:-1][:3]
    turns = f", turns {', then '.join(middle)}," if middle else ""
    return f"It begins {moods[0]}{turns} and {direction} to {_article(moods[-1]).lower()} {moods[-1]} ending."


def _band(players: Cast, beats: Sequence[Beat]) -> str:
    """Return who is heard: two that lead, in the order of the beats, and two that accompany or percussion."""
    leads = _unique(players.player("lead", beat.valence, beat.arousal).name for beat in beats)[:2]
    others = [players.player("figure", beat.valence, beat.arousal).name for beat in beats]
    others.append(players.player("bass", beats[0].valence, beats[0].arousal).name)
    below = [name for name in _unique(others) if name not in leads][:2]
    if max(character(beat.valence, beat.arousal).drive for beat in beats) > _DRIVING:
        below = [*below[:1], "percussion"]
    return " and ".join(leads) + (f" over {' and '.join(below)}" if below else "")


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _is_major(how: Character) -> bool:
    return how.mode in ("major", "lydian", "mixolydian")


def _mean(beats: Sequence[Beat], name: str) -> float:
    lengths = [beat.end_s - beat.start_s for beat in beats]
    total = sum(lengths)
    weighted = sum(getattr(beat, name) * length for beat, length in zip(beats, lengths, strict=True))
    return float(weighted / total)


def _tempo(beats: Sequence[Beat], whole: Character) -> str:
    """Name the tempo, or the slowest and the fastest where they differ much."""
    bpm = [character(beat.valence, beat.arousal).tempo_bpm for beat in beats]
    slow, fast = tempo_name(min(bpm)), tempo_name(max(bpm))
    if max(bpm) > 1.4 * min(bpm) and slow != fast:
        return f"at a tempo that changes between {slow} and {fast}"
    return f"at a {tempo_name(whole.tempo_bpm)} tempo, around {round(whole.tempo_bpm / 5) * 5} bpm"


def _article(word: str) -> str:
    return "An" if word[0] in "aeiou" else "A"
