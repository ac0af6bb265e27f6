"""Discord's rate limits with the real headers (topics/rate-limits.mdx), on the real clock: the client really sleeps.

Buckets are per route and major parameter; 50 requests a second in all, interactions not counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.fakes.discord.world import JSON

GLOBAL = 50
"""Requests of one bot within a second."""
BUCKETS: dict[str, tuple[int, float]] = {
    "create message": (5, 5.0),
    "edit message": (5, 5.0),
    "delete message": (5, 1.0),
    "react": (1, 0.25),
    "list reactions": (5, 5.0),
    "open dm": (10, 10.0),
    "webhook": (5, 2.0),
    "register commands": (2, 20.0),
}
"""Limit and window in seconds of each route; as measured by bot authors, for Discord names none."""
PLENTY = (10_000, 1.0)
"""What other routes get, and all of them while the limits are not enforced."""
INVALID = (401, 403, 429)
"""Answers of which 10,000 in ten minutes get an address banned."""


@dataclass
class Window:
    limit: int
    length: float
    ends: float = 0.0
    used: int = 0

    def take(self, now: float) -> bool:
        if now >= self.ends:
            self.ends, self.used = now + self.length, 0
        self.used += 1
        return self.used <= self.limit


@dataclass
class Storm:
    """The next requests are refused, whatever they are."""

    left: int
    retry_after: float
    route: str | None = None
    everywhere: bool = False


@dataclass
class TooMany:
    headers: dict[str, str]
    body: JSON


@dataclass
class Limits:
    enforced: bool = False
    storms: list[Storm] = field(default_factory=list)
    refused: int = 0
    _windows: dict[tuple[str, str], Window] = field(default_factory=dict)
    _all: Window = field(default_factory=lambda: Window(GLOBAL, 1.0))

    def admit(self, route: str, major: str) -> tuple[dict[str, str], TooMany | None]:
        """Return the headers of the answer, and the refusal if there is one."""
        now = time.monotonic()
        limit, length = BUCKETS.get(route, PLENTY) if self.enforced else PLENTY
        window = self._windows.setdefault((route, major), Window(limit, length))
        counted = self.enforced and route not in ("webhook", "callback", "cdn")
        fits = window.take(now)
        fits_all = not counted or self._all.take(now)
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - window.used)),
            "X-RateLimit-Reset": f"{time.time() + window.ends - now:.3f}",
            "X-RateLimit-Reset-After": f"{window.ends - now:.3f}",
            "X-RateLimit-Bucket": route.replace(" ", "-"),
        }
        for storm in self.storms:
            if storm.left > 0 and storm.route in (None, route):
                storm.left -= 1
                return headers, self._refuse(headers, storm.retry_after, "user", everywhere=storm.everywhere)
        if not fits_all:
            return headers, self._refuse(headers, self._all.ends - now, "global", everywhere=True)
        if not fits:
            return headers, self._refuse(headers, window.ends - now, "user", everywhere=False)
        return headers, None

    def _refuse(self, headers: dict[str, str], retry_after: float, scope: str, *, everywhere: bool) -> TooMany:
        self.refused += 1
        more = {"Retry-After": str(int(retry_after) + 1), "X-RateLimit-Scope": scope, "Via": "1.1 google"}
        if everywhere:
            more["X-RateLimit-Global"] = "true"
        else:
            more["X-RateLimit-Remaining"] = "0"
        body = {
            "message": "You are being rate limited.",
            "retry_after": round(retry_after, 3),
            "global": everywhere,
            "code": 0,
        }
        return TooMany(headers | more, body)
