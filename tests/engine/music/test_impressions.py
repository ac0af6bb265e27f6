"""What stands out in a score: rates, keys, drums and players as they were written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.emotion.curve import Beat
from engine.music.composer import Brief
from engine.music.embedded import Composition, write
from engine.music.impressions import NAMES, impressions
from engine.music.orchestra import INSTRUMENTS
from engine.report import silent

CALM, WILD = (0.4, -0.6), (-0.5, 0.7)


def piece(*points: tuple[float, float], description: str = "", seed: int = 3) -> Composition:
    beats = tuple(Beat(12.0 * i, 12.0 * (i + 1), v, a, "x") for i, (v, a) in enumerate(points))
    return write(Brief(description, beats, 12.0 * len(points), seed), silent)


def row(found: Composition, section: int = 0) -> dict[str, float]:
    return dict(zip(NAMES, impressions(found)[section].tolist(), strict=True))


def test_one_row_a_section_and_all_finite() -> None:
    found = impressions(piece(CALM, WILD, CALM))
    assert found.shape == (3, len(NAMES)) and np.isfinite(found).all()
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_wild_sections_are_faster_denser_louder_and_drummed(seed: int) -> None:
    found = piece(CALM, WILD, seed=seed)
    calm, wild = row(found, 0), row(found, 1)
    for name in ("tempo", "onsets", "notes", "velocity", "treble", "drums"):
        assert wild[name] > calm[name], name
    assert wild["length lead"] < calm["length lead"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_major_and_minor_are_told_apart(seed: int) -> None:
    bright, dark = row(piece((0.6, 0.0), seed=seed)), row(piece((-0.5, 0.0), seed=seed))
    assert bright["major - minor"] > 0 > dark["major - minor"]
    assert bright["degree 4"] > bright["degree 3"] and dark["degree 3"] > dark["degree 4"]


def test_tempo_and_counts_are_those_of_the_score() -> None:
    found = piece(CALM)
    (section,) = found.form.sections
    said = row(found)
    assert 2 ** said["tempo"] == pytest.approx(1 / section.quarter_s)
    lead = [note for part in found.score.parts if part.role == "lead" for note in part.notes]
    assert said["notes lead"] == pytest.approx(len(lead) / 12)
    assert said["pitch lead"] == pytest.approx(np.mean([note.pitch - 60 for note in lead]) / 12)
    assert said["onsets lead"] <= said["notes lead"] and said["plays lead"] == 1


def test_players_and_drums_are_named() -> None:
    found = piece(WILD, description="rock")
    said = row(found)
    playing = {name for name in INSTRUMENTS if said[name]}
    written = {part.name.split(": ")[1] for part in found.score.parts if part.role and part.notes}
    assert playing == written
    assert said["drums"] ** 2 == pytest.approx(
        sum((note.velocity / 90) ** 2 for part in found.score.parts if part.role is None for note in part.notes) / 12
    )


def test_without_drums_there_are_none() -> None:
    found = piece(CALM)
    parts = tuple(part for part in found.score.parts if part.role is not None)
    said = row(replace(found, score=replace(found.score, parts=parts)))
    assert said["drums"] == said["kick"] == said["snare"] == 0
