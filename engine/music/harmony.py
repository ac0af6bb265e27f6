"""Chord progressions. Knows which chord may follow which, and cadences; knows no rhythm, notes or instruments.

A progression is a walk on a weighted graph of functions, sampled on the condition that it begins and ends where the
phrase wants: weights are multiplied by the number of weighted ways that still lead to the goal (the backward messages
of a Markov chain), so that every phrase arrives at its cadence without a jolt. The graphs follow the tables of
common-practice and popular syntax (Kostka & Payne, *Tonal Harmony*; Piston; de Clercq & Temperley 2011, "A corpus
analysis of rock harmony", *Popular Music* 30).
"""

from __future__ import annotations

from random import Random

from engine.music.character import Character
from engine.music.form import Cadence
from engine.music.theory import Chord, Key, chord

Graph = dict[str, dict[str, float]]

MAJOR: Graph = {
    "I": {"IV": 3, "V": 2.5, "vi": 3, "ii": 2, "iii": 1.2, "V7/vi": 0.3, "V7/ii": 0.3},
    "ii": {"V": 5, "IV": 0.7, "viio": 0.5, "V7/V": 0.6},
    "iii": {"vi": 3, "IV": 3, "ii": 0.8},
    "IV": {"I": 2.5, "V": 4, "ii": 1.5, "iv": 0.4, "vi": 0.6},
    "V": {"I": 4, "vi": 2.2, "IV": 0.7, "iii": 0.4},
    "vi": {"ii": 2.5, "IV": 3.5, "V": 1.6, "iii": 1.2, "I": 0.4},
    "viio": {"I": 3, "iii": 1},
    "iv": {"I": 3, "V": 1},
    "V7/V": {"V": 1},
    "V7/vi": {"vi": 1},
    "V7/ii": {"ii": 1},
}
MIXOLYDIAN: Graph = {
    "I": {"bVII": 3.5, "IV": 3, "v": 1.2, "vi": 1.2, "ii": 1},
    "ii": {"IV": 2, "bVII": 1.5, "V": 1.5},
    "IV": {"I": 4, "bVII": 2, "V": 1.2, "ii": 0.6},
    "v": {"IV": 2, "bVII": 1.5, "I": 1},
    "V": {"I": 4, "IV": 1},
    "vi": {"IV": 3, "bVII": 2, "ii": 1},
    "bVII": {"IV": 3, "I": 3.5, "v": 0.5},
}
LYDIAN: Graph = {
    "I": {"II": 3, "V": 2, "vi": 2, "iii": 1.5, "IV": 0.8},
    "II": {"I": 2.5, "V": 2, "vi": 1, "iii": 0.8},
    "iii": {"vi": 2, "II": 1.5, "V": 1},
    "V": {"I": 3, "vi": 2, "II": 1},
    "vi": {"II": 3, "V": 1.5, "iii": 1, "IV": 1},
    "IV": {"V": 3, "I": 2},
}
MINOR: Graph = {
    "i": {"iv": 2.5, "bVI": 3, "bVII": 2.2, "V": 1.6, "v": 0.8, "bIII": 1.5, "iio": 0.8, "V7/iv": 0.2},
    "iio": {"V": 5, "v": 0.5},
    "bIII": {"bVI": 3, "iv": 2, "bVII": 2.2},
    "iv": {"V": 3, "i": 2, "bVII": 2, "iio": 0.8, "bVI": 0.6},
    "V": {"i": 4, "bVI": 2},
    "v": {"bVI": 2.5, "i": 2, "iv": 1.2},
    "bVI": {"bIII": 2, "iv": 2, "bVII": 3, "iio": 0.8, "V": 1.6, "i": 0.6},
    "bVII": {"bIII": 2.5, "i": 2.5, "bVI": 1.6, "v": 0.5},
    "V7/iv": {"iv": 1},
    "bII": {"V": 3, "i": 1},
    "viio7": {"i": 3, "V": 1},
}
DORIAN: Graph = {
    "i": {"IV": 3.5, "bVII": 3, "ii": 1.5, "bIII": 1.5, "v": 1.2},
    "ii": {"v": 1, "i": 1.5, "bVII": 1, "IV": 1, "V": 1},
    "bIII": {"IV": 2.5, "bVII": 2},
    "IV": {"i": 3.5, "bVII": 1.5, "v": 0.8, "bIII": 0.6, "V": 0.8},
    "v": {"i": 2, "IV": 2},
    "V": {"i": 4},
    "bVII": {"i": 3, "IV": 2, "bIII": 1},
}
PHRYGIAN: Graph = {
    "i": {"bII": 4, "bvii": 2, "bVI": 2, "iv": 1.5, "bIII": 1},
    "bII": {"i": 4, "bVI": 1, "bvii": 1.2, "V": 1},
    "bIII": {"bII": 3, "iv": 1.5},
    "iv": {"bII": 1.5, "i": 2, "bIII": 1, "V": 1},
    "bVI": {"bII": 2, "bvii": 2, "iv": 1, "viio7": 0.7},
    "bvii": {"i": 2.5, "bVI": 2},
    "V": {"i": 4, "bVI": 1},
    "viio7": {"i": 3},
}
GRAPHS: dict[str, Graph] = {
    "major": MAJOR,
    "mixolydian": MIXOLYDIAN,
    "lydian": LYDIAN,
    "minor": MINOR,
    "dorian": DORIAN,
    "phrygian": PHRYGIAN,
}

