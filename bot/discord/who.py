"""Who acts where, as Discord vouches for it in an interaction. Pure."""

from __future__ import annotations

from typing import Any

import discord

from bot.contract import Actor, Place

Interaction = discord.Interaction[Any]
COMMAND = discord.InteractionType.application_command
MESSAGE_MENU = discord.AppCommandType.message.value


def actor_of(interaction: Interaction) -> Actor:
    """Return the person. Whether they are an admin is in the interaction: computed by Discord for this very moment."""
    user = interaction.user
    roles = user.roles if isinstance(user, discord.Member) else ()
    return Actor(
        platform="discord",
        person=str(user.id),
        name=user.display_name,
        admin=interaction.guild_id is not None and interaction.permissions.manage_guild,
        locale=str(interaction.locale),
        roles=frozenset(str(role.id) for role in roles),
    )


def place_of(interaction: Interaction) -> Place:
    """Return where it happened; a place without us (the app is only the person's own) cannot be posted to later."""
    channel = interaction.channel
    thread = isinstance(channel, discord.Thread)
    if interaction.guild_id is not None:
        allowed = interaction.app_permissions
        can_send = allowed.send_messages_in_threads if thread else allowed.send_messages
        return Place(
            platform="discord",
            chat=str(interaction.channel_id),
            kind="thread" if thread else "group",
            server=str(interaction.guild_id),
            can_post=interaction.is_guild_integration() and allowed.view_channel and can_send and allowed.attach_files,
            message=_target(interaction),
        )
    with_us = interaction.context.dm_channel
    return Place(
        platform="discord",
        chat=str(interaction.channel_id),
        kind="private" if isinstance(channel, discord.DMChannel) else "group",
        can_post=with_us,
        message=_target(interaction),
    )


def _target(interaction: Interaction) -> str | None:
    """Return the message whose menu was used."""
    data: Any = interaction.data or {}
    return str(data["target_id"]) if interaction.type is COMMAND and data.get("type") == MESSAGE_MENU else None


def reactor_of(user_id: int) -> Actor:
    """Return the person of a raw reaction event; only the id is known, and more is not needed."""
    return Actor("discord", str(user_id))
