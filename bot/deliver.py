"""Drains the outbox to a platform: takes answers one by one, and tells the queue what became of each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from bot.contract import Audio, Document, Gone, Letter, Messenger, Note, Part, Picture, Posted, Reply, RetryLater, Text
from bot.desk import Desk
from bot.follow import Follower, Pace
from bot.inbox import megabytes
from bot.replies import say
from db import outbox, people
from engine.errors import Transient, TuneTaleError, incident_id
from engine.jobs import Answer, Language
from engine.jobs import Platform as PlatformName
from engine.queue import Queue

log = logging.getLogger(__name__)

RETRY_S = 5.0
"""First pause after a platform did not take an answer; doubles with each attempt."""
LONGEST_RETRY_S = 600.0
"""No pause is longer."""
MAX_ATTEMPTS = 150
"""Attempts to hand over one answer before it is given up: about a day of a platform that is down."""
POSTMEN = 4
"""Answers that are handed over side by side, so that one large upload or one slow chat does not hold up the others."""
MAX_FAULTS = 3
"""Attempts that may fail by a fault of our own: the same answer would do it again."""


class Platform(Protocol):
    """Where answers go."""

    @property
    def platform(self) -> PlatformName:
        """The name under which its requests were submitted."""
        ...

    async def send(self, answer: Answer) -> str | None:
        """Hand the answer over and return the platform's id of it. Same nonce, one visible message.

        Raises `Transient` to be tried again later, any other `TuneTaleError` to give the answer up.
        """
        ...


async def deliver(queue: Queue, platform: Platform) -> int:
    """Hand over every answer that is ready now; return how many were taken."""
    taken = 0
    while (answer := await queue.next_answer(platform.platform)) is not None:
        try:
            message_id = await platform.send(answer)
        except Transient as error:
            await queue.answer_failed(answer.id, error.message, _pause(answer.attempt, error))
        except TuneTaleError as error:
            log.warning("answer %d was given up: %s", answer.id, error.message)
            await queue.answer_failed(answer.id, error.message, None)
        except BaseException:  # stopped half-way: whoever delivers next may take it at once
            await asyncio.shield(queue.answer_failed(answer.id, "The delivery was interrupted.", 0.0))
            raise
        else:
            await queue.answered(answer.id, message_id)
            taken += 1
    return taken


async def deliver_forever(queue: Queue, platform: Platform) -> None:
    """Hand over answers as they come, until cancelled."""
    ready = queue.answers(platform.platform)
    while True:
        ready.clear()
        await deliver(queue, platform)
        # The event shortens the wait; the time-out finds answers whose retry has come. (Python 3.11's `wait_for` loses
        # a cancellation that comes together with the event, and this would never end.)
        with suppress(TimeoutError):
            async with asyncio.timeout(RETRY_S):
                await ready.wait()


async def attend(desk: Desk, messenger: Messenger) -> None:
    """Hand over answers to a platform and keep its progress messages current, until cancelled.

    A platform calls this once it is connected, and cancels it when it stops. Edits of one message are at least
    `bot.follow.GAP_S` apart; after a `RetryLater` nothing is edited before its time; what is `Gone` is not tried again.
    """
    pace = Pace(desk.clock)
    follower = Follower(desk, messenger, pace)
    postman = Postman(desk, messenger, follower, pace)
    desk.messengers[messenger.platform] = messenger
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(POSTMEN):
                group.create_task(_steadily(lambda: deliver_forever(desk.queue, postman)))
            group.create_task(_steadily(follower.forever))
    finally:
        if desk.messengers.get(messenger.platform) is messenger:
            del desk.messengers[messenger.platform]


async def _steadily(work: Callable[[], Awaitable[None]]) -> None:
    """Do something that never ends, again after the store was out of reach for a while."""
    while True:
        try:
            await work()
        except Transient as error:
            log.warning("delivery pauses: %s", error.message)
            await asyncio.sleep(RETRY_S)


class Postman:
    """Turns answers into letters and hands them to a chat platform."""

    def __init__(self, desk: Desk, messenger: Messenger, follower: Follower, pace: Pace) -> None:
        self._desk = desk
        self._messenger = messenger
        self._follower = follower
        self._pace = pace
        self._out: dict[int, dict[int, str]] = {}  # answer -> what is out of it, also while the store cannot be told

    @property
    def platform(self) -> PlatformName:
        """The messenger's."""
        return self._messenger.platform

    async def send(self, answer: Answer) -> str | None:
        """Post the answer where it was asked for; where that is gone, in private, or nowhere, as the owner decided."""
        await self._pace.wait()
        try:
            async with self._follower.lock(answer.job_id):
                posted = await self._post(answer)
                await self._desk.ledger.write(lambda conn: outbox.unfollow(conn, answer.job_id))
            self._out.pop(answer.id, None)
        except RetryLater as error:
            self._pace.hold(error.retry_in_s)
            raise
        except Transient:
            raise
        except TuneTaleError:
            self._out.pop(answer.id, None)
            raise
        except Exception as error:
            incident = incident_id()
            log.exception("incident %s: answer %d could not be posted", incident, answer.id)
            sentence = f"Posting failed by a fault of our own (incident {incident})."
            if answer.attempt < MAX_FAULTS:
                raise Transient(sentence, code="bug") from error
            raise TuneTaleError(sentence, code="bug") from error
        self._desk.metrics.delivered(answer)
        return str(posted)

    async def _post(self, answer: Answer) -> Posted:
        desk, asker = self._desk, answer.asker
        reply = await desk.card(answer)
        out = await desk.ledger.read(lambda conn: outbox.parts(conn, answer.id)) | self._out.get(answer.id, {})
        follow = await desk.ledger.read(lambda conn: outbox.following(conn, answer.job_id))
        chat = await desk.ledger.read(lambda conn: people.visit(conn, asker.platform, asker.person, asker.chat))
        letter = Letter(
            chat=asker.chat,
            reply=fitting(reply, self._messenger.most_bytes(asker.chat)),
            nonce=answer.nonce,
            reply_to=asker.reply_to,
            progress=None if follow is None else Posted(follow.chat, follow.message),
            mention=None if chat.kind == "private" else asker.person,
            sent=_sent_to(asker.chat, out),
        )
        try:
            return await self._messenger.post(letter, self._note(answer, letter.chat))
        except Gone as gone:
            if letter.mention is None or desk.config.limits.gone == "drop":
                raise
            log.info("answer %d goes to a private chat: %s", answer.id, gone.message)
        private = await self._messenger.private_chat(asker.person)
        lead = Text(say(reply.language, "card.gone"))
        reply = fitting(replace(reply, parts=(lead, *reply.parts), pair=None), self._messenger.most_bytes(private))
        # Parts that went to the chat that is gone do not count: here the letter begins anew.
        sent = _sent_to(private, out)
        letter = replace(letter, chat=private, reply=reply, reply_to=None, progress=None, mention=None, sent=sent)
        return await self._messenger.post(letter, self._note(answer, private))

    def _note(self, answer: Answer, chat: str) -> Note:
        async def note(index: int, message: str) -> None:
            posted = str(Posted(chat, message))
            self._out.setdefault(answer.id, {})[index] = posted
            await self._desk.ledger.write(lambda conn: outbox.add_part(conn, answer.id, index, posted))

        return note


