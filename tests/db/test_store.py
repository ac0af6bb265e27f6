from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from db.migrate import Migration
from db.store import _READER_SETTINGS, _SETTINGS, Store, StoreError

SCHEMA = Migration(1, "twins", "CREATE TABLE twin (write INTEGER NOT NULL, half INTEGER NOT NULL) STRICT;\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with await Store.open(path, migrations=[SCHEMA]) as store:
        yield store


def twin(write: int, fails: bool = False) -> Callable[[sqlite3.Connection], int]:
    """A write of two rows that belong together, which may fail between them."""

    def body(conn: sqlite3.Connection) -> int:
        conn.execute("INSERT INTO twin VALUES (?, 0)", (write,))
        if fails:
            raise LookupError(write)
        conn.execute("INSERT INTO twin VALUES (?, 1)", (write,))
        return write

    return body


def twins(conn: sqlite3.Connection) -> dict[int, int]:
    return dict(conn.execute("SELECT write, count(*) FROM twin GROUP BY write").fetchall())


# --- transactions ------------------------------------------------------------------------------------------------


async def test_300_writers_a_third_cancelled_some_failing_leave_no_half_transaction(store: Store) -> None:
    rng = random.Random(7)
    failing = set(range(0, 300, 14))
    cancelled = set(rng.sample(range(300), 100))
    tasks = []
    for i in range(300):
        tasks.append(asyncio.create_task(store.write(twin(i, fails=i in failing))))
        if i % 20 == 0:
            await asyncio.sleep(0)  # so that some are cancelled while their transaction runs, some before, some after
        for j in [j for j in cancelled if j <= i and rng.random() < 0.1]:
            tasks[j].cancel()
    for j in cancelled:
        tasks[j].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    rows = await store.read(twins)
    assert set(rows.values()) == {2}
    assert not failing & rows.keys()
    assert any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    for i, outcome in enumerate(outcomes):
        if isinstance(outcome, LookupError):
            assert i in failing
        elif not isinstance(outcome, asyncio.CancelledError):
            assert outcome == i
            assert i in rows
    assert await store.write(twin(1000)) == 1000  # nobody is left inside a transaction


async def test_a_write_whose_caller_is_cancelled_happens_whole(store: Store) -> None:
    task = asyncio.create_task(store.write(twin(1)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.write(twin(2))
    assert await store.read(twins) == {1: 2, 2: 2}


async def test_waiting_writes_share_transactions(store: Store) -> None:
    begun: list[str] = []
    await store.read(lambda conn: conn.set_trace_callback(begun.append))
    await asyncio.gather(*(store.write(twin(i)) for i in range(500)))
    await store.read(lambda conn: conn.set_trace_callback(None))
    assert begun.count("COMMIT") == 2
    assert begun.count("RELEASE one") == 500


async def test_a_failing_write_raises_its_own_error_and_undoes_nothing_else(store: Store) -> None:
    good, bad, also_good = await asyncio.gather(
        store.write(twin(1)), store.write(twin(2, fails=True)), store.write(twin(3)), return_exceptions=True
    )
    assert (good, also_good) == (1, 3)
    assert isinstance(bad, LookupError)
    assert await store.read(twins) == {1: 2, 3: 2}


async def test_a_full_disk_fails_only_the_write_that_is_too_large(store: Store) -> None:
    def limit(conn: sqlite3.Connection) -> None:
        (pages,) = conn.execute("PRAGMA page_count").fetchone()
        conn.execute(f"PRAGMA max_page_count = {pages + 20}").fetchone()

    def huge(conn: sqlite3.Connection) -> None:
        conn.execute("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
                     " INSERT INTO twin SELECT 99, i FROM n")  # fmt: skip

    await store.read(limit)
    first, large, last = await asyncio.gather(
        store.write(twin(1)), store.write(huge), store.write(twin(3)), return_exceptions=True
    )
    assert (first, last) == (1, 3)
    assert isinstance(large, StoreError)
    assert "the disk is full" in large.message
    assert await store.read(twins) == {1: 2, 3: 2}


async def test_a_transaction_that_sqlite_gives_up_fails_only_the_write_that_is_to_blame(store: Store) -> None:
    def lost(conn: sqlite3.Connection) -> None:  # what SQLite does by itself on an I/O error
        conn.execute("ROLLBACK")
        raise sqlite3.OperationalError("disk I/O error")

    first, middle, last = await asyncio.gather(
        store.write(twin(1)), store.write(lost), store.write(twin(3)), return_exceptions=True
    )
    assert (first, last) == (1, 3)
    assert isinstance(middle, sqlite3.OperationalError)
    assert await store.read(twins) == {1: 2, 3: 2}


async def test_a_write_that_ends_its_transaction_is_an_error(store: Store) -> None:
    with pytest.raises(RuntimeError, match="ended the transaction"):
        await store.write(lambda conn: conn.execute("COMMIT") and None)
    assert await store.write(twin(1)) == 1


async def test_our_own_mistakes_are_not_dressed_up(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await store.write(lambda conn: conn.execute("DELETE FROM nowhere").rowcount)
    with pytest.raises(sqlite3.IntegrityError):
        await store.write(lambda conn: conn.execute("INSERT INTO twin VALUES ('text', 1)").rowcount)


async def test_reading_changes_nothing(store: Store) -> None:
    await store.read(twin(1))
    assert await store.read(twins) == {}


WRITE_FOR_EVER = """
import asyncio, sys
from tests.db.test_store import SCHEMA, twin
from db.store import Store

async def main():
    store = await Store.open(sys.argv[1], migrations=[SCHEMA])
    async def forever(start):
        for i in range(start, 10**9, 8):
            print(await store.write(twin(i)), flush=True)
    await asyncio.gather(*(forever(start) for start in range(8)))

asyncio.run(main())
"""


def acknowledged_by_a_killed_writer(path: Path) -> list[int]:
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        acknowledged = [int(child.stdout.readline()) for _ in range(200)]
        child.send_signal(signal.SIGKILL)
        return acknowledged + [int(line) for line in child.stdout if line.endswith("\n")]


async def test_p1_acknowledged_writes_survive_kill_9(path: Path) -> None:
    acknowledged = await asyncio.to_thread(acknowledged_by_a_killed_writer, path)
    async with await Store.open(path, migrations=[SCHEMA]) as store:
        rows = await store.read(twins)
    assert set(acknowledged) <= rows.keys()
    assert set(rows.values()) == {2}


async def test_what_was_deleted_leaves_the_log_as_soon_as_nobody_reads(store: Store, path: Path) -> None:
    await store.write(lambda conn: conn.execute("CREATE TABLE word (word TEXT)").rowcount)
    await store.write(lambda conn: conn.execute("INSERT INTO word VALUES ('unforgettable')").rowcount)
    await store.write(lambda conn: conn.execute("DELETE FROM word").rowcount)

    def left() -> bool:
        return any(b"unforgettable" in file.read_bytes() for file in path.parent.iterdir())

    assert left()
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM word").fetchone()
        begun = time.monotonic()
        assert await store.scrub() is False
        assert time.monotonic() - begun < 5
        await store.write(lambda conn: conn.execute("SELECT 1").rowcount)
    assert await store.scrub() is True
    assert not left()
    assert await store.read(lambda conn: conn.execute("PRAGMA busy_timeout").fetchone()) == (10_000,)


# --- opening and closing -----------------------------------------------------------------------------------------


async def test_settings_are_in_force(store: Store, path: Path) -> None:
    async with await Store.open(path, read_only=True, migrations=[SCHEMA]) as reader:
        for opened, settings in ((store, _SETTINGS), (reader, _READER_SETTINGS)):
            for name, _, expected in settings:
                found = await opened.read(lambda conn, name=name: conn.execute(f"PRAGMA {name}").fetchone())  # type: ignore[misc]
                assert found == (expected,), name


async def test_only_the_owner_may_read_the_files(store: Store, path: Path) -> None:
    await store.write(twin(1))
    assert {file.name: file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {
        name: 0 for name in ("store.sqlite", "store.sqlite-wal", "store.sqlite-shm", "store.sqlite.lock")
    }


async def test_a_reader_works_beside_the_writer_and_cannot_write(store: Store, path: Path) -> None:
    await store.write(twin(1))
    async with await Store.open(path, read_only=True, migrations=[SCHEMA]) as reader:
        assert await reader.read(twins) == {1: 2}
        await store.write(twin(2))
        assert await reader.read(twins) == {1: 2, 2: 2}
        with pytest.raises(StoreError, match="reading only"):
            await reader.write(twin(3))
        with pytest.raises(StoreError, match="only be read"):
            await reader.read(twin(3))


async def test_a_second_process_is_refused_and_the_lock_ends_with_its_holder(path: Path) -> None:
    script = (
        "import asyncio, sys; from db.store import *\n"
        "async def main():\n"
        "    try: await (await Store.open(sys.argv[1])).close()\n"
        "    except StoreError as error: sys.exit(error.message)\n"
        "asyncio.run(main())"
    )

    async def second() -> tuple[int, str]:
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    async with await Store.open(path):
        code, sentence = await second()
        assert code == 1
        assert sentence.startswith(f"{path} is in use by another TuneTale (process ")
        with pytest.raises(StoreError, match="in use"):
            await Store.open(path)
    assert await second() == (0, "")


async def test_closing_finishes_what_waits_and_leaves_one_file(path: Path) -> None:
    store = await Store.open(path, migrations=[SCHEMA])
    writes = [asyncio.create_task(store.write(twin(i))) for i in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await store.close()
    assert await asyncio.gather(*writes) == list(range(20))
    assert {file.name for file in path.parent.iterdir()} == {"store.sqlite", "store.sqlite.lock"}
    with pytest.raises(StoreError, match="closed"):
        await store.write(twin(1))
    with pytest.raises(StoreError, match="closed"):
        await store.read(twins)


# --- what is not a store -----------------------------------------------------------------------------------------


async def refused(path: Path, *, read_only: bool = False) -> str:
    """Open `path`, which must be refused and left as it is; return the sentence."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreError) as caught:
        await Store.open(path, read_only=read_only)
    assert (path.read_bytes() if path.is_file() else None) == before
    return caught.value.message


async def test_text_is_refused(path: Path) -> None:
    path.write_text("Dear diary, this is no database. " * 100)
    assert "it is not a TuneTale store; it was left as it is" in await refused(path)


async def test_another_programs_database_is_refused(path: Path) -> None:
    conn = sqlite3.connect(path)
    conn.execute("CREATE TABLE bookmarks (url TEXT)")
    conn.commit()
    conn.close()
    assert "another program" in await refused(path)
    assert "another program" in await refused(path, read_only=True)


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
async def test_a_damaged_store_is_refused(path: Path, damage: str) -> None:
    async with await Store.open(path) as store:
        await store.write(
            lambda conn: (
                conn.executemany(
                    "INSERT INTO person (platform, key, first_seen) VALUES ('console', ?, 0)",
                    [(f"{i:0300}",) for i in range(500)],
                ).rowcount
            )
        )
    whole = path.read_bytes()
    middle = len(whole) // 2 // 4096 * 4096
    path.write_bytes(whole[:middle] if damage == "cut" else whole[:middle] + b"\xa5" * 4096 + whole[middle + 4096 :])
    sentence = await refused(path)
    assert "damaged" in sentence
    assert "restore a backup" in sentence


async def test_missing_places_are_named(tmp_path: Path) -> None:
    assert "There is no store at" in await refused(tmp_path / "none.sqlite", read_only=True)
    assert not (tmp_path / "none.sqlite").exists()
    assert "No such file or directory" in await refused(tmp_path / "nowhere" / "store.sqlite")
    (tmp_path / "folder").mkdir()
    assert "Is a directory" in await refused(tmp_path / "folder")


# --- backup ------------------------------------------------------------------------------------------------------


async def test_p12_a_backup_under_load_is_whole(store: Store, path: Path, tmp_path: Path) -> None:
    await asyncio.gather(*(store.write(twin(i)) for i in range(100)))
    copy = tmp_path / "backup.sqlite"
    copy.write_text("an older backup")
    writes = asyncio.gather(*(store.write(twin(i)) for i in range(100, 400)))
    await store.backup(copy)
    await writes
    async with await Store.open(copy, read_only=True, migrations=[SCHEMA]) as restored:
        rows = await restored.read(twins)
    assert set(range(100)) <= rows.keys()
    assert set(rows.values()) == {2}
    assert copy.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob("*.part*"))


async def test_a_backup_that_fails_leaves_the_older_one(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file or directory"):
        await store.backup(tmp_path / "nowhere" / "backup.sqlite")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        await store.backup(tmp_path / "folder")
    assert not list(tmp_path.glob("*.part*"))
