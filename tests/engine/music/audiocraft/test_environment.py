"""audiocraft's environment: how it is chosen and built, and, where it is there, that everything works in it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bot.console.ask import Wish, ask
from bot.console.doctor import tiny_audiocraft_settings
from bot.console.sources import Place
from bot.wishes import compose_request
from engine.errors import UserError
from engine.jobs import ComposeResult
from engine.music.audiocraft import environment
from engine.music.audiocraft.environment import build, environment_folder, is_ready, python_in, worker_command
from engine.service import running
from engine.settings import AudiocraftSettings, EngineSettings, StageSettings
from engine.tiny.audiocraft import save_tiny_audiocraft

ROOT = Path(__file__).parents[4]
OURS = environment_folder(EngineSettings())
wants_environment = pytest.mark.skipif(
    not is_ready(OURS) or not any(OURS.glob("lib/python*/site-packages/pytest")),
    reason=f"there is no environment with pytest in {OURS}; `make test-audiocraft` builds it (2 GB) and runs this",
)


def with_audiocraft(folder: Path) -> EngineSettings:
    return EngineSettings(
        stages=StageSettings(composer="audiocraft"), audiocraft=AudiocraftSettings(environment=str(folder))
    )


def pretend(folder: Path) -> None:
    """Make what looks like a whole environment."""
    (folder / "bin").mkdir(parents=True)
    python_in(folder).symlink_to(sys.executable)
    (folder / environment.READY).write_text(environment._fingerprint())


def test_other_composers_run_in_our_own_environment() -> None:
    assert worker_command(EngineSettings()) == (sys.executable, "-P", "-m", "engine.worker")


def test_audiocraft_runs_in_its_own(tmp_path: Path) -> None:
    pretend(tmp_path / "env")
    command = worker_command(with_audiocraft(tmp_path / "env"))
    assert command == (str(tmp_path / "env" / "bin" / "python"), "-P", "-m", "engine.music.audiocraft.worker")
    assert OURS.name == f"{Path(sys.prefix).name}-audiocraft" and OURS.parent == Path(sys.prefix).parent


@pytest.mark.parametrize("harm", ["READY", "python"])
def test_an_environment_that_is_not_whole_is_said(tmp_path: Path, harm: str) -> None:
    pretend(tmp_path / "env")
    if harm == "READY":
        (tmp_path / "env" / environment.READY).write_text("of older lists")
    else:
        python_in(tmp_path / "env").unlink()

    async def start() -> None:
        async with running(with_audiocraft(tmp_path / "env")):
            raise AssertionError("it started")

    with pytest.raises(UserError, match="please run `tunetale setup audiocraft`") as caught:
        asyncio.run(start())
    assert caught.value.code == "no_environment"


def test_a_failing_step_is_one_sentence_and_leaves_no_whole_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index that is not there: the very command, with a real virtual environment and a real pip."""
    told: list[tuple[int, int]] = []
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(UserError, match=r"could not be built \(.*torch==2\.13\.0.*\); .*tunetale-setup\.log") as caught:
        build(tmp_path / "env", lambda step, steps, line: told.append((step, steps)), torch_index="http://127.0.0.1:9/")
    assert caught.value.code == "no_environment" and "\n" not in caught.value.message
    assert told and {step for step, _ in told} == {2} and told[0][1] == 5
    assert "torch" in (tmp_path / "env" / environment.LOG).read_text()
    assert not is_ready(tmp_path / "env")


def test_a_build_to_its_end_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps run in order, with the indexes where they belong; only then is the environment whole."""
    steps: list[list[str]] = []

    def step(command: list[str], heard: object, folder: Path) -> None:
        steps.append(command)
        assert not is_ready(tmp_path / "env")

    monkeypatch.setattr(environment, "_run", step)
    pretend(tmp_path / "env")
    build(tmp_path / "env", lambda *_: None, index="https://mirror/simple", torch_index="https://torch/cpu")
    assert is_ready(tmp_path / "env")
    venv, torch_step, packages, alone, check = (" ".join(command) for command in steps)
    assert venv.endswith(f"-m venv {tmp_path / 'env'}")
    assert "--index-url https://torch/cpu -r" in torch_step and "requirements-torch.txt" in torch_step
    assert "--index-url https://mirror/simple" in packages and "https://torch/cpu" not in packages
    assert f"-c {ROOT / 'constraints.txt'}" in packages and packages.endswith(f"-e {ROOT}")
    assert "--no-deps" in alone and "requirements-alone.txt" in alone
    assert "worker.check()" in check


def test_without_a_checkout_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    with pytest.raises(UserError, match="from a checkout of TuneTale"):
        build(tmp_path / "env", lambda *_: None)
    assert not (tmp_path / "env").exists()


@wants_environment
def test_the_marked_tests_pass_in_the_environment() -> None:
    command = [str(python_in(OURS)), "-W", "default", "-m", "pytest", "-W", "default", "-p", "no:cacheprovider"]
    here = str(Path(__file__).parent.relative_to(ROOT))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [*command, "-m", "audiocraft", here],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
    assert "passed" in done.stdout and "skipped" not in done.stdout, done.stdout[-500:]


@wants_environment
async def test_a_job_goes_through_it(tmp_path: Path) -> None:
    """Main process here, queue, supervisor, pipe; the worker there: story in, music out."""
    save_tiny_audiocraft(tmp_path / "audiocraft")
    settings = tiny_audiocraft_settings(tmp_path, AudiocraftSettings(environment=str(OURS)))
    request = compose_request("The sea was calm. We sang.", settings.text, seconds=10)
    place = Place(tmp_path / "out", None)
    ((answer, *_),) = await ask([Wish(request, "music", place)], settings, None, Console(quiet=True), "en")
    assert isinstance(answer.result, ComposeResult), answer.error_message
    assert answer.result.models["composer"] == "MusicGen by audiocraft (audiocraft)"
    assert (tmp_path / "out" / "music.ogg").stat().st_size > 5_000
