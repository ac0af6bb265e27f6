"""What the tables refuse by themselves, and which index answers which query."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from db import jobs, outbox, people
from db.migrate import migrate, shipped

JOB = {
    "kind": "story", "version": 1, "args": "{}", "person_id": 1, "chat_id": 1, "state": "queued", "attempt": 0,
    "run_after": 0.0, "created": 0.0,
}  # fmt: skip
RUNNING = {"state": "running", "attempt": 1, "lease": "t", "lease_until": 1.0, "deadline": 1.0}
DONE = {"state": "done", "attempt": 1, "ended": 1.0, "result": "{}"}
DEAD = {"state": "dead", "attempt": 1, "ended": 1.0, "error_code": "x", "fault": "ours", "error_message": "x"}


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn, Path("store"), shipped())
    people.person_id(conn, "console", "anna", 0.0)
    people.chat_id(conn, "console", "kitchen", 0.0)
    yield conn
    conn.close()


def insert(conn: sqlite3.Connection, table: str, row: dict[str, object]) -> None:
    conn.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))


@pytest.mark.parametrize("change", [{}, RUNNING, DONE, DEAD, {"state": "cancelled", "ended": 1.0}])
def test_possible_jobs(conn: sqlite3.Connection, change: dict[str, object]) -> None:
    insert(conn, "job", JOB | change)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "sleeping"},
        {"args": ""},
        {"person_id": 9},
        {"attempt": -1},
        {"lease": "t", "lease_until": 1.0, "deadline": 1.0},  # queued, yet leased
        RUNNING | {"lease": None},
        RUNNING | {"lease_until": None},
        RUNNING | {"deadline": None},
        RUNNING | {"attempt": 0},  # running, yet not charged
        RUNNING | {"ended": 1.0},
        DONE | {"result": None},
        DONE | {"ended": None},
        DONE | {"lease": "t", "lease_until": 1.0, "deadline": 1.0},
        DEAD | {"error_message": None},
        {"result": "{}"},  # queued, yet with a result
    ],
)
def test_impossible_jobs(conn: sqlite3.Connection, change: dict[str, object]) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        insert(conn, "job", JOB | change)


@pytest.mark.parametrize("state", [{}, RUNNING, DONE], ids=["queued", "running", "done"])
def test_two_jobs_never_share_a_dedupe_key(conn: sqlite3.Connection, state: dict[str, object]) -> None:
    insert(conn, "job", JOB | {"dedupe": "k"} | state)
    insert(conn, "job", JOB | {"dedupe": "other"})
    with pytest.raises(sqlite3.IntegrityError):
        insert(conn, "job", JOB | {"dedupe": "k"})


def test_a_job_has_one_answer(conn: sqlite3.Connection) -> None:
    insert(conn, "job", JOB | DONE)
    outbox.add(conn, 1, "console", "n1", 0.0)
    with pytest.raises(sqlite3.IntegrityError):
        outbox.add(conn, 1, "console", "n2", 0.0)
    with pytest.raises(sqlite3.IntegrityError):
        conn.execute("UPDATE outbox SET state = 'sent'")


def test_what_a_person_made_goes_with_the_person_and_ids_are_not_used_again(conn: sqlite3.Connection) -> None:
    conn.execute("PRAGMA foreign_keys = ON")
    insert(conn, "job", JOB | DONE)
    outbox.add(conn, 1, "console", "n", 0.0)
    conn.execute(jobs.TURN, (1, "story"))
    insert(conn, "pair", {"job_id": 1, "kind": "story", "person_id": 1, "chat_id": 1, "created": 0.0, "folder": "1-1",
                          "distance": 0.1, "better_than_shuffled": 0.9, "aligned_by": "x"})  # fmt: skip
    conn.execute("DELETE FROM person")
    for table in ("job", "outbox", "turn", "pair"):
        assert conn.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    assert people.person_id(conn, "console", "anna", 0.0) == 2
    insert(conn, "job", JOB | {"person_id": 2})
    assert conn.execute("SELECT id FROM job").fetchall() == [(2,)]


@pytest.mark.parametrize("analysed", [False, True])
def test_no_query_walks_through_a_table(conn: sqlite3.Connection, analysed: bool) -> None:
    conn.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        " INSERT INTO job (kind, version, args, person_id, chat_id, state, attempt, run_after, created, ended, result)"
        " SELECT 'story', 1, '{}', 1, 1, 'done', 1, 0, 0, 0, '{}' FROM n"
    )
    conn.execute("INSERT INTO outbox (job_id, platform, nonce, state, send_after, created, ended)"
                 " SELECT id, 'console', id, 'sent', 0, 0, 0 FROM job")  # fmt: skip
    for _ in range(20):
        insert(conn, "job", JOB)
    for i in range(500):
        people.person_id(conn, "console", f"{i}", 0.0)
        people.chat_id(conn, "console", f"{i}", 0.0)
    if analysed:
        conn.execute("ANALYZE")
    uses = {
        jobs.LANES: "job_lane (state=?)",
        jobs.NEXT_TIME: "job_ready (state=?)",
        jobs.WAITING: "job_ready (state=?)",
        jobs.WORK: "job_ended (ended>?)",
        jobs.EXPIRED: "job_busy (state=? AND lease_until<?)",
        jobs.FOREIGN: "job_busy (state=?)",
        jobs.HURRY: "job_ready (state=? AND run_after>?)",
        jobs.BY_LEASE: "job_lease (lease=?)",
        jobs.BY_DEDUPE: "job_dedupe (dedupe=?)",
        outbox.NEXT: "outbox_open (platform=?",
        outbox.NEXT_TIME: "outbox_open (platform=?",
    }
    named = {"platform": "console", "holder": "h", "now": 0.0, "most": 0.0}
    queries = [
        (name, sql)
        for module in (jobs, outbox, people)
        for name, sql in vars(module).items()
        if name.isupper() and isinstance(sql, str) and not name.startswith("_")
    ]
    assert {sql for _, sql in queries} >= uses.keys()
    for name, sql in queries:
        numbered = [int(number) for number in re.findall(r"\?(\d)", sql)]
        values = named if ":" in sql else ("h",) * (max(numbered) if numbered else sql.count("?"))
        steps = [step for *_, step in conn.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
        walks = [s for s in steps if s.startswith("SCAN") and not s.startswith(("SCAN CONSTANT ROW", "SCAN (subquery"))]
        # The outbox_open index holds open answers only, and EXISTS stops at the first.
        assert walks in ([], ["SCAN outbox USING INDEX outbox_open"]), (name, steps)
        assert uses.get(sql, "") in " ".join(steps), (name, steps)
