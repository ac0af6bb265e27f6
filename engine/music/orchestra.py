"""Instruments and styles. Knows General MIDI programs, their ranges and loudness, and who plays what when.

Only programs that are within 15 cents over the whole range given here (measured on TimGM6mb; a test measures every
one) are used, so organs with sounding octaves, bells, timpani, accordions and the horn are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

Role = Literal["lead", "counter", "figure", "pad", "bass"]


@dataclass(frozen=True)
class Instrument:
    """A General MIDI program (from 0), its usable range, and LUFS of a plain arpeggio at velocity 90 (measured)."""

    name: str
    program: int
    low: int
    high: int
    level: float

    def volume(self, target: float) -> int:
        """Return controller 7 that brings it to `target` LUFS; its gain is (value / 127) cubed, 127 at most."""
        return max(20, min(127, round(127 * 10 ** ((target - self.level) / 60))))


_TABLE = (
    Instrument("piano", 0, 28, 96, -29.3),
    Instrument("electric piano", 4, 36, 88, -22.5),
    Instrument("harpsichord", 6, 36, 84, -29.9),
    Instrument("music box", 10, 55, 80, -23.4),
    Instrument("vibraphone", 11, 53, 88, -17.4),
    Instrument("marimba", 12, 45, 84, -24.7),
    Instrument("dulcimer", 15, 45, 84, -30.2),
    Instrument("reed organ", 20, 40, 84, -22.2),
    Instrument("nylon guitar", 24, 40, 84, -20.1),
    Instrument("steel guitar", 25, 40, 84, -24.8),
    Instrument("jazz guitar", 26, 40, 84, -18.6),
    Instrument("clean guitar", 27, 40, 84, -25.0),
    Instrument("overdriven guitar", 29, 40, 80, -23.4),
    Instrument("distorted guitar", 30, 40, 80, -20.2),
    Instrument("double bass", 32, 34, 60, -19.8),
    Instrument("bass guitar", 33, 28, 60, -17.0),
    Instrument("fretless bass", 35, 28, 60, -18.0),
    Instrument("synth bass", 38, 28, 60, -18.1),
    Instrument("violin", 40, 55, 96, -18.9),
    Instrument("viola", 41, 48, 84, -18.8),
    Instrument("cello", 42, 36, 76, -17.8),
    Instrument("contrabass", 43, 28, 55, -20.8),
    Instrument("tremolo strings", 44, 40, 88, -18.3),
    Instrument("pizzicato strings", 45, 40, 88, -23.7),
    Instrument("harp", 46, 28, 96, -13.2),
    Instrument("strings", 48, 42, 79, -23.5),
    Instrument("slow strings", 49, 50, 86, -24.3),
    Instrument("synth strings", 50, 40, 86, -30.3),
    Instrument("choir", 53, 43, 84, -24.7),
    Instrument("trumpet", 56, 54, 84, -16.7),
    Instrument("trombone", 57, 36, 76, -21.4),
    Instrument("tuba", 58, 28, 58, -23.2),
    Instrument("brass", 61, 42, 84, -24.2),
    Instrument("soprano saxophone", 64, 56, 88, -16.5),
    Instrument("tenor saxophone", 66, 44, 76, -20.2),
    Instrument("oboe", 68, 58, 86, -15.5),
    Instrument("english horn", 69, 52, 80, -20.6),
    Instrument("bassoon", 70, 34, 70, -21.9),
    Instrument("clarinet", 71, 50, 88, -19.6),
    Instrument("flute", 73, 66, 96, -15.4),
    Instrument("recorder", 74, 60, 90, -20.2),
    Instrument("pan flute", 75, 58, 88, -23.1),
    Instrument("square synth", 80, 40, 90, -27.0),
    Instrument("saw synth", 81, 55, 90, -24.9),
    Instrument("glass pad", 88, 40, 72, -16.4),
    Instrument("warm pad", 89, 40, 72, -21.1),
    Instrument("bright pad", 91, 40, 84, -19.8),
    Instrument("banjo", 105, 48, 84, -18.7),
    Instrument("koto", 107, 45, 84, -17.9),
    Instrument("kalimba", 108, 48, 88, -19.1),
    Instrument("fiddle", 110, 55, 90, -19.7),
)
INSTRUMENTS: dict[str, Instrument] = {instrument.name: instrument for instrument in _TABLE}

Choice = tuple[str, ...]
Quadrants = tuple[Choice, Choice, Choice, Choice]
"""Names to choose from for: bright and lively, dark and lively, dark and calm, bright and calm."""


@dataclass(frozen=True)
class Style:
    """A genre: who may play each role in each quadrant, the drum kit (GM program), and where on the plane it fits.

    `words` are what a description calls it; the first names the genre.
    """

    name: str
    words: tuple[str, ...]
    home: tuple[float, float]
    reach: float
    kit: int
    swing: bool
    lead: Quadrants
    figure: Quadrants
    counter: tuple[str, ...]
    pad: tuple[Choice, Choice]
    bass: tuple[Choice, Choice]


STYLES: dict[str, Style] = {
    style.name: style
    for style in (
        Style(
            name="chamber",
            words=("chamber piece", "chamber", "classical", "quartet"),
            home=(0.1, -0.3),
            reach=0.7,
            kit=48,
            swing=False,
            lead=(
                ("violin", "flute", "clarinet"),
                ("violin", "piano"),
                ("cello", "oboe", "english horn"),
                ("piano", "flute", "clarinet"),
            ),
            figure=(("pizzicato strings", "piano"), ("piano", "strings"), ("piano", "harp"), ("harp", "piano")),
            counter=("viola", "clarinet", "bassoon"),
            pad=(("slow strings",), ("slow strings", "strings")),
            bass=(("cello",), ("contrabass", "cello")),
        ),
        Style(
            name="orchestral",
            words=("cinematic orchestral piece", "orchestral", "orchestra", "symphonic", "cinematic", "epic"),
            home=(-0.2, 0.4),
            reach=0.9,
            kit=48,
            swing=False,
            lead=(
                ("trumpet", "violin"),
                ("trombone", "brass", "violin"),
                ("english horn", "cello", "oboe"),
                ("oboe", "flute", "violin"),
            ),
            figure=(
                ("strings", "pizzicato strings"),
                ("strings", "tremolo strings"),
                ("harp", "slow strings"),
                ("harp",),
            ),
            counter=("trombone", "clarinet", "viola"),
            pad=(("strings", "slow strings"), ("brass", "tremolo strings", "choir")),
            bass=(("contrabass", "cello"), ("contrabass", "tuba")),
        ),
        Style(
            name="folk",
            words=("acoustic folk tune", "folk", "acoustic", "country", "celtic"),
            home=(0.35, 0.0),
            reach=0.7,
            kit=40,
            swing=False,
            lead=(
                ("fiddle", "recorder", "banjo"),
                ("fiddle", "dulcimer"),
                ("pan flute", "cello", "nylon guitar"),
                ("nylon guitar", "flute", "recorder"),
            ),
            figure=(
                ("steel guitar", "banjo"),
                ("steel guitar", "dulcimer"),
                ("nylon guitar", "harp"),
                ("nylon guitar", "harp"),
            ),
            counter=("viola", "recorder", "clarinet"),
            pad=(("slow strings", "reed organ"), ("slow strings",)),
            bass=(("double bass",), ("double bass",)),
        ),
        Style(
            name="band",
            words=("pop and rock track", "rock", "pop", "band", "metal", "funk"),
            home=(0.1, 0.55),
            reach=0.6,
            kit=0,
            swing=False,
            lead=(
                ("clean guitar", "soprano saxophone", "piano"),
                ("overdriven guitar", "distorted guitar"),
                ("clean guitar", "electric piano"),
                ("electric piano", "clean guitar"),
            ),
            figure=(
                ("piano", "clean guitar"),
                ("distorted guitar", "overdriven guitar"),
                ("clean guitar", "electric piano"),
                ("electric piano", "steel guitar"),
            ),
            counter=("clean guitar", "tenor saxophone", "electric piano"),
            pad=(("warm pad", "synth strings"), ("synth strings", "strings")),
            bass=(("fretless bass", "bass guitar"), ("bass guitar",)),
        ),
        Style(
            name="electronic",
            words=("electronic track", "electronic", "ambient", "synth", "techno", "dance"),
            home=(-0.1, 0.1),
            reach=0.8,
            kit=24,
            swing=False,
            lead=(
                ("square synth", "saw synth", "marimba"),
                ("saw synth", "square synth"),
                ("vibraphone", "clarinet"),
                ("kalimba", "vibraphone", "music box"),
            ),
            figure=(
                ("kalimba", "saw synth", "marimba"),
                ("saw synth", "square synth"),
                ("electric piano", "kalimba"),
                ("electric piano", "kalimba"),
            ),
            counter=("synth strings", "electric piano", "vibraphone"),
            pad=(("bright pad", "warm pad"), ("synth strings", "warm pad")),
            bass=(("fretless bass", "synth bass"), ("synth bass",)),
        ),
        Style(
            name="jazz",
            words=("jazz tune", "jazz", "lounge", "swing", "blues"),
            home=(0.3, 0.05),
            reach=0.5,
            kit=32,
            swing=True,
            lead=(
                ("tenor saxophone", "piano", "trumpet"),
                ("tenor saxophone", "trumpet"),
                ("tenor saxophone", "jazz guitar"),
                ("vibraphone", "jazz guitar", "piano"),
            ),
            figure=(("piano",), ("piano", "electric piano"), ("electric piano", "piano"), ("jazz guitar", "piano")),
            counter=("clarinet", "vibraphone", "jazz guitar"),
            pad=(("slow strings",), ("slow strings",)),
            bass=(("double bass",), ("double bass",)),
        ),
    )
}


@dataclass(frozen=True)
class Cast:
    """One style with one instrument chosen for every place; the same in the whole piece."""

    style: Style
    lead: tuple[Instrument, ...]
    figure: tuple[Instrument, ...]
    counter: Instrument
    pad: tuple[Instrument, Instrument]
    bass: tuple[Instrument, Instrument]

    def player(self, role: Role, valence: float, arousal: float) -> Instrument:
        """Return who plays a role where the music stands at a point of the plane."""
        match role:
            case "lead":
                return self.lead[quadrant(valence, arousal)]
            case "figure":
                return self.figure[quadrant(valence, arousal)]
            case "pad":
                return self.pad[0 if valence >= 0 or arousal < 0 else 1]
            case "bass":
                return self.bass[1 if arousal > 0.1 else 0]
            case "counter":
                return self.counter


def quadrant(valence: float, arousal: float) -> int:
    """Return 0 to 3, counter-clockwise from bright and lively."""
    return (0 if valence >= 0 else 1) if arousal >= 0 else (3 if valence >= 0 else 2)


def choose_style(points: Sequence[tuple[float, float]], seed: int, description: str = "") -> Style:
    """Return the style that the description names, else one drawn with weights by how well it fits the feelings.

    Points are (valence, arousal). A style named by the word that comes first wins.
    """
    text = "".join(c if c.isalpha() else " " for c in f" {description.lower()} ")
    words = ((word, style) for style in STYLES.values() for word in style.words)
    named = [(at, style) for word, style in words if (at := text.find(f" {word} ")) >= 0]
    if named:
        return min(named, key=lambda pair: pair[0])[1]
    v = sum(point[0] for point in points) / len(points)
    a = sum(point[1] for point in points) / len(points)

    def fit(style: Style) -> float:
        squared = (v - style.home[0]) ** 2 + (a - style.home[1]) ** 2
        return float(2.0 ** (-2 * squared / style.reach**2))

    return Random(f"style {seed}").choices(list(STYLES.values()), [fit(style) for style in STYLES.values()])[0]


def cast(style: Style, seed: int) -> Cast:
    """Choose an instrument for every place of a style."""
    rng = Random(f"cast {style.name} {seed}")
    lead = tuple(INSTRUMENTS[rng.choice(names)] for names in style.lead)
    figure = tuple(
        INSTRUMENTS[rng.choice([name for name in names if name != lead[i].name] or names)]
        for i, names in enumerate(style.figure)
    )
    leads = {instrument.name for instrument in lead}
    counter = INSTRUMENTS[rng.choice([name for name in style.counter if name not in leads] or style.counter)]
    pad = tuple(INSTRUMENTS[rng.choice(names)] for names in style.pad)
    bass = tuple(INSTRUMENTS[rng.choice(names)] for names in style.bass)
    return Cast(style, lead, figure, counter, (pad[0], pad[1]), (bass[0], bass[1]))
