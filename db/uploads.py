"""Files that people sent, by the name that they have on the disk: the SHA-256 of their content."""

from __future__ import annotations

import re
import sqlite3

# A file that has arrived; sent again it counts as new.
ADD = (
    "INSERT INTO upload (name, person_id, size, created) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET created = excluded.created"
)
# Whether a file is known.
KNOWN = "SELECT EXISTS (SELECT 1 FROM upload WHERE name = ?)"
# How many bytes a person's files take.
HELD = "SELECT coalesce(sum(size), 0) FROM upload WHERE person_id = ?"
# The jobs that tell the story of a file.
_ITS_JOBS = "SELECT 1 FROM job_upload JOIN job ON job.id = job_upload.job_id WHERE job_upload.name = upload.name"
_LIVE = "state IN ('queued', 'running')"
# A pair of a job that others can be asked to rate: made among people, or published.
_RATED = (
    "SELECT 1 FROM pair JOIN chat ON chat.id = pair.chat_id WHERE pair.job_id = job.id AND pair.deleted IS NULL"
    " AND (chat.kind IS NOT 'private' OR EXISTS (SELECT 1 FROM publication WHERE publication.pair_id = pair.id))"
)
# Files whose jobs are over: no live job, none that ended a moment ago, none whose pair is kept for rating. What an
# older version kept under a random name goes by its age alone.
OVER = (
    "DELETE FROM upload WHERE created < CASE length(name) WHEN 64 THEN :recent ELSE :oldest END"  # noqa: S608
    f" AND NOT EXISTS ({_ITS_JOBS}"
    f" AND ({_LIVE} OR ended >= :recent OR (upload.created >= :oldest AND EXISTS ({_RATED}))))"
)
# Files from the oldest on that no live job needs.
OLDEST = (
    "SELECT name, max(size) FROM upload GROUP BY name"  # noqa: S608  (no value in it)
    f" HAVING NOT EXISTS ({_ITS_JOBS} AND {_LIVE}) ORDER BY min(created)"
)
# A file, whosever it is.
REMOVE = "DELETE FROM upload WHERE name = ?"
# Whether the pair of a job is kept for rating.
KEPT = f"SELECT EXISTS (SELECT 1 FROM job WHERE job.id = ? AND EXISTS ({_RATED}))"  # noqa: S608  (no value in it)


# The file that a job is about.
ABOUT = "INSERT INTO job_upload VALUES (?, ?)"
# A job that is about no file any more.
LEAVE = "DELETE FROM job_upload WHERE job_id = ?"

_PATH = re.compile(r'"path":"[^"]*/uploads/([0-9a-f]{64})"')


def link(conn: sqlite3.Connection, job_id: int, args: str) -> None:
    """Remember which file a request (JSON) is about, if it is one of ours."""
    if (found := _PATH.search(args)) is not None:
        conn.execute(ABOUT, (job_id, found[1]))


def unlink(conn: sqlite3.Connection, job_id: int) -> None:
    """Forget which file a job is about."""
    conn.execute(LEAVE, (job_id,))


def add(conn: sqlite3.Connection, name: str, person_id: int, size: int, now: float) -> None:
    """Remember a file that has arrived whole."""
    conn.execute(ADD, (name, person_id, size, now))


def known(conn: sqlite3.Connection, name: str) -> bool:
    """Return whether a file is still somebody's."""
    return bool(conn.execute(KNOWN, (name,)).fetchone()[0])


def held(conn: sqlite3.Connection, person_id: int) -> int:
    """Return how many bytes a person's files take."""
    return int(conn.execute(HELD, (person_id,)).fetchone()[0])


def remove_over(conn: sqlite3.Connection, recent: float, oldest: float) -> int:
    """Forget files whose jobs were over at `recent`, unless a pair that came after `oldest` is kept for rating."""
    return conn.execute(OVER, {"recent": recent, "oldest": oldest}).rowcount


def remove_oldest(conn: sqlite3.Connection, excess: int) -> int:
    """Forget the oldest files that no live job needs until `excess` bytes are free; return how many bytes are."""
    freed = 0
    for name, size in conn.execute(OLDEST).fetchall():
        if freed >= excess:
            break
        conn.execute(REMOVE, (name,))
        freed += int(size)
    return freed


def kept(conn: sqlite3.Connection, job_id: int) -> bool:
    """Return whether a job's pair is kept so that others can rate it, and its recording with it."""
    return bool(conn.execute(KEPT, (job_id,)).fetchone()[0])
