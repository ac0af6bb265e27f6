"""What the service keeps for the bot until it is fetched: the order, the filter, the expiry and the confirmation."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BUFFER_S = {"callback_query": 150.0}
"""Seconds for which an update waits while the bot is down."""
BUFFER_DEFAULT_S = 86_400.0
EXTRA = {"chat_member", "message_reaction", "message_reaction_count"}
"""Kinds that a bot must name in `allowed_updates` to get them; an empty list excludes them as well."""


@dataclass(frozen=True)
class Update:
    id: int
    kind: str
    payload: dict[str, Any]
    at: float

    def json(self) -> dict[str, Any]:
        return {"update_id": self.id, self.kind: self.payload}


class Updates:
    """Updates on their way. One is given out again until a later offset confirms it."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.allowed: list[str] = []
        self.confirmed: list[Update] = []
        self.arrived = asyncio.Event()
        self._now = now
        self._next_id = 700_000_001
        self._pending: deque[Update] = deque()
        self._repeats: list[Update] = []

    def push(self, kind: str, payload: dict[str, Any]) -> Update | None:
        """Keep an update unless the bot does not want its kind."""
        wanted = kind in self.allowed if self.allowed else kind not in EXTRA
        if not wanted:
            return None
        update = Update(self._next_id, kind, payload, self._now())
        self._next_id += 1
        self._pending.append(update)
        self.arrived.set()
        return update

    def again(self, update: Update) -> None:
        """Give out a confirmed update once more, as the service does when a confirmation was lost."""
        self._repeats.append(update)
        self.arrived.set()

    def repeats(self) -> list[Update]:
        """Return, once, what is given out again."""
        repeats, self._repeats = self._repeats, []
        return repeats

    def forget(self) -> None:
        self._pending.clear()

    def confirm(self, update_id: int) -> None:
        """Drop everything up to `update_id`."""
        while self._pending and self._pending[0].id <= update_id:
            self.confirmed.append(self._pending.popleft())

    def waiting(self) -> list[Update]:
        """Return what can still be given out, oldest first."""
        now = self._now()
        alive = [u for u in self._pending if now - u.at <= BUFFER_S.get(u.kind, BUFFER_DEFAULT_S)]
        self._pending = deque(alive)
        return alive
