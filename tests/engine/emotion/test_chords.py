from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.emotion import chords

C = 0
MAJOR, MINOR = (0, 4, 7), (0, 3, 7)


def _sounding(*each: tuple[int, tuple[int, ...]], rows: int = 40) -> NDArray[np.float32]:
    """Chroma in which every (root, steps) sounds for `rows` rows."""
    chroma = np.zeros((rows * len(each), 12), np.float32)
    for i, (root, steps) in enumerate(each):
        chroma[i * rows : (i + 1) * rows, [(root + step) % 12 for step in steps]] = 1.0
    return chroma


def _column(found: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    return found[:, chords.NAMES.index(name)]


@pytest.mark.parametrize("root", range(12))
@pytest.mark.parametrize("kind", list(chords.CHORDS))
def test_a_chord_is_most_like_its_own_kind(root: int, kind: str) -> None:
    found = chords.describe(_sounding((root, chords.CHORDS[kind])), C)
    assert _column(found, f"chord_{kind}") == pytest.approx(1, abs=1e-5)
    if kind not in ("suspended", "minor_seventh"):  # both are another chord's notes as well
        assert (found[:, : len(chords.CHORDS)].argmax(axis=1) == list(chords.CHORDS).index(kind)).all()


def test_major_and_minor_are_told_apart() -> None:
    major, minor = (chords.describe(_sounding((5, steps)), C) for steps in (MAJOR, MINOR))
    for name in ("chord_mode", "major_share"):
        assert (_column(major, name) > _column(minor, name) + 0.2).all()


def test_changes_are_counted() -> None:
    still = chords.describe(_sounding((0, MAJOR), rows=80), C)
    moving = chords.describe(_sounding(*[(root, MAJOR) for root in (0, 5, 7, 0) * 5], rows=4), C)
    assert not _column(still, "chord_changes").any()
    assert _column(moving, "chord_changes").mean() == pytest.approx(15 / 80, abs=0.05)  # 0 to 0 is no change


def test_the_key_is_heard_against_its_relatives() -> None:
    """C major over the tonic C is itself, A minor over the tonic C is the relative minor."""
    scale = (0, 2, 4, 5, 7, 9, 11)
    c_major = _sounding((0, scale)) + 2 * _sounding((0, MAJOR))
    a_minor = _sounding((0, scale)) + 2 * _sounding((9, MINOR))
    heard = [chords.describe(chroma, C) for chroma in (c_major, a_minor)]
    for name in ("tonic_strength", "relative_minor"):
        assert (_column(heard[0], name) > _column(heard[1], name) + 0.1).all()


def test_transposition_with_the_tonic_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    chroma = rng.gamma(0.5, size=(60, 12)).astype(np.float32)
    assert chords.describe(np.roll(chroma, 5, axis=1), 5) == pytest.approx(chords.describe(chroma, 0), abs=1e-5)


def test_silence_and_one_row_are_finite() -> None:
    for chroma in (np.zeros((7, 12), np.float32), np.ones((1, 12), np.float32)):
        found = chords.describe(chroma, 3)
        assert found.shape == (len(chroma), len(chords.NAMES))
        assert np.isfinite(found).all()
