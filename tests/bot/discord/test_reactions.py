"""Digits under cards: put there, heard, and read again where they could not be heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from typing import Any

import pytest

from bot.ballots import Ballots
from bot.contract import Actor, Letter, Posted, Reply, Text
from bot.discord.reactions import DIGITS, score_of
from bot.rating import Reaction
from tests.bot.discord.conftest import Bot
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Server
from tests.fakes.discord.world import BOT_PERMISSIONS, Channel, Message


class Noted:
    """Ballots that only note what they are told."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.heard: list[tuple[str, int, bool, bool]] = []
        self.read: list[tuple[Posted, Mapping[str, Collection[Reaction]]]] = []
        self.cards: list[tuple[Posted, int]] = []
        self.since: list[float] = []

    def now(self) -> float:
        return self.server.world.clock.now()

    async def reacted(self, actor: Actor, posted: Posted, reaction: Reaction, *, added: bool) -> bool:
        self.heard.append((actor.person, reaction.digit, reaction.super, added))
        self.server.changed()
        return True

    async def unsure(self, platform: str) -> list[tuple[Posted, int]]:
        assert platform == "discord"
        return self.cards

    async def reconcile(self, platform: str, posted: Posted, since: float, snapshot: Any) -> int:
        self.read.append((posted, await snapshot()))
        self.since.append(since)
        self.server.changed()
        return 0


@pytest.fixture
async def noted(server: Server, desk: Any) -> AsyncIterator[Noted]:
    desk.ballots = made = Noted(server)
    yield made


def card(server: Server, hall: Channel) -> Message:
    return server.world.post(hall, server.world.bot, "A card")


def place(message: Message) -> Posted:
    return Posted(str(message.channel.id), str(message.id))


def test_digits() -> None:
    assert [score_of(digit) for digit in DIGITS] == list(range(6))
    assert score_of("3\u20e3") == 3
    assert [score_of(emoji) for emoji in ("6️⃣", "👍", "3", "#️⃣")] == [None] * 4


async def test_a_rated_letter_gets_the_six_digits(server: Server, bot: Bot, noted: Noted, hall: Channel) -> None:
    async def note(index: int, message: str) -> None:
        return None

    async with bot() as client:
        posted = await client.messenger.post(Letter(str(hall.id), Reply((Text("Card"),), pair=4), "n" * 16), note)
        message = hall.messages[int(posted.message)]
        await server.until(lambda: len(noted.read) == 1)  # who reacted before it was known as a card is read
        assert list(message.reactions) == list(DIGITS)
        assert noted.read == [(posted, {})]


async def test_reactions_are_heard(server: Server, bot: Bot, noted: Noted, mei: Person, hall: Channel) -> None:
    message = card(server, hall)
    robot = server.world.user("Robot", bot=True)
    me = str(mei.user.id)
    async with bot():
        mei.react(message, DIGITS[4])
        mei.react(message, DIGITS[5], burst=True)
        mei.react(message, "👍")
        mei.react(mei.say(hall, "not a card"), DIGITS[0])
        server.world.react(message, robot, DIGITS[1])
        server.world.react(message, server.world.bot, DIGITS[2])
        mei.unreact(message, DIGITS[4])
        await server.until(lambda: len(noted.heard) == 3)
    assert noted.heard == [(me, 4, False, True), (me, 5, True, True), (me, 4, False, False)]


async def test_direct_messages_can_be_rated(server: Server, bot: Bot, noted: Noted, mei: Person) -> None:
    message = card(server, server.world.dm(mei.user))
    async with bot():
        mei.react(message, DIGITS[3])
        await server.until(lambda: noted.heard == [(str(mei.user.id), 3, False, True)])


