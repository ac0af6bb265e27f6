"""Kills the upgrade of a store at every statement, one after the other, until none is left.

`python -m tests.db.kill_migration` prints how often it killed; it fails when a store is anything but whole afterwards.
The parent has one thread, so that it may fork.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import traceback
from contextlib import closing
from pathlib import Path

from db import outbox, people
from db.migrate import migrate, shipped, version_of

Schema = list[tuple[str, str]]


def schema(conn: sqlite3.Connection) -> Schema:
    """Return everything that the file defines."""
    return [
        (str(name), str(sql))
        for name, sql in conn.execute(
            "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
        )
    ]


def old_store(path: Path, version: int) -> Schema:
    """Make a store as a program of that version left it, with a done job and its answer; return its schema."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode = WAL").fetchall()
        migrate(conn, path, shipped()[:version])
        person, chat = people.person_id(conn, "console", "anna", 0.0), people.chat_id(conn, "console", "kitchen", 0.0)
        conn.execute(
            "INSERT INTO job"
            " (kind, version, args, person_id, chat_id, state, attempt, run_after, created, ended, result)"
            " VALUES ('story', 1, '{}', ?, ?, 'done', 1, 0, 0, 0, '{}')",
            (person, chat),
        )
        outbox.add(conn, 1, "console", "nonce", 0.0)
        return schema(conn)


def upgrade(path: Path, die_at: int | None) -> int:
    """Upgrade as a start does, killed before its `die_at`-th statement; return how many there were."""
    numbers = itertools.count(1)
    passed = 0

    def passing(_: str) -> None:
        nonlocal passed
        passed = next(numbers)
        if passed == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode = WAL").fetchall()
        conn.execute("PRAGMA synchronous = OFF")  # a kill loses nothing that was written
        conn.set_trace_callback(passing)
        migrate(conn, path, shipped())
    return passed


def killed(path: Path, die_at: int) -> bool:
    """Upgrade in a process of its own; return whether it was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            upgrade(path, die_at)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code == -signal.SIGKILL


def check_whole(path: Path, versions: dict[int, Schema]) -> None:
    """Find the store at one of the versions, exactly, with all that was in it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        found = version_of(conn, path)
        assert schema(conn) == versions[found], f"not what version {found} is"
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert conn.execute("PRAGMA foreign_key_check").fetchone() is None
        if found:
            assert conn.execute("SELECT person.key, job.state, nonce FROM person, job, outbox").fetchall() == [
                ("anna", "done", "nonce")
            ]


def main() -> None:
    """Kill the upgrade from every version to the newest."""
    newest, kills = len(shipped()), 0
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        versions: dict[int, Schema] = {0: []}
        for version in range(1, newest + 1):
            versions[version] = old_store(Path(folder) / f"as-{version}.sqlite", version)
        for version in range(newest):
            for die_at in itertools.count(1):
                home = Path(folder) / "home"
                home.mkdir()
                path = home / "store.sqlite"
                if version:
                    shutil.copy(Path(folder) / f"as-{version}.sqlite", path)
                hit = killed(path, die_at)
                kills += hit
                if version:
                    check_whole(path, versions)
                    upgrade(path, None)
                    check_whole(path, {newest: versions[newest]})
                    copy = Path(f"{path}.v{version}")
                    check_whole(copy, {version: versions[version]})
                else:
                    upgrade(path, None)
                    with closing(sqlite3.connect(path)) as conn:
                        assert schema(conn) == versions[newest]
                shutil.rmtree(home)
                if not hit:
                    break
    sys.stdout.write(str(kills))


if __name__ == "__main__":
    main()