def _sent_to(chat: str, out: Mapping[int, str]) -> dict[int, str]:
    """Return what is out already in a chat: index -> the platform's id."""
    posted = {index: Posted.read(text) for index, text in out.items()}
    return {index: message.message for index, message in posted.items() if message.chat == chat}


def fitting(reply: Reply, most_bytes: int) -> Reply:
    """Put a sentence in the place of every file that is larger than a chat takes."""
    return replace(reply, parts=tuple(_fitting(part, most_bytes, reply.language) for part in reply.parts))


def _fitting(part: Part, most_bytes: int, language: Language) -> Part:
    size = 0
    match part:
        case Audio(path=path) | Picture(path=path):
            size = path.stat().st_size
        case Document(path=path, data=data):
            size = len(data) if data is not None else path.stat().st_size if path is not None else 0
    if isinstance(part, Text) or size <= most_bytes:
        return part
    return Text(say(language, "card.too_large", name=part.name, size=megabytes(size), most=megabytes(most_bytes)))


def _pause(attempt: int, error: Transient) -> float | None:
    """Return the seconds until an answer is tried again; None to give it up."""
    if attempt >= MAX_ATTEMPTS:
        return None
    wait_s = min(RETRY_S * 2.0 ** min(attempt - 1, 20), LONGEST_RETRY_S)
    return max(wait_s, error.retry_in_s) if isinstance(error, RetryLater) else wait_s
