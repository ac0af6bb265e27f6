"""People and chats. Every function takes the connection that `Store.write` or `Store.read` hands out."""

from __future__ import annotations

import sqlite3

# A person's row.
FIND_PERSON = "SELECT id FROM person WHERE platform = ? AND key = ?"
# A person seen for the first time.
ADD_PERSON = "INSERT INTO person (platform, key, first_seen) VALUES (?, ?, ?)"
# A chat's row.
FIND_CHAT = "SELECT id FROM chat WHERE platform = ? AND key = ?"
# A chat seen for the first time.
ADD_CHAT = "INSERT INTO chat (platform, key, first_seen) VALUES (?, ?, ?)"


def person_id(conn: sqlite3.Connection, platform: str, key: str, now: float) -> int:
    """Return the id of a person, who is added when new."""
    return _id(conn, FIND_PERSON, ADD_PERSON, platform, key, now)


def chat_id(conn: sqlite3.Connection, platform: str, key: str, now: float) -> int:
    """Return the id of a chat, which is added when new."""
    return _id(conn, FIND_CHAT, ADD_CHAT, platform, key, now)


def _id(conn: sqlite3.Connection, find: str, add: str, platform: str, key: str, now: float) -> int:
    row = conn.execute(find, (platform, key)).fetchone()
    if row is not None:
        return int(row[0])
    added = conn.execute(add, (platform, key, now)).lastrowid
    assert added is not None
    return added
