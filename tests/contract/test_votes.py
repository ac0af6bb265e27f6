"""Rating on both platforms alike: under a card, in the blind test, and what comes of it."""

from __future__ import annotations

from pathlib import Path

from bot.config import VoteSettings
from db import votes
from tests.contract.engine import PARAGRAPHS, SONG, TITLE
from tests.contract.scenario import Driver
from tests.contract.stage import stage
from tests.fakes.clock import FakeClock


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
