"""Discord as the language of scenarios knows it (`tests.contract.scenario.Driver`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

from discord import Permissions
from pydantic import SecretStr

from bot.config import Config
from bot.desk import Desk
from bot.discord.client import TuneTaleClient
from bot.discord.pace import Pace
from bot.discord.reactions import DIGITS
from bot.discord.service import serve
from tests.contract.scenario import Recording, Seen
from tests.fakes.clock import FakeClock
from tests.fakes.discord.interactions import Interaction
from tests.fakes.discord.limits import Storm
from tests.fakes.discord.people import Person, buttons, text
from tests.fakes.discord.registry import find
from tests.fakes.discord.server import TOKEN, Server, fake_discord
from tests.fakes.discord.world import EPHEMERAL, LOADING, PERSON_PERMISSIONS, Channel, Message

SLASH_TEXT, FORM_FIELD = 6000, 4000
"""Characters of a slash option, and of each of the form's two fields."""
CONSEQUENCES = (10003, 10008, 40060, 50001, 50007, 50027)
"""Refusals that come of what people do: gone channels and messages, the bot expelled, an event that came twice."""
ALIASES = {"job": "request", "campaign": "name", "raters": "people"}
"""Options that people know by another name than the code."""


class DiscordDriver:
    """One fake Discord, and at most one bot on it."""

    platform: Literal["discord"] = "discord"

    def __init__(self, server: Server) -> None:
        self.server = server
        self._people: dict[str, Person] = {}
        self._client: TuneTaleClient | None = None
        self._started = asyncio.Event()

    # --- the bot --------------------------------------------------------------------------------------------------

    def configure(self, config: Config) -> Config:
        """Return the configuration as it is: the library's addresses are redirected already."""
        return config

    async def serve(self, desk: Desk, stop: asyncio.Event) -> None:
        """Run the adapter; only its patience at the start and its pace are those of a test."""
        self._client = TuneTaleClient(desk, pace=Pace(per_s=100_000.0), guild_ready_s=0.01)
        self._started.set()
        try:
            await serve(SecretStr(TOKEN), desk, stop, client=self._client)
        finally:
            self._client = None
            self._started.clear()

    async def connected(self) -> None:
        """Wait until the bot listens."""
        await self._started.wait()
        assert self._client is not None
        await self._client.wait_until_ready()

    # --- people and rooms -----------------------------------------------------------------------------------------

    def add_person(self, name: str, language: str) -> str:
        """Add a user."""
        user = self.server.world.user(name, locale="zh-TW" if language == "zh-TW" else "en-US")
        self._people[str(user.id)] = Person(self.server, user)
        return str(user.id)

    def add_room(self, name: str, people: tuple[str, ...], admin: str | None) -> str:
        """Add a server with one channel; with admins, these show all commands to everybody, so that the bot decides."""
        guild = self.server.world.guild(name, [self._people[one].user for one in people])
        if admin is not None:
            guild.everyone_sees_all_commands = True
            guild.members[int(admin)] = PERSON_PERMISSIONS | Permissions(manage_guild=True)
        return str(self.server.world.channel(guild, name).id)

    def add_thread(self, room: str, name: str) -> str:
        """Add a thread."""
        return str(self.server.world.thread(self._channel(room), name).id)

    def private_room(self, who: str) -> str:
        """Return the direct messages between a person and the bot."""
        return str(self.server.world.dm(self._people[who].user).id)

    # --- acts -----------------------------------------------------------------------------------------------------

    async def story(self, who: str, room: str, music: Recording | str, options: Mapping[str, str]) -> None:
        """Use /story with an attachment or a link."""
        source: dict[str, Any] = {"link": music}
        if isinstance(music, Recording):
            source = {"audio": self.server.world.file(music.name, music.data, content_type="audio/mpeg")}
        self._command(who, room, "story", options, source)

    async def compose(self, who: str, room: str, text: str, options: Mapping[str, str]) -> None:
        """Use /compose: with the text, by the form, or with a file."""
        if len(text) <= SLASH_TEXT:
            self._command(who, room, "compose", options, {"text": text})
        elif len(text) <= 2 * FORM_FIELD:
            asked = self._command(who, room, "compose", options, {})
            await self.server.until(lambda: asked.answered == "modal")
            self._people[who].submit(asked, text=text[:FORM_FIELD], more=text[FORM_FIELD:])
        else:
            file = self.server.world.file("story.txt", text.encode(), content_type="text/plain; charset=utf-8")
            self._command(who, room, "compose", options, {"file": file})

    async def command(self, who: str, room: str, name: str, options: Mapping[str, str]) -> None:
        """Use another slash command."""
        self._command(who, room, name, options, {})

    def _command(
        self, who: str, room: str, name: str, options: Mapping[str, str], more: Mapping[str, Any]
    ) -> Interaction:
        _, offered = find(self.server.commands, name, 1)
        types = {option.name: option.type for option in offered}
        values = {}
        for key, value in options.items():
            option = ALIASES.get(key, key)
            values[option] = _typed(value, types.get(option, 3))
        return self._people[who].command(self._channel(room), name, **values, **more)

    async def press(self, who: str, message: Seen, label: str) -> None:
        """Press the first button whose label contains `label`."""
        found = self._message(message)
        full = next(one for one in buttons(found) if label in one)
        self._people[who].click(found, full)

    async def rate(self, who: str, message: Seen, score: int) -> None:
        """React with a digit."""
        self._people[who].react(self._message(message), DIGITS[score])

    async def remove(self, message: Seen) -> None:
        """Delete a message."""
        self.server.world.delete(self._message(message))
        self.server.changed()

    async def kick(self, room: str) -> None:
        """Remove the bot from the server."""
        guild = self._channel(room).guild
        assert guild is not None
        self.server.world.kick_bot(guild)

    async def repeat_last(self) -> None:
        """Deliver the last interaction once more."""
        self.server.world.tell("INTERACTION_CREATE", self.server.last_interaction)

    # --- sight ----------------------------------------------------------------------------------------------------

    def screen(self, who: str, room: str) -> list[Seen]:
        """Return what a person sees in a channel."""
        return [self._seen(message) for message in self._people[who].visible(self._channel(room))]

    def _seen(self, message: Message) -> Seen:
        thinking = message.flags & LOADING
        return Seen(
            id=str(message.id),
            room=str(message.channel.id),
            text="TuneTale is thinking…" if thinking else text(message),
            ours=message.author is self.server.world.bot,
            buttons=tuple(buttons(message)),
            files=tuple(file.name for file in message.files),
            alts=tuple(file.description for file in message.files if file.description),
            pings=tuple(sorted(self._name(ping) for ping in message.pings)),
            private=bool(message.flags & EPHEMERAL),
        )

    def _name(self, ping: str) -> str:
        kind, _, number = ping.partition(":")
        return self.server.world.users[int(number)].name if kind == "user" else ping

    async def change(self) -> None:
        """Return after the next request of the bot. Raises AssertionError on a fault."""
        await self.server.change()
        self.server.check()

    # --- trouble --------------------------------------------------------------------------------------------------

    def set_down(self, down: bool) -> None:
        """Take Discord away, or bring it back."""
        if down:
            self.server.go_down()
        else:
            self.server.come_back()

    def storm(self, seconds: int, times: int) -> None:
        """Answer the next messages or edits with 429."""
        self.server.limits.storms.append(Storm(times, float(seconds), ("create message", "edit message")))

    def check(self) -> None:
        """Raise AssertionError for every fault so far."""
        if faults := self.server.faults() + self.server.unanswered():
            raise AssertionError("\n".join(faults))

    # --- inside ---------------------------------------------------------------------------------------------------

    def _channel(self, room: str) -> Channel:
        return self.server.world.channels[int(room)]

    def _message(self, seen: Seen) -> Message:
        return self._channel(seen.room).messages[int(seen.id)]


def _typed(value: str, type: int) -> Any:
    match type:
        case 4 | 6 | 7 | 8:
            return int(value)
        case 5:
            return value == "True"
        case 10:
            return float(value)
        case _:
            return value


@asynccontextmanager
async def discord_driver(clock: FakeClock) -> AsyncIterator[DiscordDriver]:
    """Open a fake Discord for scenarios; a fault of the bot fails the test at the end."""
    async with fake_discord(clock=clock) as server:
        server.expect(*CONSEQUENCES)
        yield DiscordDriver(server)
