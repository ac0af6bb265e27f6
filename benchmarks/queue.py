"""How fast the durable queue is: `python -m benchmarks.queue`. Every number is with synchronous=FULL on a real file.

"Raw" is the floor that the disk and SQLite set: the same kind of row inserted by plain `sqlite3`, one COMMIT for each.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from db.store import Store
from engine.jobs import Asker, TextEmotionRequest
from engine.policy import Policy
from engine.queue import Queue

FINISHED = 100_000
PEOPLE = 200
CLAIMS = 200
SUBMITS_GOAL = 3_000  # per second
CLAIM_GOAL_MS = 5.0

_REQUEST = TextEmotionRequest(("A quiet street after the rain.",))
# Finished jobs, spread over the people, written directly: only their number matters here.
_FILL = (
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    " INSERT INTO job (kind, version, args, person_id, chat_id, state, attempt, run_after, created, ended, result)"
    " SELECT 'text_emotion', 1, '{}', 1 + i % ?, 1, 'done', 1, 0, 0, 0, '{}' FROM n"
)


async def submits_per_s(queue: Queue, store: Store, rounds: int = 5) -> list[float]:
    """Submit what the default quotas allow (200 people, 5 each) at the same moment; then empty the queue, untimed."""
    speeds = []
    for _ in range(rounds):
        asks = [Asker("console", str(i % PEOPLE), str(i % PEOPLE)) for i in range(Policy().total)]
        start = time.perf_counter()
        await asyncio.gather(*(queue.submit(_REQUEST, asker) for asker in asks))
        speeds.append(len(asks) / (time.perf_counter() - start))
        await store.write(lambda conn: conn.execute("DELETE FROM job WHERE state = 'queued'").rowcount)
    return speeds


async def claims_ms(queue: Queue) -> list[float]:
    """Claim one job after the other while the rest of a full queue waits."""
    asks = [Asker("console", str(i % PEOPLE), str(i % PEOPLE)) for i in range(Policy().total)]
    await asyncio.gather(*(queue.submit(_REQUEST, asker) for asker in asks))
    times = []
    for _ in range(CLAIMS):
        start = time.perf_counter()
        assert await queue.claim() is not None
        times.append((time.perf_counter() - start) * 1000)
    return times


def raw_commits_ms(path: Path, seconds: float = 1.0) -> list[float]:
    """Plain `sqlite3`: one insert, one COMMIT, again and again; how long each took."""
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("PRAGMA journal_mode = WAL").fetchall()
    conn.execute("PRAGMA synchronous = FULL")
    conn.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, args TEXT)")
    times: list[float] = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        conn.execute("INSERT INTO t (args) VALUES (?)", ("x" * 100,))
        times.append((time.perf_counter() - start) * 1000)
    conn.close()
    return times


def median_and_p99(times: list[float]) -> tuple[str, str]:
    """Return both as text."""
    return f"{statistics.median(times):.2f}", f"{sorted(times)[int(len(times) * 0.99)]:.2f}"


async def measure() -> None:
    """Measure and print one table."""
    table = Table(title=f"durable queue, {FINISHED:,} finished jobs, SQLite {sqlite3.sqlite_version}")
    for name in ("what", "median", "worst", "goal"):
        table.add_column(name, justify="left" if name == "what" else "right")
    with tempfile.TemporaryDirectory(prefix="tunetale-bench-") as name:
        folder = Path(name)
        raw = raw_commits_ms(folder / "raw.sqlite")
        async with await Store.open(folder / "store.sqlite") as store:
            queue = Queue(store, folder / "files")
            fresh = await submits_per_s(queue, store)
            await store.write(lambda conn: conn.execute(_FILL, (FINISHED, PEOPLE)).rowcount)
            full = await submits_per_s(queue, store)
            before = time.process_time()
            claims = await claims_ms(queue)
            # Holds whatever else the machine does; includes submitting the jobs that are claimed.
            spent_ms = (time.process_time() - before) * 1000 / CLAIMS
        raw += raw_commits_ms(folder / "raw again.sqlite")  # the disk may have other work by now
        table.add_row("raw, one insert and COMMIT (jobs/s)", f"{1000 * len(raw) / sum(raw):,.0f}", "", "")
        goal = f"≥ {SUBMITS_GOAL:,}"
        for what, speeds in (("empty store", fresh), (f"{FINISHED:,} finished", full)):
            row = f"{statistics.median(speeds):,.0f}", f"{min(speeds):,.0f}"
            table.add_row(f"submit, 1,000 at once, {what} (jobs/s)", *row, goal)
        table.add_row("raw, one insert and COMMIT (ms; worst: p99)", *median_and_p99(raw), "")
        table.add_row("claim, 1,000 waiting (ms; worst: p99)", *median_and_p99(claims), f"≤ {CLAIM_GOAL_MS}")
        table.add_row("claim, processor time and 5 submits (ms, mean)", f"{spent_ms:.2f}", "", "")
    console = Console()
    console.print(table)
    console.print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def main() -> None:
    """Print the table."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
