"""Files at rest under a key: sealed on the disk, in the clear for those who may, one sentence for a wrong key."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bot.console.platform import put_files
from bot.contract import Audio, Picture, Upload
from bot.discord.sheets import Sheet, opened
from bot.telegram.sending import _media
from db.store import Store
from engine import vault
from engine.backup import back_up, restore
from engine.errors import UserError
from engine.jobs import ComposeRequest, ComposeResult, FileSource, StoryRequest
from engine.pipeline import Pipeline
from engine.report import silent
from engine.secret_file import read_secret
from engine.service import files_folder
from engine.settings import EngineSettings
from engine.steps import Stopwatch, get_recording
from engine.vault import MAGIC, Vault, load, new_key
from tests.fakes.chat import ANNA, GROUP, file_of, make_in, room

WORDS = b"a secret lamp " * 20_000


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "key.txt"
    path.parent.mkdir()
    assert vault.main([str(path)]) == 0
    return path


@pytest.fixture
def sealing(key_file: Path) -> Iterator[Vault]:
    """This process uses a key."""
    vault.use(load(str(key_file)))
    yield vault.current()
    vault.use(Vault())


def secret(folder: Path, data: bytes = WORDS) -> Path:
    path = folder / "file"
    path.write_bytes(data)
    return path


def test_a_key_file_is_made_for_its_owner_alone_and_never_over_another(key_file: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    before = key_file.read_text()
    assert before.splitlines()[1].startswith("AGE-SECRET-KEY-1")
    assert vault.main([str(key_file)]) == 2 and key_file.read_text() == before
    assert vault.main([]) == 2 and vault.main([str(tmp_path / "none" / "x")]) == 2


@pytest.mark.parametrize("size", [0, 1, 65_536, 5_000_000])
def test_there_and_back(sealing: Vault, tmp_path: Path, size: int) -> None:
    data = np.random.default_rng(1).bytes(size)
    path = secret(tmp_path, data)
    sealing.seal(path)
    on_disk = path.read_bytes()
    assert on_disk.startswith(MAGIC) and (size < 100 or data[:64] not in on_disk)
    sealing.seal(path)
    assert path.read_bytes() == on_disk, "it is sealed once"
    assert sealing.read(path) == data
    with sealing.plain(path) as plain:
        assert plain.read_bytes() == data and not str(plain).startswith(str(tmp_path))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "keys"]


def test_without_a_key_nothing_changes(tmp_path: Path) -> None:
    path = secret(tmp_path)
    Vault().seal(path)
    with Vault().plain(path) as plain:
        assert plain == path
    assert Vault().read(path) == path.read_bytes() == WORDS


def test_what_lies_in_the_clear_stays_readable_when_a_key_comes(sealing: Vault, tmp_path: Path) -> None:
    path = secret(tmp_path)
    with sealing.plain(path) as plain:
        assert plain == path
    assert sealing.read(path) == WORDS
    with sealing.plain(tmp_path / "none") as plain:
        assert plain == tmp_path / "none"


@pytest.mark.parametrize("harm", ["key", "cut", "changed"])
def test_a_wrong_key_or_a_damaged_file_is_one_sentence(sealing: Vault, tmp_path: Path, harm: str) -> None:
    path = secret(tmp_path)
    sealing.seal(path)
    data = bytearray(path.read_bytes())
    reader = sealing
    if harm == "key":
        other = tmp_path / "other"
        vault.main([str(other)])
        reader = load(str(other))
    elif harm == "cut":
        path.write_bytes(data[:100_000])
    else:
        data[-5] ^= 1
        path.write_bytes(data)
    with pytest.raises(UserError, match="sealed with another key or is damaged") as caught:
        reader.read(path)
    assert caught.value.message.count(". ") == 0 and "\n" not in caught.value.message
    with pytest.raises(UserError), reader.plain(path):
        raise AssertionError


def test_key_files_that_are_refused(key_file: Path, tmp_path: Path) -> None:
    key_file.chmod(0o640)
    with pytest.raises(UserError, match="chmod 600") as caught:
        load(str(key_file))
    assert "AGE-SECRET" not in caught.value.message
    with pytest.raises(UserError, match="cannot be read: No such file"):
        load(str(tmp_path / "none"))
    for text in ("", "hello", "AGE-SECRET-KEY-1NONSENSE"):
        bad = tmp_path / "bad"
        bad.write_text(text)
        bad.chmod(0o600)
        with pytest.raises(UserError, match="holds no key") as caught:
            load(str(bad))
        assert "NONSENSE" not in caught.value.message
    (tmp_path / "bad").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="it is no text"):
        read_secret(tmp_path / "bad")


def test_the_start_notices_a_wrong_or_missing_key(sealing: Vault, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    Vault().prove(folder)
    assert not list(folder.iterdir())
    sealing.prove(folder)
    sealing.prove(folder)
    with pytest.raises(UserError, match="are sealed; please name their key file"):
        Vault().prove(folder)
    other = tmp_path / "other"
    other.write_text(new_key())
    other.chmod(0o600)
    with pytest.raises(UserError, match="another key"):
        load(str(other)).prove(folder)


def test_a_full_disk_leaves_the_file_as_it_was(sealing: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = secret(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        sealing.seal(path)
    assert path.read_bytes() == WORDS and sorted(p.name for p in tmp_path.iterdir()) == ["file", "keys"]


# --- the rest of the program ------------------------------------------------------------------------------------


def test_a_sealed_recording_is_heard(sealing: Vault, tmp_path: Path) -> None:
    tone = 0.3 * np.sin(np.arange(4 * 22_050) / 10)
    soundfile.write(tmp_path / "song.wav", tone, 22_050)
    sealing.seal(tmp_path / "song.wav")
    source = FileSource(str(tmp_path / "song.wav"), "song.wav")
    recording = get_recording(source, EngineSettings(), tmp_path, silent, Stopwatch())
    assert recording.duration_s == pytest.approx(4, abs=0.1)


def test_what_a_job_makes_is_sealed(sealing: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = StoryRequest(FileSource("x", "x"))
    monkeypatch.setattr(
        "engine.pipeline.to_story", lambda request, stages, settings, folder, _: make_in(folder, request)
    )
    stages: Any = None
    result = Pipeline(stages, EngineSettings())(request, tmp_path, silent)
    assert (tmp_path / "card.png").read_bytes().startswith(MAGIC)
    assert sealing.read(tmp_path / "card.png") == b"png" and result.kind == "story"


async def test_uploads_are_sealed_under_the_name_of_their_content(sealing: Vault, tmp_path: Path) -> None:
    async with room(tmp_path) as here:
        visit = await here.desk.visit(ANNA, GROUP, add=True)
        assert visit.person_id is not None
        path = await here.desk.inbox.take(Upload("x.mp3", 5, file_of(b"music")), visit.person_id, 100, 0.0)
        assert path.read_bytes().startswith(MAGIC) and sealing.read(path) == b"music"
        text = await here.desk.inbox.read_text(Upload("x.txt", 5, file_of("故事".encode())), 100)
        assert text == "故事" and [entry.name for entry in here.desk.inbox.folder.iterdir()] == [path.name]


async def test_sealed_files_are_delivered_in_the_clear(sealing: Vault, tmp_path: Path) -> None:
    path = secret(tmp_path, b"a picture")
    sealing.seal(path)
    fields = await _media(Picture(path, "card.png", "A card."))
    assert fields["photo"].input_file_content == b"a picture"
    with opened(Sheet("", (Picture(path, "card.png", "A card."), Audio(path, "m.mp3", "t", "p", 1.0)))) as sheet:
        assert [file.fp.read() for file in sheet["files"]] == [b"a picture"] * 2


def test_the_command_line_gets_them_in_the_clear(sealing: Vault, tmp_path: Path) -> None:
    source, target = tmp_path / "made", tmp_path / "out"
    source.mkdir()
    result = make_in(source, ComposeRequest("x", 30.0))
    assert isinstance(result, ComposeResult)
    for path in source.iterdir():
        sealing.seal(path)
    put_files(result, source, target)
    assert (target / "music.mp3").read_bytes() == b"mp3" and (target / "card.png").read_bytes() == b"png"


def test_a_backup_holds_them_sealed_and_gives_them_back(sealing: Vault, tmp_path: Path) -> None:
    async def made() -> None:
        async with await Store.open(tmp_path / "store.sqlite"):
            pass

    asyncio.run(made())
    folder = files_folder(tmp_path / "store.sqlite")
    folder.mkdir()
    sealing.prove(folder)
    sealing.seal(secret(folder))
    asyncio.run(back_up(tmp_path / "store.sqlite", tmp_path / "kept.tar"))
    assert b"a secret lamp" not in (tmp_path / "kept.tar").read_bytes()
    restore(tmp_path / "kept.tar", tmp_path / "other.sqlite", "x")
    other = files_folder(tmp_path / "other.sqlite")
    assert sealing.read(other / "file") == WORDS
    sealing.prove(other)
    with pytest.raises(UserError, match="are sealed"):
        Vault().prove(other)
