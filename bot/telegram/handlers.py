"""Takes updates one by one, has the core answer them, and sends the answer to where it belongs."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Coroutine
from typing import Any
from weakref import WeakValueDictionary

from telegram import (
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    MaybeInaccessibleMessage,
    Message,
    MessageReactionUpdated,
    Update,
)
from telegram.constants import ChatMemberStatus, ChatType
from telegram.error import TelegramError
from telegram.ext import BaseUpdateProcessor, ExtBot

from bot import press
from bot.contract import Gone, Place, Posted, Reply
from bot.desk import Desk
from bot.rating import Reaction
from bot.replies import say
from bot.telegram import emoji, layout, options
from bot.telegram.layout import Outgoing
from bot.telegram.orders import COMMANDS, Order, Orders
from bot.telegram.pulse import Pulse
from bot.telegram.reading import Speaker, place, posted, sounds, speaker, text_of
from bot.telegram.sending import Sender
from engine.errors import TuneTaleError, incident_id

log = logging.getLogger(__name__)

MOST_AT_ONCE = 256
"""Updates that are worked on side by side; the others wait in line."""
REMEMBERED = 4_096
"""Updates that are recognised when Telegram delivers them once more."""
OPEN_COMMANDS = frozenset({"start", "help", "queue", "language", "privacy", "mydata", "forgetme", "vote", "consent"})
"""Commands for which it does not matter whether somebody is admin; for all others Telegram is asked."""
OPEN_VERBS = frozenset({"rate", "why", "language"})
"""Buttons for which it does not matter."""


class Turns(BaseUpdateProcessor):
    """Works on updates side by side, but on one person's presses and reactions in their order, and on none twice."""

    def __init__(self) -> None:
        super().__init__(MOST_AT_ONCE)
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._seen: OrderedDict[int, None] = OrderedDict()

    async def initialize(self) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        """Work on one update."""
        if not isinstance(update, Update) or update.update_id in self._seen:
            if isinstance(coroutine, Coroutine):
                coroutine.close()
            return
        self._seen[update.update_id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        if update.callback_query is None and update.message_reaction is None:
            await coroutine
            return
        person = 0 if update.effective_user is None else update.effective_user.id
        async with self._locks.setdefault(person, asyncio.Lock()):
            await coroutine


class Handlers:
    """What happens on each kind of update."""

    def __init__(self, desk: Desk, sender: Sender, pulse: Pulse, *, local: bool) -> None:
        self._desk = desk
        self._sender = sender
        self._bot: ExtBot[Any] = sender.bot
        self._pulse = pulse
        self._orders = Orders(desk, sender.bot, local=local)

    async def update(self, update: Update, context: object) -> None:
        """Work on an update; whatever happens is logged, and told as an incident where somebody waits for an answer."""
        message = update.effective_message
        self._pulse.update(message.date if update.message is not None and isinstance(message, Message) else None)
        try:
            if update.callback_query is not None:
                await self._pressed(update.callback_query)
            elif update.message_reaction is not None:
                await self._reacted(update.message_reaction)
            elif isinstance(message, Message) and update.edited_message is None:
                await self._written(message)
        except (TelegramError, TuneTaleError) as error:  # Telegram took no answer of ours, so it would take no apology
            log.warning("update %d was not answered: %s", update.update_id, error)
        except Exception:  # whatever it was, the person gets an incident id and the log the trace
            incident = incident_id()
            log.exception("incident %s: update %d", incident, update.update_id)
            if message is not None:
                await self._apologise(message, incident)

    # --- messages -------------------------------------------------------------------------------------------------

    async def _written(self, message: Message) -> None:
        if message.migrate_to_chat_id is not None:  # a group has become a supergroup
            await self._desk.moved("telegram", str(message.chat.id), str(message.migrate_to_chat_id))
            return
        who = speaker(message.from_user, message.sender_chat)
        if who is None or message.is_automatic_forward:
            return
        where = place(message)
        order = options.command(text_of(message), self._bot.username)
        if order is not None and order.name in COMMANDS:
            admin = order.name not in OPEN_COMMANDS and await self._is_admin(who, message)
            request = Order(message, who.actor(admin=admin), where, order.text)
            reply = await self._orders.run(order.name, request)
        elif where.kind == "private":
            request = Order(message, who.actor(admin=False), where, "")
            reply = await (self._orders.run("story", request) if sounds(message) else self._hint(request))
        else:
            return
        await self._answer(reply, message, where, who)

    async def _hint(self, request: Order) -> Reply:
        return await self._orders.say(request, "telegram.hint")

    # --- presses --------------------------------------------------------------------------------------------------

    async def _pressed(self, query: CallbackQuery) -> None:
        message, who = query.message, speaker(query.from_user)
        if message is None or who is None:
            await query.answer()
            return
        where = place(message)
        verb = (query.data or "").partition(":")[0]
        try:
            admin = verb not in OPEN_VERBS and await self._is_admin(who, message)
            actor = who.actor(admin=admin)
            reply = await press.press(self._desk, actor, where, query.data or "", dedupe=query.id)
        except BaseException:
            await query.answer()
            raise
        toast = layout.toast(reply) if reply.private and not reply.replaces else None
        try:
            await query.answer(toast, show_alert=toast is not None and layout.alerts(toast))
        except TelegramError as late:  # after a pause the spinner has stopped by itself; what was done is done
            log.info("a press was answered too late: %s", late)
        if toast is None:
            await self._answer(reply, message, where, who, pressed=True)
        else:
            await self._sender.erase(reply.erase, reply.language)

    async def _reacted(self, change: MessageReactionUpdated) -> None:
        who = speaker(change.user)
        if who is None or who.shared:
            return
        card = Posted(str(change.chat.id), str(change.message_id))
        old, new = emoji.scores(change.old_reaction), emoji.scores(change.new_reaction)
        actor = who.actor(admin=False)
        for score in old - new:
            await self._desk.ballots.reacted(actor, card, Reaction(score), added=False)
        for score in new - old:
            await self._desk.ballots.reacted(actor, card, Reaction(score), added=True)

    # --- answers --------------------------------------------------------------------------------------------------

    async def _answer(
        self, reply: Reply, about: MaybeInaccessibleMessage, where: Place, who: Speaker, *, pressed: bool = False
    ) -> None:
        await self._sender.erase(reply.erase, reply.language)
        plan = layout.messages(reply)
        if not plan:
            return
        if reply.replaces and pressed and layout.only_text(reply):
            try:
                await self._note(reply, await self._sender.edit(posted(about), plan[0]))
                plan = plan[1:]
            except Gone:
                log.info("the message of the button is gone")
        if not plan:
            return
        # Telegram has no message that one person in a group sees: files for one go to their private chat, while
        # sentences are said where the question was asked.
        if reply.private and where.kind != "private" and not layout.only_text(reply):
            if await self._told_in_private(plan, reply, who):
                return
            plan = (self._write_me(reply),)
        await self._note(reply, await self._send(plan, where.chat, str(about.message_id)))

    async def _told_in_private(self, plan: tuple[Outgoing, ...], reply: Reply, who: Speaker) -> bool:
        """Send a reply to the person alone; False when that is not possible."""
        if who.shared:
            return False
        try:
            await self._note(reply, await self._send(plan, str(who.id), None))
        except Gone:  # they have never pressed Start, or have blocked the bot
            return False
        return True

    def _write_me(self, reply: Reply) -> Outgoing:
        label = say(reply.language, "telegram.open_chat")
        key = InlineKeyboardButton(label, url=f"https://t.me/{self._bot.username}?start=private")
        return Outgoing(say(reply.language, "telegram.write_me"), keyboard=InlineKeyboardMarkup([[key]]))

    async def _send(self, plan: tuple[Outgoing, ...], chat: str, reply_to: str | None) -> Posted:
        for index, outgoing in enumerate(plan):
            sent = await self._sender.send(chat, outgoing, reply_to=None if index else reply_to)
        return sent

    async def _note(self, reply: Reply, sent: Posted) -> None:
        await self._desk.posted(reply.job, sent, reply.language)

    async def _apologise(self, message: MaybeInaccessibleMessage, incident: str) -> None:
        try:
            sentence = Outgoing(say("en", "telegram.broken", incident=incident))
            await self._sender.send(place(message).chat, sentence, reply_to=str(message.message_id))
        except Exception as error:
            log.warning("incident %s could not be told: %s", incident, error)

    async def _is_admin(self, who: Speaker, message: MaybeInaccessibleMessage) -> bool:
        """Ask Telegram now. Nobody is admin of a private chat, and a shared identity is nobody."""
        if message.chat.type == ChatType.PRIVATE or who.shared:
            return False
        try:
            member = await self._bot.get_chat_member(message.chat.id, who.id)
        except TelegramError as error:
            log.warning("Telegram did not say whether somebody is admin: %s", error.message)
            return False
        return member.status in (ChatMemberStatus.OWNER, ChatMemberStatus.ADMINISTRATOR)
