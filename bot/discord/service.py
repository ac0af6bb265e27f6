"""From a token to a running bot, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import discord
from pydantic import SecretStr

from bot.deliver import attend
from bot.desk import Desk
from bot.discord.client import TuneTaleClient
from bot.discord.trouble import NETWORK
from engine.errors import Transient, UserError

log = logging.getLogger(__name__)

TOKEN_REFUSED = 4004
"""The gateway's close code for a wrong token (docs.discord.com, topics/opcodes-and-status-codes)."""


async def serve(token: SecretStr, desk: Desk, stop: asyncio.Event, *, client: TuneTaleClient | None = None) -> None:
    """Serve Discord until `stop` is set and everything is closed.

    Raises `UserError` (code `bad_token`) when Discord refuses the token, `Transient` when it cannot be reached.
    """
    client = client or TuneTaleClient(desk)
    async with client:
        await _login(client, token)
        connection = asyncio.create_task(client.connect(reconnect=True), name="discord-gateway")
        stopping = asyncio.create_task(stop.wait(), name="discord-stop")
        delivery = asyncio.create_task(_attend(client, desk), name="discord-delivery")
        try:
            await asyncio.wait({connection, stopping, delivery}, return_when=asyncio.FIRST_COMPLETED)
            for task in (delivery, connection):
                if task.done():
                    _end(task)
        finally:
            await _cancel(stopping, delivery)
            await client.close()
            await _cancel(connection)


async def _login(client: TuneTaleClient, token: SecretStr) -> None:
    try:
        await client.login(token.get_secret_value())
    except discord.LoginFailure:
        raise _refused() from None
    except discord.app_commands.CommandSyncFailure:
        raise  # our commands are wrong: a fault of ours, not of the network
    except (discord.HTTPException, discord.RateLimited, *NETWORK) as error:
        raise Transient(f"Discord could not be reached ({type(error).__name__}).", code="platform") from error


async def _attend(client: TuneTaleClient, desk: Desk) -> None:
    """Hand over answers once everything that comes with a connection is there."""
    await client.wait_until_ready()
    await attend(desk, client.messenger)


def _end(task: asyncio.Task[None]) -> None:
    """Raise what ended a task, in our words; a connection never ends by itself otherwise."""
    try:
        task.result()
    except discord.ConnectionClosed as error:
        if error.code == TOKEN_REFUSED:
            raise _refused() from None
        raise Transient(f"Discord closed the connection ({error.code}).", code="platform") from error
    except (discord.HTTPException, discord.RateLimited, discord.GatewayNotFound, *NETWORK) as error:
        raise Transient(f"Discord could not be reached ({type(error).__name__}).", code="platform") from error
    raise Transient("The connection to Discord ended.", code="platform")


def _refused() -> UserError:
    return UserError(
        "Discord refused the token; please make a new one in the developer portal (Bot, Reset Token) and set it"
        " as described in docs/setup-discord.md.",
        code="bad_token",
    )


async def _cancel(*tasks: asyncio.Task[None] | asyncio.Task[bool]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
