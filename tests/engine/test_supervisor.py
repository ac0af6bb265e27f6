"""Real worker processes, the real queue and the real store; only what a job does is scripted."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import pytest

from db.store import Store
from engine import supervisor as module
from engine.errors import Crashed, TuneTaleError, UserError
from engine.jobs import Progress, TextEmotionRequest, TextEmotionResult
from engine.queue import Queue
from engine.settings import EngineSettings
from engine.supervisor import Supervisor, backoff_s
from tests.fakes.director import PATIENCE_S
from tests.fakes.house import POLICY, house


@pytest.fixture(autouse=True)
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_BACKOFF_S", 0.001)
    monkeypatch.setattr(module, "CANCEL_GRACE_S", 0.2)


# --- work ----------------------------------------------------------------------------------------------------------


async def test_several_jobs_run_at_once_and_no_more_than_there_are_slots(tmp_path: Path) -> None:
    async with house(tmp_path, slots=2) as at:
        assert at.supervisor.models == {"composer": "scripted"}
        ids = await at.ask("a", "b", "c")
        a, b = await at.director.call("a"), await at.director.call("b")
        assert a.pid == b.pid
        assert Path(a.folder).is_dir()
        assert not at.director.called("c")
        a.order("return")
        c = await at.director.call("c")
        b.order("return")
        c.order("return")
        await at.done_once(*ids)
        await asyncio.wait_for(at.supervisor.until_idle(), PATIENCE_S)


async def test_several_workers_share_the_jobs(tmp_path: Path) -> None:
    async with house(tmp_path, slots=1, workers=2) as at:
        ids = await at.ask("a", "b")
        a, b = await at.director.call("a"), await at.director.call("b")
        assert a.pid != b.pid
        a.order("return")
        b.order("return")
        await at.done_once(*ids)


async def test_the_result_and_the_progress_are_the_jobs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path) as at:
        notes: asyncio.Queue[Progress | None] = asyncio.Queue()
        note = at.queue.note

        def noted(token: str, progress: Progress) -> None:
            note(token, progress)
            notes.put_nowait(at.queue.progress(job_id))

        monkeypatch.setattr(at.queue, "note", noted)
        (job_id,) = await at.ask("a")
        a = await at.director.call("a")
        for stage, fraction in (("listen", 0.25), ("write", 0.5)):
            await a.obeyed(f"report {stage} {fraction}")
            assert await asyncio.wait_for(notes.get(), PATIENCE_S) == Progress(stage, fraction)
        a.order("return")
        await at.over(job_id)
        (answer,) = await at.answers()
        assert isinstance(answer.result, TextEmotionResult)
        assert answer.result.sentences[0].text == "a"


async def test_what_libraries_print_does_no_harm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "engine.process")
    async with house(tmp_path) as at:
        (job_id,) = await at.ask("a")
        a = await at.director.call("a")
        await a.obeyed("print")
        a.order("return")
        await at.done_once(job_id)
    assert "printed by a library" in caplog.text
    assert "by a child" in caplog.text


# --- failures that a worker survives -------------------------------------------------------------------------------


async def test_an_expected_failure_is_told_as_it_is(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        user, transient = await at.ask("user", "transient")
        (await at.director.call("user")).order("user")
        for _ in range(POLICY.transients):
            (await at.director.call("transient")).order("transient")
        job = await at.over(user)
        assert (job.state, job.error_code, job.error_message) == ("dead", "cannot", "This cannot be done; do that.")
        job = await at.over(transient)
        assert (job.state, job.error_code, job.error_message) == ("dead", "no_server", "The server did not answer.")


async def test_a_bug_is_an_incident_and_the_worker_lives_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with house(tmp_path) as at:
        *failing, other = await at.ask("bug", "exit", "b")
        pids = set()
        for job_id, order in zip(failing, ("bug", "exit"), strict=True):
            call = await at.director.call(order)
            call.order(order)
            pids.add(call.pid)
            job = await at.over(job_id)
            assert (job.state, job.error_code) == ("dead", "bug")
            assert "boom" not in str(job.error_message)
            (answer,) = await at.answers()
            assert answer.incident is not None
            assert f"incident {answer.incident}: Traceback" in caplog.text
        b = await at.director.call("b")
        assert pids == {b.pid}
        b.order("return")
        await at.done_once(other)


async def test_a_request_that_is_too_large_for_the_pipe_is_refused(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        job = await at.over(await at.submit(TextEmotionRequest(("x" * 10_000_000,))))
        assert (job.state, job.error_code) == ("dead", "too_large")
        await at.answers()
        await at.done_once(await at.submit(TextEmotionRequest(("x",))))


# --- cancel --------------------------------------------------------------------------------------------------------


async def test_p10_a_cancelled_job_stops_and_the_worker_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path, lease_s=1.0) as at:
        cancelled, other = await at.ask("a", "b")
        a, b = await at.director.call("a"), await at.director.call("b")
        a.order("work")
        assert await at.queue.cancel(cancelled)
        await a.over()
        b.order("return")
        await at.done_once(other)
        job = await at.queue.job(cancelled)
        assert job is not None
        assert job.state == "cancelled"


async def test_p10_a_cancelled_job_that_does_not_stop_is_killed_and_its_neighbour_not_charged(tmp_path: Path) -> None:
    async with house(tmp_path, lease_s=1.0) as at:
        cancelled, other = await at.ask("a", "b")
        a, before = await at.director.call("a"), await at.director.call("b")
        a.order("hang")
        await at.queue.cancel(cancelled)
        await a.over()
        after = await at.director.call("b")
        assert after.pid != before.pid
        after.order("return")
        await at.done_once(other)
        job = await at.queue.job(other)
        assert job is not None
        assert job.attempt == 1


# --- start and stop ------------------------------------------------------------------------------------------------


async def test_p9_stop_lets_running_jobs_end_and_claims_nothing_more(tmp_path: Path) -> None:
    async with house(tmp_path, slots=1) as at:
        running, waiting = await at.ask("a", "b")
        a = await at.director.call("a")
        stopping = asyncio.create_task(at.supervisor.stop(PATIENCE_S))
        await a.obeyed("report write 0.5")
        a.order("return")
        await asyncio.wait_for(stopping, PATIENCE_S)
        await at.done_once(running)
        job = await at.queue.job(waiting)
        assert job is not None
        assert (job.state, job.attempt) == ("queued", 0)


async def test_p9_stop_gives_back_what_does_not_end_in_time(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        (job_id,) = await at.ask("a")
        a = await at.director.call("a")
        a.order("hang")
        patient = asyncio.create_task(at.supervisor.stop(PATIENCE_S))
        await asyncio.wait_for(at.supervisor.stop(0.0), PATIENCE_S)  # the second signal
        await asyncio.wait_for(patient, PATIENCE_S)
        await a.over()
        job = await at.queue.job(job_id)
        assert job is not None
        assert (job.state, job.attempt) == ("queued", 0)


async def test_a_model_that_cannot_load_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no model at /nowhere") as told:
        async with house(tmp_path, "unable"):
            pass
    assert told.value.code == "no_model"


async def test_a_worker_that_does_not_start_is_tried_again_and_then_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Crashed, match="did not start"):
        async with house(tmp_path, "broken"):
            pass
    assert caplog.text.count("RuntimeError: the file of the model is broken") == module.START_TRIES


async def test_a_worker_that_cannot_start_again_is_told_to_who_waits(tmp_path: Path) -> None:
    async with house(tmp_path, "once", str(tmp_path / "mark")) as at:
        await at.ask("a")
        (await at.director.call("a")).order("die")
        with pytest.raises(UserError, match="The model has gone"):
            await asyncio.wait_for(at.supervisor.until_idle(), PATIENCE_S)


@pytest.mark.parametrize("line", [("/nowhere/python",), (sys.executable, "-c", "")])
async def test_a_command_that_is_no_worker_is_told(tmp_path: Path, line: tuple[str, ...]) -> None:
    async with await Store.open(tmp_path / "store.sqlite") as store:
        supervisor = Supervisor(Queue(store, tmp_path), EngineSettings(), command=line)
        with pytest.raises(TuneTaleError):
            await supervisor.start()


async def test_an_idle_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        (first,) = await at.ask("a")
        a = await at.director.call("a")
        a.order("return")
        await at.done_once(first)
        os.kill(a.pid, signal.SIGKILL)
        (second,) = await at.ask("b")
        while True:  # the job may have been sent to the dying process
            b = await at.director.call("b")
            if b.pid != a.pid:
                break
        b.order("return")
        await at.done_once(second)


def test_the_pause_before_a_restart_doubles_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_BACKOFF_S", 0.5)
    assert [backoff_s(n) for n in range(5)] == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert backoff_s(10_000) == module.LONGEST_BACKOFF_S
