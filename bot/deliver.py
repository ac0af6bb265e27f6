"""Drains the outbox to a platform: takes answers one by one, and tells the queue what became of each."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from bot.contract import Messenger
from bot.desk import Desk
from engine.errors import Transient, TuneTaleError
from engine.jobs import Answer
from engine.jobs import Platform as PlatformName
from engine.queue import Queue

log = logging.getLogger(__name__)

RETRY_S = 5.0
"""First pause after a platform did not take an answer; doubles with each attempt."""
MAX_ATTEMPTS = 8
"""Attempts to hand over one answer before it is given up (about 20 minutes)."""


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
            retry_in_s = RETRY_S * 2 ** (answer.attempt - 1) if answer.attempt < MAX_ATTEMPTS else None
            await queue.answer_failed(answer.id, error.message, retry_in_s)
        except TuneTaleError as error:
            log.warning("answer %d was given up: %s", answer.id, error.message)
            await queue.answer_failed(answer.id, error.message, None)
        else:
            await queue.answered(answer.id, message_id)
            taken += 1
    return taken


async def attend(desk: Desk, messenger: Messenger) -> None:
    """Hand over answers to a platform and keep its progress messages current, until cancelled.

    A platform calls this once it is connected, and cancels it when it stops. Edits of one message are at least
    `bot.follow.GAP_S` apart; after a `RetryLater` nothing is edited before its time; what is `Gone` is not tried again.
    """
    raise NotImplementedError


async def deliver_forever(queue: Queue, platform: Platform) -> None:
    """Hand over answers as they come, until cancelled."""
    while True:
        queue.answers(platform.platform).clear()
        await deliver(queue, platform)
        # The event shortens the wait; the time-out finds answers whose retry has come.
        try:
            await asyncio.wait_for(queue.answers(platform.platform).wait(), timeout=RETRY_S)
        except TimeoutError:
            continue
