"""Brings a store file to the newest version. Knows `user_version` and SQL text; knows no table by name.

Each migration is one transaction: its statements, the new version and a check of all foreign keys, or nothing.
Migrations only go forward. Before an existing store is changed, a copy is kept beside it (`<path>.v<version>`).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from db.errors import StoreError

APPLICATION_ID = 0x5475_5461
"""Marks a SQLite file as ours ("TuTa"), so that the file of another program is never migrated."""


@dataclass(frozen=True)
class Migration:
    """One step: the version it leads to, its name for people, and its SQL."""

    version: int
    name: str
    sql: str


def shipped() -> tuple[Migration, ...]:
    """Return the migrations that come with the program, in order, numbered from 1 without a gap."""
    scripts = sorted(
        (entry for entry in (files("db") / "migrations").iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    found = tuple(Migration(int(script.name[:4]), script.name[5:-4], script.read_text("utf-8")) for script in scripts)
    assert [migration.version for migration in found] == list(range(1, len(found) + 1)), "migrations have a gap"
    return found


def statements(sql: str) -> Iterator[str]:
    """Split a script into its statements; each must end its line. (`executescript` would commit half-way.)"""
    statement = ""
    for line in sql.splitlines(keepends=True):
        if not statement and (not line.strip() or line.lstrip().startswith("--")):
            continue
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""
    if statement:
        raise ValueError(f"a migration ends inside a statement: {statement.strip()!r}")


def version_of(conn: sqlite3.Connection, path: Path) -> int:
    """Return the store's version, 0 for a new file. Raises `StoreError` for a file that is not ours."""
    application, version, objects = conn.execute(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)"
        " FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    if application != APPLICATION_ID and (application, version, objects) != (0, 0, 0):
        raise StoreError(f"{path} is a database of another program; name another file for TuneTale's store.")
    return int(version)


def refuse_newer(version: int, newest: int, path: Path) -> None:
    """Raise `StoreError` when the store was written by a newer program."""
    if version > newest:
        raise StoreError(
            f"{path} was written by a newer TuneTale (store version {version}; this one knows {newest}); "
            "upgrade TuneTale, or restore the copy that was made before the upgrade."
        )


def migrate(conn: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Apply every migration that the store has not seen; on an error the store stays at the last whole version."""
    version = version_of(conn, path)
    refuse_newer(version, migrations[-1].version, path)
    todo = [migration for migration in migrations if migration.version > version]
    if todo and version:
        _keep_copy(conn, Path(f"{path}.v{version}"))
    for migration in todo:
        _apply(conn, path, migration)


def _keep_copy(conn: sqlite3.Connection, copy: Path) -> None:
    """Write the whole store to `copy`; a copy that is there is from an upgrade that failed later, and as good."""
    if copy.exists():
        return
    part = copy.with_name(copy.name + ".part")
    part.unlink(missing_ok=True)
    conn.execute("VACUUM INTO ?", (str(part),))
    part.chmod(0o600)
    os.replace(part, copy)


def _apply(conn: sqlite3.Connection, path: Path, migration: Migration) -> None:
    # A table can only be rebuilt while foreign keys are off, and that switch does nothing inside a transaction.
    conn.execute("PRAGMA foreign_keys = OFF")
    try:
        conn.execute("BEGIN IMMEDIATE")
        for statement in statements(migration.sql):
            conn.execute(statement)
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        conn.execute(f"PRAGMA user_version = {migration.version}")
        orphan = conn.execute("PRAGMA foreign_key_check").fetchone()
        if orphan is not None:
            raise StoreError(
                f"{path} could not be upgraded to version {migration.version} ({migration.name}): "
                f"a row of table {orphan[0]} points to a row of {orphan[2]} that is not there; nothing was changed."
            )
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
    finally:
        conn.execute("PRAGMA foreign_keys = ON")
