from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from engine.music.character import character
from engine.music.form import Cadence
from engine.music.harmony import CADENCES, GRAPHS, coloured, pivot, progression
from engine.music.theory import MODES, NUMERALS, Key

CALM, TENSE = character(0.4, -0.5), character(-0.8, 0.8)
ALL: tuple[Cadence, ...] = ("half", "authentic", "plagal", "deceptive", "link", "final")


def test_graphs_are_closed_and_use_known_chords() -> None:
    for mode, graph in GRAPHS.items():
        assert mode in MODES
        for here, nexts in graph.items():
            assert here in NUMERALS
            assert all(name in graph and weight > 0 for name, weight in nexts.items()), (mode, here)
    assert all(name in NUMERALS for table in CADENCES.values() for ends in table.values() for e in ends for name in e)


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("cadence", ALL)
def test_phrases_begin_at_home_and_end_in_their_cadence(mode: str, cadence: Cadence) -> None:
    key = Key(0, mode)
    ends = CADENCES[mode].get(cadence) or CADENCES["major" if key.is_major else "minor"][cadence]
    for seed in range(20):
        chords = progression(key, 4, cadence, None, CALM, Random(seed))
        assert len(chords) == 4
        assert chords[0] == ("I" if key.is_major else "i")
        assert tuple(chords[-2:]) in ends


@pytest.mark.parametrize("mode", list(MODES))
def test_no_jolts(mode: str) -> None:
    """Every step within the phrase, and into its cadence, is one that the graph knows."""
    graph, jolts, steps = GRAPHS[mode], 0, 0
    for seed in range(100):
        chords = progression(Key(0, mode), 6, "authentic", None, CALM, Random(seed))
        for one, other in pairwise(chords[:-1]):
            steps += 1
            jolts += ("V" if other == "V7" else other) not in graph[one]
    assert jolts <= 0.03 * steps


@pytest.mark.parametrize("chords", [1, 2, 3])
def test_short_phrases_keep_their_end(chords: int) -> None:
    found = progression(Key(0, "major"), chords, "authentic", None, CALM, Random(1))
    assert len(found) == chords
    assert found[-1] == "I"


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_progressions_vary(mode: str) -> None:
    many = {tuple(progression(Key(0, mode), 6, "half", None, CALM, Random(seed))) for seed in range(100)}
    assert len(many) > 60


def test_tension_brings_tense_chords_and_colours() -> None:
    def share(how_tense: bool) -> float:
        how = TENSE if how_tense else character(-0.8, -0.6)
        key, count = Key(0, "minor"), 0
        for seed in range(60):
            rng = Random(seed)
            for name in progression(key, 8, "half", None, how, rng):
                tones = coloured(name, key, how, rng)
                count += name in ("bII", "viio7", "iio") or 1 in {(t - tones.root) % 12 for t in tones.tones}
        return count / (60 * 8)

    assert share(True) > 2 * share(False)


def test_calm_chords_are_often_enriched_within_the_scale() -> None:
    key = Key(0, "major")
    found = [coloured("I", key, CALM, Random(seed)) for seed in range(50)]
    assert 5 < sum(len(chord.tones) > 3 for chord in found) < 45
    assert all(set(chord.tones) <= set(key.scale) for chord in found)


def test_pivot_is_a_dominant_of_what_follows() -> None:
    assert {pivot(Key(0, "major"), Random(s)) for s in range(5)} == {"V7"}
    assert {pivot(Key(0, "phrygian"), Random(s)) for s in range(20)} == {"bII", "V7"}
