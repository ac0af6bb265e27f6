"""Answers interactions: within three seconds whatever happens, and still when the answer comes too late for that.

work ──▶ done within FIRST_ANSWER_S ──▶ the reply is the first answer
    └──▶ takes longer ──▶ "thinking…", then the reply in its place
    └──▶ Discord has given the interaction up ──▶ a message in the channel, for the request was accepted
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

import discord

from bot.contract import Posted, Reply
from bot.discord.sheets import Sheet, opened, sheets_of
from bot.discord.trouble import ALREADY_ACKNOWLEDGED, TROUBLE

log = logging.getLogger(__name__)

FIRST_ANSWER_S = 0.2
"""After so long without a reply the person is shown that we think. Discord waits for three seconds; the rest is for
a busy loop and a slow line."""

Interaction = discord.Interaction[Any]


class Lost(Exception):
    """Discord takes no answer to this interaction any more."""


async def answer(
    interaction: Interaction, work: Awaitable[Reply], *, private: bool = False, slow: bool = False
) -> tuple[Reply, Posted | None]:
    """Answer with what `work` returns; `private` says what it probably is, `slow` that it surely takes its time.

    Returns the reply and its last message; None when Discord would not take it, or had taken it before (an event that
    came twice). The work is always finished.
    """
    task = asyncio.ensure_future(work)
    try:
        if not slow:
            await asyncio.wait({task}, timeout=FIRST_ANSWER_S)
        deferred = False
        if not task.done():
            deferred = await _think(interaction, private)
        reply = await task
    finally:
        task.cancel()  # when we are; for a finished one it does nothing
    try:
        return reply, await _send(interaction, reply, thinks_privately=private if deferred else None)
    except Lost:
        return reply, None


async def _think(interaction: Interaction, private: bool) -> bool:
    """Show that we think; False when Discord does not take that."""
    try:
        # A pressed button needs no such message: the spinner in it is enough.
        await interaction.response.defer(ephemeral=private, thinking=interaction.message is None)
    except discord.HTTPException as error:
        log.info("interaction %d could not be deferred: %s", interaction.id, error)
        return False
    except TROUBLE as error:
        log.warning("interaction %d could not be deferred: %r", interaction.id, error)
        return False
    return True


async def _send(interaction: Interaction, reply: Reply, *, thinks_privately: bool | None) -> Posted:
    """Send the reply's messages; `thinks_privately` None: nothing was answered yet. Raises `Lost`."""
    first, *rest = sheets_of(reply)
    try:
        if thinks_privately is None:
            message = await _first(interaction, first, reply)
        elif interaction.message is not None and not reply.replaces:
            message = await _further(interaction, first, private=reply.private)
        else:
            message = await _instead(interaction, first, reply, thinks_privately)
        for sheet in rest:
            message = await _further(interaction, sheet, private=reply.private)
    except discord.HTTPException as error:
        if error.code == ALREADY_ACKNOWLEDGED:
            log.info("interaction %d came twice", interaction.id)
        else:
            log.warning("interaction %d could not be answered: %s", interaction.id, error)
        raise Lost from error
    except TROUBLE as error:
        log.warning("interaction %d could not be answered: %r", interaction.id, error)
        raise Lost from error
    return Posted(str(interaction.channel_id), str(message))


async def _first(interaction: Interaction, sheet: Sheet, reply: Reply) -> int | None:
    response = interaction.response
    with opened(sheet) as fields:
        if reply.replaces and interaction.message is not None:
            await response.edit_message(content=fields["content"], attachments=fields["files"], view=fields["view"])
            return interaction.message.id
        sent = await response.send_message(**fields, ephemeral=reply.private, suppress_embeds=True)
        return sent.message_id


async def _instead(interaction: Interaction, sheet: Sheet, reply: Reply, thinks_privately: bool) -> int:
    """Put the reply where we think, or in place of the message whose button was pressed."""
    if not reply.replaces and reply.private != thinks_privately:
        # What is private cannot become public later, nor the other way round: begin anew.
        await interaction.delete_original_response()
        return await _further(interaction, sheet, private=reply.private)
    with opened(sheet) as fields:
        edited = await interaction.edit_original_response(
            content=fields["content"], attachments=fields["files"], view=fields["view"]
        )
    return edited.id


async def _further(interaction: Interaction, sheet: Sheet, *, private: bool) -> int:
    with opened(sheet) as fields:
        sent = await interaction.followup.send(**fields, ephemeral=private, suppress_embeds=True, wait=True)
    return sent.id
