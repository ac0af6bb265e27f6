"""Lets go of what has been kept long enough: results, uploads, the audit. Knows the owner's retention settings."""

from __future__ import annotations

import asyncio
import logging

from bot.desk import Desk
from db import audit, uploads
from engine.errors import Transient

log = logging.getLogger(__name__)

PAUSE_S = 3600.0
"""Between two rounds: what is kept for days need not go to the minute."""
DAY_S = 86_400.0


async def tidy(desk: Desk) -> int:
    """Remove what is older than its time, and files that belong to nobody; return how many rows and files."""
    now, keep = desk.clock.now(), desk.config.retention
    removed = 0
    if keep.results_days:
        removed += await desk.queue.retire(now - keep.results_days * DAY_S)
    if keep.uploads_days:
        before = now - keep.uploads_days * DAY_S
        removed += await desk.ledger.write(lambda conn: uploads.remove_old(conn, before))
    if keep.audit_days:
        oldest = now - keep.audit_days * DAY_S
        removed += await desk.ledger.write(lambda conn: audit.remove_old(conn, oldest))
    return removed + await desk.inbox.sweep()


async def tidy_forever(desk: Desk) -> None:
    """Tidy now and then, until cancelled."""
    while True:
        try:
            if removed := await tidy(desk):
                log.info("let go of %d things that were old", removed)
        except (Transient, OSError) as error:
            log.warning("tidying up has to wait: %s", error)
        await asyncio.sleep(PAUSE_S)
