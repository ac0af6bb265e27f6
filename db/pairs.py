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
