"""From a message to the use case that it asks for. Knows the commands and where their music or text may stand."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telegram import Message
from telegram.error import BadRequest
from telegram.ext import ExtBot

from bot import commands, privacy
from bot.contract import Actor, Place, Reply, Text, Upload
from bot.desk import Desk, use_case
from bot.replies import say
from bot.telegram import admin, options, orders_votes
from bot.telegram.errors import translated
from bot.telegram.options import COMPOSE, STORY, Misread
from bot.telegram.reading import (
    FETCHABLE_BYTES,
    Attachment,
    link_in,
    music_in,
    name_of,
    posted,
    seconds_of,
    text_file_in,
    text_of,
)
from db import votes
from engine.errors import UserError


@dataclass(frozen=True)
class Order:
    """A command in a message."""

    message: Message
    actor: Actor
    place: Place
    text: str
    """What stands behind the command."""

    @property
    def dedupe(self) -> str:
        """The same for the same message, however often it is delivered."""
        return f"{self.message.chat.id}:{self.message.message_id}"

    @property
    def about(self) -> Message | None:
        """The message that this one replies to; in a forum every message replies to its topic's beginning."""
        replied = self.message.reply_to_message
        return None if replied is None or replied.forum_topic_created is not None else replied


Run = Callable[["Orders", Order], Awaitable[Reply]]


@use_case
async def sentence(desk: Desk, actor: Actor, place: Place, /, key: str, **values: Any) -> Reply:
    """Say one sentence of the catalogue to the person."""
    visit = await desk.visit(actor, place)
    return Reply((Text(say(visit.language, key, **values)),), private=True, language=visit.language)


class Orders:
    """Carries out what people write."""

    def __init__(self, desk: Desk, bot: ExtBot[Any], *, local: bool) -> None:
        self._desk = desk
        self._bot = bot
        self._local = local

    async def run(self, name: str, order: Order) -> Reply:
        """Carry out a command; `name` is one of COMMANDS."""
        try:
            return await COMMANDS[name](self, order)
        except Misread as misread:
            return await self.say(order, misread.key, **misread.values)

    async def say(self, order: Order, key: str, **values: Any) -> Reply:
        """Answer with one sentence."""
        return await sentence(self._desk, order.actor, order.place, key, **values)

    async def story(self, order: Order) -> Reply:
        """`/story`: of the file of this message, of a link in it, or of the message that it replies to."""
        url = options.link(order.text)
        own = music_in(order.message)
        wish = options.read(options.without(order.text, url), STORY)
        if wish.rest:
            raise Misread("unknown_words", words=wish.rest[:50], options=options.known_names(STORY))
        about = order.about
        if own is None and url is None and about is not None:
            if (pair := await self._pair_of(about)) is not None:
                return await commands.other_way(self._desk, order.actor, order.place, pair, dedupe=order.dedupe)
            own, url = music_in(about), link_in(about)
        source = url if own is None else self._upload(own)
        if source is None:
            return await self.say(order, "telegram.no_music")
        values: dict[str, Any] = dict(wish.values)
        return await commands.story(self._desk, order.actor, order.place, source, **values, dedupe=order.dedupe)

    async def compose(self, order: Order) -> Reply:
        """`/compose`: from the words behind it, a text file, a quotation, or the message that it replies to."""
        wish = options.read(order.text, COMPOSE)
        about, file = order.about, text_file_in(order.message)
        text: str | Upload = wish.rest
        if not text and file is not None:
            text = self._upload(file)
        elif not text and order.message.quote is not None:
            text = order.message.quote.text
        elif not text and about is not None:
            if (pair := await self._pair_of(about)) is not None:
                return await commands.other_way(self._desk, order.actor, order.place, pair, dedupe=order.dedupe)
            file = text_file_in(about)
            text = text_of(about) if file is None else self._upload(file)
        if not text:
            return await self.say(order, "telegram.no_text")
        values: dict[str, Any] = dict(wish.values)
        return await commands.compose(self._desk, order.actor, order.place, text, **values, dedupe=order.dedupe)

    async def help(self, order: Order) -> Reply:
        """`/help`, and how reactions count here."""
        reply = await commands.help(self._desk, order.actor, order.place)
        scale = Text(say(reply.language, "telegram.scale"), "small")
        return Reply((*reply.parts, scale), reply.buttons, reply.private, language=reply.language)

    async def queue(self, order: Order) -> Reply:
        """`/queue`."""
        return await commands.queue(self._desk, order.actor, order.place)

    async def cancel(self, order: Order) -> Reply:
        """`/cancel`, `/cancel 12`."""
        job = options.number(order.text) if order.text else None
        return await commands.cancel(self._desk, order.actor, order.place, job)

    async def language(self, order: Order) -> Reply:
        """`/language`, `/language zh-TW`."""
        return await commands.language(self._desk, order.actor, order.place, order.text or None)

    async def privacy(self, order: Order) -> Reply:
        """`/privacy`."""
        return await privacy.privacy(self._desk, order.actor, order.place)

    async def mydata(self, order: Order) -> Reply:
        """`/mydata`."""
        return await privacy.mydata(self._desk, order.actor, order.place)

    async def forgetme(self, order: Order) -> Reply:
        """`/forgetme`."""
        return await privacy.forgetme(self._desk, order.actor, order.place)

    async def admin(self, order: Order) -> Reply:
        """`/admin …`."""
        about = order.about
        pair = None if about is None else await self._pair_of(about)
        person = None if about is None or about.from_user is None else str(about.from_user.id)
        return await admin.run(self._desk, order.actor, order.place, order.text, person=person, pair=pair)

    async def about_votes(self, name: str, order: Order) -> Reply:
        """`/vote`, `/stats`, `/publish`, `/consent`."""
        pair = None if order.about is None else await self._pair_of(order.about)
        return await orders_votes.COMMANDS[name](self._desk, order.actor, order.place, order.text, pair)

    async def _pair_of(self, message: Message) -> int | None:
        """Return the pair that a message shows, if it is one of our cards."""
        card = str(posted(message))
        found = await self._desk.ledger.read(lambda conn: votes.pair_at(conn, "telegram", card))
        return None if found is None else found.pair_id

    def _upload(self, attachment: Attachment) -> Upload:
        limit = None if self._local else FETCHABLE_BYTES

        async def fetch(path: Path) -> None:
            with translated():
                try:
                    file = await self._bot.get_file(attachment.file_id)
                except BadRequest as refused:
                    if "too big" in refused.message.lower():
                        raise UserError("The file is larger than Telegram gives to bots.", code="too_large") from None
                    raise
                if self._local:  # one's own server on this machine says where the file lies
                    await asyncio.to_thread(shutil.copyfile, str(file.file_path), path)
                else:
                    data = await file.download_as_bytearray()
                    await asyncio.to_thread(path.write_bytes, data)

        return Upload(name_of(attachment), attachment.file_size, fetch, limit, seconds_of(attachment))


def _about_votes(name: str) -> Run:
    return lambda orders, order: orders.about_votes(name, order)


COMMANDS: Mapping[str, Run] = {
    "story": Orders.story,
    "compose": Orders.compose,
    "queue": Orders.queue,
    "cancel": Orders.cancel,
    "help": Orders.help,
    "start": Orders.help,
    "language": Orders.language,
    "privacy": Orders.privacy,
    "mydata": Orders.mydata,
    "forgetme": Orders.forgetme,
    **{name: _about_votes(name) for name in orders_votes.COMMANDS},
    "admin": Orders.admin,
}
"""Every command."""
