"""How fast votes are recorded and worked out: `python -m benchmarks.votes`.

Votes go through the same call as a button's, with its rules, history and FULL sync, on a real file. The statistics are
everything that `tunetale stats` tells, 1,000 two-way bootstrap draws included, in this process.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bot.ballots import Ballots
from bot.contract import Actor
from db import people
from db.store import Store
from engine.clock import SystemClock
from engine.evaluation.agreement import rater_flags
from engine.evaluation.votes import Answers, report
from engine.ledger import Ledger

VOTERS, PAIRS, ROUNDS = 2_000, 50, 5
VOTES = 10_000
"""In a round, all at the same moment."""
RECORDED_GOAL = 10_000  # per second
STATISTICS_GOAL_S = 5.0
RATERS, RATED, ANSWERS = 2_000, 5_000, 100_000


def fill(conn: sqlite3.Connection) -> None:
    """Add pairs and voters; only their number matters."""
    maker, chat = people.person_id(conn, "discord", "maker", 0.0), people.chat_id(conn, "discord", "room", 0.0)
    for pair in range(1, PAIRS + 1):
        conn.execute(
            "INSERT INTO job (kind, version, args, person_id, chat_id, state, attempt, run_after, created, ended,"
            " result) VALUES ('compose', 1, '{}', ?, ?, 'done', 1, 0, 0, 0, '{}')", (maker, chat)
        )  # fmt: skip
        conn.execute(
            "INSERT INTO pair (job_id, kind, person_id, chat_id, created, folder, distance, better_than_shuffled,"
            " aligned_by) VALUES (?, 'compose', ?, ?, 0, 'f', 0.1, 0.9, 'x')", (pair, maker, chat)
        )  # fmt: skip
    for voter in range(VOTERS):
        people.person_id(conn, "discord", str(voter), 0.0)


async def fingerprint(platform: str, person: str) -> str:
    """Return what the desk makes of a person, with a key of our own."""
    return hmac.new(b"benchmark", f"{platform}:{person}".encode(), hashlib.sha256).hexdigest()


async def recorded_per_s(path: Path) -> tuple[list[float], float]:
    """Return votes recorded per second, round by round, and the least processor time of a vote in microseconds.

    Every vote of a round is a new ballot.
    """
    speeds, spent = [], []
    async with await Store.open(path) as store:
        await store.write(fill)
        ballots = Ballots(Ledger(store), SystemClock(), fingerprint)
        for round_ in range(ROUNDS):
            first = 1 + round_ * VOTES // VOTERS
            cells = [(voter, first + i) for i in range(VOTES // VOTERS) for voter in range(VOTERS)]
            start, worked = time.perf_counter(), time.process_time()
            await asyncio.gather(
                *(ballots.vote(Actor("discord", str(v)), p, (v + p) % 6, scope_id=None) for v, p in cells)
            )
            speeds.append(len(cells) / (time.perf_counter() - start))
            spent.append((time.process_time() - worked) / len(cells) * 1e6)
    return speeds, min(spent)


def answers() -> Answers:
    """Return ANSWERS answers of RATERS people about RATED pairs, sparse, an eighth of them controls."""
    rng = np.random.default_rng(0)
    cells = rng.choice(RATERS * RATED, ANSWERS, replace=False)
    rater, pair = cells // RATED, cells % RATED
    distance, unknown = rng.gamma(4, 0.06, RATED), np.full(ANSWERS, np.nan)
    control = rng.random(ANSWERS) < 0.125
    latent = 3.5 - 2 * distance[pair] - control + 0.5 * rng.normal(size=RATERS)[rater] + rng.normal(size=ANSWERS)
    return Answers(
        {
            "rater": rater.astype(np.str_),
            "pair": pair.astype(np.str_),
            "story": (pair + RATED * control).astype(np.str_),
            "condition": np.where(control, "mismatch", "match"),
            "via": np.where(rng.random(ANSWERS) < 0.5, "test", "button"),
            "platform": np.where(rater % 2, "discord", "telegram"),
            "variant": np.where(pair % 2, "one", "two"),
            "score": np.clip(np.rint(latent), 0, 5),
            "at": unknown,
            "delay_s": np.full(ANSWERS, 60.0),
            "account_age_s": unknown,
            "distance": distance[pair],
            "better_than_shuffled": rng.random(RATED)[pair],
            "valence_r": unknown,
            "arousal_r": unknown,
        }
    )


def careless() -> tuple[float, float]:
    """Return precision and recall of the careless among 200 raters of 24 pairs, a tenth planted, over ten polls."""
    hits = flagged = planted = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        bad = set(rng.choice(200, 20, replace=False).tolist())
        quality, controls = 3.4 + 0.6 * rng.normal(size=24), 1.6 + 0.4 * rng.normal(size=24)
        rater, thing = (axis.ravel() for axis in np.indices((200, 28)))
        thing = np.where(thing < 24, thing, 24 + (rater + thing) % 24)
        centre = np.concatenate([quality, controls])[thing] + 0.5 * rng.normal(size=200)[rater]
        score = np.clip(np.rint(centre + 0.9 * rng.normal(size=len(rater))), 0, 5)
        score = np.where(np.isin(rater, list(bad)), rng.integers(0, 6, len(rater)), score)
        found = {flag.rater for flag in rater_flags(rater, thing, score, np.full(len(rater), 60.0)) if flag.careless}
        hits, flagged, planted = hits + len(found & bad), flagged + len(found), planted + len(bad)
    return hits / flagged, hits / planted


def main() -> None:
    """Measure and print one table."""
    table = Table("what", "median", "worst", "goal", title=f"votes, SQLite {sqlite3.sqlite_version}")
    with tempfile.TemporaryDirectory(prefix="tunetale-bench-") as folder:
        speeds, spent_us = asyncio.run(recorded_per_s(Path(folder) / "store.sqlite"))
    median, worst = f"{statistics.median(speeds):,.0f}", f"{min(speeds):,.0f}"
    table.add_row(f"recorded through the store, {VOTES:,} at once (votes/s)", median, worst, f"≥ {RECORDED_GOAL:,}")
    # Holds whatever else the machine does: 100 µs on one core are 10,000 votes a second.
    table.add_row("processor time of a vote (µs)", f"{spent_us:.0f}", "", "≤ 100")
    given, times, work = answers(), [], []
    for _ in range(3):
        start, worked = time.perf_counter(), time.process_time()
        report(given)
        times.append(time.perf_counter() - start)
        work.append(time.process_time() - worked)
    what = f"statistics, {ANSWERS:,} votes, {RATERS:,} × {RATED:,}, 1,000 draws (s)"
    table.add_row(what, f"{statistics.median(times):.2f}", f"{max(times):.2f}", f"≤ {STATISTICS_GOAL_S:g}")
    table.add_row("the same in processor time (s)", f"{statistics.median(work):.2f}", f"{max(work):.2f}", "")
    precision, recall = careless()
    table.add_row("careless raters, precision", f"{precision:.0%}", "", "")
    table.add_row("careless raters, recall", f"{recall:.0%}", "", "")
    console = Console()
    console.print(table)
    console.print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
