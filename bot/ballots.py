"""Ratings under cards: turns what adapters hear into ballots, each in one transaction. Knows no platform's library.

An adapter calls `vote` for a button, `reacted` for each reaction event, and after a start `reconcile` for each of the
`unsure` cards. While a card is being reconciled its reactions wait, and are heard afterwards in their order; buttons
never wait. Adapters leave out what bots and webhooks do. Who is blocked where a pair was made can still take back what
they said of it, but say nothing new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from bot import rating
from bot.contract import Actor, Posted
from bot.rating import Reaction, Said
from db import people, settings, votes
from db.votes import BallotRow, Connection, PairRef, Tally
from engine.clock import Clock
from engine.jobs import Platform
from engine.ledger import Ledger

SURE_S = 14 * 86_400.0
"""Cards older than two weeks are not read again after a start: hardly anybody rates them any more."""
MOST_CARDS = 200
"""Cards that are read again after a start, the newest first: at up to a dozen requests a card, paced by the platform's
limits, a few minutes."""
SHOWN_FROM = 3
"""From so many votes a mean is told; below, one could tell who voted what."""
_MINUTE_S = 60.0


@dataclass(frozen=True)
class Standing:
    """What a person is told after a vote: the own score, how many voted, and the mean once it hides who said what."""

    score: int | None
    count: int
    mean: float | None


class Ballots:
    """Everything about open ratings."""

    def __init__(self, ledger: Ledger, clock: Clock, fingerprint: Callable[[str, str], Awaitable[str]]) -> None:
        """`fingerprint` tells by what a person (platform, id) is blocked."""
        self._ledger = ledger
        self._clock = clock
        self._fingerprint = fingerprint
        self._locks: dict[tuple[Platform, Posted], asyncio.Lock] = {}

    def now(self) -> float:
        """Return the time by which votes are ordered: an adapter notes it when its connection is there again."""
        return self._clock.now()

    async def vote(self, actor: Actor, pair_id: int, score: str | int | None, *, scope_id: int | None) -> Standing:
        """Take a vote from a button; None takes the ballot back. `scope_id` is the visit's.

        Raises `UserError` for a score that is none, an unknown or deleted pair, one's own pair, too many votes, and
        for blocked people and shared identities.
        """
        said = Said(None if score is None else rating.score_of(score), self._clock.now())
        who = await self._fingerprint(actor.platform, actor.person)
        return await self._ledger.write(lambda conn: cast(conn, actor, who, pair_id, said, scope_id))

    async def reacted(self, actor: Actor, posted: Posted, reaction: Reaction, *, added: bool) -> bool:
        """Take a reaction that appeared (or went); False when it is under no card or does not count.

        Waits while the card is being reconciled. Raises `Transient` when the store fails.
        """
        at = self._clock.now()  # when it was heard, not when its turn comes
        event = rating.Added(reaction, at) if added else rating.Removed(reaction, at)
        async with self._lock(actor.platform, posted):
            who = await self._fingerprint(actor.platform, actor.person)
            return await self._ledger.write(lambda conn: _react(conn, actor, who, posted, event, at))

    async def unsure(self, platform: Platform) -> list[tuple[Posted, int]]:
        """Return the messages whose reactions must be read after a start, with their pairs, the newest first."""
        since = self._clock.now() - SURE_S
        cards = await self._ledger.read(lambda conn: votes.cards_since(conn, platform, since, MOST_CARDS))
        return [(Posted.read(card.message), card.pair_id) for card in cards]

    async def reconcile(
        self,
        platform: Platform,
        posted: Posted,
        since: float,
        snapshot: Callable[[], Awaitable[Mapping[str, Collection[Reaction]]]],
    ) -> int:
        """Bring the ballots of a card in line with what is shown; return how many changed.

        `snapshot` reads all reactions from the platform, by the id of the person, without bots; what it raises is
        raised here, and nothing is changed. `since` is `now()` when events began to be heard again: what is found
        counts as done then, so that a button pressed meanwhile is newer.
        """
        async with self._lock(platform, posted):
            seen = await snapshot()
            whose = {key: await self._fingerprint(platform, key) for key in seen}
            return await self._ledger.write(lambda conn: _reconcile(conn, platform, posted, seen, whose, since))

    async def standing(self, actor: Actor, pair_id: int) -> Standing:
        """Return how a pair stands, as told to one person."""
        return await self._ledger.read(lambda conn: _standing(conn, actor, pair_id))

    def _lock(self, platform: Platform, posted: Posted) -> asyncio.Lock:
        lock = self._locks.get((platform, posted))
        if lock is None:
            if len(self._locks) > MOST_CARDS:
                self._locks = {where: held for where, held in self._locks.items() if held.locked()}
            lock = self._locks[platform, posted] = asyncio.Lock()
        return lock


# --- in a transaction --------------------------------------------------------------------------------------------


def cast(conn: Connection, actor: Actor, who: str, pair_id: int, said: Said, scope_id: int | None) -> Standing:
    """Take what somebody (with the fingerprint `who`) said about a pair; raises `UserError` as `Ballots.vote` does."""
    pair = votes.pair(conn, pair_id)
    blocked = said.score is not None and _blocked(conn, who, pair)
    person_id = people.person_id(conn, actor.platform, actor.person, said.at)
    refused = rating.refusal(pair, actor, votes.recent(conn, person_id, said.at - _MINUTE_S), blocked=blocked)
    if refused is not None:
        raise refused
    assert pair is not None
    ballot = votes.change(
        conn, pair_id, person_id, _rule(said), scope_id=scope_id, delay_s=max(0.0, said.at - pair.created)
    )
    return _told(ballot, votes.tally(conn, pair_id))


def _react(
    conn: Connection, actor: Actor, who: str, posted: Posted, event: rating.Added | rating.Removed, at: float
) -> bool:
    card = votes.pair_at(conn, actor.platform, str(posted))
    pair = None if card is None else votes.pair(conn, card.pair_id)
    blocked = isinstance(event, rating.Added) and _blocked(conn, who, pair)
    if card is None or pair is None or rating.refusal(pair, actor, blocked=blocked) is not None:
        return False
    person_id = people.person_id(conn, actor.platform, actor.person, at)
    votes.change(conn, pair.id, person_id, _rule(event), scope_id=pair.scope_id, delay_s=max(0.0, at - card.sent))
    return True


def _reconcile(
    conn: Connection,
    platform: Platform,
    posted: Posted,
    seen: Mapping[str, Collection[Reaction]],
    whose: Mapping[str, str],
    since: float,
) -> int:
    card = votes.pair_at(conn, platform, str(posted))
    pair = None if card is None else votes.pair(conn, card.pair_id)
    if pair is None or pair.deleted:
        return 0
    known = votes.ballots(conn, pair.id, platform)
    counted = {key: shown for key, shown in seen.items() if rating.refusal(pair, Actor(platform, key)) is None}
    for key, shown in counted.items():
        if _blocked(conn, whose[key], pair):
            counted[key] = rating.still(known.get(key, rating.NO_BALLOT), shown)
    changed = rating.reconcile(known, counted, since)
    for key, ballot in changed.items():
        person_id = people.person_id(conn, platform, key, since)
        # When the reaction was given is not known, so neither is how long it took.
        votes.change(conn, pair.id, person_id, _becomes(ballot), scope_id=pair.scope_id, delay_s=None)
    return len(changed)


def _blocked(conn: Connection, who: str, pair: PairRef | None) -> bool:
    return pair is not None and settings.blocked(conn, who, pair.scope_id)


def _rule(event: rating.Event) -> Callable[[BallotRow | None], BallotRow]:
    return lambda before: rating.after(before or rating.NO_BALLOT, event)


def _becomes(ballot: BallotRow) -> Callable[[BallotRow | None], BallotRow]:
    return lambda _: ballot


def _standing(conn: Connection, actor: Actor, pair_id: int) -> Standing:
    own = votes.ballots(conn, pair_id, actor.platform).get(actor.person)
    return _told(own, votes.tally(conn, pair_id))


def _told(ballot: BallotRow | None, tally: Tally) -> Standing:
    mean = tally.mean if tally.count >= SHOWN_FROM else None
    return Standing(None if ballot is None else ballot.score, tally.count, mean)
