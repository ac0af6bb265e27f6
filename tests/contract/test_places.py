"""Private chats, threads, many people, long stories, large files and hostile words."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.policy import Policy
from tests.contract.engine import SONG, TITLE
from tests.contract.scenario import Driver, Recording, until
from tests.contract.stage import stage
from tests.fakes.clock import FakeClock

HOSTILE = "@everyone @here @mei_lin <b>bold</b> **bold** `code` <@1> [a](https://a.example) _x_ &amp; ||y|| # z"


async def test_a_private_chat(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei", language="zh-TW")
        await mei.asks_story(mei.private, SONG, language="zh-TW")
        await mei.private.shows("1", button="取消")
        await here.engine.finishes(await here.engine.takes(), title="守燈人", paragraphs=("潮水帶走了光。",))
        await mei.private.shows("守燈人", "潮水帶走了光。")
        await mei.private.shows(button="為什麼")


async def test_a_thread_is_answered_in_the_thread(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        thread = here.thread(room, "Rainy days")
        await mei.asks_story(thread, SONG)
        await thread.shows("number 1")
        await here.engine.finishes(await here.engine.takes())
        await thread.shows(TITLE)
        await thread.shows(button="Why?")
        assert room.times(TITLE) == 0


async def test_a_long_story_arrives_whole(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    paragraphs = tuple(f"第{n}段：" + "雨下了整夜，燈一盞一盞地亮起來🌧。" * 30 for n in range(18))
    assert sum(map(len, paragraphs)) > 9_000
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        await mei.asks_story(room, SONG)
        await here.engine.finishes(await here.engine.takes(), paragraphs=paragraphs)
        await room.shows(button="Why?")
        everything = "".join(seen.text for seen in room.ours()).replace("\n", "")
        for paragraph in paragraphs:
            assert paragraph in everything


async def test_a_long_text_becomes_music(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    text = "The rain went on all night. " * 330
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        await mei.asks_music(mei.private, text)
        lease = await here.engine.takes()
        assert getattr(lease.job.request, "text", "").split() == text.split()
        await here.engine.finishes(lease)
        await mei.private.shows(button="Story from this music")


@pytest.mark.parametrize("size", [12, 25])
async def test_large_files_are_taken_or_refused_with_a_sentence(
    driver: Driver, tmp_path: Path, clock: FakeClock, size: int
) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        song = Recording("long.mp3", b"ID3" + bytes(size << 20))
        await mei.asks_story(mei.private, song)
        if driver.platform == "telegram" and size > 20:
            seen = await mei.private.shows("20 MB")
            assert "fetch" in seen.text
        else:
            await mei.private.shows("number 1")
            assert (await here.engine.takes()).job.asker.person == mei.id


async def test_words_are_words(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock) as here:
        mei = here.person("Mei")
        room = here.room("Music club", mei)
        await mei.asks_story(room, Recording("@everyone <b>.mp3", SONG.data))
        await here.engine.finishes(await here.engine.takes(), title="@everyone <i>", paragraphs=(HOSTILE,))
        seen = await room.shows("everyone <i>")  # before it may stand an unseen joiner
        await room.shows(button="Why?")
        assert HOSTILE in seen.text.replace("\u2060", "").replace("\u200c", "")
        assert {name for message in room.ours() for name in message.pings} <= {"Mei"}


async def test_fifty_people_three_jobs_each(driver: Driver, tmp_path: Path, clock: FakeClock) -> None:
    async with stage(driver, tmp_path, clock, policy=Policy(per_chat=1_000)) as here:
        people = [here.person(f"P{number}") for number in range(50)]
        await asyncio.gather(*(who.asks_music(who.private, f"Tale {n}. The end.") for n in range(3) for who in people))
        await here.engine.does_all(150)

        def all_arrived() -> bool:
            return all(
                sum(any("Story from" in label for label in seen.buttons) for seen in who.private.ours()) == 3
                for who in people
            )

        await until(driver, all_arrived, "three pieces for everybody")
