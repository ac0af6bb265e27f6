"""`tunetale models`, with the unmodified library of the hub, against a strict hub on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import UserError
from engine.lockfile import read_lock, sha256_of
from engine.music.t5 import T5Describer
from engine.settings import T5Settings
from engine.tiny.t5 import save_tiny_t5
from tests.fakes.hub import FakeHub, Repo, files_of, hub_with

NAME = "somebody/tiny-t5"
LOCK = '{"schema": 1, "models": {"a": {"commit": "c", "licence": "l", "files": {}}}}'
FIRST, SECOND = "1" * 40, "2" * 40


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return files_of(save_tiny_t5(tmp_path_factory.mktemp("t5") / "tiny"))


@pytest.fixture
def hub(files: dict[str, bytes]) -> Iterator[FakeHub]:
    beside = {"pytorch_model.bin": b"a pickle", "evil.py": b"raise SystemExit", "original/params.json": b"{}"}
    repo = Repo({FIRST: files | beside}, FIRST)
    with hub_with({NAME: repo}) as server:
        yield server


class Machine:
    """A folder in which `tunetale` is run, with a cache of its own and the fake hub as the hub."""

    def __init__(self, folder: Path, hub: FakeHub) -> None:
        self.folder = folder
        self.lock = folder / "models.lock"
        self.cache = folder / "home" / "hub"
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self._environment = kept | {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(folder / "home"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "LC_ALL": "C.UTF-8",
            "PYTHONWARNINGS": "error",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bot", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def machine(tmp_path: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path, hub)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(machine.cache))
    return machine


def test_a_model_is_fetched_locked_listed_and_loaded(machine: Machine, hub: FakeHub, files: dict[str, bytes]) -> None:
    (machine.folder / "config.toml").write_text(f'[engine.stages]\ndescriber = "t5"\n[engine.t5]\nmodel = "{NAME}"\n')
    done = machine.run("models", "fetch")
    assert done.returncode == 0, done.stderr
    assert NAME in done.stdout and FIRST[:12] in done.stdout and "apache-2.0" in done.stdout
    assert "100%" in done.stderr  # the bar
    locked = read_lock(machine.lock)[NAME]
    assert locked.commit == FIRST and set(locked.files) == set(files)  # no pickle, no code, no sub-folder
    assert not any("pytorch_model" in line or "evil" in line or "params" in line for line in hub.requests)

    shown = machine.run("models", "list", "--check")
    assert shown.returncode == 0 and "here" in shown.stdout

    describer = T5Describer.load(T5Settings(model=NAME, device="cpu"), machine.lock)
    assert describer.name == "T5 (tiny-t5)"

    weights = next(machine.cache.rglob("snapshots/*/model.safetensors"))
    weights.resolve().write_bytes(b"x" * weights.stat().st_size)
    with pytest.raises(UserError, match=r"are not those that .*models\.lock has locked; fetch it") as caught:
        T5Describer.load(T5Settings(model=NAME, device="cpu"), machine.lock)
    assert caught.value.code == "model_changed"
    broken = machine.run("models", "list", "--check")
    assert broken.returncode == 1 and "not as locked" in broken.stdout

    assert machine.run("models", "fetch").returncode == 0  # brings the wrong file again
    assert sha256_of(weights) == locked.files["model.safetensors"].sha256


def test_the_locked_commit_comes_again_until_an_update(machine: Machine, hub: FakeHub, files: dict[str, bytes]) -> None:
    assert machine.run("models", "fetch", NAME).returncode == 0
    hub.repos[NAME].commits[SECOND] = files | {"config.json": files["config.json"] + b"\n"}
    hub.repos[NAME].main = SECOND
    assert machine.run("models", "fetch", NAME).returncode == 0
    assert read_lock(machine.lock)[NAME].commit == FIRST
    assert machine.run("models", "fetch", NAME, "--update").returncode == 0
    assert read_lock(machine.lock)[NAME].commit == SECOND


def test_what_the_hub_has_not_or_does_not_give(machine: Machine, hub: FakeHub) -> None:
    """One sentence each, and nothing is locked."""
    hub.repos["somebody/pickled"] = Repo({FIRST: {"config.json": b"{}", "pytorch_model.bin": b"x"}}, FIRST)
    hub.repos["somebody/gated"] = Repo({FIRST: {}}, FIRST, gated=True)
    hub.repos["somebody/liar"] = Repo(
        {FIRST: {"model.safetensors": b"true"}}, FIRST, lies={"model.safetensors": b"lies"}
    )
    for arguments, said in (
        (["nobody/nothing"], "The hub has no model nobody/nothing"),
        (["somebody/pickled"], "has no weights as safetensors"),
        (["somebody/gated"], "accept its licence"),
        (["somebody/liar"], "is not what it should be, and was removed"),
        ([NAME, "--revision", "3" * 40], f"has no revision {'3' * 40}"),
        (["somebody/gated", "--audiocraft"], "only Meta's own are fetched"),
        ([], "The settings use no model of the hub"),
    ):
        done = machine.run("models", "fetch", *arguments)
        assert done.returncode == 2 and said in done.stderr, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
    hub.broken = True
    done = machine.run("models", "fetch", NAME)
    assert done.returncode == 1 and "could not be fetched" in done.stderr
    assert not machine.lock.exists()


def test_audiocrafts_files_join_those_of_the_same_commit(
    machine: Machine, hub: FakeHub, files: dict[str, bytes]
) -> None:
    name = "facebook/musicgen-small"
    pickles = {"state_dict.bin": b"weights", "compression_state_dict.bin": b"codec"}
    hub.repos[name] = Repo({FIRST: files | pickles}, FIRST, licence="cc-by-nc-4.0")
    hub.repos |= {part: Repo({SECOND: files}, SECOND) for part in ("t5-base", "facebook/encodec_32khz")}
    assert machine.run("models", "fetch", name).returncode == 0
    assert not set(read_lock(machine.lock)[name].files) & set(pickles)
    done = machine.run("models", "fetch", name, "--audiocraft")
    assert done.returncode == 0, done.stderr
    assert "CC-BY-NC 4.0" in done.stdout
    lock = read_lock(machine.lock)
    assert set(lock[name].files) == set(files) | set(pickles)
    assert set(lock) == {name, "t5-base", "facebook/encodec_32khz"}


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"schema": 2, "models": {}}',
        LOCK,
        LOCK.replace("{}", '{"../x": {"sha256": "", "bytes": 1}}'),
    ],
)
def test_a_damaged_lock_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "models.lock").write_text(text)
    with pytest.raises(UserError, match="cannot be read as a lock of models") as caught:
        read_lock(tmp_path / "models.lock")
    assert caught.value.code == "bad_lock"


def test_the_lock_is_plain_json(machine: Machine) -> None:
    assert machine.run("models", "fetch", NAME).returncode == 0
    document = json.loads(machine.lock.read_text())
    assert document["schema"] == 1 and list(document["models"]) == [NAME]
