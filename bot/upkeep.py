"""Lets go of what has been kept long enough: results, uploads, the audit, copies of the store. Knows the settings."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from bot.desk import Desk
from db import audit, uploads
from engine import folders
from engine.backup import expire_beside
from engine.errors import Transient

log = logging.getLogger(__name__)

PAUSE_S = 600.0
"""Between two rounds: what is kept for an hour need not go to the minute."""
HOUR_S, DAY_S = 3600.0, 86_400.0
RESULTS_AT_ONCE = 100
"""Results that are given up in one step while files take too much room."""


async def tidy(desk: Desk) -> int:
    """Remove what is older than its time, and files that belong to nobody; return how many rows and files. What was
    deleted leaves the store's log too.
    """
    now, keep = desk.clock.now(), desk.config.retention
    removed = 0
    if keep.results_days:
        removed += await desk.queue.retire(now - keep.results_days * DAY_S)
    recent = now - keep.again_hours * HOUR_S
    oldest = now - keep.uploads_days * DAY_S if keep.uploads_days else 0.0
    removed += await desk.ledger.write(lambda conn: uploads.remove_over(conn, recent, oldest))
    if keep.audit_days:
        oldest = now - keep.audit_days * DAY_S
        removed += await desk.ledger.write(lambda conn: audit.remove_old(conn, oldest))
    removed += await desk.inbox.sweep()
    if keep.backups_days:
        old = now - keep.backups_days * DAY_S
        removed += await asyncio.to_thread(expire_beside, desk.queue.folder, old)
    if keep.most_bytes:
        removed += await _make_room(desk, keep.most_bytes)
    await desk.ledger.scrub()
    return removed


async def _make_room(desk: Desk, most_bytes: int) -> int:
    """Give up the oldest files while all together take more than they may; return how many rows and files went."""
    removed = 0
    while (excess := await asyncio.to_thread(folders.size, desk.queue.folder) - most_bytes) > 0:
        freed = await desk.ledger.write(partial(uploads.remove_oldest, excess=excess))
        gone = await desk.inbox.sweep() if freed else await desk.queue.retire_oldest(RESULTS_AT_ONCE)
        log.warning("files take %d bytes more than they may; %d of the oldest were given up", excess, gone)
        if not gone:
            break
        removed += gone
    return removed


async def tidy_forever(desk: Desk) -> None:
    """Tidy now and then, until cancelled."""
    while True:
        try:
            if removed := await tidy(desk):
                log.info("let go of %d things that were old", removed)
        except (Transient, OSError) as error:
            log.warning("tidying up has to wait: %s", error)
        await asyncio.sleep(PAUSE_S)
