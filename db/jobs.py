"""Jobs in the store. Every change of a running job shows its lease; without it the row does not match and stays."""

from __future__ import annotations

import sqlite3

from db import uploads
from db.rows import JobRow, LaneRow, WaitingRow, WorkRow

_JOB = (
    "SELECT job.id, job.kind, job.version, job.args, job.person_id, job.chat_id, person.platform, person.key, chat.key,"
    " job.reply_to, job.state, job.attempt, job.crashes, job.transients, job.lease, job.lease_until, job.deadline,"
    " job.created, job.error_code, job.error_message, job.fault, job.incident"
    " FROM job JOIN person ON person.id = job.person_id JOIN chat ON chat.id = job.chat_id WHERE "
)

# One job.
BY_ID = _JOB + "job.id = ?"
# The running job of a lease.
BY_LEASE = _JOB + "job.lease = ?"
# The job that was asked for with the same key.
BY_DEDUPE = _JOB + "job.dedupe = ?"
# A new job.
ADD = (
    "INSERT INTO job (kind, version, args, person_id, chat_id, reply_to, dedupe, run_after, created, asked_turn)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(served), 0) FROM turn))"
)
# How many jobs wait for a person, for a chat, and at all; each is counted no further than asked.
WAITING = (
    "SELECT (SELECT count(*) FROM (SELECT 1 FROM job WHERE person_id = ? AND state = 'queued' LIMIT ?)),"
    " (SELECT count(*) FROM (SELECT 1 FROM job WHERE chat_id = ? AND state = 'queued' LIMIT ?)),"
    " (SELECT count(*) FROM (SELECT 1 FROM job WHERE state = 'queued' LIMIT ?))"
)
# The work that was done for a person since a time. (All jobs of an hour are fewer than one person's of a year.)
WORK = (
    "SELECT ended, max(0, min(ended - started, ?)) FROM job INDEXED BY job_ended"
    " WHERE ended > ? AND person_id = ? AND started IS NOT NULL ORDER BY ended"
)
# Everybody who waits, per kind, with the oldest job that may run, when they were last served, and earned turns.
LANES = (
    "SELECT job.person_id, job.kind, min(job.id), count(*), coalesce(turn.served, 0),"
    " max(min(job.asked_turn), coalesce(turn.served, 0)), coalesce(credit.turns, 0)"
    " FROM job LEFT JOIN credit ON credit.person_id = job.person_id"
    " LEFT JOIN turn ON turn.person_id = job.person_id AND turn.kind = job.kind"
    " WHERE job.state = 'queued' AND job.run_after <= ? GROUP BY job.person_id, job.kind"
)
# How many jobs of the same person and kind are older than a queued one.
DEPTH = "SELECT count(*) FROM job WHERE person_id = ? AND kind = ? AND state = 'queued' AND id < ?"
# A queued job that becomes somebody's work.
CLAIM = (
    "UPDATE job SET state = 'running', attempt = attempt + 1, lease = ?, lease_until = ?, deadline = ?, started = ?"
    " WHERE id = ? AND state = 'queued'"
)
# The person's turn is over; the largest number is the newest.
TURN = (
    "INSERT INTO turn (person_id, kind, served) VALUES (?, ?, (SELECT coalesce(max(served), 0) + 1 FROM turn))"
    " ON CONFLICT (person_id, kind) DO UPDATE SET served = excluded.served"
)
# An earned turn was used: the last one goes with its row.
SPEND = "UPDATE credit SET turns = turns - 1 WHERE person_id = ? AND turns > 1"
SPEND_LAST = "DELETE FROM credit WHERE person_id = ?"
# When the next queued job may run.
NEXT_TIME = "SELECT min(run_after) FROM job WHERE state = 'queued'"
# A lease that goes on, but never past one lease after the deadline.
EXTEND = "UPDATE job SET lease_until = min(?, deadline + ?) WHERE lease = ?"
# A job that is done.
DONE = (
    "UPDATE job SET state = 'done', result = ?, ended = ?,"
    " lease = NULL, lease_until = NULL, deadline = NULL WHERE lease = ?"
)
# A job that failed and will be tried again.
AGAIN = (
    "UPDATE job SET state = 'queued', run_after = ?, crashes = ?, transients = ?,"
    " error_code = ?, error_message = ?, fault = ?, incident = ?,"
    " lease = NULL, lease_until = NULL, deadline = NULL WHERE lease = ?"
)
# A job that failed for good.
DEAD = (
    "UPDATE job SET state = 'dead', ended = ?, crashes = ?, transients = ?,"
    " error_code = ?, error_message = ?, fault = ?, incident = ?,"
    " lease = NULL, lease_until = NULL, deadline = NULL WHERE lease = ?"
)
# A running job whose worker was told to stop: the attempt does not count.
RELEASE = (
    "UPDATE job SET state = 'queued', attempt = attempt - 1,"
    " lease = NULL, lease_until = NULL, deadline = NULL WHERE lease = ?"
)
# A job that nobody wants any more.
CANCEL = (
    "UPDATE job SET state = 'cancelled', ended = ?,"
    " lease = NULL, lease_until = NULL, deadline = NULL WHERE id = ? AND state IN ('queued', 'running')"
)
# Running jobs whose lease has run out.
EXPIRED = _JOB + "job.state = 'running' AND job.lease_until < ?"
# Running jobs whose lease was given out by another process.
FOREIGN = _JOB + "job.state = 'running' AND substr(job.lease, 1, length(?1)) <> ?1"
# Queued jobs that wait longer than any delay lasts: the clock was set back while nothing ran.
HURRY = "UPDATE job SET run_after = :now WHERE state = 'queued' AND run_after > :now + :most"
# Whether an attempt is at work or has made the result, and nobody has taken that away.
NEEDED = (
    "SELECT EXISTS (SELECT 1 FROM job WHERE id = ? AND attempt = ? AND state IN ('running', 'done')"
    " AND NOT EXISTS (SELECT 1 FROM pair WHERE pair.job_id = job.id AND pair.deleted IS NOT NULL))"
)
# A person's jobs that are not over, oldest first.
_LIVE_OF = "SELECT id FROM job INDEXED BY job_person WHERE person_id = ? AND state IN ('queued', 'running')"
LIVE_OF = _JOB + f"job.id IN ({_LIVE_OF})"
# The jobs that are not over of a chat, or of a server with its chats, oldest first.
_LIVE_IN = (
    "SELECT id FROM job INDEXED BY job_chat WHERE state IN ('queued', 'running')"
    " AND chat_id IN (SELECT ?1 UNION SELECT id FROM chat WHERE server_id = ?1)"
)
LIVE_IN = _JOB + f"job.id IN ({_LIVE_IN})"
# How long the newest jobs of a kind took, from the last start of their work.
MEASURED = (
    "SELECT ended - started FROM job WHERE kind = ? AND state = 'done' AND started IS NOT NULL ORDER BY id DESC LIMIT ?"
)
# When work on a job began.
STARTED = "SELECT started FROM job WHERE id = ?"
# How many jobs wait, and how many run.
LIVE_COUNTS = (
    "SELECT (SELECT count(*) FROM job WHERE state = 'queued'), (SELECT count(*) FROM job WHERE state = 'running')"
)
# What a job has made: its result and the attempt whose folder holds the files.
RESULT = "SELECT result, attempt FROM job WHERE id = ? AND state = 'done'"
# A job without its words: what was asked, and what came of it.
EMPTY = "UPDATE job SET args = '{}', result = '{}' WHERE id = ? AND state = 'done'"
# Jobs that were over before a time.
OLD = "DELETE FROM job WHERE state IN ('done', 'dead', 'cancelled') AND ended < ?"
# Jobs that were over first, by the index job_ended.
OLDEST = "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE ended IS NOT NULL ORDER BY ended LIMIT ?)"
# Whether any job is not over.
ANY_LIVE = (
    "SELECT EXISTS (SELECT 1 FROM job WHERE state = 'queued') OR EXISTS (SELECT 1 FROM job WHERE state = 'running')"
)


