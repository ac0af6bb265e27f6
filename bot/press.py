"""From a pressed button to its use case: the one handler that a platform needs for all buttons."""

from __future__ import annotations

from bot.contract import Actor, Place, Reply
from bot.desk import Desk, use_case


@use_case
async def press(desk: Desk, actor: Actor, place: Place, token: str, *, dedupe: str | None = None) -> Reply:
    """Do what the button says: `again:<job>`, `other:<pair>`, `why:<pair>`, `delete:<pair>`, `cancel:<job>`,
    `rate:<pair>:<0–5>`, `language:<code>`, `yes:<confirmation>`, `no:<confirmation>`, and what `VERBS` adds."""
    raise NotImplementedError
