"""The rules of a ballot, one by one, and against a model of a platform that forgets to tell us things."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.contract import Actor
from bot.rating import (
    MOST_PER_MINUTE,
    NO_BALLOT,
    Added,
    Event,
    Reaction,
    Removed,
    Said,
    Seen,
    after,
    digits,
    reconcile,
    refusal,
    score_of,
)
from db.votes import BallotRow, PairRef
from engine.errors import UserError

PAIR = PairRef(1, "story", 1, "discord", "maker", 0.0, False, 1)


def ballot_after(*events: Event) -> BallotRow:
    ballot = NO_BALLOT
    for event in events:
        ballot = after(ballot, event)
    return ballot


def seen(*shown: int, at: float) -> Seen:
    return Seen(frozenset(map(Reaction, shown)), at)


@pytest.mark.parametrize(
    ("events", "score"),
    [
        ([], None),
        ([Said(4, 1.0)], 4),
        ([Said(4, 1.0), Said(None, 2.0)], None),
        ([Added(Reaction(2), 1.0)], 2),
        ([Added(Reaction(2), 1.0), Added(Reaction(5), 2.0)], 5),
        ([Added(Reaction(2), 1.0), Added(Reaction(5), 2.0), Removed(Reaction(5), 3.0)], 2),  # the one that is left
        ([Added(Reaction(2), 1.0), Removed(Reaction(2), 2.0)], None),
        ([Added(Reaction(2), 1.0), Added(Reaction(5), 2.0), Removed(Reaction(2), 3.0)], 5),
        ([Added(Reaction(2), 1.0), Said(4, 2.0), Removed(Reaction(2), 3.0)], 4),  # the button was newer
        ([Said(4, 1.0), Added(Reaction(2), 2.0), Removed(Reaction(2), 3.0)], None),  # taken back, not back to the 4
        ([Said(4, 2.0), Added(Reaction(2), 1.0)], 4),  # heard late
        ([Added(Reaction(2), 1.0), Added(Reaction(2, True), 2.0), Removed(Reaction(2), 3.0)], 2),  # the super one stays
        ([Removed(Reaction(3), 1.0)], None),
        ([seen(3, at=1.0)], 3),
        ([seen(3, 4, at=1.0)], None),  # which is newer, nobody knows
        ([seen(3, 4, at=1.0), Removed(Reaction(3), 2.0)], 4),  # now it is clear
        ([Added(Reaction(3), 1.0), seen(3, 4, 5, at=2.0)], 3),  # the stored one is still shown
        ([Added(Reaction(3), 1.0), seen(3, 5, at=2.0)], 5),
        ([Added(Reaction(3), 1.0), seen(at=2.0)], None),
        ([Said(1, 3.0), seen(3, at=2.0)], 1),  # the button was pressed after we were back
        ([Said(1, 1.0), seen(3, 4, at=2.0)], 1),  # what was said is clearer than two digits
        ([Added(Reaction(3), 1.0), Added(Reaction(4), 2.0), seen(3, 4, at=3.0)], 4),  # nothing new
    ],
)
def test_rules(events: list[Event], score: int | None) -> None:
    assert ballot_after(*events).score == score


@pytest.mark.parametrize("text", ["0", "5", " 3 ", 4])
def test_scores(text: str | int) -> None:
    assert score_of(text) == int(text)


@pytest.mark.parametrize("text", ["6", "-1", "five", "", "4.5", "３", "²", "0x1", 6, -1, "00"])
def test_no_scores(text: str | int) -> None:
    with pytest.raises(UserError, match=r"from 0 .* to 5") as caught:
        score_of(text)
    assert caught.value.code == "bad_score"


@pytest.mark.parametrize(
    ("pair", "actor", "recent", "code"),
    [
        (None, Actor("discord", "anna"), 0, "unknown_pair"),
        (PairRef(1, "story", 1, "discord", "maker", 0.0, True, 1), Actor("discord", "anna"), 0, "deleted_pair"),
        (PAIR, Actor("discord", "maker"), 0, "own_pair"),
        (PAIR, Actor("telegram", "1087968824"), 0, "not_a_person"),
        (PAIR, Actor("discord", "anna", shared=True), 0, "not_a_person"),
        (PAIR, Actor("discord", "anna"), MOST_PER_MINUTE, "too_many_votes"),
    ],
)
def test_votes_that_are_refused(pair: PairRef | None, actor: Actor, recent: int, code: str) -> None:
    error = refusal(pair, actor, recent)
    assert error is not None and error.code == code


def test_the_same_id_on_another_platform_is_somebody_else() -> None:
    assert refusal(PAIR, Actor("telegram", "maker"), MOST_PER_MINUTE - 1) is None


# --- a platform that is sometimes not heard -----------------------------------------------------------------------

ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("toggle"), st.integers(0, 5), st.booleans()),
        st.tuples(st.just("button"), st.integers(0, 5)),
        st.tuples(st.just("down")),
        st.tuples(st.just("up")),
        st.tuples(st.just("snapshot begins")),
        st.tuples(st.just("snapshot ends")),
    ),
    max_size=30,
)


class World:
    """One person, one card, a platform, and a bot that misses what happens while it is down."""

    def __init__(self) -> None:
        self.now = 0.0
        self.shown: list[Reaction] = []  # the truth, oldest first
        self.last_act: tuple[str, int | None] = ("reaction", None)
        self.missed = False
        self.unread = False  # missed acts that no snapshot has found yet
        self.vague = False  # down again before they were found: what came first, nobody can tell
        self.ballot = NO_BALLOT
        self.up, self.ready_at = True, 0.0
        self.reading: dict[int, frozenset[Reaction]] | None = None
        self.waiting: list[Event] = []

    def hear(self, event: Event) -> None:
        if not self.up:
            self.missed = self.unread = True
        elif self.reading is not None and not isinstance(event, Said):
            self.waiting.append(event)
        else:
            self.ballot = after(self.ballot, event)

    def act(self, kind: str, *arguments: Any) -> None:
        self.now += 1.0
        match kind:
            case "toggle":
                reaction = Reaction(*arguments)
                if reaction in self.shown:
                    self.shown.remove(reaction)
                    self.hear(Removed(reaction, self.now))
                else:
                    self.shown.append(reaction)
                    self.last_act = ("reaction", reaction.digit)
                    self.hear(Added(reaction, self.now))
            case "button" if self.up:  # a platform refuses a button while nobody answers
                self.last_act = ("button", arguments[0])
                self.hear(Said(arguments[0], self.now))
            case "down" if self.up:
                self.up, self.reading = False, None
                self.vague |= self.unread or bool(self.waiting)
                self.missed |= bool(self.waiting)
                self.waiting = []  # they were in memory
            case "up" if not self.up:
                self.up, self.ready_at = True, self.now
            case "snapshot begins" if self.up and self.reading is None:
                self.reading = {digit: self.read(digit) for digit in range(3)}  # the second half is read later
            case "snapshot ends" if self.up and self.reading is not None:
                found = self.reading | {digit: self.read(digit) for digit in range(3, 6)}
                self.ballot = after(self.ballot, Seen(frozenset().union(*found.values()), self.ready_at))
                for event in self.waiting:
                    self.ballot = after(self.ballot, event)
                self.reading, self.waiting, self.unread = None, [], False
            case _:
                pass

    def read(self, digit: int) -> frozenset[Reaction]:
        return frozenset(reaction for reaction in self.shown if reaction.digit == digit)


@settings(max_examples=500, deadline=None)
@given(ACTS)
def test_whatever_is_missed_the_ballot_ends_as_what_is_shown(acts: list[tuple[Any, ...]]) -> None:
    world = World()
    for kind, *arguments in acts:
        world.act(kind, *arguments)
    for kind in ("snapshot ends", "up", "snapshot begins", "snapshot ends"):
        world.act(kind)

    shown = frozenset(reaction.digit for reaction in world.shown)
    assert digits(world.ballot.reactions) == shown
    how, score = world.last_act
    if how == "button" and world.vague:
        assert world.ballot.score in {None, score, *shown}
    elif how == "button":  # nothing was added after it, so it stands
        assert world.ballot.score == score
    elif len(shown) <= 1 and world.ballot.via == "reaction":
        assert world.ballot.score == next(iter(shown), None)
    elif world.ballot.via == "reaction":
        assert world.ballot.score in {None, *shown}
    if not world.missed and how == "reaction" and score in shown:
        assert world.ballot.score == score  # everything was heard: the newest act wins


@settings(max_examples=100, deadline=None)
@given(ACTS)
def test_reading_again_changes_nothing(acts: list[tuple[Any, ...]]) -> None:
    world = World()
    for kind, *arguments in acts:
        world.act(kind, *arguments)
    once = after(world.ballot, Seen(frozenset(world.shown), world.now))
    assert after(once, Seen(frozenset(world.shown), world.now + 1)) == once


def test_reconciling_a_card_names_only_what_changes() -> None:
    known = {"anna": ballot_after(Added(Reaction(4), 1.0)), "ben": ballot_after(Added(Reaction(1), 1.0))}
    changed = reconcile(known, {"anna": [Reaction(4)], "cleo": [Reaction(5)]}, at=9.0)
    assert {key: ballot.score for key, ballot in changed.items()} == {"ben": None, "cleo": 5}
