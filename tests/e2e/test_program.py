"""The whole program on both platforms at once: `tunetale run` with the real engine, from songs to rated music."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.config import Config
from bot.discord.reactions import DIGITS
from bot.running import Stop, run
from db import votes
from engine.jobs import FileSource, Platform
from engine.service import reading
from tests.fakes.discord import people as on_discord
from tests.fakes.discord.people import buttons, text
from tests.fakes.discord.server import TOKEN as DISCORD_TOKEN
from tests.fakes.discord.server import Server, fake_discord
from tests.fakes.discord.world import Message as DiscordMessage
from tests.fakes.telegram import people as on_telegram
from tests.fakes.telegram.server import TOKEN as TELEGRAM_TOKEN
from tests.fakes.telegram.server import FakeTelegram, fake_telegram
from tests.fakes.telegram.world import Message as TelegramMessage

PATIENCE_S = 240.0
"""For one job of the real engine on a busy machine."""
MP3 = (b"ID3", b"\xff\xfb\x90", b"\xff\xfb\x50")


async def discord_evening(server: Server, song: bytes) -> None:
    """A song becomes a story, the story music; both are rated by reactions, and the numbers are asked for."""
    mei, wei = (on_discord.Person(server, server.world.user(name)) for name in ("Mei", "Wei"))
    hall = server.world.channel(server.world.guild("Music school", [mei.user, wei.user]), "hall")

    async def card(button: str) -> DiscordMessage:
        def found() -> DiscordMessage | None:
            return next((one for one in mei.visible(hall) if any(button in label for label in buttons(one))), None)

        await server.until(lambda: found() is not None, PATIENCE_S)
        seen = found()
        assert seen is not None
        return seen

    await server.until(lambda: server.gateway.identified == 1, PATIENCE_S)
    mei.command(
        hall, "story", audio=server.world.file("two moods.flac", song, content_type="audio/flac"), words=120, seed=3
    )
    story = await card("Compose from this story")
    read = mei.reads(hall)
    assert f"@user-{mei.user.id}" in read and len(read.split()) > 100
    assert any(file.name.endswith(".png") and file.description for file in story.files)

    wei.click(story, next(label for label in buttons(story) if "Compose" in label))
    piece = await card("Story from this music")
    sound = next(file for file in piece.files if file.name.endswith(".mp3"))
    assert sound.size > 100_000 and sound.data[:3] in MP3
    assert "Traceback" not in mei.reads(hall)

    await server.until(lambda: set(DIGITS) <= set(piece.reactions) and set(DIGITS) <= set(story.reactions))
    wei.react(story, DIGITS[4])
    mei.react(piece, DIGITS[5], burst=True)
    mei.react(story, DIGITS[0])  # one's own does not count
    asked = wei.command(hall, "stats")
    await server.until(lambda: bool(asked.answered) and not asked.thinking, PATIENCE_S)
    assert text(story)


async def telegram_evening(fake: FakeTelegram, song: bytes) -> None:
    """Likewise in Chinese; rated by buttons."""
    ada, ben = (on_telegram.person(fake, name, language="zh-hant") for name in ("Ada", "Ben"))
    room = on_telegram.group(fake, "音樂社", ada, ben)

    async def card(button: str) -> TelegramMessage:
        def found() -> TelegramMessage | None:
            ours = (one for one in fake.world.in_chat(room) if one.sender is fake.world.bot)
            return next((one for one in ours if any(button in label for label in one.labels())), None)

        async with asyncio.timeout(PATIENCE_S):
            while (seen := found()) is None:
                await fake.change()
        return seen

    await fake.until(lambda: fake.made("getUpdates"), "a poll")
    ada.sends(room, "document", song, name="two moods.flac", caption="/story words=200 seed=3")
    story = await card("為這個故事作曲")
    tale = fake.world.in_chat(room)
    pages = "".join(one.text for one in tale if one.sender is fake.world.bot)
    assert sum("\u4e00" <= char <= "\u9fff" for char in pages) > 150
    assert story.media is not None and story.media.kind == "photo" and story.text

    ben.presses(story, "為這個故事作曲")
    await card("為這段音樂寫故事")
    (music,) = [one.media for one in fake.world.in_chat(room) if one.media is not None and one.media.kind == "audio"]
    assert (music.performer, music.duration, music.cover is not None) == ("TuneTale", 60, True)
    assert music.file.data[:3] in MP3
    piece = await card("為這段音樂寫故事")
    for who, what, score in ((ben, story, "3"), (ada, piece, "2")):
        query = who.presses(what, score)
        await fake.until(lambda: query.answered, "an answer")  # noqa: B023


async def both(*evenings: Coroutine[Any, Any, None]) -> None:
    """Be in two places."""
    async with asyncio.TaskGroup() as group:
        for evening in evenings:
            group.create_task(evening)


@pytest.mark.slow
async def test_from_songs_to_stories_to_music_to_votes(music: FileSource, tmp_path: Path) -> None:
    store, stop = tmp_path / "store.sqlite", Stop()
    song = Path(music.path).read_bytes()
    async with fake_discord() as server, fake_telegram() as fake:
        telegram = replace(Config().telegram, base_url=fake.base_url, base_file_url=fake.base_file_url)
        config = replace(Config(), telegram=telegram, store=replace(Config().store, path=str(store)))
        tokens: dict[Platform, SecretStr] = {"discord": SecretStr(DISCORD_TOKEN), "telegram": SecretStr(TELEGRAM_TOKEN)}
        program = asyncio.create_task(run(config, store, tokens, stop=stop))
        evenings = asyncio.create_task(both(discord_evening(server, song), telegram_evening(fake, song)))
        try:
            await asyncio.wait({program, evenings}, return_when=asyncio.FIRST_COMPLETED)
            assert evenings.done(), "the program ended by itself"
            await evenings
        finally:
            stop.signal()
            evenings.cancel()
            await asyncio.gather(evenings, return_exceptions=True)
            await program
    async with reading(store) as ledger:
        tallies = await ledger.read(lambda conn: [votes.tally(conn, pair) for pair in range(1, 5)])
    assert sorted((tally.count, tally.mean) for tally in tallies) == [(1, 2.0), (1, 3.0), (1, 4.0), (1, 5.0)]
