"""Keeps the messages that follow jobs up to date. Knows when something may be edited; knows no platform.

Telegram and Discord punish whoever edits too often with pauses of minutes to hours, so every edit passes `Pace`: a
message at most every `GAP_S`, a chat at most every `CHAT_GAP_S`, and nothing at all before the time that a platform has
named. Which messages there are is in the store, so they are followed after a restart as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

from bot.contract import Button, Gone, Messenger, Posted, Reply, RetryLater, Status, Text
from bot.desk import Desk
from bot.replies import progress, say
from bot.tokens import write
from db import outbox
from db.outbox import FollowRow
from engine.clock import Clock
from engine.errors import TuneTaleError
from engine.jobs import Language

log = logging.getLogger(__name__)

GAP_S = 3.0
"""Between two edits of one message."""
CHAT_GAP_S = 5.0
"""Between two edits in one chat: 12 a minute leave room for answers below Telegram's 20 a minute for a group."""
LOOK_S = 1.0
"""Between two looks at the store."""


class Pace:
    """Says when something may be done again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next: dict[object, float] = {}
        self._held_until = float("-inf")

    def due(self, key: object) -> bool:
        """Return whether `key` may be done now."""
        now = self._clock.now()
        return now >= self._held_until and now >= self._next.get(key, now)

    def done(self, key: object, gap_s: float) -> None:
        """Note that `key` was done now and may be again after `gap_s` seconds."""
        self._next[key] = self._clock.now() + gap_s

    def hold(self, seconds: float) -> None:
        """Allow nothing for so long."""
        self._held_until = max(self._held_until, self._clock.now() + seconds)

    async def wait(self) -> None:
        """Wait until something is allowed again."""
        while (left_s := self._held_until - self._clock.now()) > 0:  # noqa: ASYNC110  (it is time that is waited for)
            await asyncio.sleep(min(left_s, LOOK_S))

    def tidy(self) -> None:
        """Forget what may be done anyway."""
        now = self._clock.now()
        self._next = {key: when for key, when in self._next.items() if when > now}


class Follower:
    """Follows the jobs of one platform."""

    def __init__(self, desk: Desk, messenger: Messenger, pace: Pace) -> None:
        self._desk = desk
        self._messenger = messenger
        self._pace = pace
        self._shown: dict[int, Reply] = {}
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    def lock(self, job: int) -> asyncio.Lock:
        """Return what is held while a job's message is edited: an answer must never be overwritten by its progress."""
        return self._locks[job]

    async def look(self) -> None:
        """Edit every message that has something new to say and may say it."""
        platform = self._messenger.platform
        rows = await self._desk.ledger.read(lambda conn: outbox.followed(conn, platform))
        alive = {row.job_id for row in rows}
        self._shown = {job: reply for job, reply in self._shown.items() if job in alive}
        for job in [job for job, lock in self._locks.items() if job not in alive and not lock.locked()]:
            del self._locks[job]
        self._pace.tidy()
        for row in rows:
            posted = Posted(row.chat, row.message)
            if self._pace.due(posted) and self._pace.due(row.chat):
                async with self.lock(row.job_id):
                    await self._follow(row, posted)

    async def forever(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def _follow(self, row: FollowRow, posted: Posted) -> None:
        status = await self._desk.status(row.job_id)
        language: Language = "zh-TW" if row.language == "zh-TW" else "en"
        over = status is None or status.state not in ("queued", "running")
        reply = Reply(language=language) if status is None else follow_reply(status, language)
        if status is not None and self._shown.get(row.job_id) != reply:
            try:
                await self._messenger.edit(posted, reply)
            except Gone:
                over = True
            except RetryLater as error:
                self._pace.hold(error.retry_in_s)
                return
            except TuneTaleError as error:
                log.info("a progress message could not be edited: %s", error.message)
                over = False
            else:
                self._shown[row.job_id] = reply
            self._pace.done(posted, GAP_S)
            self._pace.done(row.chat, CHAT_GAP_S)
        if over:
            await self._desk.ledger.write(lambda conn: outbox.unfollow(conn, row.job_id))


def follow_reply(status: Status, language: Language) -> Reply:
    """Return what the message that follows a job says."""
    first = Text(say(language, "queue.accepted", job=status.job))
    cancel = Button(say(language, "button.cancel"), write("cancel", status.job), danger=True)
    live = status.state in ("queued", "running")
    return Reply((first, Text(progress(language, status))), ((cancel,),) if live else (), language=language)