def _one(conn: sqlite3.Connection, sql: str, *values: object) -> JobRow | None:
    row = conn.execute(sql, values).fetchone()
    return None if row is None else JobRow(*row)


def by_id(conn: sqlite3.Connection, job_id: int) -> JobRow | None:
    """Return a job."""
    return _one(conn, BY_ID, job_id)


def by_lease(conn: sqlite3.Connection, lease: str) -> JobRow | None:
    """Return the running job that the lease holds; None when it holds none any more."""
    return _one(conn, BY_LEASE, lease)


def by_dedupe(conn: sqlite3.Connection, dedupe: str) -> JobRow | None:
    """Return the job that was asked for with this key, over or not."""
    return _one(conn, BY_DEDUPE, dedupe)


def add(
    conn: sqlite3.Connection,
    *,
    kind: str,
    version: int,
    args: str,
    person_id: int,
    chat_id: int,
    reply_to: str | None,
    dedupe: str | None,
    now: float,
) -> JobRow:
    """Add a queued job. A second one with the same `dedupe` is refused by the table."""
    values = (kind, version, args, person_id, chat_id, reply_to, dedupe, now, now)
    row = _one(conn, BY_ID, conn.execute(ADD, values).lastrowid)
    assert row is not None
    uploads.link(conn, row.id, args)
    return row


