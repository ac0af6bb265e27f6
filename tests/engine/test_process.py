"""The life and death of a real worker process, and what it is given."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from engine import pipe
from engine.pipe import Run, Start
from engine.process import WorkerProcess, environment
from engine.settings import EngineSettings, ServerSettings, StageSettings, WorkerSettings, settings_to_json
from tests.fakes.director import PATIENCE_S, command, directing

START = Start(EngineSettings(worker=WorkerSettings(slots=2, start_timeout_s=PATIENCE_S)))


def test_its_environment_holds_no_secret() -> None:
    ours = {"PATH": "/bin", "HOME": "/home/me", "DISCORD_TOKEN": "s", "HF_TOKEN": "s", "https_proxy": "http://u:s@p"}
    theirs = environment(ours, threads=3)
    assert theirs == {
        "PATH": "/bin",
        "HOME": "/home/me",
        "OMP_NUM_THREADS": "3",
        "MALLOC_ARENA_MAX": "2",
        "PYTHONUTF8": "1",
    }


def test_it_gets_the_one_key_that_its_backend_needs() -> None:
    ours = {"DISCORD_TOKEN": "s", "MY_KEY": "k"}
    server = ServerSettings(api_key_variable="MY_KEY")
    needed = EngineSettings(stages=StageSettings(storyteller="openai"), server=server)
    assert "MY_KEY" not in environment(ours, 1, EngineSettings(server=server).secret_variables)
    theirs = environment(ours, 1, needed.secret_variables)
    assert theirs["MY_KEY"] == "k"
    assert "DISCORD_TOKEN" not in theirs
    assert "k" not in settings_to_json(needed).split('"')


async def test_a_real_worker_gets_no_secret_and_its_own_process_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "sentinel-of-the-test")
    child = await WorkerProcess.start(command(), START.settings)
    try:
        process = Path(f"/proc/{child.pid}")
        assert b"sentinel" not in (process / "environ").read_bytes()
        assert b"sentinel" not in (process / "cmdline").read_bytes()
        assert os.getpgid(child.pid) == os.getsid(child.pid) == child.pid
    finally:
        assert await child.end() == -signal.SIGKILL
    child.kill()  # nobody is hit


async def test_a_worker_that_is_not_ready_in_time_is_ended() -> None:
    settings = EngineSettings(worker=WorkerSettings(start_timeout_s=0.01))
    with pytest.raises(Exception, match="did not start"):
        await WorkerProcess.start(command("stuck"), settings)


async def test_a_busy_worker_ends_with_its_pipe() -> None:
    async with directing() as director:
        process = await asyncio.create_subprocess_exec(
            *command(), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
        )
        assert process.stdin is not None
        process.stdin.write(pipe.frame_to_worker(START))
        process.stdin.write(pipe.frame_to_worker(Run("1", director.request("a"), "/nowhere")))
        call = await director.call("a")
        call.order("hang")
        process.stdin.close()
        await call.over()
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0


PARENT = """
import asyncio, sys
from engine.process import WorkerProcess
from engine.pipe import Run
from engine.jobs import ComposeRequest
from engine.settings import EngineSettings

async def main():
    address, *command = sys.argv[1:]
    child = await WorkerProcess.start(command, EngineSettings())
    child.send(Run("1", ComposeRequest(f"{address}|stuck"), "/nowhere"))
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("while_", ["loading", "working"])
async def test_a_worker_dies_with_its_parent(while_: str) -> None:
    """While it loads it does not read the pipe, so there it is the kernel that ends it."""
    async with directing() as director:
        line = command("stuck", director.address) if while_ == "loading" else command()
        parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, director.address, *line)
        try:
            call = await director.call("stuck")
            if while_ == "working":
                call.order("hang")
        finally:
            parent.kill()
            await parent.wait()
        await call.over()
