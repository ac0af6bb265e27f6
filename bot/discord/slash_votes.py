"""The commands about ratings: the blind test, statistics, publishing, consent, and campaigns for admins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot import ballot, campaigns, statistics
from bot.discord.slash_admin import group
from bot.discord.words import options, word

if TYPE_CHECKING:
    from bot.discord.client import TuneTaleClient

    Interaction = discord.Interaction[TuneTaleClient]
else:
    Interaction = discord.Interaction

ACTIONS = [app_commands.Choice(name=action, value=action) for action in campaigns.ACTIONS]


@app_commands.command(name=word("discord.name_vote"), description=word("command.vote"))
async def vote(interaction: Interaction) -> None:
    """The blind test."""
    await interaction.client.use(interaction, ballot.vote, private=True)


@app_commands.command(name=word("discord.name_stats"), description=word("command.stats"))
async def stats(interaction: Interaction) -> None:
    """What the votes say."""
    await interaction.client.use(interaction, statistics.stats, slow=True)


@app_commands.command(name=word("discord.name_publish"), description=word("command.publish"))
@options("pair", "published")
async def publish(
    interaction: Interaction, pair: app_commands.Range[int, 1] | None = None, published: bool = True
) -> None:
    """Let a pair be heard elsewhere."""
    await interaction.client.use(interaction, ballot.publish, pair, on=published, private=True)


@app_commands.command(name=word("discord.name_consent"), description=word("command.consent"))
async def consent(interaction: Interaction) -> None:
    """May TuneTale learn from me?"""
    await interaction.client.use(interaction, ballot.agree, private=True)


@group.command(name=word("discord.name_admin_export"), description=word("discord.about_admin_export"))
async def export(interaction: Interaction) -> None:
    """All answers as a table."""
    await interaction.client.use(interaction, statistics.export, private=True, slow=True)


@group.command(name=word("discord.name_admin_campaign"), description=word("discord.about_admin_campaign"))
@options("action", "campaign", "raters", "each", "pairs")
@app_commands.choices(action=ACTIONS)
async def campaign(
    interaction: Interaction,
    action: str,
    campaign: str,
    raters: app_commands.Range[int, 1] | None = None,
    each: app_commands.Range[int, 1] | None = None,
    pairs: str | None = None,
) -> None:
    """A listening test."""
    await interaction.client.use(
        interaction, campaigns.campaign, action, campaign, raters=raters, each=each, pairs=pairs, private=True
    )


COMMANDS: tuple[app_commands.Command[Any, ..., Any], ...] = (vote, stats, publish, consent)
"""Beside those of `bot.discord.slash`; the admin's have joined the group."""
