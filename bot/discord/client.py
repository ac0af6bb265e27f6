"""The connected client: takes commands, buttons, forms and reactions to use cases, and does what follows a reply."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import discord
from discord import app_commands

from bot import commands
from bot.contract import Letter, Posted, Reply, Text
from bot.desk import Desk
from bot.discord import slash, slash_admin, slash_votes
from bot.discord.answers import answer
from bot.discord.buttons import TokenButton
from bot.discord.files import Downloads
from bot.discord.messenger import Messenger
from bot.discord.modals import filled
from bot.discord.pace import Pace
from bot.discord.reactions import Reactions
from bot.discord.who import Interaction, actor_of, place_of
from bot.discord.words import Words
from bot.press import press
from bot.replies import say
from engine.errors import TuneTaleError, UserError, incident_id
from engine.jobs import Language

log = logging.getLogger(__name__)

# There is no voice here, so nobody need be warned at each start that it would not work.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False

INTENTS = discord.Intents(guilds=True, guild_reactions=True, dm_reactions=True)
"""None of them is privileged: texts come only with commands, lists of people never."""
LONGEST_PAUSE_S = 30.0
"""Longer pauses that Discord asks for are told to the core instead of being slept through in the library."""
GUILD_READY_S = 2.0
"""The start is over when no further server is heard of for so long (the library's own default)."""
CLOSE_S = 3.0
"""What is being answered gets so long when the program ends; after that Discord would not take it anyway."""


class TuneTaleClient(discord.Client):
    """One connection to Discord. `close` also ends what it has begun."""

    def __init__(self, desk: Desk, *, pace: Pace | None = None, guild_ready_s: float = GUILD_READY_S) -> None:
        super().__init__(
            intents=INTENTS,
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            guild_ready_timeout=guild_ready_s,
            max_ratelimit_timeout=LONGEST_PAUSE_S,
            http_trace=(pace or Pace()).trace(),
        )
        self.desk = desk
        self.downloads = Downloads()
        self.reactions = Reactions(self, desk.ballots)
        self.messenger = Messenger(self, self.reactions, desk.clock)
        self._listening_since = 0.0
        self._closing = False
        self._busy = 0
        self._idle = asyncio.Event()
        self._tree = app_commands.CommandTree(
            self,
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
        )
        for command in (*slash.COMMANDS, *slash_votes.COMMANDS):
            self._tree.add_command(command)
        for menu in slash.MENUS:
            self._tree.add_command(menu)
        self._tree.add_command(slash_admin.group)
        self._tree.error(self._failed)
        self.add_dynamic_items(TokenButton)

    # --- what people do ---------------------------------------------------------------------------------------------

    async def use(
        self,
        interaction: Interaction,
        case: Callable[..., Awaitable[Reply]],
        *args: Any,
        private: bool = False,
        slow: bool = False,
        **kwargs: Any,
    ) -> None:
        """Answer an interaction with a use case; `private` and `slow` as in `answers.answer`."""
        if interaction.channel_id is None or self._closing:
            return  # Discord names the channel of every interaction; who is leaving promises nothing
        async with self._counted():
            await self._use(interaction, case, args, kwargs, private=private, slow=slow)

    async def _use(
        self,
        interaction: Interaction,
        case: Callable[..., Awaitable[Reply]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        private: bool,
        slow: bool,
    ) -> None:
        self.messenger.heard_limit(str(interaction.channel_id), interaction.filesize_limit)
        work = case(self.desk, actor_of(interaction), place_of(interaction), *args, **kwargs)
        reply, posted = await answer(interaction, work, private=private, slow=slow)
        await self._follow(interaction, reply, posted)

    async def pressed(self, interaction: Interaction, token: str) -> None:
        """Answer a pressed button."""
        await self.use(interaction, press, token, dedupe=str(interaction.id), private=True)

    async def tell(self, interaction: Interaction, key: str) -> None:
        """Answer with a sentence of the catalogue, for the person alone."""
        language = await self.language_of(interaction)

        async def sentence() -> Reply:
            return Reply((Text(say(language, key)),), private=True, language=language)

        await answer(interaction, sentence(), private=True)

    async def language_of(self, interaction: Interaction) -> Language:
        """Return the language in which to speak to the person."""
        return await self.desk.language(actor_of(interaction), place_of(interaction))

    async def _follow(self, interaction: Interaction, reply: Reply, posted: Posted | None) -> None:
        """Do what comes after a reply is out: remember its job, seed its ratings, delete what it says."""
        if posted is None and reply.job is not None and not reply.private:
            posted = await self._post_instead(interaction, reply)
        if posted is not None:
            try:
                await self.desk.posted(reply.job, posted, reply.language)
            except TuneTaleError as error:
                log.warning("message %s will not follow its job: %s", posted, error.message)
            if reply.pair is not None and not reply.private:
                self.reactions.seed(posted)
        for message in reply.erase:
            await self.messenger.erase(message)

    async def _post_instead(self, interaction: Interaction, reply: Reply) -> Posted | None:
        """Say in the channel what Discord would not take as an answer: the request was accepted all the same."""

        async def note(index: int, message: str) -> None:
            return None

        # The interaction's id makes the nonce: an event that comes twice is answered once.
        letter = Letter(chat=str(interaction.channel_id), reply=reply, nonce=str(interaction.id))
        try:
            return await self.messenger.post(letter, note)
        except TuneTaleError as error:
            log.info("job %s is not followed by a message: %s", reply.job, error.message)
            return None

    # --- what Discord tells -----------------------------------------------------------------------------------------

    async def setup_hook(self) -> None:
        """Publish the commands: at once on the servers that are named, otherwise everywhere."""
        await self._tree.set_translator(Words())
        servers = self.desk.config.discord.servers
        for server in servers:
            guild = discord.Object(_server_id(server))
            self._tree.copy_global_to(guild=guild)
            try:
                await self._tree.sync(guild=guild)
            except discord.Forbidden:
                log.warning("commands are not published on server %s: the bot is not there", server)
        if not servers:
            await self._tree.sync()

    async def on_connect(self) -> None:
        """A new session begins: what was missed before it must be read."""
        self._listening_since = self.desk.ballots.now()

    async def on_ready(self) -> None:
        """All servers are known."""
        log.info("Discord: connected to %d servers", len(self.guilds))
        self.reactions.catch_up(self._listening_since)

    async def on_interaction(self, interaction: Interaction) -> None:
        """Read forms here: the library knows only those that it opened itself since the start."""
        if interaction.type is not discord.InteractionType.modal_submit:
            return
        form = filled(interaction.data)
        if form is None:
            await self.tell(interaction, "discord.form_unknown")
            return
        await self.use(
            interaction,
            commands.compose,
            form.text,
            seconds=form.seconds,
            seed=form.seed,
            format=form.format,
            dedupe=str(interaction.id),
        )

    async def on_raw_reaction_add(self, event: discord.RawReactionActionEvent) -> None:
        """Hear a rating."""
        await self.reactions.heard(event)

    async def on_raw_reaction_remove(self, event: discord.RawReactionActionEvent) -> None:
        """Hear that a rating was taken back."""
        await self.reactions.heard(event)

    async def on_raw_reaction_clear(self, event: discord.RawReactionClearEvent) -> None:
        """Read again a message whose reactions a moderator has removed."""
        await self.reactions.cleared(event.channel_id, event.message_id)

    async def on_raw_reaction_clear_emoji(self, event: discord.RawReactionClearEmojiEvent) -> None:
        """Read again a message from which one emoji was removed."""
        await self.reactions.cleared(event.channel_id, event.message_id)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        """Log what went wrong in a handler; if it was in an interaction, the person is told."""
        incident = incident_id()
        log.exception("incident %s in %s", incident, event_method)
        for subject in args:
            if isinstance(subject, discord.Interaction):
                await self._apologise(subject, incident)

    async def _failed(self, interaction: Interaction, error: app_commands.AppCommandError) -> None:
        """Say what is known about a command that failed in the adapter itself."""
        if isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
            # Discord still shows the commands of another version for a while.
            await self.tell(interaction, "discord.command_changed")
            return
        incident = incident_id()
        log.error("incident %s", incident, exc_info=error)
        await self._apologise(interaction, incident)

    async def _apologise(self, interaction: Interaction, incident: str) -> None:
        language = await self.language_of(interaction)

        async def sorry() -> Reply:
            return Reply((Text(say(language, "discord.failed", incident=incident)),), private=True, language=language)

        if not interaction.response.is_done():
            await answer(interaction, sorry(), private=True)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            if self._busy == 0:
                self._idle.set()

    async def close(self) -> None:
        """Take nothing new, give what is being answered a moment, disconnect."""
        self._closing = True
        if self._busy:
            self._idle.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), CLOSE_S)
        await self.reactions.close()
        await self.downloads.close()
        await super().close()


def _server_id(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise UserError(
            f"discord.servers names {text!r}; please give the number that Copy Server ID gives.", code="bad_config"
        )
    return int(text)
