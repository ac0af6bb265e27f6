"""Runs the Telegram side of the program: connects, polls or listens, and ends cleanly. The only place with a token."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from telegram import BotCommand, Update
from telegram.constants import UpdateType
from telegram.error import Conflict, InvalidToken, NetworkError, RetryAfter, TelegramError
from telegram.ext import Application, ApplicationBuilder, TypeHandler

from bot.config import TelegramSettings
from bot.deliver import attend
from bot.desk import Desk
from bot.replies import commands
from bot.telegram.connection import Connection
from bot.telegram.handlers import Handlers, Turns
from bot.telegram.limiter import MOST_CALLS, FloodGate
from bot.telegram.messenger import TelegramMessenger
from bot.telegram.orders import COMMANDS
from bot.telegram.pulse import Listening, Pulse
from bot.telegram.sending import Sender
from engine.errors import Transient, UserError
from engine.jobs import Language

log = logging.getLogger(__name__)

ALLOWED_UPDATES = [
    UpdateType.MESSAGE,
    UpdateType.CHANNEL_POST,
    UpdateType.CALLBACK_QUERY,
    UpdateType.MESSAGE_REACTION,
]
"""Asked for by name: an empty list would leave the reactions out. Edited messages are not asked for: a command that is
changed afterwards is not given again."""
MENUS: dict[str | None, Language] = {None: "en", "zh": "zh-TW"}
"""Telegram's language codes have two letters; without one: everybody else."""
POLL_S = 25
"""Seconds for which Telegram holds a poll open."""
ANSWER_S, UPLOAD_S, CONNECT_S = 30.0, 600.0, 10.0
"""Seconds for an answer (Telegram works on uploads before it gives one), for 50 MB on a slow line, for a connection."""
MOST_DOWNLOADS = 8
"""Connections beside those of the calls, for people's files."""
WEBHOOK_HOST = "127.0.0.1"
"""Updates come through the owner's own TLS proxy on this machine."""

QUIET = {"httpx": logging.WARNING, "httpcore": logging.WARNING, "telegram": logging.INFO}
"""Below these levels the libraries log addresses, and in Telegram's addresses stands the token."""

App = Application[Any, Any, Any, Any, Any, Any]


async def serve(token: SecretStr, desk: Desk, stop: asyncio.Event, *, gate: FloodGate | None = None) -> None:
    """Serve Telegram until `stop` is set. Raises `UserError` for a refused token, `Transient` when it is not there.

    `gate` keeps the flood limits; without one, its own by the desk's clock.
    """
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
    settings = desk.config.telegram
    refused = asyncio.Event()
    pulse, gate = Pulse(desk.clock.now), gate or FloodGate(desk.clock.now)
    app = application(token, settings, pulse, refused.set, gate)
    sender = Sender(app.bot)
    handlers = Handlers(desk, sender, pulse, local=settings.local)
    app.add_handler(TypeHandler(Update, handlers.update))
    app.add_error_handler(_log_error)
    messenger = TelegramMessenger(sender, pulse, local=settings.local)
    async with _connected(app), _listening(app, settings, pulse, gate):
        log.info("Telegram: serving as @%s, %s", app.bot.username, "webhook" if settings.webhook_url else "polling")
        attending = asyncio.create_task(attend(desk, messenger))
        waits = [asyncio.create_task(stop.wait()), asyncio.create_task(refused.wait()), attending]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
    if refused.is_set():
        raise _bad_token()
    if not attending.cancelled() and (error := attending.exception()) is not None:
        raise error


def application(
    token: SecretStr, settings: TelegramSettings, pulse: Pulse, refused: Callable[[], None], gate: FloodGate
) -> App:
    """Return the library's application: no queue of jobs, no storage, its own limiter and order."""
    about: dict[str, Any] = {"base_url": settings.base_url, "connect_s": CONNECT_S, "upload_s": UPLOAD_S}
    polling = Listening(pulse, refused, read_s=ANSWER_S, **about)
    calls = Connection(MOST_CALLS + MOST_DOWNLOADS, read_s=ANSWER_S, **about)
    return (
        ApplicationBuilder()
        .token(token.get_secret_value())
        .base_url(settings.base_url)
        .base_file_url(settings.base_file_url)
        .local_mode(settings.local)
        .request(calls)
        .get_updates_request(polling)
        .rate_limiter(gate)
        .concurrent_updates(Turns())
        .job_queue(None)
        .build()
    )


@asynccontextmanager
async def _connected(app: App) -> AsyncIterator[None]:
    try:
        try:
            await app.initialize()
        except InvalidToken:  # its message holds the token
            raise _bad_token() from None
        except NetworkError as error:
            raise Transient(f"Telegram cannot be reached: {error.message}.", code="no_telegram") from None
        await _set_menus(app)
        yield
    finally:
        await app.shutdown()
        await app.bot.shutdown()  # the application leaves its connections open when it could not begin


@asynccontextmanager
async def _listening(app: App, settings: TelegramSettings, pulse: Pulse, gate: FloodGate) -> AsyncIterator[None]:
    assert app.updater is not None
    await app.start()
    try:
        if settings.webhook_url:
            await app.updater.start_webhook(
                listen=WEBHOOK_HOST,
                port=settings.webhook_port,
                url_path=urlsplit(settings.webhook_url).path,
                webhook_url=settings.webhook_url,
                secret_token=settings.webhook_secret.get_secret_value() or secrets.token_urlsafe(32),
                allowed_updates=ALLOWED_UPDATES,
            )
            pulse.heard()
        else:
            await app.updater.start_polling(
                timeout=POLL_S,
                allowed_updates=ALLOWED_UPDATES,
                error_callback=lambda error: _polling_failed(error, pulse),
            )
        yield
    except (NetworkError, RetryAfter) as error:
        raise Transient(f"Telegram cannot be reached: {error.message}.", code="no_telegram") from None
    finally:
        if app.updater.running:
            with suppress(TelegramError):  # what ended the polling is known already
                await app.updater.stop()
        await gate.shutdown()
        await app.stop()


async def _set_menus(app: App) -> None:
    """Set the menu of commands in both languages; a refusal only costs the menu."""
    try:
        for code, language in MENUS.items():
            about = commands(language)
            menu = [BotCommand(name, about[name]) for name in COMMANDS if name in about]
            await app.bot.set_my_commands(menu, language_code=code)
    except TelegramError as error:
        log.warning("Telegram: the menu of commands was not set: %s", error.message)


def _polling_failed(error: TelegramError, pulse: Pulse) -> None:
    pulse.lost()
    if isinstance(error, Conflict):
        log.warning("Telegram: another program polls with this token; only one can have it")
    else:
        log.warning("Telegram: polling failed, trying again: %s", error.message)


async def _log_error(update: object, context: Any) -> None:
    log.error("Telegram: an update was not worked on", exc_info=context.error)


def _bad_token() -> UserError:
    return UserError("Telegram refuses the bot's token; please ask @BotFather for it again.", code="bad_token")
