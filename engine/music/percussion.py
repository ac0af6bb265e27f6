"""Drum grooves and fills. Knows General MIDI percussion keys; knows no harmony.

A groove is a bar of sixteenths for every drum: X accent, x plain, o soft. Which one plays follows the drive (arousal)
and whether the music is bright or dark: dark grooves live on low drums, bright ones on snare, hats and claps.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from engine.music.character import Character

KICK, RIM, SNARE, CLAP = 36, 37, 38, 39
LOW_TOM, HAT, MID_TOM, OPEN_HAT, HIGH_TOM, CRASH, RIDE = 43, 42, 45, 46, 48, 49, 51
TAMBOURINE, SHAKER = 54, 70
CONCERT_CYMBAL = 59
ORCHESTRA_KIT = 48

STRENGTH = {"X": 1.0, "x": 0.8, "o": 0.5}
"""Share of the section's velocity."""


@dataclass(frozen=True)
class Hit:
    """A drum stroke: onset in quarters from the section's start, key and share of the velocity."""

    onset: float
    key: int
    strength: float


@dataclass(frozen=True)
class Groove:
    """A bar of sixteenths for each drum, the drive it suits, and its valence (None: any)."""

    drive: float
    valence: float | None
    lines: dict[int, str]


KIT: dict[int, tuple[Groove, ...]] = {
    4: (
        Groove(0.1, None, {SHAKER: "o.o.x.o.o.o.x.o."}),
        Groove(0.15, None, {HAT: "o...x...o...x...", KICK: "o..............."}),
        Groove(0.3, None, {SHAKER: "x.o.x.o.x.o.x.o.", KICK: "x.......x.......", RIM: "....x.......x..."}),
        Groove(0.45, 0.5, {HAT: "x.o.x.o.x.o.x.o.", KICK: "x.....x.x.......", SNARE: "....x.......x..."}),
        Groove(0.5, 0.6, {TAMBOURINE: "x.o.X.o.x.o.X.o.", KICK: "x...x...x...x...", CLAP: "....x.......x..."}),
        Groove(0.45, -0.5, {LOW_TOM: "x..o..x...o.x...", KICK: "x.......x.......", RIM: "......o.......o."}),
        Groove(0.7, 0.5, {HAT: "X.x.X.x.X.x.X.x.", KICK: "X..x..x.X..x....", SNARE: "....X.......X..o"}),
        Groove(
            0.75,
            -0.5,
            {
                LOW_TOM: "X..x..x.X..x..x.",
                MID_TOM: "....o.......o.x.",
                KICK: "X.......X.......",
                SNARE: "....x.......x...",
            },
        ),
        Groove(
            0.95,
            0.6,
            {
                OPEN_HAT: "..X...X...X...X.",
                KICK: "X...X...X...X...",
                SNARE: "....X.......X...",
                HAT: "x...x...x...x...",
            },
        ),
        Groove(
            0.95,
            -0.6,
            {
                RIDE: "X.x.X.x.X.x.X.x.",
                KICK: "X.xxX.xxX.xxX.xx",
                SNARE: "....X.......X...",
                LOW_TOM: "..............xx",
            },
        ),
    ),
    3: (
        Groove(0.1, None, {SHAKER: "o.o.x.o.x.o."}),
        Groove(0.3, None, {KICK: "x...........", RIM: "....x...x...", SHAKER: "x.o.x.o.x.o."}),
        Groove(0.6, 0.5, {KICK: "X.......o...", SNARE: "....x...x...", HAT: "x.o.x.o.x.o."}),
        Groove(0.6, -0.5, {KICK: "X..x........", LOW_TOM: "....x..ox.o.", SNARE: "........x..."}),
        Groove(0.9, 0.5, {KICK: "X.....x.....", SNARE: "....X...X...", HAT: "x.x.x.x.x.x."}),
        Groove(0.9, -0.5, {KICK: "X..xX..xX..x", LOW_TOM: "..x...x...x.", SNARE: "....X...X.xx"}),
    ),
}
SWING: dict[int, tuple[Groove, ...]] = {
    4: (
        Groove(0.1, None, {RIDE: "o...x...o...x..."}),
        Groove(0.4, None, {RIDE: "x...x.o.x...x.o.", HAT: "....o.......o..."}),
        Groove(
            0.7,
            None,
            {RIDE: "X...X.x.X...X.x.", HAT: "....x.......x...", KICK: "x.....o...o.....", SNARE: "......o.......x."},
        ),
        Groove(
            1.0,
            None,
            {RIDE: "X.o.X.x.X.o.X.x.", HAT: "....X.......X...", KICK: "X.....x.X..x..x.", SNARE: "..o.X..x.xo.X..x"},
        ),
    ),
    3: (
        Groove(0.1, None, {RIDE: "o...o...o..."}),
        Groove(0.6, None, {RIDE: "x...x.o.x...", HAT: "....o...o...", KICK: "x..........."}),
        Groove(1.0, None, {RIDE: "X.o.X.x.X.x.", HAT: "....x...x...", KICK: "X.....x.....", SNARE: "..x.X.x.X..x"}),
    ),
}
ORCHESTRA: dict[int, tuple[Groove, ...]] = {
    4: (
        Groove(0.2, None, {KICK: "x..............."}),
        Groove(0.45, 0.4, {KICK: "x.......o.......", SNARE: "....o.......o.oo", TAMBOURINE: "....o.......o..."}),
        Groove(0.45, -0.4, {KICK: "x.....x...x....."}),
        Groove(0.7, 0.5, {KICK: "X.......x.......", SNARE: "x.xxx.x.x.xxx.x."}),
        Groove(0.7, -0.5, {KICK: "X..x..x.X..x..x.", SNARE: "............xxxx"}),
        Groove(
            0.95,
            0.5,
            {
                KICK: "X...X...X...X...",
                SNARE: "XoxoXoxoXoxoXoxx",
                TAMBOURINE: "..x...x...x...x.",
                CONCERT_CYMBAL: "X...............",
            },
        ),
        Groove(0.95, -0.5, {KICK: "X.xX.xX.X.xX.xXx", SNARE: "xoXoxoXoxoXoxoXx", CONCERT_CYMBAL: "X.......X......."}),
    ),
    3: (
        Groove(0.2, None, {KICK: "x..........."}),
        Groove(0.6, 0.5, {KICK: "X...........", SNARE: "....x...x.xx", TAMBOURINE: "....o...o..."}),
        Groove(0.6, -0.5, {KICK: "X..x..x....."}),
        Groove(
            0.95,
            0.5,
            {
                KICK: "X...X...X...",
                SNARE: "XoxoXoxoXoxx",
                TAMBOURINE: "..x...x...x.",
                CONCERT_CYMBAL: "X...........",
            },
        ),
        Groove(0.95, -0.5, {KICK: "X.xX.xX.xX.x", SNARE: "xoXoxoXoxoXx", CONCERT_CYMBAL: "X..........."}),
    ),
}

