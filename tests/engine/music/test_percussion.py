from __future__ import annotations

from random import Random

import pytest

from engine.music import percussion as drums
from engine.music.character import character

BANKS = (drums.KIT, drums.SWING, drums.ORCHESTRA)


def test_grooves_fill_their_bar() -> None:
    for bank in BANKS:
        for meter, grooves in bank.items():
            for groove in grooves:
                assert all(len(line) == 4 * meter for line in groove.lines.values()), groove
                assert all(set(line) <= set("Xxo.") for line in groove.lines.values())


@pytest.mark.parametrize(("kit", "swing"), [(0, False), (drums.ORCHESTRA_KIT, False), (32, True)])
@pytest.mark.parametrize("meter", [3, 4])
@pytest.mark.parametrize("valence", [-0.4, 0.4])
def test_drive_brings_strokes(kit: int, swing: bool, meter: int, valence: float) -> None:
    assert drums.choose(kit, swing, meter, character(0, -0.5), Random(1)) is None

    def count(arousal: float) -> float:
        found = [drums.choose(kit, swing, meter, character(valence, arousal), Random(seed)) for seed in range(20)]
        return sum(hit.strength for groove in found if groove for hit in drums.strokes(groove, 0, 1, meter)) / 20

    assert count(-0.02) < count(0.1) < count(0.8)
    assert count(0.8) > 2.5 * meter, "no style is to stand still where the others drive on"


def test_dark_grooves_have_low_drums_and_bright_ones_hats() -> None:
    dark = [drums.choose(0, False, 4, character(-0.7, 0.5), Random(seed)) for seed in range(20)]
    bright = [drums.choose(0, False, 4, character(0.6, 0.5), Random(seed)) for seed in range(20)]
    assert all(groove and drums.LOW_TOM in groove.lines for groove in dark)
    assert not any(groove and drums.LOW_TOM in groove.lines for groove in bright)


@pytest.mark.parametrize("seed", range(10))
def test_fills_grow_into_the_next_bar(seed: int) -> None:
    hits = drums.fill(3, 4, 0, character(0.5, 0.7), Random(seed))
    assert hits[0].onset >= 14
    assert hits[-1].onset < 16
    assert hits[-1].strength > hits[0].strength
