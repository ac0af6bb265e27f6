"""The only escaping: text parts to Discord markdown and Telegram HTML, split to the platforms' limits.

Whatever a text contains, people see exactly that text: no markup, no mention, no link of it takes effect.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.contract import Text

DISCORD_MESSAGE = 2000
"""Characters of one message (docs.discord.com, resources/message)."""
TELEGRAM_MESSAGE = 4096
"""UTF-16 units of one message after entities are parsed (core.telegram.org/bots/api#sendmessage)."""
TELEGRAM_CAPTION = 1024
"""UTF-16 units of a caption after entities are parsed (core.telegram.org/bots/api#sendaudio)."""


def discord_pages(texts: Sequence[Text], limit: int = DISCORD_MESSAGE) -> tuple[str, ...]:
    """Return the contents of as many Discord messages as are needed, each of at most `limit` characters as sent."""
    raise NotImplementedError


def telegram_pages(texts: Sequence[Text], limit: int = TELEGRAM_MESSAGE, first: int | None = None) -> tuple[str, ...]:
    """Return as many Telegram messages (`parse_mode="HTML"`) as are needed, each of at most `limit` UTF-16 units as
    seen; `first` is the limit of the first one, where that is a caption."""
    raise NotImplementedError


def clip(text: str, limit: int) -> str:
    """Shorten a text to `limit` UTF-16 units without cutting a character, ending in …: labels, titles, alt texts."""
    raise NotImplementedError


def clean(text: str) -> str:
    """Take out what cannot be seen and changes how other text is read: control, zero-width and bidi characters."""
    raise NotImplementedError
