"""Keeps a copy of a store with its files in one archive, and puts it back. Knows files; knows no table.

The archive is an uncompressed tar (audio and pictures are compressed already): `store.db` first, then `files/…`.
"""

from __future__ import annotations

import calendar
import os
import re
import shutil
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from db.lock import Lock
from db.store import Store, StoreError, check, unfinished
from engine import forgotten
from engine.errors import UserError
from engine.queue import Queue
from engine.service import files_folder

_STAMP, _DATED = "%Y%m%d-%H%M%S", re.compile(r"tunetale-([0-9]{8}-[0-9]{6})\.tar")
STORE, FILES = "store.db", "files"
"""Names within the archive."""
BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside a store while it is open; left over, it would be played into another file."""


@dataclass(frozen=True)
class Copied:
    """What went into an archive or came out of it."""

    files: int
    bytes: int


async def back_up(store: Path, target: Path) -> Copied:
    """Write an archive of the store, as of now, beside a running program; an older archive is replaced whole. The book
    of the forgotten is copied beside it.

    The copy of the store passes SQLite's integrity check. Files that jobs finish meanwhile may be in it as well; files
    that are removed meanwhile are not. Raises `UserError` when there is no store or the archive cannot be written.
    """
    with _said(target, "written"), tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as scratch:
        copy = Path(scratch) / STORE
        async with await Store.open(store, read_only=True) as reader:
            await reader.backup(copy)
        unfinished = Path(scratch) / "archive.tar"
        with tarfile.open(unfinished, "w") as archive:
            archive.add(copy, STORE)
            files = _add_files(archive, files_folder(store))
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.chmod(0o600)
        copied = Copied(files, unfinished.stat().st_size)
        os.replace(unfinished, target)
        book = forgotten.book_of(files_folder(store))
        forgotten.merge(target.with_name(book.name), [book])
    return copied


def restore(source: Path, store: Path, stamp: str) -> Copied:
    """Put an archive in the place of the store; what was there is kept beside it, marked with `stamp`. Whoever is in a
    book of the forgotten, beside the store or the archive, is forgotten at the store's next start.

    Nothing is changed unless the whole archive can be read and its store is sound. Raises `UserError` when it is not,
    when it was written by a newer version, or while a program holds the store.
    """
    with _said(source, "restored"):
        store.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=store.parent) as scratch:
            copied = _unpack(source, Path(scratch))
            lock = Lock.take(store)
            try:
                forgotten.merge(forgotten.book_of(files_folder(store)), forgotten.books_in(source.parent))
                _mark(unfinished(store))  # killed from here on, the store is refused until a restore has ended well
                for path in (store, files_folder(store)):
                    if path.exists():
                        os.replace(path, path.with_name(f"{path.name}.{stamp}"))
                for suffix in BESIDE:
                    if (left := Path(f"{store}{suffix}")).exists():
                        os.replace(left, f"{store}.{stamp}{suffix}")
                os.replace(Path(scratch) / FILES, files_folder(store))
                os.replace(Path(scratch) / STORE, store)
                unfinished(store).unlink()
            finally:
                lock.release()
    return copied


async def forget_again(store: Path) -> None:
    """Forget at once, in a store that was restored, whom the next start would forget. Raises `UserError`."""
    folder = files_folder(store)
    if not forgotten.book_of(folder).exists():
        return
    with _said(store, "opened"):
        async with await Store.open(store) as opened:
            await Queue(opened, folder).recover()


def _mark(path: Path) -> None:
    with path.open("wb") as mark:
        os.fsync(mark.fileno())


def dated(folder: Path, now: float) -> Path:
    """Return the name of a backup in a folder of backups."""
    return folder / f"tunetale-{time.strftime(_STAMP, time.gmtime(now))}.tar"


def expire(folder: Path, before: float) -> int:
    """Remove the dated backups in a folder that were written before a time; return how many. Other files stay."""
    removed = 0
    for path in folder.iterdir():
        found = _DATED.fullmatch(path.name)
        if found and calendar.timegm(time.strptime(found[1], _STAMP)) < before:
            path.unlink()
            removed += 1
    return removed


def expire_beside(folder: Path, before: float) -> int:
    """Remove the copies that upgrades and restores left beside a store and its folder of files before a time; return
    how many. They are backups too.
    """
    stem, removed = re.escape(folder.name.removesuffix("-files")), 0
    copy = re.compile(rf"{stem}(?:-files|\.[^.]+)?\.(?:v[0-9]+|before-([0-9]{{8}}-[0-9]{{6}})(?:-wal|-shm)?)")
    for path in folder.parent.iterdir():
        found = copy.fullmatch(path.name)
        if found is None:
            continue
        at = calendar.timegm(time.strptime(found[1], _STAMP)) if found[1] else path.lstat().st_mtime
        if at < before:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            removed += 1
    return removed


def _add_files(archive: tarfile.TarFile, folder: Path) -> int:
    count = 0
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_symlink() or not path.is_file():
            continue
        try:
            archive.add(path, f"{FILES}/{path.relative_to(folder)}", recursive=False)
        except FileNotFoundError:  # its job was forgotten this moment
            continue
        count += 1
    return count


def _unpack(source: Path, scratch: Path) -> Copied:
    """Extract the archive and check it."""
    (scratch / FILES).mkdir(mode=0o700)
    with tarfile.open(source, "r:") as archive:
        members = archive.getmembers()
        if not members or members[0].name != STORE:
            raise tarfile.TarError("no store in front")
        for member in members:
            wanted = member.name == STORE or member.name.startswith(f"{FILES}/")
            if not wanted or not (member.isfile() or member.isdir()):
                raise UserError(f"{source} holds {member.name!r}, which no backup of TuneTale does.", code="no_backup")
        archive.extractall(scratch, filter="data")
    with (scratch / STORE).open("rb") as extracted:
        os.fsync(extracted.fileno())
    check(scratch / STORE)
    return Copied(sum(member.isfile() for member in members) - 1, source.stat().st_size)


class _said:
    """Turns what can go wrong with files into one sentence."""

    def __init__(self, path: Path, done: str) -> None:
        self._path, self._done = path, done

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, StoreError):
            raise UserError(str(error), code="store") from error
        if isinstance(error, tarfile.TarError):
            raise UserError(
                f"{self._path} is damaged or no backup of TuneTale; give a file that `tunetale backup` wrote.",
                code="no_backup",
            ) from error
        if isinstance(error, OSError):
            raise UserError(
                f"{self._path} could not be {self._done}: {error.strerror or error}.", code="unwritable"
            ) from error
