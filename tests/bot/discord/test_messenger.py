"""Letters arrive once, where they can; what Discord refuses is told to the core in its own words."""

from __future__ import annotations

from pathlib import Path

import pytest
from discord import Permissions

from bot.contract import Button, Document, Gone, Letter, Posted, Reply, RetryLater, Text
from bot.tokens import write
from engine.errors import Transient
from tests.bot.discord.conftest import Bot
from tests.fakes.discord.limits import Storm
from tests.fakes.discord.people import Person, buttons
from tests.fakes.discord.server import Server
from tests.fakes.discord.world import BOT_PERMISSIONS, MIB, Channel, Guild

NONCE = "0123456789abcdef"


class Notes:
    """What was noted on the disk."""

    def __init__(self) -> None:
        self.sent: dict[int, str] = {}

    async def __call__(self, index: int, message: str) -> None:
        assert index not in self.sent
        self.sent[index] = message


def letter(channel: Channel, *texts: str, **more: object) -> Letter:
    reply = Reply(tuple(Text(text) for text in texts), buttons=((Button("Again", write("again", 1)),),))
    return Letter(str(channel.id), reply, NONCE, **more)  # type: ignore[arg-type]


async def test_a_letter_pings_who_asked_and_nobody_else(server: Server, bot: Bot, mei: Person, hall: Channel) -> None:
    asked = mei.say(hall, "my story")
    progress = server.world.post(hall, server.world.bot, "Working")
    async with bot() as client:
        posted = await client.messenger.post(
            letter(
                hall,
                "For you, @everyone <@1>",
                mention=str(mei.user.id),
                reply_to=str(asked.id),
                progress=Posted(str(hall.id), str(progress.id)),
            ),
            Notes(),
        )
    sent = hall.messages[int(posted.message)]
    assert posted.chat == str(hall.id)
    assert sent.pings == {f"user:{mei.user.id}"}
    assert sent.reply_to == asked.id
    assert mei.reads(hall) == f"@user-{mei.user.id} For you, @everyone <@1>"
    assert progress.deleted and buttons(sent) == ["Again"]


async def test_what_was_sent_is_not_sent_again(server: Server, bot: Bot, mei: Person, hall: Channel) -> None:
    long = [f"Part {i} " + "word " * 300 for i in range(4)]
    notes = Notes()
    async with bot() as client:
        first = await client.messenger.post(letter(hall, *long), notes)
        assert sorted(notes.sent) == list(range(len(mei.visible(hall)))) and len(notes.sent) > 2
        # The last was sent but not noted: its nonce keeps it single.
        known = dict(list(notes.sent.items())[:-1])
        again = await client.messenger.post(letter(hall, *long, sent=known), Notes())
    assert again == first
    assert len(mei.visible(hall)) == len(notes.sent)


async def test_a_question_that_was_deleted_is_no_obstacle(server: Server, bot: Bot, mei: Person, hall: Channel) -> None:
    asked = mei.say(hall, "my story")
    server.world.delete(asked)
    async with bot() as client:
        await client.messenger.post(letter(hall, "Here", reply_to=str(asked.id)), Notes())
    assert mei.reads(hall) == "Here"


async def test_without_the_history_there_is_no_reply_but_a_message(
    server: Server, bot: Bot, mei: Person, hall: Channel
) -> None:
    server.expect(160002)
    hall.bot_permissions = Permissions(BOT_PERMISSIONS.value, read_message_history=False)
    asked = mei.say(hall, "my story")
    async with bot() as client:
        posted = await client.messenger.post(letter(hall, "Here", reply_to=str(asked.id)), Notes())
    assert hall.messages[int(posted.message)].reply_to is None and mei.reads(hall) == "Here"


async def test_who_is_gone(server: Server, bot: Bot, mei: Person, school: Guild, hall: Channel) -> None:
    server.expect(10003, 10008, 50001, 50007, 50083, 50033)
    thread = server.world.thread(hall, "notes")
    thread.locked = thread.archived = True
    deleted = server.world.channel(school, "old")
    server.world.delete_channel(deleted)
    async with bot() as client:
        messenger = client.messenger
        for channel in (thread, deleted):
            with pytest.raises(Gone):
                await messenger.post(letter(channel, "x"), Notes())
        with pytest.raises(Gone):
            await messenger.edit(Posted(str(hall.id), "123"), Reply((Text("x"),)))
        await messenger.erase(Posted(str(hall.id), "123"))  # that is what was wanted
        mei.user.blocks_bot = True
        chat = await messenger.private_chat(str(mei.user.id))
        with pytest.raises(Gone):
            await messenger.post(Letter(chat, Reply((Text("x"),)), NONCE), Notes())
        for nobody in ("999", "no number"):
            with pytest.raises(Gone):
                await messenger.private_chat(nobody)
        server.world.kick_bot(school)
        with pytest.raises(Gone):
            await messenger.post(letter(hall, "x"), Notes())
        with pytest.raises(Gone):
            await messenger.post(Letter("elsewhere", Reply((Text("x"),)), NONCE), Notes())


