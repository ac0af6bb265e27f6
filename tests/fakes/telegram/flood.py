"""How fast a bot may speak. The service publishes round figures only; these windows hold it to them to the letter.

Telegram's FAQ for bots: one message a second in a chat with short bursts, 30 a second overall, 20 a minute in a group.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable

OVERALL, OVERALL_S = 30, 1.0
GROUP, GROUP_S = 20, 60.0
BURST = 3
"""Messages that one chat may get at once, at one a second in the long run ("short bursts")."""


class Flood:
    """Sliding windows over the messages and edits of a bot; `hold` is what it was told to wait for."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._overall: deque[float] = deque()
        self._groups: defaultdict[int, deque[float]] = defaultdict(deque)
        self._empty_at: defaultdict[int, float] = defaultdict(float)

    def retry_after(self, chat_id: int) -> int | None:
        """Count one message to a chat and return None, or count nothing and return the seconds to wait."""
        now = self._now()
        waits = [_wait(self._overall, OVERALL, OVERALL_S, now)]
        if chat_id < 0:
            waits.append(_wait(self._groups[chat_id], GROUP, GROUP_S, now))
        level = max(0.0, self._empty_at[chat_id] - now)
        waits.append(level - (BURST - 1))
        if max(waits) > 1e-6:
            return max(1, math.ceil(max(waits)))
        self._overall.append(now)
        if chat_id < 0:
            self._groups[chat_id].append(now)
        self._empty_at[chat_id] = now + level + 1.0
        return None


def _wait(window: deque[float], most: int, seconds: float, now: float) -> float:
    while window and window[0] <= now - seconds:
        window.popleft()
    return window[0] + seconds - now if len(window) >= most else 0.0
