"""Keeps the bot below Telegram's flood limits, and silent for as long as Telegram asks. Knows time and chats only.

Telegram publishes round figures (core.telegram.org/bots/faq): about one message a second in a chat with short bursts,
30 a second overall, 20 a minute in a group; when it has had enough, it says for how long (`retry_after`), and calls
during that time make it longer. The library's `AIORateLimiter` is not enough for that (22.8, `_aioratelimiter.py`): it
does not pace private chats, its buckets let 60 messages out in one second and 40 in one minute, and any request that
ends lifts the pause that another one was told to make.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Literal

from telegram.error import RetryAfter
from telegram.ext import BaseRateLimiter

log = logging.getLogger(__name__)

Urgency = Literal["now", "never_wait"]
"""`never_wait`: progress, which is worth nothing later; it is refused with `Busy` instead of waiting."""
NEVER_WAIT: Urgency = "never_wait"

MOST_CALLS = 8
"""Calls that are under way at once: more than 20 messages a second need, and few enough that those which are late do
not break the limit together with those of the next second."""
PATIENCE_S = 60.0
"""A call waits so long for its turn or for a pause to end; then it fails with `RetryAfter`, for the outbox to keep."""
MAX_TRIES = 5
"""Calls of one message that may be answered with 429."""
SLACK_S = 0.1
"""Longer than Telegram asked for, since clocks and networks are not exact."""
MOST_CHATS = 2_000
"""Chats whose pace is remembered; beyond that, those that are long silent are forgotten."""
_QUIET = ("sendChatAction",)
"""Calls that send no message, whatever they are called."""

Result = Any


class Busy(RetryAfter):
    """It is our own pace that makes a call wait too long; Telegram was not asked."""


class Pace:
    """A bucket of `burst` messages that fills by `per_s`: at most `burst + per_s * t` in any `t` seconds (GCRA)."""

    def __init__(self, burst: int, per_s: float) -> None:
        self.spare = burst // 2
        """Messages that progress leaves to answers."""
        self._every = 1.0 / per_s
        self._burst_s = (burst - 1) * self._every
        self._next = -math.inf

    def wait_s(self, now: float, ahead: int = 0) -> float:
        """Return how long a message would have to wait behind `ahead` others."""
        return max(0.0, max(self._next, now) - self._burst_s + ahead * self._every - now)

    def take(self, now: float) -> None:
        """Count a message that goes out now."""
        self._next = max(self._next, now) + self._every

    def idle(self, now: float) -> bool:
        """Return whether it is as good as new."""
        return self._next <= now


_OVERALL, _GROUP, _CHAT = (3, 19.0), (4, 14.0 / 60.0), (2, 0.9)
"""Burst and rate, below the published windows however long a call is on its way: 3 + 19 in a second and the 8 that may
arrive late make 30; 4 + 14 in a minute."""


class Line:
    """The messages of one chat, one behind the other."""

    def __init__(self, chat: int) -> None:
        self.paces: list[Pace] = [Pace(*_CHAT), *([Pace(*_GROUP)] if chat < 0 else ())]
        self.first = asyncio.Lock()
        self.waiting = 0

    def wait_s(self, now: float) -> float:
        """Return how long a message would wait that comes now."""
        return max(pace.wait_s(now, self.waiting) for pace in self.paces)

    def idle(self, now: float) -> bool:
        """Return whether it can be forgotten."""
        return not self.waiting and all(pace.idle(now) for pace in self.paces)


class FloodGate(BaseRateLimiter[Urgency]):
    """Lets calls through one by one, each when its chat, its group and the bot as a whole may speak.

    A `retry_after` holds the chat that it was about, and everything when it came for two chats at once: then the bot
    is meant, not the chat.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        paced: bool = True,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._paced = paced
        self._overall = Pace(*_OVERALL)
        self._next = asyncio.Lock()
        self._wire = asyncio.Semaphore(MOST_CALLS)
        self._lines: dict[int, Line] = {}
        self._holds: dict[int | None, float] = {}
        self._closing = asyncio.Event()

    async def initialize(self) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Let nobody wait any more."""
        self._closing.set()

    async def process_request(
        self,
        callback: Callable[..., Coroutine[Any, Any, Result]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,
        data: dict[str, Any],
        rate_limit_args: Urgency | None,
    ) -> Result:
        """Make a call in its turn. Raises `RetryAfter` (or `Busy`) when that would take longer than it may wait."""
        patience = 0.0 if rate_limit_args == NEVER_WAIT else PATIENCE_S
        chat = _chat_of(data)
        speaks = self._paced and chat is not None and endpoint not in _QUIET and endpoint.startswith(("send", "edit"))
        if endpoint == "getUpdates":  # the polling loop keeps its own pauses
            return await callback(*args, **kwargs)
        tries = 0
        while True:
            await self._silence(chat, patience)
            async with self._turn(chat, patience) if speaks and chat is not None else self._wire:
                if self._held_s(chat) > 0:  # a pause began while this waited
                    continue
                try:
                    return await callback(*args, **kwargs)
                except RetryAfter as refused:
                    tries += 1
                    self._hold(chat, _seconds(refused))
                    if tries == MAX_TRIES or _seconds(refused) > patience:
                        raise

    @asynccontextmanager
    async def _turn(self, chat: int, patience: float) -> AsyncIterator[None]:
        """Wait until the chat and the bot may speak, first come first served; a chat's messages go out one by one."""
        if (line := self._lines.get(chat)) is None:
            line = self._lines[chat] = Line(chat)
        now = self._now()
        longest = line.wait_s(now)
        if not patience:
            longest = max(pace.wait_s(now, pace.spare + line.waiting) for pace in (*line.paces, self._overall))
        if longest > patience:
            raise Busy(timedelta(seconds=math.ceil(longest)))
        line.waiting += 1
        try:
            async with line.first:
                await self._until(lambda now: max(pace.wait_s(now) for pace in line.paces))
                async with self._next:
                    await self._wire.acquire()
                    try:
                        await self._until(self._overall.wait_s)
                    except BaseException:
                        self._wire.release()
                        raise
                    for pace in (*line.paces, self._overall):
                        pace.take(self._now())
                try:
                    yield
                finally:
                    self._wire.release()
        finally:
            line.waiting -= 1
        if len(self._lines) > MOST_CHATS:
            self._lines = {chat: line for chat, line in self._lines.items() if not line.idle(self._now())}

    async def _silence(self, chat: int | None, patience: float) -> None:
        """Wait until Telegram's pauses are over."""
        if (left := self._held_s(chat)) > patience:
            raise RetryAfter(timedelta(seconds=math.ceil(left)))
        await self._until(lambda _: self._held_s(chat))

    async def _until(self, wait_s: Callable[[float], float]) -> None:
        """Sleep until there is nothing to wait for, or raise `Busy` at the end of the program."""
        while (wait := wait_s(self._now())) > 0:
            sleeping, closing = asyncio.ensure_future(self._sleep(wait)), asyncio.ensure_future(self._closing.wait())
            try:
                await asyncio.wait([sleeping, closing], return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeping.cancel()
                closing.cancel()
            if self._closing.is_set():
                raise Busy(timedelta(seconds=math.ceil(wait)))

    def _held_s(self, chat: int | None) -> float:
        return max(self._holds.get(held, -math.inf) for held in (None, chat)) - self._now()

    def _hold(self, chat: int | None, seconds: float) -> None:
        now = self._now()
        self._holds = {held: until for held, until in self._holds.items() if until > now}
        until = now + seconds + SLACK_S
        self._holds[chat] = max(until, self._holds.get(chat, until))
        chats = [other for other in self._holds if other is not None]
        if len(chats) > 1:
            self._holds[None] = max(self._holds.values())
        log.warning("Telegram asks for a pause of %.0f s in %s", seconds, "all chats" if None in self._holds else chat)


def _chat_of(data: dict[str, Any]) -> int | None:
    chat = data.get("chat_id")
    return int(chat) if isinstance(chat, int | str) and str(chat).lstrip("-").isdigit() else None


def _seconds(refused: RetryAfter) -> float:
    after = refused.retry_after
    return after.total_seconds() if isinstance(after, timedelta) else float(after)
