"""What the core asks of Telegram outside of any command: results, progress, private chats."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Literal

from telegram.constants import FileSizeLimit

from bot import markup
from bot.contract import Gone, Letter, Note, Posted, Reply, Text
from bot.replies import say
from bot.telegram.layout import Outgoing, messages
from bot.telegram.limiter import NEVER_WAIT
from bot.telegram.pulse import Pulse
from bot.telegram.sending import Sender
from engine.jobs import Language

_PING_UNITS = 60
"""At most so long is the ping below a text."""


class TelegramMessenger:
    """Implements `bot.contract.Messenger`.

    The answer to a request begins in the message that followed it: that edit can be repeated without harm. An edit
    makes no sound, so the last message of an answer is always a new one, which calls the person.
    """

    platform: Literal["telegram"] = "telegram"

    def __init__(self, sender: Sender, pulse: Pulse, *, local: bool) -> None:
        self._sender = sender
        self._pulse = pulse
        self._most_bytes = int(FileSizeLimit.FILESIZE_UPLOAD_LOCAL_MODE if local else FileSizeLimit.FILESIZE_UPLOAD)

    async def post(self, letter: Letter, note: Note) -> Posted:
        """Send a letter; see `bot.contract.Messenger`."""
        plan = list(messages(letter.reply)) or [_sentence(letter.reply.language, "telegram.ready")]
        carrier = len(plan) - 1
        in_place = letter.progress is not None and plan[0].media is None
        if in_place and carrier == 0:
            plan.append(_sentence(letter.reply.language, "telegram.ready"))
        plan[-1] = _calling(plan[-1], letter)
        arrived = {index: Posted(letter.chat.partition(":")[0], sent) for index, sent in letter.sent.items()}
        for index, outgoing in enumerate(plan):
            if index > carrier and arrived[0] != letter.progress:
                break  # what was to be edited is gone, so the answer itself is new and has called already
            if index not in arrived:
                arrived[index] = await self._one(letter, outgoing, index == 0 and in_place, index >= carrier)
                await note(index, arrived[index].message)
        if letter.progress is not None and arrived[0] != letter.progress:
            await self._sender.erase([letter.progress], letter.reply.language)
        return arrived[carrier]

    async def edit(self, posted: Posted, reply: Reply) -> None:
        """Change a progress message; see `bot.contract.Messenger`."""
        await self._sender.edit(posted, messages(reply)[0], urgency=NEVER_WAIT)

    async def private_chat(self, person: str) -> str:
        """Return the person's own number: that is the number of their chat with the bot, if they have opened one."""
        return person

    def most_bytes(self, chat: str) -> int:
        """Return how large a file may be."""
        return self._most_bytes

    def lag_s(self) -> float | None:
        """Return how old the newest update was when it came; None while polling fails."""
        return self._pulse.lag_s()

    async def _one(self, letter: Letter, outgoing: Outgoing, in_place: bool, calls: bool) -> Posted:
        if in_place and letter.progress is not None:
            with suppress(Gone):  # somebody deleted it
                return await self._sender.edit(letter.progress, outgoing)
        reply_to = letter.reply_to if calls else None
        return await self._sender.send(letter.chat, outgoing, reply_to=reply_to, silent=not calls)


def _calling(outgoing: Outgoing, letter: Letter) -> Outgoing:
    """Add the ping of the person to a message, if there is room."""
    limit = markup.TELEGRAM_MESSAGE if outgoing.media is None else markup.TELEGRAM_CAPTION
    if letter.mention is None or markup.len_utf16(outgoing.html) > limit - _PING_UNITS:
        return outgoing
    words = _sentence(letter.reply.language, "telegram.for_you").html
    ping = f'<a href="tg://user?id={int(letter.mention)}">{words}</a>'
    return replace(outgoing, html=f"{outgoing.html}\n\n{ping}" if outgoing.html else ping)


def _sentence(language: Language, key: str) -> Outgoing:
    return Outgoing(markup.telegram_pages((Text(say(language, key)),))[0])
