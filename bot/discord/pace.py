"""Keeps the bot below Discord's global limit. Knows addresses and time; the limits of each route are the library's.

The library learns of the global limit only by breaking it. Every request of its session passes here just before it is
sent, by the documented `http_trace`; answers to interactions do not count towards the limit and are not held up.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import aiohttp

REQUESTS_PER_S = 45.0
"""Discord allows 50 a second (topics/rate-limits); the rest is for requests that overtake each other on the line."""
_FREE = ("/interactions/", "/webhooks/")


class Pace:
    """One request after the other, never closer than the limit allows: nothing is saved up for a burst, because after
    a stall of the loop it would come on top of what was held up."""

    def __init__(self, per_s: float = REQUESTS_PER_S) -> None:
        self._gap_s = 1.0 / per_s
        self._next = 0.0
        self._line = asyncio.Lock()

    async def turn(self) -> None:
        """Wait until one more request may be sent."""
        loop = asyncio.get_running_loop()
        async with self._line:
            wait_s = self._next - loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self._next = loop.time() + self._gap_s

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
