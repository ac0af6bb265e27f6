"""Everything that is kept about a person, by following the foreign keys: a table added later is never left out.

A row belongs to a person when a column of it refers to them, or, for a table without such a column, when it hangs on a
row that does. What others did to a person's things (their votes, say) is theirs.
"""

from __future__ import annotations

import sqlite3
from typing import Any

Row = dict[str, Any]

_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
_KEYS = 'SELECT "table", "from", coalesce("to", \'id\') FROM pragma_foreign_key_list(?)'


def links(conn: sqlite3.Connection) -> dict[str, list[tuple[str, str, str]]]:
    """Return, per table, its foreign keys: (table referred to, own column, column there)."""
    names = [str(name) for (name,) in conn.execute(_TABLES)]
    return {name: [(str(t), str(f), str(to)) for t, f, to in conn.execute(_KEYS, (name,))] for name in names}


def person_columns(conn: sqlite3.Connection) -> dict[str, list[str]]:
    """Return, per table that names people, the columns that do."""
    columns = {name: [own for table, own, _ in keys if table == "person"] for name, keys in links(conn).items()}
    return {name: found for name, found in columns.items() if found}


def about(conn: sqlite3.Connection, person_id: int) -> dict[str, list[Row]]:
    """Return every row of every table that belongs to a person, by table."""
    keys, named = links(conn), person_columns(conn)
    found: dict[str, list[Row]] = {"person": _rows(conn, "person", "id", [person_id])}
    for table, columns in named.items():
        rows = [row for column in columns for row in _rows(conn, table, column, [person_id])]
        found[table] = [row for i, row in enumerate(rows) if row not in rows[:i]]
    pending = [table for table in keys if table not in found and table not in ("chat", "person")]
    grown = True
    while grown:  # a table may hang on one that hangs on another
        grown = False
        for table in list(pending):
            parents = [key for key in keys[table] if key[0] in found and key[0] not in ("chat", "person")]
            if parents:
                rows = []
                for parent, own, there in parents:
                    rows += _rows(conn, table, own, [row[there] for row in found[parent]])
                found[table] = [row for i, row in enumerate(rows) if row not in rows[:i]]
                pending.remove(table)
                grown = True
    chats = {row[own] for table, rows in found.items() for t, own, _ in keys[table] if t == "chat" for row in rows}
    found["chat"] = _rows(conn, "chat", "id", sorted(chat for chat in chats if chat is not None))
    private = [row["id"] for row in found["chat"] if row["kind"] == "private"]
    for table in pending:  # what hangs on the person's private chat alone
        for parent, own, _ in keys[table]:
            if parent == "chat":
                found[table] = _rows(conn, table, own, private)
    return {table: rows for table, rows in found.items() if rows}


def _rows(conn: sqlite3.Connection, table: str, column: str, values: list[Any]) -> list[Row]:
    # Names come from the schema, never from outside.
    rows: list[Row] = []
    for value in values:
        cursor = conn.execute(f'SELECT * FROM "{table}" WHERE "{column}" = ?', (value,))  # noqa: S608
        names = [item[0] for item in cursor.description]
        rows += [dict(zip(names, row, strict=True)) for row in cursor]
    return rows
