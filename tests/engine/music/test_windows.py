"""Windows tile the piece, never cross a section, and join without a step."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.emotion.curve import Beat
from engine.music.windows import MIN_SECTION_S, join, plan_windows


def beats_at(*borders: float) -> list[Beat]:
    return [Beat(start, end, 0.0, 0.0, "calm") for start, end in pairwise(borders)]


def test_a_short_piece_is_one_window() -> None:
    (window,) = plan_windows(beats_at(0, 20), 20, 30, 10)
    assert (window.start_s, window.new_s, window.context_s, window.beat) == (0, 20, 0, 0)


def test_a_section_longer_than_the_room_is_cut_evenly() -> None:
    windows = plan_windows(beats_at(0, 30, 75), 76, 30, 10)
    assert [(w.start_s, w.beat) for w in windows] == [
        (0, 0),
        (30, 1),
        (pytest.approx(30 + 46 / 3), 1),
        (pytest.approx(30 + 92 / 3), 1),
    ]
    assert [w.context_s for w in windows] == [0, 10, 10, 10]
    assert windows[-1].end_s == pytest.approx(76)


def test_short_beats_are_played_with_their_neighbours() -> None:
    windows = plan_windows(beats_at(0, 2, 20, 22, 40), 40, 30, 10)
    assert [(w.start_s, w.end_s, w.beat) for w in windows] == [(0, 22, 1), (22, 40, 3)]


@given(
    lengths=st.lists(st.floats(0.2, 80), min_size=1, max_size=10),
    window=st.floats(8, 40),
    share=st.floats(0.1, 0.8),
)
def test_every_plan_tiles_the_piece(lengths: list[float], window: float, share: float) -> None:
    borders = np.concatenate([[0.0], np.cumsum(lengths)])
    seconds, context = float(borders[-1]) + 1, window * share
    windows = plan_windows(beats_at(*borders.tolist()), seconds, window, context)
    assert windows[0].start_s == 0 and windows[-1].end_s == pytest.approx(seconds)
    assert all(a.end_s == pytest.approx(b.start_s) for a, b in pairwise(windows))
    assert all(w.new_s + w.context_s <= window + 1e-6 and w.new_s > 0 for w in windows)
    assert all(w.context_s == min(context, w.start_s) for w in windows)
    sections = {w.beat for w in windows}
    assert len(sections) <= 1 + seconds / MIN_SECTION_S
    order = [w.beat for w in windows]
    assert order == sorted(order)


@pytest.mark.parametrize(("count", "context"), [(0, 10.0), (1, 0.0), (1, 30.0)])
def test_what_cannot_be_planned(count: int, context: float) -> None:
    with pytest.raises(ValueError, match="windows need a beat"):
        plan_windows(beats_at(0, 20)[:count], 20, 30, context)


def test_a_join_has_no_step() -> None:
    tone = np.sin(np.arange(400) / 20, dtype=np.float32)[:, None]
    joined = join(tone[:300], tone[200:], 100, 50)
    np.testing.assert_allclose(joined, tone, atol=1e-6)


def test_a_join_fades_from_the_one_to_the_other() -> None:
    joined = join(np.zeros((10, 2), np.float32), np.ones((8, 2), np.float32), 4, 4)
    assert len(joined) == 14
    assert (np.diff(joined[:, 0]) >= 0).all() and joined[6, 0] == 0 and joined[9, 0] == 1


def test_a_first_window_joins_to_nothing() -> None:
    first = np.ones((5, 1), np.float32)
    np.testing.assert_array_equal(join(np.zeros((0, 1), np.float32), first, 0, 50), first)
