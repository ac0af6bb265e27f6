"""Buttons that outlive every restart: a button is its token, and the token says all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import discord

from bot import tokens

if TYPE_CHECKING:
    from bot.discord.client import TuneTaleClient


class TokenButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=tokens.PATTERN):
    """Any button of ours; what it does is decided by `bot.press`."""

    def __init__(self, token: str, label: str | None = None, *, danger: bool = False, row: int | None = None) -> None:
        style = discord.ButtonStyle.danger if danger else discord.ButtonStyle.secondary
        super().__init__(discord.ui.Button(custom_id=token, label=label or token, style=style, row=row))

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> TokenButton:
        """Find the button again from its token."""
        return cls(match[0])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Press it."""
        client: TuneTaleClient = interaction.client
        await client.pressed(interaction, self.custom_id)
