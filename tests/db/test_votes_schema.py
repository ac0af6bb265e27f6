"""What the tables of votes keep by themselves: counts, own pairs, one open deal, and nothing of who is forgotten."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from db import campaigns, consent, deals, jobs, people, votes
from db.migrate import migrate, shipped
from db.votes import BallotRow, Tally

TABLES = ("vote", "vote_event", "deal", "consent", "credit", "publication", "plain", "campaign_pair")


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn, Path("store"), shipped())
    conn.execute("PRAGMA foreign_keys = ON")
    for name in ("maker", "anna", "ben"):
        people.person_id(conn, "discord", name, 0.0)
    chat = people.chat_id(conn, "discord", "room", 0.0)
    for number in (1, 2, 3):
        conn.execute(
            "INSERT INTO job (kind, version, args, person_id, chat_id, state, attempt, run_after, created, ended,"
            " result) VALUES ('compose', 1, '{}', 1, ?, 'done', 1, 0, 0, 0, '{}')", (chat,)
        )  # fmt: skip
        if number < 3:
            conn.execute(
                "INSERT INTO pair (job_id, kind, person_id, chat_id, created, folder, distance, better_than_shuffled,"
                " aligned_by) VALUES (?, 'compose', 1, ?, 0, 'f', 0.1, 0.9, 'x')", (number, chat)
            )  # fmt: skip
    yield conn
    conn.close()


def say(conn: sqlite3.Connection, person: int, score: int | None, at: float, reactions: int = 0) -> None:
    ballot = BallotRow(score, "button", at, reactions)
    votes.change(conn, 1, person, lambda _: ballot, scope_id=None, delay_s=None)


def test_a_pair_counts_its_votes_whatever_becomes_of_them(conn: sqlite3.Connection) -> None:
    say(conn, 2, 5, 1.0)
    say(conn, 3, 2, 2.0)
    assert votes.tally(conn, 1) == Tally(2, 7)
    say(conn, 3, 4, 3.0)
    assert votes.tally(conn, 1) == Tally(2, 9)
    say(conn, 3, None, 4.0)
    assert votes.tally(conn, 1) == Tally(1, 5)
    say(conn, 3, 0, 5.0)
    assert votes.tally(conn, 1) == Tally(2, 5)
    people.forget(conn, 2)
    assert votes.tally(conn, 1) == Tally(1, 0)
    assert votes.tally(conn, 1).mean == 0.0 and votes.tally(conn, 2).mean is None


def test_what_changes_nothing_is_not_written_down(conn: sqlite3.Connection) -> None:
    say(conn, 2, None, 1.0)  # nothing was there to take back
    assert votes.ballot(conn, 1, 2) is None
    say(conn, 2, 3, 2.0)
    say(conn, 2, 3, 2.0, reactions=8)  # only what is shown
    assert votes.history(conn, 1, 2) == [(3, "button", 2.0)]
    shown = votes.ballot(conn, 1, 2)
    assert shown is not None and shown.reactions == 8


def test_the_table_refuses_a_vote_for_ones_own(conn: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="own pair"):
        say(conn, 1, 5, 1.0)


@pytest.mark.parametrize("score", [6, -1])
def test_the_table_refuses_impossible_scores(conn: sqlite3.Connection, score: int) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        say(conn, 2, score, 1.0)


def dealt(conn: sqlite3.Connection, person: int, pair: int = 1, story: int = 1, condition: str = "match") -> int:
    row = deals.add(conn, person, pair, story, condition, campaign_id=None, scope_id=1, now=0.0, expires=9.0)
    return row.id


def test_deals(conn: sqlite3.Connection) -> None:
    first = dealt(conn, 2)
    with pytest.raises(sqlite3.IntegrityError):
        dealt(conn, 2, pair=2, story=2)  # one at a time
    for pair, story, condition in ((1, 2, "match"), (1, 1, "mismatch"), (1, 2, "magic")):
        with pytest.raises(sqlite3.IntegrityError):
            dealt(conn, 3, pair, story, condition)
    assert deals.answer(conn, first, 4, 1.0)
    assert not deals.answer(conn, first, 5, 2.0) and not deals.skip(conn, first)
    second = dealt(conn, 2, 1, 2, "mismatch")
    deals.expire(conn, 9.0)
    assert not deals.answer(conn, second, 4, 9.0)
    assert deals.answered(conn, 2) == 1


def test_earned_turns_are_capped_and_spent(conn: sqlite3.Connection) -> None:
    for _ in range(5):
        deals.earn(conn, 2)
    assert conn.execute("SELECT turns FROM credit").fetchall() == [(3,)]
    for _ in range(4):
        jobs.spend(conn, 2)
    assert conn.execute("SELECT turns FROM credit").fetchall() == []


def fill(conn: sqlite3.Connection) -> None:
    say(conn, 2, 4, 1.0)
    deals.answer(conn, dealt(conn, 2), 4, 1.0)
    dealt(conn, 2, 2, 2)
    consent.give(conn, 2, 1, 0.0)
    deals.earn(conn, 2)
    deals.publish(conn, 1, 0.0)
    assert deals.join_plain(conn, 1, 3)
    campaign = campaigns.create(conn, 1, "spring", 3, 5, 1, 0.0)
    campaigns.add_pair(conn, campaign.id, 1)


def test_who_is_forgotten_leaves_nothing(conn: sqlite3.Connection) -> None:
    fill(conn)
    people.forget(conn, 2)
    for table in ("vote", "vote_event", "deal", "consent", "credit"):
        assert conn.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    assert votes.tally(conn, 1) == Tally(0, 0)


def test_a_maker_who_is_forgotten_takes_pairs_and_plain_stories_along(conn: sqlite3.Connection) -> None:
    house = people.person_id(conn, "house", "tunetale", 0.0)
    conn.execute("UPDATE job SET person_id = ? WHERE id = 3", (house,))  # the house made the plain story
    fill(conn)
    people.forget(conn, 1)
    for table in (*TABLES, "pair", "job"):
        left = 1 if table in ("consent", "credit") else 0  # those are the voter's
        assert conn.execute(f"SELECT count(*) FROM {table}").fetchone() == (left,), table
    assert conn.execute("SELECT person_id FROM campaign").fetchall() == [(None,)]


def test_no_query_of_votes_walks_through_a_table(conn: sqlite3.Connection) -> None:
    # What a person may be dealt is chosen among all pairs, so those are walked through.
    meant = {deals.CHOICES, deals.WANTS_PLAIN, deals.NO_FEELING, campaigns.PAIRS_HERE, consent.LEARNED}
    named = dict.fromkeys(("person", "scope", "campaign", "gap", "version"), 1)
    for module in (votes, deals, campaigns, consent):
        for name, sql in vars(module).items():
            if not (name.isupper() and isinstance(sql, str)) or name.startswith("_") or sql in meant:
                continue
            values = named if ":" in sql else (1,) * sql.count("?")
            steps = [step for *_, step in conn.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
            assert not [s for s in steps if s.startswith("SCAN") and "CONSTANT" not in s], (name, steps)
