"""Discord's rate limits with the real headers (topics/rate-limits.mdx), on the real clock: the client really sleeps.

Buckets are per route and major parameter; 50 requests a second in all, interactions not counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.fakes.clock import FakeClock
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
    """The next requests of some routes (none: all) are refused; who comes back before the time breaks a rule."""

    left: int
    retry_after: float
    routes: tuple[str, ...] = ()
    everywhere: bool = False


@dataclass
class TooMany:
    headers: dict[str, str]
    body: JSON


SLEEPABLE_S = 30.0
"""Pauses up to here the client library sleeps through, in real time; longer ones pass on the world's clock."""


@dataclass
class Limits:
    clock: FakeClock
    enforced: bool = False
    storms: list[Storm] = field(default_factory=list)
    refused: int = 0
    violations: list[str] = field(default_factory=list)
    _pauses: dict[tuple[str, str], tuple[bool, float]] = field(default_factory=dict)
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
        self._check_pause(route, major)
        for storm in self.storms:
            if storm.left > 0 and (not storm.routes or route in storm.routes):
                storm.left -= 1
                sleepable = storm.retry_after <= SLEEPABLE_S
                ends = (now if sleepable else self.clock.now()) + storm.retry_after
                self._pauses[(route, major)] = (sleepable, ends)
                return headers, self._refuse(headers, storm.retry_after, "user", everywhere=storm.everywhere)
        if not fits_all:
            return headers, self._refuse(headers, self._all.ends - now, "global", everywhere=True)
        if not fits:
            return headers, self._refuse(headers, window.ends - now, "user", everywhere=False)
        return headers, None

    def _check_pause(self, route: str, major: str) -> None:
        sleepable, ends = self._pauses.pop((route, major), (True, 0.0))
        early = ends - (time.monotonic() if sleepable else self.clock.now())
        if early > 0:
            self.violations.append(f"{route} in {major}: came back {early:.3f} s before the pause was over")

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
