"""Beats → a description in the style of a music caption. Knows words; composes nothing.

The sentences are what a text-to-music model is prompted with, and tell the embedded composer its genre. Form and
vocabulary follow MusicCaps (Agostinelli et al. 2023, "MusicLM"): genre, mood, instruments, tempo, course.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from engine.emotion.curve import Beat
from engine.music.character import Character, character
from engine.music.orchestra import Cast, cast, choose_style

MOODS: tuple[tuple[float, float, tuple[str, ...]], ...] = (
    (0.7, 0.7, ("joyful", "exhilarating", "festive")),
    (0.75, 0.2, ("happy", "cheerful", "bright")),
    (0.7, -0.3, ("warm", "hopeful", "tender")),
    (0.5, -0.8, ("peaceful", "serene", "dreamy")),
    (0.0, -0.9, ("sleepy", "hushed", "still")),
    (-0.5, -0.75, ("melancholic", "lonely", "mournful")),
    (-0.75, -0.3, ("sad", "gloomy", "wistful")),
    (-0.75, 0.2, ("troubled", "uneasy", "dark")),
    (-0.7, 0.7, ("tense", "threatening", "furious")),
    (0.0, 0.8, ("urgent", "driving", "restless")),
    (0.0, 0.0, ("calm", "pensive", "steady")),
)
"""Mood words of the captions with their places on the plane (after character.SPAN; Russell 1980, figure 4)."""

TEMPI = (("very slow", 66), ("slow", 82), ("moderate", 108), ("fast", 138), ("very fast", 999))
"""Names of tempi, each with the beats a minute below which it is used."""

MANNERS = (
    (-0.45, ("sustained, quiet notes", "soft, legato playing")),
    (0.0, ("a gentle accompaniment", "flowing broken chords")),
    (0.45, ("a steady pulse", "a clear rhythm")),
    (9.0, ("a driving rhythm", "energetic, loud playing")),
)
"""How it is played, each below an arousal (after SPAN)."""


class RulesDescriber:
    """Implements `engine.music.composer.Describer` by rules."""

    @property
    def name(self) -> str:
        """Name of the backend, as shown to people."""
        return "TuneTale caption rules"

    def describe(self, beats: tuple[Beat, ...], text: str, seed: int) -> str:
        """Return two sentences: what the piece is, and the course it takes; `text` is not needed by rules."""
        points = [(beat.valence, beat.arousal) for beat in beats]
        style = choose_style(points, seed)
        players = cast(style, seed)
        rng = Random(f"caption {seed}")
        whole = character(_mean(beats, "valence"), _mean(beats, "arousal"))
        moods = _course(beats, rng)
        first = (
            f"{_article(moods[0])} {moods[0]} {style.words[0]} in a {'major' if _is_major(whole) else 'minor'} key "
            f"{_tempo(beats, whole)}, with {', '.join(_instruments(players, beats))} and {manner(whole, rng)}."
        )
        return first + " " + _course_sentence(moods, beats)


def section_caption(beats: Sequence[Beat], i: int, seed: int, description: str) -> str:
    """Return the caption of beat `i` alone, played by the band of the whole piece in the genre of its description."""
    points = [(beat.valence, beat.arousal) for beat in beats]
    style = choose_style(points, seed, description)
    beat = beats[i]
    how, rng = character(beat.valence, beat.arousal), Random(f"section {seed} {i}")
    mood = rng.choice(moods_near(how))
    bpm = round(how.tempo_bpm / 5) * 5
    return (
        f"{_article(mood)} {mood} {style.words[0]} in a {'major' if _is_major(how) else 'minor'} key at a "
        f"{tempo_name(how.tempo_bpm)} tempo, around {bpm} bpm, with "
        f"{', '.join(_instruments(cast(style, seed), [beat]))} and {manner(how, rng)}."
    )


def tempo_name(bpm: float) -> str:
    """Return what captions call a tempo."""
    return next(name for name, below in TEMPI if bpm < below)


def moods_near(how: Character) -> tuple[str, ...]:
    """Return the mood words for a point of the plane."""
    return min(MOODS, key=lambda row: (row[0] - how.valence) ** 2 + (row[1] - how.arousal) ** 2)[2]


def manner(how: Character, rng: Random) -> str:
    """Return how the music is played."""
    return rng.choice(next(words for limit, words in MANNERS if how.arousal < limit))


def _course(beats: Sequence[Beat], rng: Random) -> list[str]:
    """Return the moods in order, without one that repeats the mood before."""
    moods: list[str] = []
    for beat in beats:
        options = moods_near(character(beat.valence, beat.arousal))
        if not moods or moods[-1] not in options:
            moods.append(rng.choice(options))
    return moods


def _course_sentence(moods: Sequence[str], beats: Sequence[Beat]) -> str:
    if len(moods) == 1:
        return f"The mood stays {moods[0]} throughout and comes to rest at the end."
    change = beats[-1].arousal - beats[0].arousal
    direction = "builds" if change > 0.25 else "calms" if change < -0.25 else "moves"
    middle = [f"turns {word}" for word in moods[1:-1][:3]]
    turns = f"{', '.join(middle)}, " if middle else ""
    return f"It begins {moods[0]}, {turns}and {direction} to {_article(moods[-1]).lower()} {moods[-1]} ending."


def _instruments(players: Cast, beats: Sequence[Beat]) -> list[str]:
    """Return who is heard: lead and accompaniment of the beats in order, then bass and drums; four at most."""
    names: list[str] = []
    for beat in beats:
        names.append(players.player("lead", beat.valence, beat.arousal).name)
        names.append(players.player("figure", beat.valence, beat.arousal).name)
    names.append(players.player("bass", beats[0].valence, beats[0].arousal).name)
    unique = list(dict.fromkeys(names))[:4]
    loudest = max(character(beat.valence, beat.arousal).drive for beat in beats)
    return [*unique[:3], "percussion"] if loudest > 0.3 else unique


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
