"""One SQLite file, one connection, one thread. Knows transactions; knows no table.

`write(fn)` sends a plain function to the connection's own thread (the idea is datasette's), where it runs inside BEGIN
IMMEDIATE: nothing interleaves with it and no cancellation can leave it half done. Writes that wait at the same moment
share one transaction, each in a savepoint of its own, and are acknowledged after its COMMIT: the disk is waited for
once for all of them (group commit).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import aiosqlite

from db.errors import StoreError, translated
from db.lock import Lock
from db.migrate import Migration, migrate, refuse_newer, shipped, version_of

__all__ = ["Store", "StoreError"]

T = TypeVar("T")
Body = Callable[[sqlite3.Connection], T]
"""What runs on the store's thread. It may be run twice (see `write`), so it changes nothing but the store."""

OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables need 3.37."""

GROUP_SIZE = 256
"""Most writes in one transaction: enough to hide the disk's latency, few enough that the first waits milliseconds."""

CHECKED_BYTES = 64 * 2**20
"""Files up to this size are checked whole when opened (well under a second); larger ones as they are read."""

_SETTINGS: tuple[tuple[str, str, object], ...] = (
    ("journal_mode", "WAL", "wal"),  # readers never wait for the writer
    ("synchronous", "FULL", 2),  # accepted means kept, through a power failure as well
    ("wal_autocheckpoint", "200", 200),  # pages; folded in often and little, so that no write waits long for it
    ("foreign_keys", "ON", 1),
    ("busy_timeout", "10000", 10000),  # milliseconds; for a backup tool that holds the file for a moment
    ("trusted_schema", "OFF", 0),  # a doctored file calls no function from its schema
    ("secure_delete", "ON", 1),  # what is deleted is overwritten: free pages would keep forgotten people's words
    ("temp_store", "MEMORY", 2),  # no temporary file with people's words in it
)
"""(pragma, value, what it must read afterwards): SQLite ignores an unknown or impossible setting without a word."""

_READER_SETTINGS: tuple[tuple[str, str, object], ...] = (
    *_SETTINGS[3:],
    ("query_only", "ON", 1),
    ("wal_autocheckpoint", "0", 0),  # only the writer checkpoints (sqlite.org/wal.html#walresetbug)
)


@dataclass(frozen=True)
class _Outcome:
    """What became of one write."""

    value: Any = None
    error: Exception | None = None


