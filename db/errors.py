"""The one error of the store, a sentence about what it cannot do. Callers translate it into their own errors."""

from __future__ import annotations

import sqlite3

_OUTSIDE = {
    sqlite3.SQLITE_BUSY: "another program is using it",
    sqlite3.SQLITE_LOCKED: "another program is using it",
    sqlite3.SQLITE_READONLY: "it may only be read",
    sqlite3.SQLITE_PERM: "its permissions forbid it",
    sqlite3.SQLITE_AUTH: "its permissions forbid it",
    sqlite3.SQLITE_IOERR: "the disk reported an error",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_CANTOPEN: "it could not be opened",
    sqlite3.SQLITE_CORRUPT: "it is damaged; it was left as it is, restore a backup",
    sqlite3.SQLITE_NOTADB: "it is not a TuneTale store; it was left as it is",
}
"""SQLite's primary result codes whose cause lies outside the program; every other one is our own mistake."""

_PRIMARY = 0xFF
"""Mask that reduces an extended result code to its primary one (sqlite.org/rescode.html)."""


class StoreError(Exception):
    """The store cannot be opened, read or written; `message` is one clear sentence for the owner.

    `reason` is the same for anybody: it does not say where the store is.
    """

    def __init__(self, message: str, reason: str = "it cannot be used now") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


def translated(error: Exception, path: object, deed: str) -> Exception:
    """Return a `StoreError` when the cause of a SQLite error lies outside the program, else the error itself."""
    code = getattr(error, "sqlite_errorcode", None)
    reason = _OUTSIDE.get(code & _PRIMARY) if isinstance(code, int) else None
    return error if reason is None else StoreError(f"{path} could not be {deed}: {reason}.", reason)
