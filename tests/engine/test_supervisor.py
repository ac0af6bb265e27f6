"""Real worker processes, the real queue and the real store; only what a job does is scripted."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from db.store import Store
from engine import supervisor as module
from engine.errors import Crashed, Transient, TuneTaleError, UserError
from engine.jobs import Answer, Asker, Job, Progress, Request, TextEmotionRequest, TextEmotionResult
from engine.policy import Policy
from engine.queue import Queue
from engine.settings import EngineSettings, WorkerSettings
from engine.supervisor import Supervisor, backoff_s
from tests.fakes.director import PATIENCE_S, Director, command, directing

ASKER = Asker("console", "somebody", "here")
POLICY = Policy(crash_delay_s=0.0, transient_delay_s=0.0)


@pytest.fixture(autouse=True)
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_BACKOFF_S", 0.001)
    monkeypatch.setattr(module, "CANCEL_GRACE_S", 0.2)


@dataclass(frozen=True)
class House:
    queue: Queue
    supervisor: Supervisor
    director: Director

    async def ask(self, *names: str) -> list[int]:
        return [(await self.submit(self.director.request(name))) for name in names]

    async def submit(self, request: Request) -> int:
        return (await self.queue.submit(request, ASKER)).id

    async def over(self, job_id: int) -> Job:
        """Wait until a job is over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self.queue.answers.clear()
                job = await self.queue.job(job_id)
                assert job is not None
                if job.state not in ("queued", "running"):
                    return job
                await self.queue.answers.wait()

    async def answers(self) -> list[Answer]:
        found = []
        while (answer := await self.queue.next_answer("console")) is not None:
            await self.queue.answered(answer.id, None)
            found.append(answer)
        return found

    async def done_once(self, *job_ids: int) -> None:
        """Wait for jobs to be done; each has one answer."""
        assert [(await self.over(job_id)).state for job_id in job_ids] == ["done"] * len(job_ids)
        assert sorted(answer.job_id for answer in await self.answers()) == sorted(job_ids)


@asynccontextmanager
async def house(
    folder: Path, *mode: str, slots: int = 2, workers: int = 1, lease_s: float = 15.0, deadline_s: float = 300.0
) -> AsyncIterator[House]:
    settings = EngineSettings(
        worker=WorkerSettings(slots=slots, lease_s=lease_s, deadline_s=deadline_s, start_timeout_s=PATIENCE_S)
    )
    async with await Store.open(folder / "store.sqlite") as store, directing() as director:
        queue = Queue(store, folder, policy=POLICY, lease_s=lease_s, deadline_s=deadline_s)
        supervisor = Supervisor(queue, settings, command=command(*mode), workers=workers)
        try:
            await supervisor.start()
            yield House(queue, supervisor, director)
        finally:
            await supervisor.stop(0.0)


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


# --- crashes -------------------------------------------------------------------------------------------------------