class Store:
    """An open store; made by `open`, ended by `close` (or `async with`)."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, lock: Lock | None) -> None:
        self._path = path
        self._connection = connection
        self._lock = lock
        self._waiting: list[tuple[Body[Any], asyncio.Future[Any]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    async def open(
        cls, path: str | Path, *, read_only: bool = False, migrations: Sequence[Migration] | None = None
    ) -> Self:
        """Open the store at `path`, made when missing, and bring it to the newest version.

        A reading store opens beside a running writer and changes nothing. Raises `StoreError` when the file is missing
        (reading), in use (writing), damaged, of another program, or written by a newer version; it is left as it is.
        """
        path = Path(path).absolute()  # noqa: ASYNC240  (asks only for the working directory)
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old; use a Python with SQLite 3.37 or newer.")
        if unfinished(path).exists():
            raise StoreError(f"A restore of {path} was interrupted; run `tunetale restore` with the backup again.")
        if read_only and not path.is_file():
            raise StoreError(f"There is no store at {path}.")
        steps = shipped() if migrations is None else migrations
        lock = None if read_only else Lock.take(path)
        try:
            if not read_only:
                _create(path)
            address = f"{path.as_uri()}?mode={'ro' if read_only else 'rw'}"
            store = cls(path, await aiosqlite.connect(address, uri=True, isolation_level=None), lock)
            prepare = _prepare_reader if read_only else _prepare_writer
            try:
                await store._on_thread(prepare, path, steps)
            except BaseException:
                await store._connection.close()
                raise
        except BaseException as error:
            if lock is not None:
                lock.release()
            if isinstance(error, sqlite3.Error):
                raise translated(error, path, "opened") from error
            raise
        return store

    async def write(self, body: Body[T]) -> T:
        """Run `body` in a transaction and return what it returned, after it is safe on the disk.

        What `body` raises undoes it alone and is raised here. Cancelling the caller does not stop it: it happens whole,
        unheard. When the transaction that it shared with others fails as a whole, each is run again by itself, so that
        one write's trouble is not another's. Raises `StoreError` when the disk or the file is the cause.
        """
        if self._closed or self._lock is None:
            state = "closed" if self._closed else "open for reading only"
            raise StoreError(f"{self._path} is {state}.", f"it is {state}")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((body, future))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._commit_waiting())
        return await future

    async def read(self, body: Body[T]) -> T:
        """Run `body` on one unchanging view of the store; anything it writes is undone."""
        if self._closed:
            raise StoreError(f"{self._path} is closed.", "it is closed")
        try:
            return await self._on_thread(_read, body)
        except sqlite3.Error as error:
            raise translated(error, self._path, "read") from error

    async def backup(self, path: str | Path) -> None:
        """Copy the store, as of now, to `path`, and check the copy; writes go on. An older copy is replaced whole."""
        target = Path(path).absolute()  # noqa: ASYNC240  (asks only for the working directory)
        try:
            await asyncio.to_thread(_copy, self._path, target)
        except sqlite3.Error as error:
            raise translated(error, target, "written") from error
        except OSError as error:
            raise StoreError(f"{target} could not be written: {error.strerror}.") from error

    async def scrub(self) -> bool:
        """Fold the write-ahead log into the file and empty it: it still holds pages as they were before a deletion.

        False when another program reads at this moment or the disk does not allow it; nothing has changed then.
        """
        if self._closed:
            return False
        try:
            return await self._on_thread(_scrub)
        except sqlite3.Error:
            return False

    async def close(self) -> None:
        """Finish what waits, fold the write-ahead log into the file, close it and let go of the lock."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._writer is not None:
                await asyncio.wait([self._writer])
            if self._lock is not None:
                with contextlib.suppress(sqlite3.Error):  # the next start does the same
                    await self._on_thread(_tidy)
        finally:
            try:
                await self._connection.close()
            finally:
                if self._lock is not None:
                    self._lock.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _commit_waiting(self) -> None:
        while self._waiting:
            group = self._waiting[:GROUP_SIZE]
            del self._waiting[:GROUP_SIZE]
            try:
                outcomes = await self._on_thread(_commit_group, [body for body, _ in group])
            except Exception as error:
                outcomes = [_Outcome(error=error)] * len(group)
            except asyncio.CancelledError:  # the event loop is ending
                for _, future in group:
                    future.cancel()
                raise
            for (_, future), outcome in zip(group, outcomes, strict=True):
                self._tell(future, outcome)

    def _tell(self, future: asyncio.Future[Any], outcome: _Outcome) -> None:
        if future.done():  # its caller was cancelled
            return
        if outcome.error is None:
            future.set_result(outcome.value)
        else:
            future.set_exception(translated(outcome.error, self._path, "written"))

    async def _on_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Run `function(conn, *args)` on the connection's thread.

        aiosqlite has no public call for this; every public call of it goes through these two.
        """
        connection = self._connection
        work = partial(function, connection._conn, *args)
        result: T = await connection._execute(work)  # type: ignore[no-untyped-call]
        return result


# --- on the connection's thread ----------------------------------------------------------------------------------


def _create(path: Path) -> None:
    """Make an empty file that only its owner may read: SQLite gives the log files beside it the same permissions."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(f"{path} could not be opened: {error.strerror}.") from error


def _set(conn: sqlite3.Connection, settings: Sequence[tuple[str, str, object]], path: Path) -> None:
    for name, value, expected in settings:
        conn.execute(f"PRAGMA {name} = {value}").fetchall()
        (found,) = conn.execute(f"PRAGMA {name}").fetchone()
        if found != expected:
            raise StoreError(
                f"{path} cannot be kept safe here: SQLite answers {name} = {found}, not {value} "
                "(is it on a network drive?); name a store on a local disk."
            )


