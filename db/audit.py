"""What admins did: only added to, and read newest first."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

# One action.
ADD = "INSERT INTO audit (at, person_id, chat_id, action, detail) VALUES (?, ?, ?, ?, ?)"
# The newest actions in a server or chat.
NEWEST = "SELECT id, at, person_id, chat_id, action, detail FROM audit WHERE chat_id IS ? ORDER BY id DESC LIMIT ?"
# What is old enough to go.
OLD = "DELETE FROM audit WHERE at < ?"


@dataclass(frozen=True)
class AuditRow:
    """One action of an admin; None for a person or chat that is no more."""

    id: int
    at: float
    person_id: int | None
    chat_id: int | None
    action: str
    detail: str


def add(
    conn: sqlite3.Connection, *, at: float, person_id: int | None, chat_id: int | None, action: str, detail: str = ""
) -> None:
    """Write down an action; `chat_id` None: for the whole program. `detail` never names a person."""
    conn.execute(ADD, (at, person_id, chat_id, action, detail))


def newest(conn: sqlite3.Connection, chat_id: int | None, most: int) -> list[AuditRow]:
    """Return the newest actions in a server or chat (None: in the whole program)."""
    return [AuditRow(*row) for row in conn.execute(NEWEST, (chat_id, most))]


def remove_old(conn: sqlite3.Connection, before: float) -> int:
    """Remove what was done before a time; return how many actions."""
    return conn.execute(OLD, (before,)).rowcount
