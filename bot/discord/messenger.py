"""What the core asks of Discord outside interactions: letters, progress, private chats. Same nonce, one message."""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from dataclasses import replace
from typing import Any

import discord

from bot.contract import Gone, Letter, Note, Posted, Reply, RetryLater
from bot.discord.reactions import Reactions
from bot.discord.sheets import Sheet, opened, sheets_of, size_of
from bot.discord.trouble import NO_REPLY, TOO_LARGE, TROUBLE, meaning
from engine.clock import Clock
from engine.errors import TuneTaleError
from engine.jobs import Platform

log = logging.getLogger(__name__)

TOO_LARGE_PAUSE_S = 1.0
"""Until a result is sent again that was too large, made to fit the limit that was learnt."""
SMALLEST_LIMIT = 1 << 20
"""No server's limit is lower; what does not fit then never will."""


class Messenger:
    """Sends letters and edits progress for one connected client."""

    def __init__(self, client: discord.Client, reactions: Reactions, clock: Clock) -> None:
        self._client = client
        self._reactions = reactions
        self._clock = clock
        self._limits: dict[str, int] = {}
        self._pauses: dict[str, float] = {}

    @property
    def platform(self) -> Platform:
        """The name under which its requests are submitted."""
        return "discord"

    async def post(self, letter: Letter, note: Note) -> Posted:
        """Send a letter as new messages and take its progress message away: an edit would ping nobody.

        Raises `Gone`, `RetryLater` or `Transient`.
        """
        self._check_pause(letter.chat)
        channel = self._channel(letter.chat)
        prefix = "" if letter.mention is None else f"<@{letter.mention}> "
        last = ""
        for i, sheet in enumerate(sheets_of(letter.reply, prefix)):
            if i in letter.sent:
                last = letter.sent[i]
                continue
            last = str(await self._send(channel, letter, i, sheet))
            await note(i, last)
        if letter.progress is not None:
            await self.erase(letter.progress)
        posted = Posted(letter.chat, last)
        if letter.reply.pair is not None:
            self._reactions.seed(posted)
        return posted

    async def edit(self, posted: Posted, reply: Reply) -> None:
        """Change a progress message. Raises `Gone`, `RetryLater` or `Transient`."""
        self._check_pause(posted.chat)
        sheet = sheets_of(reply)[0]
        try:
            with opened(sheet) as fields:
                await self._message(posted).edit(content=fields["content"], view=fields["view"])
        except TROUBLE as error:
            raise self._meaning(error, posted.chat) from error

    async def erase(self, posted: Posted) -> None:
        """Delete a message of ours; that it is gone or stays is no trouble."""
        with suppress(Gone):
            try:
                await self._message(posted).delete()
            except TROUBLE as error:
                log.info("message %s stays: %r", posted, error)

    async def private_chat(self, person: str) -> str:
        """Return the id of the private chat with a person. Raises `Gone` when Discord does not allow it."""
        try:
            chat = await self._client.create_dm(discord.Object(_number(person)))
        except discord.HTTPException as error:
            if error.status == 400:  # no such person, or another bot
                raise Gone("This person cannot be written to.") from error
            raise meaning(error) from error
        except TROUBLE as error:
            raise meaning(error) from error
        return str(chat.id)

    def most_bytes(self, chat: str) -> int:
        """Return the largest file for a chat: what Discord says, unless it has refused less."""
        return self._limits.get(chat, discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES)

    def heard_limit(self, chat: str, limit: int) -> None:
        """Remember the limit that an interaction from a chat named; a Nitro person's own is not ours."""
        channel = self._client.get_channel(int(chat))
        guild = getattr(channel, "guild", None)
        ours = discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES if guild is None else guild.filesize_limit
        self._limits[chat] = min(limit, ours)

    def lag_s(self) -> float | None:
        """Return how long the gateway takes to answer; None while there is no connection."""
        latency = self._client.latency
        return latency if math.isfinite(latency) else None

    # --- inside -----------------------------------------------------------------------------------------------------

    async def _send(self, channel: discord.PartialMessageable, letter: Letter, i: int, sheet: Sheet) -> int:
        reply: dict[str, Any] = {}
        if letter.reply_to is not None and i == 0:
            reply["reference"] = discord.MessageReference(
                message_id=_number(letter.reply_to), channel_id=channel.id, fail_if_not_exists=False
            )
        pinged = [] if letter.mention is None or i else [discord.Object(_number(letter.mention))]
        try:
            with opened(sheet) as fields:
                sent = await channel.send(
                    **fields,
                    nonce=f"{letter.nonce}-{i}",
                    **reply,
                    allowed_mentions=discord.AllowedMentions(
                        users=pinged, everyone=False, roles=False, replied_user=False
                    ),
                    suppress_embeds=True,
                )
        except discord.HTTPException as error:
            if error.code == NO_REPLY and reply:
                return await self._send(channel, replace(letter, reply_to=None), i, sheet)
            if error.code == TOO_LARGE:
                raise self._too_large(letter.chat, sheet) from error
            raise self._meaning(error, letter.chat) from error
        except TROUBLE as error:
            raise self._meaning(error, letter.chat) from error
        return sent.id

    def _too_large(self, chat: str, sheet: Sheet) -> Gone | RetryLater:
        """Learn from a refusal: next time the core makes it fit half of what was refused."""
        learnt = max((size_of(file) for file in sheet.files), default=0) // 2
        if learnt < SMALLEST_LIMIT:
            return Gone("Discord does not take the files.")
        self._limits[chat] = learnt
        return RetryLater("Discord does not take a file of this size.", TOO_LARGE_PAUSE_S)

    def _meaning(self, error: BaseException, chat: str) -> TuneTaleError:
        """Return what a refusal means, and remember how long nothing may be sent to the chat."""
        found = meaning(error)
        if isinstance(found, RetryLater):
            self._pauses[chat] = self._clock.now() + found.retry_in_s
        return found

    def _check_pause(self, chat: str) -> None:
        """Raise `RetryLater` while Discord wants a pause: whoever comes back too early is told to wait longer."""
        left = self._pauses.get(chat, 0.0) - self._clock.now()
        if left > 0:
            raise RetryLater("Discord asks for a pause.", left)
        self._pauses.pop(chat, None)

    def _channel(self, chat: str) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(_number(chat))

    def _message(self, posted: Posted) -> discord.PartialMessage:
        return self._channel(posted.chat).get_partial_message(_number(posted.message))


def _number(id: str) -> int:
    try:
        return int(id)
    except ValueError:
        raise Gone(f"{id!r} is not an id on Discord.") from None