CADENCES: dict[str, dict[Cadence, tuple[tuple[str, ...], ...]]] = {
    "major": {
        "half": (("ii", "V"), ("IV", "V"), ("vi", "V"), ("I", "V")),
        "authentic": (("V7", "I"),),
        "plagal": (("IV", "I"), ("iv", "I")),
        "deceptive": (("V7", "vi"),),
        "link": (("ii", "V"), ("IV", "V")),
        "final": (("V7", "I"), ("V7", "I"), ("IV", "I")),
    },
    "minor": {
        "half": (("iv", "V"), ("bVI", "V"), ("iio", "V")),
        "authentic": (("V7", "i"),),
        "plagal": (("iv", "i"),),
        "deceptive": (("V7", "bVI"),),
        "link": (("iv", "V"), ("bVI", "V")),
        "final": (("V7", "i"), ("V7", "i"), ("iv", "i")),
    },
    "mixolydian": {"authentic": (("bVII", "I"),), "final": (("bVII", "I"), ("IV", "I"))},
    "lydian": {"half": (("II", "V"),), "authentic": (("V", "I"), ("II", "I"))},
    "dorian": {
        "half": (("IV", "v"), ("bIII", "bVII")),
        "authentic": (("bVII", "i"), ("v", "i")),
        "plagal": (("IV", "i"),),
        "deceptive": (("v", "IV"),),
        "final": (("IV", "i"), ("bVII", "i")),
    },
    "phrygian": {
        "half": (("bvii", "bII"), ("bVI", "bII"), ("iv", "V")),
        "authentic": (("bII", "i"), ("bvii", "i")),
        "final": (("bII", "i"), ("V7", "i")),
        "deceptive": (("bII", "bVI"),),
    },
}
"""Last two chords of a phrase; a mode takes what it lacks from "major" or "minor"."""


def progression(key: Key, chords: int, cadence: Cadence, opening: str | None, how: Character, rng: Random) -> list[str]:
    """Return `chords` numerals that end in the cadence; `opening` is the first one, by default the tonic.

    Dark and stirred characters lean on the tense neighbours (bII, vii°7, V7/x), calm ones avoid dominants.
    """
    close = _cadence(key, cadence, rng)[-chords:]
    free = chords - len(close)
    if free == 0:
        return list(close)
    graph = _coloured(GRAPHS[key.mode], how)
    first = opening or ("I" if key.is_major else "i")
    return [*_bridge(graph, first, free, close[0], rng), *close]


def _cadence(key: Key, cadence: Cadence, rng: Random) -> tuple[str, ...]:
    own = CADENCES[key.mode].get(cadence)
    return rng.choice(own or CADENCES["major" if key.is_major else "minor"][cadence])


def _coloured(graph: Graph, how: Character) -> Graph:
    """Return the graph with tense chords made likelier by dissonance, and dominants rarer by calm."""
    tense = 0.4 + 3.0 * how.dissonance
    out: Graph = {}
    for here, nexts in graph.items():
        weights = dict(nexts)
        if here in ("i", "iv", "bVI") and how.dissonance > 0.3:
            weights["viio7"] = weights.get("viio7", 0.0) + how.dissonance
            if here != "i":
                weights["bII"] = weights.get("bII", 0.0) + how.dissonance
        for name in weights:
            if name.startswith("V7/") or name in ("bII", "viio7", "iio", "viio"):
                weights[name] *= tense
            elif name == "V" and how.arousal < -0.2:
                weights[name] *= 0.6
        out[here] = weights
    out.setdefault("viio7", {"i" if "i" in graph else "I": 1.0})
    out.setdefault("bII", {"i" if "i" in graph else "I": 1.0})
    return out


def _bridge(graph: Graph, first: str, length: int, goal: str, rng: Random) -> list[str]:
    """Walk `length` chords from `first` so that `goal` may follow the last one."""
    entry = "V" if goal == "V7" else goal
    ways: list[dict[str, float]] = [{name: graph[name].get(entry, 0.001) for name in graph}]
    for _ in range(length - 1):
        ways.append({name: sum(w * ways[-1].get(to, 0.0) for to, w in nexts.items()) for name, nexts in graph.items()})
    walk = [first if first in graph else next(iter(graph))]
    for remaining in range(length - 2, -1, -1):
        nexts = graph[walk[-1]]
        weights = [w * ways[remaining].get(to, 0.0) for to, w in nexts.items()]
        walk.append(rng.choices(list(nexts), weights)[0])
    return walk


def coloured(numeral: str, key: Key, how: Character, rng: Random) -> Chord:
    """Return the chord with the extensions that suit the character: sevenths and ninths when calm, b9 when tense."""
    plain = chord(numeral, key)
    third = (plain.tones[1] - plain.root) % 12
    roll = rng.random()
    if plain.numeral in ("V", "V7") and how.dissonance > 0.55 and roll < how.dissonance:
        return plain.with_tone(10).with_tone(1)
    if plain.is_dominant or len(plain.tones) > 3:
        return plain.with_tone(10) if numeral == "V" and roll < 0.35 else plain
    gentle = max(0.0, -how.arousal) * 0.6 + 0.15
    if roll < gentle:
        seventh = next((s for s in (10, 11) if (plain.root + s) % 12 in key.scale), 10)
        return plain.with_tone(seventh)
    if roll < gentle + 0.2 and (plain.root + 2) % 12 in key.scale:
        return plain.with_tone(2)
    if third == 3 and roll > 1 - 0.35 * how.dissonance and how.arousal > 0:
        return plain.with_tone(11)
    return plain


def pivot(target: Key, rng: Random) -> str:
    """Return the numeral, in the key to come, of the chord that leads there."""
    if target.mode == "phrygian":
        return rng.choice(("bII", "V7"))
    if target.mode in ("mixolydian", "dorian"):
        return rng.choice(("bVII", "V7"))
    return "V7"
