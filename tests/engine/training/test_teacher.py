from __future__ import annotations

import numpy as np
import pytest

from engine.emotion.features import NAMES, extract
from engine.training.moves import join
from engine.training.teacher import Setting, Teacher, Unit, drawn_apart, label_offset, mixtures
from tests.engine.emotion.sounds import MINOR, RATE_HZ, chords

RNG = np.random.default_rng(3)


def test_a_unit_standardises_and_survives_columns_that_do_not_vary() -> None:
    values = np.array([[1.0, 7.0], [3.0, 7.0]])
    assert Unit.of(values).apply(values).tolist() == [[-1, 0], [1, 0]]
    assert np.abs(Unit.of(values).apply(values * 1e6)).max() == 5


def test_the_same_pieces_lie_alike_however_they_are_played() -> None:
    pianos = RNG.normal(2.0, 3.0, (40, 6))
    strings = pianos[:15] * 0.2 + 9.0
    unit = Unit.of(pianos)
    aligned = unit.aligned(pianos[:15], strings)
    assert aligned.apply(strings) == pytest.approx(unit.apply(pianos[:15]))


def test_a_teacher_reads_both_axes() -> None:
    pieces = RNG.normal(size=(150, 8))
    labels = np.stack([pieces[:, 0], np.tanh(2 * pieces[:, 1])], axis=1)
    teacher = Teacher(pieces[:100], labels[:100], np.ones(100), seed=0, views=[np.arange(8)] * 2)
    found = teacher(pieces[100:])
    for axis in range(2):
        assert np.corrcoef(found[:, axis], labels[100:, axis])[0, 1] > 0.8


def test_a_label_is_read_from_its_view_alone() -> None:
    pieces = RNG.normal(size=(60, 4))
    labels = np.stack([pieces[:, 0], pieces[:, 0], pieces[:, 3]], axis=1)
    views = [np.array([0, 1]), np.array([1, 2]), np.array([3])]
    teacher = Teacher(pieces, labels, np.ones(60), seed=0, views=views)
    moved = pieces.copy()
    moved[:, 0] += 1
    change = np.abs(teacher(moved) - teacher(pieces)).max(axis=0)
    assert teacher.outputs == 3
    assert change[0] > 0.2
    assert change[1:].tolist() == [0, 0]


def test_valence_has_a_kernel_of_its_own() -> None:
    pieces = RNG.normal(size=(60, 4))
    labels = np.repeat(np.sin(2 * pieces[:, :1]), 3, axis=1)
    setting = Setting(ridge=100.0, cost=1.0, narrowness=(3.0, 0.1))
    teacher = Teacher(pieces, labels, np.ones(60), seed=0, views=[np.arange(4)] * 3, setting=setting)
    error = np.square(teacher(pieces) - labels).mean(axis=0)
    assert error[0] < 0.8 * error[1], "the narrower kernel follows a wave more closely"
    assert error[1] == error[2]


def test_what_is_between_pieces_stays_near_them() -> None:
    pieces = RNG.normal(size=(30, 4))
    drawn = mixtures(pieces, 2_000, np.random.default_rng(0))
    assert drawn.shape == (2_000, 4)
    assert np.abs(drawn.mean(axis=0) - pieces.mean(axis=0)).max() < 0.1
    assert (drawn.std(axis=0) < 1.2 * pieces.std(axis=0)).all()


def test_what_different_labels_are_read_from_is_drawn_apart() -> None:
    pieces = np.repeat(RNG.normal(size=(400, 1)), 5, axis=1)
    parted = drawn_apart(pieces, [np.array([0, 1, 2]), np.array([1, 2])], np.random.default_rng(0))
    together = np.asarray(np.corrcoef(parted.T)) > 0.9
    assert np.sort(parted, axis=0) == pytest.approx(np.sort(pieces, axis=0))
    # column 0 is read for the first label, 1 and 2 for both, 3 and 4 for neither
    assert [tuple(np.flatnonzero(row)) for row in together] == [(0,), (1, 2), (1, 2), (3, 4), (3, 4)]
    assert np.array_equal(drawn_apart(pieces, [np.arange(5)] * 3, RNG), pieces)


def test_labels_of_two_sets_are_brought_together() -> None:
    pieces = RNG.normal(size=(300, 5))
    first = np.arange(300) < 120
    labels = np.stack([pieces[:, 0] + 0.7 * first, pieces[:, 1] - 0.4 * first], axis=1)
    assert label_offset(pieces, labels, first) == pytest.approx([0.7, -0.4], abs=0.15)


def test_joined_rows_have_the_levels_of_joined_sound() -> None:
    noise = RNG.normal(0, 0.1, 12 * RATE_HZ).astype(np.float32)  # no recording has empty bands
    soft = chords(seconds=12, level=0.04) + 0.04 * noise
    loud = chords(MINOR, seconds=12, level=0.2, per_second=5) + 0.2 * noise
    joined = join(extract(soft).rows, extract(loud).rows)
    heard = extract(np.concatenate([soft, loud])).rows
    assert joined.shape == heard.shape
    inner = np.r_[2:22, 26:46]  # the rows beside a border see the other side
    for name in ("level", "mfcc_0", "song_level"):
        column = NAMES.index(name)
        assert np.abs(joined[inner, column] - heard[inner, column]).max() < 0.02 * np.ptp(heard[:, column]) + 0.5, name
