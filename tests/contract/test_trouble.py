"""Everything that goes wrong on a real platform: restarts, pauses, gone messages, doubled events."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import UserError
from tests.contract.engine import PARAGRAPHS, SONG, TITLE
from tests.contract.scenario import Driver
from tests.contract.stage import Stage, stage
from tests.fakes.clock import FakeClock

TALE = "The boat came home. Everybody sang."


async def jobs(here: Stage) -> int:
    """Count all jobs that there ever were."""
    return int(await here.desk.ledger.read(lambda conn: conn.execute("SELECT count(*) FROM job").fetchone()[0]))


@pytest.mark.parametrize("moment", ["queued", "running", "done"])
async def test_a_restart_loses_nothing(driver: Driver, tmp_path: Path, clock: FakeClock, moment: str) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        await mei.asks_story(room, SONG)
        await room.shows("number 1")
        if moment == "queued":
            await here.restart()
        lease = await here.engine.takes()
        if moment == "running":
            await here.restart()
            lease = await here.engine.takes()
        if moment == "done":
            driver.set_down(True)
        await here.engine.finishes(lease)
        if moment == "done":
            await here.restart()
        await room.shows(TITLE, *PARAGRAPHS)
        await room.shows(button="Why?")
        assert room.times(TITLE) == 1
        assert await jobs(here) == 1


async def test_buttons_work_after_a_restart(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei, ada = here.person("Mei"), here.person("Ada")
        room = here.room("Music club", mei, ada)
        await mei.asks_story(room, SONG)
        await here.engine.finishes(await here.engine.takes())
        card = await room.shows(button="Why?")
        await here.restart()
        await ada.presses(card, "Again")
        await room.shows("number 1", button="Cancel")
        assert (await here.engine.takes()).job.asker.person == ada.id


async def test_the_platform_is_away_for_a_minute(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        await mei.asks_music(room, TALE)
        await room.shows("number 1")
        lease = await here.engine.takes()
        driver.set_down(True)
        await here.engine.finishes(lease)
        await here.pass_time(60)
        driver.set_down(False)
        await here.as_time_passes(room.shows(button="Story from this music"))
        assert room.times("A slow waltz") == 1


async def test_a_job_of_forty_minutes_outlives_its_interaction(
    driver: Driver, tmp_path: Path, clock: FakeClock
) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        await mei.asks_story(room, SONG)
        await room.shows("number 1")
        lease = await here.engine.takes()
        await here.pass_time(40 * 60)
        here.engine.says(lease, "write", 0.4)
        await room.shows("Writing the story: 40 %")
        await here.engine.finishes(lease)
        await room.shows(TITLE, *PARAGRAPHS)
        card = await room.shows(button="Why?")
        assert room.times(TITLE) == 1
        await mei.presses(card, "Why?")
        await mei.reads(room, "the music feels calm")


async def test_a_storm_of_pauses_delays_and_doubles_nothing(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        await mei.asks_story(room, SONG)
        await room.shows("number 1")
        lease = await here.engine.takes()
        driver.storm(200, 1)
        here.engine.says(lease, "write", 0.4)
        await here.engine.finishes(lease)
        await here.as_time_passes(room.shows(button="Why?"))
        assert room.times(TITLE) == 1


async def test_the_progress_message_is_deleted(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        await mei.asks_story(room, SONG)
        await driver.remove(await room.shows("number 1"))
        await here.engine.finishes(await here.engine.takes())
        await room.shows(TITLE)
        await room.shows(button="Why?")
        assert room.times(TITLE) == 1


async def test_the_bot_is_thrown_out(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        assert mei.private.screen() == []
        await mei.asks_story(room, SONG)
        await room.shows("number 1")
        await driver.kick(room.id)
        await here.engine.finishes(await here.engine.takes())
        await mei.private.shows("cannot be reached", TITLE)


async def test_the_same_event_twice_is_one_job(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        await mei.asks_story(room, SONG)
        await room.shows("number 1")
        await driver.repeat_last()
        await mei.says(room, "queue")
        await mei.reads(room, "1 request waits")
        assert await jobs(here) == 1


async def test_cancelled_before_and_while_it_runs(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        for number, runs in enumerate((False, True), start=1):
            await mei.asks_music(mei.private, TALE)
            progress = await mei.private.shows(f"request is number {number}", button="Cancel")
            lease = await here.engine.takes() if runs else None
            await mei.presses(progress, "Cancel")
            await mei.reads(mei.private, f"Request {number} is cancelled")
            if lease is not None:
                result = here.engine.result(lease, TITLE, PARAGRAPHS)
                assert not await here.desk.queue.finish(lease.token, result)
        assert not any("waltz" in seen.text for seen in mei.private.ours())


async def test_what_fails_says_why(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        await mei.asks_story(room, SONG)
        await room.shows("number 1")
        await here.engine.fails(await here.engine.takes(), UserError("The recording is silent; send another one."))
        seen = await room.shows("The recording is silent")
        assert "Traceback" not in seen.text


async def test_a_stranger_cannot_cancel(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei, eve, boss = here.person("Mei"), here.person("Eve"), here.person("Boss")
        room = here.room("Music club", mei, eve, admin=boss)
        await mei.asks_story(room, SONG)
        progress = await room.shows("number 1", button="Cancel")
        await eve.presses(progress, "Cancel")
        await eve.reads(room, "Only who asked for it")
        await boss.presses(progress, "Cancel")
        await boss.reads(room, "is cancelled")
