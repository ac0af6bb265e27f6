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
from tests.chaos.monkey import Chaos, Monkey

log = logging.getLogger(__name__)
LONG = "CHAOS_KILLS" in os.environ
KILLS = int(os.environ.get("CHAOS_KILLS", "100"))
REAL_KILLS = int(os.environ.get("CHAOS_REAL_KILLS", "12"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
PATIENCE_S = 5.0
"""For each kill, restarts on a busy machine included."""
VICTIMS = {"main", "main paused", "worker", "worker stopped", "fetch"}


@pytest.mark.slow
async def test_p1_p2_p3_p4_nothing_is_lost_or_doubled_by_kills(tmp_path: Path) -> None:
    store = tmp_path / "town.sqlite"
    monkey = Monkey(str(tmp_path / "socket"), store, KILLS, SEED)
    await asyncio.wait_for(monkey.run(), 60 + PATIENCE_S * KILLS)
    done = nothing_lost_or_doubled(monkey.chaos, store)
    assert sum(monkey.chaos.kills.values()) >= KILLS
    if KILLS >= 1_000:
        assert monkey.chaos.kills.keys() == VICTIMS
    assert done > monkey.chaos.updates / 2


@pytest.mark.slow
@pytest.mark.skipif(not LONG, reason="minutes; tests/e2e/test_kill.py kills a real worker and a real program once each")
async def test_p1_p2_p3_real_stories_and_compositions_survive_kills(tmp_path: Path) -> None:
    store = tmp_path / "town.sqlite"
    monkey = Monkey(
        str(tmp_path / "socket"), store, REAL_KILLS, SEED, kind="real", open_=3, kill_share=0.04, main_share=0.4
    )
    await asyncio.wait_for(monkey.run(), 60 + 60 * REAL_KILLS)
    done = nothing_lost_or_doubled(monkey.chaos, store)
    assert monkey.chaos.kills["main"] > 0
    assert monkey.chaos.kills["worker"] > 0
    assert done > 0


def nothing_lost_or_doubled(chaos: Chaos, store: Path) -> int:
    """Check every request, result and message against the store; return how many jobs are done."""
    kinds = Counter(each.kind for each in chaos.accepted)
    log.info(
        "%s kills, %d requests, %d doubled of which %d without a kill between, %s",
        dict(chaos.kills), chaos.updates, chaos.doubled, chaos.unexplained, dict(kinds),
    )  # fmt: skip
    requests = {str(number) for number in range(1, chaos.updates + 1)}
    # Every request has one message where the platform knows nonces; without, only the death of the program between the
    # platform's acceptance and our commit doubles one.
    assert chaos.messages(nonces=True) == Counter(requests)
    assert chaos.messages(nonces=False).keys() == requests
    assert chaos.unexplained == 0
    assert chaos.doubled <= chaos.kills["main"]

    check(store)
    with closing(sqlite3.connect(store)) as conn:
        jobs = conn.execute("SELECT dedupe, state, result IS NOT NULL FROM job").fetchall()
        waiting = conn.execute("SELECT count(*) FROM outbox WHERE state <> 'sent'").fetchone()
        doubled = conn.execute("SELECT count(*) - count(DISTINCT job_id) FROM pair").fetchone()
    assert sorted(dedupe for dedupe, _, _ in jobs) == sorted(f"telegram:{request}" for request in requests)
    assert {state for _, state, _ in jobs} <= {"done", "dead"}
    assert (waiting, doubled) == ((0,), (0,))
    told = {each.update: each.kind for each in chaos.accepted}
    for dedupe, state, has_result in jobs:
        assert (told[dedupe.split(":")[1]] == "result") == (state == "done") == bool(has_result)
    return sum(state == "done" for _, state, _ in jobs)
