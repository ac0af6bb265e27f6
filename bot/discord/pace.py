"""Keeps the bot below Discord's global limit. Knows addresses and time; the limits of each route are the library's.

The library learns of the global limit only by breaking it. Every request of its session passes here just before it is
sent, by the documented `http_trace`; answers to interactions do not count towards the limit and are not held up.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import aiohttp

REQUESTS_PER_S = 45.0
"""Discord allows 50 a second (topics/rate-limits); the rest is left to requests that are sent again."""
BURST = 4
"""Requests that may go at once after a quiet moment; with those of the same second still fewer than 50."""
_FREE = ("/interactions/", "/webhooks/")


class Pace:
    """A leaky bucket in front of all requests that count."""

    def __init__(self, per_s: float = REQUESTS_PER_S, burst: int = BURST) -> None:
        self._gap_s = 1.0 / per_s
        self._slack_s = self._gap_s * burst
        self._next = 0.0

    async def turn(self) -> None:
        """Wait until one more request may be sent."""
        now = asyncio.get_running_loop().time()
        turn = max(self._next, now - self._slack_s)
        self._next = turn + self._gap_s
        if turn > now:
            await asyncio.sleep(turn - now)

    def trace(self) -> aiohttp.TraceConfig:
        """Return what makes an HTTP session keep the pace."""
        config = aiohttp.TraceConfig()
        config.on_request_start.append(self._before)
        return config

    async def _before(
        self, session: aiohttp.ClientSession, context: SimpleNamespace, request: aiohttp.TraceRequestStartParams
    ) -> None:
        path = request.url.path
        if path.startswith("/api/") and not any(free in path for free in _FREE):
            await self.turn()
