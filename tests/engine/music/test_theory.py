from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.music.theory import MODES, NUMERALS, Chord, Key, chord, nearest, pitches, scale_over, voicing

keys = st.builds(Key, st.integers(0, 11), st.sampled_from(list(MODES)))
chords = st.builds(chord, st.sampled_from(list(NUMERALS)), keys)


@pytest.mark.parametrize(
    ("numeral", "tonic", "tones"),
    [
        ("I", 0, (0, 4, 7)),
        ("V7", 0, (7, 11, 2, 5)),
        ("vi", 7, (4, 7, 11)),
        ("bVI", 9, (5, 9, 0)),
        ("viio7", 9, (8, 11, 2, 5)),
        ("bII", 4, (5, 9, 0)),
        ("V7/V", 0, (2, 6, 9, 0)),
    ],
)
def test_chords_are_spelt_as_in_the_books(numeral: str, tonic: int, tones: tuple[int, ...]) -> None:
    assert chord(numeral, Key(tonic, "major")).tones == tones


def test_modes_darken_one_tone_at_a_time() -> None:
    modes = list(MODES.values())
    for brighter, darker in pairwise(modes):
        assert sum(brighter) - sum(darker) == 1


def test_key_signatures() -> None:
    assert Key(9, "minor").signature == "Am"
    assert Key(0, "lydian").signature == "C"
    assert Key(8, "phrygian").signature == "G#m"


def test_leading_tone_of_minor_replaces_the_seventh() -> None:
    a_minor = Key(9, "minor")
    over = scale_over(a_minor, chord("V", a_minor))
    assert 8 in over
    assert 7 not in over
    assert scale_over(a_minor, chord("i", a_minor)) == tuple(sorted(a_minor.scale))


@pytest.mark.parametrize(
    ("numeral", "mode", "over"),
    [
        ("bII", "minor", (0, 1, 3, 5, 7, 8, 10)),
        ("iv", "major", (0, 2, 4, 5, 7, 8, 11)),
        ("V7/V", "major", (0, 2, 4, 6, 7, 9, 11)),
        ("V7/vi", "major", (0, 2, 4, 5, 8, 9, 11)),
        ("viio7", "minor", (0, 2, 3, 5, 7, 8, 11)),
    ],
)
def test_chromatic_chords_alter_the_tone_of_their_letter(numeral: str, mode: str, over: tuple[int, ...]) -> None:
    assert scale_over(Key(0, mode), chord(numeral, Key(0, mode))) == over


@given(keys, st.sampled_from(list(NUMERALS)))
def test_a_melody_can_always_sing_the_chord(key: Key, numeral: str) -> None:
    here = chord(numeral, key)
    assert set(here.tones) <= set(scale_over(key, here))


@given(chords, st.integers(3, 4), st.integers(50, 62))
def test_voicings_hold_the_chord_within_range(here: Chord, voices: int, centre: int) -> None:
    shape = voicing(here, (), centre, voices, 40, 80)
    assert len(shape) == voices
    assert list(shape) == sorted(set(shape))
    assert {pitch % 12 for pitch in shape} <= set(here.tones)
    assert shape[0] >= 40 and shape[-1] <= 80
    # The third tells major from minor, and must not be lost.
    assert here.tones[1] in {pitch % 12 for pitch in shape}


@given(chords, chords)
def test_voices_move_little(one: Chord, other: Chord) -> None:
    before = voicing(one, (), 58, 4, 40, 80)
    after = voicing(other, before, 58, 4, 40, 80)
    assert sum(abs(a - b) for a, b in zip(before, after, strict=True)) / 4 <= 3.5


def test_nearest_and_pitches() -> None:
    assert nearest(0, 61.0, 40, 80) == 60
    assert nearest(0, 66.0, 40, 80) == 60
    assert nearest(0, 10.0, 40, 80) == 48
    assert pitches((0, 7), 48, 60) == [48, 55, 60]
