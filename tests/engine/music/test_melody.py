from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from engine.music.character import Character, character
from engine.music.form import Phrase, Transform
from engine.music.melody import Motif, at_density, make_motif, phrase_events, pitched, transformed
from engine.music.theory import Key, chord, scale_over

C_MAJOR = Key(0, "major")
HOW = character(0.3, 0.1)
HARMONY = [(4.0 * i, chord(name, C_MAJOR)) for i, name in enumerate(("I", "vi", "V7", "I"))]
PHRASE = Phrase(0, 4, "statement", "authentic", 0)


def sing(seed: int, how: Character = HOW, phrase: Phrase = PHRASE) -> list[tuple[float, int]]:
    rng = Random(seed)
    motif = make_motif(4, how.breadth, rng)
    events = phrase_events(motif, phrase, 4, how, C_MAJOR, HARMONY[-1][1], rng)
    line = pitched(events, HARMONY, C_MAJOR, how, 48, 90)
    return [(event.onset, pitch) for event, pitch in zip(events, line, strict=True)]


@pytest.mark.parametrize("meter", [3, 4])
@pytest.mark.parametrize("how", ["original", "inversion", "retrograde", "augmentation", "fragmentation"])
def test_transforms_keep_two_full_bars(meter: int, how: Transform) -> None:
    for seed in range(30):
        motif = transformed(make_motif(meter, 0.5, Random(seed)), how)
        for bar in motif.bars:
            assert sum(length for length, _ in bar) == pytest.approx(meter)


def test_transforms_do_what_they_say() -> None:
    motif = Motif((((1, 0), (1, 2), (2, -1)), ((2, 1), (2, -3))))
    assert transformed(motif, "inversion").bars[0] == ((1, 0), (1, -2), (2, 1))
    assert transformed(motif, "retrograde").bars[0] == ((2, -3), (2, 1))
    assert transformed(motif, "augmentation").bars == (((2, 0), (2, 2)), ((4, -1),))
    assert transformed(motif, "fragmentation").bars[1] == motif.bars[0]
    assert transformed(motif, "original") == motif


@pytest.mark.parametrize("wanted", [0.3, 0.75, 1.25, 2.0, 3.0])
def test_density_is_met_within_the_bar(wanted: float) -> None:
    for seed in range(20):
        bar = make_motif(4, 0.5, Random(seed)).bars[0]
        notes = at_density(bar, wanted, agitated=False)
        assert sum(length for length, _ in notes) == pytest.approx(4)
        assert len(notes) == max(1, round(wanted * 4))


def test_thinning_keeps_the_contour() -> None:
    bar = ((1.0, 0), (0.5, 2), (0.5, 1), (2.0, -4))
    assert sum(step for _, step in at_density(bar, 0.75, agitated=False)) == -1


@pytest.mark.parametrize("seed", range(25))
def test_a_line_is_singable_and_fits_its_chords(seed: int) -> None:
    line = sing(seed)
    pitches = [pitch for _, pitch in line]
    leaps = [abs(b - a) for a, b in pairwise(pitches)]
    assert max(leaps) <= 12
    assert sum(leap <= 4 for leap in leaps) >= 0.55 * len(leaps)
    assert max(pitches) - min(pitches) <= 24
    for onset, pitch in line:
        here = [harmony for at, harmony in HARMONY if at <= onset][-1]
        assert pitch % 12 in scale_over(C_MAJOR, here)
    downbeats = [pitch % 12 in HARMONY[int(onset // 4)][1].tones for onset, pitch in line if onset % 4 == 0]
    assert sum(downbeats) >= len(downbeats) - 1
    assert pitches[-1] % 12 in HARMONY[-1][1].tones[:2]


def test_final_cadence_ends_on_the_tonic_for_the_whole_bar() -> None:
    line = sing(3, phrase=Phrase(0, 4, "answer", "final", 0))
    assert line[-1][0] == 12.0
    assert line[-1][1] % 12 == 0


def test_the_motif_is_heard_again() -> None:
    """The first bar comes back as the third, in rhythm."""
    for seed in range(10):
        onsets = [onset for onset, _ in sing(seed)]
        first, third = ([o % 4 for o in onsets if low <= o < low + 4] for low in (0, 8))
        assert first == third


def test_register_and_density_follow_the_character() -> None:
    low, high = character(-0.7, -0.7), character(0.7, 0.7)
    calm = [line for seed in range(10) for line in sing(seed, low)]
    lively = [line for seed in range(10) for line in sing(seed, high)]
    assert sum(p for _, p in lively) / len(lively) > sum(p for _, p in calm) / len(calm) + 5
    assert len(lively) > 1.8 * len(calm)


def test_seeds_make_different_motifs() -> None:
    motifs = {make_motif(4, 0.5, Random(seed)) for seed in range(50)}
    assert len(motifs) > 45
