"""Stories for the composer, what is heard in each beat, and how much pieces differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.emotion.curve import Beat, EmotionCurve
from engine.evaluation.composer_stories import (
    SENTENCES_A_TURN,
    TURNS,
    Followed,
    beats_of,
    follow,
    plane_texts,
    tale_texts,
)
from engine.evaluation.variety import melody, numerals, variety
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music.composer import Brief, Music
from engine.music.describer import RulesDescriber
from engine.music.embedded import write
from engine.report import Report, silent

TALES = [[" ".join(f"Tale {t} said {i}." for i in range(8)), "Too short."] for t in range(5)] + [["One. Two."]]
BEATS = (Beat(0, 10, -0.6, -0.5, "sad"), Beat(10, 20, 0.6, 0.5, "glad"), Beat(20, 30, -0.2, 0.7, "tense"))


def test_one_section_of_a_tale() -> None:
    texts = tale_texts(TALES, 3, seed=1)
    assert len(texts) == 3 and all(len(text) == 8 for text in texts)
    assert len({text[0] for text in texts}) == 3
    assert texts == tale_texts(TALES, 3, seed=1) != tale_texts(TALES, 3, seed=2)
    assert len(tale_texts(TALES, 99, seed=1)) == 5


def test_texts_over_the_whole_plane() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(-1, 1, (2_000, 2)).astype(np.float32)
    sentences = [f"sentence {i}" for i in range(2_000)]
    texts = plane_texts(sentences, places, 20, seed=1)
    used = [sentence for text in texts for sentence in text]
    assert len(used) == len(set(used)) == 20 * TURNS * SENTENCES_A_TURN
    turns = np.array([places[int(one.split()[1])] for one in used]).reshape(-1, SENTENCES_A_TURN, 2)
    assert np.ptp(turns, axis=1).max() < 0.3  # the sentences of a turn lie close together
    assert {tuple(np.sign(turn.mean(axis=0))) for turn in turns} == {(a, b) for a in (-1, 1) for b in (-1, 1)}


def test_beats_as_compose_finds_them() -> None:
    def scorer(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[0.3, 0.2, 0] if "glad" in text else [-0.3, -0.2, 0] for text in texts], dtype=np.float32)

    (beats,) = beats_of([["It was a sad day."] * 4 + ["They were glad again."] * 4], 60.0, scorer)
    assert beats[0].start_s == 0 and beats[-1].end_s == 60
    assert beats[0].valence < 0 < beats[-1].valence


class Telegraph:
    """Composes each beat as a steady level that tells it."""

    name = "telegraph"

    def compose(self, brief: Brief, report: Report) -> Music:
        samples = np.zeros((round(brief.seconds * 44_100), 2), dtype=np.float32)
        for beat in brief.beats:
            samples[round(beat.start_s * 44_100) : round(beat.end_s * 44_100)] = 0.5 + 0.4 * beat.valence
        return Music(samples, 44_100, None)


def listen(mono: NDArray[np.float32]) -> EmotionCurve:
    step = ANALYSIS_RATE_HZ // 2
    levels = np.array([np.median(mono[i : i + step]) for i in range(0, len(mono) - step + 1, step)])
    return EmotionCurve(np.stack([(levels - 0.5) / 0.4, 0 * levels], axis=1).astype(np.float32))


def test_each_beat_is_heard() -> None:
    told: list[int] = []
    found = follow([BEATS, BEATS[:2]], Telegraph(), RulesDescriber(), listen, 30.0, told.append)
    assert told == [1, 2] and found.piece == (0, 0, 0, 1, 1)
    np.testing.assert_allclose(found.heard[:, 0], found.wanted[:, 0], atol=0.05)
    assert found.r(0) > 0.99 and math.isnan(found.r(1))
    assert found.mae(0) < 0.05 < found.constant_mae(0)


def test_the_interval_draws_whole_pieces() -> None:
    rng = np.random.default_rng(1)
    wanted = rng.normal(size=(60, 2))
    found = Followed(wanted, wanted + rng.normal(size=(60, 2)), tuple(i // 4 for i in range(60)))
    low, high = found.interval(0, seed=1)
    assert low < found.r(0) < high and high - low < 0.5


def in_order(beats: Sequence[Beat]) -> tuple[Beat, ...]:
    return tuple(Beat(10.0 * i, 10.0 * i + 10, b.valence, b.arousal, b.word) for i, b in enumerate(beats))


def test_variety_of_pieces() -> None:
    pieces = [BEATS, BEATS[::-1], BEATS[:2]] * 3
    ordered = [
        tuple(Beat(10.0 * i, 10.0 * i + 10, b.valence, b.arousal, b.word) for i, b in enumerate(p)) for p in pieces
    ]
    found = variety(ordered, 30.0)
    assert 0 <= found.melody_overlap < 0.5 and 0 <= found.harmony_overlap < 0.8
    assert found.progressions > 10 and 3 < found.entropy_bits <= math.log2(found.progressions) + 1e-9
    assert 0 < found.commonest <= 1


def test_the_same_seed_overlaps_wholly(monkeypatch: pytest.MonkeyPatch) -> None:
    def same(brief: Brief, report: Any) -> Any:
        return write(Brief(brief.description, brief.beats, brief.seconds, brief.seed % 100_000), report)

    monkeypatch.setattr("engine.evaluation.variety.write", same)
    found = variety([BEATS], 30.0)
    assert found.melody_overlap == 1


def test_melody_and_numerals_of_a_piece() -> None:
    piece = write(Brief("", BEATS, 30.0, 5), silent)
    assert len(melody(piece)) > 10 and all(-40 < step < 40 for step in melody(piece))
    names = numerals(piece, 5)
    assert len(names) > 5 and all(a != b for a, b in pairwise(names))
