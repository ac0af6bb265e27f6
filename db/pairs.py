"""Pairs: a piece of music and a story that were made for each other. What people rate."""

from __future__ import annotations

import sqlite3

from db.rows import JobRow, PairRow

# A pair, made when its job is done.
ADD = (
    "INSERT INTO pair (job_id, kind, person_id, chat_id, created, folder,"
    " distance, valence_r, arousal_r, better_than_shuffled, aligned_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
# The pair of a job.
OF_JOB = (
    "SELECT id, job_id, kind, person_id, chat_id, created, folder,"
    " distance, valence_r, arousal_r, better_than_shuffled, aligned_by, deleted FROM pair WHERE job_id = ?"
)
# A pair.
BY_ID = OF_JOB.replace("job_id = ?", "id = ?")
# Whether a pair was made in a server or chat.
HERE = (
    "SELECT EXISTS (SELECT 1 FROM pair JOIN chat ON chat.id = pair.chat_id"
    " WHERE pair.id = ?1 AND (chat.id = ?2 OR chat.server_id = ?2))"
)
# The newest pair that a person made in a server or chat.
NEWEST = (
    "SELECT max(pair.id) FROM pair JOIN chat ON chat.id = pair.chat_id WHERE pair.person_id = ?1"
    " AND pair.deleted IS NULL AND (chat.id = ?2 OR chat.server_id = ?2)"
)
# A pair that was taken away.
DELETE = "UPDATE pair SET deleted = ? WHERE id = ? AND deleted IS NULL"
# How many votes there are; each pair counts its own.
VOTES = "SELECT coalesce(sum(votes), 0) FROM pair"


def add(
    conn: sqlite3.Connection,
    job: JobRow,
    *,
    folder: str,
    distance: float,
    valence_r: float | None,
    arousal_r: float | None,
    better_than_shuffled: float,
    aligned_by: str,
    now: float,
) -> None:
    """Add the pair that `job` made; `folder` is a name inside the folder of results."""
    fit = (distance, valence_r, arousal_r, better_than_shuffled, aligned_by)
    conn.execute(ADD, (job.id, job.kind, job.person_id, job.chat_id, now, folder, *fit))


def of_job(conn: sqlite3.Connection, job_id: int) -> PairRow | None:
    """Return the pair that a job made, if it made one."""
    row = conn.execute(OF_JOB, (job_id,)).fetchone()
    return None if row is None else PairRow(*row)


def by_id(conn: sqlite3.Connection, pair_id: int) -> PairRow | None:
    """Return a pair."""
    row = conn.execute(BY_ID, (pair_id,)).fetchone()
    return None if row is None else PairRow(*row)


def here(conn: sqlite3.Connection, pair_id: int, scope_id: int | None) -> bool:
    """Return whether a pair was made in a server or chat."""
    return bool(conn.execute(HERE, (pair_id, scope_id)).fetchone()[0])


def newest(conn: sqlite3.Connection, person_id: int, scope_id: int) -> int | None:
    """Return the newest pair that a person made in a server or chat."""
    (found,) = conn.execute(NEWEST, (person_id, scope_id)).fetchone()
    return None if found is None else int(found)


def delete(conn: sqlite3.Connection, pair_id: int, now: float) -> bool:
    """Take a pair away; False when it is away or unknown. Its numbers stay for the statistics."""
    return conn.execute(DELETE, (now, pair_id)).rowcount == 1


def votes(conn: sqlite3.Connection) -> int:
    """Return how many votes are kept."""
    return int(conn.execute(VOTES).fetchone()[0])
