"""What stands in a button: `verb:argument:…`, at most 64 bytes, the same on every platform and after every restart.

Tokens come back from outside and may be forged: `read` checks their form, the use cases check everything else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.contract import Button

MOST_BYTES = 64
"""Telegram's callback_data; Discord's custom_id allows 100 characters."""
RATINGS = (0, 1, 2, 3, 4, 5)
"""0 (not similar) to 5 (very similar), the scale of the paper."""

_FORM = re.compile(r"[a-z_]{1,16}(?::[A-Za-z0-9_\-]{1,24}){0,3}")
PATTERN = _FORM.pattern
"""As a regular expression, for libraries that route by one."""


@dataclass(frozen=True)
class Token:
    """A verb and its arguments."""

    verb: str
    arguments: tuple[str, ...] = ()

    def number(self, index: int = 0) -> int | None:
        """Return an argument as a whole number (an id, a rating); None when it is not there or not one."""
        if index < len(self.arguments) and re.fullmatch(r"[0-9]{1,18}", self.arguments[index]):
            return int(self.arguments[index])
        return None


def write(verb: str, *arguments: object) -> str:
    """Return a token's text. Raises ValueError for one that could not be read back."""
    text = ":".join((verb, *(str(argument) for argument in arguments)))
    if read(text) != Token(verb, tuple(str(argument) for argument in arguments)):
        raise ValueError(f"not a token: {text!r}")
    return text


def read(text: str) -> Token | None:
    """Read a token; None for anything else."""
    if len(text.encode("utf-8", "replace")) > MOST_BYTES or not _FORM.fullmatch(text):
        return None
    verb, *arguments = text.split(":")
    return Token(verb, tuple(arguments))


def rating_row(pair: int) -> tuple[Button, ...]:
    """Return the six buttons 0–5 for a pair: one row on Telegram; Discord has five to a row and uses reactions."""
    return tuple(Button(str(value), write("rate", pair, value)) for value in RATINGS)
