"""The language in which scenarios are written: what people do and see in chat, the same on every platform.

    mei = stage.person("Mei")
    room = stage.room("Music club", mei)
    await mei.asks_story(room, SONG, words=200)
    lease = await stage.engine.takes()
    await room.shows("Writing the story")
    await stage.engine.finishes(lease)
    card = await room.shows("The Lamp Keeper")
    await mei.presses(card, "Again")

A platform takes part by a `Driver`: its strict fake service, as people use it. Every wait ends with the screens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bot.config import Config
from bot.desk import Desk
from engine.jobs import Platform

PATIENCE_S = 60.0
"""No scenario waits so long unless it fails."""


@dataclass(frozen=True)
class Recording:
    """A file that somebody sends."""

    name: str
    data: bytes
    seconds: int = 30


@dataclass(frozen=True)
class Seen:
    """A message as somebody sees it now: markup has become looks, mentions have become pings."""

    id: str
    room: str
    text: str
    ours: bool
    """Whether the bot wrote it."""
    buttons: tuple[str, ...] = ()
    """Labels, in order."""
    files: tuple[str, ...] = ()
    """Names of audio, pictures and documents."""
    alts: tuple[str, ...] = ()
    """What is said of its files for people who do not see them."""
    pings: tuple[str, ...] = ()
    """Names of whom it calls: people, roles, everyone."""
    private: bool = False
    """Whether only this person sees it: ephemeral, or the answer to a press."""


class Driver(Protocol):
    """A platform's fake service, as the people on it use it. Ids are opaque; every act returns once it is sent."""

    @property
    def platform(self) -> Platform:
        """The platform's name."""
        ...

    # --- the bot --------------------------------------------------------------------------------------------------

    def configure(self, config: Config) -> Config:
        """Return the configuration with what leads the client library to the fake."""
        ...

    async def serve(self, desk: Desk, stop: asyncio.Event) -> None:
        """Run the platform's adapter, as `tunetale run` does."""
        ...

    async def connected(self) -> None:
        """Wait until the bot that was just started listens."""
        ...

    # --- people and rooms -----------------------------------------------------------------------------------------

    def add_person(self, name: str, language: str) -> str:
        """Add somebody whose client speaks `en` or `zh-TW`."""
        ...

    def add_room(self, name: str, people: tuple[str, ...], admin: str | None) -> str:
        """Add a group chat, or a server with one channel, with the bot in it."""
        ...

    def add_thread(self, room: str, name: str) -> str:
        """Add a thread or forum topic to a room."""
        ...

    def private_room(self, who: str) -> str:
        """Return the chat of a person with the bot, which they have opened."""
        ...

    # --- acts -----------------------------------------------------------------------------------------------------

    async def story(self, who: str, room: str, music: Recording | str, options: Mapping[str, str]) -> None:
        """Ask for a story: a file, or a link; `options` as `/story` takes them."""
        ...

    async def compose(self, who: str, room: str, text: str, options: Mapping[str, str]) -> None:
        """Ask for music, by whatever way a text of this length can be sent."""
        ...

    async def command(self, who: str, room: str, name: str, options: Mapping[str, str]) -> None:
        """Give another command; `name` without slash, sub-commands after a space (`admin pause`)."""
        ...

    async def press(self, who: str, message: Seen, label: str) -> None:
        """Press the first button whose label contains `label`."""
        ...

    async def rate(self, who: str, message: Seen, score: int) -> None:
        """Rate a card 0–5, as people usually do on this platform."""
        ...

    async def remove(self, message: Seen) -> None:
        """Somebody with the right to deletes a message of the bot."""
        ...

    async def kick(self, room: str) -> None:
        """Remove the bot from a room."""
        ...

    async def repeat_last(self) -> None:
        """The service delivers the last act once more (Discord: the same interaction; Telegram: the same update)."""
        ...

    # --- sight ----------------------------------------------------------------------------------------------------

    def screen(self, who: str, room: str) -> list[Seen]:
        """Return what a person sees in a room, oldest first, what is for their eyes only included."""
        ...

    async def change(self) -> None:
        """Return after the next thing that anybody can see. Raises AssertionError on a fault of the bot."""
        ...

    # --- trouble --------------------------------------------------------------------------------------------------

    def set_down(self, down: bool) -> None:
        """Take the service away, or bring it back."""
        ...

    def storm(self, seconds: int, times: int) -> None:
        """Answer the next `times` messages or edits with 429 and this pause; a call during the pause is a fault."""
        ...

    def check(self) -> None:
        """Raise AssertionError for every fault so far: unknown fields, broken limits, unanswered presses."""
        ...


