"""Keeps a second writing process away from a store. However the process ends, the kernel lets go of the lock."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from db.errors import StoreError


class Lock:
    """An exclusive `flock` on `<store>.lock`. The file stays: removing it would let two processes lock two files."""

    def __init__(self, file: int) -> None:
        self._file = file

    @classmethod
    def take(cls, store: Path) -> Self:
        """Take the lock or raise `StoreError`, at once, with a sentence that names who holds it."""
        path = Path(f"{store}.lock")
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{store} could not be opened: {error.strerror}.") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(file, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(file)
            raise StoreError(
                f"{store} is in use by another TuneTale (process {holder}); stop that one, or name another store."
            ) from error
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode("ascii"))
        return cls(file)

    def release(self) -> None:
        """Let go of the lock."""
        os.close(self._file)
