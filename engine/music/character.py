"""Valence and arousal → how music is to be played. Knows the psychology of musical expression and nothing else.

Sources, and what was taken from each:

* Juslin & Laukka (2004), "Expression, perception, and induction of musical emotions", *J. New Music Research* 33(3),
  table 3: tempo, loudness, register, articulation and timbre of happiness, sadness, anger, fear and tenderness.
* Gabrielsson & Lindström (2010), "The role of structure in the musical expression of emotions", in *Handbook of Music
  and Emotion*, ch. 14: mode, harmony (consonance/dissonance), melodic range and direction, density.
* Livingstone, Muhlberger, Brown & Thompson (2010), "Changing musical emotion: a computational rule system",
  *Computer Music Journal* 34(1): the rules as directions on the plane (tempo, loudness and articulation follow
  arousal; mode and pitch height follow valence first).

The table (`docs/music.md` repeats it for readers):

| feature               | low valence       | high valence | low arousal | high arousal      |
|-----------------------|-------------------|--------------|-------------|-------------------|
| mode                  | phrygian, minor   | major        |             |                   |
| tempo                 | slower            | faster       | 54          | 180 beats/minute  |
| register              | lower             | higher       | lower       | higher            |
| loudness              |                   |              | soft        | loud              |
| density               | a little less     | a bit more   | 0.5         | 2.5 notes a beat  |
| articulation          | legato            | detached     | legato      | detached          |
| dissonance            | with arousal      | none         |             | with low valence  |
| timbre                |                   |              | dull        | bright            |
| percussion            |                   | more         | none        | full, driving     |
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SPAN = 0.4
"""Coordinate with three quarters of the full effect: about two standard deviations of what is heard in real music and
wanted by stories (`assets/calibration.json`). Beyond it the effect grows ever more slowly, but never stands still."""

AROUSAL_AT_ORIGIN = 0.1
"""Added before SPAN: the origin is the average piece of music, which has a beat, not silence."""

TEMPO_BPM = 98.0
TEMPO_OCTAVES_BY_AROUSAL = 0.9
TEMPO_OCTAVES_BY_VALENCE = 0.2
"""Quarter notes a minute in the middle, and doublings per unit: 54 to 180 over [-0.8, 0.8]."""

REGISTER = 67.0
REGISTER_BY_VALENCE = 10.0
REGISTER_BY_AROUSAL = 4.0
"""Centre of the melody as a MIDI pitch (G4), and semitones per unit."""

VELOCITY = 72.0
VELOCITY_BY_AROUSAL = 33.0
VELOCITY_BY_VALENCE = 0.0
"""MIDI velocity of an ordinary note; sound pressure is proportional to it, so the span is about 8 dB."""

DENSITY = 1.1
DENSITY_OCTAVES_BY_AROUSAL = 1.2
DENSITY_OCTAVES_BY_VALENCE = 0.15
"""Melody notes per quarter in the middle, and doublings per unit."""

GATE = 0.93
GATE_BY_AROUSAL = -0.17
GATE_BY_VALENCE = -0.4
"""Sounding share of a written note (1 = legato), and its change per unit."""

TREBLE_DB = -6.0
TREBLE_DB_BY_AROUSAL = 9.0
"""Level above 2 kHz: sadness and tenderness have little high-frequency energy, anger and joy much."""

DISSONANCE = 0.06
DISSONANCE_BY_DARKNESS = 0.28
DISSONANCE_BY_DARKNESS_AND_AROUSAL = 0.34
"""Share of tense chords and of rubbing notes: fear and anger are dissonant, sadness is not."""

DRIVE_BY_BRIGHTNESS = 0.15
"""Percussion that joy has beyond its arousal: dancing is bright."""

MODE_THRESHOLDS = ((-0.55, "phrygian"), (-0.14, "minor"), (0.02, "dorian"), (0.16, "mixolydian"), (0.62, "major"))
"""Highest valence (after SPAN) of each mode; above the last it may be lydian. Phrygian needs arousal too."""


@dataclass(frozen=True)
class Character:
    """How a section is to be played; `valence` and `arousal` are after SPAN, in [-1, 1]."""

    valence: float
    arousal: float
    mode: str
    tempo_bpm: float
    register: float
    velocity: float
    density: float
    gate: float
    dissonance: float
    treble_db: float
    drive: float
    """Percussion: 0 none … 1 everything."""
    breadth: float
    """Melodic range and size of leaps: 0 narrow … 1 wide."""


def character(valence: float, arousal: float, shade: float = 0.5) -> Character:
    """Return what the table says at a point of the plane; `shade` in [0, 1) picks among equally fitting modes."""
    v, a = (math.tanh(x / SPAN) for x in (valence, arousal + AROUSAL_AT_ORIGIN))
    return Character(
        valence=v,
        arousal=a,
        mode=_mode(v, a, shade),
        tempo_bpm=TEMPO_BPM * 2 ** (TEMPO_OCTAVES_BY_AROUSAL * a + TEMPO_OCTAVES_BY_VALENCE * v),
        register=REGISTER + REGISTER_BY_VALENCE * v + REGISTER_BY_AROUSAL * a,
        velocity=VELOCITY + VELOCITY_BY_AROUSAL * a + VELOCITY_BY_VALENCE * v,
        density=DENSITY * 2 ** (DENSITY_OCTAVES_BY_AROUSAL * a + DENSITY_OCTAVES_BY_VALENCE * v),
        gate=min(1.0, GATE + GATE_BY_AROUSAL * a + GATE_BY_VALENCE * v),
        dissonance=DISSONANCE
        + max(0.0, -v) * max(0.0, DISSONANCE_BY_DARKNESS + DISSONANCE_BY_DARKNESS_AND_AROUSAL * a),
        treble_db=TREBLE_DB + TREBLE_DB_BY_AROUSAL * a,
        drive=max(0.0, min(1.0, (a + 0.05 + DRIVE_BY_BRIGHTNESS * max(0.0, v)) / 0.95)),
        breadth=max(0.0, min(1.0, 0.45 + 0.3 * a + 0.2 * v)),
    )


def _mode(v: float, a: float, shade: float) -> str:
    jittered = v + 0.08 * (shade - 0.5)
    mode = next((mode for limit, mode in MODE_THRESHOLDS if jittered < limit), "lydian")
    if mode == "phrygian" and (a < 0.1 or shade < 0.4):
        return "minor"
    if mode == "lydian" and (a > 0.5 or shade < 0.6):
        return "major"
    return mode