async def test_p3_a_killed_workers_job_is_done_after_the_restart_once(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        (job_id,) = await at.ask("a")
        before = await at.director.call("a")
        os.kill(before.pid, signal.SIGKILL)
        after = await at.director.call("a")
        assert after.pid != before.pid
        assert after.folder != before.folder
        after.order("return")
        await at.done_once(job_id)


async def test_p5_a_job_that_crashes_its_worker_twice_is_dead_with_a_sentence(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        (job_id,) = await at.ask("a")
        for order in ("die", "memory"):
            (await at.director.call("a")).order(order)
        job = await at.over(job_id)
        assert (job.state, job.error_code, job.attempt) == ("dead", "crashed", 2)
        assert str(job.error_message).endswith("so the request was given up.")
        (answer,) = await at.answers()
        assert answer.incident is not None


async def test_the_culprit_is_found_and_the_innocent_is_not_charged(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        guilty, innocent = await at.ask("guilty", "innocent")
        first, _ = await at.director.call("guilty"), await at.director.call("innocent")
        first.order("die")
        second = await at.director.call("guilty")  # alone now
        await second.obeyed("report write 0.5")
        assert not at.director.called("innocent")
        second.order("die")
        (await at.director.call("guilty")).order("die")
        (await at.director.call("innocent")).order("return")
        dead, done = await at.over(guilty), await at.over(innocent)
        assert (dead.state, dead.attempt) == ("dead", 2)
        assert (done.state, done.attempt) == ("done", 1)
        ids = await at.ask("c", "d")  # and then again two at once
        c, d = await at.director.call("c"), await at.director.call("d")
        c.order("return")
        d.order("return")
        assert [(await at.over(job_id)).state for job_id in ids] == ["done", "done"]


@pytest.mark.parametrize("mode", ["garbage", "huge"])
async def test_a_worker_that_talks_nonsense_is_replaced(tmp_path: Path, mode: str) -> None:
    async with house(tmp_path, mode) as at:
        (job_id,) = await at.ask("a")
        job = await at.over(job_id)
        assert (job.state, job.error_code) == ("dead", "crashed")


async def test_p4_a_stopped_worker_loses_its_job(tmp_path: Path) -> None:
    async with house(tmp_path, lease_s=1.5) as at:
        (job_id,) = await at.ask("a")
        before = await at.director.call("a")
        os.kill(before.pid, signal.SIGSTOP)
        after = await at.director.call("a")
        await before.over()
        assert after.pid != before.pid
        after.order("return")
        await at.done_once(job_id)


async def test_p5_a_hung_job_ends_at_its_deadline(tmp_path: Path) -> None:
    async with house(tmp_path, lease_s=1.0, deadline_s=0.6) as at:
        (hung,) = await at.ask("a")
        for _ in range(POLICY.crashes):
            a = await at.director.call("a")
            a.order("hang")
            await a.over()
        job = await at.over(hung)
        assert (job.state, job.error_code) == ("dead", "deadline")
        assert job.error_message == "The work was not done after 0.6 s, so the request was given up."


async def test_the_neighbour_of_a_hung_job_is_not_charged(tmp_path: Path) -> None:
    async with house(tmp_path, lease_s=1.0) as at:
        hung, other = await at.ask("a", "b")
        a, before = await at.director.call("a"), await at.director.call("b")
        a.order("hang")
        (held,) = (held for held in at.supervisor._held.values() if held.lease.job.id == hung)
        held.overdue_at = 0.0
        await a.over()
        after = await at.director.call("b")
        assert after.pid != before.pid
        after.order("return")
        job = await at.over(other)
        assert (job.state, job.attempt) == ("done", 1)
        (await at.director.call("a")).order("return")  # and it has its second chance
        assert (await at.over(hung)).attempt == 2


async def test_a_main_process_that_slept_past_the_lease_does_not_blame_the_worker(tmp_path: Path) -> None:
    async with house(tmp_path, lease_s=1.0) as at:
        (job_id,) = await at.ask("a")
        a = await at.director.call("a")
        threading.Event().wait(1.3)  # the whole process, event loop and all
        await a.obeyed("report write 0.5")
        await asyncio.sleep(2 * at.supervisor._tick_s)
        a.order("return")
        await at.done_once(job_id)
        job = await at.queue.job(job_id)
        assert job is not None
        assert job.attempt == 1


# --- the store in trouble ------------------------------------------------------------------------------------------


class Refusing:
    """Stands before a method of the queue and lets it fail the first time."""

    def __init__(self, method: Callable[..., Awaitable[object]], error: Exception) -> None:
        self.method = method
        self.error = error
        self.refused = asyncio.Event()

    async def __call__(self, *args: object, **kwargs: object) -> object:
        if not self.refused.is_set():
            self.refused.set()
            raise self.error
        return await self.method(*args, **kwargs)


@pytest.mark.parametrize(("order", "method"), [("return", "finish"), ("die", "fail")])
async def test_p2_an_end_that_the_store_refused_is_told_again(
    tmp_path: Path, order: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, lease_s=1.0) as at:
        refusing = Refusing(getattr(at.queue, method), Transient("The disk is full."))
        monkeypatch.setattr(at.queue, method, refusing)
        (job_id,) = await at.ask("a")
        (await at.director.call("a")).order(order)
        if order == "die":
            (await at.director.call("a")).order("return")
        await at.done_once(job_id)
        assert refusing.refused.is_set()


@pytest.mark.parametrize("error", [Transient("The disk is full."), RuntimeError("a bug")], ids=repr)
async def test_work_goes_on_after_trouble_with_the_queue(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, lease_s=0.75) as at:
        doors = [Refusing(getattr(at.queue, method), error) for method in ("claim", "heartbeat", "recover")]
        for door in doors:
            monkeypatch.setattr(at.queue, door.method.__name__, door)
        (job_id,) = await at.ask("a")
        a = await at.director.call("a")
        for door in doors:
            await asyncio.wait_for(door.refused.wait(), PATIENCE_S)
        a.order("return")
        await at.done_once(job_id)


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
