"""People and chats. Every function takes the connection that `Store.write` or `Store.read` hands out."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

# A person's row.
FIND_PERSON = "SELECT id FROM person WHERE platform = ? AND key = ?"
# Who a row is about.
BY_ID = "SELECT platform, key, first_seen FROM person WHERE id = ?"
# A person seen for the first time.
ADD_PERSON = "INSERT INTO person (platform, key, first_seen) VALUES (?, ?, ?)"
# A chat's row.
FIND_CHAT = "SELECT id FROM chat WHERE platform = ? AND key = ?"
# A chat seen for the first time.
ADD_CHAT = "INSERT INTO chat (platform, key, first_seen) VALUES (?, ?, ?)"
# Who and where, in one look.
VISIT = (
    "SELECT person.id, person.language, chat.id, chat.kind, coalesce(chat.server_id, chat.id)"
    " FROM (SELECT 1) LEFT JOIN person ON person.platform = ?1 AND person.key = ?2"
    " LEFT JOIN chat ON chat.platform = ?1 AND chat.key = ?3"
)
# What kind of chat it is and which server it belongs to.
PLACE = "UPDATE chat SET kind = ?, server_id = ? WHERE id = ? AND (kind IS NOT ? OR server_id IS NOT ?)"
# A chat that goes on under another key; one that is known under that key already stays as it is.
MOVE_CHAT = "UPDATE OR IGNORE chat SET key = ?3 WHERE platform = ?1 AND key = ?2"
# A person's language.
SPEAK = "UPDATE person SET language = ? WHERE id = ?"
# A person with everything that hangs on them.
FORGET = "DELETE FROM person WHERE id = ?"
# The private chats in which a person asked for something.
_ASKED_IN = "SELECT chat_id FROM job INDEXED BY job_person WHERE person_id = ?"
PRIVATE_OF = f"DELETE FROM chat WHERE kind = 'private' AND id IN ({_ASKED_IN})"  # noqa: S608  (no value in it)


@dataclass(frozen=True)
class PersonRow:
    """Whom the store knows; `key` is the platform's own id."""

    platform: str
    key: str
    first_seen: float


@dataclass(frozen=True)
class VisitRow:
    """Who acts where; None for what was never seen."""

    person_id: int | None
    language: str | None
    chat_id: int | None
    kind: str | None
    scope_id: int | None
    """The row of the server, or of the chat where there is none."""


def person_id(conn: sqlite3.Connection, platform: str, key: str, now: float) -> int:
    """Return the id of a person, who is added when new."""
    return _id(conn, FIND_PERSON, ADD_PERSON, platform, key, now)


def chat_id(conn: sqlite3.Connection, platform: str, key: str, now: float) -> int:
    """Return the id of a chat, which is added when new."""
    return _id(conn, FIND_CHAT, ADD_CHAT, platform, key, now)


def server_key(server: str) -> str:
    """Return the key of a server's row: a channel of it may bear the same number."""
    return f"server:{server}"


def place_id(conn: sqlite3.Connection, platform: str, key: str, kind: str, server: str | None, now: float) -> int:
    """Return the id of a chat, which is added when new, and remember its kind and server."""
    server_id = None
    if server is not None:
        server_id = chat_id(conn, platform, server_key(server), now)
        conn.execute(PLACE, ("server", None, server_id, "server", None))
    found = chat_id(conn, platform, key, now)
    conn.execute(PLACE, (kind, server_id, found, kind, server_id))
    return found


def visit(conn: sqlite3.Connection, platform: str, person: str, chat: str) -> VisitRow:
    """Look up who acts where."""
    return VisitRow(*conn.execute(VISIT, (platform, person, chat)).fetchone())


def find(conn: sqlite3.Connection, platform: str, person: str) -> int | None:
    """Return the id of a person; None when never seen."""
    row = conn.execute(FIND_PERSON, (platform, person)).fetchone()
    return None if row is None else int(row[0])


def by_id(conn: sqlite3.Connection, person: int) -> PersonRow | None:
    """Return who a row is about; None for an unknown one."""
    row = conn.execute(BY_ID, (person,)).fetchone()
    return None if row is None else PersonRow(*row)


def find_chat(conn: sqlite3.Connection, platform: str, chat: str) -> int | None:
    """Return the id of a chat; None when never seen."""
    row = conn.execute(FIND_CHAT, (platform, chat)).fetchone()
    return None if row is None else int(row[0])


def move_chat(conn: sqlite3.Connection, platform: str, old: str, new: str) -> bool:
    """Go on with a chat, its settings and what was asked there under another key; False when there is nothing to."""
    return conn.execute(MOVE_CHAT, (platform, old, new)).rowcount == 1


def speak(conn: sqlite3.Connection, person: int, language: str | None) -> None:
    """Remember the language that a person chose."""
    conn.execute(SPEAK, (language, person))


def forget(conn: sqlite3.Connection, person: int) -> None:
    """Delete a person: every table either goes along by its foreign key or says in the migrations why not."""
    conn.execute(PRIVATE_OF, (person,))
    conn.execute(FORGET, (person,))


def _id(conn: sqlite3.Connection, find: str, add: str, platform: str, key: str, now: float) -> int:
    row = conn.execute(find, (platform, key)).fetchone()
    if row is not None:
        return int(row[0])
    added = conn.execute(add, (platform, key, now)).lastrowid
    assert added is not None
    return added
