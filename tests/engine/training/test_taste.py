"""What ratings teach about numbers, and how that ranks; and that nothing is learned without consent."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.ballot import CONSENT_VERSION
from db import consent
from db.answers import AnswerRecord
from engine.errors import UserError
from engine.jobs import Alignment
from engine.training.taste import FEWEST_PAIRS, consented, learn, ranking

BY = "reader-1"


def answer(
    pair: int, score: int, distance: float, condition: str = "match", kind: str = "story", by: str = BY
) -> AnswerRecord:
    return AnswerRecord(
        rater="r",
        platform="console",
        pair=pair,
        story=pair,
        condition=condition,
        via="button",
        score=score,
        at=0.0,
        delay_s=None,
        account_age_s=None,
        campaign=None,
        kind=kind,
        variant="v",
        distance=distance,
        valence_r=None,
        arousal_r=0.1 * (pair % 3),
        better_than_shuffled=0.5,
        aligned_by=by,
    )


def fit(distance: float, valence_r: float | None = None) -> Alignment:
    return Alignment(distance, valence_r, None, 0.5, BY)


NEAR_IS_LIKED = [answer(i, 5 - i // 4, 0.1 + 0.05 * i) for i in range(20) for _ in range(3)]


def test_people_who_like_what_is_near() -> None:
    taste = learn(NEAR_IS_LIKED, BY)
    assert (taste.pairs, taste.votes) == (20, 60)
    assert taste.expects(fit(0.1)) > 3.5 > 2.5 > taste.expects(fit(1.0))
    assert taste.expects(fit(9.0)) >= 0 and taste.expects(fit(-9.0)) <= 5
    assert taste.weight > 0.9
    opinion = taste.opinion(fit(0.1))
    assert (opinion.pairs, opinion.votes) == (20, 60) and opinion.expected == pytest.approx(
        taste.expects(fit(0.1)), abs=1e-3
    )


def test_ratings_that_follow_nothing_do_not_rank() -> None:
    taste = learn([answer(i, (0, 5)[i % 2], 0.1 + 0.05 * (i // 2)) for i in range(40)], BY)
    assert taste.weight < 0.3


def test_everybody_says_the_same() -> None:
    taste = learn([answer(i, 4, 0.1 * i) for i in range(20)], BY)
    assert taste.weight == 0 and taste.expects(fit(0.3)) == pytest.approx(4)


@pytest.mark.parametrize("other", [{"condition": "mismatch"}, {"kind": "compose"}, {"by": "another model"}])
def test_what_is_not_about_the_story_for_its_music_does_not_count(other: dict[str, str]) -> None:
    records = [answer(i, 3, 0.1 * i, **other) for i in range(40)] + NEAR_IS_LIKED[: 3 * (FEWEST_PAIRS - 1)]
    with pytest.raises(UserError, match=f"Only {FEWEST_PAIRS - 1} stories"):
        learn(records, BY)


def test_ranking() -> None:
    fits = [fit(0.3), fit(0.1), fit(0.2), fit(0.1)]
    assert ranking(fits, None) == [1, 3, 2, 0]
    far_is_liked = learn([answer(i, i // 4, 0.1 + 0.05 * i) for i in range(20) for _ in range(3)], BY)
    assert far_is_liked.weight > 0.9 and ranking(fits, far_is_liked) == [0, 2, 1, 3]
    assert ranking([fit(0.3)] * 3, far_is_liked) == [0, 1, 2]


def test_the_bot_asks_for_consent_to_the_same_words() -> None:
    assert CONSENT_VERSION == consent.WORDS_VERSION


def test_a_store_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_text("no store")
    with pytest.raises(UserError, match="store"):
        consented(tmp_path / "store.sqlite")
