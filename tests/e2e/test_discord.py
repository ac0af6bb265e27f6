"""The whole program on a fake Discord: `tunetale run` with the real engine, from a song to a rated piece of music."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.config import Config
from bot.discord.reactions import DIGITS
from bot.running import Stop, run
from db import votes
from engine.jobs import FileSource
from engine.service import reading
from tests.fakes.discord.people import Person, buttons, text
from tests.fakes.discord.server import TOKEN, fake_discord
from tests.fakes.discord.world import Message

PATIENCE_S = 240.0
"""For one job of the real engine on a busy machine."""


@pytest.mark.slow
async def test_from_a_song_to_a_story_to_music_to_a_vote(music: FileSource, tmp_path: Path) -> None:
    store, stop = tmp_path / "store.sqlite", Stop()
    config = replace(Config(), store=replace(Config().store, path=str(store)))
    async with fake_discord() as server:
        mei, wei = (Person(server, server.world.user(name)) for name in ("Mei", "Wei"))
        hall = server.world.channel(server.world.guild("Music school", [mei.user, wei.user]), "hall")
        program = asyncio.create_task(run(config, store, {"discord": SecretStr(TOKEN)}, stop=stop))

        def card(button: str) -> Message | None:
            return next((one for one in mei.visible(hall) if any(button in label for label in buttons(one))), None)

        async def until_card(button: str) -> Message:
            await server.until(lambda: program.done() or card(button) is not None, PATIENCE_S)
            found = card(button)
            assert found is not None
            return found

        try:
            await server.until(lambda: program.done() or server.gateway.identified == 1, PATIENCE_S)
            song = server.world.file("two moods.flac", Path(music.path).read_bytes(), content_type="audio/flac")
            mei.command(hall, "story", audio=song, words=120, seed=3)
            story = await until_card("Compose from this story")
            read = mei.reads(hall)
            assert f"@user-{mei.user.id}" in read and len(read.split()) > 100
            assert any(file.name.endswith(".png") and file.description for file in story.files)

            wei.click(story, next(label for label in buttons(story) if "Compose" in label))
            piece = await until_card("Story from this music")
            sound = next(file for file in piece.files if file.name.endswith(".mp3"))
            assert sound.size > 100_000 and sound.data[:3] in (b"ID3", b"\xff\xfb\x90", b"\xff\xfb\x50")
            assert "Traceback" not in mei.reads(hall)

            await server.until(lambda: set(DIGITS) <= set(piece.reactions) and set(DIGITS) <= set(story.reactions))
            wei.react(story, DIGITS[4])
            mei.react(piece, DIGITS[5], burst=True)
            mei.react(story, DIGITS[0])  # one's own does not count
            asked = wei.command(hall, "stats")
            await server.until(lambda: bool(asked.answered) and not asked.thinking, PATIENCE_S)
        finally:
            stop.signal()
            await program
        assert text(story)
    async with reading(store) as ledger:
        tallies = await ledger.read(lambda conn: [votes.tally(conn, pair) for pair in (1, 2)])
    assert [(tally.count, tally.mean) for tally in tallies] == [(1, 4.0), (1, 5.0)]
