"""The store as the rest of the program uses it: its transactions, with our own errors. Knows no table."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

from db.store import Store, StoreError
from engine.errors import Transient

log = logging.getLogger(__name__)
T = TypeVar("T")
Connection = sqlite3.Connection
"""What a function of `db` is given, for those who may not know SQLite."""


class Ledger:
    """Runs functions of `db` in a transaction. Raises `Transient` when disk or file is the cause of a failure."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, body: Callable[[sqlite3.Connection], T]) -> T:
        """Run `body(conn)` in a transaction; when this returns, it is on the disk. `body` may be run twice."""
        return await _translated(self._store.write(body))

    async def read(self, body: Callable[[sqlite3.Connection], T]) -> T:
        """Run `body(conn)` on one unchanging view of the store."""
        return await _translated(self._store.read(body))

    async def scrub(self) -> bool:
        """Take what was deleted out of the store's log as well; False when that has to wait."""
        return await self._store.scrub()


async def _translated(work: Awaitable[T]) -> T:
    try:
        return await work
    except StoreError as error:
        log.error("%s", error.message)
        raise Transient(f"TuneTale's store failed: {error.reason}.", code="store") from error
    except OSError as error:
        raise no_folder(error) from error


def no_folder(error: OSError) -> Transient:
    """Return what to say when the folder for results cannot be used."""
    return Transient(f"The folder for results could not be used: {error.strerror}.", code="folder")
