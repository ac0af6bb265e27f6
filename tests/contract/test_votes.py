"""Rating on both platforms alike: under a card, in the blind test, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from bot.config import VoteSettings
from db import votes
from tests.contract.engine import PARAGRAPHS, SONG, TITLE
from tests.contract.scenario import PATIENCE_S, Driver, Person, Room
from tests.contract.stage import Stage, stage
from tests.fakes.clock import FakeClock

GLANCE_S = 0.05
"""Between two looks at the store."""


async def test_the_blind_test_is_private_and_counts(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei, ada = here.person("Mei"), here.person("Ada")
        room = here.room("Music club", mei, ada)
        await mei.asks_story(room, SONG)
        await here.engine.finishes(await here.engine.takes())
        await room.shows(TITLE)

        assert ada.private.id  # she has opened her chat with the bot, where Telegram keeps what is private
        await ada.says(room, "vote")
        sheet = await ada.reads(room, "0 (not similar) to 5 (very similar)")
        assert TITLE not in "".join(sheet.text)
        await ada.reads(room, *PARAGRAPHS)
        asked = await ada.reads(room, button="Skip this one")
        await ada.presses(asked, "4")
        await ada.reads(room, "listen and read first")
        clock.advance(VoteSettings().dwell_s)
        await ada.presses(asked, "4")
        await ada.reads(room, "Your answer 4 is counted")
        tally = await here.desk.ledger.read(lambda conn: votes.tally(conn, 1))
        assert (tally.count, tally.total) == (1, 4)


async def test_ones_own_is_not_dealt(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        await mei.asks_story(room, SONG)
        await here.engine.finishes(await here.engine.takes())
        await room.shows(TITLE)
        assert mei.private.id
        await mei.says(room, "vote")
        await mei.reads(room, "nothing left here for you to rate")


async def make(here: Stage, who: Person, room: Room, title: str = TITLE) -> None:
    """Let somebody make a pair."""
    await who.asks_story(room, SONG, title=title)
    await here.engine.finishes(await here.engine.takes(), title=title)
    await room.shows(title)


async def rate(here: Stage, room: Room, ballots: dict[Person, int], pair: int = 1) -> None:
    """Let people rate a card, and wait until all of that is counted: a reaction changes nothing that anybody sees."""
    card = await room.shows(button="Why?")
    ours = here.desk.ballots

    async def noted() -> bool:
        return any(found == pair for _, found in await ours.unsure(here.driver.platform))

    async def counted() -> bool:
        return (await here.desk.ledger.read(lambda conn: votes.tally(conn, pair))).count == len(ballots)

    await becomes(noted)  # people are slower than the note that this message is a card
    for who, score in ballots.items():
        await who.rates(card, score)
    await becomes(counted)


async def becomes(true: Callable[[], Awaitable[bool]]) -> None:
    """Look again and again until something holds."""
    for _ in range(int(PATIENCE_S / GLANCE_S)):
        if await true():
            return
        await asyncio.sleep(GLANCE_S)
    raise AssertionError(f"{true.__name__} never came true")


async def answer(here: Stage, who: Person, room: Room, score: int) -> None:
    """Rate what the blind test deals."""
    await who.says(room, "vote")
    dealt = await who.reads(room, button="Skip this one")
    here.clock.advance(VoteSettings().dwell_s)
    await who.presses(dealt, str(score))
    await who.reads(room, f"Your answer {score} is counted")


async def test_stats_are_words_and_a_picture_with_words(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei, ada, ben = here.person("Mei"), here.person("Ada"), here.person("Ben")
        room = here.room("Music club", mei, ada, ben)
        await mei.says(room, "stats")
        await room.shows("Nobody has rated anything here yet")
        await make(here, mei, room)
        await rate(here, room, {ada: 5, ben: 2})
        await mei.says(room, "stats")
        await room.shows("2 votes by 2 people about 1 pair: 3.50 on average")
        picture = await room.shows(file="stats")
        assert any("2 votes" in words and "score 5: 1" in words for words in picture.alts)


async def test_all_ratings_as_a_table_for_admins_alone(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei, ada, boss = here.person("Mei"), here.person("Ada"), here.person("Boss")
        room = here.room("Music club", mei, ada, admin=boss)
        assert boss.private.id
        await make(here, mei, room)
        await rate(here, room, {ada: 4})
        await ada.says(room, "admin export")
        await ada.reads(room, "Only admins of this server or chat can do that")
        await boss.says(room, "admin export")
        await boss.reads(room, file="votes.csv")
        await boss.reads(room, "1 answer; people are hashes")
        assert not any("votes.csv" in name for seen in room.ours() for name in seen.files)


async def test_a_listening_test_from_begin_to_end(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei, ada, ben, boss = here.person("Mei"), here.person("Ada"), here.person("Ben"), here.person("Boss")
        room = here.room("Music club", mei, ada, ben, admin=boss)
        for who in (ada, ben, boss):
            assert who.private.id
        await make(here, mei, room)

        async def does(action: str, *words: str, **options: object) -> None:
            await boss.says(room, "admin campaign", action=action, campaign="spring", **options)
            await boss.reads(room, *words)

        await ada.says(room, "admin campaign", action="create", campaign="spring", raters=2)
        await ada.reads(room, "Only admins of this server or chat can do that")
        await does("start", "There is no campaign spring here")
        await does("create", "“spring”: not begun", raters=2, each=1)
        await does("start", "has no pairs yet")
        await does("add", "Pair 99 is not one of this place", pairs="99")
        await does("add", "each rates 1 of 1 pair", pairs="all")
        await does("start", "“spring”: running")
        await does("add", "its pairs are fixed", pairs="1")
        await answer(here, ada, room, 4)
        await does("show", "1 of 2 people are done, 1 have begun")
        picture = await boss.reads(room, file="campaign")
        assert any("1 of 2 people are done" in words and "1 to 1 votes" in words for words in picture.alts)

        await ben.says(room, "vote")
        late = await ben.reads(room, button="Skip this one")
        await does("stop", "“spring”: over")
        clock.advance(VoteSettings().dwell_s)
        await ben.presses(late, "5")
        await ben.reads(room, "This listening test has ended")
        await does("export", "1 answer; people are hashes")
        await boss.reads(room, file="votes.csv")
        tally = await here.desk.ledger.read(lambda conn: votes.tally(conn, 1))
        assert (tally.count, tally.total) == (1, 4)


async def test_consent_and_publishing(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        assert mei.private.id
        await mei.says(room, "consent")
        words = await mei.reads(room, "May TuneTale learn", button="I agree")
        await mei.presses(words, "I agree")
        await mei.reads(room, "You have agreed")
        await mei.says(room, "publish")
        await mei.reads(room, "There is no such pair")
        await mei.asks_story(room, SONG)
        await here.engine.finishes(await here.engine.takes())
        await room.shows(TITLE)
        await mei.says(room, "publish")
        await mei.reads(room, "Pair 1 can now be heard")
