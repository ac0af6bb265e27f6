"""What was set: by admins for a server or chat, by the owner for the whole program; and who is kept out."""

from __future__ import annotations

import sqlite3

# All settings of a server or chat.
OF = "SELECT name, value FROM setting WHERE chat_id = ?"
# One setting, new or changed.
PUT = (
    "INSERT INTO setting (chat_id, name, value) VALUES (?, ?, ?)"
    " ON CONFLICT (chat_id, name) DO UPDATE SET value = excluded.value"
)
# One setting, back to its default.
DROP = "DELETE FROM setting WHERE chat_id = ? AND name = ?"
# What holds for the whole program.
HOUSE = "SELECT value FROM house WHERE name = ?"
PUT_HOUSE = "INSERT INTO house (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
# A value that is made once.
ADD_HOUSE = "INSERT INTO house (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
# Whether somebody is kept out of a place or of everything.
BLOCKED = "SELECT EXISTS (SELECT 1 FROM block WHERE who = ? AND (chat_id IS NULL OR chat_id = ?))"
BLOCK = "INSERT INTO block (chat_id, who, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
UNBLOCK = "DELETE FROM block WHERE who = ? AND chat_id IS ?"


def of(conn: sqlite3.Connection, chat_id: int) -> dict[str, str]:
    """Return what is set for a server or chat: name -> JSON."""
    return dict(conn.execute(OF, (chat_id,)).fetchall())


def put(conn: sqlite3.Connection, chat_id: int, name: str, value: str | None) -> None:
    """Set one value (JSON); None goes back to the default."""
    if value is None:
        conn.execute(DROP, (chat_id, name))
    else:
        conn.execute(PUT, (chat_id, name, value))


def house(conn: sqlite3.Connection, name: str) -> str | None:
    """Return a value that holds for the whole program."""
    row = conn.execute(HOUSE, (name,)).fetchone()
    return None if row is None else str(row[0])


def put_house(conn: sqlite3.Connection, name: str, value: str) -> None:
    """Set a value that holds for the whole program."""
    conn.execute(PUT_HOUSE, (name, value))


def keep_house(conn: sqlite3.Connection, name: str, value: str) -> str:
    """Set a value unless there is one, and return the one that holds."""
    conn.execute(ADD_HOUSE, (name, value))
    kept = house(conn, name)
    assert kept is not None
    return kept


def blocked(conn: sqlite3.Connection, who: str, scope_id: int | None) -> bool:
    """Return whether a fingerprint is kept out of a server or chat, or of everything."""
    return bool(conn.execute(BLOCKED, (who, scope_id)).fetchone()[0])


def block(conn: sqlite3.Connection, who: str, scope_id: int | None, now: float) -> bool:
    """Keep a fingerprint out; None: of everything. False when it is out already."""
    return conn.execute(BLOCK, (scope_id, who, now)).rowcount == 1


def unblock(conn: sqlite3.Connection, who: str, scope_id: int | None) -> bool:
    """Let a fingerprint in again; False when it was not out."""
    return conn.execute(UNBLOCK, (who, scope_id)).rowcount == 1
