from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from db.errors import StoreError
from db.migrate import APPLICATION_ID, Migration, migrate, shipped, statements, version_of
from db.store import Store

ONE = Migration(1, "one", "CREATE TABLE a (id INTEGER PRIMARY KEY) STRICT;\nINSERT INTO a VALUES (1);\n")
TWO = Migration(2, "two", "CREATE TABLE b (a INTEGER REFERENCES a) STRICT;\nINSERT INTO b VALUES (1);\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def tables(conn: sqlite3.Connection) -> set[str]:
    return {name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def test_statements_split_where_sqlite_says() -> None:
    script = (
        "-- first; a comment\n\nCREATE TABLE t (a TEXT -- the; text\n);\n"
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN\n  DELETE FROM t;\n  DELETE FROM t;\nEND;\n-- last\n"
    )
    first, second = statements(script)
    assert first.startswith("CREATE TABLE")
    assert second.endswith("END;")
    with pytest.raises(ValueError, match="ends inside a statement"):
        list(statements("CREATE TABLE t (a TEXT)\n"))


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("INSERT INTO a VALUES (2);\nCREATE TABLE a (id INTEGER);\n", sqlite3.OperationalError),
        ("INSERT INTO a VALUES (2);\nINSERT INTO a VALUES (1);\n", sqlite3.IntegrityError),
        ("INSERT INTO a VALUES (2);\nCREATE TABLE c (i); CREATE TABLE d (i);\n", sqlite3.ProgrammingError),
        ("INSERT INTO a VALUES (2);\nINSERT INTO b VALUES (77);\n", StoreError),  # an orphan
    ],
)
def test_p12_a_failed_migration_changes_nothing(path: Path, sql: str, error: type[Exception]) -> None:
    conn = sqlite3.connect(path, isolation_level=None)
    migrate(conn, path, [ONE, TWO])
    with pytest.raises(error):
        migrate(conn, path, [ONE, TWO, Migration(3, "three", sql)])
    assert version_of(conn, path) == 2
    assert tables(conn) == {"a", "b"}
    assert conn.execute("SELECT id FROM a").fetchall() == [(1,)]
    assert conn.execute("PRAGMA foreign_keys").fetchone() == (1,)
    conn.close()


def test_a_table_that_others_point_to_can_be_rebuilt(path: Path) -> None:
    conn = sqlite3.connect(path, isolation_level=None)
    migrate(conn, path, [ONE, TWO])
    conn.execute("PRAGMA foreign_keys = ON")
    rebuild = (
        "CREATE TABLE a2 (id INTEGER PRIMARY KEY, name TEXT) STRICT;\nINSERT INTO a2 SELECT id, 'x' FROM a;\n"
        "DROP TABLE a;\nALTER TABLE a2 RENAME TO a;\n"
    )
    migrate(conn, path, [ONE, TWO, Migration(3, "rebuild", rebuild)])
    assert conn.execute("SELECT id, name FROM a JOIN b ON b.a = a.id").fetchall() == [(1, "x")]
    conn.close()


def test_a_copy_is_kept_before_an_upgrade(path: Path) -> None:
    conn = sqlite3.connect(path, isolation_level=None)
    migrate(conn, path, [ONE])
    migrate(conn, path, [ONE, TWO])
    conn.close()
    assert {file.name for file in path.parent.iterdir()} == {"store.sqlite", "store.sqlite.v1"}
    copy = sqlite3.connect(f"{path}.v1")
    assert version_of(copy, path) == 1
    assert tables(copy) == {"a"}
    copy.close()


async def test_p12_a_newer_store_is_refused_and_untouched(path: Path) -> None:
    await (await Store.open(path, migrations=[ONE, TWO])).close()
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"newer TuneTale \(store version 2; this one knows 1\)"):
            await Store.open(path, migrations=[ONE], read_only=read_only)
    assert path.read_bytes() == before


async def test_an_older_store_is_upgraded_by_a_writer_only(path: Path) -> None:
    await (await Store.open(path, migrations=[ONE])).close()
    with pytest.raises(StoreError, match="older TuneTale"):
        await Store.open(path, migrations=[ONE, TWO], read_only=True)
    await (await Store.open(path, migrations=[ONE, TWO])).close()
    async with await Store.open(path, migrations=[ONE, TWO], read_only=True) as store:
        assert await store.read(tables) == {"a", "b"}


async def test_shipped_migrations_build_a_strict_schema(path: Path) -> None:
    async with await Store.open(path) as store:
        found = await store.read(lambda conn: conn.execute("SELECT name, strict FROM pragma_table_list").fetchall())
        marks = await store.read(
            lambda conn: [conn.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        )
    ours = {name: strict for name, strict in found if not name.startswith("sqlite_")}
    assert set(ours) > {"person", "chat", "job", "turn", "pair", "outbox", "setting", "upload", "audit"}
    assert set(ours.values()) == {1}
    assert marks == [APPLICATION_ID, shipped()[-1].version]


def test_p12_an_upgrade_killed_at_any_statement_goes_on_at_the_next_start() -> None:
    """From every version there has been; what lies there afterwards is exactly one of them, with all its rows."""
    command = [sys.executable, "-m", "tests.db.kill_migration"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    assert int(done.stdout) > 100
