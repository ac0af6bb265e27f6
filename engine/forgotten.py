"""The book of those who asked to be forgotten, kept beside the store so that no backup brings them back.

A line holds the person's number in the store, when it was, and a fingerprint with the store's own key: without the
store nobody can read from it who it was. The book is only added to. Backups carry a copy beside them, and a restored
store is read against it before anything else is done with it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from db import people, settings

_SUFFIX = "-forgotten"
_LINE = re.compile(rb"([0-9]+) ([0-9]+\.[0-9]+) ([0-9a-f]{64})\n")


def book_of(folder: Path) -> Path:
    """Return where the book lies: beside the folder of results."""
    return folder.with_name(f"{folder.name.removesuffix('-files')}{_SUFFIX}")


def key(conn: sqlite3.Connection) -> bytes:
    """Return the key of a store's fingerprints, which is made when it is first asked for."""
    return settings.keep_house(conn, "key", secrets.token_hex(32)).encode()


def fingerprint(key: bytes, platform: str, person: str) -> str:
    """Return a keyed hash of a person, from which nobody without the key can read who it is."""
    return hmac.new(key, f"{platform}:{person}".encode(), hashlib.sha256).hexdigest()


def note(conn: sqlite3.Connection, book: Path, person_id: int, platform: str, person: str, now: float) -> None:
    """Write a person into the book, safe on the disk when this returns. Raises `OSError`."""
    _add(book, [f"{person_id} {now!r} {fingerprint(key(conn), platform, person)}\n".encode()])


def again(conn: sqlite3.Connection, book: Path) -> int:
    """Forget who is in the book and in the store; return how many. Who came back later has another number.

    Called at each start, so that the key is there before the first backup.
    """
    secret, count = key(conn), 0
    for number, at, who in map(bytes.split, _lines(book)):
        found = people.by_id(conn, int(number))
        if found is None or found.first_seen > float(at):
            continue
        if fingerprint(secret, found.platform, found.key) == who.decode():
            people.forget(conn, int(number))
            count += 1
    return count


def merge(book: Path, others: Iterable[Path]) -> None:
    """Add to a book what others hold, each line once. Raises `OSError`."""
    known = set(_lines(book))
    new = {line: None for other in others for line in _lines(other) if line not in known}  # a dict keeps the order
    if new:
        _add(book, new)


def books_in(folder: Path) -> list[Path]:
    """Return the books that lie in a folder."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def _lines(book: Path) -> list[bytes]:
    """Return the whole lines; one that was being written when the power failed is none."""
    try:
        return [match[0] for match in _LINE.finditer(book.read_bytes())]
    except FileNotFoundError:
        return []


def _add(book: Path, lines: Iterable[bytes]) -> None:
    descriptor = os.open(book, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"\n" + b"".join(lines))  # a line that was cut off before does not run into these
        file.flush()
        os.fsync(file.fileno())
