"""Interactions are answered in time, in the right place, for the right eyes, once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from bot.contract import Audio, Button, Document, Picture, Reply, Text
from bot.discord.client import TuneTaleClient
from bot.tokens import write
from tests.bot.discord.conftest import Bot, Script, replying
from tests.fakes.discord.people import Person, buttons, text
from tests.fakes.discord.server import Server
from tests.fakes.discord.world import EPHEMERAL, Channel


def words(*texts: str, **more: Any) -> Reply:
    return Reply(tuple(Text(one) for one in texts), **more)


class Gate:
    """A use case that waits to be let through."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.open = asyncio.Event()

    async def __call__(self, *args: Any, **kwargs: Any) -> Reply:
        await self.open.wait()
        return self.reply


async def test_a_quick_reply_is_the_first_answer(
    server: Server, bot: Bot, mei: Person, hall: Channel, script: Script
) -> None:
    seen: list[Any] = []
    script("commands.story", replying(words("Working on it", language="en"), seen))
    async with bot():
        asked = mei.command(hall, "story", link="https://example.org/a", words=120, seed=7, title="A *title*")
        await server.until(lambda: asked.answered == "message")
        assert mei.reads(hall) == "Working on it"
        assert server.count("webhook") == 0
    (actor, place, args, options) = seen[0]
    assert (actor.platform, actor.person, actor.name, actor.admin) == ("discord", str(mei.user.id), "Mei", False)
    assert (place.chat, place.server, place.kind, place.can_post) == (
        str(hall.id),
        str(hall.guild and hall.guild.id),
        "group",
        True,
    )
    assert args == ("https://example.org/a",)
    assert options == {
        "language": None,
        "words": 120,
        "seed": 7,
        "title": "A *title*",
        "dedupe": str(asked.id),
    }


async def test_slow_work_is_announced(server: Server, bot: Bot, mei: Person, hall: Channel, script: Script) -> None:
    gate = Gate(words("Done"))
    script("commands.story", gate)
    async with bot():
        asked = mei.command(hall, "story", link="https://example.org/a")
        await server.until(lambda: asked.answered == "deferred")
        assert asked.thinking
        gate.open.set()
        await server.until(lambda: not asked.thinking)
        assert mei.reads(hall) == "Done"


async def test_a_refusal_after_thinking_aloud_is_private(
    server: Server, bot: Bot, mei: Person, hall: Channel, script: Script
) -> None:
    gate = Gate(words("Too many", private=True))
    script("commands.story", gate)
    async with bot():
        asked = mei.command(hall, "story", link="https://example.org/a")
        await server.until(lambda: asked.answered == "deferred")
        gate.open.set()
        await server.until(lambda: len(asked.follow_ups) == 1)
        assert asked.original is not None and asked.original.deleted
        assert asked.follow_ups[0].only_for is mei.user
        assert mei.reads(hall) == "Too many"


async def test_a_private_reply_is_for_one(server: Server, bot: Bot, mei: Person, hall: Channel, script: Script) -> None:
    script("commands.help", replying(words("Psst", private=True)))
    wei = Person(server, server.world.user("Wei"))
    async with bot():
        asked = mei.command(hall, "help")
        await server.until(lambda: asked.answered == "message")
        assert (mei.reads(hall), wei.reads(hall)) == ("Psst", "")


async def test_a_long_reply_with_files_and_buttons(
    server: Server, bot: Bot, mei: Person, hall: Channel, script: Script, tmp_path: Path
) -> None:
    for name in ("card.png", "music.mp3"):
        (tmp_path / name).write_bytes(name.encode())
    story = "\n\n".join(f"Paragraph {i}. " + "All *stars* _sing_ @everyone. " * 25 for i in range(12))
    reply = Reply(
        (
            Text("The Lamp Keeper", "heading"),
            Text(story, "quote"),
            Picture(tmp_path / "card.png", "card.png", "A curve that rises."),
            Audio(tmp_path / "music.mp3", "music.mp3", "Lamp", "TuneTale", 60.0),
            Document("readalong.vtt", data=b"WEBVTT"),
        ),
        ((Button("Again", write("again", 5)), Button("Delete", write("delete", 5), danger=True)),),
    )
    script("commands.story", replying(reply))
    async with bot():
        asked = mei.command(hall, "story", link="https://example.org/a")
        await server.until(lambda: any(message.files for message in mei.visible(hall)))
        messages = mei.visible(hall)
        assert messages[0] is asked.original and messages[1:] == asked.follow_ups
        read = " ".join(" ".join(text(message) for message in messages).split())
        assert read.startswith("The Lamp Keeper") and read.count("All *stars* _sing_ @everyone.") == 300
        assert all(not message.pings for message in messages)
        last = messages[-1]
        assert [file.name for file in last.files] == ["card.png", "music.mp3", "readalong.vtt"]
        assert last.files[0].description == "A curve that rises." and last.files[2].data == b"WEBVTT"
        assert [buttons(message) for message in messages] == [[]] * (len(messages) - 1) + [["Again", "Delete"]]
        assert [one["style"] for one in last.components[0]["components"]] == [2, 4]