AUDIBLE_DRIVE = 0.06
"""Below this there is no percussion."""


def choose(kit: int, swing: bool, meter: int, how: Character, rng: Random) -> Groove | None:
    """Return the groove that suits the character, None when the music is too calm for one."""
    if how.drive < AUDIBLE_DRIVE:
        return None
    bank = SWING if swing else ORCHESTRA if kit == ORCHESTRA_KIT else KIT

    def misfit(groove: Groove) -> float:
        valence = 0.0 if groove.valence is None else 0.35 * abs(groove.valence - how.valence)
        return abs(groove.drive - how.drive) + valence

    ranked = sorted(bank[meter], key=misfit)[:2]
    second = misfit(ranked[-1]) < misfit(ranked[0]) + 0.15
    return ranked[-1] if second and rng.random() < 0.4 else ranked[0]


def strokes(groove: Groove, first_bar: int, bars: int, meter: int) -> list[Hit]:
    """Play a groove over some bars."""
    return [
        Hit(bar * meter + i / 4, key, STRENGTH[mark])
        for bar in range(first_bar, first_bar + bars)
        for key, line in groove.lines.items()
        for i, mark in enumerate(line)
        if mark in STRENGTH
    ]


def fill(bar: int, meter: int, kit: int, how: Character, rng: Random) -> list[Hit]:
    """Lead over into the next bar: the last quarter or two on snare and toms, growing."""
    span = 2 if how.drive > 0.5 and rng.random() < 0.6 else 1
    grid = 0.25 if how.drive > 0.4 else 0.5
    drums = (
        (SNARE,)
        if kit == ORCHESTRA_KIT
        else rng.choice(((SNARE, HIGH_TOM, MID_TOM, LOW_TOM), (SNARE,), (HIGH_TOM, LOW_TOM)))
    )
    count = round(span / grid)
    start = (bar + 1) * meter - span
    return [
        Hit(start + i * grid, drums[i * len(drums) // count], 0.45 + 0.5 * (i + 1) / count)
        for i in range(count)
        if i == 0 or i == count - 1 or rng.random() < 0.85
    ]


def crash(onset: float, kit: int, strength: float) -> list[Hit]:
    """Mark the beginning of a section."""
    return [Hit(onset, CONCERT_CYMBAL if kit == ORCHESTRA_KIT else CRASH, strength), Hit(onset, KICK, strength)]
