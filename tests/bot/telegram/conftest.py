from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.stage import Stage, stage
from tests.fakes.clock import FakeClock
from tests.fakes.telegram.driver import TelegramDriver, telegram_driver
from tests.fakes.telegram.people import Person, group, person
from tests.fakes.telegram.server import PATIENCE_S, FakeTelegram
from tests.fakes.telegram.world import Chat, Message


@dataclass
class Town:
    """A fake Telegram with the bot in it, and what people there see."""

    here: Stage
    fake: FakeTelegram

    def person(self, name: str = "Mei", language: str = "en") -> Person:
        return person(self.fake, name, language=language)

    def group(self, *people: Person, admin: Person | None = None, bot_is_admin: bool = False) -> Chat:
        return group(self.fake, "Music club", *people, admin=admin, bot_is_admin=bot_is_admin)

    def ours(self, chat: Chat) -> list[Message]:
        return [message for message in self.fake.world.in_chat(chat) if message.sender is self.fake.world.bot]

    async def shows(self, chat: Chat, words: str = "", button: str | None = None) -> Message:
        def find() -> Message | None:
            for message in reversed(self.ours(chat)):
                if words in message.text and (button is None or any(button in label for label in message.labels())):
                    return message
            return None

        found: Message = await self.fake.until(find, f"{words!r} {button!r}")
        return found

    async def card(self, chat: Chat, asker: Person) -> Message:
        """Have a story told and return its card."""
        asker.sends(chat, "audio", b"ID3", caption="/story")
        await self.shows(chat, "request is number")
        await self.here.engine.finishes(await self.here.engine.takes())
        card = await self.shows(chat, button="Why?")
        await self.idle()
        return card

    async def idle(self) -> None:
        """Wait until everything is written down, which is a moment after it is seen."""
        async with asyncio.timeout(PATIENCE_S):
            while not await self.here.desk.queue.idle():  # noqa: ASYNC110  (each look is a transaction)
                await asyncio.sleep(0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def driver(clock: FakeClock) -> AsyncIterator[TelegramDriver]:
    async with telegram_driver(clock) as telegram:
        yield telegram


@pytest.fixture
async def town(driver: TelegramDriver, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Town]:
    async with stage(driver, tmp_path, clock) as here:
        yield Town(here, driver.fake)
