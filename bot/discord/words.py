"""Names and descriptions of commands in both languages, from the catalogues. Discord shows people those of theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from discord import Locale, app_commands
from discord.app_commands import TranslationContextTypes, locale_str

from bot.replies import say
from engine.jobs import Language

T = TypeVar("T", bound=Callable[..., Any])

_LANGUAGES: dict[Locale, Language] = {Locale.taiwan_chinese: "zh-TW"}
"""Locales with words of their own; all others see English."""


def word(key: str) -> locale_str:
    """Return a sentence of the catalogue (`section.key`), for Discord to show in the language of each person."""
    return locale_str(say("en", key), key=key)


def options(*names: str) -> Callable[[T], T]:
    """Give the parameters of a command their names and descriptions."""

    def decorate(body: T) -> T:
        app_commands.rename(**{name: word(f"discord.option_{name}") for name in names})(body)
        app_commands.describe(**{name: word(f"discord.about_{name}") for name in names})(body)
        return body

    return decorate


class Words(app_commands.Translator):
    """Translates what `word` made."""

    async def translate(self, string: locale_str, locale: Locale, context: TranslationContextTypes) -> str | None:
        """Return the translation; None where Discord shall show the English text."""
        language, key = _LANGUAGES.get(locale), string.extras.get("key")
        return None if language is None or key is None else say(language, key)