def waiting(conn: sqlite3.Connection, person_id: int, chat_id: int, most: WaitingRow) -> WaitingRow:
    """Return how many jobs wait for a person, for a chat, and at all, each counted up to `most`."""
    values = (person_id, most.person, chat_id, most.chat, most.total)
    return WaitingRow(*conn.execute(WAITING, values).fetchone())


def work(conn: sqlite3.Connection, person_id: int, since: float, most_s: float) -> list[WorkRow]:
    """Return the work that ended for a person after a time, oldest first; no job counts more than `most_s` seconds."""
    return [WorkRow(*row) for row in conn.execute(WORK, (most_s, since, person_id))]


def lanes(conn: sqlite3.Connection, now: float) -> list[LaneRow]:
    """Return, per person and kind, the jobs that may run now."""
    return [LaneRow(*row) for row in conn.execute(LANES, (now,))]


def depth(conn: sqlite3.Connection, job: JobRow) -> int:
    """Return how many queued jobs of the same person and kind are older."""
    return int(conn.execute(DEPTH, (job.person_id, job.kind, job.id)).fetchone()[0])


def claim(conn: sqlite3.Connection, lane: LaneRow, lease: str, until: float, deadline: float, now: float) -> JobRow:
    """Lease the oldest job of a lane, charge the attempt, and end the lane's turn."""
    conn.execute(CLAIM, (lease, until, deadline, now, lane.head))
    conn.execute(TURN, (lane.person_id, lane.kind))
    row = by_lease(conn, lease)
    assert row is not None
    return row


def spend(conn: sqlite3.Connection, person_id: int) -> None:
    """Use up one of the turns that a person has earned."""
    if conn.execute(SPEND, (person_id,)).rowcount == 0:
        conn.execute(SPEND_LAST, (person_id,))


def next_time(conn: sqlite3.Connection) -> float | None:
    """Return when the next queued job may run."""
    (when,) = conn.execute(NEXT_TIME).fetchone()
    return None if when is None else float(when)


def extend(conn: sqlite3.Connection, lease: str, until: float, spare: float) -> bool:
    """Let a lease last until `until`, at most `spare` seconds past the deadline; False when it no longer holds."""
    return conn.execute(EXTEND, (until, spare, lease)).rowcount == 1


def done(conn: sqlite3.Connection, lease: str, result: str, now: float) -> None:
    """End the lease's job with a result."""
    conn.execute(DONE, (result, now, lease))


def again(conn: sqlite3.Connection, job: JobRow, run_after: float) -> None:
    """Queue a running job again, with the counts and the error that `job` shows."""
    conn.execute(AGAIN, (run_after, *_failure(job)))


