"""kill -9 of the worker or of the whole program loses nothing and doubles nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bot.console.ask import OWN_MACHINE
from bot.console.platform import Console, asker_for
from bot.console.sources import Place
from bot.deliver import deliver_forever
from engine.jobs import ComposeRequest, FileSource, Progress, StoryRequest
from engine.service import Service, files_folder, running
from engine.settings import EngineSettings
from tests.e2e.test_directions import TALE

TUNETALE = (sys.executable, "-m", "bot")


def workers() -> set[psutil.Process]:
    """Return the worker processes that belong to this process."""
    return {child for child in psutil.Process().children() if "engine.worker" in " ".join(child.cmdline())}


def when_stage(service: Service, job_id: int, stage: str, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Return an event that is set once a job reports a stage."""
    reached, note = asyncio.Event(), service.queue.note

    def listening(token: str, progress: Progress) -> None:
        note(token, progress)
        if service.queue.progress(job_id) == progress and progress.stage == stage:
            reached.set()

    monkeypatch.setattr(service.queue, "note", listening)
    return reached


async def test_a_killed_worker_costs_time_and_nothing_else(
    music: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = workers()
    async with running(EngineSettings(), tmp_path / "store.sqlite", policy=OWN_MACHINE) as service:
        console = Console()
        delivery = asyncio.create_task(deliver_forever(service.queue, console))
        (worker,) = workers() - others
        story = await service.queue.submit(StoryRequest(music), asker_for(Place(tmp_path / "s", None)))
        tune = await service.queue.submit(ComposeRequest(TALE, 30.0), asker_for(Place(tmp_path / "m", None)))
        await asyncio.wait_for(when_stage(service, tune.id, "compose", monkeypatch).wait(), 60)
        worker.kill()
        for job in (story, tune):
            answer = await asyncio.wait_for(console.answer(job.id), 120)
            assert answer.result is not None, answer
        (successor,) = workers() - others
        assert successor.pid != worker.pid
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)
        assert await service.queue.idle()
    assert {path.name for path in (tmp_path / "m").iterdir()} == {"music.ogg", "music.mid", "card.png", "result.json"}
    kept = files_folder(tmp_path / "store.sqlite")
    assert len(list(kept.iterdir())) == 2, "the folder of the killed attempt is gone"


def test_a_killed_program_finishes_its_jobs_after_the_restart(tmp_path: Path) -> None:
    store, out = tmp_path / "store.sqlite", tmp_path / "out"
    command = [*TUNETALE, "compose", TALE, "--seconds", "60", "--store", str(store), "--out", str(out), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as first:
        kept = files_folder(store)
        children = psutil.Process(first.pid)
        # An attempt's folder appears when the job has been claimed: accepted, leased and running.
        while not (kept.is_dir() and any(kept.iterdir())):
            assert first.poll() is None
            os.sched_yield()
        family = children.children(recursive=True)
        first.send_signal(signal.SIGKILL)
        first.wait()
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive, "the worker ends with its parent"
    assert not (out / "result.json").exists()
    again = [*TUNETALE, "run", "--until-idle", "--store", str(store)]
    done = subprocess.run(again, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    # The log says that a job was taken back, and nothing worse.
    assert [line.split()[2] for line in done.stderr.splitlines()] == ["WARNING"], done.stderr
    result = json.loads((out / "result.json").read_text())
    assert result["kind"] == "music"
    assert Path(result["files"]["audio"]).stat().st_size > 100_000
    assert len(list(kept.iterdir())) == 1


def test_two_programs_on_one_store(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    command = [*TUNETALE, "compose", TALE, "--seconds", "10", "--store", str(store), "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as first:
        while not files_folder(store).is_dir():
            assert first.poll() is None
            os.sched_yield()
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 2
        assert len(second.stderr.strip().splitlines()) == 1
        assert first.wait(timeout=120) == 0


def test_interrupted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [*TUNETALE, "compose", TALE, "--seconds", "600", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        family = psutil.Process(process.pid)
        while not family.children():
            assert process.poll() is None
            os.sched_yield()
        children = family.children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in errors
        _, alive = psutil.wait_procs(children, timeout=20)
        assert not alive
    assert not out.exists() or not any(out.iterdir())
