"""Discord: turns interactions into use cases and replies into messages. The only place that imports discord."""

from bot.discord.service import serve

__all__ = ["serve"]
