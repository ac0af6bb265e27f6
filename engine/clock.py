"""Time, as something that is handed in."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """Return seconds since the epoch, UTC."""
        ...


class SystemClock:
    """The machine's time when this was made, from then on the seconds that really passed.

    Setting the machine's clock forwards or back never ends or prolongs a lease. `CLOCK_BOOTTIME` also counts the
    seconds during which the machine sleeps.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)

    def now(self) -> float:
        """Return seconds since the epoch, UTC."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) + self._offset
