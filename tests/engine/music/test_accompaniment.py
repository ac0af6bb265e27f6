from __future__ import annotations

from random import Random

import pytest

from engine.music import accompaniment as acc
from engine.music.character import character
from engine.music.theory import Key, chord

A_MINOR = Key(9, "minor")
SLOTS = [(0.0, 4.0, chord("i", A_MINOR)), (4.0, 2.0, chord("iv", A_MINOR)), (6.0, 2.0, chord("V7", A_MINOR))]


def of_meter(patterns: dict[int, tuple[acc.Pattern, ...]]) -> list[tuple[int, acc.Pattern]]:
    return [(meter, pattern) for meter, bank in patterns.items() for pattern in bank]


@pytest.mark.parametrize(("meter", "pattern"), of_meter(acc.FIGURES) + of_meter(acc.BASSES))
def test_patterns_fill_their_bar(meter: int, pattern: acc.Pattern) -> None:
    assert len(pattern.steps) * pattern.grid == meter
    assert set(pattern.steps) <= set("0123*u._") | set("RFOTAP._")


def test_long_notes_stop_hardly_earlier_than_short_ones() -> None:
    assert acc.detached(0.5, 0.6) == pytest.approx(0.3)
    assert acc.detached(4.0, 0.6) == pytest.approx(4.0 - acc.GAP)
    assert [acc.detached(length, 1.0) for length in (0.5, 4.0)] == [0.5, 4.0]


def test_steps_hold_and_ring() -> None:
    held = acc.Pattern("R_F_", 1, 0, 0)
    assert list(acc.steps_of(held, 1, 4, 2)) == [(8, 2, "R"), (10, 2, "F")]
    ringing = acc.Pattern("01", 2, 0, 0, ring=True)
    assert list(acc.steps_of(ringing, 1, 4)) == [(0, 4, "0"), (2, 2, "1")]


def test_choice_follows_arousal() -> None:
    def busy(arousal: float) -> float:
        how = character(0.2, arousal)
        chosen = [acc.choose(acc.FIGURES[4], how, Random(seed)) for seed in range(60)]
        return sum(len([s for s in p.steps if s not in "._"]) for p in chosen) / 60

    assert busy(-0.8) < busy(0.0) < busy(0.8)


@pytest.mark.parametrize(("meter", "pattern"), of_meter(acc.FIGURES))
def test_figures_play_only_chord_tones(meter: int, pattern: acc.Pattern) -> None:
    slots = [slot for slot in SLOTS if slot[0] < 2 * meter]
    voiced = acc.voicings(slots, 58, 4, 45, 79)
    sounds = acc.figure(pattern, slots, 0, 2, meter, voiced, 0.9)
    assert sounds
    for sound in sounds:
        start, span, here = acc.chord_at(slots, sound.onset)
        assert sound.pitch % 12 in here.tones
        assert sound.onset + sound.length <= start + span + 1e-9
        assert sound.length > 0


@pytest.mark.parametrize(("meter", "pattern"), of_meter(acc.BASSES))
def test_bass_sounds_the_root_where_the_chord_changes(meter: int, pattern: acc.Pattern) -> None:
    slots = [slot for slot in SLOTS if slot[0] < 2 * meter]
    line = acc.bass(pattern, slots, 0, 2, meter, A_MINOR.tonic, 31, 0.95)
    assert all(31 <= sound.pitch <= 60 for sound in line)
    for sound in line:
        for start, _, here in slots:
            if sound.onset == start:
                assert sound.pitch % 12 == (A_MINOR.tonic if "P" in pattern.steps else here.root)


def test_approach_notes_lead_by_step_into_the_next_root() -> None:
    walking = acc.Pattern("RTFA", 1, 0, 0)
    slots = [(4.0 * i, 4.0, chord(name, A_MINOR)) for i, name in enumerate(("i", "iv", "bVII", "i"))]
    line = acc.bass(walking, slots, 0, 4, 4, A_MINOR.tonic, 31, 0.95)
    steps = [abs(line[i + 1].pitch - line[i].pitch) % 12 for i in (3, 7, 11)]
    assert all(min(step, 12 - step) in (1, 2) for step in steps)


def test_pad_ties_common_tones() -> None:
    slots = [(0.0, 4.0, chord("i", A_MINOR)), (4.0, 4.0, chord("bVI", A_MINOR))]
    sounds = acc.pad(slots, acc.voicings(slots, 58, 3, 46, 76))
    assert {s.pitch % 12 for s in sounds if s.length == 8} == {9, 0}
    assert len(sounds) == 4


def test_counter_melody_stays_below_the_tune_and_in_the_chord() -> None:
    tune = {0.0: 69, 4.0: 64, 6.0: 71}
    line = acc.counter(SLOTS, tune, 50, 67)
    assert [sound.length for sound in line] == [4.0, 2.0, 2.0]
    for sound, (onset, _, here) in zip(line, SLOTS, strict=True):
        assert sound.pitch % 12 in here.tones
        assert sound.pitch < tune[onset]


@pytest.mark.parametrize(
    "pattern", [acc.FIGURES[4][0], acc.BASSES[4][0], acc.BASSES[4][1], acc.Pattern("R_F_", 1, 0, 0)]
)
def test_nothing_falls_silent_where_a_chord_changes_within_a_held_note(pattern: acc.Pattern) -> None:
    slots = [(0.0, 3.0, chord("i", A_MINOR)), (3.0, 1.0, chord("V7", A_MINOR))]
    if "*" in pattern.steps:
        sounds = acc.figure(pattern, slots, 0, 1, 4, acc.voicings(slots, 58, 4, 45, 79), 1.0)
    else:
        sounds = acc.bass(pattern, slots, 0, 1, 4, A_MINOR.tonic, 31, 1.0)
    for at in (0.5, 1.5, 2.9, 3.1, 3.9):
        heard = [sound for sound in sounds if sound.onset <= at < sound.onset + sound.length]
        assert heard, at
        wanted = {A_MINOR.tonic} if "P" in pattern.steps else set(acc.chord_at(slots, at)[2].tones)
        assert {sound.pitch % 12 for sound in heard} <= wanted
