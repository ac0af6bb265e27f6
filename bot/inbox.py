"""Files that people send: taken in under the limits, kept beside the results, swept when nobody's any more.

A file is kept once for each content, under its SHA-256; what the person called it is only ever shown. It appears whole
or not at all. The engine opens it in a child of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import shutil
from pathlib import Path

from bot.contract import Upload
from db import uploads
from engine import vault
from engine.errors import Transient, UserError
from engine.jobs import FileSource, Request, StoryRequest
from engine.ledger import Ledger

FOLDER = "uploads"
"""Inside the folder of results."""
MOST_HELD = 2_000_000_000
"""Bytes that one person's files may take: ten of the largest, so that nobody fills the disk."""
STORY_BYTES = 4
"""Bytes that one character of a text file takes at most in UTF-8."""
_PARTIAL = ".partial"


class Inbox:
    """Where uploads lie."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder = folder / FOLDER
        self._ledger = ledger
        self._arriving: set[str] = set()
        self._settling = asyncio.Lock()  # between a file's row and its place in the folder nothing may be swept

    async def take(self, upload: Upload, person_id: int, most_bytes: int, now: float) -> Path:
        """Fetch a file and keep it as the person's; return where it lies. Raises `UserError` and `Transient`.

        What is known to be too large is not fetched at all.
        """
        check_size(upload, most_bytes)
        held = await self._ledger.read(lambda conn: uploads.held(conn, person_id))
        if held + (upload.size or 0) > MOST_HELD:
            raise UserError(
                "The files that TuneTale keeps for you have become too many; please use /forgetme, or a link.",
                code="too_many_files",
            )
        arriving = secrets.token_hex(16)
        partial = self.folder / f"{arriving}{_PARTIAL}"
        self._arriving.add(arriving)
        try:
            await asyncio.to_thread(self.folder.mkdir, mode=0o700, parents=True, exist_ok=True)
            await upload.fetch(partial)
            size, name = await asyncio.to_thread(_settle, partial, most_bytes)
            async with self._settling:
                await self._ledger.write(lambda conn: uploads.add(conn, name, person_id, size, now))
                await asyncio.to_thread(os.replace, partial, self.folder / name)
        except OSError as error:
            raise Transient(f"The file could not be kept: {error.strerror}.", code="folder") from error
        finally:
            self._arriving.discard(arriving)
            await asyncio.to_thread(partial.unlink, missing_ok=True)
        return self.folder / name

    async def copy(self, path: Path, person_id: int | None, now: float) -> Path:
        """Keep a copy of one of our own results as the person's file, so that it outlives the result."""
        if person_id is None:
            raise UserError(
                "An identity that many people share cannot keep files; please use your own.", code="not_a_person"
            )

        async def fetch(target: Path) -> None:
            await asyncio.to_thread(shutil.copyfile, path, target)

        return await self.take(Upload(path.name, None, fetch), person_id, MOST_HELD, now)

    async def read_text(self, upload: Upload, most_chars: int) -> str:
        """Fetch a text file and return its text; nothing is kept. Raises `UserError` when it is too long or no text."""
        most = most_chars * STORY_BYTES + 3  # and a byte order mark
        check_size(upload, most)
        partial = self.folder / f"{secrets.token_hex(16)}{_PARTIAL}"
        try:
            await asyncio.to_thread(self.folder.mkdir, mode=0o700, parents=True, exist_ok=True)
            await upload.fetch(partial)
            await asyncio.to_thread(_settle, partial, most)
            return (await asyncio.to_thread(vault.current().read, partial)).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UserError("This is not a UTF-8 text file; please save it as UTF-8.", code="not_text") from None
        except OSError as error:
            raise Transient(f"The file could not be kept: {error.strerror}.", code="folder") from error
        finally:
            await asyncio.to_thread(partial.unlink, missing_ok=True)

    async def sweep(self) -> int:
        """Remove files that belong to nobody (their person is gone, or they are too old); return how many."""
        async with self._settling:
            names = await asyncio.to_thread(_names, self.folder)
            arriving = frozenset(self._arriving)
            unknown = await self._ledger.read(
                lambda conn: [
                    name for name in names if name.partition(".")[0] not in arriving and not uploads.known(conn, name)
                ]
            )
            for name in unknown:
                await asyncio.to_thread((self.folder / name).unlink, missing_ok=True)
        return len(unknown)

    def holds(self, request: Request) -> bool:
        """Return whether a request is about a file that somebody sent here."""
        source = request.source if isinstance(request, StoryRequest) else None
        return isinstance(source, FileSource) and Path(source.path).parent == self.folder

    async def has(self, request: StoryRequest) -> bool:
        """Return whether the file that a request is about is still there."""
        source = request.source
        return isinstance(source, FileSource) and await asyncio.to_thread(Path(source.path).is_file)


def check_size(upload: Upload, most_bytes: int) -> None:
    """Refuse a file that is known to be too large, naming the limit. Raises `UserError`."""
    if upload.size is None:
        return
    if upload.most_bytes is not None and upload.size > upload.most_bytes:
        raise UserError(
            f"This file has {megabytes(upload.size)} MB, and {megabytes(upload.most_bytes)} MB is the most that a bot "
            "can fetch from this platform; please send a shorter or more compressed one, or a link.",
            code="too_large_here",
        )
    if upload.size > most_bytes:
        raise UserError(
            f"This file has {megabytes(upload.size)} MB, and {megabytes(most_bytes)} MB is the most; please send a "
            "smaller one.",
            code="too_large",
        )


def megabytes(count: int) -> str:
    """Return bytes as megabytes with one digit where that says more."""
    return f"{count / 1e6:.1f}".removesuffix(".0")


def _settle(partial: Path, most_bytes: int) -> tuple[int, str]:
    """Return size and SHA-256 of a file that has arrived, after it is safe on the disk."""
    size = partial.stat().st_size
    if size > most_bytes:
        raise UserError(
            f"This file has {megabytes(size)} MB, and {megabytes(most_bytes)} MB is the most; please send a smaller "
            "one.",
            code="too_large",
        )
    with partial.open("rb") as file:
        os.fsync(file.fileno())
        name = hashlib.file_digest(file, "sha256").hexdigest()
    vault.current().seal(partial)
    return size, name


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir() if entry.is_file()] if folder.is_dir() else []
