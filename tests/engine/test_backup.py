"""Backups: whole, checked, taken beside a writer, and put back without losing what was there."""

from __future__ import annotations

import asyncio
import calendar
import io
import os
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from bot.__main__ import main
from db.lock import Lock
from db.store import Store, StoreError
from engine.backup import FILES, STORE, back_up, dated, expire, expire_beside, restore
from engine.errors import UserError
from engine.service import files_folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with three people, and two files of jobs."""
    path = tmp_path / "live" / "tunetale.sqlite"
    path.parent.mkdir()
    asyncio.run(add_people(path, 3))
    for name, content in (("1-1/card.png", b"card"), ("uploads/abc", b"\x00" * 5_000)):
        file = files_folder(path) / name
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
    return path


def meet(conn: sqlite3.Connection, number: int) -> None:
    conn.execute("INSERT OR IGNORE INTO person (platform, key, first_seen) VALUES ('console', ?, 0)", (str(number),))


async def add_people(path: Path, count: int) -> None:
    async with await Store.open(path) as store:
        for number in range(count):
            await store.write(partial(meet, number=number))


def names(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as conn:
        return [name for (name,) in conn.execute("SELECT key FROM person ORDER BY id")]


def test_there_and_back(path: Path, tmp_path: Path) -> None:
    archive, elsewhere = tmp_path / "kept.tar", tmp_path / "new" / "store.sqlite"
    kept = asyncio.run(back_up(path, archive))
    assert kept.files == 2 and kept.bytes == archive.stat().st_size
    assert archive.stat().st_mode & 0o077 == 0
    put = restore(archive, elsewhere, "stamp")
    assert put == kept
    assert names(elsewhere) == names(path) == ["0", "1", "2"]
    assert (files_folder(elsewhere) / "1-1/card.png").read_bytes() == b"card"
    assert sorted(p.name for p in elsewhere.parent.iterdir()) == ["store-files", "store.sqlite", "store.sqlite.lock"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept.tar", "live", "new"]


def test_beside_a_writer(path: Path, tmp_path: Path) -> None:
    """While another connection writes on, the copy is one moment of it."""

    async def both() -> None:
        async with await Store.open(path) as store:
            writing = True

            async def write() -> None:
                number = 100
                while writing:
                    number += 1
                    await store.write(partial(meet, number=number))

            task = asyncio.create_task(write())
            await back_up(path, tmp_path / "kept.tar")
            writing = False
            await task

    asyncio.run(both())
    restore(tmp_path / "kept.tar", tmp_path / "other.sqlite", "stamp")
    found = names(tmp_path / "other.sqlite")
    assert found == names(path)[: len(found)] and len(found) >= 3


def test_restoring_keeps_what_was_there(path: Path, tmp_path: Path) -> None:
    asyncio.run(back_up(path, tmp_path / "kept.tar"))
    asyncio.run(add_people(path, 5))
    restore(tmp_path / "kept.tar", path, "before-x")
    assert names(path) == ["0", "1", "2"]
    assert names(path.with_name("tunetale.sqlite.before-x")) == ["0", "1", "2", "3", "4"]
    assert (path.parent / "tunetale-files.before-x/1-1/card.png").is_file()


def test_a_left_over_write_ahead_log_is_not_played_into_the_restored_store(path: Path, tmp_path: Path) -> None:
    asyncio.run(back_up(path, tmp_path / "kept.tar"))
    Path(f"{path}-wal").write_bytes(b"old")
    Path(f"{path}-shm").write_bytes(b"old")
    restore(tmp_path / "kept.tar", path, "x")
    assert not Path(f"{path}-wal").exists() and not Path(f"{path}-shm").exists()
    assert names(path) == ["0", "1", "2"]


def test_p12_a_restore_that_is_killed_anywhere_never_leaves_a_store_that_opens_half_restored(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(back_up(path, tmp_path / "kept.tar"))
    asyncio.run(add_people(path, 5))
    replaces, replace = 0, os.replace

    class Killed(BaseException):
        pass

    for die_at in range(1, 10):
        replaces = 0

        def dying(source: Path, target: Path, die_at: int = die_at) -> None:
            nonlocal replaces
            replaces += 1
            if replaces == die_at:
                raise Killed
            replace(source, target)

        monkeypatch.setattr(os, "replace", dying)
        try:
            restore(tmp_path / "kept.tar", path, f"try-{die_at}")
            break
        except Killed:
            with pytest.raises(UserError, match="interrupted; run `tunetale restore`"):
                asyncio.run(back_up(path, tmp_path / "other.tar"))
            with pytest.raises(StoreError, match="was interrupted"):
                asyncio.run(add_people(path, 1))
    assert die_at > 3
    assert names(path) == ["0", "1", "2"]
    assert (files_folder(path) / "1-1/card.png").read_bytes() == b"card"
    kept = [name for each in path.parent.glob("tunetale.sqlite.try-?") for name in names(each)]
    assert {"3", "4"} <= set(kept)  # what was there is still there


def test_a_newer_backup_replaces_an_older_one_whole(path: Path, tmp_path: Path) -> None:
    archive = tmp_path / "kept.tar"
    archive.write_bytes(b"x" * 1_000_000)
    asyncio.run(back_up(path, archive))
    assert tarfile.is_tarfile(archive)


def test_no_restoring_under_a_running_program(path: Path, tmp_path: Path) -> None:
    asyncio.run(back_up(path, tmp_path / "kept.tar"))
    lock = Lock.take(path)
    try:
        with pytest.raises(UserError, match="is in use by another TuneTale"):
            restore(tmp_path / "kept.tar", path, "x")
    finally:
        lock.release()
    assert not [p for p in path.parent.iterdir() if p.name.endswith(".x") or p.name.startswith(".")]


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no store"):
        asyncio.run(back_up(tmp_path / "none.sqlite", tmp_path / "kept.tar"))
    assert list(tmp_path.iterdir()) == []


def test_nowhere_to_write(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="could not be written: No such file"):
        asyncio.run(back_up(path, tmp_path / "none" / "kept.tar"))


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, "/etc/passwd"
    return info, io.BytesIO(content)


@pytest.fixture
def sound(path: Path, tmp_path: Path) -> bytes:
    """The bytes of a sound store."""
    asyncio.run(back_up(path, tmp_path / "sound.tar"))
    with tarfile.open(tmp_path / "sound.tar") as archive:
        member = archive.extractfile(STORE)
        assert member is not None
        return member.read()


@pytest.fixture
def unchanged(path: Path) -> Iterator[None]:
    """Whatever happens, the live store stays as it is."""
    before = path.read_bytes()
    yield
    assert path.read_bytes() == before
    assert not [p for p in path.parent.iterdir() if p.name.startswith(".")]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (entry("../outside", b"x"), "no backup of TuneTale does"),
        (entry(f"{FILES}/../../outside", b"x"), "damaged or no backup"),
        (entry("/etc/evil", b"x"), "no backup of TuneTale does"),
        (entry(f"{FILES}/link", kind=tarfile.SYMTYPE), "no backup of TuneTale does"),
        (entry(f"{FILES}/hard", kind=tarfile.LNKTYPE), "no backup of TuneTale does"),
        (entry(f"{FILES}/pipe", kind=tarfile.FIFOTYPE), "no backup of TuneTale does"),
        (entry("config.toml", b"x"), "no backup of TuneTale does"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0].name,
)
def test_an_archive_with_a_trick(
    path: Path, tmp_path: Path, sound: bytes, extra: tuple[tarfile.TarInfo, io.BytesIO], sentence: str
) -> None:
    with tarfile.open(tmp_path / "trick.tar", "w") as archive:
        archive.addfile(*entry(STORE, sound))
        archive.addfile(*extra)
    with pytest.raises(UserError, match=sentence) as caught:
        restore(tmp_path / "trick.tar", path, "x")
    assert caught.value.code == "no_backup" and not (tmp_path / "outside").exists()


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_cut_archive(path: Path, tmp_path: Path, share: float) -> None:
    asyncio.run(back_up(path, tmp_path / "kept.tar"))
    whole = (tmp_path / "kept.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError):
        restore(tmp_path / "cut.tar", path, "x")


@pytest.mark.usefixtures("unchanged")
def test_a_store_that_is_damaged_inside(path: Path, tmp_path: Path, sound: bytes) -> None:
    broken = bytearray(sound)
    for page in range(1, len(broken) // 4_096):
        broken[page * 4_096 : page * 4_096 + 16] = b"\xff" * 16
    with tarfile.open(tmp_path / "broken.tar", "w") as archive:
        archive.addfile(*entry(STORE, bytes(broken)))
    with pytest.raises(UserError, match="damaged"):
        restore(tmp_path / "broken.tar", path, "x")


@pytest.mark.usefixtures("unchanged")
def test_a_backup_of_a_newer_version(path: Path, tmp_path: Path, sound: bytes) -> None:
    newer = tmp_path / "newer.sqlite"
    newer.write_bytes(sound)
    with closing(sqlite3.connect(newer)) as conn:
        conn.execute("PRAGMA user_version = 999")
    with tarfile.open(tmp_path / "newer.tar", "w") as archive:
        archive.add(newer, STORE)
    with pytest.raises(UserError, match="written by a newer TuneTale"):
        restore(tmp_path / "newer.tar", path, "x")


@pytest.mark.usefixtures("unchanged")
def test_another_file(path: Path, tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(b"ID3" + bytes(10_000))
    with pytest.raises(UserError, match="no backup of TuneTale"):
        restore(tmp_path / "song.mp3", path, "x")
    with pytest.raises(UserError, match="could not be restored: No such file"):
        restore(tmp_path / "none.tar", path, "x")


def test_dated_backups_expire_and_nothing_else(tmp_path: Path) -> None:
    day = 86_400.0
    now = 1_796_000_000.0
    old, young = dated(tmp_path, now - 31 * day), dated(tmp_path, now - 29 * day)
    others = [tmp_path / name for name in ("tunetale.tar", "tunetale-20200101-000000.tar.gz", "my-20200101-000000.tar")]
    for path in (old, young, *others):
        path.write_bytes(b"x")
    assert expire(tmp_path, now - 30 * day) == 1
    assert not old.exists() and young.exists() and all(path.exists() for path in others)


def test_copies_beside_the_store_are_backups_too(path: Path, tmp_path: Path) -> None:
    """What a restore and an upgrade keep is as long on the disk as any backup, and the store itself for ever."""
    asyncio.run(back_up(path, tmp_path / "kept.tar"))
    restore(tmp_path / "kept.tar", path, "before-20260101-000000")
    restore(tmp_path / "kept.tar", path, "before-20260201-000000")
    for name in ("tunetale.sqlite.v2", "tunetale.sqlite.v3", "tunetale.sqlite.before-20260101-000000-wal", "other.v1"):
        path.with_name(name).write_bytes(b"x")
        os.utime(path.with_name(name), (0, 0))
    os.utime(path.with_name("tunetale.sqlite.v3"))
    for kept in (path, files_folder(path)):
        os.utime(kept, (0, 0))
    middle = float(calendar.timegm((2026, 1, 15, 0, 0, 0)))
    assert expire_beside(files_folder(path), middle) >= 4
    young = {"tunetale.sqlite.before-20260201-000000", "tunetale-files.before-20260201-000000", "tunetale.sqlite.v3"}
    ours = {"tunetale.sqlite", "tunetale-files", "tunetale.sqlite.lock", "other.v1"}
    assert {file.name for file in path.parent.iterdir()} == young | ours
    assert expire_beside(files_folder(path), middle) == 0


def test_the_command_writes_dated_ones_in_a_folder_and_lets_old_ones_go(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    old = dated(folder, 0.0)
    old.write_bytes(b"x")
    assert main(["backup", str(folder), "--store", str(path)]) == 0
    (written,) = folder.iterdir()
    assert tarfile.is_tarfile(written) and not old.exists()
