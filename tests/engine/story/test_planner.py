"""What every plan keeps to: facts, order, no repetition, length; and what the seed decides."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.emotion.setting import Setting
from engine.jobs import Language
from engine.story.embedded import EmbeddedStoryteller
from engine.story.library import PLOT_ROLES
from engine.story.planner import FRAMES_TRIED, Order, Plan, _unsuited
from engine.story.wording import fragment_lengths

PLANNER = EmbeddedStoryteller.load().planner
WORLD = PLANNER.library.world
MEANT = 0.12
"""Relative error in length that counts as obeyed."""

corners = st.tuples(st.floats(-0.5, 0.4), st.floats(-0.3, 0.6))


def order(targets: list[tuple[float, float]], words: int = 250, language: Language = "en") -> Order:
    shares = np.full(len(targets), 1 / len(targets))
    return Order(np.array(targets, dtype=np.float64), shares, words, language, None)


def length(plan: Plan, language: Language) -> int:
    told = [fragment for part in plan.paragraphs for fragment in part]
    return int(fragment_lengths(told, language).sum())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    targets=st.lists(corners, min_size=1, max_size=10),
    words=st.integers(80, 600),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_plan_is_a_story(targets: list[tuple[float, float]], words: int, seed: int) -> None:
    plan = PLANNER.plan(order(targets, words), (seed,))
    told = [fragment for part in plan.paragraphs for fragment in part]
    assert len(plan.paragraphs) == len(targets)
    assert all(plan.paragraphs)
    assert len({fragment.en for fragment in told}) == len(told), "nothing is told twice"

    facts = plan.frame.start | WORLD.bits[plan.season]
    for fragment in told:
        assert fragment.may_follow(facts), f"{fragment.origin} without its cause"
        assert fragment.frame in (None, plan.frame.name)
        facts = fragment.after(facts)
    assert facts & (WORLD.bits["won"] | WORLD.bits["lost"])
    for name, group in WORLD.groups.items():
        assert (facts & group).bit_count() == 1, f"one value of {name}'s group is true"

    plot = [fragment.role for fragment in told if fragment.role in PLOT_ROLES]
    assert plot == sorted(plot, key=PLOT_ROLES.index), "cause before effect"
    assert plot.count("open") == plot.count("turn") == plot.count("end") == 1
    assert told[-1].role == "end"


@pytest.mark.parametrize(("language", "lengths"), [("en", (80, 150, 600)), ("zh-TW", (120, 250, 1_000))])
@pytest.mark.parametrize("beats", [1, 3, 10])
def test_length_is_obeyed(language: Language, lengths: tuple[int, ...], beats: int) -> None:
    for words in lengths:
        for seed in range(3):
            targets = [(-0.1 + 0.05 * i, 0.3 - 0.04 * i) for i in range(beats)]
            plan = PLANNER.plan(order(targets, words, language), (seed,))
            assert abs(length(plan, language) / words - 1) <= MEANT, (language, words, seed, plan.frame.name)


def test_like_pieces_get_unlike_plots() -> None:
    frames = Counter(
        PLANNER.plan(order([(0.05, 0.15), (0.1, 0.1), (0.0, 0.2)]), (seed,)).frame.name for seed in range(16)
    )
    assert len(frames) >= 7
    assert max(frames.values()) <= 6


def test_same_seed_same_plan_and_avoided_frames_stay_away() -> None:
    asked = order([(0.05, 0.15), (-0.1, 0.1)])
    first = PLANNER.plan(asked, (5,))
    assert PLANNER.plan(asked, (5,)) == first
    for seed in range(6):
        others = frozenset(frame.name for frame in PLANNER.library.frames[: -FRAMES_TRIED - 1])
        assert PLANNER.plan(asked, (seed,), avoid=others).frame.name not in others


def test_a_sad_wish_gets_a_sadder_story_than_a_glad_one() -> None:
    def mean(wish: tuple[float, float]) -> list[float]:
        plans = [PLANNER.plan(order([wish] * 4), (seed,)) for seed in range(3)]
        tags = [fragment.tag for plan in plans for part in plan.paragraphs for fragment in part]
        return [float(value) for value in np.mean(tags, axis=0)]

    sad, glad = mean((-0.3, -0.1)), mean((0.2, 0.4))
    assert sad[0] < -0.2 < 0.2 < glad[0]
    assert sad[1] < 0.0 < glad[1]


def test_what_suits_the_music_is_preferred() -> None:
    loud = Setting(tempo_bpm=170, brightness=0.9, loudness=1.0, density=1.0)
    assert _unsuited((("loudness", 1.0),), loud) < 0 < _unsuited((("loudness", 0.0),), loud)
    assert _unsuited((("loudness", 1.0),), None) == 0.0
    assert _unsuited((), loud) == 0.0
    levels = np.linspace(0, 1, 101)
    for value in (0.0, 0.5, 0.9):
        found = [_unsuited((("density", value),), replace(loud, density=float(level))) for level in levels]
        assert abs(float(np.mean(found))) < 0.01, "fair by chance to fragments of every kind"
