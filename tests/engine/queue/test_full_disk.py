"""P1 and P3 on a disk without room: what was accepted stays, what was refused is told, and all goes on afterwards.

A disk is full either because a file may not grow (`RLIMIT_FSIZE`, possible anywhere) or because a small file system is
(a tmpfs, where this process may mount one).
"""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from db.store import Store, StoreError, check
from engine import worker
from engine.errors import Transient
from engine.jobs import Asker, TextEmotionRequest
from engine.queue import Queue
from tests.engine.queue.cases import ANNA, READ, ROOMY, TEXTS, claim, state
from tests.fakes.clock import FakeClock

LONG = TextEmotionRequest(("A quiet street. " * 1_000,))
SMALL_DISK_BYTES = 3 * 2**20


@dataclass(frozen=True)
class Disk:
    """A place for a store, which can be filled up for a while."""

    folder: Path
    full: Callable[[bool], Iterator[None]]


@pytest.fixture(params=["limit", "tmpfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "limit":
        yield Disk(folder, lambda new_files: limited(folder, new_files))
        return
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount a file system; the other disk is tested")
    try:
        yield Disk(folder, lambda _: crammed(folder))
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def limited(folder: Path, new_files: bool) -> Iterator[None]:
    """Let no file grow beyond what the largest one here has, plus little; `new_files`: let none grow beyond 40 kB."""
    largest = max((file.stat().st_size for file in folder.iterdir() if file.is_file()), default=0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000 if new_files else largest + 20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def crammed(folder: Path) -> Iterator[None]:
    """Fill the file system up to the last page."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4_096)
        except OSError as error:
            assert error.errno == errno.ENOSPC
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def full(disk: Disk, *, new_files: bool = False) -> Iterator[None]:
    yield from disk.full(new_files)


async def fill(queue: Queue) -> list[int]:
    """Submit until it is refused; return what was accepted."""
    accepted: list[int] = []
    with pytest.raises(Transient) as refused:
        while True:
            accepted.append((await queue.submit(LONG, Asker("console", "anna", "kitchen"))).id)
            assert len(accepted) < 1_000
    # Said in chats, so it does not say where the store is.
    assert re.fullmatch(r"TuneTale's store failed: the disk (is full|reported an error)\.", refused.value.message)
    return accepted


async def test_p1_p3_accepted_jobs_outlive_a_full_disk_and_the_work_goes_on(disk: Disk, clock: FakeClock) -> None:
    path = disk.folder / "store.sqlite"
    async with await Store.open(path) as store:
        queue = Queue(store, disk.folder / "files", clock=clock, policy=ROOMY)
        accepted = [(await queue.submit(LONG, ANNA)).id for _ in range(5)]
        running = await claim(queue)
        with full(disk):
            accepted += await fill(queue)
            for _ in range(3):  # and each later one as well, without harm to anything
                with pytest.raises(Transient):
                    await queue.submit(LONG, ANNA)
            assert await queue.idle() is False  # reading goes on
        assert [await state(queue, job_id) for job_id in accepted[1:]] == [("queued", 0)] * (len(accepted) - 1)
        assert await queue.finish(running.token, READ)
        accepted.append((await queue.submit(TEXTS, ANNA)).id)
    check(path)
    async with await Store.open(path) as store:
        queue = Queue(store, disk.folder / "files", clock=clock, policy=ROOMY)
        await queue.recover()
        found = [(await claim(queue)).job.id for _ in accepted[1:]]
    assert found == accepted[1:]


async def test_p1_a_database_that_cannot_grow_keeps_what_the_log_holds(disk: Disk) -> None:
    """A checkpoint into the file fails for want of room; nothing is lost, and a later one succeeds."""
    path = disk.folder / "store.sqlite"
    async with await Store.open(path) as store:
        queue = Queue(store, disk.folder / "files", policy=ROOMY)
        accepted = {(await queue.submit(LONG, ANNA)).id for _ in range(10)}
        with full(disk):
            outcome = await store.read(lambda conn: _checkpoint(conn))
        assert {
            job for (job,) in await store.read(lambda conn: conn.execute("SELECT id FROM job").fetchall())
        } == accepted
        assert outcome in ("done", "refused")
    check(path)
    with closing(sqlite3.connect(path)) as conn:
        assert {job for (job,) in conn.execute("SELECT id FROM job")} == accepted


def _checkpoint(conn: sqlite3.Connection) -> str:
    conn.execute("ROLLBACK")
    try:
        (busy, _, _) = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error:
        return "refused"
    return "refused" if busy else "done"


async def test_a_backup_without_room_leaves_no_half_and_the_store_unharmed(disk: Disk) -> None:
    path = disk.folder / "store.sqlite"
    async with await Store.open(path) as store:
        queue = Queue(store, disk.folder / "files", policy=ROOMY)
        accepted = [(await queue.submit(LONG, ANNA)).id for _ in range(20)]
        before = {file.name for file in disk.folder.iterdir()}
        with full(disk, new_files=True), pytest.raises(StoreError, match=r"copy.sqlite could not be written"):
            await store.backup(disk.folder / "copy.sqlite")
        assert {file.name for file in disk.folder.iterdir()} == before
        assert [(await claim(queue)).job.id for _ in accepted] == accepted


def test_a_result_that_does_not_fit_is_tried_again_later(disk: Disk) -> None:
    """The worker says so, the queue waits and tries again (`test_three_transient_failures_with_growing_delays`)."""
    with full(disk), pytest.raises(OSError, match=r"No space left|too large") as raised:
        (disk.folder / "music.wav").write_bytes(b"x" * 10 * SMALL_DISK_BYTES)
    failed = worker.failure("token", raised.value)
    assert (failed.kind, failed.code) == ("transient", "disk_full")
    assert failed.message.startswith("There is no room left on the disk")


async def test_a_folder_that_cannot_be_made_charges_no_attempt(disk: Disk, clock: FakeClock) -> None:
    """Claiming makes a folder inside the transaction; without room for one, the job stays as it was."""
    async with await Store.open(disk.folder / "store.sqlite") as store:
        queue = Queue(store, disk.folder / "files", clock=clock, policy=ROOMY)
        job = await queue.submit(TEXTS, ANNA)
        (disk.folder / "files").touch()
        with pytest.raises(Transient, match="folder for results"):
            await queue.claim()
        os.unlink(disk.folder / "files")
        assert await state(queue, job.id) == ("queued", 0)
        assert (await claim(queue)).job.attempt == 1
