"""Whether Telegram can be heard, and how late. Knows time only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any

from bot.telegram.connection import Connection

SILENT_S = 90.0
"""Without one successful call for so long there is no connection: several times a long poll."""


class Pulse:
    """Remembers the last good call and the age of the newest update."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._heard_at: float | None = None
        self._lag_s = 0.0

    def heard(self) -> None:
        """Telegram answered."""
        self._heard_at = self._now()

    def lost(self) -> None:
        """Telegram cannot be reached."""
        self._heard_at = None

    def update(self, date: datetime | None) -> None:
        """An update came, about something of this time."""
        self.heard()
        if date is not None:
            self._lag_s = max(0.0, self._now() - date.timestamp())

    def lag_s(self) -> float | None:
        """Return the seconds by which the newest update was late; None when nothing is heard."""
        if self._heard_at is None or self._now() - self._heard_at > SILENT_S:
            return None
        return self._lag_s


class Listening(Connection):
    """The connection that polls; it tells the pulse, and whom it may concern that the token is refused."""

    def __init__(self, pulse: Pulse, refused: Callable[[], None], **more: Any) -> None:
        super().__init__(1, **more)
        self._pulse = pulse
        self._refused = refused

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Poll once."""
        try:
            code, payload = await super().do_request(*args, **kwargs)
        except Exception:  # of whatever kind: it is noted that nothing was heard, and goes on to the library
            self._pulse.lost()
            raise
        if code == HTTPStatus.OK:
            self._pulse.heard()
        elif code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):
            self._refused()
        return code, payload
