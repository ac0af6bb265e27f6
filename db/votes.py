"""Votes: the cards under which a pair can be rated, each person's ballot, and its history.

What a ballot becomes is decided by the caller (`rule`); this module keeps it, and its history, in one transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Connection = sqlite3.Connection
"""What `Store.write` and `Store.read` hand out."""
Via = Literal["reaction", "button", "test"]
"""How a ballot was given: under a card, or in the blind test."""

# The pair that a message of ours shows.
PAIR_AT = (
    "SELECT pair.id, outbox.ended FROM outbox JOIN pair ON pair.job_id = outbox.job_id"
    " WHERE outbox.platform = ? AND outbox.message_id = ?"
)
# The newest messages of a platform that show a pair.
CARDS_SINCE = (
    "SELECT pair.id, outbox.message_id, outbox.ended FROM outbox JOIN pair ON pair.job_id = outbox.job_id"
    " WHERE outbox.platform = ? AND outbox.state = 'sent' AND outbox.ended >= ? AND outbox.message_id IS NOT NULL"
    " AND pair.deleted IS NULL ORDER BY outbox.ended DESC LIMIT ?"
)
# Who made a pair, and whether it is still there.
PAIR = (
    "SELECT pair.id, pair.kind, pair.person_id, person.platform, person.key, pair.created, pair.deleted IS NOT NULL,"
    " coalesce(chat.server_id, chat.id) FROM pair JOIN person ON person.id = pair.person_id"
    " JOIN chat ON chat.id = pair.chat_id WHERE pair.id = ?"
)
# A person's ballot.
BALLOT = "SELECT score, via, at, reactions FROM vote WHERE pair_id = ? AND person_id = ?"
# All ballots of a pair that were given on a platform.
BALLOTS = (
    "SELECT person.key, vote.score, vote.via, vote.at, vote.reactions FROM vote"
    " JOIN person ON person.id = vote.person_id WHERE vote.pair_id = ? AND person.platform = ?"
)
# A ballot as it is now.
PUT = (
    "INSERT INTO vote (pair_id, person_id, score, via, at, reactions, scope_id, delay_s)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (pair_id, person_id) DO UPDATE SET score = excluded.score, via = excluded.via, at = excluded.at,"
    " reactions = excluded.reactions, scope_id = excluded.scope_id, delay_s = excluded.delay_s"
)
# Only what is shown has changed.
SHOW = "UPDATE vote SET reactions = ? WHERE pair_id = ? AND person_id = ?"
# What a ballot became.
NOTE = "INSERT INTO vote_event (pair_id, person_id, score, via, at) VALUES (?, ?, ?, ?, ?)"
# How many votes by button a person gave since a time.
RECENT = "SELECT count(*) FROM vote_event WHERE person_id = ? AND at > ? AND via <> 'reaction'"
# How many have rated a pair, and the sum of their scores.
TALLY = "SELECT votes, score_sum FROM pair WHERE id = ?"
# What a person has said about a pair over time.
HISTORY = "SELECT score, via, at FROM vote_event WHERE pair_id = ? AND person_id = ? ORDER BY id"
# The key of the hashes that stand for people in exports.
KEY = "SELECT value FROM house WHERE name = 'export_key'"


@dataclass(frozen=True)
class CardRow:
    """A message under which a pair can be rated: `message` is what `bot.contract.Posted` writes."""

    pair_id: int
    message: str
    sent: float


@dataclass(frozen=True)
class PairRef:
    """What the rules of voting need to know of a pair."""

    id: int
    kind: str
    maker_id: int
    platform: str
    maker: str
    created: float
    deleted: bool
    scope_id: int
    """The server where it was made, or the chat without one."""


@dataclass(frozen=True)
class BallotRow:
    """A person's ballot about a pair; `reactions` is what is shown under its card, bits: plain 0 to 5, super 0 to 5."""

    score: int | None
    via: Via
    at: float
    reactions: int


@dataclass(frozen=True)
class Tally:
    """How many have rated a pair, and the sum of their scores."""

    count: int
    total: int

    @property
    def mean(self) -> float | None:
        """The mean score; None without votes."""
        return self.total / self.count if self.count else None


def pair_at(conn: Connection, platform: str, message: str) -> CardRow | None:
    """Return the card that a message of ours is, if it is one."""
    row = conn.execute(PAIR_AT, (platform, message)).fetchone()
    return None if row is None else CardRow(row[0], message, row[1])


def cards_since(conn: Connection, platform: str, since: float, most: int) -> list[CardRow]:
    """Return the cards of a platform that were sent since a time, the newest first, at most `most`."""
    return [CardRow(*row) for row in conn.execute(CARDS_SINCE, (platform, since, most))]


def pair(conn: Connection, pair_id: int) -> PairRef | None:
    """Return a pair, also a deleted one; None when there never was one or it is gone for good."""
    row = conn.execute(PAIR, (pair_id,)).fetchone()
    if row is None:
        return None
    key, kind, maker_id, platform, maker, created, deleted, scope_id = row
    return PairRef(key, kind, maker_id, platform, maker, created, bool(deleted), scope_id)


def ballot(conn: Connection, pair_id: int, person_id: int) -> BallotRow | None:
    """Return a person's ballot, also one that was taken back."""
    row = conn.execute(BALLOT, (pair_id, person_id)).fetchone()
    return None if row is None else BallotRow(*row)


def ballots(conn: Connection, pair_id: int, platform: str) -> dict[str, BallotRow]:
    """Return all ballots of a pair that people of a platform gave, by the platform's id of the person."""
    return {key: BallotRow(*row) for key, *row in conn.execute(BALLOTS, (pair_id, platform))}


def change(
    conn: Connection,
    pair_id: int,
    person_id: int,
    rule: Callable[[BallotRow | None], BallotRow],
    *,
    scope_id: int | None,
    delay_s: float | None,
) -> BallotRow:
    """Replace a ballot by what `rule` makes of it, note a new score in the history, and return it.

    Beside it is kept where it was given and how long after the card. Raises sqlite3.IntegrityError for one's own pair:
    the table refuses it.
    """
    before = ballot(conn, pair_id, person_id)
    now = rule(before)
    if now == before or (before is None and now.score is None and not now.reactions):
        return now
    said = (now.score, now.via, now.at)
    if before is not None and said == (before.score, before.via, before.at):
        conn.execute(SHOW, (now.reactions, pair_id, person_id))
        return now
    conn.execute(PUT, (pair_id, person_id, *said, now.reactions, scope_id, delay_s))
    conn.execute(NOTE, (pair_id, person_id, *said))
    return now


def recent(conn: Connection, person_id: int, since: float) -> int:
    """Return how many votes by button a person gave since a time."""
    return int(conn.execute(RECENT, (person_id, since)).fetchone()[0])


def tally(conn: Connection, pair_id: int) -> Tally:
    """Return how many have rated a pair, and the sum of their scores."""
    return Tally(*(conn.execute(TALLY, (pair_id,)).fetchone() or (0, 0)))


def history(conn: Connection, pair_id: int, person_id: int) -> list[tuple[int | None, Via, float]]:
    """Return what a person has said about a pair, in order: (score or None, how, when)."""
    return [(score, via, at) for score, via, at in conn.execute(HISTORY, (pair_id, person_id))]
