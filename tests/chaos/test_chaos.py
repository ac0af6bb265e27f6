"""Promises under fire: real processes, killed at random moments. `make chaos` kills a thousand times."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from db.store import check
from tests.chaos.monkey import Monkey

log = logging.getLogger(__name__)
KILLS = int(os.environ.get("CHAOS_KILLS", "100"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
PATIENCE_S = 5.0
"""For each kill, restarts on a busy machine included."""


@pytest.mark.slow
async def test_p1_p2_p3_p4_nothing_is_lost_or_doubled_by_kills(tmp_path: Path) -> None:
    store = tmp_path / "town.sqlite"
    monkey = Monkey(str(tmp_path / "socket"), store, KILLS, SEED)
    await asyncio.wait_for(monkey.run(), 60 + PATIENCE_S * KILLS)
    chaos = monkey.chaos
    kinds = Counter(kind for *_, kind in chaos.accepted)
    log.info("%s kills, %d requests, %d doubled, %s", dict(chaos.kills), chaos.updates, chaos.doubled, dict(kinds))

    assert sum(chaos.kills.values()) >= KILLS
    requests = {str(number) for number in range(1, chaos.updates + 1)}
    # Every request has one message where the platform knows nonces; without, a kill of the program between the
    # platform's acceptance and our commit doubles one.
    assert chaos.messages(nonces=True) == Counter(requests)
    assert chaos.messages(nonces=False).keys() == requests
    assert chaos.doubled <= chaos.kills["main"]

    check(store)
    with closing(sqlite3.connect(store)) as conn:
        jobs = conn.execute("SELECT dedupe, state, result IS NOT NULL FROM job").fetchall()
        waiting = conn.execute("SELECT count(*) FROM outbox WHERE state <> 'sent'").fetchone()
    assert sorted(dedupe for dedupe, _, _ in jobs) == sorted(f"telegram:{request}" for request in requests)
    assert {state for _, state, _ in jobs} <= {"done", "dead"}
    assert waiting == (0,)
    told = {update: kind for update, _, kind in chaos.accepted}
    for dedupe, state, has_result in jobs:
        assert (told[dedupe.split(":")[1]] == "result") == (state == "done") == bool(has_result)
    assert sum(state == "done" for _, state, _ in jobs) > len(jobs) / 2
