from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from engine.emotion.alignment import DRAWS, StoryBank, align
from engine.emotion.calibration import Calibration, Scale
from engine.emotion.curve import VA

RNG = np.random.default_rng(11)
BANK = StoryBank.of(
    RNG.normal(0, 0.3, (9_000, 2)).astype(np.float32), np.concatenate([[0], np.arange(1, 231) * 39, [9_000]])
)
WANTED: VA = np.array([(-0.6, 0.6), (0.1, 0.2), (0.5, 0.6), (0.6, -0.3), (-0.4, -0.5), (0.2, 0.4)], dtype=np.float32)
EVEN = [10.0] * len(WANTED)


def test_a_perfect_pair() -> None:
    found = align(WANTED, WANTED, EVEN, BANK, 1, "judge")
    assert (found.distance, found.valence_r, found.arousal_r) == (0.0, 1.0, 1.0)
    assert found.better_than_shuffled == 1.0
    assert found.by == "judge"


def test_an_opposite_pair() -> None:
    found = align(WANTED, -WANTED, EVEN, BANK, 1, "judge")
    assert found.distance == pytest.approx(float(2 * np.linalg.norm(WANTED, axis=1).mean()), abs=1e-4)
    assert (found.valence_r, found.arousal_r) == (-1.0, -1.0)
    assert found.better_than_shuffled < 0.01


def test_a_random_story_is_about_in_the_middle() -> None:
    shares = [
        align(WANTED, story.astype(np.float32), EVEN, BANK, seed, "").better_than_shuffled
        for seed, story in enumerate(BANK.draw(np.full(6, 1 / 6), 99)[:80])
    ]
    assert 0.4 < float(np.mean(shares)) < 0.6


def test_few_or_flat_beats_have_no_correlation() -> None:
    few = align(WANTED[:4], WANTED[:4], EVEN[:4], BANK, 1, "")
    assert (few.valence_r, few.arousal_r) == (None, None)
    flat = WANTED.copy()
    flat[:, 0] = 0.3
    half = align(WANTED, flat, EVEN, BANK, 1, "")
    assert half.valence_r is None
    assert half.arousal_r == 1.0


def test_the_same_seed_gives_the_same_share_and_another_nearly_the_same() -> None:
    story = (WANTED * 0.3).astype(np.float32)
    first, again, other = (align(WANTED, story, EVEN, BANK, seed, "") for seed in (3, 3, 4))
    assert first == again
    assert other.better_than_shuffled == pytest.approx(first.better_than_shuffled, abs=0.1)


def test_random_stories_take_the_place_of_the_story() -> None:
    # Music at the centre is nearer to most stories than a story in the corner is.
    corner, centre = np.full((6, 2), 0.9, dtype=np.float32), np.zeros((6, 2), dtype=np.float32)
    assert align(centre, corner, EVEN, BANK, 1, "", story="got").better_than_shuffled == 0.0
    assert align(corner, centre, EVEN, BANK, 1, "", story="wanted").better_than_shuffled == 0.0
    assert align(corner, centre, EVEN, BANK, 1, "", story="got").better_than_shuffled > 0.3


def test_draws_are_means_of_excerpts_by_the_beats_lengths() -> None:
    ramp: VA = np.repeat(np.arange(8, dtype=np.float32)[:, None] / np.float32(8), 2, axis=1)
    bank = StoryBank.of(ramp, [0, 8])
    drawn = bank.draw(np.array([0.25, 0.6, 0.15]), 0)
    assert drawn.shape == (DRAWS, 3, 2)
    # Eight sentences, three beats: the whole tale, cut at 2.0 and 6.8 sentences.
    wanted = [(0 + 1) / 2, (2 + 3 + 4 + 5 + 0.8 * 6) / 4.8, (0.2 * 6 + 7) / 1.2]
    assert drawn[0, :, 0] * 8 == pytest.approx(wanted)


def test_excerpts_stay_within_their_tale() -> None:
    values = np.repeat(np.array([[-0.5], [0.5]], dtype=np.float32), [50, 70], axis=0).repeat(2, axis=1)
    drawn = StoryBank.of(values, [0, 50, 120]).draw(np.full(5, 0.2), 7)
    assert np.unique(drawn.round(6)).tolist() == [-0.5, 0.5]


@pytest.mark.parametrize("offsets", [[1, 9], [0, 8], [0, 5, 5, 9]])
def test_broken_offsets_are_refused(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets"):
        StoryBank.of(np.zeros((9, 2), dtype=np.float32), offsets)


def test_unequal_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes"):
        align(WANTED, WANTED[:5], EVEN, BANK, 1, "")


def test_a_bank_on_disk_comes_back_on_the_musics_scale(tmp_path: Path) -> None:
    path = tmp_path / "bank.npz"
    values = np.array([(0.1, 0.0), (0.2, -0.1), (0.0, 0.1)], dtype=np.float16)
    np.savez(path, values=values, offsets=np.array([0, 1, 3], dtype=np.int32))
    calibration = Calibration(Scale((0, 0), (0.1, 0.1)), Scale((0, 0), (0.3, 0.2)), Scale((0, 0), (1, 1)))
    bank = StoryBank.load(path, calibration)
    assert bank.offsets.tolist() == [0, 1, 3]
    assert np.diff(bank.cumulated, axis=0)[1] == pytest.approx([0.6, -0.2], abs=2e-3)


def test_it_is_quick() -> None:
    beats = np.zeros((10, 2), dtype=np.float32)
    started = perf_counter()
    for _ in range(10):
        align(beats, beats, [1.0] * 10, BANK, 1, "")
    assert (perf_counter() - started) / 10 < 0.1
