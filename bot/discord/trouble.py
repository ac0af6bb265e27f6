"""What a refusal by Discord means for us: gone for good, later, or a fault. Pure; codes from discord's opcodes page."""

from __future__ import annotations

import asyncio

import aiohttp
import discord

from bot.contract import Gone, RetryLater
from engine.errors import Transient, TuneTaleError

UNKNOWN_INTERACTION = 10062
ALREADY_ACKNOWLEDGED = 40060
TOO_LARGE = 40005
TOO_MANY_REACTIONS = 30010
INVALID_TOKEN = 50027
NO_REPLY = 160002
"""Replying needs the right to read the history; sending does not."""
ARCHIVED = 50083
"""The thread is locked and archived: as gone as a deleted one."""
NETWORK = (aiohttp.ClientError, OSError, asyncio.TimeoutError)
"""What the library lets through when Discord cannot be reached."""
TROUBLE = (discord.HTTPException, discord.RateLimited, *NETWORK)
"""Everything that a request to Discord may raise."""

_UNAUTHORISED_PAUSE_S = 60.0
"""After a 401: ten thousand of them in ten minutes ban the address, and the gateway will soon say what is wrong."""
_BUSY_PAUSE_S = 5.0
"""After a 429 that outlived the library's own five attempts and names no time."""


def meaning(error: BaseException) -> TuneTaleError:
    """Return what a failed request means: `Gone`, `RetryLater` or `Transient`. Anything else is raised again."""
    match error:
        case discord.RateLimited():
            return RetryLater("Discord asks for a pause.", error.retry_after)
        case discord.HTTPException(status=429):
            return RetryLater("Discord asks for a pause.", _retry_after(error))
        case discord.HTTPException(status=401) if error.code != INVALID_TOKEN:
            return RetryLater("Discord does not accept the token.", _UNAUTHORISED_PAUSE_S)
        case discord.HTTPException(status=status) if status >= 500:
            return Transient(f"Discord answered {status}.", code="platform")
        case discord.HTTPException(status=401 | 403 | 404):
            return Gone(f"Discord refused ({error.status}, code {error.code}).")
        case discord.HTTPException(code=code) if code == ARCHIVED:
            return Gone("The thread is archived and locked.")
        case aiohttp.ClientError() | OSError() | asyncio.TimeoutError():
            return Transient(f"Discord could not be reached ({type(error).__name__}).", code="platform")
        case _:
            raise error


def _retry_after(error: discord.HTTPException) -> float:
    try:
        return float(error.response.headers.get("Retry-After", ""))
    except ValueError:
        return _BUSY_PAUSE_S