async def test_a_button_works_after_a_restart(
    server: Server, bot: Bot, mei: Person, hall: Channel, script: Script
) -> None:
    seen: list[Any] = []
    script("commands.help", replying(words("Choose", buttons=((Button("Why?", write("why", 12)),),))))
    script("discord.client.press", replying(words("Because", private=True), seen))
    async with bot():
        mei.command(hall, "help")
        await server.until(lambda: mei.reads(hall) == "Choose")
    async with bot():
        pressed = mei.click(mei.visible(hall)[0], "Why?")
        await server.until(lambda: pressed.answered == "message")
        assert mei.reads(hall) == "Choose\n\nBecause"
    assert seen[0][2:] == (("why:12",), {"dedupe": str(pressed.id)})


async def test_a_reply_takes_the_place_of_the_question(
    server: Server, bot: Bot, mei: Person, hall: Channel, script: Script
) -> None:
    rows = ((Button("Yes", write("yes", "abc")), Button("No", write("no", "abc"))),)
    script("commands.help", replying(words("Really?", buttons=rows, private=True)))
    script("discord.client.press", replying(words("Gone.", replaces=True, private=True)))
    async with bot():
        mei.command(hall, "help")
        await server.until(lambda: mei.reads(hall) == "Really?")
        mei.click(mei.visible(hall)[0], "Yes")
        await server.until(lambda: mei.reads(hall) == "Gone.")
        assert buttons(mei.visible(hall)[0]) == []


async def test_slow_presses(server: Server, bot: Bot, mei: Person, hall: Channel, script: Script) -> None:
    rows = ((Button("Yes", write("yes", "abc")),),)
    script("commands.help", replying(words("Really?", buttons=rows)))
    async with bot():
        mei.command(hall, "help")
        await server.until(lambda: mei.reads(hall) == "Really?")
        question = mei.visible(hall)[0]
        for reply in (words("Only you", private=True), words("All of you"), words("Instead", replaces=True)):
            gate = Gate(reply)
            script("discord.client.press", gate)
            pressed = mei.click(question, "Yes")
            await server.until(lambda pressed=pressed: pressed.answered == "deferred update")  # type: ignore[misc]
            gate.open.set()
            wish = text_of(reply)
            await server.until(lambda wish=wish: wish in mei.reads(hall))  # type: ignore[misc]
        found = [(text(message), bool(message.flags & EPHEMERAL)) for message in mei.visible(hall)]
        assert found == [("Instead", False), ("Only you", True), ("All of you", False)]


def text_of(reply: Reply) -> str:
    assert isinstance(reply.parts[0], Text)
    return reply.parts[0].text


async def test_who_is_answered_too_late_is_told_in_the_channel(
    server: Server, bot: Bot, mei: Person, hall: Channel, script: Script
) -> None:
    server.expect(10062)
    script("commands.story", replying(words("Accepted", job=1)))
    async with bot():
        with server.holding("callback"):
            asked = mei.command(hall, "story", link="https://example.org/a")
            server.world.clock.advance(3.1)
        await server.until(lambda: mei.reads(hall) == "Accepted")
        assert not asked.answered


async def test_a_token_that_ran_out(server: Server, bot: Bot, mei: Person, hall: Channel, script: Script) -> None:
    server.expect(50027)
    gate = Gate(words("Accepted", job=1))
    script("commands.story", gate)
    async with bot():
        asked = mei.command(hall, "story", link="https://example.org/a")
        await server.until(lambda: asked.answered == "deferred")
        server.world.clock.advance(901.0)
        gate.open.set()
        await server.until(lambda: "Accepted" in mei.reads(hall))
        assert server.refused(50027) == 1


async def test_an_event_that_comes_twice_is_answered_once(
    server: Server, bot: Bot, mei: Person, hall: Channel, script: Script
) -> None:
    server.expect(40060)
    script("commands.story", replying(words("Accepted")))
    async with bot():
        mei.command(hall, "story", link="https://example.org/a")
        server.world.tell("INTERACTION_CREATE", server.last_interaction)
        await server.until(lambda: server.refused(40060) == 1)
        assert mei.reads(hall) == "Accepted"


async def test_one_of_two_sources(server: Server, bot: Bot, mei: Person, hall: Channel) -> None:
    song = server.world.file("song.ogg", b"x", content_type="audio/ogg")
    async with bot():
        mei.command(hall, "story", link="https://example.org/a", audio=song)
        await server.until(lambda: "only one of the two" in mei.reads(hall))
        mei.user.locale = "zh-TW"
        mei.command(hall, "story")
        await server.until(lambda: "兩者擇一" in mei.reads(hall))


async def test_our_own_fault_has_a_number(
    server: Server, bot: Bot, mei: Person, hall: Channel, script: Script, caplog: Any
) -> None:
    async def broken(*args: Any, **kwargs: Any) -> Reply:
        raise ZeroDivisionError("secret detail")

    script("commands.help", broken)
    async with bot():
        mei.command(hall, "help")
        await server.until(lambda: "incident" in mei.reads(hall))
        incident = mei.reads(hall).split()[-1].strip(".")
        assert "secret" not in mei.reads(hall)
    assert f"incident {incident}" in caplog.text and "ZeroDivisionError" in caplog.text


async def test_the_client_forgets_what_it_answered(
    server: Server, bot: Bot, mei: Person, hall: Channel, script: Script
) -> None:
    script("commands.help", replying(words("x", private=True, buttons=((Button("Why?", write("why", 12)),),))))
    client: TuneTaleClient
    async with bot() as client:
        for _ in range(3):
            asked = mei.command(hall, "help")
            await server.until(lambda asked=asked: asked.answered == "message")  # type: ignore[misc]
        assert client.persistent_views == []
        assert client._connection._view_store._views == {}
