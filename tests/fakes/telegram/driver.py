"""Telegram as the language of scenarios knows it (`tests.contract.scenario.Driver`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Literal

from pydantic import SecretStr

from bot.config import Config
from bot.desk import Desk
from bot.telegram.limiter import FloodGate
from bot.telegram.service import serve
from tests.contract.scenario import Recording, Seen
from tests.fakes.clock import FakeClock
from tests.fakes.telegram.errors import too_many
from tests.fakes.telegram.people import Person, change_bot, group, person
from tests.fakes.telegram.server import FakeTelegram, fake_telegram
from tests.fakes.telegram.world import Chat, Message

MOST_TYPED = 4000
"""Characters that are typed; longer stories are sent as a file."""
NAMED = ("raters", "each", "pairs")
"""Options of other commands that people write with their name."""


class TelegramDriver:
    """One fake Telegram, and at most one bot on it. A room is `chat` or `chat:topic`, a message is a number."""

    platform: Literal["telegram"] = "telegram"

    def __init__(self, fake: FakeTelegram, clock: FakeClock) -> None:
        self.fake = fake
        self._clock = clock
        self._people: dict[str, Person] = {}
        self._polls = 0

    # --- the bot --------------------------------------------------------------------------------------------------

    def configure(self, config: Config) -> Config:
        """Return the configuration with the fake's addresses."""
        telegram = replace(config.telegram, base_url=self.fake.base_url, base_file_url=self.fake.base_file_url)
        return replace(config, telegram=telegram)

    async def serve(self, desk: Desk, stop: asyncio.Event) -> None:
        """Run the adapter; only its pace is not kept, and its pauses are those of the clock."""
        self._polls = len(self.fake.made("getUpdates"))
        gate = FloodGate(now=self._clock.now, sleep=self._clock.sleep, paced=False)
        await serve(SecretStr(self.fake.token), desk, stop, gate=gate)

    async def connected(self) -> None:
        """Wait until the bot polls."""
        await self.fake.until(lambda: len(self.fake.made("getUpdates")) > self._polls, "a poll")

    # --- people and rooms -----------------------------------------------------------------------------------------

    def add_person(self, name: str, language: str) -> str:
        """Add a user."""
        added = person(self.fake, name, language="zh-hant" if language == "zh-TW" else language)
        self._people[str(added.user.id)] = added
        return str(added.user.id)

    def add_room(self, name: str, people: tuple[str, ...], admin: str | None) -> str:
        """Add a group."""
        chat = group(
            self.fake,
            name,
            *(self._people[who] for who in people),
            admin=None if admin is None else self._people[admin],
        )
        return str(chat.id)

    def add_thread(self, room: str, name: str) -> str:
        """Make the group a forum with one more topic."""
        chat = self._chat(room)
        topic = 100 + len(chat.topics)
        chat.topics.add(topic)
        return f"{chat.id}:{topic}"

    def private_room(self, who: str) -> str:
        """Return the chat that the person has opened by pressing Start."""
        return str(self._people[who].private.id)

    # --- acts -----------------------------------------------------------------------------------------------------

    async def story(self, who: str, room: str, music: Recording | str, options: Mapping[str, str]) -> None:
        """Send the recording with the command as its caption, or the command with the link."""
        if isinstance(music, Recording):
            caption = _command("story", options)
            self._people[who].sends(
                self._chat(room),
                "audio",
                music.data,
                caption=caption,
                name=music.name,
                duration=music.seconds,
                topic=_topic(room),
            )
        else:
            self._say(who, room, f"{_command('story', options)} {music}")

    async def compose(self, who: str, room: str, text: str, options: Mapping[str, str]) -> None:
        """Write the story behind the command, or send it as a file."""
        command = _command("compose", options)
        if len(text) <= MOST_TYPED:
            self._say(who, room, f"{command} {text}")
        else:
            self._people[who].sends(
                self._chat(room), "document", text.encode(), caption=command, name="story.txt", topic=_topic(room)
            )

    async def command(self, who: str, room: str, name: str, options: Mapping[str, str]) -> None:
        """Write another command; its options are the words behind it, some with their name."""
        words = (f"{key}={value}" if key in NAMED else value for key, value in options.items())
        self._say(who, room, " ".join((f"/{name}", *words)))

    async def press(self, who: str, message: Seen, label: str) -> None:
        """Press a button."""
        self._people[who].presses(self._message(message), label)

    async def rate(self, who: str, message: Seen, score: int) -> None:
        """Press a number under the card."""
        self._people[who].presses(self._message(message), str(score))

    async def remove(self, message: Seen) -> None:
        """Delete a message of the bot."""
        self._message(message).deleted = True
        self.fake.world.changed()

    async def kick(self, room: str) -> None:
        """Remove the bot from the group."""
        chat = self._chat(room)
        change_bot(self.fake, chat, "kicked", self._people[str(next(iter(chat.statuses)))].user)

    async def repeat_last(self) -> None:
        """Deliver the last update once more, as after a lost confirmation."""
        await self.fake.until(lambda: self.fake.updates.confirmed and not self.fake.updates.waiting(), "a confirmation")
        self.fake.updates.again(self.fake.updates.confirmed[-1])

    # --- sight ----------------------------------------------------------------------------------------------------

    def screen(self, who: str, room: str) -> list[Seen]:
        """Return the messages of a chat or topic, and the answers to this person's presses there."""
        chat = self._chat(room)
        shown = [self._seen(m, room) for m in self.fake.world.in_chat(chat) if m.topic == _topic(room)]
        user = self._people[who].user
        toasts = [
            Seen(id=query.id, room=room, text=query.text, ours=True, private=True)
            for query in self.fake.methods.queries.values()
            if query.user is user and query.message.chat is chat and query.text
        ]
        return shown + toasts

    async def change(self) -> None:
        """Return after the next change. Raises AssertionError on a fault."""
        await self.fake.change()

    # --- trouble --------------------------------------------------------------------------------------------------

    def set_down(self, down: bool) -> None:
        """Take Telegram away, or bring it back."""
        self.fake.down = down

    def storm(self, seconds: int, times: int) -> None:
        """Answer the next messages or edits with 429."""
        self.fake.refuse(too_many(seconds), method="send/edit", times=times)

    def check(self) -> None:
        """Raise AssertionError for every fault so far."""
        self.fake.check()

    # --- inside ---------------------------------------------------------------------------------------------------

    def _say(self, who: str, room: str, text: str) -> None:
        self._people[who].says(self._chat(room), text, topic=_topic(room))

    def _chat(self, room: str) -> Chat:
        return self.fake.world.chats[int(room.partition(":")[0])]

    def _message(self, seen: Seen) -> Message:
        return self.fake.world.messages[self._chat(seen.room).id, int(seen.id)]

    def _seen(self, message: Message, room: str) -> Seen:
        return Seen(
            id=str(message.id),
            room=room,
            text=message.text,
            ours=message.sender is self.fake.world.bot,
            buttons=tuple(message.labels()),
            files=() if message.media is None else (message.media.file.name,),
            alts=(message.text,) if message.media is not None and message.media.kind == "photo" else (),
            pings=tuple(self._name(mention) for mention in message.seen.mentions),
        )

    def _name(self, mention: str) -> str:
        _, _, number = mention.partition("tg://user?id=")
        return self.fake.world.users[int(number)].name if number else mention


def _topic(room: str) -> int | None:
    _, _, topic = room.partition(":")
    return int(topic) if topic else None


def _command(name: str, options: Mapping[str, str]) -> str:
    return " ".join((f"/{name}", *(f'{key}="{value}"' for key, value in options.items())))


@asynccontextmanager
async def telegram_driver(clock: FakeClock) -> AsyncIterator[TelegramDriver]:
    """Open a fake Telegram for scenarios; a fault of the bot fails the test at the end."""
    async with fake_telegram(clock.now) as fake:
        yield TelegramDriver(fake, clock)