@dataclass(frozen=True)
class Room:
    """Where people meet."""

    driver: Driver
    id: str
    name: str
    viewer: str
    """A person through whose eyes it is looked at."""

    def screen(self) -> list[Seen]:
        """Return what everybody sees here."""
        return [seen for seen in self.driver.screen(self.viewer, self.id) if not seen.private]

    def ours(self) -> list[Seen]:
        """Return the messages of the bot that everybody sees here."""
        return [seen for seen in self.screen() if seen.ours]

    async def shows(self, *words: str, button: str | None = None, file: str | None = None) -> Seen:
        """Wait until one message of the bot has all these words, a button, and a file with this in its name."""
        return await wait_for(self.driver, self.ours, self.name, words, button, file)

    async def shows_no_more(self, words: str) -> None:
        """Wait until no message of the bot has these words."""
        await until(self.driver, lambda: not any(words in seen.text for seen in self.ours()), f"no more {words!r}")

    def times(self, words: str) -> int:
        """Count the messages of the bot that have these words now."""
        return sum(words in seen.text for seen in self.ours())


@dataclass(frozen=True)
class Person:
    """Somebody with the platform's client in their hand."""

    driver: Driver
    id: str
    name: str

    @property
    def private(self) -> Room:
        """The chat of this person with the bot."""
        return Room(self.driver, self.driver.private_room(self.id), f"{self.name}'s private chat", self.id)

    async def asks_story(self, room: Room, music: Recording | str, **options: object) -> None:
        """Ask for the story of a recording or link."""
        await self.driver.story(self.id, room.id, music, _texts(options))

    async def asks_music(self, room: Room, text: str, **options: object) -> None:
        """Ask for the music of a text."""
        await self.driver.compose(self.id, room.id, text, _texts(options))

    async def says(self, room: Room, command: str, **options: object) -> None:
        """Give a command: `queue`, `cancel`, `help`, `admin pause` …"""
        await self.driver.command(self.id, room.id, command, _texts(options))

    async def presses(self, message: Seen, label: str) -> None:
        """Press a button."""
        await self.driver.press(self.id, message, label)

    async def rates(self, message: Seen, score: int) -> None:
        """Rate a card."""
        await self.driver.rate(self.id, message, score)

    async def reads(self, room: Room, *words: str, button: str | None = None, file: str | None = None) -> Seen:
        """Wait until this person sees a message of the bot with all these words, in `room` or in private."""

        def visible() -> list[Seen]:
            rooms = dict.fromkeys((room.id, self.driver.private_room(self.id)))
            return [seen for place in rooms for seen in self.driver.screen(self.id, place) if seen.ours]

        return await wait_for(self.driver, visible, f"{self.name}'s screen", words, button, file)


async def wait_for(
    driver: Driver, visible: Screen, where: str, words: tuple[str, ...], button: str | None, file: str | None
) -> Seen:
    """Wait for a message and return it as it stands then."""

    def find() -> Seen | None:
        for seen in reversed(visible()):
            fits = all(word in seen.text for word in words)
            if button is not None:
                fits = fits and any(button in label for label in seen.buttons)
            if file is not None:
                fits = fits and any(file in name for name in seen.files)
            if fits:
                return seen
        return None

    wish = f"{words} button={button!r} file={file!r} in {where}"
    await until(driver, lambda: find() is not None, wish, visible)
    found = find()
    assert found is not None
    return found


async def until(driver: Driver, true: Condition, wish: str, visible: Screen | None = None) -> None:
    """Wait until a condition holds; it is looked at after every visible change."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                changing = asyncio.ensure_future(driver.change())
                await asyncio.sleep(0)  # so that it listens before the look
                try:
                    if true():
                        return
                    await changing
                finally:
                    changing.cancel()
                    await asyncio.gather(changing, return_exceptions=True)
    except TimeoutError:
        screen = "" if visible is None else "\n".join(f"  {seen}" for seen in visible())
        raise AssertionError(f"never seen: {wish}\n{screen}") from None


class Screen(Protocol):
    """Something that returns messages."""

    def __call__(self) -> list[Seen]: ...


class Condition(Protocol):
    """Something that holds or not."""

    def __call__(self) -> bool: ...


def _texts(options: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in options.items()}