async def test_what_was_missed_is_read_after_a_start(
    server: Server, bot: Bot, noted: Noted, mei: Person, hall: Channel
) -> None:
    server.expect(10008)
    gone, message = card(server, hall), card(server, hall)
    server.world.delete(gone)
    noted.cards = [(place(gone), 1), (place(message), 2)]
    for digit in DIGITS[:5]:
        server.world.react(message, server.world.bot, digit)
    crowd = [server.world.user(f"P{i}") for i in range(120)]
    for person in crowd:
        server.world.react(message, person, DIGITS[4])
    mei.react(message, DIGITS[0])
    mei.react(message, DIGITS[1], burst=True)
    server.world.react(message, server.world.user("Robot", bot=True), DIGITS[0])
    async with bot():
        await server.until(lambda: len(noted.read) == 1 and DIGITS[5] in message.reactions)
    posted, found = noted.read[0]
    assert posted == place(message)
    assert found == {str(person.id): {Reaction(4)} for person in crowd} | {
        str(mei.user.id): {Reaction(0), Reaction(1, super=True)}
    }
    # Two pages of fours (the library may look for a third), noughts and ones; the rest is only ours and not asked for.
    assert server.count("list reactions") <= 5
    assert noted.since == [server.world.clock.now()]


async def test_a_resumed_connection_reads_nothing(
    server: Server, bot: Bot, noted: Noted, mei: Person, hall: Channel
) -> None:
    message = card(server, hall)
    noted.cards = [(place(message), 2)]
    async with bot():
        await server.until(lambda: len(noted.read) == 1)
        await server.gateway.close(4000)
        mei.react(message, DIGITS[2])
        await server.until(lambda: len(noted.heard) == 1)
        assert (server.gateway.identified, server.gateway.resumed, len(noted.read)) == (1, 1, 1)


async def test_cleared_reactions_are_read_again(
    server: Server, bot: Bot, noted: Noted, mei: Person, hall: Channel
) -> None:
    message = card(server, hall)
    async with bot():
        mei.react(message, DIGITS[2])
        mei.react(message, DIGITS[3])
        await server.until(lambda: len(noted.heard) == 2)
        server.world.clear_reactions(message, DIGITS[3])
        await server.until(lambda: len(noted.read) == 1)
        server.world.clear_reactions(message)
        await server.until(lambda: len(noted.read) == 2)
    assert noted.read == [(place(message), {str(mei.user.id): {Reaction(2)}}), (place(message), {})]


async def test_without_the_permission_there_are_no_digits(
    server: Server, bot: Bot, noted: Noted, hall: Channel
) -> None:
    server.expect(50013)
    hall.bot_permissions = BOT_PERMISSIONS
    hall.bot_permissions = type(BOT_PERMISSIONS)(BOT_PERMISSIONS.value, add_reactions=False)
    message = card(server, hall)
    async with bot() as client:
        client.reactions.seed(place(message))
        await server.until(lambda: server.refused(50013) == 1 and len(noted.read) == 1)
    assert message.reactions == {}


async def test_a_full_message_is_left_alone(server: Server, bot: Bot, noted: Noted, mei: Person, hall: Channel) -> None:
    server.expect(30010)
    message = card(server, hall)
    for i in range(18):
        mei.react(message, chr(0x1F600 + i))
    async with bot() as client:
        client.reactions.seed(place(message))
        await server.until(lambda: server.refused(30010) == 1 and len(noted.read) == 1)
    assert [emoji for emoji in message.reactions if emoji in DIGITS] == list(DIGITS[:2])


async def test_a_snapshot_that_fails_changes_nothing(
    server: Server, bot: Bot, desk: Any, mei: Person, hall: Channel
) -> None:
    """With the real ballots: what cannot be read is not taken for an empty list."""
    assert isinstance(desk.ballots, Ballots)
    server.expect(50001)
    message = card(server, hall)
    hall.bot_permissions = type(BOT_PERMISSIONS).none()
    async with bot() as client:
        with suppress(asyncio.CancelledError):
            await client.reactions.cleared(hall.id, message.id)
    assert server.refused(50001) == 1
