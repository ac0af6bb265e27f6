"""The blind test, publishing and consent, on an in-memory platform: people, queue and store are real."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot import ballot, commands
from bot.ballot import RESERVED_S, deal, take_answer
from bot.config import VoteSettings
from bot.contract import Actor, Audio, Place, Upload
from bot.press import press
from db import consent, deals, pairs, votes
from db.votes import Connection
from tests.fakes.chat import ANNA, BEN, GROUP, HOME, MEI, Room, button, file_of, texts

DWELL_S = VoteSettings().dwell_s
SONG = b"ID3 song"
ELSEWHERE = Place("telegram", "-200", "group")


async def make_pairs(at: Room, count: int, actor: Actor = ANNA, place: Place = GROUP) -> list[int]:
    """Let somebody make stories; return their pairs."""
    made = []
    for i in range(count):
        data = SONG + bytes(i)  # equal recordings would be one file
        song = Upload("song.MP3", len(data), file_of(data))
        reply = await commands.story(at.desk, actor, place, song, seed=i, dedupe=f"{actor.person}-{place.chat}-{i}")
        assert reply.job is not None, texts(reply)
        job = await at.finish()
        await at.deliver()
        row = await at.desk.ledger.read(partial(pairs.of_job, job_id=job))
        assert row is not None
        made.append(row.id)
    return made


async def dealt(at: Room, actor: Actor = BEN, place: Place = GROUP) -> deals.DealRow:
    """Ask for a deal and return it."""
    reply = await ballot.vote(at.desk, actor, place)
    number = int(button(reply, "skip").split(":")[1])
    row = await at.desk.ledger.read(lambda conn: deals.by_id(conn, number))
    assert row is not None
    return row


async def answered(at: Room, row: deals.DealRow, score: int = 4, actor: Actor = BEN, place: Place = GROUP) -> str:
    at.clock.advance(DWELL_S)
    return texts(await ballot.answer(at.desk, actor, place, row.id, score))


async def ballot_of(at: Room, pair: int, actor: Actor = BEN) -> int | None:
    found = await at.desk.ledger.read(lambda conn: votes.ballots(conn, pair, actor.platform))
    return found[actor.person].score if actor.person in found else None


async def test_a_deal_shows_music_and_story_and_nothing_else(here: Room) -> None:
    await make_pairs(here, 1)
    reply = await ballot.vote(here.desk, BEN, GROUP)
    assert reply.private
    (audio,) = [part for part in reply.parts if isinstance(part, Audio)]
    assert Path(audio.path).read_bytes() == SONG and audio.name.endswith(".mp3")
    said = texts(reply)
    assert "0 (not similar) to 5 (very similar)" in said
    assert "Don't compare the story to the real story behind the music" in said
    assert "It was @everyone’s lamp." in said
    for hidden in ("teller-1", "listener-1", "The *Lamp*", "Song", "song", "0.1"):
        assert hidden not in said and hidden not in audio.title and hidden not in audio.name


async def test_an_answer_is_the_ballot_and_earns_a_turn(here: Room) -> None:
    (pair,) = await make_pairs(here, 1)
    row = await dealt(here)
    assert (row.pair_id, row.story_id, row.condition) == (pair, pair, "match")
    assert "is counted" in await answered(here, row, 5)
    assert await ballot_of(here, pair) == 5
    turns = await here.desk.ledger.read(lambda conn: conn.execute("SELECT turns FROM credit").fetchall())
    assert turns == [(1,)]
    # The last one wins, whichever way it is given; the history has both.
    await here.desk.ballots.vote(BEN, pair, 2, scope_id=None)
    assert await ballot_of(here, pair) == 2
    person = row.person_id
    history = await here.desk.ledger.read(lambda conn: votes.history(conn, pair, person))
    assert [(score, via) for score, via, _ in history] == [(5, "test"), (2, "button")]


async def test_the_buttons_go_through_press(here: Room) -> None:
    await make_pairs(here, 2)
    reply = await ballot.vote(here.desk, BEN, GROUP)
    four = next(each.token for row in reply.buttons for each in row if each.label == "4")
    here.clock.advance(DWELL_S)
    thanks = await press(here.desk, BEN, HOME, four)  # in the private chat, where a group's answers are private
    assert "4 is counted" in texts(thanks)
    second = await press(here.desk, BEN, HOME, button(thanks, "deal_next"))
    skipped = await press(here.desk, BEN, HOME, button(second, "skip"))
    assert "Skipped" in texts(skipped)
    assert "nothing left" in texts(await press(here.desk, BEN, HOME, button(skipped, "deal_next")))


async def test_the_same_deal_until_it_is_answered(here: Room) -> None:
    await make_pairs(here, 5)
    first = await dealt(here)
    assert await dealt(here) == first
    await answered(here, first)
    assert (await dealt(here)).pair_id != first.pair_id


async def test_ones_own_is_never_dealt(here: Room) -> None:
    await make_pairs(here, 2)
    assert "nothing left" in texts(await ballot.vote(here.desk, ANNA, GROUP))


@pytest.mark.parametrize("score", [6, -1, "five", ""])
async def test_answers_that_are_none(here: Room, score: Any) -> None:
    (pair,) = await make_pairs(here, 1)
    row = await dealt(here)
    assert "from 0 (not similar) to 5" in await answered(here, row, score)
    assert await ballot_of(here, pair) is None


async def test_refused_answers(here: Room) -> None:
    (pair,) = await make_pairs(here, 1)
    row = await dealt(here)
    assert "listen and read first" in texts(await ballot.answer(here.desk, BEN, GROUP, row.id, 4))
    assert "somebody else" in await answered(here, row, actor=MEI) or "別人" in await answered(here, row, actor=MEI)
    assert "somebody else" in texts(await ballot.answer(here.desk, BEN, GROUP, 999, 4))
    shared = replace(BEN, shared=True)
    assert "as yourself" in texts(await ballot.vote(here.desk, shared, GROUP))
    here.clock.advance(RESERVED_S)
    assert "not open any more" in await answered(here, row)
    assert await ballot_of(here, pair) is None


async def test_a_pair_that_was_deleted_meanwhile(here: Room) -> None:
    (pair,) = await make_pairs(here, 1)
    row = await dealt(here)
    await here.desk.ledger.write(lambda conn: conn.execute("UPDATE pair SET deleted = 1").rowcount)
    assert "was deleted" in await answered(here, row)
    assert await ballot_of(here, pair) is None


async def test_pairs_of_other_places_are_heard_only_when_published(here: Room) -> None:
    (pair,) = await make_pairs(here, 1, place=ELSEWHERE)
    (private,) = await make_pairs(here, 1, place=HOME)
    assert "nothing left" in texts(await ballot.vote(here.desk, BEN, GROUP))
    assert "Only who made" in texts(await ballot.publish(here.desk, BEN, GROUP, pair))
    assert f"Pair {private}" in texts(await ballot.publish(here.desk, ANNA, HOME))  # None: the newest made here
    assert (await dealt(here)).pair_id == private
    await ballot.publish(here.desk, ANNA, HOME, private, on=False)
    await answered(here, await dealt(here, BEN, ELSEWHERE))
    assert await ballot_of(here, pair) == 4
    assert "no such pair" in texts(await ballot.publish(here.desk, ANNA, GROUP, 999))


async def test_a_private_chats_pairs_are_dealt_to_nobody(here: Room) -> None:
    await make_pairs(here, 1, place=HOME)
    assert "nothing left" in texts(await ballot.vote(here.desk, BEN, GROUP))
    assert "nothing left" in texts(await ballot.vote(here.desk, BEN, replace(HOME, chat="4")))


async def test_music_that_is_gone_or_too_large_is_passed_over(here: Room) -> None:
    made = await make_pairs(here, 2)
    audio = sorted(here.desk.inbox.folder.iterdir())[0]
    audio.unlink()
    left = {(await dealt(here)).pair_id}
    assert len(left) == 1 and left <= set(made)
    here.desk.messengers["telegram"] = here.messenger
    here.messenger.largest = 3
    assert "nothing left" in texts(await ballot.vote(here.desk, BEN, GROUP))


async def test_controls_are_dealt_and_never_become_ballots(here: Room) -> None:
    made = await make_pairs(here, 12)
    half = len(made) // 2

    def feelings(conn: Connection) -> None:
        for pair in made:
            deals.feel(conn, pair, 0.6 if pair > half else -0.6, 0.0)

    await here.desk.ledger.write(feelings)
    visit = await here.desk.visit(BEN, GROUP, add=True)
    rng, seen = random.Random(1), list[str]()

    def one(conn: Connection) -> deals.DealRow:
        found = deal(conn, visit, here.clock.now(), here.folder, None, rng, VoteSettings()).deal
        here.clock.advance(DWELL_S)
        take_answer(conn, visit, found.id, 3, here.clock.now(), DWELL_S)
        return found

    while seen.count("match") < len(made):
        row = await here.desk.ledger.write(one)
        seen.append(row.condition)
        if row.condition == "mismatch":
            assert (row.pair_id > half) != (row.story_id > half)  # far away on the plane
    assert seen[:2] == ["match", "match"]
    assert seen.count("mismatch") > 0 and seen.count("repeat") > 0
    assert await here.desk.ledger.read(lambda conn: conn.execute("SELECT count(*) FROM vote").fetchone()) == (12,)


async def test_consent_is_given_with_its_version_and_taken_back(here: Room) -> None:
    asked = await ballot.agree(here.desk, ANNA, GROUP)
    assert "May TuneTale learn" in texts(asked) and "have not agreed" in texts(asked)
    given = await press(here.desk, ANNA, GROUP, button(asked, "consent"))
    assert "You have agreed" in texts(given)
    rows = await here.desk.ledger.read(lambda conn: conn.execute("SELECT version FROM consent").fetchall())
    assert rows == [(ballot.CONSENT_VERSION,)]
    assert "have not agreed" in texts(await press(here.desk, ANNA, GROUP, button(given, "consent")))
    assert await here.desk.ledger.read(lambda conn: conn.execute("SELECT count(*) FROM consent").fetchone()) == (0,)


async def test_only_what_both_agreed_to_is_learned_from(here: Room) -> None:
    (pair,) = await make_pairs(here, 1)
    await here.desk.ballots.vote(BEN, pair, 5, scope_id=None)
    visit = await here.desk.visit(ANNA, GROUP)
    assert visit.scope_id is not None
    scope_id = visit.scope_id

    async def learned() -> int:
        found = await here.desk.ledger.read(
            lambda conn: consent.learned(conn, scope_id, ballot.CONSENT_VERSION, "story")
        )
        return sum(tally.count for tally in found.values())

    assert await learned() == 0
    await ballot.agree(here.desk, BEN, GROUP, on=True)
    assert await learned() == 0
    await ballot.agree(here.desk, ANNA, GROUP, on=True)
    assert await learned() == 1
    await ballot.agree(here.desk, BEN, GROUP, on=False)
    assert await learned() == 0
