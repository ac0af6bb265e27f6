"""What the blind test deals next: the pair with the fewest ballots, and now and then a hidden control. Pure.

    match      a pair as it was made
    repeat     one that the person has rated before: do people agree with themselves?
    mismatch   the music of one pair with the story of another that is far away on the plane
    plain      the music with a story that was written for the same beats with flat emotion

Nobody is dealt their own music or story, nor a pair twice but as a repeat.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bot.config import VoteSettings
from db.deals import ChoiceRow

Condition = Literal["match", "repeat", "mismatch", "plain"]

FIRST_REAL = 2
"""So many deals come first that are what they seem: people learn the scale from them."""
REPEAT_GAP = 4
"""Answers between a pair and its repeat."""
FAR = 0.35
"""Two pieces of music at least so far apart on the plane are taken for a mismatch: one and a half standard deviations
of a song's mean rating (about .25 on each axis)."""
FURTHEST_SHARE = 3
"""A mismatched story is drawn from the furthest third, so that not one story serves them all."""


@dataclass(frozen=True)
class Choice:
    """What to deal: whose music, whose story, and as what."""

    pair_id: int
    story_id: int
    condition: Condition


def choose(
    rows: Sequence[ChoiceRow],
    repeatable: Sequence[int],
    answered: int,
    shares: VoteSettings,
    rng: random.Random,
    language: str | None = None,
) -> Choice | None:
    """Return what to deal to a person; None when there is nothing left to rate.

    `rows` may all be heard by the person, `repeatable` were rated long enough ago, `answered` counts all answers so
    far. Stories in `language` go before others.
    """
    fresh = _spoken([row for row in rows if not row.done], language)
    if not fresh:
        return None
    for condition in _order(answered, shares, rng):
        if condition == "repeat" and repeatable:
            again = repeatable[rng.randrange(len(repeatable))]
            if any(row.pair_id == again for row in rows):
                return Choice(again, again, "repeat")
        if condition == "plain":
            ready = [(row, row.plain_id) for row in fresh if row.plain_id is not None]
            if ready:
                row, plain_id = ready[rng.randrange(len(ready))]
                return Choice(row.pair_id, plain_id, "plain")
        if condition == "mismatch":
            music = fresh[rng.randrange(len(fresh))]
            story = far_story(music, rows, rng)
            if story is not None:
                return Choice(music.pair_id, story, "mismatch")
    fewest = min(row.votes for row in fresh)
    least = [row for row in fresh if row.votes == fewest]
    chosen = least[rng.randrange(len(least))]
    return Choice(chosen.pair_id, chosen.pair_id, "match")


def far_story(music: ChoiceRow, rows: Sequence[ChoiceRow], rng: random.Random) -> int | None:
    """Return a pair whose music lies far from this one's, in the same language; its story cannot fit."""
    apart = [
        (distance, row.pair_id)
        for row in rows
        if row.pair_id != music.pair_id
        and row.language == music.language
        and (distance := _distance(music, row)) is not None
        and distance >= FAR
    ]
    apart.sort(reverse=True)
    furthest = apart[: math.ceil(len(apart) / FURTHEST_SHARE)]
    return furthest[rng.randrange(len(furthest))][1] if furthest else None


def _order(answered: int, shares: VoteSettings, rng: random.Random) -> list[Condition]:
    """Return the control whose turn it is, drawn by its share; none for the first deals."""
    if answered < FIRST_REAL:
        return []
    draw = rng.random()
    each: tuple[tuple[Condition, float], ...] = (
        ("mismatch", shares.mismatch),
        ("plain", shares.plain),
        ("repeat", shares.repeat),
    )
    for condition, share in each:
        if draw < share:
            return [condition]
        draw -= share
    return []


def _spoken(rows: list[ChoiceRow], language: str | None) -> list[ChoiceRow]:
    mine = [row for row in rows if row.language in (None, language)]
    return mine or rows


def _distance(one: ChoiceRow, other: ChoiceRow) -> float | None:
    if one.valence is None or one.arousal is None or other.valence is None or other.arousal is None:
        return None
    return math.hypot(one.valence - other.valence, one.arousal - other.arousal)
