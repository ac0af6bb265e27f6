"""From a token to a running bot and back: what ends it, and what does not."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from pydantic import SecretStr

from bot.desk import Desk
from bot.discord.client import INTENTS, TuneTaleClient
from bot.discord.service import serve
from bot.replies import catalogue, say
from engine.errors import Transient, UserError
from tests.bot.discord.conftest import Bot, Script, replying
from tests.bot.discord.test_answers import words
from tests.fakes.discord.gateway import AUTHENTICATION_FAILED, PRIVILEGED
from tests.fakes.discord.limits import Storm
from tests.fakes.discord.people import NotOffered, Person
from tests.fakes.discord.server import PATIENCE_S, TOKEN, Server
from tests.fakes.discord.world import PERSON_PERMISSIONS, Channel, Guild


async def test_no_intent_is_privileged() -> None:
    assert INTENTS.value & PRIVILEGED == 0


async def test_a_wrong_token_ends_with_a_sentence(server: Server, desk: Desk) -> None:
    with pytest.raises(UserError, match="Discord refused the token") as refused:
        await serve(SecretStr("wrong"), desk, asyncio.Event())
    assert refused.value.code == "bad_token" and "wrong" not in refused.value.message
    server.forgive()


async def test_a_revoked_token_ends_with_a_sentence(server: Server, desk: Desk) -> None:
    client = TuneTaleClient(desk, guild_ready_s=0.01)
    serving = asyncio.create_task(serve(SecretStr(TOKEN), desk, asyncio.Event(), client=client))
    await asyncio.sleep(0)  # it begins
    async with asyncio.timeout(PATIENCE_S):
        await client.wait_until_ready()
        await server.gateway.close(AUTHENTICATION_FAILED)
        with pytest.raises(UserError) as refused:
            await serving
    assert refused.value.code == "bad_token"


async def test_an_outage_at_the_start_is_passing(server: Server, desk: Desk) -> None:
    server.go_down()
    with pytest.raises(Transient):
        await serve(SecretStr("any"), desk, asyncio.Event())


async def test_an_outage_later_is_sat_out(server: Server, bot: Bot, mei: Person, hall: Channel, script: Script) -> None:
    script("commands.help", replying(words("Still here")))
    async with bot():
        server.go_down()
        mei.command(hall, "help")  # kept for the bot's return
        server.come_back()
        server.world.clock.advance(1.0)
        await server.until(lambda: mei.reads(hall) == "Still here")
        assert server.gateway.resumed == 1


async def test_who_is_stopped_finishes_what_is_being_answered(
    server: Server, bot: Bot, mei: Person, hall: Channel, script: Script
) -> None:
    script("commands.help", replying(words("Last words")))
    async with bot():
        with server.holding("callback"):
            mei.command(hall, "help")
            await server.change()
    assert mei.reads(hall) == "Last words"


async def test_commands_are_there_in_both_languages(server: Server, bot: Bot) -> None:
    async with bot():
        commands = {command.name: command for command in server.commands}
    assert {"story", "compose", "queue", "cancel", "help", "language", "privacy", "mydata", "forgetme", "admin"} <= set(
        commands
    )
    assert {"Story from this audio", "Compose from this message"} <= set(commands)
    story = commands["story"]
    assert story.name_localizations == {"zh-TW": "故事"}
    assert story.description_localizations == {"zh-TW": say("zh-TW", "command.story")}
    assert {option.name for option in story.options} == {"audio", "link", "language", "words", "seed", "title"}
    for command in commands.values():
        assert set(command.name_localizations or {}) == {"zh-TW"}, command.name
        for option in [*command.options, *(inner for one in command.options for inner in one.options)]:
            assert set(option.name_localizations or {}) == {"zh-TW"}, option.name
    assert set(catalogue("en")["discord"]) == set(catalogue("zh-TW")["discord"])


async def test_admin_commands_are_offered_to_admins_on_servers(
    server: Server, bot: Bot, mei: Person, school: Guild, hall: Channel, script: Script
) -> None:
    seen: list[object] = []
    script("admin.pause", replying(words("Paused", private=True), seen))
    async with bot():
        with pytest.raises(NotOffered):
            mei.command(hall, "admin pause")
        with pytest.raises(NotOffered):
            mei.command(server.world.dm(mei.user), "admin pause")
        school.everyone_sees_all_commands = True
        asked = mei.command(hall, "admin pause")
        await server.until(lambda: asked.answered == "message")
        school.members[mei.user.id] = PERSON_PERMISSIONS | type(PERSON_PERMISSIONS)(manage_guild=True)
        asked = mei.command(hall, "admin pause", everywhere=True)
        await server.until(lambda: asked.answered == "message")
    actors = [call[0].admin for call in seen]  # type: ignore[index]
    assert actors == [False, True]  # asked at use; the refusal is the core's


async def test_commands_can_be_published_to_some_servers(
    server: Server, desk: Desk, mei: Person, caplog: pytest.LogCaptureFixture
) -> None:
    server.expect(50001)
    school = server.world.guild("Music school", [mei.user])
    await login(desk, str(school.id), "12345")
    assert server.guild_commands == {school.id: len(server.commands)}
    assert "not published on server 12345" in caplog.text
    with pytest.raises(UserError, match="'Music school'"):
        await login(desk, "Music school")


async def test_a_pause_at_the_start_is_passing(server: Server, desk: Desk) -> None:
    server.limits.storms.append(Storm(1, 200.0, ("register commands",)))
    with pytest.raises(Transient):
        await serve(SecretStr(TOKEN), desk, asyncio.Event())


async def login(desk: Desk, *servers: str) -> None:
    desk.config = replace(desk.config, discord=replace(desk.config.discord, servers=servers))
    async with TuneTaleClient(desk, guild_ready_s=0.01) as client:
        await client.login(TOKEN)
