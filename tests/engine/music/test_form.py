from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.emotion.curve import Beat
from engine.music.form import MIN_SECTION_S, bars_for, merge_short, phrases, plan, spans, tempo_map
from engine.music.score import TICKS
from tests.engine.music.briefs import ARC, brief

coordinates = st.floats(-1, 1, allow_nan=False)
points = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=12).map(tuple)


def seconds_at(tempi: list[tuple[int, float]], tick: int) -> float:
    ends = [at for at, _ in tempi[1:]] + [tick]
    spans = zip(tempi, ends, strict=True)
    return sum((min(end, tick) - at) / TICKS * pace for (at, pace), end in spans if at < tick)


@settings(max_examples=60, deadline=None)
@given(points, st.floats(10, 600), st.sampled_from((3, 4)), st.integers(0, 1000))
def test_sections_take_exactly_the_time_of_their_beats(
    where: tuple[tuple[float, float], ...], seconds: float, meter: int, seed: int
) -> None:
    form = plan(brief(where, seconds).beats, seconds, meter, Random(seed))
    tempi = tempo_map(form)
    for section in form.sections:
        at = seconds_at(tempi, section.first_bar * form.bar_ticks)
        assert at == pytest.approx(section.start_s, abs=1e-6)
    end = form.sections[-1].first_bar + form.sections[-1].bars
    assert seconds_at(tempi, end * form.bar_ticks) == pytest.approx(seconds, abs=1e-6)
    assert form.sections[0].start_s == 0.0
    assert form.sections[-1].end_s == seconds


@settings(max_examples=60, deadline=None)
@given(points, st.floats(10, 600), st.integers(0, 1000))
def test_phrases_cover_every_bar_once(where: tuple[tuple[float, float], ...], seconds: float, seed: int) -> None:
    form = plan(brief(where, seconds).beats, seconds, 4, Random(seed))
    for i, section in enumerate(form.sections):
        bars = [bar for p in section.phrases for bar in range(p.first_bar, p.first_bar + p.bars)]
        assert bars == list(range(section.bars))
        assert section.phrases[-1].cadence == ("final" if i == len(form.sections) - 1 else "link")


@pytest.mark.parametrize("length_s", [15.0, 22.3, 31.7, 90.0])
@pytest.mark.parametrize("tempo", [58.0, 96.0, 158.0])
def test_tempo_stays_near_the_wanted_one(length_s: float, tempo: float) -> None:
    bars = bars_for(length_s, tempo, 4)
    assert 0.85 <= bars * 4 * 60 / length_s / tempo <= 1.18


def test_four_bar_phrases_are_preferred() -> None:
    counts = [bars_for(20 + k / 4, 110.0, 4) for k in range(40)]
    assert sum(count % 4 == 0 for count in counts) > len(counts) / 3
    assert [p.bars for p in phrases(8, False, Random(0))] == [4, 4]
    assert [p.bars for p in phrases(9, False, Random(0))] == [4, 5]
    assert [p.bars for p in phrases(10, True, Random(0))] == [4, 4, 2]
    assert [p.bars for p in phrases(1, True, Random(0))] == [1]


def test_short_beats_join_their_nearer_neighbour() -> None:
    calm, short, wild = Beat(0, 5, 0.2, -0.5, "calm"), Beat(5, 6, 0.2, 0.5, "short"), Beat(6, 11, 0.0, 0.7, "wild")
    merged = merge_short([calm, short, wild])
    assert [(b.start_s, b.end_s, b.word) for b in merged] == [(0, 5, "calm"), (5, 11, "wild")]
    assert 0.5 < merged[1].arousal < 0.7
    crowd = brief(ARC * 3, 10.0).beats
    assert all(b.end_s - b.start_s >= MIN_SECTION_S for b in merge_short(list(crowd)))


def test_gaps_are_closed() -> None:
    beats = (Beat(2, 4, 0, 0, "b"), Beat(5, 9, 0, 0, "c"), Beat(30, 40, 0, 0, "late"))
    assert [(b.start_s, b.end_s) for b in spans(beats, 20.0)] == [(0.0, 5), (5, 20.0)]


def test_like_feelings_share_a_theme_and_the_first_returns() -> None:
    form = plan(brief(((0.5, 0.4), (-0.5, -0.4), (0.45, 0.35), (-0.6, 0.7))).beats, 40.0, 4, Random(3))
    assert [section.theme for section in form.sections] == [0, 1, 0, 0]
    assert form.sections[0].transform == "original"
    assert form.sections[1].transform != "original"


@pytest.mark.parametrize("seed", range(20))
def test_keys_stay_near_home_and_come_back(seed: int) -> None:
    form = plan(brief().beats, 40.0, 4, Random(seed))
    keys = [section.key for section in form.sections]
    assert keys[0].tonic == keys[-1].tonic  # both bright
    assert keys[0].is_major and keys[3].is_major
    assert not keys[1].is_major and not keys[2].is_major
    for before, after in pairwise(keys):
        assert len(set(before.scale) & set(after.scale)) >= 3


def test_last_bar_is_the_broadest_and_paces_lean_to_the_next_section() -> None:
    form = plan(brief().beats, 40.0, 4, Random(1))
    tempi = tempo_map(form)
    last = form.sections[-1]
    final_bar = (last.first_bar + last.bars - 1) * form.bar_ticks
    in_last = [pace for at, pace in tempi if at >= last.first_bar * form.bar_ticks]
    assert max(in_last) <= 1.05 * [pace for at, pace in tempi if at <= final_bar][-1]
    assert max(in_last) > 1.15 * in_last[0]
