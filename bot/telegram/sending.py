"""Sends, changes and takes away messages. Knows addresses, files and what Telegram remembers; decides nothing."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image
from telegram import InputFile, LinkPreviewOptions, Message, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, TelegramError
from telegram.ext import ExtBot

from bot.contract import Audio, Document, Picture, Posted
from bot.replies import say
from bot.telegram.errors import translated, unchanged
from bot.telegram.layout import Outgoing
from bot.telegram.limiter import Urgency
from bot.telegram.reading import address, posted
from engine import vault
from engine.errors import TuneTaleError
from engine.jobs import Language

log = logging.getLogger(__name__)

COVER_SIDE = 320
"""Pixels; larger thumbnails are ignored (core.telegram.org/bots/api#sendaudio, also JPEG and below 200 kB)."""
COVER_QUALITY = 85
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)


class Sender:
    """A bot's voice. Its methods raise `Gone`, `RetryLater`, another `Transient`, or `TuneTaleError` for our fault."""

    def __init__(self, bot: ExtBot[Any]) -> None:
        self.bot = bot
        self._moved: dict[int, int] = {}

    async def send(self, chat: str, outgoing: Outgoing, *, reply_to: str | None = None, silent: bool = False) -> Posted:
        """Send one message; without the message that is replied to, it stands alone."""
        number, topic = address(chat)
        about: dict[str, Any] = {"message_thread_id": topic, "reply_markup": outgoing.keyboard}
        if reply_to is not None:
            about["reply_parameters"] = ReplyParameters(int(reply_to), allow_sending_without_reply=True)
        if silent:
            about["disable_notification"] = True
        media = await _media(outgoing.media)
        with translated():
            try:
                return posted(await self._send(self._moved.get(number, number), outgoing, about, media))
            except ChatMigrated as moved:  # a group that became a supergroup has a new number
                self._moved[number] = moved.new_chat_id
                return posted(await self._send(moved.new_chat_id, outgoing, about | {"reply_parameters": None}, media))

    async def edit(self, message: Posted, outgoing: Outgoing, *, urgency: Urgency | None = None) -> Posted:
        """Change the text or caption and the buttons of a message; `never_wait`: now or not at all."""
        place: dict[str, Any] = {"chat_id": int(message.chat), "message_id": int(message.message)}
        more: dict[str, Any] = {"parse_mode": ParseMode.HTML, "reply_markup": outgoing.keyboard}
        with translated():
            try:
                try:
                    await self.bot.edit_message_text(
                        outgoing.html, **place, **more, link_preview_options=_NO_PREVIEW, rate_limit_args=urgency
                    )
                except BadRequest as refused:
                    if "there is no text in the message" not in refused.message.lower():
                        raise
                    await self.bot.edit_message_caption(caption=outgoing.html, **place, **more, rate_limit_args=urgency)
            except BadRequest as refused:
                if not unchanged(refused):
                    raise
        return message

    async def erase(self, messages: Iterable[Posted], language: Language) -> None:
        """Delete messages as far as Telegram lets us: those of the last 48 hours, and all where the bot is admin. Of
        older ones the words and the buttons are taken away; a file in them stays."""
        for message in messages:
            try:
                await self.bot.delete_message(address(message.chat)[0], int(message.message))
            except BadRequest as refused:
                if "not found" not in refused.message.lower():
                    await self._empty(message, language)
            except TelegramError:
                await self._empty(message, language)

    async def _empty(self, message: Posted, language: Language) -> None:
        """Take the words and the buttons off a message that cannot be deleted."""
        chat, _ = address(message.chat)
        try:
            await self.edit(Posted(str(chat), message.message), Outgoing(say(language, "delete.emptied")))
        except TuneTaleError as error:
            log.info("message %s stays: %s", message, error.message)

    async def _send(self, chat: int, outgoing: Outgoing, about: dict[str, Any], media: dict[str, Any]) -> Message:
        caption: dict[str, Any] = {"caption": outgoing.html, "parse_mode": ParseMode.HTML} if outgoing.html else {}
        match outgoing.media:
            case None:
                return await self.bot.send_message(
                    chat, outgoing.html, ParseMode.HTML, link_preview_options=_NO_PREVIEW, **about
                )
            case Audio():
                return await self.bot.send_audio(chat, **media, **caption, **about)
            case Picture():
                return await self.bot.send_photo(chat, **media, **caption, **about)
            case Document():
                return await self.bot.send_document(chat, **media, **caption, **about)


async def _media(part: Audio | Picture | Document | None) -> dict[str, Any]:
    """Return the fields of a file that is sent; reads the disk in a thread."""
    match part:
        case Audio():
            fields: dict[str, Any] = {
                "audio": await _file(part.path, part.name),
                "title": part.title,
                "performer": part.performer,
                "duration": round(part.duration_s),
            }
            if part.cover is not None:
                fields["thumbnail"] = InputFile(await asyncio.to_thread(cover, part.cover), "cover.jpg")
            return fields
        case Picture():
            return {"photo": await _file(part.path, part.name)}
        case Document(path=None, data=data):
            return {"document": InputFile(data or b"", part.name)}
        case Document(path=Path() as path):
            return {"document": await _file(path, part.name)}
    return {}


async def _file(path: Path, name: str) -> InputFile:
    return InputFile(await asyncio.to_thread(vault.current().read, path), name)


def cover(picture: Path) -> bytes:
    """Return a picture as Telegram takes it for the cover of music."""
    data = io.BytesIO()
    with Image.open(io.BytesIO(vault.current().read(picture))) as image:
        small = image.convert("RGB")
        small.thumbnail((COVER_SIDE, COVER_SIDE))
        small.save(data, "JPEG", quality=COVER_QUALITY)
    return data.getvalue()
