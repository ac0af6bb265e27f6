from __future__ import annotations

import math
from itertools import pairwise

import pytest

from engine.music.character import SPAN, character
from engine.music.theory import MODES

GRID = [-1.0, -0.6, -0.3, 0.0, 0.3, 0.6, 1.0]
BRIGHTNESS = {mode: -i for i, mode in enumerate(MODES)}


@pytest.mark.parametrize("valence", GRID)
@pytest.mark.parametrize("field", ["tempo_bpm", "register", "velocity", "density", "drive"])
def test_arousal_raises(valence: float, field: str) -> None:
    values = [getattr(character(valence, a), field) for a in GRID]
    assert all(low <= high for low, high in pairwise(values))
    assert values[-1] > values[0]


@pytest.mark.parametrize("arousal", GRID)
def test_arousal_and_valence_shorten_notes(arousal: float) -> None:
    assert character(0, -0.8).gate > character(0, 0.8).gate
    assert character(-0.8, arousal).gate >= character(0.8, arousal).gate


@pytest.mark.parametrize("arousal", GRID)
@pytest.mark.parametrize("shade", [0.0, 0.3, 0.7, 0.99])
def test_valence_brightens_the_mode_and_lessens_dissonance(arousal: float, shade: float) -> None:
    characters = [character(v, arousal, shade) for v in GRID]
    assert all(BRIGHTNESS[a.mode] <= BRIGHTNESS[b.mode] for a, b in pairwise(characters))
    assert all(a.dissonance >= b.dissonance for a, b in pairwise(characters))
    assert characters[0].mode in ("minor", "phrygian")
    assert characters[-1].mode in ("major", "lydian")
    assert characters[0].register < characters[-1].register


def test_the_effect_is_strong_at_span_and_never_stands_still() -> None:
    ends = [character(x, x).tempo_bpm for x in (-1, -SPAN, 0, SPAN, 1)]
    assert 45 < ends[0] < 50 and 195 < ends[-1] < 210
    assert all(low < high for low, high in pairwise(ends))
    assert math.log(ends[3] / ends[2]) > 2 * math.log(ends[4] / ends[3])


def test_calm_music_has_no_drums() -> None:
    assert character(0.5, -0.3).drive == 0.0
    assert character(0.5, 0.6).drive > 0.5
