"""The fake is strict where Discord is: a small bot of the unmodified library meets each rule."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import discord
import pytest
from discord import app_commands

from tests.fakes.discord.people import NotOffered, Person, buttons, text
from tests.fakes.discord.server import PATIENCE_S, TOKEN, Server, fake_discord
from tests.fakes.discord.world import MIB, Channel, Guild

INTENTS = discord.Intents(guilds=True, guild_reactions=True, dm_reactions=True, guild_messages=True)


class Bot(discord.Client):
    def __init__(self, intents: discord.Intents = INTENTS) -> None:
        super().__init__(intents=intents, guild_ready_timeout=0.01, allowed_mentions=discord.AllowedMentions.none())
        self.tree = app_commands.CommandTree(self)
        self.reactions: list[discord.RawReactionActionEvent] = []
        self.gone: list[int] = []
        self.ready_count = 0
        self.woken = asyncio.Event()

        @self.tree.command(name="echo", description="Say it again")
        async def echo(interaction: discord.Interaction, words: str, file: discord.Attachment | None = None) -> None:
            size = "" if file is None else f" and {len(await file.read())} bytes"
            await interaction.response.send_message(f"{words}{size}")

        @self.tree.command(name="slow", description="Think about it")
        async def slow(interaction: discord.Interaction) -> None:
            await interaction.response.defer()
            await interaction.edit_original_response(content="thought", view=view())

        @self.tree.command(name="ask", description="Ask back")
        async def ask(interaction: discord.Interaction) -> None:
            await interaction.response.send_modal(Question())

        @self.tree.context_menu(name="Read this")
        async def read_this(interaction: discord.Interaction, message: discord.Message) -> None:
            await interaction.response.send_message(f"it says {message.content}", ephemeral=True)

    async def setup_hook(self) -> None:
        await self.tree.sync()

    async def on_ready(self) -> None:
        self.ready_count += 1
        self.woken.set()

    async def on_resumed(self) -> None:
        self.woken.set()

    async def on_raw_reaction_add(self, event: discord.RawReactionActionEvent) -> None:
        self.reactions.append(event)
        self.woken.set()

    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        self.gone.append(event.message_id)
        self.woken.set()

    async def until(self, count: int, of: list[discord.RawReactionActionEvent] | list[int]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(of) < count:
                self.woken.clear()
                await self.woken.wait()

    async def messageable(self, channel: Channel) -> discord.PartialMessageable:
        return self.get_partial_messageable(channel.id)


class Question(discord.ui.Modal, title="A question"):
    answer: discord.ui.Label[Question] = discord.ui.Label(
        text="Answer", component=discord.ui.TextInput(custom_id="answer", max_length=10)
    )

    async def on_submit(self, interaction: discord.Interaction) -> None:
        assert isinstance(self.answer.component, discord.ui.TextInput)
        await interaction.response.send_message(self.answer.component.value, ephemeral=True)


def view() -> discord.ui.View:
    made = discord.ui.View(timeout=None)
    made.add_item(discord.ui.Button(label="Again", custom_id="again:1"))
    return made


@asynccontextmanager
async def connected(server: Server, bot: Bot | None = None) -> AsyncIterator[Bot]:
    bot = bot or Bot()
    async with bot:
        await bot.login(TOKEN)
        task = asyncio.create_task(bot.connect())
        async with asyncio.timeout(PATIENCE_S):
            await bot.wait_until_ready()
        yield bot
        await bot.close()
        await task


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with fake_discord() as made:
        yield made


@pytest.fixture
def mei(server: Server) -> Person:
    return Person(server, server.world.user("Mei"))


@pytest.fixture
def guild(server: Server, mei: Person) -> Guild:
    return server.world.guild("Music school", [mei.user])


@pytest.fixture
def hall(server: Server, guild: Guild) -> Channel:
    return server.world.channel(guild, "hall")


async def test_a_command_is_registered_and_answered(server: Server, mei: Person, hall: Channel) -> None:
    async with connected(server) as bot:
        assert [guild.name for guild in bot.guilds] == ["Music school"]
        asked = mei.command(hall, "echo", words="**hello** @everyone")
        await server.until(lambda: asked.answered == "message")
        assert mei.reads(hall) == "hello @everyone"
        assert asked.original is not None and asked.original.pings == frozenset()


async def test_a_file_is_downloaded(server: Server, mei: Person, hall: Channel) -> None:
    song = server.world.file("song.ogg", b"x" * 1000, content_type="audio/ogg")
    async with connected(server):
        asked = mei.command(hall, "echo", words="got", file=song)
        await server.until(lambda: asked.answered == "message")
        assert mei.reads(hall) == "got and 1000 bytes"


async def test_a_deferred_answer_thinks_until_it_is_edited(server: Server, mei: Person, hall: Channel) -> None:
    async with connected(server):
        with server.holding("webhook"):
            asked = mei.command(hall, "slow")
            await server.until(lambda: asked.thinking)
        await server.until(lambda: not asked.thinking)
        assert asked.original is not None and buttons(asked.original) == ["Again"]


async def test_who_answers_after_three_seconds_is_not_heard(server: Server, mei: Person, hall: Channel) -> None:
    server.expect(10062)
    async with connected(server):
        with server.holding("callback"):
            asked = mei.command(hall, "echo", words="late")
            server.world.clock.advance(3.1)
        await server.until(lambda: server.refused(10062) == 1)
        assert not asked.answered and mei.reads(hall) == ""


async def test_a_token_lives_for_fifteen_minutes(server: Server, mei: Person, hall: Channel) -> None:
    server.expect(50027)
    async with connected(server):
        with server.holding("webhook"):
            asked = mei.command(hall, "slow")
            await server.until(lambda: asked.answered == "deferred")
            server.world.clock.advance(900.1)
        await server.until(lambda: server.refused(50027) == 1)
        assert asked.thinking


async def test_a_modal_and_a_menu(server: Server, mei: Person, hall: Channel) -> None:
    async with connected(server):
        asked = mei.command(hall, "ask")
        await server.until(lambda: asked.answered == "modal")
        with pytest.raises(NotOffered, match="characters"):
            mei.submit(asked, answer="x" * 11)
        filled = mei.submit(asked, answer="blue")
        await server.until(lambda: filled.answered == "message")
        said = mei.say(hall, "a secret")
        read = mei.menu("Read this", said)
        await server.until(lambda: read.answered == "message")
        assert mei.reads(hall) == "blue\n\nit says a secret"
        other = Person(server, server.world.user("Wei"))
        assert other.reads(hall) == ""  # both answers are ephemeral


async def test_the_client_offers_only_what_was_registered(server: Server, mei: Person, hall: Channel) -> None:
    async with connected(server):
        for path, options in (("nothing", {}), ("echo", {}), ("echo", {"words": 3}), ("echo", {"words": "x", "y": 1})):
            with pytest.raises(NotOffered):
                mei.command(hall, path, **options)


async def test_a_nonce_is_shown_once(server: Server, mei: Person, hall: Channel) -> None:
    async with connected(server) as bot:
        channel = await bot.messageable(hall)
        first = await channel.send("once", nonce="n1")
        assert (await channel.send("once", nonce="n1")).id == first.id
        server.world.clock.advance(301.0)
        assert (await channel.send("once", nonce="n1")).id != first.id
        assert mei.reads(hall) == "once\n\nonce"


async def test_limits_of_messages(server: Server, mei: Person, guild: Guild, hall: Channel) -> None:
    server.expect(50035, 40005, 50006)
    async with connected(server) as bot:
        channel = await bot.messageable(hall)
        await channel.send("x" * 2000)
        for refused in (
            {"content": "x" * 2001},
            {"embed": discord.Embed(description="x" * 4097)},
            {"embeds": [discord.Embed(description="x" * 4000), discord.Embed(description="x" * 2001)]},
            {"embed": discord.Embed().set_image(url="attachment://nothing.png")},
            {"file": discord.File(io.BytesIO(b"x" * (10 * MIB + 1)), "big.bin")},
            {"content": ""},
        ):
            with pytest.raises(discord.HTTPException):
                await channel.send(**refused)
        guild.attachment_limit = 11 * MIB
        sent = await channel.send(file=discord.File(io.BytesIO(b"x" * (10 * MIB + 1)), "big.bin"))
        assert server.refused(50035) == 4
        edited = await sent.edit(content="smaller", attachments=[])
        assert edited.attachments == []
        await sent.delete()
        assert "smaller" not in mei.reads(hall)


async def test_reactions_reach_the_bot_and_can_be_listed(server: Server, mei: Person, hall: Channel) -> None:
    server.expect(30010)
    async with connected(server) as bot:
        channel = await bot.messageable(hall)
        sent = await channel.send("rate me")
        message = hall.messages[sent.id]
        await sent.add_reaction("3️⃣")
        mei.react(message, "3️⃣")
        mei.react(message, "3️⃣", burst=True)
        await bot.until(3, bot.reactions)
        assert [(event.user_id == mei.user.id, event.burst) for event in bot.reactions] == [
            (False, False),
            (True, False),
            (True, True),
        ]
        crowd = [server.world.user(f"P{i}") for i in range(150)]
        for person in crowd:
            server.world.react(message, person, "5️⃣")
        fetched = await sent.fetch()
        five = next(reaction for reaction in fetched.reactions if str(reaction) == "5️⃣")
        assert {user.id async for user in five.users()} == {user.id for user in crowd}
        three = next(reaction for reaction in fetched.reactions if str(reaction) == "3️⃣")
        found = [user.id async for user in three.users(type=discord.ReactionType.burst)]
        assert found == [mei.user.id]
        for i in range(18):
            mei.react(message, chr(0x1F600 + i))
        with pytest.raises(discord.HTTPException, match="30010"):
            await sent.add_reaction("0️⃣")


async def test_permissions(server: Server, mei: Person, guild: Guild, hall: Channel) -> None:
    server.expect(50013, 50001, 50007, 10003)
    async with connected(server) as bot:
        channel = await bot.messageable(hall)
        hall.bot_permissions = discord.Permissions(view_channel=True, send_messages=True)
        await channel.send("words only")
        with pytest.raises(discord.Forbidden, match="50013"):
            await channel.send(file=discord.File(io.BytesIO(b"x"), "x.bin"))
        server.world.kick_bot(guild)
        with pytest.raises(discord.Forbidden, match="50001"):
            await channel.send("still there?")
        mei.user.blocks_bot = True
        with pytest.raises(discord.Forbidden, match="50007"):
            await bot.get_partial_messageable(server.world.dm(mei.user).id).send("psst")
        server.world.delete_channel(hall)
        with pytest.raises(discord.NotFound, match="10003"):
            await channel.send("anybody?")


async def test_what_was_missed_comes_with_a_resume(server: Server, mei: Person, hall: Channel) -> None:
    async with connected(server) as bot:
        message = hall.messages[(await (await bot.messageable(hall)).send("rate me")).id]
        await server.gateway.close(4000)
        mei.react(message, "4️⃣")
        await bot.until(1, bot.reactions)
        assert (server.gateway.identified, server.gateway.resumed, bot.ready_count) == (1, 1, 1)


async def test_privileged_intents_and_wrong_tokens_are_refused(server: Server) -> None:
    async with Bot(discord.Intents.all()) as bot:
        await bot.login(TOKEN)
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await bot.connect()
    async with Bot() as bot:
        with pytest.raises(discord.LoginFailure):
            await bot.login("wrong")
    server.forgive()


async def test_the_client_waits_when_it_is_told_to(server: Server, mei: Person, hall: Channel) -> None:
    from tests.fakes.discord.limits import Storm

    server.limits.storms.append(Storm(2, 0.01))
    async with connected(server) as bot:
        server.limits.storms.append(Storm(2, 0.01, everywhere=True))
        await (await bot.messageable(hall)).send("through the storm")
        assert server.limits.refused == 4 and mei.reads(hall) == "through the storm"


async def test_who_breaks_a_rule_fails() -> None:
    with pytest.raises(AssertionError, match="unknown route GET /api/v10/voice/regions"):
        async with fake_discord() as server, connected(server) as bot:
            with pytest.raises(discord.NotFound):
                await bot.http.request(discord.http.Route("GET", "/voice/regions"))
    with pytest.raises(AssertionError, match="unknown field sticker_ids"):
        async with fake_discord() as server:
            hall = server.world.channel(server.world.guild("g"), "hall")
            async with connected(server) as bot:
                with pytest.raises(discord.HTTPException):
                    await (await bot.messageable(hall)).send("x", stickers=[discord.Object(5)])  # type: ignore[list-item]


async def test_text_is_what_is_read(server: Server, mei: Person, hall: Channel) -> None:
    async with connected(server) as bot:
        embed = discord.Embed(title="T *i*", description="# H\nbody").set_footer(text="foot *raw*")
        sent = await (await bot.messageable(hall)).send("c", embed=embed)
        assert text(hall.messages[sent.id]) == "c\nT i\nH\nbody\nfoot *raw*"
