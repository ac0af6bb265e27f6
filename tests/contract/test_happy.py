"""What people come for, on both platforms alike."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.contract.engine import ALT, PARAGRAPHS, SONG, TITLE
from tests.contract.scenario import Driver
from tests.contract.stage import stage
from tests.fakes.clock import FakeClock

TALE = "The boat came home. Everybody sang."


async def test_music_becomes_a_story(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        await mei.asks_story(room, SONG, words=200)
        progress = await room.shows("number 1", button="Cancel")
        lease = await here.engine.takes()
        here.engine.says(lease, "write", 0.4)
        await here.engine.finishes(lease)
        story = await room.shows(TITLE, *PARAGRAPHS)
        card = await room.shows(button="Why?", file="card")
        assert room.times(TITLE) == 1
        assert any("Mei" in seen.pings for seen in room.ours()) or driver.platform == "telegram"
        assert {"Again", "Compose from this story", "Delete"} <= {label for label in card.buttons}
        assert not any("Cancel" in label for label in story.buttons)
        assert progress.ours


async def test_a_story_becomes_music(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        await mei.asks_music(mei.private, TALE, seconds=30)
        await mei.private.shows("number 1", button="Cancel")
        await here.engine.finishes(await here.engine.takes())
        await mei.private.shows("A slow waltz for piano.")
        await mei.private.shows(file=".mp3")
        await mei.private.shows(button="Story from this music")


async def test_two_people_at_once(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei, ada = here.person("Mei"), here.person("Ada")
        room = here.room("Music club", mei, ada)
        await asyncio.gather(mei.asks_story(room, SONG, title="Hers"), ada.asks_story(room, SONG, title="Other"))
        leases = [await here.engine.takes(), await here.engine.takes()]
        assert {lease.job.asker.person for lease in leases} == {mei.id, ada.id}
        for number, lease in enumerate(leases):
            await here.engine.finishes(lease, title=f"Tale {number}")
        for number in range(2):
            await room.shows(f"Tale {number}")
        assert ALT


async def test_what_is_deleted_leaves_no_page_behind(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    paragraphs = tuple(f"Page {n}. " + "The rain went on all night. " * 40 for n in range(8))
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        await mei.asks_story(room, SONG)
        await here.engine.finishes(await here.engine.takes(), paragraphs=paragraphs)
        card = await room.shows(button="Delete")
        assert sum("Page" in seen.text for seen in room.ours()) > 1
        await mei.presses(card, "Delete")
        await mei.presses(await mei.reads(room, "cannot be undone"), "Yes")
        await mei.reads(room, "It is deleted.")
        await room.shows_no_more("Page")
        await room.shows_no_more(ALT)
        assert not any(seen.files for seen in room.ours())
