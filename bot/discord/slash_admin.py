"""`/admin`: settings and housekeeping of a server. Discord hides it from others; who may is decided in `bot.admin`."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot import admin
from bot.discord.words import options, word
from bot.places import PlaceSettings

if TYPE_CHECKING:
    from bot.discord.client import TuneTaleClient

    Interaction = discord.Interaction[TuneTaleClient]
else:
    Interaction = discord.Interaction

SETTINGS = [app_commands.Choice(name=item.name, value=item.name) for item in fields(PlaceSettings)]
_MENTION = re.compile(r"<(?:#|@[!&]?)(\d+)>")

group = app_commands.Group(
    name=word("discord.name_admin"),
    description=word("command.admin"),
    default_permissions=discord.Permissions(manage_guild=True),
    allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
    allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
)


def ids(text: str) -> str:
    """Turn mentions of channels, roles and people, as Discord writes them, into their ids."""
    return _MENTION.sub(r"\1", text)


@group.command(name=word("discord.name_admin_show"), description=word("discord.about_admin_show"))
async def show(interaction: Interaction) -> None:
    """Settings and newest actions."""
    await interaction.client.use(interaction, admin.show, private=True)


@group.command(name=word("discord.name_admin_set"), description=word("discord.about_admin_set"))
@options("setting", "value")
@app_commands.choices(setting=SETTINGS)
async def set_(interaction: Interaction, setting: str, value: str = "") -> None:
    """Change a setting."""
    await interaction.client.use(interaction, admin.change, setting, ids(value), private=True)


@group.command(name=word("discord.name_admin_pause"), description=word("discord.about_admin_pause"))
@options("everywhere")
async def pause(interaction: Interaction, everywhere: bool = False) -> None:
    """Pause."""
    await interaction.client.use(interaction, admin.pause, everywhere=everywhere, private=True)


@group.command(name=word("discord.name_admin_drain"), description=word("discord.about_admin_drain"))
@options("everywhere")
async def drain(interaction: Interaction, everywhere: bool = False) -> None:
    """Drain."""
    await interaction.client.use(interaction, admin.drain, everywhere=everywhere, private=True)


@group.command(name=word("discord.name_admin_resume"), description=word("discord.about_admin_resume"))
@options("everywhere")
async def resume(interaction: Interaction, everywhere: bool = False) -> None:
    """Resume."""
    await interaction.client.use(interaction, admin.resume, everywhere=everywhere, private=True)


@group.command(name=word("discord.name_admin_cancel"), description=word("discord.about_admin_cancel"))
@options("job")
async def cancel(interaction: Interaction, job: app_commands.Range[int, 1]) -> None:
    """Cancel a request."""
    await interaction.client.use(interaction, admin.cancel, job, private=True)


@group.command(name=word("discord.name_admin_block"), description=word("discord.about_admin_block"))
@options("person", "everywhere")
async def block(interaction: Interaction, person: discord.User, everywhere: bool = False) -> None:
    """Block a person."""
    await interaction.client.use(interaction, admin.block, str(person.id), everywhere=everywhere, private=True)


@group.command(name=word("discord.name_admin_unblock"), description=word("discord.about_admin_unblock"))
@options("person", "everywhere")
async def unblock(interaction: Interaction, person: discord.User, everywhere: bool = False) -> None:
    """Unblock a person."""
    await interaction.client.use(interaction, admin.unblock, str(person.id), everywhere=everywhere, private=True)


@group.command(name=word("discord.name_admin_delete"), description=word("discord.about_admin_delete"))
@options("pair")
async def delete(interaction: Interaction, pair: app_commands.Range[int, 1]) -> None:
    """Delete a pair."""
    await interaction.client.use(interaction, admin.delete, pair, private=True)


@group.command(name=word("discord.name_admin_health"), description=word("discord.about_admin_health"))
async def health(interaction: Interaction) -> None:
    """Health."""
    await interaction.client.use(interaction, admin.health, private=True)