def dead(conn: sqlite3.Connection, job: JobRow, now: float) -> None:
    """End a running job for good, with the counts and the error that `job` shows."""
    conn.execute(DEAD, (now, *_failure(job)))


def _failure(job: JobRow) -> tuple[object, ...]:
    return job.crashes, job.transients, job.error_code, job.error_message, job.fault, job.incident, job.lease


def release(conn: sqlite3.Connection, lease: str) -> bool:
    """Queue the lease's job again as if it had not been claimed; False when the lease no longer holds."""
    return conn.execute(RELEASE, (lease,)).rowcount == 1


def cancel(conn: sqlite3.Connection, job_id: int, now: float) -> bool:
    """Cancel a job that is not over; False when it is over or unknown."""
    return conn.execute(CANCEL, (now, job_id)).rowcount == 1


def expired(conn: sqlite3.Connection, now: float) -> list[JobRow]:
    """Return running jobs whose lease has run out."""
    return [JobRow(*row) for row in conn.execute(EXPIRED, (now,))]


def foreign(conn: sqlite3.Connection, owner: str) -> list[JobRow]:
    """Return running jobs whose lease does not begin with `owner`."""
    return [JobRow(*row) for row in conn.execute(FOREIGN, (owner,))]


def hurry(conn: sqlite3.Connection, now: float, most: float) -> None:
    """Let queued jobs run now that would wait for more than `most` seconds."""
    conn.execute(HURRY, {"now": now, "most": most})


def needed(conn: sqlite3.Connection, job_id: int, attempt: int) -> bool:
    """Return whether what an attempt has written is still needed."""
    return bool(conn.execute(NEEDED, (job_id, attempt)).fetchone()[0])


def any_live(conn: sqlite3.Connection) -> bool:
    """Return whether any job is queued or running."""
    return bool(conn.execute(ANY_LIVE).fetchone()[0])


def live_of(conn: sqlite3.Connection, person_id: int) -> list[JobRow]:
    """Return a person's jobs that are not over."""
    return [JobRow(*row) for row in conn.execute(LIVE_OF, (person_id,))]


def live_in(conn: sqlite3.Connection, scope_id: int) -> list[JobRow]:
    """Return the jobs that are not over of a server with its chats, or of one chat."""
    return [JobRow(*row) for row in conn.execute(LIVE_IN, (scope_id,))]


def measured(conn: sqlite3.Connection, kind: str, most: int) -> list[float]:
    """Return how many seconds the newest jobs of a kind took, at most `most` of them."""
    return [float(seconds) for (seconds,) in conn.execute(MEASURED, (kind, most))]


def started(conn: sqlite3.Connection, job_id: int) -> float | None:
    """Return when work on a job last began."""
    row = conn.execute(STARTED, (job_id,)).fetchone()
    return None if row is None else row[0]


def live_counts(conn: sqlite3.Connection) -> tuple[int, int]:
    """Return how many jobs are queued and how many run."""
    queued, running = conn.execute(LIVE_COUNTS).fetchone()
    return int(queued), int(running)


def result(conn: sqlite3.Connection, job_id: int) -> tuple[str, int] | None:
    """Return a job's result as JSON and the attempt that made it; None when there is none."""
    row = conn.execute(RESULT, (job_id,)).fetchone()
    return None if row is None else (str(row[0]), int(row[1]))


def empty(conn: sqlite3.Connection, job_id: int) -> None:
    """Take the words out of a finished job."""
    conn.execute(EMPTY, (job_id,))
    uploads.unlink(conn, job_id)


def remove_old(conn: sqlite3.Connection, before: float) -> int:
    """Remove jobs that were over before a time, with all that hangs on them; return how many."""
    return conn.execute(OLD, (before,)).rowcount


def remove_oldest(conn: sqlite3.Connection, count: int) -> int:
    """Remove the jobs that were over first, with all that hangs on them; return how many."""
    return conn.execute(OLDEST, (count,)).rowcount
