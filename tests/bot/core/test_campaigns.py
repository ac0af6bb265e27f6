"""Campaigns: set up by an admin, balanced whoever leaves, and over when they are over."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot import ballot, campaigns, dealing
from bot.config import VoteSettings
from bot.contract import Document, Picture, Reply
from bot.dealing import choose
from db import campaigns as rows
from db import deals, people
from db.deals import ChoiceRow
from db.migrate import migrate, shipped
from tests.bot.core.test_ballot import answered, dealt, make_pairs
from tests.fakes.chat import BEN, BOSS, GROUP, HOME, MEI, Room, texts


async def run(at: Room, action: str, name: str = "spring", **more: Any) -> Reply:
    return await campaigns.campaign(at.desk, BOSS, GROUP, action, name, **more)


async def test_a_campaign_from_begin_to_end(here: Room) -> None:
    made = await make_pairs(here, 3)
    assert "not begun" in texts(await run(here, "create", raters=2, each=2))
    assert "no pairs yet" in texts(await run(here, "start"))
    await run(here, "add", pairs=f"{made[0]}, {made[1]}")
    assert "running" in texts(await run(here, "start"))
    assert "pairs are fixed" in texts(await run(here, "add", pairs="all"))

    first = await dealt(here)
    assert first.campaign_id is not None and first.pair_id in made[:2]
    await answered(here, first)
    second = await dealt(here)
    assert second.condition == "match"  # the first deals are real
    reply = await run(here, "show")
    shown = texts(reply)
    assert "0 of 2 people are done, 1 have begun; each rates 2 of 2 pairs" in shown and "0/2" in shown
    (picture,) = [part for part in reply.parts if isinstance(part, Picture)]
    assert picture.path.read_bytes().startswith(b"\x89PNG")
    assert "0 of 2 people are done, 1 have begun. 2 pairs have 0 to 1 votes each; the goal is 2." in picture.alt
    await answered(here, second)
    assert "rated everything" in texts(await ballot.vote(here.desk, BEN, GROUP))

    late = await dealt(here, replace(MEI, locale="en"))
    assert "over" in texts(await run(here, "stop"))
    refused = await answered(here, late, actor=replace(MEI, locale="en"))
    assert "ended" in refused or "not open" in refused
    assert "does not run" in texts(await run(here, "stop"))
    assert "is over" in texts(await run(here, "start"))

    table = await run(here, "export")
    (document,) = [part for part in table.parts if isinstance(part, Document)]
    lines = (document.data or b"").decode().splitlines()
    assert len(lines) == 3 and ",spring," in lines[1] and ",4,telegram" not in lines[1]


async def test_who_is_needed_no_more_is_thanked(here: Room) -> None:
    made = await make_pairs(here, 1)
    await run(here, "create", raters=1)
    await run(here, "add", pairs=str(made[0]))
    await run(here, "start")
    await answered(here, await dealt(here))
    assert "all the people it needs" in texts(await ballot.vote(here.desk, replace(MEI, locale="en"), GROUP))


@pytest.mark.parametrize(
    ("action", "more", "said"),
    [
        ("create", {}, "how many people"),
        ("create", {"raters": 0}, "how many people"),
        ("create", {"raters": 5, "each": 0}, "can rate 1 to"),
        ("start", {}, "no campaign spring here"),
        ("dance", {}, "no /admin campaign dance"),
        ("show", {"name": "no spaces please"}, "1 to 32 letters"),
        ("export", {"name": "winter"}, "no campaign winter here"),
    ],
)
async def test_what_cannot_be_done(here: Room, action: str, more: dict[str, Any], said: str) -> None:
    assert said in texts(await run(here, action, **more))


async def test_only_pairs_of_the_place(here: Room) -> None:
    (private,) = await make_pairs(here, 1, place=HOME)
    await run(here, "create", raters=1)
    assert "campaign spring already" in texts(await run(here, "create", raters=1))
    for wanted in (str(private), "999"):
        assert "not one of this place" in texts(await run(here, "add", pairs=wanted))
    assert "name the numbers" in texts(await run(here, "add", pairs=""))


async def test_only_one_runs_at_a_time(here: Room) -> None:
    await make_pairs(here, 1)
    for name in ("one", "two"):
        await run(here, "create", name, raters=1)
        await run(here, "add", name, pairs="all")
    await run(here, "start", "one")
    assert "Another campaign runs" in texts(await run(here, "start", "two"))


async def test_only_admins_and_every_action_written_down(here: Room) -> None:
    refused = await campaigns.campaign(here.desk, BEN, GROUP, "create", "spring", raters=3)
    assert "Only admins" in texts(refused)
    await run(here, "create", raters=3)
    assert not [part for part in (await run(here, "show")).parts if isinstance(part, Picture)]  # nothing to see yet
    actions = await here.desk.ledger.read(lambda conn: conn.execute("SELECT action, detail FROM audit").fetchall())
    assert actions == [("campaign create", "spring")]


def test_the_bar() -> None:
    assert campaigns.bar(0, 5) == "░" * 12
    assert campaigns.bar(5, 5) == campaigns.bar(9, 5) == "█" * 12
    assert campaigns.bar(1, 0) == "░" * 12


# --- balance -------------------------------------------------------------------------------------------------------


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn, Path("store"), shipped())
    conn.execute("PRAGMA foreign_keys = ON")
    yield conn
    conn.close()


def simulated(conn: sqlite3.Connection, pairs: int, raters: int, each: int, rng: random.Random) -> tuple[int, int]:
    """Let people rate side by side, a fifth leaving midway with a deal in hand; return the largest difference of votes
    a pair at any time, and at the end."""
    maker, chat = people.person_id(conn, "discord", "maker", 0.0), people.chat_id(conn, "discord", "room", 0.0)
    conn.execute("UPDATE chat SET kind = 'channel'")
    campaign = rows.create(conn, chat, "all", raters, each, maker, 0.0)
    for number in range(1, pairs + 1):
        conn.execute(
            "INSERT INTO job (kind, version, args, person_id, chat_id, state, attempt, run_after, created, ended,"
            " result) VALUES ('compose', 1, '{}', ?, ?, 'done', 1, 0, 0, 0, '{}')", (maker, chat)
        )  # fmt: skip
        conn.execute(
            "INSERT INTO pair (job_id, kind, person_id, chat_id, created, folder, distance, better_than_shuffled,"
            " aligned_by) VALUES (?, 'compose', ?, ?, 0, 'f', 0.1, 0.9, 'x')", (number, maker, chat)
        )  # fmt: skip
        rows.add_pair(conn, campaign.id, number)
    rows.start(conn, campaign.id, 0.0)
    now, largest, here = 0.0, 0, list[int]()
    waiting = [people.person_id(conn, "discord", f"{i}", 0.0) for i in range(raters)]
    leaves = {person: rng.randrange(1, each) for person in waiting if rng.random() < 0.2}
    done = dict.fromkeys(waiting, 0)
    ballots = dict.fromkeys(range(1, pairs + 1), 0)
    while waiting or here:
        now += 20.0
        while waiting and len(here) < 12:  # a dozen people at a time
            here.append(waiting.pop())
        person = here[rng.randrange(len(here))]
        deals.expire(conn, now)
        held = deals.open_of(conn, person)
        if held is not None:
            deals.answer(conn, held.id, rng.randrange(6), now)
            done[person] += held.condition == "match"
            ballots[held.pair_id] += held.condition == "match"
        elif done[person] < each:
            choice = choose(
                deals.choices(conn, person, chat, campaign.id),
                deals.repeatable(conn, person, campaign.id, dealing.REPEAT_GAP),
                deals.answered(conn, person),
                VoteSettings(),
                rng,
            )
            assert choice is not None
            deals.add(
                conn, person, choice.pair_id, choice.story_id, choice.condition,
                campaign_id=campaign.id, scope_id=chat, now=now, expires=now + ballot.RESERVED_S,
            )  # fmt: skip
            if leaves.get(person) == done[person]:
                here.remove(person)
            continue
        if done[person] >= each:
            here.remove(person)
        largest = max(largest, max(ballots.values()) - min(ballots.values()))
    assert rows.votes(conn, campaign.id) == ballots
    counts = ballots.values()
    assert sum(counts) > raters * each * 0.8
    return largest, max(counts) - min(counts)


@pytest.mark.parametrize(("each", "seed"), [(12, 1), (12, 2), (24, 3)])
def test_votes_stay_balanced_while_a_fifth_leaves(conn: sqlite3.Connection, each: int, seed: int) -> None:
    at_any_time, at_the_end = simulated(conn, 24, 200, each, random.Random(seed))
    assert at_any_time <= 3
    assert at_the_end <= 2


# --- what is dealt, decided without a store --------------------------------------------------------------------------


def row(pair: int, votes: int = 0, **more: Any) -> ChoiceRow:
    plain = ChoiceRow(pair, "story", 1, votes, None, None, "en", None, False)
    return replace(plain, **more)


def test_the_fewest_votes_go_first() -> None:
    found = {choose([row(1, 4), row(2, 1), row(3, 1)], [], 0, VoteSettings(), random.Random(i)) for i in range(20)}
    assert {choice.pair_id for choice in found if choice} == {2, 3}


def test_stories_in_ones_language_go_first() -> None:
    lines = [row(1, 0, language="zh-TW"), row(2, 7), row(3, 9, language=None)]
    found = {choose(lines, [], 0, VoteSettings(), random.Random(i), "en") for i in range(20)}
    assert {choice.pair_id for choice in found if choice} == {2}
    assert choose(lines[:1], [], 0, VoteSettings(), random.Random(0), "en") is not None


def test_the_shares_are_those_that_were_set() -> None:
    lines = [row(i, valence=(i % 2) - 0.5, arousal=0.0, plain_id=i + 100) for i in range(1, 41)]
    rng, shares = random.Random(4), VoteSettings(0.2, 0.1, 0.1)
    found = [choose(lines, [41, 1], 9, shares, rng) for _ in range(4000)]
    for name, share in (("mismatch", 0.2), ("plain", 0.1), ("repeat", 0.1)):
        part = sum(1 for choice in found if choice and choice.condition == name) / 4000
        # A repeat of a pair that may no longer be heard (41) becomes a real one.
        assert part == pytest.approx(share if name != "repeat" else share / 2, abs=0.025)


def test_what_a_control_needs_is_there_or_it_is_a_real_one() -> None:
    near = [row(1, valence=0.1, arousal=0.1), row(2, valence=0.2, arousal=0.1), row(3)]
    far = [row(4, valence=0.9, arousal=0.1, language="zh-TW")]
    for i in range(30):
        choice = choose([*near, *far], [], 9, VoteSettings(1.0, 0.0, 0.0), random.Random(i), "en")
        assert choice is not None and choice.condition == "match"  # too near, unknown, or in another language
    plain = choose(near, [], 9, VoteSettings(0.0, 1.0, 0.0), random.Random(0))
    assert plain is not None and plain.condition == "match"


def test_nothing_left_is_nothing() -> None:
    assert choose([row(1, done=True)], [1], 9, VoteSettings(), random.Random(0)) is None
    assert choose([], [], 0, VoteSettings(), random.Random(0)) is None
