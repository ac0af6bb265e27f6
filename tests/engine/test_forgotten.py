"""Who was forgotten stays forgotten, whatever backup is put back."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.__main__ import main
from db import people
from db.store import Store
from engine import forgotten
from engine.backup import back_up, restore
from engine.errors import Transient
from engine.jobs import Asker
from engine.queue import Queue
from engine.service import files_folder
from tests.engine.queue.cases import ANNA, BEN, READ, TEXTS, claim
from tests.fakes.clock import FakeClock

BOOK = "store-forgotten"


@asynccontextmanager
async def living(path: Path, clock: FakeClock) -> AsyncIterator[Queue]:
    """A store as the program opens it at its start."""
    path.parent.mkdir(exist_ok=True)
    async with await Store.open(path) as store:
        queue = Queue(store, files_folder(path), clock=clock)
        await queue.recover()
        yield queue


async def ask(queue: Queue, asker: Asker) -> Path:
    """Have a job done for somebody; return the folder with what it made."""
    await queue.submit(TEXTS, asker)
    lease = await claim(queue)
    (Path(lease.folder) / "artefact").write_bytes(b"made")
    await queue.finish(lease.token, READ)
    return Path(lease.folder)


async def known(queue: Queue) -> set[str]:
    def find(conn: sqlite3.Connection) -> set[str]:
        names = {asker.person for asker in (ANNA, BEN)}
        return {name for name in names if people.find(conn, "console", name) is not None}

    return await queue.ledger.read(find)


async def a_life(path: Path, backups: Path, clock: FakeClock) -> None:
    """Anna and Ben ask, a backup is taken (1), Anna is forgotten, another is taken (2), she comes back, a third (3)."""
    backups.mkdir()
    async with living(path, clock) as queue:
        for asker in (ANNA, BEN):
            await ask(queue, asker)
        await back_up(path, backups / "1.tar")
        clock.advance(3_600)
        assert await queue.forget("console", ANNA.person)
        await back_up(path, backups / "2.tar")
        clock.advance(3_600)
        await ask(queue, ANNA)
        await back_up(path, backups / "3.tar")


@pytest.mark.parametrize("place", ["live", "another machine"])
async def test_no_backup_brings_back_who_was_forgotten(tmp_path: Path, place: str) -> None:
    """On another machine there is only what lies beside the backups."""
    live, clock = tmp_path / "live" / "store.sqlite", FakeClock()
    await a_life(live, tmp_path / "backups", clock)
    path = tmp_path / place / "store.sqlite"
    for number, expected in (("1", {"ben"}), ("2", {"ben"}), ("3", {"ben", "anna"})):
        restore(tmp_path / "backups" / f"{number}.tar", path, f"x{number}")
        async with living(path, clock) as queue:
            assert await known(queue) == expected, number
            assert {folder.name for folder in queue.folder.iterdir()} == {"2-1", *({"3-1"} if number == "3" else ())}
    async with living(live, clock) as queue:
        assert await known(queue) == {"ben", "anna"}, "a start forgets nobody who came back"


async def test_the_book_says_to_nobody_who_it_was(tmp_path: Path) -> None:
    path, clock = tmp_path / "live" / "store.sqlite", FakeClock()
    await a_life(path, tmp_path / "backups", clock)
    book = path.with_name(BOOK)
    assert ANNA.person not in book.read_text() and book.stat().st_mode & 0o077 == 0
    assert forgotten.books_in(tmp_path / "backups") == [tmp_path / "backups" / BOOK]
    # With the same name and number in another store it means nothing: the key is another.
    other = tmp_path / "other" / "store.sqlite"
    async with living(other, clock) as queue:
        await ask(queue, ANNA)
    forgotten.merge(other.with_name(BOOK), [book])
    async with living(other, clock) as queue:
        assert await known(queue) == {"anna"}


async def test_a_line_that_was_cut_off_harms_no_other(tmp_path: Path) -> None:
    path, clock = tmp_path / "live" / "store.sqlite", FakeClock()
    path.parent.mkdir()
    path.with_name(BOOK).write_bytes(b"7 1.0 0123abc")
    await a_life(path, tmp_path / "backups", clock)
    restore(tmp_path / "backups" / "1.tar", path, "x")
    async with living(path, clock) as queue:
        assert await known(queue) == {"ben"}


def test_merging_twice_adds_nothing(tmp_path: Path) -> None:
    one, two = tmp_path / "a-forgotten", tmp_path / "b-forgotten"
    one.write_bytes(b"1 1.0 " + b"a" * 64 + b"\n")
    for _ in range(2):
        forgotten.merge(two, [one, one, tmp_path / "none"])
    assert two.read_bytes().count(b"a" * 64) == 1


async def test_who_cannot_be_noted_is_not_half_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "live" / "store.sqlite"
    async with living(path, FakeClock()) as queue:
        folder = await ask(queue, ANNA)
        path.with_name(BOOK).mkdir()
        with pytest.raises(Transient):
            await queue.forget("console", ANNA.person)
        assert await known(queue) == {"anna"} and folder.exists()
        path.with_name(BOOK).rmdir()
        assert await queue.forget("console", ANNA.person)
        assert await known(queue) == set() and not folder.exists()


async def test_no_word_of_theirs_is_left_on_the_disk_while_the_program_runs(tmp_path: Path) -> None:
    path = tmp_path / "live" / "store.sqlite"
    async with living(path, FakeClock()) as queue:
        await ask(queue, ANNA)
        assert holding(path.parent, b"anna"), "it is in the log"
        await queue.forget("console", ANNA.person)
        assert not holding(path.parent, b"anna")


def holding(folder: Path, word: bytes) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and word in file.read_bytes()]


def test_the_command_forgets_at_once(tmp_path: Path) -> None:
    path = tmp_path / "live" / "store.sqlite"
    asyncio.run(a_life(path, tmp_path / "backups", FakeClock()))
    assert main(["restore", str(tmp_path / "backups" / "1.tar"), "--store", str(path)]) == 0
    assert {folder.name for folder in files_folder(path).iterdir()} == {"2-1"}
    assert b"anna" not in path.read_bytes() and b"ben" in path.read_bytes()