def _prepare_writer(conn: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    # Look before touching anything: the file of another program stays as it is.
    refuse_newer(version_of(conn, path), migrations[-1].version, path)
    _set(conn, _SETTINGS, path)
    if path.stat().st_size <= CHECKED_BYTES:
        (verdict,) = conn.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise StoreError(f"{path} is damaged ({verdict}); it was left as it is, restore a backup.")
    migrate(conn, path, migrations)


def _prepare_reader(conn: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    _set(conn, _READER_SETTINGS, path)
    version, newest = version_of(conn, path), migrations[-1].version
    refuse_newer(version, newest, path)
    if version < newest:
        raise StoreError(f"{path} is from an older TuneTale; start `tunetale run` with it once, which upgrades it.")


def _commit_group(conn: sqlite3.Connection, bodies: Sequence[Body[Any]]) -> list[_Outcome]:
    try:
        return _commit_together(conn, bodies)
    except sqlite3.Error as error:
        if len(bodies) == 1:
            return [_Outcome(error=error)]
    return [outcome for body in bodies for outcome in _commit_group(conn, [body])]


def _commit_together(conn: sqlite3.Connection, bodies: Sequence[Body[Any]]) -> list[_Outcome]:
    try:
        conn.execute("BEGIN IMMEDIATE")
        outcomes = [_in_savepoint(conn, body) for body in bodies]
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
    return outcomes


def _in_savepoint(conn: sqlite3.Connection, body: Body[Any]) -> _Outcome:
    conn.execute("SAVEPOINT one")
    try:
        value = body(conn)
    except Exception as error:
        if not conn.in_transaction:  # SQLite gave up the whole transaction (disk full, I/O error): all have failed
            raise
        conn.execute("ROLLBACK TO one")
        conn.execute("RELEASE one")
        return _Outcome(error=error)
    if not conn.in_transaction:
        raise RuntimeError("a function given to Store.write ended the transaction that it ran in")
    conn.execute("RELEASE one")
    return _Outcome(value)


def _read(conn: sqlite3.Connection, body: Body[T]) -> T:
    conn.execute("BEGIN")
    try:
        return body(conn)
    finally:
        if conn.in_transaction:
            conn.execute("ROLLBACK")


def _tidy(conn: sqlite3.Connection) -> None:
    # No PRAGMA optimize: it would plan the queries of a grown store by the statistics of a young one.
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _scrub(conn: sqlite3.Connection) -> bool:
    conn.execute("PRAGMA busy_timeout = 0")  # nobody waits ten seconds behind a backup for this
    try:
        (busy, _, _) = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        conn.execute("PRAGMA busy_timeout = 10000")
    return not busy


def unfinished(path: Path) -> Path:
    """Return the mark that lies beside a store while a backup is put in its place."""
    return Path(f"{path}.restoring")


def check(path: Path) -> None:
    """Raise `StoreError` unless the file is a whole store of this version or an older one; it is only read."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as conn:
            refuse_newer(version_of(conn, path), shipped()[-1].version, path)
            _check_whole(conn, f"{path} is damaged")
    except sqlite3.Error as error:
        raise translated(error, path, "read") from error


def _check_whole(conn: sqlite3.Connection, otherwise: str) -> None:
    (verdict,) = conn.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok" or conn.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise StoreError(f"{otherwise} ({verdict}).")


def _copy(source: Path, target: Path) -> None:
    """Copy through a reader of its own, so that the writer never waits; into place only when it is whole and sound."""
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    _create(part)
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, isolation_level=None)) as reader,
            contextlib.closing(sqlite3.connect(part, isolation_level=None)) as copy,
        ):
            _set(reader, _READER_SETTINGS, source)
            reader.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()  # one file, nothing beside it
            _check_whole(copy, f"{source} is damaged, so it was not copied over {target}")
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
