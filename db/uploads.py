"""Files that people sent, by the random name that they have on the disk."""

from __future__ import annotations

import sqlite3

# A file that has arrived.
ADD = "INSERT INTO upload (name, person_id, size, created) VALUES (?, ?, ?, ?)"
# Whether a file is known.
KNOWN = "SELECT EXISTS (SELECT 1 FROM upload WHERE name = ?)"
# How many bytes a person's files take.
HELD = "SELECT coalesce(sum(size), 0) FROM upload WHERE person_id = ?"
# Files that are old and that no live job needs: its request holds the file's path.
OLD = (
    "DELETE FROM upload WHERE created < ? AND NOT EXISTS"
    " (SELECT 1 FROM job WHERE state IN ('queued', 'running') AND instr(args, upload.name) > 0)"
)


def add(conn: sqlite3.Connection, name: str, person_id: int, size: int, now: float) -> None:
    """Remember a file that has arrived whole."""
    conn.execute(ADD, (name, person_id, size, now))


def known(conn: sqlite3.Connection, name: str) -> bool:
    """Return whether a file is still somebody's."""
    return bool(conn.execute(KNOWN, (name,)).fetchone()[0])


def held(conn: sqlite3.Connection, person_id: int) -> int:
    """Return how many bytes a person's files take."""
    return int(conn.execute(HELD, (person_id,)).fetchone()[0])


def remove_old(conn: sqlite3.Connection, before: float) -> int:
    """Forget files that came before a time and that no live job needs; return how many."""
    return conn.execute(OLD, (before,)).rowcount