async def test_progress_is_edited_in_place(server: Server, bot: Bot, mei: Person, hall: Channel) -> None:
    async with bot() as client:
        posted = await client.messenger.post(letter(hall, "Waiting"), Notes())
        await client.messenger.edit(posted, Reply((Text("*Composing* 40 %"),)))
    assert mei.reads(hall) == "*Composing* 40 %" and buttons(mei.visible(hall)[0]) == []


async def test_a_long_pause_is_kept(server: Server, bot: Bot, mei: Person, hall: Channel) -> None:
    other = server.world.channel(hall.guild, "other")  # type: ignore[arg-type]
    server.limits.storms.append(Storm(1, 200.0, ("edit message",)))
    async with bot() as client:
        messenger = client.messenger
        posted = await messenger.post(letter(hall, "Waiting"), Notes())
        with pytest.raises(RetryLater) as refused:
            await messenger.edit(posted, Reply((Text("1 %"),)))
        assert refused.value.retry_in_s == 200.0
        calls = len(server.calls)
        server.world.clock.advance(150.0)
        for work in (messenger.edit(posted, Reply((Text("2 %"),))), messenger.post(letter(hall, "x"), Notes())):
            with pytest.raises(RetryLater) as refused:
                await work
            assert refused.value.retry_in_s == pytest.approx(50.0)
        assert len(server.calls) == calls  # nothing was sent before the time
        await messenger.post(letter(other, "elsewhere"), Notes())
        server.world.clock.advance(50.1)
        await messenger.edit(posted, Reply((Text("3 %"),)))
    assert mei.reads(hall) == "3 %"


async def test_an_outage_is_passing(server: Server, bot: Bot, hall: Channel) -> None:
    async with bot() as client:
        server.go_down()
        with pytest.raises(Transient):
            await client.messenger.post(letter(hall, "x"), Notes())
        with pytest.raises(Transient):
            await client.messenger.private_chat("1")
        server.come_back()
        await client.messenger.post(letter(hall, "x"), Notes())


async def test_a_refused_size_is_learnt(
    server: Server, bot: Bot, mei: Person, school: Guild, hall: Channel, tmp_path: Path
) -> None:
    server.expect(40005)
    school.attachment_limit = 3 * MIB
    big = tmp_path / "music.mp3"
    big.write_bytes(b"x" * (8 * MIB))
    reply = Reply((Document("music.mp3", big),))
    async with bot() as client:
        chat = str(hall.id)
        assert client.messenger.most_bytes(chat) == 10 * MIB
        with pytest.raises(RetryLater):
            await client.messenger.post(Letter(chat, reply, NONCE), Notes())
        assert client.messenger.most_bytes(chat) == 4 * MIB
        big.write_bytes(b"x" * MIB)
        school.attachment_limit = 1000
        with pytest.raises(Gone):
            await client.messenger.post(Letter(chat, reply, NONCE), Notes())


async def test_the_limit_of_an_interaction_is_believed(
    server: Server, bot: Bot, mei: Person, school: Guild, hall: Channel
) -> None:
    async with bot() as client:
        for named, believed in ((5 * MIB, 5 * MIB), (500 * MIB, 10 * MIB)):  # the second is somebody's Nitro
            school.attachment_limit = named
            asked = mei.command(hall, "help")
            await server.until(lambda asked=asked: asked.answered == "message")  # type: ignore[misc]
            assert client.messenger.most_bytes(str(hall.id)) == believed


async def test_a_missing_file_is_no_trace_in_chat(server: Server, bot: Bot, hall: Channel, tmp_path: Path) -> None:
    reply = Reply((Document("gone.json", tmp_path / "gone.json"),))
    async with bot() as client:
        with pytest.raises(FileNotFoundError):
            await client.messenger.post(Letter(str(hall.id), reply, NONCE), Notes())


async def test_lag_is_known_while_connected(server: Server, bot: Bot) -> None:
    async with bot() as client:
        lag = client.messenger.lag_s()
        assert lag is None or lag >= 0.0
    assert client.messenger.platform == "discord"
